//! Who buys: customers, and their sessions in the web shop.

use serde_json::{Value, json};

use super::words::{CUSTOMERS, any_customer, any_second, any_time, customer_id, person};
use crate::random::Random;
use crate::sample::SampleTable;
use crate::sample::attribute::{b, boolean, m, n, nothing, s, ss};
use crate::sample::schema::{Create, Projection};

/// How long a session lives: far beyond any test that enables time to live, which then deletes nothing.
const SESSION_SECONDS: u64 = 20 * 365 * 86_400;

pub(super) fn customers() -> SampleTable {
    let create = Create::table("customers", ("customer_id", "S")).global(
        "by-email",
        &[("email", "S")],
        Projection::KeysOnly,
    );
    SampleTable::generated(create, CUSTOMERS, customer)
}

fn customer(index: usize) -> Value {
    let mut random = Random::of("customers", index);
    let phone = format!("+49 30 {:07}", random.below(10_000_000));
    let house = random.below(200);
    json!({
        "customer_id": s(customer_id(index)),
        "name": s(person(&mut random)),
        "email": s(format!("{}@example.com", customer_id(index))),
        "joined_at": s(any_time(&mut random)),
        "loyalty_points": n(random.below(5_000)),
        "newsletter": boolean(random.once_in(2)),
        "phone": if random.once_in(3) { nothing() } else { s(phone) },
        "interests": ss([random.pick(&["cooking", "hiking"]), random.pick(&["reading", "gardening"])]),
        "address": m(json!({
            "street": s(format!("{} {house}", random.pick(&["Rua Nova", "Lindenstraße", "Main Street"]))),
            "city": s(random.pick(&["Porto", "Berlin", "Dublin"])),
        })),
    })
}

pub(super) fn sessions() -> SampleTable {
    SampleTable::generated(Create::table("sessions", ("session_id", "S")), 900, session)
}

fn session(index: usize) -> Value {
    let mut random = Random::of("sessions", index);
    let started = any_second(&mut random);
    json!({
        "session_id": s(random.hex(32)),
        "customer_id": s(any_customer(&mut random)),
        "started_at": n(started),
        "expires_at": n(started + SESSION_SECONDS),
        "token": b(random.bytes(48)),
        "locale": s(random.pick(&["en-GB", "de-DE", "pt-PT", "ar-EG"])),
    })
}
