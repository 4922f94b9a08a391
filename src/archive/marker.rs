//! Markers: small objects that each say one thing is done, or has failed for good.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::layout::Stage;
use crate::digest::Digest;
use crate::table::TableName;

/// A segment is exported: these are its parts, in order, and nothing else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exported {
    pub segment: u32,
    pub parts: Vec<PartEntry>,
    pub scan: Window,
    /// Read capacity units, as DynamoDB reported them. What an attempt read and could not put is not counted.
    pub consumed_units: f64,
}

/// One part as its marker lists it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartEntry {
    pub part: u32,
    pub items: u64,
    /// Compressed size.
    pub bytes: u64,
    /// Base64 of the MD5 of the compressed bytes.
    pub md5: String,
    pub etag: String,
}

/// From the first page's request to the last page's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    pub started_at: Timestamp,
    pub finished_at: Timestamp,
}

impl Window {
    /// The smallest window that holds both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self {
            started_at: self.started_at.min(other.started_at),
            finished_at: self.finished_at.max(other.finished_at),
        }
    }
}

impl Exported {
    pub fn items(&self) -> u64 {
        sum(self.parts.iter().map(|part| part.items))
    }

    pub fn bytes(&self) -> u64 {
        sum(self.parts.iter().map(|part| part.bytes))
    }
}

/// The sum of counts that were read, which is at most all that there are: one that wraps around could be the sum that
/// is expected.
pub(super) fn sum(counts: impl Iterator<Item = u64>) -> u64 {
    counts.fold(0, u64::saturating_add)
}

/// The target table is there, ours, ACTIVE and of the source's key schema.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provisioned {
    pub target: TableName,
    pub outcome: Provision,
    /// Differences between the source's settings and the target's, in words.
    pub drift: Vec<String>,
    pub finished_at: Timestamp,
}

/// How the target came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provision {
    /// This run created it.
    Created,
    /// An earlier run created it.
    Exists,
    /// It was somebody's table and was made ours because `adopt-existing` said so.
    Adopted,
}

/// A segment of the copy holds every item of its archive, except for those that are listed as failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Written {
    /// Who found what is extra or missing, and listed it.
    pub attempt: String,
    /// Items put, by whichever attempt.
    pub items_put: u64,
    /// Items that the copy had with another content, and that it had as they were archived, when the first attempt
    /// looked.
    pub items_changed: u64,
    pub items_unchanged: u64,
    /// Items of the copy that the archived segment does not have.
    pub items_extra: u64,
    pub items_failed: u64,
    /// How many keys are listed that the copy's segment missed; `None` where none are listed, because nothing could
    /// follow from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing_listed: Option<u64>,
    /// Of the archived items.
    pub digest: Digest,
    /// Read capacity units that it took to look at the copy, as DynamoDB reported them.
    pub read_units: f64,
    /// Write capacity units, as DynamoDB reported them.
    pub consumed_units: f64,
    /// Write capacity units of putting every archived item, indexes not counted.
    pub rewrite_units: u64,
    pub finished_at: Timestamp,
}

impl Written {
    /// What an attempt has come to before it has begun.
    pub fn nothing(attempt: String) -> Self {
        Self {
            attempt,
            items_put: 0,
            items_changed: 0,
            items_unchanged: 0,
            items_extra: 0,
            items_failed: 0,
            missing_listed: None,
            digest: Digest::default(),
            read_units: 0.0,
            consumed_units: 0.0,
            rewrite_units: 0,
            finished_at: Timestamp::now(),
        }
    }

    /// How many lists there are of its extra keys.
    pub fn extra_lists(&self) -> u64 {
        self.items_extra.div_ceil(KEYS_PER_LIST as u64)
    }

    /// How many lists there are of the keys that were missing; `None` where none are listed.
    pub fn missing_lists(&self) -> Option<u64> {
        self.missing_listed.map(|keys| keys.div_ceil(HASHES_PER_LIST as u64))
    }

    /// Items that the copy held before.
    pub fn items_before(&self) -> u64 {
        self.items_unchanged + self.items_changed + self.items_extra
    }

    /// Adds what an earlier attempt has spent.
    pub fn add_handed_over(&mut self, earlier: &HandedOver) {
        self.read_units += earlier.read_units;
        self.consumed_units += earlier.consumed_units;
    }
}

/// How a segment of the copy, or what of it there was room for, was when the first attempt looked at it: before
/// anything was put. Later attempts find what that one has put, and would take it for unchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstLook {
    pub items_missing: u64,
    pub items_changed: u64,
    pub items_unchanged: u64,
    /// Whether it is of the whole segment, however little room there is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_whole: bool,
}

impl FirstLook {
    /// Adds what was found of other items.
    pub fn add(&mut self, other: &Self) {
        self.items_missing += other.items_missing;
        self.items_changed += other.items_changed;
        self.items_unchanged += other.items_unchanged;
        self.is_whole |= other.is_whole;
    }
}

/// What an attempt at a segment has spent before it handed the rest over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HandedOver {
    pub read_units: f64,
    pub consumed_units: f64,
}

/// Keys in one list but the last of a segment: some 100 KB, and what is deleted before the next look at whether that
/// is still wanted.
pub const KEYS_PER_LIST: usize = 1000;

/// Keys that the copy's segment has and the archived one has not.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExtraKeys {
    pub keys: Vec<Box<RawValue>>,
}

/// Hashes in one list but the last of a segment: some 100 KB.
pub const HASHES_PER_LIST: usize = 5000;

/// Keys that the archived segment has and the copy's had not: the first 64 bits of each key's hash.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MissingKeys {
    pub hashes: Vec<u64>,
}

/// What becomes of the items that the copy has and the archive has not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletions {
    pub decision: Decision,
    /// Whether so much has changed that a mistake is more likely.
    #[serde(default)]
    pub suspect: bool,
    /// Why they are kept, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub items: u64,
    /// The segments that have such items.
    pub segments: Vec<u32>,
    pub decided_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    Delete,
    Keep,
}

/// What stands for a key in a list of missing ones. Two keys that share it could at worst keep an extra item.
pub fn key_hash(key: u128) -> u64 {
    (key >> 64) as u64
}

/// The extra items of a segment, or of one list of them, are deleted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deleted {
    pub items_deleted: u64,
    /// Write capacity units, as DynamoDB reported them.
    pub consumed_units: f64,
    pub finished_at: Timestamp,
}

impl Deleted {
    /// What has come to nothing yet.
    pub fn nothing() -> Self {
        Self { items_deleted: 0, consumed_units: 0.0, finished_at: Timestamp::now() }
    }

    pub fn add(&mut self, list: &Self) {
        self.items_deleted += list.items_deleted;
        self.consumed_units += list.consumed_units;
    }
}

/// A permanent failure, and what it leaves undone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Failure {
    pub stage: Stage,
    pub segment: u32,
    pub reason: String,
    pub failed_at: Timestamp,
}

/// The items of one segment that DynamoDB refuses, by key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FailedItems {
    pub segment: u32,
    pub items: Vec<FailedItem>,
}

/// An item that can never be written as it stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FailedItem {
    pub key: Box<RawValue>,
    pub reason: String,
}

/// The last attempt at a job has begun: if nothing follows, it crashes its worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LastAttempt {
    pub stage: Stage,
    pub segment: u32,
    pub receives: u32,
    pub started_at: Timestamp,
}
