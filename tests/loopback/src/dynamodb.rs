//! DynamoDB: one dynoxide database per account and region, behind AWS's ARNs and checksums.

mod engine;
mod extras;
mod overrides;
mod pages;
mod place;
mod segments;
mod unprocessed;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use parking_lot::RwLock;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::call::Call;
use crate::caller::Service;
use crate::fault::Twist;
use crate::iam::access_denied;
use crate::wire::{AMZ_JSON_1_0, Refusal, Reply};
use place::Place;

/// Calls that work at the same time. A database takes one at a time; the rest is parsing and printing.
const WORKERS: usize = 8;

pub(crate) struct DynamoDb {
    /// By account and region.
    places: RwLock<HashMap<(String, String), Arc<Place>>>,
    workers: Semaphore,
}

impl Default for DynamoDb {
    fn default() -> Self {
        Self { places: RwLock::default(), workers: Semaphore::new(WORKERS) }
    }
}

/// The answer of one call: a JSON document, or an error document with its status.
type Answer = Result<String, Failure>;

/// An error as it goes over the wire.
struct Failure {
    status: u16,
    document: String,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let reply = refusal.reply(Service::DynamoDb);
        Self { status: refusal.status, document: String::from_utf8_lossy(&reply.body).into_owned() }
    }
}

impl DynamoDb {
    pub(crate) fn set_table_status(&self, account: &str, region: &str, table: &str, status: &str) {
        self.place(account, region).overrides.set_status(table, status);
    }

    pub(crate) fn set_table_size(&self, account: &str, region: &str, table: &str, items: u64, bytes: u64) {
        self.place(account, region).overrides.set_size(table, items, bytes);
    }

    pub(crate) fn scatter_segments(&self, account: &str, region: &str, table: &str) {
        self.place(account, region).overrides.scatter_segments(table);
    }

    /// One call over the wire.
    pub(crate) async fn answer(&self, call: &Call, body: Bytes, twist: &Twist) -> Reply {
        let answer = match foreign_resource(call, &body) {
            Some(refusal) => Err(refusal.into()),
            None => self.perform(call, body, twist.clone()).await,
        };
        let (status, document) = match answer {
            Ok(document) => (StatusCode::OK, document),
            Err(failure) => (StatusCode::from_u16(failure.status).unwrap_or_default(), failure.document),
        };
        Reply::new(status, AMZ_JSON_1_0, document).with_crc32()
    }

    /// One call in process.
    pub(crate) fn call(
        &self,
        account: &str,
        region: &str,
        action: &str,
        body: &Value,
    ) -> Result<Value, String> {
        let answer = self.place(account, region).perform(action, body.to_string().as_bytes(), &Twist::None);
        let document = answer.map_err(|failure| failure.document)?;
        serde_json::from_str(&document).map_err(|error| error.to_string())
    }

    /// SQLite blocks, so it works on the blocking threads.
    async fn perform(&self, call: &Call, body: Bytes, twist: Twist) -> Answer {
        let place = self.place(&call.account, &call.region);
        let action = call.action.clone();
        let _worker = self.workers.acquire().await;
        let work = tokio::task::spawn_blocking(move || place.perform(&action, &body, &twist));
        work.await
            .unwrap_or_else(|panic| Err(Refusal::new(500, "InternalServerError", panic.to_string()).into()))
    }

    fn place(&self, account: &str, region: &str) -> Arc<Place> {
        let key = (account.to_owned(), region.to_owned());
        if let Some(place) = self.places.read().get(&key) {
            return place.clone();
        }
        let open = || Arc::new(Place::new(account, region));
        self.places.write().entry(key).or_insert_with(open).clone()
    }
}

/// A table named by the ARN of another account or region: no resource policy lets anybody in here.
fn foreign_resource(call: &Call, body: &[u8]) -> Option<Refusal> {
    let arn = Target::of(body).named().filter(|name| name.starts_with("arn:"))?;
    let own = format!("arn:aws:dynamodb:{}:{}:", call.region, call.account);
    (!arn.starts_with(&own)).then(|| {
        let message = format!("User is not authorized to perform: {} on resource: {arn}", call.name());
        access_denied(Service::DynamoDb, message)
    })
}

/// The parts of a request that name a table.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Target {
    table_name: Option<String>,
    resource_arn: Option<String>,
    request_items: Option<BTreeMap<String, IgnoredAny>>,
}

impl Target {
    fn of(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }

    fn named(self) -> Option<String> {
        let in_batch = self.request_items.and_then(|items| items.into_keys().next());
        self.table_name.or(self.resource_arn).or(in_batch)
    }
}

/// The name of the table that a call is about; of several, the first.
pub(crate) fn resource(body: &[u8]) -> String {
    let name = Target::of(body).named().unwrap_or_default();
    match name.split_once(":table/") {
        Some((_, table)) => table.to_owned(),
        None => name,
    }
}
