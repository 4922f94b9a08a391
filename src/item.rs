//! One item as the JSON bytes DynamoDB sent, `{"pk":{"S":"a"},…}`, and the key in it.

mod number;

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::error::{Error, Result};
use crate::schema::{KeyAttribute, KeySchema, KeyType};

/// The primary key of an item.
///
/// Keys are equal when DynamoDB takes them for the same: strings by their characters, however they are
/// escaped, and numbers by value, so that `1`, `1.0` and `01E0` are one key. Binary values are compared by
/// their base64 text, which DynamoDB always pads and never wraps.
#[derive(Clone)]
pub struct Key {
    json: Box<str>,
    canonical: Box<[u8]>,
}

impl Key {
    /// Takes the key attributes out of an item (or out of a `LastEvaluatedKey`, which has nothing else).
    ///
    /// The error is permanent: the bytes are not an item, or a key attribute is missing, twice there or of
    /// another type than the schema says. It names the attribute, never its value.
    pub fn of(item: &[u8], schema: &KeySchema) -> Result<Self> {
        let mut json = serde_json::Deserializer::from_slice(item);
        let (partition, sort) = KeyAttributes(schema)
            .deserialize(&mut json)
            .and_then(|found| json.end().map(|()| found))
            .map_err(|error| Error::permanent(format!("the item is not readable: {}", fault(&error))))?;
        let mut key = KeyBuilder::default();
        key.push(&schema.partition, partition)?;
        if let Some(attribute) = &schema.sort {
            key.push(attribute, sort)?;
        }
        Ok(key.build())
    }

    /// The key as JSON, partition key first, digits as they were sent: `{"pk":{"S":"a"},"sk":{"N":"1"}}`.
    /// It is fit to be an `ExclusiveStartKey`. Equal keys may differ here.
    pub fn to_raw(&self) -> Box<RawValue> {
        RawValue::from_string(self.json.to_string()).expect("a key is built as JSON")
    }

    /// A hash that equal keys share, now and in later versions: BLAKE3 of the canonical form, cut to 128 bits.
    pub fn hash128(&self) -> u128 {
        let mut short = [0; 16];
        short.copy_from_slice(&blake3::hash(&self.canonical).as_bytes()[..16]);
        u128::from_be_bytes(short)
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.canonical == other.canonical
    }
}

impl Eq for Key {}

impl std::hash::Hash for Key {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.canonical.hash(state);
    }
}

/// A key is item data, which must not reach a log: only its hash is shown.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:032x})", self.hash128())
    }
}

/// The item in a line `{"Item":{…}}` of a part, with any whitespace around it.
///
/// The error is permanent: a line with other members than `Item` belongs to another format (an incremental
/// export), and to take it for an item would drop the rest.
pub fn line_item(line: &[u8]) -> Result<&[u8]> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Line<'a> {
        #[serde(rename = "Item", borrow)]
        item: &'a RawValue,
    }
    match serde_json::from_slice::<Line<'_>>(line) {
        Ok(found) if is_object(line) && is_object(found.item.get().as_bytes()) => {
            Ok(found.item.get().as_bytes())
        }
        Ok(_) => Err(Error::permanent("the line is not an item: it or its item is not an object")),
        Err(error) => Err(Error::permanent(format!("the line is not an item: {}", fault(&error)))),
    }
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

/// Reads an item and keeps its key attributes; the others are checked for syntax and passed over.
struct KeyAttributes<'a>(&'a KeySchema);

type Found<'de> = (Option<&'de RawValue>, Option<&'de RawValue>);

impl<'de> DeserializeSeed<'de> for KeyAttributes<'_> {
    type Value = Found<'de>;

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for KeyAttributes<'_> {
    type Value = Found<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an item")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut item: A) -> Result<Self::Value, A::Error> {
        let (mut partition, mut sort) = (None, None);
        while let Some(Text(name)) = item.next_key()? {
            let slot = if name == self.0.partition.name {
                &mut partition
            } else if self.0.sort.as_ref().is_some_and(|sort| name == sort.name) {
                &mut sort
            } else {
                item.next_value::<IgnoredAny>()?;
                continue;
            };
            if slot.replace(item.next_value()?).is_some() {
                return Err(serde::de::Error::custom("a key attribute is there twice"));
            }
        }
        Ok((partition, sort))
    }
}

/// A string that is borrowed from the JSON unless it holds escapes.
#[derive(Deserialize, Serialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The value of a key attribute: one of DynamoDB's scalar types, tagged as in its JSON.
#[derive(Deserialize, Serialize)]
enum Scalar<'a> {
    S(#[serde(borrow)] Text<'a>),
    N(#[serde(borrow)] Text<'a>),
    B(#[serde(borrow)] Text<'a>),
}

impl Scalar<'_> {
    fn parts(&self) -> (KeyType, &str) {
        match self {
            Self::S(Text(text)) => (KeyType::S, text),
            Self::N(Text(text)) => (KeyType::N, text),
            Self::B(Text(text)) => (KeyType::B, text),
        }
    }
}

#[derive(Default)]
struct KeyBuilder {
    json: String,
    canonical: Vec<u8>,
}

impl KeyBuilder {
    fn push(&mut self, attribute: &KeyAttribute, found: Option<&RawValue>) -> Result<()> {
        let json = found.ok_or_else(|| refuse(attribute, "is missing"))?.get();
        let value: Scalar<'_> = serde_json::from_str(json)
            .map_err(|_| refuse(attribute, "is not a string, number or binary value"))?;
        let (kind, text) = value.parts();
        if kind != attribute.kind {
            return Err(refuse(attribute, &format!("has the type {kind}, not {}", attribute.kind)));
        }
        self.push_canonical(attribute, &canonical(attribute, text)?);
        self.push_json(attribute, &value);
        Ok(())
    }

    /// Lengths go first, so that no two different keys run together into the same bytes.
    fn push_canonical(&mut self, attribute: &KeyAttribute, value: &str) {
        self.canonical.extend((attribute.name.len() as u64).to_be_bytes());
        self.canonical.extend(attribute.name.as_bytes());
        self.canonical.extend(attribute.kind.as_str().as_bytes());
        self.canonical.extend((value.len() as u64).to_be_bytes());
        self.canonical.extend(value.as_bytes());
    }

    fn push_json(&mut self, attribute: &KeyAttribute, value: &Scalar<'_>) {
        let text = |json: serde_json::Result<String>| json.expect("strings always serialise");
        self.json.push(if self.json.is_empty() { '{' } else { ',' });
        self.json.push_str(&text(serde_json::to_string(&attribute.name)));
        self.json.push(':');
        self.json.push_str(&text(serde_json::to_string(value)));
    }

    fn build(mut self) -> Key {
        self.json.push('}');
        Key { json: self.json.into(), canonical: self.canonical.into() }
    }
}

fn canonical<'a>(attribute: &KeyAttribute, text: &'a str) -> Result<Cow<'a, str>> {
    match attribute.kind {
        KeyType::S | KeyType::B => Ok(text.into()),
        KeyType::N => number::canonical(text)
            .map(Cow::Owned)
            .ok_or_else(|| refuse(attribute, "is not a decimal number")),
    }
}

fn refuse(attribute: &KeyAttribute, reason: &str) -> Error {
    Error::permanent(format!("the item's key attribute {:?} {reason}", attribute.name))
}

#[cfg(test)]
mod tests;
