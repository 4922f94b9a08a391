//! The fields of SQS requests that are understood here.

use std::collections::HashMap;

use serde::Deserialize;

use super::message::AttributeValue;

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Input {
    pub(super) queue_name: Option<String>,
    pub(super) queue_name_prefix: Option<String>,
    pub(super) queue_url: Option<String>,
    pub(super) attributes: HashMap<String, String>,
    pub(super) attribute_names: Vec<String>,
    pub(super) message_system_attribute_names: Vec<String>,
    pub(super) message_attribute_names: Vec<String>,
    pub(super) max_number_of_messages: Option<usize>,
    pub(super) wait_time_seconds: Option<u64>,
    pub(super) visibility_timeout: Option<u64>,
    pub(super) receipt_handle: Option<String>,
    pub(super) entries: Vec<Entry>,
    #[serde(flatten)]
    pub(super) message: Outgoing,
}

/// A message to be sent.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Outgoing {
    #[serde(rename = "MessageBody")]
    pub(super) body: Option<String>,
    pub(super) delay_seconds: Option<u64>,
    pub(super) message_attributes: HashMap<String, AttributeValue>,
}

/// An entry of a batch: to be sent, deleted or changed.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) receipt_handle: Option<String>,
    pub(super) visibility_timeout: Option<u64>,
    #[serde(flatten)]
    pub(super) message: Outgoing,
}
