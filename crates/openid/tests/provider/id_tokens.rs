//! ID tokens that lie in one point each.

use serde_json::{Value, json};
use testkit::openid::Forgery;

use crate::world::{CLIENT, World, assert_refused};

#[tokio::test]
async fn an_id_token_that_lies_in_one_claim_logs_nobody_in() {
    let mut world = World::start();
    let provider = world.provider();
    let slash = format!("{}/", world.idp.issuer());
    let cases: Vec<(Value, &str)> = vec![
        (json!({"iss": "https://evil.example"}), "its issuer is \"https://evil.example\""),
        (json!({"iss": slash}), "its issuer is not exactly"),
        (json!({"iss": null}), "its issuer is \"\""),
        (json!({"iss": [world.idp.issuer()]}), "its issuer is \"\""),
        (json!({"aud": "another client"}), "its audience is"),
        (json!({"aud": null}), "its audience is"),
        (json!({"aud": []}), "its audience is"),
        (json!({"aud": [CLIENT, 1], "azp": CLIENT}), "its audience is"),
        (json!({"aud": [CLIENT, "another"]}), "several audiences"),
        (json!({"aud": [CLIENT, "another"], "azp": "another"}), "azp"),
        (json!({"azp": "another"}), "azp"),
        (json!({"exp": world.in_seconds(-61)}), "it expired 6"),
        (json!({"exp": null}), "never expires"),
        (json!({"exp": "tomorrow"}), "its exp is not a number"),
        (json!({"iat": world.in_seconds(120)}), "issued only in"),
        (json!({"iat": null}), "when it was issued"),
        (json!({"nbf": world.in_seconds(120)}), "valid only in"),
        (json!({"nonce": "of another login"}), "its nonce"),
        (json!({"nonce": null}), "its nonce"),
        (json!({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}), "at_hash"),
        (json!({"sub": null}), "\"sub\""),
        (json!({"sub": ""}), "\"sub\""),
        (json!({"sub": "x".repeat(256)}), "\"sub\""),
        (json!({"sub": 7}), "\"sub\""),
        (json!({"padding": "x".repeat(33_000)}), "bytes, at most"),
    ];
    for (lie, words) in cases {
        world.idp.change_id_tokens(&lie);
        assert_refused(world.log_in(&provider, "alice").await, words);
    }
    world.idp.behave();
    world.log_in(&provider, "alice").await.unwrap();
}

#[tokio::test]
async fn an_id_token_within_the_rules_is_accepted_however_unusual() {
    let mut world = World::start();
    let provider = world.provider();
    let usual = [
        json!({"aud": [CLIENT]}),
        json!({"aud": ["another", CLIENT], "azp": CLIENT}),
        // Clocks differ: up to a minute is forgiven.
        json!({"exp": world.in_seconds(-30)}),
        json!({"iat": world.in_seconds(40), "nbf": world.in_seconds(40)}),
        json!({"exp": 2_000_000_000_000.5_f64}),
        json!({"at_hash": null}),
    ];
    for claims in usual {
        world.idp.change_id_tokens(&claims);
        let finished = world.log_in(&provider, "alice").await;
        assert!(finished.is_ok(), "{claims}: {finished:?}");
    }
}

#[tokio::test]
async fn an_id_token_that_the_provider_did_not_sign_logs_nobody_in() {
    let mut world = World::start();
    let forgeries = [
        (Forgery::Unsigned, "algorithm \"none\" is not accepted"),
        (Forgery::PublicKeyAsSecret, "algorithm \"HS256\" is not accepted"),
        (Forgery::UnknownKey, "no key \"nobody\""),
        (Forgery::Broken, "signature is not of the provider's key"),
    ];
    for algorithm in ["RS256", "PS256", "ES256", "EdDSA"] {
        world.idp.rotate(algorithm);
        for (forgery, words) in forgeries {
            world.idp.forge_id_tokens(forgery);
            assert_refused(world.log_in(&world.provider(), "alice").await, words);
        }
    }
}

#[tokio::test]
async fn a_header_that_promises_something_else_than_the_key_is_refused() {
    let mut world = World::start();
    let provider = world.provider();
    let cases = [
        (json!({"alg": "ES256"}), "is not for the algorithm ES256"),
        (json!({"alg": "EdDSA"}), "is not for the algorithm EdDSA"),
        // The key set says that the key is for RS256 alone.
        (json!({"alg": "PS256"}), "is not for the algorithm PS256"),
        (json!({"alg": "RS512"}), "\"RS512\" is not accepted"),
        (json!({"alg": "rs256"}), "\"rs256\" is not accepted"),
        (json!({"alg": null}), "\"none\" is not accepted"),
        (json!({"alg": ["RS256"]}), "\"none\" is not accepted"),
        (json!({"crit": ["exp"], "exp": 1}), "crit"),
        (json!({"typ": "at+jwt"}), "type is \"at+jwt\""),
        (json!({"typ": "logout+jwt"}), "type is \"logout+jwt\""),
        (json!({"kid": 1}), "kid of its header"),
    ];
    // Which hash that claim has depends on the algorithm.
    world.idp.change_id_tokens(&json!({"at_hash": null}));
    for (header, words) in cases {
        world.idp.change_id_token_headers(&header);
        assert_refused(world.log_in(&provider, "alice").await, words);
    }
    // Without a type and, as there is only one key, without its id; keys that a token brings along are not looked at.
    world
        .idp
        .change_id_token_headers(&json!({"typ": null, "kid": null, "jwk": {"kty": "oct", "k": "AAAA"}, "jku": "https://evil.example"}));
    world.log_in(&provider, "alice").await.unwrap();
}
