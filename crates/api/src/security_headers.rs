//! What every answer tells browsers: that it is data and nothing to run, frame, guess at, keep or pass on.

use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Holds for every answer that says nothing else about the same thing.
const EVERYWHERE: [(HeaderName, HeaderValue); 4] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (RESOURCE_POLICY, HeaderValue::from_static("same-origin")),
];
/// Data: nothing in it is to be run, loaded or framed.
const OF_DATA: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
/// The page that describes the interface: its own scripts, the styles it writes into elements, and drawings in its styles.
const OF_DESCRIPTION: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
/// Answers carry documents, data and now and then a secret: no copy is left in a cache.
const NOT_KEPT: HeaderValue = HeaderValue::from_static("no-store");

/// Adds to an answer what it does not say itself.
pub(crate) async fn add(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let description = path == "/docs" || path.starts_with("/docs/");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in EVERYWHERE {
        headers.entry(name).or_insert(value);
    }
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(if description { OF_DESCRIPTION } else { OF_DATA });
    if !description {
        headers.entry(CACHE_CONTROL).or_insert(NOT_KEPT);
    }
    response
}
