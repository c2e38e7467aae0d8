//! A disk that is full, and one that is read-only. The disk is one of memory that a child of this test mounts for itself,
//! in a namespace of its own.

use std::path::PathBuf;
use std::process::Command;

use blobs::{BlobError, BlobSource, Blobs, Limits, Place, Settings};

use crate::places::folder_at;
use crate::samples::{key_of, read, sample};

const FOLDER: &str = "PULP_TEST_SMALL_DISK";

#[test]
fn a_full_or_read_only_disk_refuses_a_put_and_goes_on_reading() {
    let folder = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=4m none \"$PULP_TEST_SMALL_DISK\" || exit 77; exec \"$0\" --exact \
                  full_disk::on_a_small_disk --ignored --nocapture";
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]).arg(std::env::current_exe().unwrap());
    let output = command.env(FOLDER, folder.path()).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(77) || said.contains("unshare failed") {
        println!("LEFT OUT: this machine lets nobody mount a disk of their own: {said}");
        return;
    }
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test]
#[ignore = "needs a disk of 4 MiB: the test above starts it on one"]
async fn on_a_small_disk() {
    #[expect(clippy::disallowed_methods, reason = "the test that starts this process passes the folder")]
    let root = PathBuf::from(std::env::var_os(FOLDER).unwrap());
    let blobs = folder_at(root.clone(), Limits::default()).await;
    let (small, large) = (sample(1, 500_000), sample(2, 6_000_000));
    let (small_key, large_key) = (key_of("acme", &small), key_of("acme", &large));
    blobs.put(&small_key, BlobSource::bytes(small.clone())).await.unwrap();

    let full = blobs.put(&large_key, BlobSource::bytes(large)).await;
    assert!(matches!(&full, Err(BlobError::Away { reason, .. }) if reason.contains("space")), "{full:?}");
    assert_eq!(blobs.stat(&large_key).await, Ok(None));
    assert_eq!(whole(&blobs, &small_key).await, small);
    // What was begun gave its space back.
    let fits = sample(3, 2_500_000);
    assert_eq!(blobs.put(&key_of("acme", &fits), BlobSource::bytes(fits.clone())).await, Ok(2_500_000));

    let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(&root).status().unwrap();
    assert!(remounted.success());
    for refused in [
        blobs.put(&large_key, BlobSource::bytes(fits.clone())).await.err(),
        blobs.delete(&small_key).await.err(),
        blobs.probe_writing().await.err(),
        Blobs::open(Settings { place: Place::Folder(root), limits: Limits::default() }).await.err(),
    ] {
        assert!(matches!(&refused, Some(BlobError::Denied { .. })), "{refused:?}");
    }
    assert_eq!(blobs.probe().await, Ok(()));
    assert_eq!(whole(&blobs, &small_key).await, small);
}

async fn whole(blobs: &Blobs, key: &blobs::BlobKey) -> Vec<u8> {
    read(blobs.get(key, None).await.unwrap().unwrap()).await.unwrap()
}
