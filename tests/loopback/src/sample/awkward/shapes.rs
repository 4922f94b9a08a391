//! Tables that are awkward as a whole: no items, many indexes, all items in one partition.

use serde_json::{Value, json};

use crate::random::Random;
use crate::sample::SampleTable;
use crate::sample::attribute::{n, s};
use crate::sample::schema::{Create, Projection};

const HOT_ITEMS: usize = 2_000;
const INDEXED_ITEMS: usize = 120;

pub(super) fn tables() -> Vec<SampleTable> {
    vec![empty(), indexed(), hot_partition()]
}

fn empty() -> SampleTable {
    SampleTable::listed(Create::table("empty", ("pk", "S")).sort(("sk", "B")), Vec::new())
}

/// One local and three global indexes, one of each projection and each key type.
fn indexed() -> SampleTable {
    let create = Create::table("indexed", ("pk", "S"))
        .sort(("sk", "N"))
        .local("local-by-rank", ("rank", "N"), Projection::Include(&["label"]))
        .global("global-all", &[("group", "S"), ("rank", "N")], Projection::All)
        .global("global-keys-only", &[("digest", "B")], Projection::KeysOnly)
        .global("global.include_1", &[("rank", "N"), ("sk", "N")], Projection::Include(&["label", "absent"]));
    SampleTable::generated(create, INDEXED_ITEMS, indexed_item)
}

/// Every third item misses an index key, and so the indexes are smaller than the table.
fn indexed_item(index: usize) -> Value {
    let mut random = Random::of("indexed", index);
    let mut item = json!({
        "pk": s(format!("partition-{}", index % 7)),
        "sk": n(index),
        "label": s(format!("label {index}")),
        "group": s(random.pick(&["red", "green", "blue"])),
        "rank": n(random.below(10)),
        "digest": { "B": "MQ==" },
    });
    let keys = ["group", "rank", "digest"];
    if index.is_multiple_of(3)
        && let Some(attributes) = item.as_object_mut()
    {
        attributes.remove(keys[index / 3 % keys.len()]);
    }
    item
}

/// All items share one partition key: neither a parallel scan nor parallel writes can spread them.
fn hot_partition() -> SampleTable {
    let create = Create::table("hot-partition", ("pk", "S")).sort(("sk", "N"));
    SampleTable::generated(create, HOT_ITEMS, |index| {
        let mut random = Random::of("hot-partition", index);
        json!({ "pk": s("the-only-one"), "sk": n(index), "payload": s(random.hex(100)) })
    })
}
