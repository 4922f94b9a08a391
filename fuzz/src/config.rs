//! Settings. Each line of the input that begins as `--bucket`, `BACKUP_BUCKET` or `/bucket` gives that flag, variable
//! or SSM parameter the text behind the blank; any other line goes on with the text of the one before.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dynamodb_backup::config::{
    Compression, Config, ConfigErrors, FromSettings, Parameters, Resolved, RestoreConfig, Shown,
    SourceConfig, TriggerConfig, parameter_path, resolve,
};

/// What is put behind every external id, and may be told by nothing.
const SECRET: &str = "tell-nobody-4711";

/// A configuration that is accepted keeps its limits, is the same when what is in effect is given again, and tells no
/// secret; nor does any mistake.
pub fn check(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let layers = Layers::new(text);
    if layers.names_a_file() {
        return;
    }
    if let Some(resolved) = layers.resolve::<Config>() {
        check_config(&resolved.config);
        layers.check_effective(&resolved);
    }
    layers.resolve::<RestoreConfig>();
    layers.resolve::<TriggerConfig>();
}

/// Flags, variables and parameters.
struct Layers([BTreeMap<String, String>; 3]);

impl Layers {
    fn new(text: &str) -> Self {
        let mut layers: [BTreeMap<_, _>; 3] = Default::default();
        for (spelling, value) in given(text) {
            let (layer, name) = match (spelling.strip_prefix("--"), spelling.strip_prefix('/')) {
                (Some(flag), _) => (0, flag),
                (_, Some(parameter)) => (2, parameter),
                _ => (1, spelling),
            };
            let is_secret = name.to_ascii_lowercase().replace('_', "-").ends_with("external-id");
            let value = if is_secret && !value.trim().is_empty() { value + SECRET } else { value };
            layers[layer].insert(name.to_owned(), value);
        }
        Self(layers)
    }

    /// Whether a file would be read: what is in it does not depend on the input.
    fn names_a_file(&self) -> bool {
        let [flags, variables, parameters] = &self.0;
        let given = [flags.get("sources"), variables.get("BACKUP_SOURCES"), parameters.get("sources")];
        given.into_iter().flatten().any(|sources| !sources.contains('='))
    }

    fn resolve<T: FromSettings + std::fmt::Debug>(&self) -> Option<Resolved<T>> {
        let resolved = self.try_resolve::<T>();
        let told = match &resolved {
            Ok(resolved) => {
                let effective: Vec<_> = resolved.effective.iter().map(ToString::to_string).collect();
                format!("{resolved:?}{effective:?}")
            }
            Err(mistakes) => format!("{mistakes}{mistakes:?}"),
        };
        assert!(!told.contains(SECRET), "a secret is told: {told}");
        resolved.ok()
    }

    fn try_resolve<T: FromSettings>(&self) -> Result<Resolved<T>, ConfigErrors> {
        let [flags, variables, parameters] = &self.0;
        let path = parameter_path(flags, variables)?.unwrap_or_else(|| "/dynamodb-backup/prod/".to_owned());
        resolve(flags, variables, &Parameters::new(path, parameters.clone()))
    }

    /// Sources of a TOML text are in effect as that text, which is not shown.
    fn check_effective(&self, resolved: &Resolved<Config>) {
        let mut flags = BTreeMap::new();
        for setting in &resolved.effective {
            let text = match &setting.value {
                Shown::Text(text) => text.clone(),
                Shown::Redacted if setting.name == "external-id" => resolved.config.sources[0]
                    .external_id
                    .as_ref()
                    .expect("it is in effect")
                    .expose()
                    .to_owned(),
                Shown::Redacted => return,
            };
            flags.insert(setting.name.clone(), text);
        }
        let again = Self([flags, BTreeMap::new(), BTreeMap::new()]).try_resolve::<Config>();
        let again = again.expect("it is what is in effect").config;
        assert_eq!(format!("{again:?}"), format!("{:?}", resolved.config));
    }
}

/// The spelling and the text of each setting.
fn given(text: &str) -> Vec<(&str, String)> {
    let begins = |line: &str| ["--", "BACKUP_", "/"].iter().any(|start| line.starts_with(start));
    let mut given: Vec<(&str, String)> = Vec::new();
    for line in text.lines() {
        match given.last_mut() {
            Some((_, value)) if !begins(line) => *value = format!("{value}\n{line}"),
            _ => {
                let (spelling, value) = line.split_once(' ').unwrap_or((line, ""));
                given.push((spelling, value.to_owned()));
            }
        }
    }
    given
}

/// The limits that the README gives.
fn check_config(config: &Config) {
    let hours = |hours: u64| Duration::from_secs(hours * 60 * 60);
    assert!((1..=1000).contains(&config.pace.lanes));
    assert!((Duration::from_secs(10)..=hours(12)).contains(&config.visibility_timeout));
    assert!((Duration::from_secs(1)..=hours(1)).contains(&config.shutdown_grace));
    assert!((Duration::from_secs(1)..=hours(11)).contains(&config.hand_over_after));
    assert!(config.suspect_above <= 100);
    assert!(match config.options.compression {
        Compression::Zstd(level) => (1..=19).contains(&level),
        Compression::Gzip(level) => (1..=9).contains(&level),
    });
    assert!((3..=63).contains(&config.bucket.len()) && !config.prefix.starts_with('/'));
    assert!(!config.prefix.split('/').any(|part| part == ".."));
    let queues = &config.queues;
    let queues = BTreeSet::from([&queues.trigger, &queues.export, &queues.provision, &queues.write]);
    assert!(queues.len() == 4 && !queues.iter().any(|queue| queue.is_empty()));
    let names: BTreeSet<&str> = config.sources.iter().map(|source| source.name.as_str()).collect();
    assert!(!names.is_empty() && names.len() == config.sources.len());
    config.sources.iter().for_each(check_source);
}

fn check_source(source: &SourceConfig) {
    let role = &source.role_arn;
    let account = role.account_id();
    assert!(account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit()));
    assert!(role.as_str().starts_with(&format!("arn:{}:iam::{account}:role/", role.partition())));
    assert!((1..=32).contains(&source.name.len()) && !source.name.contains(['/', ' ']));
    assert!(source.target_prefix.len() <= 252);
}
