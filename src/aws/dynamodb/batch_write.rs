//! BatchWriteItem, set up once.
//!
//! A call carries 25 items, so what a call costs is a large part of what writing costs. The generated client
//! puts its configuration together anew for each call. [`Operation`], the SDK's way to make a call without a
//! generated client, is put together once and runs in the same orchestrator: credentials, endpoint rules,
//! signing, clock skew, timeouts and retries stay the SDK's. It sends no user agent.

use aws_config::SdkConfig;
use aws_runtime::auth::SigV4OperationSigningConfig;
use aws_runtime::auth::sigv4::{self, SigV4AuthScheme};
use aws_runtime::invocation_id::InvocationIdInterceptor;
use aws_runtime::request_info::RequestInfoInterceptor;
use aws_runtime::retries::classifiers::AwsErrorCodeClassifier;
use aws_runtime::service_clock_skew::{ServiceClockSkewClassifier, ServiceClockSkewInterceptor};
use aws_sdk_dynamodb::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
use aws_sdk_dynamodb::config::retry::RetryPartition;
use aws_sdk_dynamodb::operation::batch_write_item::{BatchWriteItem, BatchWriteItemError};
use aws_smithy_runtime::client::orchestrator::AuthSchemeAndEndpointOrchestrationV2;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime::client::retries::classifiers::{
    HttpStatusCodeClassifier, ModeledAsRetryableClassifier, TransientErrorClassifier,
};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::auth::AuthSchemeOptionResolverParams;
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::endpoint::EndpointResolverParams;
use aws_smithy_runtime_api::client::identity::SharedIdentityResolver;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeSerializationInterceptorContextRef, Error as ErasedError, Output,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin;
use aws_smithy_runtime_api::client::ser_de::DeserializeResponse;
use aws_smithy_types::config_bag::{ConfigBag, Layer};
use aws_types::SigningName;
use aws_types::region::SigningRegion;
use bytes::Bytes;

use super::ThrottlesAreOurs;
use crate::aws::wire::{GeneratedErrors, raw_request, verified_body};
use crate::aws::{Session, endpoint_override};

const TARGET: &str = "DynamoDB_20120810.BatchWriteItem";

/// BatchWriteItem calls with the credentials, the region and the retries of one session.
#[derive(Clone, Debug)]
pub(super) struct BatchWrites(Operation<Bytes, Bytes, BatchWriteItemError>);

impl BatchWrites {
    pub(super) fn new(session: &Session, retry_partition: RetryPartition) -> Self {
        let sdk = &session.sdk;
        let retries = sdk.retry_config().cloned().unwrap_or_else(aws_config::retry::RetryConfig::standard);
        let timeouts =
            sdk.timeout_config().cloned().unwrap_or_else(aws_config::timeout::TimeoutConfig::disabled);
        let operation = Operation::builder()
            .service_name("DynamoDB")
            .operation_name("BatchWriteItem")
            .behavior_version(sdk.behavior_version().unwrap_or_else(crate::aws::behavior_version))
            .standard_retry(&retries)
            .timeout_config(timeouts)
            .with_connection_poisoning()
            .interceptor(EndpointParams(endpoint_params(sdk)))
            .interceptor(ServiceClockSkewInterceptor::new())
            .interceptor(RequestInfoInterceptor::new())
            .interceptor(InvocationIdInterceptor::new())
            .interceptor(session.retries.clone())
            .retry_classifier(HttpStatusCodeClassifier::default())
            .retry_classifier(TransientErrorClassifier::<BatchWriteItemError>::new())
            .retry_classifier(ModeledAsRetryableClassifier::<BatchWriteItemError>::new())
            .retry_classifier(AwsErrorCodeClassifier::<BatchWriteItemError>::new())
            .retry_classifier(ServiceClockSkewClassifier::<BatchWriteItemError>::new())
            .retry_classifier(ThrottlesAreOurs)
            .serializer(|body: Bytes| raw_request(TARGET, body))
            .deserializer_impl::<Bytes, BatchWriteItemError>(Answers(GeneratedErrors::of(
                &BatchWriteItem::new(),
            )))
            .runtime_plugin(
                StaticRuntimePlugin::new()
                    .with_config(config(sdk, retry_partition).freeze())
                    .with_runtime_components(components(session)),
            )
            .build();
        Self(operation)
    }

    /// Sends a request's body and gives the answer's, its checksum verified.
    pub(super) async fn send(
        &self,
        body: Bytes,
    ) -> Result<Bytes, SdkError<BatchWriteItemError, HttpResponse>> {
        self.0.invoke(body).await
    }
}

/// What the generated client would put into each call's configuration.
fn config(sdk: &SdkConfig, retry_partition: RetryPartition) -> Layer {
    let mut layer = Layer::new("BatchWriteItem");
    layer.store_put(retry_partition);
    layer.store_put(AuthSchemeAndEndpointOrchestrationV2);
    layer.store_put(AuthSchemeOptionResolverParams::new(()));
    // Those that are used come from the interceptor; `build` asks for some in debug builds.
    layer.store_put(EndpointResolverParams::new(()));
    layer.store_put(SigV4OperationSigningConfig {
        region: sdk.region().cloned().map(SigningRegion::from),
        name: Some(SigningName::from_static("dynamodb")),
        ..SigV4OperationSigningConfig::default()
    });
    layer
}

fn components(session: &Session) -> RuntimeComponentsBuilder {
    let sdk = &session.sdk;
    let mut components = RuntimeComponentsBuilder::new("BatchWriteItem");
    components.set_endpoint_resolver(Some(DefaultResolver::new().into_shared_resolver()));
    components.push_auth_scheme(SigV4AuthScheme::new());
    components
        .set_auth_scheme_option_resolver(Some(StaticAuthSchemeOptionResolver::new(vec![sigv4::SCHEME_ID])));
    if let Some(credentials) = sdk.credentials_provider() {
        components.set_identity_resolver(sigv4::SCHEME_ID, SharedIdentityResolver::new(credentials));
    }
    if let Some(role) = &session.role {
        components.push_interceptor(role.clone()).push_retry_classifier(role.clone());
    }
    components.set_identity_cache(sdk.identity_cache());
    components.set_http_client(sdk.http_client());
    components
}

/// What the endpoint rules decide by; the account's id comes from its credentials.
fn endpoint_params(sdk: &SdkConfig) -> Params {
    let mode = sdk.account_id_endpoint_mode().cloned().unwrap_or_default();
    Params::builder()
        .set_region(sdk.region().map(ToString::to_string))
        .set_use_dual_stack(sdk.use_dual_stack())
        .set_use_fips(sdk.use_fips())
        .set_endpoint(endpoint_override(sdk, "DynamoDB"))
        .account_id_endpoint_mode(mode.to_string())
        .build()
        .expect("no parameter is required")
}

/// Gives each call the parameters of the endpoint rules, to which the orchestrator adds the account.
#[derive(Debug)]
struct EndpointParams(Params);

#[dyn_dispatch_hint]
impl Intercept for EndpointParams {
    fn name(&self) -> &'static str {
        "EndpointParams"
    }

    fn read_before_execution(
        &self,
        _context: &BeforeSerializationInterceptorContextRef<'_>,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        cfg.interceptor_state().store_put(EndpointResolverParams::new(self.0.clone()));
        Ok(())
    }
}

#[derive(Debug)]
struct Answers(GeneratedErrors);

impl DeserializeResponse for Answers {
    fn deserialize_nonstreaming_with_config(
        &self,
        response: &HttpResponse,
        cfg: &ConfigBag,
    ) -> Result<Output, OrchestratorError<ErasedError>> {
        if !response.status().is_success() {
            return self.0.read(response, cfg);
        }
        verified_body(response).map(Output::erase)
    }
}
