//! Every operation of the OpenAPI document, and who may use it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::running::{EDITOR_KEY, KEY, PREVIEW_KEY, RENDER_KEY, Server};

/// Which of admin, editor, render and preview get past the door: `a`, `e`, `r`, `p`; `*` is everybody, without a key too.
const CASES: [(&str, &str, &str); 25] = [
    ("get", "/health", "*"),
    ("get", "/health/ready", "*"),
    ("get", "/auth/status", "*"),
    ("get", "/metrics", "*"),
    ("get", "/capabilities", "aerp"),
    ("get", "/render/preview/status", "aerp"),
    ("get", "/templates", "ae"),
    ("post", "/templates", "ae"),
    ("get", "/templates/{key}", "ae"),
    ("put", "/templates/{key}", "ae"),
    ("delete", "/templates/{key}", "a"),
    ("get", "/templates/{key}/versions", "ae"),
    ("get", "/templates/{key}/versions/{version}", "ae"),
    ("patch", "/templates/{key}/versions/{version}", "ae"),
    ("post", "/templates/{key}/versions/{version}/restore", "a"),
    ("get", "/templates/{key}/schema", "ae"),
    ("get", "/templates/{key}/sample", "ae"),
    ("put", "/templates/{key}/sample", "ae"),
    ("delete", "/templates/{key}/sample", "ae"),
    ("post", "/templates/{key}/validate", "ae"),
    ("post", "/render/validate", "ae"),
    ("post", "/render/pdf", "ar"),
    ("post", "/render/html", "ar"),
    ("post", "/render", "ar"),
    ("post", "/render/convert/pdf", "ar"),
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
}

#[tokio::test]
async fn every_operation_lets_in_its_scopes_and_nobody_else() {
    let server = Server::start();
    let described: Value = server.get("/docs/json").await.json().await.unwrap();
    let mut operations = BTreeSet::new();
    for (path, methods) in described["paths"].as_object().unwrap() {
        operations.extend(methods.as_object().unwrap().keys().map(|method| (method.clone(), path.clone())));
    }
    let covered: BTreeSet<(String, String)> = CASES.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
    assert_eq!(operations, covered, "each operation needs its case here");

    let client = reqwest::Client::new();
    for (method, path, allowed) in CASES {
        // No such template: whoever is let in does no harm.
        let url = server.url(&path.replace("{key}", "nothing-here").replace("{version}", "1.0.0"));
        let keys = [
            ("a", Some(KEY)),
            ("e", Some(EDITOR_KEY)),
            ("r", Some(RENDER_KEY)),
            ("p", Some(PREVIEW_KEY)),
            ("none", None),
            ("wrong", Some("no-key-of-this-server")),
        ];
        for (who, key) in keys {
            let mut request = client.request(method.to_uppercase().parse().unwrap(), &url).json(&json!({}));
            if let Some(key) = key {
                request = request.header("X-Api-Key", key);
            }
            let status = request.send().await.unwrap().status().as_u16();
            let let_in = !matches!(status, 401 | 403);
            match who {
                _ if allowed == "*" => assert!(let_in, "{method} {path} as {who}: {status}"),
                "none" | "wrong" => assert_eq!(status, 401, "{method} {path} as {who}"),
                _ if allowed.contains(who) => assert!(let_in, "{method} {path} as {who}: {status}"),
                _ => assert_eq!(status, 403, "{method} {path} as {who}"),
            }
        }
    }
    let unknown = client.get(server.url("/no/such/path")).send().await.unwrap();
    assert_eq!(unknown.status().as_u16(), 401, "an unknown path tells nothing without an admin key");
}
