//! Whoever tries keys that nobody has is slowed down; whoever has one is not, even at the same address.

use reqwest::RequestBuilder;
use serde_json::json;

use crate::running::{KEY, Server, answer};

const GUESSER: &str = "203.0.113.9";
const ELSEWHERE: &str = "198.51.100.7";

fn ask(server: &Server, address: &str, header: &str, credential: &str) -> RequestBuilder {
    reqwest::Client::new().get(server.url("/auth/me")).header("X-Forwarded-For", address).header(header, credential)
}

async fn status(server: &Server, address: &str, key: &str) -> u16 {
    answer(ask(server, address, "X-Api-Key", key)).await.0
}

async fn new_key(server: &Server) -> String {
    let made = server.post("/admin/api-keys", &json!({"name": "x", "scope": "editor"})).await;
    made.json::<serde_json::Value>().await.unwrap()["key"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_address_that_guesses_is_told_to_wait_and_a_right_key_in_use_there_goes_on_working() {
    let server = Server::start_with(&[("AUTH_FAILURES_PER_MINUTE", "6"), ("TRUST_PROXY", "loopback")]);
    let (in_use, unused) = (new_key(&server).await, new_key(&server).await);
    assert_eq!(status(&server, GUESSER, &in_use).await, 200);
    let minted = server.post("/auth/editor-token", &json!({"key": KEY, "actor": "ann"})).await;
    let token = minted.json::<serde_json::Value>().await.unwrap()["token"].as_str().unwrap().to_owned();

    // No guess: nothing at all, and what is good but not for this.
    for _ in 0..20 {
        assert_eq!(answer(ask(&server, GUESSER, "X-Unheard-Of", "x")).await.0, 401);
        let elsewhere = ask(&server, GUESSER, "X-Api-Key", KEY).header("X-PulpEngine-Tenant-Id", "acme");
        assert_eq!(answer(elsewhere).await.0, 403);
    }
    let of_a_key = format!("pulp_{}_{}", "0".repeat(22), "A".repeat(43));
    let wrong_secret = format!("{}{}", &in_use[..in_use.len() - 43], "A".repeat(43));
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let wrong_signature = format!("Bearer {signed}.{}", signature.chars().rev().collect::<String>());
    let guesses: [(&str, &str); 6] = [
        ("X-Api-Key", "no-key-of-this-server"),
        ("X-Api-Key", &of_a_key),
        ("X-Api-Key", &wrong_secret),
        ("Authorization", "Bearer nothing"),
        ("Authorization", &wrong_signature),
        ("X-Editor-Token", "nothing"),
    ];
    for (header, guess) in guesses {
        assert_eq!(answer(ask(&server, GUESSER, header, guess)).await.0, 401, "{header}: {guess}");
    }
    for (header, guess) in guesses {
        let refused = ask(&server, GUESSER, header, guess).send().await.unwrap();
        assert_eq!(refused.status(), 429, "{header}: {guess}");
        let retry_after: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=60).contains(&retry_after), "{retry_after}");
        assert_eq!(refused.json::<serde_json::Value>().await.unwrap()["code"], "rate_limited");
    }

    assert_eq!(status(&server, GUESSER, KEY).await, 200, "a key of the configuration");
    assert_eq!(status(&server, GUESSER, &in_use).await, 200, "a key that is known to be good");
    assert_eq!(answer(ask(&server, GUESSER, "X-Editor-Token", &token)).await.0, 200, "a token whose signature is good");
    assert_eq!(status(&server, GUESSER, &unused).await, 429, "the database is not asked for somebody who guesses");
    assert_eq!(status(&server, ELSEWHERE, &unused).await, 200, "other addresses are other people");
    assert_eq!(status(&server, GUESSER, &unused).await, 200, "and now it is known");
    assert_eq!(status(&server, ELSEWHERE, "no-key-of-this-server").await, 401);
    let metrics = server.metrics().await;
    assert!(metrics.contains("pulp_engine_auth_failures_total{reason=\"guess_rate\"} 7"), "{metrics}");
}
