//! How fast the time of the queues passes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Longer than any test.
const FOR_EVER: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// The factor of a time that stands still.
const STANDSTILL: u32 = 0;

/// How many times as fast as a clock's the waiting of messages passes. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Haste(Arc<AtomicU32>);

impl Default for Haste {
    fn default() -> Self {
        Self(Arc::new(AtomicU32::new(1)))
    }
}

impl Haste {
    pub(super) fn set(&self, factor: u32) {
        self.0.store(factor.max(1), Ordering::Relaxed);
    }

    pub(super) fn stand_still(&self) {
        self.0.store(STANDSTILL, Ordering::Relaxed);
    }

    /// What a wait comes to, no wait included.
    pub(super) fn shorten(&self, wait: Duration) -> Duration {
        match self.0.load(Ordering::Relaxed) {
            STANDSTILL => FOR_EVER,
            factor => wait / factor,
        }
    }

    /// What the time comes to for which somebody keeps a message that he received.
    pub(super) fn keep(&self, visibility: Duration) -> Duration {
        match self.0.load(Ordering::Relaxed) {
            STANDSTILL => FOR_EVER,
            _ => visibility,
        }
    }
}
