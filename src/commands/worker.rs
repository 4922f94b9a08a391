//! `worker`: works on the queues until it is told to stop.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::environment;
use super::metrics::Writing;
use crate::cli::Cli;
use crate::error::Result;
use crate::exit::Exit;
use crate::progress::Progress;
use crate::shutdown::Shutdown;
use crate::worker::work;

/// SQS's longest (SQS Developer Guide, “Amazon SQS short and long polling”).
const LONGEST_POLL: Duration = Duration::from_secs(20);

pub(super) async fn run(cli: &Cli) -> Result<Exit> {
    // First, because the kernel drops signals that PID 1 has no handler for.
    let stop = Shutdown::on_signals()?.token();
    let environment = environment(cli, Progress::default(), None).await?;
    tracing::info!(
        deployment = environment.config.environment,
        account.id = environment.backup.account_id,
        account.region = environment.backup.region,
        bucket = environment.archive.bucket_name(),
        sources = environment.config.sources.len(),
        "worker started"
    );
    let grace = environment.config.shutdown_grace;
    let long_poll = (grace / 5).clamp(Duration::from_secs(1), LONGEST_POLL);
    let metrics = Writing::start(&environment);
    let working = tokio::spawn(work(Arc::clone(&environment), long_poll, stop.clone()));
    stop.cancelled().await;
    if timeout(grace, working).await.is_err() {
        tracing::warn!(
            grace_ms = grace.as_millis(),
            "stopped with jobs still running: their messages come back"
        );
    } else {
        tracing::info!("worker stopped: every message is settled or given back");
    }
    if let Some(metrics) = metrics {
        metrics.finish().await;
    }
    Ok(Exit::Complete)
}
