//! Protects a server without keys from the web pages its user looks at.
//!
//! Such a server listens on a loopback address only, but any page in a browser on the same machine can send requests
//! there: to a name of its own that resolves to 127.0.0.1 (DNS rebinding), or blindly across origins.

use std::net::{Ipv4Addr, Ipv6Addr};

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::{HOST, ORIGIN};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::ErrorCode;

use crate::error::ApiError;
use crate::identity::WithoutCredential;

/// What balancers ask for by whatever name they know, and nothing of it is secret.
const OPEN: [&str; 5] = ["/health", "/health/ready", "/health/serving", "/readyz", "/healthz"];

/// Where programs of this machine pass without a credential: refuses requests that are addressed to another name than this
/// machine's own, or come from a page that is not of here, whatever they ask for.
pub(crate) async fn require(State(without): State<WithoutCredential>, request: Request, next: Next) -> Response {
    let guarded = without == WithoutCredential::ThisMachinePasses && !OPEN.contains(&request.uri().path());
    if !guarded || is_of_here(request.headers()) {
        return next.run(request).await;
    }
    metrics::counter!("pulp_engine_refusals_total", "reason" => "not_this_machine").increment(1);
    let sent = |name| request.headers().get(name).map(tracing::field::debug);
    tracing::info!(host = sent(HOST), origin = sent(ORIGIN), "refused a request that does not come from this machine");
    let advice = "without API keys this server answers only requests to localhost that come from this machine; set API_KEY_ADMIN";
    ApiError::new(ErrorCode::Forbidden, advice).into_response()
}

fn is_of_here(headers: &HeaderMap) -> bool {
    let all = |name, accepted: fn(&str) -> bool| headers.get_all(name).iter().all(|value| value.to_str().is_ok_and(accepted));
    headers.contains_key(HOST) && all(HOST, is_loopback) && all(ORIGIN, is_loopback_origin)
}

fn is_loopback_origin(origin: &str) -> bool {
    origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")).is_some_and(is_loopback)
}

/// A host, with or without a port, and nothing else.
fn is_loopback(authority: &str) -> bool {
    let (here, rest) = if let Some(bracketed) = authority.strip_prefix('[') {
        let Some((host, rest)) = bracketed.split_once(']') else { return false };
        (host.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback()), rest)
    } else {
        let (host, rest) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
        (host.eq_ignore_ascii_case("localhost") || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback()), rest)
    };
    here && (rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port))
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_pass() {
        for host in ["localhost", "LOCALHOST:3000", "127.0.0.1", "127.0.0.1:3000", "127.9.9.9:1", "[::1]", "[::1]:3000", "[0:0::1]:65535"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            ":3000",
            "evil.example",
            "localhost.evil.example:3000",
            "localhost.",
            "127.0.0.1.evil.example",
            "127.0.0.1:3000.evil.example",
            "127.0.0.1:+80",
            "127.0.0.1:",
            "127.0.0.1:65536",
            "127.0.0.1:80:80",
            "127.0.0.1/x",
            "127.0.0.1@evil.example",
            "evil@127.0.0.1",
            "127.1",
            "0x7f000001",
            "10.0.0.1",
            "0.0.0.0",
            "::1",
            "[127.0.0.1]",
            "[127.0.0.1]evil",
            "[localhost]",
            "[::1",
            "[::1]]",
            "[::1]evil",
            "[::1].evil.example",
            "[::1]:",
            "[::1]:x",
            "[::2]",
            "[::]",
            " localhost",
            "localhost ",
            "localhost,evil.example",
        ] {
            assert!(!is_loopback(host), "{host:?}");
        }
        for origin in ["http://localhost:5173", "https://127.0.0.1", "http://[::1]:80"] {
            assert!(is_loopback_origin(origin), "{origin}");
        }
        for origin in ["http://evil.example", "null", "", "localhost", "ftp://localhost", "http://localhost/", "http://[127.0.0.1]evil"] {
            assert!(!is_loopback_origin(origin), "{origin:?}");
        }
    }

    #[test]
    fn a_request_names_one_host_and_it_is_this_machine() {
        let headers = |lines: &[(axum::http::HeaderName, &'static str)]| -> HeaderMap {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(name, value.parse().unwrap());
            }
            headers
        };
        assert!(is_of_here(&headers(&[(HOST, "localhost:3000")])));
        assert!(is_of_here(&headers(&[(HOST, "localhost:3000"), (ORIGIN, "http://localhost:3000")])));
        assert!(!is_of_here(&headers(&[])));
        assert!(!is_of_here(&headers(&[(HOST, "localhost"), (HOST, "evil.example")])));
        assert!(!is_of_here(&headers(&[(HOST, "localhost"), (ORIGIN, "http://localhost"), (ORIGIN, "http://evil.example")])));
    }
}
