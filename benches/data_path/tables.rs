//! The results as tables for people.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};

use crate::goals::Goal;
use crate::series::{Results, Sample, Series, Spread};

/// What each section's ratio is to.
const BASES: [(&str, &str); 5] = [
    ("export", "floor"),
    ("growth", "floor"),
    ("write", "write-floor"),
    ("peers, export", "ours-peers"),
    ("peers, write", "write-ours-peers"),
];

pub(crate) fn text(goals: &[Goal], results: &Results) -> String {
    let mut text = String::new();
    for (section, base) in BASES {
        let series: Vec<_> = results.series.iter().filter(|(_, series)| series.section == section).collect();
        if !series.is_empty() {
            let mut table = table(&[
                section,
                "CPU s/GB",
                "min..max",
                "ratio",
                "min..max",
                "RSS MiB",
                "items/s",
                "server s/GB",
            ]);
            for (id, series) in series {
                table.add_row(row(results, id, series, base));
            }
            text += &format!("{table}\n\n");
        }
    }
    for (name, figure) in &results.figures {
        text += &format!("{name}: {figure}\n");
    }
    text + &format!("\n{}", goal_table(goals))
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn row(results: &Results, id: &str, series: &Series, base: &str) -> Vec<String> {
    if let Some(reason) = &series.absent {
        return vec![series.label.clone(), reason.clone()];
    }
    let cpu = results.spread(id, Sample::cpu_per_gigabyte);
    let ratio = results.cpu_ratio(id, base);
    let rss = results.spread(id, |sample| sample.peak_rss_bytes as f64 / f64::from(1 << 20));
    let pace = results.spread(id, |sample| sample.items as f64 / sample.wall_seconds);
    let server = results.spread(id, |sample| sample.server_cpu_seconds / (sample.line_bytes as f64 / 1e9));
    vec![
        series.label.clone(),
        median(cpu),
        range(cpu),
        median(ratio),
        range(ratio),
        rss.map_or_else(String::new, |rss| format!("{:.0}", rss.max)),
        pace.map_or_else(String::new, |pace| format!("{:.0}", pace.median)),
        median(server),
    ]
}

fn median(spread: Option<Spread>) -> String {
    spread.map_or_else(String::new, |spread| number(spread.median))
}

fn range(spread: Option<Spread>) -> String {
    spread.map_or_else(String::new, |spread| format!("{}..{}", number(spread.min), number(spread.max)))
}

fn number(value: f64) -> String {
    if value < 20.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

fn goal_table(goals: &[Goal]) -> Table {
    let mut table = table(&["goal", "value", "", "wanted", "reached"]);
    for goal in goals {
        let value = goal.value.map_or_else(|| "not measured".to_owned(), number);
        let reached = goal.reached.map_or("-", |reached| if reached { "yes" } else { "no" });
        let name = format!("{} {}", goal.id, goal.what);
        table.add_row([name, value, goal.sense.to_owned(), number(goal.goal), reached.to_owned()]);
    }
    table
}
