//! What the duties of the product do: exactly what is too old goes, accounted for, and nothing where they are switched off.

use std::num::NonZeroU32;

use domain::audit::AuditKind;
use domain::ids::UsageId;
use domain::templates::TemplateVersion;
use domain::usage::{RenderMode, RenderOutcome, UsageMetadata};
use domain::{Actor, AuditEvent, Clock, Month, TenantId};
use jiff::Timestamp;
use store::{Approval, AuditFilter, CancelOutcome, LabelMove, LabelOutcome, LabelThen, NewUsage, PartitionedTable, ScheduleOutcome, Store};
use testkit::postgres::TestDatabase;
use tokio::time::Instant;
use worker::{Options, Participation, duties, make_months};

use crate::fixture::{PATIENCE, QUICK, at, database, days_ago, default_tenant, replica, start, until};

const DAYS: Option<NonZeroU32> = NonZeroU32::new(90);
/// No duty at all.
pub const NOTHING: Options = Options {
    partitions: Participation::LeavesAlone,
    audit_days: None,
    usage_days: None,
    trash_days: None,
    proof_days: None,
    delivery_days: None,
    schedule_days: None,
    label_history_days: None,
    documents: Participation::LeavesAlone,
    datasets: Participation::LeavesAlone,
    job_retention: Participation::LeavesAlone,
    expired: Participation::LeavesAlone,
    label_moves: Participation::LeavesAlone,
};

/// Lets the duties of these options run once, on a replica with the right time.
async fn run_once(database: &TestDatabase, options: Options) {
    let store = replica(database, "worker").await;
    let duties = duties(options);
    assert!(!duties.is_empty());
    let names: Vec<&str> = duties.iter().map(worker::Duty::name).collect();
    for name in &names {
        store.duties().insert(name).await.unwrap();
    }
    database.query("UPDATE duties SET next_run_at = now(), last_run_at = NULL, last_outcome = NULL").await;
    let loops = start(&store, QUICK, duties);
    for name in names {
        until(database, &format!("SELECT last_outcome FROM duties WHERE duty = '{name}'"), "succeeded").await;
    }
    loops.stop(Instant::now() + PATIENCE).await;
}

/// Writes an event of a tenant as it would have been written so many days ago.
async fn event(database: &TestDatabase, days: i64, tenant: &TenantId, what: &str) {
    let store = at(database, "past", days_ago(days)).await;
    let event = AuditEvent::new(AuditKind::EditorTokenMinted, what);
    store.tenant(tenant.clone()).audit().insert(event, &Actor::system("test")).await.unwrap();
    store.close().await;
}

/// Makes the months in which events and renders of so many days ago lie.
async fn month_of(store: &Store, table: PartitionedTable, days: i64) -> Month {
    let month = Month::of(days_ago(days).now());
    store.partitions(table).ensure_from(month, 0).await.unwrap();
    month
}

async fn resources(store: &Store, tenant: &TenantId) -> Vec<String> {
    let rows = store.tenant(tenant.clone()).audit().after(&AuditFilter::default(), 0, 1_000).await.unwrap();
    rows.iter().map(|row| format!("{} {}", row.event, row.resource_id)).collect()
}

async fn breaks(store: &Store, tenant: &TenantId) -> Vec<String> {
    store.verify_audit_chain(tenant).await.unwrap().breaks
}

fn render(moment: Timestamp) -> NewUsage {
    NewUsage {
        tenant: default_tenant(),
        usage_id: UsageId::generate_at(moment),
        rendered_at: moment,
        actor: None,
        template: None,
        version: None,
        label: None,
        format: "pdf",
        mode: RenderMode::Single,
        outcome: RenderOutcome::Succeeded,
        duration_ms: 10,
        pages: 1,
        size_bytes: 1_000,
        data_sha256: None,
        output_sha256: None,
        metadata: UsageMetadata::default(),
        correlation_id: None,
    }
}

#[tokio::test]
async fn audit_events_that_are_older_go_with_their_months_and_the_chain_of_every_tenant_stays_whole() {
    let database = database().await;
    let store = replica(&database, "reader").await;
    let (default, acme) = (default_tenant(), "acme".parse::<TenantId>().unwrap());
    let old = at(&database, "past", days_ago(400)).await;
    old.tenants().insert(&acme, "Acme", &Actor::system("test")).await.unwrap();
    let months = [month_of(&store, PartitionedTable::AuditEvents, 200).await, month_of(&store, PartitionedTable::AuditEvents, 130).await];
    // The first ones lie in no month that was made: they are in the default partition.
    for (days, what) in [(300, "a"), (200, "b"), (130, "c"), (91, "d"), (89, "e"), (0, "f")] {
        event(&database, days, &default, what).await;
    }
    event(&database, 130, &acme, "x").await;
    make_months(&store).await.unwrap();

    run_once(&database, Options { audit_days: DAYS, ..NOTHING }).await;
    let kept = ["editor_token_minted e", "editor_token_minted f", "audit.expired default"];
    assert_eq!(resources(&store, &default).await, kept);
    assert_eq!(resources(&store, &acme).await, ["audit.expired acme"]);
    for tenant in [&default, &acme] {
        assert_eq!(breaks(&store, tenant).await, [""; 0], "{tenant}");
    }
    let left = store.partitions(PartitionedTable::AuditEvents).list().await.unwrap();
    assert!(months.iter().all(|month| !left.contains(month)), "{left:?}");
    assert!(left.contains(&Month::of(Clock::system().now())), "{left:?}");
    let told = store.tenant(default.clone()).audit().after(&AuditFilter::default(), 0, 10).await.unwrap().pop().unwrap();
    assert_eq!((told.actor.as_str(), &told.details["count"]), ("system:audit-retention", &4.into()));

    // A second run finds nothing, and says nothing.
    run_once(&database, Options { audit_days: DAYS, ..NOTHING }).await;
    assert_eq!(resources(&store, &default).await, kept);
    // What goes without the server's knowledge is still missed, at the new beginning too.
    database.query("DELETE FROM audit_events WHERE tenant_id = 'default' AND resource_id = 'e'").await;
    assert_eq!(breaks(&store, &default).await, ["rows 5 to 5 are missing"]);
}

#[tokio::test]
async fn the_log_of_a_tenant_at_rest_gets_no_row_a_day_from_its_own_retention() {
    let database = database().await;
    let store = replica(&database, "reader").await;
    // As a retention left it that ran 95 days ago, and 150 days ago.
    let old = at(&database, "past", days_ago(300)).await;
    old.tenant(default_tenant()).audit().insert(AuditEvent::new(AuditKind::EditorTokenMinted, "a"), &Actor::system("t")).await.unwrap();
    let expire = async |days: i64| {
        let then = at(&database, "past", days_ago(days)).await;
        let purge = store::Purge::Before(then_minus(days));
        then.tenant(default_tenant()).audit().purge(&purge, AuditKind::AuditExpired, &Actor::system("t")).await.unwrap()
    };
    assert_eq!(expire(95).await, 1);
    let newest_kept = Month::of(days_ago(90).now());
    let same_month = Month::of(days_ago(95).now()) == newest_kept;
    run_once(&database, Options { audit_days: DAYS, ..NOTHING }).await;
    let through = database.query("SELECT removed_seq, last_seq FROM audit_chains WHERE tenant_id = 'default'").await;
    // It goes when its month is over, and not before.
    assert_eq!(through, if same_month { "1|2" } else { "2|3" });
    assert_eq!(breaks(&store, &default_tenant()).await, [""; 0]);
}

fn then_minus(days: i64) -> Timestamp {
    days_ago(days + 90).now()
}

#[tokio::test]
async fn a_theft_is_still_found_after_the_rows_around_it_became_too_old() {
    let database = database().await;
    let store = replica(&database, "reader").await;
    for (days, what) in [(300, "a"), (200, "b"), (100, "c"), (1, "d")] {
        event(&database, days, &default_tenant(), what).await;
    }
    database.query("DELETE FROM audit_events WHERE resource_id = 'b'").await;
    run_once(&database, Options { audit_days: DAYS, ..NOTHING }).await;
    assert_eq!(resources(&store, &default_tenant()).await, ["editor_token_minted d", "audit.expired default"]);
    assert_eq!(breaks(&store, &default_tenant()).await, ["of the rows that were removed up to 3, 1 were missing before"]);
}

#[tokio::test]
async fn a_month_of_audit_events_that_is_not_empty_is_never_dropped() {
    let database = database().await;
    let store = replica(&database, "reader").await;
    let partitions = store.partitions(PartitionedTable::AuditEvents);
    let month = month_of(&store, PartitionedTable::AuditEvents, 200).await;
    event(&database, 200, &default_tenant(), "a").await;
    assert_eq!(partitions.drop_before(days_ago(90).now()).await.unwrap(), []);
    assert_eq!(partitions.list().await.unwrap(), [month]);
    assert_eq!(breaks(&store, &default_tenant()).await, [""; 0]);
}

#[tokio::test]
async fn records_of_renders_that_are_older_go_with_their_months_and_their_sums_stay() {
    let database = database().await;
    let store = replica(&database, "reader").await;
    let old_month = month_of(&store, PartitionedTable::RenderUsage, 200).await;
    make_months(&store).await.unwrap();
    let rows: Vec<NewUsage> = [300, 200, 91, 89, 0].into_iter().map(|days| render(days_ago(days).now())).collect();
    store.usage().insert(&rows).await.unwrap();
    run_once(&database, Options { usage_days: DAYS, ..NOTHING }).await;
    let count = "SELECT count(*), min(rendered_at) > now() - interval '90 days' FROM render_usage";
    assert_eq!(database.query(count).await, "2|t");
    assert!(!store.partitions(PartitionedTable::RenderUsage).list().await.unwrap().contains(&old_month));
    assert_eq!(database.query("SELECT sum(renders) FROM usage_periods").await, "5");
}

#[tokio::test]
async fn the_trash_of_every_active_tenant_goes_when_it_is_old_enough_more_than_one_batch_of_it() {
    let database = database().await;
    let store = replica(&database, "reader").await;
    let acme = "acme".parse::<TenantId>().unwrap();
    store.tenants().insert(&acme, "Acme", &Actor::system("test")).await.unwrap();
    database
        .query(
            "SET CONSTRAINTS ALL DEFERRED;
             INSERT INTO templates (template_id, tenant_id, template_key, name, current_major, current_minor, current_patch, created_at,
                                    updated_at, deleted_at)
             SELECT gen_random_uuid(), tenant, 'key-' || n, 'x', 1, 0, 0, now(), now(),
                    CASE WHEN n <= 120 THEN now() - interval '91 days' WHEN n = 121 THEN now() - interval '89 days' END
             FROM unnest('{default,acme}'::text[]) tenant, generate_series(1, 122) n;
             INSERT INTO template_versions (template_id, tenant_id, major, minor, patch, name, kind, definition, content_hash, created_at)
             SELECT template_id, tenant_id, 1, 0, 0, name, kind, '{}', sha256('{}'), now() FROM templates;
             UPDATE tenants SET status = 'archived', archived_at = now() WHERE tenant_id = 'acme'",
        )
        .await;
    run_once(&database, Options { trash_days: DAYS, ..NOTHING }).await;
    let left = "SELECT tenant_id, count(*), count(deleted_at) FROM templates GROUP BY tenant_id ORDER BY tenant_id";
    assert_eq!(database.query(left).await, "acme|122|121\ndefault|2|1", "an archived tenant keeps what it has");
    assert_eq!(database.query("SELECT count(*) FROM audit_events WHERE event = 'template.purged'").await, "120");
    assert_eq!(breaks(&store, &default_tenant()).await, [""; 0]);
}

#[tokio::test]
async fn what_a_label_was_is_forgotten_but_not_what_it_was_since_and_what_is_to_come() {
    let database = database().await;
    database
        .query(
            "SET CONSTRAINTS ALL DEFERRED;
             INSERT INTO templates (template_id, tenant_id, template_key, name, current_major, current_minor, current_patch, created_at, updated_at)
             VALUES (md5('t')::uuid, 'default', 'sheet', 'x', 1, 0, 2, now(), now());
             INSERT INTO template_versions (template_id, tenant_id, major, minor, patch, name, kind, definition, content_hash, created_at)
             SELECT template_id, tenant_id, 1, 0, n, name, kind, '{}', sha256('{}'), now() FROM templates, generate_series(0, 2) n",
        )
        .await;
    let (key, actor) = ("sheet".parse().unwrap(), Actor::system("test"));
    let version = |patch| TemplateVersion { major: 1, minor: 0, patch };
    for (days, label, patch) in [(300, "prod", 0), (300, "still", 0), (300, "gone", 0), (200, "prod", 1), (95, "prod", 2), (10, "prod", 0)]
    {
        let store = at(&database, "past", days_ago(days)).await;
        let label = label.parse().unwrap();
        let wanted = LabelMove { label: &label, version: version(patch), split: None, expected: None, approval: Approval::default() };
        let moved = store.tenant(default_tenant()).labels().set(&key, wanted, &actor).await.unwrap();
        assert!(matches!(moved, LabelOutcome::Written(_)), "{moved:?}");
    }
    let store = at(&database, "past", days_ago(180)).await;
    let (prod, still, gone) = ("prod".parse().unwrap(), "still".parse().unwrap(), "gone".parse().unwrap());
    let (past, soon) = (store.tenant(default_tenant()), days_ago(-300).now());
    assert!(matches!(past.labels().delete(&key, &gone, None, None, &actor).await, Ok(LabelOutcome::Written(()))));
    let plan = async || match past.labels().schedule(&key, &prod, version(1), soon, Approval::default(), &actor).await.unwrap() {
        ScheduleOutcome::Written(event) => event.id,
        other => panic!("{other:?}"),
    };
    let called_off = plan().await;
    assert!(matches!(past.labels().cancel(&key, &prod, called_off, &actor).await, Ok(CancelOutcome::Written(_))));
    plan().await;

    run_once(&database, Options { label_history_days: DAYS, ..NOTHING }).await;
    let left = "SELECT label, state, coalesce(patch::text, '-') FROM template_label_events ORDER BY label, place";
    let wanted = ["gone|applied|-", "prod|applied|2", "prod|applied|0", "prod|pending|1", "still|applied|0"];
    assert_eq!(database.query(left).await.lines().collect::<Vec<_>>(), wanted);
    let labels = store.tenant(default_tenant());
    let then = async |label, days| labels.labels().at(&key, label, days_ago(days).now()).await.unwrap().unwrap();
    assert_eq!(then(&prod, 89).await, LabelThen::Was { version: version(2), split: None }, "of every kept day it is known");
    assert_eq!(then(&prod, 0).await, LabelThen::Was { version: version(0), split: None });
    assert!(matches!(then(&prod, 150).await, LabelThen::NotYet { made_at } if made_at < days_ago(94).now()));
    assert_eq!(then(&still, 0).await, LabelThen::Was { version: version(0), split: None });
    assert_eq!(then(&gone, 0).await, LabelThen::Removed);
    assert_eq!(database.query("SELECT details->>'removed' FROM audit_events WHERE event = 'template.label-history-expired'").await, "4");
    assert_eq!(breaks(&store, &default_tenant()).await, [""; 0]);
    // Once more: nothing is left to remove.
    run_once(&database, Options { label_history_days: DAYS, ..NOTHING }).await;
    assert_eq!(database.query("SELECT count(*) FROM template_label_events").await, "5");
}

#[tokio::test]
async fn a_switch_that_is_off_means_that_nothing_is_touched() {
    let database = database().await;
    let store = replica(&database, "reader").await;
    event(&database, 400, &default_tenant(), "a").await;
    store.usage().insert(&[render(days_ago(400).now())]).await.unwrap();
    store.use_code("old", Clock::system().now().checked_add(jiff::SignedDuration::from_secs(1)).unwrap()).await.unwrap();
    database.query("UPDATE used_codes SET expires_at = now() - interval '1 day'").await;
    assert!(duties(NOTHING).is_empty());
    // Each of the others alone, which shows that they run.
    run_once(&database, Options { partitions: Participation::TakesPart, ..NOTHING }).await;
    let untouched = "SELECT (SELECT count(*) FROM audit_events), (SELECT count(*) FROM render_usage), (SELECT count(*) FROM used_codes)";
    assert_eq!(database.query(untouched).await, "1|1|1");
    run_once(&database, Options { usage_days: DAYS, ..NOTHING }).await;
    assert_eq!(database.query(untouched).await, "1|0|1");
    run_once(&database, Options { expired: Participation::TakesPart, ..NOTHING }).await;
    assert_eq!(database.query(untouched).await, "1|0|0");
    assert_eq!(resources(&store, &default_tenant()).await, ["editor_token_minted a"]);
}

#[tokio::test]
async fn months_are_there_three_ahead_after_the_duty_ran() {
    let database = database().await;
    let store = replica(&database, "reader").await;
    run_once(&database, Options { partitions: Participation::TakesPart, ..NOTHING }).await;
    let present = Month::of(Clock::system().now());
    for table in PartitionedTable::ALL {
        let months = store.partitions(table).list().await.unwrap();
        assert_eq!(months, [0, 1, 2, 3].map(|ahead| present.plus(ahead)), "{table:?}");
    }
}

#[tokio::test]
async fn a_clock_that_is_a_year_ahead_makes_nothing_look_old() {
    let database = database().await;
    let store = replica(&database, "reader").await;
    event(&database, 10, &default_tenant(), "a").await;
    let setup = worker::Setup { store: store.clone(), clock: days_ago(-365), timing: QUICK };
    let loops = worker::Duties::start(setup, duties(Options { audit_days: DAYS, ..NOTHING }));
    until(&database, "SELECT last_outcome FROM duties", "succeeded").await;
    loops.stop(Instant::now() + PATIENCE).await;
    assert_eq!(resources(&store, &default_tenant()).await, ["editor_token_minted a"]);
}

#[tokio::test]
async fn codes_and_tokens_that_expired_are_forgotten_and_others_are_not() {
    let database = database().await;
    database
        .query(
            "INSERT INTO used_codes (code_id, expires_at) VALUES ('old', now() - interval '1 day'), ('new', now() + interval '1 day');
             INSERT INTO render_tokens (token_id, tenant_id, templates, formats, max_renders, expires_at, issued_by, created_at)
             SELECT md5(n::text)::uuid, 'default', '{a}', '{pdf}', 1, now() + n * interval '1 day', 'me', now() FROM unnest('{-1,1}'::int[]) n",
        )
        .await;
    run_once(&database, Options { expired: Participation::TakesPart, ..NOTHING }).await;
    assert_eq!(database.query("SELECT string_agg(code_id, ' ') FROM used_codes").await, "new");
    assert_eq!(database.query("SELECT count(*), min(expires_at) > now() FROM render_tokens").await, "1|t");
}

#[tokio::test]
async fn stored_documents_whose_time_is_over_are_removed_with_an_event_that_says_how_many() {
    let database = database().await;
    database
        .query(
            "INSERT INTO documents (document_id, tenant_id, format, content_type, filename, disposition, sha256, size_bytes, source, actor,
                                    created_at, expires_at)
             SELECT md5(n::text)::uuid, 'default', 'pdf', 'application/pdf', 'x.pdf', 'inline', sha256('x'), 1, 'single', 'me',
                    now() - interval '3 days', now() + n * interval '1 day'
             FROM unnest('{-2,-1,1}'::int[]) n",
        )
        .await;
    run_once(&database, Options { documents: Participation::TakesPart, ..NOTHING }).await;
    assert_eq!(database.query("SELECT count(*), min(expires_at) > now() FROM documents").await, "1|t");
    let told = "SELECT event, actor, details->>'removed' FROM audit_events WHERE resource_type = 'document'";
    assert_eq!(database.query(told).await, "document.expired|system:document-retention|2");
}
