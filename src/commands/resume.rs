//! `resume`: enqueues what is missing of a run that has come to a stand.

use futures::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;

use super::{environment, find_run, output, run_id};
use crate::archive::layout::RunId;
use crate::archive::record::Run;
use crate::cli::Cli;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::progress::Progress;
use crate::reconcile::{self, Event};
use crate::table::TableName;

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

pub(super) async fn run(cli: &Cli, run: &str) -> Result<Exit> {
    let id = run_id(run)?;
    let environment = environment(cli, Progress::default(), None).await?;
    let archive = &environment.archive;
    let run = find_run(archive, &id).await?;
    if let Some(report) = archive.report(&id).await? {
        return Err(Error::usage(format!(
            "run {id} is over ({}): start another with `run` or `trigger`",
            report.outcome
        )));
    }
    let resumed = resume(&environment, &run).await?;
    output::print(cli.output, &resumed, || resumed.text());
    Ok(Exit::Complete)
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
