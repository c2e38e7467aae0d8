//! Bringing a database up to this release.

use std::time::Duration;

use domain::TenantId;
use sqlx::{Connection as _, PgConnection};
use store::{ConnectOptions, Store, StoreError, migrate};
use testkit::postgres::TestDatabase;

use crate::fixture::{PATIENCE, key, migrated};

#[tokio::test(flavor = "multi_thread")]
async fn of_four_that_migrate_at_once_one_applies_and_all_succeed() {
    let database = TestDatabase::empty().await;
    let runs: Vec<_> = (0..4)
        .map(|_| {
            let url = database.url().to_owned();
            tokio::spawn(async move { migrate(&url, PATIENCE).await.unwrap() })
        })
        .collect();
    let mut applied = Vec::new();
    for run in runs {
        applied.extend(run.await.unwrap().applied);
    }
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations")).unwrap().count();
    assert_eq!(applied.len(), files, "each migration exactly once: {applied:?}");
    let recorded = database.query("SELECT count(*) FROM _sqlx_migrations WHERE success").await;
    assert_eq!(recorded, files.to_string());
    let again = migrate(database.url(), PATIENCE).await.unwrap();
    assert_eq!(again.applied, [0_i64; 0]);
}

const NEWER: &str = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                     VALUES (29991231235959, 'from the future', true, '', 0)";

#[tokio::test]
async fn a_newer_release_that_took_nothing_away_leaves_tables_to_go_back_to() {
    let database = migrated().await;
    database.query(NEWER).await;
    database.query("CREATE TABLE of_the_future (id bigint)").await;
    let report = migrate(database.url(), PATIENCE).await.unwrap();
    assert_eq!((report.applied, report.schema), (Vec::<i64>::new(), 29_991_231_235_959));
    let probe = store::probe(database.url(), PATIENCE).await.unwrap();
    assert_eq!((probe.pending.len(), probe.applied.last()), (0, Some(&29_991_231_235_959)));
}

#[tokio::test]
async fn a_newer_release_that_took_something_away_is_told_with_both_numbers() {
    let database = migrated().await;
    database.query(NEWER).await;
    let raised = "CREATE OR REPLACE FUNCTION schema_floor() RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 29991231235959::bigint'";
    database.query(raised).await;
    assert!(matches!(store::probe(database.url(), PATIENCE).await, Err(StoreError::NewerSchema { .. })));
    let error = migrate(database.url(), PATIENCE).await.unwrap_err();
    assert!(matches!(error, StoreError::NewerSchema { found: 29_991_231_235_959, .. }), "{error:?}");
    assert!(error.to_string().contains("29991231235959"), "{error}");
}

#[tokio::test]
async fn a_migration_whose_text_was_changed_afterwards_is_refused() {
    let database = migrated().await;
    database.query("UPDATE _sqlx_migrations SET checksum = ''").await;
    let error = migrate(database.url(), PATIENCE).await.unwrap_err();
    assert!(matches!(error, StoreError::Inconsistent { .. }), "{error:?}");
}

#[tokio::test]
async fn a_lock_that_is_never_given_back_is_waited_for_no_longer_than_asked() {
    let database = TestDatabase::empty().await;
    let mut holder = PgConnection::connect(database.url()).await.unwrap();
    sqlx::query("SELECT pg_advisory_lock(8103502334416218471)").execute(&mut holder).await.unwrap();
    let error = migrate(database.url(), Duration::from_millis(300)).await.unwrap_err();
    assert!(matches!(error, StoreError::MigrationLocked { .. }), "{error:?}");
    holder.close().await.unwrap();
    migrate(database.url(), PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_database_without_our_tables_says_what_to_run() {
    let database = TestDatabase::empty().await;
    let store = Store::connect(ConnectOptions::new(database.url())).await.unwrap();
    let error = store.tenant(TenantId::default_tenant()).templates().get(&key("a")).await.unwrap_err();
    assert!(matches!(error, StoreError::NotMigrated), "{error:?}");
    assert!(error.to_string().contains("pulp-engine migrate"), "{error}");
}

#[tokio::test]
async fn a_url_that_cannot_work_is_told_apart_from_a_database_that_is_away() {
    let database = migrated().await;
    let unknown = database.url().replace("/test_", "/no_such_");
    for url in ["not a url", unknown.as_str()] {
        let error = migrate(url, PATIENCE).await.unwrap_err();
        assert!(matches!(error, StoreError::Misconfigured { .. }), "{url}: {error:?}");
    }
    let error = migrate("postgres://nobody@localhost/x?host=/nowhere/at/all", PATIENCE).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
}
