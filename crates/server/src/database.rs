//! The database: the one of DATABASE_URL, or a private PostgreSQL that is kept running.

use std::time::Duration;

use embedded_postgres::{EmbeddedPostgres, Options};
use store::{ConnectOptions, MigrationReport, Store, StoreError};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Storage};
use crate::error::{ServerError, with_causes};
use crate::logs::whole_ms;

/// The pause before the first restart of a PostgreSQL that died, doubled after each failure.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause between restarts.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// One that ran this long before it died is restarted with the first pause again.
const STABLE: Duration = Duration::from_mins(1);

/// How long a start waits for a database that does not answer: what starts beside us may take a while.
const DATABASE_PATIENCE: Duration = Duration::from_mins(1);
/// How long a start waits for another replica that is migrating.
const MIGRATION_LOCK_WAIT: Duration = Duration::from_mins(5);

/// A database that can be connected to.
pub struct Database {
    url: String,
    /// What runs and where the data is, for the start-up line.
    pub description: String,
    keeper: Option<Keeper>,
}

/// Keeps the embedded PostgreSQL running until it is told to stop.
struct Keeper {
    stop: CancellationToken,
    task: JoinHandle<EmbeddedPostgres>,
}

impl Database {
    /// Starts the embedded PostgreSQL, or takes the configured URL as it is.
    pub async fn start(config: &Config) -> Result<Self, ServerError> {
        match &config.storage {
            Storage::Postgres { url } => Ok(Self {
                url: url.reveal().to_owned(),
                description: format!("PostgreSQL at {}", without_secrets(url.reveal())),
                keeper: None,
            }),
            Storage::Embedded { bin_dir } => {
                let options = Options { bin_dir: bin_dir.clone(), ..Options::new(&config.data_dir) };
                let postgres = embedded_postgres::start(options).await?;
                let description = format!("embedded PostgreSQL {} in {}", postgres.version(), postgres.data_dir().display());
                let url = postgres.url();
                let stop = CancellationToken::new();
                let task = tokio::spawn(keep_running(postgres, stop.clone()));
                Ok(Self { url, description, keeper: Some(Keeper { stop, task }) })
            }
        }
    }

    /// Brings its tables to this version and connects. A database that is still starting is waited for.
    pub async fn connect(&self, config: &Config) -> Result<Store, ServerError> {
        self.migrate().await?;
        let options = ConnectOptions {
            max_connections: config.database_max_connections,
            instance_id: instance_id(),
            ..ConnectOptions::new(&self.url)
        };
        Ok(Store::connect(options).await?)
    }

    /// Brings its tables to this version.
    pub async fn migrate(&self) -> Result<MigrationReport, ServerError> {
        let patience = Instant::now() + DATABASE_PATIENCE;
        loop {
            match store::migrate(&self.url, MIGRATION_LOCK_WAIT).await {
                Err(error @ StoreError::Unavailable { .. }) if Instant::now() < patience => {
                    tracing::warn!(error = with_causes(&error), "the database is not there yet; it is tried again");
                    sleep(Duration::from_secs(1)).await;
                }
                report => return Ok(report?),
            }
        }
    }

    /// How to reach it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether it is ours, and stops when we do.
    pub fn is_embedded(&self) -> bool {
        self.keeper.is_some()
    }

    /// Stops the embedded PostgreSQL, cleanly within `timeout`; someone else's is left alone.
    pub async fn stop(self, timeout: Duration) -> Result<(), ServerError> {
        let Some(keeper) = self.keeper else { return Ok(()) };
        keeper.stop.cancel();
        match keeper.task.await {
            Ok(postgres) => {
                let stopped = postgres.stop(timeout).await?;
                tracing::debug!(?stopped, "the embedded PostgreSQL has stopped");
            }
            // Its PostgreSQL was dropped with it, which asks it to end.
            Err(panicked) => tracing::error!(%panicked, "the keeper of the embedded PostgreSQL failed"),
        }
        Ok(())
    }
}

/// Names this process among the replicas: the machine, for people, and something that no other process has had. The number of a
/// process would not do: in containers each is the first, and a name may come back with the next start.
fn instance_id() -> String {
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let machine: String = machine.chars().filter(|letter| letter.is_ascii_graphic()).take(100).collect();
    let start = getrandom::u32().unwrap_or_else(|_| std::process::id());
    format!("{machine}:{start:08x}")
}

/// The host and the database of a URL: the user, the password and the parameters, which may hold one too, are left out.
fn without_secrets(url: &str) -> &str {
    let url = url.split_once('?').map_or(url, |(url, _)| url);
    let url = url.split_once("://").map_or(url, |(_, rest)| rest);
    url.rsplit_once('@').map_or(url, |(_, place)| place)
}

/// Restarts a PostgreSQL that died, for as long as it takes. Meanwhile the readiness check of the storage fails.
async fn keep_running(mut postgres: EmbeddedPostgres, stop: CancellationToken) -> EmbeddedPostgres {
    let mut pause = FIRST_PAUSE;
    loop {
        let up_since = Instant::now();
        let status = tokio::select! {
            () = stop.cancelled() => return postgres,
            status = postgres.exited() => status,
        };
        if up_since.elapsed() > STABLE {
            pause = FIRST_PAUSE;
        }
        let died_at = Instant::now();
        let status = status.map_or_else(|| "for an unknown reason".to_owned(), |status| status.to_string());
        tracing::error!(%status, log = postgres.log_tail(), "the embedded PostgreSQL ended; it is started again");
        loop {
            tokio::select! {
                () = stop.cancelled() => return postgres,
                () = sleep(pause) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
            metrics::counter!("pulp_engine_embedded_postgres_restarts_total").increment(1);
            match postgres.restart().await {
                Ok(()) => {
                    tracing::info!(down_ms = whole_ms(died_at.elapsed()), "the embedded PostgreSQL runs again");
                    break;
                }
                Err(error) => tracing::error!(%error, next_try_in_ms = whole_ms(pause), "the embedded PostgreSQL does not start"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_up_line_names_the_database_without_user_and_password() {
        for (url, shown) in [
            ("postgres://me:secret@db.example.org:5432/pulp?sslmode=require&password=secret", "db.example.org:5432/pulp"),
            ("postgresql://db/pulp", "db/pulp"),
            ("postgres://me:p@ss@db/pulp", "db/pulp"),
        ] {
            assert_eq!(without_secrets(url), shown);
        }
    }
}
