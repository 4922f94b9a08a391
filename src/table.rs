//! Table names, and which of a source's tables a backup covers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A name that DynamoDB accepts for a table: 3 to 255 characters of `a-z A-Z 0-9 _ - .`
/// (DynamoDB Developer Guide, “Supported data types and naming rules”).
///
/// So it needs no escaping in JSON, in an object key or in a URL, and is never `.` or `..`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct TableName(String);

impl TableName {
    /// Checks a name. The error is permanent and tells the name and the rule.
    pub fn parse(name: &str) -> Result<Self> {
        if (3..=255).contains(&name.len()) && name.bytes().all(is_name_byte) {
            return Ok(Self(name.to_owned()));
        }
        Err(Error::permanent(format!(
            "{name:?} is not a table name: it takes 3 to 255 characters of a-z, A-Z, 0-9, '_', '-' and '.'"
        )))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Chooses tables by name: `*` stands for any characters, also none; everything else for itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Pattern(String);

/// The pattern that one table matches.
impl From<&TableName> for Pattern {
    fn from(name: &TableName) -> Self {
        Self(name.as_str().to_owned())
    }
}

impl Pattern {
    /// Checks a pattern: one that no table name could match, because it is empty or holds other characters
    /// than names and `*`, is a usage error.
    pub fn parse(pattern: &str) -> Result<Self> {
        if !pattern.is_empty() && pattern.bytes().all(|byte| byte == b'*' || is_name_byte(byte)) {
            return Ok(Self(pattern.to_owned()));
        }
        Err(Error::usage(format!(
            "{pattern:?} is not a table pattern: it takes characters of a-z, A-Z, 0-9, '_', '-', '.' and '*'"
        )))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole name matches.
    ///
    /// Each piece between two stars is taken where it first occurs: a later place would only leave less for
    /// the pieces after it. So nothing is tried twice.
    pub fn matches(&self, name: &str) -> bool {
        let mut pieces = self.0.split('*');
        let Some(mut rest) = pieces.next().and_then(|first| name.strip_prefix(first)) else { return false };
        let Some(last) = pieces.next_back() else { return rest.is_empty() };
        for piece in pieces {
            let Some((_, after)) = rest.split_once(piece) else { return false };
            rest = after;
        }
        rest.ends_with(last)
    }
}

/// Which tables to take: those that match one of `tables` (all, when it is empty) and none of `exclude`.
#[derive(Default, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Selection {
    pub tables: Vec<Pattern>,
    pub exclude: Vec<Pattern>,
}

impl Selection {
    /// Whether nothing is left out.
    pub fn is_everything(&self) -> bool {
        self.tables.is_empty() && self.exclude.is_empty()
    }

    pub fn selects(&self, table: &TableName) -> bool {
        let any = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(table.as_str()));
        (self.tables.is_empty() || any(&self.tables)) && !any(&self.exclude)
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

impl AsRef<str> for TableName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// What both kinds of checked text share: they are read from and written as plain strings.
macro_rules! checked_text {
    ($type:ident) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $type {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $type {
            type Error = Error;

            fn try_from(text: String) -> Result<Self> {
                Self::parse(&text)
            }
        }

        impl From<$type> for String {
            fn from(checked: $type) -> Self {
                checked.0
            }
        }
    };
}

checked_text!(TableName);
checked_text!(Pattern);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::Kind;

    fn name(text: &str) -> TableName {
        TableName::parse(text).unwrap()
    }

    fn patterns(texts: &[&str]) -> Vec<Pattern> {
        texts.iter().map(|text| Pattern::parse(text).unwrap()).collect()
    }

    #[test]
    fn a_table_name_has_3_to_255_characters_of_the_allowed_kind() {
        for good in ["abc", "Orders_2024-01.v2", "...", &"x".repeat(255)] {
            assert_eq!(name(good).as_str(), good);
        }
        for bad in ["", "ab", &"x".repeat(256), "a/b", "orders ", "größe", "a\"b", "*abc", "abc\n"] {
            let error = TableName::parse(bad).unwrap_err();
            assert_eq!(error.kind(), Kind::Permanent);
            assert!(
                error.to_string().starts_with(&format!("{bad:?} is not a table name: it takes 3 to 255"))
            );
        }
    }

    #[test]
    fn names_and_patterns_are_plain_strings_in_json_and_are_checked_when_read() {
        assert_eq!(serde_json::to_string(&name("orders")).unwrap(), r#""orders""#);
        assert_eq!(serde_json::from_str::<TableName>(r#""orders""#).unwrap(), name("orders"));
        assert!(serde_json::from_str::<TableName>(r#""../x""#).is_err());
        assert!(serde_json::from_str::<Pattern>(r#""""#).is_err());
        assert_eq!(serde_json::from_str::<Selection>("{}").unwrap(), Selection::default());
    }

    #[test]
    fn a_star_stands_for_any_characters_and_a_dot_only_for_itself() {
        for (pattern, text, expected) in [
            ("*", "anything", true),
            ("orders", "orders", true),
            ("orders", "orders2", false),
            ("prod-*", "prod-", true),
            ("prod-*", "preprod-x", false),
            ("*-prod", "orders-prod", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("*ab*ab", "xabab", true),
            ("*ab*ab", "xab", false),
            ("a.c", "abc", false),
            ("**x**", "axb", true),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().matches(text), expected, "{pattern} and {text}");
        }
    }

    #[test]
    fn a_pattern_that_no_name_can_match_is_a_usage_error() {
        for bad in ["", "orders?", "a b", "[abc]", "ü*"] {
            assert_eq!(Pattern::parse(bad).unwrap_err().kind(), Kind::Usage);
        }
    }

    #[test]
    fn a_hostile_pattern_costs_no_more_than_a_kind_one() {
        let pattern = Pattern::parse(&"a*".repeat(120)).unwrap();
        assert!(!pattern.matches(&format!("{}b", "a".repeat(60))));
    }

    #[test]
    fn exclusion_wins_over_inclusion_and_no_inclusion_means_all() {
        let all = Selection { exclude: patterns(&["*-tmp"]), ..Selection::default() };
        assert!(all.selects(&name("orders")) && !all.selects(&name("orders-tmp")));
        let some = Selection { tables: patterns(&["orders*", "users"]), exclude: patterns(&["*-tmp"]) };
        assert!(some.selects(&name("orders-eu")) && some.selects(&name("users")));
        assert!(!some.selects(&name("users2")) && !some.selects(&name("orders-tmp")));
    }

    /// The definition of a match, exponential and obviously right.
    fn matches_by_definition(pattern: &[u8], text: &[u8]) -> bool {
        match pattern {
            [] => text.is_empty(),
            [b'*', rest @ ..] => (0..=text.len()).any(|skip| matches_by_definition(rest, &text[skip..])),
            [first, rest @ ..] => text.first() == Some(first) && matches_by_definition(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_its_definition(pattern in "[ab*]{1,8}", text in "[ab]{0,10}") {
            let expected = matches_by_definition(pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(Pattern::parse(&pattern).unwrap().matches(&text), expected);
        }

        #[test]
        fn any_text_is_either_a_name_that_survives_json_or_refused(text in "\\PC{0,12}|[a-z.]{3,9}") {
            if let Ok(name) = TableName::parse(&text) {
                let json = serde_json::to_string(&name).unwrap();
                prop_assert_eq!(&json, &format!("\"{text}\""));
                prop_assert_eq!(serde_json::from_str::<TableName>(&json).unwrap(), name);
            }
        }
    }
}
