//! Decides once what the caller can do about an error of the SDK.

use std::error::Error as StdError;

use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::error::{Error, Kind};

/// Codes that mean “later”: throttles, control-plane limits, and credentials that a refresh replaces.
///
/// Sources: DynamoDB Developer Guide, “Error handling with DynamoDB”; S3 User Guide, “Error responses”;
/// SQS API Reference, “Common errors”.
const RETRYABLE_CODES: &[&str] = &[
    "ConditionalRequestConflict",
    "ExpiredToken",
    "ExpiredTokenException",
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "KmsThrottled",
    "LimitExceededException",
    "OperationAborted",
    "ProvisionedThroughputExceededException",
    "RequestExpired",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestTimeout",
    "ResourceInUseException",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionInProgressException",
];

/// The service's error code, where the service answered.
pub(super) fn code<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Option<&str> {
    error.as_service_error().and_then(ProvideErrorMetadata::code)
}

/// Turns an SDK error into this crate's: `step` is the verb phrase of what was being done.
pub(super) fn failure<E>(error: &SdkError<E, HttpResponse>, step: impl Into<String>) -> Error
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    let cause = describe(error);
    Error::new(kind(error), step).with_source(cause)
}

fn kind<E>(error: &SdkError<E, HttpResponse>) -> Kind
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    match error {
        SdkError::ServiceError(service) => {
            let status = service.raw().status().as_u16();
            let known = code(error).is_some_and(|code| RETRYABLE_CODES.contains(&code));
            if known || status >= 500 || status == 429 { Kind::Retryable } else { Kind::Permanent }
        }
        // The request was never built: credentials or configuration. A role that refuses us stays refused.
        _ if assume_role_refusal(error).is_some() => Kind::Permanent,
        SdkError::ConstructionFailure(_) => Kind::Permanent,
        _ => Kind::Retryable,
    }
}

/// The reason STS gave, when the credentials of a call could not be had at all.
fn assume_role_refusal<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a AssumeRoleError> {
    causes(error)
        .find_map(|cause| cause.downcast_ref::<AssumeRoleError>())
        .filter(|refusal| !refusal.code().is_some_and(|code| RETRYABLE_CODES.contains(&code)))
}

/// `Code: message` for what a service answered, else the chain of causes.
fn describe<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    if let SdkError::ServiceError(service) = error {
        return answer(service.err(), service.raw().status().as_u16());
    }
    if let Some(refusal) = assume_role_refusal(error) {
        return format!("assume role: {}", answer(refusal, 403));
    }
    let mut chain: Vec<String> = causes(error).map(ToString::to_string).collect();
    chain.dedup();
    chain.join(": ")
}

fn answer(error: &impl ProvideErrorMetadata, status: u16) -> String {
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        _ => format!("status {status}"),
    }
}

fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}
