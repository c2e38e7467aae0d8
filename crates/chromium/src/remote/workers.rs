//! All workers of a replica: which there are, which of them prints a document, and what happens when it does not.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::address::Address;
use super::stream::Place;
use super::trust::{Security, Trust};
use super::worker::{Elsewhere, Standing, Worker};
use super::{RemoteError, whole_seconds};
use crate::fonts::{Coverage, FontsError};
use crate::{ChromiumError, Phase, PoolStatus, PrintJob, Printed};

/// How often names are asked for their addresses.
const RESOLVED_EVERY: Duration = Duration::from_secs(5);
/// How long that may take.
const RESOLVING: Duration = Duration::from_secs(3);
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
/// Names and addresses that a list of workers may lead to.
const MOST_WORKERS: usize = 256;
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

/// One worker, for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerStanding {
    /// Where it is.
    pub place: String,
    /// Whether it can be used.
    pub standing: Standing,
    /// What it said last; none while it does not answer.
    pub status: Option<PoolStatus>,
}

/// The workers.
#[derive(Debug)]
pub(crate) struct Workers {
    options: RemoteOptions,
    trust: Arc<Trust>,
    /// By the entry of the list that led to them.
    all: Mutex<HashMap<Address, Vec<Arc<Worker>>>>,
    changed: Arc<watch::Sender<u64>>,
    /// Whose turn it is among equals.
    turn: AtomicUsize,
    prints: Semaphore,
    waiting: Semaphore,
    shut: CancellationToken,
    closing: CancellationToken,
    tasks: TaskTracker,
}

impl Workers {
    /// Begins to look for the workers and waits a moment for the first answers. That none answers is no error: they may come.
    pub(crate) async fn connect(options: RemoteOptions) -> Result<Arc<Self>, RemoteError> {
        for reason in REASONS {
            metrics::counter!("pulp_render_worker_retries_total", "reason" => reason).increment(0);
        }
        metrics::gauge!("pulp_render_worker_connections").set(0);
        let trust = Trust::read(&options.security)?;
        Self::with_trust(options, trust).await
    }

    pub(crate) async fn with_trust(options: RemoteOptions, trust: Trust) -> Result<Arc<Self>, RemoteError> {
        if let Some(open) = options.workers.iter().find(|address| matches!(address, Address::Tcp { .. })).filter(|_| !trust.is_some()) {
            return Err(RemoteError::Unprotected { address: open.clone() });
        }
        let mut seed = [0; 2];
        // Replicas that start together should not all begin with the same one; without random bytes they do.
        let _ = getrandom::fill(&mut seed);
        let prints = Semaphore::new(options.prints.clamp(1, Semaphore::MAX_PERMITS));
        let workers = Arc::new(Self {
            options,
            trust: Arc::new(trust),
            all: Mutex::default(),
            changed: Arc::new(watch::Sender::new(0)),
            turn: AtomicUsize::new(usize::from(u16::from_le_bytes(seed))),
            prints,
            waiting: Semaphore::new(MOST_WAITING),
            shut: CancellationToken::new(),
            closing: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        for address in &workers.options.workers {
            let following = Arc::clone(&workers).follow(address.clone());
            let closing = workers.closing.clone();
            workers.tasks.spawn(async move { closing.run_until_cancelled(following).await });
        }
        let _ = timeout(FIRST_LOOK, workers.looked_at()).await;
        let ready = workers.each().iter().filter(|worker| worker.standing() == Standing::Ready).count();
        tracing::info!(ready, "render workers answer");
        Ok(workers)
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Address, Vec<Arc<Worker>>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn each(&self) -> Vec<Arc<Worker>> {
        self.all().values().flatten().cloned().collect()
    }

    /// Returns when every entry of the list has led somewhere, and everybody there has answered or failed to.
    async fn looked_at(&self) {
        let mut changed = self.changed.subscribe();
        loop {
            let all_found = self.all().len() == self.options.workers.len();
            if all_found && self.each().iter().all(|worker| worker.standing() != Standing::Unknown) {
                return;
            }
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    /// Keeps up with what one entry of the list leads to.
    async fn follow(self: Arc<Self>, address: Address) {
        let mut failed = false;
        loop {
            match places(&address).await {
                Ok(places) => {
                    failed = false;
                    self.are(&address, places);
                }
                // Those that were known go on.
                Err(reason) if !failed => {
                    failed = true;
                    tracing::warn!(%address, reason, "the name of the render workers leads nowhere");
                    self.all().entry(address.clone()).or_default();
                    self.tell();
                }
                Err(_) => {}
            }
            sleep(RESOLVED_EVERY).await;
        }
    }

    fn are(&self, address: &Address, mut places: Vec<Place>) {
        places.truncate(MOST_WORKERS);
        let mut all = self.all();
        let known = all.entry(address.clone()).or_default();
        let before = known.len();
        known.retain(|worker| {
            let stays = places.contains(&worker.place);
            if !stays {
                tracing::info!(worker = %worker.place, "a render worker is no longer listed");
                worker.ended.cancel();
            }
            stays
        });
        let went = known.len() < before;
        places.retain(|place| known.iter().all(|worker| worker.place != *place));
        let came = !places.is_empty();
        for place in places {
            let worker = Worker::new(place, Arc::clone(&self.trust), Arc::clone(&self.changed), self.closing.child_token());
            self.tasks.spawn(Arc::clone(&worker).watch());
            known.push(worker);
        }
        drop(all);
        if went || came || before == 0 {
            self.tell();
        }
    }

    fn tell(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    /// The worker with the least to do that was not asked yet; among equals they have turns.
    fn choose(&self, asked: &[Arc<Worker>]) -> Option<Arc<Worker>> {
        let candidates: Vec<_> = self
            .each()
            .into_iter()
            .filter(|worker| !asked.iter().any(|other| Arc::ptr_eq(other, worker)))
            .filter_map(|worker| Some((worker.load()?, worker)))
            .collect();
        let least = candidates.iter().map(|(load, _)| *load).min()?;
        let equal: Vec<_> = candidates.into_iter().filter(|(load, _)| *load == least).collect();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        equal.get(turn % equal.len()).map(|(_, worker)| Arc::clone(worker))
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
            let mut changed = self.changed.subscribe();
            let Some(worker) = self.choose(&asked) else {
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
            if self.each().iter().all(|worker| worker.load().is_none()) {
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

    /// The sum over all workers that answer.
    pub(crate) fn status(&self) -> PoolStatus {
        let mut sum = PoolStatus::default();
        for worker in self.each() {
            let Some(status) = worker.status() else { continue };
            let usable = if status.draining { 0 } else { status.pool.healthy_tabs };
            sum.tabs += status.pool.tabs;
            sum.healthy_tabs += usable;
            sum.in_use += status.pool.in_use;
            sum.queued += status.pool.queued;
            sum.browsers += status.pool.browsers;
            sum.restarts += status.pool.restarts;
            sum.recycles += status.pool.recycles;
            if sum.version.is_empty() {
                sum.version = status.pool.version;
            }
        }
        sum
    }

    /// Sets the gauges of how many workers stand how.
    pub(crate) fn record_metrics(&self) {
        let each = self.each();
        for state in ["unknown", "ready", "draining", "unreachable"] {
            let count = each.iter().filter(|worker| worker.standing().as_str() == state).count();
            metrics::gauge!("pulp_render_workers", "state" => state).set(u32::try_from(count).map_or(f64::INFINITY, f64::from));
        }
    }

    /// Each worker.
    pub(crate) fn standings(&self) -> Vec<WorkerStanding> {
        let mut standings: Vec<_> = self
            .each()
            .iter()
            .map(|worker| WorkerStanding {
                place: worker.place.to_string(),
                standing: worker.standing(),
                status: worker.status().map(|status| status.pool),
            })
            .collect();
        standings.sort_by(|one, other| one.place.cmp(&other.place));
        standings
    }

    /// The soonest that a worker said.
    pub(crate) fn retry_after(&self) -> Duration {
        let soonest = self.each().iter().filter_map(|worker| Some(worker.status()?.retry_after_ms)).min();
        soonest.map_or(AGAIN_AFTER, |ms| whole_seconds(Duration::from_millis(ms)))
    }

    /// Which characters the fonts of the first worker that says so draw. Workers of one installation are of one image.
    pub(crate) async fn fonts(&self) -> Result<Coverage, FontsError> {
        for worker in self.each() {
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
        self.closing.cancel();
        self.tasks.close();
    }

    /// Lets prints end until the deadline and closes all connections.
    pub(crate) async fn close(&self, deadline: Instant) {
        self.shut();
        let all = u32::try_from(self.options.prints.max(1)).unwrap_or(u32::MAX);
        if timeout_at(deadline, self.prints.acquire_many(all)).await.is_err() {
            tracing::warn!("prints were still with render workers when the connections had to close");
        }
        self.end();
        let _ = timeout_at(deadline.max(Instant::now() + Duration::from_secs(1)), self.tasks.wait()).await;
    }
}

/// What an entry of the list leads to.
async fn places(address: &Address) -> Result<Vec<Place>, String> {
    match address {
        Address::Unix(path) => Ok(vec![Place::Unix(path.clone())]),
        Address::Tcp { host, port } => {
            let looking = timeout(RESOLVING, lookup_host((host.as_str(), *port))).await;
            let found = looking.map_err(|_| format!("no answer within {RESOLVING:?}"))?.map_err(|error| error.to_string())?;
            let mut places: Vec<_> = found.map(|address| Place::Tcp(address, host.clone())).collect();
            places.dedup();
            Ok(places)
        }
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
