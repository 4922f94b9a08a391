//! What each outcome does to its message.

use std::time::Duration;

use jiff::Timestamp;

use crate::archive::layout::Stage;
use crate::archive::marker::{Failure, LastAttempt};
use crate::aws::sqs::{Message, Queue};
use crate::environment::Environment;
use crate::error::{Error, Kind, Result};
use crate::job::{Outcome, trigger};
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

/// Says that this is the last time a job's queue allows it to be received: if its worker dies now, SQS moves
/// the message to the dead-letter queue, and this is all that is left to tell why the run does not end.
pub(super) async fn record_last_attempt(environment: &Environment, job: &Job, receives: u32) -> Result<()> {
    let key = environment.archive.folder(job.run(), job.table()).last_attempt(job.stage(), job.segment());
    let marker =
        LastAttempt { stage: job.stage(), segment: job.segment(), receives, started_at: Timestamp::now() };
    environment.archive.create(&key, &marker).await?;
    Ok(())
}

/// Settles a message. What fails here is logged and left alone: the message comes back by itself, and its job
/// finds that its work is done.
pub(super) async fn settle(
    environment: &Environment,
    received: &Received,
    outcome: Result<Outcome>,
    still_ours: bool,
) {
    if !still_ours {
        return;
    }
    let queue = environment.queues.of(received.stage);
    let settled = match outcome {
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
    let last = message.receives >= queue.max_receives();
    match error.kind() {
        Kind::Interrupted => queue.extend(message, Duration::ZERO).await.map(drop),
        Kind::Retryable if !last => {
            let delay = backoff(message.receives);
            tracing::warn!(retry_in_ms = delay.as_millis(), "{error:#}");
            queue.extend(message, delay).await.map(drop)
        }
        Kind::Retryable => {
            let reason = format!("given up after {} attempts: {error:#}", message.receives);
            bury(environment, queue, received, &reason).await
        }
        Kind::Permanent | Kind::Usage => bury(environment, queue, received, &format!("{error:#}")).await,
    }
}

/// Records a failure in the bucket, keeps the message in the dead-letter queue, and moves the run past it.
async fn bury(environment: &Environment, queue: &Queue, received: &Received, reason: &str) -> Result<()> {
    tracing::error!("{reason}");
    if received.stage == Stage::Trigger {
        trigger::abandon(environment, &received.message, reason).await?;
    } else if let Ok(job) = Job::parse(received.stage, &received.message.body) {
        record_failure(environment, &job, reason).await?;
    }
    queue.bury(&received.message, reason).await?;
    queue.delete(&received.message).await
}

async fn record_failure(environment: &Environment, job: &Job, reason: &str) -> Result<()> {
    let archive = &environment.archive;
    // A message for a run or table that is not there must not make one appear.
    let Some(run) = archive.run(job.run()).await? else { return Ok(()) };
    let Some(table) = archive.table(job.run(), job.table()).await? else { return Ok(()) };
    if job.segment() >= table.plan.segments {
        return Ok(());
    }
    let failure = Failure {
        stage: job.stage(),
        segment: job.segment(),
        reason: reason.to_owned(),
        items: Vec::new(),
        failed_at: Timestamp::now(),
    };
    let key = archive.folder(job.run(), job.table()).failed(job.stage(), job.segment());
    archive.create(&key, &failure).await?;
    reconcile::table(environment, &run, &table, Event::Failed).await
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
