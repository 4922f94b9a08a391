//! What CloudWatch is told of a run: lines in the embedded metric format, whose totals are those of the report.

use std::collections::{BTreeMap, BTreeSet};

use dynamodb_backup::metrics::{METRICS, NAMESPACE};
use loopback_aws::{Fault, SOURCE_ACCOUNT};
use serde_json::{Value, json};

use crate::harness::{World, table};

/// The records among the lines of a text.
fn records(text: &str) -> Vec<Value> {
    let lines = text.lines().filter(|line| line.contains(r#""_aws""#));
    lines.map(|line| serde_json::from_str(line).expect("a record is a line of JSON")).collect()
}

/// The sum of each metric's values, over all records.
fn totals(records: &[Value]) -> BTreeMap<&'static str, f64> {
    let value = |record: &Value, name: &str| match &record[name] {
        Value::Array(values) => values.iter().filter_map(Value::as_f64).sum(),
        value => value.as_f64().unwrap_or_default(),
    };
    let total = |name| records.iter().map(|record| value(record, name)).sum();
    METRICS.iter().map(|definition| (definition.name, total(definition.name))).collect()
}

fn sum(report: &Value, field: &str) -> f64 {
    let tables = report["tables"].as_array().expect("a report has tables");
    tables.iter().filter_map(|table| table[field].as_f64()).sum()
}

/// Whether a record is as the specification wants it, and as our table says.
fn assert_well_formed(record: &Value) {
    let directive = &record["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(directive["Namespace"], NAMESPACE);
    assert!(record["_aws"]["Timestamp"].as_i64().is_some_and(|time| time > 1_700_000_000_000));
    for dimension in
        directive["Dimensions"].as_array().into_iter().flatten().flat_map(|set| set.as_array()).flatten()
    {
        let value = record[dimension.as_str().expect("a name")].as_str();
        assert!(value.is_some_and(|value| !value.is_empty()), "{dimension} of {record}");
    }
    for metric in directive["Metrics"].as_array().expect("a record has metrics") {
        let name = metric["Name"].as_str().expect("a name");
        let definition = METRICS.iter().find(|definition| definition.name == name).expect("a metric of ours");
        assert_eq!(metric["Unit"], definition.unit.to_string());
        assert_eq!(directive["Dimensions"], json!(definition.by.dimensions()));
        assert!(record[name].is_number() || record[name].is_array(), "{record}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_totals_of_the_records_are_those_of_the_report() {
    let mut world = World::with(vec![table("orders", 700), table("users", 30), table("none", 0)]).await;
    world.set("BACKUP_METRICS", "emf");
    world.backup(&[], 0).await;
    // A second run compares, puts what was changed, and deletes what is gone.
    for (action, body) in [
        ("PutItem", json!({ "TableName": "orders", "Item": { "pk": { "S": "new" }, "n": { "N": "1" } } })),
        ("DeleteItem", json!({ "TableName": "users", "Key": { "pk": { "S": "item-00003" } } })),
    ] {
        world.dynamodb(SOURCE_ACCOUNT, action, &body);
    }
    let ended = world.run(&["run", "--output", "json"]).await.expect_code(0);
    let finished = ended.json();
    let report = &finished["runs"][0];
    assert_eq!((sum(report, "items_put"), sum(report, "items_deleted")), (1.0, 1.0), "{report}");

    let records = records(&ended.stderr);
    records.iter().for_each(assert_well_formed);
    let totals = totals(&records);
    for (metric, total) in [
        ("RunsEnded", 1.0),
        ("TablesBackedUp", 3.0),
        ("ItemsExported", sum(report, "items_exported")),
        ("ItemsPut", sum(report, "items_put")),
        ("ItemsDeleted", sum(report, "items_deleted")),
        ("BytesExported", sum(report, "archive_bytes")),
        ("ReadUnits", sum(report, "read_units") + sum(report, "copy_read_units")),
        ("WriteUnits", sum(report, "write_units")),
        ("Throttles", 0.0),
        ("Retries", 0.0),
    ] {
        assert_eq!(totals[metric], total, "{metric} in {records:?}");
    }
    assert!(totals["ReadUnits"] > 0.0 && totals["WriteUnits"] > 0.0 && totals["BytesExported"] > 0.0);
    let of = |record: &Value, name: &str| record[name].as_str().unwrap_or_default().to_owned();
    let jobs: BTreeSet<_> = records
        .iter()
        .filter(|record| record["JobDuration"].is_array())
        .map(|record| (of(record, "Stage"), of(record, "Outcome")))
        .collect();
    for stage in ["trigger", "export", "provision", "write"] {
        assert!(jobs.contains(&(stage.to_owned(), "done".to_owned())), "{jobs:?}");
    }
    let age =
        records.iter().find(|record| record["AgeOfLastCompleteRun"].is_number()).expect("there is an age");
    assert!(age["AgeOfLastCompleteRun"].as_f64().is_some_and(|age| age < 120.0), "{age}");
    assert_eq!((of(age, "Environment"), of(age, "Source")), ("default".to_owned(), "default".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_json_the_records_are_on_stdout_and_without_the_setting_nowhere() {
    let mut world = World::with(vec![table("orders", 5)]).await;
    let ended = world.run(&["run"]).await.expect_code(0);
    assert_eq!((records(&ended.stdout).len(), records(&ended.stderr).len()), (0, 0));
    world.set("BACKUP_METRICS", "emf");
    let ended = world.run(&["run"]).await.expect_code(0);
    assert!(!records(&ended.stdout).is_empty() && records(&ended.stderr).is_empty());
    let (_, report) = ended.stdout.rsplit_once("}\n").expect("the report comes last");
    assert!(report.starts_with("run ") && report.contains("complete"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_writes_what_is_left_when_it_stops_and_counts_throttles_and_retries() {
    let mut world = World::with(vec![table("orders", 50)]).await;
    world.set("BACKUP_METRICS", "emf");
    let (throttled, failed) = (std::sync::atomic::AtomicU32::new(0), std::sync::atomic::AtomicU32::new(0));
    let first = |count: &std::sync::atomic::AtomicU32, most| {
        count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < most
    };
    world.aws.set_fault(move |call| match call.action.as_str() {
        "Scan" if call.account == SOURCE_ACCOUNT && first(&throttled, 2) => Some(Fault::Throttled {
            code: "ProvisionedThroughputExceededException",
            reason: "TableReadProvisionedThroughputExceeded",
        }),
        "GetQueueUrl" if first(&failed, 1) => Some(Fault::error(503, "ServiceUnavailable")),
        _ => None,
    });
    let worker = world.start(&["worker"]);
    world.send("trigger", "{}");
    world.until("the report", |world| !world.keys("/report.json").is_empty()).await;
    world.until("every message", |world| world.messages_left() == 0).await;
    worker.signal("TERM");
    let ended = worker.end().await.expect_code(0);
    let totals = totals(&records(&ended.stdout));
    assert_eq!((totals["Throttles"], totals["Retries"], totals["ItemsPut"]), (2.0, 1.0, 50.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_narrowed_leaves_the_age_as_it_was() {
    let mut world = World::with(vec![table("orders", 5), table("users", 5)]).await;
    world.set("BACKUP_METRICS", "emf");
    let ages = |stdout: &str| {
        records(stdout).iter().filter(|record| record["AgeOfLastCompleteRun"].is_number()).count()
    };
    let narrowed = world.run(&["run", "--table", "orders"]).await.expect_code(0);
    assert_eq!(ages(&narrowed.stdout), 0, "users has never been backed up");
    let whole = world.run(&["run"]).await.expect_code(0);
    assert_eq!(ages(&whole.stdout), 1);
    let narrowed = world.run(&["run", "--table", "orders"]).await.expect_code(0);
    assert_eq!(ages(&narrowed.stdout), 1, "that of the run before");
}
