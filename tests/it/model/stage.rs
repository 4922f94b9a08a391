//! Where a story takes place: two accounts, two workers, and somebody who changes things meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dynamodb_backup::archive::layout::Stage as Queue;
use futures::future::join_all;
use jiff::Timestamp;
use loopback_aws::{BACKUP_ACCOUNT, BUCKET, KeptMessage, Loopback, REGION, SOURCE_ACCOUNT};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::director::Director;
use super::rules::{self, Known, Rules, items_of, object};
use super::step::{Deed, Delivery, ITEMS, Step, Story, TABLES};
use crate::in_process::Worker;

const QUEUES: [Queue; 4] = [Queue::Trigger, Queue::Provision, Queue::Export, Queue::Write];

/// The tables of [`Deed`]s. The second has more segments than lanes.
const NAMES: [&str; TABLES] = ["orders", "events"];

/// A table of which the backup account has one that is nobody's copy.
const FOREIGN: &str = "foreign";

/// The items of each table when the story begins.
const ITEMS_AT_FIRST: usize = 20;

/// How often every message may be delivered before a story that nobody disturbs any more must be over.
const ROUNDS: usize = 60;

/// One worker finishes its segments; the other passes each page on.
const HAND_OVER_AFTER: [Duration; 2] = [Duration::from_secs(900), Duration::from_millis(1)];

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Stage {
    aws: Loopback,
    settings: BTreeMap<String, String>,
    workers: Vec<Worker>,
    director: Director,
    rules: Rules,
    world: Arc<Mutex<World>>,
    /// The runs of which it is known how they ended.
    over: BTreeSet<String>,
}

/// The tables, and what is known of them.
pub(crate) struct World {
    aws: Loopback,
    tables: BTreeMap<String, Known>,
    /// Tells the versions of items apart.
    versions: u64,
    /// Tables that were dropped or changed hands: what becomes of their runs is another matter.
    upset: BTreeSet<String>,
    triggers: usize,
    /// Whether a job may have been given up because its message was received too often.
    worn_out: bool,
}

impl Stage {
    pub(crate) async fn set(story: &Story) -> Self {
        let aws = Loopback::start().await.expect("a free port");
        aws.deploy();
        aws.stop_queues();
        let world = World::new(&aws);
        let all: Vec<Value> = (0..ITEMS).map(|number| item(number, 0)).collect();
        let settings = [
            ("BACKUP_LANES", story.lanes.to_string()),
            ("BACKUP_CONSISTENT_READ", story.consistent_read.to_string()),
            ("BACKUP_SUSPECT_ABOVE", "100%".to_owned()),
            // Tables of a few units a second would take minutes.
            ("BACKUP_READ_BUDGET", "100000".to_owned()),
            ("BACKUP_WRITE_BUDGET", "100000".to_owned()),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value)).into();
        let world = Arc::new(Mutex::new(world));
        let director = Director::new(&aws, Arc::clone(&world));
        let rules = Rules::new(&aws, &all);
        let mut stage =
            Self { aws, settings, workers: Vec::new(), director, rules, world, over: BTreeSet::new() };
        stage.replace_all().await;
        stage
    }

    /// Another worker, in the place of the `at`-th.
    async fn hire(&mut self, at: usize) {
        let worker = Worker::start(&self.aws, &self.settings, HAND_OVER_AFTER[at]).await;
        if at < self.workers.len() {
            self.workers[at] = worker;
        } else {
            self.workers.push(worker);
        }
    }

    /// All workers end, and others take their places.
    async fn replace_all(&mut self) {
        for at in 0..HAND_OVER_AFTER.len() {
            self.hire(at).await;
        }
    }

    pub(crate) async fn play(&mut self, step: &Step) {
        match step {
            Step::Trigger => self.trigger(),
            Step::Deliver(delivery) => self.deliver(delivery).await,
            Step::Duplicate { pick } => self.duplicate(*pick),
            Step::Deed(deed) => {
                lock(&self.world).act(*deed);
                if matches!(deed, Deed::DropCopy { .. } | Deed::Disown { .. }) {
                    self.replace_all().await;
                }
            }
        }
    }

    /// The rules that are broken, in words.
    pub(crate) fn look(&mut self) -> Result<(), String> {
        let messages = self.messages();
        let mut world = lock(&self.world);
        world.worn_out |= messages.iter().any(|(_, message)| message.receives >= 5);
        let broken = self.rules.broken(&world.tables);
        if broken.is_empty() { Ok(()) } else { Err(broken.join("\n")) }
    }

    /// Delivers what is there until nothing is left, and has another run after that: of that one, everything is there.
    pub(crate) async fn come_to_an_end(&mut self) -> Result<(), String> {
        self.calm_down().await?;
        self.look_at_reports()?;
        self.trigger();
        lock(&self.world).forgive();
        self.calm_down().await?;
        self.look_at_reports()?;
        self.look_at_copies()
    }

    async fn calm_down(&mut self) -> Result<(), String> {
        for _ in 0..ROUNDS {
            let messages = self.messages();
            if messages.is_empty() {
                return Ok(());
            }
            for (queue, message) in messages {
                self.deliver_all(&[(queue, message.number, 0)], &Delivery::undisturbed()).await;
                self.look().map_err(|broken| format!("after all, {}: {broken}", message.body))?;
            }
        }
        Err(format!("there is no end: {:?}", self.messages()))
    }

    /// Every run is over and says why it is not complete, if it is not; and that may be so for few reasons.
    fn look_at_reports(&mut self) -> Result<(), String> {
        let (bucket, world) = (self.aws.bucket(BUCKET), lock(&self.world));
        for run in rules::runs(&bucket.keys().into_iter().collect()) {
            if !self.over.insert(run.clone()) {
                continue;
            }
            let Some(report) = object(&bucket, &format!("runs/{run}/report.json")) else {
                return Err(format!("no message is left, and run {run} is not over"));
            };
            match report["outcome"].as_str() {
                Some("skipped") if world.triggers > 1 => continue,
                Some("partial" | "failed") => {}
                // One of its tables belongs to somebody else.
                _ => return Err(format!("run {run} is {}: {report}", report["outcome"])),
            }
            for result in report["tables"].as_array().into_iter().flatten() {
                let name = result["table"].as_str().unwrap_or_default();
                // What somebody puts into a copy while it is new stays until the next run.
                let was_touched = world.tables[name].copy_changed.is_some();
                let may_fail = name == FOREIGN || was_touched || world.upset.contains(name) || world.worn_out;
                if result["outcome"] != "complete" && !may_fail {
                    return Err(format!("run {run} did not complete a table for no good reason: {result}"));
                }
            }
        }
        Ok(())
    }

    /// Every copy that is ours equals its source.
    fn look_at_copies(&self) -> Result<(), String> {
        let world = lock(&self.world);
        let is_ours = |name: &&&str| world.tables[**name].not_ours.is_none();
        for name in NAMES.iter().filter(is_ours) {
            let source = items_of(&self.aws, SOURCE_ACCOUNT, name);
            let is_there = world.exists(SOURCE_ACCOUNT, name);
            if is_there && source != items_of(&self.aws, BACKUP_ACCOUNT, name) {
                return Err(format!(
                    "after a run that nobody disturbed the copy of {name} is not its source"
                ));
            }
        }
        Ok(())
    }

    fn trigger(&self) {
        lock(&self.world).triggers += 1;
        self.aws.queue(BACKUP_ACCOUNT, &name(Queue::Trigger)).send("{}");
    }

    /// Every message that is there.
    fn messages(&self) -> Vec<(Queue, KeptMessage)> {
        let of_queue = |queue: Queue| {
            let kept = self.aws.queue(BACKUP_ACCOUNT, &name(queue)).kept();
            kept.into_iter().map(move |message| (queue, message))
        };
        QUEUES.into_iter().flat_map(of_queue).collect()
    }

    /// A trigger that is sent again would be another one.
    fn duplicate(&self, pick: usize) {
        let jobs: Vec<_> =
            self.messages().into_iter().filter(|(queue, _)| *queue != Queue::Trigger).collect();
        if !jobs.is_empty() {
            let (queue, message) = &jobs[pick % jobs.len()];
            self.aws.queue(BACKUP_ACCOUNT, &name(*queue)).send(&message.body);
        }
    }

    async fn deliver(&mut self, delivery: &Delivery) {
        let messages = self.messages();
        let mut chosen: Vec<(Queue, u64, usize)> = Vec::new();
        for pick in &delivery.picks {
            let Some((queue, message)) = messages.get(pick % messages.len().max(1)) else { continue };
            if chosen.iter().all(|(of, number, _)| (of, number) != (queue, &message.number)) {
                chosen.push((*queue, message.number, chosen.len() % self.workers.len()));
            }
        }
        if delivery.twice
            && let Some((queue, number, worker)) = chosen.first().copied()
        {
            chosen.push((queue, number, (worker + 1) % self.workers.len()));
        }
        self.deliver_all(&chosen, delivery).await;
    }

    /// Delivers messages, each to a worker, and waits until all of them have done with it or are dead.
    async fn deliver_all(&mut self, chosen: &[(Queue, u64, usize)], delivery: &Delivery) {
        let victim = &self.workers[0];
        self.director.begin(delivery, victim.door(), victim.stopping());
        let mut jobs = Vec::new();
        for (queue, number, worker) in chosen {
            let view = self.aws.queue(BACKUP_ACCOUNT, &name(*queue));
            let received = |view: &loopback_aws::QueueView| {
                let kept = view.kept().into_iter().find(|message| message.number == *number);
                kept.map_or(u64::MAX, |message| message.receives)
            };
            let before = received(&view);
            if !view.deliver(*number) {
                continue;
            }
            jobs.push(self.workers[*worker].work(*queue));
            // It is in nobody's hands twice before it was in somebody's once.
            let is_over = |jobs: &[JoinHandle<()>]| jobs.last().is_none_or(JoinHandle::is_finished);
            let arrival = async {
                while received(&view) == before && !is_over(&jobs) && !self.director.has_died() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            tokio::time::timeout(PATIENCE, arrival).await.expect("it is received");
        }
        let all = join_all(jobs);
        tokio::pin!(all);
        let is_dead = tokio::select! {
            _ = &mut all => self.director.has_died(),
            () = self.director.death() => true,
            () = tokio::time::sleep(PATIENCE) => panic!("a worker works for ever on {chosen:?} of {delivery:?}"),
        };
        if is_dead {
            self.workers[0].kill();
            tokio::time::timeout(PATIENCE, all).await.expect("the other one works on");
        }
        self.director.end();
        if is_dead || self.workers[0].stopping().is_cancelled() {
            self.hire(0).await;
        }
    }
}

impl World {
    fn new(aws: &Loopback) -> Self {
        let tables = NAMES.iter().chain([&FOREIGN]).map(|name| ((*name).to_owned(), Known::default()));
        let mut world = Self {
            aws: aws.clone(),
            tables: tables.collect(),
            versions: 0,
            upset: BTreeSet::new(),
            triggers: 0,
            worn_out: false,
        };
        for name in NAMES.iter().chain([&FOREIGN]) {
            world.call(SOURCE_ACCOUNT, "CreateTable", &create(name)).expect("it is new");
            for number in 0..ITEMS_AT_FIRST {
                world.put(name, number);
            }
        }
        aws.set_table_size(SOURCE_ACCOUNT, REGION, NAMES[1], 6_000_000, 4_000_000_000);
        world.call(BACKUP_ACCOUNT, "CreateTable", &create(FOREIGN)).expect("it is new");
        let put = json!({ "TableName": FOREIGN, "Item": item(3, 999) });
        world.call(BACKUP_ACCOUNT, "PutItem", &put).expect("a legal item");
        world.take_away(FOREIGN);
        aws.dynamodb(rules::SHADOW_ACCOUNT, REGION, "CreateTable", &create(rules::SHADOW))
            .expect("it is new");
        world
    }

    /// What comes now has no excuse but that a copy is somebody else's.
    fn forgive(&mut self) {
        self.worn_out = false;
        self.tables.values_mut().for_each(|known| known.copy_changed = None);
        self.upset.retain(|name| self.tables[name].not_ours.is_some());
    }

    /// Does what a deed says, as far as its tables are there.
    pub(crate) fn act(&mut self, deed: Deed) {
        match deed {
            Deed::Put { table, item } => self.put(NAMES[table], item),
            Deed::Delete { table, item } => self.delete(NAMES[table], item),
            Deed::PutIntoCopy { table, item } => self.change_copy(NAMES[table], |name, version| {
                ("PutItem", json!({ "TableName": name, "Item": self::item(item, version) }))
            }),
            Deed::DeleteFromCopy { table, item } => self.change_copy(NAMES[table], |name, _| {
                ("DeleteItem", json!({ "TableName": name, "Key": key(item) }))
            }),
            Deed::DropSource { table } => {
                let name = NAMES[table];
                let from = Timestamp::now();
                if self.call(SOURCE_ACCOUNT, "DeleteTable", &json!({ "TableName": name })).is_ok() {
                    self.known(name).chronicle.drop((from, Timestamp::now()));
                }
                self.upset.insert(name.to_owned());
            }
            Deed::DropCopy { table } => {
                let name = NAMES[table];
                let unprotected = json!({ "TableName": name, "DeletionProtectionEnabled": false });
                self.call(BACKUP_ACCOUNT, "UpdateTable", &unprotected).ok();
                self.call(BACKUP_ACCOUNT, "DeleteTable", &json!({ "TableName": name })).ok();
                self.known(name).not_ours = None;
                self.upset.insert(name.to_owned());
            }
            Deed::Disown { table } => self.disown(NAMES[table]),
        }
    }

    fn disown(&mut self, name: &str) {
        let described = self.call(BACKUP_ACCOUNT, "DescribeTable", &json!({ "TableName": name }));
        let Ok(described) = described else { return };
        let untag = json!({
            "ResourceArn": described["Table"]["TableArn"],
            "TagKeys": ["dynamodb-backup:source-arn"],
        });
        self.call(BACKUP_ACCOUNT, "UntagResource", &untag).expect("it is there");
        self.take_away(name);
        self.upset.insert(name.to_owned());
    }

    /// From now on nobody of ours may write this table of the backup account.
    fn take_away(&mut self, name: &str) {
        self.known(name).not_ours = Some(items_of(&self.aws, BACKUP_ACCOUNT, name));
    }

    fn put(&mut self, name: &str, number: usize) {
        self.versions += 1;
        let item = item(number, self.versions);
        let from = Timestamp::now();
        if self.call(SOURCE_ACCOUNT, "PutItem", &json!({ "TableName": name, "Item": item })).is_ok() {
            self.known(name).chronicle.put(&item, (from, Timestamp::now()));
        }
    }

    fn delete(&mut self, name: &str, number: usize) {
        let from = Timestamp::now();
        let delete = json!({ "TableName": name, "Key": key(number) });
        if self.call(SOURCE_ACCOUNT, "DeleteItem", &delete).is_ok() {
            let moment = (from, Timestamp::now());
            self.known(name).chronicle.delete(&super::chronicle::key(&item(number, 0)), moment);
        }
    }

    fn change_copy(&mut self, name: &str, change: impl FnOnce(&str, u64) -> (&'static str, Value)) {
        self.versions += 1;
        let (action, body) = change(name, self.versions);
        if self.call(BACKUP_ACCOUNT, action, &body).is_ok() {
            let was_taken_away = self.known(name).not_ours.is_some();
            self.known(name).copy_changed = Some(Timestamp::now());
            if was_taken_away {
                self.take_away(name);
            }
        }
    }

    fn known(&mut self, name: &str) -> &mut Known {
        self.tables.entry(name.to_owned()).or_default()
    }

    fn exists(&self, account: &str, name: &str) -> bool {
        self.call(account, "DescribeTable", &json!({ "TableName": name })).is_ok()
    }

    fn call(&self, account: &str, action: &str, body: &Value) -> Result<Value, String> {
        self.aws.dynamodb(account, REGION, action, body)
    }
}

fn create(name: &str) -> Value {
    json!({
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [
            { "AttributeName": "pk", "KeyType": "HASH" },
            { "AttributeName": "sk", "KeyType": "RANGE" },
        ],
        "AttributeDefinitions": [
            { "AttributeName": "pk", "AttributeType": "S" },
            { "AttributeName": "sk", "AttributeType": "N" },
        ],
    })
}

/// The keys are spread over a dozen partitions, some of which hold several.
fn key(number: usize) -> Value {
    json!({ "pk": { "S": format!("partition-{}", number % 12) }, "sk": { "N": number.to_string() } })
}

fn item(number: usize, version: u64) -> Value {
    let mut item = key(number);
    item["version"] = json!({ "N": version.to_string() });
    item
}

fn name(queue: Queue) -> String {
    format!("dynamodb-backup-{queue}")
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
