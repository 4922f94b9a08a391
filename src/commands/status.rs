//! `status`: how far a run is, read off the bucket.

use std::collections::HashMap;

use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use serde::Serialize;

use super::{Opened, find_run, open, output, run_id};
use crate::archive::layout::{RunId, Stage};
use crate::archive::record::Run;
use crate::archive::{Archive, TableState, is_quiet};
use crate::cli::Cli;
use crate::config::ArchiveConfig;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::table::TableName;

/// Small objects read at once.
const READ_AT_ONCE: usize = 16;

/// A run as `status` shows it.
#[derive(Serialize)]
struct Status {
    run: RunId,
    source: String,
    /// `complete`, `partial`, `failed`, `skipped`, `running`, or `stalled`.
    state: String,
    reason: Option<String>,
    last_progress: Option<Timestamp>,
    tables: Vec<TableStatus>,
}

/// One table of it.
#[derive(Serialize)]
struct TableStatus {
    table: TableName,
    /// The outcome, or the stage it is in.
    state: String,
    segments: u32,
    exported: usize,
    written: usize,
    /// Jobs that failed for good.
    failed: Vec<String>,
    /// Jobs that were on their last allowed attempt and left no trace since: they may crash their workers.
    last_attempts: Vec<String>,
}

pub(super) async fn run(cli: &Cli, run: Option<&str>) -> Result<Exit> {
    let run = run.map(run_id).transpose()?;
    let Opened { archive, config, .. } = open(cli).await?;
    let Some(run) = (match run {
        Some(run) => Some(run),
        None => archive.runs("").await?.pop(),
    }) else {
        let folder = archive.layout().runs();
        return Err(Error::permanent(format!("no runs under s3://{}/{folder}", archive.bucket_name())));
    };
    let status = Status::read(&archive, &config, &run).await?;
    output::print(cli.output, &status, || status.text());
    Ok(Exit::Complete)
}

impl Status {
    async fn read(archive: &Archive, config: &ArchiveConfig, id: &RunId) -> Result<Self> {
        let run = find_run(archive, id).await?;
        let report = archive.report(id).await?;
        let last_progress = archive.last_progress(id).await?;
        let stalled = last_progress.is_some_and(|last| is_quiet(last, config.stall_after));
        let state = match &report {
            Some(report) => report.outcome.to_string(),
            None if stalled => "stalled".to_owned(),
            None => "running".to_owned(),
        };
        let tables = tables(archive, &run).await?;
        let reason = report.and_then(|report| report.reason);
        Ok(Self { run: id.clone(), source: run.source.name.clone(), state, reason, last_progress, tables })
    }

    fn text(&self) -> String {
        let mut text = format!("run {} of source {}: {}", self.run, self.source, self.state);
        if let Some(reason) = &self.reason {
            text += &format!(" ({reason})");
        }
        if self.state == "stalled" {
            text += "\nnothing new has appeared for longer than stall-after: `resume` enqueues what is missing, \
                     and the next trigger of this source closes this run and starts another";
        }
        let rows = self.tables.iter().map(|table| {
            let of = |done: usize| format!("{done}/{}", table.segments);
            vec![
                table.table.to_string(),
                table.state.clone(),
                of(table.exported),
                of(table.written),
                table.notes(),
            ]
        });
        text + "\n\n" + &output::table(&["TABLE", "STATE", ">EXPORTED", ">WRITTEN", "NOTES"], rows)
    }
}

impl TableStatus {
    fn notes(&self) -> String {
        let failed = self.failed.iter().map(|job| format!("{job} failed"));
        let last = self.last_attempts.iter().map(|job| format!("{job} was on its last attempt"));
        failed.chain(last).collect::<Vec<_>>().join(", ")
    }
}

/// Every table of a run: its markers from one listing, its result where there is one.
async fn tables(archive: &Archive, run: &Run) -> Result<Vec<TableStatus>> {
    let states = archive.states(&run.run).await?;
    let read: Vec<_> = run.tables.iter().map(|table| table_status(archive, run, table, &states)).collect();
    stream::iter(read).buffered(READ_AT_ONCE).try_collect().await
}

async fn table_status(
    archive: &Archive,
    run: &Run,
    table: &TableName,
    states: &HashMap<String, TableState>,
) -> Result<TableStatus> {
    let state = states.get(table.as_str()).cloned().unwrap_or_default();
    let segments = archive.table(&run.run, table).await?.map_or(0, |table| table.plan.segments);
    let result = archive.result(&run.run, table).await?;
    let words = match result {
        Some(result) => result.outcome.to_string(),
        None => stage(&state, segments).to_owned(),
    };
    let is_settled = |job: &(Stage, u32)| state.is_done(job.0, job.1) || state.failed.contains(job);
    let unfinished = state.last_attempts.iter().filter(|job| !is_settled(job));
    Ok(TableStatus {
        table: table.clone(),
        state: words,
        segments,
        exported: state.exported.len(),
        written: state.written.len(),
        failed: state.failures().map(|(stage, segment)| stage.job(segment)).collect(),
        last_attempts: unfinished.map(|(stage, segment)| stage.job(*segment)).collect(),
    })
}

fn stage(state: &TableState, segments: u32) -> &'static str {
    if segments == 0 {
        "planning"
    } else if state.exported.len() < segments as usize {
        "exporting"
    } else if state.deletions_decided {
        "deleting"
    } else if state.provisioned {
        "writing"
    } else {
        "provisioning"
    }
}
