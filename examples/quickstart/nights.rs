//! Several nights in a row: what each one finds in the source, what it writes, and what that costs.

mod figures;
mod source;

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::{Context, Result};
use aws_sdk_dynamodb::Client;
use loopback_aws::{Loopback, REGION, SOURCE_ACCOUNT, sample};
use serde::Serialize;

use self::figures::{Figures, Finished};
use self::source::Changes;

/// The table that loses most of its items.
const DAMAGED: &str = "customers";

/// What happens in the source before a night's run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    FirstLoad,
    Nothing,
    SmallChanges,
    MassDeletion,
    /// Nothing new: what the run before refused is accepted.
    Acceptance,
}

impl Event {
    /// The runs of so many nights. The fourth night has two of them.
    fn of(nights: u32) -> impl Iterator<Item = (u32, Self)> {
        let events = |night| match night {
            1 => vec![Self::FirstLoad],
            2 => vec![Self::Nothing],
            4 => vec![Self::MassDeletion, Self::Acceptance],
            _ => vec![Self::SmallChanges],
        };
        (1..=nights).flat_map(move |night| events(night).into_iter().map(move |event| (night, event)))
    }

    fn name(self) -> &'static str {
        match self {
            Self::FirstLoad => "first load",
            Self::Nothing => "unchanged",
            Self::SmallChanges => "1% changed",
            Self::MassDeletion => "mass deletion",
            Self::Acceptance => "accepted",
        }
    }

    fn arguments(self) -> &'static [&'static str] {
        if self == Self::Acceptance { &["--accept-changes"] } else { &[] }
    }

    /// Does it, and gives what the run has to bring into the copy. `refused` is what the run before did not.
    async fn happen(
        self,
        client: &Client,
        names: &[String],
        night: u32,
        refused: Changes,
    ) -> Result<Changes> {
        match self {
            Self::FirstLoad | Self::Nothing => Ok(Changes::default()),
            Self::SmallChanges => source::change_a_little(client, names, night).await,
            Self::MassDeletion => source::delete_most(client, DAMAGED).await,
            Self::Acceptance => Ok(refused),
        }
    }
}

/// One run, and what was found after it.
#[derive(Serialize)]
struct Night {
    night: u32,
    source: &'static str,
    exit_code: i32,
    outcome: String,
    #[serde(flatten)]
    figures: Figures,
    /// Items of the source, counted through the plain SDK.
    source_items: u64,
    /// Items that the copy and the source do not have alike.
    differing: usize,
    /// Whatever is not as it should be, in words.
    unexpected: Vec<String>,
}

/// Plays so many nights in the shop, and says after each whether all was as it should be.
pub(crate) async fn play(nights: u32, json: bool) -> Result<ExitCode> {
    let aws = Loopback::start().await?;
    aws.deploy();
    let say = |text: &str| {
        if !json {
            println!("{text}")
        }
    };
    say("seeding the source account 111111111111 on a loopback AWS …");
    let (aws, names) = tokio::task::spawn_blocking(move || crate::seed(aws, sample::shop())).await??;
    say(&format!(
        "{} tables are there. Each night backs them up into account 222222222222, then every item of the copy is\n\
         compared with its source, through the plain SDK.",
        names.len()
    ));

    let client = crate::compare::client(&aws.endpoint(), SOURCE_ACCOUNT, REGION).await;
    let (mut played, mut changes) = (Vec::new(), Changes::default());
    for (night, event) in Event::of(nights) {
        changes = event.happen(&client, &names, night, changes).await.context("change the source")?;
        say(&format!("\nnight {night}: {}", story(event, &changes)));
        let (result, reasons) = one_night(&aws, &names, night, event, &changes).await?;
        say(&format!("  {}", verdict(&result)));
        reasons.iter().for_each(|reason| say(&format!("  {reason}")));
        result.unexpected.iter().for_each(|wrong| say(&format!("  NOT as it should be: {wrong}")));
        played.push(result);
    }

    let as_expected = played.iter().all(|night| night.unexpected.is_empty());
    if json {
        println!("{}", serde_json::json!({ "nights": played, "as_expected": as_expected }));
    } else {
        println!("\n{}", figures::table(&played));
    }
    Ok(if as_expected { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs the program once and compares. Gives also why tables are not complete.
async fn one_night(
    aws: &Loopback,
    names: &[String],
    night: u32,
    event: Event,
    changes: &Changes,
) -> Result<(Night, Vec<String>)> {
    let environment = aws.environment();
    let run = move || crate::run_program(&environment, "json", "error", event.arguments());
    let run = tokio::task::spawn_blocking(run).await??;
    let finished: Finished = serde_json::from_str(&run.stdout).context("read what `run` has printed")?;
    let (source_items, differing) = crate::compare_all(aws, names).await?;

    let differing: BTreeSet<String> = differing.into_iter().collect();
    let expected = Expected::of(event, source_items, changes);
    let unexpected = expected.contradicted_by(run.code, &finished, &differing);
    let reasons = finished.reasons();
    let night = Night {
        night,
        source: event.name(),
        exit_code: run.code,
        figures: finished.figures(),
        outcome: finished.outcome,
        source_items,
        differing: differing.len(),
        unexpected,
    };
    Ok((night, reasons))
}

/// What a night should have come to.
struct Expected {
    exit_code: i32,
    suspect: &'static [&'static str],
    /// Items exported, put, unchanged, deleted, and extra in the copy.
    counts: [u64; 5],
    /// Keys that only the copy has.
    kept: BTreeSet<String>,
}

impl Expected {
    fn of(event: Event, items: u64, changes: &Changes) -> Self {
        let put = if event == Event::FirstLoad { items } else { changes.changed + changes.added };
        let (unchanged, gone) = (items.saturating_sub(put), changes.deleted.len() as u64);
        if event == Event::MassDeletion {
            let counts = [items, put, unchanged, 0, gone];
            return Self { exit_code: 2, suspect: &[DAMAGED], counts, kept: changes.deleted.clone() };
        }
        let counts = [items, put, unchanged, gone, 0];
        Self { exit_code: 0, suspect: &[], counts, kept: BTreeSet::new() }
    }

    /// Whatever is otherwise, in words.
    fn contradicted_by(self, code: i32, finished: &Finished, differing: &BTreeSet<String>) -> Vec<String> {
        let mut wrong = Vec::new();
        if code != self.exit_code {
            wrong.push(format!("the exit code is {code}, not {}", self.exit_code));
        }
        if finished.suspect() != self.suspect {
            wrong.push(format!("suspect are {:?}, not {:?}", finished.suspect(), self.suspect));
        }
        let names = ["exported", "put", "unchanged", "deleted", "extra"];
        for ((name, found), expected) in names.into_iter().zip(finished.figures().counts()).zip(self.counts) {
            if found != expected {
                wrong.push(format!("{found} items are {name}, not {expected}"));
            }
        }
        let keys = differing.symmetric_difference(&self.kept).take(20);
        wrong.extend(keys.map(|key| format!("copy and source are not as they should be in {key}")));
        wrong
    }
}

fn story(event: Event, changes: &Changes) -> String {
    let (deleted, of) = (changes.deleted.len(), changes.of);
    match event {
        Event::FirstLoad => "there is no copy yet".to_owned(),
        Event::Nothing => "nothing has changed in the source".to_owned(),
        Event::SmallChanges => {
            format!("{} items were changed, {} added, {deleted} deleted", changes.changed, changes.added)
        }
        Event::MassDeletion => format!("{deleted} of the {of} items of table {DAMAGED} were deleted"),
        Event::Acceptance => "once more, with --accept-changes".to_owned(),
    }
}

fn verdict(night: &Night) -> String {
    let comparison = match (night.differing, night.unexpected.is_empty()) {
        (0, _) => "copy and source are equal".to_owned(),
        (kept, true) => {
            format!("the copy still holds these {kept} items, and all others are equal")
        }
        (differing, false) => format!("copy and source are NOT equal, in {differing} items"),
    };
    format!("{}, exit code {}; {comparison}", night.outcome, night.exit_code)
}
