//! The guards that hold whatever the configuration: production is only read, nobody's table is overwritten,
//! and neither secrets nor items are ever told.

use std::collections::BTreeSet;

use loopback_aws::{BACKUP_ACCOUNT, EXTERNAL_ID, REGION, SOURCE_ACCOUNT, SOURCE_ROLE_ARN};
use serde_json::{Value, json};

use crate::harness::{Ended, World, create, table};

const SOURCE_TAG: &str = "dynamodb-backup:source-arn";

/// Stands in items, and must stand nowhere but in the archive and the copy.
const NEEDLE: &str = "needle-in-an-item";

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_the_backup_account_itself_is_refused_before_anything_starts() {
    let mut world = World::new().await;
    let own_role = "arn:aws:iam::222222222222:role/dynamodb-backup-source";
    world.set("BACKUP_ROLE_ARN", own_role);
    for command in ["worker", "run"] {
        let ended = world.run(&[command]).await.expect_code(64);
        for told in ["source default", BACKUP_ACCOUNT, REGION, "another account, or another region"] {
            assert!(ended.stderr.contains(told), "{}", ended.stderr);
        }
    }
    assert!(world.bucket().keys().is_empty() && world.messages_left() == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_our_tag_is_not_touched_unless_adoption_is_asked_for() {
    let world = World::with(vec![table("orders", 20), table("users", 20)]).await;
    let theirs = own(&world, &create("orders", "pk", "S"));

    let ended = world.run(&["run", "--output", "json"]).await.expect_code(2);
    let reasons = refused(&ended, "orders");
    assert!(reasons.contains(SOURCE_TAG) && reasons.contains("--adopt-existing"), "{reasons}");
    assert_eq!(items(&world, "orders"), theirs, "it is as it was");
    assert_eq!(writes(&world, "orders"), BTreeSet::new());
    assert_eq!(world.differences("users").await, Vec::<String>::new());

    let ended = world.run(&["run", "--adopt-existing", "--output", "json"]).await.expect_code(2);
    assert_eq!(result(&ended, "orders")["provision"], "adopted");
    assert_eq!(result(&ended, "orders")["suspect"], true, "what was in it is not deleted unasked");
    assert_eq!(tag(&world, "orders"), arn(SOURCE_ACCOUNT, "orders"));
    let left = world.differences("orders").await;
    assert!(left.iter().all(|key| key.contains("theirs")), "every item of the source is there: {left:?}");

    let ended = world.run(&["run", "--accept-changes", "--output", "json"]).await.expect_code(0);
    assert_eq!(result(&ended, "orders")["provision"], "exists", "adopted once, it is ours");
    assert_eq!(world.differences("orders").await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_copy_of_another_table_is_refused_even_when_adoption_is_asked_for() {
    let world = World::with(vec![table("orders", 20)]).await;
    let other = "arn:aws:dynamodb:eu-west-1:333333333333:table/orders";
    let mut copy = create("orders", "pk", "S");
    copy["Tags"] = json!([{ "Key": SOURCE_TAG, "Value": other }]);
    let theirs = own(&world, &copy);

    let ended = world.run(&["run", "--adopt-existing", "--output", "json"]).await.expect_code(2);
    let reasons = refused(&ended, "orders");
    assert!(reasons.contains(other) && reasons.contains("target prefix"), "{reasons}");
    assert_eq!(items(&world, "orders"), theirs);
    assert_eq!(tag(&world, "orders"), other);
    assert_eq!(writes(&world, "orders"), BTreeSet::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_with_another_key_schema_is_refused_before_the_first_write() {
    let world = World::with(vec![table("orders", 20), table("users", 20)]).await;
    for (name, key, kind) in [("orders", "id", "S"), ("users", "pk", "N")] {
        let mut copy = create(name, key, kind);
        copy["Tags"] = json!([{ "Key": SOURCE_TAG, "Value": arn(SOURCE_ACCOUNT, name) }]);
        world.dynamodb(BACKUP_ACCOUNT, "CreateTable", &copy);
    }
    let ended = world.run(&["run", "--output", "json"]).await.expect_code(2);
    for (name, found) in [("orders", "id (S)"), ("users", "pk (N)")] {
        let reasons = refused(&ended, name);
        assert!(reasons.contains(found) && reasons.contains("pk (S)"), "{reasons}");
        assert!(reasons.contains("rename or remove it"), "{reasons}");
        assert_eq!(writes(&world, name), BTreeSet::new());
        assert_eq!(world.count(BACKUP_ACCOUNT, name), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_changes_hands_between_two_runs_is_refused() {
    let world = World::with(vec![table("orders", 20)]).await;
    world.run(&["run"]).await.expect_code(0);
    let orders = json!({ "TableName": "orders" });
    let unprotected = json!({ "TableName": "orders", "DeletionProtectionEnabled": false });
    world.dynamodb(BACKUP_ACCOUNT, "UpdateTable", &unprotected);
    world.dynamodb(BACKUP_ACCOUNT, "DeleteTable", &orders);
    let theirs = own(&world, &create("orders", "pk", "S"));
    let ended = world.run(&["run", "--output", "json"]).await.expect_code(2);
    assert!(refused(&ended, "orders").contains(SOURCE_TAG));
    assert_eq!(items(&world, "orders"), theirs);
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_stream_nor_time_to_live_is_enabled_on_the_copy() {
    let world = World::new().await;
    let mut request = create("sessions", "pk", "S");
    request["StreamSpecification"] = json!({ "StreamEnabled": true, "StreamViewType": "NEW_IMAGE" });
    world.dynamodb(SOURCE_ACCOUNT, "CreateTable", &request);
    let long_ago = json!({ "pk": { "S": "old" }, "expires": { "N": "1000000000" } });
    world.dynamodb(SOURCE_ACCOUNT, "PutItem", &json!({ "TableName": "sessions", "Item": long_ago }));
    let expiry = json!({ "Enabled": true, "AttributeName": "expires" });
    let expiry = json!({ "TableName": "sessions", "TimeToLiveSpecification": expiry });
    world.dynamodb(SOURCE_ACCOUNT, "UpdateTimeToLive", &expiry);

    world.run(&["run"]).await.expect_code(0);
    let sessions = json!({ "TableName": "sessions" });
    let source = world.dynamodb(SOURCE_ACCOUNT, "DescribeTable", &sessions);
    let copy = world.dynamodb(BACKUP_ACCOUNT, "DescribeTable", &sessions);
    let stream = "/Table/StreamSpecification/StreamEnabled";
    assert_eq!((source.pointer(stream), copy.pointer(stream)), (Some(&json!(true)), None));
    let status = |account| {
        let described = world.dynamodb(account, "DescribeTimeToLive", &sessions);
        described["TimeToLiveDescription"]["TimeToLiveStatus"].clone()
    };
    assert_eq!((status(SOURCE_ACCOUNT), status(BACKUP_ACCOUNT)), (json!("ENABLED"), json!("DISABLED")));
    assert_eq!(world.count(BACKUP_ACCOUNT, "sessions"), 1);
    assert_eq!(
        writes(&world, "sessions"),
        BTreeSet::from(["BatchWriteItem", "CreateTable", "Scan"].map(str::to_owned)),
        "nothing that would enable one"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_external_id_is_never_told() {
    let mut world = World::with(vec![table("orders", 5)]).await;
    world.set("BACKUP_LOG", "trace");
    let ended = world.run(&["run"]).await.expect_code(0);
    assert!(ended.stderr.len() > 10_000, "the log is at trace level");
    assert_nowhere(&world, &ended, EXTERNAL_ID);

    let wrong = "a-wrong-external-id";
    world.set("BACKUP_EXTERNAL_ID", wrong);
    let ended = world.run(&["run"]).await.expect_code(1);
    assert_nowhere(&world, &ended, wrong);

    world.set("BACKUP_EXTERNAL_ID", "an external id with spaces");
    let ended = world.run(&["run"]).await.expect_code(64);
    assert_nowhere(&world, &ended, "an external id with spaces");
}

#[tokio::test(flavor = "multi_thread")]
async fn item_data_never_reaches_a_log_an_error_or_a_marker() {
    let mut world = World::with(vec![table("orders", 50)]).await;
    world.set("BACKUP_LOG", "trace");
    for (table, value) in
        [("orders", json!({ "S": NEEDLE })), ("orders", json!({ "M": { "a": { "S": NEEDLE } } }))]
    {
        let item = json!({ "pk": { "S": format!("{NEEDLE}-{value}") }, "secret": value });
        world.dynamodb(SOURCE_ACCOUNT, "PutItem", &json!({ "TableName": table, "Item": item }));
    }
    let ended = world.run(&["run"]).await.expect_code(0);
    assert!(ended.stderr.contains("part written"), "the log is below info level");
    assert_nowhere(&world, &ended, NEEDLE);

    // An item that cannot be written is told by its key, in the bucket alone.
    let item = json!({ "pk": { "S": format!("{NEEDLE}-new") }, "secret": { "S": NEEDLE } });
    world.dynamodb(SOURCE_ACCOUNT, "PutItem", &json!({ "TableName": "orders", "Item": item }));
    world.aws.set_fault(|call| {
        let refuse = call.action == "BatchWriteItem";
        refuse.then(|| loopback_aws::Fault::error(400, "ValidationException"))
    });
    let ended = world.run(&["run"]).await.expect_code(2);
    assert!(!ended.stdout.contains(NEEDLE) && !ended.stderr.contains(NEEDLE));
    let telling: Vec<String> =
        world.bucket().keys().into_iter().filter(|key| holds(&world, key, NEEDLE)).collect();
    assert!(!telling.is_empty() && telling.iter().all(|key| key.contains("/state/failed")), "{telling:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn production_is_only_read_and_the_archive_only_grows() {
    let world = World::with(vec![table("orders", 200), table("users", 0)]).await;
    world.aws.clear_calls();
    world.run(&["run"]).await.expect_code(0);
    world.run(&["run"]).await.expect_code(0);

    let calls = world.aws.calls();
    let in_production = calls.iter().filter(|call| call.account == SOURCE_ACCOUNT);
    let in_production: BTreeSet<_> = in_production.map(|call| (call.role.as_deref(), call.name())).collect();
    let reads = [
        "application-autoscaling:DescribeScalableTargets",
        "application-autoscaling:DescribeScalingPolicies",
        "application-autoscaling:DescribeScheduledActions",
        "dynamodb:DescribeContinuousBackups",
        "dynamodb:DescribeContributorInsights",
        "dynamodb:DescribeKinesisStreamingDestination",
        "dynamodb:DescribeTable",
        "dynamodb:DescribeTimeToLive",
        "dynamodb:GetResourcePolicy",
        "dynamodb:ListTables",
        "dynamodb:ListTagsOfResource",
        "dynamodb:Scan",
        "sts:GetCallerIdentity",
    ];
    for (role, call) in &in_production {
        assert_eq!(*role, Some(SOURCE_ROLE_ARN), "{call}");
        assert!(reads.contains(&call.as_str()), "{call} in the source account");
    }
    assert!(in_production.len() >= 3, "{in_production:?}");

    let on_the_bucket: BTreeSet<&str> =
        calls.iter().filter(|call| call.service == "s3").map(|call| call.action.as_str()).collect();
    let grows = BTreeSet::from(["GetObject", "HeadBucket", "HeadObject", "ListObjectsV2", "PutObject"]);
    assert!(on_the_bucket.is_subset(&grows), "{on_the_bucket:?}");
    assert_eq!(world.bucket().overwritten(), Vec::<String>::new());
    assert!(world.bucket().keys().iter().all(|key| world.bucket().writes(key) == 1));
}

fn arn(account: &str, table: &str) -> String {
    format!("arn:aws:dynamodb:{REGION}:{account}:table/{table}")
}

/// Creates a table of somebody in the backup account, with an item in it; gives its items.
fn own(world: &World, create: &Value) -> Value {
    world.dynamodb(BACKUP_ACCOUNT, "CreateTable", create);
    let item = json!({ "pk": { "S": "theirs" }, "kept": { "BOOL": true } });
    let put = json!({ "TableName": create["TableName"], "Item": item });
    world.dynamodb(BACKUP_ACCOUNT, "PutItem", &put);
    items(world, create["TableName"].as_str().expect("a table has a name"))
}

fn items(world: &World, copy: &str) -> Value {
    world.dynamodb(BACKUP_ACCOUNT, "Scan", &json!({ "TableName": copy }))["Items"].clone()
}

/// The source that a table of the backup account is tagged as the copy of.
fn tag(world: &World, copy: &str) -> String {
    let of = json!({ "ResourceArn": arn(BACKUP_ACCOUNT, copy) });
    let tags = world.dynamodb(BACKUP_ACCOUNT, "ListTagsOfResource", &of)["Tags"].clone();
    let tags = tags.as_array().cloned().unwrap_or_default();
    let tag = tags.iter().find(|tag| tag["Key"] == SOURCE_TAG).expect("it has the tag");
    tag["Value"].as_str().expect("a tag is a text").to_owned()
}

/// Everything the program asked of a table in the backup account but to describe it.
fn writes(world: &World, copy: &str) -> BTreeSet<String> {
    let calls = world.aws.calls().into_iter();
    let calls = calls.filter(|call| call.service == "dynamodb" && call.account == BACKUP_ACCOUNT);
    // A tagged resource is named by its ARN.
    let calls = calls.filter(|call| call.resource == copy || call.resource.ends_with(&format!("/{copy}")));
    let looks = ["DescribeTable", "ListTagsOfResource"];
    calls.map(|call| call.action).filter(|action| !looks.contains(&action.as_str())).collect()
}

/// The result of one table in what `run --output json` prints.
fn result(ended: &Ended, table: &str) -> Value {
    let finished = ended.json();
    let tables = finished["runs"][0]["tables"].as_array().cloned().expect("a run with tables");
    tables.into_iter().find(|result| result["table"] == table).expect("the table has a result")
}

/// Why a table's copy was refused, all of it.
fn refused(ended: &Ended, table: &str) -> String {
    let result = result(ended, table);
    assert_eq!((&result["outcome"], &result["items_put"]), (&json!("partial"), &json!(0)), "{result}");
    assert_eq!(result["items_exported"], 20, "the archive is whole all the same");
    result["reasons"].to_string()
}

/// Whether an object in the bucket holds a text as it is, not compressed.
fn holds(world: &World, key: &str, text: &str) -> bool {
    let body = world.bucket().get(key).unwrap_or_default();
    body.windows(text.len()).any(|window| window == text.as_bytes())
}

fn assert_nowhere(world: &World, ended: &Ended, secret: &str) {
    let tell = |name: &str, text: &str| {
        let line = text.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{name} tells it: {}", line.unwrap_or_default());
    };
    tell("stdout", &ended.stdout);
    tell("stderr", &ended.stderr);
    for key in world.bucket().keys() {
        assert!(!holds(world, &key, secret) && !key.contains(secret), "{key} tells it");
    }
    for queue in ["trigger", "export", "provision", "write"] {
        world.dead_letters(queue).iter().for_each(|(body, reason)| tell(queue, &format!("{body}{reason}")));
    }
}
