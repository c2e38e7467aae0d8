//! Duty: records of renders that are older than they are kept. The sums per month stay.

use std::num::NonZeroU32;

use store::PartitionedTable;

use crate::duty::Run;
use crate::error::WorkerError;
use crate::installation::cut_off;

/// Rows that one statement removes.
const BATCH_ROWS: u32 = 5_000;

/// Drops the months that are wholly older, and removes what is older in the month of the cut-off.
pub async fn run(run: Run, keep_days: NonZeroU32) -> Result<(), WorkerError> {
    let cut_off = cut_off(run.now, keep_days);
    let partitions = run.store.partitions(PartitionedTable::RenderUsage);
    let months = partitions.drop_before(cut_off).await?;
    let mut rows = 0;
    loop {
        let removed = partitions.delete_before(cut_off, BATCH_ROWS).await?;
        rows += removed;
        if removed < u64::from(BATCH_ROWS) {
            break;
        }
    }
    if rows > 0 || !months.is_empty() {
        tracing::info!(rows, months = months.len(), %cut_off, "removed records of renders that were too old");
    }
    Ok(())
}
