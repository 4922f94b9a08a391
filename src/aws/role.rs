//! The session of a role: kept while it is good, and begun anew when it is about to expire or was refused.
//!
//! The SDK's own cache keeps a session until the expiry that STS told, whatever the service says of it. One that is
//! ended before, because an administrator revokes the role's sessions or the account's STS tokens are invalidated,
//! would be refused for up to an hour, by which time every job has failed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_config::identity::IdentityCache;
use aws_sdk_sts::config::Credentials;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::identity::{
    Identity, IdentityFuture, ResolveCachedIdentity, SharedIdentityCache, SharedIdentityResolver,
};
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeDeserializationInterceptorContextMut, BeforeTransmitInterceptorContextRef, InterceptorContext,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};
use serde::Deserialize;

use super::failure::bare;

/// A session that is denied something is begun anew if it is older than this, because it may have been revoked (IAM
/// User Guide, “Revoke IAM role temporary security credentials”): what is denied to a younger one is not permitted.
/// A role without all permissions begins no more sessions than this allows.
const DOUBTED_AFTER: Duration = Duration::from_secs(10);

/// What a service says of a session that is over, or that it does not know (any more).
const OVER: &[&str] = &[
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "TokenRefreshRequired",
    "UnrecognizedClientException",
];

const DENIED: &[&str] = &["AccessDenied", "AccessDeniedException"];

/// An identity cache that can be told that what it holds is worth nothing. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct RoleSession(Arc<Mutex<Held>>);

#[derive(Debug)]
struct Held {
    /// Begins sessions, once for all who ask, and keeps one until shortly before it expires.
    cache: SharedIdentityCache,
    /// The session in the cache, by its access key, and since when it is there.
    session: Option<(String, Instant)>,
}

impl RoleSession {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Held { cache: IdentityCache::lazy().build(), session: None })))
    }

    fn saw(&self, identity: &Identity) {
        let Some(credentials) = identity.data::<Credentials>() else { return };
        let mut held = self.held();
        if held.session.as_ref().is_none_or(|(access_key, _)| access_key != credentials.access_key_id()) {
            held.session = Some((credentials.access_key_id().to_owned(), Instant::now()));
        }
    }

    /// Whether a call that was refused with this code, and was signed with this access key, may succeed with another
    /// session. The one that was refused is given up.
    fn is_over(&self, code: &str, access_key: &str) -> bool {
        let (is_over, is_denied) = (OVER.contains(&code), DENIED.contains(&code));
        let mut held = self.held();
        let Some((_, began)) = held.session.as_ref().filter(|(current, _)| current == access_key) else {
            // Another one has begun since.
            return is_over || is_denied;
        };
        let is_doubted = is_over || (is_denied && began.elapsed() >= DOUBTED_AFTER);
        if is_doubted {
            tracing::warn!(code, "the role's session was refused: assuming the role again");
            *held = Held { cache: IdentityCache::lazy().build(), session: None };
        }
        is_doubted
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ResolveCachedIdentity for RoleSession {
    fn resolve_cached_identity<'a>(
        &'a self,
        resolver: SharedIdentityResolver,
        components: &'a RuntimeComponents,
        cfg: &'a ConfigBag,
    ) -> IdentityFuture<'a> {
        let cache = self.held().cache.clone();
        IdentityFuture::new(async move {
            let identity = cache.resolve_cached_identity(resolver, components, cfg).await?;
            self.saw(&identity);
            Ok(identity)
        })
    }
}

/// The access key that a call is signed with.
#[derive(Debug)]
struct SignedWith(String);

impl Storable for SignedWith {
    type Storer = StoreReplace<Self>;
}

/// Where the answer to a call says what the call was signed with: whoever decides about another attempt sees nothing
/// but the answer.
const SIGNED_WITH: &str = "x-signed-with";

#[dyn_dispatch_hint]
impl Intercept for RoleSession {
    fn name(&self) -> &'static str {
        "RoleSession"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(key) = context.request().headers().get("authorization").and_then(access_key) {
            cfg.interceptor_state().store_put(SignedWith(key.to_owned()));
        }
        Ok(())
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(SignedWith(key)) = cfg.load::<SignedWith>() {
            context.response_mut().headers_mut().insert(SIGNED_WITH, key.clone());
        }
        Ok(())
    }
}

/// Has the SDK try again, with a new session, what a service has refused because of the old one.
impl ClassifyRetry for RoleSession {
    fn classify_retry(&self, call: &InterceptorContext) -> RetryAction {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(rename = "__type")]
            code: String,
        }
        let refusal = call.response().filter(|response| matches!(response.status().as_u16(), 400 | 403));
        let access_key = refusal.and_then(|response| response.headers().get(SIGNED_WITH));
        let body = refusal.and_then(|response| response.body().bytes()).unwrap_or_default();
        let (Some(access_key), Ok(answer)) = (access_key, serde_json::from_slice::<Answer>(body)) else {
            return RetryAction::NoActionIndicated;
        };
        let code = bare(answer.code.rsplit('#').next().unwrap_or_default());
        if self.is_over(code, access_key) {
            RetryAction::transient_error()
        } else {
            RetryAction::NoActionIndicated
        }
    }

    fn name(&self) -> &'static str {
        "sessions that are over are begun anew"
    }
}

/// The access key in a signature: `AWS4-HMAC-SHA256 Credential=<key>/<date>/…` (IAM User Guide, “Create a signed AWS
/// API request”).
fn access_key(signature: &str) -> Option<&str> {
    signature.split_once("Credential=")?.1.split('/').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session_of(age: Duration) -> RoleSession {
        let role = RoleSession::new();
        role.held().session = Some(("ASIA1".to_owned(), Instant::now() - age));
        role
    }

    #[test]
    fn a_session_that_is_said_to_be_over_is_given_up_once() {
        let role = session_of(Duration::ZERO);
        assert!(role.is_over("ExpiredTokenException", "ASIA1"));
        assert_eq!(role.held().session, None);
        // Other calls of the same session come back late, and must not end the next one.
        role.held().session = Some(("ASIA2".to_owned(), Instant::now()));
        assert!(role.is_over("ExpiredTokenException", "ASIA1"));
        assert!(role.held().session.is_some());
        assert!(!role.is_over("ValidationException", "ASIA1"));
    }

    #[test]
    fn what_is_denied_to_a_young_session_is_not_permitted_and_an_old_one_is_doubted() {
        let young = session_of(Duration::ZERO);
        assert!(!young.is_over("AccessDeniedException", "ASIA1"));
        assert!(young.held().session.is_some());
        let old = session_of(DOUBTED_AFTER);
        assert!(old.is_over("AccessDeniedException", "ASIA1"));
        assert_eq!(old.held().session, None);
    }

    #[test]
    fn the_access_key_is_read_from_the_signature() {
        let signature =
            "AWS4-HMAC-SHA256 Credential=ASIA1/20260101/eu-west-1/dynamodb/aws4_request, SignedHeaders=host";
        assert_eq!(access_key(signature), Some("ASIA1"));
        assert_eq!(access_key("Bearer token"), None);
    }
}
