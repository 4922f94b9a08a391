//! Reconcile: the one way a run moves forward.
//!
//! It looks at what lies in the bucket, enqueues what is missing and due, and writes what is complete:
//! manifest, result, report. It is called after the trigger and after every job, and it is idempotent: a lost
//! message is repaired by calling it again, and a duplicate does no harm. Of two workers who finish the last
//! two jobs at the same moment at least one sees both markers, because each writes its own before it looks.

mod due;

use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;

pub use self::due::Event;
use self::due::{due, is_exported, is_over, outcome};
use crate::archive::TableState;
use crate::archive::manifest::Manifest;
use crate::archive::marker::{Exported, Failure, Provisioned, Window, Written};
use crate::archive::record::{Outcome, Report, Run, Table, TableResult};
use crate::environment::Environment;
use crate::error::Result;
use crate::message::Job;
use crate::table::TableName;

/// Small objects read at once when a table or a run is summed up.
const READ_AT_ONCE: usize = 32;

/// Moves one table forward.
pub async fn table(environment: &Environment, run: &Run, table: &Table, event: Event) -> Result<()> {
    let state = environment.archive.state(&run.run, &table.name).await?;
    let mut jobs = due(run, table, &state, event);
    if let Event::Exported(_) = event {
        drop_begun_exports(environment, &mut jobs).await?;
    }
    environment.enqueue(&jobs).await?;
    if is_exported(&table.plan, &state) {
        write_manifest(environment, run, table).await?;
    }
    if is_over(&table.plan, &state) {
        write_result(environment, run, table, &state).await?;
        finish_run(environment, run).await?;
    }
    Ok(())
}

/// Drops the export of a segment that somebody has begun: its message is on its way already, and a second one
/// would follow the first through the whole lane and read everything twice.
async fn drop_begun_exports(environment: &Environment, jobs: &mut Vec<Job>) -> Result<()> {
    for at in (0..jobs.len()).rev() {
        let Job::Export(job) = &jobs[at] else { continue };
        let folder = environment.archive.folder(&job.run, &job.table);
        if environment.archive.has_parts(&folder, job.segment).await? {
            jobs.remove(at);
        }
    }
    Ok(())
}

/// Writes the report when every table of the run has its result, or the run was over before it began.
pub async fn finish_run(environment: &Environment, run: &Run) -> Result<()> {
    if let Some(ended) = &run.ended {
        let report = Report::ended(run, ended.outcome, ended.reason.clone(), Vec::new());
        return create_report(environment, run, &report).await;
    }
    let finished = environment.archive.finished_tables(&run.run).await?;
    if finished.len() < run.tables.len() {
        return Ok(());
    }
    if environment.archive.exists(&environment.archive.layout().report(&run.run)).await? {
        return Ok(());
    }
    let report = Report::of(run, results(environment, run, &run.tables).await?);
    create_report(environment, run, &report).await
}

async fn create_report(environment: &Environment, run: &Run, report: &Report) -> Result<()> {
    if environment.archive.create(&environment.archive.layout().report(&run.run), report).await? {
        tracing::info!(
            run.id = %run.run, source.name = run.source.name, outcome = %report.outcome,
            reason = report.reason, tables = report.tables.len(), "run finished"
        );
    }
    Ok(())
}

/// Ends a stalled run, so that the next one of its source can start: its jobs stop at their next part. A run
/// that had only lost its last message is finished as what it is.
pub async fn close_stalled(environment: &Environment, run: &Run) -> Result<()> {
    let archive = &environment.archive;
    for name in &run.tables {
        if let Some(found) = archive.table(&run.run, name).await? {
            table(environment, run, &found, Event::Closing).await?;
        }
    }
    finish_run(environment, run).await?;
    let finished = archive.finished_tables(&run.run).await?;
    let mut tables = results(environment, run, &finished).await?;
    let unfinished = run.tables.iter().filter(|table| !finished.contains(table));
    tables.extend(unfinished.map(|table| {
        TableResult::empty(table.clone(), Outcome::Failed, "its run stalled before it was done".to_owned())
    }));
    let reason = format!("stalled: nothing new appeared for {:?}", environment.config.stall_after);
    create_report(environment, run, &Report::ended(run, Outcome::Failed, reason, tables)).await
}

async fn write_manifest(environment: &Environment, run: &Run, table: &Table) -> Result<()> {
    let archive = &environment.archive;
    let folder = archive.folder(&run.run, &table.name);
    if archive.exists(&folder.manifest_summary()).await? {
        return Ok(());
    }
    let exported = exported_markers(environment, run, table, 0..table.plan.segments).await?;
    let manifest = Manifest::new(archive.bucket_name(), &folder, table, &exported)?;
    archive.create_manifest(&folder, manifest).await
}

async fn write_result(environment: &Environment, run: &Run, table: &Table, state: &TableState) -> Result<()> {
    let archive = &environment.archive;
    let key = archive.layout().result(&run.run, &table.name);
    if archive.exists(&key).await? {
        return Ok(());
    }
    let result = sum_up(environment, run, table, state).await?;
    environment.progress.table_finished(&run.run, &table.name, result.outcome);
    if archive.create(&key, &result).await? {
        tracing::info!(
            run.id = %run.run, table.name = %table.name, outcome = %result.outcome,
            items = result.items_exported, items_written = result.items_written,
            size_bytes = result.archive_bytes, "table finished"
        );
    }
    Ok(())
}

/// Adds up the markers of a table that is over.
async fn sum_up(
    environment: &Environment,
    run: &Run,
    table: &Table,
    state: &TableState,
) -> Result<TableResult> {
    let archive = &environment.archive;
    let folder = archive.folder(&run.run, &table.name);
    let exported = exported_markers(environment, run, table, state.exported.iter().copied()).await?;
    let written: Vec<Written> = stream::iter(state.written.iter().copied())
        .map(|segment| {
            let key = folder.written(segment);
            async move { archive.require(&key).await }
        })
        .buffered(READ_AT_ONCE)
        .try_collect()
        .await?;
    let failures: Vec<Failure> = stream::iter(state.failed.iter().copied())
        .map(|(stage, segment)| {
            let key = folder.failed(stage, segment);
            async move { archive.require(&key).await }
        })
        .buffered(READ_AT_ONCE)
        .try_collect()
        .await?;
    let provisioned: Option<Provisioned> = archive.read(&folder.provisioned()).await?;
    let (provision, drift) = provisioned.map(|marker| (marker.outcome, marker.drift)).unzip();
    let items_failed = written.iter().map(|marker| marker.items_failed).sum();
    let mut reasons: Vec<String> =
        failures.into_iter().map(|failure| format!("{}: {}", failure.stage, failure.reason)).collect();
    if items_failed > 0 {
        let folder = folder.state();
        reasons.push(format!(
            "write: DynamoDB refuses {items_failed} items; their keys are in {folder}failed-items/"
        ));
    }
    Ok(TableResult {
        table: table.name.clone(),
        outcome: outcome(&table.plan, state, items_failed),
        reasons,
        items_exported: exported.iter().map(Exported::items).sum(),
        items_written: written.iter().map(|marker| marker.items_put).sum(),
        items_failed,
        parts: exported.iter().map(|marker| marker.parts.len() as u64).sum(),
        archive_bytes: exported.iter().map(Exported::bytes).sum(),
        read_units: exported.iter().map(|marker| marker.consumed_units).sum(),
        write_units: written.iter().map(|marker| marker.consumed_units).sum(),
        scan: exported.iter().map(|marker| marker.scan).reduce(Window::union),
        provision,
        drift: drift.unwrap_or_default(),
        finished_at: Timestamp::now(),
    })
}

async fn exported_markers(
    environment: &Environment,
    run: &Run,
    table: &Table,
    segments: impl IntoIterator<Item = u32>,
) -> Result<Vec<Exported>> {
    let folder = environment.archive.folder(&run.run, &table.name);
    stream::iter(segments)
        .map(|segment| {
            let key = folder.exported(segment);
            async move { environment.archive.require(&key).await }
        })
        .buffered(READ_AT_ONCE)
        .try_collect()
        .await
}

async fn results(environment: &Environment, run: &Run, tables: &[TableName]) -> Result<Vec<TableResult>> {
    let key = |table| environment.archive.layout().result(&run.run, table);
    let keys: Vec<String> = tables.iter().map(key).collect();
    stream::iter(keys)
        .map(|key| async move { environment.archive.require(&key).await })
        .buffered(READ_AT_ONCE)
        .try_collect()
        .await
}
