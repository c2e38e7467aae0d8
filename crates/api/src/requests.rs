//! What every request gets: an id, a line in the log, a place in the metrics.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use domain::ids::RequestId;
use tracing::Instrument;
use uuid::Uuid;

use crate::clients::Client;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
/// Longer correlation ids are not echoed: they would be an amplifier in logs.
const CORRELATION_ID_BYTES: usize = 200;

tokio::task_local! {
    static CURRENT: RequestId;
    static CORRELATION: Option<Box<str>>;
}

/// The id of the request this task answers; outside of one, a fresh id.
pub fn current_request_id() -> RequestId {
    CURRENT.try_with(|id| *id).unwrap_or_else(|_| RequestId::generate())
}

/// What the caller of this task's request calls the whole of which it is a part.
pub fn current_correlation_id() -> Option<Box<str>> {
    CORRELATION.try_with(Clone::clone).unwrap_or_default()
}

/// Work that goes on apart from its request, and is still known under its ids.
pub(crate) fn carried<F: Future>(work: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(current_request_id(), CORRELATION.scope(current_correlation_id(), work))
}

/// An answer to what never became a request, under an id of its own.
pub(crate) fn named(answer: impl FnOnce() -> Response) -> Response {
    let id = RequestId::generate();
    let mut response = CURRENT.sync_scope(id, answer);
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// Names the request, answers with the name, logs and counts the outcome.
pub async fn identify(request: Request, next: Next) -> Response {
    let id = requested_id(&request).unwrap_or_else(RequestId::generate);
    let correlation = request.headers().get(CORRELATION_ID).filter(|value| value.len() <= CORRELATION_ID_BYTES).cloned();
    let method = request.method().clone();
    // The route's pattern and never the raw path: paths hold keys, and would make endless label values.
    let route = request.extensions().get::<MatchedPath>().map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    let client = request.extensions().get::<Client>().map(|client| tracing::field::display(client.address));
    let span = tracing::info_span!("request", request_id = %id, method = %method, route = %route, client);
    let started = Instant::now();
    let correlation_text = correlation.as_ref().and_then(|value| value.to_str().ok()).filter(|text| !text.is_empty()).map(Box::from);
    let answer = next.run(request).instrument(span.clone());
    let mut response = CURRENT.scope(id, CORRELATION.scope(correlation_text, answer)).await;
    let elapsed = started.elapsed();
    record(method.as_str(), &route, &response, elapsed.as_secs_f64());
    span.in_scope(|| {
        tracing::debug!(
            status = response.status().as_u16(),
            duration_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            "answered"
        );
    });
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    if let Some(value) = correlation {
        response.headers_mut().insert(CORRELATION_ID, value);
    }
    response
}

/// A caller may bring its own id, if it is a UUID, as anything else could forge log lines, and none that looks like ours.
fn requested_id(request: &Request) -> Option<RequestId> {
    let text = request.headers().get(REQUEST_ID)?.to_str().ok()?;
    RequestId::of_caller(Uuid::parse_str(text).ok()?)
}

fn record(method: &str, route: &str, response: &Response, seconds: f64) {
    // Unknown methods are one label value, whatever clients invent.
    let method = match method {
        "GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "HEAD" | "OPTIONS" => method.to_owned(),
        _ => "OTHER".to_owned(),
    };
    let class = format!("{}xx", response.status().as_u16() / 100);
    metrics::counter!("pulp_engine_http_requests_total", "method" => method.clone(), "route" => route.to_owned(), "status_class" => class)
        .increment(1);
    metrics::histogram!("pulp_engine_http_request_duration_seconds", "method" => method, "route" => route.to_owned()).record(seconds);
}
