//! What data a template takes: its schema, a sample, and a check.

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode};
use domain::ErrorCode;
use domain::templates::TemplateKey;
use render::{Resolved, Which};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Setup;
use crate::auth::Caller;
use crate::body::{AnyJson, Path, Query};
use crate::error::{ApiError, IssueBody};
use crate::preconditions::takes_no_condition;
use crate::templates::{known_key, unknown};

/// Which version is meant.
#[derive(Deserialize)]
pub struct VersionQuery {
    version: Option<String>,
    label: Option<String>,
}

/// The JSON Schema of the data.
#[utoipa::path(get, path = "/templates/{key}/schema", tag = "templates", params(("key" = String, Path), ("version" = Option<String>, Query), ("label" = Option<String>, Query)), responses((status = 200, description = "The schema"), (status = 404, description = "Unknown")))]
pub async fn schema(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(key): Path<String>,
    Query(query): Query<VersionQuery>,
) -> Result<Json<Value>, ApiError> {
    let resolved = resolve(&setup, &caller, &known_key(&key)?, query).await?;
    Ok(Json(schema_of(&resolved)))
}

/// A sample of the data: the stored one, the definition's own, or one made from the schema.
#[utoipa::path(get, path = "/templates/{key}/sample", tag = "templates", params(("key" = String, Path), ("version" = Option<String>, Query), ("label" = Option<String>, Query)), responses((status = 200, description = "The sample"), (status = 404, description = "Unknown")))]
pub async fn get(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(key): Path<String>,
    Query(query): Query<VersionQuery>,
) -> Result<Json<Value>, ApiError> {
    let key = known_key(&key)?;
    let resolved = resolve(&setup, &caller, &key, query).await?;
    Ok(Json(sample_of(&setup, caller, &key, &resolved).await?))
}

/// Stores a sample.
#[utoipa::path(put, path = "/templates/{key}/sample", tag = "templates", params(("key" = String, Path)), request_body = Value, responses((status = 200, description = "Stored"), (status = 400, description = "With If-Match, which this operation does not take, or not acceptable"), (status = 404, description = "Unknown")))]
pub async fn put(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(key): Path<String>,
    headers: HeaderMap,
    AnyJson(sample): AnyJson,
) -> Result<Json<Value>, ApiError> {
    takes_no_condition(&headers)?;
    let key = known_key(&key)?;
    if !sample.is_object() {
        return Err(ApiError::new(ErrorCode::ValidationFailed, "a sample is a JSON object"));
    }
    if setup.store.tenant(caller.tenant).samples().put(&key, &sample, &caller.actor).await? { Ok(Json(sample)) } else { Err(unknown(&key)) }
}

/// Removes the stored sample.
#[utoipa::path(delete, path = "/templates/{key}/sample", tag = "templates", params(("key" = String, Path)), responses((status = 204, description = "Removed"), (status = 404, description = "Unknown")))]
pub async fn delete(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(key): Path<String>,
) -> Result<StatusCode, ApiError> {
    let key = known_key(&key)?;
    if setup.store.tenant(caller.tenant).samples().delete(&key, &caller.actor).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(unknown(&key))
    }
}

/// Checks data against the template's schema.
#[utoipa::path(post, path = "/templates/{key}/validate", tag = "templates", params(("key" = String, Path), ("version" = Option<String>, Query), ("label" = Option<String>, Query)), request_body = Value, responses((status = 200, description = "valid and issues"), (status = 404, description = "Unknown")))]
pub async fn validate(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(key): Path<String>,
    Query(query): Query<VersionQuery>,
    AnyJson(data): AnyJson,
) -> Result<Json<Value>, ApiError> {
    let resolved = resolve(&setup, &caller, &known_key(&key)?, query).await?;
    let issues: Vec<IssueBody> = setup.renderer.validate(resolved.compiled, data).await?.into_iter().map(Into::into).collect();
    Ok(Json(json!({ "valid": issues.is_empty(), "issues": issues })))
}

/// The schema of a version; one that takes everything where it has none.
pub fn schema_of(resolved: &Resolved) -> Value {
    resolved.compiled.input_schema().cloned().unwrap_or_else(|| json!({}))
}

/// The sample that is stored for the template, or one that the version makes.
pub async fn sample_of(setup: &Setup, caller: Caller, key: &TemplateKey, resolved: &Resolved) -> Result<Value, ApiError> {
    let stored = setup.store.tenant(caller.tenant).samples().get(key).await?;
    Ok(stored.unwrap_or_else(|| resolved.compiled.sample_data()))
}

pub async fn resolve(setup: &Setup, caller: &Caller, key: &TemplateKey, query: VersionQuery) -> Result<Resolved, ApiError> {
    let which = which(query.version.as_deref(), query.label.as_deref())?;
    Ok(setup.renderer.template(&caller.tenant, key, which).await?)
}

/// The version that `version` or `label` asks for; `@latest` is the current one. Without either it is the live label's, where
/// the installation has one.
pub fn which(version: Option<&str>, label: Option<&str>) -> Result<Which, ApiError> {
    Ok(render::render_body::which(version, label)?)
}
