//! The cookie of a login, and everything that may be wrong with the browser that comes back.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use openid::{COOKIE_NAME, OpenIdError, Provider, flow_cookie};
use reqwest::Url;
use serde_json::json;

use crate::world::{Back, World, assert_refused, cookie_secret};

/// A login up to the moment at which the browser comes back: its cookie and its query.
async fn come_back(world: &World, provider: &Provider) -> (String, Back) {
    let begun = provider.begin(None).await.unwrap();
    let back = Back::parse(&world.idp.log_in(&begun.authorization_url, "alice"));
    (begun.state.cookie_value().to_owned(), back)
}

#[tokio::test]
async fn a_callback_that_is_replayed_finds_its_code_used() {
    let world = World::start();
    let provider = world.provider();
    let (cookie, back) = come_back(&world, &provider).await;
    provider.finish(&cookie, back.callback()).await.unwrap();
    let replayed = provider.finish(&cookie, back.callback()).await.unwrap_err();
    assert!(matches!(&replayed, OpenIdError::Refused { reason } if reason.contains("invalid_grant")), "{replayed}");
}

#[tokio::test]
async fn a_code_of_another_login_is_refused_in_ours() {
    let world = World::start();
    let provider = world.provider();
    let (_, attacker) = come_back(&world, &provider).await;
    let (cookie, mut victim) = come_back(&world, &provider).await;
    victim.code = attacker.code;
    assert_refused(provider.finish(&cookie, victim.callback()).await, "PKCE");
}

#[tokio::test]
async fn a_browser_that_did_not_begin_the_login_cannot_finish_it() {
    let world = World::start();
    let provider = world.provider();
    let (_, back) = come_back(&world, &provider).await;
    let (other_cookie, _) = come_back(&world, &provider).await;
    assert_refused(provider.finish(&other_cookie, back.callback()).await, "state");
    assert_refused(provider.finish("", back.callback()).await, "cookie");
    assert_eq!(world.idp.requests("/token"), 0, "no code is spent for a browser that is not the right one");
}

#[tokio::test]
async fn a_cookie_that_anybody_else_wrote_counts_for_nothing() {
    let world = World::start();
    let provider = world.provider();
    let (cookie, back) = come_back(&world, &provider).await;
    let (payload, mac) = cookie.split_once('.').unwrap();
    let mut content: serde_json::Value = serde_json::from_slice(&BASE64.decode(payload).unwrap()).unwrap();
    content["r"] = json!("/elsewhere");
    let rewritten = format!("{}.{mac}", BASE64.encode(content.to_string()));
    let halves = [payload.to_owned(), format!("{payload}."), format!(".{mac}"), format!("{payload}.{}", &mac[..42]), rewritten];
    for wrong in halves {
        assert_refused(provider.finish(&wrong, back.callback()).await, "not made with our secret");
    }
    let mut settings = world.settings();
    settings.cookie_secrets.current = cookie_secret("two");
    assert_refused(Provider::new(settings).unwrap().finish(&cookie, back.callback()).await, "not made with our secret");
}

#[tokio::test]
async fn a_cookie_of_the_previous_secret_still_finishes_its_login() {
    let world = World::start();
    let (cookie, back) = come_back(&world, &world.provider()).await;
    let mut settings = world.settings();
    settings.cookie_secrets.previous = Some(std::mem::replace(&mut settings.cookie_secrets.current, cookie_secret("two")));
    let rolled = Provider::new(settings).unwrap();
    assert_eq!(rolled.finish(&cookie, back.callback()).await.unwrap().identity.subject, "subject-of-alice");
}

#[tokio::test]
async fn a_login_that_takes_longer_than_ten_minutes_begins_anew() {
    let world = World::start();
    let provider = world.provider();
    let (cookie, back) = come_back(&world, &provider).await;
    world.pass(601);
    assert_refused(provider.finish(&cookie, back.callback()).await, "it began 60");
    world.pass(-601 - 120);
    assert_refused(provider.finish(&cookie, back.callback()).await, "it began -1");
}

#[tokio::test]
async fn the_cookie_tells_neither_state_nor_nonce_nor_verifier() {
    let world = World::start();
    let begun = world.provider().begin(None).await.unwrap();
    let url = Url::parse(&begun.authorization_url).unwrap();
    let field = |name: &str| url.query_pairs().find(|(found, _)| found == name).unwrap().1.into_owned();
    let (payload, _) = begun.state.cookie_value().split_once('.').unwrap();
    let content: serde_json::Value = serde_json::from_slice(&BASE64.decode(payload).unwrap()).unwrap();
    let texts: Vec<_> = content.as_object().unwrap().values().filter_map(|value| value.as_str()).collect();
    let secrets = [field("state"), field("nonce"), field("code_challenge")];
    assert!(texts.iter().all(|text| !secrets.iter().any(|secret| secret == text)), "{content}");
    let challenge_of = |text: &str| BASE64.encode(<sha2::Sha256 as sha2::Digest>::digest(text.as_bytes()));
    assert!(texts.iter().all(|text| challenge_of(text) != field("code_challenge")), "the verifier is not in {content}");
    assert_eq!((field("code_challenge_method").as_str(), field("response_type").as_str()), ("S256", "code"));
    let again = world.provider().begin(None).await.unwrap();
    assert_ne!(again.state.cookie_value(), begun.state.cookie_value());
    assert!(!format!("{:?}", begun.state).contains(payload), "nor does a log that prints it");
}

#[tokio::test]
async fn the_cookie_is_for_our_paths_and_no_script() {
    let world = World::start();
    let provider = world.provider();
    let state = provider.begin(None).await.unwrap().state;
    let header = state.set_cookie();
    let value = state.cookie_value();
    assert_eq!(header, format!("{COOKIE_NAME}={value}; Path=/auth; Max-Age=600; HttpOnly; SameSite=Lax; Secure"));
    assert_eq!(flow_cookie(&format!("a=b; {COOKIE_NAME}={value}; x{COOKIE_NAME}=1")), Some(value));
    assert_eq!((flow_cookie("a=b"), flow_cookie("")), (None, None));
    assert_eq!(provider.clear_cookie(), format!("{COOKIE_NAME}=; Path=/auth; Max-Age=0; HttpOnly; SameSite=Lax; Secure"));
    let mut settings = world.settings();
    settings.redirect_uri = "http://localhost:8080/auth/oidc/callback".into();
    let plain = Provider::new(settings).unwrap().begin(None).await.unwrap().state.set_cookie();
    assert!(!plain.contains("Secure"), "a browser would drop it on plain HTTP: {plain}");
}

#[tokio::test]
async fn only_a_path_of_this_server_is_returned_to() {
    let world = World::start();
    let provider = world.provider();
    let elsewhere = [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "/\t/evil.example",
        "/a//b",
        "",
        "editor",
        "/a b",
        "/ü",
        "javascript:alert(1)",
    ];
    for path in elsewhere.into_iter().map(str::to_owned).chain([format!("/{}", "a".repeat(1024))]) {
        assert_refused(provider.begin(Some(&path)).await, "path to return to");
    }
    for path in ["/", "/editor", "/editor/t?x=1&y=%2F#part"] {
        provider.begin(Some(path)).await.unwrap();
    }
}

#[tokio::test]
async fn an_answer_of_another_issuer_is_refused_before_its_code_is_spent() {
    let world = World::start();
    let provider = world.provider();
    let (cookie, mut back) = come_back(&world, &provider).await;
    back.iss = Some("https://evil.example".into());
    assert_refused(provider.finish(&cookie, back.callback()).await, "evil.example");
    back.iss = None;
    assert_refused(provider.finish(&cookie, back.callback()).await, "does not name its issuer");
    assert_eq!(world.idp.requests("/token"), 0);
    world.idp.change_metadata(&json!({"authorization_response_iss_parameter_supported": null}));
    let (cookie, mut back) = come_back(&world, &world.provider()).await;
    back.iss = None;
    world.provider().finish(&cookie, back.callback()).await.unwrap();
}
