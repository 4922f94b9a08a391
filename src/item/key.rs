//! The key of an item: what it takes to find it, and to know it again.

use std::fmt;

use serde_json::value::RawValue;

use super::number::Decimal;
use super::text::Text;
use super::walk::{Collection, Scalar, Visitor};
use super::{unknown, unreadable, walk};
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
        let mut attributes = KeyAttributes::new(schema);
        match walk::item(item, &mut attributes) {
            Ok(_) => attributes.key(),
            Err(fault) => {
                let alone = unknown::key_alone(item, schema).ok_or_else(|| unreadable(fault))?;
                let mut attributes = KeyAttributes::new(schema);
                walk::item(&alone, &mut attributes).map_err(unreadable)?;
                attributes.key()
            }
        }
    }

    /// The key as JSON, partition key first, digits as they were sent: `{"pk":{"S":"a"},"sk":{"N":"1"}}`.
    /// It is fit to be an `ExclusiveStartKey`. Equal keys may differ here.
    pub fn to_raw(&self) -> Box<RawValue> {
        RawValue::from_string(self.json.to_string()).expect("a key is built as JSON")
    }

    /// A hash that equal keys share, now and in later versions: BLAKE3 of the canonical form, cut to 128 bits.
    pub fn hash128(&self) -> u128 {
        hash128(&self.canonical)
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

/// The hash of a canonical form: BLAKE3, cut to 128 bits.
pub(super) fn hash128(canonical: &[u8]) -> u128 {
    let mut short = [0; 16];
    short.copy_from_slice(&blake3::hash(canonical).as_bytes()[..16]);
    u128::from_be_bytes(short)
}

/// Looks for the key attributes of an item among its attributes.
pub(super) struct KeyAttributes<'a, 's> {
    schema: &'s KeySchema,
    partition: Found<'a>,
    sort: Found<'a>,
    /// Whose value comes next.
    next: Next,
}

#[derive(Clone, Copy)]
enum Found<'a> {
    Nothing,
    Value(KeyType, Text<'a>),
    /// A value of a type that no key has.
    OtherType,
    Twice,
}

#[derive(Clone, Copy)]
enum Next {
    Partition,
    Sort,
    Other,
}

impl<'a> Visitor<'a> for KeyAttributes<'a, '_> {
    #[inline]
    fn attribute(&mut self, name: Text<'a>) {
        if name.is(&self.schema.partition.name) {
            self.next = Next::Partition;
        } else if self.schema.sort.as_ref().is_some_and(|sort| name.is(&sort.name)) {
            self.next = Next::Sort;
        }
    }

    #[inline]
    fn scalar(&mut self, value: Scalar<'a>) {
        if !matches!(self.next, Next::Other) {
            self.found(match value {
                Scalar::S(text) => Found::Value(KeyType::S, text),
                Scalar::N(text) => Found::Value(KeyType::N, text),
                Scalar::B(text) => Found::Value(KeyType::B, text),
                Scalar::Bool(_) | Scalar::Null => Found::OtherType,
            });
        }
    }

    #[inline]
    fn open(&mut self, _: Collection) {
        self.found(Found::OtherType);
    }
}

impl<'a, 's> KeyAttributes<'a, 's> {
    pub(super) fn new(schema: &'s KeySchema) -> Self {
        Self { schema, partition: Found::Nothing, sort: Found::Nothing, next: Next::Other }
    }

    fn found(&mut self, value: Found<'a>) {
        let place = match std::mem::replace(&mut self.next, Next::Other) {
            Next::Partition => &mut self.partition,
            Next::Sort => &mut self.sort,
            Next::Other => return,
        };
        *place = if matches!(place, Found::Nothing) { value } else { Found::Twice };
    }

    fn key(&self) -> Result<Key> {
        let mut canonical = Vec::new();
        self.push_canonical(&mut canonical)?;
        Ok(Key { json: self.json()?.into(), canonical: canonical.into() })
    }

    /// Appends the bytes that equal keys share, and no others. They are hashed, so they stay as they are in
    /// later versions. Lengths go first, so that no two different keys run together into the same bytes.
    pub(super) fn push_canonical(&self, to: &mut Vec<u8>) -> Result<()> {
        self.each(|attribute, value| {
            to.extend_from_slice(&(attribute.name.len() as u64).to_be_bytes());
            to.extend_from_slice(attribute.name.as_bytes());
            to.extend_from_slice(attribute.kind.as_str().as_bytes());
            let length_at = to.len();
            to.extend_from_slice(&[0; 8]);
            push_value(attribute, value, to)?;
            let value_at = length_at + 8;
            let length = (to.len() - value_at) as u64;
            to[length_at..value_at].copy_from_slice(&length.to_be_bytes());
            Ok(())
        })
    }

    fn json(&self) -> Result<String> {
        let text = |text: &[u8]| {
            let text = str::from_utf8(text).expect("a text is checked when it is read");
            serde_json::to_string(text).expect("strings always serialise")
        };
        let mut json = String::new();
        self.each(|attribute, value| {
            json.push(if json.is_empty() { '{' } else { ',' });
            let (name, value) = (text(attribute.name.as_bytes()), text(&value.unescaped()));
            json.push_str(&format!(r#"{name}:{{"{}":{value}}}"#, attribute.kind));
            Ok(())
        })?;
        json.push('}');
        Ok(json)
    }

    /// The key attributes with their values, the partition key first.
    fn each(&self, mut visit: impl FnMut(&KeyAttribute, Text<'a>) -> Result<()>) -> Result<()> {
        let partition = &self.schema.partition;
        visit(partition, self.partition.value_of(partition)?)?;
        let Some(sort) = &self.schema.sort else { return Ok(()) };
        visit(sort, self.sort.value_of(sort)?)
    }
}

impl<'a> Found<'a> {
    fn value_of(self, attribute: &KeyAttribute) -> Result<Text<'a>> {
        match self {
            Self::Value(kind, value) if kind == attribute.kind => Ok(value),
            Self::Value(kind, _) => {
                Err(refuse(attribute, &format!("has the type {kind}, not {}", attribute.kind)))
            }
            Self::OtherType => Err(refuse(attribute, "is not a string, number or binary value")),
            Self::Nothing => Err(refuse(attribute, "is missing")),
            Self::Twice => Err(refuse(attribute, "is there twice")),
        }
    }
}

fn push_value(attribute: &KeyAttribute, value: Text<'_>, to: &mut Vec<u8>) -> Result<()> {
    match attribute.kind {
        KeyType::S | KeyType::B => value.push_to(to),
        KeyType::N => Decimal::parse(&value.unescaped())
            .ok_or_else(|| refuse(attribute, "is not a decimal number"))?
            .push_canonical(to),
    }
    Ok(())
}

fn refuse(attribute: &KeyAttribute, reason: &str) -> Error {
    Error::permanent(format!("the item's key attribute {:?} {reason}", attribute.name))
}
