//! Buckets and their objects. Every write is kept, so that a test can ask whether anything was overwritten.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use s3s::dto::{Checksum, ETagCondition, Metadata};
use s3s::{S3Result, s3_error};

use super::multipart::Upload;
use super::settings::BucketSettings;

#[derive(Default)]
pub(super) struct Store(RwLock<BTreeMap<String, Arc<Bucket>>>);

impl Store {
    /// The bucket of that name, made if there is none yet.
    pub(super) fn create(&self, name: &str, account: &str, region: &str) -> Arc<Bucket> {
        let make = || Arc::new(Bucket::new(account, region));
        self.0.write().entry(name.to_owned()).or_insert_with(make).clone()
    }

    pub(super) fn bucket(&self, name: &str) -> Option<Arc<Bucket>> {
        self.0.read().get(name).cloned()
    }

    pub(super) fn names(&self, account: &str) -> Vec<String> {
        let buckets = self.0.read();
        buckets.iter().filter(|(_, bucket)| bucket.account == account).map(|(name, _)| name.clone()).collect()
    }
}

pub(super) struct Bucket {
    pub(super) account: String,
    pub(super) region: String,
    pub(super) uploads: Mutex<HashMap<String, Upload>>,
    pub(super) settings: Mutex<BucketSettings>,
    objects: Mutex<Objects>,
}

#[derive(Default)]
struct Objects {
    /// In the order of S3: by the bytes of the keys.
    live: BTreeMap<String, Arc<Object>>,
    /// All that clients wrote under a key, oldest first.
    written: HashMap<String, Vec<Arc<Object>>>,
    /// Keys that a client wrote although they were there, or deleted.
    overwritten: BTreeSet<String>,
}

/// An object as it was written; it never changes.
#[derive(Debug, Default)]
pub(super) struct Object {
    pub(super) body: Bytes,
    /// Without quotes.
    pub(super) etag: String,
    pub(super) checksum: Checksum,
    pub(super) headers: Headers,
    pub(super) modified: Option<SystemTime>,
}

/// What a writer says about an object and a reader is told again.
#[derive(Clone, Debug, Default)]
pub(super) struct Headers {
    pub(super) content_type: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) metadata: Option<Metadata>,
}

/// Under which conditions a write may happen.
#[derive(Clone, Debug, Default)]
pub(super) struct Conditions {
    pub(super) if_none_match: Option<ETagCondition>,
    pub(super) if_match: Option<ETagCondition>,
}

impl Bucket {
    fn new(account: &str, region: &str) -> Self {
        Self {
            account: account.to_owned(),
            region: region.to_owned(),
            uploads: Mutex::default(),
            settings: Mutex::default(),
            objects: Mutex::default(),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<Arc<Object>> {
        self.objects.lock().live.get(key).cloned()
    }

    /// Looks and writes in one step: of several writers with `If-None-Match: *`, one wins.
    pub(super) fn put(&self, key: &str, object: Object, conditions: &Conditions) -> S3Result<()> {
        let mut objects = self.objects.lock();
        conditions.check(objects.live.get(key).map(Arc::as_ref))?;
        let object = Arc::new(Object { modified: Some(SystemTime::now()), ..object });
        if objects.live.insert(key.to_owned(), object.clone()).is_some() {
            objects.overwritten.insert(key.to_owned());
        }
        objects.written.entry(key.to_owned()).or_default().push(object);
        Ok(())
    }

    pub(super) fn delete(&self, key: &str) {
        let mut objects = self.objects.lock();
        if objects.live.remove(key).is_some() {
            objects.overwritten.insert(key.to_owned());
        }
    }

    /// Replaces what is there behind the clients' backs: not counted as a write.
    pub(super) fn replace(&self, key: &str, object: Option<Object>) {
        let mut objects = self.objects.lock();
        match object {
            Some(object) => objects.live.insert(key.to_owned(), Arc::new(object)),
            None => objects.live.remove(key),
        };
    }

    pub(super) fn writes(&self, key: &str) -> usize {
        self.objects.lock().written.get(key).map_or(0, Vec::len)
    }

    pub(super) fn versions(&self, key: &str) -> Vec<Bytes> {
        let objects = self.objects.lock();
        objects.written.get(key).into_iter().flatten().map(|object| object.body.clone()).collect()
    }

    pub(super) fn overwritten(&self) -> Vec<String> {
        self.objects.lock().overwritten.iter().cloned().collect()
    }

    /// Works on the live objects; keep it short, writers wait.
    pub(super) fn with_objects<T>(&self, work: impl FnOnce(&BTreeMap<String, Arc<Object>>) -> T) -> T {
        work(&self.objects.lock().live)
    }
}

impl Conditions {
    fn check(&self, there: Option<&Object>) -> S3Result<()> {
        let failed =
            || s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold");
        match &self.if_none_match {
            Some(condition) if there.is_some_and(|object| object.meets(condition)) => return Err(failed()),
            _ => {}
        }
        match (&self.if_match, there) {
            (Some(_), None) => Err(s3_error!(NoSuchKey, "The specified key does not exist.")),
            (Some(condition), Some(object)) if !object.meets(condition) => Err(failed()),
            _ => Ok(()),
        }
    }
}

impl Object {
    pub(super) fn meets(&self, condition: &ETagCondition) -> bool {
        match condition {
            ETagCondition::Any => true,
            ETagCondition::ETag(etag) => etag.value() == self.etag,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    const CREATORS: usize = 2;
    const ROUNDS: usize = 20_000;

    /// Over the network, clients seldom meet in the few nanoseconds that matter; these threads do.
    #[test]
    fn of_creators_at_the_same_instant_one_wins() {
        let bucket = Bucket::new("222222222222", "eu-west-1");
        let create = Conditions { if_none_match: Some(ETagCondition::Any), if_match: None };
        let arrived = AtomicUsize::new(0);
        let wins = |round: usize| {
            let key = round.to_string();
            let object = Object::default();
            arrived.fetch_add(1, Ordering::SeqCst);
            while arrived.load(Ordering::SeqCst) < (round + 1) * CREATORS {
                // A sleeping barrier would wake its threads one after the other.
                thread::yield_now();
            }
            bucket.put(&key, object, &create).is_ok()
        };
        let won: usize = thread::scope(|scope| {
            let race = || (0..ROUNDS).filter(|round| wins(*round)).count();
            let racers: Vec<_> = (0..CREATORS).map(|_| scope.spawn(race)).collect();
            racers.into_iter().map(|racer| racer.join().expect("no panic")).sum()
        });
        assert_eq!(won, ROUNDS);
        assert!(bucket.overwritten().is_empty());
    }
}
