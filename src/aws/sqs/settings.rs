//! How a queue and its dead-letter queue are set up, and what lies in them.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName;

use super::Queue;
use crate::aws::access::{Access, access};
use crate::aws::failure::failure;
use crate::error::Result;

/// A receipt that no message has.
const NO_RECEIPT: &str = "dynamodb-backup-doctor";

/// What SQS answers to a receipt that is none (SQS API Reference, “DeleteMessage”, “ChangeMessageVisibility”).
const NOT_A_RECEIPT: &[&str] = &["ReceiptHandleIsInvalid", "InvalidParameterValue", "MessageNotInflight"];

/// What is checked of a queue.
#[derive(Clone, Debug)]
pub struct QueueSettings {
    pub name: String,
    pub url: String,
    pub arn: String,
    /// About how many messages can be received now.
    pub messages: u64,
    /// How long a message is kept that nobody deletes.
    pub retention: Duration,
    /// How long every message waits that does not ask for another delay.
    pub delay: Duration,
    /// The customer managed key of the queue.
    pub kms_key: Option<String>,
}

impl Queue {
    pub fn max_receives(&self) -> u32 {
        self.max_receives
    }

    pub async fn settings(&self) -> Result<QueueSettings> {
        self.settings_of(&self.url).await
    }

    pub async fn dead_letter_settings(&self) -> Result<QueueSettings> {
        self.settings_of(&self.dead_letter_url).await
    }

    async fn settings_of(&self, url: &str) -> Result<QueueSettings> {
        let name = url.rsplit('/').next().unwrap_or(url).to_owned();
        let request = self.client.get_queue_attributes().queue_url(url);
        let answer = request.attribute_names(QueueAttributeName::All).send().await;
        let answer = answer.map_err(|error| failure(&error, format!("look at queue {name}")))?;
        Ok(read(name, url, &answer.attributes.unwrap_or_default()))
    }

    /// Whether messages may be deleted.
    pub async fn may_delete(&self) -> Result<Access> {
        let request = self.client.delete_message().queue_url(&self.url).receipt_handle(NO_RECEIPT);
        access(request.send().await, NOT_A_RECEIPT, format!("delete from queue {}", self.name))
    }

    /// Whether messages may be kept, or given back.
    pub async fn may_extend(&self) -> Result<Access> {
        let request = self.client.change_message_visibility().queue_url(&self.url);
        let request = request.receipt_handle(NO_RECEIPT).visibility_timeout(0);
        access(request.send().await, NOT_A_RECEIPT, format!("extend a message of queue {}", self.name))
    }
}

fn read(name: String, url: &str, attributes: &HashMap<QueueAttributeName, String>) -> QueueSettings {
    let text = |attribute| attributes.get(&attribute).cloned().filter(|text| !text.is_empty());
    let number = |attribute| text(attribute).and_then(|text| text.parse().ok()).unwrap_or_default();
    QueueSettings {
        name,
        url: url.to_owned(),
        arn: text(QueueAttributeName::QueueArn).unwrap_or_default(),
        messages: number(QueueAttributeName::ApproximateNumberOfMessages),
        retention: Duration::from_secs(number(QueueAttributeName::MessageRetentionPeriod)),
        delay: Duration::from_secs(number(QueueAttributeName::DelaySeconds)),
        kms_key: text(QueueAttributeName::KmsMasterKeyId),
    }
}
