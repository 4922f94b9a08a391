//! What a bucket says of how it is set up.

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::types::{BucketVersioningStatus, ObjectLockRetentionMode, ServerSideEncryption};
use loopback_aws::{BUCKET, BucketSettings, SOURCE_ACCOUNT};

use crate::client;

#[tokio::test]
async fn a_new_bucket_is_private_and_encrypted_and_neither_versioned_nor_locked() {
    let loopback = client::deployed().await;
    let client = client::s3(&client::backup(&loopback));
    let versioning = client.get_bucket_versioning().bucket(BUCKET).send().await.expect("its versioning");
    assert_eq!(versioning.status, None);
    let lock = client.get_object_lock_configuration().bucket(BUCKET).send().await.expect_err("no lock");
    assert_eq!(lock.code(), Some("ObjectLockConfigurationNotFoundError"));
    let encryption = client.get_bucket_encryption().bucket(BUCKET).send().await.expect("its encryption");
    let rules = encryption.server_side_encryption_configuration.expect("it has one").rules;
    let by_default = rules[0].apply_server_side_encryption_by_default.as_ref().expect("a default");
    assert_eq!(by_default.sse_algorithm, ServerSideEncryption::Aes256);
    let public = client.get_public_access_block().bucket(BUCKET).send().await.expect("its block");
    assert_eq!(
        public.public_access_block_configuration.and_then(|block| block.block_public_policy),
        Some(true)
    );
}

#[tokio::test]
async fn a_bucket_says_what_it_was_set_up_to_say() {
    let loopback = client::deployed().await;
    let client = client::s3(&client::backup(&loopback));
    loopback.bucket(BUCKET).set_up(BucketSettings {
        versioned: true,
        object_lock: Some(("GOVERNANCE".to_owned(), 7)),
        kms_key: Some("key".to_owned()),
        public_access_blocked: false,
    });
    let versioning = client.get_bucket_versioning().bucket(BUCKET).send().await.expect("its versioning");
    assert_eq!(versioning.status, Some(BucketVersioningStatus::Enabled));
    let lock = client.get_object_lock_configuration().bucket(BUCKET).send().await.expect("its lock");
    let rule = lock.object_lock_configuration.and_then(|lock| lock.rule).expect("a rule");
    let retention = rule.default_retention.expect("a default");
    assert_eq!((retention.mode, retention.days), (Some(ObjectLockRetentionMode::Governance), Some(7)));
    let encryption = client.get_bucket_encryption().bucket(BUCKET).send().await.expect("its encryption");
    let rules = encryption.server_side_encryption_configuration.expect("it has one").rules;
    let by_default = rules[0].apply_server_side_encryption_by_default.as_ref().expect("a default");
    assert_eq!(by_default.kms_master_key_id.as_deref(), Some("key"));
}

#[tokio::test]
async fn only_the_owner_that_is_expected_is_answered() {
    let loopback = client::deployed().await;
    let client = client::s3(&client::backup(&loopback));
    let ask = |owner| client.head_bucket().bucket(BUCKET).expected_bucket_owner(owner).send();
    ask(loopback_aws::BACKUP_ACCOUNT).await.expect("it is the owner");
    let refused = ask(SOURCE_ACCOUNT).await.expect_err("it is not");
    assert_eq!(refused.raw_response().map(|raw| raw.status().as_u16()), Some(403));
}

#[tokio::test]
async fn the_clock_is_as_wrong_as_it_was_set() {
    let loopback = client::deployed().await;
    let client = client::s3(&client::backup(&loopback));
    loopback.set_clock_ahead(-86_400);
    let refused = client.get_object().bucket(BUCKET).key("none").send().await.expect_err("there is none");
    let date =
        refused.raw_response().and_then(|raw| raw.headers().get("date")).expect("it has a date").to_owned();
    let date = jiff::civil::DateTime::strptime("%a, %d %b %Y %H:%M:%S GMT", &date).expect("an HTTP date");
    let date = jiff::tz::TimeZone::UTC.to_timestamp(date).expect("UTC has no gaps");
    let ahead = jiff::Timestamp::now().duration_until(date).as_secs();
    assert!((-86_460..-86_340).contains(&ahead), "{ahead} s");
}
