//! PDF: its first and its last bytes.

use std::io::{Read, Seek};

use crate::bytes::{Bytes, length};
use crate::media_type::MediaType::Pdf;
use crate::refusal::{Refusal, broken, foreign};

/// Readers look for the end of the file in its last 1,024 bytes.
const TAIL_BYTES: usize = 1024;

/// The file has to begin with its header, which the type was told by, and to end with its end. What scripts and forms are inside is
/// for whoever opens it: it is never shown as a page of ours.
pub(crate) fn walk<R: Read + Seek>(bytes: &mut Bytes<R>) -> Result<(), Refusal> {
    let [major, dot, minor] = bytes.need::<3>(Pdf, 5)?;
    if !matches!((major, dot), (b'1' | b'2', b'.')) || !minor.is_ascii_digit() {
        return Err(broken(Pdf, "its version is none that PDF has"));
    }
    let size_bytes = bytes.end;
    let tail = bytes.up_to(size_bytes.saturating_sub(length(TAIL_BYTES)), TAIL_BYTES)?;
    let Some(end) = memchr::memmem::rfind(tail, b"%%EOF") else {
        return Err(broken(Pdf, "its end is not there: it was cut off, or something else stands behind it"));
    };
    let behind = &tail[end + 5..];
    if !behind.iter().all(|byte| byte.is_ascii_whitespace() || *byte == 0) {
        return Err(foreign(Pdf, format!("{} bytes stand behind its end", behind.len())));
    }
    let number = memchr::memmem::rfind(&tail[..end], b"startxref").map(|at| tail[at + 9..end].trim_ascii());
    let place = number.and_then(|digits| std::str::from_utf8(digits).ok()).and_then(|digits| digits.parse::<u64>().ok());
    match place {
        Some(place) if place < size_bytes => Ok(()),
        _ => Err(broken(Pdf, "it does not say where its list of objects is")),
    }
}
