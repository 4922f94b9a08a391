//! `verify` finds whatever is wrong with a backup or its copy, by key or by object.

use std::io::Write as _;

use loopback_aws::{BACKUP_ACCOUNT, REGION, SOURCE_ACCOUNT};
use serde_json::{Value, json};

use crate::evidence::of_shop;
use crate::harness::{Ended, World, table};

/// A world with two tables, backed up.
async fn backed_up() -> (World, String) {
    let world = World::with(vec![table("orders", 200), table("users", 20)]).await;
    world.backup(&[], 0).await;
    let run = world.only_run().to_string();
    world.aws.clear_calls();
    (world, run)
}

async fn verify(world: &World, run: &str, arguments: &[&str], code: i32) -> Value {
    let arguments = [&["verify", run, "--output", "json"], arguments].concat();
    world.run(&arguments).await.expect_code(code).json()
}

/// What a verification says of a table.
fn of<'a>(verified: &'a Value, table: &str) -> &'a Value {
    let mut tables = verified["tables"].as_array().expect("a list").iter();
    tables.find(|it| it["table"] == table).expect("the table is there")
}

fn problems(verified: &Value, table: &str) -> String {
    of(verified, table)["problems"].to_string()
}

fn counts(verified: &Value, table: &str) -> Value {
    json!(["missing", "changed", "extra"].map(|name| &of(verified, table)[name]))
}

fn key(number: usize) -> Value {
    json!({ "pk": { "S": format!("item-{number:05}") } })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_equals_its_archive_is_shown_to_and_nothing_is_written() {
    let world = World::with(of_shop(&["customers", "carts"])).await;
    world.backup(&[], 0).await;
    let run = world.only_run().to_string();
    let keys = world.bucket().keys();
    world.aws.clear_calls();

    let verified = verify(&world, &run, &[], 0).await;
    assert_eq!(verified["equal"], true);
    for name in ["customers", "carts"] {
        let items = world.source_items(name).len();
        let found = of(&verified, name);
        assert_eq!(found["archived"]["items"], items, "{found}");
        assert_eq!(found["archived"], found["copy"], "{found}");
    }
    let reads = ["GetObject", "HeadObject", "HeadBucket", "ListObjectsV2", "DescribeTable", "Scan"];
    for call in world.aws.calls() {
        assert!(reads.contains(&call.action.as_str()), "{}", call.name());
        assert_eq!(call.account, BACKUP_ACCOUNT, "{}", call.name());
    }
    assert_eq!(world.bucket().keys(), keys);
    let ended = world.run(&["verify", &run]).await.expect_code(0);
    assert!(ended.stdout.contains("the backup is whole, and the copy equals it"), "{}", ended.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_byte_one_lost_item_and_one_strange_one_are_found_by_key() {
    let (world, run) = backed_up().await;
    let changed = json!({ "pk": { "S": "item-00007" }, "number": { "N": "7" }, "text": { "S": "It Was" } });
    let strange = json!({ "pk": { "S": "item-99999" } });
    for item in [changed, strange] {
        world.dynamodb(BACKUP_ACCOUNT, "PutItem", &json!({ "TableName": "orders", "Item": item }));
    }
    world.dynamodb(BACKUP_ACCOUNT, "DeleteItem", &json!({ "TableName": "orders", "Key": key(11) }));

    let verified = verify(&world, &run, &[], 1).await;
    assert_eq!(counts(&verified, "orders"), json!([1, 1, 1]));
    let mut found: Vec<String> = of(&verified, "orders")["keys"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| format!("{} {}", it["difference"], it["key"]))
        .collect();
    found.sort_unstable();
    let expected = [
        format!("\"changed\" {}", key(7)),
        format!("\"extra\" {}", key(99999)),
        format!("\"missing\" {}", key(11)),
    ];
    assert_eq!(found, expected);
    assert_eq!(of(&verified, "users")["equal"], true);

    let ended = world.run(&["verify", &run]).await.expect_code(1);
    for told in
        ["1 table is not as it should be", "the copy lacks", "the copy has changed", "the copy alone has"]
    {
        assert!(ended.stdout.contains(told), "{}", ended.stdout);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_to_the_archive_is_found_by_object() {
    let (world, run) = backed_up().await;
    let part = |name: &str| {
        let keys = world.keys_with(&format!("/tables/{name}/"));
        keys.into_iter().find(|key| key.contains("/data/")).expect("a part")
    };
    let (flipped, missing) = (part("orders"), part("users"));
    world.bucket().change(&flipped, |body| {
        let middle = body.len() / 2;
        body[middle] ^= 1;
    });
    world.bucket().remove(&missing);

    let verified = verify(&world, &run, &[], 1).await;
    let orders = problems(&verified, "orders");
    assert!(orders.contains(&flipped) && orders.contains("is corrupt"), "{orders}");
    let users = problems(&verified, "users");
    assert!(users.contains(&missing) && users.contains("is missing"), "{users}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_is_off_by_one_is_found_and_so_is_a_part_that_is_none() {
    let (world, run) = backed_up().await;
    let manifest = |name: &str, file: &str| {
        let keys = world.keys_with(&format!("/tables/{name}/"));
        keys.into_iter().find(|key| key.ends_with(file)).expect("it is there")
    };
    // With a checksum that is right: only who knows what was exported can tell.
    let (files, checksum) =
        (manifest("orders", "manifest-files.json"), manifest("orders", "manifest-files.md5"));
    let text = String::from_utf8(world.bucket().get(&files).expect("there").to_vec()).expect("JSON");
    let first = text.lines().next().expect("a line");
    let mut line: Value = serde_json::from_str(first).expect("JSON");
    line["itemCount"] = json!(line["itemCount"].as_u64().expect("a count") + 1);
    let damaged = text.replacen(first, &line.to_string(), 1);
    world.bucket().put(&checksum, dynamodb_backup::archive::part::content_md5(damaged.as_bytes()));
    world.bucket().put(&files, damaged);
    let stranger = files.replace("manifest-files.json", "data/00009-00000.json.zst");
    world.bucket().put(&stranger, "left by a zombie");
    let summary = manifest("users", "manifest-summary.json");
    world.bucket().change(&summary, |body| body.write_all(b" ").expect("a vector takes it"));

    let verified = verify(&world, &run, &[], 1).await;
    let orders = problems(&verified, "orders");
    assert!(orders.contains(&format!("{files} lists")) && orders.contains("and its marker with"), "{orders}");
    assert!(orders.contains(&format!("{stranger} is no part of the backup")), "{orders}");
    let users = problems(&verified, "users");
    assert!(users.contains(&format!("{summary} is corrupt")), "{users}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_with_other_segments_is_compared_as_a_whole() {
    let (world, run) = backed_up().await;
    world.aws.scatter_segments(BACKUP_ACCOUNT, REGION, "orders");
    let verified = verify(&world, &run, &[], 0).await;
    assert_eq!(counts(&verified, "orders"), json!([0, 0, 0]));

    world.dynamodb(BACKUP_ACCOUNT, "DeleteItem", &json!({ "TableName": "orders", "Key": key(11) }));
    let verified = verify(&world, &run, &[], 1).await;
    assert_eq!(counts(&verified, "orders"), json!([1, 0, 0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shares_of_a_verification_together_find_everything() {
    let (world, run) = backed_up().await;
    for number in 0..200 {
        let key = json!({ "TableName": "orders", "Key": key(number) });
        world.dynamodb(BACKUP_ACCOUNT, "DeleteItem", &key);
    }
    let mut missing = 0;
    for share in ["1/3", "2/3", "3/3"] {
        let verified = verify(&world, &run, &["--subset", share, "--table", "orders"], 1).await;
        missing += of(&verified, "orders")["missing"].as_u64().expect("a count");
    }
    assert_eq!(missing, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_older_run_the_archive_alone_is_verified() {
    let (world, first) = backed_up().await;
    world.dynamodb(SOURCE_ACCOUNT, "DeleteItem", &json!({ "TableName": "orders", "Key": key(11) }));
    world.backup(&[], 0).await;
    let verified = verify(&world, &first, &[], 0).await;
    let orders = of(&verified, "orders");
    assert!(orders["archive_only"].to_string().contains("the copy is that of run"), "{orders}");
    assert_eq!((&orders["archived"]["items"], &orders["copy"]["items"]), (&json!(200), &json!(0)));
    let ended = world.run(&["verify", &first]).await.expect_code(0);
    assert!(ended.stdout.contains("the copies of 2 of 2 tables were not"), "{}", ended.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_verified_is_a_usage_error_that_says_so() {
    let (world, run) = backed_up().await;
    let told = |ended: Ended, text: &str| assert!(ended.stderr.contains(text), "{}", ended.stderr);
    told(world.run(&["verify", "latest"]).await.expect_code(64), "\"latest\" is not the id of a run");
    told(world.run(&["verify", &run, "--subset", "8/7"]).await.expect_code(64), "is not a share");
    told(world.run(&["verify", &run, "--table", "nope*"]).await.expect_code(64), "has no such table");
}
