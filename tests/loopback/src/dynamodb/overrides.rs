//! What tests want tables to do otherwise, and what `DescribeTable` reports beside what dynoxide says.

use std::collections::HashMap;

use parking_lot::RwLock;
use serde_json::{Value, json};

/// What tests want, by table.
#[derive(Default)]
pub(super) struct Overrides(RwLock<HashMap<String, Override>>);

#[derive(Default)]
struct Override {
    status: Option<String>,
    size: Option<(u64, u64)>,
    has_scattered_segments: bool,
}

impl Overrides {
    pub(super) fn set_status(&self, table: &str, status: &str) {
        let status = (status != "ACTIVE").then(|| status.to_owned());
        self.0.write().entry(table.to_owned()).or_default().status = status;
    }

    pub(super) fn set_size(&self, table: &str, items: u64, bytes: u64) {
        self.0.write().entry(table.to_owned()).or_default().size = Some((items, bytes));
    }

    pub(super) fn scatter_segments(&self, table: &str) {
        self.0.write().entry(table.to_owned()).or_default().has_scattered_segments = true;
    }

    pub(super) fn has_scattered_segments(&self, table: &str) -> bool {
        self.0.read().get(table).is_some_and(|wanted| wanted.has_scattered_segments)
    }

    /// The description of a table as AWS, or the test, would have it.
    pub(super) fn apply(&self, table: &str, description: String) -> String {
        let Ok(mut document) = serde_json::from_str::<Value>(&description) else { return description };
        complete(&mut document["Table"]);
        if let Some(wanted) = self.0.read().get(table) {
            wanted.apply(&mut document["Table"]);
        }
        document.to_string()
    }
}

impl Override {
    fn apply(&self, table: &mut Value) {
        if let Some(status) = &self.status {
            table["TableStatus"] = json!(status);
        }
        if let Some((items, bytes)) = self.size {
            table["ItemCount"] = json!(items);
            table["TableSizeBytes"] = json!(bytes);
        }
    }
}

/// Adds what AWS always reports and dynoxide leaves out.
fn complete(table: &mut Value) {
    let on_demand = table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST";
    // DynamoDB Developer Guide, "Warm throughput": what a new on-demand table takes at once.
    let (reads, writes) = match &table["ProvisionedThroughput"] {
        _ if on_demand => (json!(12_000), json!(4_000)),
        provisioned => (provisioned["ReadCapacityUnits"].clone(), provisioned["WriteCapacityUnits"].clone()),
    };
    table["WarmThroughput"] =
        json!({ "ReadUnitsPerSecond": reads, "WriteUnitsPerSecond": writes, "Status": "ACTIVE" });
}
