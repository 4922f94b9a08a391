//! The commands that mend what is wrong.

use serde_json::json;

use crate::aws::sts::Identity;

/// For calls that had no answer.
pub(super) const NETWORK: &str = "look at what lies between this machine and AWS: route, VPC endpoint, security group, proxy, AWS_ENDPOINT_URL";

impl Identity {
    /// `aws`, `aws-cn` …
    pub(super) fn partition(&self) -> &str {
        self.arn.split(':').nth(1).unwrap_or("aws")
    }

    /// The ARN that a trust policy names: that of the role, where a session of it is what we are (IAM User Guide,
    /// “AWS JSON policy elements: Principal”). A role's path is not known here.
    pub(super) fn principal(&self) -> String {
        match self.assumed_role() {
            Some(role) => format!("arn:{}:iam::{}:role/{role}", self.partition(), self.account_id),
            None => self.arn.clone(),
        }
    }

    fn assumed_role(&self) -> Option<&str> {
        self.arn.split(":assumed-role/").nth(1)?.split('/').next()
    }

    fn user(&self) -> Option<&str> {
        self.arn.split(":user/").nth(1)?.rsplit('/').next()
    }
}

/// Lets whoever we are do something in our own account.
pub(super) fn grant(identity: &Identity, policy: &str, actions: &[&str], resources: &[String]) -> String {
    let document = policy_document(actions, resources);
    let name = policy_name(policy, actions);
    match (identity.assumed_role(), identity.user()) {
        (Some(role), _) => put_role_policy(role, &name, &document),
        (None, Some(user)) => {
            format!(
                "aws iam put-user-policy --user-name {user} --policy-name {name} --policy-document '{document}'"
            )
        }
        (None, None) => format!("allow {} this: {document}", identity.arn),
    }
}

/// Lets a role of another account do something there.
pub(super) fn grant_role(role_arn: &str, policy: &str, actions: &[&str], resources: &[String]) -> String {
    let name = role_arn.rsplit('/').next().unwrap_or(role_arn);
    let document = policy_document(actions, resources);
    in_source(role_arn, &put_role_policy(name, &policy_name(policy, actions), &document))
}

/// A policy that has this name already is replaced by the command: one that mends something else has another.
fn policy_name(policy: &str, actions: &[&str]) -> String {
    let first = actions.first().and_then(|action| action.split(':').nth(1)).unwrap_or_default();
    format!("dynamodb-backup-{policy}-{first}")
}

/// Lets us assume a role of another account, if we say the external id. That is a secret: it is not told.
pub(super) fn trust(role_arn: &str, principal: &str) -> String {
    let name = role_arn.rsplit('/').next().unwrap_or(role_arn);
    let document = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": { "AWS": principal },
        "Condition": { "StringEquals": { "sts:ExternalId": "<external-id>" } },
    }] });
    let command =
        format!("aws iam update-assume-role-policy --role-name {name} --policy-document '{document}'");
    in_source(role_arn, &format!("{command}  # replaces the trust policy that is there,"))
}

fn in_source(role_arn: &str, command: &str) -> String {
    let account = role_arn.split(':').nth(4).unwrap_or_default();
    let comment = if command.contains("  # ") { "" } else { "  #" };
    format!("{command}{comment} in account {account}")
}

fn put_role_policy(role: &str, name: &str, document: &serde_json::Value) -> String {
    format!("aws iam put-role-policy --role-name {role} --policy-name {name} --policy-document '{document}'")
}

fn policy_document(actions: &[&str], resources: &[String]) -> serde_json::Value {
    json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": actions, "Resource": resources },
    ] })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(arn: &str) -> Identity {
        Identity { account_id: "222222222222".to_owned(), arn: arn.to_owned(), clock_ahead: None }
    }

    #[test]
    fn a_session_of_a_role_is_granted_what_its_role_is_and_a_user_what_it_is_itself() {
        let grant = |arn| grant(&identity(arn), "queues", &["sqs:SendMessage"], &["*".to_owned()]);
        let policy = r#"{"Statement":[{"Action":["sqs:SendMessage"],"Effect":"Allow","Resource":["*"]}],"#;
        let role = grant("arn:aws:sts::222222222222:assumed-role/task/1234");
        assert!(role.starts_with(
            "aws iam put-role-policy --role-name task --policy-name dynamodb-backup-queues-SendMessage "
        ));
        assert!(role.contains(policy), "{role}");
        let user = grant("arn:aws:iam::222222222222:user/path/anna");
        assert!(user.starts_with("aws iam put-user-policy --user-name anna "), "{user}");
        let root = grant("arn:aws:iam::222222222222:root");
        assert!(root.starts_with("allow arn:aws:iam::222222222222:root this: "), "{root}");
    }

    #[test]
    fn a_trust_policy_names_the_role_and_never_its_session() {
        let identity = identity("arn:aws-cn:sts::222222222222:assumed-role/task/1234");
        assert_eq!(identity.principal(), "arn:aws-cn:iam::222222222222:role/task");
        let trust = trust("arn:aws-cn:iam::111111111111:role/path/reader", &identity.principal());
        assert!(
            trust.contains("--role-name reader ") && trust.ends_with(" in account 111111111111"),
            "{trust}"
        );
        assert!(trust.contains(r#""sts:ExternalId":"<external-id>""#), "{trust}");
    }
}
