//! The check of a start: whether what lies between us and Postgres gives every connection its own answers, and where it does
//! not, whether there is a way past it. A pooler that mixes up prepared statements gives one request the rows of another, and
//! says nothing.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, Row as _};
use tokio::time::timeout;

use crate::connect::{ConnectOptions, SessionLimits, check_server_version};
use crate::error::{Outage, PoolerFault, StoreError, source};

/// How often each of the two connections is asked in turn, and how often at the same time.
const ROUNDS: i64 = 3;
/// How long everything about a replica may take: the start does not depend on it.
const REPLICA: Duration = Duration::from_secs(5);
/// How long a notice may take to be heard.
const NOTICE: Duration = Duration::from_secs(5);
/// Where and since when a server process runs: no two connections have the same.
const BACKEND: &str = "(SELECT pid || ' since ' || backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())";

/// What was found of the way to Postgres. All of it can be worked with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Findings {
    /// Whose the connections are.
    pub pooling: Pooling,
    /// What to open connections with.
    pub session_limits: SessionLimits,
    /// The limits of a session that are others than were asked for.
    pub other_limits: Vec<OtherLimit>,
    /// What to open connections to the replica with.
    pub reading_limits: SessionLimits,
    /// Whether there is a replica that did not answer. It is used once it does.
    pub replica_is_away: bool,
}

impl Findings {
    /// What is found where nothing is in between.
    pub fn of_a_session() -> Self {
        Self {
            pooling: Pooling::None,
            session_limits: SessionLimits::Sent,
            other_limits: Vec::new(),
            reading_limits: SessionLimits::Sent,
            replica_is_away: false,
        }
    }
}

/// Whose the connections of `url` are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pooling {
    /// Each is a session of its own.
    None,
    /// A pooler lends them by the transaction.
    ByTransaction,
}

/// A limit of a session that is another than was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OtherLimit {
    /// The name that Postgres has for it.
    pub name: &'static str,
    /// What was asked for.
    pub asked_ms: u64,
    /// What holds; 0 for no limit.
    pub found_ms: u64,
}

/// Opens three to five connections for a moment and asks some thirty small questions.
///
/// Fails with [`StoreError::UnfitPooler`] where waiting does not help, and with [`StoreError::Unavailable`] when the database
/// does not answer within `wait`.
pub async fn self_check(options: &ConnectOptions, wait: Duration) -> Result<Findings, StoreError> {
    timeout(wait, check(options)).await.unwrap_or(Err(StoreError::unavailable(Outage::NoConnection)))
}

async fn check(options: &ConnectOptions) -> Result<Findings, StoreError> {
    let unlimited = ConnectOptions { session_limits: SessionLimits::LeftToServer, ..options.clone() };
    let (session_limits, session) = accepted(options.session()?, options.session_limits, Some(unlimited.session())).await?;
    let pooling = pooling(&session, "DATABASE_URL").await?;
    let direct = options.direct()?;
    match (&options.direct_url, pooling) {
        (None, Pooling::ByTransaction) => return Err(unfit(PoolerFault::NoDirectWay)),
        (Some(_), _) if self::pooling(&direct, "DATABASE_DIRECT_URL").await? == Pooling::ByTransaction => {
            return Err(unfit(PoolerFault::DirectWayIsPooled));
        }
        _ => {}
    }
    let mut connection = session.connect().await?;
    hear_what_is_told(&mut connection, direct).await?;
    let other_limits = other_limits(&mut connection, options).await?;
    let (reading_limits, replica_is_away) = match timeout(REPLICA, replica(&mut connection, options)).await {
        Ok(Err(StoreError::Unavailable { .. })) | Err(_) => (options.reading_limits, true),
        Ok(found) => (found?, false),
    };
    let _ = connection.close().await;
    Ok(Findings { pooling, session_limits, other_limits, reading_limits, replica_is_away })
}

/// Whether the way for reading leads to a copy of the same database, and how.
async fn replica(connection: &mut PgConnection, options: &ConnectOptions) -> Result<SessionLimits, StoreError> {
    let Some(session) = options.reading_session() else { return Ok(options.reading_limits) };
    let unlimited = ConnectOptions { reading_limits: SessionLimits::LeftToServer, ..options.clone() };
    let (limits, session) = accepted(session?, options.reading_limits, unlimited.reading_session()).await?;
    pooling(&session, "DATABASE_READ_URL").await?;
    let mut replica = session.connect().await?;
    let same = identity(connection).await? == identity(&mut replica).await?;
    let _ = replica.close().await;
    if same { Ok(limits) } else { Err(unfit(PoolerFault::NoReplica)) }
}

/// What a database and its physical copies have in common, and no others: the cluster, where we may ask for it, and the number of
/// the database.
async fn identity(connection: &mut PgConnection) -> Result<(Option<i64>, i64), StoreError> {
    let cluster = sqlx::query_scalar("SELECT system_identifier FROM pg_control_system()").fetch_one(&mut *connection).await.ok();
    let database = sqlx::query_scalar("SELECT oid::bigint FROM pg_database WHERE datname = current_database()");
    Ok((cluster, database.fetch_one(connection).await?))
}

fn unfit(fault: PoolerFault) -> StoreError {
    StoreError::UnfitPooler { fault }
}

/// The parameters that a connection can be opened with.
async fn accepted(
    session: PgConnectOptions,
    limits: SessionLimits,
    unlimited: Option<Result<PgConnectOptions, StoreError>>,
) -> Result<(SessionLimits, PgConnectOptions), StoreError> {
    match (session.connect().await, unlimited) {
        (Ok(connection), _) => {
            check_server_version(connection.server_version_num())?;
            let _ = connection.close().await;
            Ok((limits, session))
        }
        (Err(error), Some(unlimited)) if limits == SessionLimits::Sent && refuses_parameters(&error) => {
            let session = unlimited?;
            let _ = session.connect().await?.close().await;
            Ok((SessionLimits::LeftToServer, session))
        }
        (Err(error), _) => Err(error.into()),
    }
}

/// `PgBouncer` refuses start-up parameters that it does not know, unless its `ignore_startup_parameters` names them.
fn refuses_parameters(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|answer| answer.message().contains("startup parameter"))
}

/// Whose the connections of a URL are, which `setting` names to the operator.
async fn pooling(session: &PgConnectOptions, setting: &'static str) -> Result<Pooling, StoreError> {
    let named = |error| match error {
        StoreError::UnfitPooler { fault: PoolerFault::MixesStatements { found, .. } } => {
            unfit(PoolerFault::MixesStatements { setting, found })
        }
        other => other,
    };
    match compare(session).await {
        // A server that went away in the middle may look like it.
        Err(StoreError::UnfitPooler { .. }) => compare(session).await.map_err(named),
        found => found,
    }
}

/// Asks two connections in turn, and then at the same time, and compares each answer.
async fn compare(session: &PgConnectOptions) -> Result<Pooling, StoreError> {
    let (mut one, mut other) = (session.connect().await?, session.connect().await?);
    let mut seen: [HashSet<String>; 2] = Default::default();
    for round in 0..ROUNDS {
        // In turn: a pooler with an idle server connection gives both the same one, on which each names its statement alike.
        seen[0].insert(question(&mut one, 0, round).await?);
        seen[1].insert(question(&mut other, 1, round).await?);
    }
    let (of_one, of_other) = tokio::join!(questions(&mut one, 2), questions(&mut other, 3));
    seen[0].extend(of_one?);
    seen[1].extend(of_other?);
    let _ = tokio::join!(one.close(), other.close());
    let shared = seen.iter().any(|backends| backends.len() > 1) || !seen[0].is_disjoint(&seen[1]);
    Ok(if shared { Pooling::ByTransaction } else { Pooling::None })
}

/// Questions that are new and questions that were asked before, alone and in a transaction.
async fn questions(connection: &mut PgConnection, who: i64) -> Result<Vec<String>, StoreError> {
    let mut backends = Vec::new();
    for round in 0..ROUNDS {
        backends.push(question(connection, who, round).await?);
        backends.push(question(connection, who - 2, round).await?);
    }
    let mut transaction = connection.begin().await.map_err(fault)?;
    for round in 0..ROUNDS {
        backends.push(question(&mut transaction, who, round).await?);
    }
    transaction.commit().await.map_err(fault)?;
    Ok(backends)
}

/// Asks what only this caller asks in this round, and says who answered.
async fn question(connection: &mut PgConnection, who: i64, round: i64) -> Result<String, StoreError> {
    let nonce = i64::try_from(RandomState::new().hash_one(who) >> 33).unwrap_or(0);
    // The text differs, and so does what it is asked with: another's answer shows.
    let text = format!("SELECT {BACKEND}, $1::bigint + {}, $2::text || ' of {who}'", 1000 * who + round);
    let row = sqlx::query(AssertSqlSafe(text)).bind(nonce).bind(nonce.to_string()).fetch_one(connection).await.map_err(fault)?;
    let answered = (row.try_get::<String, _>(0), row.try_get::<i64, _>(1), row.try_get::<String, _>(2));
    match answered {
        (Ok(backend), Ok(sum), Ok(words)) if sum == nonce + 1000 * who + round && words == format!("{nonce} of {who}") => Ok(backend),
        _ => Err(mixed("the answer to another question".to_owned())),
    }
}

fn mixed(found: String) -> StoreError {
    unfit(PoolerFault::MixesStatements { setting: "DATABASE_URL", found })
}

/// What cannot happen to a connection that is a session of its own, unless it was lost.
fn fault(error: sqlx::Error) -> StoreError {
    match &error {
        sqlx::Error::Database(answer) => match answer.code().as_deref() {
            // A name that another has taken, a name that is not known there, parameters of another statement, no transactions.
            Some("42P05" | "26000" | "08P01") => mixed(source(error).to_string()),
            _ => error.into(),
        },
        sqlx::Error::Protocol(_) | sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnIndexOutOfBounds { .. } => {
            mixed("an answer that belongs to no question".to_owned())
        }
        _ => error.into(),
    }
}

/// Listens on the one way and tells through the other: only on one primary, and past poolers, is it heard.
async fn hear_what_is_told(connection: &mut PgConnection, direct: PgConnectOptions) -> Result<(), StoreError> {
    let channel = format!("pulp_check_{:016x}", RandomState::new().hash_one(0));
    let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(direct);
    let heard = async {
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.listen(&channel).await?;
        sqlx::query("SELECT pg_notify($1, 'heard')").bind(&channel).execute(connection).await?;
        Ok::<_, sqlx::Error>(timeout(NOTICE, listener.recv()).await.is_ok_and(|heard| heard.is_ok()))
    };
    let heard = heard.await;
    pool.close().await;
    if heard? { Ok(()) } else { Err(unfit(PoolerFault::OtherDatabase)) }
}

async fn other_limits(connection: &mut PgConnection, options: &ConnectOptions) -> Result<Vec<OtherLimit>, StoreError> {
    let mut others = Vec::new();
    for (name, asked) in options.limits() {
        // In milliseconds, whatever unit somebody set it in.
        let found: i64 =
            sqlx::query_scalar("SELECT setting::bigint FROM pg_settings WHERE name = $1").bind(name).fetch_one(&mut *connection).await?;
        let (asked_ms, found_ms) = (u64::try_from(asked.as_millis()).unwrap_or(u64::MAX), u64::try_from(found).unwrap_or(0));
        if asked_ms != found_ms {
            others.push(OtherLimit { name, asked_ms, found_ms });
        }
    }
    Ok(others)
}
