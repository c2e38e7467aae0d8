//! `If-Match` on writes, and the change note that comes with them.

use axum::http::{HeaderMap, HeaderValue, header};
use domain::ErrorCode;
use domain::templates::TemplateVersion;

use crate::error::ApiError;

/// The version that a conditional write expects to be current.
pub fn expected_version(headers: &HeaderMap) -> Result<TemplateVersion, ApiError> {
    let given = headers.get(header::IF_MATCH).ok_or_else(|| {
        ApiError::new(ErrorCode::PreconditionRequired, "send If-Match with the version you have read, such as If-Match: \"1.0.3\"")
    })?;
    let version = given.to_str().ok().and_then(|text| text.strip_prefix('"')?.strip_suffix('"')?.parse().ok());
    version.ok_or_else(|| {
        ApiError::bad_request("If-Match must be one version in double quotes, such as \"1.0.3\"; *, weak tags and lists are not accepted")
    })
}

/// The write named a version that is not current.
pub fn stale(expected: TemplateVersion, current: TemplateVersion) -> ApiError {
    ApiError::new(
        ErrorCode::PreconditionFailed,
        format!("the current version is {current}, not {expected}; read it, merge your change and send If-Match: \"{current}\""),
    )
}

/// A version as a strong entity tag.
pub fn etag(version: TemplateVersion) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{version}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// The note in `X-PulpEngine-Change-Note`, percent-encoded UTF-8.
pub fn change_note(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(given) = headers.get("x-pulpengine-change-note") else { return Ok(None) };
    let wrong = || {
        ApiError::new(ErrorCode::InvalidChangeNote, "X-PulpEngine-Change-Note must be percent-encoded UTF-8 of at most 2,000 characters")
    };
    let note = percent_encoding::percent_decode(given.as_bytes()).decode_utf8().map_err(|_| wrong())?.into_owned();
    if note.chars().count() > store::CHANGE_NOTE_LIMIT_CHARS || note.contains('\0') {
        return Err(wrong());
    }
    Ok(Some(note).filter(|note| !note.is_empty()))
}
