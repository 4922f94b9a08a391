//! One queue: which message is due when, and who holds it.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::attributes::Attributes;
use super::invalid;
use super::message::{Message, Received};
use super::time::Haste;
use crate::wire::Refusal;

pub(super) struct Queue {
    pub(super) arn: String,
    pub(super) attributes: RwLock<Attributes>,
    pub(super) created: i64,
    /// Told whenever a message may have become visible.
    pub(super) arrival: Notify,
    messages: Mutex<Messages>,
    haste: Haste,
    /// Messages that were ever sent.
    sent: AtomicU64,
}

/// How messages are received.
#[derive(Clone, Copy, Debug)]
pub(super) struct Receive {
    pub(super) limit: usize,
    pub(super) visibility: Duration,
    /// A message that was received so often already is dead.
    pub(super) max_receives: Option<u64>,
    pub(super) newest_first: bool,
    /// Each message received is in the queue once more.
    pub(super) duplicate: bool,
    /// By which door the receiver came in.
    pub(super) door: u32,
}

#[derive(Default)]
struct Messages {
    next: u64,
    by_number: HashMap<u64, Slot>,
    /// When each message is visible, or visible again.
    due: BTreeSet<(Instant, u64)>,
}

struct Slot {
    message: Message,
    due: Instant,
    receive_count: u64,
    first_received: i64,
    /// For how long, and by which door, it was received last.
    visibility: Duration,
    door: u32,
}

/// A message that is in a queue, wherever it is.
pub(super) struct Kept {
    pub(super) number: u64,
    pub(super) receives: u64,
    pub(super) message: Message,
}

/// How many messages are where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) visible: usize,
    pub(super) in_flight: usize,
    pub(super) delayed: usize,
}

impl Queue {
    pub(super) fn new(arn: String, attributes: Attributes, haste: Haste) -> Self {
        Self {
            arn,
            attributes: RwLock::new(attributes),
            created: jiff::Timestamp::now().as_second(),
            arrival: Notify::new(),
            messages: Mutex::default(),
            haste,
            sent: AtomicU64::new(0),
        }
    }

    pub(super) fn send(&self, message: Message, delay: Duration) {
        self.messages.lock().add(message, Instant::now() + self.haste.shorten(delay));
        self.sent.fetch_add(1, Ordering::Relaxed);
        self.arrival.notify_waiters();
    }

    /// Takes visible messages, oldest first unless asked otherwise, and hides them; a message that was received too
    /// often already is removed and returned as dead.
    pub(super) fn receive(&self, how: Receive) -> (Vec<Received>, Vec<Message>) {
        let now = Instant::now();
        let mut messages = self.messages.lock();
        let (mut received, mut dead) = (Vec::new(), Vec::new());
        while received.len() < how.limit
            && let Some(number) = messages.next_due(now, how.newest_first)
        {
            if how.max_receives.is_some_and(|limit| messages.receive_count(number) >= limit) {
                dead.extend(messages.remove(number));
            } else {
                received.extend(messages.take(number, now + self.haste.keep(how.visibility), how));
            }
        }
        if how.duplicate {
            for one in &received {
                messages.add(one.message.clone(), now + self.haste.shorten(Duration::ZERO));
            }
        }
        (received, dead)
    }

    /// Makes one message visible now, whoever holds it; false where it is gone.
    pub(super) fn deliver(&self, number: u64) -> bool {
        let mut messages = self.messages.lock();
        let is_there = messages.by_number.contains_key(&number);
        messages.reschedule(number, Instant::now());
        drop(messages);
        self.arrival.notify_waiters();
        is_there
    }

    /// Makes what was received by a door, and is still hidden, visible now, unless the time stands still.
    pub(super) fn give_back(&self, door: u32) {
        let now = Instant::now();
        let mut messages = self.messages.lock();
        for number in messages.held_by(door, now) {
            messages.reschedule(number, now + self.haste.shorten(Duration::ZERO));
        }
        drop(messages);
        self.arrival.notify_waiters();
    }

    /// The highest number of receives among the messages that a door holds; zero where it holds none.
    pub(super) fn most_receives(&self, door: u32) -> u64 {
        let messages = self.messages.lock();
        let held = messages.held_by(door, Instant::now());
        held.into_iter().map(|number| messages.receive_count(number)).max().unwrap_or(0)
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// When the next message turns visible; in the past if one is.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.messages.lock().due.first().map(|(due, _)| *due)
    }

    /// Only the newest handle of a message deletes it; an older one is accepted and does nothing.
    pub(super) fn delete(&self, handle: &str) -> Result<(), Refusal> {
        let handle = Handle::parse(handle)?;
        let mut messages = self.messages.lock();
        if messages.receive_count(handle.number) == handle.receive_count {
            messages.remove(handle.number);
        }
        Ok(())
    }

    /// A deletion that is answered and forgotten: the message is delivered again, as SQS may do even with one that
    /// is deleted (Amazon SQS API Reference, “DeleteMessage”).
    pub(super) fn forget_deletion(&self, handle: &str) -> Result<(), Refusal> {
        let handle = Handle::parse(handle)?;
        let mut messages = self.messages.lock();
        if messages.receive_count(handle.number) == handle.receive_count {
            messages.reschedule(handle.number, Instant::now() + self.haste.shorten(Duration::ZERO));
        }
        drop(messages);
        self.arrival.notify_waiters();
        Ok(())
    }

    /// A change of visibility that is answered and forgotten: the message turns visible when it would have. Haste
    /// passes what is left of that time, too.
    pub(super) fn forget_change(&self, handle: &str) -> Result<(), Refusal> {
        let handle = Handle::parse(handle)?;
        let now = Instant::now();
        let mut messages = self.messages.lock();
        if let Some(left) = messages.by_number.get(&handle.number).map(|slot| slot.due - now) {
            messages.change(handle, now, now + self.haste.shorten(left))?;
        }
        drop(messages);
        self.arrival.notify_waiters();
        Ok(())
    }

    pub(super) fn change_visibility(&self, handle: &str, timeout: Duration) -> Result<(), Refusal> {
        let handle = Handle::parse(handle)?;
        let now = Instant::now();
        let mut messages = self.messages.lock();
        // Who keeps a message for as long as it was received counts on having that time.
        let is_extension =
            messages.by_number.get(&handle.number).is_some_and(|slot| slot.visibility == timeout);
        let timeout = if is_extension { self.haste.keep(timeout) } else { self.haste.shorten(timeout) };
        messages.change(handle, now, now + timeout)?;
        drop(messages);
        self.arrival.notify_waiters();
        Ok(())
    }

    pub(super) fn purge(&self) {
        let mut messages = self.messages.lock();
        messages.by_number.clear();
        messages.due.clear();
    }

    pub(super) fn counts(&self) -> Counts {
        let now = Instant::now();
        let mut counts = Counts::default();
        for slot in self.messages.lock().by_number.values() {
            match slot {
                slot if slot.due <= now => counts.visible += 1,
                slot if slot.receive_count > 0 => counts.in_flight += 1,
                _ => counts.delayed += 1,
            }
        }
        counts
    }

    /// Every message, wherever it is, in the order sent.
    pub(super) fn all(&self) -> Vec<Kept> {
        let messages = self.messages.lock();
        let mut kept: Vec<_> = messages
            .by_number
            .iter()
            .map(|(number, slot)| Kept {
                number: *number,
                receives: slot.receive_count,
                message: slot.message.clone(),
            })
            .collect();
        kept.sort_by_key(|kept| kept.number);
        kept
    }
}

impl Messages {
    fn add(&mut self, message: Message, due: Instant) {
        let number = self.next;
        self.next += 1;
        self.due.insert((due, number));
        let slot =
            Slot { message, due, receive_count: 0, first_received: 0, visibility: Duration::ZERO, door: 0 };
        self.by_number.insert(number, slot);
    }

    /// A message that is visible.
    fn next_due(&self, now: Instant, newest_first: bool) -> Option<u64> {
        let mut visible = self.due.range(..=(now, u64::MAX));
        let next = if newest_first { visible.next_back() } else { visible.next() };
        next.map(|(_, number)| *number)
    }

    fn held_by(&self, door: u32, now: Instant) -> Vec<u64> {
        let is_held = |slot: &Slot| slot.receive_count > 0 && slot.door == door && slot.due > now;
        self.by_number.iter().filter(|(_, slot)| is_held(slot)).map(|(number, _)| *number).collect()
    }

    /// Zero for a message that is gone, too.
    fn receive_count(&self, number: u64) -> u64 {
        self.by_number.get(&number).map_or(0, |slot| slot.receive_count)
    }

    fn take(&mut self, number: u64, due: Instant, how: Receive) -> Option<Received> {
        let slot = self.by_number.get_mut(&number)?;
        slot.receive_count += 1;
        (slot.visibility, slot.door) = (how.visibility, how.door);
        if slot.first_received == 0 {
            slot.first_received = jiff::Timestamp::now().as_millisecond();
        }
        let received = Received {
            message: slot.message.clone(),
            receipt_handle: Handle { number, receive_count: slot.receive_count }.to_text(&slot.message.id),
            receive_count: slot.receive_count,
            first_received: slot.first_received,
        };
        self.reschedule(number, due);
        Some(received)
    }

    fn change(&mut self, handle: Handle, now: Instant, due: Instant) -> Result<(), Refusal> {
        let Some(slot) = self.by_number.get(&handle.number) else {
            return Err(invalid(
                "Value for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available \
                 for visibility timeout change.",
            ));
        };
        if slot.receive_count != handle.receive_count {
            return Err(invalid_handle());
        }
        if slot.due <= now {
            return Err(Refusal::bad_request("MessageNotInflight", "The specified message isn't in flight."));
        }
        self.reschedule(handle.number, due);
        Ok(())
    }

    fn reschedule(&mut self, number: u64, due: Instant) {
        if let Some(slot) = self.by_number.get_mut(&number) {
            self.due.remove(&(slot.due, number));
            self.due.insert((due, number));
            slot.due = due;
        }
    }

    fn remove(&mut self, number: u64) -> Option<Message> {
        let slot = self.by_number.remove(&number)?;
        self.due.remove(&(slot.due, number));
        Some(slot.message)
    }
}

/// What a receipt handle says: which message, and which of its receives.
struct Handle {
    number: u64,
    receive_count: u64,
}

impl Handle {
    fn to_text(&self, message_id: &str) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(format!("{}/{}/{message_id}", self.number, self.receive_count))
    }

    fn parse(text: &str) -> Result<Self, Refusal> {
        let parse = || {
            let decoded = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
            let mut fields = decoded.split('/');
            Some(Self { number: fields.next()?.parse().ok()?, receive_count: fields.next()?.parse().ok()? })
        };
        parse().ok_or_else(invalid_handle)
    }
}

fn invalid_handle() -> Refusal {
    Refusal::new(404, "ReceiptHandleIsInvalid", "The input receipt handle is invalid.")
}
