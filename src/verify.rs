//! Shows that a backup is whole, and that the live copy equals it: nothing is written.
//!
//! The archive is read back, every checksum and count of it verified, and each item is looked up in the copy.

mod archived;
mod findings;
mod subset;

use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use tokio::sync::Semaphore;

use self::findings::Compared;
pub use self::findings::{Difference, DifferentKey, MAX_KEYS, Verified};
pub use self::subset::Subset;
use crate::archive::part::PartFile;
use crate::archive::record::{Run, Table};
use crate::archive::{Archive, Backup};
use crate::aws::dynamodb::Tables;
use crate::copy::compare::Comparison;
use crate::copy::segment::{CopySegment, CopyTable};
use crate::error::{Kind, Result};
use crate::rate::TableRates;
use crate::schema::KeySchema;
use crate::table::TableName;
use crate::target;

/// Segments compared at once, over all tables: each may take the memory of an index.
const COMPARED_AT_ONCE: usize = 8;

/// Compares the tables of one run.
#[derive(Debug)]
pub struct Verification<'a> {
    archive: &'a Archive,
    /// The tables of the backup account.
    copies: &'a Tables,
    run: &'a Run,
    subset: Subset,
    rates: TableRates,
    slots: Semaphore,
}

impl<'a> Verification<'a> {
    pub fn new(archive: &'a Archive, copies: &'a Tables, run: &'a Run, subset: Subset) -> Self {
        let slots = Semaphore::new(COMPARED_AT_ONCE);
        Self { archive, copies, run, subset, rates: TableRates::default(), slots }
    }

    /// Verifies a table of the run.
    ///
    /// # Errors
    /// When something could not be looked at: what is wrong with a backup is no error, but what is looked for.
    pub async fn table(&self, name: &TableName) -> Result<Verified> {
        let mut verified = Verified::of(name);
        let table = self.archive.table(&self.run.run, name).await?;
        let backup = match &table {
            Some(table) => self.archive.backup(&self.run.run, table).await?,
            None => None,
        };
        let (Some(table), Some(backup)) = (table, backup) else {
            verified.problems.push(format!("run {} has no backup of table {name}", self.run.run));
            return Ok(verified);
        };
        verified.problems.extend(archived::problems(self.archive, &self.run.run, &table, &backup).await?);
        verified.archive_only = self.moved_on(name).await?;
        let copy = match verified.archive_only {
            Some(_) => None,
            None => self.open_copy(&table, &mut verified).await?,
        };
        let sides = Sides { backup: &backup, key: table.definition.key()?, copy };
        self.compare(&sides, &mut verified).await?;
        if verified.segments == verified.of_segments {
            self.compare_digest(&mut verified).await?;
        }
        Ok(verified.judged())
    }

    /// Why the copy of a table is no longer that of this run: a later run of the source has begun to write it.
    async fn moved_on(&self, table: &TableName) -> Result<Option<String>> {
        for later in self.archive.runs(self.run.run.as_str()).await? {
            let Some(run) = self.archive.run(&later).await? else { continue };
            let provisioned = self.archive.folder(&later, table).provisioned();
            if later > self.run.run
                && run.source.name == self.run.source.name
                && self.archive.exists(&provisioned).await?
            {
                return Ok(Some(format!("the copy is that of run {later} now")));
            }
        }
        Ok(None)
    }

    async fn open_copy<'t>(
        &'t self,
        table: &'t Table,
        verified: &mut Verified,
    ) -> Result<Option<CopyTable<'t>>> {
        let Some(definition) = target::describe(self.copies, &table.target).await? else {
            verified.problems.push(format!("table {} is not in the backup account", table.target));
            return Ok(None);
        };
        if let Err(error) = target::require_same_key(table, &definition) {
            verified.problems.push(format!("{error:#}"));
            return Ok(None);
        }
        CopyTable::whole(self.copies, &table.target, &self.rates, &definition).map(Some)
    }

    /// Compares the segments of the subset. Where some keys are missing and others extra, they may be the same, in
    /// another segment: then the table is compared as a whole, which takes more time and does not ask where.
    async fn compare(&self, sides: &Sides<'_>, verified: &mut Verified) -> Result<()> {
        let total = sides.backup.total_segments();
        let index = self.run.tables.iter().position(|table| *table == verified.table).unwrap_or_default();
        let chosen: Vec<u32> = (0..total).filter(|segment| self.subset.has(index, *segment)).collect();
        (verified.segments, verified.of_segments) = (chosen.len() as u32, total);
        let comparing: Vec<_> = chosen
            .into_iter()
            .map(|segment| self.segment(sides, &sides.backup.segments[segment as usize], (segment, total)))
            .collect();
        let compared: Vec<Compared> =
            stream::iter(comparing).buffer_unordered(COMPARED_AT_ONCE).try_collect().await?;
        let compared: Compared = compared.into_iter().sum();
        let may_be_elsewhere = total > 1 && compared.missing > 0 && compared.extra > 0;
        if may_be_elsewhere && compared.problems.is_empty() {
            let parts: Vec<PartFile> = sides.backup.parts().cloned().collect();
            verified.segments = total;
            verified.add(self.segment(sides, &parts, (0, 1)).await?);
        } else {
            verified.add(compared);
        }
        Ok(())
    }

    async fn segment(&self, sides: &Sides<'_>, parts: &[PartFile], place: (u32, u32)) -> Result<Compared> {
        let _slot = self.slots.acquire().await.expect("the semaphore is never closed");
        let comparison = Comparison { archive: self.archive, parts, schema: &sides.key };
        let compared = match &sides.copy {
            Some(copy) => compare(&comparison, copy, place).await,
            None => comparison.digest().await.map(Compared::archived),
        };
        match compared {
            Err(error) if error.kind() == Kind::Permanent => {
                let mut problems = self.bad_parts(parts, &sides.key).await?;
                if problems.is_empty() {
                    problems.push(format!("{error:#}"));
                }
                Ok(Compared { problems, ..Compared::default() })
            }
            compared => compared,
        }
    }

    /// What is wrong with each part of a segment.
    async fn bad_parts(&self, parts: &[PartFile], schema: &KeySchema) -> Result<Vec<String>> {
        let mut problems = Vec::new();
        for part in parts {
            let alone = Comparison { archive: self.archive, parts: std::slice::from_ref(part), schema };
            match alone.digest().await {
                Err(error) if error.kind() == Kind::Permanent => problems.push(format!("{error:#}")),
                other => drop(other?),
            }
        }
        Ok(problems)
    }

    /// Compares with the digest that the run itself has recorded.
    async fn compare_digest(&self, verified: &mut Verified) -> Result<()> {
        let Some(result) = self.archive.result(&self.run.run, &verified.table).await? else { return Ok(()) };
        // A table that was not wholly written has none of all its items.
        if result.digest.items == result.items_exported && result.digest != verified.archived {
            verified.problems.push(format!(
                "the digest on record is {}, and that of the archive {}",
                result.digest, verified.archived
            ));
        }
        Ok(())
    }
}

/// What is compared: the archived parts, and the copy if it is to be looked at.
struct Sides<'a> {
    backup: &'a Backup,
    key: KeySchema,
    copy: Option<CopyTable<'a>>,
}

/// Compares a segment, in as many passes as it takes.
async fn compare(
    comparison: &Comparison<'_>,
    copy: &CopyTable<'_>,
    (segment, total_segments): (u32, u32),
) -> Result<Compared> {
    let CopySegment { mut scan, .. } = copy.segment(segment, total_segments);
    let mut compared = Compared::default();
    let mut start = Some(0);
    while let Some(from) = start {
        let first = scan.first_items().await?;
        let pass = comparison.pass(from, &mut scan, first, &mut compared).await?;
        start = pass.index.next();
        if compared.add_pass(&pass) {
            let most = MAX_KEYS.saturating_sub(compared.keys.len());
            let keys = comparison.different_keys(Arc::new(pass.index), most).await?;
            compared.add_different(keys);
        }
    }
    Ok(compared)
}
