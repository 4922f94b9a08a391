//! A Scan response: the first byte of the input is the length of the pieces it comes in, the rest is the response.

use dynamodb_backup::error::Result;
use dynamodb_backup::page::{Page, PageReader};
use serde::Deserialize;
use serde_json::value::RawValue;

/// However a response is cut, it comes to the same; and without a checksum, just what a full parse accepts is
/// accepted, as the very bytes of the response.
pub fn check(input: &[u8]) {
    let Some((&length, body)) = input.split_first() else { return };
    let whole = read([body], PageReader::finish);
    let in_pieces = read(body.chunks(usize::from(length).max(1)), PageReader::finish);
    assert_eq!(in_pieces, whole, "in pieces of {length} and as a whole");
    let unverified = read([body], PageReader::finish_unverified);
    let by_a_full_parse = reference(body).filter(|_| unverified.is_some() || !has_escaped_letters(body));
    assert_eq!(unverified, by_a_full_parse, "without a checksum and by a full parse");
    assert!(unverified.is_none() || unverified == whole, "without a checksum and with one");
}

/// What a response holds.
#[derive(Debug, PartialEq)]
struct Found {
    lines: Vec<u8>,
    items: usize,
    key: Option<String>,
    units: Option<f64>,
}

fn read<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    finish: impl FnOnce(PageReader) -> Result<Page>,
) -> Option<Found> {
    let mut reader = PageReader::reusing(Vec::new());
    let fed = pieces.into_iter().try_for_each(|piece| reader.feed(piece));
    let page = fed.and_then(|()| finish(reader)).inspect_err(|error| assert!(error.is_retryable())).ok()?;
    Some(Found {
        lines: page.lines().to_owned(),
        items: page.len(),
        key: page.last_evaluated_key().map(|key| key.get().to_owned()),
        units: page.consumed_units(),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Response<'a> {
    #[serde(borrow)]
    items: Vec<&'a RawValue>,
    count: usize,
    #[serde(borrow)]
    last_evaluated_key: Option<&'a RawValue>,
    consumed_capacity: Option<ConsumedCapacity>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ConsumedCapacity {
    #[serde(default)]
    capacity_units: f64,
    #[serde(rename = "Table")]
    _table: Option<Units>,
    #[serde(default, rename = "LocalSecondaryIndexes")]
    _indexes: std::collections::HashMap<String, Units>,
}

#[derive(Deserialize)]
struct Units {
    #[serde(default, rename = "CapacityUnits")]
    _units: f64,
}

/// Whether the name `Items` may be spelled with escapes, which is refused.
fn has_escaped_letters(body: &[u8]) -> bool {
    body.windows(4).any(|bytes| bytes == br"\u00")
}

fn reference(body: &[u8]) -> Option<Found> {
    let response: Response<'_> = serde_json::from_slice(body).ok()?;
    let is_object = |json: &[u8]| json.trim_ascii_start().first() == Some(&b'{');
    let mut values = response.items.iter().chain(&response.last_evaluated_key);
    let is_sound = is_object(body)
        && values.all(|value| is_object(value.get().as_bytes()))
        && response.items.len() == response.count;
    let line = |item: &&RawValue| format!("{{\"Item\":{}}}\n", item.get().replace(['\n', '\r'], " "));
    is_sound.then(|| Found {
        lines: response.items.iter().map(line).collect::<String>().into_bytes(),
        items: response.count,
        key: response.last_evaluated_key.map(|key| key.get().to_owned()),
        units: response.consumed_capacity.map(|capacity| capacity.capacity_units),
    })
}
