//! Bytes at any place of a source, through one small window.

use std::io::{self, Read, Seek, SeekFrom};

use crate::media_type::MediaType;
use crate::refusal::{Refusal, broken};

/// The most that is read at once, and the most that may be asked for. The last piece of a file in which a ZIP archive's end can be, fits.
pub(crate) const WINDOW_BYTES: usize = 66 * 1024;
/// What is read when the walk jumps: chunk headers stand far apart in large files.
const JUMP_BYTES: usize = 4 * 1024;

/// A source with its length, and the part of it looked at last.
pub(crate) struct Bytes<R> {
    source: R,
    /// Length of the whole source.
    pub(crate) end: u64,
    window: Vec<u8>,
    window_at: u64,
}

impl<R: Read + Seek> Bytes<R> {
    pub(crate) fn new(mut source: R) -> io::Result<Self> {
        let end = source.seek(SeekFrom::End(0))?;
        Ok(Self { source, end, window: Vec::new(), window_at: 0 })
    }

    /// Up to `count` bytes from `at`, fewer at the end of the source only.
    pub(crate) fn up_to(&mut self, at: u64, count: usize) -> io::Result<&[u8]> {
        let left = usize::try_from(self.end.saturating_sub(at)).unwrap_or(usize::MAX);
        let count = count.min(WINDOW_BYTES).min(left);
        let held = at.checked_sub(self.window_at).and_then(|from| usize::try_from(from).ok());
        let range = |from: usize| from..from.saturating_add(count);
        if let Some(from) = held.filter(|from| range(*from).end <= self.window.len()) {
            return Ok(&self.window[range(from)]);
        }
        // Whoever reads on from where the window ends reads everything: then more at once is cheaper.
        let goes_on = held.is_some_and(|from| from <= self.window.len());
        let wanted = count.max(if goes_on { WINDOW_BYTES } else { JUMP_BYTES }).min(left);
        self.window.clear();
        self.window_at = at;
        self.source.seek(SeekFrom::Start(at))?;
        (&mut self.source).take(u64::try_from(wanted).unwrap_or(u64::MAX)).read_to_end(&mut self.window)?;
        // A source that shrinks while it is read gives less.
        let end = count.min(self.window.len());
        Ok(&self.window[..end])
    }

    /// Exactly `N` bytes from `at`.
    pub(crate) fn need<const N: usize>(&mut self, of: MediaType, at: u64) -> Result<[u8; N], Refusal> {
        self.up_to(at, N)?.try_into().map_err(|_| cut_off(of))
    }

    pub(crate) fn be32(&mut self, of: MediaType, at: u64) -> Result<u32, Refusal> {
        self.need(of, at).map(u32::from_be_bytes)
    }

    pub(crate) fn le24(&mut self, of: MediaType, at: u64) -> Result<u32, Refusal> {
        self.need(of, at).map(|[low, middle, high]| u32::from_le_bytes([low, middle, high, 0]))
    }

    /// All bytes, where a limit was looked at before.
    pub(crate) fn all(&mut self) -> io::Result<Vec<u8>> {
        let mut all = Vec::with_capacity(usize::try_from(self.end).unwrap_or(0).min(64 * 1024 * 1024));
        self.source.seek(SeekFrom::Start(0))?;
        (&mut self.source).take(self.end).read_to_end(&mut all)?;
        Ok(all)
    }

    /// Where `needle` stands first, from `at` on; reads on to the end of the source.
    pub(crate) fn find(&mut self, needle: u8, mut at: u64) -> io::Result<Option<u64>> {
        loop {
            let part = self.up_to(at, WINDOW_BYTES)?;
            if let Some(found) = memchr::memchr(needle, part) {
                return Ok(Some(at + length(found)));
            }
            if part.is_empty() {
                return Ok(None);
            }
            at += length(part.len());
        }
    }
}

/// A length in memory as one in a file.
pub(crate) fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

pub(crate) fn cut_off(of: MediaType) -> Refusal {
    broken(of, "it ends before its content does")
}
