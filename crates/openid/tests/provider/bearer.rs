//! Access tokens of the provider as bearer tokens.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use openid::Provider;
use serde_json::{Value, json};
use testkit::openid::{Forgery, OpenIdProvider};

use crate::world::{CLIENT, World, assert_refused};

fn nothing() -> Value {
    json!({})
}

#[tokio::test]
async fn an_access_token_says_who_is_asking() {
    let world = World::start();
    let provider = world.provider();
    let token = world.idp.access_token("alice", CLIENT, &nothing(), &nothing());
    let identity = provider.verify_bearer(&token).await.unwrap();
    assert_eq!((identity.subject.as_str(), identity.issuer), ("subject-of-alice", world.idp.issuer()));
    assert_eq!(identity.groups, ["editors", "staff"]);
    for header in [json!({"typ": "JWT"}), json!({"typ": "jwt"}), json!({"typ": "application/at+jwt"})] {
        provider.verify_bearer(&world.idp.access_token("bob", CLIENT, &nothing(), &header)).await.unwrap();
    }
    assert_eq!(world.idp.requests("/jwks"), 1, "the provider is not asked for each token");
    assert!(provider.may_have_issued(&token) && !provider.may_have_issued("pulp_key_of_ours") && !provider.may_have_issued("a.b.c"));
}

#[tokio::test]
async fn an_access_token_must_be_made_for_our_audience() {
    let world = World::start();
    let mut settings = world.settings();
    settings.audience = Some("https://pulp.example/api".into());
    let provider = Provider::new(settings).unwrap();
    for audience in [json!("https://pulp.example/api"), json!(["other", "https://pulp.example/api"])] {
        let token = world.idp.access_token("alice", "", &json!({"aud": audience}), &nothing());
        provider.verify_bearer(&token).await.unwrap();
    }
    for audience in [json!(CLIENT), json!("https://pulp.example"), json!(["other"]), json!(null), json!({"https://pulp.example/api": 1})] {
        let token = world.idp.access_token("alice", "", &json!({"aud": audience}), &nothing());
        assert_refused(provider.verify_bearer(&token).await, "its audience is");
    }
}

#[tokio::test]
async fn tokens_for_other_purposes_are_no_access_tokens() {
    let world = World::start();
    let provider = world.provider();
    let begun = provider.begin(None).await.unwrap();
    assert!(begun.authorization_url.contains("nonce="));
    let cases = [
        (json!({"nonce": "n"}), nothing(), "nonce"),
        (json!({"at_hash": "h"}), nothing(), "at_hash"),
        (json!({"events": {}}), nothing(), "events"),
        (json!({"typ": "ID"}), nothing(), "\"ID\""),
        (json!({"typ": "Refresh"}), nothing(), "\"Refresh\""),
        (json!({"token_use": "id"}), nothing(), "\"id\""),
        (nothing(), json!({"typ": "id_token+jwt"}), "id_token+jwt"),
        (nothing(), json!({"typ": "logout+jwt"}), "logout+jwt"),
        (nothing(), json!({"typ": null}), "not given"),
    ];
    for (claims, header, words) in cases {
        let token = world.idp.access_token("alice", CLIENT, &claims, &header);
        assert_refused(provider.verify_bearer(&token).await, words);
    }
    assert_eq!(world.idp.requests("/jwks"), 0, "what is wrong at first sight costs no call");
}

#[tokio::test]
async fn an_access_token_out_of_its_time_is_refused() {
    let world = World::start();
    let provider = world.provider();
    let token = world.idp.access_token("alice", CLIENT, &nothing(), &nothing());
    provider.verify_bearer(&token).await.unwrap();
    world.pass(300 + 50);
    provider.verify_bearer(&token).await.unwrap();
    world.pass(120);
    assert_refused(provider.verify_bearer(&token).await, "expired");
    world.pass(-2 * 3600);
    assert_refused(provider.verify_bearer(&token).await, "issued only in");
}

#[tokio::test]
async fn a_token_that_the_provider_did_not_sign_is_refused() {
    let world = World::start();
    let provider = world.provider();
    for forgery in [Forgery::Unsigned, Forgery::PublicKeyAsSecret, Forgery::UnknownKey, Forgery::Broken] {
        assert_refused(provider.verify_bearer(&world.idp.forged_access_token(CLIENT, forgery)).await, "a token was refused");
    }
    // Signed by somebody else who takes the provider's name and the id of its key.
    let other = OpenIdProvider::start();
    let key = world.idp.keys()["keys"][0]["kid"].clone();
    let token = other.access_token("alice", CLIENT, &json!({"iss": world.idp.issuer()}), &json!({"kid": key}));
    assert_refused(provider.verify_bearer(&token).await, "signature is not of the provider's key");
    assert_refused(provider.verify_bearer(&other.access_token("alice", CLIENT, &nothing(), &nothing())).await, "its issuer is");
}

#[tokio::test]
async fn a_token_changed_in_any_part_is_refused() {
    let world = World::start();
    let provider = world.provider();
    let token = world.idp.access_token("bob", CLIENT, &nothing(), &nothing());
    provider.verify_bearer(&token).await.unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    let mut claims: Value = serde_json::from_slice(&BASE64.decode(parts[1]).unwrap()).unwrap();
    claims["sub"] = json!("subject-of-alice");
    let risen = format!("{}.{}.{}", parts[0], BASE64.encode(claims.to_string()), parts[2]);
    assert_refused(provider.verify_bearer(&risen).await, "signature");
    let shapes = [
        String::new(),
        ".".into(),
        "..".into(),
        parts[0].into(),
        format!("{}.{}", parts[0], parts[1]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{token}."),
        format!(".{token}"),
        format!("{token}.{}", parts[2]),
        format!("{token}="),
        format!(" {token}"),
        token.replace('.', ".."),
        format!("{}.{}.{}", parts[0], parts[1], &parts[2][..parts[2].len() / 2]),
        "x".repeat(100_000),
    ];
    for shape in shapes {
        assert_refused(provider.verify_bearer(&shape).await, "a token was refused");
    }
    // Any single character of it.
    for at in (0..token.len()).step_by(7) {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(provider.verify_bearer(&changed).await.is_err(), "changed at {at}: {changed}");
    }
}

#[tokio::test]
async fn a_refusal_in_the_log_is_one_short_line_whatever_the_token_says() {
    let world = World::start();
    let provider = world.provider();
    let long = format!("line\nbreak\u{1b}[31m{}", "x".repeat(1000));
    for (claims, header) in [
        (json!({"iss": long}), nothing()),
        (json!({"aud": long}), nothing()),
        (nothing(), json!({"kid": long})),
        (nothing(), json!({"typ": long})),
    ] {
        let token = world.idp.access_token("alice", CLIENT, &claims, &header);
        let text = provider.verify_bearer(&token).await.unwrap_err().to_string();
        assert!(text.len() < 300 && !text.contains(char::is_control), "{text}");
    }
}
