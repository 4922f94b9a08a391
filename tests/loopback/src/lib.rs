//! Two AWS accounts on one loopback port: DynamoDB, S3, SQS, STS, SSM and Application Auto Scaling.
//!
//! Test equipment. One HTTP server answers real AWS clients; the SigV4 credential scope of each request
//! says which service, region and account it is for. An access key of twelve digits is that account's root,
//! as in LocalStack; keys handed out by `AssumeRole` belong to the session they were made for.
//!
//! ```text
//! server      sockets and HTTP                      wire    requests, replies, refusals
//! loopback    what a test holds in its hand         cloud   one request: caller → call → fault → service
//! caller      who asks, and for which service       iam     roles, sessions, what they may do
//! call        the recorder                          fault   errors, lost answers, broken bodies, by a seed
//! dynamodb    dynoxide, one database per account and region, with AWS's ARNs and checksums
//! s3          an in-memory store behind the s3s protocol crate; creation is atomic, every write is kept
//! scaling     what was registered with Application Auto Scaling is told again
//! sqs ssm sts small implementations of the calls the backup makes
//! sample      tables and items to fill the source account with
//! ```
//!
//! What differs from AWS is listed in the crate's `README.md`.

mod call;
mod caller;
mod cloud;
mod deploy;
mod dynamodb;
mod fault;
mod iam;
mod loopback;
mod random;
mod s3;
pub mod sample;
mod scaling;
mod server;
mod sqs;
mod ssm;
mod sts;
mod wire;

pub use call::Call;
pub use fault::{CLASSES, Class, Fault, FaultPlan, When};
pub use iam::Role;
pub use loopback::{Door, Loopback};
pub use random::Random;
pub use s3::{BucketSettings, BucketView};
pub use sqs::{KeptMessage, QueueView};

/// The account whose tables are backed up.
pub const SOURCE_ACCOUNT: &str = "111111111111";
/// The account that holds the bucket, the queues and the live copies.
pub const BACKUP_ACCOUNT: &str = "222222222222";
/// The region [`Loopback::deploy`] puts everything in.
pub const REGION: &str = "eu-west-1";
/// The read-only role in [`SOURCE_ACCOUNT`] that [`BACKUP_ACCOUNT`] may assume.
pub const SOURCE_ROLE_ARN: &str = "arn:aws:iam::111111111111:role/dynamodb-backup-source";
/// What [`SOURCE_ROLE_ARN`] wants to hear from whoever assumes it.
pub const EXTERNAL_ID: &str = "loopback-external-id";
/// The bucket in [`BACKUP_ACCOUNT`].
pub const BUCKET: &str = "dynamodb-backup-archive";
