//! What the jobs of one table in this process share: the factor by which they all slow down.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::factor::{Factor, Meter};
use super::{Ceiling, Direction, Pace};

/// The tables that jobs of this process are reading or writing.
#[derive(Debug, Default)]
pub struct TableRates(Mutex<HashMap<(String, Direction), Weak<TableRate>>>);

impl TableRates {
    /// The pace of a new job. `table` tells tables apart over accounts and regions, as an ARN does.
    ///
    /// Jobs share what they learn of a table while at least one of them lasts.
    pub fn pace(&self, table: &str, direction: Direction, ceiling: Ceiling, now: Instant) -> Pace {
        Pace::new(self.join(table, direction, now), ceiling, now)
    }

    fn join(&self, table: &str, direction: Direction, now: Instant) -> Arc<TableRate> {
        let mut tables = self.lock();
        // So there are never more entries than there were jobs at once.
        tables.retain(|_, rate| rate.strong_count() > 0);
        let entry = tables.entry((table.to_owned(), direction)).or_default();
        entry.upgrade().unwrap_or_else(|| {
            let rate = Arc::new(TableRate::new(now));
            *entry = Arc::downgrade(&rate);
            rate
        })
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, Direction), Weak<TableRate>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One table in one direction.
#[derive(Debug)]
pub(super) struct TableRate(Mutex<(Factor, Meter)>);

impl TableRate {
    pub(super) fn new(now: Instant) -> Self {
        Self(Mutex::new((Factor::default(), Meter::new(now))))
    }

    pub(super) fn factor(&self, now: Instant) -> f64 {
        self.lock().0.at(now)
    }

    pub(super) fn cut_at(&self) -> Option<Instant> {
        self.lock().0.cut_at()
    }

    pub(super) fn assume(&self, rate: f64, now: Instant) {
        self.lock().1.assume(rate, now);
    }

    pub(super) fn allow(&self, rate: f64, time: Duration, now: Instant) {
        self.lock().1.allow(rate, time, now);
    }

    pub(super) fn used(&self, units: f64, now: Instant) {
        self.lock().1.used(units, now);
    }

    pub(super) fn cut(&self, now: Instant) -> bool {
        let (factor, meter) = &mut *self.lock();
        factor.cut(meter.in_use(), now)
    }

    fn lock(&self) -> MutexGuard<'_, (Factor, Meter)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
