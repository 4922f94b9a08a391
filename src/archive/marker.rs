//! Markers: small objects that each say one thing is done, or has failed for good.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::layout::Stage;
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
        self.parts.iter().map(|part| part.items).sum()
    }

    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).sum()
    }
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

/// A segment, or one part of it, is in the target, except for the items that are listed as failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Written {
    pub items_put: u64,
    pub items_failed: u64,
    /// Write capacity units, as DynamoDB reported them.
    pub consumed_units: f64,
    pub finished_at: Timestamp,
}

impl Written {
    /// What has come to nothing yet.
    pub fn nothing() -> Self {
        Self { items_put: 0, items_failed: 0, consumed_units: 0.0, finished_at: Timestamp::now() }
    }

    /// Adds the counts of a part.
    pub fn add(&mut self, part: &Self) {
        self.items_put += part.items_put;
        self.items_failed += part.items_failed;
        self.consumed_units += part.consumed_units;
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

/// The items of one part that DynamoDB refuses, by key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FailedItems {
    pub segment: u32,
    pub part: u32,
    pub items: Vec<FailedItem>,
}

/// An item that can never be written as it stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FailedItem {
    pub key: Box<RawValue>,
    pub reason: String,
}

/// A job was received for the last time its queue allows: if nothing follows, it crashes its worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LastAttempt {
    pub stage: Stage,
    pub segment: u32,
    pub receives: u32,
    pub started_at: Timestamp,
}
