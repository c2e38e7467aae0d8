//! The cache: one load for many callers, and never more bytes than allowed.

use std::time::Duration;

use blobs::{BlobCache, BlobError, BlobKey, BlobSource, Blobs, CacheBounds, Limits};
use futures_util::future::join_all;
use testkit::s3::{Fault, S3Server};

use crate::places::{bucket, bucket_at, impatient};
use crate::samples::{MIB, key_of, sample};

async fn filled(sizes: &[usize], limits: Limits) -> (S3Server, Blobs, Vec<BlobKey>) {
    let server = S3Server::start().unwrap();
    let blobs = bucket(bucket_at(server.endpoint()), limits).await;
    let mut keys = Vec::new();
    for (seed, size) in (1..).zip(sizes) {
        let bytes = sample(seed, *size);
        keys.push(key_of("acme", &bytes));
        blobs.put(&keys[keys.len() - 1], BlobSource::bytes(bytes)).await.unwrap();
    }
    (server, blobs, keys)
}

const BOUNDS: CacheBounds = CacheBounds { total_bytes: 4 * MIB as u64, blob_bytes: 2 * MIB as u64 };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_callers_of_one_key_make_one_read() {
    let (server, blobs, keys) = filled(&[MIB], Limits::default()).await;
    let cache = BlobCache::new("tests", blobs, BOUNDS);
    let callers = (0..100).map(|_| {
        let (cache, key) = (cache.clone(), keys[0].clone());
        tokio::spawn(async move { cache.get(&key).await })
    });
    for got in join_all(callers).await {
        assert_eq!(got.unwrap(), Ok(Some(sample(1, MIB))));
    }
    assert_eq!(server.count_requests("GET", "tenants/"), 1);
    // While the store is away, what is cached goes on.
    server.set_fault(Fault::Closed);
    assert_eq!(cache.get(&keys[0]).await, Ok(Some(sample(1, MIB))));
    cache.forget(&keys[0]).await;
    assert!(matches!(cache.get(&keys[0]).await, Err(BlobError::Away { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eviction_holds_the_bound() {
    let (_server, blobs, keys) = filled(&[MIB; 20], Limits::default()).await;
    let cache = BlobCache::new("tests", blobs, BOUNDS);
    for round in 0..3 {
        for (seed, key) in (1..).zip(&keys) {
            assert_eq!(cache.get(key).await, Ok(Some(sample(seed, MIB))), "round {round}");
            assert!(cache.held_bytes() <= BOUNDS.total_bytes, "{}", cache.held_bytes());
        }
    }
    assert!(cache.held_bytes() > 2 * MIB as u64, "it does keep something");
    let all = join_all(keys.iter().map(|key| cache.get(key))).await;
    assert!(all.iter().all(|got| matches!(got, Ok(Some(_)))), "{all:?}");
    assert!(cache.held_bytes() <= BOUNDS.total_bytes, "{}", cache.held_bytes());
}

#[tokio::test]
async fn what_is_too_large_absent_or_failed_is_not_kept() {
    let (server, blobs, keys) = filled(&[2 * MIB + 1, 10], impatient()).await;
    let cache = BlobCache::new("tests", blobs.clone(), BOUNDS);
    assert_eq!(cache.get(&keys[0]).await, Err(BlobError::TooLarge { limit_bytes: BOUNDS.blob_bytes }));
    server.set_fault(Fault::Unavailable(u32::MAX));
    assert!(matches!(cache.get(&keys[1]).await, Err(BlobError::Away { .. })));
    server.set_fault(Fault::None);
    assert_eq!(cache.get(&keys[1]).await, Ok(Some(sample(2, 10))));
    let late = key_of("acme", b"late");
    assert_eq!(cache.get(&late).await, Ok(None));
    blobs.put(&late, BlobSource::bytes(&b"late"[..])).await.unwrap();
    assert_eq!(cache.get(&late).await, Ok(Some("late".into())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_goes_away_does_not_take_the_load_with_it() {
    let (server, blobs, keys) = filled(&[MIB], Limits { attempt: Duration::from_secs(10), ..Limits::default() }).await;
    let cache = BlobCache::new("tests", blobs, BOUNDS);
    server.set_fault(Fault::Silent);
    let get = || {
        let (cache, key) = (cache.clone(), keys[0].clone());
        tokio::spawn(async move { cache.get(&key).await })
    };
    let first = get();
    crate::samples::until("the first is loading", || async { server.count_requests("GET", "tenants/") == 1 }).await;
    let second = get();
    first.abort();
    server.set_fault(Fault::None);
    assert_eq!(second.await.unwrap(), Ok(Some(sample(1, MIB))));
}
