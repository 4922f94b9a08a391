//! The loopback against the real AWS SDK: what it must do as AWS does.

mod accounts;
mod bucket_settings;
mod client;
mod deletes;
mod dynamodb;
mod faults;
mod s3;
mod segments;
mod sqs;
mod ssm;
