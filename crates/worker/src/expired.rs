//! Duty: codes and render tokens that have expired, idempotency keys whose day is over, and windows of rate limits that have ended. Making
//! codes and tokens sweeps some of them away; this takes the last ones.

use store::{Store, StoreError};

use crate::duty::Run;
use crate::error::WorkerError;

/// Rows that one statement removes.
const BATCH_ROWS: u32 = 1_000;

pub async fn run(run: Run) -> Result<(), WorkerError> {
    let codes = all(&run.store, |store| async move { store.forget_expired_codes(BATCH_ROWS).await }).await?;
    let tokens = all(&run.store, |store| async move { store.forget_expired_render_tokens(BATCH_ROWS).await }).await?;
    let keys = all(&run.store, |store| async move { store.forget_expired_idempotency_keys(BATCH_ROWS).await }).await?;
    let windows = all(&run.store, |store| async move { store.forget_ended_rate_windows(BATCH_ROWS).await }).await?;
    if codes + tokens + keys + windows > 0 {
        tracing::info!(codes, tokens, idempotency_keys = keys, rate_windows = windows, "forgot what had expired");
    }
    Ok(())
}

/// Forgets until less than a whole batch was left.
async fn all<F>(store: &Store, forget: impl Fn(Store) -> F) -> Result<u64, StoreError>
where
    F: Future<Output = Result<u64, StoreError>>,
{
    let mut forgotten = 0;
    loop {
        let batch = forget(store.clone()).await?;
        forgotten += batch;
        if batch < u64::from(BATCH_ROWS) {
            return Ok(forgotten);
        }
    }
}
