//! One thing of the provider's, kept for a while: fetched once for all who wait, and still used when the provider is away.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::Clock;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex as Flight;

use crate::error::OpenIdError;

/// How long what was fetched is good.
#[derive(Clone, Copy)]
pub(crate) struct Ages {
    /// Used without asking.
    pub(crate) fresh: SignedDuration,
    /// Used when asking failed.
    pub(crate) usable: SignedDuration,
    /// Between a failure and the next try, and between two fetches that somebody asked for before the time.
    pub(crate) pause: SignedDuration,
}

/// Cloning shares the content.
pub(crate) struct Cache<T>(Arc<Inner<T>>);

struct Inner<T> {
    ages: Ages,
    clock: Clock,
    kept: Mutex<Kept<T>>,
    /// Held by the one who fetches.
    flight: Arc<Flight<()>>,
}

struct Kept<T> {
    value: Option<Arc<T>>,
    fetched_at: Timestamp,
    failure: Option<(OpenIdError, Timestamp)>,
    hurried_at: Option<Timestamp>,
}

impl<T> Clone for Cache<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Send + Sync + 'static> Cache<T> {
    pub(crate) fn new(ages: Ages, clock: Clock) -> Self {
        let kept = Kept { value: None, fetched_at: Timestamp::MIN, failure: None, hurried_at: None };
        Self(Arc::new(Inner { ages, clock, kept: Mutex::new(kept), flight: Arc::default() }))
    }

    /// What is kept, or what `fetch` brings. While the provider is away nobody waits for it as long as something usable
    /// is kept: the next try runs beside the requests.
    pub(crate) async fn get<F>(&self, fetch: impl FnOnce() -> F) -> Result<Arc<T>, OpenIdError>
    where
        F: Future<Output = Result<T, OpenIdError>> + Send + 'static,
    {
        if let Some(answer) = self.kept_answer() {
            return answer;
        }
        let (usable, failed) = {
            let kept = self.kept();
            (self.usable(&kept), kept.failure.is_some())
        };
        let Some(value) = usable.filter(|_| failed) else {
            let guard = Arc::clone(&self.0.flight).lock_owned().await;
            // The one before may have brought it, or learnt that there is nothing to bring.
            return match self.kept_answer() {
                Some(answer) => answer,
                None => self.fetch_with(guard, fetch()).await,
            };
        };
        if let Ok(guard) = Arc::clone(&self.0.flight).try_lock_owned() {
            let (cache, fetching) = (self.clone(), fetch());
            tokio::spawn(async move { cache.fetch_with(guard, fetching).await });
        }
        Ok(value)
    }

    /// What is newer than `seen`, which lacked something. At most one fetch per pause, however many ask.
    pub(crate) async fn newer<F>(&self, seen: &Arc<T>, fetch: impl FnOnce() -> F) -> Option<Arc<T>>
    where
        F: Future<Output = Result<T, OpenIdError>> + Send + 'static,
    {
        let guard = Arc::clone(&self.0.flight).lock_owned().await;
        {
            let mut kept = self.kept();
            if let Some(value) = kept.value.as_ref().filter(|value| !Arc::ptr_eq(value, seen)) {
                return Some(Arc::clone(value));
            }
            let asked = [kept.hurried_at, kept.failure.as_ref().map(|(_, at)| *at)];
            if asked.into_iter().flatten().any(|at| self.within(at, self.0.ages.pause)) {
                return None;
            }
            kept.hurried_at = Some(self.0.clock.now());
        }
        self.fetch_with(guard, fetch()).await.ok()
    }

    /// What can be said without asking the provider.
    fn kept_answer(&self) -> Option<Result<Arc<T>, OpenIdError>> {
        let kept = self.kept();
        if let Some(value) = kept.value.as_ref().filter(|_| self.within(kept.fetched_at, self.0.ages.fresh)) {
            return Some(Ok(Arc::clone(value)));
        }
        let (failure, _) = kept.failure.as_ref().filter(|(_, at)| self.within(*at, self.0.ages.pause))?;
        Some(self.usable(&kept).ok_or_else(|| failure.clone()))
    }

    fn usable(&self, kept: &Kept<T>) -> Option<Arc<T>> {
        kept.value.clone().filter(|_| self.within(kept.fetched_at, self.0.ages.usable))
    }

    /// Fetches on a task of its own, so that a caller who leaves takes nothing from those who wait.
    async fn fetch_with<F>(&self, guard: tokio::sync::OwnedMutexGuard<()>, fetching: F) -> Result<Arc<T>, OpenIdError>
    where
        F: Future<Output = Result<T, OpenIdError>> + Send + 'static,
    {
        let cache = self.clone();
        let task = tokio::spawn(async move {
            let result = fetching.await;
            let mut kept = cache.kept();
            let now = cache.0.clock.now();
            let answer = match result {
                Ok(value) => {
                    let value = Arc::new(value);
                    (kept.value, kept.fetched_at, kept.failure) = (Some(Arc::clone(&value)), now, None);
                    Ok(value)
                }
                Err(error) => {
                    tracing::warn!(%error, "the OpenID provider was asked in vain");
                    kept.failure = Some((error.clone(), now));
                    cache.usable(&kept).ok_or(error)
                }
            };
            drop(kept);
            drop(guard);
            answer
        });
        let lost = |error: tokio::task::JoinError| OpenIdError::Away { call: "background", reason: error.to_string() };
        task.await.unwrap_or_else(|error| Err(lost(error)))
    }

    /// Whether `at` is no longer ago than `age`. A time in the future, after the clock was set back, is not.
    fn within(&self, at: Timestamp, age: SignedDuration) -> bool {
        let passed = self.0.clock.now().duration_since(at);
        !passed.is_negative() && passed < age
    }

    fn kept(&self) -> MutexGuard<'_, Kept<T>> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
