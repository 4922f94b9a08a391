//! As much HTTP/1.1 as SDKs speak: requests with a `Content-Length` on connections that are kept.

use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

/// Bodies above this are read and dropped: only parts are, whose size is all that matters.
const KEPT_BODY_BYTES: usize = 8 << 20;

const READ_BYTES: usize = 256 << 10;

/// One client's connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

/// A request, and its body if it is not a large one.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) body_bytes: u64,
}

/// An answer; its body is sent from where it lies.
#[derive(Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: String,
    pub(crate) body: Vec<Piece>,
    /// What `Content-Length` says where there is no body, in the answer to a HEAD.
    pub(crate) length_of_head: Option<usize>,
}

/// A part of a body.
pub(crate) enum Piece {
    Own(Vec<u8>),
    Shared(Arc<Vec<u8>>),
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn parse(head: &[u8]) -> io::Result<Self> {
        let head = std::str::from_utf8(head).map_err(io::Error::other)?;
        let mut lines = head.split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
        Ok(Self {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: headers.collect(),
            body: Vec::new(),
            body_bytes: 0,
        })
    }
}

impl Connection {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; READ_BYTES], filled: 0 })
    }

    /// The next request, or none when the client has closed the connection.
    pub(crate) fn read(&mut self) -> io::Result<Option<Request>> {
        let head_end = loop {
            if let Some(end) = memchr::memmem::find(&self.buffer[..self.filled], b"\r\n\r\n") {
                break end;
            }
            if self.fill()? == 0 {
                return Ok(None);
            }
        };
        let mut request = Request::parse(&self.buffer[..head_end])?;
        self.drop_front(head_end + 4);
        if request.header("expect").is_some() {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let length = request.header("content-length").map_or(Ok(0), str::parse);
        let length: usize = length.map_err(io::Error::other)?;
        request.body_bytes = length as u64;
        self.read_body(&mut request, length)?;
        Ok(Some(request))
    }

    fn read_body(&mut self, request: &mut Request, length: usize) -> io::Result<()> {
        let (is_kept, mut left) = (length <= KEPT_BODY_BYTES, length);
        if is_kept {
            request.body.reserve_exact(length);
        }
        while left > 0 {
            if self.filled == 0 && self.fill()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let take = left.min(self.filled);
            if is_kept {
                request.body.extend_from_slice(&self.buffer[..take]);
            }
            self.drop_front(take);
            left -= take;
        }
        Ok(())
    }

    fn fill(&mut self) -> io::Result<usize> {
        let read = self.stream.read(&mut self.buffer[self.filled..])?;
        self.filled += read;
        Ok(read)
    }

    fn drop_front(&mut self, bytes: usize) {
        self.buffer.copy_within(bytes..self.filled, 0);
        self.filled -= bytes;
    }

    pub(crate) fn write(&mut self, answer: &Answer) -> io::Result<()> {
        let body = answer.body.iter().map(|piece| piece.bytes().len()).sum();
        let head = format!(
            "HTTP/1.1 {} -\r\nContent-Length: {}\r\n{}\r\n",
            answer.status,
            answer.length_of_head.unwrap_or(body),
            answer.headers
        );
        let mut slices = vec![IoSlice::new(head.as_bytes())];
        slices.extend(answer.body.iter().map(|piece| IoSlice::new(piece.bytes())));
        let mut slices = slices.as_mut_slice();
        while !slices.is_empty() {
            let written = self.stream.write_vectored(slices)?;
            IoSlice::advance_slices(&mut slices, written);
        }
        Ok(())
    }
}
