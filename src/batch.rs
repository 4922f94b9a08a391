//! BatchWriteItem requests and their answers, as bytes.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::{Error, Result};
use crate::item::{Key, fault, is_object};
use crate::page::ConsumedCapacity;
use crate::schema::KeySchema;
use crate::table::TableName;

/// The most items of one request (DynamoDB API Reference, “BatchWriteItem”).
pub const MAX_ITEMS: usize = 25;

/// The largest body that is sent. The service takes 16 MB (DynamoDB API Reference, “BatchWriteItem”), but a
/// dozen such bodies of one segment would be most of a worker's memory, and items are billed one by one.
pub const MAX_BODY_BYTES: usize = 2 << 20;

const HEAD: &str = r#"{"RequestItems":{""#;
const BEFORE_ITEMS: &str = r#"":["#;
const TAIL: &str = r#"]},"ReturnConsumedCapacity":"TOTAL"}"#;
const BEFORE_ITEM: &str = r#"{"PutRequest":{"Item":"#;
const AFTER_ITEM: &str = "}}";
const FRAME_BYTES: usize = HEAD.len() + TABLE_NAME_BYTES + BEFORE_ITEMS.len() + TAIL.len();
/// The longest name a table can have.
const TABLE_NAME_BYTES: usize = 255;
/// What each item adds to its own bytes, the comma included.
const ITEM_FRAME_BYTES: usize = BEFORE_ITEM.len() + AFTER_ITEM.len() + 1;

/// Items to put into one table with one request.
///
/// DynamoDB refuses a request that has a key twice, so whoever fills a batch asks `contains` first.
#[derive(Default)]
pub struct Batch {
    entries: Vec<Entry>,
}

struct Entry {
    item: Bytes,
    key: Key,
}

impl Batch {
    /// Whether one more item stays within the limits. An empty batch takes any item: one that is too large
    /// by itself is for the service to refuse by name.
    pub fn fits(&self, item: &[u8]) -> bool {
        self.is_empty() || (self.len() < MAX_ITEMS && self.body_bytes() + item_bytes(item) <= MAX_BODY_BYTES)
    }

    pub fn contains(&self, key: &Key) -> bool {
        self.keys().any(|other| other == key)
    }

    /// Adds an item, raw JSON, with its key.
    pub fn push(&mut self, item: Bytes, key: Key) {
        self.entries.push(Entry { item, key });
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The keys of the items, in the order they were added.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.entries.iter().map(|entry| &entry.key)
    }

    /// The body of a BatchWriteItem request that puts the items into `table` and asks what that cost.
    pub fn request_body(&self, table: &TableName) -> Bytes {
        let mut body = Vec::with_capacity(self.body_bytes());
        for text in [HEAD, table.as_str(), BEFORE_ITEMS] {
            body.extend_from_slice(text.as_bytes());
        }
        for (index, entry) in self.entries.iter().enumerate() {
            body.extend_from_slice(if index == 0 { b"" } else { b"," });
            body.extend_from_slice(BEFORE_ITEM.as_bytes());
            body.extend_from_slice(&entry.item);
            body.extend_from_slice(AFTER_ITEM.as_bytes());
        }
        body.extend_from_slice(TAIL.as_bytes());
        body.into()
    }

    /// Halves the batch, to find the one item for which the service refuses the whole request. The first
    /// half has the odd item, so only a batch of fewer than two leaves the second empty.
    pub fn split(mut self) -> (Self, Self) {
        let second = self.entries.split_off(self.len().div_ceil(2));
        (self, Self { entries: second })
    }

    /// What is left to write after `response`, in the bytes this batch was given, and the write units the
    /// request consumed. `table` and `schema` are those of the request; an empty batch means all is written.
    ///
    /// The error is retryable and holds no item data: the answer is damaged, or names as unprocessed what
    /// was not in the request. Then nothing is known to be written, and putting all of it again is safe.
    pub fn unprocessed(
        mut self,
        response: &[u8],
        table: &TableName,
        schema: &KeySchema,
    ) -> Result<(Self, f64)> {
        let answer: Answer<'_> = serde_json::from_slice(response).map_err(|error| refuse(&fault(&error)))?;
        if !is_object(response) {
            return Err(refuse("it is not an object"));
        }
        let consumed_units = answer.consumed_capacity.iter().map(|capacity| capacity.capacity_units).sum();
        let left = answer.unprocessed_keys(table, schema)?;
        self.entries.retain(|entry| left.contains(&entry.key));
        if self.len() != left.len() {
            return Err(refuse("an unprocessed item was not in the request"));
        }
        Ok((self, consumed_units))
    }

    fn body_bytes(&self) -> usize {
        FRAME_BYTES + self.entries.iter().map(|entry| item_bytes(&entry.item)).sum::<usize>()
    }
}

fn item_bytes(item: &[u8]) -> usize {
    item.len() + ITEM_FRAME_BYTES
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
    unprocessed_items: HashMap<Cow<'a, str>, Vec<WriteRequest<'a>>>,
    #[serde(default)]
    consumed_capacity: Vec<ConsumedCapacity>,
}

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

impl Answer<'_> {
    fn unprocessed_keys(&self, table: &TableName, schema: &KeySchema) -> Result<HashSet<Key>> {
        if self.unprocessed_items.keys().any(|name| name != table.as_str()) {
            return Err(refuse("it names another table"));
        }
        let requests = self.unprocessed_items.values().flatten();
        let keys = requests.map(|request| Key::of(request.put_request.item.get().as_bytes(), schema));
        keys.collect::<Result<_>>()
            .map_err(|error| refuse("an unprocessed item has no key").with_source(error))
    }
}

#[cfg(test)]
mod tests;
