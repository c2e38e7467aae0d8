//! Schedules: what they say, and when they are due. Whatever reckons a time here does it by the database's clock, so that a replica
//! whose clock is wrong plans nothing wrong.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::audit::AuditKind;
use domain::calendars::{Holidays, holidays_from_json};
use domain::ids::{ScheduleCalendarId, ScheduleId};
use domain::labels::LabelName;
use domain::schedule_times::{Misfire, SchedulePlan};
use domain::schedules::{ScheduleInput, ScheduleTiming};
use domain::templates::TemplateVersion;
use domain::{Actor, AuditEvent};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff_sqlx::ToSqlx as _;
use serde_json::{Map, Value};
use sqlx::{Connection as _, FromRow, PgConnection};
use uuid::Uuid;

use crate::connect::{Store, speak};
use crate::error::StoreError;
use crate::schedule_queue::cancel_open;
use crate::tenants::TenantStore;
use crate::write::{Needs, Write};

/// Schedules that one tenant may have.
pub const SCHEDULES_LIMIT: u32 = 10_000;

/// A schedule without its secrets.
#[derive(Clone, PartialEq, Debug)]
pub struct ScheduleRecord {
    /// Names it.
    pub id: ScheduleId,
    /// What it says.
    pub input: ScheduleInput,
    /// Counts its changes, from 1.
    pub revision: u32,
    /// Runs by the clock so far.
    pub run_count: u32,
    /// When it is due; none when it is not again, or switched off.
    pub next_run_at: Option<Timestamp>,
    /// The last time by the clock that an execution was made for.
    pub last_fired_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// When somebody last changed it.
    pub updated_at: Timestamp,
}

/// A schedule to be kept.
#[derive(Clone, Copy, Debug)]
pub struct NewSchedule<'a> {
    /// Its id, where whoever makes it knows it before; a change of one says none.
    pub id: Option<ScheduleId>,
    /// What it says, without its secrets.
    pub input: &'a ScheduleInput,
    /// Those, as [`domain::schedule_secrets::take`] gives them.
    pub secrets: &'a Map<String, Value>,
}

/// How making or changing a schedule ended.
#[derive(Clone, PartialEq, Debug)]
#[must_use]
pub enum ScheduleWritten {
    /// There it is.
    Written(Box<ScheduleRecord>),
    /// There is no such schedule.
    NotFound,
    /// It has another revision by now.
    Stale {
        /// That one.
        current: u32,
    },
    /// The tenant has no such calendar.
    NoCalendar,
    /// The tenant has [`SCHEDULES_LIMIT`].
    LimitReached,
}

/// The schedules of one tenant.
pub struct Schedules<'a>(pub(crate) &'a TenantStore);

impl TenantStore {
    /// Its schedules.
    pub fn schedules(&self) -> Schedules<'_> {
        Schedules(self)
    }
}

impl Store {
    /// What time it is for everything about schedules: the database's clock, whatever this machine's says.
    pub async fn schedule_clock(&self) -> Result<Timestamp, StoreError> {
        speak!(self, "schedules.clock", {
            let mut connection = self.acquire().await?;
            now(&mut connection).await
        })
        .await
    }
}

pub(crate) const COLUMNS: &str = "schedule_id, name, enabled, cron_expression, timezone, template_key, template_label, template_version,
    definition::text AS definition, calendar_id, holiday_rule, business_day_of_month, skip_dates, valid_from, valid_until, max_runs,
    run_count, misfire, misfire_limit, revision, next_run_at, last_fired_at, created_at, created_by, updated_at";

impl Schedules<'_> {
    /// The schedule of that id.
    pub async fn get(&self, id: ScheduleId) -> Result<Option<ScheduleRecord>, StoreError> {
        speak!(self.0.store, "schedules.get", {
            let mut connection = self.0.store.acquire().await?;
            self.read(&mut connection, id, "").await
        })
        .await
    }

    /// The schedule of that id with its secrets, for filling in what a change of it leaves out.
    pub async fn get_whole(&self, id: ScheduleId) -> Result<Option<(ScheduleRecord, Map<String, Value>)>, StoreError> {
        speak!(self.0.store, "schedules.get_whole", {
            let mut connection = self.0.store.acquire().await?;
            // Of one moment: the secrets belong to what the schedule says.
            let mut transaction = connection.begin().await?;
            let Some(record) = self.read(&mut transaction, id, "FOR SHARE").await? else { return Ok(None) };
            let secrets: String = sqlx::query_scalar("SELECT secrets::text FROM schedules WHERE schedule_id = $1")
                .bind(id.as_uuid())
                .fetch_one(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok(Some((record, map("schedules", &secrets)?)))
        })
        .await
    }

    async fn read(&self, connection: &mut PgConnection, id: ScheduleId, lock: &str) -> Result<Option<ScheduleRecord>, StoreError> {
        let statement = format!("SELECT {COLUMNS} FROM schedules WHERE tenant_id = $1 AND schedule_id = $2 {lock}");
        let row = sqlx::query_as::<_, ScheduleRow>(sqlx::AssertSqlSafe(statement)).bind(self.0.tenant.as_str()).bind(id.as_uuid());
        row.fetch_optional(connection).await?.map(ScheduleRecord::try_from).transpose()
    }

    /// Makes a schedule.
    pub async fn insert(&self, new: NewSchedule<'_>, actor: &Actor) -> Result<ScheduleWritten, StoreError> {
        speak!(self.0.store, "schedules.insert", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let Some(holidays) = holidays_of(&mut write, self.0.tenant.as_str(), new.input.timing.calendar_id).await? else {
                return Ok(ScheduleWritten::NoCalendar);
            };
            // Counted behind the lock of the chain: of two that make the last one, one is told.
            let end = write.chain_end().await?;
            if self.count(&mut write).await? >= i64::from(SCHEDULES_LIMIT) {
                return Ok(ScheduleWritten::LimitReached);
            }
            let next = if new.input.enabled { next_run(&new.input.timing, holidays, 0, now(&mut write).await?)? } else { None };
            let id = new.id.unwrap_or_else(ScheduleId::generate);
            let inserted = put(&mut write, self.0, id, new, next, Put::Insert { actor }).await?;
            let record = inserted.ok_or_else(|| StoreError::inconsistent("schedules", "a row that was just made is not there"))?;
            write.announce("schedule", &id.to_string()).await?;
            write.commit_at(end, told(AuditKind::ScheduleCreated, &record)).await?;
            Ok(ScheduleWritten::Written(Box::new(record)))
        })
        .await
    }

    /// Replaces what a schedule says; `expected` is the revision that it has to have. When it is due is reckoned anew where the times
    /// are others, or it is switched on.
    pub async fn update(
        &self,
        id: ScheduleId,
        expected: Option<u32>,
        new: NewSchedule<'_>,
        actor: &Actor,
    ) -> Result<ScheduleWritten, StoreError> {
        speak!(self.0.store, "schedules.update", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let Some(before) = self.read(&mut write, id, "FOR UPDATE").await? else { return Ok(ScheduleWritten::NotFound) };
            if expected.is_some_and(|expected| expected != before.revision) {
                return Ok(ScheduleWritten::Stale { current: before.revision });
            }
            let Some(holidays) = holidays_of(&mut write, self.0.tenant.as_str(), new.input.timing.calendar_id).await? else {
                return Ok(ScheduleWritten::NoCalendar);
            };
            let same = before.input.enabled && before.input.timing == new.input.timing;
            let next = if !new.input.enabled {
                None
            } else if same {
                before.next_run_at
            } else {
                next_run(&new.input.timing, holidays, before.run_count, now(&mut write).await?)?
            };
            let Some(record) = put(&mut write, self.0, id, new, next, Put::Update).await? else { return Ok(ScheduleWritten::NotFound) };
            write.announce("schedule", &id.to_string()).await?;
            write.commit(told(AuditKind::ScheduleUpdated, &record)).await?;
            Ok(ScheduleWritten::Written(Box::new(record)))
        })
        .await
    }

    /// Makes another schedule that says the same, secrets too, under that name; it is switched off.
    pub async fn duplicate(&self, id: ScheduleId, name: &str, actor: &Actor) -> Result<ScheduleWritten, StoreError> {
        let Some((record, secrets)) = self.get_whole(id).await? else { return Ok(ScheduleWritten::NotFound) };
        let input = ScheduleInput { name: name.to_owned(), enabled: false, ..record.input };
        self.insert(NewSchedule { id: None, input: &input, secrets: &secrets }, actor).await
    }

    /// Removes a schedule, and calls off what is under way of it; what came of it before stays until its time is over. It only takes
    /// away, so it also happens to those of an archived tenant.
    pub async fn delete(&self, id: ScheduleId, expected: Option<u32>, actor: &Actor) -> Result<ScheduleRemoved, StoreError> {
        speak!(self.0.store, "schedules.delete", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin_on(&mut connection, self.0, actor, Needs::AnyTenant).await?;
            let Some(before) = self.read(&mut write, id, "FOR UPDATE").await? else { return Ok(ScheduleRemoved::NotFound) };
            if expected.is_some_and(|expected| expected != before.revision) {
                return Ok(ScheduleRemoved::Stale { current: before.revision });
            }
            let called_off = cancel_open(&mut write, &self.0.store, &self.0.tenant, id).await?;
            sqlx::query("DELETE FROM schedules WHERE schedule_id = $1").bind(id.as_uuid()).execute(&mut *write).await?;
            write.announce("schedule", &id.to_string()).await?;
            write.commit(told(AuditKind::ScheduleDeleted, &before).with("calledOff", called_off)).await?;
            Ok(ScheduleRemoved::Removed)
        })
        .await
    }

    /// What reckons with those times and with the tenant's calendar that they name; none where there is no such calendar.
    pub async fn plan(&self, timing: &ScheduleTiming) -> Result<Option<SchedulePlan>, StoreError> {
        speak!(self.0.store, "schedules.plan", {
            let mut connection = self.0.store.acquire().await?;
            let holidays = holidays_of(&mut connection, self.0.tenant.as_str(), timing.calendar_id).await?;
            holidays.map(|holidays| plan(timing, holidays)).transpose()
        })
        .await
    }

    async fn count(&self, connection: &mut PgConnection) -> Result<i64, StoreError> {
        let count = sqlx::query_scalar("SELECT count(*) FROM schedules WHERE tenant_id = $1").bind(self.0.tenant.as_str());
        Ok(count.fetch_one(connection).await?)
    }
}

/// How removing a schedule ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum ScheduleRemoved {
    /// It is gone.
    Removed,
    /// There is no such schedule.
    NotFound,
    /// It has another revision by now.
    Stale {
        /// That one.
        current: u32,
    },
}

enum Put<'a> {
    Insert { actor: &'a Actor },
    Update,
}

async fn put(
    connection: &mut PgConnection,
    handle: &TenantStore,
    id: ScheduleId,
    new: NewSchedule<'_>,
    next: Option<Timestamp>,
    how: Put<'_>,
) -> Result<Option<ScheduleRecord>, StoreError> {
    let (input, timing) = (new.input, &new.input.timing);
    let statement = match how {
        Put::Insert { .. } => format!(
            "INSERT INTO schedules (tenant_id, schedule_id, name, enabled, cron_expression, timezone, template_key, template_label,
                                    template_version, definition, secrets, calendar_id, holiday_rule, business_day_of_month, skip_dates,
                                    valid_from, valid_until, max_runs, misfire, misfire_limit, next_run_at, updated_at, created_at, created_by)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::text::json, $11::text::jsonb, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $22, $23)
             RETURNING {COLUMNS}"
        ),
        Put::Update => format!(
            "UPDATE schedules
             SET name = $3, enabled = $4, cron_expression = $5, timezone = $6, template_key = $7, template_label = $8, template_version = $9,
                 definition = $10::text::json, secrets = $11::text::jsonb, calendar_id = $12, holiday_rule = $13, business_day_of_month = $14,
                 skip_dates = $15, valid_from = $16, valid_until = $17, max_runs = $18, misfire = $19, misfire_limit = $20, next_run_at = $21,
                 updated_at = $22, created_by = COALESCE($23, created_by), revision = revision + 1
             WHERE tenant_id = $1 AND schedule_id = $2 RETURNING {COLUMNS}"
        ),
    };
    let whole = |number: Option<u32>| number.map(|number| i32::try_from(number).unwrap_or(i32::MAX));
    let row = sqlx::query_as::<_, ScheduleRow>(sqlx::AssertSqlSafe(statement))
        .bind(handle.tenant.as_str())
        .bind(id.as_uuid())
        .bind(&input.name)
        .bind(input.enabled)
        .bind(&timing.cron_expression)
        .bind(&timing.timezone)
        .bind(input.template_key.as_str())
        .bind(input.template_label.as_ref().map(LabelName::as_str))
        .bind(input.template_version.map(|version| version.to_string()))
        .bind(Value::Object(input.definition.clone()).to_string())
        .bind(Value::Object(new.secrets.clone()).to_string())
        .bind(timing.calendar_id.map(ScheduleCalendarId::as_uuid))
        .bind(timing.holiday_rule.as_str())
        .bind(timing.business_day_of_month)
        .bind(timing.skip_dates.iter().map(ToString::to_string).collect::<Vec<_>>())
        .bind(timing.valid_from.map(Timestamp::to_sqlx))
        .bind(timing.valid_until.map(Timestamp::to_sqlx))
        .bind(whole(timing.max_runs))
        .bind(timing.misfire.as_str())
        .bind(whole(timing.misfire.limit()))
        .bind(next.map(Timestamp::to_sqlx))
        .bind(handle.store.now())
        .bind(match how {
            Put::Insert { actor } => Some(&*actor.name),
            Put::Update => None,
        });
    row.fetch_optional(connection).await?.map(ScheduleRecord::try_from).transpose()
}

fn told(kind: AuditKind, record: &ScheduleRecord) -> AuditEvent {
    AuditEvent::new(kind, record.id)
        .with("name", record.input.name.as_str())
        .with("templateKey", record.input.template_key.as_str())
        .with("enabled", record.input.enabled)
        .with("revision", record.revision)
}

/// The database's time.
pub(crate) async fn now(connection: &mut PgConnection) -> Result<Timestamp, StoreError> {
    let now: jiff_sqlx::Timestamp = sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(connection).await?;
    Ok(now.to_jiff())
}

/// The holidays of a calendar; none where the tenant has no such calendar. It stays as it is until the transaction ends.
async fn holidays_of(
    connection: &mut PgConnection,
    tenant: &str,
    calendar: Option<ScheduleCalendarId>,
) -> Result<Option<Arc<BTreeSet<Date>>>, StoreError> {
    let Some(calendar) = calendar else { return Ok(Some(Arc::default())) };
    let text: Option<String> =
        sqlx::query_scalar("SELECT holidays::text FROM schedule_calendars WHERE tenant_id = $1 AND calendar_id = $2 FOR SHARE")
            .bind(tenant)
            .bind(calendar.as_uuid())
            .fetch_optional(connection)
            .await?;
    text.map(|text| Ok(Arc::new(days(&holidays(&text)?)))).transpose()
}

/// The holidays as a calendar keeps them.
pub(crate) fn holidays(text: &str) -> Result<Holidays, StoreError> {
    let value: Value = serde_json::from_str(text).map_err(|error| StoreError::inconsistent("schedule_calendars", error))?;
    holidays_from_json(&value, "").map_err(|_| StoreError::inconsistent("schedule_calendars", "holidays that cannot be read"))
}

pub(crate) fn days(holidays: &Holidays) -> BTreeSet<Date> {
    holidays.keys().copied().collect()
}

pub(crate) fn plan(timing: &ScheduleTiming, holidays: Arc<BTreeSet<Date>>) -> Result<SchedulePlan, StoreError> {
    timing.plan(holidays).map_err(|error| StoreError::inconsistent("schedules", error))
}

/// When it is due next.
pub(crate) fn next_run(
    timing: &ScheduleTiming,
    holidays: Arc<BTreeSet<Date>>,
    run_count: u32,
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    if timing.max_runs.is_some_and(|most| run_count >= most) {
        return Ok(None);
    }
    Ok(plan(timing, holidays)?.next_after(now).map(|fire| fire.at))
}

#[derive(FromRow)]
pub(crate) struct ScheduleRow {
    schedule_id: Uuid,
    name: String,
    enabled: bool,
    #[sqlx(flatten)]
    timing: TimingRow,
    template_key: String,
    template_label: Option<String>,
    template_version: Option<String>,
    definition: String,
    run_count: i32,
    revision: i32,
    next_run_at: Option<jiff_sqlx::Timestamp>,
    last_fired_at: Option<jiff_sqlx::Timestamp>,
    created_at: jiff_sqlx::Timestamp,
    created_by: String,
    updated_at: jiff_sqlx::Timestamp,
}

/// The columns that say when.
#[derive(FromRow)]
pub(crate) struct TimingRow {
    cron_expression: String,
    timezone: String,
    calendar_id: Option<Uuid>,
    holiday_rule: String,
    business_day_of_month: Option<i32>,
    skip_dates: Vec<String>,
    valid_from: Option<jiff_sqlx::Timestamp>,
    valid_until: Option<jiff_sqlx::Timestamp>,
    max_runs: Option<i32>,
    misfire: String,
    misfire_limit: Option<i32>,
}

impl TimingRow {
    pub(crate) fn calendar_id(&self) -> Option<Uuid> {
        self.calendar_id
    }
}

impl TryFrom<TimingRow> for ScheduleTiming {
    type Error = StoreError;

    fn try_from(row: TimingRow) -> Result<Self, StoreError> {
        let odd = |what: &str| StoreError::inconsistent("schedules", what);
        let skip_dates: Result<Vec<Date>, _> = row.skip_dates.iter().map(|date| date.parse()).collect();
        let misfire = match (row.misfire.as_str(), row.misfire_limit) {
            ("fire-once", None) => Misfire::FireOnce,
            ("skip", None) => Misfire::Skip,
            ("catch-up", Some(limit)) => Misfire::CatchUp(u32::try_from(limit).unwrap_or(1)),
            _ => return Err(odd("an unknown policy for missed runs")),
        };
        Ok(Self {
            cron_expression: row.cron_expression,
            timezone: row.timezone,
            calendar_id: row.calendar_id.map(ScheduleCalendarId::from),
            holiday_rule: row.holiday_rule.parse().map_err(|_| odd("an unknown rule for holidays"))?,
            business_day_of_month: row.business_day_of_month,
            skip_dates: skip_dates.map_err(|_| odd("a date to skip that is none"))?,
            valid_from: row.valid_from.map(jiff_sqlx::Timestamp::to_jiff),
            valid_until: row.valid_until.map(jiff_sqlx::Timestamp::to_jiff),
            max_runs: row.max_runs.and_then(|runs| u32::try_from(runs).ok()),
            misfire,
        })
    }
}

impl TryFrom<ScheduleRow> for ScheduleRecord {
    type Error = StoreError;

    fn try_from(row: ScheduleRow) -> Result<Self, StoreError> {
        let odd = |what: &str| StoreError::inconsistent("schedules", what);
        let version: Option<TemplateVersion> =
            row.template_version.map(|version| version.parse()).transpose().map_err(|_| odd("a version that is none"))?;
        let input = ScheduleInput {
            name: row.name,
            enabled: row.enabled,
            timing: row.timing.try_into()?,
            template_key: row.template_key.parse().map_err(|_| odd("a key of a template that is none"))?,
            template_label: row.template_label.map(|label| label.parse()).transpose().map_err(|_| odd("a label that is none"))?,
            template_version: version,
            definition: map("schedules", &row.definition)?,
        };
        Ok(Self {
            id: row.schedule_id.into(),
            input,
            revision: u32::try_from(row.revision).unwrap_or(0),
            run_count: u32::try_from(row.run_count).unwrap_or(0),
            next_run_at: row.next_run_at.map(jiff_sqlx::Timestamp::to_jiff),
            last_fired_at: row.last_fired_at.map(jiff_sqlx::Timestamp::to_jiff),
            created_at: row.created_at.to_jiff(),
            created_by: row.created_by,
            updated_at: row.updated_at.to_jiff(),
        })
    }
}

fn map(table: &'static str, text: &str) -> Result<Map<String, Value>, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::inconsistent(table, error))
}
