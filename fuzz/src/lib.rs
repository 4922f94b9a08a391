//! What is asked of everything in `dynamodb-backup` that reads bytes from outside: each module has a `check`, which
//! panics when an input shows that it does not hold.
//!
//! The targets of libFuzzer call them with what it makes up, `tests/corpus.rs` with the inputs that are kept.

pub mod batch;
pub mod config;
pub mod item;
pub mod key;
pub mod manifest;
pub mod message;
pub mod page;
pub mod part;
pub mod record;
pub mod table;

/// Where `item::reference` looks for it, as it does in its own crate.
use dynamodb_backup::schema;

/// The text before the first line break, and what follows that.
fn first_line(text: &str) -> (&str, &str) {
    text.split_once('\n').unwrap_or((text, ""))
}
