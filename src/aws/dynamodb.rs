//! DynamoDB: tables described, scanned, created and written as DynamoDB's own JSON.

mod batch_write;
mod changes;
mod probe;
mod settings;

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::{RetryPartition, TokenBucket};
use aws_sdk_dynamodb::operation::create_table::{CreateTable, CreateTableOutput};
use aws_sdk_dynamodb::operation::describe_table::{DescribeTable, DescribeTableOutput};
use aws_sdk_dynamodb::operation::scan::{Scan, ScanOutput};
use aws_sdk_dynamodb::types::Tag;
use aws_smithy_runtime_api::client::interceptors::context::{InterceptorContext, Output};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use self::batch_write::BatchWrites;
use self::settings::Turns;
use super::failure::{code, failure};
use super::wire::{AnswerStream, Integrity, RawCall};
use super::{ATTEMPT_TIMEOUT, Retries, Session};
use crate::error::{Context, Error, Result};
use crate::page::{Page, PageReader};
use crate::rate::Throttle;
use crate::table::TableName;

/// The DynamoDB tables of one account and region.
#[derive(Clone, Debug)]
pub struct Tables {
    /// Describes, creates and tags tables.
    control: Client,
    /// Reads items.
    scans: Client,
    /// Writes items.
    batch_writes: BatchWrites,
    /// Settings are read by calls of which an account has few.
    turns: Arc<Turns>,
    retries: Retries,
    side: Side,
}

/// Whose tables they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    /// They are there, or they are not.
    Source,
    /// They are created by us: one that has just become ACTIVE is not known to all of DynamoDB at once.
    Copies,
}

/// One page of a segment's Scan.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ScanRequest<'a> {
    pub table_name: &'a TableName,
    pub segment: u32,
    pub total_segments: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclusive_start_key: Option<&'a RawValue>,
    pub consistent_read: bool,
    /// The most items of the page, none for as many as fit into 1 MB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    pub return_consumed_capacity: &'static str,
}

/// What became of a request for a new table.
#[derive(Debug)]
pub enum TableCreation {
    Begun,
    /// The account creates as many tables at once as it may, or has as many (DynamoDB Developer Guide,
    /// “Service quotas”); the answer says which in words only.
    Limited(Error),
}

impl Tables {
    /// The tables of a source. `purpose` names the retry partition: without one of its own, the clients of two
    /// accounts would spend each other's retry quota (SDK documentation, `RetryPartition`).
    pub fn of_source(session: &Session, purpose: &str) -> Self {
        Self::new(session, purpose, Side::Source)
    }

    /// Tables that may have been created a moment ago: that one does not exist may pass.
    pub fn of_copies(session: &Session, purpose: &str) -> Self {
        Self::new(session, purpose, Side::Copies)
    }

    fn new(session: &Session, purpose: &str, side: Side) -> Self {
        let partition =
            RetryPartition::custom(format!("dynamodb-{purpose}")).token_bucket(retry_quota()).build();
        let mut config = aws_sdk_dynamodb::config::Builder::from(&session.sdk)
            .retry_partition(partition.clone())
            .interceptor(session.retries.clone());
        if let Some(role) = &session.role {
            config = config.interceptor(role.clone()).retry_classifier(role.clone());
        }
        let scans = config.clone().retry_classifier(ThrottlesAreOurs);
        Self {
            control: Client::from_conf(config.build()),
            scans: Client::from_conf(scans.build()),
            batch_writes: BatchWrites::new(session, partition),
            turns: Arc::default(),
            retries: session.retries.clone(),
            side,
        }
    }

    /// What an error comes to: [`failure()`], and what it means that a table does not exist.
    fn failure<E>(&self, error: &SdkError<E, HttpResponse>, step: impl Into<String>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let failure = failure(error, step);
        match (code(error), self.side) {
            (Some("ResourceNotFoundException"), Side::Copies) => failure.into_retryable(),
            (Some("ResourceNotFoundException"), Side::Source) => failure.with_mend(GONE),
            _ => failure,
        }
    }

    /// Counts what is sent again by whoever reads or writes items.
    pub fn retries(&self) -> &Retries {
        &self.retries
    }

    /// The names of all tables, in the order DynamoDB lists them (pages of 100).
    pub async fn list(&self) -> Result<Vec<TableName>> {
        let mut pages = self.control.list_tables().into_paginator().items().send();
        let mut names = Vec::new();
        while let Some(name) = pages.next().await {
            let name = name.map_err(|error| failure(&error, "list the tables"))?;
            names.push(TableName::parse(&name)?);
        }
        Ok(names)
    }

    /// The `Table` member of DescribeTable's answer as DynamoDB sent it, or `None` where there is no such table.
    pub async fn describe(&self, table: &TableName) -> Result<Option<Box<RawValue>>> {
        let body = json(&serde_json::json!({ "TableName": table }));
        let call = RawCall::new(
            "DynamoDB_20120810.DescribeTable",
            &DescribeTable::new(),
            || Output::erase(DescribeTableOutput::builder().build()),
            body,
        );
        let operation = self.control.describe_table().table_name(table.as_str());
        match operation.customize().interceptor(call.clone()).send().await {
            Ok(_) => table_member(&call.answer()).map(Some),
            Err(error) if code(&error) == Some("ResourceNotFoundException") => Ok(None),
            Err(error) => Err(failure(&error, format!("describe table {table}"))),
        }
    }

    /// One Scan page, sliced while it arrives and its checksum verified. `buffer` is a page's that is no longer
    /// needed: its memory is used again.
    pub async fn scan(&self, request: &ScanRequest<'_>, buffer: Vec<u8>) -> Result<Page, CallError> {
        let call = RawCall::new(
            "DynamoDB_20120810.Scan",
            &Scan::new(),
            || Output::erase(ScanOutput::builder().build()),
            json(request),
        )
        .streamed();
        let step = || format!("scan table {}", request.table_name);
        let operation = self.scans.scan().table_name(request.table_name.as_str());
        let sent = operation.customize().interceptor(call.clone()).send().await;
        sent.map_err(|error| call_error(&error, self.failure(&error, step())))?;
        let reading = tokio::time::timeout(ATTEMPT_TIMEOUT, read_page(call.stream(), buffer)).await;
        let page = reading.unwrap_or_else(|late| Err(Error::retryable("read the page").with_source(late)));
        page.context(step()).map_err(CallError::Failed)
    }

    /// Sends a BatchWriteItem body and gives the answer's body.
    pub async fn batch_write(&self, table: &TableName, body: Bytes) -> Result<Bytes, CallError> {
        let sent = self.batch_writes.send(body).await;
        sent.map_err(|error| call_error(&error, self.failure(&error, format!("write to table {table}"))))
    }

    /// Sends a CreateTable request. That the table is there is success: somebody was first.
    pub async fn create(&self, table: &TableName, request: &serde_json::Value) -> Result<TableCreation> {
        let call = RawCall::new(
            "DynamoDB_20120810.CreateTable",
            &CreateTable::new(),
            || Output::erase(CreateTableOutput::builder().build()),
            json(request),
        );
        let operation = self.control.create_table().table_name(table.as_str());
        match operation.customize().interceptor(call).send().await {
            Ok(_) => Ok(TableCreation::Begun),
            Err(error) if code(&error) == Some("ResourceInUseException") => Ok(TableCreation::Begun),
            Err(error) => {
                let limited = code(&error) == Some("LimitExceededException");
                let error = failure(&error, format!("create table {table}"));
                if limited { Ok(TableCreation::Limited(error)) } else { Err(error) }
            }
        }
    }

    /// The tags of a table, all pages.
    pub async fn tags(&self, table_arn: &str) -> Result<Vec<(String, String)>> {
        let mut tags = Vec::new();
        let mut next = None;
        loop {
            let page = self
                .control
                .list_tags_of_resource()
                .resource_arn(table_arn)
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| self.failure(&error, format!("list the tags of {table_arn}")))?;
            tags.extend(page.tags().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())));
            next = page.next_token;
            if next.is_none() {
                return Ok(tags);
            }
        }
    }

    /// Adds tags to a table.
    pub async fn tag(&self, table_arn: &str, tags: &[(String, String)]) -> Result<()> {
        let step = || format!("tag {table_arn}");
        let mut request = self.control.tag_resource().resource_arn(table_arn);
        for (key, value) in tags {
            let tag = Tag::builder().key(key).value(value).build();
            request = request.tags(tag.map_err(|error| Error::permanent(step()).with_source(error))?);
        }
        request.send().await.map_err(|error| failure(&error, step()))?;
        Ok(())
    }
}

/// What to do about a table of a source that is not there.
const GONE: &str = "if it is gone for good, the next run of all tables leaves it out";

/// The SDK spends this quota on retries and earns it back with successes; under a long throttle it would run
/// dry, and every call would have one attempt. It fills again with time.
fn retry_quota() -> TokenBucket {
    TokenBucket::builder().capacity(1000).refill_rate(50.0).build()
}

/// Why a read or a write of items did not succeed.
#[derive(Debug)]
pub enum CallError {
    /// The table, or a part of it, is short of capacity. The SDK does not try again: how long to wait and how
    /// much to slow down is for whoever paces the calls.
    Throttled(Throttle, Error),
    /// The content of the request is refused as a whole: at least one of its items can never be written as it
    /// stands; which one, the service does not say.
    Rejected(Error),
    Failed(Error),
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Throttled(_, error) | CallError::Rejected(error) | CallError::Failed(error) => error,
        }
    }
}

/// `failure` is what the error comes to.
fn call_error<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>, failure: Error) -> CallError {
    let answer = error.raw_response().and_then(|response| response.body().bytes()).unwrap_or_default();
    match code(error) {
        Some(code) if is_throttle(code) => CallError::Throttled(throttle(answer), failure),
        Some("ValidationException" | "ItemCollectionSizeLimitExceededException") => {
            CallError::Rejected(failure)
        }
        _ => CallError::Failed(failure),
    }
}

/// The codes of a table that is short of capacity (DynamoDB API Reference, “BatchWriteItem”, “Errors”).
fn is_throttle(code: &str) -> bool {
    matches!(code, "ProvisionedThroughputExceededException" | "ThrottlingException" | "RequestLimitExceeded")
}

/// What is short of capacity, by the answer's reasons. The exceptions spell the member in different cases
/// (DynamoDB API Reference, “ThrottlingReason”; aws-sdk-dynamodb reads `ThrottlingReasons` and
/// `throttlingReasons`).
fn throttle(answer: &[u8]) -> Throttle {
    #[derive(Deserialize)]
    struct Reasons {
        #[serde(alias = "ThrottlingReasons", alias = "throttlingReasons", default)]
        reasons: Vec<Reason>,
    }
    #[derive(Deserialize)]
    struct Reason {
        #[serde(alias = "Reason", default)]
        reason: String,
    }
    let reasons = serde_json::from_slice::<Reasons>(answer).map(|answer| answer.reasons).unwrap_or_default();
    Throttle::of_all(reasons.iter().map(|reason| reason.reason.as_str()))
}

/// Leaves throttles to whoever paces the calls; what else may pass, the SDK tries again as ever.
#[derive(Debug)]
struct ThrottlesAreOurs;

impl ClassifyRetry for ThrottlesAreOurs {
    fn classify_retry(&self, call: &InterceptorContext) -> RetryAction {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(rename = "__type")]
            code: String,
        }
        let answer = call.response().filter(|response| response.status().as_u16() == 400);
        let body = answer.and_then(|answer| answer.body().bytes()).unwrap_or_default();
        match serde_json::from_slice::<Answer>(body) {
            Ok(answer) if answer.code.rsplit('#').next().is_some_and(is_throttle) => {
                RetryAction::RetryForbidden
            }
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "throttles are paced by the caller"
    }
}

async fn read_page(mut answer: AnswerStream, buffer: Vec<u8>) -> Result<Page> {
    let mut page = PageReader::reusing(buffer);
    while let Some(bytes) = answer.next().await? {
        page.feed(&bytes)?;
    }
    match answer.verify()? {
        Integrity::Verified => page.finish(),
        Integrity::Unknown => page.finish_unverified(),
    }
}

fn json(request: &impl Serialize) -> Bytes {
    serde_json::to_vec(request).expect("requests are plain data with string keys").into()
}

fn table_member(answer: &[u8]) -> Result<Box<RawValue>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        table: Box<RawValue>,
    }
    let answer: Answer = serde_json::from_slice(answer)
        .map_err(|error| Error::retryable("read DescribeTable's answer").with_source(error))?;
    Ok(answer.table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_a_throttle_is_read_in_both_spellings_and_the_table_outweighs_the_partition() {
        let provisioned = r#"{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
            "message":"…","ThrottlingReasons":[{"reason":"TableReadKeyRangeThroughputExceeded","resource":"arn"},
            {"reason":"IndexWriteProvisionedThroughputExceeded","resource":"arn"}]}"#;
        assert_eq!(throttle(provisioned.as_bytes()), Throttle::Table);
        let throttling =
            r#"{"message":"…","throttlingReasons":[{"reason":"TableWriteAccountLimitExceeded"}]}"#;
        assert_eq!(throttle(throttling.as_bytes()), Throttle::Account);
        let requests = r#"{"ThrottlingReasons":[{"reason":"TableReadKeyRangeThroughputExceeded"}]}"#;
        assert_eq!(throttle(requests.as_bytes()), Throttle::Partition);
    }

    #[test]
    fn a_throttle_without_a_reason_is_one_all_the_same() {
        for answer in [r#"{"message":"…"}"#, r#"{"ThrottlingReasons":[]}"#, "", "no JSON"] {
            assert_eq!(throttle(answer.as_bytes()), Throttle::Unknown, "{answer}");
        }
    }
}
