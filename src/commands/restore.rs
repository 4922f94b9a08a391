//! `restore`: brings tables to what a backup holds, in this account or another.

use std::sync::Arc;
use std::time::Instant;

use futures::stream::{self, StreamExt};
use serde::Serialize;

use super::verify::selected;
use super::{Export, find_run, open_export, output, run_id, settings, target_session};
use crate::archive::record::{Account, Table};
use crate::archive::{Archive, Backup};
use crate::aws::Session;
use crate::aws::dynamodb::Tables;
use crate::aws::s3::Bucket;
use crate::cli::{Cli, RestoreArgs, RestoredBilling};
use crate::config::{RestoreConfig, TargetConfig};
use crate::error::{Error, Kind, Result};
use crate::exit::Exit;
use crate::restore::{Permissions, Restoration, Restored, Source};
use crate::schema::settings::TableSettings;
use crate::table::{Selection, TableName};

/// Tables restored at once. Most of the time they are being created, of which DynamoDB does 500 at once (DynamoDB
/// Developer Guide, “Quotas in Amazon DynamoDB”); what they take of memory is bounded by segments.
const TABLES_AT_ONCE: usize = 50;

/// A table that is asked for.
struct Wanted {
    table_arn: String,
    /// `None` of an export that DynamoDB made.
    table: Option<Arc<Table>>,
    settings: Option<TableSettings>,
    /// The ARN of the live copy.
    live_copy_arn: Option<String>,
    /// `None` where the run has none.
    backup: Option<Backup>,
    target: TableName,
}

#[derive(Serialize)]
struct Printed<'a> {
    dry_run: bool,
    seconds: f64,
    tables: &'a [Outcome],
}

/// What became of one table.
#[derive(Serialize)]
struct Outcome {
    target: TableName,
    #[serde(flatten)]
    restored: Option<Restored>,
    /// Why it is not restored.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip)]
    kind: Option<Kind>,
}

pub(super) async fn run(cli: &Cli, args: &RestoreArgs) -> Result<Exit> {
    let started = Instant::now();
    let Found { archive, wanted, target, session } = match args.run.strip_prefix("s3://") {
        Some(place) => find_export(cli, args, place).await?,
        None => find_tables(cli, args).await?,
    };
    let into = target_session(&target, &session).await?;
    let tables = Tables::of_copies(&into, "restore");
    let permissions = Permissions {
        into_existing: args.into_existing,
        mirror: args.mirror,
        over_source: args.over_source.clone(),
        on_demand: args.billing_mode == RestoredBilling::OnDemand,
    };
    let restoration = Restoration::new(&archive, &tables, arn_prefix(&into, &wanted).await?, permissions);
    let restoring: Vec<_> = wanted.iter().map(|wanted| restore(&restoration, wanted, args.dry_run)).collect();
    let outcomes: Vec<Outcome> = stream::iter(restoring).buffered(TABLES_AT_ONCE).collect().await;
    let seconds = started.elapsed().as_secs_f64();
    let printed = Printed { dry_run: args.dry_run, seconds, tables: &outcomes };
    output::print(cli.output, &printed, || text(&printed));
    Ok(exit(&outcomes))
}

/// What is to be restored, and where.
struct Found {
    archive: Archive,
    wanted: Vec<Wanted>,
    target: TargetConfig,
    session: Session,
}

/// The tables of a run.
async fn find_tables(cli: &Cli, args: &RestoreArgs) -> Result<Found> {
    let id = run_id(&args.run)?;
    if args.tables.is_empty() {
        return Err(Error::usage(
            "no table is named: give --table NAME, or --table '*' for every table of the run",
        ));
    }
    let (config, session) = settings::<RestoreConfig>(cli, None).await?;
    let bucket = Bucket::open(&session, &config.archive.bucket).await?;
    let archive = Archive::new(bucket, &config.archive.prefix);
    let run = find_run(&archive, &id).await?;
    let selection = Selection { tables: args.tables.clone(), exclude: Vec::new() };
    let names = selected(&run, &selection)?;
    if args.to.is_some() && names.len() > 1 {
        return Err(Error::usage(format!("--to names one table, and --table {} of them", names.len())));
    }
    let mut wanted = Vec::new();
    for name in names {
        let table = archive.table(&id, &name).await?;
        let backup = match &table {
            Some(table) => archive.backup(&id, table).await?,
            None => None,
        };
        let live_copy = |table: &Arc<Table>| {
            let partition = table.definition.table_arn.split(':').nth(1).unwrap_or("aws");
            let Account { account_id, region } = &run.backup;
            format!("arn:{partition}:dynamodb:{region}:{account_id}:table/{}", table.target)
        };
        wanted.push(Wanted {
            table_arn: table.as_ref().map(|table| table.definition.table_arn.clone()).unwrap_or_default(),
            live_copy_arn: table.as_ref().map(live_copy),
            settings: archive.table_settings(&id, &name).await?,
            table,
            backup,
            target: args.to.clone().unwrap_or(name),
        });
    }
    Ok(Found { archive, wanted, target: config.target, session })
}

/// The table of an export that DynamoDB made.
async fn find_export(cli: &Cli, args: &RestoreArgs, place: &str) -> Result<Found> {
    if !args.tables.is_empty() {
        return Err(Error::usage("an export of DynamoDB is of one table: give --to NAME instead of --table"));
    }
    let unnamed = || Error::usage("give --to NAME: the table that the export is restored into");
    let name = args.to.clone().ok_or_else(unnamed)?;
    let (target, session) = settings::<TargetConfig>(cli, None).await?;
    let Export { archive, backup, table_arn } = open_export(&session, place).await?;
    let wanted = vec![Wanted {
        table_arn,
        table: None,
        settings: None,
        live_copy_arn: None,
        backup: Some(backup),
        target: name,
    }];
    Ok(Found { archive, wanted, target, session })
}

/// What the ARNs of the target's tables begin with; the partition is that of the tables that were backed up.
async fn arn_prefix(session: &Session, wanted: &[Wanted]) -> Result<String> {
    let partition = wanted.first().and_then(|wanted| wanted.table_arn.split(':').nth(1)).unwrap_or("aws");
    let (region, account) = (session.region(), session.account_id().await?);
    Ok(format!("arn:{partition}:dynamodb:{region}:{account}:table/"))
}

async fn restore(restoration: &Restoration<'_>, wanted: &Wanted, dry_run: bool) -> Outcome {
    let target = wanted.target.clone();
    let Some(backup) = &wanted.backup else {
        let error = Some("the run has no backup of it: `show` says why".to_owned());
        return Outcome { target, restored: None, error, kind: Some(Kind::Permanent) };
    };
    let source = Source {
        table_arn: &wanted.table_arn,
        live_copy_arn: wanted.live_copy_arn.as_deref(),
        definition: wanted.table.as_ref().map(|table| &table.definition),
        settings: wanted.settings.as_ref(),
        backup,
    };
    let restored = if dry_run {
        restoration.preview(&source, &target).await
    } else {
        restoration.table(&source, &target).await
    };
    match restored {
        Ok(restored) => {
            let (items, items_put) = (restored.items, restored.items_put);
            tracing::info!(table.name = %target, items, items_put, dry_run, "table restored");
            let error = not_enabled(&restored);
            let kind = error.as_ref().map(|_| Kind::Permanent);
            Outcome { target, restored: Some(restored), error, kind }
        }
        Err(error) => {
            tracing::error!(table.name = %target, "{error:#}");
            Outcome { target, restored: None, error: Some(format!("{error:#}")), kind: Some(error.kind()) }
        }
    }
}

/// What is left to do by hand, if anything is.
fn not_enabled(restored: &Restored) -> Option<String> {
    let settings = &restored.not_enabled;
    (!settings.is_empty()).then(|| {
        format!(
            "it has every item of the backup, but not all of its settings could be enabled; enable them yourself: {}",
            settings.join("; ")
        )
    })
}

/// That of the worst outcome: a table that could not be restored outweighs one that may not.
fn exit(outcomes: &[Outcome]) -> Exit {
    let kinds: Vec<Kind> = outcomes.iter().filter_map(|outcome| outcome.kind).collect();
    if kinds.is_empty() {
        Exit::Complete
    } else if kinds.iter().all(|kind| *kind == Kind::Usage) && kinds.len() == outcomes.len() {
        Exit::Usage
    } else if outcomes.iter().any(|outcome| outcome.restored.is_some()) {
        Exit::Partial
    } else {
        Exit::Failed
    }
}

fn text(printed: &Printed<'_>) -> String {
    let heads =
        ["TABLE", "RESULT", ">ITEMS", ">PUT", ">CHANGED", ">UNCHANGED", ">DELETED", ">LEFT", ">UNITS"];
    let rows = printed.tables.iter().map(|outcome| row(outcome, printed.dry_run));
    let mut text = output::table(&heads, rows);
    for outcome in printed.tables {
        if let Some(error) = &outcome.error {
            text += &format!("\n{}: {error}", outcome.target);
        }
        if let Some(restored) = &outcome.restored {
            text += &settings_text(restored, printed.dry_run);
        }
    }
    let done = printed.tables.iter().filter(|outcome| outcome.error.is_none()).count();
    let left: u64 = printed.tables.iter().flat_map(|it| &it.restored).map(|it| it.items_extra).sum();
    let what = match (printed.dry_run, left) {
        (true, _) => "looked at, nothing was written".to_owned(),
        (false, 0) => "restored and found equal to the backup".to_owned(),
        (false, left) => {
            format!("restored and found to hold all of the backup, and {} other items", output::count(left))
        }
    };
    format!(
        "{text}

{done} of {} tables {what}, in {:.1} s",
        printed.tables.len(),
        printed.seconds
    )
}

/// A line for each setting that was enabled, and for each that was not restored.
fn settings_text(restored: &Restored, dry_run: bool) -> String {
    let enabled = if dry_run { "would be enabled" } else { "enabled" };
    let lines = restored.enabled.iter().map(|setting| (enabled, setting));
    let lines = lines.chain(restored.not_restored.iter().map(|setting| ("not restored", setting)));
    lines.map(|(what, setting)| format!("\n{}: {what}: {setting}", restored.target)).collect()
}

fn row(outcome: &Outcome, dry_run: bool) -> Vec<String> {
    let Some(restored) = &outcome.restored else {
        return vec![outcome.target.to_string(), "failed".to_owned()];
    };
    let result = match (restored.created, dry_run) {
        (true, true) => "would be created",
        (true, false) => "created",
        (false, true) => "exists",
        (false, false) => "restored",
    };
    let counts = [
        restored.items,
        restored.items_put,
        restored.items_changed,
        restored.items_unchanged,
        restored.items_deleted,
        restored.items_extra,
        restored.write_units.ceil() as u64,
    ];
    let cells = [outcome.target.to_string(), result.to_owned()];
    cells.into_iter().chain(counts.map(output::count)).collect()
}
