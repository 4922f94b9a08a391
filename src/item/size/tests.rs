use super::*;
use crate::item::walk;

fn size(item: &str) -> Option<u64> {
    let mut size = Size::default();
    walk::item(item.as_bytes(), &mut size).unwrap();
    size.bytes()
}

/// Of a value under an empty name.
fn value(json: &str) -> u64 {
    size(&format!(r#"{{"":{json}}}"#)).unwrap()
}

#[test]
fn names_and_strings_count_as_utf8_however_they_are_escaped() {
    assert_eq!(size(r#"{"name":{"S":"value"}}"#), Some(9));
    assert_eq!(size(r#"{"gr\u00f6ße":{"S":"\ud83e\udd80\n\/日"}}"#), Some(7 + 4 + 1 + 1 + 3));
    assert_eq!(value(r#"{"S":""}"#), 0);
    assert_eq!(size("{}"), Some(0));
}

#[test]
fn a_number_takes_a_byte_for_two_digits_on_each_side_of_the_point_and_one_more() {
    for (number, bytes) in [
        ("0", 1),
        ("-0.00", 1),
        ("7", 2),
        ("42", 2),
        ("-42", 3),
        ("100", 2),
        ("1E+125", 2),
        ("123", 3),
        ("0.5", 2),
        ("0.0005", 2),
        ("1.5", 3),
        ("10.05", 3),
        ("+0001.500", 3),
        ("12345678901234567890123456789012345678", 20),
        ("-0.12345678901234567890123456789012345678", 21),
        ("1\\u0032", 2),
    ] {
        assert_eq!(value(&format!(r#"{{"N":"{number}"}}"#)), bytes, "{number}");
    }
}

#[test]
fn a_binary_value_counts_without_its_base64() {
    for (base64, bytes) in [("", 0), ("AA==", 1), ("AAE=", 2), ("AAEC", 3), ("AAECAw==", 4), (r"\/\/8=", 2)] {
        assert_eq!(value(&format!(r#"{{"B":"{base64}"}}"#)), bytes, "{base64}");
    }
}

#[test]
fn collections_count_what_is_in_them_and_maps_and_lists_some_more() {
    assert_eq!(value(r#"{"BOOL":false}"#), 1);
    assert_eq!(value(r#"{"NULL":true}"#), 1);
    assert_eq!(value(r#"{"M":{}}"#), 3);
    assert_eq!(value(r#"{"L":[]}"#), 3);
    assert_eq!(value(r#"{"L":[{"S":"ab"},{"NULL":true}]}"#), 3 + 1 + 2 + 1 + 1);
    assert_eq!(value(r#"{"M":{"abc":{"N":"1"},"d":{"L":[]}}}"#), 3 + 1 + 3 + 2 + 1 + 1 + 3);
    assert_eq!(value(r#"{"SS":["a","bc"]}"#), 3);
    assert_eq!(value(r#"{"NS":["1","-2.5"]}"#), 2 + 4);
    assert_eq!(value(r#"{"BS":["AA==","AAEC"]}"#), 4);
    assert_eq!(value(r#"{"SS":[]}"#), 0);
}

#[test]
fn an_item_with_a_number_that_is_none_has_no_size() {
    for bad in [r#"{"x":{"N":"secret"}}"#, r#"{"x":{"NS":["1",""]}}"#, r#"{"x":{"L":[{"N":"1e"}]}}"#] {
        assert_eq!(size(bad), None);
    }
}

#[test]
fn a_put_takes_a_write_unit_for_each_kb_begun_and_one_at_least() {
    for (bytes, units) in [(0, 1), (1, 1), (1024, 1), (1025, 2), (400 * 1024, 400)] {
        assert_eq!(write_units(bytes), units, "{bytes}");
    }
}
