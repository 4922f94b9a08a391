//! BatchWriteItem requests and their answers, as bytes.

mod answer;

use std::marker::PhantomData;
use std::ops::Range;

use bytes::Bytes;

use self::answer::{Answer, refuse};
use crate::error::Result;
use crate::item::{Key, Row};
use crate::schema::KeySchema;
use crate::table::TableName;

/// The most requests in one (DynamoDB API Reference, “BatchWriteItem”).
const MAX_ITEMS: usize = 25;

/// The largest body of several items. The service takes 16 MB (DynamoDB API Reference, “BatchWriteItem”), but a
/// dozen such bodies of one segment would be most of a worker's memory, and items are billed one by one.
const MAX_BODY_BYTES: usize = 2 << 20;

/// What a delete is taken to cost before its answer tells, in write units. It costs by the size of the item
/// that goes (DynamoDB Developer Guide, “DynamoDB read and write operations”), which its key does not show.
const DELETE_UNITS: u64 = 1;

const HEAD: &str = r#"{"RequestItems":{""#;
const BEFORE_REQUESTS: &str = r#"":["#;
const TAIL: &str = r#"]},"ReturnConsumedCapacity":"INDEXES"}"#;
const AFTER_REQUEST: &str = "}}";

/// Says of a [`BatchBuilder`] that it takes items to put.
pub enum Put {}

/// Says of a [`BatchBuilder`] that it takes the keys of items to delete.
pub enum Delete {}

/// Writes the body of a BatchWriteItem request as the items come, all of them to put or all to delete.
///
/// DynamoDB refuses a request that has a key twice, so whoever fills a batch asks `contains` first.
pub struct BatchBuilder<O = Put> {
    table: TableName,
    operation: Operation,
    max_units: u64,
    /// The body so far, but for its tail; nothing before the first item.
    body: Vec<u8>,
    entries: Vec<Entry>,
    takes: PhantomData<O>,
}

/// Items to put into one table, or to delete from it, with one request: the body of that request, and what is
/// where in it.
///
/// An empty one is what is left of a batch that has been written, and is not for sending.
pub struct Batch {
    table: TableName,
    operation: Operation,
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

/// What a batch does with every one of its items.
#[derive(Clone, Copy)]
enum Operation {
    Put,
    Delete,
}

#[derive(Clone)]
struct Entry {
    /// The place of the JSON in the body: the item of a put, the key of a delete.
    json: Range<usize>,
    key: u128,
    write_units: u64,
}

impl BatchBuilder<Put> {
    /// Batches that put items into one table, none of which takes more than `max_units` write units, where
    /// there is such a limit: a slow table takes a small batch as a whole, but would leave most of a large one
    /// unprocessed.
    pub fn puts(table: &TableName, max_units: Option<u64>) -> Self {
        Self::new(table, Operation::Put, max_units)
    }

    /// Whether one more item stays within the limits. An empty batch takes any item: one that is too large
    /// by itself is for the service to refuse by name.
    pub fn fits(&self, row: &Row<'_>) -> bool {
        self.has_room(row.item.len(), row.write_units())
    }

    /// Adds an item.
    pub fn push(&mut self, row: &Row<'_>) {
        self.push_request(row.item, row.key, row.write_units());
    }
}

impl BatchBuilder<Delete> {
    /// Batches that delete items from one table; `max_units` is as for [`BatchBuilder::puts`]. A delete is taken
    /// to cost 1 write unit before its answer tells what it did.
    pub fn deletes(table: &TableName, max_units: Option<u64>) -> Self {
        Self::new(table, Operation::Delete, max_units)
    }

    /// Whether one more key stays within the limits. An empty batch takes any key.
    pub fn fits(&self, key: &Key) -> bool {
        self.has_room(key.to_raw().get().len(), DELETE_UNITS)
    }

    /// Adds the key of an item that is to go.
    pub fn push(&mut self, key: &Key) {
        self.push_request(key.to_raw().get().as_bytes(), key.hash128(), DELETE_UNITS);
    }
}

impl<O> BatchBuilder<O> {
    fn new(table: &TableName, operation: Operation, max_units: Option<u64>) -> Self {
        let max_units = max_units.unwrap_or(u64::MAX);
        let (table, body, entries) = (table.clone(), Vec::new(), Vec::new());
        Self { table, operation, max_units, body, entries, takes: PhantomData }
    }

    /// Whether an item with this key is in the batch, the key given by its hash.
    pub fn contains(&self, key: u128) -> bool {
        self.entries.iter().any(|entry| entry.key == key)
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
        let entries = std::mem::take(&mut self.entries);
        Batch { table: self.table.clone(), operation: self.operation, body: body.into(), entries }
    }

    fn has_room(&self, json_bytes: usize, write_units: u64) -> bool {
        let bytes = self.body.len() + self.operation.frame_bytes() + json_bytes + TAIL.len();
        let units = units(&self.entries).saturating_add(write_units);
        self.is_empty() || (self.len() < MAX_ITEMS && bytes <= MAX_BODY_BYTES && units <= self.max_units)
    }

    fn push_request(&mut self, json: &[u8], key: u128, write_units: u64) {
        if self.is_empty() {
            for text in [HEAD, self.table.as_str(), BEFORE_REQUESTS] {
                self.body.extend_from_slice(text.as_bytes());
            }
        } else {
            self.body.push(b',');
        }
        self.body.extend_from_slice(self.operation.before().as_bytes());
        let start = self.body.len();
        self.body.extend_from_slice(json);
        self.entries.push(Entry { json: start..self.body.len(), key, write_units });
        self.body.extend_from_slice(AFTER_REQUEST.as_bytes());
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

    /// The keys of the items, in the order they were added. They are read from the body each time: this is
    /// for what went wrong. The error is that of [`Key::of`], when `schema` is not that of the table.
    pub fn keys(&self, schema: &KeySchema) -> Result<Vec<Key>> {
        self.entries.iter().map(|entry| Key::of(&self.body[entry.json.clone()], schema)).collect()
    }

    /// The write units that the requests are expected to take, at least 1 for each: those of each item put, see
    /// [`write_units`](crate::item::write_units), and 1 for each item deleted.
    pub fn units(&self) -> u64 {
        units(&self.entries)
    }

    /// The body of a BatchWriteItem request that puts or deletes the items and asks what that cost. To ask for
    /// it again copies nothing.
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
    /// was not in the request. Then nothing is known to be written, and to send all of it again is safe.
    pub fn unprocessed(self, response: &[u8], schema: &KeySchema) -> Result<(Self, Option<Consumed>)> {
        let answer = Answer::parse(response)?;
        let consumed = answer.consumed();
        if answer.is_complete() {
            return Ok((Self { body: Bytes::new(), entries: Vec::new(), ..self }, consumed));
        }
        let left = answer.unprocessed_keys(self.operation, &self.table, schema)?;
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
        let mut builder = BatchBuilder::<()>::new(&self.table, self.operation, None);
        for Entry { json, key, write_units } in entries {
            builder.push_request(&self.body[json.clone()], *key, *write_units);
        }
        builder.finish()
    }
}

impl Operation {
    /// The name of its requests (DynamoDB API Reference, “WriteRequest”).
    fn name(self) -> &'static str {
        match self {
            Self::Put => "PutRequest",
            Self::Delete => "DeleteRequest",
        }
    }

    /// What comes before the item of a put or the key of a delete.
    fn before(self) -> &'static str {
        match self {
            Self::Put => r#"{"PutRequest":{"Item":"#,
            Self::Delete => r#"{"DeleteRequest":{"Key":"#,
        }
    }

    /// What each request adds to its JSON, the comma included.
    fn frame_bytes(self) -> usize {
        self.before().len() + AFTER_REQUEST.len() + 1
    }
}

fn units(entries: &[Entry]) -> u64 {
    entries.iter().map(|entry| entry.write_units).sum()
}

#[cfg(test)]
mod tests;
