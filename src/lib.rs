//! Backs up the DynamoDB tables of one AWS account into another: an append-only archive in S3, in DynamoDB's
//! own export format, and a live copy beside it.
//!
//! Dependencies point one way, from the top of this list to its end:
//!
//! - [`cli`], [`config`], [`exit`], [`telemetry`], [`shutdown`]: how the program is told what to do
//! - [`commands`]: one file per command; builds the [`environment`] once; [`doctor`]: checks what a run relies on
//! - [`worker`]: the bounded pool: free slot → receive → work → settle
//! - [`job`]: the four stages; [`reconcile`]: the one function that moves a run forward; [`verify`]: reads a backup
//!   back
//! - [`environment`]: what jobs work with; [`message`]: what the queues carry; [`target`]: the guards of the
//!   live copy; [`progress`]: counts for whoever watches; [`metrics`]: counts for CloudWatch
//! - [`copy`]: the live copy against its archive; [`scan`]: the scan of one segment
//! - [`archive`]: what lies in the bucket; [`aws`]: the two accounts, the only code that names the SDK
//! - [`rate`]: read and write budgets; [`blocking`]: CPU work off the async threads
//! - [`table`], [`schema`], [`plan`], [`page`], [`item`], [`batch`], [`digest`]: pure; no I/O
//! - [`error`]: what went wrong, and what that means for a message or a command

pub mod archive;
pub mod aws;
pub mod batch;
pub mod blocking;
pub mod cli;
pub mod commands;
pub mod config;
pub mod copy;
pub mod digest;
pub mod doctor;
pub mod environment;
pub mod error;
pub mod exit;
pub mod item;
pub mod job;
pub mod message;
pub mod metrics;
pub mod page;
pub mod plan;
pub mod progress;
pub mod rate;
pub mod reconcile;
pub mod restore;
pub mod scan;
pub mod schema;
pub mod shutdown;
pub mod table;
pub mod target;
pub mod telemetry;
pub mod verify;
pub mod worker;
