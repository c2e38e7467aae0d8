//! Lists and exports on a streaming replica: how old they may be, and that nobody notices when it is away. And a failover.

use std::time::{Duration, Instant};

use domain::TenantId;
use domain::ids::{ScheduleId, WebhookId};
use domain::usage::UsageWindow;
use serde_json::json;
use store::{
    AssetFilter, AuditFilter, ChangeEvent, ConnectOptions, DeliveryFilter, DocumentFilter, ExportOptions, JobFilter, Percentiles,
    PoolerFault, ScheduleFilter, Store, StoreError, TemplateFilter, TenantStore, Unused, UsageFilter, UsageGroup, UsageTemplateSort,
    migrate, self_check,
};
use testkit::postgres::Cluster;
use testkit::tcp_proxy::{Target, TcpProxy};
use tokio::time::timeout;

use crate::fixture::{NOBODY, PATIENCE, any_template, eventually, key};

async fn pair() -> (Cluster, Cluster) {
    let primary = Cluster::start_new();
    migrate(&primary.url(), PATIENCE).await.unwrap();
    let replica = primary.replicate();
    (primary, replica)
}

fn reading(primary: &Cluster, replica: &Cluster, most_behind: Duration) -> ConnectOptions {
    ConnectOptions { read_url: Some(replica.url()), read_max_lag: most_behind, ..ConnectOptions::new(primary.url()) }
}

async fn total(tenant: &TenantStore) -> u64 {
    tenant.templates().list(&TemplateFilter::default()).await.unwrap().total
}

/// How often the replica was asked for templates.
async fn asked(replica: &Cluster) -> i64 {
    let asked = "SELECT coalesce(seq_scan, 0) + coalesce(idx_scan, 0) FROM pg_stat_user_tables WHERE relname = 'templates'";
    replica.query(asked).await.parse().unwrap_or(0)
}

/// Lists until the replica was asked for one.
async fn until_it_is_read(tenant: &TenantStore, replica: &Cluster) {
    let before = asked(replica).await;
    eventually("a list on the replica", async || {
        total(tenant).await;
        (asked(replica).await > before).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_list_and_export_can_be_read_from_a_replica_and_nothing_else_is() {
    let (primary, replica) = pair().await;
    let options = reading(&primary, &replica, PATIENCE);
    assert!(!self_check(&options, PATIENCE).await.unwrap().replica_is_away);
    let store = Store::connect(options).await.unwrap();
    let tenant = store.tenant(TenantId::default_tenant());
    any_template(&tenant, "letter").await;
    until_it_is_read(&tenant, &replica).await;

    // From now on the replica stands still: what comes from it is old, and what does not is new.
    replica.query("SELECT pg_wal_replay_pause()").await;
    eventually("a pause", async || (replica.query("SELECT pg_get_wal_replay_pause_state()").await == "paused").then_some(())).await;
    let other = Store::connect(ConnectOptions::new(primary.url())).await.unwrap();
    any_template(&other.tenant(TenantId::default_tenant()), "later").await;
    assert_eq!(total(&tenant).await, 1, "the list is that of the replica");
    assert!(tenant.templates().get(&key("later")).await.unwrap().is_some(), "a single template is never read there");

    let (templates, usage) = (tenant.templates(), tenant.usage());
    assert_eq!(templates.list(&TemplateFilter { q: Some("later".to_owned()), ..TemplateFilter::default() }).await.unwrap().total, 0);
    tenant.assets().list(&AssetFilter::default()).await.unwrap();
    tenant.assets().facets().await.unwrap();
    tenant.documents().list(&DocumentFilter::default(), 10, 0).await.unwrap();
    tenant.jobs().list(&JobFilter::default(), 10, 0).await.unwrap();
    tenant.schedules().list(&ScheduleFilter::default(), 10, 0).await.unwrap();
    tenant.schedule_executions().list(ScheduleId::generate(), None, 10, 0).await.unwrap();
    tenant.webhook_deliveries().list(WebhookId::generate(), DeliveryFilter::default(), 10, 0).await.unwrap();
    let audit = tenant.audit();
    assert_eq!(audit.list(&AuditFilter::default(), 10, 0).await.unwrap().total, 1);
    assert_eq!(audit.count(&AuditFilter::default()).await.unwrap(), 1);
    assert_eq!(audit.after(&AuditFilter::default(), 0, 10).await.unwrap().len(), 1);
    let window = UsageWindow::new("2026-11-01T00:00:00Z".parse().unwrap(), "2026-12-01T00:00:00Z".parse().unwrap()).unwrap();
    let filter = UsageFilter::all(window);
    usage.list(&filter, 10, 0).await.unwrap();
    usage.batch(&filter, None, 10).await.unwrap();
    store.usage().batch(&filter, None, 10).await.unwrap();
    usage.summary(&filter, UsageGroup::Status, Percentiles::Included).await.unwrap();
    store.usage().summary(&filter, UsageGroup::Status, Percentiles::Omitted).await.unwrap();
    usage.templates(window, Unused::Omitted, UsageTemplateSort::Renders, 10, 0).await.unwrap();
    let log = replica.log();
    assert!(!log.contains("ERROR"), "{log}");

    // What was written through this store is in its lists, whatever the replica has.
    any_template(&tenant, "mine").await;
    assert_eq!(total(&tenant).await, 3);
    let mut export = store.tenants().export(&TenantId::default_tenant(), ExportOptions::default(), &NOBODY).await.unwrap().unwrap();
    let mut lines = String::new();
    while let Some(piece) = export.next().await.unwrap() {
        lines.push_str(&piece.ndjson);
    }
    assert!(lines.contains("\"mine\"") && lines.contains("tenant.exported"), "{lines}");
    replica.query("SELECT pg_wal_replay_resume()").await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_through_another_server_is_in_lists_when_its_notice_has_come() {
    let (primary, replica) = pair().await;
    let store = Store::connect(reading(&primary, &replica, PATIENCE)).await.unwrap();
    let tenant = store.tenant(TenantId::default_tenant());
    let mut changes = store.changes();
    assert_eq!(timeout(PATIENCE, changes.next()).await.unwrap(), Some(ChangeEvent::Reconnected));
    until_it_is_read(&tenant, &replica).await;
    replica.query("SELECT pg_wal_replay_pause()").await;
    eventually("a pause", async || (replica.query("SELECT pg_get_wal_replay_pause_state()").await == "paused").then_some(())).await;
    let other = Store::connect(ConnectOptions::new(primary.url())).await.unwrap();
    any_template(&other.tenant(TenantId::default_tenant()), "theirs").await;
    let ChangeEvent::Changed(_) = timeout(PATIENCE, changes.next()).await.unwrap().unwrap() else { panic!("no notice") };
    assert_eq!(total(&tenant).await, 1, "although the replica has it not");
    assert_eq!(replica.query("SELECT count(*) FROM templates").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_too_far_behind_is_not_read_from_until_it_has_caught_up() {
    let (primary, replica) = pair().await;
    let store = Store::connect(reading(&primary, &replica, Duration::from_secs(2))).await.unwrap();
    let tenant = store.tenant(TenantId::default_tenant());
    until_it_is_read(&tenant, &replica).await;
    replica.query("SELECT pg_wal_replay_pause()").await;
    eventually("a pause", async || (replica.query("SELECT pg_get_wal_replay_pause_state()").await == "paused").then_some(())).await;
    let other = Store::connect(ConnectOptions::new(primary.url())).await.unwrap();
    let written = Instant::now();
    any_template(&other.tenant(TenantId::default_tenant()), "later").await;
    eventually("the list of the database itself", async || (total(&tenant).await == 1).then_some(())).await;
    println!("a list was {:?} old at most, 2 s were allowed", written.elapsed());
    assert!(written.elapsed() < Duration::from_secs(6), "{:?}", written.elapsed());
    assert_eq!(replica.query("SELECT count(*) FROM templates").await, "0", "and not that of the replica");
    replica.query("SELECT pg_wal_replay_resume()").await;
    eventually("the replica has caught up", async || (replica.query("SELECT count(*) FROM templates").await == "1").then_some(())).await;
    assert_eq!(total(&tenant).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_notices_a_replica_that_stops_falls_silent_or_was_never_there() {
    let (primary, replica) = pair().await;
    let options = ConnectOptions { acquire_timeout: Duration::from_secs(2), ..reading(&primary, &replica, PATIENCE) };
    let store = Store::connect(options.clone()).await.unwrap();
    let tenant = store.tenant(TenantId::default_tenant());
    any_template(&tenant, "letter").await;
    until_it_is_read(&tenant, &replica).await;
    for how in ["stopped", "frozen"] {
        if how == "stopped" {
            replica.stop();
        } else {
            replica.freeze();
        }
        let begun = Instant::now();
        let mut slowest = Duration::ZERO;
        while begun.elapsed() < Duration::from_secs(8) {
            let asked = Instant::now();
            assert_eq!(total(&tenant).await, 1, "{how}");
            slowest = slowest.max(asked.elapsed());
        }
        println!("with the replica {how}, the slowest list took {slowest:?}");
        assert!(slowest < Duration::from_secs(7), "{how}: {slowest:?}");
        if how == "stopped" {
            let findings = self_check(&options, PATIENCE).await.unwrap();
            assert!(findings.replica_is_away, "a start does not depend on it");
            replica.start();
        } else {
            replica.thaw();
        }
        until_it_is_read(&tenant, &replica).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_no_replica_is_refused() {
    let (one, other) = (Cluster::start_new(), Cluster::start_new());
    one.query("CREATE DATABASE another").await;
    let another = one.url().replace("/postgres?", "/another?");
    for url in [other.url(), another] {
        let options = ConnectOptions { read_url: Some(url), ..ConnectOptions::new(one.url()) };
        let found = self_check(&options, PATIENCE).await;
        let Err(StoreError::UnfitPooler { fault: PoolerFault::NoReplica }) = &found else { panic!("{found:?}") };
        assert!(PoolerFault::NoReplica.to_string().contains("DATABASE_READ_URL"));
    }
    let itself = ConnectOptions { read_url: Some(one.url()), ..ConnectOptions::new(one.url()) };
    self_check(&itself, PATIENCE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failover_to_a_promoted_replica_everything_goes_on_there() {
    let (primary, replica) = pair().await;
    let address = TcpProxy::to(Target::of_url(&primary.url()));
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres?sslmode=disable", address.port());
    let options = ConnectOptions { acquire_timeout: Duration::from_secs(1), ..ConnectOptions::new(url) };
    let store = Store::connect(options).await.unwrap();
    let tenant = store.tenant(TenantId::default_tenant());
    let mut changes = store.changes();
    assert_eq!(timeout(PATIENCE, changes.next()).await.unwrap(), Some(ChangeEvent::Reconnected));
    any_template(&tenant, "letter").await;
    let arrived = "SELECT count(*) FROM templates";
    eventually("the template on the replica", async || (replica.query(arrived).await == "1").then_some(())).await;

    // The address leads to the replica before that takes writes, as it may for a moment.
    primary.stop();
    address.lead_to(Some(Target::of_url(&replica.url())));
    let write = async || tenant.samples().put(&key("letter"), &json!({"at": 1}), &NOBODY).await;
    let refused = eventually("a refused write", async || write().await.err().filter(|error| error.to_string().contains("no writes"))).await;
    assert!(matches!(refused, StoreError::Unavailable { .. }), "{refused:?}");
    assert!(tenant.templates().get(&key("letter")).await.unwrap().is_some(), "reading goes on");
    store.ping(PATIENCE).await.unwrap_err();

    replica.promote();
    let promoted = Instant::now();
    eventually("a write", async || write().await.ok()).await;
    println!("written {:?} after the promotion", promoted.elapsed());
    assert!(promoted.elapsed() < Duration::from_secs(2), "{:?}", promoted.elapsed());
    for _ in 0..10 {
        write().await.unwrap();
        store.ping(PATIENCE).await.unwrap();
    }
    eventually("a notice from the new primary", async || {
        any_template(&tenant, &format!("after-{}", promoted.elapsed().as_micros())).await;
        match timeout(Duration::from_secs(1), changes.next()).await {
            Ok(Some(ChangeEvent::Changed(change))) => change.key.starts_with("after-").then_some(()),
            _ => None,
        }
    })
    .await;
}
