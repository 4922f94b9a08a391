//! Trigger: starts a run of each source that a message asks for.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Lease, Outcome};
use crate::archive::FORMAT_VERSION;
use crate::archive::layout::RunId;
use crate::archive::record::{
    Account, Outcome as RunOutcome, Report, Run, Source, Table, TableRecord, TableResult,
};
use crate::aws::sqs::Message;
use crate::config::SourceConfig;
use crate::environment::{Environment, SourceAccount};
use crate::error::{Error, Kind, Result};
use crate::message::Trigger;
use crate::plan::Plan;
use crate::reconcile::{self, Event};
use crate::schema::TableDefinition;
use crate::table::TableName;
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::{SignedDuration, Timestamp};

/// Tables planned at once: DescribeTable shares the control plane's request rate with everyone.
const PLANNED_AT_ONCE: usize = 8;

/// How far back a run that is still going on is looked for.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(24 * 7);

/// Starts, or goes on starting, the runs of a trigger message. One source's failure does not hold up another.
pub async fn run(environment: &Environment, lease: &Lease, message: &Message) -> Result<Outcome> {
    let trigger = Trigger::parse(&message.body)?;
    let mut failures = Vec::new();
    for source in environment.sources_of(&trigger)? {
        let run = RunId::derive(message.sent_at, &message.id, &source.name);
        if let Err(error) = start(environment, lease, source, &run, &trigger).await {
            failures.push(error);
        }
    }
    // A failure that may pass brings the message back; the sources that were started are not started twice.
    match failures.into_iter().reduce(|first, next| if first.is_retryable() { first } else { next }) {
        Some(error) => Err(error),
        None => Ok(Outcome::Done),
    }
}

/// Ends the runs of a trigger that is given up: what was not planned is skipped, and said to be; what was
/// planned goes on.
pub async fn abandon(environment: &Environment, message: &Message, reason: &str) -> Result<()> {
    // A message that cannot be read, or names no source of ours, has started nothing.
    let Ok(trigger) = Trigger::parse(&message.body) else { return Ok(()) };
    let Ok(sources) = environment.sources_of(&trigger) else { return Ok(()) };
    for source in sources {
        let run = RunId::derive(message.sent_at, &message.id, &source.name);
        match environment.archive.run(&run).await? {
            Some(run) => skip_unplanned(environment, &run, reason).await?,
            None => {
                let record = new_run(environment, source, &run, &trigger, Vec::new());
                end_at_once(environment, record, RunOutcome::Failed, reason.to_owned()).await?;
            }
        }
    }
    Ok(())
}

async fn skip_unplanned(environment: &Environment, run: &Run, reason: &str) -> Result<()> {
    let finished = environment.archive.finished_tables(&run.run).await?;
    for table in run.tables.iter().filter(|table| !finished.contains(table)) {
        match environment.archive.table(&run.run, table).await? {
            Some(table) => reconcile::table(environment, run, &table, Event::Started).await?,
            None => skip_table(environment, run, table, reason.to_owned()).await?,
        }
    }
    reconcile::finish_run(environment, run).await
}

async fn start(
    environment: &Environment,
    lease: &Lease,
    source: &SourceConfig,
    run: &RunId,
    trigger: &Trigger,
) -> Result<()> {
    if environment.archive.exists(&environment.archive.layout().report(run)).await? {
        return Ok(());
    }
    let run = match environment.archive.run(run).await? {
        Some(run) => run,
        None => match plan_run(environment, source, run, trigger).await {
            Err(error) if error.kind() == Kind::Permanent => {
                return fail_run(environment, source, run, trigger, error).await;
            }
            planned => planned?,
        },
    };
    if environment.archive.exists(&environment.archive.layout().report(&run.run)).await? {
        return Ok(()); // it was skipped
    }
    start_tables(environment, lease, source, &run).await?;
    reconcile::finish_run(environment, &run).await
}

/// Lists the source and writes `run.json`, unless another run of the source is still going on.
async fn plan_run(
    environment: &Environment,
    source: &SourceConfig,
    run: &RunId,
    trigger: &Trigger,
) -> Result<Arc<Run>> {
    if let Some(other) = run_in_progress(environment, source, run).await? {
        let record = new_run(environment, source, run, trigger, Vec::new());
        let reason = format!("run {other} of source {} is still going on", source.name);
        tracing::warn!(run.id = %run, source.name = source.name, run.other = %other, "run skipped: {reason}");
        return end_at_once(environment, record, RunOutcome::Skipped, reason).await;
    }
    let account = environment.source(source).await?;
    let asked = trigger.selection();
    let mut tables = account.tables.list().await?;
    tables.retain(|table| source.selection.selects(table) && asked.selects(table));
    tracing::info!(run.id = %run, source.name = source.name, tables = tables.len(), "run planned");
    let record = new_run(environment, source, run, trigger, tables);
    create_run(environment, record).await
}

fn new_run(
    environment: &Environment,
    source: &SourceConfig,
    run: &RunId,
    trigger: &Trigger,
    tables: Vec<TableName>,
) -> Run {
    let region = source.region.clone().unwrap_or_else(|| environment.backup.region.clone());
    let account_id = source.role_arn.account_id().to_owned();
    Run {
        version: FORMAT_VERSION,
        run: run.clone(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        source: Source {
            name: source.name.clone(),
            role_arn: source.role_arn.as_str().to_owned(),
            account: Account { account_id, region },
        },
        backup: environment.backup.clone(),
        requested: trigger.selection(),
        consistent_read: environment.config.options.consistent_read,
        planned_at: Timestamp::now(),
        tables,
    }
}

/// Creates `run.json`; where another worker was first, its plan is the plan.
async fn create_run(environment: &Environment, record: Run) -> Result<Arc<Run>> {
    let key = environment.archive.layout().run(&record.run);
    environment.archive.create(&key, &record).await?;
    let run = environment.archive.run(&record.run).await?;
    run.ok_or_else(|| Error::retryable(format!("{key} is not there, although it was just written")))
}

/// Records a run that ends before it has begun.
async fn end_at_once(
    environment: &Environment,
    record: Run,
    outcome: RunOutcome,
    reason: String,
) -> Result<Arc<Run>> {
    let run = create_run(environment, record).await?;
    let report = Report::without_tables(&run, outcome, reason, Vec::new());
    environment.archive.create(&environment.archive.layout().report(&run.run), &report).await?;
    Ok(run)
}

/// A source that refuses us has a run all the same, so that the failure is seen where runs are looked at.
async fn fail_run(
    environment: &Environment,
    source: &SourceConfig,
    run: &RunId,
    trigger: &Trigger,
    error: Error,
) -> Result<()> {
    let record = new_run(environment, source, run, trigger, Vec::new());
    end_at_once(environment, record, RunOutcome::Failed, format!("{error:#}")).await?;
    Err(error)
}

/// The run of the same source that is unfinished and progressing, if there is one. A stalled one is closed.
///
/// Two triggers at the very same moment can both find none. Then both runs go on: each has its own archive,
/// and what they write into the copy is the same, so this costs reads and nothing else.
async fn run_in_progress(
    environment: &Environment,
    source: &SourceConfig,
    run: &RunId,
) -> Result<Option<RunId>> {
    let archive = &environment.archive;
    for other in archive.runs(&RunId::floor(run.time() - LOOK_BACK)).await? {
        if other == *run || archive.exists(&archive.layout().report(&other)).await? {
            continue;
        }
        let Some(record) = archive.run(&other).await? else { continue };
        if record.source.name != source.name {
            continue;
        }
        if !reconcile::is_stalled(environment, &other).await? {
            return Ok(Some(other));
        }
        reconcile::close_stalled(environment, &record).await?;
    }
    Ok(None)
}

/// Describes every table of the run and enqueues its first jobs, largest table first.
async fn start_tables(
    environment: &Environment,
    lease: &Lease,
    source: &SourceConfig,
    run: &Run,
) -> Result<()> {
    let account = environment.source_of(run).await?;
    let plan = |table| plan_table(environment, lease, source, account, run, table);
    let planned: Vec<_> = run.tables.iter().map(plan).collect();
    let planned: Vec<Option<Arc<Table>>> =
        stream::iter(planned).buffer_unordered(PLANNED_AT_ONCE).try_collect().await?;
    let mut tables: Vec<Arc<Table>> = planned.into_iter().flatten().collect();
    tables.sort_by_key(|table| std::cmp::Reverse(table.definition.table_size_bytes));
    for table in &tables {
        environment.progress.table_planned(
            &run.run,
            &table.name,
            table.plan.segments,
            table.definition.item_count,
        );
    }
    let start = |table| reconcile::table(environment, run, table, Event::Started);
    let started: Vec<_> = tables.iter().map(|table| start(table)).collect();
    stream::iter(started).buffered(PLANNED_AT_ONCE).try_collect().await
}

/// Describes a table and writes its `table.json`; `None` when it has its result already, or cannot be backed
/// up now, which is its result.
async fn plan_table(
    environment: &Environment,
    lease: &Lease,
    source: &SourceConfig,
    account: &SourceAccount,
    run: &Run,
    name: &TableName,
) -> Result<Option<Arc<Table>>> {
    lease.check()?;
    let archive = &environment.archive;
    if archive.exists(&archive.layout().result(&run.run, name)).await? {
        return Ok(None);
    }
    if let Some(table) = archive.table(&run.run, name).await? {
        return Ok(Some(table));
    }
    match describe_table(environment, source, account, name).await {
        Ok(record) => {
            archive.create_table(&run.run, &record).await?;
            archive.table(&run.run, name).await
        }
        Err(error) if error.kind() == Kind::Permanent => {
            skip_table(environment, run, name, format!("{error:#}")).await?;
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

async fn skip_table(environment: &Environment, run: &Run, name: &TableName, reason: String) -> Result<()> {
    tracing::warn!(run.id = %run.run, table.name = %name, "table skipped: {reason}");
    let result = TableResult::empty(name.clone(), RunOutcome::Skipped, reason);
    environment.archive.create(&environment.archive.layout().result(&run.run, name), &result).await?;
    environment.progress.table_finished(&run.run, name, RunOutcome::Skipped);
    Ok(())
}

/// The plan of a table.
///
/// # Errors
/// Permanent when the table cannot be backed up now, with the reason.
async fn describe_table(
    environment: &Environment,
    source: &SourceConfig,
    account: &SourceAccount,
    name: &TableName,
) -> Result<TableRecord> {
    let gone = || Error::permanent(format!("table {name} was deleted after it was listed"));
    let json = account.tables.describe(name).await?.ok_or_else(gone)?;
    let definition: TableDefinition = serde_json::from_str(json.get()).map_err(|error| {
        Error::permanent(format!("read the definition of table {name}")).with_source(error)
    })?;
    if let Some(reason) = definition.unavailable() {
        return Err(Error::permanent(reason));
    }
    definition.key()?;
    let target = TableName::parse(&format!("{}{name}", source.target_prefix))?;
    let plan = Plan::new(
        definition.table_size_bytes,
        definition.item_count,
        age(&definition),
        environment.config.lanes,
    );
    Ok(TableRecord {
        version: FORMAT_VERSION,
        table: name.clone(),
        target,
        plan,
        compression: environment.config.options.compression,
        described_at: Timestamp::now(),
        definition: json,
    })
}

fn age(definition: &TableDefinition) -> Option<Duration> {
    let created =
        SystemTime::UNIX_EPOCH + Duration::try_from_secs_f64(definition.creation_date_time?).ok()?;
    SystemTime::now().duration_since(created).ok()
}
