//! Sample tables: an online shop for the quick start, and every awkward table a test can ask for.
//!
//! All of it is seeded. Two calls give the same tables with the same items in the same order, and an
//! item depends only on its table and its place in it. [`shop()`] is a shop worth looking at, [`awkward()`]
//! is the edge of what DynamoDB accepts, [`many()`] is about the number of tables, and [`large()`] is about
//! the number of items.

mod attribute;
mod awkward;
mod events;
mod load;
mod schema;
mod shop;
mod size;
mod tenants;
#[cfg(test)]
mod tests;

use serde_json::Value;

pub use awkward::awkward;
pub use events::large;
pub use shop::shop;
pub use tenants::many;

use schema::Create;

/// One table: a CreateTable request in DynamoDB's JSON, and its items in DynamoDB JSON.
pub struct SampleTable {
    /// The body of a CreateTable request, complete.
    pub create: Value,
    /// The items, made one at a time as they are taken. No two have the same key.
    pub items: Box<dyn Iterator<Item = Value> + Send>,
}

impl SampleTable {
    /// The name in the CreateTable request.
    pub fn name(&self) -> &str {
        self.create["TableName"].as_str().expect("Create::table puts the name in")
    }

    /// A table whose `count` items are made by `item` from their index.
    fn generated(create: Create, count: usize, item: impl Fn(usize) -> Value + Send + 'static) -> Self {
        Self { create: create.request(), items: Box::new((0..count).map(item)) }
    }

    /// A table with exactly these items.
    fn listed(create: Create, items: Vec<Value>) -> Self {
        Self { create: create.request(), items: Box::new(items.into_iter()) }
    }
}
