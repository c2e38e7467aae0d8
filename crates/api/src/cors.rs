//! Which web pages may read answers: the operator's list of origins, and what a token says of its own.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::origins::Origin;

/// The methods of the interface.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
/// The headers that callers send beyond those every page may send.
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static(
    "Accept, Authorization, Content-Encoding, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-Api-Key, \
     X-Correlation-Id, X-Editor-Token, X-Pulp-Engine-Bucket, X-PulpEngine-Change-Note, X-PulpEngine-Client, \
     X-PulpEngine-Tenant-Id, X-PulpEngine-Test-Run-Id, X-Request-Id",
);
/// The headers of answers that callers read beyond those every page may read.
const RESPONSE_HEADERS: HeaderValue = HeaderValue::from_static(
    "Content-Disposition, Deprecation, ETag, Idempotent-Replayed, Link, Location, Retry-After, Sunset, WWW-Authenticate, X-Batch-Failed, \
     X-Batch-Succeeded, X-Batch-Total, X-Correlation-Id, X-PulpEngine-Bates-Range, X-PulpEngine-Book-Parts, \
     X-PulpEngine-Bucket, X-PulpEngine-Document-Id, X-PulpEngine-Form-Filled, X-PulpEngine-Form-Unmatched, \
     X-PulpEngine-Resolved-Label, X-PulpEngine-Resolved-Version, X-PulpEngine-Variant, X-Quota-Limit, \
     X-Quota-Remaining, X-Quota-Reset, X-Quota-Scope, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, X-Render-Warnings, X-Request-Id",
);
/// How long a browser may remember an answer to its question, in seconds: the longest that any of them does.
const MAX_AGE_S: HeaderValue = HeaderValue::from_static("7200");
const ANY: HeaderValue = HeaderValue::from_static("*");
/// What an answer depends on; a cache must not give one origin's answer to another.
const DEPENDS: HeaderValue = HeaderValue::from_static("Origin");
const PREFLIGHT_DEPENDS: HeaderValue = HeaderValue::from_static("Origin, Access-Control-Request-Method, Access-Control-Request-Headers");

/// The origins whose pages may read answers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum AllowedOrigins {
    /// None but the server's own.
    #[default]
    Nobody,
    /// These.
    Listed(Arc<[Origin]>),
    /// All. Credentials come in headers that a page must know, never in cookies, so this opens no session of a visitor.
    Everybody,
}

impl AllowedOrigins {
    /// What to answer a page of this origin with, if it may read answers.
    fn header_for(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        match self {
            Self::Nobody => None,
            Self::Listed(list) => {
                let origin_text = origin.to_str().ok()?;
                list.iter().any(|listed| listed.is(origin_text)).then(|| origin.clone())
            }
            Self::Everybody => Some(ANY),
        }
    }
}

/// Marks an answer that the page which asked may read, although its origin is not in the operator's list: the
/// credential it came with names the origin.
#[derive(Clone, Copy)]
struct Granted;

/// Lets the page that asked read this answer. For handlers whose credential lists the request's origin, and only after
/// they have compared the two.
pub(crate) fn grant(response: &mut Response) {
    response.extensions_mut().insert(Granted);
}

/// The answer to a browser's question before a request that brings a token with origins of its own, which the question
/// does not carry: any page may send such a request, and only a page of the token can read the answer. It allows the
/// named request headers and no other credential. To be routed as the `OPTIONS` of the token's paths; a listed origin
/// never gets that far.
pub(crate) fn preflight_for_tokens(request_headers: &'static str) -> Response {
    preflight(ANY, HeaderValue::from_static("POST"), HeaderValue::from_static(request_headers))
}

/// Answers the questions of browsers on behalf of listed origins, and says in every answer whether the page may read it.
pub(crate) async fn share(State(allowed): State<AllowedOrigins>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(ORIGIN).cloned();
    let listed = origin.as_ref().and_then(|origin| allowed.header_for(origin));
    let asks = asks_first(&request);
    if let (true, Some(listed)) = (asks, &listed) {
        return preflight(listed.clone(), METHODS, REQUEST_HEADERS);
    }
    let mut response = next.run(request).await;
    let granted = response.extensions().get::<Granted>().is_some();
    let headers = response.headers_mut();
    if asks && !headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
        metrics::counter!("pulp_engine_refusals_total", "reason" => "origin").increment(1);
        tracing::info!(
            origin = origin.as_ref().map(tracing::field::debug),
            "a page of an origin that CORS_ALLOWED_ORIGINS does not list wanted to send a request"
        );
    }
    let reader = listed.or(if granted { origin } else { None });
    if let Some(reader) = reader {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, reader);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, RESPONSE_HEADERS);
    }
    if !headers.contains_key(VARY) {
        headers.append(VARY, DEPENDS);
    }
    response
}

/// Whether this is a browser's question before the request itself.
fn asks_first(request: &Request) -> bool {
    request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

fn preflight(origin: HeaderValue, methods: HeaderValue, request_headers: HeaderValue) -> Response {
    let headers = [
        (ACCESS_CONTROL_ALLOW_ORIGIN, origin),
        (ACCESS_CONTROL_ALLOW_METHODS, methods),
        (ACCESS_CONTROL_ALLOW_HEADERS, request_headers),
        (ACCESS_CONTROL_MAX_AGE, MAX_AGE_S),
        (VARY, PREFLIGHT_DEPENDS),
    ];
    (StatusCode::NO_CONTENT, headers.into_iter().collect::<HeaderMap>()).into_response()
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn an_unlisted_page_reads_an_answer_only_when_the_handler_grants_it() {
        let granting = || async {
            let mut response = "for you".into_response();
            grant(&mut response);
            response
        };
        let asked_first = || async { preflight_for_tokens("Content-Type, X-Render-Token") };
        let router = Router::new()
            .route("/granting", get(granting).options(asked_first))
            .route("/silent", get(|| async { "not for you" }))
            .layer(from_fn_with_state(AllowedOrigins::Listed([].into()), share));
        let ask = async |method: &str, path: &str| {
            let request = Request::builder().method(method).uri(path).header(ORIGIN, "https://page.example");
            let request = request.header(ACCESS_CONTROL_REQUEST_METHOD, "POST").body(Body::empty()).unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            response.headers().get(ACCESS_CONTROL_ALLOW_ORIGIN).map(|origin| origin.to_str().unwrap().to_owned())
        };
        assert_eq!(ask("GET", "/granting").await.as_deref(), Some("https://page.example"));
        assert_eq!(ask("OPTIONS", "/granting").await.as_deref(), Some("*"));
        assert_eq!(ask("GET", "/silent").await, None);
        assert_eq!(ask("OPTIONS", "/silent").await, None);
    }
}
