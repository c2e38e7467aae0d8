//! People: entered by an admin, from the configuration once, or as the identity provider sends them.

use domain::peppers::Pepper;
use domain::tenants::TenantStatus;
use domain::users::{AuthMethod, UserActivity, UserId, UserKey};
use domain::{Scope, TenantId};
use jiff::Timestamp;
use store::{
    ChangeEvent, KeptSecret, NewUser, ProvisionOutcome, Provisioned, RoleRule, SeedOutcome, StatusOutcome, StoreError, TenantStore,
    UserOutcome, UserPatch, UserRecord,
};
use tokio::time::timeout;

use crate::fixture::{Fixture, NOBODY, PATIENCE, by};

fn pepper() -> Pepper {
    Pepper::from_random([7; 32])
}

pub fn id(text: &str) -> UserId {
    text.parse().unwrap()
}

/// What is kept of the key of that person.
pub fn secret_of(name: &str) -> KeptSecret {
    KeptSecret::of_user_key(&format!("key-of-{name}-in-this-test").parse::<UserKey>().unwrap(), &pepper())
}

pub fn new_user<'a>(id: &'a UserId, secret: &'a KeptSecret) -> NewUser<'a> {
    NewUser {
        id,
        display_name: "Ann Lee",
        role: Scope::Author,
        secret,
        email: Some("ann@example.com"),
        groups: &[],
        activity: UserActivity::Active,
        user_name: None,
        external_id: None,
    }
}

pub async fn insert_user(tenant: &TenantStore, name: &str) -> UserRecord {
    let (id, secret) = (id(name), secret_of(name));
    written(tenant.users().insert(new_user(&id, &secret), &by("root")).await.unwrap())
}

fn written(outcome: UserOutcome) -> UserRecord {
    match outcome {
        UserOutcome::Written(record) => *record,
        other => panic!("not written: {other:?}"),
    }
}

async fn told(fixture: &Fixture) -> String {
    fixture.database.query("SELECT coalesce(string_agg(event || ' ' || resource_id, ', ' ORDER BY seq), '') FROM audit_events").await
}

#[tokio::test]
async fn a_person_is_found_by_key_and_by_id_with_their_tenant() {
    let fixture = Fixture::new().await;
    let ann = insert_user(&fixture.tenant, "ann").await;
    assert_eq!((ann.auth_method, ann.key_hint.as_deref(), ann.role), (AuthMethod::Key, Some("test"), Scope::Author));
    let by_key = fixture.store.user_by_key_mac(&secret_of("ann").mac).await.unwrap().unwrap();
    assert_eq!((&by_key.user, by_key.tenant_status), (&ann, TenantStatus::Active));
    assert_eq!(fixture.tenant.users().credential(&id("ann")).await.unwrap(), Some(by_key));
    assert_eq!(fixture.store.user_by_key_mac(&secret_of("bob").mac).await.unwrap(), None);
    assert_eq!(fixture.tenant.users().credential(&id("bob")).await.unwrap(), None);
    assert_eq!(fixture.store.user_of_provider(&id("ann")).await.unwrap(), None, "she has a key");
    assert_eq!(fixture.tenant.users().list(10, 0).await.unwrap().items, [ann]);
}

#[tokio::test]
async fn ids_are_unique_in_their_tenant_and_keys_in_the_whole_installation() {
    let fixture = Fixture::new().await;
    let other: TenantId = "other".parse().unwrap();
    assert!(fixture.store.tenants().insert(&other, "Other", &NOBODY).await.unwrap());
    insert_user(&fixture.tenant, "ann").await;
    let theirs = fixture.store.tenant(other);
    let (same, another, key, fresh) = (id("ann"), id("bob"), secret_of("ann"), secret_of("another-ann"));
    assert_eq!(fixture.tenant.users().insert(new_user(&same, &fresh), &NOBODY).await.unwrap(), UserOutcome::IdTaken);
    for tenant in [&fixture.tenant, &theirs] {
        assert_eq!(tenant.users().insert(new_user(&another, &key), &NOBODY).await.unwrap(), UserOutcome::KeyTaken);
    }
    let namesake = written(theirs.users().insert(new_user(&same, &fresh), &NOBODY).await.unwrap());
    assert_eq!(namesake.tenant, *theirs.tenant_id());
    assert!(theirs.users().delete(&same, &NOBODY).await.unwrap());
    assert!(fixture.tenant.users().get(&same).await.unwrap().is_some(), "a namesake is somebody else");
    insert_user(&fixture.tenant, "bob").await;
    let key = secret_of("ann");
    let patch = UserPatch { secret: Some(&key), ..UserPatch::default() };
    assert_eq!(fixture.tenant.users().update(&id("bob"), patch, &NOBODY).await.unwrap(), UserOutcome::KeyTaken);
    let rows = fixture.database.query("SELECT tenant_id, event, resource_id FROM audit_events ORDER BY 1, seq").await;
    let ours = "default|user.created|ann\ndefault|user.created|bob";
    assert_eq!(rows, format!("{ours}\nother|tenant.created|other\nother|user.created|ann\nother|user.deleted|ann"));
}

#[tokio::test]
async fn a_patch_changes_what_it_names_and_the_audit_log_says_what_that_was() {
    let fixture = Fixture::new().await;
    let users = fixture.tenant.users();
    let ann = insert_user(&fixture.tenant, "ann").await;
    let cut_over: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let key = secret_of("ann-again");
    let patch = UserPatch {
        role: Some(Scope::Admin),
        email: Some(None),
        activity: Some(UserActivity::Deactivated),
        token_issued_after: Some(Some(cut_over)),
        secret: Some(&key),
        ..UserPatch::default()
    };
    let changed = written(users.update(&id("ann"), patch, &NOBODY).await.unwrap());
    assert!(changed.deactivated_at.is_some());
    let expected = UserRecord {
        role: Scope::Admin,
        email: None,
        deactivated_at: changed.deactivated_at,
        token_issued_after: Some(cut_over),
        updated_at: changed.updated_at,
        ..ann
    };
    assert_eq!(changed, expected);
    assert!(fixture.store.user_by_key_mac(&secret_of("ann").mac).await.unwrap().is_none(), "the key before works no more");
    let details = fixture.database.query("SELECT details FROM audit_events WHERE seq = 2").await;
    let named = r#"{"changed":["role","key","email","active","tokenIssuedAfter"],"role":"admin","active":false,"keyHint":"test","#;
    assert_eq!(details, format!(r#"{named}"tokenIssuedAfter":"2026-01-01T00:00:00Z"}}"#));
    let back = UserPatch { activity: Some(UserActivity::Active), token_issued_after: Some(None), ..UserPatch::default() };
    let back = written(users.update(&id("ann"), back, &NOBODY).await.unwrap());
    assert_eq!((back.deactivated_at, back.token_issued_after), (None, None));
    assert_eq!(users.update(&id("bob"), UserPatch::default(), &NOBODY).await.unwrap(), UserOutcome::NotFound);
}

#[tokio::test]
async fn a_removed_person_is_gone_and_their_id_is_free() {
    let fixture = Fixture::new().await;
    insert_user(&fixture.tenant, "ann").await;
    assert!(fixture.tenant.users().delete(&id("ann"), &NOBODY).await.unwrap());
    assert!(!fixture.tenant.users().delete(&id("ann"), &NOBODY).await.unwrap());
    assert!(fixture.store.user_by_key_mac(&secret_of("ann").mac).await.unwrap().is_none());
    assert_eq!(fixture.tenant.users().count().await.unwrap(), 0);
    insert_user(&fixture.tenant, "ann").await;
    assert_eq!(told(&fixture).await, "user.created ann, user.deleted ann, user.created ann");
}

#[tokio::test]
async fn every_change_of_a_person_is_announced_by_id() {
    let fixture = Fixture::new().await;
    let mut changes = fixture.store.changes();
    assert_eq!(timeout(PATIENCE, changes.next()).await.unwrap(), Some(ChangeEvent::Reconnected));
    insert_user(&fixture.tenant, "ann").await;
    written(fixture.tenant.users().update(&id("ann"), UserPatch::default(), &NOBODY).await.unwrap());
    assert!(fixture.tenant.users().delete(&id("ann"), &NOBODY).await.unwrap());
    for _ in 0..3 {
        let heard = timeout(PATIENCE, changes.next()).await.unwrap();
        let Some(ChangeEvent::Changed(change)) = heard else { panic!("{heard:?}") };
        assert_eq!((change.kind.as_str(), change.key.as_str()), ("user", "ann"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_replicas_that_start_at_once_one_enters_the_configured_people() {
    let fixture = Fixture::new().await;
    let other: TenantId = "another".parse().unwrap();
    assert!(fixture.store.tenants().insert(&other, "Another", &NOBODY).await.unwrap());
    let mut starts = Vec::new();
    for _ in 0..6 {
        let (replica, other) = (fixture.replica().await, other.clone());
        starts.push(tokio::spawn(async move {
            let (ids, secrets) = (["ann", "bob", "lost"].map(id), ["ann", "bob", "lost"].map(secret_of));
            let tenants = [TenantId::default_tenant(), other, "missing".parse().unwrap()];
            let people: Vec<_> = tenants.into_iter().zip(ids.iter().zip(&secrets).map(|(id, secret)| new_user(id, secret))).collect();
            replica.seed_users_if_empty(&people).await.unwrap()
        }));
    }
    let mut outcomes = Vec::new();
    for start in starts {
        outcomes.push(start.await.unwrap());
    }
    let seeded = SeedOutcome::Seeded { inserted: 2, without_tenant: vec![id("lost")] };
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == seeded).count(), 1, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == SeedOutcome::NotEmpty).count(), 5, "{outcomes:?}");
    let rows = fixture.database.query("SELECT tenant_id, event, resource_id, actor FROM audit_events ORDER BY 1, seq").await;
    let expected = "another|tenant.created|another|system:test\nanother|user.created|bob|system:seed\ndefault|user.created|ann|system:seed";
    assert_eq!(rows, expected);
    for tenant in [TenantId::default_tenant(), other] {
        assert_eq!(fixture.store.verify_audit_chain(&tenant).await.unwrap().breaks, [""; 0]);
    }
}

#[tokio::test]
async fn configured_people_are_entered_all_or_none() {
    let fixture = Fixture::new().await;
    let (ids, secret) = (["ann", "bob"].map(id), secret_of("both"));
    let people: Vec<_> = ids.iter().map(|id| (TenantId::default_tenant(), new_user(id, &secret))).collect();
    let refused = fixture.store.seed_users_if_empty(&people).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
    assert_eq!(fixture.database.query("SELECT count(*) FROM users").await, "0");
    assert_eq!(told(&fixture).await, "");
}

fn provisioned<'a>(id: &'a UserId, display_name: &'a str, role: RoleRule) -> Provisioned<'a> {
    Provisioned { id, display_name, email: None, groups: &[], external_id: Some("sub-1"), role }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_of_the_provider_is_entered_once_and_written_again_only_when_something_is_new() {
    let fixture = Fixture::new().await;
    let comes = |name: &'static str, role| {
        let tenant = fixture.tenant.clone();
        async move {
            let ann = id("ann");
            tenant.users().provision(provisioned(&ann, name, role), &NOBODY).await.unwrap()
        }
    };
    let first = RoleRule::AtFirst(Scope::Viewer);
    let mut together = Vec::new();
    for _ in 0..6 {
        together.push(tokio::spawn(comes("Ann", first)));
    }
    let mut inserted = 0;
    for arrival in together {
        match arrival.await.unwrap() {
            ProvisionOutcome::Inserted(user) => {
                inserted += 1;
                assert_eq!((user.auth_method, user.role, user.key_hint), (AuthMethod::Oidc, Scope::Viewer, None));
            }
            ProvisionOutcome::Unchanged(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(inserted, 1);
    let promoted = UserPatch { role: Some(Scope::Admin), ..UserPatch::default() };
    written(fixture.tenant.users().update(&id("ann"), promoted, &NOBODY).await.unwrap());
    assert!(matches!(comes("Ann", first).await, ProvisionOutcome::Unchanged(user) if user.role == Scope::Admin));
    assert!(matches!(comes("Ann Lee", first).await, ProvisionOutcome::Refreshed(user) if user.role == Scope::Admin));
    let always = RoleRule::Always(Scope::Author);
    assert!(matches!(comes("Ann Lee", always).await, ProvisionOutcome::Refreshed(user) if user.role == Scope::Author));
    assert_eq!(told(&fixture).await, "user.created ann, user.updated ann, user.updated ann, user.updated ann");
    let details = fixture.database.query("SELECT details FROM audit_events WHERE seq = 4").await;
    assert_eq!(details, r#"{"changed":["role"],"role":"author","groups":[]}"#);
}

#[tokio::test]
async fn the_provider_does_not_speak_for_people_with_keys_of_other_tenants_or_deactivated() {
    let fixture = Fixture::new().await;
    let other: TenantId = "other".parse().unwrap();
    assert!(fixture.store.tenants().insert(&other, "Other", &NOBODY).await.unwrap());
    let theirs = fixture.store.tenant(other);
    let (ann, zoe) = (id("ann"), id("zoe"));
    insert_user(&fixture.tenant, "ann").await;
    let admin = RoleRule::Always(Scope::Admin);
    assert_eq!(fixture.tenant.users().provision(provisioned(&ann, "X", admin), &NOBODY).await.unwrap(), ProvisionOutcome::HasKey);
    let namesake = theirs.users().provision(provisioned(&ann, "Ann", admin), &NOBODY).await.unwrap();
    assert!(matches!(namesake, ProvisionOutcome::Inserted(_)), "who has a key in one tenant keeps nobody out of another");
    assert_eq!(fixture.store.user_of_provider(&ann).await.unwrap().unwrap().user.tenant, *theirs.tenant_id());
    let first = theirs.users().provision(provisioned(&zoe, "Zoe", admin), &NOBODY).await.unwrap();
    assert!(matches!(first, ProvisionOutcome::Inserted(_)));
    let elsewhere = fixture.tenant.users().provision(provisioned(&zoe, "X", admin), &NOBODY).await.unwrap();
    assert_eq!(elsewhere, ProvisionOutcome::OtherTenant);
    let off = UserPatch { activity: Some(UserActivity::Deactivated), ..UserPatch::default() };
    let off = written(theirs.users().update(&zoe, off, &NOBODY).await.unwrap());
    assert_eq!(
        theirs.users().provision(provisioned(&zoe, "X", admin), &NOBODY).await.unwrap(),
        ProvisionOutcome::Deactivated(Box::new(off))
    );
}

#[tokio::test]
async fn a_person_of_an_archived_tenant_is_still_found_and_the_tenants_status_with_them() {
    let fixture = Fixture::new().await;
    insert_user(&fixture.tenant, "ann").await;
    let archived = fixture.store.tenants().set_status(&TenantId::default_tenant(), TenantStatus::Archived, &NOBODY).await.unwrap();
    assert!(matches!(archived, StatusOutcome::Done(_)));
    assert_eq!(fixture.tenant.users().credential(&id("ann")).await.unwrap().unwrap().tenant_status, TenantStatus::Archived);
    let refused = fixture.tenant.users().delete(&id("ann"), &NOBODY).await;
    assert!(matches!(refused, Err(StoreError::TenantArchived)), "{refused:?}");
}
