use std::collections::BTreeSet;

use super::*;

fn metrics() -> Metrics {
    Metrics::new(Some("prod"), Sink::Stdout, Retries::default())
}

fn lines(metrics: &Metrics, ages: &[(String, Duration)]) -> Vec<String> {
    let now = "2026-11-24T02:00:00.5Z".parse().unwrap();
    metrics.take(now, ages).iter().map(Record::line).collect()
}

#[test]
fn a_source_is_one_record_with_all_that_was_counted() {
    let metrics = metrics();
    let counters = metrics.of("shop");
    counters.add(Metric::ItemsExported, 300);
    counters.add(Metric::ItemsExported, 5);
    counters.add_units(Metric::ReadUnits, 0.5);
    counters.add_units(Metric::ReadUnits, 2.0);
    assert_eq!(
        lines(&metrics, &[]),
        [concat!(
            r#"{"_aws":{"Timestamp":1795485600500,"CloudWatchMetrics":[{"Namespace":"DynamodbBackup","#,
            r#""Dimensions":[["Environment"],["Environment","Source"]],"#,
            r#""Metrics":[{"Name":"ItemsExported","Unit":"Count"},{"Name":"ReadUnits","Unit":"Count"}]}]},"#,
            r#""Environment":"prod","Source":"shop","ItemsExported":305,"ReadUnits":2.5}"#
        )]
    );
}

#[test]
fn jobs_are_told_apart_by_stage_and_end_and_their_durations_are_an_array() {
    let metrics = Metrics::new(None, Sink::Stdout, Retries::default());
    for (stage, end, milliseconds) in [
        (Stage::Export, JobEnd::Done, 12),
        (Stage::Export, JobEnd::Done, 7),
        (Stage::Write, JobEnd::Failed, 9),
    ] {
        metrics.job_ended(stage, end, Duration::from_millis(milliseconds));
    }
    assert_ends(
        &lines(&metrics, &[]),
        &[
            r#""Environment":"default","Stage":"export","Outcome":"done","JobDuration":[12,7]}"#,
            r#""Environment":"default","Stage":"write","Outcome":"failed","JobDuration":[9]}"#,
        ],
    );
}

#[test]
fn runs_ages_and_retries_have_records_of_their_own() {
    let retries = Retries::default();
    let metrics = Metrics::new(Some("prod"), Sink::Stdout, retries.clone());
    metrics.run_ended("shop", Outcome::Complete);
    metrics.run_ended("shop", Outcome::Complete);
    retries.add_one();
    let lines = lines(&metrics, &[("crm".to_owned(), Duration::from_secs(7200))]);
    assert_ends(
        &lines,
        &[
            r#""Environment":"prod","Source":"crm","AgeOfLastCompleteRun":7200}"#,
            r#""Environment":"prod","Source":"shop","Outcome":"complete","RunsEnded":2}"#,
            r#""Environment":"prod","Retries":1}"#,
        ],
    );
}

fn assert_ends(lines: &[String], ends: &[&str]) {
    assert_eq!(lines.len(), ends.len(), "{lines:?}");
    for (line, end) in lines.iter().zip(ends) {
        assert!(line.ends_with(end), "{line}");
    }
}

#[test]
fn what_was_written_is_not_written_again_and_what_did_not_happen_never() {
    let metrics = metrics();
    metrics.of("shop").add(Metric::Throttles, 1);
    metrics.of("crm");
    assert_eq!(lines(&metrics, &[]).len(), 1);
    assert_eq!(lines(&metrics, &[]), Vec::<String>::new());
}

#[test]
fn no_record_has_more_values_than_cloudwatch_takes() {
    // What is full is written at once: to nowhere that this test would see.
    let metrics = Metrics::new(None, Sink::Stderr, Retries::default());
    for _ in 0..MAX_VALUES + 30 {
        metrics.job_ended(Stage::Write, JobEnd::Done, Duration::ZERO);
    }
    assert_eq!(lock(&metrics.jobs)[&(Stage::Write, JobEnd::Done)].len(), 30);
}

#[test]
fn every_metric_stands_where_its_number_says_under_a_name_and_dimensions_that_cloudwatch_takes() {
    let names: BTreeSet<_> = METRICS.iter().map(|definition| definition.name).collect();
    assert_eq!(names.len(), METRICS.len());
    for (at, definition) in METRICS.iter().enumerate() {
        assert_eq!(definition.metric as usize, at);
        assert_eq!(format!("{:?}", definition.metric), definition.name);
        assert!(definition.by.dimensions().iter().all(|set| set.contains(&"Environment")));
    }
}
