//! One table of any size, for the code that has to keep going.

use serde_json::{Value, json};

use super::SampleTable;
use super::attribute::{b, boolean, l, m, n, nothing, s, ss};
use super::schema::Create;
use crate::random::Random;

/// Events of one visit share a partition.
const EVENTS_PER_VISIT: usize = 20;

const SENTENCES: [&str; 4] = [
    "The visitor compared three pairs of walking boots and kept two of them in the basket for later.",
    "The search for a waterproof jacket gave no match in the chosen size, and the filter was removed again.",
    "The page for the enamel kettle was opened from the newsletter and read to the very last review.",
    "The delivery address was changed from home to a parcel locker shortly before the order was placed.",
];

/// One table of `n` items of mixed types, about 750 bytes each: `events`.
pub fn large(n: usize) -> SampleTable {
    SampleTable::generated(Create::table("events", ("visit", "S")).sort(("sequence", "N")), n, event)
}

fn event(index: usize) -> Value {
    let mut random = Random::of("events", index);
    let referrer = format!("https://example.com/{}", random.hex(24));
    json!({
        "visit": s(format!("visit-{:08}", index / EVENTS_PER_VISIT)),
        "sequence": n(index % EVENTS_PER_VISIT),
        "kind": s(random.pick(&["page-viewed", "product-searched", "basket-changed", "order-placed"])),
        "occurred_at": n(1_735_689_600_000 + index as u64 * 137),
        "duration_ms": n(random.below(90_000)),
        "visitor": s(random.hex(32)),
        "referrer": if random.once_in(3) { nothing() } else { s(referrer) },
        "returning": boolean(random.once_in(2)),
        "experiments": ss([format!("checkout-{}", random.below(4)), format!("search-{}", random.below(4))]),
        "fingerprint": b(random.bytes(64)),
        "basket": l((0..2).map(|_| line(&mut random))),
        "device": device(&mut random),
        "note": s([(); 3].map(|()| random.pick(&SENTENCES)).join(" ")),
    })
}

fn line(random: &mut Random) -> Value {
    m(json!({
        "sku": s(format!("SKU-{:05}", random.below(400))),
        "quantity": n(1 + random.below(4)),
        "price": n(random.money(3, 400)),
    }))
}

fn device(random: &mut Random) -> Value {
    m(json!({
        "family": s(random.pick(&["phone", "tablet", "laptop", "desktop"])),
        "viewport": l([n(320 + random.below(2_000)), n(480 + random.below(1_200))]),
        "agent": s(format!("Mozilla/5.0 (compatible; Shop/{}.{})", random.below(20), random.below(100))),
    }))
}
