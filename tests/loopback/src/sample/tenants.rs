//! Many small tables, for the code that lists them page by page.

use serde_json::{Value, json};

use super::SampleTable;
use super::attribute::{boolean, n, s, ss};
use super::schema::Create;
use crate::random::Random;

/// `n` small tables, `tenant-0001.settings` and so on, of 0 to 20 items each. ListTables gives 100 at a time.
pub fn many(n: usize) -> Vec<SampleTable> {
    (1..=n).map(settings).collect()
}

fn settings(tenant: usize) -> SampleTable {
    let name = format!("tenant-{tenant:04}.settings");
    let count = Random::of(&name, 0).below(21) as usize;
    SampleTable::generated(Create::table(&name, ("setting", "S")), count, move |index| setting(tenant, index))
}

fn setting(tenant: usize, index: usize) -> Value {
    let mut random = Random::of("settings", tenant * 100 + index);
    let value = match index % 4 {
        0 => boolean(random.once_in(2)),
        1 => n(random.below(1_000)),
        2 => s(random.pick(&["en-GB", "de-DE", "fr-FR", "nl-NL"])),
        _ => ss(["orders", "returns", &format!("queue-{}", random.below(9))]),
    };
    json!({ "setting": s(format!("setting-{index:02}")), "value": value, "tenant": n(tenant) })
}
