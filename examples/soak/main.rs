//! Workers killed again and again while the calls they make go wrong, seed by seed: nothing is lost.
//!
//! `cargo run --release --example soak -- --seeds 200` plays 200 seeds, four at once, each in two AWS accounts of its
//! own on loopback: tables, settings, faults at the wire and the moments at which workers are killed or paused all come
//! from the seed. After each run source, archive and copy are compared item by item. A seed that fails can be
//! played alone: `-- --first 17 --seeds 1`. `--minutes 10` begins no seed after ten minutes,
//! `--at-once 1` plays one at a time, `--keep` keeps what the workers have said. Prints a line a seed, and one JSON object at the end.

mod check;
mod fleet;
mod points;
#[path = "../quickstart/program.rs"]
mod program;
mod tables;
mod trial;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use futures::stream::{self, StreamExt};
use loopback_aws::CLASSES;
use serde::Serialize;

use self::fleet::Program;
use self::trial::Verdict;

/// After so many seeds every kind of fault has struck.
const ENOUGH_FOR_ALL: u64 = 100;

struct Arguments {
    first: u64,
    seeds: u64,
    limit: Option<Duration>,
    at_once: usize,
    keep: bool,
}

fn main() -> Result<ExitCode> {
    if let Some(exit) = program::run_if_asked() {
        return Ok(exit);
    }
    let arguments = Arguments::read(std::env::args().skip(1))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(soak(&arguments))
}

impl Arguments {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut read = Self { first: 1, seeds: 20, limit: None, at_once: 4, keep: false };
        while let Some(flag) = arguments.next() {
            if flag == "--keep" {
                read.keep = true;
                continue;
            }
            let value = arguments.next().and_then(|value| value.parse::<u64>().ok());
            let value = value.with_context(|| format!("{flag}: give a whole number"))?;
            match flag.as_str() {
                "--first" => read.first = value,
                "--seeds" => read.seeds = value,
                "--at-once" => read.at_once = usize::try_from(value)?.max(1),
                "--minutes" => read.limit = Some(Duration::from_secs(60 * value)),
                _ => bail!(
                    "{flag} is unknown: --seeds <count>, --first <seed>, --minutes <limit>, --at-once <count> and --keep are"
                ),
            }
        }
        ensure!(read.seeds > 0, "--seeds: give at least 1");
        Ok(read)
    }
}

async fn soak(arguments: &Arguments) -> Result<ExitCode> {
    let program = Program { path: std::env::current_exe()?, first: vec![program::AS_PROGRAM.to_owned()] };
    let started = Instant::now();
    let mut summary = Summary::default();
    let seeds = arguments.first..arguments.first + arguments.seeds;
    let seeds = seeds.take_while(|_| arguments.limit.is_none_or(|limit| started.elapsed() < limit));
    let (program, keep) = (&program, arguments.keep);
    let played = seeds.map(|seed| async move { (seed, trial::play(seed, program, keep).await) });
    let mut played = stream::iter(played).buffered(arguments.at_once);
    while let Some((seed, verdict)) = played.next().await {
        let verdict = verdict.with_context(|| format!("seed {seed}"))?;
        say(seed, &verdict);
        summary.add(seed, &verdict);
    }
    summary.name_what_never_struck();
    summary.seconds = started.elapsed().as_secs_f64().round();
    println!("{}", serde_json::to_string(&summary)?);
    Ok(if summary.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn say(seed: u64, verdict: &Verdict) {
    let Verdict { tables, runs, calls, tally, findings, seconds, .. } = verdict;
    let (faults, items): (u64, _) = (verdict.faults.values().sum(), findings.items);
    let word = if verdict.is_good() { "ok" } else { "FAILED" };
    println!(
        "seed {seed:>4} {word}: {tables} tables, {runs} runs, {items} items, {calls} calls, {faults} faults, {} kills, \
         {} pauses, {seconds:.1} s",
        tally.kills, tally.pauses
    );
    if let Some(output) = &verdict.output {
        println!("  output of the workers: {}", output.display());
    }
    if !verdict.is_good() {
        findings.wrong.iter().take(20).for_each(|wrong| println!("  {wrong}"));
        println!("  hit: {:?}; gave up: {:?}", verdict.hit, tally.gave_up);
        println!("  again: cargo run --release --example soak -- --first {seed} --seeds 1");
    }
}

/// All seeds together.
#[derive(Debug, Default, Serialize)]
struct Summary {
    seeds: u64,
    failed_seeds: Vec<u64>,
    runs: u64,
    kills: u64,
    pauses: u64,
    processes: u64,
    gave_up: u64,
    calls: u64,
    faults: BTreeMap<&'static str, u64>,
    /// Faults that should have struck and never did: then nothing is known about them.
    never_struck: Vec<&'static str>,
    /// Kinds of calls at which nobody was ever hit.
    never_hit: Vec<&'static str>,
    hit: BTreeMap<String, u64>,
    items: u64,
    lost: u64,
    doubled: u64,
    mutated_objects: u64,
    messages_left: u64,
    dead_letters: u64,
    stray_parts: u64,
    peak_rss_bytes: Option<u64>,
    seconds: f64,
}

impl Summary {
    /// A few seeds cannot have every kind of fault.
    fn name_what_never_struck(&mut self) {
        if self.seeds >= ENOUGH_FOR_ALL {
            let bearable = CLASSES.iter().filter(|class| class.bearable_share > 0.0).map(|class| class.name);
            let struck = |name: &str| self.faults.get(name).is_some_and(|count| *count > 0);
            self.never_struck = bearable.filter(|name| !struck(name)).collect();
            self.never_hit = points::never_hit(self.hit.keys());
        }
    }

    fn is_good(&self) -> bool {
        self.failed_seeds.is_empty() && self.never_struck.is_empty()
    }

    fn add(&mut self, seed: u64, verdict: &Verdict) {
        let Verdict { tally, findings, .. } = verdict;
        self.seeds += 1;
        if !verdict.is_good() {
            self.failed_seeds.push(seed);
        }
        self.runs += u64::from(verdict.runs);
        self.kills += tally.kills;
        self.pauses += tally.pauses;
        self.processes += tally.started;
        self.gave_up += tally.gave_up.len() as u64;
        self.calls += verdict.calls;
        for (class, count) in &verdict.faults {
            *self.faults.entry(class).or_default() += count;
        }
        for point in &verdict.hit {
            *self.hit.entry(point.clone()).or_default() += 1;
        }
        self.items += findings.items;
        self.lost += findings.lost;
        self.doubled += findings.doubled;
        self.mutated_objects += findings.mutated_objects;
        self.messages_left += findings.messages_left;
        self.dead_letters += findings.dead_letters;
        self.stray_parts += findings.stray_parts;
        self.peak_rss_bytes = self.peak_rss_bytes.max(tally.peak_rss_bytes);
    }
}
