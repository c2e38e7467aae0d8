//! Whether the database can be had: the programs of the embedded one, or an answer of the one of DATABASE_URL.

use std::path::Path;
use std::time::Duration;

use domain::TenantId;
use store::{ConnectOptions, Store, StoreError, TemplateFilter};

use super::Finding;
use crate::config::{Config, Storage};
use crate::error::with_causes;

const WHAT: &str = "database";
/// Long enough for a database on the other side of the world.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

pub async fn check(config: &Config) -> Finding {
    match &config.storage {
        Storage::Embedded { bin_dir } => embedded(&config.data_dir, bin_dir.as_deref()),
        Storage::Postgres { url } => configured(url.reveal()).await,
    }
}

/// Nothing is started: that would make a cluster where there is none, and disturb a server that runs.
fn embedded(data_dir: &Path, bin_dir: Option<&Path>) -> Finding {
    let binaries = match embedded_postgres::find_binaries(bin_dir) {
        Ok(binaries) => binaries,
        Err(error) => return Finding::fail(WHAT, error.to_string(), "apt-get install postgresql, or set DATABASE_URL"),
    };
    let found = format!("embedded PostgreSQL {} from {}", binaries.version, binaries.dir.display());
    let cluster = data_dir.join("postgres");
    match std::fs::read_to_string(cluster.join("PG_VERSION")) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Finding::ok(WHAT, format!("{found}; the first start makes {}", cluster.display()))
        }
        Err(error) => Finding::fail(
            WHAT,
            format!("{found}, but {} cannot be read: {error}", cluster.display()),
            "run this as root or as the user that runs the server",
        ),
        Ok(major) if major.trim() == binaries.major.to_string() => {
            Finding::ok(WHAT, format!("{found}; the data is in {}", cluster.display()))
        }
        Ok(major) => Finding::warn(
            WHAT,
            format!("{found}, but {} was made by PostgreSQL {}", cluster.display(), major.trim()),
            format!("apt-get install postgresql-{} if the server does not start", major.trim()),
        ),
    }
}

async fn configured(url: &str) -> Finding {
    let options = ConnectOptions { max_connections: 1, acquire_timeout: CONNECT_TIMEOUT, ..ConnectOptions::new(url) };
    let store = match Store::connect(options).await {
        Ok(store) => store,
        Err(error) => return unreachable(&error),
    };
    let answer = store.tenant(TenantId::default_tenant()).templates().list(&TemplateFilter { limit: 1, ..TemplateFilter::default() }).await;
    let writable = store.ping(CONNECT_TIMEOUT).await;
    store.close().await;
    match (answer, writable) {
        (Ok(templates), Ok(())) => {
            Finding::ok(WHAT, format!("the PostgreSQL of DATABASE_URL answers and holds {} templates", templates.total))
        }
        (Err(StoreError::NotMigrated), Ok(())) => Finding::warn(
            WHAT,
            "the PostgreSQL of DATABASE_URL answers and has no tables yet",
            "`pulp-engine migrate` makes them, and so does starting the server",
        ),
        (_, Err(error)) | (Err(error), Ok(())) => unreachable(&error),
    }
}

fn unreachable(error: &StoreError) -> Finding {
    Finding::fail(WHAT, format!("the PostgreSQL of DATABASE_URL: {}", with_causes(error)), "correct DATABASE_URL, or start that database")
}
