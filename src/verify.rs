//! Shows that a backup is whole, and that the live copy equals it: nothing is written.
//!
//! The archive is read back, every checksum and count of it verified, and each item is looked up in the copy.

mod archived;
mod findings;
mod sides;
mod subset;

use std::sync::Arc;

use tokio::sync::Semaphore;

pub use self::findings::{Compared, Difference, DifferentKey, MAX_KEYS, Verified};
pub use self::sides::{COMPARED_AT_ONCE, Sides};
pub use self::subset::Subset;
use crate::archive::layout::RunId;
use crate::archive::record::{Run, Table};
use crate::archive::{Archive, Backup};
use crate::aws::dynamodb::Tables;
use crate::copy::segment::CopyTable;
use crate::error::{Error, Kind, Result};
use crate::rate::TableRates;
use crate::table::TableName;
use crate::target;

/// Compares the tables of one run.
#[derive(Debug)]
pub struct Verification<'a> {
    archive: &'a Archive,
    /// The tables of the backup account.
    copies: &'a Tables,
    run: &'a Run,
    subset: Subset,
    /// The runs after it, as of the beginning.
    later: Vec<RunId>,
    rates: TableRates,
    slots: Semaphore,
}

/// Compares an export that DynamoDB made itself with a table, which gives the key.
///
/// # Errors
/// A usage error when there is no such table.
pub async fn export(
    archive: &Archive,
    backup: &Backup,
    tables: &Tables,
    name: &TableName,
) -> Result<Verified> {
    let missing =
        || Error::usage(format!("table {name} does not exist: --with names the table to compare with"));
    let definition = target::describe(tables, name).await?.ok_or_else(missing)?;
    let (rates, slots) = (TableRates::default(), Semaphore::new(COMPARED_AT_ONCE));
    let copy = CopyTable::whole(tables, name, &rates, &definition)?;
    let sides = Sides { archive, slots: &slots, backup, key: copy.key.clone(), copy: Some(copy) };
    let mut verified = Verified::of(name);
    verified.of_segments = 1;
    verified.found += sides.compare(&[0]).await?;
    Ok(verified.judged())
}

impl<'a> Verification<'a> {
    pub async fn new(archive: &'a Archive, copies: &'a Tables, run: &'a Run, subset: Subset) -> Result<Self> {
        let later = archive.runs(run.run.as_str()).await?;
        let slots = Semaphore::new(COMPARED_AT_ONCE);
        Ok(Self { archive, copies, run, subset, later, rates: TableRates::default(), slots })
    }

    /// Verifies a table of the run.
    ///
    /// # Errors
    /// When something could not be looked at: what is wrong with a backup is no error, but what is looked for.
    pub async fn table(&self, name: &TableName) -> Result<Verified> {
        let mut verified = Verified::of(name);
        let (table, backup) = match self.backup(name).await {
            Ok(Some(found)) => found,
            Ok(None) => {
                verified.found.problems.push(format!("run {} has no backup of table {name}", self.run.run));
                return Ok(verified);
            }
            Err(error) if error.kind() == Kind::Permanent => {
                verified.found.problems.push(format!("{error:#}"));
                return Ok(verified);
            }
            Err(error) => return Err(error),
        };
        verified
            .found
            .problems
            .extend(archived::problems(self.archive, &self.run.run, &table, &backup).await?);
        verified.archive_only = self.not_its_copy(name, &self.later).await?;
        let copy = match verified.archive_only {
            Some(_) => None,
            None => self.open_copy(&table, &mut verified).await?,
        };
        let key = table.definition.key()?;
        let sides = Sides { archive: self.archive, slots: &self.slots, backup: &backup, key, copy };
        self.compare(&sides, &mut verified).await?;
        if verified.found.segments == verified.of_segments {
            self.compare_digest(&mut verified).await?;
        }
        if verified.archive_only.is_none() && verified.found.differs() {
            // A run that has begun meanwhile changes the copy.
            let later = self.archive.runs(self.run.run.as_str()).await?;
            if let Some(reason) = self.not_its_copy(name, &later).await? {
                verified.found.forget_copy();
                verified.archive_only = Some(reason);
            }
        }
        Ok(verified.judged())
    }

    async fn backup(&self, name: &TableName) -> Result<Option<(Arc<Table>, Backup)>> {
        let Some(table) = self.archive.table(&self.run.run, name).await? else { return Ok(None) };
        let backup = self.archive.backup(&self.run.run, &table).await?;
        Ok(backup.map(|backup| (table, backup)))
    }

    /// Why the copy of a table is not, or no longer, that of this run: it is still being written, or a later run of the
    /// source has begun to.
    async fn not_its_copy(&self, table: &TableName, later: &[RunId]) -> Result<Option<String>> {
        if self.archive.result(&self.run.run, table).await?.is_none() {
            return Ok(Some("the run did not finish the copy, or has not yet".to_owned()));
        }
        for later in later {
            let Some(run) = self.archive.run(later).await? else { continue };
            let provisioned = self.archive.folder(later, table).provisioned();
            if *later > self.run.run
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
            verified.found.problems.push(format!("table {} is not in the backup account", table.target));
            return Ok(None);
        };
        if let Err(error) = target::require_same_key(table, &definition) {
            verified.found.problems.push(format!("{error:#}"));
            return Ok(None);
        }
        CopyTable::whole(self.copies, &table.target, &self.rates, &definition).map(Some)
    }

    async fn compare(&self, sides: &Sides<'_>, verified: &mut Verified) -> Result<()> {
        let total = sides.backup.total_segments();
        let index = self.run.tables.iter().position(|table| *table == verified.table).unwrap_or_default();
        let chosen: Vec<u32> = (0..total).filter(|segment| self.subset.has(index, *segment)).collect();
        verified.of_segments = total;
        verified.found += sides.compare(&chosen).await?;
        Ok(())
    }

    /// Compares with the digest that the run itself has recorded.
    async fn compare_digest(&self, verified: &mut Verified) -> Result<()> {
        let Some(result) = self.archive.result(&self.run.run, &verified.table).await? else { return Ok(()) };
        // A table that was not wholly written has none of all its items.
        if result.digest.items == result.items_exported && result.digest != verified.found.archived {
            verified.found.problems.push(format!(
                "the digest on record is {}, and that of the archive {}",
                result.digest, verified.found.archived
            ));
        }
        Ok(())
    }
}
