//! The command line: what can be typed, not what it means.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;

use clap::{Arg, ArgAction, ArgMatches, Args, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::config::{Form, SETTINGS, Setting, Strings};
use crate::exit::Exit;
use crate::table::{Pattern, Selection, TableName};
use crate::verify::Subset;

const SETTINGS_HELP: &str = "\
Settings: every one is a flag (--bucket), an environment variable (BACKUP_BUCKET) or, when --environment is \
given, an SSM parameter (/dynamodb-backup/<environment>/bucket); the first of these wins.";

const EXIT_CODES_HELP: &str = "Exit codes: 0 complete, 1 failed, 2 partial, 64 usage, 130 interrupted";

/// Back up the DynamoDB tables of one AWS account into another: an archive in S3 and a live copy
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 110)]
#[command(after_help = format!("{SETTINGS_HELP} --help lists them.\n{EXIT_CODES_HELP}"))]
#[command(after_long_help = format!("{SETTINGS_HELP}\n{EXIT_CODES_HELP}"))]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    /// Form of what is printed to stdout
    #[arg(
        long,
        global = true,
        value_name = "text|json",
        hide_possible_values = true,
        default_value = "text"
    )]
    pub output: Output,
    #[command(flatten)]
    pub settings: Flags,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Work on the queues until stopped
    Worker,
    /// Start a backup, work on it until it is finished, and exit with its outcome
    Run(TriggerArgs),
    /// Start a backup and leave the work to the workers
    Trigger(TriggerArgs),
    /// Go on with a run that has come to a stand, or with the tables that it could not complete
    Resume {
        /// Id of the run
        run: String,
    },
    /// Show how far a run is
    Status {
        /// Id of the run [default: the newest]
        run: Option<String>,
    },
    /// List the runs
    List,
    /// Show what a run holds
    Show {
        /// Id of the run
        run: String,
        /// Only this table, in full
        #[arg(long, value_name = "NAME")]
        table: Option<TableName>,
    },
    /// Read a backup back and compare the live copy with it, item by item
    Verify(VerifyArgs),
    /// Bring tables to what a backup holds, in this account or another
    Restore(RestoreArgs),
    /// Check what a run relies on, and say how to mend what is wrong
    Doctor,
}

/// What is verified.
#[derive(Args, Clone, Debug)]
pub struct VerifyArgs {
    /// Id of the run, or s3://BUCKET/PREFIX of an export that DynamoDB made itself
    pub run: String,
    /// The table to compare such an export with
    #[arg(long, value_name = "NAME")]
    pub with: Option<TableName>,
    /// Only tables that match this pattern, as in `orders-*`; repeat it for more [default: all]
    #[arg(id = "table", long = "table", value_name = "PATTERN")]
    pub tables: Vec<Pattern>,
    /// Only this share of the segments, as in 1/7: seven of these cover everything
    #[arg(long, value_name = "N/OF", default_value_t = Subset::ALL, hide_default_value = true)]
    pub subset: Subset,
}

impl VerifyArgs {
    pub fn selection(&self) -> Selection {
        Selection { tables: self.tables.clone(), exclude: Vec::new() }
    }
}

/// What is restored, and into what.
#[derive(Args, Clone, Debug)]
pub struct RestoreArgs {
    /// Id of the run, or s3://BUCKET/PREFIX of an export that DynamoDB made itself
    pub run: String,
    /// The tables of the run that match this pattern, as in `orders-*` or `*`; repeat it for more
    #[arg(id = "table", long = "table", value_name = "PATTERN")]
    pub tables: Vec<Pattern>,
    /// Name of the table to restore into, where it is one [default: as in the source]
    #[arg(long, value_name = "NAME")]
    pub to: Option<TableName>,
    /// Write to tables that have items
    #[arg(long)]
    pub into_existing: bool,
    /// Delete the items that the backup does not have
    #[arg(long, requires = "into_existing")]
    pub mirror: bool,
    /// Only say what would be put, changed and deleted
    #[arg(long)]
    pub dry_run: bool,
    /// How the tables that are created are paid for; what is loaded on demand is not held up by the throughput that the
    /// source had when it was backed up
    #[arg(long, value_enum, default_value_t = RestoredBilling::Source, value_name = "MODE")]
    pub billing_mode: RestoredBilling,
    /// Write over the very table that was backed up, given its full ARN
    #[arg(long, value_name = "ARN")]
    pub over_source: Option<String>,
}

/// How a restored table is paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RestoredBilling {
    /// As its source was when it was backed up
    Source,
    OnDemand,
}

/// Which tables a new run takes.
#[derive(Args, Clone, Debug)]
pub struct TriggerArgs {
    /// Name of the source [default: every source]
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// Only tables that match this pattern, as in `orders-*`; repeat it for more [default: all]
    #[arg(id = "table", long = "table", value_name = "PATTERN")]
    pub tables: Vec<Pattern>,
    /// Not the tables that match this pattern; repeat it for more
    #[arg(id = "skip-table", long = "skip-table", value_name = "PATTERN")]
    pub exclude: Vec<Pattern>,
    /// Delete from the copies whatever the source no longer has, however much that is
    #[arg(long)]
    pub accept_changes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Text,
    Json,
}

impl Cli {
    /// Reads the arguments, of which the first is the program's name. When there is nothing to do, because they
    /// are wrong or ask for help, it prints what there is to say and tells how to exit.
    pub fn read(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Self, Exit> {
        Self::try_parse_from(arguments).map_err(|message| {
            // Nobody is left to tell when the terminal is gone.
            let _ = message.print();
            exit(&message)
        })
    }
}

/// What goes to stdout was asked for.
fn exit(message: &clap::Error) -> Exit {
    if message.use_stderr() { Exit::Usage } else { Exit::Complete }
}

/// The settings that were given as flags, as they were typed: all of them are checked together later.
#[derive(Default)]
pub struct Flags(BTreeMap<&'static str, String>);

impl Strings for Flags {
    fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }
}

/// Names alone: a value may be a secret.
impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Args for Flags {
    fn augment_args(command: clap::Command) -> clap::Command {
        command.args(SETTINGS.iter().map(flag))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |setting: &'static Setting| {
            let texts = matches.get_many::<String>(setting.name)?;
            Some((setting.name, texts.cloned().collect::<Vec<_>>().join(",")))
        };
        Ok(Self(SETTINGS.iter().filter_map(given).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.append(&mut Self::from_arg_matches(matches)?.0);
        Ok(())
    }
}

/// A setting as clap takes it. Values stay texts, so that clap does not stop at the first bad one.
fn flag(setting: &'static Setting) -> Arg {
    let arg = Arg::new(setting.name)
        .long(setting.name)
        .value_name(setting.value)
        .help(setting.help())
        .help_heading(setting.heading)
        .hide_short_help(true)
        .global(true);
    match setting.form {
        Form::One => arg,
        Form::List => arg.action(ArgAction::Append),
        Form::Switch => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn read(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(["dynamodb-backup"].into_iter().chain(line.split_whitespace()))
    }

    fn setting(line: &str, name: &str) -> Option<String> {
        read(line).unwrap().settings.get(name)
    }

    #[test]
    fn clap_finds_no_fault_with_the_command_line() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_setting_may_stand_before_or_after_the_command() {
        assert_eq!(setting("--lanes 7 worker", "lanes").as_deref(), Some("7"));
        assert_eq!(setting("worker --lanes many", "lanes").as_deref(), Some("many"));
        assert_eq!(setting("worker", "lanes"), None);
    }

    #[test]
    fn a_switch_needs_no_value_and_a_list_may_be_repeated() {
        assert_eq!(setting("worker --consistent-read", "consistent-read").as_deref(), Some("true"));
        assert_eq!(setting("worker --consistent-read=false", "consistent-read").as_deref(), Some("false"));
        assert_eq!(setting("worker --include a,b --include c", "include").as_deref(), Some("a,b,c"));
    }

    #[test]
    fn run_and_trigger_take_patterns_of_their_own() {
        let line = "run --source shop --table orders-* --table users --skip-table *-tmp --exclude x";
        let Ok(Cli { command: Command::Run(args), settings, .. }) = read(line) else { panic!("a run") };
        assert_eq!(args.source.as_deref(), Some("shop"));
        assert_eq!((args.tables.len(), args.exclude[0].as_str()), (2, "*-tmp"));
        assert_eq!(settings.get("exclude").as_deref(), Some("x"));
    }

    #[test]
    fn help_and_version_are_no_mistake_and_everything_clap_refuses_is_a_usage_error() {
        for line in ["--help", "-h", "--version", "help", "run --help"] {
            assert_eq!(exit(&read(line).unwrap_err()), Exit::Complete, "{line}");
        }
        for line in ["", "wroker", "worker --lanse 4", "show", "run --table a/b", "list --output xml"] {
            assert_eq!(exit(&read(line).unwrap_err()), Exit::Usage, "{line}");
        }
    }

    #[test]
    fn the_long_help_lists_every_setting_with_its_variable() {
        let help = Cli::command().render_long_help().to_string();
        for setting in SETTINGS {
            assert!(help.contains(&setting.flag()) && help.contains(&setting.variable()), "{}", setting.name);
        }
    }

    #[test]
    fn the_values_of_flags_are_not_shown() {
        let cli = read("worker --external-id hunter2").unwrap();
        assert_eq!(format!("{:?}", cli.settings), r#"{"external-id"}"#);
    }
}
