//! Results of jobs and what a tenant may keep.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::running::{Server, answer, wait_until_async};

const SUPER_KEY: &str = "a-super-admin-key-of-the-tests";

fn acme(server: &Server, method: Method, path: &str) -> RequestBuilder {
    reqwest::Client::new().request(method, server.url(path)).header("X-Api-Key", SUPER_KEY).header("X-PulpEngine-Tenant-Id", "acme")
}

fn words(words: &str, output: &Value) -> Value {
    let html = format!("<p>{words}</p>");
    json!({"definition": {"key": "d", "name": "D", "html": html}, "now": "2026-11-21T10:00:00Z", "output": output})
}

/// Submits a job and gives it once it has ended.
async fn job(server: &Server, items: Value) -> Value {
    let (status, accepted) = answer(acme(server, Method::POST, "/render/jobs").json(&json!({"format": "html", "items": items}))).await;
    assert_eq!(status, 202, "{accepted}");
    let path = format!("/render/jobs/{}", accepted["jobId"].as_str().unwrap());
    wait_until_async("the job has ended", async || {
        let (_, job) = answer(acme(server, Method::GET, &path)).await;
        job["completedAt"].is_string().then_some(job)
    })
    .await
}

async fn stored_bytes(server: &Server) -> u64 {
    let (_, standing) = answer(acme(server, Method::GET, "/usage/quota")).await;
    let limits = standing["quotas"].as_array().unwrap();
    let storage = limits.iter().find(|limit| limit["dimension"] == json!("storage_bytes")).unwrap_or_else(|| panic!("{standing}"));
    storage["used"].as_u64().unwrap()
}

#[tokio::test]
async fn results_of_jobs_count_towards_what_a_tenant_may_keep_each_content_once() {
    let server = Server::start_with(&[("MULTI_TENANT_ENABLED", "true"), ("API_KEY_SUPER_ADMIN", SUPER_KEY)]);
    let as_root = |method: Method, path: &str| reqwest::Client::new().request(method, server.url(path)).header("X-Api-Key", SUPER_KEY);
    assert_eq!(answer(as_root(Method::POST, "/admin/tenants").json(&json!({"id": "acme", "name": "Acme"}))).await.0, 201);
    let plain = Value::Null;
    let first = job(&server, json!([words("one", &plain)])).await;
    let size = first["items"][0]["sizeBytes"].as_u64().unwrap();
    let limited = as_root(Method::PATCH, "/admin/tenants/acme").json(&json!({"quotas": {"storageBytes": size + 10}}));
    assert_eq!(answer(limited).await.0, 200);
    assert_eq!(stored_bytes(&server).await, size);

    let items =
        json!([words("one", &plain), words("two", &plain), words("one", &json!({"store": true})), words("six", &json!({"store": true}))]);
    let second = job(&server, items).await;
    let ends: Vec<&Value> = second["items"].as_array().unwrap().iter().map(|item| &item["error"]["code"]).collect();
    let full = json!("quota_exceeded");
    assert_eq!(ends, [&Value::Null, &full, &Value::Null, &full], "{second}");
    assert_eq!(second["status"], json!("completed"));
    assert_eq!(stored_bytes(&server).await, size, "the same bytes are kept once, by whomever");
    let (status, refused) = answer(acme(&server, Method::POST, "/render/html").json(&words("two", &json!({"store": true})))).await;
    assert_eq!((status, &refused["code"]), (409, &full), "results of jobs leave no room for stored documents: {refused}");

    for job in [&first, &second] {
        let removed = acme(&server, Method::DELETE, &format!("/render/jobs/{}", job["jobId"].as_str().unwrap()));
        assert_eq!(removed.send().await.unwrap().status(), 204);
    }
    let (_, documents) = answer(acme(&server, Method::GET, "/documents")).await;
    let stored = documents["items"][0]["id"].as_str().unwrap();
    assert_eq!(acme(&server, Method::DELETE, &format!("/documents/{stored}")).send().await.unwrap().status(), 204);
    assert_eq!(stored_bytes(&server).await, 0);
    assert_eq!(job(&server, json!([words("two", &plain)])).await["status"], json!("completed"), "removing makes room at once");
}
