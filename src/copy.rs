//! The live copy: how it differs from its archive, and how it is brought to it.
//!
//! DynamoDB assigns items to segments by a hash of the partition key, and two tables that are scanned in the same
//! number of segments agree on it. AWS does not promise that. So it is used, and checked: a segment of the copy
//! is compared with the same segment of the archive, and what is in the copy alone is not taken to be *extra*
//! before every other segment has shown that it does not miss it.

pub mod compare;
pub mod index;
pub mod segment;
pub mod writer;
