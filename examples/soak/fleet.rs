//! Workers as processes: started, killed, paused, and replaced.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use loopback_aws::{BACKUP_ACCOUNT, Call, Door, Fault, FaultPlan, Loopback, QueueView};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::mpsc;

use crate::check;
use crate::points::{Blow, Points};

/// A job is tried five times. Whoever holds one for the fourth time is spared, by kills and by faults: a message
/// that outlives five workers is a poisonous one, and taken out of the queue.
const SPARED_RECEIVES: u64 = 4;

/// How long messages stay hidden whose receiver was killed before he got them.
const ABSENCE: Duration = Duration::from_millis(150);

/// How long a worker is paused. Its messages are given back after a third of it.
pub(crate) const PAUSE: Duration = Duration::from_millis(600);

const TRIGGER_QUEUE: &str = "dynamodb-backup-trigger";

/// How the program is started.
#[derive(Clone)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    /// What comes before the command.
    pub(crate) first: Vec<String>,
}

/// One process of the program, which comes in by a door of its own.
struct Process {
    child: Child,
    door: Door,
    command: &'static str,
    output: PathBuf,
    /// Triggers that had been sent when it was started.
    triggers_before: u64,
}

/// What has become of all processes so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) started: u64,
    pub(crate) kills: u64,
    pub(crate) pauses: u64,
    /// Processes that ended by themselves, with what they said last.
    pub(crate) gave_up: Vec<String>,
    /// The most memory that any process has had resident; `None` where the kernel does not tell.
    pub(crate) peak_rss_bytes: Option<u64>,
}

/// What `run` has come to.
#[derive(Debug)]
pub(crate) struct RunEnded {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
}

#[derive(Default)]
struct State {
    processes: Vec<Process>,
    tally: Tally,
}

/// The workers of a trial.
pub(crate) struct Fleet {
    aws: Loopback,
    program: Program,
    environment: Vec<(String, String)>,
    folder: PathBuf,
    state: Arc<Mutex<State>>,
    blows: mpsc::UnboundedReceiver<Struck>,
}

/// A worker that was hit, to be followed up.
enum Struck {
    /// With the process, where its door is to stay open for a while.
    Killed(Option<Box<Process>>),
    Paused {
        door: u32,
    },
}

impl Fleet {
    /// A fleet without workers. From now on, calls go wrong by `plan` and workers are hit by `points`.
    pub(crate) fn new(
        aws: &Loopback,
        program: Program,
        environment: Vec<(String, String)>,
        folder: &Path,
        plan: FaultPlan,
        points: Arc<Mutex<Points>>,
    ) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let (sender, blows) = mpsc::unbounded_channel();
        let workers = Arc::clone(&state);
        let triggers = aws.queue(BACKUP_ACCOUNT, TRIGGER_QUEUE);
        let queues = check::QUEUES.map(|name| format!("dynamodb-backup-{name}"));
        let queues = queues.map(|name| (aws.queue(BACKUP_ACCOUNT, &name), name));
        aws.set_fault(move |call| {
            let sent = || triggers.sent();
            // What a dying receiver takes with it counts as well.
            let is_worn = |queue: &QueueView| {
                queue.kept().iter().any(|message| message.receives + 1 >= SPARED_RECEIVES)
            };
            let is_receive = call.action == "ReceiveMessage";
            if is_receive && queues.iter().any(|(queue, name)| *name == call.resource && is_worn(queue)) {
                return None;
            }
            match strike(&workers, &mut lock(&points), call, sent, &sender) {
                Stroke::Spared => None,
                Stroke::Missed => plan.strike(call),
                Stroke::Hit(fault) => fault,
            }
        });
        Self { aws: aws.clone(), program, environment, folder: folder.to_owned(), state, blows }
    }

    /// Starts `worker` or `run`.
    pub(crate) async fn start(&self, command: &'static str) -> Result<()> {
        let door = self.aws.door().await?;
        let output = self.folder.join(format!("{:03}-{command}", door.number()));
        let mut started = Command::new(&self.program.path);
        started.args(&self.program.first).arg(command);
        if command == "run" {
            started.args(["--output", "json"]);
        }
        started.env_clear().envs(door.environment()).envs(self.environment.iter().cloned());
        started.stdin(Stdio::null());
        started.stdout(File::create(output.with_extension("out"))?);
        started.stderr(File::create(output.with_extension("err"))?);
        let triggers_before = self.aws.queue(BACKUP_ACCOUNT, TRIGGER_QUEUE).sent();
        let child = started.spawn().context("start the program")?;
        let mut state = lock(&self.state);
        state.tally.started += 1;
        state.processes.push(Process { child, door, command, output, triggers_before });
        Ok(())
    }

    /// Replaces those that were killed or have given up, and wakes those that were paused; gives what `run` has come
    /// to, when it has ended. To be called often.
    pub(crate) async fn look_after(&mut self) -> Result<Option<RunEnded>> {
        while let Ok(struck) = self.blows.try_recv() {
            match struck {
                Struck::Killed(process) => {
                    self.start("worker").await?;
                    tokio::spawn(async move {
                        tokio::time::sleep(ABSENCE).await;
                        drop(process);
                    });
                }
                Struck::Paused { door } => {
                    tokio::spawn(wake(Arc::clone(&self.state), door));
                }
            }
        }
        let mut run = None;
        for ended in self.ended()? {
            let stdout = read(&ended.output, "out");
            // One that has nothing to tell gave up before its run began.
            if ended.command == "run" && !stdout.is_empty() {
                run = Some(RunEnded { code: ended.code, stdout });
            } else {
                let said = read(&ended.output, "err");
                let said = said.lines().last().unwrap_or("nothing");
                let what = format!("{} exited with {:?}: {said}", ended.command, ended.code);
                lock(&self.state).tally.gave_up.push(what);
                self.start("worker").await?;
            }
        }
        Ok(run)
    }

    /// Whether `run` is still there.
    pub(crate) fn has_run(&self) -> bool {
        lock(&self.state).processes.iter().any(|process| process.command == "run")
    }

    /// Takes out those processes that have ended by themselves.
    fn ended(&self) -> Result<Vec<Ended>> {
        let mut state = lock(&self.state);
        let mut ended = Vec::new();
        for at in (0..state.processes.len()).rev() {
            if let Some(status) = state.processes[at].child.try_wait()? {
                let process = state.processes.remove(at);
                ended.push(Ended { command: process.command, code: status.code(), output: process.output });
            }
        }
        Ok(ended)
    }

    /// Asks every process to stop, and gives what did not exit with 0.
    pub(crate) async fn stop(self) -> Result<(Tally, Vec<String>)> {
        let processes = {
            let mut state = lock(&self.state);
            for at in 0..state.processes.len() {
                let child = &state.processes[at].child;
                let (id, peak) = (pid(child), peak_rss_bytes(child.id()));
                state.tally.saw(peak);
                kill(id, Signal::SIGCONT).and_then(|()| kill(id, Signal::SIGTERM)).ok();
            }
            std::mem::take(&mut state.processes)
        };
        let mut wrong = Vec::new();
        for Process { mut child, command, output, door, .. } in processes {
            let status = tokio::task::spawn_blocking(move || child.wait()).await??;
            drop(door);
            // One that had just been started has no handler for the signal yet.
            let was_starting = status.signal().is_some() && !read(&output, "err").contains("worker started");
            if !status.success() && !was_starting {
                wrong.push(format!(
                    "{command} was asked to stop and ended with {status}: {}",
                    output.display()
                ));
            }
        }
        wrong.extend(panics(&self.folder)?);
        let tally = lock(&self.state).tally.clone();
        Ok((tally, wrong))
    }
}

/// Panics of any process. A job that panics is tried again, so that its run may be complete all the same.
fn panics(folder: &Path) -> Result<Vec<String>> {
    let mut panics = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let said = std::fs::read_to_string(&path).unwrap_or_default();
        let of_file = said.lines().filter(|line| line.contains("panicked at"));
        panics.extend(of_file.map(|line| format!("{}: {line}", path.display())));
    }
    Ok(panics)
}

struct Ended {
    command: &'static str,
    code: Option<i32>,
    output: PathBuf,
}

/// Nobody outlives the trial.
impl Drop for Fleet {
    fn drop(&mut self) {
        self.aws.clear_fault();
        for process in &mut lock(&self.state).processes {
            process.child.kill().and_then(|()| process.child.wait().map(drop)).ok();
        }
    }
}

/// What a call has brought its worker.
enum Stroke {
    /// Nothing may happen to it now.
    Spared,
    Missed,
    /// The worker was hit, and this becomes of the call.
    Hit(Option<Fault>),
}

/// Hits the worker that makes a call, if a point is due at it.
fn strike(
    state: &Mutex<State>,
    points: &mut Points,
    call: &Call,
    triggers: impl Fn() -> u64,
    struck: &mpsc::UnboundedSender<Struck>,
) -> Stroke {
    let mut state = lock(state);
    // A call of a worker that is dead already, or of the trial itself.
    let at = state.processes.iter().position(|process| process.door.number() == call.door);
    let Some(at) = at else { return Stroke::Spared };
    if state.processes[at].door.most_receives() >= SPARED_RECEIVES {
        return Stroke::Spared;
    }
    // Without its trigger there would be no run.
    let process = &state.processes[at];
    let may_be_hit = || process.command != "run" || triggers() > process.triggers_before;
    let Some(point) = points.due(call, may_be_hit) else { return Stroke::Missed };
    if point.blow == Blow::Pause {
        kill(pid(&process.child), Signal::SIGSTOP).ok();
        state.tally.pauses += 1;
        struck.send(Struck::Paused { door: call.door }).ok();
        return Stroke::Hit(None);
    }
    let mut process = state.processes.remove(at);
    let peak = peak_rss_bytes(process.child.id());
    state.tally.saw(peak);
    state.tally.kills += 1;
    process.child.kill().and_then(|()| process.child.wait()).ok();
    // What is received takes its messages to the dead; nothing else is.
    let is_receive = call.action == "ReceiveMessage" && point.blow == Blow::KillAfter;
    struck.send(Struck::Killed(is_receive.then(|| Box::new(process)))).ok();
    Stroke::Hit(Some(if point.blow == Blow::KillBefore { Fault::Reset } else { Fault::LostAnswer }))
}

/// Gives a paused worker's messages to others, and then lets it go on.
async fn wake(state: Arc<Mutex<State>>, door: u32) {
    tokio::time::sleep(PAUSE / 3).await;
    let with = |act: &dyn Fn(&Process)| {
        let state = lock(&state);
        state.processes.iter().filter(|process| process.door.number() == door).for_each(act);
    };
    with(&|process| process.door.give_messages_back());
    tokio::time::sleep(PAUSE * 2 / 3).await;
    with(&|process| {
        kill(pid(&process.child), Signal::SIGCONT).ok();
    });
}

impl Tally {
    fn saw(&mut self, peak: Option<u64>) {
        self.peak_rss_bytes = self.peak_rss_bytes.max(peak);
    }
}

/// The most memory a process has had resident (proc(5), `VmHWM`).
fn peak_rss_bytes(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("process ids are positive"))
}

fn read(output: &Path, extension: &str) -> String {
    std::fs::read_to_string(output.with_extension(extension)).unwrap_or_default()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
