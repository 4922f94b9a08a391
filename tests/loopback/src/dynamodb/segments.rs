//! A table that assigns its items to the segments of a parallel Scan as no other does.

use std::borrow::Cow;

use serde_json::{Value, json};

/// Makes a Scan ask for the segment after the one it names, the last for the first. Between the segments nothing
/// changes: each item is in one of them, and a segment goes on where it stopped. What is not a segment of a
/// parallel Scan stays as it is, for dynoxide to answer or refuse.
pub(super) fn scatter(body: &[u8]) -> Cow<'_, [u8]> {
    let Ok(mut scan) = serde_json::from_slice::<Value>(body) else { return body.into() };
    match (scan["Segment"].as_u64(), scan["TotalSegments"].as_u64()) {
        (Some(segment), Some(total)) if segment < total => {
            scan["Segment"] = json!((segment + 1) % total);
            scan.to_string().into_bytes().into()
        }
        _ => body.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scattered(body: &str) -> String {
        String::from_utf8(scatter(body.as_bytes()).into_owned()).expect("it is JSON")
    }

    #[test]
    fn each_segment_is_the_next_one_and_the_last_is_the_first() {
        let scan = |segment: u32| json!({ "Segment": segment, "TotalSegments": 3, "Limit": 7 }).to_string();
        assert_eq!(scattered(&scan(0)), scan(1));
        assert_eq!(scattered(&scan(2)), scan(0));
    }

    #[test]
    fn a_scan_without_a_valid_segment_stays_as_it_is() {
        for body in [
            r#"{"Limit":7}"#,
            r#"{"Segment":1}"#,
            r#"{"Segment":3,"TotalSegments":3}"#,
            r#"{"Segment":-1,"TotalSegments":3}"#,
            r#"{"Segment":0,"TotalSegments":0}"#,
            r#"{"Segment":"#,
        ] {
            assert_eq!(scattered(body), body);
        }
    }
}
