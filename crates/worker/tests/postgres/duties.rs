//! The lease: of many replicas one does what is due, and the death of that one is noticed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use store::DutyOutcome;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use worker::{Duty, Rhythm, Timing, WorkerError};

use crate::fixture::{PATIENCE, QUICK, database, eventually, replica, start, until};

const HOURLY: Rhythm = Rhythm { every: Duration::from_hours(1), at_most: Duration::from_mins(1) };

/// A duty that counts its runs.
fn counting(runs: &Arc<AtomicU32>) -> Duty {
    let runs = Arc::clone(runs);
    Duty::new("test", HOURLY, move |_| {
        let runs = Arc::clone(&runs);
        async move {
            runs.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    })
}

/// A duty whose runs show that they began, and end when they are let.
#[derive(Clone)]
struct Gate {
    began: Arc<Semaphore>,
    may_end: Arc<Semaphore>,
}

impl Gate {
    fn new() -> Self {
        Self { began: Arc::new(Semaphore::new(0)), may_end: Arc::new(Semaphore::new(0)) }
    }

    fn duty(&self, rhythm: Rhythm) -> Duty {
        let gate = self.clone();
        Duty::new("test", rhythm, move |_| {
            let gate = gate.clone();
            async move {
                gate.began.add_permits(1);
                gate.may_end.acquire().await.unwrap().forget();
                Ok(())
            }
        })
    }

    async fn begun(&self) {
        tokio::time::timeout(PATIENCE, self.began.acquire()).await.expect("a run begins").unwrap().forget();
    }
}

fn soon() -> Instant {
    Instant::now() + PATIENCE
}

const FREE: &str = "SELECT lease_token IS NULL AND lease_owner IS NULL, attempt FROM duties";

#[tokio::test]
async fn two_replicas_run_a_due_duty_exactly_once_each_time_it_is_due() {
    let database = database().await;
    let runs = Arc::new(AtomicU32::new(0));
    let mut loops = Vec::new();
    for name in ["one", "two"] {
        loops.push(start(&replica(&database, name).await, QUICK, vec![counting(&runs)]));
    }
    for round in 1..=5 {
        until(&database, "SELECT last_outcome = 'succeeded' AND next_run_at > now() FROM duties", "t").await;
        assert_eq!(runs.load(Ordering::SeqCst), round);
        database.query("UPDATE duties SET next_run_at = now(), last_outcome = 'failed' WHERE duty = 'test'").await;
    }
    until(&database, "SELECT last_outcome FROM duties", "succeeded").await;
    for a_loop in loops {
        a_loop.stop(soon()).await;
    }
    assert_eq!(runs.load(Ordering::SeqCst), 6);
    assert_eq!(database.query(FREE).await, "t|0");
    let pause = database.query("SELECT next_run_at - last_run_at BETWEEN interval '53 min' AND interval '67 min' FROM duties").await;
    assert_eq!(pause, "t", "the next one is due in an hour, give or take a tenth");
}

#[tokio::test]
async fn a_replica_that_died_at_a_duty_is_replaced_when_its_lease_ends_and_not_before() {
    let database = database().await;
    let (one, two) = (replica(&database, "one").await, replica(&database, "two").await);
    let gate = Gate::new();
    let dying = start(&one, QUICK, vec![gate.duty(HOURLY)]);
    gate.begun().await;
    // Dropped as a process is that was killed: nothing is given back.
    drop(dying);
    assert_eq!(two.duties().claim("test", QUICK.lease_for).await.unwrap(), None);
    assert_eq!(database.query("SELECT lease_owner FROM duties").await, "one");

    let runs = Arc::new(AtomicU32::new(0));
    let successor = start(&two, QUICK, vec![counting(&runs)]);
    database.query("UPDATE duties SET lease_until = now() - interval '1 ms'").await;
    until(&database, "SELECT last_outcome FROM duties", "succeeded").await;
    successor.stop(soon()).await;
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_lease_that_is_renewed_outlives_its_first_end() {
    let database = database().await;
    let store = replica(&database, "one").await;
    let timing = Timing { lease_for: Duration::from_secs(3), ..QUICK };
    let gate = Gate::new();
    let loops = start(&store, timing, vec![gate.duty(HOURLY)]);
    gate.begun().await;
    let first = database.query("SELECT lease_until FROM duties").await;
    until(&database, &format!("SELECT now() > '{first}'"), "t").await;
    assert_eq!(replica(&database, "two").await.duties().claim("test", timing.lease_for).await.unwrap(), None);
    gate.may_end.add_permits(1);
    until(&database, "SELECT last_outcome FROM duties", "succeeded").await;
    loops.stop(soon()).await;
}

#[tokio::test]
async fn a_replica_whose_duty_was_taken_over_stops_at_it_and_changes_nothing_of_it() {
    let database = database().await;
    let (one, two) = (replica(&database, "one").await, replica(&database, "two").await);
    let gate = Gate::new();
    let timing = Timing { lease_for: Duration::from_secs(3), look_every: Duration::from_mins(1), ..QUICK };
    let loops = start(&one, timing, vec![gate.duty(HOURLY)]);
    gate.begun().await;
    database.query("UPDATE duties SET lease_until = now() - interval '1 ms'").await;
    let taken = two.duties().claim("test", Duration::from_mins(1)).await.unwrap().expect("it is free");
    assert_eq!(taken.attempt(), 2, "the first one counts");
    // It hears of it when it renews, and lets go of its work.
    eventually("the first one gave up", async || (Arc::strong_count(&gate.may_end) == 2).then_some(())).await;
    loops.stop(soon()).await;
    assert_eq!(database.query("SELECT lease_owner, attempt FROM duties").await, "two|2");
    assert!(two.duties().finish(&taken, DutyOutcome::Succeeded, HOURLY.every).await.unwrap());
}

#[tokio::test]
async fn whoever_lost_a_lease_can_neither_renew_nor_finish_nor_give_back() {
    let database = database().await;
    let (one, two) = (replica(&database, "one").await, replica(&database, "two").await);
    one.duties().insert("test").await.unwrap();
    let lost = one.duties().claim("test", QUICK.lease_for).await.unwrap().unwrap();
    database.query("UPDATE duties SET lease_until = now() - interval '1 ms'").await;
    let held = two.duties().claim("test", QUICK.lease_for).await.unwrap().unwrap();
    assert!(!one.duties().renew(&lost, QUICK.lease_for).await.unwrap());
    assert!(!one.duties().finish(&lost, DutyOutcome::Succeeded, HOURLY.every).await.unwrap());
    assert!(!one.duties().give_back(lost).await.unwrap());
    assert!(two.duties().renew(&held, QUICK.lease_for).await.unwrap());
    assert!(two.duties().give_back(held).await.unwrap());
    let record = two.duties().get("test").await.unwrap().unwrap();
    assert!(record.due && record.attempt == 1 && record.last_outcome.is_none(), "{record:?}");
}

#[tokio::test]
async fn a_stop_gives_a_running_duty_back_at_once_and_charges_no_attempt() {
    let database = database().await;
    let store = replica(&database, "one").await;
    let gate = Gate::new();
    let loops = start(&store, QUICK, vec![gate.duty(HOURLY)]);
    gate.begun().await;
    let asked = Instant::now();
    loops.stop(soon()).await;
    assert!(asked.elapsed() < Duration::from_secs(5), "the duty itself would never have ended");
    assert_eq!(database.query(FREE).await, "t|0");
    assert!(store.duties().claim("test", QUICK.lease_for).await.unwrap().is_some(), "another one need not wait");
}

#[tokio::test]
async fn a_run_that_takes_too_long_is_cut_off_and_tried_again_soon() {
    let database = database().await;
    let store = replica(&database, "one").await;
    let gate = Gate::new();
    let loops = start(&store, QUICK, vec![gate.duty(Rhythm { at_most: Duration::from_millis(50), ..HOURLY })]);
    gate.begun().await;
    until(&database, "SELECT last_outcome FROM duties", "timed_out").await;
    gate.may_end.add_permits(1);
    until(&database, "SELECT last_outcome FROM duties", "succeeded").await;
    loops.stop(soon()).await;
}

#[tokio::test]
async fn a_duty_that_fails_or_panics_is_run_again_after_a_pause_that_grows_and_stops_no_other() {
    let database = database().await;
    let store = replica(&database, "one").await;
    let tries = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&tries);
    let failing = Duty::new("failing", HOURLY, move |_| {
        let attempt = counted.fetch_add(1, Ordering::SeqCst) + 1;
        async move {
            match attempt {
                1 => Err(WorkerError::Panicked("not really".to_owned())),
                2 => panic!("really"),
                _ => Ok(()),
            }
        }
    });
    let runs = Arc::new(AtomicU32::new(0));
    let loops = start(&store, QUICK, vec![failing, counting(&runs)]);
    until(&database, "SELECT last_outcome, attempt FROM duties WHERE duty = 'failing'", "succeeded|0").await;
    until(&database, "SELECT last_outcome FROM duties WHERE duty = 'test'", "succeeded").await;
    loops.stop(soon()).await;
    assert_eq!((tries.load(Ordering::SeqCst), runs.load(Ordering::SeqCst)), (3, 1));

    let slow = Timing { retry_after: Duration::from_mins(1), ..QUICK };
    let hopeless = Duty::new("hopeless", HOURLY, |_| async { Err(WorkerError::Panicked("always".to_owned())) });
    let loops = start(&store, slow, vec![hopeless]);
    for (attempt, minutes) in [(1, 1), (2, 2), (3, 4)] {
        until(&database, "SELECT attempt, lease_token IS NULL FROM duties WHERE duty = 'hopeless'", &format!("{attempt}|t")).await;
        let seconds = database.query("SELECT extract(epoch FROM next_run_at - last_run_at) FROM duties WHERE duty = 'hopeless'").await;
        let seconds: f64 = seconds.parse().unwrap();
        let expected = f64::from(minutes * 60);
        assert!((0.89 * expected..1.11 * expected).contains(&seconds), "{seconds} after attempt {attempt}");
        database.query("UPDATE duties SET next_run_at = now() WHERE duty = 'hopeless'").await;
    }
    loops.stop(soon()).await;
}
