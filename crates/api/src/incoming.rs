//! Reading a body: so many bytes, within so much time, without long pauses, into counted room.

use std::time::Duration;

use axum::body::BodyDataStream;
use axum::extract::Request;
use axum::http::header;
use bytes::{Bytes, BytesMut};
use domain::ErrorCode;
use futures_util::StreamExt;
use tokio::time::{Instant, timeout};

use crate::bodies::Room;
use crate::error::ApiError;

/// What somebody without a credential may send: a key, a name and some limits.
const STRANGERS_BYTES: usize = 16 * 1024;
/// How long a body may take to arrive: 20 MiB at 3 Mbit/s.
const BODY_TIMEOUT: Duration = Duration::from_mins(1);
/// The same for the little that somebody without a credential sends.
const STRANGERS_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a body may pause.
const PAUSE: Duration = Duration::from_secs(10);
/// How long a body that is refused anyway may go on arriving.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of it is read, as a multiple of the limit.
const DISCARD_FACTOR: usize = 4;

/// How much a body may be, and how long it may take.
#[derive(Clone, Copy)]
struct Limits {
    bytes: usize,
    time: Duration,
}

impl Limits {
    /// Those of a path: less where a body is read before anybody is asked who they are.
    fn of(path: &str, limit_bytes: usize) -> Self {
        if path.starts_with("/auth/") || path == "/editor-token" {
            Self { bytes: STRANGERS_BYTES.min(limit_bytes), time: STRANGERS_TIMEOUT }
        } else {
            Self { bytes: limit_bytes, time: BODY_TIMEOUT }
        }
    }
}

/// The whole body, of up to `limit_bytes` after decompression. What comes after a refusal is read and thrown away for a
/// while: a client that is still sending when the connection closes would never see the answer.
pub(crate) async fn read(request: Request, limit_bytes: usize) -> Result<Bytes, ApiError> {
    let limits = Limits::of(request.uri().path(), limit_bytes);
    let room = request.extensions().get::<Room>().cloned();
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let mut stream = request.into_body().into_data_stream();
    // Memory that nothing was written to is only an address.
    let body = BytesMut::with_capacity(announced.unwrap_or(0).min(limits.bytes));
    match collect(&mut stream, body, limits, room.as_ref()).await {
        Ok(body) => Ok(body),
        Err(Flaw::Stopped(error)) => Err(error),
        Err(Flaw::Refused(error)) => {
            room.inspect(Room::leave);
            discard(&mut stream, limits.bytes).await;
            Err(error)
        }
    }
}

/// Why a body is not read to its end.
enum Flaw {
    /// Nothing more will come, or not in time.
    Stopped(ApiError),
    /// More may come, and is not wanted.
    Refused(ApiError),
}

async fn collect(stream: &mut BodyDataStream, mut body: BytesMut, limits: Limits, room: Option<&Room>) -> Result<Bytes, Flaw> {
    let began = Instant::now();
    loop {
        let left = limits.time.saturating_sub(began.elapsed());
        let chunk = match timeout(left.min(PAUSE), stream.next()).await {
            Ok(Some(chunk)) => chunk.map_err(|error| Flaw::Stopped(unreadable(&error)))?,
            Ok(None) => return Ok(body.freeze()),
            Err(_) => return Err(Flaw::Stopped(too_slow(limits.time))),
        };
        if body.len() + chunk.len() > limits.bytes {
            return Err(Flaw::Refused(too_large()));
        }
        if let Some(room) = room {
            room.grow_to(body.len() + chunk.len()).await.map_err(|_| Flaw::Refused(no_room()))?;
        }
        body.extend_from_slice(&chunk);
    }
}

/// Reads a body that is refused, for a while and as far as its limit, and keeps nothing of it.
pub(crate) async fn discard_body(request: Request, limit_bytes: usize) {
    discard(&mut request.into_body().into_data_stream(), limit_bytes).await;
}

async fn discard(stream: &mut BodyDataStream, limit_bytes: usize) {
    let discarded = async {
        let mut left = limit_bytes.saturating_mul(DISCARD_FACTOR);
        while let Some(Ok(chunk)) = stream.next().await {
            left = left.saturating_sub(chunk.len());
            if left == 0 {
                break;
            }
        }
    };
    let _ = timeout(DISCARD_TIMEOUT, discarded).await;
}

fn unreadable(error: &axum::Error) -> ApiError {
    tracing::debug!(%error, "a request body could not be read");
    ApiError::bad_request("the body could not be read: it ended early, or is not the gzip stream that Content-Encoding promises")
}

fn too_slow(time: Duration) -> ApiError {
    metrics::counter!("pulp_engine_refusals_total", "reason" => "slow_body").increment(1);
    let (time_s, pause_s) = (time.as_secs(), PAUSE.as_secs());
    ApiError::bad_request(format!("the body did not arrive within {time_s} s, or paused for {pause_s} s"))
}

fn too_large() -> ApiError {
    ApiError::new(
        ErrorCode::PayloadTooLarge,
        "the request body is over the limit of this server (REQUEST_BODY_LIMIT_BYTES, counted after decompression)",
    )
}

fn no_room() -> ApiError {
    metrics::counter!("pulp_engine_refusals_total", "reason" => "no_room_for_body").increment(1);
    ApiError::new(ErrorCode::ServiceUnavailable, "too many large requests are under way; try again in a moment").retry_after(2)
}
