//! Uploads in parts.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::{Bytes, BytesMut};
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Sha1, Sha256};
use s3s::dto::{Checksum, CompletedPart};
use s3s::{S3Result, s3_error};

use super::digest;
use super::store::{Headers, Object};

/// Every part but the last must have this size. Amazon S3 User Guide, "Multipart upload limits".
const MIN_PART_BYTES: usize = 5 * 1024 * 1024;

/// An upload that is not complete yet.
pub(super) struct Upload {
    pub(super) key: String,
    pub(super) headers: Headers,
    pub(super) parts: BTreeMap<i32, Part>,
}

#[derive(Clone)]
pub(super) struct Part {
    pub(super) body: Bytes,
    /// Without quotes.
    pub(super) etag: String,
    pub(super) checksum: Checksum,
}

impl Upload {
    /// The object that the parts listed make up.
    pub(super) fn assemble(&self, listed: &[CompletedPart]) -> S3Result<Object> {
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
            etag: digest::multipart_etag(parts.iter().map(|part| &part.body[..])),
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
        part.filter(|part| listed.e_tag.as_ref().is_some_and(|etag| etag.value() == part.etag))
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
