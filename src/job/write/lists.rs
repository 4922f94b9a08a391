//! What a comparison has found of the copy beside its archive, listed by key in the bucket.

use serde::Serialize;

use crate::archive::Archive;
use crate::archive::layout::TableFolder;
use crate::archive::marker::{self, HASHES_PER_LIST, KEYS_PER_LIST};
use crate::copy::compare::ExtraKeys;
use crate::error::Result;
use crate::item::Key;

/// The keys that the copy's segment has and the archived one has not.
pub(super) type ExtraLists<'a> = Lists<'a, Key>;

/// The keys that the archived segment has and the copy's had not, by hash.
pub(super) type MissingLists<'a> = Lists<'a, u64>;

/// The lists of one kind that an attempt at a segment leaves, each an object that is written once.
pub(super) struct Lists<'a, T> {
    archive: &'a Archive,
    folder: &'a TableFolder,
    segment: u32,
    attempt: &'a str,
    /// What is not listed yet.
    rest: Vec<T>,
    count: u64,
    /// The number of the next list.
    next: u64,
}

/// What is listed: how many in one list, in which form, and where.
pub(super) trait Listed: Sized {
    const PER_LIST: usize;
    fn list(elements: Vec<Self>) -> impl Serialize;
    fn key(folder: &TableFolder, segment: u32, attempt: &str, list: u64) -> String;
}

impl Listed for Key {
    const PER_LIST: usize = KEYS_PER_LIST;

    fn list(keys: Vec<Self>) -> impl Serialize {
        marker::ExtraKeys { keys: keys.iter().map(Self::to_raw).collect() }
    }

    fn key(folder: &TableFolder, segment: u32, attempt: &str, list: u64) -> String {
        folder.extra_keys(segment, attempt, list)
    }
}

impl Listed for u64 {
    const PER_LIST: usize = HASHES_PER_LIST;

    fn list(hashes: Vec<Self>) -> impl Serialize {
        marker::MissingKeys { hashes }
    }

    fn key(folder: &TableFolder, segment: u32, attempt: &str, list: Self) -> String {
        folder.missing_keys(segment, attempt, list)
    }
}

impl<'a, T: Listed> Lists<'a, T> {
    pub(super) fn new(archive: &'a Archive, folder: &'a TableFolder, segment: u32, attempt: &'a str) -> Self {
        Self { archive, folder, segment, attempt, rest: Vec::new(), count: 0, next: 0 }
    }

    async fn add(&mut self, elements: impl IntoIterator<Item = T>) -> Result<()> {
        for element in elements {
            self.rest.push(element);
            self.count += 1;
            if self.rest.len() == T::PER_LIST {
                self.put().await?;
            }
        }
        Ok(())
    }

    /// Lists the rest; gives the number of all that were listed.
    pub(super) async fn finish(&mut self) -> Result<u64> {
        if !self.rest.is_empty() {
            self.put().await?;
        }
        Ok(self.count)
    }

    async fn put(&mut self) -> Result<()> {
        let list = T::list(std::mem::take(&mut self.rest));
        self.archive.create(&T::key(self.folder, self.segment, self.attempt, self.next), &list).await?;
        self.next += 1;
        Ok(())
    }
}

impl MissingLists<'_> {
    pub(super) async fn take(&mut self, keys: impl IntoIterator<Item = u128>) -> Result<()> {
        self.add(keys.into_iter().map(marker::key_hash)).await
    }
}

impl ExtraKeys for ExtraLists<'_> {
    async fn take(&mut self, keys: Vec<Key>) -> Result<()> {
        self.add(keys).await
    }
}
