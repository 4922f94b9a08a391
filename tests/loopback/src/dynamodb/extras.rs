//! What AWS answers and dynoxide does not: point-in-time recovery, resource policies and their kin.

use std::collections::HashMap;

use dynoxide::Database;
use parking_lot::RwLock;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Failure, engine, resource};
use crate::wire::Refusal;

/// Settings that live beside the database, by table.
#[derive(Default)]
pub(super) struct Extras(RwLock<HashMap<String, Settings>>);

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

impl Extras {
    /// `None` for an action that dynoxide answers.
    pub(super) fn answer(&self, action: &str, body: &[u8], database: &Database) -> Option<Answer> {
        let perform = match action {
            "DescribeContinuousBackups" => describe_backups,
            "UpdateContinuousBackups" => update_backups,
            "GetResourcePolicy" => get_policy,
            "PutResourcePolicy" => put_policy,
            "DeleteResourcePolicy" => delete_policy,
            "DescribeKinesisStreamingDestination" => no_streaming_destination,
            "DescribeContributorInsights" => no_contributor_insights,
            _ => return None,
        };
        Some(self.change(body, database, perform))
    }

    pub(super) fn forget(&self, table: &str) {
        self.0.write().remove(table);
    }

    fn change(&self, body: &[u8], database: &Database, perform: Action) -> Answer {
        let table = resource(body);
        must_exist(database, &table)?;
        let input: Input = serde_json::from_slice(body)
            .map_err(|error| Refusal::bad_request("SerializationException", error.to_string()))?;
        let mut settings = self.0.write();
        let answer = perform(settings.entry(table.clone()).or_default(), &table, input)?;
        Ok(answer.to_string())
    }
}

type Action = fn(&mut Settings, &str, Input) -> Result<Value, Refusal>;

fn describe_backups(settings: &mut Settings, _table: &str, _input: Input) -> Result<Value, Refusal> {
    let status = if settings.point_in_time_recovery { "ENABLED" } else { "DISABLED" };
    Ok(json!({ "ContinuousBackupsDescription": {
        "ContinuousBackupsStatus": "ENABLED",
        "PointInTimeRecoveryDescription": { "PointInTimeRecoveryStatus": status },
    }}))
}

fn update_backups(settings: &mut Settings, table: &str, input: Input) -> Result<Value, Refusal> {
    settings.point_in_time_recovery =
        input.point_in_time_recovery_specification.point_in_time_recovery_enabled;
    describe_backups(settings, table, Input::default())
}

fn get_policy(settings: &mut Settings, table: &str, _input: Input) -> Result<Value, Refusal> {
    match &settings.policy {
        Some(policy) => Ok(json!({ "Policy": policy, "RevisionId": "1" })),
        None => Err(Refusal::bad_request(
            "PolicyNotFoundException",
            format!("Resource-based policy not found for the provided ResourceArn: {table}"),
        )),
    }
}

fn put_policy(settings: &mut Settings, _table: &str, input: Input) -> Result<Value, Refusal> {
    settings.policy = input.policy;
    Ok(json!({ "RevisionId": "1" }))
}

fn delete_policy(settings: &mut Settings, _table: &str, _input: Input) -> Result<Value, Refusal> {
    settings.policy = None;
    Ok(json!({}))
}

fn no_streaming_destination(_settings: &mut Settings, table: &str, _input: Input) -> Result<Value, Refusal> {
    Ok(json!({ "TableName": table, "KinesisDataStreamDestinations": [] }))
}

fn no_contributor_insights(_settings: &mut Settings, table: &str, _input: Input) -> Result<Value, Refusal> {
    Ok(json!({ "TableName": table, "ContributorInsightsStatus": "DISABLED" }))
}

fn must_exist(database: &Database, table: &str) -> Result<(), Failure> {
    let name = json!({ "TableName": table }).to_string();
    engine::dispatch(database, "DescribeTable", name.as_bytes()).map(drop)
}
