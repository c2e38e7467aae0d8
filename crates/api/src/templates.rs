//! Templates: made, read, changed and put into the trash.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, extract::RawQuery};
use document::Compiled;
use domain::template_tags::TemplateTag;
use domain::templates::TemplateKey;
use domain::{ErrorCode, Issue};
use render::Checking;
use serde_json::{Value, json};
use store::{
    Approval, DeleteOutcome, InsertOutcome, NewTemplate, PartInUse, Revision, TemplateContent, TemplateFilter, TemplateKind,
    TemplateRecord, TemplateSummary, UpdateOutcome,
};

use crate::Setup;
use crate::auth::Caller;
use crate::body::{AnyJson, Path};
use crate::error::ApiError;
use crate::label_proofs::Consent;
use crate::preconditions::{change_note, etag, expected_version, stale};
use crate::query::{Pairs, Switch};
use crate::template_filter::filter;
use crate::template_references::{self, part_missing, within_reach};
use crate::template_trash;

/// Lists templates.
#[utoipa::path(get, path = "/templates", tag = "templates",
    params(("limit" = Option<u32>, Query), ("offset" = Option<u64>, Query), ("q" = Option<String>, Query, description = "part of key or name"), ("kind" = Option<String>, Query),
        ("key" = Option<Vec<String>>, Query), ("tag" = Option<Vec<String>>, Query, description = "all of them"), ("owner" = Option<String>, Query), ("label" = Option<String>, Query, description = "those with this label"),
        ("folderId" = Option<String>, Query), ("folderPath" = Option<String>, Query, description = "such as /finance; / is the top"), ("recursive" = Option<bool>, Query),
        ("state" = Option<String>, Query, description = "active or deleted"), ("sort" = Option<String>, Query, description = "key, name, createdAt, updatedAt or deletedAt"),
        ("order" = Option<String>, Query, description = "asc or desc")),
    responses((status = 200, description = "A page: items, total, limit, offset")))]
pub async fn list(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let filter = TemplateFilter { reached: caller.templates, ..filter(query.as_deref())? };
    let page = setup.store.tenant(caller.tenant).templates().list(&filter).await?;
    let items: Vec<Value> = page.items.iter().map(summary).collect();
    Ok(Json(json!({ "items": items, "total": page.total, "limit": filter.limit, "offset": filter.offset })))
}

/// Makes a template from a definition.
#[utoipa::path(post, path = "/templates", tag = "templates", request_body = Value, params(("Idempotency-Key" = Option<String>, Header)), responses((status = 201, description = "Made"), (status = 409, description = "The key is taken"), (status = 422, description = "The definition is not valid")))]
pub async fn create(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    AnyJson(definition): AnyJson,
) -> Result<Response, ApiError> {
    let note = change_note(&headers)?;
    // First, so that what is out of reach is refused alike, whether it is there or not.
    within_reach(&setup, &caller, &definition, None).await?;
    let checked = check(&setup, &caller, &definition, None).await?;
    caller.reaches(&checked.key)?;
    let tags = tags(&definition);
    let new = NewTemplate { key: &checked.key, content: checked.content(&definition), tags: &tags, owner: None };
    let revision = Revision { actor: &caller.actor, change_note: note.as_deref() };
    match setup.store.tenant(caller.tenant.clone()).templates().insert(new, revision).await? {
        InsertOutcome::KeyTaken => Err(ApiError::new(
            ErrorCode::Conflict,
            format!("there is a template \"{}\" already; update it with PUT, or choose another key", checked.key),
        )),
        InsertOutcome::PartMissing { part } => Err(part_missing(&part)),
        InsertOutcome::Written(made) => {
            setup.renderer.template_changed(&caller.tenant, &checked.key).await;
            Ok((StatusCode::CREATED, [(header::ETAG, etag(made.current_version))], Json(summary(&made))).into_response())
        }
    }
}

/// One template with its current definition.
#[utoipa::path(get, path = "/templates/{key}", tag = "templates", params(("key" = String, Path)), responses((status = 200, description = "The template; ETag is its version"), (status = 404, description = "Unknown")))]
pub async fn get(State(setup): State<Setup>, Extension(caller): Extension<Caller>, Path(key): Path<String>) -> Result<Response, ApiError> {
    let key = known_key(&key)?;
    let record = setup.store.tenant(caller.tenant).templates().get_current(&key).await?.ok_or_else(|| unknown(&key))?;
    Ok(full(&record))
}

/// Saves a new version; `If-Match` names the version it was made from.
#[utoipa::path(put, path = "/templates/{key}", tag = "templates", params(("key" = String, Path)), request_body = Value, responses((status = 200, description = "Saved; ETag is the new version"), (status = 412, description = "Somebody else saved meanwhile"), (status = 428, description = "If-Match is missing")))]
pub async fn update(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(key): Path<String>,
    headers: HeaderMap,
    AnyJson(definition): AnyJson,
) -> Result<Response, ApiError> {
    let key = known_key(&key)?;
    let (expected, note) = (expected_version(&headers)?, change_note(&headers)?);
    within_reach(&setup, &caller, &definition, Some(&key)).await?;
    let checked = check(&setup, &caller, &definition, Some(&key)).await?;
    let revision = Revision { actor: &caller.actor, change_note: note.as_deref() };
    let tenant = setup.store.tenant(caller.tenant.clone());
    match tenant.templates().update(&key, expected, checked.content(&definition), revision).await? {
        UpdateOutcome::NotFound => Err(unknown(&key)),
        UpdateOutcome::Stale { current } => Err(stale(expected, current)),
        UpdateOutcome::PartMissing { part } => Err(part_missing(&part)),
        UpdateOutcome::Written(saved) => {
            setup.renderer.template_changed(&caller.tenant, &key).await;
            let mut body = summary(&saved);
            body["definition"] = definition;
            Ok(([(header::ETAG, etag(saved.current_version))], Json(body)).into_response())
        }
    }
}

/// Puts a template into the trash; its key is free again. With `permanent=true` it removes one from the trash for good. One that
/// others are made with stays, unless `force=true` puts it into the trash nevertheless: they do not render until it is back. One
/// with a protected label goes with `force=true` and a `note` only.
#[utoipa::path(delete, path = "/templates/{key}", tag = "templates", params(("key" = String, Path), ("permanent" = Option<bool>, Query), ("force" = Option<bool>, Query), ("note" = Option<String>, Query)), responses((status = 204, description = "Gone"), (status = 409, description = "Others are made with it (`template_in_use`, `layout_in_use`; referencedBy lists them), it has a protected label (`approval_required`), or it is to be removed for good and not in the trash (`template_not_in_trash`)"), (status = 412, description = "Somebody else saved meanwhile"), (status = 428, description = "If-Match is missing")))]
pub async fn delete(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(key): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    let key = known_key(&key)?;
    let pairs = Pairs::read(query.as_deref())?;
    let is_forced = pairs.switch("force", Switch::Off)?;
    let in_use = if is_forced { PartInUse::Override } else { PartInUse::Refuse };
    let note = Consent::read(None, pairs.text("note"))?.note;
    if pairs.switch("permanent", Switch::Off)? {
        return template_trash::purge(&setup, &caller, &key).await;
    }
    let expected = expected_version(&headers)?;
    let protected: &[_] = if is_forced && note.is_some() { &[] } else { &setup.renderer.releases().protected };
    let approval = Approval { protected, proofs: &[], note: note.as_ref() };
    match setup.store.tenant(caller.tenant.clone()).templates().delete(&key, expected, in_use, approval, &caller.actor).await? {
        DeleteOutcome::NotFound => Err(unknown(&key)),
        DeleteOutcome::Stale { current } => Err(stale(expected, current)),
        DeleteOutcome::InUse(usage) => {
            Err(template_references::in_use(&usage, &key, &caller, "change them first, or send force=true, after which they do not render"))
        }
        DeleteOutcome::Protected { label } => {
            let said = format!(
                "\"{key}\" has the protected label \"{label}\", whose callers get nothing without it; with force and a note it goes all the same"
            );
            Err(ApiError::new(ErrorCode::ApprovalRequired, said))
        }
        DeleteOutcome::Deleted => {
            setup.renderer.template_changed(&caller.tenant, &key).await;
            Ok(StatusCode::NO_CONTENT)
        }
    }
}

/// A definition that may be stored.
pub(crate) struct Checked {
    key: TemplateKey,
    name: String,
    description: Option<String>,
    kind: TemplateKind,
}

impl Checked {
    fn content<'a>(&'a self, definition: &'a Value) -> TemplateContent<'a> {
        TemplateContent { name: &self.name, description: self.description.as_deref(), kind: self.kind, definition }
    }
}

/// A stored definition names itself: by `key` (the path's, where there is one) and by `name`.
pub(crate) async fn check(setup: &Setup, caller: &Caller, definition: &Value, path_key: Option<&TemplateKey>) -> Result<Checked, ApiError> {
    let own_key = || definition.get("key").and_then(Value::as_str).and_then(|key| key.parse().ok());
    // A template that uses itself through others is found with what it is about to say.
    let replacing = path_key.cloned().or_else(own_key).map(|key| (key, Arc::new(definition.clone())));
    let checking = Checking { replacing, reached: caller.templates.clone() };
    let compiled: Compiled = setup.renderer.check(&caller.tenant, definition.clone(), checking).await?;
    let mut issues = Vec::new();
    let key = compiled.key().or(path_key).cloned();
    if key.is_none() {
        issues.push(Issue::new("/key", "is missing; a template needs a key such as \"invoice\""));
    }
    if let (Some(given), Some(wanted)) = (compiled.key(), path_key)
        && given != wanted
    {
        issues.push(Issue::new("/key", format!("is \"{given}\", but the path names \"{wanted}\"; a key cannot be changed")));
    }
    if compiled.name().is_none() {
        issues.push(Issue::new("/name", "is missing; a template needs a name for people"));
    }
    let kind = definition.get("kind").and_then(Value::as_str).map_or(Some(TemplateKind::Document), TemplateKind::from_word);
    match (key, compiled.name(), kind) {
        (Some(key), Some(name), Some(kind)) if issues.is_empty() => {
            Ok(Checked { key, name: name.to_owned(), description: compiled.description().map(str::to_owned), kind })
        }
        _ => Err(ApiError::invalid(ErrorCode::ValidationFailed, issues)),
    }
}

/// The tags that a definition names. Those that can be none are left out: a definition from elsewhere has its own idea of them.
fn tags(definition: &Value) -> Vec<String> {
    let given = definition.get("tags").and_then(Value::as_array);
    let tags = TemplateTag::distinct(given.into_iter().flatten().filter_map(|tag| tag.as_str()?.parse().ok()));
    tags.into_iter().take(store::TAGS_LIMIT).collect()
}

/// A key from a path. What is no key names no template either.
pub fn known_key(text: &str) -> Result<TemplateKey, ApiError> {
    text.parse().map_err(|_| ApiError::not_found("there is no such template"))
}

pub fn unknown(key: &TemplateKey) -> ApiError {
    ApiError::not_found(format!("there is no template \"{key}\""))
}

pub fn summary(template: &TemplateSummary) -> Value {
    json!({
        "key": template.key, "name": template.name, "currentVersion": template.current_version, "description": template.description,
        "kind": template.kind.as_str(), "tags": template.tags, "owner": template.owner,
        "createdAt": template.created_at, "updatedAt": template.updated_at, "folderId": template.folder_id, "folderPath": template.folder_path,
        "deletedAt": template.deleted_at, "deletedBy": template.deleted_by,
    })
}

/// A template with the definition of one version.
pub fn full(record: &TemplateRecord) -> Response {
    ([(header::ETAG, etag(record.version))], Json(full_body(record))).into_response()
}

/// As [`full`], the body alone.
pub fn full_body(record: &TemplateRecord) -> Value {
    json!({
        "key": record.key, "name": record.name, "currentVersion": record.current_version, "version": record.version,
        "description": record.description, "kind": record.kind.as_str(), "contentHash": record.content_hash.to_string(),
        "createdAt": record.created_at, "createdBy": record.created_by, "changeNote": record.change_note, "definition": record.definition,
    })
}
