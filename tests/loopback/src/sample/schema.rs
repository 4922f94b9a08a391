//! CreateTable requests, written as one chain of calls.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// A key attribute: its name, and its type as DynamoDB writes it (`"S"`, `"N"` or `"B"`).
pub(super) type Key<'a> = (&'a str, &'a str);

/// What an index carries besides its keys.
pub(super) enum Projection<'a> {
    All,
    KeysOnly,
    Include(&'a [&'a str]),
}

/// A CreateTable request under construction; pay per request unless [`Create::provisioned`] says otherwise.
pub(super) struct Create {
    request: Value,
    hash: String,
    /// Type by name: CreateTable wants exactly the attributes that keys use, each of them once.
    definitions: BTreeMap<String, String>,
}

impl Create {
    /// A table with a partition key and no sort key.
    pub(super) fn table(name: &str, hash: Key<'_>) -> Self {
        let request = json!({ "TableName": name, "BillingMode": "PAY_PER_REQUEST" });
        let mut create = Self { request, hash: hash.0.to_owned(), definitions: BTreeMap::new() };
        create.request["KeySchema"] = create.key_schema(&[hash]);
        create
    }

    pub(super) fn sort(mut self, sort: Key<'_>) -> Self {
        let (schema, element) = (self.request["KeySchema"].take(), self.key_element(sort, "RANGE"));
        self.request["KeySchema"] = json!([schema[0], element]);
        self
    }

    /// A local secondary index; the table must have a sort key.
    pub(super) fn local(mut self, name: &str, sort: Key<'_>, projection: Projection<'_>) -> Self {
        let keys = json!([
            { "AttributeName": self.hash, "KeyType": "HASH" },
            self.key_element(sort, "RANGE"),
        ]);
        self.push("LocalSecondaryIndexes", index(name, keys, projection));
        self
    }

    /// A global secondary index over a partition key and, where `keys` has two, a sort key.
    pub(super) fn global(mut self, name: &str, keys: &[Key<'_>], projection: Projection<'_>) -> Self {
        let keys = self.key_schema(keys);
        self.push("GlobalSecondaryIndexes", index(name, keys, projection));
        self
    }

    /// Provisioned capacity, in units. Only for tables without a global index, which would need its own.
    pub(super) fn provisioned(mut self, read: u32, write: u32) -> Self {
        self.request["BillingMode"] = json!("PROVISIONED");
        self.request["ProvisionedThroughput"] =
            json!({ "ReadCapacityUnits": read, "WriteCapacityUnits": write });
        self
    }

    pub(super) fn infrequent_access(mut self) -> Self {
        self.request["TableClass"] = json!("STANDARD_INFREQUENT_ACCESS");
        self
    }

    pub(super) fn stream(mut self, view: &str) -> Self {
        self.request["StreamSpecification"] = json!({ "StreamEnabled": true, "StreamViewType": view });
        self
    }

    pub(super) fn tag(mut self, key: &str, value: &str) -> Self {
        self.push("Tags", json!({ "Key": key, "Value": value }));
        self
    }

    /// The finished request.
    pub(super) fn request(mut self) -> Value {
        self.request["AttributeDefinitions"] = self
            .definitions
            .iter()
            .map(|(name, kind)| json!({ "AttributeName": name, "AttributeType": kind }))
            .collect();
        self.request
    }

    fn key_schema(&mut self, keys: &[Key<'_>]) -> Value {
        keys.iter().zip(["HASH", "RANGE"]).map(|(key, role)| self.key_element(*key, role)).collect()
    }

    fn key_element(&mut self, (name, kind): Key<'_>, role: &str) -> Value {
        self.definitions.insert(name.to_owned(), kind.to_owned());
        json!({ "AttributeName": name, "KeyType": role })
    }

    fn push(&mut self, list: &str, element: Value) {
        match &mut self.request[list] {
            Value::Array(elements) => elements.push(element),
            missing => *missing = json!([element]),
        }
    }
}

fn index(name: &str, keys: Value, projection: Projection<'_>) -> Value {
    let projection = match projection {
        Projection::All => json!({ "ProjectionType": "ALL" }),
        Projection::KeysOnly => json!({ "ProjectionType": "KEYS_ONLY" }),
        Projection::Include(names) => json!({ "ProjectionType": "INCLUDE", "NonKeyAttributes": names }),
    };
    json!({ "IndexName": name, "KeySchema": keys, "Projection": projection })
}
