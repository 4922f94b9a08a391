//! What README and ARCHITECTURE say is so: settings, metrics, and where each rule is kept and shown.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use dynamodb_backup::config::{Config, Parameters, SETTINGS, resolve};
use dynamodb_backup::metrics::METRICS;
use loopback_aws::CLASSES;

const README: &str = include_str!("../README.md");
const ARCHITECTURE: &str = include_str!("../ARCHITECTURE.md");

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

#[test]
fn every_fault_that_the_loopback_aws_can_inject_is_in_the_table_of_faults() {
    let faults: Vec<&str> = rows("## 13.").into_iter().map(|[fault, ..]| fault).collect();
    for class in CLASSES {
        let name = format!("`{}`", class.name);
        assert!(faults.iter().any(|fault| fault.contains(&name)), "{name} is not in section 13");
    }
}

#[test]
fn every_place_at_which_a_rule_is_kept_is_there() {
    for [rule, places, _] in rows("## 12.") {
        let mut file = "";
        for code in code_in(places) {
            if is_path(code) {
                file = code;
                assert!(is_there(code, &["src", "."]), "{rule}: there is no {code}");
            } else {
                let name = code.rsplit("::").next().unwrap_or(code);
                assert!(defines(&format!("src/{file}"), name), "{rule}: src/{file} has no {name}");
            }
        }
    }
}

#[test]
fn every_test_that_shows_a_rule_or_a_survived_fault_is_there() {
    for [rule, _, evidence] in rows("## 12.") {
        assert_is_shown(rule, evidence, |test| is_test(test, "src"));
    }
    for [fault, _, evidence] in rows("## 13.") {
        assert_is_shown(fault, evidence, |test| is_test(test, "tests/it/faults.rs"));
    }
}

/// What shows something: files, tests with the name of their file before `::`, and tests by their names alone where
/// `is_known` says so.
fn assert_is_shown(what: &str, evidence: &'static str, is_known: impl Fn(&str) -> bool) {
    assert!(evidence.contains('`'), "{what}: nothing shows it");
    for code in code_in(evidence) {
        let is_so = match code.split_once("::") {
            Some((file, test)) => {
                let files = [format!("tests/it/{file}.rs"), format!("tests/{file}.rs")];
                files.iter().any(|file| is_test(test, file))
            }
            None if is_path(code) => is_there(code, &["src", "tests/it", "."]),
            None => is_known(code),
        };
        assert!(is_so, "{what}: there is no {code}");
    }
}

/// The rows of the table in a section of ARCHITECTURE.
fn rows(section: &str) -> Vec<[&'static str; 3]> {
    let text = ARCHITECTURE.split_once(&format!("\n{section}")).expect("there is such a section").1;
    let text = text.split("\n## ").next().unwrap_or(text);
    let cells = |line: &'static str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        <[&str; 3]>::try_from(cells).unwrap_or_else(|cells| panic!("these are not three: {cells:?}"))
    };
    let rows: Vec<_> = text.lines().filter(|line| line.starts_with('|')).skip(2).map(cells).collect();
    assert!(!rows.is_empty(), "section {section} has a table");
    rows
}

/// What is in backticks.
fn code_in(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.split('`').skip(1).step_by(2)
}

fn is_path(code: &str) -> bool {
    code.contains(['/', '.'])
}

fn is_there(path: &str, folders: &[&str]) -> bool {
    folders.iter().any(|folder| Path::new(folder).join(path).exists())
}

/// Whether a file defines something of this name.
fn defines(file: &str, name: &str) -> bool {
    let text = fs::read_to_string(file).unwrap_or_default();
    let words: Vec<&str> = text.split(|next: char| !next.is_alphanumeric() && next != '_').collect();
    let kinds = ["fn", "struct", "enum", "const"];
    words.windows(2).any(|pair| kinds.contains(&pair[0]) && pair[1] == name)
}

/// Whether a file, or one in a folder, has a test of this name.
fn is_test(name: &str, path: &str) -> bool {
    if let Ok(entries) = fs::read_dir(path) {
        let mut paths = entries.map(|entry| entry.expect("it has a name").path().display().to_string());
        return paths.any(|path| is_test(name, &path));
    }
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut is_test = false;
    text.lines().map(str::trim).any(|line| {
        let is_it =
            is_test && line.split_once("fn ").is_some_and(|(_, rest)| rest.starts_with(&format!("{name}(")));
        let is_attribute = line.starts_with("#[");
        is_test = is_attribute && (is_test || line.contains("test"));
        is_it
    })
}
