//! A JSON object of the archive: the first line of the input is the name of what it is, as in `RECORDS`.

use std::fmt::Debug;

use dynamodb_backup::archive::marker::{
    Deleted, Deletions, Exported, ExtraKeys, FailedItems, Failure, FirstLook, HandedOver, LastAttempt,
    MissingKeys, PartEntry, Provisioned, Written,
};
use dynamodb_backup::archive::part::{PartBuffers, PartWriter};
use dynamodb_backup::archive::record::{Report, Run, Table, TableRecord, TableResult};
use dynamodb_backup::config::Compression;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::first_line;

/// What is asked of a record, given as JSON.
type Check = fn(&str);

/// Each name that a first line may have, and what is asked of the rest.
const RECORDS: &[(&str, Check)] = &[
    ("run", keeps::<Run>),
    ("table", check_table),
    ("result", keeps::<TableResult>),
    ("report", keeps::<Report>),
    ("exported", check_exported),
    ("provisioned", keeps::<Provisioned>),
    ("written", keeps::<Written>),
    ("first-look", keeps::<FirstLook>),
    ("handed-over", keeps::<HandedOver>),
    ("extra-keys", keeps::<ExtraKeys>),
    ("missing-keys", keeps::<MissingKeys>),
    ("deletions", keeps::<Deletions>),
    ("deleted", keeps::<Deleted>),
    ("failure", keeps::<Failure>),
    ("failed-items", keeps::<FailedItems>),
    ("last-attempt", keeps::<LastAttempt>),
];

/// What is read survives being written, and a table can be worked on.
pub fn check(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let (name, json) = first_line(text);
    if let Some((_, check)) = RECORDS.iter().find(|(known, _)| *known == name) {
        check(json);
    }
}

fn keeps<T: Serialize + DeserializeOwned + Debug>(json: &str) {
    read::<T>(json);
}

/// The record, which is the same when it has been written and read again.
fn read<T: Serialize + DeserializeOwned + Debug>(json: &str) -> Option<T> {
    let record: T = serde_json::from_str(json).ok()?;
    let written = serde_json::to_string(&record).expect("records are plain data with string keys");
    let again: T = serde_json::from_str(&written).expect("what was written can be read");
    let again = serde_json::to_string(&again).expect("records are plain data with string keys");
    assert!(again == written || is_same(&value(&again), &value(&written)), "{again} is not {written}");
    Some(record)
}

fn value(json: &str) -> Value {
    serde_json::from_str(json).expect("it is what was written")
}

/// Whether two values differ in nothing but the last digit of a fraction, which serde_json does not keep.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let same = |(name, value)| other.get(name).is_some_and(|other| is_same(value, other));
            one.len() == other.len() && one.iter().all(same)
        }
        (Value::Number(one), Value::Number(other)) if one.is_f64() && other.is_f64() => {
            let (one, other) = (one.as_f64().unwrap_or(0.0), other.as_f64().unwrap_or(1.0));
            (one - other).abs() <= one.abs() * 1e-12
        }
        (one, other) => one == other,
    }
}

fn check_exported(json: &str) {
    let Some(exported) = read::<Exported>(json) else { return };
    let sum = |of: fn(&PartEntry) -> u64| {
        let sum: u128 = exported.parts.iter().map(|part| u128::from(of(part))).sum();
        u64::try_from(sum).unwrap_or(u64::MAX)
    };
    assert_eq!((exported.items(), exported.bytes()), (sum(|part| part.items), sum(|part| part.bytes)));
}

/// A plan that is accepted can be followed, however many lanes and segments it has.
fn check_table(json: &str) {
    let Some(table) = read::<TableRecord>(json).and_then(|record| Table::try_from(record).ok()) else {
        return;
    };
    _ = table.definition.key();
    let plan = &table.plan;
    let mut next = 0;
    for lane in 0..plan.lanes {
        let segments = plan.lane(lane);
        assert_eq!(segments.start, next, "lanes follow each other");
        assert!(!segments.is_empty() && plan.begins_lane(next));
        assert_eq!((plan.lane_of(next), plan.lane_of(segments.end - 1)), (lane, lane));
        next = segments.end;
    }
    assert_eq!(next, plan.segments, "lanes hold every segment");
    if let Compression::Gzip(_) = table.compression {
        let part = PartWriter::new(table.compression, plan.part_bytes, &PartBuffers::default());
        part.and_then(PartWriter::finish).expect("a part can be written");
    }
}
