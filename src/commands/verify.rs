//! `verify`: shows that a run's backup is whole, and that the live copy equals it.

use futures::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;

use super::{Export, Opened, find_run, open, open_export, output, run_id, settings, target_session};
use crate::archive::record::Run;
use crate::aws::dynamodb::Tables;
use crate::cli::{Cli, VerifyArgs};
use crate::config::TargetConfig;
use crate::error::{Error, Kind, Result};
use crate::exit::Exit;
use crate::table::{Selection, TableName};
use crate::verify::{self, Compared, Difference, Verification, Verified};

/// Tables verified at once; their segments share what memory there is.
const TABLES_AT_ONCE: usize = 8;

/// Keys printed of one table; JSON has more of them.
const MAX_KEYS: usize = 20;

#[derive(Serialize)]
struct Printed<'a> {
    /// The run, or where the export lies.
    run: &'a str,
    equal: bool,
    tables: &'a [Verified],
}

pub(super) async fn run(cli: &Cli, args: &VerifyArgs) -> Result<Exit> {
    let verified = match (args.run.strip_prefix("s3://"), &args.with) {
        (Some(place), Some(table)) => verify_export(cli, place, table).await?,
        (Some(_), None) => {
            return Err(Error::usage("give --with NAME: the table to compare the export with"));
        }
        (None, Some(_)) => {
            return Err(Error::usage(
                "--with is for exports of DynamoDB: a run is compared with its live copy",
            ));
        }
        (None, None) => verify_run(cli, args).await?,
    };
    let equal = verified.iter().all(|table| table.equal);
    let printed = Printed { run: &args.run, equal, tables: &verified };
    output::print(cli.output, &printed, || text(&args.run, &verified));
    Ok(if equal { Exit::Complete } else { Exit::Failed })
}

async fn verify_export(cli: &Cli, place: &str, table: &TableName) -> Result<Vec<Verified>> {
    let (target, session) = settings::<TargetConfig>(cli, None).await?;
    let Export { archive, backup, .. } = open_export(&session, place).await?;
    let tables = Tables::of_copies(&target_session(&target, &session).await?, "verify");
    Ok(vec![verify::export(&archive, &backup, &tables, table).await?])
}

async fn verify_run(cli: &Cli, args: &VerifyArgs) -> Result<Vec<Verified>> {
    let id = run_id(&args.run)?;
    let Opened { archive, session, .. } = open(cli).await?;
    let run = find_run(&archive, &id).await?;
    if session.region() != run.backup.region {
        return Err(Error::usage(format!(
            "the copies of run {id} are in {}, and this process works in {}: set AWS_REGION={}",
            run.backup.region,
            session.region(),
            run.backup.region
        )));
    }
    let tables = selected(&run, &args.selection())?;
    let copies = Tables::of_copies(&session, "backup");
    let verification = Verification::new(&archive, &copies, &run, args.subset).await?;
    let verifying: Vec<_> = tables.iter().map(|table| verify_table(&verification, table)).collect();
    stream::iter(verifying).buffered(TABLES_AT_ONCE).try_collect().await
}

/// The tables of a run that are asked for.
pub(super) fn selected(run: &Run, selection: &Selection) -> Result<Vec<TableName>> {
    let tables: Vec<TableName> =
        run.tables.iter().filter(|table| selection.selects(table)).cloned().collect();
    if tables.is_empty() {
        return Err(Error::usage(format!(
            "run {} has no such table: `show {}` lists them",
            run.run, run.run
        )));
    }
    Ok(tables)
}

async fn verify_table(verification: &Verification<'_>, table: &TableName) -> Result<Verified> {
    let verified = verification.table(table).await.or_else(|error| match error.kind() {
        Kind::Interrupted => Err(error),
        // What is wrong with one table does not hide what was found of the others.
        _ => Ok(Verified::unknown(table, format!("it could not be looked at: {error:#}"))),
    })?;
    let Compared { missing, changed, extra, problems, archived, .. } = &verified.found;
    let (equal, items, problems) = (verified.equal, archived.items, problems.len());
    tracing::info!(table.name = %table, equal, items, missing, changed, extra, problems, "table verified");
    Ok(verified)
}

fn text(run: &str, verified: &[Verified]) -> String {
    let differ = verified.iter().filter(|table| !table.equal).count();
    let not_compared =
        verified.iter().filter(|table| table.archive_only.is_some() || table.found.segments == 0).count();
    let outcome = match differ {
        0 if not_compared == 0 => "the backup is whole, and the copy equals it".to_owned(),
        0 => format!(
            "nothing is wrong with what was looked at, but the copies of {not_compared} of {} tables were not",
            verified.len()
        ),
        1 => "1 table is not as it should be".to_owned(),
        _ => format!("{differ} tables are not as they should be"),
    };
    let heads =
        ["TABLE", "RESULT", ">SEGMENTS", ">ARCHIVED", ">IN COPY", ">MISSING", ">CHANGED", ">EXTRA", "DIGEST"];
    let table = output::table(&heads, verified.iter().map(row));
    let findings: String = verified.iter().map(findings).collect();
    let what = if run.starts_with("s3://") { "" } else { "run " };
    format!("{what}{run}: {outcome}\n\n{table}{findings}")
}

fn row(table: &Verified) -> Vec<String> {
    let of_copy = |number| if table.archive_only.is_some() { "-".to_owned() } else { output::count(number) };
    vec![
        table.table.to_string(),
        result(table).to_owned(),
        format!("{}/{}", table.found.segments, table.of_segments),
        output::count(table.found.archived.items),
        of_copy(table.found.copy.items),
        of_copy(table.found.missing),
        of_copy(table.found.changed),
        of_copy(table.found.extra),
        format!("{:032x}", table.found.archived.sum),
    ]
}

fn result(table: &Verified) -> &'static str {
    if !table.equal {
        "differs"
    } else if table.found.segments == 0 {
        "not looked at"
    } else if table.archive_only.is_some() {
        "archive whole"
    } else {
        "equal"
    }
}

/// What is wrong with a table, and why its copy was not looked at.
fn findings(verified: &Verified) -> String {
    let table = &verified.table;
    let mut text = String::new();
    if let Some(reason) = &verified.archive_only {
        text += &format!("\n{table}: only the archive was verified: {reason}");
    }
    for problem in &verified.found.problems {
        text += &format!("\n{table}: {problem}");
    }
    for different in verified.found.keys.iter().take(MAX_KEYS) {
        let what = match different.difference {
            Difference::Missing => "the copy lacks",
            Difference::Changed => "the copy has changed",
            Difference::Extra => "the copy alone has",
        };
        text += &format!("\n{table}: {what} {}", different.key);
    }
    if verified.found.keys.len() > MAX_KEYS {
        text += &format!("\n{table}: and more; --output json lists up to {}", crate::verify::MAX_KEYS);
    }
    text
}
