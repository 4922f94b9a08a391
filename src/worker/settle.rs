//! What each outcome does to its message.

use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;

use crate::archive::layout::Stage;
use crate::archive::marker::{Failure, LastAttempt};
use crate::aws::sqs::{Message, Queue};
use crate::environment::Environment;
use crate::error::{Error, Kind, Result};
use crate::job::{self, Outcome, Task, trigger};
use crate::message::Job;
use crate::reconcile::{self, Event};

/// The first wait before a job is tried again; it doubles with every receive.
const FIRST_RETRY: Duration = Duration::from_secs(5);
const MAX_RETRY: Duration = Duration::from_secs(600);

/// A message with the stage whose queue it came from.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) stage: Stage,
    pub(super) message: Message,
}

/// Says that this is the last attempt that a job's queue allows: if its worker dies now, whoever receives the message
/// next gives the job up, and until then this tells what the run waits for.
pub(super) async fn record_last_attempt(environment: &Environment, job: &Job, receives: u32) -> Result<()> {
    if Task::of(environment, job).await?.is_none() {
        return Ok(());
    }
    let key = environment.archive.folder(job.run(), job.table()).last_attempt(job.stage(), job.segment());
    let marker =
        LastAttempt { stage: job.stage(), segment: job.segment(), receives, started_at: Timestamp::now() };
    environment.archive.create(&key, &marker).await?;
    Ok(())
}

/// What is left to say of a job whose last attempt nobody settled.
pub(super) fn came_to_no_end() -> Error {
    Error::retryable("the last one came to no end: its worker was killed, ran out of memory or crashed")
        .with_mend("look at the memory and the logs of the workers")
}

/// Settles a message. What fails here is logged and left alone: the message comes back by itself, and its job
/// finds that its work is done, or is given up where its attempts are.
pub(super) async fn settle(
    environment: &Environment,
    received: &Received,
    outcome: Result<Outcome>,
    still_ours: bool,
) {
    let queue = environment.queues.of(received.stage);
    let is_last = received.message.is_last_attempt(queue);
    let settled = match outcome {
        // Whoever receives it next gives it up, so that it has to be sent afresh.
        _ if !still_ours && is_last && received.stage != Stage::Trigger => {
            again(queue, &received.message, Duration::ZERO, "lost").await
        }
        _ if !still_ours => Ok(()),
        Ok(Outcome::Done) => queue.delete(&received.message).await,
        Ok(Outcome::Again { delay, why }) => again(queue, &received.message, delay, &why).await,
        Err(error) => fail(environment, queue, received, error).await,
    };
    if let Err(error) = settled {
        tracing::warn!(queue.name = queue.name(), "{error:#}");
    }
}

async fn again(queue: &Queue, message: &Message, delay: Duration, why: &str) -> Result<()> {
    tracing::debug!(delay_ms = delay.as_millis(), "not yet: {why}");
    queue.send_all(std::slice::from_ref(&message.body), delay).await?;
    queue.delete(message).await
}

async fn fail(environment: &Environment, queue: &Queue, received: &Received, error: Error) -> Result<()> {
    let message = &received.message;
    let last = message.is_last_attempt(queue);
    match error.kind() {
        // Giving it back would be one receive too many: it would be given up. A trigger cannot be sent afresh, because
        // its message's id is its run's.
        Kind::Interrupted if last && received.stage != Stage::Trigger => {
            again(queue, message, Duration::ZERO, "stopped").await
        }
        Kind::Interrupted if !last => queue.extend(message, Duration::ZERO).await.map(drop),
        Kind::Retryable if !last => {
            let delay = backoff(message.receives);
            tracing::warn!(retry_in_ms = delay.as_millis(), "{error:#}");
            queue.extend(message, delay).await.map(drop)
        }
        Kind::Retryable | Kind::Interrupted => {
            // Its run is left to be moved on, and that is not given up.
            if is_done(environment, received).await? {
                return again(queue, message, backoff(message.receives), "done, and its run not moved on")
                    .await;
            }
            let attempts = message.receives.min(queue.attempts());
            let reason = format!("given up after {attempts} attempts: {}", error.in_full());
            if received.stage == Stage::Trigger {
                trigger::abandon(environment, message, &reason).boxed().await?;
            }
            bury(environment, queue, received, &reason).await
        }
        Kind::Permanent | Kind::Usage => bury(environment, queue, received, &error.in_full()).await,
    }
}

async fn is_done(environment: &Environment, received: &Received) -> Result<bool> {
    match Job::parse(received.stage, &received.message.body) {
        Ok(job) => job::is_done(environment, &job).await,
        Err(_) => Ok(false),
    }
}

/// Records a failure in the bucket, keeps the message in the dead-letter queue, and moves the run past it.
async fn bury(environment: &Environment, queue: &Queue, received: &Received, reason: &str) -> Result<()> {
    tracing::error!("{reason}");
    let job = Job::parse(received.stage, &received.message.body).ok();
    let failed = match &job {
        Some(job) => record_failure(environment, job, reason).await?,
        None => None,
    };
    // The run moves on whether the dead-letter queue takes the message or not, and the other way round.
    let moved = match (failed, &job) {
        (Some(Task { run, table }), Some(job)) => {
            reconcile::table(environment, &run, &table, Event::Failed(job.stage(), job.segment())).await
        }
        _ => Ok(()),
    };
    queue.bury(&received.message, reason).await?;
    moved?;
    queue.delete(&received.message).await
}

/// Writes the marker of a failed job; `None` for one whose run, table or segment is not there, because a forged
/// message must not make one appear.
async fn record_failure(environment: &Environment, job: &Job, reason: &str) -> Result<Option<Task>> {
    let Some(task) = Task::of(environment, job).await? else { return Ok(None) };
    let failure = Failure {
        stage: job.stage(),
        segment: job.segment(),
        reason: reason.to_owned(),
        failed_at: Timestamp::now(),
    };
    let key = environment.archive.folder(job.run(), job.table()).failed(job.stage(), job.segment());
    environment.archive.create(&key, &failure).await?;
    Ok(Some(task))
}

/// 5 s, 10 s, 20 s … at most ten minutes.
fn backoff(receives: u32) -> Duration {
    FIRST_RETRY.saturating_mul(1 << receives.saturating_sub(1).min(16)).min(MAX_RETRY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_with_every_receive_up_to_ten_minutes() {
        let seconds: Vec<u64> =
            [1, 2, 3, 8, 9, u32::MAX].map(|receives| backoff(receives).as_secs()).to_vec();
        assert_eq!(seconds, [5, 10, 20, 600, 600, 600]);
    }
}
