//! The answer of a BatchWriteItem: the first line of the input that is no item is where it begins; the items before
//! it are the batch.

use std::collections::HashSet;

use dynamodb_backup::batch::{Batch, BatchBuilder};
use dynamodb_backup::item::{ItemReader, Key};
use dynamodb_backup::schema::{KeyAttribute, KeySchema, KeyType};
use dynamodb_backup::table::TableName;
use serde_json::Value;

const TABLE: &str = "orders";

/// What is left of a batch is a part of it, in its own bytes, and holds all that the answer names.
pub fn check(input: &[u8]) {
    let attribute = |name: &str, kind| KeyAttribute { name: name.to_owned(), kind };
    let schema =
        KeySchema { partition: attribute("pk", KeyType::S), sort: Some(attribute("sk", KeyType::N)) };
    let (puts, answer) = puts(input, &schema);
    let deletes = deletes(&puts.keys(&schema).expect("every item has a key"));
    check_answer(puts, answer, &schema, "PutRequest", "Item");
    check_answer(deletes, answer, &schema, "DeleteRequest", "Key");
}

fn table() -> TableName {
    TableName::parse(TABLE).expect("it is legal")
}

fn puts<'a>(input: &'a [u8], schema: &KeySchema) -> (Batch, &'a [u8]) {
    let (mut reader, mut batch) = (ItemReader::new(schema), BatchBuilder::puts(&table(), None));
    let mut rest = input;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let Ok(row) = reader.read_line(&rest[..end]) else { break };
        if batch.fits(&row) && !batch.contains(row.key) {
            batch.push(&row);
        }
        rest = &rest[end + 1..];
    }
    (batch.finish(), rest)
}

fn deletes(keys: &[Key]) -> Batch {
    let mut batch = BatchBuilder::deletes(&table(), None);
    keys.iter().for_each(|key| batch.push(key));
    batch.finish()
}

fn check_answer(batch: Batch, answer: &[u8], schema: &KeySchema, request: &str, member: &str) {
    let before: Vec<u128> = batch.key_hashes().collect();
    let body = batch.request_body();
    let Ok((left, _)) = batch.unprocessed(answer, schema) else { return };
    let after: Vec<u128> = left.key_hashes().collect();
    let expected: Vec<u128> = before.into_iter().filter(|key| after.contains(key)).collect();
    assert_eq!(after, expected, "what is left was in the batch, in its order");
    if let Some(named) = named(answer, schema, request, member) {
        assert_eq!(named, after.iter().copied().collect(), "what is left is what the answer names");
    }
    if !left.is_empty() {
        let (body, rest) = (requests(&body, request), requests(&left.request_body(), request));
        assert_eq!(rest.len(), after.len());
        assert!(rest.iter().all(|request| body.contains(request)), "in the bytes of the batch");
        let (first, second) = left.split();
        let halves: Vec<u128> = first.key_hashes().chain(second.key_hashes()).collect();
        assert_eq!(halves, after, "both halves are the whole");
    }
}

/// The keys that an answer names as unprocessed, by a full parse; none where it has texts that are no Unicode in
/// what does not matter.
fn named(answer: &[u8], schema: &KeySchema, request: &str, member: &str) -> Option<HashSet<u128>> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let unprocessed = answer["UnprocessedItems"].as_object().expect("every answer has them");
    let requests = unprocessed.values().flat_map(|requests| requests.as_array().expect("it was accepted"));
    let key = |request: &Value| Key::of(request.to_string().as_bytes(), schema).expect("it was accepted");
    Some(requests.map(|each| key(&each[request][member]).hash128()).collect())
}

/// The single requests of a body, as text.
fn requests(body: &[u8], request: &str) -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct Request<'a> {
        #[serde(rename = "RequestItems", borrow)]
        tables: std::collections::HashMap<&'a str, Vec<&'a serde_json::value::RawValue>>,
    }
    if body.is_empty() {
        return Vec::new();
    }
    let body: Request<'_> = serde_json::from_slice(body).expect("a request is JSON");
    let requests = body.tables[TABLE].iter().map(|each| each.get().to_owned());
    requests.inspect(|each| assert!(each.starts_with(&format!("{{\"{request}\"")))).collect()
}
