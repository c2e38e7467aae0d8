//! The containers as one pool: as many warm ones as print at once, each of which the next document gets to itself.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::vessel::{self, Vessel};
use super::{ContainerError, ContainerOptions};
use crate::pace::{self, Pace};
use crate::queue::{Queue, Want};
use crate::{ChromiumError, Phase, PoolStatus, PrintJob, Printed, Priority};

/// A document whose container died gets one more.
const ATTEMPTS: u32 = 2;
/// Containers that are started at once: each takes a processor for half a second.
const STARTING: usize = 2;
/// The shortest and the longest pause after a container that did not start.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// The containers.
#[derive(Debug)]
pub(crate) struct Containers {
    options: Arc<ContainerOptions>,
    state: Mutex<State>,
    /// Somebody waits for a container.
    wanted: Notify,
    /// Places of prints: a successor is warm while its predecessor still prints.
    places: Arc<Semaphore>,
    starting: Semaphore,
    warm: AtomicUsize,
    started: AtomicU64,
    died: AtomicU64,
    shut: CancellationToken,
    closing: CancellationToken,
    tasks: TaskTracker,
}

#[derive(Debug)]
struct State {
    queue: Queue<oneshot::Sender<Handed>>,
    pace: Pace,
    version: String,
    failing: bool,
}

/// A container and the place to use it.
#[derive(Debug)]
struct Handed {
    vessel: Vessel,
    _place: OwnedSemaphorePermit,
}

impl Containers {
    /// Removes left-overs and starts the first container, to know that it can be done; the others follow.
    pub(crate) async fn start(options: ContainerOptions) -> Result<Arc<Self>, ContainerError> {
        let refused = |options: &ContainerOptions, reason: String| ContainerError {
            runtime: options.runtime.clone(),
            image: options.image.clone(),
            reason,
        };
        match vessel::sweep(&options).await.map_err(|reason| refused(&options, reason))? {
            0 => {}
            count => tracing::info!(count, "removed the render containers of a predecessor"),
        }
        metrics::counter!("pulp_render_containers_total", "outcome" => "failed").increment(0);
        let tabs = options.tabs.max(1);
        let containers = Arc::new(Self {
            options: Arc::new(options),
            state: Mutex::new(State { queue: Queue::default(), pace: Pace::of(0.1), version: String::new(), failing: false }),
            wanted: Notify::new(),
            places: Arc::new(Semaphore::new(tabs)),
            starting: Semaphore::new(STARTING),
            warm: AtomicUsize::new(0),
            started: AtomicU64::new(0),
            died: AtomicU64::new(0),
            shut: CancellationToken::new(),
            closing: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        let first = containers.launch().await.map_err(|reason| refused(&containers.options, reason))?;
        let mut first = Some(first);
        for _ in 0..tabs {
            let keeping = Arc::clone(&containers).keep(first.take());
            let closing = containers.closing.clone();
            containers.tasks.spawn(async move {
                closing.run_until_cancelled(keeping).await;
            });
        }
        Ok(containers)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn launch(&self) -> Result<Vessel, String> {
        let _turn = self.starting.acquire().await.map_err(|error| error.to_string())?;
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let label = self.options.label.rsplit('=').next().unwrap_or_default();
        let name: String = label.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect();
        let launched = Vessel::launch(&self.options, format!("pulp-render-{name}-{number}"), &self.tasks).await;
        let outcome = if launched.is_ok() { "started" } else { "failed" };
        metrics::counter!("pulp_render_containers_total", "outcome" => outcome).increment(1);
        let mut vessel = launched?;
        if self.state().version.is_empty() {
            let version = vessel.version().await.unwrap_or_default();
            self.state().version = version;
        }
        Ok(vessel)
    }

    /// Keeps one container warm, hands it to the next document, and starts its successor.
    async fn keep(self: Arc<Self>, mut first: Option<Vessel>) {
        let mut pause = PAUSES.0;
        loop {
            let launched = match first.take() {
                Some(vessel) => Ok(vessel),
                None => self.launch().await,
            };
            let mut vessel = match launched {
                Ok(vessel) => vessel,
                Err(reason) => {
                    // Once, and not at every try.
                    if !std::mem::replace(&mut self.state().failing, true) {
                        tracing::error!(reason, "render containers do not start; it is tried again until they do");
                    }
                    sleep(pause).await;
                    pause = (pause * 2).min(PAUSES.1);
                    continue;
                }
            };
            pause = PAUSES.0;
            if std::mem::replace(&mut self.state().failing, false) {
                tracing::info!("render containers start again");
            }
            self.warm.fetch_add(1, Ordering::Relaxed);
            let warm = Warm(&self.warm);
            let handed = tokio::select! {
                handed = self.next_waiter() => Some(handed),
                () = vessel.ended() => None,
            };
            drop(warm);
            if let Some((waiter, place)) = handed {
                // A document that has left meanwhile costs its container, and nobody a wait.
                drop(waiter.send(Handed { vessel, _place: place }));
            } else {
                self.died.fetch_add(1, Ordering::Relaxed);
                tracing::warn!("a render container ended before it was used");
                sleep(pause).await;
            }
        }
    }

    /// Whose turn it is, and a place for it.
    async fn next_waiter(&self) -> (oneshot::Sender<Handed>, OwnedSemaphorePermit) {
        loop {
            let wanted = self.wanted.notified();
            tokio::pin!(wanted);
            wanted.as_mut().enable();
            if let Ok(place) = Arc::clone(&self.places).try_acquire_owned()
                && let Some(waiter) = self.next_in_line()
            {
                return (waiter, place);
            }
            wanted.await;
        }
    }

    fn next_in_line(&self) -> Option<oneshot::Sender<Handed>> {
        let mut state = self.state();
        std::iter::from_fn(|| state.queue.take(0)).map(|waiter| waiter.hand_over).find(|hand_over| !hand_over.is_closed())
    }

    /// Prints one document in a container of its own.
    pub(crate) async fn print(&self, job: &PrintJob, deadline: Instant) -> Result<Printed, ChromiumError> {
        let limit_bytes = self.options.html_bytes;
        if job.html.len() > limit_bytes {
            return Err(ChromiumError::PageTooLarge { limit_bytes, size_bytes: job.html.len() });
        }
        let mut want = Want { large: false, tenant: job.tenant.clone(), priority: job.priority, again: false };
        let mut queue_wait = Duration::ZERO;
        for attempts in 1..=ATTEMPTS {
            let queued = Instant::now();
            let handed = self.acquire(&want, deadline).await?;
            queue_wait += queued.elapsed();
            let began = Instant::now();
            let Handed { vessel, _place: place } = handed;
            let outcome = vessel.print(job, deadline, self.options.output_bytes).await;
            drop(place);
            self.note(began.elapsed());
            match outcome {
                Ok(Ok(mut printed)) => {
                    printed.timings.queue_wait += queue_wait;
                    printed.attempts = attempts;
                    return Ok(printed);
                }
                Ok(Err(error)) => return Err(error),
                Err(cause) => {
                    tracing::warn!(?cause, attempts, "a document lost its container");
                    self.died.fetch_add(1, Ordering::Relaxed);
                    want.again = true;
                }
            }
        }
        Err(ChromiumError::Crashed { attempts: ATTEMPTS })
    }

    async fn acquire(&self, want: &Want, deadline: Instant) -> Result<Handed, ChromiumError> {
        if self.shut.is_cancelled() {
            return Err(ChromiumError::Closed);
        }
        let expired = ChromiumError::DeadlineExceeded { phase: Phase::Queue };
        if deadline <= Instant::now() {
            return Err(expired);
        }
        let (hand_over, handed_over) = oneshot::channel();
        let ticket = {
            let mut state = self.state();
            if !want.again && state.queue.waiting(want.priority) >= self.options.queue_depth {
                return Err(ChromiumError::Saturated { queue_depth: state.queue.len(), retry_after: self.likely_wait(&state) });
            }
            state.queue.push(want.clone(), hand_over)
        };
        let _leave = Leave { containers: self, ticket };
        self.wanted.notify_waiters();
        match timeout_at(deadline, handed_over).await {
            Ok(Ok(handed)) => Ok(handed),
            Ok(Err(_)) => Err(ChromiumError::Closed),
            Err(_) => Err(expired),
        }
    }

    fn note(&self, took: Duration) {
        let mut state = self.state();
        state.pace.note(took);
        drop(state);
        self.wanted.notify_waiters();
    }

    fn likely_wait(&self, state: &State) -> Duration {
        pace::retry_after(state.pace.wait_behind(state.queue.waiting(Priority::Interactive), self.options.tabs.max(1)))
    }

    pub(crate) fn retry_after(&self) -> Duration {
        self.likely_wait(&self.state())
    }

    pub(crate) fn status(&self) -> PoolStatus {
        let (queued, version) = {
            let state = self.state();
            (state.queue.len(), state.version.clone())
        };
        let tabs = self.options.tabs.max(1);
        let in_use = tabs - self.places.available_permits();
        let warm = self.warm.load(Ordering::Relaxed);
        let started = self.started.load(Ordering::Relaxed);
        PoolStatus {
            tabs,
            healthy_tabs: (warm + in_use).min(tabs),
            in_use,
            queued,
            browsers: warm + in_use,
            restarts: self.died.load(Ordering::Relaxed),
            recycles: started,
            version,
        }
    }

    pub(crate) fn is_shut(&self) -> bool {
        self.shut.is_cancelled()
    }

    /// Ends everything that goes on by itself; containers are removed as they are dropped.
    pub(crate) fn end(&self) {
        self.shut.cancel();
        self.state().queue.clear();
        self.closing.cancel();
        self.tasks.close();
    }

    /// Lets prints end until the deadline and removes all containers.
    pub(crate) async fn close(&self, deadline: Instant) {
        self.shut.cancel();
        self.state().queue.clear();
        let all = u32::try_from(self.options.tabs.max(1)).unwrap_or(u32::MAX);
        if timeout_at(deadline, self.places.acquire_many(all)).await.is_err() {
            tracing::warn!("prints were still running in containers when the pool had to close");
        }
        self.end();
        if timeout_at(deadline.max(Instant::now() + Duration::from_secs(20)), self.tasks.wait()).await.is_err() {
            tracing::error!("render containers did not vanish in time");
        }
    }
}

/// Counts as warm for as long as it lives.
struct Warm<'a>(&'a AtomicUsize);

impl Drop for Warm<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A place in the queue; dropping it gives it back.
struct Leave<'a> {
    containers: &'a Containers,
    ticket: u64,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.containers.state().queue.leave(self.ticket);
    }
}
