//! Night after night: only what has changed is written, and only what is gone is deleted.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use loopback_aws::{BACKUP_ACCOUNT, Fault, REGION, SOURCE_ACCOUNT};
use serde_json::{Value, json};

use crate::evidence::result_of;
use crate::harness::{World, table};

/// A world after its first night, with one table of this many items in four segments.
async fn after_the_first_night(items: usize) -> World {
    let world = World::with(vec![table("orders", items)]).await;
    let report = world.backup(&[], 0).await;
    assert_eq!(counts(&report), json!([items, items, 0, 0]));
    world.aws.clear_calls();
    world
}

/// Items exported, put, unchanged and deleted.
fn counts(report: &Value) -> Value {
    let result = result_of(report, "orders");
    json!(["items_exported", "items_put", "items_unchanged", "items_deleted"].map(|name| &result[name]))
}

fn put(world: &World, account: &str, number: usize, text: &str) {
    let item = json!({
        "pk": { "S": format!("item-{number:05}") },
        "number": { "N": number.to_string() },
        "text": { "S": text },
    });
    world.dynamodb(account, "PutItem", &json!({ "TableName": "orders", "Item": item }));
}

fn delete(world: &World, account: &str, numbers: impl IntoIterator<Item = usize>) {
    for number in numbers {
        let key = json!({ "pk": { "S": format!("item-{number:05}") } });
        world.dynamodb(account, "DeleteItem", &json!({ "TableName": "orders", "Key": key }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_night_without_changes_writes_nothing() {
    let world = after_the_first_night(400).await;
    let report = world.backup(&[], 0).await;
    assert_eq!(counts(&report), json!([400, 0, 400, 0]));
    assert_eq!(world.count_calls("BatchWriteItem"), 0);
    let result = result_of(&report, "orders");
    assert_eq!((&result["write_units"], &result["rewrite_units"]), (&json!(0.0), &json!(400)));
    assert!(result["copy_read_units"].as_f64().is_some_and(|units| units > 0.0), "{result}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_changed_is_put_and_what_is_gone_is_deleted() {
    let world = after_the_first_night(400).await;
    for number in 0..4 {
        put(&world, SOURCE_ACCOUNT, number, "changed");
    }
    put(&world, SOURCE_ACCOUNT, 400, "new");
    delete(&world, SOURCE_ACCOUNT, 100..106);

    let report = world.backup(&[], 0).await;
    assert_eq!(counts(&report), json!([395, 5, 390, 6]));
    world.assert_copied().await;
    let digest = &result_of(&report, "orders")["digest"];
    assert_eq!(digest["items"], 395);

    // The night after finds nothing to do, and the same digest: that is the proof.
    let report = world.backup(&[], 0).await;
    assert_eq!(counts(&report), json!([395, 0, 395, 0]));
    assert_eq!(&result_of(&report, "orders")["digest"], digest);
    assert_eq!(world.bucket().overwritten(), Vec::<String>::new());
    assert_eq!(world.messages_left(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_did_to_the_copy_is_undone() {
    let world = after_the_first_night(200).await;
    put(&world, BACKUP_ACCOUNT, 7, "tampered with");
    put(&world, BACKUP_ACCOUNT, 9000, "slipped in");
    delete(&world, BACKUP_ACCOUNT, [11]);
    let report = world.backup(&[], 0).await;
    assert_eq!(counts(&report), json!([200, 2, 198, 1]));
    world.assert_copied().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mass_deletion_is_suspect_until_it_is_accepted() {
    let world = after_the_first_night(100).await;
    delete(&world, SOURCE_ACCOUNT, 0..40);

    let report = world.backup(&[], 2).await;
    let result = result_of(&report, "orders");
    assert_eq!((&result["outcome"], &result["suspect"]), (&json!("partial"), &json!(true)));
    assert_eq!((&result["items_deleted"], &result["items_extra"]), (&json!(0), &json!(40)));
    let reason = result["reasons"][0].as_str().expect("a reason");
    assert!(reason.starts_with("suspect: 40 items would be deleted and 0 were changed of 100"), "{reason}");
    assert!(reason.contains("--accept-changes"), "it says what to do: {reason}");
    assert_eq!(world.count(BACKUP_ACCOUNT, "orders"), 100);

    let report = world.backup(&["--accept-changes"], 0).await;
    assert_eq!(counts(&report), json!([60, 0, 60, 40]));
    world.assert_copied().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_stays_suspect_although_what_was_changed_is_in_the_copy_by_now() {
    let world = after_the_first_night(100).await;
    for number in 0..25 {
        put(&world, SOURCE_ACCOUNT, number, "overwritten");
    }
    delete(&world, SOURCE_ACCOUNT, 90..100);
    for reason in
        ["10 items would be deleted and 25 were changed of 100", "has been suspect since it was complete"]
    {
        let report = world.backup(&[], 2).await;
        let result = result_of(&report, "orders");
        assert_eq!((&result["suspect"], &result["items_deleted"]), (&json!(true), &json!(0)));
        assert!(result["reasons"].to_string().contains(reason), "{result}");
    }
    world.backup(&["--accept-changes"], 0).await;
    world.assert_copied().await;
    world.backup(&[], 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_while_it_puts_makes_a_mass_change_look_no_smaller() {
    let mut world = after_the_first_night(400).await;
    world.set("BACKUP_VISIBILITY_TIMEOUT", "10s");
    for number in 0..200 {
        put(&world, SOURCE_ACCOUNT, number, "overwritten");
    }
    delete(&world, SOURCE_ACCOUNT, [399]);
    world.aws.set_fault(|call| {
        (call.action == "BatchWriteItem").then_some(Fault::Delay(Duration::from_millis(400)))
    });
    let killed = world.start(&["worker"]);
    world.send("trigger", "{}");
    world.until("most changes to be put", |world| world.count_calls("BatchWriteItem") >= 8).await;
    killed.signal("KILL");
    killed.end().await;

    let next = world.start(&["worker"]);
    world.until("two reports", |world| world.keys("/report.json").len() == 2).await;
    next.stop().await;
    let report = world.keys("/report.json").pop().expect("there are two");
    let report: Value = serde_json::from_slice(&world.bucket().get(&report).expect("there")).expect("JSON");
    let result = &report["tables"][0];
    assert_eq!((&result["suspect"], &result["items_deleted"]), (&json!(true), &json!(0)), "{result}");
    assert_eq!((&result["items_put"], &result["items_unchanged"]), (&json!(200), &json!(199)), "{result}");
}

#[tokio::test(flavor = "multi_thread")]
async fn deletions_that_could_not_be_enqueued_are_enqueued_later() {
    let world = after_the_first_night(400).await;
    delete(&world, SOURCE_ACCOUNT, 0..40);
    let (bucket, refused) = (world.bucket(), AtomicUsize::new(0));
    world.aws.set_fault(move |call| {
        let is_decided = || bucket.keys().iter().any(|key| key.ends_with("/state/deletions.json"));
        // As often as one call is tried.
        let refuses = call.action == "SendMessageBatch" && is_decided();
        (refuses && refused.fetch_add(1, Ordering::SeqCst) < 8)
            .then(|| Fault::error(503, "ServiceUnavailable"))
    });
    let report = world.backup(&[], 0).await;
    assert_eq!(counts(&report), json!([360, 0, 360, 40]));
    world.aws.clear_fault();
    world.assert_copied().await;
}

/// The put of the decision takes effect, its answer is lost, and the next put meets what the first has left.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_decides_about_deletions_and_hears_nothing_of_it_enqueues_them_all_the_same() {
    let world = after_the_first_night(100).await;
    delete(&world, SOURCE_ACCOUNT, 0..10);
    let lost = AtomicUsize::new(0);
    world.aws.set_fault(move |call| {
        let is_decision = call.action == "PutObject" && call.resource.ends_with("/state/deletions.json");
        (is_decision && lost.fetch_add(1, Ordering::SeqCst) == 0).then_some(Fault::LostAnswer)
    });
    // In one lane, nobody comes after whoever decides.
    let report = world.backup(&["--lanes", "1"], 0).await;
    assert_eq!(counts(&report), json!([90, 0, 90, 10]));
    let decisions = world.aws.calls().into_iter();
    let decisions =
        decisions.filter(|call| call.action == "PutObject" && call.resource.ends_with("/deletions.json"));
    assert_eq!(decisions.count(), 2, "the put and its repetition");
    world.aws.clear_fault();
    world.assert_copied().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_refuses_deletions_is_named_and_they_are_tried_once_for_each_segment() {
    let world = after_the_first_night(400).await;
    delete(&world, SOURCE_ACCOUNT, 0..40);
    world.aws.set_fault(|call| {
        (call.action == "BatchWriteItem").then(|| Fault::error(400, "AccessDeniedException"))
    });
    let report = world.backup(&[], 2).await;
    let result = result_of(&report, "orders");
    assert_eq!((&result["items_deleted"], &result["items_extra"]), (&json!(0), &json!(40)));
    assert!(result["reasons"].to_string().contains("AccessDeniedException"), "{result}");
    let letters = world.dead_letters("write").len();
    assert!((4..=8).contains(&letters), "one for each segment, or two where two began at once: {letters}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_deleted_where_the_copy_assigns_items_to_other_segments() {
    let world = after_the_first_night(100).await;
    world.aws.scatter_segments(BACKUP_ACCOUNT, REGION, "orders");
    delete(&world, SOURCE_ACCOUNT, [3]);

    let report = world.backup(&[], 2).await;
    let result = result_of(&report, "orders");
    assert_eq!((&result["items_put"], &result["items_deleted"]), (&json!(99), &json!(0)));
    assert_eq!(result.get("suspect"), None, "it is not the source that has changed: {result}");
    let reason = result["reasons"][0].as_str().expect("a reason");
    assert!(reason.contains("assigns items to other segments than the source did"), "{reason}");
    assert_eq!(
        world.count(BACKUP_ACCOUNT, "orders"),
        100,
        "no archived item was deleted, and item 3 is kept"
    );
}
