//! Executions of all tenants' schedules that are due: who is next, how their documents come into the queue of jobs, and what follows
//! when those have ended. Nobody's change is behind that, so it goes past `write`; what people see and do is in `schedule_executions`.
//!
//! Whoever changes several takes the execution's row before its job's, and that before the deliveries'.

use std::time::Duration;

use domain::ids::{JobId, LeaseToken, ScheduleExecutionId, ScheduleId};
use domain::jobs::JobStatus;
use domain::schedule_executions::TRIED_FOR;
use domain::{Actor, ErrorCode, TenantId};
use jiff::Timestamp;
use serde_json::{Map, Value};
use sqlx::{AssertSqlSafe, Connection as _, FromRow, PgConnection};
use uuid::Uuid;

use crate::changes::announce;
use crate::connect::{Store, speak};
use crate::error::StoreError;
use crate::jobs::{NewJob, insert_items};

/// A message is cut to this (a CHECK of the table).
const MESSAGE_CHARS: usize = 4_000;

/// An execution that this process is to begin.
#[derive(Clone, Debug)]
pub struct ClaimedExecution {
    /// The right to it.
    pub lease: ExecutionLease,
    /// Whose it is.
    pub tenant: TenantId,
    /// Of which schedule.
    pub schedule: ScheduleId,
    /// Whether that schedule is still there.
    pub has_schedule: bool,
    /// When it was due.
    pub fire_time: Timestamp,
    /// The moment that it is about, where somebody said one.
    pub as_of: Option<Timestamp>,
    /// What somebody asked for with it, as a JSON object.
    pub parameters: Option<Value>,
    /// Whether it delivers whatever the schedule's condition says.
    pub ignores_condition: bool,
    /// It goes to these addresses and nowhere else; empty where it is no test.
    pub test_recipients: Vec<String>,
    /// The schedule as it was.
    pub snapshot: Value,
    /// Its secrets, by JSON Pointer into the definition.
    pub secrets: Map<String, Value>,
    /// From 1: how often it was begun.
    pub attempt: u32,
}

/// The right to begin an execution, as long as its token is the one in the row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExecutionLease {
    /// Which.
    pub id: ScheduleExecutionId,
    token: LeaseToken,
}

/// What an execution makes.
#[derive(Clone, Debug)]
pub struct ExecutionWork {
    /// Its documents: of each item as many as the others have, one item after the other.
    pub job: NewJob,
    /// Its items, 1 or more.
    pub items: Vec<NewExecutionItem>,
    /// What came of the dates in its parameters, as a JSON object.
    pub resolved_parameters: Option<Value>,
    /// Elements of the list, those that a condition left out, and those that were too many.
    pub counts: [u32; 3],
}

/// One item of an execution.
#[derive(Clone, Debug)]
pub struct NewExecutionItem {
    /// What it calls itself, up to 255 characters.
    pub key: Option<String>,
    /// Who gets it by e-mail.
    pub recipients: Vec<String>,
    /// A [`domain::schedule_plans::DeliveryPlan`] as JSON text.
    pub plan: String,
}

/// How putting the documents into the queue ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum WorkOutcome {
    /// They are there.
    Queued,
    /// The tenant has too much in the queue.
    TooManyOpen,
    /// The execution is somebody else's by now, or was called off.
    Lost,
}

/// How an execution ends that has no documents.
#[derive(Clone, Debug)]
pub enum ExecutionEnd {
    /// There was nothing to deliver: why, at most 500 characters.
    Skipped(String),
    /// It cannot be carried out.
    Failed {
        /// Why.
        code: ErrorCode,
        /// In words.
        message: String,
    },
    /// Its schedule is gone.
    Cancelled,
}

/// The executions of all tenants.
pub struct ScheduleQueue<'a>(&'a Store);

impl Store {
    /// What is due of schedules.
    pub fn schedule_queue(&self) -> ScheduleQueue<'_> {
        ScheduleQueue(self)
    }
}

#[derive(FromRow)]
struct ClaimedRow {
    execution_id: Uuid,
    tenant_id: String,
    schedule_id: Uuid,
    has_schedule: bool,
    fire_time: jiff_sqlx::Timestamp,
    as_of: Option<jiff_sqlx::Timestamp>,
    parameters: Option<String>,
    ignore_delivery_condition: bool,
    test_recipients: Option<Vec<String>>,
    snapshot: Option<String>,
    snapshot_secrets: Option<String>,
    attempt: i32,
}

/// Tenants first, found by leaps through the index; of each of them what has waited longest.
const CLAIM: &str = "
WITH RECURSIVE owners AS (
    (SELECT tenant_id FROM schedule_executions WHERE status IN ('pending', 'rendering') ORDER BY tenant_id LIMIT 1)
    UNION ALL
    SELECT (SELECT e.tenant_id FROM schedule_executions e
            WHERE e.status IN ('pending', 'rendering') AND e.tenant_id > h.tenant_id ORDER BY e.tenant_id LIMIT 1)
    FROM owners h WHERE h.tenant_id IS NOT NULL),
candidates AS (
    SELECT c.execution_id, c.next_run_at, row_number() OVER (PARTITION BY h.tenant_id ORDER BY c.next_run_at) AS turn
    FROM owners h JOIN tenants t ON t.tenant_id = h.tenant_id AND t.status = 'active' CROSS JOIN LATERAL (
        SELECT e.execution_id, e.next_run_at FROM schedule_executions e
        WHERE e.tenant_id = h.tenant_id AND e.status IN ('pending', 'rendering') AND e.status = 'pending' AND e.next_run_at <= now()
          AND (e.lease_until IS NULL OR e.lease_until < now())
        ORDER BY e.next_run_at LIMIT $1) c),
chosen AS (SELECT execution_id FROM candidates ORDER BY turn, next_run_at LIMIT $1),
free AS (
    SELECT e.execution_id FROM schedule_executions e JOIN chosen USING (execution_id)
    WHERE e.status = 'pending' AND e.next_run_at <= now() AND (e.lease_until IS NULL OR e.lease_until < now())
    FOR UPDATE OF e SKIP LOCKED)
UPDATE schedule_executions e
SET lease_owner = $2, lease_token = $3, lease_until = now() + make_interval(secs => $4), attempt = e.attempt + 1, claimed_by = $2,
    claimed_at = now(), updated_at = now()
FROM free WHERE e.execution_id = free.execution_id
RETURNING e.execution_id, e.tenant_id, e.schedule_id, e.fire_time, e.as_of, e.parameters::text, e.ignore_delivery_condition,
          e.test_recipients, e.snapshot::text, e.snapshot_secrets::text, e.attempt,
          EXISTS (SELECT FROM schedules s WHERE s.schedule_id = e.schedule_id) AS has_schedule";

impl ScheduleQueue<'_> {
    /// Takes up to `most` executions that are due and that nobody has, tenants in turn. `lease_for` has to be longer than beginning one
    /// can last: it is not renewed.
    pub async fn claim(&self, most: u32, lease_for: Duration) -> Result<Vec<ClaimedExecution>, StoreError> {
        speak!(self.0, "schedule_queue.claim", {
            let token = LeaseToken::generate();
            let mut connection = self.0.acquire().await?;
            let rows: Vec<ClaimedRow> = sqlx::query_as(CLAIM)
                .bind(i64::from(most))
                .bind(self.0.instance_id())
                .bind(token.as_uuid())
                .bind(lease_for.as_secs_f64())
                .fetch_all(&mut *connection)
                .await?;
            let json = |text: Option<String>| text.and_then(|text| serde_json::from_str::<Value>(&text).ok());
            let claimed = rows.into_iter().map(|row| {
                Ok(ClaimedExecution {
                    lease: ExecutionLease { id: row.execution_id.into(), token },
                    tenant: row.tenant_id.parse().map_err(|error| StoreError::inconsistent("schedule_executions", error))?,
                    schedule: row.schedule_id.into(),
                    has_schedule: row.has_schedule,
                    fire_time: row.fire_time.to_jiff(),
                    as_of: row.as_of.map(jiff_sqlx::Timestamp::to_jiff),
                    parameters: json(row.parameters),
                    ignores_condition: row.ignore_delivery_condition,
                    test_recipients: row.test_recipients.unwrap_or_default(),
                    snapshot: json(row.snapshot).unwrap_or_default(),
                    secrets: match json(row.snapshot_secrets) {
                        Some(Value::Object(secrets)) => secrets,
                        _ => Map::new(),
                    },
                    attempt: u32::try_from(row.attempt).unwrap_or(1),
                })
            });
            claimed.collect()
        })
        .await
    }

    /// Puts the documents of an execution into the queue of jobs, unless the tenant has `most_open` items there without them. An
    /// execution gets one job, whatever dies when.
    pub async fn queue(&self, execution: &ClaimedExecution, work: &ExecutionWork, most_open: u32) -> Result<WorkOutcome, StoreError> {
        speak!(self.0, "schedule_queue.queue", {
            let tenant = execution.tenant.as_str();
            let mut connection = self.0.acquire().await?;
            let mut transaction = connection.begin().await?;
            let [total, filtered, truncated] = work.counts.map(|count| i32::try_from(count).unwrap_or(i32::MAX));
            let held = sqlx::query(
                "UPDATE schedule_executions
                 SET status = 'rendering', job_id = $3, resolved_parameters = $4::text::json, total = $5, filtered = $6, truncated = $7,
                     lease_owner = NULL, lease_token = NULL, lease_until = NULL, error_code = NULL, error_message = NULL, updated_at = now()
                 WHERE execution_id = $1 AND lease_token = $2 AND status = 'pending'",
            )
            .bind(execution.lease.id.as_uuid())
            .bind(execution.lease.token.as_uuid())
            .bind(work.job.id.as_uuid())
            .bind(work.resolved_parameters.as_ref().map(ToString::to_string))
            .bind(total)
            .bind(filtered)
            .bind(truncated)
            .execute(&mut *transaction)
            .await?;
            if held.rows_affected() == 0 {
                return Ok(WorkOutcome::Lost);
            }
            let open: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM (SELECT FROM job_items WHERE tenant_id = $1 AND status = 'pending' LIMIT $2) AS open",
            )
            .bind(tenant)
            .bind(i64::from(most_open))
            .fetch_one(&mut *transaction)
            .await?;
            let documents = i64::try_from(work.job.items.len()).unwrap_or(i64::MAX);
            if open > 0 && open.saturating_add(documents) > i64::from(most_open) {
                return Ok(WorkOutcome::TooManyOpen);
            }
            insert_job(&mut transaction, self.0, &execution.tenant, &work.job).await?;
            let column = |text: fn(&NewExecutionItem) -> Option<&str>| work.items.iter().map(text).collect::<Vec<_>>();
            let recipients: Vec<String> = work.items.iter().map(|item| Value::from(item.recipients.clone()).to_string()).collect();
            sqlx::query(
                "INSERT INTO schedule_execution_items (execution_id, item_index, tenant_id, key, plan, recipients, created_at, updated_at)
                 SELECT $1, item.place - 1, $2, left(item.key, 255), item.plan::json,
                        ARRAY(SELECT json_array_elements_text(item.recipients::json) LIMIT 150), $6, $6
                 FROM unnest($3::text[], $4::text[], $5::text[]) WITH ORDINALITY AS item(key, plan, recipients, place)",
            )
            .bind(execution.lease.id.as_uuid())
            .bind(tenant)
            .bind(column(|item| item.key.as_deref()))
            .bind(column(|item| Some(&item.plan)))
            .bind(recipients)
            .bind(self.0.now())
            .execute(&mut *transaction)
            .await?;
            announce(&mut transaction, &execution.tenant, "job", &work.job.id.to_string()).await?;
            transaction.commit().await?;
            Ok(WorkOutcome::Queued)
        })
        .await
    }

    /// Ends an execution that has no documents; false when it is somebody else's by now.
    pub async fn end(&self, lease: &ExecutionLease, end: &ExecutionEnd, resolved: Option<&Value>) -> Result<bool, StoreError> {
        speak!(self.0, "schedule_queue.end", {
            let (status, reason, code, message) = match end {
                ExecutionEnd::Skipped(reason) => ("skipped", Some(reason.as_str()), None, None),
                ExecutionEnd::Failed { code, message } => ("failed", None, Some(code.as_str()), Some(cut(message))),
                ExecutionEnd::Cancelled => ("cancelled", None, None, None),
            };
            let mut connection = self.0.acquire().await?;
            let done = sqlx::query(
                "UPDATE schedule_executions
                 SET status = $3, skip_reason = left($4, 500), error_code = COALESCE($5, CASE WHEN $3 = 'failed' THEN error_code END),
                     error_message = COALESCE($6, CASE WHEN $3 = 'failed' THEN error_message END), ended_at = now(), updated_at = now(),
                     resolved_parameters = COALESCE($7::text::json, resolved_parameters), snapshot = NULL, snapshot_secrets = NULL,
                     lease_owner = NULL, lease_token = NULL, lease_until = NULL
                 WHERE execution_id = $1 AND lease_token = $2 AND status = 'pending'",
            )
            .bind(lease.id.as_uuid())
            .bind(lease.token.as_uuid())
            .bind(status)
            .bind(reason)
            .bind(code)
            .bind(message)
            .bind(resolved.map(ToString::to_string))
            .execute(&mut *connection)
            .await?;
            Ok(done.rows_affected() == 1)
        })
        .await
    }

    /// Lets go of an execution that could not be begun; it is due again after `next_in`. What was met, where an attempt is counted,
    /// stands in its history meanwhile. False when it is somebody else's by now.
    pub async fn give_back(&self, lease: &ExecutionLease, met: Option<(ErrorCode, &str)>, next_in: Duration) -> Result<bool, StoreError> {
        speak!(self.0, "schedule_queue.give_back", {
            let mut connection = self.0.acquire().await?;
            let done = sqlx::query(
                "UPDATE schedule_executions
                 SET lease_owner = NULL, lease_token = NULL, lease_until = NULL, next_run_at = now() + make_interval(secs => $5),
                     attempt = CASE WHEN $3::text IS NULL THEN GREATEST(attempt - 1, 0) ELSE attempt END,
                     error_code = COALESCE($3, error_code), error_message = COALESCE($4, error_message), updated_at = now()
                 WHERE execution_id = $1 AND lease_token = $2 AND status = 'pending'",
            )
            .bind(lease.id.as_uuid())
            .bind(lease.token.as_uuid())
            .bind(met.map(|(code, _)| code.as_str()))
            .bind(met.map(|(_, message)| cut(message)))
            .bind(next_in.as_secs_f64())
            .execute(&mut *connection)
            .await?;
            Ok(done.rows_affected() == 1)
        })
        .await
    }

    /// How many executions wait to be begun, and for how long the one that has been due longest has waited: what an operator watches.
    pub async fn backlog(&self) -> Result<(u64, Duration), StoreError> {
        speak!(self.0, "schedule_queue.backlog", {
            let mut connection = self.0.acquire().await?;
            let (open, late_s): (i64, f64) = sqlx::query_as(
                "SELECT count(*), COALESCE(extract(epoch FROM now() - min(next_run_at)), 0)::float8
                 FROM schedule_executions WHERE status IN ('pending', 'rendering') AND status = 'pending'",
            )
            .fetch_one(&mut *connection)
            .await?;
            Ok((u64::try_from(open).unwrap_or(0), Duration::try_from_secs_f64(late_s).unwrap_or_default()))
        })
        .await
    }

    /// Forgets up to `max_rows` executions that ended before, with their items and deliveries; says how many.
    pub async fn forget_ended(&self, before: Timestamp, max_rows: u32) -> Result<u64, StoreError> {
        speak!(self.0, "schedule_queue.forget", {
            let mut connection = self.0.acquire().await?;
            let gone = sqlx::query(
                "DELETE FROM schedule_executions WHERE execution_id IN (
                     SELECT execution_id FROM schedule_executions WHERE ended_at < $1 ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
            )
            .bind(jiff_sqlx::ToSqlx::to_sqlx(before))
            .bind(i64::from(max_rows));
            Ok(gone.execute(&mut *connection).await?.rows_affected())
        })
        .await
    }
}

fn cut(message: &str) -> String {
    message.replace('\0', "\u{FFFD}").chars().take(MESSAGE_CHARS).collect()
}

async fn insert_job(connection: &mut PgConnection, store: &Store, tenant: &TenantId, job: &NewJob) -> Result<(), StoreError> {
    let mut templates: Vec<&str> = job.items.iter().map(|item| item.template.as_str()).collect();
    templates.sort_unstable();
    templates.dedup();
    sqlx::query(
        "INSERT INTO jobs (job_id, tenant_id, kind, format, total, correlation_id, templates, inline, actor, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, false, $8, $9, $9 + make_interval(secs => $10))",
    )
    .bind(job.id.as_uuid())
    .bind(tenant.as_str())
    .bind(job.kind.as_str())
    .bind(job.format)
    .bind(i32::try_from(job.items.len()).unwrap_or(i32::MAX))
    .bind(job.correlation_id.as_deref())
    .bind(templates)
    .bind(&*Actor::system("schedules").name)
    .bind(store.now())
    .bind(job.retention.as_secs_f64())
    .execute(&mut *connection)
    .await?;
    insert_items(connection, tenant, job).await
}

/// What follows from the end of an execution's documents, in the transaction of that end: how its items stand, and what is to be
/// delivered of those that are there. Without a delivery the execution ends here too.
pub(crate) async fn follow_job(connection: &mut PgConnection, store: &Store, job: JobId, status: JobStatus) -> Result<(), StoreError> {
    let found: Option<(Uuid, String)> = sqlx::query_as(
        "SELECT execution_id, tenant_id FROM schedule_executions WHERE job_id = $1 AND status = 'rendering' FOR NO KEY UPDATE",
    )
    .bind(job.as_uuid())
    .fetch_optional(&mut *connection)
    .await?;
    let Some((execution, tenant)) = found else { return Ok(()) };
    if status == JobStatus::Cancelled {
        return Ok(());
    }
    let tenant: TenantId = tenant.parse().map_err(|error| StoreError::inconsistent("schedule_executions", error))?;
    // Every item has as many documents as the others.
    sqlx::query(
        "WITH items AS (SELECT count(*) AS number FROM schedule_execution_items WHERE execution_id = $1),
              ends AS (
                  SELECT j.item_index / GREATEST(job.total / GREATEST(items.number, 1), 1) AS item_index,
                         bool_and(j.status = 'succeeded') AS good,
                         (array_agg(j.error_code ORDER BY j.item_index) FILTER (WHERE j.error_code IS NOT NULL))[1] AS code,
                         (array_agg(j.error_message ORDER BY j.item_index) FILTER (WHERE j.error_code IS NOT NULL))[1] AS message,
                         (array_agg(j.document_id ORDER BY j.item_index) FILTER (WHERE j.document_id IS NOT NULL))[1] AS document_id,
                         CASE WHEN max(items.number) = 1 THEN max(extract(epoch FROM j.ended_at - job.started_at)) * 1000 END AS took_ms
                  FROM job_items j JOIN jobs job USING (job_id), items WHERE j.job_id = $2 GROUP BY 1)
         UPDATE schedule_execution_items i
         SET status = CASE WHEN ends.good THEN 'succeeded' ELSE 'failed' END, document_id = ends.document_id, updated_at = $3,
             error_code = CASE WHEN NOT ends.good THEN COALESCE(ends.code, 'internal_error') END, error_message = ends.message,
             render_duration_ms = GREATEST(ends.took_ms, 0)::bigint, plan = CASE WHEN ends.good THEN i.plan END
         FROM ends WHERE i.execution_id = $1 AND i.item_index = ends.item_index",
    )
    .bind(execution)
    .bind(job.as_uuid())
    .bind(store.now())
    .execute(&mut *connection)
    .await?;
    let made = sqlx::query(
        "INSERT INTO schedule_deliveries (delivery_id, tenant_id, execution_id, schedule_id, item_index, target_index, target_type, target,
                                          give_up_at, created_at)
         SELECT gen_random_uuid(), i.tenant_id, i.execution_id, e.schedule_id, i.item_index, t.place - 1, t.target ->> 'type',
                left(t.target ->> 'place', 300), now() + make_interval(secs => $2), $3
         FROM schedule_executions e JOIN schedule_execution_items i USING (execution_id)
         CROSS JOIN LATERAL json_array_elements(i.plan -> 'targets') WITH ORDINALITY AS t(target, place)
         WHERE e.execution_id = $1 AND i.status = 'succeeded'",
    )
    .bind(execution)
    .bind(TRIED_FOR.as_secs_f64())
    .bind(store.now())
    .execute(&mut *connection)
    .await?
    .rows_affected();
    sqlx::query(
        "WITH sums AS (
             SELECT count(*) FILTER (WHERE status = 'succeeded') AS good, count(*) FILTER (WHERE status = 'failed') AS bad,
                    (SELECT extract(epoch FROM completed_at - started_at) * 1000 FROM jobs WHERE job_id = $3) AS took_ms,
                    (array_agg(error_code ORDER BY item_index) FILTER (WHERE status = 'failed'))[1] AS code,
                    (array_agg(error_message ORDER BY item_index) FILTER (WHERE status = 'failed'))[1] AS message
             FROM schedule_execution_items WHERE execution_id = $1)
         UPDATE schedule_executions e
         SET succeeded = sums.good, failed = sums.bad, render_duration_ms = GREATEST(sums.took_ms, 0)::bigint, updated_at = now(),
             status = CASE WHEN sums.good = 0 THEN 'failed' WHEN $2 THEN 'delivering' ELSE 'completed' END,
             ended_at = CASE WHEN sums.good = 0 OR NOT $2 THEN now() END,
             error_code = sums.code, error_message = sums.message, snapshot = CASE WHEN $2 THEN e.snapshot END,
             snapshot_secrets = CASE WHEN $2 THEN e.snapshot_secrets END
         FROM sums WHERE e.execution_id = $1",
    )
    .bind(execution)
    .bind(made > 0)
    .bind(job.as_uuid())
    .execute(&mut *connection)
    .await?;
    if made > 0 {
        announce(connection, &tenant, "schedule_delivery", &execution.to_string()).await?;
    }
    Ok(())
}

/// Gives the other documents of an execution up when so many failed one after the other as its schedule says; says how many that were.
/// The job's row is locked.
pub(crate) async fn abort_burst(connection: &mut PgConnection, store: &Store, job: JobId) -> Result<u64, StoreError> {
    let bound: Option<i64> = sqlx::query_scalar(
        "SELECT (snapshot -> 'definition' -> 'burst' ->> 'abortAfterConsecutiveFailures')::bigint
         FROM schedule_executions WHERE job_id = $1 AND status = 'rendering'",
    )
    .bind(job.as_uuid())
    .fetch_optional(&mut *connection)
    .await?
    .flatten();
    let Some(bound) = bound.filter(|bound| *bound > 0) else { return Ok(0) };
    let last: Vec<String> = sqlx::query_scalar(
        "SELECT status FROM job_items WHERE job_id = $1 AND status <> 'pending' ORDER BY ended_at DESC, item_index DESC LIMIT $2",
    )
    .bind(job.as_uuid())
    .bind(bound)
    .fetch_all(&mut *connection)
    .await?;
    if i64::try_from(last.len()).unwrap_or(i64::MAX) < bound || last.iter().any(|status| status != "failed") {
        return Ok(0);
    }
    let given_up = sqlx::query(
        "UPDATE job_items SET status = 'failed', ended_at = $2, request = NULL, lease_owner = NULL, lease_token = NULL, lease_until = NULL,
                error_code = 'burst_aborted', error_message = $3
         WHERE job_id = $1 AND status = 'pending'",
    )
    .bind(job.as_uuid())
    .bind(store.now())
    .bind(format!("{bound} documents failed one after the other; the others were not made"))
    .execute(&mut *connection)
    .await?
    .rows_affected();
    sqlx::query("UPDATE jobs SET failed = failed + $2 WHERE job_id = $1")
        .bind(job.as_uuid())
        .bind(i32::try_from(given_up).unwrap_or(i32::MAX))
        .execute(&mut *connection)
        .await?;
    Ok(given_up)
}

/// Calls off what is under way of a schedule that goes: what was not begun, what waits for its documents, and what was not
/// delivered. Call it in the transaction that deletes the schedule, before the row goes.
pub(crate) async fn cancel_open(
    connection: &mut PgConnection,
    store: &Store,
    tenant: &TenantId,
    schedule: ScheduleId,
) -> Result<u64, StoreError> {
    let ended = "status = 'cancelled', ended_at = now(), updated_at = now(), snapshot = NULL, snapshot_secrets = NULL, lease_owner = NULL,
                 lease_token = NULL, lease_until = NULL, error_code = 'schedule_gone', error_message = 'the schedule was deleted'";
    let statement = format!("UPDATE schedule_executions SET {ended} WHERE tenant_id = $1 AND schedule_id = $2 AND status = 'pending'");
    let not_begun = sqlx::query(AssertSqlSafe(statement)).bind(tenant.as_str()).bind(schedule.as_uuid());
    let not_begun = not_begun.execute(&mut *connection).await?.rows_affected();
    // Jobs before executions, as whoever ends a job takes them.
    let jobs: Vec<Uuid> = sqlx::query_scalar(
        "SELECT job_id FROM schedule_executions WHERE tenant_id = $1 AND schedule_id = $2 AND status = 'rendering' ORDER BY job_id",
    )
    .bind(tenant.as_str())
    .bind(schedule.as_uuid())
    .fetch_all(&mut *connection)
    .await?;
    // Its items end here; whoever is at one loses its lease.
    sqlx::query(
        "WITH ended AS (
             UPDATE jobs SET status = 'cancelled', cancel_requested = true, completed_at = $2, definition = NULL
             WHERE job_id = ANY ($1) AND completed_at IS NULL RETURNING job_id)
         UPDATE job_items SET status = 'cancelled', ended_at = $2, request = NULL, lease_owner = NULL, lease_token = NULL, lease_until = NULL
         WHERE job_id IN (SELECT job_id FROM ended) AND status = 'pending'",
    )
    .bind(&jobs)
    .bind(store.now())
    .execute(&mut *connection)
    .await?;
    let statement = format!(
        "UPDATE schedule_executions SET {ended}
         WHERE tenant_id = $1 AND schedule_id = $2 AND status IN ('rendering', 'delivering') RETURNING execution_id"
    );
    let begun = sqlx::query_scalar(AssertSqlSafe(statement)).bind(tenant.as_str()).bind(schedule.as_uuid());
    let begun: Vec<Uuid> = begun.fetch_all(&mut *connection).await?;
    sqlx::query(
        "UPDATE schedule_deliveries
         SET status = 'failed', ended_at = $2, last_code = 'schedule_gone', last_error = 'the schedule was deleted', lease_owner = NULL,
             lease_token = NULL, lease_until = NULL
         WHERE execution_id = ANY ($1) AND status = 'pending'",
    )
    .bind(&begun)
    .bind(store.now())
    .execute(&mut *connection)
    .await?;
    for job in jobs {
        announce(connection, tenant, "job_ended", &job.to_string()).await?;
    }
    Ok(not_begun + begun.len() as u64)
}
