//! The least a signed write can cost: hyper, aws-sigv4, a decompressor, and bodies pasted together.

use std::io::{BufRead, BufReader};
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use aws_sdk_dynamodb::config::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use aws_smithy_runtime_api::client::identity::Identity;
use bytes::Bytes;
use futures::{TryStreamExt, stream};
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::sync::mpsc;

use crate::client::{BUCKET, Done, IN_FLIGHT, Job};
use crate::codec::Codec;

/// Bodies read ahead of those in flight.
const READ_AHEAD: usize = 4;

/// Writes parts into a table, one after the other, sixteen calls in flight.
pub(crate) async fn write(job: &Job) -> Result<Done> {
    let signed = Arc::new(Signed::new(job));
    let mut done = Done::default();
    for number in 0..job.parts {
        let part = signed.get(&job.part_key(number)).await?;
        let (sender, receiver) = mpsc::channel(READ_AHEAD);
        let (table, codec) = (job.table.clone(), job.codec()?);
        let reading = tokio::task::spawn_blocking(move || read_bodies(&part, codec, &table, &sender));
        let bodies = stream::unfold(receiver, |mut receiver| async {
            receiver.recv().await.map(|body| (Ok::<_, anyhow::Error>(body), receiver))
        });
        bodies.try_for_each_concurrent(IN_FLIGHT, |body| signed.batch_write(body)).await?;
        done.add(reading.await??);
    }
    Ok(done)
}

struct Signed {
    client: Client<HttpConnector, Full<Bytes>>,
    endpoint: String,
    identity: Identity,
}

impl Signed {
    fn new(job: &Job) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            endpoint: job.endpoint.clone(),
            identity: Credentials::new("floor", "floor", None, None, "bench").into(),
        }
    }

    async fn get(&self, key: &str) -> Result<Bytes> {
        let url = format!("{}/{BUCKET}/{key}", self.endpoint);
        let answer = self.client.request(Request::get(url).body(Full::default())?).await?;
        ensure!(answer.status().is_success(), "part {key} is not there");
        Ok(answer.into_body().collect().await?.to_bytes())
    }

    async fn batch_write(&self, body: Bytes) -> Result<()> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}/", self.endpoint))
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", "DynamoDB_20120810.BatchWriteItem")
            .body(Full::new(body.clone()))?;
        self.sign(&mut request, &body)?;
        let answer = self.client.request(request).await?;
        ensure!(answer.status().is_success(), "the batch is refused: {}", answer.status());
        let answer = answer.into_body().collect().await?.to_bytes();
        ensure!(memchr::memmem::find(&answer, br#""UnprocessedItems":{}"#).is_some(), "items are left");
        Ok(())
    }

    fn sign(&self, request: &mut Request<Full<Bytes>>, body: &[u8]) -> Result<()> {
        let params = SigningParams::builder()
            .identity(&self.identity)
            .region("eu-west-1")
            .name("dynamodb")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()?
            .into();
        let uri = request.uri().to_string();
        let headers = request.headers().iter();
        let headers = headers.map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default()));
        let signable = SignableRequest::new("POST", uri, headers, SignableBody::Bytes(body))?;
        let (instructions, _signature) = sign(signable, &params)?.into_parts();
        instructions.apply_to_request_http1x(request);
        Ok(())
    }
}

/// Pastes the lines of a part into bodies of 25 items.
fn read_bodies(part: &[u8], codec: Codec, table: &str, bodies: &mpsc::Sender<Bytes>) -> Result<Done> {
    let mut lines = BufReader::with_capacity(1 << 16, codec.decoder(part)?);
    let (mut body, mut in_body, mut line, mut done) = (Vec::new(), 0, Vec::new(), Done::default());
    while lines.read_until(b'\n', &mut line)? > 0 {
        let item = line.strip_suffix(b"\n").context("a line has an end")?;
        body.extend_from_slice(if in_body == 0 { b"" } else { b"," });
        if in_body == 0 {
            body.extend_from_slice(format!(r#"{{"RequestItems":{{"{table}":["#).as_bytes());
        }
        body.extend_from_slice(br#"{"PutRequest":"#);
        body.extend_from_slice(item);
        body.push(b'}');
        in_body += 1;
        done.items += 1;
        done.bytes += line.len() as u64;
        line.clear();
        if in_body == 25 {
            in_body = 0;
            send(&mut body, bodies)?;
        }
    }
    if in_body > 0 {
        send(&mut body, bodies)?;
    }
    Ok(done)
}

fn send(body: &mut Vec<u8>, bodies: &mpsc::Sender<Bytes>) -> Result<()> {
    body.extend_from_slice(br#"]},"ReturnConsumedCapacity":"TOTAL"}"#);
    let capacity = body.capacity();
    bodies.blocking_send(std::mem::replace(body, Vec::with_capacity(capacity)).into())?;
    Ok(())
}
