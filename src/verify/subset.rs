//! Which segments a verification takes.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// One of several equal shares of all segments: `2/7` is the second of seven, and the seven together are all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subset {
    /// From 1 to `of`.
    number: u32,
    of: u32,
}

impl Subset {
    /// Everything.
    pub const ALL: Self = Self { number: 1, of: 1 };

    /// Whether a segment is in this share. `table` is the place of its table in the run, so that tables of one
    /// segment are spread over the shares as well.
    pub fn has(self, table: usize, segment: u32) -> bool {
        let place = table as u64 + u64::from(segment);
        place % u64::from(self.of) == u64::from(self.number - 1)
    }
}

impl FromStr for Subset {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let share = text.split_once('/').and_then(|(number, of)| {
            let (number, of) = (number.parse().ok()?, of.parse().ok()?);
            (1 <= number && number <= of).then_some(Self { number, of })
        });
        share.ok_or_else(|| {
            Error::usage(format!("{text:?} is not a share: give for example 1/7, and 2/7 tomorrow"))
        })
    }
}

impl fmt::Display for Subset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_together_hold_each_segment_once() {
        for of in 1..9 {
            let shares: Vec<Subset> =
                (1..=of).map(|number| format!("{number}/{of}").parse().expect("a share")).collect();
            for (table, segment) in (0..20).flat_map(|table| (0..20).map(move |segment| (table, segment))) {
                assert_eq!(shares.iter().filter(|share| share.has(table, segment)).count(), 1);
            }
        }
    }

    #[test]
    fn tables_of_one_segment_are_spread_over_the_shares() {
        let share: Subset = "2/4".parse().expect("a share");
        assert_eq!((0..8).filter(|table| share.has(*table, 0)).collect::<Vec<_>>(), [1, 5]);
        assert!((0..8).all(|table| Subset::ALL.has(table, 3)));
    }

    #[test]
    fn what_is_no_share_is_a_usage_error() {
        for text in ["", "1", "0/7", "8/7", "1/0", "a/b", "1/7/2", "-1/7"] {
            let error = text.parse::<Subset>().expect_err("no share");
            assert!(error.to_string().contains("1/7"), "{error}");
        }
    }
}
