//! Bytes on their way to a place, from memory, a file or a stream.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{BoxStream, Stream, StreamExt};

/// Bytes are read, hashed and written in pieces of at most this, so that no step holds up a thread for long.
pub(crate) const PIECE_BYTES: usize = 256 * 1024;

/// The bytes of a put. They are read once, in pieces.
pub struct BlobSource {
    from: Origin,
    size_bytes: Option<u64>,
}

enum Origin {
    Memory(Bytes),
    File { file: Arc<File>, at: u64 },
    Stream { stream: BoxStream<'static, io::Result<Bytes>>, rest: Bytes },
}

impl BlobSource {
    /// Bytes in memory.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { size_bytes: Some(bytes.len() as u64), from: Origin::Memory(bytes) }
    }

    /// A file from its first byte to its end, wherever its position is. It must not change meanwhile.
    pub fn file(file: File) -> Self {
        Self { from: Origin::File { file: Arc::new(file), at: 0 }, size_bytes: None }
    }

    /// A stream, with its length where that is known: one of another length is refused.
    pub fn stream(stream: impl Stream<Item = io::Result<Bytes>> + Send + 'static, size_bytes: Option<u64>) -> Self {
        Self { from: Origin::Stream { stream: stream.boxed(), rest: Bytes::new() }, size_bytes }
    }

    /// How many bytes are announced.
    pub(crate) fn size_bytes(&self) -> Option<u64> {
        self.size_bytes
    }

    /// The next bytes, at most [`PIECE_BYTES`] and never none; nothing at the end.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        match &mut self.from {
            Origin::Memory(bytes) => Ok(piece(bytes)),
            Origin::File { file, at } => {
                let (shared, from) = (file.clone(), *at);
                let read = tokio::task::spawn_blocking(move || read_piece(&shared, from, PIECE_BYTES));
                let bytes = read.await.map_err(io::Error::other)??;
                *at += bytes.len() as u64;
                Ok((!bytes.is_empty()).then_some(bytes))
            }
            Origin::Stream { stream, rest } => loop {
                if let Some(bytes) = piece(rest) {
                    return Ok(Some(bytes));
                }
                match stream.next().await {
                    Some(bytes) => *rest = bytes?,
                    None => return Ok(None),
                }
            },
        }
    }
}

fn piece(bytes: &mut Bytes) -> Option<Bytes> {
    let taken = bytes.split_to(bytes.len().min(PIECE_BYTES));
    (!taken.is_empty()).then_some(taken)
}

/// Up to `at_most` bytes of a file; none at its end.
pub(crate) fn read_piece(file: &File, from: u64, at_most: usize) -> io::Result<Bytes> {
    let mut buffer = BytesMut::zeroed(at_most);
    loop {
        match file.read_at(&mut buffer, from) {
            Ok(length) => {
                buffer.truncate(length);
                return Ok(buffer.freeze());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

impl fmt::Debug for BlobSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = match &self.from {
            Origin::Memory(_) => "memory",
            Origin::File { .. } => "file",
            Origin::Stream { .. } => "stream",
        };
        formatter.debug_struct("BlobSource").field("from", &from).field("size_bytes", &self.size_bytes).finish()
    }
}
