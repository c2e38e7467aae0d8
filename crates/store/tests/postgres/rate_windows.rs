//! Windows of rate limits against a real database: what replicas get together, and what is forgotten.

use std::time::Duration;

use store::{RateLease, RateLeaseRequest};

use crate::fixture::Fixture;

const MINUTE: Duration = Duration::from_mins(1);

fn request(subject: u8, limit: u32) -> RateLeaseRequest {
    RateLeaseRequest { subject: [subject; 32], limit, window: MINUTE, wanted: 1, spent: 0 }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_leased_at_the_same_time_together_is_the_limit_to_the_last_request() {
    let fixture = Fixture::new().await;
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let store = fixture.store.clone();
        asked.spawn(async move {
            let mut granted = 0;
            loop {
                let lease = store.lease_requests(request(1, 1_000)).await.unwrap();
                assert!(lease.ends_in <= MINUTE && lease.ends_in > MINUTE / 2, "{lease:?}");
                if lease.granted == 0 {
                    return granted;
                }
                granted += lease.granted;
            }
        });
    }
    assert_eq!(asked.join_all().await.iter().sum::<u32>(), 1_000);
}

#[tokio::test]
async fn blocks_shrink_with_what_is_left_and_hold_what_waits() {
    let fixture = Fixture::new().await;
    let first = fixture.store.lease_requests(request(1, 1_600)).await.unwrap();
    assert_eq!((first.granted, first.left), (100, 1_500), "a sixteenth");
    let waiting = RateLeaseRequest { wanted: 300, ..request(1, 1_600) };
    let second = fixture.store.lease_requests(waiting).await.unwrap();
    assert_eq!((second.granted, second.left), (300, 1_200));
    let told = RateLeaseRequest { spent: 1_195, ..waiting };
    let third = fixture.store.lease_requests(told).await.unwrap();
    assert_eq!((third.granted, third.left), (5, 0), "what a replica let through alone counts, and no more is left than that");
    let raised = fixture.store.lease_requests(request(1, 1_616)).await.unwrap();
    assert_eq!((raised.granted, raised.left), (1, 15), "a higher limit counts within the window");
    let lowered = fixture.store.lease_requests(request(1, 10)).await.unwrap();
    assert_eq!((lowered.granted, lowered.left), (0, 0));
    let other = fixture.store.lease_requests(request(2, 1)).await.unwrap();
    assert_eq!((other.granted, other.left), (1, 0), "another subject has its own");
}

#[tokio::test]
async fn the_window_after_the_end_begins_with_the_whole_limit() {
    let fixture = Fixture::new().await;
    let all = RateLeaseRequest { wanted: 50, ..request(1, 50) };
    assert_eq!(fixture.store.lease_requests(all).await.unwrap().granted, 50);
    assert_eq!(fixture.store.lease_requests(all).await.unwrap().granted, 0);
    fixture.database.query("UPDATE rate_windows SET ends_at = now() - interval '1 second' RETURNING 'x'").await;
    let RateLease { granted, left, ends_in } = fixture.store.lease_requests(RateLeaseRequest { wanted: 20, ..all }).await.unwrap();
    assert_eq!((granted, left), (20, 30));
    assert!(ends_in > MINUTE / 2);
}

#[tokio::test]
async fn windows_are_forgotten_an_hour_after_their_end() {
    let fixture = Fixture::new().await;
    for subject in 0..5 {
        let _ = fixture.store.lease_requests(request(subject, 10)).await.unwrap();
    }
    assert_eq!(fixture.store.forget_ended_rate_windows(10).await.unwrap(), 0);
    fixture.database.query("UPDATE rate_windows SET ends_at = now() - interval '61 minutes' WHERE subject <> decode(repeat('00', 32), 'hex') RETURNING 'x'").await;
    assert_eq!(fixture.store.forget_ended_rate_windows(3).await.unwrap(), 3);
    assert_eq!(fixture.store.forget_ended_rate_windows(3).await.unwrap(), 1);
    assert_eq!(fixture.database.query("SELECT count(*)::text FROM rate_windows").await, "1");
}
