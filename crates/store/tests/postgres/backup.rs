//! Backups: which tables they have, and what comes back of one moment, also into a newer schema.

use std::collections::BTreeSet;

use bytes::Bytes;
use domain::Month;
use store::{
    BACKUP_TABLES, BackupMonth, BackupSnapshot, BackupTarget, NOT_IN_BACKUPS, PartitionedTable, RestoreStage, StoreError, TableShape,
    known_migrations,
};
use testkit::postgres::TestDatabase;

use crate::fixture::{PATIENCE, migrated};

#[tokio::test]
async fn every_table_is_in_backups_or_left_out_for_a_reason() {
    let database = migrated().await;
    let found = database
        .query(
            "SELECT c.relname FROM information_schema.tables t JOIN pg_class c ON c.relname = t.table_name AND c.relnamespace = 'public'::regnamespace
             WHERE t.table_schema = 'public' AND NOT c.relispartition AND c.relkind IN ('r', 'p')",
        )
        .await;
    let found: BTreeSet<&str> = found.lines().collect();
    let ours = BACKUP_TABLES.iter().map(|table| table.name);
    let left_out = NOT_IN_BACKUPS.iter().map(|(name, why)| {
        assert!(why.len() > 20, "{name} is left out without a reason");
        *name
    });
    // There only while a restore is under way.
    let listed: BTreeSet<&str> = ours.chain(left_out).filter(|name| *name != "unfinished_restore").collect();
    assert_eq!(found, listed, "enter a new table in one of the two lists of crates/store/src/backup_tables.rs");
    assert_eq!(listed.len() + 1, BACKUP_TABLES.len() + NOT_IN_BACKUPS.len(), "no table is in the lists twice");
}

#[tokio::test]
async fn tables_of_a_backup_have_keys_and_come_after_those_they_refer_to() {
    let database = migrated().await;
    let place =
        |table: &str| BACKUP_TABLES.iter().position(|known| known.name == table).unwrap_or_else(|| panic!("{table} is in no backup"));
    let references = database
        .query(
            "SELECT conrelid::regclass || ' ' || confrelid::regclass FROM pg_constraint
             WHERE contype = 'f' AND NOT condeferred AND conrelid <> confrelid AND conparentid = 0",
        )
        .await;
    assert!(references.lines().count() > 20, "{references}");
    for line in references.lines() {
        let (from, to) = line.split_once(' ').unwrap();
        assert!(place(from) > place(to), "{from} refers to {to}, and is filled before it");
    }
    for table in BACKUP_TABLES {
        let key =
            database.query(&format!("SELECT count(*) FROM pg_index WHERE indrelid = '{}'::regclass AND indisprimary", table.name)).await;
        assert_eq!(key, "1", "rows of {} have no order", table.name);
    }
}

/// A table that keeps the hash of stored bytes has to be looked at by the list of objects, or a backup would not have them.
#[tokio::test]
async fn the_columns_that_may_name_stored_bytes_are_known() {
    let database = migrated().await;
    let found = database
        .query(
            "SELECT i.table_name || '.' || i.column_name FROM information_schema.columns i JOIN pg_class c ON c.relname = i.table_name AND c.relnamespace = 'public'::regnamespace
             WHERE i.table_schema = 'public' AND i.data_type = 'bytea' AND NOT c.relispartition
               AND i.column_name ~ '(sha256|content_hash)$' ORDER BY 1",
        )
        .await;
    // Those behind "stored" are objects; the others are hashes of rows, requests and data.
    let stored = ["asset_versions.content_hash", "datasets.sha256", "documents.sha256", "job_items.sha256", "label_proof_pictures.sha256"];
    let others = [
        "assets.content_hash",
        "audit_events.content_hash",
        "idempotency_keys.request_sha256",
        "jobs.request_sha256",
        "render_usage.data_sha256",
        "render_usage.output_sha256",
        "template_versions.content_hash",
    ];
    let known: BTreeSet<&str> = stored.into_iter().chain(others).collect();
    assert_eq!(found.lines().collect::<BTreeSet<_>>(), known, "enter what names stored bytes in OBJECTS of backup_tables.rs");
}

struct Taken {
    migrations: Vec<i64>,
    months: Vec<BackupMonth>,
    tables: Vec<(TableShape, u64, Vec<u8>)>,
}

async fn taken(database: &TestDatabase) -> Taken {
    let mut snapshot = BackupSnapshot::open(database.url()).await.unwrap();
    let migrations = snapshot.migrations().iter().map(|migration| migration.version).collect();
    let (months, mut tables) = (snapshot.months().await.unwrap(), Vec::new());
    for shape in snapshot.tables().await.unwrap() {
        let mut text = Vec::new();
        let add = |piece: &[u8]| {
            text.extend_from_slice(piece);
            Ok::<_, StoreError>(())
        };
        let rows = snapshot.copy_out(&shape, add).await.unwrap();
        tables.push((shape, rows, text));
    }
    snapshot.close().await;
    Taken { migrations, months, tables }
}

/// Fills the tables, without ending the restore.
async fn loaded(target: &mut BackupTarget, taken: &Taken) {
    let mut load = target.load(&taken.migrations).await.unwrap();
    for month in &taken.months {
        load.make_month(*month).await.unwrap();
    }
    for (shape, rows, text) in &taken.tables {
        let mut pieces = text.chunks(1000).map(Bytes::copy_from_slice);
        assert_eq!(load.copy_in(shape, || Ok::<_, StoreError>(pieces.next())).await.unwrap(), *rows, "{}", shape.name);
    }
    load.commit().await.unwrap();
}

/// A database in the schema of an earlier release, with some rows that are hard to carry.
async fn in_an_older_schema() -> (TestDatabase, Vec<i64>) {
    let all: Vec<i64> = known_migrations().iter().map(|migration| migration.version).collect();
    let older = all[..all.len() - 2].to_vec();
    let database = TestDatabase::empty().await;
    let mut target = BackupTarget::open(database.url()).await.unwrap().unwrap();
    target.begin("older").await.unwrap();
    target.load(&older).await.unwrap().commit().await.unwrap();
    target.end().await.unwrap();
    let id = "01a20000-0000-7000-8000-000000000001";
    let rows = format!(
        r#"BEGIN;
        INSERT INTO tenants (tenant_id, name) VALUES ('default', E'tab\there, line\nthere, \\ and \\N');
        INSERT INTO templates (template_id, tenant_id, template_key, name, current_major, current_minor, current_patch, created_at, updated_at)
        VALUES ('{id}', 'default', 'letter', 'Letter', 1, 0, 0, '2026-01-02 03:04:05.123456+00', '0044-03-15 BC');
        INSERT INTO template_versions (template_id, tenant_id, major, minor, patch, name, kind, definition, content_hash, created_at)
        VALUES ('{id}', 'default', 1, 0, 0, 'Letter', 'document', E'{{"b": 1,  "a":\n"\\u00e9 \\\\ ''x''"}}', sha256('x'), now());
        INSERT INTO template_label_events (event_id, template_id, tenant_id, label, state, effective_at, created_at, created_by, settled_at, reason)
        SELECT gen_random_uuid(), '{id}', 'default', 'prod', 'cancelled', now(), now(), 'somebody', now(), NULL FROM generate_series(1, 5);
        CREATE TABLE audit_events_2024_02 PARTITION OF audit_events FOR VALUES FROM ('2024-02-01Z') TO ('2024-03-01Z');
        INSERT INTO audit_events (tenant_id, seq, event_id, occurred_at, event, operation, resource_type, resource_id, actor, instance_id, details, content_hash, chain_hash)
        VALUES ('default', 1, gen_random_uuid(), '2024-02-29 23:59:59.999999Z', 'e', 'o', 't', 'r', 'a', 'i', '{{ }}', sha256('a'), sha256('b'));
        COMMIT"#
    );
    database.query(&rows).await;
    (database, older)
}

#[tokio::test]
async fn rows_of_an_older_schema_come_back_as_they_were_and_are_then_brought_up() {
    let (source, older) = in_an_older_schema().await;
    let backup = taken(&source).await;
    assert_eq!(backup.migrations, older);
    let february = BackupMonth { table: PartitionedTable::AuditEvents, month: Month::new(2024, 2).unwrap() };
    assert!(backup.months.contains(&february), "{:?}", backup.months);

    // The target is in the schema of this release already.
    let goal = migrated().await;
    let mut target = BackupTarget::open(goal.url()).await.unwrap().unwrap();
    let standing = target.standing().await.unwrap();
    assert_eq!((standing.filled_tables, standing.unfinished, standing.alive), (Vec::new(), None, Vec::new()));
    assert!(BackupTarget::open(goal.url()).await.unwrap().is_none(), "one restore at a time");
    target.begin("one").await.unwrap();
    loaded(&mut target, &backup).await;
    let standing = target.standing().await.unwrap();
    assert_eq!(standing.unfinished, Some(("one".to_owned(), RestoreStage::Loaded)));
    assert_eq!(standing.migrations, older);
    target.end().await.unwrap();

    let again = taken(&goal).await;
    for (before, after) in backup.tables.iter().zip(&again.tables) {
        assert!(before == after, "{} came back otherwise", before.0.name);
    }
    assert_eq!(again.months, backup.months);
    let report = store::migrate(goal.url(), PATIENCE).await.unwrap();
    assert_eq!(report.applied.len(), 2);
    let look = "SELECT name FROM tenants; SELECT definition::text, created_at FROM template_versions; SELECT updated_at FROM templates";
    assert_eq!(goal.query(look).await, source.query(look).await);
    // Numbers go on behind those that came, and immutable rows are immutable.
    let next = "INSERT INTO template_label_events (event_id, template_id, tenant_id, label, state, effective_at, created_at, created_by, settled_at)
                SELECT gen_random_uuid(), template_id, 'default', 'prod', 'cancelled', now(), now(), 'x', now() FROM templates RETURNING place";
    assert!(goal.query(next).await.starts_with('6'));
    let triggers = "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal AND tgparentid = 0";
    assert_eq!(goal.query(triggers).await, migrated().await.query(triggers).await);
}

#[tokio::test]
async fn until_a_restore_has_ended_the_rows_are_as_before_and_no_server_migrates() {
    let (source, _) = in_an_older_schema().await;
    let backup = taken(&source).await;
    let goal = migrated().await;
    goal.query("INSERT INTO tenants (tenant_id, name) VALUES ('mine', 'Mine')").await;
    let mut target = BackupTarget::open(goal.url()).await.unwrap().unwrap();
    assert_eq!(target.standing().await.unwrap().filled_tables, ["tenants"]);
    target.begin("one").await.unwrap();
    let mut load = target.load(&backup.migrations).await.unwrap();
    let (shape, _, text) = &backup.tables[0];
    let mut piece = Some(Bytes::copy_from_slice(&text[..text.len() / 2]));
    let broken = load.copy_in(shape, || piece.take().map(Some).ok_or(StoreError::NoSuchTenant)).await;
    assert!(matches!(broken, Err(StoreError::NoSuchTenant)), "{broken:?}");
    drop(load);
    drop(target);

    assert_eq!(goal.query("SELECT count(*) FROM tenants").await, "2", "what was there before");
    let refused = store::migrate(goal.url(), PATIENCE).await;
    assert!(matches!(&refused, Err(StoreError::RestoreUnfinished { backup }) if backup == "one"), "{refused:?}");
    let mut target = BackupTarget::open(goal.url()).await.unwrap().unwrap();
    assert_eq!(target.standing().await.unwrap().unfinished, Some(("one".to_owned(), RestoreStage::Begun)));
    loaded(&mut target, &backup).await;
    target.end().await.unwrap();
    store::migrate(goal.url(), PATIENCE).await.unwrap();
    assert_eq!(goal.query("SELECT tenant_id FROM tenants").await, "default");
}

#[tokio::test]
async fn a_backup_shows_one_moment_while_others_write() {
    let database = migrated().await;
    let mut snapshot = BackupSnapshot::open(database.url()).await.unwrap();
    let shapes = snapshot.tables().await.unwrap();
    database.query("INSERT INTO tenants (tenant_id, name) VALUES ('later', 'Later')").await;
    let tenants = shapes.iter().find(|shape| shape.name == "tenants").unwrap();
    assert_eq!(snapshot.copy_out(tenants, |_| Ok::<_, StoreError>(())).await.unwrap(), 1);
    assert_eq!(snapshot.counts().await.unwrap().tenants, 1);
}
