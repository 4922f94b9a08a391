//! An online shop: what a team's account looks like, small enough to back up in seconds.

mod catalogue;
mod operations;
mod people;
mod sales;
mod words;

use super::SampleTable;

/// A dozen realistic tables, 12,000 items in all.
pub fn shop() -> Vec<SampleTable> {
    vec![
        sales::orders(),
        people::customers(),
        catalogue::products(),
        catalogue::inventory(),
        sales::carts(),
        people::sessions(),
        sales::payments(),
        catalogue::reviews(),
        sales::shipments(),
        operations::audit_log(),
        operations::feature_flags(),
        sales::coupons(),
    ]
}
