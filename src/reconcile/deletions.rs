//! What becomes of the items that the copy has and the archive has not.
//!
//! It is decided once, when every segment is written. An item that one segment of the copy has too much, and that
//! another one misses, is archived: then the two tables do not assign items to segments alike, and nothing is
//! deleted. Nor is it when so much would be deleted or changed that a mistake is more likely.

use std::collections::HashSet;

use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;

use super::READ_AT_ONCE;
use crate::archive::layout::TableFolder;
use crate::archive::marker::{Decision, Deletions, ExtraKeys, MissingKeys, Written, key_hash};
use crate::archive::record::{Outcome, Run, Table, TableResult};
use crate::archive::{Archive, TableState};
use crate::environment::Environment;
use crate::error::Result;
use crate::item::Key;
use crate::schema::KeySchema;

/// Keys that are compared with those that other segments miss at once: some 100 MB. Where there are more, the
/// lists are read again.
const KEYS_AT_ONCE: u64 = 4_000_000;

/// What becomes of the extra items of a table whose segments are all written or refused, and whether it is for us to
/// enqueue what follows from it: for whoever decides it, and for all if that one did not come so far. `None` where
/// there is nothing to decide.
pub(super) async fn of(
    environment: &Environment,
    run: &Run,
    table: &Table,
    state: &TableState,
) -> Result<Option<(Deletions, bool)>> {
    let archive = &environment.archive;
    let folder = archive.folder(&run.run, &table.name);
    if state.deletions_decided {
        return Ok(Some((archive.require(&folder.deletions()).await?, !state.deletes_enqueued)));
    }
    let written = super::written_markers(archive, &folder, state).await?;
    let totals = Totals::of(&written);
    let Some(deletions) = decide(archive, &folder, run, table, state, &written, totals).await? else {
        return Ok(None);
    };
    archive.create(&folder.deletions(), &deletions).await?;
    let decided: Deletions = archive.require(&folder.deletions()).await?;
    // By what lies there: a creation whose answer was lost says that somebody else was first.
    let is_ours = decided == deletions;
    if let Some(reason) = &decided.reason {
        tracing::warn!(run.id = %run.run, table.name = %table.name, items = decided.items, "{reason}");
    }
    Ok(Some((decided, is_ours)))
}

async fn decide(
    archive: &Archive,
    folder: &TableFolder,
    run: &Run,
    table: &Table,
    state: &TableState,
    written: &[(u32, Written)],
    totals: Totals,
) -> Result<Option<Deletions>> {
    let decide = |decision, suspect, reason| {
        let extra = written.iter().filter(|(_, written)| written.items_extra > 0);
        let segments = extra.map(|(segment, _)| *segment).collect();
        let items = totals.extra;
        Ok(Some(Deletions { decision, suspect, reason, items, segments, decided_at: Timestamp::now() }))
    };
    let keep = |reason: &str| decide(Decision::Keep, false, Some(format!("extra items are kept: {reason}")));
    if totals.extra > 0 {
        if written.len() < table.plan.segments as usize || state.failures().next().is_some() {
            return keep("not every segment could be written");
        }
        match Misplaced::find(archive, folder, &table.definition.key()?, written, totals.extra).await? {
            Misplaced::None => {}
            Misplaced::Unknown => {
                return keep("the copy is new, and what its segments lacked is not on record");
            }
            Misplaced::Items(items) => {
                return keep(&format!(
                    "the copy assigns items to other segments than the source did, {items} items at least"
                ));
            }
        }
    }
    let before = if totals.extra > 0 { archive.results_before(run, &table.name).await? } else { Vec::new() };
    match suspicion(run.suspect_above, totals, &before) {
        Some(reason) => decide(Decision::Keep, true, Some(reason)),
        None if totals.extra > 0 => decide(Decision::Delete, false, None),
        None => Ok(None),
    }
}

/// What the segments of a table come to.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    archived: u64,
    before: u64,
    changed: u64,
    extra: u64,
}

impl Totals {
    fn of(written: &[(u32, Written)]) -> Self {
        written.iter().fold(Self::default(), |totals, (_, written)| Self {
            archived: totals.archived + written.digest.items,
            before: totals.before + written.items_before(),
            changed: totals.changed + written.items_changed,
            extra: totals.extra + written.items_extra,
        })
    }
}

/// Why these changes look like a mistake, where they do: more than `share` per cent of the copy would be
/// deleted or was changed, the table has lost as much since it was last complete, or it has been suspect since then
/// and nobody has accepted that. `before` are its results in earlier runs, newest first.
fn suspicion(share: u8, totals: Totals, before: &[TableResult]) -> Option<String> {
    let exceeds = |part: u64, whole: u64| u128::from(part) * 100 > u128::from(whole) * u128::from(share);
    let Totals { archived, before: items_before, changed, extra } = totals;
    let end = "nothing is deleted; pass --accept-changes to the next run if that is right";
    if exceeds(changed + extra, items_before) {
        return Some(format!(
            "suspect: {extra} items would be deleted and {changed} were changed of {items_before} in the copy, more \
             than {share}%; {end}"
        ));
    }
    let complete = before.iter().find(|result| result.outcome == Outcome::Complete);
    let had = complete.map_or(0, |result| result.items_exported);
    if exceeds(had.saturating_sub(archived), had) {
        return Some(format!(
            "suspect: the table has {archived} items, and had {had} when it was last complete, more than {share}% \
             less; {end}"
        ));
    }
    let was_suspect = share < 100 && extra > 0 && before.iter().any(|result| result.suspect);
    was_suspect.then(|| {
        format!(
            "suspect: {extra} items would be deleted of a table that has been suspect since it was complete; {end}"
        )
    })
}

/// Items of which the copy has a segment too much and another too little.
enum Misplaced {
    None,
    Items(u64),
    /// A segment has not listed what it missed.
    Unknown,
}

impl Misplaced {
    async fn find(
        archive: &Archive,
        folder: &TableFolder,
        schema: &KeySchema,
        written: &[(u32, Written)],
        extra: u64,
    ) -> Result<Self> {
        if written.len() == 1 {
            return Ok(Self::None);
        }
        let Some(lists) = missing_lists(folder, written) else { return Ok(Self::Unknown) };
        let (rounds, mut misplaced) = (extra.div_ceil(KEYS_AT_ONCE), 0);
        for round in 0..rounds {
            let is_of_round = |hash: u64| hash % rounds == round;
            let extra = extra_keys(archive, folder, schema, written, is_of_round).await?;
            let mut missing = stream::iter(lists.clone())
                .map(|key| async move { archive.require::<MissingKeys>(&key).await })
                .buffered(READ_AT_ONCE);
            while let Some(missing) = missing.try_next().await? {
                misplaced += missing.hashes.iter().filter(|hash| extra.contains(hash)).count() as u64;
            }
        }
        Ok(if misplaced == 0 { Self::None } else { Self::Items(misplaced) })
    }
}

/// Where the keys are listed that segments missed; `None` where a segment has not listed them.
fn missing_lists(folder: &TableFolder, written: &[(u32, Written)]) -> Option<Vec<String>> {
    let mut keys = Vec::new();
    for (segment, written) in written {
        let lists = 0..written.missing_lists()?;
        keys.extend(lists.map(|list| folder.missing_keys(*segment, &written.attempt, list)));
    }
    Some(keys)
}

/// The hashes of the extra keys of all segments, of those that are wanted.
async fn extra_keys(
    archive: &Archive,
    folder: &TableFolder,
    schema: &KeySchema,
    written: &[(u32, Written)],
    is_wanted: impl Fn(u64) -> bool,
) -> Result<HashSet<u64>> {
    let keys = written.iter().flat_map(|(segment, written)| {
        let lists = 0..written.extra_lists();
        lists.map(|list| folder.extra_keys(*segment, &written.attempt, list))
    });
    let mut lists = stream::iter(keys.collect::<Vec<_>>())
        .map(|key| async move { archive.require::<ExtraKeys>(&key).await })
        .buffered(READ_AT_ONCE);
    let mut hashes = HashSet::new();
    while let Some(extra) = lists.try_next().await? {
        for key in extra.keys {
            let hash = key_hash(Key::of(key.get().as_bytes(), schema)?.hash128());
            if is_wanted(hash) {
                hashes.insert(hash);
            }
        }
    }
    Ok(hashes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::TableName;

    fn totals(archived: u64, before: u64, changed: u64, extra: u64) -> Totals {
        Totals { archived, before, changed, extra }
    }

    fn result(outcome: Outcome, items_exported: u64, suspect: bool) -> TableResult {
        let name = TableName::parse("orders").expect("a name");
        TableResult { items_exported, suspect, ..TableResult::empty(name, outcome, String::new()) }
    }

    #[test]
    fn more_than_the_share_is_suspect_and_just_the_share_is_not() {
        let complete = [result(Outcome::Complete, 100, false)];
        assert_eq!(suspicion(30, totals(100, 100, 10, 20), &complete), None);
        let reason = suspicion(30, totals(100, 100, 11, 20), &[]).expect("suspect");
        assert!(
            reason.starts_with("suspect: 20 items would be deleted and 11 were changed of 100"),
            "{reason}"
        );
    }

    #[test]
    fn a_table_that_has_lost_much_since_it_was_complete_is_suspect_and_one_that_grew_is_not() {
        let complete = [result(Outcome::Complete, 100, false)];
        assert_eq!(suspicion(30, totals(70, 100, 0, 10), &complete), None);
        assert_eq!(suspicion(30, totals(1000, 100, 0, 10), &complete), None);
        let reason = suspicion(30, totals(69, 100, 0, 10), &complete).expect("suspect");
        assert!(reason.contains("has 69 items, and had 100"), "{reason}");
    }

    #[test]
    fn what_was_suspect_stays_so_until_it_is_accepted() {
        let failed = result(Outcome::Partial, 80, false);
        let before = [failed, result(Outcome::Partial, 80, true), result(Outcome::Complete, 100, false)];
        let reason = suspicion(30, totals(80, 100, 0, 20), &before).expect("suspect");
        assert!(reason.contains("has been suspect since it was complete"), "{reason}");
        assert_eq!(suspicion(100, totals(80, 100, 0, 20), &before), None);
        assert_eq!(suspicion(30, totals(100, 100, 0, 0), &before), None, "nothing would be deleted");
    }

    #[test]
    fn a_first_load_is_not_suspect() {
        assert_eq!(suspicion(0, totals(1000, 0, 0, 0), &[]), None);
    }
}
