//! Export: copies the items of one segment to the bucket, part by part.
//!
//! The part rule makes this safe with no lock: part *n* starts right after the last item of part *n − 1* as
//! it lies in the bucket, and whoever creates a part first decides it for ever. So whoever continues a
//! segment, continues where the bucket ends; and whoever finds a part taken, gives way.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::value::RawValue;

use super::{Lease, Outcome, Task, blocking};
use crate::archive::layout::TableFolder;
use crate::archive::marker::{Exported, PartEntry, Window};
use crate::archive::part::{PartReader, PartWriter, unreadable};
use crate::archive::{Archive, PartHead};
use crate::aws::dynamodb::ScanRequest;
use crate::environment::{Environment, SourceAccount};
use crate::error::{Context, Error, Result};
use crate::item::{Key, line_item};
use crate::page::Page;
use crate::reconcile::{self, Event};

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
        let source = environment.source_of(&task.run).await?;
        let export = SegmentExport { environment, lease, task, segment, folder, source };
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

struct SegmentExport<'a> {
    environment: &'a Environment,
    lease: &'a Lease,
    task: &'a Task,
    segment: u32,
    folder: TableFolder,
    source: &'a SourceAccount,
}

enum End {
    Exported,
    GivenWay,
    HandOver,
}

/// Whether a part was put, or its place was taken.
enum Put {
    Ours(PartHead),
    Taken,
}

impl SegmentExport<'_> {
    async fn run(&self) -> Result<End> {
        let compression = self.task.table.compression;
        let mut parts = self.archive().parts(&self.folder, self.segment, compression).await?;
        let mut resume = self.resume_key(&parts).await?;
        let scan_started_at = parts.first().map_or_else(Timestamp::now, |part| part.scan_started_at);
        let attempt = attempt_id();
        let deadline = Instant::now() + self.environment.config.hand_over_after;
        let mut units_since_part = 0.0;

        let mut writer = PartWriter::new(compression).map_err(cannot_compress)?;
        let mut page = self.page(resume.as_deref()).await?;
        loop {
            resume = page.last_evaluated_key().map(raw_key).transpose()?;
            units_since_part += page.consumed_units();
            self.environment.progress.items_exported(
                &self.task.run.run,
                &self.task.table.name,
                page.len() as u64,
            );

            // The next page is on its way while this one is compressed.
            let stopping = self.lease.is_over() || Instant::now() >= deadline;
            let more = resume.is_some() && !stopping;
            let appended = append(writer, page);
            let next = async { if more { self.page(resume.as_deref()).await.map(Some) } else { Ok(None) } };
            let (appended, next) = futures::join!(appended, next);
            writer = appended?;

            // What was read from production is kept, even when the next page could not be.
            let last = !more || next.is_err();
            if self.is_full(&writer) || (last && !writer.is_empty()) {
                let full =
                    std::mem::replace(&mut writer, PartWriter::new(compression).map_err(cannot_compress)?);
                let units = std::mem::take(&mut units_since_part);
                match self.put(parts.len(), full, &attempt, scan_started_at, units).await? {
                    Put::Ours(part) => parts.push(part),
                    Put::Taken => return Ok(End::GivenWay),
                }
            }
            page = match next? {
                Some(next) => next,
                None if resume.is_none() => break,
                None => return self.lease.check().map(|()| End::HandOver),
            };
        }
        let scan = Window { started_at: scan_started_at, finished_at: Timestamp::now() };
        let consumed_units = units_since_part + parts.iter().map(|part| part.consumed_units).sum::<f64>();
        let marker = Exported { segment: self.segment, parts: entries(parts), scan, consumed_units };
        self.archive().create(&self.folder.exported(self.segment), &marker).await?;
        Ok(End::Exported)
    }

    fn archive(&self) -> &Archive {
        &self.environment.archive
    }

    /// The key to continue after: that of the last item in the bucket.
    async fn resume_key(&self, parts: &[PartHead]) -> Result<Option<Box<RawValue>>> {
        let Some((last, head)) = (0_u32..).zip(parts).last() else { return Ok(None) };
        let table = &self.task.table;
        let key = self.folder.part(self.segment, last, table.compression);
        let body = self.archive().part(&key).await?;
        let (md5, compression) = (head.md5.clone(), table.compression);
        let line = blocking(move || {
            PartReader::open(&key, body, &md5, compression)?.last_line().map_err(unreadable(&key))
        });
        let line = line.await?.ok_or_else(|| Error::permanent("the last part holds no item"))?;
        Ok(Some(Key::of(line_item(&line)?, &table.definition.key()?)?.to_raw()))
    }

    /// The next page. A table that throttles is left alone for longer and longer: it is production that is
    /// short of capacity.
    async fn page(&self, after: Option<&RawValue>) -> Result<Page> {
        let mut backoff = patience().build();
        let patiently = async {
            loop {
                let error = match self.scan(after).await {
                    Err(error) if error.is_retryable() => error,
                    answered => return answered,
                };
                let Some(delay) = backoff.next() else { return Err(error) };
                tracing::warn!(retry_in_ms = delay.as_millis(), "{error:#}");
                tokio::time::sleep(delay).await;
            }
        };
        self.lease.run(patiently).await
    }

    async fn scan(&self, after: Option<&RawValue>) -> Result<Page> {
        let request = ScanRequest {
            table_name: &self.task.table.name,
            segment: self.segment,
            total_segments: self.task.table.plan.segments,
            exclusive_start_key: after,
            consistent_read: self.task.run.consistent_read,
            return_consumed_capacity: "TOTAL",
        };
        let body: Bytes = self.source.tables.scan(&request).await?;
        Page::parse(body).with_context(|| format!("scan table {}", self.task.table.name))
    }

    fn is_full(&self, writer: &PartWriter) -> bool {
        let plan = &self.task.table.plan;
        writer.compressed_bytes() >= plan.part_bytes || writer.raw_bytes() >= plan.part_raw_bytes
    }

    /// Puts the next part, unless the segment is exported already or its run is over.
    async fn put(
        &self,
        count: usize,
        writer: PartWriter,
        attempt: &str,
        scan_started_at: Timestamp,
        consumed_units: f64,
    ) -> Result<Put> {
        let report = self.archive().layout().report(&self.task.run.run);
        if self.archive().exists(&self.folder.exported(self.segment)).await?
            || self.archive().exists(&report).await?
        {
            return Ok(Put::Taken);
        }
        let part = blocking(move || writer.finish().map_err(cannot_compress)).await?;
        let number = u32::try_from(count).expect("a segment has far fewer than 2^32 parts");
        let key = self.folder.part(self.segment, number, self.task.table.compression);
        let mut head = PartHead {
            attempt: attempt.to_owned(),
            items: part.items,
            bytes: part.body.len() as u64,
            md5: part.md5.clone(),
            etag: String::new(),
            scan_started_at,
            consumed_units,
        };
        match self.archive().create_part(&key, &part, &head).await? {
            Some(etag) => head.etag = etag,
            None => return Ok(Put::Taken),
        }
        tracing::debug!(
            run.id = %self.task.run.run, table.name = %self.task.table.name, segment = self.segment,
            part = number, items = head.items, size_bytes = head.bytes, "part written"
        );
        Ok(Put::Ours(head))
    }
}

/// Compresses a page on a blocking thread: it takes milliseconds.
async fn append(mut writer: PartWriter, page: Page) -> Result<PartWriter> {
    blocking(move || {
        writer.append(&page).map_err(cannot_compress)?;
        Ok(writer)
    })
    .await
}

fn entries(parts: Vec<PartHead>) -> Vec<PartEntry> {
    let numbered = (0..).zip(parts);
    numbered
        .map(|(part, head)| PartEntry {
            part,
            items: head.items,
            bytes: head.bytes,
            md5: head.md5,
            etag: head.etag,
        })
        .collect()
}

fn raw_key(key: &[u8]) -> Result<Box<RawValue>> {
    serde_json::from_slice(key).map_err(|error| Error::retryable("read LastEvaluatedKey").with_source(error))
}

/// Tells this attempt's parts from those of another worker.
fn attempt_id() -> String {
    format!("{:016x}", RandomState::new().hash_one(Timestamp::now().as_nanosecond()))
}

/// About ten minutes, on top of the SDK's own attempts.
fn patience() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_secs(1))
        .with_max_delay(Duration::from_secs(60))
        .with_jitter()
        .with_max_times(14)
}

fn cannot_compress(error: std::io::Error) -> Error {
    Error::retryable("compress a part").with_source(error)
}
