//! Turns for questions that read much: a few at a time for each tenant and for all, so that nobody's reports take the
//! database connections that everybody's work needs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::{ErrorCode, TenantId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::error::ApiError;

/// Questions of one tenant at the same time.
const OF_A_TENANT: usize = 2;
/// How long a question waits for its turn.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long an export that has begun waits for the turn of its next piece: longer, as breaking off wastes what was sent.
const PATIENCE_WITHIN: Duration = Duration::from_secs(30);

/// Counts the questions under way. Clones share the count.
#[derive(Clone)]
pub struct HeavyReads(Arc<Inner>);

struct Inner {
    all: Arc<Semaphore>,
    tenants: Mutex<HashMap<TenantId, Arc<Semaphore>>>,
}

/// A question may be asked as long as this is held.
#[derive(Debug)]
pub(crate) struct Turn(#[expect(dead_code, reason = "held, not looked at")] [OwnedSemaphorePermit; 2]);

/// Why there was no turn in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Busy {
    #[error("this tenant asks as many large questions as it may at the same time; ask again in a moment")]
    Tenant,
    #[error("too many large questions are being answered; ask again in a moment")]
    All,
}

impl HeavyReads {
    /// Leaves half of the database connections that a replica may hold to everything else.
    pub fn beside(max_connections: u32) -> Self {
        let half = usize::try_from(max_connections / 2).unwrap_or(usize::MAX).clamp(1, Semaphore::MAX_PERMITS);
        Self(Arc::new(Inner { all: Arc::new(Semaphore::new(half)), tenants: Mutex::default() }))
    }

    /// The turn of a question of that tenant.
    pub(crate) async fn turn(&self, tenant: &TenantId) -> Result<Turn, Busy> {
        self.turn_within(tenant, PATIENCE).await
    }

    /// The turn of the next piece of an answer that has begun.
    pub(crate) async fn next_turn(&self, tenant: &TenantId) -> Result<Turn, Busy> {
        self.turn_within(tenant, PATIENCE_WITHIN).await
    }

    async fn turn_within(&self, tenant: &TenantId, patience: Duration) -> Result<Turn, Busy> {
        let deadline = Instant::now() + patience;
        // The tenant's first: whoever waits for its own others holds nothing of all.
        let of_tenant = timeout_at(deadline, self.of(tenant).acquire_owned()).await;
        let Ok(Ok(of_tenant)) = of_tenant else { return Err(refused(Busy::Tenant)) };
        let of_all = timeout_at(deadline, Arc::clone(&self.0.all).acquire_owned()).await;
        let Ok(Ok(of_all)) = of_all else { return Err(refused(Busy::All)) };
        Ok(Turn([of_tenant, of_all]))
    }

    fn of(&self, tenant: &TenantId) -> Arc<Semaphore> {
        let mut tenants = self.0.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = tenants.get(tenant) {
            return Arc::clone(known);
        }
        // Only those that ask or wait are kept: each of them holds a clone.
        tenants.retain(|_, known| Arc::strong_count(known) > 1);
        let new = Arc::new(Semaphore::new(OF_A_TENANT));
        tenants.insert(tenant.clone(), Arc::clone(&new));
        new
    }
}

fn refused(busy: Busy) -> Busy {
    let whose = match busy {
        Busy::Tenant => "tenant",
        Busy::All => "all",
    };
    metrics::counter!("pulp_engine_heavy_reads_refused_total", "limit" => whose).increment(1);
    busy
}

impl From<Busy> for ApiError {
    fn from(busy: Busy) -> Self {
        let code = match busy {
            Busy::Tenant => ErrorCode::RateLimited,
            Busy::All => ErrorCode::ServiceUnavailable,
        };
        Self::new(code, busy.to_string()).retry_after(PATIENCE.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(30);

    #[tokio::test]
    async fn a_tenant_has_two_turns_and_all_have_half_of_the_connections() {
        let heavy = HeavyReads::beside(6);
        let (one, other): (TenantId, TenantId) = ("one".parse().unwrap(), "other".parse().unwrap());
        let first = heavy.turn(&one).await.unwrap();
        let _second = heavy.turn(&one).await.unwrap();
        assert_eq!(heavy.turn_within(&one, SHORT).await.unwrap_err(), Busy::Tenant);
        let _third = heavy.turn(&other).await.unwrap();
        assert_eq!(heavy.turn_within(&other, SHORT).await.unwrap_err(), Busy::All);
        drop(first);
        heavy.turn_within(&other, SHORT).await.unwrap();
    }

    #[tokio::test]
    async fn tenants_that_ask_nothing_any_more_are_forgotten_and_those_that_ask_are_not() {
        let heavy = HeavyReads::beside(100);
        let busy: TenantId = "busy".parse().unwrap();
        let _turns = [heavy.turn(&busy).await.unwrap(), heavy.turn(&busy).await.unwrap()];
        for number in 0..100 {
            heavy.turn(&format!("t{number}").parse().unwrap()).await.unwrap();
        }
        assert!(heavy.0.tenants.lock().unwrap().len() <= 2);
        assert_eq!(heavy.turn_within(&busy, SHORT).await.unwrap_err(), Busy::Tenant);
    }
}
