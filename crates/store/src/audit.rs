//! The audit log of one tenant: reading it, and the two acts that take something out of it.

use domain::audit::AuditKind;
use domain::{Actor, AuditEvent};
use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use crate::audit_places::Places;
use crate::connect::speak;
use crate::error::StoreError;
use crate::listing::Listing;
use crate::page::Page;
use crate::reading::read;
use crate::template_list::SortOrder;
use crate::tenants::TenantStore;
use crate::write::{Needs, Write};

/// Rows that one transaction takes out of the log.
const PURGE_ROWS: i64 = 5_000;

/// Which audit events. Absent means all.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// The name of the event.
    pub event: Option<String>,
    /// The verb.
    pub operation: Option<String>,
    /// Who.
    pub actor: Option<String>,
    /// The type of the resource.
    pub resource_type: Option<String>,
    /// Which resource.
    pub resource_id: Option<String>,
    /// At or after.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}

/// One row of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditRecord {
    /// The place in the chain.
    pub seq: i64,
    /// Names it.
    pub id: Uuid,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// The name of the event.
    pub event: String,
    /// The verb.
    pub operation: String,
    /// The type of the resource.
    pub resource_type: String,
    /// Which resource.
    pub resource_id: String,
    /// Who.
    pub actor: String,
    /// The scope of the credential.
    pub scope: Option<String>,
    /// In which request.
    pub request_id: Option<Uuid>,
    /// Which process wrote it.
    pub instance_id: String,
    /// What else is worth knowing.
    pub details: Value,
}

/// What to take out of the log.
#[derive(Clone, Debug)]
pub enum Purge {
    /// What happened before.
    Before(Timestamp),
    /// What one actor did: its rows stay in the chain, but no longer say anything. Those that account for a purge are left as
    /// they are, for without them nobody could tell a purge from a theft; so are those that say which credential took the
    /// actor's name, for without them its holder could undo what they did under that name.
    Of(String),
}

/// The audit log of one tenant.
pub struct Audit<'a>(pub(crate) &'a TenantStore);

impl Audit<'_> {
    /// Records an event that changes nothing else, such as a sign-in.
    pub async fn insert(&self, event: AuditEvent, actor: &Actor) -> Result<(), StoreError> {
        speak!(self.0.store, "audit.insert", {
            let mut connection = self.0.store.acquire().await?;
            Write::begin_on(&mut connection, self.0, actor, Needs::AnyTenant).await?.commit(event).await
        })
        .await
    }

    /// One page of the events, newest first. `limit` counts up to [`crate::MAX_PAGE_ROWS`].
    pub async fn list(&self, filter: &AuditFilter, limit: u32, offset: u64) -> Result<Page<AuditRecord>, StoreError> {
        read!(self.0.store, Some(&self.0.tenant), "audit.list", connection, {
            let listing = Listing {
                tenant: Some(&self.0.tenant),
                table: "audit_events",
                id: "tenant_id, seq",
                columns: COLUMNS,
                order: &[("seq", "bigint")],
                direction: SortOrder::Descending,
                filter: Some(format!("{filter:?}")),
                conditions: &|query| self.push_conditions(query, filter),
            };
            let (rows, total) = listing.page(&self.0.store, &mut connection, limit, offset).await?;
            Ok(Page { items: records(rows)?, total })
        })
        .await
    }

    /// How many events `filter` describes.
    pub async fn count(&self, filter: &AuditFilter) -> Result<u64, StoreError> {
        read!(self.0.store, Some(&self.0.tenant), "audit.count", connection, {
            let count: i64 = self.select("count(*)", filter).build_query_scalar().fetch_one(&mut *connection).await?;
            Ok(u64::try_from(count).unwrap_or(0))
        })
        .await
    }

    /// Up to `limit` events after the place `after_seq`, oldest first: the next piece of an export.
    pub async fn after(&self, filter: &AuditFilter, after_seq: i64, limit: u32) -> Result<Vec<AuditRecord>, StoreError> {
        read!(self.0.store, Some(&self.0.tenant), "audit.after", connection, {
            let mut query = self.select(COLUMNS, filter);
            query.push(" AND seq > ").push_bind(after_seq).push(" ORDER BY seq LIMIT ").push_bind(i64::from(limit));
            records(query.build_query_as().fetch_all(&mut *connection).await?)
        })
        .await
    }

    /// Takes events out of the log and leaves an event that says so; answers how many. Large purges are several
    /// transactions, each whole for itself.
    pub async fn purge(&self, purge: &Purge, kind: AuditKind, actor: &Actor) -> Result<u64, StoreError> {
        let mut purged = 0;
        loop {
            let rows = match purge {
                Purge::Before(before) => self.remove_some(*before, kind, actor).await?,
                Purge::Of(name) => self.blank_some(name, kind, actor).await?,
            };
            purged += rows;
            if rows < PURGE_ROWS.unsigned_abs() {
                return Ok(purged);
            }
        }
    }

    async fn remove_some(&self, before: Timestamp, kind: AuditKind, actor: &Actor) -> Result<u64, StoreError> {
        speak!(self.0.store, "audit.remove", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin_on(&mut connection, self.0, actor, Needs::AnyTenant).await?;
            let end = write.chain_end().await?;
            // Times never go back along the chain, so what lies before a moment is its beginning.
            let removed = sqlx::query!(
                r#"WITH removed AS (
                       DELETE FROM audit_events WHERE tenant_id = $1 AND seq IN (
                           SELECT seq FROM audit_events WHERE tenant_id = $1 AND occurred_at < $2 ORDER BY seq LIMIT $3)
                       RETURNING seq, chain_hash),
                   newest AS (SELECT seq, chain_hash FROM removed ORDER BY seq DESC LIMIT 1),
                   kept AS (UPDATE audit_chains SET removed_seq = newest.seq, removed_hash = newest.chain_hash
                            FROM newest WHERE tenant_id = $1)
                   SELECT seq AS "seq!", chain_hash AS "chain_hash!", (SELECT count(*) FROM removed) AS "count!",
                          (SELECT removed_seq FROM audit_chains WHERE tenant_id = $1) AS "removed_before!"
                   FROM newest"#,
                self.0.tenant.as_str(),
                jiff_sqlx::ToSqlx::to_sqlx(before) as _,
                PURGE_ROWS
            )
            .fetch_optional(&mut *write)
            .await?;
            let Some(removed) = removed else { return Ok(0) };
            let mut event = AuditEvent::new(kind, self.0.tenant.as_str())
                .with("before", before.to_string())
                .with("count", removed.count)
                .with("throughSeq", removed.seq)
                .with("throughHash", hex::encode(&removed.chain_hash));
            let missing = removed.seq - removed.removed_before - removed.count;
            if missing != 0 {
                // The hole goes with the rows around it; that there was one does not.
                tracing::error!(tenant = %self.0.tenant, missing, through = removed.seq, "audit events were missing among those removed");
                event = event.with("missing", missing);
            }
            write.commit_at(end, event).await?;
            Ok(u64::try_from(removed.count).unwrap_or(0))
        })
        .await
    }

    async fn blank_some(&self, name: &str, kind: AuditKind, actor: &Actor) -> Result<u64, StoreError> {
        speak!(self.0.store, "audit.blank", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin_on(&mut connection, self.0, actor, Needs::AnyTenant).await?;
            let end = write.chain_end().await?;
            let mut blanked = sqlx::query_scalar!(
                "UPDATE audit_events
                 SET blanked_by = $3, actor = '', resource_id = '', scope = NULL, request_id = NULL, details = '{}'
                 WHERE tenant_id = $1 AND seq IN (
                     SELECT seq FROM audit_events WHERE tenant_id = $1 AND actor = $2 AND blanked_by IS NULL
                       AND event NOT IN ('audit.purged', 'audit.expired', 'tenant.purged')
                       AND CASE WHEN event = 'editor_token_minted' THEN coalesce(details->>'exchangedBy', actor) = actor ELSE true END
                     ORDER BY seq LIMIT $4)
                 RETURNING seq",
                self.0.tenant.as_str(),
                name,
                end.next_seq,
                PURGE_ROWS
            )
            .fetch_all(&mut *write)
            .await?;
            if blanked.is_empty() {
                return Ok(0);
            }
            blanked.sort_unstable();
            let places: Places = blanked.into_iter().collect();
            // Whose rows they were is what must not be known any more; which they were is, or others could be blanked in the
            // name of this purge.
            let event = AuditEvent::new(kind, self.0.tenant.as_str());
            write.commit_at(end, event.with("blanked", places.count()).with("blankedSeqs", places.to_string())).await?;
            Ok(places.count())
        })
        .await
    }

    fn select(&self, columns: &'static str, filter: &AuditFilter) -> QueryBuilder<Postgres> {
        let mut query = QueryBuilder::new("SELECT ");
        query.push(columns).push(" FROM audit_events WHERE ");
        self.push_conditions(&mut query, filter);
        query
    }

    fn push_conditions(&self, query: &mut QueryBuilder<Postgres>, filter: &AuditFilter) {
        query.push("blanked_by IS NULL AND tenant_id = ").push_bind(self.0.tenant.as_str().to_owned());
        let texts = [
            (" AND event = ", &filter.event),
            (" AND operation = ", &filter.operation),
            (" AND actor = ", &filter.actor),
            (" AND resource_type = ", &filter.resource_type),
            (" AND resource_id = ", &filter.resource_id),
        ];
        for (condition, value) in texts {
            if let Some(value) = value {
                query.push(condition).push_bind(value.clone());
            }
        }
        for (condition, value) in [(" AND occurred_at >= ", filter.since), (" AND occurred_at < ", filter.until)] {
            if let Some(value) = value {
                query.push(condition).push_bind(jiff_sqlx::ToSqlx::to_sqlx(value));
            }
        }
    }
}

const COLUMNS: &str = "seq, event_id, occurred_at, event, operation, resource_type, resource_id, actor, scope, request_id, instance_id, \
                       details::text AS details";

#[derive(sqlx::FromRow)]
struct AuditRow {
    seq: i64,
    event_id: Uuid,
    occurred_at: jiff_sqlx::Timestamp,
    event: String,
    operation: String,
    resource_type: String,
    resource_id: String,
    actor: String,
    scope: Option<String>,
    request_id: Option<Uuid>,
    instance_id: String,
    details: String,
}

fn records(rows: Vec<AuditRow>) -> Result<Vec<AuditRecord>, StoreError> {
    rows.into_iter()
        .map(|row| {
            Ok(AuditRecord {
                seq: row.seq,
                id: row.event_id,
                occurred_at: row.occurred_at.to_jiff(),
                event: row.event,
                operation: row.operation,
                resource_type: row.resource_type,
                resource_id: row.resource_id,
                actor: row.actor,
                scope: row.scope,
                request_id: row.request_id,
                instance_id: row.instance_id,
                details: serde_json::from_str(&row.details).unwrap_or_else(|_| json!({})),
            })
        })
        .collect()
}
