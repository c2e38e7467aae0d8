//! Protects a server without keys from the web pages its user looks at.
//!
//! Such a server listens on a loopback address only, but any page in a browser on the same machine can send requests
//! there: to a name of its own that resolves to 127.0.0.1 (DNS rebinding), or blindly across origins.

use std::net::IpAddr;

use axum::http::HeaderMap;
use axum::http::header::{HOST, ORIGIN};
use domain::ErrorCode;

use crate::error::ApiError;

/// Refuses requests that are addressed to another name than this machine's own, or come from a page that is not of here.
pub(crate) fn check(headers: &HeaderMap) -> Result<(), ApiError> {
    let host = headers.get(HOST).is_some_and(|host| host.to_str().is_ok_and(is_loopback));
    let origin = headers.get(ORIGIN).is_none_or(|origin| origin.to_str().is_ok_and(is_loopback_origin));
    if host && origin {
        return Ok(());
    }
    let advice = "without API keys this server answers only requests to localhost that come from this machine; set API_KEY_ADMIN";
    Err(ApiError::new(ErrorCode::Forbidden, advice))
}

fn is_loopback_origin(origin: &str) -> bool {
    origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")).is_some_and(is_loopback)
}

/// A host with or without a port.
fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_pass() {
        for host in ["localhost", "LOCALHOST:3000", "127.0.0.1", "127.0.0.1:3000", "127.9.9.9:1", "[::1]", "[::1]:3000"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["", "evil.example", "localhost.evil.example:3000", "127.0.0.1.evil.example", "10.0.0.1", "[::2]", "0.0.0.0"] {
            assert!(!is_loopback(host), "{host}");
        }
        assert!(is_loopback_origin("http://localhost:5173") && !is_loopback_origin("http://evil.example") && !is_loopback_origin("null"));
    }
}
