//! The kinds of faults, each counted by itself.

use std::time::Duration;

use super::Fault;
use crate::{Call, Random};

/// A kind of fault in the calls of one service.
pub struct Class {
    pub name: &'static str,
    service: &'static str,
    concerns: fn(&Call) -> bool,
    make: fn(&mut Random) -> Fault,
    /// The share of its calls that may go wrong in a run that is to be complete all the same, with nothing but the
    /// retries of its SDK to help; zero where a run would take too long to get over it.
    pub bearable_share: f64,
}

impl Class {
    /// # Panics
    ///
    /// If there is no such class.
    pub fn named(name: &str) -> &'static Self {
        let class = CLASSES.iter().find(|class| class.name == name);
        class.unwrap_or_else(|| panic!("there is no class of faults called {name}"))
    }

    pub(super) fn concerns(&self, call: &Call) -> bool {
        call.service == self.service && (self.concerns)(call)
    }

    pub(super) fn fault(&self, random: &mut Random) -> Fault {
        (self.make)(random)
    }

    const fn new(
        name: &'static str,
        service: &'static str,
        concerns: fn(&Call) -> bool,
        bearable_share: f64,
        make: fn(&mut Random) -> Fault,
    ) -> Self {
        Self { name, service, concerns, make, bearable_share }
    }
}

/// Every kind of fault there is.
///
/// Codes and statuses: DynamoDB Developer Guide, “Error handling with DynamoDB”, and DynamoDB API Reference,
/// “ThrottlingReason”; S3 API Reference, “Error responses”; SQS API Reference, “Common errors” and the errors of
/// “SendMessage”; for STS, AWS re:Post, “How do I resolve API throttling or ‘Rate exceeded’ errors for IAM and AWS
/// STS?”.
#[rustfmt::skip] // one class a line, all alike
pub static CLASSES: &[Class] = &[
    Class::new("dynamodb-provisioned-throughput", "dynamodb", moves_items, 0.03, |random| throttled("ProvisionedThroughputExceededException", random)),
    Class::new("dynamodb-throttling", "dynamodb", moves_items, 0.03, |random| throttled("ThrottlingException", random)),
    Class::new("dynamodb-request-limit", "dynamodb", moves_items, 0.02, |random| throttled("RequestLimitExceeded", random)),
    Class::new("dynamodb-control-throttling", "dynamodb", administers, 0.03, |_| Fault::error(400, "ThrottlingException")),
    // Of a table that has just become ACTIVE; where it does not become known, a run would wait too long.
    Class::new("dynamodb-unknown-table", "dynamodb", any, 0.0, |_| Fault::error(400, "ResourceNotFoundException")),
    Class::new("dynamodb-500", "dynamodb", any, 0.02, |_| Fault::error(500, "InternalServerError")),
    Class::new("dynamodb-503", "dynamodb", any, 0.02, |_| Fault::error(503, "ServiceUnavailable")),
    Class::new("dynamodb-reset", "dynamodb", any, 0.02, |_| Fault::Reset),
    Class::new("dynamodb-lost-answer", "dynamodb", any, 0.02, |_| Fault::LostAnswer),
    Class::new("dynamodb-cut-body", "dynamodb", any, 0.02, |_| Fault::TruncatedBody),
    Class::new("dynamodb-corrupt-body", "dynamodb", moves_items, 0.02, |_| Fault::CorruptBody),
    Class::new("dynamodb-wrong-checksum", "dynamodb", moves_items, 0.02, |_| Fault::WrongChecksum),
    Class::new("dynamodb-slow", "dynamodb", any, 0.10, slow),
    Class::new("dynamodb-stall", "dynamodb", moves_items, 0.0, |_| Fault::Delay(STALL)),
    Class::new("dynamodb-stalled-body", "dynamodb", moves_items, 0.0, |_| Fault::StalledBody(STALL)),
    Class::new("dynamodb-unprocessed", "dynamodb", |call| call.action == "BatchWriteItem", 0.10, |random| Fault::Unprocessed(1 + random.below(25) as usize)),
    Class::new("scan-empty-page", "dynamodb", is_scan, 0.15, |_| Fault::EmptyPage),
    Class::new("scan-short-page", "dynamodb", is_scan, 0.20, |random| Fault::ShortPage(1 + random.below(60) as u32)),
    Class::new("session-expired", "dynamodb", |call| call.role.is_some(), 0.01, |_| Fault::ExpiredSession),
    Class::new("session-revoked", "dynamodb", |call| call.role.is_some(), 0.0, |_| Fault::RevokedSessions),

    Class::new("s3-slow-down", "s3", any, 0.02, |_| Fault::error(503, "SlowDown")),
    Class::new("s3-500", "s3", any, 0.02, |_| Fault::error(500, "InternalError")),
    Class::new("s3-503", "s3", any, 0.02, |_| Fault::error(503, "ServiceUnavailable")),
    Class::new("s3-reset", "s3", any, 0.02, |_| Fault::Reset),
    Class::new("s3-lost-answer", "s3", any, 0.02, |_| Fault::LostAnswer),
    Class::new("s3-cut-body", "s3", gets, 0.02, |_| Fault::TruncatedBody),
    Class::new("s3-corrupt-body", "s3", gets, 0.02, |_| Fault::CorruptBody),
    Class::new("s3-slow", "s3", any, 0.10, slow),
    Class::new("s3-stalled-body", "s3", gets, 0.0, |_| Fault::StalledBody(STALL)),
    // S3 User Guide, “How to prevent object overwrites with conditional writes”.
    Class::new("s3-conflict", "s3", puts, 0.02, |_| Fault::error(409, "ConditionalRequestConflict")),
    // The put that follows meets its own object, and is answered 412.
    Class::new("s3-lost-put", "s3", puts, 0.03, |_| Fault::LostAnswer),

    Class::new("sqs-throttled", "sqs", any, 0.02, |random| Fault::error(400, random.pick(&["RequestThrottled", "ThrottlingException"]))),
    Class::new("sqs-500", "sqs", any, 0.02, |_| Fault::error(500, "InternalFailure")),
    Class::new("sqs-503", "sqs", any, 0.02, |_| Fault::error(503, "ServiceUnavailable")),
    Class::new("sqs-reset", "sqs", any, 0.02, |_| Fault::Reset),
    // A lost answer to a receive takes its messages to nobody until their visibility timeout ends: see below.
    Class::new("sqs-lost-answer", "sqs", |call| call.action != "ReceiveMessage", 0.02, |_| Fault::LostAnswer),
    Class::new("sqs-lost-receive", "sqs", receives, 0.0, |_| Fault::LostAnswer),
    Class::new("sqs-stall", "sqs", |call| call.action != "ReceiveMessage", 0.0, |_| Fault::Delay(STALL)),
    Class::new("sqs-duplicate", "sqs", receives, 0.10, |_| Fault::Duplicate),
    Class::new("sqs-reordered", "sqs", receives, 0.30, |_| Fault::NewestFirst),
    Class::new("sqs-lost-delete", "sqs", |call| call.action == "DeleteMessage", 0.05, |_| Fault::Ignored),
    Class::new("sqs-lost-extension", "sqs", |call| call.action == "ChangeMessageVisibility", 0.50, |_| Fault::Ignored),

    Class::new("sts-throttled", "sts", any, 0.10, |_| Fault::error(400, "Throttling")),
    Class::new("sts-500", "sts", any, 0.05, |_| Fault::error(500, "InternalFailure")),
    Class::new("sts-reset", "sts", any, 0.05, |_| Fault::Reset),
];

/// Longer than any patience of the program with one attempt at a DynamoDB or SQS call, or with a body.
const STALL: Duration = Duration::from_secs(600);

fn any(_call: &Call) -> bool {
    true
}

fn is_scan(call: &Call) -> bool {
    call.action == "Scan"
}

fn moves_items(call: &Call) -> bool {
    matches!(call.action.as_str(), "Scan" | "BatchWriteItem")
}

fn administers(call: &Call) -> bool {
    !moves_items(call)
}

fn puts(call: &Call) -> bool {
    call.action == "PutObject"
}

fn gets(call: &Call) -> bool {
    call.action == "GetObject"
}

fn receives(call: &Call) -> bool {
    call.action == "ReceiveMessage"
}

fn slow(random: &mut Random) -> Fault {
    Fault::Delay(Duration::from_millis(1 + random.below(60)))
}

fn throttled(code: &'static str, random: &mut Random) -> Fault {
    const REASONS: [&str; 4] = [
        "TableReadProvisionedThroughputExceeded",
        "TableReadKeyRangeThroughputExceeded",
        "TableWriteAccountLimitExceeded",
        "TableWriteMaxOnDemandThroughputExceeded",
    ];
    Fault::Throttled { code, reason: REASONS[random.below(REASONS.len() as u64) as usize] }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_classes_share_a_name() {
        let names: BTreeSet<_> = CLASSES.iter().map(|class| class.name).collect();
        assert_eq!(names.len(), CLASSES.len());
    }
}
