//! Changes made through any replica, heard of by LISTEN and told by NOTIFY. A hint: whoever misses one relies on time.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::TenantId;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::sync::{broadcast, watch};
use tokio::time::timeout;

use crate::error::{StoreError, source};
use crate::reading::Reading;
use crate::totals::Totals;

/// The channel of all changes. Its name is part of what replicas of neighbouring releases agree on.
const CHANNEL: &str = "pulp_changes";
/// How long opening the connection and LISTEN may take.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// After this much silence the connection is asked whether it lives: a vanished host sends no farewell.
const SILENCE: Duration = Duration::from_secs(15);
/// How long that answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Events kept for a listener that is busy; one that is later still is told that anything may have changed.
const KEPT_EVENTS: usize = 4096;
/// The first and the longest pause before the connection is opened again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// Something of a tenant changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Whose it is.
    pub tenant: TenantId,
    /// Which noun: `template`, `asset`, `tenant`, `api_key`, `user`, `render_token` or `delivery`. A newer release may name others.
    pub kind: String,
    /// Which one of them: a template's key, an asset's id, a tenant's or user's id, the public part of an API key, a render token's id.
    pub key: String,
}

/// What a listener has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeEvent {
    /// This changed.
    Changed(Change),
    /// Listening begins now, for the first time or anew: anything may have changed before. Ask again for what is remembered.
    Reconnected,
    /// Changes were told and not heard: there were more than could be kept, or one could not be read. Drop what is remembered.
    Overrun,
}

/// How hearing of changes stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerStanding {
    /// Whether there is a connection that listens.
    pub connected: bool,
    /// For how long that has been so.
    pub since: Duration,
    /// How long ago the last notice came; none when none did.
    pub last_notice: Option<Duration>,
}

/// Hears of changes. All of a store share one connection, which is opened when one is first asked, and again whenever it is lost.
pub struct ChangeListener {
    hub: Arc<Hub>,
    closed: watch::Receiver<bool>,
    heard: Option<broadcast::Receiver<ChangeEvent>>,
}

impl ChangeListener {
    pub(crate) fn new(hub: Arc<Hub>, closed: watch::Receiver<bool>) -> Self {
        Self { hub, closed, heard: None }
    }

    /// Waits for the next event; `None` once the store is closed. Dropping the future loses nothing. Who is so late that there was
    /// no room for all that happened is told of an overrun.
    pub async fn next(&mut self) -> Option<ChangeEvent> {
        let mut closed = self.closed.clone();
        tokio::select! {
            biased;
            _ = closed.wait_for(|closed| *closed) => None,
            event = self.advance() => event,
        }
    }

    async fn advance(&mut self) -> Option<ChangeEvent> {
        let heard = match &mut self.heard {
            Some(heard) => heard,
            none => {
                let heard = none.insert(self.hub.events.subscribe());
                // Otherwise it is told when there is a connection.
                if self.hub.begin(&self.closed) {
                    return Some(ChangeEvent::Reconnected);
                }
                heard
            }
        };
        match heard.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(ChangeEvent::Overrun),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

/// What the listeners of a store share.
pub(crate) struct Hub {
    options: PgConnectOptions,
    /// What was written elsewhere is to be in lists, too.
    reading: Option<Arc<Reading>>,
    totals: Arc<Totals>,
    events: broadcast::Sender<ChangeEvent>,
    begun: AtomicBool,
    state: Arc<Mutex<State>>,
}

#[derive(Clone, Copy)]
struct State {
    connected: bool,
    since: Instant,
    last_notice: Option<Instant>,
}

impl Hub {
    pub(crate) fn new(options: PgConnectOptions, reading: Option<Arc<Reading>>, totals: Arc<Totals>) -> Self {
        let state = State { connected: false, since: Instant::now(), last_notice: None };
        Self {
            options,
            reading,
            totals,
            events: broadcast::Sender::new(KEPT_EVENTS),
            begun: AtomicBool::new(false),
            state: Arc::new(Mutex::new(state)),
        }
    }

    pub(crate) fn standing(&self) -> ListenerStanding {
        let state = *self.state.lock().unwrap_or_else(PoisonError::into_inner);
        ListenerStanding {
            connected: state.connected,
            since: state.since.elapsed(),
            last_notice: state.last_notice.map(|notice| notice.elapsed()),
        }
    }

    /// Begins to listen, if nobody has; says whether there is a connection already.
    fn begin(&self, closed: &watch::Receiver<bool>) -> bool {
        if !self.begun.swap(true, Ordering::SeqCst) {
            let connection = Connection {
                options: self.options.clone(),
                reading: self.reading.clone(),
                totals: Arc::clone(&self.totals),
                listener: None,
                failures: 0,
                events: self.events.clone(),
                state: Arc::clone(&self.state),
            };
            tokio::spawn(connection.keep(closed.clone()));
        }
        self.state.lock().unwrap_or_else(PoisonError::into_inner).connected
    }
}

/// The connection that listens.
struct Connection {
    options: PgConnectOptions,
    reading: Option<Arc<Reading>>,
    totals: Arc<Totals>,
    listener: Option<PgListener>,
    failures: u32,
    events: broadcast::Sender<ChangeEvent>,
    state: Arc<Mutex<State>>,
}

impl Connection {
    /// Tells everybody of everything, until the store is closed or gone.
    async fn keep(mut self, mut closed: watch::Receiver<bool>) {
        let told = async {
            loop {
                let event = self.advance().await;
                match (&self.reading, &event) {
                    (Some(reading), ChangeEvent::Changed(change)) => reading.note_write(&change.tenant),
                    (Some(reading), ChangeEvent::Reconnected | ChangeEvent::Overrun) => reading.note_write_of_anybody(),
                    (None, _) => {}
                }
                if !matches!(&event, ChangeEvent::Changed(change) if change.kind != "tenant") {
                    self.totals.tenants_changed();
                }
                // Nobody may be there to be told.
                let _ = self.events.send(event);
            }
        };
        tokio::select! {
            biased;
            _ = closed.wait_for(|closed| *closed) => {}
            () = told => {}
        }
    }

    async fn advance(&mut self) -> ChangeEvent {
        loop {
            let Some(listener) = self.listener.as_mut() else {
                if self.failures > 0 {
                    tokio::time::sleep(pause(self.failures)).await;
                }
                match self.open().await {
                    Ok(listener) => {
                        self.listener = Some(listener);
                        self.failures = 0;
                        self.is_connected(true);
                        return ChangeEvent::Reconnected;
                    }
                    Err(error) => {
                        self.failures = self.failures.saturating_add(1);
                        let cause = std::error::Error::source(&error).map(ToString::to_string);
                        tracing::warn!(%error, cause, "cannot listen for changes; caches rely on their age");
                        continue;
                    }
                }
            };
            match timeout(SILENCE, listener.try_recv()).await {
                Ok(Ok(Some(notification))) => {
                    self.state.lock().unwrap_or_else(PoisonError::into_inner).last_notice = Some(Instant::now());
                    metrics::counter!("pulp_store_notices_total").increment(1);
                    return read(notification.payload());
                }
                Ok(Ok(None)) => self.lost("the connection ended"),
                Ok(Err(error)) => self.lost(&source(error).to_string()),
                Err(_) => {
                    let alive = timeout(ANSWER_TIMEOUT, sqlx::query("SELECT 1").execute(listener)).await;
                    if !matches!(alive, Ok(Ok(_))) {
                        self.lost("no sign of life");
                    }
                }
            }
        }
    }

    async fn open(&self) -> Result<PgListener, StoreError> {
        // A pool of its own for one connection: the driver's listener takes its connections from a pool, and ours may be full.
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(OPEN_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(self.options.clone());
        let open = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            // Otherwise the listener would reconnect by itself and we could not tell that something was missed.
            listener.eager_reconnect(false);
            listener.listen(CHANNEL).await?;
            Ok::<_, sqlx::Error>(listener)
        };
        timeout(OPEN_TIMEOUT, open).await.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map_err(StoreError::from)
    }

    fn lost(&mut self, why: &str) {
        tracing::warn!(why, "the connection that listens for changes was lost");
        self.is_connected(false);
        self.listener = None;
        self.failures = 1;
    }

    fn is_connected(&self, connected: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.connected, state.since) = (connected, Instant::now());
    }
}

/// What cannot be read may have meant anything.
fn read(payload: &str) -> ChangeEvent {
    serde_json::from_str(payload).map_or_else(
        |error| {
            tracing::warn!(%error, "a change could not be read");
            ChangeEvent::Overrun
        },
        ChangeEvent::Changed,
    )
}

/// Doubles with each failure; between a half and the whole of it, so that replicas do not come back in step.
fn pause(failures: u32) -> Duration {
    let longest = PAUSES.0.saturating_mul(2_u32.saturating_pow(failures.min(16).saturating_sub(1))).min(PAUSES.1);
    let part = u32::try_from(RandomState::new().build_hasher().finish() % 512).unwrap_or(0);
    longest / 2 + longest / 1024 * part
}

/// Tells every replica of a change when, and only if, the transaction commits.
pub(crate) async fn announce(transaction: &mut PgConnection, tenant: &TenantId, kind: &'static str, key: &str) -> Result<(), StoreError> {
    let change = Change { tenant: tenant.clone(), kind: kind.to_owned(), key: key.to_owned() };
    let payload = serde_json::to_string(&change).map_err(|error| StoreError::Unexpected { source: error.into() })?;
    sqlx::query!("SELECT pg_notify($1, $2)", CHANNEL, payload).execute(transaction).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound() {
        for failures in 1..40 {
            assert!((PAUSES.0 / 2..=PAUSES.1).contains(&pause(failures)), "{failures}");
        }
        assert!(pause(1) <= PAUSES.0);
        assert!(pause(30) >= PAUSES.1 / 2);
    }

    #[test]
    fn an_unreadable_change_means_that_anything_may_have_changed() {
        assert_eq!(read("{"), ChangeEvent::Overrun);
        assert_eq!(read(r#"{"tenant":"NOT A TENANT","kind":"template","key":"a"}"#), ChangeEvent::Overrun);
    }
}
