//! Messages delivered twice, workers killed, and two of them on one segment: the same bytes, nothing lost.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use loopback_aws::{BACKUP_ACCOUNT, BUCKET, Fault, SOURCE_ACCOUNT};
use md5::{Digest, Md5};
use serde_json::{Value, json};

use crate::evidence::{bulky, of_shop, sorted};
use crate::harness::{World, job, table};

#[tokio::test(flavor = "multi_thread")]
async fn messages_delivered_three_times_to_two_workers_do_no_harm() {
    let world = World::with(of_shop(&["orders"])).await;
    // Slow enough that the copies of a message are worked on at the same time.
    world.aws.set_fault(|call| delayed_scan(call, Duration::from_millis(300)));
    let workers = [world.start(&["worker"]), world.start(&["worker"])];
    world.send("trigger", "{}");
    world.until("the table's plan", |world| world.object("/table.json").is_some()).await;

    let run = world.only_run();
    let segments =
        world.object("/table.json").expect("it is JSON")["plan"]["segments"].as_u64().expect("a number");
    assert_eq!(segments, 4);
    for _ in 0..2 {
        world.send("provision", &json!({ "version": 1, "run": run, "table": "orders" }).to_string());
        for segment in 0..4 {
            world.send("export", &job(run.as_str(), "orders", segment));
            world.send("write", &job(run.as_str(), "orders", segment));
        }
    }
    world.until("the report", |world| world.object("/report.json").is_some()).await;
    world.until("every copy of a message to be settled", |world| world.messages_left() == 0).await;
    stop(workers).await;

    assert_complete_and_exact(&world, "orders").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_in_the_middle_of_a_segment_is_followed_by_one_that_goes_on_where_it_stopped() {
    let mut world = World::with(vec![bulky("archive", 250)]).await;
    world.set("BACKUP_LANES", "1");
    world.set("BACKUP_VISIBILITY_TIMEOUT", "10s");
    // A hand-over closes a part, so this table of some 25 pages gets one every few pages.
    world.set("BACKUP_HAND_OVER_AFTER", "1s");
    world.aws.set_fault(|call| delayed_scan(call, Duration::from_millis(300)));
    let killed = world.start(&["worker"]);
    world.send("trigger", "{}");
    world.until("two parts", |world| world.keys_with("/data/").len() >= 2).await;
    killed.signal("KILL");
    assert_eq!(killed.end().await.code, None);

    let parts = world.keys_with("/data/");
    let body = |key: &String| world.bucket().get(key).expect("it was listed");
    let before: HashMap<String, Bytes> = parts.iter().map(|key| (key.clone(), body(key))).collect();
    assert!(world.object("/report.json").is_none());
    let pages = pages_of_source(&world);
    let next = world.start(&["worker"]);
    world.until("the report", |world| world.object("/report.json").is_some()).await;
    stop([next]).await;

    assert!(world.keys_with("/data/").len() > before.len());
    for (key, body) in before {
        assert_eq!(world.bucket().versions(&key), [body], "{key}");
    }
    // The whole table again would be as many pages more as it has.
    let whole = world.source_items("archive").len().div_ceil(11);
    let read_again = pages_of_source(&world) - pages;
    assert!(read_again < whole, "{read_again} pages were read after {pages}, of {whole}");
    assert_complete_and_exact(&world, "archive").await;
}

fn pages_of_source(world: &World) -> usize {
    let calls = world.aws.calls();
    calls.iter().filter(|call| call.action == "Scan" && call.account == SOURCE_ACCOUNT).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_finds_its_next_part_taken_gives_way_and_then_goes_on_behind_it() {
    let mut world = World::with(vec![bulky("archive", 60)]).await;
    world.set("BACKUP_LANES", "1");
    world.aws.set_fault(|call| delayed_scan(call, Duration::from_millis(300)));
    let worker = world.start(&["worker"]);
    world.send("trigger", "{}");
    world.until("the first page to be asked for", |world| world.count_calls("Scan") > 0).await;

    let body = first_items(&world, "archive", 3);
    let key = put_as_somebody_else(&world, "archive", 3, &body).await;
    let export_queue = world.aws.queue(BACKUP_ACCOUNT, "dynamodb-backup-export");
    world.until("the message to come back delayed", |_| export_queue.delayed() == 1).await;
    assert_eq!(world.keys_with("/data/"), std::slice::from_ref(&key));
    world.until("the report", |world| world.object("/report.json").is_some()).await;
    stop([worker]).await;

    assert_eq!(world.bucket().versions(&key), [body]);
    assert_eq!(world.keys_with("/data/").len(), 2);
    assert_complete_and_exact(&world, "archive").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_delivered_again_in_the_middle_of_its_run_is_the_same_run() {
    let mut world = World::with(vec![table("orders", 40)]).await;
    world.set("BACKUP_VISIBILITY_TIMEOUT", "10s");
    let (scans, deletions) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (bucket, in_the_middle) = (world.bucket(), Arc::new(AtomicBool::new(false)));
    let seen = in_the_middle.clone();
    world.aws.set_fault(move |call| match call.action.as_str() {
        // The first deletion of the trigger fails, so it comes back when its time is over …
        "DeleteMessage" if call.resource.contains("trigger") => {
            if deletions.fetch_add(1, Ordering::Relaxed) == 0 {
                return Some(Fault::error(403, "AccessDeniedException"));
            }
            seen.store(!bucket.keys().iter().any(|key| key.ends_with("/report.json")), Ordering::Relaxed);
            None
        }
        // … and meets a run that one slow page keeps going.
        "Scan" if call.role.is_some() && scans.fetch_add(1, Ordering::Relaxed) == 0 => {
            Some(Fault::Delay(Duration::from_secs(13)))
        }
        _ => None,
    });
    let worker = world.start(&["worker"]);
    world.send("trigger", "{}");
    world.until("the report", |world| world.object("/report.json").is_some()).await;
    world.until("every message to be settled", |world| world.messages_left() == 0).await;
    stop([worker]).await;

    assert!(in_the_middle.load(Ordering::Relaxed), "the trigger came back before the end of its run");
    assert_eq!(world.keys_with("/run.json").len(), 1);
    assert_complete_and_exact(&world, "orders").await;
}

fn delayed_scan(call: &loopback_aws::Call, delay: Duration) -> Option<Fault> {
    (call.action == "Scan" && call.role.is_some()).then_some(Fault::Delay(delay))
}

async fn stop(workers: impl IntoIterator<Item = crate::harness::Started>) {
    for worker in workers {
        worker.stop().await;
    }
}

/// The archive holds each item once, the copy is equal, nothing was written twice and nothing given up.
async fn assert_complete_and_exact(world: &World, table: &str) {
    world.aws.clear_fault();
    assert_eq!(world.object("/report.json").expect("it is JSON")["outcome"], "complete");
    let (exported, items) = (sorted(&world.exported_items(table)), sorted(&world.source_items(table)));
    assert!(exported == items, "{} items are exported, {} were there", exported.len(), items.len());
    assert_eq!(world.object("manifest-summary.json").expect("it is JSON")["itemCount"], items.len());
    world.assert_copied().await;
    for key in world.bucket().keys() {
        assert_eq!(world.bucket().writes(&key), 1, "{key}");
    }
    for queue in ["trigger", "export", "provision", "write"] {
        assert_eq!(world.dead_letters(queue), [], "dead letters of {queue}");
    }
}

/// The first items of a table's scan, as the body of a part.
fn first_items(world: &World, table: &str, count: usize) -> Bytes {
    // An order of its own: that of a segment.
    let request = json!({ "TableName": table, "Limit": count, "Segment": 0, "TotalSegments": 1 });
    let page = world.dynamodb(SOURCE_ACCOUNT, "Scan", &request);
    let items = page["Items"].as_array().expect("a list");
    let lines: String = items.iter().map(|item: &Value| format!("{}\n", json!({ "Item": item }))).collect();
    zstd::encode_all(lines.as_bytes(), 1).expect("memory suffices").into()
}

/// Puts the first part of segment 0 as another worker would; gives its key.
async fn put_as_somebody_else(world: &World, table: &str, items: usize, body: &Bytes) -> String {
    let record = world.keys_with(&format!("/tables/{table}/table.json"));
    let name = table.parse().expect("a table name");
    let layout = dynamodb_backup::archive::layout::Layout::new("");
    let folder = layout.table_folder(&world.only_run(), &name);
    assert_eq!(record, [folder.table()]);
    let key = format!("{}AWSDynamoDB/{}/data/00000-00000.json.zst", folder.path(), folder.export_id());
    let put = world.s3().put_object().bucket(BUCKET).key(&key).if_none_match("*");
    let put = put.metadata("attempt", "somebody else's").metadata("items", items.to_string());
    let put = put.metadata("md5", BASE64.encode(Md5::digest(body)));
    let put = put.metadata("consumed-units", "1");
    let put = put.metadata("scan-started-at", jiff::Timestamp::now().to_string());
    put.body(body.clone().into()).send().await.expect("nobody was there before");
    key
}
