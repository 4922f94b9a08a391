//! A world of two accounts, and the program run in it.

use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use dynamodb_backup::archive::layout::RunId;
use loopback_aws::sample::SampleTable;
use loopback_aws::{BACKUP_ACCOUNT, BUCKET, BucketView, Call, Loopback, REGION, SOURCE_ACCOUNT};
use serde_json::{Value, json};

use crate::compare;

/// How long anything may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(120);

/// Two accounts with everything deployed, and the environment that points the program at them.
pub(crate) struct World {
    pub(crate) aws: Loopback,
    environment: Vec<(String, String)>,
}

/// A command that has ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl World {
    pub(crate) async fn new() -> Self {
        let aws = Loopback::start().await.expect("a free port");
        aws.deploy();
        let mut environment = aws.environment();
        environment.push(("BACKUP_LOG", "info".to_owned()));
        // A receive waits for a fifth of it, and stopping waits for the receive.
        environment.push(("BACKUP_SHUTDOWN_GRACE", "10s".to_owned()));
        let environment = environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { aws, environment }
    }

    /// A world whose source account holds these tables.
    pub(crate) async fn with(tables: Vec<SampleTable>) -> Self {
        let world = Self::new().await;
        world.seed(tables).await;
        world
    }

    pub(crate) async fn seed(&self, tables: Vec<SampleTable>) {
        let aws = self.aws.clone();
        let load =
            move || tables.into_iter().try_for_each(|table| table.load(&aws, SOURCE_ACCOUNT).map(drop));
        tokio::task::spawn_blocking(load).await.expect("seeding ends").expect("the tables are legal");
    }

    /// Sets a variable of the program's environment; an empty value takes it away.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.retain(|(known, _)| known != name);
        if !value.is_empty() {
            self.environment.push((name.to_owned(), value.to_owned()));
        }
    }

    /// The program with these arguments, not started yet.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dynamodb-backup"));
        command.args(arguments).env_clear().envs(self.environment.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the program to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ended {
        self.start(arguments).end().await
    }

    /// Starts the program; it is killed when the handle is dropped.
    pub(crate) fn start(&self, arguments: &[&str]) -> Started {
        Started(Some(self.command(arguments).spawn().expect("the program starts")))
    }

    pub(crate) fn bucket(&self) -> BucketView {
        self.aws.bucket(BUCKET)
    }

    /// S3 as the backup account's root.
    pub(crate) fn s3(&self) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .endpoint_url(self.aws.endpoint())
            .force_path_style(true)
            .region(Region::new(REGION))
            .credentials_provider(Credentials::new(BACKUP_ACCOUNT, "loopback", None, None, "loopback"))
            .build();
        aws_sdk_s3::Client::from_conf(config)
    }

    /// A JSON object in the bucket, by the end of its key.
    pub(crate) fn object(&self, key_end: &str) -> Option<Value> {
        let key = self.bucket().keys().into_iter().find(|key| key.ends_with(key_end))?;
        serde_json::from_slice(&self.bucket().get(&key)?).ok()
    }

    /// Every difference between the source's table and the copy of the same name.
    pub(crate) async fn differences(&self, table: &str) -> Vec<String> {
        self.differences_between(table, table).await
    }

    pub(crate) async fn differences_between(&self, table: &str, target: &str) -> Vec<String> {
        let source = compare::client(&self.aws.endpoint(), SOURCE_ACCOUNT, REGION).await;
        let copy = compare::client(&self.aws.endpoint(), BACKUP_ACCOUNT, REGION).await;
        compare::compare((&source, table), (&copy, target)).await.expect("both tables are there").differing
    }

    /// One DynamoDB call as an account's root.
    pub(crate) fn dynamodb(&self, account: &str, action: &str, body: &Value) -> Value {
        self.aws.dynamodb(account, REGION, action, body).expect("a legal request")
    }

    pub(crate) fn send(&self, queue: &str, body: &str) {
        self.aws.queue(BACKUP_ACCOUNT, &format!("dynamodb-backup-{queue}")).send(body);
    }

    /// The messages of a dead-letter queue, each with its reason.
    pub(crate) fn dead_letters(&self, queue: &str) -> Vec<(String, String)> {
        let queue = self.aws.queue(BACKUP_ACCOUNT, &format!("dynamodb-backup-{queue}-dlq"));
        let reason = |attributes: std::collections::BTreeMap<String, String>| {
            attributes.get("reason").cloned().unwrap_or_default()
        };
        queue.messages().into_iter().map(|(body, attributes)| (body, reason(attributes))).collect()
    }

    /// Messages left in the four queues, seen or not.
    pub(crate) fn messages_left(&self) -> usize {
        let queues = ["trigger", "export", "provision", "write"];
        let left = queues.map(|name| {
            let queue = self.aws.queue(BACKUP_ACCOUNT, &format!("dynamodb-backup-{name}"));
            queue.visible() + queue.in_flight() + queue.delayed()
        });
        left.into_iter().sum()
    }

    /// Everything in the bucket whose key ends like this.
    pub(crate) fn keys(&self, key_end: &str) -> Vec<String> {
        self.bucket().keys().into_iter().filter(|key| key.ends_with(key_end)).collect()
    }

    /// Items in a table of an account, up to one page (1 MB) of them.
    pub(crate) fn count(&self, account: &str, table: &str) -> u64 {
        let asked = json!({ "TableName": table, "Select": "COUNT" });
        self.dynamodb(account, "Scan", &asked)["Count"].as_u64().expect("DynamoDB counts")
    }

    /// Acts once, at the first call that `is_it` recognises, before that call is carried out.
    pub(crate) fn at_call(
        &self,
        is_it: impl Fn(&Call) -> bool + Send + Sync + 'static,
        act: impl FnOnce() + Send + 'static,
    ) {
        let act = Mutex::new(Some(act));
        self.aws.set_fault(move |call| {
            // Held while acting: no later call gets past the one that sets it off.
            let mut act = act.lock().expect("acting does not panic");
            if is_it(call)
                && let Some(act) = act.take()
            {
                act();
            }
            None
        });
    }

    /// Waits until `done` says so, looking often.
    pub(crate) async fn until(&self, what: &str, done: impl FnMut(&Self) -> bool) {
        self.until_within(PATIENCE, what, done).await;
    }

    /// The same for what may take longer than anything else.
    pub(crate) async fn until_within(
        &self,
        patience: Duration,
        what: &str,
        mut done: impl FnMut(&Self) -> bool,
    ) {
        let deadline = Instant::now() + patience;
        while !done(self) {
            assert!(Instant::now() < deadline, "waited {patience:?} for {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The only run in the bucket.
    pub(crate) fn only_run(&self) -> RunId {
        let keys = self.bucket().keys();
        let key = keys.iter().find(|key| key.ends_with("/run.json")).expect("there is a run");
        RunId::parse(key.split('/').nth(1).expect("runs/<run>/run.json")).expect("a run id")
    }
}

/// A table with a partition key `pk` and this many items, each with a number and some text.
pub(crate) fn table(name: &str, items: usize) -> SampleTable {
    let text = "It was the best of times, it was the worst of times.";
    let item = move |number: usize| {
        json!({
            "pk": { "S": format!("item-{number:05}") },
            "number": { "N": number.to_string() },
            "text": { "S": text },
        })
    };
    SampleTable { create: create(name, "pk", "S"), items: Box::new((0..items).map(item)) }
}

/// A CreateTable request with one key attribute.
pub(crate) fn create(name: &str, key: &str, kind: &str) -> Value {
    json!({
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{ "AttributeName": key, "KeyType": "HASH" }],
        "AttributeDefinitions": [{ "AttributeName": key, "AttributeType": kind }],
    })
}

/// A job message as the program writes it.
pub(crate) fn job(run: &str, table: &str, segment: u32) -> String {
    json!({ "version": 1, "run": run, "table": table, "segment": segment }).to_string()
}

/// A program that is running.
pub(crate) struct Started(Option<Child>);

impl Started {
    /// Any child whose stdout and stderr are piped.
    pub(crate) fn of(child: Child) -> Self {
        Self(Some(child))
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.as_ref().expect("it has not ended").id()
    }

    /// Sends a signal by its name, as in `TERM` or `KILL`.
    pub(crate) fn signal(&self, name: &str) {
        let kill = Command::new("kill").args([format!("-{name}"), self.id().to_string()]).status();
        assert!(kill.expect("kill is installed").success());
    }

    /// Tells it to stop, and waits until it has.
    pub(crate) async fn stop(self) {
        self.signal("TERM");
        self.end().await.expect_code(0);
    }

    /// Waits for its end.
    pub(crate) async fn end(mut self) -> Ended {
        let child = self.0.take().expect("it has not ended");
        let id = child.id();
        let ending = tokio::task::spawn_blocking(move || child.wait_with_output());
        let Ok(output) = tokio::time::timeout(PATIENCE, ending).await else {
            let _ = Command::new("kill").args(["-KILL", &id.to_string()]).status();
            panic!("the program did not end within {PATIENCE:?}");
        };
        let output = output.expect("the waiting ends").expect("the program can be waited for");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program writes UTF-8");
        Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Ended {
    /// What was printed to stdout, as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!("stdout is not JSON ({error}):\n{}\nstderr:\n{}", self.stdout, self.stderr)
        })
    }

    /// Asserts the exit code, showing what the program said when it is another.
    #[track_caller]
    pub(crate) fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}
