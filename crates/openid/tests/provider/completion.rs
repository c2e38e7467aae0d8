//! The code that carries a finished login to the page.

use openid::{Identity, Provider};

use crate::world::{World, assert_refused, cookie_secret};

/// Somebody who logged in, and the cookie of that login.
async fn logged_in(world: &World, provider: &Provider) -> (Identity, String) {
    let identity = world.log_in(provider, "alice").await.unwrap().identity;
    (identity, provider.begin(None).await.unwrap().state.cookie_value().to_owned())
}

#[tokio::test]
async fn a_completion_code_is_understood_by_every_replica() {
    let world = World::start();
    let (one, other) = (world.provider(), world.provider());
    let (mut identity, cookie) = logged_in(&world, &one).await;
    (identity.tenant, identity.role) = (Some("acme".into()), Some("editor".into()));
    let sealed = one.seal_completion(&identity, &cookie).unwrap();
    let opened = other.open_completion(&sealed.code, &cookie).unwrap();
    assert_eq!((opened.code_id, opened.subject.as_str()), (sealed.code_id, "subject-of-alice"));
    assert_eq!(
        (opened.issuer, opened.email, opened.display_name),
        (identity.issuer.clone(), identity.email.clone(), identity.display_name.clone())
    );
    assert_eq!((opened.tenant.as_deref(), opened.role.as_deref()), (Some("acme"), Some("editor")));
    assert_eq!((opened.email_verified, opened.groups), (true, identity.groups.clone()));
    assert_eq!(opened.expires_at.as_millisecond(), sealed.expires_at.as_millisecond());
    assert_ne!(one.seal_completion(&identity, &cookie).unwrap().code_id, sealed.code_id, "each code can be marked as used by itself");
}

#[tokio::test]
async fn a_completion_code_ends_after_a_minute() {
    let world = World::start();
    let provider = world.provider();
    let (identity, cookie) = logged_in(&world, &provider).await;
    let code = provider.seal_completion(&identity, &cookie).unwrap().code;
    world.pass(58);
    provider.open_completion(&code, &cookie).unwrap();
    world.pass(3);
    assert_refused(provider.open_completion(&code, &cookie), "expired");
    world.pass(-3600);
    assert_refused(provider.open_completion(&code, &cookie), "expired");
}

#[tokio::test]
async fn a_completion_code_is_of_no_use_in_another_browser() {
    let world = World::start();
    let provider = world.provider();
    let (identity, cookie) = logged_in(&world, &provider).await;
    let code = provider.seal_completion(&identity, &cookie).unwrap().code;
    let other = provider.begin(None).await.unwrap().state;
    for wrong in [other.cookie_value(), ""] {
        assert_refused(provider.open_completion(&code, wrong), "another browser");
    }
}

#[tokio::test]
async fn neither_a_changed_code_nor_the_cookie_itself_is_a_completion_code() {
    let world = World::start();
    let provider = world.provider();
    let (identity, cookie) = logged_in(&world, &provider).await;
    let code = provider.seal_completion(&identity, &cookie).unwrap().code;
    for at in 0..code.len() {
        let mut bytes = code.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(changed == code || provider.open_completion(&changed, &cookie).is_err(), "changed at {at}");
    }
    for wrong in ["", ".", &cookie, &code[1..], &format!("{code}A")] {
        assert_refused(provider.open_completion(wrong, &cookie), "not made with our secret");
    }
    assert_refused(provider.finish(&code, openid::Callback::default()).await, "cookie");
}

#[tokio::test]
async fn a_completion_code_outlives_the_change_of_its_secret() {
    let world = World::start();
    let provider = world.provider();
    let (identity, cookie) = logged_in(&world, &provider).await;
    let code = provider.seal_completion(&identity, &cookie).unwrap().code;
    let mut settings = world.settings();
    let old = std::mem::replace(&mut settings.cookie_secrets.current, cookie_secret("two"));
    assert_refused(Provider::new(settings.clone()).unwrap().open_completion(&code, &cookie), "not made with our secret");
    settings.cookie_secrets.previous = Some(old);
    Provider::new(settings).unwrap().open_completion(&code, &cookie).unwrap();
}

#[tokio::test]
async fn groups_that_do_not_fit_into_an_address_are_said_so() {
    let world = World::start();
    let provider = world.provider();
    let (mut identity, cookie) = logged_in(&world, &provider).await;
    identity.groups = (0..60).map(|number| format!("00000000-0000-4000-8000-{number:012}")).collect();
    provider.seal_completion(&identity, &cookie).unwrap();
    identity.groups.extend(identity.groups.clone());
    assert_refused(provider.seal_completion(&identity, &cookie), "with 120 groups");
}
