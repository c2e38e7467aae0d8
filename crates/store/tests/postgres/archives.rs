//! An archive and a write at the same moment: the one that gets the tenant's chain second finds what the first one did.

use domain::TenantId;
use domain::tenants::TenantStatus;
use serde_json::json;
use sqlx::{Connection as _, Row as _};
use store::{InsertOutcome, NewTemplate, StatusOutcome, StoreError};

use crate::fixture::{Fixture, NOBODY, content, eventually, key, unsigned};

/// Waits until so many sessions of this database wait for a lock.
async fn waiting(fixture: &Fixture, count: i64) {
    let mut bystander = fixture.bystander().await;
    eventually("sessions that wait", async || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let row = sqlx::query(sql).fetch_one(&mut bystander).await.unwrap();
        (row.get::<i64, _>(0) == count).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_waited_while_its_tenant_was_archived_does_not_commit() {
    let fixture = Fixture::new().await;
    let mut holder = fixture.bystander().await;
    let mut held = holder.begin().await.unwrap();
    sqlx::query("SELECT 1 FROM audit_chains WHERE tenant_id = 'default' FOR UPDATE").execute(&mut *held).await.unwrap();

    let store = fixture.store.clone();
    let archive = tokio::spawn(async move {
        let archived = store.tenants().set_status(&TenantId::default_tenant(), TenantStatus::Archived, &NOBODY).await;
        assert!(matches!(archived, Ok(StatusOutcome::Done(_))), "{archived:?}");
    });
    waiting(&fixture, 1).await;
    let tenant = fixture.tenant.clone();
    let write = tokio::spawn(async move {
        let definition = json!({});
        let new = NewTemplate { key: &key("late"), content: content("Late", &definition), tags: &[], owner: None };
        let written: Result<InsertOutcome, StoreError> = tenant.templates().insert(new, unsigned()).await;
        written
    });
    waiting(&fixture, 2).await;
    held.rollback().await.unwrap();
    archive.await.unwrap();
    let refused = write.await.unwrap();
    assert!(matches!(refused, Err(StoreError::TenantArchived)), "{refused:?}");
    assert_eq!(fixture.database.query("SELECT string_agg(event, ' ') FROM audit_events").await, "tenant.archived");
}
