//! Names in the bucket: the first line of the input is the id of a run, the second the name of a table, and all others
//! are keys below the table's `state/`.

use std::collections::BTreeSet;

use dynamodb_backup::archive::TableState;
use dynamodb_backup::archive::layout::{Layout, RunId, Stage, TableFolder};
use dynamodb_backup::config::Compression;
use dynamodb_backup::table::TableName;

use super::first_line;

/// A run has one id, a key lies where it should, and a state says nothing that no marker of ours does.
pub fn check(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let (run, rest) = first_line(text);
    let (table, markers) = first_line(rest);
    let run = RunId::parse(run).inspect(check_run).unwrap_or_else(|_| a_run());
    let table = TableName::parse(table).inspect(check_table).unwrap_or_else(|_| a_table());
    let folder = Layout::new("a/prefix").table_folder(&run, &table);
    check_keys(&folder, &run, &format!("a/prefix/runs/{run}/tables/{table}/"));
    check_state(markers, &folder);
}

fn a_run() -> RunId {
    RunId::parse("20260131T020000Z-1a2b3c4d").expect("it is legal")
}

fn a_table() -> TableName {
    TableName::parse("orders").expect("it is legal")
}

/// An id is the one that its time and the end of it make, so that ids sort as their times do.
fn check_run(run: &RunId) {
    let (time, end) = run.as_str().split_once('-').expect("an id has two parts");
    assert_eq!(RunId::floor(run.time()), time);
    assert!(end.len() == 8 && !end.contains('-'));
}

fn check_table(table: &TableName) {
    let json = serde_json::to_string(table).expect("a name is text");
    assert_eq!(json, format!("\"{table}\""), "a name needs no escapes");
    assert!(!table.as_str().contains('/') && table.as_str() != "..");
}

fn check_keys(folder: &TableFolder, run: &RunId, base: &str) {
    let keys = [
        folder.table(),
        folder.started(),
        folder.manifest_files(),
        folder.manifest_summary(),
        folder.part(0, 0, Compression::default()),
        folder.exported(0),
        folder.provisioned(),
        folder.written(0),
    ];
    assert!(keys.iter().all(|key| key.starts_with(base)), "{keys:?}");
    let (milliseconds, hex) = folder.export_id().rsplit_once('-').expect("an export id has two parts");
    assert!(
        milliseconds.parse() == Ok(run.time().as_millisecond()) && hex.len() == 8,
        "{milliseconds}-{hex}"
    );
}

fn check_state(markers: &str, folder: &TableFolder) {
    let state = TableState::of(markers.lines());
    let there: BTreeSet<String> = markers.lines().map(|name| format!("{}{name}", folder.state())).collect();
    let has = |key: String| assert!(there.contains(&key), "{key} is not there");
    let has_one_below = |key: String| {
        let found = there.range(key.clone()..).next().is_some_and(|found| found.starts_with(&key));
        assert!(found, "nothing is below {key}");
    };
    let each =
        |segments: &BTreeSet<u32>, has: &dyn Fn(u32)| segments.iter().for_each(|segment| has(*segment));
    assert_eq!(state.provisioned, there.contains(&folder.provisioned()));
    assert_eq!(state.deletions_decided, there.contains(&folder.deletions()));
    assert_eq!(state.deletes_enqueued, there.contains(&folder.deletes_enqueued()));
    each(&state.exported, &|segment| has(folder.exported(segment)));
    each(&state.written, &|segment| has(folder.written(segment)));
    each(&state.deleted, &|segment| has(folder.deleted(segment)));
    each(&state.begun_writes, &|segment| has_one_below(folder.write_attempts(segment)));
    each(&state.begun_deletes, &|segment| {
        has_one_below(folder.deleted(segment).trim_end_matches(".json").to_owned() + "-");
    });
    state.failed.iter().for_each(|(stage, segment)| has(folder.failed(*stage, *segment)));
    state.last_attempts.iter().for_each(|(stage, segment)| has(folder.last_attempt(*stage, *segment)));
    assert!(state.writes_settled() <= there.len());
    let settled = state
        .written
        .iter()
        .all(|segment| state.is_done(Stage::Write, *segment) || state.begun_deletes.contains(segment));
    assert!(settled, "a segment that is written is done unless its deletion has begun");
}
