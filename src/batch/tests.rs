use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::error::Kind;
use crate::schema::{KeyAttribute, KeyType};

fn schema() -> KeySchema {
    KeySchema { partition: KeyAttribute { name: "pk".to_owned(), kind: KeyType::N }, sort: None }
}

fn table() -> TableName {
    TableName::parse("orders").unwrap()
}

fn item(number: usize) -> String {
    format!(r#"{{"pk":{{"N":"{number}"}},"x":{{"S":"secret \"{number}"}}}}"#)
}

fn key(item: &str) -> Key {
    Key::of(item.as_bytes(), &schema()).unwrap()
}

fn batch(items: impl IntoIterator<Item = String>) -> Batch {
    let mut batch = Batch::default();
    for item in items {
        let key = key(&item);
        batch.push(Bytes::from(item), key);
    }
    batch
}

fn items(batch: &Batch) -> Vec<&[u8]> {
    batch.entries.iter().map(|entry| entry.item.as_ref()).collect()
}

fn answer(unprocessed: &[String]) -> String {
    let requests: Vec<_> =
        unprocessed.iter().map(|item| format!(r#"{{"PutRequest":{{"Item":{item}}}}}"#)).collect();
    format!(
        r#"{{"ConsumedCapacity":[{{"TableName":"orders","CapacityUnits":3.5}}],"UnprocessedItems":{{"orders":[{}]}}}}"#,
        requests.join(",")
    )
}

fn refusal(response: &str) -> String {
    let result = batch([item(1)]).unprocessed(response.as_bytes(), &table(), &schema());
    let error = result.map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), Kind::Retryable);
    format!("{error:#}")
}

#[test]
fn the_request_puts_the_very_bytes_of_each_item() {
    let body =
        batch([r#"{"pk":{"N":"1.50"}}"#.to_owned(), r#"{"pk":{"N":"2"}}"#.to_owned()]).request_body(&table());
    assert_eq!(
        body,
        r#"{"RequestItems":{"orders":[{"PutRequest":{"Item":{"pk":{"N":"1.50"}}}},{"PutRequest":{"Item":{"pk":{"N":"2"}}}}]},"ReturnConsumedCapacity":"TOTAL"}"#
    );
}

#[test]
fn a_batch_is_full_at_25_items() {
    let full = batch((0..MAX_ITEMS).map(item));
    assert!(!full.fits(item(99).as_bytes()));
    assert!(batch((1..MAX_ITEMS).map(item)).fits(item(99).as_bytes()));
}

#[test]
fn a_batch_is_full_before_its_body_is_too_large_but_takes_any_first_item() {
    let large =
        |number: usize, bytes| format!(r#"{{"pk":{{"N":"{number}"}},"x":{{"S":"{}"}}}}"#, "x".repeat(bytes));
    let third = MAX_BODY_BYTES / 3;
    let batch = batch([large(1, third), large(2, third)]);
    assert!(batch.fits(large(3, third - 1000).as_bytes()));
    assert!(!batch.fits(large(3, third).as_bytes()));
    assert!(Batch::default().fits(large(3, 20 << 20).as_bytes()));
}

#[test]
fn a_key_in_another_spelling_is_in_the_batch() {
    let batch = batch([item(1)]);
    assert!(batch.contains(&key(r#"{"pk":{"N":"1.0"}}"#)));
    assert!(!batch.contains(&key(r#"{"pk":{"N":"2"}}"#)));
}

#[test]
fn splitting_again_and_again_isolates_each_item() {
    let (first, second) = batch((0..5).map(item)).split();
    assert_eq!((first.len(), second.len()), (3, 2));
    let (one, none) = batch([item(1)]).split();
    assert_eq!((one.len(), none.len()), (1, 0));
    assert!(Batch::default().split().0.is_empty());
}

#[test]
fn an_answer_without_unprocessed_items_leaves_nothing() {
    let response =
        br#"{"UnprocessedItems":{},"ConsumedCapacity":[{"CapacityUnits":2.0},{"TableName":"orders"}]}"#;
    let (left, units) = batch([item(1)]).unprocessed(response, &table(), &schema()).unwrap();
    assert!(left.is_empty());
    assert_eq!(units, 2.0);
    let (_, units) =
        batch([item(1)]).unprocessed(br#"{"UnprocessedItems":{}}"#, &table(), &schema()).unwrap();
    assert_eq!(units, 0.0);
}

#[test]
fn an_unprocessed_item_is_matched_by_its_key_and_keeps_its_own_bytes() {
    let response = answer(&[r#"{"x":{"S":"respelled"},"pk":{"N":"2.0"}}"#.to_owned()]);
    let (left, units) =
        batch((1..4).map(item)).unprocessed(response.as_bytes(), &table(), &schema()).unwrap();
    assert_eq!(items(&left), [item(2).as_bytes()]);
    assert_eq!(units, 3.5);
}

#[test]
fn an_answer_that_cannot_be_trusted_is_refused_without_its_data() {
    for response in [
        "",
        "{}",
        "[{},[]]",
        r#"{"UnprocessedItems":{"secret":[]}}"#,
        r#"{"UnprocessedItems":{"orders":[{"DeleteRequest":{"Key":{"pk":{"N":"1"}}}}]}}"#,
        r#"{"UnprocessedItems":{"orders":[{"PutRequest":{"Item":{"x":{"S":"secret"}}}}]}}"#,
        r#"{"UnprocessedItems":{"orders":[{"PutRequest":{"Item":"secret"}}]}}"#,
        r#"{"UnprocessedItems":"secret"}"#,
        &answer(&[item(2)]),
        &answer(&[item(1)])[..90],
    ] {
        let text = refusal(response);
        assert!(text.starts_with("the answer is not a BatchWriteItem response: "), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
}

proptest! {
    #[test]
    fn what_is_left_is_what_the_answer_names_in_the_order_of_the_batch(
        count in 1..=MAX_ITEMS,
        names in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        // Items may be named twice and in any order.
        let named: Vec<_> = names.iter().map(|name| name.index(count)).collect();
        let response = answer(&named.iter().map(|number| item(*number)).collect::<Vec<_>>());
        let (left, _) = batch((0..count).map(item)).unprocessed(response.as_bytes(), &table(), &schema()).unwrap();
        let expected: Vec<_> = (0..count).filter(|number| named.contains(number)).map(item).collect();
        prop_assert_eq!(items(&left), expected.iter().map(String::as_bytes).collect::<Vec<_>>());
    }

    #[test]
    fn the_request_is_json_that_holds_every_item_and_stays_below_what_was_counted(texts in prop::collection::vec("\\PC{0,30}", 0..25)) {
        let values: Vec<_> = texts.iter().enumerate().map(|(n, text)| json!({"pk": {"N": n.to_string()}, "x": {"S": text}})).collect();
        let batch = batch(values.iter().map(Value::to_string));
        let body = batch.request_body(&table());
        prop_assert!(body.len() <= batch.body_bytes());
        let requests: Vec<_> = values.iter().map(|item| json!({"PutRequest": {"Item": item}})).collect();
        let expected = json!({"RequestItems": {"orders": requests}, "ReturnConsumedCapacity": "TOTAL"});
        prop_assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), expected);
    }

    #[test]
    fn the_halves_of_a_batch_are_the_batch(count in 0..=MAX_ITEMS) {
        let (first, second) = batch((0..count).map(item)).split();
        prop_assert!(first.len() == count.div_ceil(2));
        let expected: Vec<_> = (0..count).map(item).collect();
        prop_assert_eq!([items(&first), items(&second)].concat(), expected.iter().map(String::as_bytes).collect::<Vec<_>>());
    }

    #[test]
    fn no_answer_makes_it_panic(text in "[{}\\[\\]\":,UnprocesdItm0-9 ]{0,60}") {
        let _ = batch([item(1)]).unprocessed(text.as_bytes(), &table(), &schema());
    }
}
