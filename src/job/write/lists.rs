//! What a comparison has found of the copy beside its archive, listed by key in the bucket.

use crate::archive::Archive;
use crate::archive::layout::TableFolder;
use crate::archive::marker::{self, HASHES_PER_LIST, KEYS_PER_LIST};
use crate::copy::compare::ExtraKeys;
use crate::error::Result;
use crate::item::Key;

/// Where the lists of one attempt at a segment lie.
pub(super) struct Lists<'a> {
    archive: &'a Archive,
    folder: &'a TableFolder,
    segment: u32,
    attempt: &'a str,
    /// The number of the next list.
    next: u64,
}

impl<'a> Lists<'a> {
    pub(super) fn new(archive: &'a Archive, folder: &'a TableFolder, segment: u32, attempt: &'a str) -> Self {
        Self { archive, folder, segment, attempt, next: 0 }
    }
}

/// The keys that the copy's segment has and the archived one has not.
pub(super) struct ExtraLists<'a> {
    lists: Lists<'a>,
    keys: Vec<Key>,
    count: u64,
}

impl<'a> ExtraLists<'a> {
    pub(super) fn new(lists: Lists<'a>) -> Self {
        Self { lists, keys: Vec::new(), count: 0 }
    }

    /// Lists the rest; gives the number of keys.
    pub(super) async fn finish(&mut self) -> Result<u64> {
        while !self.keys.is_empty() {
            self.list().await?;
        }
        Ok(self.count)
    }

    async fn list(&mut self) -> Result<()> {
        let Lists { archive, folder, segment, attempt, next } = &mut self.lists;
        let listed = self.keys.drain(..self.keys.len().min(KEYS_PER_LIST));
        let list = marker::ExtraKeys { keys: listed.map(|key| key.to_raw()).collect() };
        archive.create(&folder.extra_keys(*segment, attempt, *next), &list).await?;
        *next += 1;
        Ok(())
    }
}

impl ExtraKeys for ExtraLists<'_> {
    async fn take(&mut self, keys: Vec<Key>) -> Result<()> {
        self.count += keys.len() as u64;
        self.keys.extend(keys);
        while self.keys.len() >= KEYS_PER_LIST {
            self.list().await?;
        }
        Ok(())
    }
}

/// The keys that the archived segment has and the copy's had not, by hash.
pub(super) struct MissingLists<'a> {
    lists: Lists<'a>,
    hashes: Vec<u64>,
    count: u64,
}

impl<'a> MissingLists<'a> {
    pub(super) fn new(lists: Lists<'a>) -> Self {
        Self { lists, hashes: Vec::new(), count: 0 }
    }

    pub(super) async fn take(&mut self, keys: impl IntoIterator<Item = u128>) -> Result<()> {
        for key in keys {
            self.hashes.push(marker::key_hash(key));
            self.count += 1;
            if self.hashes.len() == HASHES_PER_LIST {
                self.list().await?;
            }
        }
        Ok(())
    }

    /// Lists the rest; gives the number of keys.
    pub(super) async fn finish(&mut self) -> Result<u64> {
        if !self.hashes.is_empty() {
            self.list().await?;
        }
        Ok(self.count)
    }

    async fn list(&mut self) -> Result<()> {
        let Lists { archive, folder, segment, attempt, next } = &mut self.lists;
        let list = marker::MissingKeys { hashes: std::mem::take(&mut self.hashes) };
        archive.create(&folder.missing_keys(*segment, attempt, *next), &list).await?;
        *next += 1;
        Ok(())
    }
}
