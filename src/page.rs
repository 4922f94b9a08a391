//! One answer of a Scan, kept as the bytes DynamoDB sent.

use std::io;
use std::ops::Range;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::{Error, Result};
use crate::item::{fault, is_object};

/// The items of one Scan response, each a range of the one body: none is turned into values and back, so a
/// number keeps its digits and an attribute its place.
pub struct Page {
    body: Bytes,
    items: Vec<Range<usize>>,
    last_evaluated_key: Option<Range<usize>>,
    consumed_units: f64,
}

/// The members of a Scan response that matter here (DynamoDB API Reference, “Scan”).
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

/// What a request cost, in read or write units.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ConsumedCapacity {
    #[serde(default)]
    pub(crate) capacity_units: f64,
}

impl Page {
    /// Reads a response. The error is retryable and holds no item data: a body that is cut short, is not a
    /// Scan response or has another number of items than its `Count` was damaged on its way.
    pub fn parse(body: Bytes) -> Result<Self> {
        let response: Response<'_> = serde_json::from_slice(&body).map_err(|error| refuse(&fault(&error)))?;
        let values = || response.items.iter().chain(&response.last_evaluated_key);
        if !is_object(&body) || !values().all(|value| is_object(value.get().as_bytes())) {
            return Err(refuse("a value that must be an object is not"));
        }
        if response.items.len() != response.count {
            return Err(refuse(&format!(
                "it has {} items but counts {}",
                response.items.len(),
                response.count
            )));
        }
        let items = response.items.iter().map(|item| place(item, &body)).collect();
        let last_evaluated_key = response.last_evaluated_key.map(|key| place(key, &body));
        let consumed_units = response.consumed_capacity.map_or(0.0, |capacity| capacity.capacity_units);
        Ok(Self { items, last_evaluated_key, consumed_units, body })
    }

    /// The items as raw JSON objects, in the order of the scan.
    pub fn items(&self) -> impl Iterator<Item = &[u8]> {
        self.items.iter().map(|range| &self.body[range.clone()])
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether the page has no items. It may still have a key to go on from.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Where the scan goes on, as raw JSON; none when the segment has been read to its end.
    pub fn last_evaluated_key(&self) -> Option<&[u8]> {
        self.last_evaluated_key.clone().map(|range| &self.body[range])
    }

    /// The read capacity units the page cost, 0 if the response does not tell.
    pub fn consumed_units(&self) -> f64 {
        self.consumed_units
    }

    /// Writes each item as a line `{"Item":…}` and tells how many bytes that made.
    pub fn write_lines(&self, out: &mut impl io::Write) -> io::Result<u64> {
        let mut written = 0;
        for item in self.items() {
            out.write_all(br#"{"Item":"#)?;
            written += write_on_one_line(item, out)?;
            out.write_all(b"}\n")?;
        }
        Ok(written + (self.len() * LINE_FRAME_BYTES) as u64)
    }
}

const LINE_FRAME_BYTES: usize = br#"{"Item":}"#.len() + b"\n".len();

/// Writes JSON without its line breaks. In a string a line break is always escaped, so one that is found can
/// only be whitespace between tokens.
fn write_on_one_line(json: &[u8], out: &mut impl io::Write) -> io::Result<u64> {
    if !json.contains(&b'\n') && !json.contains(&b'\r') {
        out.write_all(json)?;
        return Ok(json.len() as u64);
    }
    let mut written = 0;
    for piece in json.split(|byte| matches!(byte, b'\n' | b'\r')) {
        out.write_all(piece)?;
        written += piece.len() as u64;
    }
    Ok(written)
}

/// Where in `body` a value that was borrowed from it lies.
fn place(value: &RawValue, body: &[u8]) -> Range<usize> {
    let start = value.get().as_ptr().addr() - body.as_ptr().addr();
    start..start + value.get().len()
}

fn refuse(reason: &str) -> Error {
    Error::retryable(format!("the page is not a Scan response: {reason}"))
}

#[cfg(test)]
mod tests;
