//! The size of an item as DynamoDB counts it, and what a write of it takes.

use super::number::Decimal;
use super::text::Text;
use super::walk::{Collection, Scalar, Visitor};

/// What a map or list takes besides what is in it, and each of its members or elements besides its own size
/// (DynamoDB Developer Guide, “DynamoDB item sizes and formats”). The guide tells of no such bytes for sets.
const COLLECTION_BYTES: u64 = 3;
const ELEMENT_BYTES: u64 = 1;

/// The write units of a put of an item of `size_bytes`, at least 1: one for each KB begun (DynamoDB Developer
/// Guide, “Constraints in Amazon DynamoDB”).
///
/// It is what the table's own capacity must have; a put over a larger item takes what that one would, and
/// indexes have capacity of their own.
pub fn write_units(size_bytes: u64) -> u64 {
    size_bytes.div_ceil(1024).max(1)
}

/// Adds up what comes by.
#[derive(Default)]
pub(super) struct Size {
    bytes: u64,
    has_other_than_numbers: bool,
}

impl Size {
    /// The size of the item; `None` when one of its numbers is not a decimal number, so that it is not known.
    pub(super) fn bytes(&self) -> Option<u64> {
        (!self.has_other_than_numbers).then_some(self.bytes)
    }
}

impl<'a> Visitor<'a> for Size {
    #[inline]
    fn attribute(&mut self, name: Text<'a>) {
        self.bytes += name.len() as u64;
    }

    #[inline]
    fn member(&mut self, name: Text<'a>) {
        self.bytes += name.len() as u64 + ELEMENT_BYTES;
    }

    #[inline]
    fn element(&mut self) {
        self.bytes += ELEMENT_BYTES;
    }

    #[inline]
    fn scalar(&mut self, value: Scalar<'a>) {
        self.bytes += match value {
            Scalar::S(text) => text.len() as u64,
            Scalar::B(text) => binary_bytes(&text.unescaped()) as u64,
            Scalar::Bool(_) | Scalar::Null => 1,
            Scalar::N(text) => number_bytes(text).unwrap_or_else(|| {
                self.has_other_than_numbers = true;
                0
            }),
        };
    }

    #[inline]
    fn open(&mut self, collection: Collection) {
        self.bytes += match collection {
            Collection::Map | Collection::List => COLLECTION_BYTES,
            Collection::StringSet | Collection::NumberSet | Collection::BinarySet => 0,
        };
    }
}

/// The bytes that a base64 text stands for: three for each four of its characters, the padding left out.
pub(super) fn binary_bytes(base64: &[u8]) -> usize {
    let padding = base64.iter().rev().take(2).take_while(|byte| **byte == b'=').count();
    (base64.len() - padding) * 3 / 4
}

/// A byte for each two significant digits and one more, the guide says, “approximately”. Those before and
/// behind the point are paired apart and a minus takes a byte, as found by measuring the service (docs.rs,
/// dynoxide-rs, `number_size`); so this is never less than what the guide's words give.
fn number_bytes(text: Text<'_>) -> Option<u64> {
    let text = text.unescaped();
    let number = Decimal::parse(&text)?;
    let (whole, fraction) = number.significant_digits();
    Some((whole.div_ceil(2) + fraction.div_ceil(2) + 1 + usize::from(number.is_negative())) as u64)
}

#[cfg(test)]
mod tests;
