//! Brings a table, in whatever account, to what a backup holds, and shows that it does.

mod guards;
mod load;
mod settings;

use std::time::Duration;

use serde::Serialize;
use tokio::sync::Semaphore;

use self::guards::require_same_key;
use crate::archive::{Archive, Backup};
use crate::aws::dynamodb::{TableCreation, Tables};
use crate::copy::segment::CopyTable;
use crate::error::{Error, Result};
use crate::rate::TableRates;
use crate::schema::create::Creation;
use crate::schema::settings::TableSettings;
use crate::schema::{BillingMode, TableDefinition};
use crate::table::TableName;
use crate::target;
use crate::verify::{COMPARED_AT_ONCE, Compared, Sides};

/// How often a table that is being created is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How long a table is waited for that other tables have to become ACTIVE before, or that is being created.
const CREATION_PATIENCE: Duration = Duration::from_secs(3600);

/// What a restore may do.
#[derive(Clone, Debug, Default)]
pub struct Permissions {
    /// Write to a table that has items.
    pub into_existing: bool,
    /// Delete the items that the backup does not have.
    pub mirror: bool,
    /// Write over this table, although it is the one that was backed up.
    pub over_source: Option<String>,
    /// Create tables on demand, whatever the throughput of their sources was.
    pub on_demand: bool,
}

/// One table that is to be restored.
#[derive(Debug)]
pub struct Source<'a> {
    /// The ARN of the table that was backed up.
    pub table_arn: &'a str,
    /// The ARN of its live copy, which is for runs to write.
    pub live_copy_arn: Option<&'a str>,
    /// None of a native export, which has no definition: the table must be there.
    pub definition: Option<&'a TableDefinition>,
    /// None of a native export, and of a backup that was made before they were captured.
    pub settings: Option<&'a TableSettings>,
    pub backup: &'a Backup,
}

/// What was done, or would be.
#[derive(Clone, Debug, Serialize)]
pub struct Restored {
    pub target: TableName,
    pub created: bool,
    /// Items of the backup.
    pub items: u64,
    /// Items put that were not there, and that were there with another content.
    pub items_put: u64,
    pub items_changed: u64,
    pub items_unchanged: u64,
    pub items_deleted: u64,
    /// Items that the backup does not have, and that were left.
    pub items_extra: u64,
    pub write_units: f64,
    /// What was enabled after the items were shown to be there.
    pub enabled: Vec<String>,
    /// What should have been enabled and could not be, with the reason.
    pub not_enabled: Vec<String>,
    /// What the source had and the table has not, as far as the backup knows.
    pub not_restored: Vec<String>,
}

/// Restores tables into one account and region.
#[derive(Debug)]
pub struct Restoration<'a> {
    archive: &'a Archive,
    /// The tables that are restored into.
    tables: &'a Tables,
    /// `arn:<partition>:dynamodb:<region>:<account>:table/`, to which a table's name is added.
    arn_prefix: String,
    permissions: Permissions,
    rates: TableRates,
    slots: Semaphore,
}

impl<'a> Restoration<'a> {
    pub fn new(
        archive: &'a Archive,
        tables: &'a Tables,
        arn_prefix: String,
        permissions: Permissions,
    ) -> Self {
        let slots = Semaphore::new(COMPARED_AT_ONCE);
        Self { archive, tables, arn_prefix, permissions, rates: TableRates::default(), slots }
    }

    /// Restores a table into `target`, creating it if need be, and compares them when that is done. A table that
    /// was created gets its late settings after that.
    ///
    /// # Errors
    /// When the table may not be written, cannot be, or does not equal the backup afterwards.
    pub async fn table(&self, source: &Source<'_>, target: &TableName) -> Result<Restored> {
        self.require_not_source(source, target)?;
        let (definition, created) = match target::describe(self.tables, target).await? {
            Some(definition) => (definition, false),
            None => (self.create(source, target).await?, true),
        };
        let definition = self.until_no_longer("CREATING", target, definition).await?;
        require_same_key(source, target, &definition)?;
        self.require_no_live_copy(target, &definition).await?;
        let copy = CopyTable::whole(self.tables, target, &self.rates, &definition)?;
        // Also one that is new: somebody may have been faster.
        let is_empty = self.is_empty(&copy).await?;
        self.require_allowed(target, is_empty)?;
        let sides = self.sides(source, copy);
        let mut restored = self.load(&sides, is_empty).await?;
        restored.created = created;
        self.prove(&sides, &mut restored).await?;
        if created {
            self.enable(source, target, &mut restored).await;
            restored.not_restored = self.not_restored(source);
        } else {
            restored.not_restored = self.left_alone(source);
        }
        Ok(restored)
    }

    /// What restoring a table into `target` would do.
    pub async fn preview(&self, source: &Source<'_>, target: &TableName) -> Result<Restored> {
        self.require_not_source(source, target)?;
        let items = source.backup.items();
        let Some(definition) = target::describe(self.tables, target).await? else {
            self.require_definition(source, target)?;
            return Ok(Restored {
                created: true,
                items,
                items_put: items,
                enabled: self.late(source).iter().map(ToString::to_string).collect(),
                not_restored: self.not_restored(source),
                ..Restored::nothing(target)
            });
        };
        require_same_key(source, target, &definition)?;
        self.require_no_live_copy(target, &definition).await?;
        let copy = CopyTable::whole(self.tables, target, &self.rates, &definition)?;
        self.require_allowed(target, self.is_empty(&copy).await?)?;
        let compared = self.compare(&self.sides(source, copy)).await?;
        let deleted = if self.permissions.mirror { compared.extra } else { 0 };
        Ok(Restored {
            items,
            items_put: compared.missing,
            items_changed: compared.changed,
            items_unchanged: items - (compared.missing + compared.changed).min(items),
            items_deleted: deleted,
            items_extra: compared.extra - deleted,
            not_restored: self.left_alone(source),
            ..Restored::nothing(target)
        })
    }

    async fn create(&self, source: &Source<'_>, target: &TableName) -> Result<TableDefinition> {
        let definition = self.require_definition(source, target)?;
        let on_demand = self.permissions.on_demand.then_some(BillingMode::PayPerRequest);
        let creation = Creation {
            mode: on_demand.unwrap_or_else(|| definition.billing_mode()),
            tags: &source.tags(),
            is_protected: false,
            warm_write_units: None,
            kms_key: None,
        };
        let request = definition.create_table(target, &creation);
        let deadline = tokio::time::Instant::now() + CREATION_PATIENCE;
        while let TableCreation::Limited(error) = self.tables.create(target, &request).await? {
            if tokio::time::Instant::now() >= deadline {
                return Err(Error::permanent("wait for a table quota").with_source(error));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        // DescribeTable may not know a new table at once (DynamoDB API Reference, “DescribeTable”).
        loop {
            match target::describe(self.tables, target).await? {
                Some(definition) => return Ok(definition),
                None if tokio::time::Instant::now() < deadline => tokio::time::sleep(LOOK_EVERY).await,
                None => return target::require(self.tables, target).await,
            }
        }
    }

    async fn until_no_longer(
        &self,
        status: &str,
        target: &TableName,
        mut definition: TableDefinition,
    ) -> Result<TableDefinition> {
        let deadline = tokio::time::Instant::now() + CREATION_PATIENCE;
        while definition.table_status == status && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(LOOK_EVERY).await;
            definition = target::require(self.tables, target).await?;
        }
        match definition.unavailable() {
            Some(reason) => {
                Err(Error::permanent(format!("table {target} cannot be restored into: {reason}")))
            }
            None => Ok(definition),
        }
    }

    async fn is_empty(&self, copy: &CopyTable<'_>) -> Result<bool> {
        Ok(copy.segment(0, 1).scan.first_items().await?.is_none())
    }

    fn sides<'s>(&'s self, source: &Source<'s>, copy: CopyTable<'s>) -> Sides<'s> {
        let key = copy.key.clone();
        Sides { archive: self.archive, slots: &self.slots, backup: source.backup, key, copy: Some(copy) }
    }

    async fn compare(&self, sides: &Sides<'_>) -> Result<Compared> {
        let segments: Vec<u32> = (0..sides.backup.total_segments()).collect();
        let compared = sides.compare(&segments).await?;
        match compared.problems.first() {
            Some(problem) => Err(Error::permanent(problem.clone())),
            None => Ok(compared),
        }
    }

    /// Compares the table with the backup; when it lacks nothing, deletes what is extra, if that was asked for.
    async fn prove(&self, sides: &Sides<'_>, restored: &mut Restored) -> Result<()> {
        let mut compared = self.compare(sides).await?;
        if compared.extra > 0 && self.permissions.mirror && is_held(&compared) {
            let deleted = self.delete_extra(sides, !compared.is_whole).await?;
            restored.items_deleted = deleted.items;
            restored.write_units += deleted.consumed_units;
            compared = self.compare(sides).await?;
        }
        restored.items_extra = compared.extra;
        if is_held(&compared) && (compared.extra == 0 || !self.permissions.mirror) {
            return Ok(());
        }
        Err(Error::permanent(format!(
            "table {} does not equal the backup after it was written: {} items are missing, {} differ and {} are \
             extra; somebody else writes to it",
            restored.target, compared.missing, compared.changed, compared.extra
        )))
    }
}

/// Whether the table has every item of the backup as it is there.
fn is_held(compared: &Compared) -> bool {
    compared.missing + compared.changed == 0
}

impl Restored {
    fn nothing(target: &TableName) -> Self {
        Self {
            target: target.clone(),
            created: false,
            items: 0,
            items_put: 0,
            items_changed: 0,
            items_unchanged: 0,
            items_deleted: 0,
            items_extra: 0,
            write_units: 0.0,
            enabled: Vec::new(),
            not_enabled: Vec::new(),
            not_restored: Vec::new(),
        }
    }
}
