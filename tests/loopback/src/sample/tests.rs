//! What the samples promise: counts, repeatability, complete requests, valid items.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::size::{ITEM_LIMIT_BYTES, item_bytes};
use super::{SampleTable, awkward, large, many, shop};

fn everything() -> Vec<SampleTable> {
    shop().into_iter().chain(awkward()).chain(many(30)).chain([large(500)]).collect()
}

fn find(tables: Vec<SampleTable>, name: &str) -> SampleTable {
    tables.into_iter().find(|table| table.name() == name).expect("the table is among the samples")
}

fn elements(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

/// The names of the keys in a schema, partition key first.
fn key_names(owner: &Value) -> Vec<&str> {
    elements(&owner["KeySchema"]).iter().map(|key| text(&key["AttributeName"])).collect()
}

fn indexes(create: &Value) -> impl Iterator<Item = &Value> {
    elements(&create["LocalSecondaryIndexes"]).iter().chain(elements(&create["GlobalSecondaryIndexes"]))
}

fn definitions(create: &Value) -> BTreeMap<&str, &str> {
    let definitions = elements(&create["AttributeDefinitions"]).iter();
    definitions.map(|each| (text(&each["AttributeName"]), text(&each["AttributeType"]))).collect()
}

#[test]
fn the_shop_is_a_dozen_tables_of_twelve_thousand_items() {
    let counts: BTreeMap<_, _> =
        shop().into_iter().map(|table| (table.name().to_owned(), table.items.count())).collect();
    assert_eq!(counts.len(), 12);
    assert_eq!(counts.values().sum::<usize>(), 12_000);
    assert_eq!(counts["coupons"], 0);
    assert_eq!(counts["feature_flags"], 8);
}

#[test]
fn the_shop_has_each_kind_of_table() {
    let count =
        |field: &str, value: &Value| shop().iter().filter(|table| &table.create[field] == value).count();
    assert_eq!(count("BillingMode", &"PROVISIONED".into()), 1);
    assert_eq!(count("BillingMode", &"PAY_PER_REQUEST".into()), 11);
    assert_eq!(count("TableClass", &"STANDARD_INFREQUENT_ACCESS".into()), 1);
    assert_eq!(shop().iter().filter(|table| table.create["StreamSpecification"].is_object()).count(), 1);
    assert_eq!(elements(&find(shop(), "orders").create["GlobalSecondaryIndexes"]).len(), 2);
    assert_eq!(elements(&find(shop(), "products").create["LocalSecondaryIndexes"]).len(), 1);
    assert!(find(shop(), "sessions").items.all(|item| item["expires_at"]["N"].is_string()));
}

#[test]
fn the_other_samples_have_the_size_asked_for() {
    assert_eq!(many(250).len(), 250);
    assert_eq!(many(1)[0].name(), "tenant-0001.settings");
    let counts: BTreeSet<_> = many(250).into_iter().map(|table| table.items.count()).collect();
    assert_eq!(counts, (0..=20).collect());
    assert_eq!(large(12_345).items.count(), 12_345);
    assert_eq!(find(awkward(), "empty").items.count(), 0);
    assert_eq!(find(awkward(), "hot-partition").items.count(), 2_000);
    assert_eq!(awkward().iter().filter(|table| table.name().starts_with("keys-")).count(), 12);
}

#[test]
fn an_event_is_about_750_bytes() {
    let sizes: Vec<_> = large(2_000).items.map(|item| item_bytes(&item)).collect();
    let mean = sizes.iter().sum::<usize>() / sizes.len();
    assert!((725..=775).contains(&mean), "{mean} bytes on average");
    assert!(sizes.iter().all(|size| (600..900).contains(size)));
}

#[test]
fn two_calls_are_equal() {
    for (first, second) in everything().into_iter().zip(everything()) {
        assert_eq!(first.create, second.create);
        assert!(first.items.eq(second.items), "items of {}", second.create["TableName"]);
    }
}

#[test]
fn table_names_are_valid_and_distinct() {
    let names: Vec<_> = everything().iter().map(|table| table.name().to_owned()).collect();
    for name in &names {
        assert!((3..=255).contains(&name.len()), "{name}");
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte)), "{name}");
    }
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    assert_eq!(names.iter().filter(|name| name.len() == 255).count(), 2);
    assert!(names.iter().any(|name| name == "..."));
}

#[test]
fn create_requests_define_exactly_the_attributes_of_their_keys() {
    for SampleTable { create, .. } in everything() {
        let used: BTreeSet<_> =
            key_names(&create).into_iter().chain(indexes(&create).flat_map(key_names)).collect();
        assert_eq!(definitions(&create).into_keys().collect::<BTreeSet<_>>(), used, "{create}");
        assert_eq!(elements(&create["AttributeDefinitions"]).len(), used.len(), "{create}");
        assert!(matches!(key_names(&create).len(), 1 | 2), "{create}");
        assert_eq!(create["BillingMode"] == "PROVISIONED", create["ProvisionedThroughput"].is_object());
    }
}

#[test]
fn indexes_are_complete_and_local_ones_share_the_partition_key() {
    for SampleTable { create, .. } in everything() {
        for index in indexes(&create) {
            let projection = &index["Projection"];
            assert!(index["IndexName"].is_string() && projection["ProjectionType"].is_string(), "{index}");
            assert_eq!(projection["ProjectionType"] == "INCLUDE", projection["NonKeyAttributes"].is_array());
        }
        for local in elements(&create["LocalSecondaryIndexes"]) {
            assert_eq!(key_names(local)[0], key_names(&create)[0]);
            assert_eq!((key_names(local).len(), key_names(&create).len()), (2, 2));
        }
    }
}

#[test]
fn items_have_distinct_keys_of_the_right_types() {
    for SampleTable { create, items } in everything() {
        let (names, kinds) = (key_names(&create), definitions(&create));
        let mut seen = BTreeSet::new();
        for item in items {
            let key: Vec<_> = names.iter().map(|name| key_value(&item[*name], kinds[name])).collect();
            assert!(seen.insert(key.clone()), "{} has {key:?} twice", create["TableName"]);
            for name in indexes(&create).flat_map(key_names).filter(|name| item.get(name).is_some()) {
                key_value(&item[name], kinds[name]);
            }
        }
    }
}

/// A key value such that equal keys are equal text: numbers in one spelling, the rest as it is.
fn key_value(value: &Value, kind: &str) -> String {
    let key = value[kind].as_str().unwrap_or_else(|| panic!("{value} is not of type {kind}"));
    assert!(!key.is_empty());
    match kind {
        "N" => format!("{:?}", decimal(key)),
        _ => key.to_owned(),
    }
}

/// Sign, significant digits, and the power of ten of the first of them.
fn decimal(number: &str) -> (bool, String, i32) {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let unsigned = mantissa.trim_start_matches(['+', '-']);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = format!("{whole}{fraction}");
    assert!(!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()), "{number}");
    let significant = digits.trim_start_matches('0');
    if significant.is_empty() {
        return (false, String::new(), 0);
    }
    let leading_zeros = (digits.len() - significant.len()) as i32;
    let exponent: i32 = exponent.parse().expect("an exponent is an integer");
    let power = exponent + whole.len() as i32 - 1 - leading_zeros;
    (mantissa.starts_with('-'), significant.trim_end_matches('0').to_owned(), power)
}

#[test]
fn every_value_is_one_that_dynamodb_accepts() {
    for SampleTable { create, items } in everything() {
        for item in items {
            assert!(item_bytes(&item) <= ITEM_LIMIT_BYTES, "an item of {} is too big", create["TableName"]);
            let attributes = item.as_object().expect("an item is an object");
            attributes.values().for_each(|value| check_value(value, 1));
        }
    }
}

fn check_value(value: &Value, level: usize) {
    assert!(level <= 32, "nested too deep");
    let mut types = value.as_object().expect("a value is an object").iter();
    let (Some((kind, inner)), None) = (types.next(), types.next()) else {
        panic!("{value} has not one type")
    };
    match kind.as_str() {
        "S" | "B" => assert!(inner.is_string()),
        "N" => check_number(text(inner)),
        "BOOL" => assert!(inner.is_boolean()),
        "NULL" => assert_eq!(inner, &Value::Bool(true)),
        "M" => inner.as_object().expect("a map").values().for_each(|value| check_value(value, level + 1)),
        "L" => inner.as_array().expect("a list").iter().for_each(|value| check_value(value, level + 1)),
        "SS" | "NS" | "BS" => check_set(kind, elements(inner)),
        _ => panic!("{kind} is not a type"),
    }
}

fn check_number(number: &str) {
    let (_, digits, power) = decimal(number);
    assert!(digits.len() <= 38 && (-130..=125).contains(&power), "{number}");
}

fn check_set(kind: &str, members: &[Value]) {
    let distinct: BTreeSet<_> = match kind {
        "NS" => members.iter().map(|member| format!("{:?}", decimal(text(member)))).collect(),
        _ => members.iter().map(|member| text(member).to_owned()).collect(),
    };
    assert!(!members.is_empty() && distinct.len() == members.len(), "{members:?}");
    if kind == "NS" {
        members.iter().for_each(|member| check_number(text(member)));
    }
}

#[test]
fn numbers_are_read_as_dynamodb_reads_them() {
    assert_eq!(decimal("1.50"), decimal("15e-1"));
    assert_eq!(decimal("-0.00"), decimal("0"));
    assert_eq!(decimal("0042"), (false, "42".to_owned(), 1));
    assert_eq!(decimal("-1E-130"), (true, "1".to_owned(), -130));
    assert_eq!(decimal(".1"), decimal("0.10"));
    assert_ne!(decimal("1"), decimal("-1"));
}

#[test]
fn heavy_items_are_just_under_the_limit() {
    let sizes: Vec<_> = find(awkward(), "heavy").items.map(|item| item_bytes(&item)).collect();
    assert_eq!(sizes.len(), 20);
    assert_eq!(sizes[0], ITEM_LIMIT_BYTES - 1);
    assert!(sizes.iter().all(|size| (380 * 1024..ITEM_LIMIT_BYTES).contains(size)), "{sizes:?}");
}

#[test]
fn some_item_has_every_type_and_some_item_the_greatest_depth() {
    let together = find(awkward(), "every-type").items.find(|item| item["pk"]["S"] == "together");
    let together = together.expect("one item has all types");
    for kind in ["S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS", "BS"] {
        assert!(!together[kind][kind].is_null(), "{kind}");
    }
    for item in find(awkward(), "nested-32").items {
        assert_eq!(depth(&item["maps"]), 32);
        assert_eq!(depth(&item["both"]), 32);
    }
}

fn depth(value: &Value) -> usize {
    let inner = value["M"].as_object().into_iter().flat_map(|map| map.values());
    1 + inner.chain(elements(&value["L"])).map(depth).max().unwrap_or(0)
}
