//! API keys: kept as hashes, found without a tenant, rotated with an overlap, withdrawn for good.

use domain::api_keys::{ApiKeyGeneration, ApiKeyRefusal, ApiKeyText};
use domain::ids::ApiKeyId;
use domain::peppers::Pepper;
use domain::tenants::TenantStatus;
use domain::{Clock, Scope, TenantId};
use jiff::{SignedDuration, Timestamp};
use store::{
    ApiKeyOutcome, ApiKeyPatch, ApiKeyRecord, ApiKeyUses, ChangeEvent, ConnectOptions, KeptSecret, NewApiKey, PepperStanding,
    StatusOutcome, Store, StoreError, TenantStore,
};
use tokio::time::timeout;

use crate::fixture::{Fixture, NOBODY, PATIENCE, by, eventually};

pub fn pepper() -> Pepper {
    Pepper::from_random([7; 32])
}

/// The key of that number.
pub fn key_text(number: u8) -> ApiKeyText {
    ApiKeyText::generate([number; ApiKeyText::RANDOM_BYTES])
}

/// Keeps the key of that number.
pub async fn insert_key(tenant: &TenantStore, number: u8) -> ApiKeyRecord {
    let (text, templates, networks) = (key_text(number), ["invoice-*".parse().unwrap()], ["10.0.0.0/8".parse().unwrap()]);
    let new = NewApiKey {
        name: "Shop",
        scope: Scope::Render,
        lookup: &text.lookup(),
        secret: &KeptSecret::of_api_key(&text, &pepper()),
        expires_at: None,
        allowed_templates: &templates,
        allowed_ips: &networks,
        requests_per_minute: Some(600),
    };
    tenant.api_keys().insert(new, &by("ann")).await.unwrap()
}

fn written(outcome: ApiKeyOutcome) -> ApiKeyRecord {
    match outcome {
        ApiKeyOutcome::Written(record) => *record,
        other => panic!("not written: {other:?}"),
    }
}

/// Whether that key, shown from a place where it may be used, lets somebody in.
async fn judge(store: &Store, shown: &ApiKeyText, now: Timestamp) -> Result<ApiKeyGeneration, ApiKeyRefusal> {
    let credential = store.api_key_by_lookup(&shown.lookup()).await.unwrap().expect("the key");
    credential.rules.judge(&pepper().mac(shown.reveal()), now, Some("10.1.1.1".parse().unwrap()))
}

fn now() -> Timestamp {
    Clock::system().now()
}

#[tokio::test]
async fn a_key_is_found_by_its_public_part_with_its_tenant_and_its_limits() {
    let fixture = Fixture::new().await;
    let made = insert_key(&fixture.tenant, 1).await;
    let found = fixture.store.api_key_by_lookup(&key_text(1).lookup()).await.unwrap().unwrap();
    assert_eq!((found.id, &found.tenant, found.tenant_status), (made.id, &TenantId::default_tenant(), TenantStatus::Active));
    assert_eq!((found.scope, found.name.as_str(), found.requests_per_minute), (Scope::Render, "Shop", Some(600)));
    assert!(found.allowed_templates[0].selects(&"invoice-1".parse().unwrap()));
    assert_eq!(judge(&fixture.store, &key_text(1), now()).await, Ok(ApiKeyGeneration::Current));
    let elsewhere = found.rules.judge(&pepper().mac(key_text(1).reveal()), now(), Some("11.1.1.1".parse().unwrap()));
    assert!(matches!(elsewhere, Err(ApiKeyRefusal::Address { .. })));
    assert!(fixture.store.api_key_by_lookup(&key_text(2).lookup()).await.unwrap().is_none());
    assert_eq!(fixture.tenant.api_keys().get(made.id).await.unwrap(), Some(made));
}

#[tokio::test]
async fn nothing_of_a_key_but_its_hint_is_anywhere_in_the_database() {
    let fixture = Fixture::new().await;
    let made = insert_key(&fixture.tenant, 1).await;
    let next = ApiKeyText::rotated(&made.lookup, [77; 32]);
    written(fixture.tenant.api_keys().rotate(made.id, &KeptSecret::of_api_key(&next, &pepper()), 60, &NOBODY).await.unwrap());
    let rows = "SELECT string_agg(k::text, ' ') || (SELECT string_agg(e::text || details::text, ' ') FROM audit_events e) FROM api_keys k";
    let everything = fixture.database.query(rows).await;
    assert!(everything.contains(key_text(1).lookup().as_str()) && everything.contains(next.hint()));
    for key in [key_text(1), next] {
        let secret = key.reveal().rsplit_once('_').unwrap().1;
        assert!(!everything.contains(&secret[..20]) && !everything.contains(&secret[20..39]), "{everything}");
    }
    let told = fixture.database.query("SELECT string_agg(details::text, ' ') FROM audit_events").await;
    assert!(!told.contains(&hex::encode(pepper().mac(key_text(1).reveal()).as_bytes())), "{told}");
}

#[tokio::test]
async fn after_a_rotation_both_texts_work_until_the_overlap_ends() {
    let fixture = Fixture::new().await;
    let (keys, made) = (fixture.tenant.api_keys(), insert_key(&fixture.tenant, 1).await);
    let texts: Vec<ApiKeyText> = (0..3).map(|at| ApiKeyText::rotated(&made.lookup, [90 + at; 32])).collect();
    let rotated = written(keys.rotate(made.id, &KeptSecret::of_api_key(&texts[0], &pepper()), 3600, &NOBODY).await.unwrap());
    let until = rotated.previous_until.unwrap();
    assert!((until.duration_since(now()).as_secs() - 3600).abs() <= 20, "{until}");
    assert_eq!(judge(&fixture.store, &texts[0], now()).await, Ok(ApiKeyGeneration::Current));
    assert_eq!(judge(&fixture.store, &key_text(1), now()).await, Ok(ApiKeyGeneration::Previous { until }));
    assert_eq!(judge(&fixture.store, &key_text(1), until).await, Err(ApiKeyRefusal::Rotated { until }));

    // Only one text before the current one is kept, and an overlap of nothing keeps none.
    written(keys.rotate(made.id, &KeptSecret::of_api_key(&texts[1], &pepper()), u32::MAX, &NOBODY).await.unwrap());
    assert_eq!(judge(&fixture.store, &key_text(1), now()).await, Err(ApiKeyRefusal::WrongSecret));
    let longest = SignedDuration::from_secs(ApiKeyText::MAX_OVERLAP_SECONDS.into());
    let previous = judge(&fixture.store, &texts[0], now()).await.unwrap();
    assert!(matches!(previous, ApiKeyGeneration::Previous { until } if until.duration_since(now()) <= longest), "{previous:?}");
    written(keys.rotate(made.id, &KeptSecret::of_api_key(&texts[2], &pepper()), 0, &NOBODY).await.unwrap());
    assert_eq!(judge(&fixture.store, &texts[1], now()).await, Err(ApiKeyRefusal::WrongSecret));
}

#[tokio::test]
async fn a_withdrawn_key_lets_nobody_in_and_cannot_be_changed_back() {
    let fixture = Fixture::new().await;
    let (keys, made) = (fixture.tenant.api_keys(), insert_key(&fixture.tenant, 1).await);
    let revoked = written(keys.revoke(made.id, &NOBODY).await.unwrap());
    assert!(matches!(judge(&fixture.store, &key_text(1), now()).await, Err(ApiKeyRefusal::Revoked { .. })));
    let next = ApiKeyText::rotated(&made.lookup, [9; 32]);
    let patch = ApiKeyPatch { name: Some("Other"), ..ApiKeyPatch::default() };
    for outcome in [
        keys.revoke(made.id, &NOBODY).await,
        keys.update(made.id, patch, &NOBODY).await,
        keys.rotate(made.id, &KeptSecret::of_api_key(&next, &pepper()), 0, &NOBODY).await,
    ] {
        assert_eq!(outcome.unwrap(), ApiKeyOutcome::Revoked(Box::new(revoked.clone())));
    }
    assert_eq!(keys.revoke(ApiKeyId::generate(), &NOBODY).await.unwrap(), ApiKeyOutcome::NotFound);
    let told = fixture.database.query("SELECT string_agg(event, ' ' ORDER BY seq) FROM audit_events").await;
    assert_eq!(told, "api-key.created api-key.revoked");
}

#[tokio::test]
async fn a_patch_changes_what_it_names_and_nothing_else() {
    let fixture = Fixture::new().await;
    let (keys, made) = (fixture.tenant.api_keys(), insert_key(&fixture.tenant, 1).await);
    let end: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
    let patch = ApiKeyPatch { expires_at: Some(Some(end)), allowed_ips: Some(&[]), ..ApiKeyPatch::default() };
    let changed = written(keys.update(made.id, patch, &NOBODY).await.unwrap());
    let expected = ApiKeyRecord { expires_at: Some(end), allowed_ips: vec![], updated_at: changed.updated_at, ..made.clone() };
    assert_eq!(changed, expected);
    let patch = ApiKeyPatch { name: Some("Two"), expires_at: Some(None), allowed_templates: Some(&[]), ..ApiKeyPatch::default() };
    let changed = written(keys.update(made.id, patch, &NOBODY).await.unwrap());
    assert_eq!((changed.name.as_str(), changed.expires_at, changed.allowed_templates.len()), ("Two", None, 0));
    let told = fixture.database.query("SELECT details FROM audit_events WHERE seq = 3").await;
    assert_eq!(told, r#"{"name":"Two","expiresAt":null,"allowedTemplates":[]}"#);
    assert_eq!(keys.list(10, 0).await.unwrap().items, [changed]);
}

#[tokio::test]
async fn every_change_of_a_key_is_announced_by_its_public_part() {
    let fixture = Fixture::new().await;
    let mut changes = fixture.store.changes();
    assert_eq!(timeout(PATIENCE, changes.next()).await.unwrap(), Some(ChangeEvent::Reconnected));
    let made = insert_key(&fixture.tenant, 1).await;
    written(fixture.tenant.api_keys().revoke(made.id, &NOBODY).await.unwrap());
    for _ in 0..2 {
        let heard = timeout(PATIENCE, changes.next()).await.unwrap();
        let Some(ChangeEvent::Changed(change)) = heard else { panic!("{heard:?}") };
        assert_eq!((change.kind.as_str(), change.key.as_str()), ("api_key", made.lookup.as_str()));
    }
}

#[tokio::test]
async fn a_leaked_key_of_an_archived_tenant_can_be_withdrawn_and_nothing_else_done_to_it() {
    let fixture = Fixture::new().await;
    let (keys, made) = (fixture.tenant.api_keys(), insert_key(&fixture.tenant, 1).await);
    let archived = fixture.store.tenants().set_status(&TenantId::default_tenant(), TenantStatus::Archived, &NOBODY).await.unwrap();
    assert!(matches!(archived, StatusOutcome::Done(_)));
    let found = fixture.store.api_key_by_lookup(&made.lookup).await.unwrap().unwrap();
    assert_eq!(found.tenant_status, TenantStatus::Archived);
    let refused = keys.update(made.id, ApiKeyPatch::default(), &NOBODY).await;
    assert!(matches!(refused, Err(StoreError::TenantArchived)), "{refused:?}");
    written(keys.revoke(made.id, &NOBODY).await.unwrap());
}

#[tokio::test]
async fn two_keys_never_share_a_public_part_not_in_two_tenants_either() {
    let fixture = Fixture::new().await;
    let other: TenantId = "other".parse().unwrap();
    assert!(fixture.store.tenants().insert(&other, "Other", &NOBODY).await.unwrap());
    insert_key(&fixture.tenant, 1).await;
    let text = ApiKeyText::rotated(&key_text(1).lookup(), [3; 32]);
    let new = NewApiKey {
        name: "Second",
        scope: Scope::Admin,
        lookup: &text.lookup(),
        secret: &KeptSecret::of_api_key(&text, &pepper()),
        expires_at: None,
        allowed_templates: &[],
        allowed_ips: &[],
        requests_per_minute: None,
    };
    let refused = fixture.store.tenant(other).api_keys().insert(new, &NOBODY).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
    let nobody = fixture.store.tenant("nobody".parse().unwrap());
    let refused = nobody.api_keys().insert(NewApiKey { lookup: &key_text(2).lookup(), ..new }, &NOBODY).await;
    assert!(matches!(refused, Err(StoreError::NoSuchTenant)), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_use_of_a_key_is_noted_once_a_minute_without_a_row_in_the_audit_log() {
    let fixture = Fixture::new().await;
    let made = insert_key(&fixture.tenant, 1).await;
    let seconds = std::sync::Arc::new(std::sync::atomic::AtomicI64::new(1_800_000_000));
    let source = std::sync::Arc::clone(&seconds);
    let clock = Clock::from_source(move || Timestamp::from_second(source.load(std::sync::atomic::Ordering::SeqCst)).unwrap());
    let store = Store::connect(ConnectOptions { clock, ..ConnectOptions::new(fixture.database.url()) }).await.unwrap();
    let uses = ApiKeyUses::new(store.clone());
    let noted = async |second: i64| {
        eventually("the note", async || {
            let key = fixture.tenant.api_keys().get(made.id).await.unwrap().unwrap();
            (key.last_used_at == Some(Timestamp::from_second(second).unwrap())).then_some(())
        })
        .await;
    };
    uses.note(made.id);
    noted(1_800_000_000).await;
    let asked = store.statements_executed();
    seconds.store(1_800_000_059, std::sync::atomic::Ordering::SeqCst);
    uses.note(made.id);
    assert_eq!(store.statements_executed(), asked, "within the minute the database is not asked");
    seconds.store(1_800_000_060, std::sync::atomic::Ordering::SeqCst);
    uses.note(made.id);
    noted(1_800_000_060).await;
    assert_eq!(fixture.database.query("SELECT count(*) FROM audit_events").await, "1");
}

#[tokio::test]
async fn all_replicas_get_the_pepper_that_the_first_one_made() {
    let fixture = Fixture::new().await;
    let mut peppers = Vec::new();
    for number in 0..8 {
        let replica = fixture.replica().await;
        peppers.push(tokio::spawn(async move { replica.pepper([number; 32]).await.unwrap().mac("a key") }));
    }
    let mut seen = Vec::new();
    for pepper in peppers {
        seen.push(pepper.await.unwrap());
    }
    assert!(seen.iter().all(|mac| *mac == seen[0]));
    assert!((0..8).any(|number| Pepper::from_random([number; 32]).mac("a key") == seen[0]));
    assert_eq!(fixture.store.pepper([99; 32]).await.unwrap().mac("a key"), seen[0]);
}

#[tokio::test]
async fn a_configured_pepper_that_is_another_than_before_is_noticed() {
    let fixture = Fixture::new().await;
    let (one, other) = (Pepper::new(&"x".repeat(40)).unwrap(), Pepper::new(&"y".repeat(40)).unwrap());
    assert_eq!(fixture.store.check_pepper(&one).await.unwrap(), PepperStanding::Known);
    assert_eq!(fixture.store.check_pepper(&one).await.unwrap(), PepperStanding::Known);
    assert_eq!(fixture.store.check_pepper(&other).await.unwrap(), PepperStanding::Changed);
    assert_eq!(fixture.database.query("SELECT count(*) FROM installation_secrets WHERE name = 'pepper'").await, "0");
}
