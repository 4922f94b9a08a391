//! What DynamoDB tells of a table beyond DescribeTable, and what of it is on.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// Of as many days point-in-time recovery is at most, and where nothing else was said (DynamoDB API Reference,
/// “PointInTimeRecoverySpecification”).
pub const MOST_RECOVERY_DAYS: u32 = 35;

/// The settings of a table, each as the JSON that DynamoDB sent. One is absent where the table has none, and
/// where it could not be read; then it is in the list.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TableSettings {
    /// The `TimeToLiveDescription` of DescribeTimeToLive's answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_to_live: Option<Box<RawValue>>,
    /// The `ContinuousBackupsDescription` of DescribeContinuousBackups' answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continuous_backups: Option<Box<RawValue>>,
    /// The `Tags` of all pages of ListTagsOfResource's answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<Box<RawValue>>>,
    /// GetResourcePolicy's answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_policy: Option<Box<RawValue>>,
    /// DescribeContributorInsights' answer for the table; its indexes have their own, which are not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contributor_insights: Option<Box<RawValue>>,
    /// The `KinesisDataStreamDestinations` of DescribeKinesisStreamingDestination's answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kinesis_destinations: Option<Box<RawValue>>,
    /// What Application Auto Scaling has of the table and its indexes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_scaling: Option<AutoScaling>,
    #[serde(rename = "not_readable", default)]
    pub not_readable: Vec<NotReadable>,
}

/// What Application Auto Scaling has of a table and its indexes, each as the JSON that it sent
/// (`ScalableTargets`, `ScalingPolicies` and `ScheduledActions` of the answers of DescribeScalableTargets,
/// DescribeScalingPolicies and DescribeScheduledActions).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AutoScaling {
    pub scalable_targets: Vec<Box<RawValue>>,
    pub scaling_policies: Vec<Box<RawValue>>,
    pub scheduled_actions: Vec<Box<RawValue>>,
}

/// A Kinesis data stream that a table's changes go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KinesisDestination {
    pub stream_arn: String,
    /// `MILLISECOND` or `MICROSECOND`, where it was told.
    pub precision: Option<String>,
}

/// A setting that DynamoDB did not tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotReadable {
    /// The name of the member that is absent for it, such as `TimeToLive`.
    pub setting: String,
    /// The permission that is missing, such as `dynamodb:DescribeTimeToLive`; none where it is another reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission: Option<String>,
    pub reason: String,
}

/// Contributor Insights that are on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContributorInsights {
    /// `ACCESSED_AND_THROTTLED_KEYS` or `THROTTLED_KEYS` (DynamoDB API Reference, “UpdateContributorInsights”).
    pub mode: Option<String>,
}

impl TableSettings {
    /// Adds what another service told.
    pub fn add_scaling(&mut self, told: Result<Option<AutoScaling>, NotReadable>) {
        match told {
            Ok(scaling) => self.auto_scaling = scaling,
            Err(reason) => self.not_readable.push(reason),
        }
    }

    /// The attribute by which items expire, where time to live is on (DynamoDB API Reference,
    /// “TimeToLiveDescription”).
    pub fn time_to_live_attribute(&self) -> Option<String> {
        let described = read(self.time_to_live.as_deref());
        is_one_of(&described["TimeToLiveStatus"], &["ENABLED", "ENABLING"])
            .then(|| described["AttributeName"].as_str().map(str::to_owned))?
    }

    /// The days that the table can be restored to any second of, where point-in-time recovery is on; 35 where it
    /// was not told (DynamoDB API Reference, “PointInTimeRecoveryDescription”).
    pub fn recovery_days(&self) -> Option<u32> {
        let described = &read(self.continuous_backups.as_deref())["PointInTimeRecoveryDescription"];
        let days = described["RecoveryPeriodInDays"].as_u64().and_then(|days| u32::try_from(days).ok());
        (described["PointInTimeRecoveryStatus"] == "ENABLED").then(|| days.unwrap_or(MOST_RECOVERY_DAYS))
    }

    /// The tags (key, value), in the order DynamoDB gave them.
    pub fn tags(&self) -> Vec<(String, String)> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Tag {
            key: String,
            value: String,
        }
        let tags = self.tags.iter().flatten();
        let tags = tags.filter_map(|tag| serde_json::from_str::<Tag>(tag.get()).ok());
        tags.map(|tag| (tag.key, tag.value)).collect()
    }

    /// Contributor Insights of the table, if they are on (DynamoDB API Reference, “DescribeContributorInsights”).
    pub fn contributor_insights(&self) -> Option<ContributorInsights> {
        let described = read(self.contributor_insights.as_deref());
        let is_on = is_one_of(&described["ContributorInsightsStatus"], &["ENABLED", "ENABLING"]);
        let mode = described["ContributorInsightsMode"].as_str().map(str::to_owned);
        is_on.then_some(ContributorInsights { mode })
    }

    /// The Kinesis data streams that the table's changes go to (DynamoDB API Reference,
    /// “KinesisDataStreamDestination”).
    pub fn kinesis_destinations(&self) -> Vec<KinesisDestination> {
        let described = read(self.kinesis_destinations.as_deref());
        let destinations = described.as_array().into_iter().flatten();
        let on = ["ACTIVE", "ENABLING", "UPDATING"];
        let on = destinations.filter(|destination| is_one_of(&destination["DestinationStatus"], &on));
        let text = |value: &Value| value.as_str().map(str::to_owned);
        on.filter_map(|destination| {
            let precision = text(&destination["ApproximateCreationDateTimePrecision"]);
            Some(KinesisDestination { stream_arn: text(&destination["StreamArn"])?, precision })
        })
        .collect()
    }
}

/// Begin the tags that a table is not given from another: AWS's own (DynamoDB Developer Guide, “Tagging
/// restrictions in DynamoDB”), and those that say whose copy a table is.
const RESERVED_TAGS: [&str; 2] = ["aws:", "dynamodb-backup:"];

/// Whether a tag is not for other tables.
pub fn is_reserved_tag(key: &str) -> bool {
    RESERVED_TAGS.iter().any(|prefix| key.starts_with(prefix))
}

/// What lies in the archive was JSON when it was put there; what is absent reads as null.
fn read(json: Option<&RawValue>) -> Value {
    json.and_then(|json| serde_json::from_str(json.get()).ok()).unwrap_or_default()
}

fn is_one_of(status: &Value, wanted: &[&str]) -> bool {
    status.as_str().is_some_and(|status| wanted.contains(&status))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(json: Value) -> TableSettings {
        serde_json::from_str(&json.to_string()).unwrap()
    }

    #[test]
    fn what_is_on_is_told_from_what_is_off() {
        let on = settings(json!({
            "TimeToLive": { "TimeToLiveStatus": "ENABLING", "AttributeName": "expires" },
            "ContinuousBackups": { "ContinuousBackupsStatus": "ENABLED",
                "PointInTimeRecoveryDescription": { "PointInTimeRecoveryStatus": "ENABLED",
                    "RecoveryPeriodInDays": 7 } },
            "Tags": [{ "Key": "team", "Value": "shop" }],
            "ContributorInsights": { "ContributorInsightsStatus": "ENABLED",
                "ContributorInsightsMode": "THROTTLED_KEYS" },
            "KinesisDestinations": [
                { "StreamArn": "arn:one", "DestinationStatus": "ACTIVE" },
                { "StreamArn": "arn:two", "DestinationStatus": "DISABLED" },
            ],
        }));
        assert_eq!(on.time_to_live_attribute().as_deref(), Some("expires"));
        let insights = ContributorInsights { mode: Some("THROTTLED_KEYS".to_owned()) };
        assert_eq!((on.recovery_days(), on.contributor_insights()), (Some(7), Some(insights)));
        assert_eq!(on.tags(), [("team".to_owned(), "shop".to_owned())]);
        let streams: Vec<_> = on.kinesis_destinations().into_iter().map(|one| one.stream_arn).collect();
        assert_eq!(streams, ["arn:one"]);

        let off = settings(json!({
            "TimeToLive": { "TimeToLiveStatus": "DISABLING", "AttributeName": "expires" },
            "ContinuousBackups": { "ContinuousBackupsStatus": "ENABLED",
                "PointInTimeRecoveryDescription": { "PointInTimeRecoveryStatus": "DISABLED" } },
            "Tags": [], "KinesisDestinations": [],
            "ContributorInsights": { "ContributorInsightsStatus": "DISABLED" },
        }));
        for off in [off, settings(json!({}))] {
            assert_eq!(off.time_to_live_attribute(), None);
            assert_eq!((off.recovery_days(), off.contributor_insights()), (None, None));
            assert!(off.tags().is_empty() && off.kinesis_destinations().is_empty());
        }
    }

    #[test]
    fn what_dynamodb_sent_is_kept_as_it_is() {
        let text = r#"{"TimeToLive":{"Unknown" : 1.50},"Tags":[{"Value":"b","Key":"a"}],"not_readable":[]}"#;
        let read: TableSettings = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
    }
}
