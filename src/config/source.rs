//! The sources: one from plain settings, or several from a TOML text.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use toml::{Table, Value};

use super::mistake::Wrong;
use super::reader::{Layer, Reader};
use super::role::{RoleArn, Secret};
use super::setting::{SOURCE_KEYS, is_document};
use super::value::{self, Parsed};
use crate::table::Selection;

/// An account and region whose tables are backed up.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceConfig {
    /// 1 to 32 of `a-z 0-9 -`; no two sources share one.
    pub name: String,
    /// The role to assume. Its account is the source account.
    pub role_arn: RoleArn,
    pub external_id: Option<Secret>,
    /// `None` means the region of the backup.
    pub region: Option<String>,
    pub selection: Selection,
    /// Put in front of every table's name in the backup account; often empty.
    pub target_prefix: String,
}

/// All sources, at least one unless there are mistakes.
pub(super) fn read(reader: &mut Reader<'_>) -> Vec<SourceConfig> {
    let Some(place) = reader.given("sources").map(|given| given.place) else {
        return SourceConfig::read(reader).into_iter().collect();
    };
    refuse_plain_settings(reader, &place);
    let entries = reader.read("sources", entries);
    let sources: Vec<_> =
        (1..).zip(entries).filter_map(|(number, entry)| read_entry(reader, &place, number, entry)).collect();
    compare(reader, &place, &sources);
    sources
}

impl SourceConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let name = reader.read("source-name", value::source_name);
        let role_arn = reader.read_optional("role-arn", str::parse);
        let external_id = reader.read_optional("external-id", Secret::external_id);
        let region = reader.read_optional("source-region", value::region);
        let selection = Selection {
            tables: reader.read("include", value::patterns),
            exclude: reader.read("exclude", value::patterns),
        };
        let target_prefix = reader.read("target-prefix", value::target_prefix);
        Some(Self { name, role_arn: role_arn?, external_id, region, selection, target_prefix })
    }
}

fn refuse_plain_settings(reader: &mut Reader<'_>, place: &str) {
    for (key, name) in SOURCE_KEYS {
        if let Some(given) = reader.given(name) {
            let mend = format!("leave it out, or give it as {key} of a [[source]]");
            reader.refuse(given.place, Wrong::new(format!("{place} is given too"), mend));
        }
    }
}

/// The `[[source]]`s of a TOML file, given by its path or its text.
fn entries(path_or_text: &str) -> Parsed<Vec<Value>> {
    let text = if is_document(path_or_text) { path_or_text.to_owned() } else { read_file(path_or_text)? };
    let mut table = parse(&text)?;
    let mend = "give a [[source]] for each source and nothing else";
    let entries = match table.remove("source") {
        Some(Value::Array(entries)) if !entries.is_empty() => entries,
        _ => return Err(Wrong::new("no [[source]] in it", mend)),
    };
    match table.keys().next() {
        Some(key) => Err(Wrong::new(format!("{key:?} is not known at the top"), mend)),
        None => Ok(entries),
    }
}

fn read_file(path: &str) -> Parsed<String> {
    let mend = "give the path of a TOML file";
    fs::read_to_string(path).map_err(|error| Wrong::new(format!("cannot be read: {error}"), mend))
}

/// The error's own text would quote the line, and with it perhaps an external id.
fn parse(text: &str) -> Parsed<Table> {
    text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        Wrong::new(format!("not TOML at line {line}"), "check the quotes and brackets there")
    })
}

/// Reads an entry as if its keys were the only settings given.
fn read_entry(reader: &mut Reader<'_>, place: &str, number: usize, entry: Value) -> Option<SourceConfig> {
    let title = format!("[[source]] {number}");
    let mut values = BTreeMap::new();
    for (key, value) in into_table(entry) {
        match setting_text(&key, value) {
            Ok((setting, text)) => _ = values.insert(setting, text),
            Err(wrong) => reader.refuse(format!("{place} {title} {key}"), wrong),
        }
    }
    let layer = Layer::Entry { title: format!("{place} {title}"), values };
    let mut inner = Reader::new(vec![layer]);
    let source = SourceConfig::read(&mut inner);
    reader.absorb(inner, &title);
    source
}

/// An entry that is no table has no keys: its role is reported missing.
fn into_table(entry: Value) -> Table {
    match entry {
        Value::Table(table) => table,
        _ => Table::new(),
    }
}

/// The setting that a key stands for, with the value as one text. No mistake tells the value: it may be secret.
fn setting_text(key: &str, value: Value) -> Parsed<(&'static str, String)> {
    let Some((_, setting)) = SOURCE_KEYS.iter().find(|(known, _)| *known == key) else {
        let known: Vec<_> = SOURCE_KEYS.iter().map(|(known, _)| *known).collect();
        return Err(Wrong::new("not a key of a source", format!("the keys are {}", known.join(", "))));
    };
    match (*setting, value) {
        (_, Value::String(text)) => Ok((setting, text)),
        ("include" | "exclude", Value::Array(patterns)) => Ok((setting, join(patterns)?)),
        ("include" | "exclude", _) => Err(Wrong::new("not a list of texts", r#"give ["orders-*", "users"]"#)),
        _ => Err(Wrong::new("not a text", "put it in quotes")),
    }
}

fn join(patterns: Vec<Value>) -> Parsed<String> {
    let texts: Option<Vec<_>> = patterns.iter().map(Value::as_str).collect();
    texts.map(|texts| texts.join(",")).ok_or_else(|| Wrong::new("not a list of texts", "put each in quotes"))
}

/// Names must differ; target prefixes should.
fn compare(reader: &mut Reader<'_>, place: &str, sources: &[SourceConfig]) {
    let (mut names, mut prefixes) = (BTreeSet::new(), BTreeSet::new());
    for SourceConfig { name, target_prefix, .. } in sources {
        if !names.insert(name) {
            let what = format!("two sources are named {name:?}");
            reader.refuse(place, Wrong::new(what, "give each its own name"));
        }
        if !prefixes.insert(target_prefix) {
            reader.warn(format!(
                "source {name} has the same target-prefix {target_prefix:?} as another: \
                 of two tables with the same name only the first gets a copy in the backup account"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use crate::config::tests::{errors, resolve};

    const ROLE: &str = "arn:aws:iam::123456789012:role/reader";

    fn two(first: &str, second: &str) -> String {
        let entry = |name| format!("[[source]]\nname = '{name}'\nrole-arn = '{ROLE}'\n");
        format!("{}{first}\n{}{second}\n", entry("shop"), entry("crm"))
    }

    #[test]
    fn one_source_comes_from_plain_settings() {
        let given = [
            ("--bucket", "backups"),
            ("--role-arn", ROLE),
            ("BACKUP_EXTERNAL_ID", "hunter2"),
            ("--include", "orders-*,users"),
        ];
        let resolved = resolve(&given).unwrap();
        let [source] = &resolved.config.sources[..] else { panic!("one source") };
        assert_eq!((source.name.as_str(), &source.region), ("default", &None));
        assert_eq!(source.external_id.as_ref().unwrap().expose(), "hunter2");
        assert_eq!(source.selection.tables.len(), 2);
    }

    #[test]
    fn several_sources_come_from_a_toml_text_or_a_file() {
        let text = two("target-prefix = 'shop-'\nexclude = ['a', 'b-*']", "region = 'eu-west-1'");
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        for sources in [text.as_str(), file.path().to_str().unwrap()] {
            let resolved = resolve(&[("--bucket", "backups"), ("/sources", sources)]).unwrap();
            let [shop, crm] = &resolved.config.sources[..] else { panic!("two sources") };
            assert_eq!((shop.name.as_str(), shop.target_prefix.as_str()), ("shop", "shop-"));
            assert_eq!(shop.selection.exclude.len(), 2);
            assert_eq!((crm.name.as_str(), crm.region.as_deref()), ("crm", Some("eu-west-1")));
            assert!(resolved.warnings.is_empty());
        }
    }

    #[test]
    fn sources_and_a_plain_setting_exclude_each_other() {
        let text = two("target-prefix = 'x'", "");
        let given = [("--bucket", "backups"), ("BACKUP_SOURCES", text.as_str()), ("--include", "users")];
        assert_eq!(
            errors(&given),
            ["--include: BACKUP_SOURCES is given too; leave it out, or give it as include of a [[source]]"]
        );
    }

    #[test]
    fn every_mistake_in_every_entry_is_named_with_its_place() {
        let text = two("colour = 'red'\nexternal-id = 12345", "region = 'moon'\ninclude = [1]\n[[source]]\n");
        assert_eq!(
            errors(&[("--bucket", "backups"), ("BACKUP_SOURCES", &text)]),
            [
                "BACKUP_SOURCES [[source]] 1 colour: not a key of a source; the keys are name, role-arn, \
                 external-id, region, include, exclude, target-prefix",
                "BACKUP_SOURCES [[source]] 1 external-id: not a text; put it in quotes",
                "BACKUP_SOURCES [[source]] 2 include: not a list of texts; put each in quotes",
                "BACKUP_SOURCES [[source]] 2 region \"moon\": not a region; give for example eu-central-1",
                "role-arn: missing; give BACKUP_SOURCES [[source]] 3 role-arn",
            ]
        );
    }

    #[test]
    fn two_sources_of_one_name_are_refused_and_of_one_target_prefix_warned_of() {
        let text = two("", "");
        let resolved = resolve(&[("--bucket", "backups"), ("BACKUP_SOURCES", &text)]).unwrap();
        assert!(resolved.warnings[0].to_string().starts_with("source crm has the same target-prefix"));
        let text = text.replace("crm", "shop");
        let errors = errors(&[("--bucket", "backups"), ("BACKUP_SOURCES", &text)]);
        assert_eq!(errors, [r#"BACKUP_SOURCES: two sources are named "shop"; give each its own name"#]);
    }

    #[test]
    fn text_that_is_no_list_of_sources_is_refused_without_quoting_it() {
        for (text, expected) in [
            ("[[source]]\nexternal-id = 'hunter2", "not TOML at line 2; check the quotes and brackets there"),
            ("hunter2 = 1", "no [[source]] in it; give a [[source]] for each source and nothing else"),
            ("source = []", "no [[source]] in it; give a [[source]] for each source and nothing else"),
        ] {
            let errors = errors(&[("--bucket", "backups"), ("--sources", text)]);
            assert_eq!(errors, [format!("--sources [redacted]: {expected}")]);
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let errors = errors(&[("--bucket", "backups"), ("--sources", "/no/such.toml")]);
        assert!(errors[0].starts_with(r#"--sources "/no/such.toml": cannot be read: No such file"#));
    }
}
