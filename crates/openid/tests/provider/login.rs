//! Logins that end well, and the browser's part in them.

use openid::{Identity, OpenIdError, Provider};
use serde_json::json;

use crate::world::{Back, CLIENT, REDIRECT_URI, World, assert_refused};

#[tokio::test]
async fn a_person_who_logged_in_is_named_with_address_name_and_groups() {
    let world = World::start();
    let provider = world.provider();
    let begun = provider.begin(Some("/editor/templates?tab=1")).await.unwrap();
    let back = Back::parse(&world.idp.log_in(&begun.authorization_url, "alice"));
    let finished = provider.finish(begun.state.cookie_value(), back.callback()).await.unwrap();
    assert_eq!(finished.return_to.as_deref(), Some("/editor/templates?tab=1"));
    let Identity { issuer, subject, email, email_verified, display_name, groups, tenant, role, claims } = finished.identity;
    assert_eq!((issuer, subject.as_str()), (world.idp.issuer(), "subject-of-alice"));
    assert_eq!((email.as_deref(), email_verified), (Some("alice@example.com"), true));
    assert_eq!(display_name.as_deref(), Some("Alice Example"));
    assert_eq!(groups, ["editors", "staff"]);
    assert_eq!((tenant, role), (None, None), "no claim is configured for them");
    assert_eq!(claims["aud"], CLIENT);
}

#[tokio::test]
async fn a_login_is_finished_by_another_replica_than_the_one_that_began_it() {
    let world = World::start();
    let (one, other) = (world.provider(), world.provider());
    let begun = one.begin(None).await.unwrap();
    let back = Back::parse(&world.idp.log_in(&begun.authorization_url, "bob"));
    let finished = other.finish(begun.state.cookie_value(), back.callback()).await.unwrap();
    assert_eq!((finished.identity.subject.as_str(), finished.return_to), ("subject-of-bob", None));
    assert!(!finished.identity.email_verified && finished.identity.groups.is_empty(), "what the provider does not say is not so");
}

#[tokio::test]
async fn every_accepted_algorithm_logs_people_in() {
    let world = World::start();
    for algorithm in ["PS256", "ES256", "EdDSA", "RS256"] {
        world.idp.rotate(algorithm);
        let finished = world.log_in(&world.provider(), "alice").await;
        assert_eq!(finished.unwrap().identity.subject, "subject-of-alice", "{algorithm}");
    }
}

#[tokio::test]
async fn a_public_client_logs_in_with_pkce_alone() {
    let world = World::start();
    world.idp.add_client("public", None, REDIRECT_URI);
    let mut settings = world.settings();
    (settings.client_id, settings.client_secret) = ("public".into(), None);
    let provider = Provider::new(settings).unwrap();
    assert_eq!(world.log_in(&provider, "bob").await.unwrap().identity.subject, "subject-of-bob");
}

#[tokio::test]
async fn a_secret_goes_into_the_form_where_the_provider_takes_it_only_there() {
    let world = World::start();
    world.idp.change_metadata(&json!({"token_endpoint_auth_methods_supported": ["client_secret_post"]}));
    assert_eq!(world.log_in(&world.provider(), "bob").await.unwrap().identity.subject, "subject-of-bob");
}

#[tokio::test]
async fn a_wrong_client_secret_is_the_providers_to_refuse() {
    let world = World::start();
    let mut settings = world.settings();
    settings.client_secret = Some("guessed".into());
    assert_refused(world.log_in(&Provider::new(settings).unwrap(), "alice").await, "invalid_client");
}

#[tokio::test]
async fn claims_are_found_under_the_configured_names() {
    let world = World::start();
    world.idp.add_user(
        "carol",
        &json!({"oid": "c-1", "mail": "c@example.com", "https://example.com/name": "Carol", "realm": {"roles": ["a", "b"], "role": "editor"}, "org": "acme"}),
        &json!({}),
    );
    let mut settings = world.settings();
    settings.claim_names = openid::ClaimNames {
        subject: "oid".into(),
        email: "mail".into(),
        display_name: "https://example.com/name".into(),
        groups: Some("realm.roles".into()),
        tenant: Some("org".into()),
        role: Some("realm.role".into()),
    };
    let identity = world.log_in(&Provider::new(settings).unwrap(), "carol").await.unwrap().identity;
    assert_eq!((identity.subject.as_str(), identity.email.as_deref()), ("c-1", Some("c@example.com")));
    assert_eq!((identity.display_name.as_deref(), identity.groups), (Some("Carol"), vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!((identity.tenant.as_deref(), identity.role.as_deref()), (Some("acme"), Some("editor")));
}

#[tokio::test]
async fn an_address_counts_as_verified_only_when_the_provider_says_so_of_that_address() {
    let world = World::start();
    let both = json!({"email": "f@example.com", "email_verified": true});
    let cases = [
        ("email", json!({"email": "f@example.com", "email_verified": true}), json!({}), true),
        ("email", json!({"email": "f@example.com", "email_verified": "true"}), json!({}), true),
        ("email", json!({"email": "f@example.com", "email_verified": "yes"}), json!({}), false),
        ("email", json!({"email": "f@example.com"}), json!({}), false),
        ("email", json!({"email": "f@example.com"}), both.clone(), true),
        ("email", json!({"email": "ceo@example.com"}), both.clone(), false),
        ("email", json!({}), both.clone(), true),
        ("nickname", json!({"nickname": "ceo@example.com", "email": "f@example.com", "email_verified": true}), json!({}), false),
    ];
    for (claim, claims, userinfo, expected) in cases {
        world.idp.add_user("fay", &claims, &userinfo);
        let mut settings = world.settings();
        settings.claim_names.email = claim.into();
        let identity = world.log_in(&Provider::new(settings).unwrap(), "fay").await.unwrap().identity;
        assert_eq!(identity.email_verified, expected, "{claim} of {claims} and {userinfo}");
    }
}

#[tokio::test]
async fn what_the_token_leaves_out_is_asked_for_at_the_userinfo_endpoint() {
    let world = World::start();
    world.idp.add_user("dora", &json!({"name": "Dora"}), &json!({"name": "Not this one", "email": "d@example.com", "groups": "admins"}));
    let identity = world.log_in(&world.provider(), "dora").await.unwrap().identity;
    assert_eq!((identity.email.as_deref(), identity.display_name.as_deref()), (Some("d@example.com"), Some("Dora")));
    assert_eq!(identity.groups, ["admins"]);
    assert_eq!(world.idp.requests("/userinfo"), 1);
    world.log_in(&world.provider(), "alice").await.unwrap();
    assert_eq!(world.idp.requests("/userinfo"), 1, "a token that says everything needs no second call");
}

#[tokio::test]
async fn userinfo_about_somebody_else_ends_the_login() {
    let world = World::start();
    world.idp.add_user("eve", &json!({}), &json!({"sub": "subject-of-alice", "groups": ["editors"]}));
    assert_refused(world.log_in(&world.provider(), "eve").await, "somebody else");
}

#[tokio::test]
async fn a_person_whom_the_provider_turns_away_does_not_get_in() {
    let world = World::start();
    let refused = world.log_in(&world.provider(), "nobody").await.unwrap_err();
    assert!(matches!(&refused, OpenIdError::Refused { reason } if reason.contains("access_denied")), "{refused}");
}

#[tokio::test]
async fn discovery_and_keys_are_asked_for_once_for_many_logins() {
    let world = World::start();
    let provider = world.provider();
    for user in ["alice", "bob", "alice"] {
        world.log_in(&provider, user).await.unwrap();
    }
    let asked = || (world.idp.requests("/.well-known/openid-configuration"), world.idp.requests("/jwks"));
    assert_eq!(asked(), (1, 1));
    world.pass(61 * 60);
    // The tokens of the provider are an hour old by our clock now, so only the beginning can be looked at.
    provider.begin(None).await.unwrap();
    assert_eq!(asked(), (2, 1));
}
