//! What came of schedules: executions, their items, and those that failed lately. History outlives its schedule's changes, not the
//! schedule: that of a removed one is found among the failures and dead letters alone.

use axum::Json;
use axum::extract::{Extension, RawQuery, State};
use domain::ids::ScheduleExecutionId;
use domain::webhooks::DeliveryStatus;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use store::{ExecutionDelivery, ExecutionItemRecord, ExecutionRecord};
use uuid::Uuid;

use crate::Setup;
use crate::auth::Caller;
use crate::body::Path;
use crate::error::ApiError;
use crate::query::{Pairs, refused};
use crate::schedules::readable;

/// Hours that failures are looked back for where nobody says, and at most: a quarter of a year.
const SINCE_HOURS: i64 = 24;
const MOST_HOURS: i64 = 92 * 24;

/// One page of the executions of a schedule, newest first.
#[utoipa::path(get, path = "/schedules/{id}/executions", tag = "schedules", params(("id" = String, Path), ("status" = Option<String>, Query, description = "pending, rendering, delivering, completed, failed, skipped or cancelled"), ("limit" = Option<u32>, Query), ("offset" = Option<u64>, Query)), responses((status = 200, description = "items, total, limit and offset")))]
pub async fn list(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let schedule = readable(&setup, &caller, &id).await?;
    let query = Pairs::read(query.as_deref())?;
    let page = query.page()?;
    let accepted = "pending, rendering, delivering, completed, failed, skipped, cancelled";
    let status = query.text("status").map(|text| text.parse().map_err(|_| refused("status", text, accepted))).transpose()?;
    let found = setup.store.tenant(caller.tenant).schedule_executions().list(schedule.id, status, page.limit, page.offset).await?;
    let items: Vec<Value> = found.items.iter().map(shown).collect();
    Ok(page.answer(&items, found.total))
}

/// One execution.
#[utoipa::path(get, path = "/schedules/{id}/executions/{execution}", tag = "schedules", params(("id" = String, Path), ("execution" = String, Path)), responses((status = 200, description = "The execution")))]
pub async fn get(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path((id, execution)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(shown(&found(&setup, &caller, &id, &execution).await?)))
}

/// One page of the items of an execution: one for each document of a burst, or the only one.
#[utoipa::path(get, path = "/schedules/{id}/executions/{execution}/items", tag = "schedules", params(("id" = String, Path), ("execution" = String, Path), ("status" = Option<String>, Query, description = "pending, succeeded or failed"), ("limit" = Option<u32>, Query), ("offset" = Option<u64>, Query)), responses((status = 200, description = "items, total, limit and offset")))]
pub async fn items(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path((id, execution)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let query = Pairs::read(query.as_deref())?;
    let page = query.page()?;
    let status =
        query.text("status").map(|text| text.parse().map_err(|_| refused("status", text, "pending, succeeded, failed"))).transpose()?;
    let execution = found(&setup, &caller, &id, &execution).await?;
    let found = setup.store.tenant(caller.tenant).schedule_executions().items(execution.id, status, page.limit, page.offset).await?;
    let items: Vec<Value> = found.items.iter().map(shown_item).collect();
    Ok(page.answer(&items, found.total))
}

/// One page of the executions of all schedules that failed in the last hours, the latest first.
#[utoipa::path(get, path = "/schedules/recent-failures", tag = "schedules", params(("sinceHours" = Option<u32>, Query, description = "24 when absent, up to 2208"), ("limit" = Option<u32>, Query), ("offset" = Option<u64>, Query)), responses((status = 200, description = "items, total, limit and offset")))]
pub async fn failures(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    caller.is_for_all_templates()?;
    let query = Pairs::read(query.as_deref())?;
    let page = query.page()?;
    let hours = match query.text("sinceHours") {
        None => SINCE_HOURS,
        Some(text) => {
            let hours = text.parse().ok().filter(|hours| (1..=MOST_HOURS).contains(hours));
            hours.ok_or_else(|| refused("sinceHours", text, &format!("a whole number from 1 to {MOST_HOURS}")))?
        }
    };
    let since = setup.clock.now().checked_sub(SignedDuration::from_hours(hours)).unwrap_or(Timestamp::UNIX_EPOCH);
    let found = setup.store.tenant(caller.tenant).schedule_executions().failures(since, page.limit, page.offset).await?;
    let items: Vec<Value> = found.items.iter().map(shown).collect();
    Ok(page.answer(&items, found.total))
}

async fn found(setup: &Setup, caller: &Caller, id: &str, execution: &str) -> Result<ExecutionRecord, ApiError> {
    let unknown = || ApiError::not_found("the schedule has no such execution");
    let schedule = readable(setup, caller, id).await?;
    let execution = Uuid::parse_str(execution).map(ScheduleExecutionId::from).map_err(|_| unknown())?;
    setup.store.tenant(caller.tenant.clone()).schedule_executions().get(schedule.id, execution).await?.ok_or_else(unknown)
}

pub(crate) fn shown(execution: &ExecutionRecord) -> Value {
    let summary = execution.counts.map(|[total, filtered, truncated]| {
        json!({ "total": total, "filtered": filtered, "truncated": truncated, "succeeded": execution.succeeded, "failed": execution.failed })
    });
    json!({
        "id": execution.id, "scheduleId": execution.schedule, "fireTime": execution.fire_time, "nominalAt": execution.nominal_at,
        "businessDayIndex": execution.business_day_index, "status": execution.status.as_str(), "trigger": execution.trigger.as_str(),
        "triggeredBy": execution.actor, "test": execution.is_test, "missedRuns": execution.missed_runs,
        "asOf": execution.as_of, "parameters": execution.parameters, "resolvedParameters": execution.resolved_parameters,
        "skipReason": execution.skip_reason, "burstSummary": summary, "renderDurationMs": execution.render_duration_ms,
        "documentId": execution.document, "deliveryResults": deliveries(&execution.deliveries),
        "lastError": execution.error.as_ref().map(|(code, message)| if message.is_empty() { code } else { message }),
        "errorCode": execution.error.as_ref().map(|(code, _)| code),
        "claimedBy": execution.claimed.as_ref().map(|(by, _)| by), "claimedAt": execution.claimed.as_ref().map(|(_, at)| at),
        "createdAt": execution.created_at, "updatedAt": execution.updated_at, "endedAt": execution.ended_at,
    })
}

fn shown_item(item: &ExecutionItemRecord) -> Value {
    json!({
        "index": item.index, "key": item.key, "status": item.status.as_str(), "recipients": item.recipients,
        "renderDurationMs": item.render_duration_ms, "deliveryResults": deliveries(&item.deliveries),
        "errorCode": item.error.as_ref().map(|(code, _)| code), "lastError": item.error.as_ref().map(|(_, message)| message),
        "createdAt": item.created_at, "updatedAt": item.updated_at,
    })
}

fn deliveries(deliveries: &[ExecutionDelivery]) -> Vec<Value> {
    let shown = deliveries.iter().map(|delivery| {
        let resolved = delivery.resolved.then(|| json!({ "at": delivery.ended_at }));
        let pending = delivery.status == DeliveryStatus::Pending;
        json!({
            "deliveryId": delivery.id, "itemIndex": delivery.item_index, "targetIndex": delivery.target_index, "targetType": delivery.target_type,
            "target": delivery.target, "status": delivery.status.as_str(), "delivered": delivery.status == DeliveryStatus::Delivered,
            "attempts": delivery.attempts, "error": delivery.error.as_ref().map(|(_, message)| message),
            "errorCode": delivery.error.as_ref().map(|(code, _)| code), "resolved": resolved,
            "nextAttemptAt": pending.then_some(delivery.next_run_at), "endedAt": delivery.ended_at,
        })
    });
    shown.collect()
}
