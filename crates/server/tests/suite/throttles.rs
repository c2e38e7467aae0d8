//! Tries are counted by the address of whoever tries: headers of people whom nobody trusts neither hide nor frame anybody.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::{Value, json};

use crate::running::{KEY, Server};
use crate::wire::{HERE, neighbour};

/// Tokens that one address may ask for in a minute.
const MINTS: usize = 10;

/// Asks for a token; the status.
async fn mint(server: &Server, from: Ipv4Addr, forwarded_for: &[&str]) -> u16 {
    let client = reqwest::Client::builder().local_address(IpAddr::V4(from)).build().unwrap();
    let mut request = client.post(server.url("/auth/editor-token")).json(&json!({"key": KEY, "actor": "ann"}));
    for line in forwarded_for {
        request = request.header("X-Forwarded-For", *line);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    if status == 429 {
        let retry_after: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=60).contains(&retry_after), "{retry_after}");
        assert_eq!(answer.json::<Value>().await.unwrap()["code"], "rate_limited");
    }
    status
}

/// Asks until it is told to wait; how often it was not.
async fn tries(server: &Server, from: Ipv4Addr, forwarded_for: impl Fn(usize) -> Vec<String>) -> usize {
    for tried in 0..3 * MINTS {
        let lines = forwarded_for(tried);
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        match mint(server, from, &lines).await {
            201 | 200 => {}
            429 => return tried,
            other => panic!("{other}"),
        }
    }
    3 * MINTS
}

#[tokio::test]
async fn where_nobody_is_trusted_a_forged_header_neither_hides_who_tries_nor_frames_another() {
    let server = Server::start();
    let victim = "127.0.0.1";
    let forged = |tried: usize| vec![if tried.is_multiple_of(2) { victim.to_owned() } else { format!("198.51.100.{tried}, {victim}") }];
    assert_eq!(tries(&server, neighbour(1), forged).await, MINTS, "another address in each request hides nothing");
    assert_eq!(mint(&server, HERE, &[]).await, 200, "the address that was named has done nothing");
    assert_eq!(mint(&server, neighbour(2), &[victim]).await, 200);
    assert_eq!(mint(&server, neighbour(1), &[]).await, 429);
}

#[tokio::test]
async fn what_a_trusted_proxy_says_of_its_client_counts_and_what_the_client_said_does_not() {
    let server = Server::start_with(&[("TRUST_PROXY", "127.0.0.1,10.0.0.0/8")]);
    // The proxy adds the address that it sees; what stands before it the client has sent.
    let evading = |tried: usize| vec![format!("192.0.2.{tried}"), format!("10.0.0.9, 2001:db8::{tried}, 203.0.113.9")];
    assert_eq!(tries(&server, HERE, evading).await, MINTS);
    assert_eq!(mint(&server, HERE, &["203.0.113.9, 10.1.2.3, 10.4.5.6"]).await, 429, "through more proxies of ours it is the same client");
    assert_eq!(mint(&server, HERE, &["203.0.113.9, 192.0.2.1"]).await, 200, "who was only named is somebody else");
    // An untrusted neighbour says what a proxy would say.
    let framing = |_| vec!["192.0.2.50".to_owned()];
    assert_eq!(tries(&server, neighbour(3), framing).await, MINTS);
    assert_eq!(mint(&server, HERE, &["192.0.2.50"]).await, 200);

    // A customer has a /64, in whatever spelling; the next one is another customer.
    let walking = |tried: usize| vec![format!("[2001:db8:0:7:{tried:x}::{tried:x}]:{}", 1000 + tried)];
    assert_eq!(tries(&server, HERE, walking).await, MINTS);
    assert_eq!(mint(&server, HERE, &["2001:db8:0:7::1"]).await, 429);
    assert_eq!(mint(&server, HERE, &["2001:db8:0:8::1"]).await, 200);
    // IPv4 in the spelling of IPv6 is the same address.
    assert_eq!(mint(&server, HERE, &["::ffff:203.0.113.9"]).await, 429);

    // Words instead of an address count for the proxy, all of them together, and so do endless lists of proxies.
    let nonsense = |tried: usize| vec![format!("203.0.113.77, unknown-{tried}")];
    assert_eq!(tries(&server, HERE, nonsense).await, MINTS);
    let long = vec!["10.0.0.1"; 2000].join(", ");
    assert_eq!(
        mint(&server, HERE, &[&format!("203.0.113.78, {long}")]).await,
        200,
        "behind two thousand proxies there is still one client"
    );
    assert_eq!(mint(&server, HERE, &[&format!("203.0.113.9, {long}")]).await, 429);
}

#[tokio::test]
async fn where_two_proxies_are_counted_the_second_from_the_right_is_the_client_whatever_stands_before_it() {
    let server = Server::start_with(&[("TRUST_PROXY", "2")]);
    let evading = |tried: usize| vec![format!("192.0.2.{tried}, 198.51.100.{tried}, 203.0.113.9, 10.0.0.1")];
    assert_eq!(tries(&server, HERE, evading).await, MINTS);
    assert_eq!(mint(&server, HERE, &["203.0.113.10, 10.0.0.1"]).await, 200);
    assert_eq!(mint(&server, HERE, &["203.0.113.9, 203.0.113.10, 10.0.0.1"]).await, 200, "named before the client is not the client");
    assert_eq!(mint(&server, HERE, &["203.0.113.9", "10.0.0.1"]).await, 429, "in two lines as in one");
}
