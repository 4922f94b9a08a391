//! What processes have cost, as the kernel counts it.

use anyhow::Result;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

/// CPU time and memory of a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// User and system time.
    pub(crate) cpu_seconds: f64,
    /// The most memory that was resident at once, in bytes.
    pub(crate) peak_rss_bytes: u64,
}

pub(crate) fn of_this_process() -> Result<Usage> {
    usage(UsageWho::RUSAGE_SELF)
}

/// Of the children that have ended: time is their sum, memory that of the largest.
pub(crate) fn of_ended_children() -> Result<Usage> {
    usage(UsageWho::RUSAGE_CHILDREN)
}

fn usage(who: UsageWho) -> Result<Usage> {
    let usage = getrusage(who)?;
    Ok(Usage {
        cpu_seconds: seconds(usage.user_time()) + seconds(usage.system_time()),
        peak_rss_bytes: u64::try_from(usage.max_rss())? * 1024,
    })
}

fn seconds(time: TimeVal) -> f64 {
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}
