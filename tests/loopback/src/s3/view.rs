//! A bucket as a test sees it.

use std::sync::Arc;

use bytes::Bytes;
use s3s::dto::Checksum;

use super::digest;
use super::settings::BucketSettings;
use super::store::{Bucket, Object};

/// A bucket, looked at from behind.
#[derive(Clone)]
pub struct BucketView(Option<Arc<Bucket>>);

impl BucketView {
    pub(super) fn new(bucket: Option<Arc<Bucket>>) -> Self {
        Self(bucket)
    }

    /// All keys, in S3's order.
    pub fn keys(&self) -> Vec<String> {
        self.0
            .as_ref()
            .map_or_else(Vec::new, |bucket| bucket.with_objects(|live| live.keys().cloned().collect()))
    }

    pub fn get(&self, key: &str) -> Option<Bytes> {
        Some(self.0.as_ref()?.get(key)?.body.clone())
    }

    /// Every body that clients wrote under the key, oldest first.
    pub fn versions(&self, key: &str) -> Vec<Bytes> {
        self.0.as_ref().map_or_else(Vec::new, |bucket| bucket.versions(key))
    }

    /// Puts or overwrites an object behind the clients' backs; this does not count as a write.
    ///
    /// # Panics
    ///
    /// If there is no such bucket.
    pub fn put(&self, key: &str, body: impl Into<Bytes>) {
        let body = body.into();
        let object = Object {
            etag: digest::etag(&body),
            body,
            modified: Some(std::time::SystemTime::now()),
            ..Object::default()
        };
        self.existing().replace(key, Some(object));
    }

    /// Changes the bytes of an object behind the clients' backs; this does not count as a write. What its writer
    /// said about it stays, but its ETag is that of the new bytes and it has no checksum: only who knows what was
    /// written can tell.
    ///
    /// # Panics
    ///
    /// If there is no such bucket or object.
    pub fn change(&self, key: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let bucket = self.existing();
        let object = bucket.get(key).expect("the test has made the object");
        let mut body = object.body.to_vec();
        change(&mut body);
        let changed = Object {
            etag: digest::etag(&body),
            body: body.into(),
            checksum: Checksum::default(),
            headers: object.headers.clone(),
            modified: object.modified,
        };
        bucket.replace(key, Some(changed));
    }

    /// Removes an object behind the clients' backs.
    ///
    /// # Panics
    ///
    /// If there is no such bucket.
    pub fn remove(&self, key: &str) {
        self.existing().replace(key, None);
    }

    /// Changes how the bucket is set up.
    ///
    /// # Panics
    ///
    /// If there is no such bucket.
    pub fn set_up(&self, settings: BucketSettings) {
        *self.existing().settings.lock() = settings;
    }

    /// How many times clients have written the key.
    pub fn writes(&self, key: &str) -> usize {
        self.0.as_ref().map_or(0, |bucket| bucket.writes(key))
    }

    /// Keys that a client wrote although they were there, or deleted.
    pub fn overwritten(&self) -> Vec<String> {
        self.0.as_ref().map_or_else(Vec::new, |bucket| bucket.overwritten())
    }

    fn existing(&self) -> &Bucket {
        self.0.as_deref().expect("the test has made the bucket")
    }
}
