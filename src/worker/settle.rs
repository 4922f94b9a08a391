//! What each outcome does to its message.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures::FutureExt;
use jiff::Timestamp;

use crate::archive::layout::Stage;
use crate::archive::marker::{Failure, LastAttempt};
use crate::aws::sqs::{Message, Queue};
use crate::environment::Environment;
use crate::error::{Error, Kind, Result};
use crate::job::{self, Outcome, Task, trigger};
use crate::message::Job;
use crate::metrics::JobEnd;
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

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Delete,
    /// A fresh copy is sent with this delay, then this one is deleted: SQS counts receives.
    SendAgain {
        delay: Duration,
        why: String,
    },
    /// It is seen again after this.
    GiveBack {
        delay: Duration,
    },
    /// It goes to the dead-letter queue, with the reason.
    Bury {
        reason: String,
    },
    /// It comes back by itself, or is somebody else's.
    Leave,
}

impl Fate {
    /// How the job has ended, as metrics have it.
    pub(super) fn end(&self) -> JobEnd {
        match self {
            Self::Delete => JobEnd::Done,
            Self::SendAgain { .. } => JobEnd::Again,
            Self::GiveBack { delay } if delay.is_zero() => JobEnd::Interrupted,
            Self::GiveBack { .. } => JobEnd::Retried,
            Self::Bury { .. } => JobEnd::Failed,
            Self::Leave => JobEnd::Interrupted,
        }
    }
}

/// Decides what becomes of a message, and tells its run what has become of the job. That may take a while: to be asked
/// while the message is kept.
pub(super) async fn decide(environment: &Environment, received: &Received, outcome: Result<Outcome>) -> Fate {
    match outcome {
        Ok(Outcome::Done) => Fate::Delete,
        Ok(Outcome::Again { delay, why }) => Fate::SendAgain { delay, why },
        Err(error) => match judge(environment, received, error).await {
            Ok(fate) => fate,
            Err(error) => undecided(environment.queues.of(received.stage), received, &error),
        },
    }
}

/// The fate of a message that is somebody else's by now. Whoever receives one after its last attempt gives it up, so
/// that it has to be sent afresh.
pub(super) fn lost(queue: &Queue, received: &Received) -> Fate {
    if received.message.is_last_attempt(queue) && received.stage != Stage::Trigger {
        Fate::SendAgain { delay: Duration::ZERO, why: "lost".to_owned() }
    } else {
        Fate::Leave
    }
}

/// Settles a message. What fails here is logged and left alone: the message comes back by itself, and its job
/// finds that its work is done, or is given up where its attempts are.
pub(super) async fn settle(queue: &Queue, message: &Message, fate: Fate) {
    let settled = match fate {
        Fate::Delete => queue.delete(message).await,
        Fate::SendAgain { delay, why } => send_again(queue, message, delay, &why).await,
        Fate::GiveBack { delay } => queue.extend(message, delay).await.map(drop),
        Fate::Bury { reason } => bury(queue, message, &reason).await,
        Fate::Leave => Ok(()),
    };
    if let Err(error) = settled {
        tracing::warn!(queue.name = queue.name(), "{error:#}");
    }
}

async fn send_again(queue: &Queue, message: &Message, delay: Duration, why: &str) -> Result<()> {
    tracing::debug!(delay_ms = delay.as_millis(), "not yet: {why}");
    queue.send_all(std::slice::from_ref(&message.body), delay).await?;
    queue.delete(message).await
}

async fn bury(queue: &Queue, message: &Message, reason: &str) -> Result<()> {
    queue.bury(message, reason).await?;
    queue.delete(message).await
}

async fn judge(environment: &Environment, received: &Received, error: Error) -> Result<Fate> {
    let (message, queue) = (&received.message, environment.queues.of(received.stage));
    let is_last = message.is_last_attempt(queue);
    match error.kind() {
        // Giving it back would be one receive too many: it would be given up. A trigger cannot be sent afresh, because
        // its message's id is its run's.
        Kind::Interrupted if is_last && received.stage != Stage::Trigger => {
            Ok(Fate::SendAgain { delay: Duration::ZERO, why: "stopped".to_owned() })
        }
        Kind::Interrupted if !is_last => Ok(Fate::GiveBack { delay: Duration::ZERO }),
        Kind::Retryable if !is_last => {
            let delay = backoff(message.receives);
            tracing::warn!(retry_in_ms = delay.as_millis(), "{error:#}");
            Ok(Fate::GiveBack { delay })
        }
        Kind::Retryable | Kind::Interrupted => give_up(environment, received, &error).await,
        Kind::Permanent | Kind::Usage => fail(environment, received, error.in_full()).await,
    }
}

async fn give_up(environment: &Environment, received: &Received, error: &Error) -> Result<Fate> {
    let (message, queue) = (&received.message, environment.queues.of(received.stage));
    // Its run is left to be moved on, and that is not given up.
    if is_done(environment, received).await? {
        let delay = backoff(message.receives);
        return Ok(Fate::SendAgain { delay, why: format!("done, and its run not moved on: {error:#}") });
    }
    let attempts = message.receives.min(queue.attempts());
    let reason = format!("given up after {attempts} attempts: {}", error.in_full());
    if received.stage == Stage::Trigger {
        abandon(environment, message, &reason).await?;
    }
    fail(environment, received, reason).await
}

/// Ends what has not begun of a trigger's runs. Nobody comes after us who could, so it is tried for some minutes.
async fn abandon(environment: &Environment, message: &Message, reason: &str) -> Result<()> {
    let mut delays = patience().build();
    loop {
        match trigger::abandon(environment, message, reason).boxed().await {
            Err(error) if error.is_retryable() => {
                let Some(delay) = delays.next() else { return Err(error) };
                tracing::warn!(retry_in_ms = delay.as_millis(), "{error:#}");
                tokio::time::sleep(delay).await;
            }
            done => return done,
        }
    }
}

/// About six minutes.
fn patience() -> ExponentialBuilder {
    ExponentialBuilder::default().with_max_delay(Duration::from_secs(60)).with_jitter().with_max_times(11)
}

/// Records the failure in the bucket and moves the run past it.
async fn fail(environment: &Environment, received: &Received, reason: String) -> Result<Fate> {
    tracing::error!("{reason}");
    if let Ok(job) = Job::parse(received.stage, &received.message.body)
        && let Some(Task { run, table }) = record_failure(environment, &job, &reason).await?
    {
        reconcile::table(environment, &run, &table, Event::Failed(job.stage(), job.segment())).await?;
    }
    Ok(Fate::Bury { reason })
}

/// The fate of a message whose run could not be told. It comes back for that; where it may not, a fresh copy does, if
/// what is wrong may pass. What is left to SQS comes to the dead-letter queue without a reason.
fn undecided(queue: &Queue, received: &Received, error: &Error) -> Fate {
    tracing::warn!("{error:#}");
    let message = &received.message;
    if !message.is_last_attempt(queue) {
        return Fate::GiveBack { delay: backoff(message.receives) };
    }
    let is_job = Job::parse(received.stage, &message.body).is_ok();
    if is_job && error.is_retryable() {
        Fate::SendAgain { delay: MAX_RETRY, why: format!("it could not be given up: {error:#}") }
    } else {
        Fate::Leave
    }
}

async fn is_done(environment: &Environment, received: &Received) -> Result<bool> {
    match Job::parse(received.stage, &received.message.body) {
        Ok(job) => job::is_done(environment, &job).await,
        Err(_) => Ok(false),
    }
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
