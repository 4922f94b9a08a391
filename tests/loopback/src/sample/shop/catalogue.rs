//! What the shop sells: products, the stock of each warehouse, and what customers think of them.

use serde_json::{Value, json};

use super::words::{PRODUCTS, any_customer, any_sku, any_time, person, product, sku};
use crate::random::Random;
use crate::sample::SampleTable;
use crate::sample::attribute::{boolean, l, m, n, s, ss};
use crate::sample::schema::{Create, Projection};

const WAREHOUSES: usize = 2;

pub(super) fn products() -> SampleTable {
    let create = Create::table("products", ("category", "S")).sort(("sku", "S")).local(
        "by-price",
        ("price", "N"),
        Projection::All,
    );
    SampleTable::generated(create, PRODUCTS, product_item)
}

fn product_item(index: usize) -> Value {
    let mut random = Random::of("products", index);
    json!({
        "category": s(random.pick(&["kitchen", "living", "garden", "clothing", "stationery"])),
        "sku": s(sku(index)),
        "title": s(product(&mut random)),
        "price": n(random.money(3, 300)),
        "colours": ss([random.pick(&["sand", "moss"]), random.pick(&["slate", "rust"])]),
        "dimensions_cm": l([n(5 + random.below(90)), n(5 + random.below(90)), n(1 + random.below(60))]),
        "supplier": m(json!({
            "name": s(person(&mut random)),
            "country": s(random.pick(&["PT", "DK", "PL"])),
        })),
        "for_sale": boolean(!random.once_in(12)),
    })
}

pub(super) fn inventory() -> SampleTable {
    let create = Create::table("inventory", ("sku", "S")).sort(("warehouse", "N")).provisioned(40, 20);
    SampleTable::generated(create, PRODUCTS * WAREHOUSES, stock)
}

fn stock(index: usize) -> Value {
    let mut random = Random::of("inventory", index);
    json!({
        "sku": s(sku(index / WAREHOUSES)),
        "warehouse": n(index % WAREHOUSES + 1),
        "on_hand": n(random.below(500)),
        "reserved": n(random.below(20)),
        "shelf": s(format!("{}-{:03}", random.pick(&["A", "B", "C"]), random.below(400))),
        "counted_at": s(any_time(&mut random)),
    })
}

pub(super) fn reviews() -> SampleTable {
    let create = Create::table("reviews", ("sku", "S")).sort(("review_id", "S"));
    SampleTable::generated(create, 900, review)
}

fn review(index: usize) -> Value {
    let mut random = Random::of("reviews", index);
    json!({
        "sku": s(any_sku(&mut random)),
        "review_id": s(format!("rev-{:05}", index + 1)),
        "customer_id": s(any_customer(&mut random)),
        "stars": n(1 + random.below(5)),
        "text": s(random.pick(&[
            "Exactly as described, and it arrived early 🎉",
            "“Good enough”, said my mother.\nShe never says that.",
            "Très joli, mais la livraison a pris deux semaines.",
            "思ったより大きいです。",
            "The lid does not fit. Returned it \\ asked for a refund.",
        ])),
        "helpful": n(random.below(60)),
        "written_at": s(any_time(&mut random)),
    })
}
