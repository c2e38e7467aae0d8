//! A purge takes everything of a tenant away, leaves everything of the others, and the chain still tells who did it.

use std::collections::BTreeMap;

use domain::assets::{AssetContent, AssetKind};
use domain::audit::AuditKind;
use domain::label_proofs::{ProofOutcome, ProofPair};
use domain::tenants::TenantStatus;
use domain::{AuditEvent, TenantId};
use serde_json::{Value, json};
use store::{
    AssetOutcome, FolderOutcome, FolderPlace, MetaPatch, NewAsset, NewUsage, PurgeFate, PurgeOptions, PurgeOutcome, Retention,
    StatusOutcome, StoreError, TenantStore,
};

use crate::api_keys::{insert_key, key_text};
use crate::datasets::put_temporary_dataset;
use crate::documents::put_document;
use crate::fixture::{Fixture, NOBODY, any_template, by, insert, key, save, throw_away, written};
use crate::render_tokens::insert_token;
use crate::template_datasets::put_dataset;
use crate::usage::render;
use crate::users::{id, insert_user};
use crate::webhooks::put_webhook;

const NOTHING_STAYS: PurgeOptions = PurgeOptions { audit: Retention::Removed, usage: Retention::Removed };
const RECORDS_STAY: PurgeOptions = PurgeOptions { audit: Retention::Kept, usage: Retention::Kept };

/// A tenant with at least one row in every table that has rows of tenants. `number` tells two of them apart.
pub async fn filled(fixture: &Fixture, name: &str, number: u8) -> TenantStore {
    let tenant_id: TenantId = name.parse().unwrap();
    assert!(fixture.store.tenants().insert(&tenant_id, "A Customer", &NOBODY).await.unwrap());
    let tenant = fixture.store.tenant(tenant_id.clone());
    any_template(&tenant, "letter").await;
    any_template(&tenant, "address").await;
    insert(&tenant, "with-parts", "With parts", &json!({"html": "{{> address}}", "components": {"address": "address"}})).await;
    written(save(&tenant, "letter", "1.0.0", &json!({"html": "second <img src='asset:logo'>"})).await);
    let folders = tenant.template_folders();
    let FolderOutcome::Written(above) = folders.insert(&"Letters".parse().unwrap(), FolderPlace::Top, &NOBODY).await.unwrap() else {
        panic!()
    };
    let _ = folders.insert(&"Old".parse().unwrap(), FolderPlace::In(above.id), &NOBODY).await.unwrap();
    let patch = MetaPatch { folder: Some(FolderPlace::In(above.id)), ..MetaPatch::default() };
    let _ = tenant.templates().set_meta(&key("letter"), &patch, None, &NOBODY).await.unwrap();
    any_template(&tenant, "trash").await;
    throw_away(&tenant, "trash", "1.0.0").await;
    tenant.samples().put(&key("letter"), &json!({"a": 1}), &NOBODY).await.unwrap();
    put_dataset(&tenant, "letter").await;
    put_asset(&tenant).await;
    put_webhook(&tenant).await;
    put_document(&tenant, None).await;
    put_temporary_dataset(&tenant).await;
    crate::jobs::submit(&tenant, domain::jobs::JobKind::Batch, 2).await;
    let draft = store::DraftContent { base_version: "1.0.0".parse().unwrap(), definition: &json!({"html": "third"}) };
    let _ = tenant.drafts().put(&key("letter"), None, draft, &by(&format!("user-{name}"))).await.unwrap();
    let prod = store::LabelMove {
        label: &"prod".parse().unwrap(),
        version: "1.0.0".parse().unwrap(),
        split: None,
        expected: None,
        approval: store::Approval::default(),
    };
    assert!(matches!(tenant.labels().set(&key("letter"), prod, &NOBODY).await.unwrap(), store::LabelOutcome::Written(_)));
    put_proof(&tenant).await;
    crate::schedules::put_history(fixture, &tenant).await;
    insert_key(&tenant, number).await;
    insert_user(&tenant, &format!("user-{name}")).await;
    insert_token(&tenant, 5).await;
    crate::idempotency_keys::put_key(&tenant).await;
    fixture.store.usage().insert(&[NewUsage { tenant: tenant_id, ..render("2026-11-20T10:00:00Z") }]).await.unwrap();
    tenant
}

async fn put_asset(tenant: &TenantStore) {
    let content = AssetContent {
        kind: AssetKind::Image,
        original_name: "logo.png".to_owned(),
        mime_type: "image/png".to_owned(),
        size_bytes: 70,
        hash: [7; 32].into(),
        size_px: Some((1, 1)),
        font: None,
        svg_sanitized: false,
    };
    let new = NewAsset { content: &content, alt_text: None, tags: &[], folder: None };
    assert!(matches!(tenant.assets().insert(new, &NOBODY).await.unwrap(), AssetOutcome::Written(_)));
}

async fn put_proof(tenant: &TenantStore) {
    let new = store::NewLabelProof {
        label: &"prod".parse().unwrap(),
        pair: ProofPair { base: "1.0.0".parse().unwrap(), candidate: "1.0.1".parse().unwrap() },
        outcome: ProofOutcome::Changed,
        findings: &json!({"datasets": []}),
        pictures: &[store::ProofPicture { sha256: [9; 32], size_bytes: 14_000 }],
        took_ms: 900,
    };
    assert!(tenant.label_proofs().insert(&key("letter"), new, &NOBODY).await.unwrap().is_some());
}

async fn archive(fixture: &Fixture, tenant: &TenantStore) {
    let archived = fixture.store.tenants().set_status(tenant.tenant_id(), TenantStatus::Archived, &NOBODY).await.unwrap();
    assert!(matches!(archived, StatusOutcome::Done(_)));
}

/// The rows of a tenant in every table that says whose its rows are, as the database knows them.
async fn rows(fixture: &Fixture, tenant: &TenantStore) -> BTreeMap<String, u64> {
    let tables = fixture
        .database
        .query(
            "SELECT c.relname FROM information_schema.columns i JOIN pg_class c ON c.oid = i.table_name::regclass
             WHERE i.table_schema = 'public' AND i.column_name = 'tenant_id' AND NOT c.relispartition AND c.relkind IN ('r', 'p')",
        )
        .await;
    let mut rows = BTreeMap::new();
    for table in tables.lines() {
        let count = fixture.database.query(&format!("SELECT count(*) FROM {table} WHERE tenant_id = '{}'", tenant.tenant_id())).await;
        rows.insert(table.to_owned(), count.parse().unwrap());
    }
    rows
}

/// Every row of a tenant, as text.
async fn everything(fixture: &Fixture, tenant: &TenantStore) -> String {
    let mut all = String::new();
    for table in rows(fixture, tenant).await.keys() {
        let sql = format!("SELECT string_agg(r::text, ' ' ORDER BY r::text) FROM {table} r WHERE tenant_id = '{}'", tenant.tenant_id());
        all += &fixture.database.query(&sql).await;
    }
    all
}

async fn breaks(fixture: &Fixture, tenant: &TenantStore) -> Vec<String> {
    fixture.store.verify_audit_chain(tenant.tenant_id()).await.unwrap().breaks
}

async fn purged(fixture: &Fixture, tenant: &TenantStore, options: PurgeOptions) -> u64 {
    match fixture.store.tenants().purge(tenant.tenant_id(), options, &by("root")).await.unwrap() {
        PurgeOutcome::Purged { removed_rows } => removed_rows,
        other => panic!("not purged: {other:?}"),
    }
}

#[tokio::test]
async fn every_table_with_rows_of_tenants_is_counted_and_emptied_and_other_tenants_keep_theirs() {
    let fixture = Fixture::new().await;
    let (gone, stays) = (filled(&fixture, "gone", 1).await, filled(&fixture, "stays", 2).await);
    archive(&fixture, &gone).await;
    let (before, others) = (rows(&fixture, &gone).await, everything(&fixture, &stays).await);
    for (table, rows) in &before {
        assert!(*rows > 0, "`filled` writes no row into {table}: let it, and enter {table} in tenant_purge.rs and tenant_export.rs");
    }
    let preview = fixture.store.tenants().purge_preview(gone.tenant_id()).await.unwrap().unwrap();
    let counted: BTreeMap<String, u64> = preview.iter().map(|count| (count.table.to_owned(), count.rows)).collect();
    assert_eq!(counted, before, "tenant_purge.rs knows other tables than the database");
    assert!(preview.iter().all(|count| count.size_bytes >= 20 * count.rows), "{preview:?}");

    purged(&fixture, &gone, NOTHING_STAYS).await;
    for count in fixture.store.tenants().purge_preview(gone.tenant_id()).await.unwrap().unwrap() {
        let left = u64::from(matches!(count.fate, PurgeFate::Kept | PurgeFate::AsAudit));
        assert_eq!(count.rows, left, "{}", count.table);
    }
    let left = everything(&fixture, &gone).await;
    for told in ["A Customer", "user-gone", "anna", "letter", "customer 4711"] {
        assert!(!left.contains(told), "{told}: {left}");
    }
    assert_eq!(everything(&fixture, &stays).await, others);
    for tenant in [&gone, &stays] {
        assert_eq!(breaks(&fixture, tenant).await, [""; 0]);
    }
}

#[tokio::test]
async fn of_a_purged_audit_log_one_row_tells_who_purged_what() {
    let fixture = Fixture::new().await;
    let gone = filled(&fixture, "gone", 1).await;
    archive(&fixture, &gone).await;
    purged(&fixture, &gone, NOTHING_STAYS).await;
    let log = gone.audit().list(&store::AuditFilter::default(), 10, 0).await.unwrap();
    assert_eq!(log.total, 1);
    let row = &log.items[0];
    assert_eq!((row.event.as_str(), row.resource_id.as_str(), row.actor.as_str()), ("tenant.purged", "gone", "root"));
    assert_eq!((&row.details["retainAudit"], &row.details["retainUsage"]), (&json!(false), &json!(false)));
    assert_eq!(row.details["rows"]["template_versions"], json!(5));
    // Whoever takes that row away, or puts another beginning in its place, is seen.
    let sql = "UPDATE audit_chains SET removed_hash = sha256('x') WHERE tenant_id = 'gone'";
    fixture.database.query(sql).await;
    assert!(breaks(&fixture, &gone).await.contains(&format!("rows 1 to {} are gone and no purge accounts for them", row.seq - 1)));
    fixture.database.query("DELETE FROM audit_events WHERE tenant_id = 'gone'").await;
    assert!(!breaks(&fixture, &gone).await.is_empty());
}

#[tokio::test]
async fn records_that_are_to_stay_do_and_can_be_taken_away_later() {
    let fixture = Fixture::new().await;
    let gone = filled(&fixture, "gone", 1).await;
    archive(&fixture, &gone).await;
    let before = rows(&fixture, &gone).await;
    purged(&fixture, &gone, RECORDS_STAY).await;
    let after = rows(&fixture, &gone).await;
    assert_eq!((after["render_usage"], after["usage_periods"]), (before["render_usage"], before["usage_periods"]));
    assert_eq!((after["audit_events"], after["templates"]), (before["audit_events"] + 1, 0));
    assert_eq!(breaks(&fixture, &gone).await, [""; 0]);

    assert_eq!(purged(&fixture, &gone, RECORDS_STAY).await, 0, "again");
    assert_eq!(rows(&fixture, &gone).await, after, "nothing is recorded twice");
    let usage_only = PurgeOptions { audit: Retention::Kept, usage: Retention::Removed };
    assert_eq!(purged(&fixture, &gone, usage_only).await, before["render_usage"]);
    assert_eq!(rows(&fixture, &gone).await["audit_events"], after["audit_events"] + 1);
    purged(&fixture, &gone, PurgeOptions { audit: Retention::Removed, usage: Retention::Kept }).await;
    let log = gone.audit().list(&store::AuditFilter::default(), 10, 0).await.unwrap();
    assert_eq!((log.total, &log.items[0].details["retainUsage"]), (1, &json!(false)), "what went does not come back by a later wish");
    assert_eq!(breaks(&fixture, &gone).await, [""; 0]);
}

#[tokio::test]
async fn only_an_archived_tenant_can_be_purged_and_the_default_one_never() {
    let fixture = Fixture::new().await;
    let active = filled(&fixture, "active", 1).await;
    let before = everything(&fixture, &active).await;
    let tenants = fixture.store.tenants();
    let outcome = tenants.purge(active.tenant_id(), NOTHING_STAYS, &NOBODY).await.unwrap();
    assert_eq!(outcome, PurgeOutcome::NotFrom(TenantStatus::Active));
    assert_eq!(everything(&fixture, &active).await, before);
    let missing: TenantId = "missing".parse().unwrap();
    assert_eq!(tenants.purge(&missing, NOTHING_STAYS, &NOBODY).await.unwrap(), PurgeOutcome::NotFound);
    assert_eq!(tenants.purge_preview(&missing).await.unwrap(), None);
    archive(&fixture, &fixture.tenant).await;
    assert_eq!(tenants.purge(&TenantId::default_tenant(), NOTHING_STAYS, &NOBODY).await.unwrap(), PurgeOutcome::Forbidden);
}

#[tokio::test]
async fn a_purged_tenant_is_gone_for_good_and_nobody_gets_its_id() {
    let fixture = Fixture::new().await;
    let gone = filled(&fixture, "gone", 1).await;
    archive(&fixture, &gone).await;
    purged(&fixture, &gone, RECORDS_STAY).await;
    let tenants = fixture.store.tenants();
    let back = tenants.set_status(gone.tenant_id(), TenantStatus::Active, &NOBODY).await.unwrap();
    assert_eq!(back, StatusOutcome::NotFrom(TenantStatus::Purged));
    assert!(!tenants.insert(gone.tenant_id(), "Another", &NOBODY).await.unwrap());
    assert_eq!(tenants.update(gone.tenant_id(), Some("Another"), None, &NOBODY).await.unwrap(), None);
    let found = tenants.get(gone.tenant_id()).await.unwrap().unwrap();
    assert_eq!((found.status, found.name.as_str()), (TenantStatus::Purged, "gone"));
    assert!(fixture.store.api_key_by_lookup(&key_text(1).lookup()).await.unwrap().is_none());
    assert!(fixture.store.tenant(gone.tenant_id().clone()).users().credential(&id("user-gone")).await.unwrap().is_none());
    let refused = gone.samples().put(&key("letter"), &json!({}), &NOBODY).await;
    assert!(matches!(refused, Ok(false) | Err(StoreError::TenantArchived)), "{refused:?}");
}

#[tokio::test]
async fn a_purge_that_was_cut_off_leaves_a_chain_that_verifies_and_is_finished_by_the_next() {
    let fixture = Fixture::new().await;
    let gone = filled(&fixture, "gone", 1).await;
    for number in 0..1_050 {
        gone.audit().insert(AuditEvent::new(AuditKind::EditorTokenMinted, number), &NOBODY).await.unwrap();
    }
    archive(&fixture, &gone).await;
    let stop = "CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''stop''; END';
                CREATE TRIGGER stop BEFORE DELETE ON audit_events FOR EACH ROW WHEN (OLD.seq > 1010) EXECUTE FUNCTION stop()";
    fixture.database.query(stop).await;
    let failed = fixture.store.tenants().purge(gone.tenant_id(), NOTHING_STAYS, &by("root")).await;
    assert!(matches!(failed, Err(StoreError::Unexpected { .. })), "{failed:?}");
    let halfway = rows(&fixture, &gone).await;
    assert!((50..200).contains(&halfway["audit_events"]) && halfway["templates"] == 0, "{halfway:?}");
    assert_eq!(breaks(&fixture, &gone).await, [""; 0]);
    // The rows that are still there are still proven.
    let alter =
        "ALTER TABLE audit_events DISABLE TRIGGER USER; UPDATE audit_events SET actor = 'eve' WHERE tenant_id = 'gone' AND seq = 1020;
                 ALTER TABLE audit_events ENABLE TRIGGER USER";
    let back = alter.replace("'eve'", "'system:test'");
    fixture.database.query(alter).await;
    assert_eq!(breaks(&fixture, &gone).await.len(), 1);
    fixture.database.query(&back).await;

    fixture.database.query("DROP TRIGGER stop ON audit_events").await;
    // The wish to keep the log comes too late: what was recorded is what happens.
    purged(&fixture, &gone, RECORDS_STAY).await;
    let log = gone.audit().list(&store::AuditFilter::default(), 10, 0).await.unwrap();
    assert_eq!((log.total, log.items[0].event.as_str()), (1, "tenant.purged"));
    assert_eq!(log.items[0].details["rows"]["audit_events"].as_u64().map(|rows| rows > 1_050), Some(true));
    assert_ne!(log.items[0].details["throughHash"], Value::Null);
    assert_eq!(breaks(&fixture, &gone).await, [""; 0]);
}
