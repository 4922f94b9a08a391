//! What the user allows a backup to take of a table, and what that comes to.

use std::str::FromStr;

use super::Direction;
use crate::schema::TableDefinition;

/// The least a lane gets, in units a second: with less, a single small item would wait for seconds.
pub(super) const MIN_LANE_UNITS: f64 = 1.0;

/// How much of a table's throughput a backup may take; written `400` or `50%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// Units a second for the whole table, at least 1.
    Units(u32),
    /// From 1 to 100 per cent of what the table has; [`table_rate`] says what that is.
    Percent(u8),
}

impl Budget {
    /// Reads a budget; `None` for what is none.
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_suffix('%') {
            Some(percent) => whole(percent).filter(|it| (1..=100).contains(it)).map(Self::Percent),
            None => whole(text).filter(|units| *units >= 1).map(Self::Units),
        }
    }
}

/// Digits alone: Rust would also take a sign.
fn whole<T: FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

impl Default for Budget {
    /// All that a table has.
    fn default() -> Self {
        Self::Percent(100)
    }
}

/// A table's throughput in one direction, in units a second, as DescribeTable tells it. Zero is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capacity {
    /// `ProvisionedThroughput` of a provisioned table.
    pub provisioned: Option<u64>,
    /// `OnDemandThroughput` of an on-demand table. `None` where it is absent or -1, which is how it reads when
    /// there is no maximum (DynamoDB API Reference, “OnDemandThroughput”).
    pub on_demand_max: Option<u64>,
}

impl Capacity {
    /// What DescribeTable tells of a table's throughput in one direction.
    pub fn of(definition: &TableDefinition, direction: Direction) -> Self {
        let (provisioned, on_demand) =
            (definition.provisioned_units(), definition.on_demand_throughput.as_ref());
        let (provisioned, on_demand_max) = match direction {
            Direction::Read => (
                provisioned.map(|units| units.read_capacity_units),
                on_demand.and_then(|maximum| maximum.max_read_request_units),
            ),
            Direction::Write => (
                provisioned.map(|units| units.write_capacity_units),
                on_demand.and_then(|maximum| maximum.max_write_request_units),
            ),
        };
        // Without a maximum it is absent or -1.
        Self { provisioned, on_demand_max: on_demand_max.and_then(|units| u64::try_from(units).ok()) }
    }

    fn units(self) -> Option<f64> {
        let units = [self.provisioned, self.on_demand_max].into_iter().flatten().find(|units| *units > 0);
        units.map(|units| units as f64)
    }
}

/// The units a second that all lanes of a table may take together; each gets an equal part.
///
/// Units are taken as they are. A percentage is of the table's provisioned throughput or on-demand maximum, or
/// of what its lanes can reach if that is less: a lane walks through one partition after the other, reading
/// and writing alike, so it never meets more than one partition's units ([`Direction::partition_units`]).
/// That is also all that is known of an on-demand table without a maximum. It is at least one unit.
pub fn table_rate(budget: Budget, direction: Direction, capacity: Capacity, lanes: u32) -> f64 {
    let lanes = f64::from(lanes.max(1));
    let units = match budget {
        Budget::Units(units) => f64::from(units),
        Budget::Percent(percent) => {
            let of_partitions = direction.partition_units() * lanes;
            let of_table = capacity.units().unwrap_or(f64::INFINITY);
            of_table.min(of_partitions) * f64::from(percent) / 100.0
        }
    };
    units.max(MIN_LANE_UNITS)
}
