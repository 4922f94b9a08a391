//! The answer of a BatchWriteItem, which may leave requests unprocessed.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{Consumed, Operation};
use crate::error::{Error, Result};
use crate::item::{ItemReader, fault, is_object};
use crate::page::ConsumedCapacity;
use crate::schema::KeySchema;
use crate::table::TableName;

/// A BatchWriteItem response. `UnprocessedItems` is always there, empty when all was written (DynamoDB API
/// Reference, “BatchWriteItem”): an answer without it says nothing and is not taken for success.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Answer<'a> {
    #[serde(borrow)]
    unprocessed_items: &'a RawValue,
    #[serde(default)]
    consumed_capacity: Vec<ConsumedCapacity>,
}

/// What is unprocessed, by table, as often as the answer names one.
struct Unprocessed<'a>(Vec<(Cow<'a, str>, Vec<WriteRequest<'a>>)>);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WriteRequest<'a> {
    #[serde(borrow)]
    put_request: Option<PutRequest<'a>>,
    #[serde(borrow)]
    delete_request: Option<DeleteRequest<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutRequest<'a> {
    #[serde(borrow)]
    item: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeleteRequest<'a> {
    #[serde(borrow)]
    key: &'a RawValue,
}

impl<'a> Answer<'a> {
    pub(super) fn parse(response: &'a [u8]) -> Result<Self> {
        let answer = serde_json::from_slice(response).map_err(|error| refuse(&fault(&error)))?;
        if is_object(response) { Ok(answer) } else { Err(refuse("it is not an object")) }
    }

    pub(super) fn consumed(&self) -> Option<Consumed> {
        self.consumed_capacity
            .first()
            .map(|capacity| Consumed { units: capacity.capacity_units, table_units: capacity.table_units() })
    }

    /// Whether the answer says, in the way DynamoDB does, that nothing is left.
    pub(super) fn is_complete(&self) -> bool {
        self.unprocessed_items.get() == "{}"
    }

    /// The hashes of the keys in `UnprocessedItems`. What is there may be spelt in another way than it was
    /// sent, so its own bytes are not taken.
    pub(super) fn unprocessed_keys(
        &self,
        operation: Operation,
        table: &TableName,
        schema: &KeySchema,
    ) -> Result<HashSet<u128>> {
        let Unprocessed(tables) =
            serde_json::from_str(self.unprocessed_items.get()).map_err(|error| refuse(&fault(&error)))?;
        if tables.iter().any(|(name, _)| name != table.as_str()) {
            return Err(refuse("it names another table"));
        }
        if tables.len() > 1 {
            return Err(refuse("it names a table twice"));
        }
        let mut reader = ItemReader::new(schema);
        let requests = tables.iter().flat_map(|(_, requests)| requests);
        requests.map(|request| request.key(operation, &mut reader)).collect()
    }
}

impl WriteRequest<'_> {
    /// The hash of the key; an error when this is not a request for `operation` alone.
    fn key(&self, operation: Operation, reader: &mut ItemReader<'_>) -> Result<u128> {
        let json = match (operation, &self.put_request, &self.delete_request) {
            (Operation::Put, Some(put), None) => put.item,
            (Operation::Delete, None, Some(delete)) => delete.key,
            _ => return Err(refuse(&format!("an unprocessed request is not a {}", operation.name()))),
        };
        let row = reader.read_item(json.get().as_bytes());
        row.map(|row| row.key).map_err(|error| refuse("an unprocessed item has no key").with_source(error))
    }
}

/// A map would keep the last of a table's lists, and what is in the others would count as written.
impl<'de: 'a, 'a> Deserialize<'de> for Unprocessed<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Tables;

        impl<'de> Visitor<'de> for Tables {
            type Value = Unprocessed<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object of tables")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut tables = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    tables.push(entry);
                }
                Ok(Unprocessed(tables))
            }
        }

        deserializer.deserialize_map(Tables)
    }
}

pub(super) fn refuse(reason: &str) -> Error {
    Error::retryable(format!("the answer is not a BatchWriteItem response: {reason}"))
}
