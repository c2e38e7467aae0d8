//! Taking a tenant away with everything it had. Its id stays, so that nobody gets it again, and so does the end of its chain.
//!
//! First one transaction makes the tenant `purged`, for good, and says so in its audit log; from then on nothing can write
//! there. Then the rows go in bounded batches, which is why they go past `write`: what they are about is recorded. A purge
//! that was cut off is finished by asking for it again.

use domain::audit::AuditKind;
use domain::tenants::TenantStatus;
use domain::{Actor, AuditEvent, TenantId};
use serde_json::Value;
use sqlx::Connection as _;

use crate::connect::speak;
use crate::error::StoreError;
use crate::tenants::{TenantStore, Tenants};
use crate::write::{Needs, Write};

/// Rows that one transaction takes away.
const BATCH_ROWS: u32 = 1_000;

/// Whether a purge takes a kind of rows away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retention {
    /// They stay.
    Kept,
    /// They go.
    Removed,
}

/// What becomes of the records of what a tenant did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PurgeOptions {
    /// The audit log. Where it goes, one row stays: the one that says who purged, and what.
    pub audit: Retention,
    /// What was rendered, and the sums per month. Its rows name people and may carry words of the tenant's own.
    pub usage: Retention,
}

/// What a purge does with the rows of a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PurgeFate {
    /// They go.
    Removed,
    /// They go or stay as [`PurgeOptions::audit`] says.
    AsAudit,
    /// They go or stay as [`PurgeOptions::usage`] says.
    AsUsage,
    /// They stay: the id of the tenant, and the end of its chain.
    Kept,
}

/// What a tenant has in one table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PurgeCount {
    /// The table.
    pub table: &'static str,
    /// What a purge does with it.
    pub fate: PurgeFate,
    /// Rows.
    pub rows: u64,
    /// Bytes of the rows as they are stored, without their indexes: what they weigh, not what the disk gains.
    pub size_bytes: u64,
}

/// How a purge ended.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum PurgeOutcome {
    /// Nothing of what was to go is left.
    Purged {
        /// Rows that this call took away.
        removed_rows: u64,
    },
    /// There is no such tenant.
    NotFound,
    /// The default tenant is never purged.
    Forbidden,
    /// Only an archived tenant can be purged.
    NotFrom(TenantStatus),
}

/// A table with rows of tenants. A new one has to be entered here: a test compares the list with the database.
struct Part {
    table: &'static str,
    fate: PurgeFate,
    /// Rows and bytes of a tenant.
    count: &'static str,
    /// Takes up to so many rows of a tenant away; none where something else does.
    delete: Option<&'static str>,
}

/// In the order in which they go: who may come in first.
const PARTS: [Part; 33] = [
    Part {
        table: "api_keys",
        fate: PurgeFate::Removed,
        count: "SELECT count(*), COALESCE(sum(pg_column_size(r.*)), 0)::bigint FROM api_keys r WHERE tenant_id = $1",
        delete: Some("DELETE FROM api_keys WHERE api_key_id IN (SELECT api_key_id FROM api_keys WHERE tenant_id = $1 LIMIT $2)"),
    },
    Part {
        table: "users",
        fate: PurgeFate::Removed,
        count: "SELECT count(*), COALESCE(sum(pg_column_size(r.*)), 0)::bigint FROM users r WHERE tenant_id = $1",
        delete: Some("DELETE FROM users WHERE tenant_id = $1 AND user_id IN (SELECT user_id FROM users WHERE tenant_id = $1 LIMIT $2)"),
    },
    Part {
        table: "render_tokens",
        fate: PurgeFate::Removed,
        count: "SELECT count(*), COALESCE(sum(pg_column_size(r.*)), 0)::bigint FROM render_tokens r WHERE tenant_id = $1",
        delete: Some("DELETE FROM render_tokens WHERE token_id IN (SELECT token_id FROM render_tokens WHERE tenant_id = $1 LIMIT $2)"),
    },
    Part {
        table: "idempotency_keys",
        fate: PurgeFate::Removed,
        count: "SELECT count(*), COALESCE(sum(pg_column_size(r.*)), 0)::bigint FROM idempotency_keys r WHERE tenant_id = $1",
        delete: Some(
            "DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY (SELECT ctid FROM idempotency_keys WHERE tenant_id = $1 LIMIT $2))",
        ),
    },
    Part {
        table: "webhook_deliveries",
        fate: PurgeFate::Removed,
        count: "SELECT count(*), COALESCE(sum(pg_column_size(r.*)), 0)::bigint FROM webhook_deliveries r WHERE tenant_id = $1",
        delete: Some(
            "DELETE FROM webhook_deliveries WHERE delivery_id IN (SELECT delivery_id FROM webhook_deliveries WHERE tenant_id = $1 LIMIT $2)",
        ),
    },
    Part {
        table: "webhooks",
        fate: PurgeFate::Removed,
        count: "SELECT count(*), COALESCE(sum(pg_column_size(r.*)), 0)::bigint FROM webhooks r WHERE tenant_id = $1",
        delete: Some("DELETE FROM webhooks WHERE webhook_id IN (SELECT webhook_id FROM webhooks WHERE tenant_id = $1 LIMIT $2)"),
    },
    Part {
        table: "schedule_deliveries",
        fate: PurgeFate::Removed,
        count: "SELECT count(*), COALESCE(sum(pg_column_size(r.*)), 0)::bigint FROM schedule_deliveries r WHERE tenant_id = $1",
        delete: Some(
            "DELETE FROM schedule_deliveries WHERE delivery_id IN (SELECT delivery_id FROM schedule_deliveries WHERE tenant_id = $1 LIMIT $2)",
        ),
    },
    Part {
        table: "schedule_execution_items",
        fate: PurgeFate::Removed,
        count: "SELECT count(*), COALESCE(sum(pg_column_size(r.*)), 0)::bigint FROM schedule_execution_items r WHERE tenant_id = $1",
        // The bytes go when they are swept.
        delete: Some(
            "DELETE FROM schedule_execution_items WHERE (execution_id, item_index) IN (
                 SELECT execution_id, item_index FROM schedule_execution_items WHERE tenant_id = $1 LIMIT $2)",
        ),
    },
    Part {
        table: "schedule_executions",
        fate: PurgeFate::Removed,
        count: "SELECT count(*), COALESCE(sum(pg_column_size(r.*)), 0)::bigint FROM schedule_executions r WHERE tenant_id = $1",
        delete: Some(
            "DELETE FROM schedule_executions WHERE execution_id IN (SELECT execution_id FROM schedule_executions WHERE tenant_id = $1 LIMIT $2)",
        ),
    },
    Part {
        table: "schedules",
        fate: PurgeFate::Removed,
        count: "SELECT count(*), COALESCE(sum(pg_column_size(r.*)), 0)::bigint FROM schedules r WHERE tenant_id = $1",
        delete: Some("DELETE FROM schedules WHERE schedule_id IN (SELECT schedule_id FROM schedules WHERE tenant_id = $1 LIMIT $2)"),
    },
    Part {
        // After the schedules that follow them.
        table: "schedule_calendars",
        fate: PurgeFate::Removed,
        count: "SELECT count(*), COALESCE(sum(pg_column_size(r.*)), 0)::bigint FROM schedule_calendars r WHERE tenant_id = $1",
        delete: Some(
            "DELETE FROM schedule_calendars WHERE calendar_id IN (SELECT calendar_id FROM schedule_calendars WHERE tenant_id = $1 LIMIT $2)",
        ),
    },
    Part {
        table: "job_items",
        fate: PurgeFate::Removed,
        count: "SELECT count(*), COALESCE(sum(pg_column_size(r.*)), 0)::bigint FROM jobs j JOIN job_items r USING (job_id) WHERE j.tenant_id = $1",
        // The bytes go when they are swept.
        delete: Some(
            "DELETE FROM job_items WHERE (job_id, item_index) IN (
                 SELECT i.job_id, i.item_index FROM jobs j JOIN job_items i USING (job_id) WHERE j.tenant_id = $1 LIMIT $2)",
        ),
    },
    Part {
        table: "jobs",
        fate: PurgeFate::Removed,
        count: "SELECT count(*), COALESCE(sum(pg_column_size(r.*)), 0)::bigint FROM jobs r WHERE tenant_id = $1",
        delete: Some("DELETE FROM jobs WHERE job_id IN (SELECT job_id FROM jobs WHERE tenant_id = $1 LIMIT $2)"),
    },
    Part {
        table: "documents",
        fate: PurgeFate::Removed,
        count: "SELECT count(*), COALESCE(sum(pg_column_size(r.*)), 0)::bigint FROM documents r WHERE tenant_id = $1",
        // The bytes go when they are swept.
        delete: Some("DELETE FROM documents WHERE document_id IN (SELECT document_id FROM documents WHERE tenant_id = $1 LIMIT $2)"),
    },
    Part {
        table: "datasets",
        fate: PurgeFate::Removed,
        count: "SELECT count(*), COALESCE(sum(pg_column_size(r.*)), 0)::bigint FROM datasets r WHERE tenant_id = $1",
        // The bytes go when they are swept.
        delete: Some("DELETE FROM datasets WHERE dataset_id IN (SELECT dataset_id FROM datasets WHERE tenant_id = $1 LIMIT $2)"),
    },
    Part {
        table: "template_label_events",
        fate: PurgeFate::Removed,
        count: "SELECT count(*), COALESCE(sum(pg_column_size(r.*)), 0)::bigint FROM template_label_events r WHERE tenant_id = $1",
        delete: Some(
            "DELETE FROM template_label_events WHERE event_id IN (SELECT event_id FROM template_label_events WHERE tenant_id = $1 LIMIT $2)",
        ),
    },
    Part {
        table: "label_proof_pictures",
        fate: PurgeFate::Removed,
        count: "SELECT count(*), COALESCE(sum(pg_column_size(r.*)), 0)::bigint FROM label_proof_pictures r WHERE tenant_id = $1",
        // The bytes go when they are swept.
        delete: Some(
            "DELETE FROM label_proof_pictures WHERE (proof_id, number) IN
                 (SELECT proof_id, number FROM label_proof_pictures WHERE tenant_id = $1 LIMIT $2)",
        ),
    },
    Part {
        table: "label_proofs",
        fate: PurgeFate::Removed,
        count: "SELECT count(*), COALESCE(sum(pg_column_size(r.*)), 0)::bigint FROM label_proofs r WHERE tenant_id = $1",
        delete: Some("DELETE FROM label_proofs WHERE proof_id IN (SELECT proof_id FROM label_proofs WHERE tenant_id = $1 LIMIT $2)"),
    },
    Part {
        // Before the versions that they lead to.
        table: "template_labels",
        fate: PurgeFate::Removed,
        count: "SELECT count(*), COALESCE(sum(pg_column_size(r.*)), 0)::bigint FROM template_labels r WHERE tenant_id = $1",
        delete: Some(
            "DELETE FROM template_labels WHERE (template_id, label) IN (
                 SELECT template_id, label FROM template_labels WHERE tenant_id = $1 LIMIT $2)",
        ),
    },
    Part {
        table: "template_datasets",
        fate: PurgeFate::Removed,
        count: "SELECT count(*), COALESCE(sum(pg_column_size(data) + pg_column_size(ROW(title, description, tags))), 0)::bigint
                FROM template_datasets WHERE tenant_id = $1",
        delete: Some(
            "DELETE FROM template_datasets WHERE (template_id, dataset_name) IN
                 (SELECT template_id, dataset_name FROM template_datasets WHERE tenant_id = $1 LIMIT $2)",
        ),
    },
    Part {
        table: "template_drafts",
        fate: PurgeFate::Removed,
        count: "SELECT count(*), COALESCE(sum(pg_column_size(definition) + pg_column_size(owner)), 0)::bigint
                FROM template_drafts WHERE tenant_id = $1",
        delete: Some(
            "DELETE FROM template_drafts WHERE (template_id, owner) IN
                 (SELECT template_id, owner FROM template_drafts WHERE tenant_id = $1 LIMIT $2)",
        ),
    },
    Part {
        table: "template_references",
        fate: PurgeFate::Removed,
        count: "SELECT count(*), COALESCE(sum(pg_column_size(r.*)), 0)::bigint FROM template_references r WHERE tenant_id = $1",
        delete: Some(
            "DELETE FROM template_references WHERE ctid = ANY (ARRAY (
                 SELECT ctid FROM template_references WHERE tenant_id = $1 LIMIT $2))",
        ),
    },
    Part {
        table: "template_asset_references",
        fate: PurgeFate::Removed,
        count: "SELECT count(*), COALESCE(sum(pg_column_size(r.*)), 0)::bigint FROM template_asset_references r WHERE tenant_id = $1",
        delete: Some(
            "DELETE FROM template_asset_references WHERE ctid = ANY (ARRAY (
                 SELECT ctid FROM template_asset_references WHERE tenant_id = $1 LIMIT $2))",
        ),
    },
    Part {
        table: "asset_versions",
        fate: PurgeFate::Removed,
        count: "SELECT count(*), COALESCE(sum(pg_column_size(r.*)), 0)::bigint FROM asset_versions r WHERE tenant_id = $1",
        // All but the current ones, which go with their assets. The bytes go when they are swept.
        delete: Some(
            "DELETE FROM asset_versions v USING (
                 SELECT o.asset_id, o.version FROM assets a JOIN asset_versions o USING (tenant_id, asset_id)
                 WHERE a.tenant_id = $1 AND o.version <> a.current_version LIMIT $2) AS old
             WHERE v.asset_id = old.asset_id AND v.version = old.version",
        ),
    },
    Part {
        table: "assets",
        fate: PurgeFate::Removed,
        count: "SELECT count(*), COALESCE(sum(pg_column_size(r.*)), 0)::bigint FROM assets r WHERE tenant_id = $1",
        delete: Some("DELETE FROM assets WHERE asset_id IN (SELECT asset_id FROM assets WHERE tenant_id = $1 LIMIT $2)"),
    },
    Part {
        table: "template_versions",
        fate: PurgeFate::Removed,
        // The definitions are not unpacked for it.
        count: "SELECT count(*), COALESCE(sum(pg_column_size(definition) + pg_column_size(ROW(name, description, change_note))), 0)::bigint
                FROM template_versions WHERE tenant_id = $1",
        // All but the current ones, which go with their templates.
        delete: Some(
            "DELETE FROM template_versions v USING (
                 SELECT o.template_id, o.major, o.minor, o.patch
                 FROM templates t JOIN template_versions o USING (tenant_id, template_id)
                 WHERE t.tenant_id = $1 AND (o.major, o.minor, o.patch) <> (t.current_major, t.current_minor, t.current_patch)
                 LIMIT $2) AS old
             WHERE v.template_id = old.template_id AND v.major = old.major AND v.minor = old.minor AND v.patch = old.patch",
        ),
    },
    Part {
        table: "templates",
        fate: PurgeFate::Removed,
        count: "SELECT count(*), COALESCE(sum(pg_column_size(ROW(template_key, name, description, tags, owner))
                                              + COALESCE(pg_column_size(sample), 0)), 0)::bigint
                FROM templates WHERE tenant_id = $1",
        delete: Some("DELETE FROM templates WHERE template_id IN (SELECT template_id FROM templates WHERE tenant_id = $1 LIMIT $2)"),
    },
    Part {
        table: "template_folders",
        fate: PurgeFate::Removed,
        count: "SELECT count(*), COALESCE(sum(pg_column_size(r.*)), 0)::bigint FROM template_folders r WHERE tenant_id = $1",
        // From the bottom up, and after the templates that lie in them.
        delete: Some(
            "DELETE FROM template_folders WHERE folder_id IN (
                 SELECT folder_id FROM template_folders WHERE tenant_id = $1 ORDER BY depth DESC LIMIT $2)",
        ),
    },
    Part {
        table: "render_usage",
        fate: PurgeFate::AsUsage,
        count: "SELECT count(*), COALESCE(sum(pg_column_size(r.*)), 0)::bigint FROM render_usage r WHERE tenant_id = $1",
        // Together with the sums, by `Usage::delete_all`.
        delete: None,
    },
    Part {
        table: "usage_periods",
        fate: PurgeFate::AsUsage,
        count: "SELECT count(*), COALESCE(sum(pg_column_size(r.*)), 0)::bigint FROM usage_periods r WHERE tenant_id = $1",
        delete: None,
    },
    Part {
        table: "audit_events",
        fate: PurgeFate::AsAudit,
        count: "SELECT count(*), COALESCE(sum(pg_column_size(r.*)), 0)::bigint FROM audit_events r WHERE tenant_id = $1",
        // From the beginning of the chain only, which then begins elsewhere.
        delete: None,
    },
    Part {
        table: "audit_chains",
        fate: PurgeFate::Kept,
        count: "SELECT count(*), COALESCE(sum(pg_column_size(r.*)), 0)::bigint FROM audit_chains r WHERE tenant_id = $1",
        delete: None,
    },
    Part {
        table: "tenants",
        fate: PurgeFate::Kept,
        count: "SELECT count(*), COALESCE(sum(pg_column_size(r.*)), 0)::bigint FROM tenants r WHERE tenant_id = $1",
        delete: None,
    },
];

/// What is to go, as the tenant's audit log says it.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// The audit log up to this place; zero for none of it.
    audit_through: i64,
    usage: Retention,
}

impl Tenants<'_> {
    /// What a tenant has, table by table, and what a purge would do with it; `None` when there is no such tenant. After a purge
    /// it tells what is left.
    pub async fn purge_preview(&self, tenant: &TenantId) -> Result<Option<Vec<PurgeCount>>, StoreError> {
        if self.get(tenant).await?.is_none() {
            return Ok(None);
        }
        let mut counts = Vec::with_capacity(PARTS.len());
        for part in &PARTS {
            let (rows, size_bytes): (i64, i64) = speak!(self.store(), "tenants.purge_preview", {
                let mut connection = self.store().acquire().await?;
                Ok(sqlx::query_as(part.count).bind(tenant.as_str()).fetch_one(&mut *connection).await?)
            })
            .await?;
            let [rows, size_bytes] = [rows, size_bytes].map(|count| u64::try_from(count).unwrap_or(0));
            counts.push(PurgeCount { table: part.table, fate: part.fate, rows, size_bytes });
        }
        Ok(Some(counts))
    }

    /// Takes an archived tenant away, for good. Large tenants take a while: the rows go in batches of a thousand, and when the
    /// caller stops waiting, another call goes on. On a tenant that was purged already it takes away what was left, and
    /// also what was kept then and is not to be kept now.
    ///
    /// What was rendered is recorded some 100 ms late and whatever the tenant's status, so a render that was under way may
    /// leave a row behind a purge; [`Tenants::purge_preview`] shows it, and another call takes it away.
    pub async fn purge(&self, tenant: &TenantId, options: PurgeOptions, actor: &Actor) -> Result<PurgeOutcome, StoreError> {
        if *tenant == TenantId::default_tenant() {
            return Ok(PurgeOutcome::Forbidden);
        }
        let Some(counts) = self.purge_preview(tenant).await? else { return Ok(PurgeOutcome::NotFound) };
        let handle = self.store().tenant(tenant.clone());
        let plan = match handle.begin_purge(options, &counts, actor).await? {
            Ok(plan) => plan,
            Err(status) => return Ok(PurgeOutcome::NotFrom(status)),
        };
        let mut batches: Vec<Batch> = PARTS.iter().filter_map(|part| part.delete.map(Batch::Part)).collect();
        if plan.usage == Retention::Removed {
            batches.push(Batch::Usage);
        }
        batches.push(Batch::Audit { through: plan.audit_through });
        let mut removed_rows = 0;
        for batch in batches {
            loop {
                let rows = handle.take_away(batch).await?;
                removed_rows += rows;
                if rows < u64::from(BATCH_ROWS) {
                    break;
                }
            }
        }
        Ok(PurgeOutcome::Purged { removed_rows })
    }
}

/// What goes in one batch after the other.
#[derive(Clone, Copy)]
enum Batch {
    /// Rows of a table, by its statement.
    Part(&'static str),
    /// What was rendered.
    Usage,
    /// The audit log, through this place.
    Audit {
        /// The newest row to go.
        through: i64,
    },
}

impl TenantStore {
    /// Takes one batch away and says how many rows that were.
    async fn take_away(&self, batch: Batch) -> Result<u64, StoreError> {
        match batch {
            Batch::Part(delete) => self.purge_some(delete).await,
            Batch::Usage => self.usage().delete_all(BATCH_ROWS).await,
            Batch::Audit { through } => self.purge_audit(through).await,
        }
    }

    /// Makes the tenant purged and records what is to go, unless that was recorded before. Where its status does not lead
    /// there, that status.
    async fn begin_purge(
        &self,
        options: PurgeOptions,
        counts: &[PurgeCount],
        actor: &Actor,
    ) -> Result<Result<Plan, TenantStatus>, StoreError> {
        speak!(self.store, "tenants.purge", {
            let mut connection = self.store.acquire().await?;
            let mut write = Write::begin_on(&mut connection, self, actor, Needs::AnyTenant).await?;
            // The chain first: whoever is writing commits before, or finds the new status.
            let end = write.chain_end().await?;
            let status =
                sqlx::query_scalar!("SELECT status FROM tenants WHERE tenant_id = $1", self.tenant.as_str()).fetch_one(&mut *write).await?;
            let status: TenantStatus = status.parse().map_err(|error| StoreError::inconsistent("tenants", error))?;
            let recorded = if status == TenantStatus::Purged { self.recorded_purge(&mut write).await? } else { None };
            if status != TenantStatus::Purged && !status.can_become(TenantStatus::Purged) {
                return Ok(Err(status));
            }
            if let Some((before, plan)) = recorded
                && before.covers(options)
            {
                return Ok(Ok(plan));
            }
            // What was taken away once is not kept by a later wish.
            let options = recorded.map_or(options, |(before, _)| options.and(before));
            sqlx::query!(
                "UPDATE tenants SET status = 'purged', name = tenant_id, quotas = NULL, updated_at = $2, purged_at = COALESCE(purged_at, $2)
                 WHERE tenant_id = $1",
                self.tenant.as_str(),
                self.store.now() as _
            )
            .execute(&mut *write)
            .await?;
            let rows = counts.iter().filter(|count| count.rows > 0).map(|count| (count.table.to_owned(), Value::from(count.rows)));
            let mut event = AuditEvent::new(AuditKind::TenantPurged, &self.tenant)
                .with("retainAudit", options.audit == Retention::Kept)
                .with("retainUsage", options.usage == Retention::Kept)
                .with("rows", Value::Object(rows.collect()));
            let mut plan = Plan { audit_through: 0, usage: options.usage };
            if options.audit == Retention::Removed && end.next_seq > 1 {
                // Accounts for everything before this row, also while only some of it is gone.
                plan.audit_through = end.next_seq - 1;
                event = event.with("throughSeq", plan.audit_through).with("throughHash", hex::encode(end.previous));
            }
            write.announce("tenant", self.tenant.as_str()).await?;
            write.commit_at(end, event).await?;
            Ok(Ok(plan))
        })
        .await
    }

    /// What the newest purge of this tenant was to do.
    async fn recorded_purge(&self, write: &mut Write<'_>) -> Result<Option<(PurgeOptions, Plan)>, StoreError> {
        let details = sqlx::query_scalar!(
            r#"SELECT details::text AS "details!" FROM audit_events
               WHERE tenant_id = $1 AND resource_type = 'tenant' AND resource_id = $1 AND event = 'tenant.purged' ORDER BY seq DESC LIMIT 1"#,
            self.tenant.as_str()
        )
        .fetch_optional(&mut **write)
        .await?;
        let Some(details) = details else { return Ok(None) };
        let details: Value = serde_json::from_str(&details).map_err(|error| StoreError::inconsistent("audit_events", error))?;
        let retention = |name: &str| if details[name] == Value::Bool(false) { Retention::Removed } else { Retention::Kept };
        let options = PurgeOptions { audit: retention("retainAudit"), usage: retention("retainUsage") };
        Ok(Some((options, Plan { audit_through: details["throughSeq"].as_i64().unwrap_or(0), usage: options.usage })))
    }

    async fn purge_some(&self, delete: &'static str) -> Result<u64, StoreError> {
        speak!(self.store, "tenants.purge_rows", {
            let mut connection = self.store.acquire().await?;
            let deleted = sqlx::query(delete).bind(self.tenant.as_str()).bind(i64::from(BATCH_ROWS)).execute(&mut *connection).await?;
            Ok(deleted.rows_affected())
        })
        .await
    }

    /// Takes the oldest rows of the audit log away, up to and with `through`, which a row after it accounts for.
    async fn purge_audit(&self, through: i64) -> Result<u64, StoreError> {
        speak!(self.store, "tenants.purge_audit", {
            let mut connection = self.store.acquire().await?;
            let mut transaction = connection.begin().await?;
            let removed = sqlx::query_scalar!(
                r#"WITH chain AS (SELECT tenant_id FROM audit_chains WHERE tenant_id = $1 FOR UPDATE),
                        removed AS (
                            DELETE FROM audit_events WHERE tenant_id = $1 AND seq IN (
                                SELECT seq FROM audit_events JOIN chain USING (tenant_id) WHERE seq <= $2 ORDER BY seq LIMIT $3)
                            RETURNING seq, chain_hash),
                        newest AS (SELECT seq, chain_hash FROM removed ORDER BY seq DESC LIMIT 1),
                        kept AS (UPDATE audit_chains SET removed_seq = newest.seq, removed_hash = newest.chain_hash
                                 FROM newest WHERE tenant_id = $1)
                   SELECT count(*) AS "count!" FROM removed"#,
                self.tenant.as_str(),
                through,
                i64::from(BATCH_ROWS)
            )
            .fetch_one(&mut *transaction)
            .await?;
            transaction.commit().await?;
            Ok(u64::try_from(removed).unwrap_or(0))
        })
        .await
    }
}

impl PurgeOptions {
    /// Whether this takes away everything that `other` would.
    fn covers(self, other: Self) -> bool {
        let covers = |mine, theirs| mine == Retention::Removed || theirs == Retention::Kept;
        covers(self.audit, other.audit) && covers(self.usage, other.usage)
    }

    /// What at least one of both takes away goes.
    fn and(self, other: Self) -> Self {
        let either = |mine, theirs| if mine == Retention::Removed { mine } else { theirs };
        Self { audit: either(self.audit, other.audit), usage: either(self.usage, other.usage) }
    }
}
