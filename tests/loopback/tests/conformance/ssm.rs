//! Parameters.

use aws_sdk_ssm::Client;
use aws_sdk_ssm::error::ProvideErrorMetadata;
use aws_sdk_ssm::types::ParameterType;

use crate::client;

#[tokio::test]
async fn parameters_are_listed_by_path_in_pages_of_ten() {
    let loopback = client::deployed().await;
    let client = Client::new(&client::backup(&loopback));
    for number in 0..23 {
        let put = client.put_parameter().name(format!("/dynamodb-backup/test/{number:02}")).value("x");
        put.r#type(ParameterType::String).send().await.expect("put");
    }
    let put = client.put_parameter().name("/dynamodb-backup/test/deep/secret").value("s3cret");
    put.r#type(ParameterType::SecureString).send().await.expect("put");

    assert_eq!(page_sizes(&client, true).await, [10, 10, 4]);
    assert_eq!(page_sizes(&client, false).await, [10, 10, 3]);
}

async fn page_sizes(client: &Client, recursive: bool) -> Vec<usize> {
    let list = client.get_parameters_by_path().path("/dynamodb-backup/test").recursive(recursive);
    let mut pages = list.into_paginator().send();
    let mut sizes = Vec::new();
    while let Some(page) = pages.next().await {
        sizes.push(page.expect("a page").parameters().len());
    }
    sizes
}

#[tokio::test]
async fn a_parameter_has_versions_and_is_not_overwritten_by_accident() {
    let loopback = client::deployed().await;
    let client = Client::new(&client::backup(&loopback));
    let put = |value: &str| client.put_parameter().name("/a/b").value(value).r#type(ParameterType::String);
    assert_eq!(put("1").send().await.expect("put").version(), 1);
    assert_eq!(put("2").send().await.expect_err("there already").code(), Some("ParameterAlreadyExists"));
    assert_eq!(put("2").overwrite(true).send().await.expect("put").version(), 2);
    let got =
        client.get_parameter().name("/a/b").send().await.expect("there").parameter.expect("a parameter");
    assert_eq!((got.value(), got.version()), (Some("2"), 2));
    assert_eq!(got.arn(), Some("arn:aws:ssm:eu-west-1:222222222222:parameter/a/b"));

    let absent = client.get_parameter().name("/a/c").send().await.expect_err("absent");
    assert!(absent.into_service_error().is_parameter_not_found());
    let both = client.get_parameters().names("/a/b").names("/a/c").send().await.expect("answered");
    assert_eq!((both.parameters().len(), both.invalid_parameters()), (1, &["/a/c".to_owned()][..]));
}
