//! How far back the history of labels goes: what is older than it is kept is removed, but for what says how things are.

use domain::audit::AuditKind;
use domain::{Actor, AuditEvent, TenantId};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;

use crate::connect::{Store, speak};
use crate::error::StoreError;
use crate::labels::Labels;
use crate::tenants::tenant_ids;
use crate::write::Write;

impl Labels<'_> {
    /// Removes up to `limit` acts on labels that ended before `cut_off`, the oldest first, in one transaction with an event that
    /// says how many; gives how many. What a label was at `cut_off` stays known, and so do its newest act and what is to come.
    pub async fn delete_history_before(&self, cut_off: Timestamp, limit: u32, actor: &Actor) -> Result<u64, StoreError> {
        speak!(self.0.store, "labels.delete_history_before", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let removed = sqlx::query!(
                "DELETE FROM template_label_events WHERE event_id IN (
                     SELECT e.event_id FROM template_label_events e
                     WHERE e.tenant_id = $1 AND e.settled_at < $2 AND EXISTS (
                         SELECT FROM template_label_events n
                         WHERE n.template_id = e.template_id AND n.label = e.label
                           AND CASE WHEN e.state = 'applied'
                               THEN n.state = 'applied' AND n.applied_place > e.applied_place AND n.settled_at < $2
                               ELSE n.place > e.place END)
                     ORDER BY e.place LIMIT $3)",
                self.0.tenant.as_str(),
                cut_off.to_sqlx() as _,
                i64::from(limit)
            )
            .execute(&mut *write)
            .await?
            .rows_affected();
            if removed > 0 {
                let event = AuditEvent::new(AuditKind::TemplateLabelHistoryExpired, &self.0.tenant);
                write.commit(event.with("removed", removed).with("before", cut_off.to_string())).await?;
            }
            Ok(removed)
        })
        .await
    }
}

impl Store {
    /// The tenants that take changes and have acts on labels from before `cut_off`, be they such as stay.
    pub async fn tenants_with_label_history_before(&self, cut_off: Timestamp) -> Result<Vec<TenantId>, StoreError> {
        speak!(self, "labels.tenants_with_history", {
            let mut connection = self.acquire().await?;
            let ids = sqlx::query_scalar!(
                "SELECT tenant_id FROM tenants
                 WHERE status = 'active' AND EXISTS (
                     SELECT FROM template_label_events e WHERE e.tenant_id = tenants.tenant_id AND e.settled_at < $1)
                 ORDER BY tenant_id",
                cut_off.to_sqlx() as _
            )
            .fetch_all(&mut *connection)
            .await?;
            tenant_ids(ids)
        })
        .await
    }
}
