//! One measured run of one client, in a process of its own.

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::codec::Codec;
use crate::{floor, ours, typed};

/// Segments that a client scans at once.
pub(crate) const SEGMENTS: u32 = 8;

/// BatchWriteItem calls that a client has in flight.
pub(crate) const IN_FLIGHT: usize = 16;

/// What a client is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) client: String,
    /// `http://127.0.0.1:<port>`
    pub(crate) endpoint: String,
    pub(crate) table: String,
    /// Spelled as [`Codec`] reads it.
    pub(crate) codec: String,
    /// Parts to write into the table, for the clients that write.
    pub(crate) parts: u64,
}

/// What a client has done, in its own count.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Done {
    pub(crate) items: u64,
    /// Compressed bytes that came out, or lines that went in.
    pub(crate) bytes: u64,
}

impl Done {
    pub(crate) fn add(&mut self, other: Self) {
        self.items += other.items;
        self.bytes += other.bytes;
    }
}

impl Job {
    pub(crate) fn codec(&self) -> Result<Codec> {
        self.codec.parse()
    }

    /// Where a part lies in the server's bucket.
    pub(crate) fn part_key(&self, number: u64) -> String {
        format!("parts/usual/{}/{number}", self.codec)
    }
}

/// The bucket in which parts are put and found.
pub(crate) const BUCKET: &str = "bench-archive";

/// Runs the client of this process; what it has done is the last line of its stdout.
pub(crate) fn run(job: &Job) -> Result<()> {
    let done = match job.client.as_str() {
        "floor-export" => floor::export(job)?,
        "floor-write" => block_on(crate::signed_floor::write(job))?,
        "ours-export" => block_on(ours::export(job, false))?,
        "ours-upload" => block_on(ours::export(job, true))?,
        "ours-write" => block_on(ours::write(job))?,
        "ours-verify" => block_on(ours::verify(job))?,
        "typed-export" => block_on(typed::export(job, typed::write_item))?,
        "typed-value-export" => block_on(typed::export(job, typed::write_value))?,
        "typed-write" => block_on(typed::write(job))?,
        other => bail!("there is no client {other}"),
    };
    println!("{}", serde_json::to_string(&done)?);
    Ok(())
}

/// On the runtime that the program itself makes.
fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Runtime::new()?.block_on(work)
}
