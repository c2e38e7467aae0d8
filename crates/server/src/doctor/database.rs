//! Whether the database can be had: the programs of the embedded one, or an answer of the one of DATABASE_URL.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use domain::TenantId;
use store::{ConnectOptions, Outage, Probe, Store, StoreError, TemplateFilter};

use super::Finding;
use crate::config::{Config, Storage};
use crate::database::options;
use crate::error::with_causes;

const WHAT: &str = "database";
/// Long enough for a database on the other side of the world.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// And for some thirty questions to it.
const CHECK_TIMEOUT: Duration = Duration::from_secs(15);

pub async fn check(config: &Config) -> Finding {
    match &config.storage {
        Storage::Embedded { bin_dir } => embedded(&config.data_dir, bin_dir.as_deref()),
        Storage::Postgres(urls) => configured(options(config, urls)).await,
    }
}

/// Nothing is started: that would make a cluster where there is none, and disturb a server that runs.
fn embedded(data_dir: &Path, bin_dir: Option<&Path>) -> Finding {
    let cluster = data_dir.join("postgres");
    let major = match std::fs::read_to_string(cluster.join("PG_VERSION")) {
        Ok(major) => Some(major.trim().to_owned()),
        // A file in the place of a folder is told of the data folder.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => None,
        Err(error) => {
            return Finding::fail(
                WHAT,
                format!("{} cannot be read: {error}", cluster.display()),
                "run this as root or as the user that runs the server",
            );
        }
    };
    let wanted = major.as_ref().and_then(|major| major.parse().ok());
    let binaries = match embedded_postgres::find_binaries_for(bin_dir, wanted) {
        Ok(binaries) => binaries,
        Err(error) => return Finding::fail(WHAT, error.to_string(), "apt-get install postgresql, or set DATABASE_URL"),
    };
    let found = format!("embedded PostgreSQL {} from {}", binaries.version, binaries.dir.display());
    match major {
        None => Finding::ok(WHAT, format!("{found}; the first start makes {}", cluster.display())),
        Some(_) if wanted == Some(binaries.major) => Finding::ok(WHAT, format!("{found}; the data is in {}", cluster.display())),
        Some(major) => Finding::fail(
            WHAT,
            format!("{found}, but {} was made by PostgreSQL {major}: the server does not start", cluster.display()),
            format!("apt-get install postgresql-{major}, or move the data over with pg_dump"),
        ),
    }
}

async fn configured(options: ConnectOptions) -> Finding {
    // It has the better words for an address where nobody answers, and the other for a pooler in between.
    let probe = store::probe(&options.url, CONNECT_TIMEOUT).await;
    if let Err(error @ StoreError::Unavailable { .. }) = &probe {
        return unusable(error);
    }
    let (findings, probe) = match (store::self_check(&options, CHECK_TIMEOUT).await, probe) {
        (Ok(findings), Ok(probe)) => (findings, probe),
        (Err(error), _) | (Ok(_), Err(error)) => return unusable(&error),
    };
    let session_limits = findings.session_limits;
    let options = ConnectOptions { max_connections: 1, read_url: None, acquire_timeout: CONNECT_TIMEOUT, session_limits, ..options };
    let store = match Store::connect(options).await {
        Ok(store) => store,
        Err(error) => return unusable(&error),
    };
    let writable = store.ping(CONNECT_TIMEOUT).await;
    let templates = store.tenant(TenantId::default_tenant());
    let answer = templates.templates().list(&TemplateFilter { limit: 1, ..TemplateFilter::default() }).await;
    store.close().await;
    if let Err(error) = writable {
        return unusable(&error);
    }
    let Probe { server_version, applied, pending } = probe;
    let found = format!("PostgreSQL {server_version} of DATABASE_URL answers");
    let remedy = "`pulp-engine migrate` applies them, and so does starting the server";
    match answer {
        _ if applied.is_empty() => {
            Finding::warn(WHAT, format!("{found} and has no tables yet: {} migrations are pending", pending.len()), remedy)
        }
        _ if !pending.is_empty() => Finding::warn(WHAT, format!("{found}; migrations are pending: {}", numbers(&pending)), remedy),
        Ok(_) if !findings.other_limits.is_empty() => {
            let limits = findings.other_limits.iter().map(|limit| format!("{}={}ms", limit.name, limit.found_ms)).collect::<Vec<_>>();
            let asked = findings.other_limits.iter().map(|limit| format!("{}={}ms", limit.name, limit.asked_ms)).collect::<Vec<_>>();
            Finding::warn(
                WHAT,
                format!("{found} through a pooler, with {}", limits.join(", ")),
                format!("ALTER ROLE … SET {}", asked.join(", ")),
            )
        }
        Ok(templates) => Finding::ok(WHAT, format!("{found}, no migration is pending, and it holds {} templates", templates.total)),
        Err(error) => unusable(&error),
    }
}

fn numbers(versions: &[i64]) -> String {
    versions.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
}

fn unusable(error: &StoreError) -> Finding {
    let (found, remedy) = match error {
        // Nothing was lost yet: what the network said is all there is to say.
        StoreError::Unavailable { why: Outage::ConnectionLost | Outage::NoConnection, source: Some(source) } => {
            (format!("cannot be reached: {source}"), "correct DATABASE_URL, or start that database")
        }
        StoreError::Unavailable { why: Outage::NoConnection, source: None } => {
            (format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()), "correct DATABASE_URL, or start that database")
        }
        StoreError::Unavailable { why: Outage::ReadOnly, .. } => {
            (with_causes(error), "let DATABASE_URL name the primary, or end its read-only mode")
        }
        StoreError::Unavailable { why: Outage::DiskFull, .. } => (with_causes(error), "make room on the disk of that database"),
        StoreError::NewerSchema { .. } | StoreError::UnsupportedServer { .. } => {
            (with_causes(error), "use a release and a PostgreSQL that fit each other")
        }
        StoreError::UnfitPooler { .. } => return Finding::fail(WHAT, error.to_string(), "see docs/operations/postgres.md"),
        _ => (with_causes(error), "correct DATABASE_URL, or start that database"),
    };
    Finding::fail(WHAT, format!("the PostgreSQL of DATABASE_URL: {found}"), remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[tokio::test]
    async fn a_refused_connection_is_called_one_and_not_waited_for() {
        let began = tokio::time::Instant::now();
        let finding = configured(ConnectOptions::new("postgres://me@127.0.0.1:1/pulp")).await;
        assert_eq!(finding.verdict, Verdict::Fail);
        assert!(finding.found.contains("Connection refused"), "{}", finding.found);
        assert!(began.elapsed() < CONNECT_TIMEOUT, "{:?}", began.elapsed());
    }

    #[test]
    fn a_cluster_of_a_major_version_that_is_not_installed_keeps_the_server_from_starting() {
        let data_dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(data_dir.path().join("postgres")).unwrap();
        std::fs::write(data_dir.path().join("postgres/PG_VERSION"), "9\n").unwrap();
        let finding = embedded(data_dir.path(), None);
        assert_eq!(finding.verdict, Verdict::Fail);
        assert!(finding.found.contains("made by PostgreSQL 9"), "{}", finding.found);
    }

    #[tokio::test]
    async fn the_version_of_the_server_and_the_pending_migrations_are_named() {
        let database = testkit::postgres::TestDatabase::empty().await;
        let before = configured(ConnectOptions::new(database.url())).await;
        assert_eq!(before.verdict, Verdict::Warn);
        assert!(before.found.contains("PostgreSQL 1") && before.found.contains("migrations are pending"), "{}", before.found);
        store::migrate(database.url(), CONNECT_TIMEOUT).await.unwrap();
        let after = configured(ConnectOptions::new(database.url())).await;
        assert_eq!(after.verdict, Verdict::Ok, "{}", after.found);
        assert!(after.found.contains("no migration is pending"), "{}", after.found);
    }
}
