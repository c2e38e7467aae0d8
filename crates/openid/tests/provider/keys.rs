//! The key set: kept, renewed, and not believed in everything.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};
use testkit::openid::{Forgery, Trouble};

use crate::world::{CLIENT, World, assert_refused};

impl World {
    fn token(&self) -> String {
        self.idp.access_token("alice", CLIENT, &json!({"exp": 4_000_000_000_u64}), &json!({}))
    }
}

#[tokio::test]
async fn a_key_that_the_provider_rotates_in_is_picked_up_at_once() {
    let world = World::start();
    let provider = world.provider();
    let old = world.token();
    provider.verify_bearer(&old).await.unwrap();
    world.idp.rotate("ES256");
    provider.verify_bearer(&world.token()).await.unwrap();
    provider.verify_bearer(&old).await.unwrap();
    assert_eq!(world.idp.requests("/jwks"), 2);
}

#[tokio::test]
async fn a_withdrawn_key_stops_counting_after_ten_minutes() {
    let world = World::start();
    let provider = world.provider();
    let old = world.token();
    provider.verify_bearer(&old).await.unwrap();
    world.idp.rotate_and_withdraw("EdDSA");
    world.pass(9 * 60);
    provider.verify_bearer(&old).await.unwrap();
    world.pass(61);
    assert_refused(provider.verify_bearer(&old).await, "the provider has no key");
    provider.verify_bearer(&world.token()).await.unwrap();
}

#[tokio::test]
async fn tokens_of_unknown_keys_make_us_ask_at_most_once_in_ten_seconds() {
    let world = World::start();
    let provider = world.provider();
    let stranger = world.idp.forged_access_token(CLIENT, Forgery::UnknownKey);
    provider.verify_bearer(&world.token()).await.unwrap();
    let attacks: Vec<_> = (0..50).map(|_| (provider.clone(), stranger.clone())).collect();
    let tasks: Vec<_> =
        attacks.into_iter().map(|(provider, token)| tokio::spawn(async move { provider.verify_bearer(&token).await })).collect();
    for task in tasks {
        assert_refused(task.await.unwrap(), "no key \"nobody\"");
    }
    assert_eq!(world.idp.requests("/jwks"), 2);
    // Those who come later, too, and they take nothing from people with honest tokens.
    world.pass(9);
    assert_refused(provider.verify_bearer(&stranger).await, "no key");
    provider.verify_bearer(&world.token()).await.unwrap();
    assert_eq!(world.idp.requests("/jwks"), 2);
    world.pass(2);
    assert_refused(provider.verify_bearer(&stranger).await, "no key");
    assert_eq!(world.idp.requests("/jwks"), 3);
}

#[tokio::test]
async fn everybody_who_comes_first_shares_one_request_for_the_keys() {
    let world = World::start();
    let (provider, token) = (world.provider(), world.token());
    let verify = |_| {
        let (provider, token) = (provider.clone(), token.clone());
        tokio::spawn(async move { provider.verify_bearer(&token).await.map(|identity| identity.subject) })
    };
    for task in (0..50).map(verify).collect::<Vec<_>>() {
        assert_eq!(task.await.unwrap().unwrap(), "subject-of-alice");
    }
    assert_eq!((world.idp.requests("/jwks"), world.idp.requests("/.well-known/openid-configuration")), (1, 1));
}

#[tokio::test]
async fn tokens_are_verified_for_an_hour_without_the_provider_and_then_no_more() {
    let mut world = World::start();
    let (provider, token) = (world.provider(), world.token());
    provider.verify_bearer(&token).await.unwrap();
    world.idp.stop();
    for minutes in [5, 10, 20, 24] {
        world.pass(minutes * 60);
        provider.verify_bearer(&token).await.unwrap();
    }
    world.pass(61);
    let refused = provider.verify_bearer(&token).await.unwrap_err();
    assert!(matches!(refused, openid::OpenIdError::Away { .. }), "{refused}");
    world.idp.start_again();
    world.pass(11);
    provider.verify_bearer(&world.token()).await.unwrap();
}

#[tokio::test]
async fn nobody_waits_for_a_silent_provider_while_its_keys_are_known() {
    let mut world = World::start();
    let (provider, token) = (world.provider(), world.token());
    provider.verify_bearer(&token).await.unwrap();
    world.idp.trouble("/jwks", Trouble::Unavailable);
    world.pass(11 * 60);
    provider.verify_bearer(&token).await.unwrap();
    world.idp.trouble("/jwks", Trouble::Slow);
    for _ in 0..3 {
        world.pass(11);
        let since = Instant::now();
        provider.verify_bearer(&token).await.unwrap();
        assert!(since.elapsed() < Duration::from_secs(2), "it took {:?}", since.elapsed());
    }
}

/// The honest key set with the first key changed.
fn with(honest: &Value, members: &Value) -> Value {
    let mut keys = honest.clone();
    for (name, value) in members.as_object().unwrap() {
        keys["keys"][0][name] = value.clone();
    }
    keys
}

#[tokio::test]
async fn a_key_set_that_lies_verifies_nothing() {
    let world = World::start();
    let honest = world.idp.keys();
    let key = honest["keys"][0].clone();
    let weak = BASE64.encode([0xff; 1024 / 8]);
    let secret = json!({"kty": "oct", "k": "c2VjcmV0", "kid": key["kid"], "alg": "HS256"});
    let cases: Vec<(Value, &str)> = vec![
        (with(&honest, &json!({"kty": "oct"})), "prove nothing"),
        (json!({"keys": [secret.clone()]}), "secret part k"),
        (json!({"keys": [key.clone(), secret]}), "two keys have this id"),
        (json!({"keys": [key.clone(), key.clone()]}), "two keys have this id"),
        (with(&honest, &json!({"d": "c2VjcmV0"})), "secret part d"),
        (with(&honest, &json!({"p": null})), "secret part p"),
        (with(&honest, &json!({"use": "enc"})), "not for signatures"),
        (with(&honest, &json!({"use": null})), "not for signatures"),
        (with(&honest, &json!({"key_ops": ["encrypt"]})), "not for verifying"),
        (with(&honest, &json!({"n": weak})), "1024 bits, 2048 to 8192"),
        (with(&honest, &json!({"n": "AAAA"})), "0 bits"),
        (with(&honest, &json!({"e": "AQ"})), "exponent 1 "),
        (with(&honest, &json!({"e": "Aw"})), "exponent 3 "),
        (with(&honest, &json!({"e": "AQAC"})), "exponent 65538"),
        (with(&honest, &json!({"n": null})), "no n"),
        (with(&honest, &json!({"n": "+/=="})), "not base64url"),
        (with(&honest, &json!({"alg": "HS256"})), "\"\\\"HS256\\\"\" is not accepted"),
        (with(&honest, &json!({"alg": "ES256"})), "does not fit"),
        (with(&honest, &json!({"alg": "PS256"})), "is not for the algorithm RS256"),
        (with(&honest, &json!({"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"})), "not 32"),
        (with(&honest, &json!({"kty": "EC", "crv": "secp256k1"})), "curve"),
        (with(&honest, &json!({"kty": "OKP", "crv": "X25519"})), "curve"),
        (with(&honest, &json!({"kid": "another"})), "no key"),
        (with(&honest, &json!({"kid": 7})), "no key"),
        (json!({"keys": []}), "no key"),
        (json!({"keys": ["text", null]}), "no key"),
        (json!({"keys": {}}), "no list of keys"),
        (json!({"keys": vec![key; 101]}), "at most 100"),
        (json!("keys"), "no list of keys"),
    ];
    let token = world.token();
    for (keys, words) in cases {
        world.idp.publish_keys(&keys);
        assert_refused(world.provider().verify_bearer(&token).await, words);
    }
    world.idp.publish_keys(&Value::Null);
    world.provider().verify_bearer(&token).await.unwrap();
}

#[tokio::test]
async fn a_key_that_names_no_algorithm_serves_those_of_its_type_alone() {
    let world = World::start();
    for (algorithm, others) in
        [("RS256", ["ES256", "EdDSA"]), ("PS256", ["ES256", "EdDSA"]), ("ES256", ["RS256", "EdDSA"]), ("EdDSA", ["PS256", "ES256"])]
    {
        world.idp.publish_keys(&Value::Null);
        world.idp.rotate_and_withdraw(algorithm);
        let mut keys = world.idp.keys();
        keys["keys"][0].as_object_mut().unwrap().remove("alg");
        world.idp.publish_keys(&keys);
        let provider = world.provider();
        provider.verify_bearer(&world.token()).await.unwrap();
        for other in others {
            let token = world.idp.access_token("alice", CLIENT, &json!({}), &json!({"alg": other}));
            assert_refused(provider.verify_bearer(&token).await, &format!("is not for the algorithm {other}"));
        }
    }
}

#[tokio::test]
async fn another_key_of_the_same_strength_under_the_same_id_verifies_nothing() {
    let world = World::start();
    let token = world.token();
    let id = world.idp.keys()["keys"][0]["kid"].clone();
    world.idp.rotate_and_withdraw("RS256");
    world.idp.publish_keys(&with(&world.idp.keys(), &json!({"kid": id})));
    assert_refused(world.provider().verify_bearer(&token).await, "signature is not of the provider's key");
}

#[tokio::test]
async fn a_bad_key_does_not_spoil_the_good_ones_beside_it() {
    let world = World::start();
    let mut keys = world.idp.keys();
    let list = keys["keys"].as_array_mut().unwrap();
    list.push(json!({"kty": "RSA", "use": "enc", "kid": "for encryption", "n": "AQAB", "e": "AQAB"}));
    list.push(json!({"kty": "lattice", "kid": "of a later time"}));
    world.idp.publish_keys(&keys);
    let provider = world.provider();
    provider.verify_bearer(&world.token()).await.unwrap();
    let unnamed = world.idp.access_token("alice", CLIENT, &json!({}), &json!({"kid": null}));
    provider.verify_bearer(&unnamed).await.unwrap();
    world.idp.publish_keys(&Value::Null);
    world.idp.rotate("RS256");
    let unnamed = world.idp.access_token("alice", CLIENT, &json!({}), &json!({"kid": null}));
    assert_refused(world.provider().verify_bearer(&unnamed).await, "several for its algorithm");
}
