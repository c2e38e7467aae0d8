//! The DevTools protocol over a pair of pipes: frames end with a NUL, replies find their callers, events their sessions.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::{Notify, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::cdp::{Command, DismissDialog, EventParams, FetchFail};
use crate::session::{Answer, CallError, Listener, Seen};

/// Room kept free in the reading buffer: one filled pipe.
const READ_BYTES: usize = 1024 * 1024;
/// After a message larger than this the reading buffer starts small again.
const LARGE_BYTES: usize = 4 * READ_BYTES;

type Reply = Result<Bytes, CallError>;

/// The browser's end of the protocol. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Connection(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    next_id: AtomicU64,
    to_browser: pipe::Sender,
    /// What did not fit into the pipe. Bounded by the callers: each waits for its reply.
    backlog: Mutex<VecDeque<Bytes>>,
    backlog_grew: Notify,
    routes: Mutex<Routes>,
    ended: CancellationToken,
    crashed: Notify,
}

#[derive(Debug, Default)]
struct Routes {
    pending: HashMap<u64, Pending>,
    sessions: HashMap<Arc<str>, Listener>,
    ended: bool,
}

#[derive(Debug)]
struct Pending {
    session: Option<Arc<str>>,
    reply: oneshot::Sender<Reply>,
}

#[derive(Serialize)]
struct Outgoing<'a, P> {
    id: u64,
    method: &'static str,
    params: &'a P,
    #[serde(rename = "sessionId", skip_serializing_if = "Option::is_none")]
    session_id: Option<&'a str>,
}

#[derive(Deserialize)]
struct Incoming<'a> {
    id: Option<u64>,
    #[serde(borrow)]
    method: Option<&'a str>,
    #[serde(borrow, rename = "sessionId")]
    session_id: Option<&'a str>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    error: Option<WireError>,
}

#[derive(Deserialize)]
struct WireError {
    message: String,
}

impl Connection {
    /// Speaks over these pipe ends; frames above `max_frame_bytes` are skipped and fail their caller.
    pub(crate) fn open(to_browser: pipe::Sender, from_browser: pipe::Receiver, max_frame_bytes: usize) -> Self {
        let inner = Arc::new(Inner {
            next_id: AtomicU64::new(1),
            to_browser,
            backlog: Mutex::default(),
            backlog_grew: Notify::new(),
            routes: Mutex::default(),
            ended: CancellationToken::new(),
            crashed: Notify::new(),
        });
        tokio::spawn(inner.clone().read_all(from_browser, max_frame_bytes));
        tokio::spawn(inner.clone().write_backlog());
        Self(inner)
    }

    /// Calls a method. Dropping the future forgets the reply; a frame is always written whole.
    pub(crate) async fn call<C: Command>(&self, session: Option<&Arc<str>>, command: &C) -> Reply {
        let id = self.0.next_id.fetch_add(1, Ordering::Relaxed);
        let (reply, answer) = oneshot::channel();
        {
            let mut routes = self.0.routes();
            if routes.ended {
                return Err(CallError::Gone);
            }
            if let Some(session) = session
                && routes.sessions.get(session).is_none_or(|listener| listener.seen.borrow().crashed)
            {
                return Err(CallError::Crashed);
            }
            routes.pending.insert(id, Pending { session: session.cloned(), reply });
        }
        let _forget = ForgetOnDrop { inner: &self.0, id };
        self.0.send(id, session.map(AsRef::as_ref), command)?;
        answer.await.unwrap_or(Err(CallError::Gone))
    }

    /// Starts to collect the events of a session.
    pub(crate) fn listen(&self, session: &Arc<str>, main_frame: &str) -> watch::Receiver<Seen> {
        let mut routes = self.0.routes();
        let (seen, receiver) = watch::channel(Seen { gone: routes.ended, ..Seen::default() });
        routes.sessions.insert(session.clone(), Listener { seen, main_frame: main_frame.to_owned() });
        receiver
    }

    /// Stops to collect the events of a session.
    pub(crate) fn forget(&self, session: &Arc<str>) {
        self.0.routes().sessions.remove(session);
    }

    /// Whether the pipe has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.0.ended.is_cancelled()
    }

    /// Returns when the pipe has ended, which is when the browser died or closed it.
    pub(crate) async fn ended(&self) {
        self.0.ended.cancelled().await;
    }

    /// Returns after a target crashed.
    pub(crate) async fn target_crashed(&self) {
        self.0.crashed.notified().await;
    }
}

struct ForgetOnDrop<'a> {
    inner: &'a Inner,
    id: u64,
}

impl Drop for ForgetOnDrop<'_> {
    fn drop(&mut self) {
        self.inner.routes().pending.remove(&self.id);
    }
}

impl Inner {
    fn routes(&self) -> MutexGuard<'_, Routes> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes as much as the pipe takes at once and leaves the rest to the backlog, in order.
    fn send<C: Command>(&self, id: u64, session_id: Option<&str>, command: &C) -> Result<(), CallError> {
        let mut frame = Vec::with_capacity(1024);
        serde_json::to_writer(&mut frame, &Outgoing { id, method: C::METHOD, params: command, session_id })
            .map_err(|error| CallError::Malformed(error.to_string()))?;
        frame.push(0);
        let mut frame = Bytes::from(frame);
        let mut backlog = self.backlog.lock().unwrap_or_else(PoisonError::into_inner);
        while backlog.is_empty() && !frame.is_empty() {
            match self.to_browser.try_write(&frame) {
                Ok(written) => frame.advance(written),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(_) => return Err(CallError::Gone),
            }
        }
        if !frame.is_empty() {
            backlog.push_back(frame);
            self.backlog_grew.notify_one();
        }
        Ok(())
    }

    async fn write_backlog(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = self.backlog_grew.notified() => {}
                () = self.ended.cancelled() => return,
            }
            while self.write_some() {
                tokio::select! {
                    ready = self.to_browser.writable() => if ready.is_err() { return },
                    () = self.ended.cancelled() => return,
                }
            }
        }
    }

    /// Writes from the backlog what the pipe takes now. True when something is left.
    fn write_some(&self) -> bool {
        let mut backlog = self.backlog.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(frame) = backlog.front_mut() {
            match self.to_browser.try_write(frame) {
                Ok(written) if written == frame.len() => drop(backlog.pop_front()),
                Ok(written) => frame.advance(written),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return true,
                Err(_) => backlog.clear(),
            }
        }
        false
    }

    async fn read_all(self: Arc<Self>, mut from_browser: pipe::Receiver, max_frame_bytes: usize) {
        let mut buffer = BytesMut::with_capacity(READ_BYTES);
        let mut searched = 0;
        let mut skipping = false;
        loop {
            if buffer.capacity() - buffer.len() < READ_BYTES / 4 {
                buffer.reserve(READ_BYTES);
            }
            match from_browser.read_buf(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
            while let Some(offset) = memchr::memchr(0, &buffer[searched..]) {
                let frame = buffer.split_to(searched + offset).freeze();
                buffer.advance(1);
                searched = 0;
                if frame.len() > LARGE_BYTES {
                    let rest = std::mem::replace(&mut buffer, BytesMut::with_capacity(READ_BYTES));
                    buffer.extend_from_slice(&rest);
                }
                if !std::mem::take(&mut skipping) {
                    self.dispatch(&frame);
                }
            }
            searched = buffer.len();
            if skipping {
                buffer.clear();
                searched = 0;
            } else if buffer.len() > max_frame_bytes {
                self.reject_oversized(&buffer);
                buffer = BytesMut::with_capacity(READ_BYTES);
                (searched, skipping) = (0, true);
            }
        }
        self.end();
    }

    /// Fails the caller of a reply that is too large to be taken in; its id stands at the very start of the frame.
    fn reject_oversized(&self, start: &[u8]) {
        let id = start.strip_prefix(b"{\"id\":").and_then(|rest| {
            let digits: &[u8] = &rest[..rest.iter().take(20).take_while(|byte| byte.is_ascii_digit()).count()];
            std::str::from_utf8(digits).ok()?.parse::<u64>().ok()
        });
        tracing::warn!(?id, bytes = start.len(), "a DevTools message was too large and was skipped");
        let pending = id.and_then(|id| self.routes().pending.remove(&id));
        if let Some(pending) = pending {
            let _ = pending.reply.send(Err(CallError::TooLarge));
        }
    }

    fn dispatch(&self, frame: &Bytes) {
        let incoming: Incoming<'_> = match serde_json::from_slice(frame) {
            Ok(incoming) => incoming,
            Err(error) => return tracing::warn!(%error, "a DevTools message could not be read"),
        };
        if let Some(id) = incoming.id {
            let Some(pending) = self.routes().pending.remove(&id) else { return };
            let reply = match (incoming.result, incoming.error) {
                (_, Some(error)) => Err(CallError::Refused(error.message)),
                (Some(result), None) => Ok(frame.slice_ref(result.get().as_bytes())),
                (None, None) => Err(CallError::Malformed("neither a result nor an error".to_owned())),
            };
            // The caller may have given up meanwhile.
            let _ = pending.reply.send(reply);
        } else if let Some(method) = incoming.method {
            self.event(method, incoming.session_id, incoming.params.map(RawValue::get));
        }
    }

    fn event(&self, method: &str, session_id: Option<&str>, params: Option<&str>) {
        if method == "Target.detachedFromTarget" {
            let lost = params.and_then(|text| serde_json::from_str::<EventParams<'_>>(text).ok());
            if let Some(id) = lost.and_then(|params| params.session_id) {
                self.lose_session(&id);
            }
            return;
        }
        let Some(session_id) = session_id else { return };
        let answer = self.routes().sessions.get(session_id).and_then(|listener| listener.apply(method, params));
        // Nobody waits for the replies: an unknown id is ignored when it comes back.
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let _ = match answer {
            Some(Answer::Refuse(request_id)) => {
                let fail = FetchFail { request_id: &request_id, error_reason: "Aborted" };
                self.send(id, Some(session_id), &fail)
            }
            Some(Answer::DismissDialog) => self.send(id, Some(session_id), &DismissDialog { accept: true }),
            None => Ok(()),
        };
        if method == "Inspector.targetCrashed" {
            self.lose_session(session_id);
        }
    }

    /// Fails every call of a session whose target is dead.
    fn lose_session(&self, session_id: &str) {
        let lost: Vec<Pending> = {
            let mut routes = self.routes();
            if let Some(listener) = routes.sessions.get(session_id) {
                listener.seen.send_modify(|seen| seen.crashed = true);
            }
            routes.pending.extract_if(|_, call| call.session.as_deref() == Some(session_id)).map(|(_, call)| call).collect()
        };
        for pending in lost {
            let _ = pending.reply.send(Err(CallError::Crashed));
        }
        self.crashed.notify_one();
    }

    /// Fails everything: the browser is gone.
    fn end(&self) {
        let mut routes = self.routes();
        routes.ended = true;
        routes.pending.clear();
        for listener in routes.sessions.values() {
            listener.seen.send_modify(|seen| seen.gone = true);
        }
        drop(routes);
        self.ended.cancel();
    }
}
