//! Export: copies the items of one segment to the bucket, part by part.
//!
//! The part rule makes this safe with no lock: part *n* starts right after the last item of part *n − 1* as
//! it lies in the bucket, and whoever creates a part first decides it for ever. So whoever continues a
//! segment, continues where the bucket ends; and whoever finds a part taken, gives way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::value::RawValue;

use super::{Lease, Outcome, Task, attempt_id};
use crate::archive::layout::TableFolder;
use crate::archive::marker::{Exported, PartEntry, Window};
use crate::archive::part::{PartReader, PartWriter, unreadable};
use crate::archive::{Archive, PartHead};
use crate::blocking::blocking;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::item::{Key, line_item};
use crate::metrics::{Counters, Metric};
use crate::page::Page;
use crate::rate::{Ceiling, Direction};
use crate::reconcile::{self, Event};
use crate::scan::{Segment, SegmentScan};

/// How long the slower of two workers on one segment waits before it looks again.
const GIVE_WAY_DELAY: Duration = Duration::from_secs(15);

/// Exports a segment, or continues its export.
pub(super) async fn run(
    environment: &Environment,
    lease: &Lease,
    task: &Task,
    segment: u32,
) -> Result<Outcome> {
    let folder = environment.archive.folder(&task.run.run, &task.table.name);
    if !environment.archive.exists(&folder.exported(segment)).await? {
        let export = SegmentExport::new(environment, lease, task, segment, folder).await?;
        match export.run().await? {
            End::Exported => {}
            End::GivenWay => return Ok(Outcome::again(GIVE_WAY_DELAY, "another worker is on this segment")),
            End::HandOver => return Ok(Outcome::again(Duration::ZERO, "handing over after its time slice")),
        }
    }
    environment.progress.segment_exported(&task.run.run, &task.table.name);
    reconcile::table(environment, &task.run, &task.table, Event::Exported(segment)).await?;
    Ok(Outcome::Done)
}

/// One attempt at a segment.
struct SegmentExport<'a> {
    environment: &'a Environment,
    lease: &'a Lease,
    task: &'a Task,
    segment: u32,
    folder: TableFolder,
    /// Tells this attempt's parts from those of another worker.
    attempt: String,
    deadline: Instant,
    scan_started_at: Timestamp,
    /// The parts in the bucket, in order.
    parts: Vec<PartHead>,
    /// The part that is being filled, once it has an item.
    writer: Option<PartWriter>,
    /// Items of the part that is being filled, those of the page in hand included.
    part_items: u64,
    /// Read capacity units consumed since the last part.
    consumed_units: f64,
    scan: SegmentScan<'a>,
    counters: Arc<Counters>,
}

enum End {
    Exported,
    GivenWay,
    HandOver,
}

impl<'a> SegmentExport<'a> {
    /// Begins, or continues where the bucket ends.
    async fn new(
        environment: &'a Environment,
        lease: &'a Lease,
        task: &'a Task,
        segment: u32,
        folder: TableFolder,
    ) -> Result<Self> {
        let parts = environment.archive.parts(&folder, segment, task.table.compression).await?;
        let (plan, definition) = (&task.table.plan, &task.table.definition);
        let ceiling = Ceiling::new(plan.lane_units(plan.read_budget));
        let pace = environment.rates.pace(&definition.table_arn, Direction::Read, ceiling, Instant::now());
        let counters = environment.metrics.of(&task.run.source.name);
        let of_source = Segment {
            tables: &environment.source_of(&task.run).await?.tables,
            table: &task.table.name,
            segment,
            total_segments: plan.segments,
            consistent_read: task.run.consistent_read,
        };
        Ok(Self {
            environment,
            lease,
            task,
            segment,
            folder,
            attempt: attempt_id(),
            deadline: Instant::now() + environment.config.hand_over_after,
            scan_started_at: parts.first().map_or_else(Timestamp::now, |part| part.scan_started_at),
            parts,
            writer: None,
            part_items: 0,
            consumed_units: 0.0,
            scan: SegmentScan::new(of_source, pace, definition.item_bytes()).counted(Arc::clone(&counters)),
            counters,
        })
    }

    async fn run(mut self) -> Result<End> {
        let mut after = self.resume_key().await?;
        let mut page = self.page(after.as_deref()).await?;
        loop {
            after = page.last_evaluated_key().map(ToOwned::to_owned);
            let more = after.as_deref().filter(|_| !self.is_stopping());
            let next = self.compress_and_read_on(page, more).await?;
            // What was read from production is kept, even when the next page could not be.
            let is_last = !matches!(next, Ok(Some(_)));
            if (is_last || self.is_full()) && !self.put_part().await? {
                return Ok(End::GivenWay);
            }
            page = match next? {
                Some(next) => next,
                None if after.is_none() => return self.finish().await,
                None => return self.lease.check().map(|()| End::HandOver),
            };
        }
    }

    fn is_stopping(&self) -> bool {
        self.lease.is_over() || Instant::now() >= self.deadline
    }

    /// Compresses a page while the next one, if there is to be one, is on its way.
    async fn compress_and_read_on(
        &mut self,
        page: Page,
        after: Option<&RawValue>,
    ) -> Result<Result<Option<Page>>> {
        let (run, table) = (&self.task.run.run, &self.task.table);
        self.environment.progress.items_exported(run, &table.name, page.len() as u64);
        self.part_items += page.len() as u64;
        self.consumed_units += page.consumed_units().unwrap_or_default();
        let begin = {
            let (compression, part_bytes) = (table.compression, table.plan.part_bytes);
            let buffers = Arc::clone(&self.environment.part_buffers);
            move || PartWriter::new(compression, part_bytes, &buffers).map_err(cannot_compress)
        };
        let appending = append(self.writer.take(), begin, page);
        let reading = async {
            match after {
                Some(after) => self.page(Some(after)).await.map(Some),
                None => Ok(None),
            }
        };
        let (appended, next) = futures::join!(appending, reading);
        let (writer, buffer) = appended?;
        self.writer = writer;
        self.scan.reuse(buffer);
        Ok(next)
    }

    /// The items that the part may still take, where there is a limit; of the next part when this one is full.
    fn items_left(&self) -> Option<u32> {
        let most = self.task.table.plan.part_items?;
        let left = most.saturating_sub(self.part_items);
        u32::try_from(if left > 0 { left } else { most }).ok()
    }

    fn is_full(&self) -> bool {
        let plan = &self.task.table.plan;
        self.writer.as_ref().is_some_and(|writer| {
            writer.compressed_bytes() >= plan.part_bytes
                || writer.raw_bytes() >= plan.part_raw_bytes
                || plan.part_items.is_some_and(|items| self.part_items >= items)
        })
    }

    /// Puts the part that is being filled, if it has an item. False when it is not ours to put: its place is
    /// taken, the segment is exported already, or its run is over.
    async fn put_part(&mut self) -> Result<bool> {
        let Some(writer) = self.writer.take() else { return Ok(true) };
        self.part_items = 0;
        let report = self.archive().layout().report(&self.task.run.run);
        if self.archive().exists(&self.folder.exported(self.segment)).await?
            || self.archive().exists(&report).await?
        {
            return Ok(false);
        }
        let part = blocking(move || writer.finish().map_err(cannot_compress)).await?;
        let number = u32::try_from(self.parts.len()).expect("a segment has far fewer than 2^32 parts");
        let key = self.folder.part(self.segment, number, self.task.table.compression);
        let mut head = PartHead {
            attempt: self.attempt.clone(),
            items: part.items,
            bytes: part.body.len() as u64,
            md5: part.md5.clone(),
            etag: String::new(),
            scan_started_at: self.scan_started_at,
            consumed_units: std::mem::take(&mut self.consumed_units),
        };
        let Some(etag) = self.archive().create_part(&key, &part, &head).await? else { return Ok(false) };
        self.environment.part_buffers.give_back(part);
        head.etag = etag;
        self.counters.add(Metric::ItemsExported, head.items);
        self.counters.add(Metric::BytesExported, head.bytes);
        tracing::debug!(part = number, items = head.items, size_bytes = head.bytes, "part written");
        self.parts.push(head);
        Ok(true)
    }

    async fn finish(self) -> Result<End> {
        let scan = Window { started_at: self.scan_started_at, finished_at: Timestamp::now() };
        let of_parts: f64 = self.parts.iter().map(|part| part.consumed_units).sum();
        let marker = Exported {
            segment: self.segment,
            parts: entries(&self.parts),
            scan,
            consumed_units: of_parts + self.consumed_units,
        };
        self.archive().create(&self.folder.exported(self.segment), &marker).await?;
        Ok(End::Exported)
    }

    fn archive(&self) -> &Archive {
        &self.environment.archive
    }

    /// The key to continue after: that of the last item in the bucket.
    async fn resume_key(&self) -> Result<Option<Box<RawValue>>> {
        let Some((last, head)) = (0_u32..).zip(&self.parts).last() else { return Ok(None) };
        let table = &self.task.table;
        let key = self.folder.part(self.segment, last, table.compression);
        let body = self.archive().part(&key, head.items).await?;
        let (md5, compression) = (head.md5.clone(), table.compression);
        let line = blocking(move || {
            PartReader::open(&key, body, &md5, compression)?.last_line().map_err(unreadable(&key))
        });
        let line = line.await?.ok_or_else(|| Error::permanent("the last part holds no item"))?;
        Ok(Some(Key::of(line_item(&line)?, &table.definition.key()?)?.to_raw()))
    }

    async fn page(&mut self, after: Option<&RawValue>) -> Result<Page> {
        let (lease, deadline, max_items) = (self.lease, self.deadline, self.items_left());
        let is_stopping = || lease.is_over() || Instant::now() >= deadline;
        lease.run(self.scan.page(after, max_items, is_stopping)).await
    }
}

/// Appends a page to a part on a blocking thread, since it takes milliseconds, and gives the page's memory back.
/// A page without items begins no part.
async fn append(
    writer: Option<PartWriter>,
    begin: impl FnOnce() -> Result<PartWriter> + Send + 'static,
    page: Page,
) -> Result<(Option<PartWriter>, Vec<u8>)> {
    if page.is_empty() {
        return Ok((writer, page.into_buffer()));
    }
    blocking(move || {
        let mut writer = writer.map_or_else(begin, Ok)?;
        writer.append(&page).map_err(cannot_compress)?;
        Ok((Some(writer), page.into_buffer()))
    })
    .await
}

fn entries(parts: &[PartHead]) -> Vec<PartEntry> {
    let entry = |(part, head): (u32, &PartHead)| PartEntry {
        part,
        items: head.items,
        bytes: head.bytes,
        md5: head.md5.clone(),
        etag: head.etag.clone(),
    };
    (0..).zip(parts).map(entry).collect()
}

fn cannot_compress(error: std::io::Error) -> Error {
    Error::retryable("compress a part").with_source(error)
}
