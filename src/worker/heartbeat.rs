//! Keeps a message ours while its job runs.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::aws::sqs::{Extension, Message, Queue};

/// Extends the visibility of one message until it is stopped. When the message cannot be kept, the job is
/// cancelled: somebody else may be at work on it.
pub(super) struct Heartbeat {
    /// Ends the beating when it is dropped: a job that panics keeps no message for ever.
    done: DropGuard,
    beating: JoinHandle<Extension>,
}

impl Heartbeat {
    /// `job` is cancelled when the message is lost.
    pub(super) fn start(
        queue: Queue,
        message: Message,
        visibility: Duration,
        job: CancellationToken,
    ) -> Self {
        let done = CancellationToken::new();
        let beating = tokio::spawn(beat(queue, message, visibility, done.clone(), job));
        Self { done: done.drop_guard(), beating }
    }

    /// Whether the message has not been lost yet.
    pub(super) fn is_held(&self) -> bool {
        !self.beating.is_finished()
    }

    /// Stops extending; false when the message was lost.
    pub(super) async fn stop(self) -> bool {
        drop(self.done);
        matches!(self.beating.await, Ok(Extension::Held))
    }
}

async fn beat(
    queue: Queue,
    message: Message,
    visibility: Duration,
    done: CancellationToken,
    job: CancellationToken,
) -> Extension {
    // A third leaves room for two failed extensions before the message is somebody else's.
    let interval = visibility / 3;
    let mut ours_until = Instant::now() + visibility;
    while done.run_until_cancelled(tokio::time::sleep(interval)).await.is_some() {
        let asked_at = Instant::now();
        // An answer that comes when the message may be somebody else's is no answer.
        let extending = timeout_at(ours_until - interval / 2, queue.extend(&message, visibility));
        match done.run_until_cancelled(extending).await {
            None => break,
            Some(Ok(Ok(Extension::Held))) => ours_until = asked_at + visibility,
            Some(Ok(Ok(Extension::Lost))) => return lose(&job, "somebody else received it"),
            Some(Ok(Err(error))) => {
                tracing::warn!(queue.name = queue.name(), message.id = message.id, "{error:#}");
                if Instant::now() + interval >= ours_until {
                    return lose(&job, "its visibility could not be extended");
                }
            }
            Some(Err(_)) => return lose(&job, "its visibility could not be extended in time"),
        }
    }
    // A process that stood still may end its job before it hears of it.
    if Instant::now() < ours_until { Extension::Held } else { lose(&job, "its visibility timeout is over") }
}

fn lose(job: &CancellationToken, reason: &str) -> Extension {
    tracing::warn!("the message is no longer ours: {reason}");
    job.cancel();
    Extension::Lost
}
