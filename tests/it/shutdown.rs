//! Signals: the first asks, the second insists, and whatever happens another worker can go on.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use loopback_aws::sample::large;
use loopback_aws::{BACKUP_ACCOUNT, Fault};

use crate::harness::{Started, World, table};

/// More than a job needs to come to its next stop, far less than the run needs to its end.
const SOON: Duration = Duration::from_secs(10);

/// A world in which each page and each batch takes its time, so that there is always something in the middle.
async fn slow_world() -> World {
    let world = World::with(vec![large(3000)]).await;
    world.aws.set_fault(|call| match call.action.as_str() {
        "Scan" => Some(Fault::Delay(Duration::from_millis(300))),
        "BatchWriteItem" => Some(Fault::Delay(Duration::from_millis(100))),
        _ => None,
    });
    world
}

/// Waits until `calls` calls of an action have been made.
async fn until_called(world: &World, action: &str, calls: usize) {
    let made = |world: &World| world.aws.calls().iter().filter(|call| call.action == action).count();
    world.until(action, |world| made(world) >= calls).await;
}

fn in_flight(world: &World) -> Vec<(&'static str, usize)> {
    let queues = ["trigger", "export", "provision", "write"];
    let of = |name: &&'static str| {
        let queue = world.aws.queue(BACKUP_ACCOUNT, &format!("dynamodb-backup-{name}"));
        (*name, queue.in_flight())
    };
    queues.iter().map(of).filter(|(_, count)| *count > 0).collect()
}

/// Another worker brings the run to its end, and the copy is equal to its source.
async fn assert_another_worker_finishes(world: &World) {
    world.aws.clear_fault();
    let worker = world.start(&["worker"]);
    world.until("the run to finish", |world| world.object("/report.json").is_some()).await;
    let report = world.object("/report.json").expect("it is there");
    assert_eq!(report["outcome"], "complete", "{report}");
    let exported = report["tables"].as_array().expect("a list").iter().map(|it| &it["items_exported"]);
    assert!(exported.into_iter().any(|items| *items == 3000), "{report}");
    world.assert_copied().await;
    assert_eq!(world.bucket().overwritten(), Vec::<String>::new());
    world.until("the queues to be empty", |world| world.messages_left() == 0).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_told_to_stop_gives_every_message_back_and_another_finishes() {
    for (action, calls) in [("Scan", 2), ("BatchWriteItem", 9)] {
        let world = slow_world().await;
        world.send("trigger", "{}");
        let worker = world.start(&["worker"]);
        until_called(&world, action, calls).await;
        let told = Instant::now();
        worker.signal("TERM");
        let ended = worker.end().await.expect_code(0);
        assert!(told.elapsed() < SOON, "it took {:?} during {action}", told.elapsed());
        assert!(ended.stderr.contains("every message is settled or given back"), "{}", ended.stderr);
        assert_eq!(in_flight(&world), [], "during {action}: {}", ended.stderr);
        assert!(world.object("/report.json").is_none(), "there is work left");
        assert_another_worker_finishes(&world).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_worker_stops_at_once() {
    let world = World::new().await;
    let worker = world.start(&["worker"]);
    until_called(&world, "ReceiveMessage", 4).await;
    let told = Instant::now();
    worker.signal("INT");
    worker.end().await.expect_code(0);
    assert!(told.elapsed() < SOON, "it took {:?}", told.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_interrupted_exits_with_130_and_a_worker_finishes_it() {
    let world = slow_world().await;
    let run = world.start(&["run"]);
    until_called(&world, "BatchWriteItem", 5).await;
    run.signal("INT");
    let ended = run.end().await.expect_code(130);
    assert!(ended.stderr.contains("`status` shows it"), "{}", ended.stderr);
    assert_eq!(ended.stdout, "", "there is no outcome yet");
    assert_eq!(in_flight(&world), []);
    assert_another_worker_finishes(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_exits_at_once_with_130_and_a_worker_finishes_the_run() {
    let mut world = slow_world().await;
    // What is left in flight comes back after this.
    world.set("BACKUP_VISIBILITY_TIMEOUT", "10s");
    world.aws.set_fault(|call| match call.action.as_str() {
        "Scan" | "ChangeMessageVisibility" => Some(Fault::Delay(Duration::from_secs(20))),
        _ => None,
    });
    world.send("trigger", "{}");
    let worker = world.start(&["worker"]);
    until_called(&world, "Scan", 1).await;
    worker.signal("TERM");
    until_called(&world, "ChangeMessageVisibility", 1).await;
    // The first signal is being heeded: giving a message back takes 20 s, which is not waited for.
    let told = Instant::now();
    worker.signal("TERM");
    let ended = worker.end().await.expect_code(130);
    assert!(told.elapsed() < Duration::from_secs(5), "it took {:?}", told.elapsed());
    assert!(ended.stderr.contains("exiting at once"), "{}", ended.stderr);
    assert_another_worker_finishes(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_do_not_stop_within_the_grace_period_are_left_behind() {
    let mut world = slow_world().await;
    world.set("BACKUP_VISIBILITY_TIMEOUT", "10s");
    // A job that is cut short gives its message back, which takes too long.
    world.aws.set_fault(|call| match call.action.as_str() {
        "Scan" | "ChangeMessageVisibility" => Some(Fault::Delay(Duration::from_secs(20))),
        _ => None,
    });
    world.send("trigger", "{}");
    let worker = world.start(&["worker", "--shutdown-grace", "1s"]);
    until_called(&world, "Scan", 1).await;
    let told = Instant::now();
    worker.signal("TERM");
    let ended = worker.end().await.expect_code(0);
    assert!(told.elapsed() < Duration::from_secs(8), "it took {:?}", told.elapsed());
    assert!(ended.stderr.contains("their messages come back"), "{}", ended.stderr);
    assert_another_worker_finishes(&world).await;
}

/// More tables than `slow_world` has, so that every slot has a job.
async fn busy_world() -> World {
    let world = slow_world().await;
    world.seed((0..5).map(|number| table(&format!("table-{number}"), 300)).collect()).await;
    world
}

/// The kernel discards a signal that PID 1 has no handler for: a container would be killed after its grace.
#[tokio::test(flavor = "multi_thread")]
async fn as_pid_1_under_load_it_gives_every_message_back_on_sigterm_and_another_worker_finishes() {
    let world = busy_world().await;
    world.send("trigger", "{}");
    let worker = Contained::start(&world, &["worker"]);
    until_called(&world, "BatchWriteItem", 9).await;
    world
        .until("several jobs at once", |world| {
            in_flight(world).iter().map(|(_, jobs)| jobs).sum::<usize>() > 4
        })
        .await;
    let told = Instant::now();
    worker.terminate();
    let ended = worker.outside.end().await.expect_code(0);
    assert!(told.elapsed() < SOON, "it took {:?}", told.elapsed());
    assert!(ended.stderr.contains("every message is settled or given back"), "{}", ended.stderr);
    assert_eq!(in_flight(&world), [], "{}", ended.stderr);
    assert!(world.messages_left() > 0 && world.object("/report.json").is_none(), "there is work left");
    assert_another_worker_finishes(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn as_pid_1_it_exits_at_once_with_130_on_a_second_sigterm_and_another_worker_finishes() {
    let mut world = busy_world().await;
    // What is left in flight comes back after this.
    world.set("BACKUP_VISIBILITY_TIMEOUT", "10s");
    world.aws.set_fault(|call| match call.action.as_str() {
        "Scan" | "ChangeMessageVisibility" => Some(Fault::Delay(Duration::from_secs(20))),
        _ => None,
    });
    world.send("trigger", "{}");
    let worker = Contained::start(&world, &["worker", "--shutdown-grace", "60s"]);
    until_called(&world, "Scan", 4).await;
    worker.terminate();
    until_called(&world, "ChangeMessageVisibility", 1).await;
    let told = Instant::now();
    worker.terminate();
    let ended = worker.outside.end().await.expect_code(130);
    assert!(told.elapsed() < Duration::from_secs(2), "it took {:?}", told.elapsed());
    assert!(ended.stderr.contains("come back after their visibility timeout"), "{}", ended.stderr);
    assert!(world.object("/report.json").is_none(), "there is work left");
    assert_another_worker_finishes(&world).await;
}

/// What starts a command in a PID namespace of its own: as root, or as a user who may be root in one.
fn unshare() -> Command {
    let of_user = ["--user", "--map-root-user"];
    let in_namespace = |more: &[&str]| {
        let mut unshare = Command::new("unshare");
        unshare.args(more).args(["--pid", "--fork", "--mount-proc"]);
        unshare
    };
    let is_allowed =
        |more: &[&str]| in_namespace(more).arg("true").output().is_ok_and(|output| output.status.success());
    let more = [&[][..], &of_user].into_iter().find(|more| is_allowed(more));
    in_namespace(more.expect("a PID namespace can be made: allow unprivileged ones, or be root"))
}

/// The program as it is in a container: PID 1 of a namespace.
struct Contained {
    /// `unshare`, which ends as the program does.
    outside: Started,
}

impl Contained {
    fn start(world: &World, arguments: &[&str]) -> Self {
        let program = world.command(arguments);
        let mut inside = unshare();
        inside.arg(program.get_program()).args(program.get_args());
        inside.env_clear().envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        inside.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { outside: Started::of(inside.spawn().expect("unshare is installed")) }
    }

    /// Sends SIGTERM to the program, which has made a call already.
    fn terminate(&self) {
        let children = format!("/proc/{0}/task/{0}/children", self.outside.id());
        let children = std::fs::read_to_string(children).expect("unshare has a child");
        let first = children.split_whitespace().next().expect("the program runs");
        let status = std::fs::read_to_string(format!("/proc/{first}/status")).expect("the program runs");
        let inner = status.lines().find(|line| line.starts_with("NSpid:")).expect("the kernel tells");
        assert!(inner.ends_with("\t1"), "it is PID 1 of its namespace: {inner}");
        assert!(Command::new("kill").args(["-TERM", first]).status().expect("kill is installed").success());
    }
}
