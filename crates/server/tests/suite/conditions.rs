//! `If-Match` on every operation that changes something: it counts, or it is refused.

use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::assets::PNG;
use crate::running::{KEY, Server, answer};

async fn ask(server: &Server, method: &str, path: &str, if_match: Option<&str>, body: &Value) -> (u16, Value) {
    let mut request = reqwest::Client::new().request(method.parse().unwrap(), server.url(path)).header("X-Api-Key", KEY);
    if let Some(condition) = if_match {
        request = request.header("If-Match", condition);
    }
    answer(if body.is_null() { request } else { request.json(body) }).await
}

async fn asset_at_its_second_version(server: &Server) -> String {
    let upload = |method: reqwest::Method, path: String| async move {
        let form = Form::new().part("file", Part::bytes(PNG).file_name("dot.png"));
        answer(reqwest::Client::new().request(method, server.url(&path)).header("X-Api-Key", KEY).multipart(form)).await
    };
    let (status, made) = upload(reqwest::Method::POST, "/assets/upload".to_owned()).await;
    assert_eq!(status, 201, "{made}");
    let id = made["id"].as_str().unwrap().to_owned();
    let (status, again) = upload(reqwest::Method::PUT, format!("/assets/{id}/content")).await;
    assert_eq!((status, again["version"].as_u64()), (200, Some(2)), "{again}");
    id
}

#[tokio::test]
async fn a_stale_condition_changes_nothing_and_one_that_cannot_be_checked_is_refused() {
    let server = Server::start();
    let asset = asset_at_its_second_version(&server).await;
    let template = json!({"key": "memo", "name": "Memo", "html": "x"});
    assert_eq!(ask(&server, "POST", "/templates", None, &template).await.0, 201);
    for revision in 1..=2 {
        let (status, kept) = ask(&server, "PUT", "/templates/memo/datasets/ada", None, &json!({"data": {"revision": revision}})).await;
        assert_eq!((status, kept["revision"].as_u64()), (200, Some(revision)), "{kept}");
    }
    let (dataset, asset) = ("/templates/memo/datasets/ada", format!("/assets/{asset}"));
    let restore = format!("{asset}/versions/1/restore");
    let later = json!({"version": "1.0.0", "effectiveAt": "2027-06-01T00:00:00Z"});

    let have_a_revision: [(&str, &str, Value, u16); 4] = [
        ("PATCH", &asset, json!({"altText": "A dot"}), 200),
        ("POST", &restore, Value::Null, 200),
        ("DELETE", dataset, Value::Null, 204),
        ("DELETE", &asset, Value::Null, 204),
    ];
    for (method, path, body, _) in &have_a_revision {
        for condition in ["\"1\"", "\"0\"", "\"4294967295\""] {
            let (status, refused) = ask(&server, method, path, Some(condition), body).await;
            assert_eq!((status, refused["code"].as_str()), (412, Some("precondition_failed")), "{method} {path} {condition}: {refused}");
            assert!(refused["message"].as_str().unwrap().contains("If-Match: \"2\""), "{method} {path}: {refused}");
        }
        for condition in ["*", "2", "W/\"2\"", "\"2\", \"3\""] {
            let (status, refused) = ask(&server, method, path, Some(condition), body).await;
            assert_eq!((status, refused["code"].as_str()), (400, Some("bad_request")), "{method} {path} {condition}");
        }
    }
    let (_, details) = ask(&server, "GET", &format!("{asset}/details"), None, &Value::Null).await;
    assert_eq!((details["version"].as_u64(), &details["altText"]), (Some(2), &Value::Null), "{details}");
    assert_eq!(ask(&server, "GET", dataset, None, &Value::Null).await.0, 200);

    let have_none: [(&str, &str, Value, u16); 4] = [
        ("PATCH", "/templates/memo/meta", json!({"owner": "ann"}), 200),
        ("PUT", "/templates/memo/sample", json!({"name": "Ada"}), 200),
        ("PATCH", "/templates/memo/versions/1.0.0", json!({"changeNote": "first"}), 200),
        ("POST", "/templates/memo/labels/prod/schedule", later, 201),
    ];
    for (method, path, body, done) in &have_none {
        for condition in ["\"1.0.0\"", "\"0\"", "*"] {
            let (status, refused) = ask(&server, method, path, Some(condition), body).await;
            assert_eq!((status, refused["code"].as_str()), (400, Some("bad_request")), "{method} {path}: {refused}");
            assert!(refused["message"].as_str().unwrap().contains("takes no If-Match"), "{method} {path}: {refused}");
        }
        assert_eq!(ask(&server, method, path, None, body).await.0, *done, "{method} {path}");
    }

    // The restore makes version 3, which is what the removal of the asset then has to name.
    for ((method, path, body, done), condition) in have_a_revision.iter().zip(["\"2\"", "\"2\"", "\"2\"", "\"3\""]) {
        let (status, said) = ask(&server, method, path, Some(condition), body).await;
        assert_eq!(status, *done, "{method} {path}: {said}");
    }
    for (method, path, body, _) in &have_a_revision {
        assert_eq!(ask(&server, method, path, Some("\"2\""), body).await.0, 404, "{method} {path}: what is gone is not stale");
    }
}
