//! Budgets: how fast a table is read and its copy written, and what a throttle does to that.

use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;
use loopback_aws::Fault;
use serde_json::Value;

use crate::harness::{World, table};

/// The time between two moments of a record, in seconds.
fn seconds(record: &Value, from: &str, to: &str) -> f64 {
    let moment = |pointer: &str| -> Timestamp {
        let text = record.pointer(pointer).and_then(Value::as_str).expect("it has this time");
        text.parse().expect("a timestamp")
    };
    moment(to).duration_since(moment(from)).as_secs_f64()
}

fn scans(world: &World) -> usize {
    world.aws.calls().iter().filter(|call| call.action == "Scan").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_read_no_faster_than_its_budget_allows() {
    let mut world = World::with(vec![table("orders", 3000)]).await;
    world.set("BACKUP_LANES", "1");
    world.set("BACKUP_READ_BUDGET", "10");

    let report = world.backup(&[], 0).await;

    let units =
        report.pointer("/runs/0/tables/0/read_units").and_then(Value::as_f64).expect("its read units");
    let marker = world.object("/state/export/00000.json").expect("the segment is exported");
    let took = seconds(&marker, "/scan/started_at", "/scan/finished_at");
    assert!(units >= 20.0, "the table costs {units}");
    // Nothing is saved up when a job begins, so the budget holds from the first page on; but what a page costs
    // beyond what was expected is made up for by the one after it.
    assert!(took >= units / 10.0 - 1.5, "{units} units within {took} s");
    assert!(
        scans(&world) >= 3,
        "a page of 1 MB would have held it all, and cost three seconds' units at once"
    );
    world.assert_copied().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_written_no_faster_than_its_budget_allows() {
    let mut world = World::with(vec![table("orders", 200)]).await;
    world.set("BACKUP_LANES", "1");
    world.set("BACKUP_WRITE_BUDGET", "50");

    world.backup(&[], 0).await;

    let (provisioned, written) = (
        world.object("/state/provision.json").expect("the copy is there"),
        world.object("/state/write/00000.json").expect("the segment is written"),
    );
    let times = serde_json::json!({ "from": provisioned["finished_at"], "to": written["finished_at"] });
    let took = seconds(&times, "/from", "/to");
    let units = written["consumed_units"].as_f64().expect("its write units");
    assert!(units >= 200.0);
    assert!(took >= units / 50.0 - 1.0, "{units} units within {took} s");
    world.assert_copied().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn budgets_of_a_table_come_from_its_capacity_and_are_in_its_plan() {
    let mut world = World::new().await;
    let mut provisioned = table("provisioned", 20);
    provisioned.create["BillingMode"] = "PROVISIONED".into();
    provisioned.create["ProvisionedThroughput"] =
        serde_json::json!({ "ReadCapacityUnits": 100, "WriteCapacityUnits": 30 });
    let mut slow = table("slow", 20);
    slow.create["BillingMode"] = "PROVISIONED".into();
    slow.create["ProvisionedThroughput"] =
        serde_json::json!({ "ReadCapacityUnits": 4, "WriteCapacityUnits": 20 });
    world.seed(vec![provisioned, slow, table("on-demand", 20)]).await;
    world.set("BACKUP_LANES", "4");

    world.backup(&[], 0).await;

    let plan = |name: &str| {
        world.object(&format!("/tables/{name}/table.json")).expect("it is planned")["plan"].clone()
    };
    let (provisioned, slow, on_demand) = (plan("provisioned"), plan("slow"), plan("on-demand"));
    // The copy is on demand, whatever its source has.
    assert_eq!((&provisioned["read_budget"], &provisioned["write_budget"]), (&50.into(), &4000.into()));
    // Each lane has at least a unit a second, so there are no more lanes than units.
    assert_eq!(
        (&slow["read_budget"], &slow["write_budget"], &slow["lanes"]),
        (&2.into(), &2000.into(), &2.into())
    );
    // Half of what a partition gives for each lane; all of it for writes.
    assert_eq!((&on_demand["read_budget"], &on_demand["write_budget"]), (&6000.into(), &4000.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttle_is_ours_to_answer_and_slows_the_scan() {
    let mut world = World::with(vec![table("orders", 200)]).await;
    world.set("BACKUP_LANES", "1");
    let scans = AtomicUsize::new(0);
    world.aws.set_fault(move |call| {
        let is_first = call.action == "Scan" && scans.fetch_add(1, Ordering::Relaxed) == 0;
        is_first.then_some(Fault::Throttled {
            code: "ProvisionedThroughputExceededException",
            reason: "TableReadKeyRangeThroughputExceeded",
        })
    });

    let ended = world.run(&["run", "--output", "json"]).await.expect_code(0);

    assert!(ended.stderr.contains("reading more slowly, a partition is hot"), "{}", ended.stderr);
    world.aws.clear_fault();
    world.assert_copied().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_write_slows_the_writes_and_loses_nothing() {
    let mut world = World::with(vec![table("orders", 500)]).await;
    world.set("BACKUP_LANES", "1");
    let writes = AtomicUsize::new(0);
    world.aws.set_fault(move |call| {
        let is_due =
            call.action == "BatchWriteItem" && writes.fetch_add(1, Ordering::Relaxed).is_multiple_of(3);
        is_due.then_some(Fault::Throttled {
            code: "ProvisionedThroughputExceededException",
            reason: "TableWriteProvisionedThroughputExceeded",
        })
    });

    let ended = world.run(&["run", "--output", "json"]).await.expect_code(0);

    let told = "writing more slowly: the table's throughput is used up";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
    world.aws.clear_fault();
    world.assert_copied().await;
}
