//! Reconcile: the one way a run moves forward.
//!
//! It looks at what lies in the bucket, enqueues what is missing and due, and writes what is complete:
//! manifest, result, report. It is called after the trigger and after every job, and it is idempotent: a lost
//! message is repaired by calling it again, and a duplicate does no harm. Of two workers who finish the last
//! two jobs at the same moment at least one sees both markers, because each writes its own before it looks.

mod deletions;
mod due;
mod inventory;

use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use serde::de::DeserializeOwned;

pub use self::due::Event;
use self::due::{due, due_deletions, is_exported, is_over, is_written, outcome};
use crate::archive::layout::TableFolder;
use crate::archive::manifest::Manifest;
use crate::archive::marker::{Deleted, Deletions, Exported, Failure, Provisioned, Window, Written};
use crate::archive::record::{Outcome, Report, Run, Table, TableResult};
use crate::archive::{Archive, TableState};
use crate::environment::Environment;
use crate::error::Result;
use crate::message::Job;
use crate::metrics::Metric;
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
    if !is_written(&table.plan, &state) {
        return Ok(());
    }
    let (deletions, starts) = deletions::of(environment, run, table, &state).await?.unzip();
    let starts = starts.unwrap_or_default();
    let jobs = due_deletions(run, table, &state, deletions.as_ref(), event, starts);
    environment.enqueue(&jobs).await?;
    if starts && !jobs.is_empty() {
        let folder = environment.archive.folder(&run.run, &table.name);
        environment.archive.create(&folder.deletes_enqueued(), &Timestamp::now()).await?;
    }
    if is_over(&state, deletions.as_ref()) {
        write_result(environment, run, table, &state, deletions.as_ref()).await?;
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
    let mut report = Report::of(run, results(environment, run, &run.tables).await?);
    report.inventory = inventory::of(&environment.archive, run).await?;
    create_report(environment, run, &report).await
}

async fn create_report(environment: &Environment, run: &Run, report: &Report) -> Result<()> {
    if environment.archive.create(&environment.archive.layout().report(&run.run), report).await? {
        tracing::info!(
            run.id = %run.run, source.name = run.source.name, outcome = %report.outcome,
            reason = report.reason, tables = report.tables.len(), "run finished"
        );
        environment.metrics.run_ended(&run.source.name, report.outcome);
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

async fn write_result(
    environment: &Environment,
    run: &Run,
    table: &Table,
    state: &TableState,
    deletions: Option<&Deletions>,
) -> Result<()> {
    let archive = &environment.archive;
    let key = archive.layout().result(&run.run, &table.name);
    if archive.exists(&key).await? {
        return Ok(());
    }
    let result = sum_up(environment, run, table, state, deletions).await?;
    environment.progress.table_finished(&run.run, &table.name, result.outcome);
    if archive.create(&key, &result).await? {
        tracing::info!(
            run.id = %run.run, table.name = %table.name, outcome = %result.outcome,
            items = result.items_exported, items_put = result.items_put,
            items_unchanged = result.items_unchanged, items_deleted = result.items_deleted,
            size_bytes = result.archive_bytes, "table finished"
        );
        let is_complete = result.outcome == Outcome::Complete;
        environment.metrics.of(&run.source.name).add(Metric::TablesBackedUp, is_complete.into());
    }
    Ok(())
}

/// Adds up the markers of a table that is over.
async fn sum_up(
    environment: &Environment,
    run: &Run,
    table: &Table,
    state: &TableState,
    deletions: Option<&Deletions>,
) -> Result<TableResult> {
    let archive = &environment.archive;
    let folder = archive.folder(&run.run, &table.name);
    let exported = exported_markers(environment, run, table, state.exported.iter().copied()).await?;
    let written = written_markers(archive, &folder, state).await?;
    let written = || written.iter().map(|(_, written)| written);
    let deleted: Vec<Deleted> =
        read_all(archive, state.deleted.iter().map(|segment| folder.deleted(*segment))).await?;
    let failures: Vec<Failure> =
        read_all(archive, state.failures().map(|(stage, segment)| folder.failed(stage, segment))).await?;
    let provisioned: Option<Provisioned> = archive.read(&folder.provisioned()).await?;
    let (provision, drift) = provisioned.map(|marker| (marker.outcome, marker.drift)).unzip();
    let items_failed = written().map(|marker| marker.items_failed).sum();
    let items_deleted = deleted.iter().map(|marker| marker.items_deleted).sum();
    let items_extra = written().map(|marker| marker.items_extra).sum::<u64>().saturating_sub(items_deleted);
    let mut reasons: Vec<String> = failures
        .into_iter()
        .map(|Failure { stage, segment, reason, .. }| format!("{}: {reason}", stage.job(segment)))
        .collect();
    if items_failed > 0 {
        let folder = folder.state();
        reasons.push(format!(
            "write: DynamoDB refuses {items_failed} items; their keys are in {folder}failed-items/, each with its \
             reason: change the items in the source, or the indexes of the copy"
        ));
    }
    reasons.extend(deletions.and_then(|deletions| deletions.reason.clone()));
    Ok(TableResult {
        table: table.name.clone(),
        outcome: outcome(&table.plan, state, deletions, items_failed),
        reasons,
        items_exported: exported.iter().map(Exported::items).sum(),
        items_put: written().map(|marker| marker.items_put).sum(),
        items_unchanged: written().map(|marker| marker.items_unchanged).sum(),
        items_deleted,
        items_extra,
        items_failed,
        suspect: deletions.is_some_and(|deletions| deletions.suspect),
        digest: written().map(|marker| marker.digest).sum(),
        parts: exported.iter().map(|marker| marker.parts.len() as u64).sum(),
        archive_bytes: exported.iter().map(Exported::bytes).sum(),
        read_units: total(exported.iter().map(|marker| marker.consumed_units)),
        copy_read_units: total(written().map(|marker| marker.read_units)),
        write_units: total(written().map(|marker| marker.consumed_units))
            + total(deleted.iter().map(|marker| marker.consumed_units)),
        rewrite_units: written().map(|marker| marker.rewrite_units).sum(),
        scan: exported.iter().map(|marker| marker.scan).reduce(Window::union),
        provision,
        drift: drift.unwrap_or_default(),
        finished_at: Timestamp::now(),
    })
}

/// The sum of no floating-point numbers is −0 in Rust, which no report should say.
fn total(units: impl Iterator<Item = f64>) -> f64 {
    units.sum::<f64>() + 0.0
}

/// The write markers of a table, by segment.
async fn written_markers(
    archive: &Archive,
    folder: &TableFolder,
    state: &TableState,
) -> Result<Vec<(u32, Written)>> {
    let markers = read_all(archive, state.written.iter().map(|segment| folder.written(*segment))).await?;
    Ok(state.written.iter().copied().zip(markers).collect())
}

/// Reads objects that must be there, in order.
async fn read_all<T: DeserializeOwned>(
    archive: &Archive,
    keys: impl Iterator<Item = String>,
) -> Result<Vec<T>> {
    let keys: Vec<String> = keys.collect();
    stream::iter(keys)
        .map(|key| async move { archive.require(&key).await })
        .buffered(READ_AT_ONCE)
        .try_collect()
        .await
}

async fn exported_markers(
    environment: &Environment,
    run: &Run,
    table: &Table,
    segments: impl IntoIterator<Item = u32>,
) -> Result<Vec<Exported>> {
    let folder = environment.archive.folder(&run.run, &table.name);
    read_all(&environment.archive, segments.into_iter().map(|segment| folder.exported(segment))).await
}

async fn results(environment: &Environment, run: &Run, tables: &[TableName]) -> Result<Vec<TableResult>> {
    let key = |table| environment.archive.layout().result(&run.run, table);
    read_all(&environment.archive, tables.iter().map(key)).await
}
