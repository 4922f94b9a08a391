//! How a table is cut: into segments, the unit of work, and lanes, the most that are in flight at once.

use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Serialize};

const MIB: u64 = 1 << 20;
const SEGMENT_BYTES: u64 = 1 << 30;
const SEGMENT_ITEMS: u64 = 1_000_000;
/// DynamoDB takes up to a million segments (DynamoDB API Reference, “Scan”). Fewer keep the data objects
/// within the 50,000 that ImportTable reads (DynamoDB Developer Guide, “Import format quotas and validation”),
/// up to some 11 TiB of a table that does not compress, and twice that of one that does.
const MAX_SEGMENTS: u64 = 40_000;
/// Below this a second segment costs more in markers and messages than it saves in time.
const ONE_SEGMENT_BELOW_BYTES: u64 = 64 * MIB;
/// DynamoDB updates a table's size and item count about every six hours (DynamoDB API Reference,
/// “TableDescription”), so those of a younger table say nothing.
const SIZE_LAG: Duration = Duration::from_secs(6 * 60 * 60);
/// A part is held in memory until it is put, in each export slot; and it is what a resumed export reads back.
const MIN_PART_BYTES: u64 = 8 * MIB;
const MAX_PART_BYTES: u64 = 256 * MIB;
/// Bounds the uncompressed side of a part whose items compress far better than usual (4 to 1).
const RAW_BYTES_PER_PART_BYTE: u64 = 8;

const PART_SECONDS: u64 = 15 * 60;
const MIN_PART_ITEMS: u64 = 100;

/// A table's segments and lanes, decided once for each run and written to `table.json`.
///
/// Lane *i* is a contiguous run of segments of which one export and one write are under way at a time, so `lanes`
/// bounds what is in flight across all workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// DynamoDB's `TotalSegments`, at least 1.
    pub segments: u32,
    /// From 1 to `segments`.
    pub lanes: u32,
    /// The compressed size at which a part closes.
    pub part_bytes: u64,
    /// The uncompressed size at which a part closes, if that comes first.
    pub part_raw_bytes: u64,
    /// The number of items at which a part closes, if that comes first; `None` for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_items: Option<u64>,
    /// Read units a second for the whole table, of which each lane takes its part; `None` for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_budget: Option<u64>,
    /// Write units a second for the whole copy, of which each lane takes its part; `None` for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_budget: Option<u64>,
}

impl Plan {
    /// Plans a table from what DescribeTable says of it. `age` is the time since it was created, if known;
    /// `lanes` is the most segments that may be in flight, of which a small table uses fewer.
    pub fn new(table_size_bytes: u64, item_count: u64, age: Option<Duration>, lanes: u32) -> Self {
        let segments = segments(table_size_bytes, item_count, age, lanes.max(1));
        let part_bytes = (table_size_bytes / MAX_SEGMENTS).clamp(MIN_PART_BYTES, MAX_PART_BYTES);
        Self {
            segments,
            lanes: lanes.clamp(1, segments),
            part_bytes,
            part_raw_bytes: part_bytes * RAW_BYTES_PER_PART_BYTE,
            part_items: None,
            read_budget: None,
            write_budget: None,
        }
    }

    /// What makes a plan that was read one that cannot be followed, in words; `None` for one that can.
    pub fn fault(&self) -> Option<&'static str> {
        if u64::from(self.segments) > MAX_SEGMENTS || !(1..=self.segments).contains(&self.lanes) {
            return Some("has segments or lanes out of range");
        }
        (self.part_bytes > MAX_PART_BYTES).then_some("has parts larger than memory is set aside for")
    }

    /// Keeps reads and writes to so many units a second, and a part to the items of `item_units` each that a lane
    /// can write in a quarter of an hour: a part is the least that a write job can finish.
    #[must_use]
    pub fn within_budgets(mut self, read_units: u64, write_units: u64, item_units: u64) -> Self {
        let items = write_units.saturating_mul(PART_SECONDS) / u64::from(self.lanes) / item_units.max(1);
        self.part_items = Some(items.max(MIN_PART_ITEMS));
        self.read_budget = Some(read_units);
        self.write_budget = Some(write_units);
        self
    }

    /// A lane's part of a budget, in units a second.
    pub fn lane_units(&self, budget: Option<u64>) -> f64 {
        budget.map_or(f64::INFINITY, |units| units as f64 / f64::from(self.lanes))
    }

    /// The segments of a lane: together the lanes hold each segment once, and their sizes differ by at most
    /// one. `lane` is below `lanes`.
    pub fn lane(&self, lane: u32) -> Range<u32> {
        self.lane_start(lane)..self.lane_start(lane + 1)
    }

    /// The lane that holds `segment`, which is below `segments`.
    pub fn lane_of(&self, segment: u32) -> u32 {
        // The last lane that starts at or before the segment, `lane_start` solved for the lane.
        let lane = ((u64::from(segment) + 1) * u64::from(self.lanes) - 1) / u64::from(self.segments);
        u32::try_from(lane).expect("a lane's number is at most its segment's")
    }

    /// Whether `segment` is the first of its lane.
    pub fn begins_lane(&self, segment: u32) -> bool {
        self.lane_start(self.lane_of(segment)) == segment
    }

    /// The segment to enqueue when `segment` is done, or none when it was its lane's last.
    pub fn next_in_lane(&self, segment: u32) -> Option<u32> {
        let next = segment.checked_add(1).filter(|next| *next < self.segments)?;
        (self.lane_of(next) == self.lane_of(segment)).then_some(next)
    }

    fn lane_start(&self, lane: u32) -> u32 {
        let start = u64::from(lane) * u64::from(self.segments) / u64::from(self.lanes);
        u32::try_from(start).expect("a lane starts at most at the number of segments")
    }
}

fn segments(table_size_bytes: u64, item_count: u64, age: Option<Duration>, lanes: u32) -> u32 {
    let is_young = age.is_some_and(|age| age < SIZE_LAG);
    if table_size_bytes < ONE_SEGMENT_BELOW_BYTES && !is_young {
        return 1;
    }
    let by_size = table_size_bytes.div_ceil(SEGMENT_BYTES);
    let by_items = item_count.div_ceil(SEGMENT_ITEMS);
    let segments = by_size.max(by_items).max(u64::from(lanes)).min(MAX_SEGMENTS);
    u32::try_from(segments).expect("the maximum fits")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GIB: u64 = 1 << 30;
    const OLD: Option<Duration> = Some(Duration::from_secs(7 * 24 * 60 * 60));
    const YOUNG: Option<Duration> = Some(Duration::from_secs(6 * 60 * 60 - 1));

    #[test]
    fn a_small_table_is_one_segment_unless_it_is_too_young_to_know() {
        assert_eq!(Plan::new(64 * MIB - 1, 5, OLD, 8).segments, 1);
        assert_eq!(Plan::new(0, 0, None, 8).segments, 1);
        assert_eq!(Plan::new(0, 0, Some(SIZE_LAG), 8).segments, 1);
        assert_eq!(Plan::new(0, 0, YOUNG, 8).segments, 8);
        assert_eq!(Plan::new(64 * MIB, 5, OLD, 8).segments, 8);
    }

    #[test]
    fn a_segment_is_a_gibibyte_or_a_million_items_whichever_is_less() {
        assert_eq!(Plan::new(100 * GIB, 1, OLD, 8).segments, 100);
        assert_eq!(Plan::new(100 * GIB + 1, 1, OLD, 8).segments, 101);
        assert_eq!(Plan::new(GIB, 50_000_001, OLD, 8).segments, 51);
        assert_eq!(Plan::new(u64::MAX, u64::MAX, OLD, 8).segments, 40_000);
    }

    #[test]
    fn a_plan_never_has_more_lanes_than_segments_nor_none() {
        assert_eq!(Plan::new(0, 0, OLD, 8).lanes, 1);
        assert_eq!(Plan::new(0, 0, YOUNG, 0).lanes, 1);
        assert_eq!(Plan::new(0, 0, YOUNG, 1_000_000).lanes, 40_000);
    }

    #[test]
    fn a_plan_with_lanes_or_parts_out_of_range_is_at_fault() {
        let plan = Plan::new(u64::MAX, 0, OLD, 8);
        assert_eq!(plan.fault(), None);
        for faulty in [
            Plan { segments: 0, lanes: 0, ..plan.clone() },
            Plan { lanes: 0, ..plan.clone() },
            Plan { lanes: 40_001, ..plan.clone() },
            Plan { segments: u32::MAX, ..plan.clone() },
            Plan { part_bytes: u64::MAX, ..plan.clone() },
        ] {
            assert!(faulty.fault().is_some(), "{faulty:?}");
        }
    }

    #[test]
    fn parts_grow_with_the_table_between_8_and_256_mebibytes() {
        assert_eq!(Plan::new(0, 0, OLD, 8).part_bytes, 8 * MIB);
        assert_eq!(Plan::new(40_000 * 20 * MIB, 0, OLD, 8).part_bytes, 20 * MIB);
        let large = Plan::new(u64::MAX, 0, OLD, 8);
        assert_eq!((large.part_bytes, large.part_raw_bytes), (256 * MIB, 2048 * MIB));
    }

    #[test]
    fn parts_are_small_where_the_copy_takes_few_writes() {
        let items = |units| Plan::new(GIB, 0, OLD, 4).within_budgets(1, units, 1).part_items;
        assert_eq!((items(1), items(40), items(u64::MAX)), (Some(225), Some(9000), Some(u64::MAX / 4)));
    }

    #[test]
    fn a_lane_leads_from_its_first_segment_to_its_last() {
        let plan =
            Plan { segments: 7, lanes: 3, part_bytes: 1, part_raw_bytes: 8, ..Plan::new(0, 0, OLD, 1) };
        assert_eq!((plan.lane(0), plan.lane(1), plan.lane(2)), (0..2, 2..4, 4..7));
        assert_eq!(
            (plan.next_in_lane(4), plan.next_in_lane(5), plan.next_in_lane(6)),
            (Some(5), Some(6), None)
        );
        assert_eq!(plan.next_in_lane(u32::MAX), None);
    }

    proptest! {
        #[test]
        fn the_lanes_partition_the_segments_evenly(
            size in prop_oneof![0..GIB, 0..50_000 * GIB], items in 0u64..10_000_000_000, lanes in 0u32..300,
        ) {
            let plan = Plan::new(size, items, OLD, lanes);
            let ranges: Vec<_> = (0..plan.lanes).map(|lane| plan.lane(lane)).collect();
            let (smallest, largest) = (plan.segments / plan.lanes, plan.segments.div_ceil(plan.lanes));
            prop_assert_eq!(ranges[0].start, 0);
            prop_assert_eq!(ranges[ranges.len() - 1].end, plan.segments);
            prop_assert!(ranges.windows(2).all(|pair| pair[0].end == pair[1].start));
            prop_assert!(ranges.iter().all(|lane| [smallest, largest].contains(&(lane.end - lane.start))));
        }

        #[test]
        fn each_segment_knows_its_lane_and_the_lane_its_next_segment(
            (segments, lanes) in (1u32..=40_000).prop_flat_map(|n| (Just(n), 1..=n.min(500))),
        ) {
            let plan = Plan { segments, lanes, part_bytes: 1, part_raw_bytes: 8, ..Plan::new(0, 0, OLD, 1) };
            for lane in 0..lanes {
                let range = plan.lane(lane);
                for segment in range.clone() {
                    prop_assert_eq!(plan.lane_of(segment), lane);
                    let next = Some(segment + 1).filter(|next| range.contains(next));
                    prop_assert_eq!(plan.next_in_lane(segment), next);
                }
            }
        }
    }
}
