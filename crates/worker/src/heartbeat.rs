//! The heartbeat: says every few seconds that this replica is alive and how it stands, and learns which others are.
//!
//! No duty and no lease: each replica has a row of its own. Nothing waits for it, and nothing depends on it but what operators see
//! and how a limit is shared out while the database is away.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use store::Store;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::jitter::jittered;

/// From one beat to the next, give or take a tenth: three fit into [`store::REPLICA_ALIVE`].
const EVERY: Duration = Duration::from_secs(5);
/// How long one may take.
const AT_MOST: Duration = Duration::from_secs(3);

/// Says how this replica stands: an object of at most 16 KB. Asked at each beat, so it must not wait for anything.
pub type Standing = Arc<dyn Fn() -> Value + Send + Sync>;

/// What a heartbeat needs.
#[derive(Clone)]
pub struct HeartbeatSetup {
    /// The database.
    pub store: Store,
    /// This release.
    pub version: String,
    /// How it stands.
    pub standing: Standing,
}

/// The heartbeat of this process. Dropping it is a death: after 15 s the others know.
#[derive(Debug)]
pub struct Heartbeat {
    beating: JoinHandle<()>,
    now: Arc<Notify>,
    stop: CancellationToken,
    store: Store,
}

impl Heartbeat {
    /// Begins. Needs a runtime.
    pub fn start(setup: HeartbeatSetup) -> Self {
        let (stop, now, store) = (CancellationToken::new(), Arc::new(Notify::new()), setup.store.clone());
        let beating = tokio::spawn(beat(setup, Arc::clone(&now), stop.clone()).instrument(tracing::info_span!("heartbeat")));
        Self { beating, now, stop, store }
    }

    /// How this replica stands has just changed for good: the others hear it now.
    pub fn beat_now(&self) {
        self.now.notify_one();
    }

    /// Says farewell, until `deadline` at the latest: the others know at once that this replica is gone.
    pub async fn stop(mut self, deadline: Instant) {
        self.stop.cancel();
        let farewell = async {
            // A beat that is under way would undo it.
            let _ = (&mut self.beating).await;
            self.store.replicas().delete_own().await
        };
        match timeout_at(deadline, farewell).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(error = &error as &dyn std::error::Error, "could not say farewell to the other replicas"),
            Err(_) => tracing::warn!("could not say farewell to the other replicas in time"),
        }
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.beating.abort();
    }
}

async fn beat(setup: HeartbeatSetup, now: Arc<Notify>, stop: CancellationToken) {
    let started = Instant::now();
    let mut failures = 0_u32;
    while !stop.is_cancelled() {
        let standing = (setup.standing)();
        match setup.store.replicas().beat(&setup.version, started.elapsed(), &standing, AT_MOST).await {
            Ok(()) => {
                if failures > 0 {
                    tracing::info!(failures, "the other replicas hear of this one again");
                }
                failures = 0;
            }
            Err(error) => {
                // Once is enough: whatever is away says so itself.
                if failures == 0 {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the other replicas do not hear of this one; it is tried again"
                    );
                }
                failures = failures.saturating_add(1);
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = now.notified() => {}
            () = sleep(jittered(EVERY)) => {}
        }
    }
}
