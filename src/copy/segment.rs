//! A table that is to equal a backup: what its segments are read and written with.

use std::time::Instant;

use super::writer::Writer;
use crate::aws::dynamodb::Tables;
use crate::error::Result;
use crate::rate::{Budget, Capacity, Ceiling, Direction, TableRates, table_rate};
use crate::scan::{Segment, SegmentScan};
use crate::schema::{KeySchema, TableDefinition};
use crate::table::TableName;

/// Jobs on one table at once, where it is not a run that does them.
pub const JOBS: u32 = 8;

/// A table of the backup account, or one that is restored into.
#[derive(Clone, Debug)]
pub struct CopyTable<'a> {
    pub tables: &'a Tables,
    pub name: &'a TableName,
    pub key: KeySchema,
    pub rates: &'a TableRates,
    /// Tells it from every other table of this process.
    pub id: String,
    /// What one job may take of it, in read and in write units.
    pub read: Ceiling,
    pub write: Ceiling,
    /// The average size of an item, where it is known.
    pub item_bytes: Option<f64>,
}

/// One segment of it.
#[derive(Debug)]
pub struct CopySegment<'a> {
    pub scan: SegmentScan<'a>,
    pub writer: Writer<'a>,
}

impl<'a> CopyTable<'a> {
    /// A table that nobody else is meant to use now: all that it takes, by [`JOBS`] jobs at once.
    pub fn whole(
        tables: &'a Tables,
        name: &'a TableName,
        rates: &'a TableRates,
        definition: &TableDefinition,
    ) -> Result<Self> {
        let rate = |direction| {
            let units = table_rate(Budget::default(), direction, Capacity::of(definition, direction), JOBS);
            Ceiling::new(units / f64::from(JOBS))
        };
        let write = rate(Direction::Write);
        let warm =
            definition.warm_write_units().map_or(Direction::Write.new_table_units(), |units| units as f64);
        let is_on_demand = definition.provisioned_units().is_none();
        Ok(Self {
            tables,
            name,
            key: definition.key()?,
            rates,
            id: definition.table_arn.clone(),
            read: rate(Direction::Read),
            write: if is_on_demand {
                write.warming_from(warm / f64::from(JOBS))
            } else {
                write.with_burst_capacity()
            },
            item_bytes: definition.item_bytes(),
        })
    }

    pub fn segment(&self, segment: u32, total_segments: u32) -> CopySegment<'a> {
        let pace = |direction, ceiling| self.rates.pace(&self.id, direction, ceiling, Instant::now());
        let of_copy = Segment {
            tables: self.tables,
            table: self.name,
            segment,
            total_segments,
            // What was written a moment ago must be seen.
            consistent_read: true,
        };
        let scan = SegmentScan::new(of_copy, pace(Direction::Read, self.read), self.item_bytes);
        let max_batch_units = self.write.burst_units() as u64;
        let writes = pace(Direction::Write, self.write);
        let writer = Writer::new(self.tables, self.name, self.key.clone(), writes, max_batch_units);
        CopySegment { scan, writer }
    }
}
