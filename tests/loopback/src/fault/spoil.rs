//! What faults do to answers.

use bytes::Bytes;
use http::StatusCode;
use serde_json::json;

use crate::wire::{AMZ_JSON_1_0, Reply, dynamodb_namespace};

/// A throttle as DynamoDB words it (DynamoDB API Reference, “ThrottlingReason”). `ThrottlingException` spells its
/// members in lower case, as aws-sdk-dynamodb reads them.
pub(crate) fn throttled(code: &str, reason: &str) -> Reply {
    let member = if code == "ThrottlingException" { "throttlingReasons" } else { "ThrottlingReasons" };
    let body = json!({
        "__type": format!("{}{code}", dynamodb_namespace(code)),
        "message": "Throughput exceeds the current capacity of your table or index.",
        member: [{
            "reason": reason,
            "resource": "arn:aws:dynamodb:eu-west-1:111111111111:table/throttled",
        }],
    });
    Reply::new(StatusCode::BAD_REQUEST, AMZ_JSON_1_0, body.to_string()).with_crc32()
}

/// Flips a bit in the middle of the body, and leaves every header as it is.
pub(crate) fn corrupt(mut reply: Reply) -> Reply {
    let mut body = reply.body.to_vec();
    let middle = body.len() / 2;
    if let Some(byte) = body.get_mut(middle) {
        *byte ^= 1;
    }
    reply.body = Bytes::from(body);
    reply
}

/// The checksum of another body.
pub(crate) fn with_wrong_crc32(reply: Reply) -> Reply {
    let crc32 = crc32fast::hash(&reply.body) ^ 1;
    reply.with("x-amz-crc32", &crc32.to_string())
}

/// The first half of a body.
pub(crate) fn halved(body: &Bytes) -> Bytes {
    body.slice(..body.len() / 2)
}
