use proptest::prelude::*;

use super::*;
use crate::item::ItemReader;
use crate::schema::{KeyAttribute, KeySchema, KeyType};

fn content(item: &str) -> ContentHash {
    let schema =
        KeySchema { partition: KeyAttribute { name: "pk".to_owned(), kind: KeyType::S }, sort: None };
    let line = format!(r#"{{"Item":{item}}}"#);
    ItemReader::new(&schema).read_line_with_content(line.as_bytes()).unwrap().1
}

fn hashes(numbers: &[u16]) -> Vec<ContentHash> {
    numbers.iter().map(|number| content(&format!(r#"{{"pk":{{"S":"{number}"}}}}"#))).collect()
}

fn digest(items: &[ContentHash]) -> Digest {
    let mut digest = Digest::default();
    items.iter().for_each(|item| digest.add_item(*item));
    digest
}

#[test]
fn the_digest_of_items_is_what_it_has_always_been() {
    let items = [r#"{"pk":{"S":"a"},"n":{"N":"1.0"}}"#, r#"{"pk":{"S":"b"}}"#].map(content);
    let json = r#"{"items":2,"sum":"fe1ba220046cf577016906a149f41105"}"#;
    assert_eq!(serde_json::to_string(&digest(&items)).unwrap(), json);
    assert_eq!(serde_json::from_str::<Digest>(json).unwrap(), digest(&items));
    assert_eq!(digest(&items).to_string(), "2 items with the sum fe1ba220046cf577016906a149f41105");
}

#[test]
fn nothing_has_the_digest_zero() {
    let json = r#"{"items":0,"sum":"00000000000000000000000000000000"}"#;
    assert_eq!(serde_json::to_string(&Digest::default()).unwrap(), json);
}

#[test]
fn a_sum_that_is_not_32_lower_case_hexadecimal_digits_is_refused() {
    for sum in
        ["", "0", "+0000000000000000000000000000000", &"A".repeat(32), &"0".repeat(33), &"é".repeat(16)]
    {
        let json = format!(r#"{{"items":1,"sum":"{sum}"}}"#);
        let error = serde_json::from_str::<Digest>(&json).unwrap_err().to_string();
        assert!(error.starts_with("a sum is 32 lower-case hexadecimal digits"), "{error}");
    }
}

#[test]
fn sums_and_counts_go_on_at_zero_behind_their_largest_value() {
    let largest = Digest { items: u64::MAX, sum: u128::MAX };
    assert_eq!([largest, Digest { items: 1, sum: 1 }].into_iter().sum::<Digest>(), Digest::default());
}

proptest! {
    #[test]
    fn neither_the_order_of_items_nor_of_partial_sums_counts(
        numbers in prop::collection::vec(any::<u16>(), 0..12), other in any::<u64>(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 3),
    ) {
        let mut items = hashes(&numbers);
        let whole = digest(&items);
        items.sort_by_key(|item| item.as_u128().wrapping_mul(u128::from(other) | 1));
        prop_assert_eq!(digest(&items), whole);
        let mut parts = vec![items.as_slice()];
        for cut in cuts {
            let part = parts.remove(0);
            let (left, right) = part.split_at(cut.index(part.len() + 1));
            parts.extend([right, left]);
        }
        prop_assert_eq!(parts.into_iter().map(digest).sum::<Digest>(), whole);
        prop_assert_eq!(whole.items, numbers.len() as u64);
    }

    #[test]
    fn an_item_lost_doubled_or_replaced_shows(
        numbers in prop::collection::vec(any::<u16>(), 1..12), place in any::<prop::sample::Index>(), new in any::<u16>(),
    ) {
        let items = hashes(&numbers);
        let (whole, place) = (digest(&items), place.index(items.len()));
        prop_assume!(numbers[place] != new);
        let with = |new: &[ContentHash]| digest(&[&items[..place], new, &items[place + 1..]].concat());
        prop_assert_ne!(with(&[]), whole);
        prop_assert_ne!(with(&[items[place], items[place]]), whole);
        prop_assert_ne!(with(&hashes(&[new])).sum, whole.sum);
    }

    #[test]
    fn a_digest_survives_its_json(items in any::<u64>(), sum in any::<u128>()) {
        let digest = Digest { items, sum };
        prop_assert_eq!(serde_json::from_str::<Digest>(&serde_json::to_string(&digest).unwrap()).unwrap(), digest);
    }
}
