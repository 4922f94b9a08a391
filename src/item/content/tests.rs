use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::item::reference::{Json, base64_bytes, canonical_number, form_by_definition};
use crate::item::spelling::{a_line, table_key, typed};
use crate::item::{ItemReader, walk};

fn form(item: &str) -> Vec<u8> {
    let mut content = Content::default();
    walk::item(item.as_bytes(), &mut content.begin()).unwrap();
    content.finish().to_vec()
}

/// Of a value under the name `a`, without the item around it.
fn value(json: &str) -> Vec<u8> {
    form(&format!(r#"{{"a":{json}}}"#)).strip_prefix(b"M\x01\x01a").unwrap().to_vec()
}

/// As a reader of the table with the key `pk` and `sk` finds it.
fn hash(line: &[u8]) -> ContentHash {
    ItemReader::new(&table_key()).read_line_with_content(line).unwrap().1
}

fn a_long_text(characters: usize) -> String {
    "a".repeat(characters)
}

#[test]
fn the_form_and_the_hash_of_an_item_are_what_they_have_always_been() {
    let vectors: [(&str, &[u8], u128); 7] = [
        ("{}", b"M\x00", 0xd47d_2440_1e29_db4c_2b4f_aed7_f450_aedd),
        (
            r#"{"b":{"S":"\u00e9\/"},"a":{"N":"-01.50"}}"#,
            b"M\x02\x01aN\x06-15e-1\x01bS\x03\xc3\xa9/",
            0xd934_7c2d_e926_32d3_9b3e_0021_04ff_326f,
        ),
        (
            r#"{"t":{"BOOL":true},"f":{"BOOL":false},"aa":{"B":"AQL/"},"n":{"NULL":true}}"#,
            b"M\x04\x01fF\x01n0\x01tT\x02aaB\x03\x01\x02\xff",
            0xe10b_41ea_a265_f2f6_166e_b960_d62c_f3c1,
        ),
        (
            r#"{"m":{"M":{"y":{"L":[{"S":"b"},{"N":"0"}]},"x":{"M":{}}}}}"#,
            b"M\x01\x01mM\x02\x01xM\x00\x01yL\x02S\x01bN\x010",
            0x45d6_1e66_ca98_09ed_68a1_35d9_8a6b_9090,
        ),
        (
            r#"{"s":{"SS":["ab","b","a"]},"n":{"NS":["10","9","-1"]},"b":{"BS":["/w==","AA=="]}}"#,
            b"M\x03\x01bb\x02B\x01\x00B\x01\xff\x01nn\x03N\x031e1N\x039e0N\x04-1e0\x01ss\x03S\x01aS\x01bS\x02ab",
            0x0349_7a01_c64d_98e4_94ba_e913_b9a4_c6eb,
        ),
        (
            r#"{"n":{"N":"NaN"},"b":{"B":"AB=="},"e":{"BS":["AA==","?"]}}"#,
            b"M\x03\x01b%\x04AB==\x01eb\x02%\x01?B\x01\x00\x01n#\x03NaN",
            0xc911_6dc7_e290_02bb_190b_d370_cab2_0720,
        ),
        (
            &format!(r#"{{"a":{{"S":"{}"}}}}"#, a_long_text(130)),
            &[&b"M\x01\x01aS\x82\x01"[..], a_long_text(130).as_bytes()].concat(),
            0x87ca_def0_a4af_ba67_1145_690a_9ea0_ae56,
        ),
    ];
    for (item, expected, hash) in vectors {
        assert_eq!(form(item), expected, "{item}");
        assert_eq!(hash128(expected), hash, "{item}");
    }
}

#[test]
fn an_item_with_a_value_of_an_unknown_form_has_the_hash_of_its_json() {
    let item = r#"{"pk":{"S":"a"},"x":{"V":[1]},"sk":{"N":"1"}}"#;
    let line = format!(" {{\"Item\" : {item} }}\n");
    assert_eq!(hash(line.as_bytes()).as_u128(), hash128(format!("J{item}").as_bytes()));
    assert_eq!(ContentHash::of_unknown(format!("\t{item} ").as_bytes()), hash(line.as_bytes()));
    assert_eq!(
        ContentHash::of_unknown(br#"{"a":{"V":[1]}}"#).as_u128(),
        0x0b75_2e18_0383_0352_ef7a_bffb_3ed3_5f89
    );
    let respelt = line.replace("[1]", "[ 1]");
    assert_ne!(hash(respelt.as_bytes()), hash(line.as_bytes()));
}

#[test]
fn a_number_that_is_no_decimal_number_leaves_the_rest_of_the_item_in_canonical_form() {
    let one = r#"{"Item":{"pk":{"S":"a"},"sk":{"N":"1"},"x":{"N":"many"}}}"#;
    let other = r#"{"Item":{"x":{"N":"many"},"sk":{"N":"1.0"},"pk":{"S":"a"}}}"#;
    assert_eq!(hash(one.as_bytes()), hash(other.as_bytes()));
}

#[test]
fn values_that_look_alike_are_different() {
    let values = [
        r#"{"S":""}"#,
        r#"{"B":""}"#,
        r#"{"N":""}"#,
        r#"{"L":[]}"#,
        r#"{"M":{}}"#,
        r#"{"SS":[]}"#,
        r#"{"NS":[]}"#,
        r#"{"BS":[]}"#,
        r#"{"NULL":true}"#,
        r#"{"BOOL":true}"#,
        r#"{"BOOL":false}"#,
        r#"{"S":"true"}"#,
        r#"{"S":"1"}"#,
        r#"{"N":"1"}"#,
        r#"{"B":"1"}"#,
        r#"{"S":"1111"}"#,
        r#"{"N":"1111"}"#,
        r#"{"B":"1111"}"#,
        r#"{"SS":["1"]}"#,
        r#"{"NS":["1"]}"#,
        r#"{"BS":["1"]}"#,
        r#"{"L":[{"S":"1"}]}"#,
        r#"{"L":[{"N":"1"}]}"#,
        r#"{"L":[{"L":[{"N":"1"}]}]}"#,
        r#"{"L":[{"L":[]},{"N":"1"}]}"#,
        r#"{"L":[{"N":"1"},{"L":[]}]}"#,
        r#"{"M":{"1":{"S":""}}}"#,
        r#"{"M":{"":{"S":"1"}}}"#,
        r#"{"SS":["a","b"]}"#,
        r#"{"SS":["ab"]}"#,
        r#"{"SS":["ab",""]}"#,
        r#"{"L":[{"S":"a"},{"S":"b"}]}"#,
        r#"{"L":[{"S":"b"},{"S":"a"}]}"#,
        r#"{"B":"AA=="}"#,
        r#"{"B":"AB=="}"#,
        r#"{"B":"AA"}"#,
        r#"{"B":"AAA="}"#,
        r#"{"N":"1e99999999999"}"#,
        r#"{"N":"1e999999999990"}"#,
        r#"{"S":"é"}"#,
        r#"{"S":"e\u0301"}"#,
    ];
    let forms: HashSet<_> = values.iter().map(|json| value(json)).collect();
    assert_eq!(forms.len(), values.len());
}

#[test]
fn names_and_values_do_not_run_into_each_other() {
    let items = [
        r#"{"ab":{"S":"c"}}"#,
        r#"{"a":{"S":"bc"}}"#,
        r#"{"abc":{"S":""}}"#,
        r#"{"a":{"S":"b"},"c":{"S":""}}"#,
        r#"{"a":{"S":""},"c":{"S":"b"}}"#,
        r#"{"a":{"M":{"c":{"S":"b"}}}}"#,
        r#"{"a":{"M":{}},"c":{"S":"b"}}"#,
        r#"{"a":{"S":"\u0001cS\u0001b"}}"#,
    ];
    let forms: HashSet<_> = items.iter().map(|item| form(item)).collect();
    assert_eq!(forms.len(), items.len());
}

#[test]
fn counts_and_lengths_of_more_than_a_byte_are_where_they_belong() {
    for count in [0, 1, 127, 128, 129, 16_383, 16_384] {
        let texts = || (0..count).rev().map(|number| Json::Text(number.to_string()));
        let members = |kind: &str| texts().map(|text| (format!("{text:?}"), typed(kind, text))).collect();
        let values = [
            typed("L", Json::Array(texts().map(|text| typed("N", text)).collect())),
            typed("M", Json::Object(members("S"))),
            typed("SS", Json::Array(texts().collect())),
            typed("NS", Json::Array(texts().collect())),
            typed("S", Json::Text(a_long_text(count))),
            typed("N", Json::Text(format!("1{}1", "0".repeat(count)))),
            typed("B", Json::Text("AAAA".repeat(count))),
        ];
        for nested in values {
            let around = typed("L", Json::Array(vec![typed("S", Json::Text("x".to_owned())), nested]));
            let item = Json::Object(vec![("b".to_owned(), around.clone()), ("a".to_owned(), around)]);
            assert_eq!(Some(form(&item.to_string())), form_by_definition(&item), "{count}");
        }
    }
}

#[test]
fn a_name_that_is_there_twice_counts_twice_in_whatever_order() {
    let twice = form(r#"{"a":{"S":"x"},"a":{"S":"y"}}"#);
    assert_eq!(form(r#"{"a":{"S":"y"},"\u0061":{"S":"x"}}"#), twice);
    let all = [r#"{"a":{"S":"x"},"a":{"S":"x"}}"#, r#"{"a":{"S":"x"}}"#, r#"{"a":{"S":"y"}}"#].map(form);
    assert!(!all.contains(&twice) && all[0] != all[1]);
}

#[test]
fn a_hash_does_not_depend_on_what_was_read_before() {
    let schema = table_key();
    let mut reader = ItemReader::new(&schema);
    let good = br#"{"Item":{"x":{"SS":["b","a"]},"pk":{"S":"a"},"sk":{"N":"1"}}}"#;
    let expected = hash(good);
    for bad in [
        r#"{"Item":{"x":{"L":[{"M":{"b":{"S":"1"},"a":{"NS":["2","1""#,
        r#"{"Item":{"pk":{"S":"b"},"x":{"M":{"y":{"S":"#,
        r#"{"Item":{"pk":{"S":"b"},"sk":{"N":"x"}}}"#,
        r#"{"Item":{"pk":{"S":"b"},"sk":{"N":"1"},"x":{"L":[{"V":1}]}}}"#,
    ] {
        let _ = reader.read_line_with_content(bad.as_bytes());
        assert_eq!(reader.read_line_with_content(good).unwrap().1, expected);
        assert!(reader.read_line(good).is_ok());
        assert_eq!(reader.read_line_with_content(good).unwrap().1, expected);
    }
}

#[test]
fn a_hash_is_shown_and_not_what_it_was_made_of() {
    assert_eq!(format!("{:?}", ContentHash(1)), "ContentHash(00000000000000000000000000000001)");
}

/// What a value is, without a thought of bytes.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Meaning {
    Scalar(String, Vec<u8>),
    List(Vec<Self>),
    /// In order.
    Set(String, Vec<Self>),
    Map(Vec<(String, Self)>),
}

impl Meaning {
    fn of(value: &Json) -> Self {
        let Json::Object(value) = value else { panic!("a value without a type") };
        let [(kind, value)] = value.as_slice() else { panic!("a value without one type") };
        Self::of_kind(kind, value)
    }

    fn of_item(item: &Json) -> Self {
        Self::of_kind("M", item)
    }

    fn of_kind(kind: &str, value: &Json) -> Self {
        match (kind, value) {
            ("M", Json::Object(members)) => {
                let members = members.iter().map(|(name, value)| (name.clone(), Self::of(value)));
                let mut members: Vec<_> = members.collect();
                members.sort();
                Self::Map(members)
            }
            ("L", Json::Array(elements)) => Self::List(elements.iter().map(Self::of).collect()),
            (kind, Json::Array(elements)) => {
                let elements = elements.iter().map(|element| Self::of_kind(&kind[..1], element));
                let mut elements: Vec<_> = elements.collect();
                elements.sort();
                Self::Set(kind.to_owned(), elements)
            }
            ("N", Json::Text(text)) => match canonical_number(text) {
                Some(number) => Self::Scalar("N".to_owned(), number.into_bytes()),
                None => Self::Scalar("no number".to_owned(), text.clone().into_bytes()),
            },
            ("B", Json::Text(text)) => match base64_bytes(text) {
                Some(bytes) => Self::Scalar("B".to_owned(), bytes),
                None => Self::Scalar("no base64".to_owned(), text.clone().into_bytes()),
            },
            (kind, Json::Text(text)) => Self::Scalar(kind.to_owned(), text.clone().into_bytes()),
            (kind, other) => Self::Scalar(kind.to_owned(), other.to_string().into_bytes()),
        }
    }
}

/// The item with its members and the elements of its sets in another order, and its numbers in other digits.
fn respelt(kind: &str, value: &Json, dice: &mut impl Iterator<Item = u8>) -> Json {
    let mut places = |len: usize| {
        let mut places: Vec<_> = (0..len).map(|place| (dice.next(), place)).collect();
        places.sort();
        places.into_iter().map(|(_, place)| place).collect::<Vec<_>>()
    };
    match (kind, value) {
        ("M", Json::Object(members)) => {
            let members = places(members.len()).into_iter().map(|place| members[place].clone());
            let members: Vec<_> = members.collect();
            let members = members.into_iter().map(|(name, value)| (name, respelt_value(&value, dice)));
            Json::Object(members.collect())
        }
        ("L", Json::Array(elements)) => {
            Json::Array(elements.iter().map(|element| respelt_value(element, dice)).collect())
        }
        (kind, Json::Array(elements)) => {
            let elements: Vec<_> = places(elements.len()).into_iter().map(|place| &elements[place]).collect();
            Json::Array(elements.into_iter().map(|element| respelt(&kind[..1], element, dice)).collect())
        }
        ("N", Json::Text(text)) => {
            Json::Text(respelt_number(text, usize::from(dice.next().unwrap_or(0) % 5)))
        }
        (_, other) => other.clone(),
    }
}

fn respelt_value(value: &Json, dice: &mut impl Iterator<Item = u8>) -> Json {
    let Json::Object(value) = value else { panic!("a value without a type") };
    typed(&value[0].0, respelt(&value[0].0, &value[0].1, dice))
}

/// The same number with the point moved `by` digits to the left, and with zeros at both ends.
fn respelt_number(text: &str, by: usize) -> String {
    let canonical = canonical_number(text).unwrap();
    let Some((digits, exponent)) = canonical.split_once('e') else { return "-0.00E7".to_owned() };
    let (sign, digits) = digits.strip_prefix('-').map_or(("+", digits), |digits| ("-", digits));
    let (by, exponent) = (by.min(digits.len()), exponent.parse::<i64>().unwrap());
    let (whole, fraction) = digits.split_at(digits.len() - by);
    format!("{sign}00{whole}.{fraction}0E{:+}", exponent + by as i64)
}

/// Every item that differs from this one in one thing.
fn changes(kind: &str, value: &Json) -> Vec<Json> {
    match value {
        Json::Object(members) => [changed_members(members), changed_names(members)]
            .concat()
            .into_iter()
            .map(Json::Object)
            .collect(),
        Json::Array(elements) => {
            let change = |element: &Json| {
                if kind == "L" { changes_of_value(element) } else { changes(&kind[..1], element) }
            };
            changed_elements(elements, change).into_iter().map(Json::Array).collect()
        }
        Json::Text(text) => {
            let less = text.char_indices().last().map(|(at, _)| text[..at].to_owned());
            let more = [format!("{text}1"), format!("1{text}"), format!("{text}=")];
            more.into_iter().chain(less).map(Json::Text).collect()
        }
        Json::Bool(value) => {
            if kind == "BOOL" {
                vec![Json::Bool(!value)]
            } else {
                Vec::new()
            }
        }
        Json::Other => Vec::new(),
    }
}

fn changes_of_value(value: &Json) -> Vec<Json> {
    let Json::Object(value) = value else { panic!("a value without a type") };
    let (kind, value) = &value[0];
    let others: &[&str] = match value {
        Json::Text(_) => &["S", "N", "B"],
        Json::Bool(_) => &["BOOL", "NULL"],
        Json::Array(elements) if elements.is_empty() => &["SS", "NS", "BS", "L"],
        Json::Array(_) if kind != "L" => &["SS", "NS", "BS"],
        _ => &[],
    };
    let retyped = others.iter().filter(|other| *other != kind).map(|other| typed(other, value.clone()));
    let wrapped = typed("L", Json::Array(vec![typed(kind, value.clone())]));
    let within = changes(kind, value).into_iter().map(|value| typed(kind, value));
    retyped.chain([wrapped]).chain(within).collect()
}

fn changed_elements<T: Clone>(elements: &[T], change: impl Fn(&T) -> Vec<T>) -> Vec<Vec<T>> {
    let mut all = Vec::new();
    for (place, element) in elements.iter().enumerate() {
        let with = |new: &[T]| [&elements[..place], new, &elements[place + 1..]].concat();
        all.extend([with(&[]), with(&[element.clone(), element.clone()])]);
        all.extend(change(element).into_iter().map(|changed| with(&[changed])));
        let mut swapped = elements.to_vec();
        swapped.swap(place, 0);
        all.push(swapped);
    }
    all
}

fn changed_members(members: &[(String, Json)]) -> Vec<Vec<(String, Json)>> {
    let change = |(name, value): &(String, Json)| {
        changes_of_value(value).into_iter().map(|value| (name.clone(), value)).collect()
    };
    changed_elements(members, change)
}

/// With a name that is longer, or that the first character of the value has gone to.
fn changed_names(members: &[(String, Json)]) -> Vec<Vec<(String, Json)>> {
    let change = |(name, value): &(String, Json)| {
        let mut all = vec![(format!("{name}1"), value.clone())];
        let Json::Object(typed_value) = value else { panic!("a value without a type") };
        if let (kind, Json::Text(text)) = &typed_value[0]
            && let Some(first) = text.chars().next()
        {
            let rest = text[first.len_utf8()..].to_owned();
            all.push((format!("{name}{first}"), typed(kind, Json::Text(rest))));
        }
        all
    };
    changed_elements(members, change)
}

proptest! {
    #[test]
    fn the_hash_is_that_of_the_form_by_definition((item, line) in a_line()) {
        let schema = table_key();
        let mut reader = ItemReader::new(&schema);
        let (row, content) = reader.read_line_with_content(line.as_bytes()).unwrap();
        let expected = form_by_definition(&item).unwrap();
        prop_assert_eq!(form(&item.to_string()), expected.clone());
        prop_assert_eq!(content.as_u128(), hash128(&expected));
        let plain = reader.read_line(line.as_bytes()).unwrap();
        prop_assert_eq!((row.item, row.key, row.size_bytes), (plain.item, plain.key, plain.size_bytes));
    }

    #[test]
    fn neither_order_nor_spelling_changes_the_hash((item, line) in a_line(), dice in prop::collection::vec(any::<u8>(), 1..60)) {
        let mut dice = dice.into_iter().cycle();
        let other = Json::Object(vec![("Item".to_owned(), respelt("M", &item, &mut dice))]).spelt(&mut dice);
        prop_assert_eq!(hash(other.as_bytes()), hash(line.as_bytes()), "{}", other);
    }

    #[test]
    fn every_change_of_one_thing_changes_the_form((item, _) in a_line()) {
        let (meaning, form) = (Meaning::of_item(&item), form(&item.to_string()));
        let changes = changes("M", &item);
        prop_assert!(changes.len() > 10);
        for changed in changes {
            let is_same = Meaning::of_item(&changed) == meaning;
            prop_assert_eq!(self::form(&changed.to_string()) == form, is_same, "{}", changed);
        }
    }

    #[test]
    fn a_line_with_one_byte_changed_has_the_hash_that_it_has_by_definition(
        (_, line) in a_line(), places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), "[\"\\\\{}\\[\\],: uSNBML0-9e=]"), 40),
    ) {
        let schema = table_key();
        let mut reader = ItemReader::new(&schema);
        for (place, any, structural) in places {
            for byte in [any, structural.as_bytes()[0]] {
                let mut line = line.clone().into_bytes();
                *place.get_mut(&mut line) = byte;
                let Ok((row, content)) = reader.read_line_with_content(&line) else { continue };
                let form = serde_json::from_slice(row.item).ok().and_then(|item| form_by_definition(&item));
                let by_definition = form.unwrap_or_else(|| [b"J", row.item].concat());
                prop_assert_eq!(content.as_u128(), hash128(&by_definition), "{}", String::from_utf8_lossy(&line));
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), text in "[{}\":,\\\\SNBpkItemu0-9= ]{0,40}") {
        for bytes in [bytes.as_slice(), text.as_bytes()] {
            let _ = ItemReader::new(&table_key()).read_line_with_content(bytes);
        }
        let mut content = Content::default();
        let _ = walk::item(&bytes, &mut content.begin());
        content.finish();
        for kind in ["B", "N"] {
            let item = serde_json::json!({"a": {kind: text}}).to_string();
            prop_assert_eq!(Some(form(&item)), form_by_definition(&serde_json::from_str(&item).unwrap()));
        }
    }
}
