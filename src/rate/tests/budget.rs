//! What is a budget and what is not, what it comes to, and what DynamoDB's reasons say.

use super::*;

const NONE: Capacity = Capacity { provisioned: None, on_demand_max: None };

#[test]
fn a_budget_is_units_or_a_percentage() {
    for (text, budget) in [
        ("1", Budget::Units(1)),
        ("400", Budget::Units(400)),
        ("4294967295", Budget::Units(u32::MAX)),
        ("1%", Budget::Percent(1)),
        ("100%", Budget::Percent(100)),
    ] {
        assert_eq!(Budget::parse(text), Some(budget));
    }
}

#[test]
fn what_is_no_budget_is_refused() {
    let bad = ["", "%", "0", "0%", "101%", "256%", "-1", "+5", "+5%", "1.5", "50 %", " 50%", "%50", "50%%"];
    for text in bad.into_iter().chain(["4294967296", "many", "٣"]) {
        assert_eq!(Budget::parse(text), None, "{text}");
    }
}

#[test]
fn a_budget_comes_to_a_rate_for_each_kind_of_capacity() {
    use Direction::{Read, Write};
    let provisioned = |units| Capacity { provisioned: Some(units), ..NONE };
    let on_demand = |units| Capacity { on_demand_max: Some(units), ..NONE };
    let (half, units) = (Budget::Percent(50), Budget::Units);
    #[rustfmt::skip] // one case a line
    let cases = [
        (half,                 Read,  provisioned(400),       4, 200.0, "of the provisioned units"),
        (half,                 Read,  provisioned(1_000_000), 4, 6000.0, "of the lanes' partitions"),
        (half,                 Write, provisioned(1_000_000), 4, 2000.0, "which take fewer writes"),
        (half,                 Read,  provisioned(5),         4, 2.5, "also when that is little"),
        (half,                 Read,  on_demand(1000),        4, 500.0, "of the on-demand maximum"),
        (half,                 Read,  on_demand(1_000_000),   1, 1500.0, "of the one lane's partition"),
        (half,                 Read,  NONE,                   4, 6000.0, "of the lanes' partitions alone"),
        (half,                 Write, NONE,                   8, 4000.0, "of the lanes' partitions alone"),
        (half,                 Read,  provisioned(0),         1, 1500.0, "zero is none"),
        (Budget::Percent(100), Write, provisioned(300),       1, 300.0, "all of it"),
        (Budget::Percent(1),   Read,  NONE,                   0, 30.0, "no lanes count as one"),
        (units(400),           Read,  provisioned(100),       4, 400.0, "as given"),
        (units(90_000),        Write, NONE,                   1, 90_000.0, "as given"),
        (units(2),             Write, NONE,                   8, 2.0, "as given"),
        (half,                 Read,  provisioned(1),         1, 1.0, "at least a unit"),
    ];
    for (budget, direction, capacity, lanes, wanted, why) in cases {
        assert_eq!(table_rate(budget, direction, capacity, lanes), wanted, "{why}");
    }
}

#[test]
fn every_reason_that_dynamodb_gives_is_told_apart() {
    for resource in ["Table", "Index"] {
        for operation in ["Read", "Write"] {
            let of = |limit: &str| Throttle::of(&format!("{resource}{operation}{limit}"));
            assert_eq!(of("KeyRangeThroughputExceeded"), Throttle::Partition);
            assert_eq!(of("ProvisionedThroughputExceeded"), Throttle::Table);
            assert_eq!(of("MaxOnDemandThroughputExceeded"), Throttle::Table);
            assert_eq!(of("AccountLimitExceeded"), Throttle::Account);
            assert_eq!(of("SomethingNewExceeded"), Throttle::Unknown);
        }
    }
    for other in ["", "Table", "KeyRangeThroughputExceeded", "tablereadkeyrangethroughputexceeded"] {
        assert_eq!(Throttle::of(other), Throttle::Unknown, "{other}");
    }
}

#[test]
fn of_several_reasons_the_one_that_concerns_more_jobs_counts() {
    let (partition, table) =
        ("TableReadKeyRangeThroughputExceeded", "TableReadProvisionedThroughputExceeded");
    assert_eq!(Throttle::of_all([partition, table]), Throttle::Table);
    assert_eq!(Throttle::of_all(["?", partition]), Throttle::Partition);
    assert_eq!(Throttle::of_all([]), Throttle::Unknown);
}
