//! A queue as a test sees it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::input::Outgoing;
use super::message::Message;
use super::queue::Queue;

/// A queue, looked at from behind: nothing here counts as a receive.
#[derive(Clone)]
pub struct QueueView(Arc<Queue>);

/// A message in a queue.
#[derive(Clone, Debug)]
pub struct KeptMessage {
    /// Tells it from all others of its queue.
    pub number: u64,
    pub receives: u64,
    pub body: String,
}

impl QueueView {
    pub(super) fn new(queue: Arc<Queue>) -> Self {
        Self(queue)
    }

    /// Messages that a receiver would get now.
    pub fn visible(&self) -> usize {
        self.0.counts().visible
    }

    /// Messages that were received and are still hidden.
    pub fn in_flight(&self) -> usize {
        self.0.counts().in_flight
    }

    /// Messages whose delay has not passed.
    pub fn delayed(&self) -> usize {
        self.0.counts().delayed
    }

    /// Messages that were ever sent to it.
    pub fn sent(&self) -> u64 {
        self.0.sent()
    }

    /// Bodies and attributes (binary ones as base64) of all messages, in the order sent.
    pub fn messages(&self) -> Vec<(String, BTreeMap<String, String>)> {
        let texts = |message: &Message| {
            message.attributes.iter().map(|(name, value)| (name.clone(), value.text())).collect()
        };
        self.0.all().iter().map(|kept| (kept.message.body.clone(), texts(&kept.message))).collect()
    }

    /// Every message, wherever it is, in the order sent.
    pub fn kept(&self) -> Vec<KeptMessage> {
        let kept = self.0.all().into_iter();
        kept.map(|kept| KeptMessage {
            number: kept.number,
            receives: kept.receives,
            body: kept.message.body.clone(),
        })
        .collect()
    }

    /// Deletes every message.
    pub fn purge(&self) {
        self.0.purge();
    }

    /// Has messages moved to the dead-letter queue after so many receives, where there is one.
    pub fn allow_receives(&self, max_receives: u64) {
        self.0.attributes.write().allow_receives(max_receives);
    }

    /// Makes a message visible now, whether it waits or somebody holds it; false where it is gone.
    pub fn deliver(&self, number: u64) -> bool {
        self.0.deliver(number)
    }

    /// Sends a message, visible at once.
    ///
    /// # Panics
    ///
    /// If SQS would not take it.
    pub fn send(&self, body: &str) {
        let outgoing = Outgoing { body: Some(body.to_owned()), ..Outgoing::default() };
        match Message::accept(outgoing, "loopback", usize::MAX) {
            Ok(message) => self.0.send(message, Duration::ZERO),
            Err(refusal) => panic!("SQS does not take this message: {}", refusal.message),
        }
    }
}
