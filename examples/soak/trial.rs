//! One seed: a world, workers that are killed in it while its calls go wrong, and what is left of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use loopback_aws::sample::SampleTable;
use loopback_aws::{
    BACKUP_ACCOUNT, BUCKET, CLASSES, Call, FaultPlan, Loopback, REGION, Random, SOURCE_ACCOUNT, When,
};
use serde_json::Value;

use crate::check::{self, Findings};
use crate::fleet::{self, Fleet, Program, RunEnded, Tally};
use crate::points::Points;
use crate::tables;

/// How long a run may take before its trial has failed: a hundred times what most need.
const PATIENCE: Duration = Duration::from_secs(120);

/// The waiting of messages passes so many times as fast as a clock: a minute in a second.
const HASTE: u32 = 60;

/// What a seed has come to.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) tables: usize,
    pub(crate) runs: u32,
    pub(crate) calls: u64,
    pub(crate) faults: BTreeMap<&'static str, u64>,
    /// The points at which workers were hit.
    pub(crate) hit: Vec<String>,
    pub(crate) tally: Tally,
    pub(crate) findings: Findings,
    pub(crate) seconds: f64,
    /// Where the processes' output is, when it was kept.
    pub(crate) output: Option<PathBuf>,
}

impl Verdict {
    pub(crate) fn is_good(&self) -> bool {
        self.findings.wrong.is_empty()
    }
}

/// Plays a seed to its end. The processes' output is kept where something is wrong, and where it is asked for.
///
/// # Errors
/// The trial could not be made. What goes wrong *in* it is in the verdict.
pub(crate) async fn play(seed: u64, program: &Program, keep: bool) -> Result<Verdict> {
    let started = Instant::now();
    let folder = tempfile::Builder::new().prefix("soak-").tempdir()?;
    let mut trial = Trial::new(seed, program, folder.path().to_owned()).await?;
    let mut verdict = Verdict { tables: trial.tables, ..Verdict::default() };
    let wrong = trial.run_all(&mut verdict).await;
    let Trial { aws, fleet, plan, points, .. } = trial;
    let (tally, mut unclean) = fleet.stop().await?;
    verdict.findings.wrong.extend(wrong.err().map(|error| format!("{error:#}")));
    verdict.findings.wrong.append(&mut unclean);
    verdict.tally = tally;
    verdict.calls = aws.calls().len() as u64;
    verdict.faults = plan.fired();
    let Points { hit, unlisted, .. } =
        std::mem::take(&mut *points.lock().unwrap_or_else(PoisonError::into_inner));
    verdict.hit = hit;
    let unlisted = unlisted.iter().map(|kind| format!("nobody is ever killed at {kind}: it is not in KINDS"));
    verdict.findings.wrong.extend(unlisted);
    verdict.seconds = started.elapsed().as_secs_f64();
    if keep || !verdict.is_good() {
        write_evidence(&aws, folder.path())?;
        verdict.output = Some(folder.keep());
    }
    Ok(verdict)
}

/// What the bucket holds, and every call that was made.
fn write_evidence(aws: &Loopback, folder: &Path) -> Result<()> {
    let bucket = aws.bucket(BUCKET);
    let objects = bucket.keys().into_iter().map(|key| match bucket.get(&key) {
        Some(body) if key.ends_with(".json") => format!("{key}\n{}", String::from_utf8_lossy(&body)),
        _ => format!("{key}\n"),
    });
    std::fs::write(folder.join("objects.txt"), objects.collect::<Vec<_>>().join("\n"))?;
    let line = |call: &Call| format!("{} {} {} {}\n", call.door, call.service, call.action, call.resource);
    std::fs::write(folder.join("calls.txt"), aws.calls().iter().map(line).collect::<String>())?;
    Ok(())
}

struct Trial {
    random: Random,
    aws: Loopback,
    fleet: Fleet,
    plan: FaultPlan,
    points: Arc<Mutex<Points>>,
    tables: usize,
    workers: u64,
}

impl Trial {
    async fn new(seed: u64, program: &Program, folder: PathBuf) -> Result<Self> {
        let mut random = Random::of("soak", usize::try_from(seed)?);
        let aws = Loopback::start().await?;
        aws.deploy();
        aws.hasten_queues(HASTE);
        let tables = tables::seeded(&mut random);
        let count = tables.len();
        let more_segments: Vec<bool> = (0..count).map(|_| random.once_in(3)).collect();
        let world = aws.clone();
        tokio::task::spawn_blocking(move || load(&world, tables, &more_segments)).await??;
        let plan = plan(seed, &mut random);
        let points = Arc::new(Mutex::new(Points::seeded(&mut random)));
        let environment = settings(&mut random);
        let fleet =
            Fleet::new(&aws, program.clone(), environment, &folder, plan.clone(), Arc::clone(&points));
        let workers = 1 + random.below(4);
        Ok(Self { random, aws, fleet, plan, points, tables: count, workers })
    }

    async fn run_all(&mut self, verdict: &mut Verdict) -> Result<()> {
        let runs = if self.random.once_in(2) { 2 } else { 1 };
        // `run` does the work of a worker, and waits for the report of its own trigger.
        let by_run = self.random.once_in(3);
        for _ in u64::from(by_run)..self.workers {
            self.fleet.start("worker").await?;
        }
        for number in 1..=runs {
            if number > 1 {
                let (aws, mut random) = (self.aws.clone(), self.random.clone());
                tokio::task::spawn_blocking(move || tables::change(&aws, SOURCE_ACCOUNT, &mut random))
                    .await??;
            }
            verdict.runs += 1;
            self.run(number, by_run, verdict).await?;
        }
        Ok(())
    }

    /// One run, from its trigger until nothing is left to do; then looks at what it has left.
    async fn run(&mut self, number: usize, by_run: bool, verdict: &mut Verdict) -> Result<()> {
        if by_run {
            self.fleet.start("run").await?;
        } else {
            self.aws.queue(BACKUP_ACCOUNT, "dynamodb-backup-trigger").send("{}");
        }
        let deadline = Instant::now() + PATIENCE;
        let (mut ended, mut over_since) = (None, None);
        loop {
            ended = self.fleet.look_after().await?.or(ended);
            let is_over = check::reports(&self.aws).len() >= number
                && check::messages_left(&self.aws) == 0
                && !self.fleet.has_run();
            over_since = if is_over { over_since.or_else(|| Some(Instant::now())) } else { None };
            // One that was paused may have a word to say when all is over.
            if over_since.is_some_and(|since| since.elapsed() > fleet::PAUSE * 2) {
                break;
            }
            if Instant::now() > deadline {
                let (reports, left) = (check::reports(&self.aws).len(), check::messages_left(&self.aws));
                let dead = check::dead_letters(&self.aws);
                bail!(
                    "run {number} has not ended after {PATIENCE:?}: {reports} reports, {left} messages, {dead:?}"
                );
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let report = check::reports(&self.aws).pop().unwrap_or_default();
        let run = report.split('/').nth(1).unwrap_or_default().to_owned();
        let aws = self.aws.clone();
        let found = tokio::task::spawn_blocking(move || Findings::after(&aws, &run)).await??;
        verdict.findings.add(found);
        if let Some(ended) = ended {
            verdict.findings.wrong.extend(what_is_wrong_with(&ended));
        }
        Ok(())
    }
}

impl Findings {
    /// What was found after another run. Objects and queues are looked at as a whole each time.
    fn add(&mut self, later: Self) {
        self.items += later.items;
        self.lost += later.lost;
        self.doubled += later.doubled;
        self.mutated_objects = later.mutated_objects;
        self.messages_left = later.messages_left;
        self.dead_letters = later.dead_letters;
        self.stray_parts += later.stray_parts;
        self.wrong.extend(later.wrong);
    }
}

/// What `run` should have printed and did not.
fn what_is_wrong_with(ended: &RunEnded) -> Option<String> {
    let printed: Value = serde_json::from_str(&ended.stdout).unwrap_or_default();
    let is_right = ended.code == Some(0) && printed["outcome"] == "complete";
    (!is_right).then(|| format!("`run` ended with {:?} and printed {}", ended.code, ended.stdout))
}

fn load(aws: &Loopback, tables: Vec<SampleTable>, more_segments: &[bool]) -> Result<()> {
    for (table, more_segments) in tables.into_iter().zip(more_segments) {
        let name = table.name().to_owned();
        table.load(aws, SOURCE_ACCOUNT).map_err(anyhow::Error::msg)?;
        if *more_segments {
            // Six segments, whatever the number of lanes.
            aws.set_table_size(SOURCE_ACCOUNT, REGION, &name, 6_000_000, 4_000_000_000);
        }
    }
    Ok(())
}

/// A part of all classes of faults, each as often as a run can bear.
fn plan(seed: u64, random: &mut Random) -> FaultPlan {
    let bearable = CLASSES.iter().filter(|class| class.bearable_share > 0.0);
    bearable.fold(FaultPlan::new(seed), |plan, class| match random.below(5) {
        // A trigger sent twice is two triggers, and of two the second is skipped.
        0 | 1 => plan
            .with_those(class.name, When::Share(class.bearable_share), |call| call.action != "SendMessage"),
        _ => plan,
    })
}

/// Settings of the program, different for each seed.
fn settings(random: &mut Random) -> Vec<(String, String)> {
    let concurrency = |random: &mut Random| (1 + random.below(8)).to_string();
    let settings = [
        ("BACKUP_LANES", (1 + random.below(4)).to_string()),
        ("BACKUP_COMPRESSION", random.pick(&["zstd", "gzip"]).to_owned()),
        ("BACKUP_CONSISTENT_READ", random.once_in(2).to_string()),
        ("BACKUP_EXPORT_CONCURRENCY", concurrency(random)),
        ("BACKUP_WRITE_CONCURRENCY", concurrency(random)),
        ("BACKUP_PROVISION_CONCURRENCY", concurrency(random)),
        ("BACKUP_HAND_OVER_AFTER", random.pick(&["15m", "1s"]).to_owned()),
        // Of a table of three items, one is a third.
        ("BACKUP_SUSPECT_ABOVE", "100%".to_owned()),
        // Tables of a few units a second would take minutes.
        ("BACKUP_READ_BUDGET", "100000".to_owned()),
        ("BACKUP_WRITE_BUDGET", "100000".to_owned()),
        // Unlike any pause between two attempts at a job, so that only these pass in haste.
        ("BACKUP_VISIBILITY_TIMEOUT", "11s".to_owned()),
        ("BACKUP_SHUTDOWN_GRACE", "5s".to_owned()),
        ("BACKUP_LOG", "info,dynamodb_backup=debug".to_owned()),
        ("BACKUP_LOG_FORMAT", "text".to_owned()),
    ];
    settings.map(|(name, value)| (name.to_owned(), value)).to_vec()
}
