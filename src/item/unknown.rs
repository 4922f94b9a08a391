//! Items with values of a form that this program does not know: a type that DynamoDB may have one day, say.
//!
//! Their key is found all the same, and what is in them is for DynamoDB to judge: it had them, so it may take
//! them, and if it does not, it says so of this one item.

use std::borrow::Cow;

use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::is_object;
use crate::schema::KeySchema;

/// The item in a line that has nothing else; `None` where the line is not JSON, or not that.
pub(super) fn line_item(line: &[u8]) -> Option<&[u8]> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Line<'a> {
        #[serde(rename = "Item", borrow)]
        item: &'a RawValue,
    }
    let found: Line<'_> = serde_json::from_slice(line).ok()?;
    let item = found.item.get().as_bytes();
    (is_object(line) && is_object(item)).then_some(item)
}

/// An item of nothing but the key attributes of an item, each as often as it is there; `None` where the item is
/// not JSON.
pub(super) fn key_alone(item: &[u8], schema: &KeySchema) -> Option<Vec<u8>> {
    let mut json = serde_json::Deserializer::from_slice(item);
    let key = json.deserialize_map(KeyMembers(schema)).ok()?;
    json.end().ok().map(|()| key)
}

struct KeyMembers<'s>(&'s KeySchema);

/// A string that is borrowed from the JSON unless it holds escapes.
#[derive(Deserialize, Serialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Visitor<'de> for KeyMembers<'_> {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an item")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut item: A) -> Result<Vec<u8>, A::Error> {
        let mut key = b"{".to_vec();
        while let Some(name) = item.next_key::<Name<'_>>()? {
            let is_sort = self.0.sort.as_ref().is_some_and(|sort| name.0 == sort.name);
            if name.0 != self.0.partition.name && !is_sort {
                item.next_value::<IgnoredAny>()?;
                continue;
            }
            let value: &RawValue = item.next_value()?;
            if key.len() > 1 {
                key.push(b',');
            }
            key.extend(serde_json::to_vec(&name).map_err(A::Error::custom)?);
            key.push(b':');
            key.extend_from_slice(value.get().as_bytes());
        }
        key.push(b'}');
        Ok(key)
    }
}
