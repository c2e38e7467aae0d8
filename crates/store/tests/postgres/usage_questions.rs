//! Questions about what was rendered.

use domain::ErrorCode;
use domain::usage::{RenderMode, RenderOutcome, UsageMetadata, UsageWindow};
use store::{
    DurationPercentiles, NewUsage, PartitionedTable, Percentiles, TenantStore, Unused, UsageFilter, UsageGroup, UsageStatus, UsageSummary,
    UsageTemplateSort,
};

use crate::fixture::{Fixture, any_template, by};
use crate::usage::{render, tenant};

fn window(from: &str, to: &str) -> UsageWindow {
    let moment = |day: &str| format!("{day}T00:00:00Z").parse().unwrap();
    UsageWindow::new(moment(from), moment(to)).unwrap()
}

fn november() -> UsageWindow {
    window("2026-11-01", "2026-12-01")
}

fn words(words: &[(&str, &str)]) -> UsageMetadata {
    UsageMetadata::of(words.iter().map(|(name, word)| ((*name).to_owned(), (*word).to_owned())))
}

/// Ten letters by Anna of 10 to 100 ms, two invoices by Bob of which one failed, an inline HTML, and noise around.
async fn seeded() -> Fixture {
    let fixture = Fixture::new().await;
    let mut rows: Vec<NewUsage> =
        (1..=10).map(|number| NewUsage { duration_ms: number * 10, ..render(&format!("2026-11-{number:02}T12:00:00Z")) }).collect();
    let invoice = NewUsage { template: Some("invoice".parse().unwrap()), actor: Some(by("bob")), ..render("2026-11-20T00:00:00Z") };
    let failed = RenderOutcome::Failed(ErrorCode::RenderTimeout);
    rows.push(NewUsage { metadata: words(&[("order", "1"), ("customer", "x")]), mode: RenderMode::Batch, ..invoice.clone() });
    rows.push(NewUsage {
        outcome: failed,
        pages: 0,
        size_bytes: 0,
        duration_ms: 5_000,
        metadata: words(&[("order", "2"), ("customer", "x")]),
        ..NewUsage { usage_id: render("2026-11-20T00:00:00Z").usage_id, ..invoice }
    });
    rows.push(NewUsage { template: None, version: None, format: "html", pages: 0, actor: None, ..render("2026-11-30T23:59:59.999999Z") });
    rows.push(render("2026-10-31T23:59:59.999999Z"));
    rows.push(render("2026-12-01T00:00:00Z"));
    rows.push(NewUsage { tenant: tenant("acme"), duration_ms: 7, ..render("2026-11-05T00:00:00Z") });
    fixture.store.usage().insert(&rows).await.unwrap();
    fixture
}

async fn groups(tenant: &TenantStore, by: UsageGroup) -> Vec<(Option<String>, u64)> {
    let summary = tenant.usage().summary(&UsageFilter::all(november()), by, Percentiles::Omitted).await.unwrap();
    summary.into_iter().map(|group| (group.group, group.renders)).collect()
}

fn group(name: &str, renders: u64) -> (Option<String>, u64) {
    (Some(name.to_owned()), renders)
}

#[tokio::test]
async fn renders_are_summed_up_by_each_property() {
    let fixture = seeded().await;
    assert_eq!(groups(&fixture.tenant, UsageGroup::Actor).await, [group("anna", 10), group("bob", 2), (None, 1)]);
    assert_eq!(groups(&fixture.tenant, UsageGroup::Template).await, [group("letter", 10), group("invoice", 2), (None, 1)]);
    assert_eq!(groups(&fixture.tenant, UsageGroup::Format).await, [group("pdf", 12), group("html", 1)]);
    assert_eq!(groups(&fixture.tenant, UsageGroup::Status).await, [group("succeeded", 12), group("render_timeout", 1)]);
    assert_eq!(groups(&fixture.tenant, UsageGroup::Tenant).await, [group("default", 13)]);
    let days = groups(&fixture.tenant, UsageGroup::Day).await;
    assert_eq!((days.len(), &days[0], &days[11]), (12, &group("2026-11-01", 1), &group("2026-11-30", 1)));
    assert_eq!(days[10], group("2026-11-20", 2));

    let all = fixture.store.usage().summary(&UsageFilter::all(november()), UsageGroup::Tenant, Percentiles::Omitted).await.unwrap();
    let all: Vec<_> = all.into_iter().map(|group| (group.group, group.renders)).collect();
    assert_eq!(all, [group("default", 13), group("acme", 1)]);
}

#[tokio::test]
async fn a_summary_has_sums_and_the_percentiles_that_were_asked_for() {
    let fixture = seeded().await;
    let filter = UsageFilter { template: Some("letter".to_owned()), ..UsageFilter::all(november()) };
    let expected = UsageSummary {
        group: Some("letter".to_owned()),
        renders: 10,
        failed: 0,
        pages: 20,
        size_bytes: 10_000,
        duration_ms: 550,
        percentiles: Some(DurationPercentiles { p50_ms: 50, p95_ms: 100, p99_ms: 100 }),
    };
    let usage = fixture.tenant.usage();
    let without = UsageSummary { percentiles: None, ..expected.clone() };
    assert_eq!(usage.summary(&filter, UsageGroup::Template, Percentiles::Included).await.unwrap(), [expected]);
    assert_eq!(usage.summary(&filter, UsageGroup::Template, Percentiles::Omitted).await.unwrap(), [without]);
    let failed = UsageFilter { status: Some(UsageStatus::Failed), ..UsageFilter::all(november()) };
    let failed = usage.summary(&failed, UsageGroup::Template, Percentiles::Omitted).await.unwrap();
    assert_eq!((failed.len(), failed[0].renders, failed[0].failed, failed[0].duration_ms), (1, 1, 1, 5_000));
    let nothing = UsageFilter::all(window("2020-01-01", "2020-02-01"));
    assert_eq!(usage.summary(&nothing, UsageGroup::Actor, Percentiles::Included).await.unwrap(), []);
}

#[tokio::test]
async fn the_log_is_filtered_by_each_property_and_paged_newest_first() {
    let fixture = seeded().await;
    let usage = fixture.tenant.usage();
    let all = UsageFilter::all(november());
    let page = usage.list(&all, 5, 0).await.unwrap();
    assert_eq!((page.items.len(), page.total), (5, 13));
    assert_eq!(page.items[0].format, "html");
    let mut seen = Vec::new();
    for offset in [0, 5, 10] {
        seen.extend(usage.list(&all, 5, offset).await.unwrap().items.into_iter().map(|row| (row.rendered_at, row.usage_id)));
    }
    assert!(seen.len() == 13 && seen.is_sorted_by(|one, next| one > next), "{seen:?}");

    let count = async |filter: UsageFilter| usage.list(&filter, 50, 0).await.unwrap().total;
    assert_eq!(count(UsageFilter { template: Some("invoice".to_owned()), ..all.clone() }).await, 2);
    assert_eq!(count(UsageFilter { actor: Some("anna".to_owned()), ..all.clone() }).await, 10);
    assert_eq!(count(UsageFilter { mode: Some(RenderMode::Batch), ..all.clone() }).await, 1);
    assert_eq!(count(UsageFilter { format: Some("html".to_owned()), ..all.clone() }).await, 1);
    assert_eq!(count(UsageFilter { status: Some(UsageStatus::Succeeded), ..all.clone() }).await, 12);
    assert_eq!(count(UsageFilter { status: Some(UsageStatus::Failed), ..all.clone() }).await, 1);
    assert_eq!(count(UsageFilter { status: Some(UsageStatus::Exactly("render_timeout".to_owned())), ..all.clone() }).await, 1);
    assert_eq!(count(UsageFilter { metadata: words(&[("customer", "x")]), ..all.clone() }).await, 2);
    assert_eq!(count(UsageFilter { metadata: words(&[("customer", "x"), ("order", "2")]), ..all.clone() }).await, 1);
    assert_eq!(count(UsageFilter { metadata: words(&[("customer", "y")]), ..all }).await, 0);
}

#[tokio::test]
async fn batches_reach_every_row_once_although_many_share_a_moment() {
    let fixture = seeded().await;
    let same: Vec<NewUsage> = (0..30).map(|_| render("2026-11-15T00:00:00Z")).collect();
    fixture.store.usage().insert(&same).await.unwrap();
    let filter = UsageFilter::all(november());
    let (mut place, mut own) = (None, Vec::new());
    loop {
        let batch = fixture.tenant.usage().batch(&filter, place.as_ref(), 7).await.unwrap();
        let Some(last) = batch.last() else { break };
        place = Some(last.cursor());
        own.extend(batch.into_iter().map(|row| (row.tenant, row.rendered_at, row.usage_id)));
    }
    assert!(own.len() == 43 && own.is_sorted_by(|one, next| one < next), "{}", own.len());
    let (mut place, mut all) = (None, Vec::new());
    loop {
        let batch = fixture.store.usage().batch(&filter, place.as_ref(), 7).await.unwrap();
        let Some(last) = batch.last() else { break };
        place = Some(last.cursor());
        all.extend(batch.into_iter().map(|row| (row.tenant, row.rendered_at, row.usage_id)));
    }
    assert!(all.len() == 44 && all.is_sorted_by(|one, next| one < next), "{}", all.len());
}

#[tokio::test]
async fn templates_are_listed_by_what_they_cost_with_those_nobody_uses() {
    let fixture = seeded().await;
    for key in ["letter", "unused"] {
        any_template(&fixture.tenant, key).await;
    }
    let keys = async |unused, sort| {
        let page = fixture.tenant.usage().templates(november(), unused, sort, 50, 0).await.unwrap();
        assert_eq!(page.total, page.items.len() as u64);
        page.items.into_iter().map(|template| template.template).collect::<Vec<_>>()
    };
    assert_eq!(keys(Unused::Omitted, UsageTemplateSort::Renders).await, ["letter", "invoice"]);
    assert_eq!(keys(Unused::Included, UsageTemplateSort::P95).await, ["invoice", "letter", "unused"]);
    assert_eq!(keys(Unused::Included, UsageTemplateSort::Key).await, ["invoice", "letter", "unused"]);
    assert_eq!(keys(Unused::Omitted, UsageTemplateSort::LastRenderedAt).await, ["invoice", "letter"]);
    for sort in UsageTemplateSort::ALL {
        assert_eq!(UsageTemplateSort::from_word(sort.as_str()), Some(sort));
        assert_eq!(keys(Unused::Included, sort).await.len(), 3, "{sort:?}");
    }
    let page = fixture.tenant.usage().templates(november(), Unused::Included, UsageTemplateSort::Renders, 2, 0).await.unwrap();
    assert_eq!((page.items.len(), page.total), (2, 3));
    let [letter, invoice] = page.items.as_slice() else { panic!() };
    assert_eq!((letter.name.as_deref(), letter.renders, letter.pages, letter.duration_ms), (Some("letter"), 10, 20, 550));
    assert_eq!((invoice.name.as_deref(), invoice.renders, invoice.failed), (None, 2, 1), "it is deleted or never was");
    let second = fixture.tenant.usage().templates(november(), Unused::Included, UsageTemplateSort::Renders, 2, 2).await.unwrap();
    assert_eq!((second.items[0].template.as_str(), second.items.len(), second.total), ("unused", 1, 3));
    assert_eq!(invoice.percentiles, Some(DurationPercentiles { p50_ms: 20, p95_ms: 5_000, p99_ms: 5_000 }));
}

const SEED: &str = "
    INSERT INTO render_usage (tenant_id, rendered_at, usage_id, instance_id, template_key, format, mode, outcome, duration_ms, pages, size_bytes, metadata)
    SELECT CASE WHEN n % 10 = 0 THEN 'default' ELSE 'big' END, timestamptz '2035-01-01Z' + n * interval '52 s', gen_random_uuid(), 'seed',
           'key-' || n % 500, 'pdf', 'single', 'succeeded', n % 1000, 1, 1000, CASE WHEN n % 100 = 0 THEN jsonb_build_object('order', n::text) END
    FROM generate_series(1, 100000) AS n;
    ANALYZE render_usage";

/// The partitions and indexes that a statement of the store touched, as the server explains its text.
async fn plan(fixture: &Fixture, sql: &str) -> String {
    fixture.database.query(&format!("EXPLAIN (COSTS OFF) {sql}")).await
}

#[tokio::test]
async fn a_hundred_thousand_rows_are_not_read_to_find_a_few() {
    let fixture = Fixture::new().await;
    fixture.store.partitions(PartitionedTable::RenderUsage).ensure_from(domain::Month::new(2035, 1).unwrap(), 3).await.unwrap();
    fixture.database.query(SEED).await;
    let by_id = plan(
        &fixture,
        "SELECT * FROM render_usage WHERE tenant_id = 'default' AND rendered_at >= timestamptz '2035-02-01Z'
         AND rendered_at < timestamptz '2035-02-01Z' + interval '1 ms' AND usage_id = '00000000-0000-7000-8000-000000000000'",
    )
    .await;
    assert!(by_id.contains("render_usage_2035_02_pkey") && !by_id.contains("2035_01") && !by_id.contains("Seq Scan"), "{by_id}");
    let newest = plan(
        &fixture,
        "SELECT * FROM render_usage WHERE tenant_id = 'default' AND rendered_at >= '2035-01-01Z' AND rendered_at < '2035-03-01Z'
         ORDER BY rendered_at DESC, usage_id DESC LIMIT 50",
    )
    .await;
    assert!(newest.contains("Index Scan Backward") && !newest.contains("Sort"), "{newest}");
    let words = plan(
        &fixture,
        r#"SELECT * FROM render_usage WHERE tenant_id = 'default' AND rendered_at >= '2035-01-01Z' AND rendered_at < '2035-03-01Z'
           AND metadata @> '{"order": "70000"}' ORDER BY rendered_at DESC, usage_id DESC LIMIT 50"#,
    )
    .await;
    assert!(words.contains("metadata_idx"), "{words}");
    let filter = UsageFilter { metadata: words_of("70000"), ..UsageFilter::all(window("2035-01-01", "2035-03-01")) };
    assert_eq!(fixture.tenant.usage().list(&filter, 50, 0).await.unwrap().total, 1);
}

fn words_of(order: &str) -> UsageMetadata {
    words(&[("order", order)])
}
