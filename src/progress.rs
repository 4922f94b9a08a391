//! How far this process has come with each table, for whoever wants to show it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::archive::layout::RunId;
use crate::archive::record::Outcome;
use crate::table::TableName;

/// Counts of tables, by run. Jobs add to it; nothing depends on it.
#[derive(Debug, Default)]
pub struct Progress {
    /// `None` where nobody watches: a service would collect counts for ever.
    tables: Option<Mutex<Tables>>,
}

type Tables = BTreeMap<(RunId, TableName), TableProgress>;

/// How far one table has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableProgress {
    pub segments: u32,
    pub segments_exported: u32,
    pub segments_written: u32,
    /// What DescribeTable said, up to six hours ago.
    pub items_expected: u64,
    pub items_exported: u64,
    pub items_written: u64,
    pub outcome: Option<Outcome>,
}

impl Progress {
    /// Counts that somebody is going to show.
    pub fn watched() -> Self {
        Self { tables: Some(Mutex::default()) }
    }

    pub fn table_planned(&self, run: &RunId, table: &TableName, segments: u32, items_expected: u64) {
        self.update(run, table, |progress| {
            progress.segments = segments;
            progress.items_expected = items_expected;
        });
    }

    pub fn items_exported(&self, run: &RunId, table: &TableName, items: u64) {
        self.update(run, table, |progress| progress.items_exported += items);
    }

    pub fn items_written(&self, run: &RunId, table: &TableName, items: u64) {
        self.update(run, table, |progress| progress.items_written += items);
    }

    pub fn segment_exported(&self, run: &RunId, table: &TableName) {
        self.update(run, table, |progress| progress.segments_exported += 1);
    }

    pub fn segment_written(&self, run: &RunId, table: &TableName) {
        self.update(run, table, |progress| progress.segments_written += 1);
    }

    pub fn table_finished(&self, run: &RunId, table: &TableName, outcome: Outcome) {
        self.update(run, table, |progress| progress.outcome = Some(outcome));
    }

    /// The counts of these runs as they are now.
    pub fn snapshot(&self, runs: &[RunId]) -> Vec<(TableName, TableProgress)> {
        let Some(tables) = &self.tables else { return Vec::new() };
        let tables = tables.lock().unwrap_or_else(PoisonError::into_inner);
        let of_these = tables.iter().filter(|((run, _), _)| runs.contains(run));
        of_these.map(|((_, table), progress)| (table.clone(), progress.clone())).collect()
    }

    fn update(&self, run: &RunId, table: &TableName, change: impl FnOnce(&mut TableProgress)) {
        let Some(tables) = &self.tables else { return };
        let mut tables = tables.lock().unwrap_or_else(PoisonError::into_inner);
        change(tables.entry((run.clone(), table.clone())).or_default());
    }
}
