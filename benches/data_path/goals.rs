//! The goals, by the names they were set under, and whether they are reached.

use serde::Serialize;
use serde_json::{Value, json};

use crate::client::SEGMENTS;
use crate::series::{Results, Sample};

const MIB: f64 = (1 << 20) as f64;

/// One goal, or one half of one.
#[derive(Debug, Serialize)]
pub(crate) struct Goal {
    #[serde(skip)]
    pub(crate) id: &'static str,
    pub(crate) what: String,
    /// None when it was not measured.
    pub(crate) value: Option<f64>,
    pub(crate) goal: f64,
    pub(crate) sense: &'static str,
    pub(crate) reached: Option<bool>,
}

impl Goal {
    fn at_most(id: &'static str, goal: f64, what: &str, value: Option<f64>) -> Self {
        let reached = value.map(|value| value <= goal);
        Self { id, what: what.to_owned(), value, goal, sense: "at most", reached }
    }

    fn at_least(id: &'static str, goal: f64, what: &str, value: Option<f64>) -> Self {
        let reached = value.map(|value| value >= goal);
        Self { id, what: what.to_owned(), value, goal, sense: "at least", reached }
    }
}

/// All goals, in order.
pub(crate) fn of(results: &Results) -> Vec<Goal> {
    let cpu = |id, base| results.cpu_ratio(id, base).map(|ratio| ratio.median);
    let output = |id, base| results.output_ratio(id, base).map(|ratio| ratio.median);
    let rss = |id| results.spread(id, |sample: &Sample| sample.peak_rss_bytes as f64 / MIB);
    let growth = rss("growth-5").zip(rss("growth-1")).map(|(five, one)| five.median - one.median);
    let figure = |name| results.figures.get(name).and_then(Value::as_f64);
    let slots = f64::from(SEGMENTS);
    vec![
        Goal::at_most("G1", 1.2, "export CPU against the floor", cpu("ours", "floor")),
        Goal::at_most("G2", 1.4, "with upload, against that floor", cpu("ours-upload", "floor")),
        Goal::at_most("G3", 3.0, "without compression, against receiving", cpu("ours-none", "floor-none")),
        Goal::at_least("G4", 6.0, "less CPU than the typed SDK, zstd 1 each", cpu("typed", "ours")),
        Goal::at_least(
            "G4b",
            15.0,
            "less than the typed SDK with serde_json, gzip 6",
            cpu("typed-value-gzip", "ours"),
        ),
        Goal::at_least("G5", 9.0, "less CPU than dynein, jsonl", cpu("dynein", "ours-peers")),
        Goal::at_least("G5b", 60.0, "less than boto3, 8 threads, gzip", cpu("boto3-scan", "ours-peers")),
        Goal::at_least("G5c", 25.0, "less than the JavaScript SDK v3, gzip", cpu("js-scan", "ours-peers")),
        Goal::at_most(
            "G6",
            64.0 + 16.0 * slots,
            "peak RSS of 8 slots, MiB",
            rss("ours-upload").map(|rss| rss.max),
        ),
        Goal::at_most("G6b", 8.0, "RSS growth from 1 to 5 GB, MiB", growth),
        Goal::at_most("G7", 1.5, "write CPU against hyper and aws-sigv4", cpu("write-ours", "write-floor")),
        Goal::at_least("G7b", 5.0, "less CPU than the typed SDK", cpu("write-typed", "write-ours")),
        Goal::at_least("G7c", 50.0, "less than boto3 batch writes", cpu("boto3-write", "write-ours-peers")),
        Goal::at_most("G7d", 64.0, "peak RSS of a write, MiB", rss("write-ours").map(|rss| rss.max)),
        Goal::at_least(
            "G8",
            1.0,
            "items verified, every byte as sent",
            figure("items_verified").map(f64::signum),
        ),
        Goal::at_most("G8b", 0.95, "size of the typed client's, zstd 1 each", output("ours", "typed")),
        Goal::at_most("G8c", 0.95, "the same, gzip 6 each", output("ours-gzip", "typed-gzip")),
        Goal::at_least("G9", 7.6, "8 workers against one, 10 ms a page", figure("scaling_8_workers")),
        Goal::at_most(
            "G9b",
            1.1,
            "requests an item, 100 times the table against 1",
            figure("requests_growth"),
        ),
    ]
}

/// The goals by name, and every figure below them.
pub(crate) fn json(goals: &[Goal], results: &Results) -> Value {
    let mut object: serde_json::Map<String, Value> =
        goals.iter().map(|goal| (goal.id.to_owned(), json!(goal))).collect();
    let series = results.series.iter().map(|(id, series)| {
        let cpu = results.spread(id, Sample::cpu_per_gigabyte);
        let rss = results.spread(id, |sample| sample.peak_rss_bytes as f64 / MIB);
        ((*id).to_owned(), json!({ "series": series, "cpu_seconds_per_gb": cpu, "peak_rss_mib": rss }))
    });
    object.insert("clients".to_owned(), Value::Object(series.collect()));
    object.insert("figures".to_owned(), json!(results.figures));
    Value::Object(object)
}
