//! Whether a call is allowed, as its answer tells.

use std::error::Error as StdError;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::failure::{bare, code, failure};
use crate::error::Result;

/// What an answer says of the caller's permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Allowed,
    Denied,
}

/// What is told to whoever may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told<T> {
    Is(T),
    /// Access was denied.
    NotReadable,
}

/// The permission that a harmless call shows. `harmless` are the codes of an answer that only those get who may
/// make the call: permissions are looked at first.
pub(super) fn access<T, E>(
    answer: Result<T, SdkError<E, HttpResponse>>,
    harmless: &[&str],
    step: impl Into<String>,
) -> Result<Access>
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    match answer {
        Ok(_) => Ok(Access::Allowed),
        Err(error) if is_denied(code(&error)) => Ok(Access::Denied),
        Err(error) if code(&error).is_some_and(|code| harmless.contains(&bare(code))) => Ok(Access::Allowed),
        Err(error) => Err(failure(&error, step)),
    }
}

pub(super) fn is_denied(code: Option<&str>) -> bool {
    code.is_some_and(|code| matches!(bare(code), "AccessDenied" | "AccessDeniedException"))
}
