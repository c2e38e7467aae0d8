//! The time that a request may take in all, whatever it waits for.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::ErrorCode;

use crate::asset_upload;
use crate::error::ApiError;

/// When it is worth to try again what took so long.
const RETRY_AFTER_S: u64 = 30;
/// What is left for an upload once its bytes are there.
const AFTER_UPLOAD: Duration = Duration::from_mins(1);

/// Ends what has not begun to answer in time; answers that have begun may go on while their client takes them.
pub(crate) async fn keep(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    let limit = if is_upload(&request) { limit.max(asset_upload::WHOLE + AFTER_UPLOAD) } else { limit };
    let Ok(response) = tokio::time::timeout(limit, next.run(request)).await else {
        metrics::counter!("pulp_engine_refusals_total", "reason" => "request_timeout").increment(1);
        let limit_ms = limit.as_millis();
        tracing::warn!(%limit_ms, "a request took too long in all and was given up");
        let said = format!("the request did not end within {limit_ms} ms (REQUEST_TIMEOUT_MS)");
        return ApiError::new(ErrorCode::ServiceUnavailable, said).retry_after(RETRY_AFTER_S).into_response();
    };
    response
}

/// Files may take as long to arrive as uploads may.
fn is_upload(request: &Request) -> bool {
    request.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().to_ascii_lowercase().starts_with(b"multipart/"))
}
