//! What production asks for.

use super::{KEY, OTHER_KEY, accepted, refused};
use crate::config::Surroundings;

const CONTROLS: &[(&str, &str)] = &[
    ("CORS_ALLOWED_ORIGINS", "https://app.example.org"),
    ("DOCS_ENABLED", "false"),
    ("METRICS_TOKEN", OTHER_KEY),
    ("REQUIRE_HTTPS", "true"),
    ("TRUST_PROXY", "10.0.0.0/8"),
    ("BLOCK_REMOTE_RESOURCES", "true"),
    ("ALLOW_SHARED_KEY_EDITOR", "true"),
    ("API_KEY_ADMIN", KEY),
];

fn with(changed: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    let kept = CONTROLS.iter().filter(|(name, _)| !changed.iter().any(|(other, _)| other == name));
    kept.chain(&[("NODE_ENV", "production")]).chain(changed).copied().collect()
}

/// The settings that a message names as wrong.
fn named(message: &str) -> Vec<&str> {
    message
        .lines()
        .filter_map(|line| line.strip_prefix("  "))
        .filter(|line| !line.starts_with(' '))
        .filter_map(|line| line.split(':').next())
        .collect()
}

#[test]
fn production_without_any_control_is_refused_in_one_message_that_lists_exactly_what_is_missing() {
    let expected = [
        "CORS_ALLOWED_ORIGINS",
        "DOCS_ENABLED",
        "METRICS_TOKEN",
        "REQUIRE_HTTPS",
        "BLOCK_REMOTE_RESOURCES",
        "TRUST_PROXY",
        "EDITOR_USERS_JSON",
        "API_KEY_ADMIN",
    ];
    for settings in [&[("NODE_ENV", "production")][..], &[("PULP_ENV", "production")], &[("HARDEN_PRODUCTION", "true")]] {
        let message = refused(settings);
        assert_eq!(named(&message), expected, "{message}");
        assert!(message.contains("HARDEN_PRODUCTION=false"), "{message}");
    }
    let reachable = refused(&[("NODE_ENV", "production"), ("HOST", "0.0.0.0")]);
    assert_eq!(named(&reachable).iter().filter(|name| **name == "API_KEY_ADMIN").count(), 1, "once is enough: {reachable}");
}

#[test]
fn production_with_every_control_starts_and_each_one_alone_is_missed() {
    assert_eq!(accepted(&with(&[])).surroundings, Surroundings::Production);
    for (name, _) in CONTROLS {
        let message = refused(&with(&[(name, "")]));
        let name = if *name == "ALLOW_SHARED_KEY_EDITOR" { "EDITOR_USERS_JSON" } else { name };
        assert_eq!(named(&message), [name], "{message}");
    }
}

#[test]
fn a_control_that_is_set_to_no_control_is_missed_like_one_that_is_not_set() {
    for (name, value) in [
        ("CORS_ALLOWED_ORIGINS", "*"),
        ("REQUIRE_HTTPS", "false"),
        ("TRUST_PROXY", "false"),
        ("TRUST_PROXY", "0"),
        ("BLOCK_REMOTE_RESOURCES", "false"),
        ("METRICS_TOKEN", "short"),
    ] {
        let message = refused(&with(&[(name, value)]));
        assert_eq!(named(&message), [name], "{message}");
    }
}

#[test]
fn named_people_and_listed_keys_are_as_good_as_shared_and_single_ones() {
    let people = r#"[{"id": "ada", "displayName": "Ada", "key": "0123456789abcdef-ada", "role": "author"}]"#;
    let keys = r#"[{"id": "ops", "key": "0123456789abcdef-ops", "scope": "admin"}]"#;
    accepted(&with(&[("ALLOW_SHARED_KEY_EDITOR", ""), ("EDITOR_USERS_JSON", people), ("API_KEY_ADMIN", ""), ("API_KEYS_JSON", keys)]));
}

#[test]
fn hardening_can_be_switched_off_and_is_off_elsewhere() {
    let off = accepted(&[("NODE_ENV", "production"), ("HARDEN_PRODUCTION", "false")]);
    assert_eq!(off.surroundings, Surroundings::Production);
    for elsewhere in ["development", "staging", "test"] {
        assert_eq!(accepted(&[("NODE_ENV", elsewhere)]).surroundings, Surroundings::Other);
    }
    assert!(refused(&[("NODE_ENV", "prodution")]).contains("NODE_ENV: found \"prodution\""), "a misspelt production is no other place");
}

#[test]
fn the_two_names_of_the_surroundings_agree() {
    let message = refused(&[("NODE_ENV", "production"), ("PULP_ENV", "development"), ("HARDEN_PRODUCTION", "false")]);
    assert_eq!(named(&message), ["PULP_ENV"], "{message}");
    accepted(&[("NODE_ENV", "test"), ("PULP_ENV", "test")]);
}
