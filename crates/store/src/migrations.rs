//! Brings the schema up to this release, one process at a time.

use std::time::{Duration, Instant};

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};
use tokio::time::timeout;

use crate::connect::{check_server_version, parameters};
use crate::error::{Outage, StoreError};

pub(crate) static MIGRATOR: Migrator = sqlx::migrate!("../../migrations");

/// The advisory lock of all releases: "pulp_mig" as a number.
const LOCK: i64 = 0x7075_6c70_5f6d_6967;
/// How long opening the connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The pause between two tries to get the lock.
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// While it is there, a restore into this database has not ended. What is in it belongs to nobody yet.
pub(crate) const UNFINISHED_RESTORE: &str = "unfinished_restore";

/// A migration of this release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownMigration {
    /// The number in its file name.
    pub version: i64,
    /// The SHA-384 of its text, in hexadecimal digits.
    pub sha384: String,
}

/// The migrations of this release, oldest first.
pub fn known_migrations() -> Vec<KnownMigration> {
    MIGRATOR.iter().map(|migration| KnownMigration { version: migration.version, sha384: hex::encode(&migration.checksum) }).collect()
}

/// What a run of the migrations did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationReport {
    /// The migrations that this run applied, by the number in their file names, oldest first.
    pub applied: Vec<i64>,
    /// The newest migration the database now has.
    pub schema: i64,
}

/// Applies the migrations that the database lacks.
///
/// `url` must lead past PgBouncer, because the lock belongs to a session. When another process is migrating, its end is
/// awaited for up to `wait`. Each migration is one transaction, so a failing one leaves the schema as the ones before made it.
pub async fn migrate(url: &str, wait: Duration) -> Result<MigrationReport, StoreError> {
    let mut connection = connect(url).await?;
    take_lock(&mut connection, wait).await?;
    // The lock ends with the session at the latest, so an error or a dropped future does not leave it behind.
    let report = match unfinished_restore(&mut connection).await {
        Ok(None) => apply(&mut connection, None).await,
        Ok(Some(backup)) => Err(StoreError::RestoreUnfinished { backup }),
        Err(error) => Err(error),
    };
    if let Err(error) = connection.close().await {
        tracing::debug!(error = &error as &dyn std::error::Error, "the migrating connection did not close cleanly");
    }
    report
}

async fn connect(url: &str) -> Result<PgConnection, StoreError> {
    let options = parameters(url, "pulp-engine migrate")?;
    let mut connection = timeout(CONNECT_TIMEOUT, options.connect()).await.map_err(|_| StoreError::unavailable(Outage::NoConnection))??;
    check_server_version(connection.server_version_num())?;
    // Waiting longer for a lock on a table would make everybody else wait behind us. Not as parameters of the start, which
    // a pooler in session mode refuses.
    let limits = "SET lock_timeout = '10s'; SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0";
    sqlx::raw_sql(limits).execute(&mut connection).await?;
    Ok(connection)
}

async fn take_lock(connection: &mut PgConnection, wait: Duration) -> Result<(), StoreError> {
    let started = Instant::now();
    loop {
        // Trying, not waiting: a waiting session would hold a snapshot that CREATE INDEX CONCURRENTLY waits for.
        let taken: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(LOCK).fetch_one(&mut *connection).await?;
        if taken {
            return Ok(());
        }
        if started.elapsed() >= wait {
            return Err(StoreError::MigrationLocked { waited: started.elapsed() });
        }
        tokio::time::sleep(LOCK_PAUSE).await;
    }
}

/// The backup that somebody began to restore into this database and has not ended restoring.
pub(crate) async fn unfinished_restore(connection: &mut PgConnection) -> Result<Option<String>, StoreError> {
    let there: bool = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(UNFINISHED_RESTORE).fetch_one(&mut *connection).await?;
    if !there {
        return Ok(None);
    }
    Ok(sqlx::query_scalar("SELECT backup_id FROM unfinished_restore").fetch_optional(connection).await?)
}

/// Applies what is missing, up to a version where one is given. In a transaction of the caller each migration is a part of that.
pub(crate) async fn apply(connection: &mut PgConnection, up_to: Option<i64>) -> Result<MigrationReport, StoreError> {
    let before = applied(connection).await?;
    let known = newest_migration();
    if let Some(found) = newer_that_serves(connection, &before).await? {
        tracing::info!(found, known, "the tables are those of a newer release, and this one works on them");
        return Ok(MigrationReport { applied: Vec::new(), schema: found });
    }
    // Not the driver's own lock: it would be waited for without a limit.
    let mut migrator = Migrator::with_migrations(MIGRATOR.iter().cloned().collect());
    migrator.set_locking(false);
    // And not `run`: its future cannot be sent between threads, which this entrance to the same code is there for.
    migrator.run_direct(up_to, &mut *connection, false).await.map_err(failure)?;
    let mut new = applied(connection).await?;
    new.retain(|version| !before.contains(version));
    Ok(MigrationReport { applied: new, schema: up_to.unwrap_or(known) })
}

/// The newest migration that this release knows.
pub(crate) fn newest_migration() -> i64 {
    MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// The newest migration that was applied, where this release does not know it and it left everything that older releases need.
pub(crate) async fn newer_that_serves(connection: &mut PgConnection, applied: &[i64]) -> Result<Option<i64>, StoreError> {
    let known = newest_migration();
    let Some(&found) = applied.iter().max().filter(|&&found| found > known) else { return Ok(None) };
    let said: bool = sqlx::query_scalar("SELECT to_regprocedure('schema_floor()') IS NOT NULL").fetch_one(&mut *connection).await?;
    if !said {
        return Err(StoreError::NewerSchema { found, known });
    }
    let floor: i64 = sqlx::query_scalar("SELECT schema_floor()").fetch_one(connection).await?;
    if floor <= known { Ok(Some(found)) } else { Err(StoreError::NewerSchema { found, known }) }
}

/// The migrations that the database has, oldest first.
pub(crate) async fn applied(connection: &mut PgConnection) -> Result<Vec<i64>, StoreError> {
    let any: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL").fetch_one(&mut *connection).await?;
    if !any {
        return Ok(Vec::new());
    }
    Ok(sqlx::query_scalar("SELECT version FROM _sqlx_migrations ORDER BY version").fetch_all(connection).await?)
}

fn failure(error: MigrateError) -> StoreError {
    let inconsistent = |version, what: &str| StoreError::inconsistent("_sqlx_migrations", format!("migration {version} {what}"));
    match error {
        MigrateError::Execute(error) => error.into(),
        MigrateError::ExecuteMigration(error, version) => match StoreError::from(error) {
            away @ StoreError::Unavailable { .. } => away,
            other => StoreError::MigrationFailed { version, source: other.into() },
        },
        MigrateError::VersionMissing(version) => inconsistent(version, "is not one of this product"),
        MigrateError::VersionMismatch(version) => inconsistent(version, "was applied with another text"),
        MigrateError::Dirty(version) => inconsistent(version, "was applied in part"),
        other => StoreError::MigrationFailed { version: 0, source: other.into() },
    }
}
