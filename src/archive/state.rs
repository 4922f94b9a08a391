//! What has happened to one table, read off the names of its markers.

use std::collections::BTreeSet;

use super::layout::Stage;

/// The markers of a table, by what they say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableState {
    pub provisioned: bool,
    /// Segments that are exported.
    pub exported: BTreeSet<u32>,
    /// Segments that are written.
    pub written: BTreeSet<u32>,
    /// Segments whose write has begun.
    pub begun_writes: BTreeSet<u32>,
    /// Whether it is decided what becomes of extra items.
    pub deletions_decided: bool,
    /// Whether the first deletions of every lane are enqueued.
    pub deletes_enqueued: bool,
    /// Segments of which somebody has begun to delete the extra items.
    pub begun_deletes: BTreeSet<u32>,
    /// Segments of which the extra items are deleted.
    pub deleted: BTreeSet<u32>,
    /// Jobs that were said to have failed for good; see [`Self::failures`].
    pub failed: BTreeSet<(Stage, u32)>,
    /// Jobs whose last attempt has begun.
    pub last_attempts: BTreeSet<(Stage, u32)>,
}

impl TableState {
    /// The state that these markers, named relative to the table's `state/`, amount to.
    pub fn of<'a>(markers: impl IntoIterator<Item = &'a str>) -> Self {
        let mut state = Self::default();
        markers.into_iter().for_each(|marker| state.add(marker));
        state
    }

    /// Adds one marker; a name that is none of ours says nothing.
    pub fn add(&mut self, marker: &str) {
        let Some(name) = marker.strip_suffix(".json") else { return };
        match name.split_once('/') {
            None => {
                self.provisioned |= name == "provision";
                self.deletions_decided |= name == "deletions";
            }
            Some(("export", segment)) => self.exported.extend(parse_segment(segment)),
            Some(("write", name)) => match name.split_once('-') {
                None => self.written.extend(parse_segment(name)),
                Some((segment, _)) => self.begun_writes.extend(parse_segment(segment)),
            },
            Some(("delete", "enqueued")) => self.deletes_enqueued = true,
            Some(("delete", name)) => match name.split_once('-') {
                None => self.deleted.extend(parse_segment(name)),
                Some((segment, _)) => self.begun_deletes.extend(parse_segment(segment)),
            },
            Some(("failed", job)) => self.failed.extend(parse_job(job)),
            Some(("last-attempt", job)) => self.last_attempts.extend(parse_job(job)),
            Some(_) => {}
        }
    }

    /// The jobs that failed for good and are not done: another attempt at one, delivered twice, may have come to a
    /// better end.
    pub fn failures(&self) -> impl Iterator<Item = (Stage, u32)> {
        self.failed.iter().copied().filter(|(stage, segment)| !self.is_done(*stage, *segment))
    }

    /// Whether any job of a stage failed for good.
    pub fn has_failed(&self, stage: Stage) -> bool {
        self.failures().any(|(failed, _)| failed == stage)
    }

    /// Whether a job has done what it is for.
    pub fn is_done(&self, stage: Stage, segment: u32) -> bool {
        match stage {
            Stage::Export => self.exported.contains(&segment),
            // The job of a segment is to delete what is extra when it is written.
            Stage::Write if self.begun_deletes.contains(&segment) => self.deleted.contains(&segment),
            Stage::Write => self.written.contains(&segment),
            Stage::Provision | Stage::Trigger => self.provisioned,
        }
    }

    /// Whether the write of a segment has been begun, whatever came of it.
    pub fn has_begun_write(&self, segment: u32) -> bool {
        self.begun_writes.contains(&segment) || self.is_write_settled(segment)
    }

    /// Whether the write of a segment is over, one way or the other.
    pub fn is_write_settled(&self, segment: u32) -> bool {
        self.written.contains(&segment) || self.failed.contains(&(Stage::Write, segment))
    }

    /// Segments whose write is over, one way or the other.
    pub fn writes_settled(&self) -> usize {
        let failed = self
            .failed
            .iter()
            .filter(|(stage, segment)| *stage == Stage::Write && !self.written.contains(segment));
        self.written.len() + failed.count()
    }
}

fn parse_job(name: &str) -> Option<(Stage, u32)> {
    let (stage, segment) = name.split_once('-')?;
    let stage = match stage {
        "export" => Stage::Export,
        "provision" => Stage::Provision,
        "write" => Stage::Write,
        _ => return None,
    };
    Some((stage, parse_segment(segment)?))
}

/// The number of a segment as our keys have it, in five digits or as many more as it takes: another spelling is no
/// marker of ours.
fn parse_segment(digits: &str) -> Option<u32> {
    let is_ours = digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits.len() == 5 || (digits.len() > 5 && !digits.starts_with('0')));
    if is_ours { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_marker_is_read_and_other_names_say_nothing() {
        let state = TableState::of([
            "provision.json",
            "export/00000.json",
            "export/00012.json",
            "write/00000.json",
            "write/00007-begun.json",
            "write/00008-0123456789abcdef.json",
            "deletions.json",
            "delete/enqueued.json",
            "delete/00003.json",
            "delete/00004-begun.json",
            "failed/write-00012.json",
            "failed/items-00000.json",
            "last-attempt/export-00003.json",
            "export/notes.txt",
            "export/1.json",
            "export/+0002.json",
            "export/000003.json",
            "write/4-begun.json",
            "failed/export-5.json",
        ]);
        assert!(state.provisioned);
        assert_eq!(state.exported, BTreeSet::from([0, 12]));
        assert_eq!(state.written, BTreeSet::from([0]));
        assert_eq!(state.begun_writes, BTreeSet::from([7, 8]));
        assert!(state.deletions_decided);
        assert!(state.deletes_enqueued);
        assert_eq!((&state.deleted, &state.begun_deletes), (&BTreeSet::from([3]), &BTreeSet::from([4])));
        assert_eq!(state.failed, BTreeSet::from([(Stage::Write, 12)]));
        assert_eq!(state.last_attempts, BTreeSet::from([(Stage::Export, 3)]));
        assert_eq!(state.writes_settled(), 2);
        assert!(state.has_failed(Stage::Write) && !state.has_failed(Stage::Export));
    }

    #[test]
    fn a_job_is_done_when_it_has_left_its_marker_and_deletions_of_a_written_segment_are_another_matter() {
        let mut state = TableState::of(["export/00001.json", "write/00001.json", "failed/write-00002.json"]);
        assert!(state.is_done(Stage::Export, 1) && state.is_done(Stage::Write, 1));
        assert!(!state.is_done(Stage::Export, 2) && !state.is_done(Stage::Provision, 0));
        assert!(!state.is_done(Stage::Write, 2), "it failed");
        state.add("failed/write-00001.json");
        state.add("failed/export-00001.json");
        assert_eq!(
            state.failures().collect::<Vec<_>>(),
            [(Stage::Write, 2)],
            "the others are done all the same"
        );
        assert!(!state.has_failed(Stage::Export));
        state.add("delete/00001-begun.json");
        assert!(!state.is_done(Stage::Write, 1));
        state.add("delete/00001.json");
        assert!(state.is_done(Stage::Write, 1));
    }
}
