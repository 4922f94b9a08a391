//! What becomes of the items that the copy has and the archive has not.
//!
//! It is decided once, when every segment is written. An item that one segment of the copy has too much, and that
//! another one misses, is archived: then the two tables do not assign items to segments alike, and nothing is
//! deleted. Nor is it when so much would be deleted or changed that a mistake is more likely.

use std::collections::HashSet;

use jiff::Timestamp;

use crate::archive::layout::TableFolder;
use crate::archive::marker::{Decision, Deletions, ExtraKeys, MissingKeys, Written, key_hash};
use crate::archive::record::{Run, Table};
use crate::archive::{Archive, TableState};
use crate::environment::Environment;
use crate::error::Result;
use crate::item::Key;
use crate::schema::KeySchema;

/// Keys that are compared with those that other segments miss at once: some 100 MB. Where there are more, the
/// lists are read again.
const KEYS_AT_ONCE: u64 = 4_000_000;

/// What becomes of the extra items of a table whose segments are all written or refused. Decides it if nobody
/// has. `None` where there is nothing to decide.
pub(super) async fn of(
    environment: &Environment,
    run: &Run,
    table: &Table,
    state: &TableState,
) -> Result<Option<Deletions>> {
    let archive = &environment.archive;
    let folder = archive.folder(&run.run, &table.name);
    if state.deletions_decided {
        return archive.require(&folder.deletions()).await.map(Some);
    }
    let written = super::written_markers(archive, &folder, state).await?;
    let totals = Totals::of(&written);
    let Some(deletions) = decide(archive, &folder, run, table, state, &written, totals).await? else {
        return Ok(None);
    };
    archive.create(&folder.deletions(), &deletions).await?;
    let decided: Deletions = archive.require(&folder.deletions()).await?;
    if let Some(reason) = &decided.reason {
        tracing::warn!(run.id = %run.run, table.name = %table.name, items = decided.items, "{reason}");
    }
    Ok(Some(decided))
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
        Some(Deletions { decision, suspect, reason, items, segments, decided_at: Timestamp::now() })
    };
    let keep = |suspect, reason| Ok(decide(Decision::Keep, suspect, Some(reason)));
    let previous = if totals.extra > 0 { previous_items(archive, run, table).await? } else { None };
    if let Some(reason) = run.suspect_above.and_then(|share| suspicion(share, totals, previous)) {
        return keep(true, reason);
    }
    if totals.extra == 0 {
        return Ok(None);
    }
    if written.len() < table.plan.segments as usize || !state.failed.is_empty() {
        return keep(false, "extra items are kept: not every segment could be written".to_owned());
    }
    let schema = table.definition.key()?;
    match Misplaced::find(archive, folder, &schema, table.plan.segments, written, totals.extra).await? {
        Misplaced::None => Ok(decide(Decision::Delete, false, None)),
        Misplaced::Unknown => keep(
            false,
            "extra items are kept: whether other segments have them was not recorded, as the copy is new"
                .to_owned(),
        ),
        Misplaced::Items(items) => keep(
            false,
            format!(
                "extra items are kept: the copy assigns items to other segments than the source did, {items} items \
                 at least"
            ),
        ),
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
/// deleted or changed, or the table has lost as much since it was last complete.
fn suspicion(share: u8, totals: Totals, previous: Option<u64>) -> Option<String> {
    let exceeds = |part: u64, whole: u64| u128::from(part) * 100 > u128::from(whole) * u128::from(share);
    let Totals { archived, before, changed, extra } = totals;
    let mend = "pass --accept-changes to the next run if that is right";
    if exceeds(changed + extra, before) {
        return Some(format!(
            "suspect: {extra} items would be deleted and {changed} were changed of {before} in the copy, more than \
             {share}%; nothing is deleted; {mend}"
        ));
    }
    let previous = previous.filter(|previous| exceeds(previous.saturating_sub(archived), *previous))?;
    Some(format!(
        "suspect: the table has {archived} items, and had {previous} when it was last complete, more than {share}% \
         less; nothing is deleted; {mend}"
    ))
}

/// How many items the table had in the last run of its source in which it was complete.
async fn previous_items(archive: &Archive, run: &Run, table: &Table) -> Result<Option<u64>> {
    let result = archive.last_complete(run, &table.name).await?;
    Ok(result.map(|result| result.items_exported))
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
        segments: u32,
        written: &[(u32, Written)],
        extra: u64,
    ) -> Result<Self> {
        if segments == 1 {
            return Ok(Self::None);
        }
        let (rounds, mut misplaced) = (extra.div_ceil(KEYS_AT_ONCE), 0);
        for round in 0..rounds {
            let is_of_round = |hash: u64| hash % rounds == round;
            let extra = extra_keys(archive, folder, schema, written, is_of_round).await?;
            for (segment, written) in written.iter().filter(|(_, written)| written.items_missing() > 0) {
                let mut listed = 0;
                for list in 0.. {
                    let key = folder.missing_keys(*segment, &written.attempt, list);
                    let Some(missing) = archive.read::<MissingKeys>(&key).await? else { break };
                    listed += missing.hashes.len();
                    misplaced += missing.hashes.iter().filter(|hash| extra.contains(hash)).count() as u64;
                }
                if listed == 0 {
                    return Ok(Self::Unknown);
                }
            }
        }
        Ok(if misplaced == 0 { Self::None } else { Self::Items(misplaced) })
    }
}

async fn extra_keys(
    archive: &Archive,
    folder: &TableFolder,
    schema: &KeySchema,
    written: &[(u32, Written)],
    is_wanted: impl Fn(u64) -> bool,
) -> Result<HashSet<u64>> {
    let mut hashes = HashSet::new();
    for (segment, written) in written.iter().filter(|(_, written)| written.items_extra > 0) {
        for list in 0.. {
            let key = folder.extra_keys(*segment, &written.attempt, list);
            let Some(extra) = archive.read::<ExtraKeys>(&key).await? else { break };
            for key in extra.keys {
                let hash = key_hash(Key::of(key.get().as_bytes(), schema)?.hash128());
                if is_wanted(hash) {
                    hashes.insert(hash);
                }
            }
        }
    }
    Ok(hashes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(archived: u64, before: u64, changed: u64, extra: u64) -> Totals {
        Totals { archived, before, changed, extra }
    }

    #[test]
    fn more_than_the_share_is_suspect_and_just_the_share_is_not() {
        assert_eq!(suspicion(30, totals(100, 100, 10, 20), Some(100)), None);
        let reason = suspicion(30, totals(100, 100, 11, 20), None).expect("suspect");
        assert!(
            reason.starts_with("suspect: 20 items would be deleted and 11 were changed of 100"),
            "{reason}"
        );
    }

    #[test]
    fn a_table_that_has_lost_much_since_it_was_complete_is_suspect_and_one_that_grew_is_not() {
        assert_eq!(suspicion(30, totals(70, 100, 0, 10), Some(100)), None);
        assert_eq!(suspicion(30, totals(1000, 100, 0, 10), Some(100)), None);
        let reason = suspicion(30, totals(69, 100, 0, 10), Some(100)).expect("suspect");
        assert!(reason.contains("has 69 items, and had 100"), "{reason}");
    }

    #[test]
    fn a_first_load_is_not_suspect() {
        assert_eq!(suspicion(0, totals(1000, 0, 0, 0), None), None);
    }
}
