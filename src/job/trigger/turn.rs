//! Whose turn it is: one run of a source follows another, and never runs beside it.
//!
//! Two runs side by side would write what they scanned at different moments into the same copy, and the older
//! could win. So the runs of a source form a chain: each run decides, by an object that is created once, which
//! run comes after it, and that one may begin when it is over.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Start;
use crate::archive::is_quiet;
use crate::archive::layout::RunId;
use crate::archive::record::Outcome;
use crate::error::Result;
use crate::reconcile;
use crate::table::Selection;

/// Whether a run may begin.
pub(super) enum Turn {
    Ours,
    /// This run is still going on.
    Taken(RunId),
}

/// The object that decides which run comes next.
#[derive(Serialize, Deserialize)]
struct Next {
    run: RunId,
    /// What its trigger asks for, which nobody knows once it is gone.
    #[serde(default)]
    requested: Selection,
}

/// A run of the chain, and what put it there with the key it lies under, where that is known.
struct Link {
    run: RunId,
    named_by: Option<(String, Selection)>,
}

/// Takes the turn of a run, unless another run of its source is going on. A stalled one is closed first.
pub(super) async fn take(start: &Start<'_>) -> Result<Turn> {
    let archive = &start.environment.archive;
    let mut previous = last_run(start).await?.map(|run| Link { run, named_by: None });
    loop {
        if let Some(link) = &previous
            && !is_over(start, link).await?
        {
            return Ok(Turn::Taken(link.run.clone()));
        }
        let key = archive.layout().next_run(previous.as_ref().map(|link| &link.run), &start.source.name);
        let ours = Next { run: start.id.clone(), requested: start.trigger.selection() };
        if archive.create(&key, &ours).await? {
            return Ok(Turn::Ours);
        }
        let next: Next = archive.require(&key).await?;
        if next.run == start.id {
            return Ok(Turn::Ours);
        }
        previous = Some(Link { run: next.run, named_by: Some((key, next.requested)) });
    }
}

/// The newest other run of the source. One that was over before it began may never have had its turn: the chain
/// leads past it where it had.
async fn last_run(start: &Start<'_>) -> Result<Option<RunId>> {
    let archive = &start.environment.archive;
    for other in archive.runs("").await?.into_iter().rev() {
        let Some(run) = archive.run(&other).await? else { continue };
        if other != start.id && run.source.name == start.source.name && run.ended.is_none() {
            return Ok(Some(other));
        }
    }
    Ok(None)
}

/// Whether a run is over. One that has stalled is ended here.
async fn is_over(start: &Start<'_>, link: &Link) -> Result<bool> {
    let (archive, stall_after) = (&start.environment.archive, start.environment.config.stall_after);
    if archive.exists(&archive.layout().report(&link.run)).await? {
        return Ok(true);
    }
    if let Some(run) = archive.run(&link.run).await? {
        let stalled = archive.is_stalled(&link.run, stall_after).await?;
        if stalled {
            reconcile::close_stalled(start.environment, &run).await?;
        }
        return Ok(stalled);
    }
    // It has its turn and no run.json: its worker is about to write it, or died and its trigger never came back.
    let Some((key, requested)) = &link.named_by else { return Ok(false) };
    let named_at = archive.last_modified(key).await?;
    if !is_quiet(named_at.unwrap_or_else(Timestamp::now), stall_after) {
        return Ok(false);
    }
    let reason = "stalled before it was planned".to_owned();
    let run = start.end(&link.run, requested.clone(), Outcome::Failed, reason).await?;
    Ok(run.ended.is_some())
}
