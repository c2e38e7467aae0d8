//! Large bytes pass through with flat memory. A program of its own, as other tests' memory would be counted too.
#![cfg(test)]

use std::fs;
use std::io;

use blobs::{Addressing, BlobKey, BlobKind, BlobSource, Blobs, BucketSettings, Checksums, Limits, Place, Settings};
use bytes::Bytes;
use domain::TenantId;
use futures_util::{StreamExt, stream};
use sha2::{Digest, Sha256};
use testkit::s3::S3Server;

const PIECES: u64 = 200;
const PIECE_BYTES: usize = 1_000_000;
/// A part is 8 MiB; a fifth of the bytes is far from all of them.
const GROWTH_KIB: u64 = 40 * 1024;

fn piece(number: u64) -> Bytes {
    let mut bytes = vec![0x5a; PIECE_BYTES];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes.into()
}

/// The most memory that was resident since the last call of [`forget_peak`].
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn forget_peak() {
    fs::write("/proc/self/clear_refs", "5").unwrap();
}

async fn grows_by_kib(blobs: &Blobs) -> u64 {
    let mut hasher = Sha256::new();
    (0..PIECES).for_each(|number| hasher.update(piece(number)));
    let key = BlobKey::new(TenantId::default_tenant(), BlobKind::Assets, hasher.finalize().into());
    // Whatever is made once is made before.
    blobs.probe_writing().await.unwrap();
    forget_peak();
    let before = peak_kib();
    let source = BlobSource::stream(stream::iter(0..PIECES).map(|number| io::Result::Ok(piece(number))), None);
    assert_eq!(blobs.put(&key, source).await, Ok(PIECES * PIECE_BYTES as u64));
    let mut content = blobs.get(&key, None).await.unwrap().unwrap();
    let mut read_bytes = 0;
    while let Some(piece) = content.next().await {
        read_bytes += piece.unwrap().len();
    }
    assert_eq!(read_bytes as u64, PIECES * PIECE_BYTES as u64);
    peak_kib() - before
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_megabytes_go_in_and_out_with_flat_memory() {
    let folder = tempfile::tempdir().unwrap();
    let in_folder = Place::Folder(folder.path().to_owned());
    let server = S3Server::start().unwrap();
    let in_bucket = Place::Bucket(BucketSettings {
        bucket: testkit::s3::BUCKET.into(),
        region: "us-east-1".into(),
        endpoint: Some(server.endpoint()),
        access_key_id: testkit::s3::ACCESS_KEY_ID.into(),
        secret_access_key: "any".into(),
        addressing: Addressing::Path,
        prefix: String::new(),
        checksums: Checksums::WhenRequired,
        more_certificates: String::new(),
    });
    for (name, place) in [("folder", in_folder), ("bucket", in_bucket)] {
        let blobs = Blobs::open(Settings { place, limits: Limits::default() }).await.unwrap();
        let grown = grows_by_kib(&blobs).await;
        println!("200 MB through a {name}: {grown} KiB at the peak");
        assert!(grown < GROWTH_KIB, "{name}: {grown} KiB");
    }
}
