//! Other tools on the same server, those that are installed. They are slow, so they get little data.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Result;

use crate::bench::{Bench, Entry, Input, table_of};
use crate::client::BUCKET;
use crate::codec::Codec;
use crate::items::Shape;
use crate::options::Options;

/// A tool that needs longer is said to.
const LIMIT: Duration = Duration::from_secs(120);

const EXPORT: &str = "peers, export";
const WRITE: &str = "peers, write";

/// A tool, and how it is run.
struct Peer {
    id: &'static str,
    label: &'static str,
    section: &'static str,
    /// A command that succeeds where the tool is installed.
    probe: Vec<String>,
    command: Vec<String>,
    variables: Vec<(&'static str, String)>,
}

/// Runs every tool, and ours beside them in the same rounds.
pub(crate) fn run(bench: &mut Bench, options: &Options) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let gigabytes = if options.quick { 0.03 } else { 0.06 };
    let peers = peers(bench, folder.path(), gigabytes);
    let ours = [
        ours("ours-peers", "ours, zstd 1, 0.22 GB", "ours-export", Input::Table(Shape::Usual, 0.22)),
        ours("write-ours-peers", "ours, from zstd 1, a part", "ours-write", Input::Parts(1)),
    ];
    // The server renders what it is asked for first.
    bench.run(&Entry { codec: Codec::GZIP, ..ours[1] })?;
    for (entry, section) in ours.iter().zip([EXPORT, WRITE]) {
        bench.run(entry)?;
        bench.results.declare(entry.id, section, entry.label);
    }
    for peer in &peers {
        bench.results.declare(peer.id, peer.section, peer.label);
        if !is_installed(peer) {
            bench.absent(peer.id, "not installed");
        }
    }
    let rounds = if options.quick { 1 } else { options.rounds.min(3) };
    for round in 1..=rounds {
        eprintln!("peers: round {round} of {rounds}");
        bench.round(&ours)?;
        for peer in &peers {
            // Some ask before they write over what they wrote in the round before.
            clear(folder.path())?;
            peer.round(bench);
        }
    }
    Ok(())
}

fn ours(id: &'static str, label: &'static str, client: &'static str, input: Input) -> Entry {
    Entry { id, label, client, codec: Codec::ZSTD, input }
}

impl Peer {
    /// A tool that fails, or does not come to an end, has no figures and says why.
    fn round(&self, bench: &mut Bench) {
        if bench.results.get(self.id).is_none_or(|series| series.absent.is_some()) {
            return;
        }
        eprintln!("  {}", self.label);
        let variables: Vec<_> = self.variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        match bench.measure(&self.command, &variables, LIMIT) {
            Ok((sample, _)) => bench.results.push(self.id, sample),
            Err(error) => bench.absent(self.id, &format!("failed: {error:#}")),
        }
    }
}

fn peers(bench: &Bench, folder: &Path, gigabytes: f64) -> Vec<Peer> {
    let table = table_of(Shape::Usual, gigabytes).to_string();
    let half = table_of(Shape::Usual, 0.03).to_string();
    let endpoint = &bench.server.endpoint;
    let port = endpoint.rsplit(':').next().unwrap_or_default();
    let part = format!("{endpoint}/{BUCKET}/parts/usual/gzip-6/0");
    let file = |name: &str| folder.join(name).display().to_string();
    let script = |name: &str| format!("{}/benches/data_path/peers/{name}", env!("CARGO_MANIFEST_DIR"));
    let variable = |name: &str, fallback: &str| std::env::var(name).unwrap_or_else(|_| fallback.to_owned());
    let (dynein, dynamodump) = (variable("DYNEIN", "dy"), variable("DYNAMODUMP", "dynamodump"));
    let (pythonpath, node_path) = (variable("DYNAMODUMP_PYTHONPATH", ""), variable("NODE_PATH", ""));
    let boto3 = ["python3", "-c", "import boto3"];
    let peer = |id, label, section, probe: &[&str], command: &[&str]| Peer {
        id,
        label,
        section,
        probe: owned(probe),
        command: owned(command),
        variables: Vec::new(),
    };
    vec![
        peer(
            "dynein",
            "dynein export, jsonl, not compressed",
            EXPORT,
            &[&dynein, "--version"],
            &[
                &dynein,
                "--region",
                "local",
                "--port",
                port,
                "--table",
                &table,
                "export",
                "--format",
                "jsonl",
                "--output-file",
                &file("dynein.jsonl"),
            ],
        ),
        Peer {
            variables: vec![("NODE_PATH", node_path)],
            ..peer(
                "js-scan",
                "JavaScript SDK v3 scan, 8 segments, gzip 6",
                EXPORT,
                &["node", "-e", "require('@aws-sdk/client-dynamodb')"],
                &["node", &script("js_scan.mjs"), &table],
            )
        },
        peer(
            "boto3-scan",
            "boto3 scan, 8 threads, gzip 6",
            EXPORT,
            &boto3,
            &["python3", &script("boto3_scan.py"), &half],
        ),
        Peer {
            variables: vec![("PYTHONPATH", pythonpath)],
            ..peer(
                "dynamodump",
                "dynamodump backup",
                EXPORT,
                &[&dynamodump, "--help"],
                &[
                    &dynamodump,
                    "-m",
                    "backup",
                    "-r",
                    "local",
                    "-s",
                    &half,
                    "--host",
                    "127.0.0.1",
                    "--port",
                    port,
                    "--accessKey",
                    "bench",
                    "--secretKey",
                    "bench",
                    "--dumpPath",
                    &file("dump"),
                ],
            )
        },
        peer(
            "aws-cli",
            "AWS CLI dynamodb scan",
            EXPORT,
            &["aws", "--version"],
            &["aws", "dynamodb", "scan", "--table-name", &half, "--output", "json"],
        ),
        peer(
            "boto3-write",
            "boto3 batch writes, 16 threads, gzip 6",
            WRITE,
            &boto3,
            &["python3", &script("boto3_write.py"), &half, &part, "20000000"],
        ),
    ]
}

fn clear(folder: &Path) -> std::io::Result<()> {
    std::fs::remove_dir_all(folder)?;
    std::fs::create_dir(folder)
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn is_installed(peer: &Peer) -> bool {
    let [program, rest @ ..] = peer.probe.as_slice() else { return false };
    let status = Command::new(program)
        .args(rest)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .envs(peer.variables.iter().map(|(name, value)| (*name, value)))
        .status();
    status.is_ok_and(|status| status.success())
}
