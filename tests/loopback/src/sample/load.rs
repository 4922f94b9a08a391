//! Puts sample tables into an account.

use serde_json::{Value, json};

use super::SampleTable;
use crate::{Loopback, REGION};

/// Limits of one BatchWriteItem: 25 items, and 16 MB of request, of which the JSON may be most.
const MAX_ITEMS: usize = 25;
const MAX_JSON_BYTES: usize = 4 << 20;

impl SampleTable {
    /// Creates the table in an account of `aws` and puts its items; gives their number. Blocks.
    ///
    /// # Errors
    ///
    /// DynamoDB's own error document.
    pub fn load(self, aws: &Loopback, account: &str) -> Result<u64, String> {
        let name = self.name().to_owned();
        aws.dynamodb(account, REGION, "CreateTable", &self.create)?;
        let (mut items, mut batch, mut bytes) = (0, Vec::new(), 0);
        for item in self.items {
            bytes += item.to_string().len();
            batch.push(item);
            items += 1;
            if batch.len() == MAX_ITEMS || bytes > MAX_JSON_BYTES {
                put(aws, account, &name, std::mem::take(&mut batch))?;
                bytes = 0;
            }
        }
        put(aws, account, &name, batch)?;
        Ok(items)
    }
}

fn put(aws: &Loopback, account: &str, table: &str, items: Vec<Value>) -> Result<(), String> {
    if items.is_empty() {
        return Ok(());
    }
    let puts: Vec<Value> = items.into_iter().map(|item| json!({ "PutRequest": { "Item": item } })).collect();
    aws.dynamodb(account, REGION, "BatchWriteItem", &json!({ "RequestItems": { table: puts } }))?;
    Ok(())
}
