//! Ends that are not success. Each is reached and named, the rest of the run is complete, and what the report says is
//! to be done finishes it once the cause is gone.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use loopback_aws::{BACKUP_ACCOUNT, BUCKET, BucketView, Call, Fault, REGION, SOURCE_ACCOUNT};
use serde_json::{Value, json};

use crate::evidence::{bulky, result_of};
use crate::harness::{Ended, World, create, job, table};

const STAGES: [&str; 4] = ["trigger", "export", "provision", "write"];

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_deleted_in_the_middle_of_its_export_is_named_and_backed_up_when_it_is_there_again() {
    let world = World::with(vec![bulky("events", 35), table("users", 30)]).await;
    let (aws, scans) = (world.aws.clone(), AtomicUsize::new(0));
    let is_second_page = move |call: &Call| {
        let is_page = call.action == "Scan" && call.resource == "events";
        is_page && scans.fetch_add(1, Ordering::Relaxed) == 1
    };
    world.at_call(is_second_page, move || {
        let events = json!({ "TableName": "events" });
        aws.dynamodb(SOURCE_ACCOUNT, REGION, "DeleteTable", &events).expect("it is there");
    });
    let ended = backed_up_in_part(&world, &["events"]).await;

    let told = "export of segment 0: scan table events: ResourceNotFoundException";
    assert_named(&ended, "events", "failed", &[told, "the next run of all tables leaves it out"]);
    let [(_, letter)] = &world.dead_letters("export")[..] else { panic!("one export has failed") };
    let failure = world.object("/events/state/failed/export-00000.json").expect("the failure is recorded");
    for told in [letter, &failure["reason"].to_string(), &ended.stderr] {
        assert!(told.contains("scan table events: ResourceNotFoundException"), "{told}");
    }
    let summaries = world.keys("/manifest-summary.json");
    assert!(summaries.iter().all(|key| key.contains("/users/")), "no backup of it exists: {summaries:?}");
    assert_eq!(summaries.len(), 1);

    world.aws.clear_fault();
    world.seed(vec![bulky("events", 20)]).await;
    finish_as_told(&world, &ended, &["events"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn access_that_is_denied_to_a_table_at_any_stage_is_named_and_the_table_backed_up_when_it_is_allowed() {
    let names = ["unplanned", "unread", "uncreated", "unwritten", "orders"];
    let world = World::with(names.map(|name| table(name, 30)).into()).await;
    world.aws.set_fault(|call| {
        let of_source = call.account == SOURCE_ACCOUNT;
        let is_denied = match call.resource.as_str() {
            "unplanned" => of_source && call.action == "DescribeTable",
            "unread" => call.action == "Scan",
            "uncreated" => call.action == "CreateTable",
            "unwritten" => call.action == "BatchWriteItem",
            _ => false,
        };
        is_denied.then(|| Fault::error(400, "AccessDeniedException"))
    });
    let denied = ["uncreated", "unplanned", "unread", "unwritten"];
    let ended = backed_up_in_part(&world, &denied).await;

    for (name, outcome, told) in [
        ("unplanned", "skipped", "describe table unplanned: AccessDeniedException"),
        ("unread", "failed", "export of segment 0: scan table unread: AccessDeniedException"),
        ("uncreated", "partial", "provision: create table uncreated: AccessDeniedException"),
        ("unwritten", "partial", "write of segment 0: write to table unwritten: AccessDeniedException"),
    ] {
        assert_named(&ended, name, outcome, &[told, "; allow it: `dynamodb-backup doctor` prints"]);
    }
    world.aws.clear_fault();
    finish_as_told(&world, &ended, &denied).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_dynamodb_refuses_is_recorded_by_key_and_written_when_it_is_mended() {
    let world = World::with(vec![table("scores", 60), table("users", 30)]).await;
    let put = |number: Value| {
        let item = json!({ "pk": { "S": "item-in-words" }, "number": number });
        world.dynamodb(SOURCE_ACCOUNT, "PutItem", &json!({ "TableName": "scores", "Item": item }));
    };
    put(json!({ "S": "seven" }));
    // The copy has an index that the source has not: it takes items only if their number is one.
    let source = json!({ "TableName": "scores" });
    let source = world.dynamodb(SOURCE_ACCOUNT, "DescribeTable", &source)["Table"]["TableArn"].clone();
    let mut copy = create("scores", "pk", "S");
    copy["AttributeDefinitions"] = json!([
        { "AttributeName": "pk", "AttributeType": "S" },
        { "AttributeName": "number", "AttributeType": "N" },
    ]);
    copy["GlobalSecondaryIndexes"] = json!([{
        "IndexName": "by-number",
        "KeySchema": [{ "AttributeName": "number", "KeyType": "HASH" }],
        "Projection": { "ProjectionType": "KEYS_ONLY" },
    }]);
    copy["Tags"] = json!([{ "Key": "dynamodb-backup:source-arn", "Value": source }]);
    world.dynamodb(BACKUP_ACCOUNT, "CreateTable", &copy);
    let ended = backed_up_in_part(&world, &["scores"]).await;

    let told =
        ["write: DynamoDB refuses 1 items; their keys are in", "/state/failed-items/", "change the items"];
    assert_named(&ended, "scores", "partial", &told);
    let report = ended.json();
    let result = result_of(&report, "scores");
    assert_eq!((&result["items_put"], &result["items_failed"]), (&json!(60), &json!(1)));
    let failed = world.keys_with("/state/failed-items/00000-").pop().expect("the item is recorded");
    let failed: Value = serde_json::from_slice(&world.bucket().get(&failed).expect("listed")).expect("JSON");
    assert_eq!(failed["items"].as_array().map(Vec::len), Some(1), "{failed}");
    assert_eq!(failed["items"][0]["key"], json!({ "pk": { "S": "item-in-words" } }));
    assert!(failed["items"][0]["reason"].to_string().contains("ValidationException"), "{failed}");
    assert_eq!(world.count(BACKUP_ACCOUNT, "scores"), 60);
    let told = [&ended.stdout, &ended.stderr];
    assert!(told.iter().all(|text| !text.contains("item-in-words")), "keys stay in the bucket");

    put(json!({ "N": "7" }));
    finish_as_told(&world, &ended, &["scores"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_is_not_what_its_marker_says_is_never_written_and_another_run_makes_it_anew() {
    let spoiled = ["flipped", "miscounted", "missing"];
    let world =
        World::with([&spoiled[..], &["sound"]].concat().iter().map(|name| table(name, 40)).collect()).await;
    let bucket = world.bucket();
    // The first who reads a segment's marker comes right after the export, before any write.
    let seen = Mutex::new(Vec::new());
    world.aws.set_fault(move |call| {
        let mut seen = seen.lock().expect("spoiling does not panic");
        let is_marker = call.action == "GetObject" && call.resource.ends_with("/state/export/00000.json");
        if is_marker && !seen.contains(&call.resource) {
            seen.push(call.resource.clone());
            spoil(&bucket, call.resource.split_once('/').expect("<bucket>/<key>").1);
        }
        None
    });
    let ended = backed_up_in_part(&world, &spoiled).await;
    world.aws.clear_fault();

    let letters = world.dead_letters("write");
    assert_eq!(letters.len(), 3, "{letters:?}");
    for (name, told) in [
        ("flipped", "is corrupt: its MD5 is"),
        ("missing", "is missing from bucket"),
        ("miscounted", "was put with 40 items, and 41 are on record"),
    ] {
        let object = "data/00000-00000.json.zst";
        assert_named(
            &ended,
            name,
            "partial",
            &["write of segment 0: part runs/", object, told, "older version"],
        );
        assert!(letters.iter().any(|(body, reason)| body.contains(name) && reason.contains(told)));
        assert!(world.keys(&format!("{name}/state/write/00000.json")).is_empty());
        assert_eq!(world.count(BACKUP_ACCOUNT, name), 0, "{name}");
    }
    finish_as_told(&world, &ended, &spoiled).await;
}

/// Does to a table's first part, or to its marker, what the table is named after.
fn spoil(bucket: &BucketView, marker: &str) {
    let folder = marker.strip_suffix("state/export/00000.json").expect("a marker");
    let is_part = |key: &String| key.starts_with(folder) && key.ends_with("data/00000-00000.json.zst");
    let part = bucket.keys().into_iter().find(is_part).expect("a part comes before its marker");
    match folder.trim_end_matches('/').rsplit('/').next() {
        Some("missing") => bucket.remove(&part),
        Some("flipped") => flip(bucket, &part),
        Some("miscounted") => {
            let text = bucket.get(marker).expect("it is there");
            let mut marker_json: Value = serde_json::from_slice(&text).expect("it is JSON");
            marker_json["parts"][0]["items"] = json!(41);
            bucket.put(marker, marker_json.to_string());
        }
        _ => {}
    }
}

fn flip(bucket: &BucketView, key: &str) {
    let mut body = bucket.get(key).expect("it is there").to_vec();
    let middle = body.len() / 2;
    body[middle] ^= 1;
    bucket.put(key, body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_whose_last_part_is_corrupt_is_not_continued_behind_it_and_another_run_begins_it_anew() {
    let mut world = World::with(vec![bulky("archive", 60), table("users", 30)]).await;
    world.set("BACKUP_LANES", "1");
    world.set("BACKUP_VISIBILITY_TIMEOUT", "10s");
    // A hand-over closes a part.
    world.set("BACKUP_HAND_OVER_AFTER", "1s");
    let is_page = |call: &Call| call.action == "Scan" && call.resource == "archive" && call.role.is_some();
    world.aws.set_fault(move |call| is_page(call).then_some(Fault::Delay(Duration::from_millis(400))));
    world.send("trigger", "{}");
    let worker = world.start(&["worker"]);
    let parts = |world: &World| {
        let keys = world.keys("json.zst").into_iter();
        keys.filter(|key| key.contains("/archive/")).collect::<Vec<_>>()
    };
    world.until("the first part", |world| !parts(world).is_empty()).await;
    worker.signal("KILL");
    worker.end().await;
    world.aws.clear_fault();
    assert!(world.keys("/archive/state/export/00000.json").is_empty(), "there is more of it");
    for part in parts(&world) {
        flip_keeping_metadata(&world, &part).await;
    }

    work_until_reported(&world, 1).await;
    let run = world.only_run();
    let ended = world.run(&["show", run.as_str()]).await.expect_code(0);
    let told = [
        "failed: archive: export of segment 0: part runs/",
        "json.zst is corrupt: its MD5 is",
        "older version",
    ];
    assert!(told.iter().all(|told| ended.stdout.contains(told)), "{}", ended.stdout);
    assert_eq!(world.differences("users").await, [""; 0]);
    resume(&world, &world.object("/report.json").expect("it is there"), &["archive"]).await;
}

async fn flip_keeping_metadata(world: &World, key: &str) {
    let s3 = world.s3();
    let metadata = s3.head_object().bucket(BUCKET).key(key).send().await.expect("it is there").metadata;
    flip(&world.bucket(), key);
    let body = world.bucket().get(key).expect("it is there");
    let put = s3.put_object().bucket(BUCKET).key(key).set_metadata(metadata).body(body.into());
    put.send().await.expect("it may be written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_that_kills_every_worker_is_given_up_by_the_next_one_and_backed_up_when_they_live() {
    let mut world = crash_world(vec![table("cursed", 40), table("orders", 30), table("users", 30)]).await;
    world.aws.queue(BACKUP_ACCOUNT, "dynamodb-backup-export").allow_receives(3);
    let scans =
        hold(&world, |call| call.action == "Scan" && call.resource == "cursed" && call.role.is_some());
    world.send("trigger", "{}");
    for death in 1..=2 {
        let worker = world.start(&["worker"]);
        world.until("the segment to be begun", |_| scans.load(Ordering::Relaxed) == death).await;
        for other in ["orders", "users"] {
            let result = format!("/results/{other}.json");
            world.until("the other tables", |world| world.object(&result).is_some()).await;
        }
        worker.signal("KILL");
        assert_eq!(worker.end().await.code, None);
    }
    let status = world.run(&["status"]).await.expect_code(0).stdout;
    assert!(status.contains("export of segment 0 was on its last attempt"), "{status}");
    assert_eq!(world.dead_letters("export"), [], "nobody has given it up yet");

    work_until_reported(&world, 1).await;
    assert_eq!(scans.load(Ordering::Relaxed), 2, "the worker that gives it up does not try it");
    let report = world.object("/report.json").expect("it is there");
    assert_eq!(report["outcome"], "partial", "{report}");
    let run = world.only_run();
    let ended = world.run(&["show", run.as_str(), "--output", "json"]).await.expect_code(0);
    assert_eq!(ended.json()["report"], report);
    let cursed =
        tables(&report).into_iter().find(|result| result["table"] == "cursed").expect("it has a result");
    let reason = "given up after 2 attempts: the last one came to no end: its worker was killed, ran out of memory or \
                  crashed; look at the memory and the logs of the workers";
    assert_eq!(cursed["reasons"], json!([format!("export of segment 0: {reason}")]));
    let letters = world.dead_letters("export");
    let [(body, of_letter)] = &letters[..] else { panic!("one job is given up: {letters:?}") };
    assert!(body.contains("cursed") && of_letter == reason, "{body}: {of_letter}");
    for other in ["orders", "users"] {
        assert_eq!(world.differences(other).await, [""; 0]);
    }

    world.aws.clear_fault();
    world.set("BACKUP_VISIBILITY_TIMEOUT", "");
    resume(&world, &report, &["cursed"]).await;
    assert_eq!(world.dead_letters("export"), letters);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_that_kills_every_worker_ends_its_run_as_failed_and_is_followed_by_another() {
    let world = crash_world(vec![table("orders", 30), table("users", 30)]).await;
    world.aws.queue(BACKUP_ACCOUNT, "dynamodb-backup-trigger").allow_receives(3);
    let looks = hold(&world, |call| call.action == "DescribeTable" && call.role.is_some());
    world.send("trigger", "{}");
    for death in 1..=2 {
        let (worker, before) = (world.start(&["worker"]), looks.load(Ordering::Relaxed));
        world.until("the tables to be looked at", |_| looks.load(Ordering::Relaxed) > before).await;
        worker.signal("KILL");
        assert_eq!(worker.end().await.code, None, "death {death}");
    }
    work_until_reported(&world, 1).await;
    let report = world.object("/report.json").expect("it is there");
    assert_eq!(report["outcome"], "failed", "{report}");
    for result in tables(&report) {
        assert_eq!(result["outcome"], "skipped", "{result}");
        assert!(
            result["reasons"][0].to_string().contains("given up after 2 attempts: the last one"),
            "{result}"
        );
    }
    let [(_, reason)] = &world.dead_letters("trigger")[..] else { panic!("the trigger was given up") };
    assert!(reason.contains("look at the memory and the logs of the workers"), "{reason}");

    world.aws.clear_fault();
    resume(&world, &report, &["orders", "users"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_comes_as_a_poison_message_is_buried_with_the_reason_and_resume_enqueues_it_anew() {
    let world = crash_world(vec![table("orders", 50), table("users", 30)]).await;
    let scans = hold(&world, |call| call.action == "Scan" && call.role.is_some());
    world.send("trigger", "{}");
    let worker = world.start(&["worker"]);
    world.until("both exports to begin", |_| scans.load(Ordering::Relaxed) == 2).await;
    worker.signal("KILL");
    worker.end().await;
    world.aws.clear_fault();
    // One of the two messages comes as it was sent, of the other one a piece.
    world.aws.queue(BACKUP_ACCOUNT, "dynamodb-backup-export").purge();
    let (run, poison) = (world.only_run(), r#"{"version":1,"run":"#);
    world.send("export", &job(run.as_str(), "users", 0));
    world.send("export", poison);

    let worker = world.start(&["worker"]);
    world.until("the poison to be buried", |world| !world.dead_letters("export").is_empty()).await;
    world.until("the rest of the run", |world| world.object("/results/users.json").is_some()).await;
    let [(body, reason)] = &world.dead_letters("export")[..] else { panic!("there is one") };
    assert_eq!(body, poison);
    assert!(reason.contains("the export message is malformed: EOF while parsing"), "{reason}");
    assert_eq!(world.differences("users").await, [""; 0]);
    let doctor = world.run(&["doctor"]).await.stdout;
    let told = ["given up: 1, in dynamodb-backup-export-dlq", "receive-message", "purge-queue"];
    assert!(told.iter().all(|told| doctor.contains(told)), "{doctor}");

    assert!(world.object("/report.json").is_none(), "a table is missing, and nobody says that it is not");
    let resumed = world.run(&["resume", run.as_str(), "--output", "json"]).await.expect_code(0).json();
    assert_eq!((&resumed["resumed"], &resumed["finished"]), (&json!(["orders"]), &json!(["users"])));
    world.until("the run to finish", |world| world.object("/report.json").is_some()).await;
    assert_eq!(world.object("/report.json").expect("it is there")["outcome"], "complete");
    world.until("every message to be settled", |world| world.messages_left() == 0).await;
    worker.stop().await;
    world.assert_copied().await;
    assert_eq!(world.bucket().overwritten(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_of_earlier_runs_are_neither_lost_nor_doubled_and_do_nothing_when_they_are_moved_back() {
    let world = World::with(vec![table("orders", 30), table("users", 30)]).await;
    let deny = |call: &Call| call.action == "Scan" && call.resource == "orders";
    world.aws.set_fault(move |call| deny(call).then(|| Fault::error(400, "AccessDeniedException")));
    backed_up_in_part(&world, &["orders"]).await;
    let run = world.only_run().to_string();
    // More of that run than anybody reads at once.
    for _ in 0..60 {
        for (stage, body) in [
            ("export", job(&run, "orders", 0)),
            ("write", job(&run, "users", 0)),
            ("provision", json!({ "version": 1, "run": run, "table": "users" }).to_string()),
        ] {
            world.aws.queue(BACKUP_ACCOUNT, &format!("dynamodb-backup-{stage}-dlq")).send(&body);
        }
    }
    let letters = |world: &World| STAGES.map(|stage| world.dead_letters(stage));
    let before = letters(&world);
    let again = backed_up_in_part(&world, &["orders"]).await;
    let after = letters(&world);
    assert_eq!(after[1][..61], before[1], "those that were there are as they were");
    assert_eq!([&after[0], &after[2], &after[3]], [&before[0], &before[2], &before[3]]);
    let [(body, reason)] = &after[1][61..] else { panic!("one more has come: {}", after[1].len()) };
    assert!(
        !body.contains(&run) && reason.contains("scan table orders: AccessDeniedException"),
        "{body}: {reason}"
    );
    let doctor = world.run(&["doctor"]).await.stdout;
    for (stage, count) in [("export", 62), ("provision", 60), ("write", 60)] {
        assert!(doctor.contains(&format!("given up: {count}, in dynamodb-backup-{stage}-dlq")), "{doctor}");
    }

    // As StartMessageMoveTask does it: a message that is moved is a new one.
    world.aws.clear_fault();
    let (keys, copies) = (world.bucket().keys(), world.aws.calls().len());
    for (stage, letters) in STAGES.iter().zip(&after) {
        world.aws.queue(BACKUP_ACCOUNT, &format!("dynamodb-backup-{stage}-dlq")).purge();
        letters.iter().for_each(|(body, _)| world.send(stage, body));
    }
    let worker = world.start(&["worker"]);
    world.until("every message to be settled", |world| world.messages_left() == 0).await;
    worker.stop().await;
    assert_eq!(world.bucket().keys(), keys, "nothing was written for them");
    assert_eq!(letters(&world).map(|letters| letters.len()), [0; 4]);
    let since = &world.aws.calls()[copies..];
    let touched = ["Scan", "BatchWriteItem", "CreateTable", "PutObject"];
    assert!(since.iter().all(|call| !touched.contains(&call.action.as_str())), "{since:?}");

    finish_as_told(&world, &again, &["orders"]).await;
}

/// Runs a backup of which just these tables are not complete: the rest are, and equal to their sources.
async fn backed_up_in_part(world: &World, broken: &[&str]) -> Ended {
    let ended = world.run(&["run", "--lanes", "1", "--output", "json"]).await.expect_code(2);
    let report = &ended.json()["runs"][0];
    assert_eq!(report["outcome"], "partial", "{report}");
    for result in tables(report) {
        let name = result["table"].as_str().expect("a name");
        assert_eq!(result["outcome"] != "complete", broken.contains(&name), "{result}");
        if !broken.contains(&name) {
            assert_eq!(world.differences(name).await, [""; 0]);
        }
    }
    ended
}

/// The one reason why a table is not complete says what, why, and what to do, and `show` says it too.
#[track_caller]
fn assert_named(ended: &Ended, table: &str, outcome: &str, told: &[&str]) {
    let report = ended.json();
    let result = result_of(&report, table);
    assert_eq!(result["outcome"], outcome, "{result}");
    let reasons = result["reasons"].as_array().expect("there are reasons");
    let [reason] = &reasons[..] else { panic!("one reason: {reasons:?}") };
    let reason = reason.as_str().expect("a text");
    assert!(told.iter().all(|told| reason.contains(told)), "{reason}");
}

async fn finish_as_told(world: &World, ended: &Ended, missing: &[&str]) {
    resume(world, &ended.json()["runs"][0], missing).await;
}

/// Does to the letter what a report says is to be done: a run of its own backs up what was missing, and nothing else.
async fn resume(world: &World, report: &Value, missing: &[&str]) {
    let to_do = report["to_do"].as_str().unwrap_or_else(|| panic!("it says nothing: {report}"));
    let shown = world.run(&["show", report["run"].as_str().expect("an id")]).await.expect_code(0).stdout;
    assert!(shown.contains(&format!("\n\nto do: {to_do}\n")), "{shown}");
    let command: Vec<&str> = to_do.split('`').nth(1).expect("it names a command").split(' ').collect();
    assert_eq!(command[0], "dynamodb-backup");
    let (before, overwritten) = (world.keys("/report.json"), world.bucket().overwritten());
    world.run(&command[1..]).await.expect_code(0);

    work_until_reported(world, before.len() + 1).await;
    let newest =
        world.keys("/report.json").into_iter().find(|key| !before.contains(key)).expect("it was seen");
    let newest = world.object(&newest).expect("it is JSON");
    assert_eq!(newest["outcome"], "complete", "{newest}");
    let names: Vec<&str> = tables(&newest).iter().filter_map(|result| result["table"].as_str()).collect();
    assert_eq!(names, missing);
    world.assert_copied().await;
    assert_eq!(world.bucket().overwritten(), overwritten);
}

/// Has a worker work until there are so many reports and every message is settled.
async fn work_until_reported(world: &World, reports: usize) {
    let worker = world.start(&["worker"]);
    world.until("the report", |world| world.keys("/report.json").len() == reports).await;
    world.until("every message to be settled", |world| world.messages_left() == 0).await;
    worker.stop().await;
}

fn tables(report: &Value) -> Vec<&Value> {
    report["tables"].as_array().expect("a report lists its tables").iter().collect()
}

/// A world in which the messages of a worker that was killed come back soon.
async fn crash_world(tables: Vec<loopback_aws::sample::SampleTable>) -> World {
    let mut world = World::with(tables).await;
    world.set("BACKUP_LANES", "1");
    world.set("BACKUP_VISIBILITY_TIMEOUT", "10s");
    world
}

/// Holds calls up, so that whoever makes one can be killed at it; counts them.
fn hold(world: &World, is_it: impl Fn(&Call) -> bool + Send + Sync + 'static) -> Arc<AtomicUsize> {
    let held = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&held);
    world.aws.set_fault(move |call| {
        is_it(call).then(|| {
            count.fetch_add(1, Ordering::Relaxed);
            Fault::Delay(Duration::from_secs(600))
        })
    });
    held
}
