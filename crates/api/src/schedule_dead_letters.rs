//! Deliveries of schedules that did not arrive: looked at, tried again, or given up for good.

use axum::Json;
use axum::extract::{Extension, RawQuery, State};
use domain::ErrorCode;
use domain::webhooks::DeliveryStatus;
use serde_json::{Value, json};
use store::{ScheduleDeadLetter, ScheduleDeliveryOutcome};

use crate::Setup;
use crate::auth::Caller;
use crate::body::Path;
use crate::error::ApiError;
use crate::query::Pairs;
use crate::schedules::schedule_id;
use crate::webhook_deliveries::{delivery_id, status};

/// One page of the deliveries that did not arrive, the latest first; `status` is failed or abandoned.
#[utoipa::path(get, path = "/admin/schedule-dlq", tag = "dead letters", params(("limit" = Option<u32>, Query), ("offset" = Option<u64>, Query), ("status" = Option<String>, Query), ("scheduleId" = Option<String>, Query)), responses((status = 200, description = "items, total, limit and offset")))]
pub async fn list(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    caller.is_for_all_templates()?;
    let query = Pairs::read(query.as_deref())?;
    let page = query.page()?;
    let schedule = query.text("scheduleId").map(schedule_id).transpose()?;
    let found = setup.store.tenant(caller.tenant).schedule_dead_letters().list(status(&query)?, schedule, page.limit, page.offset).await?;
    let items: Vec<Value> = found.items.iter().map(shown).collect();
    Ok(page.answer(&items, found.total))
}

/// One delivery, however it stands by now, with what was to be delivered while somebody may ask for that.
#[utoipa::path(get, path = "/admin/schedule-dlq/{id}", tag = "dead letters", params(("id" = String, Path)), responses((status = 200, description = "The delivery, with `plan`")))]
pub async fn get(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    caller.is_for_all_templates()?;
    let found = setup.store.tenant(caller.tenant).schedule_dead_letters().get(delivery_id(&id)?).await?.ok_or_else(unknown)?;
    let mut shown = shown(&found);
    let target = found.plan.as_ref().and_then(|plan| plan.targets.get(usize::try_from(found.target_index).ok()?));
    shown["plan"] = serde_json::to_value(target).unwrap_or_default();
    Ok(Json(shown))
}

/// Has a delivery that did not arrive tried again, for another day, under the same id.
#[utoipa::path(post, path = "/admin/schedule-dlq/{id}/replay", tag = "dead letters", params(("id" = String, Path)), responses((status = 200, description = "The delivery, pending"), (status = 409, description = "It arrived, was abandoned, or is still being tried; or its schedule is gone or delivers elsewhere by now"), (status = 410, description = "Its documents are not kept any more")))]
pub async fn replay(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    caller.is_for_all_templates()?;
    answer(setup.store.tenant(caller.tenant).schedule_dead_letters().replay(delivery_id(&id)?, &caller.actor).await?)
}

/// Says that a delivery that did not arrive is not wanted any more. It cannot be replayed then.
#[utoipa::path(post, path = "/admin/schedule-dlq/{id}/abandon", tag = "dead letters", params(("id" = String, Path)), responses((status = 200, description = "The delivery, abandoned"), (status = 409, description = "It arrived, was abandoned, or is still being tried")))]
pub async fn abandon(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    caller.is_for_all_templates()?;
    answer(setup.store.tenant(caller.tenant).schedule_dead_letters().abandon(delivery_id(&id)?, &caller.actor).await?)
}

fn answer(outcome: ScheduleDeliveryOutcome) -> Result<Json<Value>, ApiError> {
    let refused = |code, said: &str| Err(ApiError::new(code, said));
    match outcome {
        ScheduleDeliveryOutcome::Done(delivery) => Ok(Json(shown(&delivery))),
        ScheduleDeliveryOutcome::NotFound => Err(unknown()),
        ScheduleDeliveryOutcome::NotFrom(DeliveryStatus::Pending) => refused(ErrorCode::Conflict, "this delivery is still being tried"),
        ScheduleDeliveryOutcome::NotFrom(status) => {
            Err(ApiError::new(ErrorCode::AlreadyTerminal, format!("this delivery is {} for good", status.as_str())))
        }
        ScheduleDeliveryOutcome::ScheduleGone => refused(ErrorCode::ScheduleGone, "the schedule of this delivery was deleted"),
        ScheduleDeliveryOutcome::ScheduleMutated => refused(
            ErrorCode::ScheduleMutated,
            "the schedule delivers elsewhere by now; trigger it to deliver there, or change it back to deliver this once more",
        ),
        ScheduleDeliveryOutcome::ArtifactExpired => refused(
            ErrorCode::RenderArtifactExpired,
            "the documents of this delivery are not kept any more; trigger the schedule for new ones",
        ),
    }
}

fn unknown() -> ApiError {
    ApiError::not_found("there is no such delivery")
}

fn shown(delivery: &ScheduleDeadLetter) -> Value {
    let pending = delivery.status == DeliveryStatus::Pending;
    json!({
        "id": delivery.id, "scheduleId": delivery.schedule, "executionId": delivery.execution, "fireTime": delivery.fire_time,
        "itemIndex": delivery.item_index, "targetIndex": delivery.target_index, "targetType": delivery.target_type, "target": delivery.target,
        "status": delivery.status.as_str(), "attempts": delivery.attempts, "errorCode": delivery.error.as_ref().map(|(code, _)| code),
        "lastError": delivery.error.as_ref().map(|(_, message)| message), "resolved": delivery.resolved,
        "nextAttemptAt": pending.then_some(delivery.next_run_at), "lastAttemptAt": delivery.last_attempt_at, "createdAt": delivery.created_at,
        "endedAt": delivery.ended_at, "endedBy": delivery.ended_by,
    })
}
