//! The tests of templates: what they may read, what they cost, and what is left of a run that ends early.

use serde_json::{Value, json};

use crate::running::{KEY, PREVIEW_KEY, Server, answer};

const SUPER_KEY: &str = "a-super-admin-key-of-the-tests";

const TENANTS: &[(&str, &str)] = &[("MULTI_TENANT_ENABLED", "true"), ("API_KEY_SUPER_ADMIN", SUPER_KEY)];

async fn ask(server: &Server, key: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let method = method.parse().unwrap();
    answer(reqwest::Client::new().request(method, server.url(path)).header("X-Api-Key", key).json(body)).await
}

async fn with_datasets(server: &Server, count: usize) {
    let schema = json!({"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]});
    let template = json!({"key": "card", "name": "Card", "html": "<p>Dear {{name}}</p>", "inputSchema": schema});
    assert_eq!(ask(server, KEY, "POST", "/templates", &template).await.0, 201);
    for number in 0..count {
        let body = json!({"data": {"name": format!("Secret{number}")}});
        assert_eq!(ask(server, KEY, "PUT", &format!("/templates/card/datasets/d{number}"), &body).await.0, 200);
    }
}

#[tokio::test]
async fn a_dataset_is_tested_once_and_told_to_nobody_who_may_not_read_it() {
    let server = Server::start();
    with_datasets(&server, 2).await;
    let path = "/templates/card/tests/run";
    let (status, ran) = ask(&server, KEY, "POST", path, &json!({"datasets": ["d1", "d1", "d1"]})).await;
    assert_eq!((status, &ran["total"], &ran["passed"]), (200, &json!(1), &json!(true)), "{ran}");
    assert_eq!(ask(&server, KEY, "POST", "/templates/nowhere/tests/run", &json!({"datasets": []})).await.0, 404);

    let guess =
        json!({"template": {"key": "x", "name": "x", "html": "x", "inputSchema": {"type": "object", "additionalProperties": false}}});
    let (status, refused) = ask(&server, PREVIEW_KEY, "POST", path, &guess).await;
    assert_eq!((status, &refused["code"]), (403, &json!("forbidden")), "{refused}");
    assert!(!refused.to_string().contains("Secret"));
    let limited = json!({"name": "limited", "scope": "editor", "allowedTemplates": ["card"]});
    let (status, made) = ask(&server, KEY, "POST", "/admin/api-keys", &limited).await;
    assert_eq!(status, 201, "{made}");
    let limited = made["key"].as_str().unwrap();
    assert_eq!(ask(&server, limited, "POST", path, &guess).await.0, 403, "an inline definition could name anything");
    assert_eq!(ask(&server, limited, "POST", path, &json!({})).await.0, 200);
}

#[tokio::test]
async fn a_limit_that_is_reached_in_the_middle_keeps_the_results_before_it() {
    let server = Server::start_with(TENANTS);
    with_datasets(&server, 4).await;
    let quotas = json!({"quotas": {"rendersPerMonth": 2}});
    let (status, told) = ask(&server, SUPER_KEY, "PATCH", "/admin/tenants/default", &quotas).await;
    assert_eq!(status, 200, "{told}");
    let (status, ran) = ask(&server, KEY, "POST", "/templates/card/tests/run", &json!({})).await;
    assert_eq!((status, &ran["succeeded"], &ran["failed"]), (200, &json!(2), &json!(2)), "{ran}");
    for late in ran["results"].as_array().unwrap().iter().skip(2) {
        assert!(late["failures"][0]["message"].as_str().unwrap().starts_with("not run: "), "{late}");
    }
    let (status, refused) = ask(&server, KEY, "POST", "/templates/card/tests/run", &json!({})).await;
    assert_eq!((status, &refused["code"]), (429, &json!("quota_exhausted")), "{refused}");
    assert!(refused["retryAfter"].is_number(), "{refused}");
}

#[tokio::test]
async fn a_dataset_that_is_too_large_is_refused_by_name() {
    let server = Server::start();
    with_datasets(&server, 0).await;
    let body = json!({"data": {"name": "x".repeat(3 * 1024 * 1024)}});
    let (status, refused) = ask(&server, KEY, "PUT", "/templates/card/datasets/large", &body).await;
    assert_eq!((status, &refused["issues"][0]["path"]), (422, &json!("/data")), "{refused}");
}
