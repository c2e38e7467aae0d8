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
async fn a_mistake_in_a_tree_names_its_node_wherever_it_is_told() {
    let server = Server::start();
    let tree = |node: Value| {
        json!({"key": "k", "name": "n", "document": {"id": "d", "type": "document", "children": [
        {"id": "s", "type": "section", "title": "Body", "children": [node]}]}})
    };
    let cases = [
        (
            json!({"id": "h", "type": "heading", "content": "x", "lvel": 2}),
            422,
            "/document/children/0/children/0/lvel",
            "did you mean \"level\"",
        ),
        (json!({"id": "h", "type": "heading", "content": "x", "level": 9}), 422, "/document/children/0/children/0/level", "from 1 to 6"),
        (json!({"id": "h", "type": "heading", "content": "{{#if x}}"}), 422, "/document/children/0/children/0/content", "line 1, column 1"),
    ];
    for (node, status, path, words) in cases {
        let definition = tree(node);
        let answer = server.post("/templates", &definition).await;
        assert_eq!(answer.status(), status, "{definition}");
        let said: Value = answer.json().await.unwrap();
        let issue = &said["issues"][0];
        assert!(issue["path"] == path && issue["message"].as_str().unwrap().contains(words), "{said}");
        let node = (&issue["nodeId"], &issue["nodeType"], &issue["nodePath"]);
        assert_eq!(node, (&json!("h"), &json!("heading"), &json!("Section 'Body' > Heading 1")), "{said}");
        let checked = server.post("/render/validate", &json!({"template": definition, "data": {}})).await;
        let checked: Value = checked.json().await.unwrap();
        assert!(checked["valid"] == false && checked["issues"][0]["nodeId"] == "h", "{checked}");
    }
    let unknown = tree(json!({"id": "h", "type": "heading", "content": "{{shout x}}"}));
    for (call, body) in
        [("/render/pdf", json!({"definition": unknown, "data": {}})), ("/render/validate", json!({"template": unknown, "data": {}}))]
    {
        let said: Value = server.post(call, &body).await.json().await.unwrap();
        assert_eq!(said["issues"][0]["nodePath"], "Section 'Body' > Heading 1", "{call}: {said}");
    }
}

#[tokio::test]
async fn a_missing_value_is_told_beside_the_document_and_refused_where_strictness_is_asked_for() {
    let server = Server::start();
    let definition = json!({"key": "strict", "name": "n", "document": {"id": "d", "type": "document", "children": [
        {"id": "t", "type": "text", "content": "Dear {{customer.nam}}, {{gone}}"}]}});
    assert_eq!(server.post("/templates", &definition).await.status(), 201);
    let data = json!({"customer": {"name": "Ada"}});
    for format in ["pdf", "html"] {
        let mut body = json!({"template": "strict", "data": data});
        let lenient = server.post(&format!("/render/{format}"), &body).await;
        assert_eq!(
            (lenient.status().as_u16(), &lenient.headers()["x-render-warnings"]),
            (200, &"count=2; codes=UNRESOLVED_BINDING".parse().unwrap())
        );
        body["strictBindings"] = json!(true);
        let said = told(&server, &format!("/render/{format}"), &body, 422, "unresolved_bindings").await;
        let issues = said["issues"].as_array().unwrap();
        assert_eq!(issues.len(), 2, "{said}");
        assert!(issues[0]["path"] == "customer.nam" && issues[0]["nodeId"] == "t" && issues[0]["nodePath"] == "Text 1", "{said}");
        assert!(issues[0]["message"].as_str().unwrap().contains("did you mean `customer.name`"), "{said}");
    }
    for (strict, valid) in [(false, true), (true, false)] {
        let body = json!({"template": definition, "data": data, "strictBindings": strict});
        let checked: Value = server.post("/render/validate", &body).await.json().await.unwrap();
        assert_eq!(checked["valid"], valid, "strict: {strict}: {checked}");
    }
    let bindings: Value = server.get("/templates/strict/bindings").await.json().await.unwrap();
    assert!(bindings.to_string().contains("customer.nam"), "{bindings}");
}

#[tokio::test]
async fn a_sheet_that_loads_and_a_script_are_taken_out_of_what_callers_get() {
    let server = Server::start();
    let html =
        "<style>@import 'http://x.example/a.css';b{color:red}</style><b>Visible</b><script>document.body.textContent = 'ran'</script>";
    let definition = json!({"key": "k", "name": "n", "html": html, "css": "@import url(http://x.example/b.css);p{background:u\\72l(http://x.example/c.png)}",
        "renderConfig": {"customCss": "i{background:url(http://x.example/d.png)}", "pageHeader": "<b onclick=\"x()\">Top</b><script>1</script><img src=\"http://x.example/e.png\">"}});
    let body = json!({"definition": definition, "data": {}});
    let answer = server.post("/render/html", &body).await;
    let warnings = answer.headers()["x-render-warnings"].to_str().unwrap().to_ascii_lowercase();
    assert!(["css_import", "css_url", "script"].iter().all(|code| warnings.contains(code)), "{warnings}");
    let page = answer.text().await.unwrap();
    assert!(!page.contains("x.example") && page.contains("color:red") && !page.contains("onclick"), "{page}");
    let printed = pdf::words(&server.pdf_of(&body).await);
    assert!(printed.contains("Visible") && !printed.contains("ran") && printed.contains("Top"), "{printed}");
}

#[tokio::test]
async fn the_moment_of_a_request_is_known_to_its_mappings() {
    let server = Server::start();
    let definition = json!({"key": "k", "name": "n", "html": "<p>{{day}}</p>", "fieldMappings": [{"target": "day", "source": "date \"now\" \"iso\""}],
        "inputSchema": {"required": ["day"], "properties": {"day": {"const": "2026-01-02"}}}});
    let mut body = json!({"definition": definition, "data": {}, "now": "2026-01-02T03:04:05Z"});
    assert!(pdf::words(&server.pdf_of(&body).await).contains("2026-01-02"));
    body["template"] = body.as_object_mut().unwrap().shift_remove("definition").unwrap();
    let checked: Value = server.post("/render/validate", &body).await.json().await.unwrap();
    assert_eq!(checked, json!({"valid": true, "issues": []}));
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
