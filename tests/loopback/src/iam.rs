//! Roles, the sessions of those who assumed them, and what they may do.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::RwLock;
use uuid::Uuid;

use crate::call::Call;
use crate::caller::{Caller, RoleSession, Scope, Service};
use crate::wire::Refusal;

const EXPLICIT_DENY: &str = "with an explicit deny in an identity-based policy";

/// A role that another account may assume.
#[derive(Clone, Debug)]
pub struct Role {
    /// `arn:aws:iam::<account>:role/<name>`.
    pub arn: String,
    /// Accounts whose callers may assume the role.
    pub trusted_accounts: Vec<String>,
    /// What `AssumeRole` must bring along, if anything.
    pub external_id: Option<String>,
    /// IAM action patterns, as in `dynamodb:Describe*`. Anything else is denied.
    pub allow: Vec<String>,
    /// Tables on which every action is denied, whatever `allow` says.
    pub deny_tables: Vec<String>,
    /// Sessions end after this long, whatever `DurationSeconds` asks for.
    pub session_lifetime: Option<Duration>,
}

impl Role {
    /// A role that `trusted_account` may assume and that may do nothing yet.
    pub fn new(arn: &str, trusted_account: &str) -> Self {
        Self {
            arn: arn.to_owned(),
            trusted_accounts: vec![trusted_account.to_owned()],
            external_id: None,
            allow: Vec::new(),
            deny_tables: Vec::new(),
            session_lifetime: None,
        }
    }

    #[must_use]
    pub fn external_id(mut self, external_id: &str) -> Self {
        self.external_id = Some(external_id.to_owned());
        self
    }

    #[must_use]
    pub fn allow<'a>(mut self, patterns: impl IntoIterator<Item = &'a str>) -> Self {
        self.allow.extend(patterns.into_iter().map(str::to_owned));
        self
    }

    #[must_use]
    pub fn deny_table(mut self, table: &str) -> Self {
        self.deny_tables.push(table.to_owned());
        self
    }

    #[must_use]
    pub fn session_lifetime(mut self, lifetime: Duration) -> Self {
        self.session_lifetime = Some(lifetime);
        self
    }

    /// The account the role acts in.
    pub fn account(&self) -> &str {
        self.arn.split(':').nth(4).unwrap_or_default()
    }

    /// The role's name, without its path.
    pub fn name(&self) -> &str {
        self.arn.rsplit('/').next().unwrap_or_default()
    }

    fn may(&self, permission: &str, call: &Call) -> Result<(), &'static str> {
        if call.service == Service::DynamoDb.name() && self.deny_tables.contains(&call.resource) {
            return Err(EXPLICIT_DENY);
        }
        if self.allow.iter().any(|pattern| matches(pattern, permission)) {
            return Ok(());
        }
        Err("because no identity-based policy allows the action")
    }
}

/// Temporary credentials, as `AssumeRole` hands them out.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    pub(crate) token: String,
    pub(crate) expires: Timestamp,
}

struct Session {
    session: RoleSession,
    token: String,
    expires: Timestamp,
}

#[derive(Default)]
pub(crate) struct Iam {
    roles: RwLock<HashMap<String, Arc<Role>>>,
    sessions: RwLock<HashMap<String, Session>>,
    /// Sessions of a role that began before this may do nothing.
    revoked: RwLock<HashMap<String, Instant>>,
}

impl Iam {
    pub(crate) fn add_role(&self, role: Role) {
        self.roles.write().insert(role.arn.clone(), Arc::new(role));
    }

    pub(crate) fn role(&self, arn: &str) -> Option<Arc<Role>> {
        self.roles.read().get(arn).cloned()
    }

    pub(crate) fn open_session(&self, role: Arc<Role>, name: &str, lifetime: Duration) -> Credentials {
        let expires = Timestamp::now() + role.session_lifetime.unwrap_or(lifetime);
        let credentials = Credentials {
            access_key: format!("ASIA{}", random_hex(16).to_uppercase()),
            secret_key: random_hex(32),
            token: random_hex(32),
            expires,
        };
        let session = RoleSession { role, name: name.to_owned(), began: Instant::now() };
        self.sessions.write().insert(
            credentials.access_key.clone(),
            Session { session, token: credentials.token.clone(), expires },
        );
        credentials
    }

    /// Ends every open session now.
    pub(crate) fn expire_sessions(&self) {
        let now = Timestamp::now();
        self.sessions.write().values_mut().for_each(|session| session.expires = now);
    }

    /// Ends the session of an access key now; without a session there is nothing to end.
    pub(crate) fn expire_session(&self, access_key: &str) {
        if let Some(session) = self.sessions.write().get_mut(access_key) {
            session.expires = Timestamp::now();
        }
    }

    /// Revokes all sessions of the caller's role (IAM User Guide, “Revoke IAM role temporary security
    /// credentials”): a policy denies everything to sessions that began before now.
    pub(crate) fn revoke_sessions(&self, caller: &Caller) {
        if let Some(session) = &caller.session {
            self.revoked.write().insert(session.role.arn.clone(), Instant::now());
        }
    }

    /// Whether the session behind a call began before its role's sessions were revoked.
    pub(crate) fn is_revoked(&self, caller: &Caller) -> bool {
        let Some(session) = &caller.session else { return false };
        self.revoked.read().get(&session.role.arn).is_some_and(|since| session.began <= *since)
    }

    /// The identity behind an access key.
    pub(crate) fn caller(&self, scope: &Scope, token: Option<&str>) -> Result<Caller, Refusal> {
        if is_account_id(&scope.access_key) {
            return Ok(Caller::root(&scope.access_key, &scope.region));
        }
        let sessions = self.sessions.read();
        let session = sessions
            .get(&scope.access_key)
            .filter(|session| token == Some(session.token.as_str()))
            .ok_or_else(|| unknown_key(scope.service))?;
        if session.expires <= Timestamp::now() {
            return Err(expired(scope.service));
        }
        Ok(Caller {
            account: session.session.role.account().to_owned(),
            region: scope.region.clone(),
            session: Some(session.session.clone()),
        })
    }
}

/// A session may do what its role allows; root may do anything in its account.
pub(crate) fn authorize(iam: &Iam, caller: &Caller, service: Service, call: &Call) -> Result<(), Refusal> {
    let Some(session) = &caller.session else { return Ok(()) };
    // AWS lets everybody ask who he is, whatever the policies say.
    if call.action == "GetCallerIdentity" {
        return Ok(());
    }
    let permission = permission(service, &call.action);
    let allowed =
        if iam.is_revoked(caller) { Err(EXPLICIT_DENY) } else { session.role.may(&permission, call) };
    allowed.map_err(|reason| {
        let message = format!(
            "User: {} is not authorized to perform: {permission} on resource: {} {reason}",
            caller.arn(),
            resource_arn(service, call)
        );
        access_denied(service, message)
    })
}

/// The IAM action that guards an API operation.
fn permission(service: Service, action: &str) -> String {
    let guarded_by = match (service, action) {
        (Service::S3, "ListObjectsV2" | "HeadBucket") => "ListBucket",
        (Service::S3, "HeadObject") => "GetObject",
        (Service::S3, "GetObjectLockConfiguration") => "GetBucketObjectLockConfiguration",
        (Service::S3, "GetBucketEncryption") => "GetEncryptionConfiguration",
        (Service::S3, "GetPublicAccessBlock") => "GetBucketPublicAccessBlock",
        (Service::S3, "CreateMultipartUpload" | "UploadPart" | "CompleteMultipartUpload") => "PutObject",
        (Service::Sqs, batch) => batch.strip_suffix("Batch").unwrap_or(batch),
        (_, action) => action,
    };
    format!("{}:{guarded_by}", service.name())
}

fn resource_arn(service: Service, call: &Call) -> String {
    let Call { account, region, resource, .. } = call;
    match service {
        Service::DynamoDb if resource.is_empty() => format!("arn:aws:dynamodb:{region}:{account}:table/*"),
        Service::DynamoDb => format!("arn:aws:dynamodb:{region}:{account}:table/{resource}"),
        Service::S3 => format!("arn:aws:s3:::{resource}"),
        Service::Sqs => format!("arn:aws:sqs:{region}:{account}:{resource}"),
        Service::Ssm => {
            format!("arn:aws:ssm:{region}:{account}:parameter/{}", resource.trim_start_matches('/'))
        }
        Service::Scaling => format!("arn:aws:application-autoscaling:{region}:{account}:scalable-target/*"),
        Service::Sts => resource.clone(),
    }
}

pub(crate) fn access_denied(service: Service, message: String) -> Refusal {
    match service {
        Service::DynamoDb | Service::Ssm | Service::Scaling => {
            Refusal::bad_request("AccessDeniedException", message)
        }
        Service::Sqs => Refusal::new(403, "AccessDeniedException", message),
        Service::S3 | Service::Sts => Refusal::new(403, "AccessDenied", message),
    }
}

fn unknown_key(service: Service) -> Refusal {
    let message = "The security token included in the request is invalid.";
    match service {
        Service::DynamoDb | Service::Ssm | Service::Scaling => {
            Refusal::bad_request("UnrecognizedClientException", message)
        }
        Service::Sqs | Service::Sts => Refusal::new(403, "InvalidClientTokenId", message),
        Service::S3 => Refusal::new(
            403,
            "InvalidAccessKeyId",
            "The AWS Access Key Id you provided does not exist in our records.",
        ),
    }
}

pub(crate) fn expired(service: Service) -> Refusal {
    let message = "The security token included in the request is expired";
    match service {
        Service::DynamoDb | Service::Ssm | Service::Sqs | Service::Scaling => {
            Refusal::bad_request("ExpiredTokenException", message)
        }
        Service::Sts => Refusal::new(403, "ExpiredToken", message),
        Service::S3 => Refusal::bad_request("ExpiredToken", "The provided token has expired."),
    }
}

fn is_account_id(key: &str) -> bool {
    key.len() == 12 && key.bytes().all(|byte| byte.is_ascii_digit())
}

fn random_hex(digits: usize) -> String {
    Uuid::new_v4().simple().to_string()[..digits].to_owned()
}

/// Whether `text` fits a pattern in which `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, mut pattern)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(head) else { return false };
    while let Some((middle, rest)) = pattern.split_once('*') {
        let Some(found) = text.find(middle) else { return false };
        text = &text[found + middle.len()..];
        pattern = rest;
    }
    text.ends_with(pattern)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_as_in_a_policy() {
        assert!(matches("dynamodb:Scan", "dynamodb:Scan"));
        assert!(matches("dynamodb:Describe*", "dynamodb:DescribeTable"));
        assert!(matches("*", "s3:PutObject"));
        assert!(matches("*:Get*y*", "sts:GetCallerIdentity"));
        assert!(!matches("dynamodb:Scan", "dynamodb:ScanMore"));
        assert!(!matches("dynamodb:Describe*", "dynamodb:DeleteTable"));
    }
}
