//! Stopping on a signal: the first asks, the second insists.

use std::process;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::error::{Error, Result};
use crate::exit::Exit;

/// Tells everything in the process to stop taking work and to leave what it has whole.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    token: CancellationToken,
}

impl Shutdown {
    /// Begins at the first SIGTERM or SIGINT; a second one exits the process at once with 130.
    ///
    /// The handlers are in place when this returns: the kernel discards signals that PID 1, as which a
    /// container's process runs, has no handler for. Needs a tokio runtime.
    pub fn on_signals() -> Result<Self> {
        let signals = Signals::install()?;
        let shutdown = Self::manual();
        tokio::spawn(follow(signals, shutdown.token()));
        Ok(shutdown)
    }

    /// Begins only when [`Shutdown::begin`] is called.
    pub fn manual() -> Self {
        Self::default()
    }

    pub fn begin(&self) {
        self.token.cancel();
    }

    /// Cancelled once the shutdown has begun.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }
}

async fn follow(mut signals: Signals, token: CancellationToken) {
    let name = signals.next().await;
    info!(signal = name, "stopping: running jobs end at their next page; a second signal exits at once");
    token.cancel();
    let name = signals.next().await;
    warn!(signal = name, "exiting at once: messages in work come back after their visibility timeout");
    process::exit(i32::from(Exit::Interrupted as u8));
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn install() -> Result<Self> {
        let install = |kind| {
            signal(kind).map_err(|error| Error::permanent("install the signal handlers").with_source(error))
        };
        Ok(Self {
            terminate: install(SignalKind::terminate())?,
            interrupt: install(SignalKind::interrupt())?,
        })
    }

    /// Waits for either and tells its name.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn the_first_signal_begins_the_shutdown_and_lets_the_process_live() {
        let shutdown = Shutdown::on_signals().unwrap();
        assert!(!shutdown.token().is_cancelled());
        let status = Command::new("kill").args(["-TERM", &process::id().to_string()]).status().unwrap();
        assert!(status.success());
        tokio::time::timeout(Duration::from_secs(5), shutdown.token().cancelled()).await.unwrap();
    }

    #[test]
    fn a_manual_shutdown_begins_when_told_and_all_its_tokens_with_it() {
        let shutdown = Shutdown::manual();
        let (early, clone) = (shutdown.token(), shutdown.clone());
        assert!(!early.is_cancelled());
        shutdown.begin();
        assert!(early.is_cancelled() && clone.token().is_cancelled());
    }
}
