use std::collections::HashSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::reference::read_by_definition;
use super::spelling::{a_line, table_key};
use super::*;
use crate::error::Kind;
use crate::schema::{KeyAttribute, KeyType};

fn schema(partition: (&str, KeyType), sort: Option<(&str, KeyType)>) -> KeySchema {
    let attribute = |(name, kind): (&str, KeyType)| KeyAttribute { name: name.to_owned(), kind };
    KeySchema { partition: attribute(partition), sort: sort.map(attribute) }
}

fn string_and_number() -> KeySchema {
    schema(("pk", KeyType::S), Some(("sk", KeyType::N)))
}

fn key(item: &str) -> Key {
    Key::of(item.as_bytes(), &string_and_number()).unwrap()
}

fn refusal(item: &str) -> String {
    let error = Key::of(item.as_bytes(), &string_and_number()).unwrap_err();
    assert_eq!(error.kind(), Kind::Permanent);
    error.to_string()
}

#[test]
fn the_key_has_the_partition_key_first_and_keeps_the_digits() {
    let key = key(r#" {"sk": {"N" : "01.50"}, "x":{"M":{"pk":{"S":"no"}}}, "pk":{"S":"a\n\u00e9\"/"}} "#);
    assert_eq!(key.to_raw().get(), r#"{"pk":{"S":"a\né\"/"},"sk":{"N":"01.50"}}"#);
}

#[test]
fn keys_are_equal_by_value_not_by_spelling() {
    let one = key(r#"{"pk":{"S":"aé"},"sk":{"N":"1"}}"#);
    for spelling in [
        r#"{"sk":{"N":"1.0"},"pk":{"S":"a\u00e9"}}"#,
        r#"{"pk":{"S":"\u0061é"},"sk":{"N":"01E0"},"x":{"N":"7"}}"#,
    ] {
        assert_eq!(key(spelling), one);
        assert_eq!(key(spelling).hash128(), one.hash128());
    }
    assert_ne!(key(r#"{"pk":{"S":"aé"},"sk":{"N":"-1"}}"#), one);
    assert_ne!(key(r#"{"pk":{"S":"ae"},"sk":{"N":"1"}}"#), one);
}

#[test]
fn the_string_1_the_number_1_and_the_bytes_1_are_three_keys() {
    let of = |item: &str, kind| Key::of(item.as_bytes(), &schema(("pk", kind), None)).unwrap();
    let keys = [
        of(r#"{"pk":{"S":"1"}}"#, KeyType::S),
        of(r#"{"pk":{"N":"1"}}"#, KeyType::N),
        of(r#"{"pk":{"B":"1"}}"#, KeyType::B),
    ];
    assert_eq!(keys.iter().map(Key::hash128).collect::<HashSet<_>>().len(), 3);
    assert_eq!(keys.iter().collect::<HashSet<_>>().len(), 3);
}

#[test]
fn a_key_attribute_named_with_escapes_is_found() {
    let schema = schema(("a\"b", KeyType::S), None);
    let key = Key::of(br#"{"\u0061\"b":{"S":"x"}}"#, &schema).unwrap();
    assert_eq!(key.to_raw().get(), r#"{"a\"b":{"S":"x"}}"#);
}

#[test]
fn a_refused_item_is_described_without_its_data() {
    assert_eq!(refusal(r#"{"pk":{"S":"secret"}}"#), r#"the item's key attribute "sk" is missing"#);
    assert_eq!(
        refusal(r#"{"pk":{"N":"1"},"sk":{"N":"1"}}"#),
        r#"the item's key attribute "pk" has the type N, not S"#
    );
    assert_eq!(
        refusal(r#"{"pk":{"S":"x"},"sk":{"N":"secret"}}"#),
        r#"the item's key attribute "sk" is not a decimal number"#
    );
    for bad in [
        r#"{"pk":{"secret":"x"},"sk":{"N":"1"}}"#,
        r#"{"pk":{"S":"secret","N":"1"},"sk":{"N":"1"}}"#,
        r#"{"pk":{"S":"secret"},"sk":{"N":"1"},"pk":{"S":"secret"}}"#,
        r#"{"pk":"secret","sk":{"N":"1"}}"#,
        r#"{"pk":{"S":"secret"},"sk":{"N":"1"}} {"secret":1}"#,
        r#"{"pk":{"S":"secret"},"sk":{"N":"1"}"#,
        r#"["secret"]"#,
        r#""secret""#,
        "",
    ] {
        let text = refusal(bad);
        assert!(!text.contains("secret"), "{text}");
    }
}

#[test]
fn a_key_attribute_that_is_there_twice_or_is_no_scalar_is_named() {
    for twice in [
        r#"{"pk":{"S":"a"},"sk":{"N":"1"},"pk":{"S":"a"}}"#,
        r#"{"pk":{"S":"a"},"sk":{"N":"1"},"\u0070k":{"L":[]},"pk":{"S":"b"}}"#,
    ] {
        assert_eq!(refusal(twice), r#"the item's key attribute "pk" is there twice"#);
    }
    for other in
        [r#"{"BOOL":true}"#, r#"{"NULL":true}"#, r#"{"M":{}}"#, r#"{"L":[{"N":"1"}]}"#, r#"{"NS":["1"]}"#]
    {
        let item = format!(r#"{{"pk":{{"S":"a"}},"sk":{other}}}"#);
        assert_eq!(
            refusal(&item),
            r#"the item's key attribute "sk" is not a string, number or binary value"#
        );
    }
}

#[test]
fn the_hash_of_a_key_is_what_it_has_always_been() {
    let key = key(r#"{"sk":{"N":"-01.50E1"},"pk":{"S":"a\n\u00e9\"/"}}"#);
    assert_eq!(key.hash128(), 0xbdcd_bfc8_78a3_f0b5_bf47_5273_ab03_187b);
    let binary = Key::of(br#"{"id":{"B":"AQID"}}"#, &schema(("id", KeyType::B), None)).unwrap();
    assert_eq!(binary.hash128(), 0x794c_a965_8c15_4384_cff0_d95d_fae1_221c);
}

#[test]
fn a_row_has_the_item_of_the_line_with_the_hash_of_its_key_and_its_size() {
    let schema = string_and_number();
    let mut reader = ItemReader::new(&schema);
    let item = r#"{"x":{"M":{"pk":{"S":"no"}}},"\u0070k":{"S":"\u00e9"}, "sk" : {"N":"1.50"}}"#;
    let row = reader.read_line(format!(" {{ \"Item\" : {item} }}\r\n").as_bytes()).unwrap().size_bytes;
    assert_eq!(row, 1 + 3 + 1 + 2 + 2 + 2 + 2 + 2 + 3);
    let line = format!(r#"{{"Item":{item}}}"#);
    let row = reader.read_line(line.as_bytes()).unwrap();
    assert_eq!(row.item, item.as_bytes());
    assert_eq!(row.key, key(item).hash128());
    assert_eq!(reader.read_item(format!(" {item}\n").as_bytes()).unwrap().item, item.as_bytes());
}

#[test]
fn a_reader_that_refused_a_line_reads_the_next_as_if_it_were_its_first() {
    let schema = string_and_number();
    let mut reader = ItemReader::new(&schema);
    let good = br#"{"pk":{"S":"a"},"sk":{"N":"1"}}"#;
    let first = reader.read_item(good).unwrap().key;
    for bad in [r#"{"pk":{"S":"b"},"sk":{"N":"x"}}"#, r#"{"pk":{"S":"b"}}"#, r#"{"pk":{"S":"b"},"#] {
        assert_eq!(reader.read_item(bad.as_bytes()).map(|_| ()).unwrap_err().kind(), Kind::Permanent);
        assert_eq!(reader.read_item(good).unwrap().key, first);
    }
}

#[test]
fn a_line_or_number_that_is_refused_is_described_without_its_data() {
    let schema = string_and_number();
    let read =
        |line: &str| ItemReader::new(&schema).read_line(line.as_bytes()).map(|_| ()).unwrap_err().to_string();
    assert_eq!(
        read(r#"{"Item":{"pk":{"S":"a"},"sk":{"secret":"1"}}}"#),
        "the item is not readable: a value of an unknown type at byte 23"
    );
    assert_eq!(read(r#"{"Keys":{}}"#), "the line is not an item: another member than `Item` at byte 2");
}

#[test]
fn a_value_of_an_unknown_form_is_left_for_dynamodb_to_judge() {
    let schema = string_and_number();
    let known = key(r#"{"pk":{"S":"a"},"sk":{"N":"1"}}"#);
    let nested = format!("{}{}", r#"{"L":["#.repeat(70), "]}".repeat(70));
    for value in
        [r#"{"V":[1]}"#, r#"{"S":"\ud83d"}"#, r#"{"N":"many"}"#, r#"{"S":"a","N":"1"}"#, "7", &nested]
    {
        let item = format!(r#"{{"pk":{{"S":"a"}},"x":{value},"sk":{{"N":"1.0"}}}}"#);
        let line = format!(r#"{{"Item":{item}}}"#);
        let mut reader = ItemReader::new(&schema);
        let row = reader.read_line(line.as_bytes()).unwrap();
        assert_eq!((row.item, row.key), (item.as_bytes(), known.hash128()), "{value}");
        assert_eq!(row.size_bytes, item.len() as u64, "{value}");
        assert_eq!(Key::of(item.as_bytes(), &schema).unwrap(), known, "{value}");
        assert_eq!(line_item(line.as_bytes()).unwrap(), item.as_bytes(), "{value}");
    }
    let twice = r#"{"pk":{"S":"a"},"x":{"V":[1]},"sk":{"N":"1"},"\u0070k":{"S":"a"}}"#;
    assert_eq!(refusal(twice), r#"the item's key attribute "pk" is there twice"#);
}

#[test]
fn a_key_does_not_show_its_value_when_debugged() {
    assert!(!format!("{:?}", key(r#"{"pk":{"S":"secret"},"sk":{"N":"1"}}"#)).contains("secret"));
}

#[test]
fn a_line_holds_its_item_whatever_the_whitespace() {
    for line in [
        r#"{"Item":{"pk":{"S":"}"}}}"#,
        " { \"Item\" : {\"pk\":{\"S\":\"}\"}} }\r\n",
        "{\"\\u0049tem\":{\"pk\":{\"S\":\"}\"}}}\n",
    ] {
        assert_eq!(line_item(line.as_bytes()).unwrap(), br#"{"pk":{"S":"}"}}"#);
    }
}

#[test]
fn a_line_that_is_not_exactly_one_item_is_refused_without_its_data() {
    for line in [
        "",
        "{}",
        r#"{"item":{}}"#,
        r#"{"Item":"secret"}"#,
        r#"{"Item":{"pk":{"S":"secret"}},"Keys":{}}"#,
        r#"{"Item":{}}{"Item":{}}"#,
        r#"{"Item":{"pk":{"S":"secret"}"#,
        r#"{"secret":{}}"#,
        r#"[{"pk":{"S":"secret"}}]"#,
    ] {
        let error = line_item(line.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), Kind::Permanent);
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

proptest! {
    #[test]
    fn the_key_is_what_a_full_parse_finds(
        name in "\\PC{1,8}", value in "\\PC{0,20}", number in -1000i64..1000, others in prop::collection::hash_map("\\PC{1,4}", "\\PC{0,9}", 0..5),
    ) {
        prop_assume!(name != "sk");
        let mut item: serde_json::Map<_, _> = others.iter().map(|(name, text)| (name.clone(), json!({"S": text}))).collect();
        item.insert(name.clone(), json!({"S": value}));
        item.insert("sk".to_owned(), json!({"N": number.to_string()}));
        let key = Key::of(Value::Object(item).to_string().as_bytes(), &schema((&name, KeyType::S), Some(("sk", KeyType::N)))).unwrap();
        let expected = json!({name: {"S": value}, "sk": {"N": number.to_string()}});
        prop_assert_eq!(serde_json::from_str::<Value>(key.to_raw().get()).unwrap(), expected);
    }

    #[test]
    fn keys_are_equal_exactly_when_their_hashes_are(a in "[ab]{0,2}", b in "[ab]{0,2}", n in 0u8..3, m in 0u8..3) {
        let of = |text: &str, number: u8| key(&json!({"pk": {"S": text}, "sk": {"N": number.to_string()}}).to_string());
        let (left, right) = (of(&a, n), of(&b, m));
        prop_assert_eq!(left == right, (a, n) == (b, m));
        prop_assert_eq!(left == right, left.hash128() == right.hash128());
    }

    #[test]
    fn a_row_is_what_a_full_parse_finds((_, line) in a_line()) {
        let schema = table_key();
        let row = ItemReader::new(&schema).read_line(line.as_bytes()).unwrap();
        prop_assert_eq!(Some((row.key, row.size_bytes)), read_by_definition(line.as_bytes(), &schema));
        prop_assert_eq!(row.item, line_item(line.as_bytes()).unwrap());
        prop_assert_eq!(row.key, Key::of(row.item, &schema).unwrap().hash128());
    }

    #[test]
    fn a_line_with_one_byte_changed_is_read_as_a_full_parse_reads_it(
        (_, line) in a_line(), places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), "[\"\\\\{}\\[\\],: uSNBML0-9e]"), 40),
    ) {
        let schema = table_key();
        let mut reader = ItemReader::new(&schema);
        for (place, any, structural) in places {
            for byte in [any, structural.as_bytes()[0]] {
                let mut line = line.clone().into_bytes();
                *place.get_mut(&mut line) = byte;
                let row = reader.read_line(&line).ok();
                let text = String::from_utf8_lossy(&line);
                match (row, read_by_definition(&line, &schema)) {
                    (Some(row), None) => prop_assert_eq!(row.size_bytes, row.item.len() as u64, "{}", text),
                    (row, found) => prop_assert_eq!(row.map(|row| (row.key, row.size_bytes)), found, "{}", text),
                }
            }
        }
    }

    #[test]
    fn a_line_that_is_cut_short_is_an_error((_, line) in a_line()) {
        let schema = table_key();
        let mut reader = ItemReader::new(&schema);
        let line = line.trim_end();
        for end in 0..line.len() {
            prop_assert!(reader.read_line(&line.as_bytes()[..end]).is_err());
        }
    }

    #[test]
    fn the_spelling_of_an_item_changes_neither_key_nor_size((item, line) in a_line()) {
        let schema = table_key();
        let mut reader = ItemReader::new(&schema);
        let plain = item.to_string();
        let (a, b) = (reader.read_item(plain.as_bytes()).unwrap(), ItemReader::new(&schema).read_line(line.as_bytes()).unwrap());
        prop_assert_eq!((a.key, a.size_bytes), (b.key, b.size_bytes));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), text in "[{}\":,\\\\SNpkItemu0-9 ]{0,40}") {
        for bytes in [bytes.as_slice(), text.as_bytes()] {
            let _ = Key::of(bytes, &string_and_number());
            let _ = line_item(bytes);
            let _ = ItemReader::new(&string_and_number()).read_line(bytes);
            let _ = ItemReader::new(&string_and_number()).read_item(bytes);
        }
    }
}
