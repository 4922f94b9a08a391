//! The way of one request: caller, call, fault, permission, service.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use crate::call::{Call, Recorder};
use crate::caller::{Caller, Scope, Service};
use crate::dynamodb::DynamoDb;
use crate::fault::{self, Fault, Faults, Twist};
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
    /// Half of the reply's body is sent, and nothing more for this long.
    Stalled(Reply, Duration),
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

    /// The answer to a request that came in by a door.
    pub(crate) async fn answer(self: &Arc<Self>, request: Request, door: u32) -> Outcome {
        let Some(scope) = Scope::of(&request) else {
            return Outcome::Reply(unsigned().reply(Service::S3));
        };
        let service = scope.service;
        let caller = match self.iam.caller(&scope, request.header("x-amz-security-token")) {
            Ok(caller) => caller,
            Err(refusal) => return Outcome::Reply(refusal.reply(service)),
        };
        let call = call_of(service, &caller, &request, door);
        self.recorder.record(call.clone());
        let fault = self.faults.for_call(&call);
        match &fault {
            Some(Fault::Reset) => return Outcome::Closed,
            Some(Fault::Error { status, code, message }) => {
                return Outcome::Reply(Refusal::new(*status, code, message).reply(service));
            }
            Some(Fault::Throttled { code, reason }) => return Outcome::Reply(fault::throttled(code, reason)),
            Some(Fault::Delay(delay)) => {
                return self.perform_later(*delay, service, caller, call, request).await;
            }
            Some(Fault::ExpiredSession) => {
                self.iam.expire_session(&scope.access_key);
                return Outcome::Reply(iam::expired(service).reply(service));
            }
            Some(Fault::RevokedSessions) => self.iam.revoke_sessions(&caller),
            _ => {}
        }
        let twist = fault.as_ref().map(Fault::twist).unwrap_or_default();
        spoil(self.perform(service, &caller, &call, request, &twist).await, fault)
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
            cloud.perform(service, &caller, &call, request, &Twist::None).await
        });
        performed.await.map_or(Outcome::Closed, Outcome::Reply)
    }

    async fn perform(
        &self,
        service: Service,
        caller: &Caller,
        call: &Call,
        request: Request,
        twist: &Twist,
    ) -> Reply {
        if let Err(refusal) = iam::authorize(&self.iam, caller, service, call) {
            return refusal.reply(service);
        }
        match service {
            Service::DynamoDb => self.dynamodb.answer(call, request.body, twist).await,
            Service::S3 => self.s3.answer(call, request).await,
            Service::Scaling => self.scaling.answer(call, &request.body),
            Service::Sqs => self.sqs.answer(call, &request.body, twist).await,
            Service::Ssm => self.ssm.answer(call, &request.body),
            Service::Sts => sts::answer(&self.iam, caller, &request.body),
        }
    }
}

/// What a fault does to the answer of a call that took effect.
fn spoil(reply: Reply, fault: Option<Fault>) -> Outcome {
    match fault {
        Some(Fault::LostAnswer) => Outcome::Closed,
        Some(Fault::CorruptBody) => Outcome::Reply(fault::corrupt(reply)),
        Some(Fault::WrongChecksum) => Outcome::Reply(fault::with_wrong_crc32(reply)),
        Some(Fault::TruncatedBody) => Outcome::Truncated(reply),
        Some(Fault::StalledBody(silence)) => Outcome::Stalled(reply, silence),
        _ => Outcome::Reply(reply),
    }
}

fn call_of(service: Service, caller: &Caller, request: &Request, door: u32) -> Call {
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
        door,
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
