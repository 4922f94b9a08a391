use serde_json::{Value, json};

use super::create::Creation;
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

pub(super) fn element(name: &str, role: &str) -> Value {
    json!({"AttributeName": name, "KeyType": role})
}

pub(super) fn attribute(name: &str, kind: &str) -> Value {
    json!({"AttributeName": name, "AttributeType": kind})
}

/// The described table with some of its members replaced or, by null, taken away.
pub(super) fn table(changes: Value) -> TableDefinition {
    let mut table = described();
    for (name, value) in changes.as_object().unwrap() {
        table[name] = value.clone();
    }
    table.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    serde_json::from_value(table).unwrap()
}

/// The request for a table like this one, with a tag.
fn create(table: &TableDefinition) -> Value {
    let tags = [("dynamodb-backup:source".to_owned(), "arn".to_owned())];
    table.create_table(&TableName::parse("copy").unwrap(), &creation(table, &tags))
}

fn creation<'a>(table: &TableDefinition, tags: &'a [(String, String)]) -> Creation<'a> {
    let mode = table.billing_mode();
    Creation { mode, tags, is_protected: false, warm_write_units: None, kms_key: None }
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
    let request = old.create_table(&TableName::parse("copy").unwrap(), &creation(&old, &[]));
    let members: Vec<_> = request.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = ["AttributeDefinitions", "BillingMode", "KeySchema", "ProvisionedThroughput", "TableName"];
    assert_eq!(members.len(), expected.len());
    assert!(expected.iter().all(|member| members.contains(member)), "{members:?}");
    assert_eq!(request["BillingMode"], "PROVISIONED");
}

#[test]
fn what_is_said_of_a_new_table_is_in_its_request() {
    let table = table(json!({}));
    let creation = Creation {
        mode: BillingMode::PayPerRequest,
        is_protected: true,
        warm_write_units: Some(40_000),
        kms_key: Some("alias/backup"),
        ..creation(&table, &[])
    };
    let request = table.create_table(&TableName::parse("copy").unwrap(), &creation);
    assert_eq!(request["BillingMode"], "PAY_PER_REQUEST");
    assert_eq!(request["DeletionProtectionEnabled"], true);
    assert_eq!(request["WarmThroughput"], json!({"WriteUnitsPerSecond": 40_000}));
    let encryption = json!({"Enabled": true, "SSEType": "KMS", "KMSMasterKeyId": "alias/backup"});
    assert_eq!(request["SSESpecification"], encryption);
    assert!(!request.to_string().contains("ProvisionedThroughput"));
}

#[test]
fn an_index_that_is_being_deleted_is_left_out_with_the_attributes_that_only_it_names() {
    let index = |name: &str, attribute: &str, status: &str| {
        json!({"IndexName": name, "KeySchema": [element(attribute, "HASH")], "IndexStatus": status,
            "Projection": {"ProjectionType": "ALL"}})
    };
    let request = create(&table(json!({
        "LocalSecondaryIndexes": null,
        "AttributeDefinitions": [attribute("pk", "S"), attribute("sk", "N"), attribute("a", "S"), attribute("b", "S")],
        "GlobalSecondaryIndexes": [index("going", "a", "DELETING"), index("also_going", "b", "DELETING"),
            index("coming", "b", "CREATING")],
    })));
    let names: Vec<_> = request["GlobalSecondaryIndexes"].as_array().unwrap().iter().collect();
    assert_eq!((names.len(), &names[0]["IndexName"]), (1, &json!("coming")));
    let types = json!([attribute("pk", "S"), attribute("sk", "N"), attribute("b", "S")]);
    assert_eq!(request["AttributeDefinitions"], types);
}
