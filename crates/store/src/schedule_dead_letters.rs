//! What did not arrive of a tenant's schedules: looked at, tried again, or given up for good.

use domain::audit::AuditKind;
use domain::ids::{DeliveryId, ScheduleExecutionId, ScheduleId};
use domain::schedule_executions::TRIED_FOR;
use domain::schedule_plans::DeliveryPlan;
use domain::webhooks::DeliveryStatus;
use domain::{Actor, AuditEvent};
use jiff::Timestamp;
use sqlx::{AssertSqlSafe, FromRow, PgConnection};
use uuid::Uuid;

use crate::connect::speak;
use crate::error::StoreError;
use crate::page::{Page, bounds};
use crate::schedule_delivery_queue::{end_if_all_ended, lock_execution};
use crate::tenants::TenantStore;
use crate::write::Write;

/// A delivery of a schedule that did not arrive, or had not.
#[derive(Clone, PartialEq, Debug)]
pub struct ScheduleDeadLetter {
    /// Names it.
    pub id: DeliveryId,
    /// Of which schedule, which may be gone.
    pub schedule: ScheduleId,
    /// Of which execution.
    pub execution: ScheduleExecutionId,
    /// When that was due.
    pub fire_time: Timestamp,
    /// Which of its items.
    pub item_index: u32,
    /// To which target.
    pub target_index: u32,
    /// The word for its kind.
    pub target_type: String,
    /// Where.
    pub target: String,
    /// How it stands.
    pub status: DeliveryStatus,
    /// How often it was tried.
    pub attempts: u32,
    /// What was met last: a code and words.
    pub error: Option<(String, String)>,
    /// Whether it arrived when it was replayed.
    pub resolved: bool,
    /// When it was last tried.
    pub last_attempt_at: Option<Timestamp>,
    /// When it is tried again.
    pub next_run_at: Timestamp,
    /// When it came about.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Who gave it up.
    pub ended_by: Option<String>,
    /// What was to be delivered, while somebody may still ask for that.
    pub plan: Option<DeliveryPlan>,
}

/// How an act on a dead letter ended.
#[derive(Clone, PartialEq, Debug)]
#[must_use]
pub enum ScheduleDeliveryOutcome {
    /// It stands so now.
    Done(Box<ScheduleDeadLetter>),
    /// There is none of that id.
    NotFound,
    /// From how it stands, nothing leads there.
    NotFrom(DeliveryStatus),
    /// Its schedule was deleted.
    ScheduleGone,
    /// Its schedule delivers elsewhere by now.
    ScheduleMutated,
    /// Its documents are not kept any more.
    ArtifactExpired,
}

/// What did not arrive of one tenant's schedules.
pub struct ScheduleDeadLetters<'a>(&'a TenantStore);

impl TenantStore {
    /// Deliveries of schedules that failed for good.
    pub fn schedule_dead_letters(&self) -> ScheduleDeadLetters<'_> {
        ScheduleDeadLetters(self)
    }
}

const COLUMNS: &str =
    "d.delivery_id, d.schedule_id, d.execution_id, e.fire_time, d.item_index, d.target_index, d.target_type, d.target, d.status,
    d.attempts_total, d.last_code, d.last_error, d.resolved, d.last_attempt_at, d.next_run_at, d.created_at, d.ended_at, d.ended_by,
    i.plan::text AS plan";
const FROM: &str = "schedule_deliveries d JOIN schedule_executions e USING (execution_id)
    JOIN schedule_execution_items i ON i.execution_id = d.execution_id AND i.item_index = d.item_index";

/// What a replay asks before it tries again.
#[derive(FromRow)]
struct Standing {
    status: String,
    execution_id: Uuid,
    has_schedule: bool,
    same_target: bool,
    has_files: bool,
}

impl ScheduleDeadLetters<'_> {
    /// The delivery of that id, however it stands by now.
    pub async fn get(&self, id: DeliveryId) -> Result<Option<ScheduleDeadLetter>, StoreError> {
        speak!(self.0.store, "schedule_dead_letters.get", {
            let mut connection = self.0.store.acquire().await?;
            self.row(&mut connection, id).await
        })
        .await
    }

    async fn row(&self, connection: &mut PgConnection, id: DeliveryId) -> Result<Option<ScheduleDeadLetter>, StoreError> {
        let statement = format!("SELECT {COLUMNS} FROM {FROM} WHERE d.tenant_id = $1 AND d.delivery_id = $2");
        let row: Option<Row> =
            sqlx::query_as(AssertSqlSafe(statement)).bind(self.0.tenant.as_str()).bind(id.as_uuid()).fetch_optional(connection).await?;
        row.map(ScheduleDeadLetter::try_from).transpose()
    }

    /// One page of the deliveries that did not arrive, those that were given up last first; `status` is failed or abandoned.
    pub async fn list(
        &self,
        status: Option<DeliveryStatus>,
        schedule: Option<ScheduleId>,
        limit: u32,
        offset: u64,
    ) -> Result<Page<ScheduleDeadLetter>, StoreError> {
        speak!(self.0.store, "schedule_dead_letters.list", {
            let (limit, offset) = bounds(limit, offset);
            let which = "d.tenant_id = $1 AND d.status IN ('failed', 'abandoned') AND ($2::text IS NULL OR d.status = $2)
                         AND ($3::uuid IS NULL OR d.schedule_id = $3)";
            let statement =
                format!("SELECT {COLUMNS} FROM {FROM} WHERE {which} ORDER BY d.ended_at DESC, d.delivery_id DESC LIMIT $4 OFFSET $5");
            let mut connection = self.0.store.acquire().await?;
            let rows: Vec<Row> = sqlx::query_as(AssertSqlSafe(statement))
                .bind(self.0.tenant.as_str())
                .bind(status.map(DeliveryStatus::as_str))
                .bind(schedule.map(ScheduleId::as_uuid))
                .bind(limit)
                .bind(offset)
                .fetch_all(&mut *connection)
                .await?;
            let total = if let Some(total) = Page::<Row>::total_from_its_end(rows.len(), limit, offset) {
                total
            } else {
                let statement = format!("SELECT count(*) FROM schedule_deliveries d WHERE {which}");
                let count: i64 = sqlx::query_scalar(AssertSqlSafe(statement))
                    .bind(self.0.tenant.as_str())
                    .bind(status.map(DeliveryStatus::as_str))
                    .bind(schedule.map(ScheduleId::as_uuid))
                    .fetch_one(&mut *connection)
                    .await?;
                u64::try_from(count).unwrap_or(0)
            };
            Ok(Page { items: rows.into_iter().map(ScheduleDeadLetter::try_from).collect::<Result<_, _>>()?, total })
        })
        .await
    }

    /// Has a delivery that did not arrive tried again, for another day, under the same id: the same documents to the same target, as
    /// long as the schedule still has that.
    pub async fn replay(&self, id: DeliveryId, actor: &Actor) -> Result<ScheduleDeliveryOutcome, StoreError> {
        speak!(self.0.store, "schedule_dead_letters.replay", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let standing = match self.failed(&mut write, id).await? {
                Ok(standing) => standing,
                Err(outcome) => return Ok(outcome),
            };
            if !standing.has_schedule {
                return Ok(ScheduleDeliveryOutcome::ScheduleGone);
            }
            if !standing.same_target {
                return Ok(ScheduleDeliveryOutcome::ScheduleMutated);
            }
            if !standing.has_files {
                return Ok(ScheduleDeliveryOutcome::ArtifactExpired);
            }
            sqlx::query(
                "UPDATE schedule_deliveries SET status = 'pending', attempt = 0, next_run_at = now(), ended_at = NULL, ended_by = NULL,
                        give_up_at = now() + make_interval(secs => $2)
                 WHERE delivery_id = $1",
            )
            .bind(id.as_uuid())
            .bind(TRIED_FOR.as_secs_f64())
            .execute(&mut *write)
            .await?;
            sqlx::query(
                "UPDATE schedule_executions SET status = 'delivering', ended_at = NULL, updated_at = now() WHERE execution_id = $1 AND status = 'failed'",
            )
            .bind(standing.execution_id)
            .execute(&mut *write)
            .await?;
            self.told(write, id, AuditKind::ScheduleDeliveryReplayed).await
        })
        .await
    }

    /// Says that a delivery that did not arrive is not wanted any more.
    pub async fn abandon(&self, id: DeliveryId, actor: &Actor) -> Result<ScheduleDeliveryOutcome, StoreError> {
        speak!(self.0.store, "schedule_dead_letters.abandon", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let standing = match self.failed(&mut write, id).await? {
                Ok(standing) => standing,
                Err(outcome) => return Ok(outcome),
            };
            sqlx::query("UPDATE schedule_deliveries SET status = 'abandoned', ended_at = $2, ended_by = $3 WHERE delivery_id = $1")
                .bind(id.as_uuid())
                .bind(self.0.store.now())
                .bind(&*actor.name)
                .execute(&mut *write)
                .await?;
            end_if_all_ended(&mut write, standing.execution_id.into()).await?;
            self.told(write, id, AuditKind::ScheduleDeliveryAbandoned).await
        })
        .await
    }

    /// A delivery that failed for good, with its execution locked.
    async fn failed(&self, write: &mut Write<'_>, id: DeliveryId) -> Result<Result<Standing, ScheduleDeliveryOutcome>, StoreError> {
        let execution: Option<Uuid> =
            sqlx::query_scalar("SELECT execution_id FROM schedule_deliveries WHERE tenant_id = $1 AND delivery_id = $2")
                .bind(self.0.tenant.as_str())
                .bind(id.as_uuid())
                .fetch_optional(&mut **write)
                .await?;
        let Some(execution) = execution else { return Ok(Err(ScheduleDeliveryOutcome::NotFound)) };
        lock_execution(write, execution.into()).await?;
        let standing: Standing = sqlx::query_as(
            "SELECT d.status, d.execution_id, s.schedule_id IS NOT NULL AS has_schedule,
                    e.test_recipients IS NOT NULL
                    OR COALESCE((s.definition -> 'deliveryTargets' -> d.target_index)::jsonb
                                = (e.snapshot -> 'definition' -> 'deliveryTargets' -> d.target_index)::jsonb, false) AS same_target,
                    i.plan IS NOT NULL AND EXISTS (SELECT FROM job_items j WHERE j.job_id = e.job_id) AS has_files
             FROM schedule_deliveries d JOIN schedule_executions e USING (execution_id)
             JOIN schedule_execution_items i ON i.execution_id = d.execution_id AND i.item_index = d.item_index
             LEFT JOIN schedules s ON s.schedule_id = d.schedule_id
             WHERE d.delivery_id = $1",
        )
        .bind(id.as_uuid())
        .fetch_one(&mut **write)
        .await?;
        let status: DeliveryStatus = standing.status.parse().map_err(|error| StoreError::inconsistent("schedule_deliveries", error))?;
        Ok(if status == DeliveryStatus::Failed { Ok(standing) } else { Err(ScheduleDeliveryOutcome::NotFrom(status)) })
    }

    async fn told(&self, mut write: Write<'_>, id: DeliveryId, kind: AuditKind) -> Result<ScheduleDeliveryOutcome, StoreError> {
        let row =
            self.row(&mut write, id).await?.ok_or_else(|| StoreError::inconsistent("schedule_deliveries", "a delivery without a row"))?;
        write.announce("schedule_delivery", &id.to_string()).await?;
        let event = AuditEvent::new(kind, id).with("scheduleId", row.schedule.to_string());
        write.commit(event.with("executionId", row.execution.to_string())).await?;
        Ok(ScheduleDeliveryOutcome::Done(Box::new(row)))
    }
}

#[derive(FromRow)]
struct Row {
    delivery_id: Uuid,
    schedule_id: Uuid,
    execution_id: Uuid,
    fire_time: jiff_sqlx::Timestamp,
    item_index: i32,
    target_index: i32,
    target_type: String,
    target: String,
    status: String,
    attempts_total: i32,
    last_code: Option<String>,
    last_error: Option<String>,
    resolved: bool,
    last_attempt_at: Option<jiff_sqlx::Timestamp>,
    next_run_at: jiff_sqlx::Timestamp,
    created_at: jiff_sqlx::Timestamp,
    ended_at: Option<jiff_sqlx::Timestamp>,
    ended_by: Option<String>,
    plan: Option<String>,
}

impl TryFrom<Row> for ScheduleDeadLetter {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let count = |number: i32| u32::try_from(number).unwrap_or(0);
        Ok(Self {
            id: row.delivery_id.into(),
            schedule: row.schedule_id.into(),
            execution: row.execution_id.into(),
            fire_time: row.fire_time.to_jiff(),
            item_index: count(row.item_index),
            target_index: count(row.target_index),
            target_type: row.target_type,
            target: row.target,
            status: row.status.parse().map_err(|error| StoreError::inconsistent("schedule_deliveries", error))?,
            attempts: count(row.attempts_total),
            error: row.last_code.map(|code| (code, row.last_error.unwrap_or_default())),
            resolved: row.resolved,
            last_attempt_at: row.last_attempt_at.map(jiff_sqlx::Timestamp::to_jiff),
            next_run_at: row.next_run_at.to_jiff(),
            created_at: row.created_at.to_jiff(),
            ended_at: row.ended_at.map(jiff_sqlx::Timestamp::to_jiff),
            ended_by: row.ended_by,
            plan: row.plan.and_then(|text| serde_json::from_str(&text).ok()),
        })
    }
}
