//! STS: who we are, and the role in the source account.

use aws_config::Region;
use aws_config::sts::AssumeRoleProvider;
use aws_sdk_sts::config::SharedCredentialsProvider;
use jiff::{SignedDuration, Timestamp};

use super::Session;
use super::clock::ServiceClock;
use super::failure::failure;
use super::role::RoleSession;
use crate::error::{Context, Error, Result};

/// Names our sessions in the source account's CloudTrail.
const SESSION_NAME: &str = "dynamodb-backup";

/// Who a session is.
#[derive(Clone, Debug)]
pub struct Identity {
    pub account_id: String,
    pub arn: String,
    /// By how much STS's clock is ahead of ours, to the second, where its answer said what time it was.
    pub clock_ahead: Option<SignedDuration>,
}

impl Session {
    /// The account id of the session's credentials.
    pub async fn account_id(&self) -> Result<String> {
        self.identity().await.map(|identity| identity.account_id)
    }

    /// Whose credentials the session has, and how far its clock is from theirs who said so.
    pub async fn identity(&self) -> Result<Identity> {
        let step = "ask STS whose credentials these are (GetCallerIdentity)";
        let (clock, asked_at) = (ServiceClock::default(), Timestamp::now());
        let request = aws_sdk_sts::Client::new(&self.sdk).get_caller_identity().customize();
        let answer = request.interceptor(clock.clone()).send().await;
        let answer = answer.map_err(|error| failure(&error, step))?;
        let account =
            answer.account.ok_or_else(|| Error::permanent(step).with_source("the answer names no account"));
        let half_way = asked_at + asked_at.duration_until(Timestamp::now()) / 2;
        let ahead = clock.time().map(|time| half_way.duration_until(time));
        Ok(Identity { account_id: account?, arn: answer.arn.unwrap_or_default(), clock_ahead: ahead })
    }

    /// A session of another account: assumes `role_arn`, and assumes it again before its credentials expire and when
    /// they are refused.
    ///
    /// # Errors
    /// Permanent when STS refuses: the role is missing, does not trust us, or wants another external id.
    pub async fn assume_role(&self, role_arn: &str, external_id: Option<&str>, region: &str) -> Result<Self> {
        let mut provider =
            AssumeRoleProvider::builder(role_arn).session_name(SESSION_NAME).configure(&self.sdk);
        if let Some(external_id) = external_id {
            provider = provider.external_id(external_id);
        }
        let (provider, role) = (SharedCredentialsProvider::new(provider.build().await), RoleSession::new());
        let sdk = self
            .sdk
            .to_builder()
            .region(Region::new(region.to_owned()))
            .identity_cache(role.clone())
            .credentials_provider(provider)
            .build();
        let (retries, role) = (self.retries.clone(), Some(role));
        let session = Self { sdk, region: region.to_owned(), retries, role };
        session.account_id().await.with_context(|| {
            format!(
                "assume role {role_arn}: check that it exists, that its trust policy names this account's \
                 task role, and that its external id is the one configured"
            )
        })?;
        Ok(session)
    }
}
