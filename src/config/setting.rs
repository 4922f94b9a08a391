//! Every setting, in one table: the flags, environment variables and SSM parameters all derive from it.

/// One setting. Its name is spelled [`Setting::flag`], [`Setting::variable`] or [`Setting::parameter`].
#[derive(Debug)]
pub struct Setting {
    pub name: &'static str,
    /// What stands for the value in the help text.
    pub value: &'static str,
    /// One line in the user's words.
    pub help: &'static str,
    pub heading: &'static str,
    pub fallback: Fallback,
    pub form: Form,
    /// Never shown: neither in a message nor in the start-up log.
    pub secret: bool,
}

/// What holds when a setting is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// The user must give it.
    Required,
    /// Nothing: it is optional.
    Unset,
    /// This text, read like any given one.
    Text(&'static str),
    /// Something that depends on other settings; the text says what.
    Derived(&'static str),
}

/// How a setting is written on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `--lanes 4`
    One,
    /// `--include a,b` or `--include a --include b`
    List,
    /// `--consistent-read` or `--consistent-read=false`
    Switch,
}

const DEPLOYMENT: &str = "Deployment";
const SOURCE: &str = "Source";
const COPY: &str = "Copy";
const RESTORE: &str = "Restore";
const PACE: &str = "Pace";
const LOG: &str = "Log and metrics";

/// All settings, in the order the help text lists them.
#[rustfmt::skip] // one setting a paragraph, all alike
pub static SETTINGS: &[Setting] = &[
    Setting::new(DEPLOYMENT, "environment", "NAME",
        "Name of this deployment: also reads the SSM parameters under /dynamodb-backup/<NAME>/"),
    Setting::new(DEPLOYMENT, "bucket", "NAME",
        "S3 bucket of the backup account that holds the backups").required(),
    Setting::new(DEPLOYMENT, "prefix", "PREFIX",
        "Key prefix of everything in the bucket"),
    Setting::new(DEPLOYMENT, "trigger-queue", "QUEUE",
        "Name or URL of the queue that starts runs").derived("dynamodb-backup[-<environment>]-trigger"),
    Setting::new(DEPLOYMENT, "export-queue", "QUEUE",
        "Name or URL of the queue of export jobs").derived("dynamodb-backup[-<environment>]-export"),
    Setting::new(DEPLOYMENT, "provision-queue", "QUEUE",
        "Name or URL of the queue of provision jobs").derived("dynamodb-backup[-<environment>]-provision"),
    Setting::new(DEPLOYMENT, "write-queue", "QUEUE",
        "Name or URL of the queue of write jobs").derived("dynamodb-backup[-<environment>]-write"),

    Setting::new(SOURCE, "source-name", "NAME",
        "Name of the source in runs and logs").default("default"),
    Setting::new(SOURCE, "role-arn", "ARN",
        "Read-only role to assume in the source account, unless --sources is given").required(),
    Setting::new(SOURCE, "external-id", "ID",
        "External id that the role's trust policy asks for; not as a flag where others can list processes").secret(),
    Setting::new(SOURCE, "source-region", "REGION",
        "Region of the source tables").derived("the backup region"),
    Setting::new(SOURCE, "include", "PATTERNS",
        "Back up only the tables that match one of these patterns, separated by commas").list(),
    Setting::new(SOURCE, "exclude", "PATTERNS",
        "Leave out the tables that match one of these patterns, separated by commas").list(),
    Setting::new(SOURCE, "target-prefix", "PREFIX",
        "Put in front of the table names in the backup account; needed when two sources share table names"),
    Setting::new(SOURCE, "sources", "FILE",
        "Several sources instead of the settings above: a TOML file with a [[source]] for each, or its text"),

    Setting::new(COPY, "consistent-read", "true|false",
        "Read strongly consistently, at twice the read cost").switch(),
    Setting::new(COPY, "compression", "zstd|gzip",
        "Compression of the exported items").default("zstd"),
    Setting::new(COPY, "compression-level", "LEVEL",
        "1 to 19 for zstd, 1 to 9 for gzip").derived("1 for zstd, 6 for gzip"),
    Setting::new(COPY, "suspect-above", "PERCENT%",
        "Delete nothing from a copy of which more than this would be deleted or changed").default("30%"),
    Setting::new(COPY, "adopt-existing", "true|false",
        "Tag and write to tables of the backup account that exist without an ownership tag").switch(),
    Setting::new(COPY, "copy-billing-mode", "on-demand|source",
        "How new copies are paid for: on demand, or as their sources are").default("on-demand"),
    Setting::new(COPY, "copy-recovery-days", "DAYS",
        "Point-in-time recovery of new copies, for 1 to 35 days"),
    Setting::new(COPY, "copy-warm-write-units", "UNITS",
        "Write units a second that new copies take at once, for a large first load; paid for once"),
    Setting::new(COPY, "copy-kms-key", "KEY",
        "KMS key of the backup account that new copies are under, instead of DynamoDB's own"),
    Setting::new(COPY, "repair-drift", "true|false",
        "Change the settings of existing copies, not only add the indexes that they lack").switch(),

    Setting::new(RESTORE, "target-role-arn", "ARN",
        "Role to assume in the account that is restored into").derived("none: restore into this account"),
    Setting::new(RESTORE, "target-external-id", "ID",
        "External id that the trust policy of that role asks for").secret(),
    Setting::new(RESTORE, "target-region", "REGION",
        "Region to restore into").derived("this one"),

    Setting::new(PACE, "lanes", "COUNT",
        "Segments of one table in flight at once, across all workers").default("4"),
    Setting::new(PACE, "read-budget", "UNITS|PERCENT%",
        "Read units a second to take of each source table, or percent of what it has").default("50%"),
    Setting::new(PACE, "write-budget", "UNITS|PERCENT%",
        "Write units a second to take of each copy, or percent of what it has").default("100%"),
    Setting::new(PACE, "trigger-concurrency", "COUNT",
        "Triggers one worker handles at once").default("1"),
    Setting::new(PACE, "export-concurrency", "COUNT",
        "Export jobs one worker runs at once").default("8"),
    Setting::new(PACE, "provision-concurrency", "COUNT",
        "Provision jobs one worker runs at once").default("4"),
    Setting::new(PACE, "write-concurrency", "COUNT",
        "Write jobs one worker runs at once").default("8"),
    Setting::new(PACE, "stall-after", "DURATION",
        "A run in which nothing new appears for this long is stalled").default("6h"),
    Setting::new(PACE, "visibility-timeout", "DURATION",
        "A job whose worker is gone starts again after this long").default("2m"),
    Setting::new(PACE, "shutdown-grace", "DURATION",
        "Time to stop in after SIGTERM; Fargate's stopTimeout allows at most 120s").default("100s"),
    Setting::new(PACE, "hand-over-after", "DURATION",
        "A job passes the rest of its segment on after this long").default("15m"),

    Setting::new(LOG, "log", "FILTER",
        "What to log: a level, or targets with levels such as info,dynamodb_backup=debug; only warnings where \
         progress bars are drawn, unless it is given").default("info"),
    Setting::new(LOG, "log-format", "text|json",
        "Form of the log lines on stderr").derived("text on a terminal, json elsewhere"),
    Setting::new(LOG, "metrics", "emf|off",
        "What `worker` and `run` write once a minute for CloudWatch: emf is lines in its embedded metric format on \
         stdout, or on stderr with --output json").default("off"),
];

/// The keys of a `[[source]]` in the value of `sources`, each with the setting it stands for.
pub(super) const SOURCE_KEYS: [(&str, &str); 7] = [
    ("name", "source-name"),
    ("role-arn", "role-arn"),
    ("external-id", "external-id"),
    ("region", "source-region"),
    ("include", "include"),
    ("exclude", "exclude"),
    ("target-prefix", "target-prefix"),
];

/// Whether a value of `sources` is the text of a TOML file, which may hold secrets, and not its path: every
/// file that says anything has an equals sign.
pub(super) fn is_document(path_or_text: &str) -> bool {
    path_or_text.contains('=')
}

impl Setting {
    const fn new(heading: &'static str, name: &'static str, value: &'static str, help: &'static str) -> Self {
        Self { name, value, help, heading, fallback: Fallback::Unset, form: Form::One, secret: false }
    }

    const fn required(self) -> Self {
        Self { fallback: Fallback::Required, ..self }
    }

    const fn default(self, text: &'static str) -> Self {
        Self { fallback: Fallback::Text(text), ..self }
    }

    const fn derived(self, rule: &'static str) -> Self {
        Self { fallback: Fallback::Derived(rule), ..self }
    }

    const fn list(self) -> Self {
        Self { form: Form::List, ..self }
    }

    const fn switch(self) -> Self {
        Self { form: Form::Switch, fallback: Fallback::Text("false"), ..self }
    }

    const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    /// The setting of this name, if there is one.
    pub fn find(name: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.name == name)
    }

    /// `--lanes`
    pub fn flag(&self) -> String {
        format!("--{}", self.name)
    }

    /// `BACKUP_LANES`
    pub fn variable(&self) -> String {
        format!("BACKUP_{}", self.name.replace('-', "_").to_uppercase())
    }

    /// `/dynamodb-backup/prod/lanes`, where `path` is the environment's path and ends in `/`.
    pub fn parameter(&self, path: &str) -> String {
        format!("{path}{}", self.name)
    }

    /// What the setting is called in a `[[source]]`.
    pub(super) fn source_key(&self) -> &'static str {
        SOURCE_KEYS.iter().find(|(_, name)| *name == self.name).map_or(self.name, |(key, _)| key)
    }

    /// The help text with the environment variable and what holds when the setting is not given.
    pub fn help(&self) -> String {
        let fallback = match self.fallback {
            Fallback::Required => " [required]".to_owned(),
            Fallback::Unset => String::new(),
            Fallback::Text(text) | Fallback::Derived(text) => format!(" [default: {text}]"),
        };
        format!("{} [env: {}]{fallback}", self.help, self.variable())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn one_name_gives_the_flag_the_variable_and_the_parameter() {
        let setting = Setting::find("stall-after").expect("it is in the table");
        assert_eq!(setting.flag(), "--stall-after");
        assert_eq!(setting.variable(), "BACKUP_STALL_AFTER");
        assert_eq!(setting.parameter("/dynamodb-backup/prod/"), "/dynamodb-backup/prod/stall-after");
    }

    #[test]
    fn the_help_names_the_variable_and_the_default() {
        let help = |name| Setting::find(name).expect("it is in the table").help();
        assert!(help("lanes").ends_with("across all workers [env: BACKUP_LANES] [default: 4]"));
        assert!(help("bucket").ends_with("[env: BACKUP_BUCKET] [required]"));
        assert!(help("prefix").ends_with("[env: BACKUP_PREFIX]"));
    }

    #[test]
    fn no_two_settings_share_a_name() {
        let names: BTreeSet<_> = SETTINGS.iter().map(|setting| setting.name).collect();
        assert_eq!(names.len(), SETTINGS.len());
    }
}
