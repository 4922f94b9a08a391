//! What we may do with the live copies, asked about a table that does not exist, and about one that may.

use std::collections::BTreeSet;

use super::mend::grant;
use super::{Check, Permissions};
use crate::aws::dynamodb::Tables;
use crate::aws::sts::Identity;
use crate::aws::{Access, Session};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::table::TableName;

/// The name of no table, behind the prefix of a source's copies.
const NO_TABLE: &str = "dynamodb-backup-doctor";

/// The account that holds the copies.
struct Copies<'a> {
    tables: Tables,
    config: &'a Config,
    identity: &'a Identity,
    region: &'a str,
}

/// `copies` are names that copies have, if they exist.
pub(super) async fn examine(
    session: &Session,
    config: &Config,
    identity: &Identity,
    copies: &[TableName],
) -> Vec<Check> {
    let account = Copies {
        tables: Tables::of_copies(session, "doctor-copies"),
        config,
        identity,
        region: session.region(),
    };
    let prefixes: BTreeSet<&str> =
        config.sources.iter().map(|source| source.target_prefix.as_str()).collect();
    let mut checks = Vec::new();
    for prefix in prefixes {
        let check = if prefix.is_empty() { "copies".to_owned() } else { format!("copies {prefix}*") };
        match TableName::parse(&format!("{prefix}{NO_TABLE}")) {
            Ok(missing) => {
                let copy = copies.iter().find(|copy| copy.as_str().starts_with(prefix));
                checks.extend(account.examine(&check, &missing, copy).await);
            }
            Err(_) => checks.push(Check::not_checked(
                check,
                "the prefix leaves no room for the name of a table to ask about",
            )),
        }
    }
    let unseen = "dynamodb:CreateTable: only creating a table shows that it is allowed";
    checks.push(Check::not_checked("copies", unseen));
    checks
}

impl Copies<'_> {
    async fn examine(&self, check: &str, missing: &TableName, copy: Option<&TableName>) -> Vec<Check> {
        let mut permissions = Permissions::default();
        match self.tables.may_describe(missing).await {
            Ok((_, true)) => {
                return vec![Check::not_checked(check, format!("somebody has created table {missing}"))];
            }
            described => {
                permissions
                    .add("dynamodb:DescribeTable", described.map(|(access, _): (Access, bool)| access));
            }
        }
        permissions.add("dynamodb:Scan", self.tables.may_scan(missing).await);
        permissions.add("dynamodb:BatchWriteItem", self.tables.may_write(missing).await);
        permissions.add("dynamodb:TagResource", self.tables.may_tag(&self.arn(missing.as_str())).await);
        permissions.add("dynamodb:ListTagsOfResource", self.may_list_tags(missing, copy).await);
        let grant = |denied: &[&str]| grant(self.identity, "copies", denied, &[self.arn("*")]);
        let mut checks = permissions.into_checks(check, grant);
        let dispensable = self.dispensable(missing).await.into_checks(check, grant);
        checks.extend(dispensable.into_iter().map(Check::dispensable));
        checks
    }

    /// What the copies are compared and brought up to date with: without it a run says that it could not.
    async fn dispensable(&self, missing: &TableName) -> Permissions {
        let mut permissions = Permissions::default();
        permissions.add("dynamodb:DescribeTimeToLive", self.tables.may_read_time_to_live(missing).await);
        permissions.add("dynamodb:UpdateTable", self.tables.may_update(missing).await);
        if self.config.copies.recovery_days.is_some() {
            let may_read = self.tables.may_read_recovery(missing).await;
            permissions.add("dynamodb:DescribeContinuousBackups", may_read);
            let may_enable = self.tables.may_enable_recovery(missing).await;
            permissions.add("dynamodb:UpdateContinuousBackups", may_enable);
        }
        permissions
    }

    /// Asked about a table that does not exist, DynamoDB may say so or deny access: a denial tells something only
    /// where there is a copy.
    async fn may_list_tags(&self, missing: &TableName, copy: Option<&TableName>) -> Result<Access> {
        if let Some(copy) = copy
            && let Ok((Access::Allowed, true)) = self.tables.may_describe(copy).await
        {
            return self.tables.may_list_tags(&self.arn(copy.as_str())).await;
        }
        match self.tables.may_list_tags(&self.arn(missing.as_str())).await? {
            Access::Allowed => Ok(Access::Allowed),
            Access::Denied => Err(Error::permanent("only a copy that exists shows that it is allowed")),
        }
    }

    fn arn(&self, table: &str) -> String {
        let (partition, account) = (self.identity.partition(), &self.identity.account_id);
        format!("arn:{partition}:dynamodb:{}:{account}:table/{table}", self.region)
    }
}
