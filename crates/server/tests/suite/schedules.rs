//! Schedules from outside: when they come, what is refused, and who may have what rendered.

use serde_json::{Value, json};

use crate::running::{KEY, Server, answer, wait_until_async};

fn schedule(more: &Value) -> Value {
    let mut whole = json!({
        "name": "Letters", "cronExpression": "0 8 * * *", "timezone": "Europe/Berlin", "templateKey": "weekly",
        "dataSource": {"type": "static", "data": {"name": "Ann"}}, "deliveryTargets": [],
    });
    whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    whole
}

async fn started() -> Server {
    let server = Server::start();
    for key in ["weekly", "cover-note"] {
        let made = server.post("/templates", &json!({"key": key, "name": key, "html": "<p>{{name}}</p>"})).await;
        assert_eq!(made.status(), 201);
    }
    server
}

async fn ask(server: &Server, method: &str, path: &str, key: &str, headers: &[(&str, &str)], body: &Value) -> (u16, Value) {
    let request = reqwest::Client::new().request(method.parse().unwrap(), server.url(path)).header("X-Api-Key", key).json(body);
    answer(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

#[tokio::test]
async fn a_schedule_comes_when_its_preview_says_and_no_more_often_than_it_may() {
    let server = started().await;
    let every_second = schedule(&json!({"cronExpression": "* * * * * *", "maxRuns": 3}));
    let (status, made) = ask(&server, "POST", "/schedules", KEY, &[], &every_second).await;
    assert_eq!(status, 201, "{made}");
    let path = format!("/schedules/{}", made["id"].as_str().unwrap());
    let ended = wait_until_async("three runs", async || {
        let (_, now) = ask(&server, "GET", &path, KEY, &[], &Value::Null).await;
        (now["runCount"] == json!(3)).then_some(now)
    })
    .await;
    assert_eq!(ended["nextFireAt"], Value::Null, "{ended}");
    let first: jiff::Timestamp = made["nextFireAt"].as_str().unwrap().parse().unwrap();
    assert_eq!(ended["lastFiredAt"], json!(first + jiff::SignedDuration::from_secs(2)));
    assert_eq!(ended["revision"], json!(1), "a run is no change");
    let (_, preview) = ask(&server, "GET", &format!("{path}/preview"), KEY, &[], &Value::Null).await;
    assert_eq!(preview["fires"], json!([]), "{preview}");
}

#[tokio::test]
async fn a_change_needs_the_revision_that_was_read_and_a_repeated_request_is_the_same_schedule() {
    let server = started().await;
    let keyed = [("Idempotency-Key", "a-key-of-mine")];
    let (_, made) = ask(&server, "POST", "/schedules", KEY, &keyed, &schedule(&json!({}))).await;
    let (status, again) = ask(&server, "POST", "/schedules", KEY, &keyed, &schedule(&json!({}))).await;
    assert_eq!((status, &again), (201, &made));
    let (status, reused) = ask(&server, "POST", "/schedules", KEY, &keyed, &schedule(&json!({"name": "Other"}))).await;
    assert_eq!((status, &reused["code"]), (409, &json!("idempotency_key_reused")));
    let path = format!("/schedules/{}", made["id"].as_str().unwrap());
    let (status, changed) = ask(&server, "PATCH", &path, KEY, &[("If-Match", "\"1\"")], &json!({"name": "Other"})).await;
    assert_eq!((status, &changed["revision"], &changed["nextFireAt"]), (200, &json!(2), &made["nextFireAt"]));
    for (method, body) in [("PATCH", json!({"name": "Third"})), ("PUT", schedule(&json!({}))), ("DELETE", json!({}))] {
        let (status, stale) = ask(&server, method, &path, KEY, &[("If-Match", "\"1\"")], &body).await;
        assert_eq!((status, &stale["code"]), (412, &json!("precondition_failed")), "{method}");
    }
    let (status, sent_back) = ask(&server, "PUT", &path, KEY, &[("If-Match", "\"2\"")], &changed).await;
    assert_eq!((status, &sent_back["nextFireAt"]), (200, &made["nextFireAt"]), "what is shown can be sent back");
}

#[tokio::test]
async fn secrets_are_never_shown_and_follow_to_no_other_address() {
    let server = Server::start_with(&[("OUTBOUND_ALLOWED_TARGETS", "127.0.0.1")]);
    let made = server.post("/templates", &json!({"key": "weekly", "name": "weekly", "html": "x"})).await;
    assert_eq!(made.status(), 201);
    let target = json!({"type": "webhook", "url": "https://127.0.0.1:4439/hook", "secret": "hunter2-of-the-hook"});
    let whole = schedule(&json!({"deliveryTargets": [target]}));
    let (status, made) = ask(&server, "POST", "/schedules", KEY, &[], &whole).await;
    assert_eq!(status, 201, "{made}");
    assert!(!made.to_string().contains("hunter2"), "{made}");
    let path = format!("/schedules/{}", made["id"].as_str().unwrap());
    let (status, renamed) = ask(&server, "PATCH", &path, KEY, &[], &json!({"name": "Other"})).await;
    assert_eq!((status, &renamed["deliveryTargets"][0]["hasSecret"]), (200, &json!(true)), "{renamed}");
    let mut elsewhere = renamed.clone();
    elsewhere["deliveryTargets"][0]["url"] = json!("https://127.0.0.1:4440/hook");
    let (status, refused) = ask(&server, "PUT", &path, KEY, &[], &elsewhere).await;
    assert_eq!((status, &refused["code"]), (422, &json!("schedule_secret_required")), "{refused}");
    let inward = json!({"deliveryTargets": [{"type": "webhook", "url": "https://10.0.0.1/hook", "secret": "hunter2-of-the-hook"}]});
    let (status, refused) = ask(&server, "PATCH", &path, KEY, &[], &inward).await;
    assert_eq!((status, &refused["code"]), (422, &json!("webhook_url_rejected")), "{refused}");
    let log = server.log();
    assert!(!log.contains("hunter2"), "{log}");
}

#[tokio::test]
async fn a_limited_key_schedules_its_own_templates_alone_messages_too_and_sees_no_others() {
    let server = started().await;
    let limited = json!({"name": "limited", "scope": "admin", "allowedTemplates": ["weekly"]});
    let (status, key) = ask(&server, "POST", "/admin/api-keys", KEY, &[], &limited).await;
    assert_eq!(status, 201, "{key}");
    let limited = key["key"].as_str().unwrap();
    let (_, foreign) = ask(&server, "POST", "/schedules", KEY, &[], &schedule(&json!({"templateKey": "cover-note"}))).await;
    let foreign = format!("/schedules/{}", foreign["id"].as_str().unwrap());
    let (status, own) = ask(&server, "POST", "/schedules", limited, &[], &schedule(&json!({}))).await;
    assert_eq!(status, 201, "{own}");
    let own = format!("/schedules/{}", own["id"].as_str().unwrap());
    let note = json!({"deliveryTargets": [{"type": "email", "to": ["a@example.org"], "bodyTemplate": {"template": "cover-note"}}]});
    for (method, path, body) in [
        ("POST", "/schedules", schedule(&json!({"templateKey": "cover-note"}))),
        ("PATCH", &own, json!({"templateKey": "cover-note"})),
        ("PATCH", &own, note.clone()),
        ("POST", "/schedules", schedule(&note)),
    ] {
        let (status, refused) = ask(&server, method, path, limited, &[], &body).await;
        assert_eq!((status, &refused["code"]), (403, &json!("api_key_template_not_allowed")), "{method} {path} {refused}");
    }
    for (method, path) in [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/duplicate"), ("GET", "/preview")] {
        let (status, _) = ask(&server, method, &format!("{foreign}{path}"), limited, &[], &json!({})).await;
        assert_eq!(status, 404, "{method} {path}");
    }
    let (_, list) = ask(&server, "GET", "/schedules", limited, &[], &Value::Null).await;
    assert_eq!(list["total"], json!(1), "{list}");
    // Somebody else gives it a message of another template: it is to be seen, and no longer to be changed or copied.
    let (status, _) = ask(&server, "PATCH", &own, KEY, &[], &note).await;
    assert_eq!(status, 200);
    for (method, path) in [("PATCH", own.clone()), ("POST", format!("{own}/duplicate"))] {
        let (status, refused) = ask(&server, method, &path, limited, &[], &json!({})).await;
        assert_eq!((status, &refused["code"]), (403, &json!("api_key_template_not_allowed")), "{method}");
    }
}
