//! What all items of a table come to, in whatever order they are read.

use std::fmt;
use std::iter::Sum;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use crate::item::ContentHash;

/// The sum of the content hashes of items, modulo 2^128, and their count.
///
/// Digests are equal when the same items went in, each as often, in whatever order and through however many
/// partial sums. When they are equal, chance alone makes the items differ in one of 2^128 cases: an item that
/// was lost, changed, mixed up with another or counted twice shows.
///
/// It detects damage, not malice. It is no signature, as nothing in it is secret; and whoever can choose many
/// items can search for some that come to a given sum, which is far easier than to find two items with the
/// same hash. It does not tell which item differs, either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Digest {
    pub items: u64,
    /// As 32 hexadecimal digits in JSON, where numbers are not that large.
    #[serde(with = "hexadecimal")]
    pub sum: u128,
}

impl Digest {
    /// Adds an item.
    pub fn add_item(&mut self, content: ContentHash) {
        *self += Self { items: 1, sum: content.as_u128() };
    }
}

impl AddAssign for Digest {
    /// Adds the items of the other. Counts wrap around, too: one that comes from outside may be any number.
    fn add_assign(&mut self, other: Self) {
        self.items = self.items.wrapping_add(other.items);
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

impl Sum for Digest {
    fn sum<I: Iterator<Item = Self>>(digests: I) -> Self {
        digests.fold(Self::default(), |mut sum, digest| {
            sum += digest;
            sum
        })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} items with the sum {:032x}", self.items, self.sum)
    }
}

mod hexadecimal {
    use std::borrow::Cow;

    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    pub(super) fn serialize<S: Serializer>(sum: &u128, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{sum:032x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u128, D::Error> {
        let text = Cow::<str>::deserialize(from)?;
        let is_sum = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let sum = if is_sum { u128::from_str_radix(&text, 16).ok() } else { None };
        sum.ok_or_else(|| D::Error::custom("a sum is 32 lower-case hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests;
