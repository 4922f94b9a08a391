//! Pages of a Scan that hold less than they could, as AWS may send them.

use serde_json::{Value, json};

use super::Answer;

/// A page without items, which ends where it began: at the request's start key. Where there is none yet, a page of
/// one item, so that there is one for the next.
pub(super) fn empty(body: &[u8], scan: impl FnOnce(&[u8]) -> Answer) -> Answer {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let Some(start) = request.get("ExclusiveStartKey") else { return scan(&limited(body, 1)) };
    let mut page = json!({ "Items": [], "Count": 0, "ScannedCount": 0, "LastEvaluatedKey": start });
    if request.get("ReturnConsumedCapacity").is_some_and(|asked| asked != "NONE") {
        page["ConsumedCapacity"] = json!({ "TableName": request["TableName"], "CapacityUnits": 0.5 });
    }
    Ok(page.to_string())
}

/// The request for a page of at most so many items.
pub(super) fn limited(body: &[u8], items: u32) -> Vec<u8> {
    let Ok(mut request) = serde_json::from_slice::<Value>(body) else { return body.to_vec() };
    let asked = request["Limit"].as_u64().unwrap_or(u64::MAX);
    request["Limit"] = json!(asked.min(items.into()));
    request.to_string().into_bytes()
}
