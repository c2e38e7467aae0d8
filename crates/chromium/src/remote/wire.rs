//! What replicas and render workers say to each other: a head in JSON and raw bytes behind it, both of a stated length.
//!
//! A frame is two lengths of four bytes (big-endian), the head, and the body: HTML one way, a PDF the other.

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::{ChromiumError, Lane, Phase, PoolStatus, PrintOptions, Priority, Scripts};

/// Changes with everything that an older side would misunderstand; the two sides of a connection need the same.
pub(crate) const PROTOCOL: u32 = 1;
/// The largest head: options, a tenant's name, the reason of a refusal.
pub(crate) const HEAD_BYTES: usize = 64 * 1024;
/// Nobody is believed about a length before the bytes have come.
const RESERVED_BYTES: usize = 1024 * 1024;
/// A body up to this size goes out with its head in one piece.
const ONE_PIECE_BYTES: usize = 16 * 1024;

/// Why a connection cannot be used any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireFault {
    /// The system's word.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The other side ended the connection.
    #[error("the other side ended the connection")]
    Ended,
    /// It took longer than it may.
    #[error("nothing came within {} ms", .0.as_millis())]
    Late(Duration),
    /// A part of a frame is longer than is accepted.
    #[error("a {part} of {bytes} bytes, and at most {limit} are accepted")]
    TooLong {
        /// `head` or `body`.
        part: &'static str,
        /// As announced.
        bytes: usize,
        /// The most.
        limit: usize,
    },
    /// The head is not what is expected at this point.
    #[error("not understood: {0}")]
    Malformed(String),
}

/// What a replica asks of a worker.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "camelCase")]
pub(crate) enum Ask<'a> {
    /// How it stands.
    Status,
    /// Which characters its fonts draw.
    Fonts,
    /// To print the body, which is HTML.
    #[serde(rename_all = "camelCase")]
    Print {
        /// Whose document it is.
        tenant: Cow<'a, str>,
        /// Who goes first.
        priority: Priority,
        /// Whether its scripts run.
        scripts: Scripts,
        /// How it is put on paper.
        print: Cow<'a, PrintOptions>,
        /// The time that is left, in milliseconds; clocks are not compared.
        left_ms: u64,
    },
}

/// What a worker says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "camelCase")]
pub(crate) enum Say {
    /// How it stands.
    Status(WorkerStatus),
    /// The body is the coverage of its fonts; empty where they cannot be listed.
    Fonts,
    /// The document has arrived and is in the worker's hands: from here on a lost connection may be the document's fault.
    Begun,
    /// The body is the PDF.
    #[serde(rename_all = "camelCase")]
    Printed {
        /// The way it took.
        lane: Lane,
        /// Microseconds in the queue.
        queue_us: u64,
        /// Microseconds of loading.
        load_us: u64,
        /// Microseconds of printing.
        print_us: u64,
        /// One, or two when a crash was survived.
        attempts: u32,
        /// Requests of the document that were refused.
        blocked_requests: u32,
    },
    /// There is no PDF.
    Failed(Failed),
}

/// How a worker stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WorkerStatus {
    /// Which process it is: one may be reached at several addresses.
    pub(crate) instance: u64,
    /// Its pool.
    pub(crate) pool: PoolStatus,
    /// It is about to end and prints nothing more.
    pub(crate) draining: bool,
    /// When a place in its queue is likely.
    pub(crate) retry_after_ms: u64,
}

/// [`ChromiumError`] as far as printing meets it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "error", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum Failed {
    Saturated { queue_depth: usize, retry_after_ms: u64 },
    DeadlineExceeded { phase: Phase },
    Crashed { attempts: u32 },
    PageTooLarge { limit_bytes: usize, size_bytes: usize },
    OutputTooLarge { limit_bytes: usize },
    Closed,
    Refused { reason: String },
}

impl From<ChromiumError> for Failed {
    fn from(error: ChromiumError) -> Self {
        match error {
            ChromiumError::Saturated { queue_depth, retry_after } => Self::Saturated { queue_depth, retry_after_ms: whole_ms(retry_after) },
            ChromiumError::DeadlineExceeded { phase } => Self::DeadlineExceeded { phase },
            ChromiumError::Crashed { attempts } => Self::Crashed { attempts },
            ChromiumError::PageTooLarge { limit_bytes, size_bytes } => Self::PageTooLarge { limit_bytes, size_bytes },
            ChromiumError::OutputTooLarge { limit_bytes } => Self::OutputTooLarge { limit_bytes },
            // As long as a head may be, in any alphabet.
            ChromiumError::Refused { reason } => Self::Refused { reason: reason.chars().take(HEAD_BYTES / 16).collect() },
            ChromiumError::Closed
            | ChromiumError::NoWorker { .. }
            | ChromiumError::NotFound { .. }
            | ChromiumError::Launch { .. }
            | ChromiumError::SandboxUnavailable { .. } => Self::Closed,
        }
    }
}

impl From<Failed> for ChromiumError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Saturated { queue_depth, retry_after_ms } => {
                Self::Saturated { queue_depth, retry_after: Duration::from_millis(retry_after_ms.clamp(1_000, 60_000)) }
            }
            Failed::DeadlineExceeded { phase } => Self::DeadlineExceeded { phase },
            Failed::Crashed { attempts } => Self::Crashed { attempts },
            Failed::PageTooLarge { limit_bytes, size_bytes } => Self::PageTooLarge { limit_bytes, size_bytes },
            Failed::OutputTooLarge { limit_bytes } => Self::OutputTooLarge { limit_bytes },
            Failed::Closed => Self::Closed,
            Failed::Refused { reason } => Self::Refused { reason },
        }
    }
}

/// Milliseconds of a duration.
pub(crate) fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Writes one frame.
pub(crate) async fn write<W: AsyncWrite + Unpin>(to: &mut W, head: &(impl Serialize + Sync), body: &[u8]) -> Result<(), WireFault> {
    let head = serde_json::to_vec(head).map_err(|error| WireFault::Malformed(error.to_string()))?;
    let (head_length, body_length) = (length(head.len(), "head", HEAD_BYTES)?, length(body.len(), "body", u32::MAX as usize)?);
    let mut first = Vec::with_capacity(8 + head.len() + if body.len() <= ONE_PIECE_BYTES { body.len() } else { 0 });
    first.extend_from_slice(&head_length.to_be_bytes());
    first.extend_from_slice(&body_length.to_be_bytes());
    first.extend_from_slice(&head);
    if body.len() <= ONE_PIECE_BYTES {
        first.extend_from_slice(body);
        to.write_all(&first).await?;
    } else {
        to.write_all(&first).await?;
        to.write_all(body).await?;
    }
    Ok(to.flush().await?)
}

fn length(bytes: usize, part: &'static str, limit: usize) -> Result<u32, WireFault> {
    u32::try_from(bytes).ok().filter(|_| bytes <= limit).ok_or(WireFault::TooLong { part, bytes, limit })
}

/// Reads the head of the next frame and how many bytes stand behind it, at most `body_limit`; none when the other side ended the
/// connection between two frames. Lengths are checked before anything is kept for them.
pub(crate) async fn read_head<R: AsyncRead + Unpin, H: DeserializeOwned>(
    from: &mut R,
    head_limit: usize,
    body_limit: usize,
) -> Result<Option<(H, usize)>, WireFault> {
    let mut lengths = [0; 8];
    let mut read = 0;
    while read < lengths.len() {
        match from.read(&mut lengths[read..]).await? {
            0 if read == 0 => return Ok(None),
            0 => return Err(WireFault::Ended),
            more => read += more,
        }
    }
    let ([head_bytes, body_bytes], _) = lengths.as_chunks::<4>() else { return Err(WireFault::Ended) };
    let [head_bytes, body_bytes] = [head_bytes, body_bytes].map(|length| u32::from_be_bytes(*length) as usize);
    for (part, bytes, limit) in [("head", head_bytes, head_limit), ("body", body_bytes, body_limit)] {
        if bytes > limit {
            return Err(WireFault::TooLong { part, bytes, limit });
        }
    }
    let head = read_body(from, head_bytes).await?;
    let head = serde_json::from_slice(&head).map_err(|error| WireFault::Malformed(error.to_string()))?;
    Ok(Some((head, body_bytes)))
}

/// Reads what stands behind a head.
pub(crate) async fn read_body<R: AsyncRead + Unpin>(from: &mut R, bytes: usize) -> Result<Vec<u8>, WireFault> {
    let mut body = Vec::with_capacity(bytes.min(RESERVED_BYTES));
    from.take(bytes as u64).read_to_end(&mut body).await?;
    if body.len() == bytes { Ok(body) } else { Err(WireFault::Ended) }
}

/// Reads what stands behind a head and keeps none of it.
pub(crate) async fn discard_body<R: AsyncRead + Unpin>(from: &mut R, bytes: usize) -> Result<(), WireFault> {
    let read = tokio::io::copy(&mut from.take(bytes as u64), &mut tokio::io::sink()).await?;
    if read == bytes as u64 { Ok(()) } else { Err(WireFault::Ended) }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(bytes: &[u8], body_limit: usize) -> Result<Option<(Say, usize)>, WireFault> {
        read_head(&mut &bytes[..], HEAD_BYTES, body_limit).await
    }

    #[tokio::test]
    async fn a_frame_is_read_as_it_was_written_whatever_its_size() {
        for size in [0, 1, ONE_PIECE_BYTES, ONE_PIECE_BYTES + 1, 3 * RESERVED_BYTES] {
            let mut bytes = Vec::new();
            let body = vec![7; size];
            write(&mut bytes, &Say::Failed(Failed::Crashed { attempts: 2 }), &body).await.unwrap();
            let mut rest = &bytes[..];
            let (head, length): (Say, usize) = read_head(&mut rest, HEAD_BYTES, size).await.unwrap().unwrap();
            assert!(matches!(head, Say::Failed(Failed::Crashed { attempts: 2 })), "{head:?}");
            assert_eq!(read_body(&mut rest, length).await.unwrap(), body);
            assert!(rest.is_empty());
        }
    }

    #[tokio::test]
    async fn lengths_beyond_what_is_accepted_are_refused_before_anything_is_read() {
        let found = read(&[0xFF; 8], 10).await.unwrap_err();
        assert!(matches!(found, WireFault::TooLong { part: "head", limit: HEAD_BYTES, .. }), "{found}");
        let found = read(&[0, 0, 0, 2, 0, 0, 0, 11, b'{', b'}'], 10).await.unwrap_err();
        assert!(matches!(found, WireFault::TooLong { part: "body", bytes: 11, limit: 10 }), "{found}");
    }

    #[tokio::test]
    async fn a_connection_that_ends_in_the_middle_of_a_frame_is_no_end_between_two() {
        assert!(read(&[], 10).await.unwrap().is_none());
        for cut in [&[0, 0, 0][..], &[0, 0, 0, 9, 0, 0, 0, 0, b'{']] {
            assert!(matches!(read(cut, 10).await, Err(WireFault::Ended)), "{cut:?}");
        }
        assert!(matches!(read_body(&mut &b"abc"[..], 4).await, Err(WireFault::Ended)));
        assert!(matches!(discard_body(&mut &b"abc"[..], 4).await, Err(WireFault::Ended)));
    }

    #[test]
    fn every_error_of_printing_arrives_as_it_was_sent() {
        for error in [
            ChromiumError::Saturated { queue_depth: 3, retry_after: Duration::from_secs(4) },
            ChromiumError::DeadlineExceeded { phase: Phase::Print },
            ChromiumError::Crashed { attempts: 2 },
            ChromiumError::PageTooLarge { limit_bytes: 1, size_bytes: 2 },
            ChromiumError::OutputTooLarge { limit_bytes: 5 },
            ChromiumError::Closed,
            ChromiumError::Refused { reason: "it \"navigates\"".to_owned() },
        ] {
            let said = serde_json::to_string(&Say::Failed(error.clone().into())).unwrap();
            let Say::Failed(failed) = serde_json::from_str(&said).unwrap() else { panic!("{said}") };
            assert_eq!(ChromiumError::from(failed), error);
        }
    }
}
