//! What the server was asked for, and what that cost it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::usage;

/// What came since the last report.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    /// User and system time of the server.
    pub(crate) cpu_seconds: f64,
    pub(crate) pages: u64,
    pub(crate) items_read: u64,
    /// The items read, as the lines of an export.
    pub(crate) line_bytes_read: u64,
    pub(crate) batches: u64,
    pub(crate) items_put: u64,
    pub(crate) objects_put: u64,
    pub(crate) object_bytes_put: u64,
    /// From the first Scan to the last.
    pub(crate) scan_seconds: f64,
    pub(crate) requests: BTreeMap<String, u64>,
}

#[derive(Default)]
pub(super) struct Counters(Mutex<Counting>);

#[derive(Default)]
struct Counting {
    report: Report,
    cpu_seconds_before: f64,
    first_scan: Option<Instant>,
}

impl Counters {
    pub(super) fn request(&self, action: &str) {
        let mut counting = self.lock();
        match counting.report.requests.get_mut(action) {
            Some(count) => *count += 1,
            None => drop(counting.report.requests.insert(action.to_owned(), 1)),
        }
    }

    pub(super) fn page(&self, items: u64, line_bytes: u64) {
        let mut counting = self.lock();
        let first = *counting.first_scan.get_or_insert_with(Instant::now);
        let report = &mut counting.report;
        report.pages += 1;
        report.items_read += items;
        report.line_bytes_read += line_bytes;
        report.scan_seconds = first.elapsed().as_secs_f64();
    }

    pub(super) fn batch(&self, items: u64) {
        let report = &mut self.lock().report;
        report.batches += 1;
        report.items_put += items;
    }

    pub(super) fn object(&self, bytes: u64) {
        let report = &mut self.lock().report;
        report.objects_put += 1;
        report.object_bytes_put += bytes;
    }

    /// The report so far; the next begins at nothing.
    pub(super) fn take(&self) -> Result<Report> {
        let mut counting = self.lock();
        let cpu_seconds = usage::of_this_process()?.cpu_seconds;
        let mut report = std::mem::take(&mut counting.report);
        report.cpu_seconds = cpu_seconds - counting.cpu_seconds_before;
        counting.cpu_seconds_before = cpu_seconds;
        counting.first_scan = None;
        Ok(report)
    }

    fn lock(&self) -> MutexGuard<'_, Counting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
