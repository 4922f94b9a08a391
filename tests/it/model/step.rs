//! What may happen to a run, one thing after the other.

use std::fmt::Debug;
use std::ops::Range;

use proptest::prelude::*;

/// A whole story: how the world is set up, and what happens in it.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    pub(crate) lanes: u32,
    pub(crate) consistent_read: bool,
    pub(crate) steps: Vec<Step>,
}

/// One thing that happens, after which everything must be as it should be.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A trigger is sent.
    Trigger,
    /// Some of the messages, in any order and however long ago they were sent, are delivered at once.
    Deliver(Delivery),
    /// A job's message is in its queue a second time.
    Duplicate { pick: usize },
    /// Somebody changes a source, or a copy.
    Deed(Deed),
}

/// Messages that are delivered at once, and what becomes of their receivers.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    /// Which of the messages that are there.
    pub(crate) picks: Vec<usize>,
    /// Whether the first of them is delivered to both workers.
    pub(crate) twice: bool,
    /// Each call takes up to so many milliseconds, by a seed.
    pub(crate) delays: Option<(u64, u64)>,
    /// Calls go wrong by this seed.
    pub(crate) faults: Option<u64>,
    /// What becomes of the first worker at its n-th call.
    pub(crate) end: Option<(u64, End)>,
    /// What somebody else does at its n-th call.
    pub(crate) meanwhile: Option<(u64, Deed)>,
}

impl Delivery {
    /// One in which nothing goes wrong.
    pub(crate) fn undisturbed() -> Self {
        Self { picks: Vec::new(), twice: false, delays: None, faults: None, end: None, meanwhile: None }
    }
}

/// The end of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It dies before the call takes effect.
    KilledBefore,
    /// It dies after that, and before it hears of it.
    KilledAfter,
    /// It is told to stop.
    Stopped,
}

/// What somebody else does. Tables and items by number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Deed {
    Put {
        table: usize,
        item: usize,
    },
    Delete {
        table: usize,
        item: usize,
    },
    PutIntoCopy {
        table: usize,
        item: usize,
    },
    DeleteFromCopy {
        table: usize,
        item: usize,
    },
    DropSource {
        table: usize,
    },
    DropCopy {
        table: usize,
    },
    /// Somebody takes a copy for his own: its tag is gone.
    Disown {
        table: usize,
    },
}

/// How many tables there are whose items and copies change.
pub(crate) const TABLES: usize = 2;

/// How many keys a table may have items under.
pub(crate) const ITEMS: usize = 32;

pub(crate) fn story() -> impl Strategy<Value = Story> {
    let steps = prop::collection::vec(step(), 6..36);
    (1..=3_u32, any::<bool>(), steps).prop_map(|(lanes, consistent_read, mut steps)| {
        steps.insert(0, Step::Trigger);
        Story { lanes, consistent_read, steps }
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => delivery().prop_map(Step::Deliver),
        3 => any::<usize>().prop_map(|pick| Step::Duplicate { pick }),
        4 => small_deed().prop_map(Step::Deed),
        1 => large_deed().prop_map(Step::Deed),
        1 => Just(Step::Trigger),
    ]
}

fn delivery() -> impl Strategy<Value = Delivery> {
    let end = prop_oneof![Just(End::KilledBefore), Just(End::KilledAfter), Just(End::Stopped)];
    (
        prop::collection::vec(any::<usize>(), 1..5),
        prop::bool::weighted(0.2),
        sometimes((any::<u64>(), 1..12_u64)),
        sometimes(any::<u64>()),
        sometimes((nth_call(), end)),
        sometimes((nth_call(), small_deed())),
    )
        .prop_map(|(picks, twice, delays, faults, end, meanwhile)| Delivery {
            picks,
            twice,
            delays,
            faults,
            end,
            meanwhile,
        })
}

fn small_deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        6 => at(0..ITEMS).prop_map(|(table, item)| Deed::Put { table, item }),
        4 => at(0..ITEMS).prop_map(|(table, item)| Deed::Delete { table, item }),
        2 => at(0..ITEMS).prop_map(|(table, item)| Deed::PutIntoCopy { table, item }),
        1 => at(0..ITEMS).prop_map(|(table, item)| Deed::DeleteFromCopy { table, item }),
    ]
}

/// What is done between two steps only: a worker knows for five minutes whose a copy is, so what changes hands does so
/// before another worker begins.
fn large_deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        (0..TABLES).prop_map(|table| Deed::DropSource { table }),
        (0..TABLES).prop_map(|table| Deed::DropCopy { table }),
        (0..TABLES).prop_map(|table| Deed::Disown { table }),
    ]
}

fn at(items: Range<usize>) -> impl Strategy<Value = (usize, usize)> {
    (0..TABLES, items)
}

/// A job makes from five to some thirty calls.
fn nth_call() -> impl Strategy<Value = u64> {
    prop_oneof![1..8_u64, 1..40_u64]
}

fn sometimes<T: Clone + Debug>(what: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    prop::option::weighted(0.25, what)
}
