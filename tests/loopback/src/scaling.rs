//! Application Auto Scaling: what was registered is told again. Nothing is ever scaled.

use std::collections::HashMap;

use http::StatusCode;
use parking_lot::RwLock;
use serde_json::{Value, json};

use crate::call::Call;
use crate::caller::Service;
use crate::wire::{AMZ_JSON_1_1, Refusal, Reply};

/// As many are told at once where the caller names no number (Application Auto Scaling API Reference,
/// “DescribeScalableTargets”).
const PAGE: usize = 50;

/// What each call that registers something adds to, and each that describes reads: its member of the answer.
const LISTS: [(&str, &str, &str); 3] = [
    ("RegisterScalableTarget", "DescribeScalableTargets", "ScalableTargets"),
    ("PutScalingPolicy", "DescribeScalingPolicies", "ScalingPolicies"),
    ("PutScheduledAction", "DescribeScheduledActions", "ScheduledActions"),
];

/// Account, region, list.
type Key = (String, String, &'static str);

#[derive(Default)]
pub(crate) struct Scaling(RwLock<HashMap<Key, Vec<Value>>>);

/// The resource that a call names, such as `table/orders`.
pub(crate) fn resource(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    body["ResourceId"].as_str().unwrap_or_default().to_owned()
}

impl Scaling {
    pub(crate) fn answer(&self, call: &Call, body: &[u8]) -> Reply {
        let input = serde_json::from_slice(body).unwrap_or_default();
        match self.perform(&call.account, &call.region, &call.action, &input) {
            Ok(answer) => Reply::new(StatusCode::OK, AMZ_JSON_1_1, answer.to_string()),
            Err(refusal) => refusal.reply(Service::Scaling),
        }
    }

    pub(crate) fn perform(
        &self,
        account: &str,
        region: &str,
        action: &str,
        input: &Value,
    ) -> Result<Value, Refusal> {
        if input["ServiceNamespace"] != "dynamodb" {
            return Err(Refusal::bad_request(
                "ValidationException",
                "ServiceNamespace: only dynamodb is here",
            ));
        }
        for (register, describe, list) in LISTS {
            let key = (account.to_owned(), region.to_owned(), list);
            if action == register {
                self.0.write().entry(key).or_default().push(input.clone());
                return Ok(json!({}));
            }
            if action == describe {
                return Ok(page(self.0.read().get(&key).map_or(&[], Vec::as_slice), list, input));
            }
        }
        Err(Refusal::bad_request("UnknownOperationException", action))
    }
}

/// A token is the number of elements told before.
fn page(all: &[Value], list: &str, input: &Value) -> Value {
    let start = input["NextToken"].as_str().and_then(|token| token.parse().ok()).unwrap_or(0);
    let rest = all.get(start..).unwrap_or_default();
    let told = &rest[..rest.len().min(PAGE)];
    let mut answer = json!({ list: told });
    if told.len() < rest.len() {
        answer["NextToken"] = json!((start + told.len()).to_string());
    }
    answer
}
