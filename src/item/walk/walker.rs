//! The steps of a walk.

use super::{Collection, Fault, MAX_DEPTH, Reason, Scalar, Visitor};
use crate::item::text::Text;

/// Stands somewhere in the JSON. A step reads what has to be next, or stops for good.
pub(super) struct Walker<'a, 'v, V> {
    json: &'a [u8],
    /// The place of the first byte that has not been read.
    at: usize,
    visitor: &'v mut V,
    /// Why the walk stopped, once it has.
    fault: Fault,
}

/// The walk is over: its fault is on record. The error takes no room in what every step gives back, which
/// matters: there is a step for every few bytes.
pub(super) struct Stop;

impl<'a, 'v, V: Visitor<'a>> Walker<'a, 'v, V> {
    /// The JSON has been found to be UTF-8.
    pub(super) fn new(json: &'a [u8], visitor: &'v mut V) -> Self {
        Self { json, at: 0, visitor, fault: Fault { reason: Reason::CutShort, at: 0 } }
    }

    pub(super) fn fault(&self) -> Fault {
        self.fault
    }

    pub(super) fn line(&mut self) -> Result<&'a [u8], Stop> {
        self.take(b'{', Reason::NoObject)?;
        let name_at = self.at;
        if !self.string()?.is("Item") {
            return Err(self.stop(Reason::NoItem, name_at));
        }
        self.take(b':', Reason::NoColon)?;
        let item = self.item()?;
        self.take(b'}', Reason::BehindItem)?;
        Ok(item)
    }

    pub(super) fn item(&mut self) -> Result<&'a [u8], Stop> {
        self.peek();
        let start = self.at;
        self.members(0)?;
        Ok(&self.json[start..self.at])
    }

    /// An object of attributes; the item itself at depth 0, else what a map holds.
    fn members(&mut self, depth: usize) -> Result<(), Stop> {
        self.take(b'{', Reason::NoObject)?;
        if self.takes(b'}') {
            return Ok(());
        }
        loop {
            let name = self.string()?;
            if depth == 0 {
                self.visitor.attribute(name);
            } else {
                self.visitor.member(name);
            }
            self.take(b':', Reason::NoColon)?;
            self.value(depth)?;
            if !self.goes_on(b'}')? {
                return Ok(());
            }
        }
    }

    /// One value with its type, `{"S":"a"}`.
    fn value(&mut self, depth: usize) -> Result<(), Stop> {
        self.take(b'{', Reason::NoType)?;
        let kind = self.kind()?;
        match kind {
            Kind::S => self.text(Scalar::S)?,
            Kind::N => self.text(Scalar::N)?,
            Kind::B => self.text(Scalar::B)?,
            Kind::Bool => {
                let value = self.boolean()?;
                self.visitor.scalar(Scalar::Bool(value));
            }
            Kind::Null => {
                self.boolean()?;
                self.visitor.scalar(Scalar::Null);
            }
            Kind::Of(collection) => self.collection(collection, depth + 1)?,
        }
        self.take(b'}', Reason::SeveralTypes)
    }

    #[inline(always)]
    fn text(&mut self, scalar: impl FnOnce(Text<'a>) -> Scalar<'a>) -> Result<(), Stop> {
        let text = self.string()?;
        self.visitor.scalar(scalar(text));
        Ok(())
    }

    fn collection(&mut self, collection: Collection, depth: usize) -> Result<(), Stop> {
        if depth > MAX_DEPTH {
            return Err(self.stop(Reason::TooDeep, self.at));
        }
        self.visitor.open(collection);
        match collection {
            Collection::Map => self.members(depth)?,
            Collection::List => self.array(|walker| {
                walker.visitor.element();
                walker.value(depth)
            })?,
            Collection::StringSet => self.array(|walker| walker.text(Scalar::S))?,
            Collection::NumberSet => self.array(|walker| walker.text(Scalar::N))?,
            Collection::BinarySet => self.array(|walker| walker.text(Scalar::B))?,
        }
        self.visitor.close();
        Ok(())
    }

    fn array(&mut self, mut element: impl FnMut(&mut Self) -> Result<(), Stop>) -> Result<(), Stop> {
        self.take(b'[', Reason::NoArray)?;
        if self.takes(b']') {
            return Ok(());
        }
        loop {
            element(self)?;
            if !self.goes_on(b']')? {
                return Ok(());
            }
        }
    }

    /// The type of a value and the colon behind it.
    #[inline]
    fn kind(&mut self) -> Result<Kind, Stop> {
        if let Some([b'"', name, b'"', b':']) = self.json[self.at..].first_chunk()
            && let Some(kind) = Kind::of(&[*name])
        {
            self.at += 4;
            return Ok(kind);
        }
        self.any_kind()
    }

    #[inline(never)]
    fn any_kind(&mut self) -> Result<Kind, Stop> {
        let start = self.at;
        let name = self.string()?;
        let kind = Kind::of(&name.unescaped()).ok_or_else(|| self.stop(Reason::UnknownType, start))?;
        self.take(b':', Reason::NoColon)?;
        Ok(kind)
    }

    fn boolean(&mut self) -> Result<bool, Stop> {
        self.peek();
        let rest = &self.json[self.at..];
        let value = rest.starts_with(b"true");
        if !value && !rest.starts_with(b"false") {
            return Err(self.stop(Reason::NoBoolean, self.at));
        }
        self.at += if value { 4 } else { 5 };
        Ok(value)
    }

    #[inline(always)]
    fn string(&mut self) -> Result<Text<'a>, Stop> {
        self.take(b'"', Reason::NoString)?;
        match Text::read(self.json, self.at) {
            Ok((text, end)) => {
                self.at = end;
                Ok(text)
            }
            Err((reason, at)) => Err(self.stop(reason, at)),
        }
    }

    /// Whether a comma is next rather than the `end` of the object or array; reads either.
    #[inline]
    fn goes_on(&mut self, end: u8) -> Result<bool, Stop> {
        if self.takes(b',') {
            return Ok(true);
        }
        self.take(end, Reason::NoComma)?;
        Ok(false)
    }

    #[inline(always)]
    fn take(&mut self, byte: u8, otherwise: Reason) -> Result<(), Stop> {
        if self.takes(byte) {
            return Ok(());
        }
        let is_end = self.at == self.json.len();
        Err(self.stop(if is_end { Reason::CutShort } else { otherwise }, self.at))
    }

    /// Reads the byte if it is next, perhaps behind whitespace. A branch that is foreseen costs less than to
    /// compute where the walk goes on.
    #[inline(always)]
    fn takes(&mut self, byte: u8) -> bool {
        match self.json.get(self.at) {
            Some(next) if *next == byte => {}
            Some(next) if *next > b' ' => return false,
            _ if self.peek() == Some(byte) => {}
            _ => return false,
        }
        self.at += 1;
        true
    }

    /// The next byte that is not whitespace.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.json.get(self.at)? {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                byte => return Some(*byte),
            }
        }
    }

    #[cold]
    fn stop(&mut self, reason: Reason, at: usize) -> Stop {
        self.fault = Fault { reason, at };
        Stop
    }

    pub(super) fn end(&mut self) -> Result<(), Stop> {
        match self.peek() {
            Some(_) => Err(self.stop(Reason::BehindEnd, self.at)),
            None => Ok(()),
        }
    }
}

/// A type of DynamoDB's JSON (DynamoDB API Reference, “AttributeValue”).
#[derive(Clone, Copy)]
enum Kind {
    S,
    N,
    B,
    Bool,
    Null,
    Of(Collection),
}

impl Kind {
    #[inline]
    fn of(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"S" => Self::S,
            b"N" => Self::N,
            b"B" => Self::B,
            b"BOOL" => Self::Bool,
            b"NULL" => Self::Null,
            b"M" => Self::Of(Collection::Map),
            b"L" => Self::Of(Collection::List),
            b"SS" => Self::Of(Collection::StringSet),
            b"NS" => Self::Of(Collection::NumberSet),
            b"BS" => Self::Of(Collection::BinarySet),
            _ => return None,
        })
    }
}
