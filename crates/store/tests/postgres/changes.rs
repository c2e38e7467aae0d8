//! What other replicas hear.

use std::time::{Duration, Instant};

use domain::TenantId;
use serde_json::json;
use store::{Change, ChangeEvent, ChangeListener, UpdateOutcome};
use tokio::time::timeout;

use crate::fixture::{Fixture, NOBODY, PATIENCE, any_template, key, save, throw_away, written};

async fn next(listener: &mut ChangeListener) -> Option<ChangeEvent> {
    timeout(PATIENCE, listener.next()).await.expect("an event in time")
}

fn change(key: &str) -> ChangeEvent {
    ChangeEvent::Changed(Change { tenant: TenantId::default_tenant(), kind: "template".to_owned(), key: key.to_owned() })
}

#[tokio::test]
async fn every_write_is_heard_at_another_connection_and_no_failed_one() {
    let fixture = Fixture::new().await;
    let other = fixture.replica().await;
    let mut listener = other.changes();
    assert_eq!(next(&mut listener).await, Some(ChangeEvent::Reconnected), "what happened before is not known");

    any_template(&fixture.tenant, "inserted").await;
    assert_eq!(next(&mut listener).await, Some(change("inserted")));
    written(save(&fixture.tenant, "inserted", "1.0.0", &json!({})).await);
    assert_eq!(next(&mut listener).await, Some(change("inserted")));

    assert!(matches!(save(&fixture.tenant, "inserted", "1.0.0", &json!({})).await, UpdateOutcome::Stale { .. }));
    assert_eq!(save(&fixture.tenant, "nobody", "1.0.0", &json!({})).await, UpdateOutcome::NotFound);
    fixture.tenant.templates().get_current(&key("inserted")).await.unwrap();
    any_template(&fixture.tenant, "sampled").await;
    assert_eq!(next(&mut listener).await, Some(change("sampled")), "nothing came in between");
    fixture.tenant.samples().put(&key("sampled"), &json!({}), &NOBODY).await.unwrap();
    assert_eq!(next(&mut listener).await, Some(change("sampled")));

    throw_away(&fixture.tenant, "inserted", "1.0.1").await;
    assert_eq!(next(&mut listener).await, Some(change("inserted")));
}

#[tokio::test]
async fn a_lost_connection_is_told_and_mended() {
    let fixture = Fixture::new().await;
    let mut listener = fixture.store.changes();
    assert_eq!(next(&mut listener).await, Some(ChangeEvent::Reconnected));
    for round in 0..3 {
        let ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                     WHERE query LIKE 'LISTEN%' AND datname = current_database()";
        assert_eq!(fixture.database.query(ended).await, "1", "round {round}");
        any_template(&fixture.tenant, &format!("missed-{round}")).await;
        assert_eq!(next(&mut listener).await, Some(ChangeEvent::Reconnected), "round {round}");
        any_template(&fixture.tenant, &format!("heard-{round}")).await;
        assert_eq!(next(&mut listener).await, Some(change(&format!("heard-{round}"))));
    }
}

#[tokio::test]
async fn a_listener_that_is_asked_in_bits_misses_nothing() {
    let fixture = Fixture::new().await;
    let mut listener = fixture.store.changes();
    assert_eq!(next(&mut listener).await, Some(ChangeEvent::Reconnected));
    for number in 0..50 {
        any_template(&fixture.tenant, &format!("t{number}")).await;
    }
    let mut heard = Vec::new();
    let started = Instant::now();
    for attempt in 0.. {
        if heard.len() == 50 {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "heard only {heard:?}");
        // Dropped in whatever state the wait happens to be.
        match timeout(Duration::from_micros(attempt % 200), listener.next()).await {
            Ok(Some(ChangeEvent::Changed(change))) => heard.push(change.key),
            Ok(event) => panic!("{event:?}"),
            Err(_) => {}
        }
    }
    assert_eq!(heard, (0..50).map(|number| format!("t{number}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn closing_the_store_ends_its_listeners() {
    let fixture = Fixture::new().await;
    let (mut waiting, mut late) = (fixture.store.changes(), fixture.store.changes());
    assert_eq!(next(&mut waiting).await, Some(ChangeEvent::Reconnected));
    let ended = tokio::spawn(async move { next(&mut waiting).await });
    timeout(PATIENCE, fixture.store.close()).await.expect("closed in time");
    assert_eq!(ended.await.unwrap(), None);
    assert_eq!(next(&mut late).await, None);
    assert!(fixture.tenant.templates().get(&key("a")).await.is_err());
}
