//! Stories of a run: messages that come in any order, late, twice or to two workers at once; workers that die at any
//! call, calls that go wrong; items, tables and copies that others change meanwhile. After every step every rule of the
//! bucket and of the copies holds, and every story comes to a good end.

mod chronicle;
mod director;
mod rules;
mod stage;
mod step;

use proptest::test_runner::{Config, TestCaseError, TestRunner};
use tokio::runtime::Builder;

use self::stage::Stage;
use self::step::{Story, story};

/// How long a story that ends badly is made shorter.
const MOST_SHRINKING_MS: u32 = 60_000;

/// How many stories are told when nobody asks for more (`PROPTEST_CASES`).
const STORIES: u32 = 16;

#[test]
fn whatever_happens_to_a_run_no_rule_is_broken_and_the_next_run_makes_good() {
    let mut config =
        Config { failure_persistence: None, max_shrink_time: MOST_SHRINKING_MS, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = STORIES;
    }
    let told = TestRunner::new(config).run(&story(), |story| tell(&story));
    if let Err(failure) = told {
        panic!("{failure}");
    }
}

/// Plays a story from its beginning until nothing is left to do.
fn tell(story: &Story) -> Result<(), TestCaseError> {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let told = runtime.block_on(async {
        let mut stage = Stage::set(story).await;
        for (number, step) in story.steps.iter().enumerate() {
            stage.play(step).await;
            stage.look().map_err(|broken| format!("after step {number}, {step:?}: {broken}"))?;
        }
        stage.come_to_an_end().await
    });
    runtime.shutdown_background();
    told.map_err(|broken: String| TestCaseError::fail(broken))
}
