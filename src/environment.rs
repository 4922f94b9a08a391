//! Everything a job works with, built once per process.

use std::collections::HashMap;
use std::sync::Arc;

use futures::FutureExt;
use tokio::sync::OnceCell;

use crate::archive::Archive;
use crate::archive::layout::Stage;
use crate::archive::part::PartBuffers;
use crate::archive::record::{Account, Run};
use crate::aws::Session;
use crate::aws::dynamodb::Tables;
use crate::aws::s3::Bucket;
use crate::aws::scaling::Scaling;
use crate::aws::sqs::Queue;
use crate::config::{Config, Secret, SourceConfig};
use crate::error::{Error, Result};
use crate::message::{Job, Trigger};
use crate::metrics::Metrics;
use crate::progress::Progress;
use crate::rate::TableRates;
use crate::target::Checked;

/// The two accounts, the archive, the queues and the settings.
#[derive(Debug)]
pub struct Environment {
    pub config: Config,
    pub archive: Archive,
    pub queues: Queues,
    pub backup: Account,
    /// The tables of the backup account: the only ones that are ever created or written.
    pub targets: Tables,
    pub progress: Arc<Progress>,
    pub metrics: Metrics,
    pub checked_targets: Checked,
    pub rates: TableRates,
    pub part_buffers: Arc<PartBuffers>,
    session: Session,
    sources: HashMap<String, OnceCell<SourceAccount>>,
}

/// The four queues.
#[derive(Debug)]
pub struct Queues {
    pub trigger: Queue,
    pub export: Queue,
    pub provision: Queue,
    pub write: Queue,
}

/// A source account, through its read-only role.
#[derive(Debug)]
pub struct SourceAccount {
    pub account: Account,
    pub tables: Tables,
    pub scaling: Scaling,
}

impl Environment {
    /// Looks at the account, the bucket and the queues.
    ///
    /// # Errors
    /// A usage error when the bucket or a queue cannot be used, or a source is the backup account itself: account
    /// *and* region.
    pub async fn open(
        config: Config,
        session: Session,
        progress: Progress,
        metrics: Metrics,
    ) -> Result<Self> {
        let account_id = session.account_id().await?;
        let archive = Archive::new(Bucket::open(&session, &config.bucket).await?, &config.prefix);
        let queues = Queues::open(&session, &config).await?;
        let backup = Account { account_id, region: session.region().to_owned() };
        for source in &config.sources {
            refuse_own_account(source, &backup)?;
        }
        Ok(Self {
            targets: Tables::of_copies(&session, "backup"),
            checked_targets: Checked::default(),
            rates: TableRates::default(),
            part_buffers: Arc::default(),
            sources: config.sources.iter().map(|source| (source.name.clone(), OnceCell::new())).collect(),
            config,
            archive,
            queues,
            backup,
            progress: Arc::new(progress),
            metrics,
            session,
        })
    }

    /// The configured source of this name.
    ///
    /// # Errors
    /// Permanent, naming those that are configured.
    pub fn source_config(&self, name: &str) -> Result<&SourceConfig> {
        self.config.sources.iter().find(|source| source.name == name).ok_or_else(|| {
            let known: Vec<&str> = self.config.sources.iter().map(|source| source.name.as_str()).collect();
            Error::permanent(format!(
                "source {name} is not configured here; configured: {}",
                known.join(", ")
            ))
        })
    }

    /// The sources a trigger asks for.
    pub fn sources_of(&self, trigger: &Trigger) -> Result<Vec<&SourceConfig>> {
        match &trigger.source {
            Some(name) => Ok(vec![self.source_config(name)?]),
            None => Ok(self.config.sources.iter().collect()),
        }
    }

    /// The source account of a run.
    ///
    /// # Errors
    /// Permanent when the source is no longer the one the run was planned for.
    pub async fn source_of(&self, run: &Run) -> Result<&SourceAccount> {
        let source = self.source(self.source_config(&run.source.name)?).await?;
        if source.account != run.source.account {
            return Err(Error::permanent(format!(
                "source {} is {} now, but run {} was planned for {}",
                run.source.name, source.account, run.run, run.source.account
            )));
        }
        Ok(source)
    }

    /// A source account; its role is assumed on first use, and again before the credentials expire.
    pub async fn source(&self, source: &SourceConfig) -> Result<&SourceAccount> {
        let cell = self.sources.get(&source.name).expect("there is a cell for every configured source");
        cell.get_or_try_init(|| SourceAccount::open(&self.session, source, self.account_of(source))).await
    }

    /// The account and region that a source is about.
    pub fn account_of(&self, source: &SourceConfig) -> Account {
        account_of(source, &self.backup)
    }

    /// Enqueues jobs, ten to a call.
    pub async fn enqueue(&self, jobs: &[Job]) -> Result<()> {
        for stage in [Stage::Provision, Stage::Export, Stage::Write] {
            let bodies: Vec<String> = jobs.iter().filter(|job| job.stage() == stage).map(Job::body).collect();
            self.queues.of(stage).send_all(&bodies, std::time::Duration::ZERO).await?;
        }
        Ok(())
    }
}

impl SourceAccount {
    async fn open(session: &Session, source: &SourceConfig, account: Account) -> Result<Self> {
        let external_id = source.external_id.as_ref().map(Secret::expose);
        let session = session.assume_role(source.role_arn.as_str(), external_id, &account.region).await?;
        let tables = Tables::of_source(&session, &format!("source-{}", source.name));
        Ok(Self { account, tables, scaling: Scaling::new(&session) })
    }
}

impl Queues {
    async fn open(session: &Session, config: &Config) -> Result<Self> {
        let names = &config.queues;
        let open = |name| Queue::open(session, name).boxed();
        let (trigger, export, provision, write) = futures::try_join!(
            open(&names.trigger),
            open(&names.export),
            open(&names.provision),
            open(&names.write),
        )?;
        Ok(Self { trigger, export, provision, write })
    }

    pub fn of(&self, stage: Stage) -> &Queue {
        match stage {
            Stage::Trigger => &self.trigger,
            Stage::Export => &self.export,
            Stage::Provision => &self.provision,
            Stage::Write => &self.write,
        }
    }
}

/// The account of a source's role, in the source's region: that of the backup where it names none.
pub(crate) fn account_of(source: &SourceConfig, backup: &Account) -> Account {
    let region = source.region.as_ref().unwrap_or(&backup.region);
    Account { account_id: source.role_arn.account_id().to_owned(), region: region.clone() }
}

/// Writing into the account and region that is read would overwrite production.
pub(crate) fn refuse_own_account(source: &SourceConfig, backup: &Account) -> Result<()> {
    if account_of(source, backup) == *backup {
        return Err(Error::usage(format!(
            "source {} is account {backup}, which is the backup account itself: the backup would be written \
             over its source; use another account, or another region",
            source.name
        )));
    }
    Ok(())
}
