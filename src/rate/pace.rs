//! The pace of one job: a bucket of units that fills at the rate and may be drawn below empty.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Throttle;
use super::budget::MIN_LANE_UNITS;
use super::factor::{Factor, Meter, ONE_BURST};
use super::tables::TableRate;

/// What a rested bucket holds, in seconds at the current rate.
const BURST_SECONDS: f64 = 1.0;

/// More than any table gives; keeps the arithmetic finite.
const MAX_UNITS: f64 = 1e9;

const MAX_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// An on-demand table that gets twice its previous peak within this time may throttle (DynamoDB Developer
/// Guide, “DynamoDB on-demand capacity mode”, “Initial throughput and scaling properties”).
const DOUBLING: Duration = Duration::from_secs(30 * 60);

/// A page is at most 1 MB (DynamoDB Developer Guide, “Scanning tables in DynamoDB”); a read unit is 4 KB read
/// strongly or 8 KB read eventually consistently (“DynamoDB read and write operations”).
const PAGE_UNITS: f64 = 256.0;
/// An item is at most 400 KB (DynamoDB API Reference, “BatchWriteItem”).
const MAX_ITEM_UNITS: f64 = 100.0;

/// The most that a job may take, in units a second: its lane's part of the table's rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ceiling {
    units_per_second: f64,
    warm: f64,
    /// Seconds at the ceiling that a new pace may draw at once.
    saved: f64,
}

/// DynamoDB keeps the unused capacity of a provisioned table for this long (DynamoDB Developer Guide, “DynamoDB
/// burst and adaptive capacity”).
const BURST_CAPACITY: Duration = Duration::from_secs(300);

impl Ceiling {
    /// At least 1 unit a second, whatever is given.
    pub fn new(units_per_second: f64) -> Self {
        Self { units_per_second: tame(units_per_second), warm: f64::INFINITY, saved: 0.0 }
    }

    /// Lets the pace begin with what a provisioned table has saved up while nobody used it: for the first writes
    /// of a run to a copy. What production has saved up is production's.
    #[must_use]
    pub fn with_burst_capacity(mut self) -> Self {
        self.saved = BURST_CAPACITY.as_secs_f64();
        self
    }

    /// Lets the ceiling start at `units_per_second`, if that is lower, and double every 30 minutes: for writes
    /// to an on-demand table. It is the lane's part of what the table takes at once, which is `WarmThroughput`
    /// in DescribeTable's answer, and grows with use (DynamoDB Developer Guide, “Understanding DynamoDB warm
    /// throughput”); or else, of a new table, [`super::Direction::new_table_units`].
    #[must_use]
    pub fn warming_from(mut self, units_per_second: f64) -> Self {
        self.warm = tame(units_per_second);
        self
    }

    /// What a request may cost without being more than the table takes at once.
    pub fn burst_units(self) -> f64 {
        self.units_per_second * self.burst_seconds()
    }

    fn burst_seconds(self) -> f64 {
        BURST_SECONDS.max(self.saved)
    }

    fn after(self, time: Duration) -> f64 {
        self.units_per_second.min(self.warm * time.div_duration_f64(DOUBLING).exp2())
    }
}

/// A rate that can be worked with, also of one that is not a number.
fn tame(units_per_second: f64) -> f64 {
    units_per_second.max(MIN_LANE_UNITS).clamp(MIN_LANE_UNITS, MAX_UNITS)
}

/// Keeps one job to its rate: its ceiling, times its own factor, times the factor of its table.
///
/// In any stretch of time, what is let go is at most a second's worth more than the rate allows, and where
/// several requests are in flight, what the others were waiting with. A new pace has nothing saved up
/// (unless it is given [`Ceiling::with_burst_capacity`]), so the jobs of a lane together keep to its rate as well. Requests that were told how long to wait before the rate
/// fell go at the rate they were told.
#[derive(Debug)]
pub struct Pace {
    table: Arc<TableRate>,
    ceiling: Ceiling,
    since: Instant,
    own: Factor,
    meter: Meter,
    /// Below zero: how much is owed before the next request may go.
    units: f64,
    /// The rate as it was at `at`.
    rate: f64,
    at: Instant,
    /// When the last request so far may go.
    last_due: Instant,
    /// The last cut of the table that this job has seen.
    table_cut: Option<Instant>,
    /// Until then, throttles may be of requests that were let go before the last cut.
    deaf_until: Option<Instant>,
}

impl Pace {
    pub(super) fn new(table: Arc<TableRate>, ceiling: Ceiling, now: Instant) -> Self {
        let mut pace = Self {
            table_cut: table.cut_at(),
            table,
            ceiling,
            since: now,
            own: Factor::default(),
            meter: Meter::new(now),
            units: 0.0,
            rate: 0.0,
            at: now,
            last_due: now,
            deaf_until: None,
        };
        pace.rate = pace.units_per_second(now);
        pace.units = pace.rate * ceiling.saved;
        pace.meter.assume(pace.rate, now);
        pace.table.assume(pace.rate, now);
        pace
    }

    /// The rate at this moment.
    pub fn units_per_second(&self, now: Instant) -> f64 {
        let ceiling = self.ceiling.after(now.saturating_duration_since(self.since));
        let rate = ceiling * self.own.at(now) * self.table.factor(now);
        rate.max(MIN_LANE_UNITS)
    }

    /// Takes what a request is thought to cost, and tells how long to wait before it is sent: until it and all
    /// before it are paid for at the present rate. Where nothing is known of the cost, 1 will do.
    pub fn reserve(&mut self, units: f64, now: Instant) -> Duration {
        self.fill(now);
        self.units -= units.max(0.0);
        let seconds = (-self.units / self.rate).max(0.0);
        let wait = Duration::try_from_secs_f64(seconds).unwrap_or(MAX_WAIT).min(MAX_WAIT);
        self.last_due = self.last_due.max(now + wait);
        wait
    }

    /// Corrects a reservation by the consumed capacity that the answer tells, or by what is reserved where it
    /// tells none. What a request cost beyond its reservation, the next ones wait for.
    pub fn settle(&mut self, reserved: f64, consumed: f64, now: Instant) {
        self.fill(now);
        self.meter.used(consumed, self.at);
        self.table.used(consumed, self.at);
        self.units += reserved.max(0.0) - consumed;
    }

    /// Slows down: halves what was in use, of this job or of all jobs of the table, as the reason asks. False
    /// for a request that was reserved before the last time: it tells nothing new.
    ///
    /// A request that was refused as a whole is not settled: what it reserved is forfeit, and sending it again
    /// is reserved anew. Of a batch with UnprocessedItems, the others are settled first.
    pub fn throttled(&mut self, reason: Throttle, now: Instant) -> bool {
        self.fill(now);
        self.units = self.units.min(0.0);
        if self.deaf_until.is_some_and(|until| self.at < until) {
            return false;
        }
        let is_slower = if reason.concerns_the_table() {
            self.table.cut(self.at)
        } else {
            self.own.cut(self.meter.in_use(), self.at)
        };
        if is_slower {
            self.deaf_until = Some(self.last_due + ONE_BURST);
            self.rate = self.units_per_second(self.at);
        }
        is_slower
    }

    /// The `Limit` that keeps a Scan's page to about a second of the rate, or none where a whole page costs no
    /// more: what a page costs is drawn in an instant, and for that instant production lacks it.
    ///
    /// `units_per_item` is what items have cost so far, best by their size: what a page consumed is rounded up,
    /// which makes few small items look dear. While it is not known, each is taken to be as large as an item
    /// can be, so the first page is small and tells how large they are.
    pub fn page_limit(
        &self,
        consistent_read: bool,
        units_per_item: Option<f64>,
        now: Instant,
    ) -> Option<u32> {
        let cost = if consistent_read { 1.0 } else { 0.5 };
        let rate = self.units_per_second(now) * BURST_SECONDS;
        if rate >= PAGE_UNITS * cost {
            return None;
        }
        let known = units_per_item.filter(|units| units.is_finite() && *units > 0.0);
        let items = rate / known.unwrap_or(MAX_ITEM_UNITS * cost);
        // A cast from a float saturates.
        Some((items as u32).max(1))
    }

    /// Fills the bucket for the time that has passed, at the lower of the rates at its ends.
    fn fill(&mut self, now: Instant) {
        let now = now.max(self.at); // callers read the clock before they take a lock
        let (before, time) = (self.rate, now.duration_since(self.at));
        (self.rate, self.at) = (self.units_per_second(now), now);
        let cut = self.table.cut_at();
        if cut != self.table_cut {
            (self.table_cut, self.deaf_until) = (cut, Some(self.last_due + ONE_BURST));
        }
        let slower = before.min(self.rate);
        self.units = (self.units + slower * time.as_secs_f64()).min(self.rate * self.ceiling.burst_seconds());
        self.meter.allow(slower, time, now);
        self.table.allow(slower, time, now);
    }

    #[cfg(test)]
    pub(super) fn balance(&self) -> f64 {
        self.units
    }
}
