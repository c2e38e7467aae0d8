//! How the database may be used.

use std::time::Duration;

use super::reader::Values;
use super::settings as known;

/// The bounds of everything that is asked of the database.
#[derive(Clone, Copy, Debug)]
pub struct Database {
    /// Connections for statements.
    pub max_connections: u32,
    /// The wait for one of them.
    pub acquire_timeout: Duration,
    /// One statement.
    pub statement_timeout: Duration,
    /// The wait for one lock.
    pub lock_timeout: Duration,
    /// A silence within a transaction.
    pub idle_in_transaction_timeout: Duration,
    /// How far behind a replica may be.
    pub read_max_lag: Duration,
    /// A connection that nobody uses.
    pub idle_lifetime: Duration,
    /// A connection.
    pub max_lifetime: Duration,
}

impl Database {
    /// Reads it.
    pub(super) fn read(values: &Values) -> Self {
        let ms = |setting| Duration::from_millis(values.required(setting));
        Self {
            max_connections: values.required(&known::DATABASE_MAX_CONNECTIONS),
            acquire_timeout: ms(&known::DATABASE_ACQUIRE_TIMEOUT_MS),
            statement_timeout: ms(&known::DATABASE_STATEMENT_TIMEOUT_MS),
            lock_timeout: ms(&known::DATABASE_LOCK_TIMEOUT_MS),
            idle_in_transaction_timeout: ms(&known::DATABASE_IDLE_IN_TRANSACTION_TIMEOUT_MS),
            read_max_lag: ms(&known::DATABASE_READ_MAX_LAG_MS),
            idle_lifetime: ms(&known::DATABASE_IDLE_LIFETIME_MS),
            max_lifetime: ms(&known::DATABASE_MAX_LIFETIME_MS),
        }
    }
}
