//! What went wrong, and what that means for the message or command that was being worked on.

use std::fmt;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the caller can do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The command line, a setting or the environment is wrong: nothing was started.
    Usage,
    /// Trying again cannot help: a bad message, access denied, a table that is gone, a corrupt part.
    Permanent,
    /// Trying again later may help: throttling, 5xx, a timeout, the network, an expired token.
    Retryable,
    /// The work was stopped from outside (shutdown, or the message's lease was lost) and is whole.
    Interrupted,
}

/// An error that names the step that failed as a verb phrase (“describe table orders”), with its cause.
///
/// `{error:#}` prints the whole chain as one sentence.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    context: String,
    source: Option<Source>,
    mend: Option<String>,
}

impl Error {
    pub fn usage(context: impl Into<String>) -> Self {
        Self::new(Kind::Usage, context)
    }

    pub fn permanent(context: impl Into<String>) -> Self {
        Self::new(Kind::Permanent, context)
    }

    pub fn retryable(context: impl Into<String>) -> Self {
        Self::new(Kind::Retryable, context)
    }

    pub fn interrupted(context: impl Into<String>) -> Self {
        Self::new(Kind::Interrupted, context)
    }

    pub fn new(kind: Kind, context: impl Into<String>) -> Self {
        Self { kind, context: context.into(), source: None, mend: None }
    }

    /// Adds the cause; its text follows this error's in `{:#}`.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Adds what to do about it, as an imperative without a full stop, for whoever reads a report.
    #[must_use]
    pub fn with_mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(mend.into());
        self
    }

    /// What is wrong, why, and what to do about it, as one sentence: what reports and dead letters say.
    pub fn in_full(&self) -> String {
        match &self.mend {
            Some(mend) => format!("{self:#}; {mend}"),
            None => format!("{self:#}"),
        }
    }

    /// The same error, where the caller knows that it may pass.
    #[must_use]
    pub fn into_retryable(mut self) -> Self {
        self.kind = Kind::Retryable;
        self
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn is_retryable(&self) -> bool {
        self.kind == Kind::Retryable
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.context)?;
        if f.alternate() {
            let mut cause = std::error::Error::source(self);
            while let Some(error) = cause {
                write!(f, ": {error}")?;
                cause = error.source();
            }
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Names the step that failed, and keeps the kind of the error it wraps and what to do about it.
pub trait Context<T> {
    fn context(self, context: impl Into<String>) -> Result<T>;
    fn with_context<C: Into<String>>(self, context: impl FnOnce() -> C) -> Result<T>;
}

impl<T> Context<T> for Result<T> {
    fn context(self, context: impl Into<String>) -> Result<T> {
        self.with_context(|| context)
    }

    fn with_context<C: Into<String>>(self, context: impl FnOnce() -> C) -> Result<T> {
        self.map_err(|mut error| {
            let mend = error.mend.take();
            Error { mend, ..Error::new(error.kind, context()).with_source(error) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alternate_form_reads_as_one_sentence_and_the_kind_survives_context() {
        let cause = Error::retryable("rate exceeded").with_source(std::io::Error::other("status 503"));
        let error = Err::<(), _>(cause).context("describe table orders").expect_err("it was an error");
        assert_eq!(format!("{error:#}"), "describe table orders: rate exceeded: status 503");
        assert_eq!(error.to_string(), "describe table orders");
        assert_eq!(error.kind(), Kind::Retryable);
    }

    #[test]
    fn what_to_do_comes_last_however_deep_it_was_known() {
        let cause = Error::permanent("scan table orders").with_source("denied").with_mend("allow it");
        assert_eq!(format!("{cause:#}"), "scan table orders: denied");
        let error = Err::<(), _>(cause).context("export segment 3").expect_err("it was an error");
        assert_eq!(error.in_full(), "export segment 3: scan table orders: denied; allow it");
    }
}
