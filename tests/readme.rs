//! What the README says about settings is what the program takes.

use std::collections::BTreeMap;

use dynamodb_backup::config::{Config, Parameters, SETTINGS, resolve};
use dynamodb_backup::metrics::METRICS;

const README: &str = include_str!("../README.md");

/// The first code block of a language.
fn block(language: &str) -> &'static str {
    let start = README.split_once(&format!("```{language}\n")).expect("the README has such a block").1;
    start.split_once("```").expect("the block ends").0
}

#[test]
fn the_table_of_settings_names_every_setting_with_its_variable_and_no_other() {
    let rows: Vec<&str> = README.lines().filter(|line| line.contains("| `BACKUP_")).collect();
    let named: Vec<String> =
        SETTINGS.iter().map(|setting| format!("| `{}` | `{}` |", setting.name, setting.variable())).collect();
    assert_eq!(rows.len(), named.len());
    for (row, name) in rows.iter().zip(&named) {
        assert!(row.starts_with(name.as_str()), "{row} is not about {name}");
    }
}

#[test]
fn the_sample_of_several_sources_is_read() {
    let settings = [("bucket", "my-backups"), ("sources", block("toml"))];
    let flags: BTreeMap<String, String> =
        settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect();
    let none = BTreeMap::new();
    let resolved = resolve::<Config>(&flags, &none, &Parameters::default()).expect("the sample is right");
    let names: Vec<&str> = resolved.config.sources.iter().map(|source| source.name.as_str()).collect();
    assert_eq!(names, ["shop", "crm"]);
    assert_eq!(resolved.config.sources[1].target_prefix, "crm-");
}

#[test]
fn the_table_of_metrics_is_that_of_the_program() {
    let sets = |sets: &[&[&str]]| {
        let sets: Vec<String> = sets.iter().map(|set| format!("[{}]", set.join(", "))).collect();
        sets.join(" ")
    };
    let row = |definition: &dynamodb_backup::metrics::Definition| {
        let dimensions = sets(definition.by.dimensions());
        format!("| `{}` | {} | {dimensions} | {} |", definition.name, definition.unit, definition.meaning)
    };
    let expected: Vec<String> = METRICS.iter().map(row).collect();
    let rows: Vec<&str> = README.lines().filter(|line| line.contains("| [Environment")).collect();
    assert_eq!(rows, expected);
}
