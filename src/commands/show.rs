//! `show`: what a run holds, or one of its tables in full.

mod settings;

use serde::Serialize;
use serde_json::value::RawValue;

use super::{Opened, find_run, open, output, run_id};
use crate::archive::Archive;
use crate::archive::record::{Outcome, Report, Run, TableRecord, TableResult};
use crate::cli::Cli;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::plan::Plan;
use crate::schema::disposition::Disposition;
use crate::table::TableName;

#[derive(Serialize)]
struct ShownRun<'a> {
    #[serde(flatten)]
    run: &'a Run,
    report: Option<&'a Report>,
}

#[derive(Serialize)]
struct ShownTable<'a> {
    #[serde(flatten)]
    record: &'a TableRecord,
    /// Where DynamoDB's ImportTable and other readers of its export format find the table.
    export: String,
    result: Option<&'a TableResult>,
    /// What becomes of each setting that the table has.
    dispositions: Vec<&'static Disposition>,
}

pub(super) async fn run(cli: &Cli, run: &str, table: Option<&TableName>) -> Result<Exit> {
    let run = run_id(run)?;
    let Opened { archive, .. } = open(cli).await?;
    let record = find_run(&archive, &run).await?;
    match table {
        Some(table) => show_table(cli, &archive, &record, table).await?,
        None => {
            let report = archive.report(&run).await?;
            let shown = ShownRun { run: &record, report: report.as_ref() };
            output::print(cli.output, &shown, || run_text(&record, report.as_ref()));
        }
    }
    Ok(Exit::Complete)
}

fn run_text(run: &Run, report: Option<&Report>) -> String {
    let head = format!(
        "source   {}, account {}\nbackup   account {}\nplanned  {} by version {}\n\n",
        run.source.name, run.source.account, run.backup, run.planned_at, run.tool_version
    );
    let body = match report {
        Some(report) => output::report(report),
        None => format!("run {} has no report yet: `status {}` shows how far it is", run.run, run.run),
    };
    head + &body
}

async fn show_table(cli: &Cli, archive: &Archive, run: &Run, table: &TableName) -> Result<()> {
    let folder = archive.folder(&run.run, table);
    let result = archive.result(&run.run, table).await?;
    let missing = || match &result {
        Some(result) if result.outcome == Outcome::Skipped => {
            Error::permanent(format!("table {table} was skipped: {}", result.reasons.join("; ")))
        }
        _ if run.tables.contains(table) => Error::permanent(format!("table {table} is not planned yet")),
        _ => Error::usage(format!("run {} has no table {table}", run.run)),
    };
    let record: TableRecord = archive.read(&folder.table()).await?.ok_or_else(missing)?;
    let export = format!("s3://{}/{}", archive.bucket_name(), folder.manifest_summary());
    let dispositions = settings::dispositions(&record);
    let shown = ShownTable { record: &record, export, result: result.as_ref(), dispositions };
    output::print(cli.output, &shown, || table_text(&shown));
    Ok(())
}

fn table_text(shown: &ShownTable<'_>) -> String {
    let record = shown.record;
    let mut lines = vec![
        format!("table     {}", record.table),
        format!("target    {}", record.target),
        format!("segments  {} in {} lanes", record.plan.segments, record.plan.lanes),
        format!("budget    {}", budget_text(&record.plan)),
        format!("export    {}", shown.export),
    ];
    if let Some(result) = shown.result {
        lines.push(format!("outcome   {}", result.outcome));
        lines.push(format!(
            "items     {}: {} put, {} unchanged, {} deleted from the copy",
            output::count(result.items_exported),
            output::count(result.items_put),
            output::count(result.items_unchanged),
            output::count(result.items_deleted)
        ));
        lines.push(format!("digest    {}", result.digest));
        lines.push(format!("size      {} in {} parts", output::size(result.archive_bytes), result.parts));
        lines
            .extend(result.scan.map(|scan| format!("scanned   {} to {}", scan.started_at, scan.finished_at)));
        lines.extend(result.reasons.iter().map(|reason| format!("reason    {reason}")));
        lines.extend(result.drift.iter().map(|drift| format!("drift     {drift}")));
    }
    lines.extend(record.settings.iter().flat_map(settings::in_words));
    lines.push(format!("\n{}", settings::dispositions_text(&shown.dispositions)));
    lines.push(format!("\ndefinition\n{}", indented(&record.definition)));
    lines.join("\n")
}

fn budget_text(plan: &Plan) -> String {
    let units = |budget: Option<u64>| budget.map_or("any number of".to_owned(), output::count);
    format!("{} read and {} write units a second", units(plan.read_budget), units(plan.write_budget))
}

fn indented(json: &RawValue) -> String {
    let value: serde_json::Value = serde_json::from_str(json.get()).unwrap_or_default();
    serde_json::to_string_pretty(&value).unwrap_or_else(|_| json.get().to_owned())
}
