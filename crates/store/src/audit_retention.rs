//! Whose audit events have become too old to be kept.

use domain::{Month, TenantId};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;

use crate::connect::{Store, speak};
use crate::error::StoreError;

impl Store {
    /// The tenants with events that are older than `cut_off`, by id; [`crate::Audit::purge`] removes them.
    ///
    /// Each removal leaves an event that says so, which becomes too old itself one day. A tenant that has nothing else to
    /// remove is told only when the month of that event is over, or the log of a tenant at rest would get a row a day for ever.
    pub async fn tenants_with_audit_before(&self, cut_off: Timestamp) -> Result<Vec<TenantId>, StoreError> {
        speak!(self, "audit_retention.list", {
            let mut connection = self.acquire().await?;
            let ids = sqlx::query_scalar!(
                "SELECT tenant_id FROM audit_chains chain
                 WHERE EXISTS (SELECT 1 FROM audit_events old WHERE old.tenant_id = chain.tenant_id AND occurred_at < $2)
                    OR EXISTS (SELECT 1 FROM audit_events old
                               WHERE old.tenant_id = chain.tenant_id AND occurred_at < $1 AND event <> 'audit.expired')
                 ORDER BY tenant_id",
                cut_off.to_sqlx() as _,
                Month::of(cut_off).start().to_sqlx() as _
            )
            .fetch_all(&mut *connection)
            .await?;
            ids.into_iter().map(|id| id.parse().map_err(|error| StoreError::inconsistent("audit_chains", error))).collect()
        })
        .await
    }
}
