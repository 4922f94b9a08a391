//! Which tables a backup covers: the first line of the input is a pattern, the others are names.

use dynamodb_backup::table::{Pattern, Selection, TableName};

use super::first_line;

/// A pattern matches what it does by its definition, and a selection what one of its patterns does.
pub fn check(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let (pattern, names) = first_line(text);
    let Ok(pattern) = Pattern::parse(pattern) else { return };
    let json = serde_json::to_string(&pattern).expect("a pattern is text");
    assert_eq!(serde_json::from_str::<Pattern>(&json).expect("it is what was written"), pattern);
    for name in names.lines() {
        let matches = matches_by_definition(pattern.as_str().as_bytes(), name.as_bytes());
        assert_eq!(pattern.matches(name), matches, "{pattern} and {name}");
        if let Ok(name) = TableName::parse(name) {
            check_selection(&pattern, &name, matches);
        }
    }
}

fn check_selection(pattern: &Pattern, name: &TableName, matches: bool) {
    let of = |tables: &[&Pattern], exclude: &[&Pattern]| {
        let [tables, exclude] = [tables, exclude].map(|each| each.iter().copied().cloned().collect());
        Selection { tables, exclude }
    };
    assert_eq!(of(&[pattern], &[]).selects(name), matches);
    assert_eq!(of(&[], &[pattern]).selects(name), !matches);
    assert!(!of(&[pattern], &[pattern]).selects(name));
    assert!(Pattern::from(name).matches(name.as_str()));
}

/// Which beginnings of the text each beginning of the pattern matches, one byte of the pattern after the other.
fn matches_by_definition(pattern: &[u8], text: &[u8]) -> bool {
    let mut matched = vec![false; text.len() + 1];
    matched[0] = true;
    for byte in pattern {
        if *byte == b'*' {
            let first = matched.iter().position(|matches| *matches).unwrap_or(matched.len());
            matched[first..].fill(true);
        } else {
            for end in (1..matched.len()).rev() {
                matched[end] = matched[end - 1] && text[end - 1] == *byte;
            }
            matched[0] = false;
        }
    }
    matched[text.len()]
}
