//! What one would write first: the generated SDK client, and items as values.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};

use anyhow::{Context, Result, bail, ensure};
use aws_config::BehaviorVersion;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::{TryStreamExt, stream};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use crate::client::{BUCKET, Done, IN_FLIGHT, Job, SEGMENTS};
use crate::codec::{Codec, Encoder, PART_BYTES};

type Item = HashMap<String, AttributeValue>;

/// Writes an item as the value of `Item` in a line.
pub(crate) type WriteItem = fn(Item, &mut Vec<u8>) -> Result<()>;

/// Exports a table with the SDK's paginator, eight segments at once.
pub(crate) async fn export(job: &Job, write: WriteItem) -> Result<Done> {
    let client = Client::new(&aws_config::load_defaults(BehaviorVersion::v2026_01_12()).await);
    let codec = job.codec()?;
    let segments = (0..i32::try_from(SEGMENTS)?)
        .map(|number| tokio::spawn(segment(client.clone(), job.table.clone(), codec, number, write)));
    let mut done = Done::default();
    for segment in futures::future::join_all(segments).await {
        done.add(segment??);
    }
    Ok(done)
}

async fn segment(
    client: Client,
    table: String,
    codec: Codec,
    segment: i32,
    write: WriteItem,
) -> Result<Done> {
    let scan = client.scan().table_name(table).segment(segment).total_segments(i32::try_from(SEGMENTS)?);
    let mut pages = scan.into_paginator().send();
    let (mut encoder, mut done, mut line) = (codec.encoder()?, Done::default(), Vec::new());
    while let Some(page) = pages.next().await {
        for item in page?.items.unwrap_or_default() {
            line.clear();
            line.extend_from_slice(br#"{"Item":"#);
            write(item, &mut line)?;
            line.extend_from_slice(b"}\n");
            encoder.write_all(&line)?;
            done.items += 1;
        }
        if encoder.written() >= PART_BYTES {
            let full: Encoder = std::mem::replace(&mut encoder, codec.encoder()?);
            done.bytes += full.finish()?.len() as u64;
        }
    }
    done.bytes += encoder.finish()?.len() as u64;
    Ok(done)
}

/// By way of `serde_json`'s values, which is what is written first.
pub(crate) fn write_value(item: Item, line: &mut Vec<u8>) -> Result<()> {
    Ok(serde_json::to_writer(line, &map(item)?)?)
}

fn map(item: Item) -> Result<Value> {
    let members = item.into_iter().map(|(name, value)| Ok((name, to_value(value)?)));
    Ok(Value::Object(members.collect::<Result<Map<_, _>>>()?))
}

fn to_value(value: AttributeValue) -> Result<Value> {
    Ok(match value {
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::N(digits) => json!({ "N": digits }),
        AttributeValue::B(bytes) => json!({ "B": STANDARD.encode(bytes) }),
        AttributeValue::Bool(bool) => json!({ "BOOL": (bool) }),
        AttributeValue::Null(null) => json!({ "NULL": (null) }),
        AttributeValue::M(members) => json!({ "M": map(members)? }),
        AttributeValue::L(list) => {
            json!({ "L": list.into_iter().map(to_value).collect::<Result<Vec<_>>>()? })
        }
        AttributeValue::Ss(set) => json!({ "SS": set }),
        AttributeValue::Ns(set) => json!({ "NS": set }),
        AttributeValue::Bs(set) => {
            json!({ "BS": set.iter().map(|bytes| STANDARD.encode(bytes)).collect::<Vec<_>>() })
        }
        _ => bail!("an attribute of a type that is not known"),
    })
}

/// By hand, without values between: the best that is left to do with typed items.
pub(crate) fn write_item(item: Item, line: &mut Vec<u8>) -> Result<()> {
    write_members(&item, line)
}

fn write_members(members: &Item, line: &mut Vec<u8>) -> Result<()> {
    line.push(b'{');
    for (index, (name, value)) in members.iter().enumerate() {
        line.extend_from_slice(if index == 0 { b"" } else { b"," });
        serde_json::to_writer(&mut *line, name)?;
        line.push(b':');
        write_attribute(value, line)?;
    }
    line.push(b'}');
    Ok(())
}

fn write_attribute(value: &AttributeValue, line: &mut Vec<u8>) -> Result<()> {
    let kind = |line: &mut Vec<u8>, kind: &str| write!(line, r#"{{"{kind}":"#);
    match value {
        AttributeValue::S(text) => {
            kind(line, "S")?;
            serde_json::to_writer(&mut *line, text)?;
        }
        AttributeValue::N(digits) => write!(line, r#"{{"N":"{digits}""#)?,
        AttributeValue::B(bytes) => write!(line, r#"{{"B":"{}""#, STANDARD.encode(bytes))?,
        AttributeValue::Bool(bool) => write!(line, r#"{{"BOOL":{bool}"#)?,
        AttributeValue::Null(null) => write!(line, r#"{{"NULL":{null}"#)?,
        AttributeValue::M(members) => {
            kind(line, "M")?;
            write_members(members, line)?;
        }
        AttributeValue::L(list) => {
            kind(line, "L")?;
            for (index, value) in list.iter().enumerate() {
                line.push(if index == 0 { b'[' } else { b',' });
                write_attribute(value, line)?;
            }
            line.extend_from_slice(if list.is_empty() { b"[]" } else { b"]" });
        }
        AttributeValue::Ss(set) => {
            kind(line, "SS")?;
            serde_json::to_writer(&mut *line, set)?;
        }
        AttributeValue::Ns(set) => {
            kind(line, "NS")?;
            serde_json::to_writer(&mut *line, set)?;
        }
        _ => bail!("an attribute of a type that no table of the bench has"),
    }
    line.push(b'}');
    Ok(())
}

/// Writes parts into a table with typed batches, sixteen calls in flight.
pub(crate) async fn write(job: &Job) -> Result<Done> {
    let config = aws_config::load_defaults(BehaviorVersion::v2026_01_12()).await;
    let client = Client::new(&config);
    let s3 = aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build();
    let s3 = aws_sdk_s3::Client::from_conf(s3);
    let mut done = Done::default();
    for number in 0..job.parts {
        let part = s3.get_object().bucket(BUCKET).key(job.part_key(number)).send().await?;
        let part = part.body.collect().await?.into_bytes();
        let (sender, receiver) = mpsc::channel(4);
        let codec = job.codec()?;
        let reading = tokio::task::spawn_blocking(move || read_batches(&part, codec, &sender));
        let batches = stream::unfold(receiver, |mut receiver| async {
            receiver.recv().await.map(|batch| (Ok::<_, anyhow::Error>(batch), receiver))
        });
        let put = |batch| put(&client, &job.table, batch);
        batches.try_for_each_concurrent(IN_FLIGHT, put).await?;
        done.add(reading.await??);
    }
    Ok(done)
}

async fn put(client: &Client, table: &str, batch: Vec<WriteRequest>) -> Result<()> {
    let answer = client.batch_write_item().request_items(table, batch).send().await?;
    ensure!(answer.unprocessed_items.unwrap_or_default().is_empty(), "items are left");
    Ok(())
}

fn read_batches(part: &Bytes, codec: Codec, batches: &mpsc::Sender<Vec<WriteRequest>>) -> Result<Done> {
    let mut lines = BufReader::with_capacity(1 << 16, codec.decoder(part)?);
    let (mut batch, mut line, mut done) = (Vec::new(), Vec::new(), Done::default());
    while lines.read_until(b'\n', &mut line)? > 0 {
        let mut value: Value = serde_json::from_slice(&line)?;
        let put = PutRequest::builder().set_item(Some(from_map(value["Item"].take())?)).build()?;
        batch.push(WriteRequest::builder().put_request(put).build());
        done.items += 1;
        done.bytes += line.len() as u64;
        line.clear();
        if batch.len() == 25 {
            batches.blocking_send(std::mem::take(&mut batch))?;
        }
    }
    if !batch.is_empty() {
        batches.blocking_send(batch)?;
    }
    Ok(done)
}

fn from_map(value: Value) -> Result<Item> {
    let Value::Object(members) = value else { bail!("an item is an object") };
    members.into_iter().map(|(name, value)| Ok((name, from_value(value)?))).collect()
}

fn from_value(value: Value) -> Result<AttributeValue> {
    let Value::Object(members) = value else { bail!("a value is an object") };
    let (kind, value) = members.into_iter().next().context("a value has a type")?;
    Ok(match (kind.as_str(), value) {
        ("S", Value::String(text)) => AttributeValue::S(text),
        ("N", Value::String(digits)) => AttributeValue::N(digits),
        ("B", Value::String(base64)) => AttributeValue::B(Blob::new(STANDARD.decode(base64)?)),
        ("BOOL", Value::Bool(bool)) => AttributeValue::Bool(bool),
        ("NULL", Value::Bool(null)) => AttributeValue::Null(null),
        ("M", members) => AttributeValue::M(from_map(members)?),
        ("L", Value::Array(list)) => {
            AttributeValue::L(list.into_iter().map(from_value).collect::<Result<_>>()?)
        }
        ("SS", set) => AttributeValue::Ss(serde_json::from_value(set)?),
        ("NS", set) => AttributeValue::Ns(serde_json::from_value(set)?),
        _ => bail!("a value of a type that no table of the bench has"),
    })
}
