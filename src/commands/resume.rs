//! `resume`: enqueues what is missing of a run that has come to a stand. Of one that is over, whose report never
//! changes, the tables that are not complete are left to another run.

use futures::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;

use super::{environment, find_run, output, run_id};
use crate::archive::layout::RunId;
use crate::archive::record::{Outcome, Report, Run};
use crate::cli::Cli;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::message::Trigger;
use crate::progress::Progress;
use crate::reconcile::{self, Event};
use crate::table::{Pattern, Selection, TableName};

/// Tables reconciled at once.
const RESUMED_AT_ONCE: usize = 8;

#[derive(Serialize)]
struct Resumed {
    run: RunId,
    /// Tables of which everything missing and due was enqueued.
    resumed: Vec<TableName>,
    finished: Vec<TableName>,
    /// Tables that only the run's trigger can plan.
    unplanned: Vec<TableName>,
}

/// What was asked for instead of a run that is over.
#[derive(Serialize)]
struct Again<'a> {
    run: &'a RunId,
    outcome: Outcome,
    /// The trigger of the run that backs up what is missing.
    trigger: Trigger,
    queue: &'a str,
    message_id: String,
}

pub(super) async fn run(cli: &Cli, run: &str) -> Result<Exit> {
    let id = run_id(run)?;
    let environment = environment(cli, Progress::default(), None).await?;
    let archive = &environment.archive;
    let run = find_run(archive, &id).await?;
    if let Some(report) = archive.report(&id).await? {
        let again = again(&environment, &run, &report).await?;
        output::print(cli.output, &again, || again.text());
        return Ok(Exit::Complete);
    }
    let resumed = resume(&environment, &run).await?;
    output::print(cli.output, &resumed, || resumed.text());
    Ok(Exit::Complete)
}

/// Asks for a run of what the one that is over has not completed.
async fn again<'a>(environment: &'a Environment, run: &'a Run, report: &Report) -> Result<Again<'a>> {
    let (id, outcome) = (&run.run, report.outcome);
    if !matches!(outcome, Outcome::Partial | Outcome::Failed) {
        return Err(Error::usage(format!(
            "run {id} is over ({outcome}): start another with `run` or `trigger`"
        )));
    }
    require_source(environment, run)?;
    require_turn(environment, run).await?;
    let trigger = trigger(run, report);
    let queue = &environment.queues.trigger;
    let message_id = queue.send(&trigger.body()).await?;
    Ok(Again { run: id, outcome, trigger, queue: queue.name(), message_id })
}

/// The trigger of a run of what another one has not completed; of all that was asked for where no table was planned.
fn trigger(run: &Run, report: &Report) -> Trigger {
    let tables: Vec<Pattern> = report.incomplete().map(Pattern::from).collect();
    let asked =
        if tables.is_empty() { run.requested.clone() } else { Selection { tables, exclude: Vec::new() } };
    Trigger {
        source: Some(run.source.name.clone()),
        tables: asked.tables,
        exclude: asked.exclude,
        // All of a copy is no limit. A run that was over before it began has that of whoever ended it.
        accept_changes: run.suspect_above == 100 && run.ended.is_none(),
    }
}

/// Refuses a source that is not configured here, or is another account by now.
fn require_source(environment: &Environment, run: &Run) -> Result<()> {
    let source = environment.source_config(&run.source.name);
    let account = environment.account_of(source.map_err(|error| Error::usage(error.to_string()))?);
    if account == run.source.account {
        return Ok(());
    }
    Err(Error::usage(format!(
        "source {} is {account} now, and run {} backed up {}: start a run of the one you mean with `run` or `trigger`",
        run.source.name, run.run, run.source.account
    )))
}

/// Refuses where another run of the source goes on: a trigger that comes now would be skipped.
async fn require_turn(environment: &Environment, run: &Run) -> Result<()> {
    let archive = &environment.archive;
    for other in archive.runs(run.run.as_str()).await? {
        let Some(later) = archive.run(&other).await? else { continue };
        let is_over = archive.exists(&archive.layout().report(&other)).await?;
        if later.source.name != run.source.name || is_over {
            continue;
        }
        if !archive.is_stalled(&other, environment.config.stall_after).await? {
            return Err(Error::usage(format!(
                "run {other} of source {} is still going on: resume when it is over",
                run.source.name
            )));
        }
    }
    Ok(())
}

async fn resume(environment: &Environment, run: &Run) -> Result<Resumed> {
    let finished = environment.archive.finished_tables(&run.run).await?;
    let unfinished = run.tables.iter().filter(|table| !finished.contains(table));
    let resuming: Vec<_> = unfinished.map(|table| resume_table(environment, run, table)).collect();
    let resumed: Vec<(TableName, bool)> =
        stream::iter(resuming).buffered(RESUMED_AT_ONCE).try_collect().await?;
    reconcile::finish_run(environment, run).await?;
    let (planned, unplanned): (Vec<_>, Vec<_>) = resumed.into_iter().partition(|(_, planned)| *planned);
    let names = |tables: Vec<(TableName, bool)>| tables.into_iter().map(|(table, _)| table).collect();
    Ok(Resumed { run: run.run.clone(), resumed: names(planned), finished, unplanned: names(unplanned) })
}

/// The table, and whether it was planned, so that there was something to enqueue.
async fn resume_table(environment: &Environment, run: &Run, name: &TableName) -> Result<(TableName, bool)> {
    let table = environment.archive.table(&run.run, name).await?;
    if let Some(table) = &table {
        reconcile::table(environment, run, table, Event::Started).await?;
    }
    Ok((name.clone(), table.is_some()))
}

impl Again<'_> {
    fn text(&self) -> String {
        let tables: Vec<&str> = self.trigger.tables.iter().map(Pattern::as_str).collect();
        let what = if tables.is_empty() { "what it was to back up".to_owned() } else { tables.join(", ") };
        format!(
            "run {} is over ({}): a run of {what} was asked for in queue {}\na worker begins it, and `status` \
             shows how far it is",
            self.run, self.outcome, self.queue
        )
    }
}

impl Resumed {
    fn text(&self) -> String {
        let (resumed, finished) = (self.resumed.len(), self.finished.len());
        let mut text = format!("run {}: {resumed} tables resumed, {finished} finished before", self.run);
        if !self.unplanned.is_empty() {
            let names: Vec<&str> = self.unplanned.iter().map(TableName::as_str).collect();
            text += &format!("\nnot planned yet, which is for the run's trigger to do: {}", names.join(", "));
        }
        text + "\nworkers go on with it; `status` shows how far they are"
    }
}
