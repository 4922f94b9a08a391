//! The worker: four queues, a bounded number of jobs of each kind, and what becomes of their messages.
//!
//! A free slot comes first, then the message to fill it: nothing is ever received that cannot be started.

mod heartbeat;
mod settle;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span};

use self::heartbeat::Heartbeat;
use self::settle::Received;
use crate::archive::layout::Stage;
use crate::aws::sqs::{MAX_BATCH, Message, Queue};
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::job::{self, Lease, Outcome};
use crate::message::Job;

/// The pause after a receive that failed, so that a broken network is not hammered.
const RECEIVE_PAUSE: Duration = Duration::from_secs(5);

/// Works on the four queues until `stop`, then lets the running jobs come to their next stop and gives their
/// messages back.
///
/// A receive waits up to `long_poll` for a message, and stopping takes up to as long: one that was given up
/// would still be under way in SQS, and take its message to nobody until the visibility timeout ends.
pub async fn work(environment: Arc<Environment>, long_poll: Duration, stop: CancellationToken) {
    let limits = environment.config.concurrency;
    let pollers = TaskTracker::new();
    for (stage, slots) in [
        (Stage::Trigger, limits.trigger),
        (Stage::Provision, limits.provision),
        (Stage::Export, limits.export),
        (Stage::Write, limits.write),
    ] {
        pollers.spawn(poll(Arc::clone(&environment), stage, slots, long_poll, stop.clone()));
    }
    pollers.close();
    pollers.wait().await;
}

/// Polls one queue, and returns when its last job has settled.
async fn poll(
    environment: Arc<Environment>,
    stage: Stage,
    slots: usize,
    long_poll: Duration,
    stop: CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(slots));
    let jobs = TaskTracker::new();
    while let Some(permits) = free_slots(&slots, &stop).await {
        let queue = environment.queues.of(stage);
        let messages = receive(&environment, queue, permits.len(), long_poll, &stop).await;
        for (message, permit) in messages.into_iter().zip(permits) {
            let job = process(Arc::clone(&environment), stage, message, stop.child_token());
            jobs.spawn(async move {
                job.await;
                drop(permit);
            });
        }
    }
    jobs.close();
    jobs.wait().await;
}

/// Waits for one free slot and takes those that are free besides; `None` on shutdown.
async fn free_slots(slots: &Arc<Semaphore>, stop: &CancellationToken) -> Option<Vec<OwnedSemaphorePermit>> {
    let first = stop.run_until_cancelled(Arc::clone(slots).acquire_owned()).await?;
    let mut permits = vec![first.expect("the semaphore is never closed")];
    while permits.len() < MAX_BATCH {
        let Ok(permit) = Arc::clone(slots).try_acquire_owned() else { break };
        permits.push(permit);
    }
    Some(permits)
}

async fn receive(
    environment: &Environment,
    queue: &Queue,
    max: usize,
    wait: Duration,
    stop: &CancellationToken,
) -> Vec<Message> {
    let received = queue.receive(max, wait, environment.config.visibility_timeout).await;
    match received {
        Ok(messages) => messages,
        Err(error) => {
            tracing::warn!(queue.name = queue.name(), "{error:#}");
            stop.run_until_cancelled(tokio::time::sleep(RECEIVE_PAUSE)).await;
            Vec::new()
        }
    }
}

/// Works on one message while its heartbeat keeps it ours, then settles it: whatever comes of it, there is nothing
/// to be told to the caller.
pub async fn process(environment: Arc<Environment>, stage: Stage, message: Message, stop: CancellationToken) {
    let span = job_span(stage, &message);
    let visibility = environment.config.visibility_timeout;
    let heartbeat =
        Heartbeat::start(environment.queues.of(stage).clone(), message.clone(), visibility, stop.clone());
    let (received, began) = (Received { stage, message }, Instant::now());
    let lease = Lease::new(stop);
    // In a task of its own, so that a panic is this job's failure and nobody else's.
    let working = tokio::spawn({
        let (environment, received, lease) = (Arc::clone(&environment), received.clone(), lease.clone());
        async move { work_on(&environment, &received, &lease).await }.instrument(span.clone())
    });
    let outcome = working
        .await
        .unwrap_or_else(|panic| Err(Error::retryable("the job ended in a panic").with_source(panic)));
    let queue = environment.queues.of(stage);
    let decided = if heartbeat.is_held() {
        Some(settle::decide(&environment, &received, outcome).boxed().instrument(span.clone()).await)
    } else {
        None
    };
    let still_ours = heartbeat.stop().await;
    let fate = decided.filter(|_| still_ours).unwrap_or_else(|| settle::lost(queue, &received));
    environment.metrics.job_ended(stage, fate.end(), began.elapsed());
    settle::settle(queue, &received.message, fate).instrument(span).await;
}

/// Names the job in every line that is logged while it runs.
fn job_span(stage: Stage, message: &Message) -> Span {
    let (id, receives) = (&message.id, message.receives);
    match Job::parse(stage, &message.body) {
        Ok(job) => tracing::info_span!(
            "job", %stage, run.id = %job.run(), table.name = %job.table(), segment = job.segment(),
            message.id = id, receives
        ),
        Err(_) => tracing::info_span!("job", %stage, message.id = id, receives),
    }
}

async fn work_on(environment: &Environment, received: &Received, lease: &Lease) -> Result<Outcome> {
    let (message, queue) = (&received.message, environment.queues.of(received.stage));
    let is_left_over = message.is_past_attempts(queue);
    if received.stage == Stage::Trigger {
        if is_left_over && !job::trigger::has_started(environment, message).await? {
            return Err(settle::came_to_no_end());
        }
        return job::trigger::run(environment, lease, message).boxed().await;
    }
    let job = Job::parse(received.stage, &message.body)?;
    // Of one that is done, nothing is left but to move its run on.
    if is_left_over && !job::is_done(environment, &job).await? {
        return Err(settle::came_to_no_end());
    }
    if message.is_last_attempt(queue) {
        settle::record_last_attempt(environment, &job, message.receives).await?;
    }
    job::work(environment, &job, lease).await
}
