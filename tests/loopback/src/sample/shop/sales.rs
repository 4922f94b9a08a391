//! From the basket to the doorstep: carts, orders, coupons, payments, shipments.

use serde_json::{Value, json};

use super::words::{ORDERS, any_customer, any_sku, any_time, order_id, product};
use crate::random::Random;
use crate::sample::SampleTable;
use crate::sample::attribute::{b, boolean, l, m, n, nothing, s};
use crate::sample::schema::{Create, Projection};

const STATUSES: [&str; 5] = ["placed", "paid", "packed", "shipped", "delivered"];
/// An order is one `summary` and three lines, in one partition.
const ENTRIES_PER_ORDER: usize = 4;

pub(super) fn orders() -> SampleTable {
    let create = Create::table("orders", ("order_id", "S"))
        .sort(("entry", "S"))
        .global("by-customer", &[("customer_id", "S"), ("placed_at", "S")], Projection::All)
        .global(
            "by-status",
            &[("status", "S"), ("placed_at", "S")],
            Projection::Include(&["customer_id", "total"]),
        )
        .stream("NEW_AND_OLD_IMAGES");
    SampleTable::generated(create, ORDERS * ENTRIES_PER_ORDER, |index| {
        match (index / ENTRIES_PER_ORDER, index % ENTRIES_PER_ORDER) {
            (order, 0) => order_summary(order),
            (order, line) => order_line(order, line),
        }
    })
}

fn order_summary(order: usize) -> Value {
    let mut random = Random::of("orders", order);
    json!({
        "order_id": s(order_id(order)),
        "entry": s("summary"),
        "customer_id": s(any_customer(&mut random)),
        "placed_at": s(any_time(&mut random)),
        "status": s(random.pick(&STATUSES)),
        "total": n(random.money(10, 900)),
        "currency": s("EUR"),
        "gift": boolean(random.once_in(9)),
        "coupon": nothing(),
        "delivery": m(json!({
            "city": s(random.pick(&["Lisboa", "København", "Kraków", "Málaga", "Zürich", "İzmir"])),
            "postcode": s(format!("{:05}", random.below(100_000))),
        })),
    })
}

/// A line has neither customer nor status, and so stays out of both indexes.
fn order_line(order: usize, line: usize) -> Value {
    let mut random = Random::of("order lines", order * ENTRIES_PER_ORDER + line);
    json!({
        "order_id": s(order_id(order)),
        "entry": s(format!("line#{line:02}")),
        "sku": s(any_sku(&mut random)),
        "title": s(product(&mut random)),
        "quantity": n(1 + random.below(5)),
        "unit_price": n(random.money(3, 300)),
    })
}

pub(super) fn carts() -> SampleTable {
    SampleTable::generated(Create::table("carts", ("cart_id", "S")), 300, cart)
}

fn cart(index: usize) -> Value {
    let mut random = Random::of("carts", index);
    let lines = random.below(5);
    json!({
        "cart_id": s(format!("cart-{:05}", index + 1)),
        "customer_id": s(any_customer(&mut random)),
        "changed_at": s(any_time(&mut random)),
        "lines": l((0..lines).map(|_| cart_line(&mut random))),
    })
}

fn cart_line(random: &mut Random) -> Value {
    m(json!({ "sku": s(any_sku(random)), "quantity": n(1 + random.below(3)) }))
}

/// A campaign that has not started: a table without items.
pub(super) fn coupons() -> SampleTable {
    SampleTable::listed(Create::table("coupons", ("code", "S")), Vec::new())
}

pub(super) fn payments() -> SampleTable {
    let create = Create::table("payments", ("payment_id", "S"))
        .global("by-order", &[("order_id", "S")], Projection::KeysOnly)
        .tag("team", "billing")
        .tag("retention", "10 years");
    SampleTable::generated(create, 1_100, payment)
}

fn payment(index: usize) -> Value {
    let mut random = Random::of("payments", index);
    json!({
        "payment_id": s(format!("pay_{index:04}{}", random.hex(12))),
        "order_id": s(order_id(index % ORDERS)),
        "method": s(random.pick(&["card", "bank-transfer", "invoice"])),
        "amount": n(random.money(10, 900)),
        "captured": boolean(!random.once_in(20)),
        "captured_at": s(any_time(&mut random)),
        "processor_reference": b(random.bytes(24)),
    })
}

pub(super) fn shipments() -> SampleTable {
    SampleTable::generated(Create::table("shipments", ("label", "B")), 900, shipment)
}

fn shipment(index: usize) -> Value {
    let mut random = Random::of("shipments", index);
    json!({
        "label": b(random.bytes(16)),
        "order_id": s(order_id(index)),
        "carrier": s(random.pick(&["Northbound", "Post", "Cargo Bike Collective"])),
        "weight_kg": n(random.money(0, 30)),
        "position": l([n(format!("52.{}", random.below(10_000))), n(format!("-4.{}", random.below(10_000)))]),
        "handed_over_at": s(any_time(&mut random)),
    })
}
