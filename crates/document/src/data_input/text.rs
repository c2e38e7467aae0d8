//! Bytes as text.

use crate::data_input::meter::Meter;
use crate::error::DocumentError;

/// The text of a file in UTF-8, without the mark at its beginning. Anything else is refused: guessing would print wrong letters.
pub fn utf8<'b>(bytes: &'b [u8], meter: &Meter<'_>) -> Result<&'b str, DocumentError> {
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        return Err(meter.invalid("is UTF-16; save it as UTF-8 (in a spreadsheet \"CSV UTF-8\")"));
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = memchr::memchr_iter(b'\n', before).count() + 1;
        let byte = bytes.get(error.valid_up_to()).copied().unwrap_or(0);
        meter.invalid(format!("is no UTF-8: line {line} has the byte 0x{byte:02X}; save it as UTF-8 (in a spreadsheet \"CSV UTF-8\")"))
    })?;
    match memchr::memchr(0, text.as_bytes()) {
        None => Ok(text),
        Some(at) => {
            let line = memchr::memchr_iter(b'\n', &text.as_bytes()[..at]).count() + 1;
            Err(meter.invalid(format!("is no text: line {line} has a zero byte; a workbook is sent with \"format\": \"xlsx\"")))
        }
    }
}
