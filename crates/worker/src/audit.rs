//! Duty: audit events that are older than they are kept. What goes is accounted for in the chain of its tenant.

use std::num::NonZeroU32;

use domain::Actor;
use domain::audit::AuditKind;
use store::{PartitionedTable, Purge};

use crate::duty::Run;
use crate::error::WorkerError;
use crate::installation::cut_off;

/// Removes tenant by tenant, each some thousand rows in a transaction with the event that says so, and then drops the months
/// that have become empty. Dropping them with their rows would need the chains of all tenants in one transaction, during
/// which nobody could change anything.
pub async fn run(run: Run, keep_days: NonZeroU32) -> Result<(), WorkerError> {
    let cut_off = cut_off(run.now, keep_days);
    let actor = Actor::system("audit-retention");
    let (mut tenants, mut events) = (0, 0);
    for tenant in run.store.tenants_with_audit_before(cut_off).await? {
        events += run.store.tenant(tenant).audit().purge(&Purge::Before(cut_off), AuditKind::AuditExpired, &actor).await?;
        tenants += 1;
    }
    let months = run.store.partitions(PartitionedTable::AuditEvents).drop_before(cut_off).await?;
    if events > 0 || !months.is_empty() {
        tracing::info!(events, tenants, months = months.len(), %cut_off, "removed audit events that were too old");
    }
    Ok(())
}
