//! Checksums: verified when a body arrives, kept for those who fetch it.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest, Md5};
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
use s3s::dto::Checksum;
use s3s::{S3Result, s3_error};

use crate::wire::hex;

pub(super) fn md5(body: &[u8]) -> [u8; 16] {
    Md5::digest(body).into()
}

/// The ETag of a body sent in one piece, without its quotes.
pub(super) fn etag(body: &[u8]) -> String {
    hex(&md5(body))
}

/// The ETag of an object of several parts: the digest of their digests, and their number.
pub(super) fn multipart_etag(digests: &[[u8; 16]]) -> String {
    format!("{}-{}", hex(&md5(digests.as_flattened())), digests.len())
}

/// Compares the body with what its sender said about it; gives back the checksums to keep.
/// Without any, S3 makes one of its own: CRC64NVME.
pub(super) fn verify(body: &[u8], content_md5: Option<&str>, said: &Checksum) -> S3Result<Checksum> {
    if let Some(said) = content_md5 {
        verify_md5(body, said)?;
    }
    let found = compute(body, said);
    for (name, said, found) in [
        ("CRC32", &said.checksum_crc32, &found.checksum_crc32),
        ("CRC32C", &said.checksum_crc32c, &found.checksum_crc32c),
        ("CRC64NVME", &said.checksum_crc64nvme, &found.checksum_crc64nvme),
        ("SHA1", &said.checksum_sha1, &found.checksum_sha1),
        ("SHA256", &said.checksum_sha256, &found.checksum_sha256),
    ] {
        if said.is_some() && said != found {
            return Err(s3_error!(
                BadDigest,
                "The {name} you specified did not match the calculated checksum."
            ));
        }
    }
    Ok(found)
}

fn verify_md5(body: &[u8], said: &str) -> S3Result<()> {
    let said = BASE64_STANDARD.decode(said).ok().filter(|digest| digest.len() == 16);
    let said = said.ok_or_else(|| s3_error!(InvalidDigest, "The Content-MD5 you specified was invalid."))?;
    if said != md5(body) {
        return Err(s3_error!(BadDigest, "The Content-MD5 you specified did not match what we received."));
    }
    Ok(())
}

/// The checksums of `body` for every algorithm that `wanted` has a value for, or CRC64NVME.
fn compute(body: &[u8], wanted: &Checksum) -> Checksum {
    let mut hasher = ChecksumHasher {
        crc32: wanted.checksum_crc32.is_some().then(Crc32::new),
        crc32c: wanted.checksum_crc32c.is_some().then(Crc32c::new),
        sha1: wanted.checksum_sha1.is_some().then(Sha1::new),
        sha256: wanted.checksum_sha256.is_some().then(Sha256::new),
        crc64nvme: wanted.checksum_crc64nvme.is_some().then(Crc64Nvme::new),
    };
    if is_empty(wanted) {
        hasher.crc64nvme = Some(Crc64Nvme::new());
    }
    hasher.update(body);
    hasher.finalize()
}

fn is_empty(checksum: &Checksum) -> bool {
    let Checksum {
        checksum_crc32, checksum_crc32c, checksum_crc64nvme, checksum_sha1, checksum_sha256, ..
    } = checksum;
    [checksum_crc32, checksum_crc32c, checksum_crc64nvme, checksum_sha1, checksum_sha256]
        .iter()
        .all(|value| value.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn etags_are_those_of_aws() {
        assert_eq!(etag(b"hello"), "5d41402abc4b2a76b9719d911017c592");
        let of_one_part = format!("{}-1", etag(&md5(b"hello")));
        assert_eq!(multipart_etag(&[md5(b"hello")]), of_one_part);
    }

    #[test]
    fn a_wrong_checksum_is_refused() {
        let said = Checksum { checksum_crc32: Some("AAAAAA==".into()), ..Checksum::default() };
        assert!(verify(b"hello", None, &said).is_err());
        assert!(verify(b"hello", Some("XUFAKrxLKna5cZ2REBfFkg=="), &Checksum::default()).is_ok());
    }
}
