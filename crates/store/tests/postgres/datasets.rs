//! Datasets against a real database: room, keys, ends, and what an open job holds.

use domain::Clock;
use domain::datasets::{DatasetId, DatasetLimits, DatasetsFull};
use domain::ids::JobId;
use domain::jobs::JobKind;
use jiff::SignedDuration;
use store::{JobSubmission, NewTemporaryDataset, TemporaryDataset, TemporaryDatasetOutcome, TenantStore};

use crate::fixture::{Fixture, NOBODY, by};

const NEW: NewTemporaryDataset<'_> = NewTemporaryDataset { sha256: [7; 32], size_bytes: 100, life_seconds: 3600, idempotency_key: None };

/// A dataset that is there.
pub async fn put_temporary_dataset(tenant: &TenantStore) -> TemporaryDataset {
    stored(tenant.temporary_datasets().insert(NEW, DatasetLimits::default(), &NOBODY).await.unwrap())
}

fn stored(outcome: TemporaryDatasetOutcome) -> TemporaryDataset {
    match outcome {
        TemporaryDatasetOutcome::Stored(record) | TemporaryDatasetOutcome::Repeated(record) => record,
        outcome => panic!("{outcome:?}"),
    }
}

async fn over_since(fixture: &Fixture, id: DatasetId, how_long: &str) {
    let sql = format!(
        "UPDATE datasets SET created_at = now() - interval '9 days', expires_at = now() - interval '{how_long}' WHERE dataset_id = '{}'",
        id.as_uuid()
    );
    fixture.database.query(&sql).await;
}

/// Submits a job whose only document is made from a dataset.
async fn submit(tenant: &TenantStore, id: DatasetId) -> JobSubmission {
    let mut new = crate::jobs::new_job(JobKind::Single, 1);
    new.datasets = vec![id];
    tenant.jobs().insert(&new, 1_000, &NOBODY).await.unwrap()
}

async fn submitted(tenant: &TenantStore, id: DatasetId) -> JobId {
    let outcome = submit(tenant, id).await;
    if let JobSubmission::Inserted(job) = outcome { job.id } else { panic!("{outcome:?}") }
}

#[tokio::test]
async fn a_dataset_is_its_tenants_alone_and_its_comings_and_goings_are_in_the_audit_log() {
    let fixture = Fixture::new().await;
    let datasets = fixture.tenant.temporary_datasets();
    let made = stored(datasets.insert(NEW, DatasetLimits::default(), &by("ann")).await.unwrap());
    assert_eq!((made.sha256, made.size_bytes, made.actor.as_str()), ([7; 32], 100, "ann"));
    assert_eq!(made.expires_at.duration_since(made.created_at), SignedDuration::from_hours(1));
    assert_eq!(datasets.get(made.id).await.unwrap().as_ref(), Some(&made));
    assert_eq!(datasets.known(&[[7; 32], [8; 32]]).await.unwrap(), [[7; 32]]);
    let elsewhere = fixture.store.tenant("elsewhere".parse().unwrap());
    let others = elsewhere.temporary_datasets();
    assert_eq!(others.get(made.id).await.unwrap(), None);
    assert_eq!(others.get_for_job(made.id).await.unwrap(), None);
    assert_eq!(others.known(&[[7; 32]]).await.unwrap(), [[0; 32]; 0]);
    assert!(datasets.delete(made.id, &by("ann")).await.unwrap());
    assert!(!datasets.delete(made.id, &by("ann")).await.unwrap());
    let log = fixture.tenant.audit().list(&store::AuditFilter::default(), 10, 0).await.unwrap().items;
    let events: Vec<&str> = log.iter().rev().map(|event| event.event.as_str()).collect();
    assert_eq!(events, ["dataset.created", "dataset.deleted"]);
}

#[tokio::test]
async fn of_many_who_upload_at_once_as_many_are_kept_as_may_be_and_not_a_byte_more() {
    let fixture = Fixture::new().await;
    let limits = DatasetLimits { most: 5, ..DatasetLimits::default() };
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let tenant = fixture.tenant.clone();
        asked.spawn(async move { tenant.temporary_datasets().insert(NEW, limits, &NOBODY).await.unwrap() });
    }
    let outcomes = asked.join_all().await;
    let full = TemporaryDatasetOutcome::Full(DatasetsFull::Number { most: 5 });
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == full).count(), 15);
    assert_eq!(fixture.database.query("SELECT count(*) FROM datasets").await, "5");

    let datasets = fixture.tenant.temporary_datasets();
    let tight = DatasetLimits { most_bytes: 600, ..DatasetLimits::default() };
    stored(datasets.insert(NEW, tight, &NOBODY).await.unwrap());
    let more = datasets.insert(NewTemporaryDataset { size_bytes: 1, ..NEW }, tight, &NOBODY).await.unwrap();
    assert_eq!(more, TemporaryDatasetOutcome::Full(DatasetsFull::Bytes { most_bytes: 600 }));
    // What is over makes room.
    fixture.database.query("UPDATE datasets SET created_at = now() - interval '2 days', expires_at = now() - interval '1 day'").await;
    stored(datasets.insert(NEW, tight, &NOBODY).await.unwrap());
}

#[tokio::test]
async fn the_same_upload_under_the_same_key_is_the_same_dataset_however_many_ask_at_once() {
    let fixture = Fixture::new().await;
    let keyed = NewTemporaryDataset { idempotency_key: Some("k-1"), ..NEW };
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let tenant = fixture.tenant.clone();
        asked.spawn(
            async move { stored(tenant.temporary_datasets().insert(keyed, DatasetLimits::default(), &by("ann")).await.unwrap()).id },
        );
    }
    let mut ids = asked.join_all().await;
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    let datasets = fixture.tenant.temporary_datasets();
    let limits = DatasetLimits::default();
    for other in [NewTemporaryDataset { sha256: [8; 32], ..keyed }, NewTemporaryDataset { life_seconds: 60, ..keyed }] {
        assert_eq!(datasets.insert(other, limits, &by("ann")).await.unwrap(), TemporaryDatasetOutcome::KeyReused);
    }
    assert_ne!(stored(datasets.insert(keyed, limits, &by("bob")).await.unwrap()).id, ids[0], "somebody else's key");
    // One that is over frees its key.
    over_since(&fixture, ids[0], "1 minute").await;
    let again = stored(datasets.insert(NewTemporaryDataset { sha256: [8; 32], ..keyed }, limits, &by("ann")).await.unwrap());
    assert_ne!(again.id, ids[0]);
}

#[tokio::test]
async fn what_is_over_is_not_there_and_goes_but_not_from_under_an_open_job() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let datasets = tenant.temporary_datasets();
    let (held, over, stays) =
        (put_temporary_dataset(tenant).await.id, put_temporary_dataset(tenant).await.id, put_temporary_dataset(tenant).await.id);
    let job = submitted(tenant, held).await;
    for id in [held, over] {
        over_since(&fixture, id, "1 day").await;
        assert_eq!(datasets.get(id).await.unwrap(), None);
        assert!(!datasets.delete(id, &NOBODY).await.unwrap());
    }
    assert!(datasets.get_for_job(held).await.unwrap().is_some());
    assert_eq!(datasets.get_for_job(over).await.unwrap(), None);
    assert!(datasets.get_for_job(stays).await.unwrap().is_some());
    let outcome = submit(tenant, over).await;
    assert!(matches!(outcome, JobSubmission::NoDataset(id) if id == over), "{outcome:?}");

    let now = Clock::system().now();
    assert_eq!(fixture.store.tenants_with_expired_datasets(now).await.unwrap(), [tenant.tenant_id().clone()]);
    assert_eq!(datasets.delete_expired(now, 10, &NOBODY).await.unwrap(), 1);
    assert!(datasets.get_for_job(held).await.unwrap().is_some());
    assert!(matches!(
        tenant.jobs().cancel(job, std::time::Duration::from_hours(1), &NOBODY).await.unwrap(),
        store::CancelJobOutcome::Cancelled(_)
    ));
    assert_eq!(datasets.get_for_job(held).await.unwrap(), None, "the job has ended");
    fixture.database.query("UPDATE tenants SET status = 'archived', archived_at = now()").await;
    assert_eq!(datasets.delete_expired(now, 10, &NOBODY).await.unwrap(), 1);
    assert!(fixture.store.tenants_with_expired_datasets(now).await.unwrap().is_empty());
    assert!(datasets.get(stays).await.unwrap().is_some());
}

#[tokio::test]
async fn what_data_is_got_with_does_not_leave_with_an_export() {
    let fixture = Fixture::new().await;
    let mut new = crate::jobs::new_job(JobKind::Single, 1);
    new.items[0].request = r#"{"template":"letter","dataUrl":"https://x.example/","dataHeaders":{"authorization":"hush"}}"#.to_owned();
    assert!(matches!(fixture.tenant.jobs().insert(&new, 10, &NOBODY).await.unwrap(), JobSubmission::Inserted(_)));
    let exported = crate::tenant_export::lines_of(&fixture, store::ExportKind::JobItems).await;
    assert!(exported.contains("x.example") && !exported.contains("hush"), "{exported}");
    put_temporary_dataset(&fixture.tenant).await;
    let exported = crate::tenant_export::lines_of(&fixture, store::ExportKind::TemporaryDatasets).await;
    assert!(exported.contains("\"ds_") && exported.contains("expiresAt"), "{exported}");
}
