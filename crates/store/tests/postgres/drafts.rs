//! Drafts: whose, how many, and what the audit log tells of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use domain::Clock;
use domain::drafts::DRAFTS_LIMIT;
use jiff::Timestamp;
use serde_json::{Value, json};
use store::{AuditFilter, ConnectOptions, DraftContent, DraftOutcome, Store, TenantStore};

use crate::fixture::{Fixture, any_template, by, key, save, written};

async fn put(tenant: &TenantStore, owner: &str, expected: Option<u64>, base: &str, definition: &Value) -> DraftOutcome {
    let content = DraftContent { base_version: base.parse().unwrap(), definition };
    tenant.drafts().put(&key("letter"), expected, content, &by(owner)).await.unwrap()
}

async fn told(tenant: &TenantStore) -> usize {
    let page = tenant.audit().list(&AuditFilter::default(), 50, 0).await.unwrap();
    page.items.iter().filter(|event| event.event == "template.draft-saved").count()
}

#[tokio::test]
async fn a_template_has_so_many_drafts_and_whoever_has_one_goes_on() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    any_template(tenant, "letter").await;
    for at in 0..DRAFTS_LIMIT {
        assert!(matches!(put(tenant, &format!("user-{at}"), Some(0), "1.0.0", &json!({})).await, DraftOutcome::Written(_)));
    }
    assert_eq!(put(tenant, "late", None, "1.0.0", &json!({})).await, DraftOutcome::TooMany);
    assert!(matches!(put(tenant, "user-7", None, "1.0.0", &json!({"a": 1})).await, DraftOutcome::Written(saved) if saved.revision == 2));
    let page = tenant.drafts().list(&key("letter"), 10, 0).await.unwrap().unwrap();
    assert_eq!((page.items.len(), page.total, page.items[0].owner.as_str()), (10, 50, "user-7"));
    assert_eq!(tenant.drafts().delete(&key("letter"), None, &by("user-7")).await.unwrap(), DraftOutcome::Written(()));
    assert!(matches!(put(tenant, "late", None, "1.0.0", &json!({})).await, DraftOutcome::Written(_)));
}

#[tokio::test]
async fn of_many_writers_who_saw_the_same_revision_one_gets_through() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    any_template(tenant, "letter").await;
    for expected in 0..3 {
        let definitions: Vec<Value> = (0..4).map(|writer| json!({"writer": writer})).collect();
        let put = |writer: usize| put(tenant, "ada", Some(expected), "1.0.0", &definitions[writer]);
        let (a, b, c, d) = tokio::join!(put(0), put(1), put(2), put(3));
        let outcomes = [a, b, c, d];
        let through = outcomes.iter().position(|outcome| matches!(outcome, DraftOutcome::Written(_))).unwrap();
        assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, DraftOutcome::Written(_))).count(), 1, "{outcomes:?}");
        let kept = tenant.drafts().get(&key("letter"), "ada").await.unwrap().unwrap().unwrap();
        assert_eq!((kept.summary.revision, kept.definition), (expected + 1, definitions[through].clone()));
    }
}

#[tokio::test]
async fn the_audit_log_tells_the_first_save_a_new_beginning_and_one_in_ten_minutes() {
    let fixture = Fixture::new().await;
    let seconds = Arc::new(AtomicI64::new(Clock::system().now().as_second()));
    let source = Arc::clone(&seconds);
    let clock = Clock::from_source(move || Timestamp::from_second(source.load(Ordering::SeqCst)).unwrap());
    let store = Store::connect(ConnectOptions { clock, ..ConnectOptions::new(fixture.database.url()) }).await.unwrap();
    let tenant = &store.tenant(fixture.tenant.tenant_id().clone());
    any_template(tenant, "letter").await;
    for _ in 0..5 {
        assert!(matches!(put(tenant, "ada", None, "1.0.0", &json!({})).await, DraftOutcome::Written(_)));
        seconds.fetch_add(60, Ordering::SeqCst);
    }
    assert_eq!(told(tenant).await, 1);
    written(save(tenant, "letter", "1.0.0", &json!({"html": "second"})).await);
    assert!(matches!(put(tenant, "ada", None, "1.0.1", &json!({})).await, DraftOutcome::Written(_)));
    assert_eq!(told(tenant).await, 2, "a new beginning");
    seconds.fetch_add(601, Ordering::SeqCst);
    assert!(matches!(put(tenant, "ada", None, "1.0.1", &json!({})).await, DraftOutcome::Written(_)));
    assert_eq!(told(tenant).await, 3, "ten minutes later");
    assert_eq!(put(tenant, "ada", None, "3.0.0", &json!({})).await, DraftOutcome::UnknownBase);
}
