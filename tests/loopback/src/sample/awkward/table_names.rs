//! Table names that are hard on paths, on message ids and on whoever assumes a length.
//!
//! Not here: names that differ only by case. DynamoDB allows them, the stand-in's SQLite does not.

use serde_json::json;

use crate::sample::SampleTable;
use crate::sample::attribute::s;
use crate::sample::schema::Create;

const LONGEST: usize = 255;
const ITEMS: usize = 3;

const NAMES: [&str; 14] = [
    "...",
    "..-",
    "abc",
    "_._",
    "-dash-first",
    "dash-last-",
    ".hidden",
    "dot.last.",
    "two..dots",
    "a.b-c_d",
    "a-b.c_d",
    "a_b_c_d",
    "manifest.json",
    "2025-01-01",
];

pub(super) fn tables() -> Vec<SampleTable> {
    // The two longest differ in their last character alone.
    let longest = ["a", "b"].map(|last| "long.".repeat(LONGEST / 5 - 1) + "name" + last);
    NAMES.into_iter().map(str::to_owned).chain(longest).map(table).collect()
}

/// The items carry the name of their table, so that a mix-up shows.
fn table(name: String) -> SampleTable {
    let create = Create::table(&name, ("pk", "S"));
    SampleTable::generated(
        create,
        ITEMS,
        move |index| json!({ "pk": s(format!("item-{index}")), "table": s(&name) }),
    )
}
