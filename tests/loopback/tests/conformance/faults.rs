//! Each fault as a client meets it.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use loopback_aws::{BACKUP_ACCOUNT, BUCKET, Fault, Loopback, REGION};
use serde_json::{Value, json};

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

#[tokio::test]
async fn a_throttle_is_worded_as_each_exception_words_it() {
    for (code, member) in [
        ("ProvisionedThroughputExceededException", "ThrottlingReasons"),
        ("RequestLimitExceeded", "ThrottlingReasons"),
        ("ThrottlingException", "throttlingReasons"),
    ] {
        let throttle = Fault::Throttled { code, reason: "TableReadAccountLimitExceeded" };
        let (_loopback, client) = with_fault("Scan", throttle).await;
        let error = client.scan().table_name("orders").send().await.expect_err("throttled");
        assert_eq!(error.code(), Some(code));
        let body = error.raw_response().and_then(|answer| answer.body().bytes()).expect("in memory");
        let answer: Value = serde_json::from_slice(body).expect("JSON");
        assert_eq!(answer[member][0]["reason"], "TableReadAccountLimitExceeded");
    }
}

#[tokio::test]
async fn requests_with_a_text_come_back_and_the_others_are_written() {
    let (loopback, client) = with_fault("BatchWriteItem", Fault::UnprocessedWith("\"3\"".into())).await;
    let requests = (0..5).map(|number| {
        let item = PutRequest::builder().item("id", AttributeValue::S(number.to_string()));
        WriteRequest::builder().put_request(item.build().expect("complete")).build()
    });
    let batch = client.batch_write_item().request_items("orders", requests.collect());
    let answer = batch.send().await.expect("partly done");
    assert_eq!(answer.unprocessed_items().map(|items| items["orders"].len()), Some(1));
    assert_eq!(count(&loopback), 4);
}

#[tokio::test]
async fn empty_and_short_pages_lead_to_every_item() {
    for (fault, pages_at_least) in [(Fault::EmptyPage, 2), (Fault::ShortPage(2), 4)] {
        let loopback = client::deployed().await;
        create_table(&loopback, BACKUP_ACCOUNT, REGION, "orders");
        let client = Client::new(&client::backup(&loopback));
        for id in 0..7 {
            put(&client).item("id", AttributeValue::S(id.to_string())).send().await.expect("put");
        }
        let pages = std::sync::atomic::AtomicUsize::new(0);
        loopback.set_fault(move |call| {
            let page = pages.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let is_due = call.action == "Scan" && (page < 2 || fault == Fault::ShortPage(2));
            is_due.then(|| fault.clone())
        });
        let (mut items, mut counts, mut start) = (0, Vec::new(), None);
        loop {
            let page = client.scan().table_name("orders").set_exclusive_start_key(start).send().await;
            let page = page.expect("scanned");
            counts.push(page.count());
            items += page.count();
            start = page.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        assert_eq!(items, 7, "{counts:?}");
        assert!(counts.len() >= pages_at_least, "{counts:?}");
        assert!(counts.contains(&0) || counts.iter().all(|count| *count <= 2), "{counts:?}");
    }
}

#[tokio::test]
async fn the_checksum_of_another_body_is_not_that_of_the_body() {
    // An answer that is an error can be looked at whole; the Rust SDK does not look at its checksum.
    let (_loopback, client) = with_fault("DescribeTable", Fault::WrongChecksum).await;
    let error = client.describe_table().table_name("nowhere").send().await.expect_err("no such table");
    let response = error.raw_response().expect("an answer");
    let announced = response.headers().get("x-amz-crc32").expect("always sent");
    assert_ne!(announced, crc32fast::hash(response.body().bytes().expect("in memory")).to_string());
    assert!(error.into_service_error().is_resource_not_found_exception(), "the body is sound");
}

#[tokio::test]
async fn a_stalled_body_begins_and_stands_still() {
    let loopback = client::deployed().await;
    loopback.bucket(BUCKET).put("part", vec![1; 100_000]);
    loopback.set_fault(|call| {
        (call.action == "GetObject").then_some(Fault::StalledBody(Duration::from_secs(600)))
    });
    let client = client::s3(&client::backup(&loopback));
    let object = client.get_object().bucket(BUCKET).key("part").send().await.expect("the head arrives");
    let mut body = object.body;
    assert!(body.next().await.expect("it begins").is_ok());
    let rest = async { while body.next().await.is_some() {} };
    tokio::time::timeout(Duration::from_millis(50), rest).await.expect_err("nothing more comes");
}
