//! The past of a template: its immutable versions.

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::response::Response;
use domain::ErrorCode;
use domain::templates::{TemplateKey, TemplateVersion};
use serde::Deserialize;
use serde_json::{Value, json};
use store::{MAX_PAGE_ROWS, RestoreOutcome, Revision, VersionSummary};

use crate::Setup;
use crate::auth::Caller;
use crate::body::{JsonBody, Path, Query};
use crate::error::ApiError;
use crate::preconditions::{change_note, expected_version, stale, takes_no_condition};
use crate::template_references::{part_missing, within_reach};
use crate::templates::{check, full, known_key, unknown};

/// Which part of a list.
#[derive(Deserialize)]
pub struct PageQuery {
    limit: Option<u32>,
    offset: Option<u64>,
}

/// A new note for a version.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NoteBody {
    /// Why the version was made; null removes the note.
    change_note: Option<String>,
}

/// Lists a template's versions, the newest first.
#[utoipa::path(get, path = "/templates/{key}/versions", tag = "versions", params(("key" = String, Path), ("limit" = Option<u32>, Query), ("offset" = Option<u64>, Query)), responses((status = 200, description = "A page"), (status = 404, description = "Unknown")))]
pub async fn list(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(key): Path<String>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Value>, ApiError> {
    let key = known_key(&key)?;
    let (limit, offset) = (query.limit.unwrap_or(50), query.offset.unwrap_or(0));
    if limit == 0 || limit > MAX_PAGE_ROWS {
        return Err(ApiError::bad_request(format!("limit must be a whole number from 1 to {MAX_PAGE_ROWS}")));
    }
    let page = setup.store.tenant(caller.tenant).template_versions().list(&key, limit, offset).await?.ok_or_else(|| unknown(&key))?;
    let items: Vec<Value> = page.items.iter().map(summary).collect();
    Ok(Json(json!({ "items": items, "total": page.total, "limit": limit, "offset": offset })))
}

/// One version with its definition.
#[utoipa::path(get, path = "/templates/{key}/versions/{version}", tag = "versions", params(("key" = String, Path), ("version" = String, Path)), responses((status = 200, description = "The version"), (status = 404, description = "Unknown")))]
pub async fn get(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path((key, version)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let (key, version) = (known_key(&key)?, known_version(&version)?);
    let record = setup.store.tenant(caller.tenant).template_versions().get(&key, version).await?;
    Ok(full(&record.ok_or_else(|| unknown_version(&key, version))?))
}

/// Changes the note of a version; nothing else of it can be changed.
#[utoipa::path(patch, path = "/templates/{key}/versions/{version}", tag = "versions", params(("key" = String, Path), ("version" = String, Path)), request_body = NoteBody, responses((status = 200, description = "The version row"), (status = 400, description = "With If-Match, which this operation does not take, or not acceptable"), (status = 404, description = "Unknown")))]
pub async fn set_note(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path((key, version)): Path<(String, String)>,
    headers: HeaderMap,
    JsonBody(body): JsonBody<NoteBody>,
) -> Result<Json<Value>, ApiError> {
    takes_no_condition(&headers)?;
    let (key, version) = (known_key(&key)?, known_version(&version)?);
    let note = body.change_note.filter(|note| !note.is_empty());
    if note.as_ref().is_some_and(|note| note.chars().count() > store::CHANGE_NOTE_LIMIT_CHARS || note.contains('\0')) {
        return Err(ApiError::new(ErrorCode::InvalidChangeNote, "changeNote has at most 2,000 characters and no NUL"));
    }
    let row = setup.store.tenant(caller.tenant).template_versions().set_change_note(&key, version, note.as_deref(), &caller.actor).await?;
    Ok(Json(summary(&row.ok_or_else(|| unknown_version(&key, version))?)))
}

/// Makes the definition of an old version current again, as a new version.
#[utoipa::path(post, path = "/templates/{key}/versions/{version}/restore", tag = "versions", params(("key" = String, Path), ("version" = String, Path), ("Idempotency-Key" = Option<String>, Header)), responses((status = 200, description = "Restored; ETag is the new version"), (status = 404, description = "Unknown"), (status = 412, description = "Somebody else saved meanwhile"), (status = 428, description = "If-Match is missing")))]
pub async fn restore(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path((key, version)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (key, version) = (known_key(&key)?, known_version(&version)?);
    let (expected, note) = (expected_version(&headers)?, change_note(&headers)?);
    let revision = Revision { actor: &caller.actor, change_note: note.as_deref() };
    let tenant = setup.store.tenant(caller.tenant.clone());
    if let Some(old) = tenant.template_versions().get(&key, version).await? {
        // What it is made with may have changed since.
        within_reach(&setup, &caller, &old.definition, Some(&key)).await?;
        check(&setup, &caller, &old.definition, Some(&key)).await?;
    }
    match tenant.template_versions().restore(&key, expected, version, revision).await? {
        RestoreOutcome::NotFound => Err(unknown(&key)),
        RestoreOutcome::VersionNotFound => Err(unknown_version(&key, version)),
        RestoreOutcome::Stale { current } => Err(stale(expected, current)),
        RestoreOutcome::PartMissing { part } => Err(part_missing(&part)),
        RestoreOutcome::Written(record) => {
            setup.renderer.template_changed(&caller.tenant, &key).await;
            Ok(full(&record))
        }
    }
}

fn known_version(text: &str) -> Result<TemplateVersion, ApiError> {
    text.parse().map_err(|_| ApiError::not_found("there is no such version; versions look like 1.0.3"))
}

fn unknown_version(key: &TemplateKey, version: TemplateVersion) -> ApiError {
    ApiError::not_found(format!("there is no version {version} of a template \"{key}\""))
}

fn summary(version: &VersionSummary) -> Value {
    json!({
        "version": version.version, "createdAt": version.created_at, "createdBy": version.created_by,
        "changeNote": version.change_note, "contentHash": version.content_hash.to_string(),
    })
}
