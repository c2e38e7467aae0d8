//! A curious tenant, with every id of another one in its hands, sees nothing.

use serde_json::{Value, json};

use crate::running::{Server, wait_until_async};

const SUPER_KEY: &str = "a-super-admin-key-of-the-tests";
const A_KEY: &str = "an-admin-key-of-tenant-alpha";
const B_KEY: &str = "an-admin-key-of-tenant-beta";
const SETTINGS: &[(&str, &str)] = &[
    ("MULTI_TENANT_ENABLED", "true"),
    ("API_KEY_SUPER_ADMIN", SUPER_KEY),
    (
        "API_KEYS_JSON",
        r#"[{"id": "a", "key": "an-admin-key-of-tenant-alpha", "scope": "admin", "tenantId": "alpha"},
            {"id": "b", "key": "an-admin-key-of-tenant-beta", "scope": "admin", "tenantId": "beta"}]"#,
    ),
];

async fn ask(server: &Server, method: &str, path: &str, key: &str, body: &Value) -> (u16, String) {
    let request = reqwest::Client::new().request(method.parse().unwrap(), server.url(path)).header("X-Api-Key", key);
    let request = if method == "GET" { request } else { request.header("If-Match", "\"1.0.0\"").json(body) };
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap_or_default())
}

async fn made(server: &Server, path: &str, body: &Value) -> Value {
    let (status, text) = ask(server, "POST", path, A_KEY, body).await;
    assert!(matches!(status, 200 | 201), "{path}: {status} {text}");
    serde_json::from_str(&text).unwrap_or_default()
}

/// What tenant alpha has, by kind: an id each.
struct Things {
    key: String,
    token: String,
    render: String,
}

async fn fill(server: &Server) -> Things {
    for id in ["alpha", "beta"] {
        let (status, text) = ask(server, "POST", "/admin/tenants", SUPER_KEY, &json!({"id": id, "name": id})).await;
        assert_eq!(status, 201, "{text}");
    }
    made(server, "/templates", &json!({"key": "alphasecret", "name": "Alphasecret", "html": "<p>alphasecret</p>"})).await;
    let (status, text) = ask(server, "PUT", "/templates/alphasecret/sample", A_KEY, &json!({"name": "alphasecret"})).await;
    assert_eq!(status, 200, "{text}");
    let key = made(server, "/admin/api-keys", &json!({"name": "alphasecret", "scope": "editor"})).await;
    made(
        server,
        "/admin/users",
        &json!({"id": "alphasecret", "displayName": "Alphasecret", "key": "alphasecrets-own-key-1", "role": "author"}),
    )
    .await;
    let token = made(server, "/render-tokens", &json!({"templates": ["alphasecret"], "subject": "alphasecret"})).await;
    let rendered = ask(server, "POST", "/render/html", A_KEY, &json!({"template": "alphasecret", "metadata": {"of": "alphasecret"}})).await;
    assert_eq!(rendered.0, 200);
    let render = wait_until_async("the render is in the log", async || {
        let (_, text) = ask(server, "GET", "/renders", A_KEY, &Value::Null).await;
        let log: Value = serde_json::from_str(&text).unwrap();
        log["items"][0]["id"].as_str().map(str::to_owned)
    })
    .await;
    let text = |value: &Value, name: &str| value[name].as_str().unwrap().to_owned();
    Things { key: text(&key, "id"), token: text(&token, "tokenId"), render }
}

#[tokio::test]
async fn nothing_of_a_tenant_is_seen_or_changed_by_another_with_all_its_ids() {
    let server = Server::start_with(SETTINGS);
    let things = fill(&server).await;
    let none = json!({});
    let definition = json!({"name": "x", "html": "x"});
    let no_id = "0192a000-0000-7000-8000-000000000000";
    let (noted, data) = (json!({"changeNote": "x"}), json!({"data": {}}));
    let (name, role) = (json!({"name": "x"}), json!({"role": "none"}));
    let walked: Vec<(&str, String, String, &Value)> = [
        ("GET", "/templates/{}", "alphasecret", "zetasecret", &none),
        ("PUT", "/templates/{}", "alphasecret", "zetasecret", &definition),
        ("DELETE", "/templates/{}", "alphasecret", "zetasecret", &none),
        ("GET", "/templates/{}/versions", "alphasecret", "zetasecret", &none),
        ("GET", "/templates/{}/versions/1.0.0", "alphasecret", "zetasecret", &none),
        ("PATCH", "/templates/{}/versions/1.0.0", "alphasecret", "zetasecret", &noted),
        ("POST", "/templates/{}/versions/1.0.0/restore", "alphasecret", "zetasecret", &none),
        ("GET", "/templates/{}/schema", "alphasecret", "zetasecret", &none),
        ("GET", "/templates/{}/sample", "alphasecret", "zetasecret", &none),
        ("PUT", "/templates/{}/sample", "alphasecret", "zetasecret", &none),
        ("DELETE", "/templates/{}/sample", "alphasecret", "zetasecret", &none),
        ("POST", "/templates/{}/validate", "alphasecret", "zetasecret", &data),
        ("GET", "/admin/api-keys/{}", &things.key, no_id, &none),
        ("PATCH", "/admin/api-keys/{}", &things.key, no_id, &name),
        ("POST", "/admin/api-keys/{}/rotate", &things.key, no_id, &none),
        ("POST", "/admin/api-keys/{}/revoke", &things.key, no_id, &none),
        ("PUT", "/admin/users/{}", "alphasecret", "zetasecret", &role),
        ("DELETE", "/admin/users/{}", "alphasecret", "zetasecret", &none),
        ("DELETE", "/render-tokens/{}", &things.token, no_id, &none),
        ("GET", "/renders/{}", &things.render, no_id, &none),
    ]
    .map(|(method, path, id, nobodys, body)| (method, path.replace("{}", id), path.replace("{}", nobodys), body))
    .into();
    for (method, path, nobodys, body) in &walked {
        let (status, text) = ask(&server, method, path, B_KEY, body).await;
        let (same, other) = ask(&server, method, nobodys, B_KEY, body).await;
        assert_eq!((status, same), (404, 404), "{method} {path}: {text} / {other}");
        let told = |text: &str| {
            let body: Value = serde_json::from_str(text).unwrap();
            format!("{} {}", body["code"], body["message"]).replace("alphasecret", "zetasecret")
        };
        assert_eq!(told(&text), told(&other), "{method} {path}: the answer tells what exists");
    }
    let lists = [
        "/templates",
        "/templates?q=alpha",
        "/audit-events",
        "/audit-events/export",
        "/audit-events?actor=apikey:json:a",
        "/admin/api-keys",
        "/admin/users",
        "/renders",
        "/renders?meta=of:alphasecret",
        "/usage",
        "/usage?groupBy=template",
        "/usage.csv",
        "/usage/templates?includeUnused=true",
        "/usage/quota",
    ];
    for path in lists {
        let (status, text) = ask(&server, "GET", path, B_KEY, &none).await;
        assert_eq!(status, 200, "{path}: {text}");
        assert!(!text.contains("alphasecret") && !text.contains("json:a") && !text.contains(&things.render), "{path}: {text}");
    }
    let (_, metrics) = ask(&server, "GET", "/metrics", B_KEY, &none).await;
    assert!(!metrics.to_lowercase().contains("alpha"), "metrics name no tenant and nothing of theirs");

    // Last: what beta tries is in its own log.
    let template = json!({"template": "alphasecret"});
    for path in ["/render/pdf", "/render/html", "/render/validate"] {
        let (status, text) = ask(&server, "POST", path, B_KEY, &template).await;
        assert!(status == 404 || text.contains("there is no template"), "{path}: {status} {text}");
    }

    // Alpha has it all still.
    for path in ["/templates/alphasecret", "/templates/alphasecret/sample", &format!("/admin/api-keys/{}", things.key)] {
        let (status, text) = ask(&server, "GET", path, A_KEY, &none).await;
        assert_eq!(status, 200, "{path}: {text}");
        assert!(!text.contains("\"revoked\""), "{text}");
    }
    let (_, users) = ask(&server, "GET", "/admin/users", A_KEY, &none).await;
    assert!(users.contains("\"role\":\"author\""), "{users}");
}
