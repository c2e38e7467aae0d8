//! The trash: what is deleted comes back whole, or goes for good.

use domain::{Clock, TenantId};
use jiff::SignedDuration;
use serde_json::json;
use store::{SortOrder, TemplateFilter, TemplateSort, TemplateState, TenantStore, TrashOutcome};

use crate::fixture::{Fixture, NOBODY, any_template, by, insert, key, save, throw_away_as, version, written};

async fn throw_away(tenant: &TenantStore, template: &str, current: &str) {
    throw_away_as(tenant, template, current, &by("ann")).await;
}

fn trash() -> TemplateFilter {
    TemplateFilter {
        state: TemplateState::Deleted,
        sort: TemplateSort::DeletedAt,
        order: SortOrder::Descending,
        ..TemplateFilter::default()
    }
}

async fn names(tenant: &TenantStore, filter: &TemplateFilter) -> Vec<String> {
    tenant.templates().list(filter).await.unwrap().items.into_iter().map(|item| item.name).collect()
}

#[tokio::test]
async fn what_comes_back_has_all_its_versions_and_of_several_with_one_key_the_last_comes_first() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    insert(tenant, "letter", "First", &json!({"html": "first"})).await;
    throw_away(tenant, "letter", "1.0.0").await;
    insert(tenant, "letter", "Second", &json!({"html": "second"})).await;
    written(save(tenant, "letter", "1.0.0", &json!({"html": "changed"})).await);
    throw_away(tenant, "letter", "1.0.1").await;

    let page = tenant.templates().list(&trash()).await.unwrap();
    let deleted: Vec<_> =
        page.items.iter().map(|item| (item.name.as_str(), item.deleted_by.as_deref(), item.deleted_at.is_some())).collect();
    assert_eq!(deleted, [("letter", Some("ann"), true), ("First", Some("ann"), true)]);
    assert!(names(tenant, &TemplateFilter::default()).await.is_empty());

    let TrashOutcome::Done(back) = tenant.templates().undelete(&key("letter"), &NOBODY).await.unwrap() else { panic!() };
    assert_eq!((back.current_version, back.deleted_at, back.deleted_by), (version("1.0.1"), None, None));
    assert_eq!(tenant.template_versions().list(&key("letter"), 10, 0).await.unwrap().unwrap().total, 2);
    assert_eq!(tenant.templates().undelete(&key("letter"), &NOBODY).await.unwrap(), TrashOutcome::KeyTaken, "the first is still there");
    assert_eq!(names(tenant, &trash()).await, ["First"]);
    any_template(tenant, "other").await;
    assert_eq!(tenant.templates().undelete(&key("other"), &NOBODY).await.unwrap(), TrashOutcome::NotInTrash);
    assert_eq!(tenant.templates().undelete(&key("absent"), &NOBODY).await.unwrap(), TrashOutcome::NotFound);
}

#[tokio::test]
async fn only_what_is_in_the_trash_goes_for_good_and_everything_of_it_does() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    any_template(tenant, "letter").await;
    written(save(tenant, "letter", "1.0.0", &json!({"html": "changed"})).await);
    assert_eq!(tenant.templates().purge(&key("letter"), &NOBODY).await.unwrap(), TrashOutcome::NotInTrash);
    throw_away(tenant, "letter", "1.0.1").await;
    any_template(tenant, "letter").await;
    assert_eq!(tenant.templates().purge(&key("letter"), &NOBODY).await.unwrap(), TrashOutcome::Done(()), "the one in the trash");
    let left = "SELECT (SELECT count(*) FROM templates), (SELECT count(*) FROM template_versions)";
    assert_eq!(fixture.database.query(left).await, "1|1");
    assert_eq!(tenant.templates().purge(&key("absent"), &NOBODY).await.unwrap(), TrashOutcome::NotFound);
}

#[tokio::test]
async fn a_template_comes_back_or_goes_for_good_when_both_are_asked_for_at_once() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let other = fixture.replica().await.tenant(TenantId::default_tenant());
    for _ in 0..10 {
        any_template(tenant, "letter").await;
        throw_away(tenant, "letter", "1.0.0").await;
        let letter = key("letter");
        let (ours, theirs) = (tenant.templates(), other.templates());
        let (one, two) = tokio::join!(ours.undelete(&letter, &NOBODY), theirs.purge(&letter, &NOBODY));
        let (one, two) = (one.unwrap(), two.unwrap());
        assert!(matches!(one, TrashOutcome::Done(_)) != matches!(two, TrashOutcome::Done(())), "{one:?} {two:?}");
        if matches!(one, TrashOutcome::Done(_)) {
            throw_away(tenant, "letter", "1.0.0").await;
            let _ = tenant.templates().purge(&letter, &NOBODY).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_key_that_is_taken_while_its_template_comes_back_is_a_conflict() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    any_template(tenant, "letter").await;
    throw_away(tenant, "letter", "1.0.0").await;
    any_template(tenant, "letter").await;
    assert_eq!(tenant.templates().undelete(&key("letter"), &NOBODY).await.unwrap(), TrashOutcome::KeyTaken);
}

#[tokio::test]
async fn the_oldest_of_the_trash_goes_in_batches_each_with_its_event() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    for (template, days) in [("a", 40), ("b", 35), ("c", 31), ("d", 29)] {
        any_template(tenant, template).await;
        throw_away(tenant, template, "1.0.0").await;
        let age = format!("UPDATE templates SET deleted_at = now() - interval '{days} days' WHERE template_key = '{template}'");
        fixture.database.query(&age).await;
    }
    let cut_off = Clock::system().now() - SignedDuration::from_hours(720);
    assert_eq!(fixture.store.tenants_with_trash_before(cut_off).await.unwrap(), [TenantId::default_tenant()]);
    let purge = async || tenant.templates().purge_deleted_before(cut_off, 2, &NOBODY).await.unwrap();
    assert_eq!([purge().await, purge().await, purge().await], [2, 1, 0]);
    assert_eq!(names(tenant, &trash()).await, ["d"]);
    let told = fixture
        .database
        .query("SELECT string_agg(resource_id, ' ' ORDER BY resource_id) FROM audit_events WHERE event = 'template.purged'");
    assert_eq!(told.await, "a b c");
    assert!(fixture.store.tenants_with_trash_before(cut_off).await.unwrap().is_empty());
    assert_eq!(fixture.store.verify_audit_chain(tenant.tenant_id()).await.unwrap().breaks, [""; 0]);
}

#[tokio::test]
async fn pages_of_the_trash_in_every_order_show_each_template_once() {
    let fixture = Fixture::new().await;
    for number in 0..17 {
        insert(&fixture.tenant, "same", &format!("n{number:02}"), &json!({})).await;
        throw_away(&fixture.tenant, "same", "1.0.0").await;
    }
    fixture.database.query("UPDATE templates SET created_at = now(), updated_at = now(), deleted_at = now()").await;
    for sort in [TemplateSort::Key, TemplateSort::Name, TemplateSort::CreatedAt, TemplateSort::UpdatedAt, TemplateSort::DeletedAt] {
        for order in [SortOrder::Ascending, SortOrder::Descending] {
            let mut seen = Vec::new();
            for offset in (0..20).step_by(5) {
                let page = fixture.tenant.templates().list(&TemplateFilter { sort, order, limit: 5, offset, ..trash() }).await.unwrap();
                assert_eq!(page.total, 17, "{sort:?} {order:?} at {offset}");
                seen.extend(page.items.into_iter().map(|item| item.template_id));
            }
            let all = fixture.tenant.templates().list(&TemplateFilter { sort, order, limit: 100, ..trash() }).await.unwrap();
            assert_eq!(seen, all.items.iter().map(|item| item.template_id).collect::<Vec<_>>(), "{sort:?} {order:?}");
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), 17, "{sort:?} {order:?}");
        }
    }
}
