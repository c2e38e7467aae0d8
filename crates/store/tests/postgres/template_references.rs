//! Parts: who uses which, what stays because it is used, and two who do both at once.

use std::time::Duration;

use domain::template_references::Pin;
use domain::templates::TemplateKey;
use jiff::SignedDuration;
use serde_json::{Value, json};
use store::{
    Approval, DeleteOutcome, Dependencies, DependencyOutcome, InsertOutcome, LabelMove, LabelOutcome, NewTemplate, PartInUse, Reach,
    RestoreOutcome, ScheduleOutcome, TenantStore, TrashOutcome, UpdateOutcome,
};

use crate::fixture::{Fixture, NOBODY, any_template, by, content, insert, key, save, throw_away, unsigned, version, written};

/// A definition that is made with these templates.
fn made_with(parts: &[Value]) -> Value {
    let nodes: Vec<Value> = parts.iter().map(|part| json!({"type": "component", "component": part})).collect();
    json!({ "document": { "type": "document", "children": nodes } })
}

async fn users(tenant: &TenantStore, part: &str, reach: Reach) -> Vec<String> {
    let found = tenant.templates().dependents(&key(part), reach).await.unwrap().unwrap();
    assert!(!found.truncated);
    found.items.iter().map(|one| format!("{} {}", one.level, one.user.key)).collect()
}

async fn delete(tenant: &TenantStore, template: &str, expected: &str) -> DeleteOutcome {
    tenant.templates().delete(&key(template), version(expected), PartInUse::Refuse, Approval::default(), &NOBODY).await.unwrap()
}

async fn in_use(tenant: &TenantStore, part: &str, expected: &str) -> Vec<String> {
    match delete(tenant, part, expected).await {
        DeleteOutcome::InUse(usage) => usage.named_by.into_iter().map(|user| user.key.to_string()).collect(),
        other => panic!("{part}: {other:?}"),
    }
}

async fn dependencies(tenant: &TenantStore, template: &str, pin: &Pin) -> Dependencies {
    match tenant.templates().dependencies(&key(template), pin, None).await.unwrap() {
        DependencyOutcome::Found(found) => found,
        other => panic!("{template}: {other:?}"),
    }
}

async fn set_label(tenant: &TenantStore, template: &str, label: &str, to: &str) {
    let wanted =
        LabelMove { label: &label.parse().unwrap(), version: version(to), split: None, expected: None, approval: Approval::default() };
    assert!(matches!(tenant.labels().set(&key(template), wanted, &NOBODY).await.unwrap(), LabelOutcome::Written(_)));
}

#[tokio::test]
async fn a_part_is_in_use_by_what_renders_now_or_is_going_to_and_by_nothing_else() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    any_template(tenant, "part").await;
    insert(tenant, "letter", "Letter", &made_with(&[json!("part"), json!({"key": "part", "version": "1.0.0"})])).await;
    assert_eq!(in_use(tenant, "part", "1.0.0").await, ["letter"]);
    written(save(tenant, "letter", "1.0.0", &json!({"html": "without"})).await);
    assert_eq!(users(tenant, "part", Reach::Direct).await, Vec::<String>::new());

    set_label(tenant, "letter", "prod", "1.0.0").await;
    assert_eq!(in_use(tenant, "part", "1.0.0").await, ["letter"], "a label leads to the old version");
    set_label(tenant, "letter", "prod", "1.0.1").await;
    assert_eq!(users(tenant, "part", Reach::Direct).await, Vec::<String>::new());

    let soon = domain::Clock::system().now() + SignedDuration::from_hours(1);
    let planned = tenant
        .labels()
        .schedule(&key("letter"), &"prod".parse().unwrap(), version("1.0.0"), soon, Approval::default(), &NOBODY)
        .await
        .unwrap();
    let ScheduleOutcome::Written(planned) = planned else { panic!("{planned:?}") };
    assert_eq!(in_use(tenant, "part", "1.0.0").await, ["letter"], "a label is going to lead to it");
    let _ = tenant.labels().cancel(&key("letter"), &"prod".parse().unwrap(), planned.id, &NOBODY).await.unwrap();
    assert_eq!(delete(tenant, "part", "1.0.0").await, DeleteOutcome::Deleted);
}

#[tokio::test]
async fn dependents_are_found_through_others_and_each_once() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    any_template(tenant, "brand").await;
    insert(tenant, "logo", "Logo", &json!({"theme": "brand", "html": ""})).await;
    insert(tenant, "frame", "Frame", &json!({"theme": "brand", "components": {"logo": "logo"}, "html": ""})).await;
    insert(tenant, "invoice", "Invoice", &json!({"layout": {"key": "frame", "version": "1.0.0"}, "html": ""})).await;
    insert(tenant, "thrown-away", "Thrown away", &json!({"theme": "brand", "html": ""})).await;
    throw_away(tenant, "thrown-away", "1.0.0").await;
    assert_eq!(users(tenant, "brand", Reach::Direct).await, ["1 frame", "1 logo"]);
    assert_eq!(users(tenant, "brand", Reach::Transitive).await, ["1 frame", "1 logo", "2 invoice"]);
    assert_eq!(users(tenant, "invoice", Reach::Transitive).await, Vec::<String>::new());
    assert_eq!(tenant.templates().dependents(&key("nobody"), Reach::Direct).await.unwrap(), None);
    let found = tenant.templates().dependents(&key("frame"), Reach::Direct).await.unwrap().unwrap().items.remove(0).user;
    assert_eq!(
        (found.pins, found.versions, found.uses),
        (vec![Pin::Version(version("1.0.0"))], vec![version("1.0.0")], vec![key("frame")])
    );

    // What the frame of that version is made with is in use too, also where its current version has left it.
    written(save(tenant, "frame", "1.0.0", &json!({"html": ""})).await);
    assert_eq!(in_use(tenant, "logo", "1.0.0").await, ["frame"]);
    written(save(tenant, "invoice", "1.0.0", &json!({"layout": "frame", "html": ""})).await);
    assert_eq!(delete(tenant, "logo", "1.0.0").await, DeleteOutcome::Deleted);

    // Another tenant's templates of the same keys are others.
    let other: domain::TenantId = "other".parse().unwrap();
    assert!(fixture.store.tenants().insert(&other, "Other", &NOBODY).await.unwrap());
    let other = fixture.store.tenant(other);
    assert_eq!(other.templates().dependents(&key("brand"), Reach::Transitive).await.unwrap(), None);
    any_template(&other, "frame").await;
    assert_eq!(users(&other, "frame", Reach::Transitive).await, Vec::<String>::new());
    assert_eq!(delete(&other, "frame", "1.0.0").await, DeleteOutcome::Deleted);
}

#[tokio::test]
async fn dependencies_tell_where_each_reference_leads_now() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    insert(
        tenant,
        "brand",
        "Brand",
        &json!({"kind": "theme", "theme": {"css": "p{background:url(asset:paper)}"}, "css": "p{background:url(asset:paper)}"}),
    )
    .await;
    written(save(tenant, "brand", "1.0.0", &json!({"kind": "theme", "css": ""})).await);
    set_label(tenant, "brand", "prod", "1.0.0").await;
    insert(tenant, "frame", "Frame", &json!({"theme": {"key": "brand", "label": "prod"}, "html": ""})).await;
    let node = json!({"id": "n", "type": "component", "component": {"key": "brand", "label": "@latest"}});
    let definition = json!({"theme": "brand", "layout": "frame", "components": {"gone": {"key": "brand", "version": "9.0.0"}}, "document": [node], "html": "<img src='asset:logo'>"});
    insert(tenant, "invoice", "Invoice", &definition).await;

    let found = dependencies(tenant, "invoice", &Pin::Default).await;
    assert!(!found.truncated && found.version == version("1.0.0"));
    let told: Vec<String> = found
        .templates
        .iter()
        .map(|one| {
            let led = one.found.as_ref().map(|found| found.version.map_or("no version".to_owned(), |version| version.to_string()));
            let node = one.node_id.as_deref().unwrap_or("-");
            format!(
                "{} {} {} {} @{} {} {} {node}",
                one.level,
                one.used_by.0,
                one.via.as_str(),
                one.key,
                one.pin,
                led.unwrap_or_default(),
                one.pointer
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "1 invoice theme brand @ 1.0.1 /theme -",
            "1 invoice layout frame @ 1.0.0 /layout -",
            "1 invoice component brand @9.0.0 no version /components/gone -",
            "1 invoice component brand @@latest 1.0.1 /document/0/component n",
            "2 frame theme brand @prod 1.0.0 /theme -",
        ]
    );
    let assets: Vec<String> =
        found.assets.iter().map(|one| format!("{} {} {:?}", one.used_by.0, one.name.as_ref().unwrap().stored(), one.asset_id)).collect();
    assert_eq!(assets, ["invoice logo None", "brand paper None"]);
    // The live label is what is meant where nothing is said.
    let live = "prod".parse().unwrap();
    set_label(tenant, "invoice", "prod", "1.0.0").await;
    let DependencyOutcome::Found(found) = tenant.templates().dependencies(&key("invoice"), &Pin::Default, Some(&live)).await.unwrap()
    else {
        panic!()
    };
    assert_eq!(found.templates[0].found.as_ref().unwrap().version, Some(version("1.0.0")));
    assert_eq!(found.templates[1].found.as_ref().unwrap().version, None, "the frame has not been released");
    let absent = tenant.templates().dependencies(&key("invoice"), &Pin::Version(version("7.0.0")), None).await.unwrap();
    assert_eq!(absent, DependencyOutcome::VersionNotFound);
    let absent = tenant.templates().dependencies(&key("nobody"), &Pin::Default, None).await.unwrap();
    assert_eq!(absent, DependencyOutcome::NotFound);
}

#[tokio::test]
async fn what_is_missing_is_named_and_nothing_is_saved_with_it() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    any_template(tenant, "part").await;
    let definition = made_with(&[json!("part"), json!("absent")]);
    let new = NewTemplate { key: &key("letter"), content: content("Letter", &definition), tags: &[], owner: None };
    assert_eq!(tenant.templates().insert(new, unsigned()).await.unwrap(), InsertOutcome::PartMissing { part: key("absent") });
    assert_eq!(tenant.templates().get(&key("letter")).await.unwrap(), None);
    insert(tenant, "letter", "Letter", &made_with(&[json!("part")])).await;
    written(save(tenant, "letter", "1.0.0", &json!({"html": "without"})).await);
    throw_away(tenant, "part", "1.0.0").await;
    let again = save(tenant, "letter", "1.0.1", &made_with(&[json!("part")])).await;
    assert_eq!(again, UpdateOutcome::PartMissing { part: key("part") });
    let restored = tenant.template_versions().restore(&key("letter"), version("1.0.1"), version("1.0.0"), unsigned()).await.unwrap();
    assert_eq!(restored, RestoreOutcome::PartMissing { part: key("part") });
    assert_eq!(tenant.templates().get(&key("letter")).await.unwrap().unwrap().current_version, version("1.0.1"));
    // A name that no column takes is no reason to lose a save.
    let odd = json!({"document": {"a\u{0}b": [{"id": "x\u{0}", "type": "component", "component": "letter"}]}});
    insert(tenant, "odd", "Odd", &odd).await;
    assert_eq!(users(tenant, "letter", Reach::Direct).await, ["1 odd"]);
}

#[tokio::test]
async fn what_others_use_goes_into_the_trash_by_force_and_stays_there_until_they_let_go() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let force = async |template: &str| {
        let who = by("ann");
        tenant.templates().delete(&key(template), version("1.0.0"), PartInUse::Override, Approval::default(), &who).await.unwrap()
    };
    let used_by = |outcome: TrashOutcome<()>| match outcome {
        TrashOutcome::InUse(usage) => usage.named_by.into_iter().map(|user| user.key).collect::<Vec<TemplateKey>>(),
        other => panic!("{other:?}"),
    };
    any_template(tenant, "part").await;
    any_template(tenant, "unused").await;
    insert(tenant, "letter", "Letter", &made_with(&[json!("part")])).await;
    assert_eq!(force("part").await, DeleteOutcome::Deleted);
    throw_away(tenant, "unused", "1.0.0").await;
    assert_eq!(used_by(tenant.templates().purge(&key("part"), &NOBODY).await.unwrap()), [key("letter")]);
    assert_eq!(users(tenant, "part", Reach::Direct).await, ["1 letter"], "one can see what it broke");
    // Nobody's duty removes it either, however old it is.
    let later = domain::Clock::system().now() + SignedDuration::from_hours(24);
    assert_eq!(tenant.templates().purge_deleted_before(later, 10, &NOBODY).await.unwrap(), 1);
    assert_eq!(tenant.templates().purge_deleted_before(later, 10, &NOBODY).await.unwrap(), 0);
    assert!(matches!(tenant.templates().undelete(&key("part"), &NOBODY).await.unwrap(), TrashOutcome::Done(_)));

    // One that has the key by now is the one that is used, and the old one may go.
    assert_eq!(force("part").await, DeleteOutcome::Deleted);
    any_template(tenant, "part").await;
    assert_eq!(tenant.templates().purge(&key("part"), &NOBODY).await.unwrap(), TrashOutcome::Done(()));
    assert_eq!(in_use(tenant, "part", "1.0.0").await, ["letter"]);
    written(save(tenant, "letter", "1.0.0", &json!({"html": "without"})).await);
    throw_away(tenant, "part", "1.0.0").await;
    assert_eq!(tenant.templates().purge_deleted_before(later, 10, &NOBODY).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_one_who_begins_to_use_a_part_and_one_who_takes_it_away_one_is_told() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let (mut saved, mut gone) = (0, 0);
    for round in 0..40 {
        let (part, letter, sheet) = (format!("part-{round}"), format!("letter-{round}"), format!("sheet-{round}"));
        any_template(tenant, &part).await;
        any_template(tenant, &letter).await;
        let (definition, key_of_sheet) = (made_with(&[json!(part)]), key(&sheet));
        let insert = async {
            // So that in one half of the rounds this begins first, in the other half that.
            tokio::time::sleep(Duration::from_micros(300 * (round % 4))).await;
            let new = NewTemplate { key: &key_of_sheet, content: content("Sheet", &definition), tags: &[], owner: None };
            tenant.templates().insert(new, unsigned()).await.unwrap()
        };
        let take_away = async {
            let deleted = delete(tenant, &part, "1.0.0").await;
            if deleted == DeleteOutcome::Deleted {
                assert_eq!(tenant.templates().purge(&key(&part), &NOBODY).await.unwrap(), TrashOutcome::Done(()));
            }
            deleted
        };
        let (update, insert, deleted) = tokio::join!(save(tenant, &letter, "1.0.0", &definition), insert, take_away);
        let uses = usize::from(matches!(update, UpdateOutcome::Written(_))) + usize::from(matches!(insert, InsertOutcome::Written(_)));
        match deleted {
            DeleteOutcome::Deleted => assert_eq!(uses, 0, "round {round}: {update:?} {insert:?}"),
            DeleteOutcome::InUse(_) => assert!(uses > 0, "round {round}"),
            other => panic!("round {round}: {other:?}"),
        }
        saved += usize::from(uses > 0);
        gone += usize::from(uses == 0);
        let live = tenant.templates().get(&key(&part)).await.unwrap().is_some();
        assert_eq!(live, uses > 0, "round {round}");
    }
    assert!(saved > 0 && gone > 0, "the race had only one winner: {saved} saved, {gone} gone");
}
