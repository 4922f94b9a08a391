//! A job that has had its time passes the rest on, and whoever takes it goes on where it stopped.

use std::sync::Mutex;
use std::time::Duration;

use loopback_aws::{Call, Fault, sample::large};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::evidence::result_of;
use crate::harness::World;

/// One table of 3,000 items, so slow that its export and its write both take longer than a job may work.
async fn slow_world() -> World {
    let mut world = World::with(vec![large(3000)]).await;
    world.set("BACKUP_HAND_OVER_AFTER", "1s");
    world.set("BACKUP_LANES", "1");
    world
}

fn slowly(call: &Call) -> Option<Fault> {
    match call.action.as_str() {
        "Scan" => Some(Fault::Delay(Duration::from_millis(600))),
        "BatchWriteItem" => Some(Fault::Delay(Duration::from_millis(150))),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn export_and_write_hand_over_and_nothing_is_read_or_written_twice() {
    let world = slow_world().await;
    world.aws.set_fault(slowly);

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

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_before_it_says_what_its_write_has_spent_loses_no_item() {
    let spent = of_needed_units_spent_when_killed_at("PutObject", Fault::Reset).await;
    assert!(spent < 1.0, "what the dead worker has spent is not known: {spent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_after_it_said_what_its_write_has_spent_loses_no_item() {
    let spent = of_needed_units_spent_when_killed_at("PutObject", Fault::LostAnswer).await;
    assert_eq!(spent, 1.0, "no item was put twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_while_it_reads_what_was_spent_before_loses_no_item() {
    let spent = of_needed_units_spent_when_killed_at("GetObject", Fault::Reset).await;
    assert!(spent < 1.0, "what the dead worker has spent since then is not known: {spent}");
}

/// Kills the worker when it puts or gets what its write has spent; another one goes on. Gives the write units that the
/// run says were spent, of one for each that putting every item once takes.
async fn of_needed_units_spent_when_killed_at(action: &'static str, fault: Fault) -> f64 {
    let mut world = slow_world().await;
    world.set("BACKUP_VISIBILITY_TIMEOUT", "10s");
    let worker = world.start(&["worker"]);
    let id = Pid::from_raw(worker.id().try_into().expect("a process id"));
    let pending = Mutex::new(Some(fault));
    world.aws.set_fault(move |call| {
        let is_it = call.action == action && says_what_was_spent(&call.resource);
        let fault = pending.lock().expect("killing does not panic").take_if(|_| is_it);
        if fault.is_some() {
            kill(id, Signal::SIGKILL).expect("it is there");
        }
        fault.or_else(|| slowly(call))
    });
    world.send("trigger", "{}");
    assert_eq!(worker.end().await.code, None, "it was killed");
    let next = world.start(&["worker"]);
    world.until("the report", |world| world.object("/report.json").is_some()).await;
    world.until("every message to be settled", |world| world.messages_left() == 0).await;
    next.stop().await;

    let report = world.object("/report.json").expect("it is there");
    let result = &report["tables"][0];
    assert_eq!((&result["outcome"], &result["items_put"]), (&json!("complete"), &json!(3000)));
    world.aws.clear_fault();
    world.assert_copied().await;
    assert_eq!(world.bucket().overwritten(), Vec::<String>::new());
    let units = |name: &str| result[name].as_f64().expect("a number");
    units("write_units") / units("rewrite_units")
}

/// Whether an object is what an attempt at a write leaves when it hands over: `<segment>-<16 hex digits>.json`.
fn says_what_was_spent(key: &str) -> bool {
    let name = key.split("/state/write/").nth(1).and_then(|name| name.strip_suffix(".json"));
    let attempt = name.and_then(|name| name.split('-').nth(1));
    attempt.is_some_and(|attempt| attempt.len() == 16 && attempt.bytes().all(|byte| byte.is_ascii_hexdigit()))
}
