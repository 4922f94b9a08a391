//! How a bucket is set up, as far as its owner lets us see.

use std::error::Error as StdError;

use aws_sdk_s3::types::{BucketVersioningStatus, ObjectLockRule};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::Bucket;
use crate::aws::access::{Access, Told, access, is_denied};
use crate::aws::failure::{code, failure};
use crate::error::Result;

/// How objects are encrypted that do not ask for anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encryption {
    /// `AES256`, `aws:kms` or `aws:kms:dsse`.
    pub algorithm: String,
    /// The KMS key, where it is not AWS's own.
    pub kms_key: Option<String>,
}

impl Bucket {
    /// Whether an account owns the bucket (S3 User Guide, “Verifying bucket ownership with bucket owner condition”).
    pub async fn is_owned_by(&self, account_id: &str) -> Result<bool> {
        match self.client.head_bucket().bucket(&self.name).expected_bucket_owner(account_id).send().await {
            Ok(_) => Ok(true),
            Err(error) if error.raw_response().is_some_and(|raw| raw.status().as_u16() == 403) => Ok(false),
            Err(error) => Err(failure(&error, format!("open bucket {}", self.name))),
        }
    }

    /// Whether keys that begin with `prefix` may be listed.
    pub async fn may_list(&self, prefix: &str) -> Result<Access> {
        let request = self.client.list_objects_v2().bucket(&self.name).prefix(prefix).max_keys(1);
        access(request.send().await, &[], format!("list s3://{}/{prefix}", self.name))
    }

    /// Whether objects may be read, by the answer about one that is missing. Only who may list the bucket is told
    /// that it is (S3 API Reference, “GetObject”).
    pub async fn may_get(&self, missing: &str) -> Result<Access> {
        let answer = self.client.get_object().bucket(&self.name).key(missing).send().await;
        access(answer, &["NoSuchKey"], format!("read s3://{}/{missing}, which does not exist", self.name))
    }

    /// Whether the versions of objects are kept.
    pub async fn is_versioned(&self) -> Result<Told<bool>> {
        let answer = self.client.get_bucket_versioning().bucket(&self.name).send().await;
        let is_enabled = |status| status == Some(BucketVersioningStatus::Enabled);
        self.told(answer, "versioning", |answer| is_enabled(answer.status), |_| None)
    }

    /// How long Object Lock keeps new objects, in words; none where the bucket has no Object Lock.
    pub async fn object_lock(&self) -> Result<Told<Option<String>>> {
        let answer = self.client.get_object_lock_configuration().bucket(&self.name).send().await;
        let words = |rule: Option<ObjectLockRule>| match rule.and_then(|rule| rule.default_retention) {
            None => "without a default retention".to_owned(),
            Some(retention) => {
                let mode = retention.mode.map(|mode| mode.as_str().to_lowercase()).unwrap_or_default();
                match (retention.days, retention.years) {
                    (Some(days), _) => format!("{mode} for {days} days"),
                    (_, years) => format!("{mode} for {} years", years.unwrap_or_default()),
                }
            }
        };
        let none = |code: &str| (code == "ObjectLockConfigurationNotFoundError").then_some(None);
        let read = |answer: aws_sdk_s3::operation::get_object_lock_configuration::GetObjectLockConfigurationOutput| {
            answer.object_lock_configuration.map(|lock| words(lock.rule))
        };
        self.told(answer, "Object Lock", read, none)
    }

    /// How new objects are encrypted. Every bucket has a default (S3 User Guide, “Setting default server-side
    /// encryption behavior for Amazon S3 buckets”).
    pub async fn encryption(&self) -> Result<Told<Encryption>> {
        let answer = self.client.get_bucket_encryption().bucket(&self.name).send().await;
        let by_default = || Encryption { algorithm: "AES256".to_owned(), kms_key: None };
        let none = |code: &str| (code == "ServerSideEncryptionConfigurationNotFoundError").then(by_default);
        let read = |answer: aws_sdk_s3::operation::get_bucket_encryption::GetBucketEncryptionOutput| {
            let rules = answer.server_side_encryption_configuration.map(|it| it.rules).unwrap_or_default();
            let rule = rules.into_iter().find_map(|rule| rule.apply_server_side_encryption_by_default);
            rule.map_or_else(by_default, |rule| Encryption {
                algorithm: rule.sse_algorithm.as_str().to_owned(),
                kms_key: rule.kms_master_key_id,
            })
        };
        self.told(answer, "encryption", read, none)
    }

    /// Whether all public access to the bucket is blocked.
    pub async fn is_private(&self) -> Result<Told<bool>> {
        let answer = self.client.get_public_access_block().bucket(&self.name).send().await;
        let none = |code: &str| (code == "NoSuchPublicAccessBlockConfiguration").then_some(false);
        let read = |answer: aws_sdk_s3::operation::get_public_access_block::GetPublicAccessBlockOutput| {
            answer.public_access_block_configuration.is_some_and(|block| {
                let all = [
                    block.block_public_acls,
                    block.ignore_public_acls,
                    block.block_public_policy,
                    block.restrict_public_buckets,
                ];
                all.iter().all(|blocked| *blocked == Some(true))
            })
        };
        self.told(answer, "public access block", read, none)
    }

    /// What an answer tells; `none` reads the codes that say that there is no such configuration.
    fn told<T, O, E>(
        &self,
        answer: Result<O, SdkError<E, HttpResponse>>,
        what: &str,
        read: impl FnOnce(O) -> T,
        none: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Told<T>>
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        let error = match answer {
            Ok(answer) => return Ok(Told::Is(read(answer))),
            Err(error) => error,
        };
        if is_denied(code(&error)) {
            return Ok(Told::NotReadable);
        }
        match code(&error).and_then(none) {
            Some(told) => Ok(Told::Is(told)),
            None => Err(failure(&error, format!("read the {what} of bucket {}", self.name))),
        }
    }
}
