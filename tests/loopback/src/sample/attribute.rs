//! Attribute values in DynamoDB JSON, each function named after the type it makes where the name is free:
//! `bool` is a type, and `null` a word of `json!`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

pub(super) fn s(text: impl Into<String>) -> Value {
    json!({ "S": text.into() })
}

/// A number, sent as text in the spelling it is given.
pub(super) fn n(number: impl ToString) -> Value {
    json!({ "N": number.to_string() })
}

pub(super) fn b(bytes: impl AsRef<[u8]>) -> Value {
    json!({ "B": BASE64.encode(bytes) })
}

pub(super) fn boolean(value: bool) -> Value {
    json!({ "BOOL": value })
}

pub(super) fn nothing() -> Value {
    json!({ "NULL": true })
}

/// A map; `entries` is a JSON object of attribute values, written like an item.
pub(super) fn m(entries: Value) -> Value {
    json!({ "M": entries })
}

pub(super) fn l(values: impl IntoIterator<Item = Value>) -> Value {
    json!({ "L": values.into_iter().collect::<Vec<_>>() })
}

pub(super) fn ss<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Value {
    json!({ "SS": texts.into_iter().map(Into::into).collect::<Vec<String>>() })
}

pub(super) fn ns<T: ToString>(numbers: impl IntoIterator<Item = T>) -> Value {
    json!({ "NS": numbers.into_iter().map(|number| number.to_string()).collect::<Vec<_>>() })
}

pub(super) fn bs<T: AsRef<[u8]>>(binaries: impl IntoIterator<Item = T>) -> Value {
    json!({ "BS": binaries.into_iter().map(|bytes| BASE64.encode(bytes)).collect::<Vec<_>>() })
}
