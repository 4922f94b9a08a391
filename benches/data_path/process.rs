//! Processes of the bench: the server, and clients whose cost is measured one at a time.
//!
//! A client runs below a watcher, a process of its own with that one child: what the kernel then says of the
//! watcher's children is the client's cost, and that of everything it started. The watcher kills the client
//! when its own stdin is closed, so neither outlives the bench however that ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::server::{Pace, Report};
use crate::usage;

/// First arguments that say what a process of the bench is.
pub(crate) const AS_SERVER: &str = "as-server";
pub(crate) const AS_WATCHER: &str = "as-watcher";
pub(crate) const AS_CLIENT: &str = "as-client";

/// How much of a client's output is kept, from its end.
const KEPT_OUTPUT_BYTES: usize = 4096;

/// A server that runs until this is dropped.
pub(crate) struct ServerProcess {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    pub(crate) endpoint: String,
}

impl ServerProcess {
    pub(crate) fn start(pace: &Pace) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args([AS_SERVER, &serde_json::to_string(pace)?])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start the server")?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().context("the server has a stdout")?;
        let mut server = Self { child, stdin, stdout: BufReader::new(stdout), endpoint: String::new() };
        server.endpoint = server.line()?;
        Ok(server)
    }

    /// What came since the last report.
    pub(crate) fn report(&mut self) -> Result<Report> {
        self.stdin.as_mut().context("the server listens")?.write_all(b"report\n")?;
        Ok(serde_json::from_str(&self.line()?)?)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        ensure!(line.ends_with('\n'), "the server has stopped");
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // It ends by itself; that it cannot be waited for changes nothing.
        let _ = self.child.wait();
    }
}

/// What a client has cost, and the end of what it said.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) cpu_seconds: f64,
    pub(crate) peak_rss_bytes: u64,
    pub(crate) wall_seconds: f64,
    /// None when its time was over.
    pub(crate) exit_code: Option<i32>,
    pub(crate) stdout_bytes: u64,
    pub(crate) stdout: String,
}

/// A client that is running below its watcher; it is killed when this is dropped.
pub(crate) struct Watched {
    watcher: Child,
    /// The watcher kills its client when this is closed.
    stdin: Option<ChildStdin>,
}

impl Watched {
    /// Starts a command with nothing in its environment but these variables, for so long at most.
    pub(crate) fn start(
        command: &[String],
        environment: &[(String, String)],
        limit: Duration,
    ) -> Result<Self> {
        let mut watcher = Command::new(std::env::current_exe()?);
        watcher.args([AS_WATCHER, &limit.as_secs().to_string()]).args(command);
        watcher.env_clear().envs(environment.iter().cloned());
        let mut watcher =
            watcher.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("start a watcher")?;
        Ok(Self { stdin: watcher.stdin.take(), watcher })
    }

    /// Waits for the client's end.
    pub(crate) fn end(mut self) -> Result<Measured> {
        let mut output = String::new();
        self.watcher.stdout.take().context("a watcher has a stdout")?.read_to_string(&mut output)?;
        ensure!(self.watcher.wait()?.success(), "the client could not be run");
        Ok(serde_json::from_str(&output)?)
    }

    /// Kills the client.
    pub(crate) fn kill(mut self) -> Result<Measured> {
        drop(self.stdin.take());
        self.end()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // It ends by itself; that it cannot be waited for changes nothing.
        let _ = self.watcher.wait();
    }
}

/// The watcher of one client: `arguments` are its time in seconds and its command.
pub(crate) fn watch(arguments: &[String]) -> Result<()> {
    let [seconds, program, rest @ ..] = arguments else { bail!("a watcher needs a time and a command") };
    let limit = Duration::from_secs(seconds.parse()?);
    let orphaned = closing_of_stdin();
    let started = Instant::now();
    let mut client = Command::new(program)
        .args(rest)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("start")?;
    let output = end_of(client.stdout.take().context("the client has a stdout")?);
    let exit_code = loop {
        if let Some(status) = client.try_wait()? {
            break status.code();
        }
        let is_over = started.elapsed() > limit;
        if is_over || orphaned.recv_timeout(Duration::from_millis(1)) != Err(RecvTimeoutError::Timeout) {
            client.kill()?;
            client.wait()?;
            break None;
        }
    };
    let wall_seconds = started.elapsed().as_secs_f64();
    let usage = usage::of_ended_children()?;
    // A client that was killed may have left a child that still holds its stdout.
    let (stdout_bytes, stdout) = output.recv_timeout(Duration::from_secs(2)).unwrap_or_default();
    let measured = Measured {
        cpu_seconds: usage.cpu_seconds,
        peak_rss_bytes: usage.peak_rss_bytes,
        wall_seconds,
        exit_code,
        stdout_bytes,
        stdout,
    };
    println!("{}", serde_json::to_string(&measured)?);
    Ok(())
}

/// Receives a message when whoever started this process is gone.
fn closing_of_stdin() -> Receiver<()> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        // An error is as good as the end.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = sender.send(());
    });
    receiver
}

/// Counts what a client says, and keeps the end of it.
fn end_of(mut stdout: impl Read + Send + 'static) -> Receiver<(u64, String)> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let (mut total, mut end, mut buffer) = (0, Vec::new(), vec![0; 1 << 16]);
        while let Ok(read @ 1..) = stdout.read(&mut buffer) {
            total += read as u64;
            end.extend_from_slice(&buffer[..read]);
            end.drain(..end.len().saturating_sub(KEPT_OUTPUT_BYTES));
        }
        // The watcher may have stopped waiting.
        let _ = sender.send((total, String::from_utf8_lossy(&end).into_owned()));
    });
    receiver
}
