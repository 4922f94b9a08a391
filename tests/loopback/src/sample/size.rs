//! The size DynamoDB counts for an item: attribute names and values, not the JSON they travel in.
//!
//! Source: "DynamoDB item sizes and formats" in the Amazon DynamoDB Developer Guide. It calls the size of a
//! number approximate; here a number is never counted too small.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

/// The largest item DynamoDB stores, in bytes: 400 KB.
pub(super) const ITEM_LIMIT_BYTES: usize = 400 * 1024;

/// The size of an item in bytes.
pub(super) fn item_bytes(item: &Value) -> usize {
    entries(item).map(|(name, value)| name.len() + value_bytes(value)).sum()
}

fn value_bytes(value: &Value) -> usize {
    let (kind, inner) = entries(value).next().expect("an attribute value has a type");
    match kind.as_str() {
        "S" => text(inner).len(),
        "N" => number_bytes(text(inner)),
        "B" => binary_bytes(text(inner)),
        "SS" => elements(inner).map(|value| text(value).len()).sum(),
        "NS" => elements(inner).map(|value| number_bytes(text(value))).sum(),
        "BS" => elements(inner).map(|value| binary_bytes(text(value))).sum(),
        "L" => 3 + elements(inner).map(|value| 1 + value_bytes(value)).sum::<usize>(),
        "M" => 3 + entries(inner).map(|(name, value)| name.len() + 1 + value_bytes(value)).sum::<usize>(),
        _ => 1,
    }
}

/// One byte for two digits on each side of the point, one more, and one for a minus sign.
fn number_bytes(number: &str) -> usize {
    let digits = number.bytes().take_while(|byte| !matches!(byte, b'e' | b'E')).filter(u8::is_ascii_digit);
    digits.count().div_ceil(2) + 2 + usize::from(number.starts_with('-'))
}

fn binary_bytes(encoded: &str) -> usize {
    BASE64.decode(encoded).expect("a sample is valid base64").len()
}

fn entries(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flatten()
}

fn elements(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("S, N and B hold text")
}
