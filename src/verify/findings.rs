//! What a verification has found.

use std::ops::AddAssign;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::copy::compare::{Counts, ExtraKeys, Pass};
use crate::copy::index::Found;
use crate::digest::Digest;
use crate::error::Result;
use crate::item::Key;
use crate::table::TableName;

/// Keys told of one table; the others are counted.
pub const MAX_KEYS: usize = 1000;

/// What was found of one table.
#[derive(Clone, Debug, Serialize)]
pub struct Verified {
    pub table: TableName,
    /// Whether nothing is wrong with what was looked at.
    pub equal: bool,
    /// The segments that the table has.
    pub of_segments: u32,
    /// Why only the archive was read, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive_only: Option<String>,
    #[serde(flatten)]
    pub found: Compared,
}

/// A key of which copy and archive differ.
#[derive(Clone, Debug, Serialize)]
pub struct DifferentKey {
    pub difference: Difference,
    pub key: Box<RawValue>,
}

/// How a copy differs from its archive in one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Difference {
    /// The copy has not what is archived.
    Missing,
    /// The copy has it with another content.
    Changed,
    /// The copy has what is not archived.
    Extra,
}

impl Verified {
    pub(super) fn of(table: &TableName) -> Self {
        let found = Compared::default();
        Self { table: table.clone(), equal: false, of_segments: 0, archive_only: None, found }
    }

    /// A table that could not be looked at.
    pub fn unknown(table: &TableName, problem: String) -> Self {
        let mut verified = Self::of(table);
        verified.found.problems.push(problem);
        verified
    }

    /// Once everything is known.
    pub(super) fn judged(mut self) -> Self {
        self.equal = self.found.problems.is_empty() && !self.found.differs();
        self
    }
}

/// What was found of one segment, or of several.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Compared {
    /// Segments that were looked at.
    pub segments: u32,
    /// Whether items were looked for in every segment of the copy, and not in their own alone.
    #[serde(skip)]
    pub is_whole: bool,
    /// The archived items that were read.
    pub archived: Digest,
    /// The items of the copy that were read.
    pub copy: Digest,
    /// Archived items that the copy has not, and those that it has with another content.
    pub missing: u64,
    pub changed: u64,
    /// Items that the copy has and the archive has not.
    pub extra: u64,
    /// What is wrong otherwise, each with its object or table.
    pub problems: Vec<String>,
    /// The first of the keys that differ.
    pub keys: Vec<DifferentKey>,
}

impl Compared {
    /// Whether the copy is not what is archived.
    pub(super) fn differs(&self) -> bool {
        self.missing + self.changed + self.extra > 0
    }

    /// Leaves what was found of the archive alone.
    pub(super) fn forget_copy(&mut self) {
        let (segments, archived, problems) =
            (self.segments, self.archived, std::mem::take(&mut self.problems));
        *self = Self { segments, archived, problems, ..Self::default() };
    }

    /// Of a segment of which only the archive was read.
    pub(super) fn archived(archived: Digest) -> Self {
        Self { segments: 1, archived, ..Self::default() }
    }

    /// Adds what a pass has found; whether archived items are missing or changed.
    pub(super) fn add_pass(&mut self, pass: &Pass) -> bool {
        let Counts { missing, changed, .. } = pass.counts;
        self.archived += pass.index.archived().digest;
        self.copy += pass.copy.digest;
        self.missing += missing;
        self.changed += changed;
        self.extra += pass.copy.extra;
        let duplicates = pass.index.duplicates();
        if duplicates > 0 {
            self.problems.push(format!(
                "{duplicates} archived items share their key with another: the key of the table is not that of the \
                 backup, or the backup has items twice"
            ));
        }
        missing + changed > 0
    }

    pub(super) fn add_different(&mut self, keys: Vec<(Key, Found)>) {
        self.keys.extend(keys.into_iter().map(|(key, found)| DifferentKey {
            difference: if found == Found::Changed { Difference::Changed } else { Difference::Missing },
            key: key.to_raw(),
        }));
    }
}

impl ExtraKeys for Compared {
    async fn take(&mut self, keys: Vec<Key>) -> Result<()> {
        let room = MAX_KEYS.saturating_sub(self.keys.len());
        let extra = |key: Key| DifferentKey { difference: Difference::Extra, key: key.to_raw() };
        self.keys.extend(keys.into_iter().take(room).map(extra));
        Ok(())
    }
}

impl AddAssign for Compared {
    fn add_assign(&mut self, other: Self) {
        self.segments += other.segments;
        self.is_whole |= other.is_whole;
        self.archived += other.archived;
        self.copy += other.copy;
        self.missing += other.missing;
        self.changed += other.changed;
        self.extra += other.extra;
        self.problems.extend(other.problems);
        let room = MAX_KEYS.saturating_sub(self.keys.len());
        self.keys.extend(other.keys.into_iter().take(room));
    }
}
