//! Tables and items.

use std::collections::HashSet;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ProvisionedThroughput,
    ScalarAttributeType, TableStatus, Tag,
};
use loopback_aws::{BACKUP_ACCOUNT, Loopback, REGION};
use serde_json::{Value, json};

use crate::client;

/// A table `name` with a string hash key `id`, made in process.
pub(crate) fn create_table(loopback: &Loopback, account: &str, region: &str, name: &str) {
    let table = json!({
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
        "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
    });
    loopback.dynamodb(account, region, "CreateTable", &table).expect("a table is made");
}

/// Puts `count` items of about `bytes` each.
pub(crate) fn fill(loopback: &Loopback, table: &str, count: usize, bytes: usize) {
    let put = |number: usize| json!({ "PutRequest": { "Item": { "id": { "S": format!("{number:06}") }, "pad": { "S": "x".repeat(bytes) } } } });
    for first in (0..count).step_by(25) {
        let requests: Vec<Value> = (first..count.min(first + 25)).map(put).collect();
        let batch = json!({ "RequestItems": { table: requests } });
        loopback.dynamodb(BACKUP_ACCOUNT, REGION, "BatchWriteItem", &batch).expect("a batch is written");
    }
}

pub(crate) fn client_of(loopback: &Loopback) -> Client {
    Client::new(&client::backup(loopback))
}

#[tokio::test]
async fn a_table_has_an_arn_with_account_and_region_and_the_tags_it_was_made_with() {
    let loopback = client::deployed().await;
    let client = client_of(&loopback);
    let created = client
        .create_table()
        .table_name("orders")
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(
            AttributeDefinition::builder()
                .attribute_name("id")
                .attribute_type(ScalarAttributeType::S)
                .build()
                .expect("complete"),
        )
        .key_schema(
            KeySchemaElement::builder()
                .attribute_name("id")
                .key_type(KeyType::Hash)
                .build()
                .expect("complete"),
        )
        .tags(Tag::builder().key("owner").value("backup").build().expect("complete"))
        .send()
        .await
        .expect("the table is made");
    let arn = "arn:aws:dynamodb:eu-west-1:222222222222:table/orders";
    assert_eq!(created.table_description().and_then(|table| table.table_arn()), Some(arn));

    let table = client.describe_table().table_name("orders").send().await.expect("it is there").table;
    let table = table.expect("a description");
    assert_eq!(table.table_arn(), Some(arn));
    assert!(table.table_id().is_some());
    assert!(table.creation_date_time().is_some());
    assert_eq!((table.item_count(), table.table_size_bytes()), (Some(0), Some(0)));
    assert_eq!(
        table.billing_mode_summary().and_then(|mode| mode.billing_mode()),
        Some(&BillingMode::PayPerRequest)
    );
    assert!(table.warm_throughput().is_some());

    let tag = Tag::builder().key("stage").value("live").build().expect("complete");
    client.tag_resource().resource_arn(arn).tags(tag).send().await.expect("tagged");
    let tags = client.list_tags_of_resource().resource_arn(arn).send().await.expect("listed");
    let tags: HashSet<_> = tags.tags().iter().map(|tag| (tag.key(), tag.value())).collect();
    assert_eq!(tags, HashSet::from([("owner", "backup"), ("stage", "live")]));
}

#[tokio::test]
async fn a_description_shows_the_status_and_the_size_that_the_test_wants() {
    let loopback = client::deployed().await;
    create_table(&loopback, BACKUP_ACCOUNT, REGION, "orders");
    loopback.set_table_status(BACKUP_ACCOUNT, REGION, "orders", "ARCHIVED");
    loopback.set_table_size(BACKUP_ACCOUNT, REGION, "orders", 7, 700);
    let client = client_of(&loopback);
    let describe = || async {
        client
            .describe_table()
            .table_name("orders")
            .send()
            .await
            .expect("it is there")
            .table
            .expect("a description")
    };
    let table = describe().await;
    assert_eq!(table.table_status(), Some(&TableStatus::Archived));
    assert_eq!((table.item_count(), table.table_size_bytes()), (Some(7), Some(700)));
    loopback.set_table_status(BACKUP_ACCOUNT, REGION, "orders", "ACTIVE");
    assert_eq!(describe().await.table_status(), Some(&TableStatus::Active));
}

#[tokio::test]
async fn tables_are_listed_in_pages() {
    let loopback = client::deployed().await;
    let names: Vec<_> = (0..7).map(|number| format!("table-{number}")).collect();
    names.iter().for_each(|name| create_table(&loopback, BACKUP_ACCOUNT, REGION, name));
    let client = client_of(&loopback);
    let (mut seen, mut start) = (Vec::new(), None);
    loop {
        let page =
            client.list_tables().limit(3).set_exclusive_start_table_name(start).send().await.expect("a page");
        assert!(page.table_names().len() <= 3);
        seen.extend_from_slice(page.table_names());
        start = page.last_evaluated_table_name;
        if start.is_none() {
            break;
        }
    }
    assert_eq!(seen, names);
}

#[tokio::test]
async fn settings_that_dynoxide_does_not_know_are_answered() {
    let loopback = client::deployed().await;
    create_table(&loopback, BACKUP_ACCOUNT, REGION, "orders");
    let client = client_of(&loopback);
    let backups = client.describe_continuous_backups().table_name("orders").send().await.expect("answered");
    assert!(backups.continuous_backups_description().is_some());
    let arn = "arn:aws:dynamodb:eu-west-1:222222222222:table/orders";
    let policy = client.get_resource_policy().resource_arn(arn).send().await.expect_err("there is none");
    assert!(policy.into_service_error().is_policy_not_found_exception());
    let missing = client.describe_continuous_backups().table_name("absent").send().await;
    assert!(missing.expect_err("it is absent").into_service_error().is_table_not_found_exception());
}

#[tokio::test]
async fn items_are_found_by_key_and_by_query() {
    let loopback = client::deployed().await;
    create_table(&loopback, BACKUP_ACCOUNT, REGION, "orders");
    fill(&loopback, "orders", 3, 10);
    let client = client_of(&loopback);
    let key = || AttributeValue::S("000001".into());
    let got = client.get_item().table_name("orders").key("id", key()).send().await.expect("got");
    assert_eq!(text(got.item().expect("there"), "id"), "000001");
    let query = client.query().table_name("orders").key_condition_expression("id = :id");
    let found = query.expression_attribute_values(":id", key()).send().await.expect("found");
    assert_eq!(found.count(), 1);
}

#[tokio::test]
async fn a_table_changes_its_billing_mode() {
    let loopback = client::deployed().await;
    create_table(&loopback, BACKUP_ACCOUNT, REGION, "orders");
    let client = client_of(&loopback);
    let throughput = ProvisionedThroughput::builder().read_capacity_units(5).write_capacity_units(6).build();
    let update = client.update_table().table_name("orders").billing_mode(BillingMode::Provisioned);
    update.provisioned_throughput(throughput.expect("complete")).send().await.expect("updated");
    let table =
        client.describe_table().table_name("orders").send().await.expect("there").table.expect("described");
    let throughput = table.provisioned_throughput().expect("provisioned");
    assert_eq!((throughput.read_capacity_units(), throughput.write_capacity_units()), (Some(5), Some(6)));
}

#[tokio::test]
async fn every_body_comes_with_its_crc32() {
    let loopback = client::deployed().await;
    let absent = client_of(&loopback).describe_table().table_name("absent").send().await.expect_err("absent");
    let response = absent.raw_response().expect("an answer");
    let body = response.body().bytes().expect("in memory");
    assert_eq!(response.headers().get("x-amz-crc32"), Some(crc32fast::hash(body).to_string().as_str()));
    assert!(absent.into_service_error().is_resource_not_found_exception());
}

#[tokio::test]
async fn a_parallel_scan_sees_each_item_once_in_pages_of_at_most_a_megabyte() {
    let loopback = client::deployed().await;
    create_table(&loopback, BACKUP_ACCOUNT, REGION, "orders");
    fill(&loopback, "orders", 600, 10_000);
    let client = client_of(&loopback);
    let (mut seen, mut pages) = (Vec::new(), 0);
    for segment in 0..4 {
        let mut start = None;
        loop {
            let page = client
                .scan()
                .table_name("orders")
                .segment(segment)
                .total_segments(4)
                .set_exclusive_start_key(start)
                .send()
                .await
                .expect("a page");
            pages += 1;
            let bytes = page.items().iter().map(|item| 2 + 6 + 3 + text(item, "pad").len()).sum::<usize>();
            assert!(bytes <= 1_048_576, "a page of {bytes} bytes");
            seen.extend(page.items().iter().map(|item| text(item, "id").to_owned()));
            start = page.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
    }
    let distinct: HashSet<_> = seen.iter().collect();
    assert_eq!((seen.len(), distinct.len()), (600, 600));
    assert!(pages > 6, "{pages} pages for 6 MB");
}

pub(crate) fn text<'a>(item: &'a std::collections::HashMap<String, AttributeValue>, name: &str) -> &'a str {
    item[name].as_s().expect("a string")
}

#[tokio::test]
async fn values_come_back_as_they_were_put() {
    let loopback = client::deployed().await;
    create_table(&loopback, BACKUP_ACCOUNT, REGION, "values");
    for value in [
        json!({ "S": "" }),
        json!({ "B": "" }),
        json!({ "S": "\u{1}\u{7f}\u{0}\t\n\"\\\u{2028}" }),
        json!({ "S": "🦀\u{10FFFF}é" }),
        json!({ "N": "12345678901234567890123456789012345678" }),
        json!({ "N": "-0.000001" }),
        json!({ "NS": ["-2", "1", "3"] }),
        json!({ "SS": ["a", "b"] }),
        json!({ "BS": ["YQ==", "Yg=="] }),
        json!({ "NULL": true }),
        json!({ "BOOL": false }),
        json!({ "M": {} }),
        json!({ "L": [] }),
        nested(32),
    ] {
        assert_eq!(round_trip(&loopback, &value), Ok(value));
    }
}

#[tokio::test]
async fn numbers_come_back_in_plain_digits_without_idle_zeros() {
    let loopback = client::deployed().await;
    create_table(&loopback, BACKUP_ACCOUNT, REGION, "values");
    let smallest = format!("0.{}1", "0".repeat(129));
    for (put, got) in [("1.50", "1.5"), ("-0", "0"), ("1e3", "1000"), ("1E-130", smallest.as_str())] {
        assert_eq!(round_trip(&loopback, &json!({ "N": put })), Ok(json!({ "N": got })));
    }
    assert_eq!(
        round_trip(&loopback, &json!({ "NS": ["3", "1.0", "-2"] })),
        Ok(json!({ "NS": ["-2", "1", "3"] }))
    );
}

#[tokio::test]
async fn what_dynamodb_does_not_take_is_refused() {
    let loopback = client::deployed().await;
    create_table(&loopback, BACKUP_ACCOUNT, REGION, "values");
    for value in [nested(33), nested(200), json!({ "N": "1".repeat(39) }), json!({ "N": "1E+126" })] {
        let refused = round_trip(&loopback, &value).expect_err("not storable");
        assert!(refused.contains("ValidationException"), "{refused}");
    }
}

/// A string inside of `depth - 1` lists.
fn nested(depth: usize) -> Value {
    (1..depth).fold(json!({ "S": "x" }), |inner, _| json!({ "L": [inner] }))
}

fn round_trip(loopback: &Loopback, value: &Value) -> Result<Value, String> {
    let call = |action: &str, body: Value| loopback.dynamodb(BACKUP_ACCOUNT, REGION, action, &body);
    call("PutItem", json!({ "TableName": "values", "Item": { "id": { "S": "1" }, "value": value } }))?;
    let got = call("GetItem", json!({ "TableName": "values", "Key": { "id": { "S": "1" } } }))?;
    Ok(got["Item"]["value"].clone())
}
