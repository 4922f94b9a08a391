//! Reads settings from their layers, and collects what is wrong with them.

use std::collections::BTreeMap;
use std::env;
use std::fmt;

use super::mistake::{ConfigErrors, Mistake, Shown, Warning, Wrong};
use super::setting::{Fallback, Setting, is_document};
use super::value::Parsed;

/// Where a setting that nobody gave comes from.
pub(super) const DEFAULT: &str = "default";

/// Named texts: flags and SSM parameters by the setting's name, environment variables by their own.
pub trait Strings {
    fn get(&self, name: &str) -> Option<String>;
}

impl Strings for BTreeMap<String, String> {
    fn get(&self, name: &str) -> Option<String> {
        self.get(name).cloned()
    }
}

/// The environment of this process.
#[derive(Clone, Copy, Debug)]
pub struct Process;

impl Strings for Process {
    /// Bytes that are no text become `U+FFFD`, so that the value is reported instead of overlooked.
    fn get(&self, name: &str) -> Option<String> {
        env::var_os(name).map(|value| value.to_string_lossy().into_owned())
    }
}

/// The SSM parameters of one environment.
#[derive(Clone, Default)]
pub struct Parameters {
    path: Option<String>,
    values: BTreeMap<String, String>,
}

impl Parameters {
    /// `values` holds what lies under `path` (see [`super::parameter_path`]) by its name below it.
    pub fn new(path: impl Into<String>, values: BTreeMap<String, String>) -> Self {
        Self { path: Some(path.into()), values }
    }

    fn path(&self) -> &str {
        self.path.as_deref().unwrap_or("/dynamodb-backup/<environment>/")
    }

    /// Each parameter that no setting reads, and why.
    pub(super) fn unread(&self) -> impl Iterator<Item = (String, &'static str)> {
        let unread = |name: &&String| *name == "environment" || Setting::find(name).is_none();
        self.values.keys().filter(unread).map(|name| {
            let reason = if name == "environment" {
                "it is part of the path, so only --environment and BACKUP_ENVIRONMENT set it"
            } else {
                "no setting has this name"
            };
            (format!("{}{name}", self.path()), reason)
        })
    }
}

/// A place that settings come from.
pub(super) enum Layer<'a> {
    Flags(&'a dyn Strings),
    Environment(&'a dyn Strings),
    Parameters(&'a Parameters),
    /// A `[[source]]` of a TOML text, by the names of the settings it stands for.
    Entry {
        title: String,
        values: BTreeMap<&'static str, String>,
    },
}

impl Layer<'_> {
    fn get(&self, setting: &Setting) -> Option<String> {
        let text = match self {
            Self::Flags(flags) => flags.get(setting.name),
            Self::Environment(variables) => variables.get(&setting.variable()),
            Self::Parameters(parameters) => parameters.values.get(setting.name).cloned(),
            Self::Entry { values, .. } => values.get(setting.name).cloned(),
        }?;
        let text = text.trim();
        // Many tools can only empty a variable, not take it away.
        let is_unset = text.is_empty() && matches!(self, Self::Environment(_));
        (!is_unset).then(|| text.to_owned())
    }

    /// How the user spells the setting here.
    fn spell(&self, setting: &Setting) -> String {
        match self {
            Self::Flags(_) => setting.flag(),
            Self::Environment(_) => setting.variable(),
            Self::Parameters(parameters) => setting.parameter(parameters.path()),
            Self::Entry { title, .. } => format!("{title} {}", setting.source_key()),
        }
    }
}

/// A setting's text and where it came from.
pub(super) struct Given {
    pub(super) place: String,
    pub(super) text: String,
    shown: Shown,
}

/// One line of the start-up log: a setting, its value as it may be shown, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    pub name: String,
    pub value: Shown,
    pub origin: String,
}

impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {} ({})", self.name, self.value, self.origin)
    }
}

/// Reads one setting after the other. It never fails: whatever is wrong is kept, and told by `Reader::finish`.
pub struct Reader<'a> {
    layers: Vec<Layer<'a>>,
    mistakes: Vec<Mistake>,
    warnings: Vec<Warning>,
    effective: Vec<Effective>,
}

impl<'a> Reader<'a> {
    /// Earlier layers win.
    pub(super) fn new(layers: Vec<Layer<'a>>) -> Self {
        Self { layers, mistakes: Vec::new(), warnings: Vec::new(), effective: Vec::new() }
    }

    /// The setting's value. A missing or wrong one is a mistake, and the type's default stands in for it until
    /// [`Reader::finish`] refuses the whole.
    pub(super) fn read<T: Default>(&mut self, name: &str, parse: impl FnOnce(&str) -> Parsed<T>) -> T {
        self.read_optional(name, parse).unwrap_or_default()
    }

    /// The setting's value, unless it is not given and has no default.
    pub(super) fn read_optional<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Parsed<T>,
    ) -> Option<T> {
        let given = match (self.given(name), setting(name).fallback) {
            (Some(given), _) => given,
            (None, Fallback::Text(text)) => by_default(text),
            (None, Fallback::Required) => return self.missing(name),
            (None, Fallback::Unset | Fallback::Derived(_)) => return None,
        };
        self.accept(name, given, parse)
    }

    /// The setting's value; `default` depends on other settings.
    pub(super) fn read_or<T: Default>(
        &mut self,
        name: &str,
        default: &str,
        parse: impl FnOnce(&str) -> Parsed<T>,
    ) -> T {
        let given = self.given(name).unwrap_or_else(|| by_default(default));
        self.accept(name, given, parse).unwrap_or_default()
    }

    /// The setting's text from the first layer that has it.
    pub(super) fn given(&self, name: &str) -> Option<Given> {
        let setting = setting(name);
        self.layers.iter().find_map(|layer| {
            let text = layer.get(setting)?;
            let shown = if setting.secret || (setting.name == "sources" && is_document(&text)) {
                Shown::Redacted
            } else {
                Shown::Text(text.clone())
            };
            Some(Given { place: layer.spell(setting), text, shown })
        })
    }

    pub(super) fn accept<T>(
        &mut self,
        name: &str,
        given: Given,
        parse: impl FnOnce(&str) -> Parsed<T>,
    ) -> Option<T> {
        let parsed = parse(&given.text);
        let Given { place, shown, .. } = given;
        match parsed {
            Ok(value) => {
                self.effective.push(Effective { name: name.to_owned(), value: shown, origin: place });
                Some(value)
            }
            Err(wrong) => {
                self.mistakes.push(Mistake { place, value: Some(shown), wrong });
                None
            }
        }
    }

    fn missing<T>(&mut self, name: &str) -> Option<T> {
        let setting = setting(name);
        let spellings: Vec<_> = self.layers.iter().map(|layer| layer.spell(setting)).collect();
        let wrong = Wrong::new("missing", format!("give {}", spellings.join(" or ")));
        self.mistakes.push(Mistake { place: setting.name.to_owned(), value: None, wrong });
        None
    }

    /// Adds a mistake that is not about one value alone.
    pub(super) fn refuse(&mut self, place: impl Into<String>, wrong: Wrong) {
        self.mistakes.push(Mistake { place: place.into(), value: None, wrong });
    }

    pub(super) fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(Warning(warning.into()));
    }

    /// Takes over what another reader found; `title` tells its settings from ours.
    pub(super) fn absorb(&mut self, other: Reader<'_>, title: &str) {
        self.mistakes.extend(other.mistakes);
        self.warnings.extend(other.warnings);
        self.effective.extend(
            other.effective.into_iter().map(|it| Effective { name: format!("{title} {}", it.name), ..it }),
        );
    }

    /// What was read, unless there was any mistake.
    pub(super) fn finish(self) -> Result<(Vec<Warning>, Vec<Effective>), ConfigErrors> {
        if self.mistakes.is_empty() {
            Ok((self.warnings, self.effective))
        } else {
            Err(ConfigErrors(self.mistakes))
        }
    }
}

fn setting(name: &str) -> &'static Setting {
    Setting::find(name).expect("configuration reads only what is in the table of settings")
}

fn by_default(text: &str) -> Given {
    Given { place: DEFAULT.to_owned(), text: text.to_owned(), shown: Shown::Text(text.to_owned()) }
}
