//! The progress of a run: bars on a terminal, log lines elsewhere.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::archive::layout::RunId;
use crate::commands::output::count;
use crate::environment::Environment;
use crate::progress::TableProgress;
use crate::table::TableName;

/// Tables with a bar of their own; a terminal has so many lines.
const MAX_BARS: usize = 12;

/// How often a line is logged where there is no terminal.
const LOG_EVERY: Duration = Duration::from_secs(10);

pub(super) struct View {
    environment: Arc<Environment>,
    started: Instant,
    logged: Instant,
    bars: Option<Bars>,
}

struct Bars {
    all: MultiProgress,
    total: ProgressBar,
    tables: BTreeMap<TableName, ProgressBar>,
}

/// All tables together.
#[derive(Default)]
struct Total {
    tables: u64,
    finished: u64,
    items_exported: u64,
    items_written: u64,
}

impl View {
    pub(super) fn new(bars: Option<MultiProgress>, environment: Arc<Environment>) -> Self {
        let now = Instant::now();
        Self { environment, started: now, logged: now, bars: bars.map(Bars::new) }
    }

    /// Shows how far these runs are.
    pub(super) fn show(&mut self, runs: &[RunId]) {
        let tables = self.environment.progress.snapshot(runs);
        let total = Total::of(&tables);
        match &mut self.bars {
            Some(bars) => bars.show(&tables, &total),
            None if self.logged.elapsed() >= LOG_EVERY => {
                self.logged = Instant::now();
                total.log(self.started.elapsed());
            }
            None => {}
        }
    }

    pub(super) fn finish(&self) {
        if let Some(bars) = &self.bars {
            bars.tables.values().for_each(ProgressBar::finish_and_clear);
            bars.total.finish_and_clear();
        }
    }
}

impl Bars {
    fn new(all: MultiProgress) -> Self {
        let total = all.add(
            ProgressBar::new(0).with_style(style("{elapsed_precise} {bar:30} {pos}/{len} tables {msg}")),
        );
        Self { all, total, tables: BTreeMap::new() }
    }

    fn show(&mut self, tables: &[(TableName, TableProgress)], total: &Total) {
        self.total.set_length(total.tables);
        self.total.set_position(total.finished);
        let (exported, written) = (count(total.items_exported), count(total.items_written));
        self.total.set_message(format!("· {exported} items exported, {written} written"));
        for (name, progress) in tables {
            self.show_table(name, progress);
        }
    }

    fn show_table(&mut self, name: &TableName, progress: &TableProgress) {
        if progress.outcome.is_some() {
            if let Some(bar) = self.tables.remove(name) {
                bar.finish_and_clear();
            }
            return;
        }
        if !self.tables.contains_key(name) && self.tables.len() >= MAX_BARS {
            return;
        }
        let bar = self.tables.entry(name.clone()).or_insert_with(|| {
            let template = "{prefix:24!} {bar:16} {msg} · {eta} left";
            let bar = ProgressBar::new(0).with_style(style(template)).with_prefix(name.to_string());
            self.all.insert_before(&self.total, bar)
        });
        // An item counts when it is exported and again when it is written.
        bar.set_length(2 * progress.items_expected.max(progress.items_exported));
        bar.set_position(progress.items_exported + progress.items_written);
        let rate = bar.position() as f64 / bar.elapsed().as_secs_f64().max(1.0);
        bar.set_message(format!(
            "export {}/{}, {} items · write {}/{}, {} items · {rate:.0}/s",
            progress.segments_exported,
            progress.segments,
            count(progress.items_exported),
            progress.segments_written,
            progress.segments,
            count(progress.items_written),
        ));
    }
}

impl Total {
    fn of(tables: &[(TableName, TableProgress)]) -> Self {
        tables.iter().fold(Self::default(), |total, (_, table)| Self {
            tables: total.tables + 1,
            finished: total.finished + u64::from(table.outcome.is_some()),
            items_exported: total.items_exported + table.items_exported,
            items_written: total.items_written + table.items_written,
        })
    }

    fn log(&self, elapsed: Duration) {
        let rate = self.items_exported as f64 / elapsed.as_secs_f64().max(1.0);
        tracing::info!(
            tables = self.tables,
            tables_finished = self.finished,
            items_exported = self.items_exported,
            items_written = self.items_written,
            items_per_second = rate.round(),
            "run in progress"
        );
    }
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).expect("the templates are constants");
    style.progress_chars("━╸ ")
}
