//! The request that creates a table like another one.

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    AttributeDefinition, BillingMode, KeyElement, OnDemandThroughput, ProvisionedThroughput, SecondaryIndex,
    TableDefinition, VectorIndex, WarmThroughput,
};
use crate::table::TableName;

/// A CreateTable request (DynamoDB API Reference, “CreateTable”).
///
/// What is missing is missing on purpose; `disposition` has the reasons.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CreateTable<'a> {
    table_name: &'a TableName,
    key_schema: &'a [KeyElement],
    attribute_definitions: Vec<&'a AttributeDefinition>,
    billing_mode: BillingMode,
    // DynamoDB refuses empty lists, and throughput of the other billing mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    provisioned_throughput: Option<&'a ProvisionedThroughput>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_demand_throughput: Option<OnDemandThroughput>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    local_secondary_indexes: Vec<SecondaryIndex>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    global_secondary_indexes: Vec<SecondaryIndex>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    vector_indexes: &'a [VectorIndex],
    #[serde(skip_serializing_if = "Option::is_none")]
    table_class: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Tag<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deletion_protection_enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    warm_throughput: Option<WarmThroughput>,
    #[serde(rename = "SSESpecification", skip_serializing_if = "Option::is_none")]
    sse_specification: Option<Value>,
}

/// How a new table differs from the one that it is created after.
#[derive(Clone, Copy, Debug)]
pub struct Creation<'a> {
    pub mode: BillingMode,
    /// Key and value.
    pub tags: &'a [(String, String)],
    /// Whether it cannot be deleted before that is allowed.
    pub is_protected: bool,
    /// The write units a second that it is to take at once, where that is more than a new table does.
    pub warm_write_units: Option<u64>,
    /// The KMS key it is to be under, where that is not DynamoDB's own.
    pub kms_key: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Tag<'a> {
    key: &'a str,
    value: &'a str,
}

impl TableDefinition {
    /// A CreateTable request for `target` with this table's keys, indexes, throughput and class, and with what
    /// `creation` says. Stream, TTL, KMS key and resource policy are left out.
    pub fn create_table(&self, target: &TableName, creation: &Creation<'_>) -> Value {
        let mode = creation.mode;
        let local = self.local_secondary_indexes.iter().map(SecondaryIndex::without_throughput);
        let global = self.lasting_global_indexes().map(|index| index.with_throughput_of(mode));
        let warm = creation.warm_write_units;
        let request = CreateTable {
            table_name: target,
            key_schema: &self.key_schema,
            attribute_definitions: self.lasting_attributes(),
            billing_mode: mode,
            provisioned_throughput: provisioned(mode, self.provisioned_throughput.as_ref()),
            on_demand_throughput: on_demand(mode, self.on_demand_throughput.as_ref()),
            local_secondary_indexes: local.collect(),
            global_secondary_indexes: global.collect(),
            vector_indexes: &self.vector_indexes,
            table_class: self.table_class_summary.as_ref().and_then(|summary| summary.table_class.as_deref()),
            tags: creation.tags.iter().map(|(key, value)| Tag { key, value }).collect(),
            deletion_protection_enabled: creation.is_protected,
            warm_throughput: warm.map(|units| WarmThroughput { write_units_per_second: Some(units) }),
            sse_specification: creation.kms_key.map(encryption),
        };
        serde_json::to_value(request).expect("strings and numbers always serialise")
    }
}

impl TableDefinition {
    /// Without those that only an index names which is being deleted: DynamoDB refuses what no key names.
    fn lasting_attributes(&self) -> Vec<&AttributeDefinition> {
        let deleted = self.global_secondary_indexes.iter().filter(|index| index.is_being_deleted());
        let lasting = self.local_secondary_indexes.iter().chain(self.lasting_global_indexes());
        let lasting: Vec<_> = lasting.flat_map(|index| &index.key_schema).chain(&self.key_schema).collect();
        let deleted: Vec<_> = deleted.flat_map(|index| &index.key_schema).collect();
        let names = |elements: &[&KeyElement], attribute: &AttributeDefinition| {
            elements.iter().any(|element| element.attribute_name == attribute.attribute_name)
        };
        let attributes = self.attribute_definitions.iter();
        attributes.filter(|it| !names(&deleted, it) || names(&lasting, it)).collect()
    }
}

/// The `SSESpecification` of a customer managed key (DynamoDB API Reference, “SSESpecification”).
pub(super) fn encryption(kms_key: &str) -> Value {
    json!({ "Enabled": true, "SSEType": "KMS", "KMSMasterKeyId": kms_key })
}

impl SecondaryIndex {
    fn without_throughput(&self) -> Self {
        Self { provisioned_throughput: None, on_demand_throughput: None, ..self.clone() }
    }

    pub(super) fn with_throughput_of(&self, mode: BillingMode) -> Self {
        Self {
            provisioned_throughput: provisioned(mode, self.provisioned_throughput.as_ref()).cloned(),
            on_demand_throughput: on_demand(mode, self.on_demand_throughput.as_ref()),
            ..self.clone()
        }
    }
}

/// An on-demand table is described with a throughput of zeros, which CreateTable does not take.
fn provisioned(
    mode: BillingMode,
    throughput: Option<&ProvisionedThroughput>,
) -> Option<&ProvisionedThroughput> {
    throughput.filter(|_| mode == BillingMode::Provisioned)
}

/// Keeps real limits: −1 stands for none, and a limit of neither reads nor writes is refused.
fn on_demand(mode: BillingMode, throughput: Option<&OnDemandThroughput>) -> Option<OnDemandThroughput> {
    let throughput = throughput.filter(|_| mode == BillingMode::PayPerRequest)?;
    let limit = |units: Option<i64>| units.filter(|units| *units > 0);
    let limits = OnDemandThroughput {
        max_read_request_units: limit(throughput.max_read_request_units),
        max_write_request_units: limit(throughput.max_write_request_units),
    };
    (limits.max_read_request_units.or(limits.max_write_request_units)).map(|_| limits)
}
