//! What two people who write one template see of each other, and of what they changed.

use reqwest::Method;
use serde_json::{Value, json};

use crate::running::{EDITOR_KEY, KEY, Server};

const ADA: &str = "adas-own-key-of-the-tests";
const BOB: &str = "bobs-own-key-of-the-tests";

struct Answer {
    status: u16,
    etag: Option<String>,
    body: Value,
}

async fn ask(server: &Server, key: &str, method: Method, path: &str, if_match: Option<&str>, body: Option<&Value>) -> Answer {
    let mut request = reqwest::Client::new().request(method, server.url(path)).header("X-Api-Key", key);
    if let Some(tag) = if_match {
        request = request.header("If-Match", tag);
    }
    if let Some(body) = body {
        request = request.json(body);
    }
    let answer = request.send().await.unwrap();
    let etag = answer.headers().get("etag").map(|tag| tag.to_str().unwrap().to_owned());
    Answer { status: answer.status().as_u16(), etag, body: answer.json().await.unwrap_or_default() }
}

async fn with_people() -> Server {
    let server = Server::start();
    for (id, key, role) in [("ada", ADA, "author"), ("bob", BOB, "editor")] {
        let user = json!({"id": id, "displayName": id, "key": key, "role": role});
        assert!(server.post("/admin/users", &user).await.status().is_success());
    }
    let definition = json!({"key": "memo", "name": "Memo", "html": "<p>{{name}}</p>"});
    assert_eq!(server.post("/templates", &definition).await.status(), 201);
    server
}

#[tokio::test]
async fn a_draft_is_its_owners_to_write_everybodys_to_read_and_never_rendered() {
    let server = with_people().await;
    let unfinished = json!({"baseVersion": "1.0.0", "definition": {"html": "<p>{{#if", "z": 1, "a": 2}});
    assert_eq!(ask(&server, ADA, Method::GET, "/templates/memo/draft", None, None).await.status, 204);
    let saved = ask(&server, ADA, Method::PUT, "/templates/memo/draft", None, Some(&unfinished)).await;
    assert_eq!((saved.status, saved.etag.as_deref(), &saved.body["owner"]), (200, Some("\"1\""), &json!("ada")), "{}", saved.body);
    assert_eq!(saved.body["definition"].to_string(), unfinished["definition"].to_string());

    let own = ask(&server, ADA, Method::GET, "/templates/memo/draft", None, None).await;
    let read = ask(&server, BOB, Method::GET, "/templates/memo/drafts/ada", None, None).await;
    assert_eq!((own.body.clone(), read.status), (read.body, 200));
    assert_eq!(ask(&server, BOB, Method::GET, "/templates/memo/draft", None, None).await.status, 204);
    assert_eq!(ask(&server, ADA, Method::GET, "/templates/memo/drafts/bob", None, None).await.status, 204);
    let listed = ask(&server, KEY, Method::GET, "/templates/memo/drafts", None, None).await.body;
    assert_eq!(
        (&listed["total"], &listed["items"][0]["owner"], &listed["items"][0]["definition"]),
        (&json!(1), &json!("ada"), &Value::Null)
    );
    let html = server.post("/render/html", &json!({"template": "memo", "data": {"name": "x"}})).await;
    assert!(html.text().await.unwrap().contains("<p>x</p>"));

    assert_eq!(ask(&server, ADA, Method::DELETE, "/templates/memo/draft", None, None).await.status, 204);
    assert_eq!(ask(&server, ADA, Method::DELETE, "/templates/memo/draft", None, None).await.status, 204);
    assert_eq!(ask(&server, BOB, Method::GET, "/templates/memo/drafts/ada", None, None).await.status, 204);
}

#[tokio::test]
async fn of_two_windows_of_one_person_the_second_is_told_where_it_asks_for_that() {
    let server = with_people().await;
    let draft = |text: &str| json!({"baseVersion": "1.0.0", "definition": {"html": text}});
    let put = async |tag: Option<&str>, text: &str| ask(&server, ADA, Method::PUT, "/templates/memo/draft", tag, Some(&draft(text))).await;
    assert_eq!(put(Some("\"7\""), "a").await.body["code"], "precondition_failed");
    assert_eq!(put(Some("\"0\""), "a").await.etag.as_deref(), Some("\"1\""));
    assert_eq!(put(Some("\"0\""), "a").await.status, 412);
    assert_eq!(put(Some("\"1\""), "b").await.etag.as_deref(), Some("\"2\""));
    assert_eq!(put(Some("\"1\""), "late").await.status, 412);
    assert_eq!(put(Some("W/\"2\""), "x").await.body["code"], "bad_request");
    assert_eq!(put(None, "c").await.etag.as_deref(), Some("\"3\""), "without a condition the last one wins");
    assert_eq!(ask(&server, ADA, Method::DELETE, "/templates/memo/draft", Some("\"2\""), None).await.status, 412);
    let kept = ask(&server, ADA, Method::GET, "/templates/memo/draft", None, None).await;
    assert_eq!(kept.body["definition"]["html"], "c");

    // Both windows at once, each with what it has read: one is let through.
    let both = tokio::join!(put(Some("\"3\""), "one"), put(Some("\"3\""), "other"));
    let mut statuses = [both.0.status, both.1.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);

    let events = server.get("/audit-events?limit=50").await.json::<Value>().await.unwrap();
    let told = events["items"].as_array().unwrap().iter().filter(|event| event["event"] == "template.draft-saved").count();
    assert_eq!(told, 1, "saves that follow each other closely are told once: {events}");
    assert_eq!(server.post("/templates/memo/versions/1.0.0/restore", &json!({})).await.status(), 428);
}

#[tokio::test]
async fn what_cannot_become_a_draft_is_refused_with_its_reason() {
    let server = with_people().await;
    let put = async |key: &str, body: Value| {
        let answer = ask(&server, key, Method::PUT, "/templates/memo/draft", None, Some(&body)).await;
        (answer.status, answer.body["code"].as_str().unwrap_or_default().to_owned(), answer.body["issues"][0]["path"].clone())
    };
    let good = json!({"baseVersion": "1.0.0", "definition": {}});
    for key in [KEY, EDITOR_KEY] {
        assert_eq!(put(key, good.clone()).await.1, "draft_identity_required");
        let answer = ask(&server, key, Method::GET, "/templates/memo/draft", None, None).await;
        assert_eq!((answer.status, &answer.body["code"]), (409, &json!("draft_identity_required")));
    }
    // A name that the holder of a key chose is not a person's.
    let token = server.post("/auth/editor-token", &json!({"key": EDITOR_KEY, "actor": "ada"})).await.json::<Value>().await.unwrap();
    let request = reqwest::Client::new().get(server.url("/templates/memo/draft"));
    let answer = request.header("X-Editor-Token", token["token"].as_str().unwrap_or("none")).send().await.unwrap();
    assert_ne!(answer.status().as_u16(), 204, "a label passed for a person");

    for (body, path) in [
        (json!({"baseVersion": "9.9.9", "definition": {}}), "/baseVersion"),
        (json!({"baseVersion": "latest", "definition": {}}), "/baseVersion"),
        (json!({"baseVersion": "1.0.0", "definition": []}), "/definition"),
    ] {
        assert_eq!(put(ADA, body).await, (422, "validation_failed".to_owned(), json!(path)));
    }
    let nowhere = ask(&server, ADA, Method::PUT, "/templates/nowhere/draft", None, Some(&good)).await;
    assert_eq!(nowhere.status, 404);
    assert_eq!(ask(&server, KEY, Method::GET, "/templates/nowhere/draft", None, None).await.status, 404);
}

#[tokio::test]
async fn versions_are_compared_by_number_and_by_what_is_current() {
    let server = with_people().await;
    let next = json!({"key": "memo", "name": "Memo", "html": "<p>{{name}} {{vat}}</p>",
        "inputSchema": {"type": "object", "required": ["vat"], "properties": {"vat": {"type": "string"}}}});
    let saved = ask(&server, KEY, Method::PUT, "/templates/memo", Some("\"1.0.0\""), Some(&next)).await;
    assert_eq!(saved.status, 200, "{}", saved.body);

    let diff = async |body: Value| ask(&server, KEY, Method::POST, "/templates/memo/diff", None, Some(&body)).await;
    let answer = diff(json!({})).await.body;
    assert_eq!((&answer["beforeVersion"], &answer["afterVersion"]), (&json!("1.0.0"), &json!("1.0.1")));
    assert_eq!(answer["documentRootChanges"][0]["path"], "html line 1");
    assert_eq!(answer["summary"]["propertiesChanged"], 2);
    let back = diff(json!({"beforeVersion": "1.0.1", "afterVersion": "1.0.0"})).await.body;
    assert_eq!(back["documentRootChanges"][0]["after"], "<p>{{name}}</p>");
    let same = diff(json!({"beforeVersion": "1.0.1", "afterLabel": "@latest"})).await.body;
    assert_eq!(same["summary"]["propertiesChanged"], 0);
    assert_eq!(diff(json!({"beforeVersion": "7.0.0"})).await.status, 404);
    assert_eq!(diff(json!({"beforeLabel": "prod"})).await.status, 404);
    assert_eq!(diff(json!({"beforeVersion": "1.0.0", "beforeLabel": "prod"})).await.body["code"], "bad_request");

    let compatibility = async |query: &str| {
        let answer = ask(&server, KEY, Method::GET, &format!("/templates/memo/compatibility?{query}"), None, None).await;
        (answer.status, answer.body)
    };
    let (_, answer) = compatibility("base=version:1.0.0").await;
    assert_eq!((&answer["compatible"], &answer["changes"][0]["rule"]), (&json!(false), &json!("type")), "{answer}");
    let (_, answer) = compatibility("base=current&candidate=1.0.0").await;
    assert_eq!((&answer["compatible"], &answer["changes"], &answer["candidate"]), (&json!(true), &json!([]), &json!("1.0.0")));
    for (query, status) in [("", 400), ("base=prod", 400), ("base=label:prod", 404), ("base=version:9.0.0", 404), ("base=9.0.0", 404)] {
        assert_eq!(compatibility(query).await.0, status, "{query}");
    }
}

#[tokio::test]
async fn a_template_may_be_called_like_an_act() {
    let server = with_people().await;
    assert_eq!(server.post("/templates", &json!({"key": "infer-schema", "name": "I", "html": "x"})).await.status(), 201);
    assert_eq!(server.get("/templates/infer-schema").await.status(), 200);
    let inferred = server.post("/templates/infer-schema", &json!({"sample": {"n": 1}})).await.json::<Value>().await.unwrap();
    assert_eq!(inferred["schema"]["properties"]["n"]["type"], "integer");
    let wrong = server.post("/templates/infer-schema", &json!({"sample": {}, "requiredWhen": "always"})).await;
    assert_eq!(wrong.status(), 422);
    let large = server.post("/templates/infer-schema", &json!({"sample": vec![0; 1_000_000]})).await;
    assert_eq!(large.status(), 422);
    let refused = large.json::<Value>().await.unwrap();
    assert_eq!(refused["issues"][0]["path"], "/sample", "{refused}");
    assert!(refused["message"].as_str().unwrap().contains("the 100000 accepted"), "{refused}");
    assert_eq!(server.post("/templates/memo", &json!({})).await.status(), 405);
    assert_eq!(server.post("/templates/generate", &json!({})).await.status(), 501);
}
