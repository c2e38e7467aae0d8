//! Duty: datasets whose time is over.

use domain::Actor;
use jiff::SignedDuration;

use crate::duty::Run;
use crate::error::WorkerError;

/// Datasets that one transaction removes; whoever else writes in the tenant waits for it.
const BATCH_ROWS: u32 = 500;
/// How long they stay after their end: a job that is submitted in the last moment is in the database by then.
const GRACE: SignedDuration = SignedDuration::from_mins(5);

/// Removes tenant by tenant, those of archived tenants too, and none that an open job was submitted with. Their bytes go when
/// stored files are swept.
pub async fn run(run: Run) -> Result<(), WorkerError> {
    let actor = Actor::system("dataset-retention");
    let moment = run.now.checked_sub(GRACE).unwrap_or(run.now);
    let mut datasets = 0;
    for tenant in run.store.tenants_with_expired_datasets(moment).await? {
        let handle = run.store.tenant(tenant);
        loop {
            let removed = handle.temporary_datasets().delete_expired(moment, BATCH_ROWS, &actor).await?;
            datasets += removed;
            if removed < u64::from(BATCH_ROWS) {
                break;
            }
        }
    }
    if datasets > 0 {
        tracing::info!(datasets, "removed datasets whose time was over");
    }
    Ok(())
}
