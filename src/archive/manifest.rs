//! The native manifest of a table's export, as DynamoDB's own exports have it.
//!
//! Both files are pure functions of what lies in the bucket already, so that two workers who write them at
//! the same moment write the same bytes, and each `.md5` belongs to its file whoever put which.
//!
//! Source: DynamoDB Developer Guide, “DynamoDB table export output format”.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::layout::TableFolder;
use super::marker::{Exported, Window, sum};
use super::record::Table;
use crate::error::{Error, Result};

/// The two files, ready to be put.
#[derive(Clone, Debug)]
pub struct Manifest {
    pub files: String,
    pub summary: String,
}

/// One line of `manifest-files.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DataFile {
    pub item_count: u64,
    /// Base64 of the MD5 of the compressed bytes.
    pub md5_checksum: String,
    #[serde(default)]
    pub etag: String,
    pub data_file_s3_key: String,
}

/// What a reader needs of a `manifest-summary.json`, ours or DynamoDB's.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SummaryHead {
    pub table_arn: String,
    pub item_count: u64,
    pub output_format: String,
    /// Absent in a full export of before incremental ones.
    #[serde(default)]
    pub export_type: Option<String>,
}

/// Reads a `manifest-files.json`.
pub fn read_files(text: &[u8]) -> serde_json::Result<Vec<DataFile>> {
    serde_json::Deserializer::from_slice(text).into_iter().collect()
}

/// `manifest-summary.json`: the order of the fields is DynamoDB's.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary<'a> {
    version: &'static str,
    export_arn: String,
    start_time: Timestamp,
    end_time: Timestamp,
    table_arn: &'a str,
    table_id: Option<&'a str>,
    export_time: Timestamp,
    s3_bucket: &'a str,
    s3_prefix: &'a str,
    s3_sse_algorithm: Option<&'static str>,
    s3_sse_kms_key_id: Option<&'static str>,
    manifest_files_s3_key: String,
    billed_size_bytes: u64,
    item_count: u64,
    output_format: &'static str,
}

impl Manifest {
    /// The manifest of a table of which every segment is exported.
    ///
    /// # Errors
    /// Permanent when a segment's marker is missing: such a table has no manifest.
    pub fn new(bucket: &str, folder: &TableFolder, table: &Table, segments: &[Exported]) -> Result<Self> {
        if segments.len() != table.plan.segments as usize {
            return Err(Error::permanent(format!(
                "table {} has {} segments, but {} are exported",
                table.name,
                table.plan.segments,
                segments.len()
            )));
        }
        let summary = summary(bucket, folder, table, segments);
        Ok(Self { files: files(folder, table, segments), summary: json(&summary) })
    }
}

fn files(folder: &TableFolder, table: &Table, segments: &[Exported]) -> String {
    let mut lines = String::new();
    for segment in segments {
        for part in &segment.parts {
            let key = folder.part(segment.segment, part.part, table.compression);
            lines += &json(&DataFile {
                item_count: part.items,
                md5_checksum: part.md5.clone(),
                etag: part.etag.clone(),
                data_file_s3_key: key,
            });
            lines.push('\n');
        }
    }
    lines
}

fn summary<'a>(
    bucket: &'a str,
    folder: &'a TableFolder,
    table: &'a Table,
    segments: &[Exported],
) -> Summary<'a> {
    let scan = segments.iter().map(|segment| segment.scan).reduce(Window::union);
    let scan = scan.unwrap_or(Window { started_at: table.described_at, finished_at: table.described_at });
    let definition = &table.definition;
    Summary {
        version: "2020-06-30",
        export_arn: format!("{}/export/{}", definition.table_arn, folder.export_id()),
        start_time: scan.started_at,
        end_time: scan.finished_at,
        table_arn: &definition.table_arn,
        table_id: definition.table_id.as_deref(),
        export_time: scan.started_at,
        s3_bucket: bucket,
        s3_prefix: folder.path().trim_end_matches('/'),
        // How the bucket encrypts is the bucket's own setting, which the worker does not read.
        s3_sse_algorithm: None,
        s3_sse_kms_key_id: None,
        manifest_files_s3_key: folder.manifest_files(),
        billed_size_bytes: definition.table_size_bytes,
        item_count: sum(segments.iter().map(Exported::items)),
        output_format: "DYNAMODB_JSON",
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data with string keys")
}
