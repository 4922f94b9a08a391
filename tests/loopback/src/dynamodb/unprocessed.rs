//! `BatchWriteItem` that does not get everything done, as AWS does under load.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{Answer, Failure};
use crate::wire::Refusal;

/// Requests of each table, as the bytes they came in.
type Requests = BTreeMap<String, Vec<Box<RawValue>>>;

#[derive(Deserialize, Serialize)]
struct Batch {
    #[serde(rename = "RequestItems")]
    requests: Requests,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Deserialize, Serialize)]
struct Outcome {
    #[serde(rename = "UnprocessedItems", default)]
    unprocessed: Requests,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// Carries out all but the last `count` requests and returns those as unprocessed.
pub(super) fn hold_back(body: &[u8], count: usize, write: impl FnOnce(&[u8]) -> Answer) -> Answer {
    carry_out(body, |requests| take_last(requests, count), write)
}

/// Carries out all requests but those in whose JSON `text` is, and returns those as unprocessed.
pub(super) fn hold_back_with(body: &[u8], text: &str, write: impl FnOnce(&[u8]) -> Answer) -> Answer {
    carry_out(body, |requests| take_with(requests, text), write)
}

fn carry_out(
    body: &[u8],
    take: impl FnOnce(&mut Requests) -> Requests,
    write: impl FnOnce(&[u8]) -> Answer,
) -> Answer {
    let mut batch: Batch = serde_json::from_slice(body).map_err(internal)?;
    let held_back = take(&mut batch.requests);
    let mut outcome = if batch.requests.is_empty() {
        Outcome { unprocessed: Requests::new(), rest: Map::new() }
    } else {
        let remaining = serde_json::to_vec(&batch).map_err(internal)?;
        serde_json::from_str(&write(&remaining)?).map_err(internal)?
    };
    for (table, requests) in held_back {
        outcome.unprocessed.entry(table).or_default().extend(requests);
    }
    serde_json::to_string(&outcome).map_err(internal)
}

fn take_last(requests: &mut Requests, mut count: usize) -> Requests {
    let mut taken = Requests::new();
    for (table, of_table) in requests.iter_mut().rev() {
        let kept = of_table.len().saturating_sub(count);
        count -= of_table.len() - kept;
        if kept < of_table.len() {
            taken.insert(table.clone(), of_table.split_off(kept));
        }
    }
    requests.retain(|_, of_table| !of_table.is_empty());
    taken
}

fn take_with(requests: &mut Requests, text: &str) -> Requests {
    let mut taken = Requests::new();
    for (table, of_table) in requests.iter_mut() {
        let has_text = |request: &mut Box<RawValue>| request.get().contains(text);
        let held_back: Vec<_> = of_table.extract_if(.., has_text).collect();
        if !held_back.is_empty() {
            taken.insert(table.clone(), held_back);
        }
    }
    requests.retain(|_, of_table| !of_table.is_empty());
    taken
}

fn internal(error: serde_json::Error) -> Failure {
    Refusal::new(500, "InternalServerError", error.to_string()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(text: &str) -> Requests {
        serde_json::from_str(text).expect("valid JSON")
    }

    #[test]
    fn the_last_requests_are_taken_across_tables() {
        let mut all = requests(r#"{"a":[1,2],"b":[3]}"#);
        let taken = take_last(&mut all, 2);
        assert_eq!(serde_json::to_string(&all).ok().as_deref(), Some(r#"{"a":[1]}"#));
        assert_eq!(serde_json::to_string(&taken).ok().as_deref(), Some(r#"{"a":[2],"b":[3]}"#));
    }

    #[test]
    fn those_with_a_text_are_taken() {
        let mut all = requests(r#"{"a":["x1","y"],"b":["x2"]}"#);
        let taken = take_with(&mut all, "x");
        assert_eq!(serde_json::to_string(&all).ok().as_deref(), Some(r#"{"a":["y"]}"#));
        assert_eq!(serde_json::to_string(&taken).ok().as_deref(), Some(r#"{"a":["x1"],"b":["x2"]}"#));
    }

    #[test]
    fn more_than_there_are_means_all() {
        let mut all = requests(r#"{"a":[1,2]}"#);
        take_last(&mut all, 9);
        assert!(all.is_empty());
    }
}
