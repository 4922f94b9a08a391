//! Where everything lies in the bucket. Keys are derived, never stored.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::config::Compression;
use crate::error::{Error, Result};
use crate::table::TableName;

/// `<UTC time>-<8 hex>`: sorts by time, and is the same for a trigger message that is delivered twice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(String);

const RUN_TIME: &str = "%Y%m%dT%H%M%SZ";

impl RunId {
    /// The run of `source` that the trigger message `message_id`, sent at `sent_at`, asks for.
    pub fn derive(sent_at: Timestamp, message_id: &str, source: &str) -> Self {
        let time = sent_at.strftime(RUN_TIME);
        Self(format!("{time}-{}", Self::suffix(message_id, source)))
    }

    /// The hexadecimal end of the id, known to the sender of the trigger before SQS has stamped its time.
    pub fn suffix(message_id: &str, source: &str) -> String {
        let hash = blake3::hash(format!("{message_id}/{source}").as_bytes());
        hash.to_hex()[..8].to_owned()
    }

    /// A name that sorts before every run of `time` or later.
    pub fn floor(time: Timestamp) -> String {
        time.strftime(RUN_TIME).to_string()
    }

    pub fn parse(text: &str) -> Result<Self> {
        let legal = text.split_once('-').is_some_and(|(time, hex)| {
            // More spellings of a time can be read than the one that sorts.
            time_of(time).is_some_and(|at| Self::floor(at) == time)
                && hex.len() == 8
                && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        });
        if legal { Ok(Self(text.to_owned())) } else { Err(not_a_run(text)) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// When the run was triggered, to the second.
    pub fn time(&self) -> Timestamp {
        let time = self.0.split('-').next().and_then(time_of);
        time.expect("parse and derive make no other")
    }
}

/// The time that an id begins with; `None` also for one that is later than timestamps go.
fn time_of(text: &str) -> Option<Timestamp> {
    let civil = jiff::civil::DateTime::strptime(RUN_TIME, text).ok()?;
    TimeZone::UTC.to_timestamp(civil).ok()
}

fn not_a_run(text: &str) -> Error {
    Error::permanent(format!(
        "{text:?} is not the id of a run: one looks like 20260131T020000Z-1a2b3c4d, and `list` shows those there are"
    ))
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for RunId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<RunId> for String {
    fn from(run: RunId) -> Self {
        run.0
    }
}

/// The four stages; three of them leave markers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    Trigger,
    Export,
    Provision,
    Write,
}

impl Stage {
    /// A job of this stage, in words.
    pub fn job(self, segment: u32) -> String {
        match self {
            Self::Trigger | Self::Provision => self.to_string(),
            Self::Export | Self::Write => format!("{self} of segment {segment}"),
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trigger => "trigger",
            Self::Export => "export",
            Self::Provision => "provision",
            Self::Write => "write",
        })
    }
}

/// The keys of one archive: everything lies under its prefix.
#[derive(Clone, Debug)]
pub struct Layout {
    prefix: String,
}

impl Layout {
    /// `prefix` is empty or a path without a slash at either end.
    pub fn new(prefix: &str) -> Self {
        let prefix = prefix.trim_matches('/');
        Self { prefix: if prefix.is_empty() { String::new() } else { format!("{prefix}/") } }
    }

    pub fn runs(&self) -> String {
        format!("{}runs/", self.prefix)
    }

    pub fn run_folder(&self, run: &RunId) -> String {
        format!("{}{run}/", self.runs())
    }

    pub fn run(&self, run: &RunId) -> String {
        format!("{}run.json", self.run_folder(run))
    }

    /// Says that every table of the run has been planned and its first jobs sent.
    pub fn started(&self, run: &RunId) -> String {
        format!("{}started.json", self.run_folder(run))
    }

    /// Names the one run of a source that comes after `previous`, or is its first: whoever creates this object
    /// decides.
    pub fn next_run(&self, previous: Option<&RunId>, source: &str) -> String {
        match previous {
            Some(previous) => format!("{}next.json", self.run_folder(previous)),
            None => format!("{}first-{source}.json", self.runs()),
        }
    }

    pub fn report(&self, run: &RunId) -> String {
        format!("{}report.json", self.run_folder(run))
    }

    pub fn results(&self, run: &RunId) -> String {
        format!("{}results/", self.run_folder(run))
    }

    pub fn result(&self, run: &RunId, table: &TableName) -> String {
        format!("{}{table}.json", self.results(run))
    }

    pub fn table_folder(&self, run: &RunId, table: &TableName) -> TableFolder {
        let folder = format!("{}tables/{table}/", self.run_folder(run));
        TableFolder { export_id: export_id(run, table), folder }
    }
}

/// The keys of one table's backup.
#[derive(Clone, Debug)]
pub struct TableFolder {
    folder: String,
    export_id: String,
}

impl TableFolder {
    pub fn path(&self) -> &str {
        &self.folder
    }

    pub fn export_id(&self) -> &str {
        &self.export_id
    }

    pub fn table(&self) -> String {
        format!("{}table.json", self.folder)
    }

    fn export(&self) -> String {
        format!("{}AWSDynamoDB/{}/", self.folder, self.export_id)
    }

    pub fn started(&self) -> String {
        format!("{}_started", self.export())
    }

    pub fn manifest_files(&self) -> String {
        format!("{}manifest-files.json", self.export())
    }

    pub fn manifest_summary(&self) -> String {
        format!("{}manifest-summary.json", self.export())
    }

    /// Where all parts lie, and nothing else: ImportTable reads everything there.
    pub fn data(&self) -> String {
        format!("{}data/", self.export())
    }

    /// Where the parts of one segment lie, in order. The numbers are padded so that keys sort as they count.
    pub fn parts(&self, segment: u32) -> String {
        format!("{}{segment:05}-", self.data())
    }

    pub fn part(&self, segment: u32, part: u32, compression: Compression) -> String {
        format!("{}{part:05}.{}", self.parts(segment), compression.extension())
    }

    pub fn state(&self) -> String {
        format!("{}state/", self.folder)
    }

    pub fn exported(&self, segment: u32) -> String {
        format!("{}export/{segment:05}.json", self.state())
    }

    pub fn provisioned(&self) -> String {
        format!("{}provision.json", self.state())
    }

    pub fn written(&self, segment: u32) -> String {
        format!("{}write/{segment:05}.json", self.state())
    }

    /// Says that somebody has begun to write a segment, so that nobody enqueues it again.
    pub fn write_begun(&self, segment: u32) -> String {
        format!("{}write/{segment:05}-begun.json", self.state())
    }

    /// What an attempt at a segment has put that handed the rest over.
    pub fn handed_over(&self, segment: u32, attempt: &str) -> String {
        format!("{}write/{segment:05}-{attempt}.json", self.state())
    }

    /// Where [`Self::handed_over`] lies of every attempt at a segment, among others.
    pub fn write_attempts(&self, segment: u32) -> String {
        format!("{}write/{segment:05}-", self.state())
    }

    /// How a segment of the copy was at first, from one shard of the index on.
    pub fn first_look(&self, segment: u32, shard: usize) -> String {
        format!("{}write/{segment:05}-first-{shard:03}.json", self.state())
    }

    /// A list of the keys that the copy's segment has and the archived one has not, by the attempt that found them.
    /// It is no part of the state, which is listed often.
    pub fn extra_keys(&self, segment: u32, attempt: &str, list: u64) -> String {
        format!("{}differences/extra/{segment:05}-{attempt}-{list:05}.json", self.folder)
    }

    /// A list of the hashes of the keys that the copy's segment missed.
    pub fn missing_keys(&self, segment: u32, attempt: &str, list: u64) -> String {
        format!("{}differences/missing/{segment:05}-{attempt}-{list:05}.json", self.folder)
    }

    /// Whether the extra items of the copy are deleted.
    pub fn deletions(&self) -> String {
        format!("{}deletions.json", self.state())
    }

    pub fn deleted(&self, segment: u32) -> String {
        format!("{}delete/{segment:05}.json", self.state())
    }

    /// Says that the deletions of the table are enqueued.
    pub fn deletes_enqueued(&self) -> String {
        format!("{}delete/enqueued.json", self.state())
    }

    /// Says that somebody has begun to delete the extra items of a segment.
    pub fn delete_begun(&self, segment: u32) -> String {
        format!("{}delete/{segment:05}-begun.json", self.state())
    }

    /// Says that the extra items of one list are deleted. It is no part of the state, which is listed often.
    pub fn deleted_list(&self, segment: u32, list: u64) -> String {
        format!("{}differences/deleted/{segment:05}-{list:05}.json", self.folder)
    }

    pub fn failed_items(&self, segment: u32, attempt: &str) -> String {
        format!("{}failed-items/{segment:05}-{attempt}.json", self.state())
    }

    pub fn failed(&self, stage: Stage, segment: u32) -> String {
        format!("{}failed/{stage}-{segment:05}.json", self.state())
    }

    /// Says that the last attempt at a job is about to begin.
    pub fn last_attempt(&self, stage: Stage, segment: u32) -> String {
        format!("{}last-attempt/{stage}-{segment:05}.json", self.state())
    }
}

/// DynamoDB's form of an export id: 13 digits of milliseconds, a dash, 8 hexadecimal digits.
fn export_id(run: &RunId, table: &TableName) -> String {
    let hash = blake3::hash(format!("{run}/{table}").as_bytes());
    format!("{:013}-{}", run.time().as_millisecond(), &hash.to_hex()[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> RunId {
        RunId::parse("20260131T020000Z-1a2b3c4d").expect("a run id")
    }

    fn orders() -> TableName {
        TableName::parse("orders").expect("a table name")
    }

    #[test]
    fn a_redelivered_trigger_is_the_same_run_and_another_source_is_another_run() {
        let sent_at = Timestamp::from_millisecond(1_769_824_800_123).expect("in range");
        let run = RunId::derive(sent_at, "message", "default");
        assert_eq!(run, RunId::derive(sent_at, "message", "default"));
        assert_ne!(run, RunId::derive(sent_at, "message", "other"));
        assert!(run.as_str().starts_with("20260131T020000Z-"), "{run}");
        assert!(run.as_str().ends_with(&RunId::suffix("message", "default")));
        assert_eq!(RunId::parse(run.as_str()).expect("legal"), run);
        assert_eq!(run.time().as_millisecond(), 1_769_824_800_000);
    }

    #[test]
    fn text_that_is_not_a_run_id_is_refused_by_name() {
        for text in [
            "",
            "latest",
            "20260131T020000Z-1A2B3C4D",
            "20261331T020000Z-1a2b3c4d",
            "../x-12345678",
            "99991231T235959Z-1a2b3c4d",
            "+20260131T020000Z-1a2b3c4d",
            "20260131T020060Z-1a2b3c4d",
            "20260131T2000Z-1a2b3c4d",
            " 20260131T020000Z-1a2b3c4d",
        ] {
            let error = RunId::parse(text).expect_err("not a run id");
            assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
        }
    }

    #[test]
    fn the_keys_are_those_of_the_documented_layout() {
        let layout = Layout::new("/backups/");
        let folder = layout.table_folder(&run(), &orders());
        let keys = [
            layout.run(&run()),
            layout.result(&run(), &orders()),
            folder.table(),
            folder.part(3, 12, Compression::Zstd(1)),
            folder.manifest_summary(),
            folder.exported(3),
            folder.failed(Stage::Write, 3),
        ];
        let export_id = folder.export_id();
        let base = "backups/runs/20260131T020000Z-1a2b3c4d";
        let expected = [
            format!("{base}/run.json"),
            format!("{base}/results/orders.json"),
            format!("{base}/tables/orders/table.json"),
            format!("{base}/tables/orders/AWSDynamoDB/{export_id}/data/00003-00012.json.zst"),
            format!("{base}/tables/orders/AWSDynamoDB/{export_id}/manifest-summary.json"),
            format!("{base}/tables/orders/state/export/00003.json"),
            format!("{base}/tables/orders/state/failed/write-00003.json"),
        ];
        assert_eq!(keys, expected);
    }

    #[test]
    fn an_export_id_has_dynamodbs_form() {
        let layout = Layout::new("");
        let id = layout.table_folder(&run(), &orders()).export_id().to_owned();
        let (milliseconds, hex) = id.split_once('-').expect("a dash");
        assert_eq!(milliseconds, "1769824800000");
        assert!(hex.len() == 8 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    }
}
