//! Editor tokens as a forger, a careless copier and an operator meet them.
#![cfg(test)]

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use domain::editor_tokens::{EditorToken, Holder};
use domain::secrets::{Secret, Secrets, SignedWith};
use domain::signed_tokens::{MintRefusal, TimeRefusal, TokenFlaw, TokenRefusal};
use domain::{Action, Scope};
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;

const SECRET: &str = "a shared secret";

fn now() -> Timestamp {
    "2026-11-21T10:00:00.123Z".parse().unwrap()
}

fn secret(text: &str) -> Secret {
    Secret::new(text).unwrap()
}

fn token() -> EditorToken {
    EditorToken {
        issued_at: now(),
        expires_at: now() + SignedDuration::from_mins(480),
        tenant: "acme".parse().unwrap(),
        name: "anna".into(),
        scope: Scope::Editor,
        holder: Holder::RegisteredUser,
        templates: Some(vec!["invoice-*".parse().unwrap()]),
        actions: Some(vec![Action::TemplateRead]),
        api_key: None,
    }
}

fn verify(text: &str) -> Result<EditorToken, TokenRefusal> {
    EditorToken::verify(text, &secret(SECRET).into(), now(), None).map(|verified| verified.token)
}

/// A token signed with the true secret by somebody who writes its parts as he likes.
fn signed(issued: &str, expires: &str, tenant: &str, actor: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(format!("editor:{issued}:{expires}:{tenant}:{actor}").as_bytes());
    let signature = BASE64.encode(mac.finalize().into_bytes());
    format!("{issued}.{expires}.{}.{}.{signature}", BASE64.encode(tenant), BASE64.encode(actor))
}

#[test]
fn a_token_is_five_parts_that_say_what_was_put_in() {
    let text = token().mint(&secret(SECRET)).unwrap();
    let actor = r#"{"n":"anna","s":"editor","u":true,"t":["invoice-*"],"x":["template:read"]}"#;
    assert_eq!(text, signed("1795255200123", "1795284000123", "acme", actor), "the published layout");
    assert_eq!(verify(&text).unwrap(), token());

    let plain = EditorToken { holder: Holder::Label, templates: None, actions: None, ..token() };
    let text = plain.mint(&secret(SECRET)).unwrap();
    assert_eq!(text, signed("1795255200123", "1795284000123", "acme", r#"{"n":"anna","s":"editor"}"#));
    assert_eq!(verify(&text).unwrap(), plain);
}

#[test]
fn times_are_carried_in_whole_milliseconds() {
    let fine = EditorToken { issued_at: now() + SignedDuration::from_nanos(999_999), ..token() };
    assert_eq!(verify(&fine.mint(&secret(SECRET)).unwrap()).unwrap(), token());
}

#[test]
fn limits_narrow_the_scope_and_never_widen_it() {
    assert!(token().may(Action::TemplateRead) && !token().may(Action::TemplateWrite));
    let wishful = EditorToken { actions: Some(vec![Action::DocumentRender]), ..token() };
    assert!(!wishful.may(Action::DocumentRender), "its scope does not include it");
    let unlimited = EditorToken { actions: None, templates: None, ..token() };
    assert!(unlimited.may(Action::TemplateWrite) && unlimited.reaches(&"letter".parse().unwrap()));
    assert!(token().reaches(&"invoice-2".parse().unwrap()) && !token().reaches(&"letter".parse().unwrap()));
    let nothing = EditorToken { actions: Some(vec![]), templates: Some(vec![]), ..token() };
    let nothing = verify(&nothing.mint(&secret(SECRET)).unwrap()).unwrap();
    assert!(!nothing.may(Action::TemplateRead) && !nothing.reaches(&"invoice-2".parse().unwrap()), "empty is not absent");
}

#[test]
fn no_single_changed_character_verifies() {
    let text = token().mint(&secret(SECRET)).unwrap();
    for position in 0..text.len() {
        for replacement in ["", "A", "0", "9", "_", ".", "=", "AA", "é"] {
            let mut changed = text.clone();
            changed.replace_range(position..=position, replacement);
            assert!(changed == text || verify(&changed).is_err(), "{changed}");
        }
    }
    for length in 0..text.len() {
        assert!(verify(&text[..length]).is_err());
    }
}

#[test]
fn a_part_cannot_be_moved_across_the_colons_of_the_signature() {
    // The signature of tenant `acme` and actor `{"n":"a:b",…}` is also that of tenant `acme:{"n":"a` and the rest.
    let honest = signed("1795255200123", "1795284000123", "acme", r#"{"n":"a:b","s":"editor"}"#);
    let signature = honest.rsplit('.').next().unwrap();
    let (tenant, actor) = (BASE64.encode(r#"acme:{"n":"a"#), BASE64.encode(r#"b","s":"editor"}"#));
    let moved = format!("1795255200123.1795284000123.{tenant}.{actor}.{signature}");
    assert!(matches!(verify(&moved), Err(TokenRefusal::Malformed(TokenFlaw::Content { .. }))));
    assert!(verify(&honest).is_ok());
}

#[test]
fn what_was_signed_but_is_not_of_this_server_is_refused() {
    let actor = r#"{"n":"anna","s":"editor"}"#;
    let (issued, expires) = ("1795255200123", "1795284000123");
    assert!(verify(&signed(issued, expires, "acme", actor)).is_ok());
    let refused = [
        signed(issued, expires, "Acme", actor),
        signed(issued, expires, "", actor),
        signed("+1795255200123", expires, "acme", actor),
        signed("01795255200123", expires, "acme", actor),
        signed("", expires, "acme", actor),
        signed(issued, "9999999999999999999999", "acme", actor),
        signed(issued, expires, "acme", r#"{"n":"anna","s":"editor","newLimit":1}"#),
        signed(issued, expires, "acme", r#"{"n":"anna","s":"editor","s":"admin"}"#),
        signed(issued, expires, "acme", r#"{"n":"anna","s":"owner"}"#),
        signed(issued, expires, "acme", r#"{"n":"anna","s":"editor","u":false}"#),
        signed(issued, expires, "acme", r#"{"n":"anna","s":"editor","t":null}"#),
        signed(issued, expires, "acme", r#"{"n":"anna", "s":"editor"}"#),
        signed(issued, expires, "acme", r#"{"s":"editor","n":"anna"}"#),
        signed(issued, expires, "acme", r#"{"n":"anna","s":"editor","t":["*"]}"#),
        signed(issued, expires, "acme", &"[".repeat(500)),
        signed(issued, expires, "acme", "\u{0}"),
    ];
    for text in refused {
        assert!(matches!(verify(&text), Err(TokenRefusal::Malformed(_))), "{text} gave {:?}", verify(&text));
    }
}

#[test]
fn nothing_that_the_signature_covers_is_read_before_it_is_checked() {
    let other = signed("what", "ever", "Not A Tenant", "not json").replace("what", "more");
    assert_eq!(verify(&other), Err(TokenRefusal::BadSignature { secrets: 1 }));
    assert_eq!(verify("a.b.c.d"), Err(TokenFlaw::Parts { expected: 5, found: 4 }.into()));
    assert_eq!(verify(""), Err(TokenFlaw::Parts { expected: 5, found: 1 }.into()));
    assert_eq!(verify(&".".repeat(5000)), Err(TokenRefusal::TooLong { size_bytes: 5000, limit_bytes: 4096 }));
}

#[test]
fn a_previous_secret_verifies_and_is_named_and_a_forgotten_one_does_not() {
    let text = token().mint(&secret("old")).unwrap();
    let secrets = Secrets { current: secret(SECRET), previous: vec![secret("older"), secret("old")] };
    let verified = EditorToken::verify(&text, &secrets, now(), None).unwrap();
    assert_eq!(verified.signed_with, SignedWith::Previous { position: 1 });
    assert_eq!(verify(&text), Err(TokenRefusal::BadSignature { secrets: 1 }));
}

#[test]
fn the_refusal_tells_the_operator_whose_token_it_was_and_what_is_wrong() {
    let text = token().mint(&secret(SECRET)).unwrap();
    let at = |time: Timestamp, issued_after| EditorToken::verify(&text, &secret(SECRET).into(), time, issued_after).unwrap_err();
    let expired = at(now() + SignedDuration::from_mins(481), None);
    assert_eq!(
        expired.to_string(),
        "the token of \"anna\" in tenant acme, signed with Current, expired at 2026-11-21T18:00:00.123Z, 60 seconds ago"
    );
    let why = |refusal| if let TokenRefusal::Time { why, .. } = refusal { why } else { panic!("{refusal}") };
    assert!(matches!(why(at(now() - SignedDuration::from_secs(61), None)), TimeRefusal::IssuedInTheFuture { .. }));
    assert!(matches!(why(at(now(), Some(now() + SignedDuration::from_millis(1)))), TimeRefusal::BeforeCutOver { .. }));
    let long = signed("1795255200123", "1795341600124", "acme", r#"{"n":"anna","s":"editor"}"#);
    assert!(matches!(why(verify(&long).unwrap_err()), TimeRefusal::Life { life_seconds: 86_400, .. }));
}

#[test]
fn what_could_never_verify_is_not_minted() {
    let mint = |token: EditorToken| token.mint(&secret(SECRET)).unwrap_err();
    let long = EditorToken { expires_at: now() + SignedDuration::from_mins(1441), ..token() };
    assert!(matches!(mint(long), MintRefusal::Time(_)));
    assert!(matches!(mint(EditorToken { expires_at: now(), ..token() }), MintRefusal::Time(_)));
    assert!(matches!(mint(EditorToken { name: "x".repeat(4000), ..token() }), MintRefusal::TooLong { .. }));
    let early = Timestamp::from_second(-10).unwrap();
    let early = EditorToken { issued_at: early, expires_at: early + SignedDuration::from_secs(5), ..token() };
    assert!(matches!(mint(early), MintRefusal::Content { .. }));
}
