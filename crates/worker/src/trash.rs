//! Duty: templates that have been in the trash for longer than they are kept there.

use std::num::NonZeroU32;

use domain::Actor;

use crate::duty::Run;
use crate::error::WorkerError;
use crate::installation::cut_off;

/// Templates that one transaction removes, with all their versions; whoever else writes in the tenant waits for it.
const BATCH_ROWS: u32 = 50;

/// Removes tenant by tenant, each some templates in a transaction with an event for each of them.
pub async fn run(run: Run, keep_days: NonZeroU32) -> Result<(), WorkerError> {
    let cut_off = cut_off(run.now, keep_days);
    let actor = Actor::system("trash-retention");
    let (mut tenants, mut templates) = (0, 0);
    for tenant in run.store.tenants_with_trash_before(cut_off).await? {
        let handle = run.store.tenant(tenant);
        loop {
            let removed = match handle.templates().purge_deleted_before(cut_off, BATCH_ROWS, &actor).await {
                // Archived since we looked: its trash stays as it is.
                Err(store::StoreError::TenantArchived) => 0,
                removed => removed?,
            };
            templates += removed;
            if removed < u64::from(BATCH_ROWS) {
                break;
            }
        }
        tenants += 1;
    }
    if templates > 0 {
        tracing::info!(templates, tenants, %cut_off, "removed templates that had been in the trash for long enough");
    }
    Ok(())
}
