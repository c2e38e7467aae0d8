//! Ticks: what is due becomes executions, each once, whichever replicas look after it and whatever their clocks say.
//!
//! One transaction takes the schedules that are due and that nobody else is at, writes their executions, and says when they are due
//! again. A replica that dies in it has done nothing; one that comes late finds nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use domain::TenantId;
use domain::ids::ScheduleExecutionId;
use domain::schedule_times::{DueRuns, Fire};
use domain::schedules::ScheduleTiming;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use jiff_sqlx::ToSqlx as _;
use sqlx::{Connection as _, FromRow, PgConnection};
use uuid::Uuid;

use crate::changes::announce;
use crate::connect::{Store, speak};
use crate::error::StoreError;
use crate::schedules::{TimingRow, days, holidays};

/// After so long a schedule is looked at again that this server cannot reckon with.
const BEYOND_US: SignedDuration = SignedDuration::from_hours(1);

/// What one tick did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tick {
    /// Schedules that were due.
    pub schedules: u32,
    /// Executions that were made.
    pub executions: u32,
    /// Runs that were missed and that nobody makes up for.
    pub missed: u32,
    /// Schedules that this server cannot reckon with.
    pub invalid: u32,
    /// How late the one was that had been due longest.
    pub late_by: Duration,
    /// How long until the next one is due, where nothing was done; none when there is none.
    pub next_in: Option<Duration>,
}

/// The ticks of all tenants.
#[derive(Debug)]
pub struct ScheduleTicks<'a>(&'a Store);

impl Store {
    /// The ticks of all tenants' schedules.
    pub fn schedule_ticks(&self) -> ScheduleTicks<'_> {
        ScheduleTicks(self)
    }
}

impl ScheduleTicks<'_> {
    /// Has up to `most` schedules executed that are due, those first that have been due longest. Call it again at once when it found
    /// that many. Schedules of archived tenants go on without executions.
    pub async fn run(&self, most: u32) -> Result<Tick, StoreError> {
        speak!(self.0, "schedule_ticks.run", {
            let mut connection = self.0.acquire().await?;
            let mut transaction = connection.begin().await?;
            let due: Vec<DueRow> = sqlx::query_as(DUE).bind(i64::from(most)).fetch_all(&mut *transaction).await?;
            if due.is_empty() {
                let next_in = next_in(&mut transaction).await?;
                transaction.commit().await?;
                return Ok(Tick { next_in, ..Tick::default() });
            }
            let calendars = calendars(&mut transaction, &due).await?;
            let mut plan = Written::default();
            for row in due {
                plan.add(row, &calendars);
            }
            plan.tick.executions = plan.write(&mut transaction).await?;
            for tenant in &plan.tenants {
                let tenant: TenantId = tenant.parse().map_err(|error| StoreError::inconsistent("schedules", error))?;
                announce(&mut transaction, &tenant, "schedule", "tick").await?;
            }
            transaction.commit().await?;
            Ok(plan.tick)
        })
        .await
    }
}

/// What is due: the index has it in this order, and nothing else.
const DUE: &str = "
    SELECT s.schedule_id, s.tenant_id, s.run_count, s.next_run_at, now() AS now, t.status = 'active' AS active, s.cron_expression, s.timezone,
           s.calendar_id, s.holiday_rule, s.business_day_of_month, s.skip_dates, s.valid_from, s.valid_until, s.max_runs, s.misfire,
           s.misfire_limit
    FROM schedules s JOIN tenants t USING (tenant_id)
    WHERE s.next_run_at <= now() ORDER BY s.next_run_at LIMIT $1 FOR NO KEY UPDATE OF s SKIP LOCKED";

/// Whoever made the same execution before was first.
const EXECUTIONS: &str = "
    INSERT INTO schedule_executions (execution_id, tenant_id, schedule_id, schedule_revision, template_key, fire_time, nominal_at,
                                     business_day_index, missed_runs, trigger, status, snapshot, snapshot_secrets, skip_reason, error_code,
                                     error_message, created_at, updated_at, ended_at)
    SELECT run.execution_id, s.tenant_id, s.schedule_id, s.revision, s.template_key, run.fire_time, run.nominal_at, run.business_day,
           run.missed, 'cron', run.status, CASE WHEN run.status = 'pending' THEN schedule_snapshot(s) END,
           CASE WHEN run.status = 'pending' THEN s.secrets END, CASE WHEN run.status = 'skipped' THEN run.said END,
           CASE WHEN run.status = 'failed' THEN 'schedule_invalid' END, CASE WHEN run.status = 'failed' THEN run.said END, now(), now(),
           CASE WHEN run.status <> 'pending' THEN now() END
    FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::integer[], $6::integer[], $7::text[], $8::text[])
             AS run(execution_id, schedule_id, fire_time, nominal_at, business_day, missed, status, said)
         JOIN schedules s ON s.schedule_id = run.schedule_id
    ON CONFLICT (schedule_id, fire_time) WHERE trigger = 'cron' DO NOTHING";

const ADVANCE: &str = "
    UPDATE schedules s
    SET next_run_at = done.next_run_at, run_count = s.run_count + done.runs, last_fired_at = COALESCE(done.fired_at, s.last_fired_at)
    FROM unnest($1::uuid[], $2::timestamptz[], $3::integer[], $4::timestamptz[]) AS done(schedule_id, next_run_at, runs, fired_at)
    WHERE s.schedule_id = done.schedule_id";

type Calendars = BTreeMap<Uuid, Arc<BTreeSet<Date>>>;

async fn calendars(connection: &mut PgConnection, due: &[DueRow]) -> Result<Calendars, StoreError> {
    let ids: BTreeSet<Uuid> = due.iter().filter_map(|row| row.timing.calendar_id()).collect();
    if ids.is_empty() {
        return Ok(Calendars::new());
    }
    let ids: Vec<Uuid> = ids.into_iter().collect();
    let rows: Vec<(Uuid, String)> =
        sqlx::query_as("SELECT calendar_id, holidays::text FROM schedule_calendars WHERE calendar_id = ANY ($1)")
            .bind(ids)
            .fetch_all(connection)
            .await?;
    rows.into_iter().map(|(id, text)| Ok((id, Arc::new(days(&holidays(&text)?))))).collect()
}

async fn next_in(connection: &mut PgConnection) -> Result<Option<Duration>, StoreError> {
    let next: Option<f64> = sqlx::query_scalar(
        "SELECT extract(epoch FROM min(next_run_at) - clock_timestamp())::float8 FROM schedules WHERE next_run_at IS NOT NULL",
    )
    .fetch_one(connection)
    .await?;
    Ok(next.map(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)))
}

/// The rows of a tick.
#[derive(Default)]
struct Written {
    tick: Tick,
    tenants: BTreeSet<String>,
    executions: ExecutionRows,
    schedules: Vec<Uuid>,
    next: Vec<Option<jiff_sqlx::Timestamp>>,
    runs: Vec<i32>,
    fired_at: Vec<Option<jiff_sqlx::Timestamp>>,
}

#[derive(Default)]
struct ExecutionRows {
    ids: Vec<Uuid>,
    schedules: Vec<Uuid>,
    fire_times: Vec<jiff_sqlx::Timestamp>,
    nominal: Vec<Option<jiff_sqlx::Timestamp>>,
    business_days: Vec<Option<i32>>,
    missed: Vec<i32>,
    statuses: Vec<&'static str>,
    said: Vec<Option<String>>,
}

impl Written {
    fn add(&mut self, row: DueRow, calendars: &Calendars) {
        let (id, now, first) = (row.schedule_id, row.now.to_jiff(), row.next_run_at.to_jiff());
        let late_by = Duration::try_from(now.duration_since(first)).unwrap_or_default();
        self.tick.schedules += 1;
        self.tick.late_by = self.tick.late_by.max(late_by);
        let runs_before = u32::try_from(row.run_count).unwrap_or(0);
        let active = row.active;
        let due = match reckoned(row.timing, calendars, first, now, runs_before) {
            Ok(due) => due,
            Err(said) => {
                tracing::error!(schedule = %id, said, "a schedule cannot be reckoned with here; it is tried again in an hour");
                self.tick.invalid += 1;
                if active {
                    let fire = Fire { at: first, nominal_at: None, business_day: None };
                    self.executions.push(id, fire, 0, "failed", Some(said.chars().take(1_000).collect()));
                }
                self.advance(id, now.checked_add(BEYOND_US).ok(), 0, None);
                return;
            }
        };
        if !active {
            self.advance(id, due.next, 0, None);
            return;
        }
        self.tenants.insert(row.tenant_id);
        self.tick.missed += due.missed;
        if let (true, Some(missed)) = (due.runs.is_empty(), due.last_missed) {
            let said = format!(
                "{} passed while no server looked after schedules",
                if due.missed == 1 { "it".to_owned() } else { format!("it and {} before it", due.missed - 1) }
            );
            self.executions.push(id, missed, due.missed - 1, "skipped", Some(said));
        }
        for (place, fire) in due.runs.iter().enumerate() {
            self.executions.push(id, *fire, if place == 0 { due.missed } else { 0 }, "pending", None);
        }
        self.advance(id, due.next, due.runs.len(), due.runs.last().map(|fire| fire.at));
    }

    fn advance(&mut self, id: Uuid, next: Option<Timestamp>, runs: usize, fired_at: Option<Timestamp>) {
        self.schedules.push(id);
        self.next.push(next.map(Timestamp::to_sqlx));
        self.runs.push(i32::try_from(runs).unwrap_or(i32::MAX));
        self.fired_at.push(fired_at.map(Timestamp::to_sqlx));
    }

    async fn write(&self, connection: &mut PgConnection) -> Result<u32, StoreError> {
        let rows = &self.executions;
        let mut made = 0;
        if !rows.ids.is_empty() {
            made = sqlx::query(EXECUTIONS)
                .bind(&rows.ids)
                .bind(&rows.schedules)
                .bind(&rows.fire_times)
                .bind(&rows.nominal)
                .bind(&rows.business_days)
                .bind(&rows.missed)
                .bind(&rows.statuses)
                .bind(&rows.said)
                .execute(&mut *connection)
                .await?
                .rows_affected();
        }
        let advanced = sqlx::query(ADVANCE).bind(&self.schedules).bind(&self.next).bind(&self.runs).bind(&self.fired_at);
        advanced.execute(connection).await?;
        Ok(u32::try_from(made).unwrap_or(u32::MAX))
    }
}

impl ExecutionRows {
    fn push(&mut self, schedule: Uuid, fire: Fire, missed: u32, status: &'static str, said: Option<String>) {
        self.ids.push(ScheduleExecutionId::generate().as_uuid());
        self.schedules.push(schedule);
        self.fire_times.push(fire.at.to_sqlx());
        self.nominal.push(fire.nominal_at.map(Timestamp::to_sqlx));
        self.business_days.push(fire.business_day);
        self.missed.push(i32::try_from(missed).unwrap_or(i32::MAX));
        self.statuses.push(status);
        self.said.push(said);
    }
}

fn reckoned(row: TimingRow, calendars: &Calendars, first: Timestamp, now: Timestamp, runs_before: u32) -> Result<DueRuns, String> {
    let timing = ScheduleTiming::try_from(row).map_err(|error| error.to_string())?;
    let holidays = timing.calendar_id.and_then(|id| calendars.get(&id.as_uuid())).cloned().unwrap_or_default();
    let plan = timing.plan(holidays).map_err(|error| error.to_string())?;
    Ok(plan.due(first, now, timing.misfire, timing.max_runs.map(|most| most.saturating_sub(runs_before))))
}

#[derive(FromRow)]
struct DueRow {
    schedule_id: Uuid,
    tenant_id: String,
    run_count: i32,
    next_run_at: jiff_sqlx::Timestamp,
    now: jiff_sqlx::Timestamp,
    active: bool,
    #[sqlx(flatten)]
    timing: TimingRow,
}
