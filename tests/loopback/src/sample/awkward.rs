//! The edge of what DynamoDB accepts: every table here is valid, and something about it is easy to get wrong.

mod attribute_names;
mod heavy;
mod keys;
mod numbers;
mod shapes;
mod table_names;
mod text;
mod values;

use super::SampleTable;

/// Every awkward table there is.
pub fn awkward() -> Vec<SampleTable> {
    [
        shapes::tables(),
        keys::tables(),
        table_names::tables(),
        values::tables(),
        attribute_names::tables(),
        vec![heavy::table()],
    ]
    .into_iter()
    .flatten()
    .collect()
}
