//! How the server speaks HTTP: spellings, headers, compressed bodies, conditional writes.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::pdf;

use crate::running::{KEY, Server};

fn ask(server: &Server, method: Method, path: &str) -> reqwest::RequestBuilder {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
        .request(method, server.url(path))
        .header("X-Api-Key", KEY)
}

fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn inline(html: &str) -> Value {
    json!({"definition": {"key": "k", "name": "n", "html": html}, "data": {"name": "Ada"}})
}

#[tokio::test]
async fn both_spellings_of_a_path_answer_the_same_and_none_redirects() {
    let server = Server::start();
    for path in ["/templates", "/templates/", "/templates/letter", "/templates/letter/", "/health/", "/capabilities/"] {
        assert_eq!(ask(&server, Method::GET, path).send().await.unwrap().status(), 200, "{path}");
    }
    for path in ["/render/pdf", "/render/pdf/"] {
        let answer = ask(&server, Method::POST, path).json(&inline("<p>{{name}}</p>")).send().await.unwrap();
        assert!(pdf::words(&answer.bytes().await.unwrap()).contains("Ada"), "{path}");
    }
    let wrong = ask(&server, Method::DELETE, "/render/pdf").send().await.unwrap();
    assert_eq!(wrong.status(), 405);
    assert!(wrong.headers().contains_key("allow"));
    let envelope: Value = wrong.json().await.unwrap();
    assert_eq!(envelope["code"], "method_not_allowed", "{envelope}");
    let unreadable: Value = ask(&server, Method::GET, "/templates/%FF").send().await.unwrap().json().await.unwrap();
    assert_eq!(unreadable["code"], "bad_request", "{unreadable}");
    for path in ["/readyz", "/healthz"] {
        assert_eq!(reqwest::get(server.url(path)).await.unwrap().status(), 200, "{path} asks for no key");
    }
    let no_page: Value = ask(&server, Method::GET, "/docs/no-such-page").send().await.unwrap().json().await.unwrap();
    assert_eq!(no_page["code"], "not_found", "{no_page}");
    let later: Value = ask(&server, Method::POST, "/templates/import").send().await.unwrap().json().await.unwrap();
    assert_eq!(later["code"], "not_implemented", "{later}");
    assert_eq!(reqwest::get(server.url("/schedules")).await.unwrap().status(), 401, "what comes later is told to callers with a key");
    let nowhere: Value = ask(&server, Method::GET, "/no/such/place").send().await.unwrap().json().await.unwrap();
    assert_eq!(nowhere["code"], "not_found", "{nowhere}");
}

#[tokio::test]
async fn compressed_bodies_are_read_and_bombs_are_refused() {
    let server = Server::start();
    let send = |body: Vec<u8>| {
        ask(&server, Method::POST, "/render/pdf")
            .header("Content-Type", "application/json")
            .header("Content-Encoding", "gzip")
            .body(body)
            .send()
    };
    let printed = send(zipped(inline("<p>Packed {{name}}</p>").to_string().as_bytes())).await.unwrap();
    assert!(pdf::words(&printed.bytes().await.unwrap()).contains("Packed Ada"));

    let mut bomb = br#"{"template":"letter","data":{"x":""#.to_vec();
    bomb.resize(200 * 1024 * 1024, b'x');
    let refused = send(zipped(&bomb)).await.unwrap();
    assert_eq!(refused.status(), 413);
    let envelope: Value = refused.json().await.unwrap();
    assert_eq!(envelope["code"], "payload_too_large", "{envelope}");

    let broken = send(b"this is not gzip".to_vec()).await.unwrap();
    let envelope: Value = broken.json().await.unwrap();
    assert_eq!(envelope["code"], "bad_request", "{envelope}");
    assert!(envelope["message"].as_str().unwrap().contains("gzip"), "{envelope}");
    let encoded = |encoding: &str, body: Vec<u8>| {
        let request = ask(&server, Method::POST, "/render/pdf").header("Content-Type", "application/json");
        request.header("Content-Encoding", encoding).body(body).send()
    };
    let upper = encoded("GZIP", zipped(inline("<p>Upper</p>").to_string().as_bytes())).await.unwrap();
    assert!(pdf::words(&upper.bytes().await.unwrap()).contains("Upper"));
    let unknown = encoded("br", b"{}".to_vec()).await.unwrap();
    assert!(unknown.headers().contains_key("x-request-id"));
    let envelope: Value = unknown.json().await.unwrap();
    assert_eq!(envelope["code"], "unsupported_media_type", "{envelope}");
}

#[tokio::test]
async fn answers_carry_their_ids_names_and_versions() {
    let server = Server::start();
    let mut body = inline("<p>{{name}}</p>");
    body["options"] = json!({"filename": "Rechnung {{name}} für Łódź \"2026\"", "disposition": "inline"});
    let answer = ask(&server, Method::POST, "/render/pdf").header("X-Correlation-Id", "order-42").json(&body).send().await.unwrap();
    let header = |name: &str| answer.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    assert_eq!(header("x-correlation-id"), "order-42");
    assert!(!header("x-request-id").is_empty());
    assert_eq!(header("content-type"), "application/pdf");
    let name = header("content-disposition");
    assert!(name.starts_with("inline; ") && name.contains("filename*=UTF-8''Rechnung%20Ada%20f%C3%BCr%20%C5%81%C3%B3d%C5%BA"), "{name}");
    assert!(!name.contains("\"2026\""), "a quotation mark would end the name: {name}");

    let stored =
        ask(&server, Method::POST, "/render").json(&json!({"template": "letter", "data": {}, "options": {}})).send().await.unwrap();
    assert!(stored.headers().contains_key("deprecation") && stored.headers().contains_key("sunset"), "{:?}", stored.headers());
    let foreign = ask(&server, Method::GET, "/templates").header("X-PulpEngine-Tenant-Id", "acme").send().await.unwrap();
    assert_eq!(foreign.status(), 403);
    let html = ask(&server, Method::POST, "/render/html").json(&inline("<p>{{name}} &amp; {{missing}}</p>")).send().await.unwrap();
    let warnings = html.headers().get("x-render-warnings").map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(warnings.as_deref(), Some("count=1; codes=UNRESOLVED_BINDING"));
    let text = html.text().await.unwrap();
    assert!(text.contains("Ada &amp;"), "{text}");

    // Private-use characters are in no font.
    let odd = ask(&server, Method::POST, "/render/pdf").json(&inline("<p>\u{e123}\u{e124}</p>")).send().await.unwrap();
    let warnings = odd.headers().get("x-render-warnings").map_or("", |value| value.to_str().unwrap());
    assert!(warnings.contains("MISSING_GLYPH"), "{warnings}");
}

#[tokio::test]
async fn plain_html_becomes_numbered_pages() {
    let server = Server::start();
    let html = "<h1>{{title}}</h1><p style='break-before: page'>The end</p>";
    let footer = json!({"left": "{{title}}", "right": "Page {{pageNumber}} of {{totalPages}}"});
    let body = json!({"html": html, "data": {"title": "Straight"}, "options": {"paperSize": "A5", "pageFooter": footer}});
    let answer = server.post("/render/convert/pdf", &body).await;
    let printed = answer.bytes().await.unwrap();
    assert_eq!(pdf::page_count(&printed), 2);
    for (page, expected) in [(1, "Page 1 of 2"), (2, "Page 2 of 2")] {
        let words = pdf::page_words(&printed, page);
        assert!(words.contains(expected), "{expected:?} is not on page {page}: {words}");
    }
}

#[tokio::test]
async fn a_conditional_write_names_what_it_has_read() {
    let server = Server::start();
    let template = |text: &str| json!({"key": "note", "name": "Note", "html": format!("<p>{text}</p>")});
    assert_eq!(server.post("/templates", &template("first")).await.status(), 201);
    assert_eq!(server.post("/templates", &template("again")).await.status(), 409, "the key is taken");
    let put = |if_match: Option<&'static str>, text: &str| {
        let request = ask(&server, Method::PUT, "/templates/note").json(&template(text));
        let request = if let Some(version) = if_match { request.header("If-Match", version) } else { request };
        async move {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
        }
    };
    assert_eq!(put(None, "second").await.0, 428);
    assert_eq!(put(Some("*"), "second").await.0, 400);
    assert_eq!(put(Some("W/\"1.0.0\""), "second").await.0, 400);
    assert_eq!(put(Some("1.0.0"), "second").await.0, 400);
    let (status, written) = put(Some("\"1.0.0\""), "second").await;
    assert_eq!(status, 200, "{written}");
    let (status, stale) = put(Some("\"1.0.0\""), "third").await;
    assert_eq!((status, stale["code"].as_str()), (412, Some("precondition_failed")), "{stale}");
    assert!(stale["message"].as_str().unwrap().contains(written["currentVersion"].as_str().unwrap_or("1.0.1")), "{stale}");
    assert!(pdf::words(&server.pdf("note", &json!({})).await).contains("second"), "the refused write changed nothing");
    let old = server.pdf_of(&json!({"template": "note", "version": "1.0.0", "data": {}})).await;
    assert!(pdf::words(&old).contains("first"), "an old version stays as it was");
}
