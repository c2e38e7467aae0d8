//! The loops that look after the duties: look, claim, run, finish.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use domain::Clock;
use domain::labels::LabelName;
use futures_util::FutureExt as _;
use store::{DutyLease, DutyOutcome, LeaseKind, Store, StoreError};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::deliveries;
use crate::duty::{Duty, Run};
use crate::error::{WorkerError, warn_of};
use crate::jitter::jittered;
use crate::jobs::{self, JobSetup};
use crate::label_moves;
use crate::schedule_deliveries::{self, ScheduleDeliverySetup};
use crate::schedule_executions::{self, ExecutionSetup};
use crate::schedule_ticks;

/// How long a stop waits for the database to take a duty back; without that, its lease ends by itself.
const GIVE_BACK: Duration = Duration::from_secs(2);
/// The longest pause after a run that failed, unless the duty is done more often than that.
const LONGEST_RETRY: Duration = Duration::from_hours(1);

/// When the loops look and how long a lease lasts.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// From one look at what is due to the next, give or take a tenth: half a minute.
    pub look_every: Duration,
    /// How long after the death of its replica a duty is free again: a minute. It is renewed at a third of that.
    pub lease_for: Duration,
    /// The pause after a run that failed, doubled with every further one: half a minute.
    pub retry_after: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { look_every: Duration::from_secs(30), lease_for: Duration::from_mins(1), retry_after: Duration::from_secs(30) }
    }
}

/// What the loops need.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The database.
    pub store: Store,
    /// The machine's time.
    pub clock: Clock,
    /// When they look.
    pub timing: Timing,
}

/// The loops, one for each duty. Dropping them is a death: what they were at is free when its lease ends.
#[derive(Debug)]
pub struct Duties {
    loops: JoinSet<()>,
    stop: CancellationToken,
}

impl Duties {
    /// Begins to look after these duties, beside the other replicas that do. Needs a runtime.
    pub fn start(setup: Setup, duties: Vec<Duty>) -> Self {
        let stop = CancellationToken::new();
        let setup = Arc::new(setup);
        let mut loops = JoinSet::new();
        for duty in duties {
            let span = tracing::info_span!("duty", duty = duty.name());
            loops.spawn(Loop { duty, setup: Arc::clone(&setup), stop: stop.clone() }.run().instrument(span));
        }
        Self { loops, stop }
    }

    /// Also makes the planned moves of labels when their time has come; those of `protected` ones only from where they were
    /// proven.
    #[must_use]
    pub fn with_label_moves(mut self, store: Store, protected: Vec<LabelName>) -> Self {
        let span = tracing::info_span!("label_moves");
        self.loops.spawn(label_moves::keep(store, protected, self.stop.clone()).instrument(span));
        self
    }

    /// Also makes documents of jobs.
    #[must_use]
    pub fn with_jobs(mut self, setup: JobSetup) -> Self {
        let span = tracing::info_span!("jobs");
        self.loops.spawn(jobs::keep(setup, self.stop.clone()).instrument(span));
        self
    }

    /// Also begins executions of schedules.
    #[must_use]
    pub fn with_schedule_executions(mut self, setup: ExecutionSetup) -> Self {
        let span = tracing::info_span!("schedule_executions");
        self.loops.spawn(schedule_executions::keep(setup, self.stop.clone()).instrument(span));
        self
    }

    /// Also delivers what schedules made.
    #[must_use]
    pub fn with_schedule_deliveries(mut self, setup: ScheduleDeliverySetup) -> Self {
        let span = tracing::info_span!("schedule_deliveries");
        self.loops.spawn(schedule_deliveries::keep(setup, self.stop.clone()).instrument(span));
        self
    }

    /// Also has schedules executed when they are due.
    #[must_use]
    pub fn with_schedule_ticks(mut self, setup: schedule_ticks::Setup) -> Self {
        let span = tracing::info_span!("schedule_ticks");
        self.loops.spawn(schedule_ticks::keep(setup, self.stop.clone()).instrument(span));
        self
    }

    /// Also sends what others are to be told.
    #[must_use]
    pub fn with_deliveries(mut self, setup: deliveries::Setup) -> Self {
        let span = tracing::info_span!("deliveries");
        self.loops.spawn(deliveries::keep(setup, self.stop.clone()).instrument(span));
        self
    }

    /// Claims nothing more, and gives back what is under way. Does not wait for it.
    pub fn stop_claiming(&self) {
        self.stop.cancel();
    }

    /// As [`Duties::stop_claiming`], and waits for it until `deadline`.
    pub async fn stop(mut self, deadline: Instant) {
        self.stop_claiming();
        let ended = async { while self.loops.join_next().await.is_some() {} };
        if timeout_at(deadline, ended).await.is_err() {
            tracing::warn!("a duty could not be given back in time; its lease ends by itself");
        }
    }
}

/// How a run ended, as far as this replica is concerned.
enum End {
    Told(DutyOutcome),
    /// The server stops.
    Stopped,
    /// The lease is somebody else's, or could not be renewed while it lasted.
    Lost,
}

struct Loop {
    duty: Duty,
    setup: Arc<Setup>,
    stop: CancellationToken,
}

impl Loop {
    async fn run(self) {
        while !self.stop.is_cancelled() {
            match self.stop.run_until_cancelled(self.is_due()).await {
                None | Some(Ok(false)) => {}
                // A claim is not cut off: one that came through unseen would keep the duty from everybody for a while.
                Some(Ok(true)) => {
                    if let Err(error) = self.turn().await {
                        warn_of(&error, "a duty could not be claimed");
                    }
                }
                Some(Err(error)) => warn_of(&error, "what is due could not be found out"),
            }
            self.stop.run_until_cancelled(sleep(jittered(self.setup.timing.look_every))).await;
        }
    }

    async fn is_due(&self) -> Result<bool, StoreError> {
        let (duties, name) = (self.setup.store.duties(), self.duty.name());
        let Some(record) = duties.get(name).await? else {
            duties.insert(name).await?;
            return Ok(true);
        };
        if let Some(moment) = record.last_success_at {
            metrics::gauge!("pulp_duty_last_success_seconds", "duty" => name).set(moment.as_duration().as_secs_f64());
        }
        Ok(record.due)
    }

    /// Carries the duty out, if nobody else does.
    async fn turn(&self) -> Result<(), StoreError> {
        let Some(lease) = self.setup.store.duties().claim(self.duty.name(), self.setup.timing.lease_for).await? else {
            return Ok(());
        };
        let _holding = self.setup.store.holding(LeaseKind::Duty);
        let began = Instant::now();
        let end = self.carry_out(&lease).await;
        let outcome = self.close(lease, end).await;
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(outcome, took_ms, "a duty was run");
        metrics::counter!("pulp_duty_runs_total", "duty" => self.duty.name(), "outcome" => outcome).increment(1);
        Ok(())
    }

    /// Runs the duty until it ends, or until something else ends it; then it is no longer at work.
    async fn carry_out(&self, lease: &DutyLease) -> End {
        let now = self.setup.clock.now().min(lease.claimed_at());
        let act = AssertUnwindSafe(self.duty.begin(Run { store: self.setup.store.clone(), now })).catch_unwind();
        tokio::select! {
            result = timeout(self.duty.rhythm().at_most, act) => End::Told(outcome_of(result)),
            () = self.stop.cancelled() => End::Stopped,
            () = self.keep(lease) => End::Lost,
        }
    }

    /// Renews the lease for as long as that works. Each third is tried, and the whole is waited for.
    async fn keep(&self, lease: &DutyLease) {
        let lease_for = self.setup.timing.lease_for;
        let mut renewed_at = Instant::now();
        loop {
            let renewed = async {
                loop {
                    sleep(lease_for / 3).await;
                    let asked_at = Instant::now();
                    match self.setup.store.duties().renew(lease, lease_for).await {
                        Ok(true) => return Some(asked_at),
                        Ok(false) => return None,
                        Err(error) => warn_of(&error, "a duty could not be renewed"),
                    }
                }
            };
            match timeout_at(renewed_at + lease_for, renewed).await {
                Ok(Some(asked_at)) => renewed_at = asked_at,
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// Tells the database how it ended; says the word for the metrics.
    async fn close(&self, lease: DutyLease, end: End) -> &'static str {
        let duties = self.setup.store.duties();
        match end {
            End::Told(outcome) => match duties.finish(&lease, outcome, self.next_in(outcome, lease.attempt())).await {
                Ok(true) => outcome.as_str(),
                Ok(false) => self.lost(),
                Err(error) => {
                    warn_of(&error, "the end of a duty could not be told; it is run again when its lease ends");
                    "untold"
                }
            },
            End::Stopped => {
                if !matches!(timeout(GIVE_BACK, duties.give_back(lease)).await, Ok(Ok(true))) {
                    tracing::warn!("a duty could not be given back; its lease ends by itself");
                }
                "given_back"
            }
            End::Lost => self.lost(),
        }
    }

    fn lost(&self) -> &'static str {
        tracing::warn!(lease_s = self.setup.timing.lease_for.as_secs_f64(), "the lease of a duty was lost; its result is thrown away");
        "lost"
    }

    fn next_in(&self, outcome: DutyOutcome, attempt: u32) -> Duration {
        let every = self.duty.rhythm().every;
        let pause = match outcome {
            DutyOutcome::Succeeded => every,
            _ => self.setup.timing.retry_after.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(LONGEST_RETRY).min(every),
        };
        jittered(pause)
    }
}

type Caught = Result<Result<(), WorkerError>, Box<dyn std::any::Any + Send>>;

fn outcome_of(result: Result<Caught, tokio::time::error::Elapsed>) -> DutyOutcome {
    let failure = match result {
        Ok(Ok(Ok(()))) => return DutyOutcome::Succeeded,
        Err(_) => {
            tracing::warn!("a duty took longer than it may and was cut off; what it has done stays done");
            return DutyOutcome::TimedOut;
        }
        Ok(Ok(Err(error))) => error,
        Ok(Err(panic)) => {
            let said = panic.downcast_ref::<&str>().map(ToString::to_string).or_else(|| panic.downcast_ref::<String>().cloned());
            WorkerError::Panicked(said.unwrap_or_default())
        }
    };
    warn_of(&failure, "a duty failed; it is run again after a pause");
    DutyOutcome::Failed
}
