//! `doctor` finds whatever a run would fail of, names it with its mend, and changes nothing.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use aws_sdk_sqs::types::QueueAttributeName;
use aws_sdk_ssm::config::Credentials;
use aws_sdk_ssm::types::ParameterType;
use loopback_aws::{
    BACKUP_ACCOUNT, BUCKET, BucketSettings, EXTERNAL_ID, Fault, REGION, Role, SOURCE_ACCOUNT, SOURCE_ROLE_ARN,
};
use serde_json::{Value, json};

use crate::harness::{Ended, Started, World, create, table};

const TASK_ROLE_ARN: &str = "arn:aws:iam::222222222222:role/dynamodb-backup-task";

/// What Terraform lets the task role do, for the worker and for doctor.
fn task_actions() -> impl Iterator<Item = &'static str> {
    let policies =
        [include_str!("../../terraform/permissions.tf"), include_str!("../../terraform/doctor.tf")];
    let words = policies.into_iter().flat_map(|policy| policy.split('"').skip(1).step_by(2));
    words.filter(|word| {
        word.split_once(':').is_some_and(|(_, action)| action.starts_with(|first: char| first.is_uppercase()))
    })
}

async fn sdk(world: &World, region: &'static str) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .endpoint_url(world.aws.endpoint())
        .region(Region::new(region))
        .credentials_provider(Credentials::new(BACKUP_ACCOUNT, "loopback", None, None, "loopback"))
        .load()
        .await
}

/// Makes the program a session of the task role, which may do what Terraform lets it do but for these actions.
async fn become_task_without(world: &mut World, missing: &[&str]) {
    let allowed = task_actions().filter(|action| !missing.contains(action));
    world.aws.add_role(Role::new(TASK_ROLE_ARN, BACKUP_ACCOUNT).allow(allowed));
    let sts = aws_sdk_sts::Client::new(&sdk(world, REGION).await);
    let assumed = sts.assume_role().role_arn(TASK_ROLE_ARN).role_session_name("task").send().await;
    let credentials = assumed.expect("the role trusts its account").credentials.expect("it has credentials");
    world.set("AWS_ACCESS_KEY_ID", credentials.access_key_id());
    world.set("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key());
    world.set("AWS_SESSION_TOKEN", credentials.session_token());
}

/// What doctor says.
struct Examined {
    ended: Ended,
    value: Value,
}

impl Examined {
    /// The findings and mends of a check that have this mark, as one text.
    fn told(&self, check: &str, mark: &str) -> String {
        let checks = self.value["checks"].as_array().expect("a list of checks");
        let of_it = checks.iter().filter(|it| it["check"] == check && it["mark"] == mark);
        let texts = of_it.map(|it| {
            let mends = it["mend"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let finding = it["finding"].as_str().expect("a finding");
            [finding].into_iter().chain(mends).collect::<Vec<_>>().join("\n")
        });
        texts.collect::<Vec<_>>().join("\n")
    }

    #[track_caller]
    fn expect(&self, check: &str, mark: &str, tells: &[&str]) {
        let told = self.told(check, mark);
        for text in tells {
            assert!(told.contains(text), "{text:?} is not told of {check} as {mark}: {:#}", self.value);
        }
    }

    /// The checks that have this mark.
    fn marked(&self, mark: &str) -> BTreeSet<&str> {
        let checks = self.value["checks"].as_array().expect("a list of checks");
        checks.iter().filter(|it| it["mark"] == mark).filter_map(|it| it["check"].as_str()).collect()
    }
}

async fn examine(world: &World, code: i32) -> Examined {
    let mut command = world.command(&["doctor", "--output", "json"]);
    let started = Started::of(command.env_remove("BACKUP_LOG").spawn().expect("the program starts"));
    let ended = started.end().await.expect_code(code);
    let value = ended.json();
    assert_eq!(value["fine"], json!(code == 0));
    assert_eq!(ended.stderr, "", "what there is to say is data");
    Examined { ended, value }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_everything_is_fine_it_says_so_and_has_changed_nothing() {
    let mut world = World::with(vec![table("orders", 20), table("users", 0)]).await;
    world.bucket().set_up(BucketSettings {
        versioned: true,
        object_lock: Some(("COMPLIANCE".to_owned(), 35)),
        ..BucketSettings::default()
    });
    become_task_without(&mut world, &[]).await;
    world.send("trigger", "{}");
    world.aws.clear_calls();

    let examined = examine(&world, 0).await;

    assert_eq!(examined.marked("warning"), BTreeSet::new(), "{:#}", examined.value);
    examined.expect("identity", "fine", &[BACKUP_ACCOUNT, REGION, "assumed-role/dynamodb-backup-task"]);
    examined.expect("clock", "fine", &["less than a minute"]);
    examined.expect("source account", "fine", &[SOURCE_ACCOUNT]);
    examined.expect("source external id", "fine", &["not assumed without it"]);
    examined.expect("source tables", "fine", &["2 of 2"]);
    examined.expect("source reading", "fine", &["table orders"]);
    examined.expect("source settings", "fine", &["table orders"]);
    examined.expect("source auto scaling", "fine", &["111111111111"]);
    examined.expect(
        "queue dynamodb-backup-export",
        "fine",
        &["after 6 receives to dynamodb-backup-export-dlq"],
    );
    examined.expect("bucket", "fine", &[BUCKET, "s3:GetObject"]);
    examined.expect("bucket versioning", "fine", &["on"]);
    examined.expect("bucket lock", "fine", &["compliance for 35 days"]);
    examined.expect("bucket encryption", "fine", &["AES256"]);
    examined.expect("copies", "fine", &["dynamodb:BatchWriteItem", "dynamodb:TagResource"]);
    examined.expect("copies", "not-checked", &["dynamodb:CreateTable", "dynamodb:ListTagsOfResource"]);
    examined.expect("bucket", "not-checked", &["s3:PutObject"]);
    examined.expect("queues", "not-checked", &["sqs:SendMessage"]);

    assert!(world.bucket().keys().is_empty() && world.messages_left() == 1);
    assert_eq!(world.tables(BACKUP_ACCOUNT), [""; 0]);
    let calls = world.aws.calls();
    let in_source: BTreeSet<&str> =
        calls.iter().filter(|call| call.account == SOURCE_ACCOUNT).map(|call| call.action.as_str()).collect();
    let reads = ["Describe", "Get", "List", "Scan"];
    assert!(
        in_source.iter().all(|action| reads.iter().any(|read| action.starts_with(read))),
        "{in_source:?}"
    );
    assert!(calls.iter().all(|call| call.action != "PutObject" && call.action != "ReceiveMessage"));
    assert!(calls.len() < 70, "{} calls", calls.len());

    let text = world.run(&["doctor"]).await.expect_code(0);
    let lines: Vec<&str> = text.stdout.lines().collect();
    assert!(
        lines[0].starts_with(" MARK         CHECK") && lines[1].starts_with(" fine         settings"),
        "{lines:?}"
    );
    assert!(
        lines
            .last()
            .is_some_and(|last| last.starts_with("a run would work, as far as could be checked: 0 wrong"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_queues_is_named_with_the_command_that_mends_it() {
    let mut world = World::with(vec![table("orders", 1)]).await;
    let sqs = aws_sdk_sqs::Client::new(&sdk(&world, REGION).await);
    let create_queue = async |name: &str, attribute: QueueAttributeName, value: &str| {
        let queue = sqs.create_queue().queue_name(name).attributes(attribute, value);
        queue.send().await.expect("the queue is created");
    };
    create_queue("bare", QueueAttributeName::DelaySeconds, "0").await;
    let arn = format!("arn:aws:sqs:{REGION}:{BACKUP_ACCOUNT}:bare");
    let once = json!({ "deadLetterTargetArn": arn, "maxReceiveCount": 1 }).to_string();
    create_queue("once", QueueAttributeName::RedrivePolicy, &once).await;
    world.set("BACKUP_TRIGGER_QUEUE", "nowhere");
    world.set("BACKUP_EXPORT_QUEUE", "bare");
    world.set("BACKUP_WRITE_QUEUE", "once");
    world.aws.queue(BACKUP_ACCOUNT, "dynamodb-backup-provision-dlq").send("given up");

    let examined = examine(&world, 1).await;
    let create =
        "aws sqs create-queue --queue-name nowhere-dlq && aws sqs create-queue --queue-name nowhere ";
    examined.expect("queue nowhere", "wrong", &[BACKUP_ACCOUNT, create, "maxReceiveCount"]);
    let attach = "aws sqs set-queue-attributes --queue-url ";
    examined.expect("queue bare", "wrong", &["no dead-letter queue", "bare-dlq", attach]);
    examined.expect("queue once", "warning", &["maxReceiveCount is 1", attach]);
    let shown = "aws sqs receive-message --queue-url ";
    examined.expect(
        "queue dynamodb-backup-provision",
        "warning",
        &["given up: 1, in dynamodb-backup-provision-dlq", shown],
    );

    let url = format!("{}/{BACKUP_ACCOUNT}/dynamodb-backup-provision", world.aws.endpoint());
    for name in ["BACKUP_TRIGGER_QUEUE", "BACKUP_EXPORT_QUEUE"] {
        world.set(name, "");
    }
    world.set("BACKUP_WRITE_QUEUE", &url);
    let examined = examine(&world, 1).await;
    examined.expect("queues", "wrong", &["dynamodb-backup-provision is 2 of the four", "write-queue"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_missing_elsewhere_or_open_is_named() {
    let mut world = World::with(vec![table("orders", 1)]).await;
    world.set("BACKUP_BUCKET", "no-such-bucket");
    let command = "aws s3api create-bucket --bucket no-such-bucket --create-bucket-configuration \
                   LocationConstraint=eu-west-1";
    examine(&world, 1).await.expect("bucket", "wrong", &["does not exist", command]);

    let s3 = aws_sdk_s3::config::Builder::from(&sdk(&world, "us-west-2").await).force_path_style(true);
    let place = CreateBucketConfiguration::builder();
    let place = place.location_constraint(BucketLocationConstraint::UsWest2).build();
    let create = aws_sdk_s3::Client::from_conf(s3.build()).create_bucket().bucket("elsewhere");
    create.create_bucket_configuration(place).send().await.expect("the bucket is created");
    world.set("BACKUP_BUCKET", "elsewhere");
    examine(&world, 1).await.expect("bucket", "wrong", &["is in us-west-2", "export AWS_REGION=us-west-2"]);

    let s3 = aws_sdk_s3::config::Builder::from(&sdk(&world, REGION).await).force_path_style(true);
    let s3 = s3.credentials_provider(Credentials::new(SOURCE_ACCOUNT, "loopback", None, None, "loopback"));
    let place = CreateBucketConfiguration::builder();
    let place = place.location_constraint(BucketLocationConstraint::EuWest1).build();
    let create = aws_sdk_s3::Client::from_conf(s3.build()).create_bucket().bucket("theirs");
    create.create_bucket_configuration(place).send().await.expect("the bucket is created");
    world.set("BACKUP_BUCKET", "theirs");
    examine(&world, 1).await.expect("bucket", "wrong", &["belongs to another account"]);

    world.set("BACKUP_BUCKET", BUCKET);
    // As if it were theirs and its policy let us in: the second call names the owner that we expect.
    let asked = AtomicUsize::new(0);
    world.aws.set_fault(move |call| {
        let is_second = || asked.fetch_add(1, Ordering::Relaxed) == 1;
        (call.action == "HeadBucket" && is_second()).then(|| Fault::error(403, "AccessDenied"))
    });
    let examined = examine(&world, 0).await;
    examined.expect("bucket owner", "warning", &["belongs to another account than 222222222222", "--bucket"]);
    world.aws.clear_fault();

    world.bucket().set_up(BucketSettings {
        kms_key: Some("arn:aws:kms:eu-west-1:222222222222:key/1".to_owned()),
        public_access_blocked: false,
        ..BucketSettings::default()
    });
    let examined = examine(&world, 0).await;
    examined.expect("bucket versioning", "warning", &["off", "aws s3api put-bucket-versioning --bucket "]);
    examined.expect(
        "bucket public access",
        "warning",
        &["not blocked", "aws s3api put-public-access-block "],
    );
    examined.expect(
        "bucket encryption",
        "fine",
        &["aws:kms with key arn:aws:kms:eu-west-1:222222222222:key/1"],
    );
    examined.expect("bucket encryption", "not-checked", &["kms:GenerateDataKey"]);
    examined.expect("bucket lock", "fine", &["off"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_refuses_us_or_trusts_too_many_is_named_and_the_external_id_never_told() {
    let mut world = World::with(vec![table("orders", 1)]).await;
    let wrong = "a-wrong-external-id";
    world.set("BACKUP_EXTERNAL_ID", wrong);
    let examined = examine(&world, 1).await;
    let trust = "aws iam update-assume-role-policy --role-name dynamodb-backup-source ";
    examined.expect(
        "source role",
        "wrong",
        &[SOURCE_ROLE_ARN, trust, "sts:AssumeRole", "compare external-id"],
    );
    examined.expect("source tables", "not-checked", &["could not be assumed"]);
    assert!(!examined.ended.stdout.contains(wrong));

    let reads = ["dynamodb:Describe*", "dynamodb:List*", "dynamodb:Get*", "dynamodb:Scan"];
    world.aws.add_role(Role::new(SOURCE_ROLE_ARN, BACKUP_ACCOUNT).allow(reads));
    world.set("BACKUP_EXTERNAL_ID", EXTERNAL_ID);
    examine(&world, 0).await.expect("source external id", "warning", &["does not ask for it", trust]);
    world.set("BACKUP_EXTERNAL_ID", "");
    examine(&world, 0).await.expect("source external id", "warning", &["asks for none", trust]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_source_role_may_not_do_is_named_and_only_settings_can_be_done_without() {
    let world = World::with(vec![table("orders", 1)]).await;
    let allow = |actions: &[&'static str]| {
        let role = Role::new(SOURCE_ROLE_ARN, BACKUP_ACCOUNT).external_id(EXTERNAL_ID);
        world.aws.add_role(role.allow(actions.iter().copied()));
    };
    let put = "aws iam put-role-policy --role-name dynamodb-backup-source ";
    allow(&["dynamodb:DescribeTable", "dynamodb:Scan"]);
    examine(&world, 1).await.expect(
        "source tables",
        "wrong",
        &["list the tables", put, "dynamodb:ListTables"],
    );
    allow(&["dynamodb:ListTables", "dynamodb:Scan"]);
    examine(&world, 1).await.expect("source reading", "wrong", &["describe table orders", put]);
    allow(&["dynamodb:ListTables", "dynamodb:DescribeTable"]);
    examine(&world, 1).await.expect("source reading", "wrong", &["scan table orders", put, "dynamodb:Scan"]);
    allow(&["dynamodb:ListTables", "dynamodb:DescribeTable", "dynamodb:Scan", "dynamodb:DescribeTimeToLive"]);
    let examined = examine(&world, 0).await;
    examined.expect(
        "source settings",
        "warning",
        &["dynamodb:GetResourcePolicy", "dynamodb:ListTagsOfResource", put],
    );
    assert!(!examined.told("source settings", "warning").contains("DescribeTimeToLive"));

    let scaling = ["ScalableTargets", "ScalingPolicies", "ScheduledActions"]
        .map(|list| format!("application-autoscaling:Describe{list}"));
    let denied = format!("denied, so not in the archive: {}", scaling.join(", "));
    examined.expect("source auto scaling", "warning", &[&denied, put, r#""Resource":["*"]"#]);
    let reads = ["dynamodb:Describe*", "dynamodb:List*", "dynamodb:Get*", "dynamodb:Scan"];
    let role = Role::new(SOURCE_ROLE_ARN, BACKUP_ACCOUNT).external_id(EXTERNAL_ID).allow(reads);
    world.aws.add_role(role.allow(scaling[..2].iter().map(String::as_str)));
    let examined = examine(&world, 0).await;
    assert_eq!(examined.marked("warning"), BTreeSet::from(["bucket versioning", "source auto scaling"]));
    let denied = format!("denied, so not in the archive: {}", scaling[2]);
    examined.expect("source auto scaling", "warning", &[&denied, put]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_of_auto_scaling_that_is_not_there_is_a_warning() {
    let mut world = World::with(vec![table("orders", 1)]).await;
    world.set("AWS_ENDPOINT_URL_APPLICATION_AUTO_SCALING", "http://127.0.0.1:1");
    let examined = examine(&world, 0).await;
    examined.expect("source auto scaling", "warning", &["not in the archive", "VPC endpoint"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_task_role_may_not_do_is_named_and_what_only_doctor_reads_can_be_done_without() {
    let mut world = World::with(vec![table("orders", 1)]).await;
    let extra =
        ["s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration", "s3:GetEncryptionConfiguration"];
    become_task_without(&mut world, &extra).await;
    let examined = examine(&world, 0).await;
    for (check, permission) in
        [("bucket versioning", extra[0]), ("bucket lock", extra[1]), ("bucket encryption", extra[2])]
    {
        examined.expect(check, "warning", &[&format!("not readable: grant {permission}")]);
    }
    let put = "aws iam put-role-policy --role-name dynamodb-backup-task ";
    become_task_without(&mut world, &["dynamodb:BatchWriteItem", "dynamodb:TagResource"]).await;
    let examined = examine(&world, 1).await;
    let denied = "denied: dynamodb:BatchWriteItem, dynamodb:TagResource";
    examined.expect("copies", "wrong", &[denied, put, "arn:aws:dynamodb:eu-west-1:222222222222:table/*"]);
    become_task_without(&mut world, &["s3:GetObject", "sqs:DeleteMessage"]).await;
    let examined = examine(&world, 1).await;
    examined.expect("bucket", "wrong", &["denied: s3:GetObject", put]);
    examined.expect("queue dynamodb-backup-write", "wrong", &["denied: sqs:DeleteMessage", put]);
    world.dynamodb(BACKUP_ACCOUNT, "CreateTable", &create("orders", "pk", "S"));
    become_task_without(&mut world, &[]).await;
    examine(&world, 0).await.expect("copies", "fine", &["dynamodb:ListTagsOfResource"]);
    become_task_without(&mut world, &["dynamodb:ListTagsOfResource"]).await;
    examine(&world, 1).await.expect("copies", "wrong", &["denied: dynamodb:ListTagsOfResource"]);
    let spared = ["dynamodb:DescribeTimeToLive", "dynamodb:UpdateTable"];
    let of_recovery = ["dynamodb:DescribeContinuousBackups", "dynamodb:UpdateContinuousBackups"];
    become_task_without(&mut world, &[spared, of_recovery].concat()).await;
    let denied = format!("denied: {}", spared.join(", "));
    examine(&world, 0).await.expect("copies", "warning", &[&denied, put]);
    world.set("BACKUP_COPY_RECOVERY_DAYS", "7");
    let denied = format!("{denied}, {}", of_recovery.join(", "));
    examine(&world, 0).await.expect("copies", "warning", &[&denied, put]);
    become_task_without(&mut world, &[]).await;
    examine(&world, 0).await.expect("copies", "fine", &["UpdateTable", "UpdateContinuousBackups"]);
    become_task_without(&mut world, &["sqs:GetQueueAttributes"]).await;
    examine(&world, 1).await.expect("queue dynamodb-backup-write", "wrong", &["AccessDenied", put]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_the_backup_account_or_has_nothing_to_back_up_is_named() {
    let mut world = World::with(vec![table("orders", 1)]).await;
    world.set("BACKUP_INCLUDE", "invoices-*");
    examine(&world, 1).await.expect("source tables", "wrong", &["none of the 1 tables", "include"]);
    world.set("BACKUP_INCLUDE", "");
    world.set("BACKUP_ROLE_ARN", "arn:aws:iam::222222222222:role/dynamodb-backup-source");
    let examined = examine(&world, 1).await;
    examined.expect("source account", "wrong", &["which is the backup account itself", "set role-arn"]);
    world.set("BACKUP_SOURCE_REGION", "us-east-1");
    examine(&world, 1).await.expect("source account", "warning", &["the backup's own account"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_wrong_and_an_endpoint_that_is_not_there_are_named() {
    let mut world = World::with(vec![table("orders", 1)]).await;
    world.aws.set_clock_ahead(400);
    examine(&world, 1).await.expect(
        "clock",
        "wrong",
        &[" s behind AWS's", "5 minutes", "timedatectl set-ntp true"],
    );
    world.aws.set_clock_ahead(-100);
    examine(&world, 0).await.expect("clock", "warning", &[" s ahead of AWS's"]);
    world.aws.set_clock_ahead(0);
    world.set("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:1");
    let examined = examine(&world, 1).await;
    examined.expect(
        "queue dynamodb-backup-export",
        "wrong",
        &["find queue", "VPC endpoint", "AWS_ENDPOINT_URL"],
    );
    world.set("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1");
    let examined = examine(&world, 1).await;
    examined.expect("identity", "wrong", &["GetCallerIdentity", "VPC endpoint"]);
    examined.expect("everything else", "not-checked", &["identity"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_in_the_settings_are_usage_errors_and_a_parameter_that_nothing_reads_a_warning() {
    let mut world = World::with(vec![table("orders", 1)]).await;
    let ended = world.run(&["doctor", "--lanes", "0"]).await.expect_code(64);
    assert!(ended.stdout.is_empty() && ended.stderr.contains("--lanes"), "{}", ended.stderr);
    let ssm = aws_sdk_ssm::Client::new(&sdk(&world, REGION).await);
    let name = "/dynamodb-backup/prod/lane";
    ssm.put_parameter().name(name).value("2").r#type(ParameterType::String).send().await.expect("it is put");
    world.set("BACKUP_ENVIRONMENT", "prod");
    for stage in ["trigger", "export", "provision", "write"] {
        let variable = format!("BACKUP_{}_QUEUE", stage.to_uppercase());
        world.set(&variable, &format!("dynamodb-backup-{stage}"));
    }
    let examined = examine(&world, 0).await;
    let command = format!("aws ssm delete-parameter --name {name}");
    examined.expect("settings", "warning", &["no setting has this name", &command]);
}
