//! Scan answers and parts of an export, rendered once and kept.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use dynamodb_backup::archive::part::content_md5;

use crate::codec::{Codec, PART_BYTES};
use crate::items::Shape;

/// The items of a page, ready to be sent.
pub(crate) struct ServedPage {
    /// `"Items":[…]`
    pub(crate) items_member: Arc<Vec<u8>>,
    pub(crate) crc32: crc32fast::Hasher,
    pub(crate) items: u64,
    pub(crate) line_bytes: u64,
    lines: OnceLock<Vec<u8>>,
    shape: Shape,
    number: usize,
}

/// A part of an export, ready to be sent.
pub(crate) struct ServedPart {
    pub(crate) body: Arc<Vec<u8>>,
    pub(crate) md5: String,
    pub(crate) items: u64,
}

/// Everything rendered so far.
#[derive(Default)]
pub(crate) struct Pages {
    pages: [OnceLock<Vec<ServedPage>>; 3],
    parts: Mutex<HashMap<(Shape, String), Arc<ServedPart>>>,
}

impl ServedPage {
    fn render(shape: Shape, number: usize) -> Self {
        let page = shape.page(number);
        let items_member = format!(r#""Items":[{}]"#, page.json).into_bytes();
        let mut crc32 = crc32fast::Hasher::new();
        crc32.update(&items_member);
        Self {
            crc32,
            items: page.items.len() as u64,
            line_bytes: page.line_bytes(),
            items_member: Arc::new(items_member),
            lines: OnceLock::new(),
            shape,
            number,
        }
    }

    /// The items as lines of an export.
    fn lines(&self) -> &[u8] {
        self.lines.get_or_init(|| {
            let page = self.shape.page(self.number);
            let mut lines = Vec::new();
            for item in &page.items {
                for text in ["{\"Item\":", &page.json[item.clone()], "}\n"] {
                    lines.extend_from_slice(text.as_bytes());
                }
            }
            lines
        })
    }
}

impl Pages {
    /// A page of a table that repeats its distinct pages.
    pub(crate) fn page(&self, shape: Shape, number: u64) -> &ServedPage {
        let render = || (0..shape.distinct_pages()).map(|number| ServedPage::render(shape, number)).collect();
        let pages = self.pages[shape as usize].get_or_init(render);
        &pages[number as usize % pages.len()]
    }

    /// A part as an export of the table leaves it.
    pub(crate) fn part(&self, shape: Shape, codec: &Codec) -> std::io::Result<Arc<ServedPart>> {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (shape, codec.to_string());
        if let Some(part) = parts.get(&key) {
            return Ok(Arc::clone(part));
        }
        let part = Arc::new(self.compress(shape, codec)?);
        parts.insert(key, Arc::clone(&part));
        Ok(part)
    }

    fn compress(&self, shape: Shape, codec: &Codec) -> std::io::Result<ServedPart> {
        let (mut encoder, mut items) = (codec.encoder()?, 0);
        for number in 0.. {
            if encoder.written() >= PART_BYTES {
                break;
            }
            let page = self.page(shape, number);
            encoder.write_all(page.lines())?;
            items += page.items;
        }
        let body = encoder.finish()?;
        Ok(ServedPart { md5: content_md5(&body), body: Arc::new(body), items })
    }
}
