//! What a test holds in its hand.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::cloud::Cloud;
use crate::s3::BucketView;
use crate::sqs::QueueView;
use crate::{Call, Fault, REGION, Role, deploy, server};

/// A running server. Clones share it; it stops when the last one is dropped.
#[derive(Clone)]
pub struct Loopback(Arc<Running>);

struct Running {
    address: SocketAddr,
    cloud: Arc<Cloud>,
    server: JoinHandle<()>,
    doors: AtomicU32,
}

/// Another address of a running server, with a number of its own.
pub struct Door {
    number: u32,
    address: SocketAddr,
    cloud: Arc<Cloud>,
    server: JoinHandle<()>,
}

impl Door {
    /// What [`Call::door`] says of the calls that come in here.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// `http://127.0.0.1:<port>`, for every service.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The environment that points the program here.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        deploy::environment(&self.endpoint())
    }

    /// Lets the messages that were received here, and are neither deleted nor given back, turn visible now, as when
    /// their visibility timeout has passed.
    pub fn give_messages_back(&self) {
        self.cloud.sqs.give_back(self.number);
    }

    /// The highest number of receives among those messages; zero where there are none.
    pub fn most_receives(&self) -> u64 {
        self.cloud.sqs.most_receives(self.number)
    }
}

/// Its connections break, its messages are given back, and what is still under way receives none. Every other call
/// that has arrived is carried out.
impl Drop for Door {
    fn drop(&mut self) {
        self.server.abort();
        self.cloud.sqs.close_door(self.number);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Loopback {
    /// Starts on a free port of 127.0.0.1, with both accounts empty.
    pub async fn start() -> std::io::Result<Self> {
        Self::bind((Ipv4Addr::LOCALHOST, 0).into()).await
    }

    /// Starts on the address given.
    pub async fn bind(address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let cloud = Arc::new(Cloud::new(format!("http://{address}")));
        let server = tokio::spawn(server::serve(listener, cloud.clone(), 0));
        Ok(Self(Arc::new(Running { address, cloud, server, doors: AtomicU32::new(0) })))
    }

    /// `http://127.0.0.1:<port>`, for every service.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.0.address)
    }

    /// The environment that points the program at this server and at what [`deploy`](Self::deploy) makes.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        deploy::environment(&self.endpoint())
    }

    /// Opens another address on a free port of 127.0.0.1: a test that gives each of its clients one of its own can
    /// tell them apart. It is closed when it is dropped, and no call finds it after that.
    pub async fn door(&self) -> std::io::Result<Door> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (address, cloud) = (listener.local_addr()?, Arc::clone(&self.0.cloud));
        let number = self.0.doors.fetch_add(1, Ordering::Relaxed) + 1;
        let server = tokio::spawn(server::serve(listener, Arc::clone(&cloud), number));
        Ok(Door { number, address, cloud, server })
    }

    /// Makes messages wait only a part of the time that they are sent or given back with, from now on: a factor of
    /// 60 turns minutes into seconds. A message that is kept for as long as it was received keeps that time.
    pub fn hasten_queues(&self, factor: u32) {
        self.cloud().sqs.hasten(factor);
    }

    /// Stops the time of the queues: what is sent, given back, received or kept from now on is seen again when it is
    /// [delivered](QueueView::deliver), and not before. So a test decides what comes when, how late and how often.
    pub fn stop_queues(&self) {
        self.cloud().sqs.stand_still();
    }

    /// Makes what Terraform would make, all of it in [`REGION`]: the read-only source role, the bucket, and
    /// the queues `dynamodb-backup-{trigger,export,provision,write}`, each with its `-dlq`.
    pub fn deploy(&self) {
        deploy::deploy(self.cloud());
    }

    /// Adds a role, or replaces the one of the same ARN. Open sessions keep what they had. Its account need not
    /// be one of the two: an account is there, and empty, as soon as somebody acts in it.
    pub fn add_role(&self, role: Role) {
        self.cloud().iam.add_role(role);
    }

    /// Makes every answer's `Date` this many seconds later than it is, or earlier.
    pub fn set_clock_ahead(&self, seconds: i64) {
        self.cloud().clock_ahead.store(seconds, Ordering::Relaxed);
    }

    /// Ends every session that `AssumeRole` opened, whatever expiry its holder was told.
    pub fn expire_sessions(&self) {
        self.cloud().iam.expire_sessions();
    }

    /// Makes `DescribeTable` report this `TableStatus` from now on; `ACTIVE` ends it.
    pub fn set_table_status(&self, account: &str, region: &str, table: &str, status: &str) {
        self.cloud().dynamodb.set_table_status(account, region, table, status);
    }

    /// Makes `DescribeTable` report these sizes from now on. AWS's lag by about six hours; dynoxide's do not.
    pub fn set_table_size(&self, account: &str, region: &str, table: &str, items: u64, bytes: u64) {
        self.cloud().dynamodb.set_table_size(account, region, table, items, bytes);
    }

    /// Makes this table assign its items to the segments of a parallel Scan in another way than all other tables,
    /// which agree: from now on, and for good. A Scan of one segment is as before.
    pub fn scatter_segments(&self, account: &str, region: &str, table: &str) {
        self.cloud().dynamodb.scatter_segments(account, region, table);
    }

    /// Every call since the start or since [`clear_calls`](Self::clear_calls), in order of arrival.
    pub fn calls(&self) -> Vec<Call> {
        self.cloud().recorder.calls()
    }

    pub fn clear_calls(&self) {
        self.cloud().recorder.clear();
    }

    /// Asks `hook` about every call from now on; it replaces the hook before it.
    pub fn set_fault(&self, hook: impl Fn(&Call) -> Option<Fault> + Send + Sync + 'static) {
        self.cloud().faults.set(Arc::new(hook));
    }

    pub fn clear_fault(&self) {
        self.cloud().faults.clear();
    }

    /// One DynamoDB call in process, as the account's root: JSON in, JSON out. Neither recorded nor subject to
    /// faults. Blocks while SQLite works.
    ///
    /// # Errors
    ///
    /// DynamoDB's own error document.
    pub fn dynamodb(&self, account: &str, region: &str, action: &str, body: &Value) -> Result<Value, String> {
        self.cloud().dynamodb.call(account, region, action, body)
    }

    /// One call of Application Auto Scaling in process, as [`dynamodb`](Self::dynamodb): it knows
    /// `RegisterScalableTarget`, `PutScalingPolicy`, `PutScheduledAction` and what describes them.
    ///
    /// # Errors
    ///
    /// The message of the refusal.
    pub fn scaling(&self, account: &str, region: &str, action: &str, body: &Value) -> Result<Value, String> {
        let answer = self.cloud().scaling.perform(account, region, action, body);
        answer.map_err(|refusal| refusal.message)
    }

    /// A bucket as a test sees it, whoever owns it. A name that does not exist is an empty bucket.
    pub fn bucket(&self, name: &str) -> BucketView {
        self.cloud().s3.view(name)
    }

    /// A queue in [`REGION`] as a test sees it.
    ///
    /// # Panics
    ///
    /// If there is no such queue.
    pub fn queue(&self, account: &str, name: &str) -> QueueView {
        self.cloud().sqs.view(account, REGION, name)
    }

    fn cloud(&self) -> &Cloud {
        &self.0.cloud
    }
}
