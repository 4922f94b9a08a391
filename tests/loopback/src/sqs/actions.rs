//! The operations of SQS.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::attributes::Attributes;
use super::input::{Entry, Input, Outgoing};
use super::message::{Message, Received};
use super::queue::{Queue, Receive};
use super::{Sqs, invalid, missing, no_such_queue};
use crate::call::Call;
use crate::fault::Twist;
use crate::wire::Refusal;

const MAX_BATCH: usize = 10;
const MAX_BATCH_BYTES: usize = 1_048_576;
const MAX_VISIBILITY_SECONDS: u64 = 43_200;
const MAX_DELAY_SECONDS: u64 = 900;
const MAX_WAIT_SECONDS: u64 = 20;

type Answer = Result<Value, Refusal>;

impl Sqs {
    pub(super) async fn perform(&self, call: &Call, body: &[u8], twist: &Twist) -> Answer {
        let input: Input = serde_json::from_slice(body)
            .map_err(|error| Refusal::bad_request("SerializationException", error.to_string()))?;
        match call.action.as_str() {
            "CreateQueue" => self.create(call, &input),
            "GetQueueUrl" => self.get_url(call, &input),
            "ListQueues" => Ok(self.list(call, &input)),
            _ => self.perform_on(&self.addressed(call, &input)?, call, input, twist).await,
        }
    }

    async fn perform_on(&self, queue: &Arc<Queue>, call: &Call, input: Input, twist: &Twist) -> Answer {
        let is_ignored = *twist == Twist::Ignore;
        match call.action.as_str() {
            "GetQueueAttributes" => Ok(get_attributes(queue, &input)),
            "SetQueueAttributes" => set_attributes(queue, &input),
            "DeleteQueue" => Ok(self.delete_queue(call, &call.resource)),
            "PurgeQueue" => {
                queue.purge();
                Ok(json!({}))
            }
            "SendMessage" => send(queue, &call.account, input.message),
            "SendMessageBatch" => send_batch(queue, &call.account, input.entries),
            "ReceiveMessage" => self.receive(queue, &input, call.door, twist).await,
            "DeleteMessage" if is_ignored => {
                queue.forget_deletion(handle(input.receipt_handle.as_deref())?).map(|()| json!({}))
            }
            "ChangeMessageVisibility" if is_ignored => {
                queue.forget_change(handle(input.receipt_handle.as_deref())?).map(|()| json!({}))
            }
            "DeleteMessage" => delete(queue, input.receipt_handle.as_deref()),
            "DeleteMessageBatch" => {
                each(input.entries, |entry| delete(queue, entry.receipt_handle.as_deref()))
            }
            "ChangeMessageVisibility" => {
                change_visibility(queue, input.receipt_handle.as_deref(), input.visibility_timeout)
            }
            "ChangeMessageVisibilityBatch" => each(input.entries, |entry| {
                change_visibility(queue, entry.receipt_handle.as_deref(), entry.visibility_timeout)
            }),
            action => {
                Err(Refusal::bad_request("InvalidAction", format!("The action {action} is not known here.")))
            }
        }
    }

    fn create(&self, call: &Call, input: &Input) -> Answer {
        let name = input.queue_name.as_deref().ok_or_else(|| missing("QueueName"))?;
        let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if !(1..=80).contains(&name.len()) || !name.bytes().all(is_legal) {
            return Err(invalid(
                "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
            ));
        }
        let attributes = Attributes::default().with(&input.attributes)?;
        let wanted = attributes.all();
        let queue = self.insert(&call.account, &call.region, name, attributes);
        if !input.attributes.is_empty() && queue.attributes.read().all() != wanted {
            return Err(Refusal::bad_request(
                "QueueNameExists",
                "A queue already exists with the same name and a different value for attributes",
            ));
        }
        Ok(json!({ "QueueUrl": self.url(&call.account, name) }))
    }

    fn get_url(&self, call: &Call, input: &Input) -> Answer {
        let name = input.queue_name.as_deref().ok_or_else(|| missing("QueueName"))?;
        self.find(&call.account, &call.region, name).ok_or_else(no_such_queue)?;
        Ok(json!({ "QueueUrl": self.url(&call.account, name) }))
    }

    fn list(&self, call: &Call, input: &Input) -> Value {
        let prefix = input.queue_name_prefix.as_deref().unwrap_or_default();
        let queues = self.queues.read();
        let mut urls: Vec<_> = queues
            .keys()
            .filter(|(account, region, name)| {
                *account == call.account && *region == call.region && name.starts_with(prefix)
            })
            .map(|(account, _, name)| self.url(account, name))
            .collect();
        urls.sort();
        json!({ "QueueUrls": urls })
    }

    fn delete_queue(&self, call: &Call, name: &str) -> Value {
        self.queues.write().remove(&super::key(&call.account, &call.region, name));
        json!({})
    }

    async fn receive(&self, queue: &Queue, input: &Input, door: u32, twist: &Twist) -> Answer {
        let (default_wait, default_visibility, redrive) = {
            let attributes = queue.attributes.read();
            (attributes.receive_wait(), attributes.visibility_timeout(), attributes.redrive())
        };
        let limit = input.max_number_of_messages.unwrap_or(1);
        if !(1..=MAX_BATCH).contains(&limit) {
            return Err(invalid(format!(
                "Value {limit} for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided."
            )));
        }
        let wait =
            seconds("WaitTimeSeconds", input.wait_time_seconds, MAX_WAIT_SECONDS)?.unwrap_or(default_wait);
        let visibility = seconds("VisibilityTimeout", input.visibility_timeout, MAX_VISIBILITY_SECONDS)?
            .unwrap_or(default_visibility);
        let deadline = Instant::now() + wait;
        let received = loop {
            // Registered before looking, so that no arrival falls in between.
            let mut arrival = pin!(queue.arrival.notified());
            arrival.as_mut().enable();
            if self.closed_doors.read().contains(&door) {
                break Vec::new();
            }
            let (received, dead) = queue.receive(Receive {
                limit,
                visibility,
                max_receives: redrive.as_ref().map(|redrive| redrive.max_receives),
                newest_first: *twist == Twist::NewestFirst,
                duplicate: *twist == Twist::Duplicate,
                door,
            });
            if let Some(redrive) = &redrive {
                self.bury(&redrive.target, queue, dead);
            }
            if !received.is_empty() || Instant::now() >= deadline {
                break received;
            }
            let wake = queue.next_due().map_or(deadline, |due| due.min(deadline));
            tokio::select! {
                () = arrival => {}
                () = sleep_until(wake) => {}
            }
        };
        Ok(show(&received, input))
    }

    /// Moves messages to the dead-letter queue; they keep their ids and the time they were sent.
    fn bury(&self, target: &str, source: &Queue, dead: Vec<Message>) {
        let Some(grave) = self.find_by_arn(target) else { return };
        for message in dead {
            grave.send(Message { source: Some(source.arn.clone()), ..message }, Duration::ZERO);
        }
    }
}

fn show(received: &[Received], input: &Input) -> Value {
    if received.is_empty() {
        return json!({});
    }
    // The second name is the new one for the first.
    let system_names = [&input.attribute_names[..], &input.message_system_attribute_names[..]].concat();
    let shown: Vec<_> = received
        .iter()
        .map(|received| received.show(&system_names, &input.message_attribute_names))
        .collect();
    json!({ "Messages": shown })
}

fn get_attributes(queue: &Queue, input: &Input) -> Value {
    let mut all = queue.attributes.read().all();
    let counts = queue.counts();
    for (name, value) in [
        ("QueueArn", queue.arn.clone()),
        ("ApproximateNumberOfMessages", counts.visible.to_string()),
        ("ApproximateNumberOfMessagesNotVisible", counts.in_flight.to_string()),
        ("ApproximateNumberOfMessagesDelayed", counts.delayed.to_string()),
        ("CreatedTimestamp", queue.created.to_string()),
        ("LastModifiedTimestamp", queue.created.to_string()),
    ] {
        all.insert(name.to_owned(), value);
    }
    let wants = |name: &String| input.attribute_names.iter().any(|wanted| wanted == "All" || wanted == name);
    all.retain(|name, _| wants(name));
    json!({ "Attributes": all })
}

fn set_attributes(queue: &Queue, input: &Input) -> Answer {
    let mut attributes = queue.attributes.write();
    *attributes = attributes.clone().with(&input.attributes)?;
    Ok(json!({}))
}

fn send(queue: &Queue, sender: &str, outgoing: Outgoing) -> Answer {
    let (default_delay, max_size) = {
        let attributes = queue.attributes.read();
        (attributes.delay(), attributes.maximum_message_size())
    };
    let delay = seconds("DelaySeconds", outgoing.delay_seconds, MAX_DELAY_SECONDS)?.unwrap_or(default_delay);
    let message = Message::accept(outgoing, sender, max_size)?;
    let receipt = message.receipt();
    queue.send(message, delay);
    Ok(Value::Object(receipt))
}

fn send_batch(queue: &Queue, sender: &str, entries: Vec<Entry>) -> Answer {
    let bytes: usize = entries.iter().filter_map(|entry| entry.message.body.as_ref()).map(String::len).sum();
    if bytes > MAX_BATCH_BYTES {
        let message = format!(
            "Batch requests cannot be longer than {MAX_BATCH_BYTES} bytes. You have sent {bytes} bytes."
        );
        return Err(Refusal::bad_request("BatchRequestTooLong", message));
    }
    each(entries, |entry| send(queue, sender, entry.message))
}

fn handle(handle: Option<&str>) -> Result<&str, Refusal> {
    handle.ok_or_else(|| missing("ReceiptHandle"))
}

fn delete(queue: &Queue, handle: Option<&str>) -> Answer {
    queue.delete(self::handle(handle)?)?;
    Ok(json!({}))
}

fn change_visibility(queue: &Queue, handle: Option<&str>, timeout: Option<u64>) -> Answer {
    let handle = self::handle(handle)?;
    let timeout = seconds("VisibilityTimeout", timeout, MAX_VISIBILITY_SECONDS)?
        .ok_or_else(|| missing("VisibilityTimeout"))?;
    queue.change_visibility(handle, timeout)?;
    Ok(json!({}))
}

/// Carries out the entries of a batch one by one and reports on each.
fn each(entries: Vec<Entry>, mut carry_out: impl FnMut(Entry) -> Answer) -> Answer {
    check_batch(&entries)?;
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for entry in entries {
        let id = entry.id.clone();
        match carry_out(entry) {
            Ok(mut result) => {
                result["Id"] = json!(id);
                successful.push(result);
            }
            Err(refusal) => failed.push(json!({
                "Id": id,
                "Code": super::query_code(&refusal.code),
                "Message": refusal.message,
                "SenderFault": true,
            })),
        }
    }
    Ok(json!({ "Successful": successful, "Failed": failed }))
}

fn check_batch(entries: &[Entry]) -> Result<(), Refusal> {
    let refuse = |code: &str, message: String| Err(Refusal::bad_request(code, message));
    if entries.is_empty() {
        return refuse("EmptyBatchRequest", "There should be at least one entry in the request.".into());
    }
    if entries.len() > MAX_BATCH {
        let count = entries.len();
        let message =
            format!("Maximum number of entries per request are {MAX_BATCH}. You have sent {count}.");
        return refuse("TooManyEntriesInBatchRequest", message);
    }
    let ids: HashSet<_> = entries.iter().map(|entry| &entry.id).collect();
    if ids.len() < entries.len() {
        return refuse("BatchEntryIdsNotDistinct", "Two or more batch entries have the same Id.".into());
    }
    Ok(())
}

fn seconds(parameter: &str, value: Option<u64>, greatest: u64) -> Result<Option<Duration>, Refusal> {
    match value {
        Some(value) if value > greatest => Err(invalid(format!(
            "Value {value} for parameter {parameter} is invalid. Reason: Must be between 0 and {greatest}, if provided."
        ))),
        value => Ok(value.map(Duration::from_secs)),
    }
}
