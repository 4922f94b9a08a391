//! What archived items are: key and content of each, by hash, in memory that is bounded.
//!
//! An entry takes 33 bytes, and a fifth more at most for room to grow. Where a segment has more items than
//! [`MAX_ITEMS`], the index covers those whose key hashes are lowest, and the comparison goes over the segment
//! again for the rest: as many times as it takes, whatever the size of the segment.

use std::ops::Range;

use crate::digest::Digest;
use crate::item::ContentHash;

/// The most items in an index, 66 MiB of them. A segment is planned to have at most a million.
pub const MAX_ITEMS: usize = 1_500_000;

/// One for each value of the first byte of a key's hash.
const SHARDS: usize = 256;

/// The archived items of a range of key hashes.
#[derive(Debug)]
pub struct Index {
    shards: Vec<Shard>,
    /// The shards that it covers.
    covered: Range<usize>,
    items: usize,
    max_items: usize,
}

#[derive(Debug, Default)]
struct Shard {
    /// By key, once the index is complete.
    entries: Vec<Entry>,
    /// What has been found of each.
    found: Vec<Found>,
    archived: Archived,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    key: u128,
    content: ContentHash,
}

/// What was archived, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Archived {
    pub digest: Digest,
    /// The write units of putting every item.
    pub rewrite_units: u64,
}

/// How the copy has an archived item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Missing,
    Changed,
    Unchanged,
}

impl Index {
    /// An empty index of the items from shard `start` on, of which it may have to leave some to the next.
    pub fn new(start: usize) -> Self {
        Self::with_room(start, MAX_ITEMS)
    }

    fn with_room(start: usize, max_items: usize) -> Self {
        let shards = std::iter::repeat_with(Shard::default).take(SHARDS).collect();
        Self { shards, covered: start..SHARDS, items: 0, max_items }
    }

    /// Adds an archived item, if it is covered. Of two with the same key the later one holds.
    pub fn add(&mut self, key: u128, content: ContentHash, write_units: u64) {
        if !self.covers(key) {
            return;
        }
        let shard = &mut self.shards[shard_of(key)];
        shard.archived.add(content, write_units);
        if shard.entries.len() == shard.entries.capacity() {
            // A fifth instead of a doubling: it is most of a job's memory.
            shard.entries.reserve_exact((shard.entries.len() / 5).max(16));
        }
        shard.entries.push(Entry { key, content });
        self.items += 1;
        while self.items > self.max_items && self.covered.len() > 1 {
            self.covered.end -= 1;
            self.items -= std::mem::take(&mut self.shards[self.covered.end]).entries.len();
        }
    }

    /// Ends the adding: the items can be looked up now.
    pub fn complete(&mut self) {
        for shard in &mut self.shards[self.covered.clone()] {
            shard.entries.sort_by_key(|entry| entry.key);
            shard.entries.reverse();
            // Sorting keeps the order of equal keys, so the last one is the first now, and the one that stays.
            shard.entries.dedup_by_key(|entry| entry.key);
            shard.entries.reverse();
            shard.found = vec![Found::Missing; shard.entries.len()];
        }
    }

    /// Whether an item with this key is for this index, or for that of another pass.
    pub fn covers(&self, key: u128) -> bool {
        self.covered.contains(&shard_of(key))
    }

    /// Where the next index has to start, unless this one reaches to the end.
    pub fn next(&self) -> Option<usize> {
        (self.covered.end < SHARDS).then_some(self.covered.end)
    }

    /// Notes that the copy has an item, and tells how; `None` when no archived item has its key.
    pub fn find_in_copy(&mut self, key: u128, content: ContentHash) -> Option<Found> {
        let shard = &mut self.shards[shard_of(key)];
        let at = shard.position(key)?;
        let found = if shard.entries[at].content == content { Found::Unchanged } else { Found::Changed };
        shard.found[at] = found;
        Some(found)
    }

    /// What has been found of an archived item that the index covers.
    pub fn found(&self, key: u128) -> Option<Found> {
        let shard = &self.shards[shard_of(key)];
        shard.position(key).map(|at| shard.found[at])
    }

    /// The hashes of the keys of which this has been found.
    pub fn keys(&self, found: Found) -> impl Iterator<Item = u128> {
        let of_shard = move |shard: &Shard| {
            let keys = shard.entries.iter().zip(&shard.found);
            keys.filter(|(_, it)| **it == found).map(|(entry, _)| entry.key).collect::<Vec<_>>()
        };
        self.shards[self.covered.clone()].iter().flat_map(of_shard)
    }

    /// How many items of this kind there are.
    pub fn count(&self, found: Found) -> u64 {
        let of_shard = |shard: &Shard| shard.found.iter().filter(|it| **it == found).count() as u64;
        self.shards[self.covered.clone()].iter().map(of_shard).sum()
    }

    /// How many archived items share their key with another: none, unless the key is not that of the backup's table,
    /// or a part is there twice.
    pub fn duplicates(&self) -> u64 {
        let unique: u64 =
            self.shards[self.covered.clone()].iter().map(|shard| shard.entries.len() as u64).sum();
        self.archived().digest.items - unique
    }

    /// All that was archived in the range that it covers.
    pub fn archived(&self) -> Archived {
        let mut archived = Archived::default();
        for shard in &self.shards[self.covered.clone()] {
            archived += shard.archived;
        }
        archived
    }
}

impl Shard {
    fn position(&self, key: u128) -> Option<usize> {
        self.entries.binary_search_by_key(&key, |entry| entry.key).ok()
    }
}

impl Archived {
    pub fn add(&mut self, content: ContentHash, write_units: u64) {
        self.digest.add_item(content);
        self.rewrite_units += write_units;
    }
}

impl std::ops::AddAssign for Archived {
    fn add_assign(&mut self, other: Self) {
        self.digest += other.digest;
        self.rewrite_units += other.rewrite_units;
    }
}

fn shard_of(key: u128) -> usize {
    usize::from(key.to_be_bytes()[0])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Spreads small numbers over the shards, as hashes are.
    fn hash(number: u8) -> u128 {
        u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
    }

    fn content(number: u8) -> ContentHash {
        ContentHash::of_number(number)
    }

    fn index(max_items: usize, start: usize, archived: &[(u8, u8)]) -> Index {
        let mut index = Index::with_room(start, max_items);
        for (key, content) in archived {
            index.add(hash(*key), self::content(*content), 1);
        }
        index.complete();
        index
    }

    proptest! {
        /// However little room there is, the passes together find what two maps of everything find.
        #[test]
        fn the_passes_together_find_what_one_would(
            archived in prop::collection::vec((0u8..60, 0u8..3), 0..80),
            copy in prop::collection::btree_map(0u8..60, 0u8..3, 0..60),
            max_items in 1usize..100,
        ) {
            let (mut found, mut extra, mut total) = (BTreeMap::new(), Vec::new(), Archived::default());
            let mut start = Some(0);
            while let Some(from) = start {
                let mut index = index(max_items, from, &archived);
                for (key, content) in copy.iter().filter(|(key, _)| index.covers(hash(**key))).collect::<Vec<_>>() {
                    if index.find_in_copy(hash(*key), self::content(*content)).is_none() {
                        extra.push(*key);
                    }
                }
                for (key, _) in archived.iter().filter(|(key, _)| index.covers(hash(*key))) {
                    prop_assert!(found.insert(*key, index.found(hash(*key)).unwrap()).is_none_or(|it| it == found[key]));
                }
                total += index.archived();
                prop_assert!(index.next().is_none_or(|next| next > from));
                start = index.next();
            }
            let held: BTreeMap<u8, u8> = archived.iter().copied().collect();
            for (key, content) in &held {
                let expected = match copy.get(key) {
                    None => Found::Missing,
                    Some(it) if it == content => Found::Unchanged,
                    Some(_) => Found::Changed,
                };
                prop_assert_eq!(found[key], expected);
            }
            extra.sort_unstable();
            prop_assert_eq!(extra, copy.keys().filter(|key| !held.contains_key(key)).copied().collect::<Vec<_>>());
            prop_assert_eq!(total.rewrite_units, archived.len() as u64);
        }
    }

    #[test]
    fn items_that_share_a_key_are_counted() {
        assert_eq!(index(10, 0, &[(1, 0), (2, 0), (1, 1), (1, 2)]).duplicates(), 2);
        assert_eq!(index(10, 0, &[(1, 0), (2, 0)]).duplicates(), 0);
    }

    #[test]
    fn what_was_not_found_is_listed_by_key() {
        let mut index = index(10, 0, &[(1, 0), (2, 0), (3, 0)]);
        index.find_in_copy(hash(1), content(0));
        index.find_in_copy(hash(2), content(9));
        assert_eq!(index.keys(Found::Missing).collect::<Vec<_>>(), [hash(3)]);
        assert_eq!(index.keys(Found::Changed).collect::<Vec<_>>(), [hash(2)]);
        let counts = [Found::Missing, Found::Changed, Found::Unchanged].map(|found| index.count(found));
        assert_eq!(counts, [1, 1, 1]);
    }
}
