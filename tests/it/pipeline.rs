//! One backup from its trigger to its report, on good days and on bad ones.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::types::ChecksumMode;
use dynamodb_backup::archive::layout::RunId;
use jiff::Timestamp;
use loopback_aws::{
    BACKUP_ACCOUNT, BUCKET, Call, EXTERNAL_ID, Fault, REGION, Role, SOURCE_ACCOUNT, SOURCE_ROLE_ARN, sample,
};
use serde_json::{Value, json};

use crate::compare;
use crate::evidence::{of_shop, result_of};
use crate::harness::{World, table};

/// All that may ever be asked of the source account.
const READS: [&str; 13] = [
    "sts:GetCallerIdentity",
    "dynamodb:ListTables",
    "dynamodb:DescribeTable",
    "dynamodb:DescribeContinuousBackups",
    "dynamodb:DescribeTimeToLive",
    "dynamodb:ListTagsOfResource",
    "dynamodb:GetResourcePolicy",
    "dynamodb:DescribeContributorInsights",
    "dynamodb:DescribeKinesisStreamingDestination",
    "dynamodb:Scan",
    "application-autoscaling:DescribeScalableTargets",
    "application-autoscaling:DescribeScalingPolicies",
    "application-autoscaling:DescribeScheduledActions",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_run_backs_up_every_table_and_leaves_nothing_to_do() {
    let world = World::with(sample::shop()).await;
    let report = world.backup(&[], 0).await;

    assert_eq!(report["outcome"], "complete");
    world.assert_copied().await;
    let run = world.only_run();
    for name in world.tables(SOURCE_ACCOUNT) {
        let result = result_of(&report, &name);
        let items = world.source_items(&name).len();
        assert_eq!(
            (&result["outcome"], &result["provision"]),
            (&json!("complete"), &json!("created")),
            "{name}"
        );
        assert_eq!(
            (&result["items_exported"], &result["items_put"]),
            (&json!(items), &json!(items)),
            "{name}"
        );
        assert!(world.object(&format!("runs/{run}/results/{name}.json")).is_some(), "{name} has its result");
        let folder = format!("runs/{run}/tables/{name}/AWSDynamoDB/");
        let manifests =
            ["manifest-summary.json", "manifest-summary.md5", "manifest-files.json", "manifest-files.md5"];
        for manifest in manifests {
            let found = world.keys(manifest).iter().any(|key| key.starts_with(&folder));
            assert!(found, "{name} has its {manifest}");
        }
    }
    assert_eq!(world.object(&format!("runs/{run}/report.json")), Some(report["runs"][0].clone()));
    assert_eq!(world.messages_left(), 0);
    assert_nothing_went_wrong(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_writes_into_the_copies_of_the_first() {
    let world = World::with(of_shop(&["orders", "products"])).await;
    world.backup(&[], 0).await;
    let changed = &mut world.source_items("products")[0];
    changed["note"] = json!({ "S": "changed between the runs" });
    world.dynamodb(SOURCE_ACCOUNT, "PutItem", &json!({ "TableName": "products", "Item": changed }));
    assert_eq!(world.differences("products").await.len(), 1);

    let report = world.backup(&[], 0).await;

    assert_eq!(report["outcome"], "complete");
    assert_eq!(result_of(&report, "orders")["provision"], "exists");
    assert_eq!(world.keys("/report.json").len(), 2);
    world.assert_copied().await;
    assert_nothing_went_wrong(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_triggers_at_the_same_moment_one_makes_the_run_and_one_is_skipped() {
    let world = World::with(vec![table("orders", 20)]).await;
    let slow =
        |call: &loopback_aws::Call| (call.action == "Scan").then_some(Fault::Delay(Duration::from_secs(1)));
    world.aws.set_fault(slow);
    let workers = [world.start(&["worker"]), world.start(&["worker"])];
    world.send("trigger", "{}");
    world.send("trigger", "{}");

    let reports = |world: &World| -> Vec<Value> {
        let keys = world.keys_with("/report.json");
        keys.iter().filter_map(|key| serde_json::from_slice(&world.bucket().get(key)?).ok()).collect()
    };
    world.until("both runs to end", |world| reports(world).len() == 2).await;

    let mut outcomes: Vec<String> =
        reports(&world).iter().map(|report| report["outcome"].to_string()).collect();
    outcomes.sort();
    assert_eq!(outcomes, [r#""complete""#, r#""skipped""#]);
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn patterns_narrow_a_run() {
    let names = ["orders", "orders-eu", "orders-test", "users"];
    let world = World::with(names.iter().map(|name| table(name, 5)).collect()).await;

    let report = world.backup(&["--table", "orders*", "--skip-table", "*-test"], 0).await;

    assert_eq!(table_names(&report), BTreeSet::from(["orders", "orders-eu"]));
    assert_eq!(world.tables(BACKUP_ACCOUNT), ["orders", "orders-eu"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_takes_a_trigger_in_each_of_its_envelopes() {
    let world = World::with(vec![table("orders", 20), table("users", 20)]).await;
    let worker = world.start(&["worker"]);
    let rule = json!({
        "version": "0", "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa", "detail-type": "Scheduled Event",
        "source": "aws.events", "account": BACKUP_ACCOUNT, "time": "2026-01-31T02:00:00Z", "region": REGION,
        "resources": ["arn:aws:events:eu-west-1:222222222222:rule/nightly"], "detail": {},
    });
    let schedule = json!({
        "version": "0", "id": "27f9a1b7-7a4e-4e6a-8f0c-35d9a77e3b1a", "detail-type": "Scheduled Event",
        "source": "aws.scheduler", "account": BACKUP_ACCOUNT, "time": "2026-01-31T02:00:00Z", "region": REGION,
        "resources": ["arn:aws:scheduler:eu-west-1:222222222222:schedule/default/nightly"],
        "detail": "{\"tables\":[\"orders\"]}",
    });
    for (number, message) in (1..).zip(["{}".to_owned(), rule.to_string(), schedule.to_string()]) {
        world.send("trigger", &message);
        world.until("the report", |world| world.keys("/report.json").len() == number).await;
    }
    worker.stop().await;

    let reports = world.keys("/report.json");
    let mut taken: Vec<usize> = reports
        .iter()
        .map(|key| world.object(key).expect("it is JSON"))
        .inspect(|report| assert_eq!(report["outcome"], "complete", "{report}"))
        .map(|report| report["tables"].as_array().expect("a list").len())
        .collect();
    taken.sort_unstable();
    assert_eq!(taken, [1, 2, 2]);
    assert_nothing_went_wrong(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_beyond_the_first_page_of_a_listing_are_backed_up_too() {
    let mut world = World::with(sample::many(130)).await;
    world.set("BACKUP_LANES", "1");
    let report = world.backup(&[], 0).await;

    assert_eq!(table_names(&report).len(), 130);
    assert_eq!(world.tables(BACKUP_ACCOUNT), world.tables(SOURCE_ACCOUNT));
    world.assert_copied().await;
    assert_nothing_went_wrong(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_without_tables_is_a_failed_run() {
    let world = World::new().await;
    let report = world.backup(&[], 1).await;
    assert_eq!(report["outcome"], "failed");
    assert_eq!(report["runs"][0]["reason"], "no table of the source is selected");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_sources_are_backed_up_side_by_side() {
    const OTHER_ACCOUNT: &str = "333333333333";
    const OTHER_REGION: &str = "eu-central-1";
    const OTHER_ROLE_ARN: &str = "arn:aws:iam::333333333333:role/backup-reader";
    let mut world = World::with(vec![table("orders", 30)]).await;
    world.aws.add_role(Role::new(OTHER_ROLE_ARN, BACKUP_ACCOUNT).allow(READS));
    let other = table("orders", 40);
    let there = |action, body: &Value| {
        world.aws.dynamodb(OTHER_ACCOUNT, OTHER_REGION, action, body).expect("a legal request")
    };
    there("CreateTable", &other.create);
    for item in other.items {
        there("PutItem", &json!({ "TableName": "orders", "Item": item }));
    }
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    let toml = format!(
        "[[source]]\nname = 'shop'\nrole-arn = '{SOURCE_ROLE_ARN}'\nexternal-id = '{EXTERNAL_ID}'\n\
         target-prefix = 'shop-'\n\n\
         [[source]]\nname = 'crm'\nrole-arn = '{OTHER_ROLE_ARN}'\nregion = '{OTHER_REGION}'\n\
         target-prefix = 'crm-'\n"
    );
    file.write_all(toml.as_bytes()).expect("the disk has room");
    world.set("BACKUP_ROLE_ARN", "");
    world.set("BACKUP_EXTERNAL_ID", "");
    world.set("BACKUP_SOURCES", file.path().to_str().expect("a plain path"));

    let report = world.backup(&[], 0).await;

    let sources: BTreeSet<&str> = runs(&report).iter().filter_map(|run| run["source"].as_str()).collect();
    assert_eq!(sources, BTreeSet::from(["shop", "crm"]));
    assert_eq!(world.tables(BACKUP_ACCOUNT), ["crm-orders", "shop-orders"]);
    assert_eq!(world.differences_between("orders", "shop-orders").await, [""; 0]);
    let source = compare::client(&world.aws.endpoint(), OTHER_ACCOUNT, OTHER_REGION).await;
    let copy = compare::client(&world.aws.endpoint(), BACKUP_ACCOUNT, REGION).await;
    let comparison =
        compare::compare((&source, "orders"), (&copy, "crm-orders")).await.expect("both are there");
    assert_eq!((comparison.items, comparison.differing), (40, Vec::new()));
    assert_nothing_went_wrong(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_while_a_run_of_the_same_source_goes_on_is_skipped_and_says_so() {
    let world = World::with(vec![table("orders", 5)]).await;
    let unfinished = put_unfinished_run(&world, "default");

    let report = world.backup(&[], 1).await;

    assert_eq!(report["outcome"], "skipped");
    let reason = report["runs"][0]["reason"].as_str().expect("a reason");
    assert!(reason.contains(&unfinished) && reason.contains("still going on"), "{reason}");
    assert_eq!(world.tables(BACKUP_ACCOUNT), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_run_of_another_source_holds_nothing_up() {
    let world = World::with(vec![table("orders", 5)]).await;
    put_unfinished_run(&world, "another");
    assert_eq!(world.backup(&[], 0).await["outcome"], "complete");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_run_is_closed_as_failed_by_the_next_one() {
    let mut world = World::with(vec![table("orders", 5)]).await;
    world.set("BACKUP_STALL_AFTER", "2s");
    let stalled = put_unfinished_run(&world, "default");
    let put_at = Instant::now();
    world.until("the run to have stalled", |_| put_at.elapsed() > Duration::from_secs(3)).await;

    let report = world.backup(&[], 0).await;

    assert_eq!(report["outcome"], "complete");
    let closed =
        world.object(&format!("runs/{stalled}/report.json")).expect("the stalled run has its report");
    assert_eq!(closed["outcome"], "failed");
    assert!(closed["reason"].as_str().expect("a reason").contains("nothing new appeared"), "{closed}");
    assert_eq!(
        (&closed["tables"][0]["table"], &closed["tables"][0]["outcome"]),
        (&json!("orders"), &json!("failed"))
    );
    world.assert_copied().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_cannot_be_read_are_named_and_the_others_are_complete() {
    let statuses =
        [("fresh", "CREATING"), ("cold", "ARCHIVED"), ("locked", "INACCESSIBLE_ENCRYPTION_CREDENTIALS")];
    let names = ["fresh", "cold", "locked", "secret", "orders"];
    let world = World::with(names.iter().map(|name| table(name, 5)).collect()).await;
    for (name, status) in statuses {
        world.aws.set_table_status(SOURCE_ACCOUNT, REGION, name, status);
    }
    let reader = Role::new(SOURCE_ROLE_ARN, BACKUP_ACCOUNT).external_id(EXTERNAL_ID).allow(READS);
    world.aws.add_role(reader.deny_table("secret"));

    let report = world.backup(&[], 2).await;

    assert_eq!(report["outcome"], "partial");
    for (name, reason) in statuses.into_iter().chain([("secret", "AccessDeniedException")]) {
        let result = result_of(&report, name);
        assert_eq!(result["outcome"], "skipped", "{name}");
        assert!(result["reasons"][0].as_str().expect("a reason").contains(reason), "{result}");
    }
    assert_eq!(result_of(&report, "orders")["outcome"], "complete");
    assert_eq!(world.tables(BACKUP_ACCOUNT), ["orders"]);
    assert_eq!(world.differences("orders").await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_object_was_put_with_a_checksum_that_s3_verified() {
    let world = World::with(vec![table("orders", 50)]).await;
    world.backup(&[], 0).await;

    let credentials = Credentials::new(BACKUP_ACCOUNT, "loopback", None, None, "loopback");
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .endpoint_url(world.aws.endpoint())
        .force_path_style(true)
        .region(Region::new(REGION))
        .credentials_provider(credentials)
        .build();
    let client = aws_sdk_s3::Client::from_conf(config);
    let keys = world.bucket().keys();
    assert!(keys.len() > 15, "{keys:?}");
    for key in keys {
        let head = client.head_object().bucket(BUCKET).key(&key).checksum_mode(ChecksumMode::Enabled);
        let head = head.send().await.expect("it is there");
        // S3 adds a CRC64NVME of its own to what came without; a CRC32 is what the client sent.
        assert!(head.checksum_crc32().is_some(), "{key}: {head:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_account_is_only_read_and_only_through_its_role() {
    let world = World::with(vec![table("orders", 50), table("users", 5)]).await;
    world.backup(&[], 0).await;

    let calls = world.aws.calls();
    let made: BTreeSet<String> =
        calls.iter().filter(|call| call.account == SOURCE_ACCOUNT).map(Call::name).collect();
    assert!(made.contains("dynamodb:Scan"), "{made:?}");
    let not_reads: Vec<&String> = made.iter().filter(|name| !READS.contains(&name.as_str())).collect();
    assert_eq!(not_reads, [""; 0]);
    for call in calls.iter().filter(|call| call.account == SOURCE_ACCOUNT) {
        assert_eq!(call.role.as_deref(), Some(SOURCE_ROLE_ARN), "{call:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unprocessed_items_are_sent_again_until_they_are_taken() {
    let world = World::with(vec![table("orders", 500)]).await;
    let held_back = every(&world, 2, "BatchWriteItem", |_| Fault::Unprocessed(11));

    let report = world.backup(&[], 0).await;

    assert!(held_back.load(Ordering::Relaxed) > 5);
    let (result, items) = (result_of(&report, "orders"), world.source_items("orders").len());
    assert_eq!((&result["items_put"], &result["items_failed"]), (&json!(items), &json!(0)));
    world.aws.clear_fault();
    world.assert_copied().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_source_is_backed_up_all_the_same() {
    let world = World::with(vec![table("orders", 200), table("users", 50)]).await;
    let throttled = every(&world, 2, "Scan", |_| Fault::error(400, "ProvisionedThroughputExceededException"));

    world.backup(&[], 0).await;

    assert!(throttled.load(Ordering::Relaxed) >= 4);
    world.aws.clear_fault();
    world.assert_copied().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_damaged_on_its_way_is_asked_for_again() {
    let world = World::with(of_shop(&["orders", "reviews"])).await;
    let damage =
        |number: usize| if number.is_multiple_of(2) { Fault::CorruptBody } else { Fault::TruncatedBody };
    let damaged = every(&world, 2, "Scan", damage);

    let report = world.backup(&[], 0).await;

    assert!(damaged.load(Ordering::Relaxed) >= 4);
    for name in ["orders", "reviews"] {
        let items = world.source_items(name).len();
        assert_eq!(result_of(&report, name)["items_exported"], items, "{name}");
    }
    world.aws.clear_fault();
    world.assert_copied().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_come_through_errors_of_the_service_and_of_the_network() {
    let world = World::with(vec![table("orders", 600)]).await;
    let fault = |number: usize| match number % 5 {
        0 => Fault::error(500, "InternalServerError"),
        1 => Fault::Reset,
        2 => Fault::LostAnswer,
        3 => Fault::CorruptBody,
        _ => Fault::TruncatedBody,
    };
    let faults = every(&world, 3, "BatchWriteItem", fault);

    let report = world.backup(&[], 0).await;

    assert!(faults.load(Ordering::Relaxed) >= 5);
    assert_eq!(result_of(&report, "orders")["items_put"], 600);
    world.aws.clear_fault();
    world.assert_copied().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_whose_answer_was_lost_is_recognised_as_our_own() {
    let mut world = World::with(vec![table("orders", 200)]).await;
    world.set("BACKUP_LANES", "1");
    let lost = AtomicUsize::new(0);
    world.aws.set_fault(move |call| {
        let is_part = call.action == "PutObject" && call.resource.contains("/data/");
        (is_part && lost.fetch_add(1, Ordering::Relaxed) == 0).then_some(Fault::LostAnswer)
    });

    let report = world.backup(&[], 0).await;

    let puts = world.aws.calls().into_iter();
    let puts = puts.filter(|call| call.action == "PutObject" && call.resource.contains("/data/"));
    assert_eq!(puts.count(), 2, "the put and its repetition");
    assert_eq!(result_of(&report, "orders")["parts"], 1);
    // Whoever does not recognise his own part gives way, and scans on from its last item.
    assert_eq!(scans(&world, "orders"), 1);
    world.assert_copied().await;
    assert_nothing_went_wrong(&world);
}

/// Scans by the program: those of the comparison are made by root.
fn scans(world: &World, table: &str) -> usize {
    let calls = world.aws.calls();
    calls.iter().filter(|call| call.action == "Scan" && call.resource == table && call.role.is_some()).count()
}

/// Lets every `n`th call of an action go wrong; counts those that did.
fn every(
    world: &World,
    n: usize,
    action: &'static str,
    fault: impl Fn(usize) -> Fault + Send + Sync + 'static,
) -> Arc<AtomicUsize> {
    let (calls, faults) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let counted = faults.clone();
    world.aws.set_fault(move |call| {
        let is_due = call.action == action && calls.fetch_add(1, Ordering::Relaxed).is_multiple_of(n);
        is_due.then(|| fault(counted.fetch_add(1, Ordering::Relaxed)))
    });
    faults
}

/// The record of a run that was planned just now and of which nothing else is there.
fn put_unfinished_run(world: &World, source: &str) -> String {
    let run = RunId::derive(Timestamp::now(), "somebody else's trigger", source).to_string();
    let account = |id| json!({ "account_id": id, "region": REGION });
    let mut record = json!({
        "version": 1, "run": run, "tool_version": "0.1.0",
        "source": account(SOURCE_ACCOUNT), "backup": account(BACKUP_ACCOUNT),
        "requested": {}, "consistent_read": false, "planned_at": Timestamp::now().to_string(),
        "tables": ["orders"],
    });
    record["source"]["name"] = json!(source);
    record["source"]["role_arn"] = json!(SOURCE_ROLE_ARN);
    world.bucket().put(&format!("runs/{run}/run.json"), record.to_string());
    run
}

fn runs(report: &Value) -> &Vec<Value> {
    report["runs"].as_array().expect("a list of runs")
}

fn table_names(report: &Value) -> BTreeSet<&str> {
    let tables = runs(report).iter().flat_map(|run| run["tables"].as_array().expect("a list of tables"));
    tables.filter_map(|result| result["table"].as_str()).collect()
}

fn assert_nothing_went_wrong(world: &World) {
    assert_eq!(world.bucket().overwritten(), [""; 0]);
    for queue in ["trigger", "export", "provision", "write"] {
        assert_eq!(world.dead_letters(queue), [], "dead letters of {queue}");
    }
}
