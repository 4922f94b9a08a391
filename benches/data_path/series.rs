//! What was measured: for each client, one sample a round.

use std::collections::BTreeMap;

use serde::Serialize;

/// One run of one client.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Sample {
    pub(crate) cpu_seconds: f64,
    pub(crate) peak_rss_bytes: u64,
    pub(crate) wall_seconds: f64,
    pub(crate) server_cpu_seconds: f64,
    /// Of lines of DynamoDB JSON, read or written.
    pub(crate) line_bytes: u64,
    pub(crate) items: u64,
    /// What came out: compressed, where the client compresses.
    pub(crate) output_bytes: u64,
}

impl Sample {
    /// CPU seconds for 10^9 bytes of lines.
    pub(crate) fn cpu_per_gigabyte(&self) -> f64 {
        self.cpu_seconds / (self.line_bytes as f64 / 1e9)
    }
}

/// Median, least and greatest of several rounds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// None of no values.
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
        Some(Self { median, min, max })
    }
}

/// A client: what the table calls it, and its samples or why there are none.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Series {
    pub(crate) label: String,
    pub(crate) section: &'static str,
    /// Such as `not installed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) absent: Option<String>,
    pub(crate) samples: Vec<Sample>,
}

/// Every series by its id, in the order of the table.
#[derive(Debug, Default)]
pub(crate) struct Results {
    pub(crate) series: Vec<(&'static str, Series)>,
    /// Figures that are not samples of clients.
    pub(crate) figures: BTreeMap<&'static str, serde_json::Value>,
}

impl Results {
    pub(crate) fn declare(&mut self, id: &'static str, section: &'static str, label: &str) {
        let series = Series { label: label.to_owned(), section, absent: None, samples: Vec::new() };
        self.series.push((id, series));
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Series> {
        self.series.iter().find(|(known, _)| *known == id).map(|(_, series)| series)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Series> {
        self.series.iter_mut().find(|(known, _)| *known == id).map(|(_, series)| series)
    }

    pub(crate) fn push(&mut self, id: &str, sample: Sample) {
        if let Some(series) = self.get_mut(id) {
            series.samples.push(sample);
        }
    }

    /// CPU for a byte of `id` against that of `base`, round by round.
    pub(crate) fn cpu_ratio(&self, id: &str, base: &str) -> Option<Spread> {
        let (above, below) = (self.get(id)?, self.get(base)?);
        let rounds = above.samples.iter().zip(&below.samples);
        Spread::of(rounds.map(|(above, below)| above.cpu_per_gigabyte() / below.cpu_per_gigabyte()))
    }

    /// Output for a byte of `id` against that of `base`, round by round.
    pub(crate) fn output_ratio(&self, id: &str, base: &str) -> Option<Spread> {
        let size = |sample: &Sample| sample.output_bytes as f64 / sample.line_bytes as f64;
        let rounds = self.get(id)?.samples.iter().zip(&self.get(base)?.samples);
        Spread::of(rounds.map(|(above, below)| size(above) / size(below)))
    }

    /// Of any figure of the samples of `id`.
    pub(crate) fn spread(&self, id: &str, figure: impl Fn(&Sample) -> f64) -> Option<Spread> {
        Spread::of(self.get(id)?.samples.iter().map(figure))
    }
}
