//! Keys and indexes in words, by which they are compared: what would serve the same requests reads the same.

use serde_json::Value;

use super::{KeyElement, Projection, SecondaryIndex, TableDefinition, VectorIndex};

/// A name, and what is told of it in words.
pub(super) type Described = (String, String);

pub(super) fn indexes_in_words<'a>(
    table: &TableDefinition,
    indexes: impl IntoIterator<Item = &'a SecondaryIndex>,
) -> Vec<Described> {
    let words = |index: &SecondaryIndex| {
        let key = key_in_words(table, &index.key_schema);
        (index.index_name.clone(), format!("{key}, projecting {}", projection_in_words(&index.projection)))
    };
    indexes.into_iter().map(words).collect()
}

/// Such as `HASH pk (S), RANGE sk (N)`. The order within a role is part of a key, that of the roles is not.
pub(super) fn key_in_words(table: &TableDefinition, key: &[KeyElement]) -> String {
    let mut elements: Vec<_> = key.iter().collect();
    elements.sort_by_key(|element| &element.key_type);
    let words = elements.into_iter().map(|KeyElement { attribute_name, key_type }| {
        let kind = table.attribute_type(attribute_name).unwrap_or("no type");
        format!("{key_type} {attribute_name} ({kind})")
    });
    words.collect::<Vec<_>>().join(", ")
}

/// Such as `INCLUDE a, b`, whatever the order of the attributes.
fn projection_in_words(projection: &Projection) -> String {
    let mut attributes = projection.non_key_attributes.clone();
    attributes.sort();
    let kind = projection.projection_type.as_deref().unwrap_or("nothing");
    format!("{kind} {}", attributes.join(", ")).trim_end().to_owned()
}

pub(super) fn vector_indexes_in_words(indexes: &[VectorIndex]) -> Vec<Described> {
    indexes.iter().map(vector_index_in_words).collect()
}

fn vector_index_in_words(index: &VectorIndex) -> Described {
    let json = |value: &Option<Value>| value.as_ref().map_or_else(|| "none".to_owned(), Value::to_string);
    let projection = index.projection.as_ref().map_or_else(|| "nothing".to_owned(), projection_in_words);
    let VectorIndex { dimensions, distance_function, .. } = index;
    let (attribute, search) = (json(&index.vector_attribute), json(&index.search_schema));
    let words = format!(
        "{attribute}, {dimensions} dimensions, distance {distance_function}, search schema {search}, projecting {projection}"
    );
    (index.index_name.clone(), words)
}
