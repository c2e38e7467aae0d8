//! Several documents in one request: what they cost others, what is said about bad ones, and that printed together they are the
//! same.

use std::io::Cursor;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use testkit::pdf;

use crate::running::{KEY, Server, repository, wait_until_async};

/// A letter of one page, and one of more for those who have much to read; the title is in the file.
fn letter() -> Value {
    let page = std::fs::read_to_string(repository().join("bench/letter.html")).unwrap();
    let html = page
        .replace("Dear customer 1,", "Dear {{name}},{{#each lines}}<br>line {{this}}{{/each}}")
        .replace("<title>Letter</title>", "<title>Letter to {{name}}</title>");
    json!({"key": "page", "name": "Letter", "html": html, "renderConfig": {"metadata": {"author": "Office", "subject": "For {{name}}"}}})
}

async fn created(server: &Server, template: &Value) {
    let answer = server.post("/templates", template).await;
    assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
}

async fn batch(server: &Server, body: &Value) -> (u16, Value) {
    let answer = server.post("/render/batch", body).await;
    (answer.status().as_u16(), answer.json().await.unwrap())
}

fn pdf_of(result: &Value) -> Vec<u8> {
    STANDARD.decode(result["pdf"].as_str().unwrap_or_else(|| panic!("{result}"))).unwrap()
}

/// How many documents were printed together, and how many of a mail merge alone.
async fn printed(server: &Server, way: &str) -> u64 {
    let text = server.metrics().await;
    let name = format!("pulp_mail_merge_documents_total{{printed=\"{way}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap_or(0)
}

const NOW: &str = "2026-11-21T10:00:00Z";

#[tokio::test]
async fn documents_printed_together_have_the_pages_words_metadata_and_looks_of_documents_printed_alone() {
    let server = Server::start_with(&[("RENDER_MAX_CONCURRENT_PAGES", "2")]);
    created(&server, &letter()).await;
    let tree = json!({
        "key": "statement", "name": "Statement",
        "document": {"type": "document", "id": "root", "children": [
            {"type": "heading", "id": "heading", "level": 1, "content": "Statement of {{name}}"},
            {"type": "text", "id": "due", "content": "Due soon."},
            {"type": "table", "id": "lines", "items": "lines", "columns": [{"header": "Line", "field": "no"}, {"header": "Text", "field": "text"}]}
        ]},
        "renderConfig": {"pageHeader": {"left": "Example Ltd"}}
    });
    let mut items = Vec::new();
    for number in 0..25_usize {
        let lines: Vec<usize> = (0..if number % 5 == 3 { 90 } else { number % 4 }).collect();
        items.push(json!({"template": "page", "now": NOW, "data": {"name": format!("Reader № {number}"), "lines": lines}}));
    }
    let answer = server.post("/templates", &tree).await;
    let tree_is_there = answer.status() == 201;
    assert!(tree_is_there, "{}", answer.text().await.unwrap());
    for number in 0..8_usize {
        let lines: Vec<Value> = (0..number * 12).map(|no| json!({"no": no, "text": format!("of {number}")})).collect();
        items.push(json!({"template": "statement", "now": NOW, "data": {"name": format!("Client {number}"), "lines": lines}}));
    }
    let (status, together) = batch(&server, &json!({"mode": "mail-merge", "items": items})).await;
    assert_eq!((status, &together["failed"]), (200, &json!(0)), "{together}");
    assert_eq!((printed(&server, "together").await, printed(&server, "alone").await), (33, 0));
    for (item, result) in items.iter().zip(together["results"].as_array().unwrap()) {
        let (alone, merged) = (server.pdf_of(item).await, pdf_of(result));
        let name = item["data"]["name"].as_str().unwrap();
        assert_eq!(pdf::words(&merged), pdf::words(&alone), "{name}");
        assert!(pdf::words(&merged).contains(name), "{name}");
        let about = |pdf: &[u8]| {
            let mut info = pdf::info(pdf);
            // Not what the document says about itself.
            info.remove("File size");
            info
        };
        assert_eq!(about(&merged), about(&alone), "{name}");
        for page in 1..=pdf::page_count(&alone) {
            assert!(pdf::picture(&merged, page, 40) == pdf::picture(&alone, page, 40), "page {page} of {name} looks different");
        }
    }
}

#[tokio::test]
async fn a_document_that_would_come_out_otherwise_among_others_is_printed_alone_and_a_bad_one_is_named() {
    let server = Server::start();
    created(&server, &letter()).await;
    let numbered = json!({"key": "numbered", "name": "Numbered", "html": "<p>Dear {{name}}</p>",
        "renderConfig": {"pageFooter": {"center": "{{pageNumber}} / {{totalPages}}"}}});
    created(&server, &numbered).await;
    let item = |template: &str, name: &str| json!({"template": template, "data": {"name": name}});
    let mut outline = item("page", "Outline");
    outline["options"] = json!({"bookmarks": true});
    let mut strict = json!({"template": "page", "data": {}, "strictBindings": true});
    strict["reference"] = json!("nobody");
    let items = [item("numbered", "One"), item("numbered", "Two"), item("page", "Three"), strict, item("page", "Four"), outline];
    let (status, told) = batch(&server, &json!({"mode": "mail-merge", "items": items})).await;
    let errors: Vec<&Value> = told["results"].as_array().unwrap().iter().map(|result| &result["error"]).collect();
    assert_eq!((status, &told["succeeded"], &told["failed"]), (200, &json!(5), &json!(1)), "{errors:?}");
    let failed = &told["results"][3];
    assert_eq!((&failed["reference"], &failed["error"]["code"]), (&json!("nobody"), &json!("unresolved_bindings")), "{failed}");
    for (at, page) in [(0, "DearOne1/1"), (1, "DearTwo1/1")] {
        let words = pdf::words(&pdf_of(&told["results"][at]));
        // Blanks in margin boxes are not told of with the layout.
        assert!(words.split_whitespace().collect::<String>().ends_with(page), "{words}");
    }
}

#[tokio::test]
async fn a_bad_batch_is_told_where_it_is_wrong_and_a_bad_item_spoils_no_other() {
    let server = Server::start_with(&[("BATCH_MAX_ITEMS", "3"), ("BATCH_MAX_OUTPUT_BYTES", "65536")]);
    created(&server, &json!({"key": "card", "name": "Card", "html": "<p>{{name}}</p>"})).await;
    let good = json!({"template": "card", "data": {"name": "Ada"}});
    for (body, status, code, said) in [
        (json!([]), 400, "bad_request", "items"),
        (json!({"item": [good]}), 400, "bad_request", "did you mean \"items\""),
        (json!({"items": {}}), 400, "bad_request", "items"),
        (json!({"items": []}), 422, "validation_failed", "1 to 3"),
        (json!({"items": [good, good, good, good]}), 422, "validation_failed", "1 to 3"),
        (json!({"items": [good], "packaging": "tar"}), 422, "validation_failed", "zip, merged-pdf"),
        (json!({"items": [good], "mode": "fast"}), 422, "validation_failed", "mail-merge"),
        (json!({"items": [good], "packageOptions": {}}), 422, "validation_failed", "packaging"),
        (json!({"items": [good], "packaging": "zip", "packageOptions": {"title": "x"}}), 422, "validation_failed", "filename"),
        (json!({"items": [good], "definition": {"key": "x", "name": "x", "html": "x"}}), 422, "validation_failed", "/items/0/template"),
        (json!({"items": [good], "output": {"mode": "link"}}), 422, "validation_failed", "/output/mode"),
        (
            json!({"items": [good], "output": {"store": true, "respondWith": "link"}, "packaging": "zip"}),
            422,
            "validation_failed",
            "/items/0/output",
        ),
    ] {
        let (found, told) = batch(&server, &body).await;
        assert_eq!((found, &told["code"]), (status, &json!(code)), "{body}: {told}");
        assert!(told["message"].as_str().unwrap().contains(said), "{body}: {told}");
    }
    let items = json!([7, good, {"template": "card", "data": [], "reference": "r"}]);
    let (status, told) = batch(&server, &json!({"items": items})).await;
    assert_eq!((status, &told["succeeded"], &told["failed"]), (200, &json!(1), &json!(2)), "{told}");
    assert_eq!(told["results"][0]["error"]["code"], "bad_request");
    let wrong = &told["results"][2];
    assert_eq!((&wrong["reference"], &wrong["error"]["details"]["issues"][0]["path"]), (&json!("r"), &json!("/data")), "{wrong}");
    for item in [
        json!({"template": "card", "reference": 7}),
        json!({"template": "card", "dryRun": true}),
        json!({"template": "card", "output": {"mode": "link"}}),
        json!({"template": "card", "output": {"store": true, "ttlSeconds": 4_000_000_000_u32}}),
    ] {
        let (_, told) = batch(&server, &json!({"items": [item]})).await;
        assert_eq!(told["results"][0]["error"]["code"], "validation_failed", "{told}");
    }
    // Documents that would take too much memory while they wait.
    let large = json!({"template": "card", "data": {"name": "x".repeat(50_000)}});
    let html = |body: Value| {
        let server = &server;
        async move { server.post("/render/batch/html", &body).await.json::<Value>().await.unwrap() }
    };
    let told = html(json!({"items": [large, large, large]})).await;
    assert_eq!((&told["total"], &told["failed"]), (&json!(3), &json!(2)), "{}", told["results"][2]);
    assert!(told.to_string().contains("pdf_too_large"));
}

#[tokio::test]
async fn documents_of_a_batch_are_stored_and_answered_with_their_links_where_that_is_asked_for() {
    let server = Server::start();
    created(&server, &json!({"key": "card", "name": "Card", "html": "<p>Dear {{name}}</p>"})).await;
    let item = |name: &str| json!({"template": "card", "data": {"name": name}});
    let mut own = item("Bob");
    own["output"] = json!({"store": true, "respondWith": "link", "linkTtlSeconds": 60, "filename": "for-bob", "maxDownloads": 1});
    let mut not = item("Cem");
    not["output"] = json!({"store": false});
    let items = json!([item("Ada"), own, not]);
    for mode in ["ordinary", "mail-merge"] {
        let body = json!({"items": items, "mode": mode, "output": {"store": true, "metadata": {"run": mode}}});
        let (status, told) = batch(&server, &body).await;
        assert_eq!((status, &told["succeeded"]), (200, &json!(3)), "{told}");
        let [stored, linked, plain] = [0, 1, 2].map(|at| told["results"][at].clone());
        let id = stored["documentId"].as_str().unwrap();
        let kept = server.get(&format!("/documents/{id}/content")).await.bytes().await.unwrap();
        assert_eq!(kept, pdf_of(&stored), "the stored document is the one of the answer");
        assert!(stored["expiresAt"].is_string() && stored["downloadUrl"].is_null());
        assert!(linked["pdf"].is_null() && linked["downloadUrlExpiresAt"].is_string(), "{linked}");
        let fetched = reqwest::get(linked["downloadUrl"].as_str().unwrap()).await.unwrap();
        assert!(fetched.headers()["content-disposition"].to_str().unwrap().contains("for-bob.pdf"));
        assert!(pdf::words(&fetched.bytes().await.unwrap()).contains("Dear Bob"));
        assert_eq!(reqwest::get(linked["downloadUrl"].as_str().unwrap()).await.unwrap().status(), 410);
        assert!(plain["documentId"].is_null() && pdf::words(&pdf_of(&plain)).contains("Dear Cem"));
        let listed: Value = server.get(&format!("/documents?source=batch&metadata[run]={mode}")).await.json().await.unwrap();
        assert_eq!(listed["total"], 1, "an item's own output is not mixed with that of all: {listed}");
    }
    // A package names the documents that were stored.
    let body = json!({"items": [item("Ada")], "output": {"store": true}, "packaging": "zip"});
    let answer = server.post("/render/batch", &body).await;
    assert_eq!(answer.status(), 200);
    let mut archive = zip::ZipArchive::new(Cursor::new(answer.bytes().await.unwrap())).unwrap();
    let manifest: Value = serde_json::from_reader(archive.by_name("manifest.json").unwrap()).unwrap();
    let id = manifest["items"][0]["documentId"].as_str().unwrap_or_else(|| panic!("{manifest}"));
    assert_eq!(server.get(&format!("/documents/{id}")).await.status(), 200);
}

#[tokio::test]
async fn a_batch_leaves_room_to_those_who_wait_for_one_document_and_ends_with_its_caller() {
    let server = Server::start_with(&[("RENDER_MAX_CONCURRENT_PAGES", "2"), ("BATCH_MAX_ITEMS", "200")]);
    created(&server, &json!({"key": "card", "name": "Card", "html": "<p>{{name}}</p>"})).await;
    let long = format!("<table>{}</table>{{{{name}}}}", "<tr><td>a<td>b<td>c<td>d".repeat(6_000));
    created(&server, &json!({"key": "long", "name": "Long", "html": long})).await;
    let items: Vec<Value> = (0..200).map(|number| json!({"template": "long", "data": {"name": number}})).collect();
    let request = reqwest::Client::new()
        .post(server.url("/render/batch"))
        .header("X-Api-Key", KEY)
        .header("Accept", "application/x-ndjson")
        .json(&json!({"items": items}));
    let answer = request.send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
    let mut lines = answer;
    let first = lines.chunk().await.unwrap().unwrap();
    assert!(first.starts_with(b"{\"type\":\"result\""));
    for _ in 0..10 {
        let asked = std::time::Instant::now();
        let answer = server.post("/render/pdf", &json!({"template": "card", "data": {"name": "Ada"}})).await;
        assert_eq!(answer.status(), 200);
        assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    }
    drop(lines);
    // What was under way is given up, and nothing of the rest is begun.
    wait_until_async("the work stops", async || {
        let metrics = server.metrics().await;
        metrics.contains("pulp_chromium_tab_restarts_total{reason=\"cancelled\"} 1").then_some(())
    })
    .await;
    let count_of_log = async || server.get("/renders?limit=1").await.json::<Value>().await.unwrap()["total"].as_u64().unwrap();
    let cancelled = wait_until_async("what was given up is in the log", async || {
        let told: Value = server.get("/renders?status=cancelled").await.json().await.unwrap();
        told["total"].as_u64().filter(|total| *total > 0)
    })
    .await;
    let (total, written) = (count_of_log().await, server.metrics().await);
    assert!(cancelled <= 3 && total < 200, "{cancelled} given up of {total} begun\n{written}");
}
