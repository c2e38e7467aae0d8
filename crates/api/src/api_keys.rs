//! The API keys of a tenant. A key is shown once, when it is made or rotated.

use axum::Json;
use axum::extract::{Extension, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use domain::api_keys::ApiKeyText;
use domain::ids::ApiKeyId;
use domain::invisible::is_invisible;
use domain::networks::IpNetwork;
use domain::rate_limits::MOST_REQUESTS_PER_MINUTE;
use domain::{ErrorCode, Scope, TemplateSelector};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use store::{API_KEY_NAME_LIMIT_CHARS, API_KEY_TEMPLATES_LIMIT, ApiKeyOutcome, ApiKeyPatch, ApiKeyRecord, KeptSecret, NewApiKey};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Setup;
use crate::auth::Caller;
use crate::body::{JsonBody, MaybeJsonBody, Path, nullable};
use crate::error::ApiError;
use crate::query::Pairs;
use crate::random;

/// An API key to be made.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewKeyBody {
    /// For people.
    name: String,
    /// admin, editor, render or preview.
    #[schema(value_type = String)]
    scope: Scope,
    /// The first moment at which it does not work any more.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    expires_at: Option<Timestamp>,
    /// The only templates it is for, such as `invoice` or `invoice-*`; empty means all.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    allowed_templates: Vec<TemplateSelector>,
    /// The only addresses it is accepted from, such as `10.0.0.0/8`; empty means all.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    allowed_ips: Vec<IpNetwork>,
    /// How many requests it may send in a minute; what the deployment says when absent.
    #[serde(default)]
    requests_per_minute: Option<u32>,
}

/// A change of an API key; what is absent stays, `expiresAt: null` takes the end away.
#[expect(clippy::option_option, reason = "absent, null and a value are three things to say")]
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyPatchBody {
    /// For people.
    #[serde(default)]
    name: Option<String>,
    /// The first moment at which it does not work any more.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    expires_at: Option<Option<Timestamp>>,
    /// The only templates it is for; empty means all.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    allowed_templates: Option<Vec<TemplateSelector>>,
    /// The only addresses it is accepted from; empty means all.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    allowed_ips: Option<Vec<IpNetwork>>,
    /// How many requests it may send in a minute; null for what the deployment says.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<u32>)]
    requests_per_minute: Option<Option<u32>>,
}

/// How a key is rotated.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RotateBody {
    /// How long the key of before still works; a day when absent.
    #[serde(default)]
    overlap_seconds: Option<u32>,
}

/// How long the key before a rotation works when nothing is said.
const OVERLAP_SECONDS: u32 = 86_400;

/// One page of the API keys, newest first, without their secrets.
#[utoipa::path(get, path = "/admin/api-keys", tag = "api keys", params(("limit" = Option<u32>, Query), ("offset" = Option<u64>, Query)), responses((status = 200, description = "items, total, limit and offset")))]
pub async fn list(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let page = Pairs::read(query.as_deref())?.page()?;
    let found = setup.store.tenant(caller.tenant).api_keys().list(page.limit, page.offset).await?;
    let items: Vec<Value> = found.items.iter().map(shown).collect();
    Ok(page.answer(&items, found.total))
}

/// Makes an API key; the answer is the only place where it is shown.
#[utoipa::path(post, path = "/admin/api-keys", tag = "api keys", request_body = NewKeyBody, responses((status = 201, description = "The key, with its text in `key`")))]
pub async fn create(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    JsonBody(body): JsonBody<NewKeyBody>,
) -> Result<Response, ApiError> {
    caller.may_make_credentials()?;
    check(Some(&body.name), Some(&body.allowed_templates), Some(&body.allowed_ips))?;
    check_requests(body.requests_per_minute)?;
    if !Scope::OF_KEYS.contains(&body.scope) {
        return Err(ApiError::field("/scope", format!("is \"{}\"; accepted: admin, editor, render, preview", body.scope)));
    }
    if body.expires_at.is_some_and(|end| end <= setup.clock.now()) {
        return Err(ApiError::field("/expiresAt", "is in the past".to_owned()));
    }
    let text = ApiKeyText::generate(random::bytes()?);
    let secret = KeptSecret::of_api_key(&text, setup.identity.pepper());
    let new = NewApiKey {
        name: &body.name,
        scope: body.scope,
        lookup: &text.lookup(),
        secret: &secret,
        expires_at: body.expires_at,
        allowed_templates: &body.allowed_templates,
        allowed_ips: &body.allowed_ips,
        requests_per_minute: body.requests_per_minute,
    };
    let made = setup.store.tenant(caller.tenant.clone()).api_keys().insert(new, &caller.actor).await?;
    setup.identity.changed(&caller.tenant);
    Ok((StatusCode::CREATED, Json(with_text(&made, &text))).into_response())
}

/// One API key, without its secret.
#[utoipa::path(get, path = "/admin/api-keys/{id}", tag = "api keys", params(("id" = String, Path)), responses((status = 200, description = "The key")))]
pub async fn get(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let found = setup.store.tenant(caller.tenant).api_keys().get(key_id(&id)?).await?;
    Ok(Json(shown(&found.ok_or_else(unknown)?)))
}

/// Changes what an API key is called, how long it lasts and where it may be used.
#[utoipa::path(patch, path = "/admin/api-keys/{id}", tag = "api keys", params(("id" = String, Path)), request_body = KeyPatchBody, responses((status = 200, description = "The key"), (status = 409, description = "It is revoked")))]
pub async fn update(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<KeyPatchBody>,
) -> Result<Json<Value>, ApiError> {
    caller.may_make_credentials()?;
    check(body.name.as_deref(), body.allowed_templates.as_deref(), body.allowed_ips.as_deref())?;
    check_requests(body.requests_per_minute.flatten())?;
    let patch = ApiKeyPatch {
        name: body.name.as_deref(),
        expires_at: body.expires_at,
        allowed_templates: body.allowed_templates.as_deref(),
        allowed_ips: body.allowed_ips.as_deref(),
        requests_per_minute: body.requests_per_minute,
    };
    let outcome = setup.store.tenant(caller.tenant.clone()).api_keys().update(key_id(&id)?, patch, &caller.actor).await?;
    setup.identity.changed(&caller.tenant);
    let changed = written(outcome)?;
    Ok(Json(shown(&changed)))
}

/// Gives an API key another text; the one of before works on for the overlap.
#[utoipa::path(post, path = "/admin/api-keys/{id}/rotate", tag = "api keys", params(("id" = String, Path)), request_body = RotateBody, responses((status = 200, description = "The key, with its new text in `key`"), (status = 409, description = "It is revoked")))]
pub async fn rotate(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    MaybeJsonBody(body): MaybeJsonBody<RotateBody>,
) -> Result<Json<Value>, ApiError> {
    caller.may_make_credentials()?;
    let overlap = body.and_then(|body| body.overlap_seconds).unwrap_or(OVERLAP_SECONDS);
    if overlap > ApiKeyText::MAX_OVERLAP_SECONDS {
        return Err(ApiError::field(
            "/overlapSeconds",
            format!("is {overlap}; accepted: a whole number from 0 to {}", ApiKeyText::MAX_OVERLAP_SECONDS),
        ));
    }
    let id = key_id(&id)?;
    let tenant = setup.store.tenant(caller.tenant.clone());
    let before = tenant.api_keys().get(id).await?.ok_or_else(unknown)?;
    let text = ApiKeyText::rotated(&before.lookup, random::bytes()?);
    let secret = KeptSecret::of_api_key(&text, setup.identity.pepper());
    let rotated = written(tenant.api_keys().rotate(id, &secret, overlap, &caller.actor).await?)?;
    setup.identity.changed(&caller.tenant);
    Ok(Json(with_text(&rotated, &text)))
}

/// Withdraws an API key for good.
#[utoipa::path(post, path = "/admin/api-keys/{id}/revoke", tag = "api keys", params(("id" = String, Path)), responses((status = 200, description = "The key")))]
pub async fn revoke(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let outcome = setup.store.tenant(caller.tenant.clone()).api_keys().revoke(key_id(&id)?, &caller.actor).await?;
    setup.identity.changed(&caller.tenant);
    match outcome {
        ApiKeyOutcome::Written(key) | ApiKeyOutcome::Revoked(key) => Ok(Json(shown(&key))),
        ApiKeyOutcome::NotFound => Err(unknown()),
    }
}

fn check(name: Option<&str>, templates: Option<&[TemplateSelector]>, ips: Option<&[IpNetwork]>) -> Result<(), ApiError> {
    if let Some(name) = name
        && (name.trim().is_empty() || name.chars().count() > API_KEY_NAME_LIMIT_CHARS || name.contains(is_invisible))
    {
        return Err(ApiError::field("/name", format!("accepted: 1 to {API_KEY_NAME_LIMIT_CHARS} printable characters")));
    }
    if templates.is_some_and(|templates| templates.len() > API_KEY_TEMPLATES_LIMIT) {
        return Err(ApiError::field("/allowedTemplates", format!("has more than {API_KEY_TEMPLATES_LIMIT} entries")));
    }
    if ips.is_some_and(|ips| ips.len() > IpNetwork::MAX_LIST) {
        return Err(ApiError::field("/allowedIps", format!("has more than {} entries", IpNetwork::MAX_LIST)));
    }
    Ok(())
}

fn check_requests(per_minute: Option<u32>) -> Result<(), ApiError> {
    match per_minute {
        Some(most) if most > MOST_REQUESTS_PER_MINUTE => {
            Err(ApiError::field("/requestsPerMinute", format!("is {most}; accepted: a whole number from 0 to {MOST_REQUESTS_PER_MINUTE}")))
        }
        _ => Ok(()),
    }
}

fn written(outcome: ApiKeyOutcome) -> Result<Box<ApiKeyRecord>, ApiError> {
    match outcome {
        ApiKeyOutcome::Written(key) => Ok(key),
        ApiKeyOutcome::NotFound => Err(unknown()),
        ApiKeyOutcome::Revoked(_) => Err(ApiError::new(ErrorCode::Conflict, "this key is revoked for good; make another one")),
    }
}

fn key_id(text: &str) -> Result<ApiKeyId, ApiError> {
    Uuid::parse_str(text).map(ApiKeyId::from).map_err(|_| unknown())
}

fn unknown() -> ApiError {
    ApiError::not_found("there is no such API key")
}

fn with_text(key: &ApiKeyRecord, text: &ApiKeyText) -> Value {
    let mut body = shown(key);
    body["key"] = text.reveal().into();
    body
}

fn shown(key: &ApiKeyRecord) -> Value {
    let status = if key.revoked_at.is_some() { "revoked" } else { "active" };
    json!({
        "id": key.id, "name": key.name, "scope": key.scope, "keyHint": key.hint, "status": status,
        "expiresAt": key.expires_at, "allowedTemplates": key.allowed_templates, "allowedIps": key.allowed_ips,
        "requestsPerMinute": key.requests_per_minute,
        "previousKeyUntil": key.previous_until, "revokedAt": key.revoked_at, "createdAt": key.created_at, "createdBy": key.created_by,
        "updatedAt": key.updated_at, "lastUsedAt": key.last_used_at,
    })
}
