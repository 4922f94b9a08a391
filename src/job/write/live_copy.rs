//! The live copy as a write job has it: ours, and within a lane's part of what it takes.

use crate::archive::record::Table;
use crate::copy::segment::CopyTable;
use crate::environment::Environment;
use crate::error::Result;
use crate::job::Task;
use crate::rate::{Budget, Capacity, Ceiling, Direction, table_rate};
use crate::schema::TableDefinition;
use crate::target;

/// Opens the live copy of a table, and makes sure that it is ours. `is_first` says that nothing was written to the
/// job's lane in this run.
pub(super) async fn open<'a>(
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
        write: write_ceiling(environment.config.pace.write_budget, table, &definition, is_first),
        item_bytes: table.definition.item_bytes(),
    })
}

/// A lane's part of what the copy can be read with: nobody else is meant to read it while it is written.
fn read_ceiling(table: &Table, copy: &TableDefinition) -> Ceiling {
    let lanes = table.plan.lanes;
    let units = table_rate(Budget::default(), Direction::Read, Capacity::of(copy, Direction::Read), lanes);
    Ceiling::new(units / f64::from(lanes))
}

/// A lane's part of the table's write budget, and no more than that of what the copy has, which need not be as it
/// would be created now. A provisioned copy also gives what it has saved up since it was last written, once for each
/// lane of a run, unless the budget is to be less than all it has. An on-demand copy is brought to what it has never
/// taken before step by step: it throttles beyond twice its previous peak within half an hour.
fn write_ceiling(budget: Budget, table: &Table, copy: &TableDefinition, is_first: bool) -> Ceiling {
    let (plan, lanes) = (&table.plan, f64::from(table.plan.lanes));
    let of_copy = table_rate(budget, Direction::Write, Capacity::of(copy, Direction::Write), plan.lanes);
    let units = plan.write_budget.map_or(of_copy, |units| of_copy.min(units as f64));
    let ceiling = Ceiling::new(units / lanes);
    if let Some(has) = copy.provisioned_units() {
        let is_all = units as u64 == has.write_capacity_units;
        return if is_first && is_all { ceiling.with_burst_capacity() } else { ceiling };
    }
    let taken_at_once = Direction::Write.new_table_units();
    if units <= taken_at_once {
        return ceiling;
    }
    let warm = copy.warm_write_units().map_or(taken_at_once, |units| units as f64);
    ceiling.warming_from(warm / lanes)
}
