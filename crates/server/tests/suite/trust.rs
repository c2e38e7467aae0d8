//! Credentials and what they leave behind: tokens, tenants, the audit log.

use serde_json::{Value, json};
use testkit::postgres::TestDatabase;

use crate::running::{EDITOR_KEY, KEY, RENDER_KEY, Server, answer, outcome, stderr};

const SUPER_KEY: &str = "a-super-admin-key-of-the-tests";

fn get(server: &Server, path: &str, header: &str, credential: &str) -> reqwest::RequestBuilder {
    reqwest::Client::new().get(server.url(path)).header(header, credential)
}

async fn mint(server: &Server, body: Value) -> (u16, Value) {
    answer(reqwest::Client::new().post(server.url("/auth/editor-token")).json(&body)).await
}

async fn actors(server: &Server, query: &str) -> Vec<String> {
    let events: Value = server.get(&format!("/audit-events/?{query}")).await.json().await.unwrap();
    events["items"].as_array().unwrap().iter().map(|event| event["actor"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_editor_token_works_as_its_key_does_and_leaves_its_holders_name() {
    let server = Server::start();
    let (status, minted) = mint(&server, json!({"key": EDITOR_KEY, "actor": "ann"})).await;
    assert_eq!(
        (status, &minted["scope"], &minted["tenantId"], &minted["actor"]),
        (200, &json!("editor"), &json!("default"), &json!("ann"))
    );
    let token = minted["token"].as_str().unwrap();
    assert_eq!(token.split('.').count(), 5);
    let definition = json!({"key": "anns", "name": "Ann's", "html": "<p>x</p>"});
    let create = |token: &str| reqwest::Client::new().post(server.url("/templates")).header("X-Editor-Token", token).json(&definition);
    assert_eq!(answer(create(token)).await.0, 201);
    assert_eq!(actors(&server, "event=template.created&resourceId=anns").await, ["ann"]);
    assert_eq!(actors(&server, "event=editor_token_minted").await, ["ann"]);
    let (status, me) = answer(get(&server, "/auth/me", "Authorization", &format!("Bearer {token}"))).await;
    assert_eq!((status, &me["actor"], &me["baseRole"]), (200, &json!("ann"), &json!("editor")));
    assert!(me["tenantActions"].as_array().unwrap().contains(&json!("template:read")));
    let render = reqwest::Client::new().post(server.url("/render/html")).header("X-Editor-Token", token).json(&json!({"template": "anns"}));
    assert_eq!(answer(render).await.0, 403, "an editor does not render documents");

    // A valid key is not rejected because of a bad token beside it.
    assert_eq!(answer(get(&server, "/templates", "X-Api-Key", KEY).header("X-Editor-Token", "rubbish")).await.0, 200);
    for end in [1, token.len() / 2, token.len() - 1] {
        let (status, refused) = answer(get(&server, "/templates", "X-Editor-Token", &token[..end])).await;
        assert_eq!((status, &refused["code"]), (401, &json!("unauthorized")), "truncated to {end}");
    }
    let tampered = token.replacen(&token[..1], if token.starts_with('9') { "8" } else { "9" }, 1);
    let refused = get(&server, "/templates", "Authorization", &format!("Bearer {tampered}")).send().await.unwrap();
    assert_eq!(refused.status(), 401);
    assert!(refused.headers()["www-authenticate"].to_str().unwrap().contains("invalid_token"));
    assert!(server.log().contains("the token's signature fits none"), "the operator learns why");
}

#[tokio::test]
async fn a_limited_token_reaches_its_templates_and_actions_only() {
    let server = Server::start();
    for key in ["letter-a", "other-a"] {
        assert_eq!(server.post("/templates", &json!({"key": key, "name": key, "html": "x"})).await.status(), 201);
    }
    let asked = json!({"key": KEY, "templates": ["letter-*"], "actions": ["template:read", "template:write"], "ttlMinutes": 5});
    let (status, minted) = mint(&server, asked).await;
    assert_eq!(status, 200, "{minted}");
    let token = minted["token"].as_str().unwrap();
    let with = |path: &str| get(&server, path, "X-Editor-Token", token);
    assert_eq!(answer(with("/templates/letter-a")).await.0, 200);
    let (status, refused) = answer(with("/templates/other-a")).await;
    assert_eq!((status, &refused["code"]), (403, &json!("api_key_template_not_allowed")));
    let (_, list) = answer(with("/templates")).await;
    assert_eq!((&list["total"], &list["items"][0]["key"]), (&json!(1), &json!("letter-a")));
    assert_eq!(answer(with("/audit-events")).await.0, 403);
    let create = reqwest::Client::new().post(server.url("/templates")).header("X-Editor-Token", token);
    assert_eq!(answer(create.json(&json!({"key": "third", "name": "x", "html": "x"}))).await.0, 403);
    for (body, field) in [(json!({"key": KEY, "ttlMinutes": 4}), "/ttlMinutes"), (json!({"key": KEY, "templates": []}), "/templates")] {
        let (status, refused) = mint(&server, body).await;
        assert_eq!((status, &refused["issues"][0]["path"]), (422, &json!(field)), "{refused}");
    }
    let (status, refused) = mint(&server, json!({"key": KEY, "templates": ["*"]})).await;
    assert_eq!(status, 400, "{refused}");
}

#[tokio::test]
async fn the_eleventh_try_to_get_a_token_in_a_minute_is_refused() {
    let server = Server::start();
    assert_eq!(mint(&server, json!({"key": RENDER_KEY})).await.0, 403, "a render key opens no editor");
    for _ in 0..9 {
        assert_eq!(mint(&server, json!({"key": "a-guess-of-somebody"})).await.0, 401);
    }
    let (status, refused) = mint(&server, json!({"key": KEY})).await;
    assert_eq!((status, &refused["code"]), (429, &json!("rate_limited")));
    assert!(refused["retryAfter"].as_u64().is_some_and(|seconds| (1..=60).contains(&seconds)));
}

#[tokio::test]
async fn a_super_admin_acts_in_the_tenant_it_names_and_nobody_else_names_one() {
    let server = Server::start_with(&[("MULTI_TENANT_ENABLED", "true"), ("API_KEY_SUPER_ADMIN", SUPER_KEY)]);
    let client = reqwest::Client::new();
    let post =
        |path: &str, tenant: &str| client.post(server.url(path)).header("X-Api-Key", SUPER_KEY).header("X-PulpEngine-Tenant-Id", tenant);
    let acme = json!({"id": "acme", "name": "Acme"});
    assert_eq!(answer(post("/admin/tenants", "default").json(&acme)).await.0, 201);
    assert_eq!(answer(post("/admin/tenants", "default").json(&acme)).await.0, 409);
    let definition = json!({"key": "secret", "name": "Acme's", "html": "<p>secret</p>"});
    assert_eq!(answer(post("/templates", "acme").json(&definition)).await.0, 201);
    let (status, refused) = answer(post("/templates", "nobody").json(&definition)).await;
    assert_eq!((status, &refused["code"]), (404, &json!("tenant_unknown")));
    let secret = |key: &str, tenant: &str| get(&server, "/templates/secret", "X-Api-Key", key).header("X-PulpEngine-Tenant-Id", tenant);
    assert_eq!(answer(secret(SUPER_KEY, "acme")).await.0, 200);
    assert_eq!(answer(secret(SUPER_KEY, "default")).await.0, 404);
    let (status, refused) = answer(secret(KEY, "acme")).await;
    assert_eq!((status, &refused["code"]), (403, &json!("tenant_mismatch")));
    assert_eq!(answer(secret(KEY, "default")).await.0, 404);

    assert_eq!(answer(post("/admin/tenants/acme/archive", "default")).await.0, 200);
    let (status, refused) = answer(post("/templates", "acme").json(&definition)).await;
    assert_eq!((status, &refused["code"]), (409, &json!("tenant_archived")));
    assert_eq!(answer(secret(SUPER_KEY, "acme")).await.0, 200, "what is archived can be read");
    assert_eq!(answer(post("/admin/tenants/acme/unarchive", "default")).await.0, 200);
    let events = get(&server, "/audit-events", "X-Api-Key", SUPER_KEY).header("X-PulpEngine-Tenant-Id", "acme");
    let (_, events) = answer(events).await;
    let told: Vec<&str> = events["items"].as_array().unwrap().iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(told, ["tenant.unarchived", "tenant.archived", "template.created", "tenant.created"]);
    assert_eq!(actors(&server, "").await, ["system:examples"; 2], "the default tenant's log knows nothing of acme");
}

#[tokio::test]
async fn a_row_tells_a_request_id_that_the_caller_chose_from_one_of_the_server() {
    let server = Server::start();
    let asked = |key: &str, id: &str| {
        let definition = json!({"key": key, "name": key, "html": "x"});
        let request =
            reqwest::Client::new().post(server.url("/templates")).header("X-Api-Key", KEY).header("X-Request-Id", id).json(&definition);
        async move { request.send().await.unwrap().headers()["x-request-id"].to_str().unwrap().to_owned() }
    };
    let chosen = "f47ac10b-58cc-4372-a567-0e02b2c3d479";
    assert_eq!(asked("one", chosen).await, chosen);
    let own = asked("two", "no-uuid").await;
    let again = asked("three", &own).await;
    assert_ne!(again, own, "nobody passes for the server");
    for (key, id, from) in [("one", chosen, "caller"), ("two", own.as_str(), "server"), ("three", again.as_str(), "server")] {
        let events: Value = server.get(&format!("/audit-events?resourceId={key}")).await.json().await.unwrap();
        let event = &events["items"][0];
        assert_eq!((&event["requestId"], &event["requestIdFrom"]), (&json!(id), &json!(from)), "{event}");
    }
}

#[tokio::test]
async fn the_audit_log_can_be_filtered_exported_and_purged() {
    let server = Server::start();
    for (key, template) in [("one", "first"), ("=two", "second")] {
        let (status, minted) = mint(&server, json!({"key": KEY, "actor": key})).await;
        assert_eq!(status, 200, "{minted}");
        let create = reqwest::Client::new().post(server.url("/templates")).header("X-Editor-Token", minted["token"].as_str().unwrap());
        assert_eq!(answer(create.json(&json!({"key": template, "name": template, "html": "x"}))).await.0, 201);
    }
    let ndjson = server.get("/audit-events/export?format=ndjson&event=editor_token_minted").await;
    assert_eq!(ndjson.headers()["content-type"], "application/x-ndjson");
    let lines: Vec<Value> = ndjson.text().await.unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().map(|line| line["actor"].as_str().unwrap()).collect::<Vec<_>>(), ["one", "=two"]);
    let csv = server.get("/audit-events/export?format=csv&event=editor_token_minted&actor=%3Dtwo").await.text().await.unwrap();
    assert!(csv.starts_with("id,seq,timestamp,event,") && csv.contains(",\"'=two\",\"admin\","), "{csv}");
    let refused: Value = server.get("/audit-events?since=yesterday").await.json().await.unwrap();
    assert!(refused["message"].as_str().unwrap().contains("since is \"yesterday\"; accepted: a time such as"), "{refused}");
    let purge = |query: &str| reqwest::Client::new().delete(server.url(&format!("/audit-events/{query}"))).header("X-Api-Key", KEY);
    assert_eq!(answer(purge("")).await.0, 400);
    assert_eq!(answer(purge("?actor=one")).await, (200, json!({"deleted": 1})));
    assert_eq!(answer(purge("?actor=one")).await, (200, json!({"deleted": 0})));
    assert_eq!(answer(purge("?before=2020-01-01")).await, (200, json!({"deleted": 0})));
    assert_eq!(actors(&server, "event=template.created&actor=%3Dtwo").await, ["=two"]);
    assert_eq!(actors(&server, "event=template.created&actor=one").await, [""; 0]);
    assert_eq!(actors(&server, "event=editor_token_minted").await, ["=two", "one"]);
    assert_eq!(actors(&server, "event=audit.purged").await, ["env:admin"]);
}

#[tokio::test]
async fn who_took_another_name_stays_in_the_log_and_a_person_in_their_own_name_does_not() {
    let mut server = Server::start();
    let asked = json!({"key": KEY, "actor": "mallory", "templates": ["letter-*"], "actions": ["template:write"]});
    assert_eq!(mint(&server, asked).await.0, 200);
    let user = json!({"id": "ann", "displayName": "Ann", "key": "anns-own-key-of-the-tests", "role": "editor"});
    assert_eq!(server.post("/admin/users", &user).await.status(), 201);
    assert_eq!(mint(&server, json!({"key": "anns-own-key-of-the-tests"})).await.0, 200);
    let made: Value = server.post("/admin/api-keys", &json!({"name": "lent", "scope": "editor"})).await.json().await.unwrap();
    assert_eq!(mint(&server, json!({"key": made["key"], "actor": "eve"})).await.0, 200);
    let by_key = format!("apikey:{}", made["id"].as_str().unwrap());

    let minted = async || server.get("/audit-events?event=editor_token_minted").await.json::<Value>().await.unwrap();
    let exchanged = |events: &Value| -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        events["items"].as_array().unwrap().iter().map(|event| (text(&event["actor"]), text(&event["details"]["exchangedBy"]))).collect()
    };
    let pair = |actor: &str, by: &str| (actor.to_owned(), by.to_owned());
    let events = minted().await;
    assert_eq!(exchanged(&events), [pair("eve", &by_key), pair("ann", "ann"), pair("mallory", "env:admin")]);
    let limits = &events["items"][2]["details"];
    assert_eq!((&limits["templates"], &limits["actions"]), (&json!(["letter-*"]), &json!(["template:write"])));
    for secret in [KEY, "anns-own-key-of-the-tests", made["key"].as_str().unwrap()] {
        assert!(!events.to_string().contains(secret));
    }

    for (actor, deleted) in [("mallory", 0), ("eve", 0), ("ann", 1)] {
        let purge = reqwest::Client::new().delete(server.url(&format!("/audit-events?actor={actor}"))).header("X-Api-Key", KEY);
        assert_eq!(answer(purge).await, (200, json!({"deleted": deleted})), "{actor}");
    }
    assert_eq!(exchanged(&minted().await), [pair("eve", &by_key), pair("mallory", "env:admin")]);

    server.signal("TERM");
    assert!(server.wait_for_end().success());
    let data = server.data_dir().to_str().unwrap().to_owned();
    let verified = outcome(&["audit", "verify"], &[("PULP_DATA_DIR", &data)]);
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(verified.status.success() && said.starts_with("default: whole, "), "{said}{}", stderr(&verified));
}

#[tokio::test]
async fn a_console_session_is_as_narrow_as_it_was_asked_for_and_never_makes_credentials() {
    let server = Server::start();
    let open = async |body: Value| answer(reqwest::Client::new().post(server.url("/auth/console-session")).json(&body)).await;
    let (status, session) = open(json!({"key": KEY, "actions": ["template:read", "api-key:manage"], "ttlMinutes": 5})).await;
    assert_eq!((status, &session["actions"]), (200, &json!(["template:read"])), "{session}");
    let token = session["token"].as_str().unwrap();
    assert_eq!(answer(get(&server, "/templates", "X-Editor-Token", token)).await.0, 200);
    for path in ["/audit-events", "/admin/api-keys"] {
        assert_eq!(answer(get(&server, path, "X-Editor-Token", token)).await.0, 403, "{path}");
    }
    let (_, longer) = open(json!({"key": KEY, "ttlMinutes": 7})).await;
    let ends = |token: &Value| token["expiresAt"].as_str().unwrap().to_owned();
    assert!(ends(&session) < ends(&longer), "{session} {longer}");
    for minutes in [4, 61] {
        let (status, refused) = open(json!({"key": KEY, "ttlMinutes": minutes})).await;
        assert_eq!((status, &refused["issues"][0]["path"]), (422, &json!("/ttlMinutes")), "{refused}");
    }
    let (_, whole) = open(json!({"key": KEY})).await;
    assert!(whole["actions"].as_array().unwrap().len() > 5, "{whole}");
    assert_eq!(open(json!({"key": KEY, "scope": "viewer"})).await.0, 400);
}

#[tokio::test]
async fn the_operator_can_prove_that_the_log_is_whole() {
    let mut server = Server::start();
    assert_eq!(server.post("/templates", &json!({"key": "a", "name": "a", "html": "x"})).await.status(), 201);
    server.signal("TERM");
    assert!(server.wait_for_end().success());
    let data = server.data_dir().to_str().unwrap().to_owned();
    let verified = outcome(&["audit", "verify"], &[("PULP_DATA_DIR", &data)]);
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(verified.status.success(), "{said}{}", stderr(&verified));
    assert!(said.starts_with("default: whole, 3 rows to 3, end "), "{said}");
}

#[tokio::test]
async fn a_tenant_is_exported_whole_and_purged_only_after_it_was_archived() {
    let server = Server::start_with(&[("MULTI_TENANT_ENABLED", "true"), ("API_KEY_SUPER_ADMIN", SUPER_KEY)]);
    let client = reqwest::Client::new();
    let request = |method: reqwest::Method, path: &str| client.request(method, server.url(path)).header("X-Api-Key", SUPER_KEY);
    let (get, post, delete) = (reqwest::Method::GET, reqwest::Method::POST, reqwest::Method::DELETE);
    assert_eq!(answer(request(post.clone(), "/admin/tenants").json(&json!({"id": "acme", "name": "Acme"}))).await.0, 201);
    let template = request(post.clone(), "/templates").header("X-PulpEngine-Tenant-Id", "acme");
    assert_eq!(answer(template.json(&json!({"key": "sheet", "name": "Sheet", "html": "<p>x</p>"}))).await.0, 201);

    let exported = request(get.clone(), "/admin/tenants/acme/export").send().await.unwrap();
    assert_eq!(exported.headers()["content-type"], "application/zip");
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(exported.bytes().await.unwrap())).unwrap();
    let names: Vec<String> = archive.file_names().map(|name| name.unwrap().into_owned()).collect();
    assert!(names.contains(&"manifest.json".to_owned()) && names.contains(&"template-versions.ndjson".to_owned()), "{names:?}");
    let mut versions = String::new();
    std::io::Read::read_to_string(&mut archive.by_name("template-versions.ndjson").unwrap(), &mut versions).unwrap();
    assert!(versions.contains("<p>x</p>"), "{versions}");

    let purge = "/admin/tenants/acme?purge=true&confirm=acme";
    let (status, refused) = answer(request(delete.clone(), purge)).await;
    assert_eq!((status, &refused["code"]), (409, &json!("tenant_not_archived")));
    assert_eq!(answer(request(post.clone(), "/admin/tenants/acme/archive")).await.0, 200);
    assert_eq!(answer(request(delete.clone(), "/admin/tenants/acme?purge=true&confirm=other")).await.0, 400);
    let (_, preview) = answer(request(get.clone(), "/admin/tenants/acme/purge-preview")).await;
    let templates = preview["tables"].as_array().unwrap().iter().find(|table| table["table"] == "templates").unwrap();
    assert_eq!((&templates["rows"], &templates["fate"]), (&json!(1), &json!("removed")));
    assert_eq!(answer(request(delete.clone(), purge)).await.0, 204);
    let gone = request(get.clone(), "/templates/sheet").header("X-PulpEngine-Tenant-Id", "acme");
    assert_eq!(answer(gone).await.0, 404);
    assert_eq!(
        answer(request(post, "/admin/tenants").json(&json!({"id": "acme", "name": "Again"}))).await.0,
        409,
        "an id is never given again"
    );
    let (status, refused) = answer(request(delete, "/admin/tenants/default?purge=true&confirm=default")).await;
    assert_eq!((status, &refused["code"]), (403, &json!("tenant_purge_forbidden")));
    let (_, system) = answer(request(get, "/admin/system")).await;
    assert_eq!(system["session"]["superAdmin"], json!(true));
    assert!(!system.to_string().contains(SUPER_KEY));
}

#[tokio::test]
async fn a_row_altered_or_removed_behind_the_servers_back_is_named_by_the_command() {
    let database = TestDatabase::empty().await;
    let url: &'static str = Box::leak(database.url().to_owned().into_boxed_str());
    let server = Server::start_with(Box::leak(Box::new([("DATABASE_URL", url)])));
    for key in ["one", "two", "three", "four"] {
        assert_eq!(server.post("/templates", &json!({"key": key, "name": key, "html": "x"})).await.status(), 201);
    }
    let verify = || {
        let verified = outcome(&["audit", "verify"], &[("DATABASE_URL", url)]);
        (verified.status.code(), String::from_utf8_lossy(&verified.stdout).into_owned())
    };
    let (code, said) = verify();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("default: whole, 4 rows to 4, end "), "{said}");
    database.query("ALTER TABLE audit_events DISABLE TRIGGER USER").await;
    database.query("UPDATE audit_events SET actor = 'somebody else' WHERE seq = 2 RETURNING seq::text").await;
    database.query("DELETE FROM audit_events WHERE seq = 3 RETURNING seq::text").await;
    let (code, said) = verify();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.starts_with("default: BROKEN, "), "{said}");
    assert!(said.contains("row 2 (template.created of two) was altered") && said.contains("rows 3 to 3 are missing"), "{said}");
}
