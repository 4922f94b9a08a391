//! Who to become in the source account: the role, and the secret it asks for.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::mistake::Wrong;
use super::value::Parsed;

/// The ARN of an IAM role: `arn:<partition>:iam::<account id>:role/<path and name>`
/// (IAM User Guide, “IAM identifiers”).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct RoleArn {
    text: String,
    partition: String,
    account_id: String,
}

impl RoleArn {
    /// `aws`, `aws-cn`, `aws-us-gov` …
    pub fn partition(&self) -> &str {
        &self.partition
    }

    /// The twelve digits of the account that the role is in.
    pub fn account_id(&self) -> &str {
        &self.account_id
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn is_path_and_name(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_graphic() && !b"*?\"'\\".contains(&byte);
    !text.is_empty() && !text.ends_with('/') && text.bytes().all(is_allowed)
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for RoleArn {
    type Err = Wrong;

    fn from_str(text: &str) -> Parsed<Self> {
        let mend = "give for example arn:aws:iam::123456789012:role/dynamodb-backup-source";
        let wrong = || Wrong::new("not the ARN of an IAM role", mend);
        let ["arn", partition, "iam", "", account_id, role] = text.split(':').collect::<Vec<_>>()[..] else {
            return Err(wrong());
        };
        let is_role = role.strip_prefix("role/").is_some_and(is_path_and_name);
        let is_account = account_id.len() == 12 && account_id.bytes().all(|byte| byte.is_ascii_digit());
        if !is_role || !is_account || !partition.starts_with("aws") {
            return Err(wrong());
        }
        let [text, partition, account_id] = [text, partition, account_id].map(str::to_owned);
        Ok(Self { text, partition, account_id })
    }
}

impl From<RoleArn> for String {
    fn from(role: RoleArn) -> Self {
        role.text
    }
}

/// A text that no log line, message or file ever shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for the call that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// An external id: 2 to 1224 letters, digits and `_+=,.@:/-` (STS API Reference, “AssumeRole”).
    pub fn external_id(text: &str) -> Parsed<Self> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&byte);
        if (2..=1224).contains(&text.len()) && text.bytes().all(is_allowed) {
            return Ok(Self(text.to_owned()));
        }
        Err(Wrong::new("not an external id", "give 2 to 1224 letters, digits and _+=,.@:/-"))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_arn_tells_its_partition_and_account() {
        let text = "arn:aws-cn:iam::123456789012:role/backup/reader";
        let role = text.parse::<RoleArn>().unwrap();
        assert_eq!((role.partition(), role.account_id()), ("aws-cn", "123456789012"));
        assert_eq!(role.to_string(), text);
        assert_eq!(serde_json::to_value(role).unwrap(), text);
    }

    #[test]
    fn anything_else_is_no_role_arn() {
        for bad in [
            "",
            "reader",
            "arn:aws:iam::123456789012:user/reader",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::123456789012:role/*",
            "arn:aws:iam::12345:role/reader",
            "arn:aws:iam:eu-west-1:123456789012:role/reader",
            "arn:aws:sts::123456789012:assumed-role/reader/me",
            "arn:aws:iam::123456789012:role/rea der",
        ] {
            assert!(bad.parse::<RoleArn>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_secret_shows_neither_in_debug_nor_in_json() {
        let secret = Secret::external_id("hunter2").unwrap();
        assert_eq!(secret.expose(), "hunter2");
        assert_eq!(format!("{secret:?}"), "[redacted]");
        assert_eq!(serde_json::to_string(&secret).unwrap(), r#""[redacted]""#);
    }

    #[test]
    fn an_external_id_keeps_the_rules_of_sts() {
        for good in ["ab", "a_b+=,.@:/-9", &"x".repeat(1224)] {
            assert!(Secret::external_id(good).is_ok(), "{good}");
        }
        for bad in ["", "a", "a b", "ä!", "a\\b", &"x".repeat(1225)] {
            assert!(Secret::external_id(bad).is_err(), "{bad}");
        }
    }
}
