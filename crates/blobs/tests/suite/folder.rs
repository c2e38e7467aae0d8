//! What is particular to a folder.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use blobs::{BlobError, BlobKind, BlobSource, Limits};

use crate::places::folder_at;
use crate::samples::{key_of, read, sample, tenant};

fn file_of(root: &Path, key: &blobs::BlobKey) -> std::path::PathBuf {
    let digits = hex::encode(key.sha256());
    root.join("tenants").join(key.tenant().as_str()).join("assets").join(&digits[..2]).join(digits)
}

#[tokio::test]
async fn links_are_not_followed_on_the_way_or_at_its_end() {
    let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let blobs = folder_at(folder.path().to_owned(), Limits::default()).await;
    let bytes = sample(1, 1000);

    // The tenant's folder is a link to another place.
    let key = key_of("linked", &bytes);
    fs::create_dir_all(folder.path().join("tenants")).unwrap();
    symlink(outside.path(), folder.path().join("tenants/linked")).unwrap();
    for failed in [
        blobs.put(&key, BlobSource::bytes(bytes.clone())).await.err(),
        blobs.stat(&key).await.err(),
        blobs.get(&key, None).await.err(),
        blobs.delete(&key).await.err(),
    ] {
        assert!(matches!(failed, Some(BlobError::Denied { .. })), "{failed:?}");
    }
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    assert_eq!(blobs.list(&tenant("acme"), BlobKind::Assets, None, 10).await, Ok(Vec::new()));

    // The file is a link to a secret.
    let key = key_of("acme", &bytes);
    let (secret, file) = (outside.path().join("secret"), file_of(folder.path(), &key));
    fs::write(&secret, b"secret").unwrap();
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    symlink(&secret, &file).unwrap();
    assert!(matches!(blobs.get(&key, None).await, Err(BlobError::Denied { .. })));
    assert!(matches!(blobs.stat(&key).await, Err(BlobError::Denied { .. })));
    assert_eq!(blobs.list(&tenant("acme"), BlobKind::Assets, None, 10).await, Ok(Vec::new()));
    // A put replaces the link and not what it points to.
    blobs.put(&key, BlobSource::bytes(bytes.clone())).await.unwrap();
    assert_eq!(fs::read(&secret).unwrap(), b"secret");
    assert_eq!(read(blobs.get(&key, None).await.unwrap().unwrap()).await.unwrap(), bytes);
}

#[tokio::test]
async fn what_is_no_file_in_the_place_of_one_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = folder_at(folder.path().to_owned(), Limits::default()).await;
    let key = key_of("acme", b"a pipe");
    let file = file_of(folder.path(), &key);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&file).status().unwrap();
    assert!(made.success());
    assert!(matches!(blobs.get(&key, None).await, Err(BlobError::Denied { .. })));
    assert!(matches!(blobs.stat(&key).await, Err(BlobError::Denied { .. })));
    assert_eq!(blobs.list(&tenant("acme"), BlobKind::Assets, None, 10).await, Ok(Vec::new()));
}

#[tokio::test]
async fn files_that_are_not_ours_are_left_out_of_lists() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = folder_at(folder.path().to_owned(), Limits::default()).await;
    let key = key_of("acme", b"ours");
    blobs.put(&key, BlobSource::bytes(&b"ours"[..])).await.unwrap();
    let file = file_of(folder.path(), &key);
    for foreign in
        ["lost+found", "tenants/notes.txt", "tenants/acme/assets/.DS_Store", "tenants/Acme/assets/ab/x", "tenants/acme/secret/ab/x"]
    {
        let foreign = folder.path().join(foreign);
        fs::create_dir_all(foreign.parent().unwrap()).unwrap();
        fs::write(foreign, b"foreign").unwrap();
    }
    // A whole key in the folder of other digits is not found by its name, so it is not listed either.
    let elsewhere = folder.path().join("tenants/acme/assets/zz").join(file.file_name().unwrap());
    fs::create_dir_all(elsewhere.parent().unwrap()).unwrap();
    fs::write(elsewhere, b"ours").unwrap();
    let lines = blobs.list(&tenant("acme"), BlobKind::Assets, None, 100).await.unwrap();
    assert_eq!(lines.into_iter().map(|line| line.key).collect::<Vec<_>>(), [key]);
}

#[tokio::test]
async fn bytes_that_rotted_are_told_before_the_last_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = folder_at(folder.path().to_owned(), Limits::default()).await;
    let bytes = sample(2, 600_000);
    let key = key_of("acme", &bytes);
    blobs.put(&key, BlobSource::bytes(bytes.clone())).await.unwrap();
    let mut rotten = bytes.to_vec();
    rotten[300_000] ^= 1;
    fs::write(file_of(folder.path(), &key), &rotten).unwrap();
    let content = blobs.get(&key, None).await.unwrap().unwrap();
    assert!(matches!(content.collect(u64::MAX).await, Err(BlobError::Corrupt { .. })));
    fs::write(file_of(folder.path(), &key), &bytes[..10]).unwrap();
    let content = blobs.get(&key, None).await.unwrap().unwrap();
    assert!(matches!(content.collect(u64::MAX).await, Err(BlobError::Corrupt { .. })));
    blobs.put(&key, BlobSource::bytes(bytes.clone())).await.unwrap();
    assert_eq!(read(blobs.get(&key, None).await.unwrap().unwrap()).await.unwrap(), bytes);
}

#[tokio::test]
async fn only_the_owner_can_read_what_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("deep/blobs");
    let blobs = folder_at(root.clone(), Limits::default()).await;
    let key = key_of("acme", b"private");
    blobs.put(&key, BlobSource::bytes(&b"private"[..])).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&root), mode(&root.join("tenants")), mode(&file_of(&root, &key))), (0o700, 0o700, 0o600));
}

#[tokio::test]
async fn a_start_removes_what_a_killed_process_left_and_nothing_newer() {
    let folder = tempfile::tempdir().unwrap();
    drop(folder_at(folder.path().to_owned(), Limits::default()).await);
    let incoming = folder.path().join(".incoming");
    let (old, new) = (incoming.join("old"), incoming.join("new"));
    fs::write(&old, b"half").unwrap();
    fs::write(&new, b"half").unwrap();
    let day = std::time::Duration::from_hours(25);
    let then = fs::metadata(&old).unwrap().modified().unwrap() - day;
    fs::File::options().write(true).open(&old).unwrap().set_modified(then).unwrap();
    drop(folder_at(folder.path().to_owned(), Limits::default()).await);
    assert!(!old.exists() && new.exists());
}
