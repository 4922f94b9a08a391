//! When each source was last backed up completely, read off the bucket without listing all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::archive::Archive;
use crate::archive::layout::RunId;
use crate::archive::record::{Outcome, Run};
use crate::error::Result;

/// How far back is looked at first, and then: what is not found there is looked for from the beginning.
const WINDOWS: [SignedDuration; 2] = [SignedDuration::from_hours(48), SignedDuration::from_hours(24 * 30)];

/// A search looks into no more runs than these: where none of them is complete, there is something else to mend
/// than the age of the one before.
const MAX_RUNS: usize = 400;

/// The newest complete run of each source.
///
/// A run that a trigger has narrowed to some tables does not count: the others are as old as they were.
#[derive(Debug)]
pub struct LastComplete {
    sources: BTreeSet<String>,
    newest: BTreeMap<String, RunId>,
    /// Runs that need not be read again: they have a report, or are none of ours.
    settled: BTreeSet<RunId>,
    is_searched: bool,
}

impl LastComplete {
    pub fn new(sources: impl IntoIterator<Item = String>) -> Self {
        let sources = sources.into_iter().collect();
        Self { sources, newest: BTreeMap::new(), settled: BTreeSet::new(), is_searched: false }
    }

    /// How long ago the newest complete run of each source was triggered; nothing for a source that has none.
    pub fn ages(&self, now: Timestamp) -> Vec<(String, Duration)> {
        let age = |run: &RunId| Duration::try_from(now.duration_since(run.time())).unwrap_or_default();
        self.newest.iter().map(|(source, run)| (source.clone(), age(run))).collect()
    }

    /// Looks into the bucket: the first time backwards until each source's is found, then only at what is newer.
    pub async fn look(&mut self, archive: &Archive, now: Timestamp) -> Result<()> {
        for floor in self.floors(now) {
            let runs = archive.runs(&floor).await?;
            for run in runs.iter().rev().take(MAX_RUNS) {
                self.read(archive, run).await?;
            }
            if self.newest.len() == self.sources.len() {
                break;
            }
        }
        self.is_searched = true;
        let floor = self.known_floor(now);
        self.settled.retain(|run| run.as_str() > floor.as_str());
        Ok(())
    }

    /// Where to list from, one after the other until enough is found.
    fn floors(&self, now: Timestamp) -> Vec<String> {
        if self.is_searched {
            return vec![self.known_floor(now)];
        }
        let windows = WINDOWS.iter().map(|window| RunId::floor(now - *window));
        windows.chain([String::new()]).collect()
    }

    /// Nothing before it can still become the newest: a run of a month ago that is not complete never will be.
    fn known_floor(&self, now: Timestamp) -> String {
        let never = (self.newest.len() < self.sources.len()).then(|| RunId::floor(now - WINDOWS[1]));
        let oldest = self.newest.values().map(|run| run.as_str().to_owned()).chain(never).min();
        oldest.unwrap_or_default()
    }

    async fn read(&mut self, archive: &Archive, id: &RunId) -> Result<()> {
        if self.settled.contains(id) {
            return Ok(());
        }
        // One that has just begun has no record yet.
        let Some(run) = archive.run(id).await? else { return Ok(()) };
        if self.counts(&run) {
            let Some(report) = archive.report(id).await? else { return Ok(()) };
            if report.outcome == Outcome::Complete {
                self.newest.insert(report.source, id.clone());
            }
        }
        self.settled.insert(id.clone());
        Ok(())
    }

    /// Whether a run could be the newest complete one of its source.
    fn counts(&self, run: &Run) -> bool {
        let is_whole = run.requested.tables.is_empty() && run.requested.exclude.is_empty();
        let newest = self.newest.get(&run.source.name);
        is_whole && self.sources.contains(&run.source.name) && newest.is_none_or(|newest| *newest < run.run)
    }
}
