//! Write: brings the items of one exported segment into the live copy, part by part.

mod puts;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::FutureExt;
use jiff::Timestamp;

use self::puts::{Puts, Tally};
use super::{Lease, Outcome, Task, blocking};
use crate::archive::Archive;
use crate::archive::layout::TableFolder;
use crate::archive::marker::{Exported, FailedItems, PartEntry, Written};
use crate::archive::part::PartReader;
use crate::archive::record::Table;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::rate::{Ceiling, Direction};
use crate::reconcile::{self, Event};
use crate::target;

/// How long a write waits for its target or for the export of its segment: a quarter of its table's age, within
/// these bounds.
const NOT_READY_DELAY: Duration = Duration::from_secs(2);
const MAX_NOT_READY_DELAY: Duration = Duration::from_secs(30);

/// How long a write that was overtaken leaves the run to whoever did that, before it makes sure that the run
/// has moved on. At once, it would enqueue the next segment a second time.
const OVERTAKEN_DELAY: Duration = Duration::from_secs(300);

/// How often a write looks whether it is still wanted.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// Writes a segment into its target, or continues to.
pub(super) async fn run(
    environment: &Environment,
    lease: &Lease,
    task: &Task,
    segment: u32,
) -> Result<Outcome> {
    let archive = &environment.archive;
    let folder = archive.folder(&task.run.run, &task.table.name);
    if !archive.exists(&folder.written(segment)).await? {
        if !archive.exists(&folder.provisioned()).await? {
            return Ok(Outcome::again(not_ready_delay(task), "the target table is not provisioned yet"));
        }
        let Some(exported) = archive.read::<Exported>(&folder.exported(segment)).await? else {
            return Ok(Outcome::again(not_ready_delay(task), "the segment is not exported yet"));
        };
        environment.checked_targets.require(&environment.targets, &task.table).await?;
        let begins = archive.create(&folder.write_begun(segment), &Timestamp::now()).await?;
        let is_first = begins && task.table.plan.begins_lane(segment);
        let puts = Puts::new(environment, task, lane_ceiling(environment, &task.table, is_first).await?)?;
        let write =
            SegmentWrite { environment, task, folder, segment, puts, is_finishing: AtomicBool::new(false) };
        // Puts that are cut short are put again by whoever continues.
        match lease.run(write.run_while_wanted(&exported).boxed()).await? {
            End::Written => {}
            End::Overtaken => {
                let leads_on = task.table.plan.next_in_lane(segment).is_some();
                let delay = if leads_on { OVERTAKEN_DELAY } else { Duration::ZERO };
                return Ok(Outcome::again(delay, "the segment or its run is over"));
            }
            End::HandOver => return Ok(Outcome::again(Duration::ZERO, "handing over after its time slice")),
        }
    }
    environment.progress.segment_written(&task.run.run, &task.table.name);
    reconcile::table(environment, &task.run, &task.table, Event::Written(segment)).await?;
    Ok(Outcome::Done)
}

/// The longer a table has been in the making, the longer its writes wait before they look again: hundreds of
/// tables may wait for their turn to be created, and each look costs requests.
fn not_ready_delay(task: &Task) -> Duration {
    let age = Timestamp::now().duration_since(task.table.described_at);
    let age = Duration::try_from(age).unwrap_or_default();
    (age / 4).clamp(NOT_READY_DELAY, MAX_NOT_READY_DELAY)
}

struct SegmentWrite<'a> {
    environment: &'a Environment,
    task: &'a Task,
    folder: TableFolder,
    segment: u32,
    puts: Puts<'a>,
    is_finishing: AtomicBool,
}

enum End {
    Written,
    /// Somebody else finished the segment, or the run was closed: what would be put now might be older than
    /// what the next run has put.
    Overtaken,
    HandOver,
}

impl SegmentWrite<'_> {
    /// Stops as soon as it is seen that the segment or its run is over.
    async fn run_while_wanted(&self, exported: &Exported) -> Result<End> {
        let watch = async {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                // Once our own marker is under way, it must not be taken for somebody else's.
                if self.is_over().await? && !self.is_finishing.load(Ordering::Relaxed) {
                    return Ok(End::Overtaken);
                }
            }
        };
        tokio::select! {
            over = watch => over,
            end = self.run(exported) => end,
        }
    }

    async fn run(&self, exported: &Exported) -> Result<End> {
        let deadline = Instant::now() + self.environment.config.hand_over_after;
        let mut written = Written::nothing();
        for part in &exported.parts {
            if Instant::now() >= deadline {
                return Ok(End::HandOver);
            }
            written.add(&self.part_written(exported, part).await?);
        }
        written.finished_at = Timestamp::now();
        self.finish(&written).await
    }

    /// Writes the segment's marker. Of two writes of one segment only the one whose marker it is moves the run
    /// on at once.
    async fn finish(&self, written: &Written) -> Result<End> {
        let key = self.folder.written(self.segment);
        self.is_finishing.store(true, Ordering::Relaxed);
        // A creation whose answer was lost finds its own marker.
        let is_ours = self.archive().create(&key, written).await?
            || self.archive().require::<Written>(&key).await? == *written;
        Ok(if is_ours { End::Written } else { End::Overtaken })
    }

    fn archive(&self) -> &Archive {
        &self.environment.archive
    }

    async fn is_over(&self) -> Result<bool> {
        let report = self.archive().layout().report(&self.task.run.run);
        Ok(self.archive().exists(&self.folder.written(self.segment)).await?
            || self.archive().exists(&report).await?)
    }

    /// Writes a part, unless its marker says that it is written. A segment of one part needs no such marker.
    async fn part_written(&self, exported: &Exported, part: &PartEntry) -> Result<Written> {
        if exported.parts.len() == 1 {
            return self.write_part(part).await;
        }
        let key = self.folder.part_written(self.segment, part.part);
        if let Some(written) = self.archive().read(&key).await? {
            return Ok(written);
        }
        let written = self.write_part(part).await?;
        self.archive().create(&key, &written).await?;
        Ok(written)
    }

    async fn write_part(&self, part: &PartEntry) -> Result<Written> {
        let compression = self.task.table.compression;
        let key = self.folder.part(self.segment, part.part, compression);
        let body = self.archive().part(&key, part.items).await?;
        let (md5, part_key) = (part.md5.clone(), key.clone());
        // The whole part is hashed before its first item is written.
        let reader = blocking(move || PartReader::open(&part_key, body, &md5, compression)).await?;
        let (items, tally) = self.puts.put_all(key.clone(), reader).await?;
        if items != part.items {
            return Err(Error::permanent(format!(
                "part {key} holds {items} items, its marker says {}",
                part.items
            )));
        }
        self.record_failed_items(part.part, tally).await
    }

    /// Records failed items before the marker that counts them.
    async fn record_failed_items(&self, part: u32, tally: Tally) -> Result<Written> {
        let written = Written {
            items_put: tally.items_put,
            items_failed: tally.failed.len() as u64,
            consumed_units: tally.consumed_units,
            finished_at: Timestamp::now(),
        };
        if !tally.failed.is_empty() {
            let failed = FailedItems { segment: self.segment, part, items: tally.failed };
            self.archive().create(&self.folder.failed_items(self.segment, part), &failed).await?;
        }
        Ok(written)
    }
}

/// A lane's part of the table's write budget. A provisioned copy also gives what it has saved up since it was
/// last written, once for each lane of a run, unless the budget is to be less than all it has. An on-demand copy
/// is brought to what it has never taken before step by step: it throttles beyond twice its previous peak within
/// half an hour. The copy was created with the source's billing mode.
async fn lane_ceiling(environment: &Environment, table: &Table, is_first: bool) -> Result<Ceiling> {
    let plan = &table.plan;
    let ceiling = Ceiling::new(plan.lane_units(plan.write_budget));
    if let Some(units) = table.definition.provisioned_units() {
        let is_all = plan.write_budget == Some(units.write_capacity_units);
        return Ok(if is_first && is_all { ceiling.with_burst_capacity() } else { ceiling });
    }
    let taken_at_once = Direction::Write.new_table_units();
    if plan.write_budget.is_some_and(|units| units as f64 <= taken_at_once) {
        return Ok(ceiling);
    }
    let target = target::describe(&environment.targets, &table.target).await?;
    let warm = target.and_then(|target| target.warm_write_units());
    let warm = warm.map_or(taken_at_once, |units| units as f64);
    Ok(ceiling.warming_from(warm / f64::from(plan.lanes)))
}
