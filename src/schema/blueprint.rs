//! What a live copy is to be, and what of a copy that is there differs from it.

use std::fmt;

use serde_json::{Value, json};

use super::create::Creation;
use super::settings::{TableSettings, is_reserved_tag};
use super::words::{Described, indexes_in_words, vector_indexes_in_words};
use super::{BillingMode, SecondaryIndex, TableDefinition};
use crate::table::TableName;

/// Tags of one table (DynamoDB Developer Guide, “Tagging restrictions in DynamoDB”), less those that say whose
/// copy it is.
const MOST_CARRIED_TAGS: usize = 50 - 3;

/// What live copies are, where that is not taken from their sources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopyOptions {
    /// Whether a copy is paid for as its source is, and not on demand.
    pub keeps_billing_mode: bool,
    /// The days of point-in-time recovery, 1 to 35; `None` for whatever a copy has, which at first is none.
    pub recovery_days: Option<u32>,
    /// The write units a second that a new copy takes at once.
    pub warm_write_units: Option<u64>,
    /// The KMS key that new copies are under, as DynamoDB takes it: an ARN, an id or an alias.
    pub kms_key: Option<String>,
    /// Whether copies that are there are changed in more than the indexes they lack.
    pub repair_drift: bool,
}

/// A live copy as it would be created now: after its source, but for what the options say.
#[derive(Debug)]
pub struct Blueprint<'a> {
    source: &'a TableDefinition,
    /// Of the source, in the order of their keys.
    tags: Vec<(String, String)>,
    mode: BillingMode,
    options: &'a CopyOptions,
}

/// A table of the backup account, as far as it is compared.
#[derive(Debug)]
pub struct Found<'a> {
    pub definition: &'a TableDefinition,
    pub tags: &'a [(String, String)],
    /// The attribute by which DynamoDB deletes items, if it does.
    pub time_to_live: Option<&'a str>,
    /// The days of point-in-time recovery, none where it is off; `None` where that is not known.
    pub recovery: Option<Option<u32>>,
}

/// A setting in which a copy is not what it would be created as.
#[derive(Clone, Debug, PartialEq)]
pub struct Drift {
    pub name: String,
    pub difference: Difference,
    /// What would mend it, if anything does.
    pub change: Option<Change>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    Missing { wanted: String },
    Other { wanted: String, found: String },
    Extra { found: String },
}

/// A change of a table that is there.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A global index that is missing. DynamoDB builds one at a time (DynamoDB API Reference, “UpdateTable”).
    AddIndex(Value),
    /// Another UpdateTable request.
    Update(Value),
    Tag(Vec<(String, String)>),
    EnableRecovery(u32),
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match &self.difference {
            Difference::Missing { wanted } => write!(f, "{name} ({wanted}) is missing in the copy"),
            Difference::Other { wanted, found } => {
                write!(f, "{name} is {found} in the copy and would be {wanted} in a new one")
            }
            Difference::Extra { found } => write!(f, "{name} ({found}) is only in the copy"),
        }
    }
}

impl<'a> Blueprint<'a> {
    /// `settings` are none where the backup has none.
    pub fn new(
        source: &'a TableDefinition,
        settings: Option<&TableSettings>,
        options: &'a CopyOptions,
    ) -> Self {
        let mut tags = settings.map(TableSettings::tags).unwrap_or_default();
        tags.retain(|(key, _)| !is_reserved_tag(key));
        tags.sort();
        let mode =
            if options.keeps_billing_mode { source.billing_mode() } else { BillingMode::PayPerRequest };
        Self { source, tags, mode, options }
    }

    /// The CreateTable request; `ownership` are the tags that make it a copy.
    pub fn create_table(&self, target: &TableName, ownership: &[(String, String)]) -> Value {
        let tags: Vec<_> = ownership.iter().chain(self.carried_tags()).cloned().collect();
        self.source.create_table(
            target,
            &Creation {
                mode: self.mode,
                tags: &tags,
                is_protected: true,
                warm_write_units: self.options.warm_write_units,
                kms_key: self.options.kms_key.as_deref(),
            },
        )
    }

    /// The settings in which a copy differs, in a stable order; none when it is as it would be created now, but
    /// for throughput, which its tenants may need otherwise, and indexes of their own.
    pub fn drift(&self, found: &Found<'_>) -> Vec<Drift> {
        let mut drift = self.of_table(found);
        drift.extend(self.of_local_indexes(found.definition));
        drift.extend(self.of_global_indexes(found.definition));
        drift.extend(self.of_vector_indexes(found.definition));
        drift.extend(
            found
                .time_to_live
                .map(|attribute| Drift::extra("time to live", format!("attribute {attribute}"))),
        );
        drift.extend(found.recovery.and_then(|days| self.of_recovery(days)));
        drift.extend(self.of_tags(found.tags));
        drift
    }

    fn carried_tags(&self) -> impl Iterator<Item = &(String, String)> {
        self.tags.iter().take(MOST_CARRIED_TAGS)
    }

    fn of_table(&self, found: &Found<'_>) -> Vec<Drift> {
        let copy = found.definition;
        let update = |member: &str, value: Value| {
            Change::Update(json!({ "TableName": copy.table_name, member: value }))
        };
        let mut drift = Vec::new();
        let (wanted, has) = (self.mode, copy.billing_mode());
        if wanted != has {
            // To be provisioned, a table and each of its indexes need throughput that is somebody's decision.
            let change = (wanted == BillingMode::PayPerRequest).then(|| update("BillingMode", json!(wanted)));
            drift.push(Drift::other("billing mode", wanted.as_str(), has.as_str(), change));
        }
        let (wanted, has) = (self.source.table_class(), copy.table_class());
        if wanted != has {
            drift.push(Drift::other("table class", wanted, has, Some(update("TableClass", json!(wanted)))));
        }
        if !copy.deletion_protection_enabled {
            let change = update("DeletionProtectionEnabled", json!(true));
            drift.push(Drift::other("deletion protection", "on", "off", Some(change)));
        }
        if let Some(key) = self.options.kms_key.as_deref().filter(|_| copy.kms_key().is_none()) {
            let change = update("SSESpecification", super::create::encryption(key));
            drift.push(Drift::other("KMS key", key, "DynamoDB's own", Some(change)));
        }
        if let Some(view) = copy.stream_view() {
            drift.push(Drift::extra("stream", view.to_owned()));
        }
        drift
    }

    /// Only a new table can be given one (DynamoDB Developer Guide, “Local secondary indexes”).
    fn of_local_indexes(&self, copy: &TableDefinition) -> Vec<Drift> {
        let wanted = indexes_in_words(self.source, &self.source.local_secondary_indexes);
        let found = indexes_in_words(copy, &copy.local_secondary_indexes);
        differences("local index", &wanted, &found, |_| None)
    }

    /// One that differs is deleted, and is missing then.
    fn of_global_indexes(&self, copy: &TableDefinition) -> Vec<Drift> {
        let wanted = indexes_in_words(self.source, self.source.lasting_global_indexes());
        let found = indexes_in_words(copy, &copy.global_secondary_indexes);
        differences("global index", &wanted, &found, |name| {
            let is_there = copy.global_secondary_indexes.iter().any(|index| index.index_name == name);
            let index = self.source.global_secondary_indexes.iter().find(|index| index.index_name == name)?;
            Some(if is_there { delete_index(copy, name) } else { self.add_index(copy, index) })
        })
    }

    fn of_vector_indexes(&self, copy: &TableDefinition) -> Vec<Drift> {
        let wanted = vector_indexes_in_words(&self.source.vector_indexes);
        differences("vector index", &wanted, &vector_indexes_in_words(&copy.vector_indexes), |_| None)
    }

    fn of_recovery(&self, days: Option<u32>) -> Option<Drift> {
        let wanted = self.options.recovery_days.filter(|wanted| Some(*wanted) != days)?;
        let found = days.map_or_else(|| "off".to_owned(), |days| format!("{days} days"));
        let change = Some(Change::EnableRecovery(wanted));
        Some(Drift::other("point-in-time recovery", &format!("{wanted} days"), &found, change))
    }

    /// Tags that only the copy has are somebody's own.
    fn of_tags(&self, found: &[(String, String)]) -> Vec<Drift> {
        let missing = |(key, value): &(String, String)| {
            let change = Change::Tag(vec![(key.clone(), value.clone())]);
            match found.iter().find(|(other, _)| other == key) {
                Some((_, other)) if other == value => None,
                Some((_, other)) => Some(Drift::other(&format!("tag {key}"), value, other, Some(change))),
                None => Some(Drift::missing(format!("tag {key}"), value.clone(), Some(change))),
            }
        };
        let too_many = self.tags.iter().skip(MOST_CARRIED_TAGS).map(|(key, value)| {
            Drift::missing(format!("tag {key}, of which a table has at most 50,"), value.clone(), None)
        });
        self.carried_tags().filter_map(missing).chain(too_many).collect()
    }

    /// A request needs the types of all key attributes that it names.
    fn add_index(&self, copy: &TableDefinition, index: &SecondaryIndex) -> Change {
        let mut attributes = copy.attribute_definitions.clone();
        for element in &index.key_schema {
            let is_same = |name: &String| *name == element.attribute_name;
            if !attributes.iter().any(|attribute| is_same(&attribute.attribute_name)) {
                let source = &self.source.attribute_definitions;
                attributes
                    .extend(source.iter().find(|attribute| is_same(&attribute.attribute_name)).cloned());
            }
        }
        Change::AddIndex(json!({
            "TableName": copy.table_name,
            "AttributeDefinitions": attributes,
            "GlobalSecondaryIndexUpdates": [{ "Create": index.with_throughput_of(copy.billing_mode()) }],
        }))
    }
}

fn delete_index(copy: &TableDefinition, name: &str) -> Change {
    Change::Update(json!({
        "TableName": copy.table_name,
        "GlobalSecondaryIndexUpdates": [{ "Delete": { "IndexName": name } }],
    }))
}

fn differences(
    kind: &str,
    wanted: &[Described],
    found: &[Described],
    change: impl Fn(&str) -> Option<Change>,
) -> Vec<Drift> {
    let missing_or_other = wanted.iter().filter_map(|(name, wanted)| {
        let title = format!("{kind} {name}");
        match found.iter().find(|(other, _)| other == name) {
            Some((_, found)) if found == wanted => None,
            Some((_, found)) => Some(Drift::other(&title, wanted, found, change(name))),
            None => Some(Drift::missing(title, wanted.clone(), change(name))),
        }
    });
    let extra = found.iter().filter(|(name, _)| !wanted.iter().any(|(other, _)| other == name));
    let extra = extra.map(|(name, found)| Drift::extra(&format!("{kind} {name}"), found.clone()));
    missing_or_other.chain(extra).collect()
}

impl Drift {
    fn missing(name: String, wanted: String, change: Option<Change>) -> Self {
        Self { name, difference: Difference::Missing { wanted }, change }
    }

    fn other(name: &str, wanted: &str, found: &str, change: Option<Change>) -> Self {
        let difference = Difference::Other { wanted: wanted.to_owned(), found: found.to_owned() };
        Self { name: name.to_owned(), difference, change }
    }

    /// What only a copy has is left to whoever gave it to it.
    fn extra(name: &str, found: String) -> Self {
        Self { name: name.to_owned(), difference: Difference::Extra { found }, change: None }
    }
}

#[cfg(test)]
mod tests;
