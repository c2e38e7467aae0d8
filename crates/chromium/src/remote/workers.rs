//! Printing by whichever worker does it: which one is asked, and what happens when it refuses or goes away.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::RemoteError;
use super::address::Address;
use super::directory::{Directory, WorkerStanding};
use super::trust::{Security, Trust};
use super::worker::{Elsewhere, Standing};
use crate::fonts::{Coverage, FontsError};
use crate::{ChromiumError, Phase, PoolStatus, PrintJob, Printed, pace};

/// Workers that one document asks for a place.
const ASKED: u32 = 3;
/// Workers that one document may lose: one that kills workers must not walk through all of them.
const LOST: u32 = 2;
/// How long a document waits for a worker where there is none.
const WAIT_FOR_ONE: Duration = Duration::from_secs(2);
/// After this, one that did not take a connection is asked once more.
const ASKED_AGAIN: Duration = Duration::from_millis(200);
/// So many wait at once; more are told at once.
const MOST_WAITING: usize = 256;
/// When it is worth asking again where there is no worker.
const AGAIN_AFTER: Duration = Duration::from_secs(2);
/// How long a start waits for the first answers, so that a replica is not unready for a moment without need.
const FIRST_LOOK: Duration = Duration::from_secs(3);
/// Why a document went to another worker, as `/metrics` counts it.
const REASONS: [&str; 4] = ["connection", "closing", "saturated", "lost"];

/// Which workers there are, and what this side asks of them.
#[derive(Debug, Clone)]
pub struct RemoteOptions {
    /// Where they listen.
    pub workers: Vec<Address>,
    /// By what both sides know each other.
    pub security: Security,
    /// Largest HTML accepted, in bytes.
    pub html_bytes: usize,
    /// Largest PDF taken, in bytes.
    pub output_bytes: usize,
    /// Prints of this side that are with workers at once; one more is refused with [`ChromiumError::Saturated`].
    pub prints: usize,
}

impl RemoteOptions {
    /// The budgets of [`crate::Budgets`], and 256 prints at once.
    pub fn new(workers: Vec<Address>, security: Security) -> Self {
        let crate::Budgets { html_bytes, output_bytes, .. } = crate::Budgets::default();
        Self { workers, security, html_bytes, output_bytes, prints: 256 }
    }
}

/// The workers, as one pool.
#[derive(Debug)]
pub(crate) struct Workers {
    options: RemoteOptions,
    directory: Arc<Directory>,
    prints: Semaphore,
    waiting: Semaphore,
    shut: CancellationToken,
}

impl Workers {
    /// Begins to look for the workers and waits a moment for the first answers. That none answers is no error: they may come.
    pub(crate) async fn connect(options: RemoteOptions) -> Result<Self, RemoteError> {
        for reason in REASONS {
            metrics::counter!("pulp_render_worker_retries_total", "reason" => reason).increment(0);
        }
        metrics::gauge!("pulp_render_worker_connections").set(0);
        let trust = Trust::read(&options.security, &options.workers)?;
        let workers = Self {
            directory: Directory::begin(options.workers.clone(), trust),
            prints: Semaphore::new(options.prints.clamp(1, Semaphore::MAX_PERMITS)),
            options,
            waiting: Semaphore::new(MOST_WAITING),
            shut: CancellationToken::new(),
        };
        let _ = timeout(FIRST_LOOK, workers.directory.looked_at()).await;
        let ready = workers.directory.each().iter().filter(|worker| worker.standing() == Standing::Ready).count();
        tracing::info!(ready, "render workers answer");
        Ok(workers)
    }

    /// Prints one document on whichever worker does it.
    pub(crate) async fn print(&self, job: &PrintJob, deadline: Instant) -> Result<Printed, ChromiumError> {
        let limit_bytes = self.options.html_bytes;
        if job.html.len() > limit_bytes {
            return Err(ChromiumError::PageTooLarge { limit_bytes, size_bytes: job.html.len() });
        }
        let expired = Err(ChromiumError::DeadlineExceeded { phase: Phase::Queue });
        if deadline <= Instant::now() {
            return expired;
        }
        let Ok(_one) = self.prints.try_acquire() else {
            return Err(ChromiumError::Saturated { queue_depth: self.options.prints, retry_after: self.retry_after() });
        };
        let mut asked = Vec::new();
        let (mut refusals, mut lost) = (0, 0);
        let mut saturated: Option<ChromiumError> = None;
        let patience = deadline.min(Instant::now() + WAIT_FOR_ONE);
        loop {
            if self.shut.is_cancelled() {
                return Err(ChromiumError::Closed);
            }
            if deadline <= Instant::now() {
                return expired;
            }
            let mut changed = self.directory.changes();
            let Some(worker) = self.directory.choose(&asked) else {
                if let Some(saturated) = saturated {
                    return Err(saturated);
                }
                self.wait_for_one(&mut changed, patience).await?;
                // It may be one that was away when it was asked.
                asked.clear();
                continue;
            };
            let reason = match worker.print(job, deadline, self.options.output_bytes).await {
                Ok(outcome) => return outcome,
                Err(Elsewhere::Saturated { queue_depth, retry_after }) => {
                    saturated = Some(sooner(saturated.as_ref(), queue_depth, retry_after));
                    "saturated"
                }
                Err(Elsewhere::Unreached) => "connection",
                Err(Elsewhere::Closing) => "closing",
                Err(Elsewhere::Lost) => {
                    lost += 1;
                    "lost"
                }
            };
            tracing::debug!(worker = %worker.place, reason, "a document goes to another render worker");
            asked.push(worker);
            refusals += u32::from(reason != "lost");
            if lost >= LOST {
                return Err(ChromiumError::Crashed { attempts: LOST });
            }
            if refusals >= ASKED {
                return Err(saturated.unwrap_or(ChromiumError::NoWorker { retry_after: AGAIN_AFTER }));
            }
            metrics::counter!("pulp_render_worker_retries_total", "reason" => reason).increment(1);
        }
    }

    /// Waits for any change among the workers.
    async fn wait_for_one(&self, changed: &mut watch::Receiver<u64>, until: Instant) -> Result<(), ChromiumError> {
        let nobody = || ChromiumError::NoWorker { retry_after: AGAIN_AFTER };
        let Ok(_place) = self.waiting.try_acquire() else { return Err(nobody()) };
        let again = async {
            sleep(ASKED_AGAIN).await;
            // Nobody to ask again: only a change helps.
            if self.directory.each().iter().all(|worker| worker.load().is_none()) {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            _ = changed.changed() => Ok(()),
            () = again => Ok(()),
            () = sleep_until(until) => Err(nobody()),
            () = self.shut.cancelled() => Err(ChromiumError::Closed),
        }
    }

    /// The soonest that a worker said.
    pub(crate) fn retry_after(&self) -> Duration {
        self.directory.retry_after().map_or(AGAIN_AFTER, pace::retry_after)
    }

    /// The sum over all workers that answer.
    pub(crate) fn status(&self) -> PoolStatus {
        self.directory.status()
    }

    /// Each worker.
    pub(crate) fn standings(&self) -> Vec<WorkerStanding> {
        self.directory.standings()
    }

    /// Sets the gauges of how many workers stand how.
    pub(crate) fn record_metrics(&self) {
        self.directory.record_metrics();
    }

    /// Which characters the fonts of the first worker that says so draw. Workers of one installation are of one image.
    pub(crate) async fn fonts(&self) -> Result<Coverage, FontsError> {
        for worker in self.directory.each() {
            if worker.standing() != Standing::Ready {
                continue;
            }
            let Some(mut connection) = worker.connection().await else { continue };
            if let Ok(Some(coverage)) = connection.fonts().await {
                return Ok(coverage);
            }
        }
        Err(FontsError::NoWorker)
    }

    /// Takes no more, and cuts the waiting off.
    pub(crate) fn shut(&self) {
        self.shut.cancel();
    }

    pub(crate) fn is_shut(&self) -> bool {
        self.shut.is_cancelled()
    }

    /// Ends everything that goes on by itself.
    pub(crate) fn end(&self) {
        self.shut.cancel();
        self.directory.end();
    }

    /// Lets prints end until the deadline and closes all connections.
    pub(crate) async fn close(&self, deadline: Instant) {
        self.shut();
        let all = u32::try_from(self.options.prints.max(1)).unwrap_or(u32::MAX);
        if timeout_at(deadline, self.prints.acquire_many(all)).await.is_err() {
            tracing::warn!("prints were still with render workers when the connections had to close");
        }
        self.end();
        let _ = timeout_at(deadline.max(Instant::now() + Duration::from_secs(1)), self.directory.tasks.wait()).await;
    }
}

/// Of two refusals the one with the shorter wait.
fn sooner(other: Option<&ChromiumError>, queue_depth: usize, retry_after: Duration) -> ChromiumError {
    match other {
        Some(ChromiumError::Saturated { queue_depth, retry_after: earlier }) if *earlier <= retry_after => {
            ChromiumError::Saturated { queue_depth: *queue_depth, retry_after: *earlier }
        }
        _ => ChromiumError::Saturated { queue_depth, retry_after },
    }
}
