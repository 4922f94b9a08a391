//! The tables the server has, each described by its own name.

use std::fmt;

use crate::items::Shape;

/// `usual-640-orders`: 640 pages of usual items. Zero pages is an empty table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BenchTable {
    pub(crate) shape: Shape,
    pub(crate) pages: u64,
}

impl BenchTable {
    pub(crate) fn new(shape: Shape, pages: u64) -> Self {
        Self { shape, pages }
    }

    /// Reads a table's name; none of another form is a table.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let mut words = name.split('-');
        let shape = Shape::parse(words.next()?)?;
        let pages = words.next()?.parse().ok()?;
        Some(Self { shape, pages })
    }

    /// The pages of one segment: contiguous, and sizes that differ by at most one.
    pub(crate) fn segment(&self, segment: u64, segments: u64) -> std::ops::Range<u64> {
        self.pages * segment / segments..self.pages * (segment + 1) / segments
    }
}

impl fmt::Display for BenchTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-orders", self.shape.name(), self.pages)
    }
}
