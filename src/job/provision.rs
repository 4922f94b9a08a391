//! Provision: creates the live copy of a table where it is missing, and where it is not, compares it with what it
//! would be created as.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Outcome, Task};
use crate::archive::marker::{Provision, Provisioned};
use crate::aws::dynamodb::TableCreation;
use crate::environment::Environment;
use crate::error::{Error, Kind, Result};
use crate::reconcile::{self, Event};
use crate::schema::TableDefinition;
use crate::schema::blueprint::{Blueprint, Change, Drift, Found};
use crate::target::{self, Owner};

/// A table is usually ACTIVE within seconds; it is waited for without holding a slot.
const CREATING_DELAY: Duration = Duration::from_secs(3);

/// Other tables have to become ACTIVE first.
const LIMITED_DELAY: Duration = Duration::from_secs(20);

/// A run that is older than this waits no longer: for tables, it is their number that is limited, then; changes are
/// for the next run to make.
const PATIENCE: SignedDuration = SignedDuration::from_hours(1);

/// A table that is written already does not wait for its next index for longer: the next run adds it.
const INDEX_PATIENCE: SignedDuration = SignedDuration::from_mins(10);

/// Provisions one table.
pub(super) async fn run(environment: &Environment, task: &Task) -> Result<Outcome> {
    let folder = environment.archive.folder(&task.run.run, &task.table.name);
    if !environment.archive.exists(&folder.provisioned()).await? {
        let settings = environment.archive.table_settings(&task.run.run, &task.table.name).await?;
        let copies = &environment.config.copies;
        let blueprint = Blueprint::new(&task.table.definition, settings.as_ref(), copies);
        let marker = match (Copy { environment, task, blueprint }).advance().await? {
            Step::Ready(marker) => marker,
            Step::Wait(delay, reason) => return Ok(Outcome::again(delay, reason)),
        };
        environment.archive.create(&folder.provisioned(), &marker).await?;
        tracing::info!(
            run.id = %task.run.run, table.name = %task.table.name, target.name = %marker.target,
            outcome = ?marker.outcome, drift = ?marker.drift, "table provisioned"
        );
    }
    reconcile::table(environment, &task.run, &task.table, Event::Provisioned).await?;
    Ok(Outcome::Done)
}

/// How far the copy is.
enum Step {
    Ready(Provisioned),
    Wait(Duration, String),
}

/// The live copy of one table.
struct Copy<'a> {
    environment: &'a Environment,
    task: &'a Task,
    blueprint: Blueprint<'a>,
}

impl Copy<'_> {
    /// Takes the next step towards a copy that is ours and ready.
    async fn advance(&self) -> Result<Step> {
        let table = &self.task.table;
        let Some(copy) = target::describe(&self.environment.targets, &table.target).await? else {
            return self.create().await;
        };
        target::require_same_key(table, &copy)?;
        if matches!(copy.table_status.as_str(), "CREATING" | "DELETING") {
            return Ok(self.wait(format!("is {}", copy.table_status)));
        }
        if let Some(reason) = copy.unavailable() {
            return Err(Error::permanent(format!("table {} in the backup account: {reason}", table.target)));
        }
        let tags = self.environment.targets.tags(&copy.table_arn).await?;
        let outcome = self.own(&copy, &tags).await?;
        let (drift, unknown) = self.drift(&copy, &tags, outcome).await?;
        match self.mend(&copy, outcome, drift).await? {
            Mended::Begun => Ok(self.wait("is being changed".to_owned())),
            Mended::Left(drift) => Ok(Step::Ready(Provisioned {
                target: table.target.clone(),
                outcome,
                drift: [drift, unknown].concat(),
                finished_at: Timestamp::now(),
            })),
        }
    }

    fn wait(&self, state: String) -> Step {
        Step::Wait(CREATING_DELAY, format!("table {} {state}", self.task.table.target))
    }

    fn has_patience(&self, patience: SignedDuration) -> bool {
        self.task.run.planned_at + patience > Timestamp::now()
    }

    async fn create(&self) -> Result<Step> {
        let table = &self.task.table;
        let ownership = target::ownership_tags(table, &self.task.run.run);
        let request = self.blueprint.create_table(&table.target, &ownership);
        match self.environment.targets.create(&table.target, &request).await? {
            TableCreation::Begun => Ok(self.wait("is being created".to_owned())),
            TableCreation::Limited(error) if self.has_patience(PATIENCE) => {
                tracing::warn!(retry_in_ms = LIMITED_DELAY.as_millis(), "{error:#}");
                Ok(Step::Wait(LIMITED_DELAY, "the account creates no more tables now".to_owned()))
            }
            TableCreation::Limited(error) => {
                Err(Error::permanent("wait for a table quota").with_source(error))
            }
        }
    }

    /// Makes sure that the copy is ours, adopting it where that is allowed.
    async fn own(&self, copy: &TableDefinition, tags: &[(String, String)]) -> Result<Provision> {
        let (table, run) = (&self.task.table, &self.task.run);
        match target::owner(tags, table) {
            Owner::Ours { created_by: Some(by), .. } if by == run.run.as_str() => Ok(Provision::Created),
            Owner::Ours { adopted_by: Some(by), .. } if by == run.run.as_str() => Ok(Provision::Adopted),
            Owner::Ours { .. } => Ok(Provision::Exists),
            Owner::Nobody if self.environment.config.adopt_existing => {
                self.require_no_time_to_live().await?;
                let tags = target::adoption_tags(table, &run.run);
                self.environment.targets.tag(&copy.table_arn, &tags).await?;
                Ok(Provision::Adopted)
            }
            // A table of this run whose tags are not seen yet (DynamoDB API Reference, “TagResource”).
            Owner::Nobody if copy.created_at() > Some(run.planned_at) => {
                Err(target::refuse(table, &Owner::Nobody).into_retryable())
            }
            other => Err(target::refuse(table, &other)),
        }
    }

    /// What DynamoDB deletes by itself is no backup, and whose table it is has to decide about that.
    async fn require_no_time_to_live(&self) -> Result<()> {
        let target = &self.task.table.target;
        match self.environment.targets.time_to_live_attribute(target).await? {
            None => Ok(()),
            Some(attribute) => Err(Error::permanent(format!(
                "table {target} in the backup account is not adopted: it has time to live (attribute {attribute}), \
                 so DynamoDB would delete items of the backup. Disable it first: aws dynamodb update-time-to-live \
                 --table-name {target} --time-to-live-specification Enabled=false,AttributeName={attribute}"
            ))),
        }
    }

    /// In what the copy is not as it would be created now; and, in words, what could not be compared.
    async fn drift(
        &self,
        copy: &TableDefinition,
        tags: &[(String, String)],
        outcome: Provision,
    ) -> Result<(Vec<Drift>, Vec<String>)> {
        let (targets, target) = (&self.environment.targets, &self.task.table.target);
        let mut unknown = Vec::new();
        let time_to_live = match outcome {
            // It was created without.
            Provision::Created => None,
            _ => known(targets.time_to_live_attribute(target).await, &mut unknown)?.flatten(),
        };
        // A call of which an account has few is not made for nothing.
        let recovery = match self.environment.config.copies.recovery_days {
            Some(_) => known(targets.recovery_days(target).await, &mut unknown)?,
            None => None,
        };
        let found = Found { definition: copy, tags, time_to_live: time_to_live.as_deref(), recovery };
        Ok((self.blueprint.drift(&found), unknown))
    }

    /// Begins to change the copy in the first setting that is due, or tells, in words, in what it stays different.
    /// A change that DynamoDB refuses is no reason not to back up the table.
    async fn mend(&self, copy: &TableDefinition, outcome: Provision, drift: Vec<Drift>) -> Result<Mended> {
        let mut left = Vec::new();
        for one in drift {
            let change = one.change.as_ref().filter(|change| self.is_due(change, outcome));
            let Some(change) = change else {
                left.push(one.to_string());
                continue;
            };
            let patience = if matches!(change, Change::AddIndex(_)) { INDEX_PATIENCE } else { PATIENCE };
            let has_patience = self.has_patience(patience);
            match self.change(copy, change).await {
                Ok(()) => {
                    tracing::info!(
                        run.id = %self.task.run.run, table.name = %self.task.table.name,
                        target.name = %copy.table_name, "changing the copy: {one}"
                    );
                    if has_patience {
                        return Ok(Mended::Begun);
                    }
                    left.push(format!("{one}; it is being changed"));
                }
                Err(error) if error.is_retryable() && has_patience => return Ok(Mended::Begun),
                Err(error) if matches!(error.kind(), Kind::Permanent | Kind::Retryable) => {
                    left.push(format!("{one}; it could not be changed: {error:#}"));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Mended::Left(left))
    }

    /// A table that was just adopted is somebody's still, who may be told of the drift by this run's report.
    fn is_due(&self, change: &Change, outcome: Provision) -> bool {
        match (outcome, change) {
            (Provision::Adopted, _) => false,
            (_, Change::AddIndex(_)) | (Provision::Created, Change::EnableRecovery(_)) => true,
            _ => self.environment.config.copies.repair_drift,
        }
    }

    async fn change(&self, copy: &TableDefinition, change: &Change) -> Result<()> {
        let (targets, target) = (&self.environment.targets, &self.task.table.target);
        match change {
            Change::AddIndex(_) | Change::Update(_)
                if copy.has_index_at_work() || copy.table_status != "ACTIVE" =>
            {
                Err(Error::retryable(format!("another change of table {target} is not finished")))
            }
            Change::AddIndex(request) | Change::Update(request) => targets.update(target, request).await,
            Change::Tag(tags) => targets.tag(&copy.table_arn, tags).await,
            Change::EnableRecovery(days) => targets.enable_recovery(target, Some(*days)).await,
        }
    }
}

/// What was asked about a copy; or, in words, that it is not known, where DynamoDB refuses to tell.
fn known<T>(answer: Result<T>, unknown: &mut Vec<String>) -> Result<Option<T>> {
    match answer {
        Ok(told) => Ok(Some(told)),
        Err(error) if error.kind() == Kind::Permanent => {
            unknown.push(format!("{error:#}"));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// What became of a copy's drift.
enum Mended {
    /// A change has begun, or has to wait for another one.
    Begun,
    /// Nothing more is to be done now; what is left, in words.
    Left(Vec<String>),
}
