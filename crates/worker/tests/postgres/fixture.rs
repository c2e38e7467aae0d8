//! A database, stores on it as replicas have them, and ways to wait.

use std::time::{Duration, Instant};

use domain::{Clock, TenantId};
use jiff::{SignedDuration, Timestamp};
use store::{ConnectOptions, Store};
use testkit::postgres::TestDatabase;
use worker::{Duties, Duty, Setup, Timing};

/// How long anything is waited for.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Looks often and keeps a lease long enough for a busy machine.
pub const QUICK: Timing =
    Timing { look_every: Duration::from_millis(20), lease_for: Duration::from_secs(10), retry_after: Duration::from_millis(20) };

pub async fn database() -> TestDatabase {
    TestDatabase::create(async |url: &str| {
        store::migrate(url, PATIENCE).await.unwrap();
    })
    .await
}

/// A replica of that name.
pub async fn replica(database: &TestDatabase, name: &str) -> Store {
    at(database, name, Clock::system()).await
}

/// A replica with a clock of its own.
pub async fn at(database: &TestDatabase, name: &str, clock: Clock) -> Store {
    let options = ConnectOptions { instance_id: name.to_owned(), clock, ..ConnectOptions::new(database.url()) };
    Store::connect(options).await.unwrap()
}

/// A clock that stands still so many days before the present.
pub fn days_ago(days: i64) -> Clock {
    let then = Clock::system().now().checked_sub(SignedDuration::from_hours(24 * days)).unwrap();
    fixed(then)
}

pub fn fixed(moment: Timestamp) -> Clock {
    Clock::from_source(move || moment)
}

pub fn start(store: &Store, timing: Timing, duties: Vec<Duty>) -> Duties {
    Duties::start(Setup { store: store.clone(), clock: Clock::system(), timing }, duties)
}

pub fn default_tenant() -> TenantId {
    TenantId::default_tenant()
}

/// Waits until a question to the database has that answer.
pub async fn until(database: &TestDatabase, question: &str, answer: &str) {
    eventually(&format!("{question} is {answer}"), async || (database.query(question).await == answer).then_some(())).await;
}

/// Asks again and again until the answer is something, for as long as patience lasts.
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
