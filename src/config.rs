//! Flags, then environment variables, then SSM parameters, then defaults: [`resolve`] makes a configuration of
//! them, or tells every mistake at once.

mod compression;
mod mistake;
mod reader;
mod role;
mod setting;
mod source;
mod value;

use std::time::Duration;

pub use compression::Compression;
pub use mistake::{ConfigErrors, Mistake, Shown, Warning, Wrong};
pub use reader::{Effective, Parameters, Process, Reader, Strings};
pub use role::{RoleArn, Secret};
pub use setting::{Fallback, Form, SETTINGS, Setting};
pub use source::SourceConfig;

use crate::rate::Budget;
use crate::schema::blueprint::CopyOptions;
use crate::schema::settings::MOST_RECOVERY_DAYS;
use reader::Layer;
use serde::{Deserialize, Serialize};
use value::{choice, duration, switch, whole_number};

/// Everything that a worker or a run needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Names the deployment.
    pub environment: Option<String>,
    pub bucket: String,
    /// Key prefix in the bucket, without slashes at its ends; empty for none.
    pub prefix: String,
    pub queues: QueueNames,
    /// At least one.
    pub sources: Vec<SourceConfig>,
    pub options: ExportOptions,
    pub pace: PaceOptions,
    pub concurrency: Concurrency,
    /// A run in which nothing new appears for this long is stalled.
    pub stall_after: Duration,
    /// How long SQS keeps a message hidden after its last heartbeat.
    pub visibility_timeout: Duration,
    /// How long running jobs may take to stop.
    pub shutdown_grace: Duration,
    /// A job that has worked this long passes the rest of its segment on.
    pub hand_over_after: Duration,
    /// Whether tables of the backup account that carry no ownership tag are tagged and written to.
    pub adopt_existing: bool,
    pub copies: CopyOptions,
    /// The share of a copy, in per cent, of which more than this may not be deleted or changed in one run.
    pub suspect_above: u8,
    pub metrics: MetricsFormat,
}

/// What reading the archive takes: `status`, `list`, `show`, `verify`, `restore`.
#[derive(Clone, Debug)]
pub struct ArchiveConfig {
    pub bucket: String,
    /// Key prefix in the bucket, without slashes at its ends; empty for none.
    pub prefix: String,
    /// A run in which nothing new appears for this long is stalled.
    pub stall_after: Duration,
}

/// What restoring from the archive takes.
#[derive(Clone, Debug)]
pub struct RestoreConfig {
    pub archive: ArchiveConfig,
    pub target: TargetConfig,
}

/// The account and region that is restored into.
#[derive(Clone, Debug)]
pub struct TargetConfig {
    /// `None` for the account of the process.
    pub role_arn: Option<RoleArn>,
    pub external_id: Option<Secret>,
    /// `None` for the region of the process.
    pub region: Option<String>,
}

/// What sending a trigger takes.
#[derive(Clone, Debug)]
pub struct TriggerConfig {
    pub queue: String,
}

/// The four queues, each by name or URL; no two are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueNames {
    pub trigger: String,
    pub export: String,
    pub provision: String,
    pub write: String,
}

/// How items are read and stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportOptions {
    /// Strongly consistent reads, at twice the cost.
    pub consistent_read: bool,
    pub compression: Compression,
}

/// How fast a table is read and its copy is written, across all workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaceOptions {
    /// Segments of one table in flight at once.
    pub lanes: u32,
    pub read_budget: Budget,
    pub write_budget: Budget,
}

/// Jobs of each stage that one worker runs at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concurrency {
    pub trigger: usize,
    pub export: usize,
    pub provision: usize,
    pub write: usize,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// A filter of tracing-subscriber's `EnvFilter`.
    pub filter: String,
    /// `None` means text on a terminal and JSON elsewhere.
    pub format: Option<LogFormat>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// How metrics are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetricsFormat {
    /// Not at all.
    #[default]
    Off,
    /// In CloudWatch's embedded metric format.
    Emf,
}

/// A configuration with what there is to say about it.
#[derive(Debug)]
pub struct Resolved<T> {
    pub config: T,
    pub log: LogConfig,
    pub warnings: Vec<Warning>,
    /// The SSM parameters that no setting reads, by their whole names: there is a warning of each.
    pub unread_parameters: Vec<String>,
    /// What was read and where it came from, for the start-up log.
    pub effective: Vec<Effective>,
}

impl<T> Resolved<T> {
    /// Whether nobody has given this setting.
    pub fn is_default(&self, name: &str) -> bool {
        self.effective.iter().any(|setting| setting.name == name && setting.origin == reader::DEFAULT)
    }
}

/// A part of the configuration that some command can do with alone.
pub trait FromSettings {
    /// Reads the settings it needs. Mistakes stay in the reader.
    fn read(reader: &mut Reader<'_>) -> Self;
}

/// Reads the settings that `T` and the log need.
///
/// # Errors
/// Every mistake in them; nothing is looked up beyond the three arguments and the file that `sources` names.
pub fn resolve<T: FromSettings>(
    flags: &dyn Strings,
    environment: &dyn Strings,
    parameters: &Parameters,
) -> Result<Resolved<T>, ConfigErrors> {
    let layers = vec![Layer::Flags(flags), Layer::Environment(environment), Layer::Parameters(parameters)];
    let mut reader = Reader::new(layers);
    for (name, reason) in parameters.unread() {
        reader.warn(format!("{name} is ignored: {reason}"));
    }
    let unread_parameters = parameters.unread().map(|(name, _)| name).collect();
    let config = T::read(&mut reader);
    let log = LogConfig::read(&mut reader);
    let (warnings, effective) = reader.finish()?;
    Ok(Resolved { config, log, warnings, unread_parameters, effective })
}

/// Where the SSM parameters lie, if the deployment has a name: `/dynamodb-backup/<environment>/`.
///
/// # Errors
/// The name is none that SSM and SQS both take.
pub fn parameter_path(
    flags: &dyn Strings,
    environment: &dyn Strings,
) -> Result<Option<String>, ConfigErrors> {
    let mut reader = Reader::new(vec![Layer::Flags(flags), Layer::Environment(environment)]);
    let name = reader.read_optional("environment", value::environment);
    reader.finish()?;
    Ok(name.map(|name| format!("/dynamodb-backup/{name}/")))
}

impl FromSettings for Config {
    fn read(reader: &mut Reader<'_>) -> Self {
        let environment = reader.read_optional("environment", value::environment);
        Self {
            bucket: reader.read("bucket", value::bucket),
            prefix: reader.read("prefix", value::prefix),
            queues: QueueNames::read(reader, environment.as_deref()),
            sources: source::read(reader),
            options: ExportOptions::read(reader),
            pace: PaceOptions::read(reader),
            concurrency: Concurrency::read(reader),
            stall_after: read_stall_after(reader),
            visibility_timeout: reader.read("visibility-timeout", duration(SECOND * 10..=HOUR * 12)),
            shutdown_grace: reader.read("shutdown-grace", duration(SECOND..=HOUR)),
            hand_over_after: reader.read("hand-over-after", duration(SECOND..=HOUR * 11)),
            adopt_existing: reader.read("adopt-existing", switch),
            copies: CopyOptions::read(reader),
            suspect_above: reader.read("suspect-above", value::percent),
            metrics: reader
                .read("metrics", choice(&[("off", MetricsFormat::Off), ("emf", MetricsFormat::Emf)])),
            environment,
        }
    }
}

impl FromSettings for CopyOptions {
    fn read(reader: &mut Reader<'_>) -> Self {
        let modes = choice(&[("on-demand", false), ("source", true)]);
        Self {
            keeps_billing_mode: reader.read("copy-billing-mode", modes),
            recovery_days: reader.read_optional("copy-recovery-days", whole_number(1..=MOST_RECOVERY_DAYS)),
            warm_write_units: reader.read_optional("copy-warm-write-units", whole_number(1..=MOST_UNITS)),
            kms_key: reader.read_optional("copy-kms-key", value::kms_key),
            repair_drift: reader.read("repair-drift", switch),
        }
    }
}

impl FromSettings for ArchiveConfig {
    fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            bucket: reader.read("bucket", value::bucket),
            prefix: reader.read("prefix", value::prefix),
            stall_after: read_stall_after(reader),
        }
    }
}

impl FromSettings for RestoreConfig {
    fn read(reader: &mut Reader<'_>) -> Self {
        Self { archive: ArchiveConfig::read(reader), target: TargetConfig::read(reader) }
    }
}

impl FromSettings for TargetConfig {
    fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            role_arn: reader.read_optional("target-role-arn", str::parse),
            external_id: reader.read_optional("target-external-id", Secret::external_id),
            region: reader.read_optional("target-region", value::region),
        }
    }
}

impl FromSettings for TriggerConfig {
    fn read(reader: &mut Reader<'_>) -> Self {
        let environment = reader.read_optional("environment", value::environment);
        Self { queue: read_queue(reader, environment.as_deref(), "trigger") }
    }
}

impl QueueNames {
    fn read(reader: &mut Reader<'_>, environment: Option<&str>) -> Self {
        let [trigger, export, provision, write] =
            ["trigger", "export", "provision", "write"].map(|stage| read_queue(reader, environment, stage));
        let names = [&trigger, &export, &provision, &write];
        if (1..names.len()).any(|end| !names[end].is_empty() && names[..end].contains(&names[end])) {
            let mend = "give each its own: a worker takes a message for what its queue is for";
            reader.refuse(
                "trigger-, export-, provision- and write-queue",
                Wrong::new("two are the same", mend),
            );
        }
        Self { trigger, export, provision, write }
    }
}

impl ExportOptions {
    fn read(reader: &mut Reader<'_>) -> Self {
        let consistent_read = reader.read("consistent-read", switch);
        Self { consistent_read, compression: Compression::read(reader) }
    }
}

impl PaceOptions {
    fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            lanes: reader.read("lanes", whole_number(1..=1000)),
            read_budget: reader.read("read-budget", value::budget),
            write_budget: reader.read("write-budget", value::budget),
        }
    }
}

impl Concurrency {
    fn read(reader: &mut Reader<'_>) -> Self {
        let [trigger, export, provision, write] = ["trigger", "export", "provision", "write"]
            .map(|stage| reader.read(&format!("{stage}-concurrency"), whole_number(1..=256)));
        Self { trigger, export, provision, write }
    }
}

impl LogConfig {
    fn read(reader: &mut Reader<'_>) -> Self {
        let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
        Self {
            filter: reader.read("log", value::log_filter),
            format: reader.read_optional("log-format", choice(&formats)),
        }
    }
}

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// Far above what any account may have; what this one may have, DynamoDB says.
const MOST_UNITS: u64 = 100_000_000;

fn read_stall_after(reader: &mut Reader<'_>) -> Duration {
    reader.read("stall-after", duration(SECOND..=HOUR * 24 * 30))
}

fn read_queue(reader: &mut Reader<'_>, environment: Option<&str>, stage: &str) -> String {
    let parts: Vec<_> = ["dynamodb-backup"].into_iter().chain(environment).chain([stage]).collect();
    reader.read_or(&format!("{stage}-queue"), &parts.join("-"), value::queue)
}

#[cfg(test)]
mod tests;
