//! Jobs from outside: what is submitted is made by the server by itself, and its documents are there afterwards.

use std::io::{Cursor, Read as _};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::running::{KEY, RENDER_KEY, Server, answer, wait_until_async};

const NOW: &str = "2026-11-21T10:00:00Z";

fn ask(server: &Server, method: &str, path: &str) -> reqwest::RequestBuilder {
    reqwest::Client::new().request(method.parse().unwrap(), server.url(path)).header("X-Api-Key", KEY)
}

/// Submits a job and gives its id.
pub async fn submitted(server: &Server, body: &Value) -> String {
    let (status, accepted) = answer(ask(server, "POST", "/render/jobs").json(body)).await;
    assert_eq!((status, &accepted["status"]), (202, &json!("pending")), "{accepted}");
    let id = accepted["jobId"].as_str().unwrap().to_owned();
    assert_eq!(accepted["pollUrl"], json!(format!("/render/jobs/{id}")));
    id
}

/// The job once it has ended.
pub async fn ended(server: &Server, id: &str) -> Value {
    wait_until_async("the job has ended", async || {
        let response = ask(server, "GET", &format!("/render/jobs/{id}")).send().await.unwrap();
        let (again, job) = (response.headers().contains_key("retry-after"), response.json::<Value>().await.unwrap());
        let runs = matches!(job["status"].as_str(), Some("pending" | "processing"));
        assert_eq!(again, runs, "{job}");
        (!runs).then_some(job)
    })
    .await
}

async fn bytes(server: &Server, path: &str) -> Vec<u8> {
    let response = ask(server, "GET", path).send().await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    response.bytes().await.unwrap().to_vec()
}

async fn refused(server: &Server, method: &str, path: &str) -> (u16, String) {
    let (status, body) = answer(ask(server, method, path)).await;
    (status, body["code"].as_str().unwrap_or_default().to_owned())
}

async fn template(server: &Server) {
    let definition = json!({
        "key": "greeting", "name": "Greeting", "html": "<h1>Dear {{name}}</h1>",
        "inputSchema": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
    });
    assert_eq!(server.post("/templates", &definition).await.status(), 201);
}

#[tokio::test]
async fn a_document_of_a_job_is_byte_for_byte_the_one_that_a_request_would_have_got() {
    let server = Server::start();
    template(&server).await;
    let request = json!({"template": "greeting", "data": {"name": "Ann"}, "now": NOW, "options": {"filename": "for {{name}}"}, "metadata": {"case": "7"}});
    let awaited = server.pdf_of(&request).await;
    let mut body = request.clone();
    body["format"] = json!("pdf");
    body["reference"] = json!("order-1");
    let id = submitted(&server, &body).await;
    let job = ended(&server, &id).await;
    assert_eq!((&job["status"], &job["kind"], &job["reference"]), (&json!("completed"), &json!("single"), &json!("order-1")), "{job}");
    assert_eq!(job["progress"], json!({"total": 1, "completed": 1, "failed": 0}));
    let item = &job["items"][0];
    assert_eq!(
        (&item["status"], &item["template"], &item["filename"]),
        (&json!("succeeded"), &json!("greeting"), &json!("for Ann.pdf")),
        "{job}"
    );
    assert_eq!(item["sizeBytes"], json!(awaited.len()));
    assert_eq!(bytes(&server, item["contentUrl"].as_str().unwrap()).await, awaited);
    let (_, inline) = answer(ask(&server, "GET", &format!("/render/jobs/{id}?include=content"))).await;
    assert_eq!(inline["items"][0]["content"].as_str().unwrap().len(), awaited.len().div_ceil(3) * 4);

    // It is in the log of renders, as what it was.
    let render = wait_until_async("the render is in the log", async || {
        let (_, found) = answer(ask(&server, "GET", "/renders?source=async&meta=case:7")).await;
        found["items"].get(0).cloned()
    })
    .await;
    assert_eq!(render["id"], item["renderId"]);
    let (_, found) = answer(ask(&server, "GET", "/render/jobs?reference=order-1&status=completed")).await;
    assert_eq!((&found["total"], &found["items"][0]["jobId"]), (&json!(1), &json!(id)));
    let (_, found) = answer(ask(&server, "GET", "/render/jobs?reference=order-2")).await;
    assert_eq!(found["total"], json!(0));

    assert_eq!(refused(&server, "POST", &format!("/render/jobs/{id}/cancel")).await, (409, "already_terminal".to_owned()));
    assert_eq!(refused(&server, "GET", &format!("/render/jobs/{id}/items/1/content")).await.0, 404);
    assert_eq!(refused(&server, "GET", &format!("/render/jobs/{id}/package")).await, (422, "packaging_unsupported".to_owned()));
    assert_eq!(refused(&server, "DELETE", &format!("/render/jobs/{id}")).await.0, 204);
    assert_eq!(refused(&server, "GET", &format!("/render/jobs/{id}")).await.0, 404);
}

#[tokio::test]
async fn items_of_a_job_fail_alone_and_those_that_did_not_are_packed() {
    let server = Server::start();
    template(&server).await;
    let items: Vec<Value> = (0..7)
        .map(|n| {
            if n == 3 {
                json!({"template": "greeting", "data": {}})
            } else {
                json!({"template": "greeting", "data": {"name": format!("No{n}")}, "reference": format!("r{n}")})
            }
        })
        .collect();
    let id = submitted(
        &server,
        &json!({"format": "pdf", "items": items, "now": NOW, "packaging": "zip", "metadata": {"run": "x"}, "reference": "May / 7"}),
    )
    .await;
    let job = ended(&server, &id).await;
    assert_eq!((&job["status"], &job["progress"]), (&json!("completed"), &json!({"total": 7, "completed": 6, "failed": 1})), "{job}");
    let failed = &job["items"][3];
    assert_eq!((&failed["status"], &failed["error"]["code"]), (&json!("failed"), &json!("validation_failed")), "{failed}");
    assert_eq!(refused(&server, "GET", &format!("/render/jobs/{id}/items/3/content")).await, (409, "job_not_completed".to_owned()));
    let package = ask(&server, "GET", job["package"]["contentUrl"].as_str().unwrap()).send().await.unwrap();
    let named = package.headers()["content-disposition"].to_str().unwrap();
    assert!(named.ends_with("filename*=UTF-8''May%20_%207.zip"), "{named}");
    let archive = bytes(&server, job["package"]["contentUrl"].as_str().unwrap()).await;
    let mut archive = zip::ZipArchive::new(Cursor::new(archive)).unwrap();
    let mut manifest = String::new();
    archive.by_name("manifest.json").unwrap().read_to_string(&mut manifest).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!((&manifest["total"], &manifest["succeeded"], &manifest["failed"]), (&json!(7), &json!(6), &json!(1)));
    assert_eq!(archive.len(), 7);
    let name = manifest["items"][5]["file"].as_str().unwrap().to_owned();
    let mut packed = Vec::new();
    archive.by_name(&name).unwrap().read_to_end(&mut packed).unwrap();
    assert_eq!(packed, bytes(&server, &format!("/render/jobs/{id}/items/5/content")).await);

    let all = json!({"format": "html", "items": [{"template": "greeting", "data": {}}, {"template": "gone", "data": {}}]});
    let job = ended(&server, &submitted(&server, &all).await).await;
    assert_eq!((&job["status"], &job["failureCode"]), (&json!("failed"), &json!("batch_items_failed")), "{job}");
    assert_eq!(job["items"][1]["error"]["code"], json!("not_found"));
    let one = json!({"format": "html", "template": "greeting", "data": {}});
    let job = ended(&server, &submitted(&server, &one).await).await;
    assert_eq!((&job["status"], &job["failureCode"]), (&json!("failed"), &json!("validation_failed")), "{job}");

    let shared = json!({"format": "pdf", "definition": {"key": "mine", "name": "Mine", "html": "<p>{{a}}</p>"}, "packaging": "merged-pdf",
        "items": [{"data": {"a": "one"}}, {"data": {"a": "two"}}]});
    let id = submitted(&server, &shared).await;
    let job = ended(&server, &id).await;
    assert_eq!((&job["status"], &job["items"][1]["template"]), (&json!("completed"), &json!("mine")), "{job}");
    let merged = bytes(&server, &format!("/render/jobs/{id}/package")).await;
    assert_eq!(testkit::pdf::page_count(&merged), 2);
}

#[tokio::test]
async fn what_a_request_would_be_refused_for_is_refused_at_submission() {
    let server = Server::start_with(&[("JOB_MAX_ITEMS", "3"), ("JOB_MAX_OPEN_ITEMS", "4"), ("JOB_CONCURRENCY", "0")]);
    template(&server).await;
    let try_it = async |body: Value| {
        let (status, body) = answer(ask(&server, "POST", "/render/jobs").json(&body)).await;
        (status, body["code"].as_str().unwrap_or_default().to_owned(), body["issues"][0]["path"].as_str().unwrap_or_default().to_owned())
    };
    let item = json!({"template": "greeting", "data": {"name": "x"}});
    let code = |found: &(u16, String, String)| (found.0, found.1.clone());
    assert_eq!(try_it(json!({"template": "greeting"})).await, (422, "validation_failed".into(), "/format".into()));
    assert_eq!(code(&try_it(json!({"template": "greeting", "format": "docx"})).await), (501, "not_implemented".into()));
    assert_eq!(
        code(&try_it(json!({"template": "greeting", "format": "pdf", "packaging": "zip"})).await),
        (422, "packaging_unsupported".into())
    );
    assert_eq!(code(&try_it(json!({"format": "pdf", "template": "greeting", "optoins": {}})).await), (400, "bad_request".into()));
    assert_eq!(try_it(json!({"format": "pdf", "template": "greeting", "dryRun": true})).await.2, "/dryRun");
    assert_eq!(try_it(json!({"format": "pdf", "items": []})).await.2, "/items");
    assert_eq!(try_it(json!({"format": "pdf", "items": [item, item, item, item]})).await.2, "/items");
    assert_eq!(
        try_it(json!({"format": "pdf", "items": [item, {"template": "greeting", "options": {"paperSize": "A77"}}]})).await.2,
        "/items/1/options/paperSize"
    );
    assert_eq!(
        try_it(json!({"format": "pdf", "definition": {"html": "x"}, "items": [item]})).await,
        (422, "validation_failed".into(), "/items/0/template".into())
    );
    let as_link = json!({"format": "pdf", "items": [item, {"template": "greeting", "output": {"store": true, "respondWith": "link"}}]});
    assert_eq!(try_it(as_link).await.2, "/items/1/output/respondWith");
    let told = json!({"format": "html", "items": [item], "webhookUrl": "https://example.com/x", "webhookSecret": "a-secret-of-the-tests"});
    let (status, other) = answer(ask(&server, "POST", "/render/batch/async").json(&told)).await;
    assert_eq!((status, &other["issues"][0]["path"]), (422, &json!("/format")), "{other}");

    let told =
        json!({"format": "pdf", "items": [item], "webhookUrl": "https://example.com:22/x", "webhookSecret": "a-secret-of-the-tests"});
    let (status, other) = answer(ask(&server, "POST", "/render/jobs").json(&told)).await;
    assert_eq!((status, &other["code"]), (422, &json!("webhook_url_rejected")), "{other}");
    assert!(other["issues"][0]["message"].as_str().unwrap().contains("port 22"), "{other}");

    // Nobody makes anything here: what is open stays open.
    let body = json!({"format": "pdf", "items": [item, item, item]});
    let keyed = |key: &str, body: &Value| answer(ask(&server, "POST", "/render/jobs").header("Idempotency-Key", key).json(body));
    let (status, first) = keyed("key-1", &body).await;
    let (again, second) = keyed("key-1", &body).await;
    assert_eq!((status, again, &first["jobId"]), (202, 202, &second["jobId"]), "the same request is the same job");
    let turned: String = format!(r#"{{"items": [{0}, {0}, {0}], "format": "pdf"}}"#, r#"{"data": {"name": "x"}, "template": "greeting"}"#);
    let turned =
        ask(&server, "POST", "/render/jobs").header("Idempotency-Key", "key-1").header("Content-Type", "application/json").body(turned);
    assert_eq!(answer(turned).await.1["jobId"], first["jobId"], "in whatever order its fields are");
    let other = json!({"format": "html", "items": [item, item, item]});
    assert_eq!(keyed("key-1", &other).await.1["code"], json!("idempotency_key_reused"));
    assert_eq!(keyed("a b", &body).await.1["code"], json!("idempotency_key_invalid"));
    assert_eq!(code(&try_it(body).await), (429, "rate_limited".into()));
    let id = first["jobId"].as_str().unwrap();
    assert_eq!(refused(&server, "GET", &format!("/render/jobs/{id}/items/0/content")).await, (409, "job_not_completed".into()));
    let (status, cancelled) = answer(ask(&server, "POST", &format!("/render/jobs/{id}/cancel"))).await;
    assert_eq!((status, &cancelled["status"], &cancelled["cancelRequested"]), (200, &json!("cancelled"), &json!(true)));
    assert_eq!(refused(&server, "POST", &format!("/render/jobs/{id}/cancel")).await, (409, "already_terminal".into()));
    let (_, job) = answer(ask(&server, "GET", &format!("/render/jobs/{id}"))).await;
    assert_eq!(job["items"][2]["status"], json!("cancelled"));
    assert_eq!(try_it(json!({"format": "pdf", "items": [item, item, item]})).await.0, 202, "what was called off is open no more");
}

#[tokio::test]
async fn a_job_is_called_off_while_it_is_made_and_gone_when_its_time_is_over() {
    let server = Server::start_with(&[("WEBHOOK_JOB_RETENTION_SECONDS", "3"), ("JOB_CONCURRENCY", "1")]);
    template(&server).await;
    let items: Vec<Value> = (0..300).map(|n| json!({"template": "greeting", "data": {"name": format!("No{n}")}})).collect();
    let id = submitted(&server, &json!({"format": "pdf", "items": items})).await;
    wait_until_async("some are done", async || {
        let (_, job) = answer(ask(&server, "GET", &format!("/render/jobs/{id}"))).await;
        (job["progress"]["completed"].as_u64()? > 2).then_some(())
    })
    .await;
    let (status, job) = answer(ask(&server, "POST", &format!("/render/jobs/{id}/cancel"))).await;
    assert_eq!((status, &job["status"]), (200, &json!("cancelled")));
    let done = job["progress"]["completed"].as_u64().unwrap();
    assert!(done < 300, "{job}");
    assert!(bytes(&server, &format!("/render/jobs/{id}/items/0/content")).await.starts_with(b"%PDF"), "what was done stays");
    // Another job is made although the first had hundreds before it.
    let short = json!({"format": "html", "template": "greeting", "data": {"name": "x"}});
    let keyed = || answer(ask(&server, "POST", "/render/jobs").header("Idempotency-Key", "once").json(&short));
    let first = keyed().await.1["jobId"].as_str().unwrap().to_owned();
    assert_eq!(ended(&server, &first).await["status"], json!("completed"));
    let (status, again) = keyed().await;
    assert_eq!((status, &again["jobId"], &again["status"]), (202, &json!(first), &json!("completed")), "as it stands");
    let (_, later) = answer(ask(&server, "GET", &format!("/render/jobs/{id}"))).await;
    assert_eq!(later["progress"]["completed"].as_u64(), Some(done), "nothing was added to what was called off");
    let expired = wait_until_async("its time is over", async || {
        let found = refused(&server, "GET", &format!("/render/jobs/{id}")).await;
        (found.0 != 200).then_some(found)
    })
    .await;
    assert_eq!(expired, (410, "job_expired".to_owned()));
    assert_eq!(refused(&server, "GET", &format!("/render/jobs/{id}/items/0/content")).await, (410, "job_expired".to_owned()));
    let anew = wait_until_async("the key is free", async || {
        let (status, job) = keyed().await;
        assert_eq!(status, 202, "{job}");
        (job["jobId"] != json!(first)).then_some(job)
    })
    .await;
    assert_eq!(ended(&server, anew["jobId"].as_str().unwrap()).await["status"], json!("completed"), "a job of its own");
}

#[tokio::test]
async fn a_document_of_a_job_that_is_stored_is_fetched_as_the_stored_one() {
    let server = Server::start();
    let definition = json!({"key": "d", "name": "D", "html": "<p>{{a}}</p>"});
    let item = |a: &str, output: Value| json!({"data": {"a": a}, "output": output});
    let items = [item("one", json!({"store": true, "maxDownloads": 1})), item("two", json!({"store": true})), item("three", json!(null))];
    let body =
        json!({"format": "html", "definition": definition, "items": items, "packaging": "zip", "packageOptions": {"filename": "may"}});
    let id = submitted(&server, &body).await;
    let job = ended(&server, &id).await;
    let document = |n: usize| job["items"][n]["documentId"].as_str().unwrap().to_owned();
    let content = |n: usize| format!("/render/jobs/{id}/items/{n}/content");
    let of_render = |path: &str| answer(reqwest::Client::new().get(server.url(path)).header("X-Api-Key", RENDER_KEY));
    assert_eq!(of_render(&content(0)).await.0, 404, "another key does not read what was stored with this one");
    let (_, older) = answer(ask(&server, "GET", &format!("/render/batch/jobs/{id}"))).await;
    assert!(older["results"]["results"][0]["html"].as_str().unwrap().contains("<p>one</p>"), "{older}");
    let (_, known) = answer(ask(&server, "GET", &format!("/documents/{}", document(0)))).await;
    assert_eq!(known["downloadCount"], json!(1), "that was the one download");
    assert_eq!(refused(&server, "GET", &content(0)).await, (410, "document_link_expired".to_owned()));
    assert!(String::from_utf8(bytes(&server, &content(1)).await).unwrap().contains("<p>two</p>"));
    assert_eq!(refused(&server, "DELETE", &format!("/documents/{}", document(1))).await.0, 204);
    assert_eq!(refused(&server, "GET", &content(1)).await.0, 404);
    let (_, inline) = answer(ask(&server, "GET", &format!("/render/jobs/{id}?include=content"))).await;
    let given: Vec<bool> = inline["items"].as_array().unwrap().iter().map(|item| item["content"].is_string()).collect();
    assert_eq!(given, [false, false, true], "{inline}");
    let package = ask(&server, "GET", &format!("/render/jobs/{id}/package")).send().await.unwrap();
    assert!(package.headers()["content-disposition"].to_str().unwrap().contains("may.zip"));
    let archive = zip::ZipArchive::new(Cursor::new(package.bytes().await.unwrap())).unwrap();
    assert_eq!(archive.len(), 2, "the manifest, and what is still for everybody");

    lose(&server.data_dir().join("assets"));
    let (status, lost) = answer(ask(&server, "GET", &content(2))).await;
    assert_eq!((status, &lost["code"]), (500, &json!("ASSET_BINARY_MISSING")), "{lost}");
    assert!(lost["message"].as_str().unwrap().contains("the bytes of the document"), "{lost}");
}

/// Removes all files in a folder.
fn lose(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { lose(&path) } else { std::fs::remove_file(path).unwrap() }
    }
}

#[tokio::test]
async fn an_answer_holds_a_thousand_items_unasked_and_a_small_request_does_not_become_a_large_job() {
    let server = Server::start();
    let items = vec![json!({"template": "gone"}); 1_100];
    let id = submitted(&server, &json!({"format": "html", "items": items})).await;
    let job = ended(&server, &id).await;
    assert_eq!((job["progress"]["failed"].as_u64(), job["items"].as_array().map(Vec::len)), (Some(1_100), Some(1_000)));
    let (_, all) = answer(ask(&server, "GET", &format!("/render/jobs/{id}?include=items"))).await;
    assert_eq!(all["items"].as_array().map(Vec::len), Some(1_100));
    let words: serde_json::Map<String, Value> = (0..10).map(|n| (format!("word{n}"), json!("x".repeat(200)))).collect();
    let large = json!({"format": "html", "items": vec![json!({"template": "gone"}); 10_000], "metadata": words});
    let (status, refused) = answer(ask(&server, "POST", "/render/jobs").json(&large)).await;
    assert_eq!((status, &refused["issues"][0]["path"]), (422, &json!("/metadata")), "{refused}");
}

#[tokio::test]
async fn a_limited_key_sees_the_jobs_of_its_templates_and_a_small_one_does_not_wait_behind_a_large_one() {
    let server = Server::start_with(&[("JOB_CONCURRENCY", "1")]);
    template(&server).await;
    let (_, key) =
        answer(ask(&server, "POST", "/admin/api-keys").json(&json!({"name": "x", "scope": "render", "allowedTemplates": ["greeting"]})))
            .await;
    let key = key["key"].as_str().unwrap();
    let by_key =
        |method: &str, path: &str| reqwest::Client::new().request(method.parse().unwrap(), server.url(path)).header("X-Api-Key", key);
    let items: Vec<Value> = (0..200).map(|n| json!({"template": "greeting", "data": {"name": format!("No{n}")}})).collect();
    let large = submitted(&server, &json!({"format": "pdf", "items": items})).await;
    let inline = submitted(&server, &json!({"format": "pdf", "definition": {"key": "d", "name": "D", "html": "x"}})).await;
    assert_eq!(ended(&server, &inline).await["status"], json!("completed"));
    let (_, job) = answer(by_key("GET", &format!("/render/jobs/{large}"))).await;
    assert!(matches!(job["status"].as_str(), Some("processing" | "pending")), "one document had its turn among two hundred: {job}");
    assert_eq!(answer(by_key("GET", &format!("/render/jobs/{inline}"))).await.0, 404);
    let (_, found) = answer(by_key("GET", "/render/jobs")).await;
    assert_eq!((&found["total"], &found["items"][0]["jobId"]), (&json!(1), &json!(large)));
    let (status, refused) = answer(by_key("POST", "/render/jobs").json(&json!({"format": "pdf", "items": [{"template": "other"}]}))).await;
    assert_eq!((status, &refused["code"]), (403, &json!("api_key_template_not_allowed")));
    let render = reqwest::Client::new().get(server.url("/render/jobs")).header("X-Api-Key", RENDER_KEY);
    assert_eq!(answer(render).await.1["total"], json!(2));
    tokio::time::timeout(Duration::from_mins(1), ended(&server, &large)).await.unwrap();
}
