//! The objects that say what a run is, what each table in it is, and what became of them.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::layout::RunId;
use super::marker::{Provision, Window};
use crate::config::Compression;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::schema::TableDefinition;
use crate::schema::settings::TableSettings;
use crate::table::{Selection, TableName};

/// `run.json`: what was asked, and what was found. Never changes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    pub version: u32,
    pub run: RunId,
    pub tool_version: String,
    pub source: Source,
    pub backup: Account,
    pub requested: Selection,
    pub consistent_read: bool,
    /// The share of a copy, in per cent, of which no more may be deleted or changed; 100 is no limit.
    #[serde(default)]
    pub suspect_above: u8,
    pub planned_at: Timestamp,
    /// The selected tables, by name.
    pub tables: Vec<TableName>,
    /// Set when the run was over before it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
}

/// Why a run was over before it began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    pub outcome: Outcome,
    pub reason: String,
}

/// The account and region a run backs up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    pub name: String,
    pub role_arn: String,
    #[serde(flatten)]
    pub account: Account,
}

/// One account in one region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub account_id: String,
    pub region: String,
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.account_id, self.region)
    }
}

/// `table.json`, as it lies in the bucket: the definition is DynamoDB's own JSON, whole.
#[derive(Debug, Serialize, Deserialize)]
pub struct TableRecord {
    pub version: u32,
    pub table: TableName,
    pub target: TableName,
    pub plan: Plan,
    pub compression: Compression,
    pub described_at: Timestamp,
    /// None of a backup that was made before they were captured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<TableSettings>,
    pub definition: Box<RawValue>,
}

/// [`TableRecord`] with its definition read, and without its settings, which workers do not need.
#[derive(Clone, Debug)]
pub struct Table {
    pub name: TableName,
    pub target: TableName,
    pub plan: Plan,
    pub compression: Compression,
    pub described_at: Timestamp,
    pub definition: TableDefinition,
}

impl TryFrom<TableRecord> for Table {
    type Error = Error;

    fn try_from(record: TableRecord) -> Result<Self> {
        if let Some(fault) = record.plan.fault() {
            return Err(Error::permanent(format!("the plan of table {} {fault}", record.table)));
        }
        let definition = serde_json::from_str(record.definition.get()).map_err(|error| {
            Error::permanent(format!("read the definition of table {}", record.table)).with_source(error)
        })?;
        Ok(Self {
            name: record.table,
            target: record.target,
            plan: record.plan,
            compression: record.compression,
            described_at: record.described_at,
            definition,
        })
    }
}

/// What became of a table or a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Archived, and the live copy has every item of the archive and no other.
    Complete,
    /// Archived, but not wholly in the live copy (a table); not all tables complete (a run).
    Partial,
    /// Not archived.
    Failed,
    /// Not attempted: the table could not be backed up now, or another run was going on.
    Skipped,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        })
    }
}

/// `results/<table>.json`: the outcome of one table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TableResult {
    pub table: TableName,
    pub outcome: Outcome,
    /// Why the outcome is not complete, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    #[serde(default)]
    pub items_exported: u64,
    /// Items put into the copy, changed ones included.
    #[serde(default)]
    pub items_put: u64,
    /// Items that the copy had as they were archived.
    #[serde(default)]
    pub items_unchanged: u64,
    /// Items deleted from the copy, because the source no longer has them.
    #[serde(default)]
    pub items_deleted: u64,
    /// Items that the copy has and the archive has not, and that were kept.
    #[serde(default)]
    pub items_extra: u64,
    #[serde(default)]
    pub items_failed: u64,
    /// Whether so much would have been deleted or changed that nothing was deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspect: bool,
    /// Of the archived items, as they were read back for the copy.
    #[serde(default)]
    pub digest: Digest,
    #[serde(default)]
    pub parts: u64,
    /// Compressed size of the parts.
    #[serde(default)]
    pub archive_bytes: u64,
    #[serde(default)]
    pub read_units: f64,
    /// Read units spent on the copy, to compare it.
    #[serde(default)]
    pub copy_read_units: f64,
    /// Write units spent on the copy, indexes included.
    #[serde(default)]
    pub write_units: f64,
    /// The write units of putting every archived item, indexes not counted.
    #[serde(default)]
    pub rewrite_units: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan: Option<Window>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provision: Option<Provision>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<String>,
    pub finished_at: Timestamp,
}

impl TableResult {
    /// The result of a table of which nothing was done.
    pub fn empty(table: TableName, outcome: Outcome, reason: String) -> Self {
        Self {
            table,
            outcome,
            reasons: vec![reason],
            items_exported: 0,
            items_put: 0,
            items_unchanged: 0,
            items_deleted: 0,
            items_extra: 0,
            items_failed: 0,
            suspect: false,
            digest: Digest::default(),
            parts: 0,
            archive_bytes: 0,
            read_units: 0.0,
            copy_read_units: 0.0,
            write_units: 0.0,
            rewrite_units: 0,
            scan: None,
            provision: None,
            drift: Vec::new(),
            finished_at: Timestamp::now(),
        }
    }
}

/// `report.json`: the outcome of a run. Its existence is what ends the run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    pub run: RunId,
    pub source: String,
    pub outcome: Outcome,
    /// Why the run as a whole failed or was skipped, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What is to be done, in words, where it is neither complete nor skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_do: Option<String>,
    pub finished_at: Timestamp,
    /// What is new, gone or changed in the source; none where no earlier run is there to compare with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<Inventory>,
    pub tables: Vec<TableResult>,
}

/// The tables of a source, compared with those of an earlier run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// The last complete run of every table of the source.
    pub since: RunId,
    pub new: Vec<TableName>,
    /// That are no longer there, or no longer selected by the source's configuration.
    pub gone: Vec<TableName>,
    pub changed: Vec<ChangedTable>,
}

/// A table that is not what it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedTable {
    pub table: TableName,
    /// In words.
    pub changes: Vec<String>,
}

impl Report {
    /// The report of a run of which every table has its result.
    pub fn of(run: &Run, tables: Vec<TableResult>) -> Self {
        let all = |outcome| tables.iter().all(|table| table.outcome == outcome);
        let archived = |table: &TableResult| matches!(table.outcome, Outcome::Complete | Outcome::Partial);
        let (outcome, reason) = if tables.is_empty() {
            (Outcome::Failed, Some("no table of the source is selected".to_owned()))
        } else if all(Outcome::Complete) {
            (Outcome::Complete, None)
        } else if tables.iter().any(archived) {
            (Outcome::Partial, None)
        } else {
            (Outcome::Failed, Some("no table could be backed up".to_owned()))
        };
        Self::new(run, outcome, reason, tables)
    }

    /// The report of a run that ended before its tables did.
    pub fn ended(run: &Run, outcome: Outcome, reason: String, tables: Vec<TableResult>) -> Self {
        Self::new(run, outcome, Some(reason), tables)
    }

    fn new(run: &Run, outcome: Outcome, reason: Option<String>, tables: Vec<TableResult>) -> Self {
        let mut report = Self {
            run: run.run.clone(),
            source: run.source.name.clone(),
            outcome,
            reason,
            to_do: None,
            finished_at: Timestamp::now(),
            inventory: None,
            tables,
        };
        report.to_do = report.advice();
        report
    }

    /// The tables that are not complete.
    pub fn incomplete(&self) -> impl Iterator<Item = &TableName> {
        let incomplete = self.tables.iter().filter(|table| table.outcome != Outcome::Complete);
        incomplete.map(|result| &result.table)
    }

    fn advice(&self) -> Option<String> {
        if !matches!(self.outcome, Outcome::Partial | Outcome::Failed) {
            return None;
        }
        let suspects: Vec<&TableName> =
            self.tables.iter().filter(|table| table.suspect).map(|result| &result.table).collect();
        let others = self.incomplete().count() - suspects.len();
        let mut advice = Vec::new();
        if others > 0 || suspects.is_empty() {
            let (run, what) = (
                &self.run,
                match others {
                    0 => "all that was asked for".to_owned(),
                    1 => "the table that is not complete".to_owned(),
                    tables => format!("the {tables} tables that are not complete"),
                },
            );
            advice.push(format!(
                "mend what is wrong, then `dynamodb-backup resume {run}` backs up {what}, by a run of its own"
            ));
        }
        if !suspects.is_empty() {
            let tables: String = suspects.iter().map(|table| format!(" --table {table}")).collect();
            let source = &self.source;
            advice.push(format!(
                "find out who changed what is suspect; if it was meant, \
                 `dynamodb-backup run --source {source}{tables} --accept-changes` follows it"
            ));
        }
        Some(advice.join("; "))
    }
}
