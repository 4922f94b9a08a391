//! The request that creates a table like another one.

use serde::Serialize;
use serde_json::Value;

use super::{
    AttributeDefinition, BillingMode, KeyElement, OnDemandThroughput, ProvisionedThroughput, SecondaryIndex,
    TableDefinition, VectorIndex,
};
use crate::table::TableName;

/// A CreateTable request (DynamoDB API Reference, “CreateTable”).
///
/// What is missing is missing on purpose: a stream, time to live, KMS key or resource policy of the source
/// would eat or leak the backup.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CreateTable<'a> {
    table_name: &'a TableName,
    key_schema: &'a [KeyElement],
    attribute_definitions: &'a [AttributeDefinition],
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
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Tag<'a> {
    key: &'a str,
    value: &'a str,
}

impl TableDefinition {
    /// A CreateTable request for `target` with this table's keys, indexes, billing mode, throughput and
    /// class, and the given tags (key, value). Stream, TTL, KMS key and resource policy are left out.
    pub fn create_table(&self, target: &TableName, tags: &[(String, String)]) -> Value {
        let mode = self.billing_mode();
        let local = self.local_secondary_indexes.iter().map(SecondaryIndex::without_throughput);
        let global = self.global_secondary_indexes.iter().map(|index| index.with_throughput_of(mode));
        let request = CreateTable {
            table_name: target,
            key_schema: &self.key_schema,
            attribute_definitions: &self.attribute_definitions,
            billing_mode: mode,
            provisioned_throughput: provisioned(mode, self.provisioned_throughput.as_ref()),
            on_demand_throughput: on_demand(mode, self.on_demand_throughput.as_ref()),
            local_secondary_indexes: local.collect(),
            global_secondary_indexes: global.collect(),
            vector_indexes: &self.vector_indexes,
            table_class: self.table_class_summary.as_ref().and_then(|summary| summary.table_class.as_deref()),
            tags: tags.iter().map(|(key, value)| Tag { key, value }).collect(),
        };
        serde_json::to_value(request).expect("strings and numbers always serialise")
    }
}

impl SecondaryIndex {
    fn without_throughput(&self) -> Self {
        Self { provisioned_throughput: None, on_demand_throughput: None, ..self.clone() }
    }

    fn with_throughput_of(&self, mode: BillingMode) -> Self {
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
