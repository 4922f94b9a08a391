//! How fast the time of the queues passes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

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

    /// What a wait comes to.
    pub(super) fn shorten(&self, wait: Duration) -> Duration {
        wait / self.0.load(Ordering::Relaxed)
    }
}
