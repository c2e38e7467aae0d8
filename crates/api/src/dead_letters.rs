//! Callbacks of jobs that did not arrive: looked at, tried again, or given up for good.

use axum::Json;
use axum::extract::{Extension, RawQuery, State};
use domain::ErrorCode;
use domain::webhooks::DeliveryStatus;
use serde_json::Value;
use store::DeliveryOutcome;

use crate::Setup;
use crate::auth::Caller;
use crate::body::Path;
use crate::error::ApiError;
use crate::query::Pairs;
use crate::webhook_deliveries::{delivery_id, shown, status, with_payload};

/// One page of the callbacks that did not arrive, the latest first; `status` is failed or abandoned.
#[utoipa::path(get, path = "/admin/batch-dlq", tag = "dead letters", params(("limit" = Option<u32>, Query), ("offset" = Option<u64>, Query), ("status" = Option<String>, Query)), responses((status = 200, description = "items, total, limit and offset")))]
pub async fn list(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let query = Pairs::read(query.as_deref())?;
    let page = query.page()?;
    let found = setup.store.tenant(caller.tenant).dead_letters().list(status(&query)?, page.limit, page.offset).await?;
    let items: Vec<Value> = found.items.iter().map(shown).collect();
    Ok(page.answer(&items, found.total))
}

/// One callback, however it stands by now, with what is sent.
#[utoipa::path(get, path = "/admin/batch-dlq/{id}", tag = "dead letters", params(("id" = String, Path)), responses((status = 200, description = "The callback, with `payload`")))]
pub async fn get(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let found = setup.store.tenant(caller.tenant).dead_letters().get(delivery_id(&id)?).await?;
    Ok(Json(with_payload(&found.ok_or_else(unknown)?)))
}

/// Has a callback that did not arrive tried again, for another day, under the same id.
#[utoipa::path(post, path = "/admin/batch-dlq/{id}/replay", tag = "dead letters", params(("id" = String, Path)), responses((status = 200, description = "The callback, pending"), (status = 409, description = "It arrived, was abandoned, or is still being tried")))]
pub async fn replay(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    answer(setup.store.tenant(caller.tenant).dead_letters().replay(delivery_id(&id)?, &caller.actor).await?)
}

/// Says that a callback that did not arrive is not wanted any more. It cannot be replayed then.
#[utoipa::path(post, path = "/admin/batch-dlq/{id}/abandon", tag = "dead letters", params(("id" = String, Path)), responses((status = 200, description = "The callback, abandoned"), (status = 409, description = "It arrived, was abandoned, or is still being tried")))]
pub async fn abandon(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    answer(setup.store.tenant(caller.tenant).dead_letters().abandon(delivery_id(&id)?, &caller.actor).await?)
}

fn answer(outcome: DeliveryOutcome) -> Result<Json<Value>, ApiError> {
    match outcome {
        DeliveryOutcome::Done(callback) => Ok(Json(shown(&callback))),
        DeliveryOutcome::NotFound => Err(unknown()),
        DeliveryOutcome::NotFrom(DeliveryStatus::Pending) => Err(ApiError::new(ErrorCode::Conflict, "this callback is still being tried")),
        DeliveryOutcome::NotFrom(status) => {
            Err(ApiError::new(ErrorCode::AlreadyTerminal, format!("this callback is {} for good", status.as_str())))
        }
    }
}

fn unknown() -> ApiError {
    ApiError::not_found("there is no such callback")
}
