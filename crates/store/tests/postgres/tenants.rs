//! A tenant sees its own rows and no others.

use domain::users::UserId;
use domain::{Scope, TenantId};
use serde_json::json;
use store::{
    ApiKeyOutcome, ApiKeyPatch, InsertOutcome, KeptSecret, NewTemplate, Page, ProvisionOutcome, Provisioned, RestoreOutcome, RoleRule,
    StoreError, TakeOutcome, TemplateFilter, UpdateOutcome, UserOutcome, UserPatch,
};

use crate::api_keys::{insert_key, key_text, pepper};
use crate::fixture::{Fixture, NOBODY, any_template, content, insert, key, save, unsigned, version, written};
use crate::render_tokens::insert_token;
use crate::users::{insert_user, secret_of};

#[tokio::test]
async fn no_act_of_one_tenant_reaches_a_row_of_another() {
    let fixture = Fixture::new().await;
    let other: TenantId = "other".parse().unwrap();
    assert!(fixture.store.tenants().insert(&other, "Other", &NOBODY).await.unwrap());
    assert!(!fixture.store.tenants().insert(&other, "Other", &NOBODY).await.unwrap(), "it exists already");
    let (ours, theirs) = (&fixture.tenant, fixture.store.tenant(other));

    let secret = key("secret");
    let before = any_template(ours, "secret").await;
    ours.samples().put(&secret, &json!({"a": 1}), &NOBODY).await.unwrap();

    assert_eq!(theirs.templates().get(&secret).await.unwrap(), None);
    assert_eq!(theirs.templates().get_current(&secret).await.unwrap(), None);
    assert_eq!(theirs.templates().list(&TemplateFilter::default()).await.unwrap().total, 0);
    let by_key = TemplateFilter { keys: vec![secret.clone()], q: Some("secret".to_owned()), ..TemplateFilter::default() };
    assert_eq!(theirs.templates().list(&by_key).await.unwrap().items, []);
    assert_eq!(theirs.template_versions().list(&secret, 10, 0).await.unwrap(), None);
    assert_eq!(theirs.template_versions().get(&secret, version("1.0.0")).await.unwrap(), None);
    assert_eq!(theirs.template_versions().set_change_note(&secret, version("1.0.0"), Some("x"), &NOBODY).await.unwrap(), None);
    let restored = theirs.template_versions().restore(&secret, version("1.0.0"), version("1.0.0"), unsigned()).await.unwrap();
    assert_eq!(restored, RestoreOutcome::NotFound);
    assert_eq!(theirs.samples().get(&secret).await.unwrap(), None);
    assert!(!theirs.samples().put(&secret, &json!({}), &NOBODY).await.unwrap());
    assert!(!theirs.samples().delete(&secret, &NOBODY).await.unwrap());
    assert_eq!(save(&theirs, "secret", "1.0.0", &json!({})).await, UpdateOutcome::NotFound);
    assert_eq!(
        theirs.templates().delete(&secret, version("1.0.0"), store::PartInUse::Refuse, store::Approval::default(), &NOBODY).await.unwrap(),
        store::DeleteOutcome::NotFound
    );

    // The same key is another template, and a write to it leaves ours alone.
    insert(&theirs, "secret", "Theirs", &json!({"html": "theirs"})).await;
    written(save(&theirs, "secret", "1.0.0", &json!({"html": "theirs again"})).await);
    assert_eq!(ours.templates().get(&secret).await.unwrap(), Some(before));
    assert_eq!(ours.samples().get(&secret).await.unwrap(), Some(json!({"a": 1})));
    assert_eq!(ours.template_versions().list(&secret, 10, 0).await.unwrap().unwrap().total, 1);
}

#[tokio::test]
async fn no_act_on_keys_people_or_tokens_of_one_tenant_reaches_those_of_another() {
    let fixture = Fixture::new().await;
    let other: TenantId = "other".parse().unwrap();
    assert!(fixture.store.tenants().insert(&other, "Other", &NOBODY).await.unwrap());
    let (ours, theirs) = (&fixture.tenant, fixture.store.tenant(other));
    let (our_key, ann, token) = (insert_key(ours, 1).await, insert_user(ours, "ann").await, insert_token(ours, 1).await);
    let (eve_id, role) = ("oidc:eve".parse::<UserId>().unwrap(), RoleRule::Always(Scope::Admin));
    let eve = || Provisioned { id: &eve_id, display_name: "Eve", email: None, groups: &[], external_id: None, role };
    assert!(matches!(ours.users().provision(eve(), &NOBODY).await.unwrap(), ProvisionOutcome::Inserted(_)));
    let before = fixture.database.query(EVERYTHING).await;

    let (keys, text) = (theirs.api_keys(), key_text(2));
    let secret = KeptSecret::of_api_key(&text, &pepper());
    assert_eq!(keys.get(our_key.id).await.unwrap(), None);
    assert_eq!(keys.list(100, 0).await.unwrap(), Page { items: vec![], total: 0 });
    let open = ApiKeyPatch { name: Some("x"), allowed_ips: Some(&[]), ..ApiKeyPatch::default() };
    assert_eq!(keys.update(our_key.id, open, &NOBODY).await.unwrap(), ApiKeyOutcome::NotFound);
    assert_eq!(keys.rotate(our_key.id, &secret, 60, &NOBODY).await.unwrap(), ApiKeyOutcome::NotFound);
    assert_eq!(keys.revoke(our_key.id, &NOBODY).await.unwrap(), ApiKeyOutcome::NotFound);

    let (users, user_secret) = (theirs.users(), secret_of("eve"));
    assert_eq!(users.get(&ann.id).await.unwrap(), None);
    assert_eq!(users.list(100, 0).await.unwrap(), Page { items: vec![], total: 0 });
    assert_eq!(users.count().await.unwrap(), 0);
    let promoted = UserPatch { role: Some(Scope::Admin), secret: Some(&user_secret), ..UserPatch::default() };
    assert_eq!(users.update(&ann.id, promoted, &NOBODY).await.unwrap(), UserOutcome::NotFound);
    assert!(!users.delete(&ann.id, &NOBODY).await.unwrap());
    assert_eq!(users.provision(eve(), &NOBODY).await.unwrap(), ProvisionOutcome::OtherTenant);

    let tokens = theirs.render_tokens();
    assert_eq!(tokens.get(token.id).await.unwrap(), None);
    assert_eq!(tokens.take_one(token.id).await.unwrap(), TakeOutcome::Unknown);
    assert!(!tokens.revoke(token.id, &NOBODY).await.unwrap());
    assert_eq!(ours.render_tokens().take_one(token.id).await.unwrap(), TakeOutcome::Taken { left: 0 });
    assert!(!tokens.give_back(token.id).await.unwrap());
    assert_eq!(ours.render_tokens().take_one(token.id).await.unwrap(), TakeOutcome::Exhausted);
    assert!(ours.render_tokens().give_back(token.id).await.unwrap());

    assert_eq!(fixture.database.query(EVERYTHING).await, before, "nothing was changed and nothing recorded");
}

/// Every row of the default tenant that the acts above are about, and the audit logs of all.
const EVERYTHING: &str = "SELECT (SELECT string_agg(k::text, ' ') FROM api_keys k), (SELECT string_agg(u::text, ' ') FROM users u),
    (SELECT string_agg(t::text, ' ') FROM render_tokens t), (SELECT string_agg(e::text, ' ' ORDER BY tenant_id, seq) FROM audit_events e)";

#[tokio::test]
async fn a_tenant_without_a_row_can_own_nothing() {
    let fixture = Fixture::new().await;
    let nobody = fixture.store.tenant("nobody".parse().unwrap());
    let definition = json!({});
    let new = NewTemplate { key: &key("letter"), content: content("Letter", &definition), tags: &[], owner: None };
    let refused: Result<InsertOutcome, _> = nobody.templates().insert(new, unsigned()).await;
    assert!(matches!(refused, Err(StoreError::NoSuchTenant)), "{refused:?}");
}
