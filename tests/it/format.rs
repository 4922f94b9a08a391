//! What lies in the bucket is DynamoDB's own export format, which others can read without us.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use loopback_aws::{BUCKET, SOURCE_ACCOUNT, sample};
use md5::{Digest, Md5};
use serde_json::Value;

use crate::evidence::{of_shop, sorted};
use crate::harness::{World, table};

/// The fields of `manifest-summary.json` in DynamoDB's order (DynamoDB Developer Guide, “DynamoDB table export
/// output format”).
const SUMMARY_FIELDS: [&str; 15] = [
    "version",
    "exportArn",
    "startTime",
    "endTime",
    "tableArn",
    "tableId",
    "exportTime",
    "s3Bucket",
    "s3Prefix",
    "s3SseAlgorithm",
    "s3SseKmsKeyId",
    "manifestFilesS3Key",
    "billedSizeBytes",
    "itemCount",
    "outputFormat",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_not_ours_reads_every_item() {
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("skipped: there is no python3 to read the export with");
        return;
    }
    // `heavy` is large and no harder to read than the others; a name of 255 characters, legal for a table and in
    // a key, is with its `.json` too long for a file.
    let readable = |name: &str| name != "heavy" && name.len() <= 250;
    let awkward = sample::awkward().into_iter().filter(|table| readable(table.name()));
    let world = World::with(awkward.chain(of_shop(&["orders"])).collect()).await;
    world.backup(&["--compression", "gzip", "--lanes", "2"], 0).await;

    let folder = tempfile::tempdir().expect("a temporary folder");
    copy_bucket(&world, folder.path());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/read_export.py");
    let read = Command::new("python3").arg(script).arg(folder.path()).output().expect("python3 starts");

    let (stdout, stderr) = (String::from_utf8_lossy(&read.stdout), String::from_utf8_lossy(&read.stderr));
    assert!(read.status.success(), "{stderr}");
    let found: BTreeSet<String> = stdout.lines().map(str::to_owned).collect();
    let names = world.tables(SOURCE_ACCOUNT);
    let expected: BTreeSet<String> = names.iter().map(|name| as_the_script_prints_it(&world, name)).collect();
    assert_eq!(found, expected);
    assert_eq!(found.len(), names.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_manifests_are_those_of_a_native_export() {
    let world = World::with(of_shop(&["orders"])).await;
    world.backup(&[], 0).await;

    let (summary_key, text) = manifest(&world, "manifest-summary.json");
    let summary: Value = serde_json::from_str(&text).expect("it is JSON");
    let places: Vec<Option<usize>> =
        SUMMARY_FIELDS.iter().map(|name| text.find(&format!("\"{name}\":"))).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{text}");
    assert_eq!(summary.as_object().expect("an object").len(), SUMMARY_FIELDS.len());

    let described =
        world.dynamodb(SOURCE_ACCOUNT, "DescribeTable", &serde_json::json!({ "TableName": "orders" }));
    let of_summary = |name: &str| summary[name].as_str().expect("text");
    let folder = summary_key.strip_suffix("manifest-summary.json").expect("its name");
    let export_id = folder.trim_end_matches('/').rsplit('/').next().expect("a folder");
    assert!(is_export_id(export_id), "{export_id}");
    assert_eq!(of_summary("version"), "2020-06-30");
    assert_eq!(of_summary("tableArn"), described["Table"]["TableArn"]);
    assert_eq!(summary["tableId"], described["Table"]["TableId"]);
    assert_eq!(of_summary("exportArn"), format!("{}/export/{export_id}", of_summary("tableArn")));
    assert_eq!(of_summary("s3Bucket"), BUCKET);
    assert_eq!(format!("{}/AWSDynamoDB/{export_id}/", of_summary("s3Prefix")), folder);
    assert_eq!(of_summary("manifestFilesS3Key"), format!("{folder}manifest-files.json"));
    assert_eq!(of_summary("outputFormat"), "DYNAMODB_JSON");
    assert_eq!(summary["itemCount"], world.source_items("orders").len());
    let times =
        ["startTime", "endTime"].map(|name| of_summary(name).parse::<jiff::Timestamp>().expect("a time"));
    assert!(times[0] <= times[1], "{text}");
    assert_eq!(world.bucket().get(&format!("{folder}_started")).as_deref(), Some(&b""[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_files_names_every_part_with_its_count_and_checksum_and_data_holds_nothing_else() {
    let world = World::with(of_shop(&["orders"])).await;
    world.backup(&[], 0).await;

    let (_, text) = manifest(&world, "manifest-files.json");
    let mut listed = Vec::new();
    for line in text.lines() {
        let entry: Value = serde_json::from_str(line).expect("a line is JSON");
        let key = entry["dataFileS3Key"].as_str().expect("text").to_owned();
        let body = world.bucket().get(&key).expect("the key is relative to the root of the bucket");
        let expected = format!(
            r#"{{"itemCount":{},"md5Checksum":"{}","etag":"{}","dataFileS3Key":"{key}"}}"#,
            lines_of_one_frame(&body),
            BASE64.encode(Md5::digest(&body)),
            Md5::digest(&body).iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
        );
        assert_eq!(line, expected);
        listed.push(key);
    }
    assert!(listed.len() > 1, "{text}");
    assert!(text.ends_with('\n'));
    assert_eq!(listed, world.keys_with("/data/"));
    for key in &listed {
        let name = key.rsplit('/').next().expect("a name");
        assert!(is_part_name(name), "{name}");
    }
    assert_eq!(sorted(&world.exported_items("orders")), sorted(&world.source_items("orders")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_table_has_a_manifest_of_no_files() {
    let world = World::with(vec![table("orders", 0)]).await;
    world.backup(&[], 0).await;

    assert_eq!(manifest(&world, "manifest-files.json").1, "");
    assert_eq!(world.object("manifest-summary.json").expect("it is JSON")["itemCount"], 0);
    assert_eq!(world.keys_with("/data/"), [""; 0]);
}

/// The only manifest of that name, by key and text. Its `.md5` must fit.
fn manifest(world: &World, name: &str) -> (String, String) {
    let keys = world.keys_with(name);
    let [key] = &keys[..] else { panic!("one {name} in {keys:?}") };
    let body = world.bucket().get(key).expect("it was listed");
    let checksum = world.bucket().get(&key.replace(".json", ".md5")).expect("it has its checksum");
    assert_eq!(checksum, BASE64.encode(Md5::digest(&body)), "{key}");
    (key.clone(), String::from_utf8(body.to_vec()).expect("JSON is UTF-8"))
}

/// Lines in a part, which must be a single zstd frame: some readers stop after the first.
fn lines_of_one_frame(body: &[u8]) -> usize {
    assert_eq!(zstd::zstd_safe::find_frame_compressed_size(body), Ok(body.len()));
    let text = zstd::decode_all(body).expect("its checksum is right");
    assert_eq!(text.last(), Some(&b'\n'));
    text.iter().filter(|byte| **byte == b'\n').count()
}

/// 13 digits of milliseconds, a dash, 8 hexadecimal digits.
fn is_export_id(text: &str) -> bool {
    text.split_once('-').is_some_and(|(time, hash)| {
        time.len() == 13
            && time.bytes().all(|byte| byte.is_ascii_digit())
            && hash.len() == 8
            && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// `00003-00012.json.zst`
fn is_part_name(name: &str) -> bool {
    let numbers = name.strip_suffix(".json.zst").and_then(|stem| stem.split_once('-'));
    let is_number = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    numbers.is_some_and(|(segment, part)| is_number(segment) && is_number(part))
}

fn copy_bucket(world: &World, folder: &Path) {
    for key in world.bucket().keys() {
        let path = folder.join(&key);
        std::fs::create_dir_all(path.parent().expect("a key has a folder")).expect("the disk has room");
        std::fs::write(path, world.bucket().get(&key).expect("it was listed")).expect("the disk has room");
    }
}

/// The line that `read_export.py` is to print for a source table.
fn as_the_script_prints_it(world: &World, table: &str) -> String {
    let description =
        world.dynamodb(SOURCE_ACCOUNT, "DescribeTable", &serde_json::json!({ "TableName": table }));
    let arn = description["Table"]["TableArn"].as_str().expect("text").to_owned();
    let items = world.source_items(table);
    let digest = Md5::digest(sorted(&items).join("\n"));
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(r#"{{"tableArn": "{arn}", "items": {}, "digest": "{digest}"}}"#, items.len())
}
