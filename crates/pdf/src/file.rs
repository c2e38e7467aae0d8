//! Any PDF, read object by object, within a budget: no crafted file costs more than the budget says.
//!
//! Nothing is repaired. A file whose tables lead nowhere is refused, and so is an encrypted one.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use memchr::memmem;

use crate::error::PdfError;
use crate::unpacking::unpacked;
use crate::values::{Dictionary, Parser, Value};

/// Where `%PDF-` stands at the latest, and how far before the end `startxref` is looked for.
const EDGE_BYTES: usize = 1024;
/// Objects that a file has; each takes about 40 bytes of memory.
const MAX_OBJECTS: usize = 500_000;
/// Revisions of a file: every saving of a change adds one.
const MAX_REVISIONS: usize = 1_000;
/// Values that are read, those of an object anew whenever it is asked for; each takes about 50 bytes of memory as long as its
/// object is looked at.
const MAX_VALUES: usize = 2_000_000;
/// Values that are looked at, be it many times the same one: fields inherit lists of their parents. None is copied for it.
const MAX_LOOKS: usize = 4_000_000;
/// Bytes that are looked at or unpacked, some of them more than once.
const MAX_BYTES: usize = 128 << 20;
/// Bytes of unpacked streams of objects, which are kept.
const MAX_UNPACKED_BYTES: usize = 48 << 20;
/// References that lead to references.
const MAX_HOPS: u32 = 8;

const NO_TABLE: PdfError = PdfError::Invalid("its table of objects cannot be read");

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Free,
    At(usize),
    Packed { stream: u32, index: usize },
}

/// Objects out of one stream.
struct Packed {
    bytes: Vec<u8>,
    /// Their numbers and where they begin.
    starts: Vec<(u32, usize)>,
}

/// A file and what was read of it.
pub(crate) struct PdfFile<'a> {
    bytes: &'a [u8],
    places: HashMap<u32, Place>,
    trailer: Dictionary,
    packed: RefCell<HashMap<u32, Rc<Packed>>>,
    unpacked_left: Cell<usize>,
    bytes_left: Cell<usize>,
    values_left: Cell<usize>,
    looks_left: Cell<usize>,
}

impl<'a> PdfFile<'a> {
    /// Reads the tables of a file.
    pub(crate) fn open(bytes: &'a [u8]) -> Result<Self, PdfError> {
        let head = &bytes[..bytes.len().min(EDGE_BYTES)];
        let from = memmem::find(head, b"%PDF-").ok_or(PdfError::Invalid("it does not begin with %PDF-"))?;
        // Places are counted from there.
        let bytes = &bytes[from..];
        let mut file = Self {
            bytes,
            places: HashMap::new(),
            trailer: Dictionary::default(),
            packed: RefCell::default(),
            unpacked_left: Cell::new(MAX_UNPACKED_BYTES),
            bytes_left: Cell::new(MAX_BYTES),
            values_left: Cell::new(MAX_VALUES),
            looks_left: Cell::new(MAX_LOOKS),
        };
        let tail_at = bytes.len().saturating_sub(EDGE_BYTES);
        let start = memmem::rfind(&bytes[tail_at..], b"startxref").ok_or(PdfError::Invalid("startxref is missing"))?;
        let first = Parser::new(bytes, tail_at + start + 9, 0).whole().ok_or(NO_TABLE)?;
        let (mut next, mut seen) = (vec![first], HashSet::new());
        while let Some(at) = next.pop() {
            if !seen.insert(at) {
                continue;
            }
            if seen.len() > MAX_REVISIONS {
                return Err(PdfError::TooMuch { what: "revisions" });
            }
            let trailer = file.table(at)?;
            // The newest revision comes first, and of an object the first place counts. Beside a table for old readers may
            // stand a stream for new ones.
            next.extend(trailer.number(b"Prev"));
            next.extend(trailer.number(b"XRefStm"));
            if seen.len() == 1 {
                file.trailer = trailer;
            }
        }
        if file.trailer.get(b"Encrypt").is_some() {
            return Err(PdfError::Encrypted);
        }
        Ok(file)
    }

    /// The document's own dictionary.
    pub(crate) fn catalog(&self) -> Result<Dictionary, PdfError> {
        Ok(self.dictionary(self.trailer.get(b"Root"))?.ok_or(PdfError::Invalid("it has no catalog"))?.into_owned())
    }

    /// What a value is in the end, where it may be a reference. What leads nowhere is null.
    pub(crate) fn resolve<'v>(&self, value: &'v Value) -> Result<Cow<'v, Value>, PdfError> {
        match value.reference() {
            Some(number) => self.referred(number).map(Cow::Owned),
            None => self.look().map(|()| Cow::Borrowed(value)),
        }
    }

    fn referred(&self, mut number: u32) -> Result<Value, PdfError> {
        for _ in 0..MAX_HOPS {
            self.look()?;
            match self.object(number)? {
                Value::Reference(other) => number = other,
                found => return Ok(found),
            }
        }
        Err(PdfError::Invalid("its references lead in a circle"))
    }

    fn look(&self) -> Result<(), PdfError> {
        let left = self.looks_left.get().checked_sub(1).ok_or(PdfError::TooMuch { what: "values to be looked at" })?;
        self.looks_left.set(left);
        Ok(())
    }

    /// As [`PdfFile::resolve`], of a value that is not needed any more.
    fn resolve_owned(&self, value: Value) -> Result<Value, PdfError> {
        match value.reference() {
            Some(number) => self.referred(number),
            None => self.look().map(|()| value),
        }
    }

    /// As [`PdfFile::resolve`], for what may be absent; null is.
    pub(crate) fn found<'v>(&self, value: Option<&'v Value>) -> Result<Option<Cow<'v, Value>>, PdfError> {
        let Some(value) = value else { return Ok(None) };
        Ok(Some(self.resolve(value)?).filter(|value| **value != Value::Null))
    }

    /// A dictionary, if the value is or leads to one.
    pub(crate) fn dictionary<'v>(&self, value: Option<&'v Value>) -> Result<Option<Cow<'v, Dictionary>>, PdfError> {
        Ok(match self.found(value)? {
            Some(Cow::Borrowed(Value::Dictionary(found))) => Some(Cow::Borrowed(found)),
            Some(Cow::Owned(Value::Dictionary(found))) => Some(Cow::Owned(found)),
            _ => None,
        })
    }

    /// An array, if the value is or leads to one.
    pub(crate) fn array<'v>(&self, value: Option<&'v Value>) -> Result<Option<Cow<'v, [Value]>>, PdfError> {
        Ok(match self.found(value)? {
            Some(Cow::Borrowed(Value::Array(found))) => Some(Cow::Borrowed(found.as_slice())),
            Some(Cow::Owned(Value::Array(found))) => Some(Cow::Owned(found)),
            _ => None,
        })
    }

    /// As [`PdfFile::dictionary`], of a value that is not needed any more.
    pub(crate) fn owned_dictionary(&self, value: Option<Value>) -> Result<Option<Dictionary>, PdfError> {
        let found = value.map(|value| self.resolve_owned(value)).transpose()?;
        Ok(if let Some(Value::Dictionary(found)) = found { Some(found) } else { None })
    }

    /// As [`PdfFile::array`], of a value that is not needed any more.
    pub(crate) fn owned_array(&self, value: Option<Value>) -> Result<Option<Vec<Value>>, PdfError> {
        let found = value.map(|value| self.resolve_owned(value)).transpose()?;
        Ok(if let Some(Value::Array(found)) = found { Some(found) } else { None })
    }

    fn object(&self, number: u32) -> Result<Value, PdfError> {
        match self.places.get(&number) {
            None | Some(Place::Free) => Ok(Value::Null),
            Some(Place::At(at)) => Ok(self.object_at(*at, Some(number))?.0),
            Some(Place::Packed { stream, index }) => {
                let packed = self.packed(*stream)?;
                let start = packed.starts.get(*index).filter(|(found, _)| *found == number);
                start.map_or(Ok(Value::Null), |(_, at)| Ok(self.parse(&packed.bytes, *at)?.0))
            }
        }
    }

    /// The object that begins there, and the place behind it.
    fn object_at(&self, at: usize, number: Option<u32>) -> Result<(Value, usize), PdfError> {
        let mut parser = Parser::new(self.bytes, at, 0);
        let found = parser.whole();
        let is_one = found.is_some() && parser.whole().is_some() && parser.word(b"obj");
        if !is_one || number.is_some_and(|number| found != usize::try_from(number).ok()) {
            return Err(PdfError::Invalid("an object is not where the table says"));
        }
        self.spend(parser.at.saturating_sub(at))?;
        self.parse(self.bytes, parser.at)
    }

    fn parse(&self, bytes: &[u8], at: usize) -> Result<(Value, usize), PdfError> {
        let mut parser = Parser::new(bytes, at, self.values_left.get());
        let value = parser.value()?;
        self.values_left.set(parser.values_left);
        self.spend(parser.at.saturating_sub(at))?;
        Ok((value, parser.at))
    }

    fn spend(&self, bytes: usize) -> Result<(), PdfError> {
        // What costs nothing else still takes its time.
        let left = self.bytes_left.get().checked_sub(bytes + 16).ok_or(PdfError::TooMuch { what: "bytes to be looked at" })?;
        self.bytes_left.set(left);
        Ok(())
    }

    /// The stream that begins there, unpacked.
    fn stream_at(&self, at: usize, number: Option<u32>, limit_bytes: usize) -> Result<(Dictionary, Vec<u8>), PdfError> {
        let broken = PdfError::Invalid("a stream is not where the table says");
        let (Value::Dictionary(dictionary), end) = self.object_at(at, number)? else { return Err(broken) };
        let mut parser = Parser::new(self.bytes, end, 0);
        let is_stream = parser.word(b"stream");
        // Many streams may share one long space.
        self.spend(parser.at.saturating_sub(end))?;
        if !is_stream {
            return Err(broken);
        }
        let start = match self.bytes.get(parser.at..) {
            Some([b'\r', b'\n', ..]) => parser.at + 2,
            Some([b'\r' | b'\n', ..]) => parser.at + 1,
            _ => parser.at,
        };
        let length = match dictionary.get(b"Length") {
            // It stands in the open: a packed one could lead back here.
            Some(Value::Reference(number)) => match self.places.get(number) {
                Some(Place::At(at)) => self.object_at(*at, Some(*number))?.0.whole(),
                _ => None,
            },
            Some(value) => value.whole(),
            None => None,
        };
        let named = length.and_then(|length| self.bytes.get(start..start.checked_add(length)?));
        let mut behind = Parser::new(self.bytes, start + named.map_or(0, <[u8]>::len), 0);
        let whole = named.filter(|_| behind.word(b"endstream"));
        let raw = if let Some(raw) = whole {
            self.spend(behind.at.saturating_sub(start + raw.len()))?;
            raw
        } else {
            let rest = self.bytes.get(start..).unwrap_or_default();
            let end = memmem::find(rest, b"endstream").ok_or(PdfError::Invalid("a stream does not end"))?;
            &rest[..end]
        };
        self.spend(raw.len())?;
        let plain = unpacked(&dictionary, raw, limit_bytes.min(self.bytes_left.get()))?;
        self.spend(plain.len())?;
        Ok((dictionary, plain))
    }

    fn packed(&self, stream: u32) -> Result<Rc<Packed>, PdfError> {
        if let Some(known) = self.packed.borrow().get(&stream) {
            return Ok(Rc::clone(known));
        }
        let broken = PdfError::Invalid("a stream of objects cannot be read");
        let Some(Place::At(at)) = self.places.get(&stream) else { return Err(broken) };
        let (dictionary, bytes) = self.stream_at(*at, Some(stream), self.unpacked_left.get())?;
        self.unpacked_left.set(self.unpacked_left.get().saturating_sub(bytes.len()));
        let (count, first) = dictionary.number(b"N").zip(dictionary.number(b"First")).ok_or(broken)?;
        let mut starts = Vec::new();
        let mut parser = Parser::new(&bytes, 0, 0);
        for _ in 0..count.min(MAX_OBJECTS) {
            let (Some(number), Some(offset)) = (parser.whole(), parser.whole()) else { break };
            starts.extend(u32::try_from(number).ok().zip(first.checked_add(offset)));
        }
        let packed = Rc::new(Packed { bytes, starts });
        self.packed.borrow_mut().insert(stream, Rc::clone(&packed));
        Ok(packed)
    }

    /// Reads the table that begins there; its trailer.
    fn table(&mut self, at: usize) -> Result<Dictionary, PdfError> {
        let mut parser = Parser::new(self.bytes, at, 0);
        if !parser.word(b"xref") {
            return self.table_stream(at);
        }
        while !parser.word(b"trailer") {
            let (first, count) = parser.whole().zip(parser.whole()).ok_or(NO_TABLE)?;
            for number in (first..).take(count) {
                let entry = parser.whole().zip(parser.whole()).ok_or(NO_TABLE)?;
                let place = if parser.word(b"n") {
                    Place::At(entry.0)
                } else if parser.word(b"f") {
                    Place::Free
                } else {
                    return Err(NO_TABLE);
                };
                self.keep(number, place)?;
            }
        }
        self.spend(parser.at.saturating_sub(at))?;
        match self.parse(self.bytes, parser.at)?.0 {
            Value::Dictionary(trailer) => Ok(trailer),
            _ => Err(NO_TABLE),
        }
    }

    fn table_stream(&mut self, at: usize) -> Result<Dictionary, PdfError> {
        let (dictionary, plain) = self.stream_at(at, None, MAX_UNPACKED_BYTES)?;
        let numbers = |key: &[u8]| match dictionary.get(key) {
            Some(Value::Array(items)) => items.iter().map(Value::whole).collect::<Option<Vec<usize>>>(),
            _ => None,
        };
        let widths = numbers(b"W").filter(|widths| widths.len() >= 3 && widths.iter().all(|width| *width <= 8)).ok_or(NO_TABLE)?;
        let width: usize = widths.iter().sum();
        if !dictionary.is_type(b"XRef") || width == 0 {
            return Err(NO_TABLE);
        }
        let sections = numbers(b"Index").unwrap_or_else(|| vec![0, dictionary.number(b"Size").unwrap_or(0)]);
        let mut rows = plain.chunks_exact(width);
        for section in sections.chunks_exact(2) {
            for (number, row) in (section[0]..).zip(rows.by_ref().take(section[1])) {
                let (kind, rest) = row.split_at(widths[0]);
                let (second, rest) = rest.split_at(widths[1]);
                let (second, third) = (big_endian(second), big_endian(&rest[..widths[2]]));
                let place = match if widths[0] == 0 { 1 } else { big_endian(kind) } {
                    1 => Place::At(second),
                    2 => u32::try_from(second).map_or(Place::Free, |stream| Place::Packed { stream, index: third }),
                    _ => Place::Free,
                };
                self.keep(number, place)?;
            }
        }
        Ok(dictionary)
    }

    /// Keeps where an object is, if no newer revision said so.
    fn keep(&mut self, number: usize, place: Place) -> Result<(), PdfError> {
        let full = self.places.len() >= MAX_OBJECTS;
        let number = u32::try_from(number).map_err(|_| NO_TABLE)?;
        if let Entry::Vacant(vacant) = self.places.entry(number) {
            if full {
                return Err(PdfError::TooMuch { what: "objects" });
            }
            vacant.insert(place);
        }
        Ok(())
    }
}

fn big_endian(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |number: usize, byte| number.wrapping_shl(8) | usize::from(*byte))
}
