use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::error::Kind;
use crate::table::TableName;

/// A DescribeTable answer's `Table` with everything a table can have, read-only members included.
fn described() -> Value {
    json!({
        "TableName": "orders",
        "TableArn": "arn:aws:dynamodb:eu-central-1:111111111111:table/orders",
        "TableId": "7d7c5a3a-0000-4000-8000-000000000000",
        "TableStatus": "ACTIVE",
        "CreationDateTime": 1_700_000_000.123,
        "TableSizeBytes": 123_456_789_012u64,
        "ItemCount": 42,
        "KeySchema": [element("pk", "HASH"), element("sk", "RANGE")],
        "AttributeDefinitions": [attribute("pk", "S"), attribute("sk", "N"), attribute("owner", "S"),
            attribute("region", "S"), attribute("at", "B")],
        "BillingModeSummary": {"BillingMode": "PROVISIONED", "LastUpdateToPayPerRequestDateTime": 1.0},
        "ProvisionedThroughput": {"ReadCapacityUnits": 10, "WriteCapacityUnits": 5, "NumberOfDecreasesToday": 3,
            "LastIncreaseDateTime": 1.0},
        "LocalSecondaryIndexes": [{
            "IndexName": "by_at", "IndexArn": "arn:…", "IndexSizeBytes": 1, "ItemCount": 1,
            "KeySchema": [element("pk", "HASH"), element("at", "RANGE")],
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["b", "a"]},
        }],
        "GlobalSecondaryIndexes": [{
            "IndexName": "by_owner", "IndexStatus": "ACTIVE", "IndexArn": "arn:…", "Backfilling": false,
            "KeySchema": [element("owner", "HASH"), element("region", "HASH"), element("at", "RANGE"), element("sk", "RANGE")],
            "Projection": {"ProjectionType": "ALL"},
            "ProvisionedThroughput": {"ReadCapacityUnits": 2, "WriteCapacityUnits": 1, "NumberOfDecreasesToday": 0},
            "WarmThroughput": {"Status": "ACTIVE", "ReadUnitsPerSecond": 12000},
        }],
        "VectorIndexes": [{
            "IndexName": "by_meaning", "IndexStatus": "ACTIVE", "IndexArn": "arn:…", "Dimensions": 256,
            "DistanceFunction": "COSINE", "VectorAttribute": {"AttributeName": "embedding"},
        }],
        "TableClassSummary": {"TableClass": "STANDARD_INFREQUENT_ACCESS", "LastUpdateDateTime": 1.0},
        "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_IMAGE"},
        "LatestStreamArn": "arn:…",
        "SSEDescription": {"Status": "ENABLED", "KMSMasterKeyArn": "arn:aws:kms:…"},
        "DeletionProtectionEnabled": true,
        "WarmThroughput": {"Status": "ACTIVE"},
    })
}

fn element(name: &str, role: &str) -> Value {
    json!({"AttributeName": name, "KeyType": role})
}

fn attribute(name: &str, kind: &str) -> Value {
    json!({"AttributeName": name, "AttributeType": kind})
}

/// The described table with some of its members replaced or, by null, taken away.
fn table(changes: Value) -> TableDefinition {
    let mut table = described();
    for (name, value) in changes.as_object().unwrap() {
        table[name] = value.clone();
    }
    table.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    serde_json::from_value(table).unwrap()
}

fn create(table: &TableDefinition) -> Value {
    let tags = [("dynamodb-backup:source".to_owned(), "arn".to_owned())];
    table.create_table(&TableName::parse("copy").unwrap(), &tags)
}

#[test]
fn the_key_names_partition_and_sort_attribute_with_their_types() {
    let key = table(json!({})).key().unwrap();
    assert_eq!(key.to_string(), "pk (S), sk (N)");
    assert_eq!(
        serde_json::to_value(&key).unwrap(),
        json!({"partition": {"name": "pk", "kind": "S"}, "sort": {"name": "sk", "kind": "N"}})
    );
    assert_eq!(table(json!({"KeySchema": [element("at", "HASH")]})).key().unwrap().to_string(), "at (B)");
}

#[test]
fn a_definition_without_a_usable_key_is_a_permanent_error() {
    for (schema, reason) in [
        (json!([]), "the definition of table orders has no partition key"),
        (
            json!([element("x", "HASH")]),
            r#"the definition of table orders has no key type for its attribute "x""#,
        ),
        (
            json!([element("pk", "HASH"), element("at", "HASH")]),
            "the definition of table orders has several key attributes of the role HASH",
        ),
    ] {
        let error = table(json!({"KeySchema": schema})).key().unwrap_err();
        assert_eq!((error.to_string().as_str(), error.kind()), (reason, Kind::Permanent));
    }
}

#[test]
fn only_an_active_or_updating_table_can_be_backed_up() {
    let reason = |status: &str| table(json!({"TableStatus": status})).unavailable();
    assert_eq!(reason("ACTIVE"), None);
    assert_eq!(reason("UPDATING"), None);
    assert_eq!(reason("CREATING").unwrap(), "it is still being created (status CREATING)");
    for status in ["DELETING", "ARCHIVING", "ARCHIVED", "INACCESSIBLE_ENCRYPTION_CREDENTIALS", "NEWS"] {
        assert!(reason(status).unwrap().contains(status));
    }
}

#[test]
fn the_create_request_of_a_provisioned_table_has_all_its_settings_and_nothing_read_only() {
    assert_eq!(
        create(&table(json!({}))),
        json!({
            "TableName": "copy",
            "KeySchema": [element("pk", "HASH"), element("sk", "RANGE")],
            "AttributeDefinitions": [attribute("pk", "S"), attribute("sk", "N"), attribute("owner", "S"),
                attribute("region", "S"), attribute("at", "B")],
            "BillingMode": "PROVISIONED",
            "ProvisionedThroughput": {"ReadCapacityUnits": 10, "WriteCapacityUnits": 5},
            "LocalSecondaryIndexes": [{
                "IndexName": "by_at",
                "KeySchema": [element("pk", "HASH"), element("at", "RANGE")],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["b", "a"]},
            }],
            "GlobalSecondaryIndexes": [{
                "IndexName": "by_owner",
                "KeySchema": [element("owner", "HASH"), element("region", "HASH"), element("at", "RANGE"), element("sk", "RANGE")],
                "Projection": {"ProjectionType": "ALL"},
                "ProvisionedThroughput": {"ReadCapacityUnits": 2, "WriteCapacityUnits": 1},
            }],
            "VectorIndexes": [{"IndexName": "by_meaning", "Dimensions": 256, "DistanceFunction": "COSINE",
                "VectorAttribute": {"AttributeName": "embedding"}}],
            "TableClass": "STANDARD_INFREQUENT_ACCESS",
            "Tags": [{"Key": "dynamodb-backup:source", "Value": "arn"}],
        })
    );
}

#[test]
fn an_on_demand_table_keeps_real_limits_and_has_no_provisioned_throughput() {
    let request = create(&table(json!({
        "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"},
        "OnDemandThroughput": {"MaxReadRequestUnits": 100, "MaxWriteRequestUnits": -1},
    })));
    assert_eq!(request["BillingMode"], "PAY_PER_REQUEST");
    assert_eq!(request["OnDemandThroughput"], json!({"MaxReadRequestUnits": 100}));
    assert!(!request.to_string().contains("ProvisionedThroughput"));
}

#[test]
fn a_plain_old_table_is_provisioned_and_its_request_has_no_empty_members() {
    let old = table(json!({
        "BillingModeSummary": null, "LocalSecondaryIndexes": null, "GlobalSecondaryIndexes": null,
        "VectorIndexes": null, "TableClassSummary": null, "StreamSpecification": null,
    }));
    let request = old.create_table(&TableName::parse("copy").unwrap(), &[]);
    let members: Vec<_> = request.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = ["AttributeDefinitions", "BillingMode", "KeySchema", "ProvisionedThroughput", "TableName"];
    assert_eq!(members.len(), expected.len());
    assert!(expected.iter().all(|member| members.contains(member)), "{members:?}");
    assert_eq!(request["BillingMode"], "PROVISIONED");
}

#[test]
fn a_definition_survives_being_written_and_read() {
    let table = table(json!({}));
    let text = serde_json::to_string(&table).unwrap();
    assert_eq!(serde_json::from_str::<TableDefinition>(&text).unwrap(), table);
}

#[test]
fn drift_names_each_setting_that_differs() {
    let target = table(json!({
        "KeySchema": [element("pk", "HASH")],
        "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"},
        "LocalSecondaryIndexes": null,
        "VectorIndexes": null,
        "TableClassSummary": null,
        "GlobalSecondaryIndexes": [
            {"IndexName": "by_owner", "KeySchema": [element("owner", "HASH")], "Projection": {"ProjectionType": "KEYS_ONLY"}},
            {"IndexName": "new", "KeySchema": [element("at", "HASH")], "Projection": {"ProjectionType": "ALL"}},
        ],
    }));
    assert_eq!(
        table(json!({})).drift(&target),
        [
            "billing mode is PROVISIONED in the source, PAY_PER_REQUEST in the target",
            "global index by_owner is HASH owner (S), HASH region (S), RANGE at (B), RANGE sk (N), projecting ALL \
             in the source, HASH owner (S), projecting KEYS_ONLY in the target",
            "key is HASH pk (S), RANGE sk (N) in the source, HASH pk (S) in the target",
            "local index by_at (HASH pk (S), RANGE at (B), projecting INCLUDE a, b) is missing in the target",
            "table class is STANDARD_INFREQUENT_ACCESS in the source, STANDARD in the target",
            "vector index by_meaning ({\"AttributeName\":\"embedding\"}, 256 dimensions, distance \"COSINE\", \
             search schema none, projecting nothing) is missing in the target",
            "global index new (HASH at (B), projecting ALL) is only in the target",
        ]
    );
}

#[test]
fn another_type_of_a_key_attribute_is_drift_though_the_names_agree() {
    let types = json!([
        attribute("pk", "S"),
        attribute("sk", "N"),
        attribute("owner", "N"),
        attribute("region", "S"),
        attribute("at", "B")
    ]);
    let drift = table(json!({})).drift(&table(json!({"AttributeDefinitions": types})));
    assert_eq!(drift.len(), 1);
    assert!(drift[0].contains("owner (N)"), "{drift:?}");
}

#[test]
fn an_absent_summary_is_the_default_not_drift() {
    let absent = table(json!({"BillingModeSummary": null, "TableClassSummary": null}));
    let spelled = table(json!({"TableClassSummary": {"TableClass": "STANDARD"}}));
    assert!(absent.drift(&spelled).is_empty());
}

/// A table with some indexes, the way DescribeTable would show it.
fn arbitrary_table() -> impl Strategy<Value = TableDefinition> {
    let names = || prop::sample::subsequence(vec!["owner", "region", "at"], 1..=3).prop_shuffle();
    let projection = prop_oneof![
        Just(json!({"ProjectionType": "ALL"})),
        names().prop_map(|names| json!({"ProjectionType": "INCLUDE", "NonKeyAttributes": names})),
    ];
    let index = (names(), projection).prop_map(|(names, projection)| {
        let key: Vec<_> = names.iter().map(|name| element(name, "HASH")).collect();
        json!({"KeySchema": key, "Projection": projection, "IndexStatus": "ACTIVE",
            "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1, "NumberOfDecreasesToday": 0}})
    });
    let indexes = prop::collection::vec(index, 0..5).prop_map(|indexes| {
        let named = indexes.into_iter().enumerate().map(|(n, mut index)| {
            index["IndexName"] = json!(format!("index-{n}"));
            index
        });
        named.collect::<Vec<_>>()
    });
    let mode = prop_oneof![Just("PROVISIONED"), Just("PAY_PER_REQUEST")];
    (indexes, mode).prop_map(|(indexes, mode)| {
        table(json!({"GlobalSecondaryIndexes": indexes, "BillingModeSummary": {"BillingMode": mode}}))
    })
}

proptest! {
    #[test]
    fn the_order_of_lists_is_not_drift(source in arbitrary_table()) {
        let mut target = source.clone();
        target.global_secondary_indexes.reverse();
        target.attribute_definitions.reverse();
        target.key_schema.reverse();
        for index in &mut target.global_secondary_indexes {
            index.projection.non_key_attributes.reverse();
        }
        prop_assert_eq!(source.drift(&target), Vec::<String>::new());
    }

    #[test]
    fn a_removed_index_is_missing_one_way_and_extra_the_other(source in arbitrary_table(), at in any::<prop::sample::Index>()) {
        prop_assume!(!source.global_secondary_indexes.is_empty());
        let mut target = source.clone();
        let removed = target.global_secondary_indexes.remove(at.index(source.global_secondary_indexes.len()));
        let (there, back) = (source.drift(&target), target.drift(&source));
        prop_assert!(there.len() == 1 && there[0].ends_with("is missing in the target"), "{:?}", there);
        prop_assert!(back.len() == 1 && back[0].ends_with("is only in the target"), "{:?}", back);
        prop_assert!(there[0].contains(&removed.index_name));
    }

    #[test]
    fn a_table_made_from_the_request_shows_no_drift(source in arbitrary_table()) {
        let mut made = create(&source);
        made["TableArn"] = json!("arn:…:table/copy");
        made["TableStatus"] = json!("ACTIVE");
        made["BillingModeSummary"] = json!({"BillingMode": made["BillingMode"]});
        made["TableClassSummary"] = json!({"TableClass": made["TableClass"]});
        let made: TableDefinition = serde_json::from_value(made).unwrap();
        prop_assert_eq!(source.drift(&made), Vec::<String>::new());
        prop_assert_eq!(made.key().unwrap(), source.key().unwrap());
    }
}
