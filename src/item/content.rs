//! What an item holds, however it is spelt: its canonical form, and the hash of that.
//!
//! The form is laid down byte by byte in ARCHITECTURE.md (“Content hashes”), with test vectors. Hashes of it are
//! kept, so it stays as it is in later versions.

use std::cmp::Ordering;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::key::hash128;
use super::number::Decimal;
use super::size::binary_bytes;
use super::text::Text;
use super::walk::{Collection, Scalar, Visitor};

/// The first byte of each value, which says what follows.
mod tag {
    pub(super) const STRING: u8 = b'S';
    pub(super) const NUMBER: u8 = b'N';
    /// The text of a number that is not a decimal number.
    pub(super) const OTHER_NUMBER: u8 = b'#';
    pub(super) const BINARY: u8 = b'B';
    /// The text of a binary value that is not base64 as DynamoDB writes it.
    pub(super) const OTHER_BINARY: u8 = b'%';
    pub(super) const TRUE: u8 = b'T';
    pub(super) const FALSE: u8 = b'F';
    pub(super) const NULL: u8 = b'0';
    pub(super) const LIST: u8 = b'L';
    pub(super) const MAP: u8 = b'M';
    pub(super) const STRING_SET: u8 = b's';
    pub(super) const NUMBER_SET: u8 = b'n';
    pub(super) const BINARY_SET: u8 = b'b';
    /// The JSON of an item that has no canonical form.
    pub(super) const JSON: u8 = b'J';
}

/// A hash of all that is in an item: its attributes' names, types and values.
///
/// Items share it when DynamoDB takes them for the same, and no others do: whatever the order of attributes,
/// of the members of maps and of the elements of sets, and however strings and numbers are spelt. Binary values
/// are compared by their bytes. The only exception are items with values of a form that is not known, which
/// share it when their JSON is the same byte for byte.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentHash(u128);

impl ContentHash {
    /// That of an item which has no canonical form, given its JSON.
    pub(super) fn of_unknown(item: &[u8]) -> Self {
        Self(hash128(&[&[tag::JSON], item.trim_ascii()].concat()))
    }

    pub fn as_u128(self) -> u128 {
        self.0
    }

    /// One for each number, for tests of what is done with them.
    #[cfg(test)]
    pub(crate) fn of_number(number: u8) -> Self {
        Self(number.into())
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({:032x})", self.0)
    }
}

/// Builds the canonical form of an item while it is read. What it needs is kept for the next item.
#[derive(Default)]
pub(super) struct Content {
    /// The form, as far as the item has been read. That of a collection which is not sorted yet is at the end.
    form: Vec<u8>,
    /// The members and elements of the open maps and sets.
    parts: Vec<Part>,
    /// The collection that values are in, which is the item itself at first.
    open: Open,
    /// The collections around that one, outermost first.
    around: Vec<Open>,
    sorted: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Open {
    collection: Collection,
    /// The place in the form where its count goes. Its parts begin one byte behind that.
    count_at: usize,
    /// Of the elements of a list, which are no parts: they stay as they come.
    elements: usize,
    first_part: usize,
}

/// A member of a map with its name, or an element of a set.
struct Part {
    start: usize,
    /// Both are found when the collection is closed.
    end: usize,
    first_bytes: u64,
}

impl Default for Open {
    fn default() -> Self {
        Self { collection: Collection::Map, count_at: 1, elements: 0, first_part: 0 }
    }
}

impl Content {
    /// Forgets what was read before.
    pub(super) fn begin(&mut self) -> &mut Self {
        self.form.clear();
        self.form.extend_from_slice(&[tag::MAP, 0]);
        self.parts.clear();
        self.open = Open::default();
        self.around.clear();
        self
    }

    /// That of the item that has been read since `begin`, to its end.
    pub(super) fn hash(&mut self) -> ContentHash {
        ContentHash(hash128(self.finish()))
    }

    fn finish(&mut self) -> &[u8] {
        self.finish_open();
        &self.form
    }

    fn begin_part(&mut self) {
        self.parts.push(Part { start: self.form.len(), end: 0, first_bytes: 0 });
    }

    fn finish_open(&mut self) {
        let Open { collection, count_at, elements, first_part } = self.open;
        let count = match collection {
            Collection::List => elements,
            _ => self.parts.len() - first_part,
        };
        self.sort_parts();
        self.parts.truncate(first_part);
        fill_length(&mut self.form, count_at, count);
    }

    /// Puts the parts of the open collection into the order of their bytes.
    fn sort_parts(&mut self) {
        let Open { count_at, first_part, .. } = self.open;
        let (parts, form) = (&mut self.parts[first_part..], &mut self.form);
        let mut end = form.len();
        for part in parts.iter_mut().rev() {
            part.end = end;
            part.first_bytes = first_bytes(&form[part.start..]);
            end = part.start;
        }
        if parts.is_sorted_by(|a, b| a.order(b, form).is_le()) {
            return;
        }
        parts.sort_unstable_by(|a, b| a.order(b, form));
        self.sorted.clear();
        for part in parts {
            self.sorted.extend_from_slice(&form[part.start..part.end]);
        }
        form[count_at + 1..].copy_from_slice(&self.sorted);
    }

    #[inline]
    fn push_text(&mut self, tag: u8, text: Text<'_>) {
        self.form.push(tag);
        push_length(&mut self.form, text.len());
        text.push_to(&mut self.form);
    }

    #[inline]
    fn push_number(&mut self, text: Text<'_>) {
        let digits = text.unescaped();
        let Some(number) = Decimal::parse(&digits) else {
            return self.push_text(tag::OTHER_NUMBER, text);
        };
        self.form.extend_from_slice(&[tag::NUMBER, 0]);
        let start = self.form.len();
        number.push_canonical(&mut self.form);
        let length = self.form.len() - start;
        fill_length(&mut self.form, start - 1, length);
    }

    fn push_binary(&mut self, text: Text<'_>) {
        let start = self.form.len();
        let base64 = text.unescaped();
        self.form.push(tag::BINARY);
        push_length(&mut self.form, binary_bytes(&base64));
        if STANDARD.decode_vec(&base64, &mut self.form).is_err() {
            self.form.truncate(start);
            self.push_text(tag::OTHER_BINARY, text);
        }
    }
}

impl<'a> Visitor<'a> for &mut Content {
    #[inline]
    fn attribute(&mut self, name: Text<'a>) {
        self.member(name);
    }

    #[inline]
    fn member(&mut self, name: Text<'a>) {
        self.begin_part();
        push_length(&mut self.form, name.len());
        name.push_to(&mut self.form);
    }

    #[inline]
    fn element(&mut self) {
        self.open.elements += 1;
    }

    #[inline]
    fn scalar(&mut self, value: Scalar<'a>) {
        if !matches!(self.open.collection, Collection::Map | Collection::List) {
            self.begin_part();
        }
        match value {
            Scalar::S(text) => self.push_text(tag::STRING, text),
            Scalar::N(text) => self.push_number(text),
            Scalar::B(text) => self.push_binary(text),
            Scalar::Bool(true) => self.form.push(tag::TRUE),
            Scalar::Bool(false) => self.form.push(tag::FALSE),
            Scalar::Null => self.form.push(tag::NULL),
        }
    }

    fn open(&mut self, collection: Collection) {
        self.form.extend_from_slice(&[collection_tag(collection), 0]);
        let (count_at, first_part) = (self.form.len() - 1, self.parts.len());
        self.around.push(self.open);
        self.open = Open { collection, count_at, elements: 0, first_part };
    }

    fn close(&mut self) {
        self.finish_open();
        self.open = self.around.pop().expect("a collection that is closed was opened");
    }
}

impl Part {
    /// No part is the beginning of another one, so that two are in the order of their first bytes unless those
    /// are the same.
    #[inline]
    fn order(&self, other: &Self, form: &[u8]) -> Ordering {
        let bytes = |part: &Self| &form[part.start..part.end];
        self.first_bytes.cmp(&other.first_bytes).then_with(|| bytes(self).cmp(bytes(other)))
    }
}

/// Eight bytes, to be compared at once. Where a part has fewer, what is behind it decides only between parts
/// that are the same.
#[inline]
fn first_bytes(form: &[u8]) -> u64 {
    let eight = form.first_chunk().copied().unwrap_or_else(|| {
        let mut padded = [0; 8];
        padded[..form.len()].copy_from_slice(form);
        padded
    });
    u64::from_be_bytes(eight)
}

fn collection_tag(collection: Collection) -> u8 {
    match collection {
        Collection::Map => tag::MAP,
        Collection::List => tag::LIST,
        Collection::StringSet => tag::STRING_SET,
        Collection::NumberSet => tag::NUMBER_SET,
        Collection::BinarySet => tag::BINARY_SET,
    }
}

/// Appends a length or count: unsigned LEB128, of which most take one byte.
#[inline]
fn push_length(form: &mut Vec<u8>, length: usize) {
    let mut rest = length;
    while rest >= 0x80 {
        form.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    form.push(rest as u8);
}

/// Writes a length or count in place of the one byte that was left for it.
#[inline]
fn fill_length(form: &mut Vec<u8>, at: usize, length: usize) {
    if length < 0x80 {
        form[at] = length as u8;
    } else {
        insert_length(form, at, length);
    }
}

#[cold]
fn insert_length(form: &mut Vec<u8>, at: usize, length: usize) {
    form.remove(at);
    let end = form.len();
    push_length(form, length);
    let taken = form.len() - end;
    form[at..].rotate_right(taken);
}

#[cfg(test)]
mod tests;
