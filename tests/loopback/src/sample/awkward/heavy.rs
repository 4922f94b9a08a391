//! Items just under DynamoDB's limit of 400 KB, made of different things.

use serde_json::{Value, json};

use crate::random::Random;
use crate::sample::SampleTable;
use crate::sample::attribute::{b, l, m, n, s, ss};
use crate::sample::schema::Create;
use crate::sample::size::{ITEM_LIMIT_BYTES, item_bytes};

const ITEMS: usize = 20;
/// What the body of an item takes up at most; a padding brings the item to its exact size.
const BODY_BYTES: usize = 384_000;

/// Three of these fill a page of a Scan, and a batch of 25 would be far over the limit of a request.
pub(super) fn table() -> SampleTable {
    SampleTable::generated(Create::table("heavy", ("pk", "S")), ITEMS, item)
}

/// Item 0 is one byte under the limit, and each further one 500 bytes smaller.
fn item(index: usize) -> Value {
    let mut random = Random::of("heavy", index);
    let mut item =
        json!({ "pk": s(format!("heavy-{index:02}")), "body": body(index, &mut random), "padding": s("") });
    let missing = ITEM_LIMIT_BYTES - 1 - index * 500 - item_bytes(&item);
    item["padding"] = s("p".repeat(missing));
    item
}

/// The last two are several times as long in JSON as DynamoDB counts them.
fn body(index: usize, random: &mut Random) -> Value {
    match index % 8 {
        0 => s("x".repeat(BODY_BYTES)),
        1 => b(random.bytes(BODY_BYTES)),
        2 => s(random.hex(BODY_BYTES)),
        3 => s("👩🏽".repeat(BODY_BYTES / 8)),
        4 => ss((0..BODY_BYTES / 16).map(|member| format!("member-{member:09}"))),
        5 => m((0..BODY_BYTES / 32).map(|entry| (format!("entry-{entry:09}"), s(random.hex(16)))).collect()),
        6 => l((0..BODY_BYTES / 6).map(|_| n(random.below(100)))),
        _ => s("\u{1}".repeat(BODY_BYTES)),
    }
}
