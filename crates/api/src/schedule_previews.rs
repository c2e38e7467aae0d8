//! What comes next: of a schedule as it is, as it would be, and of a pattern alone. What the ticks do is reckoned by the same functions.

use axum::Json;
use axum::extract::{Extension, RawQuery, State};
use domain::schedule_times::{Fire, PREVIEW_LIMIT, SchedulePlan};
use domain::schedules::ScheduleTiming;
use domain::{ErrorCode, Issue};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::Setup;
use crate::auth::Caller;
use crate::body::{AnyJson, Path};
use crate::error::ApiError;
use crate::query::{Pairs, refused};
use crate::schedules::{no_calendar, readable};

/// Runs of a preview when nothing is said.
const FIRES: usize = 10;
/// The same for a pattern alone.
const CRON_FIRES: usize = 5;

/// The times of a schedule that is or could be, for the description of the interface.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes; the request is read field by field")]
pub struct PreviewBody {
    /// A schedule whose times are meant where this says nothing else.
    schedule_id: Option<String>,
    /// As in a schedule, and so is every other field that says when.
    cron_expression: Option<String>,
    /// As in a schedule.
    timezone: Option<String>,
    /// Runs, 1 to 100.
    count: Option<u32>,
}

/// The next runs of a schedule, whether it is switched on or not.
#[utoipa::path(get, path = "/schedules/{id}/preview", tag = "schedules", params(("id" = String, Path), ("count" = Option<u32>, Query)), responses((status = 200, description = "fires: fireTime, localTime, and nominalAt where a holiday moved it; skipped: nominalAt and reason"), (status = 404, description = "Unknown")))]
pub async fn of_schedule(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let pairs = Pairs::read(query.as_deref())?;
    let accepted = format!("a whole number from 1 to {PREVIEW_LIMIT}");
    let count = pairs
        .text("count")
        .map(|text| text.parse().ok().filter(|count| (1..=PREVIEW_LIMIT).contains(count)).ok_or_else(|| refused("count", text, &accepted)));
    let count = count.transpose()?.unwrap_or(FIRES);
    let schedule = readable(&setup, &caller, &id).await?;
    let left = schedule.input.timing.max_runs.map(|most| most.saturating_sub(schedule.run_count) as usize);
    let plan = planned(&setup, &caller, &schedule.input.timing).await?;
    let now = setup.store.schedule_clock().await?;
    // What is due this moment has not been made yet.
    let due = schedule.next_run_at.filter(|next| *next <= now && schedule.input.enabled);
    let after = due.map_or(now, |due| due.checked_sub(jiff::SignedDuration::from_nanos(1)).unwrap_or(due));
    Ok(Json(shown(&plan, after, left.map_or(count, |left| count.min(left)))))
}

/// The next runs of times that are sent, or of a schedule with some of them changed.
#[utoipa::path(post, path = "/schedules/preview", tag = "schedules", request_body = PreviewBody, responses((status = 200, description = "fires and skipped"), (status = 404, description = "Unknown schedule"), (status = 422, description = "The times are not acceptable")))]
pub async fn of_times(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    AnyJson(body): AnyJson,
) -> Result<Json<Value>, ApiError> {
    let given = body
        .as_object()
        .ok_or_else(|| ApiError::bad_request("the body must be an object such as {\"cronExpression\": \"0 8 * * 1-5\"}"))?;
    let count = count(given, FIRES)?;
    let times = match given.get("scheduleId").and_then(Value::as_str) {
        Some(id) => readable(&setup, &caller, id).await?.input.changed_by(given),
        None => body.clone(),
    };
    let timing = read(&times)?;
    let plan = planned(&setup, &caller, &timing).await?;
    let now = setup.store.schedule_clock().await?;
    Ok(Json(shown(&plan, now, timing.max_runs.map_or(count, |most| count.min(most as usize)))))
}

/// The next times of a pattern in a zone.
#[utoipa::path(post, path = "/schedules/cron-preview", tag = "schedules", request_body = PreviewBody, responses((status = 200, description = "fires, and skipped, which is empty"), (status = 422, description = "The pattern or the zone is none")))]
pub async fn of_pattern(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    AnyJson(body): AnyJson,
) -> Result<Json<Value>, ApiError> {
    let given = body
        .as_object()
        .ok_or_else(|| ApiError::bad_request("the body must be an object such as {\"cronExpression\": \"0 8 * * 1-5\"}"))?;
    let count = count(given, CRON_FIRES)?;
    let pattern: Map<String, Value> = given
        .iter()
        .filter(|(name, _)| ["cronExpression", "timezone"].contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let plan = planned(&setup, &caller, &read(&Value::Object(pattern))?).await?;
    let now = setup.store.schedule_clock().await?;
    Ok(Json(shown(&plan, now, count)))
}

fn read(times: &Value) -> Result<ScheduleTiming, ApiError> {
    ScheduleTiming::from_json(times, "").map_err(|issues| ApiError::invalid(ErrorCode::ValidationFailed, issues))
}

fn count(given: &Map<String, Value>, otherwise: usize) -> Result<usize, ApiError> {
    let Some(value) = given.get("count").filter(|value| !value.is_null()) else { return Ok(otherwise) };
    let count = value.as_u64().and_then(|count| usize::try_from(count).ok()).filter(|count| (1..=PREVIEW_LIMIT).contains(count));
    count.ok_or_else(|| {
        let said = format!("must be a whole number from 1 to {PREVIEW_LIMIT}");
        ApiError::invalid(ErrorCode::ValidationFailed, vec![Issue::new("/count", said)])
    })
}

async fn planned(setup: &Setup, caller: &Caller, timing: &ScheduleTiming) -> Result<SchedulePlan, ApiError> {
    setup.store.tenant(caller.tenant.clone()).schedules().plan(timing).await?.ok_or_else(no_calendar)
}

fn shown(plan: &SchedulePlan, after: Timestamp, count: usize) -> Value {
    let preview = plan.preview(after, count);
    let local = |moment: Timestamp| plan.zone.to_offset(moment).to_datetime(moment).to_string() + &offset(plan, moment);
    let fire = |fire: &Fire| {
        let mut shown = json!({"fireTime": fire.at, "localTime": local(fire.at)});
        if let Some(nominal_at) = fire.nominal_at {
            shown["nominalAt"] = json!(nominal_at);
        }
        if let Some(index) = fire.business_day {
            shown["businessDayIndex"] = index.into();
        }
        shown
    };
    let fires: Vec<Value> = preview.fires.iter().map(fire).collect();
    let skipped: Vec<Value> = preview
        .passed
        .iter()
        .map(|passed| json!({"nominalAt": passed.at, "localTime": local(passed.at), "reason": passed.reason.as_str()}))
        .collect();
    json!({ "fires": fires, "skipped": skipped, "timezone": plan.zone.iana_name() })
}

/// As ISO 8601 writes it.
fn offset(plan: &SchedulePlan, moment: Timestamp) -> String {
    let seconds = plan.zone.to_offset(moment).seconds();
    let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.abs() / 60);
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}
