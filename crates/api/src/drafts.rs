//! Drafts: what a person is writing and has not saved as a version. Colleagues may look, nobody else writes.

use axum::Json;
use axum::extract::{Extension, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::ErrorCode;
use domain::drafts::DRAFTS_LIMIT;
use domain::templates::TemplateKey;
use serde::Deserialize;
use serde_json::{Value, json};
use store::{DraftContent, DraftOutcome, DraftRecord, DraftSummary};
use utoipa::ToSchema;

use crate::Setup;
use crate::auth::Caller;
use crate::body::{JsonBody, Path};
use crate::error::ApiError;
use crate::preconditions::{etag, expected};
use crate::query::Pairs;
use crate::templates::{known_key, unknown};

/// A draft to be kept.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DraftBody {
    /// The version it was begun from, such as `1.0.3`.
    base_version: String,
    /// The definition; it need not be valid yet.
    #[schema(value_type = Object)]
    definition: Value,
}

/// The caller's own draft; 204 where there is none.
#[utoipa::path(get, path = "/templates/{key}/draft", tag = "drafts", params(("key" = String, Path)), responses((status = 200, description = "The draft; ETag is its revision"), (status = 204, description = "There is none"), (status = 409, description = "The caller is nobody in particular"), (status = 404, description = "Unknown")))]
pub async fn get(State(setup): State<Setup>, Extension(caller): Extension<Caller>, Path(key): Path<String>) -> Result<Response, ApiError> {
    let key = known_key(&key)?;
    let owner = person(&setup, &caller, &key).await?;
    answer(&setup, caller, &key, &owner).await
}

/// Keeps the caller's draft, in place of the one before. With `If-Match: "<revision>"` only if that is what there is; `"0"`
/// only if there is none.
#[utoipa::path(put, path = "/templates/{key}/draft", tag = "drafts", params(("key" = String, Path), ("If-Match" = Option<String>, Header)), request_body = DraftBody, responses((status = 200, description = "Kept; ETag is its revision"), (status = 404, description = "Unknown"), (status = 409, description = "The caller is nobody in particular, or the template has 50 of them"), (status = 412, description = "Another revision is there"), (status = 422, description = "Not acceptable")))]
pub async fn put(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(key): Path<String>,
    headers: HeaderMap,
    JsonBody(body): JsonBody<DraftBody>,
) -> Result<Response, ApiError> {
    let key = known_key(&key)?;
    person(&setup, &caller, &key).await?;
    let expected = expected_revision(&headers)?;
    let unknown_base =
        || ApiError::field("/baseVersion", format!("\"{key}\" has no such version; name the one the draft was begun from, such as 1.0.3"));
    let base_version = body.base_version.parse().map_err(|_| unknown_base())?;
    if !body.definition.is_object() {
        return Err(ApiError::field("/definition", "must be an object"));
    }
    let content = DraftContent { base_version, definition: &body.definition };
    match setup.store.tenant(caller.tenant).drafts().put(&key, expected, content, &caller.actor).await? {
        DraftOutcome::Written(saved) => Ok(draft(DraftRecord { summary: saved, definition: body.definition })),
        DraftOutcome::NotFound => Err(unknown(&key)),
        DraftOutcome::UnknownBase => Err(unknown_base()),
        DraftOutcome::Stale { current } => Err(stale(current)),
        DraftOutcome::TooMany => Err(ApiError::new(
            ErrorCode::Conflict,
            format!("a template has up to {DRAFTS_LIMIT} drafts, and \"{key}\" has them; somebody has to delete theirs first"),
        )),
    }
}

/// Removes the caller's draft, if there is one.
#[utoipa::path(delete, path = "/templates/{key}/draft", tag = "drafts", params(("key" = String, Path), ("If-Match" = Option<String>, Header)), responses((status = 204, description = "There is none any more"), (status = 409, description = "The caller is nobody in particular"), (status = 404, description = "Unknown"), (status = 412, description = "Another revision is there")))]
pub async fn delete(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(key): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    let key = known_key(&key)?;
    person(&setup, &caller, &key).await?;
    let expected = expected_revision(&headers)?;
    match setup.store.tenant(caller.tenant).drafts().delete(&key, expected, &caller.actor).await? {
        DraftOutcome::Stale { current } => Err(stale(current)),
        DraftOutcome::NotFound => Err(unknown(&key)),
        _ => Ok(StatusCode::NO_CONTENT),
    }
}

/// Who has a draft of a template, and from which version, the latest first.
#[utoipa::path(get, path = "/templates/{key}/drafts", tag = "drafts", params(("key" = String, Path), ("limit" = Option<u32>, Query), ("offset" = Option<u64>, Query)), responses((status = 200, description = "A page of drafts without their definitions"), (status = 404, description = "Unknown")))]
pub async fn list(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(key): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let (key, page) = (known_key(&key)?, Pairs::read(query.as_deref())?.page()?);
    let found = setup.store.tenant(caller.tenant).drafts().list(&key, page.limit, page.offset).await?.ok_or_else(|| unknown(&key))?;
    let items: Vec<Value> = found.items.iter().map(summary).collect();
    Ok(page.answer(&items, found.total))
}

/// The draft of a colleague; 204 where there is none.
#[utoipa::path(get, path = "/templates/{key}/drafts/{owner}", tag = "drafts", params(("key" = String, Path), ("owner" = String, Path)), responses((status = 200, description = "The draft; ETag is its revision"), (status = 204, description = "There is none"), (status = 404, description = "Unknown")))]
pub async fn review(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path((key, owner)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let key = known_key(&key)?;
    answer(&setup, caller, &key, &owner).await
}

async fn answer(setup: &Setup, caller: Caller, key: &TemplateKey, owner: &str) -> Result<Response, ApiError> {
    // A name that cannot be stored has no draft.
    let owner = if owner.contains('\0') { "" } else { owner };
    let found = setup.store.tenant(caller.tenant).drafts().get(key, owner).await?.ok_or_else(|| unknown(key))?;
    Ok(found.map_or_else(|| StatusCode::NO_CONTENT.into_response(), draft))
}

/// Whose drafts these are. A key can be in many hands, and the name in a token that was made for one can be anybody's.
async fn person(setup: &Setup, caller: &Caller, key: &TemplateKey) -> Result<String, ApiError> {
    if let Some(id) = caller.person() {
        return Ok(id.to_owned());
    }
    // First whether there is such a template, as everywhere.
    setup.store.tenant(caller.tenant.clone()).templates().get(key).await?.ok_or_else(|| unknown(key))?;
    let said = "drafts belong to people: come with the key or the token of a registered user, or by the identity provider";
    Err(ApiError::new(ErrorCode::DraftIdentityRequired, said))
}

fn expected_revision(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    expected(headers, "one revision of the draft in double quotes, such as \"7\", or \"0\" for a draft that must not exist")
}

fn stale(current: u64) -> ApiError {
    let now = if current == 0 { "does not exist".to_owned() } else { format!("has the revision {current}") };
    ApiError::new(
        ErrorCode::PreconditionFailed,
        format!("the draft {now}: it was written elsewhere, perhaps in another window; read it again"),
    )
}

fn draft(record: DraftRecord) -> Response {
    let etag = etag(record.summary.revision);
    let mut body = summary(&record.summary);
    body["definition"] = record.definition;
    ([(header::ETAG, etag)], Json(body)).into_response()
}

fn summary(draft: &DraftSummary) -> Value {
    json!({
        "owner": draft.owner, "baseVersion": draft.base_version, "revision": draft.revision,
        "createdAt": draft.created_at, "updatedAt": draft.updated_at,
    })
}
