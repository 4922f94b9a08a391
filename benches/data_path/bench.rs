//! Rounds of clients against one server, one after the other, always in the same order.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::client::{Done, Job};
use crate::codec::Codec;
use crate::items::Shape;
use crate::process::{AS_CLIENT, Measured, ServerProcess, Watched};
use crate::series::{Results, Sample};
use crate::server::Pace;
use crate::table::BenchTable;

/// No run of a client of ours is near it.
const LIMIT: Duration = Duration::from_secs(300);

/// A server, and the results of what runs against it.
pub(crate) struct Bench {
    pub(crate) server: ServerProcess,
    pub(crate) results: Results,
}

/// A client of the bench itself, as the sections name it.
pub(crate) struct Entry {
    pub(crate) id: &'static str,
    pub(crate) label: &'static str,
    pub(crate) client: &'static str,
    pub(crate) codec: Codec,
    /// The table that it reads, or the parts that it writes.
    pub(crate) input: Input,
}

#[derive(Clone, Copy)]
pub(crate) enum Input {
    /// 10^9 bytes of lines.
    Table(Shape, f64),
    Parts(u64),
}

impl Bench {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { server: ServerProcess::start(&Pace::default())?, results: Results::default() })
    }

    pub(crate) fn declare(&mut self, section: &'static str, entries: &[Entry]) {
        for entry in entries {
            self.results.declare(entry.id, section, entry.label);
        }
    }

    /// Runs each entry once.
    pub(crate) fn round(&mut self, entries: &[Entry]) -> Result<()> {
        for entry in entries {
            let sample = self.run(entry).with_context(|| format!("run {}", entry.id))?;
            self.results.push(entry.id, sample);
        }
        Ok(())
    }

    /// Says why a client has no figures.
    pub(crate) fn absent(&mut self, id: &str, reason: &str) {
        if let Some(series) = self.results.get_mut(id) {
            series.absent = Some(reason.to_owned());
        }
    }

    /// Runs one client of ours and checks its count of items against the server's.
    pub(crate) fn run(&mut self, entry: &Entry) -> Result<Sample> {
        let job = self.job(entry);
        let command = [
            std::env::current_exe()?.display().to_string(),
            AS_CLIENT.to_owned(),
            serde_json::to_string(&job)?,
        ];
        let (sample, done) = self.measure(&command, &[], LIMIT)?;
        ensure!(done.items == sample.items, "it counts {} items, the server {}", done.items, sample.items);
        Ok(sample)
    }

    fn job(&self, entry: &Entry) -> Job {
        let (table, parts) = match entry.input {
            Input::Table(shape, gigabytes) => (table_of(shape, gigabytes), 0),
            Input::Parts(parts) => (BenchTable::new(Shape::Usual, 1), parts),
        };
        Job {
            client: entry.client.to_owned(),
            endpoint: self.server.endpoint.clone(),
            table: table.to_string(),
            codec: entry.codec.to_string(),
            parts,
        }
    }

    /// Runs any command against the server; what it says at last is what it has done.
    pub(crate) fn measure(
        &mut self,
        command: &[String],
        variables: &[(&str, &str)],
        limit: Duration,
    ) -> Result<(Sample, Done)> {
        self.server.report()?;
        let measured = Watched::start(command, &self.environment(variables), limit)?.end()?;
        ensure!(measured.exit_code == Some(0), "it ended with {:?}: {}", measured.exit_code, measured.stdout);
        let report = self.server.report()?;
        let done = done(&measured);
        let reads = report.items_read > 0;
        ensure!(reads || report.items_put > 0, "it has read nothing and written nothing");
        let sample = Sample {
            cpu_seconds: measured.cpu_seconds,
            peak_rss_bytes: measured.peak_rss_bytes,
            wall_seconds: measured.wall_seconds,
            server_cpu_seconds: report.cpu_seconds,
            line_bytes: if reads { report.line_bytes_read } else { done.bytes },
            items: if reads { report.items_read } else { report.items_put },
            output_bytes: if reads { done.bytes } else { 0 },
        };
        Ok((sample, done))
    }

    /// All that a client is told: where the server is, and credentials that mean nothing.
    fn environment(&self, variables: &[(&str, &str)]) -> Vec<(String, String)> {
        let inherited = ["PATH", "HOME", "PYENV_ROOT"];
        let inherited =
            inherited.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)));
        let given = [
            ("AWS_ENDPOINT_URL", self.server.endpoint.as_str()),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_DEFAULT_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", "bench"),
            ("AWS_SECRET_ACCESS_KEY", "bench"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ];
        let given =
            given.iter().chain(variables).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        inherited.chain(given).collect()
    }
}

/// A table whose lines make about so many 10^9 bytes.
pub(crate) fn table_of(shape: Shape, gigabytes: f64) -> BenchTable {
    let page_bytes = shape.page(0).line_bytes() as f64;
    BenchTable::new(shape, (gigabytes * 1e9 / page_bytes).ceil() as u64)
}

fn done(measured: &Measured) -> Done {
    let last = measured.stdout.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_default()
}
