//! The past of a template.

use serde_json::json;
use store::{RestoreOutcome, Revision, TemplateContent, TemplateKind};

use crate::fixture::{Fixture, NOBODY, any_template, by, insert, key, save, unsigned, version, written};

#[tokio::test]
async fn an_old_version_stays_as_it_was() {
    let fixture = Fixture::new().await;
    insert(&fixture.tenant, "letter", "First name", &json!({"html": "first"})).await;
    written(save(&fixture.tenant, "letter", "1.0.0", &json!({"html": "second"})).await);
    let versions = fixture.tenant.template_versions();
    let old = versions.get(&key("letter"), version("1.0.0")).await.unwrap().unwrap();
    assert_eq!((old.name.as_str(), &old.definition), ("First name", &json!({"html": "first"})));
    assert_eq!((old.version, old.current_version), (version("1.0.0"), version("1.0.1")));
    for absent in ["1.0.2", "0.0.0", "2.0.0"] {
        assert_eq!(versions.get(&key("letter"), version(absent)).await.unwrap(), None, "{absent}");
    }
    assert_eq!(versions.get(&key("nobody"), version("1.0.0")).await.unwrap(), None);
}

#[tokio::test]
async fn a_version_cannot_be_changed_behind_our_back() {
    let fixture = Fixture::new().await;
    any_template(&fixture.tenant, "letter").await;
    let mut bystander = fixture.bystander().await;
    let refused = sqlx::query("UPDATE template_versions SET definition = '{}'").execute(&mut bystander).await.unwrap_err();
    assert!(refused.to_string().contains("immutable"), "{refused}");
    let lost = sqlx::query("DELETE FROM template_versions").execute(&mut bystander).await.unwrap_err();
    assert!(lost.to_string().contains("templates_current_version_exists"), "{lost}");
}

#[tokio::test]
async fn versions_come_in_pages_newest_first() {
    let fixture = Fixture::new().await;
    any_template(&fixture.tenant, "letter").await;
    for patch in 0..6 {
        written(save(&fixture.tenant, "letter", &format!("1.0.{patch}"), &json!({"html": patch})).await);
    }
    let mut seen = Vec::new();
    for offset in [0, 3, 6, 9] {
        let page = fixture.tenant.template_versions().list(&key("letter"), 3, offset).await.unwrap().unwrap();
        assert_eq!(page.total, 7, "at {offset}");
        seen.extend(page.items.iter().map(|item| item.version.patch));
    }
    assert_eq!(seen, [6, 5, 4, 3, 2, 1, 0]);
    assert_eq!(fixture.tenant.template_versions().list(&key("nobody"), 3, 0).await.unwrap(), None);
}

#[tokio::test]
async fn a_restore_makes_the_old_content_current_under_a_new_number() {
    let fixture = Fixture::new().await;
    let first = json!({"z": 1, "a": 2});
    insert(&fixture.tenant, "letter", "First name", &first).await;
    let second = json!({"html": "second"});
    let renamed = TemplateContent { name: "Second name", description: Some("new"), kind: TemplateKind::Layout, definition: &second };
    written(fixture.tenant.templates().update(&key("letter"), version("1.0.0"), renamed, unsigned()).await.unwrap());

    let versions = fixture.tenant.template_versions();
    let ann = by("ann");
    let revision = Revision { actor: &ann, change_note: Some("back") };
    let restored = versions.restore(&key("letter"), version("1.0.1"), version("1.0.0"), revision).await.unwrap();
    let RestoreOutcome::Written(record) = restored else { panic!("{restored:?}") };
    assert_eq!((record.version, record.current_version), (version("1.0.2"), version("1.0.2")));
    assert_eq!(fixture.tenant.templates().get_current(&key("letter")).await.unwrap(), Some(*record.clone()));
    assert_eq!(record.definition.to_string(), first.to_string());
    assert_eq!((record.name.as_str(), record.description, record.kind), ("First name", None, TemplateKind::Document));

    let absent = versions.restore(&key("letter"), version("1.0.2"), version("9.0.0"), revision).await.unwrap();
    assert_eq!(absent, RestoreOutcome::VersionNotFound);
    let stale = versions.restore(&key("letter"), version("1.0.1"), version("1.0.0"), revision).await.unwrap();
    assert_eq!(stale, RestoreOutcome::Stale { current: version("1.0.2") });
    let nobody = versions.restore(&key("nobody"), version("1.0.1"), version("1.0.0"), revision).await.unwrap();
    assert_eq!(nobody, RestoreOutcome::NotFound);
}

#[tokio::test]
async fn a_change_note_can_be_mended_and_nothing_else() {
    let fixture = Fixture::new().await;
    any_template(&fixture.tenant, "letter").await;
    let versions = fixture.tenant.template_versions();
    let note = "ü".repeat(store::CHANGE_NOTE_LIMIT_CHARS);
    let noted = versions.set_change_note(&key("letter"), version("1.0.0"), Some(&note), &NOBODY).await.unwrap().unwrap();
    assert_eq!((noted.version, noted.change_note), (version("1.0.0"), Some(note)));
    let cleared = versions.set_change_note(&key("letter"), version("1.0.0"), None, &NOBODY).await.unwrap().unwrap();
    assert_eq!(cleared.change_note, None);
    let absent = versions.set_change_note(&key("letter"), version("1.0.1"), None, &NOBODY).await.unwrap();
    assert_eq!(absent, None);
    let too_long = "x".repeat(store::CHANGE_NOTE_LIMIT_CHARS + 1);
    assert!(versions.set_change_note(&key("letter"), version("1.0.0"), Some(&too_long), &NOBODY).await.is_err());
}
