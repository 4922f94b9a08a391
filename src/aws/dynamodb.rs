//! DynamoDB: tables described, scanned, created and written as DynamoDB's own JSON.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::{RetryPartition, TokenBucket};
use aws_sdk_dynamodb::operation::batch_write_item::{BatchWriteItem, BatchWriteItemOutput};
use aws_sdk_dynamodb::operation::create_table::{CreateTable, CreateTableOutput};
use aws_sdk_dynamodb::operation::describe_table::{DescribeTable, DescribeTableOutput};
use aws_sdk_dynamodb::operation::scan::{Scan, ScanOutput};
use aws_sdk_dynamodb::types::Tag;
use aws_smithy_runtime_api::client::interceptors::context::Output;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Session;
use super::failure::{code, failure};
use super::wire::RawCall;
use crate::error::{Error, Result};
use crate::table::TableName;

/// The DynamoDB tables of one account and region.
#[derive(Clone, Debug)]
pub struct Tables {
    client: Client,
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
    /// `purpose` names the retry partition: without one of its own, the clients of two accounts would spend
    /// each other's retry quota (SDK documentation, `RetryPartition`).
    pub fn new(session: &Session, purpose: &str) -> Self {
        let config = aws_sdk_dynamodb::config::Builder::from(&session.sdk)
            .retry_partition(
                RetryPartition::custom(format!("dynamodb-{purpose}")).token_bucket(retry_quota()).build(),
            )
            .build();
        Self { client: Client::from_conf(config) }
    }

    /// The names of all tables, in the order DynamoDB lists them (pages of 100).
    pub async fn list(&self) -> Result<Vec<TableName>> {
        let mut pages = self.client.list_tables().into_paginator().items().send();
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
        let operation = self.client.describe_table().table_name(table.as_str());
        match operation.customize().interceptor(call.clone()).send().await {
            Ok(_) => table_member(&call.answer()).map(Some),
            Err(error) if code(&error) == Some("ResourceNotFoundException") => Ok(None),
            Err(error) => Err(failure(&error, format!("describe table {table}"))),
        }
    }

    /// One Scan page, its checksum verified, as bytes.
    pub async fn scan(&self, request: &ScanRequest<'_>) -> Result<Bytes> {
        let call = RawCall::new(
            "DynamoDB_20120810.Scan",
            &Scan::new(),
            || Output::erase(ScanOutput::builder().build()),
            json(request),
        );
        let operation = self.client.scan().table_name(request.table_name.as_str());
        operation
            .customize()
            .interceptor(call.clone())
            .send()
            .await
            .map_err(|error| failure(&error, format!("scan table {}", request.table_name)))?;
        Ok(call.answer())
    }

    /// Sends a BatchWriteItem body and gives the answer's body.
    ///
    /// # Errors
    /// [`Rejected`](BatchError::Rejected) when DynamoDB refuses the content of the request as a whole.
    pub async fn batch_write(&self, table: &TableName, body: Bytes) -> Result<Bytes, BatchError> {
        let call = RawCall::new(
            "DynamoDB_20120810.BatchWriteItem",
            &BatchWriteItem::new(),
            || Output::erase(BatchWriteItemOutput::builder().build()),
            body,
        );
        let operation = self.client.batch_write_item().request_items(table.as_str(), Vec::new());
        match operation.customize().interceptor(call.clone()).send().await {
            Ok(_) => Ok(call.answer()),
            Err(error) => {
                let code = code(&error).map(ToOwned::to_owned);
                let error = failure(&error, format!("write to table {table}"));
                Err(match code.as_deref() {
                    Some("ValidationException" | "ItemCollectionSizeLimitExceededException") => {
                        BatchError::Rejected(error)
                    }
                    // A table that has just become ACTIVE is not known to all of DynamoDB at once.
                    Some("ResourceNotFoundException") => BatchError::Failed(error.into_retryable()),
                    _ => BatchError::Failed(error),
                })
            }
        }
    }

    /// Sends a CreateTable request. That the table is there is success: somebody was first.
    pub async fn create(&self, table: &TableName, request: &serde_json::Value) -> Result<TableCreation> {
        let call = RawCall::new(
            "DynamoDB_20120810.CreateTable",
            &CreateTable::new(),
            || Output::erase(CreateTableOutput::builder().build()),
            json(request),
        );
        let operation = self.client.create_table().table_name(table.as_str());
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
                .client
                .list_tags_of_resource()
                .resource_arn(table_arn)
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| failure(&error, format!("list the tags of {table_arn}")))?;
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
        let mut request = self.client.tag_resource().resource_arn(table_arn);
        for (key, value) in tags {
            let tag = Tag::builder().key(key).value(value).build();
            request = request.tags(tag.map_err(|error| Error::permanent(step()).with_source(error))?);
        }
        request.send().await.map_err(|error| failure(&error, step()))?;
        Ok(())
    }
}

/// The SDK spends this quota on retries and earns it back with successes; under a long throttle it would run
/// dry, and every call would have one attempt. It fills again with time.
fn retry_quota() -> TokenBucket {
    TokenBucket::builder().capacity(1000).refill_rate(50.0).build()
}

/// Why a batch was not written.
#[derive(Debug)]
pub enum BatchError {
    /// At least one of its items can never be written as it stands; which one, the service does not say.
    Rejected(Error),
    Failed(Error),
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
