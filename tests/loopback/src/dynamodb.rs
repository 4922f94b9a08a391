//! DynamoDB: one dynoxide database per account and region, behind AWS's ARNs and checksums.

mod engine;
mod extras;
mod overrides;
mod unprocessed;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use dynoxide::Database;
use dynoxide::streams::{LOCAL_ACCOUNT, LOCAL_REGION};
use http::StatusCode;
use parking_lot::RwLock;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::call::Call;
use crate::caller::Service;
use crate::iam::access_denied;
use crate::wire::{AMZ_JSON_1_0, Refusal, Reply};
use extras::Extras;
use overrides::Overrides;

/// Calls that work at the same time. A database takes one at a time; the rest is parsing and printing.
const WORKERS: usize = 8;

pub(crate) struct DynamoDb {
    databases: RwLock<HashMap<(String, String), Database>>,
    overrides: Overrides,
    extras: Extras,
    workers: Semaphore,
}

impl Default for DynamoDb {
    fn default() -> Self {
        Self {
            databases: RwLock::default(),
            overrides: Overrides::default(),
            extras: Extras::default(),
            workers: Semaphore::new(WORKERS),
        }
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
        self.overrides.set_status(account, region, table, status);
    }

    pub(crate) fn set_table_size(&self, account: &str, region: &str, table: &str, items: u64, bytes: u64) {
        self.overrides.set_size(account, region, table, items, bytes);
    }

    /// One call over the wire. The last `unprocessed` requests of a `BatchWriteItem` are sent back.
    pub(crate) async fn answer(&self, call: &Call, body: Bytes, unprocessed: usize) -> Reply {
        let answer = match self.foreign_resource(call, &body) {
            Some(refusal) => Err(refusal.into()),
            None => self.run_blocking(call, body, unprocessed).await,
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
        let database = self.database(account, region);
        let answer = match self.extras.answer(account, region, action, body.to_string().as_bytes(), &database)
        {
            Some(answer) => answer,
            None => run(&database, account, region, action, body.to_string().as_bytes()),
        };
        let document = answer.map_err(|failure| failure.document)?;
        serde_json::from_str(&document).map_err(|error| error.to_string())
    }

    /// SQLite blocks, so it works on the blocking threads.
    async fn run_blocking(&self, call: &Call, body: Bytes, unprocessed: usize) -> Answer {
        let Call { account, region, action, .. } = call.clone();
        let database = self.database(&account, &region);
        if let Some(answer) = self.extras.answer(&account, &region, &action, &body, &database) {
            return answer;
        }
        let _worker = self.workers.acquire().await;
        let work = tokio::task::spawn_blocking(move || match action.as_str() {
            "BatchWriteItem" if unprocessed > 0 => unprocessed::hold_back(&body, unprocessed, |body| {
                engine::dispatch(&database, "BatchWriteItem", body)
            }),
            action => run(&database, &account, &region, action, &body),
        });
        let answer = work
            .await
            .unwrap_or_else(|panic| Err(Refusal::new(500, "InternalServerError", panic.to_string()).into()));
        match call.action.as_str() {
            "DescribeTable" => answer.map(|document| self.overrides.apply(call, document)),
            _ => answer,
        }
    }

    fn database(&self, account: &str, region: &str) -> Database {
        let key = (account.to_owned(), region.to_owned());
        if let Some(database) = self.databases.read().get(&key) {
            return database.clone();
        }
        let open = || Database::memory().expect("SQLite opens a database in memory");
        self.databases.write().entry(key).or_insert_with(open).clone()
    }

    /// A table named by the ARN of another account or region: no resource policy lets anybody in here.
    fn foreign_resource(&self, call: &Call, body: &[u8]) -> Option<Refusal> {
        let target = Target::of(body);
        let arn = target.arn()?;
        let own = format!("arn:aws:dynamodb:{}:{}:", call.region, call.account);
        (!arn.starts_with(&own)).then(|| {
            let message = format!("User is not authorized to perform: {} on resource: {arn}", call.name());
            access_denied(Service::DynamoDb, message)
        })
    }
}

/// Runs a call with dynoxide's ARNs on its side and AWS's on the caller's. Items pass as they are.
fn run(database: &Database, account: &str, region: &str, action: &str, body: &[u8]) -> Answer {
    if carries_items(action) {
        return engine::dispatch(database, action, body);
    }
    let theirs = format!(":{LOCAL_REGION}:{LOCAL_ACCOUNT}:");
    let ours = format!(":{region}:{account}:");
    let body = String::from_utf8_lossy(body).replace(&ours, &theirs);
    let translate = |document: String| document.replace(&theirs, &ours);
    engine::dispatch(database, action, body.as_bytes())
        .map(|document| translate(extras::complete(action, document)))
        .map_err(|failure| Failure { document: translate(failure.document), ..failure })
}

fn carries_items(action: &str) -> bool {
    action.ends_with("Item")
        || action.ends_with("Items")
        || matches!(
            action,
            "Scan" | "Query" | "ExecuteStatement" | "BatchExecuteStatement" | "ExecuteTransaction"
        )
}

/// The parts of a request that name a table.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Target<'a> {
    #[serde(rename = "TableName", borrow)]
    table: Option<Cow<'a, str>>,
    #[serde(rename = "ResourceArn", borrow)]
    resource: Option<Cow<'a, str>>,
    #[serde(rename = "RequestItems")]
    batch: Option<BTreeMap<String, IgnoredAny>>,
}

impl<'a> Target<'a> {
    fn of(body: &'a [u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }

    fn named(&self) -> Option<&str> {
        let batch = || self.batch.as_ref()?.keys().next().map(String::as_str);
        self.table.as_deref().or(self.resource.as_deref()).or_else(batch)
    }

    fn arn(&self) -> Option<&str> {
        self.named().filter(|name| name.starts_with("arn:"))
    }
}

/// The name of the table that a call is about; of several, the first.
pub(crate) fn resource(body: &[u8]) -> String {
    let target = Target::of(body);
    let name = target.named().unwrap_or_default();
    name.split_once(":table/").map_or(name, |(_, table)| table).to_owned()
}
