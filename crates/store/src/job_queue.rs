//! The work of all tenants' jobs: who is next, who is at it, and how it ended. What the system does by itself is no change of
//! somebody's, so it goes past `write`; what a caller does to a job is in `jobs`.
//!
//! Whoever changes both takes the job's row before its items' rows, or two of them would wait for each other.

use std::time::Duration;

use domain::ids::{DocumentId, JobId, LeaseToken, RequestId, UsageId};
use domain::jobs::{JobItemStatus, JobKind, JobProgress, JobStatus};
use domain::webhooks::EventType;
use domain::{Actor, ErrorCode, TenantId};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection, Row as _};
use uuid::Uuid;

use crate::connect::{Store, speak};
use crate::documents::{room_for, storage_limits};
use crate::error::StoreError;
use crate::lease::{Held, LeasedQueue};
use crate::schedule_queue::{abort_burst, follow_job};
use crate::webhook_deliveries::{Callback, NewEvent, enqueue_callback, enqueue_event};

const QUEUE: LeasedQueue = LeasedQueue {
    name: "job_items",
    key: [("job_id", "uuid"), ("item_index", "integer")],
    // What an archived tenant has open waits until it is active again.
    open: "status = 'pending' AND tenant_id NOT IN (SELECT tenant_id FROM tenants WHERE status <> 'active')",
    order: "priority, turn",
};
/// A message is cut to this (a CHECK of the table).
const MESSAGE_CHARS: usize = 4_000;

/// A document of a job that this process is to make.
#[derive(Clone, Debug)]
pub struct ClaimedItem {
    /// The right to it.
    pub lease: ItemLease,
    /// What asked for it: one of a schedule says its own format.
    pub kind: JobKind,
    /// Whose it is.
    pub tenant: TenantId,
    /// From 1: how often it was begun.
    pub attempt: u32,
    /// What the attempt before met; none for the first, and where that attempt's process died.
    pub last_code: Option<String>,
    /// What was asked for, as JSON text.
    pub request: String,
    /// What comes out: `pdf`, `html`.
    pub format: String,
    /// On whose behalf.
    pub actor: Actor,
    /// What the caller calls the whole.
    pub correlation_id: Option<Box<str>>,
    /// Whether the definition is the job's, see [`JobQueue::definition`].
    pub shares_definition: bool,
}

/// The right to work on an item, as long as its token is the one in the row.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ItemLease {
    /// Of which job.
    pub job: JobId,
    /// Which of its items, from 0.
    pub index: u32,
    token: LeaseToken,
}

/// How an item ended.
#[derive(Clone, Debug)]
pub enum ItemEnd {
    /// There is a document.
    Succeeded(ItemOutput),
    /// There will be none.
    Failed {
        /// Why.
        code: ErrorCode,
        /// In words; cut to 4000 characters.
        message: String,
    },
}

/// A finished document whose bytes are where outputs are kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ItemOutput {
    /// SHA-256 of the bytes.
    pub sha256: [u8; 32],
    /// How many they are.
    pub size_bytes: u64,
    /// Their media type.
    pub content_type: String,
    /// With its extension; up to 300 characters.
    pub filename: String,
    /// `inline` or `attachment`.
    pub disposition: &'static str,
    /// Pages of a PDF; 0 for anything else.
    pub pages: u32,
    /// How many things were not quite right.
    pub warnings: u32,
    /// The template version; none for an inline definition.
    pub template_version: Option<String>,
    /// The render in the log of renders.
    pub usage_id: UsageId,
    /// The stored document it is kept as too.
    pub document: Option<DocumentId>,
}

/// What the end of an item came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum ItemOutcome {
    /// It is kept.
    Kept {
        /// How the item ended: failed where there was a document, and the tenant had no room for it.
        status: JobItemStatus,
        /// What the job stands as, when this was its last item.
        job_ended: Option<JobStatus>,
    },
    /// The item was somebody else's by then, or was called off: what was made is not to be kept.
    Lost,
}

/// Whether the attempt that led to nothing counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Attempt {
    /// It does: the item may be at fault.
    Charged,
    /// It does not: something was away, or the process stops.
    Free,
}

/// The work of all tenants' jobs.
pub struct JobQueue<'a>(&'a Store);

impl Store {
    /// The documents of jobs that are to be made.
    pub fn job_queue(&self) -> JobQueue<'_> {
        JobQueue(self)
    }
}

impl JobQueue<'_> {
    /// Takes up to `most` items of active tenants for `lease_for`. Tenants take turns; what somebody held who died comes when its lease has ended.
    pub async fn claim(&self, most: u32, lease_for: Duration) -> Result<Vec<ClaimedItem>, StoreError> {
        speak!(self.0, "jobs.claim", {
            let mut connection = self.0.acquire().await?;
            let columns =
                "leased.job_id, leased.item_index, leased.tenant_id, leased.kind, leased.last_code, leased.request::text AS request, leased.turn";
            let (token, mut rows) = QUEUE.claim(&mut connection, self.0.instance_id(), lease_for, most, columns).await?;
            rows.sort_by_key(|row| row.try_get::<i64, _>("turn").unwrap_or(i64::MAX));
            let ids: Vec<Uuid> = rows.iter().filter_map(|row| row.try_get("job_id").ok()).collect();
            if ids.is_empty() {
                return Ok(Vec::new());
            }
            // A statement of its own: should this process die before it, the first item that ends says it too.
            sqlx::query!(
                "UPDATE jobs SET status = 'processing', started_at = $2 WHERE job_id = ANY ($1) AND status = 'pending'",
                &ids,
                self.0.now() as _
            )
            .execute(&mut *connection)
            .await?;
            let jobs = sqlx::query!(
                r#"SELECT job_id, format, actor, actor_scope, request_id, correlation_id, definition IS NOT NULL AS "shares_definition!"
                   FROM jobs WHERE job_id = ANY ($1)"#,
                &ids
            )
            .fetch_all(&mut *connection)
            .await?;
            let mut claimed = Vec::with_capacity(rows.len());
            for row in &rows {
                let job_id: Uuid = row.try_get("job_id")?;
                // Without a job it was removed a moment ago.
                let Some(job) = jobs.iter().find(|job| job.job_id == job_id) else { continue };
                let (index, attempt): (i32, i32) = (row.try_get("item_index")?, row.try_get("attempt")?);
                let (tenant, kind): (String, String) = (row.try_get("tenant_id")?, row.try_get("kind")?);
                let scope = job.actor_scope.as_deref().map(str::parse).transpose();
                claimed.push(ClaimedItem {
                    lease: ItemLease { job: job_id.into(), index: u32::try_from(index).unwrap_or(0), token },
                    kind: kind.parse().map_err(|error| StoreError::inconsistent("job_items", error))?,
                    tenant: tenant.parse().map_err(|error| StoreError::inconsistent("job_items", error))?,
                    attempt: u32::try_from(attempt).unwrap_or(1),
                    last_code: row.try_get("last_code")?,
                    request: row.try_get("request")?,
                    format: job.format.clone(),
                    actor: Actor {
                        name: job.actor.as_str().into(),
                        scope: scope.map_err(|error| StoreError::inconsistent("jobs", error))?,
                        request_id: job.request_id.map(RequestId::from),
                        claim: None,
                    },
                    correlation_id: job.correlation_id.as_deref().map(Box::from),
                    shares_definition: job.shares_definition,
                });
            }
            Ok(claimed)
        })
        .await
    }

    /// The definition that a job's items share, as JSON text; none for a job that has none, has ended or is gone.
    pub async fn definition(&self, job: JobId) -> Result<Option<String>, StoreError> {
        speak!(self.0, "jobs.definition", {
            let mut connection = self.0.acquire().await?;
            let found = sqlx::query_scalar!("SELECT definition::text FROM jobs WHERE job_id = $1", job.as_uuid());
            Ok(found.fetch_optional(&mut *connection).await?.flatten())
        })
        .await
    }

    /// Keeps items for `lease_for` from now on, and gives those that are still held. Do it at a third of that time.
    pub async fn renew(&self, held: &[ItemLease], lease_for: Duration) -> Result<Vec<ItemLease>, StoreError> {
        speak!(self.0, "jobs.renew", {
            let mut connection = self.0.acquire().await?;
            let keys: Vec<Held> = held.iter().map(|lease| ([lease.job.to_string(), lease.index.to_string()], lease.token)).collect();
            let places = QUEUE.renew(&mut connection, &keys, lease_for).await?;
            Ok(places.into_iter().filter_map(|place| held.get(place).copied()).collect())
        })
        .await
    }

    /// Ends an item, and with its last one the job, which is kept for `retention` from then on. A document that the tenant has no
    /// room for is none.
    pub async fn finish(&self, lease: &ItemLease, end: &ItemEnd, retention: Duration) -> Result<ItemOutcome, StoreError> {
        speak!(self.0, "jobs.finish", {
            let mut connection = self.0.acquire().await?;
            if let Some(outcome) = self.try_finish(&mut connection, lease, end, retention).await? {
                return Ok(outcome);
            }
            let message = "the document is not kept: this tenant keeps as many bytes as it may; remove something, or keep jobs and documents for a shorter time";
            let full = ItemEnd::Failed { code: ErrorCode::QuotaExceeded, message: message.to_owned() };
            let outcome = self.try_finish(&mut connection, lease, &full, retention).await?;
            outcome.ok_or_else(|| StoreError::inconsistent("job_items", "a failure took room"))
        })
        .await
    }

    /// Nothing, and nothing was changed, where the tenant has no room for the document.
    async fn try_finish(
        &self,
        connection: &mut PgConnection,
        lease: &ItemLease,
        end: &ItemEnd,
        retention: Duration,
    ) -> Result<Option<ItemOutcome>, StoreError> {
        let mut transaction = connection.begin().await?;
        let succeeded = matches!(end, ItemEnd::Succeeded(_));
        let job = sqlx::query!(
            "UPDATE jobs SET succeeded = succeeded + $2, failed = failed + $3, status = 'processing', started_at = COALESCE(started_at, $4)
             WHERE job_id = $1 AND status IN ('pending', 'processing') AND succeeded + failed < total
             RETURNING tenant_id, kind, total, succeeded, failed",
            lease.job.as_uuid(),
            i32::from(succeeded),
            i32::from(!succeeded),
            self.0.now() as _
        )
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(job) = job else { return Ok(Some(ItemOutcome::Lost)) };
        if !end_item(&mut transaction, lease, end, self.0.now()).await? {
            return Ok(Some(ItemOutcome::Lost));
        }
        let [total, succeeded, failed] = [job.total, job.succeeded, job.failed].map(|count| u32::try_from(count).unwrap_or(0));
        let kind: JobKind = job.kind.parse().map_err(|error| StoreError::inconsistent("jobs", error))?;
        let given_up = match (kind, end) {
            (JobKind::Schedule, ItemEnd::Failed { .. }) => abort_burst(&mut transaction, self.0, lease.job).await?,
            _ => 0,
        };
        let failed = failed.saturating_add(u32::try_from(given_up).unwrap_or(u32::MAX));
        let job_ended = JobProgress { total, succeeded, failed }.end();
        if let Some(status) = job_ended {
            let code = match (status, kind, end) {
                (JobStatus::Failed, JobKind::Single, ItemEnd::Failed { code, .. }) => Some(*code),
                (JobStatus::Failed, ..) => Some(ErrorCode::BatchItemsFailed),
                _ => None,
            };
            end_job(&mut transaction, self.0, lease.job, JobEnd { status, code, retention }).await?;
        }
        // Last, as the end of the chain is taken last by everybody. What is a stored document was judged as one.
        if let ItemEnd::Succeeded(output @ ItemOutput { document: None, .. }) = end
            && !has_room(&mut transaction, self.0, &job.tenant_id, output).await?
        {
            return Ok(None);
        }
        transaction.commit().await?;
        let status = if matches!(end, ItemEnd::Succeeded(_)) { JobItemStatus::Succeeded } else { JobItemStatus::Failed };
        Ok(Some(ItemOutcome::Kept { status, job_ended }))
    }

    /// Lets go of an item that was not made; it is due again after `next_in`. `code` is what was met, if anything was. False
    /// when it was somebody else's by then.
    pub async fn give_back(
        &self,
        lease: &ItemLease,
        attempt: Attempt,
        code: Option<ErrorCode>,
        next_in: Duration,
    ) -> Result<bool, StoreError> {
        speak!(self.0, "jobs.give_back", {
            let mut connection = self.0.acquire().await?;
            let done = sqlx::query!(
                "UPDATE job_items SET lease_owner = NULL, lease_token = NULL, lease_until = NULL, last_code = COALESCE($5, last_code),
                        attempt = CASE WHEN $4 THEN attempt ELSE GREATEST(attempt - 1, 0) END, next_run_at = now() + make_interval(secs => $6)
                 WHERE job_id = $1 AND item_index = $2 AND lease_token = $3",
                lease.job.as_uuid(),
                index(lease),
                lease.token.as_uuid(),
                attempt == Attempt::Charged,
                code.map(ErrorCode::as_str),
                next_in.as_secs_f64()
            )
            .execute(&mut *connection)
            .await?;
            Ok(done.rows_affected() == 1)
        })
        .await
    }

    /// How many items of all tenants are open, counted up to `most`.
    pub async fn open_items(&self, most: u32) -> Result<u64, StoreError> {
        speak!(self.0, "jobs.open_items", {
            let mut connection = self.0.acquire().await?;
            let count = sqlx::query_scalar!(
                r#"SELECT count(*) AS "count!" FROM (SELECT FROM job_items WHERE status = 'pending' LIMIT $1) AS open"#,
                i64::from(most)
            );
            Ok(u64::try_from(count.fetch_one(&mut *connection).await?).unwrap_or(0))
        })
        .await
    }

    /// Removes up to `most` items of jobs that expired before `now`, and the jobs that expired before `forget`; gives how many rows
    /// that were.
    pub async fn delete_expired(&self, now: Timestamp, forget: Timestamp, most: u32) -> Result<u64, StoreError> {
        speak!(self.0, "jobs.delete_expired", {
            let mut connection = self.0.acquire().await?;
            let items = sqlx::query!(
                "DELETE FROM job_items WHERE (job_id, item_index) IN (
                     SELECT job_id, item_index FROM jobs JOIN job_items USING (job_id)
                     WHERE completed_at IS NOT NULL AND NOT emptied AND expires_at <= $1 LIMIT $2)",
                now.to_sqlx() as _,
                i64::from(most)
            )
            .execute(&mut *connection)
            .await?
            .rows_affected();
            if items >= u64::from(most) {
                return Ok(items);
            }
            let emptied = sqlx::query!(
                "UPDATE jobs SET emptied = true, definition = NULL
                 WHERE job_id IN (SELECT job_id FROM jobs j WHERE completed_at IS NOT NULL AND NOT emptied AND expires_at <= $1
                                  AND NOT EXISTS (SELECT FROM job_items i WHERE i.job_id = j.job_id) LIMIT $2)",
                now.to_sqlx() as _,
                i64::from(most)
            );
            let emptied = emptied.execute(&mut *connection).await?.rows_affected();
            let forgotten = sqlx::query!(
                "DELETE FROM jobs WHERE job_id IN (
                     SELECT job_id FROM jobs WHERE completed_at IS NOT NULL AND emptied AND expires_at <= $1 LIMIT $2)",
                forget.to_sqlx() as _,
                i64::from(most)
            );
            Ok(items + emptied + forgotten.execute(&mut *connection).await?.rows_affected())
        })
        .await
    }
}

fn index(lease: &ItemLease) -> i32 {
    i32::try_from(lease.index).unwrap_or(i32::MAX)
}

/// Whether the tenant may keep the document that was just entered. Most have no limit, and then nothing is summed up.
async fn has_room(connection: &mut PgConnection, store: &Store, tenant: &str, output: &ItemOutput) -> Result<bool, StoreError> {
    let tenant: TenantId = tenant.parse().map_err(|error| StoreError::inconsistent("jobs", error))?;
    if storage_limits(connection, &tenant).await?.storage_bytes.is_none() {
        return Ok(true);
    }
    // As for stored documents: two never take the last of the room both.
    let chain = sqlx::query_scalar!("SELECT last_seq FROM audit_chains WHERE tenant_id = $1 FOR UPDATE", tenant.as_str());
    chain.fetch_one(&mut *connection).await?;
    Ok(room_for(connection, store, &tenant, (&output.sha256, output.size_bytes)).await?.is_none())
}

/// Enters how an item ended; false when it is not the holder's any more.
async fn end_item(connection: &mut PgConnection, lease: &ItemLease, end: &ItemEnd, now: jiff_sqlx::Timestamp) -> Result<bool, StoreError> {
    let (status, output, failure) = match end {
        ItemEnd::Succeeded(output) => (JobItemStatus::Succeeded, Some(output), None),
        ItemEnd::Failed { code, message } => (
            JobItemStatus::Failed,
            None,
            Some((code.as_str(), message.replace('\0', "\u{FFFD}").chars().take(MESSAGE_CHARS).collect::<String>())),
        ),
    };
    let done = sqlx::query!(
        "UPDATE job_items
         SET status = $4, ended_at = $5, request = NULL, lease_owner = NULL, lease_token = NULL, lease_until = NULL,
             sha256 = $6, size_bytes = $7, content_type = $8, filename = $9, disposition = $10, pages = $11, warnings = $12,
             template_version = $13, usage_id = $14, document_id = $15, error_code = $16, error_message = $17
         WHERE job_id = $1 AND item_index = $2 AND lease_token = $3 AND status = 'pending'",
        lease.job.as_uuid(),
        index(lease),
        lease.token.as_uuid(),
        status.as_str(),
        now as _,
        output.map(|output| output.sha256.to_vec()),
        output.map(|output| i64::try_from(output.size_bytes).unwrap_or(i64::MAX)),
        output.map(|output| output.content_type.as_str()),
        output.map(|output| output.filename.as_str()),
        output.map(|output| output.disposition),
        output.map(|output| i32::try_from(output.pages).unwrap_or(i32::MAX)),
        output.map(|output| i32::try_from(output.warnings).unwrap_or(i32::MAX)),
        output.and_then(|output| output.template_version.as_deref()),
        output.map(|output| output.usage_id.as_uuid()),
        output.and_then(|output| output.document).map(DocumentId::as_uuid),
        failure.as_ref().map(|(code, _)| *code),
        failure.as_ref().map(|(_, message)| message.as_str())
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// A job's end, as it is entered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JobEnd {
    pub(crate) status: JobStatus,
    /// Why it failed.
    pub(crate) code: Option<ErrorCode>,
    /// How long it is kept from now on.
    pub(crate) retention: Duration,
}

/// Enters how a job ended. Everything that follows from a job's end stands here, in the transaction of the end: the one place
/// that has to tell whoever asked to be called back.
pub(crate) async fn end_job(connection: &mut PgConnection, store: &Store, job: JobId, end: JobEnd) -> Result<(), StoreError> {
    let row = sqlx::query!(
        "UPDATE jobs SET status = $2, failure_code = $3, completed_at = $4, expires_at = $4::timestamptz + make_interval(secs => $5),
                cancel_requested = $6, definition = NULL
         WHERE job_id = $1
         RETURNING tenant_id, kind, format, total, succeeded, failed, reference, correlation_id, metadata::text, created_at, completed_at,
                   callback_url, callback_secret, templates",
        job.as_uuid(),
        end.status.as_str(),
        end.code.map(ErrorCode::as_str),
        store.now() as _,
        end.retention.as_secs_f64(),
        end.status == JobStatus::Cancelled
    )
    .fetch_one(&mut *connection)
    .await?;
    let event = match end.status {
        JobStatus::Completed => EventType::JobCompleted,
        JobStatus::Cancelled => EventType::JobCancelled,
        _ => EventType::JobFailed,
    };
    if row.kind == JobKind::Schedule.as_str() {
        return follow_job(connection, store, job, end.status).await;
    }
    let tenant: TenantId = row.tenant_id.parse().map_err(|error| StoreError::inconsistent("jobs", error))?;
    let metadata: Option<Value> = row.metadata.and_then(|text| serde_json::from_str(&text).ok());
    let said = json!({
        "jobId": job, "status": end.status.as_str(), "kind": row.kind, "format": row.format, "failureCode": end.code.map(ErrorCode::as_str),
        "itemCount": row.total, "progress": { "total": row.total, "completed": row.succeeded, "failed": row.failed },
        "reference": row.reference, "correlationId": row.correlation_id, "metadata": metadata,
        "createdAt": row.created_at.to_jiff(), "completedAt": row.completed_at.map(jiff_sqlx::Timestamp::to_jiff),
        "pollUrl": format!("/render/jobs/{job}"),
    });
    let Value::Object(data) = said else { return Ok(()) };
    if let (Some(url), Some(secret)) = (&row.callback_url, &row.callback_secret) {
        enqueue_callback(connection, store, Callback { tenant: &tenant, job, event, url, secret, body: &data }).await?;
    }
    // What somebody did is told with its audit event.
    if end.status != JobStatus::Cancelled {
        let news = NewEvent { event, templates: &row.templates, correlation_id: row.correlation_id.as_deref(), data };
        enqueue_event(connection, store, &tenant, news).await?;
    }
    Ok(())
}
