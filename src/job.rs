//! The four stages: what is done for a message, and what becomes of it.

mod export;
mod provision;
pub mod trigger;
mod write;

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::archive::record::{Run, Table};
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::message::Job;
use crate::reconcile;

/// What became of a job that did not fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The work is done and what follows from it is enqueued: the message is deleted.
    Done,
    /// Not yet, given way, or handing over: a fresh copy of the message is sent with this delay, then it is
    /// deleted. SQS counts receives, and waiting is not failing.
    Again { delay: Duration, why: String },
}

impl Outcome {
    pub fn again(delay: Duration, why: impl Into<String>) -> Self {
        Self::Again { delay, why: why.into() }
    }
}

/// What holds while a job runs.
#[derive(Clone, Debug)]
pub struct Lease {
    stopped: CancellationToken,
}

impl Lease {
    /// `stopped` is cancelled on shutdown, and when the message no longer belongs to this worker.
    pub fn new(stopped: CancellationToken) -> Self {
        Self { stopped }
    }

    pub fn is_over(&self) -> bool {
        self.stopped.is_cancelled()
    }

    /// Interrupted when the job has to stop.
    pub fn check(&self) -> Result<()> {
        if self.is_over() { Err(stopped()) } else { Ok(()) }
    }

    /// Runs `work`, which may be dropped at any point, unless and until the job has to stop.
    pub async fn run<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let done = self.stopped.run_until_cancelled(work).await;
        done.unwrap_or_else(|| Err(stopped()))
    }
}

fn stopped() -> Error {
    Error::interrupted("stopped before the job was done")
}

/// Does the work a message asks for, and enqueues what follows from it.
pub async fn work(environment: &Environment, job: &Job, lease: &Lease) -> Result<Outcome> {
    let Some(task) = Task::find(environment, job).await? else { return Ok(Outcome::Done) };
    match job {
        Job::Export(job) => export::run(environment, lease, &task, job.segment).await,
        Job::Provision(_) => provision::run(environment, &task).await,
        Job::Write(job) => write::run(environment, lease, &task, job.segment).await,
    }
}

/// Whether nothing is left of a job but to move its run on.
///
/// # Errors
/// Permanent when there is no such run, table or segment.
pub async fn is_done(environment: &Environment, job: &Job) -> Result<bool> {
    let Some(Task { run, table }) = Task::find(environment, job).await? else { return Ok(true) };
    let state = environment.archive.state(&run.run, &table.name).await?;
    Ok(state.is_done(job.stage(), job.segment()))
}

/// Tells the objects of one attempt at a job from those of another.
fn attempt_id() -> String {
    format!("{:016x}", RandomState::new().hash_one(Timestamp::now().as_nanosecond()))
}

/// Whether this may be what [`attempt_id`] gave.
fn is_attempt_id(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What a job is about, read from the bucket.
#[derive(Clone, Debug)]
pub struct Task {
    pub run: Arc<Run>,
    pub table: Arc<Table>,
}

impl Task {
    /// What a job is about, or `None` when there is no such run, table or segment.
    pub async fn of(environment: &Environment, job: &Job) -> Result<Option<Self>> {
        let Some(run) = environment.archive.run(job.run()).await? else { return Ok(None) };
        let Some(table) = environment.archive.table(job.run(), job.table()).await? else { return Ok(None) };
        Ok((job.segment() < table.plan.segments).then_some(Self { run, table }))
    }

    /// Looks up run and table; `None` when one of them is over, so that there is nothing left to do.
    ///
    /// # Errors
    /// Permanent when the run, the table or the segment does not exist.
    async fn find(environment: &Environment, job: &Job) -> Result<Option<Self>> {
        let archive = &environment.archive;
        let run = archive.run(job.run()).await?.ok_or_else(|| {
            Error::permanent(format!("run {} does not exist in bucket {}", job.run(), archive.bucket_name()))
        })?;
        let table = archive.table(job.run(), job.table()).await?.ok_or_else(|| {
            Error::permanent(format!("table {} is not part of run {}", job.table(), job.run()))
        })?;
        if job.segment() >= table.plan.segments {
            return Err(Error::permanent(format!(
                "table {} has {} segments: there is no segment {}",
                job.table(),
                table.plan.segments,
                job.segment()
            )));
        }
        let layout = archive.layout();
        let over = archive.exists(&layout.result(job.run(), job.table())).await?
            || archive.exists(&layout.report(job.run())).await?;
        if over {
            // A worker may have died between the result and the report.
            reconcile::finish_run(environment, &run).await?;
            return Ok(None);
        }
        Ok(Some(Self { run, table }))
    }
}
