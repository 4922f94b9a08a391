//! A table's settings beyond DescribeTable: read one by one.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::operation::{
    describe_continuous_backups, describe_contributor_insights, describe_kinesis_streaming_destination,
    describe_time_to_live, get_resource_policy, list_tags_of_resource,
};
use aws_smithy_runtime_api::client::interceptors::context::Output;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use serde::de::DeserializeOwned;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{RawCall, Tables, code, failure, json as bytes_of};
use crate::error::{Context, Error, Result};
use crate::schema::settings::{KinesisDestination, NotReadable, TableSettings};
use crate::table::TableName;

/// ListTagsOfResource and DescribeContinuousBackups may be called ten times a second for an account (DynamoDB
/// API Reference, under their names). Half of that is left to others.
const EVERY: Duration = Duration::from_millis(200);

/// Tables asked about at once after a pause.
const SAVED_UP: u32 = 10;

/// The members of an answer.
type Members = HashMap<String, Box<RawValue>>;

/// Sends a request of one operation and gives its answer as it came.
macro_rules! ask {
    ($client:expr, $method:ident, $operation:ident, $output:ident, $field:ident: $value:expr, $body:expr) => {{
        let call = RawCall::new(
            concat!("DynamoDB_20120810.", stringify!($operation)),
            &$method::$operation::new(),
            || Output::erase($method::$output::builder().build()),
            bytes_of(&$body),
        );
        match $client.$method().$field($value).customize().interceptor(call.clone()).send().await {
            Ok(_) => Ok(call.answer()),
            Err(error) => Err(Refusal::of(&error)),
        }
    }};
}

impl Tables {
    /// All settings of a table. One that the account's policies do not let be read, or that is not known where
    /// the table is, is listed as not readable; with `is_last`, so is one whose call is throttled or has no answer.
    ///
    /// # Errors
    /// Retryable when a call is throttled or has no answer, as for DescribeTable.
    pub async fn settings(&self, table: &TableName, table_arn: &str, is_last: bool) -> Result<TableSettings> {
        self.turns.take().await;
        let mut found = Found { table, is_last, not_readable: Vec::new() };
        Ok(TableSettings {
            time_to_live: found.take("TimeToLive", self.time_to_live(table).await)?,
            continuous_backups: found.take("ContinuousBackups", self.continuous_backups(table).await)?,
            tags: found.take("Tags", self.raw_tags(table_arn).await)?,
            resource_policy: found.take("ResourcePolicy", self.resource_policy(table_arn).await)?,
            contributor_insights: found.take("ContributorInsights", self.insights(table).await)?,
            kinesis_destinations: found.take("KinesisDestinations", self.kinesis(table).await)?,
            auto_scaling: None,
            not_readable: found.not_readable,
        })
    }

    /// (DynamoDB API Reference, “DescribeTimeToLive”)
    async fn time_to_live(&self, table: &TableName) -> Answer<Box<RawValue>> {
        let (name, body) = (table.as_str(), json!({ "TableName": table }));
        let answer = ask!(self.control, describe_time_to_live, DescribeTimeToLive,
            DescribeTimeToLiveOutput, table_name: name, body)?;
        Ok(members(&answer)?.remove("TimeToLiveDescription"))
    }

    /// (DynamoDB API Reference, “DescribeContinuousBackups”)
    async fn continuous_backups(&self, table: &TableName) -> Answer<Box<RawValue>> {
        let (name, body) = (table.as_str(), json!({ "TableName": table }));
        let answer = ask!(self.control, describe_continuous_backups, DescribeContinuousBackups,
            DescribeContinuousBackupsOutput, table_name: name, body)?;
        Ok(members(&answer)?.remove("ContinuousBackupsDescription"))
    }

    /// The tags of all pages (DynamoDB API Reference, “ListTagsOfResource”).
    async fn raw_tags(&self, table_arn: &str) -> Answer<Vec<Box<RawValue>>> {
        let mut tags = Vec::new();
        let mut body = json!({ "ResourceArn": table_arn });
        loop {
            let answer = ask!(self.control, list_tags_of_resource, ListTagsOfResource,
                ListTagsOfResourceOutput, resource_arn: table_arn, body)?;
            let mut members = members(&answer)?;
            if let Some(page) = members.remove("Tags") {
                tags.extend(parsed::<Vec<Box<RawValue>>>(page.get().as_bytes())?);
            }
            let Some(next) = members.remove("NextToken") else { return Ok(Some(tags)) };
            body["NextToken"] = parsed(next.get().as_bytes())?;
        }
    }

    /// The whole answer, or none where no policy is attached (DynamoDB API Reference, “GetResourcePolicy”).
    async fn resource_policy(&self, table_arn: &str) -> Answer<Box<RawValue>> {
        let body = json!({ "ResourceArn": table_arn });
        let answer = ask!(self.control, get_resource_policy, GetResourcePolicy, GetResourcePolicyOutput,
            resource_arn: table_arn, body);
        match answer {
            Err(refusal) if refusal.code.as_deref() == Some("PolicyNotFoundException") => Ok(None),
            answer => parsed(&answer?).map(Some),
        }
    }

    /// The whole answer (DynamoDB API Reference, “DescribeContributorInsights”).
    async fn insights(&self, table: &TableName) -> Answer<Box<RawValue>> {
        let (name, body) = (table.as_str(), json!({ "TableName": table }));
        let answer = ask!(self.control, describe_contributor_insights, DescribeContributorInsights,
            DescribeContributorInsightsOutput, table_name: name, body)?;
        parsed(&answer).map(Some)
    }

    /// The attribute by which DynamoDB deletes a table's items; none where it deletes none.
    pub async fn time_to_live_attribute(&self, table: &TableName) -> Result<Option<String>> {
        let step = || format!("read time to live of table {table}");
        let time_to_live =
            self.time_to_live(table).await.map_err(|refusal| refusal.error).with_context(step)?;
        Ok(TableSettings { time_to_live, ..TableSettings::default() }.time_to_live_attribute())
    }

    /// The days of a table's point-in-time recovery; none where it is off.
    pub async fn recovery_days(&self, table: &TableName) -> Result<Option<u32>> {
        self.turns.take().await;
        let step = || format!("read point-in-time recovery of table {table}");
        let answer = self.continuous_backups(table).await;
        let continuous_backups = answer.map_err(|refusal| refusal.error).with_context(step)?;
        Ok(TableSettings { continuous_backups, ..TableSettings::default() }.recovery_days())
    }

    /// The Kinesis data streams that a table's changes go to.
    pub async fn kinesis_destinations(&self, table: &TableName) -> Result<Vec<KinesisDestination>> {
        let kinesis_destinations = self.kinesis(table).await.map_err(|refusal| refusal.error)?;
        Ok(TableSettings { kinesis_destinations, ..TableSettings::default() }.kinesis_destinations())
    }

    /// (DynamoDB API Reference, “DescribeKinesisStreamingDestination”)
    async fn kinesis(&self, table: &TableName) -> Answer<Box<RawValue>> {
        let (name, body) = (table.as_str(), json!({ "TableName": table }));
        let answer = ask!(self.control, describe_kinesis_streaming_destination,
            DescribeKinesisStreamingDestination, DescribeKinesisStreamingDestinationOutput,
            table_name: name, body)?;
        Ok(members(&answer)?.remove("KinesisDataStreamDestinations"))
    }
}

/// What an operation tells; none where the table has no such setting.
type Answer<T> = Result<Option<T>, Refusal>;

/// Why an operation did not tell.
#[derive(Debug)]
struct Refusal {
    /// The service's error code, where the service answered.
    code: Option<String>,
    error: Error,
}

impl Refusal {
    fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let code = code(error).map(str::to_owned);
        Self { code, error: failure(error, "ask DynamoDB") }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { code: None, error }
    }
}

/// Sorts what could not be read from what may be readable later.
struct Found<'a> {
    table: &'a TableName,
    /// Whether nobody will ask later.
    is_last: bool,
    not_readable: Vec<NotReadable>,
}

impl Found<'_> {
    fn take<T>(&mut self, setting: &str, answer: Answer<T>) -> Result<Option<T>> {
        let Refusal { code, error } = match answer {
            Ok(told) => return Ok(told),
            Err(refusal) => refusal,
        };
        let step = format!("read {setting} of table {}", self.table);
        let is_told = if error.is_retryable() { self.is_last } else { code.is_some() };
        if !is_told {
            return Err(error).context(step);
        }
        let is_denied = code.as_deref() == Some("AccessDeniedException");
        let permission = is_denied.then(|| permission(setting).to_owned());
        let reason = format!("{step}: {}", cause(&error));
        self.not_readable.push(NotReadable { setting: setting.to_owned(), permission, reason });
        Ok(None)
    }
}

/// The permission to read a setting (Service Authorization Reference, “Actions, resources, and condition keys
/// for Amazon DynamoDB”).
fn permission(setting: &str) -> &'static str {
    match setting {
        "TimeToLive" => "dynamodb:DescribeTimeToLive",
        "ContinuousBackups" => "dynamodb:DescribeContinuousBackups",
        "Tags" => "dynamodb:ListTagsOfResource",
        "ResourcePolicy" => "dynamodb:GetResourcePolicy",
        "ContributorInsights" => "dynamodb:DescribeContributorInsights",
        _ => "dynamodb:DescribeKinesisStreamingDestination",
    }
}

fn cause(error: &Error) -> String {
    std::error::Error::source(error).unwrap_or(error).to_string()
}

/// The members of an answer but those that are null.
fn members(answer: &[u8]) -> Result<Members, Refusal> {
    let mut members: Members = parsed(answer)?;
    members.retain(|_, value| value.get() != "null");
    Ok(members)
}

fn parsed<T: DeserializeOwned>(json: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(json)
        .map_err(|error| Error::retryable("read DynamoDB's answer").with_source(error).into())
}

/// Spaces out what is asked of an account, whichever table it is about.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<Option<Instant>>);

impl Turns {
    async fn take(&self) {
        tokio::time::sleep(self.wait(Instant::now())).await;
    }

    /// How long whoever asks now has to wait.
    fn wait(&self, now: Instant) -> Duration {
        let mut next = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = next.map_or(now, |next| next.max(now));
        *next = Some(due + EVERY);
        (due - now).saturating_sub(EVERY * (SAVED_UP - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_first_ten_there_are_five_a_second_and_a_pause_is_made_use_of_once() {
        let (turns, start) = (Turns::default(), Instant::now());
        for later in [0, 3600] {
            let now = start + Duration::from_secs(later);
            let waits: Vec<Duration> = (0..12).map(|_| turns.wait(now)).collect();
            assert!(waits[..10].iter().all(Duration::is_zero), "{waits:?}");
            assert_eq!(waits[10..], [EVERY, EVERY * 2]);
        }
    }

    #[test]
    fn a_refusal_is_listed_and_what_may_pass_is_an_error() {
        let table = TableName::parse("orders").unwrap();
        let mut found = Found { table: &table, is_last: false, not_readable: Vec::new() };
        let refusal = |code: Option<&str>, error: Error| Refusal { code: code.map(str::to_owned), error };
        let answered = || Error::permanent("ask DynamoDB").with_source("AccessDeniedException: no");
        let denied: Answer<()> = Err(refusal(Some("AccessDeniedException"), answered()));
        assert_eq!(found.take("Tags", denied).unwrap(), None);
        let unknown: Answer<()> = Err(refusal(Some("UnknownOperationException"), answered()));
        assert_eq!(found.take("TimeToLive", unknown).unwrap(), None);
        let permissions: Vec<_> = found.not_readable.iter().map(|one| one.permission.as_deref()).collect();
        assert_eq!(permissions, [Some("dynamodb:ListTagsOfResource"), None]);
        assert_eq!(found.not_readable[0].reason, "read Tags of table orders: AccessDeniedException: no");

        let throttled: Answer<()> = Err(refusal(Some("ThrottlingException"), Error::retryable("ask")));
        assert!(found.take("Tags", throttled).unwrap_err().is_retryable());
        let role_refused: Answer<()> = Err(refusal(None, Error::permanent("assume role")));
        assert!(!found.take("Tags", role_refused).unwrap_err().is_retryable());
        assert_eq!(found.not_readable.len(), 2);

        let mut last = Found { table: &table, is_last: true, not_readable: Vec::new() };
        let throttled: Answer<()> = Err(refusal(Some("ThrottlingException"), Error::retryable("ask")));
        assert_eq!(last.take("Tags", throttled).unwrap(), None);
        assert_eq!((last.not_readable.len(), &last.not_readable[0].permission), (1, &None));
        let role_refused: Answer<()> = Err(refusal(None, Error::permanent("assume role")));
        assert!(last.take("Tags", role_refused).is_err());
    }
}
