//! Rate limits of credentials and tenants, kept over all replicas: requests are leased in blocks, and told from in `X-RateLimit-*`.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use domain::rate_limits::requests_in;
use domain::{ErrorCode, Scope};
use moka::sync::Cache;
use store::{RateLease, RateLeaseRequest, Store};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

use crate::auth::{Caller, Credential};
use crate::error::ApiError;
use crate::idempotency::hash_of_parts;
use crate::rate_windows::{Standing, Supply, Taken, Window};

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// How long a request waits for a lease. Afterwards the replica goes on by itself: a database that is away stops nobody.
const PATIENCE: Duration = Duration::from_millis(250);
/// After the database did not answer, no request waits for it so long.
const AWAY: Duration = Duration::from_secs(1);
/// How long a lease that no request waits for may take.
const AHEAD: Duration = Duration::from_secs(2);
/// Leases that no request waits for, at the same time.
const AHEAD_AT_ONCE: usize = 8;
/// Limits that are known at the same time; the least used are forgotten, with what was leased for them. About 300 bytes each.
const WINDOWS: u64 = 100_000;

/// The limits of a deployment.
#[derive(Clone, Copy, Debug)]
pub struct RateLimits {
    /// Requests a minute of one credential, where it has no limit of its own; none for no limit.
    pub per_key: Option<u32>,
    /// The same for all of a tenant's credentials together.
    pub per_tenant: Option<u32>,
    /// Requests are counted in windows of this length; 1 s or more.
    pub window: Duration,
}

/// Keeps the limits. Clones share what they know.
#[derive(Clone)]
pub(crate) struct RateKeeper(Arc<Inner>);

struct Inner {
    limits: RateLimits,
    store: Store,
    known: Cache<[u8; 32], Arc<Limited>>,
    ahead: Arc<Semaphore>,
    away_until: Mutex<Option<Instant>>,
}

/// One credential or tenant with a limit.
struct Limited {
    subject: [u8; 32],
    whose: &'static str,
    window: Mutex<Window>,
    /// Held by whoever asks the database, while others wait for the answer.
    asking: tokio::sync::Mutex<()>,
    waiting: AtomicU32,
    asking_ahead: AtomicBool,
}

impl Limited {
    fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that is over a limit.
pub(crate) struct OverLimit {
    whose: &'static str,
    standing: Standing,
}

impl RateKeeper {
    pub(crate) fn new(limits: RateLimits, store: Store) -> Self {
        // Longer than a window: what was let through alone is to be told.
        let known = Cache::builder().max_capacity(WINDOWS).time_to_idle(limits.window.saturating_mul(2)).build();
        Self(Arc::new(Inner { limits, store, known, ahead: Arc::new(Semaphore::new(AHEAD_AT_ONCE)), away_until: Mutex::default() }))
    }

    /// Counts a request against the limits of its credential and its tenant, which may have one of its own; says how the scarcer
    /// one stands. An operator in somebody's tenant uses up nothing of it.
    pub(crate) async fn admit(&self, caller: &Caller, of_tenant: Option<u32>) -> Result<Option<Standing>, OverLimit> {
        if caller.credential == Credential::NotAsked {
            return Ok(None);
        }
        let key = match caller.requests_per_minute.or(self.0.limits.per_key) {
            Some(per_minute) => Some(self.take("key", subject_of(caller), per_minute).await?),
            None => None,
        };
        let tenant = match of_tenant.or(self.0.limits.per_tenant).filter(|_| caller.scope != Scope::SuperAdmin) {
            Some(per_minute) => Some(self.take("tenant", hash(&["tenant", caller.tenant.as_str()]), per_minute).await?),
            None => None,
        };
        Ok(key.into_iter().chain(tenant).min_by_key(|standing| standing.remaining))
    }

    async fn take(&self, whose: &'static str, subject: [u8; 32], per_minute: u32) -> Result<Standing, OverLimit> {
        let length = self.0.limits.window;
        let limit = requests_in(length, per_minute);
        let limited = self.0.known.get_with(subject, || {
            let (window, asking) = (Mutex::new(Window::new(limit)), tokio::sync::Mutex::default());
            Arc::new(Limited { subject, whose, window, asking, waiting: AtomicU32::new(0), asking_ahead: AtomicBool::new(false) })
        });
        let patience = Instant::now() + PATIENCE;
        loop {
            let taken = limited.window().take(limit, length, Instant::now());
            let (result, supply) = match taken {
                Taken::Passed(standing, supply) => (Ok(standing), supply),
                Taken::Refused(standing, supply) => (Err(OverLimit { whose, standing }), supply),
                Taken::Unknown => {
                    self.lease_now(&limited, limit, patience).await;
                    continue;
                }
            };
            if supply == Supply::Short {
                self.lease_ahead(&limited, limit);
            }
            if result.is_err() {
                metrics::counter!("pulp_rate_limit_refusals_total", "limit" => whose).increment(1);
            }
            return result;
        }
    }

    /// Leases for those who wait, or sets the replica on its own when that takes too long.
    async fn lease_now(&self, limited: &Limited, limit: u32, patience: Instant) {
        limited.waiting.fetch_add(1, Ordering::SeqCst);
        let leased = async {
            let _asking = limited.asking.lock().await;
            // Whoever asked before may have leased for this request too.
            if limited.window().is_decided(Instant::now()) {
                return Ok(());
            }
            self.lease(limited, limit).await
        };
        let done = !self.is_away() && matches!(timeout_at(patience, leased).await, Ok(Ok(())));
        limited.waiting.fetch_sub(1, Ordering::SeqCst);
        if !done {
            self.gave_up(limited);
        }
    }

    /// Leases before it is needed, unless somebody does or too many are being asked for.
    fn lease_ahead(&self, limited: &Arc<Limited>, limit: u32) {
        if self.is_away() || limited.asking_ahead.swap(true, Ordering::SeqCst) {
            return;
        }
        let Ok(place) = Arc::clone(&self.0.ahead).try_acquire_owned() else {
            limited.asking_ahead.store(false, Ordering::SeqCst);
            return;
        };
        let (keeper, limited) = (self.clone(), Arc::clone(limited));
        tokio::spawn(async move {
            let leased = timeout(AHEAD, async {
                let _asking = limited.asking.lock().await;
                keeper.lease(&limited, limit).await
            });
            if !matches!(leased.await, Ok(Ok(()))) {
                keeper.gave_up(&limited);
            }
            limited.asking_ahead.store(false, Ordering::SeqCst);
            drop(place);
        });
    }

    /// For whoever holds `asking`.
    async fn lease(&self, limited: &Limited, limit: u32) -> Result<(), store::StoreError> {
        let spent = limited.window().spent();
        let wanted = limited.waiting.load(Ordering::SeqCst).max(1);
        let request = RateLeaseRequest { subject: limited.subject, limit, window: self.0.limits.window, wanted, spent };
        let lease: RateLease = self.0.store.lease_requests(request).await?;
        limited.window().leased(lease, spent, Instant::now());
        metrics::counter!("pulp_rate_limit_leases_total", "limit" => limited.whose).increment(1);
        Ok(())
    }

    fn gave_up(&self, limited: &Limited) {
        *self.away_until() = Some(Instant::now() + AWAY);
        limited.window().alone(self.0.store.replicas_alive(), self.0.limits.window, Instant::now());
    }

    /// Whether the database did not answer a moment ago.
    fn is_away(&self) -> bool {
        self.away_until().is_some_and(|until| Instant::now() < until)
    }

    fn away_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.away_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A key is one, however it is rotated, with the tokens that it was exchanged for; a person is one with all of theirs.
fn subject_of(caller: &Caller) -> [u8; 32] {
    match &caller.api_key {
        Some(lookup) => hash(&["key", lookup.as_str()]),
        None if caller.credential == Credential::ApiKey => hash(&["configured", &caller.actor.name]),
        None => hash(&["holder", caller.tenant.as_str(), &caller.actor.name]),
    }
}

fn hash(parts: &[&str]) -> [u8; 32] {
    hash_of_parts(parts.iter().map(|part| part.as_bytes()))
}

impl Standing {
    /// Tells the caller how the limit stands.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        headers.insert(LIMIT, HeaderValue::from(self.limit));
        headers.insert(REMAINING, HeaderValue::from(self.remaining));
        headers.insert(RESET, HeaderValue::from(self.resets_in_s()));
    }

    /// Whole seconds, at least 1: whoever waits so long is in the next window.
    fn resets_in_s(&self) -> u64 {
        self.resets_in.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX).max(1)
    }
}

impl IntoResponse for OverLimit {
    fn into_response(self) -> Response {
        let (limit, wait) = (self.standing.limit, self.standing.resets_in_s());
        let whose = if self.whose == "key" { "this credential" } else { "this tenant" };
        let said = format!("{whose} may send {limit} requests in a window, and has; the next window begins in {wait} s");
        let mut response = ApiError::new(ErrorCode::RateLimited, said).retry_after(wait).into_response();
        self.standing.tell(response.headers_mut());
        response
    }
}
