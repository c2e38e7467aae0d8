//! An export is whole, comes in small pieces, and holds nothing that lets anybody in.

use std::collections::BTreeMap;

use domain::audit::AuditKind;
use domain::ids::UsageId;
use domain::{AuditEvent, TenantId};
use serde_json::{Value, json};
use store::{ExportKind, ExportOptions, NewUsage, TenantExport};

use crate::api_keys::{key_text, pepper};
use crate::fixture::{Fixture, NOBODY, any_template, by, insert};
use crate::tenant_purge::filled;
use crate::usage::render;
use crate::users::secret_of;

async fn export(fixture: &Fixture, tenant: &str, options: ExportOptions) -> TenantExport {
    let tenant: TenantId = tenant.parse().unwrap();
    fixture.store.tenants().export(&tenant, options, &by("root")).await.unwrap().expect("the tenant")
}

/// Every line by its kind, and the order in which the kinds came.
async fn read(mut export: TenantExport) -> (BTreeMap<&'static str, Vec<Value>>, Vec<ExportKind>) {
    let (mut lines, mut order) = (BTreeMap::<_, Vec<Value>>::new(), Vec::new());
    while let Some(piece) = export.next().await.unwrap() {
        assert!(piece.rows <= 500 && piece.ndjson.ends_with('\n'));
        let read: Vec<Value> = piece.ndjson.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(read.len(), piece.rows);
        lines.entry(piece.kind.as_str()).or_default().extend(read);
        order.push(piece.kind);
    }
    assert!(export.next().await.unwrap().is_none(), "the end stays the end");
    (lines, order)
}

/// All lines of one kind of the default tenant.
pub async fn lines_of(fixture: &Fixture, kind: ExportKind) -> String {
    let (lines, _) = read(export(fixture, "default", ExportOptions::default()).await).await;
    lines.get(kind.as_str()).map(|lines| serde_json::to_string(lines).unwrap()).unwrap_or_default()
}

#[tokio::test]
async fn an_export_has_every_kind_of_thing_of_its_tenant_and_of_no_other() {
    let fixture = Fixture::new().await;
    filled(&fixture, "ours", 1).await;
    filled(&fixture, "theirs", 2).await;
    let (lines, order) = read(export(&fixture, "ours", ExportOptions::default()).await).await;
    assert_eq!(order, ExportKind::ALL, "each kind fits into one piece here");
    assert_eq!(lines["tenant"][0]["id"], "ours");
    assert_eq!(lines["templates"].len(), 4, "the trash too");
    assert!(lines["templates"].iter().any(|template| template["key"] == "trash" && template["deletedAt"].is_string()));
    let versions = &lines["template-versions"];
    let second = versions.iter().find(|version| version["key"] == "letter" && version["version"] == "1.0.1").unwrap();
    assert_eq!((versions.len(), &second["definition"]), (5, &json!({"html": "second <img src='asset:logo'>"})));
    assert_eq!(lines["samples"][0]["sample"], json!({"a": 1}));
    assert_eq!((&lines["users"][0]["id"], &lines["users"][0]["active"]), (&json!("user-ours"), &json!(true)));
    assert_eq!((&lines["api-keys"][0]["scope"], &lines["api-keys"][0]["allowedIps"]), (&json!("render"), &json!(["10.0.0.0/8"])));
    assert_eq!(lines["usage"][0]["timestamp"], "2026-11-20T10:00:00.000000Z");
    let last = lines["audit"].last().unwrap();
    assert_eq!((&last["event"], &last["actor"]), (&json!("tenant.exported"), &json!("root")), "the export itself is recorded first");
    assert!(!serde_json::to_string(&lines).unwrap().contains("theirs"));
}

#[tokio::test]
async fn nothing_in_an_export_lets_anybody_in() {
    let fixture = Fixture::new().await;
    filled(&fixture, "ours", 1).await;
    let (lines, _) = read(export(&fixture, "ours", ExportOptions::default()).await).await;
    let all = serde_json::to_string(&lines).unwrap();
    let (key, user) = (pepper().mac(key_text(1).reveal()), secret_of("user-ours"));
    for mac in [key, user.mac] {
        assert!(!all.contains(&hex::encode(mac.as_bytes())));
    }
    assert!(!all.contains(key_text(1).lookup().as_str()) && !all.to_lowercase().contains("mac\":"), "{all}");
}

#[tokio::test]
async fn many_rows_come_in_many_pieces_each_once() {
    let fixture = Fixture::new().await;
    for number in 0..20 {
        any_template(&fixture.tenant, &format!("t{number}")).await;
    }
    let moments = (0..1_200_i64).map(|number| {
        // Many renders share a moment, so that pieces end within one.
        let row = render(&format!("2026-11-20T10:{:02}:00Z", number / 100));
        NewUsage { usage_id: UsageId::generate_at(row.rendered_at), ..row }
    });
    for number in 0..510 {
        fixture.tenant.audit().insert(AuditEvent::new(AuditKind::EditorTokenMinted, number), &NOBODY).await.unwrap();
    }
    fixture.store.usage().insert(&moments.collect::<Vec<_>>()).await.unwrap();
    let (lines, order) = read(export(&fixture, "default", ExportOptions::default()).await).await;
    let pieces = |kind| order.iter().filter(|piece| **piece == kind).count();
    assert_eq!((pieces(ExportKind::TemplateVersions), pieces(ExportKind::Usage)), (3, 3));
    let places: Vec<_> = lines["audit"].iter().map(|line| line["seq"].as_u64().unwrap()).collect();
    assert_eq!(places, (1..=531).collect::<Vec<_>>());
    for (kind, id, count) in [("template-versions", "templateId", 20), ("usage", "id", 1_200)] {
        let ids: std::collections::BTreeSet<_> = lines[kind].iter().map(|line| line[id].as_str().unwrap()).collect();
        assert_eq!((ids.len(), lines[kind].len()), (count, count), "{kind}");
    }
}

#[tokio::test]
async fn a_definition_leaves_as_the_text_it_came_as() {
    let fixture = Fixture::new().await;
    let definition: Value = serde_json::from_str(r#"{"z": 1.0, "a": "line\nfeed \u2028 ü", "m": {"b": [], "a": 1e3}}"#).unwrap();
    insert(&fixture.tenant, "exact", "Exact", &definition).await;
    let only = ExportOptions { kinds: vec![ExportKind::TemplateVersions], audit_since: None };
    let mut export = export(&fixture, "default", only).await;
    let piece = export.next().await.unwrap().unwrap();
    assert!(piece.ndjson.contains(&definition.to_string()), "{}", piece.ndjson);
    assert_eq!(piece.ndjson.matches('\n').count(), 1);
}

#[tokio::test]
async fn only_what_is_asked_for_comes_and_the_audit_log_from_the_time_on_that_is_asked_for() {
    let fixture = Fixture::new().await;
    any_template(&fixture.tenant, "one").await;
    any_template(&fixture.tenant, "two").await;
    let second = fixture.tenant.audit().after(&store::AuditFilter::default(), 1, 1).await.unwrap()[0].occurred_at;
    let options = ExportOptions { kinds: vec![ExportKind::Audit, ExportKind::Tenant], audit_since: Some(second) };
    let (lines, order) = read(export(&fixture, "default", options).await).await;
    assert_eq!(order, [ExportKind::Tenant, ExportKind::Audit]);
    let events: Vec<_> = lines["audit"].iter().map(|line| line["resourceId"].as_str().unwrap()).collect();
    assert_eq!(events, ["two", "default"]);
    assert_eq!(lines["audit"][1]["details"]["include"], json!(["tenant", "audit"]));
    let missing = fixture.store.tenants().export(&"missing".parse().unwrap(), ExportOptions::default(), &NOBODY).await.unwrap();
    assert!(missing.is_none());
    assert!(ExportKind::ALL.into_iter().all(|kind| ExportKind::from_word(kind.as_str()) == Some(kind)));
}
