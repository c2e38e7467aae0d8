//! Labels from outside: moved here and heard there, split, planned, undone, and what they were.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use domain::Clock;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use testkit::postgres::TestDatabase;

use crate::running::{EDITOR_KEY, KEY, PREVIEW_KEY, Server, answer, wait_until_async};

fn leaked(settings: &[(&str, &str)]) -> &'static [(&'static str, &'static str)] {
    Vec::leak(settings.iter().map(|(name, value)| (&*String::from(*name).leak(), &*String::from(*value).leak())).collect())
}

fn two(database: &TestDatabase) -> (Server, Server) {
    let settings = leaked(&[("DATABASE_URL", database.url())]);
    (Server::start_with(settings), Server::start_with(settings))
}

async fn ask(server: &Server, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let request = reqwest::Client::new().request(method.parse().unwrap(), server.url(path)).header("X-Api-Key", KEY);
    answer(if body.is_null() { request } else { request.json(body) }).await
}

async fn ok(server: &Server, method: &str, path: &str, body: &Value) -> Value {
    let (status, answer) = ask(server, method, path, body).await;
    assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
    answer
}

/// Asks for something that is refused so.
async fn refused(server: &Server, method: &str, path: &str, body: &Value, status: u16, code: &str) -> String {
    let (found, answer) = ask(server, method, path, body).await;
    assert_eq!((found, answer["code"].as_str()), (status, Some(code)), "{method} {path}: {answer}");
    answer["message"].as_str().unwrap_or_default().to_owned()
}

/// A template whose version 1.0.N prints "version N".
async fn sheet(server: &Server, key: &str, versions: usize) {
    for number in 0..versions {
        let definition = json!({"key": key, "name": "Sheet", "html": format!("<p>version {number}</p>")});
        if number == 0 {
            ok(server, "POST", "/templates", &definition).await;
        } else {
            let request = reqwest::Client::new().put(server.url(&format!("/templates/{key}"))).header("X-Api-Key", KEY);
            let (status, saved) = answer(request.header("If-Match", format!("\"1.0.{}\"", number - 1)).json(&definition)).await;
            assert_eq!(status, 200, "{saved}");
        }
    }
}

/// What a render printed, and what its headers say of the label: the label, the side and the place.
async fn printed(server: &Server, body: &Value) -> (String, [String; 3]) {
    let answer = server.post("/render/html", body).await;
    let headers = ["x-pulpengine-resolved-label", "x-pulpengine-variant", "x-pulpengine-bucket"]
        .map(|name| answer.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned());
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    let said = text.split_once("<p>").and_then(|(_, rest)| rest.split_once("</p>"));
    (said.map_or_else(|| format!("{status} {text}"), |(said, _)| said.to_owned()), headers)
}

async fn version(server: &Server, body: &Value) -> String {
    printed(server, body).await.0
}

fn now() -> Timestamp {
    Clock::system().now()
}

#[tokio::test]
async fn a_label_moved_through_one_replica_leads_elsewhere_on_the_other_at_once() {
    let database = TestDatabase::empty().await;
    let (one, other) = two(&database);
    sheet(&one, "sheet", 3).await;
    let by_label = json!({"template": "sheet", "label": "prod"});
    refused(&other, "POST", "/render/html", &by_label, 404, "not_found").await;
    let mut slowest = Duration::ZERO;
    for number in [0, 1, 2, 0, 2] {
        let moved = ok(&one, "PUT", "/templates/sheet/labels/prod", &json!({"version": format!("1.0.{number}")})).await;
        let started = Instant::now();
        let expected = format!("version {number}");
        wait_until_async("the other replica has heard", async || (version(&other, &by_label).await == expected).then_some(())).await;
        slowest = slowest.max(started.elapsed());
        assert_eq!(version(&one, &by_label).await, expected, "where it was moved it holds before the answer: {moved}");
    }
    assert!(slowest < Duration::from_secs(5), "long before what is known grows old: {slowest:?}");
    println!("heard on the other replica within {slowest:?}");
    assert_eq!(printed(&other, &by_label).await.1, ["prod", "", ""]);
    ok(&one, "DELETE", "/templates/sheet/labels/prod", &Value::Null).await;
    let gone = async || (ask(&other, "POST", "/render/html", &by_label).await.0 == 404).then_some(());
    wait_until_async("a removed label leads nowhere", gone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_moves_at_once_through_two_replicas_are_a_thousand_rows_of_the_history() {
    const MOVES: usize = 1_000;
    let database = TestDatabase::empty().await;
    let (one, other) = two(&database);
    sheet(&one, "sheet", 2).await;
    let client = reqwest::Client::new();
    let started = Instant::now();
    let moves = (0..MOVES).map(|number| {
        let server = if number % 2 == 0 { &one } else { &other };
        let (client, url) = (client.clone(), server.url("/templates/sheet/labels/prod"));
        let body = json!({"version": format!("1.0.{}", number / 2 % 2)});
        tokio::spawn(async move {
            // A server that is too busy says so and did nothing: then the client asks again, as the public one does.
            for _ in 0..100 {
                let (status, moved) = answer(client.put(&url).header("X-Api-Key", KEY).json(&body)).await;
                if status != 503 {
                    assert_eq!(status, 200, "{moved}");
                    return moved["revision"].as_u64().unwrap();
                }
            }
            panic!("never let in");
        })
    });
    let mut revisions = Vec::new();
    for made in moves.collect::<Vec<_>>() {
        revisions.push(made.await.unwrap());
    }
    let took = started.elapsed();
    revisions.sort_unstable();
    assert_eq!(revisions, (1..=MOVES as u64).collect::<Vec<_>>(), "each move has a revision of its own");
    let newest = ok(&one, "GET", "/templates/sheet/labels/prod/history?limit=1000", &Value::Null).await;
    assert_eq!(newest["total"], json!(MOVES));
    let mut counts = BTreeMap::new();
    let events = newest["items"].as_array().unwrap();
    for (after, before) in events.iter().zip(&events[1..]) {
        assert_eq!(after["previousVersion"], before["version"], "the history has no gap");
    }
    for event in events {
        *counts.entry(event["version"].as_str().unwrap()).or_insert(0) += 1;
    }
    assert_eq!(counts, BTreeMap::from([("1.0.0", MOVES / 2), ("1.0.1", MOVES / 2)]));
    let labels = ok(&other, "GET", "/templates/sheet/labels", &Value::Null).await;
    assert_eq!((&labels["items"][0]["version"], &labels["items"][0]["revision"]), (&events[0]["version"], &json!(MOVES)));
    let audited = ok(&one, "GET", "/audit-events?event=template.label-moved&limit=1", &Value::Null).await;
    assert_eq!(audited["total"], json!(MOVES));
    println!("{MOVES} moves at once through two replicas took {took:?}");
}

#[tokio::test]
async fn a_planned_move_is_made_once_at_its_time_whichever_of_two_replicas_sees_it_first() {
    let database = TestDatabase::empty().await;
    let (one, other) = two(&database);
    sheet(&one, "sheet", 3).await;
    ok(&one, "PUT", "/templates/sheet/labels/prod", &json!({"version": "1.0.0"})).await;
    let at = |milliseconds| (now() + SignedDuration::from_millis(milliseconds)).to_string();
    // Several at the same moment, in this order, and one of a label that does not exist yet.
    let moment = at(3_000);
    let plan = async |server: &Server, label: &str, version: &str, at: &str| {
        let body = json!({"version": version, "effectiveAt": at});
        ok(server, "POST", &format!("/templates/sheet/labels/{label}/schedule"), &body).await
    };
    for version in ["1.0.1", "1.0.0", "1.0.2"] {
        plan(&one, "prod", version, &moment).await;
    }
    plan(&other, "next", "1.0.1", &moment).await;
    let cancelled = plan(&one, "prod", "1.0.0", &at(4_000)).await;
    let event = format!("/templates/sheet/labels/prod/schedule/{}", cancelled["id"].as_str().unwrap());
    assert_eq!(ok(&other, "DELETE", &event, &Value::Null).await["status"], "cancelled");
    refused(&one, "DELETE", &event, &Value::Null, 409, "label_event_not_pending").await;
    refused(&one, "DELETE", "/templates/sheet/labels/prod", &Value::Null, 409, "label_in_use").await;
    assert_eq!(version(&other, &json!({"template": "sheet", "label": "prod"})).await, "version 0", "not before its time");

    for server in [&one, &other] {
        let moved = async || (version(server, &json!({"template": "sheet", "label": "prod"})).await == "version 2").then_some(());
        wait_until_async("the last of the planned moves is made", moved).await;
        let made = async || (version(server, &json!({"template": "sheet", "label": "next"})).await == "version 1").then_some(());
        wait_until_async("the new label is made", made).await;
    }
    let history = ok(&one, "GET", "/templates/sheet/labels/prod/history?status=applied", &Value::Null).await;
    let seen: Vec<_> = history["items"].as_array().unwrap().iter().map(|event| event["version"].as_str().unwrap()).collect();
    assert_eq!(seen, ["1.0.2", "1.0.0", "1.0.1", "1.0.0"], "each once: {history}");
    let late = history["items"].as_array().unwrap().iter().take(3).map(|event| {
        let moment = |name: &str| event[name].as_str().unwrap().parse::<Timestamp>().unwrap();
        moment("settledAt").duration_since(moment("effectiveAt"))
    });
    let latest = late.inspect(|late| assert!(!late.is_negative(), "not early")).max().unwrap();
    assert!(latest < SignedDuration::from_secs(5), "{latest:?}");
    println!("the last of three planned moves was made {latest:?} after its time");
    let audited = ok(&one, "GET", "/audit-events?actor=system:label-moves&event=template.label-moved", &Value::Null).await;
    let audited_by_name = ok(&one, "GET", "/audit-events?event=template.label-moved", &Value::Null).await;
    assert_eq!(audited_by_name["total"], 5, "one by hand, four planned, each in the audit log once: {audited} {audited_by_name}");
}

#[tokio::test]
async fn a_planned_move_to_a_version_that_is_gone_fails_and_says_why() {
    let database = TestDatabase::empty().await;
    let server = Server::start_with(leaked(&[("DATABASE_URL", database.url())]));
    sheet(&server, "sheet", 3).await;
    let at = (now() + SignedDuration::from_secs(2)).to_string();
    let body = json!({"version": "1.0.1", "effectiveAt": at});
    ok(&server, "POST", "/templates/sheet/labels/prod/schedule", &body).await;
    database.query("DELETE FROM template_versions WHERE patch = 1").await;
    let failed = wait_until_async("the move has failed", async || {
        let history = ok(&server, "GET", "/templates/sheet/labels/prod/history?status=failed", &Value::Null).await;
        history["items"].as_array().unwrap().first().cloned()
    })
    .await;
    assert_eq!(failed["reason"], "the template has no version 1.0.1 any more");
    let audited = ok(&server, "GET", "/audit-events?event=template.label-move-failed", &Value::Null).await;
    assert_eq!(audited["total"], 1);
    refused(&server, "GET", "/templates/sheet/labels/prod", &Value::Null, 404, "not_found").await;
}

/// How a server is told a bucket key.
#[derive(Clone, Copy)]
enum Told {
    ByBody,
    ByHeader,
}

/// Whether a customer gets the new version of the label "trial", 30 of a hundred of which do.
async fn side(client: reqwest::Client, url: String, told: Told, customer: usize) -> bool {
    let request = client.post(url).header("X-Api-Key", KEY);
    let (body, customer) = (json!({"template": "sheet", "label": "trial"}), format!("customer-{customer}"));
    let request = match told {
        Told::ByBody => request.json(&json!({"template": "sheet", "label": "trial", "bucketKey": customer})),
        Told::ByHeader => request.header("x-pulp-engine-bucket", customer).json(&body),
    };
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let variant = answer.headers()["x-pulpengine-variant"] == "variant";
    let bucket: u8 = answer.headers()["x-pulpengine-bucket"].to_str().unwrap().parse().unwrap();
    let text = answer.text().await.unwrap();
    assert_eq!((variant, variant), (text.contains("version 1"), bucket < 30), "the headers tell what was printed");
    variant
}

#[tokio::test(flavor = "multi_thread")]
async fn a_split_of_thirty_gives_thirty_of_a_hundred_keys_the_new_version_and_each_key_always_the_same() {
    const KEYS: usize = 10_000;
    let database = TestDatabase::empty().await;
    let settings = leaked(&[("DATABASE_URL", database.url()), ("VARIANTS_ENABLED", "true"), ("RENDER_MAX_QUEUE_DEPTH", "200")]);
    let (one, other) = (Server::start_with(settings), Server::start_with(settings));
    sheet(&one, "sheet", 2).await;
    let split = json!({"version": "1.0.1", "trafficSplit": 30, "controlLabel": "prod"});
    let message = refused(&one, "PUT", "/templates/sheet/labels/trial", &split, 422, "validation_failed").await;
    assert!(message.contains("controlLabel"), "the control does not exist yet: {message}");
    ok(&one, "PUT", "/templates/sheet/labels/prod", &json!({"version": "1.0.0"})).await;
    ok(&one, "PUT", "/templates/sheet/labels/trial", &split).await;
    refused(&one, "DELETE", "/templates/sheet/labels/prod", &Value::Null, 409, "label_in_use").await;
    let body = json!({"template": "sheet", "label": "trial"});
    assert_eq!(printed(&one, &body).await, ("version 0".to_owned(), ["prod".into(), "control".into(), String::new()]));

    let client = reqwest::Client::new();
    let (here, there) = (one.url("/render/html"), other.url("/render/html"));
    let mut variants = 0;
    for group in (0..KEYS).collect::<Vec<_>>().chunks(20) {
        let asked: Vec<_> = group.iter().map(|key| tokio::spawn(side(client.clone(), here.clone(), Told::ByBody, *key))).collect();
        for side in asked {
            variants += usize::from(side.await.unwrap());
        }
    }
    assert!((2_700..=3_300).contains(&variants), "{variants} of {KEYS}");
    println!("a split of 30 gave {variants} of {KEYS} keys the variant");
    for key in 0..100 {
        let elsewhere = side(client.clone(), there.clone(), Told::ByHeader, key).await;
        assert_eq!(elsewhere, side(client.clone(), here.clone(), Told::ByBody, key).await, "{key}");
    }
    let found =
        ok(&one, "PUT", "/templates/sheet/labels/trial", &json!({"version": "1.0.1", "trafficSplit": 100, "controlLabel": "prod"})).await;
    assert_eq!(found["trafficSplit"], 100);
    let changed = ok(&one, "GET", "/audit-events?event=template.label-split-changed", &Value::Null).await;
    assert_eq!(changed["total"], 1, "the version stayed");
    wait_until_async("renders are counted by the label whose version they got", async || {
        let log = ok(&one, "GET", "/renders?label=prod&limit=1", &Value::Null).await;
        (log["total"].as_u64().unwrap() >= (KEYS - variants) as u64).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_label_is_asked_for_as_it_was_and_before_its_history_that_is_refused() {
    let server = Server::start();
    sheet(&server, "sheet", 2).await;
    let before = now();
    ok(&server, "PUT", "/templates/sheet/labels/prod", &json!({"version": "1.0.0"})).await;
    let first = now();
    ok(&server, "PUT", "/templates/sheet/labels/prod", &json!({"version": "1.0.1"})).await;
    let second = now();
    ok(&server, "DELETE", "/templates/sheet/labels/prod", &Value::Null).await;
    let removed = now();
    let then = |moment: Timestamp| json!({"template": "sheet", "label": "prod", "asOf": moment.to_string()});
    assert_eq!(version(&server, &then(first)).await, "version 0");
    assert_eq!(version(&server, &then(second)).await, "version 1");
    refused(&server, "POST", "/render/html", &then(before), 422, "as_of_before_history").await;
    refused(&server, "POST", "/render/html", &then(removed), 404, "not_found").await;
    let tomorrow = now() + SignedDuration::from_hours(24);
    refused(&server, "POST", "/render/html", &then(tomorrow), 422, "validation_failed").await;
    let latest = json!({"template": "sheet", "label": "@latest", "asOf": first.to_string()});
    refused(&server, "POST", "/render/html", &latest, 400, "bad_request").await;
    let inline = json!({"definition": {"key": "a", "name": "A", "html": "x"}, "bucketKey": "x"});
    refused(&server, "POST", "/render/html", &inline, 400, "bad_request").await;
    let full = ok(&server, "GET", &format!("/templates/sheet/labels/prod?asOf={first}"), &Value::Null).await;
    assert_eq!((&full["version"], &full["definition"]["html"]), (&json!("1.0.0"), &json!("<p>version 0</p>")));
    refused(&server, "GET", &format!("/templates/sheet/labels/prod?asOf={before}"), &Value::Null, 422, "as_of_before_history").await;
    refused(&server, "GET", "/templates/sheet/labels/prod", &Value::Null, 404, "not_found").await;
    let history = ok(&server, "GET", "/templates/sheet/labels/prod/history", &Value::Null).await;
    assert_eq!((&history["total"], &history["items"][0]["version"]), (&json!(3), &Value::Null), "it outlives the label");
}

#[tokio::test]
async fn with_a_live_label_saving_changes_no_document_and_what_is_not_released_says_so() {
    let server = Server::start_with(&[("DEFAULT_LIVE_LABEL", "prod")]);
    sheet(&server, "sheet", 2).await;
    let usual = json!({"template": "sheet"});
    let message = refused(&server, "POST", "/render/html", &usual, 409, "template_not_released").await;
    assert!(message.contains("\"prod\"") && message.contains("@latest"), "{message}");
    refused(&server, "GET", "/templates/sheet/sample", &Value::Null, 409, "template_not_released").await;
    refused(&server, "GET", "/templates/sheet/schema", &Value::Null, 409, "template_not_released").await;
    assert_eq!(version(&server, &json!({"template": "sheet", "label": "@latest"})).await, "version 1");
    ok(&server, "GET", "/templates/sheet/schema?label=@latest", &Value::Null).await;
    ok(&server, "GET", "/templates/sheet", &Value::Null).await;
    ok(&server, "PUT", "/templates/sheet/labels/prod", &json!({"version": "1.0.0"})).await;
    assert_eq!(printed(&server, &usual).await, ("version 0".to_owned(), ["prod".into(), String::new(), String::new()]));
    ok(&server, "POST", "/templates/sheet/validate", &json!({})).await;
    refused(&server, "DELETE", "/templates/sheet/labels/prod", &Value::Null, 409, "default_label_protected").await;
    let split = json!({"version": "1.0.1", "trafficSplit": 10});
    let message = refused(&server, "PUT", "/templates/sheet/labels/beta", &split, 422, "validation_failed").await;
    assert!(message.contains("VARIANTS_ENABLED"), "{message}");
    let listed = ok(&server, "GET", "/templates?label=prod", &Value::Null).await;
    assert_eq!((&listed["total"], &listed["items"][0]["key"]), (&json!(1), &json!("sheet")));
    assert_eq!(ok(&server, "GET", "/templates?label=beta", &Value::Null).await["total"], 0);
    assert_eq!(ok(&server, "GET", "/capabilities", &Value::Null).await["defaultLiveLabel"], "prod");
    wait_until_async("the log says by which label it was rendered", async || {
        let log = ok(&server, "GET", "/renders?label=prod", &Value::Null).await;
        (log["items"][0]["label"] == "prod").then_some(())
    })
    .await;

    // A page's token is for what is released; one with a label for what that leads to.
    let render = async |asked: Value, body: Value| {
        let made = ok(&server, "POST", "/render-tokens", &asked).await;
        let token = made["token"].as_str().unwrap().to_owned();
        let page = reqwest::Client::new().post(server.url("/render/html")).bearer_auth(token).json(&body).send().await.unwrap();
        (page.status().as_u16(), page.text().await.unwrap())
    };
    let token = |label: Value| json!({"templates": ["sheet"], "formats": ["html"], "label": label});
    assert!(render(token(Value::Null), usual.clone()).await.1.contains("version 0"));
    assert!(render(token(json!("prod")), usual.clone()).await.1.contains("version 0"));
    assert!(render(token(json!("@latest")), usual.clone()).await.1.contains("version 1"));
    for asked in [json!({"label": "@latest"}), json!({"version": "1.0.1"}), json!({"label": "prod", "asOf": now().to_string()})] {
        let mut body = asked.clone();
        body["template"] = json!("sheet");
        assert_eq!(render(token(Value::Null), body.clone()).await.0, 403, "a page chooses no version: {asked}");
        assert_eq!(render(token(json!("prod")), body).await.0, 403, "{asked}");
    }
}

#[tokio::test]
async fn what_no_label_can_be_is_refused_with_what_can() {
    let server = Server::start();
    sheet(&server, "sheet", 2).await;
    let label = "/templates/sheet/labels/prod";
    let message = refused(&server, "PUT", label, &json!({"version": "9.9.9"}), 404, "not_found").await;
    assert!(message.contains("9.9.9"), "{message}");
    refused(&server, "PUT", label, &json!({"version": "newest"}), 404, "not_found").await;
    refused(&server, "PUT", label, &json!({}), 400, "bad_request").await;
    for name in ["Prod", "@latest", "1st", "a%20b", &"x".repeat(65)] {
        refused(&server, "PUT", &format!("/templates/sheet/labels/{name}"), &json!({"version": "1.0.0"}), 422, "validation_failed").await;
        refused(&server, "GET", &format!("/templates/sheet/labels/{name}"), &Value::Null, 404, "not_found").await;
    }
    refused(&server, "GET", "/templates/sheet/labels/prod/history", &Value::Null, 404, "not_found").await;
    let request = |expected: &'static str, version: &str| {
        let request = reqwest::Client::new().put(server.url(label)).header("X-Api-Key", KEY).header("If-Match", expected);
        answer(request.json(&json!({"version": version})))
    };
    assert_eq!(request("*", "1.0.0").await.0, 400);
    assert_eq!(request("\"1\"", "1.0.0").await.0, 412, "it does not exist");
    assert_eq!(request("\"0\"", "1.0.0").await.0, 200);
    assert_eq!(request("\"0\"", "1.0.1").await.0, 412, "it exists");
    assert_eq!(request("\"1\"", "1.0.1").await.0, 200);
    assert_eq!(request("\"1\"", "1.0.0").await.1["code"], "precondition_failed");
    assert_eq!(request("\"1.0.0\"", "1.0.0").await.0, 412, "it leads elsewhere");
    assert_eq!(request("\"1.0.1\"", "1.0.0").await.0, 200);

    let schedule = "/templates/sheet/labels/prod/schedule";
    for (body, said) in [
        (json!({"version": "1.0.0"}), "effectiveAt"),
        (json!({"version": "1.0.0", "effectiveAt": "2020-01-01T00:00:00Z"}), "past"),
        (json!({"version": "1.0.0", "effectiveAt": "2126-01-01T00:00:00Z"}), "two years"),
        (json!({"version": "1.0.0", "effectiveAt": "tomorrow"}), "ISO 8601"),
        (json!({"version": "1.0.0", "effectiveLocal": "2027-03-28T02:30:00", "timeZone": "Europe/Berlin"}), "put forward"),
        (json!({"version": "1.0.0", "effectiveLocal": "2027-10-31T02:30:00", "timeZone": "Europe/Berlin"}), "twice"),
        (json!({"version": "1.0.0", "effectiveLocal": "2027-03-28T04:30:00"}), "timeZone"),
    ] {
        let message = refused(&server, "POST", schedule, &body, 422, "validation_failed").await;
        assert!(message.contains(said), "{body}: {message}");
    }
    let nowhere = json!({"version": "1.0.0", "effectiveLocal": "2027-03-28T04:30:00", "timeZone": "Mars/Olympus"});
    refused(&server, "POST", schedule, &nowhere, 422, "invalid_time_zone").await;
    let local = json!({"version": "1.0.1", "effectiveLocal": "2027-06-01T08:00:00", "timeZone": "Europe/Berlin"});
    let planned = ok(&server, "POST", schedule, &local).await;
    assert_eq!((&planned["effectiveAt"], &planned["status"]), (&json!("2027-06-01T06:00:00Z"), &json!("pending")));
    refused(&server, "POST", schedule, &json!({"version": "9.9.9", "effectiveAt": "2027-06-01T06:00:00Z"}), 404, "not_found").await;

    for key in [EDITOR_KEY, PREVIEW_KEY] {
        let request = reqwest::Client::new().put(server.url(label)).header("X-Api-Key", key).json(&json!({"version": "1.0.1"}));
        assert_eq!(answer(request).await.0, 403, "who saves does not release");
    }
    let limited = ok(&server, "POST", "/admin/api-keys", &json!({"name": "x", "scope": "admin", "allowedTemplates": ["other*"]})).await;
    let request = reqwest::Client::new().put(server.url(label)).header("X-Api-Key", limited["key"].as_str().unwrap());
    assert_eq!(answer(request.json(&json!({"version": "1.0.1"}))).await.1["code"], "api_key_template_not_allowed");
}

#[tokio::test]
async fn a_version_that_would_refuse_what_fits_the_one_in_use_is_refused_where_that_is_asked_for() {
    let server = Server::start();
    let schema = |required: Value| json!({"type": "object", "properties": {"name": {"type": "string"}}, "required": required});
    let definition = |required: Value| json!({"key": "sheet", "name": "Sheet", "html": "x", "inputSchema": schema(required)});
    ok(&server, "POST", "/templates", &definition(json!([]))).await;
    let request = reqwest::Client::new().put(server.url("/templates/sheet")).header("X-Api-Key", KEY).header("If-Match", "\"1.0.0\"");
    assert_eq!(answer(request.json(&definition(json!(["name"])))).await.0, 200);
    let careful = "/templates/sheet/labels/prod?requireCompatible=true";
    ok(&server, "PUT", careful, &json!({"version": "1.0.0"})).await;
    ok(&server, "PUT", careful, &json!({"version": "1.0.0"})).await;
    let (status, answer) = ask(&server, "PUT", careful, &json!({"version": "1.0.1"})).await;
    assert_eq!((status, &answer["code"]), (409, &json!("breaking_contract_change")), "{answer}");
    assert_eq!((&answer["compatibility"]["base"], &answer["compatibility"]["compatible"]), (&json!("1.0.0"), &json!(false)));
    assert!(
        !answer["compatibility"]["changes"].as_array().unwrap().is_empty() && !answer["issues"].as_array().unwrap().is_empty(),
        "{answer}"
    );
    ok(&server, "PUT", "/templates/sheet/labels/prod?requireCompatible=false", &json!({"version": "1.0.1"})).await;
    ok(&server, "PUT", careful, &json!({"version": "1.0.0"})).await;
}
