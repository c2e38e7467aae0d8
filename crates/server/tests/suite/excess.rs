//! Too much of everything: each ends in a document or a clear error within the deadline, and the server goes on.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use testkit::pdf;

use crate::running::Server;

/// What came of a request: its status, its code when it is an error, its bytes when it is not.
async fn outcome(server: &Server, body: &Value) -> (u16, String, Vec<u8>) {
    let started = Instant::now();
    let answer = server.post("/render/pdf", body).await;
    let status = answer.status().as_u16();
    let bytes = answer.bytes().await.unwrap().to_vec();
    assert!(started.elapsed() < Duration::from_secs(20), "the deadline of 10 s was not kept: {:?}", started.elapsed());
    let code = serde_json::from_slice::<Value>(&bytes).ok().and_then(|envelope| Some(envelope["code"].as_str()?.to_owned()));
    (status, code.unwrap_or_default(), bytes)
}

fn start() -> Server {
    Server::start_with(&[("RENDER_WORKER_TIMEOUT_MS", "10000")])
}

async fn goes_on(server: &Server) {
    let printed = server.pdf_of(&json!({"definition": {"key": "k", "name": "n", "html": "<p>Still here</p>"}})).await;
    assert!(pdf::words(&printed).contains("Still here"));
}

fn inline(html: &str, data: &Value) -> Value {
    json!({"definition": {"key": "k", "name": "n", "html": html}, "data": data})
}

#[tokio::test]
async fn a_hundred_thousand_rows_end_in_a_document_or_a_clear_error() {
    let server = start();
    let rows: Vec<Value> = (0..100_000).map(|row| json!({"n": row})).collect();
    let html = "<table>{{#each rows}}<tr><td>Row {{n}}</td></tr>{{/each}}</table>";
    let (status, code, bytes) = outcome(&server, &inline(html, &json!({"rows": rows}))).await;
    match status {
        200 => assert!(pdf::words(&bytes).contains("Row 99999")),
        _ => assert!(
            matches!((status, code.as_str()), (422, "too_many_pages" | "template_budget_exceeded") | (504, "render_timeout")),
            "{status} {code}"
        ),
    }
    goes_on(&server).await;
}

#[tokio::test]
async fn text_that_is_multiplied_beyond_the_limit_is_refused() {
    let server = start();
    let long = "x".repeat(10 * 1024 * 1024);
    let (status, code, _) =
        outcome(&server, &inline("{{#each n}}{{../text}}{{/each}}", &json!({"n": (0..100).collect::<Vec<_>>(), "text": long}))).await;
    assert_eq!((status, code.as_str()), (422, "template_budget_exceeded"));
    goes_on(&server).await;
}

#[tokio::test]
async fn depth_is_refused_in_data_in_nodes_and_in_templates() {
    let server = start();
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let raw = reqwest::Client::new().post(server.url("/render/pdf")).header("X-Api-Key", crate::running::KEY);
    let answer =
        raw.header("Content-Type", "application/json").body(format!(r#"{{"template":"letter","data":{deep}}}"#)).send().await.unwrap();
    assert_eq!(answer.status(), 400, "{}", answer.text().await.unwrap());

    // Two levels of JSON for each node, of the 127 that a body may have.
    for (levels, expected) in [(40, 200), (150, 400), (500, 400)] {
        let mut node = json!({"id": "t", "type": "text", "content": "deep"});
        for level in 0..levels {
            node = json!({"id": format!("s{level}"), "type": "section", "children": [node]});
        }
        let document = json!({"id": "d", "type": "document", "children": [node]});
        let (status, code, bytes) =
            outcome(&server, &json!({"definition": {"key": "k", "name": "n", "document": document}, "data": {}})).await;
        let said = String::from_utf8_lossy(&bytes[..bytes.len().min(2_000)]);
        assert_eq!(status, expected, "{levels} levels: {code} {said}");
        if expected == 400 {
            let issue = serde_json::from_slice::<Value>(&bytes).unwrap()["issues"][0].take();
            assert!(said.contains("the 127 levels accepted"), "{said}");
            assert_eq!((&issue["nodeId"], &issue["nodeType"]), (&json!(format!("s{}", levels - 61)), &json!("section")), "{issue}");
            assert!(issue["path"].as_str().unwrap().starts_with("/definition/document/children/0/children/0/"), "{issue}");
        }
    }

    let nested = format!("{}x{}", "{{#if a}}".repeat(20_000), "{{/if}}".repeat(20_000));
    let (status, code, _) = outcome(&server, &inline(&nested, &json!({"a": true}))).await;
    assert_eq!(status, 422, "{code}");
    goes_on(&server).await;
}

/// A definition in the hands of its author: what is refused is the same when it is rendered and when it is saved.
#[tokio::test]
async fn a_definition_past_a_limit_is_refused_with_the_limit_and_the_node() {
    let server = start();
    let node = |id: String, content: &str| json!({"id": id, "type": "html", "content": content});
    let many: Vec<Value> = (0..50_000).map(|index| node(format!("n{index}"), "x")).collect();
    let section = json!({"id": "s", "type": "section", "title": "Body", "children": [node("big".into(), &"x".repeat(10_000_000))]});
    for (children, limit, id, path) in
        [(json!(many), "20000", "n20000", "Html 20001"), (json!([section]), "8388608", "big", "Section 'Body' > Html 1")]
    {
        let definition = json!({"key": "large", "name": "n", "document": {"id": "d", "type": "document", "children": children}});
        for (call, body) in [("/render/pdf", json!({"definition": definition, "data": {}})), ("/templates", definition.clone())] {
            let answer = server.post(call, &body).await;
            let (status, said) = (answer.status(), answer.json::<Value>().await.unwrap());
            let issue = &said["issues"][0];
            assert_eq!((status.as_u16(), &said["code"]), (422, &json!("validation_failed")), "{call}: {said}");
            assert!(issue["message"].as_str().unwrap().contains(limit), "{call}: {said}");
            let named = (&issue["nodeId"], &issue["nodeType"], &issue["nodePath"]);
            assert_eq!(named, (&json!(id), &json!("html"), &json!(path)), "{call}: {said}");
        }
    }
    goes_on(&server).await;
}

/// Each is of a few bytes and asks for more than there is. Meanwhile others get what they ask for.
#[tokio::test]
async fn a_template_without_end_ends_in_its_own_code_while_the_documents_of_others_are_made() {
    let server = start();
    let many: Vec<u32> = (0..1_000).collect();
    let hostile = [
        ("a loop in a loop in a loop", "{{#each a}}{{#each @root.a}}{{#each @root.a}}{{/each}}{{/each}}{{/each}}", json!({"a": many})),
        ("a gigabyte of thirty bytes", "{{#each a}}{{@root.b}}{{/each}}", json!({"a": many, "b": "x".repeat(1 << 20)})),
        (
            "a list of lists that is read again and again",
            "{{#each a}}{{sum (sort @root.a)}}{{/each}}",
            json!({"a": (0..20_000).collect::<Vec<_>>()}),
        ),
    ];
    let letter = json!({"definition": {"key": "k", "name": "n", "html": "<p>Dear {{name}}</p>"}, "data": {"name": "Ada"}});
    let ended = std::sync::atomic::AtomicBool::new(false);
    let others = async {
        let mut made = 0;
        while !ended.load(std::sync::atomic::Ordering::SeqCst) {
            assert!(pdf::words(&server.pdf_of(&letter).await).contains("Dear Ada"));
            made += 1;
        }
        made
    };
    let hostile = async {
        for (what, html, data) in &hostile {
            let (status, code, bytes) = outcome(&server, &inline(html, data)).await;
            let said = String::from_utf8_lossy(&bytes[..bytes.len().min(500)]).into_owned();
            assert_eq!((status, code.as_str()), (422, "template_budget_exceeded"), "{what}: {said}");
        }
        let caller = |key: &str, called: &str| {
            json!({"key": key, "name": "n", "kind": "component", "document": {"id": "d", "type": "document", "children": [
                {"id": "again", "type": "component", "component": called}]}})
        };
        let answer = server.post("/templates", &caller("turning", "turning")).await;
        let (status, said) = (answer.status(), answer.json::<Value>().await.unwrap());
        assert_eq!((status.as_u16(), &said["issues"][0]["nodeId"]), (422, &json!("again")), "a component in itself: {said}");
        ended.store(true, std::sync::atomic::Ordering::SeqCst);
    };
    let (made, ()) = tokio::join!(others, hostile);
    assert!(made > 0, "no document of others was made meanwhile");
}

/// A PNG of 30,000 × 30,000 pixels in some hundred bytes would take 3.6 GB to draw.
#[tokio::test]
async fn an_image_bomb_is_refused_before_the_browser_sees_it() {
    let server = start();
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    png.extend(30_000_u32.to_be_bytes());
    png.extend(30_000_u32.to_be_bytes());
    png.extend(b"\x08\x06\0\0\0\0\0\0\0");
    let html = format!("<img src=\"data:image/png;base64,{}\">", STANDARD.encode(&png));
    let (status, code, bytes) = outcome(&server, &inline(&html, &json!({}))).await;
    assert_eq!(status, 422, "{code}: {}", String::from_utf8_lossy(&bytes[..bytes.len().min(300)]));
    assert!(String::from_utf8_lossy(&bytes).contains("30000"), "{}", String::from_utf8_lossy(&bytes));
    goes_on(&server).await;
}

#[tokio::test]
async fn characters_that_no_database_keeps_are_refused_by_name() {
    let server = start();
    let answer = server.post("/templates", &json!({"key": "nul", "name": "a\u{0}b", "html": "<p>x</p>"})).await;
    assert_eq!(answer.status(), 422, "{}", answer.text().await.unwrap());
    let (status, _, bytes) = outcome(&server, &inline("<p>a{{text}}b</p>", &json!({"text": "\u{0}\u{202e}\u{ffff}"}))).await;
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&bytes));
    goes_on(&server).await;
}
