//! What a schedule's data would be, before there is a schedule; and which documents a burst would make of it.

use axum::Json;
use axum::extract::{Extension, State};
use document::words::When;
use domain::relative_dates::{check_parameters, resolve_parameters};
use domain::schedule_secrets::keep;
use domain::schedule_sources::{Burst, DataSource};
use domain::templates::TemplateKey;
use domain::{ErrorCode, Issue};
use jiff::tz::TimeZone;
use render::ScheduleError;
use serde_json::{Map, Value, json};

use crate::Setup;
use crate::auth::Caller;
use crate::body::AnyJson;
use crate::error::ApiError;
use crate::schedules::readable;

/// Bytes of data that an answer shows.
const SHOWN_BYTES: usize = 64 * 1024;
/// Elements that an answer shows.
const SAMPLE: usize = 10;

/// Gets the data that a schedule would get now, and shows the beginning of it.
#[utoipa::path(post, path = "/schedules/data-source/test", tag = "schedules", request_body = Object, responses((status = 200, description = "ok, and data (or its shape, where it is large), or errorCode and error"), (status = 422, description = "The data source cannot be read")))]
pub async fn test(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    AnyJson(body): AnyJson,
) -> Result<Json<Value>, ApiError> {
    let given = object(body)?;
    // What the other side answers is this answer's, not a failure of it.
    let said = match data(&setup, &caller, &given).await? {
        Ok(data) => {
            let size_bytes = data.to_string().len();
            let shape: Map<String, Value> = data.as_object().map(shape).unwrap_or_default();
            json!({ "ok": true, "sizeBytes": size_bytes, "shape": shape, "data": (size_bytes <= SHOWN_BYTES).then_some(data) })
        }
        Err(error) => json!({ "ok": false, "errorCode": error.code().as_str(), "error": error.to_string() }),
    };
    Ok(Json(said))
}

/// Says how many documents a burst would make now, and of what; `data` stands in the place of a data source.
#[utoipa::path(post, path = "/schedules/burst/preview", tag = "schedules", request_body = Object, responses((status = 200, description = "total, filtered, truncated and sample"), (status = 422, description = "The burst or the data source cannot be read, or there is no list")))]
pub async fn preview(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    AnyJson(body): AnyJson,
) -> Result<Json<Value>, ApiError> {
    let given = object(body)?;
    let burst = given
        .get("burst")
        .ok_or_else(|| ApiError::field("/burst", "is missing; accepted: an object such as {\"itemsPath\": \"customers\"}"))?;
    let burst = Burst::from_json(burst, "/burst").map_err(invalid)?;
    let data = match given.get("data").filter(|data| !data.is_null()) {
        Some(data) => data.clone(),
        None => data(&setup, &caller, &given).await?.map_err(refused)?,
    };
    let when = When { now: setup.clock.now(), time_zone: zone_of(&given) };
    let bursted = tokio::task::spawn_blocking(move || document::burst::burst(&burst, &data, &when)).await;
    let bursted = bursted.map_err(|_| ApiError::new(ErrorCode::InternalError, "something is broken on our side"))?;
    let made = bursted.map_err(|error| ApiError::new(error.code(), error.to_string()))?;
    let sample: Vec<Value> = made
        .items
        .iter()
        .take(SAMPLE)
        .enumerate()
        .map(|(index, item)| json!({ "index": index, "key": item.key, "data": item.data }))
        .collect();
    Ok(Json(
        json!({ "total": made.total, "filtered": made.filtered, "truncated": made.truncated, "items": made.items.len(), "sample": sample }),
    ))
}

/// The data of a source in the request, or of a schedule that exists; with the secrets that it has where the request says the same place.
async fn data(setup: &Setup, caller: &Caller, given: &Map<String, Value>) -> Result<Result<Value, ScheduleError>, ApiError> {
    let known = match given.get("scheduleId").and_then(Value::as_str) {
        None => None,
        Some(id) => Some(readable(setup, caller, id).await?),
    };
    let store = setup.store.tenant(caller.tenant.clone());
    let mut definition = Map::new();
    match (given.get("dataSource").filter(|source| !source.is_null()), &known) {
        (Some(source), _) => {
            definition.insert("dataSource".to_owned(), source.clone());
        }
        (None, Some(known)) => {
            let source = known.input.definition.get("dataSource").cloned().unwrap_or_default();
            definition.insert("dataSource".to_owned(), source);
        }
        (None, None) => {
            return Err(ApiError::field("/dataSource", "is missing; accepted: an object such as {\"type\": \"static\", \"data\": {}}"));
        }
    }
    if let Some(known) = &known {
        let whole = store.schedules().get_whole(known.id).await?;
        let secrets = whole.map(|(_, secrets)| secrets).unwrap_or_default();
        keep(&mut definition, &known.input.definition, &secrets)
            .map_err(|issues| ApiError::invalid(ErrorCode::ScheduleSecretRequired, issues))?;
    }
    let source = DataSource::from_json(&definition["dataSource"], "/dataSource").map_err(invalid)?;
    let template = match (given.get("templateKey").and_then(Value::as_str), &known) {
        (Some(key), _) => key.parse::<TemplateKey>().map_err(|_| ApiError::field("/templateKey", "is no key of a template"))?,
        (None, Some(known)) => known.input.template_key.clone(),
        (None, None) if matches!(source, DataSource::Template { .. }) => {
            return Err(ApiError::field("/templateKey", "is missing; the data is that template's"));
        }
        // No other source asks for it.
        (None, None) => "none".parse().map_err(|_| ApiError::bad_request("templateKey is missing"))?,
    };
    caller.reaches(&template)?;
    let empty = Value::Object(Map::new());
    let parameters = given.get("parameters").filter(|given| !given.is_null());
    let parameters = parameters.or_else(|| known.as_ref().and_then(|known| known.input.definition.get("parameters"))).unwrap_or(&empty);
    check_parameters(parameters, "/parameters").map_err(invalid)?;
    let when = When { now: setup.clock.now(), time_zone: zone_of(given) };
    let resolved = parameters.as_object().map(|own| resolve_parameters(own, when.now, &when.time_zone)).unwrap_or_default();
    Ok(setup.renderer.schedule_data(&store, &template, &source, &resolved, &when).await)
}

/// The zone of the schedule's clock, as far as one is given.
fn zone_of(given: &Map<String, Value>) -> TimeZone {
    given.get("timezone").and_then(Value::as_str).and_then(|name| TimeZone::get(name).ok()).unwrap_or(TimeZone::UTC)
}

fn object(body: Value) -> Result<Map<String, Value>, ApiError> {
    match body {
        Value::Object(given) => Ok(given),
        _ => Err(ApiError::bad_request("the body must be an object")),
    }
}

fn invalid(issues: Vec<Issue>) -> ApiError {
    ApiError::invalid(ErrorCode::ValidationFailed, issues)
}

fn refused(error: ScheduleError) -> ApiError {
    match error {
        ScheduleError::Render(error) => error.into(),
        ScheduleError::Refused { code, message } => ApiError::new(code, message),
    }
}

/// What is in the data, by name: how many elements a list has, and what else is of which kind.
fn shape(data: &Map<String, Value>) -> Map<String, Value> {
    let kinds = data.iter().take(100).map(|(name, value)| {
        let kind = match value {
            Value::Array(list) => format!("list of {}", list.len()),
            Value::Object(fields) => format!("object of {}", fields.len()),
            Value::String(_) => "text".to_owned(),
            Value::Number(_) => "number".to_owned(),
            Value::Bool(_) => "boolean".to_owned(),
            Value::Null => "null".to_owned(),
        };
        (name.clone(), kind.into())
    });
    kinds.collect()
}
