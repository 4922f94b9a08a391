use proptest::prelude::*;

use super::*;
use crate::item::reference::Json;
use crate::item::spelling::{a_line, typed};

/// A collection that is being read, with its members so far.
type Open = (Option<Collection>, Vec<(String, Json)>);

/// Builds what it is told of as a tree: a stack of what is open, the item at the bottom.
#[derive(Default)]
struct Tree {
    open: Vec<Open>,
    item: Vec<(String, Json)>,
}

impl Tree {
    fn begin(&mut self, name: String) {
        let members = self.open.last_mut().map_or(&mut self.item, |(_, members)| members);
        members.push((name, Json::Other));
    }

    fn value(&mut self, value: Json) {
        let members = self.open.last_mut().map_or(&mut self.item, |(_, members)| members);
        let last = members.last_mut().unwrap();
        assert_eq!(last.1, Json::Other, "a name has one value");
        last.1 = value;
    }

    fn is_in_set(&self) -> bool {
        self.open.last().is_some_and(|open| !matches!(open.0, Some(Collection::Map | Collection::List)))
    }
}

fn owned(text: Text<'_>) -> String {
    assert_eq!(text.len(), text.unescaped().len());
    String::from_utf8(text.unescaped().into_owned()).unwrap()
}

impl<'a> Visitor<'a> for Tree {
    fn attribute(&mut self, name: Text<'a>) {
        assert!(self.open.is_empty());
        self.begin(owned(name));
    }

    fn member(&mut self, name: Text<'a>) {
        assert_eq!(self.open.last().unwrap().0, Some(Collection::Map));
        self.begin(owned(name));
    }

    fn element(&mut self) {
        assert_eq!(self.open.last().unwrap().0, Some(Collection::List));
        self.begin(String::new());
    }

    fn scalar(&mut self, value: Scalar<'a>) {
        let (kind, value) = match value {
            Scalar::S(text) => ("S", Json::Text(owned(text))),
            Scalar::N(text) => ("N", Json::Text(owned(text))),
            Scalar::B(text) => ("B", Json::Text(owned(text))),
            Scalar::Bool(value) => ("BOOL", Json::Bool(value)),
            Scalar::Null => ("NULL", Json::Bool(true)),
        };
        if self.is_in_set() {
            self.begin(kind.to_owned());
            return self.value(value);
        }
        self.value(typed(kind, value));
    }

    fn open(&mut self, collection: Collection) {
        self.open.push((Some(collection), Vec::new()));
    }

    fn close(&mut self) {
        let (collection, members) = self.open.pop().unwrap();
        let values = |members: Vec<(String, Json)>| members.into_iter().map(|(_, value)| value).collect();
        let set = |kind: &str, members: Vec<(String, Json)>| {
            assert!(members.iter().all(|(of, _)| *of == kind[..1]));
            typed(kind, Json::Array(values(members)))
        };
        self.value(match collection.unwrap() {
            Collection::Map => typed("M", Json::Object(members)),
            Collection::List => typed("L", Json::Array(values(members))),
            Collection::StringSet => set("SS", members),
            Collection::NumberSet => set("NS", members),
            Collection::BinarySet => set("BS", members),
        });
    }
}

fn fault(json: &str) -> String {
    item(json.as_bytes(), &mut ()).unwrap_err().to_string()
}

#[test]
fn every_kind_of_fault_is_told_with_its_place() {
    for (json, expected) in [
        ("", "it is cut short at byte 1"),
        (r#"{"a":{"S":"b"}"#, "it is cut short at byte 15"),
        (r#"{"a":{"S":"b"#, "it is cut short at byte 13"),
        ("[]", "something else than an object at byte 1"),
        ("{a", "something else than a string at byte 2"),
        (r#"{"a":{"S":1}}"#, "something else than a string at byte 11"),
        (r#"{"a",{"S":"b"}}"#, "a name without a colon behind it at byte 5"),
        (r#"{"a":{"S","b"}}"#, "a name without a colon behind it at byte 10"),
        (r#"{"a":{"S":"b"};"#, "neither a comma nor the end of an object or array at byte 15"),
        (r#"{"a":{"SS":{}}}"#, "a list or set that is not an array at byte 12"),
        (r#"{"a":{"BOOL":"true"}}"#, "neither `true` nor `false` at byte 14"),
        (r#"{"a":{"NULL":null}}"#, "neither `true` nor `false` at byte 14"),
        (r#"{"a":"b"}"#, "a value that is not an object with a type at byte 6"),
        (r#"{"a":{"X":"b"}}"#, "a value of an unknown type at byte 7"),
        (r#"{"a":{"s":"b"}}"#, "a value of an unknown type at byte 7"),
        (r#"{"a":{"":"b"}}"#, "a value of an unknown type at byte 7"),
        (r#"{"a":{"S":"b","N":"1"}}"#, "a value that goes on behind its type at byte 14"),
        (r#"{"a":{"S":"\x"}}"#, "an invalid escape at byte 12"),
        (r#"{"a":{"S":"\u12g4"}}"#, "an invalid escape at byte 12"),
        (r#"{"a":{"S":"\u+123"}}"#, "an invalid escape at byte 12"),
        ("{\"a\":{\"S\":\"b\nc\"}}", "a control character in a string at byte 13"),
        (r#"{"a":{"S":"b"}} {"#, "something behind the end at byte 17"),
    ] {
        assert_eq!(fault(json), expected, "{json}");
    }
    assert_eq!(
        item(b"{\"a\":{\"S\":\"\xff\"}}", &mut ()).unwrap_err().to_string(),
        "a string that is not UTF-8 at byte 12"
    );
}

#[test]
fn commas_stand_between_and_nowhere_else() {
    for json in [
        r#"{,}"#,
        r#"{"a":{"S":"b"},}"#,
        r#"{"a":{"S":"b"},,"c":{"S":"d"}}"#,
        r#"{"a":{"L":[,]}}"#,
        r#"{"a":{"L":[{"S":"b"},]}}"#,
        r#"{"a":{"SS":["b",]}}"#,
        r#"{"a":{"SS":["b" "c"]}}"#,
        r#"{"a":{"M":{"b":{"S":"c"},}}}"#,
        r#"{"a":{}}"#,
        r#"{"a":{"SS":["b",{"S":"c"}]}}"#,
        r#"{"a":{"L":["b"]}}"#,
        r#"{"a":{"BOOL":truefalse}}"#,
    ] {
        assert!(item(json.as_bytes(), &mut ()).is_err(), "{json}");
    }
}

#[test]
fn half_a_surrogate_pair_is_refused_and_a_whole_one_is_a_character() {
    for bad in
        [r"\ud83e", r"\udd80", r"\ud83e\ud83e", r"\ud83e\n", r"\ud83edd80", r"\ud83e\udd8", r"\udd80\ud83e"]
    {
        assert!(fault(&format!(r#"{{"a":{{"S":"{bad}"}}}}"#)).starts_with("an invalid escape"), "{bad}");
    }
    let mut tree = Tree::default();
    item(br#"{"\uD83e\uDd80":{"S":"\ud83E\udd80x"}}"#, &mut tree).unwrap();
    assert_eq!(tree.item, [("🦀".to_owned(), typed("S", Json::Text("🦀x".to_owned())))]);
}

#[test]
fn values_may_nest_as_deep_as_dynamodb_takes_and_then_some() {
    let nested = |open: &str, close: &str, depth: usize| {
        format!(r#"{{"a":{}{{"S":"b"}}{}}}"#, open.repeat(depth), close.repeat(depth))
    };
    for (open, close) in [(r#"{"M":{"b":"#, "}}"), (r#"{"L":["#, "]}")] {
        item(nested(open, close, MAX_DEPTH).as_bytes(), &mut ()).unwrap();
        let fault = fault(&nested(open, close, MAX_DEPTH + 1));
        assert!(fault.starts_with("values nested deeper than DynamoDB takes"), "{fault}");
        assert!(item(open.repeat(1_000_000).as_bytes(), &mut ()).is_err());
    }
}

#[test]
fn a_type_may_be_spelt_with_escapes_and_whitespace() {
    let mut tree = Tree::default();
    item(b"{\"a\":\n{ \"\\u0053S\"\t: [ \"b\" , \"c\" ] } , \"d\" : { \"\\u0053\" : \"e\" } }", &mut tree)
        .unwrap();
    let text = |text: &str| Json::Text(text.to_owned());
    let expected = [
        ("a".to_owned(), typed("SS", Json::Array(vec![text("b"), text("c")]))),
        ("d".to_owned(), typed("S", text("e"))),
    ];
    assert_eq!(tree.item, expected);
}

#[test]
fn a_string_ends_at_its_quote_wherever_that_falls() {
    for length in 0..80 {
        for (character, bytes) in
            [("x", 1), ("é", 2), ("\u{7f}", 1), ("\\\"", 1), ("!", 1), ("🦀", 4), ("]", 1)]
        {
            let text = format!("{}{character}", "a".repeat(length));
            for json in [format!(r#"{{"n":{{"S":"{text}"}}}}"#), format!(r#"{{"{text}":{{"S":"","#)] {
                struct Length(usize);
                impl<'a> Visitor<'a> for Length {
                    fn attribute(&mut self, name: Text<'a>) {
                        self.0 = self.0.max(name.len());
                    }
                    fn scalar(&mut self, value: Scalar<'a>) {
                        let Scalar::S(text) = value else { unreachable!("there is no other") };
                        self.0 = self.0.max(text.len());
                    }
                }
                let mut found = Length(0);
                let _ = item(json.as_bytes(), &mut found);
                assert_eq!(
                    found.0,
                    (length + bytes).max(if json.contains("\"n\"") { 1 } else { 0 }),
                    "{json}"
                );
            }
        }
    }
}

proptest! {
    #[test]
    fn a_walk_tells_all_of_an_item_in_order((expected, line_text) in a_line()) {
        let mut tree = Tree::default();
        line(line_text.as_bytes(), &mut tree).unwrap();
        prop_assert!(tree.open.is_empty());
        prop_assert_eq!(Json::Object(tree.item), expected);
    }

    #[test]
    fn a_string_reads_as_serde_json_reads_it(text in "[\"\\\\ua-f0-9dD8\u{1}é🦀 n]{0,30}") {
        let json = format!("{{\"{text}\":{{\"S\":\"\"}}}}");
        let mut tree = Tree::default();
        let read = item(json.as_bytes(), &mut tree).is_ok();
        let expected = serde_json::from_str::<Json>(&json).ok();
        prop_assert_eq!(read.then_some(Json::Object(tree.item)), expected);
    }
}
