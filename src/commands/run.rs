//! `run`: starts a backup, works on it until it is finished, and exits with its outcome.

mod view;

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use indicatif::MultiProgress;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use self::view::View;
use super::{environment, output};
use crate::archive::layout::RunId;
use crate::archive::record::{Outcome, Report};
use crate::cli::{Cli, TriggerArgs};
use crate::environment::Environment;
use crate::error::Result;
use crate::exit::Exit;
use crate::message::Trigger;
use crate::progress::Progress;
use crate::shutdown::Shutdown;
use crate::worker::work;

/// How often the bucket is asked for the run's report.
const ASK_EVERY: Duration = Duration::from_millis(500);

/// SQS's clock and ours may differ by this much.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(10);

/// How long finished jobs may take to settle: nothing but an idle receive is left by then.
const SETTLE: Duration = Duration::from_secs(10);

#[derive(Serialize)]
struct Finished<'a> {
    outcome: Outcome,
    runs: &'a [Report],
}

pub(super) async fn run(cli: &Cli, args: &TriggerArgs) -> Result<Exit> {
    let bars = std::io::stderr().is_terminal().then(MultiProgress::new);
    let environment = environment(cli, Progress::watched(), bars.clone()).await?;
    let trigger = Trigger::from(args);
    let sources = environment.sources_of(&trigger)?;
    let shutdown = Shutdown::on_signals()?.token();

    let message_id = environment.queues.trigger.send(&trigger.body()).await?;
    let suffixes: Vec<String> =
        sources.iter().map(|source| RunId::suffix(&message_id, &source.name)).collect();
    let stop = shutdown.child_token();
    let working = tokio::spawn(work(Arc::clone(&environment), stop.clone()));
    let view = View::new(bars, Arc::clone(&environment));
    let reports = watch(&environment, &suffixes, view, &shutdown).await?;
    stop.cancel();
    let grace = if reports.is_some() { SETTLE } else { environment.config.shutdown_grace };
    if timeout(grace, working).await.is_err() {
        tracing::warn!("stopped with jobs still running: their messages come back");
    }
    let Some(reports) = reports else {
        tracing::warn!("interrupted: the run goes on as soon as a worker does; `status` shows it");
        return Ok(Exit::Interrupted);
    };
    let outcome = outcome(&reports);
    output::print(cli.output, &Finished { outcome, runs: &reports }, || text(&reports));
    Ok(outcome.into())
}

/// Waits for the reports of the runs whose ids have these ends; `None` when interrupted.
async fn watch(
    environment: &Environment,
    suffixes: &[String],
    mut view: View,
    shutdown: &CancellationToken,
) -> Result<Option<Vec<Report>>> {
    let floor = RunId::floor(Timestamp::now() - CLOCK_SKEW);
    let mut runs: Vec<RunId> = Vec::new();
    let mut next_ask = Instant::now();
    loop {
        if shutdown.run_until_cancelled(tokio::time::sleep_until(next_ask)).await.is_none() {
            return Ok(None);
        }
        next_ask = Instant::now() + ASK_EVERY;
        if runs.len() < suffixes.len() {
            runs = environment.archive.runs(&floor).await?;
            runs.retain(|run| suffixes.iter().any(|suffix| run.as_str().ends_with(suffix.as_str())));
        }
        view.show(&runs);
        let mut reports = Vec::new();
        for run in &runs {
            reports.extend(environment.archive.report(run).await?);
        }
        if reports.len() == suffixes.len() {
            view.finish();
            return Ok(Some(reports));
        }
    }
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
