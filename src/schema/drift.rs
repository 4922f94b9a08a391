//! How a target table differs from its source.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{BillingMode, KeyElement, Projection, SecondaryIndex, TableDefinition, VectorIndex};

/// A table's settings in words, by name. Two tables that would serve the same requests have the same ones.
type Settings = BTreeMap<String, String>;

impl TableDefinition {
    /// The settings in which `target` differs from this source table, a sentence each, in a stable order;
    /// none when they agree. Compared are key, indexes, billing mode and table class; not names, sizes,
    /// streams or throughput, which autoscaling moves all the time.
    pub fn drift(&self, target: &Self) -> Vec<String> {
        let (source, target) = (self.settings(), target.settings());
        let missing_or_other = source.iter().filter_map(|(name, value)| match target.get(name) {
            None => Some(format!("{name} ({value}) is missing in the target")),
            Some(other) if other != value => {
                Some(format!("{name} is {value} in the source, {other} in the target"))
            }
            Some(_) => None,
        });
        let extra = target.iter().filter(|(name, _)| !source.contains_key(*name));
        missing_or_other
            .chain(extra.map(|(name, value)| format!("{name} ({value}) is only in the target")))
            .collect()
    }

    fn settings(&self) -> Settings {
        let mode = match self.billing_mode() {
            BillingMode::Provisioned => "PROVISIONED",
            BillingMode::PayPerRequest => "PAY_PER_REQUEST",
        };
        let class = self.table_class_summary.as_ref().and_then(|summary| summary.table_class.as_deref());
        let mut settings = Settings::from([
            ("key".to_owned(), self.key_in_words(&self.key_schema)),
            ("billing mode".to_owned(), mode.to_owned()),
            ("table class".to_owned(), class.unwrap_or("STANDARD").to_owned()),
        ]);
        settings.extend(self.local_secondary_indexes.iter().map(|index| self.index_in_words("local", index)));
        settings
            .extend(self.global_secondary_indexes.iter().map(|index| self.index_in_words("global", index)));
        settings.extend(self.vector_indexes.iter().map(vector_index_in_words));
        settings
    }

    fn index_in_words(&self, kind: &str, index: &SecondaryIndex) -> (String, String) {
        let key = self.key_in_words(&index.key_schema);
        (
            format!("{kind} index {}", index.index_name),
            format!("{key}, projecting {}", in_words(&index.projection)),
        )
    }

    /// Such as `HASH pk (S), RANGE sk (N)`. The order within a role is part of a key, that of the roles is not.
    fn key_in_words(&self, key: &[KeyElement]) -> String {
        let mut elements: Vec<_> = key.iter().collect();
        elements.sort_by_key(|element| &element.key_type);
        let words = elements.into_iter().map(|KeyElement { attribute_name, key_type }| {
            format!(
                "{key_type} {attribute_name} ({})",
                self.attribute_type(attribute_name).unwrap_or("no type")
            )
        });
        words.collect::<Vec<_>>().join(", ")
    }
}

/// Such as `INCLUDE a, b`, whatever the order of the attributes.
fn in_words(projection: &Projection) -> String {
    let mut attributes = projection.non_key_attributes.clone();
    attributes.sort();
    let kind = projection.projection_type.as_deref().unwrap_or("nothing");
    format!("{kind} {}", attributes.join(", ")).trim_end().to_owned()
}

fn vector_index_in_words(index: &VectorIndex) -> (String, String) {
    let json = |value: &Option<Value>| value.as_ref().map_or_else(|| "none".to_owned(), Value::to_string);
    let projection = index.projection.as_ref().map_or_else(|| "nothing".to_owned(), in_words);
    let VectorIndex { dimensions, distance_function, .. } = index;
    let (attribute, search) = (json(&index.vector_attribute), json(&index.search_schema));
    let words = format!(
        "{attribute}, {dimensions} dimensions, distance {distance_function}, search schema {search}, projecting {projection}"
    );
    (format!("vector index {}", index.index_name), words)
}
