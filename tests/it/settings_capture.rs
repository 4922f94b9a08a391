//! What a table is set to beyond its definition: captured with every backup, and given back by a restore when
//! the items are there.

use std::sync::atomic::{AtomicUsize, Ordering};

use loopback_aws::{BACKUP_ACCOUNT, EXTERNAL_ID, Fault, REGION, Role, SOURCE_ACCOUNT, SOURCE_ROLE_ARN};
use serde_json::{Value, json};

use crate::evidence::result_of;
use crate::harness::{World, create, table};

/// What a source role may do that was made before settings were captured.
const ONLY_ITEMS: [&str; 3] = ["dynamodb:ListTables", "dynamodb:DescribeTable", "dynamodb:Scan"];

const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[]}"#;

fn arn(account: &str, table: &str) -> String {
    format!("arn:aws:dynamodb:{REGION}:{account}:table/{table}")
}

/// A source table `sessions` with all that the loopback AWS can set, and 30 items, all of which have expired.
async fn with_sessions() -> World {
    let world = World::new().await;
    let mut request = create("sessions", "pk", "S");
    request["StreamSpecification"] = json!({ "StreamEnabled": true, "StreamViewType": "NEW_IMAGE" });
    request["Tags"] = json!([
        { "Key": "team", "Value": "shop" },
        { "Key": "dynamodb-backup:source-arn", "Value": "arn of another" },
    ]);
    let in_source = |action, body: &Value| world.dynamodb(SOURCE_ACCOUNT, action, body);
    in_source("CreateTable", &request);
    for number in 0..30 {
        let item = json!({ "pk": { "S": format!("session-{number:02}") }, "expires": { "N": "1000000000" } });
        in_source("PutItem", &json!({ "TableName": "sessions", "Item": item }));
    }
    let expiry = json!({ "Enabled": true, "AttributeName": "expires" });
    in_source("UpdateTimeToLive", &json!({ "TableName": "sessions", "TimeToLiveSpecification": expiry }));
    let recovery = json!({ "PointInTimeRecoveryEnabled": true });
    let recovery = json!({ "TableName": "sessions", "PointInTimeRecoverySpecification": recovery });
    in_source("UpdateContinuousBackups", &recovery);
    let policy = json!({ "ResourceArn": arn(SOURCE_ACCOUNT, "sessions"), "Policy": POLICY });
    in_source("PutResourcePolicy", &policy);
    world.aws.clear_calls();
    world
}

fn stream(described: &Value) -> &Value {
    &described["Table"]["StreamSpecification"]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_setting_of_a_table_lies_in_the_archive_as_dynamodb_tells_it() {
    let world = with_sessions().await;
    world.backup(&[], 0).await;

    let settings = world.object("/sessions/table.json").expect("it is JSON")["settings"].clone();
    let named = json!({ "TableName": "sessions" });
    let by_arn = json!({ "ResourceArn": arn(SOURCE_ACCOUNT, "sessions") });
    let told = |action, body: &Value| world.dynamodb(SOURCE_ACCOUNT, action, body);
    let expected = json!({
        "TimeToLive": told("DescribeTimeToLive", &named)["TimeToLiveDescription"],
        "ContinuousBackups": told("DescribeContinuousBackups", &named)["ContinuousBackupsDescription"],
        "Tags": told("ListTagsOfResource", &by_arn)["Tags"],
        "ResourcePolicy": told("GetResourcePolicy", &by_arn),
        "ContributorInsights": told("DescribeContributorInsights", &named),
        "KinesisDestinations":
            told("DescribeKinesisStreamingDestination", &named)["KinesisDataStreamDestinations"],
        "not_readable": [],
    });
    assert_eq!(settings, expected);
    assert_eq!(settings["TimeToLive"]["AttributeName"], "expires");
    assert_eq!(settings["ResourcePolicy"]["Policy"], POLICY);

    let run = world.only_run().to_string();
    let shown = world.run(&["show", &run, "--table", "sessions"]).await.expect_code(0).stdout;
    for line in [
        "expiry    time to live is on, by attribute expires",
        "recovery  point-in-time recovery is on, for 35 days",
        "team=shop",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_that_may_not_be_read_is_named_with_its_permission_and_fails_nothing() {
    let world = with_sessions().await;
    world.seed(vec![table("orders", 5)]).await;
    let role = Role::new(SOURCE_ROLE_ARN, BACKUP_ACCOUNT).external_id(EXTERNAL_ID);
    world.aws.add_role(role.allow(ONLY_ITEMS).allow(["dynamodb:ListTagsOfResource"]));
    let report = world.backup(&[], 0).await;
    assert_eq!(result_of(&report, "sessions")["outcome"], "complete");

    let settings = world.object("/sessions/table.json").expect("it is JSON")["settings"].clone();
    let missing: Vec<_> = settings["not_readable"].as_array().expect("a list").iter().collect();
    let named: Vec<_> = missing.iter().map(|one| (&one["setting"], &one["permission"])).collect();
    let expected = [
        ("TimeToLive", "DescribeTimeToLive"),
        ("ContinuousBackups", "DescribeContinuousBackups"),
        ("ResourcePolicy", "GetResourcePolicy"),
        ("ContributorInsights", "DescribeContributorInsights"),
        ("KinesisDestinations", "DescribeKinesisStreamingDestination"),
    ];
    let mut expected = expected.map(|(setting, action)| (setting, format!("dynamodb:{action}"))).to_vec();
    expected.push(("AutoScaling", "application-autoscaling:DescribeScalableTargets".to_owned()));
    let expected: Vec<_> =
        expected.into_iter().map(|(setting, action)| (json!(setting), json!(action))).collect();
    assert_eq!(named, expected.iter().map(|(setting, action)| (setting, action)).collect::<Vec<_>>());
    let reason = missing[0]["reason"].as_str().expect("a text");
    assert!(reason.contains("table sessions") && reason.contains("not authorized"), "{reason}");
    assert_eq!(settings["Tags"].as_array().map(Vec::len), Some(2));
    assert_eq!(settings["TimeToLive"], Value::Null);

    let run = world.only_run().to_string();
    let shown = world.run(&["show", &run, "--table", "sessions"]).await.expect_code(0).stdout;
    let line = "missing   TimeToLive: the source role has no dynamodb:DescribeTimeToLive";
    assert!(shown.contains(line), "{shown}");
    let restored = restore(&world, &run, &["--table", "sessions", "--to", "again"]).await;
    let lost = restored["not_restored"].to_string();
    assert!(lost.contains("TimeToLive: not in the backup"), "{lost}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_setting_is_asked_for_again() {
    let world = with_sessions().await;
    let throttled = AtomicUsize::new(0);
    world.aws.set_fault(move |call| {
        let is_first = || throttled.fetch_add(1, Ordering::Relaxed) == 0;
        (call.action == "DescribeTimeToLive" && is_first()).then(|| Fault::error(400, "ThrottlingException"))
    });
    world.backup(&[], 0).await;
    let settings = world.object("/sessions/table.json").expect("it is JSON")["settings"].clone();
    assert_eq!(
        (&settings["not_readable"], &settings["TimeToLive"]["AttributeName"]),
        (&json!([]), &json!("expires"))
    );
    assert_eq!(world.count_calls("DescribeTimeToLive"), 2);
}

/// What a restore of one table has done.
async fn restore(world: &World, run: &str, arguments: &[&str]) -> Value {
    let arguments = [&["restore", run, "--output", "json"], arguments].concat();
    world.run(&arguments).await.expect_code(0).json()["tables"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_and_time_to_live_are_enabled_when_the_items_are_there_and_the_rest_is_named() {
    let world = with_sessions().await;
    world.backup(&[], 0).await;
    let run = world.only_run().to_string();
    let again = ["--table", "sessions", "--to", "again"];
    let preview = restore(&world, &run, &[&again[..], &["--dry-run"]].concat()).await;
    world.aws.clear_calls();
    let restored = restore(&world, &run, &again).await;

    let enabled =
        json!(
            ["point-in-time recovery (35 days)", "stream (NEW_IMAGE)", "time to live (attribute expires)",]
        );
    let lost = json!([
        "resource policy: it names principals and ARNs of the source",
        "tag dynamodb-backup:source-arn: the prefix is reserved",
    ]);
    assert_eq!((&restored["enabled"], &restored["not_restored"]), (&enabled, &lost));
    assert_eq!((&preview["enabled"], &preview["not_restored"]), (&enabled, &lost));
    let calls: Vec<String> = world.aws.calls().into_iter().map(|call| call.action).collect();
    let (last_put, last_scan) = (place(&calls, "BatchWriteItem"), place(&calls, "Scan"));
    let (stream_at, expiry_at) = (place(&calls, "UpdateTable"), place(&calls, "UpdateTimeToLive"));
    assert!(last_put < last_scan && last_scan < stream_at && stream_at < expiry_at, "{calls:?}");

    let named = json!({ "TableName": "again" });
    let described = world.dynamodb(BACKUP_ACCOUNT, "DescribeTable", &named);
    assert_eq!(stream(&described), &json!({ "StreamEnabled": true, "StreamViewType": "NEW_IMAGE" }));
    let expiry = world.dynamodb(BACKUP_ACCOUNT, "DescribeTimeToLive", &named);
    let on = json!({ "TimeToLiveStatus": "ENABLED", "AttributeName": "expires" });
    assert_eq!(expiry["TimeToLiveDescription"], on);
    let tags = json!({ "ResourceArn": arn(BACKUP_ACCOUNT, "again") });
    let tags = world.dynamodb(BACKUP_ACCOUNT, "ListTagsOfResource", &tags);
    assert_eq!(tags["Tags"], json!([{ "Key": "team", "Value": "shop" }]));
    assert_eq!(world.count(BACKUP_ACCOUNT, "again"), 30);
}

/// Where an action was called for the last time.
fn place(calls: &[String], action: &str) -> usize {
    calls.iter().rposition(|call| call == action).unwrap_or_else(|| panic!("no {action} in {calls:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_was_there_keeps_its_settings() {
    let world = with_sessions().await;
    world.backup(&[], 0).await;
    let run = world.only_run().to_string();
    world.dynamodb(BACKUP_ACCOUNT, "CreateTable", &create("again", "pk", "S"));
    let restored = restore(&world, &run, &["--table", "sessions", "--to", "again"]).await;
    assert_eq!(restored["enabled"], json!([]));
    let lost = restored["not_restored"].to_string();
    assert!(lost.contains("time to live (attribute expires): the table was there"), "{lost}");
    assert_eq!((world.count_calls("UpdateTimeToLive"), world.count_calls("UpdateTable")), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_that_cannot_be_enabled_is_named_and_keeps_no_other_from_being_enabled() {
    let world = with_sessions().await;
    world.backup(&[], 0).await;
    let run = world.only_run().to_string();
    let denied = |call: &loopback_aws::Call| call.action == "UpdateContinuousBackups";
    world.aws.set_fault(move |call| denied(call).then(|| Fault::error(400, "AccessDeniedException")));
    let ended = world.run(&["restore", &run, "--table", "sessions", "--to", "again"]).await.expect_code(2);
    for told in ["every item of the backup", "point-in-time recovery (35 days)", "AccessDeniedException"] {
        assert!(ended.stdout.contains(told), "{}", ended.stdout);
    }
    assert_eq!(world.count(BACKUP_ACCOUNT, "again"), 30);
    for told in ["enabled: stream (NEW_IMAGE)", "enabled: time to live (attribute expires)"] {
        assert!(ended.stdout.contains(told), "{}", ended.stdout);
    }
    let expiry = world.dynamodb(BACKUP_ACCOUNT, "DescribeTimeToLive", &json!({ "TableName": "again" }));
    assert_eq!(expiry["TimeToLiveDescription"]["TimeToLiveStatus"], "ENABLED");
}

/// What AWS answers to one who enables what is on already, which the loopback AWS does not mind.
fn already(message: &str) -> Fault {
    Fault::Error { status: 400, code: "ValidationException".into(), message: message.into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_enabled_although_answers_are_lost_and_the_table_is_busy() {
    let world = with_sessions().await;
    world.backup(&[], 0).await;
    let run = world.only_run().to_string();
    let (streams, expiries) = (AtomicUsize::new(0), AtomicUsize::new(0));
    world.aws.set_fault(move |call| match call.action.as_str() {
        "UpdateTable" => Some(match streams.fetch_add(1, Ordering::Relaxed) {
            0 => Fault::LostAnswer,
            _ => already("Table already has an enabled stream: TableName: again"),
        }),
        "UpdateTimeToLive" => Some(match expiries.fetch_add(1, Ordering::Relaxed) {
            0 => Fault::error(400, "ResourceInUseException"),
            1 => Fault::LostAnswer,
            _ => already("TimeToLive is already enabled"),
        }),
        _ => None,
    });
    let restored = restore(&world, &run, &["--table", "sessions", "--to", "again"]).await;
    let enabled =
        json!(
            ["point-in-time recovery (35 days)", "stream (NEW_IMAGE)", "time to live (attribute expires)",]
        );
    assert_eq!(restored["enabled"], enabled);
    assert_eq!((world.count_calls("UpdateTable"), world.count_calls("UpdateTimeToLive")), (2, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_from_before_settings_were_captured_is_read_and_says_so() {
    let world = with_sessions().await;
    world.backup(&[], 0).await;
    let run = world.only_run().to_string();
    let key = world.keys("/sessions/table.json")[0].clone();
    let mut record = world.object("/sessions/table.json").expect("it is JSON");
    record.as_object_mut().expect("an object").remove("settings");
    world.bucket().put(&key, record.to_string());

    world.run(&["show", &run, "--table", "sessions"]).await.expect_code(0);
    let restored = restore(&world, &run, &["--table", "sessions", "--to", "again"]).await;
    assert_eq!(restored["enabled"], json!(["stream (NEW_IMAGE)"]), "the definition has the stream");
    let lost = restored["not_restored"].to_string();
    assert!(lost.contains("the backup was made before they were captured"), "{lost}");
}
