//! A provider that is away, slow, too talkative, somewhere else or not what it says.

use std::time::{Duration, Instant};

use domain::SecretText;
use openid::{OpenIdError, Provider};
use serde_json::json;
use testkit::openid::Trouble;

use crate::world::{CLIENT, World, assert_refused};

const DISCOVERY: &str = "/.well-known/openid-configuration";

#[tokio::test]
async fn a_provider_that_is_away_at_the_start_is_found_when_it_is_back() {
    let mut world = World::start();
    world.idp.stop();
    let provider = world.provider();
    let away = provider.begin(None).await.unwrap_err();
    assert!(matches!(away, OpenIdError::Away { call: "discovery", .. }), "{away}");
    world.idp.start_again();
    world.pass(3);
    provider.begin(None).await.unwrap();
}

#[tokio::test]
async fn a_provider_that_is_away_is_not_asked_again_by_everybody() {
    let mut world = World::start();
    world.idp.trouble(DISCOVERY, Trouble::Unavailable);
    let provider = world.provider();
    for _ in 0..20 {
        assert_refused(provider.begin(None).await, "503");
    }
    assert_eq!(world.idp.requests(DISCOVERY), 1);
    world.pass(3);
    assert_refused(provider.begin(None).await, "503");
    assert_eq!(world.idp.requests(DISCOVERY), 2);
}

#[tokio::test]
async fn a_call_ends_after_five_seconds_and_frees_all_who_waited() {
    let mut world = World::start();
    world.idp.trouble(DISCOVERY, Trouble::Slow);
    let provider = world.provider();
    let since = Instant::now();
    let logins: Vec<_> =
        (0..10).map(|_| provider.clone()).map(|provider| tokio::spawn(async move { provider.begin(None).await })).collect();
    for login in logins {
        assert_refused(login.await.unwrap(), "nothing within 5 s");
    }
    let took = since.elapsed();
    assert!(took >= Duration::from_secs(4) && took < Duration::from_secs(9), "it took {took:?}");
}

#[tokio::test]
async fn a_caller_who_leaves_takes_the_answer_from_nobody() {
    let mut world = World::start();
    world.idp.trouble(DISCOVERY, Trouble::Slow);
    let provider = world.provider();
    let left = tokio::time::timeout(Duration::from_millis(200), provider.begin(None)).await;
    assert!(left.is_err(), "the first caller gave up");
    assert_refused(provider.begin(None).await, "nothing within 5 s");
    assert_eq!(world.idp.requests(DISCOVERY), 1, "the second had the answer to the first one's request");
}

#[tokio::test]
async fn no_answer_is_believed_that_is_huge_or_redirected_or_no_json() {
    let mut world = World::start();
    let troubles = [
        (Trouble::Huge, "larger than 262144 bytes"),
        (Trouble::Redirect, "redirects are not followed"),
        (Trouble::Text, "not JSON"),
        (Trouble::Unavailable, "503"),
    ];
    let token = world.idp.access_token("alice", CLIENT, &json!({}), &json!({}));
    for (trouble, words) in troubles {
        for path in [DISCOVERY, "/jwks", "/token"] {
            world.idp.behave();
            world.idp.trouble(path, trouble);
            assert_refused(world.log_in(&world.provider(), "alice").await, words);
            if path != "/token" {
                assert_refused(world.provider().verify_bearer(&token).await, words);
            }
        }
    }
    assert_eq!(world.idp.requests("/elsewhere"), 0);
}

#[tokio::test]
async fn metadata_that_leads_elsewhere_is_refused() {
    let world = World::start();
    let away = "http://idp.example/x";
    let cases = [
        (json!({"issuer": "https://evil.example"}), "its issuer is \"https://evil.example\""),
        (json!({"issuer": null}), "no issuer"),
        (json!({"jwks_uri": away}), "its jwks_uri must use https"),
        (json!({"token_endpoint": away}), "its token_endpoint must use https"),
        (json!({"authorization_endpoint": "javascript:alert(1)"}), "its authorization_endpoint must use https"),
        (json!({"userinfo_endpoint": "file:///etc/passwd"}), "its userinfo_endpoint must use https"),
        (json!({"token_endpoint": "https://user:pass@idp.example/token"}), "must not carry a user name"),
        (json!({"jwks_uri": null}), "no jwks_uri"),
        (json!({"jwks_uri": "keys"}), "its jwks_uri is not a URL"),
    ];
    for (members, words) in cases {
        world.idp.change_metadata(&members);
        assert_refused(world.provider().begin(None).await, words);
    }
}

#[tokio::test]
async fn an_issuer_with_a_slash_at_its_end_keeps_it() {
    let mut world = World::start();
    let issuer = format!("{}/", world.idp.issuer());
    world.idp.change_metadata(&json!({"issuer": issuer, "authorization_response_iss_parameter_supported": null}));
    world.idp.change_id_tokens(&json!({"iss": issuer}));
    let provider = world.provider();
    let begun = provider.begin(None).await.unwrap();
    let mut back = crate::world::Back::parse(&world.idp.log_in(&begun.authorization_url, "alice"));
    back.iss = None;
    assert_eq!(provider.finish(begun.state.cookie_value(), back.callback()).await.unwrap().identity.issuer, issuer);
    let without = world.idp.access_token("alice", CLIENT, &json!({}), &json!({}));
    assert_refused(provider.verify_bearer(&without).await, "not exactly");
}

#[tokio::test]
async fn settings_that_cannot_work_are_named_before_anything_is_asked() {
    let world = World::start();
    let refused = |change: &dyn Fn(&mut openid::Settings), words: &str| {
        let mut settings = world.settings();
        change(&mut settings);
        assert_refused(Provider::new(settings), words);
    };
    refused(&|settings| settings.discovery_url = "http://idp.example".into(), "OIDC_DISCOVERY_URL must use https");
    refused(&|settings| settings.discovery_url = "http://127.0.0.1.evil.example".into(), "OIDC_DISCOVERY_URL must use https");
    refused(&|settings| settings.discovery_url = "idp.example".into(), "OIDC_DISCOVERY_URL is not a URL");
    refused(&|settings| settings.discovery_url = "https://idp.example/?a=b".into(), "OIDC_DISCOVERY_URL must not have a query");
    refused(&|settings| settings.redirect_uri = "http://pulp.example/auth/oidc/callback".into(), "OIDC_REDIRECT_URI must use https");
    refused(&|settings| settings.client_id = String::new(), "OIDC_CLIENT_ID must not be empty");
    refused(&|settings| settings.client_secret = Some("".into()), "OIDC_CLIENT_SECRET must not be empty");
    refused(&|settings| settings.scopes = "profile email".into(), "OIDC_SCOPES must contain openid");
    refused(
        &|settings| settings.cookie_secrets.current = SecretText::from("x".repeat(31)),
        "OIDC_COOKIE_SECRET must have at least 32 characters, found 31",
    );
    refused(&|settings| settings.cookie_secrets.previous = Some("short".into()), "OIDC_COOKIE_SECRET_PREVIOUS must have at least 32");
    assert_eq!(world.idp.requests(DISCOVERY), 0);
    let shown = format!("{:?}", world.provider());
    assert!(shown.contains(CLIENT) && !shown.contains("s:e/c") && !shown.contains("cookie secret of"), "no secret in {shown}");
}

#[tokio::test]
async fn the_discovery_address_may_be_given_in_full() {
    let world = World::start();
    for suffix in ["", "/", DISCOVERY] {
        let mut settings = world.settings();
        settings.discovery_url = format!("{}{suffix}", world.idp.issuer());
        Provider::new(settings).unwrap().begin(None).await.unwrap();
    }
}
