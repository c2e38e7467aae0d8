//! One worker in the eyes of a replica: whether it answers, how busy it is, and the connections to it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::connection::{Broken, Connection};
use super::stream::Place;
use super::trust::Trust;
use super::wire::WorkerStatus;
use crate::{ChromiumError, PrintJob, Printed};

/// How often a worker is asked how it stands.
const ASKED_EVERY: Duration = Duration::from_secs(1);
/// Prints of a worker that has not answered for so long are given up and made elsewhere. A machine that is merely busy answers.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(10);
/// Connections that are being opened at once: a worker does not know yet that we are no strangers.
const OPENING: usize = 16;
/// Connections that are kept for the next print.
const KEPT: usize = 64;
/// Until when; the worker keeps them for longer.
const KEPT_FOR: Duration = Duration::from_secs(30);

/// Whether a worker can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nobody has asked it yet.
    Unknown,
    /// It prints.
    Ready,
    /// It is about to end and takes nothing more.
    Draining,
    /// It does not answer, or not as it should; why, in words.
    Unreachable(String),
}

impl Standing {
    /// The name in logs and metrics.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Unreachable(_) => "unreachable",
        }
    }
}

/// Why a worker did not print a document that another one may.
#[derive(Debug)]
pub(crate) enum Elsewhere {
    /// It was not reached, or refused the connection.
    Unreached,
    /// It is about to end.
    Closing,
    /// It has enough to do.
    Saturated {
        /// As many wait there.
        queue_depth: usize,
        /// When a place is likely.
        retry_after: Duration,
    },
    /// It went away while it had the document.
    Lost,
}

/// A worker.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) place: Place,
    trust: Arc<Trust>,
    state: Mutex<State>,
    kept: Mutex<Vec<Connection>>,
    opening: Semaphore,
    /// Prints of this replica that are with it now.
    own: AtomicUsize,
    /// Told of every change of a standing.
    changed: Arc<watch::Sender<u64>>,
    pub(crate) ended: CancellationToken,
}

#[derive(Debug)]
struct State {
    standing: Standing,
    status: Option<WorkerStatus>,
    /// What others had it do when it was asked last.
    of_others: usize,
    heard_at: Instant,
    /// Ends the prints that are with it when it is given up.
    given_up: CancellationToken,
}

impl Worker {
    pub(crate) fn new(place: Place, trust: Arc<Trust>, changed: Arc<watch::Sender<u64>>, ended: CancellationToken) -> Arc<Self> {
        let state =
            State { standing: Standing::Unknown, status: None, of_others: 0, heard_at: Instant::now(), given_up: CancellationToken::new() };
        Arc::new(Self {
            place,
            trust,
            state: Mutex::new(state),
            kept: Mutex::default(),
            opening: Semaphore::new(OPENING),
            own: AtomicUsize::new(0),
            changed,
            ended,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn standing(&self) -> Standing {
        self.state().standing.clone()
    }

    /// How it stood when it was asked last; none when it does not answer.
    pub(crate) fn status(&self) -> Option<WorkerStatus> {
        let state = self.state();
        state.status.clone().filter(|_| matches!(state.standing, Standing::Ready | Standing::Draining))
    }

    /// How much it has to do for each of its tabs, in thousandths; none when it takes nothing. What this replica gave it is counted as
    /// of now, what others did as of the last answer.
    pub(crate) fn load(&self) -> Option<usize> {
        let state = self.state();
        let status = state.status.as_ref().filter(|_| state.standing == Standing::Ready)?;
        let all = state.of_others + self.own.load(Ordering::Relaxed);
        // Tabs that are being replaced come back in a moment; a worker without any is the last choice and still one.
        Some((all * 1000).checked_div(status.pool.healthy_tabs).unwrap_or(usize::MAX))
    }

    /// Asks it how it stands, about once a second, until it is no longer among the workers.
    pub(crate) async fn watch(self: Arc<Self>) {
        let mut connection = None;
        loop {
            tokio::select! {
                () = self.ended.cancelled() => return self.kept().clear(),
                () = self.look(&mut connection) => {}
            }
        }
    }

    async fn look(&self, connection: &mut Option<Connection>) {
        match self.ask(connection).await {
            Ok(status) => self.heard(status),
            Err(reason) => {
                *connection = None;
                self.missed(reason);
            }
        }
        let now = Instant::now();
        self.kept().retain(|kept| now.saturating_duration_since(kept.used_at) < KEPT_FOR);
        match connection {
            // A worker that dies says so in the very moment.
            Some(open) => tokio::select! {
                () = sleep(ASKED_EVERY) => {}
                () = open.ended() => *connection = None,
            },
            None => sleep(ASKED_EVERY).await,
        }
    }

    async fn ask(&self, connection: &mut Option<Connection>) -> Result<WorkerStatus, String> {
        if connection.is_none() {
            *connection = Some(Connection::open(&self.place, &self.trust).await.map_err(|error| error.to_string())?);
        }
        match connection {
            Some(open) => open.status().await.map_err(|error| error.to_string()),
            None => Err("no connection".to_owned()),
        }
    }

    fn heard(&self, status: WorkerStatus) {
        let standing = if status.draining { Standing::Draining } else { Standing::Ready };
        let mut state = self.state();
        state.of_others = (status.pool.in_use + status.pool.queued).saturating_sub(self.own.load(Ordering::Relaxed));
        state.heard_at = Instant::now();
        if state.given_up.is_cancelled() {
            state.given_up = CancellationToken::new();
        }
        let version = status.pool.version.clone();
        state.status = Some(status);
        if state.standing != standing {
            tracing::info!(worker = %self.place, standing = standing.as_str(), engine = version, "a render worker answers");
            state.standing = standing;
            drop(state);
            self.tell();
        }
    }

    fn missed(&self, reason: String) {
        let mut state = self.state();
        if state.heard_at.elapsed() >= GIVEN_UP_AFTER {
            state.given_up.cancel();
        }
        // Once, and not at every look.
        if !matches!(state.standing, Standing::Unreachable(_)) {
            tracing::warn!(worker = %self.place, reason, "a render worker does not answer; others are used until it does");
            state.standing = Standing::Unreachable(reason);
            drop(state);
            self.kept().clear();
            self.tell();
        }
    }

    fn refuses(&self) {
        let mut state = self.state();
        if state.standing == Standing::Ready {
            state.standing = Standing::Draining;
            drop(state);
            self.tell();
        }
    }

    fn tell(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    /// A connection of its own for a question.
    pub(crate) async fn connection(&self) -> Option<Connection> {
        let kept = self.kept().pop();
        match kept {
            Some(kept) => Some(kept),
            None => Connection::open(&self.place, &self.trust).await.ok(),
        }
    }

    /// A new one for a print, or one that was given back while it waited for its turn to open one.
    async fn open(&self) -> Option<(Connection, bool)> {
        let _turn = self.opening.acquire().await.ok()?;
        let kept = self.kept().pop();
        if let Some(kept) = kept {
            return Some((kept, true));
        }
        match Connection::open(&self.place, &self.trust).await {
            Ok(fresh) => Some((fresh, false)),
            Err(reason) => {
                tracing::debug!(worker = %self.place, %reason, "no connection to a render worker");
                None
            }
        }
    }

    /// Has it print one document.
    pub(crate) async fn print(
        &self,
        job: &PrintJob,
        deadline: Instant,
        output_bytes: usize,
    ) -> Result<Result<Printed, ChromiumError>, Elsewhere> {
        let _one_more = OneMore::of(&self.own);
        let given_up = self.state().given_up.clone();
        tokio::select! {
            outcome = self.print_on_any(job, deadline, output_bytes) => outcome,
            () = given_up.cancelled() => Err(Elsewhere::Lost),
        }
    }

    async fn print_on_any(
        &self,
        job: &PrintJob,
        deadline: Instant,
        output_bytes: usize,
    ) -> Result<Result<Printed, ChromiumError>, Elsewhere> {
        loop {
            let kept = self.kept().pop();
            let (mut connection, was_kept) = match kept {
                Some(kept) => (kept, true),
                // Whether it is to be used at all is found out by who watches it.
                None => self.open().await.ok_or(Elsewhere::Unreached)?,
            };
            match connection.print(job, deadline, output_bytes).await {
                Ok(outcome) => return self.judged(outcome, connection),
                // It was ended while it was kept, as those of a worker that was started again are.
                Err(Broken::Before(_)) if was_kept => self.kept().clear(),
                Err(Broken::Before(fault)) => {
                    tracing::debug!(worker = %self.place, %fault, "a render worker did not take a document");
                    return Err(Elsewhere::Unreached);
                }
                Err(Broken::While(fault)) => {
                    tracing::warn!(worker = %self.place, %fault, "a render worker went away with a document");
                    self.kept().clear();
                    return Err(Elsewhere::Lost);
                }
            }
        }
    }

    fn judged(&self, outcome: Result<Printed, ChromiumError>, connection: Connection) -> Result<Result<Printed, ChromiumError>, Elsewhere> {
        // After these it is not known what comes next on the connection.
        let spent = matches!(outcome, Err(ChromiumError::DeadlineExceeded { .. } | ChromiumError::OutputTooLarge { .. }));
        if !spent && matches!(self.standing(), Standing::Ready) {
            let mut kept = self.kept();
            if kept.len() < KEPT {
                kept.push(connection);
            }
        }
        match outcome {
            Err(ChromiumError::Closed) => {
                self.refuses();
                Err(Elsewhere::Closing)
            }
            Err(ChromiumError::Saturated { queue_depth, retry_after }) => Err(Elsewhere::Saturated { queue_depth, retry_after }),
            outcome => Ok(outcome),
        }
    }
}

/// One print more, for as long as it lives.
struct OneMore<'a>(&'a AtomicUsize);

impl<'a> OneMore<'a> {
    fn of(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for OneMore<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
