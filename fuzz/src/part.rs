//! The body of a part. The first byte of the input says what the rest is: `z` a body of zstd, `g` one of gzip, `Z` and
//! `G` the text to compress into one.

use std::io::{self, Write};

use dynamodb_backup::archive::part::{MAX_LINE_BYTES, PartReader, content_md5};
use dynamodb_backup::config::Compression;
use dynamodb_backup::item::line_item;

const ZSTD: Compression = Compression::Zstd(1);
const GZIP: Compression = Compression::Gzip(6);

/// A body gives its lines whole or an error, and no line takes more memory than the longest may.
pub fn check(input: &[u8]) {
    let Some((kind, rest)) = input.split_first() else { return };
    match kind {
        b'z' => check_body(rest, ZSTD),
        b'g' => check_body(rest, GZIP),
        b'Z' => check_lines(rest, &zstd::bulk::compress(rest, 1).expect("memory suffices"), ZSTD),
        b'G' => check_lines(rest, &gzip(rest).expect("memory suffices"), GZIP),
        _ => {}
    }
}

fn gzip(text: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text)?;
    encoder.finish()
}

fn open(body: &[u8], compression: Compression) -> Option<PartReader> {
    PartReader::open("part", body.to_vec().into(), &content_md5(body), compression).ok()
}

/// Reads on as whoever reads items does: to the first line that is none.
fn check_body(body: &[u8], compression: Compression) {
    let Some(mut reader) = open(body, compression) else { return };
    let mut line = Vec::new();
    while reader.next_line(&mut line).is_ok_and(|has_line| has_line) {
        assert!(!line.contains(&b'\n') && line.len() <= MAX_LINE_BYTES);
        if line_item(&line).is_err() {
            break;
        }
    }
    assert!(line.capacity() <= 2 * MAX_LINE_BYTES, "{} bytes for one line", line.capacity());
}

fn check_lines(text: &[u8], body: &[u8], compression: Compression) {
    let open = || open(body, compression).expect("it is what was written");
    let (mut reader, mut line, mut last) = (open(), Vec::new(), None);
    for expected in text.split_inclusive(|byte| *byte == b'\n') {
        let Some(expected) = expected.strip_suffix(b"\n") else {
            assert!(reader.next_line(&mut line).is_err(), "a line without an end");
            return assert!(open().last_line().is_err(), "a last line without an end");
        };
        assert!(reader.next_line(&mut line).expect("it is what was written"));
        assert_eq!(line, expected);
        last = Some(expected);
    }
    assert!(!reader.next_line(&mut line).expect("it is what was written"), "a line behind the last");
    assert_eq!(open().last_line().expect("it is what was written").as_deref(), last);
}
