//! BatchWriteItem requests and their answers, as bytes.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::{Error, Result};
use crate::item::{ItemReader, Key, Row, fault, is_object};
use crate::page::ConsumedCapacity;
use crate::schema::KeySchema;
use crate::table::TableName;

/// The most items of one request (DynamoDB API Reference, “BatchWriteItem”).
const MAX_ITEMS: usize = 25;

/// The largest body of several items. The service takes 16 MB (DynamoDB API Reference, “BatchWriteItem”), but a
/// dozen such bodies of one segment would be most of a worker's memory, and items are billed one by one.
const MAX_BODY_BYTES: usize = 2 << 20;

const HEAD: &str = r#"{"RequestItems":{""#;
const BEFORE_ITEMS: &str = r#"":["#;
const TAIL: &str = r#"]},"ReturnConsumedCapacity":"INDEXES"}"#;
const BEFORE_ITEM: &str = r#"{"PutRequest":{"Item":"#;
const AFTER_ITEM: &str = "}}";
/// What each item adds to its own bytes, the comma included.
const ITEM_FRAME_BYTES: usize = BEFORE_ITEM.len() + AFTER_ITEM.len() + 1;

/// Writes the body of a BatchWriteItem request as the items come.
///
/// DynamoDB refuses a request that has a key twice, so whoever fills a batch asks `contains` first.
pub struct BatchBuilder {
    table: TableName,
    max_units: u64,
    /// The body so far, but for its tail; nothing before the first item.
    body: Vec<u8>,
    entries: Vec<Entry>,
}

/// Items to put into one table with one request: the body of that request, and what is where in it.
///
/// An empty one is what is left of a batch that has been written, and is not for sending.
pub struct Batch {
    table: TableName,
    body: Bytes,
    entries: Vec<Entry>,
}

/// What a request took, in write units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Consumed {
    /// With what its indexes took.
    pub units: f64,
    /// Of the table's own capacity alone.
    pub table_units: f64,
}

#[derive(Clone)]
struct Entry {
    /// The place of the item's JSON in the body.
    item: Range<usize>,
    key: u128,
    write_units: u64,
}

impl BatchBuilder {
    /// Batches for one table, none of which takes more than `max_units` write units, where there is such a
    /// limit: a slow table takes a small batch as a whole, but would leave most of a large one unprocessed.
    pub fn new(table: &TableName, max_units: Option<u64>) -> Self {
        let max_units = max_units.unwrap_or(u64::MAX);
        Self { table: table.clone(), max_units, body: Vec::new(), entries: Vec::new() }
    }

    /// Whether one more item stays within the limits. An empty batch takes any item: one that is too large
    /// by itself is for the service to refuse by name.
    pub fn fits(&self, row: &Row<'_>) -> bool {
        let bytes = self.body.len() + ITEM_FRAME_BYTES + row.item.len() + TAIL.len();
        let units = units(&self.entries).saturating_add(row.write_units());
        self.is_empty() || (self.len() < MAX_ITEMS && bytes <= MAX_BODY_BYTES && units <= self.max_units)
    }

    /// Whether an item with this key is in the batch, the key given by its hash.
    pub fn contains(&self, key: u128) -> bool {
        self.entries.iter().any(|entry| entry.key == key)
    }

    /// Adds an item.
    pub fn push(&mut self, row: &Row<'_>) {
        self.push_item(row.item, row.key, row.write_units());
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The batch of the items so far; the builder begins the next one.
    pub fn finish(&mut self) -> Batch {
        // The next one will be about as large.
        let next = Vec::with_capacity(self.body.len() + TAIL.len());
        let mut body = std::mem::replace(&mut self.body, next);
        body.extend_from_slice(TAIL.as_bytes());
        Batch { table: self.table.clone(), body: body.into(), entries: std::mem::take(&mut self.entries) }
    }

    fn push_item(&mut self, item: &[u8], key: u128, write_units: u64) {
        if self.is_empty() {
            for text in [HEAD, self.table.as_str(), BEFORE_ITEMS] {
                self.body.extend_from_slice(text.as_bytes());
            }
        } else {
            self.body.push(b',');
        }
        self.body.extend_from_slice(BEFORE_ITEM.as_bytes());
        let start = self.body.len();
        self.body.extend_from_slice(item);
        self.entries.push(Entry { item: start..self.body.len(), key, write_units });
        self.body.extend_from_slice(AFTER_ITEM.as_bytes());
    }
}

impl Batch {
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The hashes of the items' keys, in the order they were added.
    pub fn key_hashes(&self) -> impl Iterator<Item = u128> {
        self.entries.iter().map(|entry| entry.key)
    }

    /// The keys of the items, in the order they were added. They are read from the items each time: this is
    /// for what went wrong. The error is that of [`Key::of`], when `schema` is not that of the table.
    pub fn keys(&self, schema: &KeySchema) -> Result<Vec<Key>> {
        self.entries.iter().map(|entry| Key::of(&self.body[entry.item.clone()], schema)).collect()
    }

    /// The write units that the items take, at least 1 for each; see [`write_units`](crate::item::write_units).
    pub fn units(&self) -> u64 {
        units(&self.entries)
    }

    /// The body of a BatchWriteItem request that puts the items and asks what that cost. To ask for it again
    /// copies nothing.
    pub fn request_body(&self) -> Bytes {
        self.body.clone()
    }

    /// Halves the batch, to find the one item for which the service refuses the whole request. The first
    /// half has the odd item, so only a batch of fewer than two leaves the second empty.
    pub fn split(&self) -> (Self, Self) {
        let (first, second) = self.entries.split_at(self.len().div_ceil(2));
        (self.of(first), self.of(second))
    }

    /// What is left to write after `response`, in the bytes this batch was given, and what the request consumed,
    /// if the response tells. `schema` is that of the table; an empty batch means all is written.
    ///
    /// The error is retryable and holds no item data: the answer is damaged, or names as unprocessed what
    /// was not in the request. Then nothing is known to be written, and putting all of it again is safe.
    pub fn unprocessed(self, response: &[u8], schema: &KeySchema) -> Result<(Self, Option<Consumed>)> {
        let answer: Answer<'_> = serde_json::from_slice(response).map_err(|error| refuse(&fault(&error)))?;
        if !is_object(response) {
            return Err(refuse("it is not an object"));
        }
        let consumed = answer
            .consumed_capacity
            .first()
            .map(|capacity| Consumed { units: capacity.capacity_units, table_units: capacity.table_units() });
        if answer.unprocessed_items.get() == "{}" {
            return Ok((Self { body: Bytes::new(), entries: Vec::new(), ..self }, consumed));
        }
        let left = unprocessed_keys(answer.unprocessed_items, &self.table, schema)?;
        let mut entries = self.entries.clone();
        entries.retain(|entry| left.contains(&entry.key));
        if entries.len() != left.len() {
            return Err(refuse("an unprocessed item was not in the request"));
        }
        let rest = if entries.len() == self.len() { self } else { self.of(&entries) };
        Ok((rest, consumed))
    }

    /// A batch of some of the items.
    fn of(&self, entries: &[Entry]) -> Self {
        let mut builder = BatchBuilder::new(&self.table, None);
        for Entry { item, key, write_units } in entries {
            builder.push_item(&self.body[item.clone()], *key, *write_units);
        }
        builder.finish()
    }
}

fn units(entries: &[Entry]) -> u64 {
    entries.iter().map(|entry| entry.write_units).sum()
}

fn refuse(reason: &str) -> Error {
    Error::retryable(format!("the answer is not a BatchWriteItem response: {reason}"))
}

/// A BatchWriteItem response. `UnprocessedItems` is always there, empty when all was written (DynamoDB API
/// Reference, “BatchWriteItem”): an answer without it says nothing and is not taken for success.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer<'a> {
    #[serde(borrow)]
    unprocessed_items: &'a RawValue,
    #[serde(default)]
    consumed_capacity: Vec<ConsumedCapacity>,
}

/// What is unprocessed, by table.
type Unprocessed<'a> = HashMap<Cow<'a, str>, Vec<WriteRequest<'a>>>;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WriteRequest<'a> {
    #[serde(borrow)]
    put_request: PutRequest<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutRequest<'a> {
    #[serde(borrow)]
    item: &'a RawValue,
}

/// The hashes of the keys in `UnprocessedItems`. The items themselves may be spelt in another way than they
/// were sent, so their own bytes are not taken.
fn unprocessed_keys(json: &RawValue, table: &TableName, schema: &KeySchema) -> Result<HashSet<u128>> {
    let unprocessed: Unprocessed<'_> =
        serde_json::from_str(json.get()).map_err(|error| refuse(&fault(&error)))?;
    if unprocessed.keys().any(|name| name != table.as_str()) {
        return Err(refuse("it names another table"));
    }
    let mut reader = ItemReader::new(schema);
    let requests = unprocessed.values().flatten();
    let keys = requests.map(|request| {
        let row = reader.read_item(request.put_request.item.get().as_bytes())?;
        Ok(row.key)
    });
    keys.collect::<Result<_>>().map_err(|error| refuse("an unprocessed item has no key").with_source(error))
}

#[cfg(test)]
mod tests;
