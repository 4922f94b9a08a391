//! Waits, warming up and page limits.

use super::*;

#[test]
fn requests_wait_until_all_before_them_are_paid_for() {
    let now = Instant::now();
    let mut pace = pace(100.0, now);
    assert_eq!(pace.reserve(50.0, now), seconds(0.5));
    assert_eq!(pace.reserve(50.0, now), seconds(1.0));
    assert_eq!(pace.reserve(100.0, now + seconds(1.0)), seconds(1.0));
}

#[test]
fn a_rested_bucket_holds_a_second_and_no_more() {
    let now = Instant::now();
    let mut pace = pace(100.0, now);
    let rested = now + seconds(3600.0);
    assert_eq!(pace.reserve(100.0, rested), Duration::ZERO);
    assert_eq!(pace.reserve(1.0, rested), seconds(0.01));
}

#[test]
fn what_a_request_cost_beyond_its_reservation_is_owed_and_what_it_did_not_cost_comes_back() {
    let now = Instant::now();
    let mut pace = pace(100.0, now);
    pace.reserve(10.0, now);
    pace.settle(10.0, 60.0, now);
    assert_eq!(pace.reserve(0.0, now), seconds(0.6));
    pace.settle(60.0, 0.0, now);
    assert_eq!(pace.reserve(0.0, now), Duration::ZERO);
}

#[test]
fn a_clock_read_before_the_lock_was_taken_changes_nothing() {
    let now = Instant::now();
    let (earlier, later) = (now, now + seconds(1.0));
    let mut pace = pace(100.0, now);
    assert_eq!(pace.reserve(100.0, later), Duration::ZERO);
    assert_eq!(pace.reserve(100.0, earlier), seconds(1.0));
    assert_eq!(pace.reserve(0.0, later), seconds(1.0));
}

#[test]
fn a_ceiling_that_makes_no_sense_is_a_unit_a_second() {
    let now = Instant::now();
    for ceiling in [0.0, -5.0, f64::NAN, f64::NEG_INFINITY] {
        assert_close(pace(ceiling, now).units_per_second(now), 1.0);
    }
    assert!(pace(f64::INFINITY, now).units_per_second(now).is_finite());
    let mut pace = pace(1.0, now);
    assert_eq!(pace.reserve(f64::MAX, now), Duration::from_secs(24 * 60 * 60));
}

#[test]
fn a_new_table_is_warmed_up_to_twice_as_much_every_half_hour() {
    let (now, rates) = (Instant::now(), TableRates::default());
    let ceiling = Ceiling::new(5000.0).warming_from(Direction::Write.new_table_units() / 4.0);
    let pace = rates.pace("orders", Direction::Write, ceiling, now);
    for (minutes, rate) in [(0.0, 1000.0), (15.0, 1414.2135623731), (30.0, 2000.0), (60.0, 4000.0)] {
        assert_close(pace.units_per_second(now + seconds(minutes * 60.0)), rate);
    }
    assert_close(pace.units_per_second(now + seconds(1e6)), 5000.0);
}

#[test]
fn a_table_that_takes_more_than_the_ceiling_at_once_needs_no_warming() {
    let now = Instant::now();
    let ceiling = Ceiling::new(100.0).warming_from(1000.0);
    let pace = TableRates::default().pace("orders", Direction::Write, ceiling, now);
    assert_close(pace.units_per_second(now), 100.0);
    assert_close(pace.units_per_second(now + seconds(3600.0)), 100.0);
}

#[test]
fn a_page_is_limited_to_about_a_second_of_the_rate() {
    let now = Instant::now();
    #[rustfmt::skip] // one case a line
    let cases = [
        (3000.0, false, None,           None,       "a whole page is less than a second"),
        (128.0,  false, Some(0.5),      None,       "a whole page is a second"),
        (127.0,  false, Some(0.5),      Some(254),  "half a unit each"),
        (128.0,  true,  Some(1.0),      Some(128),  "a strong page costs twice that"),
        (256.0,  true,  Some(1.0),      None,       "a whole strong page is a second"),
        (20.0,   false, Some(0.01),     Some(2000), "many small items"),
        (20.0,   false, Some(50.0),     Some(1),    "an item of more than a second, but one at least"),
        (100.0,  false, None,           Some(2),    "400 KB each, while nothing is known"),
        (100.0,  true,  None,           Some(1),    "400 KB each, strongly"),
        (20.0,   false, None,           Some(1),    "one at least"),
        (20.0,   false, Some(0.0),      Some(1),    "nothing is known of items that cost nothing"),
        (20.0,   false, Some(f64::NAN), Some(1),    "nor of this"),
        (20.0,   false, Some(1e-300),   Some(u32::MAX), "as many as Limit can say"),
    ];
    for (rate, consistent, units_per_item, limit, why) in cases {
        assert_eq!(pace(rate, now).page_limit(consistent, units_per_item, now), limit, "{why}");
    }
}

#[test]
fn a_job_that_was_slowed_reads_smaller_pages() {
    let now = Instant::now();
    let mut pace = pace(200.0, now);
    assert_eq!(pace.page_limit(false, Some(1.0), now), None);
    pace.throttled(Throttle::Partition, now);
    assert_eq!(pace.page_limit(false, Some(1.0), now), Some(100));
    assert_eq!(pace.page_limit(false, Some(1.0), now + seconds(60.0)), None);
}

#[test]
fn the_first_writes_may_draw_what_an_idle_table_has_saved_up_and_no_more() {
    let start = Instant::now();
    let mut pace =
        TableRates::default().pace("t", Direction::Write, Ceiling::new(5.0).with_burst_capacity(), start);
    assert_eq!(Ceiling::new(5.0).with_burst_capacity().burst_units(), 1500.0);
    assert_eq!(pace.reserve(1500.0, start), Duration::ZERO);
    assert_eq!(pace.reserve(5.0, start), Duration::from_secs(1));

    // A throttle says that it is gone.
    let mut pace =
        TableRates::default().pace("t", Direction::Write, Ceiling::new(5.0).with_burst_capacity(), start);
    pace.throttled(Throttle::Unknown, start);
    assert!(pace.reserve(5.0, start) >= Duration::from_secs(1));
}
