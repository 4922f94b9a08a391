//! `restore` makes tables equal to a backup, wherever, and writes over nothing unasked.

use dynamodb_backup::archive::part::content_md5;
use loopback_aws::{
    BACKUP_ACCOUNT, BUCKET, EXTERNAL_ID, REGION, Role, SOURCE_ACCOUNT, SOURCE_ROLE_ARN, sample,
};
use serde_json::{Value, json};

use crate::compare;
use crate::evidence::sorted;
use crate::harness::{Ended, World, table};

const THIRD_ACCOUNT: &str = "333333333333";
const THIRD_ROLE_ARN: &str = "arn:aws:iam::333333333333:role/restore";

/// All that restoring takes in the account that is restored into.
const RESTORES: [&str; 6] = [
    "dynamodb:CreateTable",
    "dynamodb:DescribeTable",
    "dynamodb:Scan",
    "dynamodb:BatchWriteItem",
    "dynamodb:UpdateTable",
    "dynamodb:UpdateTimeToLive",
];

async fn backed_up(gzip: bool) -> (World, String) {
    let mut world = World::with(vec![table("orders", 200), table("users", 20)]).await;
    if gzip {
        world.set("BACKUP_COMPRESSION", "gzip");
    }
    world.backup(&[], 0).await;
    world.set("BACKUP_COMPRESSION", "");
    let run = world.only_run().to_string();
    (world, run)
}

async fn restore(world: &World, what: &str, arguments: &[&str], code: i32) -> Value {
    let arguments = [&["restore", what, "--output", "json"], arguments].concat();
    world.run(&arguments).await.expect_code(code).json()
}

/// Items of the backup, put, changed, unchanged, deleted and left, of the only table.
fn counts(restored: &Value) -> Value {
    let names = ["items", "items_put", "items_changed", "items_unchanged", "items_deleted", "items_extra"];
    json!(names.map(|name| &restored["tables"][0][name]))
}

fn told(ended: &Ended, text: &str) {
    assert!(ended.stderr.contains(text) || ended.stdout.contains(text), "{}\n{}", ended.stdout, ended.stderr);
}

fn key(number: usize) -> Value {
    json!({ "pk": { "S": format!("item-{number:05}") } })
}

fn put(world: &World, table: &str, item: &Value) {
    world.dynamodb(BACKUP_ACCOUNT, "PutItem", &json!({ "TableName": table, "Item": item }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_source_is_restored_into_a_third_account_and_shown_to_be_equal() {
    let mut world = World::with(sample::shop()).await;
    world.backup(&[], 0).await;
    let run = world.only_run().to_string();
    let role = Role::new(THIRD_ROLE_ARN, BACKUP_ACCOUNT).external_id(EXTERNAL_ID).allow(RESTORES);
    world.aws.add_role(role);
    world.set("BACKUP_TARGET_ROLE_ARN", THIRD_ROLE_ARN);
    world.set("BACKUP_TARGET_EXTERNAL_ID", EXTERNAL_ID);
    world.aws.clear_calls();

    let restored = restore(&world, &run, &["--table", "*"], 0).await;
    let names = world.tables(SOURCE_ACCOUNT);
    assert_eq!(restored["tables"].as_array().map(Vec::len), Some(names.len()));
    let source = compare::client(&world.aws.endpoint(), SOURCE_ACCOUNT, REGION).await;
    let third = compare::client(&world.aws.endpoint(), THIRD_ACCOUNT, REGION).await;
    for name in names {
        let compared = compare::compare((&source, &name), (&third, &name)).await.expect("both are there");
        assert_eq!(compared.differing, Vec::<String>::new(), "table {name}");
    }
    let written = world.aws.calls().into_iter().filter(|call| call.action == "BatchWriteItem");
    assert!(written.into_iter().all(|call| call.account == THIRD_ACCOUNT), "nobody else is written to");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_has_items_is_left_alone_unless_told_and_then_only_what_differs_is_put() {
    let (world, run) = backed_up(false).await;
    let into = ["--table", "orders", "--to", "orders-again"];
    assert_eq!(counts(&restore(&world, &run, &into, 0).await), json!([200, 200, 0, 0, 0, 0]));
    assert_eq!(world.differences_between("orders", "orders-again").await, Vec::<String>::new());

    let ended = world.run(&[&["restore", &run][..], &into].concat()).await.expect_code(64);
    told(&ended, "table orders-again has items");
    told(&ended, "--into-existing");

    let changed = json!({ "pk": { "S": "item-00007" }, "text": { "S": "changed" } });
    put(&world, "orders-again", &changed);
    put(&world, "orders-again", &json!({ "pk": { "S": "new since" } }));
    world.dynamodb(BACKUP_ACCOUNT, "DeleteItem", &json!({ "TableName": "orders-again", "Key": key(11) }));
    world.aws.clear_calls();

    let mirror = [&into[..], &["--into-existing", "--mirror"]].concat();
    let preview = restore(&world, &run, &[&mirror[..], &["--dry-run"]].concat(), 0).await;
    assert_eq!(counts(&preview), json!([200, 1, 1, 198, 1, 0]));
    assert_eq!(world.count_calls("BatchWriteItem"), 0, "a dry run writes nothing");

    let kept = restore(&world, &run, &[&into[..], &["--into-existing"]].concat(), 0).await;
    assert_eq!(counts(&kept), json!([200, 1, 1, 198, 0, 1]));
    let mirrored = restore(&world, &run, &mirror, 0).await;
    assert_eq!(counts(&mirrored), json!([200, 0, 0, 200, 1, 0]));
    assert_eq!(world.differences_between("orders", "orders-again").await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_with_other_segments_is_mirrored_all_the_same() {
    let (world, run) = backed_up(false).await;
    let into = ["--table", "orders", "--to", "orders-again"];
    restore(&world, &run, &into, 0).await;
    world.aws.scatter_segments(BACKUP_ACCOUNT, REGION, "orders-again");
    put(&world, "orders-again", &json!({ "pk": { "S": "new since" } }));
    restore(&world, &run, &[&into[..], &["--into-existing", "--mirror"]].concat(), 0).await;
    assert_eq!(world.differences_between("orders", "orders-again").await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_itself_is_written_only_when_its_arn_is_typed() {
    let (mut world, run) = backed_up(false).await;
    world.aws.add_role(Role::new("arn:aws:iam::111111111111:role/restore", BACKUP_ACCOUNT).allow(RESTORES));
    world.set("BACKUP_TARGET_ROLE_ARN", "arn:aws:iam::111111111111:role/restore");
    world.dynamodb(SOURCE_ACCOUNT, "DeleteItem", &json!({ "TableName": "orders", "Key": key(11) }));
    let into = ["restore", &run, "--table", "orders", "--into-existing"];
    let arn = format!("arn:aws:dynamodb:{REGION}:{SOURCE_ACCOUNT}:table/orders");

    let ended = world.run(&into).await.expect_code(64);
    told(&ended, &format!("{arn} is the table that was backed up"));
    let wrong =
        [&into[..], &["--over-source", "arn:aws:dynamodb:eu-west-1:111111111111:table/users"]].concat();
    world.run(&wrong).await.expect_code(64);
    assert_eq!(world.count(SOURCE_ACCOUNT, "orders"), 199);

    world.run(&[&into[..], &["--over-source", &arn]].concat()).await.expect_code(0);
    assert_eq!(world.count(SOURCE_ACCOUNT, "orders"), 200);
    assert_ne!(SOURCE_ROLE_ARN, "arn:aws:iam::111111111111:role/restore", "the backup's own role only reads");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_restored_is_a_usage_error_that_says_so() {
    let (mut world, run) = backed_up(false).await;
    let restore = |arguments: &[&str]| [&["restore"], arguments].concat().join(" ");
    for (line, text) in [
        (restore(&[&run]), "--table '*'"),
        (restore(&[&run, "--table", "nope"]), "has no such table"),
        (restore(&[&run, "--table", "*", "--to", "one"]), "--to names one table"),
        (restore(&[&run, "--table", "orders", "--mirror"]), "--into-existing"),
        (restore(&["20260131T020000Z-1a2b3c4d", "--table", "*"]), "there is no run"),
        (restore(&[&format!("s3://{BUCKET}/nowhere"), "--to", "one"]), "there is no s3://"),
        (restore(&[&format!("s3://{BUCKET}/nowhere")]), "give --to NAME"),
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        told(&world.run(&words).await.expect_code(64), text);
    }
    told(&world.run(&["restore", &run, "--table", "orders"]).await.expect_code(64), "is a live copy");
    let into_copy = ["restore", &run, "--table", "orders", "--to", "users", "--into-existing"];
    told(&world.run(&into_copy).await.expect_code(64), "table users is a live copy");
    world.set("BACKUP_TARGET_ROLE_ARN", "arn:aws:iam::333333333333:role/nobody");
    let ended = world.run(&["restore", &run, "--table", "orders"]).await.expect_code(1);
    told(&ended, "assume role arn:aws:iam::333333333333:role/nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corrupt_part_is_never_restored() {
    let (world, run) = backed_up(false).await;
    let part =
        world.keys_with("/tables/orders/").into_iter().find(|key| key.contains("/data/")).expect("a part");
    world.bucket().change(&part, |body| {
        let middle = body.len() / 2;
        body[middle] ^= 1;
    });
    let ended =
        world.run(&["restore", &run, "--table", "orders", "--to", "orders-again"]).await.expect_code(1);
    told(&ended, "is corrupt");
    told(&ended, &part);
}

/// Lays an export as DynamoDB writes it, gzip files under names of its own, with one kind of checksum file.
fn native_export(world: &World, prefix: &str, checksum: Option<&str>) {
    let bucket = world.bucket();
    let (mut files, mut items) = (String::new(), 0);
    let parts = world.keys_with("/tables/orders/").into_iter().filter(|key| key.ends_with(".json.gz"));
    for (number, part) in parts.enumerate() {
        let body = bucket.get(&part).expect("it was listed");
        let key = format!("AWSDynamoDB/01700000000000-0a1b2c3d/data/{number:026}.json.gz");
        let count = crate::evidence::part_text(&part, &body).lines().count();
        let line = json!({
            "itemCount": count, "md5Checksum": content_md5(&body), "etag": "…", "dataFileS3Key": key,
        });
        files += &format!("{line}\n");
        items += count;
        bucket.put(&format!("{prefix}/data/{number:026}.json.gz"), body);
    }
    let summary = json!({
        "version": "2020-06-30",
        "tableArn": format!("arn:aws:dynamodb:{REGION}:{SOURCE_ACCOUNT}:table/orders"),
        "itemCount": items,
        "outputFormat": "DYNAMODB_JSON",
        "exportType": "FULL_EXPORT",
    });
    for (name, text) in [("manifest-files", files), ("manifest-summary", summary.to_string())] {
        if let Some(ending) = checksum {
            bucket.put(&format!("{prefix}/{name}.{ending}"), content_md5(text.as_bytes()));
        }
        bucket.put(&format!("{prefix}/{name}.json"), text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_dynamodb_made_is_restored_with_and_without_its_checksums() {
    let (world, _) = backed_up(true).await;
    for (number, checksum) in [None, Some("md5"), Some("checksum")].into_iter().enumerate() {
        let (prefix, name) = (format!("native-{number}"), format!("orders-{number}"));
        native_export(&world, &prefix, checksum);
        let place = format!("s3://{BUCKET}/{prefix}/");
        let ended = world.run(&["restore", &place, "--to", &name]).await.expect_code(64);
        told(&ended, "create it first");
        world.dynamodb(BACKUP_ACCOUNT, "CreateTable", &crate::harness::create(&name, "pk", "S"));
        assert_eq!(
            counts(&restore(&world, &place, &["--to", &name], 0).await),
            json!([200, 200, 0, 0, 0, 0])
        );
        assert_eq!(sorted(&items(&world, &name)), sorted(&world.source_items("orders")));
    }
    // `verify` reads it as well.
    let place = format!("s3://{BUCKET}/native-0");
    told(&world.run(&["verify", &place]).await.expect_code(64), "give --with NAME");
    let ended = world.run(&["verify", &place, "--with", "orders-0"]).await.expect_code(0);
    told(&ended, "the backup is whole, and the copy equals it");
    // Into a table that has items, it is compared over hash ranges.
    world.dynamodb(BACKUP_ACCOUNT, "DeleteItem", &json!({ "TableName": "orders-0", "Key": key(11) }));
    put(&world, "orders-0", &json!({ "pk": { "S": "new since" } }));
    let ended = world.run(&["verify", &place, "--with", "orders-0"]).await.expect_code(1);
    told(&ended, "the copy lacks");
    told(&ended, "the copy alone has");
    let mirror = ["--to", "orders-0", "--into-existing", "--mirror"];
    let restored = restore(&world, &format!("s3://{BUCKET}/native-0"), &mirror, 0).await;
    assert_eq!(counts(&restored), json!([200, 1, 0, 199, 1, 0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_is_not_whole_or_of_another_kind_is_refused() {
    let (world, _) = backed_up(true).await;
    native_export(&world, "native", Some("md5"));
    world.dynamodb(BACKUP_ACCOUNT, "CreateTable", &crate::harness::create("one", "pk", "S"));
    let place = format!("s3://{BUCKET}/native");
    let summary = world.bucket().get("native/manifest-summary.json").expect("there").to_vec();
    let with = |member: &str, value: Value| {
        let mut text: Value = serde_json::from_slice(&summary).expect("JSON");
        text[member] = value;
        let text = text.to_string();
        world.bucket().put("native/manifest-summary.md5", content_md5(text.as_bytes()));
        world.bucket().put("native/manifest-summary.json", text);
    };
    with("exportType", json!("INCREMENTAL_EXPORT"));
    told(&world.run(&["restore", &place, "--to", "one"]).await.expect_code(64), "INCREMENTAL_EXPORT");
    with("outputFormat", json!("ION"));
    told(&world.run(&["restore", &place, "--to", "one"]).await.expect_code(64), "has the format ION");
    with("itemCount", json!(201));
    told(&world.run(&["restore", &place, "--to", "one"]).await.expect_code(1), "is not whole");
    world.bucket().put("native/manifest-summary.json", summary.clone());
    told(&world.run(&["restore", &place, "--to", "one"]).await.expect_code(1), "is corrupt");
    assert_eq!(world.count(BACKUP_ACCOUNT, "one"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_not_taken_for_a_table_with_another_key_nor_with_a_part_twice() {
    let (world, _) = backed_up(true).await;
    native_export(&world, "native", None);
    let place = format!("s3://{BUCKET}/native");
    // Every item has the same text, so all of them would be one.
    world.dynamodb(BACKUP_ACCOUNT, "CreateTable", &crate::harness::create("by-text", "text", "S"));
    let ended = world.run(&["restore", &place, "--to", "by-text"]).await.expect_code(1);
    told(&ended, "share their key with another");
    let ended = world.run(&["verify", &place, "--with", "by-text"]).await.expect_code(1);
    told(&ended, "share their key with another");

    let files = String::from_utf8(world.bucket().get("native/manifest-files.json").expect("there").to_vec());
    let files = files.expect("JSON");
    let first = files.lines().next().expect("a line");
    world.bucket().put(
        "native/manifest-files.json",
        format!(
            "{files}{first}
"
        ),
    );
    told(&world.run(&["restore", &place, "--to", "by-text"]).await.expect_code(1), "twice");
}

/// Every item of a table of the backup account that fits one page.
fn items(world: &World, table: &str) -> Vec<Value> {
    let page = world.dynamodb(BACKUP_ACCOUNT, "Scan", &json!({ "TableName": table }));
    page["Items"].as_array().expect("a list").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_created_on_demand_where_that_is_asked_for() {
    let mut orders = table("orders", 40);
    orders.create["BillingMode"] = "PROVISIONED".into();
    orders.create["ProvisionedThroughput"] = json!({ "ReadCapacityUnits": 5, "WriteCapacityUnits": 5 });
    let world = World::with(vec![orders]).await;
    world.backup(&[], 0).await;
    let run = world.only_run().to_string();
    let mode = |table: &str| {
        let described = world.dynamodb(BACKUP_ACCOUNT, "DescribeTable", &json!({ "TableName": table }));
        described["Table"]["BillingModeSummary"]["BillingMode"].clone()
    };
    let fast = ["--table", "orders", "--to", "fast", "--billing-mode", "on-demand"];
    restore(&world, &run, &fast, 0).await;
    assert_eq!(mode("fast"), "PAY_PER_REQUEST");
    restore(&world, &run, &["--table", "orders", "--to", "slow"], 0).await;
    assert_ne!(mode("slow"), "PAY_PER_REQUEST");
}
