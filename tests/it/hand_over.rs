//! A job that has had its time passes the rest on, and whoever takes it goes on where it stopped.

use std::time::Duration;

use loopback_aws::{Fault, sample::large};
use serde_json::json;

use crate::evidence::result_of;
use crate::harness::World;

#[tokio::test(flavor = "multi_thread")]
async fn export_and_write_hand_over_and_nothing_is_read_or_written_twice() {
    let mut world = World::with(vec![large(3000)]).await;
    world.set("BACKUP_HAND_OVER_AFTER", "1s");
    world.set("BACKUP_LANES", "1");
    world.aws.set_fault(|call| match call.action.as_str() {
        "Scan" => Some(Fault::Delay(Duration::from_millis(600))),
        "BatchWriteItem" => Some(Fault::Delay(Duration::from_millis(150))),
        _ => None,
    });

    let report = world.backup(&[], 0).await;

    let result = result_of(&report, "events");
    assert_eq!((&result["items_exported"], &result["items_put"]), (&json!(3000), &json!(3000)));
    assert_eq!(result["parts"], 2, "one part for each job that worked on the segment");
    let of_attempts = world.keys_with("/state/write/00000-");
    assert!(of_attempts.len() >= 2, "it was begun, and an attempt handed over: {of_attempts:?}");
    let calls = world.aws.calls();
    let batches = calls.iter().filter(|call| call.action == "BatchWriteItem").count();
    assert!((120..130).contains(&batches), "{batches} batches of 25");
    world.aws.clear_fault();
    world.assert_copied().await;
    assert_eq!(world.bucket().overwritten(), Vec::<String>::new());
}
