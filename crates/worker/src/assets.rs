//! Duty: stored bytes that no asset and no proof has any more, such as those of removed assets and of uploads that were cut off.

use std::collections::BTreeSet;
use std::time::Duration;

use blobs::{BlobKey, BlobKind, Blobs, Listed};
use domain::TenantId;
use jiff::{SignedDuration, Timestamp};

use crate::duty::{Duty, Rhythm, Run};
use crate::error::WorkerError;

/// Twice a day: the list of a bucket costs money.
const SWEEP: Rhythm = Rhythm { every: Duration::from_hours(12), at_most: Duration::from_mins(30) };
/// Names that are looked at in one go.
const PIECE: usize = 1_000;
/// Tenants that are looked up in one go.
const TENANTS: u32 = 500;

/// The duty that removes bytes which no asset has and which were put longer ago than `grace`. An upload puts its bytes before it
/// says so in the database, and putting makes them new: so bytes that are about to be somebody's are never old.
pub fn asset_sweep(blobs: Blobs, grace: Duration) -> Duty {
    Duty::new("asset_sweep", SWEEP, move |run| sweep(run, blobs.clone(), grace))
}

async fn sweep(run: Run, blobs: Blobs, grace: Duration) -> Result<(), WorkerError> {
    let old = SignedDuration::try_from(grace).ok().and_then(|grace| run.now.checked_sub(grace).ok()).unwrap_or(Timestamp::MIN);
    let (mut offset, mut removed, mut removed_bytes) = (0, 0_u64, 0_u64);
    loop {
        // Purged tenants too: their ids stay, and their bytes go here.
        let page = run.store.tenants().list(TENANTS, offset).await?;
        offset += u64::from(TENANTS);
        for tenant in page.items {
            for kind in BlobKind::ALL {
                let (count, bytes) = sweep_tenant(&run, &blobs, &tenant.id, kind, old).await?;
                removed += count;
                removed_bytes += bytes;
            }
        }
        if offset >= page.total {
            break;
        }
    }
    if removed > 0 {
        tracing::info!(removed, removed_bytes, "removed stored files that nothing names any more");
        metrics::counter!("pulp_asset_sweep_removed_total").increment(removed);
    }
    Ok(())
}

/// Removes what a tenant has no more and says how many and how large that were.
async fn sweep_tenant(run: &Run, blobs: &Blobs, tenant: &TenantId, kind: BlobKind, old: Timestamp) -> Result<(u64, u64), WorkerError> {
    let (mut after, mut removed, mut removed_bytes): (Option<BlobKey>, u64, u64) = (None, 0, 0);
    loop {
        let listed = blobs.list(tenant, kind, after.as_ref(), PIECE).await?;
        let is_last = listed.len() < PIECE;
        after = listed.last().map(|last| last.key.clone());
        let candidates: Vec<Listed> = listed.into_iter().filter(|blob| blob.put_at < old).collect();
        let hashes: Vec<[u8; 32]> = candidates.iter().map(|blob| *blob.key.sha256()).collect();
        let handle = run.store.tenant(tenant.clone());
        let known = match kind {
            _ if hashes.is_empty() => Vec::new(),
            BlobKind::Proofs => handle.label_proofs().known(&hashes).await?,
            BlobKind::Outputs => {
                let mut known = handle.documents().known(&hashes).await?;
                known.extend(handle.jobs().known(&hashes).await?);
                known
            }
            BlobKind::Datasets => handle.temporary_datasets().known(&hashes).await?,
            BlobKind::Assets => handle.asset_versions().known(&hashes).await?,
        };
        let known: BTreeSet<[u8; 32]> = known.into_iter().collect();
        for blob in candidates.iter().filter(|blob| !known.contains(blob.key.sha256())) {
            blobs.delete(&blob.key).await?;
            removed += 1;
            removed_bytes += blob.size_bytes;
        }
        if is_last {
            return Ok((removed, removed_bytes));
        }
    }
}
