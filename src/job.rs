//! The four stages: what a message asks for, and what becomes of it.
//!
//! Jobs carry names only. Everything else comes from the bucket, where it never changes, so a forged message
//! cannot point the worker at another table or bucket.

pub mod environment;
pub mod export;
pub mod provision;
mod target;
pub mod trigger;
pub mod write;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

pub use self::environment::Environment;
use crate::archive::layout::{RunId, Stage};
use crate::archive::record::{Run, Table};
use crate::error::{Error, Result};
use crate::table::TableName;

/// Version of the job messages; one of another version goes to the dead-letter queue.
const MESSAGE_VERSION: u32 = 1;

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
        if self.is_over() { Err(Error::interrupted("stopped before the job was done")) } else { Ok(()) }
    }

    /// Waits, or is interrupted.
    pub async fn sleep(&self, duration: Duration) -> Result<()> {
        let sleep = self.stopped.run_until_cancelled(tokio::time::sleep(duration)).await;
        sleep.ok_or_else(|| Error::interrupted("stopped while waiting to try again"))
    }
}

/// One segment of one table: the message of the export and write queues.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentJob {
    version: u32,
    pub run: RunId,
    pub table: TableName,
    pub segment: u32,
}

/// One table: the message of the provision queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableJob {
    version: u32,
    pub run: RunId,
    pub table: TableName,
}

impl SegmentJob {
    pub fn new(run: &RunId, table: &TableName, segment: u32) -> Self {
        Self { version: MESSAGE_VERSION, run: run.clone(), table: table.clone(), segment }
    }
}

impl TableJob {
    pub fn new(run: &RunId, table: &TableName) -> Self {
        Self { version: MESSAGE_VERSION, run: run.clone(), table: table.clone() }
    }
}

/// A message of one of the three job queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Job {
    Export(SegmentJob),
    Provision(TableJob),
    Write(SegmentJob),
}

impl Job {
    /// Reads a message of `stage`'s queue.
    ///
    /// # Errors
    /// Permanent when it is malformed, has fields we do not know, or another version.
    pub fn parse(stage: Stage, body: &str) -> Result<Self> {
        let malformed = |error: serde_json::Error| {
            Error::permanent(format!("the {stage} message is malformed")).with_source(error)
        };
        let job = match stage {
            Stage::Provision => Self::Provision(serde_json::from_str(body).map_err(malformed)?),
            Stage::Write => Self::Write(serde_json::from_str(body).map_err(malformed)?),
            Stage::Export | Stage::Trigger => Self::Export(serde_json::from_str(body).map_err(malformed)?),
        };
        match job.version() {
            MESSAGE_VERSION => Ok(job),
            other => Err(Error::permanent(format!(
                "the {stage} message has version {other}, and this program knows version {MESSAGE_VERSION}"
            ))),
        }
    }

    fn version(&self) -> u32 {
        match self {
            Self::Export(job) | Self::Write(job) => job.version,
            Self::Provision(job) => job.version,
        }
    }

    pub fn stage(&self) -> Stage {
        match self {
            Self::Export(_) => Stage::Export,
            Self::Provision(_) => Stage::Provision,
            Self::Write(_) => Stage::Write,
        }
    }

    pub fn run(&self) -> &RunId {
        match self {
            Self::Export(job) | Self::Write(job) => &job.run,
            Self::Provision(job) => &job.run,
        }
    }

    pub fn table(&self) -> &TableName {
        match self {
            Self::Export(job) | Self::Write(job) => &job.table,
            Self::Provision(job) => &job.table,
        }
    }

    /// The segment; a provision job has one only in the names of its markers.
    pub fn segment(&self) -> u32 {
        match self {
            Self::Export(job) | Self::Write(job) => job.segment,
            Self::Provision(_) => 0,
        }
    }

    pub fn body(&self) -> String {
        let body = match self {
            Self::Export(job) | Self::Write(job) => serde_json::to_string(job),
            Self::Provision(job) => serde_json::to_string(job),
        };
        body.expect("messages are plain data with string keys")
    }

    /// Does the work, and enqueues what follows from it.
    pub async fn work(&self, environment: &Environment, lease: &Lease) -> Result<Outcome> {
        let Some(task) = Task::find(environment, self).await? else { return Ok(Outcome::Done) };
        match self {
            Self::Export(job) => export::run(environment, lease, &task, job.segment).await,
            Self::Provision(_) => provision::run(environment, &task).await,
            Self::Write(job) => write::run(environment, lease, &task, job.segment).await,
        }
    }
}

/// What a job is about, read from the bucket.
#[derive(Clone, Debug)]
pub struct Task {
    pub run: Arc<Run>,
    pub table: Arc<Table>,
}

impl Task {
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
            crate::reconcile::finish_run(environment, &run).await?;
            return Ok(None);
        }
        Ok(Some(Self { run, table }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_reads_back_from_its_message() {
        let run = RunId::parse("20260131T020000Z-1a2b3c4d").expect("a run id");
        let table = TableName::parse("orders").expect("a table name");
        for job in [
            Job::Export(SegmentJob::new(&run, &table, 3)),
            Job::Write(SegmentJob::new(&run, &table, 0)),
            Job::Provision(TableJob::new(&run, &table)),
        ] {
            assert_eq!(Job::parse(job.stage(), &job.body()).expect("reads"), job);
        }
    }

    #[test]
    fn unknown_fields_versions_and_names_are_refused() {
        let refused = [
            ("", "malformed"),
            ("{}", "malformed"),
            (r#"{"version":2,"run":"20260131T020000Z-1a2b3c4d","table":"orders","segment":0}"#, "version 2"),
            (r#"{"version":1,"run":"20260131T020000Z-1a2b3c4d","table":"a/b","segment":0}"#, "a/b"),
            (r#"{"version":1,"run":"../other","table":"orders","segment":0}"#, "../other"),
            (r#"{"version":1,"run":"20260131T020000Z-1a2b3c4d","table":"orders","segment":-1}"#, "malformed"),
            (
                r#"{"version":1,"run":"20260131T020000Z-1a2b3c4d","table":"orders","segment":0,"bucket":"x"}"#,
                "bucket",
            ),
        ];
        for (body, expected) in refused {
            let error = Job::parse(Stage::Export, body).expect_err("refused");
            assert_eq!(error.kind(), crate::error::Kind::Permanent);
            assert!(format!("{error:#}").contains(expected), "{error:#}");
        }
    }
}
