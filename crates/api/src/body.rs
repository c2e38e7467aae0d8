//! Reading JSON bodies and queries so that a wrong one is told where it is wrong.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::{HeaderMap, header, request::Parts};
use bytes::Bytes;
use domain::ErrorCode;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::Setup;
use crate::deep_json;
use crate::error::ApiError;
use crate::incoming;

/// A JSON object, read into a structure. Malformed JSON is answered with line and column, a body over the limit with 413,
/// and anything but an object with what it is instead.
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Setup> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, setup: &Setup) -> Result<Self, ApiError> {
        object(&given(request, setup).await?).map(Self)
    }
}

/// As [`JsonBody`], where nothing at all is accepted too.
pub struct MaybeJsonBody<T>(pub Option<T>);

impl<T: DeserializeOwned> FromRequest<Setup> for MaybeJsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, setup: &Setup) -> Result<Self, ApiError> {
        let bytes = bytes(request, setup).await?;
        if bytes.is_empty() { Ok(Self(None)) } else { object(&bytes).map(|value| Self(Some(value))) }
    }
}

/// Any JSON, for handlers that look at it themselves.
pub struct AnyJson(pub Value);

impl FromRequest<Setup> for AnyJson {
    type Rejection = ApiError;

    async fn from_request(request: Request, setup: &Setup) -> Result<Self, ApiError> {
        let bytes = given(request, setup).await?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| malformed(&bytes, &error))
    }
}

/// Any JSON as it came. It is read once, so that whoever reads it later finds it readable.
pub struct JsonBytes(pub Bytes);

impl FromRequest<Setup> for JsonBytes {
    type Rejection = ApiError;

    async fn from_request(request: Request, setup: &Setup) -> Result<Self, ApiError> {
        let bytes = given(request, setup).await?;
        // Not as something to be ignored, which may be deeper and hold other numbers and characters than what is read.
        serde_json::from_slice::<Value>(&bytes).map_err(|error| malformed(&bytes, &error))?;
        Ok(Self(bytes))
    }
}

async fn given(request: Request, setup: &Setup) -> Result<Bytes, ApiError> {
    let bytes = bytes(request, setup).await?;
    if bytes.is_empty() { Err(ApiError::bad_request("the body is empty; a JSON value is expected")) } else { Ok(bytes) }
}

async fn bytes(request: Request, setup: &Setup) -> Result<Bytes, ApiError> {
    check_content_type(request.headers())?;
    check_content_encoding(request.headers())?;
    incoming::read(request, setup.body_limit_bytes).await
}

/// A structure from a JSON object. Left to itself, serde also reads one from an array, field after field in an order that
/// nobody published.
fn object<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let found = match bytes.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n')) {
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b'0'..=b'9' | b'-') => "a number",
        Some(b't' | b'f') => "true or false",
        Some(b'n') => "null",
        _ => return serde_json::from_slice(bytes).map_err(|error| malformed(bytes, &error)),
    };
    serde_json::from_slice::<IgnoredAny>(bytes).map_err(|error| malformed(bytes, &error))?;
    Err(ApiError::bad_request(format!("the body is {found}; accepted: a JSON object with the fields that /docs lists")))
}

/// Tells `null`, which takes a value away, from a field that is absent: `#[serde(default, deserialize_with = "nullable")]`.
#[expect(clippy::option_option, reason = "absent, null and a value are three things to say")]
pub fn nullable<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

fn check_content_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(given) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let given = given.to_str().unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json")) {
        return Ok(());
    }
    Err(ApiError::new(ErrorCode::UnsupportedMediaType, "the body must be JSON: send Content-Type: application/json"))
}

/// What was gzip is plain by now, and has lost the header.
fn check_content_encoding(headers: &HeaderMap) -> Result<(), ApiError> {
    match headers.get(header::CONTENT_ENCODING) {
        Some(encoding) if encoding != "identity" => {
            Err(ApiError::new(ErrorCode::UnsupportedMediaType, "the body's Content-Encoding is not accepted; accepted: gzip, identity"))
        }
        _ => Ok(()),
    }
}

fn malformed(bytes: &[u8], error: &serde_json::Error) -> ApiError {
    let text = error.to_string();
    if text.starts_with("recursion limit exceeded") {
        return deep_json::refused(bytes);
    }
    // serde_json appends the place; it is said in our own words below.
    let reason = text.split(" at line ").next().unwrap_or(&text);
    ApiError::bad_request(format!("the body is not the JSON that is expected: {reason} (line {}, column {})", error.line(), error.column()))
}

/// The parameters in the path, read into `T`.
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        path.map(|path| Self(path.0)).map_err(|rejection| {
            tracing::debug!(%rejection, "a path could not be read");
            ApiError::bad_request("the path is not percent-encoded UTF-8")
        })
    }
}

/// The query string, read into `T`.
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        axum::extract::Query::<T>::try_from_uri(&parts.uri)
            .map(|query| Self(query.0))
            .map_err(|rejection| ApiError::bad_request(format!("the query cannot be read: {}", rejection.body_text())))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Deserialize, PartialEq, Debug)]
    #[serde(deny_unknown_fields)]
    struct Note {
        text: Option<String>,
        #[serde(default)]
        lines: Vec<u8>,
    }

    #[test]
    fn a_structure_comes_from_an_object_and_from_nothing_else() {
        let read = |text: &str| object::<Note>(text.as_bytes()).map_err(|error| format!("{error:?}"));
        assert_eq!(read("\r\n\t {\"text\": \"x\"}"), Ok(Note { text: Some("x".to_owned()), lines: Vec::new() }));
        assert_eq!(serde_json::from_str::<Note>("[\"x\", [1]]").unwrap().lines, [1], "what serde would make of an array");
        for (text, found) in [
            ("[\"x\", [1]]", "an array"),
            (" []", "an array"),
            ("\"x\"", "a string"),
            ("-1", "a number"),
            ("true", "true or false"),
            ("null", "null"),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.contains(&format!("the body is {found}; accepted: a JSON object")), "{text}: {said}");
        }
        for (text, place) in [("[", "line 1, column 1"), ("{\"text\": }", "column 10"), ("x", "column 1"), ("[1] x", "column 5")] {
            assert!(read(text).unwrap_err().contains(place), "{text}: {:?}", read(text));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1_000, max_shrink_time: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_text_that_begins_as_an_array_becomes_a_structure(blank in "[ \t\r\n]{0,3}", rest in ".{0,40}") {
            let text = format!("{blank}[{rest}");
            prop_assert!(object::<Note>(text.as_bytes()).is_err(), "{}", text);
        }
    }
}
