//! Render tokens as the page that holds one, and whoever steals it, meet them.
#![cfg(test)]

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use domain::editor_tokens::EditorToken;
use domain::formats::Format;
use domain::ids::RenderTokenId;
use domain::render_tokens::{Constraint, FormMetadata, RenderAsk, RenderToken};
use domain::secrets::Secret;
use domain::signed_tokens::{MintRefusal, TimeRefusal, TokenFlaw, TokenRefusal};
use domain::templates::TemplateKey;
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::Sha256;

const SECRET: &str = "a shared secret";

fn now() -> Timestamp {
    "2026-11-21T10:00:00.123Z".parse().unwrap()
}

fn secret() -> Secret {
    Secret::new(SECRET).unwrap()
}

fn token() -> RenderToken {
    RenderToken {
        id: RenderTokenId::generate(),
        tenant: "acme".parse().unwrap(),
        templates: vec!["invoice".parse().unwrap(), "letter".parse().unwrap()],
        formats: vec![Format::Pdf],
        label: None,
        version: None,
        max_renders: 10.try_into().unwrap(),
        issued_at: now(),
        expires_at: now() + SignedDuration::from_hours(1),
        allowed_origins: vec!["https://shop.example".parse().unwrap()],
        fixed_data: json!({"customer": {"id": 7}, "total": 1.0}).as_object().cloned(),
        form_metadata: FormMetadata::Refused,
        subject: Some("order 66".into()),
        issued_by: "env:admin".into(),
    }
}

fn verify(text: &str) -> Result<RenderToken, TokenRefusal> {
    RenderToken::verify(text, &secret().into(), now(), None).map(|verified| verified.token)
}

fn signed(claims: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(format!("render:rt1:{claims}").as_bytes());
    format!("rt1.{}.{}", BASE64.encode(claims), BASE64.encode(mac.finalize().into_bytes()))
}

fn claims(token: &RenderToken) -> Value {
    serde_json::to_value(token).unwrap()
}

fn ask(template: &TemplateKey) -> RenderAsk<'_> {
    RenderAsk { template, format: Some(Format::Pdf), origin: Some("https://shop.example"), label: None, version: None }
}

#[test]
fn a_token_says_what_was_put_in() {
    let full = RenderToken { label: Some("prod".into()), form_metadata: FormMetadata::Allowed, ..token() };
    let versioned = RenderToken { version: Some("1.0.3".parse().unwrap()), allowed_origins: vec![], ..token() };
    let bare = RenderToken { allowed_origins: vec![], fixed_data: None, subject: None, ..token() };
    for token in [token(), full, versioned, bare] {
        let text = token.mint(&secret()).unwrap();
        assert_eq!(text, signed(&serde_json::to_string(&token).unwrap()), "the published layout");
        assert_eq!(verify(&text).unwrap(), token);
    }
}

#[test]
fn no_single_changed_character_verifies() {
    let text = token().mint(&secret()).unwrap();
    for position in 0..text.len() {
        for replacement in ["", "A", "Q", "_", ".", "=", "AA", "é"] {
            let mut changed = text.clone();
            changed.replace_range(position..=position, replacement);
            assert!(changed == text || verify(&changed).is_err(), "{changed}");
        }
        assert!(verify(&text[..position]).is_err());
    }
}

#[test]
fn one_kind_of_token_never_passes_for_the_other() {
    let text = token().mint(&secret()).unwrap();
    assert!(EditorToken::verify(&text, &secret().into(), now(), None).is_err());
    // An editor token's own signed bytes, presented as the claims of a render token.
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(b"editor:1:2:acme:{}");
    let signature = BASE64.encode(mac.finalize().into_bytes());
    let forged = format!("rt1.{}.{signature}", BASE64.encode("editor:1:2:acme:{}"));
    assert_eq!(verify(&forged), Err(TokenRefusal::BadSignature { secrets: 1 }));
}

#[test]
fn what_was_signed_but_is_not_of_this_server_is_refused() {
    let with = |name: &str, value: Value| {
        let mut claims = claims(&token());
        claims[name] = value;
        signed(&claims.to_string())
    };
    assert!(verify(&with("maxRenders", json!(5))).is_ok());
    let refused = [
        with("newLimit", json!(1)),
        with("templates", json!([])),
        with("templates", json!(vec!["invoice"; 51])),
        with("templates", json!(["invoice-*"])),
        with("formats", json!([])),
        with("formats", json!(["pdf", "pdf"])),
        with("formats", json!(["exe"])),
        with("maxRenders", json!(0)),
        with("maxRenders", json!(1_000_001)),
        with("allowedOrigins", json!(["https://shop.example/"])),
        with("allowedOrigins", json!([])),
        with("fixedData", json!([1])),
        with("label", json!("")),
        with("label", Value::Null),
        with("formMetadata", json!("refused")),
        with("issuedAt", json!(-1e20)),
        with("id", json!("x")),
        with("issuedBy", json!("eve\nadmin")),
        signed(&format!(" {}", claims(&token()))),
        signed(&format!("{{\"id\":1,{}", &claims(&token()).to_string()[1..])),
        signed(&"[".repeat(1000)),
    ];
    for text in refused {
        assert!(matches!(verify(&text), Err(TokenRefusal::Malformed(_))), "{text} gave {:?}", verify(&text));
    }
}

#[test]
fn shape_and_length_are_looked_at_first() {
    assert_eq!(verify("rt1.a"), Err(TokenFlaw::Parts { expected: 3, found: 2 }.into()));
    assert_eq!(verify("rt1.a.b.c"), Err(TokenFlaw::Parts { expected: 3, found: 4 }.into()));
    assert_eq!(verify("rt2.AA.AA"), Err(TokenFlaw::Kind { expected: "rt1" }.into()));
    assert_eq!(verify(&".".repeat(9000)), Err(TokenRefusal::TooLong { size_bytes: 9000, limit_bytes: 8192 }));
}

#[test]
fn a_token_ends_and_an_old_one_ends_at_the_cut_over() {
    let token = token();
    let text = token.mint(&secret()).unwrap();
    let later = RenderToken::verify(&text, &secret().into(), token.expires_at, None).unwrap_err();
    assert!(later.to_string().starts_with(&format!("the token of \"render token {}\" in tenant acme", token.id)), "{later}");
    let cut = RenderToken::verify(&text, &secret().into(), now(), Some(now() + SignedDuration::from_secs(1)));
    assert!(matches!(cut, Err(TokenRefusal::Time { why: TimeRefusal::BeforeCutOver { .. }, .. })));
}

#[test]
fn what_could_never_verify_is_not_minted() {
    let nested = (0..40).fold(json!(1), |inner, _| json!([inner]));
    let deep = RenderToken { fixed_data: json!({ "a": nested }).as_object().cloned(), ..token() };
    assert!(matches!(deep.mint(&secret()), Err(MintRefusal::Content { field: "fixedData", .. })));
    let nested = (0..31).fold(json!(1), |inner, _| json!([inner]));
    let deep = RenderToken { fixed_data: json!({ "a": nested }).as_object().cloned(), ..token() };
    assert_eq!(verify(&deep.mint(&secret()).unwrap()).unwrap(), deep);
    let large = RenderToken { fixed_data: json!({"a": "x".repeat(7000)}).as_object().cloned(), ..token() };
    assert!(matches!(large.mint(&secret()), Err(MintRefusal::TooLong { limit_bytes: 8192, .. })));
    let eternal = RenderToken { expires_at: now() + SignedDuration::from_hours(24 * 31), ..token() };
    assert!(matches!(eternal.mint(&secret()), Err(MintRefusal::Time(_))));
    let both = RenderToken { label: Some("prod".into()), version: Some("1.0.0".parse().unwrap()), ..token() };
    assert!(matches!(both.mint(&secret()), Err(MintRefusal::Content { field: "version", .. })));
}

#[test]
fn a_request_keeps_every_limit_or_is_told_which_it_breaks() {
    let (invoice, other): (TemplateKey, TemplateKey) = ("invoice".parse().unwrap(), "invoice-2".parse().unwrap());
    let permits = |ask| token().permits(ask);
    assert_eq!(permits(ask(&invoice)), Ok(()));
    assert_eq!(permits(ask(&other)), Err(Constraint::Template { asked: other.clone() }));
    let html = RenderAsk { format: Some(Format::Html), ..ask(&invoice) };
    assert_eq!(permits(html), Err(Constraint::Format { asked: Format::Html, allowed: vec![Format::Pdf] }));
    assert_eq!(permits(RenderAsk { origin: None, ..ask(&invoice) }), Err(Constraint::OriginMissing));
    for origin in
        ["null", "", "http://shop.example", "https://shop.example:444", "https://shop.example.evil.example", "https://SHOP.example"]
    {
        let refusal = permits(RenderAsk { origin: Some(origin), ..ask(&invoice) });
        assert_eq!(refusal, Err(Constraint::Origin { found: origin.into() }));
    }
    let anywhere = RenderToken { allowed_origins: vec![], ..token() };
    assert_eq!(anywhere.permits(RenderAsk { origin: None, ..ask(&invoice) }), Ok(()));
    let form = RenderAsk { format: None, ..ask(&invoice) };
    assert_eq!(permits(form), Err(Constraint::FormMetadata));
    assert_eq!(RenderToken { form_metadata: FormMetadata::Allowed, ..token() }.permits(form), Ok(()));
}

#[test]
fn a_fixed_version_or_label_cannot_be_left() {
    let invoice: TemplateKey = "invoice".parse().unwrap();
    let (one, two) = ("1.0.0".parse().unwrap(), "1.0.1".parse().unwrap());
    let version = |version| RenderAsk { version: Some(version), ..ask(&invoice) };
    let label = |label| RenderAsk { label: Some(label), ..ask(&invoice) };

    let versioned = RenderToken { version: Some(one), ..token() };
    assert!(versioned.permits(ask(&invoice)).is_ok() && versioned.permits(version(one)).is_ok());
    assert!(versioned.permits(version(two)).is_err() && versioned.permits(label("prod")).is_err());

    let labelled = RenderToken { label: Some("prod".into()), ..token() };
    assert!(labelled.permits(ask(&invoice)).is_ok() && labelled.permits(label("prod")).is_ok());
    assert!(labelled.permits(label("@latest")).is_err() && labelled.permits(version(one)).is_err());

    assert!(token().permits(version(two)).is_ok() && token().permits(label("prod")).is_ok());
}

#[test]
fn fixed_data_wins_wherever_the_caller_says_something_else() {
    let merged = |data| token().with_fixed_data(data);
    assert_eq!(
        merged(json!({"customer": {"id": 8, "name": "Eve"}, "lines": [1]})),
        Ok(json!({"customer": {"id": 7, "name": "Eve"}, "lines": [1], "total": 1.0}))
    );
    assert_eq!(merged(json!({"customer": "Eve", "total": {"a": 1}})), Ok(json!({"customer": {"id": 7}, "total": 1.0})));
    assert_eq!(merged(Value::Null), Ok(json!({"customer": {"id": 7}, "total": 1.0})));
    for data in [json!([]), json!("x"), json!(1)] {
        assert_eq!(merged(data), Err(Constraint::Data));
    }
    let free = RenderToken { fixed_data: None, ..token() };
    assert_eq!(free.with_fixed_data(json!([1])), Ok(json!([1])));
}
