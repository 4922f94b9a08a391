//! Provision: creates the live copy of a table where it is missing, and checks it where it is not.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Outcome, Task};
use crate::archive::marker::{Provision, Provisioned};
use crate::archive::record::Table;
use crate::aws::dynamodb::TableCreation;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::reconcile::{self, Event};
use crate::schema::TableDefinition;
use crate::target::{self, Owner};

/// A table is usually ACTIVE within seconds; it is waited for without holding a slot.
const CREATING_DELAY: Duration = Duration::from_secs(3);

/// Other tables have to become ACTIVE first.
const LIMITED_DELAY: Duration = Duration::from_secs(20);

/// A run that is older than this waits no longer: it is the number of tables that is limited, then.
const LIMITED_PATIENCE: SignedDuration = SignedDuration::from_hours(1);

/// Provisions one table.
pub(super) async fn run(environment: &Environment, task: &Task) -> Result<Outcome> {
    let key = environment.archive.folder(&task.run.run, &task.table.name).provisioned();
    if !environment.archive.exists(&key).await? {
        let Some(target) = target::describe(&environment.targets, &task.table.target).await? else {
            return create(environment, task).await;
        };
        let Some(marker) = check(environment, task, &target).await? else {
            return Ok(Outcome::again(
                CREATING_DELAY,
                format!("table {} is {}", task.table.target, target.table_status),
            ));
        };
        environment.archive.create(&key, &marker).await?;
        tracing::info!(
            run.id = %task.run.run, table.name = %task.table.name, target.name = %marker.target,
            outcome = ?marker.outcome, drift = ?marker.drift, "table provisioned"
        );
    }
    reconcile::table(environment, &task.run, &task.table, Event::Provisioned).await?;
    Ok(Outcome::Done)
}

async fn create(environment: &Environment, task: &Task) -> Result<Outcome> {
    let table = &task.table;
    let tags = target::ownership_tags(table, &task.run.run);
    let request = table.definition.create_table(&table.target, &tags);
    match environment.targets.create(&table.target, &request).await? {
        TableCreation::Begun => {
            Ok(Outcome::again(CREATING_DELAY, format!("table {} is being created", table.target)))
        }
        TableCreation::Limited(error) if task.run.planned_at + LIMITED_PATIENCE > Timestamp::now() => {
            tracing::warn!(retry_in_ms = LIMITED_DELAY.as_millis(), "{error:#}");
            Ok(Outcome::again(LIMITED_DELAY, "the account creates no more tables now"))
        }
        TableCreation::Limited(error) => Err(Error::permanent("wait for a table quota").with_source(error)),
    }
}

/// The marker of a target that is ours and ready; `None` while it is not ready.
async fn check(
    environment: &Environment,
    task: &Task,
    target: &TableDefinition,
) -> Result<Option<Provisioned>> {
    let table = &task.table;
    target::require_same_key(table, target)?;
    if matches!(target.table_status.as_str(), "CREATING" | "DELETING") {
        return Ok(None);
    }
    if let Some(reason) = target.unavailable() {
        return Err(Error::permanent(format!("table {} in the backup account: {reason}", table.target)));
    }
    let outcome = own(environment, task, target).await?;
    let drift = table.definition.drift(target);
    Ok(Some(Provisioned { target: table.target.clone(), outcome, drift, finished_at: Timestamp::now() }))
}

/// Makes sure that the target is ours, adopting it where that is allowed.
async fn own(environment: &Environment, task: &Task, target: &TableDefinition) -> Result<Provision> {
    let table: &Table = &task.table;
    match target::owner(&environment.targets, target, table).await? {
        Owner::Ours { run: Some(run) } if run == task.run.run.as_str() => Ok(Provision::Created),
        Owner::Ours { .. } => Ok(Provision::Exists),
        Owner::Nobody if environment.config.adopt_existing => {
            let tags = target::adoption_tags(table);
            environment.targets.tag(&target.table_arn, &tags).await?;
            Ok(Provision::Adopted)
        }
        // A table of this run whose tags are not seen yet (DynamoDB API Reference, “TagResource”).
        Owner::Nobody if target.created_at() > Some(task.run.planned_at) => {
            Err(target::refuse(table, &Owner::Nobody).into_retryable())
        }
        other => Err(target::refuse(table, &other)),
    }
}
