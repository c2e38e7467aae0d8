//! The audit log: every change leaves a row in its own transaction, and nobody takes one out unseen.

use domain::audit::AuditKind;
use domain::tenants::TenantStatus;
use domain::{AuditEvent, TenantId};
use serde_json::json;
use store::{AuditFilter, Purge, StatusOutcome, StoreError};

use crate::fixture::{Fixture, NOBODY, any_template, by, content, key, save, throw_away_as, unsigned, version, written};

/// Each row as `seq event resource actor`.
async fn told(fixture: &Fixture) -> Vec<String> {
    let page = fixture.tenant.audit().list(&AuditFilter::default(), 500, 0).await.unwrap();
    assert_eq!(page.total, page.items.len() as u64);
    page.items.iter().rev().map(|row| format!("{} {} {} {}", row.seq, row.event, row.resource_id, row.actor)).collect()
}

async fn breaks(fixture: &Fixture) -> Vec<String> {
    fixture.store.verify_audit_chain(&TenantId::default_tenant()).await.unwrap().breaks
}

/// Rows 1 to 5, of ann and bob by turns.
async fn five_rows() -> Fixture {
    let fixture = Fixture::new().await;
    for (index, name) in ["ann", "bob", "ann", "bob", "ann"].into_iter().enumerate() {
        let event = AuditEvent::new(AuditKind::EditorTokenMinted, index).with("index", index);
        fixture.tenant.audit().insert(event, &by(name)).await.unwrap();
    }
    fixture
}

/// Does what only somebody with the database's own password can do.
async fn behind_our_back(fixture: &Fixture, sql: &str) {
    let sql = format!("ALTER TABLE audit_events DISABLE TRIGGER USER; {sql}; ALTER TABLE audit_events ENABLE TRIGGER USER");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut fixture.bystander().await).await.unwrap();
}

/// What a purge of a person does to a row, but for the place of the purge.
const BLANK: &str = "UPDATE audit_events SET actor = '', resource_id = '', scope = NULL, request_id = NULL, details = '{}',";

/// Puts a row into a tenant's log at some place, without a chain.
async fn forge(fixture: &Fixture, tenant: &str, seq: i64) {
    let sql = format!(
        "INSERT INTO audit_events (tenant_id, seq, event_id, occurred_at, event, operation, resource_type, resource_id, actor,
                                   instance_id, details, content_hash, chain_hash)
         VALUES ('{tenant}', {seq}, gen_random_uuid(), now() + interval '1 hour', 'template.created', 'create', 'template', 'forged', 'ann',
                 'i', '{{}}', sha256('x'), sha256('y'))"
    );
    behind_our_back(fixture, &sql).await;
}

fn tenant(text: &str) -> TenantId {
    text.parse().unwrap()
}

#[tokio::test]
async fn every_change_of_a_template_is_one_row_that_says_who_and_what() {
    let fixture = Fixture::new().await;
    let ann = by("ann");
    any_template(&fixture.tenant, "letter").await;
    written(save(&fixture.tenant, "letter", "1.0.0", &json!({"html": "2"})).await);
    let _ = fixture.tenant.template_versions().restore(&key("letter"), version("1.0.1"), version("1.0.0"), unsigned()).await.unwrap();
    fixture.tenant.template_versions().set_change_note(&key("letter"), version("1.0.0"), Some("x"), &ann).await.unwrap();
    fixture.tenant.samples().put(&key("letter"), &json!({}), &ann).await.unwrap();
    fixture.tenant.samples().delete(&key("letter"), &ann).await.unwrap();
    throw_away_as(&fixture.tenant, "letter", "1.0.2", &ann).await;
    let expected = [
        "1 template.created letter system:test",
        "2 template.updated letter system:test",
        "3 template.restored letter system:test",
        "4 template.note-changed letter ann",
        "5 template.sample-saved letter ann",
        "6 template.sample-deleted letter ann",
        "7 template.deleted letter ann",
    ];
    assert_eq!(told(&fixture).await, expected);
    assert_eq!(breaks(&fixture).await, [""; 0]);
    let newest = &fixture.tenant.audit().list(&AuditFilter::default(), 1, 0).await.unwrap().items[0];
    assert_eq!((newest.scope.as_deref(), newest.request_id), (Some("editor"), ann.request_id.map(domain::ids::RequestId::as_uuid)));
    assert_eq!(newest.details, json!({"version": "1.0.2"}));
}

#[tokio::test]
async fn a_change_that_did_not_happen_leaves_no_row() {
    let fixture = Fixture::new().await;
    let definition = json!({});
    let stale = fixture.tenant.templates().update(&key("x"), version("1.0.0"), content("x", &definition), unsigned()).await;
    assert_eq!(stale.unwrap(), store::UpdateOutcome::NotFound);
    assert!(!fixture.tenant.samples().put(&key("x"), &json!({}), &NOBODY).await.unwrap());
    assert_eq!(told(&fixture).await, [""; 0]);
}

#[tokio::test]
async fn changes_at_the_same_moment_form_one_chain() {
    let fixture = Fixture::new().await;
    let other = fixture.replica().await;
    let writes = (0..40).map(|index| {
        let store = if index % 2 == 0 { &fixture.store } else { &other };
        let tenant = store.tenant(TenantId::default_tenant());
        async move { any_template(&tenant, &format!("t{index}")).await }
    });
    let tasks: Vec<_> = writes.map(tokio::spawn).collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(told(&fixture).await.len(), 40);
    assert_eq!(breaks(&fixture).await, [""; 0]);
}

#[tokio::test]
async fn filters_find_what_they_say() {
    let fixture = five_rows().await;
    let audit = fixture.tenant.audit();
    let of_ann = AuditFilter { actor: Some("ann".to_owned()), ..AuditFilter::default() };
    assert_eq!(audit.count(&of_ann).await.unwrap(), 3);
    let page = audit.list(&of_ann, 2, 0).await.unwrap();
    assert_eq!((page.total, page.items.len(), page.items[0].seq), (3, 2, 5));
    let none = AuditFilter { until: Some(page.items[1].occurred_at), since: Some(page.items[0].occurred_at), ..AuditFilter::default() };
    assert_eq!(audit.count(&none).await.unwrap(), 0);
    let third = AuditFilter { resource_id: Some("2".to_owned()), ..AuditFilter::default() };
    assert_eq!(audit.after(&third, 0, 10).await.unwrap()[0].seq, 3);
}

#[tokio::test]
async fn a_row_altered_behind_the_servers_back_is_found() {
    let fixture = five_rows().await;
    behind_our_back(&fixture, "UPDATE audit_events SET actor = 'eve' WHERE seq = 3").await;
    assert_eq!(breaks(&fixture).await, ["row 3 (editor_token_minted of 2) was altered"]);
}

#[tokio::test]
async fn a_row_removed_behind_the_servers_back_is_found_wherever_it_was() {
    for (removed, found) in [
        ("seq = 3", "rows 3 to 3 are missing"),
        ("seq = 1", "rows 1 to 1 are missing"),
        ("seq = 5", "rows 5 to 5 are missing at the end"),
        ("true", "rows 1 to 5 are missing at the end"),
    ] {
        let fixture = five_rows().await;
        behind_our_back(&fixture, &format!("DELETE FROM audit_events WHERE {removed}")).await;
        assert_eq!(breaks(&fixture).await, [found], "{removed}");
    }
}

#[tokio::test]
async fn a_row_whose_own_hashes_were_made_to_fit_breaks_the_next_link() {
    let fixture = five_rows().await;
    behind_our_back(&fixture, "UPDATE audit_events SET chain_hash = sha256('x') WHERE seq = 3").await;
    assert_eq!(breaks(&fixture).await, ["row 3 does not follow the row before it", "row 4 does not follow the row before it"]);
}

#[tokio::test]
async fn a_purge_by_time_removes_the_beginning_and_accounts_for_it() {
    let fixture = five_rows().await;
    let rows = fixture.tenant.audit().after(&AuditFilter::default(), 0, 10).await.unwrap();
    let purge = Purge::Before(rows[3].occurred_at);
    assert_eq!(fixture.tenant.audit().purge(&purge, AuditKind::AuditPurged, &by("root")).await.unwrap(), 3);
    let left: Vec<i64> = fixture.tenant.audit().after(&AuditFilter::default(), 0, 10).await.unwrap().iter().map(|row| row.seq).collect();
    assert_eq!(left, [4, 5, 6]);
    assert_eq!(breaks(&fixture).await, [""; 0]);
    // Claiming a purge that never was does not help.
    behind_our_back(
        &fixture,
        "DELETE FROM audit_events WHERE seq = 4; UPDATE audit_chains SET removed_seq = 4, removed_hash = sha256('x')",
    )
    .await;
    assert!(breaks(&fixture).await.iter().any(|found| found == "rows 1 to 4 are gone and no purge accounts for them"));
}

#[tokio::test]
async fn a_purge_of_a_person_forgets_what_they_did_and_keeps_the_chain() {
    let fixture = five_rows().await;
    assert_eq!(fixture.tenant.audit().purge(&Purge::Of("ann".to_owned()), AuditKind::AuditPurged, &by("root")).await.unwrap(), 3);
    let everything = fixture.database.query("SELECT string_agg(t::text, ' ') FROM audit_events t").await;
    assert!(!everything.contains("ann"), "{everything}");
    assert_eq!(told(&fixture).await.len(), 3);
    let report = fixture.store.verify_audit_chain(&TenantId::default_tenant()).await.unwrap();
    assert_eq!((report.breaks, report.rows, report.blanked), (vec![], 6, 3));
    // Whoever blanks a row of bob's in the name of that purge is seen.
    behind_our_back(&fixture, &format!("{BLANK} blanked_by = 6 WHERE seq = 2")).await;
    assert_eq!(breaks(&fixture).await, ["row 2 was blanked in the name of row 6, which does not account for it"]);
}

#[tokio::test]
async fn a_purge_of_a_person_names_the_places_and_not_the_person() {
    let fixture = five_rows().await;
    fixture.tenant.audit().purge(&Purge::Of("ann".to_owned()), AuditKind::AuditPurged, &by("root")).await.unwrap();
    let newest = &fixture.tenant.audit().list(&AuditFilter::default(), 1, 0).await.unwrap().items[0];
    assert_eq!(newest.details, json!({"blanked": 3, "blankedSeqs": "1,3,5"}));
}

#[tokio::test]
async fn a_row_blanked_in_the_name_of_an_old_purge_is_found_when_rows_of_that_purge_have_gone_by_age() {
    let fixture = five_rows().await;
    let audit = fixture.tenant.audit();
    audit.purge(&Purge::Of("ann".to_owned()), AuditKind::AuditPurged, &by("root")).await.unwrap();
    let fourth = fixture.database.query("SELECT occurred_at FROM audit_events WHERE seq = 4").await;
    audit.purge(&Purge::Before(fourth.parse().unwrap()), AuditKind::AuditExpired, &NOBODY).await.unwrap();
    assert_eq!(breaks(&fixture).await, [""; 0]);
    // Of three rows two are gone: one more is still fewer than the purge counted.
    behind_our_back(&fixture, &format!("{BLANK} blanked_by = 6 WHERE seq = 4")).await;
    assert_eq!(breaks(&fixture).await, ["row 4 was blanked in the name of row 6, which does not account for it"]);
}

#[tokio::test]
async fn a_blanked_row_says_nothing_is_older_than_its_purge_and_stays_blank() {
    for (change, found) in [
        ("UPDATE audit_events SET actor = 'eve' WHERE seq = 3", "row 3 was blanked and still says something"),
        ("UPDATE audit_events SET details = '{\"a\": 1}' WHERE seq = 3", "row 3 was blanked and still says something"),
        ("UPDATE audit_events SET scope = 'admin' WHERE seq = 3", "row 3 was blanked and still says something"),
        ("UPDATE audit_events SET blanked_by = 2 WHERE seq = 3", "row 3 was blanked in the name of row 2, which is not after it"),
        ("UPDATE audit_events SET blanked_by = 7 WHERE seq = 3", "row 3 was blanked in the name of row 7, which does not account for it"),
        ("UPDATE audit_events SET blanked_by = 7 WHERE seq = 3", "row 6 says that row 3 was blanked, and that is not so"),
    ] {
        let fixture = five_rows().await;
        fixture.tenant.audit().purge(&Purge::Of("ann".to_owned()), AuditKind::AuditPurged, &by("root")).await.unwrap();
        fixture.tenant.audit().insert(AuditEvent::new(AuditKind::EditorTokenMinted, 7), &NOBODY).await.unwrap();
        assert_eq!(breaks(&fixture).await, [""; 0]);
        behind_our_back(&fixture, change).await;
        let breaks = breaks(&fixture).await;
        assert!(breaks.iter().any(|broken| broken == found), "{change}: {breaks:?}");
    }
}

#[tokio::test]
async fn a_row_forged_outside_the_chain_or_beside_another_is_found() {
    let fixture = five_rows().await;
    let fourth = fixture.database.query("SELECT occurred_at FROM audit_events WHERE seq = 4").await;
    fixture.tenant.audit().purge(&Purge::Before(fourth.parse().unwrap()), AuditKind::AuditExpired, &NOBODY).await.unwrap();
    assert_eq!(breaks(&fixture).await, [""; 0]);
    forge(&fixture, "default", 9).await;
    assert_eq!(breaks(&fixture).await, ["row 9 lies outside the chain, which is 4 to 6"]);
    forge(&fixture, "default", 12).await;
    forge(&fixture, "default", 2).await;
    let outside = ["row 2 lies outside the chain, which is 4 to 6", "2 rows (9 to 12) lie outside the chain, which is 4 to 6"];
    assert_eq!(breaks(&fixture).await, outside);
    fixture.database.query("DELETE FROM audit_events WHERE seq NOT BETWEEN 4 AND 6").await;
    assert_eq!(breaks(&fixture).await, [""; 0]);
    forge(&fixture, "default", 4).await;
    assert_eq!(breaks(&fixture).await, ["row 4 is there more than once"]);
}

#[tokio::test]
async fn a_log_whose_end_was_taken_away_is_broken_and_not_passed_over() {
    let fixture = five_rows().await;
    let tenants = fixture.store.tenants();
    assert!(tenants.insert(&tenant("acme"), "Acme", &NOBODY).await.unwrap());
    assert!(tenants.insert(&tenant("bare"), "Bare", &NOBODY).await.unwrap());
    fixture
        .database
        .query("DELETE FROM audit_chains WHERE tenant_id <> 'default'; DELETE FROM audit_events WHERE tenant_id = 'bare'")
        .await;
    forge(&fixture, "nobodys", 1).await;
    let all: Vec<String> = fixture.store.audit_chains().await.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(all, ["acme", "bare", "default", "nobodys"]);
    let gone = "the end of the chain is gone";
    let stray = "row 1 lies outside the chain, which is empty";
    for (whose, found) in [("acme", vec![gone, stray]), ("bare", vec![gone]), ("default", vec![]), ("nobodys", vec![gone, stray])] {
        assert_eq!(fixture.store.verify_audit_chain(&tenant(whose)).await.unwrap().breaks, found, "{whose}");
    }
    let nobody = fixture.store.verify_audit_chain(&tenant("unheard-of")).await;
    assert!(matches!(nobody, Err(StoreError::NoSuchTenant)), "{nobody:?}");
}

#[tokio::test]
async fn writes_and_purges_during_a_check_are_no_false_alarm() {
    let fixture = five_rows().await;
    let replica = fixture.replica().await;
    let writer = tokio::spawn(async move {
        let writing = replica.tenant(TenantId::default_tenant());
        for round in 0..40 {
            let newest = writing.audit().list(&AuditFilter::default(), 1, 0).await.unwrap().items[0].occurred_at;
            for (index, name) in ["ann", "bob", "ann"].into_iter().enumerate() {
                writing.audit().insert(AuditEvent::new(AuditKind::EditorTokenMinted, index), &by(name)).await.unwrap();
            }
            let purge = if round % 2 == 0 { Purge::Of("ann".to_owned()) } else { Purge::Before(newest) };
            writing.audit().purge(&purge, AuditKind::AuditPurged, &by("root")).await.unwrap();
        }
    });
    let mut checks = 0;
    while !writer.is_finished() {
        assert_eq!(breaks(&fixture).await, [""; 0]);
        checks += 1;
    }
    writer.await.unwrap();
    assert!(checks > 1, "the writes were over too soon");
}

#[tokio::test]
async fn the_removal_of_rows_some_of_which_were_blanked_is_no_theft() {
    let fixture = five_rows().await;
    let audit = fixture.tenant.audit();
    audit.purge(&Purge::Of("ann".to_owned()), AuditKind::AuditPurged, &by("root")).await.unwrap();
    let fourth = fixture.database.query("SELECT occurred_at FROM audit_events WHERE seq = 4").await;
    audit.purge(&Purge::Before(fourth.parse().unwrap()), AuditKind::AuditExpired, &NOBODY).await.unwrap();
    let report = fixture.store.verify_audit_chain(&TenantId::default_tenant()).await.unwrap();
    assert_eq!((report.breaks, report.blanked, report.removed_through), (vec![], 1, 3));
}

#[tokio::test]
async fn who_purged_cannot_have_that_forgotten() {
    let fixture = five_rows().await;
    let (audit, root) = (fixture.tenant.audit(), by("root"));
    audit.purge(&Purge::Of("ann".to_owned()), AuditKind::AuditPurged, &root).await.unwrap();
    audit.insert(AuditEvent::new(AuditKind::EditorTokenMinted, 6), &root).await.unwrap();
    assert_eq!(audit.purge(&Purge::Of("root".to_owned()), AuditKind::AuditPurged, &root).await.unwrap(), 1);
    assert_eq!(breaks(&fixture).await, [""; 0]);
}

#[tokio::test]
async fn an_archived_tenant_takes_no_write_and_says_why() {
    let fixture = Fixture::new().await;
    let (tenants, default) = (fixture.store.tenants(), TenantId::default_tenant());
    any_template(&fixture.tenant, "letter").await;
    assert!(matches!(tenants.set_status(&default, TenantStatus::Archived, &NOBODY).await.unwrap(), StatusOutcome::Done(_)));
    let definition = json!({});
    let refused = fixture.tenant.templates().update(&key("letter"), version("1.0.0"), content("x", &definition), unsigned()).await;
    assert!(matches!(refused, Err(StoreError::TenantArchived)), "{refused:?}");
    assert!(fixture.tenant.templates().get(&key("letter")).await.unwrap().is_some(), "it can be read");
    assert_eq!(tenants.set_status(&default, TenantStatus::Purged, &NOBODY).await.unwrap(), StatusOutcome::NotFrom(TenantStatus::Archived));
    assert!(matches!(tenants.set_status(&default, TenantStatus::Active, &NOBODY).await.unwrap(), StatusOutcome::Done(_)));
    written(save(&fixture.tenant, "letter", "1.0.0", &definition).await);
    assert_eq!(told(&fixture).await.len(), 4);
    assert_eq!(breaks(&fixture).await, [""; 0]);
}

#[tokio::test]
async fn an_audit_row_cannot_be_changed_by_a_statement_of_ours() {
    let fixture = five_rows().await;
    let mut bystander = fixture.bystander().await;
    let refused = sqlx::query("UPDATE audit_events SET actor = 'eve' WHERE seq = 3").execute(&mut bystander).await;
    assert!(refused.unwrap_err().to_string().contains("immutable"));
}
