//! Bytes as text.

use crate::data_input::meter::Meter;
use crate::error::DocumentError;

/// The text of a file in UTF-8, without the mark at its beginning. Anything else is refused: guessing would print wrong letters.
pub fn utf8<'b>(bytes: &'b [u8], meter: &Meter<'_>) -> Result<&'b str, DocumentError> {
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        return Err(meter.invalid("is UTF-16; save it as UTF-8"));
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let (before, behind) = bytes.split_at(error.valid_up_to());
        let (line, byte) = (line_at(before), behind.first().copied().unwrap_or(0));
        meter.invalid(format!("is no UTF-8: line {line} has the byte 0x{byte:02X}; save it as UTF-8"))
    })?;
    match memchr::memchr(0, text.as_bytes()) {
        None => Ok(text),
        Some(at) => Err(meter.invalid(format!("is no text: line {} has a zero byte", line_at(&text.as_bytes()[..at])))),
    }
}

/// The line, counted from 1, that comes after so much of a file. Lines end with LF, with CR LF, or with CR where there is no LF.
pub fn line_at(before: &[u8]) -> usize {
    let feeds = memchr::memchr_iter(b'\n', before).count();
    if feeds > 0 {
        return feeds + 1;
    }
    memchr::memchr_iter(b'\r', before).count() + 1
}
