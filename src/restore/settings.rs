//! What a restored table gets beside its items, and what it does not.
//!
//! A stream would show every item that is put, and time to live would delete what has expired before anybody
//! can compare it: these, and what makes a table harder to delete, are enabled when the table has been shown to
//! equal the backup.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::{LOOK_EVERY, Restoration, Restored, Source};
use crate::error::Result;
use crate::schema::TableDefinition;
use crate::schema::settings::{
    ContributorInsights, KinesisDestination, NotReadable, TableSettings, is_reserved_tag,
};
use crate::table::TableName;
use crate::target;

/// How long it is tried to enable a setting, while what is in its way may pass.
const PATIENCE: Duration = Duration::from_secs(120);

/// A setting that is enabled last, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Late {
    Recovery { days: u32 },
    DeletionProtection,
    ContributorInsights { mode: Option<String> },
    Stream { view: String },
    TimeToLive { attribute: String },
    Kinesis(KinesisDestination),
}

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recovery { days } => write!(f, "point-in-time recovery ({days} days)"),
            Self::DeletionProtection => f.write_str("deletion protection"),
            Self::ContributorInsights { mode: None } => f.write_str("Contributor Insights"),
            Self::ContributorInsights { mode: Some(mode) } => write!(f, "Contributor Insights ({mode})"),
            Self::Stream { view } => write!(f, "stream ({view})"),
            Self::TimeToLive { attribute } => write!(f, "time to live (attribute {attribute})"),
            Self::Kinesis(destination) => write!(f, "Kinesis destination {}", destination.stream_arn),
        }
    }
}

impl Restoration<'_> {
    /// Enables what the source had on, on a table that equals the backup. One setting that cannot be enabled keeps no
    /// other from being enabled.
    pub(super) async fn enable(&self, source: &Source<'_>, target: &TableName, restored: &mut Restored) {
        for setting in self.late(source) {
            match self.enable_patiently(target, &setting).await {
                Ok(()) => restored.enabled.push(setting.to_string()),
                Err(error) => restored.not_enabled.push(format!("{setting}: {error:#}")),
            }
        }
    }

    /// What is on in the source and is enabled last.
    pub(super) fn late(&self, source: &Source<'_>) -> Vec<Late> {
        let definition = source.definition;
        let protected = definition.is_some_and(|definition| definition.deletion_protection_enabled);
        let view = definition.and_then(TableDefinition::stream_view);
        let (days, attribute, insights) = source.settings.map_or((None, None, None), |settings| {
            let attribute = settings.time_to_live_attribute();
            (settings.recovery_days(), attribute, settings.contributor_insights())
        });
        let (here, _) = self.kinesis(source);
        [
            days.map(|days| Late::Recovery { days }),
            protected.then_some(Late::DeletionProtection),
            insights.map(|ContributorInsights { mode }| Late::ContributorInsights { mode }),
            view.map(|view| Late::Stream { view: view.to_owned() }),
            attribute.map(|attribute| Late::TimeToLive { attribute }),
        ]
        .into_iter()
        .flatten()
        .chain(here.into_iter().map(Late::Kinesis))
        .collect()
    }

    /// What the source had, as far as the backup knows, and a table created from it has not.
    pub(super) fn not_restored(&self, source: &Source<'_>) -> Vec<String> {
        let Some(definition) = source.definition else { return Vec::new() };
        let mut lost = of_definition(definition);
        let Some(settings) = source.settings else {
            let why = "the backup was made before they were captured";
            lost.push(format!("time to live, tags and other settings: {why}"));
            return lost;
        };
        lost.extend(of_settings(settings));
        let (_, elsewhere) = self.kinesis(source);
        lost.extend(elsewhere.into_iter().map(|KinesisDestination { stream_arn, .. }| {
            format!("Kinesis destination {stream_arn}: it is of another account or region")
        }));
        lost.extend(settings.not_readable.iter().map(unknown));
        lost
    }

    /// What a table that was there before is not given.
    pub(super) fn left_alone(&self, source: &Source<'_>) -> Vec<String> {
        let late = self.late(source);
        let tags = (!source.tags().is_empty()).then(|| "tags".to_owned());
        let names: Vec<String> = late.iter().map(ToString::to_string).chain(tags).collect();
        let left =
            names.into_iter().map(|name| format!("{name}: the table was there, and keeps its settings"));
        left.chain(self.not_restored(source)).collect()
    }

    /// The Kinesis destinations of the source that a table here can have, and those that it cannot: stream and
    /// table are of one account and region (DynamoDB Developer Guide, “Using Kinesis Data Streams to capture
    /// changes to DynamoDB”).
    fn kinesis(&self, source: &Source<'_>) -> (Vec<KinesisDestination>, Vec<KinesisDestination>) {
        let destinations = source.settings.map(TableSettings::kinesis_destinations).unwrap_or_default();
        let place = |arn: &str| arn.split(':').skip(3).take(2).map(str::to_owned).collect::<Vec<_>>();
        let here = place(&self.arn_prefix);
        destinations.into_iter().partition(|destination| place(&destination.stream_arn) == here)
    }

    /// Another change of the table, or of too many tables of the account, may have to end before (DynamoDB API
    /// Reference, “UpdateTimeToLive”, ResourceInUseException and LimitExceededException).
    async fn enable_patiently(&self, target: &TableName, setting: &Late) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.enable_one(target, setting).await {
                Err(error) if error.is_retryable() && Instant::now() < deadline => {
                    tracing::warn!(table.name = %target, retry_in_ms = LOOK_EVERY.as_millis(), "{error:#}");
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                ended => return ended,
            }
        }
    }

    async fn enable_one(&self, target: &TableName, setting: &Late) -> Result<()> {
        match setting {
            Late::Recovery { days } => self.tables.enable_recovery(target, Some(*days)).await,
            Late::DeletionProtection => {
                self.tables.protect_from_deletion(target).await?;
                self.until_updated(target).await.map(drop)
            }
            Late::ContributorInsights { mode } => {
                self.tables.enable_contributor_insights(target, mode.as_deref()).await
            }
            Late::Stream { view } => self.enable_stream(target, view).await,
            Late::TimeToLive { attribute } => self.tables.enable_time_to_live(target, attribute).await,
            Late::Kinesis(destination) => self.enable_kinesis(target, destination).await,
        }
    }

    /// Waits until the stream is there: other settings cannot be changed before.
    async fn enable_stream(&self, target: &TableName, view: &str) -> Result<()> {
        let asked = self.tables.enable_stream(target, view).await;
        let definition = self.until_updated(target).await?;
        // One that is there although it was refused was asked for by an attempt whose answer was lost.
        if definition.stream_view() == Some(view) { Ok(()) } else { asked }
    }

    async fn enable_kinesis(&self, target: &TableName, destination: &KinesisDestination) -> Result<()> {
        let Err(refused) = self.tables.enable_kinesis(target, destination).await else { return Ok(()) };
        // As for a stream.
        let found = self.tables.kinesis_destinations(target).await?;
        let is_there = found.iter().any(|one| one.stream_arn == destination.stream_arn);
        if is_there { Ok(()) } else { Err(refused) }
    }

    async fn until_updated(&self, target: &TableName) -> Result<TableDefinition> {
        let definition = target::require(self.tables, target).await?;
        self.until_no_longer("UPDATING", target, definition).await
    }
}

impl Source<'_> {
    /// The tags that a new table is created with.
    pub(super) fn tags(&self) -> Vec<(String, String)> {
        let tags = self.settings.map(TableSettings::tags).unwrap_or_default();
        tags.into_iter().filter(|(key, _)| !is_reserved_tag(key)).collect()
    }
}

fn of_definition(definition: &TableDefinition) -> Vec<String> {
    let key = definition.kms_key();
    let key = key.map(|key| format!("KMS key {key}: the table is under DynamoDB's own key"));
    let regions = definition.replicas.iter().filter_map(|replica| replica.region_name.as_deref());
    key.into_iter().chain(regions.map(|region| format!("replica in {region}"))).collect()
}

fn of_settings(settings: &TableSettings) -> Vec<String> {
    let mut lost = Vec::new();
    if settings.resource_policy.is_some() {
        lost.push("resource policy: it names principals and ARNs of the source".to_owned());
    }
    let scaled = settings.auto_scaling.as_ref().map_or(0, |scaling| scaling.scalable_targets.len());
    if scaled > 0 {
        lost.push(format!(
            "auto scaling of {scaled} dimensions: register them with Application Auto Scaling"
        ));
    }
    let tags = settings.tags().into_iter().filter(|(key, _)| is_reserved_tag(key));
    lost.extend(tags.map(|(key, _)| format!("tag {key}: the prefix is reserved")));
    lost
}

fn unknown(setting: &NotReadable) -> String {
    match &setting.permission {
        Some(permission) => {
            format!("{}: not in the backup, for the source role had no {permission}", setting.setting)
        }
        None => format!("{}: not in the backup ({})", setting.setting, setting.reason),
    }
}
