//! What AWS answers and dynoxide does not: point-in-time recovery, resource policies and their kin.

use std::collections::HashMap;

use dynoxide::Database;
use parking_lot::RwLock;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Target, engine, resource};
use crate::wire::Refusal;

/// Account, region, table.
type Key = (String, String, String);

/// Settings of a table that live beside its database.
#[derive(Default)]
pub(super) struct Extras(RwLock<HashMap<Key, Settings>>);

#[derive(Clone, Default)]
struct Settings {
    point_in_time_recovery: bool,
    policy: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Input {
    policy: Option<String>,
    point_in_time_recovery_specification: Recovery,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Recovery {
    point_in_time_recovery_enabled: bool,
}

const ANSWERED_HERE: [&str; 7] = [
    "DescribeContinuousBackups",
    "UpdateContinuousBackups",
    "GetResourcePolicy",
    "PutResourcePolicy",
    "DescribeKinesisStreamingDestination",
    "DescribeContributorInsights",
    "DescribeLimits",
];

impl Extras {
    /// `None` for an action that dynoxide answers.
    pub(super) fn answer(
        &self,
        account: &str,
        region: &str,
        action: &str,
        body: &[u8],
        database: &Database,
    ) -> Option<Answer> {
        ANSWERED_HERE.contains(&action).then(|| {
            let table = resource(body);
            if action != "DescribeLimits" {
                must_exist(database, body, &table)?;
            }
            let input: Input = serde_json::from_slice(body)
                .map_err(|error| Refusal::bad_request("SerializationException", error.to_string()))?;
            let key = (account.to_owned(), region.to_owned(), table);
            Ok(self.perform(action, key, input)?.to_string())
        })
    }

    fn perform(&self, action: &str, key: Key, input: Input) -> Result<Value, Refusal> {
        let table = key.2.clone();
        let mut settings = self.0.write();
        let settings = settings.entry(key).or_default();
        match action {
            "PutResourcePolicy" => {
                settings.policy = input.policy;
                Ok(json!({ "RevisionId": "1" }))
            }
            "GetResourcePolicy" => match &settings.policy {
                Some(policy) => Ok(json!({ "Policy": policy, "RevisionId": "1" })),
                None => Err(Refusal::bad_request(
                    "PolicyNotFoundException",
                    format!("Resource-based policy not found for the provided ResourceArn: {table}"),
                )),
            },
            "DescribeKinesisStreamingDestination" => {
                Ok(json!({ "TableName": table, "KinesisDataStreamDestinations": [] }))
            }
            "DescribeContributorInsights" => {
                Ok(json!({ "TableName": table, "ContributorInsightsStatus": "DISABLED" }))
            }
            "DescribeLimits" => Ok(json!({
                "AccountMaxReadCapacityUnits": 80_000, "AccountMaxWriteCapacityUnits": 80_000,
                "TableMaxReadCapacityUnits": 40_000, "TableMaxWriteCapacityUnits": 40_000,
            })),
            "UpdateContinuousBackups" => {
                settings.point_in_time_recovery =
                    input.point_in_time_recovery_specification.point_in_time_recovery_enabled;
                Ok(continuous_backups(settings))
            }
            _ => Ok(continuous_backups(settings)),
        }
    }
}

fn continuous_backups(settings: &Settings) -> Value {
    let status = if settings.point_in_time_recovery { "ENABLED" } else { "DISABLED" };
    json!({ "ContinuousBackupsDescription": {
        "ContinuousBackupsStatus": "ENABLED",
        "PointInTimeRecoveryDescription": { "PointInTimeRecoveryStatus": status },
    }})
}

fn must_exist(database: &Database, body: &[u8], table: &str) -> Result<(), super::Failure> {
    if Target::of(body).named().is_none() {
        return Err(Refusal::bad_request("ValidationException", "A table must be named").into());
    }
    engine::dispatch(database, "DescribeTable", json!({ "TableName": table }).to_string().as_bytes())
        .map(drop)
}

/// Adds to a table's description what AWS always reports and dynoxide leaves out.
pub(super) fn complete(action: &str, document: String) -> String {
    if action != "DescribeTable" {
        return document;
    }
    let Ok(mut description) = serde_json::from_str::<Value>(&document) else { return document };
    let Some(table) = description["Table"].as_object_mut() else { return document };
    let on_demand =
        table.get("BillingModeSummary").is_some_and(|mode| mode["BillingMode"] == "PAY_PER_REQUEST");
    let (reads, writes) = match table.get("ProvisionedThroughput") {
        Some(provisioned) if !on_demand => {
            (provisioned["ReadCapacityUnits"].clone(), provisioned["WriteCapacityUnits"].clone())
        }
        // AWS: what a new on-demand table can take without warning.
        _ => (json!(12_000), json!(4_000)),
    };
    table.entry("WarmThroughput").or_insert_with(
        || json!({ "ReadUnitsPerSecond": reads, "WriteUnitsPerSecond": writes, "Status": "ACTIVE" }),
    );
    description.to_string()
}
