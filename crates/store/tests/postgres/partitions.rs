//! Months of big tables.

use std::time::Duration;

use domain::{Clock, Month};
use jiff::Timestamp;
use sqlx::Connection as _;
use store::{ConnectOptions, NewUsage, PartitionedTable, Store, StoreError};

use crate::fixture::Fixture;
use crate::usage::render;

fn month(text: &str) -> Month {
    Month::of(format!("{text}-15T00:00:00Z").parse().unwrap())
}

fn texts(months: &[Month]) -> Vec<String> {
    months.iter().map(ToString::to_string).collect()
}

/// The rows by the table they lie in.
async fn places(fixture: &Fixture) -> String {
    fixture
        .database
        .query(r#"SELECT tableoid::regclass, count(*) FROM render_usage GROUP BY tableoid ORDER BY tableoid::regclass::text COLLATE "C""#)
        .await
}

#[tokio::test]
async fn months_are_made_ahead_once_and_rows_go_to_theirs() {
    let fixture = Fixture::new().await;
    let now: Timestamp = "2031-11-30T23:59:59Z".parse().unwrap();
    let options = ConnectOptions { clock: Clock::from_source(move || now), ..ConnectOptions::new(fixture.database.url()) };
    let store = Store::connect(options).await.unwrap();
    for table in PartitionedTable::ALL {
        let partitions = store.partitions(table);
        assert_eq!(texts(&partitions.ensure(3).await.unwrap()), ["2031-11", "2031-12", "2032-01", "2032-02"], "{table:?}");
        assert_eq!(partitions.ensure(3).await.unwrap(), []);
    }
    store
        .usage()
        .insert(&[render("2031-11-30T23:59:59.999999Z"), render("2031-12-01T00:00:00Z"), render("2040-01-01T00:00:00Z")])
        .await
        .unwrap();
    assert_eq!(places(&fixture).await, "render_usage_2031_11|1\nrender_usage_2031_12|1\nrender_usage_default|1");
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_make_months_at_the_same_time_do_not_fail() {
    let fixture = Fixture::new().await;
    let runs: Vec<_> = (0..8)
        .map(|_| {
            let store = fixture.store.clone();
            tokio::spawn(async move { store.partitions(PartitionedTable::RenderUsage).ensure_from(month("2033-01"), 5).await.unwrap() })
        })
        .collect();
    let mut made = Vec::new();
    for run in runs {
        made.extend(run.await.unwrap());
    }
    // Whoever came while another was at it left it to that one.
    made.extend(fixture.store.partitions(PartitionedTable::RenderUsage).ensure_from(month("2033-01"), 5).await.unwrap());
    made.sort_unstable();
    assert_eq!(texts(&made), ["2033-01", "2033-02", "2033-03", "2033-04", "2033-05", "2033-06"], "each exactly once");
}

#[tokio::test]
async fn a_month_that_comes_late_takes_its_rows_from_the_default() {
    let fixture = Fixture::new().await;
    let rows =
        [render("2034-01-31T23:59:59Z"), render("2034-02-01T00:00:00Z"), render("2034-02-28T23:59:59Z"), render("2034-03-01T00:00:00Z")];
    fixture.store.usage().insert(&rows).await.unwrap();
    assert_eq!(places(&fixture).await, "render_usage_default|4");
    fixture.store.partitions(PartitionedTable::RenderUsage).ensure_from(month("2034-02"), 0).await.unwrap();
    assert_eq!(places(&fixture).await, "render_usage_2034_02|2\nrender_usage_default|2");
    fixture.store.usage().insert(&rows).await.unwrap();
    assert_eq!(places(&fixture).await, "render_usage_2034_02|2\nrender_usage_default|2", "each is still the row it was");
    for row in rows {
        assert!(fixture.tenant.usage().get(row.usage_id).await.unwrap().is_some());
    }
    let indexes = "SELECT count(*) FROM pg_indexes WHERE tablename = 'render_usage_2034_02'";
    assert_eq!(fixture.database.query(indexes).await, "4", "the partition has the indexes of its table");
}

#[tokio::test]
async fn retention_drops_only_months_that_are_wholly_older_and_deletes_the_rest_in_batches() {
    let fixture = Fixture::new().await;
    let partitions = fixture.store.partitions(PartitionedTable::RenderUsage);
    partitions.ensure_from(month("2025-12"), 3).await.unwrap();
    let moments = ["2025-06-01T00:00:00Z", "2025-12-31T23:59:59Z", "2026-01-15T00:00:00Z", "2026-02-09T23:59:59Z", "2026-02-10T00:00:00Z"];
    let mut rows: Vec<NewUsage> = moments.iter().map(|moment| render(moment)).collect();
    rows.extend((0..25).map(|_| render("2026-02-05T12:00:00Z")));
    fixture.store.usage().insert(&rows).await.unwrap();

    let cut_off: Timestamp = "2026-02-10T00:00:00Z".parse().unwrap();
    assert_eq!(texts(&partitions.drop_before(cut_off).await.unwrap()), ["2025-12", "2026-01"]);
    assert!(!texts(&partitions.list().await.unwrap()).contains(&"2026-01".to_owned()));
    let mut deleted = Vec::new();
    while deleted.last() != Some(&0) {
        deleted.push(partitions.delete_before(cut_off, 10).await.unwrap());
    }
    assert_eq!(deleted, [10, 10, 7, 0], "the 26 old rows of February and the one of the default");
    assert_eq!(fixture.database.query("SELECT min(rendered_at) = '2026-02-10Z', count(*) FROM render_usage").await, "t|1");
    // At the exact end of a month the month is wholly older.
    assert_eq!(texts(&partitions.drop_before("2026-03-01T00:00:00Z".parse().unwrap()).await.unwrap()), ["2026-02"]);
}

#[tokio::test]
async fn audit_events_have_the_same_months() {
    let fixture = Fixture::new().await;
    let audit = fixture.store.partitions(PartitionedTable::AuditEvents);
    let name = |id: &str| id.parse().unwrap();
    fixture.store.tenants().insert(&name("acme"), "Acme", &crate::fixture::NOBODY).await.unwrap();
    let present = Month::of(Clock::system().now());
    audit.ensure(1).await.unwrap();
    fixture.store.tenants().insert(&name("later"), "Later", &crate::fixture::NOBODY).await.unwrap();
    let places = fixture.database.query("SELECT DISTINCT tableoid::regclass FROM audit_events").await;
    assert_eq!(places, PartitionedTable::AuditEvents.partition(present), "also the event from before the month was made");
    let error = sqlx::query("UPDATE audit_events SET actor = 'eve'").execute(&mut fixture.bystander().await).await.unwrap_err();
    assert!(error.to_string().contains("immutable"), "{error}");
}

#[tokio::test]
async fn a_reader_that_does_not_end_makes_dropping_give_up_and_not_everybody_wait() {
    let fixture = Fixture::new().await;
    let partitions = fixture.store.partitions(PartitionedTable::RenderUsage);
    partitions.ensure_from(month("2025-01"), 0).await.unwrap();
    let mut reader = fixture.bystander().await;
    let mut reading = reader.begin().await.unwrap();
    sqlx::query("SELECT count(*) FROM render_usage").execute(&mut *reading).await.unwrap();
    let cut_off: Timestamp = "2025-06-01T00:00:00Z".parse().unwrap();
    let dropping = tokio::time::timeout(Duration::from_secs(10), partitions.drop_before(cut_off)).await.expect("an answer in time");
    assert!(matches!(dropping, Err(StoreError::Unavailable { .. })), "{dropping:?}");
    fixture.store.usage().insert(&[render("2026-11-21T10:00:00Z")]).await.unwrap();
    reading.rollback().await.unwrap();
    assert_eq!(texts(&partitions.drop_before(cut_off).await.unwrap()), ["2025-01"]);
}
