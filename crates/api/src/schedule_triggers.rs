//! Schedules executed at once: as they are, or as a test that goes to whom it names alone.

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use domain::schedule_executions::TEST_RECIPIENTS_LIMIT;
use domain::schedule_targets::is_address;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use store::NewExecution;
use utoipa::ToSchema;

use crate::Setup;
use crate::auth::Caller;
use crate::body::{MaybeJsonBody, Path};
use crate::error::ApiError;
use crate::schedule_executions::shown;
use crate::schedules::{reaches, readable, unknown};

/// Bytes of the parameters of one trigger.
const PARAMETERS_BYTES: usize = 256 * 1024;

/// How an execution differs from the schedule's own.
#[derive(Deserialize, ToSchema, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TriggerBody {
    /// Parameters that stand in the place of the schedule's own: values, or dates told from a day.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    parameters: Option<Map<String, Value>>,
    /// The moment that it is about; now when absent.
    #[serde(default)]
    as_of: Option<String>,
    /// Whether it delivers whatever the schedule's condition says.
    #[serde(default)]
    ignore_delivery_condition: Option<bool>,
}

/// Who gets a test.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TestBody {
    /// Up to 20 addresses.
    #[serde(default)]
    to: Vec<String>,
}

/// Has a schedule executed at once, whether it is switched on or not.
#[utoipa::path(post, path = "/schedules/{id}/trigger", tag = "schedules", request_body = TriggerBody, params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)), responses((status = 202, description = "The execution")))]
pub async fn trigger(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    MaybeJsonBody(body): MaybeJsonBody<TriggerBody>,
) -> Result<Response, ApiError> {
    let schedule = readable(&setup, &caller, &id).await?;
    reaches(&caller, &schedule.input)?;
    let body = body.unwrap_or_default();
    let parameters = body.parameters.filter(|given| !given.is_empty()).map(Value::Object);
    if parameters.as_ref().is_some_and(|given| given.to_string().len() > PARAMETERS_BYTES) {
        return Err(ApiError::field("/parameters", format!("has more than {PARAMETERS_BYTES} bytes")));
    }
    let said = "must be an ISO 8601 time with its offset, such as \"2026-11-21T10:00:00Z\"";
    let as_of = body.as_of.map(|text| text.parse::<Timestamp>().map_err(|_| ApiError::field("/asOf", said))).transpose()?;
    let new =
        NewExecution { parameters, as_of, ignores_condition: body.ignore_delivery_condition == Some(true), test_recipients: Vec::new() };
    let made = setup.store.tenant(caller.tenant).schedule_executions().insert(schedule.id, &new, &caller.actor).await?;
    Ok((StatusCode::ACCEPTED, Json(shown(&made.ok_or_else(unknown)?))).into_response())
}

/// Sends what the schedule makes now to these addresses and nowhere else; of a burst the first document. Its condition does not count.
#[utoipa::path(post, path = "/schedules/{id}/test", tag = "schedules", request_body = TestBody, params(("id" = String, Path)), responses((status = 202, description = "The execution, which is delivered as any other"), (status = 422, description = "No address")))]
pub async fn test(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    MaybeJsonBody(body): MaybeJsonBody<TestBody>,
) -> Result<Response, ApiError> {
    let schedule = readable(&setup, &caller, &id).await?;
    reaches(&caller, &schedule.input)?;
    let to = body.map(|body| body.to).unwrap_or_default();
    if to.is_empty() || to.len() > TEST_RECIPIENTS_LIMIT {
        return Err(ApiError::field("/to", format!("accepted: 1 to {TEST_RECIPIENTS_LIMIT} addresses such as [\"ada@example.org\"]")));
    }
    if let Some(place) = to.iter().position(|address| !is_address(address)) {
        return Err(ApiError::field(&format!("/to/{place}"), "must be an address such as ada@example.org"));
    }
    let new = NewExecution { test_recipients: to, ..NewExecution::default() };
    let made = setup.store.tenant(caller.tenant).schedule_executions().insert(schedule.id, &new, &caller.actor).await?;
    let execution = made.ok_or_else(unknown)?;
    let answer = json!({ "executionId": execution.id, "status": execution.status.as_str(), "execution": shown(&execution) });
    Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
}
