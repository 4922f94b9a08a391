//! Runs of one source follow one another: nothing that is over, out of order or half begun keeps the next away.

use dynamodb_backup::archive::layout::RunId;
use jiff::{SignedDuration, Timestamp};
use loopback_aws::{BACKUP_ACCOUNT, REGION, SOURCE_ACCOUNT, SOURCE_ROLE_ARN};
use serde_json::{Value, json};

use crate::harness::{World, table};

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_id_is_newer_than_its_turn_does_not_lock_the_source() {
    let world = World::with(vec![table("orders", 5)]).await;
    // Its trigger was sent last and taken first: every run to come sorts before it.
    let newest = put_run(&world, Timestamp::now() + SignedDuration::from_hours(24), None);
    let report = json!({
        "run": newest, "source": "default", "outcome": "complete",
        "finished_at": Timestamp::now().to_string(), "tables": [],
    });
    world.bucket().put(&format!("runs/{newest}/report.json"), report.to_string());

    for _ in 0..3 {
        world.run(&["run"]).await.expect_code(0);
    }
    assert_eq!(named_after(&world, &newest).len(), 3, "each run came after another");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_over_before_it_began_is_not_what_the_next_run_comes_after() {
    let world = World::with(vec![table("orders", 5)]).await;
    let ended = json!({ "outcome": "failed", "reason": "given up" });
    let failed = put_run(&world, Timestamp::now() + SignedDuration::from_hours(24), Some(ended));
    world.run(&["run"]).await.expect_code(0);
    assert!(world.bucket().get(&format!("runs/{failed}/next.json")).is_none());
    assert!(world.bucket().get("runs/first-default.json").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_had_its_turn_and_was_never_planned_is_waited_for_and_then_closed() {
    let mut world = World::with(vec![table("orders", 5)]).await;
    let lost = RunId::derive(Timestamp::now(), "a message that never came back", "default");
    world.bucket().put("runs/first-default.json", json!({ "run": lost }).to_string());
    let skipped = world.run(&["run", "--output", "json"]).await.expect_code(1).json();
    assert_eq!(skipped["outcome"], "skipped");
    assert!(skipped["runs"][0]["reason"].to_string().contains(lost.as_str()), "{skipped}");

    world.set("BACKUP_STALL_AFTER", "1s");
    world
        .until("the lost run to have been quiet for long enough", |_| {
            Timestamp::now().duration_since(lost.time()) > SignedDuration::from_secs(3)
        })
        .await;
    world.run(&["run"]).await.expect_code(0);
    let report = world.object(&format!("runs/{lost}/report.json")).expect("it was closed");
    assert_eq!((&report["outcome"], &report["tables"]), (&json!("failed"), &json!([])));
}

/// The record of a run of the default source, put there by nobody we know.
fn put_run(world: &World, sent_at: Timestamp, ended: Option<Value>) -> String {
    let run = RunId::derive(sent_at, "somebody else's trigger", "default").to_string();
    let mut record = json!({
        "version": 1, "run": run, "tool_version": "0.1.0",
        "source": {
            "name": "default", "role_arn": SOURCE_ROLE_ARN, "account_id": SOURCE_ACCOUNT, "region": REGION,
        },
        "backup": { "account_id": BACKUP_ACCOUNT, "region": REGION },
        "requested": {}, "consistent_read": false, "planned_at": Timestamp::now().to_string(), "tables": [],
    });
    if let Some(ended) = ended {
        record["ended"] = ended;
    }
    world.bucket().put(&format!("runs/{run}/run.json"), record.to_string());
    run
}

/// The runs of the chain behind `run`, in order.
fn named_after(world: &World, run: &str) -> Vec<String> {
    let next = |run: &String| -> Option<String> {
        let named: Value =
            serde_json::from_slice(&world.bucket().get(&format!("runs/{run}/next.json"))?).ok()?;
        named["run"].as_str().map(ToOwned::to_owned)
    };
    std::iter::successors(next(&run.to_owned()), next).collect()
}
