//! Workers in this process that work when they are told to, and die when they are told to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use dynamodb_backup::archive::layout::Stage;
use dynamodb_backup::aws::Session;
use dynamodb_backup::config::{self, Config, Parameters};
use dynamodb_backup::environment::Environment;
use dynamodb_backup::metrics::{Metrics, Sink};
use dynamodb_backup::progress::Progress;
use dynamodb_backup::worker;
use loopback_aws::{BACKUP_ACCOUNT, Door, Loopback, REGION};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long a message is kept. Its time stands still, so that only heartbeats go by it.
const VISIBILITY: Duration = Duration::from_secs(60);

/// A worker with a runtime of its own. Whatever it does ends when it is killed.
pub(crate) struct Worker {
    /// `None` when it is dead.
    runtime: Option<Runtime>,
    door: Door,
    environment: Arc<Environment>,
    stop: CancellationToken,
}

impl Worker {
    /// One that hands its jobs over after `hand_over_after`.
    pub(crate) async fn start(
        aws: &Loopback,
        settings: &BTreeMap<String, String>,
        hand_over_after: Duration,
    ) -> Self {
        let door = aws.door().await.expect("a free port");
        let mut all: BTreeMap<String, String> =
            door.environment().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        all.extend(settings.clone());
        let resolved = config::resolve::<Config>(&BTreeMap::new(), &all, &Parameters::default());
        let mut config = resolved.expect("the settings are legal").config;
        config.hand_over_after = hand_over_after;
        config.visibility_timeout = VISIBILITY;
        let runtime =
            Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a thread can be had");
        let endpoint = door.endpoint();
        let open = runtime.spawn(async move {
            let session = session(&endpoint).await;
            let metrics = Metrics::new(None, Sink::Nowhere, session.retries().clone());
            Environment::open(config, session, Progress::default(), metrics).await
        });
        let environment = open.await.expect("no panic").expect("bucket and queues are there");
        let (runtime, environment) = (Some(runtime), Arc::new(environment));
        Self { runtime, door, environment, stop: CancellationToken::new() }
    }

    /// The door by which its calls come in.
    pub(crate) fn door(&self) -> u32 {
        self.door.number()
    }

    /// Receives the message that has been delivered in this queue, and works on it.
    pub(crate) fn work(&self, stage: Stage) -> JoinHandle<()> {
        let (environment, stop) = (Arc::clone(&self.environment), self.stop.child_token());
        let runtime = self.runtime.as_ref().expect("the dead do not work");
        runtime.spawn(async move {
            let received = environment.queues.of(stage).receive(1, Duration::ZERO, VISIBILITY).await;
            // A receive that failed is one that never was.
            for message in received.unwrap_or_default() {
                worker::process(Arc::clone(&environment), stage, message, stop.clone()).await;
            }
        })
    }

    /// Tells it to stop: its jobs come to an end soon.
    pub(crate) fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Ends it where it is.
    pub(crate) fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A runtime may not be waited for where others run.
impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The backup account's root, by a door. Repeats calls at once: a test has no time to be polite.
async fn session(endpoint: &str) -> Session {
    let sdk = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .endpoint_url(endpoint)
        .region(Region::new(REGION))
        .credentials_provider(Credentials::new(BACKUP_ACCOUNT, "loopback", None, None, "loopback"))
        .retry_config(
            RetryConfig::standard().with_max_attempts(8).with_initial_backoff(Duration::from_millis(2)),
        )
        .load()
        .await;
    Session::new(sdk).expect("a region is set")
}
