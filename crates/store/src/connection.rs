//! A connection on loan from the pool, whose way back cannot hang.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sqlx::pool::{PoolConnection, PoolConnectionMetadata};
use sqlx::{PgConnection, PgPool, Postgres};

/// How long a connection may take to show that it is fit to go back to the pool.
const RETURN_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection on loan. Dropping it rolls back what was not committed and returns it in the background.
pub(crate) struct Connection(PoolConnection<Postgres>);

impl Connection {
    pub(crate) async fn acquire(pool: &PgPool) -> Result<Self, sqlx::Error> {
        Ok(Self(pool.acquire().await?))
    }
}

impl Deref for Connection {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.0
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.0
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // The driver pings a connection before it takes it back and would wait for the answer of a host that has
        // vanished until TCP gives up, a quarter of an hour later, with the place in the pool taken.
        let way_back = self.0.return_to_pool();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(RETURN_TIMEOUT, way_back));
        }
    }
}

/// Remembers when connections were last seen to lead nowhere, so that a failover costs one failed statement and not one
/// for each pooled connection.
pub(crate) struct Suspicion {
    started: Instant,
    /// Connections opened before this many milliseconds after `started` are not used again.
    distrusted_until_ms: AtomicU64,
}

impl Suspicion {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), distrusted_until_ms: AtomicU64::new(0) }
    }

    /// From now on, only connections that are opened later are used.
    pub(crate) fn distrust_all_open(&self) {
        self.distrusted_until_ms.fetch_max(self.now_ms().saturating_add(1), Ordering::Relaxed);
    }

    /// Whether this idle connection may be used.
    pub(crate) fn allows(&self, connection: &PoolConnectionMetadata) -> bool {
        let age_ms = u64::try_from(connection.age.as_millis()).unwrap_or(u64::MAX);
        // A connection opened in the first millisecond must not look like one from before the start.
        self.distrusted_until_ms.load(Ordering::Relaxed) <= self.now_ms().saturating_sub(age_ms)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
