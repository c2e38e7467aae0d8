//! Content of another kind inside a valid file: what a second reader would find there.

use std::io::{Read, Seek};

use crate::bytes::{Bytes, WINDOW_BYTES, length};
use crate::media_type::MediaType;
use crate::refusal::{Refusal, at_most, foreign};

/// What no honest metadata contains and a browser or an interpreter would act on. In small letters.
const ACTIVE: [&[u8]; 9] = [b"<script", b"<?php", b"<html", b"<body", b"<iframe", b"<svg", b"<!doctype html", b"javascript:", b"%pdf-"];
/// The end record of a ZIP archive has 22 bytes and a comment of at most 65,535.
const ZIP_END_BYTES: u64 = 22 + 65_535;

/// Metadata of one picture, looked through as the walk meets it.
pub(crate) struct Metadata {
    of: MediaType,
    size_bytes: u64,
    max_bytes: u64,
}

impl Metadata {
    pub(crate) fn new(of: MediaType, max_bytes: u64) -> Self {
        Self { of, size_bytes: 0, max_bytes }
    }

    /// Looks through the bytes from `at` to `end`.
    pub(crate) fn check<R: Read + Seek>(&mut self, bytes: &mut Bytes<R>, mut at: u64, end: u64) -> Result<(), Refusal> {
        self.size_bytes = self.size_bytes.saturating_add(end.saturating_sub(at));
        at_most(self.of, "bytes of metadata", self.size_bytes, self.max_bytes)?;
        // A word that stands across two parts is in the overlap.
        let overlap = length(ACTIVE.iter().map(|word| word.len()).max().unwrap_or(1) - 1);
        while at < end {
            let part = bytes.up_to(at, usize::try_from(end - at).unwrap_or(usize::MAX).min(WINDOW_BYTES))?;
            let read = length(part.len());
            self.check_part(part)?;
            if at + read >= end || read <= overlap {
                break;
            }
            at += read - overlap;
        }
        Ok(())
    }

    /// Looks through a piece that is in memory already, and was counted.
    pub(crate) fn check_part(&self, part: &[u8]) -> Result<(), Refusal> {
        for start in memchr::memchr3_iter(b'<', b'%', b':', part) {
            // "javascript:" is found by its last character: letters are everywhere.
            let stands_here = |word: &[u8]| {
                let from = if word.ends_with(b":") { (start + 1).checked_sub(word.len()) } else { Some(start) };
                from.and_then(|from| part.get(from..from + word.len())).is_some_and(|found| found.eq_ignore_ascii_case(word))
            };
            if let Some(word) = ACTIVE.into_iter().find(|word| stands_here(word)) {
                return Err(foreign(self.of, format!("its metadata contains \"{}\"", String::from_utf8_lossy(word))));
            }
        }
        Ok(())
    }
}

/// Refuses a file that an unpacker would take for a ZIP archive: those are read from their end.
pub(crate) fn check_no_zip<R: Read + Seek>(bytes: &mut Bytes<R>, of: MediaType) -> Result<(), Refusal> {
    let start = bytes.end.saturating_sub(ZIP_END_BYTES);
    let tail = bytes.up_to(start, WINDOW_BYTES)?;
    let list_size = |at: usize| tail.get(at + 12..at + 16)?.try_into().ok().map(u32::from_le_bytes);
    let ends: Vec<(u64, u64)> = memchr::memmem::find_iter(tail, b"PK\x05\x06")
        .filter_map(|at| list_size(at).map(|size| (start + length(at), u64::from(size))))
        .collect();
    for (at, list_size) in ends {
        // The list of an archive's files stands right before its end record.
        let list = at.checked_sub(list_size).map_or(Ok(&[][..]), |list| bytes.up_to(list, 4))?;
        if list.starts_with(b"PK\x01\x02") {
            return Err(foreign(of, "there is a ZIP archive in it"));
        }
    }
    Ok(())
}
