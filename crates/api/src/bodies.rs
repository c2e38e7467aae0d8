//! Room for request bodies: what arrives at the same time is bounded in bytes, before a byte of it is read.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use domain::ErrorCode;
use tokio::sync::Semaphore;

use crate::error::ApiError;

/// How long a request waits for room.
const PATIENCE: Duration = Duration::from_secs(5);
const UNIT_BYTES: usize = 1024;
/// What somebody without a credential may send: a key, a name and some limits.
pub(crate) const STRANGERS_BYTES: usize = 16 * 1024;

/// Whether a body is read there before anybody is asked who they are.
pub(crate) fn open_to_strangers(path: &str) -> bool {
    path.starts_with("/auth/") || path == "/editor-token"
}

/// The room that all bodies share.
#[derive(Clone)]
pub(crate) struct Bodies {
    units: Arc<Semaphore>,
    limit_bytes: usize,
}

impl Bodies {
    /// Room for `total_bytes`, of which one body takes `limit_bytes` at most.
    pub(crate) fn new(total_bytes: usize, limit_bytes: usize) -> Self {
        let units = total_bytes.max(limit_bytes).div_ceil(UNIT_BYTES).min(Semaphore::MAX_PERMITS);
        Self { units: Arc::new(Semaphore::new(units)), limit_bytes }
    }
}

/// What a request may bring: what it announces, and as much as is allowed when it announces nothing or is compressed.
fn units_of(headers: &HeaderMap, limit_bytes: usize) -> u32 {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let bytes = match announced {
        Some(bytes) if !headers.contains_key(header::CONTENT_ENCODING) => bytes.min(limit_bytes),
        None if !headers.contains_key(header::TRANSFER_ENCODING) => 0,
        _ => limit_bytes,
    };
    u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX)
}

/// Finds room for the request's body and keeps it until the request is answered.
pub(crate) async fn make_room(State(bodies): State<Bodies>, request: Request, next: Next) -> Result<Response, ApiError> {
    let limit_bytes = if open_to_strangers(request.uri().path()) { STRANGERS_BYTES } else { bodies.limit_bytes };
    let units = units_of(request.headers(), limit_bytes);
    let room = tokio::time::timeout(PATIENCE, bodies.units.acquire_many(units)).await;
    let Ok(Ok(_room)) = room else {
        let message = "too many large requests are under way; try again in a moment";
        return Err(ApiError::new(ErrorCode::ServiceUnavailable, message).retry_after(2));
    };
    Ok(next.run(request).await)
}
