//! The worker's side: who is let in, what is asked, and how it ends.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, BufReader, ReadHalf, WriteHalf, split};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::RemoteError;
use super::handshake::{self, HandshakeFault};
use super::listener::{Caller, Listener};
use super::stream::{self, Stream};
use super::trust::{Security, Trust};
use super::wire::{self, Ask, Failed, HEAD_BYTES, Say, WireFault, WorkerStatus, whole_ms};
use crate::{ChromiumError, Pool, PrintJob, Printed};

/// Connections whose other side is not known yet.
const STRANGERS: usize = 128;
/// How long they may take to make themselves known.
const INTRODUCTION: Duration = Duration::from_secs(5);
/// How long a connection may be idle; a replica asks every second on one of them and closes others earlier.
const IDLE: Duration = Duration::from_mins(2);
/// How long a replica may take to read an answer.
const TAKEN: Duration = Duration::from_mins(1);
const FOREVER: Duration = Duration::from_hours(24 * 365);
/// The longest that a replica may give a print.
const LONGEST: Duration = Duration::from_hours(1);
/// After an error of the system (too many open files), until the next one is let in.
const PAUSE: Duration = Duration::from_millis(200);
/// How often it is logged that strangers are too many.
const COMPLAINS_EVERY: Duration = Duration::from_secs(10);

/// What a worker is served with.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// By what both sides know each other.
    pub security: Security,
    /// Connections that are open at once.
    pub connections: usize,
    /// Documents that are read, printed or wait; one more is refused as saturated, before it is kept.
    pub prints: usize,
    /// Largest HTML accepted, in bytes.
    pub html_bytes: usize,
    /// How long documents under way may take once the worker is to end.
    pub grace: Duration,
}

impl ServeOptions {
    /// Enough for many replicas: 1024 connections, the budgets of [`crate::Budgets`], and as many documents as a pool of this size takes.
    pub fn new(security: Security, tabs: usize, queue_depth: usize) -> Self {
        let html_bytes = crate::Budgets::default().html_bytes;
        // The pool's queue is one for each priority.
        Self { security, connections: 1024, prints: tabs + 2 * queue_depth, html_bytes, grace: Duration::from_secs(30) }
    }
}

/// What all connections share.
struct Shared {
    pool: Pool,
    options: ServeOptions,
    trust: Trust,
    strangers: Mutex<Strangers>,
    connections: Arc<Semaphore>,
    prints: Arc<Semaphore>,
    draining: CancellationToken,
    /// Cuts off what is left.
    ended: CancellationToken,
    fonts: OnceLock<Vec<u8>>,
    /// Tells it from other workers.
    instance: u64,
}

/// Connections whose other side is not known yet, the oldest first.
#[derive(Default)]
struct Strangers {
    next: u64,
    waiting: VecDeque<(u64, CancellationToken)>,
    complained_at: Option<Instant>,
}

impl Strangers {
    /// One more. Where there are too many, the oldest has to go: who knows the way makes itself known within milliseconds.
    fn enter(&mut self, ended: &CancellationToken) -> (u64, CancellationToken) {
        if self.waiting.len() >= STRANGERS {
            if let Some((_, oldest)) = self.waiting.pop_front() {
                oldest.cancel();
            }
            if self.complained_at.is_none_or(|at| at.elapsed() >= COMPLAINS_EVERY) {
                self.complained_at = Some(Instant::now());
                tracing::warn!(
                    most = STRANGERS,
                    "too many connections to the render worker do not make themselves known; the oldest are closed"
                );
            }
        }
        self.next += 1;
        let cut = ended.child_token();
        self.waiting.push_back((self.next, cut.clone()));
        (self.next, cut)
    }

    fn leave(&mut self, number: u64) {
        self.waiting.retain(|(other, _)| *other != number);
    }
}

/// Prints for whoever may ask until `drain` is cancelled; then refuses new documents, finishes those under way within the grace, and
/// returns. The pool stays open.
///
/// # Errors
/// [`RemoteError::Unprotected`] for a port without secret or certificates, [`RemoteError::Certificate`].
pub async fn serve(listener: Listener, pool: Pool, options: ServeOptions, drain: CancellationToken) -> Result<(), RemoteError> {
    let trust = Trust::read(&options.security, std::slice::from_ref(&listener.address))?;
    let grace = options.grace;
    let prints = bound(options.prints);
    let shared = Arc::new(Shared::new(pool, trust, options, drain.clone()));
    let tasks = TaskTracker::new();
    let drained = async {
        drain.cancelled().await;
        let all = u32::try_from(prints).unwrap_or(u32::MAX);
        if timeout(grace, shared.prints.acquire_many(all)).await.is_err() {
            tracing::warn!("documents were still under way when SHUTDOWN_GRACE_MS had passed; they are cut off");
        }
    };
    tokio::select! {
        () = drained => {}
        () = accept(&listener, &shared, &tasks) => {}
    }
    drop(listener);
    shared.ended.cancel();
    tasks.close();
    tasks.wait().await;
    Ok(())
}

/// Answers over one stream, such as the standard input and output of this process, until one document was printed or refused, or the
/// other side has left. Nobody is asked who it is.
pub async fn serve_one(
    stream: impl AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug + 'static,
    pool: Pool,
    options: ServeOptions,
) {
    let shared = Shared::new(pool, Trust { secret: None, tls: None }, options, CancellationToken::new());
    let mut stream: Stream = Box::new(stream);
    match timeout(LONGEST, handshake::receive(&mut stream, None)).await {
        Ok(Ok(())) => shared.attend(stream, "the standard input", Documents::One).await,
        Ok(Err(reason)) => tracing::debug!(%reason, "nobody wants a document"),
        Err(_) => {}
    }
}

/// Lets callers in for as long as it is polled.
async fn accept(listener: &Listener, shared: &Arc<Shared>, tasks: &TaskTracker) {
    loop {
        let caller = match listener.accept().await {
            Ok(caller) => caller,
            Err(error) => {
                tracing::warn!(%error, "a connection to the render worker could not be taken");
                sleep(PAUSE).await;
                continue;
            }
        };
        let shared = Arc::clone(shared);
        let (number, cut) = shared.strangers().enter(&shared.ended);
        tasks.spawn(async move {
            let peer = match &caller {
                Caller::Unix(_) => "this machine".to_owned(),
                Caller::Tcp(_, peer) => peer.clone(),
            };
            let introduced = cut.run_until_cancelled(timeout(INTRODUCTION, shared.introduce(caller))).await;
            shared.strangers().leave(number);
            match introduced {
                Some(Ok(Ok(stream))) => {
                    shared.ended.run_until_cancelled(shared.attend(stream, &peer, Documents::Many)).await;
                }
                // A probe that only connects and leaves is nobody's business.
                Some(Ok(Err(HandshakeFault::Wire(WireFault::Ended)))) => tracing::debug!(peer, "somebody came and left"),
                Some(Ok(Err(reason))) => tracing::warn!(peer, %reason, "a connection to the render worker was refused"),
                // Told of already where they are many; a few that are merely silent are no matter.
                Some(Err(_)) | None => tracing::debug!(peer, "somebody did not say who it is"),
            }
        });
    }
}

/// How many documents a connection is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Documents {
    One,
    Many,
}

fn bound(prints: usize) -> usize {
    prints.clamp(1, u32::MAX as usize >> 4)
}

impl Shared {
    fn new(pool: Pool, trust: Trust, options: ServeOptions, draining: CancellationToken) -> Self {
        Self {
            trust,
            strangers: Mutex::default(),
            connections: Arc::new(Semaphore::new(options.connections.max(1))),
            prints: Arc::new(Semaphore::new(bound(options.prints))),
            draining,
            ended: CancellationToken::new(),
            fonts: OnceLock::new(),
            // Without random bytes no connection is opened anyway.
            instance: getrandom::u64().unwrap_or_default(),
            pool,
            options,
        }
    }

    fn strangers(&self) -> MutexGuard<'_, Strangers> {
        self.strangers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn introduce(&self, caller: Caller) -> Result<Stream, HandshakeFault> {
        let mut stream = match caller {
            Caller::Unix(stream) => stream,
            Caller::Tcp(tcp, _) => stream::accept(tcp, &self.trust).await.map_err(WireFault::from)?,
        };
        handshake::receive(&mut stream, self.trust.secret.as_ref()).await?;
        Ok(stream)
    }

    /// Answers one connection until it ends.
    async fn attend(&self, stream: Stream, peer: &str, documents: Documents) {
        let Ok(_open) = self.connections.try_acquire() else {
            tracing::warn!(peer, most = self.options.connections, "the render worker has too many connections; one more was closed");
            return;
        };
        let (reader, mut writer) = split(stream);
        let mut reader = BufReader::new(reader);
        let mut last = false;
        while !last {
            // A container is warm until it is wanted.
            let idle = if documents == Documents::One { FOREVER } else { IDLE };
            let next = timeout(idle, wire::read_head(&mut reader, HEAD_BYTES, self.options.html_bytes)).await;
            let answered = match next {
                Ok(Ok(Some((ask, body_bytes)))) => {
                    last = documents == Documents::One && matches!(ask, Ask::Print { .. });
                    self.answer(ask, body_bytes, &mut reader, &mut writer).await
                }
                Ok(Ok(None)) | Err(_) => return,
                Ok(Err(fault)) => Err(fault),
            };
            match answered {
                Ok(()) => {}
                Err(WireFault::Ended) => return,
                Err(reason) => {
                    tracing::warn!(peer, %reason, "a connection to the render worker was ended");
                    return;
                }
            }
        }
    }

    async fn answer(
        &self,
        ask: Ask<'static>,
        body_bytes: usize,
        reader: &mut BufReader<ReadHalf<Stream>>,
        writer: &mut WriteHalf<Stream>,
    ) -> Result<(), WireFault> {
        match ask {
            Ask::Status => {
                let retry_after_ms = whole_ms(self.pool.retry_after());
                let (pool, draining) = (self.pool.status(), self.draining.is_cancelled());
                let status = WorkerStatus { instance: self.instance, pool, draining, retry_after_ms };
                say(writer, &Say::Status(status), &[]).await
            }
            Ask::Fonts => {
                let fonts = self.fonts().await;
                say(writer, &Say::Fonts, &fonts).await
            }
            Ask::Print { tenant, priority, scripts, print, left_ms } => {
                let left = Duration::from_millis(left_ms).min(LONGEST);
                let deadline = Instant::now() + left;
                let late = || WireFault::Late(left);
                // Held until the answer is out, so that a worker that is to end waits for it.
                let place = self.prints.try_acquire();
                let refusal = match place {
                    _ if self.draining.is_cancelled() => Some(Failed::Closed),
                    Ok(_) => None,
                    Err(_) => {
                        Some(Failed::Saturated { queue_depth: self.options.prints, retry_after_ms: whole_ms(self.pool.retry_after()) })
                    }
                };
                if let Some(refusal) = refusal {
                    timeout(left, wire::discard_body(reader, body_bytes)).await.map_err(|_| late())??;
                    return say(writer, &Say::Failed(refusal), &[]).await;
                }
                let html = timeout(left, wire::read_body(reader, body_bytes)).await.map_err(|_| late())??;
                let html = String::from_utf8(html).map_err(|error| WireFault::Malformed(error.to_string()))?;
                let job = PrintJob { html, scripts, print: print.into_owned(), tenant: tenant.into_owned(), priority };
                say(writer, &Say::Begun, &[]).await?;
                let printed = tokio::select! {
                    printed = self.pool.print(job, deadline) => printed,
                    // The replica waits no more, so its tab is free for others.
                    more = reader.read_u8() => return Err(match more {
                        Ok(_) => WireFault::Malformed("a question before the answer to the last one".to_owned()),
                        Err(_) => WireFault::Ended,
                    }),
                };
                say_outcome(writer, printed).await
            }
        }
    }

    /// What the fonts draw, listed at the first question.
    async fn fonts(&self) -> Vec<u8> {
        if let Some(known) = self.fonts.get() {
            return known.clone();
        }
        match self.pool.installed_fonts().await {
            Ok(coverage) => self.fonts.get_or_init(|| coverage.to_bytes()).clone(),
            Err(error) => {
                tracing::warn!(%error, "missing glyphs will not be reported");
                Vec::new()
            }
        }
    }
}

async fn say_outcome(writer: &mut WriteHalf<Stream>, printed: Result<Printed, ChromiumError>) -> Result<(), WireFault> {
    match printed {
        Ok(Printed { pdf, lane, timings, attempts, blocked_requests }) => {
            let us = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
            let (queue_us, load_us, print_us) = (us(timings.queue_wait), us(timings.load), us(timings.print));
            say(writer, &Say::Printed { lane, queue_us, load_us, print_us, attempts, blocked_requests }, &pdf).await
        }
        Err(error) => say(writer, &Say::Failed(error.into()), &[]).await,
    }
}

async fn say(writer: &mut WriteHalf<Stream>, say: &Say, body: &[u8]) -> Result<(), WireFault> {
    timeout(TAKEN, wire::write(writer, say, body)).await.unwrap_or(Err(WireFault::Late(TAKEN)))
}
