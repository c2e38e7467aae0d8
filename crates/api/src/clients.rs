//! Where a request comes from: the connection, and what trusted proxies say about it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::Next;
use axum::response::Response;
use domain::forwarding::{ForwardedScheme, FoundBy, TrustProxy};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The other end of a request's connection. `connections.rs` adds it to every request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub SocketAddr);

/// How a request reached the first one we trust.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scheme {
    /// Readable on its way, or nobody we trust says otherwise.
    Http,
    /// Encrypted.
    Https,
}

/// Where a request comes from; every request carries it as an extension.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Client {
    /// The address that counts for limits, address ranges of keys and the log.
    pub address: IpAddr,
    /// How the request came.
    pub scheme: Scheme,
}

impl Client {
    fn of(peer: IpAddr, headers: &HeaderMap, trusted: &TrustProxy) -> Self {
        // A line that is no text is no address either, and ends the search like one.
        let lines = |name| headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("?")).collect::<Vec<_>>();
        let found = trusted.resolve(peer, &lines(FORWARDED_FOR), &lines(FORWARDED_PROTO));
        if found.found_by == FoundBy::UnreadableEntry {
            metrics::counter!("pulp_engine_unreadable_forwarding_total").increment(1);
            tracing::warn!(proxy = %found.address, "X-Forwarded-For of a trusted proxy holds what is no address; the proxy counts as the client");
        }
        let scheme = if found.scheme == Some(ForwardedScheme::Https) { Scheme::Https } else { Scheme::Http };
        Self { address: found.address, scheme }
    }
}

/// Tells everything after it where the request comes from.
pub(crate) async fn identify(State(trusted): State<TrustProxy>, mut request: Request, next: Next) -> Response {
    // Without a connection, which only tests are, the request comes from nowhere and nobody trusts it.
    let peer = request.extensions().get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
    let client = Client::of(peer, request.headers(), &trusted);
    request.extensions_mut().insert(client);
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(trusted: &str, peer: &str, headers: &[(HeaderName, &'static str)]) -> (String, Scheme) {
        let headers: HeaderMap = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        let client = Client::of(peer.parse().unwrap(), &headers, &trusted.parse().unwrap());
        (client.address.to_string(), client.scheme)
    }

    #[test]
    fn what_an_untrusted_sender_claims_is_not_believed() {
        let forged = [(FORWARDED_FOR, "10.0.0.1"), (FORWARDED_PROTO, "https")];
        assert_eq!(seen("false", "198.51.100.7", &forged), ("198.51.100.7".to_owned(), Scheme::Http));
        assert_eq!(seen("10.0.0.0/8", "198.51.100.7", &forged), ("198.51.100.7".to_owned(), Scheme::Http));
    }

    #[test]
    fn what_a_trusted_proxy_says_counts_and_what_stands_before_it_does_not() {
        let passed_on = [(FORWARDED_FOR, "1.1.1.1"), (FORWARDED_FOR, "203.0.113.9, 10.0.0.2"), (FORWARDED_PROTO, "https")];
        assert_eq!(seen("10.0.0.0/8", "::ffff:10.0.0.1", &passed_on), ("203.0.113.9".to_owned(), Scheme::Https));
        assert_eq!(seen("1", "10.0.0.1", &[(FORWARDED_PROTO, "httpsx")]), ("10.0.0.1".to_owned(), Scheme::Http));
    }
}
