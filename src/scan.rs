//! The scan of one segment of a table, page by page: within its budget, and through what may pass.

use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use serde_json::value::RawValue;

use crate::aws::dynamodb::{CallError, ScanRequest, Tables};
use crate::error::{Error, Result};
use crate::metrics::{Counters, Metric};
use crate::page::Page;
use crate::rate::{Pace, Throttle};
use crate::table::TableName;

/// What is scanned, and how.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    pub tables: &'a Tables,
    pub table: &'a TableName,
    pub segment: u32,
    pub total_segments: u32,
    pub consistent_read: bool,
}

/// Reads one segment.
#[derive(Debug)]
pub struct SegmentScan<'a> {
    segment: Segment<'a>,
    /// Keeps the scan within its lane's part of the table's read budget.
    pace: Pace,
    /// What the last page cost, and what an item has cost on average, in read units.
    page_units: f64,
    units_per_item: Option<f64>,
    /// What all pages have cost so far, in read units.
    consumed_units: f64,
    /// The memory of a page that is no longer needed.
    buffer: Vec<u8>,
    counters: Arc<Counters>,
}

impl<'a> SegmentScan<'a> {
    /// `item_bytes` is the average size of the table's items, where that is known.
    pub fn new(segment: Segment<'a>, pace: Pace, item_bytes: Option<f64>) -> Self {
        let units_per_item = item_bytes.map(|bytes| read_units(bytes, segment.consistent_read));
        Self {
            segment,
            pace,
            page_units: 1.0,
            units_per_item,
            consumed_units: 0.0,
            buffer: Vec::new(),
            counters: Arc::default(),
        }
    }

    /// Counts units and throttles there.
    #[must_use]
    pub fn counted(self, counters: Arc<Counters>) -> Self {
        Self { counters, ..self }
    }

    /// What all pages have cost so far, in read units, as far as their answers told.
    pub fn consumed_units(&self) -> f64 {
        self.consumed_units
    }

    /// The first page that has an item; `None` when the segment has none.
    pub async fn first_items(&mut self) -> Result<Option<Page>> {
        let mut page = self.page(None, None, || false).await?;
        while page.is_empty() {
            let Some(after) = page.last_evaluated_key().map(ToOwned::to_owned) else { return Ok(None) };
            page = self.page(Some(&after), None, || false).await?;
        }
        Ok(Some(page))
    }

    /// Takes the memory of a page, for the next one.
    pub fn reuse(&mut self, buffer: Vec<u8>) {
        self.buffer = buffer;
    }

    /// The page after a key, of at most `max_items` items. A table that throttles is read more slowly, and left
    /// alone for longer and longer while it still does: others may need its capacity more than we do. That ends
    /// after about ten minutes, or as soon as `gives_up` says so.
    pub async fn page(
        &mut self,
        after: Option<&RawValue>,
        max_items: Option<u32>,
        gives_up: impl Fn() -> bool,
    ) -> Result<Page> {
        let mut backoff = patience().build();
        loop {
            let error = match self.attempt(after, max_items).await {
                Ok(page) => return Ok(page),
                Err(CallError::Throttled(throttle, error)) => {
                    self.slow_down(throttle, &error);
                    error
                }
                Err(CallError::Failed(error)) if error.is_retryable() => {
                    tracing::warn!("{error:#}");
                    self.segment.tables.retries().add_one();
                    error
                }
                Err(error) => return Err(error.into()),
            };
            let Some(delay) = backoff.next().filter(|_| !gives_up()) else { return Err(error) };
            tokio::time::sleep(delay).await;
        }
    }

    /// Asks for a page as soon as the read budget has what it is likely to cost.
    async fn attempt(&mut self, after: Option<&RawValue>, max_items: Option<u32>) -> Result<Page, CallError> {
        let Segment { tables, table, segment, total_segments, consistent_read } = self.segment;
        let limit = self.pace.page_limit(consistent_read, self.units_per_item, Instant::now());
        let expected_units = match (limit, self.units_per_item) {
            (Some(items), Some(units)) => f64::from(items) * units,
            (Some(_), None) => 1.0,
            (None, _) => self.page_units,
        };
        tokio::time::sleep(self.pace.reserve(expected_units, Instant::now())).await;
        let request = ScanRequest {
            table_name: table,
            segment,
            total_segments,
            exclusive_start_key: after,
            consistent_read,
            limit: limit.into_iter().chain(max_items).min(),
            return_consumed_capacity: "TOTAL",
        };
        let page = tables.scan(&request, std::mem::take(&mut self.buffer)).await?;
        let units = page.consumed_units().unwrap_or(expected_units);
        self.pace.settle(expected_units, units, Instant::now());
        self.page_units = units;
        self.consumed_units += page.consumed_units().unwrap_or_default();
        self.counters.add_units(Metric::ReadUnits, page.consumed_units().unwrap_or_default());
        if !page.is_empty() {
            // What a page costs is rounded up, and JSON takes more than DynamoDB counts: the lesser is nearer.
            let by_size = read_units(page.lines().len() as f64, consistent_read);
            self.units_per_item = Some(units.min(by_size) / page.len() as f64);
        }
        Ok(page)
    }

    fn slow_down(&mut self, throttle: Throttle, error: &Error) {
        self.counters.add(Metric::Throttles, 1);
        let now = Instant::now();
        if self.pace.throttled(throttle, now) {
            let units_per_second = self.pace.units_per_second(now);
            tracing::warn!(units_per_second, "reading more slowly, {throttle}: {error:#}");
        }
    }
}

/// What it costs to read so many bytes: a read unit is 4 KB read strongly or 8 KB read eventually consistently
/// (DynamoDB Developer Guide, “DynamoDB read and write operations”).
fn read_units(bytes: f64, consistent_read: bool) -> f64 {
    bytes / if consistent_read { 4096.0 } else { 8192.0 }
}

/// About ten minutes.
fn patience() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(60))
        .with_jitter()
        .with_max_times(18)
}
