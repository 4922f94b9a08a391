//! Puts what a table lacks of a backup, and deletes what it has too much.

use std::sync::Arc;

use futures::FutureExt;
use futures::stream::{self, StreamExt, TryStreamExt};

use super::{Restoration, Restored};
use crate::archive::part::PartFile;
use crate::copy::compare::{Comparison, Counts, ExtraKeys};
use crate::copy::segment::{CopySegment, CopyTable, JOBS};
use crate::copy::writer::{Tally, Writer};
use crate::error::{Error, Result};
use crate::item::Key;
use crate::verify::Sides;

impl Restoration<'_> {
    /// Puts every item, where the table is empty; else those that it lacks or has with another content.
    pub(super) async fn load(&self, sides: &Sides<'_>, is_empty: bool) -> Result<Restored> {
        let copy = sides.copy.as_ref().expect("a restore has a table to restore into");
        let loaded: Vec<Restored> = if is_empty {
            let parts: Vec<&PartFile> = sides.backup.parts().collect();
            let shares = parts.chunks(parts.len().div_ceil(JOBS as usize).max(1));
            let putting: Vec<_> = shares.map(|parts| self.put_all(sides, copy, parts)).collect();
            stream::iter(putting).buffer_unordered(JOBS as usize).try_collect().await?
        } else {
            let total = sides.backup.total_segments();
            let putting = stream::iter(0..total).map(|segment| {
                let parts = &sides.backup.segments[segment as usize];
                self.put_different(sides, copy, parts, (segment, total)).boxed()
            });
            putting.buffer_unordered(JOBS as usize).try_collect().await?
        };
        Ok(loaded.iter().fold(Restored::nothing(copy.name), |sum, part| Restored {
            items: sum.items + part.items,
            items_put: sum.items_put + part.items_put,
            items_changed: sum.items_changed + part.items_changed,
            items_unchanged: sum.items_unchanged + part.items_unchanged,
            write_units: sum.write_units + part.write_units,
            ..sum
        }))
    }

    async fn put_all(
        &self,
        sides: &Sides<'_>,
        copy: &CopyTable<'_>,
        parts: &[&PartFile],
    ) -> Result<Restored> {
        let _slot = self.slots.acquire().await.expect("the semaphore is never closed");
        let writer = copy.segment(0, 1).writer;
        let mut restored = Restored::nothing(copy.name);
        for part in parts {
            let reader = sides.archive.open_part(part).await?;
            let (archived, _, tally) = writer.put_all(part, reader, false).await?;
            restored.items += archived.digest.items;
            restored.items_put += tally.items;
            restored.write_units += tally.consumed_units;
            require_taken(copy, &tally)?;
        }
        Ok(restored)
    }

    async fn put_different(
        &self,
        sides: &Sides<'_>,
        copy: &CopyTable<'_>,
        parts: &[PartFile],
        (segment, total): (u32, u32),
    ) -> Result<Restored> {
        let _slot = self.slots.acquire().await.expect("the semaphore is never closed");
        let CopySegment { mut scan, writer } = copy.segment(segment, total);
        let comparison = Comparison { archive: sides.archive, parts, schema: &sides.key };
        let mut restored = Restored::nothing(copy.name);
        let mut start = Some(0);
        while let Some(from) = start {
            let first = scan.first_items().await?;
            let pass = comparison.pass(from, &mut scan, first, &mut Kept).await?;
            start = pass.index.next();
            let Counts { missing, changed, unchanged } = pass.counts;
            restored.items += pass.index.archived().digest.items;
            restored.items_changed += changed;
            restored.items_unchanged += unchanged;
            if missing + changed == 0 {
                continue;
            }
            for part in parts {
                let reader = sides.archive.open_part(part).await?;
                let tally = writer.put_different(part, reader, Arc::clone(&pass.index)).await?;
                restored.items_put += tally.items;
                restored.write_units += tally.consumed_units;
                require_taken(copy, &tally)?;
            }
        }
        restored.items_put -= restored.items_changed.min(restored.items_put);
        Ok(restored)
    }

    /// Deletes what the backup does not have from a table that has all of it: segment by segment, if every item
    /// was found in its own; else with all of the backup in the index, in as many passes as it takes, so that it
    /// does not matter how the table assigns items to segments.
    pub(super) async fn delete_extra(&self, sides: &Sides<'_>, by_segment: bool) -> Result<Tally> {
        if !by_segment {
            let parts: Vec<PartFile> = sides.backup.parts().cloned().collect();
            return self.delete_extra_of(sides, &parts, (0, 1)).await;
        }
        let (mut deleted, total) = (Tally::default(), sides.backup.total_segments());
        for (segment, parts) in (0..total).zip(&sides.backup.segments) {
            deleted.add(self.delete_extra_of(sides, parts, (segment, total)).await?);
        }
        Ok(deleted)
    }

    async fn delete_extra_of(
        &self,
        sides: &Sides<'_>,
        parts: &[PartFile],
        (segment, total): (u32, u32),
    ) -> Result<Tally> {
        let _slot = self.slots.acquire().await.expect("the semaphore is never closed");
        let copy = sides.copy.as_ref().expect("a restore has a table to restore into");
        let comparison = Comparison { archive: sides.archive, parts, schema: &sides.key };
        let CopySegment { mut scan, writer } = copy.segment(segment, total);
        let mut deleting = Deleting { writer, tally: Tally::default() };
        let mut start = Some(0);
        while let Some(from) = start {
            let first = scan.first_items().await?;
            start = comparison.pass(from, &mut scan, first, &mut deleting).await?.index.next();
        }
        require_taken(copy, &deleting.tally)?;
        Ok(deleting.tally)
    }
}

fn require_taken(copy: &CopyTable<'_>, tally: &Tally) -> Result<()> {
    let Some(first) = tally.failed.first() else { return Ok(()) };
    Err(Error::permanent(format!(
        "table {} refuses {} items, the first because: {}",
        copy.name,
        tally.failed.len(),
        first.reason
    )))
}

/// Leaves extra items where they are.
struct Kept;

impl ExtraKeys for Kept {
    async fn take(&mut self, _: Vec<Key>) -> Result<()> {
        Ok(())
    }
}

/// Deletes extra items as they are found.
struct Deleting<'a> {
    writer: Writer<'a>,
    tally: Tally,
}

impl ExtraKeys for Deleting<'_> {
    async fn take(&mut self, keys: Vec<Key>) -> Result<()> {
        let tally = self.writer.delete(keys).await?;
        self.tally.add(tally);
        Ok(())
    }
}
