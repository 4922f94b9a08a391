//! A line of a part, `{"Item":{…}}`.

#[path = "../../src/item/reference.rs"]
mod reference;

use dynamodb_backup::item::{ItemReader, Key, line_item};
use dynamodb_backup::schema::{KeyAttribute, KeySchema, KeyType};
use serde::Deserialize;
use serde_json::value::RawValue;

use self::reference::{Json, form_by_definition, read_by_definition};

/// Every way to read a line finds the same, and what the definition of items says where it says anything.
pub fn check(line: &[u8]) {
    assert_eq!(line_item(line).ok(), item_of_line(line), "the item in the line");
    for schema in schemas() {
        check_row(line, &schema);
    }
}

fn schemas() -> [KeySchema; 3] {
    let attribute = |name: &str, kind| KeyAttribute { name: name.to_owned(), kind };
    [
        KeySchema { partition: attribute("pk", KeyType::S), sort: Some(attribute("sk", KeyType::N)) },
        KeySchema { partition: attribute("pk", KeyType::B), sort: None },
        KeySchema { partition: attribute("sk", KeyType::N), sort: Some(attribute("pk", KeyType::S)) },
    ]
}

/// The item in a line as serde_json finds it.
fn item_of_line(line: &[u8]) -> Option<&[u8]> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Line<'a> {
        #[serde(rename = "Item", borrow)]
        item: &'a RawValue,
    }
    let found = serde_json::from_slice::<Line<'_>>(line).ok()?.item.get().as_bytes();
    (line.trim_ascii_start().starts_with(b"{") && found.starts_with(b"{")).then_some(found)
}

fn check_row(line: &[u8], schema: &KeySchema) {
    let mut reader = ItemReader::new(schema);
    let by_definition = read_by_definition(line, schema);
    let Ok((row, content)) = reader.read_line_with_content(line) else {
        assert!(reader.read_line(line).is_err(), "only its content is not readable");
        return assert_eq!(by_definition, None, "not readable");
    };
    let found = (row.key, row.size_bytes);
    let alone = reader.read_line(line).expect("it is readable with its content");
    assert_eq!((alone.key, alone.size_bytes, alone.item), (row.key, row.size_bytes, row.item));
    let item = reader.read_item(row.item).expect("it is readable with its line");
    assert_eq!((item.key, item.size_bytes, item.item), (row.key, row.size_bytes, row.item));
    let is_unknown = row.size_bytes == row.item.len() as u64;
    assert!(by_definition == Some(found) || (by_definition.is_none() && is_unknown), "{by_definition:?}");

    let key = Key::of(row.item, schema).expect("its row has a key");
    assert_eq!(key.hash128(), row.key);
    let raw = key.to_raw();
    assert_eq!(Key::of(raw.get().as_bytes(), schema).expect("a key is an item"), key);

    let (_, again) = reader.read_line_with_content(line).expect("it was readable before");
    assert_eq!(again, content, "of the same line");
    if let Some(form) = serde_json::from_slice::<Json>(row.item).ok().as_ref().and_then(form_by_definition) {
        assert_eq!(content.as_u128(), hash128(&form), "the hash of the canonical form");
    }
}

fn hash128(form: &[u8]) -> u128 {
    let hash = blake3::hash(form);
    u128::from_be_bytes(*hash.as_bytes().first_chunk().expect("a hash has 32 bytes"))
}
