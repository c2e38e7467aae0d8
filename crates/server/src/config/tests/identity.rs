//! Keys, people, tokens, tenants and the identity provider.

use std::num::NonZeroU32;

use api::WithoutCredential;
use domain::{Scope, TenantId};

use super::{KEY, OTHER_KEY, accepted, refused};
use crate::config::editor_users::Activity;
use crate::config::oidc::Newcomers;
use crate::config::{Secret, settings};

const LONG_SECRET: &str = "0123456789abcdef0123456789abcdef";
const OTHER_LONG_SECRET: &str = "0123456789abcdef0123456789abcdeX";

#[test]
fn keys_differ_and_the_old_name_stands_alone() {
    let both = [("API_KEY_ADMIN", KEY), ("API_KEY_RENDER", KEY)];
    assert!(refused(&both).contains("API_KEY_RENDER: the same value as API_KEY_ADMIN"));
    let scoped = accepted(&[("API_KEY_ADMIN", KEY), ("API_KEY_RENDER", OTHER_KEY)]).identity;
    assert_eq!(scoped.keys.current.iter().map(|(scope, _)| *scope).collect::<Vec<_>>(), [Scope::Admin, Scope::Render]);
    assert_eq!(scoped.without_credential, WithoutCredential::NobodyPasses);
    assert_eq!(accepted(&[("API_KEY", KEY)]).identity.keys.current, [(Scope::Admin, Secret::new(KEY))]);
    assert!(refused(&[("API_KEY", KEY), ("API_KEY_RENDER", OTHER_KEY)]).contains("API_KEY: set, and so is API_KEY_RENDER"));
    let list = r#"[{"id": "shop", "scope": "render", "key": "0123456789abcdef-admin"}]"#;
    assert!(refused(&[("API_KEY_ADMIN", KEY), ("API_KEYS_JSON", list)]).contains("API_KEYS_JSON[0].key: the same value as API_KEY_ADMIN"));
    assert!(refused(&[("API_KEY_ADMIN", KEY), ("METRICS_TOKEN", KEY)]).contains("METRICS_TOKEN: the same value as API_KEY_ADMIN"));
}

#[test]
fn a_previous_key_lets_nobody_in_and_needs_its_current_one() {
    let rotated = accepted(&[("API_KEY_EDITOR", KEY), ("API_KEY_EDITOR_PREVIOUS", OTHER_KEY)]).identity.keys;
    assert_eq!(rotated.current, [(Scope::Editor, Secret::new(KEY))]);
    assert_eq!(rotated.previous, [(Scope::Editor, Secret::new(OTHER_KEY))]);
    let alone = refused(&[("API_KEY_ADMIN", KEY), ("API_KEY_EDITOR_PREVIOUS", OTHER_KEY)]);
    assert!(alone.contains("API_KEY_EDITOR_PREVIOUS: set, and API_KEY_EDITOR is not"), "{alone}");
    let same = refused(&[("API_KEY_ADMIN", KEY), ("API_KEY_ADMIN_PREVIOUS", KEY)]);
    assert!(same.contains("API_KEY_ADMIN_PREVIOUS: the same value as API_KEY_ADMIN"), "{same}");
}

#[test]
fn the_super_admin_key_and_foreign_tenants_need_multi_tenancy() {
    let list = r#"[{"id": "shop", "key": "0123456789abcdef-third", "scope": "render", "tenantId": "acme"}]"#;
    let people = r#"[{"id": "ada", "displayName": "Ada", "key": "0123456789abcdef-render", "role": "author", "tenantId": "acme"}]"#;
    let named = [("API_KEY_SUPER_ADMIN", KEY), ("API_KEYS_JSON", list), ("EDITOR_USERS_JSON", people)];
    let message = refused(&named);
    for part in [
        "has 3 problems",
        "API_KEY_SUPER_ADMIN: set, and MULTI_TENANT_ENABLED is not on",
        "API_KEYS_JSON[0].tenantId",
        "EDITOR_USERS_JSON[0].tenantId",
    ] {
        assert!(message.contains(part), "{part:?} is missing in:\n{message}");
    }
    let config = accepted(&[&named[..], &[("MULTI_TENANT_ENABLED", "yes")]].concat());
    assert_eq!(config.tenancy.tenants, api::Tenancy::Multi);
    assert_eq!(config.identity.keys.current, [(Scope::SuperAdmin, Secret::new(KEY))]);
    let acme: TenantId = "acme".parse().unwrap();
    assert_eq!((&config.identity.listed_keys[0].tenant, &config.identity.users[0].tenant), (&acme, &acme));
}

#[test]
fn a_listed_key_has_a_scope_an_end_and_limits() {
    let list = r#"[
        {"id": "shop", "key": "0123456789abcdef-admin", "scope": "render", "name": "The shop", "expiresAt": "2027-01-01T00:00:00+01:00",
         "allowedTemplates": ["invoice", "letter-*"], "allowedIps": ["192.0.2.7", "10.0.0.0/8"]},
        {"id": "ci", "key": "0123456789abcdef-render", "scope": "admin", "name": null}
    ]"#;
    let keys = accepted(&[("API_KEYS_JSON", list)]).identity.listed_keys;
    assert_eq!((keys[0].id.as_str(), keys[0].scope, &keys[0].key), ("shop", Scope::Render, &Secret::new(KEY)));
    assert_eq!(keys[0].expires_at.unwrap().to_string(), "2026-12-31T23:00:00Z");
    assert!(keys[0].allowed_templates[1].selects(&"letter-2".parse().unwrap()));
    assert!(keys[0].allowed_ips[1].contains("10.1.2.3".parse().unwrap()) && !keys[0].allowed_ips[1].contains("11.1.2.3".parse().unwrap()));
    assert_eq!((keys[1].scope, &keys[1].tenant, &keys[1].name), (Scope::Admin, &TenantId::default_tenant(), &None));
    assert!(keys[1].allowed_templates.is_empty() && keys[1].allowed_ips.is_empty() && keys[1].expires_at.is_none());
}

#[test]
fn every_mistake_in_a_list_of_keys_is_named_by_its_index_and_field() {
    let list = r#"[
        {"id": "shop", "key": "0123456789abcdef-admin", "scope": "render"},
        {"id": "shop", "key": "0123456789abcdef-admin", "scope": "sudo", "expireAt": "2027-01-01T00:00:00Z"},
        {"id": "../x", "key": "short", "tenantId": "No Tenant", "expiresAt": "tomorrow", "name": 5,
         "allowedTemplates": ["*"], "allowedIps": ["10.0.0.0/33", 7]},
        "not an object",
        {"id": "limits", "key": "0123456789abcdef-third", "scope": "render", "allowedTemplates": [], "allowedIps": "10.0.0.1"}
    ]"#;
    let message = refused(&[("API_KEYS_JSON", list)]);
    for part in [
        "API_KEYS_JSON[1].id: found the id of an entry before it",
        "API_KEYS_JSON[1].key: the same value as API_KEYS_JSON[0].key",
        "API_KEYS_JSON[1].scope: found a text (hidden) of 4 characters\n      accepted: admin, editor, render or preview",
        "API_KEYS_JSON[1]: found a field that there is not\n      accepted: perhaps expiresAt was meant",
        "API_KEYS_JSON[2].id: ",
        "API_KEYS_JSON[2].key: found a text (hidden) of 5 characters",
        "API_KEYS_JSON[2].scope: not there",
        "API_KEYS_JSON[2].tenantId: ",
        "API_KEYS_JSON[2].expiresAt: ",
        "API_KEYS_JSON[2].name: found a number",
        "API_KEYS_JSON[2].allowedTemplates[0]: ",
        "API_KEYS_JSON[2].allowedIps[0]: ",
        "API_KEYS_JSON[2].allowedIps[1]: found a number",
        "API_KEYS_JSON[3]: found a text (hidden)",
        "API_KEYS_JSON[4].allowedTemplates: found an empty list",
        "API_KEYS_JSON[4].allowedIps: found a text",
        "has 16 problems",
    ] {
        assert!(message.contains(part), "{part:?} is missing in:\n{message}");
    }
    assert!(refused(&[("API_KEYS_JSON", "{}")]).contains("found an object instead of an array"));
    assert!(refused(&[("API_KEYS_JSON", "[{\"id\": \"hunter2\"\n,}]")]).contains("the mistake is in line 2"));
}

#[test]
fn a_listed_person_has_a_name_a_role_and_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.json");
    let people = r#"[
        {"id": "ada", "displayName": "Ada Lovelace", "key": "0123456789abcdef-admin", "role": "author", "email": "ada@example.org", "groups": ["billing"]},
        {"id": "bob@example.org", "displayName": "Bob", "key": "0123456789abcdef-render", "role": "none", "active": false}
    ]"#;
    std::fs::write(&path, people).unwrap();
    let identity = accepted(&[("EDITOR_USERS_FILE", path.to_str().unwrap()), ("EDITOR_USERS_CACHE_TTL_MS", "2000")]).identity;
    assert_eq!(identity.users_cache_ttl_ms, 2000);
    assert_eq!(identity.without_credential, WithoutCredential::NobodyPasses, "a person has a key");
    let [ada, bob] = &identity.users[..] else { panic!("{:?}", identity.users) };
    assert_eq!((ada.display_name.as_str(), ada.role, ada.activity), ("Ada Lovelace", Scope::Author, Activity::Active));
    assert_eq!((ada.email.as_deref(), &ada.groups[..]), (Some("ada@example.org"), &["billing".to_owned()][..]));
    assert_eq!((bob.role, bob.activity), (Scope::None, Activity::Inactive));

    let wrong = r#"[{"id": "ada", "displayName": " ", "key": "0123456789abcdef-admin", "role": "super-admin", "email": "ada", "active": "yes", "groups": [1]}]"#;
    let message = refused(&[("EDITOR_USERS_JSON", wrong)]);
    for field in ["displayName", "role", "email", "active", "groups[0]"] {
        assert!(message.contains(&format!("EDITOR_USERS_JSON[0].{field}: found")), "{field:?} is missing in:\n{message}");
    }
}

#[test]
fn editor_tokens_have_a_time_and_their_secrets_come_in_order() {
    let tokens = accepted(&[]).identity.editor_tokens;
    assert_eq!((tokens.ttl_minutes, tokens.secret, tokens.issued_after), (480, None, None));
    for wrong in ["4", "1441"] {
        assert!(refused(&[("EDITOR_TOKEN_TTL_MINUTES", wrong)]).contains("from 5 to 1440"));
    }
    let set = [
        ("EDITOR_TOKEN_SECRET", LONG_SECRET),
        ("EDITOR_TOKEN_SECRET_PREVIOUS", OTHER_LONG_SECRET),
        ("EDITOR_TOKEN_ISSUED_AFTER", "2026-11-21T10:00:00Z"),
    ];
    let tokens = accepted(&set).identity.editor_tokens;
    assert_eq!(tokens.previous_secret, Some(Secret::new(OTHER_LONG_SECRET)));
    assert_eq!(tokens.issued_after.unwrap().to_string(), "2026-11-21T10:00:00Z");
    assert!(refused(&set[1..]).contains("EDITOR_TOKEN_SECRET_PREVIOUS: set, and EDITOR_TOKEN_SECRET is not"));
    for wrong in ["yesterday", "2026-11-21", "2026-11-21T10:00:00"] {
        assert!(refused(&[("EDITOR_TOKEN_ISSUED_AFTER", wrong)]).contains("a time such as"), "{wrong}");
    }
}

#[test]
fn the_identity_provider_is_set_up_as_a_whole_and_over_https() {
    let whole = [
        ("OIDC_DISCOVERY_URL", "https://id.example.org/.well-known/openid-configuration"),
        ("OIDC_CLIENT_ID", "pulp"),
        ("OIDC_CLIENT_SECRET", "hunter2"),
        ("OIDC_REDIRECT_URI", "http://localhost:3000/auth/oidc/callback"),
        ("OIDC_COOKIE_SECRET", LONG_SECRET),
    ];
    let oidc = accepted(&whole).identity.oidc.unwrap();
    assert_eq!((oidc.audience.as_str(), oidc.newcomers, oidc.default_role), ("pulp", Newcomers::Refused, Scope::None));
    assert_eq!((oidc.claims.sub.as_str(), oidc.claims.display_name.as_str(), oidc.claims.groups), ("sub", "name", None));
    assert_eq!(oidc.scopes, ["openid", "profile", "email"]);
    for missing in 0..whole.len() {
        let mut some = whole.to_vec();
        let (name, _) = some.remove(missing);
        let message = refused(&some);
        assert!(message.contains("has 1 problem:") && message.contains(&format!("{name}: not set, and OIDC_")), "{message}");
    }
    let with = |name, value| refused(&[&whole[..], &[(name, value)]].concat());
    assert!(with("OIDC_SCOPES", "profile email").contains("OIDC_SCOPES"));
    assert!(with("OIDC_DEFAULT_TENANT", "No Tenant").contains("OIDC_DEFAULT_TENANT: found \"No Tenant\""));
    assert!(with("OIDC_DEFAULT_TENANT", "acme").contains("MULTI_TENANT_ENABLED=true"));
    assert!(with("OIDC_COOKIE_SECRET", "short").contains("at least 32"));
    assert!(with("OIDC_COOKIE_SECRET_PREVIOUS", "short").contains("at least 32"));
    assert!(with("OIDC_COOKIE_SECRET_PREVIOUS", LONG_SECRET).contains("OIDC_COOKIE_SECRET_PREVIOUS"), "the same twice changes nothing");
    assert!(with("OIDC_REDIRECT_URI", "http://pulp.example.org/auth/oidc/callback").contains("http:// of another machine"));
    let idle = accepted(&[("OIDC_AUTO_PROVISION", "true")]);
    assert!(idle.identity.oidc.is_none() && idle.warnings[0].contains("OIDC_AUTO_PROVISION has no effect"), "{:?}", idle.warnings);
}

#[test]
fn records_are_kept_as_long_as_is_said() {
    let usual = accepted(&[]).duties;
    let days = NonZeroU32::new;
    assert_eq!((usual.audit_days, usual.usage_days, usual.trash_days), (days(90), days(400), days(30)));
    let zero = [("AUDIT_RETENTION_DAYS", "0"), ("RENDER_USAGE_RETENTION_ENABLED", "off"), ("TEMPLATE_TRASH_RETENTION_DAYS", "0")];
    let changed = accepted(&zero).duties;
    assert_eq!((changed.audit_days, changed.usage_days, changed.trash_days), (None, None, None));
    let some = accepted(&[("LABEL_HISTORY_RETENTION_DAYS", "7")]).duties;
    assert_eq!((usual.label_history_days, some.label_history_days), (None, days(7)));
    assert_eq!((usual.proof_days, accepted(&[("LABEL_PROOF_RETENTION_DAYS", "0")]).duties.proof_days), (days(90), None));
}

#[test]
fn each_duty_has_a_switch() {
    use worker::Participation::{LeavesAlone, TakesPart};
    let usual = accepted(&[]).duties;
    assert_eq!((usual.partitions, usual.expired, usual.label_moves), (TakesPart, TakesPart, TakesPart));
    let switches = ["PARTITIONS_AHEAD_ENABLED", "EXPIRED_CLEANUP_ENABLED", "LABEL_MOVES_ENABLED"];
    let off = accepted(&switches.map(|switch| (switch, "false"))).duties;
    assert_eq!((off.partitions, off.expired, off.label_moves), (LeavesAlone, LeavesAlone, LeavesAlone));
}

#[test]
fn no_secret_is_in_what_a_configuration_prints_of_itself() {
    let secrets = [
        ("API_KEY_ADMIN", "hunter2-01-abcdefgh"),
        ("API_KEY_ADMIN_PREVIOUS", "hunter2-02-abcdefgh"),
        ("API_KEY_EDITOR", "hunter2-03-abcdefgh"),
        ("API_KEY_EDITOR_PREVIOUS", "hunter2-04-abcdefgh"),
        ("API_KEY_RENDER", "hunter2-05-abcdefgh"),
        ("API_KEY_RENDER_PREVIOUS", "hunter2-06-abcdefgh"),
        ("API_KEY_PREVIEW", "hunter2-07-abcdefgh"),
        ("API_KEY_PREVIEW_PREVIOUS", "hunter2-08-abcdefgh"),
        ("API_KEY_SUPER_ADMIN", "hunter2-09-abcdefgh"),
        ("METRICS_TOKEN", "hunter2-10-abcdefgh"),
        ("EDITOR_TOKEN_SECRET", "hunter2-11-abcdefgh-abcdefgh-abcdefgh"),
        ("EDITOR_TOKEN_SECRET_PREVIOUS", "hunter2-12-abcdefgh-abcdefgh-abcdefgh"),
        ("API_KEYS_JSON", r#"[{"id": "a", "key": "hunter2-13-abcdefgh", "scope": "render"}]"#),
        ("EDITOR_USERS_JSON", r#"[{"id": "a", "displayName": "A", "key": "hunter2-14-abcdefgh", "role": "author"}]"#),
        ("OIDC_CLIENT_SECRET", "hunter2-15"),
        ("OIDC_COOKIE_SECRET", "hunter2-16-abcdefgh-abcdefgh-abcdefgh"),
        ("OIDC_COOKIE_SECRET_PREVIOUS", "hunter2-20-abcdefgh-abcdefgh-abcdefgh"),
        ("DATABASE_URL", "postgres://me:hunter2-17@db/pulp"),
        ("DATABASE_DIRECT_URL", "postgres://me:hunter2-26@db/pulp"),
        ("DATABASE_READ_URL", "postgres://me:hunter2-27@replica/pulp"),
        ("S3_ACCESS_KEY_ID", "hunter2-18"),
        ("S3_SECRET_ACCESS_KEY", "hunter2-19"),
        ("DOCUMENT_LINK_SECRET", "hunter2-21-abcdefgh-abcdefgh-abcdefgh"),
        ("DOCUMENT_LINK_SECRET_PREVIOUS", "hunter2-22-abcdefgh-abcdefgh-abcdefgh"),
        ("SMTP_URL", "smtp://me:hunter2-23@mail.example.org"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20hunter2-27"),
        ("SCHEDULE_S3_TARGETS", r#"[{"bucket": "b", "accessKeyId": "AKIAEXAMPLE", "secretAccessKey": "hunter2-25"}]"#),
        ("RENDER_WORKER_SECRET", "hunter2-28-abcdefgh-abcdefgh-abcdefgh"),
    ];
    let open = [
        ("MULTI_TENANT_ENABLED", "true"),
        ("OIDC_DISCOVERY_URL", "https://id.example.org"),
        ("OIDC_CLIENT_ID", "pulp"),
        ("OIDC_REDIRECT_URI", "https://pulp.example.org/auth/oidc/callback"),
        ("SMTP_FROM", "reports@example.org"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318"),
        ("RENDER_MODE", "socket"),
        ("RENDER_WORKERS", "tcp://render:9100"),
    ];
    let all: Vec<&str> = settings::ALL.iter().filter(|setting| setting.is_secret()).map(|setting| setting.name).collect();
    for name in all {
        assert!(name == "API_KEY" || secrets.iter().any(|(known, _)| *known == name), "{name} belongs into this test");
    }
    let config = accepted(&[&secrets[..], &open[..]].concat());
    let shown = format!("{config:?} {config:#?}");
    assert!(shown.contains("(hidden)") && !shown.contains("hunter2"), "{shown}");
    let old = accepted(&[("API_KEY", "hunter2-20-abcdefgh")]);
    assert!(!format!("{old:?}").contains("hunter2"));
}
