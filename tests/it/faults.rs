//! Every kind of fault at the wire, one at a time: the backup is complete and exact all the same, or, where the
//! fault stays, partial and honest. A fault that never strikes fails its test.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use loopback_aws::{BACKUP_ACCOUNT, Call, Fault, FaultPlan, SOURCE_ACCOUNT, When};
use serde_json::{Value, json};

use crate::evidence::{bulky, result_of, sorted};
use crate::harness::{World, table};

/// The waiting of messages passes so many times as fast as a clock.
const HASTE: u32 = 60;

/// Two tables, and queues in which nobody waits for long.
async fn hasty_world() -> World {
    let mut world = World::with(vec![table("orders", 150), table("users", 20)]).await;
    world.aws.hasten_queues(HASTE);
    // Unlike any pause between two attempts at a job: those pass in haste, and this does not.
    world.set("BACKUP_VISIBILITY_TIMEOUT", "11s");
    world
}

/// A backup while calls of a class go wrong: complete and exact, and the class has struck at least `least` times.
async fn survives(class: &'static str, when: When, least: u64) {
    let plan = FaultPlan::new(1).with(class, when);
    survives_plan(&hasty_world().await, plan, least).await;
}

async fn survives_plan(world: &World, plan: FaultPlan, least: u64) -> Value {
    let faults = plan.clone();
    world.aws.set_fault(move |call| faults.strike(call));
    let report = world.backup(&[], 0).await;
    world.aws.clear_fault();
    for (class, times) in plan.fired() {
        assert!(times >= least, "{class} struck {times} times, not {least}");
    }
    // Messages that a fault has sent to nobody or twice come back, and find their work done.
    let are_theirs = plan.fired().keys().any(|class| class.starts_with("sqs"));
    assert!(are_theirs || world.messages_left() == 0, "{} messages are left", world.messages_left());
    assert_exact(world).await;
    report
}

/// Archive and copy hold each item of the source once; nothing was written twice and nothing was given up.
async fn assert_exact(world: &World) {
    for table in world.tables(SOURCE_ACCOUNT) {
        assert_eq!(sorted(&world.exported_items(&table)), sorted(&world.source_items(&table)), "{table}");
    }
    world.assert_copied().await;
    assert_eq!(world.bucket().overwritten(), [""; 0]);
    for queue in ["trigger", "export", "provision", "write"] {
        assert_eq!(world.dead_letters(queue), [], "dead letters of {queue}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_batches_beyond_the_provisioned_throughput_are_asked_for_again() {
    survives("dynamodb-provisioned-throughput", When::Every(3), 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_batches_that_an_on_demand_table_throttles_are_asked_for_again() {
    survives("dynamodb-throttling", When::Every(3), 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_batches_beyond_the_accounts_limit_are_asked_for_again() {
    survives("dynamodb-request-limit", When::Every(3), 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn throttled_calls_of_the_control_plane_are_made_again() {
    survives("dynamodb-control-throttling", When::Every(4), 4).await;
}

/// Not after all the attempts that one call is worth, either.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_cannot_be_looked_at_for_a_while_is_not_left_out() {
    let world = hasty_world().await;
    let of_orders =
        |call: &Call| call.action == "DescribeTable" && call.role.is_some() && call.resource == "orders";
    let plan = FaultPlan::new(1).with_those("dynamodb-503", When::First(10), of_orders);
    survives_plan(&world, plan, 10).await;
}

/// Not all of DynamoDB knows a table that has just become ACTIVE.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_not_known_everywhere_yet_is_asked_for_again() {
    let world = hasty_world().await;
    let of_copies = |call: &Call| {
        call.account == BACKUP_ACCOUNT
            && ["Scan", "BatchWriteItem", "ListTagsOfResource"].contains(&call.action.as_str())
    };
    let plan = FaultPlan::new(1).with_those("dynamodb-unknown-table", When::Every(3), of_copies);
    survives_plan(&world, plan, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn internal_errors_of_dynamodb_pass() {
    survives("dynamodb-500", When::Every(4), 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unavailable_dynamodb_is_asked_again() {
    survives("dynamodb-503", When::Every(4), 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_to_dynamodb_that_break_before_the_call_are_made_again() {
    survives("dynamodb-reset", When::Every(4), 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_dynamodb_that_are_lost_after_their_call_took_effect_change_nothing() {
    survives("dynamodb-lost-answer", When::Every(4), 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_dynamodb_that_break_off_are_asked_for_again() {
    survives("dynamodb-cut-body", When::Every(4), 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_with_a_flipped_bit_is_never_used() {
    survives("dynamodb-corrupt-body", When::Every(3), 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_with_the_checksum_of_another_is_never_used() {
    survives("dynamodb-wrong-checksum", When::Every(3), 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_dynamodb_is_waited_for() {
    survives("dynamodb-slow", When::Every(2), 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn items_that_come_back_unprocessed_are_sent_again() {
    survives("dynamodb-unprocessed", When::Every(2), 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_without_items_is_not_the_end_of_a_segment() {
    survives("scan-empty-page", When::Every(2), 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_any_length_make_a_whole() {
    survives("scan-short-page", When::Every(1), 8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ends_before_its_time_is_begun_anew() {
    survives("session-expired", When::Only(vec![2, 6, 9]), 3).await;
}

/// Whoever revokes a role's sessions denies everything to those that have begun, and nothing to the next.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_revoked_in_the_middle_of_a_run_is_begun_anew() {
    let mut world = World::with(vec![bulky("archive", 200)]).await;
    world.set("BACKUP_LANES", "1");
    let (began, revocations) = (Instant::now(), std::sync::Arc::new(AtomicUsize::new(0)));
    let revoked = revocations.clone();
    world.aws.set_fault(move |call| match call.action.as_str() {
        "Scan" if call.role.is_some() => {
            // The session is old enough to be doubted.
            let is_due = began.elapsed() > Duration::from_secs(12) && revoked.load(Ordering::Relaxed) == 0;
            if is_due && revoked.fetch_add(1, Ordering::Relaxed) == 0 {
                return Some(Fault::RevokedSessions);
            }
            Some(Fault::Delay(Duration::from_millis(900)))
        }
        _ => None,
    });
    world.backup(&[], 0).await;
    world.aws.clear_fault();
    assert_eq!(revocations.load(Ordering::Relaxed), 1, "the run was over before");
    assert_eq!(world.count_calls("AssumeRole"), 2);
    assert_exact(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_s3_that_wants_to_be_asked_more_slowly_is() {
    survives("s3-slow-down", When::Every(6), 8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn internal_errors_of_s3_pass() {
    survives("s3-500", When::Every(6), 8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unavailable_s3_is_asked_again() {
    survives("s3-503", When::Every(6), 8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_to_s3_that_break_before_the_call_are_made_again() {
    survives("s3-reset", When::Every(6), 8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_s3_that_are_lost_after_their_call_took_effect_change_nothing() {
    survives("s3-lost-answer", When::Every(6), 8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_break_off_are_read_again() {
    survives("s3-cut-body", When::Every(2), 8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_with_a_flipped_bit_are_read_again() {
    survives("s3-corrupt-body", When::Every(2), 8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_s3_is_waited_for() {
    survives("s3-slow", When::Every(2), 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_that_s3_could_not_decide_is_sent_again() {
    survives("s3-conflict", When::Every(8), 4).await;
}

/// Each put is followed by another one of the same object, which is answered that somebody was first: oneself.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_meets_the_object_that_he_put_himself_goes_on() {
    survives("s3-lost-put", When::Every(2), 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn throttled_calls_of_the_queues_are_made_again() {
    survives("sqs-throttled", When::Every(5), 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn internal_errors_of_the_queues_pass() {
    survives("sqs-500", When::Every(5), 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unavailable_queues_are_asked_again() {
    survives("sqs-503", When::Every(5), 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_to_the_queues_that_break_before_the_call_are_made_again() {
    survives("sqs-reset", When::Every(5), 4).await;
}

/// Jobs are sent twice, and deleted although nobody heard of it.
#[tokio::test(flavor = "multi_thread")]
async fn answers_of_the_queues_that_are_lost_after_their_call_took_effect_change_nothing() {
    let world = hasty_world().await;
    // A trigger sent twice is two triggers.
    let of_jobs = |call: &Call| call.action != "SendMessage";
    let plan = FaultPlan::new(1).with_those("sqs-lost-answer", When::Every(4), of_jobs);
    survives_plan(&world, plan, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_were_sent_to_nobody_come_back() {
    let world = hasty_world().await;
    let of_jobs = |call: &Call| !call.resource.ends_with("-trigger");
    let plan = FaultPlan::new(1).with_those("sqs-lost-receive", When::First(6), of_jobs);
    survives_plan(&world, plan, 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_delivered_twice_do_no_harm() {
    survives("sqs-duplicate", When::Share(0.5), 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_may_come_in_any_order() {
    survives("sqs-reordered", When::Every(1), 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_comes_again_after_its_deletion_finds_its_work_done() {
    // Four at most, so that no message is received more than five times.
    survives("sqs-lost-delete", When::Only(vec![2, 5, 8, 11]), 4).await;
}

/// The page takes longer than the message is hidden, so that somebody else gets it while the first is at work.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_extensions_are_lost_is_worked_on_twice_and_done_once() {
    let mut world = World::with(vec![table("orders", 40)]).await;
    world.set("BACKUP_VISIBILITY_TIMEOUT", "10s");
    world.set("BACKUP_LANES", "1");
    let plan = FaultPlan::new(1).with("sqs-lost-extension", When::Every(1));
    let (faults, scans) = (plan.clone(), AtomicUsize::new(0));
    world.aws.set_fault(move |call| {
        let is_first =
            call.action == "Scan" && call.role.is_some() && scans.fetch_add(1, Ordering::Relaxed) == 0;
        faults.strike(call).or(is_first.then_some(Fault::Delay(Duration::from_secs(14))))
    });
    world.backup(&[], 0).await;
    world.aws.clear_fault();
    assert!(plan.fired()["sqs-lost-extension"] >= 2, "{:?}", plan.fired());
    let exports =
        world.aws.calls().iter().filter(|call| call.action == "Scan" && call.role.is_some()).count();
    assert_eq!(exports, 2, "the message came to somebody else");
    assert_exact(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_sts_is_asked_again() {
    survives("sts-throttled", When::Every(2), 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn internal_errors_of_sts_pass() {
    survives("sts-500", When::Every(2), 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_to_sts_that_break_are_made_again() {
    survives("sts-reset", When::Every(2), 2).await;
}

/// A minute, which is how long the program waits for an answer of DynamoDB or of a queue; a body that stands still
/// is given up after 20 s.
#[tokio::test(flavor = "multi_thread")]
async fn calls_and_bodies_that_stall_are_given_up_and_made_again() {
    let world =
        World::with(["a", "b", "c", "d"].iter().map(|name| table(&format!("orders-{name}"), 20)).collect());
    let mut world = world.await;
    world.set("BACKUP_LANES", "1");
    let of = |action: &'static str, end: &'static str| {
        move |call: &Call| call.action == action && call.resource.ends_with(end)
    };
    let source_scan =
        |call: &Call| call.action == "Scan" && call.role.is_some() && call.resource == "orders-a";
    let plan = FaultPlan::new(1)
        .with_those("dynamodb-stall", When::First(1), source_scan)
        .with_those("dynamodb-stall", When::First(1), of("BatchWriteItem", "orders-b"))
        .with_those("dynamodb-stalled-body", When::First(1), of("Scan", "orders-c"))
        .with_those("s3-stalled-body", When::First(1), of("GetObject", ".json.zst"))
        .with_those("sqs-stall", When::First(1), of("DeleteMessage", "-provision"));
    let started = Instant::now();
    survives_plan(&world, plan, 1).await;
    assert!(started.elapsed() < Duration::from_secs(110), "they were waited for one after the other");
}

/// One item that DynamoDB never takes fails its segment; everything else is written, and the next run writes the
/// item when it is taken.
#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_comes_back_unprocessed_for_ever_is_given_up_and_named() {
    let mut world = hasty_world().await;
    world.set("BACKUP_HAND_OVER_AFTER", "1s");
    let held_back = std::sync::Arc::new(AtomicUsize::new(0));
    let count = held_back.clone();
    world.aws.set_fault(move |call| {
        let is_due = call.action == "BatchWriteItem" && call.resource == "orders";
        is_due.then(|| {
            count.fetch_add(1, Ordering::Relaxed);
            Fault::UnprocessedWith("\"item-00007\"".to_owned())
        })
    });
    let report = world.backup(&[], 2).await;
    world.aws.clear_fault();

    assert!(held_back.load(Ordering::Relaxed) > 20);
    let orders = result_of(&report, "orders");
    assert_eq!((&orders["outcome"], &orders["items_exported"]), (&json!("partial"), &json!(150)));
    let reason = orders["reasons"].to_string();
    assert!(
        reason.contains("given up after 5 attempts") && reason.contains("takes no more writes"),
        "{reason}"
    );
    assert_eq!(world.count(BACKUP_ACCOUNT, "orders"), 149, "all others are there");
    assert_eq!(result_of(&report, "users")["outcome"], "complete");
    assert_eq!(world.dead_letters("write").len(), 1);
    world.backup(&[], 0).await;
    world.assert_copied().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_throttles_for_ever_is_given_up_and_named_and_the_others_are_complete() {
    let mut world = hasty_world().await;
    world.set("BACKUP_HAND_OVER_AFTER", "1s");
    world.set("BACKUP_LANES", "1");
    let throttled = Fault::Throttled {
        code: "ProvisionedThroughputExceededException",
        reason: "TableReadProvisionedThroughputExceeded",
    };
    let source = |call: &Call| call.action == "Scan" && call.role.is_some() && call.resource == "orders";
    world.aws.set_fault(move |call| source(call).then(|| throttled.clone()));
    let report = world.backup(&[], 2).await;
    world.aws.clear_fault();

    let orders = result_of(&report, "orders");
    assert_eq!(orders["outcome"], "failed");
    assert!(orders["reasons"].to_string().contains("ProvisionedThroughputExceededException"), "{orders}");
    assert_eq!(result_of(&report, "users")["outcome"], "complete");
    world.backup(&[], 0).await;
    world.assert_copied().await;
}
