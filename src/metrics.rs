//! What CloudWatch is told: the one table of metrics, and where they are counted.
//!
//! Jobs count into the [`Counters`] of their source as they work. Once a minute what has come together is written as
//! lines in the embedded metric format, from which CloudWatch Logs makes metrics. What has not happened is not
//! written: CloudWatch bills a metric for the hours in which it gets values.

mod emf;
mod last_complete;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use self::emf::{MAX_VALUES, Record};
pub use self::last_complete::LastComplete;
use crate::archive::layout::Stage;
use crate::archive::record::Outcome;
use crate::aws::Retries;

/// Where CloudWatch keeps the metrics.
pub const NAMESPACE: &str = "DynamodbBackup";

/// What the dimension `Environment` says where the deployment has no name.
const NO_ENVIRONMENT: &str = "default";

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    RunsEnded,
    AgeOfLastCompleteRun,
    TablesBackedUp,
    ItemsExported,
    ItemsPut,
    ItemsDeleted,
    BytesExported,
    ReadUnits,
    WriteUnits,
    Throttles,
    Retries,
    JobDuration,
}

/// A unit of CloudWatch's (CloudWatch API Reference, “MetricDatum”).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Bytes,
    Count,
    Milliseconds,
    Seconds,
}

/// What tells the values of a metric apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Process,
    Source,
    SourceAndOutcome,
    Job,
}

/// One line of the table of metrics.
#[derive(Debug)]
pub struct Definition {
    pub metric: Metric,
    pub name: &'static str,
    pub unit: Unit,
    pub by: By,
    /// What it counts, in the user's words.
    pub meaning: &'static str,
}

/// Every metric, in the order of [`Metric`].
#[rustfmt::skip] // a metric a paragraph, all alike
pub static METRICS: [Definition; 12] = [
    define(Metric::RunsEnded, "RunsEnded", Unit::Count, By::SourceAndOutcome,
        "runs that got their report, by its outcome"),
    define(Metric::AgeOfLastCompleteRun, "AgeOfLastCompleteRun", Unit::Seconds, By::Source,
        "time since the newest complete run of all tables was triggered"),
    define(Metric::TablesBackedUp, "TablesBackedUp", Unit::Count, By::Source,
        "tables that got a complete result"),
    define(Metric::ItemsExported, "ItemsExported", Unit::Count, By::Source,
        "items put into the archive"),
    define(Metric::ItemsPut, "ItemsPut", Unit::Count, By::Source,
        "items put into the live copies"),
    define(Metric::ItemsDeleted, "ItemsDeleted", Unit::Count, By::Source,
        "items deleted from the live copies"),
    define(Metric::BytesExported, "BytesExported", Unit::Bytes, By::Source,
        "compressed bytes put into the archive"),
    define(Metric::ReadUnits, "ReadUnits", Unit::Count, By::Source,
        "read units consumed, of the source and of the copies"),
    define(Metric::WriteUnits, "WriteUnits", Unit::Count, By::Source,
        "write units consumed, of the copies"),
    define(Metric::Throttles, "Throttles", Unit::Count, By::Source,
        "answers in which a table gave less than was asked for"),
    define(Metric::Retries, "Retries", Unit::Count, By::Process,
        "calls sent again after a failure that may pass, throttles of tables not counted"),
    define(Metric::JobDuration, "JobDuration", Unit::Milliseconds, By::Job,
        "time from the receipt of a job's message to the end of the job"),
];

const fn define(metric: Metric, name: &'static str, unit: Unit, by: By, meaning: &'static str) -> Definition {
    Definition { metric, name, unit, by, meaning }
}

impl Metric {
    pub fn definition(self) -> &'static Definition {
        &METRICS[self as usize]
    }
}

impl By {
    /// The sets of dimensions that each value is kept under.
    pub fn dimensions(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Process => &[&["Environment"]],
            Self::Source => &[&["Environment"], &["Environment", "Source"]],
            Self::SourceAndOutcome => &[&["Environment", "Outcome"], &["Environment", "Source", "Outcome"]],
            Self::Job => &[&["Environment", "Stage", "Outcome"]],
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What became of a job, as far as its duration is told apart by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum JobEnd {
    Done,
    /// It waits for something, has given way, or has handed over.
    Again,
    /// It failed in a way that may pass, and is tried again.
    Retried,
    /// It was stopped from outside.
    Interrupted,
    /// It was given up.
    Failed,
}

impl fmt::Display for JobEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Done => "done",
            Self::Again => "again",
            Self::Retried => "retried",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
        })
    }
}

/// Capacity units come in halves, and whole numbers are what can be added to without a lock: all amounts are in
/// thousandths.
const SCALE: f64 = 1000.0;

/// What the jobs of one source have counted since it was last taken.
#[derive(Debug, Default)]
pub struct Counters([AtomicU64; METRICS.len()]);

impl Counters {
    pub fn add(&self, metric: Metric, count: u64) {
        self.0[metric as usize].fetch_add(count * SCALE as u64, Ordering::Relaxed);
    }

    pub fn add_units(&self, metric: Metric, units: f64) {
        self.0[metric as usize].fetch_add((units * SCALE).round() as u64, Ordering::Relaxed);
    }

    /// What is not zero, which it is afterwards.
    fn take(&self) -> Vec<(Metric, f64)> {
        let taken = METRICS.iter().zip(&self.0).map(|(definition, amount)| {
            (definition.metric, amount.swap(0, Ordering::Relaxed) as f64 / SCALE)
        });
        taken.filter(|(_, amount)| *amount > 0.0).collect()
    }
}

/// Where the lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sink {
    /// Nowhere: nobody asked for metrics.
    Nowhere,
    Stdout,
    /// Beside the log, where stdout holds one JSON value.
    Stderr,
}

/// What this process has counted and not yet written.
#[derive(Debug)]
pub struct Metrics {
    environment: String,
    sink: Sink,
    retries: Retries,
    sources: Mutex<BTreeMap<String, Arc<Counters>>>,
    runs: Mutex<BTreeMap<(String, String), u64>>,
    jobs: Mutex<BTreeMap<(Stage, JobEnd), Vec<f64>>>,
}

impl Metrics {
    /// `environment` names the deployment; `retries` are those of its sessions.
    pub fn new(environment: Option<&str>, sink: Sink, retries: Retries) -> Self {
        Self {
            environment: environment.unwrap_or(NO_ENVIRONMENT).to_owned(),
            sink,
            retries,
            sources: Mutex::default(),
            runs: Mutex::default(),
            jobs: Mutex::default(),
        }
    }

    pub fn is_on(&self) -> bool {
        self.sink != Sink::Nowhere
    }

    /// What the jobs of a source count into.
    pub fn of(&self, source: &str) -> Arc<Counters> {
        let mut sources = lock(&self.sources);
        if let Some(counters) = sources.get(source) {
            return Arc::clone(counters);
        }
        Arc::clone(sources.entry(source.to_owned()).or_default())
    }

    /// Counts a run that has just got its report.
    pub fn run_ended(&self, source: &str, outcome: Outcome) {
        *lock(&self.runs).entry((source.to_owned(), outcome.to_string())).or_default() += 1;
    }

    /// Notes how long a job took. A record that is full is written at once, so that no more than one is kept for
    /// each stage and end.
    pub fn job_ended(&self, stage: Stage, end: JobEnd, took: Duration) {
        if !self.is_on() {
            return;
        }
        let full = {
            let mut jobs = lock(&self.jobs);
            let values = jobs.entry((stage, end)).or_default();
            values.push(took.as_millis() as f64);
            (values.len() >= MAX_VALUES).then(|| std::mem::take(values))
        };
        if let Some(values) = full {
            self.write(&[self.job_record(Timestamp::now(), stage, end, values)]);
        }
    }

    /// Writes what has been counted since the last time, and how long ago each source had its newest complete run.
    pub fn flush(&self, ages: &[(String, Duration)]) {
        if self.is_on() {
            self.write(&self.take(Timestamp::now(), ages));
        }
    }

    fn take(&self, now: Timestamp, ages: &[(String, Duration)]) -> Vec<Record> {
        let mut records = Vec::new();
        for (source, counters) in lock(&self.sources).iter() {
            let counted = counters.take();
            if !counted.is_empty() {
                records.push(self.record(now, By::Source, [("Source", source.clone())]).with(counted));
            }
        }
        for (source, age) in ages {
            let age = (Metric::AgeOfLastCompleteRun, age.as_secs() as f64);
            records.push(self.record(now, By::Source, [("Source", source.clone())]).with([age]));
        }
        for ((source, outcome), count) in std::mem::take(&mut *lock(&self.runs)) {
            let dimensions = [("Source", source), ("Outcome", outcome)];
            let ended = (Metric::RunsEnded, count as f64);
            records.push(self.record(now, By::SourceAndOutcome, dimensions).with([ended]));
        }
        let retries = self.retries.take();
        if retries > 0 {
            records.push(self.record(now, By::Process, []).with([(Metric::Retries, retries as f64)]));
        }
        for ((stage, end), values) in std::mem::take(&mut *lock(&self.jobs)) {
            if !values.is_empty() {
                records.push(self.job_record(now, stage, end, values));
            }
        }
        records
    }

    fn record<const N: usize>(
        &self,
        now: Timestamp,
        by: By,
        dimensions: [(&'static str, String); N],
    ) -> Record {
        Record::new(now, by, [("Environment", self.environment.clone())].into_iter().chain(dimensions))
    }

    fn job_record(&self, now: Timestamp, stage: Stage, end: JobEnd, values: Vec<f64>) -> Record {
        let dimensions = [("Stage", stage.to_string()), ("Outcome", end.to_string())];
        self.record(now, By::Job, dimensions).with_values(Metric::JobDuration, values)
    }

    /// Each record is a line of its own, written at once. A reader that has gone away is not an error.
    fn write(&self, records: &[Record]) {
        for record in records {
            let line = format!("{}\n", record.line());
            let _ = match self.sink {
                Sink::Nowhere => Ok(()),
                Sink::Stdout => io::stdout().lock().write_all(line.as_bytes()),
                Sink::Stderr => io::stderr().lock().write_all(line.as_bytes()),
            };
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
