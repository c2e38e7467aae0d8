//! What every request gets: an id, a line in the log, a place in the metrics.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use domain::TenantId;
use domain::ids::RequestId;
use tracing::field::Empty;
use tracing::{Instrument, Span};
use uuid::Uuid;

use crate::ContinueTrace;
use crate::clients::Client;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
/// Longer correlation ids are not echoed: they would be an amplifier in logs.
const CORRELATION_ID_BYTES: usize = 200;

/// What is asked every few seconds by machines, and says nothing in a trace.
const UNTRACED: [&str; 6] = ["/health", "/health/ready", "/health/serving", "/healthz", "/readyz", "/metrics"];

tokio::task_local! {
    static CURRENT: RequestId;
    static CORRELATION: Option<Box<str>>;
    static SPAN: Span;
}

/// The id of the request this task answers; outside of one, a fresh id.
pub fn current_request_id() -> RequestId {
    CURRENT.try_with(|id| *id).unwrap_or_else(|_| RequestId::generate())
}

/// Says of the request that this task answers whose it is: log lines and traces name it.
pub(crate) fn note_tenant(tenant: &TenantId) {
    let _ = SPAN.try_with(|span| {
        span.record("tenant", tenant.as_str());
    });
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
pub async fn identify(State(continue_trace): State<Option<ContinueTrace>>, request: Request, next: Next) -> Response {
    let id = requested_id(&request).unwrap_or_else(RequestId::generate);
    let correlation = request.headers().get(CORRELATION_ID).filter(|value| value.len() <= CORRELATION_ID_BYTES).cloned();
    let method = request.method().clone();
    // The route's pattern and never the raw path: paths hold keys, and would make endless label values.
    let route = request.extensions().get::<MatchedPath>().map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    let client = request.extensions().get::<Client>().map(|client| tracing::field::display(client.address));
    let span = tracing::info_span!(
        "request", request_id = %id, method = %method, route = %route, client, tenant = Empty, trace_id = Empty, otel.name = Empty,
        otel.kind = Empty, otel.status_code = Empty, http.response.status_code = Empty
    );
    let traced = continue_trace.filter(|_| !UNTRACED.contains(&&*route));
    if let Some(continue_trace) = &traced {
        span.record("otel.kind", "server").record("otel.name", format!("{method} {route}"));
        continue_trace(&span, request.headers());
    }
    let started = Instant::now();
    let correlation_text = correlation.as_ref().and_then(|value| value.to_str().ok()).filter(|text| !text.is_empty()).map(Box::from);
    let answer = next.run(request).instrument(span.clone());
    let mut response = CURRENT.scope(id, CORRELATION.scope(correlation_text, SPAN.scope(span.clone(), answer))).await;
    let elapsed = started.elapsed();
    record(method.as_str(), &route, &response, elapsed.as_secs_f64());
    if traced.is_some() {
        span.record("http.response.status_code", response.status().as_u16());
        if response.status().is_server_error() {
            span.record("otel.status_code", "ERROR");
        }
    }
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
