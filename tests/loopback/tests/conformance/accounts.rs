//! Accounts, roles and what their sessions may do.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, PutRequest,
    ScalarAttributeType, Tag, WriteRequest,
};
use aws_sdk_s3::config::Credentials;
use loopback_aws::{
    BACKUP_ACCOUNT, BUCKET, EXTERNAL_ID, Fault, Loopback, REGION, Role, SOURCE_ACCOUNT, SOURCE_ROLE_ARN,
};
use serde_json::json;

use crate::client;
use crate::dynamodb::create_table;

/// An account that nothing was deployed in.
const THIRD_ACCOUNT: &str = "333333333333";
const THIRD_ROLE_ARN: &str = "arn:aws:iam::333333333333:role/restore";

/// Assumes a role as the backup account's root; the error is STS's code.
pub(crate) async fn assume(
    loopback: &Loopback,
    role: &str,
    external_id: Option<&str>,
) -> Result<SdkConfig, String> {
    let sts = aws_sdk_sts::Client::new(&client::backup(loopback));
    let call = sts.assume_role().role_arn(role).role_session_name("worker");
    let answer = call.set_external_id(external_id.map(str::to_owned)).send().await;
    let answer = answer.map_err(|error| error.code().unwrap_or_default().to_owned())?;
    let keys = answer.credentials.expect("credentials");
    assert!(keys.access_key_id.starts_with("ASIA"));
    let token = Some(keys.session_token);
    let credentials = Credentials::new(keys.access_key_id, keys.secret_access_key, token, None, "test");
    Ok(client::config(loopback, credentials, REGION))
}

async fn source(loopback: &Loopback) -> SdkConfig {
    assume(loopback, SOURCE_ROLE_ARN, Some(EXTERNAL_ID)).await.expect("the role trusts the backup account")
}

async fn list_tables(config: &SdkConfig) -> Result<Vec<String>, String> {
    let answer = aws_sdk_dynamodb::Client::new(config).list_tables().send().await;
    answer
        .map(|page| page.table_names.unwrap_or_default())
        .map_err(|error| error.code().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_role_wants_its_external_id_and_the_right_account() {
    let loopback = client::deployed().await;
    let denied = Some("AccessDenied".to_owned());
    assert_eq!(assume(&loopback, SOURCE_ROLE_ARN, None).await.err(), denied);
    assert_eq!(assume(&loopback, SOURCE_ROLE_ARN, Some("wrong")).await.err(), denied);
    assert_eq!(
        assume(&loopback, "arn:aws:iam::111111111111:role/absent", Some(EXTERNAL_ID)).await.err(),
        denied
    );
    loopback.add_role(Role::new("arn:aws:iam::111111111111:role/private", SOURCE_ACCOUNT));
    assert_eq!(assume(&loopback, "arn:aws:iam::111111111111:role/private", None).await.err(), denied);

    let sts = aws_sdk_sts::Client::new(&source(&loopback).await);
    let identity = sts.get_caller_identity().send().await.expect("always allowed");
    assert_eq!(identity.account(), Some(SOURCE_ACCOUNT));
    assert_eq!(identity.arn(), Some("arn:aws:sts::111111111111:assumed-role/dynamodb-backup-source/worker"));
}

#[tokio::test]
async fn accounts_and_regions_do_not_see_each_others_tables() {
    let loopback = client::deployed().await;
    create_table(&loopback, SOURCE_ACCOUNT, REGION, "source-table");
    create_table(&loopback, BACKUP_ACCOUNT, REGION, "backup-table");
    create_table(&loopback, BACKUP_ACCOUNT, "us-east-1", "far-table");
    assert_eq!(list_tables(&source(&loopback).await).await, Ok(vec!["source-table".to_owned()]));
    assert_eq!(list_tables(&client::backup(&loopback)).await, Ok(vec!["backup-table".to_owned()]));
    let far = client::root(&loopback, BACKUP_ACCOUNT, "us-east-1");
    assert_eq!(list_tables(&far).await, Ok(vec!["far-table".to_owned()]));

    let backup = aws_sdk_dynamodb::Client::new(&client::backup(&loopback));
    let arn = "arn:aws:dynamodb:eu-west-1:111111111111:table/source-table";
    let foreign = backup.describe_table().table_name(arn).send().await.expect_err("another account's table");
    assert_eq!(foreign.code(), Some("AccessDeniedException"));
}

#[tokio::test]
async fn a_role_of_a_third_account_makes_and_fills_tables_there() {
    let loopback = client::deployed().await;
    create_table(&loopback, BACKUP_ACCOUNT, REGION, "orders");
    let role = Role::new(THIRD_ROLE_ARN, BACKUP_ACCOUNT).external_id(EXTERNAL_ID).allow([
        "dynamodb:CreateTable",
        "dynamodb:Describe*",
        "dynamodb:ListTagsOfResource",
        "dynamodb:TagResource",
        "dynamodb:Scan",
        "dynamodb:BatchWriteItem",
    ]);
    loopback.add_role(role);
    assert_eq!(assume(&loopback, THIRD_ROLE_ARN, None).await.err(), Some("AccessDenied".to_owned()));
    let session = assume(&loopback, THIRD_ROLE_ARN, Some(EXTERNAL_ID)).await.expect("it trusts the backup");
    let dynamodb = aws_sdk_dynamodb::Client::new(&session);

    let missing = dynamodb.describe_table().table_name("orders").send().await.expect_err("not made yet");
    assert!(missing.into_service_error().is_resource_not_found_exception());
    let made = dynamodb.create_table().table_name("orders").billing_mode(BillingMode::PayPerRequest);
    let id = AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S);
    let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash);
    let made = made.attribute_definitions(id.build().expect("complete"));
    made.key_schema(key.build().expect("complete")).send().await.expect("made");
    let table = dynamodb.describe_table().table_name("orders").send().await.expect("there").table;
    let arn = "arn:aws:dynamodb:eu-west-1:333333333333:table/orders";
    assert_eq!(table.expect("described").table_arn(), Some(arn));

    let tag = Tag::builder().key("restored").value("yes").build().expect("complete");
    dynamodb.tag_resource().resource_arn(arn).tags(tag.clone()).send().await.expect("tagged");
    let tags = dynamodb.list_tags_of_resource().resource_arn(arn).send().await.expect("listed");
    assert_eq!(tags.tags(), [tag]);
    let put = PutRequest::builder().item("id", AttributeValue::S("1".into())).build().expect("complete");
    let put = WriteRequest::builder().put_request(put).build();
    dynamodb.batch_write_item().request_items("orders", vec![put]).send().await.expect("written");
    assert_eq!(dynamodb.scan().table_name("orders").send().await.expect("scanned").count(), 1);

    assert_eq!(list_tables(&session).await, Err("AccessDeniedException".into()));
    let third = client::root(&loopback, THIRD_ACCOUNT, REGION);
    assert_eq!(list_tables(&third).await, Ok(vec!["orders".to_owned()]));
    let backup = aws_sdk_dynamodb::Client::new(&client::backup(&loopback));
    assert_eq!(backup.scan().table_name("orders").send().await.expect("scanned").count(), 0);
    assert_eq!(list_tables(&client::root(&loopback, SOURCE_ACCOUNT, REGION)).await, Ok(Vec::new()));
}

#[tokio::test]
async fn a_session_ends() {
    let loopback = client::deployed().await;
    let session = source(&loopback).await;
    assert!(list_tables(&session).await.is_ok());
    loopback.expire_sessions();
    assert_eq!(list_tables(&session).await, Err("ExpiredTokenException".into()));
    let s3 = client::s3(&session).list_objects_v2().bucket(BUCKET).send().await;
    assert_eq!(s3.expect_err("expired").code(), Some("ExpiredToken"));

    let short =
        Role::new(SOURCE_ROLE_ARN, BACKUP_ACCOUNT).allow(["*"]).session_lifetime(Duration::from_millis(20));
    loopback.add_role(short);
    let session = assume(&loopback, SOURCE_ROLE_ARN, None).await.expect("assumed");
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert_eq!(list_tables(&session).await, Err("ExpiredTokenException".into()));
}

#[tokio::test]
async fn one_session_ends_by_a_fault_and_the_others_go_on() {
    let loopback = client::deployed().await;
    let (first, second) = (source(&loopback).await, source(&loopback).await);
    let calls = std::sync::atomic::AtomicUsize::new(0);
    loopback.set_fault(move |_| {
        let is_first = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
        is_first.then_some(Fault::ExpiredSession)
    });
    for _ in 0..2 {
        assert_eq!(list_tables(&first).await, Err("ExpiredTokenException".into()));
    }
    assert!(list_tables(&second).await.is_ok());
}

#[tokio::test]
async fn sessions_that_began_before_they_were_revoked_are_denied_everything() {
    let loopback = client::deployed().await;
    let (first, second) = (source(&loopback).await, source(&loopback).await);
    loopback.set_fault(|_| Some(Fault::RevokedSessions));
    assert_eq!(list_tables(&first).await, Err("AccessDeniedException".into()));
    loopback.clear_fault();
    assert_eq!(list_tables(&first).await, Err("AccessDeniedException".into()));
    assert_eq!(list_tables(&second).await, Err("AccessDeniedException".into()));
    assert!(list_tables(&source(&loopback).await).await.is_ok(), "a session that begins later is not");
}

#[tokio::test]
async fn unknown_keys_and_wrong_tokens_are_refused() {
    let loopback = client::deployed().await;
    let unknown = client::config(
        &loopback,
        Credentials::new("ASIAUNKNOWN", "x", Some("y".into()), None, "test"),
        REGION,
    );
    assert_eq!(list_tables(&unknown).await, Err("UnrecognizedClientException".into()));
    let sqs = aws_sdk_sqs::Client::new(&unknown).list_queues().send().await;
    assert_eq!(sqs.expect_err("unknown").code(), Some("InvalidClientTokenId"));
    let s3 = client::s3(&unknown).list_objects_v2().bucket(BUCKET).send().await;
    assert_eq!(s3.expect_err("unknown").code(), Some("InvalidAccessKeyId"));
}

#[tokio::test]
async fn a_session_may_do_what_its_role_allows_and_nothing_else() {
    let loopback = client::deployed().await;
    create_table(&loopback, SOURCE_ACCOUNT, REGION, "orders");
    create_table(&loopback, SOURCE_ACCOUNT, REGION, "secrets");
    let allowed = Role::new(SOURCE_ROLE_ARN, BACKUP_ACCOUNT).allow(["dynamodb:Scan", "dynamodb:Describe*"]);
    loopback.add_role(allowed.deny_table("secrets"));
    let session = assume(&loopback, SOURCE_ROLE_ARN, None).await.expect("assumed");
    let dynamodb = aws_sdk_dynamodb::Client::new(&session);
    loopback.clear_calls();
    dynamodb.scan().table_name("orders").send().await.expect("allowed");
    dynamodb.describe_table().table_name("orders").send().await.expect("allowed");

    let denied = dynamodb.delete_table().table_name("orders").send().await.expect_err("not allowed");
    assert_eq!(denied.code(), Some("AccessDeniedException"));
    let text = "User: arn:aws:sts::111111111111:assumed-role/dynamodb-backup-source/worker is not authorized to perform: \
                dynamodb:DeleteTable on resource: arn:aws:dynamodb:eu-west-1:111111111111:table/orders";
    assert!(denied.message().is_some_and(|message| message.starts_with(text)), "{:?}", denied.message());
    let secret = dynamodb.scan().table_name("secrets").send().await.expect_err("denied");
    assert_eq!(secret.code(), Some("AccessDeniedException"));
    let s3 = client::s3(&session).list_objects_v2().bucket(BUCKET).send().await.expect_err("not allowed");
    assert_eq!(s3.code(), Some("AccessDenied"));

    let calls = loopback.calls();
    let names: Vec<_> = calls.iter().map(|call| call.name()).collect();
    assert_eq!(
        names,
        [
            "dynamodb:Scan",
            "dynamodb:DescribeTable",
            "dynamodb:DeleteTable",
            "dynamodb:Scan",
            "s3:ListObjectsV2"
        ]
    );
    assert!(calls.iter().all(|call| call.role.as_deref() == Some(SOURCE_ROLE_ARN)));
    let still_there =
        loopback.dynamodb(SOURCE_ACCOUNT, REGION, "DescribeTable", &json!({ "TableName": "orders" }));
    assert!(still_there.is_ok());
}
