//! What a run has reported, and the table of all nights.

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};
use serde::{Deserialize, Serialize};

use super::Night;

/// A write unit has the price of so many read units, on demand and provisioned (Amazon DynamoDB pricing,
/// us-east-1, Standard class: $0.625 and $0.125 for a million request units).
const READ_UNITS_PER_WRITE_UNIT: f64 = 5.0;

/// What `run --output json` prints, as far as it is needed here.
#[derive(Deserialize)]
pub(super) struct Finished {
    pub(super) outcome: String,
    runs: Vec<Report>,
}

#[derive(Deserialize)]
struct Report {
    tables: Vec<TableResult>,
}

#[derive(Deserialize)]
struct TableResult {
    table: String,
    #[serde(default)]
    suspect: bool,
    #[serde(default)]
    reasons: Vec<String>,
    items_exported: u64,
    items_put: u64,
    items_unchanged: u64,
    items_deleted: u64,
    items_extra: u64,
    write_units: f64,
    copy_read_units: f64,
    rewrite_units: u64,
}

/// The sums of all tables of a run.
#[derive(Serialize)]
pub(super) struct Figures {
    items: u64,
    put: u64,
    unchanged: u64,
    deleted: u64,
    extra: u64,
    write_units: f64,
    copy_read_units: f64,
    rewrite_units: u64,
    /// Write units, of those of a full rewrite.
    share: f64,
    /// The price of the write units and the copy's read units, of that of a full rewrite.
    cost: f64,
}

impl Finished {
    fn tables(&self) -> impl Iterator<Item = &TableResult> {
        self.runs.iter().flat_map(|run| &run.tables)
    }

    pub(super) fn suspect(&self) -> Vec<&str> {
        self.tables().filter(|table| table.suspect).map(|table| table.table.as_str()).collect()
    }

    /// Why tables are not complete. These reasons are long: each of their parts gets a line.
    pub(super) fn reasons(&self) -> Vec<String> {
        let of = |table: &TableResult| format!("{}: {}", table.table, table.reasons.join("; "));
        let reasons = self.tables().filter(|table| !table.reasons.is_empty()).map(of);
        reasons.map(|reason| reason.replace("; ", ";\n    ")).collect()
    }

    pub(super) fn figures(&self) -> Figures {
        let count = |of: fn(&TableResult) -> u64| self.tables().map(of).sum::<u64>();
        let units = |of: fn(&TableResult) -> f64| self.tables().map(of).sum::<f64>();
        let (write_units, copy_read_units) =
            (units(|table| table.write_units), units(|table| table.copy_read_units));
        let rewrite_units = count(|table| table.rewrite_units);
        Figures {
            items: count(|table| table.items_exported),
            put: count(|table| table.items_put),
            unchanged: count(|table| table.items_unchanged),
            deleted: count(|table| table.items_deleted),
            extra: count(|table| table.items_extra),
            write_units,
            copy_read_units,
            rewrite_units,
            share: write_units / rewrite_units as f64,
            cost: (write_units + copy_read_units / READ_UNITS_PER_WRITE_UNIT) / rewrite_units as f64,
        }
    }
}

impl Figures {
    /// Items exported, put, unchanged, deleted, and extra in the copy.
    pub(super) fn counts(&self) -> [u64; 5] {
        [self.items, self.put, self.unchanged, self.deleted, self.extra]
    }
}

/// A line for each run, and what its columns mean.
pub(super) fn table(nights: &[Night]) -> String {
    let heads = "NIGHT SOURCE OUTCOME ITEMS PUT UNCHANGED DELETED WRITTEN READ REWRITE SHARE COST";
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(heads.split(' ').enumerate().map(cell));
    for night in nights {
        table.add_row(row(night).iter().enumerate().map(cell));
    }
    let lines: Vec<_> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    format!(
        "{}\n\n\
         WRITTEN  write units spent on the copy, indexes included\n\
         READ     read units spent on the copy, to compare it\n\
         REWRITE  write units of putting every item again, indexes not counted; SHARE is WRITTEN of it\n\
         COST     what WRITTEN and READ cost of what REWRITE would, a write unit having the price of 5 read units",
        lines.join("\n")
    )
}

fn row(night: &Night) -> [String; 12] {
    let figures = &night.figures;
    let whole = |units: f64| grouped(units.ceil() as u64);
    let percent = |share: f64| format!("{:.1}%", share * 100.0);
    [
        night.night.to_string(),
        night.source.to_owned(),
        night.outcome.clone(),
        grouped(figures.items),
        grouped(figures.put),
        grouped(figures.unchanged),
        grouped(figures.deleted),
        whole(figures.write_units),
        whole(figures.copy_read_units),
        grouped(figures.rewrite_units),
        percent(figures.share),
        percent(figures.cost),
    ]
}

/// The first three columns are words, all others numbers.
fn cell((column, text): (usize, impl ToString)) -> Cell {
    Cell::new(text).set_alignment(if column < 3 { CellAlignment::Left } else { CellAlignment::Right })
}

/// `1234567` → `1,234,567`.
fn grouped(number: u64) -> String {
    match number {
        0..1000 => number.to_string(),
        _ => format!("{},{:03}", grouped(number / 1000), number % 1000),
    }
}
