//! Write: brings the items of one exported segment into the live copy.

use std::collections::HashSet;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt};
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::{Lease, Outcome, Task, blocking};
use crate::archive::layout::Stage;
use crate::archive::marker::{Exported, FailedItem, Failure, Written};
use crate::archive::part::{PartReader, unreadable};
use crate::aws::dynamodb::BatchError;
use crate::batch::Batch;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::item::{Key, line_item};
use crate::reconcile::{self, Event};
use crate::schema::KeySchema;
use crate::table::TableName;

/// Batches of one segment in flight at once.
const MAX_IN_FLIGHT: usize = 8;

/// Batches read ahead of those in flight: enough to hide decompression, small against a part.
const READ_AHEAD: usize = 4;

/// How long a target that is not ready is left alone.
const NOT_READY_DELAY: Duration = Duration::from_secs(10);

/// Failed items recorded by key for one segment; more than this is a broken table, not broken items.
const MAX_FAILED_ITEMS: usize = 10_000;

/// Writes a segment into its target.
pub(super) async fn run(
    environment: &Environment,
    lease: &Lease,
    task: &Task,
    segment: u32,
) -> Result<Outcome> {
    let archive = &environment.archive;
    let folder = archive.folder(&task.run.run, &task.table.name);
    if !archive.exists(&folder.written(segment)).await? {
        if !archive.exists(&folder.provisioned()).await? {
            return Ok(Outcome::again(NOT_READY_DELAY, "the target table is not provisioned yet"));
        }
        let Some(exported) = archive.read::<Exported>(&folder.exported(segment)).await? else {
            return Ok(Outcome::again(NOT_READY_DELAY, "the segment is not exported yet"));
        };
        environment.checked_targets.require(&environment.copies, &task.table).await?;
        let writer = SegmentWriter { environment, task, key: task.table.definition.key()? };
        // Puts that are cut short are put again by whoever continues.
        let tally = lease.run(writer.write(&exported)).await?;
        record(environment, task, segment, tally).await?;
    }
    environment.progress.segment_written(&task.run.run, &task.table.name);
    reconcile::table(environment, &task.run, &task.table, Event::Written).await?;
    Ok(Outcome::Done)
}

/// Records failed items first: a marker that counts them is never without their names.
async fn record(environment: &Environment, task: &Task, segment: u32, tally: Tally) -> Result<()> {
    let archive = &environment.archive;
    let folder = archive.folder(&task.run.run, &task.table.name);
    let finished_at = Timestamp::now();
    let items_failed = tally.failed.len() as u64;
    if items_failed > 0 {
        let failure = Failure {
            stage: Stage::Write,
            segment,
            reason: format!("DynamoDB refuses {items_failed} items of segment {segment}"),
            items: tally.failed,
            failed_at: finished_at,
        };
        archive.create(&folder.failed(Stage::Write, segment), &failure).await?;
    }
    let marker = Written {
        segment,
        items_put: tally.items_put,
        items_failed,
        consumed_units: tally.consumed_units,
        finished_at,
    };
    archive.create(&folder.written(segment), &marker).await?;
    Ok(())
}

/// What the writes of a segment have come to.
#[derive(Debug, Default)]
struct Tally {
    items_put: u64,
    consumed_units: f64,
    failed: Vec<FailedItem>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.items_put += other.items_put;
        self.consumed_units += other.consumed_units;
        self.failed.extend(other.failed);
    }
}

struct SegmentWriter<'a> {
    environment: &'a Environment,
    task: &'a Task,
    key: KeySchema,
}

impl SegmentWriter<'_> {
    async fn write(&self, exported: &Exported) -> Result<Tally> {
        let folder = self.environment.archive.folder(&self.task.run.run, &self.task.table.name);
        let compression = self.task.table.compression;
        let mut tally = Tally::default();
        for part in &exported.parts {
            let key = folder.part(exported.segment, part.part, compression);
            let body = self.environment.archive.part(&key).await?;
            let (md5, part_key) = (part.md5.clone(), key.clone());
            // The whole part is hashed before its first item is written.
            let reader = blocking(move || PartReader::open(&part_key, body, &md5, compression)).await?;
            let (items, written) = self.write_part(key.clone(), reader).await?;
            if items != part.items {
                return Err(Error::permanent(format!(
                    "part {key} holds {items} items, its marker says {}",
                    part.items
                )));
            }
            tally.add(written);
            self.limit_failures(&tally)?;
        }
        Ok(tally)
    }

    /// Writes one part; gives the number of items in it, and what came of them.
    async fn write_part(&self, key: String, reader: PartReader) -> Result<(u64, Tally)> {
        let (sender, mut batches) = mpsc::channel(READ_AHEAD);
        let schema = self.key.clone();
        let reading = tokio::task::spawn_blocking(move || read_batches(&key, reader, &schema, &sender));
        let mut tally = Tally::default();
        let mut in_flight = InFlight::new();
        while let Some(batch) = batches.recv().await {
            // Two puts of one key must not overtake each other.
            while in_flight.is_full() || in_flight.holds_any(&batch) {
                let Some(arrived) = in_flight.next().await else { break };
                tally.add(arrived?);
                self.limit_failures(&tally)?;
            }
            let keys: Vec<u128> = batch.keys().map(Key::hash128).collect();
            in_flight.push(&keys.clone(), async move { (keys, self.put(batch).await) });
        }
        while let Some(arrived) = in_flight.next().await {
            tally.add(arrived?);
        }
        let items = reading.await.map_err(|error| Error::retryable("read a part").with_source(error))??;
        Ok((items, tally))
    }

    /// Puts a batch until DynamoDB has taken every item of it, or has refused an item for good.
    async fn put(&self, batch: Batch) -> Result<Tally> {
        let table = &self.task.table.target;
        let mut tally = Tally::default();
        let mut pending = vec![batch];
        let mut backoff = patience().build();
        while let Some(batch) = pending.pop() {
            let sent = batch.len();
            let (rest, error) =
                match self.environment.copies.batch_write(table, batch.request_body(table)).await {
                    Ok(answer) => {
                        let (rest, units) = batch.unprocessed(&answer, table, &self.key)?;
                        tally.consumed_units += units;
                        (rest, None)
                    }
                    Err(BatchError::Rejected(error)) => {
                        pending.extend(isolate(batch, &error, &mut tally));
                        continue;
                    }
                    Err(BatchError::Failed(error)) if error.is_retryable() => (batch, Some(error)),
                    Err(BatchError::Failed(error)) => return Err(error),
                };
            let put = (sent - rest.len()) as u64;
            tally.items_put += put;
            self.environment.progress.items_written(&self.task.run.run, &self.task.table.name, put);
            if rest.is_empty() {
                continue;
            }
            if put > 0 {
                backoff = patience().build();
            }
            let Some(delay) = backoff.next() else {
                return Err(error.unwrap_or_else(|| takes_no_more(table)));
            };
            pending.push(rest);
            tokio::time::sleep(delay).await;
        }
        Ok(tally)
    }

    fn limit_failures(&self, tally: &Tally) -> Result<()> {
        if tally.failed.len() <= MAX_FAILED_ITEMS {
            return Ok(());
        }
        Err(Error::permanent(format!(
            "table {} refuses more than {MAX_FAILED_ITEMS} items of one segment",
            self.task.table.target
        )))
    }
}

fn takes_no_more(table: &TableName) -> Error {
    Error::retryable(format!(
        "table {table} takes no more writes: every item of a batch came back unprocessed"
    ))
}

/// How long items are sent again while none of them is taken: about two minutes of waiting.
fn patience() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(20))
        .with_jitter()
        .with_max_times(14)
}

/// Halves a batch that was refused as a whole, until the item that is at fault stands alone.
fn isolate(batch: Batch, error: &Error, tally: &mut Tally) -> Vec<Batch> {
    if batch.len() > 1 {
        let (first, second) = batch.split();
        return vec![first, second];
    }
    let reason = format!("{error:#}");
    tally.failed.extend(batch.keys().map(|key| FailedItem { key: key.to_raw(), reason: reason.clone() }));
    Vec::new()
}

/// Reads a part into batches, none of which holds a key twice; gives the number of items read.
fn read_batches(
    key: &str,
    mut reader: PartReader,
    schema: &KeySchema,
    batches: &mpsc::Sender<Batch>,
) -> Result<u64> {
    let mut batch = Batch::default();
    let (mut line, mut items) = (Vec::new(), 0);
    while reader.next_line(&mut line).map_err(unreadable(key))? {
        let item = line_item(&line)?;
        let item_key = Key::of(item, schema)?;
        if (!batch.fits(item) || batch.contains(&item_key))
            && batches.blocking_send(std::mem::take(&mut batch)).is_err()
        {
            return Ok(items); // the writer stopped; it says why
        }
        batch.push(Bytes::copy_from_slice(item), item_key);
        items += 1;
    }
    if !batch.is_empty() {
        // A writer that stopped says why itself.
        let _ = batches.blocking_send(batch);
    }
    Ok(items)
}

/// Batches that are on their way, and the keys in them.
struct InFlight<P> {
    puts: FuturesUnordered<P>,
    keys: HashSet<u128>,
}

/// The keys of a batch that has arrived, and what came of it.
type Arrival = (Vec<u128>, Result<Tally>);

impl<P: Future<Output = Arrival>> InFlight<P> {
    fn new() -> Self {
        Self { puts: FuturesUnordered::new(), keys: HashSet::new() }
    }

    fn is_full(&self) -> bool {
        self.puts.len() >= MAX_IN_FLIGHT
    }

    fn holds_any(&self, batch: &Batch) -> bool {
        batch.keys().any(|key| self.keys.contains(&key.hash128()))
    }

    fn push(&mut self, keys: &[u128], put: P) {
        self.keys.extend(keys);
        self.puts.push(put);
    }

    /// What came of the batch that arrives next; `None` when none is on its way.
    async fn next(&mut self) -> Option<Result<Tally>> {
        let (keys, tally) = self.puts.next().await?;
        for key in keys {
            self.keys.remove(&key);
        }
        Some(tally)
    }
}
