//! One flat DevTools session: calls that end when the target dies, and what its events have told so far.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

use crate::cdp::{self, Command};
use crate::pipe::Connection;

/// Why a call has no reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CallError {
    /// The browser is gone: the pipe ended.
    Gone,
    /// The renderer died or the target was closed. Chromium never answers such calls by itself.
    Crashed,
    /// No answer within the time that housekeeping has.
    TimedOut,
    /// Chromium refused the command.
    Refused(String),
    /// The reply was larger than the connection accepts; it was skipped.
    TooLarge,
    /// The reply was not what the protocol promises.
    Malformed(String),
}

/// What the events of a session have told, as running totals.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// Documents of the main frame so far: each navigation brings one, and so does each `document.open`.
    pub(crate) documents: u64,
    /// The last document, counted as above, whose load event has fired.
    pub(crate) loaded_document: u64,
    /// Navigations of the main frame that were committed.
    pub(crate) navigations: u64,
    /// The document, counted as above, that the last navigation brought.
    pub(crate) navigated_document: u64,
    /// The main frame was somewhere else than about:blank.
    pub(crate) strayed: bool,
    /// Navigations of the main frame that were refused. Started by a script, one ends the parsing of the document.
    pub(crate) departures: u32,
    /// Requests that were refused, as far as Chromium reports them.
    pub(crate) refused: u32,
    /// The renderer died or the target is gone.
    pub(crate) crashed: bool,
    /// The browser is gone.
    pub(crate) gone: bool,
}

/// A session and the totals of its events. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    connection: Connection,
    id: Arc<str>,
    seen: watch::Receiver<Seen>,
}

impl Session {
    /// Starts to listen to a session that has just been attached.
    pub(crate) fn new(connection: &Connection, id: String, main_frame: &str) -> Self {
        let id: Arc<str> = id.into();
        let seen = connection.listen(&id, main_frame);
        Self { connection: connection.clone(), id, seen }
    }

    /// Calls a method and reads its reply.
    pub(crate) async fn call<C: Command>(&self, command: &C) -> Result<C::Reply, CallError> {
        let reply = self.call_raw(command).await?;
        serde_json::from_slice(&reply).map_err(|error| CallError::Malformed(format!("{}: {error}", C::METHOD)))
    }

    /// Calls a method and leaves the reply as the bytes that came through the pipe.
    pub(crate) async fn call_raw<C: Command>(&self, command: &C) -> Result<Bytes, CallError> {
        self.connection.call(Some(&self.id), command).await
    }

    /// The totals right now.
    pub(crate) fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// Whether a call could still be answered.
    pub(crate) fn is_alive(&self) -> bool {
        let seen = self.seen.borrow();
        !seen.crashed && !seen.gone
    }

    /// A receiver of every change of the totals.
    pub(crate) fn changes(&self) -> watch::Receiver<Seen> {
        self.seen.clone()
    }

    /// Stops listening; for when the target is closed.
    pub(crate) fn forget(&self) {
        self.connection.forget(&self.id);
    }
}

/// What has to be answered at once, so that the page goes on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A navigation waits for permission, which it does not get.
    Refuse(String),
    /// A script shows a dialog, which nobody can see.
    DismissDialog,
}

/// Collects the events of one session.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) seen: watch::Sender<Seen>,
    pub(crate) main_frame: String,
}

impl Listener {
    /// Applies an event to the totals. Returns what it wants answered.
    pub(crate) fn apply(&self, method: &str, params: Option<&str>) -> Option<Answer> {
        let read = || params.and_then(|text| serde_json::from_str::<cdp::EventParams<'_>>(text).ok());
        match method {
            "Page.loadEventFired" => self.seen.send_modify(|seen| seen.loaded_document = seen.documents),
            "Page.documentOpened" => {
                read()?.frame.filter(|frame| frame.parent_id.is_none())?;
                self.seen.send_modify(|seen| seen.documents += 1);
            }
            "Inspector.targetCrashed" | "Inspector.detached" => self.seen.send_modify(|seen| seen.crashed = true),
            "Page.frameNavigated" => {
                let frame = read()?.frame.filter(|frame| frame.parent_id.is_none())?;
                self.seen.send_modify(|seen| {
                    seen.documents += 1;
                    seen.navigations += 1;
                    seen.navigated_document = seen.documents;
                    seen.strayed |= frame.url != "about:blank";
                });
            }
            "Log.entryAdded" => {
                let entry = read()?.entry?;
                if entry.level == "error" && (entry.source == "network" || entry.source == "security") {
                    self.seen.send_modify(|seen| seen.refused += 1);
                }
            }
            "Fetch.requestPaused" => {
                let paused = read()?;
                let departs = paused.frame_id.as_deref() == Some(&self.main_frame);
                self.seen.send_modify(|seen| {
                    seen.refused += 1;
                    seen.departures += u32::from(departs);
                });
                return Some(Answer::Refuse(paused.request_id?.into()));
            }
            "Page.javascriptDialogOpening" => return Some(Answer::DismissDialog),
            _ => {}
        }
        None
    }
}
