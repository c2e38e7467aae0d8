//! A tenant sees its own rows and no others.

use domain::TenantId;
use serde_json::json;
use store::{InsertOutcome, NewTemplate, RestoreOutcome, StoreError, TemplateFilter, UpdateOutcome};

use crate::fixture::{Fixture, NOBODY, any_template, content, insert, key, save, unsigned, version, written};

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
    assert_eq!(theirs.templates().delete(&secret, version("1.0.0"), &NOBODY).await.unwrap(), UpdateOutcome::NotFound);

    // The same key is another template, and a write to it leaves ours alone.
    insert(&theirs, "secret", "Theirs", &json!({"html": "theirs"})).await;
    written(save(&theirs, "secret", "1.0.0", &json!({"html": "theirs again"})).await);
    assert_eq!(ours.templates().get(&secret).await.unwrap(), Some(before));
    assert_eq!(ours.samples().get(&secret).await.unwrap(), Some(json!({"a": 1})));
    assert_eq!(ours.template_versions().list(&secret, 10, 0).await.unwrap().unwrap().total, 1);
}

#[tokio::test]
async fn a_tenant_without_a_row_can_own_nothing() {
    let fixture = Fixture::new().await;
    let nobody = fixture.store.tenant("nobody".parse().unwrap());
    let definition = json!({});
    let new = NewTemplate { key: &key("letter"), content: content("Letter", &definition), tags: &[], owner: None };
    let refused: Result<InsertOutcome, _> = nobody.templates().insert(new, unsigned()).await;
    assert!(matches!(refused, Err(StoreError::NoSuchTenant)), "{refused:?}");
}
