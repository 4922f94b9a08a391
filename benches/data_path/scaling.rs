//! The real program at work: how it scales with workers, with tables and with items.
//!
//! DynamoDB is the server of the bench; S3, SQS and STS are those of `loopback-aws`. Programs run below a
//! watcher each, like the clients.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use loopback_aws::{BACKUP_ACCOUNT, BUCKET, EXTERNAL_ID, Loopback, REGION, SOURCE_ROLE_ARN};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::bench::{Bench, table_of};
use crate::items::Shape;
use crate::options::Options;
use crate::process::{Measured, ServerProcess, Watched};
use crate::series::Spread;
use crate::server::{Pace, Report};
use crate::table::BenchTable;

const LIMIT: Duration = Duration::from_secs(600);

/// Time a Scan page takes, one at a time for each segment.
const PAGE_MS: u64 = 10;

const WORKERS: [usize; 4] = [1, 2, 4, 8];

pub(crate) fn run(bench: &mut Bench, options: &Options) -> Result<()> {
    // Serves the loopback AWS while this thread waits.
    let runtime = Runtime::new()?;
    let _context = runtime.enter();
    // A hundred pages of 25 items are a segment.
    let (rounds, pages) = if options.quick { (1, 3200) } else { (options.rounds.min(3), 6400) };
    workers(bench, &runtime, rounds, pages)?;
    many_tables(bench, &runtime, if options.quick { 100 } else { 1000 })?;
    growth(bench, &runtime, if options.quick { 0.003 } else { 0.015 })
}

/// Two AWS accounts, with the DynamoDB of the bench.
struct World {
    loopback: Loopback,
    dynamodb: ServerProcess,
}

impl World {
    fn new(runtime: &Runtime, pace: &Pace) -> Result<Self> {
        let loopback = runtime.block_on(Loopback::start())?;
        loopback.deploy();
        Ok(Self { loopback, dynamodb: ServerProcess::start(pace)? })
    }

    fn start(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Result<Watched> {
        let command: Vec<String> = [&[env!("CARGO_BIN_EXE_dynamodb-backup")], arguments]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect();
        let (endpoint, dynamodb) = (self.loopback.endpoint(), self.dynamodb.endpoint.clone());
        let environment = [
            ("AWS_ENDPOINT_URL", endpoint.as_str()),
            ("AWS_ENDPOINT_URL_DYNAMODB", &dynamodb),
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", BACKUP_ACCOUNT),
            ("AWS_SECRET_ACCESS_KEY", "loopback"),
            ("BACKUP_BUCKET", BUCKET),
            ("BACKUP_ROLE_ARN", SOURCE_ROLE_ARN),
            ("BACKUP_EXTERNAL_ID", EXTERNAL_ID),
            ("BACKUP_LOG", "error"),
            // The server is not to be spared.
            ("BACKUP_READ_BUDGET", "4000000000"),
            ("BACKUP_WRITE_BUDGET", "4000000000"),
        ];
        let environment = environment.iter().chain(variables);
        let environment: Vec<_> =
            environment.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Watched::start(&command, &environment, LIMIT)
    }

    fn calls(&self, action: &str) -> usize {
        self.loopback.calls().iter().filter(|call| call.action == action).count()
    }

    /// Waits until `is_so`, looking often.
    fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) -> Result<()> {
        let started = Instant::now();
        while !is_so(self) {
            ensure!(started.elapsed() < LIMIT, "waited {LIMIT:?} for {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn has_report(&self) -> bool {
        self.report().is_some()
    }

    fn is_complete(&self) -> bool {
        self.report().is_some_and(|report| report["outcome"] == "complete")
    }

    fn report(&self) -> Option<Value> {
        let bucket = self.loopback.bucket(BUCKET);
        let key = bucket.keys().into_iter().find(|key| key.ends_with("/report.json"))?;
        serde_json::from_slice(&bucket.get(&key)?).ok()
    }

    /// One backup by the command `run`: what it cost, and what it asked of DynamoDB.
    fn backup(&mut self) -> Result<(Measured, Report)> {
        let measured = self.start(&["run", "--output", "json"], &[])?.end()?;
        ensure!(measured.exit_code == Some(0), "the run failed: {}", measured.stdout);
        Ok((measured, self.dynamodb.report()?))
    }

    /// Requests so far by service and action, those to DynamoDB from its report.
    fn requests(&self, dynamodb: &Report) -> BTreeMap<String, u64> {
        let asked = dynamodb.requests.iter().map(|(action, count)| (format!("dynamodb:{action}"), *count));
        let mut requests: BTreeMap<String, u64> = asked.collect();
        for call in self.loopback.calls() {
            *requests.entry(call.name()).or_default() += 1;
        }
        requests
    }
}

/// Workers with one export slot each, on a table that gives each segment a page every ten milliseconds.
fn workers(bench: &mut Bench, runtime: &Runtime, rounds: usize, pages: u64) -> Result<()> {
    let mut runs = Vec::new();
    for round in 1..=rounds {
        for count in WORKERS {
            eprintln!("scaling: {count} workers, round {round} of {rounds}");
            runs.push(work(runtime, count, pages)?);
        }
    }
    let one = |round: &[Value]| round[0]["pages_per_second"].as_f64();
    let ratio = |place: usize| {
        Spread::of(
            runs.chunks(WORKERS.len())
                .filter_map(|round| Some(round[place]["pages_per_second"].as_f64()? / one(round)?)),
        )
    };
    let ratios: Vec<_> = (0..WORKERS.len()).map(|place| json!([WORKERS[place], ratio(place)])).collect();
    let eight = ratio(WORKERS.len() - 1).context("a round has been run")?.median;
    bench.results.figures.insert("scaling_8_workers", eight.into());
    bench.results.figures.insert("scaling_workers", json!({ "ratios": ratios, "runs": runs }));
    Ok(())
}

/// One backup by so many workers.
fn work(runtime: &Runtime, count: usize, pages: u64) -> Result<Value> {
    let tables = vec![BenchTable::new(Shape::Few, pages).to_string()];
    let mut world = World::new(runtime, &Pace { page_ms: PAGE_MS, tables, ..Pace::default() })?;
    let variables =
        [("BACKUP_EXPORT_CONCURRENCY", "1"), ("BACKUP_WRITE_CONCURRENCY", "1"), ("BACKUP_LANES", "16")];
    let workers: Vec<Watched> =
        (0..count).map(|_| world.start(&["worker"], &variables)).collect::<Result<_>>()?;
    world.until("the workers to be ready", |world| world.calls("HeadBucket") >= count)?;
    world.loopback.queue(BACKUP_ACCOUNT, "dynamodb-backup-trigger").send("{}");
    world.until("the report", World::has_report)?;
    ensure!(world.is_complete(), "the workers' run is not complete");
    let report = world.dynamodb.report()?;
    let cpu = workers.into_iter().map(|worker| Ok(worker.kill()?.cpu_seconds)).collect::<Result<Vec<_>>>()?;
    Ok(json!({
        "workers": count,
        "pages_per_second": report.pages as f64 / report.scan_seconds,
        "scan_seconds": report.scan_seconds,
        "worker_cpu_seconds": cpu.iter().sum::<f64>(),
        "server_cpu_seconds": report.cpu_seconds,
        "requests": world.requests(&report),
    }))
}

/// Empty tables from end to end: what a table costs that holds nothing.
fn many_tables(bench: &mut Bench, runtime: &Runtime, count: u64) -> Result<()> {
    eprintln!("scaling: {count} empty tables");
    let tables = (0..count).map(|number| format!("usual-0-{number:04}")).collect();
    let mut world = World::new(runtime, &Pace { tables, ..Pace::default() })?;
    let (measured, report) = world.backup()?;
    let requests = world.requests(&report);
    let per_table: BTreeMap<_, _> =
        requests.iter().map(|(name, requests)| (name, *requests as f64 / count as f64)).collect();
    let figure = json!({
        "tables": count,
        "wall_seconds": measured.wall_seconds,
        "cpu_seconds": measured.cpu_seconds,
        "peak_rss_bytes": measured.peak_rss_bytes,
        "requests_per_table": requests.values().sum::<u64>() as f64 / count as f64,
        "by_action": per_table,
    });
    bench.results.figures.insert("empty_tables", figure);
    Ok(())
}

/// A table, ten times the table, a hundred times the table: CPU and requests for each item.
fn growth(bench: &mut Bench, runtime: &Runtime, gigabytes: f64) -> Result<()> {
    let mut sizes = Vec::new();
    for times in [1.0, 10.0, 100.0] {
        eprintln!("scaling: {times} times the table");
        let tables = vec![table_of(Shape::Usual, gigabytes * times).to_string()];
        let mut world = World::new(runtime, &Pace { tables, ..Pace::default() })?;
        let (measured, report) = world.backup()?;
        let items = report.items_read as f64;
        ensure!(report.items_put == report.items_read, "every item that is read is put once");
        sizes.push(json!({
            "times": times,
            "items": report.items_read,
            "wall_seconds": measured.wall_seconds,
            "cpu_microseconds_per_item": measured.cpu_seconds * 1e6 / items,
            "requests_per_item": world.requests(&report).values().sum::<u64>() as f64 / items,
            "peak_rss_mib": measured.peak_rss_bytes >> 20,
        }));
    }
    let requests = |place: usize| sizes[place]["requests_per_item"].as_f64();
    let growth = requests(2).zip(requests(0)).map(|(last, first)| last / first);
    bench.results.figures.insert("requests_growth", growth.into());
    bench.results.figures.insert("growing_table", sizes.into());
    Ok(())
}
