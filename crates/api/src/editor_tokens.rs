//! Keys exchanged for editor tokens, which a browser may hold.

use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, State};
use domain::editor_tokens::{EditorToken, Holder};
use domain::signed_tokens::in_milliseconds;
use domain::users::UserId;
use domain::{Action, AuditEvent, AuditKind, ErrorCode, Scope, TemplateSelector};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::Setup;
use crate::auth::{Caller, Credential};
use crate::body::JsonBody;
use crate::clients::Client;
use crate::error::ApiError;
use crate::rates::Rate;

/// A console session lasts no longer.
const CONSOLE_MINUTES: u16 = 60;
/// What a console session leaves to the key itself: making more credentials.
const NOT_IN_THE_CONSOLE: [Action; 4] = [Action::ApiKeyManage, Action::UserManage, Action::RenderTokenManage, Action::AuditPurge];

/// What a token is asked for with.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MintBody {
    /// The API key of scope admin or editor, or the key of a user.
    key: String,
    /// A name for the audit log; registered users have their own.
    #[serde(default)]
    actor: Option<String>,
    /// Minutes the token is valid; at most and by default EDITOR_TOKEN_TTL_MINUTES.
    #[serde(default)]
    ttl_minutes: Option<u16>,
    /// The only templates it is for, such as `invoice` or `invoice-*`.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    templates: Option<Vec<TemplateSelector>>,
    /// The only actions it has, such as `template:read`.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    actions: Option<Vec<Action>>,
}

/// A token for the editor in exchange for a key.
#[utoipa::path(post, path = "/auth/editor-token", tag = "auth", request_body = MintBody, responses((status = 200, description = "token and expiresAt"), (status = 401, description = "No such key"), (status = 429, description = "Too many tries from this address")))]
pub async fn mint(
    State(setup): State<Setup>,
    Extension(client): Extension<Client>,
    JsonBody(body): JsonBody<MintBody>,
) -> Result<Json<Value>, ApiError> {
    let caller = holder(&setup, client, &body.key).await?;
    if !matches!(caller.scope, Scope::Admin | Scope::Editor) && caller.credential != Credential::User {
        return Err(ApiError::new(ErrorCode::Forbidden, "only a key of scope admin or editor can be exchanged for an editor token"));
    }
    let longest = setup.identity.editor_tokens().ttl_minutes;
    let minutes = minutes(body.ttl_minutes, longest)?;
    let limits = Limits { minutes, templates: body.templates, actions: body.actions };
    issue(&setup, caller, body.actor, limits).await
}

/// A short session of the operator console in exchange for an admin key.
#[utoipa::path(post, path = "/auth/console-session", tag = "auth", request_body = MintBody, responses((status = 200, description = "token, scope and tenantId"), (status = 401, description = "No such key")))]
pub async fn console_session(
    State(setup): State<Setup>,
    Extension(client): Extension<Client>,
    JsonBody(body): JsonBody<MintBody>,
) -> Result<Json<Value>, ApiError> {
    let caller = holder(&setup, client, &body.key).await?;
    if caller.scope != Scope::Admin {
        return Err(ApiError::new(ErrorCode::Forbidden, "only a key of scope admin opens a console session"));
    }
    let asked = |action: &Action| body.actions.as_ref().is_none_or(|actions| actions.contains(action));
    let actions = caller.scope.actions().filter(|action| !NOT_IN_THE_CONSOLE.contains(action) && asked(action)).collect();
    let minutes = minutes(body.ttl_minutes, CONSOLE_MINUTES.min(setup.identity.editor_tokens().ttl_minutes))?;
    issue(&setup, caller, body.actor, Limits { minutes, templates: body.templates, actions: Some(actions) }).await
}

/// Who the caller is and what it may do.
#[utoipa::path(get, path = "/auth/me", tag = "auth", responses((status = 200, description = "actor, scope, tenant and actions")))]
pub async fn me(Extension(caller): Extension<Caller>) -> Json<Value> {
    let actions: Vec<Action> = caller.scope.actions().filter(|action| caller.may(*action)).collect();
    Json(json!({
        "actor": &*caller.actor.name, "scope": caller.scope, "baseRole": caller.scope, "tenantId": caller.tenant,
        "tenantActions": actions, "templates": caller.templates,
    }))
}

/// Whose key it is; guessing is slowed down.
async fn holder(setup: &Setup, client: Client, key: &str) -> Result<Caller, ApiError> {
    slow_down(&setup.mints, client)?;
    let found = setup.identity.of_key(key.as_bytes(), Some(client.address)).await;
    let caller = found.map_err(|refusal| refusal.answer(&axum::http::HeaderMap::new(), Some(client.address)))?;
    setup.identity.refuse_archived(&caller.tenant).await?;
    Ok(caller)
}

/// Counts a try to come in.
pub(crate) fn slow_down(rate: &Rate, client: Client) -> Result<(), ApiError> {
    rate.take(client.address).map_err(|wait| {
        metrics::counter!("pulp_engine_auth_failures_total", "reason" => "mint_rate").increment(1);
        tracing::warn!(address = %client.address, "too many tries to get a token");
        ApiError::new(ErrorCode::RateLimited, "too many tries from this address").retry_after(wait.as_secs().max(1))
    })
}

fn minutes(asked: Option<u16>, longest: u16) -> Result<u16, ApiError> {
    let fewest = *EditorToken::TTL_MINUTES.start();
    match asked {
        None => Ok(longest),
        Some(asked) if (fewest..=longest).contains(&asked) => Ok(asked),
        Some(asked) => {
            let message = format!("is {asked}; accepted: a whole number from {fewest} to {longest}");
            Err(ApiError::field("/ttlMinutes", message))
        }
    }
}

/// What narrows a token.
pub(crate) struct Limits {
    pub(crate) minutes: u16,
    pub(crate) templates: Option<Vec<TemplateSelector>>,
    pub(crate) actions: Option<Vec<Action>>,
}

/// Makes the token and records that it was made. What already limits the caller limits the token.
pub(crate) async fn issue(setup: &Setup, caller: Caller, label: Option<String>, limits: Limits) -> Result<Json<Value>, ApiError> {
    let registered = caller.credential == Credential::User;
    // A name that somebody chose is attribution; a registered user's is known.
    let name = match label.filter(|label| !registered && !label.trim().is_empty()) {
        Some(label) => free_label(setup, &caller, &label).await?.to_string(),
        None => caller.actor.name.to_string(),
    };
    let actor =
        domain::Actor { name: domain::Actor::new(&name, caller.scope, crate::requests::current_request_id()).name, ..caller.actor.clone() };
    let templates = narrowed(caller.templates.as_deref(), limits.templates)?;
    let issued_at = in_milliseconds(setup.clock.now());
    let expires_at = issued_at + SignedDuration::from_mins(i64::from(limits.minutes));
    let token = EditorToken {
        issued_at,
        expires_at,
        tenant: caller.tenant.clone(),
        name: actor.name.to_string(),
        scope: caller.scope,
        holder: if registered { Holder::RegisteredUser } else { Holder::Label },
        templates,
        actions: limits.actions,
        api_key: caller.api_key.clone(),
    };
    let text = token.mint(&setup.identity.editor_tokens().secrets.current).map_err(|refusal| ApiError::field("", refusal.to_string()))?;
    let event = AuditEvent::new(AuditKind::EditorTokenMinted, &actor.name)
        .with("exchangedBy", &*caller.actor.name)
        .with("keyScope", caller.scope.as_str())
        .with("issuedAt", issued_at.to_string())
        .with("expiresAt", expires_at.to_string())
        .with("templates", token.templates.as_ref().map(|templates| json!(templates)))
        .with("actions", token.actions.as_ref().map(|actions| json!(actions)));
    setup.store.tenant(caller.tenant.clone()).audit().insert(event, &actor).await?;
    Ok(Json(json!({
        "token": text, "expiresAt": expires_at.to_string(), "actor": &*actor.name, "displayName": caller.display_name.as_deref().unwrap_or(&actor.name),
        "scope": caller.scope, "tenantId": caller.tenant, "templates": token.templates, "actions": token.actions,
    })))
}

/// A name that nobody of the tenant has: who holds a shared key does not sign as one of them.
async fn free_label(setup: &Setup, caller: &Caller, label: &str) -> Result<UserId, ApiError> {
    let id: UserId = label.parse().map_err(|error: domain::users::InvalidUserId| ApiError::field("/actor", error.to_string()))?;
    let known = setup.identity.known(&caller.tenant, &id).await.map_err(|refusal| refusal.answer(&axum::http::HeaderMap::new(), None))?;
    if known.is_some() {
        return Err(ApiError::field("/actor", "is the name of a registered user, who comes in by themselves".to_owned()));
    }
    Ok(id)
}

/// The token's templates, each of which its maker has to reach.
fn narrowed(own: Option<&[TemplateSelector]>, asked: Option<Vec<TemplateSelector>>) -> Result<Option<Vec<TemplateSelector>>, ApiError> {
    let Some(asked) = asked else { return Ok(own.map(<[_]>::to_vec)) };
    let beyond = own.and_then(|own| asked.iter().find(|asked| !own.iter().any(|own| own.includes(asked))));
    let message = match beyond {
        _ if asked.is_empty() => "is empty; leave it out for all templates".to_owned(),
        Some(beyond) => format!("names \"{beyond}\", which the key itself does not reach"),
        None => return Ok(Some(asked)),
    };
    Err(ApiError::field("/templates", message))
}

/// Tries in one minute from one address.
pub(crate) const MINTS: u32 = 10;
/// The time they are counted over.
pub(crate) const MINT_WINDOW: Duration = Duration::from_mins(1);
