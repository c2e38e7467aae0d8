//! The login at the identity provider: there, back, and the exchange of what came back for an editor token.
//!
//! The browser is sent away with a cookie (`login`), comes back with the provider's code (`callback`), and is sent on to the
//! page it wanted with a completion code behind the `#`, which browsers send to no server: it stands in no log and no
//! `Referer`. The page posts that code (`complete`) and gets a token. The code is good for a minute, once in the whole
//! cluster, and only together with the cookie.

use axum::Json;
use axum::extract::{Extension, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::{AuditEvent, AuditKind};
use openid::{Callback, OpenIdError, SealedCompletion};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::Setup;
use crate::body::JsonBody;
use crate::clients::Client;
use crate::editor_tokens::{self, Limits};
use crate::error::ApiError;
use crate::people::{Oidc, Person};
use crate::query::{Pairs, refused};
use crate::refusal::Refusal;

/// Where a login begins.
pub(crate) const LOGIN_PATH: &str = "/auth/oidc/login";
/// Where a login ends that did not say where it came from.
const EDITOR: &str = "/editor/";
const ACCEPTED_RETURN: &str = "a path of this server: one slash at its beginning, no two together, no backslash and no fragment, at most 1024 characters, \
     all others than letters, digits and punctuation percent-encoded";

/// What a token is asked for with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompleteBody {
    /// What stood behind `#code=` in the address that the login ended at.
    code: String,
}

/// Sends the browser to the identity provider.
#[utoipa::path(get, path = "/auth/oidc/login", tag = "auth", params(("return_to" = Option<String>, Query, description = "The path to end at; /editor/ without it")), responses((status = 302, description = "To the identity provider"), (status = 400, description = "No path of this server"), (status = 404, description = "No identity provider is configured"), (status = 503, description = "The identity provider does not answer")))]
pub async fn login(
    State(setup): State<Setup>,
    Extension(client): Extension<Client>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let oidc = configured(&setup)?;
    let pairs = Pairs::read(query.as_deref())?;
    let return_to = pairs.text("return_to").unwrap_or(EDITOR);
    if return_to.contains('#') {
        return Err(refused("return_to", return_to, ACCEPTED_RETURN));
    }
    let begun = oidc.provider.begin(Some(return_to)).await.map_err(|error| match error {
        OpenIdError::Flow { .. } => refused("return_to", return_to, ACCEPTED_RETURN),
        other => answer(Refusal::OpenId(other), client),
    })?;
    let mut response = found(&begun.authorization_url)?;
    response.headers_mut().insert(header::SET_COOKIE, text(&begun.state.set_cookie())?);
    Ok(response)
}

/// Takes the browser back from the identity provider, and sends it on with a completion code in the fragment (`#code=`).
#[utoipa::path(get, path = "/auth/oidc/callback", tag = "auth", params(("state" = Option<String>, Query), ("code" = Option<String>, Query), ("iss" = Option<String>, Query), ("error" = Option<String>, Query)), responses((status = 302, description = "To the page that the login began at, with #code="), (status = 401, description = "The login is not valid"), (status = 404, description = "No identity provider is configured"), (status = 429, description = "Too many tries from this address")))]
pub async fn callback(
    State(setup): State<Setup>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let oidc = configured(&setup)?;
    editor_tokens::slow_down(&oidc.callbacks, client)?;
    let pairs = Pairs::read(query.as_deref())?;
    let cookie = cookie(&headers);
    let came = Callback {
        state: pairs.text("state").unwrap_or_default(),
        code: pairs.text("code"),
        iss: pairs.text("iss"),
        error: pairs.text("error"),
    };
    let refuse = |error| answer(Refusal::OpenId(error), client);
    let finished = oidc.provider.finish(cookie, came).await.map_err(refuse)?;
    let sealed = sealed(oidc, finished.identity, cookie).map_err(refuse)?;
    // The cookie stays until the code is used: the code is good together with it alone.
    found(&format!("{}#code={}", finished.return_to.as_deref().unwrap_or(EDITOR), sealed.code))
}

/// An editor token in exchange for a completion code, once and within a minute.
#[utoipa::path(post, path = "/auth/oidc/complete", tag = "auth", request_body = CompleteBody, responses((status = 200, description = "token and expiresAt, as of /auth/editor-token"), (status = 401, description = "The code is not valid"), (status = 403, description = "This person may not come in here"), (status = 404, description = "No identity provider is configured"), (status = 429, description = "Too many tries from this address")))]
pub async fn complete(
    State(setup): State<Setup>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    JsonBody(body): JsonBody<CompleteBody>,
) -> Result<Response, ApiError> {
    let oidc = configured(&setup)?;
    editor_tokens::slow_down(&setup.mints, client)?;
    let refuse = |refusal| answer(refusal, client);
    let said = oidc.provider.open_completion(&body.code, cookie(&headers)).map_err(|error| refuse(Refusal::OpenId(error)))?;
    if !setup.store.use_code(&said.code_id.to_string(), said.expires_at).await? {
        return Err(refuse(Refusal::CodeUsed { subject: said.subject }));
    }
    let caller = setup.identity.let_in(oidc, &Person::from(&said)).await.map_err(refuse)?;
    let signed_in =
        AuditEvent::new(AuditKind::UserSignedIn, &caller.actor.name).with("method", "oidc").with("issuer", said.issuer.as_str());
    setup.store.tenant(caller.tenant.clone()).audit().insert(signed_in, &caller.actor).await?;
    let limits = Limits { minutes: setup.identity.editor_tokens().ttl_minutes, templates: None, actions: None };
    let token: Json<Value> = editor_tokens::issue(&setup, caller, None, limits).await?;
    let mut response = token.into_response();
    response.headers_mut().insert(header::SET_COOKIE, text(&oidc.provider.clear_cookie())?);
    Ok(response)
}

fn configured(setup: &Setup) -> Result<&Oidc, ApiError> {
    let none = || ApiError::not_found("no identity provider is configured here; the settings OIDC_* name one");
    setup.identity.oidc().ok_or_else(none)
}

/// As many groups as fit into an address.
fn sealed(oidc: &Oidc, mut identity: openid::Identity, cookie: &str) -> Result<SealedCompletion, OpenIdError> {
    let said = identity.groups.len();
    loop {
        match oidc.provider.seal_completion(&identity, cookie) {
            Err(OpenIdError::Completion { .. }) if !identity.groups.is_empty() => identity.groups.truncate(identity.groups.len() * 3 / 4),
            Err(error) => return Err(error),
            Ok(sealed) => {
                if identity.groups.len() < said {
                    tracing::warn!(
                        subject = identity.subject,
                        said,
                        kept = identity.groups.len(),
                        "a person has more groups than a login can carry"
                    );
                }
                return Ok(sealed);
            }
        }
    }
}

/// The cookie of the browser's login; empty, which is never valid, when it sent none.
fn cookie(headers: &HeaderMap) -> &str {
    let mut lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    lines.find_map(openid::flow_cookie).unwrap_or_default()
}

fn answer(refusal: Refusal, client: Client) -> ApiError {
    refusal.answer(&HeaderMap::new(), Some(client.address))
}

fn found(location: &str) -> Result<Response, ApiError> {
    let mut response = StatusCode::FOUND.into_response();
    response.headers_mut().insert(header::LOCATION, text(location)?);
    Ok(response)
}

fn text(value: &str) -> Result<HeaderValue, ApiError> {
    HeaderValue::from_str(value).map_err(|error| ApiError::internal(&error))
}
