//! Large requests that would be refused anyway are refused before they are read.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::Setup;
use crate::auth::Caller;
use crate::error::ApiError;
use crate::incoming;

/// Smaller ones have come together with their head as a rule, and cost next to nothing to read.
const LARGE_BYTES: u64 = 64 * 1024;

/// For renders, after their caller is known: where there is no place for one more of its tenant, nothing more is read.
pub(crate) async fn of_renders(State(setup): State<Setup>, request: Request, next: Next) -> Response {
    let refusal = match request.extensions().get::<Caller>() {
        Some(caller) if is_large(request.headers()) => setup.renderer.refusal_of(&caller.tenant),
        _ => None,
    };
    let Some(refusal) = refusal else { return next.run(request).await };
    metrics::counter!("pulp_engine_refusals_total", "reason" => "unread").increment(1);
    // Who asked first whether to send it has not begun.
    if !request.headers().contains_key(header::EXPECT) {
        incoming::discard_body(request, setup.body_limit_bytes).await;
    }
    ApiError::from(refusal).into_response()
}

/// Says so, or does not say how large it is.
fn is_large(headers: &HeaderMap) -> bool {
    match headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok()) {
        Some(length) => length > LARGE_BYTES,
        None => headers.contains_key(header::TRANSFER_ENCODING),
    }
}
