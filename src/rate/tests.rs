//! Budgets, factors and paces on a clock that stands still until it is told to go on.

mod budget;
mod pace;
mod properties;
mod simulation;
mod throttle;

use std::time::{Duration, Instant};

use super::*;

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn pace(units_per_second: f64, now: Instant) -> Pace {
    TableRates::default().pace("orders", Direction::Read, Ceiling::new(units_per_second), now)
}

#[track_caller]
fn assert_close(found: f64, wanted: f64) {
    assert!((found - wanted).abs() <= wanted.abs() * 1e-6 + 1e-9, "{found} is not {wanted}");
}
