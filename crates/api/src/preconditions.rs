//! `If-Match` on writes, and the change note that comes with them.

use std::num::NonZeroU64;

use axum::http::{HeaderMap, HeaderValue, header};
use domain::ErrorCode;
use domain::templates::TemplateVersion;
use store::{LabelExpected, LabelRecord};

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

/// What a write expects of a label: a revision (`"7"`; `"0"` for a label that must not exist) or the version that it leads to;
/// none where it expects nothing.
pub fn expected_label(headers: &HeaderMap) -> Result<Option<LabelExpected>, ApiError> {
    let Some(given) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = given.to_str().ok().and_then(|text| text.strip_prefix('"')?.strip_suffix('"'));
    let revision = |text: &str| text.parse().map(LabelExpected::Revision).ok();
    let version = |text: &str| text.parse().map(LabelExpected::Version).ok();
    text.and_then(|text| revision(text).or_else(|| version(text))).map(Some).ok_or_else(|| {
        ApiError::bad_request(
            "If-Match must be one revision of the label in double quotes, such as \"7\" (\"0\" for a label that must not exist), or the version that it leads to",
        )
    })
}

/// The write expected something else of the label.
pub fn stale_label(current: Option<&LabelRecord>) -> ApiError {
    let now = current
        .map_or_else(|| "does not exist".to_owned(), |label| format!("leads to {} since its revision {}", label.version, label.revision));
    ApiError::new(ErrorCode::PreconditionFailed, format!("the label {now}, which is not what If-Match says; read it again and decide"))
}

/// For operations whose subject has no revision: a condition that nobody could check is refused, not passed over.
pub fn takes_no_condition(headers: &HeaderMap) -> Result<(), ApiError> {
    if headers.contains_key(header::IF_MATCH) {
        return Err(ApiError::bad_request("this operation takes no If-Match: what it changes has no revision; send it without"));
    }
    Ok(())
}

/// A label's revision as a strong entity tag.
pub fn revision_etag(revision: NonZeroU64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{revision}\"")).unwrap_or(HeaderValue::from_static("\"\""))
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
