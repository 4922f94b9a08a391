//! What a table is, in DynamoDB's own JSON shapes.
//!
//! The types here hold what CreateTable takes of what DescribeTable gives. What can only be read (status of
//! an index, its ARN, size and counters) has no field, so it cannot leak into a request. `settings` holds what
//! other calls tell.

pub mod blueprint;
mod changes;
pub mod create;
pub mod disposition;
pub mod settings;
mod words;

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};

/// The `Table` member of a DescribeTable answer (DynamoDB API Reference, “TableDescription”).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TableDefinition {
    pub table_name: String,
    pub table_arn: String,
    pub table_id: Option<String>,
    pub table_status: String,
    /// Seconds since 1970.
    pub creation_date_time: Option<f64>,
    /// As of some time in the last six hours or so.
    #[serde(default)]
    pub table_size_bytes: u64,
    /// As of some time in the last six hours or so.
    #[serde(default)]
    pub item_count: u64,
    pub key_schema: Vec<KeyElement>,
    pub attribute_definitions: Vec<AttributeDefinition>,
    #[serde(default)]
    pub local_secondary_indexes: Vec<SecondaryIndex>,
    #[serde(default)]
    pub global_secondary_indexes: Vec<SecondaryIndex>,
    #[serde(default)]
    pub vector_indexes: Vec<VectorIndex>,
    /// Absent from a table that has been provisioned since it was created.
    pub billing_mode_summary: Option<BillingModeSummary>,
    /// Zeros for an on-demand table.
    pub provisioned_throughput: Option<ProvisionedThroughput>,
    pub on_demand_throughput: Option<OnDemandThroughput>,
    pub warm_throughput: Option<WarmThroughput>,
    /// Absent from a table of the class `STANDARD`.
    pub table_class_summary: Option<TableClassSummary>,
    pub stream_specification: Option<StreamSpecification>,
    /// Absent from a table under DynamoDB's own key. CreateTable is never given it.
    #[serde(rename = "SSEDescription")]
    pub sse_description: Option<SseDescription>,
    /// Of a global table. CreateTable has none.
    #[serde(default)]
    pub replicas: Vec<Replica>,
    /// CreateTable is never given it.
    #[serde(default)]
    pub deletion_protection_enabled: bool,
}

/// One attribute of the key of a table or index. A global index may have several of each role, in order
/// (DynamoDB Developer Guide, “Multi-attribute keys pattern”).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct KeyElement {
    pub attribute_name: String,
    /// `HASH` (partition) or `RANGE` (sort).
    pub key_type: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct AttributeDefinition {
    pub attribute_name: String,
    pub attribute_type: String,
}

/// A local or global secondary index. Only a global one has a throughput of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SecondaryIndex {
    pub index_name: String,
    pub key_schema: Vec<KeyElement>,
    pub projection: Projection,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provisioned_throughput: Option<ProvisionedThroughput>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_demand_throughput: Option<OnDemandThroughput>,
    /// Of a global one. CreateTable is never given it.
    #[serde(default, skip_serializing)]
    pub index_status: Option<String>,
}

/// A vector index; its settings are handed on as they are (DynamoDB API Reference, “VectorIndex”).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct VectorIndex {
    pub index_name: String,
    pub dimensions: Value,
    pub distance_function: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vector_attribute: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search_schema: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub projection: Option<Projection>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Projection {
    /// `ALL`, `KEYS_ONLY` or `INCLUDE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub projection_type: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub non_key_attributes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct BillingModeSummary {
    pub billing_mode: Option<BillingMode>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BillingMode {
    Provisioned,
    PayPerRequest,
}

/// Read and write capacity units per second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ProvisionedThroughput {
    pub read_capacity_units: u64,
    pub write_capacity_units: u64,
}

/// The most that an on-demand table or index may use per second; −1 stands for no limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct OnDemandThroughput {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_read_request_units: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_write_request_units: Option<i64>,
}

/// The units a second that a table takes at once; it grows with use (DynamoDB Developer Guide, “Understanding
/// DynamoDB warm throughput”).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct WarmThroughput {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_units_per_second: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TableClassSummary {
    pub table_class: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StreamSpecification {
    pub stream_enabled: bool,
    pub stream_view_type: Option<String>,
}

/// Under which key of KMS a table lies (DynamoDB API Reference, “SSEDescription”).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SseDescription {
    #[serde(rename = "KMSMasterKeyArn")]
    pub kms_master_key_arn: Option<String>,
}

/// The replica of a global table in another region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Replica {
    pub region_name: Option<String>,
}

/// A table's primary key with the types of its attributes, shown as `pk (S), sk (N)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySchema {
    pub partition: KeyAttribute,
    pub sort: Option<KeyAttribute>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyAttribute {
    pub name: String,
    pub kind: KeyType,
}

/// The types a key attribute may have: string, number, binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyType {
    S,
    N,
    B,
}

impl TableDefinition {
    /// The table's primary key. The error is permanent: a definition without one names the table.
    pub fn key(&self) -> Result<KeySchema> {
        let partition = self.key_attribute("HASH")?;
        let partition = partition.ok_or_else(|| self.refuse("has no partition key"))?;
        Ok(KeySchema { partition, sort: self.key_attribute("RANGE")? })
    }

    /// Why the table cannot be backed up now, in words; none when it can (DynamoDB API Reference,
    /// “TableDescription”: data can be read while it is `ACTIVE` or `UPDATING`).
    pub fn unavailable(&self) -> Option<String> {
        let reason = match self.table_status.as_str() {
            "ACTIVE" | "UPDATING" => return None,
            "CREATING" => "it is still being created",
            "DELETING" => "it is being deleted",
            "INACCESSIBLE_ENCRYPTION_CREDENTIALS" => "DynamoDB cannot use its KMS key",
            "ARCHIVING" => "DynamoDB is archiving it, because its KMS key has been inaccessible for long",
            "ARCHIVED" => "DynamoDB has archived it, because its KMS key was inaccessible for long",
            unknown => return Some(format!("it has the unknown status {unknown}")),
        };
        Some(format!("{reason} (status {})", self.table_status))
    }

    /// What the table is provisioned with; `None` for one that is paid by request.
    pub fn provisioned_units(&self) -> Option<&ProvisionedThroughput> {
        let is_provisioned = self.billing_mode() == BillingMode::Provisioned;
        self.provisioned_throughput.as_ref().filter(|_| is_provisioned)
    }

    /// The write units a second that the table takes at once, where that is told.
    pub fn warm_write_units(&self) -> Option<u64> {
        self.warm_throughput.as_ref().and_then(|warm| warm.write_units_per_second)
    }

    /// The average size of an item in bytes, if the table has any as far as is known.
    pub fn item_bytes(&self) -> Option<f64> {
        (self.item_count > 0).then(|| self.table_size_bytes as f64 / self.item_count as f64)
    }

    /// When the table was created.
    pub fn created_at(&self) -> Option<Timestamp> {
        let seconds = SignedDuration::try_from_secs_f64(self.creation_date_time?).ok()?;
        Timestamp::from_duration(seconds).ok()
    }

    /// How the table is paid for. One that was never switched has no summary and is provisioned.
    pub fn billing_mode(&self) -> BillingMode {
        let summary = self.billing_mode_summary.as_ref();
        summary.and_then(|summary| summary.billing_mode).unwrap_or(BillingMode::Provisioned)
    }

    /// `STANDARD` where none is told (DynamoDB API Reference, “TableClassSummary”).
    pub fn table_class(&self) -> &str {
        let class = self.table_class_summary.as_ref().and_then(|summary| summary.table_class.as_deref());
        class.unwrap_or("STANDARD")
    }

    /// The ARN of the key that the table is under, where that is not DynamoDB's own.
    pub fn kms_key(&self) -> Option<&str> {
        self.sse_description.as_ref().and_then(|sse| sse.kms_master_key_arn.as_deref())
    }

    /// The global indexes but those that are being deleted.
    fn lasting_global_indexes(&self) -> impl Iterator<Item = &SecondaryIndex> {
        self.global_secondary_indexes.iter().filter(|index| !index.is_being_deleted())
    }

    /// Whether a global index of the table is being built or deleted; then no other one can be.
    pub fn has_index_at_work(&self) -> bool {
        let at_work = |index: &SecondaryIndex| index.index_status.as_deref().is_some_and(|it| it != "ACTIVE");
        self.global_secondary_indexes.iter().any(at_work)
    }

    /// What of an item the table's stream shows, where it has one.
    pub fn stream_view(&self) -> Option<&str> {
        let stream = self.stream_specification.as_ref().filter(|stream| stream.stream_enabled);
        stream.and_then(|stream| stream.stream_view_type.as_deref())
    }

    fn key_attribute(&self, role: &str) -> Result<Option<KeyAttribute>> {
        let mut elements = self.key_schema.iter().filter(|element| element.key_type == role);
        let Some(element) = elements.next() else { return Ok(None) };
        if elements.next().is_some() {
            return Err(self.refuse(&format!("has several key attributes of the role {role}")));
        }
        let name = element.attribute_name.clone();
        let kind = self.attribute_type(&name).and_then(KeyType::from_name);
        let kind = kind.ok_or_else(|| self.refuse(&format!("has no key type for its attribute {name:?}")))?;
        Ok(Some(KeyAttribute { name, kind }))
    }

    fn attribute_type(&self, name: &str) -> Option<&str> {
        let definition =
            self.attribute_definitions.iter().find(|definition| definition.attribute_name == name)?;
        Some(&definition.attribute_type)
    }

    fn refuse(&self, reason: &str) -> Error {
        Error::permanent(format!("the definition of table {} {reason}", self.table_name))
    }
}

impl BillingMode {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provisioned => "PROVISIONED",
            Self::PayPerRequest => "PAY_PER_REQUEST",
        }
    }
}

impl SecondaryIndex {
    fn is_being_deleted(&self) -> bool {
        self.index_status.as_deref() == Some("DELETING")
    }
}

impl KeyType {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::S => "S",
            Self::N => "N",
            Self::B => "B",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::S, Self::N, Self::B].into_iter().find(|kind| kind.as_str() == name)
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for KeyAttribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.kind)
    }
}

impl fmt::Display for KeySchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.partition)?;
        self.sort.iter().try_for_each(|sort| write!(f, ", {sort}"))
    }
}

#[cfg(test)]
mod tests;
