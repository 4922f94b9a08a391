//! One record in the embedded metric format: a line of JSON from which CloudWatch Logs makes metrics.
//!
//! (CloudWatch User Guide, “Specification: Embedded metric format”)

use jiff::Timestamp;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::{By, Definition, Metric, NAMESPACE};

/// The most values of a metric in one record. A record may have 100 metrics, 30 dimensions and 256 KB as well: ours
/// have 12, 3, and 2 KB.
pub(super) const MAX_VALUES: usize = 100;

/// Values under one set of dimensions.
#[derive(Clone, Debug)]
pub(super) struct Record {
    time: Timestamp,
    by: By,
    dimensions: Vec<(&'static str, String)>,
    values: Vec<(Metric, Value)>,
}

impl Record {
    /// `dimensions` gives each dimension of `by` its value.
    pub(super) fn new(
        time: Timestamp,
        by: By,
        dimensions: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Self {
        Self { time, by, dimensions: dimensions.into_iter().collect(), values: Vec::new() }
    }

    pub(super) fn with(mut self, values: impl IntoIterator<Item = (Metric, f64)>) -> Self {
        self.values.extend(values.into_iter().map(|(metric, value)| (metric, number(value))));
        self
    }

    /// Several values of one metric, at most [`MAX_VALUES`].
    pub(super) fn with_values(mut self, metric: Metric, values: Vec<f64>) -> Self {
        self.values.push((metric, Value::Array(values.into_iter().map(number).collect())));
        self
    }

    pub(super) fn line(&self) -> String {
        serde_json::to_string(self).expect("records are plain data with string keys")
    }

    fn metadata(&self) -> Metadata {
        let directive = Directive {
            namespace: NAMESPACE,
            dimensions: self.by.dimensions(),
            metrics: self.values.iter().map(|(metric, _)| metric.definition().into()).collect(),
        };
        Metadata { timestamp: self.time.as_millisecond(), cloud_watch_metrics: [directive] }
    }
}

/// What tells CloudWatch which members of a record are metrics.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    timestamp: i64,
    cloud_watch_metrics: [Directive; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive {
    namespace: &'static str,
    dimensions: &'static [&'static [&'static str]],
    metrics: Vec<MetricDefinition>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct MetricDefinition {
    name: &'static str,
    unit: String,
}

impl From<&Definition> for MetricDefinition {
    fn from(definition: &Definition) -> Self {
        Self { name: definition.name, unit: definition.unit.to_string() }
    }
}

/// Counts without a point.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 { json!(value as u64) } else { json!(value) }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut line = serializer.serialize_map(None)?;
        line.serialize_entry("_aws", &self.metadata())?;
        for (name, value) in &self.dimensions {
            line.serialize_entry(name, value)?;
        }
        for (metric, value) in &self.values {
            line.serialize_entry(metric.definition().name, value)?;
        }
        line.end()
    }
}
