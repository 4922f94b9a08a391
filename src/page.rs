//! One answer of a Scan, read as it arrives and kept as the bytes DynamoDB sent.

mod block;
mod envelope;
mod scan;

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::{Error, Result};
use crate::item::fault;

use envelope::Envelope;
use scan::ItemScan;

/// A page is 1 MB of items as DynamoDB counts them (DynamoDB API Reference, “Scan”), which takes about nine times
/// as much at most as JSON: lists of empty strings. This keeps a broken answer from filling the memory.
const MAX_LINES_BYTES: usize = 32 << 20;

const BEFORE_ITEM: &[u8] = br#"{"Item":"#;
const AFTER_ITEM: &[u8] = b"}\n";

/// The items of one Scan response as lines `{"Item":…}`. None was turned into values and back, so a number
/// keeps its digits and an attribute its place.
pub struct Page {
    lines: Vec<u8>,
    items: usize,
    last_evaluated_key: Option<Box<RawValue>>,
    consumed_units: Option<f64>,
}

/// What a request cost, in read or write units (DynamoDB API Reference, “ConsumedCapacity”).
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ConsumedCapacity {
    #[serde(default)]
    pub(crate) capacity_units: f64,
    /// The part of the table itself, where that was asked for.
    table: Option<Units>,
    #[serde(default)]
    local_secondary_indexes: HashMap<String, Units>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Units {
    #[serde(default)]
    capacity_units: f64,
}

impl ConsumedCapacity {
    /// What it took of the table's own capacity: local indexes share it, global ones have theirs (DynamoDB
    /// Developer Guide, “Local secondary indexes” and “Using global secondary indexes”).
    pub(crate) fn table_units(&self) -> f64 {
        let local = || self.local_secondary_indexes.values().map(|index| index.capacity_units).sum::<f64>();
        self.table.as_ref().map_or(self.capacity_units, |table| table.capacity_units + local())
    }
}

impl Page {
    /// The items, each a line `{"Item":…}` with its newline, in the order of the scan.
    pub fn lines(&self) -> &[u8] {
        &self.lines
    }

    /// How many items the page has.
    pub fn len(&self) -> usize {
        self.items
    }

    /// Whether the page has no items. It may still have a key to go on from.
    pub fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// Where the scan goes on; none when the segment has been read to its end.
    pub fn last_evaluated_key(&self) -> Option<&RawValue> {
        self.last_evaluated_key.as_deref()
    }

    /// The read capacity units the page cost, if the response tells.
    pub fn consumed_units(&self) -> Option<f64> {
        self.consumed_units
    }

    /// The memory of the lines, for the next page: see [`PageReader::reusing`].
    pub fn into_buffer(self) -> Vec<u8> {
        self.lines
    }
}

/// Reads a Scan response piece by piece, as the network cuts it, and copies each item once: into its line.
///
/// Any error is retryable and holds no item data: a response that is cut short, is not a Scan response or
/// has another number of items than its `Count` was damaged on its way. After an error the reader is of no
/// more use.
pub struct PageReader {
    place: Place,
    envelope: Envelope,
    lines: Vec<u8>,
    items: usize,
}

/// What the next byte of the response belongs to.
#[derive(Clone, Copy)]
enum Place {
    Envelope,
    Items(Next),
    Item(ItemScan),
}

/// What has to come next between items, besides whitespace.
#[derive(Clone, Copy)]
enum Next {
    ItemOrEnd,
    CommaOrEnd,
    Item,
}

impl PageReader {
    /// A reader that fills `lines`, which is cleared first. A buffer that held a page before has its memory
    /// mapped already: that is a good part of what a page costs.
    pub fn reusing(mut lines: Vec<u8>) -> Self {
        lines.clear();
        Self { place: Place::Envelope, envelope: Envelope::default(), lines, items: 0 }
    }

    /// Reads the next bytes of the response, which may be cut anywhere.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        if self.lines.len() > MAX_LINES_BYTES {
            return Err(refuse("its items are larger than a page can be"));
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = match self.place {
                Place::Envelope => self.read_envelope(rest)?,
                Place::Items(next) => self.read_between(next, rest)?,
                Place::Item(scan) => self.read_item(scan, rest)?,
            };
        }
        Ok(())
    }

    /// Ends a response whose checksum was right, and so holds what DynamoDB sent: items are known by their
    /// braces, and what is in them is not looked at.
    pub fn finish(self) -> Result<Page> {
        if !matches!(self.place, Place::Envelope) {
            return Err(refuse("it ends within its items"));
        }
        let members = self.envelope.members()?;
        if self.items != members.count {
            return Err(refuse(&format!("it has {} items but counts {}", self.items, members.count)));
        }
        Ok(Page {
            lines: self.lines,
            items: self.items,
            last_evaluated_key: members.last_evaluated_key.map(ToOwned::to_owned),
            consumed_units: members.consumed_capacity.map(|capacity| capacity.capacity_units),
        })
    }

    /// Ends a response that came without a checksum: each item must be JSON, which takes several times as long.
    pub fn finish_unverified(self) -> Result<Page> {
        let page = self.finish()?;
        for line in page.lines.split_inclusive(|byte| *byte == b'\n') {
            let item = &line[BEFORE_ITEM.len()..line.len() - AFTER_ITEM.len()];
            serde_json::from_slice::<&RawValue>(item).map_err(|error| refuse(&fault(&error)))?;
        }
        Ok(page)
    }

    fn read_envelope<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8]> {
        let Some(rest) = self.envelope.read(bytes)? else { return Ok(&[]) };
        self.place = Place::Items(Next::ItemOrEnd);
        Ok(rest)
    }

    fn read_between<'a>(&mut self, next: Next, bytes: &'a [u8]) -> Result<&'a [u8]> {
        let is_token = |byte: &u8| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        let Some(at) = bytes.iter().position(is_token) else { return Ok(&[]) };
        self.place = match (bytes[at], next) {
            (b'{', Next::ItemOrEnd | Next::Item) => {
                self.lines.extend_from_slice(BEFORE_ITEM);
                self.lines.push(b'{');
                Place::Item(ItemScan::after_brace())
            }
            (b',', Next::CommaOrEnd) => Place::Items(Next::Item),
            (b']', Next::ItemOrEnd | Next::CommaOrEnd) => Place::Envelope,
            _ => return Err(refuse("its items are not objects with one comma between them")),
        };
        Ok(&bytes[at + 1..])
    }

    fn read_item<'a>(&mut self, mut scan: ItemScan, bytes: &'a [u8]) -> Result<&'a [u8]> {
        let end = scan.end(bytes)?;
        let (item, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
        let start = self.lines.len();
        self.lines.extend_from_slice(item);
        if scan.has_line_breaks() {
            put_on_one_line(&mut self.lines[start..]);
        }
        self.place = match end {
            None => Place::Item(scan),
            Some(_) => {
                self.lines.extend_from_slice(AFTER_ITEM);
                self.items += 1;
                Place::Items(Next::CommaOrEnd)
            }
        };
        Ok(rest)
    }
}

/// Makes the line breaks of an item spaces: a line is an item. They can only be between tokens, and stay
/// whitespace there, since without any two tokens might become one.
#[cold]
fn put_on_one_line(item: &mut [u8]) {
    for byte in item {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}

fn refuse(reason: &str) -> Error {
    Error::retryable(format!("the page is not a Scan response: {reason}"))
}

#[cfg(test)]
mod tests;
