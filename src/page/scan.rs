//! Where an item ends, found 64 bytes at a time.

use super::block::{BLOCK_BYTES, Block};
use super::refuse;
use crate::error::Result;

/// What has to be known of the bytes read so far to read on in an item.
#[derive(Clone, Copy)]
pub(super) struct ItemScan {
    /// The braces that are open.
    depth: usize,
    /// All ones within a string.
    in_string: u64,
    /// 1 if the next byte is escaped.
    is_escaped: u64,
    has_line_breaks: bool,
}

impl ItemScan {
    /// Reads what follows the opening brace of an item.
    pub(super) fn after_brace() -> Self {
        Self { depth: 1, in_string: 0, is_escaped: 0, has_line_breaks: false }
    }

    /// Reads on and returns where the bytes after the item begin, or none when it goes on after `bytes`.
    pub(super) fn end(&mut self, bytes: &[u8]) -> Result<Option<usize>> {
        let (blocks, rest) = bytes.as_chunks();
        for (block, start) in blocks.iter().zip((0..).step_by(BLOCK_BYTES)) {
            if let Some(end) = self.end_in(block, BLOCK_BYTES)? {
                return Ok(Some(start + end));
            }
        }
        if rest.is_empty() {
            return Ok(None);
        }
        let mut block = [b' '; BLOCK_BYTES];
        block[..rest.len()].copy_from_slice(rest);
        let end = self.end_in(&block, rest.len())?;
        Ok(end.map(|end| bytes.len() - rest.len() + end))
    }

    /// Whether the item may have had a line break so far.
    pub(super) fn has_line_breaks(&self) -> bool {
        self.has_line_breaks
    }

    /// Reads a block of which the first `len` bytes are of the response, and spaces follow.
    #[inline(always)]
    fn end_in(&mut self, bytes: &[u8; BLOCK_BYTES], len: usize) -> Result<Option<usize>> {
        let block = Block::of(bytes);
        let escaped = self.escaped(block.backslashes, len);
        let in_string = self.strings(block.quotes & !escaped);
        let end = self.close(block.opening & !in_string, block.closing & !in_string);
        if block.has_controls {
            self.check_controls(bytes, in_string)?;
        }
        Ok(end)
    }

    /// The bytes that are escaped: those after the first, third… backslash of a row.
    ///
    /// Subtracting the backslashes from the bytes after them, among ones at all odd places, borrows along each
    /// row, so that the odd places of a row flip just if it began at an odd place (as in simdjson's
    /// `json_escape_scanner`). There is no branch to mispredict, however many escapes there are.
    #[inline(always)]
    fn escaped(&mut self, backslashes: u64, len: usize) -> u64 {
        const ODD_PLACES: u64 = 0xaaaa_aaaa_aaaa_aaaa;
        let candidates = backslashes & !self.is_escaped;
        let borrowed = (candidates << 1 | ODD_PLACES).wrapping_sub(candidates);
        let escapes_and_ends = borrowed ^ ODD_PLACES;
        let escaped = escapes_and_ends ^ (backslashes | self.is_escaped);
        self.is_escaped = (escapes_and_ends & backslashes) >> (len - 1) & 1;
        escaped
    }

    /// The bytes within strings: those with an odd number of quotes up to and with them.
    #[inline(always)]
    fn strings(&mut self, quotes: u64) -> u64 {
        let odd = [1, 2, 4, 8, 16, 32].iter().fold(quotes, |odd, places| odd ^ odd << places);
        let in_string = odd ^ self.in_string;
        self.in_string = (in_string.cast_signed() >> 63).cast_unsigned();
        in_string
    }

    /// Counts braces and returns the place after the one that closes the item.
    #[inline(always)]
    fn close(&mut self, opening: u64, closing: u64) -> Option<usize> {
        let mut braces = opening | closing;
        while braces != 0 {
            let brace = braces & braces.wrapping_neg();
            braces ^= brace;
            if opening & brace != 0 {
                self.depth += 1;
                continue;
            }
            self.depth -= 1;
            if self.depth == 0 {
                return Some(brace.trailing_zeros() as usize + 1);
            }
        }
        None
    }

    /// JSON has no control characters but tabs and line breaks between tokens (RFC 8259, section 2). What
    /// follows the item in its block is of the response, too.
    #[cold]
    fn check_controls(&mut self, bytes: &[u8; BLOCK_BYTES], in_string: u64) -> Result<()> {
        for (at, byte) in bytes.iter().enumerate().filter(|(_, byte)| **byte < b' ') {
            if in_string >> at & 1 == 1 || !matches!(byte, b'\t' | b'\n' | b'\r') {
                return Err(refuse("a control character is not escaped"));
            }
            self.has_line_breaks |= *byte != b'\t';
        }
        Ok(())
    }
}
