//! Tables at the edge of what DynamoDB accepts, and one that is merely large.

use loopback_aws::{SOURCE_ACCOUNT, sample};

use crate::evidence::{part_text, result_of};
use crate::harness::World;

#[tokio::test(flavor = "multi_thread")]
async fn every_awkward_table_comes_through_item_by_item() {
    let mut world = World::with(sample::awkward()).await;
    world.set("BACKUP_LANES", "2");

    let report = world.backup(&[], 0).await;

    let names = world.tables(SOURCE_ACCOUNT);
    assert_eq!(names.len(), 46);
    for name in &names {
        let (result, items) = (result_of(&report, name), world.source_items(name).len());
        assert_eq!(result["outcome"], "complete", "{result}");
        assert_eq!(
            (&result["items_exported"], &result["items_put"]),
            (&items.into(), &items.into()),
            "{name}"
        );
    }
    world.assert_copied().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_twenty_thousand_items_comes_through_with_gzip() {
    let world = World::with(vec![sample::large(20_000)]).await;

    let report = world.backup(&["--compression", "gzip"], 0).await;

    let result = result_of(&report, "events");
    assert_eq!((&result["items_exported"], &result["items_put"]), (&20_000.into(), &20_000.into()));
    let parts = world.keys_with("/data/");
    assert!(parts.iter().all(|key| key.ends_with(".json.gz")), "{parts:?}");
    let lines = parts.iter().map(|key| part_text(key, &world.bucket().get(key).expect("it was listed")));
    assert_eq!(lines.map(|text| text.lines().count()).sum::<usize>(), 20_000);
    world.assert_copied().await;
}
