//! What is due: pure functions of a table's plan, its state, and what has just happened to it.

use crate::archive::TableState;
use crate::archive::layout::Stage;
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
    Written,
    /// A job failed for good.
    Failed,
    /// The run is about to be closed: nothing more is enqueued.
    Closing,
}

/// The jobs that are missing and due after an event.
pub(super) fn due(run: &Run, table: &Table, state: &TableState, event: Event) -> Vec<Job> {
    let segment_job = |segment| SegmentJob::new(&run.run, &table.name, segment);
    let export = |segment| Job::Export(segment_job(segment));
    let write = |segment| Job::Write(segment_job(segment));
    let provision = || Job::Provision(TableJob::new(&run.run, &table.name));
    match event {
        Event::Started => {
            let wanted = (!state.provisioned && !state.has_failed(Stage::Provision)).then(provision);
            let exports = next_exports(&table.plan, state).into_iter().map(export);
            wanted.into_iter().chain(exports).chain(writable(state).map(write)).collect()
        }
        Event::Exported(segment) => {
            let next = table.plan.next_in_lane(segment).filter(|next| !state.exported.contains(next));
            let written = state.provisioned && !state.written.contains(&segment);
            next.map(export).into_iter().chain(written.then(|| write(segment))).collect()
        }
        Event::Provisioned => writable(state).map(write).collect(),
        Event::Written | Event::Failed | Event::Closing => Vec::new(),
    }
}

/// The first segment of each lane that is not exported.
fn next_exports(plan: &Plan, state: &TableState) -> Vec<u32> {
    let lanes = (0..plan.lanes).map(|lane| plan.lane(lane));
    lanes.filter_map(|mut lane| lane.find(|segment| !state.exported.contains(segment))).collect()
}

/// The segments that can be written now and are not.
fn writable(state: &TableState) -> impl Iterator<Item = u32> {
    let exported = state.exported.iter().filter(|_| state.provisioned);
    exported
        .filter(|segment| {
            !state.written.contains(segment) && !state.failed.contains(&(Stage::Write, **segment))
        })
        .copied()
}

pub(super) fn is_exported(plan: &Plan, state: &TableState) -> bool {
    state.exported.len() == plan.segments as usize
}

/// Whether nothing can happen to a table any more: no archive without every segment, no writes without a
/// target, and otherwise every segment written or refused.
pub(super) fn is_over(plan: &Plan, state: &TableState) -> bool {
    if state.has_failed(Stage::Export) {
        return true;
    }
    let no_target = state.has_failed(Stage::Provision) && !state.provisioned;
    is_exported(plan, state) && (no_target || state.writes_settled() == plan.segments as usize)
}

/// The outcome of a table that is over.
pub(super) fn outcome(plan: &Plan, state: &TableState, items_failed: u64) -> Outcome {
    let all_written = state.written.len() == plan.segments as usize;
    if !is_exported(plan, state) {
        Outcome::Failed
    } else if state.failed.is_empty() && all_written && items_failed == 0 {
        Outcome::Complete
    } else {
        Outcome::Partial
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seven segments in three lanes: 0 1, 2 3, 4 5 6.
    const PLAN: Plan = Plan { segments: 7, lanes: 3, part_bytes: 1, part_raw_bytes: 8, part_items: None };

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
    fn only_what_is_exported_and_has_a_target_can_be_written_and_only_once() {
        let exported = ["export/00000.json", "export/00002.json", "export/00004.json"];
        assert_eq!(writable(&state(&exported)).count(), 0);
        let ready =
            [&exported[..], &["provision.json", "write/00000.json", "failed/write-00004.json"]].concat();
        assert_eq!(writable(&state(&ready)).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn a_table_is_over_when_every_segment_is_written_or_refused() {
        let mut writes = written();
        let state = with(&["provision.json"], &[exported(), writes.clone()]);
        assert!(is_over(&PLAN, &state));
        assert_eq!(outcome(&PLAN, &state, 0), Outcome::Complete);
        assert_eq!(outcome(&PLAN, &state, 1), Outcome::Partial);

        writes.pop();
        assert!(!is_over(&PLAN, &with(&["provision.json"], &[exported(), writes.clone()])));
        let refused = with(&["provision.json", "failed/write-00006.json"], &[exported(), writes]);
        assert!(is_over(&PLAN, &refused));
        assert_eq!(outcome(&PLAN, &refused, 0), Outcome::Partial);
    }

    #[test]
    fn without_one_segment_there_is_no_archive_and_without_a_target_nothing_to_wait_for() {
        let lost = state(&["provision.json", "failed/export-00003.json"]);
        assert!(is_over(&PLAN, &lost));
        assert_eq!(outcome(&PLAN, &lost, 0), Outcome::Failed);

        let refused = ["failed/provision-00000.json"];
        assert!(!is_over(&PLAN, &state(&refused)));
        let archived = with(&refused, &[exported()]);
        assert!(is_over(&PLAN, &archived));
        assert_eq!(outcome(&PLAN, &archived, 0), Outcome::Partial);
    }
}
