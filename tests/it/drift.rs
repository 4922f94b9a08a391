//! A copy that is there already: what differs from its source is named; an index that it lacks is added, and more
//! is changed only where that is asked for.

use loopback_aws::{BACKUP_ACCOUNT, Fault, SOURCE_ACCOUNT};
use serde_json::{Value, json};

use crate::evidence::result_of;
use crate::harness::{World, create, table};

fn index(name: &str, attribute: &str) -> Value {
    json!({ "IndexName": name, "KeySchema": [{ "AttributeName": attribute, "KeyType": "HASH" }],
        "Projection": { "ProjectionType": "ALL" } })
}

/// The source's request for `orders` with these global indexes, each over the attribute of its name.
fn with_indexes(names: &[String]) -> Value {
    let mut request = create("orders", "pk", "S");
    if !names.is_empty() {
        request["GlobalSecondaryIndexes"] = names.iter().map(|name| index(name, name)).collect();
    }
    let attributes = request["AttributeDefinitions"].as_array_mut().expect("a list");
    attributes.extend(names.iter().map(|name| json!({ "AttributeName": name, "AttributeType": "S" })));
    request
}

/// Begins to build an index of the source's table.
fn add_index(world: &World, name: &str) {
    let attributes = json!([{ "AttributeName": "pk", "AttributeType": "S" },
        { "AttributeName": name, "AttributeType": "S" }]);
    let updates = json!([{ "Create": index(name, name) }]);
    let request = json!({ "TableName": "orders", "AttributeDefinitions": attributes,
        "GlobalSecondaryIndexUpdates": updates });
    world.dynamodb(SOURCE_ACCOUNT, "UpdateTable", &request);
}

fn indexes(world: &World, account: &str) -> Vec<String> {
    let described = world.dynamodb(account, "DescribeTable", &json!({ "TableName": "orders" }));
    let indexes = described["Table"]["GlobalSecondaryIndexes"].as_array().cloned().unwrap_or_default();
    let mut names: Vec<_> =
        indexes.iter().map(|index| index["IndexName"].as_str().expect("a name").to_owned()).collect();
    names.sort();
    names
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("by_{number:02}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn indexes_that_a_copy_lacks_are_added_one_at_a_time() {
    let world = World::with(vec![table("orders", 30)]).await;
    world.backup(&[], 0).await;
    for name in names(3) {
        add_index(&world, &name);
    }
    world.aws.clear_calls();
    let report = world.backup(&[], 0).await;
    assert_eq!(indexes(&world, BACKUP_ACCOUNT), names(3));
    assert_eq!(world.count_calls("UpdateTable"), 3, "an index each");
    assert_eq!(result_of(&report, "orders")["drift"], Value::Null, "{report}");
    let changes = &report["runs"][0]["inventory"]["changed"][0];
    assert_eq!(changes["table"], "orders");
    assert_eq!(changes["changes"].as_array().map(Vec::len), Some(3), "{changes}");
    world.backup(&[], 0).await;
    assert_eq!(world.count_calls("UpdateTable"), 3, "what is there is not added again");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_cannot_be_added_is_told_and_the_table_is_backed_up_all_the_same() {
    let world = World::with(vec![table("orders", 30)]).await;
    world.backup(&[], 0).await;
    add_index(&world, "by_day");
    world
        .aws
        .set_fault(|call| (call.action == "UpdateTable").then(|| Fault::error(400, "AccessDeniedException")));
    let report = world.backup(&[], 0).await;
    let result = result_of(&report, "orders");
    let told = result["drift"][0].as_str().expect("a text");
    assert!(
        told.starts_with("global index by_day (HASH by_day (S), projecting ALL) is missing in the copy"),
        "{told}"
    );
    assert!(told.contains("could not be changed") && told.contains("AccessDeniedException"), "{told}");
    let run = world.run(&["list", "--output", "json"]).await.json();
    let newest =
        run.as_array().expect("runs").iter().map(|run| run["run"].as_str().unwrap_or_default()).max();
    let shown = world.run(&["show", newest.expect("a run")]).await.expect_code(0).stdout;
    assert!(shown.contains("drift: orders: global index by_day"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_being_built_is_waited_for_before_the_next_and_writes_go_on() {
    let world = World::with(vec![table("orders", 30)]).await;
    world.backup(&[], 0).await;
    names(2).iter().for_each(|name| add_index(&world, name));
    let busy = std::sync::atomic::AtomicUsize::new(0);
    // DynamoDB builds one index of a table at a time (DynamoDB API Reference, “UpdateTable”).
    world.aws.set_fault(move |call| {
        let calls = || busy.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        (call.action == "UpdateTable" && calls() == 1).then(|| Fault::error(400, "LimitExceededException"))
    });
    let report = world.backup(&[], 0).await;
    assert_eq!(indexes(&world, BACKUP_ACCOUNT), names(2));
    assert_eq!(result_of(&report, "orders")["outcome"], "complete");
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_named_setting_by_setting_and_repaired_only_where_that_is_asked_for() {
    let world = World::with(vec![table("orders", 30)]).await;
    world.backup(&[], 0).await;
    let change = |body: Value| world.dynamodb(BACKUP_ACCOUNT, "UpdateTable", &body);
    change(json!({ "TableName": "orders", "DeletionProtectionEnabled": false }));
    let units = json!({ "ReadCapacityUnits": 500, "WriteCapacityUnits": 500 });
    change(json!({ "TableName": "orders", "BillingMode": "PROVISIONED", "ProvisionedThroughput": units }));
    world.aws.clear_calls();

    let report = world.backup(&[], 0).await;
    let expected = json!([
        "billing mode is PROVISIONED in the copy and would be PAY_PER_REQUEST in a new one",
        "deletion protection is off in the copy and would be on in a new one",
    ]);
    assert_eq!(result_of(&report, "orders")["drift"], expected);
    assert_eq!(world.count_calls("UpdateTable"), 0, "nothing is changed unasked");

    let report = world.backup(&["--repair-drift"], 0).await;
    assert_eq!(result_of(&report, "orders")["drift"], Value::Null);
    assert_eq!(world.count_calls("UpdateTable"), 2);
    let described = world.dynamodb(BACKUP_ACCOUNT, "DescribeTable", &json!({ "TableName": "orders" }));
    assert_eq!(described["Table"]["DeletionProtectionEnabled"], true);
    assert_eq!(described["Table"]["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_changes_in_the_source_is_drift_until_it_is_repaired() {
    let world = World::new().await;
    let mut request = create("orders", "pk", "S");
    request["Tags"] = json!([{ "Key": "team", "Value": "shop" }]);
    world.dynamodb(SOURCE_ACCOUNT, "CreateTable", &request);
    world.backup(&[], 0).await;
    let source = format!("arn:aws:dynamodb:{}:{SOURCE_ACCOUNT}:table/orders", loopback_aws::REGION);
    let tags = json!({ "ResourceArn": source, "Tags": [{ "Key": "team", "Value": "crm" }] });
    world.dynamodb(SOURCE_ACCOUNT, "TagResource", &tags);
    let report = world.backup(&[], 0).await;
    let expected = json!(["tag team is shop in the copy and would be crm in a new one"]);
    assert_eq!(result_of(&report, "orders")["drift"], expected);
    let report = world.backup(&["--repair-drift"], 0).await;
    assert_eq!(result_of(&report, "orders")["drift"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_with_all_the_indexes_and_tags_that_one_may_have_is_copied() {
    let world = World::new().await;
    let mut request = with_indexes(&names(20));
    let tags = (0..50).map(|number| json!({ "Key": format!("tag-{number:02}"), "Value": "x" }));
    request["Tags"] = tags.collect();
    world.dynamodb(SOURCE_ACCOUNT, "CreateTable", &request);
    world.dynamodb(
        SOURCE_ACCOUNT,
        "PutItem",
        &json!({ "TableName": "orders", "Item": { "pk": { "S": "a" } } }),
    );
    let report = world.backup(&[], 0).await;
    assert_eq!(indexes(&world, BACKUP_ACCOUNT), names(20));
    assert_eq!(world.count_calls("CreateTable"), 1, "with all indexes in one call");
    let drift = result_of(&report, "orders")["drift"].as_array().cloned().expect("three tags are left out");
    assert_eq!(drift.len(), 3, "{drift:?}");
    assert!(drift[0].as_str().expect("a text").starts_with("tag tag-47, of which a table has at most 50"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_what_the_options_say() {
    let mut world = World::new().await;
    let mut request = create("orders", "pk", "S");
    request["BillingMode"] = json!("PROVISIONED");
    request["ProvisionedThroughput"] = json!({ "ReadCapacityUnits": 500, "WriteCapacityUnits": 300 });
    world.dynamodb(SOURCE_ACCOUNT, "CreateTable", &request);
    world.set("BACKUP_COPY_BILLING_MODE", "source");
    world.set("BACKUP_COPY_KMS_KEY", "alias/backup");
    world.set("BACKUP_COPY_RECOVERY_DAYS", "35");
    let report = world.backup(&[], 0).await;
    assert_eq!(result_of(&report, "orders")["drift"], Value::Null);
    let copy =
        world.dynamodb(BACKUP_ACCOUNT, "DescribeTable", &json!({ "TableName": "orders" }))["Table"].clone();
    assert_eq!(copy["ProvisionedThroughput"]["WriteCapacityUnits"], 300);
    assert_eq!(copy["SSEDescription"]["SSEType"], "KMS", "{copy}");
    assert_eq!(world.count_calls("UpdateContinuousBackups"), 1);
    world.backup(&[], 0).await;
    assert_eq!(world.count_calls("UpdateContinuousBackups"), 1, "it is on");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_option_that_no_table_can_have_is_refused_by_name() {
    let mut world = World::new().await;
    for (name, value) in [
        ("BACKUP_COPY_BILLING_MODE", "cheap"),
        ("BACKUP_COPY_RECOVERY_DAYS", "36"),
        ("BACKUP_COPY_WARM_WRITE_UNITS", "0"),
        ("BACKUP_COPY_KMS_KEY", "my key"),
    ] {
        world.set(name, value);
        let ended = world.run(&["worker"]).await.expect_code(64);
        assert!(ended.stderr.contains(name) && ended.stderr.contains(value), "{}", ended.stderr);
        world.set(name, "");
    }
}

fn expire(world: &World, table: &str) {
    let expiry = json!({ "Enabled": true, "AttributeName": "expires" });
    let request = json!({ "TableName": table, "TimeToLiveSpecification": expiry });
    world.dynamodb(BACKUP_ACCOUNT, "UpdateTimeToLive", &request);
}

#[tokio::test(flavor = "multi_thread")]
async fn time_to_live_that_somebody_enabled_on_a_copy_is_told_in_every_report() {
    let world = World::with(vec![table("orders", 30)]).await;
    world.backup(&[], 0).await;
    expire(&world, "orders");
    let report = world.backup(&["--repair-drift"], 0).await;
    let told = json!(["time to live (attribute expires) is only in the copy"]);
    assert_eq!(result_of(&report, "orders")["drift"], told);
}

/// It would eat the backup, and whose table it is has to decide.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_with_time_to_live_is_not_adopted() {
    let world = World::with(vec![table("orders", 30), table("users", 5)]).await;
    world.dynamodb(BACKUP_ACCOUNT, "CreateTable", &create("orders", "pk", "S"));
    expire(&world, "orders");
    let report = world.backup(&["--adopt-existing"], 2).await;
    let reasons = result_of(&report, "orders")["reasons"].to_string();
    assert!(reasons.contains("not adopted") && reasons.contains("update-time-to-live"), "{reasons}");
    assert_eq!(world.count(BACKUP_ACCOUNT, "orders"), 0);
    assert_eq!(world.count_calls("TagResource"), 0);
    assert_eq!(result_of(&report, "users")["outcome"], "complete");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_compared_is_told_with_the_call_that_was_denied_and_the_table_is_backed_up() {
    let mut world = World::with(vec![table("orders", 30)]).await;
    world.backup(&[], 0).await;
    world.set("BACKUP_COPY_RECOVERY_DAYS", "7");
    let denied = ["DescribeContinuousBackups", "DescribeTimeToLive"];
    world.aws.set_fault(move |call| {
        let is_denied = call.role.is_none() && denied.contains(&call.action.as_str());
        is_denied.then(|| Fault::error(400, "AccessDeniedException"))
    });
    let report = world.backup(&[], 0).await;
    let drift = &result_of(&report, "orders")["drift"];
    let told = |at: usize| drift[at].as_str().expect("a text");
    assert!(told(0).starts_with("read time to live of table orders"), "{drift}");
    assert!(told(1).starts_with("read point-in-time recovery of table orders"), "{drift}");
    assert!(told(1).contains("AccessDeniedException"), "{drift}");
}

/// Whoever adopts it cannot say so, and its job begins again.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_was_just_adopted_is_not_changed_by_the_next_attempt_of_the_same_run() {
    let world = World::with(vec![table("orders", 30)]).await;
    world.dynamodb(BACKUP_ACCOUNT, "CreateTable", &create("orders", "pk", "S"));
    add_index(&world, "by_day");
    let puts = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&puts);
    // As often as the SDK tries.
    world.aws.set_fault(move |call| {
        let is_marker = call.action == "PutObject" && call.resource.ends_with("/state/provision.json");
        let is_due = is_marker && count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 8;
        is_due.then(|| Fault::error(503, "SlowDown"))
    });
    let report = world.backup(&["--adopt-existing"], 0).await;
    assert_eq!(puts.load(std::sync::atomic::Ordering::Relaxed), 9, "a second attempt");
    let result = result_of(&report, "orders");
    assert_eq!(result["provision"], "adopted", "{result}");
    assert!(result["drift"].to_string().contains("by_day"), "{result}");
    assert_eq!(indexes(&world, BACKUP_ACCOUNT), [""; 0], "it is somebody's still");
    world.backup(&[], 0).await;
    assert_eq!(indexes(&world, BACKUP_ACCOUNT), ["by_day"], "the next run adds it");
}
