//! STS: who we are, and the role in the source account.

use aws_config::Region;
use aws_config::identity::IdentityCache;
use aws_config::sts::AssumeRoleProvider;
use aws_sdk_sts::config::SharedCredentialsProvider;

use super::Session;
use super::failure::failure;
use crate::error::{Context, Error, Result};

/// Names our sessions in the source account's CloudTrail.
const SESSION_NAME: &str = "dynamodb-backup";

impl Session {
    /// The account id of the session's credentials.
    pub async fn account_id(&self) -> Result<String> {
        let step = "ask STS whose credentials these are (GetCallerIdentity)";
        let identity = aws_sdk_sts::Client::new(&self.sdk)
            .get_caller_identity()
            .send()
            .await
            .map_err(|error| failure(&error, step))?;
        identity.account.ok_or_else(|| Error::permanent(step).with_source("the answer names no account"))
    }

    /// A session of another account: assumes `role_arn`, and assumes it again before its credentials expire.
    ///
    /// # Errors
    /// Permanent when STS refuses: the role is missing, does not trust us, or wants another external id.
    pub async fn assume_role(&self, role_arn: &str, external_id: Option<&str>, region: &str) -> Result<Self> {
        let mut provider =
            AssumeRoleProvider::builder(role_arn).session_name(SESSION_NAME).configure(&self.sdk);
        if let Some(external_id) = external_id {
            provider = provider.external_id(external_id);
        }
        let provider = SharedCredentialsProvider::new(provider.build().await);
        let sdk = self
            .sdk
            .to_builder()
            .region(Region::new(region.to_owned()))
            .identity_cache(IdentityCache::lazy().build())
            .credentials_provider(provider)
            .build();
        let session = Self { sdk, region: region.to_owned() };
        session.account_id().await.with_context(|| {
            format!(
                "assume role {role_arn}: check that it exists, that its trust policy names this account's \
                 task role, and that its external id is the one configured"
            )
        })?;
        Ok(session)
    }
}
