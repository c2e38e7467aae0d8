//! A curious tenant, with every id of another one in its hands, sees nothing.

use serde_json::{Value, json};

use crate::running::{Server, answer, wait_until_async};

const SUPER_KEY: &str = "a-super-admin-key-of-the-tests";
const A_KEY: &str = "an-admin-key-of-tenant-alpha";
const B_KEY: &str = "an-admin-key-of-tenant-beta";
const SETTINGS: &[(&str, &str)] = &[
    ("MULTI_TENANT_ENABLED", "true"),
    ("API_KEY_SUPER_ADMIN", SUPER_KEY),
    ("ASSET_ACCESS_MODE", "private"),
    (
        "API_KEYS_JSON",
        r#"[{"id": "a", "key": "an-admin-key-of-tenant-alpha", "scope": "admin", "tenantId": "alpha"},
            {"id": "b", "key": "an-admin-key-of-tenant-beta", "scope": "admin", "tenantId": "beta"}]"#,
    ),
];

async fn ask(server: &Server, method: &str, path: &str, key: &str, body: &Value) -> (u16, String) {
    let request = reqwest::Client::new().request(method.parse().unwrap(), server.url(path)).header("X-Api-Key", key);
    let request = if method == "GET" { request } else { request.json(body) };
    let request = if is_conditional(method, path) { request.header("If-Match", "\"1.0.0\"") } else { request };
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap_or_default())
}

/// Whether the operation is refused without its condition.
fn is_conditional(method: &str, path: &str) -> bool {
    let of_a_template = path.strip_prefix("/templates/");
    of_a_template.is_some_and(|rest| (matches!(method, "PUT" | "DELETE") && !rest.contains('/')) || rest.ends_with("/restore"))
}

async fn made(server: &Server, path: &str, body: &Value) -> Value {
    let (status, text) = ask(server, "POST", path, A_KEY, body).await;
    assert!(matches!(status, 200 | 201), "{path}: {status} {text}");
    serde_json::from_str(&text).unwrap_or_default()
}

/// What tenant alpha has, by kind: an id each.
struct Things {
    folder: String,
    key: String,
    token: String,
    render: String,
    label_event: String,
    proof: String,
    asset: Value,
    document: Value,
    dataset: String,
    webhook: String,
    delivery: String,
    schedule: String,
    calendar: String,
}

/// A picture of tenant alpha.
async fn upload(server: &Server) -> Value {
    let file = reqwest::multipart::Part::bytes(crate::assets::PNG).file_name("alphasecret.png").mime_str("image/png").unwrap();
    let form = reqwest::multipart::Form::new().text("folder", "alphasecret").text("tags", "alphasecret").part("file", file);
    let request = reqwest::Client::new().post(server.url("/assets/upload")).header("X-Api-Key", A_KEY).multipart(form);
    let (status, asset) = crate::running::answer(request).await;
    assert_eq!(status, 201, "{asset}");
    asset
}

/// A proof with a picture, of a template of tenant alpha; its id.
async fn prove(server: &Server) -> String {
    let key = "/templates/alphasecret-proven";
    let definition = |word: &str| json!({"key": "alphasecret-proven", "name": "Alphasecret", "html": format!("<p>alphasecret {word}</p>")});
    made(server, "/templates", &definition("one")).await;
    for (path, body) in
        [("/labels/alphalabel", &json!({"version": "1.0.0"})), ("/sample", &json!({"name": "alphasecret"})), ("", &definition("two"))]
    {
        let (status, text) = ask(server, "PUT", &format!("{key}{path}"), A_KEY, body).await;
        assert_eq!(status, 200, "{text}");
    }
    let proof = made(server, &format!("{key}/labels/alphalabel/proofs"), &json!({"version": "1.0.1"})).await;
    assert_eq!(proof["datasets"][0]["differences"][0]["picture"], json!(1), "{proof}");
    proof["id"].as_str().unwrap().to_owned()
}

async fn fill(server: &Server) -> Things {
    for id in ["alpha", "beta"] {
        let (status, text) = ask(server, "POST", "/admin/tenants", SUPER_KEY, &json!({"id": id, "name": id})).await;
        assert_eq!(status, 201, "{text}");
    }
    made(server, "/templates", &json!({"key": "alphasecret", "name": "Alphasecret", "html": "<p>alphasecret</p>"})).await;
    let (status, text) = ask(server, "PUT", "/templates/alphasecret/sample", A_KEY, &json!({"name": "alphasecret"})).await;
    assert_eq!(status, 200, "{text}");
    let (label, data) = (json!({"version": "1.0.0"}), json!({"data": {"name": "alphasecret"}}));
    for (path, body) in [("labels/alphalabel", &label), ("datasets/alphadata", &data)] {
        let (status, text) = ask(server, "PUT", &format!("/templates/alphasecret/{path}"), A_KEY, body).await;
        assert_eq!(status, 200, "{text}");
    }
    let planned = json!({"version": "1.0.0", "effectiveAt": "2027-06-01T00:00:00Z"});
    let planned = made(server, "/templates/alphasecret/labels/alphalabel/schedule", &planned).await;
    let proof = prove(server).await;
    let asset = upload(server).await;
    let key = made(server, "/admin/api-keys", &json!({"name": "alphasecret", "scope": "editor"})).await;
    made(
        server,
        "/admin/users",
        &json!({"id": "alphasecret", "displayName": "Alphasecret", "key": "alphasecrets-own-key-1", "role": "author"}),
    )
    .await;
    let folder = made(server, "/template-folders", &json!({"name": "alphasecret"})).await;
    let meta = json!({"folderId": folder["id"], "tags": ["alphasecret"], "owner": "alphasecret"});
    let (status, text) = ask(server, "PATCH", "/templates/alphasecret/meta", A_KEY, &meta).await;
    assert_eq!(status, 200, "{text}");
    made(server, "/templates", &json!({"key": "alphasecret-old", "name": "Alphasecret", "html": "x"})).await;
    assert_eq!(ask(server, "DELETE", "/templates/alphasecret-old", A_KEY, &Value::Null).await.0, 204);
    let token = made(server, "/render-tokens", &json!({"templates": ["alphasecret"], "subject": "alphasecret"})).await;
    let rendered = ask(server, "POST", "/render/html", A_KEY, &json!({"template": "alphasecret", "metadata": {"of": "alphasecret"}})).await;
    assert_eq!(rendered.0, 200);
    let render = wait_until_async("the render is in the log", async || {
        let (_, text) = ask(server, "GET", "/renders", A_KEY, &Value::Null).await;
        let log: Value = serde_json::from_str(&text).unwrap();
        log["items"][0]["id"].as_str().map(str::to_owned)
    })
    .await;
    let kept = json!({"template": "alphasecret", "output": {"store": true, "respondWith": "link", "metadata": {"of": "alphasecret"}}});
    let document = made(server, "/render/html", &kept).await;
    let dataset = made(server, "/datasets", &json!({"of": "alphasecret"})).await;
    let hook = made(server, "/webhooks", &json!({"url": "https://alphasecret.example/", "events": ["*"]})).await;
    let hook_id = hook["id"].as_str().unwrap();
    let (status, pinged) = ask(server, "POST", &format!("/webhooks/{hook_id}/ping"), A_KEY, &Value::Null).await;
    assert_eq!(status, 202, "{pinged}");
    let pinged: Value = serde_json::from_str(&pinged).unwrap();
    let calendar = made(server, "/schedules/calendars", &json!({"name": "alphasecret"})).await;
    let schedule = json!({
        "name": "alphasecret", "cronExpression": "0 8 1 1 *", "templateKey": "alphasecret", "calendarId": calendar["id"],
        "dataSource": {"type": "static", "data": {"of": "alphasecret"}},
    });
    let schedule = made(server, "/schedules", &schedule).await;
    let text = |value: &Value, name: &str| value[name].as_str().unwrap().to_owned();
    Things {
        schedule: text(&schedule, "id"),
        calendar: text(&calendar, "id"),
        folder: text(&folder, "id"),
        key: text(&key, "id"),
        token: text(&token, "tokenId"),
        render,
        label_event: text(&planned, "id"),
        proof,
        asset,
        document,
        dataset: text(&dataset, "id"),
        webhook: text(&hook, "id"),
        delivery: text(&pinged, "deliveryId"),
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a walk past everything there is")]
async fn nothing_of_a_tenant_is_seen_or_changed_by_another_with_all_its_ids() {
    let server = Server::start_with(SETTINGS);
    let things = fill(&server).await;
    let none = json!({});
    let definition = json!({"name": "x", "html": "x"});
    let drafted = json!({"baseVersion": "1.0.0", "definition": {}});
    let no_id = "0192a000-0000-7000-8000-000000000000";
    let no_dataset = "ds_0192a00000007000800000000000000a";
    let asset = things.asset["id"].as_str().unwrap();
    let document = things.document["documentId"].as_str().unwrap();
    let (noted, data) = (json!({"changeNote": "x"}), json!({"data": {}}));
    let (name, role) = (json!({"name": "x"}), json!({"role": "none"}));
    let moved = json!({"version": "1.0.0"});
    let owned = json!({"owner": "beta"});
    let planned = json!({"version": "1.0.0", "effectiveLocal": "2027-06-01T00:00:00", "timeZone": "UTC"});
    let delivery = format!("/webhooks/{{}}/deliveries/{}", things.delivery);
    let redelivery = format!("{delivery}/redeliver");
    let walked: Vec<(&str, String, String, &Value)> = [
        ("GET", "/templates/{}", "alphasecret", "zetasecret", &none),
        ("PUT", "/templates/{}", "alphasecret", "zetasecret", &definition),
        ("DELETE", "/templates/{}", "alphasecret", "zetasecret", &none),
        ("DELETE", "/templates/{}?permanent=true", "alphasecret", "zetasecret", &none),
        ("POST", "/templates/{}/undelete", "alphasecret", "zetasecret", &none),
        ("PATCH", "/templates/{}/meta", "alphasecret", "zetasecret", &owned),
        ("PATCH", "/template-folders/{}", &things.folder, no_id, &name),
        ("DELETE", "/template-folders/{}", &things.folder, no_id, &none),
        ("GET", "/templates/{}/versions", "alphasecret", "zetasecret", &none),
        ("GET", "/templates/{}/versions/1.0.0", "alphasecret", "zetasecret", &none),
        ("PATCH", "/templates/{}/versions/1.0.0", "alphasecret", "zetasecret", &noted),
        ("POST", "/templates/{}/versions/1.0.0/restore", "alphasecret", "zetasecret", &none),
        ("GET", "/templates/{}/labels", "alphasecret", "zetasecret", &none),
        ("GET", "/templates/{}/labels/alphalabel", "alphasecret", "zetasecret", &none),
        ("PUT", "/templates/{}/labels/alphalabel", "alphasecret", "zetasecret", &moved),
        ("DELETE", "/templates/{}/labels/alphalabel", "alphasecret", "zetasecret", &none),
        ("GET", "/templates/{}/labels/alphalabel/history", "alphasecret", "zetasecret", &none),
        ("POST", "/templates/{}/labels/alphalabel/schedule", "alphasecret", "zetasecret", &planned),
        ("DELETE", "/templates/alphasecret/labels/alphalabel/schedule/{}", &things.label_event, no_id, &none),
        ("POST", "/templates/{}/labels/alphalabel/proofs", "alphasecret", "zetasecret", &moved),
        ("GET", "/templates/{}/labels/alphalabel/proofs", "alphasecret", "zetasecret", &none),
        ("GET", "/templates/alphasecret-proven/labels/alphalabel/proofs/{}", &things.proof, no_id, &none),
        ("GET", "/templates/alphasecret-proven/labels/alphalabel/proofs/{}/pictures/1", &things.proof, no_id, &none),
        ("POST", "/templates/{}/labels/alphalabel/rollback", "alphasecret", "zetasecret", &none),
        ("GET", "/templates/{}/schema", "alphasecret", "zetasecret", &none),
        ("POST", "/templates/{}/diff", "alphasecret", "zetasecret", &none),
        ("GET", "/templates/{}/compatibility?base=1.0.0", "alphasecret", "zetasecret", &none),
        ("GET", "/templates/{}/form-metadata", "alphasecret", "zetasecret", &none),
        ("GET", "/templates/{}/bindings", "alphasecret", "zetasecret", &none),
        ("GET", "/templates/{}/dependencies", "alphasecret", "zetasecret", &none),
        ("GET", "/templates/{}/dependents?transitive=true", "alphasecret", "zetasecret", &none),
        ("POST", "/templates/{}/dependents/validate", "alphasecret", "zetasecret", &none),
        ("GET", "/templates/{}/effective", "alphasecret", "zetasecret", &none),
        ("GET", "/templates/{}/theme", "alphasecret", "zetasecret", &none),
        ("GET", "/templates/{}/draft", "alphasecret", "zetasecret", &none),
        ("PUT", "/templates/{}/draft", "alphasecret", "zetasecret", &drafted),
        ("DELETE", "/templates/{}/draft", "alphasecret", "zetasecret", &none),
        ("GET", "/templates/{}/drafts", "alphasecret", "zetasecret", &none),
        ("GET", "/templates/{}/drafts/alphasecret", "alphasecret", "zetasecret", &none),
        ("GET", "/templates/{}/sample", "alphasecret", "zetasecret", &none),
        ("PUT", "/templates/{}/sample", "alphasecret", "zetasecret", &none),
        ("DELETE", "/templates/{}/sample", "alphasecret", "zetasecret", &none),
        ("POST", "/templates/{}/validate", "alphasecret", "zetasecret", &data),
        ("GET", "/templates/{}/datasets", "alphasecret", "zetasecret", &none),
        ("GET", "/templates/{}/datasets/alphadata", "alphasecret", "zetasecret", &none),
        ("PUT", "/templates/{}/datasets/alphadata", "alphasecret", "zetasecret", &data),
        ("DELETE", "/templates/{}/datasets/alphadata", "alphasecret", "zetasecret", &none),
        ("POST", "/templates/{}/tests/run", "alphasecret", "zetasecret", &none),
        ("GET", "/assets/{}/details", asset, no_id, &none),
        ("GET", "/assets/{}/versions", asset, no_id, &none),
        ("GET", "/assets/{}/font-info", asset, no_id, &none),
        ("PATCH", "/assets/{}", asset, no_id, &none),
        ("POST", "/assets/{}/versions/1/restore", asset, no_id, &none),
        ("DELETE", "/assets/{}?force=true", asset, no_id, &none),
        ("GET", "/admin/api-keys/{}", &things.key, no_id, &none),
        ("PATCH", "/admin/api-keys/{}", &things.key, no_id, &name),
        ("POST", "/admin/api-keys/{}/rotate", &things.key, no_id, &none),
        ("POST", "/admin/api-keys/{}/revoke", &things.key, no_id, &none),
        ("PUT", "/admin/users/{}", "alphasecret", "zetasecret", &role),
        ("DELETE", "/admin/users/{}", "alphasecret", "zetasecret", &none),
        ("DELETE", "/render-tokens/{}", &things.token, no_id, &none),
        ("GET", "/renders/{}", &things.render, no_id, &none),
        ("GET", "/documents/{}", document, no_id, &none),
        ("GET", "/documents/{}/content", document, no_id, &none),
        ("POST", "/documents/{}/links", document, no_id, &none),
        ("POST", "/documents/{}/links/revoke", document, no_id, &none),
        ("DELETE", "/documents/{}", document, no_id, &none),
        ("GET", "/datasets/{}", &things.dataset, no_dataset, &none),
        ("DELETE", "/datasets/{}", &things.dataset, no_dataset, &none),
        ("GET", "/webhooks/{}", &things.webhook, no_id, &none),
        ("PATCH", "/webhooks/{}", &things.webhook, no_id, &none),
        ("DELETE", "/webhooks/{}", &things.webhook, no_id, &none),
        ("POST", "/webhooks/{}/rotate-secret", &things.webhook, no_id, &none),
        ("POST", "/webhooks/{}/ping", &things.webhook, no_id, &none),
        ("GET", "/webhooks/{}/deliveries", &things.webhook, no_id, &none),
        ("GET", &delivery, &things.webhook, no_id, &none),
        ("POST", &redelivery, &things.webhook, no_id, &none),
        ("GET", "/schedules/{}", &things.schedule, no_id, &none),
        ("PUT", "/schedules/{}", &things.schedule, no_id, &none),
        ("PATCH", "/schedules/{}", &things.schedule, no_id, &name),
        ("DELETE", "/schedules/{}", &things.schedule, no_id, &none),
        ("POST", "/schedules/{}/duplicate", &things.schedule, no_id, &none),
        ("GET", "/schedules/{}/preview", &things.schedule, no_id, &none),
        ("POST", "/schedules/{}/trigger", &things.schedule, no_id, &none),
        ("POST", "/schedules/{}/test", &things.schedule, no_id, &none),
        ("GET", "/schedules/{}/executions", &things.schedule, no_id, &none),
        ("GET", "/admin/schedule-dlq/{}", &things.delivery, no_id, &none),
        ("POST", "/admin/schedule-dlq/{}/replay", &things.delivery, no_id, &none),
        ("POST", "/admin/schedule-dlq/{}/abandon", &things.delivery, no_id, &none),
        ("GET", "/schedules/calendars/{}", &things.calendar, no_id, &none),
        ("PUT", "/schedules/calendars/{}", &things.calendar, no_id, &name),
        ("PATCH", "/schedules/calendars/{}", &things.calendar, no_id, &name),
        ("POST", "/schedules/calendars/{}/import", &things.calendar, no_id, &none),
        ("DELETE", "/schedules/calendars/{}", &things.calendar, no_id, &none),
        ("GET", "/admin/batch-dlq/{}", &things.delivery, no_id, &none),
        ("POST", "/admin/batch-dlq/{}/replay", &things.delivery, no_id, &none),
        ("POST", "/admin/batch-dlq/{}/abandon", &things.delivery, no_id, &none),
    ]
    .map(|(method, path, id, nobodys, body)| (method, path.replace("{}", id), path.replace("{}", nobodys), body))
    .into();
    for (method, path, nobodys, body) in &walked {
        let (status, text) = ask(&server, method, path, B_KEY, body).await;
        let (same, other) = ask(&server, method, nobodys, B_KEY, body).await;
        assert_eq!((status, same), (404, 404), "{method} {path}: {text} / {other}");
        let told = |text: &str| {
            let body: Value = serde_json::from_str(text).unwrap();
            format!("{} {}", body["code"], body["message"]).replace("alphasecret", "zetasecret")
        };
        assert_eq!(told(&text), told(&other), "{method} {path}: the answer tells what exists");
    }
    let lists = [
        "/templates",
        "/templates?q=alpha",
        "/assets",
        "/assets?q=alpha&include=usage",
        "/assets?folder=alphasecret&recursive=true",
        "/assets/facets",
        "/templates?state=deleted",
        "/templates?folderPath=/alphasecret",
        &format!("/templates?folderId={}", things.folder),
        "/template-folders",
        "/template-tags",
        "/audit-events",
        "/audit-events/export",
        "/audit-events?actor=apikey:json:a",
        "/admin/api-keys",
        "/admin/users",
        "/documents",
        "/documents?metadata[of]=alphasecret&templateKey=alphasecret",
        "/renders",
        "/renders?meta=of:alphasecret",
        "/usage",
        "/usage?groupBy=template",
        "/usage.csv",
        "/usage/templates?includeUnused=true",
        "/usage/quota",
        "/webhooks",
        "/admin/batch-dlq",
        "/schedules",
        "/schedules?templateKey=alphasecret",
        "/schedules/calendars",
        "/schedules/recent-failures",
        "/admin/schedule-dlq",
    ];
    // What is somebody else's is not there to be referred to either.
    let follows = json!({"cronExpression": "0 8 * * *", "calendarId": things.calendar});
    let (status, text) = ask(&server, "POST", "/schedules/preview", B_KEY, &follows).await;
    assert!(status == 422 && text.contains("there is no such calendar"), "{status} {text}");
    let follows = json!({"scheduleId": things.schedule});
    assert_eq!(ask(&server, "POST", "/schedules/preview", B_KEY, &follows).await.0, 404);

    for path in lists {
        let (status, text) = ask(&server, "GET", path, B_KEY, &none).await;
        assert_eq!(status, 200, "{path}: {text}");
        assert!(!text.contains("alphasecret") && !text.contains("json:a") && !text.contains(&things.render), "{path}: {text}");
    }
    let (_, metrics) = ask(&server, "GET", "/metrics", B_KEY, &none).await;
    assert!(!metrics.to_lowercase().contains("alpha"), "metrics name no tenant and nothing of theirs");

    // Last: what beta tries is in its own log.
    let template = json!({"template": "alphasecret"});
    for path in ["/render/pdf", "/render/html", "/render/csv", "/render/xlsx", "/render/image", "/render/validate"] {
        let (status, text) = ask(&server, "POST", path, B_KEY, &template).await;
        assert!(status == 404 || text.contains("there is no template"), "{path}: {status} {text}");
    }

    let file = things.asset["filename"].as_str().unwrap();
    for name in ["asset:alphasecret", &format!("asset:{asset}"), &format!("/assets/{file}")] {
        let definition = json!({"definition": {"key": "x", "name": "X", "html": format!("<img src='{name}'>")}});
        let (status, text) = ask(&server, "POST", "/render/html", B_KEY, &definition).await;
        assert!(status == 422 && text.contains("there is no asset"), "{name}: {status} {text}");
        assert!(!text.contains("base64"), "{text}");
    }
    for (key, status) in [(B_KEY, 404), (A_KEY, 200)] {
        assert_eq!(ask(&server, "GET", &format!("/assets/{file}"), key, &none).await.0, status);
    }

    let inline = json!({"key": "x", "name": "X", "html": "{{of}}"});
    let reference = json!({"definition": inline, "dataRef": things.dataset});
    for path in ["/render/html", "/render/pdf"] {
        let (status, text) = ask(&server, "POST", path, B_KEY, &reference).await;
        assert!(status == 404 && text.contains("dataset_not_found"), "{path}: {status} {text}");
    }
    let mut job = reference.clone();
    job["format"] = "html".into();
    let (status, text) = ask(&server, "POST", "/render/jobs", B_KEY, &job).await;
    assert!(status == 404 && text.contains("dataset_not_found"), "{status} {text}");
    assert_eq!(ask(&server, "POST", "/render/html", A_KEY, &reference).await.0, 200);

    // A key under which alpha did something tells beta nothing, nor does it keep beta from using it.
    let keyed = async |path: &str, key: &str, body: &Value| {
        let request = reqwest::Client::new().post(server.url(path)).header("X-Api-Key", key).header("Idempotency-Key", "alphakey");
        let answer = request.json(body).send().await.unwrap();
        let replayed = answer.headers().contains_key("idempotent-replayed");
        (answer.status().as_u16(), replayed, answer.text().await.unwrap_or_default())
    };
    let stored = json!({"definition": {"key": "x", "name": "X", "html": "alphasecret"}, "output": {"store": true}});
    assert_eq!(keyed("/render/html", A_KEY, &stored).await.0, 200);
    let (status, replayed, _) = keyed("/render/html", A_KEY, &stored).await;
    assert_eq!((status, replayed), (200, true));
    for body in [&stored, &json!({"definition": {"key": "x", "name": "X", "html": "beta's"}, "output": {"store": true}})] {
        let (status, replayed, text) = keyed("/render/html", B_KEY, body).await;
        let reused = status == 409 && text.contains("idempotency_key_reused");
        assert!(!replayed && (status == 200 || reused), "the key of beta is its own: {status} {text}");
        assert!(body == &stored || reused, "by now beta has used it");
    }

    let link = things.document["downloadUrl"].as_str().unwrap();
    assert_eq!(reqwest::get(link).await.unwrap().status(), 200, "beta revoked nothing");

    // Alpha has it all still.
    for path in [
        "/templates/alphasecret",
        "/templates/alphasecret/sample",
        &format!("/admin/api-keys/{}", things.key),
        &format!("/documents/{document}"),
    ] {
        let (status, text) = ask(&server, "GET", path, A_KEY, &none).await;
        assert_eq!(status, 200, "{path}: {text}");
        assert!(!text.contains("\"revoked\""), "{text}");
    }
    let (_, users) = ask(&server, "GET", "/admin/users", A_KEY, &none).await;
    assert!(users.contains("\"role\":\"author\""), "{users}");
}

#[tokio::test]
async fn the_same_user_id_in_two_tenants_is_two_people_and_neither_tenant_learns_of_the_other() {
    let server = Server::start_with(SETTINGS);
    for id in ["alpha", "beta"] {
        assert_eq!(ask(&server, "POST", "/admin/tenants", SUPER_KEY, &json!({"id": id, "name": id})).await.0, 201);
    }
    let user = |key: &str, role: &str| json!({"id": "ann", "displayName": "Ann", "key": key, "role": role});
    let mint = async |body: Value| {
        let request = reqwest::Client::new().post(server.url("/auth/editor-token")).json(&body);
        answer(request).await
    };
    let me = async |token: &Value| {
        let request = reqwest::Client::new().get(server.url("/auth/me")).header("X-Editor-Token", token.as_str().unwrap());
        answer(request).await
    };
    made(&server, "/admin/users", &user("the-key-of-ann-in-alpha", "author")).await;
    let (status, _) = mint(json!({"key": B_KEY, "actor": "ann"})).await;
    assert_eq!(status, 200, "the name is free in beta, and whether it is in alpha is nobody's business");
    let (status, text) = ask(&server, "POST", "/admin/users", B_KEY, &user("the-key-of-ann-in-beta", "viewer")).await;
    assert_eq!(status, 201, "{text}");
    let (_, of_alpha) = mint(json!({"key": "the-key-of-ann-in-alpha"})).await;
    let (_, of_beta) = mint(json!({"key": "the-key-of-ann-in-beta"})).await;
    for (minted, role, tenant) in [(&of_alpha, "author", "alpha"), (&of_beta, "viewer", "beta")] {
        let (status, who) = me(&minted["token"]).await;
        assert_eq!((status, &who["scope"], &who["tenantId"]), (200, &json!(role), &json!(tenant)), "{who}");
    }
    assert_eq!(ask(&server, "PUT", "/admin/users/ann", B_KEY, &json!({"role": "admin"})).await.0, 200);
    assert_eq!(
        (me(&of_alpha["token"]).await.1["scope"].clone(), me(&of_beta["token"]).await.1["scope"].clone()),
        (json!("author"), json!("admin"))
    );
    assert_eq!(ask(&server, "DELETE", "/admin/users/ann", B_KEY, &Value::Null).await.0, 200);
    assert_eq!((me(&of_alpha["token"]).await.0, me(&of_beta["token"]).await.0), (200, 401), "one of them was removed");
    let (_, users) = ask(&server, "GET", "/admin/users", A_KEY, &Value::Null).await;
    assert!(users.contains("\"ann\""), "{users}");
    assert_eq!(ask(&server, "POST", "/admin/users", B_KEY, &user("another-key-of-ann-in-beta", "viewer")).await.0, 201);
    for path in ["/admin/tenants/beta", "/admin/tenants/beta?purge=true&confirm=beta"] {
        assert_eq!(ask(&server, "DELETE", path, SUPER_KEY, &Value::Null).await.0, 204, "{path}");
    }
    assert_eq!(me(&of_alpha["token"]).await.0, 200, "a purge of beta removes nobody of alpha");
}
