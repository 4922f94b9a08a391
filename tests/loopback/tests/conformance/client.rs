//! SDK clients of either account.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use loopback_aws::{BACKUP_ACCOUNT, Loopback, REGION};

pub(crate) async fn deployed() -> Loopback {
    let loopback = Loopback::start().await.expect("a free port");
    loopback.deploy();
    loopback
}

/// A client configuration that signs as an account's root and never retries.
pub(crate) fn root(loopback: &Loopback, account: &str, region: &str) -> SdkConfig {
    config(loopback, Credentials::new(account, "loopback", None, None, "test"), region)
}

pub(crate) fn config(loopback: &Loopback, credentials: Credentials, region: &str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(loopback.endpoint())
        .region(Region::new(region.to_owned()))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .retry_config(RetryConfig::disabled())
        .build()
}

pub(crate) fn backup(loopback: &Loopback) -> SdkConfig {
    root(loopback, BACKUP_ACCOUNT, REGION)
}

pub(crate) fn s3(config: &SdkConfig) -> aws_sdk_s3::Client {
    aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(config).force_path_style(true).build())
}
