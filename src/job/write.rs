//! Write: brings a segment of the live copy to what was archived of it, and deletes what is extra.

mod deletes;
mod lists;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::FutureExt;
use jiff::Timestamp;

use self::lists::{ExtraLists, Lists, MissingLists};
use super::{Lease, Outcome, Task, attempt_id, is_attempt_id};
use crate::archive::Archive;
use crate::archive::layout::TableFolder;
use crate::archive::marker::{
    Exported, FailedItem, FailedItems, FirstLook, HandedOver, Provision, Provisioned, Written,
};
use crate::archive::part::PartFile;
use crate::archive::record::Table;
use crate::blocking::blocking;
use crate::copy::compare::{Comparison, Counts, Pass};
use crate::copy::index::{Archived, Found};
use crate::copy::segment::{CopySegment, CopyTable};
use crate::copy::writer::{Tally, Writer};
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::rate::{Budget, Capacity, Ceiling, Direction, table_rate};
use crate::reconcile::{self, Event};
use crate::schema::TableDefinition;
use crate::table::TableName;
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
    let begins = archive.create(&folder.write_begun(segment), &Timestamp::now()).await?;
    let is_first = begins && task.table.plan.begins_lane(segment);
    let copy = live_copy(environment, task, is_first).await?;
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

/// The live copy of a table, within a lane's part of what it takes. Makes sure that it is ours.
async fn live_copy<'a>(
    environment: &'a Environment,
    task: &'a Task,
    is_first: bool,
) -> Result<CopyTable<'a>> {
    let (table, targets) = (&task.table, &environment.targets);
    environment.checked_targets.require(targets, table).await?;
    let definition = target::require(targets, &table.target).await?;
    Ok(CopyTable {
        tables: targets,
        name: &table.target,
        key: table.definition.key()?,
        rates: &environment.rates,
        // The copy of one source table is another's than that of a table with the same name elsewhere.
        id: format!("copy of {}", table.definition.table_arn),
        read: read_ceiling(table, &definition),
        write: write_ceiling(table, &definition, is_first),
        item_bytes: table.definition.item_bytes(),
    })
}

/// A lane's part of what the copy can be read with: nobody else is meant to read it while it is written.
fn read_ceiling(table: &Table, copy: &TableDefinition) -> Ceiling {
    let lanes = table.plan.lanes;
    let units = table_rate(Budget::default(), Direction::Read, Capacity::of(copy, Direction::Read), lanes);
    Ceiling::new(units / f64::from(lanes))
}

/// A lane's part of the table's write budget. A provisioned copy also gives what it has saved up since it was
/// last written, once for each lane of a run, unless the budget is to be less than all it has. An on-demand copy
/// is brought to what it has never taken before step by step: it throttles beyond twice its previous peak within
/// half an hour.
fn write_ceiling(table: &Table, copy: &TableDefinition, is_first: bool) -> Ceiling {
    let plan = &table.plan;
    let ceiling = Ceiling::new(plan.lane_units(plan.write_budget));
    if let Some(units) = copy.provisioned_units() {
        let is_all = plan.write_budget == Some(units.write_capacity_units);
        return if is_first && is_all { ceiling.with_burst_capacity() } else { ceiling };
    }
    let taken_at_once = Direction::Write.new_table_units();
    if plan.write_budget.is_some_and(|units| units as f64 <= taken_at_once) {
        return ceiling;
    }
    let warm = copy.warm_write_units().map_or(taken_at_once, |units| units as f64);
    ceiling.warming_from(warm / f64::from(plan.lanes))
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
        let CopySegment { mut scan, writer } = copy.segment(self.segment, self.task.table.plan.segments);
        let writer = writer.watched(|items| self.progress(items));
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

/// What an attempt has come to so far.
struct Attempt<'a> {
    write: &'a SegmentWrite<'a>,
    written: Written,
    extra: ExtraLists<'a>,
    missing: MissingLists<'a>,
    failed: Vec<FailedItem>,
    /// How the copy was at first.
    first_look: FirstLook,
    /// Items put by this attempt.
    items_put: u64,
}

impl<'a> Attempt<'a> {
    fn new(write: &'a SegmentWrite<'a>) -> Self {
        let lists = || Lists::new(write.archive(), &write.folder, write.segment, &write.attempt);
        Self {
            write,
            written: Written::nothing(write.attempt.clone()),
            extra: ExtraLists::new(lists()),
            missing: MissingLists::new(lists()),
            failed: Vec::new(),
            first_look: FirstLook::default(),
            items_put: 0,
        }
    }

    /// Puts what a pass from shard `from` on has found missing or changed; false when the time for it is over.
    async fn put_different(
        &mut self,
        writer: &Writer<'_>,
        from: usize,
        pass: Pass,
        looked_for: Duration,
    ) -> Result<bool> {
        let Pass { index, counts: Counts { missing, changed, unchanged }, .. } = pass;
        self.look(
            from,
            FirstLook {
                items_missing: missing,
                items_changed: changed,
                items_unchanged: unchanged,
                is_whole: false,
            },
        )
        .await?;
        self.add_archived(index.archived());
        self.write.progress(unchanged);
        if self.write.lists_missing() {
            let index = Arc::clone(&index);
            let missing = blocking(move || Ok(index.keys(Found::Missing).collect::<Vec<_>>()));
            self.missing.take(missing.await?).await?;
        }
        if missing + changed == 0 {
            return Ok(true);
        }
        let deadline = self.deadline(looked_for);
        for part in &self.write.parts {
            if self.is_over(deadline) {
                return Ok(false);
            }
            let reader = self.write.archive().open_part(part).await?;
            let tally = writer.put_different(part, reader, Arc::clone(&index)).await?;
            self.add(tally)?;
        }
        Ok(true)
    }

    /// Puts every item, where the copy has none; false when the time for it is over.
    async fn put_all(&mut self, writer: &Writer<'_>) -> Result<bool> {
        let items_missing = self.write.parts.iter().map(|part| part.items).sum();
        self.look(0, FirstLook { items_missing, is_whole: true, ..FirstLook::default() }).await?;
        let (deadline, lists_keys) = (self.deadline(Duration::ZERO), self.write.lists_missing());
        for part in &self.write.parts {
            if self.is_over(deadline) {
                return Ok(false);
            }
            let reader = self.write.archive().open_part(part).await?;
            let (archived, keys, tally) = writer.put_all(part, reader, lists_keys).await?;
            self.add_archived(archived);
            self.missing.take(keys).await?;
            self.add(tally)?;
        }
        Ok(true)
    }

    /// Records how the copy is, unless an earlier attempt has, before it put something.
    async fn look(&mut self, from: usize, found: FirstLook) -> Result<()> {
        let key = self.write.folder.first_look(self.write.segment, from);
        let archive = self.write.archive();
        let first = if archive.create(&key, &found).await? { found } else { archive.require(&key).await? };
        if !self.first_look.is_whole {
            self.first_look.add(&first);
        }
        Ok(())
    }

    /// Puts last as long as looking at the copy took, so that most of the time goes to them where it is slow.
    fn deadline(&self, looked_for: Duration) -> Instant {
        Instant::now() + self.write.environment.config.hand_over_after.max(looked_for)
    }

    /// Whether it is time to hand over; not before something was put, or it might be so for ever.
    fn is_over(&self, deadline: Instant) -> bool {
        self.items_put > 0 && Instant::now() >= deadline
    }

    fn add_archived(&mut self, archived: Archived) {
        self.written.digest += archived.digest;
        self.written.rewrite_units += archived.rewrite_units;
    }

    fn add(&mut self, tally: Tally) -> Result<()> {
        self.items_put += tally.items;
        self.written.consumed_units += tally.consumed_units;
        self.failed.extend(tally.failed);
        require_few(&self.failed, &self.write.task.table.target)
    }

    /// Records what was spent. Whoever continues compares, and finds what was put.
    async fn hand_over(self) -> Result<End> {
        let Written { read_units, consumed_units, .. } = self.written;
        let key = self.write.folder.handed_over(self.write.segment, &self.write.attempt);
        let handed_over = HandedOver { read_units, consumed_units };
        self.write.archive().create(&key, &handed_over).await?;
        Ok(End::HandOver)
    }

    /// Writes the segment's marker, and before it what it counts. Of two writes of one segment only the one whose
    /// marker it is moves the run on at once.
    async fn finish(mut self) -> Result<End> {
        let (archive, folder, segment) = (self.write.archive(), &self.write.folder, self.write.segment);
        let mut written = self.written;
        written.items_extra = self.extra.finish().await?;
        written.missing_listed = Some(self.missing.finish().await?).filter(|_| self.write.lists_missing());
        written.items_failed = self.failed.len() as u64;
        let FirstLook { items_missing, items_changed, items_unchanged, .. } = self.first_look;
        written.items_put = (items_missing + items_changed).saturating_sub(written.items_failed);
        (written.items_changed, written.items_unchanged) = (items_changed, items_unchanged);
        if !self.failed.is_empty() {
            let failed = FailedItems { segment, items: std::mem::take(&mut self.failed) };
            archive.create(&folder.failed_items(segment, &self.write.attempt), &failed).await?;
        }
        for earlier in self.write.handed_over().await? {
            written.add_handed_over(&earlier);
        }
        written.finished_at = Timestamp::now();
        self.write.is_finishing.store(true, Ordering::Relaxed);
        // A creation whose answer was lost finds its own marker.
        let key = folder.written(segment);
        let is_ours =
            archive.create(&key, &written).await? || archive.require::<Written>(&key).await? == written;
        Ok(if is_ours { End::Written } else { End::Overtaken })
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

/// Failed items are recorded by key; more than this is a broken table, not broken items.
const MAX_FAILED_ITEMS: usize = 10_000;

fn require_few(failed: &[FailedItem], table: &TableName) -> Result<()> {
    if failed.len() <= MAX_FAILED_ITEMS {
        return Ok(());
    }
    Err(Error::permanent(format!("table {table} refuses more than {MAX_FAILED_ITEMS} items of one segment")))
}
