//! Duty: jobs whose time is over. Their documents go when no row names them any more, see `assets`.

use jiff::{SignedDuration, Timestamp};

use crate::duty::Run;
use crate::error::WorkerError;

/// Rows that one statement removes.
const BATCH_ROWS: u32 = 1_000;
/// For so long a job that has expired is known to have been there.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);

pub async fn run(run: Run) -> Result<(), WorkerError> {
    let forget = run.now.checked_sub(REMEMBERED).unwrap_or(Timestamp::MIN);
    let mut removed = 0;
    loop {
        let rows = run.store.job_queue().delete_expired(run.now, forget, BATCH_ROWS).await?;
        removed += rows;
        if rows == 0 {
            break;
        }
    }
    if removed > 0 {
        tracing::info!(removed, "removed what had expired of jobs");
    }
    Ok(())
}
