//! `/metrics` for Prometheus.

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use domain::ErrorCode;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::Setup;
use crate::error::ApiError;

/// The server's measurements as Prometheus text.
#[utoipa::path(get, path = "/metrics", tag = "health", responses((status = 200, description = "Prometheus text"), (status = 401, description = "METRICS_TOKEN is set and was not sent")))]
pub async fn metrics(State(setup): State<Setup>, headers: HeaderMap) -> Result<Response, ApiError> {
    if let Some(token) = &setup.metrics.token {
        let given =
            headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| value.strip_prefix("Bearer "));
        let (given, wanted) = (Sha256::digest(given.unwrap_or_default()), Sha256::digest(token));
        if !bool::from(given[..].ct_eq(&wanted[..])) {
            return Err(ApiError::new(ErrorCode::Unauthorized, "send Authorization: Bearer with the token of METRICS_TOKEN"));
        }
    }
    let text = (setup.metrics.handle_render)();
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}
