//! The registered users of a tenant.

use axum::Json;
use axum::extract::{Extension, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use domain::users::{AuthMethod, UserActivity, UserId, UserKey};
use domain::{ErrorCode, Scope, TenantId};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use store::{
    KeptSecret, MAX_PAGE_ROWS, NewUser, USER_GROUPS_LIMIT, USER_NAME_LIMIT_CHARS, USERS_LIMIT, UserOutcome, UserPatch, UserRecord,
};
use utoipa::ToSchema;

use crate::Setup;
use crate::auth::Caller;
use crate::body::{JsonBody, Path, nullable};
use crate::clients::Client;
use crate::error::ApiError;
use crate::query::Pairs;

/// The longest e-mail address (RFC 5321).
const EMAIL_CHARS: usize = 254;
/// The longest name or id in another directory.
const FOREIGN_CHARS: usize = 255;

/// `/admin/users/reload` is an act.
const RESERVED_ID: &str = "reload";

/// A user to be made.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewUserBody {
    /// Names the person in the tenant; it does not begin with `oidc:`.
    id: String,
    /// The name to show.
    display_name: String,
    /// The key they log in with: 16 to 512 printable characters without spaces. It is not shown again.
    key: String,
    /// viewer, author, editor, publisher, scheduler, auditor, admin or none.
    role: String,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    active: Option<bool>,
    #[serde(default)]
    user_name: Option<String>,
    #[serde(default)]
    external_id: Option<String>,
    /// The caller's own tenant, if it is named.
    #[serde(default)]
    tenant_id: Option<String>,
}

/// A change of a user; what is absent stays, `null` takes a value away.
#[expect(clippy::option_option, reason = "absent, null and a value are three things to say")]
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserPatchBody {
    #[serde(default)]
    display_name: Option<String>,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    role: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    email: Option<Option<String>>,
    #[serde(default)]
    groups: Option<Vec<String>>,
    #[serde(default)]
    active: Option<bool>,
    #[serde(default, deserialize_with = "nullable")]
    user_name: Option<Option<String>>,
    #[serde(default, deserialize_with = "nullable")]
    external_id: Option<Option<String>>,
    /// Editor tokens issued before are refused.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    token_issued_after: Option<Option<Timestamp>>,
}

/// One page of the users of the tenant, by id: 1,000 of them unless `limit` says less.
#[utoipa::path(get, path = "/admin/users", tag = "users", params(("limit" = Option<u32>, Query), ("offset" = Option<u64>, Query)), responses((status = 200, description = "users, total, limit and offset")))]
pub async fn list(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    // Clients of the published interface know no pages here: what they get is as long as a page can be.
    let page = Pairs::read(query.as_deref())?.page_of(MAX_PAGE_ROWS)?;
    let found = setup.store.tenant(caller.tenant).users().list(page.limit, page.offset).await?;
    let users: Vec<Value> = found.items.iter().map(shown).collect();
    Ok(Json(json!({ "users": users, "total": found.total, "limit": page.limit, "offset": page.offset })))
}

/// Makes a user.
#[utoipa::path(post, path = "/admin/users", tag = "users", request_body = NewUserBody, responses((status = 201, description = "The user"), (status = 409, description = "The id or the key is taken, or the tenant has as many users as it may have (`quota_exceeded`)")))]
pub async fn create(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Extension(client): Extension<Client>,
    JsonBody(body): JsonBody<NewUserBody>,
) -> Result<Response, ApiError> {
    caller.may_make_credentials()?;
    own_tenant(body.tenant_id.as_deref(), &caller.tenant)?;
    if body.id == RESERVED_ID {
        return Err(ApiError::field("/id", "cannot be used: the path of it means something else"));
    }
    let id: UserId = body.id.parse().map_err(|error: domain::users::InvalidUserId| ApiError::field("/id", error.to_string()))?;
    if id.is_made_for_the_provider() {
        return Err(ApiError::field("/id", format!("begins with \"{}\", as only people of the identity provider do", UserId::OF_PROVIDER)));
    }
    let secret = secret(&setup, client, &body.key)?;
    check_groups(&body.groups)?;
    let new = NewUser {
        id: &id,
        display_name: text("/displayName", &body.display_name, USER_NAME_LIMIT_CHARS)?,
        role: role(&body.role)?,
        secret: &secret,
        email: optional("/email", body.email.as_deref(), EMAIL_CHARS)?,
        groups: &body.groups,
        activity: activity(body.active.unwrap_or(true)),
        user_name: optional("/userName", body.user_name.as_deref(), FOREIGN_CHARS)?,
        external_id: optional("/externalId", body.external_id.as_deref(), FOREIGN_CHARS)?,
    };
    let outcome = setup.store.tenant(caller.tenant.clone()).users().insert(new, &caller.actor).await?;
    setup.identity.changed(&caller.tenant);
    let made = written(&setup, client, outcome)?;
    Ok((StatusCode::CREATED, Json(shown(&made))).into_response())
}

/// Changes a user.
#[utoipa::path(put, path = "/admin/users/{id}", tag = "users", params(("id" = String, Path)), request_body = UserPatchBody, responses((status = 200, description = "The user")))]
pub async fn update(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Extension(client): Extension<Client>,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<UserPatchBody>,
) -> Result<Json<Value>, ApiError> {
    caller.may_make_credentials()?;
    let secret = body.key.as_deref().map(|key| secret(&setup, client, key)).transpose()?;
    check_groups(body.groups.as_deref().unwrap_or_default())?;
    let nullable = |path: &str, value: &Option<Option<String>>, most: usize| -> Result<(), ApiError> {
        optional(path, value.as_ref().and_then(Option::as_deref), most).map(|_| ())
    };
    nullable("/email", &body.email, EMAIL_CHARS)?;
    nullable("/userName", &body.user_name, FOREIGN_CHARS)?;
    nullable("/externalId", &body.external_id, FOREIGN_CHARS)?;
    let patch = UserPatch {
        display_name: body.display_name.as_deref().map(|name| text("/displayName", name, USER_NAME_LIMIT_CHARS)).transpose()?,
        role: body.role.as_deref().map(role).transpose()?,
        secret: secret.as_ref(),
        email: body.email.as_ref().map(Option::as_deref),
        groups: body.groups.as_deref(),
        activity: body.active.map(activity),
        user_name: body.user_name.as_ref().map(Option::as_deref),
        external_id: body.external_id.as_ref().map(Option::as_deref),
        // Whoever had the old key may have exchanged it for a token.
        token_issued_after: body.token_issued_after.or_else(|| secret.is_some().then(|| Some(setup.clock.now()))),
    };
    let outcome = setup.store.tenant(caller.tenant.clone()).users().update(&user_id(&id)?, patch, &caller.actor).await?;
    setup.identity.changed(&caller.tenant);
    let changed = written(&setup, client, outcome)?;
    Ok(Json(shown(&changed)))
}

/// Removes a user. Tokens of the user stop working.
#[utoipa::path(delete, path = "/admin/users/{id}", tag = "users", params(("id" = String, Path)), responses((status = 200, description = "deleted and registrySize")))]
pub async fn delete(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    caller.may_make_credentials()?;
    let tenant = setup.store.tenant(caller.tenant.clone());
    let deleted = tenant.users().delete(&user_id(&id)?, &caller.actor).await?;
    setup.identity.changed(&caller.tenant);
    if !deleted {
        return Err(unknown());
    }
    Ok(Json(json!({ "deleted": true, "registrySize": tenant.users().count().await? })))
}

/// Forgets what this replica remembers of users; the others hear of changes by themselves.
#[utoipa::path(post, path = "/admin/users/reload", tag = "users", responses((status = 200, description = "reloaded and count")))]
pub async fn reload(State(setup): State<Setup>, Extension(caller): Extension<Caller>) -> Result<Json<Value>, ApiError> {
    // Asked first: while the database is away, what is remembered is all there is.
    let count = setup.store.tenant(caller.tenant.clone()).users().count().await?;
    setup.identity.changed(&caller.tenant);
    Ok(Json(json!({ "reloaded": true, "count": count })))
}

fn written(setup: &Setup, client: Client, outcome: UserOutcome) -> Result<Box<UserRecord>, ApiError> {
    match outcome {
        UserOutcome::Written(user) => Ok(user),
        UserOutcome::NotFound => Err(unknown()),
        UserOutcome::TooMany => Err(ApiError::new(
            ErrorCode::QuotaExceeded,
            format!("the tenant has {USERS_LIMIT} users, and no tenant has more; remove one first"),
        )),
        UserOutcome::IdTaken => Err(ApiError::new(ErrorCode::Conflict, "this id is taken; choose another one")),
        UserOutcome::KeyTaken => {
            slow_down(setup, client)?;
            tracing::warn!(address = %client.address, "a key was chosen that another user has");
            Err(ApiError::field("/key", "cannot be used; choose another one".to_owned()))
        }
    }
}

fn secret(setup: &Setup, client: Client, key: &str) -> Result<KeptSecret, ApiError> {
    let key: UserKey = key.parse().map_err(|error: domain::users::InvalidUserKey| ApiError::field("/key", error.to_string()))?;
    if setup.identity.is_configured_key(key.reveal()) {
        slow_down(setup, client)?;
        tracing::warn!(address = %client.address, "a configured key was chosen as a user's");
        return Err(ApiError::field("/key", "cannot be used; choose another one".to_owned()));
    }
    Ok(KeptSecret::of_user_key(&key, setup.identity.pepper()))
}

/// Whoever tries keys here guesses like at the login, and is slowed down like there.
fn slow_down(setup: &Setup, client: Client) -> Result<(), ApiError> {
    setup.mints.take(client.address).map_err(|wait| {
        tracing::warn!(address = %client.address, "too many keys were tried for users");
        ApiError::new(ErrorCode::RateLimited, "too many tries from this address").retry_after(wait.as_secs().max(1))
    })
}

fn own_tenant(named: Option<&str>, own: &TenantId) -> Result<(), ApiError> {
    match named {
        Some(named) if named != own.as_str() => Err(ApiError::new(
            ErrorCode::TenantMismatch,
            "a user is made in the caller's own tenant; a super-admin names it in X-PulpEngine-Tenant-Id",
        )),
        _ => Ok(()),
    }
}

fn role(text: &str) -> Result<Scope, ApiError> {
    let accepted = || Scope::OF_USERS.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ");
    let role = text.parse().ok().filter(|role| Scope::OF_USERS.contains(role));
    role.ok_or_else(|| ApiError::field("/role", format!("is \"{text}\"; accepted: {}", accepted())))
}

fn activity(active: bool) -> UserActivity {
    if active { UserActivity::Active } else { UserActivity::Deactivated }
}

fn text<'a>(path: &str, text: &'a str, most: usize) -> Result<&'a str, ApiError> {
    if text.trim().is_empty() || text.chars().count() > most || text.chars().any(char::is_control) {
        return Err(ApiError::field(path, format!("accepted: 1 to {most} printable characters")));
    }
    Ok(text)
}

fn optional<'a>(path: &str, given: Option<&'a str>, most: usize) -> Result<Option<&'a str>, ApiError> {
    given.map(|given| text(path, given, most)).transpose()
}

fn check_groups(groups: &[String]) -> Result<(), ApiError> {
    if groups.len() > USER_GROUPS_LIMIT {
        return Err(ApiError::field("/groups", format!("has more than {USER_GROUPS_LIMIT} entries")));
    }
    groups.iter().try_for_each(|group| text("/groups", group, FOREIGN_CHARS).map(|_| ()))
}

fn user_id(text: &str) -> Result<UserId, ApiError> {
    text.parse().map_err(|_| unknown())
}

fn unknown() -> ApiError {
    ApiError::not_found("there is no such user")
}

fn shown(user: &UserRecord) -> Value {
    json!({
        "id": user.id, "displayName": user.display_name, "role": user.role, "keyHint": user.key_hint.as_deref().unwrap_or(""),
        "active": user.deactivated_at.is_none(), "userName": user.user_name, "externalId": user.external_id,
        "deactivatedAt": user.deactivated_at, "groups": user.groups, "email": user.email, "tokenIssuedAfter": user.token_issued_after,
        "authMethod": match user.auth_method { AuthMethod::Key => "key", AuthMethod::Oidc => "oidc" }, "tenantId": user.tenant,
    })
}
