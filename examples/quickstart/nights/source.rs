//! What happens in the source between two nights, through the plain SDK.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Context, Result, bail};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

type Item = HashMap<String, AttributeValue>;

/// What was done to the source.
#[derive(Default)]
pub(super) struct Changes {
    /// Items in the tables that were touched, before.
    pub(super) of: u64,
    pub(super) changed: u64,
    pub(super) added: u64,
    /// The keys of deleted items, each with its table, as a comparison names them.
    pub(super) deleted: BTreeSet<String>,
}

/// One table of the source and its items.
struct Source<'a> {
    client: &'a Client,
    name: &'a str,
    key: Vec<String>,
    items: Vec<Item>,
}

/// Of every table, changes one item in a hundred, and adds and deletes one in two hundred.
pub(super) async fn change_a_little(client: &Client, names: &[String], night: u32) -> Result<Changes> {
    let mut changes = Changes::default();
    for name in names {
        let source = Source::read(client, name).await?;
        changes.of += source.items.len() as u64;
        for (place, item) in source.items.iter().enumerate() {
            match place % 200 {
                50 => source.delete(item, &mut changes).await?,
                99 | 199 => source.change(item, night, &mut changes).await?,
                150 => source.add_one_like(item, night, &mut changes).await?,
                _ => {}
            }
        }
    }
    Ok(changes)
}

/// Deletes four items of five of one table.
pub(super) async fn delete_most(client: &Client, name: &str) -> Result<Changes> {
    let source = Source::read(client, name).await?;
    let mut changes = Changes { of: source.items.len() as u64, ..Changes::default() };
    for (place, item) in source.items.iter().enumerate() {
        if place % 5 != 0 {
            source.delete(item, &mut changes).await?;
        }
    }
    Ok(changes)
}

impl<'a> Source<'a> {
    async fn read(client: &'a Client, name: &'a str) -> Result<Self> {
        let answer = client.describe_table().table_name(name).send().await?;
        let key = answer.table.and_then(|table| table.key_schema).context("a table has a key")?;
        let key = key.into_iter().map(|element| element.attribute_name).collect();
        let pages = client.scan().table_name(name).consistent_read(true).into_paginator().items().send();
        let items = pages.collect::<Result<Vec<Item>, _>>().await?;
        Ok(Self { client, name, key, items })
    }

    async fn change(&self, item: &Item, night: u32, changes: &mut Changes) -> Result<()> {
        let mut item = item.clone();
        item.insert("changed_before_night".to_owned(), AttributeValue::N(night.to_string()));
        changes.changed += 1;
        self.put(item).await
    }

    /// Adds the same item under a key that no other has.
    async fn add_one_like(&self, item: &Item, night: u32, changes: &mut Changes) -> Result<()> {
        let mut item = item.clone();
        match item.get_mut(&self.key[0]) {
            Some(AttributeValue::S(text)) => *text += &format!("-{night}"),
            Some(AttributeValue::B(bytes)) => {
                *bytes = Blob::new([bytes.as_ref(), &night.to_be_bytes()].concat())
            }
            _ => bail!("table {} has a partition key that is neither text nor binary", self.name),
        }
        changes.added += 1;
        self.put(item).await
    }

    async fn put(&self, item: Item) -> Result<()> {
        self.client.put_item().table_name(self.name).set_item(Some(item)).send().await?;
        Ok(())
    }

    async fn delete(&self, item: &Item, changes: &mut Changes) -> Result<()> {
        let values: Vec<_> = self.key.iter().map(|name| item.get(name)).collect();
        changes.deleted.insert(format!("{}: {values:?}", self.name));
        let key =
            self.key.iter().filter_map(|name| item.get(name).map(|value| (name.clone(), value.clone())));
        self.client.delete_item().table_name(self.name).set_key(Some(key.collect())).send().await?;
        Ok(())
    }
}
