//! Doctor: checks what a run relies on, from where it is run, and says how to mend what is wrong.
//!
//! It changes nothing, and takes no message. What could be seen only by changing something is said to be not
//! checked. What a worker looks at when it starts is looked at by the same code.

mod bucket;
mod copies;
mod identity;
mod mend;
mod queues;
mod settings;
mod source;

use std::fmt;

use futures::FutureExt;
use serde::Serialize;

use crate::aws::{Access, Session};
use crate::config::{Config, Resolved};
use crate::error::{Error, Result};
use crate::table::TableName;

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    Fine,
    /// It could not be checked, or not without changing something.
    NotChecked,
    /// A run would work, but not as well as it could.
    Warning,
    /// A run would fail.
    Wrong,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fine => "fine",
            Self::NotChecked => "not checked",
            Self::Warning => "warning",
            Self::Wrong => "WRONG",
        })
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub check: String,
    pub mark: Mark,
    /// What was found.
    pub finding: String,
    /// What mends it: commands, or what to do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mend: Vec<String>,
}

impl Check {
    fn new(check: impl Into<String>, mark: Mark, finding: impl Into<String>) -> Self {
        Self { check: check.into(), mark, finding: finding.into(), mend: Vec::new() }
    }

    fn fine(check: impl Into<String>, finding: impl Into<String>) -> Self {
        Self::new(check, Mark::Fine, finding)
    }

    fn not_checked(check: impl Into<String>, finding: impl Into<String>) -> Self {
        Self::new(check, Mark::NotChecked, finding)
    }

    fn warning(check: impl Into<String>, finding: impl Into<String>) -> Self {
        Self::new(check, Mark::Warning, finding)
    }

    fn wrong(check: impl Into<String>, finding: impl Into<String>) -> Self {
        Self::new(check, Mark::Wrong, finding)
    }

    /// The same about what a run does without, if it has to.
    fn dispensable(self) -> Self {
        let mark = if self.mark == Mark::Wrong { Mark::Warning } else { self.mark };
        Self { mark, ..self }
    }

    fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend.push(mend.into());
        self
    }

    /// A call that did not succeed: `mend` is for the case that AWS has refused it.
    fn failed(check: impl Into<String>, error: &Error, mend: impl Into<String>) -> Self {
        let mend = if error.is_retryable() { mend::NETWORK.to_owned() } else { mend.into() };
        Self::wrong(check, format!("{error:#}")).mend(mend)
    }
}

/// Looks at everything that a run with these settings relies on.
pub async fn examine(resolved: &Resolved<Config>, session: &Session) -> Vec<Check> {
    let session = session.impatient();
    let mut checks = settings::examine(resolved);
    let identity = session.identity().await;
    checks.extend(identity::examine(&identity, session.region()));
    let Ok(identity) = identity else {
        checks.push(Check::not_checked("everything else", "nothing can be asked without an identity"));
        return checks;
    };
    let config = &resolved.config;
    let sources = config.sources.iter().map(|source| {
        let name =
            if config.sources.len() > 1 { format!("source {}", source.name) } else { "source".to_owned() };
        source::examine(&session, config, source, &identity, name).boxed()
    });
    let (queues, bucket, sources) = futures::join!(
        queues::examine(&session, config, &identity).boxed(),
        bucket::examine(&session, config, &identity).boxed(),
        futures::future::join_all(sources),
    );
    let (sources, copies): (Vec<_>, Vec<_>) = sources.into_iter().unzip();
    checks.extend(queues);
    checks.extend(bucket);
    checks.extend(sources.into_iter().flatten());
    let copies: Vec<TableName> = copies.into_iter().flatten().collect();
    checks.extend(copies::examine(&session, config, &identity, &copies).boxed().await);
    checks
}

/// Sorts permissions by what harmless calls have shown of them.
#[derive(Default)]
struct Permissions {
    allowed: Vec<&'static str>,
    denied: Vec<&'static str>,
    unknown: Vec<String>,
}

impl Permissions {
    fn add(&mut self, action: &'static str, access: Result<Access>) {
        match access {
            Ok(Access::Allowed) => self.allowed.push(action),
            Ok(Access::Denied) => self.denied.push(action),
            Err(error) => self.unknown.push(format!("{action}: {error:#}")),
        }
    }

    /// One check for each of the three kinds that there is something of; `grant` makes a command of what is denied.
    fn into_checks(self, check: &str, grant: impl FnOnce(&[&str]) -> String) -> Vec<Check> {
        let mut checks = Vec::new();
        if !self.allowed.is_empty() {
            checks.push(Check::fine(check, format!("allowed: {}", self.allowed.join(", "))));
        }
        if !self.denied.is_empty() {
            let finding = format!("denied: {}", self.denied.join(", "));
            checks.push(Check::wrong(check, finding).mend(grant(&self.denied)));
        }
        checks.extend(self.unknown.into_iter().map(|unknown| Check::not_checked(check, unknown)));
        checks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_denied_is_wrong_and_what_gave_no_answer_is_not_checked() {
        let mut permissions = Permissions::default();
        permissions.add("s3:GetObject", Ok(Access::Allowed));
        permissions.add("s3:ListBucket", Ok(Access::Denied));
        permissions.add("s3:PutObject", Err(Error::retryable("no answer")));
        let checks = permissions.into_checks("bucket", |denied| denied.join(" "));
        let marks: Vec<Mark> = checks.iter().map(|check| check.mark).collect();
        assert_eq!(marks, [Mark::Fine, Mark::Wrong, Mark::NotChecked]);
        assert_eq!(checks[1].mend, ["s3:ListBucket"]);
        assert_eq!(checks[2].finding, "s3:PutObject: no answer");
    }

    #[test]
    fn a_call_that_found_nobody_is_mended_in_the_network_and_one_that_was_refused_by_its_own_mend() {
        let failed = |error: &Error| Check::failed("role", error, "trust it").mend;
        assert_eq!(failed(&Error::retryable("timed out")), [mend::NETWORK]);
        assert_eq!(failed(&Error::permanent("denied")), ["trust it"]);
    }
}
