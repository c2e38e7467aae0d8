//! Looks at a database without changing it, over one connection and without a pool, so that a refusal is told in its own words.

use std::time::Duration;

use sqlx::{ConnectOptions as _, Connection as _, PgConnection};
use tokio::time::timeout;

use crate::connect::{check_server_version, parameters};
use crate::error::{Outage, StoreError};
use crate::migrations::{MIGRATOR, applied, newer_that_serves};

/// What a database is and how far its tables are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The server's version, such as `15.13`.
    pub server_version: String,
    /// The migrations that the database has, by the number in their file names, oldest first.
    pub applied: Vec<i64>,
    /// The migrations of this release that it lacks, oldest first.
    pub pending: Vec<i64>,
}

/// Connects once, within `wait`, and asks for what a [`Probe`] says.
///
/// [`StoreError::Unavailable`] carries what the network said; unlike a pool, this does not try again until the time is over.
/// Fails with [`StoreError::NewerSchema`] where a newer release has migrated and this one does not work on its tables.
pub async fn probe(url: &str, wait: Duration) -> Result<Probe, StoreError> {
    let options = parameters(url, "pulp-engine doctor")?;
    timeout(wait, async {
        let mut connection = options.connect().await?;
        check_server_version(connection.server_version_num())?;
        let probe = look(&mut connection).await;
        // What it had to say has been said.
        let _ = connection.close().await;
        probe
    })
    .await
    .unwrap_or(Err(StoreError::unavailable(Outage::NoConnection)))
}

async fn look(connection: &mut PgConnection) -> Result<Probe, StoreError> {
    let long: String = sqlx::query_scalar("SELECT current_setting('server_version')").fetch_one(&mut *connection).await?;
    // Distributions add their own version in parentheses.
    let server_version = long.split_whitespace().next().unwrap_or(&long).to_owned();
    let applied = applied(connection).await?;
    let mut pending: Vec<i64> = MIGRATOR.iter().map(|migration| migration.version).filter(|version| !applied.contains(version)).collect();
    pending.sort_unstable();
    newer_that_serves(connection, &applied).await?;
    Ok(Probe { server_version, applied, pending })
}
