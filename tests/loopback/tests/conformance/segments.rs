//! Which items are in which segment of a parallel Scan.

use std::collections::BTreeSet;

use loopback_aws::{BACKUP_ACCOUNT, Loopback, REGION, SOURCE_ACCOUNT};

use crate::client;
use crate::dynamodb::{client_of, create_table, fill, text};

const ITEMS: usize = 200;

/// Tables of the same keys; the items are of other sizes.
async fn tables(names: &[&str]) -> Loopback {
    let loopback = client::deployed().await;
    for (number, name) in names.iter().enumerate() {
        create_table(&loopback, BACKUP_ACCOUNT, REGION, name);
        fill(&loopback, name, ITEMS, 1 + number * 1000);
    }
    loopback
}

/// The ids in each segment, as they come; no page has more than `limit` of them.
async fn segments(loopback: &Loopback, table: &str, total: i32, limit: i32) -> Vec<Vec<String>> {
    let mut segments = Vec::new();
    for segment in 0..total {
        segments.push(ids(loopback, table, (segment, total), limit).await);
    }
    segments
}

async fn ids(loopback: &Loopback, table: &str, (segment, total): (i32, i32), limit: i32) -> Vec<String> {
    let (mut ids, mut start) = (Vec::new(), None);
    let client = client_of(loopback);
    loop {
        let scan = client.scan().table_name(table).segment(segment).total_segments(total).limit(limit);
        let page = scan.set_exclusive_start_key(start).send().await.expect("a page");
        assert!(page.items().len() <= limit as usize, "{} items", page.items().len());
        ids.extend(page.items().iter().map(|item| text(item, "id").to_owned()));
        start = page.last_evaluated_key;
        if start.is_none() {
            return ids;
        }
    }
}

fn sets(segments: &[Vec<String>]) -> Vec<BTreeSet<String>> {
    segments.iter().map(|ids| ids.iter().cloned().collect()).collect()
}

fn all_ids() -> Vec<String> {
    (0..ITEMS).map(|number| format!("{number:06}")).collect()
}

#[tokio::test]
async fn tables_of_the_same_keys_agree_on_every_segment() {
    let loopback = tables(&["orders", "copy"]).await;
    for total in [1, 2, 7] {
        let orders = sets(&segments(&loopback, "orders", total, 1000).await);
        assert!(orders.iter().all(|ids| !ids.is_empty()));
        assert_eq!(sets(&segments(&loopback, "copy", total, 1000).await), orders, "of {total} segments");
    }
}

#[tokio::test]
async fn a_scattered_table_agrees_on_no_segment_and_still_has_each_item_once() {
    let loopback = tables(&["orders", "copy"]).await;
    loopback.scatter_segments(BACKUP_ACCOUNT, REGION, "copy");
    for (total, limit) in [(2, 1000), (7, 1000), (7, 3)] {
        let (orders, copy) = (
            segments(&loopback, "orders", total, limit).await,
            segments(&loopback, "copy", total, limit).await,
        );
        for (segment, (orders, copy)) in sets(&orders).iter().zip(&sets(&copy)).enumerate() {
            assert!(orders.is_disjoint(copy), "segment {segment} of {total}");
        }
        let mut seen = copy.concat();
        seen.sort();
        assert_eq!(seen, all_ids());
    }
    let whole = segments(&loopback, "copy", 1, 1000).await;
    assert_eq!(whole, segments(&loopback, "orders", 1, 1000).await);
    let refused = client_of(&loopback).scan().table_name("copy").segment(7).total_segments(7).send().await;
    assert!(refused.is_err(), "there is no segment 7 of 7");
}

#[tokio::test]
async fn a_table_of_the_same_name_in_another_account_is_not_scattered() {
    let loopback = tables(&["orders", "copy"]).await;
    loopback.scatter_segments(SOURCE_ACCOUNT, REGION, "copy");
    loopback.scatter_segments(BACKUP_ACCOUNT, "us-east-1", "copy");
    assert_eq!(segments(&loopback, "copy", 7, 1000).await, segments(&loopback, "orders", 7, 1000).await);
}
