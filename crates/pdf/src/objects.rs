//! Finds the few objects that matter (catalog, page tree, information) without reading the rest of the file.
//!
//! Chromium writes PDF 1.4 with one classic cross-reference table at the end, so three look-ups reach the page
//! count whatever the size of the file is. Object streams and incremental updates are refused, not guessed at.

use std::ops::Range;

use crate::error::PdfError;

/// Bytes of one entry of a cross-reference table (PDF 1.7, 7.5.4).
const ENTRY_BYTES: usize = 20;
/// `startxref`, a number and `%%EOF` stand at the very end; readers look back this far.
const TAIL_BYTES: usize = 1024;

/// The cross-reference table and trailer of a file.
pub(crate) struct Layout {
    /// Where the word `xref` stands.
    pub(crate) xref_at: usize,
    entries_at: usize,
    entry_count: usize,
    trailer: Dictionary,
}

impl Layout {
    /// Reads the end of the file.
    pub(crate) fn read(pdf: &[u8]) -> Result<Self, PdfError> {
        if !pdf.starts_with(b"%PDF-") {
            return Err(PdfError::Unreadable("it does not begin with %PDF-"));
        }
        let tail_at = pdf.len().saturating_sub(TAIL_BYTES);
        let start = memchr::memmem::rfind(&pdf[tail_at..], b"startxref").ok_or(PdfError::Unreadable("startxref is missing"))?;
        let (xref_at, _) = number(pdf, skip_space(pdf, tail_at + start + 9)).ok_or(PdfError::Unreadable("startxref has no offset"))?;
        let table = || -> Option<Self> {
            let rest = pdf.get(xref_at..)?;
            let first_at = rest.starts_with(b"xref").then(|| skip_space(pdf, xref_at + 4))?;
            let (first, at) = number(pdf, first_at)?;
            let (entry_count, at) = number(pdf, skip_space(pdf, at))?;
            let entries_at = skip_space(pdf, at);
            let entries_end = entries_at.checked_add(entry_count.checked_mul(ENTRY_BYTES)?)?;
            let trailer_at = skip_space(pdf, entries_end);
            let whole = first == 0 && pdf.get(trailer_at..)?.starts_with(b"trailer");
            let trailer = Dictionary::read(pdf, skip_space(pdf, trailer_at + 7)).filter(|_| whole)?;
            // An earlier revision would have a table of its own, which is not looked at here.
            trailer.value(pdf, b"Prev").is_none().then_some(Self { xref_at, entries_at, entry_count, trailer })
        };
        table().ok_or(PdfError::Unreadable("it has no single classic cross-reference table"))
    }

    /// Where the object stands that the trailer names under `key`, and its number.
    pub(crate) fn trailer_object(&self, pdf: &[u8], key: &[u8]) -> Option<Object> {
        self.object(pdf, self.trailer.reference(pdf, key)?)
    }

    /// Where object `number` stands.
    pub(crate) fn object(&self, pdf: &[u8], number: usize) -> Option<Object> {
        let entry = pdf.get(self.entry(number)?)?;
        let (offset, _) = self::number(entry, 0)?;
        let (found, at) = self::number(pdf, offset)?;
        let (_generation, at) = self::number(pdf, skip_space(pdf, at))?;
        let at = skip_space(pdf, at);
        let is_object = entry.get(17) == Some(&b'n') && found == number && pdf.get(at..)?.starts_with(b"obj");
        let dictionary = Dictionary::read(pdf, skip_space(pdf, at + 3)).filter(|_| is_object)?;
        Some(Object { number, at: offset, dictionary })
    }

    /// The bytes of the table's entry for object `number`.
    pub(crate) fn entry(&self, number: usize) -> Option<Range<usize>> {
        let at = (number < self.entry_count).then(|| self.entries_at + number * ENTRY_BYTES)?;
        Some(at..at + ENTRY_BYTES)
    }
}

/// An object whose value is a dictionary.
pub(crate) struct Object {
    pub(crate) number: usize,
    /// Where `n 0 obj` begins.
    pub(crate) at: usize,
    pub(crate) dictionary: Dictionary,
}

/// The members of a dictionary as places in the file.
pub(crate) struct Dictionary {
    /// Names without their slash, and values.
    pub(crate) members: Vec<(Range<usize>, Range<usize>)>,
    /// Just behind `>>`.
    pub(crate) end: usize,
}

impl Dictionary {
    fn read(pdf: &[u8], at: usize) -> Option<Self> {
        let mut at = pdf.get(at..)?.starts_with(b"<<").then_some(at + 2)?;
        let mut members = Vec::new();
        loop {
            at = skip_space(pdf, at);
            if pdf.get(at..)?.starts_with(b">>") {
                return Some(Self { members, end: at + 2 });
            }
            let name_end = (pdf.get(at) == Some(&b'/')).then(|| skip_regular(pdf, at + 1))?;
            let value_at = skip_space(pdf, name_end);
            let value_end = skip_value(pdf, value_at)?;
            members.push((at + 1..name_end, value_at..value_end));
            at = value_end;
        }
    }

    /// The place of the value of `key`.
    pub(crate) fn value(&self, pdf: &[u8], key: &[u8]) -> Option<Range<usize>> {
        self.members.iter().find(|(name, _)| pdf.get(name.clone()) == Some(key)).map(|(_, value)| value.clone())
    }

    /// The object number of a value such as `9 0 R`.
    pub(crate) fn reference(&self, pdf: &[u8], key: &[u8]) -> Option<usize> {
        let value = self.value(pdf, key)?;
        let is_reference = pdf.get(value.clone())?.ends_with(b"R");
        number(pdf, value.start).filter(|_| is_reference).map(|(number, _)| number)
    }

    /// The value of a plain number.
    pub(crate) fn number(&self, pdf: &[u8], key: &[u8]) -> Option<usize> {
        let value = self.value(pdf, key)?;
        number(pdf, value.start).filter(|(_, end)| *end == value.end).map(|(number, _)| number)
    }
}

/// A run of at most ten digits, and the place behind it.
fn number(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let digits = bytes.get(at..)?.iter().take(11).take_while(|byte| byte.is_ascii_digit()).count();
    let text = std::str::from_utf8(&bytes[at..at + digits]).ok().filter(|_| digits <= 10)?;
    Some((text.parse().ok()?, at + digits))
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b'\0' | b'\t' | b'\n' | b'\x0c' | b'\r' | b' ')
}

fn skip_space(bytes: &[u8], at: usize) -> usize {
    at + bytes.get(at..).map_or(0, |rest| rest.iter().take_while(|byte| is_space(**byte)).count())
}

fn skip_regular(bytes: &[u8], at: usize) -> usize {
    let ends = |byte: u8| is_space(byte) || matches!(byte, b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'/' | b'%');
    at + bytes.get(at..).map_or(0, |rest| rest.iter().take_while(|byte| !ends(**byte)).count())
}

/// The end of the value that begins at `at`; nesting is counted, not recursed into.
fn skip_value(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    loop {
        let rest = bytes.get(at..)?;
        match rest.first()? {
            b'(' => at = skip_literal_string(bytes, at)?,
            b'<' if rest.starts_with(b"<<") => (depth, at) = (depth + 1, at + 2),
            b'>' if rest.starts_with(b">>") => (depth, at) = (depth.checked_sub(1)?, at + 2),
            b'<' => at += memchr::memchr(b'>', rest)? + 1,
            b'[' => (depth, at) = (depth + 1, at + 1),
            b']' => (depth, at) = (depth.checked_sub(1)?, at + 1),
            b'/' => at = skip_regular(bytes, at + 1),
            _ => {
                let end = skip_regular(bytes, at);
                at = if depth == 0 { skip_reference(bytes, at).unwrap_or(end) } else { end };
                if at == end && rest.len() == bytes.len() - end {
                    return None;
                }
            }
        }
        if depth == 0 {
            return Some(at);
        }
        at = skip_space(bytes, at);
    }
}

fn skip_reference(bytes: &[u8], at: usize) -> Option<usize> {
    let (_, at) = number(bytes, at)?;
    let (_, at) = number(bytes, skip_space(bytes, at))?;
    let at = skip_space(bytes, at);
    (bytes.get(at) == Some(&b'R')).then_some(at + 1)
}

/// Parentheses nest inside a literal string unless a backslash stands before them.
fn skip_literal_string(bytes: &[u8], at: usize) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, at);
    loop {
        match bytes.get(at)? {
            b'\\' => at += 1,
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}
