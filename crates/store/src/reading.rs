//! Lists and exports from a replica of the database, which is a little behind; from the database itself where it is too far
//! behind, away, or has not yet what was written here.

use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::TenantId;
use sqlx::PgPool;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::connection::{Connection, Suspicion};
use crate::error::{Outage, StoreError};

/// The pause between two looks at how far the replica is.
const PAUSE: Duration = Duration::from_millis(500);
/// How long such a look may take on either side.
const LOOK: Duration = Duration::from_secs(2);
/// So many looks without an answer in a row mean that the replica is away; a refused or broken connection means it at once.
const SILENCES: u32 = 2;
/// Looks that are remembered: more than fit into the longest lag that may be allowed.
const MOST_LOOKS: usize = 4096;
/// Tenants whose last write is remembered. Beyond that, everybody's lists wait for the replica.
const MOST_TENANTS: usize = 10_000;

/// The way to the replica, and what is known of it.
pub(crate) struct Reading {
    pub(crate) pool: PgPool,
    pub(crate) suspicion: Arc<Suspicion>,
    most_behind: Duration,
    known: Mutex<Known>,
    /// Whether it answered when it was last asked.
    here: watch::Sender<bool>,
}

#[derive(Default)]
struct Known {
    /// Where the database was in its log, and before which moment it was there.
    looks: VecDeque<(Instant, i64)>,
    /// The replica has everything that was committed before.
    complete_until: Option<Instant>,
    /// Looks without an answer since the last one with one.
    silences: u32,
    /// When this process last wrote something of a tenant's.
    written: HashMap<TenantId, Instant>,
    /// The same for tenants that are not in there.
    written_by_others: Option<Instant>,
}

/// How it stands with the replica of the database that lists are read from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReadingStanding {
    /// Whether it answered when it was last asked.
    pub reachable: bool,
    /// It has everything that was committed longer ago; none before that was found out.
    pub behind: Option<Duration>,
    /// Whether lists are read from it.
    pub used: bool,
}

impl Reading {
    pub(crate) fn new(pool: PgPool, suspicion: Arc<Suspicion>, most_behind: Duration) -> Self {
        Self { pool, suspicion, most_behind, known: Mutex::default(), here: watch::Sender::new(false) }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What this process has written, or heard of, is to be in what it lists from now on.
    pub(crate) fn note_write(&self, tenant: &TenantId) {
        let now = Instant::now();
        let mut known = self.known();
        if known.written.len() >= MOST_TENANTS && !known.written.contains_key(tenant) {
            let done = known.complete_until;
            known.written.retain(|_, at| done.is_none_or(|done| *at > done));
        }
        if known.written.len() >= MOST_TENANTS && !known.written.contains_key(tenant) {
            known.written_by_others = Some(now);
        } else {
            known.written.insert(tenant.clone(), now);
        }
    }

    /// How it stands with the replica.
    pub(crate) fn standing(&self) -> ReadingStanding {
        let behind = self.known().complete_until.map(|moment| moment.elapsed());
        ReadingStanding { reachable: *self.here.borrow(), behind, used: self.is_fit(None) }
    }

    /// Something may have been written that nobody told of.
    pub(crate) fn note_write_of_anybody(&self) {
        self.known().written_by_others = Some(Instant::now());
    }

    /// Whether the replica is good enough for a list of that tenant, or of all.
    fn is_fit(&self, tenant: Option<&TenantId>) -> bool {
        if !*self.here.borrow() {
            return false;
        }
        let known = self.known();
        let Some(complete_until) = known.complete_until.filter(|moment| moment.elapsed() <= self.most_behind) else { return false };
        let written = tenant.and_then(|tenant| known.written.get(tenant)).max(known.written_by_others.as_ref());
        written.is_none_or(|written| *written < complete_until)
    }

    /// Asks both sides where they are, for as long as there is somebody to ask for. The connections are for this alone: that
    /// all others are in use says nothing about the replica.
    pub(crate) async fn look_after(self: Arc<Self>, database: PgPool, replica: PgPool, mut closed: watch::Receiver<bool>) {
        let looking = async {
            loop {
                let asked = Instant::now();
                let (position, replayed) = tokio::join!(timeout(LOOK, position(&database)), timeout(LOOK, replayed(&replica)));
                self.enter(asked, position.ok().and_then(Result::ok), replayed);
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::select! {
            _ = closed.wait_for(|closed| *closed) => {}
            () = looking => {}
        }
        database.close().await;
        replica.close().await;
    }

    fn enter(
        &self,
        asked: Instant,
        position: Option<i64>,
        replayed: Result<Result<Option<i64>, sqlx::Error>, tokio::time::error::Elapsed>,
    ) {
        let mut known = self.known();
        if let Some(position) = position {
            if known.looks.len() >= MOST_LOOKS {
                known.looks.pop_front();
            }
            known.looks.push_back((asked, position));
        }
        known.silences = if replayed.is_err() { known.silences.saturating_add(1) } else { 0 };
        let here = match &replayed {
            Ok(answer) => matches!(answer, Ok(Some(_))),
            Err(_) => *self.here.borrow() && known.silences < SILENCES,
        };
        if let Ok(Ok(Some(replayed))) = replayed {
            while known.looks.front().is_some_and(|(_, position)| *position <= replayed) {
                known.complete_until = known.looks.pop_front().map(|(moment, _)| moment);
            }
        }
        let behind = known.complete_until.map(|moment| moment.elapsed());
        drop(known);
        let fit = here && behind.is_some_and(|behind| behind <= self.most_behind);
        metrics::gauge!("pulp_store_replica_used").set(if fit { 1.0 } else { 0.0 });
        if let Some(behind) = behind {
            metrics::gauge!("pulp_store_replica_behind_seconds").set(behind.as_secs_f64());
        }
        if self.here.send_if_modified(|was| std::mem::replace(was, here) != here) {
            if here {
                tracing::info!("the replica of DATABASE_READ_URL answers");
            } else {
                let why = match replayed {
                    Err(_) => "no answer within the time allowed".to_owned(),
                    Ok(Err(error)) => crate::error::source(error).to_string(),
                    Ok(Ok(_)) => "it does not say how far it is".to_owned(),
                };
                tracing::warn!(why, "the replica of DATABASE_READ_URL cannot be read from; lists and exports ask the database itself");
            }
        }
    }
}

/// Where the database is in its log.
async fn position(pool: &PgPool) -> Result<i64, sqlx::Error> {
    let mut connection = Connection::acquire(pool).await?;
    sqlx::query_scalar("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint").fetch_one(&mut *connection).await
}

/// How much of that log the replica has carried out.
async fn replayed(pool: &PgPool) -> Result<Option<i64>, sqlx::Error> {
    let mut connection = Connection::acquire(pool).await?;
    // A database that is no replica (any more) has what it wrote itself.
    let question = "SELECT pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END, '0/0')::bigint";
    sqlx::query_scalar(question).fetch_one(&mut *connection).await
}

/// Where one list is read.
#[derive(Clone)]
pub(crate) enum Way {
    /// On the replica.
    Replica(Arc<Reading>),
    /// In the database itself.
    Database,
}

impl Way {
    pub(crate) fn choose(reading: Option<&Arc<Reading>>, tenant: Option<&TenantId>) -> Self {
        let Some(reading) = reading else { return Self::Database };
        let fit = reading.is_fit(tenant);
        metrics::counter!("pulp_store_lists_total", "from" => if fit { "replica" } else { "database" }).increment(1);
        if fit { Self::Replica(Arc::clone(reading)) } else { Self::Database }
    }

    /// Gives the work up when the replica is seen to be away: the database answers meanwhile.
    pub(crate) async fn while_there<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let Self::Replica(reading) = self else { return work.await };
        let mut here = reading.here.subscribe();
        tokio::select! {
            outcome = work => outcome,
            _ = here.wait_for(|here| !here) => Err(StoreError::unavailable(Outage::ConnectionLost)),
        }
    }

    /// Whether an outcome stands, or the database itself has to be asked.
    pub(crate) fn judge<T>(&self, outcome: Result<T, StoreError>) -> ControlFlow<Result<T, StoreError>> {
        match (self, &outcome) {
            // Whatever it is that the replica cannot do: be there, hold a snapshot against its log, know the newest tables.
            (Self::Replica(_), Err(error)) => {
                tracing::debug!(%error, "the replica could not answer; the database itself is asked");
                metrics::counter!("pulp_store_lists_total", "from" => "database_after_all").increment(1);
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Break(outcome),
        }
    }
}

/// Carries out `$work`, which only looks, as `speak!` does, on the replica if it is good enough for `$tenant` (an
/// `Option<&TenantId>`), and else, or when it fails there, in the database itself. `$connection` is what to ask.
macro_rules! read {
    ($store:expr, $tenant:expr, $name:literal, $connection:ident, $work:block) => {
        async {
            let mut way = $store.way_to_read($tenant);
            loop {
                let work = Box::pin(async {
                    let mut $connection = $store.acquire_by(&way).await?;
                    $work
                });
                let outcome = $store.run_by(&way, $name, tracing::debug_span!(concat!("store.", $name)), work).await;
                match way.judge(outcome) {
                    std::ops::ControlFlow::Break(outcome) => break outcome,
                    std::ops::ControlFlow::Continue(()) => way = $crate::reading::Way::Database,
                }
            }
        }
    };
}
pub(crate) use read;

#[cfg(test)]
mod tests {
    use sqlx::postgres::PgPoolOptions;

    use super::*;

    #[tokio::test]
    async fn a_replica_is_good_enough_when_it_has_what_was_written_and_is_not_too_far_behind() {
        let pool = PgPoolOptions::new().connect_lazy("postgres://nowhere/x").unwrap();
        let reading = Reading::new(pool, Arc::new(Suspicion::new()), Duration::from_millis(300));
        let (ann, bob): (TenantId, TenantId) = ("ann".parse().unwrap(), "bob".parse().unwrap());
        assert!(!reading.is_fit(None), "nothing is known yet");
        reading.enter(Instant::now(), Some(100), Ok(Ok(Some(90))));
        assert!(!reading.is_fit(None), "it has not yet what there was at the first look");
        reading.enter(Instant::now(), Some(120), Ok(Ok(Some(110))));
        assert!(reading.is_fit(None) && reading.is_fit(Some(&ann)));
        reading.note_write(&ann);
        assert!(!reading.is_fit(Some(&ann)) && reading.is_fit(Some(&bob)), "what was written here is to be in the list");
        reading.enter(Instant::now(), Some(140), Ok(Ok(Some(130))));
        assert!(!reading.is_fit(Some(&ann)), "that look was before the write");
        reading.enter(Instant::now(), Some(140), Ok(Ok(Some(140))));
        assert!(reading.is_fit(Some(&ann)));
        // The database goes on and the replica does not.
        let stuck = Instant::now();
        while stuck.elapsed() < Duration::from_millis(400) {
            reading.enter(Instant::now(), Some(200), Ok(Ok(Some(140))));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(!reading.is_fit(Some(&bob)), "too far behind");
        reading.enter(Instant::now(), Some(200), Ok(Ok(Some(200))));
        assert!(reading.is_fit(Some(&bob)));
        reading.enter(Instant::now(), Some(200), Ok(Err(sqlx::Error::PoolTimedOut)));
        assert!(!reading.is_fit(Some(&bob)), "away");
    }
}
