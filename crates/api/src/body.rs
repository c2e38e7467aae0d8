//! Reading JSON bodies and queries so that a wrong one is told where it is wrong.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::{HeaderMap, header, request::Parts};
use domain::ErrorCode;
use serde::de::DeserializeOwned;

use crate::error::ApiError;

/// A JSON body. Malformed JSON is answered with line and column, a body over the limit with 413.
pub struct JsonBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        check_content_type(request.headers())?;
        let bytes = read(request, state).await?;
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

async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, ApiError> {
    let gzip = request.headers().contains_key(header::CONTENT_ENCODING);
    Bytes::from_request(request, state).await.map_err(|rejection| {
        if rejection.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE {
            too_large()
        } else if gzip {
            ApiError::bad_request("the body could not be read: it is not the gzip stream that Content-Encoding promises, or it ended early")
        } else {
            ApiError::bad_request("the body could not be read: the connection ended early or its encoding is broken")
        }
    })
}

/// The answer to a body over the limit.
pub fn too_large() -> ApiError {
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
