//! Settings from where a deployment keeps them: SSM parameters, and endpoints of single services.

use aws_config::{BehaviorVersion, Region};
use aws_sdk_ssm::config::Credentials;
use aws_sdk_ssm::types::ParameterType;
use loopback_aws::{BACKUP_ACCOUNT, BUCKET, EXTERNAL_ID, REGION, SOURCE_ROLE_ARN};

use crate::harness::{World, table};

/// Every setting the program needs lies in SSM under the environment's name; the queues keep their own names.
async fn put_parameters(world: &World) {
    let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .endpoint_url(world.aws.endpoint())
        .region(Region::new(REGION))
        .credentials_provider(Credentials::new(BACKUP_ACCOUNT, "loopback", None, None, "loopback"))
        .load()
        .await;
    let client = aws_sdk_ssm::Client::new(&config);
    let queue = |stage: &str| format!("dynamodb-backup-{stage}");
    let parameters = [
        ("bucket", BUCKET.to_owned()),
        ("role-arn", SOURCE_ROLE_ARN.to_owned()),
        ("external-id", EXTERNAL_ID.to_owned()),
        ("trigger-queue", queue("trigger")),
        ("export-queue", queue("export")),
        ("provision-queue", queue("provision")),
        ("write-queue", queue("write")),
        ("prefix", "from-ssm".to_owned()),
        ("lanes", "2".to_owned()),
        ("export-concurrency", "3".to_owned()),
        ("write-concurrency", "3".to_owned()),
        ("colour", "blue".to_owned()),
    ];
    for (name, value) in parameters {
        let kind = if name == "external-id" { ParameterType::SecureString } else { ParameterType::String };
        let put =
            client.put_parameter().name(format!("/dynamodb-backup/prod/{name}")).value(value).r#type(kind);
        put.send().await.expect("a legal parameter");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_takes_its_settings_from_ssm_and_the_environment_wins_over_them() {
    let mut world = World::with(vec![table("orders", 20)]).await;
    put_parameters(&world).await;
    for name in ["BACKUP_BUCKET", "BACKUP_ROLE_ARN", "BACKUP_EXTERNAL_ID"] {
        world.set(name, "");
    }
    world.set("BACKUP_ENVIRONMENT", "prod");
    world.set("BACKUP_LANES", "1");

    let ended = world.run(&["run", "--log", "info"]).await.expect_code(0);

    assert_eq!(world.differences("orders").await, Vec::<String>::new());
    assert!(world.bucket().keys().iter().all(|key| key.starts_with("from-ssm/runs/")));
    assert!(ended.stderr.contains("export-concurrency = 3 (/dynamodb-backup/prod/export-concurrency)"));
    assert!(ended.stderr.contains("lanes = 1 (BACKUP_LANES)"), "{}", ended.stderr);
    assert!(ended.stderr.contains("/dynamodb-backup/prod/colour is ignored"), "{}", ended.stderr);
    assert!(!ended.stderr.contains(EXTERNAL_ID));
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_of_single_services_do_what_the_one_for_all_does() {
    let mut world = World::with(vec![table("orders", 20)]).await;
    world.set("AWS_ENDPOINT_URL", "");
    for service in ["DYNAMODB", "S3", "SQS", "STS"] {
        let endpoint = world.aws.endpoint();
        world.set(&format!("AWS_ENDPOINT_URL_{service}"), &endpoint);
    }
    world.run(&["run"]).await.expect_code(0);
    assert_eq!(world.differences("orders").await, Vec::<String>::new());
}
