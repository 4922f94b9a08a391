//! A table with every setting set goes out and comes back: each setting of its live copy, and of a table restored
//! from the archive, is what the dispositions say.

use std::collections::BTreeMap;

use dynamodb_backup::schema::disposition::{DISPOSITIONS, Fate};
use loopback_aws::{BACKUP_ACCOUNT, REGION, Role, SOURCE_ACCOUNT};
use serde_json::{Value, json};

use crate::evidence::result_of;
use crate::harness::World;

const TABLE: &str = "everything";
const RESTORE_ROLE: &str = "arn:aws:iam::111111111111:role/restore";
const KMS_KEY: &str = "arn:aws:kms:eu-west-1:111111111111:key/11111111-2222-3333-4444-555555555555";

fn arn(account: &str, table: &str) -> String {
    format!("arn:aws:dynamodb:{REGION}:{account}:table/{table}")
}

fn stream_arn(number: usize) -> String {
    format!("arn:aws:kinesis:{REGION}:{SOURCE_ACCOUNT}:stream/changes-{number}")
}

fn index(name: &str, keys: &[(&str, &str)]) -> Value {
    let keys: Vec<_> =
        keys.iter().map(|(name, role)| json!({ "AttributeName": name, "KeyType": role })).collect();
    json!({ "IndexName": name, "KeySchema": keys, "Projection": { "ProjectionType": "ALL" } })
}

/// The CreateTable request of a table with all that one can be given.
fn request() -> Value {
    let throughput = json!({ "ReadCapacityUnits": 40, "WriteCapacityUnits": 20 });
    let global = |name, keys| {
        let mut index = index(name, keys);
        index["ProvisionedThroughput"] = throughput.clone();
        index
    };
    let attributes = ["pk", "sk", "owner", "at"];
    let attributes = attributes.map(|name| json!({ "AttributeName": name, "AttributeType": "S" }));
    json!({
        "TableName": TABLE,
        "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }, { "AttributeName": "sk", "KeyType": "RANGE" }],
        "AttributeDefinitions": attributes,
        "BillingMode": "PROVISIONED",
        "ProvisionedThroughput": throughput,
        "LocalSecondaryIndexes": [index("by_at", &[("pk", "HASH"), ("at", "RANGE")])],
        "GlobalSecondaryIndexes": [global("by_owner", &[("owner", "HASH"), ("at", "RANGE")]),
            global("by_day", &[("at", "HASH")])],
        "TableClass": "STANDARD_INFREQUENT_ACCESS",
        "StreamSpecification": { "StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES" },
        "SSESpecification": { "Enabled": true, "SSEType": "KMS", "KMSMasterKeyId": KMS_KEY },
        "DeletionProtectionEnabled": true,
        "Tags": [{ "Key": "team", "Value": "shop" }, { "Key": "stage", "Value": "prod" }],
    })
}

/// A source with such a table, and with all that further calls can give it.
async fn with_everything() -> World {
    let world = World::new().await;
    let set = |action, body: Value| world.dynamodb(SOURCE_ACCOUNT, action, &body);
    set("CreateTable", request());
    for number in 0..40 {
        let text = |text: String| json!({ "S": text });
        let item = json!({ "pk": text(format!("p{}", number % 7)), "sk": text(format!("{number:03}")),
            "owner": text(format!("o{}", number % 3)), "at": text(format!("2026-11-{number:02}")) });
        set("PutItem", json!({ "TableName": TABLE, "Item": item }));
    }
    let expiry = json!({ "Enabled": true, "AttributeName": "expires" });
    set("UpdateTimeToLive", json!({ "TableName": TABLE, "TimeToLiveSpecification": expiry }));
    let recovery = json!({ "PointInTimeRecoveryEnabled": true, "RecoveryPeriodInDays": 14 });
    set(
        "UpdateContinuousBackups",
        json!({ "TableName": TABLE, "PointInTimeRecoverySpecification": recovery }),
    );
    let principal = format!("arn:aws:iam::{SOURCE_ACCOUNT}:role/reader");
    let policy = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": "dynamodb:GetItem",
        "Principal": { "AWS": principal }, "Resource": arn(SOURCE_ACCOUNT, TABLE) }] });
    set(
        "PutResourcePolicy",
        json!({ "ResourceArn": arn(SOURCE_ACCOUNT, TABLE), "Policy": policy.to_string() }),
    );
    set("UpdateContributorInsights", json!({ "TableName": TABLE, "ContributorInsightsAction": "ENABLE" }));
    for number in 0..2 {
        set(
            "EnableKinesisStreamingDestination",
            json!({ "TableName": TABLE, "StreamArn": stream_arn(number) }),
        );
    }
    scale(&world);
    world.aws.clear_calls();
    world
}

/// Auto scaling of the table, of an index, and of something else.
fn scale(world: &World) {
    for (action, resource) in [
        ("RegisterScalableTarget", "table/everything"),
        ("RegisterScalableTarget", "table/everything/index/by_owner"),
        ("RegisterScalableTarget", "table/another"),
        ("PutScalingPolicy", "table/everything"),
        ("PutScheduledAction", "table/everything/index/by_owner"),
    ] {
        let body = json!({ "ServiceNamespace": "dynamodb", "ResourceId": resource,
            "ScalableDimension": "dynamodb:table:WriteCapacityUnits", "MinCapacity": 5, "MaxCapacity": 500 });
        world.aws.scaling(SOURCE_ACCOUNT, REGION, action, &body).expect("it is registered");
    }
}

/// Every setting of a table that the dispositions name, as it is told, without what is not a setting.
fn settings(world: &World, account: &str, table: &str) -> BTreeMap<String, Value> {
    let tell = |action, body: Value| world.dynamodb(account, action, &body);
    let named = json!({ "TableName": table });
    let by_arn = json!({ "ResourceArn": arn(account, table) });
    let mut all = tell("DescribeTable", named.clone())["Table"].clone();
    all["TimeToLive"] = tell("DescribeTimeToLive", named.clone())["TimeToLiveDescription"].clone();
    let backups = tell("DescribeContinuousBackups", named.clone());
    all["ContinuousBackups"] =
        backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"].clone();
    all["ContributorInsights"] =
        tell("DescribeContributorInsights", named.clone())["ContributorInsightsStatus"].clone();
    all["KinesisDestinations"] =
        tell("DescribeKinesisStreamingDestination", named)["KinesisDataStreamDestinations"].clone();
    let policy = world.aws.dynamodb(account, REGION, "GetResourcePolicy", &by_arn);
    all["ResourcePolicy"] = policy.unwrap_or_default();
    let mut tags = tell("ListTagsOfResource", by_arn)["Tags"].as_array().cloned().unwrap_or_default();
    tags.retain(|tag| !tag["Key"].as_str().expect("a text").starts_with("dynamodb-backup:"));
    tags.sort_by_key(ToString::to_string);
    all["Tags"] = json!(tags);
    let members = all.as_object().expect("an object").clone();
    members.into_iter().map(|(name, value)| (name.clone(), plain(&name, value))).collect()
}

/// A setting without the counters, states and dates that stand in it.
fn plain(name: &str, mut value: Value) -> Value {
    let keep = |element: &Value, members: &[&str]| {
        let kept = members.iter().filter(|member| !element[**member].is_null());
        kept.map(|member| ((*member).to_owned(), element[*member].clone())).collect::<Value>()
    };
    let identity = ["IndexName", "KeySchema", "Projection"];
    match (name, value.as_array_mut()) {
        ("GlobalSecondaryIndexes" | "LocalSecondaryIndexes", Some(indexes)) => {
            let mut indexes: Vec<_> = indexes.iter().map(|index| keep(index, &identity)).collect();
            indexes.sort_by_key(ToString::to_string);
            json!(indexes)
        }
        ("AttributeDefinitions", Some(attributes)) => {
            attributes.sort_by_key(ToString::to_string);
            value
        }
        ("ProvisionedThroughput", _) => keep(&value, &["ReadCapacityUnits", "WriteCapacityUnits"]),
        ("BillingModeSummary", _) => keep(&value, &["BillingMode"]),
        ("TableClassSummary", _) => keep(&value, &["TableClass"]),
        _ => value,
    }
}

/// What a setting is where it is not set.
fn off(name: &str) -> Value {
    match name {
        "TimeToLive" => json!({ "TimeToLiveStatus": "DISABLED" }),
        "ContinuousBackups" => json!({ "PointInTimeRecoveryStatus": "DISABLED" }),
        "ContributorInsights" => json!("DISABLED"),
        "KinesisDestinations" => json!([]),
        _ => Value::Null,
    }
}

/// Compares every setting of a table with the source's, by what is said to become of it.
fn assert_as_said(
    source: &BTreeMap<String, Value>,
    found: &BTreeMap<String, Value>,
    fate: impl Fn(&dynamodb_backup::schema::disposition::Disposition) -> Fate,
    remapped: &[(&str, Value)],
) {
    let mut seen = Vec::new();
    for one in DISPOSITIONS.iter().filter(|one| one.path().1.is_none()) {
        let name = one.setting;
        let of = |settings: &BTreeMap<String, Value>| settings.get(name).cloned().unwrap_or_default();
        match fate(one) {
            Fate::Carried | Fate::Late => {
                assert_eq!(of(found), of(source), "{name} is carried");
                if !of(source).is_null() {
                    seen.push(name);
                }
            }
            Fate::Withheld => {
                assert_ne!(of(source), off(name), "{name} is set in the source");
                assert_eq!(of(found), off(name), "{name} is withheld");
            }
            Fate::Remapped => {
                let (_, wanted) = remapped.iter().find(|(other, _)| *other == name).expect(name);
                assert_eq!(&of(found), wanted, "{name} is remapped");
            }
            Fate::Recorded | Fate::Fact => {}
        }
    }
    for name in ["LocalSecondaryIndexes", "GlobalSecondaryIndexes", "TableClassSummary", "Tags"] {
        assert!(seen.contains(&name), "{name} was compared: {seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_setting_of_the_live_copy_is_what_its_disposition_says() {
    let mut world = with_everything().await;
    world.set("BACKUP_COPY_RECOVERY_DAYS", "3");
    let report = world.backup(&[], 0).await;
    assert_eq!(result_of(&report, TABLE)["drift"], Value::Null, "{report}");
    let source = settings(&world, SOURCE_ACCOUNT, TABLE);
    let copy = settings(&world, BACKUP_ACCOUNT, TABLE);
    let no_throughput = json!({ "ReadCapacityUnits": 0, "WriteCapacityUnits": 0 });
    let recovery = json!({ "PointInTimeRecoveryStatus": "ENABLED", "RecoveryPeriodInDays": 3 });
    let remapped = [
        ("TableName", json!(TABLE)),
        ("ProvisionedThroughput", no_throughput),
        ("BillingModeSummary", json!({ "BillingMode": "PAY_PER_REQUEST" })),
        ("SSEDescription", Value::Null),
        ("DeletionProtectionEnabled", json!(true)),
        ("WarmThroughput", copy["WarmThroughput"].clone()),
        ("ContinuousBackups", recovery),
    ];
    assert_as_said(&source, &copy, |one| one.copy, &remapped);
    assert_eq!(world.count_calls("PutResourcePolicy"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_setting_of_a_restored_table_is_what_its_disposition_says() {
    let mut world = with_everything().await;
    world.backup(&[], 0).await;
    let run = world.only_run().to_string();
    // Back into the account of the source, where its Kinesis streams are.
    world.aws.add_role(Role::new(RESTORE_ROLE, BACKUP_ACCOUNT).allow(["dynamodb:*", "sts:*"]));
    world.set("BACKUP_TARGET_ROLE_ARN", RESTORE_ROLE);
    let arguments = ["restore", &run, "--table", TABLE, "--to", "again", "--output", "json"];
    let restored = world.run(&arguments).await.expect_code(0).json()["tables"][0].clone();

    let source = settings(&world, SOURCE_ACCOUNT, TABLE);
    let again = settings(&world, SOURCE_ACCOUNT, "again");
    assert_as_said(&source, &again, |one| one.restored, &[("TableName", json!("again"))]);
    let enabled = [
        "point-in-time recovery (14 days)".to_owned(),
        "deletion protection".to_owned(),
        "Contributor Insights".to_owned(),
        "stream (NEW_AND_OLD_IMAGES)".to_owned(),
        "time to live (attribute expires)".to_owned(),
        format!("Kinesis destination {}", stream_arn(0)),
        format!("Kinesis destination {}", stream_arn(1)),
    ];
    assert_eq!(restored["enabled"], json!(enabled));
    let lost = restored["not_restored"].as_array().expect("a list");
    let starts = ["KMS key arn:aws:kms", "resource policy", "auto scaling of 2 dimensions"];
    let is_told = |start: &&str| lost.iter().any(|it| it.as_str().is_some_and(|it| it.starts_with(*start)));
    assert!(starts.iter().all(is_told) && lost.len() == starts.len(), "{lost:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kinesis_stream_of_another_account_is_named_and_one_that_is_there_already_is_no_error() {
    let world = with_everything().await;
    world.backup(&[], 0).await;
    let run = world.only_run().to_string();
    let arguments = ["restore", &run, "--table", TABLE, "--to", "again", "--output", "json"];
    let restored = world.run(&arguments).await.expect_code(0).json()["tables"][0].clone();
    let lost = restored["not_restored"].to_string();
    for number in 0..2 {
        let told = format!("Kinesis destination {}: it is of another account", stream_arn(number));
        assert!(lost.contains(&told), "{lost}");
    }
    assert_eq!(world.count_calls("EnableKinesisStreamingDestination"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn auto_scaling_lies_in_the_archive_whole_and_is_asked_for_once_for_all_tables() {
    let world = with_everything().await;
    let mut other = request();
    other["TableName"] = json!("quiet");
    world.dynamodb(SOURCE_ACCOUNT, "CreateTable", &other);
    for number in 0..60 {
        let body = json!({ "ServiceNamespace": "dynamodb", "ResourceId": format!("table/busy-{number}") });
        world.aws.scaling(SOURCE_ACCOUNT, REGION, "RegisterScalableTarget", &body).expect("it is registered");
    }
    world.backup(&[], 0).await;
    let scaling = world.object("/everything/table.json").expect("JSON")["settings"]["AutoScaling"].clone();
    let counts = ["ScalableTargets", "ScalingPolicies", "ScheduledActions"]
        .map(|list| scaling[list].as_array().map(Vec::len));
    assert_eq!(counts, [Some(2), Some(1), Some(1)], "{scaling}");
    assert_eq!(scaling["ScalableTargets"][0]["MaxCapacity"], 500, "as it was told");
    let quiet = world.object("/quiet/table.json").expect("JSON");
    assert_eq!(quiet["settings"]["AutoScaling"], Value::Null);
    assert_eq!(world.count_calls("DescribeScalableTargets"), 2, "two pages");
    assert_eq!(world.count_calls("DescribeScalingPolicies"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn show_tells_of_each_setting_that_a_table_has_what_becomes_of_it_and_why() {
    let world = with_everything().await;
    world.backup(&[], 0).await;
    let run = world.only_run().to_string();
    let shown = world.run(&["show", &run, "--table", TABLE]).await.expect_code(0).stdout;
    let line = |setting: &str| {
        let line = shown.lines().find(|line| line.trim_start().starts_with(&format!("{setting} ")));
        line.unwrap_or_else(|| panic!("no {setting} in\n{shown}"))
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        line("TimeToLive"),
        "TimeToLive withheld carried last it would delete from the copy what the archive has"
    );
    assert!(line("SSEDescription").starts_with("SSEDescription remapped withheld"));
    assert!(line("AutoScaling").starts_with("AutoScaling recorded only recorded only"));
    assert!(
        !shown.lines().any(|line| line.trim_start().starts_with("ItemCount ")),
        "counters are no settings"
    );
    let told = world.run(&["show", &run, "--table", TABLE, "--output", "json"]).await.expect_code(0).json();
    let named: Vec<_> =
        told["dispositions"].as_array().expect("a list").iter().map(|it| &it["setting"]).collect();
    assert!(
        named.contains(&&json!("KinesisDestinations")) && !named.contains(&&json!("Replicas")),
        "{named:?}"
    );
}
