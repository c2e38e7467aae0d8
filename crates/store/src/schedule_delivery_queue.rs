//! What is to be delivered of all tenants' schedules: who is next, who is at it, and how it went. It goes past `write`; what people do
//! to deliveries is in `schedule_dead_letters`.
//!
//! The rules are those of `delivery_queue`. Whoever changes both takes the execution's row before its deliveries'.

use std::time::Duration;

use domain::ids::{DeliveryId, JobId, LeaseToken, ScheduleExecutionId, ScheduleId};
use domain::schedule_plans::DeliveryPlan;
use domain::webhooks::DeliveryStatus;
use domain::{SecretText, TenantId};
use sqlx::{Connection as _, FromRow, PgConnection};
use uuid::Uuid;

use crate::connect::{Store, speak};
use crate::delivery_queue::PassedOver;
use crate::error::StoreError;
use crate::hashes::hash_of;

/// Something that this process is to deliver.
#[derive(Clone, Debug)]
pub struct ClaimedScheduleDelivery {
    /// The right to it.
    pub lease: ScheduleDeliveryLease,
    /// Whose it is.
    pub tenant: TenantId,
    /// Of which schedule.
    pub schedule: ScheduleId,
    /// Of which execution.
    pub execution: ScheduleExecutionId,
    /// Which of its items.
    pub item_index: u32,
    /// Which of the targets.
    pub target_index: usize,
    /// What is away together.
    pub target: String,
    /// What is delivered; none where it is gone.
    pub plan: Option<DeliveryPlan>,
    /// What it is signed with.
    pub secret: Option<SecretText>,
    /// The job whose documents those are.
    pub job: Option<JobId>,
    /// From 1: how often it was begun since it, or somebody, last began.
    pub attempt: u32,
    /// How long it may still be tried; zero when that is over.
    pub left: Duration,
}

/// The right to deliver something, as long as its token is the one in the row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScheduleDeliveryLease {
    /// Which.
    pub id: DeliveryId,
    execution: ScheduleExecutionId,
    token: LeaseToken,
}

/// A finished document of a job, to be delivered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeliverableFile {
    /// Which one.
    pub index: u32,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// How many they are.
    pub size_bytes: u64,
    /// Their media type.
    pub content_type: String,
    /// With its extension.
    pub filename: String,
    /// Pages of a PDF; 0 for anything else.
    pub pages: u32,
    /// The template and its version.
    pub template: (String, Option<String>),
}

/// How an attempt ended.
#[derive(Clone, Debug)]
pub struct ScheduleDeliveryAttempt {
    /// How the delivery stands after it: delivered, failed, or pending when it is tried again.
    pub status: DeliveryStatus,
    /// Until the next attempt.
    pub next_in: Duration,
    /// A word for what was met; none where it arrived.
    pub code: Option<&'static str>,
    /// What was wrong, at most 500 characters; none where it arrived.
    pub error: Option<String>,
    /// How long it took.
    pub took: Duration,
}

/// The deliveries of all tenants.
pub struct ScheduleDeliveryQueue<'a>(&'a Store);

impl Store {
    /// What is to be delivered of schedules.
    pub fn schedule_delivery_queue(&self) -> ScheduleDeliveryQueue<'_> {
        ScheduleDeliveryQueue(self)
    }
}

#[derive(FromRow)]
struct ClaimedRow {
    delivery_id: Uuid,
    tenant_id: String,
    schedule_id: Uuid,
    execution_id: Uuid,
    item_index: i32,
    target_index: i32,
    target: String,
    plan: Option<String>,
    secret: Option<String>,
    job_id: Option<Uuid>,
    attempt: i32,
    left_s: f64,
}

/// Tenants first, found by leaps through the index; of each of them what has waited longest.
const CLAIM: &str = "
WITH RECURSIVE owners AS (
    (SELECT tenant_id FROM schedule_deliveries WHERE status = 'pending' ORDER BY tenant_id LIMIT 1)
    UNION ALL
    SELECT (SELECT d.tenant_id FROM schedule_deliveries d
            WHERE d.status = 'pending' AND d.tenant_id > h.tenant_id ORDER BY d.tenant_id LIMIT 1)
    FROM owners h WHERE h.tenant_id IS NOT NULL),
candidates AS (
    SELECT c.delivery_id, c.next_run_at,
           row_number() OVER (PARTITION BY h.tenant_id, c.target ORDER BY c.next_run_at) AS of_target,
           row_number() OVER (PARTITION BY h.tenant_id ORDER BY c.next_run_at) AS turn
    FROM owners h JOIN tenants t ON t.tenant_id = h.tenant_id AND t.status = 'active' CROSS JOIN LATERAL (
        SELECT d.delivery_id, d.next_run_at, d.target FROM schedule_deliveries d
        WHERE d.tenant_id = h.tenant_id AND d.status = 'pending' AND d.next_run_at <= now()
          AND (d.lease_until IS NULL OR d.lease_until < now())
          AND (d.give_up_at <= now() OR (d.tenant_id || ' ' || d.target) <> ALL ($1))
        ORDER BY d.next_run_at LIMIT $2) c),
chosen AS (SELECT delivery_id FROM candidates WHERE of_target <= $3 ORDER BY turn, next_run_at LIMIT $2),
free AS (
    SELECT d.delivery_id FROM schedule_deliveries d JOIN chosen USING (delivery_id)
    WHERE d.status = 'pending' AND d.next_run_at <= now() AND (d.lease_until IS NULL OR d.lease_until < now())
    FOR UPDATE OF d SKIP LOCKED)
UPDATE schedule_deliveries d
SET lease_owner = $4, lease_token = $5, lease_until = now() + make_interval(secs => $6), attempt = d.attempt + 1,
    attempts_total = d.attempts_total + 1
FROM free, schedule_executions e, schedule_execution_items i
WHERE d.delivery_id = free.delivery_id AND e.execution_id = d.execution_id AND i.execution_id = d.execution_id AND i.item_index = d.item_index
RETURNING d.delivery_id, d.tenant_id, d.schedule_id, d.execution_id, d.item_index, d.target_index, d.target, i.plan::text AS plan,
          e.snapshot_secrets ->> ('/deliveryTargets/' || d.target_index || '/secret') AS secret, e.job_id, d.attempt,
          GREATEST(extract(epoch FROM d.give_up_at - now()), 0)::float8 AS left_s";

impl ScheduleDeliveryQueue<'_> {
    /// Takes up to `most` deliveries that are due and that nobody has, tenants in turn. `lease_for` has to be longer than an attempt
    /// can last: it is not renewed.
    pub async fn claim(
        &self,
        most: u32,
        lease_for: Duration,
        passed_over: PassedOver<'_>,
    ) -> Result<Vec<ClaimedScheduleDelivery>, StoreError> {
        speak!(self.0, "schedule_delivery_queue.claim", {
            let token = LeaseToken::generate();
            let mut connection = self.0.acquire().await?;
            let rows: Vec<ClaimedRow> = sqlx::query_as(CLAIM)
                .bind(passed_over.targets)
                .bind(i64::from(most))
                .bind(i64::from(passed_over.most_per_target))
                .bind(self.0.instance_id())
                .bind(token.as_uuid())
                .bind(lease_for.as_secs_f64())
                .fetch_all(&mut *connection)
                .await?;
            let claimed = rows.into_iter().map(|row| {
                Ok(ClaimedScheduleDelivery {
                    lease: ScheduleDeliveryLease { id: row.delivery_id.into(), execution: row.execution_id.into(), token },
                    tenant: row.tenant_id.parse().map_err(|error| StoreError::inconsistent("schedule_deliveries", error))?,
                    schedule: row.schedule_id.into(),
                    execution: row.execution_id.into(),
                    item_index: u32::try_from(row.item_index).unwrap_or(0),
                    target_index: usize::try_from(row.target_index).unwrap_or(0),
                    target: row.target,
                    plan: row.plan.and_then(|text| serde_json::from_str(&text).ok()),
                    secret: row.secret.map(SecretText::new),
                    job: row.job_id.map(JobId::from),
                    attempt: u32::try_from(row.attempt).unwrap_or(1),
                    left: Duration::try_from_secs_f64(row.left_s).unwrap_or_default(),
                })
            });
            claimed.collect()
        })
        .await
    }

    /// The documents of a job that are these, in their order; those that are not there any more are missing.
    pub async fn files(&self, tenant: &TenantId, job: JobId, indices: &[u32]) -> Result<Vec<DeliverableFile>, StoreError> {
        speak!(self.0, "schedule_delivery_queue.files", {
            let indices: Vec<i32> = indices.iter().map(|index| i32::try_from(*index).unwrap_or(i32::MAX)).collect();
            let mut connection = self.0.acquire().await?;
            let rows: Vec<FileRow> = sqlx::query_as(
                "SELECT item_index, sha256, size_bytes, content_type, filename, pages, template, template_version FROM job_items
                 WHERE tenant_id = $1 AND job_id = $2 AND item_index = ANY ($3) AND status = 'succeeded' ORDER BY item_index",
            )
            .bind(tenant.as_str())
            .bind(job.as_uuid())
            .bind(indices)
            .fetch_all(&mut *connection)
            .await?;
            rows.into_iter().map(DeliverableFile::try_from).collect()
        })
        .await
    }

    /// Writes down how an attempt ended, and with the last delivery of an execution how that ended. False when the delivery is
    /// somebody else's by now, or gone.
    pub async fn finish(&self, lease: &ScheduleDeliveryLease, attempt: &ScheduleDeliveryAttempt) -> Result<bool, StoreError> {
        speak!(self.0, "schedule_delivery_queue.finish", {
            let mut connection = self.0.acquire().await?;
            let mut transaction = connection.begin().await?;
            if attempt.status != DeliveryStatus::Pending {
                // Two that end together have to see each other's end.
                lock_execution(&mut transaction, lease.execution).await?;
            }
            let row = sqlx::query(
                "UPDATE schedule_deliveries
                 SET lease_owner = NULL, lease_token = NULL, lease_until = NULL, status = $3, resolved = resolved OR ($3 = 'delivered' AND attempts_total > attempt),
                     next_run_at = now() + make_interval(secs => $4), last_code = $5, last_error = left($6, 500), last_attempt_at = $7,
                     last_took_ms = $8, ended_at = CASE WHEN $3 = 'pending' THEN NULL ELSE $7 END
                 WHERE delivery_id = $1 AND lease_token = $2",
            )
            .bind(lease.id.as_uuid())
            .bind(lease.token.as_uuid())
            .bind(attempt.status.as_str())
            .bind(attempt.next_in.as_secs_f64())
            .bind(attempt.code)
            .bind(attempt.error.as_ref().map(|error| error.replace('\0', "\u{FFFD}")))
            .bind(self.0.now())
            .bind(i32::try_from(attempt.took.as_millis()).unwrap_or(i32::MAX))
            .execute(&mut *transaction)
            .await?;
            if row.rows_affected() == 0 {
                return Ok(false);
            }
            if attempt.status != DeliveryStatus::Pending {
                end_if_all_ended(&mut transaction, lease.execution).await?;
            }
            transaction.commit().await?;
            Ok(true)
        })
        .await
    }

    /// Lets go of a delivery that was not tried, without counting the attempt; it is due again after `next_in`. False when it is
    /// somebody else's by now.
    pub async fn give_back(&self, lease: &ScheduleDeliveryLease, next_in: Duration) -> Result<bool, StoreError> {
        speak!(self.0, "schedule_delivery_queue.give_back", {
            let mut connection = self.0.acquire().await?;
            let given = sqlx::query(
                "UPDATE schedule_deliveries
                 SET lease_owner = NULL, lease_token = NULL, lease_until = NULL, attempt = GREATEST(attempt - 1, 0),
                     attempts_total = GREATEST(attempts_total - 1, 0), next_run_at = now() + make_interval(secs => $3)
                 WHERE delivery_id = $1 AND lease_token = $2",
            )
            .bind(lease.id.as_uuid())
            .bind(lease.token.as_uuid())
            .bind(next_in.as_secs_f64())
            .execute(&mut *connection)
            .await?;
            Ok(given.rows_affected() == 1)
        })
        .await
    }

    /// How many are open, and for how long the one that has been due longest has waited: what an operator watches.
    pub async fn backlog(&self) -> Result<(u64, Duration), StoreError> {
        speak!(self.0, "schedule_delivery_queue.backlog", {
            let mut connection = self.0.acquire().await?;
            let (open, late_s): (i64, f64) = sqlx::query_as(
                "SELECT count(*), COALESCE(extract(epoch FROM now() - min(next_run_at)), 0)::float8 FROM schedule_deliveries WHERE status = 'pending'",
            )
            .fetch_one(&mut *connection)
            .await?;
            Ok((u64::try_from(open).unwrap_or(0), Duration::try_from_secs_f64(late_s).unwrap_or_default()))
        })
        .await
    }
}

pub(crate) async fn lock_execution(connection: &mut PgConnection, execution: ScheduleExecutionId) -> Result<(), StoreError> {
    sqlx::query("SELECT FROM schedule_executions WHERE execution_id = $1 FOR NO KEY UPDATE")
        .bind(execution.as_uuid())
        .execute(connection)
        .await?;
    Ok(())
}

/// Ends an execution of which nothing is open any more. Its row is locked, see [`lock_execution`]. What one needs to deliver stays with
/// those that failed, as that may be asked for once more.
pub(crate) async fn end_if_all_ended(connection: &mut PgConnection, execution: ScheduleExecutionId) -> Result<(), StoreError> {
    let ended = sqlx::query(
        "WITH ends AS (
             SELECT count(*) FILTER (WHERE status <> 'delivered') AS bad,
                    count(*) FILTER (WHERE status = 'failed') AS dead,
                    (array_agg(last_code ORDER BY item_index, target_index) FILTER (WHERE status <> 'delivered'))[1] AS code,
                    (array_agg(last_error ORDER BY item_index, target_index) FILTER (WHERE status <> 'delivered'))[1] AS error
             FROM schedule_deliveries WHERE execution_id = $1)
         UPDATE schedule_executions e
         SET status = CASE WHEN ends.bad = 0 THEN 'completed' ELSE 'failed' END, ended_at = now(), updated_at = now(),
             error_code = CASE WHEN ends.bad = 0 THEN CASE WHEN e.failed > 0 THEN e.error_code END ELSE COALESCE(ends.code, 'delivery_failed') END,
             error_message = CASE WHEN ends.bad = 0 THEN CASE WHEN e.failed > 0 THEN e.error_message END ELSE ends.error END,
             snapshot = CASE WHEN ends.dead > 0 THEN e.snapshot END,
             snapshot_secrets = CASE WHEN ends.dead > 0 THEN e.snapshot_secrets END
         FROM ends
         WHERE e.execution_id = $1 AND e.status IN ('delivering', 'failed')
           AND NOT EXISTS (SELECT FROM schedule_deliveries d WHERE d.execution_id = $1 AND d.status = 'pending')",
    )
    .bind(execution.as_uuid())
    .execute(&mut *connection)
    .await?;
    if ended.rows_affected() > 0 {
        sqlx::query(
            "UPDATE schedule_execution_items i SET plan = NULL
             WHERE execution_id = $1 AND plan IS NOT NULL AND NOT EXISTS (
                 SELECT FROM schedule_deliveries d WHERE d.execution_id = $1 AND d.item_index = i.item_index AND d.status = 'failed')",
        )
        .bind(execution.as_uuid())
        .execute(connection)
        .await?;
    }
    Ok(())
}

#[derive(FromRow)]
struct FileRow {
    item_index: i32,
    sha256: Vec<u8>,
    size_bytes: i64,
    content_type: String,
    filename: String,
    pages: Option<i32>,
    template: String,
    template_version: Option<String>,
}

impl TryFrom<FileRow> for DeliverableFile {
    type Error = StoreError;

    fn try_from(row: FileRow) -> Result<Self, StoreError> {
        Ok(Self {
            index: u32::try_from(row.item_index).unwrap_or(0),
            sha256: hash_of("job_items", &row.sha256)?,
            size_bytes: u64::try_from(row.size_bytes).unwrap_or(0),
            content_type: row.content_type,
            filename: row.filename,
            pages: u32::try_from(row.pages.unwrap_or(0)).unwrap_or(0),
            template: (row.template, row.template_version),
        })
    }
}
