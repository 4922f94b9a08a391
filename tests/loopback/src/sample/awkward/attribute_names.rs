//! Attribute names: punctuation, DynamoDB's own words, reserved words, and the longest there are.

use serde_json::{Map, Value, json};

use super::text;
use crate::sample::SampleTable;
use crate::sample::attribute::{m, n, s};
use crate::sample::schema::{Create, Projection};

/// The longest names, in bytes. Source: "Constraints in Amazon DynamoDB", Developer Guide.
const KEY_NAME_BYTES: usize = 255;
const NAME_BYTES: usize = 65_535;

/// Words of DynamoDB's requests and responses, and of the tools that read them.
const PROTOCOL: &[&str] = &[
    "Item",
    "Items",
    "item",
    "LastEvaluatedKey",
    "ExclusiveStartKey",
    "Count",
    "ScannedCount",
    "PutRequest",
    "DeleteRequest",
    "RequestItems",
    "UnprocessedItems",
    "Responses",
    "Key",
    "Keys",
    "TableName",
    "Table",
    "S",
    "N",
    "B",
    "BOOL",
    "NULL",
    "M",
    "L",
    "SS",
    "NS",
    "BS",
    "__type",
    "__proto__",
    "constructor",
];

const PUNCTUATED: &[&str] = &[
    "a.b",
    "a.b.c",
    ".",
    "a[0]",
    "with spaces",
    " leading",
    "trailing ",
    "\"quoted\"",
    "'quoted'",
    "\\",
    "#name",
    ":value",
    "$.path",
    "🔑",
    "👩‍💻",
    "naïve",
    "nai\u{308}ve",
    "line\nbreak",
    "\u{1}",
    "\u{2028}",
    "שם",
    "Name",
    "NAME",
    "0",
    "-1",
    "1e5",
];

/// Some of the 573 words that an expression can name only through a placeholder.
const RESERVED: &[&str] = &[
    "ABORT",
    "ADD",
    "ALL",
    "AND",
    "ATTRIBUTES",
    "BETWEEN",
    "BINARY",
    "BY",
    "CASE",
    "COMMENT",
    "CONSTRAINTS",
    "DATA",
    "DATE",
    "DELETE",
    "DESC",
    "EXISTS",
    "FILTER",
    "FROM",
    "GROUP",
    "HASH",
    "IN",
    "INDEX",
    "IS",
    "ITEMS",
    "KEY",
    "LIKE",
    "LIST",
    "LOCAL",
    "MAP",
    "NAME",
    "NOT",
    "NULL",
    "OR",
    "ORDER",
    "PARTITION",
    "RANGE",
    "SCAN",
    "SEGMENT",
    "SELECT",
    "SET",
    "SIZE",
    "STATUS",
    "STRING",
    "TABLE",
    "TIME",
    "TIMESTAMP",
    "TTL",
    "TYPE",
    "UPDATE",
    "VALUE",
    "WHERE",
    "ZONE",
];

pub(super) fn tables() -> Vec<SampleTable> {
    let longest = ["k".repeat(KEY_NAME_BYTES), "s".repeat(KEY_NAME_BYTES)];
    vec![
        attribute_names(),
        reserved_words(),
        key_names("key-names-protocol", "Item", "LastEvaluatedKey"),
        key_names("key-names-request", "PutRequest", "Count"),
        key_names("key-names-types", "S", "N"),
        key_names("key-names-punctuated", "a.b c", "\"🔑\"\n"),
        key_names("key-names-case", "key", "Key"),
        key_names("key-names-longest", &longest[0], &longest[1]),
    ]
}

/// The names at the top level and in a map; the longest alone in its item.
fn attribute_names() -> SampleTable {
    let items = vec![
        named("protocol", PROTOCOL.iter().copied()),
        named("punctuated", PUNCTUATED.iter().copied()),
        named("text", text::texts().iter().map(String::as_str)),
        named("longest", ["n".repeat(NAME_BYTES / 4).as_str()]),
        json!({ "pk": s("longest top level"), "n".repeat(NAME_BYTES): n(1) }),
    ];
    SampleTable::listed(Create::table("attribute-names", ("pk", "S")), items)
}

fn named<'a>(pk: &str, names: impl IntoIterator<Item = &'a str>) -> Value {
    let mut item: Map<String, Value> =
        names.into_iter().zip(0..).map(|(name, at)| (name.to_owned(), n(at))).collect();
    let map = m(json!(item));
    item.insert("in a map".to_owned(), map);
    item.insert("pk".to_owned(), s(pk));
    Value::Object(item)
}

/// Reserved words as attributes, and as the keys of the table and of its index, in two spellings.
fn reserved_words() -> SampleTable {
    let create = Create::table("reserved-words", ("Hash", "S")).sort(("Range", "N")).global(
        "Status",
        &[("Status", "S"), ("Timestamp", "N")],
        Projection::Include(&["NAME", "size"]),
    );
    SampleTable::generated(create, 10, |index| {
        let words = RESERVED.iter().flat_map(|word| [word.to_string(), word.to_lowercase()]);
        let mut item: Value = words.map(|word| (word.clone(), s(word))).collect();
        item["Hash"] = s("reserved");
        item["Range"] = n(index);
        item["Status"] = s(["new", "old"][index % 2]);
        item["Timestamp"] = n(index / 2);
        item
    })
}

/// A table whose key attributes have these names; its items mention them in a map as well.
fn key_names(table: &str, hash: &str, sort: &str) -> SampleTable {
    let create = Create::table(table, (hash, "S")).sort((sort, "N"));
    let item = |index| json!({ hash: s("1"), sort: n(index), "map": m(json!({ hash: n(1), sort: s("1") })) });
    SampleTable::listed(create, (0..5).map(item).collect())
}
