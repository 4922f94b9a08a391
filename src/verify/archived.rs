//! Whether what a run has recorded of a table is there, and agrees with itself.

use std::collections::{BTreeMap, HashSet};

use crate::archive::layout::RunId;
use crate::archive::manifest::{DataFile, SummaryHead, read_files};
use crate::archive::part::content_md5;
use crate::archive::record::Table;
use crate::archive::{Archive, Backup};
use crate::error::Result;

/// What is wrong with a table's manifest, and with the objects that it lists. The parts themselves are read later.
pub(super) async fn problems(
    archive: &Archive,
    run: &RunId,
    table: &Table,
    backup: &Backup,
) -> Result<Vec<String>> {
    let folder = archive.folder(run, &table.name);
    let mut problems = Vec::new();
    let summary = checked(archive, &folder.manifest_summary(), &mut problems).await?;
    let files = checked(archive, &folder.manifest_files(), &mut problems).await?;
    match serde_json::from_slice::<SummaryHead>(&summary) {
        Ok(summary) if summary.item_count != backup.items() => problems.push(format!(
            "{} counts {} items, and the export's markers {}",
            folder.manifest_summary(),
            summary.item_count,
            backup.items()
        )),
        Ok(_) => {}
        Err(error) => problems.push(format!("{} is not readable: {error}", folder.manifest_summary())),
    }
    match read_files(&files) {
        Ok(files) => compare_files(&folder.manifest_files(), files, backup, &mut problems),
        Err(error) => problems.push(format!("{} is not readable: {error}", folder.manifest_files())),
    }
    let listed: Vec<String> = archive.keys(&folder.data()).await?;
    let parts: HashSet<&str> = backup.parts().map(|part| part.key.as_str()).collect();
    let strangers = listed.iter().filter(|key| !parts.contains(key.as_str()));
    problems.extend(
        strangers.map(|key| format!("{key} is no part of the backup, and ImportTable would read it")),
    );
    Ok(problems)
}

/// A manifest file, which must have the checksum beside it.
async fn checked(archive: &Archive, key: &str, problems: &mut Vec<String>) -> Result<Vec<u8>> {
    let Some(body) = archive.bytes(key).await? else {
        problems.push(format!("{key} is missing"));
        return Ok(Vec::new());
    };
    let checksum = crate::archive::checksum_key(key);
    let (actual, recorded) = (content_md5(&body), archive.bytes(&checksum).await?);
    match recorded {
        None => problems.push(format!("{checksum} is missing")),
        Some(recorded) if recorded.trim_ascii() != actual.as_bytes() => {
            problems.push(format!("{key} is corrupt: its MD5 is {actual}, and another is in {checksum}"));
        }
        Some(_) => {}
    }
    Ok(body.to_vec())
}

fn compare_files(manifest: &str, files: Vec<DataFile>, backup: &Backup, problems: &mut Vec<String>) {
    let mut by_key: BTreeMap<String, DataFile> = BTreeMap::new();
    for file in files {
        if let Some(twice) = by_key.insert(file.data_file_s3_key.clone(), file) {
            problems.push(format!("{manifest} lists {} twice", twice.data_file_s3_key));
        }
    }
    for part in backup.parts() {
        match by_key.remove(&part.key) {
            None => problems.push(format!("{manifest} does not list {}", part.key)),
            Some(file) if file.item_count != part.items || file.md5_checksum != part.md5 => {
                problems.push(format!(
                    "{manifest} lists {} with {} items and the MD5 {}, and its marker with {} and {}",
                    part.key, file.item_count, file.md5_checksum, part.items, part.md5
                ));
            }
            Some(_) => {}
        }
    }
    problems.extend(by_key.keys().map(|key| format!("{manifest} lists {key}, which no marker does")));
}
