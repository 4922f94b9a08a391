//! Compares a table with its copy, item by item, through the plain SDK: nothing here is shared with the
//! program that made the copy.

use std::collections::{BTreeMap, HashMap};

use aws_config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Credentials;
use aws_sdk_dynamodb::types::AttributeValue;

type Item = HashMap<String, AttributeValue>;

/// What a comparison of two tables has found.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    /// Items of the first table.
    pub(crate) items: u64,
    /// Keys that only one of the tables has, or whose items differ.
    pub(crate) differing: Vec<String>,
}

/// A client of one account of an AWS on loopback, where an account's number is its root's access key.
pub(crate) async fn client(endpoint: &str, account: &str, region: &str) -> Client {
    let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .endpoint_url(endpoint)
        .region(Region::new(region.to_owned()))
        .credentials_provider(Credentials::new(account, "loopback", None, None, "loopback"))
        .load()
        .await;
    Client::new(&config)
}

/// Compares the items of two tables.
pub(crate) async fn compare(
    source: (&Client, &str),
    copy: (&Client, &str),
) -> Result<Comparison, aws_sdk_dynamodb::Error> {
    let key = key_names(source.0, source.1).await?;
    let (mut expected, mut found) = (items(source, &key).await?, items(copy, &key).await?);
    let mut comparison = Comparison { items: expected.len() as u64, ..Comparison::default() };
    while let Some((key, item)) = expected.pop_first() {
        if found.remove(&key).is_none_or(|other| other != item) {
            comparison.differing.push(key);
        }
    }
    comparison.differing.extend(found.into_keys());
    Ok(comparison)
}

async fn key_names(client: &Client, table: &str) -> Result<Vec<String>, aws_sdk_dynamodb::Error> {
    let answer = client.describe_table().table_name(table).send().await?;
    let key = answer.table.and_then(|table| table.key_schema).unwrap_or_default();
    Ok(key.into_iter().map(|element| element.attribute_name).collect())
}

/// Every item, by its key as text; sets are put in order, since DynamoDB gives them none.
async fn items(
    (client, table): (&Client, &str),
    key: &[String],
) -> Result<BTreeMap<String, Item>, aws_sdk_dynamodb::Error> {
    let mut pages = client.scan().table_name(table).consistent_read(true).into_paginator().items().send();
    let mut items = BTreeMap::new();
    while let Some(item) = pages.next().await {
        let mut item: Item = item?;
        item.values_mut().for_each(sort_sets);
        let key: Vec<_> = key.iter().map(|name| item.get(name)).collect();
        items.insert(format!("{key:?}"), item);
    }
    Ok(items)
}

fn sort_sets(value: &mut AttributeValue) {
    match value {
        AttributeValue::Ss(set) | AttributeValue::Ns(set) => set.sort(),
        AttributeValue::Bs(set) => set.sort_by(|a, b| a.as_ref().cmp(b.as_ref())),
        AttributeValue::L(list) => list.iter_mut().for_each(sort_sets),
        AttributeValue::M(map) => map.values_mut().for_each(sort_sets),
        _ => {}
    }
}
