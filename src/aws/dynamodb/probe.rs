//! Harmless calls that show what a role may do: about a table that does not exist.

use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, Tag, WriteRequest};

use super::Tables;
use crate::aws::access::{Access, access};
use crate::error::{Error, Result};
use crate::table::TableName;

/// What DynamoDB answers about a table that does not exist to whoever may ask (DynamoDB API Reference, “Common
/// errors”: access is denied before).
const MISSING: &[&str] = &["ResourceNotFoundException"];

impl Tables {
    /// Whether a table may be described, and whether it is known to exist.
    pub async fn may_describe(&self, table: &TableName) -> Result<(Access, bool)> {
        let answer = self.control.describe_table().table_name(table.as_str()).send().await;
        let exists = answer.is_ok();
        let access = access(answer, MISSING, format!("describe table {table}"))?;
        Ok((access, exists))
    }

    /// Whether a table that does not exist may be scanned.
    pub async fn may_scan(&self, missing: &TableName) -> Result<Access> {
        let answer = self.control.scan().table_name(missing.as_str()).limit(1).send().await;
        access(answer, MISSING, format!("scan table {missing}, which does not exist"))
    }

    /// Whether a table that does not exist may be written. Should it be created at this very moment, an item would
    /// be deleted that it does not have.
    pub async fn may_write(&self, missing: &TableName) -> Result<Access> {
        let step = format!("write to table {missing}, which does not exist");
        let delete = DeleteRequest::builder().key("pk", AttributeValue::S(missing.to_string())).build();
        let delete = delete.map_err(|error| Error::permanent(&step).with_source(error))?;
        let delete = WriteRequest::builder().delete_request(delete).build();
        let request = self.control.batch_write_item().request_items(missing.as_str(), vec![delete]);
        access(request.send().await, MISSING, step)
    }

    /// Whether the tags of a table may be listed, whether it exists or not.
    pub async fn may_list_tags(&self, table_arn: &str) -> Result<Access> {
        let answer = self.control.list_tags_of_resource().resource_arn(table_arn).send().await;
        access(answer, MISSING, format!("list the tags of {table_arn}"))
    }

    /// Whether a table that does not exist may be tagged.
    pub async fn may_tag(&self, missing_arn: &str) -> Result<Access> {
        let step = format!("tag {missing_arn}, which does not exist");
        let tag = Tag::builder().key("dynamodb-backup").value("doctor").build();
        let tag = tag.map_err(|error| Error::permanent(&step).with_source(error))?;
        let answer = self.control.tag_resource().resource_arn(missing_arn).tags(tag).send().await;
        access(answer, MISSING, step)
    }
}
