//! Duty: messages that ended longer ago than their log is kept.

use std::num::NonZeroU32;

use crate::duty::Run;
use crate::error::WorkerError;
use crate::installation::cut_off;

/// Messages that one statement removes.
const BATCH_ROWS: u32 = 1_000;

/// Removes them, the oldest first. They are a record of what was sent, so no audit event goes with it.
pub async fn run(run: Run, keep_days: NonZeroU32) -> Result<(), WorkerError> {
    let cut_off = cut_off(run.now, keep_days);
    let mut messages = 0;
    loop {
        let removed = run.store.delivery_queue().forget_ended(cut_off, BATCH_ROWS).await?;
        messages += removed;
        if removed < u64::from(BATCH_ROWS) {
            break;
        }
    }
    if messages > 0 {
        tracing::info!(messages, %cut_off, "removed messages that had been kept for long enough");
    }
    Ok(())
}
