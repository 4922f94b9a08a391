//! ListObjectsV2: keys in the order of their bytes, grouped and paged.

use std::collections::BTreeMap;
use std::ops::Bound;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE;

/// What to list.
#[derive(Debug, Default)]
pub(super) struct Query<'a> {
    pub(super) prefix: &'a str,
    pub(super) delimiter: Option<&'a str>,
    pub(super) start: Start,
    pub(super) limit: usize,
}

/// Where to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Start {
    #[default]
    First,
    AfterKey(String),
    /// After every key in this group.
    AfterGroup(String),
}

impl Start {
    pub(super) fn to_token(&self) -> String {
        BASE64_URL_SAFE.encode(match self {
            Self::First => String::new(),
            Self::AfterKey(key) => format!("k{key}"),
            Self::AfterGroup(group) => format!("g{group}"),
        })
    }

    pub(super) fn parse(token: &str) -> Option<Self> {
        let text = String::from_utf8(BASE64_URL_SAFE.decode(token).ok()?).ok()?;
        match text.split_at_checked(1)? {
            ("k", key) => Some(Self::AfterKey(key.to_owned())),
            ("g", group) => Some(Self::AfterGroup(group.to_owned())),
            _ => None,
        }
    }
}

#[derive(Debug)]
pub(super) struct Page<T> {
    pub(super) objects: Vec<(String, T)>,
    pub(super) groups: Vec<String>,
    /// Where the next page begins, if there is one.
    pub(super) next: Option<Start>,
}

pub(super) fn list<T: Clone>(objects: &BTreeMap<String, T>, query: &Query<'_>) -> Page<T> {
    let mut page = Page { objects: Vec::new(), groups: Vec::new(), next: None };
    let mut last = query.start.clone();
    for (key, object) in objects.range::<str, _>((first_key(query), Bound::Unbounded)) {
        if !key.starts_with(query.prefix) {
            break;
        }
        if matches!(&last, Start::AfterGroup(group) if key.starts_with(group.as_str())) {
            continue;
        }
        if page.objects.len() + page.groups.len() == query.limit {
            page.next = (query.limit > 0).then_some(last);
            break;
        }
        last = match group_of(key, query) {
            Some(group) => {
                page.groups.push(group.to_owned());
                Start::AfterGroup(group.to_owned())
            }
            None => {
                page.objects.push((key.clone(), object.clone()));
                Start::AfterKey(key.clone())
            }
        };
    }
    page
}

fn first_key<'a>(query: &'a Query<'_>) -> Bound<&'a str> {
    match &query.start {
        Start::AfterKey(key) if key.as_str() >= query.prefix => Bound::Excluded(key),
        Start::AfterGroup(group) if group.as_str() >= query.prefix => Bound::Included(group),
        _ => Bound::Included(query.prefix),
    }
}

/// The part of a key up to the first delimiter behind the prefix.
fn group_of<'a>(key: &'a str, query: &Query<'_>) -> Option<&'a str> {
    let delimiter = query.delimiter.filter(|delimiter| !delimiter.is_empty())?;
    let start = query.prefix.len();
    let found = key[start..].find(delimiter)?;
    Some(&key[..start + found + delimiter.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(names: &[&str]) -> BTreeMap<String, ()> {
        names.iter().map(|name| ((*name).to_owned(), ())).collect()
    }

    fn walk(
        objects: &BTreeMap<String, ()>,
        prefix: &str,
        delimiter: Option<&str>,
        limit: usize,
    ) -> Vec<String> {
        let (mut seen, mut start) = (Vec::new(), Start::First);
        loop {
            let page = list(objects, &Query { prefix, delimiter, start, limit });
            seen.extend(page.groups);
            seen.extend(page.objects.into_iter().map(|(key, ())| key));
            match page.next {
                Some(next) => start = Start::parse(&next.to_token()).expect("own token"),
                None => return seen,
            }
        }
    }

    #[test]
    fn pages_of_every_size_show_everything_once_and_in_order() {
        let objects = keys(&["a", "b/1", "b/2", "b/3", "c", "d/1", "é", "\u{10000}"]);
        for limit in 1..10 {
            assert_eq!(walk(&objects, "", None, limit), objects.keys().cloned().collect::<Vec<_>>());
            assert_eq!(walk(&objects, "b/", None, limit), ["b/1", "b/2", "b/3"]);
        }
        assert_eq!(walk(&objects, "", Some("/"), 1), ["a", "b/", "c", "d/", "é", "\u{10000}"]);
    }

    #[test]
    fn a_start_before_the_prefix_changes_nothing() {
        let objects = keys(&["a", "b/1"]);
        let query = Query { prefix: "b/", start: Start::AfterKey("a".into()), limit: 9, ..Query::default() };
        assert_eq!(list(&objects, &query).objects.len(), 1);
    }
}
