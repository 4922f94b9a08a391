//! The four queues and their dead-letter queues.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::mend::grant;
use super::{Check, Permissions};
use crate::aws::Session;
use crate::aws::sqs::{Found, Queue, QueueSettings};
use crate::aws::sts::Identity;
use crate::config::Config;
use crate::error::Result;

/// Fewer receives leave no room for what passes; more let a job that takes its worker down do it too often. The last
/// one is no attempt, and the waits between add up to an hour or so by the tenth.
const SANE_RECEIVES: std::ops::RangeInclusive<u32> = 3..=20;

pub(super) async fn examine(session: &Session, config: &Config, identity: &Identity) -> Vec<Check> {
    let names = &config.queues;
    let named = [&names.trigger, &names.export, &names.provision, &names.write];
    let found = futures::future::join_all(named.map(|name| look(session, name))).await;
    let mut checks = Vec::new();
    let mut queues = Vec::new();
    for (name, found) in named.into_iter().zip(found) {
        let check = format!("queue {}", name.rsplit('/').next().unwrap_or(name));
        match found {
            Ok(Looked::Queue(queue)) => {
                checks.extend(queue.checks(&check));
                queues.push(queue);
            }
            Ok(Looked::Unusable(found)) => checks.push(unusable(session, identity, &check, &found)),
            Err(error) => {
                let actions = ["sqs:GetQueueUrl", "sqs:GetQueueAttributes"];
                let mend = grant(identity, "queues", &actions, &arns(session, config, identity));
                checks.push(Check::failed(check, &error, mend));
            }
        }
    }
    checks.extend(examine_names(&queues));
    checks.extend(examine_permissions(session, config, identity, &queues).await);
    checks
}

/// A queue that can be used, or why it cannot.
enum Looked {
    Queue(Box<Examined>),
    Unusable(Found),
}

struct Examined {
    queue: Queue,
    settings: QueueSettings,
    dead_letters: QueueSettings,
}

async fn look(session: &Session, name: &str) -> Result<Looked> {
    let queue = match Queue::find(session, name).await? {
        Found::Queue(queue) => queue,
        found => return Ok(Looked::Unusable(found)),
    };
    let (settings, dead_letters) = (queue.settings().await?, queue.dead_letter_settings().await?);
    Ok(Looked::Queue(Box::new(Examined { queue, settings, dead_letters })))
}

fn arn(session: &Session, identity: &Identity, name: &str) -> String {
    format!("arn:{}:sqs:{}:{}:{name}", identity.partition(), session.region(), identity.account_id)
}

/// The four queues and what their names begin, their dead-letter queues among it.
fn arns(session: &Session, config: &Config, identity: &Identity) -> Vec<String> {
    let names = &config.queues;
    let named = [&names.trigger, &names.export, &names.provision, &names.write];
    let name = |named: &String| named.rsplit('/').next().unwrap_or(named).to_owned();
    named.into_iter().map(|named| arn(session, identity, &format!("{}*", name(named)))).collect()
}

fn unusable(session: &Session, identity: &Identity, check: &str, found: &Found) -> Check {
    let create = |name: &str| format!("aws sqs create-queue --queue-name {name}");
    let redrive = |dead_letters: &str| {
        let policy = json!({
            "deadLetterTargetArn": arn(session, identity, dead_letters),
            "maxReceiveCount": 6,
        });
        json!({ "RedrivePolicy": policy.to_string() }).to_string()
    };
    match found {
        Found::Queue(_) => Check::fine(check, "it can be used"),
        Found::Missing { name } => {
            let dead_letters = format!("{name}-dlq");
            let create_both = format!(
                "{} && {} --attributes '{}'",
                create(&dead_letters),
                create(name),
                redrive(&dead_letters)
            );
            let finding =
                format!("there is none in account {} and {}", identity.account_id, session.region());
            Check::wrong(check, finding).mend(create_both)
        }
        Found::WithoutRedrive { name, url } => {
            let dead_letters = format!("{name}-dlq");
            let attach = format!(
                "{} && aws sqs set-queue-attributes --queue-url {url} --attributes '{}'",
                create(&dead_letters),
                redrive(&dead_letters)
            );
            let finding = "it has no dead-letter queue: a message that cannot be handled would be lost";
            Check::wrong(check, finding).mend(attach)
        }
        Found::WithoutDeadLetters { dead_letters, .. } => {
            let finding = format!("its redrive policy names queue {dead_letters}, which does not exist");
            Check::wrong(check, finding).mend(create(dead_letters))
        }
    }
}

impl Examined {
    fn checks(&self, check: &str) -> Vec<Check> {
        let Self { queue, settings, dead_letters } = self;
        let receives = queue.max_receives();
        let mut checks = vec![Check::fine(
            check,
            format!("{} waiting; after {receives} receives to {}", settings.messages, dead_letters.name),
        )];
        let mut warn = |finding: String, mend: String| {
            checks.push(Check::warning(check, finding).mend(mend));
        };
        let set = |queue: &QueueSettings, name: &str, value: String| {
            let attributes = json!({ name: value });
            format!("aws sqs set-queue-attributes --queue-url {} --attributes '{attributes}'", queue.url)
        };
        if !SANE_RECEIVES.contains(&receives) {
            let policy = json!({ "deadLetterTargetArn": dead_letters.arn, "maxReceiveCount": 6 });
            let (least, most) = SANE_RECEIVES.into_inner();
            warn(
                format!("maxReceiveCount is {receives}: {least} to {most} let pass what may, and no more"),
                set(settings, "RedrivePolicy", policy.to_string()),
            );
        }
        if settings.delay > Duration::ZERO {
            warn(
                format!("every message is delayed by {:?}", settings.delay),
                set(settings, "DelaySeconds", "0".to_owned()),
            );
        }
        if dead_letters.retention < settings.retention {
            // SQS counts from when a message was first sent (SQS Developer Guide, “Using dead-letter queues”).
            warn(
                format!(
                    "{} keeps messages for a shorter time than it: one that is old when it is given up is lost",
                    dead_letters.name
                ),
                set(dead_letters, "MessageRetentionPeriod", "1209600".to_owned()),
            );
        }
        if dead_letters.messages > 0 {
            warn(
                format!("given up: {}, in {}", dead_letters.messages, dead_letters.name),
                format!(
                    "aws sqs receive-message --queue-url {0} --message-attribute-names reason \
                     --max-number-of-messages 10 --visibility-timeout 0  # shows why; when that is mended and its \
                     runs are resumed: aws sqs purge-queue --queue-url {0}",
                    dead_letters.url
                ),
            );
        }
        checks
    }
}

/// Names and URLs may be spelled differently and be one queue all the same.
fn examine_names(queues: &[Box<Examined>]) -> Vec<Check> {
    let mut jobs: BTreeMap<&str, usize> = BTreeMap::new();
    for queue in queues {
        *jobs.entry(&queue.settings.arn).or_default() += 1;
    }
    let wrong = |finding: String| {
        Check::wrong("queues", finding)
            .mend("give each its own queue, with trigger-, export-, provision- and write-queue")
    };
    let mut checks: Vec<Check> = jobs
        .iter()
        .filter(|(_, count)| **count > 1)
        .map(|(arn, count)| wrong(format!("{arn} is {count} of the four")))
        .collect();
    let mixed = queues.iter().filter(|queue| jobs.contains_key(queue.dead_letters.arn.as_str()));
    checks.extend(mixed.map(|queue| {
        let Examined { settings, dead_letters, .. } = &**queue;
        wrong(format!(
            "{} is one of the four, and the dead-letter queue of {}",
            dead_letters.name, settings.name
        ))
    }));
    checks
}

async fn examine_permissions(
    session: &Session,
    config: &Config,
    identity: &Identity,
    queues: &[Box<Examined>],
) -> Vec<Check> {
    let check = "queues";
    let mut checks = Vec::new();
    for Examined { queue, settings, .. } in queues.iter().map(|queue| &**queue) {
        let mut permissions = Permissions::default();
        permissions.add("sqs:DeleteMessage", queue.may_delete().await);
        permissions.add("sqs:ChangeMessageVisibility", queue.may_extend().await);
        permissions.allowed.clear();
        let check = format!("queue {}", settings.name);
        checks.extend(permissions.into_checks(&check, |denied| {
            grant(identity, "queues", denied, &arns(session, config, identity))
        }));
    }
    if checks.is_empty() && !queues.is_empty() {
        checks.push(Check::fine(check, "allowed: sqs:DeleteMessage, sqs:ChangeMessageVisibility"));
    }
    let keys = queues.iter().flat_map(|queue| [&queue.settings.kms_key, &queue.dead_letters.kms_key]);
    let mut unseen = vec!["sqs:SendMessage", "sqs:ReceiveMessage"];
    if keys.flatten().next().is_some() {
        unseen.extend(["kms:GenerateDataKey", "kms:Decrypt"]);
    }
    let finding = format!("{}: only using a queue shows that it is allowed", unseen.join(", "));
    checks.push(Check::not_checked(check, finding));
    checks
}
