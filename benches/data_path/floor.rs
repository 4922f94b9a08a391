//! The least an export can cost: bare blocking sockets and the compressor, nothing looked at.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

use anyhow::{Context, Result, ensure};

use crate::client::{Done, Job, SEGMENTS};
use crate::codec::{Codec, Encoder, PART_BYTES};

/// Receives every page of a table and compresses it as it came. Checksums are not looked at, requests are
/// not signed, items are not told apart.
pub(crate) fn export(job: &Job) -> Result<Done> {
    let codec = job.codec()?;
    thread::scope(|scope| {
        let segments: Vec<_> =
            (0..SEGMENTS).map(|number| scope.spawn(move || segment(job, codec, number))).collect();
        let mut done = Done::default();
        for segment in segments {
            done.add(segment.join().map_err(|_| anyhow::anyhow!("a segment panicked"))??);
        }
        Ok(done)
    })
}

fn segment(job: &Job, codec: Codec, segment: u32) -> Result<Done> {
    let mut connection = Connection::open(&job.endpoint)?;
    let (mut encoder, mut done, mut after) = (codec.encoder()?, Done::default(), String::new());
    loop {
        let request = format!(
            r#"{{"TableName":"{}","Segment":{segment},"TotalSegments":{SEGMENTS}{after}}}"#,
            job.table
        );
        let page = connection.scan(&request)?;
        encoder.write_all(page)?;
        done.items += count(page)?;
        let key = last_evaluated_key(page)?;
        if key.is_none() || encoder.written() >= PART_BYTES {
            let full = std::mem::replace(&mut encoder, codec.encoder()?);
            done.bytes += finish(full)?;
        }
        let Some(key) = key else { return Ok(done) };
        after = format!(r#","ExclusiveStartKey":{key}"#);
    }
}

fn finish(encoder: Encoder) -> Result<u64> {
    Ok(encoder.finish()?.len() as u64)
}

/// The number of items that the page says it has.
fn count(page: &[u8]) -> Result<u64> {
    let digits = page.strip_prefix(br#"{"Count":"#).context("a page begins with its count")?;
    let end = memchr::memchr(b',', digits).context("more follows")?;
    Ok(std::str::from_utf8(&digits[..end])?.parse()?)
}

fn last_evaluated_key(page: &[u8]) -> Result<Option<&str>> {
    const NAME: &[u8] = br#""LastEvaluatedKey":"#;
    let tail = &page[page.len().saturating_sub(512)..];
    let Some(start) = memchr::memmem::rfind(tail, NAME) else { return Ok(None) };
    let rest = std::str::from_utf8(&tail[start + NAME.len()..])?;
    Ok(Some(rest.rsplit_once(",\"ScannedCount\"").context("the key is followed by the count")?.0))
}

struct Connection {
    stream: TcpStream,
    host: String,
    buffer: Vec<u8>,
}

impl Connection {
    fn open(endpoint: &str) -> Result<Self> {
        let host = endpoint.strip_prefix("http://").context("the endpoint is http")?.to_owned();
        let stream = TcpStream::connect(&host)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, host, buffer: vec![0; 1 << 20] })
    }

    /// The body of the answer to a Scan.
    fn scan(&mut self, body: &str) -> Result<&[u8]> {
        let request = format!(
            "POST / HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-amz-json-1.0\r\n\
             X-Amz-Target: DynamoDB_20120810.Scan\r\nContent-Length: {}\r\n\r\n{body}",
            self.host,
            body.len()
        );
        self.stream.write_all(request.as_bytes())?;
        let mut filled = 0;
        let head = loop {
            let read = self.stream.read(&mut self.buffer[filled..])?;
            ensure!(read > 0, "the server has closed the connection");
            filled += read;
            if let Some(end) = memchr::memmem::find(&self.buffer[..filled.min(4096)], b"\r\n\r\n") {
                break end + 4;
            }
        };
        let length = content_length(&self.buffer[..head])?;
        if self.buffer.len() < head + length {
            self.buffer.resize(head + length, 0);
        }
        self.stream.read_exact(&mut self.buffer[filled..head + length])?;
        Ok(&self.buffer[head..head + length])
    }
}

fn content_length(head: &[u8]) -> Result<usize> {
    let head = std::str::from_utf8(head)?;
    ensure!(head.starts_with("HTTP/1.1 200"), "the server refuses: {head}");
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    Ok(length.context("an answer has its length")?.parse()?)
}
