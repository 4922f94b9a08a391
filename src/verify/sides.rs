//! A backup and a table that is to equal it, segment by segment.

use std::future::ready;

use futures::FutureExt;
use futures::stream::{self, StreamExt, TryStreamExt};
use tokio::sync::Semaphore;

use super::findings::{Compared, MAX_KEYS};
use crate::archive::part::PartFile;
use crate::archive::{Archive, Backup};
use crate::copy::compare::Comparison;
use crate::copy::segment::{CopySegment, CopyTable};
use crate::error::{Kind, Result};
use crate::schema::KeySchema;

/// Segments compared at once, over all tables: each may take the memory of an index.
pub const COMPARED_AT_ONCE: usize = 8;

/// What is compared.
#[derive(Debug)]
pub struct Sides<'a> {
    pub archive: &'a Archive,
    /// Bounds what is compared at once over several tables.
    pub slots: &'a Semaphore,
    pub backup: &'a Backup,
    pub key: KeySchema,
    /// `None` to read the archive alone.
    pub copy: Option<CopyTable<'a>>,
}

impl Sides<'_> {
    /// Compares these segments. Where some keys are missing and others extra, they may be the same, in another
    /// segment: then the table is compared as a whole, which takes more time and does not ask where.
    ///
    /// # Errors
    /// When something could not be looked at. What is wrong with a part is a finding.
    pub async fn compare(&self, chosen: &[u32]) -> Result<Compared> {
        let total = self.backup.total_segments();
        // Made one by one: of tens of thousands of segments, these take more memory than what they compare.
        let comparing = stream::iter(chosen.iter().copied())
            .map(|segment| self.segment(&self.backup.segments[segment as usize], (segment, total)).boxed());
        let add = |mut sum: Compared, compared| {
            sum += compared;
            ready(Ok(sum))
        };
        let comparing = comparing.buffer_unordered(COMPARED_AT_ONCE);
        let compared = comparing.try_fold(Compared::default(), add).await?;
        let may_be_elsewhere = compared.missing > 0 && compared.extra > 0;
        if total == 1 || !may_be_elsewhere || !compared.problems.is_empty() {
            return Ok(compared);
        }
        let parts: Vec<PartFile> = self.backup.parts().cloned().collect();
        Ok(Compared { segments: total, is_whole: true, ..self.segment(&parts, (0, 1)).await? })
    }

    async fn segment(&self, parts: &[PartFile], place: (u32, u32)) -> Result<Compared> {
        let _slot = self.slots.acquire().await.expect("the semaphore is never closed");
        let comparison = self.comparison(parts);
        let compared = match &self.copy {
            Some(copy) => compare(&comparison, copy, place).await,
            None => comparison.digest().await.map(Compared::archived),
        };
        match compared {
            Err(error) if error.kind() == Kind::Permanent => {
                let mut problems = self.bad_parts(parts).await?;
                if problems.is_empty() {
                    problems.push(format!("{error:#}"));
                }
                Ok(Compared { segments: 1, problems, ..Compared::default() })
            }
            compared => compared,
        }
    }

    /// What is wrong with each part of a segment.
    async fn bad_parts(&self, parts: &[PartFile]) -> Result<Vec<String>> {
        let mut problems = Vec::new();
        for part in parts {
            match self.comparison(std::slice::from_ref(part)).digest().await {
                Err(error) if error.kind() == Kind::Permanent => problems.push(format!("{error:#}")),
                other => drop(other?),
            }
        }
        Ok(problems)
    }

    fn comparison<'a>(&'a self, parts: &'a [PartFile]) -> Comparison<'a> {
        Comparison { archive: self.archive, parts, schema: &self.key }
    }
}

/// Compares a segment, in as many passes as it takes.
async fn compare(
    comparison: &Comparison<'_>,
    copy: &CopyTable<'_>,
    (segment, total_segments): (u32, u32),
) -> Result<Compared> {
    let CopySegment { mut scan, .. } = copy.segment(segment, total_segments);
    let mut compared = Compared { segments: 1, ..Compared::default() };
    let mut start = Some(0);
    while let Some(from) = start {
        let first = scan.first_items().await?;
        let pass = comparison.pass(from, &mut scan, first, &mut compared).await?;
        start = pass.index.next();
        if compared.add_pass(&pass) {
            let most = MAX_KEYS.saturating_sub(compared.keys.len());
            let keys = comparison.different_keys(pass.index, most).await?;
            compared.add_different(keys);
        }
    }
    Ok(compared)
}
