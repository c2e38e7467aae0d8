//! Render tokens and codes: counted and used up once in the whole cluster.

use std::num::NonZeroU32;

use domain::formats::Format;
use domain::ids::RenderTokenId;
use domain::render_tokens::{FormMetadata, RenderToken};
use domain::{Clock, TenantId};
use jiff::{SignedDuration, Timestamp};
use store::{ConnectOptions, Store, StoreError, TakeOutcome, TenantStore};

use crate::fixture::{Fixture, NOBODY, by, key};

fn in_seconds(seconds: i64) -> Timestamp {
    Clock::system().now().checked_add(SignedDuration::from_secs(seconds)).unwrap()
}

pub fn token(tenant: &TenantId, max_renders: u32) -> RenderToken {
    RenderToken {
        id: RenderTokenId::generate(),
        tenant: tenant.clone(),
        templates: vec![key("invoice")],
        formats: vec![Format::Pdf],
        label: None,
        version: None,
        max_renders: NonZeroU32::new(max_renders).unwrap(),
        issued_at: in_seconds(0),
        expires_at: in_seconds(3600),
        allowed_origins: vec!["https://shop.example".parse().unwrap()],
        fixed_data: None,
        form_metadata: FormMetadata::Refused,
        subject: Some("customer 4711".to_owned()),
        issued_by: "ann".to_owned(),
    }
}

pub async fn insert_token(tenant: &TenantStore, max_renders: u32) -> RenderToken {
    let token = token(tenant.tenant_id(), max_renders);
    tenant.render_tokens().insert(&token, &by("ann")).await.unwrap();
    token
}

/// A replica whose clock is ahead.
async fn ahead(fixture: &Fixture, seconds: i64) -> Store {
    let clock = Clock::from_source(move || in_seconds(seconds));
    Store::connect(ConnectOptions { clock, ..ConnectOptions::new(fixture.database.url()) }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_requests_on_two_replicas_exactly_as_many_pass_as_the_token_allows() {
    let fixture = Fixture::new().await;
    let (other, token) = (fixture.replica().await, insert_token(&fixture.tenant, 25).await);
    let takes: Vec<_> = (0..60)
        .map(|index| {
            let tenant = if index % 2 == 0 { &fixture.store } else { &other }.tenant(TenantId::default_tenant());
            tokio::spawn(async move { tenant.render_tokens().take_one(token.id).await.unwrap() })
        })
        .collect();
    let (mut left, mut refused) = (Vec::new(), 0);
    for take in takes {
        match take.await.unwrap() {
            TakeOutcome::Taken { left: now } => left.push(now),
            TakeOutcome::Exhausted => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    left.sort_unstable();
    assert_eq!(left, (0..25).collect::<Vec<_>>(), "each count was seen by one request");
    assert_eq!(refused, 35);
    let tokens = fixture.tenant.render_tokens();
    assert!(tokens.give_back(token.id).await.unwrap());
    assert_eq!(tokens.take_one(token.id).await.unwrap(), TakeOutcome::Taken { left: 0 });
    assert_eq!(tokens.get(token.id).await.unwrap().unwrap().used, 25);
    assert_eq!(fixture.database.query("SELECT string_agg(event, ' ') FROM audit_events").await, "render-token.created");
}

#[tokio::test]
async fn a_token_that_cannot_be_used_says_why() {
    let fixture = Fixture::new().await;
    let tokens = fixture.tenant.render_tokens();
    assert_eq!(tokens.take_one(RenderTokenId::generate()).await.unwrap(), TakeOutcome::Unknown);
    assert!(!tokens.give_back(RenderTokenId::generate()).await.unwrap());
    let token = insert_token(&fixture.tenant, 1).await;
    assert!(!tokens.give_back(token.id).await.unwrap(), "nothing was taken");
    let later = ahead(&fixture, 3601).await.tenant(TenantId::default_tenant());
    assert_eq!(later.render_tokens().take_one(token.id).await.unwrap(), TakeOutcome::Expired);
    assert_eq!(tokens.take_one(token.id).await.unwrap(), TakeOutcome::Taken { left: 0 });
    assert_eq!(tokens.take_one(token.id).await.unwrap(), TakeOutcome::Exhausted);
    assert!(tokens.revoke(token.id, &NOBODY).await.unwrap());
    assert!(tokens.revoke(token.id, &NOBODY).await.unwrap(), "again");
    assert!(!tokens.revoke(RenderTokenId::generate(), &NOBODY).await.unwrap());
    assert_eq!(tokens.take_one(token.id).await.unwrap(), TakeOutcome::Revoked);
    let told = fixture.database.query("SELECT string_agg(event, ' ' ORDER BY seq) FROM audit_events").await;
    assert_eq!(told, "render-token.created render-token.revoked");
}

#[tokio::test]
async fn a_token_of_another_tenant_cannot_be_entered_here() {
    let fixture = Fixture::new().await;
    let foreign = token(&"other".parse().unwrap(), 1);
    let refused = fixture.tenant.render_tokens().insert(&foreign, &NOBODY).await;
    assert!(matches!(refused, Err(StoreError::NoSuchTenant)), "{refused:?}");
}

#[tokio::test]
async fn rows_of_expired_tokens_are_swept_when_new_ones_are_made() {
    let fixture = Fixture::new().await;
    let old = insert_token(&fixture.tenant, 1).await;
    let (soon, late) = (ahead(&fixture, 3700).await, ahead(&fixture, 2 * 3600 + 60).await);
    insert_token(&soon.tenant(TenantId::default_tenant()), 1).await;
    assert!(fixture.tenant.render_tokens().get(old.id).await.unwrap().is_some(), "its last requests may still come");
    insert_token(&late.tenant(TenantId::default_tenant()), 1).await;
    assert!(fixture.tenant.render_tokens().get(old.id).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_works_once_on_whatever_replica() {
    let fixture = Fixture::new().await;
    let (other, until) = (fixture.replica().await, in_seconds(60));
    let uses: Vec<_> = (0..20)
        .map(|index| {
            let store = if index % 2 == 0 { &fixture.store } else { &other }.clone();
            tokio::spawn(async move { store.use_code("code-1", until).await.unwrap() })
        })
        .collect();
    let mut firsts = 0;
    for used in uses {
        firsts += usize::from(used.await.unwrap());
    }
    assert_eq!(firsts, 1);
    assert!(fixture.store.use_code("code-2", until).await.unwrap());
}

#[tokio::test]
async fn an_expired_code_never_works_and_its_row_is_swept_later() {
    let fixture = Fixture::new().await;
    assert!(fixture.store.use_code("code-1", in_seconds(60)).await.unwrap());
    assert!(!fixture.store.use_code("code-0", in_seconds(0)).await.unwrap());
    let codes = async || fixture.database.query("SELECT string_agg(code_id, ' ' ORDER BY code_id) FROM used_codes").await;
    assert!(ahead(&fixture, 120).await.use_code("code-2", in_seconds(300)).await.unwrap());
    assert_eq!(codes().await, "code-1 code-2", "a replica whose clock lags may still see it");
    assert!(ahead(&fixture, 661).await.use_code("code-3", in_seconds(900)).await.unwrap());
    assert_eq!(codes().await, "code-2 code-3");
}
