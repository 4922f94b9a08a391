//! The operations of S3, as the protocol crate wants them. Who may call them has been decided before.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use s3s::dto::*;
use s3s::{Body, S3, S3Request, S3Response, S3Result, s3_error};

use super::digest;
use super::listing::{self, Query, Start};
use super::multipart;
use super::store::{Bucket, Conditions, Headers, Object, Store};

/// A page of a listing has no more entries than this.
const MAX_KEYS: i32 = 1000;

/// In whose name a bucket is created. Travels in the extensions of the request.
#[derive(Clone)]
pub(super) struct Owner {
    pub(super) account: String,
    pub(super) region: String,
}

pub(super) struct Operations {
    store: Arc<Store>,
}

impl Operations {
    pub(super) fn new(store: Arc<Store>) -> Self {
        Self { store }
    }

    fn bucket(&self, name: &str) -> S3Result<Arc<Bucket>> {
        self.store.bucket(name).ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist"))
    }

    fn object(&self, bucket: &str, key: &str) -> S3Result<Arc<Object>> {
        self.bucket(bucket)?.get(key).ok_or_else(|| s3_error!(NoSuchKey, "The specified key does not exist."))
    }
}

#[async_trait::async_trait]
impl S3 for Operations {
    async fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        let owner = owner(&request)?;
        let name = &request.input.bucket;
        if let Some(bucket) = self.store.bucket(name) {
            return Err(if bucket.account == owner.account {
                s3_error!(
                    BucketAlreadyOwnedByYou,
                    "Your previous request to create the named bucket succeeded"
                )
            } else {
                s3_error!(BucketAlreadyExists, "The requested bucket name is not available")
            });
        }
        self.store.create(name, &owner.account, &owner.region);
        Ok(S3Response::new(CreateBucketOutput { location: Some(format!("/{name}")) }))
    }

    async fn list_buckets(
        &self,
        request: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        let names = self.store.names(&owner(&request)?.account);
        let buckets =
            names.into_iter().map(|name| s3s::dto::Bucket { name: Some(name), ..Default::default() });
        Ok(S3Response::new(ListBucketsOutput { buckets: Some(buckets.collect()), ..Default::default() }))
    }

    async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        let region = self.bucket(&request.input.bucket)?.region.clone();
        Ok(S3Response::new(HeadBucketOutput { bucket_region: Some(region), ..Default::default() }))
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        let region = self.bucket(&request.input.bucket)?.region.clone();
        // AWS: the first region has no location constraint.
        let location_constraint = (region != "us-east-1").then(|| BucketLocationConstraint::from(region));
        Ok(S3Response::new(GetBucketLocationOutput { location_constraint }))
    }

    async fn get_bucket_versioning(
        &self,
        request: S3Request<GetBucketVersioningInput>,
    ) -> S3Result<S3Response<GetBucketVersioningOutput>> {
        let bucket = self.bucket(&request.input.bucket)?;
        let settings = bucket.settings.lock();
        Ok(S3Response::new(settings.versioning()))
    }

    async fn get_object_lock_configuration(
        &self,
        request: S3Request<GetObjectLockConfigurationInput>,
    ) -> S3Result<S3Response<GetObjectLockConfigurationOutput>> {
        let bucket = self.bucket(&request.input.bucket)?;
        let settings = bucket.settings.lock();
        settings.object_lock().map(S3Response::new)
    }

    async fn get_bucket_encryption(
        &self,
        request: S3Request<GetBucketEncryptionInput>,
    ) -> S3Result<S3Response<GetBucketEncryptionOutput>> {
        let bucket = self.bucket(&request.input.bucket)?;
        let settings = bucket.settings.lock();
        Ok(S3Response::new(settings.encryption()))
    }

    async fn get_public_access_block(
        &self,
        request: S3Request<GetPublicAccessBlockInput>,
    ) -> S3Result<S3Response<GetPublicAccessBlockOutput>> {
        let bucket = self.bucket(&request.input.bucket)?;
        let settings = bucket.settings.lock();
        Ok(S3Response::new(settings.public_access()))
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let input = request.input;
        let bucket = self.bucket(&input.bucket)?;
        let body = read(input.body).await?;
        let said = Checksum {
            checksum_crc32: input.checksum_crc32,
            checksum_crc32c: input.checksum_crc32c,
            checksum_crc64nvme: input.checksum_crc64nvme,
            checksum_sha1: input.checksum_sha1,
            checksum_sha256: input.checksum_sha256,
            ..Default::default()
        };
        let checksum = digest::verify(&body, input.content_md5.as_deref(), &said)?;
        let headers = Headers {
            content_type: input.content_type,
            content_encoding: input.content_encoding,
            metadata: input.metadata,
        };
        let etag = digest::etag(&body);
        let object = Object { body, etag: etag.clone(), checksum: checksum.clone(), headers, modified: None };
        let conditions = Conditions { if_none_match: input.if_none_match, if_match: input.if_match };
        bucket.put(&input.key, object, &conditions)?;
        Ok(S3Response::new(PutObjectOutput {
            e_tag: Some(ETag::Strong(etag)),
            checksum_crc32: checksum.checksum_crc32,
            checksum_crc32c: checksum.checksum_crc32c,
            checksum_crc64nvme: checksum.checksum_crc64nvme,
            checksum_sha1: checksum.checksum_sha1,
            checksum_sha256: checksum.checksum_sha256,
            ..Default::default()
        }))
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        let object = self.object(&input.bucket, &input.key)?;
        if input.if_match.is_some_and(|condition| !object.meets(&condition)) {
            return Err(s3_error!(
                PreconditionFailed,
                "At least one of the pre-conditions you specified did not hold"
            ));
        }
        let length = object.body.len() as u64;
        let range = input.range.map(|range| range.check(length)).transpose()?;
        let body = match &range {
            // A range that was checked fits into the body, and so into memory.
            Some(range) => object.body.slice(range.start as usize..range.end as usize),
            None => object.body.clone(),
        };
        // AWS sends the checksum of the whole object with the whole object only.
        let checksum = match (&range, input.checksum_mode) {
            (None, Some(_)) => object.checksum.clone(),
            _ => Checksum::default(),
        };
        Ok(S3Response::new(GetObjectOutput {
            content_length: Some(body.len() as i64),
            content_range: range.map(|range| format!("bytes {}-{}/{length}", range.start, range.end - 1)),
            body: Some(StreamingBlob::from(Body::from(body))),
            accept_ranges: Some("bytes".to_owned()),
            e_tag: Some(ETag::Strong(object.etag.clone())),
            last_modified: object.modified.map(Timestamp::from),
            content_type: object.headers.content_type.clone(),
            content_encoding: object.headers.content_encoding.clone(),
            metadata: object.headers.metadata.clone(),
            checksum_crc32: checksum.checksum_crc32,
            checksum_crc32c: checksum.checksum_crc32c,
            checksum_crc64nvme: checksum.checksum_crc64nvme,
            checksum_sha1: checksum.checksum_sha1,
            checksum_sha256: checksum.checksum_sha256,
            ..Default::default()
        }))
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
        let object = self.object(&input.bucket, &input.key)?;
        let checksum = input.checksum_mode.map(|_| object.checksum.clone()).unwrap_or_default();
        Ok(S3Response::new(HeadObjectOutput {
            content_length: Some(object.body.len() as i64),
            accept_ranges: Some("bytes".to_owned()),
            e_tag: Some(ETag::Strong(object.etag.clone())),
            last_modified: object.modified.map(Timestamp::from),
            content_type: object.headers.content_type.clone(),
            content_encoding: object.headers.content_encoding.clone(),
            metadata: object.headers.metadata.clone(),
            checksum_crc32: checksum.checksum_crc32,
            checksum_crc32c: checksum.checksum_crc32c,
            checksum_crc64nvme: checksum.checksum_crc64nvme,
            checksum_sha1: checksum.checksum_sha1,
            checksum_sha256: checksum.checksum_sha256,
            ..Default::default()
        }))
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.bucket(&request.input.bucket)?.delete(&request.input.key);
        Ok(S3Response::with_status(DeleteObjectOutput::default(), http::StatusCode::NO_CONTENT))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        let limit = input.max_keys.unwrap_or(MAX_KEYS).clamp(0, MAX_KEYS);
        let query = Query {
            prefix: input.prefix.as_deref().unwrap_or_default(),
            delimiter: input.delimiter.as_deref(),
            start: start(&input)?,
            limit: usize::try_from(limit).unwrap_or_default(),
        };
        let page = self.bucket(&input.bucket)?.with_objects(|live| listing::list(live, &query));
        let key_count = page.objects.len() + page.groups.len();
        Ok(S3Response::new(ListObjectsV2Output {
            key_count: i32::try_from(key_count).ok(),
            max_keys: Some(limit),
            is_truncated: Some(page.next.is_some()),
            next_continuation_token: page.next.map(|next| next.to_token()),
            contents: Some(page.objects.into_iter().map(|(key, object)| entry(key, &object)).collect()),
            common_prefixes: Some(
                page.groups.into_iter().map(|group| CommonPrefix { prefix: Some(group) }).collect(),
            ),
            name: Some(input.bucket),
            prefix: Some(input.prefix.unwrap_or_default()),
            delimiter: input.delimiter,
            start_after: input.start_after,
            continuation_token: input.continuation_token,
            ..Default::default()
        }))
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let bucket = self.bucket(&request.input.bucket)?;
        Ok(S3Response::new(multipart::create(&bucket, request.input)))
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let bucket = self.bucket(&request.input.bucket)?;
        Ok(S3Response::new(multipart::upload_part(&bucket, request.input).await?))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let bucket = self.bucket(&request.input.bucket)?;
        Ok(S3Response::new(multipart::complete(&bucket, request.input)?))
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let bucket = self.bucket(&request.input.bucket)?;
        multipart::abort(&bucket, &request.input)?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }
}

fn owner<T>(request: &S3Request<T>) -> S3Result<Owner> {
    request.extensions.get::<Owner>().cloned().ok_or_else(|| s3_error!(AccessDenied, "Access Denied"))
}

pub(super) async fn read(body: Option<StreamingBlob>) -> S3Result<Bytes> {
    let Some(body) = body else { return Ok(Bytes::new()) };
    let chunks: Vec<Bytes> = body
        .try_collect()
        .await
        .map_err(|error| s3_error!(IncompleteBody, "The request body terminated unexpectedly: {error}"))?;
    Ok(match <[Bytes; 1]>::try_from(chunks) {
        Ok([whole]) => whole,
        Err(chunks) => chunks.concat().into(),
    })
}

fn start(input: &ListObjectsV2Input) -> S3Result<Start> {
    match (&input.continuation_token, &input.start_after) {
        (Some(token), _) => Start::parse(token)
            .ok_or_else(|| s3_error!(InvalidArgument, "The continuation token provided is incorrect")),
        (None, Some(key)) => Ok(Start::AfterKey(key.clone())),
        (None, None) => Ok(Start::First),
    }
}

fn entry(key: String, object: &Object) -> s3s::dto::Object {
    s3s::dto::Object {
        key: Some(key),
        size: Some(object.body.len() as i64),
        e_tag: Some(ETag::Strong(object.etag.clone())),
        last_modified: object.modified.map(Timestamp::from),
        ..Default::default()
    }
}
