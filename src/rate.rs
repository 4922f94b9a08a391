//! How fast a table is read and written: budgets, and the pace of each job within them.
//!
//! A [`Budget`] is what the user allows, [`table_rate`] what that comes to for one table, and a [`Pace`] keeps
//! one job to its part of it: the table's rate divided by its lanes. When DynamoDB throttles, the pace slows
//! down at once and recovers in a minute. A hot partition slows its own job; a table that is short of capacity
//! slows all its jobs in this process, which share a factor through [`TableRates`].
//!
//! Time is an argument everywhere, so that nothing here sleeps or asks a clock:
//!
//! ```text
//! let wait = pace.reserve(units, Instant::now());
//! tokio::time::sleep(wait).await;
//! match send().await {
//!     Ok(answer) => pace.settle(units, answer.consumed_units, Instant::now()),
//!     Err(refused) => pace.throttled(Throttle::of_all(refused.reasons), Instant::now()),
//! }
//! ```

mod budget;
mod factor;
mod pace;
mod tables;
#[cfg(test)]
mod tests;

use std::fmt;

pub use budget::{Budget, Capacity, table_rate};
pub use pace::{Ceiling, Pace};
pub use tables::TableRates;

/// What the units are for: a table's read and write capacity have nothing to do with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    Read,
    Write,
}

impl Direction {
    /// The units a second that one partition gives (DynamoDB Developer Guide, “Understanding DynamoDB warm
    /// throughput in different scenarios”).
    pub const fn partition_units(self) -> f64 {
        match self {
            Self::Read => 3000.0,
            Self::Write => 1000.0,
        }
    }

    /// The units a second that a new on-demand table takes from its first second on (DynamoDB Developer
    /// Guide, “DynamoDB on-demand capacity mode”, “Initial throughput and scaling properties”).
    pub const fn new_table_units(self) -> f64 {
        match self {
            Self::Read => 12_000.0,
            Self::Write => 4000.0,
        }
    }
}

/// Why DynamoDB throttled a request, as far as it matters for who slows down.
///
/// The order is that of the consequences: of several reasons for one request, the greatest counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Throttle {
    /// No reason was given, as with UnprocessedItems.
    #[default]
    Unknown,
    /// The partition under this job is hot.
    Partition,
    /// The table or one of its indexes has used up its provisioned or its maximum on-demand throughput.
    Table,
    /// The table or one of its indexes has reached the account's quota for on-demand tables.
    Account,
}

impl Throttle {
    /// Reads a `reason` of `ThrottlingReasons`: `Table` or `Index`, `Read` or `Write`, and the limit that was
    /// exceeded (DynamoDB API Reference, “ThrottlingReason”). An index counts as its table: a write is throttled
    /// when an index cannot follow.
    pub fn of(reason: &str) -> Self {
        let limit = ["TableRead", "TableWrite", "IndexRead", "IndexWrite"]
            .iter()
            .find_map(|resource_and_operation| reason.strip_prefix(resource_and_operation));
        match limit {
            Some("KeyRangeThroughputExceeded") => Self::Partition,
            Some("ProvisionedThroughputExceeded" | "MaxOnDemandThroughputExceeded") => Self::Table,
            Some("AccountLimitExceeded") => Self::Account,
            _ => Self::Unknown,
        }
    }

    /// The reason that counts of all that were given for one request.
    pub fn of_all<'a>(reasons: impl IntoIterator<Item = &'a str>) -> Self {
        reasons.into_iter().map(Self::of).max().unwrap_or_default()
    }

    /// Whether every job of the table slows down, or the throttled one alone.
    fn concerns_the_table(self) -> bool {
        matches!(self, Self::Table | Self::Account)
    }
}

impl fmt::Display for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unknown => "no reason given",
            Self::Partition => "a partition is hot",
            Self::Table => "the table's throughput is used up",
            Self::Account => "the account's throughput quota is reached",
        })
    }
}
