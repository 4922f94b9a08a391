//! `trigger`: asks for a backup and leaves the work to the workers.

use serde::Serialize;

use super::output;
use super::settings;
use crate::aws::sqs::Queue;
use crate::cli::{Cli, TriggerArgs};
use crate::config::TriggerConfig;
use crate::error::Result;
use crate::exit::Exit;
use crate::message::Trigger;

#[derive(Serialize)]
struct Sent<'a> {
    queue: &'a str,
    message_id: &'a str,
}

pub(super) async fn run(cli: &Cli, args: &TriggerArgs) -> Result<Exit> {
    let (config, session) = settings::<TriggerConfig>(cli, None).await?;
    let queue = Queue::open(&session, &config.queue).await?;
    let message_id = queue.send(&Trigger::from(args).body()).await?;
    output::print(cli.output, &Sent { queue: queue.name(), message_id: &message_id }, || {
        format!("sent to {}: a worker starts the run, `status` shows it", queue.name())
    });
    Ok(Exit::Complete)
}

impl From<&TriggerArgs> for Trigger {
    fn from(args: &TriggerArgs) -> Self {
        Self {
            source: args.source.clone(),
            tables: args.tables.clone(),
            exclude: args.exclude.clone(),
            accept_changes: args.accept_changes,
        }
    }
}
