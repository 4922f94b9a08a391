//! Scan responses as an adversary would write them: what matters to the reader, where it does not count.

use proptest::prelude::*;
use proptest::sample::select;

/// A response with the items, a key and a count that is right.
pub(super) fn response(items: &[String], key: Option<&String>) -> String {
    let key = key.map_or_else(String::new, |key| format!(r#","LastEvaluatedKey":{key}"#));
    format!("{{\"Items\" : [{}]{key},\"Count\":{}}}", items.join(" ,\n"), items.len())
}

/// A response with its members in any order, others between them and whitespace anywhere.
pub(super) fn any_response() -> impl Strategy<Value = String> {
    let key = prop_oneof![Just(None), Just(Some("null".to_owned())), item().prop_map(Some)];
    let other = prop_oneof![item(), attribute_value(), Just(r#"[[{"Items":[{}]}],"Items",1]"#.to_owned())];
    let others = prop::collection::vec((unknown_name(), other), 0..3);
    (prop::collection::vec(item(), 0..6), key, others, whitespace(), whitespace())
        .prop_flat_map(|(items, key, others, space, more)| {
            let separator = format!("{space},{more}");
            let mut members = vec![
                format!(r#""Count"{space}:{more}{}"#, items.len()),
                format!(r#""Items"{more}:{space}[{space}{}{more}]"#, items.join(&separator)),
                r#""ConsumedCapacity":{"TableName":"t","CapacityUnits":0.5}"#.to_owned(),
            ];
            members.extend(key.map(|key| format!(r#""LastEvaluatedKey":{space}{key}"#)));
            members.extend(others.iter().map(|(name, value)| format!("{name}{space}:{more}{value}")));
            (Just(members).prop_shuffle(), Just((separator, space, more)))
        })
        .prop_map(|(members, (separator, space, more))| {
            format!("{space}{{{more}{}{space}}}{more}", members.join(&separator))
        })
}

pub(super) fn item() -> impl Strategy<Value = String> {
    prop::collection::vec((attribute_name(), whitespace(), attribute_value()), 0..4).prop_map(|attributes| {
        let member = |(name, space, value): &(String, &str, String)| format!("{name}{space}:{value}{space}");
        format!("{{{}}}", attributes.iter().map(member).collect::<Vec<_>>().join(","))
    })
}

fn whitespace() -> impl Strategy<Value = &'static str> {
    select(vec!["", "", "", " ", "\n", "\r\n\t", "\n                    "])
}

/// Strings as long as several blocks, with rows of backslashes over their bounds.
fn json_string() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z\\[\\]{}:,/ ]{1,40}",
        select(vec![r#"\""#, r"\\", r"\/", r"\n", r"\u0000", r"\ud83d\ude00", "é😀\u{2028}\u{7f}"])
            .prop_map(str::to_owned),
        select(vec![r#"},{\"Items\":[{"#, r#"\"}],\"LastEvaluatedKey\":{"#]).prop_map(str::to_owned),
        (1..70_usize).prop_map(|pairs| r"\\".repeat(pairs)),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn attribute_name() -> impl Strategy<Value = String> {
    let member = select(vec![r#""Items""#, r#""Item""#, r#""LastEvaluatedKey""#, r#""Count""#]);
    prop_oneof![member.prop_map(str::to_owned), json_string()]
}

/// The name of a member that a response does not have.
fn unknown_name() -> impl Strategy<Value = String> {
    select(vec![r#""items""#, r#""a\"Items""#, r#""{\"Items""#, r#""\\,\"Items""#, r#"",\"Items\":[""#])
        .prop_map(str::to_owned)
}

fn attribute_value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        json_string().prop_map(|text| format!(r#"{{"S":{text}}}"#)),
        "-?[0-9]{1,60}(\\.[0-9]{1,60})?(E[+-][0-9]{1,3})?".prop_map(|text| format!(r#"{{"N":"{text}"}}"#)),
        Just(r#"{"NULL":true}"#.to_owned()),
        (json_string(), whitespace())
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
