//! The database: the one of DATABASE_URL, or a private PostgreSQL that is kept running.

use std::path::Path;
use std::time::Duration;

use embedded_postgres::{EmbeddedPostgres, Options};
use store::{ConnectOptions, Findings, MigrationReport, Pooling, Store, StoreError};
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, DatabaseUrls, Secret, Storage};
use crate::error::{ServerError, with_causes};
use crate::instance;
use crate::logs::whole_ms;

/// The pause before the first restart of a PostgreSQL that died, doubled after each failure.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause between restarts.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// One that ran this long before it died is restarted with the first pause again.
const STABLE: Duration = Duration::from_mins(1);

/// How long a start waits for a database that does not answer: what starts beside us may take a while.
const DATABASE_PATIENCE: Duration = Duration::from_mins(1);
/// How long one look at the way to it may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a start waits for another replica that is migrating.
const MIGRATION_LOCK_WAIT: Duration = Duration::from_mins(5);

/// A database that can be connected to.
pub struct Database {
    options: ConnectOptions,
    /// What lies between it and us, once that is known.
    findings: OnceCell<Findings>,
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
            Storage::Postgres(urls) => Ok(Self {
                options: options(config, urls),
                findings: OnceCell::new(),
                description: format!("PostgreSQL at {}", without_secrets(urls.url.reveal())),
                keeper: None,
            }),
            Storage::Embedded { bin_dir } => {
                let options = embedded_options(config, bin_dir.as_deref());
                let postgres = embedded_postgres::start(options).await?;
                let description = format!("embedded PostgreSQL {} in {}", postgres.version(), postgres.data_dir().display());
                let options = self::options(config, &DatabaseUrls { url: Secret::new(postgres.url()), direct: None, read: None });
                let stop = CancellationToken::new();
                let task = tokio::spawn(keep_running(postgres, stop.clone()));
                // Nothing is between it and us.
                let findings = Findings::of_a_session();
                Ok(Self { options, findings: OnceCell::new_with(Some(findings)), description, keeper: Some(Keeper { stop, task }) })
            }
        }
    }

    /// As [`Self::start`], but while a server runs an embedded PostgreSQL, that one is looked in at.
    pub async fn visit(config: &Config) -> Result<Self, ServerError> {
        if let Storage::Embedded { bin_dir } = &config.storage
            && let Some(url) = embedded_postgres::url_of_running(&embedded_options(config, bin_dir.as_deref()))?
        {
            let description = format!("the embedded PostgreSQL of the server that runs on {}", config.data_dir.display());
            let options = self::options(config, &DatabaseUrls { url: Secret::new(url), direct: None, read: None });
            return Ok(Self { options, findings: OnceCell::new_with(Some(Findings::of_a_session())), description, keeper: None });
        }
        Self::start(config).await
    }

    /// The way past poolers, after it was looked at.
    pub async fn direct_url(&self) -> Result<String, ServerError> {
        let options = self.checked().await?;
        Ok(options.direct_url.unwrap_or(options.url))
    }

    /// Brings its tables to this version and connects. A database that is still starting is waited for.
    pub async fn connect(&self) -> Result<Store, ServerError> {
        self.migrate().await?;
        Ok(Store::connect(self.checked().await?).await?)
    }

    /// Connects to it as it is, over a single connection.
    pub async fn connect_alone(&self) -> Result<Store, ServerError> {
        Ok(Store::connect(ConnectOptions { max_connections: 1, read_url: None, ..self.checked().await? }).await?)
    }

    /// Brings its tables to this version.
    pub async fn migrate(&self) -> Result<MigrationReport, ServerError> {
        // The lock of the migrations is worth nothing on a connection that is not ours alone.
        let options = self.checked().await?;
        let url = options.direct_url.as_ref().unwrap_or(&options.url);
        patiently(async || store::migrate(url, MIGRATION_LOCK_WAIT).await).await
    }

    /// How to connect to it, after what lies in between was looked at.
    async fn checked(&self) -> Result<ConnectOptions, ServerError> {
        let check = async || patiently(async || store::self_check(&self.options, CHECK_TIMEOUT).await).await.inspect(tell);
        let findings = self.findings.get_or_try_init(check).await?;
        let (session_limits, reading_limits) = (findings.session_limits, findings.reading_limits);
        Ok(ConnectOptions { session_limits, reading_limits, ..self.options.clone() })
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

/// Does it again while the database is not there, for as long as a start has patience.
async fn patiently<T>(act: impl AsyncFn() -> Result<T, StoreError>) -> Result<T, ServerError> {
    let patience = Instant::now() + DATABASE_PATIENCE;
    loop {
        match act().await {
            Err(error @ StoreError::Unavailable { .. }) if Instant::now() < patience => {
                tracing::warn!(error = with_causes(&error), "the database is not there yet; it is tried again");
                sleep(Duration::from_secs(1)).await;
            }
            outcome => return Ok(outcome?),
        }
    }
}

/// What an operator should know of the way to the database, though it can be worked with.
fn tell(findings: &Findings) {
    if findings.pooling == Pooling::ByTransaction {
        tracing::info!("DATABASE_URL leads through a pooler that lends connections by the transaction; DATABASE_DIRECT_URL leads past it");
    }
    if findings.replica_is_away {
        tracing::warn!("the replica of DATABASE_READ_URL does not answer; lists and exports are read in the database itself until it does");
    }
    for limit in &findings.other_limits {
        tracing::warn!(
            limit = limit.name,
            asked_ms = limit.asked_ms,
            found_ms = limit.found_ms,
            "a limit of the database sessions is not the one of the settings, as poolers do not pass it on: set it with ALTER ROLE \
             (0 is none)"
        );
    }
}

fn embedded_options(config: &Config, bin_dir: Option<&Path>) -> Options {
    Options { bin_dir: bin_dir.map(Path::to_owned), ..Options::new(&config.data_dir) }
}

/// How this configuration wants a database to be used.
pub fn options(config: &Config, urls: &DatabaseUrls) -> ConnectOptions {
    let bounds = &config.database;
    ConnectOptions {
        max_connections: bounds.max_connections,
        acquire_timeout: bounds.acquire_timeout,
        statement_timeout: bounds.statement_timeout,
        lock_timeout: bounds.lock_timeout,
        idle_in_transaction_timeout: bounds.idle_in_transaction_timeout,
        idle_lifetime: bounds.idle_lifetime,
        max_lifetime: bounds.max_lifetime,
        instance_id: instance::id().to_owned(),
        direct_url: urls.direct.as_ref().map(|url| url.reveal().to_owned()),
        read_url: urls.read.as_ref().map(|url| url.reveal().to_owned()),
        read_max_lag: bounds.read_max_lag,
        ..ConnectOptions::new(urls.url.reveal())
    }
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
