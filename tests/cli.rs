//! What the command line says, as texts that people have read: help, version, and every usage error.
//!
//! Each file under `tests/cli` holds commands, each followed by its exit code and by all that it printed. After
//! a change that is meant, `UPDATE_CLI=1 cargo test --test cli` writes the files anew: read the difference.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PROMPT: &str = "$ ";
const PROGRAM: &str = "dynamodb-backup";

#[test]
fn every_command_says_what_its_text_says() {
    let mut differing = Vec::new();
    for path in texts() {
        let expected = std::fs::read_to_string(&path).expect("it was just listed");
        let commands = expected.lines().filter_map(|line| line.strip_prefix(PROMPT));
        let actual = commands.map(transcript).collect::<Vec<_>>().join("\n");
        assert!(!actual.is_empty(), "{} holds no command", path.display());
        if std::env::var_os("UPDATE_CLI").is_some() {
            std::fs::write(&path, actual).expect("the sources can be written");
        } else if actual != expected {
            differing.push(format!("{}\n{}", path.display(), first_difference(&expected, &actual)));
        }
    }
    assert!(
        differing.is_empty(),
        "not as in these files (UPDATE_CLI=1 writes them anew):\n{}",
        differing.join("\n")
    );
}

#[test]
fn there_is_a_text_for_the_help_of_every_command() {
    let all: String =
        texts().iter().map(|path| std::fs::read_to_string(path).expect("it was just listed")).collect();
    let help = transcript(&format!("{PROGRAM} -h"));
    let (_, listed) = help.split_once("Commands:\n").expect("the help lists the commands");
    let commands: Vec<&str> = listed.lines().map_while(|line| line.split_whitespace().next()).collect();
    assert!(commands.len() > 5, "{commands:?}");
    for command in commands.iter().filter(|command| **command != "help") {
        assert!(all.contains(&format!("{PROMPT}{PROGRAM} {command} -h\n")), "{command}");
    }
}

fn texts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli");
    let files =
        std::fs::read_dir(folder).expect("the texts are there").map(|entry| entry.expect("readable").path());
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|end| end == "txt")).collect();
    files.sort();
    files
}

/// Runs `NAME=value … dynamodb-backup argument …` in an environment that holds nothing else.
fn transcript(line: &str) -> String {
    let mut words = line.split(' ');
    let mut command = Command::new(env!("CARGO_BIN_EXE_dynamodb-backup"));
    command.env_clear().env("AWS_EC2_METADATA_DISABLED", "true").stdin(Stdio::null());
    for word in words.by_ref().take_while(|word| *word != PROGRAM) {
        let (name, value) = word.split_once('=').expect("NAME=value comes before the program");
        command.env(name, value);
    }
    let output = command.args(words).output().expect("the program starts");
    let code = output.status.code().expect("it was not killed");
    let mut transcript = format!("{PROMPT}{line}\n[exit code {code}]\n");
    for (name, bytes) in [("stdout", output.stdout), ("stderr", output.stderr)] {
        let text = String::from_utf8(bytes).expect("the program writes UTF-8");
        // Version and build change with every release.
        let text = text.replace(env!("CARGO_PKG_VERSION"), "<version>");
        if !text.is_empty() {
            let end = if text.ends_with('\n') { "" } else { "\n[no newline]\n" };
            write!(transcript, "[{name}]\n{text}{end}").expect("writing to a text does not fail");
        }
    }
    transcript
}

fn first_difference(expected: &str, actual: &str) -> String {
    let (mut expected, mut actual, mut line) = (expected.lines(), actual.lines(), 0);
    loop {
        line += 1;
        let pair = (expected.next(), actual.next());
        if pair.0 != pair.1 || pair == (None, None) {
            let [expected, actual] = [pair.0, pair.1].map(|line| line.unwrap_or("<end>"));
            return format!("line {line}\n  expected: {expected}\n  actual:   {actual}\n");
        }
    }
}
