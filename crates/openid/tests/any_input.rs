//! Whatever a stranger sends is refused in words, without a call to anybody and without a panic.
#![cfg(test)]

use std::sync::LazyLock;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use domain::Clock;
use openid::{Callback, OpenIdError, Provider, Settings};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// A provider at an address where nobody is: any call to it ends as `Away`.
fn provider() -> &'static Provider {
    static PROVIDER: LazyLock<Provider> = LazyLock::new(|| {
        let secret = "x".repeat(32).into();
        Provider::new(Settings::new("http://127.0.0.1:9", "client", "https://pulp.example/callback", secret, Clock::system())).unwrap()
    });
    &PROVIDER
}

/// Which of its kinds the refusal is.
fn refusal<T>(result: &Result<T, OpenIdError>) -> &'static str {
    match result {
        Ok(_) => "none",
        Err(OpenIdError::Token { .. }) => "token",
        Err(OpenIdError::Flow { .. }) => "flow",
        Err(OpenIdError::Completion { .. }) => "completion",
        Err(OpenIdError::Away { .. }) => "away",
        Err(_) => "another",
    }
}

fn waited<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        ".*".prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 12, 4, |inner| prop_oneof![prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from), object_of(inner)])
}

/// Mostly of the names that are looked at.
fn object_of(value: impl Strategy<Value = Value> + 'static) -> impl Strategy<Value = Value> {
    let names = ["alg", "kid", "typ", "crit", "iss", "aud", "exp", "iat", "nbf", "azp", "nonce", "at_hash", "sub", "i", "t", "r"];
    prop::collection::hash_map(prop::sample::select(names.to_vec()), value, 0..10)
        .prop_map(|members| Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>()))
}

proptest! {
    #[test]
    fn any_text_is_refused_as_a_token(text in ".{0,200}") {
        prop_assert_eq!(refusal(&waited(provider().verify_bearer(&text))), "token");
        prop_assert!(!provider().may_have_issued(&text));
    }

    #[test]
    fn any_header_and_claims_without_the_issuer_are_refused(header in object_of(any_value()), claims in object_of(any_value()), accepted in any::<bool>()) {
        let mut header = header;
        if accepted {
            header["alg"] = "RS256".into();
        }
        let token = format!("{}.{}.AAAA", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
        prop_assert_eq!(refusal(&waited(provider().verify_bearer(&token))), "token");
    }

    #[test]
    fn any_cookie_and_code_are_refused(payload in any_value(), mac in prop::collection::vec(any::<u8>(), 0..40), text in ".{0,100}") {
        let sealed = format!("{}.{}", BASE64.encode(payload.to_string()), BASE64.encode(mac));
        for wrong in [sealed.as_str(), text.as_str()] {
            let finished = waited(provider().finish(wrong, Callback { state: wrong, code: Some(wrong), iss: Some(wrong), error: None }));
            prop_assert_eq!(refusal(&finished), "flow");
            prop_assert_eq!(refusal(&provider().open_completion(wrong, wrong)), "completion");
        }
        openid::flow_cookie(&text);
    }

    #[test]
    fn what_is_returned_to_begins_with_one_slash_and_stays_here(path in "[/\\\\a-z:.%\t ?#ü]{0,12}") {
        match refusal(&waited(provider().begin(Some(&path)))) {
            // A path that passes leads to the provider, which is away.
            "away" => {
                prop_assert!(path.starts_with('/') && !path[1..].starts_with(['/', '\\']));
                let url = reqwest::Url::parse("https://pulp.example/auth/oidc/callback").unwrap().join(&path).unwrap();
                prop_assert_eq!((url.scheme(), url.host_str()), ("https", Some("pulp.example")));
            }
            other => prop_assert_eq!(other, "flow"),
        }
    }
}
