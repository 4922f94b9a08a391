//! The strings of an item, as they stand in its JSON.

use std::borrow::Cow;

use super::walk::Reason;

/// A JSON string that has been checked: UTF-8 without control characters, its escapes complete.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    /// What is between the quotes.
    raw: &'a [u8],
    /// Less than that of `raw` exactly when there are escapes: each is longer than what it stands for.
    len: usize,
}

impl<'a> Text<'a> {
    /// Reads the string whose opening quote ends before `start`; gives the place behind its closing quote, too.
    ///
    /// A surrogate without its other half is refused: it is no character, so there is no UTF-8 for it.
    #[inline(always)]
    pub(super) fn read(json: &'a [u8], start: usize) -> Result<(Self, usize), (Reason, usize)> {
        let at = pass_plain(json, start);
        if json.get(at) == Some(&b'"') {
            return Ok((Self { raw: &json[start..at], len: at - start }, at + 1));
        }
        Self::read_on(json, start, at)
    }

    /// Reads a string that is plain up to `at` as to the end.
    #[inline(never)]
    fn read_on(json: &'a [u8], start: usize, mut at: usize) -> Result<(Self, usize), (Reason, usize)> {
        let mut saved = 0;
        loop {
            match json.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    let (character, len) = escape(&json[at..]).ok_or((Reason::Escape, at))?;
                    saved += len - character.len_utf8();
                    at += len;
                }
                Some(_) => return Err((Reason::ControlCharacter, at)),
                None => return Err((Reason::CutShort, at)),
            }
            at = pass_plain(json, at);
        }
        let raw = &json[start..at];
        Ok((Self { raw, len: raw.len() - saved }, at + 1))
    }

    /// The length in UTF-8 bytes, each escape counted as the character it stands for.
    pub(super) fn len(self) -> usize {
        self.len
    }

    /// Whether it has these characters, however they are escaped.
    pub(super) fn is(self, text: &str) -> bool {
        self.len == text.len() && *self.unescaped() == *text.as_bytes()
    }

    /// Its characters in UTF-8; allocates only where there are escapes.
    #[inline]
    pub(super) fn unescaped(self) -> Cow<'a, [u8]> {
        if self.len == self.raw.len() { self.raw.into() } else { self.to_vec().into() }
    }

    #[cold]
    fn to_vec(self) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.len);
        self.push_to(&mut text);
        text
    }

    /// Appends its characters in UTF-8.
    #[inline]
    pub(super) fn push_to(self, to: &mut Vec<u8>) {
        if self.len == self.raw.len() {
            to.extend_from_slice(self.raw);
        } else {
            self.push_unescaped_to(to);
        }
    }

    #[inline(never)]
    fn push_unescaped_to(self, to: &mut Vec<u8>) {
        let mut rest = self.raw;
        loop {
            // The first mark is a backslash: a quote has one before it, and there are no control characters.
            let (plain, escaped) = rest.split_at(pass_plain(rest, 0));
            to.extend_from_slice(plain);
            if escaped.is_empty() {
                return;
            }
            let (character, len) = escape(escaped).expect("escapes are checked when the text is read");
            to.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            rest = &escaped[len..];
        }
    }
}

const EACH_BYTE: u64 = 0x0101_0101_0101_0101;

/// The place of the next quote, backslash or control character at or after `at`, or the end of `json`.
///
/// Eight bytes first, as most names need no more, then sixteen at a time: most strings of an item are too
/// short for the set-up of a vector search to pay.
#[inline(always)]
fn pass_plain(json: &[u8], mut at: usize) -> usize {
    if let Some(eight) = json[at..].first_chunk() {
        let marks = marks(u64::from_le_bytes(*eight));
        if marks != 0 {
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(bytes) = json[at..].first_chunk::<16>() {
        let bytes = u128::from_le_bytes(*bytes);
        let (low, high) = (marks(bytes as u64), marks((bytes >> 64) as u64));
        if low | high != 0 {
            let place = if low != 0 { low.trailing_zeros() } else { 64 + high.trailing_zeros() };
            return at + (place / 8) as usize;
        }
        at += 16;
    }
    at + json[at..].iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)).count()
}

/// The high bit of the first of eight bytes that is a quote, a backslash or a control character, perhaps with
/// some bits above it; 0 when there is none.
///
/// A byte below `n` (at most 0x80) borrows from its high bit when `n` is subtracted. The borrow may go on
/// into higher bytes, so only the lowest bit can be relied upon.
#[inline(always)]
fn marks(eight: u64) -> u64 {
    let quote = (eight ^ (EACH_BYTE * u64::from(b'"'))).wrapping_sub(EACH_BYTE);
    let backslash = (eight ^ (EACH_BYTE * u64::from(b'\\'))).wrapping_sub(EACH_BYTE);
    let control = eight.wrapping_sub(EACH_BYTE * 0x20);
    (quote | backslash | control) & !eight & (EACH_BYTE * 0x80)
}

/// The character that the escape at the start of `text` stands for, and the escape's length; none when it
/// is not a whole escape.
fn escape(text: &[u8]) -> Option<(char, usize)> {
    let character = match text.get(1)? {
        byte @ (b'"' | b'\\' | b'/') => char::from(*byte),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unicode_escape(text),
        _ => return None,
    };
    Some((character, 2))
}

fn unicode_escape(text: &[u8]) -> Option<(char, usize)> {
    let unit = code_unit(text)?;
    if let Some(character) = char::from_u32(unit.into()) {
        return Some((character, 6));
    }
    let pair = [unit, code_unit(&text[6..])?];
    let character = char::decode_utf16(pair).next()?.ok()?;
    Some((character, 12))
}

/// The UTF-16 code unit of a `\uXXXX` at the start of `text`.
fn code_unit(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(br"\u")?.first_chunk::<4>()?;
    digits.iter().try_fold(0, |unit, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(unit << 4 | u16::try_from(digit).ok()?)
    })
}
