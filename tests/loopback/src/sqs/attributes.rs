//! What a queue is set to.

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::invalid;
use crate::wire::Refusal;

/// A queue's attributes, as texts; the numbers among them are known to be in range.
#[derive(Clone, Debug, Default)]
pub(super) struct Attributes(HashMap<String, String>);

/// Where messages go that were received too often.
#[derive(Clone, Debug)]
pub(super) struct Redrive {
    pub(super) target: String,
    pub(super) max_receives: u64,
}

/// Name, default, greatest value. Amazon SQS Developer Guide, "Queue quotas".
const NUMBERS: [(&str, u64, u64); 5] = [
    ("VisibilityTimeout", 30, 43_200),
    ("DelaySeconds", 0, 900),
    ("ReceiveMessageWaitTimeSeconds", 0, 20),
    ("MessageRetentionPeriod", 345_600, 1_209_600),
    ("MaximumMessageSize", 1_048_576, 1_048_576),
];

const TEXTS: [&str; 5] =
    ["Policy", "RedrivePolicy", "RedriveAllowPolicy", "KmsMasterKeyId", "SqsManagedSseEnabled"];

impl Attributes {
    /// These attributes with some of them set anew.
    pub(super) fn with(mut self, changes: &HashMap<String, String>) -> Result<Self, Refusal> {
        for (name, value) in changes {
            check(name, value)?;
            if value.is_empty() {
                self.0.remove(name);
            } else {
                self.0.insert(name.clone(), value.clone());
            }
        }
        Ok(self)
    }

    /// Everything that is set or has a default.
    pub(super) fn all(&self) -> HashMap<String, String> {
        let mut all: HashMap<_, _> =
            NUMBERS.iter().map(|(name, default, _)| ((*name).to_owned(), default.to_string())).collect();
        all.extend(self.0.clone());
        all
    }

    pub(super) fn visibility_timeout(&self) -> Duration {
        self.seconds("VisibilityTimeout")
    }

    pub(super) fn delay(&self) -> Duration {
        self.seconds("DelaySeconds")
    }

    pub(super) fn receive_wait(&self) -> Duration {
        self.seconds("ReceiveMessageWaitTimeSeconds")
    }

    pub(super) fn maximum_message_size(&self) -> usize {
        usize::try_from(self.number("MaximumMessageSize")).unwrap_or(usize::MAX)
    }

    pub(super) fn redrive(&self) -> Option<Redrive> {
        parse_redrive(self.0.get("RedrivePolicy")?)
    }

    /// Has messages that were received so often moved to where they are moved anyway.
    pub(super) fn allow_receives(&mut self, max_receives: u64) {
        if let Some(Redrive { target, .. }) = self.redrive() {
            let policy = json!({ "deadLetterTargetArn": target, "maxReceiveCount": max_receives });
            self.0.insert("RedrivePolicy".to_owned(), policy.to_string());
        }
    }

    fn seconds(&self, name: &str) -> Duration {
        Duration::from_secs(self.number(name))
    }

    fn number(&self, name: &str) -> u64 {
        let default = NUMBERS.iter().find(|number| number.0 == name).map_or(0, |number| number.1);
        self.0.get(name).and_then(|value| value.parse().ok()).unwrap_or(default)
    }
}

fn check(name: &str, value: &str) -> Result<(), Refusal> {
    if let Some((_, _, greatest)) = NUMBERS.iter().find(|number| number.0 == name) {
        let in_range = value.parse::<u64>().is_ok_and(|value| value <= *greatest);
        return in_range.then_some(()).ok_or_else(|| bad_value(name));
    }
    if !TEXTS.contains(&name) {
        return Err(Refusal::bad_request("InvalidAttributeName", format!("Unknown Attribute {name}.")));
    }
    if name == "RedrivePolicy" && !value.is_empty() && parse_redrive(value).is_none() {
        return Err(bad_value(name));
    }
    Ok(())
}

fn bad_value(name: &str) -> Refusal {
    Refusal {
        code: "InvalidAttributeValue".into(),
        ..invalid(format!("Invalid value for the parameter {name}."))
    }
}

/// AWS takes `maxReceiveCount` as a number or as a text that holds one.
fn parse_redrive(policy: &str) -> Option<Redrive> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Policy {
        dead_letter_target_arn: String,
        max_receive_count: Value,
    }
    let policy: Policy = serde_json::from_str(policy).ok()?;
    let max_receives = match &policy.max_receive_count {
        Value::String(text) => text.parse().ok()?,
        number => number.as_u64()?,
    };
    (1..=1000)
        .contains(&max_receives)
        .then_some(Redrive { target: policy.dead_letter_target_arn, max_receives })
}
