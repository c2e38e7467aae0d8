//! What a form for a template's data is made from, and which data the template prints.

use axum::Json;
use axum::extract::{Extension, State};
use render::Which;
use serde_json::{Value, json};

use crate::Setup;
use crate::auth::Caller;
use crate::body::{Path, Query};
use crate::error::ApiError;
use crate::samples::{VersionQuery, resolve, sample_of, schema_of};
use crate::templates::known_key;

/// What a form for the data is made from: the schema, a sample to begin with, and what the template is called.
#[utoipa::path(get, path = "/templates/{key}/form-metadata", tag = "templates", params(("key" = String, Path), ("version" = Option<String>, Query), ("label" = Option<String>, Query)), responses((status = 200, description = "inputSchema, sample, name and description"), (status = 404, description = "Unknown")))]
pub async fn form_metadata(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(key): Path<String>,
    Query(query): Query<VersionQuery>,
) -> Result<Json<Value>, ApiError> {
    let key = known_key(&key)?;
    let resolved = resolve(&setup, &caller, &key, query).await?;
    let sample = sample_of(&setup, caller, &key, &resolved).await?;
    let compiled = &resolved.compiled;
    Ok(Json(json!({
        "templateKey": key, "version": resolved.version, "name": compiled.name(), "description": compiled.description(),
        "inputSchema": schema_of(&resolved),
        "sample": sample,
        // Where there are mappings, the schema is about what they make of the data.
        "hasFieldMappings": compiled.has_field_mappings(),
    })))
}

/// Every path of the data that the template names, with its node and whether the schema declares it.
#[utoipa::path(get, path = "/templates/{key}/bindings", tag = "templates", params(("key" = String, Path), ("version" = Option<String>, Query), ("label" = Option<String>, Query)), responses((status = 200, description = "bindings in the order of the document"), (status = 403, description = "A part is out of this credential's reach"), (status = 404, description = "Unknown")))]
pub async fn bindings(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(key): Path<String>,
    Query(query): Query<VersionQuery>,
) -> Result<Json<Value>, ApiError> {
    let key = known_key(&key)?;
    let resolved = resolve(&setup, &caller, &key, query).await?;
    if caller.is_for_all_templates().is_err() {
        // Its parts' paths are among them.
        let whole = setup.renderer.effective(&caller.tenant, &key, Which::Version(resolved.version)).await?;
        whole.parts.iter().try_for_each(|part| caller.reaches(&part.key))?;
    }
    let found = setup.renderer.bindings(resolved.compiled).await?;
    Ok(Json(json!({ "templateKey": key, "version": resolved.version, "bindings": found.bindings, "truncated": found.truncated })))
}
