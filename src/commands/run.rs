//! `run`: starts a backup, works on it until it is finished, and exits with its outcome.

mod view;

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use indicatif::MultiProgress;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use tokio::time::{Instant, timeout};

use self::view::View;
use super::metrics::Writing;
use super::{environment, output};
use crate::archive::layout::RunId;
use crate::archive::record::{Outcome, Report};
use crate::cli::{Cli, TriggerArgs};
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::message::Trigger;
use crate::progress::Progress;
use crate::shutdown::Shutdown;
use crate::worker::work;

/// How often the bucket is asked for the run's report.
const ASK_EVERY: Duration = Duration::from_millis(500);

/// SQS's clock and ours may differ by this much.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(10);

/// How long a receive waits for a message: short, because `run` waits for the last one when its work is done.
const LONG_POLL: Duration = Duration::from_secs(2);

/// How often a run is looked at for whether it has stalled: a listing of all of its objects.
const LOOK_FOR_STALL_EVERY: Duration = Duration::from_secs(300);

/// How long a trigger may go without a run. This process takes it at once, unless another did and dropped it.
const MAX_WAIT_FOR_RUN: Duration = Duration::from_secs(900);

/// How long finished jobs may take to settle: nothing but an idle receive is left by then.
const SETTLE: Duration = Duration::from_secs(10);

#[derive(Serialize)]
struct Finished<'a> {
    outcome: Outcome,
    runs: &'a [Report],
}

pub(super) async fn run(cli: &Cli, args: &TriggerArgs) -> Result<Exit> {
    let shutdown = Shutdown::on_signals()?.token();
    let bars = std::io::stderr().is_terminal().then(MultiProgress::new);
    let environment = environment(cli, Progress::watched(), bars.clone()).await?;
    let trigger = Trigger::from(args);
    let sources = environment.sources_of(&trigger).map_err(|error| Error::usage(error.to_string()))?;

    let message_id = environment.queues.trigger.send(&trigger.body()).await?;
    let suffixes: Vec<String> =
        sources.iter().map(|source| RunId::suffix(&message_id, &source.name)).collect();
    let stop = shutdown.child_token();
    let working = tokio::spawn(work(Arc::clone(&environment), LONG_POLL, stop.clone()));
    let metrics = Writing::start(&environment);
    let mut watch = Watch::new(&environment, suffixes, View::new(bars, Arc::clone(&environment)));
    let watched = shutdown.run_until_cancelled(watch.until_reported()).await;
    stop.cancel();
    let grace = if watched.is_some() { SETTLE } else { environment.config.shutdown_grace };
    if timeout(grace, working).await.is_err() {
        tracing::warn!("stopped with jobs still running: their messages come back");
    }
    watch.view.finish();
    match metrics {
        Some(metrics) if matches!(watched, Some(Ok(_))) => metrics.finish_run().await,
        Some(metrics) => metrics.finish().await,
        None => {}
    }
    let Some(reports) = watched.transpose()? else {
        tracing::warn!("interrupted: the run goes on as soon as a worker does; `status` shows it");
        return Ok(Exit::Interrupted);
    };
    let outcome = outcome(&reports);
    output::print(cli.output, &Finished { outcome, runs: &reports }, || text(&reports));
    Ok(outcome.into())
}

/// Waits for the reports of the runs whose ids have these ends.
struct Watch<'a> {
    environment: &'a Environment,
    suffixes: Vec<String>,
    /// Those that have begun.
    runs: Vec<RunId>,
    started: Instant,
    next_look: Instant,
    view: View,
}

impl<'a> Watch<'a> {
    fn new(environment: &'a Environment, suffixes: Vec<String>, view: View) -> Self {
        let started = Instant::now();
        let next_look = started + LOOK_FOR_STALL_EVERY;
        Self { environment, suffixes, runs: Vec::new(), started, next_look, view }
    }

    /// # Errors
    /// Permanent when no run begins, or one stalls.
    async fn until_reported(&mut self) -> Result<Vec<Report>> {
        loop {
            match self.look().await {
                Ok(Some(reports)) => return Ok(reports),
                Ok(None) => {}
                // The run goes on, whether we can look at it or not.
                Err(error) if error.is_retryable() => tracing::warn!("{error:#}"),
                Err(error) => return Err(error),
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    async fn look(&mut self) -> Result<Option<Vec<Report>>> {
        self.find_runs().await?;
        self.view.show(&self.runs);
        if Instant::now() >= self.next_look {
            self.next_look += LOOK_FOR_STALL_EVERY;
            refuse_stalled(self.environment, &self.runs).await?;
        }
        self.reports().await
    }

    async fn find_runs(&mut self) -> Result<()> {
        if self.runs.len() == self.suffixes.len() {
            return Ok(());
        }
        let floor = RunId::floor(Timestamp::now() - CLOCK_SKEW - self.started.elapsed());
        self.runs = self.environment.archive.runs(&floor).await?;
        self.runs.retain(|run| self.suffixes.iter().any(|suffix| run.as_str().ends_with(suffix.as_str())));
        if self.runs.len() < self.suffixes.len() && self.started.elapsed() > MAX_WAIT_FOR_RUN {
            return Err(no_run(self.environment));
        }
        Ok(())
    }

    /// The reports, once every run has its own.
    async fn reports(&self) -> Result<Option<Vec<Report>>> {
        let mut reports = Vec::new();
        for run in &self.runs {
            reports.extend(self.environment.archive.report(run).await?);
        }
        Ok((reports.len() == self.suffixes.len()).then_some(reports))
    }
}

fn no_run(environment: &Environment) -> Error {
    Error::permanent(format!(
        "the trigger was sent, but no run of it began within {MAX_WAIT_FOR_RUN:?}: look into the dead-letter queue \
         of {}, and at the logs of the other workers",
        environment.queues.trigger.name()
    ))
}

async fn refuse_stalled(environment: &Environment, runs: &[RunId]) -> Result<()> {
    for run in runs {
        let unfinished = !environment.archive.exists(&environment.archive.layout().report(run)).await?;
        if unfinished && environment.archive.is_stalled(run, environment.config.stall_after).await? {
            return Err(Error::permanent(format!(
                "run {run} has stalled: nothing new appeared for longer than {:?}; `status {run}` shows where, \
                 and the dead-letter queues why",
                environment.config.stall_after
            )));
        }
    }
    Ok(())
}

/// The outcome of several runs together.
fn outcome(reports: &[Report]) -> Outcome {
    let all = |outcome| reports.iter().all(|report| report.outcome == outcome);
    if all(Outcome::Complete) {
        Outcome::Complete
    } else if reports.iter().all(|report| matches!(report.outcome, Outcome::Failed | Outcome::Skipped)) {
        if all(Outcome::Skipped) { Outcome::Skipped } else { Outcome::Failed }
    } else {
        Outcome::Partial
    }
}

fn text(reports: &[Report]) -> String {
    reports.iter().map(output::report).collect::<Vec<_>>().join("\n\n")
}

impl From<Outcome> for Exit {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Complete => Self::Complete,
            Outcome::Partial => Self::Partial,
            // A run that was skipped backed nothing up.
            Outcome::Failed | Outcome::Skipped => Self::Failed,
        }
    }
}
