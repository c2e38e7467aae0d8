//! What can go wrong between us and Postgres, told apart by what the caller can do about it.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// Why an act of the store failed. No variant shows SQL text; the sources are for the log.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is away or too slow: the same call may work in a moment.
    #[error("the database is away: {why}")]
    Unavailable {
        /// What was observed.
        why: Outage,
        /// What the driver said, if it said anything.
        source: Option<Source>,
    },
    /// Somebody else changed the same thing in the same moment: read again, then decide.
    #[error("a concurrent change was in the way ({what})")]
    Conflict {
        /// The rule that two changes cannot both keep: the name of a constraint, or `deadlock`.
        what: String,
    },
    /// A value breaks a rule of its column, which its caller should have checked.
    #[error("the database refuses a value ({what})")]
    Refused {
        /// The name of the constraint, or the SQLSTATE code where there is none.
        what: String,
    },
    /// The tenant of this handle has no row.
    #[error("there is no such tenant")]
    NoSuchTenant,
    /// The tenant of this handle is archived and takes no writes.
    #[error("the tenant is archived")]
    TenantArchived,
    /// The request's idempotency key is another request's by now, which carries it out in its place.
    #[error("the idempotency key of this request was taken over")]
    TakenOver,
    /// A row says something that no row of this release says.
    #[error("a row of {table} is inconsistent: {what}")]
    Inconsistent {
        /// Where the row is.
        table: &'static str,
        /// What is wrong with it, without its content.
        what: String,
    },
    /// A table or column is missing: the migrations have not been run.
    #[error("the database has not been migrated; run `pulp-engine migrate`")]
    NotMigrated,
    /// A newer release has migrated this database, and what this one needs is no longer there.
    #[error("the database was migrated by a newer release (its schema is {found}, this release knows up to {known}); run a newer release")]
    NewerSchema {
        /// The newest migration found.
        found: i64,
        /// The newest migration of this release.
        known: i64,
    },
    /// A restore into this database was begun and has not ended.
    #[error("a restore of the backup {backup} into this database has not ended; run `pulp-engine backup restore` with it again")]
    RestoreUnfinished {
        /// The id in its manifest.
        backup: String,
    },
    /// Another process is migrating and did not end in time.
    #[error("another process held the migration lock for {} s", waited.as_secs())]
    MigrationLocked {
        /// How long we tried.
        waited: Duration,
    },
    /// A migration failed; it was rolled back and the ones before it stay.
    #[error("migration {version} failed")]
    MigrationFailed {
        /// The number in the migration's file name, or 0 when the failure was between migrations.
        version: i64,
        /// What the driver said.
        source: Source,
    },
    /// The server is older than what we run on.
    #[error("PostgreSQL {found} is not supported; version {needed} or newer is needed")]
    UnsupportedServer {
        /// The major version found.
        found: u32,
        /// The oldest major version that works.
        needed: u32,
    },
    /// The settings of the connection are wrong: waiting will not help.
    #[error("the database connection is misconfigured: {what}")]
    Misconfigured {
        /// What to look at.
        what: &'static str,
        /// What the driver said.
        source: Source,
    },
    /// What lies between us and Postgres cannot be worked through.
    #[error("{fault}")]
    UnfitPooler {
        /// What was found.
        fault: PoolerFault,
    },
    /// Anything else: a defect of ours.
    #[error("the database answered something unexpected")]
    Unexpected {
        /// What the driver said.
        source: Source,
    },
}

/// What the driver said, for logs.
pub type Source = Box<dyn Error + Send + Sync>;

/// An answer of the server in its own words. The driver's text would end in a line number of Postgres' source code, and
/// its details may hold values of a row.
#[derive(Debug)]
struct Answer {
    said: String,
    /// For those who look at the value itself; its text is in `said`.
    #[expect(dead_code, reason = "`Debug` shows it")]
    error: sqlx::Error,
}

impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.said)
    }
}

impl Error for Answer {}

/// The cause as it goes into an error.
pub(crate) fn source(error: sqlx::Error) -> Source {
    let said = match &error {
        sqlx::Error::Database(answer) => match answer.code() {
            Some(code) => format!("{} (SQLSTATE {code})", answer.message()),
            None => answer.message().to_owned(),
        },
        _ => return error.into(),
    };
    Box::new(Answer { said, error })
}

/// Why what lies between us and Postgres cannot be worked through, in words for the operator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PoolerFault {
    /// What is prepared on one connection is answered on another one.
    MixesStatements {
        /// The setting whose URL leads through it.
        setting: &'static str,
        /// What was observed, without values.
        found: String,
    },
    /// Connections are lent by the transaction, and there is no way past that for LISTEN and the lock of the migrations.
    NoDirectWay,
    /// The way that should lead past the pooler is lent by the transaction too.
    DirectWayIsPooled,
    /// What is told with NOTIFY through the one way is not heard on the other.
    OtherDatabase,
    /// What lists should be read from is no copy of the database.
    NoReplica,
}

impl fmt::Display for PoolerFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MixesStatements { setting, found } => write!(
                formatter,
                "{setting} leads through a connection pooler that does not keep the statements of its clients apart (found: {found}); \
                 with it, requests would get the answers of others. Use PgBouncer 1.21 or newer with max_prepared_statements above 0, such as \
                 200, or its session mode, or let {setting} lead to PostgreSQL itself"
            ),
            Self::NoDirectWay => formatter.write_str(
                "DATABASE_URL leads through a connection pooler that lends connections by the transaction (found: two open connections \
                 answered by one server process, or one by several), and DATABASE_DIRECT_URL is not set; set it to a URL of the same \
                 database that leads past the pooler, for notices of changes and for migrations",
            ),
            Self::DirectWayIsPooled => formatter.write_str(
                "DATABASE_DIRECT_URL leads through a connection pooler that lends connections by the transaction (found: two open \
                 connections answered by one server process, or one by several); let it lead to PostgreSQL itself",
            ),
            Self::NoReplica => formatter.write_str(
                "DATABASE_READ_URL leads to a database that is no physical copy of that of DATABASE_URL (found: another cluster or another \
                 database of it); let it lead to a streaming replica, or leave it out",
            ),
            Self::OtherDatabase => formatter.write_str(
                "what is told through DATABASE_URL is not heard through DATABASE_DIRECT_URL (found: no notice within 5 s); let both \
                 lead to the same database of the same primary",
            ),
        }
    }
}

/// What was observed of a database that is away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outage {
    /// No connection within the acquire timeout: unreachable, or all of the pool in use.
    NoConnection,
    /// A connection broke, or the server is shutting down or starting up.
    ConnectionLost,
    /// The server takes no writes: a standby, or a primary that has just been demoted.
    ReadOnly,
    /// The statement, or the wait for a lock in it, took longer than its limit.
    TooSlow,
    /// The server's disk is full: it reads, and writes again once there is room.
    DiskFull,
    /// This store has been closed.
    Closed,
}

impl fmt::Display for Outage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoConnection => "no connection within the time allowed",
            Self::ConnectionLost => "the connection was lost",
            Self::ReadOnly => "the server takes no writes",
            Self::TooSlow => "no answer within the time allowed",
            Self::DiskFull => "the database has no space left",
            Self::Closed => "the connections have been closed",
        })
    }
}

impl StoreError {
    /// A row that cannot be what we wrote.
    pub(crate) fn inconsistent(table: &'static str, what: impl fmt::Display) -> Self {
        Self::Inconsistent { table, what: what.to_string() }
    }

    pub(crate) fn unavailable(why: Outage) -> Self {
        Self::Unavailable { why, source: None }
    }

    /// Whether the other connections of the pool probably lead to the same dead end.
    pub(crate) fn taints_the_pool(&self) -> bool {
        matches!(self, Self::Unavailable { why: Outage::ConnectionLost | Outage::ReadOnly, .. })
    }

    /// One word for the metrics.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "unavailable",
            Self::Conflict { .. } => "conflict",
            _ => "error",
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let away = |why, error: sqlx::Error| Self::Unavailable { why, source: Some(source(error)) };
        match &error {
            sqlx::Error::PoolTimedOut => away(Outage::NoConnection, error),
            sqlx::Error::PoolClosed => away(Outage::Closed, error),
            sqlx::Error::Io(io) if refuses_the_certificate(io) => {
                Self::Misconfigured { what: "the certificate of the server is not accepted", source: source(error) }
            }
            // A connection that dies between two bytes shows as a protocol error.
            sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => away(Outage::ConnectionLost, error),
            sqlx::Error::Configuration(_) | sqlx::Error::InvalidArgument(_) => {
                Self::Misconfigured { what: "the URL is not understood", source: source(error) }
            }
            sqlx::Error::Tls(_) => Self::Misconfigured { what: "no TLS session with the server", source: source(error) },
            sqlx::Error::Database(answer) => {
                let code = answer.code().unwrap_or_default().into_owned();
                let constraint = answer.constraint().map(ToOwned::to_owned);
                Self::from_sqlstate(&code, constraint, error)
            }
            _ => Self::Unexpected { source: source(error) },
        }
    }
}

/// What our side of TLS says of a certificate comes as a failure to read.
fn refuses_the_certificate(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::InvalidData && error.to_string().starts_with("invalid peer certificate")
}

impl StoreError {
    fn from_sqlstate(code: &str, constraint: Option<String>, error: sqlx::Error) -> Self {
        let away = |why, error: sqlx::Error| Self::Unavailable { why, source: Some(source(error)) };
        let rule = constraint.unwrap_or_else(|| code.to_owned());
        match code {
            "25006" => away(Outage::ReadOnly, error),
            // A statement over its time, a lock not granted in time, a transaction left idle.
            "57014" | "55P03" | "25P03" => away(Outage::TooSlow, error),
            "53100" => away(Outage::DiskFull, error),
            "53300" | "53400" => away(Outage::NoConnection, error),
            "40001" | "40P01" => Self::Conflict { what: "deadlock".to_owned() },
            "23505" => Self::Conflict { what: rule },
            "23503" if rule.ends_with("_tenant_id_fkey") => Self::NoSuchTenant,
            "42P01" | "42703" | "42883" | "3F000" => Self::NotMigrated,
            "3D000" => Self::Misconfigured { what: "the database does not exist", source: source(error) },
            "42501" => Self::Misconfigured { what: "the role lacks a permission", source: source(error) },
            _ => match code.get(..2) {
                Some("08" | "53" | "57" | "58") => away(Outage::ConnectionLost, error),
                Some("22" | "23") => Self::Refused { what: rule },
                Some("28") => Self::Misconfigured { what: "the server refuses the role or its password", source: source(error) },
                _ => Self::Unexpected { source: source(error) },
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_called_one_and_leaves_the_connections_trusted() {
        let error = StoreError::from_sqlstate("53100", None, sqlx::Error::RowNotFound);
        assert!(matches!(error, StoreError::Unavailable { why: Outage::DiskFull, .. }), "{error:?}");
        assert!(error.to_string().contains("the database has no space left"), "{error}");
        assert!(!error.taints_the_pool());
    }
}
