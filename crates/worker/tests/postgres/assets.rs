//! The sweep removes bytes that no asset has any more, when they are old, and nothing else.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use blobs::{BlobKey, BlobKind, BlobSource, Blobs, Limits, Place, Settings};
use domain::Actor;
use domain::assets::{AssetContent, AssetKind};
use domain::templates::ContentHash;
use store::{AssetOutcome, NewAsset, Store};
use tokio::time::Instant;
use worker::asset_sweep;

use crate::fixture::{PATIENCE, QUICK, database, days_ago, default_tenant, replica, start, until};

async fn put(blobs: &Blobs, bytes: &'static [u8]) -> BlobKey {
    let key = BlobKey::new(default_tenant(), BlobKind::Assets, *ContentHash::of_bytes(bytes).as_bytes());
    blobs.put(&key, BlobSource::bytes(bytes)).await.unwrap();
    key
}

/// Makes the file of these bytes as old as a day.
fn age(folder: &Path, key: &BlobKey) {
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().contains(&hex::encode(key.sha256())) {
                let yesterday = SystemTime::from(days_ago(1).now());
                File::options().write(true).open(path).unwrap().set_modified(yesterday).unwrap();
                return;
            }
        }
    }
    panic!("{key} has no file");
}

async fn name(store: &Store, bytes: &[u8]) {
    let content = AssetContent {
        kind: AssetKind::Image,
        original_name: "a.png".to_owned(),
        mime_type: "image/png".to_owned(),
        size_bytes: bytes.len() as u64,
        hash: ContentHash::of_bytes(bytes),
        size_px: None,
        font: None,
        svg_sanitized: false,
    };
    let new = NewAsset { content: &content, alt_text: None, tags: &[], folder: None };
    let made = store.tenant(default_tenant()).assets().insert(new, &Actor::system("test")).await.unwrap();
    assert!(matches!(made, AssetOutcome::Written(_)), "{made:?}");
}

#[tokio::test]
async fn bytes_go_when_they_are_old_and_nobodys() {
    let database = database().await;
    let store = replica(&database, "worker").await;
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { place: Place::Folder(folder.path().join("assets")), limits: Limits::default() };
    let blobs = Blobs::open(settings).await.unwrap();
    let (named, litter, fresh) = (put(&blobs, b"named").await, put(&blobs, b"litter").await, put(&blobs, b"fresh").await);
    name(&store, b"named").await;
    age(folder.path(), &named);
    age(folder.path(), &litter);

    let loops = start(&store, QUICK, vec![asset_sweep(blobs.clone(), Duration::from_hours(1))]);
    until(&database, "SELECT last_outcome FROM duties WHERE duty = 'asset_sweep'", "succeeded").await;
    loops.stop(Instant::now() + PATIENCE).await;
    for (key, there) in [(&named, true), (&litter, false), (&fresh, true)] {
        assert_eq!(blobs.stat(key).await.unwrap().is_some(), there, "{key}");
    }
}

#[tokio::test]
async fn pictures_stay_as_long_as_a_proof_names_them_and_proofs_as_long_as_they_are_kept() {
    let database = database().await;
    let store = replica(&database, "worker").await;
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { place: Place::Folder(folder.path().join("assets")), limits: Limits::default() };
    let blobs = Blobs::open(settings).await.unwrap();
    let picture = async |bytes: &'static [u8]| {
        let key = BlobKey::new(default_tenant(), BlobKind::Proofs, *ContentHash::of_bytes(bytes).as_bytes());
        blobs.put(&key, BlobSource::bytes(bytes)).await.unwrap();
        age(folder.path(), &key);
        key
    };
    let [old, new, litter] = [picture(b"old").await, picture(b"new").await, picture(b"litter").await];
    database
        .query(
            "SET CONSTRAINTS ALL DEFERRED;
             INSERT INTO templates (template_id, tenant_id, template_key, name, current_major, current_minor, current_patch, created_at, updated_at)
             VALUES (md5('t')::uuid, 'default', 'sheet', 'x', 1, 0, 0, now(), now());
             INSERT INTO template_versions (template_id, tenant_id, major, minor, patch, name, kind, definition, content_hash, created_at)
             SELECT template_id, tenant_id, 1, 0, 0, name, kind, '{}', sha256('{}'), now() FROM templates;
             INSERT INTO label_proofs (proof_id, template_id, tenant_id, label, base_major, base_minor, base_patch, major, minor, patch,
                                       outcome, findings, took_ms, created_at, created_by)
             SELECT md5(word)::uuid, md5('t')::uuid, 'default', 'prod', 1, 0, 0, 1, 0, 1, 'changed', '{}', 1,
                    now() - days * interval '1 day', 'me'
             FROM (VALUES ('old', 91), ('new', 89)) proofs (word, days);
             INSERT INTO label_proof_pictures (proof_id, tenant_id, number, sha256, size_bytes)
             SELECT md5(word)::uuid, 'default', 1, sha256(word::bytea), 3 FROM unnest('{old,new}'::text[]) word",
        )
        .await;
    let there = async || {
        let [old, new, litter] = [blobs.stat(&old).await, blobs.stat(&new).await, blobs.stat(&litter).await];
        [old, new, litter].map(|found| found.unwrap().is_some())
    };
    let run = async |duties: Vec<worker::Duty>| {
        database.query("DELETE FROM duties").await;
        let loops = start(&store, QUICK, duties);
        until(&database, "SELECT count(*) FROM duties WHERE last_outcome = 'succeeded'", "1").await;
        loops.stop(Instant::now() + PATIENCE).await;
    };
    run(vec![asset_sweep(blobs.clone(), Duration::from_hours(1))]).await;
    assert_eq!(there().await, [true, true, false], "what a proof names stays");
    let options = worker::Options { proof_days: std::num::NonZeroU32::new(90), ..crate::retention::NOTHING };
    run(worker::duties(options)).await;
    assert_eq!(database.query("SELECT proof_id = md5('new')::uuid FROM label_proofs").await, "t");
    assert_eq!(database.query("SELECT details->>'removed' FROM audit_events WHERE event = 'template.label-proofs-expired'").await, "1");
    run(vec![asset_sweep(blobs.clone(), Duration::from_hours(1))]).await;
    assert_eq!(there().await, [false, true, false]);
}
