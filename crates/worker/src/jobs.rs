//! The documents of jobs: taken from the queue, rendered as requests are, kept, and entered as ended.
//!
//! Every replica takes as many as it has room for. What it holds it renews at a third of the lease, all with one statement;
//! what it lost it throws away. Nothing is held while the database is waited for but the item itself.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::ErrorCode;
use domain::documents::{DocumentName, DocumentSource};
use domain::ids::JobId;
use domain::jobs::{JobKind, pause_after};
use domain::options::Disposition;
use domain::usage::RenderMode;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use render::render_body::{self, Asker, RefusedBody};
use render::{Blame, Format, Origin, Outputs, RenderError, RenderRequest, Renderer, Source};
use serde_json::Value;
use store::{Attempt, ChangeEvent, ClaimedItem, ItemEnd, ItemLease, ItemOutcome, ItemOutput, LeaseKind, Store, StoreError};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::jitter::jittered;

/// From one look at the queue to the next when nobody says that there is something, give or take a tenth.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The first and the longest pause after the queue could not be asked, or something that documents need was away.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
/// How long a stop waits for documents that are being made before it gives them back.
const DRAIN: Duration = Duration::from_secs(5);
/// How long a stop waits for the database to take one back; without that its lease ends by itself.
const GIVE_BACK: Duration = Duration::from_secs(2);
/// How long it is tried to enter how a document ended. Its bytes are kept; after that somebody makes it again.
const ENTERED_WITHIN: Duration = Duration::from_mins(10);
/// How often the length of the queue is measured, and up to where.
const MEASURE_EVERY: Duration = Duration::from_secs(15);
const MEASURED: u32 = 100_000;

/// How this replica takes part in the work of jobs.
#[derive(Clone, Copy, Debug)]
pub struct JobOptions {
    /// Documents that are made at once, 1 or more.
    pub concurrency: usize,
    /// How long after the death of its replica a document is somebody else's: half a minute. It is renewed at a third of that.
    pub lease_for: Duration,
    /// Attempts at a document that count before it fails, 1 or more.
    pub max_attempts: u32,
    /// How long a job is kept after its end.
    pub retention: Duration,
    /// How long the documents of a schedule are kept after the last was made, for what is delivered late or once more.
    pub schedule_retention: Duration,
}

/// What the work of jobs needs.
#[derive(Clone)]
pub struct JobSetup {
    /// The queue.
    pub store: Store,
    /// What makes documents.
    pub renderer: Renderer,
    /// Where they are kept.
    pub outputs: Outputs,
    /// How much is done at once, and how often it is tried.
    pub options: JobOptions,
}

/// Takes part until it is told to stop; then finishes what is under way, or gives it back.
pub(crate) async fn keep(setup: JobSetup, stop: CancellationToken) {
    let work = Arc::new(Work {
        setup,
        held: Mutex::default(),
        definition: Mutex::default(),
        rest: Mutex::new(Instant::now()),
        wake: Notify::new(),
    });
    let mut beside = JoinSet::new();
    beside.spawn(Arc::clone(&work).hear());
    beside.spawn(Arc::clone(&work).renew());
    beside.spawn(Arc::clone(&work).measure());
    let mut under_way = JoinSet::new();
    work.take(&stop, &mut under_way).await;
    let drained = async { while under_way.join_next().await.is_some() {} };
    if timeout(DRAIN, drained).await.is_err() {
        for cancelled in work.held().values() {
            cancelled.send(Cut::Stopped);
        }
        while under_way.join_next().await.is_some() {}
    }
}

/// Why the making of a document is cut off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Cut {
    /// It is somebody else's, or was called off.
    Lost,
    /// The server stops.
    Stopped,
}

/// Tells whoever makes a document that it is of no use any more.
#[derive(Clone, Debug)]
struct Cutter(Arc<(Mutex<Option<Cut>>, CancellationToken)>);

impl Cutter {
    fn new() -> Self {
        Self(Arc::new((Mutex::default(), CancellationToken::new())))
    }

    fn send(&self, cut: Cut) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(cut);
        self.0.1.cancel();
    }

    async fn wait(&self) -> Cut {
        self.0.1.cancelled().await;
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or(Cut::Lost)
    }
}

struct Work {
    setup: JobSetup,
    held: Mutex<HashMap<ItemLease, Cutter>>,
    /// The definition that items of one job share: neighbours in the queue are often of the same.
    definition: Mutex<Option<(JobId, Arc<Value>)>>,
    /// Nothing is taken before: something that all documents need was away.
    rest: Mutex<Instant>,
    wake: Notify,
}

/// What an attempt came to.
enum Made {
    Ended(ItemEnd),
    /// It is to be tried again.
    Again {
        attempt: Attempt,
        code: ErrorCode,
        pause: Duration,
    },
}

impl Work {
    async fn take(self: &Arc<Self>, stop: &CancellationToken, under_way: &mut JoinSet<()>) {
        let concurrency = self.setup.options.concurrency.max(1);
        let mut failures = 0;
        while !stop.is_cancelled() {
            while under_way.try_join_next().is_some() {}
            let mut look_again = jittered(LOOK_EVERY);
            let room = concurrency.saturating_sub(under_way.len());
            let rest = *self.rest.lock().unwrap_or_else(PoisonError::into_inner);
            if room > 0 && rest > Instant::now() {
                tokio::select! { () = stop.cancelled() => {}, () = sleep_until(rest) => {} }
                continue;
            }
            if room > 0 {
                // Not cut off: a claim that came through unseen would keep its items from everybody for a while.
                match self.setup.store.job_queue().claim(u32::try_from(room).unwrap_or(1), self.setup.options.lease_for).await {
                    Ok(items) => {
                        failures = 0;
                        for item in items {
                            let span = tracing::info_span!(parent: None, "job_item", otel.kind = "consumer", job = %item.lease.job, item = item.lease.index, tenant = %item.tenant);
                            under_way.spawn(Arc::clone(self).carry_out(item).instrument(span));
                        }
                    }
                    Err(error) => {
                        look_again = away_for(failures);
                        failures += 1;
                        tracing::warn!(error = &error as &dyn std::error::Error, "the queue of jobs could not be asked");
                    }
                }
            }
            let is_full = under_way.len() >= concurrency;
            tokio::select! {
                () = stop.cancelled() => {}
                Some(_) = under_way.join_next() => {}
                () = self.wake.notified(), if !is_full => {}
                () = sleep(look_again), if !is_full => {}
            }
        }
    }

    /// Makes one document, from the claim to its end.
    async fn carry_out(self: Arc<Self>, item: ClaimedItem) {
        let cutter = Cutter::new();
        let _holding = self.setup.store.holding(LeaseKind::JobItem);
        self.held().insert(item.lease, cutter.clone());
        metrics::gauge!("pulp_job_items_under_way").increment(1.0);
        let began = Instant::now();
        let made = {
            // Its type is as deep as everything that a render can wait for.
            let making: BoxFuture<'_, Made> = self.make(&item).boxed();
            let making = AssertUnwindSafe(making).catch_unwind();
            tokio::select! {
                biased;
                cut = cutter.wait() => Err(cut),
                made = making => Ok(made.unwrap_or_else(|_| self.failed(&item, ErrorCode::InternalError, "the work panicked", Blame::Attempt))),
            }
        };
        let outcome = match made {
            Ok(Made::Ended(end)) => self.enter(&item, &end).await,
            Ok(Made::Again { attempt, code, pause }) => {
                tracing::info!(job = %item.lease.job, item = item.lease.index, attempt = item.attempt, code = code.as_str(), pause_ms = whole_ms(pause), "a document of a job is tried again");
                match (self.give_back(&item.lease, attempt, Some(code), pause).await, attempt) {
                    (false, _) => Self::lost(&item.lease),
                    (true, Attempt::Charged) => "retried",
                    (true, Attempt::Free) => "put_off",
                }
            }
            Err(Cut::Stopped) => {
                let queue = self.setup.store.job_queue();
                let given = queue.give_back(&item.lease, Attempt::Free, None, Duration::ZERO);
                if !matches!(timeout(GIVE_BACK, given).await, Ok(Ok(true))) {
                    tracing::warn!(job = %item.lease.job, item = item.lease.index, "a document of a job could not be given back; its lease ends by itself");
                }
                "given_back"
            }
            Err(Cut::Lost) => Self::lost(&item.lease),
        };
        self.held().remove(&item.lease);
        metrics::gauge!("pulp_job_items_under_way").decrement(1.0);
        metrics::counter!("pulp_job_items_total", "outcome" => outcome).increment(1);
        metrics::histogram!("pulp_job_item_seconds").record(began.elapsed().as_secs_f64());
    }

    async fn make(&self, item: &ClaimedItem) -> Made {
        if item.attempt > self.setup.options.max_attempts {
            let met = item.last_code.as_deref().map_or_else(String::new, |code| format!("; the one before met {code}"));
            let message = format!("whoever made this document died or was cut off, {} times{met}", self.setup.options.max_attempts);
            tracing::error!(job = %item.lease.job, item = item.lease.index, "a document of a job is given up: its makers die");
            return Made::Ended(ItemEnd::Failed { code: ErrorCode::JobItemAbandoned, message });
        }
        let request = match self.request(item).await {
            Ok(Ok(request)) => request,
            Ok(Err(refused)) => return Made::Ended(ItemEnd::Failed { code: refused.code, message: refused.to_string() }),
            Err(error) => return self.store_failed(item, &error),
        };
        let fallback = match &request.source {
            Source::Stored { key, .. } => key.to_string(),
            Source::Inline(_) => "document".to_owned(),
        };
        let disposition = request.options.disposition;
        let mut origin = Origin::of_item(item.lease.job, item.lease.index);
        if item.kind == JobKind::Schedule {
            origin.source = DocumentSource::Scheduled;
        }
        let (rendered, stored) = match self.setup.renderer.render_and_keep(request, origin).await {
            Ok(rendered) => rendered,
            Err(error) => return self.render_failed(item, &error),
        };
        let kind = rendered.kind;
        let mut bytes = (rendered.sha256, rendered.body.len() as u64);
        match &stored {
            // An attempt before this one may have stored it; that document is the one that stays.
            Some(stored) => bytes = (stored.sha256, stored.size_bytes),
            None => {
                if let Err(error) = self.setup.outputs.put(&item.tenant, rendered.sha256, rendered.body).await {
                    return self.render_failed(item, &error);
                }
            }
        }
        let (sha256, size_bytes) = bytes;
        let words = rendered.filename.as_deref().filter(|name| !name.trim().is_empty()).unwrap_or(&fallback);
        Made::Ended(ItemEnd::Succeeded(ItemOutput {
            sha256,
            size_bytes,
            content_type: kind.media_type.to_owned(),
            filename: DocumentName::of(words, kind.extension).to_string(),
            disposition: match disposition {
                Disposition::Inline => "inline",
                Disposition::Attachment => "attachment",
            },
            pages: rendered.pages,
            warnings: u32::try_from(rendered.warnings.iter().map(|(_, count)| count).sum::<usize>()).unwrap_or(u32::MAX),
            template_version: rendered.version.map(|version| version.to_string()),
            usage_id: rendered.usage_id,
            document: stored.map(|stored| stored.id),
        }))
    }

    /// What was asked for, read as it would be from a request.
    async fn request(&self, item: &ClaimedItem) -> Result<Result<RenderRequest, RefusedBody>, StoreError> {
        let unreadable = |what: &str| RefusedBody {
            code: ErrorCode::JobAbandonedAtStartup,
            message: format!("this release cannot read what was kept of the job ({what}); submit it again"),
            issues: Vec::new(),
        };
        let Ok(Value::Object(mut body)) = serde_json::from_str(&item.request) else { return Ok(Err(unreadable("its request"))) };
        let scheduled = item.kind == JobKind::Schedule;
        // The formats of a schedule are documents of one job.
        let own = if scheduled { body.shift_remove("format") } else { None };
        let word = own.as_ref().and_then(Value::as_str).unwrap_or(&item.format);
        let Some(format) = Format::of_word(word) else { return Ok(Err(unreadable("its format"))) };
        if item.shares_definition {
            let Some(definition) = self.definition(item.lease.job).await? else { return Ok(Err(unreadable("its definition"))) };
            body.insert("definition".to_owned(), (*definition).clone());
        }
        let asker = Asker {
            tenant: item.tenant.clone(),
            actor: item.actor.clone(),
            mode: if scheduled { RenderMode::Scheduled } else { RenderMode::Async },
            correlation_id: item.correlation_id.clone(),
        };
        Ok(render_body::read(Value::Object(body), None, asker, format).map(|(request, _)| request))
    }

    async fn definition(&self, job: JobId) -> Result<Option<Arc<Value>>, StoreError> {
        let known = self.definition.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, definition)) = known.filter(|(of, _)| *of == job) {
            return Ok(Some(definition));
        }
        let found = self.setup.store.job_queue().definition(job).await?;
        let Some(definition) = found.and_then(|text| serde_json::from_str(&text).ok()).map(Arc::new) else { return Ok(None) };
        *self.definition.lock().unwrap_or_else(PoisonError::into_inner) = Some((job, Arc::clone(&definition)));
        Ok(Some(definition))
    }

    fn store_failed(&self, item: &ClaimedItem, error: &StoreError) -> Made {
        let (code, blame) = match error {
            StoreError::Unavailable { .. } => (ErrorCode::ServiceUnavailable, Blame::Moment),
            StoreError::TenantArchived => (ErrorCode::TenantArchived, Blame::Tenant),
            _ => (ErrorCode::InternalError, Blame::Attempt),
        };
        self.failed(item, code, &error.to_string(), blame)
    }

    fn render_failed(&self, item: &ClaimedItem, error: &RenderError) -> Made {
        let retry_after = match error {
            RenderError::Saturated { retry_after } => Some(*retry_after),
            _ => None,
        };
        match (self.failed(item, error.code(), &said(error), error.blame()), retry_after) {
            (Made::Again { attempt, code, .. }, Some(retry_after)) => Made::Again { attempt, code, pause: jittered(retry_after) },
            (made, _) => made,
        }
    }

    fn failed(&self, item: &ClaimedItem, code: ErrorCode, message: &str, blame: Blame) -> Made {
        match blame {
            Blame::Moment => {
                let pause = away_for(item.attempt);
                // Others would meet the same.
                *self.rest.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now() + pause;
                Made::Again { attempt: Attempt::Free, code, pause }
            }
            // Until then nobody claims it.
            Blame::Tenant => Made::Again { attempt: Attempt::Free, code, pause: jittered(PAUSES.0) },
            Blame::Attempt if item.attempt < self.setup.options.max_attempts => {
                Made::Again { attempt: Attempt::Charged, code, pause: jittered(pause_after(item.attempt)) }
            }
            Blame::Attempt | Blame::Request => Made::Ended(ItemEnd::Failed { code, message: message.to_owned() }),
        }
    }

    /// Enters how a document ended, also when the database is away for a while.
    async fn enter(&self, item: &ClaimedItem, end: &ItemEnd) -> &'static str {
        let give_up = Instant::now() + ENTERED_WITHIN;
        let mut failures = 0;
        loop {
            let retention = match item.kind {
                // What did not arrive may be asked for once more.
                JobKind::Schedule => self.setup.options.schedule_retention,
                JobKind::Single | JobKind::Batch => self.setup.options.retention,
            };
            match self.setup.store.job_queue().finish(&item.lease, end, retention).await {
                Ok(ItemOutcome::Kept { status: item_status, job_ended }) => {
                    if let Some(status) = job_ended {
                        metrics::counter!("pulp_jobs_ended_total", "status" => status.as_str()).increment(1);
                        tracing::info!(job = %item.lease.job, tenant = %item.tenant, status = status.as_str(), "a job has ended");
                    }
                    return item_status.as_str();
                }
                Ok(ItemOutcome::Lost) => return Self::lost(&item.lease),
                Err(error @ StoreError::Unavailable { .. }) if Instant::now() < give_up => {
                    tracing::warn!(error = &error as &dyn std::error::Error, job = %item.lease.job, item = item.lease.index, "the end of a document could not be entered; it is tried again");
                    sleep(away_for(failures)).await;
                    failures += 1;
                }
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, job = %item.lease.job, item = item.lease.index, "the end of a document could not be entered; it is made again when its lease has ended");
                    return "untold";
                }
            }
        }
    }

    /// Says whether it was still held, as far as the database can be asked.
    async fn give_back(&self, lease: &ItemLease, attempt: Attempt, code: Option<ErrorCode>, pause: Duration) -> bool {
        let give_up = Instant::now() + ENTERED_WITHIN;
        let mut failures = 0;
        loop {
            match self.setup.store.job_queue().give_back(lease, attempt, code, pause).await {
                Ok(held) => return held,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, job = %lease.job, item = lease.index, "a document of a job could not be given back");
                }
            }
            if Instant::now() >= give_up {
                return true;
            }
            sleep(away_for(failures)).await;
            failures += 1;
        }
    }

    fn lost(lease: &ItemLease) -> &'static str {
        tracing::warn!(job = %lease.job, item = lease.index, "a document of a job is somebody else's by now, or was called off; what was made is thrown away");
        "lost"
    }

    /// Keeps what is held, for as long as it is.
    async fn renew(self: Arc<Self>) {
        let lease_for = self.setup.options.lease_for;
        loop {
            sleep(lease_for / 3).await;
            let held: Vec<ItemLease> = self.held().keys().copied().collect();
            if held.is_empty() {
                continue;
            }
            match self.setup.store.job_queue().renew(&held, lease_for).await {
                Ok(kept) => {
                    let held_now = self.held();
                    for lost in held.iter().filter(|lease| !kept.contains(lease)) {
                        if let Some(cutter) = held_now.get(lost) {
                            cutter.send(Cut::Lost);
                        }
                    }
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, items = held.len(), "documents of jobs could not be renewed");
                }
            }
        }
    }

    /// Hears that there is work, and that some is of no use any more. Hints: looking every second is what counts.
    async fn hear(self: Arc<Self>) {
        let mut changes = self.setup.store.changes();
        while let Some(event) = changes.next().await {
            match event {
                ChangeEvent::Reconnected | ChangeEvent::Overrun => self.wake.notify_one(),
                ChangeEvent::Changed(change) if change.kind == "job" => self.wake.notify_one(),
                ChangeEvent::Changed(change) if change.kind == "job_ended" => {
                    for (_, cutter) in self.held().iter().filter(|(lease, _)| lease.job.to_string() == change.key) {
                        cutter.send(Cut::Lost);
                    }
                }
                ChangeEvent::Changed(_) => {}
            }
        }
    }

    async fn measure(self: Arc<Self>) {
        loop {
            sleep(jittered(MEASURE_EVERY)).await;
            if let Ok(open) = self.setup.store.job_queue().open_items(MEASURED).await {
                metrics::gauge!("pulp_job_items_open").set(f64::from(u32::try_from(open).unwrap_or(u32::MAX)));
            }
        }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<ItemLease, Cutter>> {
        // Every change to it is complete before anything could panic.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is said of a failure: as a request would be answered. What is ours to mend is in the log.
fn said(error: &RenderError) -> String {
    if error.code() == ErrorCode::InternalError {
        tracing::error!(error = error as &dyn std::error::Error, "a document of a job failed");
        return "something is broken on our side; the log has the details".to_owned();
    }
    error.to_string()
}

fn away_for(failures: u32) -> Duration {
    jittered(PAUSES.0.saturating_mul(2_u32.saturating_pow(failures.min(16))).min(PAUSES.1))
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
