//! The settings of a table as `show` prints them.

use serde_json::Value;

use super::output;
use crate::archive::record::TableRecord;
use crate::schema::disposition::{DISPOSITIONS, Disposition, Fate};
use crate::schema::settings::{NotReadable, TableSettings};

/// More tags than this are only counted; `--output json` has them all.
const TAGS_SHOWN: usize = 8;

/// What DescribeTable does not tell, as far as it could be read.
pub(super) fn in_words(settings: &TableSettings) -> Vec<String> {
    let mut lines = Vec::new();
    if settings.time_to_live.is_some() {
        let attribute = settings.time_to_live_attribute();
        let text = attribute.map_or("off".to_owned(), |attribute| format!("on, by attribute {attribute}"));
        lines.push(format!("expiry    time to live is {text}"));
    }
    if settings.continuous_backups.is_some() {
        let days = settings.recovery_days();
        let text = days.map_or("off".to_owned(), |days| format!("on, for {days} days"));
        lines.push(format!("recovery  point-in-time recovery is {text}"));
    }
    if settings.tags.is_some() {
        lines.push(format!("tags      {}", tags_text(&settings.tags())));
    }
    lines.extend(settings.not_readable.iter().map(not_readable_text));
    lines
}

fn tags_text(tags: &[(String, String)]) -> String {
    match tags {
        [] => "none".to_owned(),
        tags if tags.len() > TAGS_SHOWN => format!("{} of them", tags.len()),
        tags => tags.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", "),
    }
}

fn not_readable_text(setting: &NotReadable) -> String {
    match &setting.permission {
        Some(permission) => {
            format!("missing   {}: the source role has no {permission}", setting.setting)
        }
        None => format!("missing   {}", setting.reason),
    }
}

/// Of each setting that the table has, what becomes of it.
pub(super) fn dispositions(record: &TableRecord) -> Vec<&'static Disposition> {
    let definition: Value = serde_json::from_str(record.definition.get()).unwrap_or_default();
    let settings = serde_json::to_value(&record.settings).unwrap_or_default();
    let is_there = |one: &&Disposition| {
        let (name, member) = one.path();
        let found = if definition[name].is_null() { &settings[name] } else { &definition[name] };
        match member {
            Some(member) => found.as_array().is_some_and(|list| list.iter().any(|it| has(&it[member]))),
            None => has(found),
        }
    };
    DISPOSITIONS.iter().filter(|one| one.copy != Fate::Fact).filter(is_there).collect()
}

fn has(value: &Value) -> bool {
    !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty())
}

pub(super) fn dispositions_text(dispositions: &[&Disposition]) -> String {
    let rows = dispositions.iter().map(|one| {
        vec![one.setting.to_owned(), one.copy.to_string(), one.restored.to_string(), one.reason.to_owned()]
    });
    output::table(&["SETTING", "COPY", "RESTORED", "BECAUSE"], rows)
}
