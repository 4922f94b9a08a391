//! A Scan response without its items.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::{ConsumedCapacity, refuse};
use crate::error::Result;
use crate::item::{fault, is_object};

/// Far more than a `LastEvaluatedKey` takes: a partition key has at most 2048 bytes and a sort key 1024 (Amazon
/// DynamoDB Developer Guide, “Quotas in Amazon DynamoDB”), which escapes can make six times as many.
const MAX_BYTES: usize = 64 << 10;

/// Everything of a response but the elements of its `Items`, which is an empty array here: still JSON.
#[derive(Default)]
pub(super) struct Envelope {
    json: Vec<u8>,
    depth: usize,
    in_string: bool,
    is_escaped: bool,
}

/// The members of a Scan response that matter here (Amazon DynamoDB API Reference, “Scan”).
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Members<'a> {
    items: Vec<IgnoredAny>,
    pub(super) count: usize,
    #[serde(borrow)]
    pub(super) last_evaluated_key: Option<&'a RawValue>,
    pub(super) consumed_capacity: Option<ConsumedCapacity>,
}

impl Envelope {
    /// Reads on and returns what comes after the `[` of `Items`, or none when that is yet to come, or is past.
    pub(super) fn read<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<&'a [u8]>> {
        for (at, &byte) in bytes.iter().enumerate() {
            if byte == b'[' && self.is_before_items() {
                self.json.extend_from_slice(b"[]");
                return Ok(Some(&bytes[at + 1..]));
            }
            if self.json.len() == MAX_BYTES {
                return Err(refuse(&format!("it has more than {MAX_BYTES} bytes besides its items")));
            }
            self.json.push(byte);
            self.follow(byte);
        }
        Ok(None)
    }

    /// Keeps track of strings and of how deep the next byte is.
    fn follow(&mut self, byte: u8) {
        let was_escaped = std::mem::take(&mut self.is_escaped);
        match byte {
            b'"' if !was_escaped => self.in_string = !self.in_string,
            b'\\' if self.in_string => self.is_escaped = !was_escaped,
            b'{' | b'[' if !self.in_string => self.depth += 1,
            b'}' | b']' if !self.in_string => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }

    /// Whether the value that begins here is that of the response's own member `Items`. One that is spelled
    /// with escapes is not seen, and refused later because it has elements.
    fn is_before_items(&self) -> bool {
        let name = || {
            let before_colon = self.json.trim_ascii_end().strip_suffix(b":")?;
            let before_name = before_colon.trim_ascii_end().strip_suffix(br#""Items""#)?;
            before_name.trim_ascii_end().last()
        };
        !self.in_string && self.depth == 1 && matches!(name(), Some(b'{' | b','))
    }

    pub(super) fn members(&self) -> Result<Members<'_>> {
        let members: Members<'_> =
            serde_json::from_slice(&self.json).map_err(|error| refuse(&fault(&error)))?;
        let key_is_object = members.last_evaluated_key.is_none_or(|key| is_object(key.get().as_bytes()));
        if !is_object(&self.json) || !key_is_object {
            return Err(refuse("a value that must be an object is not"));
        }
        if !members.items.is_empty() {
            return Err(refuse("the name of its items is spelled with escapes"));
        }
        Ok(members)
    }
}
