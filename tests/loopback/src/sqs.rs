//! SQS over AWS JSON 1.0: standard queues with visibility, delay, long polling and redrive.

mod actions;
mod attributes;
mod input;
mod message;
mod queue;
mod time;
mod view;

pub use view::{KeptMessage, QueueView};

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use http::StatusCode;
use parking_lot::RwLock;
use serde_json::{Value, json};

use crate::call::Call;
use crate::caller::Service;
use crate::fault::Twist;
use crate::wire::{AMZ_JSON_1_0, Refusal, Reply};
use attributes::Attributes;
use input::Input;
use queue::Queue;
use time::Haste;

/// Account, region, name.
type Key = (String, String, String);

pub(crate) struct Sqs {
    endpoint: String,
    queues: RwLock<HashMap<Key, Arc<Queue>>>,
    haste: Haste,
    closed_doors: RwLock<HashSet<u32>>,
}

impl Sqs {
    pub(crate) fn new(endpoint: String) -> Self {
        Self { endpoint, queues: RwLock::default(), haste: Haste::default(), closed_doors: RwLock::default() }
    }

    /// Makes delays pass so many times as fast.
    pub(crate) fn hasten(&self, factor: u32) {
        self.haste.set(factor);
    }

    /// Makes messages wait until they are delivered.
    pub(crate) fn stand_still(&self) {
        self.haste.stand_still();
    }

    /// Whoever came in by this door receives nothing more: a long poll that is still under way, too.
    pub(crate) fn close_door(&self, door: u32) {
        self.closed_doors.write().insert(door);
        self.give_back(door);
    }

    /// What was received by this door turns visible now.
    pub(crate) fn give_back(&self, door: u32) {
        self.queues.read().values().for_each(|queue| queue.give_back(door));
    }

    /// The highest number of receives among the messages that a door holds.
    pub(crate) fn most_receives(&self, door: u32) -> u64 {
        self.queues.read().values().map(|queue| queue.most_receives(door)).max().unwrap_or(0)
    }

    pub(crate) async fn answer(&self, call: &Call, body: &[u8], twist: &Twist) -> Reply {
        match self.perform(call, body, twist).await {
            Ok(result) => Reply::new(StatusCode::OK, AMZ_JSON_1_0, result.to_string()),
            Err(refusal) => refusal.reply(Service::Sqs),
        }
    }

    /// Makes a queue and its `-dlq`, wired up.
    pub(crate) fn create_with_dead_letters(
        &self,
        account: &str,
        region: &str,
        name: &str,
        max_receives: u32,
    ) {
        let dead_letters = format!("{name}-dlq");
        let policy = json!({
            "deadLetterTargetArn": arn(account, region, &dead_letters),
            "maxReceiveCount": max_receives,
        });
        self.insert(account, region, &dead_letters, Attributes::default());
        let attributes = Attributes::default()
            .with(&HashMap::from([("RedrivePolicy".to_owned(), policy.to_string())]))
            .expect("the policy just written is well formed");
        self.insert(account, region, name, attributes);
    }

    pub(crate) fn view(&self, account: &str, region: &str, name: &str) -> QueueView {
        match self.find(account, region, name) {
            Some(queue) => QueueView::new(queue),
            None => panic!("there is no queue {name} in {account}, {region}"),
        }
    }

    fn find(&self, account: &str, region: &str, name: &str) -> Option<Arc<Queue>> {
        self.queues.read().get(&key(account, region, name)).cloned()
    }

    fn find_by_arn(&self, arn: &str) -> Option<Arc<Queue>> {
        let mut fields = arn.split(':').skip(3);
        let (region, account, name) = (fields.next()?, fields.next()?, fields.next()?);
        self.find(account, region, name)
    }

    fn insert(&self, account: &str, region: &str, name: &str, attributes: Attributes) -> Arc<Queue> {
        let queue = Queue::new(arn(account, region, name), attributes, self.haste.clone());
        self.queues.write().entry(key(account, region, name)).or_insert_with(|| Arc::new(queue)).clone()
    }

    fn url(&self, account: &str, name: &str) -> String {
        format!("{}/{account}/{name}", self.endpoint)
    }

    /// The queue that a request's URL names, which must be the caller's own.
    fn addressed(&self, call: &Call, input: &Input) -> Result<Arc<Queue>, Refusal> {
        let url = input.queue_url.as_deref().ok_or_else(|| missing("QueueUrl"))?;
        let mut path = url.rsplit('/');
        let (name, account) = (path.next().unwrap_or_default(), path.next().unwrap_or_default());
        if account != call.account {
            return Err(Refusal::new(
                403,
                "AccessDeniedException",
                format!("Access to the resource {url} is denied."),
            ));
        }
        self.find(account, &call.region, name).ok_or_else(no_such_queue)
    }
}

/// The name of the queue that a call is about.
pub(crate) fn resource(body: &[u8]) -> String {
    let input: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = input["QueueUrl"].as_str().or(input["QueueName"].as_str()).unwrap_or_default();
    text.rsplit('/').next().unwrap_or_default().to_owned()
}

/// The code an error had in the query protocol, which SDKs still go by.
pub(crate) fn query_code(code: &str) -> String {
    match code {
        "QueueDoesNotExist" => "AWS.SimpleQueueService.NonExistentQueue".to_owned(),
        "QueueNameExists" => "QueueAlreadyExists".to_owned(),
        "BatchEntryIdsNotDistinct"
        | "BatchRequestTooLong"
        | "EmptyBatchRequest"
        | "MessageNotInflight"
        | "PurgeQueueInProgress"
        | "TooManyEntriesInBatchRequest"
        | "UnsupportedOperation" => format!("AWS.SimpleQueueService.{code}"),
        _ => code.to_owned(),
    }
}

fn key(account: &str, region: &str, name: &str) -> Key {
    (account.to_owned(), region.to_owned(), name.to_owned())
}

fn arn(account: &str, region: &str, name: &str) -> String {
    format!("arn:aws:sqs:{region}:{account}:{name}")
}

fn missing(parameter: &str) -> Refusal {
    Refusal::bad_request("MissingParameter", format!("The request must contain the parameter {parameter}."))
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::bad_request("InvalidParameterValue", message)
}

fn no_such_queue() -> Refusal {
    Refusal::bad_request("QueueDoesNotExist", "The specified queue does not exist.")
}
