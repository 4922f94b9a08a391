//! What the queues carry: names only. Everything else comes from the bucket, where it never changes, so a
//! forged message cannot point the worker at another table or bucket.

mod trigger;

use serde::{Deserialize, Serialize};

pub use self::trigger::Trigger;
use crate::archive::layout::{RunId, Stage};
use crate::error::{Error, Result};
use crate::item::is_object;
use crate::table::TableName;

/// Version of the job messages; one of another version goes to the dead-letter queue.
const MESSAGE_VERSION: u32 = 1;

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
        if !is_object(body.as_bytes()) {
            return Err(Error::permanent(format!(
                "the {stage} message is malformed: it is not a JSON object"
            )));
        }
        let job = match stage {
            Stage::Provision => Self::Provision(serde_json::from_str(body).map_err(malformed)?),
            Stage::Write => Self::Write(serde_json::from_str(body).map_err(malformed)?),
            Stage::Export => Self::Export(serde_json::from_str(body).map_err(malformed)?),
            Stage::Trigger => return Err(Error::permanent("a trigger is no job of a table")),
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
            (r#"[1,"20260131T020000Z-1a2b3c4d","orders",0]"#, "malformed"),
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
