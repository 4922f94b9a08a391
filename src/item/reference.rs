//! What items are by definition, for tests and fuzzing: parsed by serde_json into a tree, slow and plain.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

// Not from the crate's root: `fuzz/` has this file in a crate of its own.
use super::super::schema::{KeyAttribute, KeySchema};

/// A JSON value that keeps the order of its members, and those that are there twice.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json {
    Object(Vec<(String, Json)>),
    Array(Vec<Json>),
    Text(String),
    Bool(bool),
    Other,
}

/// The hash of the key and the size of the item in a line; none when it is not an item of the table.
pub(super) fn read_by_definition(line: &[u8], schema: &KeySchema) -> Option<(u128, u64)> {
    let Json::Object(line) = serde_json::from_slice(line).ok()? else { return None };
    let [(name, Json::Object(item))] = line.as_slice() else { return None };
    let size = members_bytes(item, 0)?;
    let mut canonical = Vec::new();
    for attribute in [Some(&schema.partition), schema.sort.as_ref()].into_iter().flatten() {
        canonical.extend(key_part(item, attribute)?);
    }
    let hash = blake3::hash(&canonical).as_bytes()[..16].try_into().unwrap();
    (name == "Item").then_some((u128::from_be_bytes(hash), size))
}

fn key_part(item: &[(String, Json)], attribute: &KeyAttribute) -> Option<Vec<u8>> {
    let mut found = item.iter().filter(|(name, _)| *name == attribute.name);
    let (Some((name, Json::Object(value))), None) = (found.next(), found.next()) else { return None };
    let [(kind, Json::Text(value))] = value.as_slice() else { return None };
    let value = if kind == "N" { canonical_number(value)? } else { value.clone() };
    let length = |text: &str| (text.len() as u64).to_be_bytes();
    let parts = [&length(name)[..], name.as_bytes(), kind.as_bytes(), &length(&value), value.as_bytes()];
    (kind == attribute.kind.as_str()).then(|| parts.concat())
}

/// The size of attributes, or of what is in a map, where each takes `overhead` more.
fn members_bytes(members: &[(String, Json)], overhead: u64) -> Option<u64> {
    let each = members.iter().map(|(name, value)| Some(name.len() as u64 + overhead + value_bytes(value)?));
    each.sum()
}

fn value_bytes(value: &Json) -> Option<u64> {
    let Json::Object(value) = value else { return None };
    let [(kind, value)] = value.as_slice() else { return None };
    match (kind.as_str(), value) {
        ("S" | "N" | "B", Json::Text(text)) => text_bytes(kind, text),
        ("BOOL" | "NULL", Json::Bool(_)) => Some(1),
        ("M", Json::Object(members)) => Some(3 + members_bytes(members, 1)?),
        ("L", Json::Array(elements)) => {
            Some(3 + elements.iter().map(|element| Some(1 + value_bytes(element)?)).sum::<Option<u64>>()?)
        }
        ("SS" | "NS" | "BS", Json::Array(texts)) => texts.iter().map(|text| set_bytes(kind, text)).sum(),
        _ => None,
    }
}

fn set_bytes(kind: &str, text: &Json) -> Option<u64> {
    let Json::Text(text) = text else { return None };
    text_bytes(&kind[..1], text)
}

fn text_bytes(kind: &str, text: &str) -> Option<u64> {
    match kind {
        "N" => number_bytes(text),
        "B" => {
            let padding = text.bytes().rev().take(2).take_while(|byte| *byte == b'=').count();
            Some((text.len() - padding) as u64 * 6 / 8)
        }
        _ => Some(text.len() as u64),
    }
}

/// Counts in the number as it is written without an exponent.
fn number_bytes(text: &str) -> Option<u64> {
    let canonical = canonical_number(text)?;
    let Some((digits, exponent)) = canonical.split_once('e') else { return Some(1) };
    let digits = digits.trim_start_matches('-');
    let exponent: i64 = exponent.parse().unwrap();
    let behind = usize::try_from(-exponent.min(0)).unwrap();
    let (whole, fraction) = match digits.len().checked_sub(behind) {
        Some(point) => digits.split_at(point),
        None => ("", digits),
    };
    let minus = u64::from(text.starts_with('-'));
    Some(1 + (whole.len() as u64).div_ceil(2) + (fraction.len() as u64).div_ceil(2) + minus)
}

/// The canonical form of an item; none where a value has a form that is not known.
pub(super) fn form_by_definition(item: &Json) -> Option<Vec<u8>> {
    form("M", item)
}

fn form(kind: &str, value: &Json) -> Option<Vec<u8>> {
    match (kind, value) {
        ("S", Json::Text(text)) => Some(sized("S", text.as_bytes())),
        ("N", Json::Text(text)) => Some(match canonical_number(text) {
            Some(number) => sized("N", number.as_bytes()),
            None => sized("#", text.as_bytes()),
        }),
        ("B", Json::Text(text)) => Some(match base64_bytes(text) {
            Some(bytes) => sized("B", &bytes),
            None => sized("%", text.as_bytes()),
        }),
        ("BOOL", Json::Bool(value)) => Some(if *value { b"T".to_vec() } else { b"F".to_vec() }),
        ("NULL", Json::Bool(_)) => Some(b"0".to_vec()),
        ("L", Json::Array(elements)) => {
            Some(counted("L", elements.iter().map(typed_form).collect::<Option<_>>()?))
        }
        ("M", Json::Object(members)) => {
            let member = |(name, value): &(String, Json)| {
                Some([sized("", name.as_bytes()), typed_form(value)?].concat())
            };
            let mut parts: Vec<_> = members.iter().map(member).collect::<Option<_>>()?;
            parts.sort();
            Some(counted("M", parts))
        }
        ("SS" | "NS" | "BS", Json::Array(elements)) => {
            let element = |element: &Json| match element {
                Json::Text(_) => form(&kind[..1], element),
                _ => None,
            };
            let mut parts: Vec<_> = elements.iter().map(element).collect::<Option<_>>()?;
            parts.sort();
            Some(counted(&kind[..1].to_lowercase(), parts))
        }
        _ => None,
    }
}

fn typed_form(value: &Json) -> Option<Vec<u8>> {
    let Json::Object(value) = value else { return None };
    let [(kind, value)] = value.as_slice() else { return None };
    form(kind, value)
}

fn sized(tag: &str, bytes: &[u8]) -> Vec<u8> {
    [tag.as_bytes(), &leb128(bytes.len()), bytes].concat()
}

fn counted(tag: &str, parts: Vec<Vec<u8>>) -> Vec<u8> {
    [tag.as_bytes(), &leb128(parts.len()), &parts.concat()].concat()
}

fn leb128(number: usize) -> Vec<u8> {
    let low = u8::try_from(number % 128).unwrap();
    if number < 128 { vec![low] } else { [vec![low + 128], leb128(number / 128)].concat() }
}

/// What a padded base64 text stands for, bit by bit; none where it is not the one text for its bytes.
pub(super) fn base64_bytes(text: &str) -> Option<Vec<u8>> {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text.trim_end_matches('=');
    if !text.len().is_multiple_of(4) || text.len() - digits.len() > 2 {
        return None;
    }
    let values: Vec<_> = digits.chars().map(|digit| DIGITS.find(digit)).collect::<Option<_>>()?;
    let bits: Vec<_> =
        values.iter().flat_map(|value| (0..6).rev().map(move |bit| value >> bit & 1)).collect();
    let (bytes, rest) = bits.split_at(bits.len() / 8 * 8);
    let byte = |bits: &[usize]| u8::try_from(bits.iter().fold(0, |byte, bit| byte * 2 + bit)).unwrap();
    rest.iter().all(|bit| *bit == 0).then(|| bytes.chunks(8).map(byte).collect())
}

/// `<sign><digits>e<exponent>` without zeros at either end of the digits, or `0`.
pub(super) fn canonical_number(text: &str) -> Option<String> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let significant = digits.trim_end_matches('0');
    let moved = digits.len() as i64 - significant.len() as i64 - fraction.len() as i64;
    let exponent = i64::from(exponent.parse::<i32>().ok()?) + moved;
    Some(match significant.trim_start_matches('0') {
        "" => "0".to_owned(),
        digits => format!("{}{digits}e{exponent}", if text.starts_with('-') { "-" } else { "" }),
    })
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Json::Object(members))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Json, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = array.next_element()? {
            elements.push(element);
        }
        Ok(Json::Array(elements))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Other)
    }
}
