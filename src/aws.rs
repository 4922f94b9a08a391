//! The two accounts, and the only code that names an SDK type or an AWS error code.
//!
//! One file per service. Each wraps a client in a small concrete struct whose methods take and give the
//! nouns of this crate; what the caller can do about a failure is decided once, in `failure`.

mod access;
mod clock;
pub mod dynamodb;
mod failure;
mod retries;
mod role;
pub mod s3;
pub mod scaling;
pub mod sqs;
pub mod ssm;
pub mod sts;
mod wire;

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_types::service_config::ServiceConfigKey;

pub use self::access::{Access, Told};
pub use self::retries::Retries;
use self::role::RoleSession;
use crate::error::{Error, Result};

/// The session of the backup account: the credentials the process was started with.
#[derive(Clone, Debug)]
pub struct Session {
    sdk: SdkConfig,
    region: String,
    retries: Retries,
    /// Whose session it is, unless it is that of the credentials the process was started with.
    role: Option<RoleSession>,
}

impl Session {
    /// Loads region, endpoint overrides and credentials from the places every AWS tool reads
    /// (AWS SDKs and Tools Reference Guide, “Configuration precedence”).
    ///
    /// # Errors
    /// A usage error when no region is set.
    pub async fn load() -> Result<Self> {
        let sdk = aws_config::defaults(behavior_version())
            .retry_config(RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS))
            .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).build())
            .load()
            .await;
        Self::new(sdk)
    }

    /// The session of whoever has these credentials, with the region, the retries and the time-outs they come with.
    ///
    /// # Errors
    /// A usage error when no region is set.
    pub fn new(sdk: SdkConfig) -> Result<Self> {
        let region = sdk.region().map(ToString::to_string).ok_or_else(|| {
            Error::usage("no AWS region is set: export AWS_REGION or set a region in the AWS profile")
        })?;
        Ok(Self { sdk, region, retries: Retries::default(), role: None })
    }

    /// Counts the retries of this session and of all that come from it.
    pub fn retries(&self) -> &Retries {
        &self.retries
    }

    pub fn region(&self) -> &str {
        &self.region
    }

    /// The same session for whoever asks once and waits for the answer.
    #[must_use]
    pub fn impatient(&self) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(5))
            .operation_attempt_timeout(Duration::from_secs(15));
        let sdk = self.sdk.to_builder();
        let sdk =
            sdk.retry_config(RetryConfig::standard().with_max_attempts(2)).timeout_config(timeouts.build());
        Self { sdk: sdk.build(), ..self.clone() }
    }

    /// The same credentials in another region.
    #[must_use]
    pub fn in_region(&self, region: &str) -> Self {
        let sdk = self.sdk.to_builder().region(Region::new(region.to_owned())).build();
        let (retries, role) = (self.retries.clone(), self.role.clone());
        Self { sdk, region: region.to_owned(), retries, role }
    }

    /// Path-style S3 addressing is for endpoints that are not AWS: `<bucket>.localhost` has no name server.
    fn has_endpoint_override(&self) -> bool {
        self.s3_endpoint().is_some()
    }

    /// Whether S3 is spoken to over HTTPS.
    fn is_encrypted(&self) -> bool {
        self.s3_endpoint().is_none_or(|endpoint| endpoint.starts_with("https://"))
    }

    /// Where S3 is, unless it is AWS's.
    fn s3_endpoint(&self) -> Option<String> {
        endpoint_override(&self.sdk, "S3")
    }
}

/// The endpoint of a service, or of every service, where the user has set one: in `AWS_ENDPOINT_URL_<SERVICE>`, in
/// the profile's `services` section, in `AWS_ENDPOINT_URL` (AWS SDKs and Tools Reference Guide,
/// “Service-specific endpoints”).
fn endpoint_override(sdk: &SdkConfig, service: &str) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id(service)
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build()
        .expect("every part of the key is given");
    let of_service = sdk.service_config().and_then(|config| config.load_config(key));
    of_service.or_else(|| sdk.endpoint_url().map(ToOwned::to_owned))
}

/// What the SDK's own defaults are, as of a date.
fn behavior_version() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

/// Attempts of one call, the first included. The SDK's default of 3 gives up within a second, which is
/// shorter than an ordinary DynamoDB throttle.
const MAX_ATTEMPTS: u32 = 8;

/// One attempt may take this long: above SQS's 20 s long poll, far above a Scan page.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(60);
