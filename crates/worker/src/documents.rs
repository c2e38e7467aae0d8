//! Duty: stored documents whose time is over.

use domain::Actor;

use crate::duty::Run;
use crate::error::WorkerError;

/// Documents that one transaction removes; whoever else writes in the tenant waits for it.
const BATCH_ROWS: u32 = 500;

/// Removes tenant by tenant, those of archived tenants too: how long a document is kept was promised. Its bytes go when stored
/// files are swept.
pub async fn run(run: Run) -> Result<(), WorkerError> {
    let actor = Actor::system("document-retention");
    let mut documents = 0;
    for tenant in run.store.tenants_with_expired_documents(run.now).await? {
        let handle = run.store.tenant(tenant);
        loop {
            let removed = handle.documents().delete_expired(run.now, BATCH_ROWS, &actor).await?;
            documents += removed;
            if removed < u64::from(BATCH_ROWS) {
                break;
            }
        }
    }
    if documents > 0 {
        tracing::info!(documents, "removed stored documents whose time was over");
    }
    Ok(())
}
