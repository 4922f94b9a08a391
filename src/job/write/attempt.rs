//! One attempt at a segment: what it has put, and what it leaves on record.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::lists::{ExtraLists, MissingLists};
use super::{End, SegmentWrite};
use crate::archive::marker::{FailedItem, FailedItems, FirstLook, HandedOver, Written};
use crate::blocking::blocking;
use crate::copy::compare::{Counts, Pass};
use crate::copy::index::{Archived, Found};
use crate::copy::writer::{Tally, Writer};
use crate::error::{Error, Result};
use crate::table::TableName;

/// Failed items are recorded by key; more than this is a broken table, not broken items.
const MAX_FAILED_ITEMS: usize = 10_000;

/// What an attempt has come to so far.
pub(super) struct Attempt<'a> {
    write: &'a SegmentWrite<'a>,
    pub(super) written: Written,
    pub(super) extra: ExtraLists<'a>,
    missing: MissingLists<'a>,
    failed: Vec<FailedItem>,
    /// How the copy was at first.
    first_look: FirstLook,
    /// Items put by this attempt.
    items_put: u64,
}

impl<'a> Attempt<'a> {
    pub(super) fn new(write: &'a SegmentWrite<'a>) -> Self {
        let (archive, folder) = (write.archive(), &write.folder);
        Self {
            write,
            written: Written::nothing(write.attempt.clone()),
            extra: ExtraLists::new(archive, folder, write.segment, &write.attempt),
            missing: MissingLists::new(archive, folder, write.segment, &write.attempt),
            failed: Vec::new(),
            first_look: FirstLook::default(),
            items_put: 0,
        }
    }

    /// Puts what a pass from shard `from` on has found missing or changed; false when the time for it is over.
    pub(super) async fn put_different(
        &mut self,
        writer: &Writer<'_>,
        from: usize,
        pass: Pass,
        looked_for: Duration,
    ) -> Result<bool> {
        let Pass { index, counts: Counts { missing, changed, unchanged }, .. } = pass;
        self.look(
            from,
            FirstLook {
                items_missing: missing,
                items_changed: changed,
                items_unchanged: unchanged,
                is_whole: false,
            },
        )
        .await?;
        self.add_archived(index.archived());
        self.write.progress(unchanged);
        if self.write.lists_missing() {
            let index = Arc::clone(&index);
            let missing = blocking(move || Ok(index.keys(Found::Missing).collect::<Vec<_>>()));
            self.missing.take(missing.await?).await?;
        }
        if missing + changed == 0 {
            return Ok(true);
        }
        let deadline = self.deadline(looked_for);
        for part in &self.write.parts {
            if self.is_over(deadline) {
                return Ok(false);
            }
            let reader = self.write.archive().open_part(part).await?;
            let tally = writer.put_different(part, reader, Arc::clone(&index)).await?;
            self.add(tally)?;
        }
        Ok(true)
    }

    /// Puts every item, where the copy has none; false when the time for it is over.
    pub(super) async fn put_all(&mut self, writer: &Writer<'_>) -> Result<bool> {
        let items_missing = self.write.parts.iter().map(|part| part.items).sum();
        self.look(0, FirstLook { items_missing, is_whole: true, ..FirstLook::default() }).await?;
        let (deadline, lists_keys) = (self.deadline(Duration::ZERO), self.write.lists_missing());
        for part in &self.write.parts {
            if self.is_over(deadline) {
                return Ok(false);
            }
            let reader = self.write.archive().open_part(part).await?;
            let (archived, keys, tally) = writer.put_all(part, reader, lists_keys).await?;
            self.add_archived(archived);
            self.missing.take(keys).await?;
            self.add(tally)?;
        }
        Ok(true)
    }

    /// Records how the copy is, unless an earlier attempt has, before it put something.
    async fn look(&mut self, from: usize, found: FirstLook) -> Result<()> {
        let key = self.write.folder.first_look(self.write.segment, from);
        let archive = self.write.archive();
        let first = if archive.create(&key, &found).await? { found } else { archive.require(&key).await? };
        if !self.first_look.is_whole {
            self.first_look.add(&first);
        }
        Ok(())
    }

    /// Puts last as long as looking at the copy took, so that most of the time goes to them where it is slow.
    fn deadline(&self, looked_for: Duration) -> Instant {
        Instant::now() + self.write.environment.config.hand_over_after.max(looked_for)
    }

    /// Whether it is time to hand over; not before something was put, or it might be so for ever.
    fn is_over(&self, deadline: Instant) -> bool {
        self.items_put > 0 && Instant::now() >= deadline
    }

    fn add_archived(&mut self, archived: Archived) {
        self.written.digest += archived.digest;
        self.written.rewrite_units += archived.rewrite_units;
    }

    fn add(&mut self, tally: Tally) -> Result<()> {
        self.items_put += tally.items;
        self.written.consumed_units += tally.consumed_units;
        self.failed.extend(tally.failed);
        require_few(&self.failed, &self.write.task.table.target)
    }

    /// Records what was spent. Whoever continues compares, and finds what was put.
    pub(super) async fn hand_over(self) -> Result<End> {
        let Written { read_units, consumed_units, .. } = self.written;
        let key = self.write.folder.handed_over(self.write.segment, &self.write.attempt);
        let handed_over = HandedOver { read_units, consumed_units };
        self.write.archive().create(&key, &handed_over).await?;
        Ok(End::HandOver)
    }

    /// Writes the segment's marker, and before it what it counts. Of two writes of one segment only the one whose
    /// marker it is moves the run on at once.
    pub(super) async fn finish(mut self) -> Result<End> {
        let (archive, folder, segment) = (self.write.archive(), &self.write.folder, self.write.segment);
        let mut written = self.written;
        written.items_extra = self.extra.finish().await?;
        written.missing_listed = Some(self.missing.finish().await?).filter(|_| self.write.lists_missing());
        written.items_failed = self.failed.len() as u64;
        let FirstLook { items_missing, items_changed, items_unchanged, .. } = self.first_look;
        written.items_put = (items_missing + items_changed).saturating_sub(written.items_failed);
        (written.items_changed, written.items_unchanged) = (items_changed, items_unchanged);
        if !self.failed.is_empty() {
            let failed = FailedItems { segment, items: std::mem::take(&mut self.failed) };
            archive.create(&folder.failed_items(segment, &self.write.attempt), &failed).await?;
        }
        for earlier in self.write.handed_over().await? {
            written.add_handed_over(&earlier);
        }
        written.finished_at = Timestamp::now();
        self.write.is_finishing.store(true, Ordering::Relaxed);
        // A creation whose answer was lost finds its own marker.
        let key = folder.written(segment);
        let is_ours =
            archive.create(&key, &written).await? || archive.require::<Written>(&key).await? == written;
        Ok(if is_ours { End::Written } else { End::Overtaken })
    }
}

fn require_few(failed: &[FailedItem], table: &TableName) -> Result<()> {
    if failed.len() <= MAX_FAILED_ITEMS {
        return Ok(());
    }
    Err(Error::permanent(format!("table {table} refuses more than {MAX_FAILED_ITEMS} items of one segment")))
}
