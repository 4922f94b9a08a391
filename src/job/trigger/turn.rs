//! Whose turn it is: one run of a source follows another, and never runs beside it.
//!
//! Two runs side by side would write what they scanned at different moments into the same copy, and the older
//! could win. So the runs of a source form a chain: each ended run decides, by an object that is created once,
//! which run comes next.

use serde::{Deserialize, Serialize};

use super::Start;
use crate::archive::layout::RunId;
use crate::archive::record::Outcome;
use crate::error::Result;
use crate::reconcile;

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
}

/// Takes the turn of a run, unless another run of its source is unfinished and progressing. A stalled one is
/// closed first.
pub(super) async fn take(start: &Start<'_>) -> Result<Turn> {
    let archive = &start.environment.archive;
    let mut previous = match last_run(start).await? {
        Last::Ended(previous) => previous,
        Last::GoingOn(other) => return Ok(Turn::Taken(other)),
    };
    loop {
        let key = archive.layout().next_run(previous.as_ref(), &start.source.name);
        if archive.create(&key, &Next { run: start.run.clone() }).await? {
            return Ok(Turn::Ours);
        }
        let next: Next = archive.require(&key).await?;
        if next.run == start.run {
            return Ok(Turn::Ours);
        }
        if archive.exists(&archive.layout().report(&next.run)).await? {
            // It is older by its id than the one it came after, so it was not the newest that was found.
            previous = Some(next.run);
            continue;
        }
        if archive.run(&next.run).await?.is_some()
            || !reconcile::is_stalled(start.environment, &next.run).await?
        {
            return Ok(Turn::Taken(next.run));
        }
        // Its worker died between this object and its run.json, and its trigger never came back.
        let reason = "stalled before it was planned".to_owned();
        start.end(&next.run, Outcome::Failed, reason).await?;
        previous = Some(next.run);
    }
}

enum Last {
    /// The last run that ended, if there was one.
    Ended(Option<RunId>),
    GoingOn(RunId),
}

/// The newest other run of the source, runs that were skipped left out.
async fn last_run(start: &Start<'_>) -> Result<Last> {
    let archive = &start.environment.archive;
    for other in archive.runs("").await?.into_iter().rev() {
        let Some(run) = archive.run(&other).await? else { continue };
        if other == start.run || run.source.name != start.source.name {
            continue;
        }
        match archive.report(&other).await? {
            Some(report) if report.outcome == Outcome::Skipped => {}
            Some(_) => return Ok(Last::Ended(Some(other))),
            None if reconcile::is_stalled(start.environment, &other).await? => {
                reconcile::close_stalled(start.environment, &run).await?;
                return Ok(Last::Ended(Some(other)));
            }
            None => return Ok(Last::GoingOn(other)),
        }
    }
    Ok(Last::Ended(None))
}
