//! Where workers are killed: before or after their n-th call of a kind.

use std::collections::{BTreeMap, BTreeSet};

use loopback_aws::{Call, Random};

/// What happens to the worker that makes a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blow {
    /// SIGKILL before the call takes effect: it never does.
    KillBefore,
    /// SIGKILL; the call takes effect, and nobody gets its answer.
    KillAfter,
    /// SIGSTOP, for long enough that others take over, then SIGCONT: a zombie.
    Pause,
}

/// A worker's end, or pause.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    kind: &'static str,
    /// Of the calls of this kind, by whichever worker, from 1.
    nth: u64,
    pub(crate) blow: Blow,
}

impl Point {
    pub(crate) fn name(&self) -> String {
        let side = match self.blow {
            Blow::KillBefore => "before",
            Blow::KillAfter => "after",
            Blow::Pause => "pause at",
        };
        format!("{side} {}", self.kind)
    }
}

/// The kinds of calls, and up to which one of a kind it may be: about as many as a small run makes.
#[rustfmt::skip] // one stage a line
const KINDS: [(&str, u64); 69] = [
    ("sts GetCallerIdentity", 4), ("sts AssumeRole", 3), ("s3 HeadBucket", 3), ("sqs GetQueueUrl", 12), ("sqs GetQueueAttributes", 8),
    ("sqs ReceiveMessage trigger", 3), ("sqs ReceiveMessage provision", 6), ("sqs ReceiveMessage export", 10), ("sqs ReceiveMessage write", 10),
    ("sqs DeleteMessage trigger", 1), ("sqs DeleteMessage provision", 4), ("sqs DeleteMessage export", 6), ("sqs DeleteMessage write", 6),
    ("sqs SendMessageBatch provision", 4), ("sqs SendMessageBatch export", 4), ("sqs SendMessageBatch write", 6), ("sqs ChangeMessageVisibility", 2),
    ("dynamodb ListTables", 1), ("dynamodb DescribeTable source", 3), ("dynamodb DescribeTimeToLive", 2), ("dynamodb DescribeContinuousBackups", 2),
    ("dynamodb GetResourcePolicy", 2), ("dynamodb DescribeContributorInsights", 2), ("dynamodb DescribeKinesisStreamingDestination", 2),
    ("application-autoscaling DescribeScalableTargets", 1), ("application-autoscaling DescribeScalingPolicies", 1),
    ("application-autoscaling DescribeScheduledActions", 1),
    ("dynamodb DescribeTable copy", 4), ("dynamodb CreateTable", 2), ("dynamodb ListTagsOfResource", 4),
    ("dynamodb Scan source", 12), ("dynamodb Scan copy", 8), ("dynamodb BatchWriteItem", 20),
    ("s3 PutObject turn", 1), ("s3 PutObject run", 1), ("s3 PutObject begun", 2), ("s3 PutObject table", 2), ("s3 PutObject started", 1),
    ("s3 PutObject part", 6), ("s3 PutObject exported", 6), ("s3 PutObject provisioned", 2), ("s3 PutObject manifest", 6),
    ("s3 PutObject write-begun", 6), ("s3 PutObject first-look", 6), ("s3 PutObject handed-over", 1), ("s3 PutObject written", 6),
    ("s3 PutObject deletions", 1), ("s3 PutObject difference", 3), ("s3 PutObject delete-begun", 2), ("s3 PutObject deleted", 2),
    ("s3 PutObject deletes-enqueued", 1), ("s3 PutObject result", 2), ("s3 PutObject report", 1),
    ("s3 GetObject turn", 1), ("s3 GetObject run", 4), ("s3 GetObject table", 6), ("s3 GetObject part", 6), ("s3 GetObject exported", 6),
    ("s3 GetObject provisioned", 6), ("s3 GetObject first-look", 4), ("s3 GetObject handed-over", 1), ("s3 GetObject written", 6), ("s3 GetObject deletions", 2),
    ("s3 GetObject difference", 2), ("s3 GetObject deleted", 2), ("s3 GetObject result", 4), ("s3 GetObject report", 1),
    ("s3 HeadObject", 40), ("s3 ListObjectsV2", 30),
];

/// Those of all kinds that none of these points is of.
pub(crate) fn never_hit<'a>(points: impl Iterator<Item = &'a String> + Clone) -> Vec<&'static str> {
    let is_hit = |kind: &str| points.clone().any(|point| point.ends_with(kind));
    KINDS.iter().map(|(kind, _)| *kind).filter(|kind| !is_hit(kind)).collect()
}

/// The kind of a call.
fn kind(call: &Call) -> String {
    let detail = match (call.service, call.action.as_str()) {
        ("s3", "PutObject" | "GetObject") => object(&call.resource),
        ("sqs", "GetQueueUrl" | "GetQueueAttributes" | "ChangeMessageVisibility") => "",
        ("sqs", _) => call.resource.trim_end_matches("-dlq").rsplit('-').next().unwrap_or_default(),
        ("dynamodb", "Scan" | "DescribeTable") if call.role.is_some() => "source",
        ("dynamodb", "Scan" | "DescribeTable") => "copy",
        _ => "",
    };
    format!("{} {} {detail}", call.service, call.action).trim_end().to_owned()
}

/// What an object is, by its key.
fn object(key: &str) -> &'static str {
    let name = key.rsplit('/').next().unwrap_or_default();
    let is_in = |folder: &str| key.contains(&format!("/{folder}/"));
    match name {
        "next.json" => "turn",
        _ if name.starts_with("first-") && !is_in("state") => "turn",
        "run.json" => "run",
        "started.json" => "started",
        "report.json" => "report",
        "_started" => "begun",
        "table.json" => "table",
        "provision.json" => "provisioned",
        "deletions.json" => "deletions",
        "enqueued.json" => "deletes-enqueued",
        _ if name.starts_with("manifest-") => "manifest",
        _ if is_in("data") => "part",
        _ if is_in("state/export") => "exported",
        _ if is_in("state/delete") => {
            if name.contains("begun") {
                "delete-begun"
            } else {
                "deleted"
            }
        }
        _ if is_in("state/write") && name.contains("begun") => "write-begun",
        _ if is_in("state/write") && name.contains("first") => "first-look",
        _ if is_in("state/write") => {
            if name.contains('-') {
                "handed-over"
            } else {
                "written"
            }
        }
        _ if is_in("differences") => "difference",
        _ if is_in("results") => "result",
        _ => "other",
    }
}

/// The points of one seed, as they come due.
#[derive(Default)]
pub(crate) struct Points {
    pending: Vec<Point>,
    seen: BTreeMap<String, u64>,
    /// Kinds of calls that are not in [`KINDS`]: nobody would ever be hit at them.
    pub(crate) unlisted: BTreeSet<String>,
    /// The names of those that were hit.
    pub(crate) hit: Vec<String>,
}

impl Points {
    /// Three to twelve of them.
    pub(crate) fn seeded(random: &mut Random) -> Self {
        let count = 3 + random.below(10);
        let point = |random: &mut Random| {
            let (kind, most) = KINDS[random.below(KINDS.len() as u64) as usize];
            let blow = match random.below(5) {
                0 | 1 => Blow::KillBefore,
                2 | 3 => Blow::KillAfter,
                _ => Blow::Pause,
            };
            Point { kind, nth: 1 + random.below(most), blow }
        };
        let pending = (0..count).map(|_| point(random)).collect();
        Self { pending, ..Self::default() }
    }

    /// Counts a call, and gives the point that is due at it. One that may not be hit now is due at the next call of
    /// its kind. A kind that is not listed is noted, unless none of its calls may be hit: so it is with the trigger
    /// that `run` sends.
    pub(crate) fn due(&mut self, call: &Call, may_be_hit: impl FnOnce() -> bool) -> Option<Point> {
        let kind = kind(call);
        if KINDS.iter().all(|(known, _)| *known != kind) {
            self.unlisted.extend(may_be_hit().then_some(kind));
            return None;
        }
        let seen = self.seen.entry(kind.clone()).or_default();
        *seen += 1;
        let at = self.pending.iter().position(|point| point.kind == kind && point.nth <= *seen)?;
        if !may_be_hit() {
            return None;
        }
        let point = self.pending.swap_remove(at);
        self.hit.push(point.name());
        Some(point)
    }
}
