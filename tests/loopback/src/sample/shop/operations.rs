//! How the shop is run: the audit log and the feature flags.

use serde_json::{Value, json};

use super::words::{any_customer, date, person};
use crate::random::Random;
use crate::sample::SampleTable;
use crate::sample::attribute::{boolean, m, n, s, ss};
use crate::sample::schema::Create;

const AUDIT_ENTRIES: usize = 1_892;
const AUDIT_ENTRIES_PER_DAY: usize = 11;

const FLAGS: [&str; 8] = [
    "checkout.one-page",
    "checkout.invoice",
    "search.synonyms",
    "search.typo-tolerance",
    "catalogue.dark-mode",
    "catalogue.reviews-first",
    "delivery.parcel-lockers",
    "delivery.cargo-bikes",
];

/// Written every day and hardly ever read, so it is kept in the cheaper table class.
pub(super) fn audit_log() -> SampleTable {
    let create = Create::table("audit-log", ("day", "S")).sort(("sequence", "N")).infrequent_access();
    SampleTable::generated(create, AUDIT_ENTRIES, audit_entry)
}

fn audit_entry(index: usize) -> Value {
    let mut random = Random::of("audit-log", index);
    json!({
        "day": s(date((index / AUDIT_ENTRIES_PER_DAY) as u64)),
        "sequence": n(index % AUDIT_ENTRIES_PER_DAY + 1),
        "actor": s(person(&mut random)),
        "action": s(random.pick(&["refund.approved", "price.changed", "customer.erased", "login.failed"])),
        "subject": s(any_customer(&mut random)),
        "change": m(json!({ "before": n(random.money(1, 99)), "after": n(random.money(1, 99)) })),
    })
}

pub(super) fn feature_flags() -> SampleTable {
    SampleTable::generated(Create::table("feature_flags", ("flag", "S")), FLAGS.len(), flag)
}

fn flag(index: usize) -> Value {
    json!({
        "flag": s(FLAGS[index]),
        "enabled": boolean(index % 3 != 2),
        "share": n(format!("0.{}", index + 1)),
        "audiences": ss(["staff", if index.is_multiple_of(2) { "everyone" } else { "loyal-customers" }]),
    })
}
