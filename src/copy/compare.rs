//! A segment of the copy against its archive.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::index::{Found, Index};
use crate::archive::Archive;
use crate::archive::part::{PartFile, PartReader};
use crate::blocking::blocking;
use crate::digest::Digest;
use crate::error::Result;
use crate::item::{ItemReader, Key, line_item};
use crate::page::Page;
use crate::scan::SegmentScan;
use crate::schema::KeySchema;

/// The archived side of a comparison.
#[derive(Clone, Copy, Debug)]
pub struct Comparison<'a> {
    pub archive: &'a Archive,
    /// The parts of the segment, in order.
    pub parts: &'a [PartFile],
    pub schema: &'a KeySchema,
}

/// What a pass over a segment has found.
#[derive(Debug)]
pub struct Pass {
    /// The archived items that it covers, and how the copy has each.
    pub index: Arc<Index>,
    pub counts: Counts,
    pub copy: CopyItems,
}

/// Archived items, by how the copy has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub missing: u64,
    pub changed: u64,
    pub unchanged: u64,
}

/// Items of the copy, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyItems {
    pub digest: Digest,
    /// Those that the archived segment does not have.
    pub extra: u64,
}

/// Takes the keys of the items that the copy has and the archived segment has not.
pub trait ExtraKeys {
    fn take(&mut self, keys: Vec<Key>) -> impl Future<Output = Result<()>> + Send;
}

impl Comparison<'_> {
    /// Compares the items from shard `start` of the [`Index`] on, as many as there is room for: [`Index::next`]
    /// tells where the next pass has to start. `first` is the first page of the copy, if it has an item.
    ///
    /// # Errors
    /// Permanent when a part is not what is on record of it: nothing of it may be used.
    pub async fn pass(
        &self,
        start: usize,
        scan: &mut SegmentScan<'_>,
        first: Option<Page>,
        extra: &mut impl ExtraKeys,
    ) -> Result<Pass> {
        let (mut index, mut copy, mut next) = (self.index(start).await?, CopyItems::default(), first);
        while let Some(page) = next {
            let after = page.last_evaluated_key().map(ToOwned::to_owned);
            let looking = look(index, page, self.schema.clone());
            let (looked, read) = futures::join!(looking, next_page(scan, after.as_deref()));
            let (index_again, looked, buffer) = looked?;
            index = index_again;
            scan.reuse(buffer);
            copy.digest += looked.digest;
            copy.extra += looked.extra.len() as u64;
            if !looked.extra.is_empty() {
                extra.take(looked.extra).await?;
            }
            next = read?;
        }
        let counting = blocking(move || {
            let [missing, changed, unchanged] =
                [Found::Missing, Found::Changed, Found::Unchanged].map(|found| index.count(found));
            Ok((index, Counts { missing, changed, unchanged }))
        });
        let (index, counts) = counting.await?;
        Ok(Pass { index: Arc::new(index), counts, copy })
    }

    /// The keys of the items that a pass has found missing or changed, at most `most` of them.
    pub async fn different_keys(&self, index: Arc<Index>, most: usize) -> Result<Vec<(Key, Found)>> {
        let mut keys = Vec::new();
        for part in self.parts {
            if keys.len() >= most {
                break;
            }
            let reader = self.archive.open_part(part).await?;
            let (part, schema, index) = (part.clone(), self.schema.clone(), Arc::clone(&index));
            keys = blocking(move || add_different(keys, most, &part, reader, &schema, &index)).await?;
        }
        Ok(keys)
    }

    /// Reads every part to its end; gives the digest of what is archived.
    pub async fn digest(&self) -> Result<Digest> {
        let mut digest = Digest::default();
        for part in self.parts {
            let reader = self.archive.open_part(part).await?;
            let (part, schema) = (part.clone(), self.schema.clone());
            digest += blocking(move || digest_of(&part, reader, &schema)).await?;
        }
        Ok(digest)
    }

    /// Reads the archived items. Every part is read to its end, whether all of its items find room or not.
    async fn index(&self, start: usize) -> Result<Index> {
        let mut index = Index::new(start);
        for part in self.parts {
            let reader = self.archive.open_part(part).await?;
            let (part, schema) = (part.clone(), self.schema.clone());
            index = blocking(move || add_part(index, &part, reader, &schema)).await?;
        }
        blocking(move || {
            index.complete();
            Ok(index)
        })
        .await
    }
}

async fn next_page(scan: &mut SegmentScan<'_>, after: Option<&RawValue>) -> Result<Option<Page>> {
    match after {
        Some(after) => scan.page(Some(after), None, || false).await.map(Some),
        None => Ok(None),
    }
}

fn add_part(mut index: Index, part: &PartFile, mut reader: PartReader, schema: &KeySchema) -> Result<Index> {
    let (mut items, mut line, mut count) = (ItemReader::new(schema), Vec::new(), 0);
    while reader.next_line(&mut line).map_err(part.unreadable())? {
        let (row, content) = items.read_line_with_content(&line)?;
        index.add(row.key, content, row.write_units());
        count += 1;
    }
    part.require_items(count)?;
    Ok(index)
}

fn digest_of(part: &PartFile, mut reader: PartReader, schema: &KeySchema) -> Result<Digest> {
    let (mut items, mut line, mut digest) = (ItemReader::new(schema), Vec::new(), Digest::default());
    while reader.next_line(&mut line).map_err(part.unreadable())? {
        digest.add_item(items.read_line_with_content(&line)?.1);
    }
    part.require_items(digest.items)?;
    Ok(digest)
}

fn add_different(
    mut keys: Vec<(Key, Found)>,
    most: usize,
    part: &PartFile,
    mut reader: PartReader,
    schema: &KeySchema,
    index: &Index,
) -> Result<Vec<(Key, Found)>> {
    let (mut items, mut line) = (ItemReader::new(schema), Vec::new());
    while keys.len() < most && reader.next_line(&mut line).map_err(part.unreadable())? {
        let row = items.read_line(&line)?;
        let found = Some(row.key).filter(|key| index.covers(*key)).and_then(|key| index.found(key));
        if let Some(found @ (Found::Missing | Found::Changed)) = found {
            keys.push((Key::of(row.item, schema)?, found));
        }
    }
    Ok(keys)
}

/// What a page of the copy has come to.
#[derive(Default)]
struct Looked {
    digest: Digest,
    extra: Vec<Key>,
}

/// Looks a page's items up, and gives the page's memory back.
async fn look(mut index: Index, page: Page, schema: KeySchema) -> Result<(Index, Looked, Vec<u8>)> {
    blocking(move || {
        let (mut items, mut looked) = (ItemReader::new(&schema), Looked::default());
        for line in page.lines().split_inclusive(|byte| *byte == b'\n') {
            let (row, content) = items.read_line_with_content(line)?;
            if !index.covers(row.key) {
                continue;
            }
            looked.digest.add_item(content);
            if index.find_in_copy(row.key, content).is_none() {
                looked.extra.push(Key::of(line_item(line)?, &schema)?);
            }
        }
        Ok((index, looked, page.into_buffer()))
    })
    .await
}
