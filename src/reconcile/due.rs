//! What is due: pure functions of a table's plan, its state, and what has just happened to it.

use std::ops::Range;

use crate::archive::TableState;
use crate::archive::layout::Stage;
use crate::archive::marker::{Decision, Deletions};
use crate::archive::record::{Outcome, Run, Table};
use crate::message::{Job, SegmentJob, TableJob};
use crate::plan::Plan;

/// What has just happened to a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The trigger planned it, or somebody asks for a fresh look: everything missing and due is enqueued.
    Started,
    Exported(u32),
    Provisioned,
    Written(u32),
    /// The extra items of a segment are deleted.
    Deleted(u32),
    /// A job failed for good.
    Failed(Stage, u32),
    /// The run is about to be closed: nothing more is enqueued.
    Closing,
}

/// The jobs that are missing and due after an event.
///
/// Exports and writes go through the lanes alike: of each lane, one export and one write are under way. Each
/// write has one job that enqueues it, whether it can begin or not: the export of its segment where that begins
/// a lane, and the write before it elsewhere. If two looked whether the other is done, both might see that it
/// is, and enqueue it twice. A write that has begun has its message already: a second one would follow it
/// through the whole lane.
pub(super) fn due(run: &Run, table: &Table, state: &TableState, event: Event) -> Vec<Job> {
    let segment_job = |segment| SegmentJob::new(&run.run, &table.name, segment);
    let export = |segment| Job::Export(segment_job(segment));
    let write = |segment| Job::Write(segment_job(segment));
    let provision = || Job::Provision(TableJob::new(&run.run, &table.name));
    let plan = &table.plan;
    match event {
        Event::Started => {
            let wanted = (!state.provisioned && !state.has_failed(Stage::Provision)).then(provision);
            let exports = next_exports(plan, state).into_iter().map(export);
            wanted.into_iter().chain(exports).chain(next_writes(plan, state).map(write)).collect()
        }
        Event::Exported(segment) => {
            let next = plan.next_in_lane(segment).filter(|next| !state.exported.contains(next));
            let first = (plan.begins_lane(segment) && !state.has_begun_write(segment)).then_some(segment);
            next.map(export).into_iter().chain(first.map(write)).collect()
        }
        Event::Written(segment) | Event::Failed(Stage::Write, segment) => {
            let next = plan.next_in_lane(segment).filter(|next| !state.has_begun_write(*next));
            next.into_iter().map(write).collect()
        }
        Event::Provisioned | Event::Deleted(_) | Event::Failed(..) | Event::Closing => Vec::new(),
    }
}

/// The deletions that are missing and due after an event, once all segments are written: they go through the
/// lanes as writes do, past the segments without extra items. `starts` is whether it is for us to enqueue the first of
/// every lane. They are jobs of the write queue, which look for
/// themselves what is left to do.
pub(super) fn due_deletions(
    run: &Run,
    table: &Table,
    state: &TableState,
    deletions: Option<&Deletions>,
    event: Event,
    starts: bool,
) -> Vec<Job> {
    let Some(deletions) = deletions.filter(|it| it.decision == Decision::Delete) else { return Vec::new() };
    let plan = &table.plan;
    let next = |mut lane: Range<u32>| lane.find(|segment| is_pending(state, deletions, *segment));
    let first_of_lanes = || (0..plan.lanes).filter_map(|lane| next(plan.lane(lane))).collect();
    let segments: Vec<u32> = match event {
        Event::Closing => Vec::new(),
        Event::Started => first_of_lanes(),
        _ if starts => first_of_lanes(),
        Event::Deleted(segment) | Event::Failed(Stage::Write, segment) => {
            let next = next(segment + 1..plan.lane(plan.lane_of(segment)).end);
            next.filter(|next| !state.begun_deletes.contains(next)).into_iter().collect()
        }
        _ => Vec::new(),
    };
    let job = |segment| Job::Write(SegmentJob::new(&run.run, &table.name, segment));
    segments.into_iter().map(job).collect()
}

/// Whether a segment has extra items that are to be deleted and are not.
fn is_pending(state: &TableState, deletions: &Deletions, segment: u32) -> bool {
    deletions.segments.binary_search(&segment).is_ok()
        && !state.deleted.contains(&segment)
        && !state.failed.contains(&(Stage::Write, segment))
}

/// The first segment of each lane that is not exported.
fn next_exports(plan: &Plan, state: &TableState) -> Vec<u32> {
    let lanes = (0..plan.lanes).map(|lane| plan.lane(lane));
    lanes.filter_map(|mut lane| lane.find(|segment| !state.exported.contains(segment))).collect()
}

/// The first segment of each lane that is neither written nor refused, if it has been due for its write: the one
/// that begins a lane once it is exported, any other once the one before it is settled. One of each lane, so
/// that writes are spread over the partitions of the target.
fn next_writes(plan: &Plan, state: &TableState) -> impl Iterator<Item = u32> {
    let lanes = (0..plan.lanes).map(|lane| plan.lane(lane));
    lanes
        .filter_map(|mut lane| lane.find(|segment| !state.is_write_settled(*segment)))
        .filter(|segment| !plan.begins_lane(*segment) || state.exported.contains(segment))
}

pub(super) fn is_exported(plan: &Plan, state: &TableState) -> bool {
    state.exported.len() == plan.segments as usize
}

/// Whether nothing is put into a copy any more: no archive without every segment, no writes without a target, and
/// otherwise every segment written or refused.
pub(super) fn is_written(plan: &Plan, state: &TableState) -> bool {
    if state.has_failed(Stage::Export) {
        return true;
    }
    let no_target = state.has_failed(Stage::Provision);
    is_exported(plan, state) && (no_target || state.writes_settled() == plan.segments as usize)
}

/// Whether nothing can happen any more to a table whose copy is written.
pub(super) fn is_over(state: &TableState, deletions: Option<&Deletions>) -> bool {
    let Some(deletions) = deletions.filter(|it| it.decision == Decision::Delete) else { return true };
    !deletions.segments.iter().any(|segment| is_pending(state, deletions, *segment))
}

/// The outcome of a table that is over.
pub(super) fn outcome(
    plan: &Plan,
    state: &TableState,
    deletions: Option<&Deletions>,
    items_failed: u64,
) -> Outcome {
    let all_written = state.written.len() == plan.segments as usize;
    let is_equal = deletions.is_none_or(|it| it.decision == Decision::Delete) && items_failed == 0;
    if !is_exported(plan, state) {
        Outcome::Failed
    } else if state.failures().next().is_none() && all_written && is_equal {
        Outcome::Complete
    } else {
        Outcome::Partial
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::archive::record::TableRecord;

    /// Seven segments in three lanes: 0 1, 2 3, 4 5 6.
    const PLAN: Plan = Plan {
        segments: 7,
        lanes: 3,
        part_bytes: 1,
        part_raw_bytes: 8,
        part_items: None,
        read_budget: None,
        write_budget: None,
    };

    fn state(markers: &[&str]) -> TableState {
        TableState::of(markers.iter().copied())
    }

    fn all(markers: impl Fn(u32) -> String) -> Vec<String> {
        (0..7).map(markers).collect()
    }

    fn with(markers: &[&str], more: &[Vec<String>]) -> TableState {
        let more = more.iter().flatten().map(String::as_str);
        TableState::of(markers.iter().copied().chain(more))
    }

    fn a_run() -> Run {
        let account = json!({"account_id": "222222222222", "region": "eu-west-1"});
        let source = json!({"name": "default", "role_arn": "arn:aws:iam::111111111111:role/source",
            "account_id": "111111111111", "region": "eu-west-1"});
        from(json!({"version": 1, "run": "20261123T191544Z-0e4b735c", "tool_version": "0.1.0",
            "source": source, "backup": account, "requested": {}, "consistent_read": false,
            "planned_at": "2026-11-23T19:15:44Z", "tables": ["orders"]}))
    }

    fn a_table() -> Table {
        let definition = json!({"TableName": "orders", "TableStatus": "ACTIVE",
            "TableArn": "arn:aws:dynamodb:eu-west-1:111111111111:table/orders",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}]});
        let record: TableRecord = from(json!({"version": 1, "table": "orders", "target": "orders",
            "plan": PLAN, "compression": {"codec": "zstd", "level": 1},
            "described_at": "2026-11-23T19:15:44Z", "definition": definition}));
        Table::try_from(record).unwrap()
    }

    fn from<T: serde::de::DeserializeOwned>(json: serde_json::Value) -> T {
        serde_json::from_str(&json.to_string()).unwrap()
    }

    fn writes(markers: &[&str]) -> Vec<u32> {
        next_writes(&PLAN, &state(markers)).collect()
    }

    fn due_writes(markers: &[&str], event: Event) -> Vec<u32> {
        let (run, table) = (a_run(), a_table());
        let jobs = due(&run, &table, &state(markers), event);
        jobs.iter().filter(|job| job.stage() == Stage::Write).map(Job::segment).collect()
    }

    fn exported() -> Vec<String> {
        all(|segment| format!("export/{segment:05}.json"))
    }

    fn written() -> Vec<String> {
        all(|segment| format!("write/{segment:05}.json"))
    }

    #[test]
    fn each_lane_goes_on_at_its_first_segment_that_is_not_exported() {
        assert_eq!(next_exports(&PLAN, &state(&[])), [0, 2, 4]);
        let begun = ["export/00000.json", "export/00004.json", "export/00005.json"];
        assert_eq!(next_exports(&PLAN, &state(&begun)), [1, 2, 6]);
        assert_eq!(next_exports(&PLAN, &with(&[], &[exported()])), [0_u32; 0]);
    }

    #[test]
    fn only_what_is_exported_is_written_and_only_once() {
        let exported = ["export/00000.json", "export/00002.json", "export/00004.json"];
        assert_eq!(writes(&[]), [0_u32; 0]);
        assert_eq!(writes(&exported), [0, 2, 4]);
        assert_eq!(writes(&[&exported[..], &["write/00002.json"]].concat()), [0, 3, 4]);
    }

    #[test]
    fn each_lane_has_one_write_under_way_which_is_followed_by_the_next_segment() {
        let begun = [
            "provision.json",
            "export/00000.json",
            "export/00001.json",
            "write/00000.json",
            "export/00004.json",
            "failed/write-00004.json",
        ];
        // Lane 0 goes on, lane 1 is not exported, lane 2 passes a refused segment.
        assert_eq!(writes(&begun), [1, 5]);
        assert_eq!(due_writes(&begun, Event::Written(0)), [1]);
        assert_eq!(due_writes(&begun, Event::Failed(Stage::Write, 4)), [5]);
        assert_eq!(due_writes(&begun, Event::Written(1)), [0_u32; 0]);
        let next_has_begun = [&begun[..], &["write/00005-begun.json"]].concat();
        assert_eq!(due_writes(&next_has_begun, Event::Written(4)), [0_u32; 0]);
        assert_eq!(due_writes(&begun, Event::Failed(Stage::Export, 2)), [0_u32; 0]);
    }

    #[test]
    fn only_the_export_that_begins_a_lane_enqueues_its_write() {
        let exported = ["export/00002.json", "export/00003.json"];
        assert_eq!(due_writes(&exported, Event::Exported(2)), [2]);
        assert_eq!(due_writes(&exported, Event::Exported(3)), [0_u32; 0]);
        assert_eq!(due_writes(&exported, Event::Provisioned), [0_u32; 0]);
        for begun in ["write/00002.json", "write/00002-begun.json", "failed/write-00002.json"] {
            let begun = [&exported[..], &[begun]].concat();
            assert_eq!(due_writes(&begun, Event::Exported(2)), [0_u32; 0]);
        }
    }

    /// Whatever the order in which exports and writes come to their end, nothing is left out, nothing is
    /// enqueued twice, and a lane never has two writes under way.
    #[test]
    fn every_segment_is_written_once_in_whatever_order_jobs_end() {
        for seed in 0..200_u64 {
            let mut markers = Vec::new();
            let mut exports: Vec<u32> = vec![0, 2, 4];
            let (mut writes, mut done) = (Vec::new(), Vec::new());
            let mut random = seed;
            while !(exports.is_empty() && writes.is_empty()) {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let pick =
                    usize::try_from(random >> 40).expect("it is small") % (exports.len() + writes.len());
                let event = if pick < exports.len() {
                    let segment = exports.remove(pick);
                    markers.push(format!("export/{segment:05}.json"));
                    exports.extend(PLAN.next_in_lane(segment));
                    Event::Exported(segment)
                } else {
                    let segment: u32 = writes[pick - exports.len()];
                    if !markers.contains(&format!("export/{segment:05}.json")) {
                        continue; // not yet: its message comes back later
                    }
                    writes.retain(|other| *other != segment);
                    markers.push(format!("write/{segment:05}.json"));
                    done.push(segment);
                    Event::Written(segment)
                };
                let names: Vec<&str> = markers.iter().map(String::as_str).collect();
                writes.extend(due_writes(&names, event));
                let mut lanes: Vec<u32> = writes.iter().map(|segment| PLAN.lane_of(*segment)).collect();
                lanes.sort_unstable();
                assert!(lanes.windows(2).all(|pair| pair[0] != pair[1]), "seed {seed}: {writes:?}");
            }
            done.sort_unstable();
            assert_eq!(done, [0, 1, 2, 3, 4, 5, 6], "seed {seed}");
        }
    }

    #[test]
    fn a_table_is_over_when_every_segment_is_written_or_refused() {
        let mut writes = written();
        let state = with(&["provision.json"], &[exported(), writes.clone()]);
        assert!(is_written(&PLAN, &state));
        assert_eq!(outcome(&PLAN, &state, None, 0), Outcome::Complete);
        assert_eq!(outcome(&PLAN, &state, None, 1), Outcome::Partial);

        writes.pop();
        assert!(!is_written(&PLAN, &with(&["provision.json"], &[exported(), writes.clone()])));
        let refused = with(&["provision.json", "failed/write-00006.json"], &[exported(), writes]);
        assert!(is_written(&PLAN, &refused));
        assert_eq!(outcome(&PLAN, &refused, None, 0), Outcome::Partial);
    }

    #[test]
    fn without_one_segment_there_is_no_archive_and_without_a_target_nothing_to_wait_for() {
        let lost = state(&["provision.json", "failed/export-00003.json"]);
        assert!(is_written(&PLAN, &lost));
        assert_eq!(outcome(&PLAN, &lost, None, 0), Outcome::Failed);

        let refused = ["failed/provision-00000.json"];
        assert!(!is_written(&PLAN, &state(&refused)));
        let archived = with(&refused, &[exported()]);
        assert!(is_written(&PLAN, &archived));
        assert_eq!(outcome(&PLAN, &archived, None, 0), Outcome::Partial);
    }
}
