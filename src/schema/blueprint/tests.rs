use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::schema::tests::{attribute, element, table};

fn options() -> CopyOptions {
    CopyOptions { keeps_billing_mode: true, ..CopyOptions::default() }
}

/// The drift of a copy without tags.
fn drift_of(source: &TableDefinition, copy: &TableDefinition, options: &CopyOptions) -> Vec<Drift> {
    let found = Found { definition: copy, tags: &[], time_to_live: None, recovery: Some(None) };
    Blueprint::new(source, None, options).drift(&found)
}

fn in_words(source: &TableDefinition, copy: &TableDefinition) -> Vec<String> {
    drift_of(source, copy, &options()).iter().map(ToString::to_string).collect()
}

fn settings_with_tags(tags: &[(&str, &str)]) -> TableSettings {
    let tags: Vec<_> = tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
    serde_json::from_value(json!({ "Tags": tags })).unwrap()
}

fn owned(tags: &[(&str, &str)]) -> Vec<(String, String)> {
    tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn drift_names_each_setting_that_differs() {
    let copy = table(json!({
        "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"},
        "LocalSecondaryIndexes": null,
        "VectorIndexes": null,
        "TableClassSummary": null,
        "DeletionProtectionEnabled": false,
        "GlobalSecondaryIndexes": [
            {"IndexName": "by_owner", "KeySchema": [element("owner", "HASH")], "Projection": {"ProjectionType": "KEYS_ONLY"}},
            {"IndexName": "new", "KeySchema": [element("at", "HASH")], "Projection": {"ProjectionType": "ALL"}},
        ],
    }));
    assert_eq!(
        in_words(&table(json!({})), &copy),
        [
            "billing mode is PAY_PER_REQUEST in the copy and would be PROVISIONED in a new one",
            "table class is STANDARD in the copy and would be STANDARD_INFREQUENT_ACCESS in a new one",
            "deletion protection is off in the copy and would be on in a new one",
            "stream (NEW_IMAGE) is only in the copy",
            "local index by_at (HASH pk (S), RANGE at (B), projecting INCLUDE a, b) is missing in the copy",
            "global index by_owner is HASH owner (S), projecting KEYS_ONLY in the copy and would be HASH owner (S), \
             HASH region (S), RANGE at (B), RANGE sk (N), projecting ALL in a new one",
            "global index new (HASH at (B), projecting ALL) is only in the copy",
            "vector index by_meaning ({\"AttributeName\":\"embedding\"}, 256 dimensions, distance \"COSINE\", \
             search schema none, projecting nothing) is missing in the copy",
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
    let drift = in_words(&as_copy(json!({})), &as_copy(json!({"AttributeDefinitions": types})));
    assert_eq!(drift.len(), 1);
    assert!(drift[0].contains("owner (N)"), "{drift:?}");
}

/// The described table without what no copy has.
fn as_copy(mut changes: Value) -> TableDefinition {
    changes["StreamSpecification"] = Value::Null;
    table(changes)
}

#[test]
fn an_absent_summary_is_the_default_not_drift() {
    let absent = as_copy(json!({"BillingModeSummary": null, "TableClassSummary": null}));
    let spelled = as_copy(json!({"TableClassSummary": {"TableClass": "STANDARD"}}));
    assert_eq!(in_words(&absent, &spelled), Vec::<String>::new());
}

#[test]
fn a_copy_is_on_demand_unless_it_is_to_be_as_its_source() {
    let provisioned = as_copy(json!({}));
    let on_demand = CopyOptions::default();
    let drift = drift_of(&provisioned, &provisioned, &on_demand);
    let request = json!({"TableName": "orders", "BillingMode": "PAY_PER_REQUEST"});
    assert_eq!(drift[0].change, Some(Change::Update(request)));
    assert!(drift_of(&provisioned, &provisioned, &options()).is_empty());
    let target = TableName::parse("copy").unwrap();
    let request = Blueprint::new(&provisioned, None, &on_demand).create_table(&target, &[]);
    assert_eq!(
        (&request["BillingMode"], &request["DeletionProtectionEnabled"]),
        (&json!("PAY_PER_REQUEST"), &json!(true))
    );
    assert!(!request.to_string().contains("ProvisionedThroughput"));
}

#[test]
fn a_missing_index_is_added_with_the_types_that_its_key_needs() {
    let index = json!({"IndexName": "by_owner", "KeySchema": [element("owner", "HASH")],
        "Projection": {"ProjectionType": "ALL"}, "IndexStatus": "ACTIVE",
        "ProvisionedThroughput": {"ReadCapacityUnits": 2, "WriteCapacityUnits": 1}});
    let source = as_copy(json!({"GlobalSecondaryIndexes": [index]}));
    let copy = as_copy(json!({
        "GlobalSecondaryIndexes": null, "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"},
        "AttributeDefinitions": [attribute("pk", "S"), attribute("sk", "N"), attribute("at", "B")],
    }));
    let drift = drift_of(&source, &copy, &CopyOptions::default());
    let types = [attribute("pk", "S"), attribute("sk", "N"), attribute("at", "B"), attribute("owner", "S")];
    let create = json!({"IndexName": "by_owner", "KeySchema": [element("owner", "HASH")],
        "Projection": {"ProjectionType": "ALL"}});
    let request = json!({"TableName": "orders", "AttributeDefinitions": types,
        "GlobalSecondaryIndexUpdates": [{"Create": create}]});
    assert_eq!((drift.len(), &drift[0].change), (1, &Some(Change::AddIndex(request))));
}

#[test]
fn an_index_with_another_key_is_deleted_before_it_is_added_and_one_of_its_own_is_left_alone() {
    let index = |name: &str, attribute: &str| json!({"IndexName": name, "KeySchema": [element(attribute, "HASH")], "Projection": {"ProjectionType": "ALL"}});
    let source = as_copy(json!({"GlobalSecondaryIndexes": [index("by", "owner")]}));
    let copy = as_copy(json!({"GlobalSecondaryIndexes": [index("by", "region"), index("mine", "at")]}));
    let changes: Vec<_> =
        drift_of(&source, &copy, &options()).into_iter().map(|drift| drift.change).collect();
    let delete = json!({"TableName": "orders",
        "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "by"}}]});
    assert_eq!(changes, [Some(Change::Update(delete)), None]);
}

#[test]
fn tags_are_carried_but_for_reserved_ones_and_those_of_the_copy_are_its_own() {
    let plain = as_copy(json!({}));
    let tags = [
        ("team", "shop"),
        ("aws:cloudformation:stack-name", "x"),
        ("dynamodb-backup:run", "y"),
        ("stage", "prod"),
    ];
    let (settings, options) = (settings_with_tags(&tags), options());
    let blueprint = Blueprint::new(&plain, Some(&settings), &options);
    let ownership = owned(&[("dynamodb-backup:source-arn", "arn")]);
    let request = blueprint.create_table(&TableName::parse("copy").unwrap(), &ownership);
    let keys: Vec<_> = request["Tags"].as_array().unwrap().iter().map(|tag| &tag["Key"]).collect();
    assert_eq!(keys, ["dynamodb-backup:source-arn", "stage", "team"]);

    let tags = owned(&[("stage", "test"), ("owner", "me"), ("dynamodb-backup:source-arn", "arn")]);
    let drift =
        blueprint.drift(&Found { definition: &plain, tags: &tags, time_to_live: None, recovery: Some(None) });
    let words: Vec<_> = drift.iter().map(ToString::to_string).collect();
    assert_eq!(
        words,
        [
            "tag stage is test in the copy and would be prod in a new one",
            "tag team (shop) is missing in the copy"
        ]
    );
    assert_eq!(drift[1].change, Some(Change::Tag(owned(&[("team", "shop")]))));
}

#[test]
fn of_more_tags_than_fit_beside_the_ownership_tags_each_is_named() {
    let names: Vec<String> = (0..50).map(|number| format!("tag-{number:02}")).collect();
    let tags: Vec<_> = names.iter().map(|name| (name.as_str(), "x")).collect();
    let (plain, settings, options) = (as_copy(json!({})), settings_with_tags(&tags), options());
    let blueprint = Blueprint::new(&plain, Some(&settings), &options);
    let request = blueprint
        .create_table(&TableName::parse("copy").unwrap(), &owned(&[("a", ""), ("b", ""), ("c", "")]));
    assert_eq!(request["Tags"].as_array().unwrap().len(), 50);
    let drift = blueprint.drift(&Found {
        definition: &plain,
        tags: &owned(&tags[..47]),
        time_to_live: None,
        recovery: Some(None),
    });
    let words: Vec<_> = drift.iter().map(ToString::to_string).collect();
    assert_eq!(words.len(), 3);
    assert!(words[0].starts_with("tag tag-47, of which a table has at most 50"), "{words:?}");
    assert!(drift.iter().all(|drift| drift.change.is_none()));
}

#[test]
fn point_in_time_recovery_and_a_key_are_compared_only_where_they_are_asked_for() {
    let plain = as_copy(json!({"SSEDescription": null}));
    let options =
        CopyOptions { recovery_days: Some(7), kms_key: Some("alias/backup".to_owned()), ..options() };
    let blueprint = Blueprint::new(&plain, None, &options);
    let drift_at = |recovery| {
        let found = Found { definition: &plain, tags: &[], time_to_live: None, recovery };
        let drift = blueprint.drift(&found);
        drift.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let key = "KMS key is DynamoDB's own in the copy and would be alias/backup in a new one";
    let recovery = "point-in-time recovery is off in the copy and would be 7 days in a new one";
    assert_eq!(drift_at(Some(None)), [key, recovery]);
    assert_eq!(drift_at(Some(Some(7))), [key]);
    assert_eq!(drift_at(None), [key], "what is not known does not differ");
}

#[test]
fn time_to_live_of_a_copy_is_told_and_left_to_whoever_enabled_it() {
    let (plain, options) = (as_copy(json!({})), options());
    let found = Found { definition: &plain, tags: &[], time_to_live: Some("expires"), recovery: None };
    let drift = Blueprint::new(&plain, None, &options).drift(&found);
    let told: Vec<_> = drift.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["time to live (attribute expires) is only in the copy"]);
    assert!(drift[0].change.is_none());
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
        as_copy(json!({"GlobalSecondaryIndexes": indexes, "BillingModeSummary": {"BillingMode": mode}}))
    })
}

/// What DescribeTable would show of a table made by this request.
fn made(request: &Value) -> TableDefinition {
    let mut made = request.clone();
    made["TableArn"] = json!("arn:…:table/copy");
    made["TableStatus"] = json!("ACTIVE");
    made["BillingModeSummary"] = json!({"BillingMode": made["BillingMode"]});
    made["TableClassSummary"] = json!({"TableClass": made["TableClass"]});
    serde_json::from_value(made).unwrap()
}

proptest! {
    #[test]
    fn the_order_of_lists_is_not_drift(source in arbitrary_table()) {
        let mut copy = source.clone();
        copy.global_secondary_indexes.reverse();
        copy.attribute_definitions.reverse();
        copy.key_schema.reverse();
        for index in &mut copy.global_secondary_indexes {
            index.projection.non_key_attributes.reverse();
        }
        prop_assert_eq!(in_words(&source, &copy), Vec::<String>::new());
    }

    #[test]
    fn a_removed_index_is_missing_one_way_and_extra_the_other(source in arbitrary_table(), at in any::<prop::sample::Index>()) {
        prop_assume!(!source.global_secondary_indexes.is_empty());
        let mut copy = source.clone();
        let removed = copy.global_secondary_indexes.remove(at.index(source.global_secondary_indexes.len()));
        let (there, back) = (in_words(&source, &copy), in_words(&copy, &source));
        prop_assert!(there.len() == 1 && there[0].ends_with("is missing in the copy"), "{:?}", there);
        prop_assert!(back.len() == 1 && back[0].ends_with("is only in the copy"), "{:?}", back);
        prop_assert!(there[0].contains(&removed.index_name));
    }

    #[test]
    fn a_table_made_from_the_request_shows_no_drift(source in arbitrary_table(), keeps_billing_mode in any::<bool>()) {
        let options = CopyOptions { keeps_billing_mode, ..CopyOptions::default() };
        let request = Blueprint::new(&source, None, &options).create_table(&TableName::parse("copy").unwrap(), &[]);
        let made = made(&request);
        prop_assert_eq!(drift_of(&source, &made, &options), vec![]);
        prop_assert_eq!(made.key().unwrap(), source.key().unwrap());
    }
}
