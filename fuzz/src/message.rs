//! The body of a message, which may come to any queue.

use dynamodb_backup::archive::layout::{RunId, Stage};
use dynamodb_backup::error::Kind;
use dynamodb_backup::message::{Job, Trigger};
use dynamodb_backup::table::TableName;
use serde_json::Value;

/// What is accepted is the same when it is sent on, names a run and a table by legal names, and says each thing once.
pub fn check(input: &[u8]) {
    let Ok(body) = str::from_utf8(input) else { return };
    for stage in [Stage::Export, Stage::Provision, Stage::Write] {
        match Job::parse(stage, body) {
            Ok(job) => check_job(&job, body),
            Err(error) => assert_eq!(error.kind(), Kind::Permanent),
        }
    }
    match Trigger::parse(body) {
        Ok(trigger) => check_trigger(&trigger, body),
        Err(error) => assert_eq!(error.kind(), Kind::Permanent),
    }
}

fn check_job(job: &Job, body: &str) {
    let again = Job::parse(job.stage(), &job.body()).expect("it is what was accepted");
    assert_eq!(&again, job);
    RunId::parse(job.run().as_str()).expect("it was accepted");
    TableName::parse(job.table().as_str()).expect("it was accepted");
    let (sent, accepted): (Value, Value) = (parse(&job.body()), parse(body));
    assert_eq!(accepted, sent, "all that the message says");
}

fn check_trigger(trigger: &Trigger, body: &str) {
    let again = Trigger::parse(&trigger.body()).expect("it is what was accepted");
    assert_eq!(&again, trigger);
    if parse(body).get("detail").is_none() {
        let whole: Trigger = serde_json::from_str(body).expect("nothing is said twice");
        assert_eq!(&whole, trigger);
    }
}

fn parse(json: &str) -> Value {
    serde_json::from_str(json).expect("it was accepted")
}
