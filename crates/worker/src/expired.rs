//! Duty: codes and render tokens that have expired, and idempotency keys whose day is over. Making codes and tokens sweeps some of
//! them away; this takes the last ones.

use crate::duty::Run;
use crate::error::WorkerError;

/// Rows that one statement removes.
const BATCH_ROWS: u32 = 1_000;

pub async fn run(run: Run) -> Result<(), WorkerError> {
    let (mut codes, mut tokens, mut keys) = (0, 0, 0);
    loop {
        let forgotten = run.store.forget_expired_codes(BATCH_ROWS).await?;
        codes += forgotten;
        if forgotten < u64::from(BATCH_ROWS) {
            break;
        }
    }
    loop {
        let forgotten = run.store.forget_expired_render_tokens(BATCH_ROWS).await?;
        tokens += forgotten;
        if forgotten < u64::from(BATCH_ROWS) {
            break;
        }
    }
    loop {
        let forgotten = run.store.forget_expired_idempotency_keys(BATCH_ROWS).await?;
        keys += forgotten;
        if forgotten < u64::from(BATCH_ROWS) {
            break;
        }
    }
    if codes + tokens + keys > 0 {
        tracing::info!(codes, tokens, idempotency_keys = keys, "forgot what had expired");
    }
    Ok(())
}
