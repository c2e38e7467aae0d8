//! Duty: acts on labels that are older than the history of labels is kept.

use std::num::NonZeroU32;

use domain::Actor;

use crate::duty::Run;
use crate::error::WorkerError;
use crate::installation::cut_off;

/// Acts that one transaction removes.
const BATCH_ROWS: u32 = 1_000;

/// Removes tenant by tenant, the oldest first.
pub async fn run(run: Run, keep_days: NonZeroU32) -> Result<(), WorkerError> {
    let cut_off = cut_off(run.now, keep_days);
    let actor = Actor::system("label-history-retention");
    let mut acts = 0;
    for tenant in run.store.tenants_with_label_history_before(cut_off).await? {
        let handle = run.store.tenant(tenant);
        loop {
            let removed = match handle.labels().delete_history_before(cut_off, BATCH_ROWS, &actor).await {
                // Archived since we looked: what it has stays as it is.
                Err(store::StoreError::TenantArchived) => 0,
                removed => removed?,
            };
            acts += removed;
            if removed < u64::from(BATCH_ROWS) {
                break;
            }
        }
    }
    if acts > 0 {
        tracing::info!(acts, %cut_off, "removed acts on labels that had been kept for long enough");
    }
    Ok(())
}
