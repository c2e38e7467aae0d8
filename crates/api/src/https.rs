//! The promise that nothing secret travels readable: what came to the proxy unencrypted is refused.

use axum::extract::{Request, State};
use axum::http::header::STRICT_TRANSPORT_SECURITY;
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::ErrorCode;

use crate::clients::{Client, Scheme};
use crate::error::ApiError;

/// Whether requests must have come by HTTPS. The server itself speaks HTTP: a trusted proxy in front ends TLS and says
/// so in `X-Forwarded-Proto`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Https {
    /// They may come as they like.
    #[default]
    Optional,
    /// Others are refused, except those of [`OPEN`].
    Required,
}

/// What balancers and monitors ask for from inside, and nothing of it is secret.
const OPEN: [&str; 6] = ["/health", "/health/ready", "/health/serving", "/readyz", "/healthz", "/metrics"];
/// A year, as long as the lists of browsers ask for. The names below are other people's to decide about.
const REMEMBER: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Refuses what came unencrypted, and has browsers remember that they need not try.
pub(crate) async fn require(State(https): State<Https>, request: Request, next: Next) -> Response {
    if https == Https::Optional {
        return next.run(request).await;
    }
    let client = request.extensions().get::<Client>().copied();
    if client.is_some_and(|client| client.scheme == Scheme::Https) {
        let mut response = next.run(request).await;
        response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, REMEMBER);
        return response;
    }
    if OPEN.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    metrics::counter!("pulp_engine_refusals_total", "reason" => "https").increment(1);
    tracing::warn!(
        forwarded_proto = request.headers().get("x-forwarded-proto").map(tracing::field::debug),
        credential_sent = brings_credential(request.headers()),
        "refused a request that came unencrypted; a credential that it brought should be replaced. If it did come by HTTPS, \
         the proxy must send X-Forwarded-Proto, and TRUST_PROXY must name the proxy"
    );
    let advice = "this server answers over HTTPS only: use the https:// address";
    ApiError::new(ErrorCode::Forbidden, advice).into_response()
}

fn brings_credential(headers: &HeaderMap) -> bool {
    ["x-api-key", "x-editor-token", "authorization", "cookie"].iter().any(|name| headers.contains_key(*name))
}
