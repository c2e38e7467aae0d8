//! A browser of our own: start, print, ask, close.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tracing::{Instrument as _, debug_span};

use crate::page::Failure;
use crate::queue::Want;
use crate::slots::Slots;
use crate::{ChromiumError, Lane, PoolOptions, PoolStatus, PrintJob, Printed, Scripts, Timings, profile, scan, supervisor};

/// An attempt and one more.
const ATTEMPTS: u32 = 2;
/// After the deadline of [`LocalPool::close`], how long the killed processes may take to vanish.
const CLEARING: Duration = Duration::from_secs(10);

/// A pool of warm tabs in one supervised browser. Cheap to clone; the last handle dropped ends the browser.
#[derive(Debug, Clone)]
pub(crate) struct LocalPool(Arc<Owner>);

/// Ends the background work when the last handle is gone.
#[derive(Debug)]
struct Owner {
    slots: Arc<Slots>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.slots.shut();
        self.slots.closing.cancel();
    }
}

impl LocalPool {
    /// Starts a browser and all its tabs, each of which has printed a small page before this returns.
    ///
    /// Removes profile directories that dead processes left in the runtime directory.
    ///
    /// # Errors
    /// [`ChromiumError::Launch`] or [`ChromiumError::SandboxUnavailable`]; later failures never end the pool.
    pub(crate) async fn start(options: PoolOptions) -> Result<Self, ChromiumError> {
        match profile::sweep(&options.runtime_dir) {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "removed the profiles of browsers that are gone"),
            Err(error) => tracing::warn!(%error, "left-over profiles could not be removed"),
        }
        let options = Arc::new(PoolOptions { tabs: options.tabs.max(1), ..options });
        let slots = Slots::new(options);
        let pool = Self(Arc::new(Owner { slots: slots.clone() }));
        // So that a rate of them can be watched before the first has happened.
        metrics::counter!("pulp_chromium_browser_restarts_total", "reason" => "died").increment(0);
        metrics::counter!("pulp_chromium_retries_total").increment(0);
        let (browser, tabs) = supervisor::open_warm(&slots, 1).await?;
        slots.install(&browser, tabs);
        slots.spawn(supervisor::supervise(slots.clone(), browser));
        Ok(pool)
    }

    /// When a place in the queue is likely, between one second and one minute, from how long prints took lately.
    pub(crate) fn retry_after(&self) -> Duration {
        self.0.slots.retry_after()
    }

    /// Prints one document. Dropping the future gives its place in the queue back and cleans the tab.
    ///
    /// A job whose renderer or browser died is tried once more, elsewhere, before its deadline.
    ///
    /// # Errors
    /// Every variant of [`ChromiumError`] but those of starting.
    pub(crate) async fn print(&self, job: PrintJob, deadline: Instant) -> Result<Printed, ChromiumError> {
        let slots = &self.0.slots;
        let budgets = &slots.options.budgets;
        if job.html.len() > budgets.html_bytes {
            return Err(ChromiumError::PageTooLarge { limit_bytes: budgets.html_bytes, size_bytes: job.html.len() });
        }
        let lane = match job.scripts {
            Scripts::Off => scan(&job.html),
            Scripts::On => Lane::Script,
        };
        let large = job.html.len() >= budgets.large_html_bytes;
        let mut want = Want { large, tenant: job.tenant.clone(), priority: job.priority, again: false };
        let mut queue_wait = Duration::ZERO;
        for attempts in 1..=ATTEMPTS {
            let queued = Instant::now();
            let lease = slots.acquire(&want, deadline).instrument(debug_span!("queue")).await;
            queue_wait += queued.elapsed();
            // The waits that were in vain are the longest.
            metrics::histogram!("pulp_chromium_queue_wait_seconds").record(queued.elapsed());
            let lease = lease?;
            match lease.print(&job, lane, deadline).instrument(debug_span!("print", lane = lane.as_str(), attempts)).await {
                Ok(sheet) => {
                    let timings = Timings { queue_wait, load: sheet.load, print: sheet.print };
                    return Ok(Printed { pdf: sheet.pdf, lane, timings, attempts, blocked_requests: sheet.blocked_requests });
                }
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Lost(cause)) => {
                    tracing::warn!(?cause, attempts, lane = lane.as_str(), "a document lost its tab");
                    if slots.closing.is_cancelled() {
                        return Err(ChromiumError::Closed);
                    }
                    if attempts < ATTEMPTS {
                        metrics::counter!("pulp_chromium_retries_total").increment(1);
                        want.again = true;
                    }
                }
            }
        }
        Err(ChromiumError::Crashed { attempts: ATTEMPTS })
    }

    /// How the pool is doing right now.
    pub(crate) fn status(&self) -> PoolStatus {
        let slots = &self.0.slots;
        let counts = slots.counts();
        PoolStatus {
            tabs: slots.options.tabs,
            healthy_tabs: counts.healthy,
            in_use: counts.in_use,
            queued: counts.queued,
            browsers: slots.browsers.load(Ordering::Relaxed),
            restarts: slots.restarts.load(Ordering::Relaxed),
            recycles: slots.recycles.load(Ordering::Relaxed),
            version: counts.version,
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.slots.closing.is_cancelled()
    }

    /// Sends waiting jobs away, lets running ones finish until the deadline, then kills the browser. When it returns,
    /// neither a process nor a profile directory is left.
    pub(crate) async fn close(&self, deadline: Instant) {
        let slots = &self.0.slots;
        slots.shut();
        if timeout_at(deadline, slots.drained()).await.is_err() {
            tracing::warn!("prints were still running when the pool had to close");
        }
        slots.closing.cancel();
        slots.tasks.close();
        let clearing = deadline.max(Instant::now()) + CLEARING;
        if timeout_at(clearing, slots.tasks.wait()).await.is_err() {
            tracing::error!("the browser did not vanish in time");
        }
    }
}
