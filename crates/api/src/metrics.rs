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
    // Read at the moment of asking: a gauge that is set at every change would cost the path it measures.
    let pool = setup.renderer.pool_status();
    let tabs = |count: usize| u32::try_from(count).map_or(f64::INFINITY, f64::from);
    ::metrics::gauge!("pulp_chromium_tabs_in_use").set(tabs(pool.in_use));
    ::metrics::gauge!("pulp_chromium_tabs_healthy").set(tabs(pool.healthy_tabs));
    let text = (setup.metrics.handle_render)();
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}
