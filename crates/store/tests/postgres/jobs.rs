//! The queue of jobs against a real database: turns, leases, ends, and what a claim costs whatever lies behind.

use std::time::{Duration, Instant};

use domain::ErrorCode;
use domain::ids::{JobId, UsageId};
use domain::jobs::{JobItemStatus, JobKind, JobStatus};
use domain::tenants::TenantStatus;
use domain::{Clock, Quotas, TenantId};
use store::{
    Attempt, CancelJobOutcome, ClaimedItem, ItemEnd, ItemOutcome, ItemOutput, JobSubmission, NewJob, NewJobItem, Store, TenantStore,
};

use crate::fixture::{Fixture, NOBODY};

const LEASE: Duration = Duration::from_mins(1);
const KEPT: Duration = Duration::from_hours(1);

/// A job of so many items.
pub fn new_job(kind: JobKind, items: usize) -> NewJob {
    let item = |n: usize| NewJobItem {
        request: format!("{{\"template\":\"letter\",\"data\":{{\"n\":{n}}}}}"),
        template: "letter".to_owned(),
        is_stored: true,
        reference: None,
        metadata: None,
    };
    NewJob {
        id: JobId::generate(),
        kind,
        format: "pdf",
        reference: None,
        metadata: None,
        correlation_id: None,
        packaging: None,
        package_options: None,
        definition: None,
        inline: false,
        datasets: Vec::new(),
        idempotency: None,
        callback: None,
        items: (0..items).map(item).collect(),
        retention: KEPT,
    }
}

/// Submits a job of so many items.
pub async fn submit(tenant: &TenantStore, kind: JobKind, items: usize) -> JobId {
    match tenant.jobs().insert(&new_job(kind, items), 1_000_000, &NOBODY).await.unwrap() {
        JobSubmission::Inserted(job) => job.id,
        other => panic!("{other:?}"),
    }
}

fn done() -> ItemEnd {
    document(7, 10)
}

fn document(content: u8, size_bytes: u64) -> ItemEnd {
    ItemEnd::Succeeded(ItemOutput {
        sha256: [content; 32],
        size_bytes,
        content_type: "application/pdf".to_owned(),
        filename: "letter.pdf".to_owned(),
        disposition: "attachment",
        pages: 1,
        warnings: 0,
        template_version: Some("1.0.0".to_owned()),
        usage_id: UsageId::generate_at(Clock::system().now()),
        document: None,
    })
}

async fn tenant(fixture: &Fixture, name: &str) -> TenantStore {
    let id: TenantId = name.parse().unwrap();
    assert!(fixture.store.tenants().insert(&id, name, &NOBODY).await.unwrap());
    fixture.store.tenant(id)
}

async fn claim_one(store: &Store) -> Option<ClaimedItem> {
    store.job_queue().claim(1, LEASE).await.unwrap().pop()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_job_takes_turns_with_a_large_one_of_another_tenant_and_of_its_own() {
    let fixture = Fixture::new().await;
    let (large, small) = (tenant(&fixture, "large").await, tenant(&fixture, "small").await);
    let batch = submit(&large, JobKind::Batch, 1_000).await;
    for _ in 0..10 {
        assert_eq!(claim_one(&fixture.store).await.unwrap().lease.job, batch);
    }
    let theirs = submit(&small, JobKind::Batch, 3).await;
    let own = submit(&large, JobKind::Single, 1).await;
    let mut next = Vec::new();
    for _ in 0..8 {
        next.push(claim_one(&fixture.store).await.unwrap().lease.job);
    }
    assert_eq!(next.iter().filter(|job| **job == theirs).count(), 3, "three turns among eight");
    assert!(next.contains(&own), "and one for the single document of the large tenant");
    assert_eq!(next.iter().filter(|job| **job == batch).count(), 4, "while the large one goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_ends_once_and_its_job_with_the_last_one() {
    let fixture = Fixture::new().await;
    let job = submit(&fixture.tenant, JobKind::Batch, 2).await;
    let queue = fixture.store.job_queue();
    let claimed = queue.claim(10, Duration::from_millis(1)).await.unwrap();
    assert_eq!(claimed.iter().map(|item| (item.lease.index, item.attempt)).collect::<Vec<_>>(), [(0, 1), (1, 1)]);
    tokio::time::sleep(Duration::from_millis(20)).await;
    let again = fixture.replica().await.job_queue().claim(10, LEASE).await.unwrap();
    assert_eq!(again.iter().map(|item| item.attempt).collect::<Vec<_>>(), [2, 2], "a lease that ended is somebody else's");
    let leases: Vec<_> = claimed.iter().map(|item| item.lease).collect();
    assert!(queue.renew(&leases, LEASE).await.unwrap().is_empty(), "and is not to be had back");
    assert_eq!(queue.finish(&claimed[0].lease, &done(), KEPT).await.unwrap(), ItemOutcome::Lost);
    let held: Vec<_> = again.iter().map(|item| item.lease).collect();
    assert_eq!(queue.renew(&held, LEASE).await.unwrap().len(), 2);

    assert_eq!(
        queue.finish(&again[0].lease, &done(), KEPT).await.unwrap(),
        ItemOutcome::Kept { status: JobItemStatus::Succeeded, job_ended: None }
    );
    assert_eq!(queue.finish(&again[0].lease, &done(), KEPT).await.unwrap(), ItemOutcome::Lost, "once");
    assert!(queue.give_back(&again[1].lease, Attempt::Free, Some(ErrorCode::ServiceUnavailable), Duration::ZERO).await.unwrap());
    let third = claim_one(&fixture.store).await.unwrap();
    assert_eq!((third.attempt, third.last_code.as_deref()), (2, Some("service_unavailable")), "an attempt that was free is not counted");
    let failed = ItemEnd::Failed { code: ErrorCode::ValidationFailed, message: "no\0".repeat(3_000) };
    let last = ItemOutcome::Kept { status: JobItemStatus::Failed, job_ended: Some(JobStatus::Completed) };
    assert_eq!(queue.finish(&third.lease, &failed, KEPT).await.unwrap(), last);
    let record = fixture.tenant.jobs().get(job).await.unwrap().unwrap();
    assert_eq!((record.status, record.progress.succeeded, record.progress.failed), (JobStatus::Completed, 1, 1));
    let items = fixture.tenant.jobs().items(job, 0, 10).await.unwrap();
    assert_eq!(items.iter().map(|item| item.status).collect::<Vec<_>>(), [JobItemStatus::Succeeded, JobItemStatus::Failed]);
    let kept = fixture.database.query("SELECT count(*) FROM job_items WHERE request IS NOT NULL").await;
    assert_eq!(kept, "0", "what was asked for is forgotten with the end");
    assert_eq!(fixture.tenant.jobs().known(&[[7; 32], [8; 32]]).await.unwrap(), [[7; 32]]);
    assert!(matches!(
        fixture.tenant.jobs().cancel(job, KEPT, &NOBODY).await.unwrap(),
        CancelJobOutcome::AlreadyEnded(JobStatus::Completed)
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_called_off_ends_at_once_and_what_has_expired_goes() {
    let fixture = Fixture::new().await;
    let job = submit(&fixture.tenant, JobKind::Batch, 3).await;
    let queue = fixture.store.job_queue();
    let held = claim_one(&fixture.store).await.unwrap();
    let CancelJobOutcome::Cancelled(record) = fixture.tenant.jobs().cancel(job, Duration::from_secs(1), &NOBODY).await.unwrap() else {
        panic!()
    };
    assert!(record.cancel_requested && record.status == JobStatus::Cancelled);
    assert_eq!(queue.finish(&held.lease, &done(), KEPT).await.unwrap(), ItemOutcome::Lost);
    assert!(claim_one(&fixture.store).await.is_none());
    let later = Clock::system().now() + Duration::from_mins(1);
    let much_later = later + Duration::from_hours(1);
    assert_eq!(queue.delete_expired(later, Clock::system().now(), 100).await.unwrap(), 4, "three items, and a note at the job");
    assert!(fixture.tenant.jobs().get(job).await.unwrap().unwrap().has_expired(later));
    assert_eq!(queue.delete_expired(much_later, much_later, 100).await.unwrap(), 1);
    assert!(fixture.tenant.jobs().get(job).await.unwrap().is_none());
    let refused = fixture.database.query("SELECT count(*) FROM audit_events WHERE event = 'job.cancelled'").await;
    assert_eq!(refused, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn results_take_room_once_for_each_content_and_give_it_back_with_their_retention() {
    let fixture = Fixture::new().await;
    let tenant = tenant(&fixture, "acme").await;
    let quotas = Quotas { storage_bytes: Some(100), ..Quotas::default() };
    fixture.store.tenants().update(tenant.tenant_id(), None, Some(quotas), &NOBODY).await.unwrap();
    let queue = fixture.store.job_queue();
    let first = submit(&tenant, JobKind::Batch, 4).await;
    let items = queue.claim(4, LEASE).await.unwrap();
    let finish = async |item: &ClaimedItem, end: &ItemEnd, kept: Duration| match queue.finish(&item.lease, end, kept).await.unwrap() {
        ItemOutcome::Kept { status, .. } => status,
        ItemOutcome::Lost => panic!("{item:?}"),
    };
    let one_second = Duration::from_secs(1);
    assert_eq!(finish(&items[0], &document(1, 60), one_second).await, JobItemStatus::Succeeded);
    assert_eq!(finish(&items[1], &document(2, 41), one_second).await, JobItemStatus::Failed, "41 more are one too many");
    assert_eq!(finish(&items[2], &document(1, 60), one_second).await, JobItemStatus::Succeeded, "the same bytes take no room");
    assert_eq!(finish(&items[3], &document(3, 40), one_second).await, JobItemStatus::Succeeded);
    let full = tenant.jobs().items(first, 1, 1).await.unwrap().pop().unwrap();
    assert_eq!(full.error.as_ref().map(|(code, _)| code.as_str()), Some("quota_exceeded"), "{full:?}");
    assert_eq!(tenant.asset_versions().stored_bytes().await.unwrap(), 100);
    let record = tenant.jobs().get(first).await.unwrap().unwrap();
    assert_eq!((record.status, record.progress.succeeded, record.progress.failed), (JobStatus::Completed, 3, 1));

    let second = submit(&tenant, JobKind::Single, 1).await;
    let item = claim_one(&fixture.store).await.unwrap();
    assert_eq!(finish(&item, &document(2, 41), KEPT).await, JobItemStatus::Failed);
    let record = tenant.jobs().get(second).await.unwrap().unwrap();
    assert_eq!((record.status, record.failure_code.as_deref()), (JobStatus::Failed, Some("quota_exceeded")));
    assert!(claim_one(&fixture.store).await.is_none(), "it is not tried again");

    let later = Clock::system().now() + Duration::from_mins(1);
    queue.delete_expired(later, Clock::system().now(), 100).await.unwrap();
    assert_eq!(tenant.asset_versions().stored_bytes().await.unwrap(), 0, "what has expired takes no room");
    submit(&tenant, JobKind::Single, 1).await;
    let item = claim_one(&fixture.store).await.unwrap();
    assert_eq!(finish(&item, &document(2, 41), KEPT).await, JobItemStatus::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_archived_tenant_has_open_waits_until_it_is_active_again_and_holds_up_nobody() {
    let fixture = Fixture::new().await;
    let (asleep, awake) = (tenant(&fixture, "asleep").await, tenant(&fixture, "awake").await);
    let waits = submit(&asleep, JobKind::Batch, 2).await;
    let set = async |status| {
        let tenants = fixture.store.tenants();
        let _ = tenants.set_status(&"asleep".parse().unwrap(), status, &NOBODY).await.unwrap();
    };
    set(TenantStatus::Archived).await;
    assert!(claim_one(&fixture.store).await.is_none());
    let made = submit(&awake, JobKind::Single, 1).await;
    assert_eq!(claim_one(&fixture.store).await.unwrap().lease.job, made);
    assert!(claim_one(&fixture.store).await.is_none());
    set(TenantStatus::Active).await;
    let claimed = fixture.store.job_queue().claim(10, LEASE).await.unwrap();
    assert_eq!(claimed.iter().map(|item| (item.lease.job, item.attempt)).collect::<Vec<_>>(), [(waits, 1), (waits, 1)]);
}

/// Claims and ends `most` items, 20 at a time; gives the items per second.
async fn through(fixture: &Fixture, most: usize) -> f64 {
    let queue = fixture.store.job_queue();
    let (began, mut ended) = (Instant::now(), 0);
    while ended < most {
        for item in queue.claim(20, LEASE).await.unwrap() {
            assert!(matches!(queue.finish(&item.lease, &done(), KEPT).await.unwrap(), ItemOutcome::Kept { .. }));
            ended += 1;
        }
    }
    f64::from(u32::try_from(ended).unwrap()) / began.elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: prints how fast items are claimed and ended with a thousand and a million finished ones behind"]
async fn a_claim_costs_the_same_whatever_was_finished_before() {
    let fixture = Fixture::new().await;
    let mut rates = Vec::new();
    for finished in [1_000, 1_000_000] {
        fixture
            .database
            .query(&format!(
                "INSERT INTO jobs (job_id, tenant_id, kind, format, status, total, succeeded, inline, actor, created_at, started_at, completed_at, expires_at)
                 SELECT gen_random_uuid(), 'default', 'batch', 'pdf', 'completed', 1000, 1000, false, 'x', now(), now(), now(), now()
                 FROM generate_series(1, {finished} / 1000);
                 INSERT INTO job_items (job_id, item_index, tenant_id, kind, status, template, turn, ended_at, sha256, size_bytes, content_type, filename)
                 SELECT job_id, n, tenant_id, 'batch', 'succeeded', 'letter', n, now(), sha256(n::text::bytea), 10, 'application/pdf', 'x.pdf'
                 FROM jobs, generate_series(0, 999) n WHERE NOT EXISTS (SELECT FROM job_items i WHERE i.job_id = jobs.job_id);"
            ))
            .await;
        fixture.database.query("VACUUM ANALYZE jobs, job_items").await;
        submit(&fixture.tenant, JobKind::Batch, 10_000).await;
        let rate = through(&fixture, 4_000).await;
        let mut claims = Vec::new();
        for _ in 0..100 {
            let began = Instant::now();
            let claimed = fixture.store.job_queue().claim(4, LEASE).await.unwrap();
            claims.push(began.elapsed());
            for item in claimed {
                let _ = fixture.store.job_queue().finish(&item.lease, &done(), KEPT).await.unwrap();
            }
        }
        claims.sort();
        let (median, late) = (claims[50], claims[98]);
        let dead = fixture.database.query("SELECT n_dead_tup || ' dead, ' || n_tup_hot_upd || ' of ' || n_tup_upd || ' updates in place' FROM pg_stat_user_tables WHERE relname = 'job_items'").await;
        println!(
            "{finished} finished: {rate:.0} items per second claimed and ended; a claim of four takes {median:?} (median), {late:?} (98th); job_items: {dead}"
        );
        rates.push((rate, median));
        through(&fixture, 10_000 - 4_400).await;
    }
    let plan = fixture
        .database
        .query(
            "EXPLAIN SELECT job_id, item_index FROM job_items
             WHERE status = 'pending' AND next_run_at <= now() AND (lease_until IS NULL OR lease_until < now())
             ORDER BY priority, turn LIMIT 4 FOR UPDATE SKIP LOCKED",
        )
        .await;
    println!("{plan}");
    assert!(plan.contains("job_items_next"), "{plan}");
    assert!(rates[1].1 < rates[0].1 * 3, "a claim became slower: {rates:?}");
}
