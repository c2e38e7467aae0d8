//! Idempotency keys against a real database: one first, who waits, what is taken over, and what is forgotten.

use std::sync::Arc;
use std::time::Duration;

use domain::idempotency_keys::KeyClaim;
use domain::ids::RequestId;
use domain::{Actor, Scope};
use serde_json::json;
use store::{AnswerBody, KeyOutcome, KeyedRequest, NewTemplate, Revision, StoreError, StoredAnswer, TenantStore};

use crate::fixture::{Fixture, content, eventually, key};

const LEASE: Duration = Duration::from_mins(1);

fn request(key: &str) -> KeyedRequest {
    KeyedRequest { credential: [1; 32], key: key.to_owned(), request_sha256: [2; 32] }
}

fn answer() -> StoredAnswer {
    StoredAnswer { status: 201, headers: r#"[["etag","\"1\""]]"#.to_owned(), body: AnswerBody::Bytes(b"made".to_vec()) }
}

async fn claim(tenant: &TenantStore, request: &KeyedRequest) -> KeyOutcome {
    tenant.idempotency_keys().claim(request, Some(RequestId::generate()), LEASE).await.unwrap()
}

fn claimed(outcome: KeyOutcome) -> KeyClaim {
    if let KeyOutcome::Claimed(claim) = outcome { claim } else { panic!("{outcome:?}") }
}

/// A key that was answered.
pub async fn put_key(tenant: &TenantStore) {
    let claim = claimed(claim(tenant, &request("a-key")).await);
    assert!(tenant.idempotency_keys().answer(&claim, &answer()).await.unwrap());
}

async fn dead(fixture: &Fixture) {
    fixture.database.query("UPDATE idempotency_keys SET claimed_until = now() - interval '1 second'").await;
}

#[tokio::test]
async fn a_key_has_one_first_request_whose_answer_all_get_and_is_the_callers_and_the_tenants_own() {
    let fixture = Fixture::new().await;
    let keys = fixture.tenant.idempotency_keys();
    let wanted = request("k");
    let at_once = futures_util::future::join_all((0..8).map(|_| claim(&fixture.tenant, &wanted))).await;
    let firsts: Vec<&KeyOutcome> = at_once.iter().filter(|outcome| matches!(outcome, KeyOutcome::Claimed(_))).collect();
    assert_eq!((firsts.len(), at_once.iter().filter(|outcome| **outcome == KeyOutcome::InUse).count()), (1, 7));
    let first = claimed(firsts[0].clone());

    let other_body = KeyedRequest { request_sha256: [3; 32], ..request("k") };
    assert_eq!(claim(&fixture.tenant, &other_body).await, KeyOutcome::Reused, "also while it is under way");
    let other_caller = KeyedRequest { credential: [9; 32], ..other_body.clone() };
    let _ = claimed(claim(&fixture.tenant, &other_caller).await);
    assert!(fixture.store.tenants().insert(&"acme".parse().unwrap(), "Acme", &crate::fixture::NOBODY).await.unwrap());
    let _ = claimed(claim(&fixture.store.tenant("acme".parse().unwrap()), &request("k")).await);

    assert!(keys.renew(&first, LEASE).await.unwrap());
    assert!(keys.answer(&first, &answer()).await.unwrap());
    assert_eq!(claim(&fixture.tenant, &request("k")).await, KeyOutcome::Answered(answer()));
    assert_eq!(claim(&fixture.tenant, &other_body).await, KeyOutcome::Reused);
    assert!(!keys.release(&first).await.unwrap(), "what was answered is not let go of");

    let second = claimed(claim(&fixture.tenant, &request("other")).await);
    assert!(keys.release(&second).await.unwrap());
    let _ = claimed(claim(&fixture.tenant, &KeyedRequest { request_sha256: [3; 32], ..request("other") }).await);
}

#[tokio::test]
async fn the_key_of_the_dead_is_taken_over_unless_they_had_changed_something() {
    let fixture = Fixture::new().await;
    let keys = fixture.tenant.idempotency_keys();
    let late = claimed(claim(&fixture.tenant, &request("k")).await);
    dead(&fixture).await;
    assert_eq!(claim(&fixture.tenant, &KeyedRequest { request_sha256: [3; 32], ..request("k") }).await, KeyOutcome::Reused);
    let heir = claimed(claim(&fixture.tenant, &request("k")).await);
    assert!(!keys.renew(&late, LEASE).await.unwrap());
    assert!(!keys.answer(&late, &answer()).await.unwrap(), "whoever was thought dead spoils nothing");
    assert!(keys.answer(&heir, &answer()).await.unwrap());

    let request_id = RequestId::generate();
    let _ = claimed(keys.claim(&request("made"), Some(request_id), LEASE).await.unwrap());
    let (definition, author) = (json!({"html": "x"}), Actor::new("ann", Scope::Editor, request_id));
    let new = NewTemplate { key: &key("letter"), content: content("Letter", &definition), tags: &[], owner: None };
    let revision = Revision { actor: &author, change_note: None };
    assert!(matches!(fixture.tenant.templates().insert(new, revision).await.unwrap(), store::InsertOutcome::Written(_)));
    dead(&fixture).await;
    for _ in 0..2 {
        let outcome = claim(&fixture.tenant, &request("made")).await;
        assert!(matches!(&outcome, KeyOutcome::Answered(answer) if answer.body == AnswerBody::NotKept), "{outcome:?}");
    }
}

/// Makes a template under a key.
async fn make(tenant: &TenantStore, named: &str, claim: &KeyClaim, request_id: RequestId) -> Result<store::InsertOutcome, StoreError> {
    let author = Actor { claim: Some(Arc::new(claim.clone())), ..Actor::new("ann", Scope::Editor, request_id) };
    let (named, definition) = (key(named), json!({"html": "x"}));
    let new = NewTemplate { key: &named, content: content("Letter", &definition), tags: &[], owner: None };
    tenant.templates().insert(new, Revision { actor: &author, change_note: None }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_slept_while_a_key_was_taken_over_changes_nothing_any_more() {
    let fixture = Fixture::new().await;
    // The same request may have the same id each time, as proxies that try again send it.
    let request_id = RequestId::generate();
    let keys = fixture.tenant.idempotency_keys();
    let take = async || keys.claim(&request("k"), Some(request_id), LEASE).await.unwrap();
    let slept = claimed(take().await);
    dead(&fixture).await;
    let heir = claimed(take().await);
    let refused = make(&fixture.tenant, "of-the-sleeper", &slept, request_id).await;
    assert!(matches!(refused, Err(StoreError::TakenOver)), "{refused:?}");
    assert!(matches!(make(&fixture.tenant, "of-the-heir", &heir, request_id).await, Ok(store::InsertOutcome::Written(_))));
    assert_eq!(fixture.database.query("SELECT string_agg(template_key, ' ') FROM templates").await, "of-the-heir");

    // Asleep in the middle of its transaction: the heir waits for its end, and finds what it did.
    let mut bystander = fixture.bystander().await;
    let mut lock = sqlx::Connection::begin(&mut bystander).await.unwrap();
    sqlx::query("LOCK TABLE audit_events IN SHARE MODE").execute(&mut *lock).await.unwrap();
    let slow = claimed(claim(&fixture.tenant, &request("slow")).await);
    let tenant = fixture.tenant.clone();
    let its_id = RequestId::generate();
    fixture.database.query(&format!("UPDATE idempotency_keys SET request_id = '{its_id}' WHERE idempotency_key = 'slow'")).await;
    dead(&fixture).await;
    let sleeper = tokio::spawn(async move { make(&tenant, "slow", &slow, its_id).await });
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let waiting =
        async |number: &str| eventually("they wait", async || (fixture.database.query(waits).await == number).then_some(())).await;
    waiting("1").await;
    let tenant = fixture.tenant.clone();
    let heir = tokio::spawn(async move { claim(&tenant, &request("slow")).await });
    waiting("2").await;
    lock.rollback().await.unwrap();
    assert!(matches!(sleeper.await.unwrap(), Ok(store::InsertOutcome::Written(_))));
    let heir = heir.await.unwrap();
    assert!(matches!(&heir, KeyOutcome::Answered(answer) if answer.body == AnswerBody::NotKept), "{heir:?}");
}

#[tokio::test]
async fn whoever_dies_while_taking_a_key_over_leaves_the_question_to_the_next() {
    let fixture = Fixture::new().await;
    let made = RequestId::generate();
    let first = claimed(fixture.tenant.idempotency_keys().claim(&request("k"), Some(made), LEASE).await.unwrap());
    assert!(make(&fixture.tenant, "letter", &first, made).await.is_ok());
    dead(&fixture).await;
    // It took the key, and died before it had asked the audit log.
    let taken = "UPDATE idempotency_keys SET claim_id = gen_random_uuid(), claimed_until = now() - interval '1 second'";
    fixture.database.query(taken).await;
    let outcome = claim(&fixture.tenant, &request("k")).await;
    assert!(matches!(&outcome, KeyOutcome::Answered(answer) if answer.body == AnswerBody::NotKept), "{outcome:?}");
}

#[tokio::test]
async fn a_request_that_failed_is_carried_out_again_at_once() {
    let fixture = Fixture::new().await;
    let failed = claimed(claim(&fixture.tenant, &request("k")).await);
    assert!(fixture.tenant.idempotency_keys().give_up(&failed).await.unwrap());
    let again = claimed(claim(&fixture.tenant, &request("k")).await);
    assert!(!fixture.tenant.idempotency_keys().give_up(&failed).await.unwrap());
    assert!(fixture.tenant.idempotency_keys().answer(&again, &answer()).await.unwrap());
}

#[tokio::test]
async fn a_key_is_free_after_its_day_and_forgotten_by_the_duty() {
    let fixture = Fixture::new().await;
    put_key(&fixture.tenant).await;
    let _ = claimed(claim(&fixture.tenant, &request("young")).await);
    fixture
        .database
        .query("UPDATE idempotency_keys SET created_at = now() - interval '25 hours', expires_at = now() - interval '1 hour' WHERE idempotency_key = 'a-key'")
        .await;
    let other = KeyedRequest { request_sha256: [3; 32], ..request("a-key") };
    let again = claimed(claim(&fixture.tenant, &other).await);
    assert!(fixture.tenant.idempotency_keys().answer(&again, &answer()).await.unwrap());
    let left = "SELECT string_agg(idempotency_key, ' ' ORDER BY idempotency_key) FROM idempotency_keys";
    fixture
        .database
        .query("UPDATE idempotency_keys SET created_at = now() - interval '25 hours', expires_at = now() WHERE idempotency_key = 'a-key'")
        .await;
    assert_eq!(fixture.store.forget_expired_idempotency_keys(10).await.unwrap(), 1);
    assert_eq!(fixture.database.query(left).await, "young");
}
