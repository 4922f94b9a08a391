//! The tables of a trial, and how their items change between two runs.

use anyhow::{Error, Result};
use loopback_aws::sample::{self, SampleTable};
use loopback_aws::{Loopback, REGION, Random};
use serde_json::{Value, json};

/// Items of a table that come from the samples; what matters here is where a worker dies, not how much it carries.
const MAX_ITEMS: u64 = 400;

/// One to four tables of different shapes.
pub(crate) fn seeded(random: &mut Random) -> Vec<SampleTable> {
    let mut choices = sample::shop();
    choices.extend(sample::awkward());
    choices.extend(sample::many(3));
    let mut tables = Vec::new();
    for _ in 0..1 + random.below(3) {
        let at = random.below(choices.len() as u64) as usize;
        let table = choices.swap_remove(at);
        let items = table.items.take(20 + random.below(MAX_ITEMS) as usize);
        tables.push(SampleTable { create: table.create, items: Box::new(items) });
    }
    if random.once_in(3) {
        tables.push(sample::large(200 + random.below(1_000) as usize));
    }
    tables
}

/// A table of an account, and its items.
pub(crate) struct Items {
    /// The names of the key's attributes.
    key: Vec<String>,
    pub(crate) items: Vec<Value>,
}

impl Items {
    /// Reads a table in process: no call that could go wrong.
    pub(crate) fn of(aws: &Loopback, account: &str, table: &str) -> Result<Self> {
        let call =
            |action: &str, body: &Value| aws.dynamodb(account, REGION, action, body).map_err(Error::msg);
        let described = call("DescribeTable", &json!({ "TableName": table }))?;
        let schema = described["Table"]["KeySchema"].as_array().cloned().unwrap_or_default();
        let key = schema.iter().filter_map(|element| Some(element["AttributeName"].as_str()?.to_owned()));
        let (mut items, mut request) = (Vec::new(), json!({ "TableName": table, "ConsistentRead": true }));
        loop {
            let mut page = call("Scan", &request)?;
            items.extend(page["Items"].as_array_mut().map(std::mem::take).unwrap_or_default());
            match page.get("LastEvaluatedKey") {
                Some(last) => request["ExclusiveStartKey"] = last.clone(),
                None => return Ok(Self { key: key.collect(), items }),
            }
        }
    }

    fn key_of(&self, item: &Value) -> Value {
        self.key.iter().map(|name| (name.clone(), item[name].clone())).collect()
    }
}

/// The names of the tables of an account.
pub(crate) fn names(aws: &Loopback, account: &str) -> Result<Vec<String>> {
    let listed = aws.dynamodb(account, REGION, "ListTables", &json!({})).map_err(Error::msg)?;
    let names = listed["TableNames"].as_array().cloned().unwrap_or_default();
    Ok(names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect())
}

/// Changes some items of every table, deletes some, and adds some: fewer than would look like an accident.
pub(crate) fn change(aws: &Loopback, account: &str, random: &mut Random) -> Result<()> {
    for table in names(aws, account)? {
        let all = Items::of(aws, account, &table)?;
        let put = |item: &Value| {
            aws.dynamodb(account, REGION, "PutItem", &json!({ "TableName": table, "Item": item }))
        };
        for item in &all.items {
            match random.below(30) {
                0 | 1 => {
                    let key = json!({ "TableName": table, "Key": all.key_of(item) });
                    aws.dynamodb(account, REGION, "DeleteItem", &key).map_err(Error::msg)?;
                }
                2 | 3 => {
                    let mut changed = item.clone();
                    changed["changed_by_night"] = json!({ "N": random.below(1_000).to_string() });
                    // An item as large as may be stays as it is.
                    put(&changed).ok();
                }
                4 => {
                    let mut added = item.clone();
                    if let Some(text) = added[&all.key[0]]["S"].as_str().map(|text| format!("{text} (2)")) {
                        added[&all.key[0]] = json!({ "S": text });
                        put(&added).ok();
                    }
                }
                _ => {}
            }
        }
    }
    Ok(())
}
