//! In what a table has become another one since an earlier time.

use super::TableDefinition;
use super::words::{Described, indexes_in_words, key_in_words, vector_indexes_in_words};

impl TableDefinition {
    /// The settings in which this table differs from what it was, a sentence each, in a stable order; none when it
    /// is the same table with the same schema, class and billing mode. Throughput, which auto scaling moves all
    /// the time, is not compared.
    pub fn changes_since(&self, earlier: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        if self.table_id != earlier.table_id {
            changes.push("it was deleted and created again".to_owned());
        }
        let (now, then) = (self.in_words(), earlier.in_words());
        let find = |all: &[Described], name: &str| all.iter().find(|(other, _)| other == name).cloned();
        changes.extend(now.iter().filter_map(|(name, now)| match find(&then, name) {
            Some((_, then)) if then == *now => None,
            Some((_, then)) => Some(format!("{name} was {then} and is {now}")),
            None => Some(format!("{name} was added ({now})")),
        }));
        let gone = then.iter().filter(|(name, _)| find(&now, name).is_none());
        changes.extend(gone.map(|(name, then)| format!("{name} was removed ({then})")));
        changes
    }

    fn in_words(&self) -> Vec<Described> {
        let named = |kind: &'static str, indexes: Vec<Described>| {
            indexes.into_iter().map(move |(name, words)| (format!("{kind} {name}"), words))
        };
        let mut words = vec![
            ("key".to_owned(), key_in_words(self, &self.key_schema)),
            ("billing mode".to_owned(), self.billing_mode().as_str().to_owned()),
            ("table class".to_owned(), self.table_class().to_owned()),
        ];
        words.extend(self.stream_view().map(|view| ("stream".to_owned(), view.to_owned())));
        words.extend(named("local index", indexes_in_words(self, &self.local_secondary_indexes)));
        words.extend(named("global index", indexes_in_words(self, self.lasting_global_indexes())));
        words.extend(named("vector index", vector_indexes_in_words(&self.vector_indexes)));
        words
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::schema::tests::{element, table};

    #[test]
    fn a_table_that_is_as_it_was_has_no_changes_whatever_its_size_and_throughput() {
        let later = table(json!({ "ItemCount": 7, "TableSizeBytes": 8, "ProvisionedThroughput":
            {"ReadCapacityUnits": 99, "WriteCapacityUnits": 99} }));
        assert_eq!(later.changes_since(&table(json!({}))), Vec::<String>::new());
    }

    #[test]
    fn each_change_is_named() {
        let later = table(json!({
            "TableId": "another",
            "KeySchema": [element("pk", "HASH")],
            "LocalSecondaryIndexes": null,
            "StreamSpecification": null,
            "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"},
            "VectorIndexes": null,
            "GlobalSecondaryIndexes": [{"IndexName": "by_region", "KeySchema": [element("region", "HASH")],
                "Projection": {"ProjectionType": "ALL"}}],
        }));
        let changes = later.changes_since(&table(json!({})));
        let starts = [
            "it was deleted and created again",
            "key was HASH pk (S), RANGE sk (N) and is HASH pk (S)",
            "billing mode was PROVISIONED and is PAY_PER_REQUEST",
            "global index by_region was added (HASH region (S), projecting ALL)",
            "stream was removed (NEW_IMAGE)",
            "local index by_at was removed (",
            "global index by_owner was removed (",
            "vector index by_meaning was removed (",
        ];
        assert_eq!(changes.len(), starts.len(), "{changes:?}");
        assert!(changes.iter().zip(starts).all(|(change, start)| change.starts_with(start)), "{changes:?}");
    }
}
