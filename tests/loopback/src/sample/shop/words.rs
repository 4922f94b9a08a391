//! Names, identifiers and times that the tables of the shop share, so that they refer to one another.

use crate::random::Random;

pub(super) const CUSTOMERS: usize = 800;
pub(super) const PRODUCTS: usize = 400;
pub(super) const ORDERS: usize = 1_000;

/// 2025-01-01T00:00:00Z, when the shop opened, in seconds of Unix time.
const OPENING_SECONDS: u64 = 1_735_689_600;
const DAY_SECONDS: u64 = 86_400;

const FIRST_NAMES: [&str; 12] =
    ["Ada", "Bruno", "Chloé", "Dmitri", "Elif", "Femke", "Gao", "Hanna", "Íñigo", "Jürgen", "Keiko", "Łucja"];
const LAST_NAMES: [&str; 10] =
    ["Almeida", "Baker", "Čapek", "de Vries", "Eriksson", "Fischer", "García", "Haddad", "Ito", "O'Neill"];
const QUALITIES: [&str; 8] =
    ["Enamel", "Oak", "Woollen", "Copper", "Linen", "Folding", "Waterproof", "Recycled"];
const OBJECTS: [&str; 8] = ["Kettle", "Chair", "Blanket", "Lantern", "Apron", "Table", "Jacket", "Notebook"];

pub(super) fn customer_id(index: usize) -> String {
    format!("cus-{:05}", index + 1)
}

pub(super) fn order_id(index: usize) -> String {
    format!("ord-{:06}", index + 1)
}

pub(super) fn sku(index: usize) -> String {
    format!("SKU-{:05}", index + 1)
}

pub(super) fn any_customer(random: &mut Random) -> String {
    customer_id(random.below(CUSTOMERS as u64) as usize)
}

pub(super) fn any_sku(random: &mut Random) -> String {
    sku(random.below(PRODUCTS as u64) as usize)
}

pub(super) fn person(random: &mut Random) -> String {
    format!("{} {}", random.pick(&FIRST_NAMES), random.pick(&LAST_NAMES))
}

pub(super) fn product(random: &mut Random) -> String {
    format!("{} {}", random.pick(&QUALITIES), random.pick(&OBJECTS))
}

/// A second in the first 300 days of the shop, as Unix time.
pub(super) fn any_second(random: &mut Random) -> u64 {
    OPENING_SECONDS + random.below(300 * DAY_SECONDS)
}

/// Such a second as text, `2025-03-09T17:04:31Z`.
pub(super) fn any_time(random: &mut Random) -> String {
    let second = any_second(random) % DAY_SECONDS;
    let day = date(random.below(300));
    format!("{day}T{:02}:{:02}:{:02}Z", second / 3_600, second / 60 % 60, second % 60)
}

/// The date `days` after the shop opened, within 2025: `2025-03-09`.
pub(super) fn date(days: u64) -> String {
    const MONTH_DAYS: [u64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let (mut month, mut day) = (0, days);
    while day >= MONTH_DAYS[month] {
        day -= MONTH_DAYS[month];
        month += 1;
    }
    format!("2025-{:02}-{:02}", month + 1, day + 1)
}
