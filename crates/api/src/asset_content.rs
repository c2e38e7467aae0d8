//! The bytes of assets: their versions, and how they go out.

use std::pin::Pin;

use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, RawQuery, Request, State};
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, IF_RANGE, RANGE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::assets::AssetFile;
use domain::{Action, ErrorCode, TenantId};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use store::AssetVersionRecord;

use crate::Setup;
use crate::asset_upload::receive;
use crate::assets::{address, answer, expected_version, known_id, unknown, written};
use crate::auth::{self, Caller};
use crate::body::Path;
use crate::error::ApiError;
use crate::identity::Identity;
use crate::query::Pairs;

/// Who may read the bytes of assets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AssetAccess {
    /// Whoever knows the name of a file, which cannot be guessed.
    Public,
    /// Whoever may read assets of the tenant.
    Private,
}

/// Uploads a file as the next version of an asset. With `If-Match` only where that version is current.
#[utoipa::path(put, path = "/assets/{id}/content", tag = "assets", params(("id" = String, Path)), request_body(content_type = "multipart/form-data", content = Value),
    responses((status = 200, description = "The asset; ETag is its version"), (status = 404, description = "Unknown"), (status = 412, description = "Another version is current"), (status = 415, description = "The file is of another kind")))]
pub async fn replace(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (id, expected) = (known_id(&id)?, expected_version(request.headers())?);
    // Before the file is taken in.
    if setup.store.tenant(caller.tenant.clone()).assets().get(id).await?.is_none() {
        return Err(unknown());
    }
    let received = receive(&setup, request, &[]).await?;
    let outcome = setup.renderer.assets().replace(&caller.tenant, id, expected, received.upload, &caller.actor).await?;
    Ok(answer(&setup, &written(outcome, None)?))
}

/// Lists an asset's versions, the newest first.
#[utoipa::path(get, path = "/assets/{id}/versions", tag = "assets", params(("id" = String, Path), ("limit" = Option<u32>, Query), ("offset" = Option<u64>, Query)), responses((status = 200, description = "A page"), (status = 404, description = "Unknown")))]
pub async fn versions(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, ApiError> {
    let (id, page) = (known_id(&id)?, Pairs::read(query.as_deref())?.page()?);
    let found = setup.store.tenant(caller.tenant).asset_versions().list(id, page.limit, page.offset).await?.ok_or_else(unknown)?;
    let items: Vec<Value> = found.items.iter().map(|found| version(&setup, found)).collect();
    Ok(page.answer(&items, found.total))
}

/// Makes the bytes of an old version the next one.
#[utoipa::path(post, path = "/assets/{id}/versions/{version}/restore", tag = "assets", params(("id" = String, Path), ("version" = String, Path), ("If-Match" = Option<String>, Header)), responses((status = 200, description = "The asset; ETag is its version"), (status = 404, description = "Unknown"), (status = 412, description = "Another version is current")))]
pub async fn restore(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path((id, version)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (id, expected) = (known_id(&id)?, expected_version(&headers)?);
    let version = version.parse().map_err(|_| ApiError::not_found("the asset has no such version; versions are counted from 1"))?;
    let outcome = setup.store.tenant(caller.tenant.clone()).asset_versions().restore(id, expected, version, &caller.actor).await?;
    setup.renderer.assets().changed(&caller.tenant).await;
    Ok(answer(&setup, &written(outcome, None)?))
}

/// Lets everybody through where files are public; elsewhere whoever may read assets.
pub(crate) async fn guard(
    State((identity, access)): State<(Identity, AssetAccess)>,
    parameters: Result<axum::extract::RawPathParams, axum::extract::rejection::RawPathParamsRejection>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    match access {
        AssetAccess::Public => Ok(next.run(request).await),
        AssetAccess::Private => auth::require(State((identity, Action::AssetRead)), parameters, request, next).await,
    }
}

/// The bytes that a file's name means, or a part of them. Without a credential where assets are public.
#[utoipa::path(get, path = "/assets/{id}", tag = "assets", params(("id" = String, Path, description = "the `filename` of an asset or of one of its versions")),
    responses((status = 200, description = "The bytes; ETag is their hash"), (status = 206, description = "The part that Range asks for"), (status = 304, description = "If-None-Match names their hash"), (status = 404, description = "Unknown"), (status = 416, description = "There is no such part")))]
pub async fn get(
    State(setup): State<Setup>,
    caller: Option<Extension<Caller>>,
    Path(name): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let no_file = || ApiError::not_found("there is no such file");
    let file: AssetFile = name.parse().map_err(|_| no_file())?;
    let found = setup.store.asset_file(&file).await?;
    let caller = caller.map(|Extension(caller)| caller.tenant);
    // What another tenant has is nothing to a caller, not even a name.
    let mine = |(tenant, _): &(TenantId, AssetVersionRecord)| caller.as_ref().is_none_or(|caller| caller == tenant);
    let (tenant, version) = found.filter(mine).ok_or_else(no_file)?;
    if AssetFile::new(version.asset_id, version.content.hash, &version.content.mime_type) != file {
        return Err(no_file());
    }
    let tag = format!("\"{}\"", version.content.hash);
    let known = |value: &HeaderValue| value.to_str().is_ok_and(|tags| tags.split(',').any(|given| matches_tag(given, &tag)));
    let mut answer = describe(&version, &tag, setup.asset_access);
    if headers.get_all(IF_NONE_MATCH).iter().any(known) {
        return Ok((StatusCode::NOT_MODIFIED, answer).into_response());
    }
    let size_bytes = version.content.size_bytes;
    // A part of other bytes than those that the client has begun with is of no use.
    let asked = headers.get(RANGE).filter(|_| headers.get(IF_RANGE).is_none_or(known));
    let range = match asked.and_then(|range| range.to_str().ok()).map(|range| part(range, size_bytes)) {
        None | Some(Part::Whole) => None,
        Some(Part::Some(first, last)) => Some((first, last)),
        Some(Part::Outside) => {
            answer.insert(CONTENT_RANGE, value(&format!("bytes */{size_bytes}")));
            let range = answer.remove(CONTENT_RANGE);
            let mut refused =
                ApiError::new(ErrorCode::BadRequest, format!("the file has {size_bytes} bytes; the range begins behind them"))
                    .into_response();
            *refused.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            refused.headers_mut().extend(range.map(|range| (CONTENT_RANGE, range)));
            return Ok(refused);
        }
    };
    let (status, length) = match range {
        None => (StatusCode::OK, size_bytes),
        Some((first, last)) => {
            answer.insert(CONTENT_RANGE, value(&format!("bytes {first}-{last}/{size_bytes}")));
            (StatusCode::PARTIAL_CONTENT, last - first + 1)
        }
    };
    answer.insert(CONTENT_LENGTH, HeaderValue::from(length));
    if method == Method::HEAD {
        return Ok((status, answer).into_response());
    }
    let bytes = range.map(|(first, last)| render::ByteRange { first, last: Some(last) });
    let content = setup.renderer.assets().open(&tenant, &version, bytes).await?;
    Ok((status, answer, Body::from_stream(Pin::from(Box::new(content)))).into_response())
}

/// What is said with the bytes.
fn describe(version: &AssetVersionRecord, tag: &str, access: AssetAccess) -> HeaderMap {
    let content = &version.content;
    let keep = match access {
        AssetAccess::Public => "public, max-age=31536000, immutable",
        AssetAccess::Private => "private, max-age=31536000, immutable",
    };
    let kind = if content.mime_type.starts_with("image/") || content.mime_type.starts_with("font/") { "inline" } else { "attachment" };
    let name = utf8_percent_encode(&content.original_name, NON_ALPHANUMERIC);
    let mut headers = HeaderMap::new();
    let mut say = |name: HeaderName, text: &str| headers.insert(name, value(text));
    say(CONTENT_TYPE, &content.mime_type);
    say(ETAG, tag);
    say(CACHE_CONTROL, keep);
    say(ACCEPT_RANGES, "bytes");
    say(CONTENT_DISPOSITION, &format!("{kind}; filename*=UTF-8''{name}"));
    // Opened by itself an SVG is a page: it runs and loads nothing, whatever is in it.
    say(
        CONTENT_SECURITY_POLICY,
        "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; frame-ancestors 'none'",
    );
    if access == AssetAccess::Public {
        // Pages of other origins may show them; that is what public means.
        say(HeaderName::from_static("cross-origin-resource-policy"), "cross-origin");
    }
    headers
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

fn matches_tag(given: &str, tag: &str) -> bool {
    let given = given.trim();
    given == "*" || given.strip_prefix("W/").unwrap_or(given) == tag
}

/// What a `Range` asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Everything: what is not understood, and several parts at once, count as nothing.
    Whole,
    /// From the first to the last of these bytes.
    Some(u64, u64),
    /// Nothing that there is.
    Outside,
}

pub(crate) fn part(range: &str, size_bytes: u64) -> Part {
    let Some((first, last)) = range.trim().strip_prefix("bytes=").and_then(|range| range.split_once('-')) else { return Part::Whole };
    let number = |text: &str| -> Option<u64> { if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None } };
    let end = size_bytes.saturating_sub(1);
    match (first.trim(), last.trim()) {
        ("", last) => match number(last) {
            Some(0) => Part::Outside,
            Some(_) if size_bytes == 0 => Part::Outside,
            Some(length) => Part::Some(size_bytes.saturating_sub(length), end),
            None => Part::Whole,
        },
        (first, last) => match (number(first), if last.is_empty() { Some(u64::MAX) } else { number(last) }) {
            (Some(first), Some(last)) if last < first => Part::Whole,
            (Some(first), Some(_)) if first >= size_bytes => Part::Outside,
            (Some(first), Some(last)) => Part::Some(first, last.min(end)),
            _ => Part::Whole,
        },
    }
}

fn version(setup: &Setup, version: &AssetVersionRecord) -> Value {
    let content = &version.content;
    let file = AssetFile::new(version.asset_id, content.hash, &content.mime_type).to_string();
    json!({
        "version": version.version, "mimeType": content.mime_type, "sizeBytes": content.size_bytes, "contentHash": content.hash.to_string(),
        "originalName": content.original_name, "filename": file, "url": address(setup, &file),
        "svgSanitized": content.svg_sanitized, "width": content.size_px.map(|size| size.0), "height": content.size_px.map(|size| size.1),
        "createdAt": version.created_at, "createdBy": version.created_by,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_one_part_within_the_file_or_all_of_it() {
        for (range, found) in [
            ("bytes=0-0", Part::Some(0, 0)),
            ("bytes=2-", Part::Some(2, 9)),
            ("bytes=2-99", Part::Some(2, 9)),
            ("bytes=-3", Part::Some(7, 9)),
            ("bytes=-99", Part::Some(0, 9)),
            ("bytes=10-", Part::Outside),
            ("bytes=-0", Part::Outside),
            ("bytes=5-2", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("bytes=-", Part::Whole),
            ("lines=1-2", Part::Whole),
            ("bytes=99999999999999999999-", Part::Whole),
        ] {
            assert_eq!(part(range, 10), found, "{range}");
        }
        assert_eq!(part("bytes=-5", 0), Part::Outside);
    }
}
