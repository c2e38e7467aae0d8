//! Duty: proofs of moves of labels that are older than they are kept.

use std::num::NonZeroU32;

use domain::Actor;

use crate::duty::Run;
use crate::error::WorkerError;
use crate::installation::cut_off;

/// Proofs that one transaction removes, with the rows of their pictures.
const BATCH_ROWS: u32 = 200;

/// Removes tenant by tenant; the bytes of the pictures go when stored files are swept.
pub async fn run(run: Run, keep_days: NonZeroU32) -> Result<(), WorkerError> {
    let cut_off = cut_off(run.now, keep_days);
    let actor = Actor::system("label-proof-retention");
    let mut proofs = 0;
    for tenant in run.store.tenants_with_label_proofs_before(cut_off).await? {
        let handle = run.store.tenant(tenant);
        loop {
            let removed = match handle.label_proofs().delete_before(cut_off, BATCH_ROWS, &actor).await {
                // Archived since we looked: what it has stays as it is.
                Err(store::StoreError::TenantArchived) => 0,
                removed => removed?,
            };
            proofs += removed;
            if removed < u64::from(BATCH_ROWS) {
                break;
            }
        }
    }
    if proofs > 0 {
        tracing::info!(proofs, %cut_off, "removed proofs of moves of labels that had been kept for long enough");
    }
    Ok(())
}
