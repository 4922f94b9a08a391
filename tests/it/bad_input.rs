//! Bad input of every kind: settings, accounts, messages, parts, items. Each is named together with its mend,
//! and nothing is lost or half done.

use std::collections::HashMap;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use aws_sdk_sqs::types::QueueAttributeName;
use loopback_aws::{BACKUP_ACCOUNT, EXTERNAL_ID, Fault, REGION, SOURCE_ACCOUNT, SOURCE_ROLE_ARN};
use serde_json::{Value, json};

use crate::harness::{World, job, table};

/// A run that is not there.
const NO_RUN: &str = "20200131T020000Z-00000000";

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_flag_or_value_is_a_usage_error_and_nothing_is_asked_of_aws() {
    let world = World::new().await;
    for (line, named) in [
        ("run --lanse 3", "--lanse"),
        ("list --output xml", "xml"),
        ("wroker", "wroker"),
        ("show not-a-run", "not-a-run"),
        ("worker --log-format yaml", "yaml"),
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        let ended = world.run(&arguments).await.expect_code(64);
        assert!(ended.stderr.contains(named) && ended.stdout.is_empty(), "{line}: {}", ended.stderr);
    }
    assert!(world.aws.calls().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_setting_is_reported_at_once_with_its_mend() {
    let mut world = World::new().await;
    world.set("BACKUP_BUCKET", "s3://backups");
    world.set("BACKUP_ROLE_ARN", "reader");
    world.set("BACKUP_EXTERNAL_ID", "not an id");
    let ended = world.run(&["worker", "--lanes", "0", "--stall-after", "soon"]).await.expect_code(64);
    assert!(ended.stderr.starts_with("error: 5 mistakes in the settings\n"), "{}", ended.stderr);
    let mistakes: Vec<&str> = ended.stderr.lines().skip(1).collect();
    assert_eq!(mistakes.len(), 5, "{}", ended.stderr);
    for (setting, mend) in [
        ("BACKUP_BUCKET", "give the name alone, without s3://"),
        ("BACKUP_ROLE_ARN", "give for example arn:aws:iam::"),
        ("BACKUP_EXTERNAL_ID [redacted]", "give 2 to 1224 letters"),
        ("--lanes", "give a whole number from 1 to 1000"),
        ("--stall-after", "give for example 90s"),
    ] {
        let told = mistakes.iter().any(|line| line.contains(setting) && line.contains(mend));
        assert!(told, "{setting} in {}", ended.stderr);
    }
    assert!(!ended.stderr.contains("not an id"));
    assert!(world.aws.calls().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_role_nothing_starts_and_every_way_to_give_one_is_named() {
    let mut world = World::new().await;
    world.set("BACKUP_ROLE_ARN", "");
    let ended = world.run(&["run"]).await.expect_code(64);
    for way in ["role-arn", "--role-arn", "BACKUP_ROLE_ARN", "/dynamodb-backup/<environment>/role-arn"] {
        assert!(ended.stderr.contains(way), "{}", ended.stderr);
    }
    assert!(world.bucket().keys().is_empty() && world.messages_left() == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_credentials_the_message_says_where_they_are_looked_for() {
    let mut world = World::new().await;
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        world.set(name, "");
    }
    world.set("AWS_EC2_METADATA_DISABLED", "true");
    for command in ["worker", "list", "trigger"] {
        let ended = world.run(&[command]).await.expect_code(1);
        for told in ["no AWS credentials were found", "set AWS_PROFILE", "EcsContainer"] {
            assert!(ended.stderr.contains(told), "{command}: {}", ended.stderr);
        }
        assert!(ended.stdout.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_cannot_be_assumed_ends_the_run_with_a_failed_report_that_names_it() {
    let no_such_role = "arn:aws:iam::111111111111:role/no-such-role";
    for (variable, value, role) in [
        ("BACKUP_ROLE_ARN", no_such_role, no_such_role),
        ("BACKUP_EXTERNAL_ID", "another-external-id", SOURCE_ROLE_ARN),
        ("BACKUP_EXTERNAL_ID", "", SOURCE_ROLE_ARN),
    ] {
        let mut world = World::with(vec![table("orders", 3)]).await;
        world.set(variable, value);
        let ended = world.run(&["run"]).await.expect_code(1);
        let report = world.object("/report.json").expect("the run has ended");
        let [(_, reason)] = &world.dead_letters("trigger")[..] else { panic!("one trigger was refused") };
        assert_eq!(report["outcome"], "failed");
        for told in [report["reason"].as_str().unwrap_or_default(), reason, &ended.stdout, &ended.stderr] {
            assert!(told.contains(role) && told.contains("external id"), "{variable}={value}: {told}");
            assert!(!told.contains(EXTERNAL_ID) && !told.contains("another-external-id"), "{told}");
        }
        assert!(!world.bucket().keys().iter().any(|key| key.contains("/tables/")), "nothing was begun");
        assert_eq!(world.messages_left(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_cannot_be_used_is_refused_before_anything_starts() {
    let mut world = World::new().await;
    create_bucket(&world, BACKUP_ACCOUNT, "us-west-2", "backups-in-oregon").await;
    create_bucket(&world, SOURCE_ACCOUNT, REGION, "backups-of-others").await;
    for (bucket, told) in [
        ("backups-in-oregon", &["us-west-2", REGION, "AWS_REGION=us-west-2"][..]),
        ("backups-of-others", &["another account", "s3:ListBucket"]),
        ("no-such-bucket", &["does not exist", "--bucket", "BACKUP_BUCKET"]),
    ] {
        world.set("BACKUP_BUCKET", bucket);
        for command in ["worker", "run", "list", "status"] {
            let ended = world.run(&[command]).await.expect_code(64);
            assert!(ended.stderr.contains(bucket), "{command}: {}", ended.stderr);
            assert!(told.iter().all(|text| ended.stderr.contains(text)), "{command}: {}", ended.stderr);
        }
    }
    assert_eq!(world.messages_left(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_cannot_be_used_is_refused_before_anything_starts() {
    let world = World::new().await;
    create_queue(&world, "without-dead-letters").await;
    for stage in ["trigger", "export", "provision", "write"] {
        let flag = format!("--{stage}-queue");
        let ended = world.run(&["worker", &flag, "no-such-queue"]).await.expect_code(64);
        let told = ["no-such-queue", "does not exist", &flag];
        assert!(told.iter().all(|text| ended.stderr.contains(text)), "{}", ended.stderr);
    }
    let url = format!("{}/{BACKUP_ACCOUNT}/no-such-queue", world.aws.endpoint());
    let ended = world.run(&["worker", "--export-queue", &url]).await.expect_code(64);
    assert!(ended.stderr.contains("no-such-queue does not exist"), "{}", ended.stderr);

    let ended = world.run(&["run", "--write-queue", "without-dead-letters"]).await.expect_code(64);
    let told = ["without-dead-letters", "no dead-letter queue", "redrive policy"];
    assert!(told.iter().all(|text| ended.stderr.contains(text)), "{}", ended.stderr);
    assert!(world.bucket().keys().is_empty() && world.messages_left() == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_not_configured_is_a_usage_error_that_names_those_that_are() {
    let world = World::new().await;
    let ended = world.run(&["run", "--source", "shop"]).await.expect_code(64);
    assert!(ended.stderr.contains("shop") && ended.stderr.contains("default"), "{}", ended.stderr);
    assert!(world.bucket().keys().is_empty() && world.messages_left() == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_selection_without_tables_fails_and_says_so() {
    let world = World::with(vec![table("orders", 3)]).await;
    let ended = world.run(&["run", "--table", "users-*"]).await.expect_code(1);
    assert!(ended.stdout.contains("no table of the source is selected"), "{}", ended.stdout);
    let ended = world.run(&["run", "--table", "order"]).await.expect_code(1);
    assert!(ended.stdout.contains("table order does not exist in the source account"), "{}", ended.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_messages_go_to_the_dead_letter_queue_with_the_reason_and_the_worker_goes_on() {
    let world = World::with(vec![table("orders", 30)]).await;
    world.run(&["run", "--lanes", "2"]).await.expect_code(0);
    let (run, keys) = (world.only_run(), world.bucket().keys());
    let (run, worker) = (run.as_str(), world.start(&["worker"]));

    let with = |name: &str, value: Value| {
        let mut message: Value = serde_json::from_str(&job(run, "orders", 0)).expect("a message");
        message[name] = value;
        message.to_string()
    };
    let bad = [
        ("trigger", "not JSON".to_owned(), "malformed"),
        ("export", "{".to_owned(), "malformed"),
        ("provision", "[1, 2]".to_owned(), "malformed"),
        ("write", "\u{1f4a5}".to_owned(), "malformed"),
        ("trigger", json!({ "tables": ["a/b"] }).to_string(), "a/b"),
        ("trigger", json!({ "source": "shop" }).to_string(), "source shop is not configured"),
        ("trigger", json!({ "table": "orders" }).to_string(), "unknown field `table`"),
        ("export", job(NO_RUN, "orders", 0), "run 20200131T020000Z-00000000 does not exist"),
        ("write", job(NO_RUN, "orders", 0), "run 20200131T020000Z-00000000 does not exist"),
        ("export", job("../runs", "orders", 0), "../runs"),
        ("export", job(run, "invoices", 0), "table invoices is not part of run"),
        ("write", job(run, "invoices", 0), "table invoices is not part of run"),
        ("provision", json!({ "version": 1, "run": run, "table": "invoices" }).to_string(), "invoices"),
        ("export", job(run, "orders", 2), "table orders has 2 segments: there is no segment 2"),
        ("write", job(run, "orders", u32::MAX), "there is no segment 4294967295"),
        ("export", job(run, "orders/../users", 0), "orders/../users"),
        ("write", with("bucket", json!("elsewhere")), "unknown field `bucket`"),
        ("export", with("version", json!(2)), "has version 2"),
        ("write", with("version", json!(0)), "has version 0"),
        ("write", with("segment", json!(-1)), "malformed"),
    ];
    bad.iter().for_each(|(queue, body, _)| world.send(queue, body));
    let buried = |world: &World| {
        ["trigger", "export", "provision", "write"]
            .map(|queue| world.dead_letters(queue).len())
            .iter()
            .sum::<usize>()
    };
    world.until("every bad message to be buried", |world| bad.len() == buried(world)).await;
    for (queue, body, reason) in &bad {
        let letters = world.dead_letters(queue);
        let found = letters.iter().find(|(letter, _)| letter == body);
        let told = found.map(|(_, reason)| reason.as_str()).unwrap_or_default();
        assert!(told.contains(reason), "{queue} {body}: {told}");
    }
    world.until("the queues to be empty", |world| world.messages_left() == 0).await;
    assert_eq!(world.bucket().keys(), keys, "nothing was written for them");

    world.send("trigger", "{}");
    world.until("the next run to finish", |world| world.keys("/report.json").len() == 2).await;
    worker.stop().await;
    assert_eq!(bad.len(), buried(&world), "good messages are not buried");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_for_a_run_that_is_not_there_leaves_no_trace_even_on_its_last_attempt() {
    let world = World::new().await;
    let dead_letters = format!("arn:aws:sqs:{REGION}:{BACKUP_ACCOUNT}:dynamodb-backup-export-dlq");
    let redrive = json!({ "deadLetterTargetArn": dead_letters, "maxReceiveCount": 1 }).to_string();
    let queue = create_queue(&world, "one-attempt").await;
    let sqs = aws_sdk_sqs::Client::new(&root(&world, BACKUP_ACCOUNT, REGION).await);
    let set = sqs.set_queue_attributes().queue_url(&queue);
    set.attributes(QueueAttributeName::RedrivePolicy, redrive).send().await.expect("a legal policy");
    world.aws.queue(BACKUP_ACCOUNT, "one-attempt").send(&job(NO_RUN, "orders", 0));

    let _worker = world.start(&["worker", "--export-queue", "one-attempt"]);
    world.until("the message to be buried", |world| world.dead_letters("export").len() == 1).await;
    assert_eq!(world.bucket().keys(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_gone_or_denied_when_it_is_planned_is_named_as_skipped() {
    let world = World::with(vec![table("gone", 3), table("denied", 3), table("users", 3)]).await;
    world.aws.set_fault(|call| match (call.action.as_str(), call.resource.as_str(), call.account.as_str()) {
        ("DescribeTable", "gone", SOURCE_ACCOUNT) => Some(Fault::error(400, "ResourceNotFoundException")),
        ("DescribeTable", "denied", SOURCE_ACCOUNT) => Some(Fault::error(400, "AccessDeniedException")),
        _ => None,
    });
    let ended = world.run(&["run", "--output", "json"]).await.expect_code(2);
    let report = ended.json();
    for (name, told) in
        [("gone", "does not exist in the source account"), ("denied", "AccessDeniedException")]
    {
        let result = result(&report, name);
        let reasons = result["reasons"].to_string();
        assert_eq!(result["outcome"], "skipped");
        assert!(reasons.contains(told) && reasons.contains(name), "{reasons}");
    }
    assert_eq!(result(&report, "users")["outcome"], "complete");
}

/// The result of one table in what `run --output json` prints.
fn result<'a>(finished: &'a Value, table: &str) -> &'a Value {
    let tables = finished["runs"][0]["tables"].as_array().expect("a run with tables");
    tables.iter().find(|result| result["table"] == table).expect("the table has a result")
}

/// The SDK as an account's root.
async fn root(world: &World, account: &str, region: &str) -> SdkConfig {
    let credentials = aws_sdk_dynamodb::config::Credentials::new(account, "loopback", None, None, "loopback");
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .endpoint_url(world.aws.endpoint())
        .region(Region::new(region.to_owned()))
        .credentials_provider(credentials)
        .load()
        .await
}

async fn create_bucket(world: &World, account: &str, region: &str, name: &str) {
    let config = aws_sdk_s3::config::Builder::from(&root(world, account, region).await);
    let client = aws_sdk_s3::Client::from_conf(config.force_path_style(true).build());
    let place =
        CreateBucketConfiguration::builder().location_constraint(BucketLocationConstraint::from(region));
    let bucket = client.create_bucket().bucket(name).create_bucket_configuration(place.build());
    bucket.send().await.expect("the name is free");
}

/// A queue of the backup account that has no dead-letter queue; gives its URL.
async fn create_queue(world: &World, name: &str) -> String {
    let client = aws_sdk_sqs::Client::new(&root(world, BACKUP_ACCOUNT, REGION).await);
    let created = client.create_queue().queue_name(name).set_attributes(Some(HashMap::new()));
    created.send().await.expect("the name is free").queue_url.expect("a queue has a URL")
}
