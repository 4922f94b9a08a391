use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::error::Kind;

fn page(body: &str) -> Page {
    Page::parse(Bytes::copy_from_slice(body.as_bytes())).unwrap()
}

fn refusal(body: &str) -> String {
    let error = Page::parse(Bytes::copy_from_slice(body.as_bytes())).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), Kind::Retryable);
    error.to_string()
}

fn lines(page: &Page) -> String {
    let mut out = Vec::new();
    let written = page.write_lines(&mut out).unwrap();
    assert_eq!(written, out.len() as u64);
    String::from_utf8(out).unwrap()
}

#[test]
fn items_and_key_are_the_very_bytes_of_the_response() {
    let page = page(
        r#"{"ConsumedCapacity":{"TableName":"t","CapacityUnits":128.5},"Count":2,"Items":[{"pk":{"N":"525.40"}}, {"pk" :{"S":"\u00e9\/]}"}}],"LastEvaluatedKey":{"pk":{"S":"\u00e9\/]}"}},"ScannedCount":2}"#,
    );
    assert_eq!(
        lines(&page),
        "{\"Item\":{\"pk\":{\"N\":\"525.40\"}}}\n{\"Item\":{\"pk\" :{\"S\":\"\\u00e9\\/]}\"}}}\n"
    );
    assert_eq!(page.last_evaluated_key().unwrap(), br#"{"pk":{"S":"\u00e9\/]}"}}"#);
    assert_eq!((page.len(), page.is_empty(), page.consumed_units()), (2, false, 128.5));
}

#[test]
fn an_empty_last_page_has_no_items_no_key_and_no_cost() {
    let page = page(r#"{"Count":0,"Items":[],"ScannedCount":0}"#);
    assert!(page.is_empty() && page.last_evaluated_key().is_none() && lines(&page).is_empty());
    assert_eq!(page.consumed_units(), 0.0);
}

#[test]
fn an_item_of_several_lines_becomes_one_line_with_the_same_meaning() {
    let page = page("{\"Count\":1,\"Items\":[{\r\n  \"pk\" : {\n\"S\":\"a\\nb\"\n}\n}]}");
    assert_eq!(lines(&page), "{\"Item\":{  \"pk\" : {\"S\":\"a\\nb\"}}}\n");
}

#[test]
fn a_count_that_differs_from_the_items_is_damage() {
    let text = refusal(r#"{"Count":2,"Items":[{}]}"#);
    assert_eq!(text, "the page is not a Scan response: it has 1 items but counts 2");
}

#[test]
fn what_is_not_a_scan_response_is_refused_without_its_data() {
    for body in [
        "",
        "{}",
        r#"{"__type":"secret"}"#,
        r#"{"Count":1}"#,
        r#"{"Items":[]}"#,
        r#"{"Count":"secret","Items":[]}"#,
        r#"{"Count":1,"Items":["secret"]}"#,
        r#"{"Count":0,"Items":"secret"}"#,
        r#"{"Count":0,"Items":[],"LastEvaluatedKey":"secret"}"#,
        r#"{"Count":0,"Items":[],"Items":[]}"#,
        r#"{"Count":0,"Items":[]}secret"#,
        r#"[[],0,null,null]"#,
        "<html>secret</html>",
    ] {
        let text = refusal(body);
        assert!(text.starts_with("the page is not a Scan response: ") && !text.contains("secret"), "{text}");
    }
}

#[test]
fn a_page_is_refused_when_an_item_is_not_utf8() {
    let body = Bytes::from_static(b"{\"Count\":1,\"Items\":[{\"pk\":{\"S\":\"\xff\"}}]}");
    assert!(Page::parse(body).is_err());
}

/// Text as an adversary would choose it: escapes, surrogate pairs, quotes and braces.
fn json_string() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z\\[\\]{}:,/ ]{1,3}".prop_map(|text| text),
        Just(r#"\""#.to_owned()),
        Just(r"\\".to_owned()),
        Just(r"\/".to_owned()),
        Just(r"\n".to_owned()),
        Just(r"\u0000".to_owned()),
        Just(r"\ud83d\ude00".to_owned()),
        Just("é😀\u{2028}".to_owned()),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn attribute_name() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(r#""Items""#.to_owned()),
        Just(r#""Item""#.to_owned()),
        Just(r#""LastEvaluatedKey""#.to_owned()),
        Just(r#""Count""#.to_owned()),
        json_string(),
    ]
}

fn attribute_value() -> impl Strategy<Value = String> {
    let whitespace = prop_oneof![Just(""), Just(" "), Just("\n"), Just("\r\n\t")];
    let leaf = prop_oneof![
        json_string().prop_map(|text| format!(r#"{{"S":{text}}}"#)),
        "-?[0-9]{1,60}(\\.[0-9]{1,60})?(E[+-][0-9]{1,3})?".prop_map(|text| format!(r#"{{"N":"{text}"}}"#)),
        Just(r#"{"NULL":true}"#.to_owned()),
        (json_string(), whitespace)
            .prop_map(|(text, space)| format!("{{{space}\"SS\"{space}:[{space}{text}]}}")),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|values| format!(r#"{{"L":[{}]}}"#, values.join(","))),
            (attribute_name(), inner).prop_map(|(name, value)| format!(r#"{{"M":{{{name}:{value}}}}}"#)),
        ]
    })
}

fn item() -> impl Strategy<Value = String> {
    prop::collection::vec((attribute_name(), attribute_value()), 0..4).prop_map(|attributes| {
        let members: Vec<_> = attributes.iter().map(|(name, value)| format!("{name}:{value}")).collect();
        format!("{{{}}}", members.join(","))
    })
}

fn response(items: &[String], key: Option<&String>) -> String {
    let key = key.map_or_else(String::new, |key| format!(r#","LastEvaluatedKey":{key}"#));
    format!("{{\"Items\" : [{}]{key},\"Count\":{}}}", items.join(" ,\n"), items.len())
}

#[test]
fn an_item_nested_as_deep_as_dynamodb_allows_is_sliced() {
    let item = format!(r#"{{"pk":{}{{"S":"x"}}{}}}"#, r#"{"M":{"m":"#.repeat(32), "}}".repeat(32));
    let page = page(&response(std::slice::from_ref(&item), None));
    assert_eq!(page.items().next().unwrap(), item.as_bytes());
}

proptest! {
    #[test]
    fn bytes_in_are_bytes_out(items in prop::collection::vec(item(), 0..5), key in prop::option::of(item())) {
        let page = page(&response(&items, key.as_ref()));
        prop_assert!(page.items().eq(items.iter().map(String::as_bytes)));
        prop_assert_eq!(page.last_evaluated_key(), key.as_deref().map(str::as_bytes));
    }

    #[test]
    fn lines_mean_what_a_full_parse_of_the_page_finds(items in prop::collection::vec(item(), 0..5)) {
        let body = response(&items, None);
        let expected: Value = serde_json::from_str(&body).unwrap();
        let text = lines(&page(&body));
        let found: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let expected: Vec<Value> = expected["Items"].as_array().unwrap().iter().map(|item| json!({"Item": item})).collect();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(text.bytes().filter(|byte| *byte == b'\n').count(), items.len());
    }

    #[test]
    fn a_page_cut_short_anywhere_is_refused(items in prop::collection::vec(item(), 0..3), key in prop::option::of(item())) {
        let body = Bytes::from(response(&items, key.as_ref()));
        for end in 0..body.len() {
            prop_assert!(Page::parse(body.slice(..end)).is_err(), "cut at {}", end);
        }
    }
}
