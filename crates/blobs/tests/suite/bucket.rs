//! What is particular to a bucket: credentials, names that are not ours, and a store that misbehaves.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use blobs::{BlobError, BlobKind, BlobSource, Blobs, BucketSettings, ByteRange, Limits};
use testkit::certificates::Authority;
use testkit::s3::{Fault, S3Server};
use testkit::seaweedfs::{ACCESS_KEY_ID, BUCKET, SeaweedFs};
use testkit::tls_front::TlsFront;

use crate::places::{bucket, bucket_at, impatient};
use crate::samples::{key_of, read, sample, tenant, until};

async fn with_object(size: usize) -> (S3Server, Blobs, blobs::BlobKey, bytes::Bytes) {
    let server = S3Server::start().unwrap();
    let blobs = bucket(bucket_at(server.endpoint()), impatient()).await;
    let bytes = sample(1, size);
    let key = key_of("acme", &bytes);
    blobs.put(&key, BlobSource::bytes(bytes.clone())).await.unwrap();
    (server, blobs, key, bytes)
}

#[tokio::test]
async fn a_store_that_is_busy_for_a_moment_is_asked_again() {
    let (server, blobs, key, bytes) = with_object(9_000_000).await;
    server.set_fault(Fault::Unavailable(1));
    assert_eq!(read(blobs.get(&key, None).await.unwrap().unwrap()).await.unwrap(), bytes);
    server.set_fault(Fault::Unavailable(1));
    assert_eq!(blobs.put(&key, BlobSource::bytes(bytes)).await, Ok(9_000_000));
    server.set_fault(Fault::Unavailable(u32::MAX));
    let before = server.count_requests("HEAD", "");
    assert!(matches!(blobs.stat(&key).await, Err(BlobError::Away { .. })));
    assert_eq!(server.count_requests("HEAD", "") - before, 2, "as many attempts as the limits say");
}

#[tokio::test]
async fn a_read_that_breaks_off_goes_on_where_it_broke() {
    let (server, blobs, key, bytes) = with_object(3_000_000).await;
    server.set_fault(Fault::CutBodies { times: 1, after_bytes: 1_234_567 });
    assert_eq!(read(blobs.get(&key, None).await.unwrap().unwrap()).await.unwrap(), bytes);
    server.set_fault(Fault::CutBodies { times: 1, after_bytes: 100_000 });
    let part = ByteRange { first: 50_000, last: Some(2_000_000) };
    assert_eq!(read(blobs.get(&key, Some(part)).await.unwrap().unwrap()).await.unwrap(), bytes[50_000..=2_000_000]);
    server.set_fault(Fault::CutBodies { times: u32::MAX, after_bytes: 10_000 });
    let read_in_vain = read(blobs.get(&key, None).await.unwrap().unwrap()).await;
    assert!(matches!(read_in_vain, Err(BlobError::Away { .. })), "{read_in_vain:?}");
}

#[tokio::test]
async fn a_read_that_stalls_ends_in_time() {
    let (server, blobs, key, _) = with_object(3_000_000).await;
    server.set_fault(Fault::StalledBodies);
    let since = Instant::now();
    let content = blobs.get(&key, None).await.unwrap().unwrap();
    let stalled = read(content).await;
    assert!(matches!(stalled, Err(BlobError::Away { .. })), "{stalled:?}");
    // Two attempts of a second without a byte.
    assert!(since.elapsed() < Duration::from_secs(4), "{:?}", since.elapsed());
}

#[tokio::test]
async fn other_bytes_than_those_of_the_key_are_not_passed_on_whole() {
    let (server, blobs, key, bytes) = with_object(300_000).await;
    server.set_fault(Fault::WrongBytes);
    let content = blobs.get(&key, None).await.unwrap().unwrap();
    assert!(matches!(content.collect(u64::MAX).await, Err(BlobError::Corrupt { .. })));
    server.set_fault(Fault::None);
    server.plant(&key.to_string(), &bytes[..1000]).unwrap();
    let content = blobs.get(&key, None).await.unwrap().unwrap();
    assert!(matches!(content.collect(u64::MAX).await, Err(BlobError::Corrupt { .. })));
}

#[tokio::test]
async fn a_store_where_nothing_listens_is_away_at_once() {
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let blobs = bucket(bucket_at(format!("http://127.0.0.1:{port}")), impatient()).await;
    let since = Instant::now();
    let failed = blobs.stat(&key_of("acme", b"")).await;
    assert!(matches!(failed, Err(BlobError::Away { .. })), "{failed:?}");
    assert!(since.elapsed() < Duration::from_secs(3), "{:?}", since.elapsed());
}

#[tokio::test]
async fn more_calls_than_allowed_wait_their_turn_and_no_longer() {
    let (server, _, key, _) = with_object(10).await;
    let limits = Limits { concurrent_calls: 1, call: Duration::from_secs(5), attempt: Duration::from_secs(5), ..impatient() };
    let blobs = bucket(bucket_at(server.endpoint()), limits).await;
    server.set_fault(Fault::Silent);
    let (first, second) = tokio::join!(blobs.stat(&key), blobs.stat(&key));
    let errors = [first.unwrap_err(), second.unwrap_err()];
    assert!(errors.iter().any(|error| matches!(error, BlobError::Busy { .. })), "{errors:?}");
    assert!(errors.iter().any(|error| matches!(error, BlobError::Away { .. })), "{errors:?}");
}

#[tokio::test]
async fn names_that_are_not_ours_do_not_hide_those_that_are() {
    let server = S3Server::start().unwrap();
    let blobs = bucket(BucketSettings { prefix: "pulp/".into(), ..bucket_at(server.endpoint()) }, impatient()).await;
    for number in 0..50 {
        server.plant(&format!("pulp/tenants/acme/assets/{number}"), b"foreign").unwrap();
    }
    for foreign in ["pulp/tenants/acme/assets/<a&b>", "pulp/tenants/zz/../x", "tenants/acme/assets/outside-of-the-prefix", "other"] {
        server.plant(foreign, b"foreign").unwrap();
    }
    let key = key_of("acme", b"ours");
    blobs.put(&key, BlobSource::bytes(&b"ours"[..])).await.unwrap();
    let lines = blobs.list(&tenant("acme"), BlobKind::Assets, None, 5).await.unwrap();
    assert_eq!(lines.into_iter().map(|line| line.key).collect::<Vec<_>>(), [key]);
    assert_eq!(server.count_requests("PUT", "/blobs/pulp/tenants/acme/assets/"), 1);
}

#[tokio::test]
async fn a_put_whose_client_went_away_aborts_its_upload() {
    let server = S3Server::start().unwrap();
    let blobs = bucket(bucket_at(server.endpoint()), impatient()).await;
    let bytes = sample(3, 30_000_000);
    let source = BlobSource::bytes(bytes.clone());
    let put = tokio::spawn({
        let (blobs, key) = (blobs.clone(), key_of("acme", &bytes));
        async move { blobs.put(&key, source).await }
    });
    until("an upload has begun", || async { server.open_uploads() == 1 }).await;
    put.abort();
    until("it was aborted", || async { server.open_uploads() == 0 }).await;
    assert_eq!(blobs.stat(&key_of("acme", &bytes)).await, Ok(None));
}

#[tokio::test]
async fn wrong_credentials_and_a_missing_bucket_are_the_operators_to_mend() {
    let Some(server) = SeaweedFs::start() else { return };
    let right = bucket(bucket_at(server.endpoint()), Limits::default()).await;
    until(&format!("SeaweedFS answers: {}", server.log()), || async { right.probe_writing().await.is_ok() }).await;
    let wrong_secret = BucketSettings { secret_access_key: "wrong".into(), ..bucket_at(server.endpoint()) };
    let wrong_id = BucketSettings { access_key_id: "nobody".into(), ..bucket_at(server.endpoint()) };
    for settings in [wrong_secret, wrong_id] {
        let blobs = bucket(settings, Limits::default()).await;
        let key = key_of("acme", b"x");
        let errors = [
            blobs.probe().await.err(),
            blobs.probe_writing().await.err(),
            blobs.stat(&key).await.err(),
            blobs.get(&key, None).await.err(),
            blobs.put(&key, BlobSource::bytes(&b"x"[..])).await.err(),
            blobs.list(&tenant("acme"), BlobKind::Assets, None, 1).await.err(),
        ];
        for error in errors {
            assert!(matches!(&error, Some(BlobError::Denied { .. })), "{error:?}");
            let text = error.unwrap().to_string();
            assert!(!text.contains(ACCESS_KEY_ID) && !text.contains("test-secret") && !text.contains('\n'), "{text}");
        }
    }
    let missing = bucket(BucketSettings { bucket: format!("no-{BUCKET}"), ..bucket_at(server.endpoint()) }, Limits::default()).await;
    let error = missing.probe().await;
    assert!(matches!(&error, Err(BlobError::Denied { reason, .. }) if reason.contains("no bucket no-blobs")), "{error:?}");
}

#[tokio::test]
async fn a_store_behind_tls_is_spoken_to_when_its_authority_is_trusted_and_refused_otherwise() {
    let server = S3Server::start().unwrap();
    let (ours, theirs) = (Authority::new(), Authority::new());
    let port = server.endpoint().rsplit_once(':').unwrap().1.parse().unwrap();
    let front = TlsFront::before(port, &ours.certificate("DNS:localhost"));
    let at = |host: &str, authority: Option<&Authority>| {
        let more_certificates = authority.map(|authority| std::fs::read_to_string(authority.file()).unwrap()).unwrap_or_default();
        BucketSettings { more_certificates, ..bucket_at(format!("https://{host}:{}", front.port())) }
    };
    let blobs = bucket(at("localhost", Some(&ours)), impatient()).await;
    let bytes = sample(1, 300_000);
    let key = key_of("acme", &bytes);
    blobs.put(&key, BlobSource::bytes(bytes.clone())).await.unwrap();
    assert_eq!(read(blobs.get(&key, None).await.unwrap().unwrap()).await.unwrap(), bytes);
    blobs.probe_writing().await.unwrap();

    for (refused, words) in [
        (at("localhost", Some(&theirs)), "UnknownIssuer"),
        (at("localhost", None), "UnknownIssuer"),
        (at("127.0.0.1", Some(&ours)), "not valid for name"),
    ] {
        // Not `Away`: a start would wait for it.
        let error = bucket(refused, impatient()).await.probe_writing().await.unwrap_err();
        let BlobError::Denied { .. } = &error else { panic!("{error:?}") };
        println!("{error}");
        assert!(error.to_string().contains("certificate of the store") && error.to_string().contains(words), "{error}");
    }
}
