//! Trigger: starts a run of each source that a message asks for.

mod tables;
mod turn;

use std::sync::Arc;

use jiff::Timestamp;

use self::turn::Turn;
use super::{Lease, Outcome};
use crate::archive::FORMAT_VERSION;
use crate::archive::layout::RunId;
use crate::archive::record::{Ended, Outcome as RunOutcome, Run, Source, TableResult};
use crate::aws::sqs::Message;
use crate::config::SourceConfig;
use crate::environment::Environment;
use crate::error::{Error, Kind, Result};
use crate::message::Trigger;
use crate::reconcile::{self, Event};
use crate::table::{Selection, TableName};

/// Starts the runs of a trigger message, or goes on starting them. One source's failure does not hold up
/// another: it ends that source's run, or brings the message back.
pub async fn run(environment: &Environment, lease: &Lease, message: &Message) -> Result<Outcome> {
    let trigger = Trigger::parse(&message.body)?;
    let mut failures = Vec::new();
    for source in environment.sources_of(&trigger)? {
        lease.check()?;
        let start = Start::new(environment, source, &trigger, message);
        match start.begin(lease).await {
            Err(error) if error.kind() == Kind::Permanent => {
                start.give_up(&error.in_full()).await?;
                failures.push(error);
            }
            Err(error) => failures.push(error),
            Ok(()) => {}
        }
    }
    // A failure that may pass comes first: it brings the message back.
    failures.sort_by_key(|error| error.kind() == Kind::Permanent);
    failures.into_iter().next().map_or(Ok(Outcome::Done), Err)
}

/// Ends the runs of a trigger that is given up, as far as they have not started.
pub async fn abandon(environment: &Environment, message: &Message, reason: &str) -> Result<()> {
    // A message that cannot be read, or names no source of ours, has started nothing.
    let Ok(trigger) = Trigger::parse(&message.body) else { return Ok(()) };
    let Ok(sources) = environment.sources_of(&trigger) else { return Ok(()) };
    for source in sources {
        Start::new(environment, source, &trigger, message).give_up(reason).await?;
    }
    Ok(())
}

/// Whether every run of a trigger has all its tables started, or is over.
pub async fn has_started(environment: &Environment, message: &Message) -> Result<bool> {
    let (archive, trigger) = (&environment.archive, Trigger::parse(&message.body)?);
    for source in environment.sources_of(&trigger)? {
        let Start { id, .. } = Start::new(environment, source, &trigger, message);
        let (started, report) = (archive.layout().started(&id), archive.layout().report(&id));
        if !archive.exists(&started).await? && !archive.exists(&report).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The start of one source's run.
struct Start<'a> {
    environment: &'a Environment,
    source: &'a SourceConfig,
    trigger: &'a Trigger,
    id: RunId,
    /// Whether nobody tries it again.
    is_last_attempt: bool,
}

impl<'a> Start<'a> {
    fn new(
        environment: &'a Environment,
        source: &'a SourceConfig,
        trigger: &'a Trigger,
        message: &Message,
    ) -> Self {
        let id = RunId::derive(message.sent_at, &message.id, &source.name);
        let is_last_attempt = message.is_last_attempt(&environment.queues.trigger);
        Self { environment, source, trigger, id, is_last_attempt }
    }

    async fn begin(&self, lease: &Lease) -> Result<()> {
        let archive = &self.environment.archive;
        let run = match archive.run(&self.id).await? {
            Some(run) => run,
            None => self.plan().await?,
        };
        let started = archive.layout().started(&self.id);
        if run.ended.is_none() && !archive.exists(&started).await? {
            self.start_tables(lease, &run).await?;
            archive.create(&started, &Timestamp::now()).await?;
        }
        reconcile::finish_run(self.environment, &run).await
    }

    /// Lists the source and writes `run.json`, unless another run of the source is still going on.
    async fn plan(&self) -> Result<Arc<Run>> {
        if let Turn::Taken(other) = turn::take(self).await? {
            let reason = format!("run {other} of source {} is still going on", self.source.name);
            tracing::warn!(run.id = %self.id, source.name = self.source.name, "run skipped: {reason}");
            return self.end(&self.id, self.trigger.selection(), RunOutcome::Skipped, reason).await;
        }
        let listed = self.environment.source(self.source).await?.tables.list().await?;
        let tables = self.selected(listed);
        tracing::info!(run.id = %self.id, source.name = self.source.name, tables = tables.len(), "run planned");
        self.create(self.new_run(&self.id, self.trigger.selection(), tables, None)).await
    }

    /// The tables that both the source's configuration and the trigger select. A table that is asked for by its
    /// full name is selected whether it is there or not: a backup that lacks it must say so.
    fn selected(&self, mut tables: Vec<TableName>) -> Vec<TableName> {
        let asked = self.trigger.selection();
        let named = self.source.selection.tables.iter().chain(&asked.tables);
        tables.extend(named.filter_map(|pattern| TableName::parse(pattern.as_str()).ok()));
        tables.retain(|table| self.source.selection.selects(table) && asked.selects(table));
        tables.sort();
        tables.dedup();
        tables
    }

    fn new_run(&self, id: &RunId, requested: Selection, tables: Vec<TableName>, ended: Option<Ended>) -> Run {
        Run {
            version: FORMAT_VERSION,
            run: id.clone(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            source: Source {
                name: self.source.name.clone(),
                role_arn: self.source.role_arn.as_str().to_owned(),
                account: self.environment.account_of(self.source),
            },
            backup: self.environment.backup.clone(),
            requested,
            consistent_read: self.environment.config.options.consistent_read,
            suspect_above: self.suspect_above(),
            planned_at: Timestamp::now(),
            tables,
            ended,
        }
    }

    /// All of a copy is no limit.
    fn suspect_above(&self) -> u8 {
        if self.trigger.accept_changes { 100 } else { self.environment.config.suspect_above }
    }

    /// Creates `run.json`; where another worker was first, its plan is the plan.
    async fn create(&self, record: Run) -> Result<Arc<Run>> {
        let archive = &self.environment.archive;
        let key = archive.layout().run(&record.run);
        archive.create(&key, &record).await?;
        let run = archive.run(&record.run).await?;
        run.ok_or_else(|| Error::retryable(format!("{key} is not there, although it was just written")))
    }

    /// Records a run that is over before it begins, so that it is seen where runs are looked at.
    async fn end(
        &self,
        id: &RunId,
        requested: Selection,
        outcome: RunOutcome,
        reason: String,
    ) -> Result<Arc<Run>> {
        let ended = Some(Ended { outcome, reason });
        let run = self.create(self.new_run(id, requested, Vec::new(), ended)).await?;
        if run.ended.is_some() {
            reconcile::finish_run(self.environment, &run).await?;
        }
        Ok(run)
    }

    /// Ends the run, or what of it was not planned: that is skipped, and said to be.
    async fn give_up(&self, reason: &str) -> Result<()> {
        let archive = &self.environment.archive;
        let Some(run) = archive.run(&self.id).await? else {
            let asked = self.trigger.selection();
            return self.end(&self.id, asked, RunOutcome::Failed, reason.to_owned()).await.map(drop);
        };
        if archive.exists(&archive.layout().started(&self.id)).await? {
            return Ok(());
        }
        for name in &run.tables {
            match archive.table(&self.id, name).await? {
                Some(table) => reconcile::table(self.environment, &run, &table, Event::Started).await?,
                None => self.skip_table(name, reason.to_owned()).await?,
            }
        }
        reconcile::finish_run(self.environment, &run).await
    }

    async fn skip_table(&self, name: &TableName, reason: String) -> Result<()> {
        tracing::warn!(run.id = %self.id, table.name = %name, "table skipped: {reason}");
        let archive = &self.environment.archive;
        let result = TableResult::empty(name.clone(), RunOutcome::Skipped, reason);
        archive.create(&archive.layout().result(&self.id, name), &result).await?;
        self.environment.progress.table_finished(&self.id, name, RunOutcome::Skipped);
        Ok(())
    }
}
