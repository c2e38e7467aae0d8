//! What callers do wrong, and what they are told. The server goes on after each.

use serde_json::{Value, json};
use testkit::pdf;

use crate::running::{KEY, Server};

async fn told(server: &Server, path: &str, body: &Value, status: u16, code: &str) -> Value {
    let answer = server.post(path, body).await;
    let found = answer.status().as_u16();
    let envelope: Value = answer.json().await.unwrap();
    assert_eq!((found, envelope["code"].as_str()), (status, Some(code)), "{envelope}");
    assert!(!envelope["requestId"].as_str().unwrap().is_empty());
    envelope
}

#[tokio::test]
async fn each_mistake_is_named_and_the_server_goes_on() {
    let server = Server::start();
    told(&server, "/render/pdf", &json!({"template": "nowhere"}), 404, "not_found").await;
    let said = told(&server, "/render/pdf", &json!({"template": "letter", "dat": {}}), 400, "bad_request").await;
    assert!(said["message"].as_str().unwrap().contains("did you mean \"data\""), "{said}");
    told(&server, "/render/pdf", &json!({"template": "letter", "dataRef": "ds_1"}), 404, "dataset_not_found").await;
    told(&server, "/render/pdf", &json!({"template": "letter", "tableId": "lines"}), 422, "validation_failed").await;
    told(&server, "/render/pdf", &json!({"template": "letter", "parameters": {}}), 501, "not_implemented").await;
    told(&server, "/render/convert/pdf", &json!({"url": "http://169.254.169.254/"}), 403, "convert_url_not_allowed").await;

    let wrong = json!({"definition": {"key": "k", "name": "n", "html": "<p>\n{{shout name}}</p>"}, "data": {"name": "x"}});
    let said = told(&server, "/render/pdf", &wrong, 422, "template_expression_error").await;
    let message = said["message"].as_str().unwrap();
    assert!(message.contains("line 2, column 3") && message.contains("shout"), "{said}");
    let wrong = json!({"definition": {"key": "k", "name": "n", "document": {"id": "d", "type": "document", "children": [
        {"id": "t", "type": "text", "content": "{{lookp name \"x\"}}"}]}}, "data": {"name": "x"}});
    let said = told(&server, "/render/pdf", &wrong, 422, "template_expression_error").await;
    let message = said["message"].as_str().unwrap();
    assert!(message.contains("Text") && message.contains("lookup"), "the node and the near name: {said}");
    let mixed = json!({"html": "<p>x</p>", "template": "letter", "dryRun": true});
    let said = told(&server, "/render/convert/pdf", &mixed, 400, "bad_request").await;
    assert!(said["message"].as_str().unwrap().contains("is no field of this request"), "{said}");

    let endless = json!({"definition": {"key": "k", "name": "n", "html": "{{#each a}}{{#each ../a}}{{#each ../../a}}{{#each ../../../a}}x{{/each}}{{/each}}{{/each}}{{/each}}"},
        "data": {"a": (0..1000).collect::<Vec<_>>()}});
    told(&server, "/render/pdf", &endless, 422, "template_budget_exceeded").await;

    let malformed =
        reqwest::Client::new().post(server.url("/render/pdf")).header("X-Api-Key", KEY).header("Content-Type", "application/json");
    let said: Value = malformed.body("{\n \"template\": ,}").send().await.unwrap().json().await.unwrap();
    assert!(said["message"].as_str().unwrap().contains("line 2, column 14"), "{said}");

    let large = json!({"template": "letter", "data": {"text": "x".repeat(25 * 1024 * 1024)}});
    told(&server, "/render/pdf", &large, 413, "payload_too_large").await;

    let printed = server.pdf_of(&json!({"definition": {"key": "k", "name": "n", "html": "<p>Still here</p>"}})).await;
    assert!(pdf::words(&printed).contains("Still here"));
}

#[tokio::test]
async fn a_dry_run_says_what_the_render_would_refuse() {
    let server = Server::start();
    let cases = [
        ("a block that is not closed", json!({"html": "{{#if a}}x"}), json!({})),
        ("a file name that cannot be read", json!({"html": "x", "renderConfig": {"filename": "{{#if}"}}), json!({})),
        ("a binding without a value", json!({"html": "{{missing}}"}), json!({"strictBindings": true})),
        ("an image from elsewhere", json!({"html": "<img src='data:image/png;base64,AAAA'>"}), json!({})),
        ("data that does not fit", json!({"html": "x", "inputSchema": {"type": "object", "required": ["a"]}}), json!({})),
    ];
    for (what, mut definition, mut body) in cases {
        definition["key"] = json!("k");
        definition["name"] = json!("n");
        body["definition"] = definition;
        let refused = server.post("/render/pdf", &body).await;
        assert_eq!(refused.status(), 422, "{what}: {}", refused.text().await.unwrap());
        body["dryRun"] = json!(true);
        let answer = server.post("/render/pdf", &body).await;
        assert_eq!(answer.status(), 200, "{what}");
        let report: Value = answer.json().await.unwrap();
        assert_eq!(report["valid"], false, "{what}: {report}");
        let errors = [&report["validation"]["errors"], &report["expressions"]["errors"]];
        assert!(errors.iter().any(|list| list[0]["message"].is_string()), "{what}: {report}");
    }
}

#[tokio::test]
async fn two_renders_of_the_same_are_the_same_bytes() {
    let server = Server::start();
    for tagged in [false, true] {
        let request = json!({"definition": {"key": "k", "name": "n", "html": "<h1>Title</h1><p>{{name}}</p>"}, "data": {"name": "Ada"},
            "now": "2026-01-02T03:04:05Z", "options": {"bookmarks": tagged, "metadata": {"author": "Ünal"}}});
        let first = server.pdf_of(&request).await;
        server.pdf_of(&json!({"definition": {"key": "k", "name": "n", "html": "<h1>Another</h1>".repeat(20)}})).await;
        let second = server.pdf_of(&request).await;
        assert!(first == second, "tagged: {tagged}");
        assert_eq!(pdf::info(&first)["Author"], "Ünal");
    }
}

#[tokio::test]
async fn hostile_html_reads_no_file_and_fetches_nothing() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let own = format!("http://{}", listener.local_addr().unwrap());
    let server = Server::start();
    let secret = server.data_dir().join("secret.txt");
    std::fs::write(&secret, "TOP-SECRET-WORD").unwrap();
    let html = format!(
        "<p>Visible</p><iframe src='file://{0}'></iframe><img src='{own}/i'><link rel=stylesheet href='{own}/c'><style>@import '{own}/d';p{{background:url({own}/b)}}</style>\
         <script>fetch('{own}/s')</script><object data='file://{0}'></object><meta http-equiv=refresh content='0;url={own}/r'><iframe src='{own}/f'></iframe>",
        secret.display()
    );
    let printed = server.pdf_of(&json!({"definition": {"key": "k", "name": "n", "html": html}})).await;
    let words = pdf::words(&printed);
    assert!(words.contains("Visible") && !words.contains("TOP-SECRET-WORD"), "{words}");
    assert!(listener.accept().is_err(), "the page reached the listener");
}
