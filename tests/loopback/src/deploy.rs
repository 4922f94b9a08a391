//! What Terraform would make in both accounts.

use crate::cloud::Cloud;
use crate::{BACKUP_ACCOUNT, BUCKET, EXTERNAL_ID, REGION, Role, SOURCE_ROLE_ARN};

const STAGES: [&str; 4] = ["trigger", "export", "provision", "write"];
const MAX_RECEIVE_COUNT: u32 = 6;

/// All that the backup ever does in the source account.
const READ_ONLY: [&str; 12] = [
    "dynamodb:ListTables",
    "dynamodb:DescribeTable",
    "dynamodb:Scan",
    "dynamodb:DescribeTimeToLive",
    "dynamodb:DescribeContinuousBackups",
    "dynamodb:ListTagsOfResource",
    "dynamodb:GetResourcePolicy",
    "dynamodb:DescribeContributorInsights",
    "dynamodb:DescribeKinesisStreamingDestination",
    "application-autoscaling:DescribeScalableTargets",
    "application-autoscaling:DescribeScalingPolicies",
    "application-autoscaling:DescribeScheduledActions",
];

/// What the program's environment must say to reach it all: root of the backup account, and every service at one
/// endpoint.
pub(crate) fn environment(endpoint: &str) -> Vec<(&'static str, String)> {
    let environment = [
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", BACKUP_ACCOUNT),
        ("AWS_SECRET_ACCESS_KEY", "loopback"),
        ("BACKUP_BUCKET", BUCKET),
        ("BACKUP_ROLE_ARN", SOURCE_ROLE_ARN),
        ("BACKUP_EXTERNAL_ID", EXTERNAL_ID),
    ];
    environment.map(|(name, value)| (name, value.to_owned())).to_vec()
}

pub(crate) fn deploy(cloud: &Cloud) {
    cloud.iam.add_role(Role::new(SOURCE_ROLE_ARN, BACKUP_ACCOUNT).external_id(EXTERNAL_ID).allow(READ_ONLY));
    cloud.s3.create_bucket(BUCKET, BACKUP_ACCOUNT, REGION);
    for stage in STAGES {
        let name = format!("dynamodb-backup-{stage}");
        cloud.sqs.create_with_dead_letters(BACKUP_ACCOUNT, REGION, &name, MAX_RECEIVE_COUNT);
    }
}
