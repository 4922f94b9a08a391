//! The rules of [`super::resolve`] as a whole.

use std::collections::BTreeMap;

use super::*;

const REQUIRED: [(&str, &str); 2] =
    [("--bucket", "backups"), ("BACKUP_ROLE_ARN", "arn:aws:iam::123456789012:role/reader")];

/// Settings by their spelling: `--bucket`, `BACKUP_BUCKET`, or `/bucket` for an SSM parameter.
struct Layers([BTreeMap<String, String>; 3]);

impl Layers {
    fn new(given: &[(&str, &str)]) -> Self {
        let mut layers: [BTreeMap<_, _>; 3] = Default::default();
        for (spelling, value) in given {
            let (layer, name) = match (spelling.strip_prefix("--"), spelling.strip_prefix('/')) {
                (Some(flag), _) => (0, flag),
                (_, Some(parameter)) => (2, parameter),
                _ => (1, *spelling),
            };
            layers[layer].insert(name.to_owned(), (*value).to_owned());
        }
        Self(layers)
    }

    fn resolve<T: FromSettings>(self) -> Result<Resolved<T>, ConfigErrors> {
        let [flags, variables, parameters] = self.0;
        let parameters = match parameter_path(&flags, &variables)? {
            Some(path) => Parameters::new(path, parameters),
            None if parameters.is_empty() => Parameters::default(),
            None => Parameters::new("/dynamodb-backup/prod/", parameters),
        };
        super::resolve(&flags, &variables, &parameters)
    }
}

pub(super) fn resolve(given: &[(&str, &str)]) -> Result<Resolved<Config>, ConfigErrors> {
    Layers::new(given).resolve()
}

pub(super) fn errors(given: &[(&str, &str)]) -> Vec<String> {
    resolve(given).unwrap_err().0.iter().map(ToString::to_string).collect()
}

fn resolve_with(more: &[(&str, &str)]) -> Resolved<Config> {
    resolve(&[&REQUIRED, more].concat()).unwrap()
}

fn errors_with(more: &[(&str, &str)]) -> Vec<String> {
    errors(&[&REQUIRED, more].concat())
}

#[test]
fn a_bucket_and_a_role_are_enough() {
    let config = resolve_with(&[]).config;
    assert_eq!((config.bucket.as_str(), config.prefix.as_str()), ("backups", ""));
    assert_eq!(config.queues.trigger, "dynamodb-backup-trigger");
    assert_eq!(config.options, ExportOptions { consistent_read: false, compression: Compression::Zstd(1) });
    assert_eq!(config.concurrency, Concurrency { trigger: 1, export: 8, provision: 4, write: 8 });
    assert_eq!(
        (config.pace.lanes, config.stall_after, config.visibility_timeout),
        (4, HOUR * 6, SECOND * 120)
    );
    assert_eq!((config.shutdown_grace, config.hand_over_after), (SECOND * 100, HOUR / 4));
    assert!(!config.adopt_existing);
}

#[test]
fn flags_win_over_variables_and_those_over_parameters() {
    let lanes = |given: &[_]| resolve_with(given).config.pace.lanes;
    let all = [("--lanes", "7"), ("BACKUP_LANES", "8"), ("/lanes", "9")];
    assert_eq!([lanes(&all), lanes(&all[1..]), lanes(&all[2..])], [7, 8, 9]);
}

#[test]
fn an_empty_variable_is_not_given_but_an_empty_flag_is() {
    let prefix = |given: &[_]| resolve_with(given).config.prefix;
    assert_eq!(prefix(&[("BACKUP_PREFIX", ""), ("/prefix", "a")]), "a");
    assert_eq!(prefix(&[("--prefix", ""), ("/prefix", "a")]), "");
}

#[test]
fn the_environment_names_the_queues() {
    let queues = resolve_with(&[("--environment", "prod"), ("--write-queue", "w")]).config.queues;
    assert_eq!(queues.export, "dynamodb-backup-prod-export");
    assert_eq!(queues.write, "w");
}

#[test]
fn the_codec_decides_the_level() {
    let compression = |given: &[_]| resolve_with(given).config.options.compression;
    assert_eq!(compression(&[("--compression", "gzip")]), Compression::Gzip(6));
    assert_eq!(compression(&[("--compression-level", "19")]), Compression::Zstd(19));
    let errors = errors_with(&[("--compression", "gzip"), ("/compression-level", "19")]);
    assert_eq!(
        errors,
        [
            r#"/dynamodb-backup/prod/compression-level "19": not a number in range; give a whole number from 1 to 9"#
        ]
    );
}

#[test]
fn every_mistake_is_told_at_once_with_its_place_and_mend() {
    let given = [("--lanes", "many"), ("BACKUP_ADOPT_EXISTING", "yes"), ("/visibility-timeout", "5s")];
    assert_eq!(
        errors(&given),
        [
            "bucket: missing; give --bucket or BACKUP_BUCKET or /dynamodb-backup/prod/bucket",
            "role-arn: missing; give --role-arn or BACKUP_ROLE_ARN or /dynamodb-backup/prod/role-arn",
            r#"--lanes "many": not a number in range; give a whole number from 1 to 1000"#,
            "/dynamodb-backup/prod/visibility-timeout \"5s\": too short or too long; \
             give for example 90s, 15m or 6h, from 10s to 12h",
            r#"BACKUP_ADOPT_EXISTING "yes": not one of the choices; give true or false"#,
        ]
    );
}

#[test]
fn a_secret_is_shown_neither_in_a_mistake_nor_in_the_effective_settings() {
    let errors = errors_with(&[("--external-id", "hunter 2")]);
    assert!(errors[0].starts_with("--external-id [redacted]: not an external id"));
    let resolved = resolve_with(&[("BACKUP_EXTERNAL_ID", "hunter2")]);
    assert!(!format!("{resolved:?}").contains("hunter2"));
    let lines: Vec<_> = resolved.effective.iter().map(ToString::to_string).collect();
    assert!(lines.contains(&"external-id = [redacted] (BACKUP_EXTERNAL_ID)".to_owned()));
    assert!(lines.contains(&"bucket = backups (--bucket)".to_owned()));
    assert!(lines.contains(&"lanes = 4 (default)".to_owned()));
}

#[test]
fn parameters_that_no_setting_reads_are_warned_of() {
    let given = [("/lanse", "4"), ("/environment", "prod"), ("/lanes", "4")];
    let warnings: Vec<_> = resolve_with(&given).warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "/dynamodb-backup/prod/environment is ignored: it is part of the path, so only --environment \
             and BACKUP_ENVIRONMENT set it",
            "/dynamodb-backup/prod/lanse is ignored: no setting has this name",
        ]
    );
}

#[test]
fn two_stages_cannot_share_a_queue() {
    let errors = errors_with(&[("--export-queue", "jobs"), ("--write-queue", "jobs")]);
    assert!(errors[0].starts_with("trigger-, export-, provision- and write-queue: two are the same;"));
}

#[test]
fn a_bad_log_setting_is_told_with_the_others() {
    let errors = errors_with(&[("--log", "a=loud"), ("--lanes", "0")]);
    assert_eq!(errors.len(), 2);
    assert!(errors[1].starts_with(r#"--log "a=loud": "#));
}

#[test]
fn a_command_is_not_bothered_with_settings_it_does_not_need() {
    let given = [("--bucket", "backups"), ("BACKUP_LANES", "many")];
    assert_eq!(Layers::new(&given).resolve::<ArchiveConfig>().unwrap().config.bucket, "backups");
    let given = [("--environment", "prod")];
    let trigger = Layers::new(&given).resolve::<TriggerConfig>().unwrap().config;
    assert_eq!(trigger.queue, "dynamodb-backup-prod-trigger");
}

#[test]
fn a_bad_environment_is_told_before_ssm_is_asked() {
    let flags = BTreeMap::from([("environment".to_owned(), "a/b".to_owned())]);
    let error = parameter_path(&flags, &BTreeMap::new()).unwrap_err().to_string();
    assert!(error.starts_with(r#"--environment "a/b": '/' is not allowed; give 1 to 32 of"#));
}

/// Each name is read from a table of settings that all hold the same nonsense, so that each is complained of.
#[test]
fn every_setting_in_the_table_is_read() {
    let nonsense: BTreeMap<_, _> =
        SETTINGS.iter().map(|setting| (setting.variable(), "b=\u{1}=d".to_owned())).collect();
    let (flags, parameters) = (BTreeMap::new(), Parameters::default());
    let of_a_run = super::resolve::<Config>(&flags, &nonsense, &parameters).unwrap_err();
    let of_a_restore = super::resolve::<RestoreConfig>(&flags, &nonsense, &parameters).unwrap_err();
    for setting in SETTINGS {
        let place = setting.variable();
        let mut mistakes = of_a_run.0.iter().chain(&of_a_restore.0);
        assert!(mistakes.any(|mistake| mistake.place == place), "{place}");
    }
}
