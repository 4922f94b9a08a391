//! Writes to the live copy: read ahead, batched, several batches in flight, none lost.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::mpsc;

use super::index::{Archived, Found, Index};
use crate::archive::marker::FailedItem;
use crate::archive::part::{PartFile, PartReader};
use crate::aws::dynamodb::{CallError, Tables};
use crate::batch::{Batch, BatchBuilder, Delete};
use crate::error::{Error, Result};
use crate::item::{ItemReader, Key};
use crate::metrics::{Counters, Metric};
use crate::rate::{Pace, Throttle};
use crate::schema::KeySchema;
use crate::table::TableName;

/// Batches of one segment in flight at once.
const MAX_IN_FLIGHT: usize = 8;

/// Batches read ahead of those in flight: enough to hide decompression, small against a part.
const READ_AHEAD: usize = 4;

/// How long items are sent again at most while none of them is taken.
const PATIENCE: Duration = Duration::from_secs(600);

/// What the writes of a part have come to.
#[derive(Debug, Default)]
pub struct Tally {
    /// Items put or deleted.
    pub items: u64,
    pub consumed_units: f64,
    pub failed: Vec<FailedItem>,
}

impl Tally {
    pub fn add(&mut self, other: Self) {
        self.items += other.items;
        self.consumed_units += other.consumed_units;
        self.failed.extend(other.failed);
    }
}

/// Writes into one table, for one segment.
pub struct Writer<'a> {
    tables: &'a Tables,
    table: &'a TableName,
    key: KeySchema,
    /// Keeps all batches in flight within the lane's part of the table's write budget.
    pace: Mutex<Pace>,
    /// The most write units of one batch: what the copy takes at once.
    max_batch_units: u64,
    /// How long items are sent again while none of them is taken.
    patience: Duration,
    /// Is told how many items were put, for whoever watches.
    on_put: Box<dyn Fn(u64) + Send + Sync + 'a>,
    counters: Arc<Counters>,
}

impl fmt::Debug for Writer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("table", self.table).finish_non_exhaustive()
    }
}

impl<'a> Writer<'a> {
    pub fn new(
        tables: &'a Tables,
        table: &'a TableName,
        key: KeySchema,
        pace: Pace,
        max_batch_units: u64,
    ) -> Self {
        let on_put = Box::new(|_| {});
        let counters = Arc::default();
        Self {
            tables,
            table,
            key,
            pace: Mutex::new(pace),
            max_batch_units,
            patience: PATIENCE,
            on_put,
            counters,
        }
    }

    /// Counts units and throttles there.
    #[must_use]
    pub fn counted(self, counters: Arc<Counters>) -> Self {
        Self { counters, ..self }
    }

    /// Gives up after `longest` with nothing taken, if that is less than ten minutes.
    #[must_use]
    pub fn patient_for(self, longest: Duration) -> Self {
        Self { patience: longest.min(PATIENCE), ..self }
    }

    /// Tells `on_put` of each number of items that was put.
    #[must_use]
    pub fn watched(mut self, on_put: impl Fn(u64) + Send + Sync + 'a) -> Self {
        self.on_put = Box::new(on_put);
        self
    }

    /// Puts every item of a part, and adds up what it holds; gives the hashes of its keys as well, if asked.
    pub async fn put_all(
        &self,
        part: &PartFile,
        reader: PartReader,
        lists_keys: bool,
    ) -> Result<(Archived, Vec<u128>, Tally)> {
        let (part, schema) = (part.clone(), self.key.clone());
        let batch = BatchBuilder::puts(self.table, Some(self.max_batch_units));
        let read = move |batches| read_all(&part, reader, &schema, lists_keys, batch, &batches);
        self.write(read).await.map(|((archived, keys), tally)| (archived, keys, tally))
    }

    /// Puts the items of a part that the copy does not have, or has with another content.
    pub async fn put_different(
        &self,
        part: &PartFile,
        reader: PartReader,
        index: Arc<Index>,
    ) -> Result<Tally> {
        let (part, schema) = (part.clone(), self.key.clone());
        let batch = BatchBuilder::puts(self.table, Some(self.max_batch_units));
        let read = move |batches| read_different(&part, reader, &schema, &index, batch, &batches);
        self.write(read).await.map(|((), tally)| tally)
    }

    /// Deletes the items with these keys.
    pub async fn delete(&self, keys: Vec<Key>) -> Result<Tally> {
        let batch = BatchBuilder::deletes(self.table, Some(self.max_batch_units));
        self.write(move |batches| batch_deletes(&keys, batch, &batches)).await.map(|((), tally)| tally)
    }

    /// Writes the batches that `read` sends, on a thread of its own; gives what that has come to.
    async fn write<T: Send + 'static>(
        &self,
        read: impl FnOnce(Batches) -> Result<T> + Send + 'static,
    ) -> Result<(T, Tally)> {
        let (sender, mut batches) = mpsc::channel(READ_AHEAD);
        let reading = tokio::task::spawn_blocking(move || read(Batches(sender)));
        let mut tally = Tally::default();
        let mut in_flight = InFlight::new();
        let (mut next, mut is_read) = (None, false);
        loop {
            if let Some(batch) = next.take_if(|batch| in_flight.takes(batch)) {
                let keys: Vec<u128> = batch.key_hashes().collect();
                in_flight.keys.extend(&keys);
                in_flight.writes.push(async move { (keys, self.write_batch(batch).await) });
            }
            // Writes go on while the next batch is waited for.
            tokio::select! {
                Some(arrived) = in_flight.next() => {
                    tally.add(arrived?);
                }
                batch = batches.recv(), if next.is_none() && !is_read => {
                    is_read = batch.is_none();
                    next = batch;
                }
                else => break,
            }
        }
        let read = reading.await.map_err(|error| Error::retryable("read a part").with_source(error))??;
        Ok((read, tally))
    }

    /// Writes a batch until DynamoDB has taken every item of it, or has refused an item for good.
    async fn write_batch(&self, batch: Batch) -> Result<Tally> {
        let mut tally = Tally::default();
        let mut pending = vec![batch];
        let mut backoff = backoff(self.patience);
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
                Err(CallError::Failed(error)) if error.is_retryable() => {
                    self.tables.retries().add_one();
                    (batch, Some(error))
                }
                Err(CallError::Failed(error)) => return Err(error),
            };
            let written = (sent - rest.len()) as u64;
            tally.items += written;
            (self.on_put)(written);
            if rest.is_empty() {
                continue;
            }
            if written > 0 {
                backoff = self::backoff(self.patience);
            }
            let Some(delay) = backoff.next() else {
                return Err(error.unwrap_or_else(|| takes_no_more(self.table)));
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
        self.tables.batch_write(self.table, batch.request_body()).await
    }

    /// Reads what an answer says was not written, and what the rest cost. Unprocessed items are throttled ones
    /// (DynamoDB API Reference, “BatchWriteItem”).
    fn settle(&self, batch: Batch, answer: &[u8], tally: &mut Tally) -> Result<Batch> {
        let reserved = batch.units() as f64;
        let (rest, consumed) = batch.unprocessed(answer, &self.key)?;
        let of_table = consumed.map_or(reserved, |consumed| consumed.table_units);
        self.pace().settle(reserved, of_table, Instant::now());
        let units = consumed.map_or(0.0, |consumed| consumed.units);
        tally.consumed_units += units;
        self.counters.add_units(Metric::WriteUnits, units);
        if !rest.is_empty() {
            self.slow_down(Throttle::Unknown);
        }
        Ok(rest)
    }

    fn slow_down(&self, throttle: Throttle) {
        self.counters.add(Metric::Throttles, 1);
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
}

fn takes_no_more(table: &TableName) -> Error {
    Error::retryable(format!(
        "table {table} takes no more writes: every item of a batch came back unprocessed"
    ))
}

/// The pauses before items are sent again of which none was taken.
fn backoff(patience: Duration) -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(60))
        .with_jitter()
        .without_max_times()
        .with_total_delay(Some(patience))
        .build()
}

/// Where a reader sends its batches.
struct Batches(mpsc::Sender<Batch>);

impl Batches {
    /// Sends a batch that has an item; false when the writer has stopped, which says itself why.
    fn send<O>(&self, batch: &mut BatchBuilder<O>) -> bool {
        batch.is_empty() || self.0.blocking_send(batch.finish()).is_ok()
    }
}

fn read_all(
    part: &PartFile,
    mut reader: PartReader,
    schema: &KeySchema,
    lists_keys: bool,
    mut batch: BatchBuilder,
    batches: &Batches,
) -> Result<(Archived, Vec<u128>)> {
    let (mut items, mut line) = (ItemReader::new(schema), Vec::new());
    let (mut archived, mut keys) = (Archived::default(), Vec::new());
    while reader.next_line(&mut line).map_err(part.unreadable())? {
        let (row, content) = items.read_line_with_content(&line)?;
        archived.add(content, row.write_units());
        if lists_keys {
            keys.push(row.key);
        }
        if (!batch.fits(&row) || batch.contains(row.key)) && !batches.send(&mut batch) {
            return Ok((archived, keys));
        }
        batch.push(&row);
    }
    part.require_items(archived.digest.items)?;
    batches.send(&mut batch);
    Ok((archived, keys))
}

fn read_different(
    part: &PartFile,
    mut reader: PartReader,
    schema: &KeySchema,
    index: &Index,
    mut batch: BatchBuilder,
    batches: &Batches,
) -> Result<()> {
    let (mut items, mut line) = (ItemReader::new(schema), Vec::new());
    while reader.next_line(&mut line).map_err(part.unreadable())? {
        let row = items.read_line(&line)?;
        if !index.covers(row.key) || index.found(row.key) == Some(Found::Unchanged) {
            continue;
        }
        if (!batch.fits(&row) || batch.contains(row.key)) && !batches.send(&mut batch) {
            return Ok(());
        }
        batch.push(&row);
    }
    batches.send(&mut batch);
    Ok(())
}

fn batch_deletes(keys: &[Key], mut batch: BatchBuilder<Delete>, batches: &Batches) -> Result<()> {
    for key in keys {
        if (!batch.fits(key) || batch.contains(key.hash128())) && !batches.send(&mut batch) {
            return Ok(());
        }
        batch.push(key);
    }
    batches.send(&mut batch);
    Ok(())
}

/// Batches that are on their way, and the keys in them.
struct InFlight<W> {
    writes: FuturesUnordered<W>,
    keys: HashSet<u128>,
}

/// The keys of a batch that has arrived, and what came of it.
type Arrival = (Vec<u128>, Result<Tally>);

impl<W: Future<Output = Arrival>> InFlight<W> {
    fn new() -> Self {
        Self { writes: FuturesUnordered::new(), keys: HashSet::new() }
    }

    /// Whether a batch may be sent now: two writes of one key must not overtake each other.
    fn takes(&self, batch: &Batch) -> bool {
        self.writes.len() < MAX_IN_FLIGHT && !batch.key_hashes().any(|key| self.keys.contains(&key))
    }

    /// What came of the batch that arrives next; `None` when none is on its way.
    async fn next(&mut self) -> Option<Result<Tally>> {
        let (keys, tally) = self.writes.next().await?;
        for key in keys {
            self.keys.remove(&key);
        }
        Some(tally)
    }
}
