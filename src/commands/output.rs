//! What is printed to stdout: JSON for programs, or text that people like to look at.

use std::io::Write;

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};
use serde::Serialize;

use crate::archive::record::{ChangedTable, Inventory, Report, TableResult};
use crate::cli::Output;

/// Prints one value. A reader that has gone away is not an error.
pub(super) fn print(output: Output, value: &impl Serialize, text: impl FnOnce() -> String) {
    let printed = match output {
        Output::Text => text(),
        Output::Json => serde_json::to_string(value).expect("what is printed is plain data with string keys"),
    };
    let _ = writeln!(std::io::stdout().lock(), "{}", printed.trim_end());
}

/// A table without lines; the columns whose heads start with `>` are numbers, aligned to the right.
pub(super) fn table(heads: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(heads.iter().map(|head| cell(head, head.trim_start_matches('>'))));
    for row in rows {
        table.add_row(heads.iter().zip(row).map(|(head, text)| cell(head, &text)));
    }
    let lines = table.lines().map(|line| line.trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

fn cell(head: &str, text: &str) -> Cell {
    let alignment = if head.starts_with('>') { CellAlignment::Right } else { CellAlignment::Left };
    Cell::new(text).set_alignment(alignment)
}

/// A report as people read it: every table with its counts, then what did not work and why.
pub(super) fn report(report: &Report) -> String {
    let mut text = format!("run {} of source {}: {}", report.run, report.source, report.outcome);
    if let Some(reason) = &report.reason {
        text += &format!(" ({reason})");
    }
    let to_do = report.to_do.iter().map(|to_do| format!("\n\nto do: {to_do}")).collect::<String>();
    if report.tables.is_empty() {
        return text + &to_do;
    }
    let heads = ["TABLE", "OUTCOME", ">ITEMS", ">PUT", ">UNCHANGED", ">DELETED", ">PARTS", ">SIZE", "COPY"];
    let total = total(report);
    let rows = report.tables.iter().map(row).chain([total]);
    text += &format!("\n\n{}\n\n{}", table(&heads, rows), units(&report.tables));
    let reasons = report.tables.iter().flat_map(|table| {
        table.reasons.iter().map(move |reason| format!("\n{}: {}: {reason}", table.outcome, table.table))
    });
    let drift = report
        .tables
        .iter()
        .flat_map(|table| table.drift.iter().map(move |drift| format!("\ndrift: {}: {drift}", table.table)));
    let inventory = report.inventory.iter().flat_map(inventory).map(|line| format!("\n{line}"));
    let remarks: String = reasons.chain(drift).chain(inventory).collect();
    if !remarks.is_empty() {
        text += &format!("\n{remarks}");
    }
    text + &to_do
}

/// What is not as it was in the source.
fn inventory(inventory: &Inventory) -> Vec<String> {
    let since = &inventory.since;
    let new = inventory.new.iter().map(|table| format!("new: {table}: not in run {since}"));
    let gone = inventory.gone.iter().map(|table| format!("gone: {table}: it was in run {since}"));
    let changed = inventory.changed.iter().flat_map(|ChangedTable { table, changes }| {
        changes.iter().map(move |change| format!("changed: {table}: since run {since}, {change}"))
    });
    new.chain(gone).chain(changed).collect()
}

/// What the tables have cost, and what writing every item of them anew would have.
fn units(tables: &[TableResult]) -> String {
    let sum = |of: fn(&TableResult) -> f64| tables.iter().map(of).sum::<f64>().ceil() as u64;
    format!(
        "units: {} read of the source, {} read of the copy, {} written (all items: {})",
        count(sum(|table| table.read_units)),
        count(sum(|table| table.copy_read_units)),
        count(sum(|table| table.write_units)),
        count(sum(|table| table.rewrite_units as f64)),
    )
}

fn row(table: &TableResult) -> Vec<String> {
    vec![
        table.table.to_string(),
        table.outcome.to_string(),
        count(table.items_exported),
        count(table.items_put),
        count(table.items_unchanged),
        count(table.items_deleted),
        count(table.parts),
        size(table.archive_bytes),
        table.provision.map(|provision| format!("{provision:?}").to_lowercase()).unwrap_or_default(),
    ]
}

fn total(report: &Report) -> Vec<String> {
    let sum = |of: fn(&TableResult) -> u64| report.tables.iter().map(of).sum::<u64>();
    vec![
        format!("{} tables", report.tables.len()),
        report.outcome.to_string(),
        count(sum(|table| table.items_exported)),
        count(sum(|table| table.items_put)),
        count(sum(|table| table.items_unchanged)),
        count(sum(|table| table.items_deleted)),
        count(sum(|table| table.parts)),
        size(sum(|table| table.archive_bytes)),
        String::new(),
    ]
}

/// `1234567` → `1,234,567`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size in powers of 1024, to three digits.
pub(super) fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let grouped = [0, 999, 1000, 1_234_567].map(count);
        assert_eq!(grouped, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn number_columns_are_aligned_to_the_right_and_lines_have_no_trailing_spaces() {
        let text = table(&["NAME", ">ITEMS", "COPY"], [vec!["orders".into(), "12".into(), String::new()]]);
        assert_eq!(text, " NAME    ITEMS  COPY\n orders     12");
    }
}
