//! The last step of a write: deletes the items of a segment that the copy has and the archive has not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use jiff::Timestamp;

use super::{LOOK_EVERY, live_copy};
use crate::archive::layout::TableFolder;
use crate::archive::marker::{Decision, Deleted, Deletions, ExtraKeys, Written};
use crate::copy::writer::{Tally, Writer};
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::item::Key;
use crate::job::{Lease, Outcome, Task};
use crate::metrics::Metric;
use crate::reconcile::{self, Event};
use crate::schema::KeySchema;

/// Deletes the extra items of a segment that is written, if it is decided that they go.
pub(super) async fn run(
    environment: &Environment,
    lease: &Lease,
    task: &Task,
    segment: u32,
    folder: &TableFolder,
) -> Result<Outcome> {
    let archive = &environment.archive;
    let deletions = archive.read::<Deletions>(&folder.deletions()).await?;
    let is_due =
        deletions.is_some_and(|it| it.decision == Decision::Delete && it.segments.contains(&segment));
    let event = if is_due { Event::Deleted(segment) } else { Event::Written(segment) };
    if is_due && !archive.exists(&folder.deleted(segment)).await? {
        archive.create(&folder.delete_begun(segment), &Timestamp::now()).await?;
        let delete = SegmentDelete { environment, task, segment, folder };
        if !lease.run(delete.run_while_wanted().boxed()).await? {
            return Ok(Outcome::again(Duration::ZERO, "handing over after its time slice, or overtaken"));
        }
    }
    reconcile::table(environment, &task.run, &task.table, event).await?;
    Ok(Outcome::Done)
}

struct SegmentDelete<'a> {
    environment: &'a Environment,
    task: &'a Task,
    segment: u32,
    folder: &'a TableFolder,
}

impl SegmentDelete<'_> {
    /// Stops as soon as it is seen that the deletions or their run are over: what the next run puts must not be
    /// deleted. False when it is not done.
    async fn run_while_wanted(&self) -> Result<bool> {
        let watch = async {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                if self.is_over().await? {
                    return Ok(false);
                }
            }
        };
        tokio::select! {
            over = watch => over,
            done = self.run() => done,
        }
    }

    async fn is_over(&self) -> Result<bool> {
        let archive = &self.environment.archive;
        Ok(archive.exists(&self.folder.deleted(self.segment)).await?
            || archive.exists(&archive.layout().report(&self.task.run.run)).await?)
    }

    /// Deletes list by list; false when the time for it is over.
    async fn run(&self) -> Result<bool> {
        let archive = &self.environment.archive;
        let deadline = Instant::now() + self.environment.config.hand_over_after;
        let written: Written = archive.require(&self.folder.written(self.segment)).await?;
        let copy = live_copy::open(self.environment, self.task, false).await?;
        let counters = self.environment.metrics.of(&self.task.run.source.name);
        let writer = copy.segment(self.segment, self.task.table.plan.segments).writer;
        let writer =
            writer.counted(Arc::clone(&counters)).watched(|items| counters.add(Metric::ItemsDeleted, items));
        let mut deleted = Deleted::nothing();
        for list in 0..written.extra_lists() {
            let extra = self.folder.extra_keys(self.segment, &written.attempt, list);
            let extra: ExtraKeys = archive.require(&extra).await?;
            let key = self.folder.deleted_list(self.segment, list);
            if let Some(earlier) = archive.read(&key).await? {
                deleted.add(&earlier);
                continue;
            }
            if Instant::now() >= deadline || self.is_over().await? {
                return Ok(false);
            }
            let of_list = self.delete(&writer, &copy.key, &extra).await?;
            archive.create(&key, &of_list).await?;
            deleted.add(&of_list);
        }
        if deleted.items_deleted != written.items_extra {
            return Err(Error::permanent(format!(
                "segment {} of table {} has {} extra items on record, and lists of {}",
                self.segment, self.task.table.name, written.items_extra, deleted.items_deleted
            )));
        }
        deleted.finished_at = Timestamp::now();
        archive.create(&self.folder.deleted(self.segment), &deleted).await?;
        Ok(true)
    }

    async fn delete(&self, writer: &Writer<'_>, schema: &KeySchema, extra: &ExtraKeys) -> Result<Deleted> {
        let keys = extra.keys.iter().map(|key| Key::of(key.get().as_bytes(), schema));
        let keys = keys.collect::<Result<Vec<_>>>()?;
        let Tally { items: items_deleted, consumed_units, failed } = writer.delete(keys).await?;
        if let Some(first) = failed.first() {
            return Err(Error::permanent(format!(
                "table {} refuses to delete {} items: {}",
                self.task.table.target,
                failed.len(),
                first.reason
            )));
        }
        Ok(Deleted { items_deleted, consumed_units, finished_at: Timestamp::now() })
    }
}
