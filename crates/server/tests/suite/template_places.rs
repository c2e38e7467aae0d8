//! Folders, tags and the trash as callers meet them, those that are limited too.

use serde_json::{Value, json};

use crate::running::{EDITOR_KEY, KEY, Server, answer};

async fn ask(server: &Server, method: &str, path: &str, key: &str, body: &Value) -> (u16, Value) {
    let request = reqwest::Client::new().request(method.parse().unwrap(), server.url(path)).header("X-Api-Key", key);
    answer(if body.is_null() { request } else { request.json(body) }).await
}

async fn done(server: &Server, method: &str, path: &str, body: Value) -> Value {
    let (status, answer) = ask(server, method, path, KEY, &body).await;
    assert!(matches!(status, 200..300), "{method} {path}: {status} {answer}");
    answer
}

async fn refused(server: &Server, method: &str, path: &str, body: Value) -> (u16, String) {
    let (status, answer) = ask(server, method, path, KEY, &body).await;
    (status, answer["code"].as_str().unwrap_or_default().to_owned())
}

fn keys(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["key"].as_str().unwrap()).collect()
}

async fn template(server: &Server, key: &str, meta: Value) {
    done(server, "POST", "/templates", json!({"key": key, "name": key, "html": "x"})).await;
    done(server, "PATCH", &format!("/templates/{key}/meta"), meta).await;
}

#[tokio::test]
async fn what_cannot_be_a_folder_a_tag_an_owner_or_a_filter_is_refused_with_its_code() {
    let server = Server::start();
    template(&server, "memo", json!({})).await;
    let code = |status: u16, code: &str| (status, code.to_owned());
    for name in ["", " ", "a/b", "a\u{202e}b", "..", &"x".repeat(129)] {
        assert_eq!(refused(&server, "POST", "/template-folders", json!({"name": name})).await, code(422, "validation_failed"), "{name:?}");
    }
    for meta in [json!({"tags": [""]}), json!({"tags": ["a,b"]}), json!({"owner": ""}), json!({"owner": "x".repeat(256)})] {
        assert_eq!(refused(&server, "PATCH", "/templates/memo/meta", meta.clone()).await, code(422, "validation_failed"), "{meta}");
    }
    let many: Vec<String> = (0..51).map(|number| format!("t{number}")).collect();
    assert_eq!(refused(&server, "PATCH", "/templates/memo/meta", json!({"tags": many})).await, code(422, "validation_failed"));
    assert_eq!(refused(&server, "PATCH", "/templates/memo/meta", json!({"colour": 1})).await, code(400, "bad_request"));
    assert_eq!(refused(&server, "PATCH", "/templates/memo/meta", json!({"folderId": "x"})).await, code(404, "folder_not_found"));
    for query in ["state=lost", "sort=colour", "order=up", "recursive=maybe", "folderId=x", "folderPath=x", "folderId=x&folderPath=/"] {
        assert_eq!(refused(&server, "GET", &format!("/templates?{query}"), Value::Null).await, code(400, "bad_request"), "{query}");
    }
    assert_eq!(refused(&server, "DELETE", "/templates/memo?permanent=perhaps", Value::Null).await, code(400, "bad_request"));
    assert_eq!(refused(&server, "DELETE", "/templates/memo?permanent=true", Value::Null).await, code(409, "template_not_in_trash"));
    assert_eq!(refused(&server, "DELETE", "/templates/absent?permanent=true", Value::Null).await, code(404, "not_found"));
    let mut parent = Value::Null;
    for depth in 1..=10 {
        parent = done(&server, "POST", "/template-folders", json!({"name": format!("d{depth}"), "parentId": parent})).await["id"].clone();
    }
    let deeper = json!({"name": "d11", "parentId": parent});
    assert_eq!(refused(&server, "POST", "/template-folders", deeper).await, code(422, "folder_depth_exceeded"));
}

#[tokio::test]
async fn a_credential_for_some_templates_learns_of_no_other_by_folder_tag_or_trash() {
    let server = Server::start();
    let open = done(&server, "POST", "/template-folders", json!({"name": "open"})).await;
    let hidden = done(&server, "POST", "/template-folders", json!({"name": "hidden"})).await;
    template(&server, "facture", json!({"folderId": open["id"], "tags": ["mine"]})).await;
    template(&server, "payroll", json!({"folderId": open["id"], "tags": ["theirs"]})).await;
    template(&server, "payroll-2", json!({"folderId": hidden["id"]})).await;
    for key in ["facture-old", "payroll-old"] {
        template(&server, key, json!({})).await;
        let delete = reqwest::Client::new().delete(server.url(&format!("/templates/{key}"))).header("X-Api-Key", KEY);
        assert_eq!(delete.header("If-Match", "\"1.0.0\"").send().await.unwrap().status(), 204);
    }
    let new = json!({"name": "few", "scope": "admin", "allowedTemplates": ["fact*"]});
    let made = done(&server, "POST", "/admin/api-keys", new).await;
    let few = made["key"].as_str().unwrap();
    let get = async |path: &str| ask(&server, "GET", path, few, &Value::Null).await.1;

    let folders = get("/template-folders").await;
    assert_eq!((folders["total"].as_u64(), folders["items"][0]["templateCount"].as_u64()), (Some(1), Some(1)), "{folders}");
    assert_eq!(get("/template-tags").await["items"], json!([{"tag": "mine", "count": 1}]));
    assert_eq!(keys(&get("/templates?folderPath=/open").await), ["facture"]);
    assert_eq!(keys(&get("/templates?state=deleted").await), ["facture-old"]);
    let hidden_folder = get(&format!("/templates?folderId={}", hidden["id"].as_str().unwrap())).await;
    assert_eq!(hidden_folder["total"], 0);
    let open_path = format!("/template-folders/{}", open["id"].as_str().unwrap());
    for (method, path, body) in [
        ("POST", "/templates/payroll-old/undelete", json!({})),
        ("DELETE", "/templates/payroll-old?permanent=true", Value::Null),
        ("PATCH", "/templates/payroll/meta", json!({"owner": "me"})),
        ("POST", "/template-folders", json!({"name": "new"})),
        ("PATCH", &open_path, json!({"name": "new"})),
        ("DELETE", &open_path, Value::Null),
    ] {
        let (status, answer) = ask(&server, method, path, few, &body).await;
        assert_eq!((status, answer["code"].as_str()), (403, Some("api_key_template_not_allowed")), "{method} {path}");
    }
    let above = done(&server, "POST", "/template-folders", json!({"name": "above"})).await;
    done(&server, "PATCH", &open_path, json!({"parentId": above["id"]})).await;
    let moved = async |folder: &Value| ask(&server, "PATCH", "/templates/facture/meta", few, &json!({"folderId": folder})).await;
    let (status, answer) = moved(&hidden["id"]).await;
    assert_eq!((status, answer["code"].as_str()), (404, Some("folder_not_found")), "a folder that it cannot see is none");
    let (status, answer) = moved(&above["id"]).await;
    assert_eq!((status, answer["folderPath"].as_str()), (200, Some("/above")), "one on the way to its template is there");
    let (status, _) = moved(&open["id"]).await;
    assert_eq!(status, 404, "with nothing of its own in it, it is no longer seen");
    assert_eq!(moved(&Value::Null).await.0, 200);
}

#[tokio::test]
async fn an_editor_sorts_templates_into_folders_and_only_an_admin_takes_them_out_of_the_trash() {
    let server = Server::start();
    let (status, folder) = ask(&server, "POST", "/template-folders", EDITOR_KEY, &json!({"name": "Letters"})).await;
    assert_eq!((status, folder["path"].as_str()), (201, Some("/Letters")));
    template(&server, "memo", json!({"folderId": folder["id"]})).await;
    let delete = reqwest::Client::new().delete(server.url("/templates/memo")).header("X-Api-Key", KEY);
    assert_eq!(delete.header("If-Match", "\"1.0.0\"").send().await.unwrap().status(), 204);
    let (status, _) = ask(&server, "POST", "/templates/memo/undelete", EDITOR_KEY, &Value::Null).await;
    assert_eq!(status, 403);
    let back = done(&server, "POST", "/templates/memo/undelete", Value::Null).await;
    assert_eq!((back["folderPath"].as_str(), back["deletedAt"].is_null()), (Some("/Letters"), true));
    let log = done(&server, "GET", "/audit-events", Value::Null).await;
    let told: Vec<&str> = log["items"].as_array().unwrap().iter().filter_map(|row| row["event"].as_str()).collect();
    for event in ["template-folder.created", "template.meta-changed", "template.deleted", "template.undeleted"] {
        assert!(told.contains(&event), "{event}: {told:?}");
    }
}
