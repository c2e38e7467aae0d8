//! Executions of schedules as their tenant sees them: begun by somebody, listed, looked into.

use domain::audit::AuditKind;
use domain::ids::{DeliveryId, ScheduleExecutionId, ScheduleId};
use domain::schedule_executions::{ExecutionItemStatus, ExecutionStatus, ExecutionTrigger};
use domain::webhooks::DeliveryStatus;
use domain::{Actor, AuditEvent};
use jiff::Timestamp;
use serde_json::Value;
use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use crate::connect::speak;
use crate::error::StoreError;
use crate::page::{Page, bounds};
use crate::reading::read;
use crate::tenants::TenantStore;
use crate::write::Write;

/// Somebody's wish to have a schedule executed at once.
#[derive(Clone, Debug, Default)]
pub struct NewExecution {
    /// Parameters that stand in the place of the schedule's own, as a JSON object.
    pub parameters: Option<Value>,
    /// The moment that it is to be about; now where there is none.
    pub as_of: Option<Timestamp>,
    /// Whether it delivers whatever the schedule's condition says.
    pub ignores_condition: bool,
    /// It goes to these addresses and nowhere else; empty where it is no test.
    pub test_recipients: Vec<String>,
}

/// An execution as it stands.
#[derive(Clone, PartialEq, Debug)]
pub struct ExecutionRecord {
    /// Names it.
    pub id: ScheduleExecutionId,
    /// Of which schedule.
    pub schedule: ScheduleId,
    /// When it was due.
    pub fire_time: Timestamp,
    /// The moment the pattern names, where a holiday moved it.
    pub nominal_at: Option<Timestamp>,
    /// Which business day of its month that is.
    pub business_day_index: Option<i32>,
    /// How it stands.
    pub status: ExecutionStatus,
    /// What began it.
    pub trigger: ExecutionTrigger,
    /// Who, where the clock did not.
    pub actor: Option<String>,
    /// Times before it that passed unseen.
    pub missed_runs: u32,
    /// Whether it was a test.
    pub is_test: bool,
    /// What was asked for with it.
    pub parameters: Option<Value>,
    /// What came of the dates in its parameters.
    pub resolved_parameters: Option<Value>,
    /// The moment it is about.
    pub as_of: Option<Timestamp>,
    /// Why there was nothing to deliver.
    pub skip_reason: Option<String>,
    /// Elements of the list, those that a condition left out, and those that were too many; none before that is known.
    pub counts: Option<[u32; 3]>,
    /// Items with documents, and those without.
    pub succeeded: u32,
    /// Items without documents.
    pub failed: u32,
    /// How long its documents took, in milliseconds.
    pub render_duration_ms: Option<u64>,
    /// The stored document of its first item.
    pub document: Option<Uuid>,
    /// Why it failed, or what was met last: a code and words.
    pub error: Option<(String, String)>,
    /// Who last took it, and when.
    pub claimed: Option<(String, Timestamp)>,
    /// When it came about.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How its deliveries stand, by item and target; the first hundred.
    pub deliveries: Vec<ExecutionDelivery>,
}

/// One delivery as its execution shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExecutionDelivery {
    /// Names it.
    pub id: DeliveryId,
    /// Of which item.
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
    /// Whether it had failed, and arrived when it was replayed.
    pub resolved: bool,
    /// When it is tried again.
    pub next_run_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// One item of an execution as it stands.
#[derive(Clone, PartialEq, Debug)]
pub struct ExecutionItemRecord {
    /// Which one, from 0.
    pub index: u32,
    /// How it stands.
    pub status: ExecutionItemStatus,
    /// What it calls itself.
    pub key: Option<String>,
    /// Who gets it by e-mail.
    pub recipients: Vec<String>,
    /// How long its documents took, in milliseconds.
    pub render_duration_ms: Option<u64>,
    /// Why there are none: a code and words.
    pub error: Option<(String, String)>,
    /// When it came about.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// How its deliveries stand.
    pub deliveries: Vec<ExecutionDelivery>,
}

/// The executions of one tenant's schedules.
pub struct ScheduleExecutions<'a>(&'a TenantStore);

impl TenantStore {
    /// What came of schedules.
    pub fn schedule_executions(&self) -> ScheduleExecutions<'_> {
        ScheduleExecutions(self)
    }
}

const COLUMNS: &str = "e.execution_id, e.schedule_id, e.fire_time, e.nominal_at, e.business_day_index, e.status, e.trigger, e.actor,
    e.missed_runs, e.test_recipients IS NOT NULL AS is_test, e.parameters::text AS parameters, e.resolved_parameters::text AS resolved_parameters,
    e.as_of, e.skip_reason, e.total, e.filtered, e.truncated, e.succeeded, e.failed, e.render_duration_ms, e.error_code, e.error_message,
    e.claimed_by, e.claimed_at, e.created_at, e.updated_at, e.ended_at,
    (SELECT d.document_id FROM documents d WHERE d.job_id = e.job_id ORDER BY d.item_index LIMIT 1) AS document_id,
    (SELECT json_agg(json_build_array(d.delivery_id, d.item_index, d.target_index, d.target_type, d.target, d.status, d.attempts_total,
                                      d.last_code, d.last_error, d.resolved, d.next_run_at, d.ended_at))::text
     FROM (SELECT * FROM schedule_deliveries d WHERE d.execution_id = e.execution_id ORDER BY item_index, target_index LIMIT 100) d) AS deliveries";

impl ScheduleExecutions<'_> {
    /// Has a schedule executed at once, as it is now, whether it is switched on or not; none where there is no such schedule.
    pub async fn insert(&self, schedule: ScheduleId, new: &NewExecution, actor: &Actor) -> Result<Option<ExecutionRecord>, StoreError> {
        speak!(self.0.store, "schedule_executions.insert", {
            let id = ScheduleExecutionId::generate();
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let made = sqlx::query(
                "INSERT INTO schedule_executions (execution_id, tenant_id, schedule_id, schedule_revision, template_key, fire_time, trigger,
                                                  actor, snapshot, snapshot_secrets, parameters, as_of, ignore_delivery_condition,
                                                  test_recipients, created_at, updated_at)
                 SELECT $3, tenant_id, schedule_id, revision, template_key, $4, 'manual', $5, schedule_snapshot(s), secrets, $6::text::json, $7, $8,
                        $9, $4, $4
                 FROM schedules s WHERE tenant_id = $1 AND schedule_id = $2",
            )
            .bind(self.0.tenant.as_str())
            .bind(schedule.as_uuid())
            .bind(id.as_uuid())
            .bind(self.0.store.now())
            .bind(&*actor.name)
            .bind(new.parameters.as_ref().map(ToString::to_string))
            .bind(new.as_of.map(jiff_sqlx::ToSqlx::to_sqlx))
            .bind(new.ignores_condition)
            .bind((!new.test_recipients.is_empty()).then_some(&new.test_recipients))
            .execute(&mut *write)
            .await?;
            if made.rows_affected() == 0 {
                return Ok(None);
            }
            let record = self.row(&mut write, id).await?;
            write.announce("schedule", &id.to_string()).await?;
            let kind = if new.test_recipients.is_empty() { AuditKind::ScheduleTriggered } else { AuditKind::ScheduleTested };
            write.commit(AuditEvent::new(kind, schedule).with("executionId", id.to_string())).await?;
            Ok(record)
        })
        .await
    }

    async fn row(&self, connection: &mut sqlx::PgConnection, id: ScheduleExecutionId) -> Result<Option<ExecutionRecord>, StoreError> {
        let statement = format!("SELECT {COLUMNS} FROM schedule_executions e WHERE e.tenant_id = $1 AND e.execution_id = $2");
        let row: Option<ExecutionRow> =
            sqlx::query_as(AssertSqlSafe(statement)).bind(self.0.tenant.as_str()).bind(id.as_uuid()).fetch_optional(connection).await?;
        row.map(ExecutionRecord::try_from).transpose()
    }

    /// An execution of a schedule.
    pub async fn get(&self, schedule: ScheduleId, id: ScheduleExecutionId) -> Result<Option<ExecutionRecord>, StoreError> {
        speak!(self.0.store, "schedule_executions.get", {
            let mut connection = self.0.store.acquire().await?;
            Ok(self.row(&mut connection, id).await?.filter(|found| found.schedule == schedule))
        })
        .await
    }

    /// One page of the executions of a schedule, the newest first.
    pub async fn list(
        &self,
        schedule: ScheduleId,
        status: Option<ExecutionStatus>,
        limit: u32,
        offset: u64,
    ) -> Result<Page<ExecutionRecord>, StoreError> {
        read!(self.0.store, Some(&self.0.tenant), "schedule_executions.list", connection, {
            let (limit, offset) = bounds(limit, offset);
            let which = "e.tenant_id = $1 AND e.schedule_id = $2 AND ($3::text IS NULL OR e.status = $3)";
            let statement = format!(
                "SELECT {COLUMNS} FROM schedule_executions e WHERE {which} ORDER BY e.fire_time DESC, e.execution_id DESC LIMIT $4 OFFSET $5"
            );
            let rows: Vec<ExecutionRow> = sqlx::query_as(AssertSqlSafe(statement))
                .bind(self.0.tenant.as_str())
                .bind(schedule.as_uuid())
                .bind(status.map(ExecutionStatus::as_str))
                .bind(limit)
                .bind(offset)
                .fetch_all(&mut *connection)
                .await?;
            let total = if let Some(total) = Page::<ExecutionRow>::total_from_its_end(rows.len(), limit, offset) {
                total
            } else {
                let statement = format!("SELECT count(*) FROM schedule_executions e WHERE {which}");
                let count: i64 = sqlx::query_scalar(AssertSqlSafe(statement))
                    .bind(self.0.tenant.as_str())
                    .bind(schedule.as_uuid())
                    .bind(status.map(ExecutionStatus::as_str))
                    .fetch_one(&mut *connection)
                    .await?;
                u64::try_from(count).unwrap_or(0)
            };
            Ok(Page { items: rows.into_iter().map(ExecutionRecord::try_from).collect::<Result<_, _>>()?, total })
        })
        .await
    }

    /// One page of the executions of all schedules that failed since then, the latest first.
    pub async fn failures(&self, since: Timestamp, limit: u32, offset: u64) -> Result<Page<ExecutionRecord>, StoreError> {
        speak!(self.0.store, "schedule_executions.failures", {
            let (limit, offset) = bounds(limit, offset);
            let since = jiff_sqlx::ToSqlx::to_sqlx(since);
            let statement = format!(
                "SELECT {COLUMNS} FROM schedule_executions e WHERE e.tenant_id = $1 AND e.status = 'failed' AND e.ended_at >= $2
                 ORDER BY e.ended_at DESC, e.execution_id DESC LIMIT $3 OFFSET $4"
            );
            let mut connection = self.0.store.acquire().await?;
            let rows: Vec<ExecutionRow> = sqlx::query_as(AssertSqlSafe(statement))
                .bind(self.0.tenant.as_str())
                .bind(since)
                .bind(limit)
                .bind(offset)
                .fetch_all(&mut *connection)
                .await?;
            let total = if let Some(total) = Page::<ExecutionRow>::total_from_its_end(rows.len(), limit, offset) {
                total
            } else {
                let count: i64 = sqlx::query_scalar(
                    "SELECT count(*) FROM schedule_executions WHERE tenant_id = $1 AND status = 'failed' AND ended_at >= $2",
                )
                .bind(self.0.tenant.as_str())
                .bind(since)
                .fetch_one(&mut *connection)
                .await?;
                u64::try_from(count).unwrap_or(0)
            };
            Ok(Page { items: rows.into_iter().map(ExecutionRecord::try_from).collect::<Result<_, _>>()?, total })
        })
        .await
    }

    /// One page of the items of an execution, in their order.
    pub async fn items(
        &self,
        execution: ScheduleExecutionId,
        status: Option<ExecutionItemStatus>,
        limit: u32,
        offset: u64,
    ) -> Result<Page<ExecutionItemRecord>, StoreError> {
        speak!(self.0.store, "schedule_executions.items", {
            let (limit, offset) = bounds(limit, offset);
            let mut connection = self.0.store.acquire().await?;
            let rows: Vec<ItemRow> = sqlx::query_as(
                "SELECT i.item_index, i.status, i.key, i.recipients, i.render_duration_ms, i.error_code, i.error_message, i.created_at, i.updated_at,
                        (SELECT json_agg(json_build_array(d.delivery_id, d.item_index, d.target_index, d.target_type, d.target, d.status,
                                                          d.attempts_total, d.last_code, d.last_error, d.resolved, d.next_run_at, d.ended_at)
                                         ORDER BY d.target_index)::text
                         FROM schedule_deliveries d WHERE d.execution_id = i.execution_id AND d.item_index = i.item_index) AS deliveries
                 FROM schedule_execution_items i
                 WHERE i.tenant_id = $1 AND i.execution_id = $2 AND ($3::text IS NULL OR i.status = $3)
                 ORDER BY i.item_index LIMIT $4 OFFSET $5",
            )
            .bind(self.0.tenant.as_str())
            .bind(execution.as_uuid())
            .bind(status.map(ExecutionItemStatus::as_str))
            .bind(limit)
            .bind(offset)
            .fetch_all(&mut *connection)
            .await?;
            let total = if let Some(total) = Page::<ItemRow>::total_from_its_end(rows.len(), limit, offset) {
                total
            } else {
                let count: i64 = sqlx::query_scalar(
                    "SELECT count(*) FROM schedule_execution_items
                     WHERE tenant_id = $1 AND execution_id = $2 AND ($3::text IS NULL OR status = $3)",
                )
                .bind(self.0.tenant.as_str())
                .bind(execution.as_uuid())
                .bind(status.map(ExecutionItemStatus::as_str))
                .fetch_one(&mut *connection)
                .await?;
                u64::try_from(count).unwrap_or(0)
            };
            Ok(Page { items: rows.into_iter().map(ExecutionItemRecord::try_from).collect::<Result<_, _>>()?, total })
        })
        .await
    }
}

#[derive(FromRow)]
struct ExecutionRow {
    execution_id: Uuid,
    schedule_id: Uuid,
    fire_time: jiff_sqlx::Timestamp,
    nominal_at: Option<jiff_sqlx::Timestamp>,
    business_day_index: Option<i32>,
    status: String,
    trigger: String,
    actor: Option<String>,
    missed_runs: i32,
    is_test: bool,
    parameters: Option<String>,
    resolved_parameters: Option<String>,
    as_of: Option<jiff_sqlx::Timestamp>,
    skip_reason: Option<String>,
    total: Option<i32>,
    filtered: Option<i32>,
    truncated: Option<i32>,
    succeeded: i32,
    failed: i32,
    render_duration_ms: Option<i64>,
    error_code: Option<String>,
    error_message: Option<String>,
    claimed_by: Option<String>,
    claimed_at: Option<jiff_sqlx::Timestamp>,
    created_at: jiff_sqlx::Timestamp,
    updated_at: jiff_sqlx::Timestamp,
    ended_at: Option<jiff_sqlx::Timestamp>,
    document_id: Option<Uuid>,
    deliveries: Option<String>,
}

fn count(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

fn json(text: Option<String>) -> Option<Value> {
    text.and_then(|text| serde_json::from_str(&text).ok())
}

impl TryFrom<ExecutionRow> for ExecutionRecord {
    type Error = StoreError;

    fn try_from(row: ExecutionRow) -> Result<Self, StoreError> {
        let wrong = |error| StoreError::inconsistent("schedule_executions", error);
        let counts = row.total.map(|total| [total, row.filtered.unwrap_or(0), row.truncated.unwrap_or(0)].map(count));
        Ok(Self {
            id: row.execution_id.into(),
            schedule: row.schedule_id.into(),
            fire_time: row.fire_time.to_jiff(),
            nominal_at: row.nominal_at.map(jiff_sqlx::Timestamp::to_jiff),
            business_day_index: row.business_day_index,
            status: row.status.parse().map_err(wrong)?,
            trigger: row.trigger.parse().map_err(wrong)?,
            actor: row.actor,
            missed_runs: count(row.missed_runs),
            is_test: row.is_test,
            parameters: json(row.parameters),
            resolved_parameters: json(row.resolved_parameters),
            as_of: row.as_of.map(jiff_sqlx::Timestamp::to_jiff),
            skip_reason: row.skip_reason,
            counts,
            succeeded: count(row.succeeded),
            failed: count(row.failed),
            render_duration_ms: row.render_duration_ms.and_then(|took| u64::try_from(took).ok()),
            document: row.document_id,
            error: row.error_code.map(|code| (code, row.error_message.unwrap_or_default())),
            claimed: row.claimed_by.zip(row.claimed_at.map(jiff_sqlx::Timestamp::to_jiff)),
            created_at: row.created_at.to_jiff(),
            updated_at: row.updated_at.to_jiff(),
            ended_at: row.ended_at.map(jiff_sqlx::Timestamp::to_jiff),
            deliveries: deliveries(row.deliveries)?,
        })
    }
}

#[derive(FromRow)]
struct ItemRow {
    item_index: i32,
    status: String,
    key: Option<String>,
    recipients: Vec<String>,
    render_duration_ms: Option<i64>,
    error_code: Option<String>,
    error_message: Option<String>,
    created_at: jiff_sqlx::Timestamp,
    updated_at: jiff_sqlx::Timestamp,
    deliveries: Option<String>,
}

impl TryFrom<ItemRow> for ExecutionItemRecord {
    type Error = StoreError;

    fn try_from(row: ItemRow) -> Result<Self, StoreError> {
        Ok(Self {
            index: count(row.item_index),
            status: row.status.parse().map_err(|error| StoreError::inconsistent("schedule_execution_items", error))?,
            key: row.key,
            recipients: row.recipients,
            render_duration_ms: row.render_duration_ms.and_then(|took| u64::try_from(took).ok()),
            error: row.error_code.map(|code| (code, row.error_message.unwrap_or_default())),
            created_at: row.created_at.to_jiff(),
            updated_at: row.updated_at.to_jiff(),
            deliveries: deliveries(row.deliveries)?,
        })
    }
}

type DeliveryArray = (Uuid, u32, u32, String, String, String, u32, Option<String>, Option<String>, bool, Timestamp, Option<Timestamp>);

fn deliveries(text: Option<String>) -> Result<Vec<ExecutionDelivery>, StoreError> {
    let Some(text) = text else { return Ok(Vec::new()) };
    let wrong = |error: String| StoreError::inconsistent("schedule_deliveries", error);
    let rows: Vec<DeliveryArray> = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let read = rows.into_iter().map(
        |(id, item_index, target_index, target_type, target, status, attempts, code, error, resolved, next, ended)| {
            Ok(ExecutionDelivery {
                id: id.into(),
                item_index,
                target_index,
                target_type,
                target,
                status: status.parse().map_err(|_| wrong(status.clone()))?,
                attempts,
                error: code.map(|code| (code, error.unwrap_or_default())),
                resolved,
                next_run_at: next,
                ended_at: ended,
            })
        },
    );
    read.collect()
}
