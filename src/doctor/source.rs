//! A source account: the role, what it asks for, and what it may read.

use super::mend::{NETWORK, grant_role, trust};
use super::{Check, Mark};
use crate::archive::record::Account;
use crate::aws::dynamodb::{CallError, ScanRequest, Tables};
use crate::aws::scaling::Scaling;
use crate::aws::sts::Identity;
use crate::aws::{Access, Session};
use crate::config::{Config, Secret, SourceConfig};
use crate::environment::{account_of, refuse_own_account};
use crate::error::Error;
use crate::schema::TableDefinition;
use crate::table::TableName;

/// Of so many tables one is looked for that can be read now.
const LOOK_AT: usize = 10;

/// What a source is examined with.
struct Source<'a> {
    /// What its checks are called.
    name: String,
    config: &'a Config,
    source: &'a SourceConfig,
    account: Account,
    identity: &'a Identity,
}

/// The checks of a source, and the name that the copy of its first table has.
pub(super) async fn examine(
    session: &Session,
    config: &Config,
    source: &SourceConfig,
    identity: &Identity,
    name: String,
) -> (Vec<Check>, Option<TableName>) {
    let backup = Account { account_id: identity.account_id.clone(), region: session.region().to_owned() };
    let account = account_of(source, &backup);
    let source = Source { name, config, source, account, identity };
    let mut checks = vec![source.examine_account(&backup)];
    let mut copy = None;
    let external_id = source.source.external_id.as_ref().map(Secret::expose);
    let role = source.source.role_arn.as_str();
    match session.assume_role(role, external_id, &source.account.region).await {
        Ok(assumed) => {
            checks.push(Check::fine(source.check("role"), format!("{role} is assumed")));
            checks.push(source.examine_external_id(session).await);
            let (of_tables, first) = source.examine_tables(&Tables::of_source(&assumed, "doctor")).await;
            checks.extend(of_tables);
            checks.extend(source.examine_scaling(&Scaling::new(&assumed)).await);
            copy = first
                .and_then(|first| TableName::parse(&format!("{}{first}", source.source.target_prefix)).ok());
        }
        Err(error) => {
            checks.push(source.not_assumed(&error));
            checks.push(Check::not_checked(source.check("tables"), "the role could not be assumed"));
        }
    }
    (checks, copy)
}

impl Source<'_> {
    fn check(&self, what: &str) -> String {
        format!("{} {what}", self.name)
    }

    fn examine_account(&self, backup: &Account) -> Check {
        let check = self.check("account");
        if let Err(error) = refuse_own_account(self.source, backup) {
            let mend = "set role-arn to a role in the account that is to be backed up";
            return Check::wrong(check, format!("{error:#}")).mend(mend);
        }
        if self.account.account_id == backup.account_id {
            return Check::warning(
                check,
                format!("{} is the backup's own account: who gets into it reaches both", self.account),
            );
        }
        Check::fine(check, format!("{}, another than the backup's", self.account))
    }

    fn not_assumed(&self, error: &Error) -> Check {
        let role = self.source.role_arn.as_str();
        let check = Check::failed(self.check("role"), error, trust(role, &self.identity.principal()));
        if error.is_retryable() {
            return check;
        }
        let resource = [role.to_owned()];
        let check = check.mend(super::mend::grant(self.identity, "source", &["sts:AssumeRole"], &resource));
        if self.source.external_id.is_none() {
            return check
                .mend("set external-id to what the role's trust policy asks for, if it asks for one");
        }
        check.mend("compare external-id with what the role's trust policy asks for; it is not shown here")
    }

    /// A role that asks for no external id trusts whoever gets our account to assume it (IAM User Guide, “The
    /// confused deputy problem”).
    async fn examine_external_id(&self, session: &Session) -> Check {
        let (check, role) = (self.check("external id"), self.source.role_arn.as_str());
        let trust = || trust(role, &self.identity.principal());
        if self.source.external_id.is_none() {
            let finding = format!("{role} asks for none: let it ask for one, and set external-id to it");
            return Check::warning(check, finding).mend(trust());
        }
        match session.assume_role(role, None, &self.account.region).await {
            Ok(_) => {
                Check::warning(check, format!("{role} is assumed without it as well: it does not ask for it"))
                    .mend(trust())
            }
            Err(error) if error.is_retryable() => Check::not_checked(check, format!("{error:#}")),
            Err(_) => Check::fine(check, "the role is not assumed without it"),
        }
    }

    /// Also gives the first table that is selected.
    async fn examine_tables(&self, tables: &Tables) -> (Vec<Check>, Option<TableName>) {
        let check = self.check("tables");
        let listed = match tables.list().await {
            Ok(listed) => listed,
            Err(error) => {
                return (vec![Check::failed(check, &error, self.grant(&["dynamodb:ListTables"]))], None);
            }
        };
        let all = listed.len();
        let selected: Vec<TableName> =
            listed.into_iter().filter(|table| self.source.selection.selects(table)).collect();
        if selected.is_empty() {
            let finding = format!("none of the {all} tables in {} is selected", self.account);
            let mend = "look at include and exclude, and at source-region";
            return (vec![Check::wrong(check, finding).mend(mend)], None);
        }
        let finding = format!("{} of {all} in {} are selected", selected.len(), self.account);
        let mut checks = vec![Check::fine(check, finding)];
        checks.extend(self.examine_one(tables, &selected).await);
        (checks, selected.into_iter().next())
    }

    /// Reads one item of the first table that can be read, as an export would.
    async fn examine_one(&self, tables: &Tables, selected: &[TableName]) -> Vec<Check> {
        let check = self.check("reading");
        for table in selected.iter().take(LOOK_AT) {
            let described = match tables.describe(table).await {
                Ok(Some(described)) => described,
                Ok(None) => continue,
                Err(error) => {
                    return vec![Check::failed(check, &error, self.grant(&["dynamodb:DescribeTable"]))];
                }
            };
            let Ok(definition) = serde_json::from_str::<TableDefinition>(described.get()) else { continue };
            if definition.unavailable().is_some() {
                continue;
            }
            let mut checks = vec![self.scan(tables, table).await];
            checks.extend(self.examine_settings(tables, table, &definition.table_arn).await);
            return checks;
        }
        let finding = format!("none of the first {} tables can be read now", selected.len().min(LOOK_AT));
        vec![Check::not_checked(check, finding)]
    }

    async fn scan(&self, tables: &Tables, table: &TableName) -> Check {
        let check = self.check("reading");
        let request = ScanRequest {
            table_name: table,
            segment: 0,
            total_segments: 1,
            exclusive_start_key: None,
            consistent_read: self.config.options.consistent_read,
            limit: Some(1),
            return_consumed_capacity: "TOTAL",
        };
        match tables.scan(&request, Vec::new()).await {
            Ok(_) => Check::fine(check, format!("one item of table {table}, standing for all tables")),
            Err(CallError::Throttled(_, error)) => Check::not_checked(check, format!("{error:#}")),
            Err(error) => {
                let error = Error::from(error);
                let encrypted = "if it is the table's KMS key that denies access, let its key policy allow the role \
                                 to use it through DynamoDB";
                Check::failed(check, &error, self.grant(&["dynamodb:Scan"])).mend(encrypted)
            }
        }
    }

    /// What a run would list as not readable: it is not in the archive then.
    async fn examine_settings(&self, tables: &Tables, table: &TableName, table_arn: &str) -> Vec<Check> {
        let check = self.check("settings");
        let settings = match tables.settings(table, table_arn, false).await {
            Ok(settings) => settings,
            Err(error) => return vec![Check::not_checked(check, format!("{error:#}"))],
        };
        let mut checks = Vec::new();
        let denied: Vec<&str> =
            settings.not_readable.iter().filter_map(|setting| setting.permission.as_deref()).collect();
        if !denied.is_empty() {
            let finding = format!("denied, so not in the archive: {}", denied.join(", "));
            checks.push(Check::warning(check.as_str(), finding).mend(self.grant(&denied)));
        }
        let others = settings.not_readable.iter().filter(|setting| setting.permission.is_none());
        checks.extend(others.map(|setting| Check::new(check.as_str(), Mark::Warning, &setting.reason)));
        if checks.is_empty() {
            checks.push(Check::fine(check, format!("those of table {table}, standing for all tables")));
        }
        checks
    }

    /// Asked about the whole account, as by a run, which does without what it is not told.
    async fn examine_scaling(&self, scaling: &Scaling) -> Vec<Check> {
        let check = self.check("auto scaling");
        let (mut denied, mut unknown) = (Vec::new(), None);
        for (permission, access) in scaling.may_read().await {
            match access {
                Ok(Access::Allowed) => {}
                Ok(Access::Denied) => denied.push(permission),
                Err(error) => unknown = Some(error),
            }
        }
        let mut checks = Vec::new();
        if !denied.is_empty() {
            let finding = format!("denied, so not in the archive: {}", denied.join(", "));
            let denied: Vec<&str> = denied.iter().map(String::as_str).collect();
            checks.push(Check::warning(check.as_str(), finding).mend(self.grant(&denied)));
        }
        if let Some(error) = unknown {
            let told = Check::warning(check.as_str(), format!("not told, so not in the archive: {error:#}"));
            checks.push(if error.is_retryable() { told.mend(NETWORK) } else { told });
        }
        if checks.is_empty() {
            checks.push(Check::fine(check, format!("that of {} may be read", self.account)));
        }
        checks
    }

    fn grant(&self, actions: &[&str]) -> String {
        let role = &self.source.role_arn;
        let Account { account_id, region } = &self.account;
        let resource = match actions {
            // Neither service's lists have a resource (Service Authorization Reference).
            ["dynamodb:ListTables"] => "*".to_owned(),
            [first, ..] if first.starts_with("application-autoscaling:") => "*".to_owned(),
            _ => format!("arn:{}:dynamodb:{region}:{account_id}:table/*", role.partition()),
        };
        grant_role(role.as_str(), "read", actions, &[resource])
    }
}
