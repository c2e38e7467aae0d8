//! A database that is away, slow, or takes no writes.

use std::time::{Duration, Instant};

use domain::TenantId;
use serde_json::json;
use sqlx::Connection as _;
use store::{ChangeEvent, ConnectOptions, NewTemplate, Outage, Store, StoreError, TenantStore, migrate};
use tokio::time::timeout;

use crate::fixture::{Fixture, NOBODY, PATIENCE, any_template, content, eventually, key, unsigned, version};
use testkit::postgres::Cluster;

fn impatient(url: &str) -> ConnectOptions {
    ConnectOptions {
        acquire_timeout: Duration::from_millis(500),
        statement_timeout: Duration::from_millis(500),
        max_connections: 4,
        ..ConnectOptions::new(url)
    }
}

async fn on_cluster(cluster: &Cluster) -> (Store, TenantStore) {
    migrate(&cluster.url(), PATIENCE).await.unwrap();
    let store = Store::connect(impatient(&cluster.url())).await.unwrap();
    let tenant = store.tenant(TenantId::default_tenant());
    any_template(&tenant, "letter").await;
    (store, tenant)
}

/// Asserts that reading says "unavailable", and soon.
async fn assert_unavailable(tenant: &TenantStore, within: Duration) {
    let started = Instant::now();
    let error = tenant.templates().get(&key("letter")).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert!(started.elapsed() < within, "{:?}: {error:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_server_is_unavailable_in_time_and_works_again_when_it_is_back() {
    let cluster = Cluster::start_new();
    let (store, tenant) = on_cluster(&cluster).await;
    let mut listener = store.changes();
    assert_eq!(timeout(PATIENCE, listener.next()).await.unwrap(), Some(ChangeEvent::Reconnected));

    for round in 0..2 {
        cluster.stop();
        for _ in 0..5 {
            assert_unavailable(&tenant, Duration::from_secs(3)).await;
        }
        let error = store.ping(Duration::from_millis(200)).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        let error = Store::connect(impatient(&cluster.url())).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");

        cluster.start();
        store.ping(PATIENCE).await.unwrap();
        assert!(tenant.templates().get(&key("letter")).await.unwrap().is_some(), "the first act after the return works");
        assert_eq!(timeout(PATIENCE, listener.next()).await.unwrap(), Some(ChangeEvent::Reconnected), "round {round}");
        any_template(&tenant, &format!("after-{round}")).await;
        let heard = timeout(PATIENCE, listener.next()).await.unwrap();
        assert!(matches!(&heard, Some(ChangeEvent::Changed(change)) if change.key == format!("after-{round}")), "{heard:?}");
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_falls_silent_is_unavailable_in_time_and_works_again_when_it_speaks() {
    let cluster = Cluster::start_new();
    let (store, tenant) = on_cluster(&cluster).await;
    // All connections open and in use when the silence begins.
    cluster.freeze();
    let asked: Vec<_> = (0..8)
        .map(|_| {
            let tenant = tenant.clone();
            tokio::spawn(async move { assert_unavailable(&tenant, Duration::from_secs(6)).await })
        })
        .collect();
    for asking in asked {
        asking.await.unwrap();
    }
    cluster.thaw();
    // What was in the middle of something gets five seconds to come back to the pool.
    eventually("an answer", async || tenant.templates().get(&key("letter")).await.ok().flatten()).await;
    store.ping(PATIENCE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failover_at_most_one_act_fails_however_many_connections_were_open() {
    let fixture = Fixture::new().await;
    any_template(&fixture.tenant, "letter").await;
    let mut bystander = fixture.bystander().await;

    // Ten acts wait for one lock, so that ten connections are open.
    let mut lock = bystander.begin().await.unwrap();
    sqlx::query("LOCK TABLE templates IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    let waiting: Vec<_> = (0..10)
        .map(|_| {
            let tenant = fixture.tenant.clone();
            tokio::spawn(async move { tenant.templates().get(&key("letter")).await.unwrap() })
        })
        .collect();
    let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    eventually("ten waiting sessions", async || (fixture.database.query(open).await == "10").then_some(())).await;
    lock.commit().await.unwrap();
    for act in waiting {
        assert!(act.await.unwrap().is_some());
    }

    // Quickly, while the pool still trusts what it used a moment ago; waiting in pg_terminate_backend would take a second.
    let ours = "FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'pulp-engine'";
    assert_eq!(fixture.database.query(&format!("SELECT count(pg_terminate_backend(pid)) {ours}")).await, "10");
    let left = format!("SELECT count(*) {ours}");
    eventually("all sessions ended", async || (fixture.database.query(&left).await == "0").then_some(())).await;
    let mut failures = 0;
    for _ in 0..20 {
        match fixture.tenant.templates().get(&key("letter")).await {
            Ok(found) => assert!(found.is_some()),
            Err(StoreError::Unavailable { .. }) => failures += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
    assert!(failures <= 1, "{failures} acts failed");
}

#[tokio::test]
async fn a_statement_that_waits_too_long_ends_and_its_connection_serves_on() {
    let fixture = Fixture::new().await;
    any_template(&fixture.tenant, "letter").await;
    let options = ConnectOptions { max_connections: 1, ..impatient(fixture.database.url()) };
    let tenant = Store::connect(options).await.unwrap().tenant(TenantId::default_tenant());
    let mut bystander = fixture.bystander().await;
    let mut lock = bystander.begin().await.unwrap();
    sqlx::query("SELECT FROM templates FOR UPDATE").execute(&mut *lock).await.unwrap();
    let definition = json!({});
    let content = content("x", &definition);
    let error = tenant.templates().update(&key("letter"), version("1.0.0"), content, unsigned()).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { why: Outage::TooSlow, .. }), "{error:?}");
    let found = tenant.templates().get(&key("letter")).await.unwrap().unwrap();
    assert_eq!(found.current_version, version("1.0.0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_act_gives_its_connection_back_although_the_server_is_still_at_it() {
    let fixture = Fixture::new().await;
    any_template(&fixture.tenant, "letter").await;
    let options = ConnectOptions {
        max_connections: 1,
        acquire_timeout: PATIENCE,
        statement_timeout: PATIENCE * 3,
        ..ConnectOptions::new(fixture.database.url())
    };
    let tenant = Store::connect(options).await.unwrap().tenant(TenantId::default_tenant());
    let mut bystander = fixture.bystander().await;
    let mut lock = bystander.begin().await.unwrap();
    sqlx::query("SELECT FROM templates FOR UPDATE").execute(&mut *lock).await.unwrap();

    let stuck = tenant.clone();
    let act = tokio::spawn(async move {
        let definition = json!({});
        stuck.templates().update(&key("letter"), version("1.0.0"), content("x", &definition), unsigned()).await
    });
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    eventually("a waiting session", async || (fixture.database.query(waits).await == "1").then_some(())).await;
    act.abort();
    assert!(act.await.unwrap_err().is_cancelled());
    assert!(tenant.templates().get(&key("letter")).await.unwrap().is_some(), "the only place in the pool is free again");
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_unavailable_for_writing_and_for_readiness() {
    let fixture = Fixture::new().await;
    any_template(&fixture.tenant, "letter").await;
    let name = fixture.database.query("SELECT current_database()").await;
    fixture.database.query(&format!("ALTER DATABASE \"{name}\" SET default_transaction_read_only = on")).await;
    let store = fixture.replica().await;
    let tenant = store.tenant(TenantId::default_tenant());
    let error = tenant.samples().put(&key("letter"), &json!({}), &NOBODY).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { why: Outage::ReadOnly, .. }), "{error:?}");
    let error = store.ping(PATIENCE).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { why: Outage::ReadOnly, .. }), "{error:?}");
    assert!(tenant.templates().get(&key("letter")).await.unwrap().is_some(), "reading goes on");

    // As a session that may write although the default says otherwise.
    let mut operator = fixture.bystander().await;
    sqlx::query("SET default_transaction_read_only = off").execute(&mut operator).await.unwrap();
    let reset = format!("ALTER DATABASE \"{name}\" RESET ALL");
    sqlx::query(sqlx::AssertSqlSafe(reset)).execute(&mut operator).await.unwrap();
    // A connection from before the change may be met once; with it go all others of its age.
    let mut failures = 0;
    for _ in 0..10 {
        for answer in [store.ping(PATIENCE).await, tenant.samples().put(&key("letter"), &json!({}), &NOBODY).await.map(|_| ())] {
            match answer {
                Ok(()) => {}
                Err(StoreError::Unavailable { why: Outage::ReadOnly, .. }) => failures += 1,
                Err(error) => panic!("{error:?}"),
            }
        }
    }
    assert!(failures <= 1, "{failures} acts failed");
}

#[tokio::test]
async fn a_full_disk_is_told_as_one_in_the_words_of_the_server_alone() {
    let fixture = Fixture::new().await;
    for act in [
        "CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             RAISE EXCEPTION USING ERRCODE = '53100', MESSAGE = 'could not extend file';
         END $$",
        "CREATE TRIGGER no_space BEFORE INSERT ON templates FOR EACH ROW EXECUTE FUNCTION no_space()",
    ] {
        fixture.database.query(act).await;
    }
    let definition = json!({});
    let letter = key("letter");
    let new = NewTemplate { key: &letter, content: content("Letter", &definition), tags: &[], owner: None };
    let error = fixture.tenant.templates().insert(new, unsigned()).await.unwrap_err();
    let StoreError::Unavailable { why: Outage::DiskFull, source: Some(source) } = &error else { panic!("{error:?}") };
    assert_eq!(source.to_string(), "could not extend file (SQLSTATE 53100)");
}
