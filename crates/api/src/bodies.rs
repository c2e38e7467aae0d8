//! Room for request bodies: what is under way at the same time is bounded in bytes, counted as they arrive.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a body waits for more room.
const PATIENCE: Duration = Duration::from_secs(5);
const UNIT_BYTES: usize = 1024;

/// The room that all bodies share.
#[derive(Clone)]
pub(crate) struct Bodies {
    all: Arc<Semaphore>,
    patience: Duration,
}

impl Bodies {
    /// Room for `total_bytes`, and for one body of `limit_bytes` in any case.
    pub(crate) fn new(total_bytes: usize, limit_bytes: usize) -> Self {
        let units = total_bytes.max(limit_bytes).div_ceil(UNIT_BYTES).min(Semaphore::MAX_PERMITS);
        Self { all: Arc::new(Semaphore::new(units)), patience: PATIENCE }
    }

    fn room(&self) -> Room {
        Room { all: Arc::clone(&self.all), patience: self.patience, held: Arc::default() }
    }
}

/// What one body holds of it: as much as has arrived, so that whoever announces much and sends little takes little.
#[derive(Clone)]
pub(crate) struct Room {
    all: Arc<Semaphore>,
    patience: Duration,
    held: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
}

/// There was no room in time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Room {
    /// Makes it room for `size_bytes` in all.
    pub(crate) async fn grow_to(&self, size_bytes: usize) -> Result<(), Full> {
        let has = self.held().as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = size_bytes.div_ceil(UNIT_BYTES).saturating_sub(has);
        if more == 0 {
            return Ok(());
        }
        let more = u32::try_from(more).map_err(|_| Full)?;
        let found = tokio::time::timeout(self.patience, Arc::clone(&self.all).acquire_many_owned(more)).await;
        let Ok(Ok(found)) = found else { return Err(Full) };
        let mut held = self.held();
        match held.as_mut() {
            Some(held) => held.merge(found),
            None => *held = Some(found),
        }
        Ok(())
    }

    /// Gives all of it back.
    pub(crate) fn leave(&self) {
        *self.held() = None;
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Option<OwnedSemaphorePermit>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has the request's body counted while it is read, and what was counted kept until the request is answered.
pub(crate) async fn count(State(bodies): State<Bodies>, mut request: Request, next: Next) -> Response {
    if !brings_one(request.headers()) {
        return next.run(request).await;
    }
    let room = bodies.room();
    request.extensions_mut().insert(room.clone());
    let response = next.run(request).await;
    room.leave();
    response
}

fn brings_one(headers: &HeaderMap) -> bool {
    headers.contains_key(header::TRANSFER_ENCODING) || headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_holds_what_has_arrived_and_waits_for_more_only_so_long() {
        let bodies = Bodies { patience: Duration::from_millis(50), ..Bodies::new(10 * UNIT_BYTES, 1) };
        let (slow, large) = (bodies.room(), bodies.room());
        slow.grow_to(1).await.unwrap();
        large.grow_to(3 * UNIT_BYTES).await.unwrap();
        large.grow_to(9 * UNIT_BYTES).await.unwrap();
        assert_eq!(bodies.all.available_permits(), 0);
        slow.grow_to(UNIT_BYTES).await.unwrap();
        assert_eq!(slow.grow_to(UNIT_BYTES + 1).await, Err(Full));
        large.leave();
        slow.grow_to(UNIT_BYTES + 1).await.unwrap();
        drop(slow);
        assert_eq!(bodies.all.available_permits(), 10, "whoever goes away leaves nothing behind");
    }
}
