//! Who asks: the credential scope of a signed request, and the identity behind its access key.

use std::sync::Arc;
use std::time::Instant;

use crate::iam::Role;
use crate::wire::Request;

/// A service this crate answers for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    DynamoDb,
    S3,
    Scaling,
    Sqs,
    Ssm,
    Sts,
}

impl Service {
    fn signed_as(name: &str) -> Option<Self> {
        match name {
            "dynamodb" => Some(Self::DynamoDb),
            "application-autoscaling" => Some(Self::Scaling),
            "s3" => Some(Self::S3),
            "sqs" => Some(Self::Sqs),
            "ssm" => Some(Self::Ssm),
            "sts" => Some(Self::Sts),
            _ => None,
        }
    }

    /// The name in credential scopes, ARNs and IAM actions.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::DynamoDb => "dynamodb",
            Self::S3 => "s3",
            Self::Scaling => "application-autoscaling",
            Self::Sqs => "sqs",
            Self::Ssm => "ssm",
            Self::Sts => "sts",
        }
    }
}

/// What the `Authorization` header says: `Credential=<key>/<date>/<region>/<service>/aws4_request`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) access_key: String,
    pub(crate) region: String,
    pub(crate) service: Service,
}

impl Scope {
    /// `None` for a request that is not signed with SigV4, or for another service.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        Self::parse(request.header("authorization")?)
    }

    fn parse(authorization: &str) -> Option<Self> {
        let (_, credential) = authorization.strip_prefix("AWS4-HMAC-SHA256 ")?.split_once("Credential=")?;
        let mut fields = credential.split([',', ' ']).next()?.split('/');
        let (access_key, _date, region, service) =
            (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        Some(Self {
            access_key: access_key.to_owned(),
            region: region.to_owned(),
            service: Service::signed_as(service)?,
        })
    }
}

/// An authenticated caller.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) account: String,
    pub(crate) region: String,
    /// `None` for an account's root.
    pub(crate) session: Option<RoleSession>,
}

/// A role that is being played, under the name its player chose.
#[derive(Clone, Debug)]
pub(crate) struct RoleSession {
    pub(crate) role: Arc<Role>,
    pub(crate) name: String,
    pub(crate) began: Instant,
}

impl Caller {
    pub(crate) fn root(account: &str, region: &str) -> Self {
        Self { account: account.to_owned(), region: region.to_owned(), session: None }
    }

    /// The ARN that AWS names in its messages and in `GetCallerIdentity`.
    pub(crate) fn arn(&self) -> String {
        match &self.session {
            None => format!("arn:aws:iam::{}:root", self.account),
            Some(session) => {
                format!("arn:aws:sts::{}:assumed-role/{}/{}", self.account, session.role.name(), session.name)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scope_names_key_region_and_service() {
        let header = "AWS4-HMAC-SHA256 Credential=111111111111/20260101/eu-west-1/sqs/aws4_request, \
                      SignedHeaders=host, Signature=00";
        let scope =
            Scope { access_key: "111111111111".into(), region: "eu-west-1".into(), service: Service::Sqs };
        assert_eq!(Scope::parse(header), Some(scope));
    }

    #[test]
    fn other_schemes_and_services_have_no_scope() {
        assert_eq!(Scope::parse("Bearer token"), None);
        assert_eq!(Scope::parse("AWS4-HMAC-SHA256 Credential=1/20260101/eu-west-1/kms/aws4_request"), None);
    }
}
