//! A whole backup in front of you: two AWS accounts on loopback, a dozen tables, one run, and the proof.
//!
//! `cargo run --release --example quickstart` seeds the source account, runs the real `run` command through
//! real queues and a real assumed role, and compares the copy with the source, item by item.
//! `-- --full` does the same with every awkward table there is; `-- --output json` prints one JSON object.
//! `-- --nights 4` backs the same tables up night after night, while the source changes.

mod compare;
mod nights;
mod program;

use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use loopback_aws::sample::{self, SampleTable};
use loopback_aws::{BACKUP_ACCOUNT, BUCKET, Loopback, REGION, SOURCE_ACCOUNT};

fn main() -> Result<ExitCode> {
    if let Some(exit) = program::run_if_asked() {
        return Ok(exit);
    }
    let Arguments { full, json, nights } = Arguments::read(std::env::args().skip(1))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match nights {
        Some(nights) => runtime.block_on(nights::play(nights, json)),
        None => runtime.block_on(quickstart(full, json)),
    }
}

#[derive(Default)]
struct Arguments {
    full: bool,
    json: bool,
    nights: Option<u32>,
}

impl Arguments {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut read = Self::default();
        while let Some(flag) = arguments.next() {
            match flag.as_str() {
                "--full" => read.full = true,
                "--output" => match arguments.next().as_deref() {
                    Some("json") => read.json = true,
                    Some("text") => read.json = false,
                    _ => bail!("--output: give text or json"),
                },
                "--nights" => match arguments.next().map(|number| number.parse()) {
                    Some(Ok(nights @ 1..)) => read.nights = Some(nights),
                    _ => bail!("--nights: give a number of nights, such as 4"),
                },
                _ => bail!("{flag} is unknown: --full, --nights <count> and --output json are"),
            }
        }
        ensure!(
            !read.full || read.nights.is_none(),
            "--nights plays with the dozen tables of the shop: leave out --full"
        );
        Ok(read)
    }
}

async fn quickstart(full: bool, json: bool) -> Result<ExitCode> {
    let say = |text: &str| {
        if !json {
            println!("{text}")
        }
    };
    let aws = Loopback::start().await?;
    aws.deploy();

    say("seeding the source account 111111111111 on a loopback AWS …");
    let tables = if full { full_input() } else { sample::shop() };
    let seeded = tables.len();
    let (aws, names) = tokio::task::spawn_blocking(move || seed(aws, tables)).await??;

    say(&format!(
        "{seeded} tables are there; backing them up into account 222222222222:\n\n  $ dynamodb-backup run\n"
    ));
    let started = Instant::now();
    let (environment, output) = (aws.environment(), if json { "json" } else { "text" });
    let run = tokio::task::spawn_blocking(move || run_program(&environment, output, "warn", &[])).await??;
    let seconds = started.elapsed().as_secs_f64();

    say("\ncomparing every item of the copy with its source, through the plain SDK …");
    let (items, differing) = compare_all(&aws, &names).await?;
    let equal = differing.is_empty();
    if json {
        let outcome = serde_json::from_str::<serde_json::Value>(&run.stdout)?["outcome"].clone();
        let summary = serde_json::json!({
            "outcome": outcome, "tables": names.len(), "items": items, "equal": equal, "run_seconds": seconds
        });
        println!("{summary}");
    } else {
        differing.iter().take(20).for_each(|difference| println!("  differs: {difference}"));
        println!("{}", farewell(&aws, names.len(), items, equal, seconds));
    }
    Ok(if run.code == 0 && equal { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Every kind of table: awkward ones, 300 small ones, and one of 200,000 items.
fn full_input() -> Vec<SampleTable> {
    let mut tables = sample::shop();
    tables.extend(sample::awkward());
    tables.extend(sample::many(300));
    tables.push(sample::large(200_000));
    tables
}

fn seed(aws: Loopback, tables: Vec<SampleTable>) -> Result<(Loopback, Vec<String>)> {
    let mut names = Vec::new();
    for table in tables {
        names.push(table.name().to_owned());
        table.load(&aws, SOURCE_ACCOUNT).map_err(anyhow::Error::msg)?;
    }
    Ok((aws, names))
}

struct Run {
    code: i32,
    stdout: String,
}

/// Runs the program in a process of its own, pointed at loopback by its environment alone.
fn run_program(environment: &[(&str, String)], output: &str, log: &str, arguments: &[&str]) -> Result<Run> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([program::AS_PROGRAM, "run", "--output", output]).args(arguments);
    command.envs(environment.iter().cloned()).env("BACKUP_LOG", log);
    let json = output == "json";
    command.stdout(if json { Stdio::piped() } else { Stdio::inherit() });
    let done = command.spawn()?.wait_with_output().context("run the program")?;
    let code = done.status.code().context("the program was killed")?;
    Ok(Run { code, stdout: String::from_utf8(done.stdout)? })
}

/// The number of items in the source, and every difference between it and the copy.
async fn compare_all(aws: &Loopback, names: &[String]) -> Result<(u64, Vec<String>)> {
    let source = compare::client(&aws.endpoint(), SOURCE_ACCOUNT, REGION).await;
    let copy = compare::client(&aws.endpoint(), BACKUP_ACCOUNT, REGION).await;
    let (mut items, mut differing) = (0, Vec::new());
    for name in names {
        let comparison = compare::compare((&source, name), (&copy, name)).await;
        let comparison = comparison.with_context(|| format!("compare table {name}"))?;
        items += comparison.items;
        differing.extend(comparison.differing.into_iter().map(|key| format!("{name}: {key}")));
    }
    Ok((items, differing))
}

fn farewell(aws: &Loopback, tables: usize, items: u64, equal: bool, seconds: f64) -> String {
    let bucket = aws.bucket(BUCKET);
    let keys = bucket.keys();
    let summary = keys.iter().find(|key| key.ends_with("manifest-summary.json")).map(String::as_str);
    let verdict = if equal { "equal" } else { "NOT equal" };
    let rewritten = match bucket.overwritten().len() {
        0 => "each written once".to_owned(),
        some => format!("{some} of them written MORE THAN ONCE"),
    };
    format!(
        "{tables} tables, {items} items: copy and source are {verdict}. The run took {seconds:.1} s and left \
         {} objects in the bucket, {rewritten}.\n\n\
         What to look at next:\n  \
         an export's manifest  {}\n  \
         the bucket format     ARCHITECTURE.md\n  \
         an AWS to play with   cargo run --release -p loopback-aws, then dynamodb-backup run, status, list, show\n  \
         a deployment          README.md",
        keys.len(),
        summary.unwrap_or("none"),
    )
}
