//! Reading JSON bodies and queries so that a wrong one is told where it is wrong.

use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::{HeaderMap, header, request::Parts};
use bytes::{Bytes, BytesMut};
use domain::ErrorCode;
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use crate::Setup;
use crate::bodies;
use crate::error::ApiError;

/// A JSON body. Malformed JSON is answered with line and column, a body over the limit with 413.
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Setup> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, setup: &Setup) -> Result<Self, ApiError> {
        match MaybeJsonBody::from_request(request, setup).await? {
            MaybeJsonBody(Some(value)) => Ok(Self(value)),
            MaybeJsonBody(None) => Err(ApiError::bad_request("the body is empty; a JSON value is expected")),
        }
    }
}

/// As [`JsonBody`], where nothing at all is accepted too.
pub struct MaybeJsonBody<T>(pub Option<T>);

impl<T: DeserializeOwned> FromRequest<Setup> for MaybeJsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, setup: &Setup) -> Result<Self, ApiError> {
        check_content_type(request.headers())?;
        check_content_encoding(request.headers())?;
        let strangers = bodies::open_to_strangers(request.uri().path());
        let (limit_bytes, patience) =
            if strangers { (bodies::STRANGERS_BYTES, STRANGERS_TIMEOUT) } else { (setup.body_limit_bytes, BODY_TIMEOUT) };
        let bytes = tokio::time::timeout(patience, read(request, limit_bytes)).await;
        let bytes = bytes.map_err(|_| ApiError::bad_request(format!("the body did not arrive within {} s", patience.as_secs())))??;
        if bytes.is_empty() {
            return Ok(Self(None));
        }
        serde_json::from_slice(&bytes).map(|value| Self(Some(value))).map_err(|error| malformed(&error))
    }
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

/// How long a body may take to arrive: 20 MiB at 3 Mbit/s.
const BODY_TIMEOUT: Duration = Duration::from_mins(1);
/// The same for the little that somebody without a credential sends.
const STRANGERS_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a body that is refused anyway may go on arriving.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of it is read, as a multiple of the limit.
const DISCARD_FACTOR: usize = 4;

/// Reads the body up to the limit, counted after decompression. What comes after is read and thrown away for a while: a
/// client that is still sending when the connection closes would never see the answer.
async fn read(request: Request, limit_bytes: usize) -> Result<Bytes, ApiError> {
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let mut stream = request.into_body().into_data_stream();
    let mut body = BytesMut::with_capacity(announced.unwrap_or(0).min(limit_bytes));
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|error| {
            tracing::debug!(%error, "a request body could not be read");
            ApiError::bad_request("the body could not be read: it ended early, or is not the gzip stream that Content-Encoding promises")
        })?;
        if body.len() + chunk.len() > limit_bytes {
            let discard = async {
                let mut left = limit_bytes.saturating_mul(DISCARD_FACTOR);
                while let Some(Ok(chunk)) = stream.next().await {
                    left = left.saturating_sub(chunk.len());
                    if left == 0 {
                        break;
                    }
                }
            };
            let _ = tokio::time::timeout(DISCARD_TIMEOUT, discard).await;
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// The answer to a body over the limit.
fn too_large() -> ApiError {
    ApiError::new(
        ErrorCode::PayloadTooLarge,
        "the request body is over the limit of this server (REQUEST_BODY_LIMIT_BYTES, counted after decompression)",
    )
}

fn malformed(error: &serde_json::Error) -> ApiError {
    let text = error.to_string();
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
