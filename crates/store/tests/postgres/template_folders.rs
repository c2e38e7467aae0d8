//! Folders of templates: a tree that stays one whoever changes it, and what lies in it.

use domain::TemplateSelector;
use domain::ids::FolderId;
use domain::template_folders::FolderName;
use store::{
    FolderFilter, FolderOutcome, FolderPatch, FolderPlace, FolderReach, FolderRecord, MetaOutcome, MetaPatch, Owner, TemplateFilter,
    TenantStore, TrashOutcome,
};

use crate::fixture::{Fixture, NOBODY, any_template, key, throw_away};

fn named(text: &str) -> FolderName {
    text.parse().unwrap()
}

async fn try_make(tenant: &TenantStore, name: &str, place: FolderPlace) -> FolderOutcome {
    tenant.template_folders().insert(&named(name), place, &NOBODY).await.unwrap()
}

async fn make(tenant: &TenantStore, name: &str, place: FolderPlace) -> FolderId {
    match try_make(tenant, name, place).await {
        FolderOutcome::Written(folder) => folder.id,
        other => panic!("{name}: {other:?}"),
    }
}

async fn move_to(tenant: &TenantStore, folder: FolderId, place: FolderPlace) -> FolderOutcome {
    let patch = FolderPatch { parent: Some(place), ..FolderPatch::default() };
    tenant.template_folders().update(folder, &patch, &NOBODY).await.unwrap()
}

async fn rename(tenant: &TenantStore, folder: FolderId, name: &str) -> FolderOutcome {
    let patch = FolderPatch { name: Some(named(name)), ..FolderPatch::default() };
    tenant.template_folders().update(folder, &patch, &NOBODY).await.unwrap()
}

async fn put_into(tenant: &TenantStore, template: &str, place: FolderPlace) -> MetaOutcome {
    let patch = MetaPatch { folder: Some(place), ..MetaPatch::default() };
    tenant.templates().set_meta(&key(template), &patch, None, &NOBODY).await.unwrap()
}

async fn paths(tenant: &TenantStore) -> Vec<String> {
    let page = tenant.template_folders().list(None, 1_000, 0).await.unwrap();
    page.items.into_iter().map(|folder| folder.path).collect()
}

async fn found(tenant: &TenantStore, folder: FolderFilter) -> Vec<String> {
    let filter = TemplateFilter { folder: Some(folder), ..TemplateFilter::default() };
    tenant.templates().list(&filter).await.unwrap().items.iter().map(|item| item.key.to_string()).collect()
}

fn folder_of(outcome: FolderOutcome) -> FolderRecord {
    match outcome {
        FolderOutcome::Written(folder) => folder,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_folder_takes_what_lies_in_it_along() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let finance = make(tenant, "Finance", FolderPlace::Top).await;
    let bills = make(tenant, "Bills", FolderPlace::In(finance)).await;
    make(tenant, "2026", FolderPlace::In(bills)).await;
    // Its path only begins alike.
    make(tenant, "Finance old", FolderPlace::Top).await;
    let sales = make(tenant, "Sales", FolderPlace::Top).await;
    assert_eq!(folder_of(rename(tenant, finance, "Größe").await).path, "/Größe");
    assert_eq!(paths(tenant).await, ["/Finance old", "/Größe", "/Größe/Bills", "/Größe/Bills/2026", "/Sales"]);
    assert_eq!(folder_of(move_to(tenant, bills, FolderPlace::In(sales)).await).path, "/Sales/Bills");
    assert_eq!(paths(tenant).await, ["/Finance old", "/Größe", "/Sales", "/Sales/Bills", "/Sales/Bills/2026"]);
    assert_eq!(folder_of(move_to(tenant, bills, FolderPlace::Top).await).parent_id, None);
    assert_eq!(folder_of(rename(tenant, bills, "BILLS").await).path, "/BILLS", "the case alone can change");
    assert_eq!(paths(tenant).await[..2], ["/BILLS", "/BILLS/2026"]);
}

#[tokio::test]
async fn names_beside_each_other_differ_in_more_than_case_and_folders_are_not_too_deep() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let first = make(tenant, "Über", FolderPlace::Top).await;
    assert_eq!(try_make(tenant, "über", FolderPlace::Top).await, FolderOutcome::Exists);
    let inner = make(tenant, "über", FolderPlace::In(first)).await;
    assert_eq!(move_to(tenant, inner, FolderPlace::Top).await, FolderOutcome::Exists);
    let other = make(tenant, "Other", FolderPlace::Top).await;
    assert_eq!(rename(tenant, other, "ÜBER").await, FolderOutcome::Exists);

    let mut deepest = other;
    for depth in 2..=10 {
        deepest = make(tenant, &format!("d{depth}"), FolderPlace::In(deepest)).await;
    }
    assert_eq!(try_make(tenant, "d11", FolderPlace::In(deepest)).await, FolderOutcome::TooDeep);
    // With what lies in it, it would be deeper than ten.
    assert_eq!(move_to(tenant, other, FolderPlace::In(first)).await, FolderOutcome::TooDeep);
    let nobodys = FolderId::generate();
    assert_eq!(try_make(tenant, "x", FolderPlace::In(nobodys)).await, FolderOutcome::ParentNotFound);
    assert_eq!(move_to(tenant, other, FolderPlace::In(nobodys)).await, FolderOutcome::ParentNotFound);
    assert_eq!(rename(tenant, nobodys, "x").await, FolderOutcome::NotFound);
}

#[tokio::test]
async fn a_tenant_has_two_thousand_folders_at_most() {
    let fixture = Fixture::new().await;
    let seed = "INSERT INTO template_folders
                    (folder_id, tenant_id, name, folded_name, path, folded_path, depth, created_at, updated_at)
                SELECT gen_random_uuid(), 'default', 'f' || n, 'f' || n, '/f' || n, '/f' || n, 1, now(), now()
                FROM generate_series(1, 1999) n";
    fixture.database.query(seed).await;
    make(&fixture.tenant, "last", FolderPlace::Top).await;
    assert_eq!(try_make(&fixture.tenant, "one more", FolderPlace::Top).await, FolderOutcome::TooMany);
}

#[tokio::test]
async fn of_two_moves_that_would_make_a_cycle_together_one_is_refused() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let (a, b) = (make(tenant, "a", FolderPlace::Top).await, make(tenant, "b", FolderPlace::Top).await);
    assert_eq!(move_to(tenant, a, FolderPlace::In(a)).await, FolderOutcome::Cycle);
    let other = fixture.replica().await.tenant(tenant.tenant_id().clone());
    for round in 0..10 {
        let (one, two) = tokio::join!(move_to(tenant, a, FolderPlace::In(b)), move_to(&other, b, FolderPlace::In(a)));
        let outcomes = [&one, &two];
        assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, FolderOutcome::Written(_))).count(), 1, "{round}: {outcomes:?}");
        assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, FolderOutcome::Cycle)).count(), 1, "{round}: {outcomes:?}");
        for folder in [a, b] {
            folder_of(move_to(tenant, folder, FolderPlace::Top).await);
        }
    }
}

#[tokio::test]
async fn of_two_folders_of_one_name_made_at_once_one_is_refused() {
    let fixture = Fixture::new().await;
    let other = fixture.replica().await.tenant(fixture.tenant.tenant_id().clone());
    let (one, two) = tokio::join!(try_make(&fixture.tenant, "same", FolderPlace::Top), try_make(&other, "SAME", FolderPlace::Top));
    let outcomes = [&one, &two];
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, FolderOutcome::Exists)).count(), 1, "{outcomes:?}");
}

#[tokio::test]
async fn a_folder_goes_only_when_nothing_lies_in_it_but_what_is_in_the_trash() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let outer = make(tenant, "outer", FolderPlace::Top).await;
    let inner = make(tenant, "inner", FolderPlace::In(outer)).await;
    any_template(tenant, "letter").await;
    let MetaOutcome::Written(there) = put_into(tenant, "letter", FolderPlace::In(inner)).await else { panic!() };
    assert_eq!((there.folder_id, there.folder_path.as_deref()), (Some(inner), Some("/outer/inner")));
    let delete = async |folder| tenant.template_folders().delete(folder, &NOBODY).await.unwrap();
    assert_eq!(delete(outer).await, FolderOutcome::NotEmpty);
    assert_eq!(delete(inner).await, FolderOutcome::NotEmpty);
    throw_away(tenant, "letter", "1.0.0").await;
    assert_eq!(delete(inner).await, FolderOutcome::Written(()));
    assert_eq!(delete(inner).await, FolderOutcome::NotFound);
    let TrashOutcome::Done(back) = tenant.templates().undelete(&key("letter"), &NOBODY).await.unwrap() else { panic!() };
    assert_eq!((back.folder_id, back.folder_path), (None, None), "its folder is gone: it is at the top");
    assert_eq!(put_into(tenant, "letter", FolderPlace::In(inner)).await, MetaOutcome::FolderNotFound);
}

#[tokio::test]
async fn a_list_shows_what_lies_in_a_folder_by_id_and_by_path_and_within_it() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let outer = make(tenant, "Outer", FolderPlace::Top).await;
    let inner = make(tenant, "Inner", FolderPlace::In(outer)).await;
    make(tenant, "Outer2", FolderPlace::Top).await;
    for (template, place) in [("a", FolderPlace::Top), ("b", FolderPlace::In(outer)), ("c", FolderPlace::In(inner))] {
        any_template(tenant, template).await;
        let _ = put_into(tenant, template, place).await;
    }
    let (itself, within) = (FolderReach::Itself, FolderReach::AllWithin);
    let path = |text: &str, reach| FolderFilter::Path(text.parse().unwrap(), reach);
    for (filter, expected) in [
        (FolderFilter::Id(outer, itself), vec!["b"]),
        (FolderFilter::Id(outer, within), vec!["b", "c"]),
        (path("/outer/INNER", itself), vec!["c"]),
        (path("/Outer", within), vec!["b", "c"]),
        (path("/", itself), vec!["a"]),
        (path("/", within), vec!["a", "b", "c"]),
        (path("/nowhere", within), vec![]),
        (FolderFilter::Id(FolderId::generate(), within), vec![]),
    ] {
        assert_eq!(found(tenant, filter.clone()).await, expected, "{filter:?}");
    }
    let counts = tenant.template_folders().list(None, 10, 0).await.unwrap();
    let counts: Vec<_> = counts.items.iter().map(|folder| (folder.path.as_str(), folder.template_count)).collect();
    assert_eq!(counts, [("/Outer", 1), ("/Outer/Inner", 1), ("/Outer2", 0)]);
}

#[tokio::test]
async fn whoever_reaches_some_templates_sees_the_folders_on_the_way_to_them_and_their_tags() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let open = make(tenant, "open", FolderPlace::Top).await;
    let inner = make(tenant, "inner", FolderPlace::In(open)).await;
    let secret = make(tenant, "secret", FolderPlace::Top).await;
    for (template, folder, tag) in [("mine-1", inner, "mine"), ("theirs", inner, "theirs"), ("theirs-2", secret, "theirs")] {
        any_template(tenant, template).await;
        let patch = MetaPatch { folder: Some(FolderPlace::In(folder)), tags: Some(vec![tag.to_owned()]), owner: None };
        let _ = tenant.templates().set_meta(&key(template), &patch, None, &NOBODY).await.unwrap();
    }
    let reached: [TemplateSelector; 1] = ["mine-*".parse().unwrap()];
    let page = tenant.template_folders().list(Some(&reached), 10, 0).await.unwrap();
    let seen: Vec<_> = page.items.iter().map(|folder| (folder.path.as_str(), folder.template_count)).collect();
    assert_eq!((seen, page.total), (vec![("/open", 0), ("/open/inner", 1)], 2));
    let tags = tenant.templates().tags(None, Some(&reached), 10, 0).await.unwrap();
    assert_eq!(tags.items.iter().map(|tag| (tag.tag.as_str(), tag.templates)).collect::<Vec<_>>(), [("mine", 1)]);
}

#[tokio::test]
async fn a_change_of_meta_leaves_what_it_does_not_name_and_makes_no_version() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let folder = make(tenant, "folder", FolderPlace::Top).await;
    let before = any_template(tenant, "letter").await;
    let set = async |patch: MetaPatch| match tenant.templates().set_meta(&key("letter"), &patch, None, &NOBODY).await.unwrap() {
        MetaOutcome::Written(now) => *now,
        other => panic!("{other:?}"),
    };
    set(MetaPatch { folder: Some(FolderPlace::In(folder)), ..MetaPatch::default() }).await;
    set(MetaPatch { tags: Some(vec!["a".to_owned(), "b".to_owned()]), ..MetaPatch::default() }).await;
    let now = set(MetaPatch { owner: Some(Owner::Named("ann".to_owned())), ..MetaPatch::default() }).await;
    assert_eq!((now.folder_id, now.tags.len(), now.owner.as_deref()), (Some(folder), 2, Some("ann")));
    assert_eq!((now.current_version, now.updated_at), (before.current_version, before.updated_at));
    let none = MetaPatch { folder: Some(FolderPlace::Top), tags: Some(Vec::new()), owner: Some(Owner::Nobody) };
    let now = set(none.clone()).await;
    assert_eq!((now.folder_id, now.tags.len(), now.owner), (None, 0, None));
    assert_eq!(tenant.templates().set_meta(&key("absent"), &none, None, &NOBODY).await.unwrap(), MetaOutcome::NotFound);
}

#[tokio::test]
async fn tags_in_use_are_counted_found_and_paged() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    for (template, tags) in [("a", vec!["eu", "finance"]), ("b", vec!["eu"]), ("c", vec!["100%"]), ("gone", vec!["old"])] {
        any_template(tenant, template).await;
        let patch = MetaPatch { tags: Some(tags.into_iter().map(str::to_owned).collect()), ..MetaPatch::default() };
        let _ = tenant.templates().set_meta(&key(template), &patch, None, &NOBODY).await.unwrap();
    }
    throw_away(tenant, "gone", "1.0.0").await;
    let tags = async |q: Option<&str>, limit, offset| {
        let page = tenant.templates().tags(q, None, limit, offset).await.unwrap();
        (page.items.into_iter().map(|tag| format!("{} {}", tag.tag, tag.templates)).collect::<Vec<_>>(), page.total)
    };
    assert_eq!(tags(None, 10, 0).await, (vec!["100% 1".to_owned(), "eu 2".to_owned(), "finance 1".to_owned()], 3));
    assert_eq!(tags(None, 1, 1).await, (vec!["eu 2".to_owned()], 3));
    assert_eq!(tags(None, 10, 50).await, (vec![], 3));
    assert_eq!(tags(Some("NAN"), 10, 0).await, (vec!["finance 1".to_owned()], 1));
    assert_eq!(tags(Some("%"), 10, 0).await, (vec!["100% 1".to_owned()], 1));
    assert_eq!(tags(Some("zz"), 10, 0).await, (vec![], 0));
}
