//! The pages for operators: what they name is there. And the log, which they read when something is wrong.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::running::{EDITOR_KEY, KEY, RENDER_KEY, Server, answer, repository, wait_until_async, without_instance};

fn page(name: &str) -> String {
    std::fs::read_to_string(repository().join("docs/operations").join(name)).unwrap()
}

/// Names of metrics in a text; of histograms those of their samples.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with("pulp_") || word.starts_with("process_")).map(str::to_owned).collect()
}

/// Names of the series of a server.
fn exported(metrics: &str) -> BTreeSet<String> {
    let lines = metrics.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split(['{', ' ']).next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn every_metric_that_the_dashboard_the_alerts_and_the_manual_name_is_exported() {
    let dashboard = page("grafana-dashboard.json");
    let parsed: Value = serde_json::from_str(&dashboard).expect("the dashboard is JSON");
    let panels = parsed["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "each panel has an id of its own");
    assert!(panels.iter().filter(|panel| panel["type"] != "row").all(|panel| panel["targets"][0]["expr"].is_string()));
    let alerts = page("alerts.yml");
    let rules = alerts.matches("- alert: ").count();
    assert!(rules >= 15 && ["expr:", "summary:", "look:"].iter().all(|field| alerts.matches(field).count() == rules), "each rule is whole");
    let scaling = page("kubernetes/prometheus-adapter.yaml");
    let wanted: BTreeSet<String> =
        [dashboard, alerts, page("observability.md"), scaling].iter().flat_map(|page| metrics_in(page)).collect();

    let server = Server::start_with(&[
        ("METRICS_TENANT_LABEL_MODE", "bounded"),
        ("METRICS_TEMPLATE_LABEL_MODE", "bounded"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"),
        ("RATE_LIMIT_KEY_REQUESTS_PER_MINUTE", "100000"),
    ]);
    let data = json!({"sender": {"name": "A"}, "recipient": {"name": "B"}, "subject": "S", "paragraphs": []});
    server.pdf("letter", &data).await;
    server.post("/render/pdf", &json!({"template": "no-such-thing"})).await;
    let guess = reqwest::Client::new().get(server.url("/templates")).header("X-Api-Key", "a-key-that-nobody-has");
    assert_eq!(answer(guess).await.0, 401);
    let job = json!({"format": "html", "items": [{"template": "letter", "data": data}]});
    assert_eq!(server.post("/render/jobs", &job).await.status(), 202);
    let missing = async || {
        let metrics = exported(&without_instance(&server.metrics().await));
        let there = |name: &str| {
            let samples = ["", "_bucket", "_sum", "_count"].map(|end| format!("{name}{end}"));
            samples.iter().any(|name| metrics.contains(name))
        };
        wanted.iter().filter(|name| !there(name)).cloned().collect::<Vec<_>>()
    };
    // Queues are measured every quarter of a minute, and duties have to come round.
    let deadline = std::time::Instant::now() + Duration::from_secs(50);
    while !missing().await.is_empty() && std::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let missing = missing().await;
    assert!(missing.is_empty(), "no server exports {missing:?}");
}

/// The lines of a server's log as JSON, from a byte on.
fn lines(server: &Server, from: usize) -> Vec<Value> {
    let log = server.log();
    log[from..].lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[tokio::test]
async fn every_line_of_a_request_names_the_request_its_tenant_and_the_server() {
    let server = Server::start_with(&[
        ("LOG_LEVEL", "debug"),
        ("LOG_FORMAT", "json"),
        ("MULTI_TENANT_ENABLED", "true"),
        ("API_KEY_SUPER_ADMIN", "a-super-admin-key-of-the-tests"),
    ]);
    let instance = server.get("/admin/system").await.json::<Value>().await.unwrap()["instanceId"].clone();
    let made = reqwest::Client::new().post(server.url("/admin/tenants")).header("X-Api-Key", "a-super-admin-key-of-the-tests");
    assert_eq!(answer(made.json(&json!({"id": "acme", "name": "Acme"}))).await.0, 201);
    let from = server.log().len();

    let mut requests = Vec::new();
    let mut send = async |method: &str, path: &str, key: &str, tenant: Option<&str>, body: Value| {
        let id = uuid_of(requests.len());
        let request = reqwest::Client::new().request(method.parse().unwrap(), server.url(path)).header("X-Api-Key", key);
        let request = tenant.into_iter().fold(request, |request, tenant| request.header("X-PulpEngine-Tenant-Id", tenant));
        let (status, _) = answer(request.header("X-Request-Id", &id).json(&body)).await;
        requests.push((id, tenant.unwrap_or("default").to_owned(), status));
        status
    };
    let letter =
        json!({"template": "letter", "data": {"sender": {"name": "A"}, "recipient": {"name": "B"}, "subject": "S", "paragraphs": []}});
    let super_key = "a-super-admin-key-of-the-tests";
    assert_eq!(send("POST", "/render/pdf", KEY, None, letter.clone()).await, 200);
    assert_eq!(send("POST", "/templates", super_key, Some("acme"), json!({"key": "note", "name": "n", "html": "{{x}}"})).await, 201);
    assert_eq!(send("POST", "/render/html", super_key, Some("acme"), json!({"template": "note"})).await, 200);
    assert_eq!(send("POST", "/render/pdf", super_key, Some("acme"), json!({"template": "gone"})).await, 404);
    assert_eq!(send("GET", "/admin/api-keys", RENDER_KEY, None, json!({})).await, 403);
    assert_eq!(send("PUT", "/templates/letter/labels/x", EDITOR_KEY, None, json!({"version": "9.9.9"})).await, 403);
    assert_eq!(
        send("POST", "/render/pdf", KEY, None, json!({"template": "letter", "output": {"store": true}, "data": letter["data"]})).await,
        200
    );
    let asset = json!({"definition": {"key": "k", "name": "n", "html": "<img src='asset:no-such-thing'>"}});
    assert!(send("POST", "/render/pdf", KEY, None, asset).await >= 400);
    let batch = json!({"items": [letter.clone(), letter.clone()]});
    assert_eq!(send("POST", "/render/batch", KEY, None, batch).await, 200);
    assert_eq!(send("POST", "/datasets", KEY, None, json!({"a": 1})).await / 100, 2);
    let guess = uuid_of(99);
    let unknown = reqwest::Client::new().get(server.url("/templates")).header("X-Api-Key", "a-key-that-nobody-has");
    assert_eq!(answer(unknown.header("X-Request-Id", &guess)).await.0, 401);

    // The last line of a request comes behind its answer.
    let told = async || {
        let lines = lines(&server, from);
        let of = |id: &str| lines.iter().any(|line| line["request_id"] == id && line["message"] == "answered");
        requests.iter().all(|(id, ..)| of(id)).then_some(lines)
    };
    let lines = wait_until_async("every request has its last line", told).await;
    assert!(lines.iter().all(|line| line["instance"] == instance), "every line names the server");
    for (id, tenant, status) in &requests {
        let own: Vec<&Value> = lines.iter().filter(|line| line["request_id"] == **id).collect();
        let last = own.iter().find(|line| line["message"] == "answered").unwrap();
        assert_eq!((&last["tenant"], &last["status"]), (&json!(tenant), &json!(status)), "{last}");
        // What is known from the credential on is in every line from then on.
        let nameless: Vec<_> = own.iter().filter(|line| line["tenant"] != json!(tenant)).collect();
        assert!(nameless.is_empty(), "{nameless:#?}");
    }
    let guessed: Vec<&Value> = lines.iter().filter(|line| line["request_id"] == *guess).collect();
    assert!(guessed.len() >= 2 && guessed.iter().all(|line| line["tenant"].is_null()), "{guessed:#?}");
    // Whatever was written for nobody's request was written by something that goes on by itself.
    let by_itself =
        ["worker", "chromium", "store::changes", "render::usage", "render::run", "pulp_engine", "api::connections", "api::incoming"];
    let orphans: Vec<_> = lines
        .iter()
        .filter(|line| line["request_id"].is_null())
        .filter(|line| !by_itself.iter().any(|room| line["target"].as_str().unwrap().starts_with(room)))
        .collect();
    assert!(orphans.is_empty(), "{orphans:#?}");
}

/// An id of a request that tells its number.
fn uuid_of(number: usize) -> String {
    format!("11111111-2222-4333-8444-{number:012}")
}
