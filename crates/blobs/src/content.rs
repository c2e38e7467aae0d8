//! Stored bytes on their way out.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_util::stream::{BoxStream, Stream, StreamExt};
use sha2::{Digest, Sha256};
use tokio::sync::OwnedSemaphorePermit;

use crate::error::BlobError;
use crate::key::BlobKey;

/// Which bytes to get: from `first` (counted from 0) up to and with `last`, or to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// The first byte. One behind the end is [`BlobError::OutOfRange`].
    pub first: u64,
    /// The last byte; one behind the end means the end.
    pub last: Option<u64>,
}

impl ByteRange {
    /// The first byte and how many, in a blob of this size.
    pub(crate) fn within(self, size_bytes: u64) -> Result<(u64, u64), BlobError> {
        let last = self.last.unwrap_or(u64::MAX).min(size_bytes.saturating_sub(1));
        if self.first >= size_bytes || last < self.first {
            return Err(BlobError::OutOfRange { size_bytes });
        }
        Ok((self.first, last - self.first + 1))
    }
}

/// Stored bytes as a stream of pieces, each within the time limit between pieces. When all bytes of a blob were asked for,
/// the last piece comes only if they are those of the key; otherwise the stream ends with [`BlobError::Corrupt`].
pub struct BlobContent {
    size_bytes: u64,
    first: u64,
    length_bytes: u64,
    given_bytes: u64,
    pieces: BoxStream<'static, Result<Bytes, BlobError>>,
    check: Option<Sha256>,
    key: BlobKey,
    ended: bool,
    _open: OwnedSemaphorePermit,
}

/// What a backend found.
pub(crate) struct Found {
    /// Of the whole blob.
    pub(crate) size_bytes: u64,
    pub(crate) first: u64,
    pub(crate) length_bytes: u64,
    pub(crate) pieces: BoxStream<'static, Result<Bytes, BlobError>>,
}

impl BlobContent {
    pub(crate) fn new(key: BlobKey, found: Found, open: OwnedSemaphorePermit) -> Self {
        let Found { size_bytes, first, length_bytes, pieces } = found;
        let check = (length_bytes == size_bytes).then(Sha256::new);
        Self { size_bytes, first, length_bytes, given_bytes: 0, pieces, check, key, ended: false, _open: open }
    }

    /// How many bytes the blob has, whatever was asked for.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Where the stream begins in it, counted from 0.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// How many bytes the stream gives.
    pub fn length_bytes(&self) -> u64 {
        self.length_bytes
    }

    /// All of them at once, if they are not more than `limit_bytes`.
    pub async fn collect(mut self, limit_bytes: u64) -> Result<Bytes, BlobError> {
        if self.length_bytes > limit_bytes {
            return Err(BlobError::TooLarge { limit_bytes });
        }
        let mut all = BytesMut::with_capacity(usize::try_from(self.length_bytes).unwrap_or(0));
        while let Some(piece) = self.next().await {
            all.extend_from_slice(&piece?);
        }
        Ok(all.freeze())
    }

    /// Counts and hashes a piece; the last one only passes when everything fits.
    fn passed(&mut self, piece: Bytes) -> Result<Bytes, BlobError> {
        self.given_bytes += piece.len() as u64;
        if let Some(check) = &mut self.check {
            check.update(&piece);
        }
        if self.given_bytes < self.length_bytes {
            return Ok(piece);
        }
        self.ended = true;
        self.whole()?;
        Ok(piece)
    }

    fn whole(&mut self) -> Result<(), BlobError> {
        let corrupt = |key: &BlobKey, reason| Err(BlobError::Corrupt { key: key.to_string(), reason });
        if self.given_bytes != self.length_bytes {
            return corrupt(&self.key, format!("{} of {} bytes came", self.given_bytes, self.length_bytes));
        }
        let found = self.check.take().map(|check| <[u8; 32]>::from(check.finalize()));
        match found {
            Some(found) if found != *self.key.sha256() => corrupt(&self.key, format!("their SHA-256 is {}", hex::encode(found))),
            _ => Ok(()),
        }
    }
}

impl Stream for BlobContent {
    type Item = Result<Bytes, BlobError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        match self.pieces.poll_next_unpin(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(piece))) => Poll::Ready(Some(self.passed(piece))),
            Poll::Ready(Some(Err(error))) => {
                self.ended = true;
                Poll::Ready(Some(Err(error)))
            }
            Poll::Ready(None) => {
                self.ended = true;
                Poll::Ready(self.whole().err().map(Err))
            }
        }
    }
}

impl fmt::Debug for BlobContent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, given) = (&self.key, self.given_bytes);
        formatter.debug_struct("BlobContent").field("key", key).field("given_bytes", &given).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_at_the_end_and_refused_behind_it() {
        let within = |first, last, size| ByteRange { first, last }.within(size);
        assert_eq!(within(0, None, 10), Ok((0, 10)));
        assert_eq!(within(3, Some(5), 10), Ok((3, 3)));
        assert_eq!(within(9, Some(99), 10), Ok((9, 1)));
        assert_eq!(within(10, None, 10), Err(BlobError::OutOfRange { size_bytes: 10 }));
        assert_eq!(within(5, Some(4), 10), Err(BlobError::OutOfRange { size_bytes: 10 }));
        assert_eq!(within(0, None, 0), Err(BlobError::OutOfRange { size_bytes: 0 }));
    }
}
