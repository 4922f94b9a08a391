//! Each fault as a client meets it.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use loopback_aws::{BACKUP_ACCOUNT, BUCKET, Fault, Loopback, REGION};
use serde_json::json;

use crate::client;
use crate::dynamodb::create_table;

/// A table, a client, and a fault for every call of one action.
async fn with_fault(action: &'static str, fault: Fault) -> (Loopback, Client) {
    let loopback = client::deployed().await;
    create_table(&loopback, BACKUP_ACCOUNT, REGION, "orders");
    loopback.set_fault(move |call| (call.action == action).then(|| fault.clone()));
    let client = Client::new(&client::backup(&loopback));
    (loopback, client)
}

fn put(client: &Client) -> aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder {
    client.put_item().table_name("orders").item("id", AttributeValue::S("1".into()))
}

fn count(loopback: &Loopback) -> u64 {
    let scanned = loopback.dynamodb(BACKUP_ACCOUNT, REGION, "Scan", &json!({ "TableName": "orders" }));
    scanned.expect("scanned")["Count"].as_u64().expect("a count")
}

#[tokio::test]
async fn an_error_has_its_services_shape_and_no_effect() {
    let (loopback, client) =
        with_fault("PutItem", Fault::error(400, "ProvisionedThroughputExceededException")).await;
    let error = put(&client).send().await.expect_err("throttled").into_service_error();
    assert!(error.is_provisioned_throughput_exceeded_exception());
    assert_eq!(count(&loopback), 0);

    loopback.set_fault(|_| Some(Fault::error(503, "SlowDown")));
    let s3 = client::s3(&client::backup(&loopback)).list_objects_v2().bucket(BUCKET).send().await;
    assert_eq!(s3.expect_err("slow down").code(), Some("SlowDown"));
    loopback.set_fault(|_| Some(Fault::error(400, "QueueDoesNotExist")));
    let sqs =
        aws_sdk_sqs::Client::new(&client::backup(&loopback)).get_queue_url().queue_name("x").send().await;
    assert!(sqs.expect_err("no queue").into_service_error().is_queue_does_not_exist());
    loopback.set_fault(|_| Some(Fault::error(403, "ExpiredToken")));
    let sts = aws_sdk_sts::Client::new(&client::backup(&loopback)).get_caller_identity().send().await;
    assert_eq!(sts.expect_err("expired").code(), Some("ExpiredToken"));
    loopback.set_fault(|_| Some(Fault::error(400, "ParameterNotFound")));
    let ssm = aws_sdk_ssm::Client::new(&client::backup(&loopback)).get_parameter().name("x").send().await;
    assert!(ssm.expect_err("not found").into_service_error().is_parameter_not_found());

    loopback.clear_fault();
    put(&client).send().await.expect("no fault");
}

#[tokio::test]
async fn a_lost_answer_is_an_effect_without_an_answer() {
    let (loopback, client) = with_fault("PutItem", Fault::LostAnswer).await;
    let error = put(&client).send().await.expect_err("no answer");
    assert!(matches!(error, SdkError::DispatchFailure(_)), "{error:?}");
    assert_eq!(count(&loopback), 1);
}

#[tokio::test]
async fn a_reset_has_no_effect() {
    let (loopback, client) = with_fault("PutItem", Fault::Reset).await;
    let error = put(&client).send().await.expect_err("reset");
    assert!(matches!(error, SdkError::DispatchFailure(_)), "{error:?}");
    assert_eq!(count(&loopback), 0);
}

#[tokio::test]
async fn a_delay_takes_its_time() {
    let (loopback, client) = with_fault("PutItem", Fault::Delay(Duration::from_millis(40))).await;
    let started = Instant::now();
    put(&client).send().await.expect("late");
    assert!(started.elapsed() >= Duration::from_millis(40));
    assert_eq!(count(&loopback), 1);
}

#[tokio::test]
async fn a_delayed_call_takes_effect_although_its_caller_has_gone() {
    let (loopback, client) = with_fault("PutItem", Fault::Delay(Duration::from_millis(50))).await;
    client.list_tables().send().await.expect("connected");
    tokio::time::timeout(Duration::from_millis(30), put(&client).send()).await.expect_err("too slow");
    let deadline = Instant::now() + Duration::from_secs(5);
    while count(&loopback) == 0 {
        assert!(Instant::now() < deadline, "never written");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn unprocessed_items_come_back_and_are_not_written() {
    let (loopback, client) = with_fault("BatchWriteItem", Fault::Unprocessed(2)).await;
    let requests = (0..5).map(|number| {
        let put = PutRequest::builder()
            .item("id", AttributeValue::S(number.to_string()))
            .build()
            .expect("complete");
        WriteRequest::builder().put_request(put).build()
    });
    let batch = client.batch_write_item().request_items("orders", requests.collect());
    let answer = batch.clone().send().await.expect("partly done");
    let unprocessed = answer.unprocessed_items().expect("some are left");
    let ids: Vec<_> = unprocessed["orders"]
        .iter()
        .filter_map(|request| request.put_request()?.item()["id"].as_s().ok())
        .collect();
    assert_eq!(ids, ["3", "4"]);
    assert_eq!(count(&loopback), 3);

    loopback.set_fault(|_| Some(Fault::Unprocessed(25)));
    let answer = batch.send().await.expect("nothing done");
    assert_eq!(answer.unprocessed_items().map(|items| items["orders"].len()), Some(5));
}

#[tokio::test]
async fn a_corrupt_body_fails_its_checksum() {
    let (loopback, client) = with_fault("GetItem", Fault::CorruptBody).await;
    put(&client).send().await.expect("put");
    let get = client.get_item().table_name("orders").key("id", AttributeValue::S("1".into()));
    // The Rust SDK does not look at x-amz-crc32; that the JSON is broken here is chance.
    let error = get.clone().send().await.expect_err("corrupt");
    let response = error.raw_response().expect("an answer");
    let announced = response.headers().get("x-amz-crc32").expect("always sent");
    let body = response.body().bytes().expect("in memory");
    assert_ne!(announced, crc32fast::hash(body).to_string());
    loopback.clear_fault();
    get.send().await.expect("sound again");
}

#[tokio::test]
async fn a_truncated_body_breaks_off() {
    let (_loopback, client) = with_fault("DescribeTable", Fault::TruncatedBody).await;
    let error = client.describe_table().table_name("orders").send().await.expect_err("half a body");
    assert!(matches!(error, SdkError::ResponseError(_) | SdkError::DispatchFailure(_)), "{error:?}");
}

#[tokio::test]
async fn the_body_of_an_object_breaks_off_too() {
    let loopback = client::deployed().await;
    loopback.bucket(BUCKET).put("part", vec![1; 100_000]);
    loopback.set_fault(|call| (call.action == "GetObject").then_some(Fault::TruncatedBody));
    let client = client::s3(&client::backup(&loopback));
    let object = client.get_object().bucket(BUCKET).key("part").send().await.expect("the head arrives");
    assert!(object.body.collect().await.is_err());
}

#[tokio::test]
async fn the_server_stops_with_its_last_holder() {
    let loopback = client::deployed().await;
    let client = Client::new(&client::backup(&loopback));
    let other = loopback.clone();
    drop(loopback);
    client.list_tables().send().await.expect("one holder is left");
    drop(other);
    tokio::task::yield_now().await;
    assert!(client.list_tables().send().await.is_err());
}
