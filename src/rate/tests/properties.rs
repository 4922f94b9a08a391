//! What holds whatever happens.

use proptest::prelude::*;

use super::*;

/// Something that happens to a pace, and how long after what came before.
#[derive(Clone, Debug)]
enum Event {
    Request { estimate: f64, cost: f64 },
    Throttle(Throttle),
}

fn events() -> impl Strategy<Value = Vec<(f64, Event)>> {
    let request = (0.0..300.0, 0.0..300.0).prop_map(|(estimate, cost)| Event::Request { estimate, cost });
    let throttle = prop_oneof![
        Just(Throttle::Unknown),
        Just(Throttle::Partition),
        Just(Throttle::Table),
        Just(Throttle::Account)
    ];
    let event = prop_oneof![9 => request, 1 => throttle.prop_map(Event::Throttle)];
    prop::collection::vec((prop_oneof![Just(0.0), 0.0..2.0, 0.0..90.0], event), 1..200)
}

proptest! {
    #[test]
    fn a_budget_is_read_as_it_was_written(units in 1u32.., percent in 1u8..=100) {
        prop_assert_eq!(Budget::parse(&units.to_string()), Some(Budget::Units(units)));
        prop_assert_eq!(Budget::parse(&format!("{percent}%")), Some(Budget::Percent(percent)));
    }

    #[test]
    fn a_percentage_never_exceeds_what_there_is_nor_what_the_lanes_can_reach(
        percent in 1u8..=100, units in 1u64..200_000, lanes in 1u32..200, is_provisioned: bool,
    ) {
        let (provisioned, on_demand_max) =
            if is_provisioned { (Some(units), None) } else { (None, Some(units)) };
        let capacity = Capacity { provisioned, on_demand_max };
        for direction in [Direction::Read, Direction::Write] {
            let rate = table_rate(Budget::Percent(percent), direction, capacity, lanes);
            let share = f64::from(percent) / 100.0;
            prop_assert!(rate >= 1.0);
            prop_assert!(rate <= 1.0_f64.max(share * units as f64 * 1.000_001));
            prop_assert!(rate / f64::from(lanes) <= 1.0_f64.max(direction.partition_units() * share * 1.000_001));
        }
    }

    /// In every stretch of time, whatever happens in it. Of several requests in flight, those that were told
    /// to wait long may come together with others that were told to wait less.
    #[test]
    fn what_is_let_go_is_never_more_than_the_rate_and_a_second(
        ceiling in 1.0..2000.0_f64, events in events(), in_flight in 1usize..=8,
    ) {
        let start = Instant::now();
        let mut pace = pace(ceiling, start);
        let (mut free, mut sent) = (vec![start; in_flight], Vec::new());
        for (after, event) in events {
            let sender = free.iter_mut().min().unwrap();
            match event {
                Event::Request { estimate, .. } => {
                    let due = *sender + pace.reserve(estimate, *sender);
                    sent.push((due, estimate));
                    *sender = due + seconds(after);
                }
                Event::Throttle(reason) => { pace.throttled(reason, *sender); }
            }
        }
        sent.sort_by_key(|(due, _)| *due);
        let others: f64 = 300.0 * (in_flight - 1) as f64;
        for (index, (from, first)) in sent.iter().enumerate() {
            let mut units = 0.0;
            for (until, estimate) in &sent[index..] {
                units += estimate;
                let time = until.duration_since(*from).as_secs_f64();
                // The first one's own units were paid for before the stretch began.
                let allowed = ceiling * (time + 1.0) + first + others;
                prop_assert!(units <= allowed * 1.000_001, "{} in {} s at {}", units, time, ceiling);
            }
        }
    }

    /// However wrong the guesses are.
    #[test]
    fn in_the_long_run_what_is_consumed_keeps_to_the_ceiling(
        ceiling in 1.0..2000.0_f64, costs in prop::collection::vec(0.0..300.0_f64, 50..200),
        guess in 0.0..300.0_f64,
    ) {
        let start = Instant::now();
        let mut pace = pace(ceiling, start);
        let (mut clock, mut consumed) = (start, 0.0);
        for cost in costs {
            clock += pace.reserve(guess, clock);
            consumed += cost;
            pace.settle(guess, cost, clock);
        }
        // What the last one cost beyond its guess is owed; the next would wait for it.
        clock += pace.reserve(0.0, clock);
        let time = clock.duration_since(start).as_secs_f64();
        prop_assert!(consumed <= ceiling * (time + 1.0) * 1.000_001 + 1e-6);
    }

    #[test]
    fn reservations_and_settlements_lose_no_unit(requests in prop::collection::vec((0.0..300.0, 0.0..300.0), 1..50)) {
        let now = Instant::now();
        let mut pace = pace(1e6, now);
        let mut consumed = 0.0;
        for (reserved, _) in &requests {
            pace.reserve(*reserved, now);
        }
        for (reserved, cost) in &requests {
            pace.settle(*reserved, *cost, now);
            consumed += cost;
        }
        prop_assert!((pace.balance() + consumed).abs() < 1e-6);
    }

    #[test]
    fn a_rate_stays_between_a_unit_and_its_ceiling_and_is_whole_after_a_clean_minute(
        ceiling in 1.0..2000.0_f64, events in events(),
    ) {
        let mut clock = Instant::now();
        let mut pace = pace(ceiling, clock);
        for (after, event) in events {
            clock += seconds(after);
            match event {
                Event::Request { estimate, cost } => {
                    pace.reserve(estimate, clock);
                    pace.settle(estimate, cost, clock);
                }
                Event::Throttle(reason) => {
                    let before = pace.units_per_second(clock);
                    let slower = pace.throttled(reason, clock);
                    let after = pace.units_per_second(clock);
                    let at_most = if slower { (before / 2.0).max(1.0) } else { before };
                    prop_assert!(after <= at_most + 1e-9);
                }
            }
            let rate = pace.units_per_second(clock);
            prop_assert!((1.0..=ceiling).contains(&rate));
        }
        prop_assert_eq!(pace.units_per_second(clock + seconds(60.0)), ceiling);
    }

    #[test]
    fn a_warming_table_never_gets_more_than_twice_what_it_took_half_an_hour_ago(
        warm in 1.0..5000.0_f64, minutes in 0.0..600.0_f64,
    ) {
        let start = Instant::now();
        let ceiling = Ceiling::new(40_000.0).warming_from(warm);
        let pace = TableRates::default().pace("orders", Direction::Write, ceiling, start);
        let rate = |minutes: f64| pace.units_per_second(start + seconds(minutes * 60.0));
        prop_assert!(rate(minutes + 30.0) <= 2.0 * rate(minutes) * 1.000_001);
        prop_assert!(rate(minutes + 30.0) >= (2.0 * rate(minutes)).min(40_000.0) * 0.999_999);
    }

    #[test]
    fn a_limited_page_costs_no_more_than_a_second_or_one_item(
        rate in 1.0..400.0_f64, units_per_item in 0.001..100.0_f64, consistent: bool,
    ) {
        let now = Instant::now();
        let page = match pace(rate, now).page_limit(consistent, Some(units_per_item), now) {
            Some(limit) => f64::from(limit) * units_per_item,
            None => if consistent { 256.0 } else { 128.0 },
        };
        prop_assert!(page <= rate.max(units_per_item) * 1.000_001);
    }
}
