//! Links to stored documents: made, followed without a credential, and revoked.

use axum::Json;
use axum::extract::{Extension, FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::ErrorCode;
use domain::options::Disposition;
use domain::signed_tokens::TokenRefusal;
use jiff::Timestamp;
use render::NoDownload;
use serde::Deserialize;
use serde_json::{Value, json};
use store::DocumentRecord;
use utoipa::ToSchema;

use crate::Setup;
use crate::auth::Caller;
use crate::body::{MaybeJsonBody, Path};
use crate::clients::{Client, Scheme};
use crate::documents::{Wanted, give, hex, readable, unknown};
use crate::error::ApiError;

/// A link to be made.
#[derive(Deserialize, ToSchema, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewLink {
    /// How long it works, in seconds, from 1; the server's default when absent. No link outlives its document.
    #[serde(default)]
    ttl_seconds: Option<u32>,
    /// Whether a browser shows the document (`inline`) or saves it (`attachment`); as it was rendered when absent.
    #[serde(default)]
    disposition: Option<String>,
}

/// Makes a link to a stored document: whoever has it may fetch the document without a credential.
#[utoipa::path(post, path = "/documents/{id}/links", tag = "documents", params(("id" = String, Path)), request_body = NewLink, responses((status = 201, description = "url and expiresAt"), (status = 404, description = "Unknown, or its time is over")))]
pub async fn create(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    here: Here,
    MaybeJsonBody(body): MaybeJsonBody<NewLink>,
) -> Result<Response, ApiError> {
    // Links can be made void in an archived tenant too; none is made there.
    setup.identity.refuse_archived(&caller.tenant).await?;
    let body = body.unwrap_or_default();
    if body.ttl_seconds == Some(0) {
        return Err(ApiError::field("/ttlSeconds", "must be a whole number from 1"));
    }
    let record = readable(&setup, &caller, &id).await?;
    let disposition = match body.disposition.as_deref() {
        None => record.disposition,
        Some("inline") => Disposition::Inline,
        Some("attachment") => Disposition::Attachment,
        Some(_) => return Err(ApiError::field("/disposition", "must be \"inline\" or \"attachment\"")),
    };
    let link = setup.renderer.documents().link(&caller.tenant, &record, body.ttl_seconds, disposition);
    let documents = setup.store.tenant(caller.tenant.clone());
    if !documents.documents().record_link(&record, link.expires_at, &caller.actor).await? {
        return Err(unknown());
    }
    let made = json!({ "url": address(&setup, &here, &link.path), "expiresAt": link.expires_at.to_string() });
    Ok((StatusCode::CREATED, Json(made)).into_response())
}

/// Makes all links to a stored document void, also in an archived tenant.
#[utoipa::path(post, path = "/documents/{id}/links/revoke", tag = "documents", params(("id" = String, Path)), responses((status = 200, description = "linkVersion: what links are made under from now on"), (status = 404, description = "Unknown, or its time is over")))]
pub async fn revoke(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let record = readable(&setup, &caller, &id).await?;
    let version = setup.store.tenant(caller.tenant).documents().revoke_links(record.id, &caller.actor).await?;
    Ok(Json(json!({ "linkVersion": version.ok_or_else(unknown)? })))
}

/// The document that a link leads to. No credential is needed, and none is looked at.
#[utoipa::path(get, path = "/documents/links/{token}", tag = "documents", params(("token" = String, Path)), security(()), responses((status = 200, description = "The document"), (status = 206, description = "The part that Range asks for; documents with maxDownloads come whole"), (status = 404, description = "document_link_invalid: no link of this server, or a revoked one"), (status = 410, description = "document_link_expired or render_artifact_expired"), (status = 429, description = "Too many guesses from this address")))]
pub async fn follow(
    State(setup): State<Setup>,
    client: Option<Extension<Client>>,
    Path(token): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let refusal = |why: TokenRefusal| refused(&setup, &why, client.map(|Extension(client)| client));
    let link = setup.renderer.documents().verify_link(&token).map_err(refusal)?;
    let gone = || ApiError::new(ErrorCode::RenderArtifactExpired, NoDownload::Gone.to_string());
    let record = setup.store.tenant(link.tenant.clone()).documents().get(link.document).await?.ok_or_else(gone)?;
    let refused = |why: NoDownload| match why {
        NoDownload::Gone => gone(),
        NoDownload::Exhausted => ApiError::new(ErrorCode::DocumentLinkExpired, why.to_string()),
        NoDownload::Revoked => ApiError::new(ErrorCode::DocumentLinkInvalid, why.to_string()),
    };
    if record.link_version != link.version {
        return Err(refused(NoDownload::Revoked));
    }
    if record.max_downloads.is_some_and(|most| record.download_count >= most) {
        return Err(refused(NoDownload::Exhausted));
    }
    let wanted = Wanted { tenant: &link.tenant, link_version: Some(link.version), disposition: link.shown.into() };
    give(&setup, record, wanted, &method, &headers).await?.map_err(refused)
}

/// Why a link is not followed. A forged one counts against its address like a guessed key.
fn refused(setup: &Setup, why: &TokenRefusal, client: Option<Client>) -> ApiError {
    let address = client.map(|client| client.address);
    tracing::info!(%why, address = address.map(tracing::field::display), "refused a link to a document");
    let is_expired = matches!(why, TokenRefusal::Time { .. });
    let reason = if is_expired { "expired" } else { "invalid" };
    metrics::counter!("pulp_document_link_refusals_total", "reason" => reason).increment(1);
    if is_expired {
        return ApiError::new(ErrorCode::DocumentLinkExpired, "this link has expired; ask whoever gave it to you for a new one");
    }
    match address.map_or(Ok(()), |address| setup.identity.count_guess(address)) {
        Ok(()) => ApiError::new(ErrorCode::DocumentLinkInvalid, "this is no link of this server; copy the whole of it"),
        Err(wait) => ApiError::new(ErrorCode::RateLimited, "too many links that nobody made came from this address")
            .retry_after(wait.as_secs().max(1)),
    }
}

/// The answer to a render whose document was stored and is wanted as a link.
pub(crate) fn stored(setup: &Setup, caller: &Caller, here: &Here, record: &DocumentRecord, link_ttl_seconds: Option<u32>) -> Value {
    let (url, link_expires_at) = made(setup, caller, here, record, link_ttl_seconds);
    json!({
        "documentId": record.id, "format": record.format, "contentType": record.content_type, "filename": record.filename.as_str(),
        "sizeBytes": record.size_bytes, "pageCount": record.pages, "sha256": hex(&record.sha256),
        "expiresAt": record.expires_at.to_string(), "downloadUrl": url, "downloadUrlExpiresAt": link_expires_at.to_string(),
    })
}

/// The address of a link to a document of the caller's, and its end.
pub(crate) fn made(setup: &Setup, caller: &Caller, here: &Here, record: &DocumentRecord, ttl_seconds: Option<u32>) -> (String, Timestamp) {
    let link = setup.renderer.documents().link(&caller.tenant, record, ttl_seconds, record.disposition);
    (address(setup, here, &link.path), link.expires_at)
}

/// The whole address of a path: under the operator's address where there is one, else under the one that the request came to.
pub(crate) fn address(setup: &Setup, here: &Here, path: &str) -> String {
    let base = setup.documents_base_url.as_deref().or(here.0.as_deref());
    format!("{}{path}", base.unwrap_or_default())
}

/// The address that a request came to, as far as it says: `Host`, and how it reached the first proxy we trust.
pub(crate) struct Here(Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for Here {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        let named = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = named.or_else(|| parts.uri.authority().map(axum::http::uri::Authority::as_str));
        // What is more than a name and a port would lead elsewhere.
        let plain = |host: &&str| {
            !host.is_empty() && host.len() <= 255 && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte))
        };
        let scheme = match parts.extensions.get::<Client>().map(|client| client.scheme) {
            Some(Scheme::Https) => "https",
            _ => "http",
        };
        Ok(Self(host.filter(plain).map(|host| format!("{scheme}://{host}"))))
    }
}
