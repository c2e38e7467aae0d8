//! Making, reading, saving and deleting templates.

use serde_json::{Value, json};
use store::{
    Approval, DeleteOutcome, InsertOutcome, NewTemplate, PartInUse, Revision, StoreError, TemplateContent, TemplateKind, UpdateOutcome,
};

use crate::fixture::{Fixture, NOBODY, any_template, by, content, insert, key, save, unsigned, version, written};

#[tokio::test]
async fn a_template_is_found_as_it_was_made() {
    let fixture = Fixture::new().await;
    let definition = json!({"html": "<p>{{name}}</p>", "version": "2.3.4"});
    let key = key("invoice");
    let tags = ["finance".to_owned(), "eu".to_owned()];
    let content = TemplateContent { name: "Invoice", description: Some("A bill"), kind: TemplateKind::Component, definition: &definition };
    let new = NewTemplate { key: &key, content, tags: &tags, owner: Some("ann") };
    let bob = by("bob");
    let revision = Revision { actor: &bob, change_note: Some("first") };
    let InsertOutcome::Written(made) = fixture.tenant.templates().insert(new, revision).await.unwrap() else { panic!("the key is free") };

    assert_eq!(made.current_version, version("2.3.4"), "the author's version is the first one");
    assert_eq!((made.name.as_str(), made.description.as_deref(), made.kind), ("Invoice", Some("A bill"), TemplateKind::Component));
    assert_eq!((made.tags.as_slice(), made.owner.as_deref()), (tags.as_slice(), Some("ann")));
    assert_eq!(fixture.tenant.templates().get(&key).await.unwrap(), Some(*made.clone()));

    let current = fixture.tenant.templates().get_current(&key).await.unwrap().unwrap();
    assert_eq!((current.version, current.current_version, current.template_id), (version("2.3.4"), version("2.3.4"), made.template_id));
    assert_eq!((current.created_by.as_deref(), current.change_note.as_deref()), (Some("bob"), Some("first")));
    assert_eq!(current.definition, definition);
    assert_eq!(current.created_at, made.created_at);
}

#[tokio::test]
async fn an_absent_template_is_an_answer_and_no_error() {
    let fixture = Fixture::new().await;
    let nobody = key("nobody");
    assert_eq!(fixture.tenant.templates().get(&nobody).await.unwrap(), None);
    assert_eq!(fixture.tenant.templates().get_current(&nobody).await.unwrap(), None);
    assert_eq!(save(&fixture.tenant, "nobody", "1.0.0", &json!({})).await, UpdateOutcome::NotFound);
    let deleted =
        fixture.tenant.templates().delete(&nobody, version("1.0.0"), PartInUse::Refuse, Approval::default(), &NOBODY).await.unwrap();
    assert_eq!(deleted, DeleteOutcome::NotFound);
}

#[tokio::test]
async fn the_first_version_is_1_0_0_unless_the_definition_says_a_real_one() {
    let fixture = Fixture::new().await;
    for (name, definition) in [("none", json!({})), ("words", json!({"version": "latest"})), ("number", json!({"version": 2}))] {
        assert_eq!(insert(&fixture.tenant, name, name, &definition).await.current_version, version("1.0.0"), "{name}");
    }
}

#[tokio::test]
async fn a_taken_key_changes_nothing() {
    let fixture = Fixture::new().await;
    let first = any_template(&fixture.tenant, "letter").await;
    let definition = json!({"html": "other"});
    let new = NewTemplate { key: &key("letter"), content: content("Other", &definition), tags: &[], owner: None };
    let again = fixture.tenant.templates().insert(new, unsigned()).await.unwrap();
    assert_eq!(again, InsertOutcome::KeyTaken);
    assert_eq!(fixture.tenant.templates().get(&key("letter")).await.unwrap(), Some(first));
}

#[tokio::test]
async fn every_save_counts_the_patch_up_even_when_nothing_changed() {
    let fixture = Fixture::new().await;
    let definition = json!({"html": "x", "version": "1.0.8"});
    insert(&fixture.tenant, "letter", "Letter", &definition).await;
    for (expected, next) in [("1.0.8", "1.0.9"), ("1.0.9", "1.0.10"), ("1.0.10", "1.0.11")] {
        let saved = written(save(&fixture.tenant, "letter", expected, &definition).await);
        assert_eq!(saved.current_version, version(next));
    }
    let versions = fixture.tenant.template_versions().list(&key("letter"), 10, 0).await.unwrap().unwrap();
    let numbers: Vec<String> = versions.items.iter().map(|item| item.version.to_string()).collect();
    assert_eq!(numbers, ["1.0.11", "1.0.10", "1.0.9", "1.0.8"], "by number, newest first");
}

#[tokio::test]
async fn a_stale_save_says_what_is_current_and_changes_nothing() {
    let fixture = Fixture::new().await;
    any_template(&fixture.tenant, "letter").await;
    let now = written(save(&fixture.tenant, "letter", "1.0.0", &json!({"html": "second"})).await);
    let stale = UpdateOutcome::Stale { current: version("1.0.1") };
    assert_eq!(save(&fixture.tenant, "letter", "1.0.0", &json!({"html": "third"})).await, stale);
    assert_eq!(save(&fixture.tenant, "letter", "1.0.2", &json!({"html": "third"})).await, stale);
    assert_eq!(fixture.tenant.templates().get(&key("letter")).await.unwrap(), Some(now));
    let current = fixture.tenant.templates().get_current(&key("letter")).await.unwrap().unwrap();
    assert_eq!(current.definition, json!({"html": "second"}));
    let deleted =
        fixture.tenant.templates().delete(&key("letter"), version("1.0.0"), PartInUse::Refuse, Approval::default(), &NOBODY).await.unwrap();
    assert_eq!(deleted, DeleteOutcome::Stale { current: version("1.0.1") });
}

#[tokio::test]
async fn a_deleted_template_is_gone_for_readers_and_kept_in_the_table() {
    let fixture = Fixture::new().await;
    any_template(&fixture.tenant, "letter").await;
    let deleted = fixture
        .tenant
        .templates()
        .delete(&key("letter"), version("1.0.0"), PartInUse::Refuse, Approval::default(), &by("ann"))
        .await
        .unwrap();
    assert_eq!(deleted, DeleteOutcome::Deleted);

    let letter = key("letter");
    assert_eq!(fixture.tenant.templates().get(&letter).await.unwrap(), None);
    assert_eq!(fixture.tenant.templates().get_current(&letter).await.unwrap(), None);
    assert_eq!(fixture.tenant.template_versions().list(&letter, 10, 0).await.unwrap(), None);
    assert_eq!(fixture.tenant.template_versions().get(&letter, version("1.0.0")).await.unwrap(), None);
    assert_eq!(fixture.tenant.templates().list(&store::TemplateFilter::default()).await.unwrap().total, 0);
    assert_eq!(save(&fixture.tenant, "letter", "1.0.0", &json!({})).await, UpdateOutcome::NotFound);
    assert!(!fixture.tenant.samples().put(&letter, &json!({}), &NOBODY).await.unwrap());
    assert_eq!(fixture.database.query("SELECT deleted_by FROM templates JOIN template_versions USING (template_id)").await, "ann");

    let anew = any_template(&fixture.tenant, "letter").await;
    assert_eq!(anew.current_version, version("1.0.0"), "the key is free for another template");
    let deleted =
        fixture.tenant.templates().delete(&letter, version("1.0.0"), PartInUse::Refuse, Approval::default(), &NOBODY).await.unwrap();
    assert_eq!(deleted, DeleteOutcome::Deleted);
    assert_eq!(fixture.database.query("SELECT count(*) FROM templates").await, "2", "the trash takes a second one of that key");
}

#[tokio::test]
async fn the_order_of_properties_and_every_byte_of_a_text_survive() {
    let fixture = Fixture::new().await;
    let text = r#"{"zebra":1,"apple":{"y":[],"b":null,"a":1.50},"10":"ten","9":"nine","text":"tab\t nul\u0000 ü 🦓 \\ \"","big":9007199254740993}"#;
    let definition: Value = serde_json::from_str(text).unwrap();
    insert(&fixture.tenant, "letter", "Letter", &definition).await;
    let read = fixture.tenant.templates().get_current(&key("letter")).await.unwrap().unwrap();
    assert_eq!(read.definition.to_string(), definition.to_string());
    assert_eq!(read.content_hash, domain::templates::ContentHash::of(&definition));

    fixture.tenant.samples().put(&key("letter"), &definition, &NOBODY).await.unwrap();
    let sample = fixture.tenant.samples().get(&key("letter")).await.unwrap().unwrap();
    assert_eq!(sample.to_string(), definition.to_string());

    let fits = "SELECT sha256(convert_to(definition::text, 'UTF8')) = content_hash FROM template_versions";
    assert_eq!(fixture.database.query(fits).await, "t", "the hash is that of the stored text");
}

#[tokio::test]
async fn a_sample_can_be_kept_replaced_and_taken_away() {
    let fixture = Fixture::new().await;
    let before = any_template(&fixture.tenant, "letter").await;
    let (samples, letter) = (fixture.tenant.samples(), key("letter"));
    assert_eq!(samples.get(&letter).await.unwrap(), None);
    assert!(samples.put(&letter, &json!({"a": 1}), &NOBODY).await.unwrap());
    assert!(samples.put(&letter, &json!({"a": 2}), &NOBODY).await.unwrap());
    assert_eq!(samples.get(&letter).await.unwrap(), Some(json!({"a": 2})));
    assert!(samples.delete(&letter, &NOBODY).await.unwrap());
    assert!(samples.delete(&letter, &NOBODY).await.unwrap(), "the template is there, with or without a sample");
    assert_eq!(samples.get(&letter).await.unwrap(), None);
    assert!(!samples.delete(&key("nobody"), &NOBODY).await.unwrap());
    assert_eq!(fixture.tenant.templates().get(&letter).await.unwrap(), Some(before), "a sample is no new version");
}

#[tokio::test]
async fn a_value_against_the_rules_is_refused_by_name_and_without_sql() {
    let fixture = Fixture::new().await;
    let definition = json!({});
    for name in ["", "nul\u{0}", &"x".repeat(256)] {
        let new = NewTemplate { key: &key("letter"), content: content(name, &definition), tags: &[], owner: None };
        let error = fixture.tenant.templates().insert(new, unsigned()).await.unwrap_err();
        assert!(matches!(error, StoreError::Refused { .. }), "{name:?}: {error:?}");
        let shown = error.to_string();
        assert!(!shown.contains("INSERT") && !shown.contains("SELECT"), "{shown}");
    }
    assert_eq!(fixture.database.query("SELECT count(*) FROM templates").await, "0");
}

#[tokio::test]
async fn every_act_is_counted() {
    let fixture = Fixture::new().await;
    let before = fixture.store.statements_executed();
    fixture.tenant.templates().get(&key("a")).await.unwrap();
    fixture.tenant.templates().get_current(&key("a")).await.unwrap();
    fixture.store.ping(crate::fixture::PATIENCE).await.unwrap();
    assert_eq!(fixture.store.statements_executed(), before + 3);
}
