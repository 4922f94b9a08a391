//! Uploads in parts.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::{Bytes, BytesMut};
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Sha1, Sha256};
use s3s::dto::{
    AbortMultipartUploadInput, Checksum, CompleteMultipartUploadInput, CompleteMultipartUploadOutput,
    CompletedPart, CreateMultipartUploadInput, CreateMultipartUploadOutput, ETag, UploadPartInput,
    UploadPartOutput,
};
use s3s::{S3Error, S3Result, s3_error};
use uuid::Uuid;

use super::digest;
use super::operations::read;
use super::store::{Bucket, Conditions, Headers, Object};
use crate::wire::hex;

/// Every part but the last must have this size. Amazon S3 User Guide, "Multipart upload limits".
const MIN_PART_BYTES: usize = 5 * 1024 * 1024;

/// An upload that is not complete yet.
#[derive(Clone)]
pub(super) struct Upload {
    key: String,
    headers: Headers,
    parts: BTreeMap<i32, Part>,
}

#[derive(Clone)]
struct Part {
    body: Bytes,
    md5: [u8; 16],
    checksum: Checksum,
}

pub(super) fn create(bucket: &Bucket, input: CreateMultipartUploadInput) -> CreateMultipartUploadOutput {
    let id = Uuid::new_v4().to_string();
    let headers = Headers {
        content_type: input.content_type,
        content_encoding: input.content_encoding,
        metadata: input.metadata,
    };
    let upload = Upload { key: input.key.clone(), headers, parts: BTreeMap::new() };
    bucket.uploads.lock().insert(id.clone(), upload);
    CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(id),
        checksum_algorithm: input.checksum_algorithm,
        checksum_type: input.checksum_type,
        ..Default::default()
    }
}

pub(super) async fn upload_part(bucket: &Bucket, input: UploadPartInput) -> S3Result<UploadPartOutput> {
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
    let md5 = digest::md5(&body);
    let part = Part { body, md5, checksum: checksum.clone() };
    let mut uploads = bucket.uploads.lock();
    let upload = uploads.get_mut(&input.upload_id).filter(|upload| upload.key == input.key);
    upload.ok_or_else(no_such_upload)?.parts.insert(input.part_number, part);
    Ok(UploadPartOutput {
        e_tag: Some(ETag::Strong(hex(&md5))),
        checksum_crc32: checksum.checksum_crc32,
        checksum_crc32c: checksum.checksum_crc32c,
        checksum_crc64nvme: checksum.checksum_crc64nvme,
        checksum_sha1: checksum.checksum_sha1,
        checksum_sha256: checksum.checksum_sha256,
        ..Default::default()
    })
}

/// The upload ends only if the object could be written; after a 412 it is still there.
pub(super) fn complete(
    bucket: &Bucket,
    input: CompleteMultipartUploadInput,
) -> S3Result<CompleteMultipartUploadOutput> {
    let listed = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
    // Cloned, so that nobody waits for the lock while the parts are joined.
    let upload =
        bucket.uploads.lock().get(&input.upload_id).filter(|upload| upload.key == input.key).cloned();
    let object = upload.ok_or_else(no_such_upload)?.assemble(&listed)?;
    let (etag, checksum) = (object.etag.clone(), object.checksum.clone());
    let conditions = Conditions { if_none_match: input.if_none_match, if_match: input.if_match };
    bucket.put(&input.key, object, &conditions)?;
    bucket.uploads.lock().remove(&input.upload_id);
    Ok(CompleteMultipartUploadOutput {
        location: Some(format!("/{}/{}", input.bucket, input.key)),
        bucket: Some(input.bucket),
        key: Some(input.key),
        e_tag: Some(ETag::Strong(etag)),
        checksum_crc32: checksum.checksum_crc32,
        checksum_crc32c: checksum.checksum_crc32c,
        checksum_sha1: checksum.checksum_sha1,
        checksum_sha256: checksum.checksum_sha256,
        ..Default::default()
    })
}

pub(super) fn abort(bucket: &Bucket, input: &AbortMultipartUploadInput) -> S3Result<()> {
    bucket.uploads.lock().remove(&input.upload_id).map(drop).ok_or_else(no_such_upload)
}

impl Upload {
    /// The object that the parts listed make up.
    fn assemble(&self, listed: &[CompletedPart]) -> S3Result<Object> {
        let parts = self.chosen(listed)?;
        let all_but_last = &parts[..parts.len() - 1];
        if all_but_last.iter().any(|part| part.body.len() < MIN_PART_BYTES) {
            return Err(s3_error!(
                EntityTooSmall,
                "Your proposed upload is smaller than the minimum allowed size"
            ));
        }
        let mut body = BytesMut::with_capacity(parts.iter().map(|part| part.body.len()).sum());
        parts.iter().for_each(|part| body.extend_from_slice(&part.body));
        Ok(Object {
            body: body.freeze(),
            etag: digest::multipart_etag(&parts.iter().map(|part| part.md5).collect::<Vec<_>>()),
            checksum: composite(&parts),
            headers: self.headers.clone(),
            modified: None,
        })
    }

    fn chosen(&self, listed: &[CompletedPart]) -> S3Result<Vec<&Part>> {
        let numbers: Vec<_> = listed.iter().filter_map(|part| part.part_number).collect();
        if numbers.is_empty() {
            return Err(s3_error!(MalformedXML, "The XML you provided did not list any part"));
        }
        if !numbers.is_sorted_by(|one, next| one < next) {
            return Err(s3_error!(InvalidPartOrder, "The list of parts was not in ascending order."));
        }
        listed.iter().map(|part| self.find(part)).collect()
    }

    fn find(&self, listed: &CompletedPart) -> S3Result<&Part> {
        let part = listed.part_number.and_then(|number| self.parts.get(&number));
        part.filter(|part| listed.e_tag.as_ref().is_some_and(|etag| etag.value() == hex(&part.md5)))
            .ok_or_else(|| s3_error!(InvalidPart, "One or more of the specified parts could not be found."))
    }
}

/// The checksum of the parts' checksums, with their number: what S3 calls `COMPOSITE`. The kinds that all
/// parts came with are made; CRC64NVME knows no composite.
fn composite(parts: &[&Part]) -> Checksum {
    type Value = fn(&Checksum) -> Option<&String>;
    let joined = |value: Value| -> Option<Vec<u8>> {
        let values = parts.iter().map(|part| BASE64_STANDARD.decode(value(&part.checksum)?).ok());
        Some(values.collect::<Option<Vec<_>>>()?.concat())
    };
    let label = |sum: &[u8]| format!("{}-{}", BASE64_STANDARD.encode(sum), parts.len());
    Checksum {
        checksum_crc32: joined(|sum| sum.checksum_crc32.as_ref()).map(|sums| label(&Crc32::checksum(&sums))),
        checksum_crc32c: joined(|sum| sum.checksum_crc32c.as_ref())
            .map(|sums| label(&Crc32c::checksum(&sums))),
        checksum_sha1: joined(|sum| sum.checksum_sha1.as_ref())
            .map(|sums| label(Sha1::checksum(&sums).as_ref())),
        checksum_sha256: joined(|sum| sum.checksum_sha256.as_ref())
            .map(|sums| label(Sha256::checksum(&sums).as_ref())),
        ..Checksum::default()
    }
}

fn no_such_upload() -> S3Error {
    s3_error!(NoSuchUpload, "The specified multipart upload does not exist.")
}
