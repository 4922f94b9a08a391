//! `aws-chunked` bodies: chunks with sizes in front and checksums behind, unwrapped to plain ones.

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::wire::{Refusal, Request};

/// Unwraps the body if it is chunked; trailers become headers.
pub(super) fn unwrap(mut request: Request) -> Result<Request, Refusal> {
    let is_chunked =
        request.header("x-amz-content-sha256").is_some_and(|hash| hash.starts_with("STREAMING-"));
    if !is_chunked {
        return Ok(request);
    }
    let announced = request.header("x-amz-decoded-content-length").and_then(|length| length.parse().ok());
    let (body, trailers) = decode(request.body).ok_or_else(malformed)?;
    if announced != Some(body.len()) {
        return Err(Refusal::bad_request(
            "IncompleteBody",
            "You did not provide the number of bytes specified by the Content-Length HTTP header.",
        ));
    }
    request.body = body;
    request.headers.extend(trailers);
    plain(&mut request.headers);
    Ok(request)
}

fn plain(headers: &mut HeaderMap) {
    for name in ["x-amz-content-sha256", "x-amz-decoded-content-length", "x-amz-trailer", "transfer-encoding"]
    {
        headers.remove(name);
    }
    let encoding = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kept: Vec<_> = encoding
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty() && *name != "aws-chunked")
        .collect();
    match HeaderValue::from_str(&kept.join(",")) {
        Ok(kept) if !kept.is_empty() => headers.insert(CONTENT_ENCODING, kept),
        _ => headers.remove(CONTENT_ENCODING),
    };
}

/// Chunks are `<hex size>[;signature]\r\n<data>\r\n`; the last has size 0, and trailers follow it.
fn decode(mut wire: Bytes) -> Option<(Bytes, HeaderMap)> {
    let mut body = BytesMut::with_capacity(wire.len());
    loop {
        let line = take_line(&mut wire)?;
        let size = line.split(';').next()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        if size == 0 {
            return Some((body.freeze(), trailers(&mut wire)));
        }
        if wire.len() < size {
            return None;
        }
        body.extend_from_slice(&wire.split_to(size));
        take_line(&mut wire).filter(String::is_empty)?;
    }
}

fn trailers(wire: &mut Bytes) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    while let Some(line) = take_line(wire) {
        let Some((name, value)) = line.split_once(':') else { continue };
        if let (Ok(name), Ok(value)) =
            (name.trim().parse::<HeaderName>(), value.trim().parse::<HeaderValue>())
        {
            trailers.insert(name, value);
        }
    }
    trailers
}

fn take_line(wire: &mut Bytes) -> Option<String> {
    let end = wire.windows(2).position(|pair| pair == b"\r\n")?;
    let line = String::from_utf8(wire.split_to(end).to_vec()).ok();
    let _ = wire.split_to(2);
    line
}

fn malformed() -> Refusal {
    Refusal::bad_request("IncompleteBody", "The request body terminated unexpectedly")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_joined_and_trailers_found() {
        let wire = Bytes::from_static(
            b"3;chunk-signature=00\r\nabc\r\n2\r\nde\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n",
        );
        let (body, trailers) = decode(wire).expect("well formed");
        assert_eq!(body, "abcde");
        assert_eq!(trailers["x-amz-checksum-crc32"], "AAAAAA==");
    }

    #[test]
    fn a_body_that_ends_early_is_refused() {
        assert!(decode(Bytes::from_static(b"5\r\nabc")).is_none());
        assert!(decode(Bytes::from_static(b"3\r\nabc\r\n")).is_none());
    }
}
