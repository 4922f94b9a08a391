use std::collections::HashSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::error::Kind;

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
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), text in "[{}\":,\\\\SNpkItemu0-9 ]{0,40}") {
        for bytes in [bytes.as_slice(), text.as_bytes()] {
            let _ = Key::of(bytes, &string_and_number());
            let _ = line_item(bytes);
        }
    }
}
