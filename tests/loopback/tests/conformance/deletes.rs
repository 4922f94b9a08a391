//! BatchWriteItem that deletes.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::batch_write_item::builders::BatchWriteItemFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, DeleteRequest, PutRequest, ReturnConsumedCapacity, WriteRequest,
};
use loopback_aws::{BACKUP_ACCOUNT, Fault, Loopback, REGION, Role, SOURCE_ACCOUNT, SOURCE_ROLE_ARN};
use serde_json::{Value, json};

use crate::accounts::assume;
use crate::client;
use crate::dynamodb::{client_of, create_table, fill, text};

fn delete(id: &str) -> WriteRequest {
    let key = DeleteRequest::builder().key("id", AttributeValue::S(id.to_owned()));
    WriteRequest::builder().delete_request(key.build().expect("complete")).build()
}

fn put(id: &str) -> WriteRequest {
    let item = PutRequest::builder().item("id", AttributeValue::S(id.to_owned()));
    WriteRequest::builder().put_request(item.build().expect("complete")).build()
}

fn batch(client: &Client, requests: Vec<WriteRequest>) -> BatchWriteItemFluentBuilder {
    client.batch_write_item().request_items("orders", requests)
}

/// Five items `000000` to `000004`.
async fn filled() -> (Loopback, Client) {
    let loopback = client::deployed().await;
    create_table(&loopback, BACKUP_ACCOUNT, REGION, "orders");
    fill(&loopback, "orders", 5, 10);
    let client = client_of(&loopback);
    (loopback, client)
}

async fn ids(client: &Client) -> Vec<String> {
    let page = client.scan().table_name("orders").send().await.expect("scanned");
    let mut ids: Vec<_> = page.items().iter().map(|item| text(item, "id").to_owned()).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn a_batch_deletes_what_is_there_and_does_not_mind_what_is_not() {
    let (_loopback, client) = filled().await;
    let requests = vec![delete("000001"), delete("absent"), delete("000003"), put("000005")];
    let answer = batch(&client, requests).send().await.expect("done");
    assert_eq!(answer.unprocessed_items().map(|tables| tables.len()), Some(0));
    assert_eq!(ids(&client).await, ["000000", "000002", "000004", "000005"]);
}

#[tokio::test]
async fn a_key_may_be_in_a_batch_but_once() {
    let (_loopback, client) = filled().await;
    for requests in [vec![delete("000001"), delete("000001")], vec![put("000001"), delete("000001")]] {
        let refused = batch(&client, requests).send().await.expect_err("twice");
        assert_eq!(refused.code(), Some("ValidationException"));
    }
    assert_eq!(ids(&client).await.len(), 5);
}

#[tokio::test]
async fn unprocessed_deletes_come_back_and_delete_nothing() {
    let (loopback, client) = filled().await;
    loopback.set_fault(|call| (call.action == "BatchWriteItem").then_some(Fault::Unprocessed(2)));
    let requests: Vec<_> = ["000000", "000001", "000002", "000003"].map(delete).to_vec();
    let answer = batch(&client, requests.clone()).send().await.expect("partly done");
    assert_eq!(answer.unprocessed_items().map(|tables| &tables["orders"][..]), Some(&requests[2..]));
    assert_eq!(ids(&client).await, ["000002", "000003", "000004"]);
}

#[tokio::test]
async fn a_delete_costs_by_the_size_of_the_item_and_its_index_entry() {
    let loopback = client::deployed().await;
    let attribute = |name: &str| json!({ "AttributeName": name, "AttributeType": "S" });
    let key = |name: &str| json!([{ "AttributeName": name, "KeyType": "HASH" }]);
    let call = |action: &str, body: Value| {
        loopback.dynamodb(BACKUP_ACCOUNT, REGION, action, &body).expect("done in process");
    };
    call(
        "CreateTable",
        json!({
            "TableName": "orders",
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [attribute("id"), attribute("user")],
            "KeySchema": key("id"),
            "GlobalSecondaryIndexes": [
                { "IndexName": "by-user", "KeySchema": key("user"), "Projection": { "ProjectionType": "KEYS_ONLY" } },
            ],
        }),
    );
    let pad = "x".repeat(2500);
    let item = json!({ "id": { "S": "1" }, "user": { "S": "ann" }, "pad": { "S": pad } });
    call("PutItem", json!({ "TableName": "orders", "Item": item }));

    let deletes = batch(&client_of(&loopback), vec![delete("1"), delete("absent")]);
    let answer =
        deletes.return_consumed_capacity(ReturnConsumedCapacity::Indexes).send().await.expect("done");
    let [consumed] = answer.consumed_capacity() else { panic!("one table: {answer:?}") };
    let by_user = &consumed.global_secondary_indexes().expect("an index")["by-user"];
    let of_table = consumed.table().expect("the table's part").capacity_units();
    // Three for the item, one for what is not there; one for the entry of the index.
    assert_eq!((of_table, by_user.capacity_units()), (Some(4.0), Some(1.0)));
    assert_eq!(consumed.capacity_units(), Some(5.0));
}

#[tokio::test]
async fn a_role_deletes_in_batches_by_the_permission_to_write_batches() {
    let loopback = client::deployed().await;
    create_table(&loopback, SOURCE_ACCOUNT, REGION, "orders");
    let role = || Role::new(SOURCE_ROLE_ARN, BACKUP_ACCOUNT);
    for (role, may) in [
        (role().allow(["dynamodb:BatchWriteItem"]), true),
        (role().allow(["dynamodb:DeleteItem", "dynamodb:PutItem"]), false),
        (role().allow(["dynamodb:*"]).deny_table("orders"), false),
    ] {
        loopback.add_role(role);
        let session = assume(&loopback, SOURCE_ROLE_ARN, None).await.expect("assumed");
        let answer = batch(&Client::new(&session), vec![delete("1")]).send().await;
        let code = answer.map_err(|error| error.code().unwrap_or_default().to_owned()).map(drop);
        assert_eq!(code, if may { Ok(()) } else { Err("AccessDeniedException".to_owned()) });
    }
}
