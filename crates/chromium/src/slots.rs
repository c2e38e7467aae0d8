//! Who has which tab: the idle ones, the queue in front of them, and the leases that are out.

use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::browser::Browser;
use crate::lease::Lease;
use crate::pace::{self, Pace, count};
use crate::queue::{Queue, Want};
use crate::session::CallError;
use crate::tab::{Purpose, Tab};
use crate::{ChromiumError, Phase, PoolOptions, Priority};

/// Failures in a row to open a tab after which the browser itself is taken for broken.
const OPEN_ATTEMPTS: u32 = 3;

/// The tabs of a pool and everything that waits for them.
#[derive(Debug)]
pub(crate) struct Slots {
    pub(crate) options: Arc<PoolOptions>,
    /// Work off the critical path; the pool's end waits for it.
    pub(crate) tasks: TaskTracker,
    /// Cancelled when the pool ends.
    pub(crate) closing: CancellationToken,
    /// Browsers that run right now.
    pub(crate) browsers: Arc<AtomicUsize>,
    pub(crate) restarts: AtomicU64,
    pub(crate) recycles: AtomicU64,
    runtime: Handle,
    state: Mutex<State>,
    returned: Notify,
    renewing: Arc<Semaphore>,
}

#[derive(Debug)]
struct State {
    open: bool,
    browser: Option<Arc<Browser>>,
    idle: Vec<Tab>,
    /// Prepared for the next document with scripts, once there has been one.
    scripted: Option<Tab>,
    queue: Queue<oneshot::Sender<Lease>>,
    in_use: usize,
    large_in_use: usize,
    batch_in_use: usize,
    pace: Pace,
}

/// What a lease counts against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    large: bool,
    batch: bool,
}

impl Held {
    fn by(want: &Want) -> Self {
        Self { large: want.large, batch: want.priority == Priority::Batch }
    }
}

/// The figures of a moment.
#[derive(Debug)]
pub(crate) struct Counts {
    pub(crate) healthy: usize,
    pub(crate) in_use: usize,
    pub(crate) queued: usize,
    pub(crate) version: String,
}

impl Slots {
    /// An empty set for this runtime.
    pub(crate) fn new(options: Arc<PoolOptions>) -> Arc<Self> {
        Arc::new(Self {
            options,
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            browsers: Arc::default(),
            restarts: AtomicU64::new(0),
            recycles: AtomicU64::new(0),
            runtime: Handle::current(),
            state: Mutex::new(State {
                open: true,
                browser: None,
                idle: Vec::new(),
                scripted: None,
                queue: Queue::default(),
                in_use: 0,
                large_in_use: 0,
                batch_in_use: 0,
                pace: Pace::of(0.05),
            }),
            returned: Notify::new(),
            renewing: Arc::new(Semaphore::new(1)),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs work that nobody waits for but the end of the pool.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn_on(work, &self.runtime);
    }

    /// Takes a tab, waiting in the queue when there is none.
    pub(crate) async fn acquire(self: &Arc<Self>, want: &Want, deadline: Instant) -> Result<Lease, ChromiumError> {
        let expired = ChromiumError::DeadlineExceeded { phase: Phase::Queue };
        if deadline <= Instant::now() {
            return Err(expired);
        }
        let (place, mut handed_over) = {
            let mut state = self.state();
            if !state.open {
                return Err(ChromiumError::Closed);
            }
            if let Some(tab) = self.take_idle(&mut state, want) {
                return Ok(Lease::new(self, tab, Held::by(want)));
            }
            if !want.again && state.queue.waiting(want.priority) >= self.options.queue_depth {
                return Err(self.saturated(&state));
            }
            // Whose turn would come too late is told so now, and not when its time is over.
            let expected = state.pace.wait_behind(state.queue.ahead_of(want), self.options.tabs);
            if !want.again && expected > deadline.saturating_duration_since(Instant::now()) {
                metrics::counter!("pulp_chromium_refused_by_deadline_total").increment(1);
                return Err(self.saturated(&state));
            }
            let (hand_over, handed_over) = oneshot::channel();
            let ticket = state.queue.push(want.clone(), hand_over);
            metrics::gauge!("pulp_chromium_queue_depth").set(count(state.queue.len()));
            (Place { slots: self, ticket }, handed_over)
        };
        let answer = timeout_at(deadline, &mut handed_over).await;
        drop(place);
        match answer {
            Ok(Ok(lease)) => Ok(lease),
            Ok(Err(_)) => Err(ChromiumError::Closed),
            Err(_) => Err(expired),
        }
    }

    fn saturated(&self, state: &State) -> ChromiumError {
        ChromiumError::Saturated { queue_depth: state.queue.len(), retry_after: self.likely_wait(state) }
    }

    /// How long a job that came now would wait, in whole seconds.
    pub(crate) fn retry_after(&self) -> Duration {
        self.likely_wait(&self.state())
    }

    fn likely_wait(&self, state: &State) -> Duration {
        pace::retry_after(state.pace.wait_behind(state.queue.waiting(Priority::Interactive), self.options.tabs))
    }

    /// Takes an idle tab that lives, for a want that may be served now.
    fn take_idle(self: &Arc<Self>, state: &mut State, want: &Want) -> Option<Tab> {
        // One tab is kept for small documents, where there is more than one.
        if want.large && state.large_in_use >= (self.options.tabs - 1).max(1) {
            return None;
        }
        // Batches leave the reserved tabs alone, and have one in any case.
        if want.priority == Priority::Batch && state.batch_in_use >= self.options.tabs.saturating_sub(self.options.reserved_tabs).max(1) {
            return None;
        }
        loop {
            let best = state.idle.iter().rposition(|tab| tab.tenant.as_deref() == Some(&want.tenant));
            let best = best.or_else(|| state.idle.iter().rposition(|tab| tab.tenant.is_none()));
            let tab = match best {
                Some(at) => state.idle.swap_remove(at),
                None => state.idle.pop()?,
            };
            if tab.is_alive() {
                state.count(Held::by(want));
                return Some(tab);
            }
            self.replace(tab, "crashed_idle");
        }
    }

    /// Serves the queue with what is idle. A large document that must wait does not hold up the small ones behind it, nor a
    /// batch that has as many tabs as it may.
    fn serve(self: &Arc<Self>, state: &mut State) {
        let mut at = 0;
        while !state.idle.is_empty() {
            let Some(want) = state.queue.want(at).cloned() else { break };
            let Some(tab) = self.take_idle(state, &want) else {
                at += 1;
                continue;
            };
            let held = Held::by(&want);
            let Some(waiter) = state.queue.take(at) else { break };
            if let Err(refused) = waiter.hand_over.send(Lease::new(self, tab, held)) {
                // Its caller left a moment ago.
                state.discount(held);
                state.idle.extend(refused.disarm());
            }
        }
        metrics::gauge!("pulp_chromium_queue_depth").set(count(state.queue.len()));
    }

    /// Ends a lease's count. The tab goes its own way, see [`Slots::put`] and [`Slots::replace`].
    pub(crate) fn end_lease(self: &Arc<Self>, held: Held, busy: Duration) {
        let mut state = self.state();
        state.discount(held);
        // The tab is idle by now, and whoever had to wait for its count alone may have it.
        if state.queue.len() > 0 {
            self.serve(&mut state);
        }
        state.pace.note(busy);
        drop(state);
        self.returned.notify_waiters();
    }

    /// Makes a tab available, if it belongs to the browser that serves now.
    pub(crate) fn put(self: &Arc<Self>, tab: Tab) {
        let mut state = self.state();
        let current = state.browser.as_ref().is_some_and(|browser| browser.generation == tab.browser.generation);
        if !current {
            drop(state);
            return self.spawn(tab.close());
        }
        state.idle.push(tab);
        self.serve(&mut state);
    }

    /// Closes a tab and makes another in its place, off the critical path.
    pub(crate) fn replace(self: &Arc<Self>, tab: Tab, reason: &'static str) {
        self.replace_in_turn(tab, reason, None);
    }

    /// The right to replace a tab that could also go on, for one at a time.
    pub(crate) fn turn_to_renew(&self) -> Option<OwnedSemaphorePermit> {
        self.renewing.clone().try_acquire_owned().ok()
    }

    /// [`Slots::replace`], with the turn that ends when the new tab is there.
    pub(crate) fn replace_in_turn(self: &Arc<Self>, tab: Tab, reason: &'static str, turn: Option<OwnedSemaphorePermit>) {
        tracing::info!(reason, prints = tab.prints, "a tab is replaced");
        metrics::counter!("pulp_chromium_tab_restarts_total", "reason" => reason).increment(1);
        let slots = self.clone();
        self.spawn(async move {
            let browser = tab.browser.clone();
            tab.close().await;
            slots.refill(browser).await;
            drop(turn);
        });
    }

    /// Opens one more tab in this browser, if it still serves. A browser that cannot is killed, and the supervisor goes on.
    pub(crate) async fn refill(self: Arc<Self>, browser: Arc<Browser>) {
        for _ in 0..OPEN_ATTEMPTS {
            if !self.serves(&browser) {
                return;
            }
            match Tab::open_warm(&browser).await {
                Ok(tab) => return self.put(tab),
                // It hangs, and nobody has use of it any more: another try would only take as long again.
                Err(CallError::TimedOut) if self.is_idle_and_empty() => break,
                Err(error) if browser.is_alive() => tracing::warn!(?error, "a tab could not be opened"),
                Err(_) => return,
            }
        }
        if self.serves(&browser) {
            tracing::error!("the browser opens no more tabs and is killed");
            browser.kill();
        }
    }

    fn is_idle_and_empty(&self) -> bool {
        let state = self.state();
        state.idle.is_empty() && state.in_use == 0
    }

    fn serves(&self, browser: &Arc<Browser>) -> bool {
        browser.is_alive()
            && !self.closing.is_cancelled()
            && self.state().browser.as_ref().is_some_and(|current| current.generation == browser.generation)
    }

    /// From now on this browser serves with these tabs; idle tabs of its predecessor are closed.
    pub(crate) fn install(self: &Arc<Self>, browser: &Arc<Browser>, tabs: Vec<Tab>) {
        let mut state = self.state();
        state.browser = Some(browser.clone());
        let old = std::mem::replace(&mut state.idle, tabs);
        let old_scripted = state.scripted.take();
        self.serve(&mut state);
        drop(state);
        for tab in old.into_iter().chain(old_scripted) {
            self.spawn(tab.close());
        }
    }

    /// The serving browser is gone: nothing idle of it is given out any more.
    pub(crate) fn uninstall(&self) {
        let mut state = self.state();
        state.browser = None;
        let dead = (std::mem::take(&mut state.idle), state.scripted.take());
        drop(state);
        drop(dead);
    }

    /// Replaces idle tabs whose renderer has died.
    pub(crate) fn replace_dead(self: &Arc<Self>) {
        let mut state = self.state();
        let dead: Vec<Tab> = state.idle.extract_if(.., |tab| !tab.is_alive()).collect();
        drop(state);
        for tab in dead {
            self.replace(tab, "crashed_idle");
        }
    }

    /// The tab prepared for a document with scripts, or one made now.
    pub(crate) async fn scripted(&self, browser: &Arc<Browser>) -> Result<Tab, CallError> {
        let prepared = self.state().scripted.take();
        match prepared {
            Some(tab) if tab.is_alive() && tab.browser.generation == browser.generation => Ok(tab),
            stale => {
                if let Some(tab) = stale {
                    self.spawn(tab.close());
                }
                Tab::open(browser, Purpose::Scripted).await
            }
        }
    }

    /// Prepares a tab for the next document with scripts, off the critical path.
    pub(crate) fn prepare_scripted(self: &Arc<Self>, browser: Arc<Browser>) {
        let slots = self.clone();
        self.spawn(async move {
            if !slots.serves(&browser) || slots.state().scripted.is_some() {
                return;
            }
            let Ok(tab) = Tab::open(&browser, Purpose::Scripted).await else { return };
            let surplus = {
                let mut state = slots.state();
                let current = state.browser.as_ref().is_some_and(|current| current.generation == browser.generation);
                if current { state.scripted.replace(tab) } else { Some(tab) }
            };
            if let Some(tab) = surplus {
                tab.close().await;
            }
        });
    }

    /// Accepts no more jobs and sends the waiting ones away.
    pub(crate) fn shut(&self) {
        let mut state = self.state();
        state.open = false;
        state.queue.clear();
        metrics::gauge!("pulp_chromium_queue_depth").set(0);
    }

    /// Returns when no lease is out.
    pub(crate) async fn drained(&self) {
        loop {
            let returned = self.returned.notified();
            tokio::pin!(returned);
            returned.as_mut().enable();
            if self.state().in_use == 0 {
                return;
            }
            returned.await;
        }
    }

    /// The figures right now.
    pub(crate) fn counts(&self) -> Counts {
        let state = self.state();
        Counts {
            healthy: state.in_use + state.idle.iter().filter(|tab| tab.is_alive()).count(),
            in_use: state.in_use,
            queued: state.queue.len(),
            version: state.browser.as_ref().map_or_else(String::new, |browser| browser.product().to_owned()),
        }
    }
}

impl State {
    fn count(&mut self, held: Held) {
        self.in_use += 1;
        self.large_in_use += usize::from(held.large);
        self.batch_in_use += usize::from(held.batch);
    }

    fn discount(&mut self, held: Held) {
        self.in_use -= 1;
        self.large_in_use -= usize::from(held.large);
        self.batch_in_use -= usize::from(held.batch);
    }
}

/// A place in the queue; dropping it gives it back.
struct Place<'a> {
    slots: &'a Slots,
    ticket: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.slots.state();
        state.queue.leave(self.ticket);
        metrics::gauge!("pulp_chromium_queue_depth").set(count(state.queue.len()));
    }
}
