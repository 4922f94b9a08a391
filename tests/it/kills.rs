//! Workers killed and paused at moments that come from a seed, while the calls they make go wrong: a few seeds of
//! `cargo run --release --example soak`.

use std::path::PathBuf;

use crate::fleet::Program;
use crate::trial;

async fn assert_nothing_is_lost(seed: u64) {
    let program = Program { path: PathBuf::from(env!("CARGO_BIN_EXE_dynamodb-backup")), first: Vec::new() };
    let verdict = trial::play(seed, &program, false).await.expect("the trial can be made");
    assert!(verdict.is_good(), "seed {seed}: {verdict:#?}");
    assert!(verdict.findings.items > 0, "there was something to back up");
    assert!(verdict.tally.kills > 0, "somebody was killed: {:?}", verdict.tally);
    assert!(verdict.faults.values().sum::<u64>() > 0, "something went wrong: {:?}", verdict.faults);
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_killed_again_and_again_lose_nothing_by_the_second_seed() {
    assert_nothing_is_lost(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_killed_again_and_again_lose_nothing_by_the_fourth_seed() {
    assert_nothing_is_lost(4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_killed_again_and_again_lose_nothing_by_the_seventh_seed() {
    assert_nothing_is_lost(7).await;
}
