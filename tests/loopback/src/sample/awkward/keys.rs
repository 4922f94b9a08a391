//! Keys of every type: twelve tables, from `keys-s` to `keys-b-b`.

use serde_json::{Value, json};

use super::{numbers, text};
use crate::sample::SampleTable;
use crate::sample::attribute::{b, n, s, ss};
use crate::sample::schema::Create;

/// The longest key values, in bytes. Source: "Constraints in Amazon DynamoDB", Developer Guide.
const PARTITION_KEY_BYTES: usize = 2_048;
const SORT_KEY_BYTES: usize = 1_024;

const KINDS: [&str; 3] = ["S", "N", "B"];

pub(super) fn tables() -> Vec<SampleTable> {
    let simple = KINDS.into_iter().map(simple);
    let composite =
        KINDS.into_iter().flat_map(|hash| KINDS.into_iter().map(move |sort| composite(hash, sort)));
    simple.chain(composite).collect()
}

fn simple(hash: &str) -> SampleTable {
    let create = Create::table(&format!("keys-{}", hash.to_lowercase()), ("pk", hash));
    let items =
        values(hash, PARTITION_KEY_BYTES).into_iter().map(|pk| json!({ "pk": pk, "look_alike": s("1") }));
    SampleTable::listed(create, items.collect())
}

fn composite(hash: &str, sort: &str) -> SampleTable {
    let name = format!("keys-{}-{}", hash.to_lowercase(), sort.to_lowercase());
    let create = Create::table(&name, ("pk", hash)).sort(("sk", sort));
    SampleTable::listed(create, pairs(&values(hash, PARTITION_KEY_BYTES), &values(sort, SORT_KEY_BYTES)))
}

/// Every seventh pair: each value appears, partitions hold several items, and the table stays small.
fn pairs(hashes: &[Value], sorts: &[Value]) -> Vec<Value> {
    let pairs = hashes.iter().enumerate().flat_map(|(i, pk)| {
        sorts.iter().enumerate().filter(move |(j, _)| (i + j).is_multiple_of(7)).map(move |(_, sk)| (pk, sk))
    });
    pairs.map(|(pk, sk)| json!({ "pk": pk, "sk": sk, "1": n(1), "01": b("1"), "1.0": ss(["1"]) })).collect()
}

/// Key values of one type, among them `1` in each type and one of the greatest length.
fn values(kind: &str, longest_bytes: usize) -> Vec<Value> {
    match kind {
        "S" => text::texts().into_iter().chain(["k".repeat(longest_bytes)]).map(s).collect(),
        "N" => numbers::DISTINCT.iter().map(n).collect(),
        _ => binaries().into_iter().chain([vec![0xFF; longest_bytes]]).map(b).collect(),
    }
}

/// Bytes that are no text, that are text, that encode with `+` and `/`, and with each length of padding.
pub(super) fn binaries() -> Vec<Vec<u8>> {
    vec![
        b"1".to_vec(),
        b"MQ==".to_vec(),
        "caf\u{e9}".as_bytes().to_vec(),
        "cafe\u{301}".as_bytes().to_vec(),
        b"line\nbreak".to_vec(),
        b"trailing ".to_vec(),
        vec![0x00],
        vec![0x00, 0x00],
        vec![0x00, 0x00, 0x00],
        vec![0x01],
        vec![0x7F],
        vec![0x80],
        vec![0xFF],
        vec![0xFF, 0x00],
        vec![0xC3, 0x28],
        vec![0xED, 0xA0, 0x80],
        vec![0xFB, 0xEF, 0xBE, 0xFF],
        (0..=255).collect(),
    ]
}
