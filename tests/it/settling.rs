//! What becomes of messages whose jobs come to no good end, one message at a time: the queues' time stands still, and a
//! worker in this process gets what it is given.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use dynamodb_backup::archive::layout::Stage;
use loopback_aws::{BACKUP_ACCOUNT, Call, Fault, KeptMessage};
use serde_json::json;

use crate::harness::{World, table};
use crate::in_process::Worker;

const STAGES: [Stage; 4] = [Stage::Trigger, Stage::Provision, Stage::Export, Stage::Write];

/// Two attempts, and a third receive that gives up.
const MOST_RECEIVES: u64 = 3;

/// Where messages wait for their worker.
struct Desk {
    world: World,
    worker: Worker,
}

impl Desk {
    async fn with(tables: &[&str]) -> Self {
        let world = World::with(tables.iter().map(|name| table(name, 20)).collect()).await;
        for stage in STAGES {
            world
                .aws
                .queue(BACKUP_ACCOUNT, &format!("dynamodb-backup-{stage}"))
                .allow_receives(MOST_RECEIVES);
        }
        world.aws.stop_queues();
        let worker = Self::hire(&world).await;
        world.send("trigger", "{}");
        Self { world, worker }
    }

    async fn hire(world: &World) -> Worker {
        let settings = BTreeMap::from([("BACKUP_LANES".to_owned(), "1".to_owned())]);
        Worker::start(&world.aws, &settings, Duration::from_secs(900)).await
    }

    /// The messages of a stage.
    fn messages(&self, stage: Stage) -> Vec<KeptMessage> {
        self.world.aws.queue(BACKUP_ACCOUNT, &format!("dynamodb-backup-{stage}")).kept()
    }

    /// Gives the worker the oldest message of a stage, and waits until it has done with it.
    async fn give(&self, stage: Stage) {
        let queue = self.world.aws.queue(BACKUP_ACCOUNT, &format!("dynamodb-backup-{stage}"));
        let oldest = queue.kept().into_iter().next().unwrap_or_else(|| panic!("no {stage} message is there"));
        queue.deliver(oldest.number);
        self.worker.work(stage).await.expect("its work ends");
    }

    /// Gives it a message at which it dies: at the first call that `deadly` recognises.
    async fn die_at(&mut self, stage: Stage, deadly: impl Fn(&Call) -> bool + Send + Sync + 'static) {
        let queue = self.world.aws.queue(BACKUP_ACCOUNT, &format!("dynamodb-backup-{stage}"));
        queue.deliver(self.messages(stage).first().expect("a message is there").number);
        let reached = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&reached);
        self.world.aws.set_fault(move |call| {
            deadly(call).then(|| {
                flag.store(true, Ordering::Relaxed);
                Fault::Delay(Duration::from_secs(600))
            })
        });
        let dying = self.worker.work(stage);
        self.world.until("the call it dies at", |_| reached.load(Ordering::Relaxed)).await;
        self.worker.kill();
        assert!(dying.await.is_err(), "it is dead");
        self.world.aws.clear_fault();
        self.worker = Self::hire(&self.world).await;
    }

    /// Gives it whatever is there until nothing is left.
    async fn finish(&self) {
        for _ in 0..50 {
            for stage in STAGES {
                if !self.messages(stage).is_empty() {
                    self.give(stage).await;
                }
            }
        }
        assert_eq!(STAGES.map(|stage| self.messages(stage).len()), [0; 4], "nothing is left to do");
    }

    fn outcome(&self) -> serde_json::Value {
        self.world.object("/report.json").expect("the run is over")["outcome"].clone()
    }

    fn dead_letters(&self) -> [usize; 4] {
        STAGES.map(|stage| self.world.dead_letters(&stage.to_string()).len())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_not_given_up_while_nobody_can_be_told() {
    let desk = Desk::with(&["orders"]).await;
    desk.give(Stage::Trigger).await;
    desk.world.aws.set_fault(|call| (call.service == "s3").then(|| Fault::error(503, "SlowDown")));
    for receives in [1, 0] {
        desk.give(Stage::Export).await;
        let [message] = &desk.messages(Stage::Export)[..] else { panic!("the message is there, once") };
        assert_eq!(message.receives, receives, "after its last attempt a fresh copy waits");
    }
    desk.world.aws.clear_fault();
    assert!(desk.world.keys_with("/state/failed/").is_empty());
    desk.finish().await;
    assert_eq!((desk.outcome(), desk.dead_letters()), (json!("complete"), [0; 4]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_is_given_up_as_soon_as_its_run_can_be_told() {
    let desk = Desk::with(&["orders"]).await;
    desk.world.aws.set_fault(|call| (call.service == "s3").then(|| Fault::error(503, "SlowDown")));
    desk.give(Stage::Trigger).await;
    assert_eq!(desk.messages(Stage::Trigger).len(), 1);
    let calls = AtomicUsize::new(0);
    desk.world.aws.set_fault(move |call| {
        // As many as one call is repeated, twice: the attempt itself, and the first time that its run is told.
        let is_away = call.service == "s3" && calls.fetch_add(1, Ordering::Relaxed) < 16;
        is_away.then(|| Fault::error(503, "SlowDown"))
    });
    desk.give(Stage::Trigger).await;
    assert_eq!((desk.outcome(), desk.dead_letters()), (json!("failed"), [1, 0, 0, 0]));
    let report = desk.world.object("/report.json").expect("the run is over");
    assert!(report["reason"].to_string().contains("given up after 2 attempts: "), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_workers_died_when_it_was_done_is_not_given_up_but_its_run_moved_on() {
    let mut desk = Desk::with(&["orders"]).await;
    desk.give(Stage::Trigger).await;
    for _ in 0..2 {
        // The export is done, and its write is about to be enqueued.
        desk.die_at(Stage::Export, |call| call.action == "SendMessageBatch").await;
        assert_eq!(desk.world.keys("/state/export/00000.json").len(), 1);
        assert!(desk.messages(Stage::Write).is_empty());
    }
    desk.give(Stage::Export).await;
    assert_eq!((desk.messages(Stage::Export).len(), desk.messages(Stage::Write).len()), (0, 1));
    desk.finish().await;
    assert_eq!((desk.outcome(), desk.dead_letters()), (json!("complete"), [0; 4]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_moves_its_run_on_and_dies_of_it_every_time_comes_to_the_dead_letter_queue() {
    let mut desk = Desk::with(&["orders"]).await;
    desk.give(Stage::Trigger).await;
    for _ in 0..MOST_RECEIVES {
        desk.die_at(Stage::Export, |call| call.action == "SendMessageBatch").await;
    }
    let queue = desk.world.aws.queue(BACKUP_ACCOUNT, "dynamodb-backup-export");
    queue.deliver(desk.messages(Stage::Export).first().expect("it is there").number);
    desk.worker.work(Stage::Export).await.expect("nothing is received");
    assert_eq!(desk.dead_letters(), [0, 0, 1, 0], "it does not go round for ever");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_queue_that_takes_nothing_holds_up_no_run_and_loses_no_message() {
    let desk = Desk::with(&["orders"]).await;
    desk.world.send("export", "poison");
    let is_denied = |call: &Call| {
        (call.action == "Scan" && call.role.is_some()) || call.resource == "dynamodb-backup-export-dlq"
    };
    desk.world.aws.set_fault(move |call| is_denied(call).then(|| Fault::error(400, "AccessDeniedException")));
    desk.give(Stage::Export).await;
    desk.give(Stage::Trigger).await;
    let job = desk.messages(Stage::Export)[1].number;
    let queue = desk.world.aws.queue(BACKUP_ACCOUNT, "dynamodb-backup-export");
    queue.deliver(job);
    desk.worker.work(Stage::Export).await.expect("its work ends");
    assert_eq!(
        (desk.outcome(), desk.dead_letters()),
        (json!("failed"), [0; 4]),
        "the run is over all the same"
    );
    assert_eq!(desk.messages(Stage::Export).len(), 2, "what could not be buried is where it was");

    desk.world.aws.clear_fault();
    desk.finish().await;
    let [(body, reason)] = &desk.world.dead_letters("export")[..] else {
        panic!("the poison was kept, once")
    };
    assert!(body == "poison" && reason.contains("the export message is malformed"), "{body}: {reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_expires_where_the_answer_cannot_say_so_is_no_reason_to_give_up() {
    let desk = Desk::with(&["orders"]).await;
    desk.give(Stage::Trigger).await;
    let is_head = |call: &Call| call.action == "HeadObject";
    desk.world.aws.set_fault(move |call| is_head(call).then(|| Fault::error(400, "ExpiredToken")));
    desk.give(Stage::Export).await;
    desk.world.aws.clear_fault();
    assert_eq!(desk.dead_letters(), [0; 4]);
    desk.finish().await;
    assert_eq!(desk.outcome(), json!("complete"));
}

/// A setting that is throttled for longer than it is asked for is not worth a table's backup.
#[tokio::test(flavor = "multi_thread")]
async fn a_setting_that_is_throttled_for_ever_is_named_and_its_table_is_backed_up() {
    let desk = Desk::with(&["sessions"]).await;
    let is_setting = |call: &Call| call.action == "GetResourcePolicy";
    desk.world.aws.set_fault(move |call| is_setting(call).then(|| Fault::error(400, "ThrottlingException")));
    desk.give(Stage::Trigger).await;
    assert!(desk.world.keys("/table.json").is_empty(), "it may be readable later");
    desk.give(Stage::Trigger).await;
    let settings = &desk.world.object("/sessions/table.json").expect("it is planned")["settings"];
    let missing = settings["not_readable"].as_array().expect("a list");
    assert_eq!((missing.len(), &missing[0]["setting"]), (1, &json!("ResourcePolicy")));
    assert!(missing[0]["reason"].as_str().expect("a text").contains("ThrottlingException"));
    assert!(!settings["ContinuousBackups"].is_null(), "the others are there");
    desk.finish().await;
    assert_eq!(desk.outcome(), json!("complete"));
}
