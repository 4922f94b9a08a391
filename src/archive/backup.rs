//! The backup of one table, as it lies in a bucket: made by a run, or by DynamoDB's own export.

use std::collections::HashSet;

use futures::stream::{self, StreamExt, TryStreamExt};

use super::Archive;
use super::layout::RunId;
use super::manifest::{DataFile, SummaryHead, read_files};
use super::marker::{Exported, sum};
use super::part::{PartFile, content_md5};
use super::record::Table;
use crate::config::Compression;
use crate::error::{Context, Error, Result};

/// Markers read at once.
const READ_AT_ONCE: usize = 32;

/// The parts of a table, by segment.
#[derive(Clone, Debug)]
pub struct Backup {
    /// One for each of the table's segments; a native export has one, which holds everything.
    pub segments: Vec<Vec<PartFile>>,
}

impl Backup {
    pub fn items(&self) -> u64 {
        sum(self.parts().map(|part| part.items))
    }

    pub fn parts(&self) -> impl Iterator<Item = &PartFile> {
        self.segments.iter().flatten()
    }

    pub fn total_segments(&self) -> u32 {
        u32::try_from(self.segments.len()).expect("a table has at most 40,000 segments")
    }

    /// What the two manifest files of a full export that DynamoDB has made say is in its folder, which is `folder`
    /// with a slash at its end. Also gives the ARN of the table that it is of.
    ///
    /// # Errors
    /// They are malformed, list a file twice or count other items than the files have (permanent), or are of another
    /// kind of export (usage).
    pub fn of_native_export(folder: &str, summary: &[u8], files: &[u8]) -> Result<(Self, String)> {
        let malformed = |file: &'static str| {
            move |error: serde_json::Error| Error::permanent(format!("read {file}")).with_source(error)
        };
        let summary: SummaryHead =
            serde_json::from_slice(summary).map_err(malformed("manifest-summary.json"))?;
        require_full_export(&summary)?;
        let files = read_files(files).map_err(malformed("manifest-files.json"))?;
        let parts = files.iter().map(|file| native_part(folder, file)).collect::<Result<Vec<_>>>()?;
        let mut keys = HashSet::new();
        if let Some(twice) = parts.iter().find(|part| !keys.insert(&part.key)) {
            return Err(Error::permanent(format!("manifest-files.json lists {} twice", twice.key)));
        }
        let backup = Self { segments: vec![parts] };
        if backup.items() != summary.item_count {
            return Err(Error::permanent(format!(
                "it is not whole: its summary counts {} items, and its files {}",
                summary.item_count,
                backup.items()
            )));
        }
        Ok((backup, summary.table_arn))
    }
}

impl Archive {
    /// The backup of a table that a run has made; `None` where there is none: without its summary, it does not
    /// exist.
    pub async fn backup(&self, run: &RunId, table: &Table) -> Result<Option<Backup>> {
        let folder = self.folder(run, &table.name);
        if !self.exists(&folder.manifest_summary()).await? {
            return Ok(None);
        }
        let keys: Vec<String> = (0..table.plan.segments).map(|segment| folder.exported(segment)).collect();
        let segments = stream::iter(keys)
            .map(|key| async move { self.require::<Exported>(&key).await })
            .buffered(READ_AT_ONCE)
            .map_ok(|exported| self.part_files(&folder, &exported, table.compression))
            .try_collect()
            .await?;
        Ok(Some(Backup { segments }))
    }

    /// A full export that DynamoDB has made, given the prefix under which its `manifest-summary.json` lies; its
    /// keys are taken from there, so that it may have been copied to another place. Also gives the ARN of the
    /// table that it is of.
    ///
    /// The checksum files are verified where they are: they end in `.md5`, or in `.checksum` as the Developer
    /// Guide has it (“DynamoDB table export output format”).
    ///
    /// # Errors
    /// Permanent when it is not there, not whole, or not a full export in DynamoDB JSON.
    pub async fn native_export(&self, prefix: &str) -> Result<(Backup, String)> {
        let prefix = format!("{}/", prefix.trim_matches('/'));
        let summary = self.native_file(&prefix, "manifest-summary").await?;
        let files = self.native_file(&prefix, "manifest-files").await?;
        let backup = Backup::of_native_export(&prefix, &summary, &files);
        backup.with_context(|| format!("read the export s3://{}/{prefix}", self.bucket_name()))
    }

    /// A JSON file of a native export, its checksum verified if there is one.
    async fn native_file(&self, prefix: &str, name: &str) -> Result<Vec<u8>> {
        let key = format!("{prefix}{name}.json");
        let missing = || {
            Error::usage(format!(
                "there is no s3://{}/{key}: give the prefix of one export, as in \
                 s3://BUCKET/PREFIX/AWSDynamoDB/01234567890123-0a1b2c3d",
                self.bucket_name()
            ))
        };
        let body = self.bytes(&key).await?.ok_or_else(missing)?;
        for ending in ["md5", "checksum"] {
            let Some(recorded) = self.bytes(&format!("{prefix}{name}.{ending}")).await? else { continue };
            let actual = content_md5(&body);
            if recorded.trim_ascii() != actual.as_bytes() {
                return Err(Error::permanent(format!(
                    "{key} is corrupt: its MD5 is {actual}, and another is on record"
                )));
            }
        }
        Ok(body.to_vec())
    }
}

fn require_full_export(summary: &SummaryHead) -> Result<()> {
    if summary.output_format != "DYNAMODB_JSON" {
        let format = &summary.output_format;
        return Err(Error::usage(format!("it has the format {format}: only DYNAMODB_JSON can be read")));
    }
    match summary.export_type.as_deref() {
        None | Some("FULL_EXPORT") => Ok(()),
        Some(other) => {
            Err(Error::usage(format!("it is of the type {other}: only a FULL_EXPORT holds every item")))
        }
    }
}

fn native_part(prefix: &str, file: &DataFile) -> Result<PartFile> {
    let name = file.data_file_s3_key.rsplit('/').next().unwrap_or_default();
    let compression = match name.rsplit('.').next() {
        Some("gz") => Compression::Gzip(6),
        Some("zst") => Compression::Zstd(1),
        _ => return Err(Error::permanent(format!("data file {name} is neither .gz nor .zst"))),
    };
    Ok(PartFile {
        key: format!("{prefix}data/{name}"),
        items: file.item_count,
        md5: file.md5_checksum.clone(),
        compression,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn read(files: &[(u64, &str)], counted: u64) -> Result<Backup> {
        let summary = format!(r#"{{"tableArn":"arn","itemCount":{counted},"outputFormat":"DYNAMODB_JSON"}}"#);
        let line = |(items, key): &(u64, &str)| {
            format!(r#"{{"itemCount":{items},"md5Checksum":"","etag":"","dataFileS3Key":"{key}"}}"#)
        };
        let files: String = files.iter().map(line).collect();
        let (backup, arn) = Backup::of_native_export("an/export/", summary.as_bytes(), files.as_bytes())?;
        assert_eq!(arn, "arn");
        Ok(backup)
    }

    #[test]
    fn the_files_of_a_native_export_lie_in_its_folder_wherever_it_was_made() {
        let backup = read(&[(2, "made/here/data/a.json.gz"), (1, "b.json.zst")], 3).expect("whole");
        let keys: Vec<_> = backup.parts().map(|part| part.key.as_str()).collect();
        assert_eq!(keys, ["an/export/data/a.json.gz", "an/export/data/b.json.zst"]);
        assert_eq!((backup.items(), backup.total_segments()), (3, 1));
    }

    #[test]
    fn counts_that_only_wrap_around_to_what_is_expected_are_refused() {
        let error = read(&[(u64::MAX, "a.gz"), (3, "b.gz")], 2).expect_err("not whole");
        assert_eq!(error.kind(), Kind::Permanent);
        assert!(error.to_string().starts_with("it is not whole"), "{error}");
    }
}
