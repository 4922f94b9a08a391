//! A part: lines of `{"Item":{…}}`, compressed as one frame, with the MD5 that the manifest lists.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use md5::{Digest, Md5};

use crate::config::Compression;
use crate::error::{Error, Result};
use crate::page::Page;

/// A part that is being filled. All of its methods are CPU work for a blocking thread.
pub struct PartWriter {
    encoder: Encoder,
    items: u64,
    raw_bytes: u64,
}

/// A part that is ready to be put.
#[derive(Clone, Debug)]
pub struct Part {
    pub body: Bytes,
    /// Base64 of the body's MD5.
    pub md5: String,
    /// Base64 of the body's CRC32.
    pub crc32: String,
    pub items: u64,
}

enum Encoder {
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Gzip(GzEncoder<Vec<u8>>),
}

/// What a part may have grown beyond its size when it is closed: a page is compressed whole.
const SLACK_BYTES: u64 = 2 << 20;

/// The longest line that is read. The largest item has 400 KB (DynamoDB Developer Guide, “Constraints in Amazon
/// DynamoDB”), which take about nine times as much at most as JSON. A body may decompress to thousands of times its
/// size: this keeps one without line breaks from filling the memory.
pub const MAX_LINE_BYTES: usize = 16 << 20;

/// The largest window of a zstd part that is read: 8 MiB, as level 19 has it (zstd, `ZSTD_getCParams`) and every decoder
/// should support (RFC 8878, 3.1.1.1.2). A frame may ask for far more memory than that.
const MAX_WINDOW_LOG: u32 = 23;

/// What to do about a part that is not what was put.
pub(super) const CHANGED: &str =
    "get an older version of the object back, or leave this backup and make another";

/// The memory of parts that have been put, for those that come next: as many buffers as parts were ever filled at
/// once. Freed, it would be cut up for other uses, and new parts would take new memory beside it.
#[derive(Debug, Default)]
pub struct PartBuffers(Mutex<Vec<Vec<u8>>>);

impl PartBuffers {
    /// A buffer for a part that is to be closed at about `part_bytes`. Its memory is reserved at once, and used as
    /// it fills: a buffer that grows by doubling would be copied, and take three times as much.
    fn take(&self, part_bytes: u64) -> Vec<u8> {
        let mut buffer = self.lock().pop().unwrap_or_default();
        buffer.clear();
        buffer.reserve_exact(usize::try_from(part_bytes + SLACK_BYTES).unwrap_or_default());
        buffer
    }

    /// Takes the memory of a part that is no longer needed, unless somebody else still holds it.
    pub fn give_back(&self, part: Part) {
        if part.body.is_unique() {
            self.lock().push(part.body.into());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PartWriter {
    /// Begins a part that is to be closed at about `part_bytes`, compressed.
    pub fn new(compression: Compression, part_bytes: u64, buffers: &PartBuffers) -> io::Result<Self> {
        let body = buffers.take(part_bytes);
        let encoder = match compression {
            Compression::Zstd(level) => {
                let mut encoder = zstd::stream::write::Encoder::new(body, level)?;
                encoder.include_checksum(true)?;
                Encoder::Zstd(encoder)
            }
            Compression::Gzip(level) => Encoder::Gzip(GzEncoder::new(body, flate2::Compression::new(level))),
        };
        Ok(Self { encoder, items: 0, raw_bytes: 0 })
    }

    /// Appends every item of a page.
    pub fn append(&mut self, page: &Page) -> io::Result<()> {
        match &mut self.encoder {
            Encoder::Zstd(encoder) => encoder.write_all(page.lines())?,
            Encoder::Gzip(encoder) => encoder.write_all(page.lines())?,
        }
        self.raw_bytes += page.lines().len() as u64;
        self.items += page.len() as u64;
        Ok(())
    }

    /// Compressed bytes that have left the encoder so far.
    pub fn compressed_bytes(&self) -> u64 {
        let written = match &self.encoder {
            Encoder::Zstd(encoder) => encoder.get_ref(),
            Encoder::Gzip(encoder) => encoder.get_ref(),
        };
        written.len() as u64
    }

    pub fn raw_bytes(&self) -> u64 {
        self.raw_bytes
    }

    pub fn finish(self) -> io::Result<Part> {
        let body = match self.encoder {
            Encoder::Zstd(encoder) => encoder.finish()?,
            Encoder::Gzip(encoder) => encoder.finish()?,
        };
        let (md5, crc32) = (content_md5(&body), crc32(&body));
        Ok(Part { body: body.into(), md5, crc32, items: self.items })
    }
}

/// Base64 of the MD5: the form of S3's `Content-MD5` and of DynamoDB's manifests.
pub fn content_md5(body: &[u8]) -> String {
    STANDARD.encode(Md5::digest(body))
}

/// Base64 of the CRC32, most significant byte first: the form of S3's `x-amz-checksum-crc32`.
pub fn crc32(body: &[u8]) -> String {
    STANDARD.encode(crc32fast::hash(body).to_be_bytes())
}

/// Reads the lines of a part's body, one at a time.
pub struct PartReader {
    lines: BufReader<Box<dyn Read + Send>>,
}

impl PartReader {
    /// Opens a body whose MD5 must be `md5`.
    ///
    /// # Errors
    /// Permanent when it is not: nothing of a corrupt part may be used.
    pub fn open(key: &str, body: Bytes, md5: &str, compression: Compression) -> Result<Self> {
        let actual = content_md5(&body);
        if actual != md5 {
            return Err(Error::permanent(format!(
                "part {key} is corrupt: its MD5 is {actual}, and {md5} is on record"
            ))
            .with_mend(CHANGED));
        }
        let bytes = io::Cursor::new(body);
        let decoder: Box<dyn Read + Send> = match compression {
            Compression::Zstd(_) => Box::new(zstd_decoder(bytes).map_err(unreadable(key))?),
            Compression::Gzip(_) => Box::new(MultiGzDecoder::new(bytes)),
        };
        Ok(Self { lines: BufReader::with_capacity(1 << 16, decoder) })
    }

    /// Reads the next line into `line` without its newline; false at the end of the part.
    ///
    /// # Errors
    /// The body cannot be decompressed, its last line has no newline, or a line has more than [`MAX_LINE_BYTES`].
    pub fn next_line(&mut self, line: &mut Vec<u8>) -> io::Result<bool> {
        line.clear();
        let with_newline = MAX_LINE_BYTES as u64 + 1;
        if self.lines.by_ref().take(with_newline).read_until(b'\n', line)? == 0 {
            return Ok(false);
        }
        if line.pop_if(|last| *last == b'\n').is_some() {
            return Ok(true);
        }
        Err(if line.len() > MAX_LINE_BYTES {
            io::Error::new(io::ErrorKind::InvalidData, "a line is longer than an item can be")
        } else {
            io::Error::new(io::ErrorKind::UnexpectedEof, "the last line has no end")
        })
    }

    /// The last line of the part, which says where the next part begins.
    pub fn last_line(mut self) -> io::Result<Option<Vec<u8>>> {
        let (mut line, mut last) = (Vec::new(), None);
        while self.next_line(&mut line)? {
            last = Some(std::mem::take(&mut line));
        }
        Ok(last)
    }
}

fn zstd_decoder(
    bytes: io::Cursor<Bytes>,
) -> io::Result<zstd::stream::read::Decoder<'static, io::Cursor<Bytes>>> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes)?;
    decoder.window_log_max(MAX_WINDOW_LOG)?;
    Ok(decoder)
}

/// A part as the record of its export lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartFile {
    pub key: String,
    pub items: u64,
    /// Base64 of the MD5 of the compressed bytes.
    pub md5: String,
    pub compression: Compression,
}

impl PartFile {
    /// Makes sure that the part held as many items as it should.
    pub fn require_items(&self, found: u64) -> Result<()> {
        if found == self.items {
            return Ok(());
        }
        let (key, items) = (&self.key, self.items);
        let differing = format!("part {key} holds {found} items, and {items} are on record");
        Err(Error::permanent(differing).with_mend(CHANGED))
    }

    /// The error of bytes that cannot be decoded, although their MD5 is right.
    pub fn unreadable(&self) -> impl Fn(io::Error) -> Error + use<> {
        unreadable(&self.key)
    }
}

/// An error of a part whose bytes cannot be decoded, although its MD5 is right.
pub fn unreadable(key: &str) -> impl Fn(io::Error) -> Error + use<> {
    let context = format!("part {key} cannot be decompressed");
    move |error| Error::permanent(context.clone()).with_source(error).with_mend(CHANGED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::PageReader;

    fn page(items: &[&str]) -> Page {
        let body = format!(
            r#"{{"Items":[{}],"Count":{},"ScannedCount":{}}}"#,
            items.join(","),
            items.len(),
            items.len()
        );
        let mut reader = PageReader::reusing(Vec::new());
        reader.feed(body.as_bytes()).and_then(|()| reader.finish()).expect("a page")
    }

    fn lines(reader: &mut PartReader) -> Vec<String> {
        let (mut line, mut lines) = (Vec::new(), Vec::new());
        while reader.next_line(&mut line).expect("readable") {
            lines.push(String::from_utf8(line.clone()).expect("UTF-8"));
        }
        lines
    }

    #[test]
    fn lines_come_back_as_they_were_written_with_either_codec() {
        for compression in [Compression::Zstd(1), Compression::Gzip(6)] {
            let mut writer =
                PartWriter::new(compression, 1 << 20, &PartBuffers::default()).expect("a writer");
            writer.append(&page(&[r#"{"pk":{"S":"a"}}"#, r#"{"pk":{"S":"é\n"}}"#])).expect("appended");
            writer.append(&page(&[r#"{"pk":{"N":"-0"}}"#])).expect("appended");
            let part = writer.finish().expect("finished");
            assert_eq!(part.items, 3);

            let open = || PartReader::open("key", part.body.clone(), &part.md5, compression).expect("opens");
            let expected = [
                r#"{"Item":{"pk":{"S":"a"}}}"#,
                r#"{"Item":{"pk":{"S":"é\n"}}}"#,
                r#"{"Item":{"pk":{"N":"-0"}}}"#,
            ];
            assert_eq!(lines(&mut open()), expected);
            assert_eq!(open().last_line().expect("readable").as_deref(), Some(expected[2].as_bytes()));
        }
    }

    #[test]
    fn a_part_that_was_put_lends_its_memory_to_the_next_and_one_still_held_does_not() {
        let buffers = PartBuffers::default();
        let part = || {
            let mut writer = PartWriter::new(Compression::Zstd(1), 1 << 20, &buffers).expect("a writer");
            writer.append(&page(&[r#"{"pk":{"S":"a"}}"#])).expect("appended");
            writer.finish().expect("finished")
        };
        let first = part();
        let (memory, held) = (first.body.as_ptr(), part());
        buffers.give_back(first);
        buffers.give_back(held.clone());
        let next = part();
        assert_eq!((next.body.as_ptr(), &next.md5), (memory, &held.md5));
        assert_ne!(part().body.as_ptr(), held.body.as_ptr());
    }

    /// A reader of text that is compressed as it comes, in a window of 2^`window_log` bytes.
    fn reader_of(text: &[u8], window_log: u32) -> PartReader {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).expect("an encoder");
        encoder.window_log(window_log).expect("a legal window");
        encoder.write_all(text).expect("compressed");
        let body = Bytes::from(encoder.finish().expect("compressed"));
        let md5 = content_md5(&body);
        PartReader::open("key", body, &md5, Compression::Zstd(1)).expect("opens")
    }

    #[test]
    fn a_line_that_no_item_can_have_is_refused_before_it_fills_the_memory() {
        let text = vec![b' '; 8 * MAX_LINE_BYTES];
        let mut line = Vec::new();
        let error = reader_of(&text, 19).next_line(&mut line).expect_err("refused");
        assert_eq!(error.to_string(), "a line is longer than an item can be");
        assert!(line.capacity() <= 2 * MAX_LINE_BYTES);
        assert!(reader_of(&text, 19).last_line().is_err());
    }

    #[test]
    fn the_longest_line_is_read() {
        let text = [vec![b' '; MAX_LINE_BYTES], b"\n".to_vec()].concat();
        let mut reader = reader_of(&text, 19);
        let mut line = Vec::new();
        assert!(reader.next_line(&mut line).expect("readable"));
        assert_eq!(line.len(), MAX_LINE_BYTES);
        assert!(!reader.next_line(&mut line).expect("readable"));
    }

    #[test]
    fn a_frame_that_asks_for_more_memory_than_any_level_does_is_refused() {
        let refused = reader_of(b"{}\n", MAX_WINDOW_LOG + 1).last_line().expect_err("refused");
        let error = unreadable("the/key")(refused);
        let told = "part the/key cannot be decompressed: Frame requires too much memory for decoding";
        assert!(error.in_full().contains(told), "{}", error.in_full());
    }

    #[test]
    fn parts_of_the_highest_level_are_read() {
        for compression in [Compression::Zstd(19), Compression::Gzip(9)] {
            let mut writer =
                PartWriter::new(compression, 1 << 20, &PartBuffers::default()).expect("a writer");
            writer.append(&page(&[r#"{"pk":{"S":"a"}}"#])).expect("appended");
            let part = writer.finish().expect("finished");
            let mut reader = PartReader::open("key", part.body, &part.md5, compression).expect("opens");
            assert_eq!(lines(&mut reader), [r#"{"Item":{"pk":{"S":"a"}}}"#]);
        }
    }

    #[test]
    fn a_flipped_byte_is_found_before_the_first_line() {
        let writer =
            PartWriter::new(Compression::Zstd(1), 1 << 20, &PartBuffers::default()).expect("a writer");
        let part = writer.finish().expect("finished");
        let mut body = part.body.to_vec();
        body[3] ^= 1;
        let error = PartReader::open("the/key", body.into(), &part.md5, Compression::Zstd(1));
        let error = error.err().expect("refused");
        assert!(error.to_string().contains("part the/key is corrupt"), "{error}");
    }
}
