//! Arbitrary text in the settings that have a grammar: no panic, and no secret in what is said about it.

use proptest::prelude::*;
use proptest::test_runner::Config as Runs;

use super::variables;
use crate::config::Config;

/// Cases of each property: enough to meet every branch, in about a second.
const CASES: u32 = 2_000;
/// Stands in every secret here and nowhere else.
const MARK: &str = "hunter2";

/// JSON that is nearly what the lists want: known and unknown fields with values of any kind, secrets in the wrong places.
fn nearly_a_list() -> impl Strategy<Value = String> {
    let field = prop_oneof![
        4 => prop::sample::select(vec![
            "id", "key", "scope", "role", "tenantId", "name", "displayName", "expiresAt", "allowedTemplates", "allowedIps", "email",
            "groups", "active", "expireAt", "Key",
        ]).prop_map(str::to_owned),
        1 => secret(),
    ];
    let value = prop_oneof![
        secret().prop_map(|text| serde_json::json!(text)),
        prop::sample::select(vec!["admin", "render", "author", "default", "acme", "2027-01-01T00:00:00Z", "a@b", "0123456789abcdef"])
            .prop_map(|text| serde_json::json!(text)),
        prop::collection::vec(secret(), 0..3).prop_map(|list| serde_json::json!(list)),
        prop::collection::vec("[0-9./:*]{0,12}", 0..3).prop_map(|list| serde_json::json!(list)),
        any::<f64>().prop_map(|number| serde_json::json!(number)),
        any::<bool>().prop_map(|flag| serde_json::json!(flag)),
        Just(serde_json::Value::Null),
        Just(serde_json::json!({"hunter2": "hunter2"})),
    ];
    let object = prop::collection::vec((field, value), 0..8).prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect()));
    let whole = prop::collection::vec(object, 0..4).prop_map(|list| serde_json::Value::Array(list).to_string());
    // Half of them end too early.
    (whole, any::<prop::sample::Index>(), any::<bool>()).prop_map(|(text, at, cut)| {
        let end = if cut { at.index(text.len() + 1) } else { text.len() };
        text.get(..end).unwrap_or(&text).to_owned()
    })
}

/// A text with the mark in it.
fn secret() -> impl Strategy<Value = String> {
    ("[a-z0-9 \"\\\\\u{0}\u{e9}]{0,6}", "\\PC{0,12}").prop_map(|(before, after)| format!("{before}{MARK}{after}"))
}

/// What is said about a configuration, whether it is accepted or not.
fn said(name: &str, text: &str) -> String {
    let others = [("MULTI_TENANT_ENABLED", "true"), ("HOST", "0.0.0.0")];
    match Config::read(&variables(&[&others[..], &[(name, text)]].concat()), 2) {
        Ok(config) => format!("{config:?}"),
        Err(problems) => problems.to_string(),
    }
}

proptest! {
    #![proptest_config(Runs { cases: CASES, failure_persistence: None, ..Runs::default() })]

    #[test]
    fn a_list_with_secrets_in_any_place_is_judged_without_repeating_one(text in nearly_a_list()) {
        for name in ["API_KEYS_JSON", "EDITOR_USERS_JSON"] {
            let said = said(name, &text);
            prop_assert!(!said.contains(MARK) || is_a_configuration(&said), "{said}");
        }
    }

    #[test]
    fn any_text_at_all_is_judged_without_repeating_it_where_it_is_secret(text in "\\PC{0,64}|[\\[\\]{}\",:a-z0-9]{0,64}") {
        for name in ["API_KEYS_JSON", "EDITOR_USERS_JSON", "API_KEY_ADMIN", "OIDC_COOKIE_SECRET"] {
            let marked = format!("{text}{MARK}");
            let said = said(name, &marked);
            prop_assert!(!said.contains(MARK), "{said}");
        }
    }

    #[test]
    fn any_text_at_all_is_judged_as_proxies_origins_and_surroundings(text in "\\PC{0,64}|[0-9a-f:./,*htps@ ]{0,64}") {
        for name in ["CORS_ALLOWED_ORIGINS", "TRUST_PROXY", "NODE_ENV", "OIDC_SCOPES", "OIDC_DEFAULT_TENANT", "EDITOR_TOKEN_ISSUED_AFTER"] {
            let said = said(name, &text);
            prop_assert!(said.lines().all(|line| line.chars().count() < 1000) || is_a_configuration(&said), "{said}");
        }
        let said = said("CORS_ALLOWED_ORIGINS", &format!("https://me:{MARK}{text}@a.example"));
        prop_assert!(!said.contains(MARK), "{said}");
    }
}

/// A whole configuration was printed: names and ids in it are no secrets.
fn is_a_configuration(said: &str) -> bool {
    said.starts_with("Config {")
}
