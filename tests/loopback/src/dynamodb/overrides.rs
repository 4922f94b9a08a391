//! What a test wants `DescribeTable` to report instead of the truth.

use std::collections::HashMap;

use parking_lot::RwLock;
use serde_json::{Value, json};

use crate::call::Call;

/// Account, region, table.
type Key = (String, String, String);

#[derive(Default)]
pub(super) struct Overrides(RwLock<HashMap<Key, Override>>);

#[derive(Default)]
struct Override {
    status: Option<String>,
    size: Option<(u64, u64)>,
}

impl Overrides {
    pub(super) fn set_status(&self, account: &str, region: &str, table: &str, status: &str) {
        let status = (status != "ACTIVE").then(|| status.to_owned());
        self.0.write().entry(key(account, region, table)).or_default().status = status;
    }

    pub(super) fn set_size(&self, account: &str, region: &str, table: &str, items: u64, bytes: u64) {
        self.0.write().entry(key(account, region, table)).or_default().size = Some((items, bytes));
    }

    /// The description as the test wants it.
    pub(super) fn apply(&self, call: &Call, description: String) -> String {
        let overrides = self.0.read();
        let Some(wanted) = overrides.get(&key(&call.account, &call.region, &call.resource)) else {
            return description;
        };
        let Ok(mut document) = serde_json::from_str::<Value>(&description) else { return description };
        let table = &mut document["Table"];
        if let Some(status) = &wanted.status {
            table["TableStatus"] = json!(status);
        }
        if let Some((items, bytes)) = wanted.size {
            table["ItemCount"] = json!(items);
            table["TableSizeBytes"] = json!(bytes);
        }
        document.to_string()
    }
}

fn key(account: &str, region: &str, table: &str) -> Key {
    (account.to_owned(), region.to_owned(), table.to_owned())
}
