//! The limits of tenants, and what they have used of them.

use domain::quotas::UsageTotals;
use domain::{Month, Quotas, TenantId};
use jiff_sqlx::ToSqlx as _;

use crate::connect::{Store, speak};
use crate::error::StoreError;
use crate::tenants::Tenants;
use crate::usage::totals;

/// A tenant's limits and what it has used in a month, in the whole cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TenantQuotas {
    /// Which tenant.
    pub tenant: TenantId,
    /// Its limits.
    pub quotas: Quotas,
    /// What it used in the month that was asked about.
    pub used: UsageTotals,
}

impl Tenants<'_> {
    /// The limits of these tenants, and what they have used in `month`. A tenant without a row is left out.
    pub async fn quotas(&self, tenants: &[TenantId], month: Month) -> Result<Vec<TenantQuotas>, StoreError> {
        let store: &Store = self.store();
        speak!(store, "tenants.quotas", {
            let ids: Vec<String> = tenants.iter().map(ToString::to_string).collect();
            let mut connection = store.acquire().await?;
            let rows = sqlx::query!(
                r#"SELECT t.tenant_id, t.quotas::text AS quotas, COALESCE(p.renders, 0) AS "renders!",
                          COALESCE(p.render_ms, 0) AS "render_ms!", COALESCE(p.pages, 0) AS "pages!",
                          COALESCE(p.size_bytes, 0) AS "size_bytes!"
                   FROM tenants t LEFT JOIN usage_periods p ON p.tenant_id = t.tenant_id AND p.period_start = $2
                   WHERE t.tenant_id = ANY ($1)"#,
                &ids,
                month.start().to_sqlx() as _
            )
            .fetch_all(&mut *connection)
            .await?;
            rows.into_iter()
                .map(|row| {
                    Ok(TenantQuotas {
                        tenant: row.tenant_id.parse().map_err(|error| StoreError::inconsistent("tenants", error))?,
                        quotas: quotas(row.quotas.as_deref())?,
                        used: totals(row.renders, row.render_ms, row.pages, row.size_bytes),
                    })
                })
                .collect()
        })
        .await
    }
}

/// The limits as their column has them; none at all where it is empty.
pub(crate) fn quotas(stored: Option<&str>) -> Result<Quotas, StoreError> {
    let stored: Option<serde_json::Value> =
        stored.map(serde_json::from_str).transpose().map_err(|error| StoreError::inconsistent("tenants", error))?;
    Ok(stored.as_ref().map_or_else(Quotas::default, Quotas::from_stored))
}
