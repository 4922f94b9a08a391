//! DynamoDB calls whose request and answer stay bytes.
//!
//! The SDK keeps credentials, signing, endpoint rules, timeouts, retries and modelled errors; only its
//! serialiser and its deserialiser of *successful* answers are swapped, so that an item crosses the worker
//! exactly as DynamoDB sent it. Everything here is public SDK interface, kept in this one file.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeSerializationInterceptorContextRef, Error as ErasedError, Input, Output,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::runtime_plugin::RuntimePlugin;
use aws_smithy_runtime_api::client::ser_de::{
    DeserializeResponse, SerializeRequest, SharedRequestSerializer, SharedResponseDeserializer,
};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::{ConfigBag, FrozenLayer};
use bytes::Bytes;

/// One raw call: the request body going out, and the place its answer comes back to.
#[derive(Clone)]
pub(super) struct RawCall {
    target: &'static str,
    body: Bytes,
    answer: Arc<Mutex<Option<Bytes>>>,
    generated: FrozenLayer,
    output: fn() -> Output,
}

impl RawCall {
    /// `target` is the `x-amz-target` header, `operation` the SDK's own operation (its deserialiser still
    /// reads the errors), `output` an empty output of that operation's type.
    pub(super) fn new(
        target: &'static str,
        operation: &impl RuntimePlugin,
        output: fn() -> Output,
        body: Bytes,
    ) -> Self {
        let generated = operation.config().expect("every generated operation has a configuration layer");
        Self { target, body, answer: Arc::default(), generated, output }
    }

    /// The body of the answer; empty before the call has succeeded.
    pub(super) fn answer(&self) -> Bytes {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
    }

    fn keep(&self, body: &SdkBody) -> Result<(), BoxError> {
        let bytes = body.bytes().ok_or("the answer's body was not read")?;
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(Bytes::copy_from_slice(bytes));
        Ok(())
    }
}

/// Bodies hold items: they must never reach a log.
impl fmt::Debug for RawCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawCall").field("target", &self.target).finish_non_exhaustive()
    }
}

#[dyn_dispatch_hint]
impl Intercept for RawCall {
    fn name(&self) -> &'static str {
        "RawCall"
    }

    fn read_before_execution(
        &self,
        _context: &BeforeSerializationInterceptorContextRef<'_>,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        cfg.interceptor_state().store_put(SharedRequestSerializer::new(self.clone()));
        cfg.interceptor_state().store_put(SharedResponseDeserializer::new(self.clone()));
        Ok(())
    }
}

impl SerializeRequest for RawCall {
    fn serialize_input(&self, _input: Input, _cfg: &mut ConfigBag) -> Result<HttpRequest, BoxError> {
        let mut request = HttpRequest::new(SdkBody::from(self.body.clone()));
        request.set_method("POST")?;
        request.set_uri("/")?;
        request.headers_mut().insert("content-type", "application/x-amz-json-1.0");
        request.headers_mut().insert("x-amz-target", self.target);
        request.headers_mut().insert("content-length", self.body.len().to_string());
        Ok(request)
    }
}

impl DeserializeResponse for RawCall {
    fn deserialize_nonstreaming_with_config(
        &self,
        response: &HttpResponse,
        cfg: &ConfigBag,
    ) -> Result<Output, OrchestratorError<ErasedError>> {
        if !response.status().is_success() {
            let generated = self
                .generated
                .load::<SharedResponseDeserializer>()
                .expect("every generated operation has a deserialiser");
            return generated.deserialize_nonstreaming_with_config(response, cfg);
        }
        // A response error is retried by the SDK, as a broken connection is.
        verify_crc32(response)
            .and_then(|()| self.keep(response.body()))
            .map_err(OrchestratorError::response)?;
        Ok((self.output)())
    }
}

/// DynamoDB sends the CRC32 of every answer's body; the Rust SDK does not look at it.
fn verify_crc32(response: &HttpResponse) -> Result<(), BoxError> {
    let Some(expected) = response.headers().get("x-amz-crc32") else { return Ok(()) };
    let actual = crc32fast::hash(response.body().bytes().unwrap_or_default());
    if expected.parse() == Ok(actual) {
        return Ok(());
    }
    Err(format!("the answer's checksum is {actual}, DynamoDB sent {expected}").into())
}
