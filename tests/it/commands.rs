//! The commands that look and the one that asks, as text and as JSON.

use std::time::Duration;

use loopback_aws::{BUCKET, Fault};
use serde_json::{Value, json};

use crate::harness::{Ended, World, table};

/// A run that is not there.
const NO_RUN: &str = "20200131T020000Z-00000000";

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_bucket_has_no_runs_and_every_command_says_where_it_looked() {
    let mut world = World::new().await;
    world.set("BACKUP_PREFIX", "nightly");
    let place = format!("s3://{BUCKET}/nightly/runs/");
    let list = world.run(&["list"]).await.expect_code(0);
    assert!(list.stdout.contains(&place), "{}", list.stdout);
    let list = world.run(&["list", "--output", "json"]).await.expect_code(0);
    assert_eq!(list.json(), json!([]));
    let status = world.run(&["status"]).await.expect_code(1);
    assert!(status.stderr.contains(&place) && status.stdout.is_empty(), "{}", status.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_or_table_that_is_not_there_is_a_usage_error_that_names_it() {
    let world = World::with(vec![table("orders", 5)]).await;
    world.run(&["run"]).await.expect_code(0);
    let run = world.only_run();
    for (arguments, told) in [
        (vec!["status", NO_RUN], [NO_RUN, BUCKET]),
        (vec!["show", NO_RUN], [NO_RUN, BUCKET]),
        (vec!["show", NO_RUN, "--table", "orders"], [NO_RUN, BUCKET]),
        (vec!["show", run.as_str(), "--table", "users"], [run.as_str(), "users"]),
        (vec!["status", "yesterday"], ["yesterday", "20260131T020000Z-1a2b3c4d"]),
        (vec!["show", "../secrets"], ["../secrets", "20260131T020000Z-1a2b3c4d"]),
    ] {
        for output in ["text", "json"] {
            let mut arguments = arguments.clone();
            arguments.extend(["--output", output]);
            let ended = world.run(&arguments).await.expect_code(64);
            assert!(told.iter().all(|text| ended.stderr.contains(text)), "{arguments:?}: {}", ended.stderr);
            assert_eq!(ended.stdout, "", "{arguments:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_run_is_told_by_run_list_status_and_show_alike() {
    let world = World::with(vec![table("orders", 1234), table("users", 5)]).await;
    let ended = world.run(&["run", "--lanes", "2", "--output", "json"]).await.expect_code(0);
    only_json(&ended);
    let finished = ended.json();
    let run = world.only_run();
    let run = run.as_str();
    let report = &finished["runs"][0];
    assert_eq!((&finished["outcome"], &report["run"]), (&json!("complete"), &json!(run)));
    assert_eq!(report, &world.object("/report.json").expect("it is written"));

    let json = |arguments: &[&str]| {
        let arguments: Vec<String> = arguments.iter().map(|it| (*it).to_owned()).collect();
        let world = &world;
        async move {
            let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            arguments.extend(["--output", "json"]);
            let ended = world.run(&arguments).await.expect_code(0);
            only_json(&ended);
            ended.json()
        }
    };
    let archive_bytes: u64 = tables(report).iter().filter_map(|table| table["archive_bytes"].as_u64()).sum();
    let listed = json!([{
        "run": run, "source": "default", "outcome": "complete", "tables": 2, "items": 1239,
        "archive_bytes": archive_bytes,
    }]);
    assert_eq!(json(&["list"]).await, listed);

    let newest = json(&["status"]).await;
    assert_eq!(newest, json(&["status", run]).await);
    assert_eq!((&newest["state"], &newest["reason"]), (&json!("complete"), &Value::Null));
    assert!(newest["last_progress"].is_string());
    let orders = json!({
        "table": "orders", "state": "complete", "segments": 2, "exported": 2, "written": 2,
        "failed": [], "last_attempts": [],
    });
    assert_eq!(newest["tables"][0], orders);

    let shown = json(&["show", run]).await;
    assert_eq!(shown["report"], *report);
    assert_eq!(shown["source"]["account_id"], "111111111111");
    assert_eq!(shown["tables"], json!(["orders", "users"]));
    let table = json(&["show", run, "--table", "orders"]).await;
    assert_eq!(table["definition"]["TableName"], "orders");
    assert_eq!(table["result"]["items_exported"], 1234);
    let export = table["export"].as_str().expect("where the export lies");
    let key = export.strip_prefix(&format!("s3://{BUCKET}/")).expect("in the bucket");
    assert!(world.bucket().get(key).is_some(), "{export} can be opened");

    for (arguments, told) in [
        (vec!["list"], vec![run, "default", "complete", "1,239"]),
        (vec!["status"], vec![run, "complete", "orders", "2/2"]),
        (vec!["show", run], vec![run, "111111111111", "222222222222", "1,234", "complete"]),
        (vec!["show", run, "--table", "orders"], vec!["orders", "1,234", export, "\"TableName\""]),
    ] {
        let ended = world.run(&arguments).await.expect_code(0);
        assert!(told.iter().all(|text| ended.stdout.contains(text)), "{arguments:?}: {}", ended.stdout);
        assert_eq!(ended.stderr, "", "{arguments:?}: data goes to stdout, and there is nothing else to say");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trigger_sends_one_message_that_a_worker_understands() {
    let world = World::with(vec![table("orders", 3), table("orders-tmp", 3), table("users", 3)]).await;
    let sent =
        world.run(&["trigger", "--table", "orders*", "--skip-table", "*-tmp", "--output", "json"]).await;
    let sent = sent.expect_code(0);
    only_json(&sent);
    assert_eq!(sent.json()["queue"], "dynamodb-backup-trigger");
    assert!(sent.json()["message_id"].is_string());
    assert!(world.bucket().keys().is_empty(), "the work is left to the workers");
    let text = world.run(&["trigger", "--source", "nowhere"]).await.expect_code(0);
    assert!(text.stdout.contains("dynamodb-backup-trigger"), "{}", text.stdout);

    let _worker = world.start(&["worker"]);
    world.until("the run to finish", |world| world.object("/report.json").is_some()).await;
    let report = world.object("/report.json").expect("it is there");
    let names: Vec<&Value> = tables(&report).iter().map(|table| &table["table"]).collect();
    assert_eq!((&report["outcome"], names), (&json!("complete"), vec![&json!("orders")]));
    world.until("the other to be buried", |world| world.dead_letters("trigger").len() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn status_tells_what_an_unfinished_run_waits_for_and_when_it_is_stalled() {
    let mut world = World::with(vec![table("orders", 5), table("users", 5)]).await;
    world.run(&["run", "--lanes", "1"]).await.expect_code(0);
    // As if a worker had died, for the last time its message allowed, while it wrote orders.
    let remove = |end: &str| world.keys(end).iter().for_each(|key| world.bucket().remove(key));
    remove("/report.json");
    remove("/results/orders.json");
    remove("/orders/state/write/00000.json");
    let folder = world.keys("/orders/table.json")[0].replace("table.json", "state/last-attempt/");
    world.bucket().put(&format!("{folder}write-00000.json"), "{}");
    world.bucket().put(&format!("{folder}export-00000.json"), "{}");

    let status = world.run(&["status", "--output", "json"]).await.expect_code(0).json();
    assert_eq!(status["state"], "running");
    assert_eq!(
        status["tables"][0],
        json!({
            "table": "orders", "state": "writing", "segments": 1, "exported": 1, "written": 0,
            "failed": [], "last_attempts": ["write of segment 0"],
        }),
        "an attempt that has left its marker is no longer the last word"
    );
    assert_eq!(status["tables"][1]["state"], "complete");
    let list = world.run(&["list", "--output", "json"]).await.expect_code(0).json();
    assert_eq!(list[0]["outcome"], "unfinished");
    let run = world.only_run();
    let shown = world.run(&["show", run.as_str()]).await.expect_code(0);
    assert!(shown.stdout.contains("has no report yet"), "{}", shown.stdout);

    world.set("BACKUP_STALL_AFTER", "1s");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    let text = loop {
        let ended = world.run(&["status"]).await.expect_code(0);
        if ended.stdout.contains("stalled") {
            break ended.stdout;
        }
        assert!(std::time::Instant::now() < deadline, "{}", ended.stdout);
    };
    assert!(text.contains("write of segment 0 was on its last attempt"), "{text}");
    assert!(text.contains("stall-after") && text.contains("0/1"), "{text}");

    let next = world.run(&["run", "--lanes", "1"]).await.expect_code(0);
    assert!(next.stdout.contains("complete"), "the next run closes the stalled one and goes its own way");
    let closed = world.run(&["status", run.as_str(), "--output", "json"]).await.expect_code(0).json();
    assert_eq!(closed["state"], "failed");
    assert!(
        closed["reason"].as_str().is_some_and(|reason| reason.contains("nothing new appeared")),
        "{closed}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outcome_of_a_run_is_its_exit_code_and_is_on_stdout_while_the_log_is_not() {
    let world = World::with(vec![table("orders", 5)]).await;
    let ended = world.run(&["run"]).await.expect_code(0);
    assert!(ended.stdout.starts_with("run ") && ended.stdout.contains("complete"), "{}", ended.stdout);
    for line in ended.stderr.lines() {
        let line: Value = serde_json::from_str(line).expect("every line of the log is JSON");
        assert!(line["level"].is_string() && line["message"].is_string(), "{line}");
    }
    assert!(!ended.stdout.contains("\"level\""), "{}", ended.stdout);
    let quiet = world.run(&["run", "--log", "off"]).await.expect_code(0);
    assert_eq!(quiet.stderr, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_stdout_that_has_gone_away_is_no_error() {
    let world = World::new().await;
    let mut command = world.command(&["list"]);
    let mut child = command.spawn().expect("the program starts");
    drop(child.stdout.take());
    let ended = tokio::task::spawn_blocking(move || child.wait()).await.expect("the waiting ends");
    assert!(ended.expect("it can be waited for").success());
}

fn tables(report: &Value) -> &Vec<Value> {
    report["tables"].as_array().expect("a report lists its tables")
}

/// One line of JSON, and nothing else.
fn only_json(ended: &Ended) {
    assert_eq!(ended.stdout.lines().count(), 1, "{}", ended.stdout);
    assert!(ended.json().is_object() || ended.json().is_array());
}

#[tokio::test(flavor = "multi_thread")]
async fn resume_brings_a_run_forward_whose_messages_are_lost() {
    let world = World::with(vec![table("orders", 50), table("users", 5)]).await;
    world.aws.set_fault(|call| (call.action == "Scan").then_some(Fault::Delay(Duration::from_secs(60))));
    let worker = world.start(&["worker"]);
    world.send("trigger", "{}");
    world.until("both tables to be started", |world| world.object("/started.json").is_some()).await;
    world
        .until("the exports to begin", |world| world.aws.calls().iter().any(|call| call.action == "Scan"))
        .await;
    worker.signal("KILL");
    worker.end().await;
    world.aws.clear_fault();
    let run = world.only_run();

    // Nobody sees the killed worker's messages for two minutes.
    let resumed = world.run(&["resume", run.as_str(), "--output", "json"]).await.expect_code(0).json();
    assert_eq!(resumed["resumed"], json!(["orders", "users"]));
    let worker = world.start(&["worker"]);
    world.until("the run to finish", |world| world.object("/report.json").is_some()).await;
    assert_eq!(world.object("/report.json").expect("it is there")["outcome"], "complete");
    assert_eq!(world.differences("orders").await, Vec::<String>::new());
    assert_eq!(world.bucket().overwritten(), Vec::<String>::new());
    worker.stop().await;

    let over = world.run(&["resume", run.as_str()]).await.expect_code(64);
    assert!(over.stderr.contains("is over (complete)"), "{}", over.stderr);
}
