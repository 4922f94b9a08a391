//! `doctor`: checks what a run relies on, and says how to mend what is wrong.

use serde::Serialize;

use super::{output, resolve};
use crate::cli::Cli;
use crate::config::Config;
use crate::doctor::{Check, Mark, examine};
use crate::error::Result;
use crate::exit::Exit;
use crate::telemetry;

#[derive(Serialize)]
struct Examined<'a> {
    /// Whether a run would work, as far as could be seen.
    fine: bool,
    wrong: usize,
    warnings: usize,
    not_checked: usize,
    checks: &'a [Check],
}

pub(super) async fn run(cli: &Cli) -> Result<Exit> {
    let (mut resolved, session) = resolve::<Config>(cli).await?;
    if resolved.is_default("log") {
        // That the role refuses whoever knows no external id is what is hoped for, and the SDK warns of it.
        resolved.log.filter = "error".to_owned();
    }
    telemetry::start(&resolved.log, None)?;
    let checks = examine(&resolved, &session).await;
    let examined = Examined::new(&checks);
    output::print(cli.output, &examined, || examined.text());
    Ok(if examined.fine { Exit::Complete } else { Exit::Failed })
}

impl<'a> Examined<'a> {
    fn new(checks: &'a [Check]) -> Self {
        let count = |mark| checks.iter().filter(|check| check.mark == mark).count();
        let wrong = count(Mark::Wrong);
        Self {
            fine: wrong == 0,
            wrong,
            warnings: count(Mark::Warning),
            not_checked: count(Mark::NotChecked),
            checks,
        }
    }

    /// Every check in a line of the table, then how to mend what is not fine.
    fn text(&self) -> String {
        let row = |check: &Check| vec![check.mark.to_string(), check.check.clone(), check.finding.clone()];
        let mut text = output::table(&["MARK", "CHECK", "FINDING"], self.checks.iter().map(row));
        for Check { check, mark, finding, mend } in self.checks.iter().filter(|check| !check.mend.is_empty())
        {
            text += &format!("\n\n{mark}: {check}: {finding}");
            mend.iter().for_each(|mend| text += &format!("\n  {mend}"));
        }
        text + "\n\n" + &self.summary()
    }

    fn summary(&self) -> String {
        let verdict = if self.fine { "a run would work" } else { "a run would fail" };
        format!(
            "{verdict}, as far as could be checked: {} wrong, {} to be warned of, {} not checked, of {}",
            self.wrong,
            self.warnings,
            self.not_checked,
            self.checks.len()
        )
    }
}
