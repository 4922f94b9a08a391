//! Every call that reached a service, for tests of least privilege and of what was not asked twice.

use parking_lot::Mutex;

/// One call: who did what to which resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// `dynamodb`, `s3`, `sqs`, `ssm`, `sts` or `application-autoscaling`.
    pub service: &'static str,
    /// The API's name of the operation: `Scan`, `PutObject`, `ReceiveMessage`.
    pub action: String,
    /// The account of the caller.
    pub account: String,
    pub region: String,
    /// A table, a bucket or `bucket/key`, a queue, a parameter or path, a role ARN; empty where there is none.
    pub resource: String,
    /// The ARN of the role whose session made the call; `None` for an account's root.
    pub role: Option<String>,
    /// By which of the server's addresses it came in: 0 for [`Loopback::endpoint`](crate::Loopback::endpoint), else
    /// the number of a [`Door`](crate::Door).
    pub door: u32,
}

impl Call {
    /// `service:Action`, as in a policy.
    pub fn name(&self) -> String {
        format!("{}:{}", self.service, self.action)
    }
}

#[derive(Default)]
pub(crate) struct Recorder(Mutex<Vec<Call>>);

impl Recorder {
    pub(crate) fn record(&self, call: Call) {
        self.0.lock().push(call);
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.0.lock().clone()
    }

    pub(crate) fn clear(&self) {
        self.0.lock().clear();
    }
}
