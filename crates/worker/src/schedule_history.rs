//! Duty: executions of schedules that ended long ago, with what did not arrive of them.

use std::num::NonZeroU32;

use crate::duty::Run;
use crate::error::WorkerError;
use crate::installation::cut_off;

/// Rows that one statement removes.
const BATCH_ROWS: u32 = 500;

pub async fn run(run: Run, keep_days: NonZeroU32) -> Result<(), WorkerError> {
    let before = cut_off(run.now, keep_days);
    let mut removed = 0;
    loop {
        let rows = run.store.schedule_queue().forget_ended(before, BATCH_ROWS).await?;
        removed += rows;
        if rows < u64::from(BATCH_ROWS) {
            break;
        }
    }
    if removed > 0 {
        tracing::info!(removed, "forgot executions of schedules that ended long ago");
    }
    Ok(())
}
