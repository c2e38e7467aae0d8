//! Every operation of the OpenAPI document, and who may use it.

use std::collections::BTreeSet;

use domain::editor_tokens::{EditorToken, Holder};
use domain::secrets::Secret;
use domain::{Clock, Scope, TenantId};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::running::{EDITOR_KEY, KEY, PREVIEW_KEY, RENDER_KEY, Server};

const SUPER_KEY: &str = "a-super-admin-key-of-the-tests";
const PREVIOUS_KEY: &str = "the-admin-key-of-last-month";
const OTHER_KEY: &str = "an-admin-key-of-tenant-other";
const ARCHIVED_KEY: &str = "an-admin-key-of-tenant-archived";
const TOKEN_SECRET: &str = "a-secret-of-the-tests-for-editor-tokens";

const SETTINGS: &[(&str, &str)] = &[
    ("MULTI_TENANT_ENABLED", "true"),
    ("API_KEY_SUPER_ADMIN", SUPER_KEY),
    ("API_KEY_ADMIN_PREVIOUS", PREVIOUS_KEY),
    ("EDITOR_TOKEN_SECRET", TOKEN_SECRET),
    (
        "API_KEYS_JSON",
        r#"[{"id": "other", "key": "an-admin-key-of-tenant-other", "scope": "admin", "tenantId": "other"},
            {"id": "archived", "key": "an-admin-key-of-tenant-archived", "scope": "admin", "tenantId": "archived"}]"#,
    ),
];

/// Who gets past the door: `s`uper-admin, `a`dmin, `e`ditor, `r`ender, `p`review. `*` is everybody, without a key too.
/// The last column: what the admin of an archived tenant meets there, `open` or `closed` (409 `tenant_archived`).
const CASES: &[(&str, &str, &str, &str)] = &[
    ("get", "/health", "*", "open"),
    ("get", "/health/ready", "*", "open"),
    ("get", "/health/serving", "*", "open"),
    ("get", "/auth/status", "*", "open"),
    ("post", "/auth/editor-token", "*", "open"),
    ("post", "/auth/console-session", "*", "open"),
    ("get", "/auth/oidc/login", "*", "open"),
    ("get", "/auth/oidc/callback", "*", "open"),
    ("post", "/auth/oidc/complete", "*", "open"),
    ("get", "/metrics", "*", "open"),
    ("get", "/capabilities", "saerp", "open"),
    ("get", "/auth/me", "saerp", "open"),
    ("get", "/render/preview/status", "saerp", "open"),
    ("get", "/templates", "sae", "open"),
    ("post", "/templates", "sae", "closed"),
    ("get", "/templates/{key}", "sae", "open"),
    ("put", "/templates/{key}", "sae", "closed"),
    ("delete", "/templates/{key}", "sa", "closed"),
    ("post", "/templates/{key}/undelete", "sa", "closed"),
    ("patch", "/templates/{key}/meta", "sae", "closed"),
    ("get", "/template-tags", "sae", "open"),
    ("get", "/template-folders", "sae", "open"),
    ("post", "/template-folders", "sae", "closed"),
    ("patch", "/template-folders/{id}", "sae", "closed"),
    ("delete", "/template-folders/{id}", "sae", "closed"),
    ("get", "/templates/{key}/versions", "sae", "open"),
    ("get", "/templates/{key}/versions/{version}", "sae", "open"),
    ("patch", "/templates/{key}/versions/{version}", "sae", "closed"),
    ("post", "/templates/{key}/versions/{version}/restore", "sa", "closed"),
    ("post", "/templates/{key}/diff", "sae", "open"),
    ("get", "/templates/{key}/compatibility", "sae", "open"),
    ("get", "/templates/{key}/labels", "sae", "open"),
    ("get", "/templates/{key}/labels/{label}", "sae", "open"),
    ("put", "/templates/{key}/labels/{label}", "sa", "closed"),
    ("delete", "/templates/{key}/labels/{label}", "sa", "closed"),
    ("get", "/templates/{key}/labels/{label}/history", "sae", "open"),
    ("post", "/templates/{key}/labels/{label}/schedule", "sa", "closed"),
    ("delete", "/templates/{key}/labels/{label}/schedule/{event}", "sa", "closed"),
    ("get", "/templates/{key}/labels/{label}/proofs", "sae", "open"),
    ("post", "/templates/{key}/labels/{label}/proofs", "sa", "closed"),
    ("get", "/templates/{key}/labels/{label}/proofs/{proof}", "sae", "open"),
    ("get", "/templates/{key}/labels/{label}/proofs/{proof}/pictures/{number}", "sae", "closed"),
    ("post", "/templates/{key}/labels/{label}/rollback", "sa", "closed"),
    ("post", "/templates/infer-schema", "sae", "open"),
    ("get", "/templates/{key}/form-metadata", "sae", "open"),
    ("get", "/templates/{key}/bindings", "sae", "open"),
    ("get", "/templates/{key}/dependencies", "sae", "open"),
    ("get", "/templates/{key}/dependents", "sae", "open"),
    ("post", "/templates/{key}/dependents/validate", "sae", "open"),
    ("get", "/templates/{key}/effective", "sae", "open"),
    ("get", "/templates/{key}/theme", "sae", "open"),
    ("get", "/templates/{key}/draft", "sae", "open"),
    ("put", "/templates/{key}/draft", "sae", "closed"),
    ("delete", "/templates/{key}/draft", "sae", "closed"),
    ("get", "/templates/{key}/drafts", "sae", "open"),
    ("get", "/templates/{key}/drafts/{owner}", "sae", "open"),
    ("get", "/templates/{key}/schema", "sae", "open"),
    ("get", "/templates/{key}/sample", "sae", "open"),
    ("put", "/templates/{key}/sample", "sae", "closed"),
    ("delete", "/templates/{key}/sample", "sae", "closed"),
    ("post", "/templates/{key}/validate", "sae", "open"),
    ("get", "/templates/{key}/datasets", "sae", "open"),
    ("get", "/templates/{key}/datasets/{name}", "sae", "open"),
    ("put", "/templates/{key}/datasets/{name}", "sae", "closed"),
    ("delete", "/templates/{key}/datasets/{name}", "sae", "closed"),
    ("post", "/templates/{key}/tests/run", "sae", "closed"),
    ("get", "/assets", "sae", "open"),
    ("post", "/assets/upload", "sae", "closed"),
    ("get", "/assets/facets", "sae", "open"),
    // The files of assets are public unless ASSET_ACCESS_MODE says otherwise.
    ("get", "/assets/{id}", "*", "open"),
    ("patch", "/assets/{id}", "sae", "closed"),
    ("delete", "/assets/{id}", "sae", "closed"),
    ("get", "/assets/{id}/details", "sae", "open"),
    ("get", "/assets/{id}/font-info", "sae", "open"),
    ("get", "/assets/{id}/form-fields", "sae", "open"),
    ("put", "/assets/{id}/content", "sae", "closed"),
    ("get", "/assets/{id}/versions", "sae", "open"),
    ("post", "/assets/{id}/versions/{version}/restore", "sae", "closed"),
    ("post", "/render/validate", "sae", "open"),
    ("post", "/render/pdf", "sar", "closed"),
    ("post", "/render/html", "sar", "closed"),
    ("post", "/render/csv", "sar", "closed"),
    ("post", "/render/xlsx", "sar", "closed"),
    ("post", "/render/image", "sar", "closed"),
    ("post", "/render", "sar", "closed"),
    ("post", "/render/convert/pdf", "sar", "closed"),
    ("post", "/render/batch", "sar", "closed"),
    ("post", "/render/batch/html", "sar", "closed"),
    ("post", "/render/batch/csv", "sar", "closed"),
    ("post", "/render/batch/xlsx", "sar", "closed"),
    ("post", "/render/pdf/form-fields", "sar", "closed"),
    ("get", "/documents", "sar", "open"),
    ("get", "/documents/{id}", "sar", "open"),
    ("delete", "/documents/{id}", "sa", "closed"),
    ("get", "/documents/{id}/content", "sar", "open"),
    ("post", "/documents/{id}/links", "sar", "closed"),
    ("post", "/documents/{id}/links/revoke", "sar", "open"),
    // The link is the credential.
    ("get", "/documents/links/{token}", "*", "open"),
    ("post", "/render/jobs", "sar", "closed"),
    ("get", "/render/jobs", "sar", "open"),
    ("get", "/render/jobs/{id}", "sar", "open"),
    ("delete", "/render/jobs/{id}", "sar", "closed"),
    ("post", "/render/jobs/{id}/cancel", "sar", "closed"),
    ("get", "/render/jobs/{id}/items/{index}/content", "sar", "open"),
    ("get", "/render/jobs/{id}/package", "sar", "open"),
    ("post", "/render/batch/async", "sar", "closed"),
    ("get", "/render/batch/jobs/{id}", "sar", "open"),
    ("post", "/data/convert", "sar", "closed"),
    ("post", "/datasets", "sar", "closed"),
    ("get", "/datasets/{id}", "sar", "closed"),
    ("delete", "/datasets/{id}", "sar", "closed"),
    ("post", "/render-tokens", "sar", "closed"),
    ("delete", "/render-tokens/{id}", "sar", "closed"),
    ("get", "/audit-events", "sa", "open"),
    ("get", "/audit-events/export", "sa", "open"),
    ("delete", "/audit-events", "sa", "closed"),
    ("get", "/usage", "sa", "open"),
    ("get", "/usage.csv", "sa", "open"),
    ("get", "/usage/templates", "sa", "open"),
    ("get", "/usage/quota", "sa", "open"),
    ("get", "/tenant/quota", "sa", "open"),
    ("get", "/renders", "sa", "open"),
    ("get", "/renders/{id}", "sa", "open"),
    ("get", "/admin/usage", "s", "open"),
    ("get", "/admin/system", "sa", "open"),
    ("get", "/api/cluster/info", "sa", "open"),
    ("get", "/webhooks/event-types", "sa", "closed"),
    ("get", "/webhooks", "sa", "closed"),
    ("post", "/webhooks", "sa", "closed"),
    ("get", "/webhooks/{id}", "sa", "closed"),
    ("patch", "/webhooks/{id}", "sa", "closed"),
    ("delete", "/webhooks/{id}", "sa", "closed"),
    ("post", "/webhooks/{id}/rotate-secret", "sa", "closed"),
    ("post", "/webhooks/{id}/ping", "sa", "closed"),
    ("get", "/webhooks/{id}/deliveries", "sa", "closed"),
    ("get", "/webhooks/{id}/deliveries/{delivery}", "sa", "closed"),
    ("post", "/webhooks/{id}/deliveries/{delivery}/redeliver", "sa", "closed"),
    ("get", "/admin/batch-dlq", "sa", "closed"),
    ("get", "/admin/batch-dlq/{id}", "sa", "closed"),
    ("post", "/admin/batch-dlq/{id}/replay", "sa", "closed"),
    ("post", "/admin/batch-dlq/{id}/abandon", "sa", "closed"),
    ("get", "/schedules", "sa", "open"),
    ("post", "/schedules", "sa", "closed"),
    ("get", "/schedules/{id}", "sa", "open"),
    ("put", "/schedules/{id}", "sa", "closed"),
    ("patch", "/schedules/{id}", "sa", "closed"),
    ("delete", "/schedules/{id}", "sa", "closed"),
    ("post", "/schedules/{id}/duplicate", "sa", "closed"),
    ("post", "/schedules/{id}/trigger", "sa", "closed"),
    ("post", "/schedules/{id}/test", "sa", "closed"),
    ("get", "/schedules/{id}/executions", "sa", "open"),
    ("get", "/schedules/{id}/executions/{execution}", "sa", "open"),
    ("get", "/schedules/{id}/executions/{execution}/items", "sa", "open"),
    ("get", "/schedules/recent-failures", "sa", "open"),
    ("post", "/schedules/data-source/test", "sa", "closed"),
    ("post", "/schedules/burst/preview", "sa", "closed"),
    ("get", "/admin/schedule-dlq", "sa", "closed"),
    ("get", "/admin/schedule-dlq/{id}", "sa", "closed"),
    ("post", "/admin/schedule-dlq/{id}/replay", "sa", "closed"),
    ("post", "/admin/schedule-dlq/{id}/abandon", "sa", "closed"),
    ("get", "/schedules/{id}/preview", "sa", "open"),
    ("post", "/schedules/preview", "sa", "open"),
    ("post", "/schedules/cron-preview", "sa", "open"),
    ("get", "/schedules/calendars", "sa", "open"),
    ("post", "/schedules/calendars", "sa", "closed"),
    ("get", "/schedules/calendars/{id}", "sa", "open"),
    ("put", "/schedules/calendars/{id}", "sa", "closed"),
    ("patch", "/schedules/calendars/{id}", "sa", "closed"),
    ("delete", "/schedules/calendars/{id}", "sa", "closed"),
    ("post", "/schedules/calendars/{id}/import", "sa", "closed"),
    ("get", "/admin/api-keys", "sa", "closed"),
    ("post", "/admin/api-keys", "sa", "closed"),
    ("get", "/admin/api-keys/{id}", "sa", "closed"),
    ("patch", "/admin/api-keys/{id}", "sa", "closed"),
    ("post", "/admin/api-keys/{id}/rotate", "sa", "closed"),
    ("post", "/admin/api-keys/{id}/revoke", "sa", "closed"),
    ("get", "/admin/users", "sa", "closed"),
    ("post", "/admin/users", "sa", "closed"),
    ("put", "/admin/users/{id}", "sa", "closed"),
    ("delete", "/admin/users/{id}", "sa", "closed"),
    ("post", "/admin/users/reload", "sa", "closed"),
    ("get", "/admin/tenants", "s", "open"),
    ("post", "/admin/tenants", "s", "open"),
    ("get", "/admin/tenants/{id}", "s", "open"),
    ("patch", "/admin/tenants/{id}", "s", "open"),
    ("delete", "/admin/tenants/{id}", "s", "open"),
    ("get", "/admin/tenants/{id}/purge-preview", "s", "open"),
    ("get", "/admin/tenants/{id}/export", "s", "open"),
    ("post", "/admin/tenants/{id}/archive", "s", "open"),
    ("post", "/admin/tenants/{id}/unarchive", "s", "open"),
];

#[tokio::test]
async fn without_keys_only_programs_of_this_machine_pass_and_no_web_page() {
    let none = &[("API_KEY_ADMIN", ""), ("API_KEY_EDITOR", ""), ("API_KEY_RENDER", ""), ("API_KEY_PREVIEW", "")];
    let server = Server::start_with(none);
    let ask = |name: &'static str, value: &'static str| {
        let request = reqwest::Client::new().get(server.url("/templates")).header(name, value);
        async move { request.send().await.unwrap().status().as_u16() }
    };
    assert_eq!(ask("Accept", "*/*").await, 200);
    assert_eq!(ask("Host", "localhost:3000").await, 200);
    assert_eq!(ask("Origin", "http://127.0.0.1:5173").await, 200);
    assert_eq!(ask("Host", "rebound.example:3000").await, 403);
    assert_eq!(ask("Origin", "https://evil.example").await, 403);
    assert_eq!(ask("Origin", "null").await, 403);

    let rebound = |path: &'static str| {
        let request = reqwest::Client::new().get(server.url(path)).header("Host", "rebound.example:3000");
        async move { crate::running::answer(request).await }
    };
    for path in
        ["/metrics", "/auth/status", "/docs", "/docs/", "/docs/json", "/docs/template.schema.json", "/capabilities", "/no/such/path"]
    {
        let (status, envelope) = rebound(path).await;
        assert_eq!((status, &envelope["code"]), (403, &json!("forbidden")), "{path}");
    }
    for path in ["/health", "/health/ready"] {
        assert_eq!(rebound(path).await.0, 200, "{path} is asked for by any name");
    }
}

/// A token of an admin that was valid until an hour ago.
fn expired_token() -> String {
    forged(Scope::Admin, SignedDuration::from_hours(-1))
}

/// A token as only somebody with the secret can make it, valid until so long from now.
fn forged(scope: Scope, ends_in: SignedDuration) -> String {
    let now = Timestamp::from_second(Clock::system().now().as_second()).unwrap();
    let token = EditorToken {
        issued_at: now - SignedDuration::from_hours(2),
        expires_at: now + ends_in,
        tenant: TenantId::default_tenant(),
        name: "late".to_owned(),
        scope,
        holder: Holder::Label,
        templates: None,
        actions: None,
        api_key: None,
    };
    token.mint(&Secret::new(TOKEN_SECRET).unwrap()).unwrap()
}

/// A template of the tenant `default`, and the tenants `other` and `archived`.
async fn prepare(server: &Server) {
    let definition = json!({"key": "mine", "name": "Mine", "html": "<p>of default</p>"});
    assert_eq!(server.post("/templates", &definition).await.status(), 201);
    let as_super = |path: &str| reqwest::Client::new().post(server.url(path)).header("X-Api-Key", SUPER_KEY);
    for id in ["other", "archived"] {
        let made = as_super("/admin/tenants").json(&json!({"id": id, "name": id})).send().await.unwrap();
        assert_eq!(made.status(), 201);
    }
    assert_eq!(as_super("/admin/tenants/archived/archive").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn every_operation_lets_in_whom_the_table_names_and_nobody_else() {
    let server = Server::start_with(SETTINGS);
    prepare(&server).await;
    let described: Value = server.get("/docs/json").await.json().await.unwrap();
    let mut operations = BTreeSet::new();
    for (path, methods) in described["paths"].as_object().unwrap() {
        operations.extend(methods.as_object().unwrap().keys().map(|method| (method.clone(), path.clone())));
    }
    let covered: BTreeSet<_> = CASES.iter().map(|(method, path, ..)| ((*method).to_owned(), (*path).to_owned())).collect();
    let odd: Vec<_> = operations.symmetric_difference(&covered).collect();
    assert!(odd.is_empty(), "each operation needs its case here, and each case its operation: {odd:?}");

    let expired = expired_token();
    let too_strong = forged(Scope::SuperAdmin, SignedDuration::from_hours(1));
    let client = reqwest::Client::new();
    for (method, path, allowed, archived) in CASES {
        let ask = async |key: &str, header: &str, credential: &str| {
            // No such tenant: whoever is let in does no harm.
            let path = path.replace("{key}", key).replace("{version}", "1.0.0").replace("{id}", "nobody-here").replace("{label}", "prod");
            let request = client.request(method.to_uppercase().parse().unwrap(), server.url(&path));
            let answer = request.header(header, credential).json(&json!({})).send().await.unwrap();
            let (status, body) = (answer.status().as_u16(), answer.json::<Value>().await.unwrap_or_default());
            (status, body["code"].as_str().unwrap_or_default().to_owned())
        };
        let of = |who: &str, answer: &(u16, String)| format!("{method} {path} as {who}: {answer:?}");
        let public = *allowed == "*";

        for (who, key) in [("s", SUPER_KEY), ("a", KEY), ("e", EDITOR_KEY), ("r", RENDER_KEY), ("p", PREVIEW_KEY)] {
            let answer = ask("nothing-here", "X-Api-Key", key).await;
            let expected = public || allowed.contains(who);
            assert_eq!(!matches!(answer.0, 401 | 403), expected, "{}", of(who, &answer));
            assert!(expected || answer.0 == 403, "{}", of(who, &answer));
        }
        let nobodies = [
            ("nobody", "X-Unheard-Of", "x"),
            ("a wrong key", "X-Api-Key", "no-key-of-this-server"),
            ("the previous key", "X-Api-Key", PREVIOUS_KEY),
            ("a key in the wrong header", "X-Editor-Token", KEY),
            ("a key as a bearer token", "Authorization", "Bearer a-key-of-the-tests-only"),
            ("an expired token", "X-Editor-Token", &expired),
            ("a token with a scope that no key's token has", "X-Editor-Token", &too_strong),
            ("an expired token as a bearer token", "Authorization", &format!("Bearer {expired}")),
        ];
        for (who, header, credential) in nobodies {
            let answer = ask("nothing-here", header, credential).await;
            assert_eq!(answer.0 == 401, !public, "{}", of(who, &answer));
        }
        let elsewhere = ask("mine", "X-Api-Key", OTHER_KEY).await;
        if path.contains("{key}") {
            // A write without its condition or its body is told so before anything is looked at.
            assert!(matches!(elsewhere.0, 400 | 404 | 428 | 422), "{}", of("the other tenant's admin", &elsewhere));
        }
        let closed = ask("nothing-here", "X-Api-Key", ARCHIVED_KEY).await;
        assert_eq!(closed.1 == "tenant_archived", *archived == "closed", "{}", of("the archived tenant's admin", &closed));
    }
    let unknown = client.get(server.url("/no/such/path")).send().await.unwrap();
    assert_eq!(unknown.status().as_u16(), 401, "an unknown path tells nothing without an admin key");
    let unknown = client.get(server.url("/no/such/path")).header("X-Api-Key", EDITOR_KEY).send().await.unwrap();
    assert_eq!(unknown.status().as_u16(), 403, "nor to anybody but an admin");
}
