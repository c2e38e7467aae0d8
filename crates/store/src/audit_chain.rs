//! Proof that a tenant's audit log is whole: every link is computed again.

use domain::TenantId;
use domain::audit::ChainHash;
use sqlx::{Connection as _, PgConnection};

use crate::audit_walk::{ChainRow, EventRow, Walk};
use crate::connect::{Store, speak};
use crate::error::StoreError;

/// Rows read at a time.
const BATCH: i64 = 2_000;

/// What the check of one chain found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainReport {
    /// Whose chain.
    pub tenant: TenantId,
    /// Rows that were checked: those between what was removed and the end of the chain.
    pub rows: u64,
    /// Rows that were blanked on purpose.
    pub blanked: u64,
    /// The newest place that was removed on purpose; zero when none was.
    pub removed_through: i64,
    /// The end of the chain: keep it elsewhere, and a rewritten log shows as well.
    pub last_seq: i64,
    /// The link at the end of the chain.
    pub last_hash: ChainHash,
    /// What is wrong, in the order of the chain.
    pub breaks: Vec<String>,
}

impl Store {
    /// Every tenant that has an audit log or ought to have one, by id: those that exist, and those of which a log or a part of
    /// one is left. Fails with [`StoreError::Inconsistent`] where a row carries what is no tenant's id.
    pub async fn audit_chains(&self) -> Result<Vec<TenantId>, StoreError> {
        speak!(self, "audit_chain.list", {
            let mut connection = self.acquire().await?;
            // From one tenant's first row to the next one's, along the primary key: the log may be long.
            let ids = sqlx::query_scalar!(
                r#"WITH RECURSIVE logged AS (
                       SELECT min(tenant_id) AS tenant_id FROM audit_events
                       UNION ALL
                       SELECT (SELECT min(tenant_id) FROM audit_events WHERE tenant_id > logged.tenant_id) FROM logged
                       WHERE logged.tenant_id IS NOT NULL)
                   SELECT tenant_id AS "tenant_id!" FROM (
                       SELECT tenant_id FROM tenants UNION SELECT tenant_id FROM audit_chains
                       UNION SELECT tenant_id FROM logged WHERE tenant_id IS NOT NULL) AS known
                   ORDER BY tenant_id"#
            )
            .fetch_all(&mut *connection)
            .await?;
            ids.into_iter().map(|id| id.parse().map_err(|error| StoreError::inconsistent("audit_chains", error))).collect()
        })
        .await
    }

    /// Computes every link of a tenant's audit log again, as it is at this moment: what is written or purged meanwhile is left
    /// to the next check. Holds one connection and its snapshot until it ends. A log whose
    /// end is gone is broken; [`StoreError::NoSuchTenant`] is only who has neither a log nor a row.
    pub async fn verify_audit_chain(&self, tenant: &TenantId) -> Result<ChainReport, StoreError> {
        let mut connection = speak!(self, "audit_chain.connect", { self.acquire().await }).await?;
        // One snapshot for all statements, or a row that somebody appends between two of them would look forged.
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        let mut snapshot = speak!(self, "audit_chain.begin", { Ok(connection.begin_with(begin).await?) }).await?;
        let kept = speak!(self, "audit_chain.get", { chain_row(&mut snapshot, tenant).await }).await?;
        let is_gone = kept.is_none();
        let end = kept.unwrap_or_else(ChainRow::gone);
        let mut walk = Walk::new(tenant, &end);
        if is_gone {
            walk.broken("the end of the chain is gone".to_owned());
        }
        for (from, to) in [(i64::MIN, end.removed_seq), (end.last_seq.saturating_add(1), i64::MAX)] {
            let found = speak!(self, "audit_chain.outside", { outside(&mut snapshot, tenant, from, to).await }).await?;
            if let Some((first, last, count)) = found {
                let them = if count == 1 { format!("row {first} lies") } else { format!("{count} rows ({first} to {last}) lie") };
                walk.broken(format!("{them} outside the chain, which is {}", span(&end)));
            }
        }
        let mut place = (end.removed_seq, None);
        loop {
            let rows = speak!(self, "audit_chain.rows", { rows(&mut snapshot, tenant, place, end.last_seq).await }).await?;
            for row in &rows {
                walk.step(row);
            }
            let Some(last) = rows.last() else { break };
            place = (last.seq, Some(last.occurred_at));
        }
        speak!(self, "audit_chain.end", { Ok(snapshot.rollback().await?) }).await?;
        Ok(walk.finish(&end))
    }
}

/// The rows a chain ought to have, for a person.
fn span(end: &ChainRow) -> String {
    if end.last_seq <= end.removed_seq { "empty".to_owned() } else { format!("{} to {}", end.removed_seq + 1, end.last_seq) }
}

/// The end of a tenant's chain; `None` where it ought to be and is not.
async fn chain_row(connection: &mut PgConnection, tenant: &TenantId) -> Result<Option<ChainRow>, StoreError> {
    let row = sqlx::query_as!(
        ChainRow,
        "SELECT last_seq, last_hash, removed_seq, removed_hash FROM audit_chains WHERE tenant_id = $1",
        tenant.as_str()
    );
    if let Some(row) = row.fetch_optional(&mut *connection).await? {
        return Ok(Some(row));
    }
    let known = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM tenants WHERE tenant_id = $1)
               OR EXISTS (SELECT 1 FROM audit_events WHERE tenant_id = $1) AS "known!""#,
        tenant.as_str()
    );
    if known.fetch_one(connection).await? { Ok(None) } else { Err(StoreError::NoSuchTenant) }
}

/// The first, the last and the number of the rows from one place to another, both included; `None` where there are none.
async fn outside(connection: &mut PgConnection, tenant: &TenantId, from: i64, to: i64) -> Result<Option<(i64, i64, i64)>, StoreError> {
    let found = sqlx::query!(
        r#"SELECT min(seq) AS first, max(seq) AS last, count(*) AS "count!" FROM audit_events
           WHERE tenant_id = $1 AND seq BETWEEN $2 AND $3"#,
        tenant.as_str(),
        from,
        to
    )
    .fetch_one(connection)
    .await?;
    Ok(found.first.zip(found.last).map(|(first, last)| (first, last, found.count)))
}

/// Some rows after a place, by place and time: nothing but the server's own care keeps two rows from having the same place.
async fn rows(
    connection: &mut PgConnection,
    tenant: &TenantId,
    (seq, occurred_at): (i64, Option<jiff_sqlx::Timestamp>),
    through: i64,
) -> Result<Vec<EventRow>, StoreError> {
    Ok(sqlx::query_as!(
        EventRow,
        r#"SELECT seq, event_id, occurred_at, event, operation, resource_type, resource_id, actor, scope, request_id, instance_id,
                  details::text AS "details!", content_hash, chain_hash, blanked_by
           FROM audit_events
           WHERE tenant_id = $1 AND seq >= $2 AND (seq > $2 OR occurred_at > $3) AND seq <= $4
           ORDER BY seq, occurred_at LIMIT $5"#,
        tenant.as_str(),
        seq,
        occurred_at as _,
        through,
        BATCH
    )
    .fetch_all(connection)
    .await?)
}
