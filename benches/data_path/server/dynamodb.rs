//! DynamoDB as far as a backup of it, and whoever competes with it, calls it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::counters::Counters;
use super::http::{Answer, Piece, Request};
use super::pages::Pages;
use crate::BACKUP_ACCOUNT;
use crate::items::Shape;
use crate::table::BenchTable;

const EMPTY_PAGE: &[u8] = br#"{"Count":0,"Items":[],"ScannedCount":0}"#;

/// The account of whoever is not the backup account.
const SOURCE_ACCOUNT: &str = "111111111111";

/// Items that a table of few claims to have on a page, so that a segment, of a million items, is 100 pages.
const CLAIMED_ITEMS: u64 = 10_000;

/// How the server holds its clients up.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Pace {
    /// Time a Scan page takes; a segment then answers one request at a time.
    pub(crate) page_ms: u64,
    /// One batch in so many has half of its items left unprocessed; 0 for none.
    pub(crate) bounce_every: u64,
    /// The names of the tables that ListTables tells of.
    pub(crate) tables: Vec<String>,
}

/// A table's name and a segment's number.
type Segment = (String, u64);

pub(super) struct DynamoDb {
    pace: Pace,
    pages: Pages,
    segments: Mutex<HashMap<Segment, Arc<Mutex<()>>>>,
    /// The requests that created the tables of the backup account.
    created: Mutex<HashMap<String, Value>>,
    batches: Mutex<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ScanRequest {
    table_name: String,
    #[serde(default)]
    segment: u64,
    total_segments: Option<u64>,
    exclusive_start_key: Option<PageKey>,
    return_consumed_capacity: Option<String>,
}

/// A key whose sort key counts the pages of the table.
#[derive(Deserialize)]
struct PageKey {
    sk: Number,
}

#[derive(Deserialize)]
struct Number {
    #[serde(rename = "N")]
    n: String,
}

impl DynamoDb {
    pub(super) fn new(pace: Pace) -> Self {
        Self {
            pace,
            pages: Pages::default(),
            segments: Mutex::default(),
            created: Mutex::default(),
            batches: Mutex::default(),
        }
    }

    pub(super) fn pages(&self) -> &Pages {
        &self.pages
    }

    pub(super) fn answer(&self, action: &str, request: &Request, counters: &Counters) -> Answer {
        counters.request(action);
        let is_backup = request.header("authorization").is_some_and(|header| header.contains(BACKUP_ACCOUNT));
        let body = &request.body;
        let answered = match action {
            // What is put is counted and dropped, so the copies have no items.
            "Scan" if is_backup => return whole(EMPTY_PAGE.to_vec()),
            "Scan" => return self.scan(body, counters).unwrap_or_else(refuse),
            "BatchWriteItem" => return self.batch_write(body, counters).unwrap_or_else(refuse),
            "ListTables" => Ok(json!({ "TableNames": self.pace.tables })),
            "DescribeTable" if is_backup => self.describe_copy(&named(body)),
            "DescribeTable" => describe(&named(body), SOURCE_ACCOUNT),
            "CreateTable" => self.create(body),
            "ListTagsOfResource" => self.tags(body),
            _ => Err("UnknownOperationException"),
        };
        answered.map_or_else(refuse, |value| whole(value.to_string().into_bytes()))
    }

    fn scan(&self, body: &[u8], counters: &Counters) -> Result<Answer, &'static str> {
        let request: ScanRequest = serde_json::from_slice(body).map_err(|_| "SerializationException")?;
        let table = BenchTable::parse(&request.table_name).ok_or("ResourceNotFoundException")?;
        let segment = table.segment(request.segment, request.total_segments.unwrap_or(1));
        let number = match request.exclusive_start_key {
            Some(key) => key.sk.n.parse::<u64>().map_err(|_| "ValidationException")? + 1,
            None => segment.start,
        };
        self.wait(&request.table_name, request.segment);
        if !segment.contains(&number) {
            counters.page(0, 0);
            return Ok(whole(EMPTY_PAGE.to_vec()));
        }
        let page = self.pages.page(table.shape, number);
        counters.page(page.items, page.line_bytes);
        let count = page.items;
        let mut before = b"{".to_vec();
        if request.return_consumed_capacity.is_some_and(|wanted| wanted != "NONE") {
            let capacity = format!(
                r#""ConsumedCapacity":{{"CapacityUnits":128.0,"TableName":"{}"}},"#,
                request.table_name
            );
            before.extend_from_slice(capacity.as_bytes());
        }
        before.extend_from_slice(format!(r#""Count":{count},"#).as_bytes());
        let key = format!(r#","LastEvaluatedKey":{{"pk":{{"S":"page"}},"sk":{{"N":"{number}"}}}}"#);
        let key = if number + 1 == segment.end { String::new() } else { key };
        let after = format!(r#"{key},"ScannedCount":{count}}}"#).into_bytes();
        let mut crc32 = crc32fast::Hasher::new();
        crc32.update(&before);
        crc32.combine(&page.crc32);
        crc32.update(&after);
        let items = Piece::Shared(page.items_member.clone());
        Ok(answer(200, crc32.finalize(), vec![Piece::Own(before), items, Piece::Own(after)]))
    }

    /// Holds the caller up as the pace says.
    fn wait(&self, table: &str, segment: u64) {
        if self.pace.page_ms == 0 {
            return;
        }
        let one_at_a_time = Arc::clone(lock(&self.segments).entry((table.to_owned(), segment)).or_default());
        let _turn = lock(&one_at_a_time);
        std::thread::sleep(Duration::from_millis(self.pace.page_ms));
    }

    fn batch_write(&self, body: &[u8], counters: &Counters) -> Result<Answer, &'static str> {
        let items = memchr::memmem::find_iter(body, br#""PutRequest""#).count();
        let table = quoted_after(body, br#""RequestItems""#).ok_or("SerializationException")?;
        let number = {
            let mut batches = lock(&self.batches);
            *batches += 1;
            *batches
        };
        let bounces = self.pace.bounce_every > 0 && number.is_multiple_of(self.pace.bounce_every);
        let unprocessed = if bounces { second_half(body)? } else { "{}".to_owned() };
        let put = if bounces { items.div_ceil(2) } else { items };
        counters.batch(put as u64);
        let capacity = if memchr::memmem::find(body, br#""ReturnConsumedCapacity""#).is_some() {
            format!(r#""ConsumedCapacity":[{{"CapacityUnits":{put}.0,"TableName":"{table}"}}],"#)
        } else {
            String::new()
        };
        Ok(whole(format!(r#"{{{capacity}"UnprocessedItems":{unprocessed}}}"#).into_bytes()))
    }

    fn create(&self, body: &[u8]) -> Result<Value, &'static str> {
        let request: Value = serde_json::from_slice(body).map_err(|_| "SerializationException")?;
        let name = request["TableName"].as_str().ok_or("ValidationException")?.to_owned();
        let table = describe(&name, BACKUP_ACCOUNT)?["Table"].take();
        lock(&self.created).insert(name, request);
        Ok(json!({ "TableDescription": table }))
    }

    fn describe_copy(&self, name: &str) -> Result<Value, &'static str> {
        if lock(&self.created).contains_key(name) {
            return describe(name, BACKUP_ACCOUNT);
        }
        Err("ResourceNotFoundException")
    }

    fn tags(&self, body: &[u8]) -> Result<Value, &'static str> {
        let request: Value = serde_json::from_slice(body).map_err(|_| "SerializationException")?;
        let name = request["ResourceArn"].as_str().and_then(|arn| arn.rsplit('/').next()).unwrap_or_default();
        let created = lock(&self.created);
        Ok(json!({ "Tags": created.get(name).map_or(&Value::Null, |request| &request["Tags"]) }))
    }
}

fn describe(name: &str, account: &str) -> Result<Value, &'static str> {
    let table = BenchTable::parse(name).ok_or("ResourceNotFoundException")?;
    let items = match table.shape {
        Shape::Few => table.pages * CLAIMED_ITEMS,
        Shape::Usual => table.pages * 1400,
        Shape::Large => table.pages * 10,
    };
    let key = |name, kind| json!({ "AttributeName": name, "KeyType": kind });
    let attribute = |name, kind| json!({ "AttributeName": name, "AttributeType": kind });
    Ok(json!({ "Table": {
        "TableName": name,
        "TableArn": format!("arn:aws:dynamodb:eu-west-1:{account}:table/{name}"),
        "TableId": "00000000-0000-0000-0000-000000000000",
        "TableStatus": "ACTIVE",
        "WarmThroughput": { "WriteUnitsPerSecond": 4_000_000_000_u64 },
        "CreationDateTime": 1_600_000_000.0,
        "ItemCount": items,
        "TableSizeBytes": table.pages << 20,
        "KeySchema": [key("pk", "HASH"), key("sk", "RANGE")],
        "AttributeDefinitions": [attribute("pk", "S"), attribute("sk", "N")],
        "BillingModeSummary": { "BillingMode": "PAY_PER_REQUEST" },
        "ProvisionedThroughput": { "ReadCapacityUnits": 0, "WriteCapacityUnits": 0, "NumberOfDecreasesToday": 0 },
    } }))
}

/// The first string after `name`.
fn quoted_after<'a>(body: &'a [u8], name: &[u8]) -> Option<&'a str> {
    let rest = &body[memchr::memmem::find(body, name)? + name.len()..];
    let rest = &rest[memchr::memchr(b'"', rest)? + 1..];
    std::str::from_utf8(&rest[..memchr::memchr(b'"', rest)?]).ok()
}

/// The second half of a batch, as `UnprocessedItems`.
fn second_half(body: &[u8]) -> Result<String, &'static str> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Batch {
        request_items: HashMap<String, Vec<Box<RawValue>>>,
    }
    let mut batch: Batch = serde_json::from_slice(body).map_err(|_| "SerializationException")?;
    for requests in batch.request_items.values_mut() {
        drop(requests.drain(..requests.len().div_ceil(2)));
    }
    batch.request_items.retain(|_, requests| !requests.is_empty());
    serde_json::to_string(&batch.request_items).map_err(|_| "InternalServerError")
}

fn named(body: &[u8]) -> String {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    request["TableName"].as_str().unwrap_or_default().to_owned()
}

fn whole(body: Vec<u8>) -> Answer {
    let crc32 = crc32fast::hash(&body);
    answer(200, crc32, vec![Piece::Own(body)])
}

fn refuse(code: &str) -> Answer {
    let body = format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"{code}"}}"#);
    answer(400, crc32fast::hash(body.as_bytes()), vec![Piece::Own(body.into_bytes())])
}

fn answer(status: u16, crc32: u32, body: Vec<Piece>) -> Answer {
    let headers = format!(
        "Content-Type: application/x-amz-json-1.0\r\nx-amz-crc32: {crc32}\r\nx-amzn-RequestId: BENCH\r\n"
    );
    Answer { status, headers, body, length_of_head: None }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
