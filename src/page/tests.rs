mod responses;

use proptest::prelude::*;
use serde_json::{Value, json};

use self::responses::{any_response, item, response};
use super::*;
use crate::error::Kind;

fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<PageReader> {
    let mut reader = PageReader::reusing(b"of the page before".to_vec());
    for piece in pieces {
        reader.feed(piece)?;
    }
    Ok(reader)
}

fn unverified(body: &[u8]) -> Result<Page> {
    read([body])?.finish_unverified()
}

/// Both ways to end a response must agree on a sound one.
fn page(body: &str) -> Page {
    let page = read([body.as_bytes()]).unwrap().finish().unwrap();
    assert_eq!(lines(&page), lines(&unverified(body.as_bytes()).unwrap()));
    page
}

fn lines(page: &Page) -> &str {
    std::str::from_utf8(page.lines()).unwrap()
}

fn refusal(body: &str) -> String {
    let error = read([body.as_bytes()]).and_then(PageReader::finish).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), Kind::Retryable);
    let text = error.to_string();
    assert!(text.starts_with("the page is not a Scan response: "), "{text}");
    text
}

/// Lines, key and units as a full parse of the whole body finds them, or none when it is no Scan response.
fn reference(body: &[u8]) -> Option<(String, Option<String>, f64)> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Response<'a> {
        #[serde(borrow)]
        items: Vec<&'a RawValue>,
        count: usize,
        #[serde(borrow)]
        last_evaluated_key: Option<&'a RawValue>,
        consumed_capacity: Option<ConsumedCapacity>,
    }
    let response: Response<'_> = serde_json::from_slice(body).ok()?;
    let mut values = response.items.iter().chain(&response.last_evaluated_key);
    let is_sound = body.trim_ascii_start().starts_with(b"{")
        && values.all(|value| value.get().starts_with('{'))
        && response.items.len() == response.count;
    let line = |item: &&RawValue| format!("{{\"Item\":{}}}\n", item.get().replace(['\n', '\r'], " "));
    let units = response.consumed_capacity.map_or(0.0, |capacity| capacity.capacity_units);
    is_sound.then(|| {
        let key = response.last_evaluated_key.map(|key| key.get().to_owned());
        (response.items.iter().map(line).collect(), key, units)
    })
}

fn found(page: &Page) -> (String, Option<String>, f64) {
    let key = page.last_evaluated_key().map(|key| key.get().to_owned());
    (lines(page).to_owned(), key, page.consumed_units().unwrap_or_default())
}

#[test]
fn items_and_key_are_the_very_bytes_of_the_response() {
    let page = page(
        r#"{"ConsumedCapacity":{"TableName":"t","CapacityUnits":128.5},"Count":2,"Items":[{"pk":{"N":"525.40"}}, {"pk" :{"S":"\u00e9\/]}"}}],"LastEvaluatedKey":{"pk":{"S":"\u00e9\/]}"}},"ScannedCount":2}"#,
    );
    assert_eq!(
        lines(&page),
        "{\"Item\":{\"pk\":{\"N\":\"525.40\"}}}\n{\"Item\":{\"pk\" :{\"S\":\"\\u00e9\\/]}\"}}}\n"
    );
    assert_eq!(page.last_evaluated_key().unwrap().get(), r#"{"pk":{"S":"\u00e9\/]}"}}"#);
    assert_eq!((page.len(), page.is_empty(), page.consumed_units()), (2, false, Some(128.5)));
}

#[test]
fn an_empty_last_page_has_no_items_no_key_and_no_cost() {
    for body in
        [r#"{"Count":0,"Items":[],"ScannedCount":0}"#, r#"{"Items":[ ],"LastEvaluatedKey":null,"Count":0}"#]
    {
        let page = page(body);
        assert!(page.is_empty() && page.last_evaluated_key().is_none() && page.lines().is_empty());
        assert_eq!(page.consumed_units(), None);
    }
}

#[test]
fn an_item_of_several_lines_becomes_one_line_with_the_same_meaning() {
    let page = page("{\"Count\":1,\"Items\":[{\r\n  \"pk\" : {\n\"S\":\t\"a\\nb\"\n}\n}\n]}");
    assert_eq!(lines(&page), "{\"Item\":{    \"pk\" : { \"S\":\t\"a\\nb\" } }}\n");
}

#[test]
fn a_line_break_within_a_token_does_not_heal_it() {
    for broken in ["{\"pk\":{\"NULL\":tr\nue}}", "{\"pk\":{\"n\":1\r2}}"] {
        assert!(unverified(response(&[broken.to_owned()], None).as_bytes()).is_err());
    }
    for control in ["\n", "\r", "\t", "\0", "\x1f"] {
        let text = refusal(&response(&[format!("{{\"pk\":{{\"S\":\"a{control}b\"}}}}")], None));
        assert!(text.ends_with("a control character is not escaped"), "{text}");
    }
    refusal("{\"Count\":1,\"Items\":[{\x0c}]}");
    refusal("{\"Count\":1,\"Items\":[\x0c{}]}");
}

#[test]
fn a_count_that_differs_from_the_items_is_damage() {
    let text = refusal(r#"{"Count":2,"Items":[{}]}"#);
    assert_eq!(text, "the page is not a Scan response: it has 1 items but counts 2");
}

#[test]
fn what_is_not_a_scan_response_is_refused_without_its_data() {
    for body in [
        "",
        "{}",
        r#"{"__type":"secret"}"#,
        r#"{"Count":1}"#,
        r#"{"Items":[]}"#,
        r#"{"Count":"secret","Items":[]}"#,
        r#"{"Count":1,"Items":["secret"]}"#,
        r#"{"Count":1,"Items":[["secret"]]}"#,
        r#"{"Count":0,"Items":"secret"}"#,
        r#"{"Count":0,"Items":[],"LastEvaluatedKey":"secret"}"#,
        r#"{"Count":0,"Items":[],"LastEvaluatedKey":["secret"]}"#,
        r#"{"Count":0,"Items":[],"Items":[]}"#,
        r#"{"Count":2,"Items":[{}],"Items":[{}]}"#,
        r#"{"Count":1,"Items":[{}],"\u0049tems":[]}"#,
        r#"{"Count":0,"Items":[]}secret"#,
        r#"{"Count":0,"Items":[]}{"Count":0,"Items":[]}"#,
        r#"{"Count":0,"Items":[]]}"#,
        r#"[[],0,null,null]"#,
        r#"["Items":[],"Count":0]"#,
        r#""secret"#,
        "]}]}",
        "<html>secret</html>",
    ] {
        assert!(!refusal(body).contains("secret"), "{body}");
    }
}

#[test]
fn a_response_that_ends_within_its_items_is_told_so() {
    for body in [r#"{"Items":["#, r#"{"Count":1,"Items":[{"pk":{"S":"secret"#, r#"{"Count":1,"Items":[{} "#] {
        assert!(refusal(body).ends_with(": it ends within its items"), "{body}");
    }
}

#[test]
fn items_have_one_comma_between_them() {
    for items in [",", "{},", ",{}", "{},,{}", "{}{}", "{} {}", "{}]", "{}:{}", "{}}"] {
        for count in 0..3 {
            refusal(&format!(r#"{{"Count":{count},"Items":[{items}]}}"#));
        }
    }
}

#[test]
fn items_under_a_name_spelled_with_escapes_are_refused_and_never_skipped() {
    for count in 0..2 {
        refusal(&format!(r#"{{"Count":{count},"\u0049tems":[{{"pk":{{"S":"secret"}}}}]}}"#));
    }
}

#[test]
fn only_the_member_of_the_response_itself_holds_items() {
    let body = r#"{"a":",\"Items\":[","b":{"Items":[{}]},"c":[{"Items":[1]},"Items"],"Items":[{"Items":{"S":"x"}}],"Count":1}"#;
    assert_eq!(lines(&page(body)), "{\"Item\":{\"Items\":{\"S\":\"x\"}}}\n");
}

#[test]
fn a_response_with_much_besides_its_items_is_refused_before_it_is_all_kept() {
    let mut reader = PageReader::reusing(Vec::new());
    reader.feed(br#"{"Count":0,"Items":[],"LastEvaluatedKey":{"pk":{"S":""#).unwrap();
    let fed = (0..1 << 10).find_map(|_| reader.feed(&[b'x'; 1 << 10]).err()).unwrap();
    assert_eq!(
        fed.to_string(),
        "the page is not a Scan response: it has more than 65536 bytes besides its items"
    );
    assert!(refusal(&format!(r#"{{"Count":0,"Items":[]}}{}"#, " ".repeat(1 << 20))).contains("more than"));
}

#[test]
fn an_unverified_page_is_refused_when_an_item_is_not_json() {
    for item in [&b"{\"pk\":{\"S\":\"\xff\"}}"[..], b"{\"pk\"}", b"{]}", b"{\"pk\":{\"N\":01}}"] {
        let body = [b"{\"Count\":1,\"Items\":[", item, b"]}"].concat();
        assert!(unverified(&body).is_err(), "{}", item.escape_ascii());
    }
}

#[test]
fn an_item_nested_as_deep_as_dynamodb_allows_is_sliced() {
    let item = format!(r#"{{"pk":{}{{"S":"x"}}{}}}"#, r#"{"M":{"m":"#.repeat(32), "}}".repeat(32));
    let page = page(&response(std::slice::from_ref(&item), None));
    assert_eq!(lines(&page), format!("{{\"Item\":{item}}}\n"));
}

#[test]
fn the_buffer_of_a_page_serves_the_next() {
    let buffer = page(r#"{"Count":1,"Items":[{"pk":{"S":"long"}}]}"#).into_buffer();
    let memory = buffer.as_ptr();
    let mut reader = PageReader::reusing(buffer);
    reader.feed(br#"{"Count":1,"Items":[{"pk":{}}]}"#).unwrap();
    let page = reader.finish().unwrap();
    assert_eq!((lines(&page), page.lines().as_ptr()), ("{\"Item\":{\"pk\":{}}}\n", memory));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_response_in_any_pieces_is_what_a_full_parse_finds(
        body in any_response(),
        cuts in prop::collection::vec(1..300_usize, 1..20),
    ) {
        let mut rest = body.as_bytes();
        let pieces: Vec<_> = cuts.iter().cycle().map_while(|&cut| {
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            rest = after;
            (!piece.is_empty()).then_some(piece)
        }).collect();
        let page = read(pieces).unwrap().finish().unwrap();
        prop_assert_eq!(Some(found(&page)), reference(body.as_bytes()));
        prop_assert_eq!(page.len(), lines(&page).lines().count());
        prop_assert_eq!(found(&page), found(&unverified(body.as_bytes()).unwrap()));
    }

    #[test]
    fn lines_mean_what_a_full_parse_of_the_page_finds(body in any_response()) {
        let expected: Value = serde_json::from_str(&body).unwrap();
        let page = page(&body);
        let found: Vec<Value> = lines(&page).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let expected: Vec<Value> =
            expected["Items"].as_array().unwrap().iter().map(|item| json!({"Item": item})).collect();
        prop_assert_eq!(found, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_page_cut_anywhere_is_whole_with_both_pieces_and_refused_with_one(
        items in prop::collection::vec(item(), 0..3),
        key in prop::option::of(item()),
    ) {
        let body = response(&items, key.as_ref());
        let expected = reference(body.as_bytes()).unwrap();
        for end in 0..body.len() {
            let (head, tail) = body.as_bytes().split_at(end);
            prop_assert!(read([head]).and_then(PageReader::finish).is_err(), "cut at {}", end);
            prop_assert_eq!(&found(&read([head, tail]).unwrap().finish().unwrap()), &expected, "cut at {}", end);
        }
    }

    #[test]
    fn an_unverified_page_with_one_byte_changed_is_read_as_a_full_parse_reads_it(
        items in prop::collection::vec(item(), 1..3),
        byte in prop_oneof![any::<u8>(), prop::sample::select(br#""\{}[],: 1"#.to_vec())],
    ) {
        let body = response(&items, Some(&r#"{"pk":{"S":"a"}}"#.to_owned())).into_bytes();
        for at in 0..body.len() {
            let mut damaged = body.clone();
            damaged[at] = byte;
            prop_assert_eq!(unverified(&damaged).ok().as_ref().map(found), reference(&damaged), "{} at {}", byte, at);
        }
    }
}
