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
    /// The days that can be gone back to; none while it is off.
    recovery_days: Option<u32>,
    policy: Option<String>,
    has_contributor_insights: bool,
    /// The ARNs of Kinesis data streams.
    streams: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Input {
    policy: Option<String>,
    point_in_time_recovery_specification: Recovery,
    stream_arn: String,
    contributor_insights_action: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Recovery {
    point_in_time_recovery_enabled: bool,
    recovery_period_in_days: Option<u32>,
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
            "DescribeKinesisStreamingDestination" => describe_streaming,
            "EnableKinesisStreamingDestination" => enable_streaming,
            "DescribeContributorInsights" => describe_insights,
            "UpdateContributorInsights" => update_insights,
            _ => return None,
        };
        let table = resource(body);
        if action.ends_with("ContinuousBackups") && must_exist(database, &table).is_err() {
            return Some(Err(no_table_to_back_up(&table).into()));
        }
        Some(self.change(&table, body, database, perform))
    }

    pub(super) fn forget(&self, table: &str) {
        self.0.write().remove(table);
    }

    fn change(&self, table: &str, body: &[u8], database: &Database, perform: Action) -> Answer {
        must_exist(database, table)?;
        let input: Input = serde_json::from_slice(body)
            .map_err(|error| Refusal::bad_request("SerializationException", error.to_string()))?;
        let mut settings = self.0.write();
        let answer = perform(settings.entry(table.to_owned()).or_default(), table, input)?;
        Ok(answer.to_string())
    }
}

type Action = fn(&mut Settings, &str, Input) -> Result<Value, Refusal>;

fn describe_backups(settings: &mut Settings, _table: &str, _input: Input) -> Result<Value, Refusal> {
    let recovery = match settings.recovery_days {
        Some(days) => json!({ "PointInTimeRecoveryStatus": "ENABLED", "RecoveryPeriodInDays": days }),
        None => json!({ "PointInTimeRecoveryStatus": "DISABLED" }),
    };
    Ok(json!({ "ContinuousBackupsDescription": {
        "ContinuousBackupsStatus": "ENABLED",
        "PointInTimeRecoveryDescription": recovery,
    }}))
}

/// Without a number of days it is 35 (DynamoDB API Reference, “PointInTimeRecoverySpecification”).
fn update_backups(settings: &mut Settings, table: &str, input: Input) -> Result<Value, Refusal> {
    let wanted = input.point_in_time_recovery_specification;
    let days = wanted.recovery_period_in_days.unwrap_or(35);
    settings.recovery_days = wanted.point_in_time_recovery_enabled.then_some(days);
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

fn describe_streaming(settings: &mut Settings, table: &str, _input: Input) -> Result<Value, Refusal> {
    let active = |arn| json!({ "StreamArn": arn, "DestinationStatus": "ACTIVE" });
    let destinations: Vec<Value> = settings.streams.iter().map(active).collect();
    Ok(json!({ "TableName": table, "KinesisDataStreamDestinations": destinations }))
}

/// At most two (DynamoDB Developer Guide, “Service quotas”). One that is there already is refused.
fn enable_streaming(settings: &mut Settings, table: &str, input: Input) -> Result<Value, Refusal> {
    if settings.streams.contains(&input.stream_arn) {
        let message =
            format!("Table is not in a valid state to enable Kinesis Streaming Destination: {table}");
        return Err(Refusal::bad_request("ValidationException", message));
    }
    if settings.streams.len() == 2 {
        return Err(Refusal::bad_request("LimitExceededException", "Too many destinations".to_owned()));
    }
    settings.streams.push(input.stream_arn.clone());
    Ok(json!({ "TableName": table, "StreamArn": input.stream_arn, "DestinationStatus": "ENABLING" }))
}

fn describe_insights(settings: &mut Settings, table: &str, _input: Input) -> Result<Value, Refusal> {
    let status = if settings.has_contributor_insights { "ENABLED" } else { "DISABLED" };
    Ok(json!({ "TableName": table, "ContributorInsightsStatus": status }))
}

fn update_insights(settings: &mut Settings, table: &str, input: Input) -> Result<Value, Refusal> {
    settings.has_contributor_insights = input.contributor_insights_action == "ENABLE";
    describe_insights(settings, table, Input::default())
}

/// These two say it in their own way (DynamoDB API Reference, “DescribeContinuousBackups”).
fn no_table_to_back_up(table: &str) -> Refusal {
    Refusal::bad_request("TableNotFoundException", format!("Table not found: {table}"))
}

fn must_exist(database: &Database, table: &str) -> Result<(), Failure> {
    let name = json!({ "TableName": table }).to_string();
    engine::dispatch(database, "DescribeTable", name.as_bytes()).map(drop)
}
