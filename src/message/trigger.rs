//! The message that starts runs.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::{Error, Result};
use crate::item::is_object;
use crate::table::{Pattern, Selection};

/// The message of the trigger queue: `{}` backs up every source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<Pattern>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<Pattern>,
    /// However much of a copy is deleted or changed, it is not suspect.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub accept_changes: bool,
}

/// What tells the envelope of EventBridge from a message of our own.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    detail: Option<&'a RawValue>,
    #[serde(rename = "detail-type")]
    detail_type: Option<IgnoredAny>,
}

impl Trigger {
    /// Reads a message: our own, or the envelope of EventBridge around it.
    ///
    /// A rule without an input transformer and a schedule without an input send the whole event; the former's
    /// `detail` is an object, the latter's is JSON in a string (EventBridge User Guide, “AWS service events”;
    /// EventBridge Scheduler User Guide, “Templated targets”).
    pub fn parse(body: &str) -> Result<Self> {
        let malformed = |error: serde_json::Error| {
            Error::permanent("the trigger message is malformed").with_source(error)
        };
        let message: &RawValue = serde_json::from_str(body).map_err(malformed)?;
        require_object(message.get())?;
        let envelope: Envelope<'_> = serde_json::from_str(body).map_err(malformed)?;
        let request = match envelope.detail.map(RawValue::get) {
            Some(detail) if detail.starts_with('"') => serde_json::from_str(detail).map_err(malformed)?,
            Some(detail) if envelope.detail_type.is_some() => detail.to_owned(),
            _ => body.to_owned(),
        };
        require_object(&request)?;
        serde_json::from_str(&request).map_err(malformed)
    }

    /// The message's body.
    pub fn body(&self) -> String {
        serde_json::to_string(self).expect("a trigger is plain data with string keys")
    }

    /// The tables it asks for.
    pub fn selection(&self) -> Selection {
        Selection { tables: self.tables.clone(), exclude: self.exclude.clone() }
    }
}

fn require_object(message: &str) -> Result<()> {
    if is_object(message.as_bytes()) {
        return Ok(());
    }
    Err(Error::permanent("the trigger message is not a JSON object: send {} to back up everything"))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::error::Kind;

    fn narrowed() -> Trigger {
        let pattern = |text| Pattern::parse(text).expect("a pattern");
        Trigger {
            source: Some("shop".to_owned()),
            tables: vec![pattern("orders*")],
            exclude: vec![pattern("*-test")],
            accept_changes: true,
        }
    }

    #[test]
    fn an_empty_message_asks_for_everything() {
        assert_eq!(Trigger::parse("{}").expect("reads"), Trigger::default());
    }

    #[test]
    fn a_message_reads_back_from_its_body() {
        assert_eq!(Trigger::parse(&narrowed().body()).expect("reads"), narrowed());
    }

    #[test]
    fn the_envelopes_of_a_rule_and_of_a_schedule_are_opened() {
        let envelope = |detail: Value| {
            serde_json::json!({
                "version": "0", "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa", "detail-type": "Scheduled Event",
                "source": "aws.events", "account": "222222222222", "time": "2026-01-31T02:00:00Z",
                "region": "eu-west-1", "resources": ["arn:aws:events:eu-west-1:222222222222:rule/nightly"],
                "detail": detail
            })
            .to_string()
        };
        let rule = envelope(serde_json::json!({}));
        let schedule = envelope(Value::String("{}".to_owned()));
        let custom = envelope(serde_json::to_value(narrowed()).expect("plain data"));
        assert_eq!(Trigger::parse(&rule).expect("reads"), Trigger::default());
        assert_eq!(Trigger::parse(&schedule).expect("reads"), Trigger::default());
        assert_eq!(Trigger::parse(&custom).expect("reads"), narrowed());
    }

    #[test]
    fn what_is_not_a_trigger_is_refused() {
        for body in [
            "",
            "[]",
            "null",
            r#"{"table":"orders"}"#,
            r#"{"tables":["a/b"]}"#,
            r#"{"source":7}"#,
            r#"{"tables":["orders"],"tables":["users"]}"#,
            r#"{"detail-type":"nightly","detail":{"source":"shop","source":"crm"}}"#,
        ] {
            let error = Trigger::parse(body).expect_err("refused");
            assert_eq!(error.kind(), Kind::Permanent, "{body}");
        }
    }
}
