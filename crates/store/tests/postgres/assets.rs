//! Assets: versions that two people add at once, room that is counted once, who names what, and pages of ten thousand.

use std::time::{Duration, Instant};

use domain::assets::{AssetContent, AssetFile, AssetKind, AssetName};
use domain::ids::AssetId;
use domain::{Quotas, TenantId};
use serde_json::json;
use store::{
    AssetFilter, AssetInUse, AssetOutcome, AssetPatch, AssetRecord, AssetSort, LabelMove, NewAsset, SortOrder, Subfolders, TenantStore,
};

use crate::fixture::{Fixture, NOBODY, insert, key, save, throw_away, written};

/// A picture of so many bytes whose content is `content`.
fn picture(name: &str, content: u8, size_bytes: u64) -> AssetContent {
    AssetContent {
        kind: AssetKind::Image,
        original_name: name.to_owned(),
        mime_type: "image/png".to_owned(),
        size_bytes,
        hash: [content; 32].into(),
        size_px: Some((1, 1)),
        font: None,
        svg_sanitized: false,
    }
}

async fn try_put(tenant: &TenantStore, content: &AssetContent) -> AssetOutcome {
    tenant.assets().insert(NewAsset { content, alt_text: None, tags: &[], folder: None }, &NOBODY).await.unwrap()
}

async fn put(tenant: &TenantStore, name: &str, content: u8) -> AssetRecord {
    match try_put(tenant, &picture(name, content, 100)).await {
        AssetOutcome::Written(made) => made,
        other => panic!("not written: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_replace_the_same_version_one_is_told() {
    let fixture = Fixture::new().await;
    let asset = put(&fixture.tenant, "logo.png", 1).await;
    let versions = fixture.tenant.asset_versions();
    let (second, third) = (picture("a.png", 2, 5), picture("b.png", 3, 5));
    let both =
        tokio::join!(versions.insert(asset.asset_id, Some(1), &second, &NOBODY), versions.insert(asset.asset_id, Some(1), &third, &NOBODY));
    let outcomes = [both.0.unwrap(), both.1.unwrap()];
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, AssetOutcome::Written(_))).count(), 1, "{outcomes:?}");
    assert!(outcomes.contains(&AssetOutcome::Stale { current: 2 }), "{outcomes:?}");
    // Without a condition nobody is refused, and nothing is lost.
    assert!(
        matches!(versions.insert(asset.asset_id, None, &third, &NOBODY).await.unwrap(), AssetOutcome::Written(now) if now.version == 3)
    );
    assert_eq!(versions.list(asset.asset_id, 10, 0).await.unwrap().unwrap().total, 3);
    assert!(
        matches!(versions.restore(asset.asset_id, None, 1, &NOBODY).await.unwrap(), AssetOutcome::Written(now) if now.version == 4 && now.content_hash == asset.content_hash)
    );
    assert_eq!(versions.restore(asset.asset_id, None, 9, &NOBODY).await.unwrap(), AssetOutcome::VersionNotFound);
    assert_eq!(versions.restore(AssetId::generate(), None, 1, &NOBODY).await.unwrap(), AssetOutcome::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_one_name_uploaded_at_once_all_find_a_slug() {
    let fixture = Fixture::new().await;
    let contents: Vec<AssetContent> = (0..12).map(|number| picture("Image.PNG", number, 1)).collect();
    let uploads = contents.iter().map(|content| async {
        let tenant = fixture.store.tenant(TenantId::default_tenant());
        match try_put(&tenant, content).await {
            AssetOutcome::Written(made) => made.slug.to_string(),
            other => panic!("not written: {other:?}"),
        }
    });
    let mut slugs = futures_util::future::join_all(uploads).await;
    slugs.sort();
    slugs.dedup();
    assert_eq!(slugs.len(), 12, "{slugs:?}");
    assert!(slugs.iter().any(|slug| slug == "image") && slugs.iter().any(|slug| slug == "image-2"), "{slugs:?}");
    let first = fixture.tenant.assets().resolve(&["image".parse().unwrap()]).await.unwrap()[0].clone().unwrap();
    let patch = AssetPatch { slug: Some("image-2".parse().unwrap()), ..AssetPatch::default() };
    let taken = fixture.tenant.assets().update(first.asset_id, None, patch, AssetInUse::Override, &NOBODY).await.unwrap();
    assert_eq!(taken, AssetOutcome::SlugTaken);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_content_takes_room_once_and_the_last_room_goes_to_one() {
    let fixture = Fixture::new().await;
    let quotas = Quotas { storage_bytes: Some(100), ..Quotas::default() };
    let tenant = &fixture.tenant;
    fixture.store.tenants().update(tenant.tenant_id(), None, Some(quotas), &NOBODY).await.unwrap();
    let first = try_put(tenant, &picture("a.png", 1, 60)).await;
    let AssetOutcome::Written(first) = first else { panic!("{first:?}") };
    // The same bytes again, and an old version of them, take none.
    assert!(matches!(try_put(tenant, &picture("b.png", 1, 60)).await, AssetOutcome::Written(_)));
    assert!(matches!(tenant.asset_versions().restore(first.asset_id, None, 1, &NOBODY).await.unwrap(), AssetOutcome::Written(_)));
    assert_eq!(tenant.asset_versions().stored_bytes().await.unwrap(), 60);
    let contents = [picture("c.png", 2, 40), picture("d.png", 3, 40)];
    let both = tokio::join!(try_put(tenant, &contents[0]), try_put(tenant, &contents[1]));
    let full = [both.0, both.1].into_iter().find_map(|outcome| match outcome {
        AssetOutcome::OverQuota(standing) => Some(standing),
        _ => None,
    });
    let full = full.expect("one of them is refused");
    assert_eq!((full.limit, full.used, full.remaining, full.dimension.as_str()), (100, 100, 0, "storage_bytes"));
    assert_eq!(tenant.asset_versions().stored_bytes().await.unwrap(), 100);
    assert_eq!(tenant.assets().list(&AssetFilter::default()).await.unwrap().total, 3, "the refused one left no row");
}

#[tokio::test]
async fn an_asset_is_in_use_by_what_renders_and_by_nothing_else() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let asset = put(tenant, "logo.png", 1).await;
    let users = async || {
        let usage = tenant.assets().usage(asset.asset_id).await.unwrap().unwrap();
        (usage.named_by.iter().map(|user| user.key.to_string()).collect::<Vec<_>>(), usage.dynamic.len())
    };
    assert_eq!(users().await, (vec![], 0));
    let file = AssetFile::new(asset.asset_id, asset.content_hash, "image/png");
    insert(tenant, "by-slug", "A", &json!({"html": "<img src='asset:logo'>"})).await;
    insert(tenant, "by-id", "B", &json!({"html": "x", "css": format!("p{{background:url(asset:{})}}", asset.asset_id)})).await;
    insert(
        tenant,
        "by-file",
        "C",
        &json!({"document": {"type": "document", "id": "r", "children": [{"type": "image", "id": "i", "src": format!("/assets/{file}")}]}}),
    )
    .await;
    insert(tenant, "dynamic", "D", &json!({"html": "<img src='{{logo}}'>"})).await;
    insert(tenant, "text", "E", &json!({"html": "<p>asset:logo</p>"})).await;
    assert_eq!(users().await, (vec!["by-file".to_owned(), "by-id".to_owned(), "by-slug".to_owned()], 1));
    let usage = tenant.assets().usage(asset.asset_id).await.unwrap().unwrap();
    assert_eq!(
        (usage.named_by[0].via.as_slice(), usage.named_by[0].node_ids.as_slice()),
        (["image".to_owned()].as_slice(), ["i".to_owned()].as_slice())
    );

    // A version that is no longer current counts only while a label leads to it; a template in the trash does not.
    written(save(tenant, "by-slug", "1.0.0", &json!({"html": "nothing"})).await);
    written(save(tenant, "by-id", "1.0.0", &json!({"html": "nothing"})).await);
    let label = "prod".parse().unwrap();
    let prod =
        LabelMove { label: &label, version: "1.0.0".parse().unwrap(), split: None, expected: None, approval: store::Approval::default() };
    let _ = tenant.labels().set(&key("by-id"), prod, &NOBODY).await.unwrap();
    throw_away(tenant, "by-file", "1.0.0").await;
    assert_eq!(users().await.0, ["by-id"]);
    assert_eq!(tenant.assets().usage_counts(std::slice::from_ref(&asset)).await.unwrap(), [1]);
    assert!(
        matches!(tenant.assets().delete(asset.asset_id, None, AssetInUse::Refuse, &NOBODY).await.unwrap(), AssetOutcome::InUse(usage) if usage.total == 1)
    );
    // A version that a label is going to lead to counts before it does, and an old one that another template asks for by its number.
    written(save(tenant, "by-slug", "1.0.1", &json!({"html": "nothing"})).await);
    let soon = domain::Clock::system().now() + jiff::SignedDuration::from_hours(1);
    let (by_slug, approval) = (key("by-slug"), store::Approval::default());
    let planned = tenant.labels().schedule(&by_slug, &label, "1.0.0".parse().unwrap(), soon, approval, &NOBODY).await.unwrap();
    let store::ScheduleOutcome::Written(planned) = planned else { panic!("{planned:?}") };
    assert_eq!(users().await.0, ["by-id", "by-slug"]);
    let _ = tenant.labels().cancel(&by_slug, &label, planned.id, &NOBODY).await.unwrap();
    assert_eq!(users().await.0, ["by-id"]);
    insert(tenant, "frame-user", "F", &json!({"layout": {"key": "by-slug", "version": "1.0.0"}})).await;
    assert_eq!(users().await.0, ["by-id", "by-slug"]);
    written(save(tenant, "frame-user", "1.0.0", &json!({"layout": "by-slug"})).await);
    assert_eq!(users().await.0, ["by-id"]);
    // Nothing names it by its slug any more.
    let patch = AssetPatch { slug: Some("mark".parse().unwrap()), ..AssetPatch::default() };
    assert!(matches!(
        tenant.assets().update(asset.asset_id, None, patch, AssetInUse::Refuse, &NOBODY).await.unwrap(),
        AssetOutcome::Written(_)
    ));
    assert_eq!(tenant.assets().delete(asset.asset_id, None, AssetInUse::Override, &NOBODY).await.unwrap(), AssetOutcome::Written(()));
    assert_eq!(tenant.assets().resolve(&[AssetName::Id(asset.asset_id), AssetName::File(file)]).await.unwrap(), [None, None]);
}

const SEED: &str = "
    INSERT INTO tenants (tenant_id, name) VALUES ('big', 'Big'), ('small', 'Small');
    SET CONSTRAINTS ALL DEFERRED;
    INSERT INTO assets (asset_id, tenant_id, slug, tags, folder, current_version, kind, original_name, mime_type, size_bytes, content_hash,
                        svg_sanitized, created_at, updated_at)
    SELECT md5(tenant || n)::uuid, tenant, 'asset-' || n, ARRAY['tag-' || n % 7], 'folder-' || n % 10 || '/in', 1,
           CASE WHEN n % 20 = 0 THEN 'font' ELSE 'image' END, 'Name ' || n % 977 || '.png', 'image/png', n % 5000, sha256(n::text::bytea), false,
           now() - n % 977 * interval '1 s', now() - n * interval '1 s'
    FROM (SELECT 'big' AS tenant, generate_series(1, 10000) AS n UNION ALL SELECT 'small', generate_series(1, 100)) AS seed;
    INSERT INTO asset_versions (asset_id, tenant_id, version, kind, original_name, mime_type, size_bytes, content_hash, font, svg_sanitized, created_at)
    SELECT asset_id, tenant_id, 1, kind, original_name, mime_type, size_bytes, content_hash, CASE WHEN kind = 'font' THEN '{}'::json END, false, created_at
    FROM assets;";

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_ten_thousand_assets_tile_the_list_and_cost_the_same_everywhere() {
    let fixture = Fixture::new().await;
    fixture.database.query(SEED).await;
    fixture.database.query("VACUUM ANALYZE assets, asset_versions").await;
    let tenant = fixture.store.tenant("big".parse().unwrap());
    let page = async |filter: AssetFilter| tenant.assets().list(&filter).await.unwrap();
    for sort in [AssetSort::CreatedAt, AssetSort::UpdatedAt, AssetSort::Name, AssetSort::SizeBytes] {
        for order in [SortOrder::Ascending, SortOrder::Descending] {
            let mut seen = Vec::new();
            for number in 0..11 {
                let found = page(AssetFilter { sort, order, limit: 1000, offset: number * 1000, ..AssetFilter::default() }).await;
                assert_eq!((found.total, found.items.len()), (10_000, if number < 10 { 1000 } else { 0 }));
                seen.extend(found.items);
            }
            let place = |asset: &AssetRecord| match sort {
                AssetSort::CreatedAt => (asset.created_at.to_string(), 0),
                AssetSort::UpdatedAt => (asset.updated_at.to_string(), 0),
                AssetSort::Name => (asset.original_name.to_lowercase(), 0),
                AssetSort::SizeBytes => (String::new(), asset.size_bytes),
            };
            let ordered = match order {
                SortOrder::Ascending => seen.is_sorted_by_key(place),
                SortOrder::Descending => seen.iter().rev().is_sorted_by_key(place),
            };
            assert!(ordered, "{sort:?} {order:?}");
            let mut ids: Vec<_> = seen.iter().map(|asset| asset.asset_id).collect();
            ids.sort();
            ids.dedup();
            assert_eq!(ids.len(), 10_000, "{sort:?} {order:?}");
        }
    }
    for filtered in [false, true] {
        let kind = filtered.then_some(AssetKind::Image);
        let mut medians = Vec::new();
        for offset in [0, 2_000, 4_700, 9_400] {
            let mut times = Vec::new();
            for _ in 0..25 {
                let started = Instant::now();
                let found = page(AssetFilter { kind, offset, limit: 50, ..AssetFilter::default() }).await;
                times.push(started.elapsed());
                assert_eq!(found.items.len(), 50);
            }
            times.sort();
            medians.push(times[times.len() / 2]);
        }
        println!("median of a page at 0, 2,000, 4,700 and 9,400 of 10,000, {}: {medians:?}", if filtered { "filtered" } else { "all" });
        let slowest = *medians.iter().max().unwrap();
        assert!(slowest < medians[0] * 4 + Duration::from_millis(10), "{medians:?}");
    }
}

#[tokio::test]
async fn every_filter_finds_what_it_says() {
    let fixture = Fixture::new().await;
    fixture.database.query(SEED).await;
    let tenant = fixture.store.tenant("small".parse().unwrap());
    let count = async |filter: AssetFilter| tenant.assets().list(&filter).await.unwrap().total;
    assert_eq!(count(AssetFilter::default()).await, 100);
    assert_eq!(count(AssetFilter { q: Some("SSET-10".to_owned()), ..AssetFilter::default() }).await, 2);
    assert_eq!(count(AssetFilter { q: Some("%".to_owned()), ..AssetFilter::default() }).await, 0);
    assert_eq!(count(AssetFilter { kind: Some(AssetKind::Font), ..AssetFilter::default() }).await, 5);
    assert_eq!(count(AssetFilter { mime_type: Some("image/gif".to_owned()), ..AssetFilter::default() }).await, 0);
    assert_eq!(count(AssetFilter { tags: vec!["tag-1".to_owned()], ..AssetFilter::default() }).await, 15);
    assert_eq!(count(AssetFilter { uncleaned_svg: Some(true), ..AssetFilter::default() }).await, 0);
    let folder = Some("folder-3".parse().unwrap());
    assert_eq!(count(AssetFilter { folder: folder.clone(), ..AssetFilter::default() }).await, 0);
    assert_eq!(count(AssetFilter { folder, subfolders: Subfolders::With, ..AssetFilter::default() }).await, 10);
    let facets = tenant.assets().facets().await.unwrap();
    assert_eq!((facets.folders.len(), facets.folders[0].count, facets.tags.len()), (10, 10, 7));
}
