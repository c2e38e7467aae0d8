//! Writing what was rendered: once, whoever repeats it, and counted by tenant and month.

use domain::ids::UsageId;
use domain::quotas::UsageTotals;
use domain::usage::{RenderMode, RenderOutcome, UsageMetadata};
use domain::{ErrorCode, Month, Quotas, TenantId};
use jiff::Timestamp;
use store::{NewUsage, UsagePeriod};

use crate::fixture::{Fixture, NOBODY, by};

/// A render that ended well at that moment.
pub fn render(moment: &str) -> NewUsage {
    let rendered_at: Timestamp = moment.parse().unwrap();
    NewUsage {
        tenant: TenantId::default_tenant(),
        usage_id: UsageId::generate_at(rendered_at),
        rendered_at,
        actor: Some(by("anna")),
        template: Some("letter".parse().unwrap()),
        version: Some("1.0.3".parse().unwrap()),
        label: None,
        format: "pdf",
        mode: RenderMode::Single,
        outcome: RenderOutcome::Succeeded,
        duration_ms: 20,
        pages: 2,
        size_bytes: 1_000,
        data_sha256: Some([1; 32]),
        output_sha256: Some([2; 32]),
        metadata: UsageMetadata::default(),
        correlation_id: None,
    }
}

pub fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

fn month(text: &str) -> Month {
    Month::of(text.parse().unwrap())
}

#[tokio::test]
async fn a_row_comes_back_as_it_was_written_and_only_to_its_tenant() {
    let fixture = Fixture::new().await;
    let row = NewUsage {
        label: Some("stable".into()),
        metadata: UsageMetadata::of([("order".to_owned(), "47\"11".to_owned())]),
        correlation_id: Some("c-1".into()),
        mode: RenderMode::Batch,
        ..render("2026-11-30T23:59:59.123456Z")
    };
    fixture.store.usage().insert(&[&row]).await.unwrap();
    let found = fixture.tenant.usage().get(row.usage_id).await.unwrap().unwrap();
    let actor = row.actor.as_ref().unwrap();
    assert_eq!((found.usage_id, found.rendered_at, &found.tenant), (row.usage_id, row.rendered_at, &row.tenant));
    assert_eq!((found.actor.as_deref(), found.credential_scope.as_deref()), (Some("anna"), Some("editor")));
    assert_eq!((found.request_id, found.instance_id.as_str()), (actor.request_id, fixture.store.instance_id()));
    assert_eq!(
        (found.template.as_deref(), found.version.as_deref(), found.label.as_deref()),
        (Some("letter"), Some("1.0.3"), Some("stable"))
    );
    assert_eq!((found.format.as_str(), found.mode.as_str(), found.outcome.as_str()), ("pdf", "batch", "succeeded"));
    assert_eq!((found.duration_ms, found.pages, found.size_bytes), (20, 2, 1_000));
    assert_eq!((found.data_sha256, found.output_sha256), (Some(vec![1; 32]), Some(vec![2; 32])));
    assert_eq!((found.metadata, found.correlation_id.as_deref()), (row.metadata.clone(), Some("c-1")));

    let other = fixture.store.tenant(tenant("other"));
    assert_eq!(other.usage().get(row.usage_id).await.unwrap(), None);
    assert_eq!(other.usage().totals(month("2026-11-01T00:00:00Z")).await.unwrap(), UsageTotals::default());
    assert_eq!(fixture.tenant.usage().get(domain::ids::RequestId::generate().as_uuid().into()).await.unwrap(), None);
}

#[tokio::test]
async fn a_repeated_insert_changes_nothing_and_still_tells_what_was_used() {
    let fixture = Fixture::new().await;
    let first = [render("2026-11-21T10:00:00Z"), render("2026-11-21T10:00:00Z")];
    let november = |renders| UsagePeriod {
        tenant: TenantId::default_tenant(),
        month: month("2026-11-21T10:00:00Z"),
        totals: UsageTotals { renders, render_ms: renders * 20, pages: renders * 2, size_bytes: renders * 1_000 },
    };
    assert_eq!(fixture.store.usage().insert(&first).await.unwrap(), [november(2)]);
    assert_eq!(fixture.store.usage().insert(&first).await.unwrap(), [november(2)], "the answer to the first was lost");
    // As after a flush of which a part had got through, by another replica.
    let [one, two] = first;
    let overlapping = [one, two, render("2026-11-21T11:00:00Z")];
    assert_eq!(fixture.replica().await.usage().insert(&overlapping).await.unwrap(), [november(3)]);
    assert_eq!(fixture.database.query("SELECT count(*) FROM render_usage").await, "3");
    let twice_in_one = render("2026-11-21T12:00:00Z");
    assert_eq!(fixture.store.usage().insert(&[&twice_in_one, &twice_in_one]).await.unwrap(), [november(4)]);
}

#[tokio::test]
async fn sums_are_kept_by_tenant_and_utc_month_and_failures_are_no_renders() {
    let fixture = Fixture::new().await;
    let rows = [
        render("2026-11-30T23:59:59.999999Z"),
        render("2026-12-01T00:00:00Z"),
        NewUsage { outcome: RenderOutcome::Failed(ErrorCode::RenderTimeout), pages: 0, size_bytes: 0, ..render("2026-12-01T00:00:00Z") },
        NewUsage { outcome: RenderOutcome::Cancelled, pages: 0, size_bytes: 0, ..render("2026-12-01T00:00:00Z") },
        NewUsage { tenant: tenant("acme"), ..render("2026-12-31T23:59:59Z") },
    ];
    let mut told = fixture.store.usage().insert(&rows).await.unwrap();
    told.sort_by_key(|period| (period.tenant.clone(), period.month));
    let said: Vec<String> = told
        .iter()
        .map(|UsagePeriod { tenant, month, totals }| format!("{tenant} {month} {} {} {}", totals.renders, totals.render_ms, totals.pages))
        .collect();
    assert_eq!(said, ["acme 2026-12 1 20 2", "default 2026-11 1 20 2", "default 2026-12 1 60 2"]);
    let december = fixture.tenant.usage().totals(month("2026-12-15T00:00:00Z")).await.unwrap();
    assert_eq!(december, UsageTotals { renders: 1, render_ms: 60, pages: 2, size_bytes: 1_000 });
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_flush_the_same_tenants_at_once_neither_lose_counts_nor_block_each_other() {
    let fixture = Fixture::new().await;
    let flushes: Vec<_> = (0..8)
        .map(|replica| {
            let store = fixture.store.clone();
            tokio::spawn(async move {
                for _ in 0..10 {
                    let mut rows: Vec<NewUsage> = (0..20)
                        .map(|number| NewUsage { tenant: tenant(&format!("t{}", number % 5)), ..render("2026-11-21T10:00:00Z") })
                        .collect();
                    if replica % 2 == 0 {
                        rows.reverse();
                    }
                    store.usage().insert(&rows).await.unwrap();
                }
            })
        })
        .collect();
    for flush in flushes {
        flush.await.unwrap();
    }
    let sums = fixture.database.query("SELECT tenant_id, renders FROM usage_periods ORDER BY 1").await;
    assert_eq!(sums, "t0|320\nt1|320\nt2|320\nt3|320\nt4|320");
}

#[tokio::test]
async fn texts_that_columns_refuse_are_bent_and_do_not_keep_other_rows_away() {
    let fixture = Fixture::new().await;
    let row = NewUsage {
        label: Some("l\0".repeat(200).into()),
        correlation_id: Some("ä\0".repeat(500).into()),
        ..render("2026-11-21T10:00:00Z")
    };
    fixture.store.usage().insert(&[&row, &render("2026-11-21T10:00:00Z")]).await.unwrap();
    let found = fixture.tenant.usage().get(row.usage_id).await.unwrap().unwrap();
    assert_eq!(found.correlation_id.unwrap().chars().count(), 200);
    assert_eq!(fixture.database.query("SELECT count(*) FROM render_usage").await, "2");
}

#[tokio::test]
async fn quotas_are_set_with_an_audit_event_and_read_with_what_was_used() {
    let fixture = Fixture::new().await;
    let acme = tenant("acme");
    assert!(fixture.store.tenants().insert(&acme, "Acme", &NOBODY).await.unwrap());
    let quotas = Quotas { renders_per_month: Some(10), storage_bytes: Some(1 << 40), ..Quotas::default() };
    let limited = fixture.store.tenants().update(&acme, None, Some(quotas), &NOBODY).await.unwrap().unwrap();
    assert_eq!((limited.name.as_str(), limited.quotas), ("Acme", quotas));
    let renamed = fixture.store.tenants().update(&acme, Some("Acme Ltd"), None, &NOBODY).await.unwrap();
    assert_eq!(renamed, fixture.store.tenants().get(&acme).await.unwrap());
    assert_eq!(renamed.map(|tenant| (tenant.name, tenant.quotas)), Some(("Acme Ltd".to_owned(), quotas)));
    assert_eq!(fixture.store.tenants().update(&tenant("unknown"), Some("x"), None, &NOBODY).await.unwrap(), None);
    fixture.store.usage().insert(&[NewUsage { tenant: acme.clone(), ..render("2026-11-21T10:00:00Z") }]).await.unwrap();
    let asked = [acme.clone(), TenantId::default_tenant(), tenant("unknown")];
    let mut found = fixture.store.tenants().quotas(&asked, month("2026-11-01T00:00:00Z")).await.unwrap();
    found.sort_by_key(|found| found.tenant.clone());
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!((&found[0].tenant, found[0].quotas, found[0].used.renders), (&acme, quotas, 1));
    assert_eq!((found[1].quotas, found[1].used), (Quotas::default(), UsageTotals::default()));
    let next = fixture.store.tenants().quotas(&asked, month("2026-12-01T00:00:00Z")).await.unwrap();
    assert!(next.iter().all(|found| found.used == UsageTotals::default()), "{next:?}");
    let audited = fixture.database.query("SELECT details->'quotas'->>'rendersPerMonth' FROM audit_events WHERE tenant_id = 'acme'").await;
    assert!(audited.lines().any(|line| line == "10"), "{audited}");
}

#[tokio::test]
async fn a_tenant_that_goes_takes_its_rows_in_batches_and_no_others() {
    let fixture = Fixture::new().await;
    let acme = tenant("acme");
    let mut rows: Vec<NewUsage> = (0..25).map(|_| NewUsage { tenant: acme.clone(), ..render("2026-11-21T10:00:00Z") }).collect();
    rows.push(render("2026-11-21T10:00:00Z"));
    fixture.store.usage().insert(&rows).await.unwrap();
    let usage = fixture.store.tenant(acme);
    let mut batches = Vec::new();
    while batches.last() != Some(&5) {
        batches.push(usage.usage().delete_all(10).await.unwrap());
    }
    assert_eq!(batches, [10, 10, 5]);
    assert_eq!(
        fixture.database.query("SELECT tenant_id FROM render_usage UNION ALL SELECT tenant_id FROM usage_periods").await,
        "default\ndefault"
    );
}
