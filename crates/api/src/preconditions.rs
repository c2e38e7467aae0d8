//! `If-Match` on writes, and the change note that comes with them.

use std::fmt::Display;
use std::str::FromStr;

use axum::http::{HeaderMap, HeaderValue, header};
use domain::ErrorCode;
use domain::templates::TemplateVersion;
use store::{LabelExpected, LabelRecord};

use crate::error::ApiError;

/// What stands between the double quotes of `If-Match`, if the header is there; `accepted` says what it must be.
pub fn expected<T: FromStr>(headers: &HeaderMap, accepted: &str) -> Result<Option<T>, ApiError> {
    expected_as(headers, accepted, |text| text.parse().ok())
}

fn expected_as<T>(headers: &HeaderMap, accepted: &str, read: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, ApiError> {
    let Some(given) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let expected = given.to_str().ok().and_then(|text| read(text.strip_prefix('"')?.strip_suffix('"')?));
    expected.map(Some).ok_or_else(|| ApiError::bad_request(format!("If-Match must be {accepted}")))
}

/// The version that a conditional write expects to be current.
pub fn expected_version(headers: &HeaderMap) -> Result<TemplateVersion, ApiError> {
    expected(headers, "one version in double quotes, such as \"1.0.3\"; *, weak tags and lists are not accepted")?.ok_or_else(|| {
        ApiError::new(ErrorCode::PreconditionRequired, "send If-Match with the version you have read, such as If-Match: \"1.0.3\"")
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
    let accepted = "one revision of the label in double quotes, such as \"7\" (\"0\" for a label that must not exist), or the version that it leads to";
    expected_as(headers, accepted, |text| {
        let revision = text.parse().map(LabelExpected::Revision).ok();
        revision.or_else(|| text.parse().map(LabelExpected::Version).ok())
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

/// A version or revision as a strong entity tag.
pub fn etag(version: impl Display) -> HeaderValue {
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
