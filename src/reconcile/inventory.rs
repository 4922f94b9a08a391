//! Compares the tables of a run with those of the last complete run of its source.

use std::collections::HashSet;

use futures::stream::{self, StreamExt, TryStreamExt};

use crate::archive::Archive;
use crate::archive::record::{ChangedTable, Inventory, Run};
use crate::error::{Kind, Result};
use crate::table::TableName;

/// Tables compared at once, which takes an object or two for each.
const COMPARED_AT_ONCE: usize = 16;

/// What is new, gone or changed; none where there is nothing to compare with, or it cannot be read, which is no
/// reason to leave a run without its report.
pub(super) async fn of(archive: &Archive, run: &Run) -> Result<Option<Inventory>> {
    match compare(archive, run).await {
        Err(error) if error.kind() == Kind::Permanent => {
            tracing::warn!(run.id = %run.run, "no inventory: {error:#}");
            Ok(None)
        }
        compared => compared,
    }
}

async fn compare(archive: &Archive, run: &Run) -> Result<Option<Inventory>> {
    let place = |run: &Run| (run.source.name.clone(), run.source.account.clone());
    let is_comparable = |earlier: &Run| place(earlier) == place(run) && earlier.requested.is_everything();
    let Some(earlier) = archive.last_complete_before(run, is_comparable).await? else { return Ok(None) };
    let minus = |some: &[TableName], others: &[TableName]| {
        let others: HashSet<&TableName> = others.iter().collect();
        some.iter().filter(|table| !others.contains(table)).cloned().collect::<Vec<_>>()
    };
    let gone = minus(&earlier.tables, &run.tables);
    // One that was not asked for is not gone.
    let gone = gone.into_iter().filter(|table| run.requested.selects(table)).collect();
    let new = minus(&run.tables, &earlier.tables);
    let both = run.tables.iter().filter(|table| !new.contains(table));
    let compared: Vec<_> = both.map(|table| changes(archive, run, &earlier, table)).collect();
    let changed: Vec<_> = stream::iter(compared).buffered(COMPARED_AT_ONCE).try_collect().await?;
    let changed = changed.into_iter().flatten().collect();
    Ok(Some(Inventory { since: earlier.run.clone(), new, gone, changed }))
}

async fn changes(
    archive: &Archive,
    run: &Run,
    earlier: &Run,
    name: &TableName,
) -> Result<Option<ChangedTable>> {
    let now = archive.table(&run.run, name).await?;
    let then = archive.table(&earlier.run, name).await?;
    let (Some(now), Some(then)) = (now, then) else { return Ok(None) };
    let changes = now.definition.changes_since(&then.definition);
    Ok((!changes.is_empty()).then(|| ChangedTable { table: name.clone(), changes }))
}
