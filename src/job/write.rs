//! Write: brings a segment of the live copy to what was archived of it, and deletes what is extra.

mod attempt;
mod deletes;
mod lists;
mod live_copy;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::FutureExt;
use jiff::Timestamp;

use self::attempt::Attempt;
use super::{Lease, Outcome, Task, attempt_id, is_attempt_id};
use crate::archive::Archive;
use crate::archive::layout::TableFolder;
use crate::archive::marker::{Exported, HandedOver, Provision, Provisioned};
use crate::archive::part::PartFile;
use crate::copy::compare::Comparison;
use crate::copy::segment::{CopySegment, CopyTable};
use crate::environment::Environment;
use crate::error::Result;
use crate::metrics::Metric;
use crate::reconcile::{self, Event};

/// How long a write waits for its target or for the export of its segment: a quarter of its table's age, within
/// these bounds.
const NOT_READY_DELAY: Duration = Duration::from_secs(2);
const MAX_NOT_READY_DELAY: Duration = Duration::from_secs(30);

/// How long a write that was overtaken leaves the run to whoever did that, before it makes sure that the run
/// has moved on. At once, it would enqueue the next segment a second time.
const OVERTAKEN_DELAY: Duration = Duration::from_secs(300);

/// How often a write looks whether it is still wanted.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// Brings a segment to what was archived of it. When all segments of the table are, and it is decided that the
/// extra items of the copy go, deletes those of this segment.
pub(super) async fn run(
    environment: &Environment,
    lease: &Lease,
    task: &Task,
    segment: u32,
) -> Result<Outcome> {
    let archive = &environment.archive;
    let folder = archive.folder(&task.run.run, &task.table.name);
    if archive.exists(&folder.written(segment)).await? {
        return deletes::run(environment, lease, task, segment, &folder).await;
    }
    let Some(provisioned) = archive.read::<Provisioned>(&folder.provisioned()).await? else {
        return Ok(Outcome::again(not_ready_delay(task), "the target table is not provisioned yet"));
    };
    let Some(exported) = archive.read::<Exported>(&folder.exported(segment)).await? else {
        return Ok(Outcome::again(not_ready_delay(task), "the segment is not exported yet"));
    };
    environment.checked_targets.require(&environment.targets, &task.table).await?;
    let begins = archive.create(&folder.write_begun(segment), &Timestamp::now()).await?;
    let is_first = begins && task.table.plan.begins_lane(segment);
    let copy = live_copy::open(environment, task, is_first).await?;
    let write = SegmentWrite {
        environment,
        task,
        parts: archive.part_files(&folder, &exported, task.table.compression),
        folder,
        segment,
        attempt: attempt_id(),
        was_created: provisioned.outcome == Provision::Created,
        begins,
        is_finishing: AtomicBool::new(false),
    };
    // Puts that are cut short are put again by whoever continues.
    match lease.run(write.run_while_wanted(copy).boxed()).await? {
        End::Written => {}
        End::Overtaken => {
            let leads_on = task.table.plan.next_in_lane(segment).is_some();
            let delay = if leads_on { OVERTAKEN_DELAY } else { Duration::ZERO };
            return Ok(Outcome::again(delay, "the segment or its run is over"));
        }
        End::HandOver => return Ok(Outcome::again(Duration::ZERO, "handing over after its time slice")),
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

/// One attempt at a segment.
struct SegmentWrite<'a> {
    environment: &'a Environment,
    task: &'a Task,
    folder: TableFolder,
    segment: u32,
    parts: Vec<PartFile>,
    attempt: String,
    /// Whether this run created the copy, so that it holds nothing that this run has not put.
    was_created: bool,
    /// Whether it is the first attempt.
    begins: bool,
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
    async fn run_while_wanted(&self, copy: CopyTable<'_>) -> Result<End> {
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
            end = self.run(copy) => end,
        }
    }

    async fn is_over(&self) -> Result<bool> {
        let report = self.archive().layout().report(&self.task.run.run);
        Ok(self.archive().exists(&self.folder.written(self.segment)).await?
            || self.archive().exists(&report).await?)
    }

    /// Compares, and puts what is missing or different; again from where there was no more room for keys.
    async fn run(&self, copy: CopyTable<'_>) -> Result<End> {
        let counters = self.environment.metrics.of(&self.task.run.source.name);
        let CopySegment { scan, writer } = copy.segment(self.segment, self.task.table.plan.segments);
        let mut scan = scan.counted(Arc::clone(&counters));
        // Nobody waits for a table for longer than a job may work.
        let writer = writer.patient_for(self.environment.config.hand_over_after);
        let writer = writer.counted(Arc::clone(&counters)).watched(|items| {
            counters.add(Metric::ItemsPut, items);
            self.progress(items);
        });
        let comparison = Comparison { archive: self.archive(), parts: &self.parts, schema: &copy.key };
        let mut attempt = Attempt::new(self);
        let mut start = Some(0);
        while let Some(from) = start {
            let looking = Instant::now();
            let first = scan.first_items().await?;
            let is_done = if first.is_none() && from == 0 {
                start = None;
                attempt.put_all(&writer).await?
            } else {
                let pass = comparison.pass(from, &mut scan, first, &mut attempt.extra).await?;
                start = pass.index.next();
                attempt.put_different(&writer, from, pass, looking.elapsed()).await?
            };
            attempt.written.read_units = scan.consumed_units();
            if !is_done {
                return attempt.hand_over().await;
            }
        }
        attempt.finish().await
    }

    fn progress(&self, items: u64) {
        self.environment.progress.items_written(&self.task.run.run, &self.task.table.name, items);
    }

    fn archive(&self) -> &Archive {
        &self.environment.archive
    }

    /// Whether it may turn out that what this segment misses is what another one has too much: not where all is
    /// one segment, nor where this run has put all that the copy holds.
    fn lists_missing(&self) -> bool {
        self.task.table.plan.segments > 1 && !self.was_created
    }
}

impl SegmentWrite<'_> {
    /// What earlier attempts have handed over.
    async fn handed_over(&self) -> Result<Vec<HandedOver>> {
        if self.begins {
            return Ok(Vec::new());
        }
        let mut handed_over = Vec::new();
        let attempts = self.folder.write_attempts(self.segment);
        for key in self.archive().keys(&attempts).await? {
            let name = key.strip_prefix(&attempts).and_then(|name| name.strip_suffix(".json"));
            if name.is_some_and(is_attempt_id) {
                handed_over.extend(self.archive().read(&key).await?);
            }
        }
        Ok(handed_over)
    }
}
