//! Objects, conditions, checksums, listings and uploads in parts.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use loopback_aws::{BACKUP_ACCOUNT, BUCKET, Loopback, SOURCE_ACCOUNT};
use tokio::task::JoinSet;

use crate::client;

const MIB: usize = 1024 * 1024;

async fn client_of(loopback: &Loopback) -> Client {
    client::s3(&client::backup(loopback))
}

async fn put(client: &Client, key: &str, body: &'static str) {
    client
        .put_object()
        .bucket(BUCKET)
        .key(key)
        .body(body.as_bytes().to_vec().into())
        .send()
        .await
        .expect("put");
}

#[tokio::test]
async fn an_object_comes_back_with_its_metadata_whole_or_in_part() {
    let loopback = client::deployed().await;
    let client = client_of(&loopback).await;
    let put = client
        .put_object()
        .bucket(BUCKET)
        .key("runs/a b+c&d=e/é.json")
        .metadata("attempt", "7")
        .content_type("application/json")
        .body(ByteStream::from_static(b"hello world"));
    let put = put.send().await.expect("put");
    assert_eq!(put.e_tag(), Some("\"5eb63bbbe01eeed093cb22bb8f5acdc3\""));

    let get = || client.get_object().bucket(BUCKET).key("runs/a b+c&d=e/é.json");
    let whole = get().send().await.expect("got");
    assert_eq!(whole.metadata().and_then(|metadata| metadata.get("attempt")).map(String::as_str), Some("7"));
    assert_eq!(whole.content_type(), Some("application/json"));
    assert_eq!(whole.checksum_crc32(), put.checksum_crc32());
    assert_eq!(whole.body.collect().await.expect("a body").to_vec(), b"hello world");

    let part = get().range("bytes=6-8").send().await.expect("got");
    assert_eq!(part.content_range(), Some("bytes 6-8/11"));
    assert_eq!(part.body.collect().await.expect("a body").to_vec(), b"wor");

    let head = client.head_object().bucket(BUCKET).key("runs/a b+c&d=e/é.json").send().await.expect("there");
    assert_eq!((head.content_length(), head.e_tag()), (Some(11), put.e_tag()));
    assert_eq!(head.metadata().and_then(|metadata| metadata.get("attempt")).map(String::as_str), Some("7"));
    assert_eq!(loopback.bucket(BUCKET).keys(), ["runs/a b+c&d=e/é.json"]);
    let call = loopback.calls().pop().expect("recorded");
    assert_eq!(
        (call.name().as_str(), call.resource.as_str()),
        ("s3:HeadObject", "dynamodb-backup-archive/runs/a b+c&d=e/é.json")
    );
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let loopback = client::deployed().await;
    let client = client_of(&loopback).await;
    let get = client.get_object().bucket(BUCKET).key("absent").send().await.expect_err("absent");
    assert!(get.into_service_error().is_no_such_key());
    let head = client.head_object().bucket(BUCKET).key("absent").send().await.expect_err("absent");
    assert!(head.into_service_error().is_not_found());
    let list = client.list_objects_v2().bucket("no-such-bucket").send().await.expect_err("absent");
    assert!(list.into_service_error().is_no_such_bucket());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_creators_exactly_one_wins() {
    let loopback = client::deployed().await;
    let client = client_of(&loopback).await;
    for round in 0..5 {
        let key = format!("part-{round}");
        let mut creators = JoinSet::new();
        for number in 0..50u8 {
            let put =
                client.put_object().bucket(BUCKET).key(&key).if_none_match("*").body(vec![number; 64].into());
            creators.spawn(async move {
                put.send().await.map(|_| number).map_err(|error| error.code().map(str::to_owned))
            });
        }
        let outcomes = creators.join_all().await;
        let winners: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
        assert_eq!(winners.len(), 1, "{outcomes:?}");
        assert!(
            outcomes
                .iter()
                .filter_map(|outcome| outcome.as_ref().err())
                .all(|code| code.as_deref() == Some("PreconditionFailed"))
        );
        assert_eq!(loopback.bucket(BUCKET).get(&key), Some(vec![*winners[0]; 64].into()));
        assert_eq!(loopback.bucket(BUCKET).writes(&key), 1);
    }
    assert!(loopback.bucket(BUCKET).overwritten().is_empty());
}

#[tokio::test]
async fn overwriting_and_deleting_leave_a_trace() {
    let loopback = client::deployed().await;
    let client = client_of(&loopback).await;
    put(&client, "kept", "1").await;
    put(&client, "overwritten", "1").await;
    put(&client, "overwritten", "2").await;
    put(&client, "deleted", "1").await;
    client.delete_object().bucket(BUCKET).key("deleted").send().await.expect("deleted");
    let bucket = loopback.bucket(BUCKET);
    assert_eq!(bucket.overwritten(), ["deleted", "overwritten"]);
    assert_eq!(bucket.versions("overwritten"), ["1", "2"]);
    assert_eq!((bucket.writes("kept"), bucket.writes("overwritten")), (1, 2));

    bucket.put("kept", "other bytes");
    bucket.remove("overwritten");
    assert_eq!(bucket.overwritten(), ["deleted", "overwritten"]);
    assert_eq!(bucket.keys(), ["kept"]);
    assert_eq!(bucket.writes("kept"), 1);
}

#[tokio::test]
async fn an_object_may_change_or_vanish_behind_its_writers_back() {
    let loopback = client::deployed().await;
    let client = client_of(&loopback).await;
    let put = client.put_object().bucket(BUCKET).key("part").metadata("attempt", "7");
    let put = put.body(ByteStream::from_static(b"hello world")).send().await.expect("put");
    let get = || client.get_object().bucket(BUCKET).key("part").send();
    loopback.bucket(BUCKET).change("part", |bytes| bytes[4] ^= 1);

    let changed = get().await.expect("still there");
    assert_ne!(changed.e_tag(), put.e_tag());
    assert_eq!(changed.metadata().and_then(|all| all.get("attempt")).map(String::as_str), Some("7"));
    assert_eq!(changed.body.collect().await.expect("no checksum tells").to_vec(), b"helln world");
    let bucket = loopback.bucket(BUCKET);
    assert_eq!(bucket.versions("part"), ["hello world"]);
    assert!(bucket.overwritten().is_empty());

    bucket.remove("part");
    assert!(get().await.expect_err("gone").into_service_error().is_no_such_key());
    assert!(bucket.overwritten().is_empty());
}

#[tokio::test]
async fn a_body_that_does_not_fit_its_digest_is_refused() {
    let loopback = client::deployed().await;
    let client = client_of(&loopback).await;
    let put = || client.put_object().bucket(BUCKET).key("bad").body(ByteStream::from_static(b"hello"));
    for bad in [
        put().content_md5("1B2M2Y8AsgTpgAmY7PhCfg=="),
        put().checksum_crc32("AAAAAA=="),
        put().checksum_crc64_nvme("AAAAAAAAAAA="),
        put().checksum_sha256("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
    ] {
        let refused = bad.send().await.expect_err("the digest is wrong");
        assert_eq!(refused.code(), Some("BadDigest"));
    }
    assert!(loopback.bucket(BUCKET).keys().is_empty());
    put().content_md5("XUFAKrxLKna5cZ2REBfFkg==").send().await.expect("the digest is right");
    for algorithm in [ChecksumAlgorithm::Crc32, ChecksumAlgorithm::Crc64Nvme, ChecksumAlgorithm::Sha256] {
        put().checksum_algorithm(algorithm).send().await.expect("the SDK computes it");
    }
}

#[tokio::test]
async fn a_streamed_body_is_unwrapped_and_its_trailing_checksum_verified() {
    let loopback = client::deployed().await;
    let client = client_of(&loopback).await;
    let path = std::env::temp_dir().join(format!("loopback-{}", loopback.endpoint().replace([':', '/'], "")));
    let content = vec![7u8; 300_000];
    std::fs::write(&path, &content).expect("a temporary file");
    let body = ByteStream::from_path(&path).await.expect("the file");
    let put = client.put_object().bucket(BUCKET).key("streamed").checksum_algorithm(ChecksumAlgorithm::Crc32);
    put.body(body).send().await.expect("put");
    std::fs::remove_file(&path).expect("still there");
    assert_eq!(loopback.bucket(BUCKET).get("streamed"), Some(content.into()));
}

#[tokio::test]
async fn keys_are_listed_in_the_order_of_their_bytes_and_in_pages() {
    let loopback = client::deployed().await;
    let client = client_of(&loopback).await;
    for number in 0..1203 {
        loopback.bucket(BUCKET).put(&format!("p/{number:04}"), "x");
    }
    ["q", "Z", "é", "p", "\u{10000}"].into_iter().for_each(|key| loopback.bucket(BUCKET).put(key, "x"));
    let mut pages = client.list_objects_v2().bucket(BUCKET).prefix("p/").into_paginator().send();
    let mut sizes = Vec::new();
    while let Some(page) = pages.next().await {
        sizes.push(page.expect("a page").contents().len());
    }
    assert_eq!(sizes, [1000, 203]);

    let top = client.list_objects_v2().bucket(BUCKET).delimiter("/").send().await.expect("a page");
    let keys: Vec<_> = top.contents().iter().filter_map(|object| object.key()).collect();
    assert_eq!(keys, ["Z", "p", "q", "é", "\u{10000}"]);
    assert_eq!(top.common_prefixes()[0].prefix(), Some("p/"));
    assert!(top.contents().iter().all(|object| object.e_tag().is_some() && object.last_modified().is_some()));

    let after = client
        .list_objects_v2()
        .bucket(BUCKET)
        .prefix("p/")
        .start_after("p/1200")
        .send()
        .await
        .expect("a page");
    assert_eq!(after.key_count(), Some(2));
}

#[tokio::test]
async fn a_bucket_is_for_its_own_account_and_region() {
    let loopback = client::deployed().await;
    let stranger = client::s3(&client::root(&loopback, SOURCE_ACCOUNT, "eu-west-1"));
    let denied = stranger.list_objects_v2().bucket(BUCKET).send().await.expect_err("not its bucket");
    assert_eq!(denied.code(), Some("AccessDenied"));

    let elsewhere = client::s3(&client::root(&loopback, BACKUP_ACCOUNT, "us-east-1"));
    let redirected = elsewhere.list_objects_v2().bucket(BUCKET).send().await.expect_err("another region");
    assert_eq!(redirected.code(), Some("PermanentRedirect"));
    let response = redirected.raw_response().expect("an answer");
    assert_eq!(response.status().as_u16(), 301);
    assert_eq!(response.headers().get("x-amz-bucket-region"), Some("eu-west-1"));

    let owner = client_of(&loopback).await;
    let head = owner.head_bucket().bucket(BUCKET).send().await.expect("its own");
    assert_eq!(head.bucket_region(), Some("eu-west-1"));
    let location = owner.get_bucket_location().bucket(BUCKET).send().await.expect("its own");
    assert_eq!(location.location_constraint().map(|region| region.as_str()), Some("eu-west-1"));
}

/// Uploads `parts` and returns the call that completes them.
async fn upload(client: &Client, key: &str, parts: &[Vec<u8>]) -> (String, CompletedMultipartUpload) {
    let made = client.create_multipart_upload().bucket(BUCKET).key(key).metadata("attempt", "7").send().await;
    let id = made.expect("an upload").upload_id.expect("an id");
    let mut listed = CompletedMultipartUpload::builder();
    for (number, body) in (1..).zip(parts) {
        let part = client.upload_part().bucket(BUCKET).key(key).upload_id(&id).part_number(number);
        let part = part.body(body.clone().into()).send().await.expect("a part");
        let crc32 = part.checksum_crc32;
        let part =
            CompletedPart::builder().part_number(number).set_e_tag(part.e_tag).set_checksum_crc32(crc32);
        listed = listed.parts(part.build());
    }
    (id, listed.build())
}

#[tokio::test]
async fn an_upload_in_parts_becomes_one_object_and_only_if_there_is_none() {
    let loopback = client::deployed().await;
    let client = client_of(&loopback).await;
    let parts = [vec![1; 5 * MIB], vec![2; 100]];
    let (id, listed) = upload(&client, "big", &parts).await;
    let complete = || {
        let call = client.complete_multipart_upload().bucket(BUCKET).key("big").upload_id(&id);
        call.multipart_upload(listed.clone()).if_none_match("*")
    };
    loopback.bucket(BUCKET).put("big", "somebody was faster");
    let late = complete().send().await.expect_err("there is one");
    assert_eq!(late.code(), Some("PreconditionFailed"));

    loopback.bucket(BUCKET).remove("big");
    let done = complete().send().await.expect("now there is none");
    assert!(done.e_tag().is_some_and(|etag| etag.ends_with("-2\"")));
    let object = client.get_object().bucket(BUCKET).key("big").send().await.expect("there");
    assert_eq!(object.metadata().and_then(|metadata| metadata.get("attempt")).map(String::as_str), Some("7"));
    assert_eq!(object.body.collect().await.expect("a body").into_bytes(), parts.concat());
}

#[tokio::test]
async fn parts_that_are_too_small_and_uploads_that_were_aborted_are_refused() {
    let loopback = client::deployed().await;
    let client = client_of(&loopback).await;
    let (id, listed) = upload(&client, "big", &[vec![1; 100], vec![2; 100]]).await;
    let complete = || {
        let call = client.complete_multipart_upload().bucket(BUCKET).key("big").upload_id(&id);
        call.multipart_upload(listed.clone())
    };
    assert_eq!(complete().send().await.expect_err("too small").code(), Some("EntityTooSmall"));
    client.abort_multipart_upload().bucket(BUCKET).key("big").upload_id(&id).send().await.expect("aborted");
    assert_eq!(complete().send().await.expect_err("aborted").code(), Some("NoSuchUpload"));
}
