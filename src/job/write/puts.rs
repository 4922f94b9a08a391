//! The puts of one part: read ahead, batched, several batches in flight, none lost.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::mpsc;

use crate::archive::marker::FailedItem;
use crate::archive::part::{PartReader, unreadable};
use crate::aws::dynamodb::CallError;
use crate::batch::{Batch, BatchBuilder};
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::item::ItemReader;
use crate::job::Task;
use crate::rate::{Ceiling, Direction, Pace, Throttle};
use crate::schema::KeySchema;
use crate::table::TableName;

/// Batches of one segment in flight at once.
const MAX_IN_FLIGHT: usize = 8;

/// Batches read ahead of those in flight: enough to hide decompression, small against a part.
const READ_AHEAD: usize = 4;

/// Failed items recorded by key for one part; more than this is a broken table, not broken items.
const MAX_FAILED_ITEMS: usize = 10_000;

/// What the puts of a part have come to.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) items_put: u64,
    pub(super) consumed_units: f64,
    pub(super) failed: Vec<FailedItem>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.items_put += other.items_put;
        self.consumed_units += other.consumed_units;
        self.failed.extend(other.failed);
    }
}

/// Puts items into the target of one table, for one segment.
pub(super) struct Puts<'a> {
    environment: &'a Environment,
    task: &'a Task,
    key: KeySchema,
    /// Keeps all batches in flight within the lane's part of the table's write budget.
    pace: Mutex<Pace>,
    /// The most write units of one batch: what the copy takes at once.
    max_batch_units: u64,
}

impl<'a> Puts<'a> {
    pub(super) fn new(environment: &'a Environment, task: &'a Task, ceiling: Ceiling) -> Result<Self> {
        let (table, now) = (&task.table, Instant::now());
        // The copy of one source table is another's than that of a table with the same name elsewhere.
        let copy = format!("copy of {}", table.definition.table_arn);
        let pace = environment.rates.pace(&copy, Direction::Write, ceiling, now);
        let max_batch_units = ceiling.burst_units() as u64;
        Ok(Self { environment, task, key: table.definition.key()?, pace: Mutex::new(pace), max_batch_units })
    }

    /// Puts every item of a part; gives their number, and what came of them.
    pub(super) async fn put_all(&self, key: String, reader: PartReader) -> Result<(u64, Tally)> {
        let (sender, mut batches) = mpsc::channel(READ_AHEAD);
        let batch = BatchBuilder::new(&self.task.table.target, Some(self.max_batch_units));
        let schema = self.key.clone();
        let reading =
            tokio::task::spawn_blocking(move || read_batches(&key, reader, &schema, batch, &sender));
        let mut tally = Tally::default();
        let mut in_flight = InFlight::new();
        let (mut next, mut is_read) = (None, false);
        loop {
            if let Some(batch) = next.take_if(|batch| in_flight.takes(batch)) {
                let keys: Vec<u128> = batch.key_hashes().collect();
                in_flight.keys.extend(&keys);
                in_flight.puts.push(async move { (keys, self.put(batch).await) });
            }
            // Puts go on while the next batch is waited for.
            tokio::select! {
                Some(arrived) = in_flight.next() => {
                    tally.add(arrived?);
                    self.limit_failures(&tally)?;
                }
                batch = batches.recv(), if next.is_none() && !is_read => {
                    is_read = batch.is_none();
                    next = batch;
                }
                else => break,
            }
        }
        let items = reading.await.map_err(|error| Error::retryable("read a part").with_source(error))??;
        Ok((items, tally))
    }

    /// Puts a batch until DynamoDB has taken every item of it, or has refused an item for good.
    async fn put(&self, batch: Batch) -> Result<Tally> {
        let mut tally = Tally::default();
        let mut pending = vec![batch];
        let mut backoff = patience().build();
        while let Some(batch) = pending.pop() {
            let sent = batch.len();
            let (rest, error) = match self.send(&batch).await {
                Ok(answer) => (self.settle(batch, &answer, &mut tally)?, None),
                Err(CallError::Throttled(throttle, error)) => {
                    self.slow_down(throttle);
                    (batch, Some(error))
                }
                Err(CallError::Rejected(error)) => {
                    self.pace().settle(batch.units() as f64, 0.0, Instant::now());
                    pending.extend(self.isolate(&batch, &error, &mut tally)?);
                    continue;
                }
                Err(CallError::Failed(error)) if error.is_retryable() => (batch, Some(error)),
                Err(CallError::Failed(error)) => return Err(error),
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
                return Err(error.unwrap_or_else(|| takes_no_more(&self.task.table.target)));
            };
            pending.push(rest);
            tokio::time::sleep(delay).await;
        }
        Ok(tally)
    }

    /// Sends a batch as soon as the write budget has what it costs.
    async fn send(&self, batch: &Batch) -> Result<Bytes, CallError> {
        let wait = self.pace().reserve(batch.units() as f64, Instant::now());
        tokio::time::sleep(wait).await;
        self.environment.targets.batch_write(&self.task.table.target, batch.request_body()).await
    }

    /// Reads what an answer says was not put, and what the rest cost. Unprocessed items are throttled ones
    /// (DynamoDB API Reference, “BatchWriteItem”).
    fn settle(&self, batch: Batch, answer: &[u8], tally: &mut Tally) -> Result<Batch> {
        let reserved = batch.units() as f64;
        let (rest, consumed) = batch.unprocessed(answer, &self.key)?;
        let of_table = consumed.map_or(reserved, |consumed| consumed.table_units);
        self.pace().settle(reserved, of_table, Instant::now());
        tally.consumed_units += consumed.map_or(0.0, |consumed| consumed.units);
        if !rest.is_empty() {
            self.slow_down(Throttle::Unknown);
        }
        Ok(rest)
    }

    fn slow_down(&self, throttle: Throttle) {
        let (mut pace, now) = (self.pace(), Instant::now());
        if pace.throttled(throttle, now) {
            let units_per_second = pace.units_per_second(now);
            tracing::info!(units_per_second, "writing more slowly: {throttle}");
        }
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Halves a batch that was refused as a whole, until the item that is at fault stands alone.
    fn isolate(&self, batch: &Batch, error: &Error, tally: &mut Tally) -> Result<Vec<Batch>> {
        if batch.len() > 1 {
            let (first, second) = batch.split();
            return Ok(vec![first, second]);
        }
        let reason = format!("{error:#}");
        let keys = batch.keys(&self.key)?;
        tally.failed.extend(keys.iter().map(|key| FailedItem { key: key.to_raw(), reason: reason.clone() }));
        Ok(Vec::new())
    }

    fn limit_failures(&self, tally: &Tally) -> Result<()> {
        if tally.failed.len() <= MAX_FAILED_ITEMS {
            return Ok(());
        }
        Err(Error::permanent(format!(
            "table {} refuses more than {MAX_FAILED_ITEMS} items of one part",
            self.task.table.target
        )))
    }
}

fn takes_no_more(table: &TableName) -> Error {
    Error::retryable(format!(
        "table {table} takes no more writes: every item of a batch came back unprocessed"
    ))
}

/// How long items are sent again while none of them is taken: about ten minutes.
fn patience() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(60))
        .with_jitter()
        .with_max_times(19)
}

/// Reads a part into batches, none of which holds a key twice; gives the number of items read.
fn read_batches(
    key: &str,
    mut reader: PartReader,
    schema: &KeySchema,
    mut batch: BatchBuilder,
    batches: &mpsc::Sender<Batch>,
) -> Result<u64> {
    let mut items = ItemReader::new(schema);
    let (mut line, mut count) = (Vec::new(), 0);
    while reader.next_line(&mut line).map_err(unreadable(key))? {
        let row = items.read_line(&line)?;
        if (!batch.fits(&row) || batch.contains(row.key)) && batches.blocking_send(batch.finish()).is_err() {
            return Ok(count); // the writer stopped; it says why
        }
        batch.push(&row);
        count += 1;
    }
    if !batch.is_empty() {
        // A writer that stopped says why itself.
        let _ = batches.blocking_send(batch.finish());
    }
    Ok(count)
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

    /// Whether a batch may be sent now: two puts of one key must not overtake each other.
    fn takes(&self, batch: &Batch) -> bool {
        self.puts.len() < MAX_IN_FLIGHT && !batch.key_hashes().any(|key| self.keys.contains(&key))
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
