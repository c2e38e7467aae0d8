//! Which workers there are: the entries of the list, the addresses that names lead to, and how each of them stands.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::address::Address;
use super::stream::Place;
use super::trust::Trust;
use super::worker::{Standing, Worker};
use crate::PoolStatus;

/// How often names are asked for their addresses.
const RESOLVED_EVERY: Duration = Duration::from_secs(5);
/// How long that may take.
const RESOLVING: Duration = Duration::from_secs(3);
/// Addresses that one name may lead to.
const MOST_WORKERS: usize = 256;

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

/// The workers that are known.
#[derive(Debug)]
pub(crate) struct Directory {
    addresses: Vec<Address>,
    trust: Arc<Trust>,
    /// By the entry of the list that led to them.
    all: Mutex<HashMap<Address, Vec<Arc<Worker>>>>,
    changed: Arc<watch::Sender<u64>>,
    /// Whose turn it is among equals.
    turn: AtomicUsize,
    closing: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

impl Directory {
    /// Begins to look for them.
    pub(crate) fn begin(addresses: Vec<Address>, trust: Trust) -> Arc<Self> {
        let mut seed = [0; 2];
        // Replicas that start together should not all begin with the same one; without random bytes they do.
        let _ = getrandom::fill(&mut seed);
        let directory = Arc::new(Self {
            addresses,
            trust: Arc::new(trust),
            all: Mutex::default(),
            changed: Arc::new(watch::Sender::new(0)),
            turn: AtomicUsize::new(usize::from(u16::from_le_bytes(seed))),
            closing: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        for address in &directory.addresses {
            let following = Arc::clone(&directory).follow(address.clone());
            let closing = directory.closing.clone();
            directory.tasks.spawn(async move { closing.run_until_cancelled(following).await });
        }
        directory
    }

    /// Hears of every change of a standing from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Looks and asks no more.
    pub(crate) fn end(&self) {
        self.closing.cancel();
        self.tasks.close();
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Address, Vec<Arc<Worker>>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn each(&self) -> Vec<Arc<Worker>> {
        self.all().values().flatten().cloned().collect()
    }

    /// Returns when every entry of the list has led somewhere, and everybody there has answered or failed to.
    pub(crate) async fn looked_at(&self) {
        let mut changed = self.changed.subscribe();
        loop {
            let all_found = self.all().len() == self.addresses.len();
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
    pub(crate) fn choose(&self, asked: &[Arc<Worker>]) -> Option<Arc<Worker>> {
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

    /// The sum over all workers that answer.
    pub(crate) fn status(&self) -> PoolStatus {
        let mut sum = PoolStatus::default();
        let mut counted = HashSet::new();
        for worker in self.each() {
            // A machine with two addresses under one name is still one worker.
            let Some(status) = worker.status().filter(|status| counted.insert(status.instance)) else { continue };
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

    /// When a place is likely, by the soonest word of a worker; none when none answers.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.each().iter().filter_map(|worker| Some(worker.status()?.retry_after_ms)).min().map(Duration::from_millis)
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
