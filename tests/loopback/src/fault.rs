//! Faults at the wire: what a test asks to go wrong with a call.

mod class;
mod plan;
mod spoil;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;

use crate::call::Call;

pub use class::{CLASSES, Class};
pub use plan::{FaultPlan, When};
pub(crate) use spoil::{corrupt, halved, throttled, with_wrong_crc32};

/// What goes wrong with one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The service refuses, in its own error shape. The call has no effect.
    Error { status: u16, code: String, message: String },
    /// DynamoDB refuses for want of capacity, with this exception, and gives this as its `ThrottlingReasons`. The
    /// call has no effect.
    Throttled { code: &'static str, reason: &'static str },
    /// The call takes effect; the connection closes without an answer.
    LostAnswer,
    /// The connection closes before the call takes effect.
    Reset,
    /// The call takes effect after this long, whether or not the caller is still there.
    Delay(Duration),
    /// The call takes effect; half of the answer's body is sent, and nothing more for this long.
    StalledBody(Duration),
    /// The call takes effect; one byte of the answer is flipped after its checksum was made.
    CorruptBody,
    /// The call takes effect; the answer is sound, but its `x-amz-crc32` is another's.
    WrongChecksum,
    /// The call takes effect; the connection closes halfway through the answer's body.
    TruncatedBody,
    /// The session behind the call is over, whatever expiry its holder was told: this call and all later ones of it
    /// are refused as expired.
    ExpiredSession,
    /// All sessions of the role behind the call are revoked, as an administrator does it: this call and all later
    /// ones of them are denied, and sessions that begin later are not.
    RevokedSessions,
    /// `BatchWriteItem` only: the last n requests are not carried out and come back as `UnprocessedItems`.
    Unprocessed(usize),
    /// `BatchWriteItem` only: the same for every request in whose JSON this text is.
    UnprocessedWith(String),
    /// `Scan` only: a page without items that says where to go on, which is where it began. A page that begins at
    /// the beginning has one item instead.
    EmptyPage,
    /// `Scan` only: a page of at most so many items.
    ShortPage(u32),
    /// `ReceiveMessage` only: each message received is in the queue a second time.
    Duplicate,
    /// `ReceiveMessage` only: the newest messages come first.
    NewestFirst,
    /// `DeleteMessage` and `ChangeMessageVisibility` only: the answer is that of success. A message to be deleted
    /// is delivered again instead, and one to be kept for longer is not.
    Ignored,
}

impl Fault {
    /// A refusal with a message nobody reads.
    pub fn error(status: u16, code: &str) -> Self {
        Self::Error { status, code: code.to_owned(), message: format!("{code} by request of the test") }
    }

    /// How a call under this fault is carried out.
    pub(crate) fn twist(&self) -> Twist {
        match self {
            Self::Unprocessed(count) => Twist::HoldBackLast(*count),
            Self::UnprocessedWith(text) => Twist::HoldBackWith(text.clone()),
            Self::EmptyPage => Twist::EmptyPage,
            Self::ShortPage(items) => Twist::ShortPage(*items),
            Self::Duplicate => Twist::Duplicate,
            Self::NewestFirst => Twist::NewestFirst,
            Self::Ignored => Twist::Ignore,
            _ => Twist::None,
        }
    }
}

/// What a fault changes about how a service carries out a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Twist {
    #[default]
    None,
    HoldBackLast(usize),
    HoldBackWith(String),
    EmptyPage,
    ShortPage(u32),
    Duplicate,
    NewestFirst,
    Ignore,
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
