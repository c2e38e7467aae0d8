//! Keys and users that are made while the server runs.

use serde_json::{Value, json};
use testkit::postgres::TestDatabase;

use crate::running::{EDITOR_KEY, KEY, Server, answer, wait_until_async};

fn request(server: &Server, method: &str, path: &str, key: &str) -> reqwest::RequestBuilder {
    reqwest::Client::new().request(method.parse().unwrap(), server.url(path)).header("X-Api-Key", key)
}

async fn made(server: &Server, body: Value) -> (String, String) {
    let (status, made) = answer(request(server, "POST", "/admin/api-keys/", KEY).json(&body)).await;
    assert_eq!(status, 201, "{made}");
    (made["id"].as_str().unwrap().to_owned(), made["key"].as_str().unwrap().to_owned())
}

async fn reads(server: &Server, path: &str, key: &str) -> (u16, String) {
    let (status, body) = answer(request(server, "GET", path, key)).await;
    (status, body["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_key_is_shown_once_works_within_its_limits_and_stops_when_it_is_revoked() {
    let server = Server::start();
    let (id, key) = made(&server, json!({"name": "billing", "scope": "editor", "allowedTemplates": ["inv*"]})).await;
    assert!(key.starts_with("pulp_") && key.len() > 60);
    assert_eq!(reads(&server, "/templates/invoice", &key).await.0, 200);
    assert_eq!(reads(&server, "/templates/letter", &key).await, (403, "api_key_template_not_allowed".to_owned()));
    assert_eq!(reads(&server, "/audit-events", &key).await.0, 403);

    let listed: Value = server.get("/admin/api-keys/").await.json().await.unwrap();
    assert_eq!((&listed["total"], &listed["items"][0]["keyHint"]), (&json!(1), &json!(key[key.len() - 4..])));
    assert!(!listed.to_string().contains(&key), "a list never shows a key");
    assert!(!server.log().contains(&key), "nor does the log");
    let events: Value = server.get("/audit-events?resourceType=api-key").await.json().await.unwrap();
    assert!(!events.to_string().contains(&key[30..]), "nor the audit log");

    let (status, rotated) =
        answer(request(&server, "POST", &format!("/admin/api-keys/{id}/rotate"), KEY).json(&json!({"overlapSeconds": 60}))).await;
    assert_eq!(status, 200, "{rotated}");
    let next = rotated["key"].as_str().unwrap().to_owned();
    assert_ne!(next, key);
    for text in [&key, &next] {
        assert_eq!(reads(&server, "/templates/invoice", text).await.0, 200, "both work during the overlap");
    }
    let (_, rotated) =
        answer(request(&server, "POST", &format!("/admin/api-keys/{id}/rotate"), KEY).json(&json!({"overlapSeconds": 0}))).await;
    let last = rotated["key"].as_str().unwrap().to_owned();
    assert_eq!(reads(&server, "/templates/invoice", &next).await.0, 401);
    assert_eq!(reads(&server, "/templates/invoice", &last).await.0, 200);
    assert_eq!(answer(request(&server, "POST", &format!("/admin/api-keys/{id}/revoke"), KEY)).await.0, 200);
    assert_eq!(reads(&server, "/templates/invoice", &last).await, (401, "unauthorized".to_owned()));
    let patch = request(&server, "PATCH", &format!("/admin/api-keys/{id}"), KEY).json(&json!({"name": "again"}));
    assert_eq!(answer(patch).await.0, 409);
}

#[tokio::test]
async fn a_key_expires_and_is_bound_to_addresses() {
    let server = Server::start();
    let (_, far) = made(&server, json!({"name": "far", "scope": "editor", "allowedIps": ["192.0.2.0/24"]})).await;
    assert_eq!(reads(&server, "/templates", &far).await, (403, "api_key_ip_not_allowed".to_owned()));
    let (id, near) = made(&server, json!({"name": "near", "scope": "editor", "allowedIps": ["127.0.0.1"]})).await;
    assert_eq!(reads(&server, "/templates", &near).await.0, 200);
    let patch = request(&server, "PATCH", &format!("/admin/api-keys/{id}"), KEY).json(&json!({"expiresAt": "2020-01-01T00:00:00Z"}));
    assert_eq!(answer(patch).await.0, 200);
    assert_eq!(reads(&server, "/templates", &near).await, (401, "api_key_expired".to_owned()));
    let patch = request(&server, "PATCH", &format!("/admin/api-keys/{id}"), KEY).json(&json!({"expiresAt": null}));
    assert_eq!(answer(patch).await.0, 200);
    assert_eq!(reads(&server, "/templates", &near).await.0, 200);
    for (body, field) in [
        (json!({"name": "", "scope": "editor"}), "/name"),
        (json!({"name": "x", "scope": "super-admin"}), "/scope"),
        (json!({"name": "x", "scope": "editor", "expiresAt": "2020-01-01T00:00:00Z"}), "/expiresAt"),
    ] {
        let (status, refused) = answer(request(&server, "POST", "/admin/api-keys", KEY).json(&body)).await;
        assert_eq!((status, &refused["issues"][0]["path"]), (422, &json!(field)), "{refused}");
    }
    let limited = json!({"key": KEY, "templates": ["invoice"]});
    let (_, minted) = answer(reqwest::Client::new().post(server.url("/auth/editor-token")).json(&limited)).await;
    let more = reqwest::Client::new().post(server.url("/admin/api-keys")).header("X-Editor-Token", minted["token"].as_str().unwrap());
    let (status, _) = answer(more.json(&json!({"name": "x", "scope": "admin"}))).await;
    assert_eq!(status, 403, "a limited credential makes no unlimited one");
}

#[tokio::test]
async fn a_user_logs_in_with_a_key_of_their_own_and_their_tokens_end_with_them() {
    let server = Server::start();
    let ann =
        json!({"id": "ann", "displayName": "Ann Lee", "key": "anns-very-own-secret-key", "role": "author", "email": "ann@example.com"});
    let (status, made) = answer(request(&server, "POST", "/admin/users/", KEY).json(&ann)).await;
    assert_eq!((status, &made["keyHint"], &made["active"]), (201, &json!("-key"), &json!(true)), "{made}");
    assert_eq!(answer(request(&server, "POST", "/admin/users/", KEY).json(&ann)).await.0, 409);
    let mint = async || {
        answer(
            reqwest::Client::new()
                .post(server.url("/auth/editor-token"))
                .json(&json!({"key": "anns-very-own-secret-key", "actor": "somebody else"})),
        )
        .await
    };
    let (status, minted) = mint().await;
    assert_eq!((status, &minted["actor"], &minted["displayName"]), (200, &json!("ann"), &json!("Ann Lee")), "the registry names a user");
    let token = minted["token"].as_str().unwrap().to_owned();
    let with_token = async |path: &str| answer(reqwest::Client::new().get(server.url(path)).header("X-Editor-Token", &token)).await;
    assert_eq!(with_token("/templates").await.0, 200);
    let change = async |body: Value| answer(request(&server, "PUT", "/admin/users/ann", KEY).json(&body)).await.0;
    assert_eq!(change(json!({"role": "none"})).await, 200);
    assert_eq!(with_token("/templates").await.0, 403, "the role of now counts, not that of the token");
    assert_eq!(change(json!({"role": "viewer", "active": false})).await, 200);
    let (status, refused) = with_token("/templates").await;
    assert_eq!((status, &refused["code"]), (401, &json!("account_deactivated")));
    assert_eq!(change(json!({"active": true, "tokenIssuedAfter": "2999-01-01T00:00:00Z"})).await, 200);
    assert_eq!(with_token("/templates").await.0, 401, "issued before the user's cut-over");
    assert_eq!(change(json!({"tokenIssuedAfter": null})).await, 200);
    assert_eq!(with_token("/templates").await.0, 200);
    let users: Value = server.get("/admin/users/").await.json().await.unwrap();
    assert!(users["users"][0]["id"] == "ann" && !users.to_string().contains("anns-very-own"), "{users}");
    let (status, removed) = answer(request(&server, "DELETE", "/admin/users/ann", KEY)).await;
    assert_eq!((status, removed), (200, json!({"deleted": true, "registrySize": 0})));
    assert_eq!(with_token("/templates").await.0, 401);
    assert_eq!(answer(request(&server, "GET", "/admin/users", EDITOR_KEY)).await.0, 403);
}

#[tokio::test]
async fn what_was_exchanged_for_a_key_ends_and_narrows_with_it() {
    let server = Server::start();
    let (id, key) = made(&server, json!({"name": "lent", "scope": "admin"})).await;
    let (status, minted) = answer(reqwest::Client::new().post(server.url("/auth/editor-token")).json(&json!({"key": key}))).await;
    assert_eq!(status, 200, "{minted}");
    let token = minted["token"].as_str().unwrap();
    let with_token = async |path: &str| answer(reqwest::Client::new().get(server.url(path)).header("X-Editor-Token", token)).await.0;
    assert_eq!((with_token("/templates/letter").await, with_token("/audit-events").await), (200, 200));
    let patch = request(&server, "PATCH", &format!("/admin/api-keys/{id}"), KEY).json(&json!({"allowedTemplates": ["inv*"]}));
    assert_eq!(answer(patch).await.0, 200);
    assert_eq!((with_token("/templates/letter").await, with_token("/templates/invoice").await), (403, 200));
    assert_eq!(with_token("/audit-events").await, 403, "the log is about all templates");
    assert_eq!(answer(request(&server, "POST", &format!("/admin/api-keys/{id}/revoke"), KEY)).await.0, 200);
    assert_eq!(with_token("/templates/invoice").await, 401);
}

#[tokio::test]
async fn the_next_user_of_an_id_inherits_no_token() {
    let server = Server::start();
    let user = |role: &str, key: &str| json!({"id": "ann", "displayName": "Ann", "key": key, "role": role});
    assert_eq!(answer(request(&server, "POST", "/admin/users", KEY).json(&user("viewer", "the-first-anns-own-key"))).await.0, 201);
    let mint = reqwest::Client::new().post(server.url("/auth/editor-token")).json(&json!({"key": "the-first-anns-own-key"}));
    let (_, minted) = answer(mint).await;
    let token = minted["token"].as_str().unwrap();
    let with_token = async || answer(reqwest::Client::new().get(server.url("/templates")).header("X-Editor-Token", token)).await.0;
    assert_eq!(with_token().await, 200);
    assert_eq!(answer(request(&server, "DELETE", "/admin/users/ann", KEY)).await.0, 200);
    assert_eq!(answer(request(&server, "POST", "/admin/users", KEY).json(&user("admin", "the-second-anns-own-key"))).await.0, 201);
    assert_eq!(with_token().await, 401);
    let (status, _) = answer(request(&server, "POST", "/admin/users", KEY).json(&json!({
        "id": "reload", "displayName": "x", "key": "a-key-of-sixteen-or-more", "role": "none"
    })))
    .await;
    assert_eq!(status, 422, "the path of that id means something else");
}

#[tokio::test]
async fn a_limited_credential_makes_no_other_and_sees_nothing_of_the_whole_tenant() {
    let server = Server::start();
    let limited = json!({"key": KEY, "actions": ["api-key:manage", "user:manage", "render-token:manage"]});
    let (_, minted) = answer(reqwest::Client::new().post(server.url("/auth/editor-token")).json(&limited)).await;
    let token = minted["token"].as_str().unwrap();
    for (path, body) in [
        ("/admin/api-keys", json!({"name": "x", "scope": "admin"})),
        ("/admin/users", json!({"id": "eve", "displayName": "Eve", "key": "eves-own-key-for-later", "role": "admin"})),
        ("/render-tokens", json!({"templates": ["invoice"]})),
    ] {
        let post = reqwest::Client::new().post(server.url(path)).header("X-Editor-Token", token).json(&body);
        let (status, refused) = answer(post).await;
        assert_eq!(status, 403, "{path}: {refused}");
    }
    let (_, key) = made(&server, json!({"name": "few", "scope": "admin", "allowedTemplates": ["invoice"]})).await;
    for path in ["/audit-events", "/audit-events/export", "/admin/users", "/admin/api-keys", "/admin/system", "/usage/quota"] {
        assert_eq!(reads(&server, path, &key).await.0, 403, "{path}");
    }
    let purge = request(&server, "DELETE", "/audit-events?before=2020-01-01", &key);
    assert_eq!(answer(purge).await.0, 403);
    assert_eq!(reads(&server, "/templates/invoice", &key).await.0, 200);
}

#[tokio::test]
async fn users_come_in_pages_and_no_tenant_has_more_of_them_than_it_may() {
    let database = TestDatabase::empty().await;
    let url: &'static str = Box::leak(database.url().to_owned().into_boxed_str());
    let server = Server::start_with(Box::leak(vec![("DATABASE_URL", url)].into_boxed_slice()));
    let seed = "INSERT INTO users (user_id, tenant_id, display_name, role, auth_method, created_at, updated_at)
                SELECT 'person-' || lpad(n::text, 5, '0'), 'default', 'Person', 'viewer', 'oidc', now(), now()
                FROM generate_series(1, 9999) AS n";
    database.query(seed).await;
    let user = |id: &str| json!({"id": id, "displayName": "Z", "key": format!("the-own-key-of-{id}"), "role": "viewer"});
    let create = async |id: &str| answer(request(&server, "POST", "/admin/users", KEY).json(&user(id))).await;
    assert_eq!(create("zoe").await.0, 201, "the ten thousandth");
    let (status, refused) = create("one-too-many").await;
    assert_eq!((status, &refused["code"]), (409, &json!("quota_exceeded")), "{refused}");
    let page = async |query: &str| answer(request(&server, "GET", &format!("/admin/users{query}"), KEY)).await;
    let (_, all) = page("/").await;
    assert_eq!((all["users"].as_array().unwrap().len(), &all["total"], &all["limit"]), (1_000, &json!(10_000), &json!(1_000)));
    let (_, last) = page("?limit=3&offset=9998").await;
    let ids: Vec<&Value> = last["users"].as_array().unwrap().iter().map(|user| &user["id"]).collect();
    assert_eq!((ids, &last["total"], &last["offset"]), (vec![&json!("person-09999"), &json!("zoe")], &json!(10_000), &json!(9_998)));
    for wrong in ["?limit=0", "?limit=1001", "?offset=x"] {
        assert_eq!(page(wrong).await.0, 400, "{wrong}");
    }
    assert_eq!(answer(request(&server, "DELETE", "/admin/users/person-00001", KEY)).await.0, 200);
    assert_eq!(create("one-too-many").await.0, 201, "there is room again");
}

#[tokio::test]
async fn what_a_key_began_outlives_it_and_the_audit_log_leads_to_all_of_it() {
    let server = Server::start_with(&[("JOB_CONCURRENCY", "1")]);
    let (id, key) = made(&server, json!({"name": "billing", "scope": "render"})).await;
    let definition = json!({"key": "d", "name": "D", "html": "<p>{{n}}</p>"});
    let kept = json!({"definition": definition, "output": {"store": true, "respondWith": "link"}});
    let (status, kept) = answer(request(&server, "POST", "/render/html", &key).json(&kept)).await;
    assert_eq!(status, 201, "{kept}");
    let items: Vec<Value> = (0..400).map(|n| json!({"data": {"n": n}})).collect();
    let job = json!({"format": "pdf", "definition": definition, "items": items});
    let (status, job) = answer(request(&server, "POST", "/render/jobs", &key).json(&job)).await;
    assert_eq!(status, 202, "{job}");
    assert_eq!(answer(request(&server, "POST", &format!("/admin/api-keys/{id}/revoke"), KEY)).await.0, 200);
    assert_eq!(reads(&server, "/render/jobs", &key).await.0, 401);

    let began = async |event: &str| {
        let found: Value = server.get(&format!("/audit-events?event={event}&actor=apikey:{id}")).await.json().await.unwrap();
        assert_eq!(found["total"], json!(1), "{found}");
        found["items"][0]["resourceId"].as_str().unwrap().to_owned()
    };
    let (found_job, found_document) = (began("job.submitted").await, began("document.stored").await);
    assert_eq!((json!(found_job), json!(found_document)), (job["jobId"].clone(), kept["documentId"].clone()));
    let done = async || {
        let job: Value = server.get(&format!("/render/jobs/{found_job}")).await.json().await.unwrap();
        job["progress"]["completed"].as_u64().unwrap()
    };
    let before = done().await;
    wait_until_async("the job goes on", async || (done().await > before).then_some(())).await;
    let (status, cancelled) = answer(request(&server, "POST", &format!("/render/jobs/{found_job}/cancel"), KEY)).await;
    assert_eq!((status, &cancelled["status"]), (200, &json!("cancelled")), "{cancelled}");
    let link = kept["downloadUrl"].as_str().unwrap();
    assert_eq!(reqwest::get(link).await.unwrap().status(), 200);
    assert_eq!(answer(request(&server, "POST", &format!("/documents/{found_document}/links/revoke"), KEY)).await.0, 200);
    assert_eq!(reqwest::get(link).await.unwrap().status(), 404);
}
