//! How a bucket is set up. Nothing here changes what the store does: it is what the bucket says of itself.

use s3s::dto::*;
use s3s::{S3Result, s3_error};

/// What a test may set of a bucket; the default is what a new bucket has on AWS.
#[derive(Clone, Debug)]
pub struct BucketSettings {
    pub versioned: bool,
    /// Mode and days of the default retention, where Object Lock is on.
    pub object_lock: Option<(String, i32)>,
    /// The KMS key that new objects are encrypted with, where it is not S3's own.
    pub kms_key: Option<String>,
    pub public_access_blocked: bool,
}

impl Default for BucketSettings {
    fn default() -> Self {
        Self { versioned: false, object_lock: None, kms_key: None, public_access_blocked: true }
    }
}

impl BucketSettings {
    pub(super) fn versioning(&self) -> GetBucketVersioningOutput {
        // AWS: a bucket that was never versioned has no status at all.
        let status =
            self.versioned.then(|| BucketVersioningStatus::from_static(BucketVersioningStatus::ENABLED));
        GetBucketVersioningOutput { status, ..Default::default() }
    }

    pub(super) fn object_lock(&self) -> S3Result<GetObjectLockConfigurationOutput> {
        let Some((mode, days)) = self.object_lock.clone() else {
            return Err(s3_error!(
                ObjectLockConfigurationNotFoundError,
                "Object Lock configuration does not exist for this bucket"
            ));
        };
        let retention = DefaultRetention {
            mode: Some(ObjectLockRetentionMode::from(mode)),
            days: Some(days),
            years: None,
        };
        let configuration = ObjectLockConfiguration {
            object_lock_enabled: Some(ObjectLockEnabled::from_static(ObjectLockEnabled::ENABLED)),
            rule: Some(ObjectLockRule { default_retention: Some(retention) }),
        };
        Ok(GetObjectLockConfigurationOutput { object_lock_configuration: Some(configuration) })
    }

    pub(super) fn encryption(&self) -> GetBucketEncryptionOutput {
        let algorithm =
            if self.kms_key.is_some() { ServerSideEncryption::AWS_KMS } else { ServerSideEncryption::AES256 };
        let by_default = ServerSideEncryptionByDefault {
            kms_master_key_id: self.kms_key.clone(),
            sse_algorithm: ServerSideEncryption::from_static(algorithm),
        };
        let rule = ServerSideEncryptionRule {
            apply_server_side_encryption_by_default: Some(by_default),
            ..Default::default()
        };
        GetBucketEncryptionOutput {
            server_side_encryption_configuration: Some(ServerSideEncryptionConfiguration {
                rules: vec![rule],
            }),
        }
    }

    pub(super) fn public_access(&self) -> GetPublicAccessBlockOutput {
        let blocked = Some(self.public_access_blocked);
        let configuration = PublicAccessBlockConfiguration {
            block_public_acls: blocked,
            block_public_policy: blocked,
            ignore_public_acls: blocked,
            restrict_public_buckets: blocked,
        };
        GetPublicAccessBlockOutput { public_access_block_configuration: Some(configuration) }
    }
}
