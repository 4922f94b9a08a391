//! The tables of a run: looked at, planned and started.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures::FutureExt;
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use serde_json::value::RawValue;

use super::Start;
use crate::archive::FORMAT_VERSION;
use crate::archive::record::{Run, Table, TableRecord};
use crate::aws::scaling::Scalings;
use crate::config::Config;
use crate::environment::SourceAccount;
use crate::error::{Error, Kind, Result};
use crate::item;
use crate::job::Lease;
use crate::plan::Plan;
use crate::rate::{Capacity, Direction, table_rate};
use crate::reconcile::{self, Event};
use crate::schema::TableDefinition;
use crate::schema::blueprint::CopyOptions;
use crate::schema::settings::NotReadable;
use crate::table::TableName;

/// Tables planned at once: DescribeTable shares the control plane's request rate with everyone.
const PLANNED_AT_ONCE: usize = 8;

impl Start<'_> {
    /// Describes every table of the run, then plans them and enqueues their first jobs, one after the other, the
    /// largest first: what DynamoDB tells of a table's settings, it tells of few tables a second.
    pub(super) async fn start_tables(&self, lease: &Lease, run: &Run) -> Result<()> {
        let source = self.environment.source_of(run).await?;
        let describe = |at: usize, _| self.describe(lease, source, &run.tables[at]).map(Ok);
        let described = self.looked_at(lease, run.tables.len(), describe).await?;
        let mut tables: Vec<Described> =
            self.settle(lease, &run.tables, described).await?.into_iter().flatten().collect();
        tables.sort_by_key(|table| std::cmp::Reverse(table.definition().table_size_bytes));
        let names: Vec<TableName> = tables.iter().map(|table| table.name().clone()).collect();
        let is_new = |table: &Described| matches!(table, Described::New { .. });
        let scalings = if tables.iter().any(is_new) { Some(self.scalings(source).await) } else { None };
        let source = (source, scalings.as_ref());
        let start = |at: usize, look| self.start(lease, run, source, &tables[at], look);
        let started = self.looked_at(lease, tables.len(), start).await?;
        self.settle(lease, &names, started).await.map(drop)
    }

    /// Looks at so many tables. Where some could not be looked at, and that may pass, they are looked at again after
    /// 1, 4 and 16 s: it is not theirs to be left out for. The inner errors are those of tables.
    async fn looked_at<T, F>(
        &self,
        lease: &Lease,
        tables: usize,
        look: impl Fn(usize, Look) -> F,
    ) -> Result<Vec<Result<T>>>
    where
        F: Future<Output = Result<Result<T>>>,
    {
        // Where all of them fail, the attempt does, and this is the last one.
        let first = if self.is_last_attempt { Look::Last } else { Look::First };
        let mut looked: Vec<Result<T>> = stream::iter((0..tables).map(|at| look(at, first)))
            .buffered(PLANNED_AT_ONCE)
            .try_collect()
            .await?;
        let may_pass = |result: &Result<T>| result.as_ref().is_err_and(Error::is_retryable);
        let mut delays = second_looks().build().peekable();
        while let Some(delay) = delays.next() {
            let again: Vec<usize> = (0..tables).filter(|at| may_pass(&looked[*at])).collect();
            if again.is_empty() || again.len() == tables {
                break;
            }
            tracing::warn!(run.id = %self.id, tables = again.len(), "tables could not be looked at: once more");
            lease.run(tokio::time::sleep(delay).map(Ok)).await?;
            let kind = if delays.peek().is_some() { Look::Again } else { Look::Last };
            let once_more = again.clone().into_iter().map(|at| look(at, kind));
            let once_more: Vec<Result<T>> =
                stream::iter(once_more).buffered(PLANNED_AT_ONCE).try_collect().await?;
            for (at, result) in again.into_iter().zip(once_more) {
                looked[at] = result;
            }
        }
        Ok(looked)
    }

    /// What has come of the tables of these names. One that could not be looked at does not hold up the others;
    /// when none could, the fault is not theirs.
    async fn settle<T>(&self, lease: &Lease, names: &[TableName], tried: Vec<Result<T>>) -> Result<Vec<T>> {
        lease.check()?;
        let all_failed = tried.iter().all(Result::is_err);
        let mut settled = Vec::new();
        for (name, tried) in names.iter().zip(tried) {
            match tried {
                Ok(done) => settled.push(done),
                Err(error) if all_failed => return Err(error),
                Err(error) => self.skip_table(name, error.in_full()).await?,
            }
        }
        Ok(settled)
    }

    /// Looks at a table; `None` when it has its result already, or cannot be backed up now, which is its result.
    async fn describe(
        &self,
        lease: &Lease,
        source: &SourceAccount,
        name: &TableName,
    ) -> Result<Option<Described>> {
        lease.check()?;
        let archive = &self.environment.archive;
        if archive.exists(&archive.layout().result(&self.id, name)).await? {
            return Ok(None);
        }
        if let Some(table) = archive.table(&self.id, name).await? {
            return Ok(Some(Described::Planned(table)));
        }
        match self.describe_new(source, name).await {
            Err(error) if error.kind() == Kind::Permanent => {
                self.skip_table(name, error.in_full()).await?;
                Ok(None)
            }
            described => described.map(Some),
        }
    }

    /// # Errors
    /// Permanent when the table cannot be backed up now, with the reason.
    async fn describe_new(&self, source: &SourceAccount, name: &TableName) -> Result<Described> {
        let missing = || {
            Error::permanent(format!("table {name} does not exist in the source account"))
                .with_mend("if it is gone for good, a run that does not name it leaves it out")
        };
        let json = source.tables.describe(name).await?.ok_or_else(missing)?;
        let definition: Box<TableDefinition> = serde_json::from_str(json.get()).map_err(|error| {
            Error::permanent(format!("read the definition of table {name}")).with_source(error)
        })?;
        if let Some(reason) = definition.unavailable() {
            return Err(Error::permanent(reason));
        }
        definition.key()?;
        Ok(Described::New { name: name.clone(), json, definition })
    }

    /// Plans a table and enqueues its first jobs. The inner error is that of a table that could not be planned.
    async fn start(
        &self,
        lease: &Lease,
        run: &Run,
        source: (&SourceAccount, Option<&Scalings>),
        table: &Described,
        look: Look,
    ) -> Result<Result<()>> {
        lease.check()?;
        let table = match self.plan_table(source, table, look).await {
            Ok(table) => table,
            Err(error) => return Ok(Err(error)),
        };
        let (segments, items) = (table.plan.segments, table.definition.item_count);
        self.environment.progress.table_planned(&self.id, &table.name, segments, items);
        reconcile::table(self.environment, run, &table, Event::Started).await.map(Ok)
    }

    /// Writes a table's `table.json`, unless it is there; where another worker was first, its plan is the plan.
    async fn plan_table(
        &self,
        (source, scalings): (&SourceAccount, Option<&Scalings>),
        table: &Described,
        look: Look,
    ) -> Result<Arc<Table>> {
        let (name, json, definition) = match table {
            Described::Planned(table) => return Ok(Arc::clone(table)),
            Described::New { name, json, definition } => (name, json, definition),
        };
        let is_last = look == Look::Last;
        let mut settings = source.tables.settings(name, &definition.table_arn, is_last).await?;
        self.warn_of(name, &settings.not_readable);
        scalings.into_iter().for_each(|scalings| settings.add_scaling(scalings.of(name)));
        let record = TableRecord {
            version: FORMAT_VERSION,
            target: TableName::parse(&format!("{}{name}", self.source.target_prefix))?,
            table: name.clone(),
            plan: plan(definition, &self.environment.config),
            compression: self.environment.config.options.compression,
            described_at: Timestamp::now(),
            settings: Some(settings),
            definition: json.clone(),
        };
        let archive = &self.environment.archive;
        archive.create_table(&self.id, &record).await?;
        let table = archive.table(&self.id, &record.table).await?;
        table.ok_or_else(|| {
            Error::retryable(format!(
                "the plan of table {} is not there, although it was just written",
                record.table
            ))
        })
    }

    /// What is not readable of it is said once, not once for each table.
    async fn scalings(&self, source: &SourceAccount) -> Scalings {
        let scalings = source.scaling.of_all_tables().await;
        if let Scalings::NotReadable(NotReadable { setting, reason, .. }) = &scalings {
            tracing::warn!(run.id = %self.id, "not in the archive: {setting} of any table: {reason}");
        }
        scalings
    }

    fn warn_of(&self, name: &TableName, not_readable: &[NotReadable]) {
        let Some(first) = not_readable.first() else { return };
        let settings: Vec<&str> = not_readable.iter().map(|one| one.setting.as_str()).collect();
        let settings = settings.join(", ");
        tracing::warn!(run.id = %self.id, table.name = %name, settings, "not in the archive: {}", first.reason);
    }
}

/// Which of the looks at a table it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    First,
    Again,
    /// What cannot be read now is done without.
    Last,
}

/// A table of the run that is to be started.
enum Described {
    /// It has its plan already.
    Planned(Arc<Table>),
    New {
        name: TableName,
        json: Box<RawValue>,
        definition: Box<TableDefinition>,
    },
}

impl Described {
    fn name(&self) -> &TableName {
        match self {
            Self::Planned(table) => &table.name,
            Self::New { name, .. } => name,
        }
    }

    fn definition(&self) -> &TableDefinition {
        match self {
            Self::Planned(table) => &table.definition,
            Self::New { definition, .. } => definition,
        }
    }
}

/// What a new copy can be written with: one on demand has none of its source's provisioned throughput.
fn capacity_of_copy(source: &TableDefinition, copies: &CopyOptions) -> Capacity {
    let capacity = Capacity::of(source, Direction::Write);
    let provisioned = capacity.provisioned.filter(|_| copies.keeps_billing_mode);
    Capacity { provisioned, ..capacity }
}

/// How long tables that could not be looked at are left alone before they are looked at again: 1, 4 and 16 s, on top of
/// the attempts that each call is worth.
fn second_looks() -> ExponentialBuilder {
    ExponentialBuilder::default().with_min_delay(Duration::from_secs(1)).with_factor(4.0).with_max_times(3)
}

fn plan(definition: &TableDefinition, Config { pace, copies, .. }: &Config) -> Plan {
    let age = definition.created_at().map(|created| Timestamp::now().duration_since(created));
    let age = age.and_then(|age| Duration::try_from(age).ok());
    let of_lanes = |lanes| Plan::new(definition.table_size_bytes, definition.item_count, age, lanes);
    let units = |lanes| {
        let read =
            table_rate(pace.read_budget, Direction::Read, Capacity::of(definition, Direction::Read), lanes);
        let write =
            table_rate(pace.write_budget, Direction::Write, capacity_of_copy(definition, copies), lanes);
        (read as u64, write as u64)
    };
    let lanes = of_lanes(pace.lanes).lanes;
    let (read_units, write_units) = units(lanes);
    // With less than a unit a second a lane would stand still.
    let lanes = u64::from(lanes).min(read_units).min(write_units);
    let plan = of_lanes(u32::try_from(lanes).unwrap_or(pace.lanes));
    let (read_units, write_units) = units(plan.lanes);
    let item_units = item::write_units(definition.item_bytes().unwrap_or_default() as u64);
    plan.within_budgets(read_units, write_units, item_units)
}
