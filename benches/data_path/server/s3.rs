//! S3 as far as parts are put and read: path-style, every object created at most once, large ones not kept.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::counters::Counters;
use super::http::{Answer, Piece, Request};
use super::pages::Pages;
use crate::codec::Codec;
use crate::items::Shape;

/// Objects up to this size are kept.
const KEPT_BYTES: usize = 64 << 10;

const ETAG: &str = "ETag: \"00000000000000000000000000000000\"\r\n";

#[derive(Default)]
pub(super) struct S3 {
    /// The size of every object that was put, and the body of a small one.
    objects: Mutex<HashMap<String, (u64, Vec<u8>)>>,
}

impl S3 {
    pub(super) fn answer(&self, request: &Request, counters: &Counters, pages: &Pages) -> Answer {
        let path = request.path.split('?').next().unwrap_or_default();
        let key = path.trim_start_matches('/').split_once('/').map(|(_, key)| key).unwrap_or_default();
        counters.request(match request.method.as_str() {
            "PUT" => "PutObject",
            "GET" => "GetObject",
            _ => "HeadObject",
        });
        match (request.method.as_str(), key) {
            ("PUT", key) => self.put(key, request, counters),
            ("HEAD", "") => found(Vec::new()),
            ("GET", key) if key.starts_with("parts/") => prepared(key, pages),
            ("GET", key) => self.get(key),
            ("HEAD", key) => self.head(key),
            _ => error(501, "NotImplemented"),
        }
    }

    fn put(&self, key: &str, request: &Request, counters: &Counters) -> Answer {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        if request.header("if-none-match").is_some() && objects.contains_key(key) {
            return error(412, "PreconditionFailed");
        }
        counters.object(request.body_bytes);
        let kept = if request.body.len() <= KEPT_BYTES { request.body.clone() } else { Vec::new() };
        objects.insert(key.to_owned(), (request.body_bytes, kept));
        found(Vec::new())
    }

    fn get(&self, key: &str) -> Answer {
        let objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        match objects.get(key) {
            Some((bytes, body)) if *bytes == body.len() as u64 => found(vec![Piece::Own(body.clone())]),
            _ => error(404, "NoSuchKey"),
        }
    }

    fn head(&self, key: &str) -> Answer {
        let objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        match objects.get(key) {
            Some((bytes, _)) => Answer { length_of_head: usize::try_from(*bytes).ok(), ..found(Vec::new()) },
            None => Answer { status: 404, ..Answer::default() },
        }
    }
}

/// `parts/usual/zstd-1/<any number>`: a part of an export, the same for every number.
fn prepared(key: &str, pages: &Pages) -> Answer {
    let mut words = key.split('/').skip(1);
    let shape = words.next().and_then(Shape::parse);
    let codec = words.next().and_then(|word| word.parse::<Codec>().ok());
    let (Some(shape), Some(codec)) = (shape, codec) else { return error(404, "NoSuchKey") };
    let Ok(part) = pages.part(shape, &codec) else { return error(500, "InternalError") };
    Answer {
        status: 200,
        headers: format!("{ETAG}x-amz-meta-md5: {}\r\nx-amz-meta-items: {}\r\n", part.md5, part.items),
        body: vec![Piece::Shared(part.body.clone())],
        length_of_head: None,
    }
}

fn found(body: Vec<Piece>) -> Answer {
    Answer { status: 200, headers: ETAG.to_owned(), body, length_of_head: None }
}

fn error(status: u16, code: &str) -> Answer {
    let body = format!("<Error><Code>{code}</Code><Message>{code}</Message></Error>");
    Answer { status, body: vec![Piece::Own(body.into_bytes())], ..Answer::default() }
}
