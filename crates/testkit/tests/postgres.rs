//! Test databases are separate, quick, and gone afterwards.
#![cfg(test)]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use testkit::postgres::TestDatabase;

static MIGRATED: AtomicU32 = AtomicU32::new(0);

async fn database() -> TestDatabase {
    TestDatabase::create(async |url: &str| {
        assert!(url.starts_with("postgres"), "{url}");
        MIGRATED.fetch_add(1, Ordering::SeqCst);
    })
    .await
}

#[tokio::test]
async fn two_databases_do_not_see_each_other() {
    let (one, two) = tokio::join!(database(), database());
    one.query("CREATE TABLE t AS SELECT 1 AS n").await;
    assert_eq!(two.query("SELECT to_regclass('t') IS NULL").await, "t");
    assert_eq!(one.query("SELECT n, current_database() LIKE 'test_%' FROM t").await, "1|t");
    assert!(MIGRATED.load(Ordering::SeqCst) <= 1, "the template is made once");
}

#[tokio::test]
async fn a_database_is_a_copy_of_what_its_own_migrate_made() {
    let marked = TestDatabase::create(async |url: &str| {
        let psql = embedded_postgres::find_binaries(None).unwrap().dir.join("psql");
        let made = tokio::process::Command::new(psql).args(["-X", "-q", "-w", "-c", "CREATE TABLE mark ()", url]).status().await.unwrap();
        assert!(made.success());
    });
    let (marked, plain) = tokio::join!(marked, database());
    assert_eq!(marked.query("SELECT to_regclass('mark') IS NULL").await, "f");
    assert_eq!(plain.query("SELECT to_regclass('mark') IS NULL").await, "t");
}

#[tokio::test]
async fn a_dropped_database_goes_away_even_with_open_sessions() {
    let looker = TestDatabase::empty().await;
    let gone = database().await;
    let name = gone.query("SELECT current_database()").await;
    drop(gone);
    let begun = Instant::now();
    while looker.query(&format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'")).await != "0" {
        assert!(begun.elapsed() < Duration::from_secs(20), "{name} is still there");
    }
}

#[tokio::test]
async fn a_database_takes_a_fraction_of_a_second() {
    drop(database().await);
    let begun = Instant::now();
    let mut kept = Vec::new();
    for _ in 0..10 {
        kept.push(database().await);
    }
    let each = begun.elapsed() / 10;
    println!("{each:?} for each database");
    assert!(each < Duration::from_secs(2), "{each:?} for each database: cloning has become something else");
}
