use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::error::Kind;
use crate::item::ItemReader;
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

fn row(item: &str) -> Row<'_> {
    ItemReader::new(&schema()).read_item(item.as_bytes()).unwrap()
}

fn key(number: usize) -> Key {
    Key::of(item(number).as_bytes(), &schema()).unwrap()
}

fn key_json(number: usize) -> String {
    format!(r#"{{"pk":{{"N":"{number}"}}}}"#)
}

fn builder(items: impl IntoIterator<Item = String>) -> BatchBuilder {
    let mut builder = BatchBuilder::puts(&table(), None);
    for item in items {
        builder.push(&row(&item));
    }
    builder
}

fn batch(items: impl IntoIterator<Item = String>) -> Batch {
    builder(items).finish()
}

fn deleting(numbers: impl IntoIterator<Item = usize>) -> BatchBuilder<Delete> {
    let mut builder = BatchBuilder::deletes(&table(), None);
    for number in numbers {
        builder.push(&key(number));
    }
    builder
}

fn deletes(numbers: impl IntoIterator<Item = usize>) -> Batch {
    deleting(numbers).finish()
}

/// The items of puts, the keys of deletes.
fn items(batch: &Batch) -> Vec<&[u8]> {
    batch.entries.iter().map(|entry| &batch.body[entry.json.clone()]).collect()
}

fn answer(unprocessed: &[String]) -> String {
    let put = |item: &String| format!(r#"{{"PutRequest":{{"Item":{item}}}}}"#);
    answer_of(unprocessed.iter().map(put).collect())
}

fn answer_to_deletes(unprocessed: &[String]) -> String {
    let delete = |key: &String| format!(r#"{{"DeleteRequest":{{"Key":{key}}}}}"#);
    answer_of(unprocessed.iter().map(delete).collect())
}

fn answer_of(requests: Vec<String>) -> String {
    format!(
        r#"{{"ConsumedCapacity":[{{"TableName":"orders","CapacityUnits":3.5}}],"UnprocessedItems":{{"orders":[{}]}}}}"#,
        requests.join(",")
    )
}

fn refusal(response: &str) -> String {
    refusal_by(batch([item(1)]), response)
}

fn refusal_by(batch: Batch, response: &str) -> String {
    let result = batch.unprocessed(response.as_bytes(), &schema());
    let error = result.map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), Kind::Retryable);
    format!("{error:#}")
}

#[test]
fn the_request_puts_the_very_bytes_of_each_item() {
    let body = batch([r#"{"pk":{"N":"1.50"}}"#.to_owned(), r#"{"pk":{"N":"2"}}"#.to_owned()]).request_body();
    assert_eq!(
        body,
        r#"{"RequestItems":{"orders":[{"PutRequest":{"Item":{"pk":{"N":"1.50"}}}},{"PutRequest":{"Item":{"pk":{"N":"2"}}}}]},"ReturnConsumedCapacity":"INDEXES"}"#
    );
}

#[test]
fn a_request_of_deletes_has_the_key_of_each_item_alone() {
    let expected = r#"{"RequestItems":{"orders":[{"DeleteRequest":{"Key":{"pk":{"N":"1"}}}},{"DeleteRequest":{"Key":{"pk":{"N":"2"}}}}]},"ReturnConsumedCapacity":"INDEXES"}"#;
    assert_eq!(deletes([1, 2]).request_body(), expected);
}

#[test]
fn a_batch_is_full_at_25_items() {
    let full = builder((0..MAX_ITEMS).map(item));
    assert!(!full.fits(&row(&item(99))));
    assert!(builder((1..MAX_ITEMS).map(item)).fits(&row(&item(99))));
    assert!(!deleting(0..MAX_ITEMS).fits(&key(99)));
    assert!(deleting(1..MAX_ITEMS).fits(&key(99)));
}

#[test]
fn a_batch_is_full_before_its_body_is_too_large_but_takes_any_first_item() {
    let large =
        |number: usize, bytes| format!(r#"{{"pk":{{"N":"{number}"}},"x":{{"S":"{}"}}}}"#, "x".repeat(bytes));
    let third = MAX_BODY_BYTES / 3;
    let mut builder = builder([large(1, third), large(2, third)]);
    assert!(!builder.fits(&row(&large(3, third))));
    assert!(BatchBuilder::puts(&table(), None).fits(&row(&large(3, 20 << 20))));
    let room =
        MAX_BODY_BYTES - builder.body.len() - TAIL.len() - Operation::Put.frame_bytes() - large(3, 0).len();
    assert!(!builder.fits(&row(&large(3, room + 1))));
    assert!(builder.fits(&row(&large(3, room))));
    builder.push(&row(&large(3, room)));
    assert_eq!(builder.finish().request_body().len(), MAX_BODY_BYTES);
}

#[test]
fn a_batch_is_full_before_it_takes_too_many_write_units_but_takes_any_first_item() {
    let large = |number: usize| format!(r#"{{"pk":{{"N":"{number}"}},"x":{{"S":"{}"}}}}"#, "x".repeat(1500));
    let mut builder = BatchBuilder::puts(&table(), Some(4));
    builder.push(&row(&large(1)));
    builder.push(&row(&item(2)));
    assert!(builder.fits(&row(&item(3))));
    assert!(!builder.fits(&row(&large(3))));
    assert_eq!(builder.finish().units(), 3);
    assert!(BatchBuilder::puts(&table(), Some(1)).fits(&row(&large(1))));
}

#[test]
fn a_delete_is_taken_to_cost_one_write_unit_however_long_its_key() {
    let by_text =
        KeySchema { partition: KeyAttribute { name: "pk".to_owned(), kind: KeyType::S }, sort: None };
    let long = format!(r#"{{"pk":{{"S":"{}"}}}}"#, "x".repeat(2048));
    let long = Key::of(long.as_bytes(), &by_text).unwrap();
    let mut builder = BatchBuilder::deletes(&table(), Some(2));
    builder.push(&long);
    assert!(builder.fits(&key(2)));
    builder.push(&key(2));
    assert!(!builder.fits(&key(3)));
    assert_eq!(builder.finish().units(), 2);
}

#[test]
fn a_finished_batch_leaves_a_builder_that_begins_anew() {
    let mut builder = builder([item(1), item(2)]);
    let first = builder.finish();
    assert!(builder.is_empty() && !builder.contains(row(&item(1)).key));
    builder.push(&row(&item(3)));
    let second = builder.finish();
    assert_eq!(second.request_body(), batch([item(3)]).request_body());
    assert_eq!((first.len(), second.len()), (2, 1));
    assert_eq!((first.units(), second.units()), (2, 1));
}

#[test]
fn the_keys_of_a_batch_are_those_of_its_items() {
    let batch = batch([item(2), item(1)]);
    let keys = [item(2), item(1)].map(|item| Key::of(item.as_bytes(), &schema()).unwrap());
    assert_eq!(batch.keys(&schema()).unwrap(), keys);
    assert_eq!(batch.key_hashes().collect::<Vec<_>>(), keys.each_ref().map(Key::hash128));
    let deletes = deletes([2, 1]);
    assert_eq!(deletes.keys(&schema()).unwrap(), keys);
    assert_eq!(deletes.key_hashes().collect::<Vec<_>>(), keys.map(|key| key.hash128()));
    let other = KeySchema { partition: KeyAttribute { name: "id".to_owned(), kind: KeyType::S }, sort: None };
    assert_eq!(batch.keys(&other).unwrap_err().kind(), Kind::Permanent);
}

#[test]
fn a_key_in_another_spelling_is_in_the_batch() {
    let builder = builder([item(1)]);
    assert!(builder.contains(row(r#"{"pk":{"N":"1.0"}}"#).key));
    assert!(!builder.contains(row(r#"{"pk":{"N":"2"}}"#).key));
    assert!(deleting([1]).contains(row(r#"{"pk":{"N":"1.0"}}"#).key));
    assert!(!deleting([1]).contains(key(2).hash128()));
}

#[test]
fn a_batch_of_which_all_is_unprocessed_keeps_its_body() {
    let response = answer(&[item(2), item(1)]);
    let whole = batch([item(1), item(2)]);
    let body = whole.request_body();
    let (left, _) = whole.unprocessed(response.as_bytes(), &schema()).unwrap();
    assert_eq!(left.request_body().as_ptr(), body.as_ptr());
}

#[test]
fn splitting_again_and_again_isolates_each_item() {
    let (first, second) = batch((0..5).map(item)).split();
    assert_eq!((first.len(), second.len()), (3, 2));
    let (one, none) = batch([item(1)]).split();
    assert_eq!((one.len(), none.len()), (1, 0));
    assert!(batch([]).split().0.is_empty());
}

#[test]
fn an_answer_without_unprocessed_items_leaves_nothing() {
    let response =
        br#"{"UnprocessedItems":{},"ConsumedCapacity":[{"TableName":"orders","CapacityUnits":2.0}]}"#;
    let (left, consumed) = batch([item(1)]).unprocessed(response, &schema()).unwrap();
    assert!(left.is_empty());
    assert_eq!(consumed, Some(Consumed { units: 2.0, table_units: 2.0 }));
    let (_, consumed) = batch([item(1)]).unprocessed(br#"{"UnprocessedItems":{}}"#, &schema()).unwrap();
    assert_eq!(consumed, None);
}

#[test]
fn what_a_local_index_takes_is_the_tables_and_what_a_global_one_takes_is_not() {
    let response = br#"{"UnprocessedItems":{},"ConsumedCapacity":[{"TableName":"orders","CapacityUnits":7.0,
        "Table":{"CapacityUnits":1.0},"LocalSecondaryIndexes":{"by-day":{"CapacityUnits":2.0}},
        "GlobalSecondaryIndexes":{"by-user":{"CapacityUnits":4.0}}}]}"#;
    let (_, consumed) = batch([item(1)]).unprocessed(response, &schema()).unwrap();
    assert_eq!(consumed, Some(Consumed { units: 7.0, table_units: 3.0 }));
}

#[test]
fn an_unprocessed_item_is_matched_by_its_key_and_keeps_its_own_bytes() {
    let response = answer(&[r#"{"x":{"S":"respelled"},"pk":{"N":"2.0"}}"#.to_owned()]);
    let (left, consumed) = batch((1..4).map(item)).unprocessed(response.as_bytes(), &schema()).unwrap();
    assert_eq!(items(&left), [item(2).as_bytes()]);
    assert_eq!(consumed, Some(Consumed { units: 3.5, table_units: 3.5 }));
}

#[test]
fn an_unprocessed_delete_is_matched_by_its_key_and_keeps_its_own_bytes() {
    let response = answer_to_deletes(&[r#"{"pk":{"N":"2.0"}}"#.to_owned()]);
    let (left, consumed) = deletes(1..4).unprocessed(response.as_bytes(), &schema()).unwrap();
    assert_eq!(left.request_body(), deletes([2]).request_body());
    assert_eq!(left.units(), 1);
    assert_eq!(consumed, Some(Consumed { units: 3.5, table_units: 3.5 }));
}

#[test]
fn what_is_left_of_deletes_still_refuses_puts() {
    let response = answer_to_deletes(&[key_json(1), key_json(2)]);
    let (left, _) = deletes(1..4).unprocessed(response.as_bytes(), &schema()).unwrap();
    let (first, _) = left.split();
    let text = refusal_by(first, &answer(&[item(1)]));
    assert!(text.ends_with("an unprocessed request is not a DeleteRequest"), "{text}");
}

#[test]
fn an_answer_of_the_other_kind_of_request_is_refused() {
    let text = refusal(&answer_to_deletes(&[key_json(1)]));
    assert!(text.ends_with("an unprocessed request is not a PutRequest"), "{text}");
    let both = r#"{"UnprocessedItems":{"orders":[{"PutRequest":{"Item":{"pk":{"N":"1"}}},"DeleteRequest":{"Key":{"pk":{"N":"1"}}}}]}}"#;
    for response in [answer(&[item(1)]), answer(&[key_json(1)]), both.to_owned()] {
        let text = refusal_by(deletes([1]), &response);
        assert!(text.ends_with("an unprocessed request is not a DeleteRequest"), "{text}");
    }
    assert!(refusal(both).ends_with("an unprocessed request is not a PutRequest"));
}

#[test]
fn an_answer_that_names_the_table_twice_is_refused() {
    let list = |number: usize| format!(r#""orders":[{{"PutRequest":{{"Item":{}}}}}]"#, item(number));
    let response = format!(r#"{{"UnprocessedItems":{{{},{}}}}}"#, list(1), list(2));
    let text = refusal_by(batch([item(1), item(2)]), &response);
    assert!(text.ends_with("it names a table twice"), "{text}");
    let other = response.replacen("orders", "secret", 1);
    assert!(refusal(&other).ends_with("it names another table"));
}

#[test]
fn an_answer_that_cannot_be_trusted_is_refused_without_its_data() {
    for response in [
        "",
        "{}",
        "[{},[]]",
        r#"{"UnprocessedItems":{"secret":[]}}"#,
        r#"{"UnprocessedItems":{"orders":[{"DeleteRequest":{"Key":{"pk":{"N":"1"}}}}]}}"#,
        r#"{"UnprocessedItems":{"orders":[{}]}}"#,
        r#"{"UnprocessedItems":{"orders":[{"PutRequest":null}]}}"#,
        r#"{"UnprocessedItems":{"orders":[],"orders":[]}}"#,
        r#"{"UnprocessedItems":{"orders":[{"PutRequest":{"Item":{"x":{"S":"secret"}}}}]}}"#,
        r#"{"UnprocessedItems":{"orders":[{"PutRequest":{"Item":"secret"}}]}}"#,
        r#"{"UnprocessedItems":"secret"}"#,
        r#"{"UnprocessedItems":[]}"#,
        r#"{"UnprocessedItems":null}"#,
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
        let (left, _) = batch((0..count).map(item)).unprocessed(response.as_bytes(), &schema()).unwrap();
        let expected: Vec<_> = (0..count).filter(|number| named.contains(number)).map(item).collect();
        prop_assert_eq!(items(&left), expected.iter().map(String::as_bytes).collect::<Vec<_>>());
        if !left.is_empty() {
            prop_assert_eq!(left.request_body(), batch(expected).request_body());
        }
    }

    #[test]
    fn what_is_left_of_deletes_is_what_the_answer_names_in_the_order_of_the_batch(
        count in 1..=MAX_ITEMS,
        names in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let named: Vec<_> = names.iter().map(|name| name.index(count)).collect();
        let response = answer_to_deletes(&named.iter().map(|number| key_json(*number)).collect::<Vec<_>>());
        let (left, _) = deletes(0..count).unprocessed(response.as_bytes(), &schema()).unwrap();
        let expected: Vec<_> = (0..count).filter(|number| named.contains(number)).collect();
        prop_assert_eq!(left.units(), expected.len() as u64);
        prop_assert_eq!(items(&left), expected.iter().map(|number| key_json(*number).into_bytes()).collect::<Vec<_>>());
    }

    #[test]
    fn the_request_is_json_that_holds_every_item(texts in prop::collection::vec("\\PC{0,30}", 1..25)) {
        let values: Vec<_> = texts.iter().enumerate().map(|(n, text)| json!({"pk": {"N": n.to_string()}, "x": {"S": text}})).collect();
        let body = batch(values.iter().map(Value::to_string)).request_body();
        let requests: Vec<_> = values.iter().map(|item| json!({"PutRequest": {"Item": item}})).collect();
        let expected = json!({"RequestItems": {"orders": requests}, "ReturnConsumedCapacity": "INDEXES"});
        prop_assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), expected);
    }

    #[test]
    fn a_request_of_deletes_is_json_that_holds_every_key(texts in prop::collection::hash_set("\\PC{0,30}", 1..25)) {
        let schema = KeySchema { partition: KeyAttribute { name: "pk".to_owned(), kind: KeyType::S }, sort: None };
        let values: Vec<_> = texts.iter().map(|text| json!({"pk": {"S": text}})).collect();
        let mut builder = BatchBuilder::deletes(&table(), None);
        for value in &values {
            builder.push(&Key::of(value.to_string().as_bytes(), &schema).unwrap());
        }
        let requests: Vec<_> = values.iter().map(|key| json!({"DeleteRequest": {"Key": key}})).collect();
        let expected = json!({"RequestItems": {"orders": requests}, "ReturnConsumedCapacity": "INDEXES"});
        prop_assert_eq!(serde_json::from_slice::<Value>(&builder.finish().request_body()).unwrap(), expected);
    }

    #[test]
    fn the_halves_of_a_batch_are_the_batch(count in 0..=MAX_ITEMS) {
        let (first, second) = batch((0..count).map(item)).split();
        prop_assert!(first.len() == count.div_ceil(2));
        let expected: Vec<_> = (0..count).map(item).collect();
        prop_assert_eq!([items(&first), items(&second)].concat(), expected.iter().map(String::as_bytes).collect::<Vec<_>>());
        let (first, second) = deletes(0..count).split();
        prop_assert!(first.len() == count.div_ceil(2));
        let expected: Vec<_> = (0..count).map(key_json).collect();
        prop_assert_eq!([items(&first), items(&second)].concat(), expected.iter().map(String::as_bytes).collect::<Vec<_>>());
    }

    #[test]
    fn no_answer_makes_it_panic(text in "[{}\\[\\]\":,UnprocesdItm0-9 ]{0,60}") {
        let _ = batch([item(1)]).unprocessed(text.as_bytes(), &schema());
        let _ = deletes([1]).unprocessed(text.as_bytes(), &schema());
    }
}
