//! How a command ends: the exit codes.

use std::process::ExitCode;

use crate::error::Kind;

/// The outcome of a command, with its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything that was asked for is done; of a run, the facts in the bucket say so.
    Complete = 0,
    /// It did not work, or no table of the run is archived.
    Failed = 1,
    /// At least one table of the run is archived, and at least one is not complete.
    Partial = 2,
    /// The command line or a setting is wrong, and nothing was started (`EX_USAGE` of sysexits.h).
    Usage = 64,
    /// It was stopped from outside before it was done (128 + SIGINT, as shells report it).
    Interrupted = 130,
}

impl From<Kind> for Exit {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Usage => Self::Usage,
            Kind::Permanent | Kind::Retryable => Self::Failed,
            Kind::Interrupted => Self::Interrupted,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_codes_are_those_of_the_manual() {
        let exits = [Exit::Complete, Exit::Failed, Exit::Partial, Exit::Usage, Exit::Interrupted];
        assert_eq!(exits.map(|exit| exit as u8), [0, 1, 2, 64, 130]);
    }

    #[test]
    fn every_kind_of_error_has_its_exit() {
        let kinds = [Kind::Usage, Kind::Permanent, Kind::Retryable, Kind::Interrupted];
        assert_eq!(kinds.map(Exit::from), [Exit::Usage, Exit::Failed, Exit::Failed, Exit::Interrupted]);
    }
}
