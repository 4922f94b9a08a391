//! The guards of the live copy: nothing is created or written that is not ours.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::archive::layout::RunId;
use crate::archive::record::Table;
use crate::aws::dynamodb::Tables;
use crate::error::{Error, Result};
use crate::schema::TableDefinition;
use crate::table::TableName;

/// Names the table that a copy is the copy of: without it, a table is never written to.
pub const SOURCE_TAG: &str = "dynamodb-backup:source-arn";
/// The run that created the copy; one that was adopted has none, and may hold what no run has put.
pub const RUN_TAG: &str = "dynamodb-backup:run";
/// The run that adopted the copy.
pub const ADOPTED_TAG: &str = "dynamodb-backup:adopted-by";
/// The program version that created (or adopted) the copy.
pub const VERSION_TAG: &str = "dynamodb-backup:version";

const MAX_TAG_CHARS: usize = 256;

/// How long a target that was found to be ours is taken to be so. ListTagsOfResource is limited to ten calls
/// a second for an account (DynamoDB API Reference, “ListTagsOfResource”).
const TRUSTED_FOR: Duration = Duration::from_secs(300);

/// The ownership tags of the copy of `table` that `run` creates.
pub fn ownership_tags(table: &Table, run: &RunId) -> Vec<(String, String)> {
    tags(table, RUN_TAG, run)
}

/// The ownership tags of a table that was there before, and becomes the copy of `table` in `run`.
pub fn adoption_tags(table: &Table, run: &RunId) -> Vec<(String, String)> {
    tags(table, ADOPTED_TAG, run)
}

fn tags(table: &Table, of_run: &str, run: &RunId) -> Vec<(String, String)> {
    let source = source_tag(&table.definition.table_arn);
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let tags = [(SOURCE_TAG, source), (VERSION_TAG, version), (of_run, run.as_str().to_owned())];
    tags.map(|(key, value)| (key.to_owned(), value)).into()
}

/// The source's ARN as a tag can hold it: at most 256 characters (DynamoDB Developer Guide, “Tagging
/// restrictions”), which the ARN of a table with a long name is not. Such a one ends in its own hash.
fn source_tag(table_arn: &str) -> String {
    if table_arn.len() <= MAX_TAG_CHARS {
        return table_arn.to_owned();
    }
    let hash = &blake3::hash(table_arn.as_bytes()).to_hex()[..32];
    format!("{}-{hash}", &table_arn[..MAX_TAG_CHARS - hash.len() - 1])
}

/// Whose a table in the backup account is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The copy of this source table, created or adopted by this run.
    Ours { created_by: Option<String>, adopted_by: Option<String> },
    /// It has no ownership tag.
    Nobody,
    /// The copy of another table.
    CopyOf(String),
}

/// Whose a table with these tags is.
pub fn owner(tags: &[(String, String)], table: &Table) -> Owner {
    let value = |name: &str| tags.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    match value(SOURCE_TAG) {
        None => Owner::Nobody,
        Some(source) if source == source_tag(&table.definition.table_arn) => {
            Owner::Ours { created_by: value(RUN_TAG), adopted_by: value(ADOPTED_TAG) }
        }
        Some(source) => Owner::CopyOf(source),
    }
}

/// Describes a table of the backup account.
pub async fn describe(targets: &Tables, target: &TableName) -> Result<Option<TableDefinition>> {
    let Some(definition) = targets.describe(target).await? else { return Ok(None) };
    serde_json::from_str(definition.get()).map(Some).map_err(|error| {
        Error::retryable(format!("read the definition of table {target}")).with_source(error)
    })
}

/// Describes a table of the backup account that was there a moment ago.
pub async fn require(targets: &Tables, target: &TableName) -> Result<TableDefinition> {
    let missing = || Error::retryable(format!("table {target} is gone from the backup account"));
    describe(targets, target).await?.ok_or_else(missing)
}

/// Refuses a target whose items could not be told apart as the source's are.
pub fn require_same_key(table: &Table, target: &TableDefinition) -> Result<()> {
    let (wanted, found) = (table.definition.key()?, target.key()?);
    if wanted == found {
        return Ok(());
    }
    Err(Error::permanent(format!(
        "table {} in the backup account has the key {found}, but the source's is {wanted}: rename or remove it, \
         or set a target prefix",
        table.target
    )))
}

/// The error for a target that is not ours to write.
pub fn refuse(table: &Table, owner: &Owner) -> Error {
    let target = &table.target;
    match owner {
        Owner::CopyOf(source) => Error::permanent(format!(
            "table {target} in the backup account is the copy of {source}, not of {}: set a target prefix for \
             one of the two sources",
            table.definition.table_arn
        )),
        _ => Error::permanent(format!(
            "table {target} in the backup account has no tag {SOURCE_TAG}, so it is somebody else's: rename it, \
             set a target prefix, or let it be overwritten with --adopt-existing"
        )),
    }
}

/// Targets that were found to be ours a moment ago.
#[derive(Debug, Default)]
pub struct Checked(Mutex<HashMap<String, Instant>>);

impl Checked {
    /// Makes sure, before the first write of a job, that the target is ours and has the source's key.
    pub async fn require(&self, targets: &Tables, table: &Table) -> Result<()> {
        let id = format!("{} of {}", table.target, table.definition.table_arn);
        if self.lock().get(&id).is_some_and(|checked| checked.elapsed() < TRUSTED_FOR) {
            return Ok(());
        }
        let target = require(targets, &table.target).await?;
        require_same_key(table, &target)?;
        match owner(&targets.tags(&target.table_arn).await?, table) {
            Owner::Ours { .. } => {}
            // Tags that were just set are not seen at once (DynamoDB API Reference, “TagResource”).
            Owner::Nobody => return Err(refuse(table, &Owner::Nobody).into_retryable()),
            other => return Err(refuse(table, &other)),
        }
        let mut checked = self.lock();
        checked.retain(|_, when| when.elapsed() < TRUSTED_FOR);
        checked.insert(id, Instant::now());
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_holds_every_arn_and_tells_long_ones_apart() {
        let arn = |name: &str| format!("arn:aws:dynamodb:eu-west-1:111111111111:table/{name}");
        let long = |end: &str| source_tag(&arn(&format!("{}{end}", "t".repeat(254))));
        assert_eq!(source_tag(&arn("orders")), arn("orders"));
        assert_eq!(long("a").len(), MAX_TAG_CHARS);
        assert_ne!(long("a"), long("b"));
    }
}
