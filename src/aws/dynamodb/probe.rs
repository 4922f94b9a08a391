//! Harmless calls that show what a role may do: about a table that does not exist.

use aws_sdk_dynamodb::types::{
    AttributeValue, DeleteRequest, PointInTimeRecoverySpecification, Tag, WriteRequest,
};

use super::Tables;
use crate::aws::access::{Access, access};
use crate::error::{Error, Result};
use crate::table::TableName;

/// What DynamoDB answers about a table that does not exist to whoever may ask (DynamoDB API Reference, “Common
/// errors”: access is denied before).
const MISSING: &[&str] = &["ResourceNotFoundException"];

/// The same, where the call is about continuous backups.
const MISSING_BACKUPS: &[&str] = &["TableNotFoundException"];

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

    /// Whether it may be asked by which attribute the items of a table expire.
    pub async fn may_read_time_to_live(&self, missing: &TableName) -> Result<Access> {
        let answer = self.control.describe_time_to_live().table_name(missing.as_str()).send().await;
        access(answer, MISSING, format!("read time to live of table {missing}, which does not exist"))
    }

    /// Whether a table that does not exist may be changed. Should it be created at this very moment, it would be
    /// protected from deletion.
    pub async fn may_update(&self, missing: &TableName) -> Result<Access> {
        let request = self.control.update_table().table_name(missing.as_str());
        let answer = request.deletion_protection_enabled(true).send().await;
        access(answer, MISSING, format!("update table {missing}, which does not exist"))
    }

    /// Whether it may be asked how far back a table can be restored.
    pub async fn may_read_recovery(&self, missing: &TableName) -> Result<Access> {
        let answer = self.control.describe_continuous_backups().table_name(missing.as_str()).send().await;
        let step = format!("read point-in-time recovery of table {missing}, which does not exist");
        access(answer, MISSING_BACKUPS, step)
    }

    /// Whether point-in-time recovery may be enabled, of a table that does not exist. Should it be created at this
    /// very moment, it would have it.
    pub async fn may_enable_recovery(&self, missing: &TableName) -> Result<Access> {
        let step = format!("enable point-in-time recovery of table {missing}, which does not exist");
        let wanted = PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(true).build();
        let wanted = wanted.map_err(|error| Error::permanent(&step).with_source(error))?;
        let request = self.control.update_continuous_backups().table_name(missing.as_str());
        access(request.point_in_time_recovery_specification(wanted).send().await, MISSING_BACKUPS, step)
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
