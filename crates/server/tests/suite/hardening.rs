//! The server towards the outside world: proxies, HTTPS, pages of other origins, and what every answer tells browsers.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::running::{KEY, Server, outcome, stderr};

fn ask(server: &Server, method: Method, path: &str) -> RequestBuilder {
    reqwest::Client::new().request(method, server.url(path))
}

async fn answer(request: RequestBuilder) -> Response {
    request.send().await.unwrap()
}

fn header<'a>(answer: &'a Response, name: &str) -> Option<&'a str> {
    answer.headers().get(name).map(|value| value.to_str().unwrap())
}

/// A browser's question before a request.
fn preflight(server: &Server, origin: &str) -> RequestBuilder {
    let question = ask(server, Method::OPTIONS, "/render/pdf").header("Origin", origin);
    question.header("Access-Control-Request-Method", "POST").header("Access-Control-Request-Headers", "content-type,x-api-key")
}

#[test]
fn production_without_its_controls_does_not_start_and_says_all_that_is_missing_at_once() {
    let output = outcome(&["serve"], &[("NODE_ENV", "production"), ("HOST", "0.0.0.0"), ("TRUST_PROXY", "1")]);
    assert_eq!(output.status.code(), Some(2));
    let message = stderr(&output);
    assert!(message.starts_with("The configuration has 7 problems:"), "{message}");
    for name in [
        "CORS_ALLOWED_ORIGINS",
        "DOCS_ENABLED",
        "METRICS_TOKEN",
        "REQUIRE_HTTPS",
        "BLOCK_REMOTE_RESOURCES",
        "EDITOR_USERS_JSON",
        "API_KEY_ADMIN",
    ] {
        assert!(message.contains(&format!("  {name}: ")), "{name:?} is missing in:\n{message}");
    }
    assert!(!message.contains("  TRUST_PROXY: "), "{message}");
}

const PRODUCTION: &[(&str, &str)] = &[
    ("NODE_ENV", "production"),
    ("CORS_ALLOWED_ORIGINS", "https://app.example.org,http://localhost:5173"),
    ("DOCS_ENABLED", "false"),
    ("METRICS_TOKEN", "a-metrics-token-of-the-tests"),
    ("REQUIRE_HTTPS", "true"),
    ("TRUST_PROXY", "loopback"),
    ("BLOCK_REMOTE_RESOURCES", "true"),
    ("ALLOW_SHARED_KEY_EDITOR", "true"),
];

#[tokio::test]
async fn in_production_what_came_unencrypted_is_refused_and_told_to_the_operator() {
    let server = Server::start_with(PRODUCTION);
    let with_key = |path: &str| ask(&server, Method::GET, path).header("X-Api-Key", KEY);
    for (name, value) in
        [("X-Forwarded-Proto", "http"), ("X-Forwarded-Proto", "httpss"), ("X-Forwarded-Protocol", "https"), ("Accept", "*/*")]
    {
        let refused = answer(with_key("/templates").header(name, value)).await;
        assert_eq!(refused.status(), 403, "{name}: {value}");
        assert!(header(&refused, "strict-transport-security").is_none(), "a promise over HTTP is not for browsers to believe");
        let envelope: Value = refused.json().await.unwrap();
        assert_eq!(envelope["code"], "forbidden", "{envelope}");
        assert!(envelope["message"].as_str().unwrap().contains("https://"), "{envelope}");
    }
    let log = server.log();
    for part in ["came unencrypted", "\"credential_sent\":true", "TRUST_PROXY", "127.0.0.1"] {
        assert!(log.contains(part), "{part:?} is missing in:\n{log}");
    }
    assert!(!log.contains(KEY), "no key is ever logged:\n{log}");

    let encrypted = answer(with_key("/templates").header("X-Forwarded-Proto", "https")).await;
    assert_eq!(encrypted.status(), 200);
    assert_eq!(header(&encrypted, "strict-transport-security"), Some("max-age=31536000"));
    for path in ["/health", "/health/ready", "/health/serving", "/readyz", "/healthz"] {
        assert_eq!(answer(ask(&server, Method::GET, path)).await.status(), 200, "{path} is for the balancer");
    }
    assert_eq!(answer(ask(&server, Method::GET, "/metrics")).await.status(), 401);
    let metrics = answer(ask(&server, Method::GET, "/metrics").bearer_auth("a-metrics-token-of-the-tests")).await.text().await.unwrap();
    let metrics = crate::running::without_instance(&metrics);
    assert!(metrics.contains("pulp_engine_refusals_total{reason=\"https\"} 4"), "{metrics}");
    let docs = answer(with_key("/docs").header("X-Forwarded-Proto", "https")).await;
    assert_eq!(docs.status(), 404, "DOCS_ENABLED=false");
}

#[tokio::test]
async fn a_page_of_a_listed_origin_may_read_answers_and_no_other_page_may() {
    let server = Server::start_with(&[("CORS_ALLOWED_ORIGINS", "https://app.example.org,http://localhost:5173")]);
    for origin in ["https://app.example.org", "http://localhost:5173"] {
        let allowed = answer(preflight(&server, origin)).await;
        assert_eq!(allowed.status(), 204);
        assert_eq!(header(&allowed, "access-control-allow-origin"), Some(origin));
        assert!(header(&allowed, "access-control-allow-credentials").is_none(), "no cookies");
        let headers = header(&allowed, "access-control-allow-headers").unwrap().to_lowercase();
        for name in
            ["x-api-key", "x-editor-token", "authorization", "x-pulpengine-tenant-id", "if-match", "idempotency-key", "content-type"]
        {
            assert!(headers.contains(name), "{name} is missing in {headers}");
        }
        assert!(header(&allowed, "access-control-allow-methods").unwrap().contains("PATCH"));
        assert_eq!(header(&allowed, "access-control-max-age"), Some("7200"));
        assert!(header(&allowed, "vary").unwrap().contains("Origin"));

        let body = json!({"html": "<p>{{name}}</p>", "data": {"name": "Ada"}});
        let post = ask(&server, Method::POST, "/render/convert/pdf").header("X-Api-Key", KEY).json(&body);
        let printed = answer(post.header("Origin", origin)).await;
        assert_eq!(printed.status(), 200);
        assert_eq!(header(&printed, "access-control-allow-origin"), Some(origin));
        let exposed = header(&printed, "access-control-expose-headers").unwrap();
        for name in ["Content-Disposition", "X-Request-Id", "X-Render-Warnings", "Retry-After", "X-PulpEngine-Resolved-Version"] {
            assert!(exposed.contains(name), "{name} is missing in {exposed}");
        }
        assert!(header(&printed, "vary").unwrap().contains("Origin"));
        let refused = answer(ask(&server, Method::GET, "/templates").header("Origin", origin)).await;
        assert_eq!(refused.status(), 401);
        assert_eq!(header(&refused, "access-control-allow-origin"), Some(origin), "the page can read why it was refused");
    }
    for origin in
        ["https://evil.example", "https://app.example.org.evil.example", "http://app.example.org", "https://app.example.org:8443", "null"]
    {
        let refused = answer(preflight(&server, origin)).await;
        assert!(!refused.status().is_success(), "{origin}: {}", refused.status());
        let read = answer(ask(&server, Method::GET, "/templates").header("X-Api-Key", KEY).header("Origin", origin)).await;
        for answer in [&refused, &read] {
            assert!(answer.headers().keys().all(|name| !name.as_str().starts_with("access-control-")), "{origin}: {:?}", answer.headers());
            assert!(header(answer, "vary").unwrap().contains("Origin"), "a cache keeps the answers apart");
        }
        assert!(server.log().contains(&format!("\"origin\":\"\\\"{origin}\\\"\"")), "the operator hears of {origin}:\n{}", server.log());
    }
}

#[tokio::test]
async fn without_a_list_no_page_reads_anything_and_a_star_lets_every_page_read() {
    let closed = Server::start();
    assert!(header(&answer(preflight(&closed, "https://app.example.org")).await, "access-control-allow-origin").is_none());
    drop(closed);
    let open = Server::start_with(&[("CORS_ALLOWED_ORIGINS", "*")]);
    let allowed = answer(preflight(&open, "https://anybody.example")).await;
    assert_eq!((allowed.status().as_u16(), header(&allowed, "access-control-allow-origin")), (204, Some("*")));
    assert!(open.log().contains("CORS_ALLOWED_ORIGINS=*"), "{}", open.log());
}

#[tokio::test]
async fn every_answer_tells_browsers_that_it_is_nothing_to_run_frame_guess_at_or_keep() {
    let server = Server::start();
    let html = json!({"html": "<p>x</p>", "data": {}});
    let body = json!({"definition": {"key": "k", "name": "n", "html": "<p>x</p>"}, "data": {}});
    let answers = [
        answer(ask(&server, Method::GET, "/health")).await,
        answer(ask(&server, Method::GET, "/templates").header("X-Api-Key", KEY)).await,
        answer(ask(&server, Method::GET, "/templates")).await,
        answer(ask(&server, Method::GET, "/no/such/path")).await,
        answer(ask(&server, Method::DELETE, "/health")).await,
        server.post("/render/convert/pdf", &html).await,
        server.post("/render/html", &body).await,
        answer(ask(&server, Method::POST, "/render/pdf").header("X-Api-Key", KEY).body("{")).await,
    ];
    for answer in &answers {
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(header(answer, name), Some(value), "{name} of {}", answer.url());
        }
        let policy = header(answer, "content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'"), "{policy}");
        assert!(header(answer, "strict-transport-security").is_none(), "nobody asked for HTTPS");
    }
    let document = header(&answers[6], "content-security-policy").unwrap();
    assert!(document.starts_with("sandbox;"), "a document keeps a policy of its own: {document}");
}

const KEY_OF_A_RANGE: &str = "0123456789abcdef-shop";
const LIST: (&str, &str) =
    ("API_KEYS_JSON", r#"[{"id": "shop", "key": "0123456789abcdef-shop", "scope": "admin", "allowedIps": ["203.0.113.0/24"]}]"#);

#[tokio::test]
async fn a_forged_address_opens_nothing_and_a_trusted_proxy_names_the_client() {
    let from = |server: &Server, forwarded_for: &'static str| {
        answer(ask(server, Method::GET, "/templates").header("X-Api-Key", KEY_OF_A_RANGE).header("X-Forwarded-For", forwarded_for))
    };
    let direct = Server::start_with(&[LIST]);
    let forged = from(&direct, "203.0.113.9").await;
    assert_eq!(forged.status(), 403, "nobody trusts the sender");
    let envelope: Value = forged.json().await.unwrap();
    assert_eq!(envelope["code"], "api_key_ip_not_allowed", "{envelope}");
    assert!(!envelope.to_string().contains("203.0.113"), "an attacker is not told what would be accepted: {envelope}");
    assert!(direct.log().contains("\"client\":\"127.0.0.1\""), "the operator sees who it was:\n{}", direct.log());
    drop(direct);

    let behind_a_proxy = Server::start_with(&[LIST, ("TRUST_PROXY", "loopback")]);
    for (forwarded_for, status) in [
        ("203.0.113.9", 200),
        ("198.51.100.7", 403),
        ("203.0.113.9, 198.51.100.7", 403),
        ("198.51.100.7, 203.0.113.9", 200),
        ("203.0.113.9, unknown", 403),
    ] {
        assert_eq!(from(&behind_a_proxy, forwarded_for).await.status(), status, "{forwarded_for}");
    }
}

#[tokio::test]
async fn the_description_of_the_interface_works_under_its_own_policy() {
    let server = Server::start();
    let browser = chromium::find_executable(None).expect("a browser");
    let page = server.url("/docs/");
    let arguments = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        "--virtual-time-budget=20000",
        "--timeout=60000",
        "--dump-dom",
        &page,
    ];
    let output = tokio::process::Command::new(browser.path).args(arguments).kill_on_drop(true).output();
    let output = tokio::time::timeout(Duration::from_mins(1), output).await.expect("the browser ends").unwrap();
    let (shown, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(shown.contains("opblock-summary-path") && shown.contains("/render/pdf"), "{shown}\n{said}");
    assert!(!said.contains("Content Security Policy"), "{said}");

    let schema = reqwest::get(server.url("/docs/template.schema.json")).await.unwrap();
    assert_eq!((schema.status().as_u16(), schema.headers()["content-type"].to_str().unwrap()), (200, "application/schema+json"));
    let schema: serde_json::Value = schema.json().await.unwrap();
    assert!(schema["definitions"]["table"]["properties"]["columns"].is_object(), "{schema}");
}

#[tokio::test]
async fn an_open_server_beyond_this_machine_says_so_loudly() {
    let open = Server::start_with(&[
        ("API_KEY_ADMIN", ""),
        ("API_KEY_EDITOR", ""),
        ("API_KEY_RENDER", ""),
        ("API_KEY_PREVIEW", ""),
        ("HOST", "0.0.0.0"),
        ("ALLOW_UNAUTHENTICATED", "true"),
    ]);
    assert!(open.log().contains("DANGER"), "{}", open.log());
    let foreign = answer(ask(&open, Method::GET, "/templates").header("Host", "render.example.org")).await;
    assert_eq!(foreign.status(), 200, "that is what the operator asked for");
}
