//! Changes of a table that is there: its settings, one by one.

use std::fmt;

use aws_sdk_dynamodb::operation::update_table::{UpdateTable, UpdateTableOutput};
use aws_sdk_dynamodb::types::{
    ApproximateCreationDateTimePrecision, ContributorInsightsAction, ContributorInsightsMode,
    EnableKinesisStreamingConfiguration, PointInTimeRecoverySpecification, TimeToLiveSpecification,
};
use aws_smithy_runtime_api::client::interceptors::context::Output;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use serde_json::{Value, json};

use super::{RawCall, Tables, code, failure, json as bytes_of};
use crate::error::{Error, Result};
use crate::schema::settings::KinesisDestination;
use crate::table::TableName;

/// What DynamoDB answers for a while after a table was created (DynamoDB API Reference,
/// “UpdateContinuousBackups”).
const NOT_YET: &str = "ContinuousBackupsUnavailableException";

impl Tables {
    /// Sends an UpdateTable request. The table is `UPDATING` for a while.
    pub async fn update(&self, table: &TableName, request: &Value) -> Result<()> {
        let call = RawCall::new(
            "DynamoDB_20120810.UpdateTable",
            &UpdateTable::new(),
            || Output::erase(UpdateTableOutput::builder().build()),
            bytes_of(request),
        );
        let operation = self.control.update_table().table_name(table.as_str());
        let sent = operation.customize().interceptor(call).send().await;
        sent.map(drop).map_err(|error| failure(&error, format!("update table {table}")))
    }

    /// Lets items expire by an attribute (DynamoDB API Reference, “UpdateTimeToLive”).
    pub async fn enable_time_to_live(&self, table: &TableName, attribute: &str) -> Result<()> {
        let step = format!("enable time to live of table {table}");
        let wanted = TimeToLiveSpecification::builder().enabled(true).attribute_name(attribute);
        let wanted = built(wanted.build(), &step)?;
        let request = self.control.update_time_to_live().table_name(table.as_str());
        match request.time_to_live_specification(wanted).send().await {
            // The answer to an attempt before was lost.
            Err(error) if error.message().is_some_and(|text| text.contains("already enabled")) => Ok(()),
            sent => sent.map(drop).map_err(|error| failure(&error, step)),
        }
    }

    /// Begins to give a table a stream (DynamoDB API Reference, “UpdateTable”).
    pub async fn enable_stream(&self, table: &TableName, view: &str) -> Result<()> {
        let stream = json!({ "StreamEnabled": true, "StreamViewType": view });
        self.update(table, &json!({ "TableName": table, "StreamSpecification": stream })).await
    }

    /// Begins to protect a table from being deleted (DynamoDB API Reference, “UpdateTable”).
    pub async fn protect_from_deletion(&self, table: &TableName) -> Result<()> {
        self.update(table, &json!({ "TableName": table, "DeletionProtectionEnabled": true })).await
    }

    /// Lets a table be restored to any second of the last `days` (1 to 35), of as many as DynamoDB keeps if that
    /// is not said (DynamoDB API Reference, “UpdateContinuousBackups”).
    pub async fn enable_recovery(&self, table: &TableName, days: Option<u32>) -> Result<()> {
        let step = format!("enable point-in-time recovery of table {table}");
        let wanted = PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(true);
        let days = days.and_then(|days| i32::try_from(days).ok());
        let wanted = built(wanted.set_recovery_period_in_days(days).build(), &step)?;
        let request = self.control.update_continuous_backups().table_name(table.as_str());
        match request.point_in_time_recovery_specification(wanted).send().await {
            Err(error) if code(&error) == Some(NOT_YET) => Err(failure(&error, step).into_retryable()),
            sent => sent.map(drop).map_err(|error| failure(&error, step)),
        }
    }

    /// Enables Contributor Insights of a table, which is no error where it is enabled (DynamoDB API Reference,
    /// “UpdateContributorInsights”).
    pub async fn enable_contributor_insights(&self, table: &TableName, mode: Option<&str>) -> Result<()> {
        let request = self.control.update_contributor_insights().table_name(table.as_str());
        let request = request.contributor_insights_action(ContributorInsightsAction::Enable);
        let sent =
            request.set_contributor_insights_mode(mode.map(ContributorInsightsMode::from)).send().await;
        sent.map(drop)
            .map_err(|error| failure(&error, format!("enable Contributor Insights of table {table}")))
    }

    /// Begins to send a table's changes to a Kinesis data stream (DynamoDB API Reference,
    /// “EnableKinesisStreamingDestination”).
    pub async fn enable_kinesis(&self, table: &TableName, destination: &KinesisDestination) -> Result<()> {
        let step = format!("enable the Kinesis destination of table {table}");
        let precision = destination.precision.as_deref().map(|precision| {
            let precision = ApproximateCreationDateTimePrecision::from(precision);
            EnableKinesisStreamingConfiguration::builder()
                .approximate_creation_date_time_precision(precision)
                .build()
        });
        let request = self.control.enable_kinesis_streaming_destination().table_name(table.as_str());
        let request = request.stream_arn(&destination.stream_arn);
        let sent = request.set_enable_kinesis_streaming_configuration(precision).send().await;
        sent.map(drop).map_err(|error| failure(&error, step))
    }
}

fn built<T, E>(built: std::result::Result<T, E>, step: &str) -> Result<T>
where
    E: fmt::Display,
{
    built.map_err(|error| Error::permanent(step).with_source(error.to_string()))
}
