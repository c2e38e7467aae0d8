//! Stored documents: found again, fetched by whoever may read them, and removed.

use std::pin::Pin;

use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, RawQuery, State};
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_RANGE, RANGE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::documents::DocumentSource;
use domain::ids::DocumentId;
use domain::options::Disposition;
use domain::usage::UsageMetadata;
use domain::{Action, ErrorCode, TenantId};
use render::{ByteRange, Fetch, NoDownload};
use serde_json::{Map, Value, json};
use store::{DocumentFilter, DocumentRecord};
use uuid::Uuid;

use crate::Setup;
use crate::asset_content::{Part, part};
use crate::auth::{Caller, Credential};
use crate::body::Path;
use crate::error::ApiError;
use crate::query::{Pairs, refused};
use crate::renders::content_disposition;
use crate::usage_filter::reach_template;

/// What a document of HTML may do where it is shown: nothing. It came from a template, and maybe from its data.
pub(crate) const SANDBOX: HeaderValue =
    HeaderValue::from_static("sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:");
/// Names the stored document of an answer.
pub(crate) const DOCUMENT_ID: HeaderName = HeaderName::from_static("x-pulpengine-document-id");

/// Lists stored documents, the newest first.
#[utoipa::path(get, path = "/documents", tag = "documents", params(("templateKey" = Option<String>, Query), ("format" = Option<String>, Query), ("source" = Option<String>, Query, description = "single, batch, async-batch, scheduled or portal"), ("scheduleId" = Option<String>, Query), ("createdFrom" = Option<String>, Query, description = "The first moment"), ("createdTo" = Option<String>, Query, description = "The first moment after"), ("metadata" = Option<Object>, Query, style = DeepObject, description = "metadata[name]=value, all of them"), ("limit" = Option<u32>, Query), ("offset" = Option<u64>, Query)), responses((status = 200, description = "items, total, limit and offset")))]
pub async fn list(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let pairs = Pairs::read(query.as_deref())?;
    let page = pairs.page()?;
    let source = match pairs.text("source") {
        None => None,
        Some(word) => {
            let known = DocumentSource::ALL.map(DocumentSource::as_str).join(", ");
            Some(word.parse().map_err(|_| refused("source", word, &known))?)
        }
    };
    let mut words = metadata(&pairs)?;
    if let Some(schedule) = pairs.filter("scheduleId") {
        words = with_schedule(&words, &schedule)?;
    }
    let filter = DocumentFilter {
        template: pairs.filter("templateKey"),
        format: pairs.filter("format"),
        source,
        from: pairs.time("createdFrom")?,
        to: pairs.time("createdTo")?,
        metadata: words,
        actor: own(&caller)?,
        reached: caller.templates.clone(),
    };
    let found = setup.store.tenant(caller.tenant).documents().list(&filter, page.limit, page.offset).await?;
    let items: Vec<Value> = found.items.iter().map(shown).collect();
    Ok(page.answer(&items, found.total))
}

/// Documents of schedules have their schedule and their execution among their words.
fn with_schedule(words: &UsageMetadata, schedule: &str) -> Result<UsageMetadata, ApiError> {
    let mut all: Map<String, Value> = words.iter().map(|(name, word)| (name.to_owned(), Value::from(word))).collect();
    all.insert("scheduleId".to_owned(), schedule.into());
    UsageMetadata::from_json(&Value::Object(all), "/scheduleId").map_err(|issue| ApiError::bad_request(issue.message))
}

/// What is known of a stored document.
#[utoipa::path(get, path = "/documents/{id}", tag = "documents", params(("id" = String, Path)), responses((status = 200, description = "The document"), (status = 404, description = "Unknown, or its time is over")))]
pub async fn get(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(shown(&readable(&setup, &caller, &id).await?)))
}

/// The bytes of a stored document, or a part of them. Each fetch from the first byte on is counted.
#[utoipa::path(get, path = "/documents/{id}/content", tag = "documents", params(("id" = String, Path)), responses((status = 200, description = "The document"), (status = 206, description = "The part that Range asks for; documents with maxDownloads come whole"), (status = 404, description = "Unknown, or its time is over"), (status = 410, description = "It was downloaded as often as it may be"), (status = 416, description = "There is no such part")))]
pub async fn content(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let record = readable(&setup, &caller, &id).await?;
    fetched(&setup, &caller, record, &method, &headers).await
}

/// The answer to somebody with a credential who fetches a document.
pub(crate) async fn fetched(
    setup: &Setup,
    caller: &Caller,
    record: DocumentRecord,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let wanted = Wanted { tenant: &caller.tenant, link_version: None, disposition: record.disposition };
    give(setup, record, wanted, method, headers).await?.map_err(no_download)
}

/// Why somebody with a credential does not get a document that was there when it was looked for.
pub(crate) fn no_download(why: NoDownload) -> ApiError {
    match why {
        NoDownload::Gone | NoDownload::Revoked => unknown(),
        NoDownload::Exhausted => ApiError::new(ErrorCode::DocumentLinkExpired, why.to_string()),
    }
}

/// Removes a stored document; its links then lead nowhere.
#[utoipa::path(delete, path = "/documents/{id}", tag = "documents", params(("id" = String, Path)), responses((status = 204, description = "It is gone"), (status = 404, description = "Unknown, or its time is over")))]
pub async fn delete(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let record = readable(&setup, &caller, &id).await?;
    let removed = setup.store.tenant(caller.tenant).documents().delete(record.id, &caller.actor).await?;
    if removed { Ok(StatusCode::NO_CONTENT) } else { Err(unknown()) }
}

/// The document of that id, if the caller may read it.
pub(crate) async fn readable(setup: &Setup, caller: &Caller, id: &str) -> Result<DocumentRecord, ApiError> {
    let id = known_id(id)?;
    let record = setup.store.tenant(caller.tenant.clone()).documents().get(id).await?.ok_or_else(unknown)?;
    if own(caller)?.is_some_and(|actor| actor != record.actor) {
        return Err(unknown());
    }
    reach_template(caller, record.template.as_deref())?;
    Ok(record)
}

/// The only actor whose documents the caller may read; none for a caller who may read all. A key reads what was stored with it.
/// Names of tokens are chosen by whoever asks for them and prove nothing.
fn own(caller: &Caller) -> Result<Option<String>, ApiError> {
    if caller.may(Action::DocumentManage) {
        return Ok(None);
    }
    if caller.credential == Credential::ApiKey {
        return Ok(Some(caller.actor.name.to_string()));
    }
    Err(ApiError::new(ErrorCode::Forbidden, "a token reads stored documents with document:manage only; use the key that stored them"))
}

/// On whose behalf the bytes are wanted.
pub(crate) struct Wanted<'a> {
    /// Whose document.
    pub(crate) tenant: &'a TenantId,
    /// The count that the link was made under; none for somebody with a credential.
    pub(crate) link_version: Option<u32>,
    /// Whether a browser shows it or saves it.
    pub(crate) disposition: Disposition,
}

/// Gives the bytes out, and counts it.
pub(crate) async fn give(
    setup: &Setup,
    record: DocumentRecord,
    wanted: Wanted<'_>,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Result<Response, NoDownload>, ApiError> {
    let mut answer = described(&record, wanted.disposition);
    let size_bytes = record.size_bytes;
    // In parts, nobody could tell how often it was fetched.
    let in_parts = record.max_downloads.is_none();
    let tag = format!("\"{}\"", hex(&record.sha256));
    let same = |value: &HeaderValue| value.to_str().is_ok_and(|given| given.trim() == tag);
    let asked = headers.get(RANGE).filter(|_| in_parts && headers.get(IF_RANGE).is_none_or(same));
    let range = match asked.and_then(|range| range.to_str().ok()).map(|range| part(range, size_bytes)) {
        None | Some(Part::Whole) => None,
        Some(Part::Some(first, last)) => Some((first, last)),
        Some(Part::Outside) => {
            let said = format!("the document has {size_bytes} bytes; the range begins behind them");
            let mut refused = ApiError::new(ErrorCode::BadRequest, said).into_response();
            *refused.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            refused.headers_mut().extend(value(&format!("bytes */{size_bytes}")).map(|range| (CONTENT_RANGE, range)));
            return Ok(Ok(refused));
        }
    };
    if in_parts {
        answer.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    }
    let (status, length) = match range {
        None => (StatusCode::OK, size_bytes),
        Some((first, last)) => {
            answer.extend(value(&format!("bytes {first}-{last}/{size_bytes}")).map(|range| (CONTENT_RANGE, range)));
            (StatusCode::PARTIAL_CONTENT, last - first + 1)
        }
    };
    answer.insert(CONTENT_LENGTH, HeaderValue::from(length));
    if method == Method::HEAD {
        return Ok(Ok((status, answer).into_response()));
    }
    let range = range.map(|(first, last)| ByteRange { first, last: Some(last) });
    let fetch = Fetch { link_version: wanted.link_version, range };
    let opened = setup.renderer.documents().open(wanted.tenant, record.id, fetch).await?;
    Ok(opened.map(|(_, content)| (status, answer, Body::from_stream(Pin::from(Box::new(content)))).into_response()))
}

/// What is said with the bytes. No cache keeps a copy: the next fetch is to be counted, and may be refused.
fn described(record: &DocumentRecord, disposition: Disposition) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let texts = [
        (CONTENT_TYPE, record.content_type.clone()),
        (CONTENT_DISPOSITION, content_disposition(record.filename.as_str(), &record.format, disposition)),
        (ETAG, format!("\"{}\"", hex(&record.sha256))),
        (DOCUMENT_ID, record.id.to_string()),
    ];
    headers.extend(texts.into_iter().filter_map(|(name, text)| Some((name, value(&text)?))));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    if record.content_type.starts_with("text/html") {
        headers.insert(CONTENT_SECURITY_POLICY, SANDBOX);
    }
    headers
}

fn value(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(text).ok()
}

/// Each `metadata[name]` is a word to be found.
fn metadata(pairs: &Pairs) -> Result<UsageMetadata, ApiError> {
    let mut words: Vec<(String, String)> = Vec::new();
    for (parameter, text) in pairs.all() {
        let Some(rest) = parameter.strip_prefix("metadata") else { continue };
        let name = rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| refused(parameter, text, "metadata[name]=value"))?;
        let (name, word) = (name.replace('\0', "\u{FFFD}"), text.replace('\0', "\u{FFFD}"));
        if words.iter().any(|(known, other)| *known == name && *other != word) {
            return Err(refused(parameter, text, "one value for each name"));
        }
        words.push((name, word));
    }
    Ok(UsageMetadata::of(words))
}

/// A stored document as lists and answers show it.
pub(crate) fn shown(record: &DocumentRecord) -> Value {
    let metadata: Map<String, Value> = record.metadata.iter().map(|(name, word)| (name.to_owned(), Value::from(word))).collect();
    let of_schedule = |name: &str| metadata.get(name).filter(|_| record.source == DocumentSource::Scheduled).cloned();
    json!({
        "scheduleId": of_schedule("scheduleId"), "executionId": of_schedule("executionId"),
        "id": record.id, "format": record.format, "contentType": record.content_type, "filename": record.filename.as_str(),
        "sizeBytes": record.size_bytes, "sha256": hex(&record.sha256), "pageCount": record.pages, "source": record.source.as_str(),
        "templateKey": record.template, "templateVersion": record.version, "label": record.label,
        "batchJobId": record.item.map(|(job, _)| job), "itemIndex": record.item.map(|(_, index)| index),
        "renderId": record.usage_id, "requestId": record.request_id, "actor": record.actor, "metadata": metadata,
        "createdAt": record.created_at.to_string(), "expiresAt": record.expires_at.to_string(),
        "downloadCount": record.download_count, "maxDownloads": record.max_downloads,
        "lastDownloadedAt": record.last_downloaded_at.map(|moment| moment.to_string()), "linkVersion": record.link_version,
    })
}

pub(crate) fn hex(hash: &[u8]) -> String {
    hash.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

fn known_id(text: &str) -> Result<DocumentId, ApiError> {
    Uuid::parse_str(text).map(DocumentId::from).map_err(|_| unknown())
}

pub(crate) fn unknown() -> ApiError {
    ApiError::not_found("there is no such document, or its time is over")
}
