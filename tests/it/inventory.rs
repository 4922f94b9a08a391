//! What a report tells of tables that are new, gone or changed since the last complete run.

use loopback_aws::{Fault, SOURCE_ACCOUNT};
use serde_json::{Value, json};

use crate::harness::{World, create, table};

fn delete(world: &World, name: &str) {
    world.dynamodb(SOURCE_ACCOUNT, "DeleteTable", &json!({ "TableName": name }));
}

/// The report of a run that is complete.
async fn backup(world: &World, arguments: &[&str]) -> Value {
    world.backup(arguments, 0).await["runs"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_are_new_gone_or_changed_since_the_last_complete_run_are_named() {
    let world = World::with(vec![table("orders", 10), table("users", 10), table("carts", 10)]).await;
    let first = backup(&world, &[]).await;
    assert_eq!(first["inventory"], Value::Null, "there is nothing to compare with");

    let unchanged = backup(&world, &[]).await["inventory"].clone();
    assert_eq!(unchanged, json!({ "since": first["run"], "new": [], "gone": [], "changed": [] }));

    delete(&world, "carts");
    delete(&world, "users");
    world.seed(vec![table("baskets", 10), table("users", 10)]).await;
    let third = backup(&world, &[]).await;
    let inventory = &third["inventory"];
    assert_eq!((&inventory["new"], &inventory["gone"]), (&json!(["baskets"]), &json!(["carts"])));
    let again = json!([{ "table": "users", "changes": ["it was deleted and created again"] }]);
    assert_eq!(inventory["changed"], again);

    let run = third["run"].as_str().expect("an id");
    let shown = world.run(&["show", run]).await.expect_code(0).stdout;
    let since = inventory["since"].as_str().expect("an id");
    for line in [
        format!("new: baskets: not in run {since}"),
        format!("gone: carts: it was in run {since}"),
        format!("changed: users: since run {since}, it was deleted and created again"),
    ] {
        assert!(shown.contains(&line), "{line}: {shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_was_not_asked_for_is_not_gone_and_runs_that_were_not_complete_do_not_count() {
    let world = World::with(vec![table("orders", 10), table("users", 10)]).await;
    let first = backup(&world, &[]).await;
    let narrow = backup(&world, &["--table", "orders"]).await["inventory"].clone();
    assert_eq!(narrow, json!({ "since": first["run"], "new": [], "gone": [], "changed": [] }));

    world.aws.set_fault(|call| {
        let is_denied = call.action == "Scan" && call.resource == "users" && call.account == SOURCE_ACCOUNT;
        is_denied.then(|| Fault::error(400, "AccessDeniedException"))
    });
    world.backup(&[], 2).await;
    world.aws.clear_fault();
    world.dynamodb(SOURCE_ACCOUNT, "CreateTable", &create("carts", "pk", "S"));
    let inventory = backup(&world, &[]).await["inventory"].clone();
    assert_eq!((&inventory["since"], &inventory["new"]), (&first["run"], &json!(["carts"])));
}
