//! Through a connection pooler: what works, and what is refused before anything depends on it.

use std::time::{Duration, Instant};

use domain::TenantId;
use serde_json::json;
use store::{ChangeEvent, ConnectOptions, OtherLimit, PoolerFault, Pooling, SessionLimits, Store, StoreError, self_check};
use testkit::pgbouncer::{PgBouncer, Release};
use testkit::postgres::TestDatabase;
use testkit::tcp_proxy::{Target, TcpProxy};
use tokio::time::timeout;

use crate::fixture::{Fixture, NOBODY, PATIENCE, any_template, key, migrated};

/// What makes a new `PgBouncer` keep statements apart.
const KEEPS: &str = "max_prepared_statements = 200";

fn through(pooler: &PgBouncer, database: &TestDatabase) -> ConnectOptions {
    ConnectOptions { direct_url: Some(database.url().to_owned()), ..ConnectOptions::new(pooler.url(database.url())) }
}

async fn refusal(options: &ConnectOptions) -> PoolerFault {
    match self_check(options, PATIENCE).await {
        Err(StoreError::UnfitPooler { fault }) => fault,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_acts_at_once_through_a_pooler_that_keeps_statements_apart_are_answered_right() {
    let database = migrated().await;
    let Some(pooler) = PgBouncer::start(Release::New, database.url(), &[KEEPS]) else { return };
    let options = ConnectOptions { max_connections: 12, ..through(&pooler, &database) };
    let started = Instant::now();
    let findings = self_check(&options, PATIENCE).await.unwrap();
    println!("the check through a pooler took {:?}", started.elapsed());
    assert_eq!(findings.pooling, Pooling::ByTransaction);
    let options = ConnectOptions { session_limits: findings.session_limits, ..options };
    let store = Store::connect(options).await.unwrap();
    let mut changes = store.changes();
    assert_eq!(timeout(PATIENCE, changes.next()).await.unwrap(), Some(ChangeEvent::Reconnected));

    let tasks: Vec<_> = (0..20)
        .map(|task| {
            let tenant = store.tenant(TenantId::default_tenant());
            tokio::spawn(async move {
                let name = format!("t{task}");
                any_template(&tenant, &name).await;
                for round in 0..10 {
                    tenant.samples().put(&key(&name), &json!({"round": round, "task": task}), &NOBODY).await.unwrap();
                    assert_eq!(tenant.samples().get(&key(&name)).await.unwrap().unwrap(), json!({"round": round, "task": task}));
                    assert_eq!(tenant.templates().get(&key(&name)).await.unwrap().unwrap().key, key(&name));
                }
            })
        })
        .collect();
    let mut most = 0;
    for task in tasks {
        task.await.unwrap();
        most = most.max(pooler.server_connections());
    }
    assert!((1..=4).contains(&most), "{most} server connections");
    let ChangeEvent::Changed(change) = timeout(PATIENCE, changes.next()).await.unwrap().unwrap() else { panic!("no change") };
    assert!(change.key.starts_with('t'), "{change:?}");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn poolers_that_mix_up_statements_are_refused_with_what_was_found() {
    let database = TestDatabase::empty().await;
    for (release, lines) in [
        (Release::New, &["max_prepared_statements = 0"][..]),
        (Release::Old, &[]),
        (Release::Old, &["ignore_startup_parameters = extra_float_digits,options"]),
        (Release::Old, &["server_round_robin = 1"]),
        (Release::New, &["max_prepared_statements = 0", "server_round_robin = 1"]),
    ] {
        let Some(pooler) = PgBouncer::start(release, database.url(), lines) else { return };
        let fault = refusal(&through(&pooler, &database)).await;
        let PoolerFault::MixesStatements { found, .. } = &fault else { panic!("{release:?} {lines:?}: {fault:?}") };
        println!("{release:?} {lines:?}: {found}");
        let told = StoreError::UnfitPooler { fault }.to_string();
        assert!(told.contains("DATABASE_URL") && told.contains("max_prepared_statements"), "{told}");
    }
    let Some(pooler) = PgBouncer::start(Release::New, database.url(), &[KEEPS, "pool_mode = statement"]) else { return };
    let fault = refusal(&through(&pooler, &database)).await;
    assert!(matches!(fault, PoolerFault::MixesStatements { .. }), "{fault:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_way_past_the_pooler_to_the_same_database_nothing_begins() {
    let (database, another) = (TestDatabase::empty().await, TestDatabase::empty().await);
    let Some(pooler) = PgBouncer::start(Release::New, database.url(), &[KEEPS]) else { return };
    let without = ConnectOptions::new(pooler.url(database.url()));
    assert_eq!(refusal(&without).await, PoolerFault::NoDirectWay);
    let in_a_circle = ConnectOptions { direct_url: Some(pooler.url(database.url())), ..without.clone() };
    assert_eq!(refusal(&in_a_circle).await, PoolerFault::DirectWayIsPooled);
    let elsewhere = ConnectOptions { direct_url: Some(another.url().to_owned()), ..without };
    assert_eq!(refusal(&elsewhere).await, PoolerFault::OtherDatabase);
    for fault in [PoolerFault::NoDirectWay, PoolerFault::DirectWayIsPooled, PoolerFault::OtherDatabase] {
        assert!(fault.to_string().contains("DATABASE_DIRECT_URL"), "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_in_session_mode_is_as_good_as_none_and_so_are_two_urls_without_one() {
    let database = TestDatabase::empty().await;
    let direct = ConnectOptions { direct_url: Some(database.url().to_owned()), ..ConnectOptions::new(database.url()) };
    let started = Instant::now();
    let findings = self_check(&direct, PATIENCE).await.unwrap();
    println!("the check without a pooler took {:?}", started.elapsed());
    assert_eq!((findings.pooling, findings.session_limits, &findings.other_limits[..]), (Pooling::None, SessionLimits::Sent, &[][..]));
    for lines in [&["pool_mode = session"][..], &["pool_mode = session", "max_prepared_statements = 0"]] {
        let Some(pooler) = PgBouncer::start(Release::New, database.url(), lines) else { return };
        let findings = self_check(&ConnectOptions::new(pooler.url(database.url())), PATIENCE).await.unwrap();
        assert_eq!(findings.pooling, Pooling::None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_that_do_not_pass_a_pooler_are_told_until_the_role_or_the_database_has_them() {
    let database = TestDatabase::empty().await;
    let refuses: &[&str] = &[KEEPS];
    let ignores: &[&str] = &[KEEPS, "ignore_startup_parameters = extra_float_digits,options"];
    for (lines, expected) in [(refuses, SessionLimits::LeftToServer), (ignores, SessionLimits::Sent)] {
        let Some(pooler) = PgBouncer::start(Release::New, database.url(), lines) else { return };
        let findings = self_check(&through(&pooler, &database), PATIENCE).await.unwrap();
        assert_eq!(findings.session_limits, expected, "{lines:?}");
        let missing = OtherLimit { name: "statement_timeout", asked_ms: 15_000, found_ms: 0 };
        assert!(findings.other_limits.len() == 3 && findings.other_limits.contains(&missing), "{findings:?}");
    }
    let name = database.query("SELECT current_database()").await;
    for (limit, value) in [("statement_timeout", "15s"), ("lock_timeout", "10s"), ("idle_in_transaction_session_timeout", "15s")] {
        database.query(&format!("ALTER ROLE current_user IN DATABASE \"{name}\" SET {limit} = '{value}'")).await;
    }
    let Some(pooler) = PgBouncer::start(Release::New, database.url(), refuses) else { return };
    let findings = self_check(&through(&pooler, &database), PATIENCE).await.unwrap();
    assert_eq!(findings.other_limits, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_away_during_the_check_is_away_and_nothing_worse() {
    let database = TestDatabase::empty().await;
    let proxy = TcpProxy::to(Target::of_url(database.url()));
    let (user, rest) = database.url().split_once('@').unwrap();
    let name = rest.split_once('?').unwrap().0.rsplit_once('/').unwrap().1;
    let options = ConnectOptions::new(format!("{user}@127.0.0.1:{}/{name}?sslmode=disable", proxy.port()));
    for after_ms in [0, 1, 2, 4, 8, 12, 16, 24, 32] {
        let check = self_check(&options, PATIENCE);
        let cut = async {
            tokio::time::sleep(Duration::from_millis(after_ms)).await;
            proxy.lead_to(None);
        };
        let (checked, ()) = tokio::join!(check, cut);
        assert!(matches!(checked, Ok(_) | Err(StoreError::Unavailable { .. })), "after {after_ms} ms: {checked:?}");
        proxy.lead_to(Some(Target::of_url(database.url())));
    }
}

#[tokio::test]
async fn a_lock_that_is_not_given_within_its_time_ends_the_act_long_before_its_statement_would() {
    let fixture = Fixture::new().await;
    any_template(&fixture.tenant, "letter").await;
    let options = ConnectOptions {
        lock_timeout: Duration::from_millis(200),
        statement_timeout: PATIENCE * 3,
        ..ConnectOptions::new(fixture.database.url())
    };
    let tenant = Store::connect(options).await.unwrap().tenant(TenantId::default_tenant());
    let mut bystander = fixture.bystander().await;
    let mut lock = sqlx::Connection::begin(&mut bystander).await.unwrap();
    sqlx::query("SELECT FROM templates FOR UPDATE").execute(&mut *lock).await.unwrap();
    let write = async { tenant.samples().put(&key("letter"), &json!({}), &NOBODY).await };
    let error = timeout(PATIENCE, write).await.expect("long before the statement's time").unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { why: store::Outage::TooSlow, .. }), "{error:?}");
}
