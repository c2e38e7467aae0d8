//! The store itself: its pool, its limits, and what it measures.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use domain::{Clock, TenantId};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgPool};
use tokio::sync::watch;
use tracing::{Instrument, Span};

use crate::changes::{ChangeListener, Hub, ListenerStanding};
use crate::connection::{Connection, Suspicion};
use crate::error::{Outage, StoreError};
use crate::held_leases::HeldLeases;
use crate::reading::{Reading, Way};
use crate::tenants::{TenantStore, Tenants};
use crate::totals::Totals;

/// The oldest major version of Postgres that is still maintained in 2026.
const OLDEST_POSTGRES: u32 = 14;
/// An idle connection is asked whether it lives before it is used, but not within this time after its last use.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);
/// An act that takes longer is worth a line in the log.
const SLOW: Duration = Duration::from_secs(1);
/// What an act may take on top of the acquire and statement timeouts: the network, and several statements in one act.
const DEADLINE_SLACK: Duration = Duration::from_secs(2);

/// Who says how long statements, locks and transactions may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SessionLimits {
    /// We do, as start-up parameters of each connection.
    #[default]
    Sent,
    /// The server's own settings for the role or database: what is in between refuses such parameters.
    LeftToServer,
}

/// How to reach Postgres, and what may be asked of it.
#[derive(Clone)]
pub struct ConnectOptions {
    /// `postgres://user:password@host:port/database?…`; a Unix socket is `postgres:///database?host=/folder`. May lead
    /// through a pooler that [`mod@crate::self_check`] found fit.
    pub url: String,
    /// Goes past poolers, for LISTEN; `None` means the same as `url`.
    pub direct_url: Option<String>,
    /// A replica of the same database, for lists and exports; `None` has them read where everything else is.
    pub read_url: Option<String>,
    /// A replica that is further behind is not read from.
    pub read_max_lag: Duration,
    /// The most connections this process opens for statements, 1 or more; LISTEN takes one more. A replica gets half as many, and
    /// one on either side compares the two.
    pub max_connections: u32,
    /// How long an act waits for a free connection, or for the server to be reachable.
    pub acquire_timeout: Duration,
    /// The server cancels a statement after this long, waits for locks included.
    pub statement_timeout: Duration,
    /// The server cancels a statement that has waited this long for one lock.
    pub lock_timeout: Duration,
    /// The server ends a transaction in which nothing was asked for this long, so that a replica that stops in the middle of
    /// one does not keep its locks.
    pub idle_in_transaction_timeout: Duration,
    /// Whether the three limits above are sent with each connection; a pooler may refuse that.
    pub session_limits: SessionLimits,
    /// The same for those to a replica.
    pub reading_limits: SessionLimits,
    /// A connection that was not used for this long is closed.
    pub idle_lifetime: Duration,
    /// A connection that is this old is closed when it is given back: what stands between us and the server (an address
    /// behind a name, a balancer) may have changed meanwhile.
    pub max_lifetime: Duration,
    /// What `pg_stat_activity` shows.
    pub application_name: String,
    /// Names this process in the rows it writes; 1–128 characters.
    pub instance_id: String,
    /// Gives the times that rows carry.
    pub clock: Clock,
}

impl ConnectOptions {
    /// Ten connections, 5 s for a connection, 15 s for a statement and a silence in a transaction, 10 s for a lock, the
    /// machine's clock; connections live 30 min, 10 of them unused.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            direct_url: None,
            read_url: None,
            read_max_lag: Duration::from_secs(10),
            max_connections: 10,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(15),
            lock_timeout: Duration::from_secs(10),
            idle_in_transaction_timeout: Duration::from_secs(15),
            session_limits: SessionLimits::Sent,
            reading_limits: SessionLimits::Sent,
            idle_lifetime: Duration::from_mins(10),
            max_lifetime: Duration::from_mins(30),
            application_name: "pulp-engine".to_owned(),
            instance_id: "pulp-engine".to_owned(),
            clock: Clock::system(),
        }
    }

    /// What each connection for statements is opened with.
    pub(crate) fn session(&self) -> Result<PgConnectOptions, StoreError> {
        self.session_of(&self.url, self.session_limits)
    }

    /// The same for a replica.
    pub(crate) fn reading_session(&self) -> Option<Result<PgConnectOptions, StoreError>> {
        Some(self.session_of(self.read_url.as_deref()?, self.reading_limits))
    }

    fn session_of(&self, url: &str, limits: SessionLimits) -> Result<PgConnectOptions, StoreError> {
        let plain = parameters(url, &self.application_name)?;
        Ok(match limits {
            SessionLimits::Sent => plain.options(self.limits().map(|(name, limit)| (name, format!("{}ms", limit.as_millis())))),
            SessionLimits::LeftToServer => plain,
        })
    }

    /// What LISTEN is done with.
    pub(crate) fn direct(&self) -> Result<PgConnectOptions, StoreError> {
        parameters(self.direct_url.as_deref().unwrap_or(&self.url), &self.application_name)
    }

    /// The limits of a session, by the names that Postgres has for them.
    pub(crate) fn limits(&self) -> [(&'static str, Duration); 3] {
        [
            ("statement_timeout", self.statement_timeout),
            ("lock_timeout", self.lock_timeout),
            ("idle_in_transaction_session_timeout", self.idle_in_transaction_timeout),
        ]
    }
}

impl fmt::Debug for ConnectOptions {
    /// Leaves the URLs out: they hold passwords.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ConnectOptions")
            .field("max_connections", &self.max_connections)
            .field("acquire_timeout", &self.acquire_timeout)
            .field("statement_timeout", &self.statement_timeout)
            .field("session_limits", &self.session_limits)
            .field("application_name", &self.application_name)
            .finish_non_exhaustive()
    }
}

/// Connection parameters from a URL. `extra_float_digits` is left out because PgBouncer refuses to start a session with it.
pub(crate) fn parameters(url: &str, application_name: &str) -> Result<PgConnectOptions, StoreError> {
    Ok(PgConnectOptions::from_str(url)?.application_name(application_name).extra_float_digits(None))
}

/// Connections that are opened when they are needed.
fn pool(options: &ConnectOptions, most: u32, suspicion: &Arc<Suspicion>, session: PgConnectOptions) -> PgPool {
    let judge = Arc::clone(suspicion);
    PgPoolOptions::new()
        .max_connections(most.max(1))
        .acquire_timeout(options.acquire_timeout)
        .idle_timeout(options.idle_lifetime)
        .max_lifetime(options.max_lifetime)
        // The hook below asks less often: one round trip less for nearly every act.
        .test_before_acquire(false)
        .before_acquire(move |connection, metadata| {
            let usable = judge.allows(&metadata);
            Box::pin(async move {
                if usable && metadata.idle_for > TRUSTED_IDLE {
                    connection.ping().await?;
                }
                Ok(usable)
            })
        })
        .connect_lazy_with(session)
}

/// Refuses a server that lacks what the statements use.
pub(crate) fn check_server_version(version_number: Option<u32>) -> Result<(), StoreError> {
    match version_number.map(|number| number / 10_000) {
        Some(found) if found < OLDEST_POSTGRES => Err(StoreError::UnsupportedServer { found, needed: OLDEST_POSTGRES }),
        _ => Ok(()),
    }
}

/// Connections for statements.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Connections {
    /// Those that are in use.
    pub used: u32,
    /// Those that are open and free.
    pub idle: u32,
    /// How many there may be.
    pub most: u32,
}

/// The way to Postgres. Cloning shares the connections.
#[derive(Clone)]
pub struct Store {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pool: PgPool,
    suspicion: Arc<Suspicion>,
    listen: Arc<Hub>,
    reading: Option<Arc<Reading>>,
    deadline: Duration,
    statements: AtomicU64,
    closed: watch::Sender<bool>,
    instance_id: String,
    clock: Clock,
    totals: Arc<Totals>,
    pub(crate) replicas_alive: AtomicU32,
    pub(crate) held: HeldLeases,
    pub(crate) cluster: Mutex<crate::replicas::Known>,
}

impl Store {
    /// Opens the pool and proves that a server of a supported version answers.
    ///
    /// Fails with [`StoreError::Unavailable`] after `acquire_timeout` when it does not; trying again is the caller's part.
    pub async fn connect(options: ConnectOptions) -> Result<Self, StoreError> {
        let session = options.session()?;
        let direct = options.direct()?;

        let suspicion = Arc::new(Suspicion::new());
        let pool = pool(&options, options.max_connections, &suspicion, session);

        let first = Connection::acquire(&pool).await?;
        check_server_version(first.server_version_num())?;
        drop(first);

        let closed = watch::Sender::new(false);
        let mut reading = None;
        if let Some(replica_session) = options.reading_session() {
            let replica_session = replica_session?;
            let suspicion = Arc::new(Suspicion::new());
            let replica = self::pool(&options, options.max_connections / 2, &suspicion, replica_session.clone());
            let way = Arc::new(Reading::new(replica, suspicion, options.read_max_lag));
            let look = |session| self::pool(&options, 1, &Arc::new(Suspicion::new()), session);
            let looks = Arc::clone(&way).look_after(look(options.session()?), look(replica_session), closed.subscribe());
            tokio::spawn(looks);
            reading = Some(way);
        }
        let deadline = options.acquire_timeout + options.statement_timeout + DEADLINE_SLACK;
        let totals = Arc::new(Totals::new());
        let shared = Shared {
            pool,
            suspicion,
            listen: Arc::new(Hub::new(direct, reading.clone(), Arc::clone(&totals))),
            reading,
            deadline,
            statements: AtomicU64::new(0),
            closed,
            instance_id: options.instance_id,
            clock: options.clock,
            totals,
            replicas_alive: AtomicU32::new(1),
            held: HeldLeases::default(),
            cluster: Mutex::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The rows of one tenant, and no others.
    pub fn tenant(&self, tenant: TenantId) -> TenantStore {
        TenantStore::new(self.clone(), tenant)
    }

    /// The tenants themselves. Only what acts for the whole installation has a reason to ask for them.
    pub fn tenants(&self) -> Tenants<'_> {
        Tenants::new(self)
    }

    /// Hears of changes made through any replica, over a connection that all who listen share.
    pub fn changes(&self) -> ChangeListener {
        ChangeListener::new(Arc::clone(&self.shared.listen), self.shared.closed.subscribe())
    }

    /// How hearing of changes stands.
    pub fn listener_standing(&self) -> ListenerStanding {
        self.shared.listen.standing()
    }

    /// Asks whether the server answers and takes writes, within `timeout`.
    pub async fn ping(&self, timeout: Duration) -> Result<(), StoreError> {
        let ask = async {
            let mut connection = self.acquire().await?;
            let read_only = sqlx::query_scalar!(r#"SELECT current_setting('transaction_read_only') = 'on' AS "read_only!""#)
                .fetch_one(&mut *connection)
                .await?;
            if read_only { Err(StoreError::unavailable(Outage::ReadOnly)) } else { Ok(()) }
        };
        speak!(self, "ping", {
            // Late is not broken: the server may be busy, so the other connections stay trusted.
            tokio::time::timeout(timeout, ask).await.unwrap_or(Err(StoreError::unavailable(Outage::TooSlow)))
        })
        .await
    }

    /// Ends every [`ChangeListener`], waits until the acts under way have given their connections back, and closes those.
    pub async fn close(&self) {
        self.shared.closed.send_replace(true);
        if let Some(reading) = &self.shared.reading {
            reading.pool.close().await;
        }
        self.shared.pool.close().await;
    }

    /// How many acts have asked Postgres for something since the start. What a cache answers does not count.
    pub fn statements_executed(&self) -> u64 {
        self.shared.statements.load(Ordering::Relaxed)
    }

    /// How it stands with the replica that lists are read from; none where there is none.
    pub fn reading_standing(&self) -> Option<crate::reading::ReadingStanding> {
        Some(self.shared.reading.as_ref()?.standing())
    }

    /// The connections for statements at this moment.
    pub fn connections(&self) -> Connections {
        let pool = &self.shared.pool;
        let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
        Connections { used: pool.size().saturating_sub(idle), idle, most: pool.options().get_max_connections() }
    }

    /// Sets the gauges `pulp_store_connections{state="idle"|"used"|"most"}`, `pulp_store_listener_quiet_seconds` and
    /// `pulp_leases_held{kind}`; call it before the metrics are read.
    pub fn record_pool_metrics(&self) {
        let Connections { used, idle, most } = self.connections();
        metrics::gauge!("pulp_store_connections", "state" => "idle").set(f64::from(idle));
        metrics::gauge!("pulp_store_connections", "state" => "used").set(f64::from(used));
        metrics::gauge!("pulp_store_connections", "state" => "most").set(f64::from(most));
        let listener = self.listener_standing();
        metrics::gauge!("pulp_store_listener_connected").set(if listener.connected { 1.0 } else { 0.0 });
        metrics::gauge!("pulp_store_listener_quiet_seconds").set(listener.last_notice.unwrap_or(listener.since).as_secs_f64());
        metrics::gauge!("pulp_replicas_alive").set(f64::from(self.replicas_alive()));
        for (kind, held) in self.held_leases() {
            metrics::gauge!("pulp_leases_held", "kind" => kind.as_str()).set(f64::from(u32::try_from(held).unwrap_or(u32::MAX)));
        }
    }

    /// Totals of lists that are known.
    pub(crate) fn totals(&self) -> &Totals {
        &self.shared.totals
    }

    /// What this process calls itself in the rows it writes.
    pub fn instance_id(&self) -> &str {
        &self.shared.instance_id
    }

    /// The present moment as Postgres can keep it, in whole microseconds.
    pub(crate) fn now(&self) -> jiff_sqlx::Timestamp {
        jiff_sqlx::ToSqlx::to_sqlx(self.shared.clock.now())
    }

    pub(crate) async fn acquire(&self) -> Result<Connection, StoreError> {
        Ok(Connection::acquire(&self.shared.pool).await?)
    }

    /// Where a list of that tenant, or of all, is to be read.
    pub(crate) fn way_to_read(&self, tenant: Option<&TenantId>) -> Way {
        Way::choose(self.shared.reading.as_ref(), tenant)
    }

    pub(crate) async fn acquire_by(&self, way: &Way) -> Result<Connection, StoreError> {
        match way {
            Way::Replica(reading) => Ok(Connection::acquire(&reading.pool).await?),
            Way::Database => self.acquire().await,
        }
    }

    /// What was just committed of that tenant is to be in its lists.
    pub(crate) fn note_write(&self, tenant: &TenantId) {
        if let Some(reading) = &self.shared.reading {
            reading.note_write(tenant);
        }
    }

    /// Carries out one act within the deadline, counted and timed under `name`.
    pub(crate) async fn run<T>(
        &self,
        name: &'static str,
        span: Span,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.run_by(&Way::Database, name, span, work).await
    }

    /// The same on the way that was chosen.
    pub(crate) async fn run_by<T>(
        &self,
        way: &Way,
        name: &'static str,
        span: Span,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.shared.statements.fetch_add(1, Ordering::Relaxed);
        let started = Instant::now();
        // The server cancels what takes too long: if nothing came at all, the way to it is broken.
        let result = tokio::time::timeout(self.shared.deadline, way.while_there(work).instrument(span))
            .await
            .unwrap_or(Err(StoreError::unavailable(Outage::ConnectionLost)));
        if result.as_ref().is_err_and(StoreError::taints_the_pool) {
            match way {
                Way::Replica(reading) => reading.suspicion.distrust_all_open(),
                Way::Database => self.shared.suspicion.distrust_all_open(),
            }
        }
        let outcome = result.as_ref().map_or_else(StoreError::label, |_| "ok");
        let took = started.elapsed();
        // A failure has a line of its own, where it is answered.
        if took >= SLOW && result.is_ok() {
            tracing::warn!(act = name, took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX), "the database was slow");
        }
        metrics::counter!("pulp_store_statements_total", "statement" => name, "outcome" => outcome).increment(1);
        metrics::histogram!("pulp_store_statement_seconds", "statement" => name).record(took.as_secs_f64());
        result
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Store")
    }
}

/// Carries out `$work` as the act `$name` (`<noun>.<verb>`) of `$store`, in a span `store.<noun>.<verb>`. It is boxed because
/// the future of a connection being opened is large.
macro_rules! speak {
    ($store:expr, $name:literal, $work:block) => {
        $store.run($name, tracing::debug_span!(concat!("store.", $name)), Box::pin(async $work))
    };
}
pub(crate) use speak;
