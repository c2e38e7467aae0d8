//! A stream whose other end must go on: send the head that it has begun, and take the answer that it asked for.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use crate::error::raw_answer;
use crate::head_scan::HeadScan;
use crate::places::{Activity, Phase};

/// How long a client that was refused may go on sending before the connection ends: what it has not taken by then is lost.
const LINGER: Duration = Duration::from_secs(1);
/// How much of that is read.
const LINGER_BYTES: usize = 1024 * 1024;

/// How long a client may take for what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// The head of a request, from its first byte to its last.
    pub(crate) head: Duration,
    /// No byte of an answer.
    pub(crate) write: Duration,
}

/// A connection with a client, ended when the client does not go on.
pub(crate) struct Progress {
    stream: TcpStream,
    patience: Patience,
    activity: Arc<Activity>,
    reading: Option<Pin<Box<Sleep>>>,
    writing: Option<Pin<Box<Sleep>>>,
    scan: HeadScan,
    head_until: Option<Instant>,
    refusal: Option<Refusal>,
    lingering: Option<Pin<Box<Sleep>>>,
    lingered: usize,
}

/// Our words in place of an answer without any.
struct Refusal {
    bytes: Vec<u8>,
    sent: usize,
}

impl Progress {
    pub(crate) fn new(stream: TcpStream, patience: Patience, activity: Arc<Activity>) -> Self {
        Self {
            stream,
            patience,
            activity,
            reading: None,
            writing: None,
            scan: HeadScan::default(),
            head_until: None,
            refusal: None,
            lingering: None,
            lingered: 0,
        }
    }

    fn bounded<T>(&mut self, context: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            if self.writing.take().is_some() {
                self.activity.writing_ends();
            }
            return outcome;
        }
        self.activity.writing_waits();
        let patience = self.patience.write;
        let waiting = self.writing.get_or_insert_with(|| Box::pin(sleep(patience)));
        if waiting.deadline() <= Instant::now() || waiting.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing of its answer")));
        }
        Poll::Pending
    }

    /// These bytes have come; false where they come too late.
    fn arrived(&mut self, bytes: &[u8]) -> bool {
        match self.activity.phase() {
            Phase::Busy => return true,
            Phase::Evicted => return false,
            Phase::Idle => {
                if !self.activity.head_begins() {
                    return false;
                }
                self.scan = HeadScan::default();
                self.head_until = Some(Instant::now() + self.patience.head);
            }
            Phase::Head => {}
        }
        self.activity.scanned(self.scan.read(bytes));
        true
    }

    /// Nothing has come: an end where a head has been on its way for too long.
    fn waited(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.activity.phase() {
            Phase::Busy | Phase::Idle => {
                self.reading = None;
                return Poll::Pending;
            }
            Phase::Evicted => return Poll::Ready(Ok(())),
            Phase::Head => {}
        }
        let until = self.head_until.unwrap_or_else(Instant::now);
        let sleep = self.reading.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if sleep.deadline() != until {
            sleep.as_mut().reset(until);
        }
        ready!(sleep.as_mut().poll(context));
        metrics::counter!("pulp_engine_refusals_total", "reason" => "slow_head").increment(1);
        if self.writing.is_none() {
            let head_s = self.patience.head.as_secs();
            let said = format!("the head of the request did not arrive within {head_s} s");
            // As much of it as fits into the socket's buffer at once, which is empty as a rule.
            let _ = self.stream.try_write(&raw_answer(StatusCode::REQUEST_TIMEOUT, &said, None));
        }
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the head of a request took too long")))
    }

    /// Whether this is an answer that the protocol's reader gives by itself to a head that it cannot read.
    fn puts_words_to(&mut self, answer: &[u8]) {
        if self.refusal.is_some() || self.activity.phase() != Phase::Head || !answer.starts_with(b"HTTP/1.1 4") {
            return;
        }
        let Ok(text) = std::str::from_utf8(answer) else { return };
        if !text.contains("\r\ncontent-length: 0\r\n") || text.contains("\r\nx-request-id: ") {
            return;
        }
        let status = text.get(9..12).and_then(|code| StatusCode::from_bytes(code.as_bytes()).ok()).unwrap_or(StatusCode::BAD_REQUEST);
        let said = match status {
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "the head of the request is larger than 32 KiB or has more than 100 lines",
            StatusCode::URI_TOO_LONG => "the address of the request is too long",
            _ => "this is no HTTP/1.1 request that can be read; the server speaks neither TLS nor HTTP/2 by itself",
        };
        metrics::counter!("pulp_engine_refusals_total", "reason" => "unreadable_head").increment(1);
        self.refusal = Some(Refusal { bytes: raw_answer(status, said, None), sent: 0 });
    }

    fn poll_refusal(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(refusal) = &mut self.refusal else { return Poll::Ready(Ok(())) };
        while refusal.sent < refusal.bytes.len() {
            refusal.sent += match ready!(Pin::new(&mut self.stream).poll_write(context, &refusal.bytes[refusal.sent..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => sent,
            };
        }
        Poll::Ready(Ok(()))
    }

    /// Reads on for a moment: bytes that nobody reads would take the answer away from the client.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let until = self.lingering.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        let mut room = [0; 8192];
        loop {
            let mut buffer = ReadBuf::new(&mut room);
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() && self.lingered < LINGER_BYTES => {
                    self.lingered += buffer.filled().len();
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return until.as_mut().poll(context),
            }
        }
    }
}

impl AsyncRead for Progress {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Ready(Ok(())) => {
                if buffer.filled().len() > before && !self.arrived(&buffer.filled()[before..]) {
                    buffer.set_filled(before);
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.waited(context),
        }
    }
}

impl AsyncWrite for Progress {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.puts_words_to(bytes);
        let outcome = if self.refusal.is_some() {
            self.poll_refusal(context).map_ok(|()| bytes.len())
        } else {
            Pin::new(&mut self.stream).poll_write(context, bytes)
        };
        self.bounded(context, outcome)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, slices: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if let Some(first) = slices.first() {
            self.puts_words_to(first);
        }
        let outcome = if self.refusal.is_some() {
            self.poll_refusal(context).map_ok(|()| slices.iter().map(|slice| slice.len()).sum())
        } else {
            Pin::new(&mut self.stream).poll_write_vectored(context, slices)
        };
        self.bounded(context, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(context);
        self.bounded(context, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(context);
        ready!(self.bounded(context, outcome))?;
        if self.refusal.is_some() { self.poll_linger(context).map(Ok) } else { Poll::Ready(Ok(())) }
    }
}
