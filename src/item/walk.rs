//! A walk through an item's JSON that tells a [`Visitor`] what comes by, in order and in one pass.

mod walker;

use std::fmt;

use self::walker::{Stop, Walker};
use super::text::Text;

/// The most maps and lists within each other. DynamoDB takes 32 (DynamoDB Developer Guide, “Constraints in
/// Amazon DynamoDB”): what is deeper than twice that was not written by it, and would only use up the stack.
pub(super) const MAX_DEPTH: usize = 64;

/// Is told what an item holds. Everything is ignored by default.
///
/// After a name or the start of an element comes exactly one value: a scalar, or a collection with all that
/// is in it until it is closed. What was told before a fault was found still has to be forgotten.
pub(super) trait Visitor<'a> {
    /// The name of an attribute of the item; its value follows.
    fn attribute(&mut self, _name: Text<'a>) {}

    /// The name of a member of the innermost open map; its value follows.
    fn member(&mut self, _name: Text<'a>) {}

    /// An element of the innermost open list; its value follows.
    fn element(&mut self) {}

    /// The value of an attribute, member or list element, or one of the values of a set.
    fn scalar(&mut self, _value: Scalar<'a>) {}

    fn open(&mut self, _collection: Collection) {}

    fn close(&mut self) {}
}

/// A value without values in it, tagged as in DynamoDB's JSON. What a number or a binary value says is not
/// checked: it is any string.
#[derive(Clone, Copy)]
pub(super) enum Scalar<'a> {
    S(Text<'a>),
    N(Text<'a>),
    B(Text<'a>),
    Bool(bool),
    /// Whether it says `true`, as DynamoDB wants it, or `false`.
    Null,
}

/// A value that holds values. Those of a set are scalars of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Collection {
    Map,
    List,
    StringSet,
    NumberSet,
    BinarySet,
}

/// Why the JSON is not an item, and where; holds nothing of the item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    reason: Reason,
    /// Counted from 0.
    at: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    CutShort,
    NoObject,
    NoString,
    NoColon,
    NoComma,
    NoArray,
    NoBoolean,
    NoType,
    UnknownType,
    SeveralTypes,
    TooDeep,
    Escape,
    ControlCharacter,
    NoUtf8,
    NoItem,
    BehindItem,
    BehindEnd,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.reason.as_str(), self.at + 1)
    }
}

impl Reason {
    fn as_str(self) -> &'static str {
        match self {
            Self::CutShort => "it is cut short",
            Self::NoObject => "something else than an object",
            Self::NoString => "something else than a string",
            Self::NoColon => "a name without a colon behind it",
            Self::NoComma => "neither a comma nor the end of an object or array",
            Self::NoArray => "a list or set that is not an array",
            Self::NoBoolean => "neither `true` nor `false`",
            Self::NoType => "a value that is not an object with a type",
            Self::UnknownType => "a value of an unknown type",
            Self::SeveralTypes => "a value that goes on behind its type",
            Self::TooDeep => "values nested deeper than DynamoDB takes",
            Self::Escape => "an invalid escape",
            Self::ControlCharacter => "a control character in a string",
            Self::NoUtf8 => "a string that is not UTF-8",
            Self::NoItem => "another member than `Item`",
            Self::BehindItem => "something behind `Item`",
            Self::BehindEnd => "something behind the end",
        }
    }
}

/// Walks through an item, with any whitespace around it; gives its bytes without that.
pub(super) fn item<'a>(json: &'a [u8], visitor: &mut impl Visitor<'a>) -> Result<&'a [u8], Fault> {
    walk(json, visitor, Walker::item)
}

/// Walks through the item of a line `{"Item":{…}}`, with any whitespace around both; gives the item's bytes.
pub(super) fn line<'a>(json: &'a [u8], visitor: &mut impl Visitor<'a>) -> Result<&'a [u8], Fault> {
    walk(json, visitor, Walker::line)
}

fn walk<'a, 'v, V: Visitor<'a>>(
    json: &'a [u8],
    visitor: &'v mut V,
    whole: impl FnOnce(&mut Walker<'a, 'v, V>) -> Result<&'a [u8], Stop>,
) -> Result<&'a [u8], Fault> {
    if let Err(error) = simdutf8::compat::from_utf8(json) {
        return Err(Fault { reason: Reason::NoUtf8, at: error.valid_up_to() });
    }
    let mut walker = Walker::new(json, visitor);
    let item = whole(&mut walker).and_then(|item| walker.end().map(|()| item));
    item.map_err(|Stop| walker.fault())
}

/// `()` looks at nothing: the JSON is only checked.
impl Visitor<'_> for () {}

/// Two visitors see the same walk.
impl<'a, A: Visitor<'a>, B: Visitor<'a>> Visitor<'a> for (A, B) {
    #[inline]
    fn attribute(&mut self, name: Text<'a>) {
        self.0.attribute(name);
        self.1.attribute(name);
    }

    #[inline]
    fn member(&mut self, name: Text<'a>) {
        self.0.member(name);
        self.1.member(name);
    }

    #[inline]
    fn element(&mut self) {
        self.0.element();
        self.1.element();
    }

    #[inline]
    fn scalar(&mut self, value: Scalar<'a>) {
        self.0.scalar(value);
        self.1.scalar(value);
    }

    #[inline]
    fn open(&mut self, collection: Collection) {
        self.0.open(collection);
        self.1.open(collection);
    }

    #[inline]
    fn close(&mut self) {
        self.0.close();
        self.1.close();
    }
}

#[cfg(test)]
mod tests;
