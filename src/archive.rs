//! What lies in the bucket: an append-only log, and no other state.
//!
//! Every object is created once and never changed. Status, resume and completion are all derived from what
//! is there; the layout is in [`layout`], and `ARCHITECTURE.md` specifies it for other programs.

mod backup;
pub mod layout;
pub mod manifest;
pub mod marker;
pub mod part;
pub mod record;
mod state;

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::backup::Backup;
use self::layout::{Layout, RunId, TableFolder};
use self::manifest::Manifest;
use self::marker::{Exported, PartEntry};
use self::part::{CHANGED, Part, PartFile, PartReader, content_md5, crc32};
use self::record::{Outcome, Report, Run, Table, TableRecord, TableResult};
pub use self::state::TableState;
use crate::aws::s3::{Bucket, Creation, Head, NewObject};
use crate::blocking::blocking;
use crate::config::Compression;
use crate::error::{Context, Error, Result};
use crate::schema::settings::TableSettings;
use crate::table::TableName;

/// Version of every object the archive writes in JSON.
pub const FORMAT_VERSION: u32 = 1;

/// Runs and tables kept in memory: they never change, and every job asks for them.
const MAX_CACHED: usize = 10_000;

/// How many runs of a source are looked at for what a table was before.
const LOOK_BACK_RUNS: usize = 100;

/// The archive in one bucket, under one prefix.
#[derive(Debug)]
pub struct Archive {
    bucket: Bucket,
    layout: Layout,
    runs: Cache<RunId, Run>,
    tables: Cache<(RunId, TableName), Table>,
}

/// Who put a part, and what its marker will need to know: kept with the part itself.
#[derive(Clone, Debug, PartialEq)]
pub struct PartHead {
    pub attempt: String,
    pub items: u64,
    pub bytes: u64,
    pub md5: String,
    pub etag: String,
    /// When the scan of the part's segment began.
    pub scan_started_at: Timestamp,
    /// Read capacity units that this part has cost.
    pub consumed_units: f64,
}

impl Archive {
    pub fn new(bucket: Bucket, prefix: &str) -> Self {
        Self { bucket, layout: Layout::new(prefix), runs: Cache::default(), tables: Cache::default() }
    }

    pub fn bucket_name(&self) -> &str {
        self.bucket.name()
    }

    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    pub fn folder(&self, run: &RunId, table: &TableName) -> TableFolder {
        self.layout.table_folder(run, table)
    }

    /// Creates a JSON object; false when the key was taken, which means that someone else was first.
    pub async fn create<T: Serialize>(&self, key: &str, value: &T) -> Result<bool> {
        let mut body = serde_json::to_vec_pretty(value).expect("records are plain data with string keys");
        body.push(b'\n');
        self.create_bytes(key, body.into(), "application/json").await
    }

    async fn create_bytes(&self, key: &str, body: Bytes, content_type: &'static str) -> Result<bool> {
        let (content_md5, crc32) = (content_md5(&body), crc32(&body));
        let object = NewObject { body, content_type, content_md5, crc32, metadata: HashMap::new() };
        Ok(self.bucket.create(key, object).await? != Creation::Exists)
    }

    /// Reads a JSON object, or `None` where there is none.
    pub async fn read<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        let Some(object) = self.bucket.get(key).await? else { return Ok(None) };
        serde_json::from_slice(&object.body).map(Some).map_err(|error| {
            Error::permanent(format!("read s3://{}/{key} as JSON", self.bucket.name())).with_source(error)
        })
    }

    /// The bytes of an object, or `None` where there is none.
    pub async fn bytes(&self, key: &str) -> Result<Option<Bytes>> {
        Ok(self.bucket.get(key).await?.map(|object| object.body))
    }

    /// Reads a JSON object that must be there.
    ///
    /// # Errors
    /// Permanent when it is missing.
    pub async fn require<T: DeserializeOwned>(&self, key: &str) -> Result<T> {
        let missing = || Error::permanent(format!("s3://{}/{key} is missing", self.bucket.name()));
        self.read(key).await?.ok_or_else(missing)
    }

    /// The keys of all objects below `prefix`, in order.
    pub async fn keys(&self, prefix: &str) -> Result<Vec<String>> {
        Ok(self.bucket.list(prefix).await?.into_iter().map(|object| object.key).collect())
    }

    pub async fn exists(&self, key: &str) -> Result<bool> {
        self.bucket.exists(key).await
    }

    /// The ids of all runs whose names sort after `floor`, oldest first.
    pub async fn runs(&self, floor: &str) -> Result<Vec<RunId>> {
        let folders = self.bucket.folders(&self.layout.runs(), floor).await?;
        Ok(folders.iter().filter_map(|name| RunId::parse(name).ok()).collect())
    }

    pub async fn run(&self, run: &RunId) -> Result<Option<Arc<Run>>> {
        let key = self.layout.run(run);
        let read = async {
            let record: Option<Run> = self.read(&key).await?;
            record.map(|record| known_version(record.version, &key).map(|()| record)).transpose()
        };
        self.runs.get_or_read(run, read).await
    }

    pub async fn table(&self, run: &RunId, table: &TableName) -> Result<Option<Arc<Table>>> {
        let id = (run.clone(), table.clone());
        let key = self.folder(run, table).table();
        let read = async {
            let Some(record) = self.read::<TableRecord>(&key).await? else { return Ok(None) };
            known_version(record.version, &key)?;
            Table::try_from(record).map(Some)
        };
        self.tables.get_or_read(&id, read).await
    }

    /// The settings of a table, where its backup has them.
    pub async fn table_settings(&self, run: &RunId, table: &TableName) -> Result<Option<TableSettings>> {
        let record = self.read::<TableRecord>(&self.folder(run, table).table()).await?;
        Ok(record.and_then(|record| record.settings))
    }

    /// Creates `table.json`, and before it the empty object with which every native export begins.
    pub async fn create_table(&self, run: &RunId, record: &TableRecord) -> Result<()> {
        let folder = self.folder(run, &record.table);
        self.create_bytes(&folder.started(), Bytes::new(), "application/octet-stream").await?;
        self.create(&folder.table(), record).await.map(drop)
    }

    pub async fn report(&self, run: &RunId) -> Result<Option<Report>> {
        self.read(&self.layout.report(run)).await
    }

    /// The names of the tables that have their result.
    pub async fn finished_tables(&self, run: &RunId) -> Result<Vec<TableName>> {
        let folder = self.layout.results(run);
        let listed = self.bucket.list(&folder).await?;
        let names =
            listed.iter().filter_map(|object| object.key.strip_prefix(&folder)?.strip_suffix(".json"));
        names.map(TableName::parse).collect()
    }

    pub async fn result(&self, run: &RunId, table: &TableName) -> Result<Option<TableResult>> {
        self.read(&self.layout.result(run, table)).await
    }

    /// The results of a table in the runs of the same source before `run`, newest first, back to the one in which
    /// it was complete; of a hundred at most.
    pub async fn results_before(&self, run: &Run, table: &TableName) -> Result<Vec<TableResult>> {
        let (mut results, mut looked_at) = (Vec::new(), 0);
        for earlier in self.runs("").await?.iter().rev().filter(|id| **id < run.run) {
            let Some(record) = self.run(earlier).await? else { continue };
            if record.source.name != run.source.name || record.ended.is_some() {
                continue;
            }
            results.extend(self.result(earlier, table).await?);
            looked_at += 1;
            let is_complete = results.last().is_some_and(|result| result.outcome == Outcome::Complete);
            if is_complete || looked_at == LOOK_BACK_RUNS {
                break;
            }
        }
        Ok(results)
    }

    /// The newest run before `run` that is complete and `is_wanted`, of the last hundred such.
    pub async fn last_complete_before(
        &self,
        run: &Run,
        is_wanted: impl Fn(&Run) -> bool,
    ) -> Result<Option<Arc<Run>>> {
        let mut looked_at = 0;
        for earlier in self.runs("").await?.iter().rev().filter(|id| **id < run.run) {
            let Some(record) = self.run(earlier).await?.filter(|record| is_wanted(record)) else { continue };
            if self.report(earlier).await?.is_some_and(|report| report.outcome == Outcome::Complete) {
                return Ok(Some(record));
            }
            looked_at += 1;
            if looked_at == LOOK_BACK_RUNS {
                break;
            }
        }
        Ok(None)
    }

    /// Whether nothing new has appeared in a run for longer than `stall_after`.
    pub async fn is_stalled(&self, run: &RunId, stall_after: Duration) -> Result<bool> {
        let last = self.last_progress(run).await?.unwrap_or_else(|| run.time());
        Ok(is_quiet(last, stall_after))
    }

    /// When an object was created; `None` where there is none.
    pub async fn last_modified(&self, key: &str) -> Result<Option<Timestamp>> {
        let listed = self.bucket.list(key).await?;
        Ok(listed.iter().find(|object| object.key == key).and_then(|object| object.last_modified))
    }

    /// When something last appeared in the run.
    pub async fn last_progress(&self, run: &RunId) -> Result<Option<Timestamp>> {
        let objects = self.bucket.list(&self.layout.run_folder(run)).await?;
        Ok(objects.iter().filter_map(|object| object.last_modified).max())
    }

    /// What has happened to a table so far, from one listing.
    pub async fn state(&self, run: &RunId, table: &TableName) -> Result<TableState> {
        let folder = self.folder(run, table).state();
        let listed = self.bucket.list(&folder).await?;
        Ok(TableState::of(listed.iter().filter_map(|object| object.key.strip_prefix(&folder))))
    }

    /// What has happened to every table of a run so far, from one listing.
    pub async fn states(&self, run: &RunId) -> Result<HashMap<String, TableState>> {
        let folder = format!("{}tables/", self.layout.run_folder(run));
        let mut states: HashMap<String, TableState> = HashMap::new();
        for object in self.bucket.list(&folder).await? {
            let path = object.key.strip_prefix(&folder).and_then(|path| path.split_once('/'));
            if let Some((table, path)) = path {
                let state = states.entry(table.to_owned()).or_default();
                if let Some(marker) = path.strip_prefix("state/") {
                    state.add(marker);
                }
            }
        }
        Ok(states)
    }

    /// Creates a part and gives its ETag; `None` when its place is taken by somebody else's. A part that carries
    /// our own attempt and checksum is ours, put by a request whose answer was lost.
    pub async fn create_part(&self, key: &str, part: &Part, head: &PartHead) -> Result<Option<String>> {
        let object = NewObject {
            body: part.body.clone(),
            content_type: "application/octet-stream",
            content_md5: part.md5.clone(),
            crc32: part.crc32.clone(),
            metadata: head.to_metadata(),
        };
        if let Creation::Created { etag } = self.bucket.create(key, object).await? {
            return Ok(Some(etag));
        }
        let found = self.part_head(key).await?;
        let ours = found.attempt == head.attempt && found.md5 == head.md5;
        Ok(ours.then_some(found.etag))
    }

    /// The heads of a segment's parts, in order.
    ///
    /// # Errors
    /// Permanent when a part is missing between others.
    pub async fn parts(
        &self,
        folder: &TableFolder,
        segment: u32,
        compression: Compression,
    ) -> Result<Vec<PartHead>> {
        let mut heads = Vec::new();
        for (part, object) in (0..).zip(self.bucket.list(&folder.parts(segment)).await?) {
            let expected = folder.part(segment, part, compression);
            if object.key != expected {
                return Err(Error::permanent(format!(
                    "part {expected} is missing, but {} is there",
                    object.key
                )));
            }
            heads.push(self.part_head(&object.key).await?);
        }
        Ok(heads)
    }

    /// Whether somebody has begun to export a segment.
    pub async fn has_parts(&self, folder: &TableFolder, segment: u32) -> Result<bool> {
        Ok(!self.bucket.list(&folder.parts(segment)).await?.is_empty())
    }

    async fn part_head(&self, key: &str) -> Result<PartHead> {
        let head = self.bucket.head(key).await?;
        let head =
            head.ok_or_else(|| Error::permanent(format!("part {key} is missing")).with_mend(CHANGED))?;
        PartHead::from_head(&head).ok_or_else(|| {
            Error::permanent(format!("part {key} was not written by this program")).with_mend(CHANGED)
        })
    }

    /// A part's compressed bytes.
    ///
    /// # Errors
    /// Permanent when it is missing, or was put with another number of items than `items`.
    pub async fn part(&self, key: &str, items: u64) -> Result<Bytes> {
        let missing = || {
            Error::permanent(format!("part {key} is missing from bucket {}", self.bucket.name()))
                .with_mend(CHANGED)
        };
        let object = self.bucket.get(key).await?.ok_or_else(missing)?;
        match object.metadata.get("items") {
            Some(found) if *found != items.to_string() => Err(Error::permanent(format!(
                "part {key} was put with {found} items, and {items} are on record"
            ))
            .with_mend(CHANGED)),
            _ => Ok(object.body),
        }
    }

    /// The parts of an exported segment.
    pub fn part_files(
        &self,
        folder: &TableFolder,
        exported: &Exported,
        compression: Compression,
    ) -> Vec<PartFile> {
        let file = |part: &PartEntry| PartFile {
            key: folder.part(exported.segment, part.part, compression),
            items: part.items,
            md5: part.md5.clone(),
            compression,
        };
        exported.parts.iter().map(file).collect()
    }

    /// Reads a part whole and verifies its checksum, before its first item is used.
    ///
    /// # Errors
    /// Permanent when it is missing, corrupt, or was put with another number of items.
    pub async fn open_part(&self, part: &PartFile) -> Result<PartReader> {
        let body = self.part(&part.key, part.items).await?;
        let part = part.clone();
        blocking(move || PartReader::open(&part.key, body, &part.md5, part.compression)).await
    }

    /// Puts the native manifest; the summary is last, because it is what makes the backup exist.
    pub async fn create_manifest(&self, folder: &TableFolder, manifest: Manifest) -> Result<()> {
        let objects = [
            (checksum_key(&folder.manifest_files()), content_md5(manifest.files.as_bytes()).into()),
            (folder.manifest_files(), manifest.files.into()),
            (checksum_key(&folder.manifest_summary()), content_md5(manifest.summary.as_bytes()).into()),
            (folder.manifest_summary(), manifest.summary.into()),
        ];
        for (key, body) in objects {
            self.create_bytes(&key, body, "application/octet-stream").await.context("write the manifest")?;
        }
        Ok(())
    }
}

/// Whether `last` is longer ago than `stall_after`.
pub fn is_quiet(last: Timestamp, stall_after: Duration) -> bool {
    let quiet = Timestamp::now().duration_since(last);
    quiet.is_positive() && quiet.unsigned_abs() > stall_after
}

fn known_version(version: u32, key: &str) -> Result<()> {
    if version == FORMAT_VERSION {
        return Ok(());
    }
    Err(Error::permanent(format!(
        "{key} has format version {version}, and this program knows version {FORMAT_VERSION}"
    )))
}

/// `manifest-files.json` → `manifest-files.md5`, as in DynamoDB's own exports.
pub fn checksum_key(key: &str) -> String {
    format!("{}.md5", key.trim_end_matches(".json"))
}

impl PartHead {
    fn to_metadata(&self) -> HashMap<String, String> {
        HashMap::from([
            ("attempt".to_owned(), self.attempt.clone()),
            ("items".to_owned(), self.items.to_string()),
            ("md5".to_owned(), self.md5.clone()),
            ("scan-started-at".to_owned(), self.scan_started_at.to_string()),
            ("consumed-units".to_owned(), self.consumed_units.to_string()),
        ])
    }

    fn from_head(head: &Head) -> Option<Self> {
        let metadata = |name| head.metadata.get(name);
        Some(Self {
            attempt: metadata("attempt")?.clone(),
            items: metadata("items")?.parse().ok()?,
            bytes: head.size_bytes,
            md5: metadata("md5")?.clone(),
            etag: head.etag.clone(),
            scan_started_at: metadata("scan-started-at")?.parse().ok()?,
            consumed_units: metadata("consumed-units")?.parse().ok()?,
        })
    }
}

/// Objects that never change, by their id.
#[derive(Debug)]
struct Cache<K, V>(Mutex<HashMap<K, Arc<V>>>);

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Clone + Eq + Hash, V> Cache<K, V> {
    async fn get_or_read(
        &self,
        id: &K,
        read: impl Future<Output = Result<Option<V>>>,
    ) -> Result<Option<Arc<V>>> {
        if let Some(found) = self.lock().get(id) {
            return Ok(Some(Arc::clone(found)));
        }
        let Some(value) = read.await? else { return Ok(None) };
        let value = Arc::new(value);
        let mut entries = self.lock();
        if entries.len() >= MAX_CACHED {
            entries.clear();
        }
        entries.insert(id.clone(), Arc::clone(&value));
        Ok(Some(value))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<K, Arc<V>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
