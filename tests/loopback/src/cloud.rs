//! The way of one request: caller, call, fault, permission, service.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use crate::call::{Call, Recorder};
use crate::caller::{Caller, Scope, Service};
use crate::dynamodb::DynamoDb;
use crate::fault::{self, Fault, Faults};
use crate::iam::{self, Iam};
use crate::s3::S3;
use crate::scaling::Scaling;
use crate::sqs::Sqs;
use crate::ssm::Ssm;
use crate::wire::{Refusal, Reply, Request};
use crate::{dynamodb, s3, scaling, sqs, ssm, sts};

/// All services of all accounts.
pub(crate) struct Cloud {
    pub(crate) iam: Iam,
    pub(crate) dynamodb: DynamoDb,
    pub(crate) s3: S3,
    pub(crate) scaling: Scaling,
    pub(crate) sqs: Sqs,
    pub(crate) ssm: Ssm,
    pub(crate) recorder: Recorder,
    pub(crate) faults: Faults,
    /// What every `Date` is wrong by, in seconds.
    pub(crate) clock_ahead: AtomicI64,
}

/// What becomes of a request.
pub(crate) enum Outcome {
    Reply(Reply),
    /// Only half of the reply's body is sent.
    Truncated(Reply),
    /// The connection closes without an answer.
    Closed,
}

impl Cloud {
    /// `endpoint` is where clients reach this cloud; queue URLs start with it.
    pub(crate) fn new(endpoint: String) -> Self {
        Self {
            iam: Iam::default(),
            dynamodb: DynamoDb::default(),
            s3: S3::new(),
            scaling: Scaling::default(),
            sqs: Sqs::new(endpoint),
            ssm: Ssm::default(),
            recorder: Recorder::default(),
            faults: Faults::default(),
            clock_ahead: AtomicI64::new(0),
        }
    }

    pub(crate) async fn answer(self: &Arc<Self>, request: Request) -> Outcome {
        let Some(scope) = Scope::of(&request) else {
            return Outcome::Reply(unsigned().reply(Service::S3));
        };
        let service = scope.service;
        let caller = match self.iam.caller(&scope, request.header("x-amz-security-token")) {
            Ok(caller) => caller,
            Err(refusal) => return Outcome::Reply(refusal.reply(service)),
        };
        let call = call_of(service, &caller, &request);
        self.recorder.record(call.clone());
        match self.faults.for_call(&call) {
            Some(Fault::Reset) => Outcome::Closed,
            Some(Fault::Error { status, code, message }) => {
                Outcome::Reply(Refusal::new(status, code, message).reply(service))
            }
            Some(Fault::Throttled { reason }) => Outcome::Reply(fault::throttled(reason)),
            Some(Fault::Delay(delay)) => self.perform_later(delay, service, caller, call, request).await,
            Some(Fault::Unprocessed(count)) => {
                Outcome::Reply(self.perform(service, &caller, &call, request, count).await)
            }
            fault => spoil(self.perform(service, &caller, &call, request, 0).await, fault.as_ref()),
        }
    }

    /// The call takes effect even if its caller loses patience and closes the connection.
    async fn perform_later(
        self: &Arc<Self>,
        delay: Duration,
        service: Service,
        caller: Caller,
        call: Call,
        request: Request,
    ) -> Outcome {
        let cloud = self.clone();
        let performed = tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            cloud.perform(service, &caller, &call, request, 0).await
        });
        performed.await.map_or(Outcome::Closed, Outcome::Reply)
    }

    async fn perform(
        &self,
        service: Service,
        caller: &Caller,
        call: &Call,
        request: Request,
        unprocessed: usize,
    ) -> Reply {
        if let Err(refusal) = iam::authorize(caller, service, call) {
            return refusal.reply(service);
        }
        match service {
            Service::DynamoDb => self.dynamodb.answer(call, request.body, unprocessed).await,
            Service::S3 => self.s3.answer(call, request).await,
            Service::Scaling => self.scaling.answer(call, &request.body),
            Service::Sqs => self.sqs.answer(call, &request.body).await,
            Service::Ssm => self.ssm.answer(call, &request.body),
            Service::Sts => sts::answer(&self.iam, caller, &request.body),
        }
    }
}

/// What a fault does to the answer of a call that took effect.
fn spoil(reply: Reply, fault: Option<&Fault>) -> Outcome {
    match fault {
        Some(Fault::LostAnswer) => Outcome::Closed,
        Some(Fault::CorruptBody) => Outcome::Reply(fault::corrupt(reply)),
        Some(Fault::TruncatedBody) => Outcome::Truncated(reply),
        _ => Outcome::Reply(reply),
    }
}

fn call_of(service: Service, caller: &Caller, request: &Request) -> Call {
    let (action, resource) = match service {
        Service::S3 => s3::target(request),
        Service::Scaling => (json_action(request), scaling::resource(&request.body)),
        Service::Sts => sts::target(&request.body),
        Service::DynamoDb => (json_action(request), dynamodb::resource(&request.body)),
        Service::Sqs => (json_action(request), sqs::resource(&request.body)),
        Service::Ssm => (json_action(request), ssm::resource(&request.body)),
    };
    Call {
        service: service.name(),
        action,
        account: caller.account.clone(),
        region: caller.region.clone(),
        resource,
        role: caller.session.as_ref().map(|session| session.role.arn.clone()),
    }
}

/// The part of `x-amz-target` after the dot: `DynamoDB_20120810.Scan`.
fn json_action(request: &Request) -> String {
    let target = request.header("x-amz-target").unwrap_or_default();
    target.rsplit('.').next().unwrap_or_default().to_owned()
}

fn unsigned() -> Refusal {
    Refusal::new(
        403,
        "MissingAuthenticationToken",
        "The request is not signed for a service that is known here.",
    )
}
