//! What is wrong with the settings, and how to mend it: told all at once.

use std::fmt;

use crate::error::Error;

/// Why a text is not a value of its setting, and what to give instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    what: String,
    mend: String,
}

impl Wrong {
    pub fn new(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { what: what.into(), mend: mend.into() }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.mend)
    }
}

impl std::error::Error for Wrong {}

/// One mistake. Its text is one line: where, the value, what is wrong, how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The setting as it was spelled: `--lanes`, `BACKUP_LANES`, `/dynamodb-backup/prod/lanes`.
    pub place: String,
    /// What was given, as it may be shown.
    pub value: Option<Shown>,
    pub wrong: Wrong,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(Shown::Text(text)) => write!(f, "{} {text:?}", self.place)?,
            Some(Shown::Redacted) => write!(f, "{} {}", self.place, Shown::Redacted)?,
            None => f.write_str(&self.place)?,
        }
        write!(f, ": {}", self.wrong)
    }
}

/// A value as people may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    Text(String),
    Redacted,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(text) => text,
            Self::Redacted => "[redacted]",
        })
    }
}

/// Every mistake in the settings, one line each, below a line that counts them if there are several.
#[derive(Debug)]
pub struct ConfigErrors(pub(super) Vec<Mistake>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [mistake] = &self.0[..] {
            return mistake.fmt(f);
        }
        write!(f, "{} mistakes in the settings", self.0.len())?;
        self.0.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
    }
}

impl std::error::Error for ConfigErrors {}

impl From<ConfigErrors> for Error {
    fn from(errors: ConfigErrors) -> Self {
        Self::usage(errors.to_string())
    }
}

/// Something that is allowed and probably not meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning(pub(super) String);

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn mistake(value: Option<Shown>) -> Mistake {
        Mistake { place: "--lanes".to_owned(), value, wrong: Wrong::new("not a number", "give 1 to 9") }
    }

    #[test]
    fn a_mistake_is_one_line_with_place_value_reason_and_mend() {
        let value = Shown::Text("a\nb".to_owned());
        assert_eq!(mistake(Some(value)).to_string(), r#"--lanes "a\nb": not a number; give 1 to 9"#);
        assert_eq!(mistake(None).to_string(), "--lanes: not a number; give 1 to 9");
        let redacted = mistake(Some(Shown::Redacted)).to_string();
        assert_eq!(redacted, "--lanes [redacted]: not a number; give 1 to 9");
    }

    #[test]
    fn all_mistakes_together_are_one_usage_error() {
        let error = Error::from(ConfigErrors(vec![mistake(None), mistake(None)]));
        assert_eq!(error.kind(), Kind::Usage);
        let line = "  --lanes: not a number; give 1 to 9";
        assert_eq!(error.to_string(), format!("2 mistakes in the settings\n{line}\n{line}"));
    }
}
