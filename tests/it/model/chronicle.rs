//! What the items of the sources were, and when.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

/// When something happened: after the first, before the second.
type Moment = (Timestamp, Timestamp);

/// The items of one table, by key.
#[derive(Debug, Default)]
pub(crate) struct Chronicle(BTreeMap<String, Vec<Version>>);

/// An item as it was for a while.
#[derive(Debug)]
struct Version {
    item: Value,
    since: Moment,
    until: Option<Moment>,
}

/// From when to when somebody looked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
}

impl Chronicle {
    /// An item was put, in place of the one that was there.
    pub(crate) fn put(&mut self, item: &Value, moment: Moment) {
        let versions = self.0.entry(key(item)).or_default();
        end(versions, moment);
        versions.push(Version { item: item.clone(), since: moment, until: None });
    }

    pub(crate) fn delete(&mut self, key: &str, moment: Moment) {
        if let Some(versions) = self.0.get_mut(key) {
            end(versions, moment);
        }
    }

    /// The table was deleted.
    pub(crate) fn drop(&mut self, moment: Moment) {
        self.0.values_mut().for_each(|versions| end(versions, moment));
    }

    /// The keys under which there was an item all the while, whichever.
    pub(crate) fn there_all_along(&self, window: Window) -> impl Iterator<Item = &String> {
        let is_there = move |versions: &[Version]| {
            let mut since = None;
            versions.iter().enumerate().any(|(at, version)| {
                // One that was replaced was not gone.
                let follows = at > 0 && versions[at - 1].until == Some(version.since);
                let begun = if follows { since.unwrap_or(version.since) } else { version.since };
                since = Some(begun);
                begun.1 <= window.from && version.until.is_none_or(|until| until.0 >= window.to)
            })
        };
        self.0.iter().filter(move |(_, versions)| is_there(versions)).map(|(key, _)| key)
    }

    /// Whether somebody who looked then may have seen this.
    pub(crate) fn may_have_been(&self, item: &Value, window: Window) -> bool {
        let versions = self.0.get(&key(item)).map_or(&[][..], Vec::as_slice);
        versions.iter().any(|version| {
            let overlaps =
                version.since.0 <= window.to && version.until.is_none_or(|until| until.1 >= window.from);
            overlaps && version.item == *item
        })
    }
}

fn end(versions: &mut [Version], moment: Moment) {
    if let Some(last) = versions.last_mut() {
        last.until.get_or_insert(moment);
    }
}

/// What tells an item from all others of its table.
pub(crate) fn key(item: &Value) -> String {
    format!("{}/{}", item["pk"]["S"].as_str().unwrap_or("?"), item["sk"]["N"].as_str().unwrap_or("?"))
}
