//! What is kept of a render: noted while it runs, queued when it ends, written in groups while nobody waits.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::ids::UsageId;
use domain::templates::{TemplateKey, TemplateVersion};
use domain::usage::{RenderMode, RenderOutcome};
use domain::{Clock, ErrorCode, Month, TenantId};
use jiff::Timestamp;
use store::{MAX_USAGE_INSERT_ROWS, NewUsage, Outage, Store, StoreError};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::labels::Via;
use crate::quotas::{Gate, Turn};
use crate::request::{Attribution, Format, RenderRequest, Source};
use crate::tallies::{MetricLabels, Tallies};
use crate::usage_queue::{Batch, Queue};

/// How rows of usage are kept until they are written.
#[derive(Clone, Debug)]
pub struct UsageOptions {
    /// The most rows that wait; of more, the oldest are dropped. Default 20,000: a minute of 300 renders per second.
    pub queue_rows: usize,
    /// About the most bytes of memory that waiting rows take. Default 32 MiB.
    pub queue_bytes: usize,
    /// A row waits no longer than this for others to be written with. Default 100 ms.
    pub flush_after: Duration,
    /// So many rows are written at once without waiting for more. Default 500.
    pub flush_rows: usize,
    /// Which names metrics show. Default none.
    pub labels: MetricLabels,
}

impl Default for UsageOptions {
    fn default() -> Self {
        Self {
            queue_rows: 20_000,
            queue_bytes: 32 * 1024 * 1024,
            flush_after: Duration::from_millis(100),
            flush_rows: 500,
            labels: MetricLabels::default(),
        }
    }
}

/// The first and the longest pause after a write that failed.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// Tenants whose limits are read with one statement.
const TENANTS_AT_ONCE: usize = 1_000;

/// The rows on their way, and the limits that go by them. Cloning shares everything.
#[derive(Clone)]
pub(crate) struct Usage(Arc<Inner>);

struct Inner {
    store: Store,
    clock: Clock,
    options: UsageOptions,
    tallies: Tallies,
    gate: Gate,
    queue: Mutex<Queue>,
    wake: Arc<Notify>,
    /// Held while rows are written or limits read, so that sums never go back in time.
    turn: tokio::sync::Mutex<()>,
    /// So many of the next rows are written one by one, because one of them is refused.
    carefully: AtomicUsize,
    closed: AtomicBool,
}

impl Usage {
    pub(crate) fn new(store: Store, clock: Clock, options: UsageOptions) -> Self {
        let wake = Arc::new(Notify::new());
        Self(Arc::new(Inner {
            store,
            clock,
            gate: Gate::new(Arc::clone(&wake)),
            queue: Mutex::new(Queue::new(options.queue_rows, options.queue_bytes)),
            tallies: Tallies::new(options.labels.clone()),
            options,
            wake,
            turn: tokio::sync::Mutex::default(),
            carefully: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        }))
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.0.gate
    }

    /// Begins to note a render that was let through.
    pub(crate) fn begin(&self, request: &mut RenderRequest, turn: Turn, started: Instant) -> Record {
        let template = match &request.source {
            Source::Stored { key, .. } => Some(key.clone()),
            Source::Inline(_) => None,
        };
        Record {
            usage: self.clone(),
            turn,
            started,
            tenant: request.tenant.clone(),
            template,
            format: request.format,
            attribution: std::mem::take(&mut request.attribution),
            version: None,
            via: None,
            data_sha256: None,
            settled: false,
        }
    }

    fn push(&self, row: NewUsage) {
        if self.0.closed.load(Ordering::SeqCst) {
            self.lost(&[Arc::new(row)], "shutdown");
            return;
        }
        let mut queue = self.queue();
        let dropped = queue.push(row, Instant::now());
        let waiting = queue.len();
        drop(queue);
        // The first row starts the wait for more, and the last one that fits into a group ends it.
        if waiting == 1 || waiting == self.0.options.flush_rows {
            self.0.wake.notify_one();
        }
        self.lost(&dropped, "queue_full");
    }

    /// Counts rows that will never be written.
    fn lost(&self, rows: &[Arc<NewUsage>], why: &'static str) {
        if !rows.is_empty() {
            metrics::counter!("pulp_usage_rows_dropped_total", "reason" => why).increment(rows.len() as u64);
            self.0.gate.flushed(rows.iter().map(AsRef::as_ref), &[]);
        }
    }

    /// Writes rows and reads limits until it is drained or the store is closed.
    pub(crate) async fn keep(self) {
        let mut failures = 0;
        let mut not_before = Instant::now();
        while !self.0.closed.load(Ordering::SeqCst) {
            match self.due_at(not_before) {
                None => self.0.wake.notified().await,
                Some(due) if due > Instant::now() => drop(timeout_at(due, self.0.wake.notified()).await),
                Some(_) => {}
            }
            let _turn = self.0.turn.lock().await;
            self.read_limits().await;
            if self.due_at(not_before).is_none_or(|due| due > Instant::now()) {
                continue;
            }
            match self.flush().await {
                Ok(()) => failures = 0,
                Err(StoreError::Unavailable { why: Outage::Closed, .. }) => return,
                Err(error) => {
                    failures += 1;
                    not_before = Instant::now() + pause(failures);
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(%error, cause, waiting = self.queue().len(), "usage could not be written; it is kept and tried again");
                }
            }
        }
    }

    /// When the next rows are to be written; none while there are none.
    fn due_at(&self, not_before: Instant) -> Option<Instant> {
        let queue = self.queue();
        let since = queue.oldest_since()?;
        let full = queue.len() >= self.0.options.flush_rows;
        Some(if full { since } else { since + self.0.options.flush_after }.max(not_before))
    }

    async fn read_limits(&self) {
        loop {
            let wanted = self.0.gate.take_wanted(TENANTS_AT_ONCE);
            if wanted.is_empty() {
                return;
            }
            let month = Month::of(self.0.clock.now());
            match self.0.store.tenants().quotas(&wanted, month).await {
                Ok(found) => self.0.gate.loaded(&wanted, month, found),
                Err(error) => {
                    tracing::debug!(%error, tenants = wanted.len(), "limits could not be read");
                    self.0.gate.not_loaded(&wanted);
                }
            }
        }
    }

    /// Writes the oldest rows, as many as one statement takes. What fails stays.
    async fn flush(&self) -> Result<(), StoreError> {
        let carefully = self.0.carefully.load(Ordering::SeqCst);
        let most = if carefully > 0 { 1 } else { MAX_USAGE_INSERT_ROWS };
        let Some(batch) = self.queue().batch(most) else { return Ok(()) };
        let started = Instant::now();
        let written = self.0.store.usage().insert(&batch.rows).await;
        metrics::histogram!("pulp_usage_flush_seconds").record(started.elapsed().as_secs_f64());
        match written {
            Ok(periods) => {
                let rows = self.queue().remove(&batch);
                self.0.carefully.store(carefully.saturating_sub(1), Ordering::SeqCst);
                self.0.gate.flushed(rows.iter().map(AsRef::as_ref), &periods);
                metrics::counter!("pulp_usage_rows_written_total").increment(batch.rows.len() as u64);
                Ok(())
            }
            // One row that its table will never take must not keep all others from it.
            Err(StoreError::Refused { what }) => {
                if batch.rows.len() == 1 {
                    self.refused(&batch, &what);
                    self.0.carefully.store(carefully.saturating_sub(1), Ordering::SeqCst);
                } else {
                    self.0.carefully.store(batch.rows.len(), Ordering::SeqCst);
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn refused(&self, batch: &Batch, rule: &str) {
        tracing::error!(rule, "the database refuses a row of usage; it is dropped");
        let rows = self.queue().remove(batch);
        self.lost(&rows, "refused");
    }

    /// Writes what waits, until `deadline` at the latest; gives how many rows were lost. Rows that come later are lost.
    pub(crate) async fn drain(&self, deadline: Instant) -> usize {
        let mut pause_before_retry = Duration::ZERO;
        while self.queue().len() > 0 && Instant::now() < deadline {
            let flush = async {
                tokio::time::sleep(pause_before_retry).await;
                let _turn = self.0.turn.lock().await;
                self.flush().await
            };
            match timeout_at(deadline, flush).await {
                Ok(Ok(())) => pause_before_retry = Duration::ZERO,
                Ok(Err(StoreError::Unavailable { why: Outage::Closed, .. })) | Err(_) => break,
                Ok(Err(_)) => pause_before_retry = PAUSES.0,
            }
        }
        self.0.closed.store(true, Ordering::SeqCst);
        self.0.wake.notify_one();
        let mut queue = self.queue();
        let Some(left) = queue.batch(usize::MAX) else { return 0 };
        let left = queue.remove(&left);
        drop(queue);
        self.lost(&left, "shutdown");
        tracing::warn!(rows = left.len(), "usage could not be written before the end; these renders are in no log");
        left.len()
    }

    /// Sets the gauge `pulp_usage_queue_rows`; call it before the metrics are read.
    pub(crate) fn record_metrics(&self) {
        let rows = u32::try_from(self.queue().len()).unwrap_or(u32::MAX);
        metrics::gauge!("pulp_usage_queue_rows").set(f64::from(rows));
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Every change to it is complete before anything could panic.
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Doubles with each failure.
fn pause(failures: u32) -> Duration {
    PAUSES.0.saturating_mul(2_u32.saturating_pow(failures.min(16).saturating_sub(1))).min(PAUSES.1)
}

/// A render that is being noted. Dropped without an end, its caller went away.
pub(crate) struct Record {
    usage: Usage,
    turn: Turn,
    started: Instant,
    tenant: TenantId,
    template: Option<TemplateKey>,
    format: Format,
    attribution: Attribution,
    pub(crate) version: Option<TemplateVersion>,
    pub(crate) via: Option<Via>,
    pub(crate) data_sha256: Option<[u8; 32]>,
    settled: bool,
}

/// What came out.
#[derive(Default)]
pub(crate) struct Output {
    pub(crate) pages: u32,
    pub(crate) size_bytes: u64,
    pub(crate) sha256: Option<[u8; 32]>,
}

impl Record {
    /// Through which door it came.
    pub(crate) fn mode(&self) -> RenderMode {
        self.attribution.mode
    }

    /// Ends the noting; gives the id of the row.
    pub(crate) fn end(mut self, outcome: RenderOutcome, output: &Output) -> UsageId {
        self.settle(outcome, output)
    }

    fn settle(&mut self, outcome: RenderOutcome, output: &Output) -> UsageId {
        self.settled = true;
        let rendered_at = self.usage.0.clock.now();
        let attribution = std::mem::take(&mut self.attribution);
        let row = NewUsage {
            tenant: self.tenant.clone(),
            usage_id: UsageId::generate_at(rendered_at),
            rendered_at: whole_microseconds(rendered_at),
            actor: attribution.actor,
            template: self.template.take(),
            version: self.version,
            label: self.via.take().map(|via| String::from(via.label).into()),
            format: self.format.as_str(),
            mode: attribution.mode,
            outcome,
            duration_ms: u32::try_from(self.started.elapsed().as_millis()).unwrap_or(u32::MAX),
            pages: output.pages,
            size_bytes: output.size_bytes,
            data_sha256: self.data_sha256,
            output_sha256: output.sha256,
            metadata: attribution.metadata,
            correlation_id: attribution.correlation_id,
        };
        let usage_id = row.usage_id;
        // Counted before it can be written, so that what is written is never taken off first.
        self.turn.settle(&row);
        self.usage.0.tallies.count(&row);
        self.usage.push(row);
        usage_id
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if !self.settled {
            let panicked = std::thread::panicking();
            let outcome = if panicked { RenderOutcome::Failed(ErrorCode::InternalError) } else { RenderOutcome::Cancelled };
            self.settle(outcome, &Output::default());
        }
    }
}

/// As Postgres keeps it; a row's month must be the same here and there.
fn whole_microseconds(moment: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(moment.as_microsecond()).unwrap_or(moment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_after_failures_grow_to_a_bound() {
        assert_eq!(pause(1), PAUSES.0);
        assert!((1..40).all(|failures| pause(failures) <= PAUSES.1 && pause(failures) <= pause(failures + 1)));
    }
}
