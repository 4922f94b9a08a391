//! What a restore refuses to write to, and to write.

use super::{Restoration, Source};
use crate::error::{Error, Kind, Result};
use crate::schema::TableDefinition;
use crate::table::TableName;
use crate::target;

impl Restoration<'_> {
    /// Refuses to write over what was backed up, unless just that was asked for.
    pub(super) fn require_not_source(&self, source: &Source<'_>, target: &TableName) -> Result<()> {
        let arn = format!("{}{target}", self.arn_prefix);
        if source.live_copy_arn == Some(&arn) {
            return Err(refuse_live_copy(target));
        }
        // In another region it may be a replica, which brings what is written there to the source.
        let is_source = is_same_table_anywhere(&arn, source.table_arn);
        if !is_source || self.permissions.over_source.as_deref() == Some(&arn) {
            return Ok(());
        }
        Err(Error::usage(format!(
            "{arn} is the table that was backed up, or may be a replica of it: give another name with --to, or, to \
             write over it, --over-source {arn}"
        )))
    }

    /// Refuses the live copy of whatever table: it is for runs to write, and what they have found of it must hold.
    pub(super) async fn require_no_live_copy(
        &self,
        target: &TableName,
        definition: &TableDefinition,
    ) -> Result<()> {
        let tags = match self.tables.tags(&definition.table_arn).await {
            // The role need not be allowed to read tags: live copies are where it is.
            Err(error) if error.kind() == Kind::Permanent => return Ok(()),
            tags => tags?,
        };
        if tags.iter().any(|(name, _)| name == target::SOURCE_TAG) {
            return Err(refuse_live_copy(target));
        }
        Ok(())
    }

    pub(super) fn require_allowed(&self, target: &TableName, is_empty: bool) -> Result<()> {
        if is_empty || self.permissions.into_existing {
            return Ok(());
        }
        Err(Error::usage(format!(
            "table {target} has items: give another name with --to, or let it be brought to the backup with \
             --into-existing, which --dry-run shows first"
        )))
    }

    pub(super) fn require_definition<'s>(
        &self,
        source: &Source<'s>,
        target: &TableName,
    ) -> Result<&'s TableDefinition> {
        source.definition.ok_or_else(|| {
            Error::usage(format!(
                "table {target} does not exist, and an export of DynamoDB has no definition to create it from: \
                 create it first"
            ))
        })
    }
}

pub(super) fn require_same_key(
    source: &Source<'_>,
    target: &TableName,
    found: &TableDefinition,
) -> Result<()> {
    let (Some(definition), found) = (source.definition, found.key()?) else { return Ok(()) };
    let wanted = definition.key()?;
    if wanted == found {
        return Ok(());
    }
    Err(Error::usage(format!(
        "table {target} has the key {found}, and the backup's is {wanted}: give another name with --to"
    )))
}

fn refuse_live_copy(target: &TableName) -> Error {
    Error::usage(format!(
        "table {target} is a live copy, which runs keep equal to its source: give another name with --to, or start a \
         run"
    ))
}

/// Whether two ARNs are of the same account and table name, in whatever region.
fn is_same_table_anywhere(one: &str, other: &str) -> bool {
    let account_and_name = |arn: &str| arn.splitn(5, ':').nth(4).map(ToOwned::to_owned);
    account_and_name(one) == account_and_name(other)
}
