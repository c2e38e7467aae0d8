//! Requests that are sent again under their key, to one server and to several at once.

use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::RequestBuilder;
use reqwest::multipart::Form;
use serde_json::{Value, json};
use testkit::postgres::TestDatabase;

use crate::assets::{PNG, part};
use crate::running::{EDITOR_KEY, KEY, RENDER_KEY, Server, answer, children, kill, wait_until_async};

const REPLAYED: &str = "idempotent-replayed";

fn three(database: &TestDatabase, files: &Path) -> Vec<Server> {
    let leak = |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
    let settings: &'static [(&str, &str)] = Box::leak(Box::new([
        ("DATABASE_URL", leak(database.url())),
        ("ASSETS_DIR", leak(files.to_str().unwrap())),
        // What is submitted stays as it is.
        ("JOB_CONCURRENCY", "0"),
        ("SCHEDULES_ENABLED", "false"),
    ]));
    (0..3).map(|_| Server::start_with(settings)).collect()
}

fn post(server: &Server, path: &str, key: &str) -> RequestBuilder {
    reqwest::Client::new().post(server.url(path)).header("X-Api-Key", KEY).header("Idempotency-Key", key)
}

/// What came back: status, whether it was given before, and the bytes.
type Came = (u16, bool, Vec<u8>);

async fn came(request: RequestBuilder) -> Came {
    let answer = request.send().await.unwrap();
    let (status, replayed) = (answer.status().as_u16(), answer.headers().contains_key(REPLAYED));
    (status, replayed, answer.bytes().await.unwrap().to_vec())
}

fn read(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(bytes)))
}

fn signal(name: &str, processes: &[u32]) {
    for pid in processes {
        kill(name, *pid);
    }
}

async fn total(server: &Server, path: &str) -> u64 {
    let (status, page) = answer(reqwest::Client::new().get(server.url(path)).header("X-Api-Key", KEY)).await;
    assert_eq!(status, 200, "{page}");
    page["total"].as_u64().unwrap()
}

/// All at the same time.
async fn all(requests: impl Iterator<Item = RequestBuilder>) -> Vec<Came> {
    let asked: Vec<_> = requests.map(|request| tokio::spawn(came(request))).collect();
    let mut all = Vec::new();
    for asked in asked {
        all.push(asked.await.unwrap());
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_at_three_servers_at_once_makes_one_of_everything_and_all_get_the_same_answer() {
    let (database, files) = (TestDatabase::empty().await, tempfile::tempdir().unwrap());
    let servers = three(&database, files.path());
    let any = &servers[0];
    let made_once = async |what: &str, status: u16, make: &dyn Fn(&Server) -> RequestBuilder| {
        let all = all(servers.iter().chain(&servers).map(make)).await;
        let told: Vec<Value> = all.iter().map(|(_, _, bytes)| read(bytes)).collect();
        assert!(all.iter().all(|came| came.0 == status), "{what}: {told:?}");
        assert!(all.iter().all(|came| came.2 == all[0].2), "{what}: not the same bytes: {told:?}");
        let firsts = all.iter().filter(|came| !came.1).count();
        assert_eq!(firsts, 1, "{what}: one is the first, the others say that they are not");
        told[0].clone()
    };

    let definition = json!({"key": "sheet", "name": "Sheet", "html": "<p>one</p>"});
    made_once("a template", 201, &|server| post(server, "/templates", "k-template").json(&definition)).await;
    let form = || Form::new().text("tags", "a,b").part("file", part(PNG, "logo.png", "image/png"));
    made_once("an asset", 201, &|server| post(server, "/assets/upload", "k-asset").multipart(form())).await;
    let restore = |server: &Server| post(server, "/templates/sheet/versions/1.0.0/restore", "k-restore").header("If-Match", "\"1.0.0\"");
    let restored = made_once("a version", 200, &restore).await;
    assert_eq!(restored["version"].as_str().or(restored["currentVersion"].as_str()), Some("1.0.1"), "{restored}");
    let job = json!({"format": "html", "template": "sheet"});
    made_once("a job", 202, &|server| post(server, "/render/jobs", "k-job").json(&job)).await;
    made_once("a dataset", 201, &|server| post(server, "/datasets", "k-dataset").json(&json!({"a": 1}))).await;
    let schedule = json!({"name": "Daily", "cronExpression": "0 8 * * *", "templateKey": "sheet", "deliveryTargets": [],
                          "dataSource": {"type": "static", "data": {}}});
    let made = post(any, "/schedules", "k-schedule").json(&schedule);
    let (status, schedule) = answer(made).await;
    if status == 201 {
        let trigger = format!("/schedules/{}/trigger", schedule["id"].as_str().unwrap());
        made_once("an execution", 202, &|server| post(server, &trigger, "k-trigger")).await;
        assert_eq!(total(any, &format!("/schedules/{}/executions", schedule["id"].as_str().unwrap())).await, 1);
    } else {
        panic!("{schedule}");
    }
    let kept = json!({"template": "sheet", "output": {"store": true}});
    made_once("a document", 200, &|server| post(server, "/render/pdf", "k-document").json(&kept)).await;
    assert_eq!(total(any, "/documents").await, 1);
    let linked = json!({"items": [{"template": "sheet"}, {"template": "sheet"}], "output": {"store": true, "respondWith": "link"}});
    made_once("a batch", 200, &|server| post(server, "/render/batch/html", "k-batch").json(&linked)).await;
    assert_eq!(total(any, "/documents").await, 3);

    for (path, wanted) in [("/templates", 1), ("/assets", 1), ("/templates/sheet/versions", 2), ("/render/jobs", 1)] {
        assert_eq!(total(any, path).await, wanted, "{path}");
    }
    assert_eq!(database.query("SELECT count(*) FROM datasets").await, "1");
    assert_eq!(database.query("SELECT count(*) FROM audit_events WHERE resource_id = 'sheet'").await, "2", "made once, restored once");
    assert_eq!(database.query("SELECT count(*) FROM idempotency_keys WHERE answer_status IS NULL").await, "0");
}

const TENANTS: &[(&str, &str)] = &[("MULTI_TENANT_ENABLED", "true"), ("API_KEY_SUPER_ADMIN", "a-super-admin-key-of-the-tests")];

#[tokio::test]
async fn a_replay_is_the_same_bytes_and_another_body_path_caller_or_tenant_is_another_request() {
    let server = Server::start_with(TENANTS);
    let created = |key: &str, body: &'static str| post(&server, "/templates", key).header("Content-Type", "application/json").body(body);
    let first = created("k", r#"{"key": "a", "name": "A", "html": "x"}"#).send().await.unwrap();
    let etag = first.headers()["etag"].clone();
    let first = first.bytes().await.unwrap();
    let again = created("k", r#"{"name": "A",  "key": "a", "html": "x"}"#).send().await.unwrap();
    assert_eq!((again.status().as_u16(), &again.headers()["etag"]), (201, &etag));
    assert_eq!(again.headers()[REPLAYED], "true");
    assert_eq!(again.headers()["content-type"], "application/json");
    assert_eq!(again.bytes().await.unwrap(), first);
    let (status, told) = answer(created("k", r#"{"key": "b", "name": "B", "html": "x"}"#)).await;
    assert_eq!((status, &told["code"]), (409, &json!("idempotency_key_reused")), "{told}");
    let stored = |key: &str, words: &str| {
        let definition = json!({"key": "p", "name": "P", "html": format!("<p>{words}</p>")});
        post(&server, "/render/html", key).json(&json!({"definition": definition, "output": {"store": true}}))
    };
    assert_eq!(answer(stored("k", "x")).await.1["code"], json!("idempotency_key_reused"), "another path");
    assert_eq!(answer(created("no key", "{}")).await.1["code"], json!("idempotency_key_invalid"));

    // Another credential, and another tenant.
    let by = |key: &str, name: &str| {
        let body = json!({"key": name, "name": "C", "html": "x"});
        reqwest::Client::new().post(server.url("/templates")).header("X-Api-Key", key).header("Idempotency-Key", "k").json(&body)
    };
    let other = came(by(EDITOR_KEY, "c")).await;
    assert_eq!((other.0, other.1), (201, false), "{}", read(&other.2));
    let tenant = reqwest::Client::new().post(server.url("/admin/tenants")).header("X-Api-Key", TENANTS[1].1);
    assert_eq!(answer(tenant.json(&json!({"id": "acme", "name": "Acme"}))).await.0, 201);
    for name in ["a", "a"] {
        let elsewhere = came(by(TENANTS[1].1, name).header("X-PulpEngine-Tenant-Id", "acme")).await;
        assert_eq!(elsewhere.0, 201, "{}", read(&elsewhere.2));
    }

    // A refusal is an answer too.
    let refused = came(created("k-422", r#"{"key": "d", "name": "D", "html": "{{#if"}"#)).await;
    let again = came(created("k-422", r#"{"key": "d", "name": "D", "html": "{{#if"}"#)).await;
    assert_eq!((refused.0, again.0, refused.1, again.1), (422, 422, false, true));
    assert_eq!(refused.2, again.2);

    // A document is given again as long as it is there, without a fetch that counts.
    let first = stored("k-doc", "first").send().await.unwrap();
    let header = |answer: &reqwest::Response, name: &str| answer.headers().get(name).cloned();
    let id = header(&first, "x-pulpengine-document-id").unwrap();
    let (kind, name) = (header(&first, "content-type"), header(&first, "content-disposition"));
    let first = first.bytes().await.unwrap();
    let again = stored("k-doc", "first").send().await.unwrap();
    assert_eq!((header(&again, "content-type"), header(&again, "content-disposition")), (kind, name));
    assert_eq!((header(&again, REPLAYED).is_some(), header(&again, "x-pulpengine-document-id").as_ref()), (true, Some(&id)));
    assert_eq!(again.bytes().await.unwrap(), first);
    let document = format!("/documents/{}", id.to_str().unwrap());
    let (_, record) = answer(reqwest::Client::new().get(server.url(&document)).header("X-Api-Key", KEY)).await;
    assert_eq!(record["downloadCount"], json!(0), "{record}");
    assert_eq!(answer(reqwest::Client::new().delete(server.url(&document)).header("X-Api-Key", KEY)).await.0, 204);
    let gone = answer(stored("k-doc", "first")).await;
    assert_eq!((gone.0, &gone.1["code"]), (409, &json!("idempotency_replay_unavailable")));

    // Lines come as they are made, also the first time; an answer that is too large is not kept, and not made again.
    let items = |words: &str| json!({"items": [{"definition": {"key": "p", "name": "P", "html": format!("<p>{words}</p>")}}], "output": {"store": true}});
    let batch = |key: &str, words: &str| post(&server, "/render/batch/html", key).json(&items(words));
    let lines = async || came(batch("k-lines", "x").header("Accept", "application/x-ndjson")).await;
    let (first, again) = (lines().await, lines().await);
    assert_eq!((first.0, first.1, again.1), (200, false, true));
    assert_eq!(first.2, again.2);
    let large = "word ".repeat(60_000);
    for kind in ["application/json", "application/x-ndjson"] {
        let key = format!("k-large-{}", kind.len());
        let before = total(&server, "/documents").await;
        let first = came(batch(&key, &large).header("Accept", kind)).await;
        assert!(first.0 == 200 && first.2.len() > 300_000);
        let answered = wait_until_async("what there is of the answer is kept", async || {
            let (status, told) = answer(batch(&key, &large).header("Accept", kind)).await;
            (told["code"] != json!("idempotency_key_in_use")).then_some((status, told))
        });
        let (status, told) = answered.await;
        assert_eq!((status, &told["code"]), (409, &json!("idempotency_replay_unavailable")), "{kind}");
        assert_eq!(total(&server, "/documents").await, before + 1);
    }

    let mut took = [Vec::new(), Vec::new()];
    for round in 0..40 {
        for (keyed, took) in took.iter_mut().enumerate() {
            let body = json!({"definition": {"key": "p", "name": "P", "html": "<p>x</p>"}, "output": {"store": true}});
            let request = reqwest::Client::new().post(server.url("/render/html")).header("X-Api-Key", RENDER_KEY).json(&body);
            let request = if keyed == 1 { request.header("Idempotency-Key", format!("m-{round}")) } else { request };
            let began = Instant::now();
            assert_eq!(request.send().await.unwrap().status(), 200);
            took.push(began.elapsed());
        }
    }
    for took in &mut took {
        took.sort();
    }
    println!("a stored HTML document: {:?} without a key, {:?} with one (medians of 40)", took[0][20], took[1][20]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_halfway_leaves_a_key_that_the_next_takes_over_and_nothing_is_done_twice() {
    let (database, files) = (TestDatabase::empty().await, tempfile::tempdir().unwrap());
    let servers = three(&database, files.path());
    let (dying, other, third) = (&servers[0], &servers[1], &servers[2]);
    let definition = json!({"key": "p", "name": "P", "html": "<p>{{n}}</p>"});
    let kept = json!({"definition": definition, "output": {"store": true}});
    let in_use = async |number: &str| {
        wait_until_async("the key is taken", async || {
            (database.query("SELECT count(*) FROM idempotency_keys WHERE answer_status IS NULL").await == number).then_some(())
        })
        .await;
    };
    let stop = |server: &Server| {
        let browser = children(server.pid(), "chrom");
        assert!(!browser.is_empty());
        signal("STOP", &browser);
        browser
    };

    // Nothing was done yet: whoever comes next does it.
    let browser = stop(dying);
    let lost = post(dying, "/render/pdf", "k-1").json(&kept).send();
    let killed = async {
        in_use("1").await;
        kill("KILL", dying.pid());
        Instant::now()
    };
    let (lost, killed) = tokio::join!(lost, killed);
    signal("KILL", &browser);
    assert!(lost.is_err());
    let retries = all([other, third].into_iter().map(|server| post(server, "/render/pdf", "k-1").json(&kept))).await;
    assert!(retries.iter().all(|came| came.0 == 200), "{:?}", retries.iter().map(|came| read(&came.2)).collect::<Vec<_>>());
    assert_eq!(retries[0].2, retries[1].2);
    assert_eq!(retries.iter().filter(|came| came.1).count(), 1);
    assert_eq!(total(other, "/documents").await, 1);
    println!("after a kill the same request got through {:.1} s later", killed.elapsed().as_secs_f64());

    // A caller that goes away halfway finds its answer, and a twin waits for it.
    let browser = stop(other);
    let asked = || post(other, "/render/pdf", "k-2").json(&kept);
    assert!(asked().timeout(Duration::from_secs(1)).send().await.is_err(), "nobody answers yet");
    in_use("1").await;
    let twin = came(post(third, "/render/pdf", "k-2").json(&kept));
    let goes_on = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        signal("CONT", &browser);
    };
    let (twin, ()) = tokio::join!(twin, goes_on);
    assert_eq!((twin.0, twin.1), (200, true), "{}", read(&twin.2));
    assert_eq!(came(asked()).await.2, twin.2);
    assert_eq!(total(other, "/documents").await, 2);

    // Some was done: it is not done again, and the caller is told so.
    let items: Vec<Value> = (0..90).map(|n| json!({"data": {"n": n}})).collect();
    let batch = json!({"definition": definition, "items": items, "output": {"store": true}});
    let dying = other;
    let killed = async {
        wait_until_async("some are stored", async || (total(third, "/documents").await > 4).then_some(())).await;
        kill("KILL", dying.pid());
    };
    let (lost, ()) = tokio::join!(post(dying, "/render/batch", "k-3").json(&batch).send(), killed);
    assert!(lost.is_err() || lost.unwrap().bytes().await.is_err(), "it was killed before it had answered");
    let done = total(third, "/documents").await;
    let (status, told) = answer(post(third, "/render/batch", "k-3").json(&batch)).await;
    assert_eq!((status, &told["code"]), (409, &json!("idempotency_replay_unavailable")), "{told}");
    assert_eq!(total(third, "/documents").await, done);
}

#[tokio::test]
async fn without_a_database_pure_renders_go_on_under_their_keys_and_writes_are_refused_for_a_while() {
    let server = Server::start();
    let template = json!({"key": "sheet", "name": "Sheet", "html": "<p>warm</p>"});
    assert_eq!(came(post(&server, "/templates", "k").json(&template)).await.0, 201);
    let body = json!({"template": "sheet"});
    let pure = async |key: &str| {
        for (path, body) in [
            ("/render/pdf", body.clone()),
            ("/render/html", body.clone()),
            ("/render/validate", body.clone()),
            ("/render/batch/html", json!({"items": [body]})),
            ("/render/html", json!({"template": "sheet", "dryRun": true, "output": {"store": true}})),
            ("/render/html", json!({"template": "sheet", "output": {"store": false}})),
        ] {
            let (status, replayed, bytes) = came(post(&server, path, key).json(&body)).await;
            assert_eq!((status, replayed), (200, false), "{path}: {}", read(&bytes));
        }
    };
    let counted = async || {
        let text = server.metrics().await;
        // The duty that forgets old ones has nothing to do with it.
        let about_keys = |line: &&str| {
            line.starts_with("pulp_store_statements_total") && line.contains("\"idempotency_keys.") && !line.contains(".forget\"")
        };
        let mut found: Vec<String> = text.lines().filter(about_keys).map(str::to_owned).collect();
        found.sort();
        found
    };
    let before = counted().await;
    assert!(!before.is_empty(), "the template had a key");
    pure("k").await;
    pure("k").await;
    assert_eq!(counted().await, before, "nobody is asked about a key of a render that stores nothing");

    let postgres = children(server.pid(), "postgres");
    let all: Vec<u32> = postgres.iter().flat_map(|pid| children(*pid, "")).chain(postgres.clone()).collect();
    signal("STOP", &all);
    pure("k").await;
    let refused = post(&server, "/templates", "k-2").json(&json!({"key": "late", "name": "Late", "html": "x"}));
    let refused = refused.send().await.unwrap();
    let (status, retry) = (refused.status().as_u16(), refused.headers().contains_key("retry-after"));
    signal("CONT", &all);
    assert_eq!((status, retry), (503, true));
    let again = wait_until_async("the same request is carried out", async || {
        let came = came(post(&server, "/templates", "k-2").json(&json!({"key": "late", "name": "Late", "html": "x"}))).await;
        (came.0 != 503).then_some(came)
    });
    let again = again.await;
    assert_eq!(again.0, 201, "{}", read(&again.2));
}
