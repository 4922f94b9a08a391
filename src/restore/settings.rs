//! What a restored table gets beside its items, and what it does not.
//!
//! A stream would show every item that is put, and time to live would delete what has expired before anybody
//! can compare it: both are enabled when the table has been shown to equal the backup.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::{LOOK_EVERY, Restoration, Source};
use crate::error::{Error, Result};
use crate::schema::TableDefinition;
use crate::schema::settings::{NotReadable, TableSettings};
use crate::table::TableName;
use crate::target;

/// Begin the tags that a new table is not given: AWS's own, and those that would make it a live copy.
const RESERVED_TAGS: [&str; 2] = ["aws:", "dynamodb-backup:"];

/// How long it is tried to enable a setting, while what is in its way may pass.
const PATIENCE: Duration = Duration::from_secs(120);

/// A setting that is enabled last, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Late {
    Stream { view: String },
    TimeToLive { attribute: String },
}

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream { view } => write!(f, "stream ({view})"),
            Self::TimeToLive { attribute } => write!(f, "time to live (attribute {attribute})"),
        }
    }
}

impl Restoration<'_> {
    /// Enables what the source had on, on a table that equals the backup; gives what was enabled.
    ///
    /// # Errors
    /// Names the setting, and says that the items are there.
    pub(super) async fn enable(&self, source: &Source<'_>, target: &TableName) -> Result<Vec<String>> {
        let late = source.late();
        for setting in &late {
            self.enable_patiently(target, setting).await.map_err(|error| {
                let step = format!(
                    "table {target} has every item of the backup, but its {setting} could not be enabled: enable \
                     it yourself"
                );
                Error::new(error.kind(), step).with_source(format!("{error:#}"))
            })?;
        }
        Ok(late.iter().map(ToString::to_string).collect())
    }

    /// Another change of the table, or of too many tables of the account, may have to end before (DynamoDB API
    /// Reference, “UpdateTimeToLive”, ResourceInUseException and LimitExceededException).
    async fn enable_patiently(&self, target: &TableName, setting: &Late) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let enabled = match setting {
                Late::Stream { view } => self.enable_stream(target, view).await,
                Late::TimeToLive { attribute } => self.tables.enable_time_to_live(target, attribute).await,
            };
            match enabled {
                Err(error) if error.is_retryable() && Instant::now() < deadline => {
                    tracing::warn!(table.name = %target, retry_in_ms = LOOK_EVERY.as_millis(), "{error:#}");
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                ended => return ended,
            }
        }
    }

    /// Waits until the stream is there: other settings cannot be changed before.
    async fn enable_stream(&self, target: &TableName, view: &str) -> Result<()> {
        let asked = self.tables.enable_stream(target, view).await;
        let definition = target::require(self.tables, target).await?;
        // One that is there although it was refused was asked for by an attempt whose answer was lost.
        if definition.stream_view() != Some(view) {
            asked?;
        }
        self.until_no_longer("UPDATING", target, definition).await.map(drop)
    }
}

impl Source<'_> {
    /// The tags that a new table is created with.
    pub(super) fn tags(&self) -> Vec<(String, String)> {
        let tags = self.settings.map(TableSettings::tags).unwrap_or_default();
        tags.into_iter().filter(|(key, _)| !is_reserved(key)).collect()
    }

    /// What is on in the source and is enabled last.
    pub(super) fn late(&self) -> Vec<Late> {
        let view = self.definition.and_then(TableDefinition::stream_view);
        let attribute = self.settings.and_then(TableSettings::time_to_live_attribute);
        let stream = view.map(|view| Late::Stream { view: view.to_owned() });
        stream.into_iter().chain(attribute.map(|attribute| Late::TimeToLive { attribute })).collect()
    }

    /// What the source had, as far as the backup knows, and a table created from it has not.
    pub(super) fn not_restored(&self) -> Vec<String> {
        let Some(definition) = self.definition else { return Vec::new() };
        let mut lost = of_definition(definition);
        match self.settings {
            Some(settings) => lost.extend(of_settings(settings)),
            None => lost.push(
                "time to live, tags and other settings: the backup was made before they were captured"
                    .to_owned(),
            ),
        }
        lost
    }

    /// What a table that was there before is not given.
    pub(super) fn left_alone(&self) -> Vec<String> {
        let late = self.late();
        let tags = (!self.tags().is_empty()).then(|| "tags".to_owned());
        let names: Vec<String> = late.iter().map(ToString::to_string).chain(tags).collect();
        let left =
            names.into_iter().map(|name| format!("{name}: the table was there, and keeps its settings"));
        left.chain(self.not_restored()).collect()
    }
}

fn of_definition(definition: &TableDefinition) -> Vec<String> {
    let mut lost = Vec::new();
    let key = definition.sse_description.as_ref().and_then(|sse| sse.kms_master_key_arn.as_deref());
    lost.extend(key.map(|key| format!("KMS key {key}")));
    let regions = definition.replicas.iter().filter_map(|replica| replica.region_name.as_deref());
    lost.extend(regions.map(|region| format!("replica in {region}")));
    if definition.deletion_protection_enabled {
        lost.push("deletion protection is on in the source".to_owned());
    }
    lost
}

fn of_settings(settings: &TableSettings) -> Vec<String> {
    let mut lost = Vec::new();
    if settings.has_point_in_time_recovery() {
        lost.push("point-in-time recovery is on in the source".to_owned());
    }
    if settings.resource_policy.is_some() {
        lost.push("resource policy".to_owned());
    }
    lost.extend(settings.kinesis_streams().into_iter().map(|stream| format!("Kinesis destination {stream}")));
    if settings.has_contributor_insights() {
        lost.push("Contributor Insights is on in the source".to_owned());
    }
    let tags = settings.tags().into_iter().filter(|(key, _)| is_reserved(key));
    lost.extend(tags.map(|(key, _)| format!("tag {key}: the prefix is reserved")));
    lost.extend(settings.not_readable.iter().map(unknown));
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

fn is_reserved(key: &str) -> bool {
    RESERVED_TAGS.iter().any(|prefix| key.starts_with(prefix))
}
