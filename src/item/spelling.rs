//! Items of a table, for tests, and lines with them in any spelling.

use std::fmt;

use proptest::prelude::*;

use super::reference::Json;
use crate::schema::{KeyAttribute, KeySchema, KeyType};

/// The key that [`a_line`] gives its items: `pk` (S) and `sk` (N).
pub(super) fn table_key() -> KeySchema {
    let attribute = |name: &str, kind| KeyAttribute { name: name.to_owned(), kind };
    KeySchema { partition: attribute("pk", KeyType::S), sort: Some(attribute("sk", KeyType::N)) }
}

/// An item of a table with the key [`table_key`], and a line with it in some spelling.
pub(super) fn a_line() -> impl Strategy<Value = (Json, String)> {
    let attributes = prop::collection::vec((a_text(), a_value()), 0..5);
    let key = (a_text(), a_number(), any::<prop::sample::Index>(), any::<prop::sample::Index>());
    (attributes, key, prop::collection::vec(any::<u8>(), 1..60)).prop_map(|(mut item, key, dice)| {
        item.retain(|(name, _)| name != "pk" && name != "sk");
        let (text, number, first, second) = key;
        item.insert(first.index(item.len() + 1), ("pk".to_owned(), typed("S", Json::Text(text))));
        item.insert(second.index(item.len() + 1), ("sk".to_owned(), typed("N", Json::Text(number))));
        let line = Json::Object(vec![("Item".to_owned(), Json::Object(item.clone()))]);
        (Json::Object(item), line.spelt(&mut dice.iter().copied().cycle()))
    })
}

fn a_text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{0,40}", "\\PC{0,12}", "[\"\\\\/\n\t\u{0}é日🦀=a]{0,20}"]
}

fn a_number() -> impl Strategy<Value = String> {
    "[-+]?0{0,2}[0-9]{1,20}(\\.[0-9]{0,10})?([eE][+-]?[0-9]{1,3})?"
}

fn a_value() -> impl Strategy<Value = Json> {
    let text = |kind: &'static str, text: BoxedStrategy<String>| {
        text.prop_map(move |text| typed(kind, Json::Text(text)))
    };
    let set = |kind: &'static str, text: BoxedStrategy<String>| {
        let texts = prop::collection::vec(text.prop_map(Json::Text), 0..4);
        texts.prop_map(move |texts| typed(kind, Json::Array(texts)))
    };
    let binary = || "([A-Za-z0-9+/]{4}){0,5}([A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)?".boxed();
    let scalar = prop_oneof![
        4 => text("S", a_text().boxed()),
        3 => text("N", a_number().boxed()),
        2 => text("B", binary()),
        1 => any::<bool>().prop_map(|value| typed("BOOL", Json::Bool(value))),
        1 => Just(typed("NULL", Json::Bool(true))),
        1 => set("SS", a_text().boxed()),
        1 => set("NS", a_number().boxed()),
        1 => set("BS", binary()),
    ];
    scalar.prop_recursive(3, 20, 4, |value| {
        prop_oneof![
            prop::collection::vec((a_text(), value.clone()), 0..4)
                .prop_map(|members| typed("M", Json::Object(members))),
            prop::collection::vec(value, 0..4).prop_map(|elements| typed("L", Json::Array(elements))),
        ]
    })
}

pub(super) fn typed(kind: &str, value: Json) -> Json {
    Json::Object(vec![(kind.to_owned(), value)])
}

impl Json {
    /// As text, with whitespace and escapes as the dice say.
    pub(super) fn spelt(&self, dice: &mut impl Iterator<Item = u8>) -> String {
        let space = |dice: &mut dyn Iterator<Item = u8>| match dice.next() {
            Some(0..4) => " \n",
            Some(4..8) => "\t\r ",
            _ => "",
        };
        let (before, after) = (space(dice), space(dice));
        let json = match self {
            Self::Object(members) => {
                let members = members.iter().map(|(name, value)| {
                    format!("{}{}{}:{}", space(dice), spelt_text(name, dice), space(dice), value.spelt(dice))
                });
                let members: Vec<_> = members.collect();
                format!("{{{}{}}}", members.join(","), space(dice))
            }
            Self::Array(elements) => {
                let elements: Vec<_> = elements.iter().map(|element| element.spelt(dice)).collect();
                format!("[{}{}]", elements.join(","), space(dice))
            }
            Self::Text(text) => spelt_text(text, dice),
            Self::Bool(value) => value.to_string(),
            Self::Other => "null".to_owned(),
        };
        format!("{before}{json}{after}")
    }
}

fn spelt_text(text: &str, dice: &mut impl Iterator<Item = u8>) -> String {
    let characters = text.chars().map(|character| match dice.next() {
        Some(0..30) => {
            character.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04X}")).collect()
        }
        Some(30..60) if character == '/' => "\\/".to_owned(),
        _ => {
            let json = serde_json::to_string(&character).unwrap();
            json[1..json.len() - 1].to_owned()
        }
    });
    format!("\"{}\"", characters.collect::<String>())
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spelt(&mut std::iter::repeat(255)))
    }
}
