//! As much as one run may be: many tables and many items, in memory that does not grow with either.

use std::time::Duration;

use loopback_aws::sample::SampleTable;
use loopback_aws::{BACKUP_ACCOUNT, Fault, SOURCE_ACCOUNT};
use serde_json::{Value, json};

use crate::harness::{World, create, table};
use crate::memory::Watch;

/// 64 MiB for a worker, and 16 MiB for each segment it exports or writes at once.
const MEBIBYTES: u64 = 64 + 16 * 8;

/// What a worker may hold more at the end than in the middle: allocators are not exact.
const SLACK_MEBIBYTES: u64 = 8;

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_get_through_two_thousand_segments_that_wait_in_the_queue() {
    let tables: Vec<_> = (0..500).map(|number| table(&format!("table-{number:03}"), 12)).collect();
    let mut world = World::with(tables).await;
    // Nobody reads what it says while it works.
    world.set("BACKUP_LOG", "warn");
    // Nothing is exported until all is planned.
    let is_export = |call: &loopback_aws::Call| call.action == "Scan" && call.account == SOURCE_ACCOUNT;
    world.aws.set_fault(move |call| is_export(call).then_some(Fault::Delay(Duration::from_secs(600))));
    let planner = world.start(&["worker"]);
    world.send("trigger", "{}");
    let exports = world.aws.queue(BACKUP_ACCOUNT, "dynamodb-backup-export");
    // The settings of five tables are read in a second.
    let planned = |world: &World| !world.keys("/started.json").is_empty();
    world.until_within(Duration::from_secs(240), "the plan of every table", planned).await;
    assert!(exports.visible() > 1_900, "{} segments wait", exports.visible());
    planner.signal("KILL");
    planner.end().await;
    world.aws.clear_fault();

    let workers = [world.start(&["worker"]), world.start(&["worker"])];
    let watches = workers.each_ref().map(|worker| Watch::of(worker.id()));
    let results =
        |world: &World| world.bucket().keys().iter().filter(|key| key.contains("/results/")).count();
    world.until_within(Duration::from_secs(480), "every result", |world| results(world) == 500).await;
    world.until("the report", |world| !world.keys("/report.json").is_empty()).await;
    for (worker, watch) in workers.into_iter().zip(watches) {
        watch.end().assert_flat(MEBIBYTES, SLACK_MEBIBYTES);
        worker.stop().await;
    }
    let report = world.object("/report.json").expect("it is there");
    assert_eq!(report["outcome"], "complete");
    let tables = report["tables"].as_array().expect("a list");
    let items: u64 = tables.iter().filter_map(|table| table["items_put"].as_u64()).sum();
    assert_eq!((tables.len(), items), (500, 6_000));
    assert_eq!(world.messages_left(), 0);
}

/// `cargo test --release --test it -- --ignored --nocapture two_million`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes nine minutes: a new copy takes 4,000 items a second"]
async fn two_million_items_of_one_table_take_no_more_memory_than_a_few() {
    const ITEMS: u64 = 2_000_000;
    let item =
        |number: u64| json!({ "pk": { "N": number.to_string() }, "half": { "N": (number / 2).to_string() } });
    let items = Box::new((0..ITEMS).map(item));
    let mut world = World::with(vec![SampleTable { create: create("events", "pk", "N"), items }]).await;
    // As fast as the machine goes.
    world.set("BACKUP_READ_BUDGET", "4000000000");
    world.set("BACKUP_WRITE_BUDGET", "4000000000");
    let worker = world.start(&["worker"]);
    let watch = Watch::of(worker.id());
    world.send("trigger", "{}");
    world
        .until_within(Duration::from_secs(900), "the report", |world| !world.keys("/report.json").is_empty())
        .await;
    watch.end().assert_flat(MEBIBYTES, SLACK_MEBIBYTES);
    worker.stop().await;
    let report = world.object("/report.json").expect("it is there");
    assert_eq!((&report["outcome"], &report["tables"][0]["items_put"]), (&json!("complete"), &json!(ITEMS)));
    let copy: Value = world.dynamodb(BACKUP_ACCOUNT, "DescribeTable", &json!({ "TableName": "events" }));
    assert_eq!(copy["Table"]["ItemCount"], json!(ITEMS));
}
