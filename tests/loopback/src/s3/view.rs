//! A bucket as a test sees it.

use std::sync::Arc;

use bytes::Bytes;

use super::digest;
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

    /// Removes an object behind the clients' backs.
    ///
    /// # Panics
    ///
    /// If there is no such bucket.
    pub fn remove(&self, key: &str) {
        self.existing().replace(key, None);
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
