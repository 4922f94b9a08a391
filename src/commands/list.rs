//! `list`: the runs in the bucket, newest first.

use futures::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;

use super::{Opened, open, output};
use crate::archive::Archive;
use crate::archive::layout::RunId;
use crate::archive::record::Report;
use crate::cli::Cli;
use crate::error::Result;
use crate::exit::Exit;

/// Runs read at once.
const READ_AT_ONCE: usize = 16;

/// One run as the list shows it.
#[derive(Serialize)]
struct Listed {
    run: RunId,
    source: String,
    /// The report's outcome, or `unfinished`.
    outcome: String,
    tables: u64,
    items: u64,
    archive_bytes: u64,
}

pub(super) async fn run(cli: &Cli) -> Result<Exit> {
    let Opened { archive, .. } = open(cli).await?;
    let mut runs = archive.runs("").await?;
    runs.reverse();
    let read: Vec<_> = runs.iter().map(|run| listed(&archive, run)).collect();
    let listed: Vec<Option<Listed>> = stream::iter(read).buffered(READ_AT_ONCE).try_collect().await?;
    let listed: Vec<Listed> = listed.into_iter().flatten().collect();
    output::print(cli.output, &listed, || text(&archive, &listed));
    Ok(Exit::Complete)
}

/// `None` for a folder that has no `run.json`: a run whose trigger died before its first object.
async fn listed(archive: &Archive, run: &RunId) -> Result<Option<Listed>> {
    let Some(record) = archive.run(run).await? else { return Ok(None) };
    let report: Option<Report> = archive.report(run).await?;
    let results = report.as_ref().map(|report| report.tables.as_slice()).unwrap_or_default();
    Ok(Some(Listed {
        run: run.clone(),
        source: record.source.name.clone(),
        outcome: report.as_ref().map_or_else(|| "unfinished".to_owned(), |report| report.outcome.to_string()),
        tables: record.tables.len() as u64,
        items: results.iter().map(|table| table.items_exported).sum(),
        archive_bytes: results.iter().map(|table| table.archive_bytes).sum(),
    }))
}

fn text(archive: &Archive, runs: &[Listed]) -> String {
    if runs.is_empty() {
        let (bucket, folder) = (archive.bucket_name(), archive.layout().runs());
        return format!("no runs under s3://{bucket}/{folder}: is the prefix right?");
    }
    let rows = runs.iter().map(|run| {
        vec![
            run.run.to_string(),
            run.source.clone(),
            run.outcome.clone(),
            output::count(run.tables),
            output::count(run.items),
            output::size(run.archive_bytes),
        ]
    });
    output::table(&["RUN", "SOURCE", "OUTCOME", ">TABLES", ">ITEMS", ">SIZE"], rows)
}
