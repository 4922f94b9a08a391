//! Decides once what the caller can do about an error of the SDK.

use std::error::Error as StdError;

use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::error::{Error, Kind};

/// Codes that mean “later”: throttles, control-plane limits, bodies damaged on their way, and
/// credentials that a refresh replaces. They are compared without what a service puts in front of them.
///
/// Sources: DynamoDB Developer Guide, “Error handling with DynamoDB”; S3 User Guide, “Error responses”;
/// SQS API Reference, “Common errors”.
const RETRYABLE_CODES: &[&str] = &[
    "BadDigest",
    "ConditionalRequestConflict",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteBody",
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "InvalidClientTokenId",
    "KmsThrottled",
    "LimitExceededException",
    "OperationAborted",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "ReplicatedWriteConflictException",
    "RequestExpired",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestTimeTooSkewed",
    "RequestTimeout",
    "ResourceInUseException",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TokenRefreshRequired",
    "TooManyRequestsException",
    "TransactionInProgressException",
    "UnrecognizedClientException",
    "XAmzContentSHA256Mismatch",
];

/// What STS answers when it refuses a role for good (STS API Reference, “AssumeRole”).
const REFUSALS: &[&str] = &[
    "AccessDenied",
    "MalformedPolicyDocument",
    "PackedPolicyTooLarge",
    "RegionDisabledException",
    "ValidationError",
];

/// What to do about a refusal.
const DENIED: &str = "allow it: `dynamodb-backup doctor` prints the policies that a run needs";

/// How the SDK says that none of the places it knows had credentials.
const NO_CREDENTIALS: &str = "no credentials found in chain";

/// A code without the service in front of it, as in `KMS.ThrottlingException`.
pub(super) fn bare(code: &str) -> &str {
    code.rsplit('.').next().unwrap_or(code)
}

fn is_retryable(code: &str) -> bool {
    RETRYABLE_CODES.contains(&bare(code))
}

/// The service's error code, where the service answered.
pub(super) fn code<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Option<&str> {
    error.as_service_error().and_then(ProvideErrorMetadata::code)
}

/// Turns an SDK error into this crate's: `step` is the verb phrase of what was being done.
pub(super) fn failure<E>(error: &SdkError<E, HttpResponse>, step: impl Into<String>) -> Error
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    let failure = Error::new(kind(error), step).with_source(describe(error));
    match code(error).map(bare) {
        Some("AccessDenied" | "AccessDeniedException") => failure.with_mend(DENIED),
        _ => failure,
    }
}

fn kind<E>(error: &SdkError<E, HttpResponse>) -> Kind
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    match error {
        SdkError::ServiceError(service) => {
            let status = service.raw().status().as_u16();
            let known = code(error).is_some_and(is_retryable);
            if known || status >= 500 || status == 429 { Kind::Retryable } else { Kind::Permanent }
        }
        // No credentials could be had: a role that refuses us goes on to.
        _ if assume_role_refusal(error).is_some() => Kind::Permanent,
        SdkError::ConstructionFailure(_) => Kind::Permanent,
        _ => Kind::Retryable,
    }
}

/// The reason STS gave, when the credentials of a call could not be had at all.
fn assume_role_refusal<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a AssumeRoleError> {
    causes(error)
        .find_map(|cause| cause.downcast_ref::<AssumeRoleError>())
        .filter(|refusal| refusal.code().is_some_and(|code| REFUSALS.contains(&code)))
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
    let chain = chain.join(": ");
    match chain.split_once(NO_CREDENTIALS) {
        Some((_, attempted)) => format!(
            "no AWS credentials were found: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run \
             this where a role is attached{attempted}"
        ),
        None => chain,
    }
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
