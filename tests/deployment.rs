//! What a deployment is made of names the same things as the program: settings, variables, queues, calls.
//!
//! `tests/terraform.sh` and `tests/deployment.sh` check the rest of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use dynamodb_backup::config::SETTINGS;
use dynamodb_backup::metrics::{METRICS, NAMESPACE, Unit};
use loopback_aws::{
    BACKUP_ACCOUNT, BUCKET, EXTERNAL_ID, Fault, Loopback, REGION, SOURCE_ACCOUNT, SOURCE_ROLE_ARN, sample,
};

const TASK_POLICY: &str = include_str!("../terraform/permissions.tf");
const SOURCE_POLICY: &str = include_str!("../terraform/source-account/permissions.tf");
const PARAMETERS: &str = include_str!("../terraform/parameters.tf");
const QUEUES: &str = include_str!("../terraform/queues.tf");
const TASK: &str = include_str!("../terraform/task.tf");
const ALARMS: &str = include_str!("../terraform/alarms.tf");
const DASHBOARD: &str = include_str!("../terraform/dashboard.tf");
const README: &str = include_str!("../README.md");
const DOCKERFILE: &str = include_str!("../Dockerfile");
const COMPOSE: &str = include_str!("../docker-compose.yml");
const VARIABLES: &str = include_str!("../terraform/variables.tf");
const DOCTOR: &str = include_str!("../src/doctor/queues.rs");
const STAND_IN: &str = include_str!("stand_in.py");
const SEED: &str = include_str!("compose/seed.sh");

/// Settings that a deployment has no use for: the queues have the names that follow from the environment, the
/// environment is part of the path, and what `restore` restores into is no business of the worker.
const NOT_DEPLOYED: [&str; 8] = [
    "environment",
    "trigger-queue",
    "export-queue",
    "provision-queue",
    "write-queue",
    "target-role-arn",
    "target-external-id",
    "target-region",
];

#[test]
fn terraform_can_set_every_setting_that_the_worker_has_and_no_other() {
    let taken: BTreeSet<String> = worker_settings();
    // Settings stand in the locals; what follows makes parameters of them.
    let locals = PARAMETERS.split("\nresource").next().unwrap_or_default();
    let given: BTreeSet<String> = quoted(locals).into_iter().filter(|word| is_setting_like(word)).collect();
    let deployed = |name: &&String| !NOT_DEPLOYED.contains(&name.as_str());
    let missing: Vec<_> = taken.difference(&given).filter(deployed).collect();
    assert_eq!(missing, [""; 0], "terraform/parameters.tf cannot set these");
    let unknown: Vec<_> = given.difference(&taken).collect();
    assert_eq!(unknown, [""; 0], "nothing reads these parameters");
}

#[test]
fn the_seeded_parameters_are_settings() {
    let names: Vec<&str> = SEED
        .lines()
        .filter_map(|line| line.strip_prefix("parameter "))
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(names, ["bucket", "role-arn", "external-id"]);
    assert!(names.iter().all(|name| worker_settings().contains(*name)));
}

#[test]
fn every_variable_of_the_program_that_a_deployment_names_is_one() {
    let known: BTreeSet<String> = SETTINGS.iter().map(dynamodb_backup::config::Setting::variable).collect();
    let mut found = BTreeSet::new();
    for file in deployment_files() {
        let text = fs::read_to_string(&file).expect("it was just listed");
        for word in text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')) {
            // The accounts of the seeding script, which nothing reads as settings.
            if word.starts_with("BACKUP_") && word != "BACKUP_ACCOUNT" {
                assert!(known.contains(word), "{word} in {}", file.display());
                found.insert(word.to_owned());
            }
        }
    }
    assert!(found.contains("BACKUP_ENVIRONMENT"), "{found:?}");
}

#[test]
fn terraform_and_compose_name_the_queues_as_the_program_does() {
    let stages: Vec<&str> =
        SETTINGS.iter().filter_map(|setting| setting.name.strip_suffix("-queue")).collect();
    let list = stages.iter().map(|stage| format!("{stage:?}")).collect::<Vec<_>>().join(", ");
    assert!(QUEUES.contains(&format!("stages = toset([{list}])")), "the stages are {list}");
    assert!(QUEUES.contains(r#"name = "${local.name}-${each.key}""#));
    assert!(SEED.contains(&format!("for stage in {}; do queue \"$NAME-$stage\"", stages.join(" "))));
    // The program's own rule.
    for setting in SETTINGS.iter().filter(|setting| setting.name.ends_with("-queue")) {
        let stage = setting.name.trim_end_matches("-queue");
        assert!(setting.help().contains(&format!("dynamodb-backup[-<environment>]-{stage}")));
    }
    assert!(include_str!("../terraform/versions.tf").contains(r#""dynamodb-backup-${var.environment}""#));
    assert!(SEED.contains(r#"NAME="dynamodb-backup-$ENVIRONMENT""#));
}

/// The last receive gives a job up, so one fewer is what it is tried.
#[test]
fn whoever_makes_queues_gives_a_job_as_many_attempts() {
    let (_, variable) =
        VARIABLES.split_once("variable \"max_receive_count\"").expect("there is such a variable");
    let default =
        variable.lines().find_map(|line| line.trim().strip_prefix("default ")).expect("it has a default");
    for (file, text) in
        [("README.md", README), ("seed.sh", SEED), ("stand_in.py", STAND_IN), ("doctor", DOCTOR)]
    {
        let counts = text.split("maxReceiveCount").skip(1).map(|rest| {
            rest.trim_start_matches([':', ' ', '"', '\\'])
                .split(|c: char| !c.is_ascii_digit())
                .next()
                .unwrap_or_default()
        });
        let counts: Vec<&str> = counts.filter(|count| !count.is_empty()).collect();
        assert!(
            !counts.is_empty() && counts.iter().all(|count| *count == value(default)),
            "{file}: {counts:?}"
        );
    }
}

/// What AWS measures by itself of what is deployed (Amazon SQS Developer Guide, “Available CloudWatch metrics for Amazon
/// SQS”; EventBridge User Guide, “Monitoring Amazon EventBridge”; CloudWatch User Guide, “Amazon ECS Container
/// Insights metrics”).
const METRICS_OF_AWS: [(&str, &str, &[&str]); 5] = [
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible", &["QueueName"]),
    ("AWS/SQS", "ApproximateNumberOfMessagesNotVisible", &["QueueName"]),
    ("AWS/SQS", "ApproximateAgeOfOldestMessage", &["QueueName"]),
    ("AWS/Events", "Invocations", &["RuleName"]),
    ("ECS/ContainerInsights", "RunningTaskCount", &["ClusterName", "ServiceName"]),
];

/// CloudWatch takes every name and every set of dimensions: an alarm on one that nobody publishes has no data for ever.
#[test]
fn alarms_and_dashboard_ask_for_what_is_published_under_the_dimensions_that_it_has() {
    let published: BTreeSet<Series> = METRICS
        .iter()
        .flat_map(|metric| metric.by.dimensions().iter().map(|set| Series::new(NAMESPACE, metric.name, set)))
        .chain(METRICS_OF_AWS.iter().map(|(namespace, metric, set)| Series::new(namespace, metric, set)))
        .collect();
    let alarms: Vec<&str> = ALARMS.split("resource \"aws_cloudwatch_metric_alarm\"").skip(1).collect();
    let widgets: Vec<&str> = DASHBOARD.split("title").filter(|part| value(part).starts_with('"')).collect();
    assert!(alarms.len() >= 5 && widgets.len() >= 12, "{} alarms, {} widgets", alarms.len(), widgets.len());
    let of_alarms = alarms.iter().map(|alarm| (*alarm, vec![Series::of_alarm(alarm)]));
    for (text, asked) in of_alarms.chain(widgets.iter().map(|widget| (*widget, Series::of_widget(widget)))) {
        assert!(!asked.is_empty(), "no metric is read here: {text}");
        for series in asked {
            assert!(published.contains(&series), "nobody publishes {series:?}");
            // Both are told in hours.
            let is_ours =
                METRICS.iter().find(|metric| series.namespace == NAMESPACE && metric.name == series.metric);
            if let Some(metric) = is_ours.filter(|_| text.contains(" * 3600") || text.contains(" / 3600")) {
                assert_eq!(metric.unit, Unit::Seconds, "{series:?}");
            }
        }
    }
    // What own_widgets are drawn with.
    assert!(DASHBOARD.contains(r#"of_environment = ["Environment", var.environment]"#));
    assert!(DASHBOARD.contains(&format!("concat([{NAMESPACE:?}, metric], local.of_environment)")));
}

#[test]
fn the_policies_of_terraform_and_of_the_readme_are_the_same() {
    let of_readme = |holds: &str| {
        let blocks = README.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next());
        let block =
            blocks.into_iter().find(|block| block.contains(holds)).expect("the README has the policy");
        actions(block)
    };
    assert_eq!(actions(SOURCE_POLICY), of_readme("dynamodb:ListTables"));
    let (of_key, of_worker): (BTreeSet<_>, BTreeSet<_>) =
        actions(TASK_POLICY).into_iter().partition(|action| action.starts_with("kms:"));
    assert_eq!(of_worker, of_readme("sqs:ReceiveMessage"));
    for action in of_key.iter().filter(|action| *action != "kms:ViaService") {
        assert!(README.contains(&format!("`{action}`")), "{action}");
    }
}

/// The least that a policy can allow: runs with every kind of call that runs make, recorded.
#[tokio::test(flavor = "multi_thread")]
async fn the_policies_of_terraform_allow_the_calls_of_a_run_and_no_other() {
    let aws = Loopback::start().await.expect("a free port");
    aws.deploy();
    seed(&aws).await;
    // The table that the first run adopts is changed by the second, which repairs its drift.
    let said = run(&aws).await + &run(&aws).await;

    let calls = aws.calls();
    let needed = |account: &str| -> BTreeSet<String> {
        let calls = calls.iter().filter(|call| call.account == account);
        calls.filter_map(|call| permission(&call.name())).collect()
    };
    assert_eq!(needed(SOURCE_ACCOUNT), actions(SOURCE_POLICY), "{said}");
    let of_worker: BTreeSet<String> =
        actions(TASK_POLICY).into_iter().filter(|action| !action.starts_with("kms:")).collect();
    assert_eq!(needed(BACKUP_ACCOUNT), of_worker, "{said}");
}

#[test]
fn the_image_has_the_compiler_and_the_path_that_others_rely_on() {
    let version = env!("CARGO_PKG_RUST_VERSION");
    assert!(DOCKERFILE.contains(&format!("FROM rust:{version}-")), "Cargo.toml asks for Rust {version}");
    assert!(DOCKERFILE.contains(r#"ENTRYPOINT ["/dynamodb-backup"]"#));
    assert!(DOCKERFILE.contains("USER 65532:65532") && TASK.contains(r#""65532:65532""#));
    for check in [TASK, COMPOSE] {
        assert!(check.contains(r#"["CMD", "/dynamodb-backup", "--version"]"#));
    }
}

/// What CloudWatch keeps apart: values of other dimensions are of another metric to it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Series {
    namespace: String,
    metric: String,
    dimensions: BTreeSet<String>,
}

impl Series {
    fn new(namespace: &str, metric: &str, dimensions: &[&str]) -> Self {
        let dimensions = dimensions.iter().map(|name| (*name).to_owned()).collect();
        Self { namespace: namespace.to_owned(), metric: metric.to_owned(), dimensions }
    }

    fn of_alarm(alarm: &str) -> Self {
        let attribute = |name: &str| {
            let mut lines = alarm.lines().map(str::trim).filter_map(|line| line.strip_prefix(name));
            value(lines.find(|rest| rest.trim_start().starts_with('=')).unwrap_or_default())
        };
        let dimensions = attribute("dimensions").trim_matches(['{', '}', ' ']).split(", ");
        let names: Vec<&str> = dimensions.filter_map(|pair| pair.split(" =").next()).collect();
        Self::new(
            attribute("namespace").trim_matches('"'),
            attribute("metric_name").trim_matches('"'),
            &names,
        )
    }

    /// A widget lists names that are drawn by environment, or namespace, name and dimensions, or searches.
    fn of_widget(widget: &str) -> Vec<Self> {
        let by_name = widget.lines().filter(|line| line.trim_end().ends_with("] },"));
        let names =
            by_name.filter_map(|line| line.split_once("metrics = ")).flat_map(|(_, list)| quoted(list));
        let named = names.map(|name| Self::new(NAMESPACE, &name, &["Environment"]));
        let listed = widget.split("[\"").skip(1).filter_map(|rest| {
            let end = rest.find(['{', ']']).unwrap_or(rest.len());
            let words: Vec<&str> = rest[..end].split(", ").map(|word| word.trim_matches('"')).collect();
            let dimensions: Vec<&str> =
                words.iter().skip(2).step_by(2).copied().filter(|name| !name.is_empty()).collect();
            (!dimensions.is_empty()).then(|| Self::new(words[0], words[1], &dimensions))
        });
        let searched = widget.split("SEARCH('{").skip(1).map(|rest| {
            let (schema, terms) = rest.split_once('}').expect("a schema ends");
            let metric = terms.split("MetricName=\\\"").nth(1).and_then(|name| name.split('\\').next());
            let (namespace, dimensions) = schema.split_once(',').expect("a schema has dimensions");
            Self::new(
                namespace,
                metric.expect("a metric is searched for"),
                &dimensions.split(',').collect::<Vec<_>>(),
            )
        });
        named.chain(listed).chain(searched).collect()
    }
}

/// What stands behind a name of Terraform's, on the same line.
fn value(rest: &str) -> &str {
    rest.lines().next().unwrap_or_default().trim_start_matches(['=', ' '])
}

/// One table to be made, and one that is there and must be adopted, which tags it.
async fn seed(aws: &Loopback) {
    let aws = aws.clone();
    let load = move || {
        for table in sample::shop().into_iter().take(2) {
            table.load(&aws, SOURCE_ACCOUNT).expect("the tables are legal");
        }
        let shop = sample::shop();
        shop.into_iter()
            .next()
            .expect("a shop has tables")
            .load(&aws, BACKUP_ACCOUNT)
            .expect("it is new there");
    };
    tokio::task::spawn_blocking(load).await.expect("seeding ends");
}

/// `run`, with its settings asked of SSM too, and a job that takes so long that its message is extended; gives what
/// it said.
async fn run(aws: &Loopback) -> String {
    aws.set_fault(|call| (call.action == "CreateTable").then_some(Fault::Delay(Duration::from_secs(4))));
    let mut program = Command::new(env!("CARGO_BIN_EXE_dynamodb-backup"));
    program.args(["run", "--adopt-existing", "--log", "info"]).env_clear().stdin(Stdio::null()).envs([
        ("AWS_ENDPOINT_URL", aws.endpoint().as_str()),
        ("AWS_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", BACKUP_ACCOUNT),
        ("AWS_SECRET_ACCESS_KEY", "loopback"),
        ("BACKUP_ENVIRONMENT", "none"),
        ("BACKUP_BUCKET", BUCKET),
        ("BACKUP_ROLE_ARN", SOURCE_ROLE_ARN),
        ("BACKUP_EXTERNAL_ID", EXTERNAL_ID),
        ("BACKUP_VISIBILITY_TIMEOUT", "10s"),
        ("BACKUP_COPY_RECOVERY_DAYS", "7"),
        ("BACKUP_REPAIR_DRIFT", "true"),
        ("BACKUP_TRIGGER_QUEUE", "dynamodb-backup-trigger"),
        ("BACKUP_EXPORT_QUEUE", "dynamodb-backup-export"),
        ("BACKUP_PROVISION_QUEUE", "dynamodb-backup-provision"),
        ("BACKUP_WRITE_QUEUE", "dynamodb-backup-write"),
    ]);
    let ended = tokio::task::spawn_blocking(move || program.output()).await.expect("it ends");
    String::from_utf8_lossy(&ended.expect("the program starts").stderr).into_owned()
}

/// The permission that a call needs, as AWS has it (S3 API Reference; STS API Reference, “GetCallerIdentity”).
fn permission(call: &str) -> Option<String> {
    match call {
        "sts:GetCallerIdentity" => None,
        "s3:HeadObject" => Some("s3:GetObject".to_owned()),
        "s3:HeadBucket" | "s3:ListObjectsV2" => Some("s3:ListBucket".to_owned()),
        // A batch needs what each of its messages needs ("Amazon SQS API permissions: Actions and resource reference").
        call => Some(call.trim_end_matches("Batch").to_owned()),
    }
}

/// The names of the settings that `worker --help` prints.
fn worker_settings() -> BTreeSet<String> {
    let mut program = Command::new(env!("CARGO_BIN_EXE_dynamodb-backup"));
    let output = program.args(["worker", "--help"]).env_clear().output().expect("the program starts");
    let help = String::from_utf8(output.stdout).expect("the program writes UTF-8");
    // A switch is printed with its value, as in --consistent-read[=<true|false>].
    let words = help.split(|c: char| c.is_whitespace() || c == '[');
    let flags = words.filter_map(|word| word.strip_prefix("--"));
    let known = SETTINGS.iter().map(|setting| setting.name.to_owned()).collect::<BTreeSet<_>>();
    let printed: BTreeSet<String> = flags.map(str::to_owned).filter(|flag| known.contains(flag)).collect();
    assert!(printed.len() > 20, "{printed:?}");
    printed
}

/// Every text in double quotes that could be a setting.
fn quoted(text: &str) -> BTreeSet<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    code.flat_map(|line| line.split('"').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// Not the one value that Terraform itself gives to a setting.
fn is_setting_like(word: &str) -> bool {
    !word.is_empty() && word != "emf" && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}

/// Every `"service:Action"` in a text.
fn actions(text: &str) -> BTreeSet<String> {
    let is_action = |word: &String| {
        let parts = word.split_once(':');
        parts.is_some_and(|(service, action)| {
            service.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
                && action.starts_with(|first: char| first.is_ascii_uppercase())
                && action.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
    };
    quoted(text).into_iter().filter(is_action).collect()
}

fn deployment_files() -> Vec<std::path::PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let terraform =
        ["terraform", "terraform/source-account", "terraform/example"].map(|folder| root.join(folder));
    let listed = terraform.iter().flat_map(|folder| fs::read_dir(folder).expect("the folder is there"));
    let files = listed.map(|entry| entry.expect("readable").path());
    let others = ["docker-compose.yml", "deploy.sh", "tests/compose/seed.sh", "Dockerfile"]
        .map(|name| root.join(name));
    files.filter(|path| path.extension().is_some_and(|end| end == "tf")).chain(others).collect()
}
