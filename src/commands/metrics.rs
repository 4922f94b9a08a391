//! The metrics of `worker` and `run`: written once a minute, and at the end.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::CancellationToken;

use crate::environment::Environment;
use crate::metrics::LastComplete;

/// CloudWatch keeps one value a minute apart from the next (CloudWatch User Guide, “Metrics concepts”, “Resolution”).
const FLUSH_EVERY: Duration = Duration::from_secs(60);

/// How often the bucket is asked for the newest complete runs: one listing, and the reports that are new.
const LOOK_EVERY: Duration = Duration::from_secs(300);

/// How long the last look may take: the report of the run is waiting.
const LAST_LOOK: Duration = Duration::from_secs(10);

/// Writes the metrics while it is kept.
pub(super) struct Writing {
    environment: Arc<Environment>,
    stop: CancellationToken,
    task: JoinHandle<LastComplete>,
}

impl Writing {
    /// Begins to write, if metrics are asked for.
    pub(super) fn start(environment: &Arc<Environment>) -> Option<Self> {
        if !environment.metrics.is_on() {
            return None;
        }
        let (environment, stop) = (Arc::clone(environment), CancellationToken::new());
        let task = tokio::spawn(write(Arc::clone(&environment), stop.clone()));
        Some(Self { environment, stop, task })
    }

    /// Writes what is left.
    pub(super) async fn finish(self) {
        self.stop.cancel();
        let _ = self.task.await;
        self.environment.metrics.flush(&[]);
    }

    /// Writes what is left, and how old the newest complete runs are after the one that has just ended.
    pub(super) async fn finish_run(self) {
        self.stop.cancel();
        let mut ages = Vec::new();
        if let Ok(mut last_complete) = self.task.await {
            let _ = timeout(LAST_LOOK, look(&self.environment, &mut last_complete)).await;
            ages = last_complete.ages(Timestamp::now());
        }
        self.environment.metrics.flush(&ages);
    }
}

async fn write(environment: Arc<Environment>, stop: CancellationToken) -> LastComplete {
    let sources = environment.config.sources.iter().map(|source| source.name.clone());
    let mut last_complete = LastComplete::new(sources);
    let writing = async {
        let mut minutes = interval_at(Instant::now() + FLUSH_EVERY, FLUSH_EVERY);
        minutes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut next_look = Instant::now();
        loop {
            minutes.tick().await;
            if Instant::now() >= next_look {
                look(&environment, &mut last_complete).await;
                next_look = Instant::now() + LOOK_EVERY;
            }
            environment.metrics.flush(&last_complete.ages(Timestamp::now()));
        }
    };
    stop.run_until_cancelled(writing).await;
    last_complete
}

/// A look that fails is repeated; until then the ages are those of the last one.
async fn look(environment: &Environment, last_complete: &mut LastComplete) {
    if let Err(error) = last_complete.look(&environment.archive, Timestamp::now()).boxed().await {
        tracing::warn!("look for the newest complete runs: {error:#}");
    }
}
