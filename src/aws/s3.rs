//! S3: the archive's bucket, in which an object is created once and never changed.

mod settings;

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::head_bucket::HeadBucketError;
use aws_sdk_s3::operation::put_object::PutObjectError;
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use jiff::Timestamp;

use super::failure::{code, failure};
use super::{MAX_ATTEMPTS, Session};
use crate::error::{Error, Result};

/// One attempt at an object of up to a few hundred MiB over a slow link.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(300);

pub use self::settings::Encryption;

/// The bucket of the archive.
#[derive(Clone, Debug)]
pub struct Bucket {
    client: Client,
    name: String,
    signs_bodies: bool,
}

/// An object to be created.
#[derive(Clone, Debug)]
pub struct NewObject {
    pub body: Bytes,
    pub content_type: &'static str,
    /// Base64 of the body's MD5; S3 verifies it.
    pub content_md5: String,
    /// Base64 of the body's CRC32, most significant byte first; S3 verifies it and keeps it with the object.
    pub crc32: String,
    /// User metadata: names are lower case.
    pub metadata: HashMap<String, String>,
}

/// What became of a creation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Creation {
    Created {
        etag: String,
    },
    /// The key was taken: what lies there stays as it is.
    Exists,
}

/// An object as a listing names it.
#[derive(Clone, Debug)]
pub struct Listed {
    pub key: String,
    pub last_modified: Option<Timestamp>,
}

/// An object that was read.
#[derive(Clone, Debug)]
pub struct Object {
    pub body: Bytes,
    pub metadata: HashMap<String, String>,
}

/// An object's head.
#[derive(Clone, Debug)]
pub struct Head {
    pub etag: String,
    pub size_bytes: u64,
    pub metadata: HashMap<String, String>,
}

/// What has failed of a read.
enum GetError {
    /// The call, after all the attempts that it is worth.
    Call(Error),
    /// The body of an answer that had begun well.
    Body(Error),
}

impl Bucket {
    /// Opens the bucket, and makes sure that it exists here and may be read.
    ///
    /// # Errors
    /// A usage error that names the bucket and the mend: no such bucket, another region, another account.
    pub async fn open(session: &Session, name: &str) -> Result<Self> {
        Self::find(session, name).await.map_err(|unusable| unusable.into_error(name, session.region()))
    }

    /// Opens the bucket, or says what keeps it from being used.
    pub async fn find(session: &Session, name: &str) -> Result<Self, Unusable> {
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).build();
        let config = aws_sdk_s3::config::Builder::from(&session.sdk)
            .force_path_style(session.has_endpoint_override())
            .timeout_config(timeouts)
            .interceptor(session.retries.clone())
            .build();
        let signs_bodies = !session.is_encrypted();
        let bucket = Self { client: Client::from_conf(config), name: name.to_owned(), signs_bodies };
        match bucket.client.head_bucket().bucket(name).send().await {
            Ok(_) => Ok(bucket),
            Err(error) => {
                Err(Unusable::of(&error, session.region(), || failure(&error, format!("open bucket {name}"))))
            }
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Creates an object unless its key is taken. S3 decides between concurrent creations: exactly one wins
    /// (S3 User Guide, “How to prevent object overwrites with conditional writes”).
    pub async fn create(&self, key: &str, object: NewObject) -> Result<Creation> {
        // 409 says that a concurrent creation was still undecided, and that the put should be sent again.
        let put = || self.put_if_absent(key, &object);
        let conflict = ExponentialBuilder::default().with_jitter().with_max_times(8);
        let answer =
            put.retry(conflict).when(|error| code(error) == Some("ConditionalRequestConflict")).await;
        match answer {
            Ok(etag) => Ok(Creation::Created { etag }),
            Err(error) if code(&error) == Some("PreconditionFailed") => Ok(Creation::Exists),
            Err(error) => Err(failure(&error, format!("create s3://{}/{key}", self.name))),
        }
    }

    /// Over HTTPS the signature leaves out the body: TLS and two checksums protect it, and its SHA-256 would be
    /// computed on an async thread, for milliseconds.
    async fn put_if_absent(&self, key: &str, object: &NewObject) -> Result<String, SdkError<PutObjectError>> {
        let put = self
            .client
            .put_object()
            .bucket(&self.name)
            .key(key)
            .if_none_match("*")
            .content_type(object.content_type)
            .content_md5(&object.content_md5)
            .checksum_crc32(&object.crc32)
            .set_metadata(Some(object.metadata.clone()))
            .body(ByteStream::from(object.body.clone()))
            .customize();
        let put = if self.signs_bodies { put } else { put.disable_payload_signing() };
        Ok(unquoted(put.send().await?.e_tag()))
    }

    /// A whole object, or `None` where there is none.
    pub async fn get(&self, key: &str) -> Result<Option<Object>> {
        // The SDK tries again until an answer begins, and leaves its body to us: one that breaks off, stalls, or is not
        // what its checksum says is asked for again.
        let get = || self.get_once(key);
        let body = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(50))
            .with_jitter()
            .with_max_times(MAX_ATTEMPTS as usize - 1);
        let answer = get.retry(body).when(|error| matches!(error, GetError::Body(_))).await;
        answer.map_err(|(GetError::Call(error) | GetError::Body(error))| error)
    }

    async fn get_once(&self, key: &str) -> Result<Option<Object>, GetError> {
        let step = || format!("read s3://{}/{key}", self.name);
        let answer = match self.client.get_object().bucket(&self.name).key(key).send().await {
            Ok(answer) => answer,
            Err(error) if code(&error) == Some("NoSuchKey") => return Ok(None),
            Err(error) => return Err(GetError::Call(failure(&error, step()))),
        };
        let metadata = answer.metadata.unwrap_or_default();
        match answer.body.collect().await {
            Ok(body) => Ok(Some(Object { body: body.into_bytes(), metadata })),
            Err(error) => Err(GetError::Body(Error::retryable(step()).with_source(error))),
        }
    }

    /// An object's head, or `None` where there is none.
    pub async fn head(&self, key: &str) -> Result<Option<Head>> {
        let status = |error: &SdkError<_, HttpResponse>| Some(error.raw_response()?.status().as_u16());
        match self.client.head_object().bucket(&self.name).key(key).send().await {
            Ok(head) => Ok(Some(Head {
                etag: unquoted(head.e_tag()),
                size_bytes: head.content_length().and_then(|size| size.try_into().ok()).unwrap_or_default(),
                metadata: head.metadata.unwrap_or_default(),
            })),
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => {
                let failure = failure(&error, format!("look at s3://{}/{key}", self.name));
                // The answer to a HEAD has no body that could name the code (S3 API Reference, “HeadObject”): this may
                // be a session that has expired.
                let is_nameless = matches!(status(&error), Some(400 | 403)) && code(&error).is_none();
                Err(if is_nameless { failure.into_retryable() } else { failure })
            }
        }
    }

    pub async fn exists(&self, key: &str) -> Result<bool> {
        Ok(self.head(key).await?.is_some())
    }

    /// Every object whose key starts with `prefix`, in key order.
    pub async fn list(&self, prefix: &str) -> Result<Vec<Listed>> {
        let request = self.client.list_objects_v2().bucket(&self.name).prefix(prefix);
        let mut pages = request.into_paginator().send();
        let mut objects = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| failure(&error, format!("list s3://{}/{prefix}", self.name)))?;
            objects.extend(page.contents.unwrap_or_default().into_iter().filter_map(listed));
        }
        Ok(objects)
    }

    /// The folders directly below `prefix` (which ends in `/`) whose names come after `start_after`.
    pub async fn folders(&self, prefix: &str, start_after: &str) -> Result<Vec<String>> {
        let request = self.client.list_objects_v2().bucket(&self.name).prefix(prefix).delimiter("/");
        let mut pages = request.start_after(format!("{prefix}{start_after}")).into_paginator().send();
        let mut folders = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| failure(&error, format!("list s3://{}/{prefix}", self.name)))?;
            let prefixes =
                page.common_prefixes.unwrap_or_default().into_iter().filter_map(|found| found.prefix);
            folders.extend(prefixes.map(|found| found[prefix.len()..].trim_end_matches('/').to_owned()));
        }
        Ok(folders)
    }
}

/// Why a bucket cannot be used.
#[derive(Debug)]
pub enum Unusable {
    /// It is in this region.
    Elsewhere(String),
    Missing,
    Forbidden,
    Failed(Error),
}

impl Unusable {
    /// HeadBucket has no body, so its status and `x-amz-bucket-region` are all there is to go by
    /// (S3 API Reference, “HeadBucket”).
    fn of(error: &SdkError<HeadBucketError>, region: &str, failure: impl FnOnce() -> Error) -> Self {
        let Some(response) = error.raw_response() else { return Self::Failed(failure()) };
        match (response.status().as_u16(), response.headers().get("x-amz-bucket-region")) {
            (301, Some(other)) if other != region => Self::Elsewhere(other.to_owned()),
            (404, _) => Self::Missing,
            (403, _) => Self::Forbidden,
            _ => Self::Failed(failure()),
        }
    }

    /// What there is to say of the bucket of this name, in a process that works in `region`.
    pub fn into_error(self, name: &str, region: &str) -> Error {
        match self {
            Self::Elsewhere(other) => Error::usage(format!(
                "bucket {name} is in {other}, but this process works in {region}: set AWS_REGION={other} or \
                 name a bucket in {region}"
            )),
            Self::Missing => Error::usage(format!(
                "bucket {name} does not exist: create it, or name another with --bucket or BACKUP_BUCKET"
            )),
            Self::Forbidden => Error::usage(format!(
                "bucket {name} may not be read: it belongs to another account, or the role lacks s3:ListBucket"
            )),
            Self::Failed(error) => error,
        }
    }
}

fn listed(object: aws_sdk_s3::types::Object) -> Option<Listed> {
    let last_modified = object
        .last_modified
        .and_then(|time| Timestamp::new(time.secs(), time.subsec_nanos().try_into().ok()?).ok());
    Some(Listed { key: object.key?, last_modified })
}

/// S3 sends ETags in quotes.
fn unquoted(etag: Option<&str>) -> String {
    etag.unwrap_or_default().trim_matches('"').to_owned()
}
