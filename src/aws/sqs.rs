//! SQS: one queue with its dead-letter queue.

mod settings;

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::operation::get_queue_attributes::GetQueueAttributesError;
use aws_sdk_sqs::types::{
    MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry,
};
use jiff::Timestamp;
use serde::Deserialize;

pub use self::settings::QueueSettings;
use super::Session;
use super::failure::{bare, code, failure};
use crate::error::{Context, Error, Result};

/// The most messages of one batch call (SQS API Reference, “SendMessageBatch”, “ReceiveMessage”).
pub const MAX_BATCH: usize = 10;

/// The longest delay and the longest visibility timeout (SQS Developer Guide, “Message quotas”).
const MAX_DELAY: Duration = Duration::from_secs(900);
const MAX_VISIBILITY: Duration = Duration::from_secs(12 * 60 * 60);

/// Codes that say a receipt is no longer ours: the message was received again, or is gone (SQS API Reference,
/// “ChangeMessageVisibility”).
const LOST_RECEIPT: &[&str] = &["MessageNotInflight", "ReceiptHandleIsInvalid", "InvalidParameterValue"];

/// A queue that is known to exist and to have a dead-letter queue.
#[derive(Clone, Debug)]
pub struct Queue {
    client: Client,
    name: String,
    url: String,
    dead_letter_url: String,
    /// After this many receives SQS moves a message to the dead-letter queue.
    max_receives: u32,
}

/// What there is of a queue.
#[derive(Debug)]
pub enum Found {
    Queue(Queue),
    Missing {
        name: String,
    },
    /// It has no redrive policy.
    WithoutRedrive {
        name: String,
        url: String,
    },
    /// Its redrive policy names a queue that does not exist.
    WithoutDeadLetters {
        name: String,
        dead_letters: String,
    },
}

/// A received message. It belongs to us until its visibility timeout ends.
#[derive(Clone, Debug)]
pub struct Message {
    pub id: String,
    pub body: String,
    pub receipt: String,
    /// How often it has been received, this time included.
    pub receives: u32,
    pub sent_at: Timestamp,
}

/// Whether a message still belonged to us when its visibility was extended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    Held,
    Lost,
}

impl Message {
    /// Whether this is the last attempt that its queue allows.
    pub fn is_last_attempt(&self, queue: &Queue) -> bool {
        self.receives >= queue.attempts()
    }

    /// Whether it was received once more than that: whoever made the last attempt did not live to settle it.
    pub fn is_past_attempts(&self, queue: &Queue) -> bool {
        self.receives > queue.attempts()
    }
}

impl Queue {
    /// Finds a queue by name or URL, with its redrive policy.
    ///
    /// # Errors
    /// A usage error when the queue does not exist or has no dead-letter queue.
    pub async fn open(session: &Session, name_or_url: &str) -> Result<Self> {
        match Self::find(session, name_or_url).await? {
            Found::Queue(queue) => Ok(queue),
            Found::Missing { name } => Err(missing(&name)),
            Found::WithoutRedrive { name, .. } => Err(Error::usage(format!(
                "queue {name} has no dead-letter queue: set its redrive policy, so that a message that cannot be \
                 handled is kept"
            ))),
            Found::WithoutDeadLetters { name, dead_letters, .. } => Err(missing(&dead_letters))
                .with_context(|| format!("find the dead-letter queue of queue {name}")),
        }
    }

    /// Looks for a queue by name or URL, and for its dead-letter queue.
    pub async fn find(session: &Session, name_or_url: &str) -> Result<Found> {
        let config = aws_sdk_sqs::config::Builder::from(&session.sdk).interceptor(session.retries.clone());
        let client = Client::from_conf(config.build());
        let name = name_or_url.rsplit('/').next().unwrap_or(name_or_url).to_owned();
        let Some(url) = queue_url(&client, &name, name_or_url).await? else {
            return Ok(Found::Missing { name });
        };
        let redrive = match redrive_policy(&client, &name, &url).await? {
            Redrive::OfNoQueue => return Ok(Found::Missing { name }),
            Redrive::Unset => return Ok(Found::WithoutRedrive { name, url }),
            Redrive::Set(policy) => policy,
        };
        let dead_letters = redrive.dead_letter_target_arn.rsplit(':').next().unwrap_or_default().to_owned();
        let found = queue_url(&client, &dead_letters, &dead_letters).await;
        let found = found.with_context(|| format!("find the dead-letter queue of queue {name}"))?;
        let Some(dead_letter_url) = found else {
            return Ok(Found::WithoutDeadLetters { name, dead_letters });
        };
        let max_receives = redrive.max_receive_count;
        Ok(Found::Queue(Self { client, name, url, dead_letter_url, max_receives }))
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// How often the job of a message is tried: one time fewer than SQS delivers it, which then moves it to the
    /// dead-letter queue and tells nobody. The last receive is for saying that the last attempt came to no end.
    pub fn attempts(&self) -> u32 {
        self.max_receives.saturating_sub(1).max(1)
    }

    /// Receives up to `max` messages, waiting up to `wait` for the first (long polling).
    pub async fn receive(&self, max: usize, wait: Duration, visibility: Duration) -> Result<Vec<Message>> {
        let answer = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(i32::try_from(max.min(MAX_BATCH)).unwrap_or(1))
            .wait_time_seconds(seconds(wait))
            .visibility_timeout(seconds(visibility))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .send()
            .await
            .map_err(|error| failure(&error, format!("receive from queue {}", self.name)))?;
        Ok(answer.messages.unwrap_or_default().into_iter().filter_map(message).collect())
    }

    /// Sends one message and gives its id.
    pub async fn send(&self, body: &str) -> Result<String> {
        let answer = self.client.send_message().queue_url(&self.url).message_body(body).send().await;
        let answer = answer.map_err(|error| failure(&error, format!("send to queue {}", self.name)))?;
        Ok(answer.message_id.unwrap_or_default())
    }

    /// Sends messages, ten at a time, to be seen after `delay` (at most 15 minutes).
    pub async fn send_all(&self, bodies: &[String], delay: Duration) -> Result<()> {
        for batch in bodies.chunks(MAX_BATCH) {
            self.send_batch(batch, delay.min(MAX_DELAY)).await?;
        }
        Ok(())
    }

    /// A batch can succeed in part: entries that failed are an error, and sending all of them again does no
    /// harm, because every job is idempotent.
    async fn send_batch(&self, bodies: &[String], delay: Duration) -> Result<()> {
        let step = || format!("send to queue {}", self.name);
        let mut request = self.client.send_message_batch().queue_url(&self.url);
        for (id, body) in bodies.iter().enumerate() {
            let entry = SendMessageBatchRequestEntry::builder()
                .id(id.to_string())
                .message_body(body)
                .delay_seconds(seconds(delay))
                .build()
                .map_err(|error| Error::permanent(step()).with_source(error))?;
            request = request.entries(entry);
        }
        let answer = request.send().await.map_err(|error| failure(&error, step()))?;
        match answer.failed().first() {
            None => Ok(()),
            Some(entry) => Err(Error::retryable(step()).with_source(entry.code())),
        }
    }

    /// Removes a message that is done. A lost answer only means that it is delivered once more.
    pub async fn delete(&self, message: &Message) -> Result<()> {
        let request = self.client.delete_message().queue_url(&self.url).receipt_handle(&message.receipt);
        request.send().await.map_err(|error| failure(&error, format!("delete from queue {}", self.name)))?;
        Ok(())
    }

    /// Keeps a message ours for `visibility` from now; zero gives it back at once.
    pub async fn extend(&self, message: &Message, visibility: Duration) -> Result<Extension> {
        let request = self
            .client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(&message.receipt)
            .visibility_timeout(seconds(visibility.min(MAX_VISIBILITY)));
        match request.send().await {
            Ok(_) => Ok(Extension::Held),
            Err(error) if is_lost(code(&error)) => Ok(Extension::Lost),
            Err(error) => Err(failure(&error, format!("extend a message of queue {}", self.name))),
        }
    }

    /// Copies a message to the dead-letter queue, with the reason as an attribute.
    pub async fn bury(&self, message: &Message, reason: &str) -> Result<()> {
        let step = || format!("copy a message to the dead-letter queue of {}", self.name);
        let reason = MessageAttributeValue::builder()
            .data_type("String")
            .string_value(reason)
            .build()
            .map_err(|error| Error::permanent(step()).with_source(error))?;
        self.client
            .send_message()
            .queue_url(&self.dead_letter_url)
            .message_body(&message.body)
            .message_attributes("reason", reason)
            .send()
            .await
            .map_err(|error| failure(&error, step()))?;
        Ok(())
    }
}

/// A queue's URL, or none where there is no queue of that name.
async fn queue_url(client: &Client, name: &str, name_or_url: &str) -> Result<Option<String>> {
    if name_or_url.contains("://") {
        return Ok(Some(name_or_url.to_owned()));
    }
    match client.get_queue_url().queue_name(name).send().await {
        Ok(answer) => Ok(Some(answer.queue_url.unwrap_or_default())),
        Err(error) if is_missing(code(&error)) => Ok(None),
        Err(error) => Err(failure(&error, format!("find queue {name}"))),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RedrivePolicy {
    dead_letter_target_arn: String,
    /// AWS writes a number, CloudFormation and the console a string.
    #[serde(deserialize_with = "number_or_text")]
    max_receive_count: u32,
}

/// What the attributes of a queue say of its redrive policy.
enum Redrive {
    OfNoQueue,
    Unset,
    Set(RedrivePolicy),
}

async fn redrive_policy(client: &Client, name: &str, url: &str) -> Result<Redrive> {
    let request =
        client.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::RedrivePolicy);
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) if is_missing(code::<GetQueueAttributesError>(&error)) => return Ok(Redrive::OfNoQueue),
        Err(error) => return Err(failure(&error, format!("look at queue {name}"))),
    };
    let policy = answer.attributes.unwrap_or_default().remove(&QueueAttributeName::RedrivePolicy);
    let Some(policy) = policy else { return Ok(Redrive::Unset) };
    serde_json::from_str(&policy)
        .map(Redrive::Set)
        .map_err(|error| Error::usage(format!("read the redrive policy of queue {name}")).with_source(error))
}

fn is_lost(code: Option<&str>) -> bool {
    code.is_some_and(|code| LOST_RECEIPT.contains(&bare(code)))
}

fn is_missing(code: Option<&str>) -> bool {
    code.is_some_and(|code| matches!(bare(code), "QueueDoesNotExist" | "NonExistentQueue"))
}

fn missing(name: &str) -> Error {
    Error::usage(format!(
        "queue {name} does not exist in this account and region: create it, or name another with its setting \
         (--trigger-queue, --export-queue, --provision-queue, --write-queue)"
    ))
}

fn message(message: aws_sdk_sqs::types::Message) -> Option<Message> {
    let attributes = message.attributes.unwrap_or_default();
    let number = |name| attributes.get(&name).and_then(|value: &String| value.parse::<i64>().ok());
    let sent_at = number(MessageSystemAttributeName::SentTimestamp).unwrap_or_default();
    let receives = number(MessageSystemAttributeName::ApproximateReceiveCount).unwrap_or(1);
    Some(Message {
        id: message.message_id?,
        body: message.body.unwrap_or_default(),
        receipt: message.receipt_handle?,
        receives: u32::try_from(receives).unwrap_or(u32::MAX),
        sent_at: Timestamp::from_millisecond(sent_at).unwrap_or_default(),
    })
}

fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}

fn number_or_text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    number.and_then(|number| number.try_into().ok()).ok_or_else(|| serde::de::Error::custom("not a count"))
}
