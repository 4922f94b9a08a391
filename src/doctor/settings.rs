//! The settings: mistakes in them end every command at once, so only what is probably not meant is left.

use super::Check;
use crate::config::{Config, Resolved};

pub(super) fn examine(resolved: &Resolved<Config>) -> Vec<Check> {
    let given = resolved.effective.len();
    let from = |parameter: &str| parameter.starts_with('/');
    let parameters = resolved.effective.iter().filter(|setting| from(&setting.origin)).count();
    let finding = match &resolved.config.environment {
        Some(environment) => format!(
            "{given} settings, {parameters} of them SSM parameters under /dynamodb-backup/{environment}/"
        ),
        None => format!("{given} settings"),
    };
    let mut checks = vec![Check::fine("settings", finding)];
    checks.extend(resolved.warnings.iter().map(|warning| {
        let warning = warning.to_string();
        let parameter = resolved.unread_parameters.iter().find(|name| warning.starts_with(name.as_str()));
        let check = Check::warning("settings", warning.as_str());
        match parameter {
            Some(name) => check.mend(format!("aws ssm delete-parameter --name {name}")),
            None => check,
        }
    }));
    checks
}
