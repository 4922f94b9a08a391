//! Whether source, archive and copy hold the same items, by plain code that shares nothing with the program.

use std::collections::BTreeMap;
use std::io::Read;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use loopback_aws::{BACKUP_ACCOUNT, BUCKET, BucketView, Loopback, SOURCE_ACCOUNT};
use md5::{Digest, Md5};
use serde_json::Value;

use crate::tables::{self, Items};

pub(crate) const QUEUES: [&str; 4] = ["trigger", "export", "provision", "write"];

/// What was found after a run that should be complete.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings {
    /// Items of the source.
    pub(crate) items: u64,
    /// Of those, how many the archive or the copy does not have as they are.
    pub(crate) lost: u64,
    /// Items that the archive has more than once, or that only the archive or the copy has.
    pub(crate) doubled: u64,
    /// Objects that were written more than once, or deleted.
    pub(crate) mutated_objects: u64,
    pub(crate) messages_left: u64,
    pub(crate) dead_letters: u64,
    /// Parts that no manifest lists: they are outside the backup.
    pub(crate) stray_parts: u64,
    /// Whatever is not as it should be, in words.
    pub(crate) wrong: Vec<String>,
}

/// Messages in the four queues, seen or not.
pub(crate) fn messages_left(aws: &Loopback) -> usize {
    let queues = QUEUES.map(|name| aws.queue(BACKUP_ACCOUNT, &format!("dynamodb-backup-{name}")));
    queues.iter().map(|queue| queue.visible() + queue.in_flight() + queue.delayed()).sum()
}

/// What lies in the dead-letter queues.
pub(crate) fn dead_letters(aws: &Loopback) -> Vec<String> {
    let of_queue = |name: &str| {
        let letters = aws.queue(BACKUP_ACCOUNT, &format!("dynamodb-backup-{name}-dlq")).messages();
        letters.into_iter().map(|letter| format!("dead letter of {name}: {letter:?}")).collect::<Vec<_>>()
    };
    QUEUES.into_iter().flat_map(of_queue).collect()
}

/// The keys of the reports, oldest run first.
pub(crate) fn reports(aws: &Loopback) -> Vec<String> {
    aws.bucket(BUCKET).keys().into_iter().filter(|key| key.ends_with("/report.json")).collect()
}

impl Findings {
    /// Looks at everything a run has left.
    ///
    /// # Errors
    /// What is there cannot even be read.
    pub(crate) fn after(aws: &Loopback, run: &str) -> Result<Self> {
        let mut findings = Self::default();
        let bucket = aws.bucket(BUCKET);
        findings.look_at_report(&bucket, run)?;
        for table in tables::names(aws, SOURCE_ACCOUNT)? {
            let source = canonical(Items::of(aws, SOURCE_ACCOUNT, &table)?.items);
            let copy = canonical(Items::of(aws, BACKUP_ACCOUNT, &table)?.items);
            let archive =
                findings.archived(&bucket, run, &table).with_context(|| format!("archive of {table}"))?;
            findings.items += source.values().sum::<u64>();
            findings.compare(&format!("archive of {table}"), &source, &canonical(archive));
            findings.compare(&format!("copy of {table}"), &source, &copy);
        }
        findings.look_at_objects(&bucket);
        findings.look_at_queues(aws);
        Ok(findings)
    }

    fn look_at_report(&mut self, bucket: &BucketView, run: &str) -> Result<()> {
        let report: Value = json(bucket, &format!("runs/{run}/report.json"))?;
        if report["outcome"] != "complete" {
            self.wrong.push(format!("the report says {}: {report}", report["outcome"]));
        }
        Ok(())
    }

    /// The items that a run has archived of a table, by its manifest; checksums are verified.
    fn archived(&mut self, bucket: &BucketView, run: &str, table: &str) -> Result<Vec<Value>> {
        let prefix = format!("runs/{run}/tables/{table}/AWSDynamoDB/");
        let keys: Vec<String> = bucket.keys().into_iter().filter(|key| key.starts_with(&prefix)).collect();
        let summary_key =
            keys.iter().find(|key| key.ends_with("manifest-summary.json")).context("no manifest")?;
        let summary: Value = json(bucket, summary_key)?;
        let files_key = summary["manifestFilesS3Key"].as_str().context("no list of files")?;
        for key in [summary_key, files_key] {
            let checksum = format!("{}.md5", key.trim_end_matches(".json"));
            let checksum = bucket.get(&checksum).context("no checksum of the manifest")?;
            ensure!(
                checksum == BASE64.encode(Md5::digest(get(bucket, key)?)),
                "{key} is not what its MD5 says"
            );
        }
        let files = String::from_utf8(get(bucket, files_key)?.to_vec())?;
        let (mut items, mut listed) = (Vec::new(), 0);
        for file in files.lines() {
            let file: Value = serde_json::from_str(file)?;
            let of_part = part(bucket, &file)?;
            ensure!(file["itemCount"] == of_part.len(), "{file} holds {} items", of_part.len());
            items.extend(of_part);
            listed += 1;
        }
        ensure!(summary["itemCount"] == items.len(), "{summary} with {} items", items.len());
        self.stray_parts += (keys.iter().filter(|key| key.contains("/data/")).count() - listed) as u64;
        Ok(items)
    }

    fn compare(&mut self, where_: &str, source: &Counted, other: &Counted) {
        for (item, count) in source {
            let found = other.get(item).copied().unwrap_or_default();
            if found < *count {
                self.lost += count - found;
                self.wrong.push(format!("{where_} lacks {}", short(item)));
            }
        }
        for (item, count) in other {
            let expected = source.get(item).copied().unwrap_or_default();
            if expected < *count {
                self.doubled += count - expected;
                self.wrong.push(format!("{where_} has {count} instead of {expected} of {}", short(item)));
            }
        }
    }

    fn look_at_objects(&mut self, bucket: &BucketView) {
        for key in bucket.overwritten() {
            self.mutated_objects += 1;
            self.wrong.push(format!("{key} was written {} times, or deleted", bucket.writes(&key)));
        }
    }

    fn look_at_queues(&mut self, aws: &Loopback) {
        self.messages_left = messages_left(aws) as u64;
        if self.messages_left > 0 {
            self.wrong.push(format!("{} messages are left", self.messages_left));
        }
        let dead = dead_letters(aws);
        self.dead_letters = dead.len() as u64;
        self.wrong.extend(dead);
    }
}

/// Items as text, each with how often it is there.
type Counted = BTreeMap<String, u64>;

/// Two lists of items have the same canonical form if and only if they hold the same items, each as often. Sets have
/// no order.
fn canonical(items: Vec<Value>) -> Counted {
    let mut counted = Counted::new();
    for mut item in items {
        item.as_object_mut().into_iter().flat_map(|item| item.values_mut()).for_each(sort_sets);
        *counted.entry(item.to_string()).or_default() += 1;
    }
    counted
}

fn sort_sets(value: &mut Value) {
    let Some((kind, value)) = value.as_object_mut().and_then(|value| value.iter_mut().next()) else { return };
    match (kind.as_str(), value) {
        ("SS" | "NS" | "BS", Value::Array(set)) => set.sort_by_key(Value::to_string),
        ("L", Value::Array(list)) => list.iter_mut().for_each(sort_sets),
        ("M", Value::Object(map)) => map.values_mut().for_each(sort_sets),
        _ => {}
    }
}

/// The items of a part that a manifest lists.
fn part(bucket: &BucketView, file: &Value) -> Result<Vec<Value>> {
    let key = file["dataFileS3Key"].as_str().context("no key")?;
    let body = get(bucket, key)?;
    ensure!(file["md5Checksum"] == BASE64.encode(Md5::digest(&body)), "{key} is not what its MD5 says");
    let mut lines = String::new();
    if key.ends_with(".zst") {
        zstd::Decoder::new(&body[..])?.read_to_string(&mut lines)?;
    } else {
        flate2::read::GzDecoder::new(&body[..]).read_to_string(&mut lines)?;
    }
    lines.lines().map(|line| Ok(serde_json::from_str::<Value>(line)?["Item"].take())).collect()
}

fn get(bucket: &BucketView, key: &str) -> Result<bytes::Bytes> {
    bucket.get(key).with_context(|| format!("{key} is not there"))
}

fn json(bucket: &BucketView, key: &str) -> Result<Value> {
    serde_json::from_slice(&get(bucket, key)?).with_context(|| format!("{key} is not JSON"))
}

fn short(item: &str) -> String {
    item.chars().take(120).collect()
}
