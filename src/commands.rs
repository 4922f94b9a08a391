//! One file per command, and the environment they work in.

mod doctor;
mod list;
mod metrics;
mod output;
mod restore;
mod resume;
mod run;
mod show;
mod status;
mod trigger;
mod verify;
mod worker;

use std::sync::Arc;

use futures::FutureExt;
use indicatif::MultiProgress;

use crate::archive::layout::RunId;
use crate::archive::record::Run;
use crate::archive::{Archive, Backup};
use crate::aws::Session;
use crate::aws::s3::Bucket;
use crate::cli::{Cli, Command, Output};
use crate::config::{
    self, ArchiveConfig, Config, FromSettings, MetricsFormat, Parameters, Process, Resolved, Secret,
    TargetConfig,
};
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::metrics::{Metrics, Sink};
use crate::progress::Progress;
use crate::telemetry;

/// Does what the command line says.
pub async fn run(cli: &Cli) -> Result<Exit> {
    match &cli.command {
        Command::Worker => worker::run(cli).await,
        Command::Run(args) => run::run(cli, args).await,
        Command::Trigger(args) => trigger::run(cli, args).await,
        Command::Status { run } => status::run(cli, run.as_deref()).await,
        Command::Resume { run } => resume::run(cli, run).await,
        Command::List => list::run(cli).await,
        Command::Show { run, table } => show::run(cli, run, table.as_ref()).await,
        Command::Verify(args) => verify::run(cli, args).await,
        Command::Restore(args) => restore::run(cli, args).boxed().await,
        Command::Doctor => doctor::run(cli).boxed().await,
    }
}

/// The settings of a command, and the session of the account they are for. Starts the log.
async fn settings<T: FromSettings>(cli: &Cli, bars: Option<MultiProgress>) -> Result<(T, Session)> {
    let (mut resolved, session) = resolve::<T>(cli).await?;
    if bars.is_some() && resolved.is_default("log") {
        // The bars say what lines of information would.
        resolved.log.filter = "warn".to_owned();
    }
    telemetry::start(&resolved.log, bars)?;
    for warning in &resolved.warnings {
        tracing::warn!("{warning}");
    }
    let effective: Vec<String> = resolved.effective.iter().map(ToString::to_string).collect();
    let (version, settings) = (env!("CARGO_PKG_VERSION"), effective.join("; "));
    match cli.command {
        Command::Worker | Command::Run(_) | Command::Resume { .. } => {
            tracing::info!(version, settings, "configuration")
        }
        _ => tracing::debug!(version, settings, "configuration"),
    }
    Ok((resolved.config, session))
}

/// The settings of a command, as flags, variables and parameters give them.
async fn resolve<T: FromSettings>(cli: &Cli) -> Result<(Resolved<T>, Session)> {
    let session = Session::load().await?;
    let parameters = match config::parameter_path(&cli.settings, &Process)? {
        Some(path) => Parameters::new(&path, session.parameters(&path).await?),
        None => Parameters::default(),
    };
    Ok((config::resolve(&cli.settings, &Process, &parameters)?, session))
}

/// What `worker` and `run` work in: everything is looked at before the first message is received.
async fn environment(cli: &Cli, progress: Progress, bars: Option<MultiProgress>) -> Result<Arc<Environment>> {
    let (config, session) = settings::<Config>(cli, bars).await?;
    let metrics =
        Metrics::new(config.environment.as_deref(), sink(cli, config.metrics), session.retries().clone());
    Environment::open(config, session, progress, metrics).await.map(Arc::new)
}

/// Where metrics go: stdout is theirs unless it holds one JSON value.
fn sink(cli: &Cli, format: MetricsFormat) -> Sink {
    match (format, cli.output) {
        (MetricsFormat::Off, _) => Sink::Nowhere,
        (MetricsFormat::Emf, Output::Text) => Sink::Stdout,
        (MetricsFormat::Emf, Output::Json) => Sink::Stderr,
    }
}

/// What the commands that only look work in.
struct Opened {
    archive: Archive,
    config: ArchiveConfig,
    session: Session,
}

async fn open(cli: &Cli) -> Result<Opened> {
    let (config, session) = settings::<ArchiveConfig>(cli, None).await?;
    let bucket = Bucket::open(&session, &config.bucket).await?;
    Ok(Opened { archive: Archive::new(bucket, &config.prefix), config, session })
}

/// An export that DynamoDB made itself.
struct Export {
    archive: Archive,
    backup: Backup,
    table_arn: String,
}

/// Opens an export at `<bucket>/<prefix>`.
async fn open_export(session: &Session, place: &str) -> Result<Export> {
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    let archive = Archive::new(Bucket::open(session, bucket).await?, "");
    let (backup, table_arn) = archive.native_export(prefix).await?;
    Ok(Export { archive, backup, table_arn })
}

/// The account and region that is restored into, or that holds what is compared.
async fn target_session(target: &TargetConfig, session: &Session) -> Result<Session> {
    let region = target.region.as_deref().unwrap_or_else(|| session.region());
    match &target.role_arn {
        Some(role) => {
            let external_id = target.external_id.as_ref().map(Secret::expose);
            session.assume_role(role.as_str(), external_id, region).await
        }
        None => Ok(session.in_region(region)),
    }
}

/// The id of a run, as it was typed.
fn run_id(text: &str) -> Result<RunId> {
    RunId::parse(text).map_err(|error| Error::usage(error.to_string()))
}

/// The run that was asked for.
///
/// # Errors
/// A usage error when the bucket has no such run.
async fn find_run(archive: &Archive, id: &RunId) -> Result<Arc<Run>> {
    let missing = || Error::usage(format!("there is no run {id} in bucket {}", archive.bucket_name()));
    archive.run(id).await?.ok_or_else(missing)
}
