//! What every place does alike.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use blobs::{BlobError, BlobKey, BlobKind, BlobSource, Blobs, ByteRange, Limits};
use bytes::Bytes;
use futures_util::{StreamExt, stream};

use crate::places::{self, Fixture, impatient};
use crate::samples::{MIB, key_of, read, sample, tenant, until};

macro_rules! on_every_place {
    ($($name:ident($limits:expr) on real server $real:ident;)*) => {
        mod a_folder { $(on_a_place!($name, folder, $limits);)* }
        mod a_bucket_in_this_process { $(on_a_place!($name, in_process, $limits);)* }
        mod a_bucket_of_a_real_server { $(on_a_place!($name, $real, $limits);)* }
    };
}

macro_rules! on_a_place {
    ($name:ident, $place:ident, $limits:expr) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            if let Some(fixture) = super::places::$place($limits).await {
                super::$name(&fixture).await;
            }
        }
    };
}

on_every_place! {
    bytes_come_back_as_they_went_in_whatever_their_size(super::Limits::default()) on real server real;
    a_range_gives_these_bytes_and_no_others(super::Limits::default()) on real server real;
    what_is_not_there_is_nothing_and_no_error(super::Limits::default()) on real server real;
    the_same_bytes_can_be_put_again(super::Limits::default()) on real server real;
    a_list_gives_every_key_once_and_in_order(super::Limits { concurrent_puts: 16, ..super::Limits::default() }) on real server real;
    many_puts_of_one_key_at_once_leave_it_whole(super::Limits { concurrent_puts: 16, ..super::Limits::default() }) on real server real;
    a_put_that_fails_leaves_nothing(super::impatient()) on real server real;
    more_bytes_than_allowed_are_refused(super::Limits { blob_bytes: 100_000, ..super::Limits::default() }) on real server real;
    a_place_that_is_away_says_so_in_time_and_comes_back(super::impatient()) on real server real_alone;
}

async fn bytes_come_back_as_they_went_in_whatever_their_size(fixture: &Fixture) {
    let blobs = &fixture.blobs;
    for (seed, size) in [(1, 0), (2, 1), (3, 100_000), (4, 8 * MIB), (5, 8 * MIB + 1), (6, 9 * 1_000_000), (7, 70 * 1_000_000)] {
        let bytes = sample(seed, size);
        let key = key_of("acme", &bytes);
        let pieces: Vec<io::Result<Bytes>> = bytes.chunks(300_001).map(|piece| Ok(bytes.slice_ref(piece))).collect();
        let source = match seed % 3 {
            0 => BlobSource::stream(stream::iter(pieces), None),
            1 => BlobSource::bytes(bytes.clone()),
            _ => {
                let mut file = tempfile::tempfile().unwrap();
                file.write_all(&bytes).unwrap();
                BlobSource::file(file)
            }
        };
        assert_eq!(blobs.put(&key, source).await, Ok(size as u64));
        assert_eq!(blobs.stat(&key).await, Ok(Some(size as u64)));
        let content = blobs.get(&key, None).await.unwrap().expect("it was put");
        assert_eq!((content.size_bytes(), content.first(), content.length_bytes()), (size as u64, 0, size as u64));
        assert!(read(content).await.unwrap() == bytes, "{size} bytes came back changed");
    }
    assert_eq!(fixture.left_behind(), 0);
}

async fn a_range_gives_these_bytes_and_no_others(fixture: &Fixture) {
    let bytes = sample(11, 9_000_000);
    let key = key_of("acme", &bytes);
    fixture.blobs.put(&key, BlobSource::bytes(bytes.clone())).await.unwrap();
    for (first, last, expected) in [
        (0, Some(0), 0..1),
        (0, None, 0..9_000_000),
        (1_000, Some(1_999), 1_000..2_000),
        (8_388_000, Some(8_389_000), 8_388_000..8_389_001),
        (8_999_999, None, 8_999_999..9_000_000),
        (8_999_000, Some(u64::MAX / 2), 8_999_000..9_000_000),
    ] {
        let content = fixture.blobs.get(&key, Some(ByteRange { first, last })).await.unwrap().unwrap();
        assert_eq!((content.size_bytes(), content.first(), content.length_bytes()), (9_000_000, first, expected.len() as u64));
        assert!(read(content).await.unwrap() == bytes[expected], "{first}–{last:?}");
    }
    for (first, last) in [(9_000_000, None), (u64::MAX / 2, Some(u64::MAX / 2 + 5)), (10, Some(9))] {
        let refused = fixture.blobs.get(&key, Some(ByteRange { first, last })).await.map(|found| found.is_some());
        assert_eq!(refused, Err(BlobError::OutOfRange { size_bytes: 9_000_000 }), "{first}–{last:?}");
    }
    let nothing = key_of("acme", b"");
    fixture.blobs.put(&nothing, BlobSource::bytes(Bytes::new())).await.unwrap();
    let refused = fixture.blobs.get(&nothing, Some(ByteRange { first: 0, last: None })).await.map(|found| found.is_some());
    assert_eq!(refused, Err(BlobError::OutOfRange { size_bytes: 0 }));
}

async fn what_is_not_there_is_nothing_and_no_error(fixture: &Fixture) {
    let (blobs, bytes) = (&fixture.blobs, sample(21, 1000));
    let key = key_of("acme", &bytes);
    for _ in 0..2 {
        assert!(blobs.get(&key, None).await.unwrap().is_none());
        assert!(blobs.get(&key, Some(ByteRange { first: 5, last: None })).await.unwrap().is_none());
        assert_eq!(blobs.stat(&key).await, Ok(None));
        assert_eq!(blobs.delete(&key).await, Ok(()));
    }
    blobs.put(&key, BlobSource::bytes(bytes.clone())).await.unwrap();
    // The same bytes of another tenant or for another thing are not there for that.
    assert_eq!(blobs.stat(&key_of("other", &bytes)).await, Ok(None));
    assert_eq!(blobs.stat(&BlobKey::new(tenant("acme"), BlobKind::Outputs, *key.sha256())).await, Ok(None));
    assert_eq!(blobs.delete(&key).await, Ok(()));
    assert_eq!(blobs.delete(&key).await, Ok(()));
    assert!(blobs.get(&key, None).await.unwrap().is_none());
    assert_eq!(blobs.list(&tenant("acme"), BlobKind::Assets, None, 10).await, Ok(Vec::new()));
    assert_eq!(blobs.probe().await, Ok(()));
    assert_eq!(blobs.probe_writing().await, Ok(()));
}

async fn the_same_bytes_can_be_put_again(fixture: &Fixture) {
    let bytes = sample(31, 500_000);
    let key = key_of("acme", &bytes);
    for _ in 0..3 {
        assert_eq!(fixture.blobs.put(&key, BlobSource::bytes(bytes.clone())).await, Ok(500_000));
    }
    let lines = fixture.blobs.list(&tenant("acme"), BlobKind::Assets, None, 10).await.unwrap();
    assert_eq!(lines.iter().map(|line| (&line.key, line.size_bytes)).collect::<Vec<_>>(), [(&key, 500_000)]);
    assert_eq!(read(fixture.blobs.get(&key, None).await.unwrap().unwrap()).await.unwrap(), bytes);
}

async fn a_list_gives_every_key_once_and_in_order(fixture: &Fixture) {
    let blobs = &fixture.blobs;
    let mut keys: Vec<BlobKey> = Vec::new();
    for (owner, count) in [("acme", 1100), ("acme-2", 20), ("a", 20)] {
        keys.extend((0..count).map(|number| key_of(owner, format!("{number}").as_bytes())));
    }
    let acme_outputs = BlobKey::new(tenant("acme"), BlobKind::Outputs, *keys[0].sha256());
    keys.push(acme_outputs.clone());
    let put = stream::iter(&keys).map(|key| async move {
        let number = (0..1100).map(|number| format!("{number}")).find(|text| key_of("x", text.as_bytes()).sha256() == key.sha256());
        blobs.put(key, BlobSource::bytes(number.unwrap())).await.unwrap();
    });
    put.buffer_unordered(16).collect::<Vec<()>>().await;

    for owner in ["acme", "acme-2", "a", "ac"] {
        let start = format!("tenants/{owner}/assets/");
        let mut expected: Vec<String> = keys.iter().map(ToString::to_string).filter(|key| key.starts_with(&start)).collect();
        expected.sort();
        for limit in [1000, 97, 20] {
            assert_eq!(pages(blobs, owner, BlobKind::Assets, limit).await, expected, "{owner} by {limit}");
        }
    }
    assert_eq!(pages(blobs, "acme", BlobKind::Outputs, 500).await, [acme_outputs.to_string()]);
    // Behind a key that is not there (any more) it goes on all the same.
    let all = pages(blobs, "acme", BlobKind::Assets, 1000).await;
    let gone = keys.iter().find(|key| key.to_string() == all[500]).unwrap();
    blobs.delete(gone).await.unwrap();
    let behind = blobs.list(&tenant("acme"), BlobKind::Assets, Some(gone), 1000).await.unwrap();
    assert_eq!(behind.iter().map(|line| line.key.to_string()).collect::<Vec<_>>(), all[501..]);
    assert_eq!(blobs.list(&tenant("acme"), BlobKind::Assets, None, 0).await, Ok(Vec::new()));
}

async fn pages(blobs: &Blobs, owner: &str, kind: BlobKind, limit: usize) -> Vec<String> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = blobs.list(&tenant(owner), kind, after.as_ref(), limit).await.unwrap();
        assert!(page.len() <= limit);
        all.extend(page.iter().map(|line| line.key.to_string()));
        match page.last() {
            Some(last) if page.len() == limit => after = Some(last.key.clone()),
            _ => return all,
        }
    }
}

async fn many_puts_of_one_key_at_once_leave_it_whole(fixture: &Fixture) {
    let bytes = sample(41, 9_000_000);
    let key = key_of("acme", &bytes);
    let puts = (0..16).map(|_| fixture.blobs.put(&key, BlobSource::bytes(bytes.clone())));
    let written = futures_util::future::join_all(puts).await;
    assert!(written.iter().all(|written| *written == Ok(9_000_000)), "{written:?}");
    assert!(read(fixture.blobs.get(&key, None).await.unwrap().unwrap()).await.unwrap() == bytes);
    assert_eq!(fixture.left_behind(), 0);
}

async fn a_put_that_fails_leaves_nothing(fixture: &Fixture) {
    let blobs = &fixture.blobs;
    let bytes = sample(51, 20_000_000);
    let key = key_of("acme", &bytes);
    let pieces = || stream::iter([Ok(bytes.slice(..18_000_000))]);

    let broken = pieces().chain(stream::iter([Err(io::Error::other("the upload broke off"))]));
    let failed = blobs.put(&key, BlobSource::stream(broken, None)).await;
    assert_eq!(failed, Err(BlobError::Source { reason: "the upload broke off".into() }));
    let failed = blobs.put(&key, BlobSource::stream(pieces(), Some(20_000_000))).await;
    assert!(matches!(failed, Err(BlobError::Source { .. })), "{failed:?}");
    for size in [0, 10, 18_000_000] {
        let failed = blobs.put(&key, BlobSource::bytes(bytes.slice(..size))).await;
        assert!(matches!(failed, Err(BlobError::Corrupt { .. })), "{failed:?}");
    }
    let stuck = pieces().chain(stream::pending());
    let failed = blobs.put(&key, BlobSource::stream(stuck, None)).await;
    assert!(matches!(failed, Err(BlobError::Source { .. })), "{failed:?}");
    // Dropped in the middle, as when the client goes away.
    let dropped = BlobSource::stream(pieces().chain(stream::pending()), None);
    let cut = tokio::time::timeout(Duration::from_millis(500), blobs.put(&key, dropped)).await;
    assert!(cut.is_err(), "{cut:?}");

    assert!(blobs.get(&key, None).await.unwrap().is_none());
    assert_eq!(blobs.list(&tenant("acme"), BlobKind::Assets, None, 10).await, Ok(Vec::new()));
    until("what was begun is removed", || async { fixture.left_behind() == 0 }).await;
    // A put that fails takes nothing away either.
    blobs.put(&key, BlobSource::bytes(bytes.clone())).await.unwrap();
    assert!(blobs.put(&key, BlobSource::bytes(bytes.slice(1..))).await.is_err());
    assert_eq!(blobs.stat(&key).await, Ok(Some(20_000_000)));
}

async fn more_bytes_than_allowed_are_refused(fixture: &Fixture) {
    let (fits, too_large) = (sample(61, 100_000), sample(62, 100_001));
    let refused = Err(BlobError::TooLarge { limit_bytes: 100_000 });
    let key = key_of("acme", &too_large);
    assert_eq!(fixture.blobs.put(&key, BlobSource::bytes(too_large.clone())).await, refused);
    let unannounced = stream::iter([Ok(too_large.slice(..60_000)), Ok(too_large.slice(60_000..))]);
    assert_eq!(fixture.blobs.put(&key, BlobSource::stream(unannounced, None)).await, refused);
    assert_eq!(fixture.blobs.stat(&key).await, Ok(None));
    assert_eq!(fixture.blobs.put(&key_of("acme", &fits), BlobSource::bytes(fits.clone())).await, Ok(100_000));
    let content = fixture.blobs.get(&key_of("acme", &fits), None).await.unwrap().unwrap();
    assert_eq!(content.collect(99_999).await, Err(BlobError::TooLarge { limit_bytes: 99_999 }));
}

async fn a_place_that_is_away_says_so_in_time_and_comes_back(fixture: &Fixture) {
    let blobs = &fixture.blobs;
    let (acme, known, new) = (tenant("acme"), sample(71, 1000), sample(72, 10_000_000));
    let (known_key, new_key) = (key_of("acme", &known), key_of("acme", &new));
    blobs.put(&known_key, BlobSource::bytes(known.clone())).await.unwrap();

    fixture.take_away();
    let since = Instant::now();
    let (put, get, stat, list, delete, probe, writing) = tokio::join!(
        blobs.put(&new_key, BlobSource::bytes(new.clone())),
        async { blobs.get(&known_key, None).await.map(drop) },
        blobs.stat(&known_key),
        blobs.list(&acme, BlobKind::Assets, None, 10),
        blobs.delete(&known_key),
        blobs.probe(),
        blobs.probe_writing(),
    );
    let elapsed = since.elapsed();
    let errors = [put.err(), get.err(), stat.err(), list.err(), delete.err(), probe.err(), writing.err()];
    fixture.bring_back();
    assert!(errors.iter().all(|error| matches!(error, Some(BlobError::Away { .. }))), "{errors:?}");
    // A call has 3 s there.
    assert!(elapsed < Duration::from_secs(5), "{elapsed:?}");

    until("the place answers again", || async { blobs.probe_writing().await.is_ok() }).await;
    // A delete that was read late may have been done.
    blobs.put(&known_key, BlobSource::bytes(known.clone())).await.unwrap();
    assert_eq!(read(blobs.get(&known_key, None).await.unwrap().unwrap()).await.unwrap(), known);
    assert_eq!(blobs.stat(&new_key).await, Ok(None));
    blobs.put(&new_key, BlobSource::bytes(new)).await.unwrap();
    assert_eq!(blobs.stat(&new_key).await, Ok(Some(10_000_000)));
}
