//! The program's own data path, through the library: what its export and write jobs do to an item.

use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use dynamodb_backup::archive::part::{Part, PartBuffers, PartReader, PartWriter};
use dynamodb_backup::aws::Session;
use dynamodb_backup::aws::dynamodb::{ScanRequest, Tables};
use dynamodb_backup::aws::s3::{Bucket, Creation, NewObject};
use dynamodb_backup::batch::{Batch, BatchBuilder};
use dynamodb_backup::config::Compression;
use dynamodb_backup::error::Error;
use dynamodb_backup::item::{ItemReader, line_item};
use dynamodb_backup::page::Page;
use dynamodb_backup::plan::Plan;
use dynamodb_backup::schema::{KeySchema, TableDefinition};
use dynamodb_backup::table::TableName;
use futures::stream::{FuturesUnordered, StreamExt};
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use crate::client::{BUCKET, Done, IN_FLIGHT, Job, SEGMENTS};
use crate::table::BenchTable;

/// Batches read ahead of those in flight, as in a write job.
const READ_AHEAD: usize = 4;

/// Exports a table, eight segments at once. The parts are dropped, or put to S3.
pub(crate) async fn export(job: &Job, uploads: bool) -> Result<Done> {
    let export = Export::new(job, uploads).await?;
    let segments = (0..SEGMENTS).map(|segment| tokio::spawn(export.clone().segment(segment)));
    let mut done = Done::default();
    for segment in futures::future::join_all(segments).await {
        done.add(segment??.done);
    }
    Ok(done)
}

/// Exports a table, reads the parts again and compares every line with what the server has sent.
pub(crate) async fn verify(job: &Job) -> Result<Done> {
    let export = Export { keeps_parts: true, ..Export::new(job, false).await? };
    let (mut done, mut digest) = (Done::default(), 0_u64);
    for segment in 0..SEGMENTS {
        let exported = export.clone().segment(segment).await?;
        done.add(exported.done);
        for part in exported.parts {
            let mut reader = PartReader::open("part", part.body, &part.md5, export.compression()?)?;
            let mut line = Vec::new();
            while reader.next_line(&mut line)? {
                digest = digest.wrapping_add(digest_of(line_item(&line)?));
            }
        }
    }
    ensure!(digest == expected_digest(job)?, "the lines exported are not the items that were sent");
    Ok(done)
}

/// The sum of the digests of every item of a table: equal for equal items in any order.
fn expected_digest(job: &Job) -> Result<u64> {
    let table = BenchTable::parse(&job.table).context("a table of the bench")?;
    let mut digest = 0_u64;
    for number in 0..table.shape.distinct_pages() {
        let repeats = (number as u64..table.pages).step_by(table.shape.distinct_pages()).count() as u64;
        let page = table.shape.page(number);
        for item in &page.items {
            let item = digest_of(&page.json.as_bytes()[item.clone()]);
            digest = digest.wrapping_add(item.wrapping_mul(repeats));
        }
    }
    Ok(digest)
}

fn digest_of(item: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    item.hash(&mut hasher);
    hasher.finish()
}

#[derive(Clone)]
struct Export {
    tables: Tables,
    table: TableName,
    /// None writes the lines to nothing: the program itself always compresses.
    compression: Option<Compression>,
    plan: Plan,
    bucket: Option<Bucket>,
    buffers: Arc<PartBuffers>,
    keeps_parts: bool,
}

/// A segment that was read to its end.
#[derive(Default)]
struct Exported {
    done: Done,
    parts: Vec<Part>,
}

impl Export {
    async fn new(job: &Job, uploads: bool) -> Result<Self> {
        let session = Session::load().await?;
        let bucket = if uploads { Some(Bucket::open(&session, BUCKET).await?) } else { None };
        Ok(Self {
            tables: Tables::of_copies(&session, "bench"),
            table: TableName::parse(&job.table)?,
            compression: job.codec()?.0,
            plan: Plan::new(1 << 30, 1, None, SEGMENTS),
            bucket,
            buffers: Arc::default(),
            keeps_parts: false,
        })
    }

    fn compression(&self) -> Result<Compression> {
        self.compression.context("the parts are compressed")
    }

    /// One page is compressed while the next is on its way.
    async fn segment(self, segment: u32) -> Result<Exported> {
        let (mut writer, mut exported) = (None, Exported::default());
        let mut page = self.page(segment, None, Vec::new()).await?;
        let mut buffer = Vec::new();
        loop {
            let after = page.last_evaluated_key().map(ToOwned::to_owned);
            exported.done.items += page.len() as u64;
            let (compression, part_bytes) = (self.compression, self.plan.part_bytes);
            let buffers = Arc::clone(&self.buffers);
            let begin = move |compression| PartWriter::new(compression, part_bytes, &buffers);
            let appending = spawn_blocking(move || append(writer, begin, page, compression));
            let reading = async {
                match after.as_deref() {
                    Some(after) => self.page(segment, Some(after), buffer).await.map(Some),
                    None => Ok(None),
                }
            };
            let (appended, next) = futures::join!(appending, reading);
            (writer, buffer) = appended??;
            let next = next?;
            if writer.as_ref().is_some_and(|writer| next.is_none() || self.is_full(writer)) {
                self.put(segment, writer.take(), &mut exported).await?;
            }
            page = match next {
                Some(next) => next,
                None => return Ok(exported),
            };
        }
    }

    fn is_full(&self, writer: &PartWriter) -> bool {
        writer.compressed_bytes() >= self.plan.part_bytes || writer.raw_bytes() >= self.plan.part_raw_bytes
    }

    async fn page(&self, segment: u32, after: Option<&RawValue>, buffer: Vec<u8>) -> Result<Page> {
        let request = ScanRequest {
            table_name: &self.table,
            segment,
            total_segments: SEGMENTS,
            exclusive_start_key: after,
            consistent_read: false,
            limit: None,
            return_consumed_capacity: "TOTAL",
        };
        Ok(self.tables.scan(&request, buffer).await.map_err(Error::from)?)
    }

    async fn put(&self, segment: u32, writer: Option<PartWriter>, exported: &mut Exported) -> Result<()> {
        let Some(writer) = writer else { return Ok(()) };
        let part = spawn_blocking(move || writer.finish()).await??;
        exported.done.bytes += part.body.len() as u64;
        if let Some(bucket) = &self.bucket {
            let key = format!("{}/{segment:05}-{}.json.zst", std::process::id(), exported.done.items);
            let object = NewObject {
                body: part.body.clone(),
                content_type: "application/octet-stream",
                content_md5: part.md5.clone(),
                crc32: part.crc32.clone(),
                metadata: [("items".to_owned(), part.items.to_string())].into(),
            };
            ensure!(bucket.create(&key, object).await? != Creation::Exists, "part {key} is there already");
        }
        if self.keeps_parts {
            exported.parts.push(part);
        } else {
            self.buffers.give_back(part);
        }
        Ok(())
    }
}

fn append(
    writer: Option<PartWriter>,
    begin: impl FnOnce(Compression) -> std::io::Result<PartWriter>,
    page: Page,
    compression: Option<Compression>,
) -> std::io::Result<(Option<PartWriter>, Vec<u8>)> {
    let Some(compression) = compression else {
        std::hint::black_box(page.lines());
        return Ok((None, page.into_buffer()));
    };
    let mut writer = writer.map_or_else(|| begin(compression), Ok)?;
    writer.append(&page)?;
    Ok((Some(writer), page.into_buffer()))
}

/// Writes parts into a table, one after the other, sixteen batches in flight.
pub(crate) async fn write(job: &Job) -> Result<Done> {
    let session = Session::load().await?;
    let bucket = Bucket::open(&session, BUCKET).await?;
    let tables = Tables::of_copies(&session, "bench");
    let table = TableName::parse(&job.table)?;
    let definition = tables.describe(&table).await?.context("the table is there")?;
    let schema = serde_json::from_str::<TableDefinition>(definition.get())?.key()?;
    let compression = job.codec()?.0.context("parts are compressed")?;
    let mut done = Done::default();
    for number in 0..job.parts {
        let key = job.part_key(number);
        let object = bucket.get(&key).await?.context("the part is there")?;
        let md5 = object.metadata.get("md5").context("the part has its MD5")?.clone();
        let opening = spawn_blocking(move || PartReader::open(&key, object.body, &md5, compression));
        done.add(Write { tables: &tables, table: &table, schema: &schema }.part(opening.await??).await?);
    }
    Ok(done)
}

struct Write<'a> {
    tables: &'a Tables,
    table: &'a TableName,
    schema: &'a KeySchema,
}

impl Write<'_> {
    async fn part(&self, reader: PartReader) -> Result<Done> {
        let (sender, mut batches) = mpsc::channel(READ_AHEAD);
        let schema = self.schema.clone();
        let batch = BatchBuilder::puts(self.table, None);
        let reading = spawn_blocking(move || read_batches(reader, &schema, batch, &sender));
        let (mut puts, mut keys_in_flight) = (FuturesUnordered::new(), HashSet::new());
        while let Some(batch) = batches.recv().await {
            let keys: Vec<u128> = batch.key_hashes().collect();
            while puts.len() >= IN_FLIGHT || keys.iter().any(|key| keys_in_flight.contains(key)) {
                let Some(arrived) = puts.next().await else { break };
                settle(arrived, &mut keys_in_flight)?;
            }
            keys_in_flight.extend(&keys);
            puts.push(async move { (keys, self.put(batch).await) });
        }
        while let Some(arrived) = puts.next().await {
            settle(arrived, &mut keys_in_flight)?;
        }
        reading.await?
    }

    /// Puts a batch until every item is taken.
    async fn put(&self, mut batch: Batch) -> Result<()> {
        while !batch.is_empty() {
            let answer = self.tables.batch_write(self.table, batch.request_body()).await;
            (batch, _) = batch.unprocessed(&answer.map_err(Error::from)?, self.schema)?;
        }
        Ok(())
    }
}

fn settle((keys, put): (Vec<u128>, Result<()>), in_flight: &mut HashSet<u128>) -> Result<()> {
    for key in keys {
        in_flight.remove(&key);
    }
    put
}

fn read_batches(
    mut reader: PartReader,
    schema: &KeySchema,
    mut batch: BatchBuilder,
    batches: &mpsc::Sender<Batch>,
) -> Result<Done> {
    let (mut items, mut line, mut done) = (ItemReader::new(schema), Vec::new(), Done::default());
    while reader.next_line(&mut line)? {
        let row = items.read_line_with_content(&line)?.0;
        if !batch.fits(&row) || batch.contains(row.key) {
            batches.blocking_send(batch.finish())?;
        }
        batch.push(&row);
        done.items += 1;
        done.bytes += line.len() as u64 + 1;
    }
    batches.blocking_send(batch.finish())?;
    Ok(done)
}
