//! What was sent to a subscription, or is to be, and how that went.

use axum::Json;
use axum::extract::{Extension, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use domain::ErrorCode;
use domain::ids::DeliveryId;
use domain::webhooks::{DeliveryStatus, EventType};
use serde_json::{Value, json};
use store::{DeliveryFilter, DeliveryOutcome, DeliveryRecord};
use uuid::Uuid;

use crate::Setup;
use crate::auth::Caller;
use crate::body::Path;
use crate::error::ApiError;
use crate::query::{Pairs, refused};
use crate::webhooks::{self, webhook_id};

/// One page of the deliveries of a subscription, newest first, without what was sent.
#[utoipa::path(get, path = "/webhooks/{id}/deliveries", tag = "webhooks", params(("id" = String, Path), ("limit" = Option<u32>, Query), ("offset" = Option<u64>, Query), ("status" = Option<String>, Query), ("eventType" = Option<String>, Query)), responses((status = 200, description = "items, total, limit and offset")))]
pub async fn list(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let id = webhook_id(&id)?;
    let query = Pairs::read(query.as_deref())?;
    let page = query.page()?;
    let filter = DeliveryFilter { status: status(&query)?, event_type: event_type(&query)? };
    let tenant = setup.store.tenant(caller.tenant);
    if tenant.webhooks().get(id).await?.is_none() {
        return Err(webhooks::unknown());
    }
    let found = tenant.webhook_deliveries().list(id, filter, page.limit, page.offset).await?;
    let items: Vec<Value> = found.items.iter().map(shown).collect();
    Ok(page.answer(&items, found.total))
}

/// One delivery, with what is sent.
#[utoipa::path(get, path = "/webhooks/{id}/deliveries/{delivery}", tag = "webhooks", params(("id" = String, Path), ("delivery" = String, Path)), responses((status = 200, description = "The delivery, with `payload`")))]
pub async fn get(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path((id, delivery)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let found = setup.store.tenant(caller.tenant).webhook_deliveries().get(webhook_id(&id)?, delivery_id(&delivery)?).await?;
    Ok(Json(with_payload(&found.ok_or_else(unknown)?)))
}

/// Sends the same event once more, as a new delivery with the same body.
#[utoipa::path(post, path = "/webhooks/{id}/deliveries/{delivery}/redeliver", tag = "webhooks", params(("id" = String, Path), ("delivery" = String, Path)), responses((status = 202, description = "The new delivery"), (status = 409, description = "It is still being tried")))]
pub async fn redeliver(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path((id, delivery)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let deliveries = setup.store.tenant(caller.tenant);
    match deliveries.webhook_deliveries().redeliver(webhook_id(&id)?, delivery_id(&delivery)?, &caller.actor).await? {
        DeliveryOutcome::Done(made) => Ok((StatusCode::ACCEPTED, Json(shown(&made))).into_response()),
        DeliveryOutcome::NotFound => Err(unknown()),
        DeliveryOutcome::NotFrom(_) => Err(ApiError::new(ErrorCode::Conflict, "this delivery is still being tried")),
    }
}

pub(crate) fn delivery_id(text: &str) -> Result<DeliveryId, ApiError> {
    Uuid::parse_str(text).map(DeliveryId::from).map_err(|_| unknown())
}

pub(crate) fn status(query: &Pairs) -> Result<Option<DeliveryStatus>, ApiError> {
    let accepted = || DeliveryStatus::ALL.iter().map(|status| status.as_str()).collect::<Vec<_>>().join(", ");
    query.text("status").map(|text| text.parse().map_err(|_| refused("status", text, &accepted()))).transpose()
}

fn event_type(query: &Pairs) -> Result<Option<EventType>, ApiError> {
    let parse = |text: &str| text.parse().map_err(|_| refused("eventType", text, "the name of an event such as label.moved"));
    query.text("eventType").map(parse).transpose()
}

fn unknown() -> ApiError {
    ApiError::not_found("there is no such delivery")
}

/// What was sent, as JSON: what is signed are its bytes, which are in `body`.
pub(crate) fn with_payload(delivery: &DeliveryRecord) -> Value {
    let mut shown = shown(delivery);
    shown["payload"] = serde_json::from_str(&delivery.body).unwrap_or_default();
    shown["body"] = delivery.body.as_str().into();
    shown
}

pub(crate) fn shown(delivery: &DeliveryRecord) -> Value {
    let pending = delivery.status == DeliveryStatus::Pending;
    json!({
        "id": delivery.id, "webhookId": delivery.webhook, "jobId": delivery.job,
        "eventId": format!("evt_{}", delivery.event.as_uuid().simple()), "eventType": delivery.event_type, "redeliveryOf": delivery.repeats,
        "url": delivery.url, "status": delivery.status.as_str(), "attempts": delivery.attempts,
        "nextAttemptAt": pending.then_some(delivery.next_run_at), "givesUpAt": pending.then_some(delivery.give_up_at),
        "responseStatus": delivery.last_status, "lastError": delivery.last_error, "lastAttemptAt": delivery.last_attempt_at,
        "durationMs": delivery.last_took_ms, "createdAt": delivery.created_at, "endedAt": delivery.ended_at,
    })
}
