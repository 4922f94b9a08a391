//! What slows down, by how much, and how it recovers.

use super::*;

#[test]
fn a_throttled_job_is_halved_and_is_back_in_a_minute() {
    let now = Instant::now();
    let mut pace = pace(1000.0, now);
    assert!(pace.throttled(Throttle::Partition, now));
    for (after, rate) in [(0.0, 500.0), (15.0, 750.0), (30.0, 1000.0), (60.0, 1000.0), (1e6, 1000.0)] {
        assert_close(pace.units_per_second(now + seconds(after)), rate);
    }
}

#[test]
fn a_deep_cut_climbs_to_where_it_was_made_and_then_slowly_at_first_to_the_ceiling() {
    let now = Instant::now();
    let mut factor = factor::Factor::default();
    assert!(factor.cut(0.2, now));
    for (after, wanted) in [(0.0, 0.1), (15.0, 0.15), (30.0, 0.2), (45.0, 0.4), (60.0, 1.0), (1e9, 1.0)] {
        assert_close(factor.at(now + seconds(after)), wanted);
    }
}

#[test]
fn throttles_of_one_burst_count_once() {
    let now = Instant::now();
    let mut pace = pace(1000.0, now);
    let cuts = (0..100).filter(|i| pace.throttled(Throttle::Unknown, now + seconds(f64::from(*i) * 0.009)));
    assert_eq!(cuts.count(), 1);
    assert!(pace.units_per_second(now + seconds(0.9)) > 500.0);
    assert!(pace.throttled(Throttle::Unknown, now + seconds(1.0)));
    assert!(pace.units_per_second(now + seconds(1.0)) < 260.0);
}

#[test]
fn a_throttle_of_a_request_that_was_reserved_before_the_last_cut_tells_nothing_new() {
    let (now, rates) = (Instant::now(), TableRates::default());
    let join = || rates.pace("orders", Direction::Write, Ceiling::new(100.0), now);
    let (mut first, mut second) = (join(), join());
    for pace in [&mut first, &mut second] {
        pace.reserve(100.0, now);
        assert_eq!(pace.reserve(400.0, now), seconds(5.0));
        pace.settle(100.0, 0.0, now);
        assert_eq!(pace.reserve(0.0, now), seconds(4.0));
    }
    assert!(first.throttled(Throttle::Table, now));
    for reason in [Throttle::Table, Throttle::Partition] {
        assert!(!first.throttled(reason, now + seconds(5.9)));
        assert!(!second.throttled(reason, now + seconds(5.9)));
    }
    assert!(second.throttled(Throttle::Table, now + seconds(6.1)));
}

#[test]
fn a_job_that_joins_a_slow_table_is_heard_at_once() {
    let (now, rates) = (Instant::now(), TableRates::default());
    let join = |now| rates.pace("orders", Direction::Read, Ceiling::new(100.0), now);
    let mut first = join(now);
    first.throttled(Throttle::Table, now);
    let later = now + seconds(2.0);
    assert!(join(later).throttled(Throttle::Table, later));
    assert!(first.units_per_second(later) < 30.0);
}

#[test]
fn a_ceiling_that_was_never_reached_does_not_soften_the_cut() {
    let now = Instant::now();
    let mut pace = pace(10_000.0, now);
    let mut clock = now;
    for _ in 0..600 {
        clock += seconds(0.1);
        assert_eq!(pace.reserve(200.0, clock), Duration::ZERO);
        pace.settle(200.0, 200.0, clock);
    }
    assert!(pace.throttled(Throttle::Partition, clock));
    let rate = pace.units_per_second(clock);
    assert!((900.0..1100.0).contains(&rate), "half of the 2000 that were used, not {rate}");
}

#[test]
fn what_was_used_long_ago_does_not_soften_the_cut() {
    let now = Instant::now();
    let mut pace = pace(1000.0, now);
    let mut clock = now;
    for units in [[100.0; 600], [10.0; 600]].as_flattened() {
        clock += seconds(0.1);
        pace.reserve(*units, clock);
        pace.settle(*units, *units, clock);
    }
    pace.throttled(Throttle::Partition, clock);
    let rate = pace.units_per_second(clock);
    assert!((50.0..60.0).contains(&rate), "half of the last 100, not {rate}");
}

#[test]
fn a_job_that_is_throttled_before_it_has_consumed_anything_is_halved() {
    for reason in [Throttle::Partition, Throttle::Table] {
        let now = Instant::now();
        let mut pace = pace(1000.0, now);
        let soon = now + seconds(0.1);
        pace.throttled(reason, soon);
        let rate = pace.units_per_second(soon);
        assert!((440.0..=500.0).contains(&rate), "{rate}");
    }
}

#[test]
fn time_in_which_the_rate_changed_counts_at_the_lower_one() {
    let (now, rates) = (Instant::now(), TableRates::default());
    let mut paces = [0, 1].map(|_| rates.pace("orders", Direction::Read, Ceiling::new(1000.0), now));
    paces[0].throttled(Throttle::Table, now);
    let later = now + seconds(0.6);
    for pace in &mut paces {
        pace.reserve(0.0, later);
    }
    // The one that was throttled knows that it began at 500; the other finds 510 and thinks it was 1000.
    assert_close(paces[0].balance(), 300.0);
    assert_close(paces[1].balance(), 306.0);
}

#[test]
fn a_pause_before_a_throttle_leaves_a_twentieth_at_least() {
    let now = Instant::now();
    let mut pace = pace(1000.0, now);
    let later = now + seconds(3600.0);
    pace.throttled(Throttle::Unknown, later);
    assert_close(pace.units_per_second(later), 50.0);
}

#[test]
fn a_throttle_takes_away_what_was_saved_up() {
    let now = Instant::now();
    let mut pace = pace(1000.0, now);
    let rested = now + seconds(1.0);
    pace.throttled(Throttle::Unknown, rested);
    assert!(pace.reserve(1.0, rested) > Duration::ZERO);
}

#[test]
fn however_often_it_is_throttled_a_job_goes_on_at_a_unit_a_second_and_recovers() {
    let now = Instant::now();
    let mut pace = pace(1000.0, now);
    let mut clock = now;
    for _ in 0..1000 {
        clock += seconds(1.0);
        pace.throttled(Throttle::Unknown, clock);
        pace.throttled(Throttle::Table, clock);
    }
    assert_close(pace.units_per_second(clock), 1.0);
    assert_close(pace.units_per_second(clock + seconds(60.0)), 1000.0);
}

#[test]
fn a_table_that_is_short_slows_all_its_jobs_and_no_others() {
    for reason in [Throttle::Table, Throttle::Account] {
        let (now, rates) = (Instant::now(), TableRates::default());
        let join = |table, direction| rates.pace(table, direction, Ceiling::new(100.0), now);
        let mut first = join("orders", Direction::Read);
        let (second, write) = (join("orders", Direction::Read), join("orders", Direction::Write));
        let users = join("users", Direction::Read);
        assert!(first.throttled(reason, now));
        let late = join("orders", Direction::Read);
        let found = [&first, &second, &late, &write, &users].map(|pace| pace.units_per_second(now));
        assert_eq!(found, [50.0, 50.0, 50.0, 100.0, 100.0]);
    }
}

#[test]
fn a_table_is_slowed_once_for_a_burst_that_hits_all_its_jobs() {
    let (now, rates) = (Instant::now(), TableRates::default());
    let mut paces: Vec<_> =
        (0..8).map(|_| rates.pace("orders", Direction::Read, Ceiling::new(100.0), now)).collect();
    let slowed = paces.iter_mut().filter_map(|pace| pace.throttled(Throttle::Account, now).then_some(()));
    assert_eq!(slowed.count(), 1);
    assert!(paces.iter().all(|pace| pace.units_per_second(now) == 50.0));
}

#[test]
fn a_hot_partition_slows_its_own_job_alone() {
    for reason in [Throttle::Partition, Throttle::Unknown] {
        let (now, rates) = (Instant::now(), TableRates::default());
        let mut hot = rates.pace("orders", Direction::Read, Ceiling::new(100.0), now);
        let other = rates.pace("orders", Direction::Read, Ceiling::new(100.0), now);
        hot.throttled(reason, now);
        assert_eq!([hot.units_per_second(now), other.units_per_second(now)], [50.0, 100.0]);
    }
}

#[test]
fn a_table_is_forgotten_when_its_last_job_is_over() {
    let (now, rates) = (Instant::now(), TableRates::default());
    let join = |table: &str| rates.pace(table, Direction::Read, Ceiling::new(100.0), now);
    let mut first = join("orders");
    let second = join("orders");
    first.throttled(Throttle::Table, now);
    drop(first);
    assert_eq!(join("orders").units_per_second(now), 50.0);
    drop(second);
    assert_eq!(join("orders").units_per_second(now), 100.0);
    for table in 0..1000 {
        join(&table.to_string());
    }
    assert_eq!(rates.len(), 1);
}
