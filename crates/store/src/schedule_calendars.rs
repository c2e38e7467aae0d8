//! Calendars of holidays. A change of one is a change of when the schedules that follow it are due, in the same transaction.

use std::sync::Arc;

use domain::audit::AuditKind;
use domain::calendars::{Holidays, holidays_to_json};
use domain::ids::{ScheduleCalendarId, ScheduleId};
use domain::{Actor, AuditEvent};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::{AssertSqlSafe, FromRow, PgConnection};
use uuid::Uuid;

use crate::connect::speak;
use crate::error::StoreError;
use crate::page::{Page, bounds};
use crate::schedules::{TimingRow, days, holidays, next_run, now};
use crate::tenants::TenantStore;
use crate::write::{Needs, Write};

/// Calendars that one tenant may have.
pub const SCHEDULE_CALENDARS_LIMIT: u32 = 200;

/// A calendar of holidays.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CalendarRecord {
    /// Names it.
    pub id: ScheduleCalendarId,
    /// For people; each name once in a tenant.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// For people: holidays are days of each schedule's own zone.
    pub timezone: Option<String>,
    /// The days.
    pub holidays: Holidays,
    /// Counts its changes, from 1.
    pub revision: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A calendar to be kept.
#[derive(Clone, Copy, Debug)]
pub struct NewCalendar<'a> {
    /// 1 to [`domain::calendars::CALENDAR_NAME_LIMIT_CHARS`].
    pub name: &'a str,
    /// At most [`domain::calendars::CALENDAR_DESCRIPTION_LIMIT_CHARS`].
    pub description: Option<&'a str>,
    /// An IANA name.
    pub timezone: Option<&'a str>,
    /// At most [`domain::calendars::HOLIDAYS_LIMIT`].
    pub holidays: &'a Holidays,
}

/// How making, changing or removing a calendar ended.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum CalendarOutcome {
    /// There it is; or was, when it was removed.
    Written(Box<CalendarRecord>),
    /// There is no such calendar.
    NotFound,
    /// It has another revision by now.
    Stale {
        /// That one.
        current: u32,
    },
    /// Another calendar has that name.
    NameTaken,
    /// So many schedules follow it.
    InUse(u64),
    /// The tenant has [`SCHEDULE_CALENDARS_LIMIT`].
    LimitReached,
}

/// The calendars of one tenant.
pub struct ScheduleCalendars<'a>(&'a TenantStore);

impl TenantStore {
    /// Its calendars of holidays.
    pub fn schedule_calendars(&self) -> ScheduleCalendars<'_> {
        ScheduleCalendars(self)
    }
}

const COLUMNS: &str = "calendar_id, name, description, timezone, holidays::text AS holidays, revision, created_at, created_by, updated_at";

impl ScheduleCalendars<'_> {
    /// The calendar of that id.
    pub async fn get(&self, id: ScheduleCalendarId) -> Result<Option<CalendarRecord>, StoreError> {
        speak!(self.0.store, "schedule_calendars.get", {
            let mut connection = self.0.store.acquire().await?;
            self.read(&mut connection, id, "").await
        })
        .await
    }

    async fn read(&self, connection: &mut PgConnection, id: ScheduleCalendarId, lock: &str) -> Result<Option<CalendarRecord>, StoreError> {
        let statement = format!("SELECT {COLUMNS} FROM schedule_calendars WHERE tenant_id = $1 AND calendar_id = $2 {lock}");
        let row = sqlx::query_as::<_, CalendarRow>(AssertSqlSafe(statement)).bind(self.0.tenant.as_str()).bind(id.as_uuid());
        row.fetch_optional(connection).await?.map(CalendarRecord::try_from).transpose()
    }

    /// One page of the calendars, by name. `limit` counts up to [`crate::MAX_PAGE_ROWS`].
    pub async fn list(&self, limit: u32, offset: u64) -> Result<Page<CalendarRecord>, StoreError> {
        speak!(self.0.store, "schedule_calendars.list", {
            let (limit, offset) = bounds(limit, offset);
            let mut connection = self.0.store.acquire().await?;
            let statement = format!("SELECT {COLUMNS} FROM schedule_calendars WHERE tenant_id = $1 ORDER BY name LIMIT $2 OFFSET $3");
            let rows: Vec<CalendarRow> = sqlx::query_as(AssertSqlSafe(statement))
                .bind(self.0.tenant.as_str())
                .bind(limit)
                .bind(offset)
                .fetch_all(&mut *connection)
                .await?;
            let total = u64::try_from(self.count(&mut connection).await?).unwrap_or(0);
            let items: Result<Vec<_>, StoreError> = rows.into_iter().map(CalendarRecord::try_from).collect();
            Ok(Page { items: items?, total })
        })
        .await
    }

    async fn count(&self, connection: &mut PgConnection) -> Result<i64, StoreError> {
        let count = sqlx::query_scalar("SELECT count(*) FROM schedule_calendars WHERE tenant_id = $1").bind(self.0.tenant.as_str());
        Ok(count.fetch_one(connection).await?)
    }

    /// Makes a calendar.
    pub async fn insert(&self, new: NewCalendar<'_>, actor: &Actor) -> Result<CalendarOutcome, StoreError> {
        speak!(self.0.store, "schedule_calendars.insert", {
            let id = ScheduleCalendarId::generate();
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            // Counted behind the lock of the chain: of two that make the last one, one is told.
            let end = write.chain_end().await?;
            if self.count(&mut write).await? >= i64::from(SCHEDULE_CALENDARS_LIMIT) {
                return Ok(CalendarOutcome::LimitReached);
            }
            let statement = format!(
                "INSERT INTO schedule_calendars (calendar_id, tenant_id, name, description, timezone, holidays, created_at, created_by, updated_at)
                 VALUES ($1, $2, $3, $4, $5, $6::text::jsonb, $7, $8, $7) ON CONFLICT (tenant_id, name) DO NOTHING RETURNING {COLUMNS}"
            );
            let row = sqlx::query_as::<_, CalendarRow>(AssertSqlSafe(statement))
                .bind(id.as_uuid())
                .bind(self.0.tenant.as_str())
                .bind(new.name)
                .bind(new.description)
                .bind(new.timezone)
                .bind(holidays_to_json(new.holidays).to_string())
                .bind(self.0.store.now())
                .bind(&*actor.name);
            let Some(row) = row.fetch_optional(&mut *write).await? else { return Ok(CalendarOutcome::NameTaken) };
            let record = CalendarRecord::try_from(row)?;
            write.commit_at(end, told(AuditKind::ScheduleCalendarCreated, &record)).await?;
            Ok(CalendarOutcome::Written(Box::new(record)))
        })
        .await
    }

    /// Replaces what a calendar says; `expected` is the revision that it has to have. The schedules that follow it are due anew: what is
    /// due already stays.
    pub async fn update(
        &self,
        id: ScheduleCalendarId,
        expected: Option<u32>,
        new: NewCalendar<'_>,
        actor: &Actor,
    ) -> Result<CalendarOutcome, StoreError> {
        speak!(self.0.store, "schedule_calendars.update", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let Some(before) = self.read(&mut write, id, "FOR UPDATE").await? else { return Ok(CalendarOutcome::NotFound) };
            if expected.is_some_and(|expected| expected != before.revision) {
                return Ok(CalendarOutcome::Stale { current: before.revision });
            }
            let statement = format!(
                "UPDATE schedule_calendars
                 SET name = $3, description = $4, timezone = $5, holidays = $6::text::jsonb, updated_at = $7, revision = revision + 1
                 WHERE tenant_id = $1 AND calendar_id = $2
                   AND NOT EXISTS (SELECT FROM schedule_calendars o WHERE o.tenant_id = $1 AND o.name = $3 AND o.calendar_id <> $2)
                 RETURNING {COLUMNS}"
            );
            let row = sqlx::query_as::<_, CalendarRow>(AssertSqlSafe(statement))
                .bind(self.0.tenant.as_str())
                .bind(id.as_uuid())
                .bind(new.name)
                .bind(new.description)
                .bind(new.timezone)
                .bind(holidays_to_json(new.holidays).to_string())
                .bind(self.0.store.now());
            let Some(row) = row.fetch_optional(&mut *write).await? else { return Ok(CalendarOutcome::NameTaken) };
            let record = CalendarRecord::try_from(row)?;
            let planned = if before.holidays == record.holidays { 0 } else { self.plan_anew(&mut write, &record).await? };
            if planned > 0 {
                write.announce("schedule", &id.to_string()).await?;
            }
            write.commit(told(AuditKind::ScheduleCalendarUpdated, &record).with("schedules", planned)).await?;
            Ok(CalendarOutcome::Written(Box::new(record)))
        })
        .await
    }

    /// Says anew when the schedules are due that follow a calendar and are due later; how many.
    async fn plan_anew(&self, connection: &mut PgConnection, calendar: &CalendarRecord) -> Result<usize, StoreError> {
        let now = now(connection).await?;
        let rows: Vec<FollowerRow> = sqlx::query_as(
            "SELECT schedule_id, run_count, cron_expression, timezone, calendar_id, holiday_rule, business_day_of_month, skip_dates, valid_from,
                    valid_until, max_runs, misfire, misfire_limit
             FROM schedules WHERE calendar_id = $1 AND enabled AND (next_run_at IS NULL OR next_run_at > $2) ORDER BY schedule_id FOR UPDATE",
        )
        .bind(calendar.id.as_uuid())
        .bind(now.to_sqlx())
        .fetch_all(&mut *connection)
        .await?;
        let holidays = Arc::new(days(&calendar.holidays));
        let (mut ids, mut times) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
        for row in rows {
            let run_count = u32::try_from(row.run_count).unwrap_or(0);
            let next = next_run(&row.timing.try_into()?, Arc::clone(&holidays), run_count, now)?;
            ids.push(ScheduleId::from(row.schedule_id).as_uuid());
            times.push(next.map(Timestamp::to_sqlx));
        }
        sqlx::query(
            "UPDATE schedules s SET next_run_at = planned.at FROM unnest($1::uuid[], $2::timestamptz[]) AS planned(schedule_id, at)
             WHERE s.schedule_id = planned.schedule_id AND s.next_run_at IS DISTINCT FROM planned.at",
        )
        .bind(&ids)
        .bind(&times)
        .execute(connection)
        .await?;
        Ok(ids.len())
    }

    /// Removes a calendar that no schedule follows.
    pub async fn delete(&self, id: ScheduleCalendarId, expected: Option<u32>, actor: &Actor) -> Result<CalendarOutcome, StoreError> {
        speak!(self.0.store, "schedule_calendars.delete", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin_on(&mut connection, self.0, actor, Needs::AnyTenant).await?;
            let Some(before) = self.read(&mut write, id, "FOR UPDATE").await? else { return Ok(CalendarOutcome::NotFound) };
            if expected.is_some_and(|expected| expected != before.revision) {
                return Ok(CalendarOutcome::Stale { current: before.revision });
            }
            let followers: i64 = sqlx::query_scalar("SELECT count(*) FROM schedules WHERE calendar_id = $1")
                .bind(id.as_uuid())
                .fetch_one(&mut *write)
                .await?;
            if followers > 0 {
                return Ok(CalendarOutcome::InUse(u64::try_from(followers).unwrap_or(0)));
            }
            sqlx::query("DELETE FROM schedule_calendars WHERE calendar_id = $1").bind(id.as_uuid()).execute(&mut *write).await?;
            write.commit(told(AuditKind::ScheduleCalendarDeleted, &before)).await?;
            Ok(CalendarOutcome::Written(Box::new(before)))
        })
        .await
    }
}

fn told(kind: AuditKind, record: &CalendarRecord) -> AuditEvent {
    AuditEvent::new(kind, record.id)
        .with("name", record.name.as_str())
        .with("holidays", record.holidays.len())
        .with("revision", record.revision)
}

#[derive(FromRow)]
struct FollowerRow {
    schedule_id: Uuid,
    run_count: i32,
    #[sqlx(flatten)]
    timing: TimingRow,
}

#[derive(FromRow)]
struct CalendarRow {
    calendar_id: Uuid,
    name: String,
    description: Option<String>,
    timezone: Option<String>,
    holidays: String,
    revision: i32,
    created_at: jiff_sqlx::Timestamp,
    created_by: String,
    updated_at: jiff_sqlx::Timestamp,
}

impl TryFrom<CalendarRow> for CalendarRecord {
    type Error = StoreError;

    fn try_from(row: CalendarRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.calendar_id.into(),
            name: row.name,
            description: row.description,
            timezone: row.timezone,
            holidays: holidays(&row.holidays)?,
            revision: u32::try_from(row.revision).unwrap_or(0),
            created_at: row.created_at.to_jiff(),
            created_by: row.created_by,
            updated_at: row.updated_at.to_jiff(),
        })
    }
}
