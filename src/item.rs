//! One item as the JSON bytes DynamoDB sent, `{"pk":{"S":"a"},…}`: its key, its size and a hash of all of it.
//!
//! An item is read once, from left to right (`walk`), and nothing of it is turned into values.

mod content;
mod key;
mod number;
mod size;
mod text;
mod unknown;
mod walk;

use serde_json::error::Category;

use self::content::Content;
pub use self::content::ContentHash;
pub use self::key::Key;
use self::key::KeyAttributes;
use self::size::Size;
pub use self::size::write_units;
use crate::error::{Error, Result};
use crate::schema::KeySchema;

/// What a write needs to know of one item.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    /// The item's JSON, without the line around it.
    pub item: &'a [u8],
    /// What [`Key::hash128`] gives for the item's key.
    pub key: u128,
    /// The item's size as DynamoDB counts it, which is less than its JSON takes; that of its JSON where it has
    /// values that are not known.
    pub size_bytes: u64,
}

impl Row<'_> {
    /// The write units that putting the item takes, at least 1; see [`write_units`].
    pub fn write_units(&self) -> u64 {
        write_units(self.size_bytes)
    }
}

/// Reads the items of one table, in one pass each and without allocating.
pub struct ItemReader<'s> {
    schema: &'s KeySchema,
    canonical: Vec<u8>,
    content: Content,
}

impl<'s> ItemReader<'s> {
    pub fn new(schema: &'s KeySchema) -> Self {
        Self { schema, canonical: Vec::new(), content: Content::default() }
    }

    /// Reads a line `{"Item":{…}}` of a part, as [`line_item`] does, and the item in it.
    ///
    /// Values of a form that is not known do no harm outside the key (`unknown`).
    ///
    /// The error is permanent: the line is not one item, or a key attribute is missing,
    /// twice there or of another type than the schema says. It names the attribute, never its value.
    pub fn read_line<'a>(&mut self, line: &'a [u8]) -> Result<Row<'a>> {
        let mut found = (KeyAttributes::new(self.schema), Size::default());
        match walk::line(line, &mut found) {
            Ok(item) => self.row(item, &found),
            Err(fault) => self.unknown(unknown::line_item(line).ok_or_else(|| not_an_item(fault))?),
        }
    }

    /// As [`Self::read_line`], and in the same pass the hash of all that is in the item.
    pub fn read_line_with_content<'a>(&mut self, line: &'a [u8]) -> Result<(Row<'a>, ContentHash)> {
        let found = (KeyAttributes::new(self.schema), Size::default());
        let mut found = (found, self.content.begin());
        match walk::line(line, &mut found) {
            Ok(item) => {
                let (found, _) = found;
                Ok((self.row(item, &found)?, self.content.hash()))
            }
            Err(fault) => {
                let item = unknown::line_item(line).ok_or_else(|| not_an_item(fault))?;
                Ok((self.unknown(item)?, ContentHash::of_unknown(item)))
            }
        }
    }

    /// Reads an item without a line around it; the errors are those of [`Self::read_line`].
    pub fn read_item<'a>(&mut self, item: &'a [u8]) -> Result<Row<'a>> {
        let mut found = (KeyAttributes::new(self.schema), Size::default());
        match walk::item(item, &mut found) {
            Ok(item) => self.row(item, &found),
            Err(_) => self.unknown(item),
        }
    }

    fn row<'a>(&mut self, item: &'a [u8], found: &(KeyAttributes<'_, '_>, Size)) -> Result<Row<'a>> {
        let (attributes, size) = found;
        self.canonical.clear();
        attributes.push_canonical(&mut self.canonical)?;
        let size_bytes = size.bytes().unwrap_or(item.len() as u64);
        Ok(Row { item, key: key::hash128(&self.canonical), size_bytes })
    }

    fn unknown<'a>(&self, item: &'a [u8]) -> Result<Row<'a>> {
        let key = Key::of(item, self.schema)?;
        Ok(Row { item, key: key.hash128(), size_bytes: item.len() as u64 })
    }
}

/// The item in a line `{"Item":{…}}` of a part, with any whitespace around it.
///
/// The error is permanent: a line with other members than `Item` belongs to another format (an incremental
/// export), and to take it for an item would drop the rest.
pub fn line_item(line: &[u8]) -> Result<&[u8]> {
    walk::line(line, &mut ()).or_else(|fault| unknown::line_item(line).ok_or_else(|| not_an_item(fault)))
}

/// What is wrong with a piece of JSON and where. serde's own text may quote the data, so it is used only
/// for syntax errors, where it is fixed.
pub(crate) fn fault(error: &serde_json::Error) -> String {
    match error.classify() {
        Category::Data => {
            format!("a member is missing, unknown or of another type at column {}", error.column())
        }
        Category::Syntax | Category::Eof | Category::Io => error.to_string(),
    }
}

/// Whether JSON that has been checked is an object: serde takes an array for a struct, too.
pub(crate) fn is_object(json: &[u8]) -> bool {
    json.trim_ascii_start().first() == Some(&b'{')
}

fn not_an_item(fault: walk::Fault) -> Error {
    Error::permanent(format!("the line is not an item: {fault}"))
}

fn unreadable(reason: impl std::fmt::Display) -> Error {
    Error::permanent(format!("the item is not readable: {reason}"))
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod spelling;
#[cfg(test)]
mod tests;
