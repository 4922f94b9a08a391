//! Faults at the wire: what a test asks to go wrong with a call.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use parking_lot::RwLock;
use serde_json::json;

use crate::call::Call;
use crate::wire::{AMZ_JSON_1_0, Reply};

/// What goes wrong with one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The service refuses, in its own error shape. The call has no effect.
    Error { status: u16, code: String, message: String },
    /// DynamoDB refuses for want of capacity, and gives this as its `ThrottlingReasons`. The call has no effect.
    Throttled { reason: &'static str },
    /// The call takes effect; the connection closes without an answer.
    LostAnswer,
    /// The connection closes before the call takes effect.
    Reset,
    /// The call takes effect after this long, whether or not the caller is still there.
    Delay(Duration),
    /// `BatchWriteItem` only: the last n requests are not carried out and come back as `UnprocessedItems`.
    Unprocessed(usize),
    /// The call takes effect; one byte of the answer is flipped after its checksum was made.
    CorruptBody,
    /// The call takes effect; the connection closes halfway through the answer's body.
    TruncatedBody,
}

impl Fault {
    /// A refusal with a message nobody reads.
    pub fn error(status: u16, code: &str) -> Self {
        Self::Error { status, code: code.to_owned(), message: format!("{code} by request of the test") }
    }
}

type Hook = dyn Fn(&Call) -> Option<Fault> + Send + Sync;

/// The hook that decides about each call.
#[derive(Default)]
pub(crate) struct Faults(RwLock<Option<Arc<Hook>>>);

impl Faults {
    pub(crate) fn set(&self, hook: Arc<Hook>) {
        *self.0.write() = Some(hook);
    }

    pub(crate) fn clear(&self) {
        *self.0.write() = None;
    }

    /// The hook runs outside the lock, so it may itself set or clear the hook.
    pub(crate) fn for_call(&self, call: &Call) -> Option<Fault> {
        let hook = self.0.read().clone();
        hook.and_then(|hook| hook(call))
    }
}

/// A throttle as DynamoDB words it (DynamoDB API Reference, “ThrottlingReason”).
pub(crate) fn throttled(reason: &str) -> Reply {
    let body = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
        "message": "Throughput exceeds the current capacity of your table or index.",
        "ThrottlingReasons": [{
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
