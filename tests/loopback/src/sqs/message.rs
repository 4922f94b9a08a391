//! Messages: their attributes, digests and limits, and how a receiver sees them.

use std::collections::{BTreeMap, HashMap};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::input::Outgoing;
use super::{invalid, missing};
use crate::wire::{Refusal, hex};

/// Greatest number of attributes of a message.
const MAX_ATTRIBUTES: usize = 10;

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct AttributeValue {
    data_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    string_value: Option<String>,
    /// Base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    binary_value: Option<String>,
}

impl AttributeValue {
    pub(super) fn text(&self) -> String {
        self.string_value.as_ref().or(self.binary_value.as_ref()).cloned().unwrap_or_default()
    }

    fn len(&self) -> usize {
        self.data_type.len() + self.text().len()
    }
}

/// What a sender sent; it never changes.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) body: String,
    pub(super) attributes: BTreeMap<String, AttributeValue>,
    pub(super) sender: String,
    /// Milliseconds since 1970.
    pub(super) sent: i64,
    /// The queue it was moved from, in a dead-letter queue.
    pub(super) source: Option<String>,
}

/// A message in a receiver's hands.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) message: Message,
    pub(super) receipt_handle: String,
    pub(super) receive_count: u64,
    pub(super) first_received: i64,
}

impl Message {
    /// Checks what the sender sent and gives it an id.
    pub(super) fn accept(outgoing: Outgoing, sender: &str, max_size: usize) -> Result<Self, Refusal> {
        let body = outgoing.body.filter(|body| !body.is_empty()).ok_or_else(|| missing("MessageBody"))?;
        let attributes: BTreeMap<_, _> = outgoing.message_attributes.into_iter().collect();
        let message = Self {
            id: uuid::Uuid::new_v4().to_string(),
            body,
            attributes,
            sender: sender.to_owned(),
            sent: jiff::Timestamp::now().as_millisecond(),
            source: None,
        };
        message.check(max_size)?;
        Ok(message)
    }

    fn check(&self, max_size: usize) -> Result<(), Refusal> {
        if self.len() > max_size {
            let message = format!(
                "One or more parameters are invalid. Reason: Message must be shorter than {max_size} bytes."
            );
            return Err(invalid(message));
        }
        if !self.body.chars().all(is_allowed) {
            let message = "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF";
            return Err(Refusal::bad_request("InvalidMessageContents", message));
        }
        if self.attributes.len() > MAX_ATTRIBUTES {
            return Err(invalid(format!(
                "Number of message attributes [{}] exceeds the allowed maximum [10].",
                self.attributes.len()
            )));
        }
        Ok(())
    }

    /// What counts towards the limits.
    pub(super) fn len(&self) -> usize {
        self.body.len() + self.attributes.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
    }

    pub(super) fn body_md5(&self) -> String {
        hex(&Md5::digest(&self.body))
    }

    /// The sender's answer.
    pub(super) fn receipt(&self) -> Map<String, Value> {
        let mut receipt = Map::new();
        receipt.insert("MessageId".into(), json!(self.id));
        receipt.insert("MD5OfMessageBody".into(), json!(self.body_md5()));
        if !self.attributes.is_empty() {
            receipt.insert("MD5OfMessageAttributes".into(), json!(attributes_md5(&self.attributes)));
        }
        receipt
    }
}

/// Amazon SQS API Reference, SendMessage: the characters XML allows.
fn is_allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

impl Received {
    /// The message as `ReceiveMessage` shows it, with the attributes asked for.
    pub(super) fn show(&self, system_names: &[String], attribute_names: &[String]) -> Value {
        let mut shown = json!({
            "MessageId": self.message.id,
            "ReceiptHandle": self.receipt_handle,
            "Body": self.message.body,
            "MD5OfBody": self.message.body_md5(),
        });
        let system: HashMap<_, _> =
            self.system_attributes().into_iter().filter(|(name, _)| asked_for(system_names, name)).collect();
        if !system.is_empty() {
            shown["Attributes"] = json!(system);
        }
        let attributes: BTreeMap<_, _> = self
            .message
            .attributes
            .clone()
            .into_iter()
            .filter(|(name, _)| asked_for(attribute_names, name))
            .collect();
        if !attributes.is_empty() {
            shown["MD5OfMessageAttributes"] = json!(attributes_md5(&attributes));
            shown["MessageAttributes"] = json!(attributes);
        }
        shown
    }

    fn system_attributes(&self) -> Vec<(&'static str, String)> {
        let mut attributes = vec![
            ("SenderId", self.message.sender.clone()),
            ("SentTimestamp", self.message.sent.to_string()),
            ("ApproximateReceiveCount", self.receive_count.to_string()),
            ("ApproximateFirstReceiveTimestamp", self.first_received.to_string()),
        ];
        attributes.extend(self.message.source.clone().map(|arn| ("DeadLetterQueueSourceArn", arn)));
        attributes
    }
}

/// `All`, `.*`, a name, or a prefix followed by `.*`.
fn asked_for(names: &[String], name: &str) -> bool {
    names.iter().any(|wanted| match wanted.strip_suffix(".*") {
        Some(prefix) => name.starts_with(prefix),
        None => wanted == "All" || wanted == name,
    })
}

/// Amazon SQS Developer Guide, "Calculating the MD5 message digest for message attributes".
fn attributes_md5(attributes: &BTreeMap<String, AttributeValue>) -> String {
    let mut digest = Md5::new();
    for (name, value) in attributes {
        update(&mut digest, name.as_bytes());
        update(&mut digest, value.data_type.as_bytes());
        match &value.binary_value {
            Some(binary) => {
                digest.update([2]);
                update(&mut digest, &BASE64_STANDARD.decode(binary).unwrap_or_default());
            }
            None => {
                digest.update([1]);
                update(&mut digest, value.string_value.as_deref().unwrap_or_default().as_bytes());
            }
        }
    }
    hex(&digest.finalize())
}

fn update(digest: &mut Md5, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    digest.update(length.to_be_bytes());
    digest.update(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_attributes_is_the_one_botocore_and_localstack_check() {
        let value = |data_type: &str, text: &str| AttributeValue {
            data_type: data_type.into(),
            string_value: Some(text.into()),
            binary_value: None,
        };
        let attributes = BTreeMap::from([("timestamp".to_owned(), value("Number", "1493147359900"))]);
        assert_eq!(attributes_md5(&attributes), "235c5c510d26fb653d073faed50ae77c");
    }

    #[test]
    fn names_are_asked_for_by_name_prefix_or_all() {
        let names = |wanted: &str| vec![wanted.to_owned()];
        assert!(asked_for(&names("All"), "a"));
        assert!(asked_for(&names(".*"), "a"));
        assert!(asked_for(&names("a.*"), "a.b"));
        assert!(asked_for(&names("a"), "a"));
        assert!(!asked_for(&names("a"), "b"));
    }
}
