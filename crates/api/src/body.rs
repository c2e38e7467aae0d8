//! Reading JSON bodies and queries so that a wrong one is told where it is wrong.

use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::{HeaderMap, header, request::Parts};
use bytes::{Bytes, BytesMut};
use domain::ErrorCode;
use futures_util::StreamExt;
use serde::de::DeserializeOwned;

use crate::Setup;
use crate::error::ApiError;

/// A JSON body. Malformed JSON is answered with line and column, a body over the limit with 413.
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Setup> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, setup: &Setup) -> Result<Self, ApiError> {
        check_content_type(request.headers())?;
        let bytes = read(request, setup.body_limit_bytes).await?;
        if bytes.is_empty() {
            return Err(ApiError::bad_request("the body is empty; a JSON value is expected"));
        }
        serde_json::from_slice(&bytes).map(Self).map_err(|error| malformed(&error))
    }
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

/// How long a body that is refused anyway may go on arriving.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of it is read, as a multiple of the limit.
const DISCARD_FACTOR: usize = 4;

/// Reads the body up to the limit, counted after decompression. What comes after is read and thrown away for a while: a
/// client that is still sending when the connection closes would never see the answer.
async fn read(request: Request, limit_bytes: usize) -> Result<Bytes, ApiError> {
    let gzip = request.headers().contains_key(header::CONTENT_ENCODING);
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let mut stream = request.into_body().into_data_stream();
    let mut body = BytesMut::with_capacity(announced.unwrap_or(0).min(limit_bytes));
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|error| {
            tracing::debug!(%error, "a request body could not be read");
            if gzip {
                ApiError::bad_request(
                    "the body could not be read: it is not the gzip stream that Content-Encoding promises, or it ended early",
                )
            } else {
                ApiError::bad_request("the body could not be read: the connection ended early or its encoding is broken")
            }
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

/// The query string, read into `T`.
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        axum::extract::Query::<T>::try_from_uri(&parts.uri)
            .map(|query| Self(query.0))
            .map_err(|rejection| ApiError::bad_request(rejection.body_text()))
    }
}
