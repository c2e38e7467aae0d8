//! The registry of tenants, for super-admins.

use axum::Json;
use axum::extract::{Extension, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use domain::rate_limits::MOST_REQUESTS_PER_MINUTE;
use domain::tenants::TenantStatus;
use domain::{ErrorCode, Issue, Quotas, TenantId};
use serde::Deserialize;
use serde_json::{Value, json};
use store::{StatusOutcome, TenantRecord};
use utoipa::ToSchema;

use crate::Setup;
use crate::auth::Caller;
use crate::body::{JsonBody, Path};
use crate::error::ApiError;
use crate::identity::Tenancy;
use crate::query::Pairs;

/// The longest name of a tenant, in characters (a CHECK of the table).
const NAME_CHARS: usize = 255;

/// A tenant to be made.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewTenant {
    /// 1–64 characters of a-z, 0-9, - and _, beginning with a letter or digit. It is never given again.
    id: String,
    /// For people.
    name: String,
}

/// What of a tenant can be changed; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TenantPatch {
    /// For people.
    name: Option<String>,
    /// All of its limits, each a whole number: `rendersPerMonth`, `renderSecondsPerMonth` (calendar months in UTC),
    /// `concurrentRenders` (on each replica), `storageBytes`, `requestsPerMinute` (of all its credentials). One that is left out or null is lifted. Only tenants of the
    /// registry have limits: a server with one tenant has none.
    #[schema(value_type = Object)]
    quotas: Option<Value>,
}

/// One page of the tenants, by id.
#[utoipa::path(get, path = "/admin/tenants", tag = "tenants", params(("limit" = Option<u32>, Query), ("offset" = Option<u64>, Query)), responses((status = 200, description = "items, total, limit and offset")))]
pub async fn list(State(setup): State<Setup>, RawQuery(query): RawQuery) -> Result<Json<Value>, ApiError> {
    served(&setup)?;
    let page = Pairs::read(query.as_deref())?.page()?;
    let found = setup.store.tenants().list(page.limit, page.offset).await?;
    let items: Vec<Value> = found.items.iter().map(shown).collect();
    Ok(page.answer(&items, found.total))
}

/// Makes a tenant.
#[utoipa::path(post, path = "/admin/tenants", tag = "tenants", request_body = NewTenant, responses((status = 201, description = "The tenant"), (status = 409, description = "The id is taken, or was once")))]
pub async fn create(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    JsonBody(body): JsonBody<NewTenant>,
) -> Result<Response, ApiError> {
    served(&setup)?;
    let id: TenantId = body.id.parse().map_err(|error: domain::tenants::InvalidTenantId| ApiError::field("/id", error.to_string()))?;
    let name = name(&body.name)?;
    if !setup.store.tenants().insert(&id, name, &caller.actor).await? {
        return Err(ApiError::new(ErrorCode::Conflict, format!("there is, or was, a tenant \"{id}\"; choose another id")));
    }
    let made = known(&setup, &id).await?;
    Ok((StatusCode::CREATED, Json(shown(&made))).into_response())
}

/// One tenant.
#[utoipa::path(get, path = "/admin/tenants/{id}", tag = "tenants", params(("id" = String, Path)), responses((status = 200, description = "The tenant")))]
pub async fn get(State(setup): State<Setup>, Path(id): Path<String>) -> Result<Json<Value>, ApiError> {
    served(&setup)?;
    Ok(Json(shown(&known(&setup, &tenant_id(&id)?).await?)))
}

/// Changes what a tenant is called, or how much it may use.
#[utoipa::path(patch, path = "/admin/tenants/{id}", tag = "tenants", params(("id" = String, Path)), request_body = TenantPatch, responses((status = 200, description = "The tenant")))]
pub async fn update(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<TenantPatch>,
) -> Result<Json<Value>, ApiError> {
    served(&setup)?;
    let id = tenant_id(&id)?;
    let name = body.name.as_deref().map(name).transpose()?;
    let quotas = body.quotas.as_ref().map(quotas).transpose()?;
    if name.is_none() && quotas.is_none() {
        return Ok(Json(shown(&known(&setup, &id).await?)));
    }
    let updated = setup.store.tenants().update(&id, name, quotas, &caller.actor).await?;
    Ok(Json(shown(&updated.ok_or_else(|| unknown(&id))?)))
}

/// From now on the tenant can be read, and nothing else.
#[utoipa::path(post, path = "/admin/tenants/{id}/archive", tag = "tenants", params(("id" = String, Path)), responses((status = 200, description = "The tenant"), (status = 409, description = "It was purged")))]
pub async fn archive(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    set_status(&setup, &caller, &id, TenantStatus::Archived).await
}

/// The tenant takes writes again.
#[utoipa::path(post, path = "/admin/tenants/{id}/unarchive", tag = "tenants", params(("id" = String, Path)), responses((status = 200, description = "The tenant"), (status = 409, description = "It was purged")))]
pub async fn unarchive(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    set_status(&setup, &caller, &id, TenantStatus::Active).await
}

pub(crate) async fn set_status(setup: &Setup, caller: &Caller, id: &str, to: TenantStatus) -> Result<Json<Value>, ApiError> {
    served(setup)?;
    let id = tenant_id(id)?;
    if to == TenantStatus::Archived && id == TenantId::default_tenant() {
        return Err(ApiError::new(ErrorCode::Conflict, "the tenant \"default\" cannot be archived: keys without a tenant belong to it"));
    }
    let outcome = setup.store.tenants().set_status(&id, to, &caller.actor).await?;
    // This replica knows at once; the others hear of it.
    setup.identity.changed(&id);
    match outcome {
        StatusOutcome::Done(tenant) => Ok(Json(shown(&tenant))),
        StatusOutcome::NotFound => Err(unknown(&id)),
        StatusOutcome::NotFrom(_) => Err(ApiError::new(ErrorCode::TenantPurged, format!("the tenant \"{id}\" was purged"))),
    }
}

/// The registry exists only where there are tenants.
pub(crate) fn served(setup: &Setup) -> Result<(), ApiError> {
    match setup.identity.tenancy() {
        Tenancy::Multi => Ok(()),
        Tenancy::Single => Err(ApiError::not_found("this server has one tenant; MULTI_TENANT_ENABLED=true opens the registry")),
    }
}

pub(crate) async fn known(setup: &Setup, id: &TenantId) -> Result<TenantRecord, ApiError> {
    setup.store.tenants().get(id).await?.ok_or_else(|| unknown(id))
}

pub(crate) fn tenant_id(text: &str) -> Result<TenantId, ApiError> {
    text.parse().map_err(|_| ApiError::new(ErrorCode::TenantUnknown, "there is no such tenant"))
}

pub(crate) fn unknown(id: &TenantId) -> ApiError {
    ApiError::new(ErrorCode::TenantUnknown, format!("there is no tenant \"{id}\""))
}

fn name(given: &str) -> Result<&str, ApiError> {
    let chars = given.chars().count();
    if given.trim().is_empty() || chars > NAME_CHARS || given.chars().any(char::is_control) {
        return Err(ApiError::field("/name", format!("has {chars} characters; accepted: 1 to {NAME_CHARS} printable characters")));
    }
    Ok(given)
}

/// The names of the limits on the wire.
const LIMITS: [&str; 5] = ["rendersPerMonth", "renderSecondsPerMonth", "concurrentRenders", "storageBytes", "requestsPerMinute"];

/// Limits read one by one, so that each wrong one is named.
fn quotas(given: &Value) -> Result<Quotas, ApiError> {
    let Value::Object(given) = given else { return Err(ApiError::field("/quotas", format!("must be an object of {}", LIMITS.join(", ")))) };
    let mut issues = Vec::new();
    for (name, limit) in given {
        let most = match name.as_str() {
            "concurrentRenders" => u32::MAX.into(),
            "requestsPerMinute" => MOST_REQUESTS_PER_MINUTE.into(),
            _ => u64::MAX,
        };
        if !LIMITS.contains(&name.as_str()) {
            issues.push(Issue::new(format!("/quotas/{name}"), format!("is no limit; accepted: {}", LIMITS.join(", "))));
        } else if !limit.is_null() && limit.as_u64().is_none_or(|limit| limit > most) {
            issues.push(Issue::new(format!("/quotas/{name}"), "must be a whole number from 0, or null for no limit"));
        }
    }
    if issues.is_empty() {
        return serde_json::from_value(Value::Object(given.clone())).map_err(|error| ApiError::field("/quotas", error.to_string()));
    }
    Err(ApiError::invalid(ErrorCode::ValidationFailed, issues))
}

fn shown(tenant: &TenantRecord) -> Value {
    json!({
        "id": tenant.id, "name": tenant.name, "status": tenant.status.as_str(), "createdAt": tenant.created_at.to_string(),
        "updatedAt": tenant.updated_at.to_string(), "archivedAt": tenant.archived_at.map(|time| time.to_string()), "quotas": tenant.quotas,
    })
}
